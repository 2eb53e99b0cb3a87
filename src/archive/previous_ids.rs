//! The resources of a file as they were before this pull. They show what was added and what changed.

use std::{collections::HashMap, path::Path};

use super::{
    id_hash::{Fingerprint, IdHash, id_hash},
    lines::{damaged, each_line, for_each_line},
};
use crate::{error::Result, fhir::resource::Header};

/// The resources of an archive's file before this pull: id and content hash of each.
#[derive(Default)]
pub struct PreviousIds {
    kept: Option<HashMap<IdHash, Fingerprint>>,
    unordered: u64,
    patient: Option<String>,
}

impl PreviousIds {
    /// No resources, because there was no earlier pull of this type.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Reads a file with one resource per line.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] for a line that is not a resource, [`crate::error::Exit::Disk`].
    pub fn read(path: &Path) -> Result<Self> {
        let mut before = Self { kept: Some(HashMap::new()), ..Self::default() };
        for_each_line(path, |number, line| {
            let header = Header::read(line).map_err(|cause| damaged(path, number, &cause.to_string()))?;
            before.enter(header, line);
            Ok(())
        })?;
        Ok(before)
    }

    /// Reads as much as possible of a file that may be damaged, for a pull that replaces it.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`].
    pub fn salvage(path: &Path) -> Result<Self> {
        let mut before = Self { kept: Some(HashMap::new()), ..Self::default() };
        each_line(path, |_, line| {
            if let Some((line, header)) = line.and_then(|line| Some((line, Header::read(line).ok()?))) {
                before.enter(header, line);
            }
            Ok(())
        })?;
        Ok(before)
    }

    fn enter(&mut self, header: Header, line: &str) {
        if let Some(kept) = &mut self.kept {
            kept.insert(id_hash(&header.id), header.fingerprint(line));
        }
        self.unordered += u64::from(!header.id.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()));
        self.patient = self.patient.take().or(header.patient);
    }

    /// The content hash that was kept under this id.
    #[must_use]
    pub fn get(&self, id: &IdHash) -> Option<&Fingerprint> {
        self.kept.as_ref()?.get(id)
    }

    /// How many ids were kept; `None` if there was no earlier pull.
    pub(super) fn number(&self) -> Option<u64> {
        self.kept.as_ref().map(|kept| kept.len() as u64)
    }

    /// How many ids are not numbers: at API v3 those of prior authorizations.
    pub(super) fn unordered(&self) -> u64 {
        self.unordered
    }

    /// Whether there was no earlier pull.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.kept.is_none()
    }

    /// The Patient id of the claims in the archive.
    #[must_use]
    pub fn patient(&self) -> Option<&str> {
        self.patient.as_deref()
    }
}
