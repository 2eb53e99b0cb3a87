//! A real Secret Service for one command: a D-Bus session and a gnome-keyring of its own.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// How the keyring is when the command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// Unlocked, as after a log-in to a desktop.
    Unlocked,
    /// There, with a login collection that nobody has unlocked.
    Locked,
}

/// Runs a shell script in a session of its own, with its own home; whatever it started ends with it.
///
/// The script can use `$BBDL` for the binary.
pub fn run(keyring: Keyring, home: &Path, script: &str, environment: &[(&str, &str)]) -> Output {
    let unlock = "printf pass | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1";
    let begin = match keyring {
        Keyring::Unlocked => format!("{unlock}\n"),
        // Made with a password by one daemon, met without it by the next.
        Keyring::Locked => format!(
            "{unlock}\nsecret-tool store --label=x a b <<< x 2>/dev/null\n\
             pkill -x -f 'gnome-keyring-daemon --unlock --components=secrets' -s 0 2>/dev/null\n\
             gnome-keyring-daemon --replace --components=secrets >/dev/null 2>&1\n"
        ),
    };
    // The daemon puts itself in the background; the session's end takes it along.
    let script = format!("{begin}{script}\nstatus=$?\n{END}\nexit $status\n");
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

/// Ends the daemons of this session: those whose D-Bus address is ours.
const END: &str = r#"for process in $(pgrep -x gnome-keyring-d); do
  if tr '\0' '\n' < /proc/$process/environ 2>/dev/null | grep -qxF "DBUS_SESSION_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS"; then
    kill $process 2>/dev/null
  fi
done"#;

/// Whether a Secret Service can be started here.
pub fn is_available() -> bool {
    ["dbus-run-session", "gnome-keyring-daemon", "bash", "pgrep"].iter().all(|name| super::has_program(name))
}
