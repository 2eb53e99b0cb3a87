//! `bbdl profiles remove`: removes profiles from this machine, with all that is kept under their names.

use serde_json::{Value, json};

use crate::{
    archive,
    auth::store::StoreKind,
    cli::{ProfilesRemove, SharedStateArgs},
    commands::{Context, log_ins::LogIns, login, profiles::each_once, shared_state},
    error::{Error, ErrorKind, Result},
    files::path_text::to_text,
    profile::{
        Profile, ProfileName,
        archive_notes::{ArchiveNote, LeftBehind},
    },
};

/// Runs the command. Each name is removed or refused separately. The server is not told; [`crate::commands::logout`]
/// does that. Archives stay.
///
/// # Errors
/// [`crate::error::Exit::Usage`] if no person can be asked and `--yes` is missing; of the names, the gravest failure.
pub(super) fn run(context: &Context, args: &ProfilesRemove, shared: &SharedStateArgs) -> Result<()> {
    let names = each_once(&args.names);
    if !args.yes {
        LogIns::with(context, shared, async |log_ins| must_exist(log_ins, &names).await)?;
        agree(context, &names, shared)?;
    }
    let mut rows: Vec<Value> = Vec::new();
    let mut failures: Vec<Error> = Vec::new();
    let mut of_state = shared_state::remove(context, shared, &names)?.map(Vec::into_iter);
    for name in &names {
        let removed = match &mut of_state {
            None => remove(context, name),
            Some(removed) => match removed.next().unwrap_or(Ok(None)) {
                Err(error) => Err(error),
                Ok(Some(archives)) => Ok(Removed { from: "the shared state", archives, has_ended: false }),
                Ok(None) => Err(Error::new(ErrorKind::NoProfile, format!("\"{name}\" is not in the shared state"))
                    .hint("To list who is: bbdl profiles list")),
            },
        };
        match removed {
            Ok(removed) => {
                tell(context, name, &removed);
                let mut row = json!({"name": name.as_str(), "ok": true});
                if !removed.archives.is_empty() {
                    row["archives"] = removed.archives.iter().map(|note| to_text(&note.out)).collect();
                }
                rows.push(row);
            }
            Err(error) => {
                if !context.output.json() && names.len() > 1 {
                    context.output.warn(format!("{name}: {}", error.message));
                }
                rows.push(json!({"name": name.as_str(), "ok": false, "error": error.to_json()}));
                failures.push(error);
            }
        }
    }
    if context.output.json() {
        context.output.result_json(&json!({ "profiles": rows }));
    }
    let failed = failures.len();
    let Some(gravest) = failures.into_iter().max_by_key(|error| error.exit().gravity()) else { return Ok(()) };
    let error = match names.len() {
        1 => gravest,
        all => Error {
            message: format!("{failed} of {all} profiles were not removed. Fix this first: {}", gravest.message),
            ..gravest
        },
    };
    Err(if context.output.json() { error.already_reported() } else { error })
}

/// What was removed.
struct Removed {
    /// Where it was.
    from: &'static str,
    /// The archives that stay.
    archives: Vec<ArchiveNote>,
    /// Whether the log-in is known to be over.
    has_ended: bool,
}

fn remove(context: &Context, name: &ProfileName) -> Result<Removed> {
    match Profile::must_exist(&context.paths, name) {
        Err(error) if error.kind == ErrorKind::Profile => {}
        there => drop(there?),
    }
    // No fetch may store a renewed token after the tokens are deleted.
    let _held = login::hold(context, name, "remove a profile")?;
    // A fetch may have begun an archive in the meantime, and a log-in may have repaired the record.
    let profile = match Profile::must_exist(&context.paths, name) {
        Err(error) if error.kind == ErrorKind::Profile => return remove_damaged(context, name),
        loaded => loaded?,
    };
    // A running first pull would leave data that no profile knows about.
    let left_behind = left_behind(context, name);
    for place in profile.archives.iter().chain(&left_behind).filter_map(|note| note.place().ok().flatten()) {
        archive::refuse_in_use(&place)?;
    }
    // A pull that ended just now may have recorded its archive.
    let profile = Profile::load(&context.paths, name)?.unwrap_or(profile);
    let store = context.store(context.token_store.unwrap_or(profile.token_store));
    store.delete(name.as_str())?;
    let mut archives = left_behind;
    archives.retain(|note| profile.archives.iter().all(|newer| newer.out != note.out));
    archives.extend(profile.archives);
    Profile::remove(&context.paths, name)?;
    Ok(Removed { from: "this machine", archives, has_ended: profile.ended.is_some() })
}

/// The archives of earlier log-ins of this name. After the removal, nothing lists them any more. A record of them that
/// cannot be read keeps no profile from being removed.
fn left_behind(context: &Context, name: &ProfileName) -> Vec<ArchiveNote> {
    LeftBehind::load(&context.paths, name).unwrap_or_default()
}

/// Removes a profile whose record cannot be read. The record would have said which store has the tokens. So they are
/// deleted in the store that was named, or else in all stores that can be opened. The caller holds the profile's
/// lock.
fn remove_damaged(context: &Context, name: &ProfileName) -> Result<Removed> {
    let command = context.config.token_store_command.as_ref().map(|_| StoreKind::Command);
    let stores = match context.token_store {
        Some(named) => vec![named],
        None => [StoreKind::File, StoreKind::Keyring].into_iter().chain(command).collect(),
    };
    for kind in stores {
        match context.store(kind).delete(name.as_str()) {
            // A store that cannot be opened was probably never used.
            Err(cause) if kind != StoreKind::File && context.token_store.is_none() => {
                context.output.warn(format!("{name}: if its tokens are in the {kind} store, they stay there: {cause}"));
            }
            deleted => drop(deleted?),
        }
    }
    let archives = left_behind(context, name);
    Profile::remove(&context.paths, name)?;
    if !context.output.json() {
        context
            .output
            .say(format!("{name}: its record was damaged, so bbdl does not know which archives it has filled"));
    }
    Ok(Removed { from: "this machine", archives, has_ended: false })
}

/// Before anybody is asked: the answer would be about nothing. A record that cannot be read can be removed.
async fn must_exist(log_ins: &LogIns<'_>, names: &[ProfileName]) -> Result<()> {
    for name in names {
        match log_ins.must_exist(name).await {
            Err(error) if error.kind == ErrorKind::Profile => {}
            there => drop(there?),
        }
    }
    Ok(())
}

fn agree(context: &Context, names: &[ProfileName], shared: &SharedStateArgs) -> Result<()> {
    let names: Vec<&str> = names.iter().map(ProfileName::as_str).collect();
    if !context.output.can_ask() {
        return Err(Error::usage(format!("remove deletes tokens for good, and {}", context.output.why_not_asked()))
            .hint(format!(
                "To remove without a question: bbdl profiles remove {}{} --yes",
                names.join(" "),
                shared_state::typed_option(context)
            )));
    }
    context.output.tell(format!("Profiles and their tokens: {}", names.join(", ")));
    let place = if shared_state::is_named(context, shared) { "the shared state" } else { "this machine" };
    match context.output.asks_for_yes(&format!("Remove all of them from {place}?"))? {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Declined, "nothing was removed")),
    }
}

fn tell(context: &Context, name: &ProfileName, removed: &Removed) {
    if context.output.json() {
        return;
    }
    let lives_on = if removed.has_ended { "" } else { "; the consent goes on at the server until it ends" };
    context.output.say(format!("{name}: removed from {}{lives_on}", removed.from));
    for note in &removed.archives {
        context.output.say(format!("  its archive stays: {} ({})", note.out.display(), note.size()));
    }
}
