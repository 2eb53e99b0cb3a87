//! `bbdl profiles` and the commands below it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint, builder::FalseyValueParser};
use clap_complete::engine::ArgValueCompleter;

use super::{SharedStateArgs, values::profiles};
use crate::profile::ProfileName;

/// `bbdl profiles`
#[derive(Debug, Args)]
pub struct Profiles {
    /// What to do with them.
    #[command(subcommand)]
    pub action: ProfilesAction,
    /// The shared state.
    #[command(flatten)]
    pub shared: SharedStateArgs,
}

/// What `bbdl profiles` does.
#[derive(Debug, Subcommand)]
pub enum ProfilesAction {
    /// List the profiles of this machine
    #[command(after_help = "Examples:\n  bbdl profiles list\n  bbdl profiles list --json | jq -r '.profiles[].name'")]
    List,
    /// Import profiles with their tokens: one JSON object a line
    Import(ProfilesImport),
    /// Print profiles as rows that import reads
    Export(ProfilesExport),
    /// Give a profile another name
    Rename(ProfilesRename),
    /// Remove profiles and their tokens from this machine
    Remove(ProfilesRemove),
}

/// `bbdl profiles import`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "A row needs name, server, client_id and refresh_token, and may have api, client_secret, access_token, \
        access_token_expires, patient, scopes, access_category and grant_expires. Rows that cannot be used are refused one \
        by one. docs/for-researchers.md tells more.\n\nExamples:\n  \
        bbdl profiles import rows.ndjson\n  \
        bbdl profiles import rows.ndjson --json | jq 'select(.ok | not)'"
)]
pub struct ProfilesImport {
    /// The file with the rows, or -
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Put rows in the place of profiles of the same name
    #[arg(long)]
    pub replace: bool,
}

/// `bbdl profiles export`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  bbdl profiles export > profiles.ndjson\n  bbdl profiles export p0001 --with-tokens > p0001.ndjson"
)]
pub struct ProfilesExport {
    /// The profiles; all of them where none is named
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(profiles))]
    pub names: Vec<ProfileName>,
    /// With tokens and client secrets. They must be used in one place only
    #[arg(long)]
    pub with_tokens: bool,
}

/// `bbdl profiles rename`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  bbdl profiles rename mum mom")]
pub struct ProfilesRename {
    /// The profile
    #[arg(value_name = "OLD", add = ArgValueCompleter::new(profiles))]
    pub old: ProfileName,
    /// Its new name
    #[arg(value_name = "NEW")]
    pub new: ProfileName,
}

/// `bbdl profiles remove`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The server is not told, and archives stay. To end a consent as well, log out. To delete archives as well, purge.\n\n\
        Examples:\n  bbdl profiles remove p0001 p0002 --yes"
)]
pub struct ProfilesRemove {
    /// The profiles
    #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(profiles))]
    pub names: Vec<ProfileName>,
    /// Do not ask
    #[arg(long, env = "BBDL_YES", value_parser = FalseyValueParser::new())]
    pub yes: bool,
}
