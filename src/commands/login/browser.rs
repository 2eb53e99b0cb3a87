//! Opens the person's browser from a separate process, which knows none of our secrets.
//!
//! A browser inherits the environment of the process that starts it, and passes it on to every program that it
//! starts. So `bbdl` starts itself again without its variables, and that process opens the browser.

use std::{process::Command, thread};

use super::browser_variable;
use crate::{error::Exit, output::Output};

/// The only argument of that process.
pub(crate) const OPENER: &str = "__open-browser";
/// The variable with the URL to open.
const URL: &str = "BBDL_OPEN_URL";

/// Opens a URL for the person. Uses a thread, because some systems wait for the browser to end.
pub(super) fn open(output: &Output, url: String) {
    let output = output.clone();
    thread::spawn(move || {
        if !opened(&url) {
            output.say("No browser could be opened here; open the address above yourself.");
        }
    });
}

pub(in crate::commands) fn opened(url: &str) -> bool {
    let Ok(program) = std::env::current_exe() else { return false };
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        // The client secret, and all other variables of bbdl: a token store's command may contain a password.
        if name.as_encoded_bytes().starts_with(b"BBDL_") {
            command.env_remove(name);
        }
    }
    command.arg(OPENER).env(URL, url);
    command.status().is_ok_and(|status| status.success())
}

/// Opens the browser in that process.
#[must_use]
pub(crate) fn open_and_exit() -> Exit {
    let Ok(url) = std::env::var(URL) else { return Exit::Usage };
    // On other systems, the crate below reads the variable and knows browsers that need the terminal.
    let named = std::env::var("BROWSER").unwrap_or_default();
    if cfg!(any(windows, target_os = "macos")) && browser_variable::start(&named, &url) {
        return Exit::Done;
    }
    let mut options = webbrowser::BrowserOptions::new();
    options.with_suppress_output(true);
    match webbrowser::open_browser_with_options(webbrowser::Browser::Default, &url, &options) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::NotSetUp,
    }
}
