//! Why and since when a log-in can no longer be used. The server says it once, so bbdl remembers it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ErrorKind;

/// A note that a log-in is over. A new log-in removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why.
    pub kind: EndedKind,
    /// When this machine learned of it.
    pub at: Timestamp,
}

/// Why a log-in is over. The names are those in the profile's record and in `status --json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedKind {
    /// The time that the enrollee consented to is over.
    GrantEnded,
    /// The enrollee withdrew the consent.
    GrantRevoked,
    /// The server no longer accepts the refresh token: it was used, or a newer log-in replaced it.
    RefreshToken,
    /// A newer log-in of the same person on this machine replaced it.
    Replaced,
    /// The server answered a renewal with another person's tokens.
    OtherPatient,
    /// The answer to a renewal came, or may have come, but was not stored.
    LostByUs,
}

impl EndedKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::GrantEnded, Self::GrantRevoked, Self::RefreshToken, Self::Replaced, Self::OtherPatient, Self::LostByUs];

    /// The error of a command that needs the log-in. Both have the same name.
    #[must_use]
    pub fn error_kind(self) -> ErrorKind {
        match self {
            Self::GrantEnded => ErrorKind::GrantEnded,
            Self::GrantRevoked => ErrorKind::GrantRevoked,
            Self::RefreshToken => ErrorKind::RefreshToken,
            Self::Replaced => ErrorKind::Replaced,
            Self::OtherPatient => ErrorKind::OtherPatient,
            Self::LostByUs => ErrorKind::LostByUs,
        }
    }

    /// The stable word for scripts and databases.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.error_kind().name()
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The reason, as words for the middle of a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::GrantEnded => "the enrollee's consent has ended",
            Self::GrantRevoked => "the enrollee withdrew the consent at Medicare.gov, or logged out",
            Self::RefreshToken => {
                "the refresh token no longer works: it was used already, or a newer log-in with this app (on any machine) replaced it"
            }
            Self::Replaced => "a newer log-in of the same person under another profile replaced it",
            Self::OtherPatient => "the server renewed it with another person's tokens",
            Self::LostByUs => "new tokens were lost before bbdl stored them, and the server sends them only once",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn a_kind_has_one_name_and_asks_for_a_person() {
        for kind in EndedKind::ALL {
            let error = kind.error_kind();
            assert_eq!(serde_json::to_value(kind).unwrap(), error.name());
            assert_eq!(EndedKind::named(kind.name()), Some(kind));
            assert_eq!(error.exit(), Exit::PersonMustAct);
        }
    }
}
