//! Recorded answers of the real server. They are not public: a checkout without them skips these tests.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// A folder of recorded payloads. With `BBDL_REQUIRE=shared`, a missing folder is a failure.
pub(crate) fn recorded(version: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(version);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("BBDL_REQUIRE").unwrap_or_default();
    assert!(!required.contains("shared"), "BBDL_REQUIRE={required} demands {}", folder.display());
    // In a test that passes, the harness hides the output of `eprintln!`.
    let _ = writeln!(std::io::stderr(), "ignored: a test needs the recorded payloads in ../shared/data/{version}");
    None
}
