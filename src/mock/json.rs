//! JSON as the two halves of the real server write it: keys in the order they were given, compact on
//! the FHIR side, with a blank after colon and comma on the OAuth side.

use std::io::{Result, Write};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, ser::Formatter};

/// An object whose keys stay in their order (a `serde_json::Value` sorts them).
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(pub &'a [(&'a str, Value)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Fields<'_> {
    /// Without a blank, as the FHIR side writes.
    pub(super) fn compact(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// As Python's `json.dumps` writes it: `", "` and `": "`.
pub(super) fn spaced(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Spaced);
    // Writing to memory cannot fail, and the keys are strings.
    if value.serialize(&mut serializer).is_err() {
        out.clear();
    }
    out
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_keep_their_order_and_separators_have_blanks() {
        let fields = Fields(&[("status_code", json!(400)), ("error", json!("x, y: z")), ("list", json!([1, 2]))]);
        assert_eq!(spaced(&fields), br#"{"status_code": 400, "error": "x, y: z", "list": [1, 2]}"#);
    }
}
