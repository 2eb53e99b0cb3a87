//! The claims and the coverage in an archive.

use std::path::Path;

use super::{Claim, coverage::Coverage};
pub(crate) use super::{lenient_json::read_json, people::name};
use crate::{
    archive::{
        manifest::Manifest,
        reader::{Ids, ResourceReader, damaged, whole},
    },
    error::Result,
};

/// The resource that is a claim.
pub(crate) const CLAIM: &str = "ExplanationOfBenefit";

/// The claims of an archive, held open.
pub(crate) struct Claims(ResourceReader);

impl Claims {
    /// Opens the claims of the archive at `dir`.
    ///
    /// # Errors
    /// The errors of [`ResourceReader::open`].
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        ResourceReader::open(dir, CLAIM).map(Self)
    }

    /// The archive's manifest.
    #[must_use]
    pub(crate) fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    /// How many claims there are, by the manifest. [`Claims::each`] refuses a file with another number.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.manifest().resources.get(CLAIM).map_or(0, |entry| entry.count)
    }

    /// Reads all claims, one in memory at a time. Use the result of `each` only if this returns no error.
    ///
    /// # Errors
    /// Errors of `each`; [`crate::error::Exit::Data`] if the file cannot be read, is not what the manifest says, or
    /// has an id twice; [`crate::error::Exit::Disk`].
    pub(crate) fn each(&mut self, mut each: impl FnMut(Claim) -> Result<()>) -> Result<()> {
        let (path, mut ids) = (self.0.path().to_owned(), Ids::default());
        self.0.each(|number, line| {
            let claim = Claim::read(line).ok().ok_or_else(|| damaged(&path, &format!("line {number}: not JSON")))?;
            ids.note(&claim.id);
            each(claim)
        })?;
        ids.are_single(&path)
    }
}

/// The coverage in the archive at `dir`. None if Coverage was not fetched.
///
/// # Errors
/// The errors of [`whole`], and [`crate::error::Exit::Data`] if a line is not JSON.
pub(crate) fn coverages(dir: &Path) -> Result<Vec<Coverage>> {
    let text = whole(dir, "Coverage")?.unwrap_or_default();
    let read = |(line, number)| {
        Coverage::read(line).map_err(|_| damaged(&dir.join("Coverage.ndjson"), &format!("line {number}: not JSON")))
    };
    text.lines().zip(1_u64..).map(read).filter_map(Result::transpose).collect()
}
