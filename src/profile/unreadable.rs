//! Profiles whose records cannot be read, for a command that reports on all profiles.

use serde_json::{Value, json};

use super::{Profile, ProfileName};
use crate::error::{Error, Result};

/// The profiles whose records cannot be read, with the reason for each.
#[derive(Debug, Default)]
pub(crate) struct Unreadable(Vec<(ProfileName, Error)>);

impl Unreadable {
    /// The profile that was read, if there is one. Notes a record that cannot be read.
    pub(crate) fn or_note(&mut self, name: &ProfileName, read: Result<Option<Profile>>) -> Option<Profile> {
        read.unwrap_or_else(|error| {
            self.0.push((name.clone(), error));
            None
        })
    }

    /// Adds those of `more`.
    pub(crate) fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    /// Whether all records could be read.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The JSON text that follows the array of profiles.
    #[must_use]
    pub(crate) fn json_field(&self) -> String {
        let row = |(name, error): &(ProfileName, Error)| json!({"name": name.as_str(), "error": error.to_json()});
        if self.is_empty() {
            return String::new();
        }
        format!(",\"unreadable\":{}", self.0.iter().map(row).collect::<Value>())
    }

    /// The error of a command that has reported what it could about the other profiles.
    #[must_use]
    pub(crate) fn into_error(self) -> Option<Error> {
        const LISTED: usize = 8;
        let names: Vec<&str> = self.0.iter().take(LISTED).map(|(name, _)| name.as_str()).collect();
        let count = self.0.len();
        let names = format!("{}{}", names.join(", "), if count > LISTED { ", …" } else { "" });
        // If several are equally grave, the first.
        let (_, gravest) = self.0.into_iter().rev().max_by_key(|(_, error)| error.exit().gravity())?;
        let message = match count {
            1 => format!("the record of profile {names} cannot be read: {}", gravest.message),
            _ => {
                format!("the records of {count} profiles cannot be read: {names}. Fix this first: {}", gravest.message)
            }
        };
        Some(Error { message, ..gravest })
    }
}
