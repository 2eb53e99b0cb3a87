//! `bbdl profiles`: moves many enrollees to and from this machine.

mod export;
mod import;
#[cfg(feature = "postgres")]
mod import_shared;
mod list;
mod remove;
mod rename;
mod row;

use std::collections::HashSet;

use super::shared_state;
use crate::{
    cli::{Profiles, ProfilesAction},
    commands::Context,
    error::Result,
    profile::ProfileName,
};

/// Runs the command.
///
/// # Errors
/// The errors of its actions.
pub(crate) fn run(context: &Context, Profiles { action, shared }: &Profiles) -> Result<()> {
    match action {
        ProfilesAction::List => list::run(context, shared),
        ProfilesAction::Import(args) => import::run(context, args, shared),
        ProfilesAction::Export(args) => export::run(context, args, shared),
        ProfilesAction::Rename(args) => {
            shared_state::refuse(context, shared, "profiles rename")?;
            rename::run(context, args)
        }
        ProfilesAction::Remove(args) => remove::run(context, args, shared),
    }
}

/// The names, each only once.
fn each_once(names: &[ProfileName]) -> Vec<ProfileName> {
    let mut seen = HashSet::new();
    names.iter().filter(|name| seen.insert(*name)).cloned().collect()
}
