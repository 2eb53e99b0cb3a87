//! What some tests need and not every machine has. A test that misses something is ignored, not passed, and the end
//! of the run says what to install. With `BBDL_REQUIRE=tools,shared,root,system`, a missing thing is a failure.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// What can be missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// A program, by the Debian package that has it.
    Package(&'static str),
    /// Something else to install.
    Tool(&'static str),
    /// The recorded payloads of the real server, which are not public.
    Shared,
    /// Something that only root may do.
    Root(&'static str),
    /// Something that the system, its container or its file system does not allow.
    System(&'static str),
}

/// Programs whose Debian package has another name.
const PACKAGES: &[(&str, &str)] = &[
    ("cc", "gcc"),
    ("chromedriver", "chromium-driver"),
    ("dbus-run-session", "dbus-daemon"),
    ("dbus-send", "dbus-bin"),
    ("gnome-keyring-daemon", "gnome-keyring"),
    ("gpg", "gnupg"),
    ("node", "nodejs"),
    ("pgrep", "procps"),
    ("script", "bsdutils"),
    ("secret-tool", "libsecret-tools"),
    ("setsid", "util-linux"),
    ("systemd-analyze", "systemd"),
];

impl Need {
    /// The word for it in `BBDL_REQUIRE`.
    fn word(&self) -> &'static str {
        match self {
            Self::Package(_) | Self::Tool(_) => "tools",
            Self::Shared => "shared",
            Self::Root(_) => "root",
            Self::System(_) => "system",
        }
    }

    fn package(&self) -> Option<&'static str> {
        if let Self::Package(package) = self { Some(package) } else { None }
    }

    fn describe(&self) -> String {
        match self {
            Self::Package(package) => format!("apt install {package}"),
            Self::Tool(what) => (*what).to_owned(),
            Self::Shared => "the recorded payloads in ../shared, which are not public".to_owned(),
            Self::Root(what) => format!("to run as root, who may {what}"),
            Self::System(what) => format!("a system that lets it {what}"),
        }
    }
}

thread_local! {
    /// What the test in this thread has missed.
    static MISSED: RefCell<Vec<Need>> = const { RefCell::new(Vec::new()) };
}

/// How many tests have missed it.
static IGNORED: Mutex<BTreeMap<Vec<Need>, usize>> = Mutex::new(BTreeMap::new());

fn miss(need: Need) {
    let required = std::env::var("BBDL_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|word| word.trim() == need.word());
    assert!(!is_required, "BBDL_REQUIRE={required} demands this: {}", need.describe());
    MISSED.with_borrow_mut(|missed| missed.push(need));
}

/// Whether all of these programs are there.
pub fn has_programs(names: &[&'static str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_there(name)).collect();
    for name in &missing {
        let known = PACKAGES.iter().find(|(program, _)| program == name);
        miss(Need::Package(known.map_or(*name, |(_, package)| package)));
    }
    missing.is_empty()
}

/// Notes that a Debian package is missing. Its programs are not in the PATH.
pub fn package(name: &'static str) {
    miss(Need::Package(name));
}

/// The value of an environment variable; `what` tells a person what to set it to.
pub fn variable(name: &str, what: &'static str) -> Option<OsString> {
    let value = std::env::var_os(name);
    if value.is_none() {
        miss(Need::Tool(what));
    }
    value
}

/// The recorded payloads, if they are available.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    miss(Need::Shared);
    None
}

/// Whether the tests run as root. Windows has no root.
pub fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    false
}

/// Notes that only root may do what this test needs.
pub fn root_to(what: &'static str) {
    miss(Need::Root(what));
}

/// Notes that the system does not allow what this test needs.
pub fn system_to(what: &'static str) {
    miss(Need::System(what));
}

/// What the test in this thread has missed, as text. Also counts it.
pub fn missed() -> Option<String> {
    let mut missed = MISSED.take();
    missed.sort();
    missed.dedup();
    if missed.is_empty() {
        return None;
    }
    let words: Vec<String> = missed.iter().map(Need::describe).collect();
    *IGNORED.lock().unwrap_or_else(PoisonError::into_inner).entry(missed).or_default() += 1;
    Some(format!("needs {}", words.join("; ")))
}

/// Prints at the end how many tests were ignored and what they need.
pub fn print_summary() {
    let ignored = IGNORED.lock().unwrap_or_else(PoisonError::into_inner);
    if ignored.is_empty() {
        return;
    }
    let needs: BTreeSet<&Need> = ignored.keys().flatten().collect();
    let packages: Vec<&str> = needs.iter().filter_map(|need| need.package()).collect();
    let others = needs.iter().filter(|need| need.package().is_none()).map(|need| need.describe());
    let mut text = match ignored.values().sum::<usize>() {
        1 => "1 test was ignored. It needs:\n".to_owned(),
        number => format!("{number} tests were ignored. They need:\n"),
    };
    if !packages.is_empty() {
        text += &format!("  - apt install {}\n", packages.join(" "));
    }
    text.extend(others.map(|other| format!("  - {other}\n")));
    let _ = std::io::stdout().write_all(text.as_bytes());
}
