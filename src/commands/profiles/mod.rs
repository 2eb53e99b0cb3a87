//! `bbdl profiles`: moves many enrollees to and from this machine.

mod export;
mod import;
#[cfg(feature = "postgres")]
mod import_shared;
mod list;
mod remove;
mod rename;
mod row;

use super::shared_state;
use crate::{
    cli::{Profiles, ProfilesAction},
    commands::Context,
    error::Result,
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
