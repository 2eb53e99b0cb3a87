//! What the real server was recorded to send. It is not public: a checkout without it leaves these tests out.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// A folder of recorded payloads. `BBDL_REQUIRE=shared` makes it a failure that there is none.
pub(crate) fn recorded(version: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(version);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("BBDL_REQUIRE").unwrap_or_default();
    assert!(!required.contains("shared"), "BBDL_REQUIRE={required} demands {}", folder.display());
    // The harness hides what `eprintln!` says in a test that passes.
    let _ = writeln!(std::io::stderr(), "ignored: a test needs the recorded payloads in ../shared/data/{version}");
    None
}
