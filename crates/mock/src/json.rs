//! JSON as the two parts of the real server write it: keys in the given order, compact on the FHIR side, with a blank
//! after colon and comma on the OAuth side.

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
    /// Without blanks, as the FHIR side writes.
    pub(super) fn compact(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// In the form of Python's `json.dumps`: `", "` and `": "`.
pub(super) fn spaced(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Spaced);
    // Writing to memory cannot fail, and the keys are strings.
    if value.serialize(&mut serializer).is_err() {
        out.clear();
    }
    out
}

/// A text in quotation marks, with escapes where JSON requires them.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Compact JSON over several lines, in the form of Python's `json.dumps(…, indent=blanks)`. Numbers, texts and the
/// order of the keys do not change.
pub(super) fn indented(compact: &[u8], blanks: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + depth * blanks, b' ');
    };
    for (at, &byte) in compact.iter().enumerate() {
        if in_string {
            out.push(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                // Empty objects and lists stay on one line.
                if !matches!(compact.get(at + 1), Some(b'}' | b']')) {
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !matches!(out.last(), Some(b'{' | b'[')) {
                    line(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            // White space between the parts of JSON that was not quite compact.
            b' ' | b'\n' => {}
            _ => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
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
    fn indented_json_is_what_serde_would_have_written() {
        let text = r#"{"a":[],"b":{},"c":[1.50,{"d":"x, \"y\": {z"},[2]],"e":"\\"}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let mut pretty = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut pretty, formatter)).unwrap();
        let pretty = String::from_utf8(pretty).unwrap().replace("1.5,", "1.50,");
        assert_eq!(String::from_utf8(indented(text.as_bytes(), 3)).unwrap(), pretty);
        assert_eq!(indented(br#"{"a": [1, 2]}"#, 1), b"{\n \"a\": [\n  1,\n  2\n ]\n}");
    }

    #[test]
    fn keys_keep_their_order_and_separators_have_blanks() {
        let fields = Fields(&[("status_code", json!(400)), ("error", json!("x, y: z")), ("list", json!([1, 2]))]);
        assert_eq!(spaced(&fields), br#"{"status_code": 400, "error": "x, y: z", "list": [1, 2]}"#);
    }
}
