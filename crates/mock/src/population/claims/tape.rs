//! What a claim says, kept in pieces: the other versions read their facts off it without reading JSON.
//!
//! A [`Json`] that records puts down one [`Node`] for each value in place of keys, separators and escapes;
//! serde then reads it like any other format, and passes over what nobody asks for without looking at it.
//!
//! [`Json`]: super::json::Json

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor, value::BorrowedStrDeserializer, value::Error},
    forward_to_deserialize_any,
};

/// A recorded resource.
#[derive(Default)]
pub(super) struct Tape {
    /// All plain values, one after another, as JSON writes them but for escapes.
    pub(super) text: String,
    pub(super) nodes: Vec<Node>,
}

/// One value, before those inside it.
#[derive(Clone, Copy)]
pub(super) struct Node {
    /// Empty in a list.
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    /// Where a plain value begins in the text.
    pub(super) from: usize,
    /// Where a plain value ends in the text; of an object or a list, the node after its last.
    pub(super) to: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Object,
    List,
}

impl Tape {
    /// An empty one, with room for a usual claim.
    pub(super) fn new() -> Self {
        Self { text: String::with_capacity(24 << 10), nodes: Vec::with_capacity(1024) }
    }

    /// Reads what was recorded.
    pub(super) fn read<'t, T: serde::Deserialize<'t>>(&'t self) -> Result<T, Error> {
        T::deserialize(At { tape: self, node: 0 })
    }

    fn node(&self, at: usize) -> Result<&Node, Error> {
        self.nodes.get(at).ok_or_else(|| Error::custom("the tape ends"))
    }

    /// The node beside the one at a place.
    fn beside(&self, at: usize) -> Result<usize, Error> {
        let node = self.node(at)?;
        Ok(if node.kind == Kind::Plain { at + 1 } else { node.to })
    }
}

/// One value of a tape.
struct At<'t> {
    tape: &'t Tape,
    node: usize,
}

impl<'t> At<'t> {
    /// The text of a plain value, without its quotes; whether it had any.
    fn plain(&self) -> Result<(&'t str, bool), Error> {
        let node = self.tape.node(self.node)?;
        let text = self.tape.text.get(node.from..node.to).unwrap_or_default();
        let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        Ok(quoted.map_or((text, false), |text| (text, true)))
    }
}

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let node = self.tape.node(self.node)?;
        let inside = Inside { tape: self.tape, at: self.node, next: self.node + 1, end: node.to };
        match node.kind {
            Kind::Object => visitor.visit_map(inside),
            Kind::List => visitor.visit_seq(inside),
            Kind::Plain => match self.plain()? {
                (text, false) => match text.parse() {
                    Ok(number) => visitor.visit_u64(number),
                    Err(_) => visitor.visit_borrowed_str(text),
                },
                (text, true) => visitor.visit_borrowed_str(text),
            },
        }
    }

    /// A plain value's text, that of a number too.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.plain()?.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// The values in an object or a list.
struct Inside<'t> {
    tape: &'t Tape,
    at: usize,
    next: usize,
    end: usize,
}

impl Inside<'_> {
    /// Goes on to the next value, if there is one.
    fn step(&mut self) -> Result<bool, Error> {
        if self.next >= self.end {
            return Ok(false);
        }
        self.at = self.next;
        self.next = self.tape.beside(self.at)?;
        Ok(true)
    }
}

impl<'t> MapAccess<'t> for Inside<'t> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.step()? {
            return Ok(None);
        }
        seed.deserialize(BorrowedStrDeserializer::new(self.tape.node(self.at)?.key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(At { tape: self.tape, node: self.at })
    }
}

impl<'t> SeqAccess<'t> for Inside<'t> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if !self.step()? {
            return Ok(None);
        }
        seed.deserialize(At { tape: self.tape, node: self.at }).map(Some)
    }

    /// Exact, so that lists are made at their size.
    fn size_hint(&self) -> Option<usize> {
        let (mut at, mut count) = (self.next, 0);
        while at < self.end {
            at = self.tape.beside(at).ok()?;
            count += 1;
        }
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::Json;
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(default)]
    #[derive(Default)]
    struct Seen<'t> {
        name: &'t str,
        count: u64,
        list: Vec<Seen<'t>>,
        missing: Option<u64>,
        present: Option<&'t str>,
    }

    #[test]
    fn what_was_recorded_is_read_and_the_rest_passed_over() {
        let mut tape = Tape::new();
        Json::recording(&mut tape).object(|json| {
            json.put("name", "a \"quoted\" name, Zoë");
            json.put_object("unknown", |json| json.put_list("list", |json| json.item("x")));
            json.put_list("list", |json| {
                json.object(|json| json.put("count", 7));
                json.object(|_| ());
            });
            json.put("present", format_args!("{}-{}", 1, 2));
        });
        let inside = vec![Seen { count: 7, ..Seen::default() }, Seen::default()];
        let name = "a \"quoted\" name, Zoë";
        assert_eq!(
            tape.read::<Seen<'_>>().unwrap(),
            Seen { name, list: inside, present: Some("1-2"), ..Seen::default() }
        );
        assert!(Tape::new().read::<Seen<'_>>().is_err());
    }
}
