//! A Secret Service of the test's own: a private D-Bus, a private gnome-keyring, a home of their own.

#![cfg(target_os = "linux")]

use std::{
    ffi::OsStr,
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Starts the daemon with the option in `$1` and its password on stdin, waits until it has its name on
/// the bus (a program that came first would have the bus start a second daemon, and a daemon that finds
/// the bus gone would stay for ever), runs the program, and ends the daemon.
const IN_SESSION: &str = r#"
printf %s "$BBDL_TEST_KEYRING_PASSWORD" | gnome-keyring-daemon "$1" --foreground --components=secrets >/dev/null &
daemon=$!
shift
until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
    string:org.freedesktop.secrets | grep -q 'boolean true'
do
    kill -0 "$daemon" || exit 97
    sleep 0.02
done
"$@"
status=$?
kill "$daemon"
wait "$daemon"
exit "$status"
"#;

/// Runs `program` in a D-Bus session with a gnome-keyring that is unlocked or, with `unlocked` false, has
/// a login collection that nobody can unlock: there is no display to ask on. `env` is added to a fresh
/// environment; `HOME` and the XDG directories are in a directory that is removed afterwards, as are
/// all processes. To run several commands in one session, let `program` be `sh`.
///
/// `None` where the tools are missing, after saying so; with `CI=true` that is a failure.
pub fn run_in_session(
    unlocked: bool,
    program: impl AsRef<OsStr>,
    args: &[&str],
    env: &[(&str, &str)],
) -> Option<Output> {
    let tools = ["dbus-run-session", "dbus-send", "gnome-keyring-daemon", "timeout"];
    if !tools.into_iter().all(super::has_program) {
        return None;
    }
    let home = tempfile::Builder::new().prefix("bbdl-keyring-").tempdir().unwrap();
    if !unlocked {
        // The first session makes the login collection; the second one finds it locked.
        let made = session(home.path(), "--unlock", "true".as_ref(), &[], &[]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let start = if unlocked { "--unlock" } else { "--start" };
    Some(session(home.path(), start, program.as_ref(), args, env))
}

fn session(home: &Path, start: &str, program: &OsStr, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new("timeout");
    // Nothing here takes seconds; a session that hangs must fail the test, not the whole run.
    command.args(["--kill-after=5", "60", "dbus-run-session", "--", "sh", "-c", IN_SESSION, "sh", start]);
    command.arg(program).args(args).env_clear().stdin(Stdio::null());
    for kept in ["PATH", "CI", "CARGO_MANIFEST_DIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command.env("HOME", home).env("BBDL_TEST_KEYRING_PASSWORD", "a test's password");
    for name in ["XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "TMPDIR"] {
        let dir = home.join(name);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).unwrap();
        command.env(name, dir);
    }
    let output = command.envs(env.iter().copied()).output().unwrap();
    wait_until_gone(home);
    output
}

/// Waits until no process has the session's directory in its environment: the daemon notices the end of
/// its bus a moment after the program's own end, and must not write into a directory being removed.
fn wait_until_gone(home: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let marker = format!("HOME={}\0", home.display());
    let lives = |process: &Path| {
        // Ended processes, and those of other people, cannot be read.
        std::fs::read(process.join("environ"))
            .is_ok_and(|environ| environ.windows(marker.len()).any(|window| window == marker.as_bytes()))
    };
    loop {
        let left: Vec<_> = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).collect();
        let left: Vec<_> = left.into_iter().filter(|process| lives(process)).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left running: {left:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
