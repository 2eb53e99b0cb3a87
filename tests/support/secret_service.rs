//! A real Secret Service for one command: a separate D-Bus session and gnome-keyring.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// The state of the keyring when the command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// Unlocked, as after a log-in to a desktop.
    Unlocked,
    /// It has a login collection, but no one has unlocked it.
    Locked,
}

/// Runs a shell script in its own session, with its own home. Everything that it started ends with it.
///
/// The script can use `$BBDL` for the binary.
pub fn run(keyring: Keyring, home: &Path, script: &str, environment: &[(&str, &str)]) -> Output {
    let lock = if keyring == Keyring::Locked { "each kill\nuntil ! owned; do sleep 0.05; done\n" } else { "" };
    let script = format!("{TOOLS}\n{UNLOCK}\n{lock}(\n{script}\n)\nstatus=$?\neach kill -KILL\nexit $status\n");
    let mut command = Command::new("dbus-run-session");
    command
        .args(["--", "bash", "-c", &script])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("BBDL", env!("CARGO_BIN_EXE_bbdl"))
        .env("BBDL_HOME", home.join("bbdl"))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    super::finished(command)
}

/// `owned`: whether the Secret Service answers on this session's bus. `each COMMAND…`: runs a command for each daemon
/// of this session. Those are the daemons with our D-Bus address.
const TOOLS: &str = r#"
owned() {
  dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
    string:org.freedesktop.secrets 2>/dev/null | grep -q 'boolean true'
}
each() {
  for process in $(pgrep -x gnome-keyring-d); do
    if tr '\0' '\n' 2>/dev/null < /proc/$process/environ | grep -qxF "DBUS_SESSION_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS"; then
      "$@" $process
    fi
  done 2>/dev/null
}
export -f each
"#;

/// Creates the login collection with a password, unlocked. The daemon answers when this is done.
const UNLOCK: &str = "printf pass | gnome-keyring-daemon --unlock --components=secrets > /dev/null 2>&1\n\
                      until owned; do sleep 0.05; done";

/// Whether a Secret Service can be started here.
pub fn is_available() -> bool {
    super::has_programs(&["dbus-run-session", "dbus-send", "gnome-keyring-daemon", "bash", "pgrep"])
}
