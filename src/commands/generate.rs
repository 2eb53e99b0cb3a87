//! `bbdl completions` and `bbdl man`: made from the command line's own description.

use std::{fs, path::Path};

use clap::CommandFactory;

use crate::{
    cli::{Cli, Completions, Man},
    commands::Context,
    error::{Error, Exit, Result},
};

/// Prints the completions of a shell.
///
/// # Errors
/// None that a person could mend.
pub fn completions(context: &Context, args: &Completions) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bbdl", &mut text);
    context.ui.result(String::from_utf8_lossy(&text).trim_end());
    Ok(())
}

/// Writes one man page a command into a directory, or the main one to stdout.
///
/// # Errors
/// [`Exit::Disk`].
pub fn man(context: &Context, args: &Man) -> Result<()> {
    let command = Cli::command();
    if args.dir == Path::new("-") {
        context.ui.result(String::from_utf8_lossy(&page(command)?).trim_end());
        return Ok(());
    }
    fs::create_dir_all(&args.dir).map_err(|cause| Error::disk("create", &args.dir, &cause))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("bbdl-{}", sub.get_name());
        write(&args.dir.join(format!("{name}.1")), &page(sub.clone().display_name(name.clone()).bin_name(name))?)?;
    }
    write(&args.dir.join("bbdl.1"), &page(command)?)
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut text)
        .map_err(|cause| Error::new(Exit::Defect, "man", format!("a man page cannot be made: {cause}")))?;
    Ok(text)
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    fs::write(path, text).map_err(|cause| Error::disk("write", path, &cause))
}
