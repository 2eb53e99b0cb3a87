//! `bbdl purge`: deletes a log-in, its tokens and its archives from this machine.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    archive::{self, Removal},
    cli::Purge,
    commands::{Context, log_ins::LogIns, login, logout, shared_state},
    error::{Error, ErrorKind, Result},
    files::path_text::to_text,
    profile::{
        self, Profile, ProfileName,
        archive_notes::{ArchiveNote, LeftBehind},
    },
};

/// Why an archive was not deleted: it is not where it was filled.
const NOT_FOUND: &str = "it is not there; if it was moved, delete it where it is now";
const OF_AN_EARLIER_LOG_IN: &str = "an earlier log-in filled it; purge again to delete it as well";

/// What to delete: a log-in, or what an ended one has left behind, or both.
#[derive(Clone)]
struct Doomed {
    name: ProfileName,
    profile: Option<Profile>,
    left_behind: Vec<ArchiveNote>,
}

impl Doomed {
    /// The same, with what has been left behind by now.
    fn now(&self, context: &Context) -> Result<Self> {
        Ok(Self { left_behind: LeftBehind::load(&context.paths, &self.name)?, ..self.clone() })
    }

    /// The archives that belong to this profile by its own notes.
    fn archives(&self) -> impl Iterator<Item = &ArchiveNote> {
        let own = self.profile.iter().flat_map(|profile| &profile.archives);
        own.chain(self.left_behind.iter().filter(|note| self.is_of_this_log_in(note)))
    }

    /// Another person may have logged in under this name since then.
    fn is_of_this_log_in(&self, note: &ArchiveNote) -> bool {
        let Some(profile) = &self.profile else { return true };
        note.filled.as_ref().is_some_and(|filled| {
            let (then, now) = (&filled.source, &profile.grant.patient);
            then.server == profile.server && then.api == profile.api && then.patient == *now
        })
    }
}

/// Runs the command. Claims are deleted first and the profile last. Only the profile knows where the rest is, so the
/// same command can finish an interrupted run.
///
/// # Errors
/// [`crate::error::Exit::Usage`] if no person can be asked and `--yes` is missing, [`crate::error::Exit::NotSetUp`]
/// if there is no such profile, [`crate::error::Exit::TryAgain`] while another `bbdl` uses it,
/// [`crate::error::Exit::Disk`].
pub(crate) fn run(context: &Context, args: &Purge) -> Result<()> {
    LogIns::with(context, &args.shared, async |log_ins| run_on(context, args, log_ins).await)
}

async fn run_on(context: &Context, args: &Purge, log_ins: &LogIns<'_>) -> Result<()> {
    let paths = &context.paths;
    let mut names = if args.all_profiles { log_ins.names().await? } else { vec![context.profile.clone()] };
    if args.all_profiles && log_ins.are_local() {
        names.extend(LeftBehind::names(paths)?);
        names.sort();
        names.dedup();
    }
    let mut doomed = Vec::new();
    for name in names {
        // What was left behind on this machine belongs to a log-in of this machine.
        let left_behind = if log_ins.are_local() { LeftBehind::load(paths, &name)? } else { Vec::new() };
        let profile = match log_ins.must_exist(&name).await {
            Err(error) if error.kind == ErrorKind::NoProfile && !left_behind.is_empty() => None,
            loaded => Some(loaded?),
        };
        doomed.push(Doomed { name, profile, left_behind });
    }
    if doomed.is_empty() && !args.dry_run {
        return finished(context, &[], &[]);
    }
    let kept = log_ins.archives_of_others(|name| doomed.iter().any(|gone| gone.name == *name)).await?;
    let kept: Vec<PathBuf> =
        kept.into_iter().map(|note| std::fs::canonicalize(&note.out).unwrap_or(note.out)).collect();
    if args.dry_run {
        would_delete(context, &doomed, &kept);
        return Ok(());
    }
    if !args.yes {
        agree(context, args, &doomed, &kept)?;
    }
    let (mut archives, mut places) = (Vec::new(), Places { kept, seen: Vec::new() });
    for one in &doomed {
        let context = Context { profile: one.name.clone(), ..context.clone() };
        archives.extend(purge(&context, log_ins, one, &mut places).await?);
    }
    finished(context, &doomed, &archives)
}

/// The archives of a profile that would be deleted with it.
fn archives_to_go<'d>(one: &'d Doomed, kept: &'d [PathBuf]) -> impl Iterator<Item = &'d ArchiveNote> {
    let mut seen = Vec::new();
    one.archives().filter(move |note| {
        let Ok(Some(place)) = note.place() else { return false };
        let goes = !kept.contains(&place) && !seen.contains(&place);
        seen.push(place);
        goes
    })
}

fn described(one: &Doomed, kept: &[PathBuf]) -> Vec<String> {
    let mut lines = vec![match &one.profile {
        Some(profile) => format!("Profile \"{}\": log-in at {} and its tokens", one.name, profile.server),
        None => format!("Profile \"{}\": logged out already", one.name),
    }];
    lines.extend(archives_to_go(one, kept).map(|note| format!("  {} ({})", note.out.display(), note.size())));
    let missing = one.archives().filter(|note| matches!(note.place(), Ok(None)));
    lines.extend(missing.map(|note| format!("  not {}: {NOT_FOUND}", note.out.display())));
    lines
}

/// Shows what the same command would delete without `--dry-run`.
fn would_delete(context: &Context, doomed: &[Doomed], kept: &[PathBuf]) {
    if context.output.json() {
        let names: Vec<&str> = doomed.iter().map(|one| one.name.as_str()).collect();
        let archives = doomed.iter().flat_map(|one| archives_to_go(one, kept));
        let archives: Vec<_> = archives.map(|note| json!({"out": to_text(&note.out), "count": note.count})).collect();
        context.output.result_json(&json!({"dry_run": true, "profiles": names, "archives": archives}));
        return;
    }
    let lines: Vec<String> = doomed.iter().flat_map(|one| described(one, kept)).collect();
    context.output.result(format!("Would delete:\n{}", lines.join("\n")));
}

fn agree(context: &Context, args: &Purge, doomed: &[Doomed], kept: &[PathBuf]) -> Result<()> {
    // Without its scope, the command would delete what belongs to the default profile.
    let scope =
        if args.all_profiles { " --all-profiles".to_owned() } else { profile::profile_option(&context.profile) };
    let state = shared_state::typed_option(context);
    if !context.output.can_ask() {
        return Err(Error::usage(format!("purge deletes for good, and {}", context.output.why_not_asked()))
            .hint(format!("To delete without a question: bbdl purge{scope}{state} --yes")));
    }
    for line in doomed.iter().flat_map(|one| described(one, kept)) {
        context.output.tell(line);
    }
    match context.output.asks_for_yes("Delete all of this for good?")? {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Declined, "nothing was deleted")),
    }
}

/// The result for an archive.
struct Removed {
    out: PathBuf,
    /// Why all or part of it is still there.
    left: Option<&'static str>,
}

/// Places of archives.
struct Places {
    /// Those that another profile uses. They stay.
    kept: Vec<PathBuf>,
    /// Those that are done already, because several notes may be about the same archive.
    seen: Vec<PathBuf>,
}

async fn purge(context: &Context, log_ins: &LogIns<'_>, doomed: &Doomed, places: &mut Places) -> Result<Vec<Removed>> {
    // No fetch may store a renewed token, or fill an archive, during the deletion.
    let Some(profile) = &doomed.profile else {
        let _held = login::hold(context, &context.profile, "purge")?;
        if Profile::load(&context.paths, &doomed.name)?.is_some() {
            return Err(another_log_in(&doomed.name));
        }
        return purge_archives(context, &doomed.now(context)?, places);
    };
    let held = log_ins.hold((&doomed.name, profile), "purge").await?;
    // A fetch may have begun another archive since the profile was read. From now on, none can begin.
    let now = if log_ins.are_local() { Profile::load(&context.paths, &doomed.name).ok().flatten() } else { None };
    if now.as_ref().is_some_and(|now| now.grant.log_in != profile.grant.log_in) {
        log_ins.release(held).await;
        return Err(another_log_in(&doomed.name));
    }
    let profile = &now.unwrap_or_else(|| profile.clone());
    let purged = if log_ins.are_local() { doomed.now(context) } else { Ok(doomed.clone()) };
    let purged =
        purged.and_then(|doomed| purge_archives(context, &Doomed { profile: Some(profile.clone()), ..doomed }, places));
    let purged = match purged {
        Ok(archives) => logout::end(context, log_ins, profile, &held).await.map(|()| archives),
        Err(error) => Err(error),
    };
    log_ins.release(held).await;
    purged
}

/// What was shown is not what is here now: nobody has agreed to delete that.
fn another_log_in(name: &ProfileName) -> Error {
    Error::new(ErrorKind::Lock, format!("somebody has logged in to profile \"{name}\" in the meantime"))
        .hint("Nothing of it was deleted. Run the same command again to see what would be deleted now.")
}

fn purge_archives(context: &Context, doomed: &Doomed, Places { kept, seen }: &mut Places) -> Result<Vec<Removed>> {
    // Check this before anything is deleted: if a fetch is filling one of them, all stay.
    for place in archives_to_go(doomed, kept).filter_map(|note| note.place().ok().flatten()) {
        archive::refuse_in_use(&place)?;
    }
    let mut archives = Vec::new();
    for note in doomed.archives() {
        let left = match note.place() {
            Ok(Some(place)) if seen.contains(&place) => continue,
            Ok(Some(place)) => {
                let left = remove(&place, note, doomed.profile.as_ref(), kept)?;
                seen.push(place);
                left
            }
            Ok(None) if seen.contains(was_at(note)) => continue,
            // Its owner has moved or deleted it.
            Ok(None) => {
                seen.push(was_at(note).to_owned());
                Some(NOT_FOUND)
            }
            Err(why) => Some(why),
        };
        archives.push(Removed { out: note.out.clone(), left });
    }
    let of_others = doomed.left_behind.iter().filter(|note| !doomed.is_of_this_log_in(note));
    let of_others: Vec<ArchiveNote> =
        of_others.filter(|note| !note.place().is_ok_and(|place| place.is_none())).cloned().collect();
    let stays = |note: &ArchiveNote| Removed { out: note.out.clone(), left: Some(OF_AN_EARLIER_LOG_IN) };
    archives.extend(of_others.iter().map(stays));
    if !doomed.left_behind.is_empty() {
        LeftBehind::save(&context.paths, &doomed.name, of_others)?;
    }
    Ok(archives)
}

fn was_at(note: &ArchiveNote) -> &PathBuf {
    note.filled.as_ref().map_or(&note.out, |filled| &filled.real)
}

/// Removes the archive at `place` if everything says that it belongs to this profile. Otherwise returns why it stays.
fn remove(
    place: &Path,
    note: &ArchiveNote,
    profile: Option<&Profile>,
    kept: &[PathBuf],
) -> Result<Option<&'static str>> {
    if kept.iter().any(|other| other == place) {
        return Ok(Some("another profile uses it too"));
    }
    let is_begun = || archive::has_unfinished_commit(place) || archive::has_unfinished_first_pull(place);
    if !archive::is_one(place) && !is_begun() {
        // What is there now may belong to anyone.
        return Ok(Some("no archive is there now"));
    }
    match archive::remove(place, |source| note.is_of(source, profile)) {
        Ok(Removal::Whole) => Ok(None),
        Ok(Removal::FilesOfOthersStay) => Ok(Some("other files are in its directory")),
        Ok(Removal::NotOurs) => Ok(Some("its manifest says that it is somebody else's")),
        Err(error) if matches!(error.kind, ErrorKind::Manifest | ErrorKind::Archive) => {
            Ok(Some("its manifest cannot be read, and does not say whose it is"))
        }
        Err(error) if matches!(error.kind, ErrorKind::Exposed | ErrorKind::NotAnArchive) => {
            Ok(Some("others can write to its directory, or it contains something else"))
        }
        Err(error) => Err(error),
    }
}

fn finished(context: &Context, doomed: &[Doomed], archives: &[Removed]) -> Result<()> {
    let names: Vec<&str> = doomed.iter().map(|one| one.name.as_str()).collect();
    if context.output.json() {
        let archives: Vec<_> = archives.iter().map(|it| json!({"out": to_text(&it.out), "left": it.left})).collect();
        context.output.result_json(&json!({"profiles": names, "archives": archives}));
        return Ok(());
    }
    let count = archives.iter().filter(|it| it.left.is_none()).count();
    context.output.say(match names.len() {
        0 => "There is no log-in on this machine.".to_owned(),
        _ => {
            let archives = if count == 1 { "archive" } else { "archives" };
            format!("Deleted: {}, with all tokens, and {count} {archives}.", names.join(", "))
        }
    });
    for Removed { out, left } in archives {
        if let Some(why) = left {
            context.output.warn(format!("{} was not deleted, or not completely: {why}", out.display()));
        }
    }
    Ok(())
}
