//! Puts a pull in place: first a note of what goes where, then the renames.
//!
//! The old archive becomes the new one at the moment when the note (`.bbdl/commit.json`) is written. By then, all
//! files that it names are on the disk. Each rename can be repeated safely, so the next `bbdl` that finds a note
//! finishes the work.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{OWN, journal::PARTIAL};
use crate::{
    error::{Error, ErrorKind, Result},
    files::{durable, private_dir, private_file, replace},
};

/// Where a pull writes its files before they are put in place.
pub(super) const STAGE: &str = ".bbdl/stage";
/// Where Bundles are kept exactly as the server sent them.
pub(super) const PAGES: &str = "pages";
pub(super) const NOTE: &str = ".bbdl/commit.json";

/// The renames of one commit, in order, paths relative to the archive.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Commit {
    moves: Vec<Move>,
    /// Directories that the new archive no longer has.
    #[serde(default)]
    removals: Vec<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Move {
    from: PathBuf,
    to: PathBuf,
}

impl Commit {
    /// Moves `from` to `to`. A directory that is already there is replaced as a whole.
    pub(super) fn add(&mut self, from: PathBuf, to: PathBuf) {
        self.moves.push(Move { from, to });
    }

    /// Removes the directory at `path`, if there is one.
    pub(super) fn remove(&mut self, path: PathBuf) {
        self.removals.push(path);
    }

    /// Carries out the commit. The content of everything staged must be synced already. Returns whether the file
    /// system can sync directories to the disk.
    pub(super) fn perform(&self, dir: &Path) -> Result<bool> {
        if let Some(only) = self.only_file(dir) {
            // One rename needs no note: before it the archive is the old one, after it the new one.
            let to = dir.join(&only.to);
            replace::rename(&dir.join(&only.from), &to).map_err(|cause| Error::disk("write", &to, &cause))?;
            let syncs = durable::can_sync_dir(dir).map_err(|cause| Error::disk("sync", dir, &cause))?;
            clear_stage(dir)?;
            return Ok(syncs);
        }
        // Once the note is there, the files that it names must be there too.
        for staged in [STAGE, PARTIAL, OWN].map(|name| dir.join(name)).iter().filter(|dir| dir.exists()) {
            durable::sync_dir(staged).map_err(|cause| Error::disk("sync", staged, &cause))?;
        }
        let note = dir.join(NOTE);
        let text = serde_json::to_vec(self)
            .map_err(|cause| Error::new(ErrorKind::Defect, format!("a commit cannot be noted: {cause}")))?;
        durable::write_private(&note, &text).map_err(|cause| Error::disk("write", &note, &cause))?;
        self.carry_out(dir)
    }

    /// The only step, if it is the rename of a file in the archive's own directory: such a pull brought nothing new.
    fn only_file(&self, dir: &Path) -> Option<&Move> {
        let [only] = &self.moves[..] else { return None };
        let is_there = only.to.components().count() == 1 && !dir.join(&only.to).is_dir();
        Some(only).filter(|_| is_there && self.removals.is_empty())
    }

    fn carry_out(&self, dir: &Path) -> Result<bool> {
        // Waits before the first step, so that readers see the whole old archive until then.
        let places: Vec<PathBuf> = self.moves.iter().map(|step| dir.join(&step.to)).filter(|to| to.is_file()).collect();
        replace::wait_for(places.iter().map(PathBuf::as_path))
            .map_err(|(place, cause)| Error::disk("write", place, &cause))?;
        let mut touched = BTreeSet::from([dir.to_owned()]);
        for step in &self.moves {
            let (from, to) = (dir.join(&step.from), dir.join(&step.to));
            // If it is not there, an earlier run has moved it already.
            if !from.try_exists().map_err(|cause| Error::disk("read", &from, &cause))? {
                continue;
            }
            if let Some(parent) = to.parent() {
                private_dir::create(parent).map_err(|cause| Error::disk("create", parent, &cause))?;
                touched.insert(parent.to_owned());
            }
            if to.is_dir() {
                fs::remove_dir_all(&to).map_err(|cause| Error::disk("replace", &to, &cause))?;
            }
            replace::rename(&from, &to).map_err(|cause| Error::disk("write", &to, &cause))?;
        }
        for path in &self.removals {
            remove_dir(&dir.join(path))?;
        }
        let mut syncs = true;
        for path in touched {
            syncs &= durable::can_sync_dir(&path).map_err(|cause| Error::disk("sync", &path, &cause))?;
        }
        let note = dir.join(NOTE);
        fs::remove_file(&note).map_err(|cause| Error::disk("remove", &note, &cause))?;
        clear_stage(dir)?;
        // A note that came back would move what a later pull has begun to write.
        let own = dir.join(OWN);
        durable::sync_dir(&own).map_err(|cause| Error::disk("sync", &own, &cause))?;
        Ok(syncs)
    }

    /// Whether every path stays inside the archive. Others may be able to write to the disk that the note is read
    /// from.
    fn is_inside(&self) -> bool {
        let plain = |path: &Path| {
            !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
        };
        let is_ours = |path: &Path| path.starts_with(STAGE) || path.starts_with(PARTIAL);
        self.moves.iter().all(|step| plain(&step.from) && plain(&step.to) && is_ours(&step.from))
            && self.removals.iter().all(|path| plain(path) && path.starts_with(PAGES))
    }
}

/// Finishes a commit that was cut short, or clears away what a pull without a commit left.
pub(super) fn finish_or_clear(dir: &Path) -> Result<()> {
    let note = dir.join(NOTE);
    // We hold the lock. So an unfinished note comes from a dead process, and so does a file that was renamed so that
    // it could be removed, as on Windows.
    for left in [OWN, PARTIAL] {
        durable::clear_temporaries(&dir.join(left), Duration::ZERO);
    }
    let text = match private_file::read(&note) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return clear_stage(dir),
        Err(cause) => return Err(Error::disk("read", &note, &cause)),
    };
    match serde_json::from_slice::<Commit>(&text) {
        Ok(commit) if commit.is_inside() => commit.carry_out(dir).map(drop),
        _ => Err(Error::new(ErrorKind::Archive, format!("{} is damaged", note.display()))
            .hint("Nothing was changed. Restore the archive from a backup, or fetch into a new directory.")),
    }
}

fn clear_stage(dir: &Path) -> Result<()> {
    remove_dir(&dir.join(STAGE))
}

fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::disk("clear", path, &cause)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn staged(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = Path::new(STAGE).join(name);
        fs::create_dir_all(dir.join(&path).parent().unwrap()).unwrap();
        fs::write(dir.join(&path), text).unwrap();
        path
    }

    #[test]
    fn a_commit_cut_short_anywhere_is_finished_by_the_next_opening() {
        for done_before_the_cut in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path();
            fs::write(dir.join("a"), "old").unwrap();
            fs::create_dir_all(dir.join("pages")).unwrap();
            fs::write(dir.join("pages/0001"), "old").unwrap();
            let mut commit = Commit::default();
            commit.add(staged(dir, "a", "new"), "a".into());
            staged(dir, "pages/0002", "new");
            commit.add(Path::new(STAGE).join("pages"), "pages".into());
            commit.add(staged(dir, "manifest", "new"), "manifest".into());
            fs::create_dir_all(dir.join("pages/Patient")).unwrap();
            commit.remove("pages/Patient".into());
            durable::write_private(&dir.join(NOTE), &serde_json::to_vec(&commit).unwrap()).unwrap();
            for step in commit.moves.iter().take(done_before_the_cut) {
                let to = dir.join(&step.to);
                if to.is_dir() {
                    fs::remove_dir_all(&to).unwrap();
                }
                fs::rename(dir.join(&step.from), to).unwrap();
            }
            finish_or_clear(dir).unwrap();
            assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "new");
            assert_eq!(fs::read_to_string(dir.join("manifest")).unwrap(), "new");
            assert!(dir.join("pages/0002").exists() && !dir.join("pages/0001").exists());
            assert!(!dir.join("pages/Patient").exists());
            assert!(!dir.join(NOTE).exists() && !dir.join(STAGE).exists());
        }
    }

    #[test]
    fn staged_files_without_a_commit_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "old").unwrap();
        staged(dir.path(), "a", "half of new");
        fs::create_dir(dir.path().join(PARTIAL)).unwrap();
        let half_a_note = dir.path().join(".bbdl/.bbdl-abcdef.tmp");
        let on_its_way_out = dir.path().join(".bbdl/partial/.bbdl-abcdef.tmp");
        fs::write(&half_a_note, "{").unwrap();
        fs::write(&on_its_way_out, "{").unwrap();
        finish_or_clear(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "old");
        assert!(!dir.path().join(STAGE).exists() && !half_a_note.exists() && !on_its_way_out.exists());
    }

    #[test]
    fn a_commit_note_with_a_path_outside_the_archive_is_refused() {
        let obedient = ".bbdl/stage/x";
        for (from, to, removal) in [
            ("../x", "a", "pages/x"),
            (obedient, "../a", "pages/x"),
            ("/etc/x", "a", "pages/x"),
            ("manifest.json", "a", "pages/x"),
            (obedient, "a", "../x"),
            (obedient, "a", "manifest.json"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join(".bbdl")).unwrap();
            let note = serde_json::json!({"moves": [{"from": from, "to": to}], "removals": [removal]});
            fs::write(dir.path().join(NOTE), note.to_string()).unwrap();
            assert_eq!(finish_or_clear(dir.path()).unwrap_err().exit(), Exit::Data, "{from} {to} {removal}");
        }
    }
}
