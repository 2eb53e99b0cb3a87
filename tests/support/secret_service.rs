//! A Secret Service of the test's own: a private D-Bus, a private gnome-keyring, a home of their own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test helper: what goes wrong here fails the test")]

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a session needs, and the Debian packages it is in.
const TOOLS: [(&str, &str); 3] =
    [("dbus-run-session", "dbus-daemon"), ("gnome-keyring-daemon", "gnome-keyring"), ("timeout", "coreutils")];

/// Runs the daemon with the arguments in `$1` (words), its password on stdin, then becomes the program.
/// The daemon goes away by itself when its bus does, which is when the program ends.
const IN_SESSION: &str = r#"
printf %s "$BBDL_TEST_KEYRING_PASSWORD" | gnome-keyring-daemon $1 --components=secrets >/dev/null || exit 97
shift
exec "$@"
"#;

/// Runs `program` in a D-Bus session with a gnome-keyring that is unlocked or, with `unlocked` false, has
/// a login collection that nobody can unlock: there is no display to ask on. `env` is added to a fresh
/// environment; `HOME` and the XDG directories are in a directory that is removed afterwards, as are
/// all processes. To run several commands in one session, let `program` be `sh`.
///
/// `None` where the tools are missing, after saying so; with `CI=true` that is a failure.
pub(crate) fn run_in_session(
    unlocked: bool,
    program: impl AsRef<OsStr>,
    args: &[&str],
    env: &[(&str, &str)],
) -> Option<Output> {
    if let Some((tool, package)) = TOOLS.iter().find(|(tool, _)| !is_installed(tool)) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{tool} (package {package}) is missing");
        writeln!(io::stderr(), "SKIPPED: {tool} is not installed (apt-get install {package})").unwrap();
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

fn is_installed(tool: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(tool).is_file())
}
