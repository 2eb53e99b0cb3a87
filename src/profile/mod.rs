//! What is remembered on this machine: paths, one record per profile, `config.toml`.

pub(crate) mod archive_notes;
pub(crate) mod config_file;
pub(crate) mod last_pull;
mod name;
mod new_name;
pub(crate) mod paths;
mod record;
mod unreadable;

pub use name::{ProfileName, profile_option};
pub use new_name::{NameRefused, NewProfileName, TakenNames};
pub use paths::Paths;
pub use record::{EndedPull, Profile, Replaced, hold, login_command};
pub(crate) use unreadable::Unreadable;
