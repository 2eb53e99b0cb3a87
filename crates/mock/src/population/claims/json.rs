//! A writer of compact JSON that needs only the `String` that it appends to.
//!
//! A page of claims is a megabyte of text. Building a tree first would cost more than everything else in the mock.
//! One flag decides about commas: whether the container already has an element.

use std::fmt::{self, Write};

/// Appends JSON to a string. Keys and values are written in the order of the calls.
pub(super) struct Json<'a> {
    out: &'a mut String,
    /// True if the next key or value needs no comma before it.
    fresh: bool,
    /// Whether whole amounts are written without `.0`. The server keeps the scale of the database's decimal, so both
    /// `40` and `40.0` occur, but not in the same claim.
    pub(super) whole_amounts: bool,
}

/// A value after a key or in a list.
pub(super) trait Value {
    /// Appends the value, including quotation marks and escapes.
    fn write(&self, json: &mut Json<'_>);
}

impl<'a> Json<'a> {
    /// A writer that appends to `out`.
    pub(super) fn new(out: &'a mut String) -> Self {
        Self { out, fresh: true, whole_amounts: false }
    }

    fn separate(&mut self) {
        if !self.fresh {
            self.out.push(',');
        }
        self.fresh = false;
    }

    fn key(&mut self, name: &'static str) {
        self.separate();
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.fresh = true;
    }

    /// A value in a list.
    pub(super) fn item(&mut self, value: impl Value) {
        self.separate();
        value.write(self);
    }

    /// `"name": value`.
    pub(super) fn put(&mut self, name: &'static str, value: impl Value) {
        self.key(name);
        self.item(value);
    }

    /// `"name": value`, or nothing if there is no value.
    pub(super) fn put_some(&mut self, name: &'static str, value: Option<impl Value>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// An object in a list, or the outermost one.
    pub(super) fn object(&mut self, inside: impl FnOnce(&mut Self)) {
        self.enclosed(['{', '}'], inside);
    }

    /// `"name": { … }`.
    pub(super) fn put_object(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) {
        self.key(name);
        self.enclosed(['{', '}'], inside);
    }

    /// `"name": [ … ]`.
    pub(super) fn put_list(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) {
        self.key(name);
        self.enclosed(['[', ']'], inside);
    }

    fn enclosed(&mut self, [open, close]: [char; 2], inside: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(open);
        self.fresh = true;
        inside(self);
        self.out.push(close);
        self.fresh = false;
    }

    /// Appends text that needs no escaping: digits, punctuation, quotation marks of the JSON itself.
    pub(super) fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Appends a number in decimal, padded with zeros to `width` digits.
    pub(super) fn digits(&mut self, number: u64, width: usize) {
        let mut buffer = [b'0'; 20];
        let mut at = buffer.len();
        let mut rest = number;
        while rest > 0 {
            at -= 1;
            buffer[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let start = at.min(buffer.len() - width.clamp(1, buffer.len()));
        // The digits are valid text. The check costs less than pushing them one by one.
        self.out.push_str(std::str::from_utf8(&buffer[start..]).unwrap_or_default());
    }

    /// Appends the inside of a string, escaped as in RFC 8259 section 7.
    pub(super) fn escaped(&mut self, text: &str) {
        // No branch in the loop, because almost no text has anything to escape.
        let odd = text.bytes().fold(false, |odd, byte| odd | (byte < 0x20) | (byte == b'"') | (byte == b'\\'));
        if !odd {
            return self.out.push_str(text);
        }
        let mut clean = 0;
        for (at, byte) in text.bytes().enumerate() {
            let short = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0..=0x1f => "",
                _ => continue,
            };
            self.out.push_str(&text[clean..at]);
            clean = at + 1;
            if short.is_empty() {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                self.out.push_str("\\u00");
                self.out.push(char::from(HEX[usize::from(byte >> 4)]));
                self.out.push(char::from(HEX[usize::from(byte & 15)]));
            } else {
                self.out.push_str(short);
            }
        }
        self.out.push_str(&text[clean..]);
    }
}

impl Value for &str {
    fn write(&self, json: &mut Json<'_>) {
        json.raw("\"");
        json.escaped(self);
        json.raw("\"");
    }
}

/// A text made on the fly: `format_args!("Patient/{id}")`.
impl Value for fmt::Arguments<'_> {
    fn write(&self, json: &mut Json<'_>) {
        struct Escaping<'j, 'o>(&'j mut Json<'o>);
        impl fmt::Write for Escaping<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.escaped(text);
                Ok(())
            }
        }
        json.raw("\"");
        // Writing to a string cannot fail; only another type's Display could return an error.
        let _ = Escaping(json).write_fmt(*self);
        json.raw("\"");
    }
}

impl Value for u64 {
    fn write(&self, json: &mut Json<'_>) {
        json.digits(*self, 1);
    }
}

impl Value for bool {
    fn write(&self, json: &mut Json<'_>) {
        json.raw(if *self { "true" } else { "false" });
    }
}

/// A number of units, which has a decimal in the database: always `30.0`.
pub(super) struct Decimal(pub(super) u64);

impl Value for Decimal {
    fn write(&self, json: &mut Json<'_>) {
        json.digits(self.0, 1);
        json.raw(".0");
    }
}

/// A number as a string of digits, padded with zeros: claim, provider and control numbers.
pub(super) struct Digits(pub(super) u64, pub(super) usize);

impl Value for Digits {
    fn write(&self, json: &mut Json<'_>) {
        json.raw("\"");
        json.digits(self.0, self.1);
        json.raw("\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(inside: impl FnOnce(&mut Json<'_>)) -> String {
        let mut out = String::new();
        inside(&mut Json::new(&mut out));
        out
    }

    #[test]
    fn separators_stand_between_values_and_nowhere_else() {
        let text = written(|json| {
            json.object(|json| {
                json.put("a", 1);
                json.put_list("b", |json| {
                    json.item("x");
                    json.object(|_| ());
                    json.item(true);
                });
                json.put_list("c", |_| ());
                json.put_object("d", |json| json.put("e", "f"));
                json.put_some("g", None::<u64>);
            });
        });
        assert_eq!(text, r#"{"a":1,"b":["x",{},true],"c":[],"d":{"e":"f"}}"#);
    }

    #[test]
    fn digits_are_padded_and_never_cut() {
        let text = written(|json| {
            json.item(Digits(0, 0));
            json.item(Digits(7, 3));
            json.item(Digits(u64::MAX, 4));
            json.item(0);
        });
        assert_eq!(text, r#""0","007","18446744073709551615",0"#);
    }

    proptest! {
        #[test]
        fn any_text_survives_being_written(text in any::<String>()) {
            let plain = written(|json| json.item(text.as_str()));
            prop_assert_eq!(serde_json::from_str::<String>(&plain).unwrap(), text.as_str());
            let pieces = written(|json| json.item(format_args!("<{text}>")));
            prop_assert_eq!(serde_json::from_str::<String>(&pieces).unwrap(), format!("<{text}>"));
        }

        #[test]
        fn any_number_survives_being_written(number in any::<u64>()) {
            prop_assert_eq!(serde_json::from_str::<u64>(&written(|json| json.item(number))).unwrap(), number);
        }
    }
}
