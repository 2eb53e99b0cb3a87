//! Reads what a person pastes when bbdl asks for the redirected address: the address as mail programs, terminals,
//! shells and word processors change it, or only the code.
//!
//! A word that someone typed by mistake may be a password. So only two things leave this machine: the code from an
//! address that has this log-in's `state`, and a code that looks exactly like CMS's (30 letters and digits).

use zeroize::Zeroizing;

use super::{
    callback::{self, Callback, CallbackError, Expected},
    redirect::RedirectUri,
};
use crate::secret::Secret;

/// The length of CMS's codes, in letters and digits.
const CODE_LENGTH: usize = 30;
/// Longer text is not an address that a terminal has cut.
const LONGEST: usize = 16 * 1024;

/// What the lines so far add up to.
#[derive(Debug)]
pub enum Reading {
    /// A callback of this log-in.
    Callback(Callback),
    /// The beginning of an address. The rest may be on the next line.
    Unfinished,
    /// Nothing that can be used. It is sent nowhere.
    Unusable(CallbackError),
}

/// Reads pasted lines, and joins an address that was wrapped over several lines.
pub struct PasteReader {
    redirect: RedirectUri,
    /// The lines of an address whose end has not come yet.
    begun: Zeroizing<String>,
}

impl PasteReader {
    /// A reader for a log-in with this redirect URI.
    #[must_use]
    pub fn new(redirect: RedirectUri) -> Self {
        Self { redirect, begun: Zeroizing::default() }
    }

    /// Reads the next line.
    pub fn line(&mut self, line: &str, expected: &Expected) -> Reading {
        // Mail programs quote lines with `> `, once for each reply.
        let line = line.trim_matches(is_blank).trim_start_matches(|c| c == '>' || is_blank(c));
        let joined = Zeroizing::new(format!("{}\n{line}", *self.begun));
        if !self.begun.is_empty() && joined.len() <= LONGEST {
            match self.read(&joined, expected) {
                Reading::Unusable(_) => {}
                Reading::Unfinished => {
                    self.begun = joined;
                    return Reading::Unfinished;
                }
                found => {
                    self.begun = Zeroizing::default();
                    return found;
                }
            }
        }
        let alone = self.read(line, expected);
        self.begun = Zeroizing::new(if matches!(alone, Reading::Unfinished) { line.to_owned() } else { String::new() });
        alone
    }

    fn read(&self, lines: &str, expected: &Expected) -> Reading {
        let mut why = CallbackError::Nothing;
        let mut is_unfinished = false;
        for text in spellings(lines) {
            match self.read_spelling(&text, expected) {
                Reading::Unusable(CallbackError::Nothing) => {}
                Reading::Unusable(reason) => why = reason,
                Reading::Unfinished => is_unfinished = true,
                found => return found,
            }
        }
        if is_unfinished { Reading::Unfinished } else { Reading::Unusable(why) }
    }

    /// Reads one possible spelling of the text. A browser's fragment, and what surrounds an address in a sentence,
    /// are not part of it.
    fn read_spelling(&self, text: &str, expected: &Expected) -> Reading {
        let whole = text.trim_start_matches(is_around).trim_start_matches("Location:");
        // The end stays as it is, because a line may be cut after any character.
        let address = whole.split('#').next().unwrap_or_default();
        let text = address.trim_end_matches(is_around);
        if is_code(text, expected) {
            return Reading::Callback(Callback::Code(Secret::new(text.to_owned())));
        }
        let bare = ["code=", "state=", "error="].iter().any(|name| text.starts_with(name));
        let query = match text.split_once('?') {
            Some((_, query)) => query,
            None if bare => text,
            None => return if self.is_begun(address) { Reading::Unfinished } else { nothing() },
        };
        match callback::read(query, expected) {
            Ok(Callback::Code(code)) if is_cut(query, &code) => Reading::Unfinished,
            Ok(callback) => Reading::Callback(callback),
            Err(CallbackError::WrongState) => self.without_state(text, query, expected),
            Err(CallbackError::Nothing) if bare || self.is_begun(address) => Reading::Unfinished,
            Err(why) => Reading::Unusable(why),
        }
    }

    /// What to do if `state` is missing, cut off, or that of another log-in.
    fn without_state(&self, text: &str, query: &str, expected: &Expected) -> Reading {
        let values = |name: &str| -> Vec<String> {
            let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
            pairs.map(|(_, value)| value.into_owned()).collect()
        };
        match values("state").as_slice() {
            // The code verifier, which only this process knows, still ties a code to this log-in (RFC 7636 section
            // 1).
            [] if text.starts_with("code=") => match values("code").as_slice() {
                [code] if is_code(code, expected) && values("error").is_empty() => {
                    Reading::Callback(Callback::Code(Secret::new(code.clone())))
                }
                [code] if code.len() < CODE_LENGTH => Reading::Unfinished,
                _ => Reading::Unusable(CallbackError::WrongState),
            },
            [] if self.is_begun(text) => Reading::Unfinished,
            [state] if expected.state.expose().starts_with(state.as_str()) => Reading::Unfinished,
            _ => Reading::Unusable(CallbackError::WrongState),
        }
    }

    /// Whether a text is the beginning of the redirect URI, or begins with it, with any scheme.
    fn is_begun(&self, text: &str) -> bool {
        const TOO_SHORT: usize = 4;
        let own = without_scheme(self.redirect.as_str());
        let text = without_scheme(text);
        text.len() >= TOO_SHORT && (own.starts_with(text) || text.starts_with(own))
    }
}

fn nothing() -> Reading {
    Reading::Unusable(CallbackError::Nothing)
}

/// The possible spellings of a text, the plain one first. None can be mistaken for another: an address counts only
/// with this log-in's `state`.
fn spellings(lines: &str) -> Vec<Zeroizing<String>> {
    let joined = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace() && !is_invisible(*c)).collect() };
    let whole = joined(lines);
    // How HTML, JSON and shells write the characters of an address.
    let mut plain = whole.clone();
    for (written, meant) in [
        ("&amp;", "&"),
        ("&#38;", "&"),
        ("\\u0026", "&"),
        ("\\u003d", "="),
        ("\\u003D", "="),
        ("\\u003f", "?"),
        ("\\u003F", "?"),
        ("\\", ""),
    ] {
        plain = plain.replace(written, meant);
    }
    let mut found = vec![plain];
    // An address inside an address is encoded as a whole, and sometimes twice.
    for _ in 0..2 {
        let last = found.last().map_or("", String::as_str);
        if !last.contains('%') {
            break;
        }
        found.push(percent_decoded(last));
    }
    // Mail in transport form (quoted-printable, RFC 2045 section 6.7): `=3D` for `=`, and `=` at a line break.
    if whole.contains("=3D") {
        let soft = joined(&lines.replace("=\n", ""));
        found.push(soft.replace("=3D", "=").replace("=26", "&").replace("=3F", "?"));
    }
    found.into_iter().map(Zeroizing::new).collect()
}

fn percent_decoded(text: &str) -> String {
    // Makes one name without a value: `=` and `&` are part of the text here.
    let name = text.replace('=', "%3D").replace('&', "%26");
    form_urlencoded::parse(name.as_bytes()).next().map_or(String::new(), |(name, _)| name.into_owned())
}

/// Whether this is a code as CMS makes them. A part of `state`, as on the second line of a wrapped address, has the
/// same letters.
fn is_code(text: &str, expected: &Expected) -> bool {
    text.len() == CODE_LENGTH
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !expected.state.expose().contains(text)
}

/// Whether the code comes last in a query and is shorter than CMS's. Its rest may be on the next line.
fn is_cut(query: &str, code: &Secret) -> bool {
    let code = code.expose();
    code.len() < CODE_LENGTH && query.ends_with(code) && query.strip_suffix(code).is_some_and(|q| q.ends_with("code="))
}

fn without_scheme(text: &str) -> &str {
    ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_invisible(c)
}

/// Characters without width, which word processors and chat programs put next to a link.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What surrounds an address in a sentence: quotation marks, brackets, punctuation.
fn is_around(c: char) -> bool {
    is_blank(c) || "\"'`<>()[]{}«»‹›“”„‟‘’‚‛.,;:!*_|".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "0123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210";
    const OTHER: &str = "f123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210";
    const CODE: &str = "Kq3xVb8sT0aYw1LmN2pQ4rS5tU6vW7";

    fn expected() -> Expected {
        Expected { state: Secret::new(STATE.into()), issuer: "http://127.0.0.1:9".parse().unwrap() }
    }

    fn reader() -> PasteReader {
        PasteReader::new(RedirectUri::loopback("http://127.0.0.1:40000/callback").unwrap())
    }

    /// The result of each line: the code, `…`, or why not.
    fn read(lines: &str) -> Vec<String> {
        let mut reader = reader();
        let told = |line| match reader.line(line, &expected()) {
            Reading::Callback(Callback::Code(code)) => code.expose().to_owned(),
            Reading::Callback(other) => format!("{other:?}"),
            Reading::Unfinished => "…".to_owned(),
            Reading::Unusable(why) => format!("{why:?}"),
        };
        lines.lines().map(told).collect()
    }

    fn good() -> String {
        format!("http://127.0.0.1:40000/callback?code={CODE}&state={STATE}")
    }

    #[test]
    fn an_address_is_found_with_quotes_breaks_and_escapes() {
        let good = good();
        let rest = good.strip_prefix("http://").unwrap();
        let encoded: String = form_urlencoded::byte_serialize(good.as_bytes()).collect();
        let twice: String = form_urlencoded::byte_serialize(encoded.as_bytes()).collect();
        let shell = good.replace('?', "\\?").replace('&', "\\&").replace('=', "\\=");
        for text in [
            good.clone(),
            format!("  \"{good}\"\r"),
            format!("<{good}>"),
            format!("{good}."),
            format!("“{good}”"),
            format!("‘{good}’,"),
            format!("`{good}`"),
            format!("({good})"),
            format!("({good})."),
            format!("{good}\u{200b}"),
            format!("\u{feff}{good}\u{a0}"),
            format!("{good}#"),
            format!("{good}#_=_"),
            format!("https://{rest}"),
            rest.to_owned(),
            format!("Location: {good}"),
            good.replace('&', "&amp;"),
            good.replace('&', "\\u0026"),
            encoded,
            twice,
            shell,
            good.replace(&format!("code={CODE}&state={STATE}"), &format!("state={STATE}&code={CODE}")),
            format!("/callback?code={CODE}&state={STATE}"),
            format!("?code={CODE}&state={STATE}"),
            format!("code={CODE}&state={STATE}"),
            format!("code={CODE}"),
            format!("\"code={CODE}\""),
            CODE.to_owned(),
            format!("{CODE}#"),
            format!(" '{CODE}' "),
            format!("> {good}"),
            good.replace("code=", "code=3D").replace("state=", "state=3D"),
        ] {
            assert_eq!(read(&text), [CODE], "{text}");
        }
    }

    #[test]
    fn a_wrapped_address_is_joined_at_any_column() {
        let good = good();
        for mark in ["", "> ", ">> ", "   "] {
            // The first line has to be long enough to be recognized: `http://` and a part of the host.
            for width in 11..good.len() {
                let lines: Vec<String> = good
                    .as_bytes()
                    .chunks(width)
                    .map(|part| format!("{mark}{}", str::from_utf8(part).unwrap()))
                    .collect();
                let read = read(&lines.join("\n"));
                let accepted = read.iter().position(|told| told == CODE);
                assert!(accepted.is_some(), "{width}: {read:?}");
                assert!(read[..accepted.unwrap()].iter().all(|told| told == "…"), "{width}: {read:?}");
            }
        }
        let soft = good.replace('=', "=3D").replace("&state", "&=\nstate");
        assert_eq!(read(&soft), ["…", CODE]);
    }

    #[test]
    fn a_stray_word_or_part_of_the_state_is_not_a_code() {
        for text in [
            "hello",
            "characters",
            "summer2024holiday",
            "summer2024holidaysummer2024holiday",
            "what?",
            "http",
            "yes please",
            &STATE[..30],
            &STATE[6..],
            &format!("{CODE}x"),
            &CODE[..29],
            "correct-horse-battery-staple01",
            "https://127.0.0.1:40001/callback",
        ] {
            assert_eq!(read(text), ["Nothing"], "{text}");
        }
    }

    #[test]
    fn only_the_address_of_this_log_in_is_accepted() {
        let other = good().replace(STATE, OTHER);
        assert_eq!(read(&format!("{other}\n{}", good())), ["WrongState", CODE]);
        // Half an address, and then all of it.
        assert_eq!(read(&format!("{}\n{}", &good()[..80], good())), ["…", CODE]);
        assert_eq!(read(&format!("{}\nhello\n{}", &good()[..80], good())), ["…", "Nothing", CODE]);
        assert_eq!(read(&format!("code={CODE}&state={OTHER}")), ["WrongState"]);
        assert_eq!(read(&format!("http://evil.example/?code={CODE}")), ["WrongState"]);
        assert_eq!(read(&format!("code={CODE}&error=x")), ["WrongState"]);
    }

    #[test]
    fn a_refusal_can_be_pasted_too() {
        assert_eq!(read(&format!("http://127.0.0.1:40000/callback?error=access_denied&state={STATE}")), ["Denied"]);
        assert_eq!(read("http://127.0.0.1:40000/callback?error=not_found"), ["NotFound"]);
    }
}
