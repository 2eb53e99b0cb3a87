//! Whether an archive is what its manifest says: read once, one line in memory at a time.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind},
    path::Path,
};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    OWN, commit,
    index::key,
    lines::hex,
    manifest::{self, Entry, Manifest},
};
use crate::{
    error::{Error, Exit, Result},
    fhir::resource::Header,
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
/// [`Exit::Data`] when there is no archive or its manifest cannot be read, [`Exit::Disk`].
pub fn verify(dir: &Path) -> Result<Report> {
    let manifest = Manifest::load(dir)?.ok_or_else(|| {
        Error::new(Exit::Data, "not_an_archive", format!("{} has no manifest.json", dir.display()))
            .hint(super::reading::nearest(dir))
    })?;
    let mut problems = Vec::new();
    let mut resources = BTreeMap::new();
    for (resource, entry) in &manifest.resources {
        let findings = check_file(dir, resource, entry, &mut problems)?;
        resources.insert(resource.clone(), findings);
    }
    let ours = manifest.resources.values().map(|entry| entry.file.as_str());
    for name in ours.chain([manifest::FILE, "changes", commit::PAGES, OWN]) {
        check_permissions(dir, Path::new(name), &mut problems);
    }
    Ok(Report { ok: problems.is_empty(), resources, problems })
}

fn check_file(dir: &Path, resource: &str, entry: &Entry, problems: &mut Vec<String>) -> Result<Findings> {
    let mut findings = Findings::default();
    let path = dir.join(&entry.file);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            problems.push(format!("{}: missing", entry.file));
            return Ok(findings);
        }
        Err(cause) => return Err(Error::disk("read", &path, &cause)),
    };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let (mut hash, mut bytes, mut seen, mut line) = (Sha256::new(), 0u64, HashSet::new(), Vec::new());
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
            Some(Some(id)) if !seen.insert(key(&id)) => findings.duplicates += 1,
            Some(_) => {}
            None => findings.bad_lines += 1,
        }
    }
    findings.sha256_ok = hex(hash) == entry.sha256;
    let mut tell = |wrong: bool, what: String| {
        if wrong {
            problems.push(format!("{}: {what}", entry.file));
        }
    };
    tell(!findings.sha256_ok, "its checksum is not that of the manifest".to_owned());
    tell(bytes != entry.bytes, format!("{bytes} bytes, and the manifest says {}", entry.bytes));
    tell(findings.count != entry.count, format!("{} resources, and the manifest says {}", findings.count, entry.count));
    tell(findings.duplicates > 0, format!("{} resources whose id came before", findings.duplicates));
    tell(findings.bad_lines > 0, format!("{} lines that are no {resource} with an id", findings.bad_lines));
    Ok(findings)
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

/// Nobody else may read a health record: what a pull has put here, and what is below it. The directory
/// itself and whatever else is in it are its owner's affair.
#[cfg(unix)]
fn check_permissions(dir: &Path, name: &Path, problems: &mut Vec<String>) {
    use std::os::unix::fs::PermissionsExt;
    let mut todo = vec![name.to_owned()];
    while let Some(name) = todo.pop() {
        let path = dir.join(&name);
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        if !metadata.is_symlink() && mode & 0o077 != 0 {
            problems.push(format!("{}: others may use it (mode {mode:o})", name.display()));
        }
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            todo.extend(entries.map(|entry| name.join(entry.file_name())));
        }
    }
}

#[cfg(not(unix))]
fn check_permissions(_: &Path, _: &Path, _: &mut Vec<String>) {}
