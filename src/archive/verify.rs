//! Checks whether an archive is what its manifest says. Reads it once, with one line in memory at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    id_hash::{IdHash, id_hash},
    lines::{Lines, hex_digest},
    manifest::{Entry, Manifest, OLDER_PULLS},
    permissions, pull_history,
};
use crate::{
    error::{Error, ErrorKind, Result},
    fhir::resource::Header,
    files::{
        path_text::typed,
        place, private_dir,
        private_file::{self, Intruder},
    },
};

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether there are no problems.
    pub ok: bool,
    /// By resource type.
    pub resources: BTreeMap<String, Findings>,
    /// One sentence each, with nothing of a resource's content.
    pub problems: Vec<String>,
    /// The kind of failure; none if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// The command that repairs it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// Whether something is missing or wrong that only a new download can repair.
    #[serde(skip)]
    pub needs_download: bool,
    #[serde(skip)]
    damaged: bool,
    #[serde(skip)]
    held: bool,
    /// What others may use, relative to the archive.
    #[serde(skip)]
    exposed: Vec<PathBuf>,
}

impl Report {
    /// The kind of the worst problem: "damaged" is worse than "others can read it".
    #[must_use]
    pub fn failure(&self) -> Option<ErrorKind> {
        match self {
            Self { damaged: true, .. } => Some(ErrorKind::Archive),
            Self { held: true, .. } => Some(ErrorKind::InUse),
            Self { exposed, .. } if !exposed.is_empty() => Some(ErrorKind::Exposed),
            _ => None,
        }
    }

    /// Drops the findings about permissions, on a file system where they cannot be changed.
    pub fn forgive_exposure(&mut self) {
        let exposed = std::mem::take(&mut self.exposed).len();
        self.problems.truncate(self.problems.len() - exposed);
        self.ok = self.problems.is_empty();
        self.kind = self.failure().map(ErrorKind::name);
        if self.ok {
            self.remedy.clear();
        }
    }

    /// The `chmod` command for a person to type.
    fn chmod(&self, dir: &Path) -> String {
        // Closing a directory also closes what is below it. Others may list the archive's own directory.
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
    /// Resources whose id came before in the file.
    pub duplicates: u64,
    /// Lines that are not a resource of this type with an id.
    pub bad_lines: u64,
}

/// Checks the archive at `dir`: manifest, checksums, counts, every line, ids and types, permissions.
///
/// # Errors
/// [`crate::error::Exit::Data`] if there is no archive or its manifest cannot be read, [`crate::error::Exit::Disk`].
pub fn verify(dir: &Path) -> Result<Report> {
    let manifest = Manifest::load(dir)?.ok_or_else(|| {
        let what = if dir.is_file() {
            "is a file, not an archive's directory"
        } else if super::reader::lacks_its_manifest(dir) {
            super::reader::WITHOUT_MANIFEST
        } else if dir.exists() {
            "has no manifest.json"
        } else {
            "does not exist"
        };
        Error::new(ErrorKind::NotAnArchive, format!("{} {what}", dir.display())).hint(super::reader::nearest(dir))
    })?;
    let mut found = Found::default();
    let mut resources = BTreeMap::new();
    for (resource, entry) in &manifest.resources {
        let findings = check_file(dir, resource, entry, &mut found)?;
        resources.insert(resource.clone(), findings);
    }
    let needs_download = !found.damages.is_empty();
    let history = pull_history::problems(dir, &manifest)?;
    if !history.is_empty() {
        found.in_the_way.push(OLDER_PULLS.to_owned());
    }
    found.damages.extend(history);
    let exposed = exposed(dir, &manifest);
    let open = exposed.iter().map(|(path, mode)| format!("{}: others can use it (mode {mode:o})", path.display()));
    let damaged = !found.damages.is_empty();
    let problems: Vec<String> = found.damages.into_iter().chain(found.held.iter().cloned()).chain(open).collect();
    let exposed = exposed.into_iter().map(|(path, _)| path).collect();
    let mut report = Report {
        ok: problems.is_empty(),
        resources,
        problems,
        kind: None,
        remedy: String::new(),
        needs_download,
        damaged,
        held: !found.held.is_empty(),
        exposed,
    };
    report.kind = report.failure().map(ErrorKind::name);
    report.remedy = match report.failure() {
        Some(ErrorKind::Exposed) => report.chmod(dir),
        Some(ErrorKind::InUse) => format!("bbdl verify {}", typed(dir)),
        Some(_) => found.in_the_way.iter().map(|file| moved_away(dir, file)).collect::<Vec<_>>().join(" && "),
        None => String::new(),
    };
    Ok(report)
}

/// The command that moves a file to a free name beside the archive.
fn moved_away(dir: &Path, file: &str) -> String {
    let whole = place::resolved(dir);
    let mut name = whole.file_name().unwrap_or("archive".as_ref()).to_owned();
    name.push(format!("-{file}"));
    format!("mv {} {}", typed(&dir.join(file)), typed(&place::free_beside(&whole.with_file_name(name))))
}

/// What others may use, with its permission bits. Empty if the file system keeps no permissions, because `chmod` has
/// no effect there.
fn exposed(dir: &Path, manifest: &Manifest) -> Vec<(PathBuf, u32)> {
    let mut found = permissions::open_to_others(dir, Some(manifest));
    // Others may list the directory itself if its owner allows it. They must not be able to put files there.
    let itself = fs::metadata(dir).ok().and_then(|metadata| private_dir::writable_by_others(&metadata));
    found.extend(itself.map(|mode| (PathBuf::from("."), mode)));
    found
}

/// Problems as text, by kind.
#[derive(Default)]
struct Found {
    damages: Vec<String>,
    held: Vec<String>,
    /// Paths where a link, a directory or something else is in the place of a file, which a pull does not touch, or
    /// that cannot be read.
    in_the_way: Vec<String>,
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
            found.in_the_way.push(entry.file.clone());
            return Ok(findings);
        }
        Err(cause) => {
            let error = Error::disk("read", &path, &cause);
            if error.kind != ErrorKind::InUse {
                return Err(error);
            }
            found.held.push(format!("{}: another program has it open", entry.file));
            return Ok(findings);
        }
    };
    let (mut hash, mut bytes, mut ids) = (Sha256::new(), 0u64, HashSet::<IdHash>::new());
    let mut take = |text: &[u8], kind: Option<&str>| {
        hash.update(text);
        bytes += text.len() as u64;
        findings.count += 1;
        match identity(text, kind) {
            Some(Some(id)) => findings.duplicates += u64::from(!ids.insert(id_hash(&id))),
            Some(None) => {}
            None => findings.bad_lines += 1,
        }
    };
    if entry.file.ends_with(".ndjson") {
        let mut lines = Lines::of(file, &path);
        while let Some((_, line)) = lines.next()? {
            take(line, Some(resource));
        }
    } else {
        let mut text = Vec::new();
        (&file).read_to_end(&mut text).map_err(|cause| Error::disk("read", &path, &cause))?;
        if !text.is_empty() {
            take(&text, None);
        }
    }
    findings.sha256_ok = hex_digest(hash) == entry.sha256;
    let mut tell = |wrong: bool, what: String| {
        if wrong {
            found.damages.push(format!("{}: {what}", entry.file));
        }
    };
    tell(!findings.sha256_ok, "its checksum differs from the manifest".to_owned());
    tell(bytes != entry.bytes, format!("{bytes} bytes, but the manifest says {}", entry.bytes));
    tell(findings.count != entry.count, format!("{} resources, but the manifest says {}", findings.count, entry.count));
    tell(findings.duplicates > 0, format!("ids that occur twice: {}", findings.duplicates));
    tell(findings.bad_lines > 0, format!("lines that are not a valid {resource}: {}", findings.bad_lines));
    Ok(findings)
}

/// The id of a line that is a whole resource of this type. A document (userinfo, insurance card) has no id and only
/// has to be JSON.
fn identity(line: &[u8], resource: Option<&str>) -> Option<Option<String>> {
    let text = std::str::from_utf8(line).ok()?;
    let Some(resource) = resource else {
        return serde_json::from_str::<serde::de::IgnoredAny>(text).ok().map(|_| None);
    };
    let header = Header::read(text.strip_suffix('\n')?).ok()?;
    (header.kind == resource).then_some(Some(header.id))
}
