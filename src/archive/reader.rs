//! Reads a file of the archive for the report and the exports. What was read counts only if it matches the manifest.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    Archive, OWN, commit, has_unfinished_commit,
    id_hash::{IdHash, id_hash},
    lines::{Lines, hex_digest},
    manifest::{self, Entry, Manifest},
};
use crate::{
    error::{Error, ErrorKind, NAME_ANOTHER, Result},
    files::path_text::typed,
    files::place,
    files::private_file::{self, Intruder},
    spelling,
};

/// A file with one resource per line, held open. If a pull puts another file in its place, this one still reads the
/// old one.
pub(crate) struct ResourceReader {
    path: PathBuf,
    file: File,
    entry: Entry,
    manifest: Manifest,
}

impl ResourceReader {
    /// Opens the file of a resource type. Finishes an interrupted commit first.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] if there is no archive, if it has no such resource, or if the file has another
    /// size than the manifest says; [`crate::error::Exit::TryAgain`] while another `bbdl` puts its files in place;
    /// [`crate::error::Exit::Disk`].
    pub(crate) fn open(dir: &Path, resource: &str) -> Result<Self> {
        loop {
            if has_unfinished_commit(dir) {
                drop(Archive::open(dir)?);
            }
            let none = || none(dir);
            let manifest = Manifest::load(dir)?.ok_or_else(none)?;
            let entry = manifest.resources.get(resource).ok_or_else(none)?.clone();
            let path = dir.join(&entry.file);
            let opened = private_file::open(&path);
            // The note of a commit is there from before the first rename until after that of the manifest.
            if has_unfinished_commit(dir) || Manifest::load(dir)?.as_ref() != Some(&manifest) {
                continue;
            }
            let file = opened.map_err(|cause| match cause.kind() {
                std::io::ErrorKind::NotFound => damaged(&path, "it is missing"),
                _ if Intruder::of(&cause).is_some() => damaged(&path, &cause.to_string()),
                _ => Error::disk("read", &path, &cause),
            })?;
            let bytes = file.metadata().map_err(|cause| Error::disk("read", &path, &cause))?.len();
            if bytes != entry.bytes {
                return Err(damaged(&path, &format!("{bytes} bytes, but the manifest says {}", entry.bytes)));
            }
            return Ok(Self { path, file, entry, manifest });
        }
    }

    /// The manifest that the file belongs to.
    #[must_use]
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the file is.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `each` for the lines, numbered from 1, with one in memory at a time. The result counts only if this
    /// returns no error: checksum and count are checked at the end.
    ///
    /// # Errors
    /// Errors of `each`; [`crate::error::Exit::Data`] if the file is not what the manifest says;
    /// [`crate::error::Exit::Disk`].
    pub(crate) fn each(&mut self, mut each: impl FnMut(u64, &str) -> Result<()>) -> Result<()> {
        let path = &self.path;
        self.file.seek(SeekFrom::Start(0)).map_err(|cause| Error::disk("read", path, &cause))?;
        let (mut hash, mut count) = (Sha256::new(), 0);
        let mut lines = Lines::of(&self.file, path);
        while let Some((number, line)) = lines.next()? {
            hash.update(&*line);
            count = number;
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let text = std::str::from_utf8(text).map_err(|_| damaged(path, &format!("line {number}: not UTF-8")))?;
            each(number, text)?;
        }
        if hex_digest(hash) != self.entry.sha256 {
            return Err(damaged(path, "its checksum differs from the manifest"));
        }
        if count != self.entry.count {
            return Err(damaged(path, &format!("{count} resources, but the manifest says {}", self.entry.count)));
        }
        Ok(())
    }
}

/// The whole text of a small file of the archive: Patient, Coverage, UserInfo or InsuranceCard. `None` if the archive
/// has no such file.
///
/// # Errors
/// The errors of [`ResourceReader::open`], and [`crate::error::Exit::Data`] if the file is not what the manifest
/// says.
pub(crate) fn whole(dir: &Path, resource: &str) -> Result<Option<String>> {
    if Manifest::load(dir)?.is_none_or(|manifest| !manifest.resources.contains_key(resource)) {
        return Ok(None);
    }
    let ResourceReader { path, mut file, entry, .. } = ResourceReader::open(dir, resource)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::InvalidData => damaged(&path, "not UTF-8"),
        _ => Error::disk("read", &path, &cause),
    })?;
    if hex_digest(Sha256::new().chain_update(&text)) != entry.sha256 {
        return Err(damaged(&path, "its checksum differs from the manifest"));
    }
    Ok(Some(text))
}

/// The ids seen so far, sixteen bytes each.
#[derive(Default)]
pub(crate) struct Ids(Vec<IdHash>);

impl Ids {
    /// Notes an id. Resources without an id are not told apart.
    pub(crate) fn note(&mut self, id: &str) {
        if !id.is_empty() {
            self.0.push(id_hash(id));
        }
    }

    /// Refuses a file that contains an id twice.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`].
    pub(crate) fn are_single(mut self, path: &Path) -> Result<()> {
        self.0.sort_unstable();
        let doubled = self.0.windows(2).filter(|pair| pair[0] == pair[1]).count();
        if doubled == 0 { Ok(()) } else { Err(damaged(path, &format!("ids that occur twice: {doubled}"))) }
    }
}

/// The error for a file of the archive that is not as a pull wrote it. Nothing is made from such a file.
#[must_use]
pub(crate) fn damaged(path: &Path, why: &str) -> Error {
    let dir = typed(path.parent().unwrap_or(path));
    Error::new(ErrorKind::Archive, format!("{} is damaged: {why}", path.display()))
        .hint(format!("Nothing was written. To see what to do: bbdl verify {dir}"))
}

fn none(dir: &Path) -> Error {
    let what = match dir.metadata() {
        Ok(metadata) if metadata.is_file() => "is a file, not an archive's directory",
        Ok(_) if lacks_its_manifest(dir) => WITHOUT_MANIFEST,
        Ok(_) => "has no claims",
        Err(_) => "does not exist",
    };
    Error::new(ErrorKind::NoClaims, format!("{} {what}", dir.display())).hint(nearest(dir))
}

/// The files of records that a pull can bring.
const RECORDS: [&str; 5] =
    ["ExplanationOfBenefit.ndjson", "Patient.ndjson", "Coverage.ndjson", "UserInfo.json", "InsuranceCard.json"];

/// What to say about a directory for which [`lacks_its_manifest`] is true.
pub(crate) const WITHOUT_MANIFEST: &str = "has the files of an archive, but its manifest.json is missing";

/// Whether the files of a pull are here, but their manifest is not.
#[must_use]
pub(crate) fn lacks_its_manifest(dir: &Path) -> bool {
    RECORDS
        .iter()
        .chain(&[manifest::OLDER_PULLS, "changes"])
        .any(|name| std::fs::symlink_metadata(dir.join(name)).is_ok())
        && std::fs::symlink_metadata(dir.join(manifest::FILE)).is_err()
        && !super::has_unfinished_commit(dir)
}

/// What to suggest instead of a directory that is not an archive (of claims): the archive around it, the archives
/// inside it, or one beside it with a similar name.
#[must_use]
pub(crate) fn nearest(dir: &Path) -> String {
    const MANY: usize = 3;
    let is_archive = |dir: &Path| matches!(Manifest::load(dir), Ok(Some(_)));
    let archives_in = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| is_archive(path)).collect();
        found.sort();
        found
    };
    let fetch = || format!("Fetch claims first: bbdl fetch eob --out {}", typed(dir));
    if is_archive(dir) {
        return format!("It is an archive without claims. Fetch claims into it: bbdl fetch eob --out {}", typed(dir));
    }
    if lacks_its_manifest(dir) {
        return format!(
            "Restore manifest.json from a backup, or download everything into a new directory, such as {}",
            typed(&place::free_beside(dir))
        );
    }
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    if let Some(above) = whole.ancestors().skip(1).take(3).find(|above| is_archive(above)) {
        return format!("Give the archive's own directory: {}", typed(above));
    }
    let inside = archives_in(dir);
    if !inside.is_empty() {
        let names: Vec<_> = inside.iter().take(MANY).map(|path| typed(path)).collect();
        let more = if inside.len() > MANY { ", …" } else { "" };
        return format!("Give one of the archives in it: {}{more}", names.join(", "));
    }
    if super::has_unfinished_first_pull(dir) {
        return format!("Its first pull has not finished. Continue it: bbdl fetch eob --out {}", typed(dir));
    }
    // The path exists, so it was not mistyped.
    if let Ok(there) = std::fs::symlink_metadata(dir) {
        let is_empty = there.is_dir() && std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        return if is_empty {
            fetch()
        } else {
            "Give the directory of an archive: the one that you named in --out when you fetched.".to_owned()
        };
    }
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let wanted = name(&whole);
    let beside = dir.parent().map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    let known = beside.map(archives_in).unwrap_or_default();
    match spelling::nearest(&wanted, known, |path| name(path)) {
        Some(path) => format!("Did you mean {}?", typed(path.strip_prefix(".").unwrap_or(&path))),
        None => fetch(),
    }
}

/// Refuses an output path that is one of the archive's own files, or among files that come and go with them. Other
/// paths in the archive's directory are fine: `verify` and `purge` ignore them.
///
/// # Errors
/// [`crate::error::Exit::Usage`].
pub(crate) fn refuse_own(output: &Path) -> Result<()> {
    let whole = std::path::absolute(output).unwrap_or_else(|_| output.to_owned());
    // Follows all links. The part that does not exist yet keeps its name.
    let there = whole.ancestors().skip(1).find_map(|part| Some((std::fs::canonicalize(part).ok()?, part)));
    let whole = there.and_then(|(real, part)| Some(real.join(whole.strip_prefix(part).ok()?))).unwrap_or(whole);
    for dir in whole.ancestors().skip(1) {
        let files = match Manifest::load(dir) {
            Ok(Some(manifest)) => manifest.resources,
            // The first pull has not finished yet.
            Ok(None) if super::has_unfinished_first_pull(dir) => BTreeMap::new(),
            _ => continue,
        };
        let below = whole.strip_prefix(dir).ok().and_then(|below| below.components().next());
        // Compares as a file system that ignores case does.
        let first = below.map(|first| first.as_os_str().to_string_lossy().to_lowercase()).unwrap_or_default();
        let mut files = files.values().map(|entry| entry.file.to_lowercase());
        let is_own = [manifest::FILE, manifest::OLDER_PULLS, "changes", commit::PAGES, OWN].contains(&first.as_str())
            // Resource types that a later pull may add.
            || RECORDS.iter().any(|name| name.to_lowercase() == first)
            || files.any(|file| file == first);
        if is_own {
            return Err(Error::usage(format!("{} belongs to the archive {}", output.display(), dir.display()))
                .hint(NAME_ANOTHER));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::error::Exit;
    use std::fs;

    use super::*;
    use crate::archive::manifest::Source;

    fn archive(dir: &Path, text: &str) {
        fs::create_dir_all(dir).unwrap();
        let mut manifest = Manifest::new(Source {
            server: "http://127.0.0.1:1".parse().unwrap(),
            api: crate::api_version::ApiVersion::V2,
            patient: None,
        });
        let entry = Entry {
            file: "ExplanationOfBenefit.ndjson".into(),
            count: text.lines().count() as u64,
            bytes: text.len() as u64,
            sha256: hex_digest(Sha256::new().chain_update(text)),
            query: Vec::new(),
            cursor: None,
            server_total: None,
        };
        fs::write(dir.join(&entry.file), text).unwrap();
        manifest.resources.insert("ExplanationOfBenefit".into(), entry);
        fs::write(dir.join(manifest::FILE), manifest.to_text().unwrap()).unwrap();
    }

    #[test]
    fn lines_are_read_and_a_changed_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        archive(dir.path(), "{\"a\":1}\n{\"ä\":2}\n");
        let mut reading = ResourceReader::open(dir.path(), "ExplanationOfBenefit").unwrap();
        // It can be read any number of times.
        for _ in 0..2 {
            let mut found = Vec::new();
            let each = |number, text: &str| {
                found.push((number, text.to_owned()));
                Ok(())
            };
            reading.each(each).unwrap();
            assert_eq!(found, [(1, "{\"a\":1}".to_owned()), (2, "{\"ä\":2}".to_owned())]);
        }
        let file = dir.path().join("ExplanationOfBenefit.ndjson");
        fs::write(&file, "{\"a\":1}\n{\"ä\":3}\n").unwrap();
        let mut changed = ResourceReader::open(dir.path(), "ExplanationOfBenefit").unwrap();
        assert_eq!(changed.each(|_, _| Ok(())).unwrap_err().exit(), Exit::Data);
        fs::write(&file, "{}\n").unwrap();
        assert!(ResourceReader::open(dir.path(), "ExplanationOfBenefit").is_err());
    }

    #[test]
    fn duplicate_ids_are_refused() {
        let mut ids = Ids::default();
        for id in ["a", "b", "", ""] {
            ids.note(id);
        }
        ids.note("a");
        assert!(ids.are_single(Path::new("x")).unwrap_err().message.contains("ids that occur twice: 1"));
    }

    #[test]
    fn a_mistyped_archive_name_gets_a_suggestion() {
        let home = tempfile::tempdir().unwrap();
        archive(&home.path().join("all/claims"), "{}\n");
        archive(&home.path().join("all/dad"), "{}\n");
        archive(&home.path().join("my claims"), "{}\n");
        fs::create_dir(home.path().join("all/claimz")).unwrap();
        archive(&home.path().join("all/claimx"), "{}\n");
        fs::write(home.path().join("notes.txt"), "notes").unwrap();
        fs::remove_file(home.path().join("all/claimx/manifest.json")).unwrap();
        assert!(none(&home.path().join("all/claimx")).message.contains("manifest.json is missing"));
        for (typed, words) in [
            ("all/claim", "Did you mean "),
            ("all/bob", "Fetch claims first"),
            ("all/claims/pages", "own directory: "),
            ("my claims/pages", "/my claims'"),
            ("my claim", "/my claims'?"),
            (".", "/my claims'"),
            ("all/claims/manifest.json", "own directory: "),
            ("all", "archives in it: "),
            ("nowhere", "Fetch claims first"),
            ("all/claimz", "Fetch claims first"),
            ("all/claimx", "Restore manifest.json"),
            ("all/claimx", "claimx-2"),
            ("notes.txt", "Give the directory of an archive"),
        ] {
            let hint = nearest(&home.path().join(typed)).replace('\\', "/");
            assert!(hint.contains(words), "{typed}: {hint}");
        }
    }

    #[test]
    fn an_archives_own_files_cannot_be_an_output() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("claims");
        archive(&dir, "{}\n");
        for own in [
            "manifest.json",
            "pulls.ndjson",
            "ExplanationOfBenefit.ndjson",
            "Patient.ndjson",
            ".bbdl/x.html",
            "changes/a",
            "PAGES/x",
        ] {
            assert_eq!(refuse_own(&dir.join(own)).unwrap_err().exit(), Exit::Usage, "{own}");
        }
        assert!(refuse_own(&dir.join("../claims/pages/../manifest.json")).is_err());
        let begun = home.path().join("begun");
        fs::create_dir_all(begun.join(OWN)).unwrap();
        fs::write(crate::archive::lock::path(&begun), "").unwrap();
        assert!(refuse_own(&begun.join("Patient.ndjson")).is_err());
        refuse_own(&begun.join("report.html")).unwrap();
        for beside in ["report.html", "tables/claims.csv", "../x.html"] {
            refuse_own(&dir.join(beside)).unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&dir, home.path().join("link")).unwrap();
            assert!(refuse_own(&home.path().join("link/manifest.json")).is_err());
        }
    }
}
