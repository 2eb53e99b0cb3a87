//! `bbdl completions` and `bbdl man`: generated from the definition of the command line.

use std::{fs, io, path::Path};

use clap::Command;
use clap_complete::env::{CompleteEnv, Shells};

use crate::{
    cli::{self, Completions, Man},
    commands::{
        Context,
        man_page::{self, Page},
    },
    error::{Error, ErrorKind, Exit, Result},
    files::private_file,
};

/// The environment variable with which a shell asks for completions. Its value is the shell's name.
pub(crate) const ASKED_BY_A_SHELL: &str = "BBDL_COMPLETE";

/// Answers a shell that asks for completions.
#[must_use]
pub(crate) fn complete() -> Exit {
    let answered = CompleteEnv::with_factory(|| options_last(cli::command()))
        .var(ASKED_BY_A_SHELL)
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    // A person who presses Tab wants no message on the line.
    if matches!(answered, Ok(true)) { Exit::Done } else { Exit::Usage }
}

/// The first Tab offers commands and values. Options are offered only after a dash, or if there is nothing else.
fn options_last(command: Command) -> Command {
    let command = command.mut_args(|arg| if arg.is_positional() { arg } else { arg.hide(true) });
    command.mut_subcommands(options_last)
}

/// Prints a script that makes a shell ask [`complete`]. This way it also knows the names of profiles.
///
/// # Errors
/// Only a bug can cause this.
pub(crate) fn completions(context: &Context, args: &Completions) -> Result<()> {
    let defect = |why: String| Error::new(ErrorKind::Completions, format!("completions cannot be made: {why}"));
    let shells = Shells::builtins();
    let name = args.shell.to_string();
    let shell = shells.completer(&name).ok_or_else(|| defect(format!("no such shell: {name}")))?;
    let mut text = Vec::new();
    shell
        .write_registration(ASKED_BY_A_SHELL, "bbdl", "bbdl", "bbdl", &mut text)
        .map_err(|cause| defect(cause.to_string()))?;
    context.output.result(String::from_utf8_lossy(&text).trim());
    Ok(())
}

/// Writes one man page per command into a directory, or the main one to stdout.
///
/// # Errors
/// [`Exit::Disk`].
pub(crate) fn man(context: &Context, args: &Man) -> Result<()> {
    let pages =
        man_page::pages().map_err(|cause| Error::new(ErrorKind::Man, format!("a man page cannot be made: {cause}")))?;
    if args.dir == Path::new("-") {
        let main = pages.first().map(|page| String::from_utf8_lossy(&page.text)).unwrap_or_default();
        context.output.result(main.trim_end());
        return Ok(());
    }
    if let Some(error) = Error::no_directory(&args.dir) {
        return Err(error);
    }
    fs::create_dir_all(&args.dir).map_err(|cause| Error::disk("create", &args.dir, &cause))?;
    for Page { name, text } in pages {
        write(&args.dir.join(format!("{name}.1")), &text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    let written = || {
        let mut file = private_file::create(path)?;
        // The manual is for everyone on the machine.
        #[cfg(unix)]
        let _ = file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        io::Write::write_all(&mut file, text)
    };
    written().map_err(|cause| Error::disk("write", path, &cause))
}
