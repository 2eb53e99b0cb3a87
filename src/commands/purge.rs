//! `bbdl purge`: a log-in, its tokens and its archives leave this machine.

use std::path::PathBuf;

use serde_json::json;

use crate::{
    archive,
    cli::Purge,
    commands::{Context, login, logout},
    config::{Profile, ProfileName},
    error::{Error, ErrorKind, Result},
};

/// Runs the command. Claims go first and the profile last: it alone knows where the rest is, so that the
/// same command finishes what was cut short.
///
/// # Errors
/// [`crate::error::Exit::Usage`] when nobody can be asked and `--yes` is missing, [`crate::error::Exit::NotSetUp`] without such a
/// profile, [`crate::error::Exit::TryAgain`] while another `bbdl` uses it, [`crate::error::Exit::Disk`].
pub fn run(context: &Context, args: &Purge) -> Result<()> {
    let names = if args.all_profiles { context.paths.profiles()? } else { vec![context.profile.clone()] };
    let mut doomed = Vec::new();
    for name in names {
        doomed.push((Profile::must_load(&context.paths, &name)?, name));
    }
    if doomed.is_empty() {
        return finished(context, &[], &[]);
    }
    let kept = archives_of_others(context, &doomed)?;
    if !args.yes {
        agree(context, &doomed, &kept)?;
    }
    let mut archives = Vec::new();
    for (profile, name) in &doomed {
        let context = Context { profile: name.clone(), ..context.clone() };
        archives.extend(purge(&context, profile, &kept)?);
    }
    finished(context, &doomed, &archives)
}

/// Archives that a profile fills which is not to go.
fn archives_of_others(context: &Context, doomed: &[(Profile, ProfileName)]) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for name in context.paths.profiles()? {
        if doomed.iter().all(|(_, gone)| *gone != name) {
            // Whose record cannot be read has perhaps an archive here: nothing is deleted on a guess.
            let other = Profile::must_load(&context.paths, &name)?;
            kept.extend(other.archives.into_iter().map(|archive| archive.out));
        }
    }
    Ok(kept)
}

fn agree(context: &Context, doomed: &[(Profile, ProfileName)], kept: &[PathBuf]) -> Result<()> {
    if !context.ui.can_ask() {
        return Err(Error::usage("purge deletes for good, and there is nobody to ask").hint("Say so: bbdl purge --yes"));
    }
    for (profile, name) in doomed {
        context.ui.tell(format!("Profile \"{name}\": log-in at {} and its tokens", profile.server));
        for archive in profile.archives.iter().filter(|archive| !kept.contains(&archive.out)) {
            context.ui.tell(format!("  {} ({} claims)", archive.out.display(), archive.count));
        }
    }
    let answer = context.ui.ask("Delete all of this for good? Type yes")?;
    if answer.eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Declined, "nothing was deleted").hint("To delete without a question: --yes"))
}

/// What became of an archive.
struct Removed {
    out: PathBuf,
    /// Why it is still there, wholly or in part.
    left: Option<&'static str>,
}

fn purge(context: &Context, profile: &Profile, kept: &[PathBuf]) -> Result<Vec<Removed>> {
    // No fetch may store a renewed token, or fill an archive, while they go.
    let _held = login::hold(context, &context.profile, "purge")?;
    let mut archives = Vec::new();
    for note in &profile.archives {
        let out = note.out.clone();
        let left = if kept.contains(&out) {
            Some("another profile fills it as well")
        } else if !archive::is_one(&out) && !archive::has_unfinished_commit(&out) {
            // Moved or deleted by its owner. What lies there now may be anybody's.
            None
        } else if archive::remove(&out)? {
            None
        } else {
            Some("other files are in its directory")
        };
        archives.push(Removed { out, left });
    }
    logout::end(context, profile)?;
    Ok(archives)
}

fn finished(context: &Context, doomed: &[(Profile, ProfileName)], archives: &[Removed]) -> Result<()> {
    let names: Vec<&str> = doomed.iter().map(|(_, name)| name.as_str()).collect();
    if context.ui.json() {
        let archives: Vec<_> = archives.iter().map(|it| json!({"out": it.out, "left": it.left})).collect();
        context.ui.result_json(&json!({"profiles": names, "archives": archives}));
        return Ok(());
    }
    let count = archives.iter().filter(|it| it.left.is_none()).count();
    context.ui.say(match names.len() {
        0 => "There is no log-in on this machine.".to_owned(),
        _ => format!("Deleted: {} with tokens, and {count} archives.", names.join(", ")),
    });
    for Removed { out, left } in archives {
        if let Some(why) = left {
            context.ui.warn(format!("{} was not deleted whole: {why}", out.display()));
        }
    }
    Ok(())
}
