//! Makes unusual but valid JSON readable. The archive keeps such a claim as it was sent, and it must not block the
//! tables of all other claims.

use serde_json::Value;

/// Reads a JSON text. Also returns whether some of it had to be left out, because the common reader refuses it.
///
/// # Errors
/// If the text is not JSON.
pub(crate) fn read_json(text: &str) -> serde_json::Result<(Value, bool)> {
    match serde_json::from_str(text) {
        Ok(value) => Ok((value, false)),
        Err(_) => serde_json::from_str(&mended(text)).map(|value| (value, true)),
    }
}

/// How many levels of nesting are read; claims have about a dozen. Deeper values are left out.
const DEEPEST: usize = 100;

/// The same text with `null` for numbers that do not fit a double and for values nested too deep, and U+FFFD for
/// halves of surrogate pairs (RFC 8259 sections 6, 8.2 and 9 allow a reader to refuse these). A text that is not JSON
/// does not become JSON.
pub(super) fn mended(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'"' => {
                at = end_of_string(bytes, at);
                push_string(&mut out, &text[start..at]);
                continue;
            }
            b'{' | b'[' if depth == DEEPEST => {
                at = end_of_value(bytes, at);
                out.push_str("null");
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let is_number = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                at += bytes[at..].iter().take_while(|byte| is_number(byte)).count();
                let number = &text[start..at];
                let is_beyond = number.parse::<f64>().is_ok_and(f64::is_infinite);
                out.push_str(if is_beyond { "null" } else { number });
                continue;
            }
            _ => {}
        }
        // Between strings, JSON is ASCII. Other bytes are left for the parser to refuse.
        at += 1;
        while !text.is_char_boundary(at) {
            at += 1;
        }
        out.push_str(&text[start..at]);
    }
    out
}

/// The position after the string that begins here.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The position after the object or list that begins here.
fn end_of_value(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The UTF-16 unit that is escaped here (`\uXXXX`).
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// Adds a string with its quotation marks, with halves of pairs replaced.
fn push_string(out: &mut String, mut rest: &str) {
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            // The character after the backslash may be a quotation mark or another backslash.
            _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// JSON that the parser accepts is not changed. JSON that it refuses is changed only if the result is
        /// accepted.
        #[test]
        fn valid_json_reads_as_serde_reads_it(text in r#"[\[{]{0,3}([\[\]{}",:\\uéd8D0-9e.+\- ]|\\u[dD][89a-f]00|"a":|1e999|null){0,40}[\]}]{0,3}"#) {
            let mended = mended(&text);
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<Value>(&mended).unwrap(), value);
            }
        }

        #[test]
        fn any_string_survives(said in any::<String>(), lone in 0xd800_u16..0xe000) {
            let written = Value::from(said.as_str()).to_string();
            let text = format!("[{written},\"\\u{lone:04x}\",{written}]");
            prop_assert!(serde_json::from_str::<Value>(&text).is_err());
            let value: Value = serde_json::from_str(&mended(&text)).unwrap();
            prop_assert_eq!(value, serde_json::json!([said.as_str(), "\u{fffd}", said.as_str()]));
        }
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_stay() {
        for (text, expected) in [
            (r#"{"a":"x\ud800y"}"#, r#"{"a":"x\ufffdy"}"#),
            (r#"["\udc00\ud800"]"#, r#"["\ufffd\ufffd"]"#),
            (r#"["\ud83d\ude00"]"#, r#"["\ud83d\ude00"]"#),
            (r#"["\\ud800","\"\ud800\""]"#, r#"["\\ud800","\"\ufffd\""]"#),
            (r#"{"\uD8ff":1}"#, r#"{"\ufffd":1}"#),
            (r#"["ä\n\u00e4€"]"#, r#"["ä\n\u00e4€"]"#),
            (r#"["\ud8"#, r#"["\ud8"#),
            (r#"["\"#, r#"["\"#),
        ] {
            assert_eq!(mended(text), expected);
        }
    }

    #[test]
    fn numbers_out_of_range_are_none() {
        assert_eq!(mended(r#"[1e400, -1E+999,1.50,-0.0,"1e400",1e300]"#), r#"[null, null,1.50,-0.0,"1e400",1e300]"#);
    }

    #[test]
    fn json_nested_too_deeply_is_none() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(mended(&deep(DEEPEST)), deep(DEEPEST));
        assert_eq!(mended(&deep(100_000)), deep(DEEPEST).replace('1', "null"));
        let text = format!(r#"{{"a":{},"b":[{{"c":"]}}["}}]}}"#, deep(200));
        let value: Value = serde_json::from_str(&mended(&text)).unwrap();
        assert_eq!(value["b"][0]["c"], "]}[");
    }

    #[test]
    fn no_input_makes_it_panic() {
        for text in ["", "\"", "{", "\\", "é", "\"é\\é\"", "]]]", "-", "\"\\u\"", "\"\\ud800\\u12\"", "[\u{0}]"] {
            let _ = mended(text);
        }
    }
}
