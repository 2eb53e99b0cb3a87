//! The rows of earlier pulls. The manifest keeps the newest ones; `pulls.ndjson` beside it has the older ones, in
//! order.
//!
//! One commit puts both files in place, so a crash between them can neither lose a row nor duplicate one.

use std::{collections::HashSet, io, path::Path};

use serde::Deserialize;

use super::manifest::{Manifest, OLDER_PULLS, PullRow};
use crate::{
    error::{Error, ErrorKind, Result},
    files::{durable, private_file},
};

/// How many rows the manifest keeps. The limit keeps it small, because every pull reads and writes it.
const KEPT: usize = 100;

/// What identifies a row.
#[derive(Debug, PartialEq, Eq, Hash, Deserialize)]
struct RowKey {
    id: String,
    resource: String,
}

impl RowKey {
    fn of(row: &PullRow) -> Self {
        Self { id: row.id.clone(), resource: row.resource.clone() }
    }
}

/// The older rows of the archive at `dir`, as text; empty where there are none.
fn text(dir: &Path) -> Result<String> {
    let path = dir.join(OLDER_PULLS);
    match private_file::read(&path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(cause) => Err(Error::disk("read", &path, &cause)),
    }
}

/// Moves all rows but the newest out of the manifest, to the file at `staged`, after the older rows that the archive
/// at `dir` already has. Returns whether there were any to move.
///
/// Does not add a row twice: an earlier manifest may have been restored from a backup.
///
/// # Errors
/// [`crate::error::Exit::Disk`].
pub(super) fn shorten(manifest: &mut Manifest, dir: &Path, staged: &Path) -> Result<bool> {
    let Some(surplus) = manifest.pulls.len().checked_sub(KEPT).filter(|surplus| *surplus > 0) else {
        return Ok(false);
    };
    let mut text = text(dir)?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let known: HashSet<RowKey> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for row in manifest.pulls.drain(..surplus).filter(|row| !known.contains(&RowKey::of(row))) {
        let line = serde_json::to_string(&row)
            .map_err(|cause| Error::new(ErrorKind::Defect, format!("a row of a pull cannot be written: {cause}")))?;
        text.push_str(&line);
        text.push('\n');
    }
    durable::write_private(staged, text.as_bytes()).map_err(|cause| Error::disk("write", staged, &cause))?;
    Ok(true)
}

/// The newest rows of a resource type, newest first, and at most `most` of them. Reads older rows only if the
/// manifest has too few. Leaves out a line that is not a row: `verify` reports it.
///
/// # Errors
/// [`crate::error::Exit::Disk`].
pub(crate) fn newest_of(dir: &Path, manifest: &Manifest, resource: &str, most: usize) -> Result<Vec<PullRow>> {
    let wanted = |row: &&PullRow| row.resource == resource;
    let mut rows: Vec<PullRow> = manifest.pulls.iter().rev().filter(wanted).take(most).cloned().collect();
    if rows.len() < most {
        let text = text(dir)?;
        let older = text.lines().rev().filter_map(row).filter(|row| wanted(&row));
        rows.extend(older.take(most - rows.len()));
    }
    Ok(rows)
}

fn row(line: &str) -> Option<PullRow> {
    serde_json::from_str(line).ok().filter(PullRow::stays_inside)
}

/// What is wrong with the older rows, as text.
///
/// # Errors
/// [`crate::error::Exit::Disk`].
pub(super) fn problems(dir: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let text = text(dir)?;
    let bad = text.lines().filter(|line| row(line).is_none()).count();
    let mut seen: HashSet<RowKey> = manifest.pulls.iter().map(RowKey::of).collect();
    let doubled = text.lines().filter_map(row).filter(|row| !seen.insert(RowKey::of(row))).count();
    let mut problems = Vec::new();
    if bad > 0 {
        problems.push(format!("{OLDER_PULLS}: {bad} lines that are not a pull"));
    }
    if doubled > 0 {
        problems.push(format!("{OLDER_PULLS}: {doubled} pulls listed twice"));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::archive::{
        commit::{self, Commit, STAGE},
        manifest::{FILE, Mode, Source},
    };

    fn pull(number: usize) -> PullRow {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let resource = if number.is_multiple_of(3) { "Patient" } else { "ExplanationOfBenefit" };
        PullRow {
            id: format!("{number:06}-20260101T000000Z"),
            resource: resource.to_owned(),
            mode: Mode::Incremental,
            started: at,
            finished: at,
            added: number as u64,
            updated: 0,
            unchanged: 0,
            removed: 0,
            requests: 1,
            bytes: 1,
            changes: None,
        }
    }

    fn manifest(rows: std::ops::Range<usize>) -> Manifest {
        let source = Source {
            server: "http://127.0.0.1:1".parse().unwrap(),
            api: crate::api_version::ApiVersion::V2,
            patient: None,
        };
        Manifest { pulls: rows.map(pull).collect(), ..Manifest::new(source) }
    }

    /// The numbers of all rows, those of the older file first.
    fn all(dir: &Path) -> Vec<u64> {
        let older = fs::read_to_string(dir.join(OLDER_PULLS)).unwrap_or_default();
        let older = older.lines().map(|line| serde_json::from_str::<PullRow>(line).unwrap().added);
        let kept = Manifest::load(dir).unwrap().unwrap().pulls.into_iter().map(|row| row.added);
        older.chain(kept).collect()
    }

    #[test]
    fn an_interrupted_commit_neither_loses_nor_duplicates_rows() {
        for moves in 0..=2 {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path();
            fs::write(dir.join(FILE), manifest(0..394).to_text().unwrap()).unwrap();
            for night in 394..398 {
                let mut now = Manifest::load(dir).unwrap().unwrap();
                now.pulls.push(pull(night));
                let stage = |name: &str| Path::new(STAGE).join(name);
                let mut commit = Commit::default();
                assert!(shorten(&mut now, dir, &dir.join(stage(OLDER_PULLS))).unwrap());
                commit.add(stage(OLDER_PULLS), OLDER_PULLS.into());
                durable::write_private(&dir.join(stage(FILE)), now.to_text().unwrap().as_bytes()).unwrap();
                commit.add(stage(FILE), FILE.into());
                // The note is written and some renames are done; then the process dies.
                durable::write_private(&dir.join(commit::NOTE), &serde_json::to_vec(&commit).unwrap()).unwrap();
                for name in [OLDER_PULLS, FILE].iter().take(moves) {
                    fs::rename(dir.join(stage(name)), dir.join(name)).unwrap();
                }
                commit::finish_or_clear(dir).unwrap();
                assert_eq!(all(dir), (0..=night as u64).collect::<Vec<_>>(), "{moves}");
                assert_eq!(Manifest::load(dir).unwrap().unwrap().pulls.len(), KEPT);
                assert_eq!(problems(dir, &now).unwrap(), Vec::<String>::new());
            }
        }
    }

    #[test]
    fn a_restored_manifest_does_not_duplicate_rows() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(!shorten(&mut manifest(0..100), dir, &dir.join("x")).unwrap() && !dir.join("x").exists());
        let write = |rows: std::ops::Range<usize>| {
            let mut manifest = manifest(rows);
            shorten(&mut manifest, dir, &dir.join(OLDER_PULLS)).unwrap();
            fs::write(dir.join(FILE), manifest.to_text().unwrap()).unwrap();
        };
        write(0..150);
        write(20..180);
        assert_eq!(all(dir), (0..180).collect::<Vec<_>>());
        // A last line without a line break must not become part of the next one.
        let older = fs::read_to_string(dir.join(OLDER_PULLS)).unwrap();
        fs::write(dir.join(OLDER_PULLS), older.trim_end()).unwrap();
        write(80..181);
        assert_eq!(all(dir), (0..181).collect::<Vec<_>>());
    }

    #[test]
    fn a_resource_that_was_pulled_long_ago_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let mut manifest = manifest(0..300);
        for row in &mut manifest.pulls[200..] {
            row.resource = "Coverage".to_owned();
        }
        shorten(&mut manifest, dir, &dir.join(OLDER_PULLS)).unwrap();
        let numbers = |resource, most| {
            let rows = newest_of(dir, &manifest, resource, most).unwrap();
            rows.into_iter().map(|row| row.added).collect::<Vec<_>>()
        };
        assert_eq!(numbers("Coverage", 2), [299, 298]);
        assert_eq!(numbers("Patient", 3), [198, 195, 192]);
        assert!(numbers("UserInfo", 2).is_empty());
    }

    #[test]
    fn damage_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let line = |row: &PullRow| serde_json::to_string(row).unwrap();
        let elsewhere = PullRow { changes: Some("../elsewhere".to_owned()), ..pull(1) };
        let lines = [line(&pull(0)), "{".to_owned(), line(&elsewhere), line(&pull(0)), line(&pull(5))];
        fs::write(dir.join(OLDER_PULLS), lines.join("\n")).unwrap();
        let found = problems(dir, &manifest(5..7)).unwrap();
        assert_eq!(found, ["pulls.ndjson: 2 lines that are not a pull", "pulls.ndjson: 2 pulls listed twice"]);
    }
}
