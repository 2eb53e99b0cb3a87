//! `bbdl completions` and `bbdl man`: made from the command line's own description.

use std::{fs, io, path::Path};

use clap::CommandFactory;
use clap_complete::env::{CompleteEnv, Shells};

use crate::{
    cli::{Cli, Completions, Man},
    commands::Context,
    error::{Error, ErrorKind, Exit, Result},
    files::private_file,
};

/// The environment variable by which a shell asks for completions; its value is the shell's name.
pub const ASKED_BY_A_SHELL: &str = "BBDL_COMPLETE";

/// Answers a shell.
#[must_use]
pub fn complete() -> Exit {
    let answered = CompleteEnv::with_factory(Cli::command)
        .var(ASKED_BY_A_SHELL)
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    // Whoever completes a word wants no message on the line.
    if matches!(answered, Ok(true)) { Exit::Done } else { Exit::Usage }
}

/// Prints what makes a shell ask [`complete`]: so it knows the names of profiles as well.
///
/// # Errors
/// Only a bug can cause this.
pub fn completions(context: &Context, args: &Completions) -> Result<()> {
    let defect = |why: String| Error::new(ErrorKind::Completions, format!("completions cannot be made: {why}"));
    let shells = Shells::builtins();
    let name = args.shell.to_string();
    let shell = shells.completer(&name).ok_or_else(|| defect(format!("no such shell: {name}")))?;
    let mut text = Vec::new();
    shell
        .write_registration(ASKED_BY_A_SHELL, "bbdl", "bbdl", "bbdl", &mut text)
        .map_err(|cause| defect(cause.to_string()))?;
    context.ui.result(String::from_utf8_lossy(&text).trim());
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
        .map_err(|cause| Error::new(ErrorKind::Man, format!("a man page cannot be made: {cause}")))?;
    Ok(text)
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    let written = || {
        let mut file = private_file::create(path)?;
        // For everybody who has the manual installed.
        #[cfg(unix)]
        let _ = file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        io::Write::write_all(&mut file, text)
    };
    written().map_err(|cause| Error::disk("write", path, &cause))
}
