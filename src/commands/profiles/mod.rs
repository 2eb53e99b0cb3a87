//! `bbdl profiles`: many enrollees come to this machine and leave it.

mod export;
mod import;
mod list;
mod remove;
mod rename;
mod row;

use crate::{cli::Profiles, commands::Context, error::Result};

/// Runs the command.
///
/// # Errors
/// Those of its parts.
pub fn run(context: &Context, command: &Profiles) -> Result<()> {
    match command {
        Profiles::List => list::run(context),
        Profiles::Import(args) => import::run(context, args),
        Profiles::Export(args) => export::run(context, args),
        Profiles::Rename(args) => rename::run(context, args),
        Profiles::Remove(args) => remove::run(context, args),
    }
}
