//! What is remembered on this machine: where it lives, one record a profile, and `config.toml`.

pub mod archive_notes;
pub mod config_file;
mod name;
pub mod paths;
mod record;

pub use name::{ProfileName, profile_option};
pub use paths::Paths;
pub use record::{Profile, login_command};
