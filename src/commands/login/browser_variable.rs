//! `BROWSER` on Windows and macOS, where the system itself does not use it.
//!
//! As on other systems, it is a list of commands, and the first one that can be started is the browser. `%s` stands
//! for the address, `%%` for `%`. A command without `%s` gets the address as its last argument.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// The separator between commands. Windows has `:` in its paths.
const SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };

/// Starts the first command that can be started. Does not wait for it, because some browsers run until their window
/// is closed.
pub(super) fn start(list: &str, url: &str) -> bool {
    commands(list, SEPARATOR, url, |path| Path::new(path).is_file()).into_iter().any(|(program, arguments)| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().is_ok()
    })
}

/// The programs in a list, with their arguments. If `is_file` says that a whole entry is a file, it is one program,
/// even with blanks in it. Other paths with blanks need double quotes.
fn commands(list: &str, separator: char, url: &str, is_file: impl Fn(&str) -> bool) -> Vec<(String, Vec<String>)> {
    let entries = list.split(separator).map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .filter_map(|entry| {
            if is_file(entry) {
                return Some((entry.to_owned(), vec![url.to_owned()]));
            }
            let mut words = words(entry).into_iter();
            let program = words.next()?;
            let mut has_url = false;
            let mut arguments: Vec<String> = words.map(|word| filled_in(&word, url, &mut has_url)).collect();
            if !has_url {
                arguments.push(url.to_owned());
            }
            Some((program, arguments))
        })
        .collect()
}

/// The words of a command, separated by blanks that are not in double quotes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// A word with the address instead of `%s`.
fn filled_in(word: &str, url: &str, has_url: &mut bool) -> String {
    let mut parts = word.split("%%");
    let mut fill = |part: &str| {
        *has_url |= part.contains("%s");
        part.replace("%s", url)
    };
    let first = fill(parts.next().unwrap_or_default());
    parts.fold(first, |filled, part| filled + "%" + &fill(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://example.org/?a=1&b=%20";

    fn read(list: &str, separator: char) -> Vec<Vec<String>> {
        let is_file = |path: &str| path == r"C:\Program Files\Mozilla Firefox\firefox.exe";
        let all = commands(list, separator, URL, is_file).into_iter();
        all.map(|(program, arguments)| [vec![program], arguments].concat()).collect()
    }

    #[test]
    fn commands_get_the_address_once() {
        assert_eq!(read("curl -sSLo NUL", ';'), [["curl", "-sSLo", "NUL", URL]]);
        assert_eq!(read("open -a Safari %s:firefox", ':'), [vec!["open", "-a", "Safari", URL], vec!["firefox", URL]]);
        assert_eq!(read("x --url=%s --share=100%%", ';'), [["x", &format!("--url={URL}"), "--share=100%"]]);
        assert_eq!(read("x %%s", ';'), [["x", "%s", URL]]);
    }

    #[test]
    fn a_path_with_blanks_is_one_program() {
        let firefox = r"C:\Program Files\Mozilla Firefox\firefox.exe";
        assert_eq!(read(firefox, ';'), [[firefox, URL]]);
        let private = format!("\"{firefox}\" -private-window");
        assert_eq!(
            read(&format!(";{private}; chrome"), ';'),
            [vec![firefox, "-private-window", URL], vec!["chrome", URL]]
        );
        assert!(read(" ; ;\"\"", ';').is_empty());
    }
}
