//! Whether an archive is what its manifest says: read once, one line in memory at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    hash::{BuildHasher, RandomState},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    index::each_line,
    key::key,
    lines::hex,
    manifest::{Entry, Manifest},
    numbers::Numbers,
    tree,
};
use crate::{
    error::{Error, ErrorKind, Result},
    fhir::resource::Header,
    path_text::typed,
    private_dir,
    private_file::{self, Intruder},
};

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether there are no problems.
    pub ok: bool,
    /// By resource type.
    pub resources: BTreeMap<String, Findings>,
    /// Each in a sentence, without anything of a resource's content.
    pub problems: Vec<String>,
    /// Which kind of failure it is; nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// What to type against it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    #[serde(skip)]
    damaged: bool,
    #[serde(skip)]
    held: bool,
    /// What others may use, relative to the archive.
    #[serde(skip)]
    exposed: Vec<PathBuf>,
}

impl Report {
    /// What is wrong, the worst of it first: who reads "damaged" has to act, whoever else may read the file.
    #[must_use]
    pub fn failure(&self) -> Option<ErrorKind> {
        match self {
            Self { damaged: true, .. } => Some(ErrorKind::Archive),
            Self { held: true, .. } => Some(ErrorKind::InUse),
            Self { exposed, .. } if !exposed.is_empty() => Some(ErrorKind::Exposed),
            _ => None,
        }
    }

    /// Leaves out what others may use, on a file system where nothing can be done about it.
    pub fn forgive_exposure(&mut self) {
        let exposed = std::mem::take(&mut self.exposed).len();
        self.problems.truncate(self.problems.len() - exposed);
        self.ok = self.problems.is_empty();
        self.kind = self.failure().map(ErrorKind::name);
        if self.ok {
            self.remedy.clear();
        }
    }

    /// The `chmod` to type.
    fn chmod(&self, dir: &Path) -> String {
        // What is below a directory is closed with it; the archive's own directory may be listed.
        let mut words = Vec::new();
        let inside: BTreeSet<&Path> =
            self.exposed.iter().filter_map(|path| path.iter().next().map(Path::new)).collect();
        if inside.contains(Path::new(".")) {
            words.push(format!("chmod go-w {}", typed(dir)));
        }
        let inside: Vec<String> =
            inside.into_iter().filter(|path| *path != Path::new(".")).map(|path| typed(&dir.join(path))).collect();
        if !inside.is_empty() {
            words.push(format!("chmod -R go-rwx {}", inside.join(" ")));
        }
        words.join(" && ")
    }
}

/// What was found in one file.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Resources in it.
    pub count: u64,
    /// Whether its checksum is that of the manifest.
    pub sha256_ok: bool,
    /// Resources whose id came before.
    pub duplicates: u64,
    /// Lines that are no resource of this type with an id.
    pub bad_lines: u64,
}

/// Checks the archive at `dir`: manifest, checksums, counts, every line, ids and types, permissions.
///
/// # Errors
/// [`crate::error::Exit::Data`] when there is no archive or its manifest cannot be read, [`crate::error::Exit::Disk`].
pub fn verify(dir: &Path) -> Result<Report> {
    let manifest = Manifest::load(dir)?.ok_or_else(|| {
        Error::new(ErrorKind::NotAnArchive, format!("{} has no manifest.json", dir.display()))
            .hint(super::reading::nearest(dir))
    })?;
    let mut found = Found::default();
    let mut resources = BTreeMap::new();
    for (resource, entry) in &manifest.resources {
        let findings = check_file(dir, resource, entry, &mut found)?;
        resources.insert(resource.clone(), findings);
    }
    let exposed = exposed(dir, &manifest);
    let open = exposed.iter().map(|(path, mode)| format!("{}: others may use it (mode {mode:o})", path.display()));
    let damaged = !found.damages.is_empty();
    let problems: Vec<String> = found.damages.into_iter().chain(found.held.iter().cloned()).chain(open).collect();
    let exposed = exposed.into_iter().map(|(path, _)| path).collect();
    let mut report = Report {
        ok: problems.is_empty(),
        resources,
        problems,
        kind: None,
        remedy: String::new(),
        damaged,
        held: !found.held.is_empty(),
        exposed,
    };
    report.kind = report.failure().map(ErrorKind::name);
    report.remedy = match report.failure() {
        Some(ErrorKind::Exposed) => report.chmod(dir),
        Some(ErrorKind::InUse) => format!("bbdl verify {}", typed(dir)),
        Some(_) => "bbdl fetch --full, or restore it from a backup".to_owned(),
        None => String::new(),
    };
    Ok(report)
}

/// What others may use, with its permission bits. Nothing where the file system keeps none: there is nothing to mend.
fn exposed(dir: &Path, manifest: &Manifest) -> Vec<(PathBuf, u32)> {
    let mut found = tree::open_to_others(dir, Some(manifest));
    // That others may list the directory itself is its owner's affair; that they may put files there is not.
    let itself = fs::metadata(dir).ok().and_then(|metadata| private_dir::writable_by_others(&metadata));
    found.extend(itself.map(|mode| (PathBuf::from("."), mode)));
    found
}

/// Problems in words, by what they are.
#[derive(Default)]
struct Found {
    damages: Vec<String>,
    held: Vec<String>,
}

fn check_file(dir: &Path, resource: &str, entry: &Entry, found: &mut Found) -> Result<Findings> {
    let mut findings = Findings::default();
    let path = dir.join(&entry.file);
    let file = match private_file::open(&path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            found.damages.push(format!("{}: missing", entry.file));
            return Ok(findings);
        }
        Err(cause) if Intruder::of(&cause).is_some() => {
            found.damages.push(format!("{}: {cause}", entry.file));
            return Ok(findings);
        }
        Err(cause) => {
            let error = Error::disk("read", &path, &cause);
            if error.kind != ErrorKind::InUse {
                return Err(error);
            }
            found.held.push(format!("{}: another program holds it", entry.file));
            return Ok(findings);
        }
    };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let (mut hash, mut bytes, mut ids, mut line) = (Sha256::new(), 0u64, Ids::none(), Vec::new());
    let lines = entry.file.ends_with(".ndjson");
    loop {
        line.clear();
        let read = if lines {
            reader.read_until(b'\n', &mut line)
        } else {
            std::io::Read::read_to_end(&mut reader, &mut line)
        };
        if read.map_err(|cause| Error::disk("read", &path, &cause))? == 0 {
            break;
        }
        hash.update(&line);
        bytes += line.len() as u64;
        findings.count += 1;
        match identity(&line, lines.then_some(resource)) {
            Some(Some(id)) => ids.enter(&id)?,
            Some(None) => {}
            None => findings.bad_lines += 1,
        }
    }
    findings.duplicates = ids.duplicates(&path, resource)?;
    findings.sha256_ok = hex(hash) == entry.sha256;
    let mut tell = |wrong: bool, what: String| {
        if wrong {
            found.damages.push(format!("{}: {what}", entry.file));
        }
    };
    tell(!findings.sha256_ok, "its checksum is not that of the manifest".to_owned());
    tell(bytes != entry.bytes, format!("{bytes} bytes, and the manifest says {}", entry.bytes));
    tell(findings.count != entry.count, format!("{} resources, and the manifest says {}", findings.count, entry.count));
    tell(findings.duplicates > 0, format!("{} resources whose id came before", findings.duplicates));
    tell(findings.bad_lines > 0, format!("{} lines that are no {resource} with an id", findings.bad_lines));
    Ok(findings)
}

/// The ids of a file, as hashes of eight bytes: those that are alike are looked at once more.
struct Ids {
    seed: RandomState,
    seen: Numbers,
    alike: HashSet<u64>,
}

impl Ids {
    /// In memory, since nothing may be written where an archive is looked at.
    fn none() -> Self {
        Self { seed: RandomState::new(), seen: Numbers::in_memory(), alike: HashSet::new() }
    }

    fn enter(&mut self, id: &str) -> Result<()> {
        let number = self.seed.hash_one(id);
        if !self.seen.insert(number)? {
            self.alike.insert(number);
        }
        Ok(())
    }

    /// How many resources of the file, read once more, have an id that came before.
    fn duplicates(self, path: &Path, resource: &str) -> Result<u64> {
        let Self { seed, seen, alike } = self;
        drop(seen);
        if alike.is_empty() {
            return Ok(0);
        }
        let (mut seen, mut duplicates) = (HashSet::new(), 0);
        each_line(path, |_, line| {
            let header = line.and_then(|line| Header::read(line).ok()).filter(|header| header.kind == resource);
            let alike = header.filter(|header| alike.contains(&seed.hash_one(header.id.as_str())));
            duplicates += u64::from(alike.is_some_and(|header| !seen.insert(key(&header.id))));
            Ok(())
        })?;
        Ok(duplicates)
    }
}

/// The id of a line that is a whole resource of this type. A document (userinfo, insurance card) has
/// none, and only has to be JSON.
fn identity(line: &[u8], resource: Option<&str>) -> Option<Option<String>> {
    let text = std::str::from_utf8(line).ok()?;
    let Some(resource) = resource else {
        return serde_json::from_str::<serde::de::IgnoredAny>(text).ok().map(|_| None);
    };
    let header = Header::read(text.strip_suffix('\n')?).ok()?;
    (header.kind == resource).then_some(Some(header.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_comes_again_is_counted_and_hashes_that_are_alike_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("claims.ndjson");
        let claim = |id: &str, kind: &str| format!(r#"{{"resourceType":"{kind}","id":"{id}"}}"#);
        let lines = ["a", "b", "a", "c", "a", "d"].map(|id| claim(id, "Patient"));
        fs::write(&path, lines.join("\n") + "\n" + &claim("b", "Coverage") + "\nnothing\n").unwrap();
        let mut ids = Ids::none();
        ["a", "b", "a", "c", "a", "d"].iter().for_each(|id| ids.enter(id).unwrap());
        // As if the hash of another had been that of "d".
        ids.alike.insert(ids.seed.hash_one("d"));
        assert_eq!(ids.duplicates(&path, "Patient").unwrap(), 2);
        let mut ids = Ids::none();
        ["a", "b", "c", "d"].iter().for_each(|id| ids.enter(id).unwrap());
        assert_eq!(ids.duplicates(&path, "Patient").unwrap(), 0);
    }
}
