//! `bbdl profiles` and the commands below it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint, builder::FalseyValueParser};
use clap_complete::engine::ArgValueCompleter;

use super::{SharedStateArgs, values::profiles};
use crate::{error::DOCS, profile::ProfileName};

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
    /// Import profiles with their tokens: one JSON object per line
    Import(ProfilesImport),
    /// Print profiles as rows for the import command
    Export(ProfilesExport),
    /// Give a profile another name
    Rename(ProfilesRename),
    /// Remove profiles and their tokens from this machine
    Remove(ProfilesRemove),
}

/// `bbdl profiles import`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = format!("A row needs name, server, client_id and refresh_token, and may have api, client_secret, access_token, \
        access_token_expires, patient, scopes, access_category and grant_expires. If access_category is one-time, it needs \
        access_token instead of refresh_token. A row that cannot be used is refused; the \
        others are imported. More: {DOCS}/for-researchers.md\n\nExamples:\n  \
        bbdl profiles import rows.ndjson\n  \
        bbdl profiles import rows.ndjson --json | jq 'select(.ok | not)'")
)]
pub struct ProfilesImport {
    /// File with the rows, or - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Replace existing profiles that have the same name as a row
    #[arg(long)]
    pub replace: bool,
}

/// `bbdl profiles export`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  bbdl profiles export | jq -r .name\n  bbdl profiles export p0001 --with-tokens --out p0001.ndjson"
)]
pub struct ProfilesExport {
    /// Profiles to print [default: all]
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(profiles))]
    pub names: Vec<ProfileName>,
    /// Include tokens and client secrets. Use the tokens on one machine only: a refresh token works once
    #[arg(long)]
    pub with_tokens: bool,
    /// Write the rows to this file, which only you can read, and replace what is there [default: standard output]
    #[arg(long, short, visible_alias = "output", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}

/// `bbdl profiles rename`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  bbdl profiles rename mum mom")]
pub struct ProfilesRename {
    /// Its name now
    #[arg(value_name = "OLD", add = ArgValueCompleter::new(profiles))]
    pub old: ProfileName,
    /// Its new name
    #[arg(value_name = "NEW")]
    pub new: ProfileName,
}

/// `bbdl profiles remove`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The consents continue at the server, and archives stay. To end a consent, use bbdl logout; to delete archives as \
        well, bbdl purge.\n\n\
        Examples:\n  bbdl profiles remove p0001 p0002 --yes"
)]
pub struct ProfilesRemove {
    /// Profiles to remove
    #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(profiles))]
    pub names: Vec<ProfileName>,
    /// Do not ask for confirmation
    #[arg(long, env = "BBDL_YES", value_parser = FalseyValueParser::new())]
    pub yes: bool,
}
