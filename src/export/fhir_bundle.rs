//! One FHIR R4 Bundle of what is in the archive, for any program that reads FHIR: viewers, portals, a doctor's
//! system.

use std::{
    io::{BufWriter, Write},
    path::Path,
};

use super::{Written, begin, keep};
use crate::{
    api_version::ApiVersion,
    archive::{
        manifest::Manifest,
        reader::{Ids, ResourceReader, damaged},
    },
    claim::archived::CLAIM,
    error::{Error, ErrorKind, Result},
    fhir::resource::Header,
};

/// The order in the Bundle: the patient, the coverage, then the claims.
const RESOURCES: [&str; 3] = ["Patient", "Coverage", CLAIM];

/// Writes the Bundle: resources are as the server sent them, byte for byte.
///
/// # Errors
/// [`crate::error::Exit::Usage`] for an archive of API v1, whose resources are STU3; otherwise like
/// [`super::export`].
pub(super) fn write(dir: &Path, output: &Path) -> Result<Written> {
    // There must be claims. The file is open from here on, so all that is written later comes from the same archive.
    let claims = ResourceReader::open(dir, CLAIM)?;
    let manifest = claims.manifest().clone();
    let api = manifest.source.api;
    if api == ApiVersion::V1 {
        return Err(Error::usage("this archive is from API v1 (FHIR STU3), but a bundle has to be FHIR R4")
            .hint("Log in with --api v2 or --api v3, fetch into another directory, and export that."));
    }
    let file = begin(output)?;
    let wrong = |cause: std::io::Error| Error::disk("write", output, &cause);
    let mut out = BufWriter::with_capacity(1 << 16, file.file().map_err(wrong)?);
    write!(out, "{{\"resourceType\":\"Bundle\",\"type\":\"collection\"{},\"entry\":[", taken(&manifest))
        .map_err(wrong)?;
    let mut written = Written::default();
    let mut is_first = true;
    let mut opened = Some(claims);
    for resource in RESOURCES {
        let mut reading = match resource {
            CLAIM => opened.take(),
            other if manifest.resources.contains_key(other) => Some(ResourceReader::open(dir, other)?),
            _ => None,
        };
        let Some(reading) = &mut reading else { continue };
        if reading.manifest() != &manifest {
            return Err(Error::new(ErrorKind::Lock, "another bbdl changed the archive while it was read")
                .hint("Nothing was written. Run the command again."));
        }
        let (path, mut ids) = (reading.path().to_owned(), Ids::default());
        reading.each(|number, line| {
            let header = Header::read(line).map_err(|_| damaged(&path, &format!("line {number}: not a resource")))?;
            ids.note(&header.id);
            let url = format!("{}/{api}/fhir/{resource}/{}", manifest.source.server, header.id);
            let url = serde_json::to_string(&url).unwrap_or_default();
            let comma = if is_first { "" } else { "," };
            is_first = false;
            written.claims += u64::from(resource == CLAIM);
            write!(out, "{comma}\n{{\"fullUrl\":{url},\"resource\":{line}}}").map_err(wrong)
        })?;
        ids.are_single(&path)?;
    }
    out.write_all(b"\n]}\n").and_then(|()| out.flush()).map_err(wrong)?;
    drop(out);
    keep(file)?;
    Ok(written)
}

/// When the newest resource was fetched.
fn taken(manifest: &Manifest) -> String {
    manifest.pulls.last().map(|row| format!(",\"timestamp\":\"{}\"", row.finished)).unwrap_or_default()
}
