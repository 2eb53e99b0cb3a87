//! `manifest.json`, from a disk that others may write to: it names no file outside the archive, and means the same
//! after it is written again.

#![no_main]

use std::path::{Component, Path};

use bbdl::archive::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(manifest) = Manifest::parse(text) else { return };
    let changes = manifest.pulls.iter().filter_map(|row| row.changes.as_deref());
    for file in manifest.resources.values().map(|entry| entry.file.as_str()).chain(changes) {
        let parts: Vec<_> = Path::new(file).components().collect();
        assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))), "{file:?}");
        assert!(matches!(parts.len(), 1 | 2), "{file:?}");
    }
    assert_eq!(Manifest::parse(manifest.to_text().unwrap().as_bytes()).ok().as_ref(), Some(&manifest));
    let _ = Manifest::next_pull_id(Some(&manifest), "2026-11-29T10:00:00Z".parse().expect("an instant"));
});
