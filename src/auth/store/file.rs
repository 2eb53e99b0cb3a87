//! One file per profile that only its owner can read: for machines without a keyring, and only if a person chose it.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::{
    StoreError, StoreKind, TokenStore, check_name,
    next_record::{self, NextRecord},
};
use crate::{
    files::{
        batch::{self, NewFile},
        durable, private_dir,
        private_file::{self, Intruder},
        replace,
    },
    secret::Secret,
};

/// The directory for the records of a large home. Each one is in one of 256 subdirectories, by the first byte of the
/// SHA-256 of its name.
const BY_NAME: &str = "by-name";
/// How many records may be in one directory. Directories with many more are slow on some file systems.
const MOST_TOGETHER: usize = 4096;

/// `DIR/<profile>.json`, or `DIR/by-name/XX/<profile>.json` for new records in a large home. The mode is 0600, in a
/// directory of mode 0700. On Windows, the file has the permissions of the directory: in a user's profile, those are
/// that user and the administrators.
#[derive(Clone, Debug)]
pub(crate) struct FileStore {
    dir: PathBuf,
}

/// Where the newest record is.
enum Newest {
    /// At its final path, if there is one.
    InPlace(Option<Secret>),
    /// Beside that path ([`next_record`]).
    Beside(Secret),
}

impl FileStore {
    /// A record has some kilobytes. bbdl did not write a larger one.
    const LARGEST: u64 = 1 << 20;

    /// Keeps its files in `dir`, which is created when the first record is saved.
    #[must_use]
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Where the record of a profile is or will be. A record that is in `DIR` stays there.
    fn path(&self, profile: &str) -> Result<PathBuf, StoreError> {
        check_name(profile)?;
        let file = format!("{profile}.json");
        let together = self.dir.join(&file);
        // A record whose metadata cannot be read also counts as there.
        let is_there = |path: &Path| {
            fs::symlink_metadata(path).map_or_else(|cause| cause.kind() != io::ErrorKind::NotFound, |_| true)
        };
        let by_name = self.dir.join(BY_NAME);
        if is_there(&together) || is_there(&next_record::path_for(&together)) || !by_name.is_dir() {
            return Ok(together);
        }
        let first_byte = Sha256::digest(profile.as_bytes())[0];
        Ok(by_name.join(format!("{first_byte:02x}")).join(file))
    }

    /// The directories that have records.
    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        let by_name = self.dir.join(BY_NAME);
        let parts = (0..=u8::MAX).map(move |byte| by_name.join(format!("{byte:02x}")));
        std::iter::once(self.dir.clone()).chain(parts.filter(|dir| dir.is_dir()))
    }

    /// Removes what killed processes have left while writing.
    pub(crate) fn sweep(&self) {
        self.directories().for_each(|dir| durable::clear_temporaries(&dir, durable::ABANDONED));
    }
}

impl FileStore {
    /// Reads the file at `path`. Refuses a file that group or others can read or write, as ssh does with a private
    /// key; a file that another user could have put there; and anything but a regular file, so also a link.
    fn read(&self, path: &Path) -> Result<Option<Secret>, StoreError> {
        let io = |source| StoreError::Io { path: path.to_owned(), source };
        let damaged = |what: &str| StoreError::Damaged { what: format!("{} {what}", path.display()) };
        let file = match private_file::open(path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => {
                return Err(Intruder::of(&cause)
                    .map_or_else(|| io(cause), |intruder| damaged(&format!("is not used: {intruder}"))));
            }
        };
        let metadata = file.metadata().map_err(io)?;
        refuse_what_is_open_to_others(path, &metadata)?;
        for dir in [&*self.dir, directory_of(path)] {
            let directory = fs::metadata(dir).map_err(io)?;
            refuse_what_others_can_put_there(dir, path, &directory, &metadata)?;
        }
        if metadata.len() > Self::LARGEST {
            return Err(damaged("is too large"));
        }
        // Allocated at its full size, because a growing vector would leave copies behind.
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
        if let Err(error) = file.take(Self::LARGEST).read_to_end(&mut bytes) {
            bytes.zeroize();
            return Err(io(error));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(damaged("is not text"))
            }
        }
    }

    /// The newest record: the one at `path`, or the one beside it. Reads the one beside it first. If that is renamed
    /// between the two reads, the second read finds it.
    ///
    /// # Errors
    /// The errors of [`Self::read`]. Also if the disk cannot read what is beside it, which may be the newest record.
    fn newest(&self, path: &Path) -> Result<Newest, StoreError> {
        let next = match self.read(&next_record::path_for(path)) {
            Err(error @ StoreError::Io { .. }) => return Err(error),
            // If anything else is wrong with it, it does not count.
            read => read.ok().flatten(),
        };
        let present = self.read(path);
        let is_newer = |next: &Secret| match &present {
            Ok(Some(present)) => next_record::is_newer(next, present),
            // There is something, but it is not a record.
            Err(StoreError::Damaged { .. }) => next_record::is_newer(next, &Secret::new(String::new())),
            // What was deleted does not come back, and a refused file stays refused.
            Ok(None) | Err(_) => false,
        };
        match next.filter(is_newer) {
            Some(next) => Ok(Newest::Beside(next)),
            None => present.map(Newest::InPlace),
        }
    }

    /// Refuses a directory that group or others may enter, list or write to: they could replace the record with their
    /// own file.
    fn refuse_open_directory(&self) -> Result<(), StoreError> {
        match fs::metadata(&self.dir) {
            Ok(metadata) => refuse_what_is_open_to_others(&self.dir, &metadata),
            Err(_) => Ok(()),
        }
    }
}

impl TokenStore for FileStore {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        Ok(match self.newest(&self.path(profile)?)? {
            Newest::Beside(record) => Some(record),
            Newest::InPlace(record) => record,
        })
    }

    /// Removes an older record beside it last: it belongs to an older log-in, or was renewed less often.
    fn save(&self, profile: &str, record: &Secret) -> Result<(), StoreError> {
        let path = self.path(profile)?;
        self.refuse_open_directory()?;
        match durable::write_secret(&path, record.expose().as_bytes()) {
            Ok(()) => {
                let _ = fs::remove_file(next_record::path_for(&path));
                Ok(())
            }
            // A new log-in comes only once. It stays beside the old file until that can be replaced.
            Err(cause) if replace::is_held(&cause) => match self.read(&path)? {
                Some(present) => next_record::keep_beside(&path, &present, record),
                None => Err(cause),
            }
            .map_err(|source| StoreError::Io { path, source }),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    fn prepare(&self, profile: &str, present: &Secret) -> Result<Option<NextRecord>, StoreError> {
        let path = self.path(profile)?;
        self.refuse_open_directory()?;
        if let Newest::Beside(_) = self.newest(&path)? {
            // This is the only copy of the newest record. Move it to its place before anything is written here.
            next_record::adopt(&next_record::path_for(&path), &path)
                .map_err(|source| StoreError::Io { path: path.clone(), source })?;
        }
        let dir = directory_of(&path);
        private_dir::create(dir).map_err(|source| StoreError::Io { path: dir.to_owned(), source })?;
        NextRecord::prepare(&path, present).map(Some)
    }

    /// Syncs all of them together.
    fn save_many(&self, records: &[(&str, &Secret)]) -> Vec<Result<(), StoreError>> {
        let usable = self.refuse_open_directory().and_then(|()| {
            private_dir::create(&self.dir).map_err(|source| StoreError::Io { path: self.dir.clone(), source })
        });
        if usable.is_err() {
            // Each result says why it failed.
            return records.iter().map(|(profile, record)| self.save(profile, record)).collect();
        }
        let places: Vec<_> = records.iter().map(|(profile, _)| self.path(profile)).collect();
        let files: Vec<NewFile<'_>> = places
            .iter()
            .zip(records)
            .filter_map(|(place, (_, record))| {
                Some(NewFile { place: place.as_ref().ok()?.clone(), bytes: record.expose().as_bytes() })
            })
            .collect();
        let mut written = batch::write(&self.dir, &files, true).into_iter();
        places
            .into_iter()
            .map(|place| {
                let path = place?;
                let beside = next_record::path_for(&path);
                written.next().unwrap_or(Ok(())).map_err(|source| StoreError::Io { path, source })?;
                let _ = fs::remove_file(beside);
                Ok(())
            })
            .collect()
    }

    fn make_room(&self, records: usize) {
        if records > MOST_TOGETHER {
            // If it cannot be created, saving reports why.
            let _ = private_dir::create(&self.dir.join(BY_NAME));
        }
    }

    fn delete(&self, profile: &str) -> Result<bool, StoreError> {
        let path = self.path(profile)?;
        let removed = |path: &Path| match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StoreError::Io { path: path.to_owned(), source }),
        };
        // The second file goes first. If only the first were deleted, nothing would look for the second one.
        let beside = removed(&next_record::path_for(&path))?;
        let was_there = removed(&path)?;
        if beside || was_there {
            durable::sync_dir(directory_of(&path)).map_err(|source| StoreError::Io { path: path.clone(), source })?;
        }
        Ok(was_there)
    }

    fn kind(&self) -> StoreKind {
        StoreKind::File
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// For a file, `metadata` is that of the open file, because its name may point to another file by then.
fn refuse_what_is_open_to_others(path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
        if mode & 0o077 != 0 {
            return Err(StoreError::Permissions { path: path.to_owned(), mode });
        }
    }
    #[cfg(not(unix))]
    let _ = (path, metadata);
    Ok(())
}

/// Others must not be able to replace files in the directory, and the file must belong to the directory's owner. That
/// need not be the user of this process: root in a container reads the tokens of a mounted home. And without root, no
/// one can enter another user's private directory anyway.
fn refuse_what_others_can_put_there(
    dir: &Path,
    path: &Path,
    directory: &fs::Metadata,
    file: &fs::Metadata,
) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let mode = directory.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(StoreError::Permissions { path: dir.to_owned(), mode });
        }
        if file.uid() != directory.uid() {
            return Err(StoreError::ForeignOwner { path: path.to_owned(), owner: file.uid() });
        }
    }
    #[cfg(not(unix))]
    let _ = (dir, path, directory, file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn loaded(store: &FileStore, profile: &str) -> Option<String> {
        store.load(profile).unwrap().map(|record| record.expose().to_owned())
    }

    #[test]
    fn a_saved_record_is_loaded_until_it_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("tokens"));
        assert_eq!(loaded(&store, "mom"), None);
        assert!(!store.delete("mom").unwrap());
        store.save("mom", &secret("one")).unwrap();
        store.save("dad", &secret("two")).unwrap();
        store.save("mom", &secret("three")).unwrap();
        assert_eq!(loaded(&store, "mom").as_deref(), Some("three"));
        assert!(store.delete("mom").unwrap());
        assert_eq!(loaded(&store, "mom"), None);
        assert_eq!(loaded(&store, "dad").as_deref(), Some("two"));
    }

    fn renewed(times: u64) -> Secret {
        secret(&format!("{{\"version\":1,\"log_in\":7,\"renewals\":{times}}}"))
    }

    #[test]
    fn a_pending_renewal_is_found_at_once_and_then_moved_into_place() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("tokens"));
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(dir.path().join("tokens")).unwrap().map(|it| it.unwrap().file_name()).collect();
            names.sort();
            names
        };
        store.save("mom", &renewed(0)).unwrap();
        let mut next = store.prepare("mom", &renewed(0)).unwrap().unwrap();
        assert_eq!(names(), ["mom.json", "mom.next"]);
        assert_eq!(store.load("mom").unwrap().unwrap().expose(), renewed(0).expose());
        next.store(&renewed(1)).unwrap();
        // A process that is killed here leaves this.
        assert!(loaded(&store, "mom").unwrap().starts_with(renewed(1).expose()));
        // The next renewal does not overwrite the only copy.
        drop(next);
        let next = store.prepare("mom", &renewed(1)).unwrap().unwrap();
        assert!(!next.after_a_loss());
        assert!(loaded(&store, "mom").unwrap().starts_with(renewed(1).expose()));
        drop(next);
        let mut next = store.prepare("mom", &renewed(1)).unwrap().unwrap();
        assert!(next.after_a_loss(), "a place that nothing was written to");
        next.store(&renewed(2)).unwrap();
        next.adopt();
        assert_eq!(names(), ["mom.json"]);
        assert_eq!(loaded(&store, "mom").unwrap(), renewed(2).expose());
        store.prepare("mom", &renewed(2)).unwrap().unwrap().forget();
        assert_eq!(names(), ["mom.json"]);
    }

    #[test]
    fn a_new_log_in_and_a_deletion_remove_the_pending_renewal() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("tokens"));
        let beside = dir.path().join("tokens/mom.next");
        for end in ["log in", "delete", "delete by 0.1.0"] {
            store.save("mom", &renewed(0)).unwrap();
            store.prepare("mom", &renewed(0)).unwrap().unwrap().store(&renewed(1)).unwrap();
            assert!(beside.exists());
            match end {
                "log in" => {
                    store.save("mom", &secret("{\"version\":1,\"log_in\":8}")).unwrap();
                    assert!(loaded(&store, "mom").unwrap().contains('8'));
                }
                "delete" => assert!(store.delete("mom").unwrap()),
                _ => {
                    fs::remove_file(dir.path().join("tokens/mom.json")).unwrap();
                    assert_eq!(loaded(&store, "mom"), None);
                    assert!(!store.delete("mom").unwrap());
                }
            }
            assert!(!beside.exists(), "{end}");
        }
    }

    #[test]
    fn a_profile_name_cannot_lead_out_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("tokens"));
        assert!(matches!(store.save("../mom", &secret("x")), Err(StoreError::ProfileName { .. })));
        assert!(matches!(store.load("../mom"), Err(StoreError::ProfileName { .. })));
        assert!(matches!(store.delete(".mom"), Err(StoreError::ProfileName { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_record_that_is_not_text_is_damaged_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().to_owned());
        durable::write_private(&dir.path().join("mom.json"), b"hush\xff").unwrap();
        let error = store.load("mom").unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }));
        assert!(!format!("{error} {error:?}").contains("hush"));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_and_a_file_open_to_others_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("tokens"));
        let path = dir.path().join("tokens/mom.json");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        store.save("mom", &secret("hush")).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&dir.path().join("tokens")), 0o700);
        for open in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            let error = store.load("mom").unwrap_err();
            assert!(matches!(error, StoreError::Permissions { mode, .. } if mode == open), "{error:?}");
            assert!(error.hint().contains("chmod 600"));
        }
        let dir = dir.path().join("tokens");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let error = store.save("mom", &secret("hush")).unwrap_err();
        assert!(matches!(error, StoreError::Permissions { mode: 0o755, .. }), "{error:?}");
        assert!(error.hint().contains("chmod 700"), "{}", error.hint());
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        // Saving again makes the file private again.
        store.save("mom", &secret("hush")).unwrap();
        assert_eq!(loaded(&store, "mom").as_deref(), Some("hush"));
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_write_to_is_not_loaded_from() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("tokens"));
        let tokens = dir.path().join("tokens");
        store.save("mom", &secret("hush")).unwrap();
        for open in [0o720, 0o702, 0o1777] {
            fs::set_permissions(&tokens, fs::Permissions::from_mode(open)).unwrap();
            let error = store.load("mom").unwrap_err();
            assert!(matches!(&error, StoreError::Permissions { path, .. } if *path == tokens), "{error:?}");
            assert!(error.hint().contains("chmod 700"), "{}", error.hint());
        }
        // Others may list it, but cannot put anything there.
        fs::set_permissions(&tokens, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(loaded(&store, "mom").as_deref(), Some("hush"));
    }

    /// Without root, `/` and our file have different owners. With root, a file that was given away does.
    #[cfg(unix)]
    #[test]
    fn a_file_of_another_owner_than_its_directory_is_refused() {
        use std::os::unix::fs::{MetadataExt, chown};

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens/mom.json");
        let store = FileStore::new(dir.path().join("tokens"));
        store.save("mom", &secret("hush")).unwrap();
        let ours = fs::metadata(&path).unwrap();
        let error = if ours.uid() == 0 {
            chown(&path, Some(65_534), None).unwrap();
            store.load("mom").unwrap_err()
        } else {
            refuse_what_others_can_put_there(Path::new("/"), &path, &fs::metadata("/").unwrap(), &ours).unwrap_err()
        };
        assert!(matches!(error, StoreError::ForeignOwner { .. }), "{error:?}");
        assert!(error.hint().contains(": rm ") && !format!("{error} {error:?}").contains("hush"));
    }

    #[cfg(unix)]
    #[test]
    fn a_token_path_that_is_no_plain_file_is_refused_until_the_next_save() {
        use std::{process::Command, sync::mpsc, thread, time::Duration};

        let dir = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (dir.path().join("tokens/mom.json"), dir.path().join("elsewhere"));
        let store = FileStore::new(dir.path().join("tokens"));
        private_dir::create(&dir.path().join("tokens")).unwrap();
        durable::write_private(&elsewhere, b"hush").unwrap();
        let links: [&dyn Fn(); 3] = [
            &|| std::os::unix::fs::symlink(&elsewhere, &path).unwrap(),
            &|| std::os::unix::fs::symlink("nowhere", &path).unwrap(),
            &|| assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success()),
        ];
        for make in links {
            make();
            let (answer, waiting) = mpsc::channel();
            let asked = store.clone();
            // In a thread: a load that waits for the pipe's writer must fail this test and not hang it.
            thread::spawn(move || answer.send(asked.load("mom").map(|_| ())));
            let error = waiting.recv_timeout(Duration::from_secs(10)).unwrap().unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
            store.save("mom", &secret("anew")).unwrap();
            assert_eq!(loaded(&store, "mom").as_deref(), Some("anew"));
            assert_eq!(fs::read(&elsewhere).unwrap(), b"hush");
            fs::remove_file(&path).unwrap();
        }
    }
}
