//! Lines that a person pastes: only a code that belongs to this log-in, or looks exactly like CMS's, is sent
//! anywhere.

#![no_main]

use bbdl::auth::{callback::{Callback, Expected}, pasted::{PasteReader, Reading}, redirect::RedirectUri};
use bbdl::secret::Secret;
use libfuzzer_sys::fuzz_target;

const STATE: &str = "s1234";

/// Letters and digits only.
fn bare(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The decoded text, without its line breaks.
fn decoded(text: &str) -> String {
    let unbroken: String = text.chars().filter(|c| !c.is_whitespace() && *c != '>').collect();
    let pairs = url::form_urlencoded::parse(unbroken.as_bytes());
    pairs.map(|(name, value)| format!("{name}={value}&")).collect()
}

fuzz_target!(|text: &str| {
    let issuer = "https://sandbox.bluebutton.cms.gov".parse().expect("an origin");
    let expected = Expected { state: Secret::new(STATE.to_owned()), issuer };
    let mut reader = PasteReader::new(RedirectUri::loopback("http://127.0.0.1/callback").expect("a redirect URI"));
    for line in text.lines() {
        if let Reading::Callback(Callback::Code(code)) = reader.line(line, &expected) {
            let code = code.expose();
            let is_of_cms = code.len() == 30 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
            // It may have been wrapped, quoted and percent-encoded, but the state is there.
            let has_state = [text.to_owned(), decoded(text)].iter().any(|text| bare(text).contains(STATE));
            assert!(is_of_cms || has_state, "{code:?} is taken from {text:?}");
        }
    }
});
