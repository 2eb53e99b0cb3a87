//! `bbdl profiles rename`: gives another name to a profile and to all that is kept under it.
//!
//! First the tokens are stored under the new name. Then archives move. Then the record is renamed, and from that
//! moment the new name counts. Then the tokens of the old name are deleted. If this is interrupted at any point, one
//! of the two names works, and the same command finishes the rest.

use std::path::Path;

use serde_json::json;

use crate::{
    archive::{self, manifest::Manifest},
    auth::token::Credential,
    cli::ProfilesRename,
    commands::{Context, login},
    error::{Error, Result},
    files::path_text::to_text,
    profile::{Profile, ProfileName, TakenNames, archive_notes::ArchiveNote},
};

/// Runs the command. Only archives with the profile's name move, because `--all-profiles` looks for them there.
///
/// # Errors
/// [`crate::error::Exit::Usage`] if the new name is taken; [`crate::error::Exit::NotSetUp`] if there is no such
/// profile or its tokens cannot be moved; [`crate::error::Exit::TryAgain`] while another `bbdl` uses either name.
pub(super) fn run(context: &Context, args: &ProfilesRename) -> Result<()> {
    let (old, new): (&ProfileName, &ProfileName) = (&args.old, &args.new);
    if old.as_str().eq_ignore_ascii_case(new.as_str()) {
        return Err(Error::usage(
            "the two names are the same, or differ only in capital letters, which some file systems ignore",
        ));
    }
    let mut taken: TakenNames = context.paths.profiles()?.into_iter().collect();
    if !taken.has(new) {
        taken.take(new.clone())?;
    }
    // Always in the same order, so that two renames in opposite directions do not wait for each other.
    let (first, second) = if old < new { (old, new) } else { (new, old) };
    let _first = login::hold(context, first, "rename a profile")?;
    let _second = login::hold(context, second, "rename a profile")?;
    let paths = &context.paths;
    let (profile, has_moved) = match (Profile::load(paths, old)?, Profile::load(paths, new)?) {
        (Some(profile), None) => (profile, false),
        (None, Some(renamed)) if is_left_over(context, old, &renamed)? => (renamed, true),
        (None, _) => (Profile::must_exist(paths, old)?, false),
        (Some(_), Some(_)) => {
            return Err(Error::usage(format!("there is a profile \"{new}\" already"))
                .hint(format!("Choose another name, or remove that profile first: bbdl profiles remove {new}")));
        }
    };
    // A running fetch would look for the profile under the old name.
    for place in profile.archives.iter().filter_map(|note| note.place().ok().flatten()) {
        archive::refuse_in_use(&place)?;
    }
    let store = context.store(context.token_store.unwrap_or(profile.token_store));
    // A record without tokens (deleted by hand) is renamed too.
    if let Some(tokens) = store.load(old.as_str())? {
        store.save(new.as_str(), &tokens)?;
    }
    let mut moved = Vec::new();
    for note in profile.archives.iter().filter(|note| note.out.ends_with(old.as_str())) {
        let to = note.out.with_file_name(new.as_str());
        match relocate(note, &to, &profile) {
            Ok(()) => {
                Profile::note_move(paths, if has_moved { new } else { old }, &note.out, &to)?;
                moved.push(to);
            }
            Err(why) => context.output.warn(format!("the archive {} was not moved: {why}", note.out.display())),
        }
    }
    Profile::rename(paths, old, new)?;
    store.delete(old.as_str())?;
    if context.output.json() {
        let moved: Vec<String> = moved.iter().map(|to| to_text(to)).collect();
        context.output.result_json(&json!({"profile": new.as_str(), "was": old.as_str(), "moved": moved}));
    } else {
        context.output.say(format!("Profile \"{old}\" is \"{new}\" now."));
        for to in moved {
            context.output.say(format!("Its archive is here now: {}", to.display()));
        }
    }
    Ok(())
}

/// Moves an archive of the profile, or returns why it stays.
fn relocate(note: &ArchiveNote, to: &Path, profile: &Profile) -> Result<(), String> {
    note.place().map_err(str::to_owned)?;
    match archive::relocate(&note.out, to, |source| note.is_of(source, Some(profile))) {
        Ok(true) => Ok(()),
        // It was moved before an interruption.
        Ok(false) if !note.out.exists() && is_it(note, to, profile) => Ok(()),
        Ok(false) if note.out.exists() && to.exists() => Err(format!("something is at {} already", to.display())),
        Ok(false) => Err("no archive of this profile is there".to_owned()),
        Err(error) => Err(error.message),
    }
}

/// Whether the archive at `to` is the one in the note.
fn is_it(note: &ArchiveNote, to: &Path, profile: &Profile) -> bool {
    Manifest::load(to).is_ok_and(|there| there.is_some_and(|manifest| note.is_of(&manifest.source, Some(profile))))
}

/// Whether an earlier run has renamed the profile but could not remove the tokens of the old name.
fn is_left_over(context: &Context, old: &ProfileName, renamed: &Profile) -> Result<bool> {
    let store = context.store(context.token_store.unwrap_or(renamed.token_store));
    let left = store.load(old.as_str())?.as_ref().and_then(Credential::from_record);
    Ok(left.is_some_and(|left| left.grant.log_in.is_some() && left.grant.log_in == renamed.grant.log_in))
}
