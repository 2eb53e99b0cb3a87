//! The app's id and secret: finds them, removes what editors and shells add to them, and proves them before the
//! person consents.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, stdin},
    path::{Path, absolute},
};

use oauth2::PkceCodeVerifier;
use serde_json::Value;
use zeroize::Zeroizing;

use super::plan::Plan;
use crate::{
    api::client::Client,
    auth::{
        authorization::random_word,
        store::{StoreError, StoreKind, TokenStore},
        token::Credential,
        token_endpoint::{self, Asked, Attempt, TokenFailure},
    },
    commands::Context,
    error::{Error, ErrorKind, Result, in_words},
    files::private_file::refuse_directory,
    output::Output,
    profile::Profile,
    runtime::{block_on, interruptible, run_blocking},
    secret::Secret,
};

/// The id from a flag, the environment or the configuration; else from an earlier log-in; else asks.
pub(super) fn id(context: &Context, given: Option<String>, before: Option<&Profile>) -> Result<String> {
    let id = match given.or(before.map(|profile| profile.client_id.clone())) {
        Some(id) => id,
        None => context.output.ask("Client id of the app (from CMS's developer pages)").map_err(|_| {
            Error::new(ErrorKind::Client, "no client id was given")
                .hint("Give it with --client-id ID or in BBDL_CLIENT_ID, and the client secret with --client-secret-file FILE.")
        })?,
    };
    let id = cleaned(&id);
    if id.is_empty() || id.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Error::new(ErrorKind::Client, "the client id is not one word")
            .hint("Give it as CMS's developer pages show it: --client-id ID, or BBDL_CLIENT_ID."));
    }
    Ok(id)
}

/// The secret from a file or the environment; else from an earlier log-in with the same client; else asks.
pub(super) fn secret(
    context: &Context,
    file: Option<&Path>,
    (before, kind): (Option<&Profile>, StoreKind),
    client_id: &str,
) -> Result<Option<Secret>> {
    const VARIABLE: &str = "BBDL_CLIENT_SECRET";
    let ask = || {
        ask_secret(context, "Client secret of the app").map_err(|error| match error.kind {
            ErrorKind::Input | ErrorKind::Declined => Error::new(ErrorKind::ClientSecret, "no client secret was given")
                .hint("Give it with --client-secret-file FILE (or - for standard input) or in BBDL_CLIENT_SECRET."),
            _ => error,
        })
    };
    match file {
        Some(path) if path == Path::new("-") && stdin().is_terminal() => {
            return word(ask()?.expose(), "what was typed").map(Some);
        }
        Some(path) => return from_file(&context.output, path).map(Some),
        None => {}
    }
    if let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
        let text = text.into_string().map(Zeroizing::new).map_err(|_| refused(VARIABLE, "it is not text (UTF-8)"))?;
        return word(&text, VARIABLE).map(Some);
    }
    if let Some(profile) = before.filter(|profile| profile.client_id == client_id)
        && let Some(credential) = kept_in(context, profile.token_store, kind)?
        && credential.client_id == client_id
        && credential.client_secret.is_some()
    {
        return Ok(credential.client_secret);
    }
    let secret = ask()?;
    if secret.is_empty() { Ok(None) } else { word(secret.expose(), "what was typed").map(Some) }
}

/// Asks for a secret. If Ctrl-C ends the question, makes the terminal show typed text again.
fn ask_secret(context: &Context, question: &'static str) -> Result<Secret> {
    let output = context.output.clone();
    #[cfg(unix)]
    let before = rustix::termios::tcgetattr(stdin());
    let asked = async { run_blocking(move || output.ask_secret(question)).await? };
    let answer = block_on(interruptible(asked));
    #[cfg(unix)]
    if let (Err(_), Ok(before)) = (&answer, before) {
        let _ = rustix::termios::tcsetattr(stdin(), rustix::termios::OptionalActions::Now, &before);
    }
    answer
}

/// What an earlier log-in stored in `former`. If this log-in uses another store, the former one may be locked or
/// gone.
fn kept_in(context: &Context, former: StoreKind, kind: StoreKind) -> Result<Option<Credential>> {
    let found = kept(&*context.store(former), context.profile.as_str());
    if former == kind { found } else { Ok(found.unwrap_or_default()) }
}

/// What an earlier log-in stored. An unusable record counts as missing: this log-in replaces it.
fn kept(store: &dyn TokenStore, profile: &str) -> Result<Option<Credential>> {
    match store.load(profile) {
        Ok(record) => Ok(record.as_ref().and_then(Credential::from_record)),
        Err(StoreError::Damaged { .. } | StoreError::Permissions { .. } | StoreError::ForeignOwner { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn from_file(output: &Output, path: &Path) -> Result<Secret> {
    const LONGEST: u64 = 16 * 1024;
    let shown =
        if path == Path::new("-") { path.to_owned() } else { absolute(path).unwrap_or_else(|_| path.to_owned()) };
    let from = format!("client secret file {}", shown.display());
    let mut bytes = Zeroizing::new(Vec::new());
    let read = if path == Path::new("-") {
        first_line(&mut bytes, LONGEST)
    } else {
        refuse_directory(path).and_then(|()| File::open(path)).and_then(|file| {
            warn_of_readers(output, path, &file);
            file.take(LONGEST).read_to_end(&mut bytes).map(|_| ())
        })
    };
    read.map_err(|cause| if is_perhaps_the_secret(path) { secret_as_path() } else { unreadable(&from, &cause) })?;
    let text = decoded(&bytes).ok_or_else(|| refused(&from, "it is not text"))?;
    word(&text, &from)
}

/// Whether someone may have given the secret itself instead of a file name: there is no such file, and it does not
/// look like a name that a person would choose.
fn is_perhaps_the_secret(path: &Path) -> bool {
    const SHORTEST: usize = 20;
    let text = path.to_string_lossy();
    let is_of_one = |c: char| c.is_ascii_alphanumeric() || "+=_-~".contains(c);
    text.len() >= SHORTEST
        && text.chars().all(is_of_one)
        && text.contains(|c: char| c.is_ascii_digit())
        && std::fs::symlink_metadata(path).is_err()
}

/// The error does not show it.
fn secret_as_path() -> Error {
    Error::new(ErrorKind::ClientSecret, "--client-secret-file does not name a file, but perhaps the secret itself").hint(
        "Put the secret into a file that only you can read, and give the name of that file. If you typed the secret in a command, delete that command from your shell's history.",
    )
}

/// The first line of standard input. What follows may be the pasted address.
fn first_line(bytes: &mut Vec<u8>, longest: u64) -> std::io::Result<()> {
    use std::io::BufRead;
    stdin().lock().take(longest).read_until(b'\n', bytes).map(|_| ())
}

#[cfg(unix)]
fn warn_of_readers(output: &Output, path: &Path, file: &File) {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o077;
    let Ok(there) = file.metadata() else { return };
    // A pipe, such as a shell's <(…), has no other readers.
    if there.is_file() && there.permissions().mode() & OTHERS != 0 {
        output.warn(format!(
            "others can read the client secret file; to keep it to yourself: chmod 600 {}",
            crate::files::path_text::typed(path)
        ));
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Output, _: &Path, _: &File) {}

/// Text as editors save it: UTF-8, or UTF-16 with its byte order mark (Notepad, PowerShell's `>`) or without.
fn decoded(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<std::result::Result<String, _>>().ok()
    };
    let is_zero = |at: usize| bytes.get(at).is_some_and(|byte| *byte == 0);
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ if is_zero(1) && !is_zero(0) => utf16(bytes, u16::from_le_bytes),
        _ if is_zero(0) && !is_zero(1) => utf16(bytes, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    };
    text.map(Zeroizing::new)
}

/// A text without what may surround a word: blanks, line ends, byte order marks, quotation marks.
fn cleaned(text: &str) -> String {
    let is_around = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
            || "\"'`“”„‘’‚«»".contains(c)
    };
    text.trim_matches(is_around).to_owned()
}

/// The secret in a text: the word itself, or the value of `CLIENT_SECRET=…` or of a JSON object's `client_secret`.
fn word(text: &str, from: &str) -> Result<Secret> {
    let names_a_secret = |key: &str| key.to_ascii_lowercase().contains("secret");
    let mut found = Zeroizing::new(cleaned(text));
    if found.starts_with('{') {
        let object: Value = serde_json::from_str(&found).unwrap_or_default();
        let value = object.as_object().and_then(|object| {
            object.iter().find_map(|(key, value)| names_a_secret(key).then(|| value.as_str()).flatten())
        });
        let value = value.ok_or_else(|| refused(from, "it contains JSON without a client_secret"))?;
        found = Zeroizing::new(cleaned(value));
    } else if let Some((key, value)) = found.split_once('=')
        && names_a_secret(key)
        // A word that ends in `=` may be base64 (RFC 4648 section 4), and not an assignment without a value.
        && !cleaned(value).trim_matches('=').is_empty()
    {
        found = Zeroizing::new(cleaned(value));
    }
    if found.is_empty() || found.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(refused(from, "it does not contain exactly one word"));
    }
    Ok(Secret::new(found.to_string()))
}

/// The error if the file cannot be read at all.
fn unreadable(from: &str, cause: &io::Error) -> Error {
    let hint = match cause.kind() {
        io::ErrorKind::NotFound => {
            "There is no such file. Save the client secret there, or give another path with --client-secret-file or BBDL_CLIENT_SECRET_FILE."
        }
        io::ErrorKind::IsADirectory => {
            "This is a directory. Give the file in it with --client-secret-file or BBDL_CLIENT_SECRET_FILE."
        }
        io::ErrorKind::PermissionDenied => "Check who owns the file and whether you may read it.",
        _ => "Check the path given with --client-secret-file or BBDL_CLIENT_SECRET_FILE.",
    };
    Error::new(ErrorKind::ClientSecret, format!("{from}: {}", in_words(cause))).hint(hint)
}

fn refused(from: &str, why: &str) -> Error {
    Error::new(ErrorKind::ClientSecret, format!("{from}: {why}"))
        .hint("It must contain the client secret and nothing else.")
}

/// Proves id and secret at the token endpoint with a made-up code. The server checks them before the code, so
/// `invalid_grant` means that both are right. After the consent it would be too late, because by then the consent has
/// ended the log-in that worked.
pub(super) async fn prove(client: &Client, plan: &Plan, redirect: &str) -> Result<()> {
    const LENGTH: usize = 30;
    let code = random_word()?;
    let code = Secret::new(code.expose().chars().take(LENGTH).collect());
    let verifier = PkceCodeVerifier::new(random_word()?.expose().to_owned());
    let attempt = Attempt { redirect_uri: redirect.to_owned(), verifier };
    let answer = token_endpoint::exchange(client, &plan.app, &code, &attempt).await;
    match answer {
        Ok(_) => Ok(()),
        Err(TokenFailure::Refused(refusal))
            if refusal.status == 400
                && matches!(refusal.error.as_str(), "invalid_grant" | "invalid_request" | "invalid_scope") =>
        {
            Ok(())
        }
        Err(failure) => Err(failure.into_error(Asked::Exchange, &plan.login())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "SECRET";

    #[test]
    fn a_secret_is_found_in_whatever_an_editor_saved() {
        let utf16 = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
            mark.iter().copied().chain("SECRET\r\n".encode_utf16().flat_map(unit)).collect::<Vec<u8>>()
        };
        for bytes in [
            b"SECRET".to_vec(),
            b"  SECRET \r\n\r\n".to_vec(),
            b"\xef\xbb\xbfSECRET\n".to_vec(),
            b"\"SECRET\"\n".to_vec(),
            b"'SECRET'".to_vec(),
            "\u{201c}SECRET\u{201d}".as_bytes().to_vec(),
            "\u{a0}SECRET\u{200b}".as_bytes().to_vec(),
            b"CLIENT_SECRET=SECRET\n".to_vec(),
            b"export BBDL_CLIENT_SECRET='SECRET'".to_vec(),
            br#"{"client_id": "x", "client_secret": "SECRET"}"#.to_vec(),
            utf16(&[0xff, 0xfe], u16::to_le_bytes),
            utf16(&[0xfe, 0xff], u16::to_be_bytes),
            utf16(&[], u16::to_le_bytes),
            utf16(&[], u16::to_be_bytes),
        ] {
            let text = decoded(&bytes).unwrap();
            assert!(word(&text, "here").unwrap().matches(SECRET), "{bytes:?}");
        }
    }

    #[test]
    fn a_secret_that_is_not_one_word_is_refused() {
        for text in ["", " \n", "\"\"", "two words", "{}", r#"{"id": 1}"#, "{ broken"] {
            assert_eq!(word(text, "here").unwrap_err().kind, ErrorKind::ClientSecret, "{text}");
        }
        assert!(decoded(&[0x80, 0x81, 0x82]).is_none());
        // A secret may end in what looks like an assignment without a value.
        assert!(word("mysecret==", "here").unwrap().matches("mysecret=="));
        assert!(word("abc=def", "here").unwrap().matches("abc=def"));
    }
}
