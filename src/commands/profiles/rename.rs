//! `bbdl profiles rename`: another name for a profile, and for all that is kept under it.
//!
//! The tokens are stored under the new name first, then the record is renamed, which is the moment at which the new
//! name counts, and then the tokens of the old name go. Whenever this is cut short, one of the two names works, and the
//! same command finishes the rest.

use serde_json::json;

use crate::{
    auth::token::Credential,
    cli::ProfilesRename,
    commands::{Context, login},
    error::{Error, Result},
    files::path_text::typed,
    profile::{Profile, ProfileName, TakenNames},
};

/// Runs the command. Archives stay where they are.
///
/// # Errors
/// [`crate::error::Exit::Usage`] when the new name is taken; [`crate::error::Exit::NotSetUp`] without such a profile or when its
/// tokens cannot be moved; [`crate::error::Exit::TryAgain`] while another `bbdl` uses either name.
pub(super) fn run(context: &Context, args: &ProfilesRename) -> Result<()> {
    let (old, new): (&ProfileName, &ProfileName) = (&args.old, &args.new);
    if old.as_str().eq_ignore_ascii_case(new.as_str()) {
        return Err(Error::usage(
            "the names differ in nothing, or in capital letters only, which some file systems do not tell apart",
        ));
    }
    let mut taken: TakenNames = context.paths.profiles()?.into_iter().collect();
    if !taken.has(new) {
        taken.take(new.clone())?;
    }
    // In one order whoever comes: two that rename to and fro must not wait for each other.
    let (first, second) = if old < new { (old, new) } else { (new, old) };
    let _first = login::hold(context, first, "rename a profile")?;
    let _second = login::hold(context, second, "rename a profile")?;
    let paths = &context.paths;
    let profile = match (Profile::load(paths, old)?, Profile::load(paths, new)?) {
        (Some(profile), None) => profile,
        (None, Some(renamed)) if is_left_over(context, old, &renamed)? => renamed,
        (None, _) => Profile::must_load(paths, old)?,
        (Some(_), Some(_)) => {
            return Err(Error::usage(format!("there is a profile \"{new}\" already"))
                .hint(format!("Choose another name, or remove that profile first: bbdl profiles remove {new}")));
        }
    };
    let store = context.store(context.token_store.unwrap_or(profile.token_store));
    // A record without tokens (logged out by hand) is renamed as well.
    if let Some(tokens) = store.load(old.as_str())? {
        store.save(new.as_str(), &tokens)?;
    }
    Profile::rename(paths, old, new)?;
    store.delete(old.as_str())?;
    if context.ui.json() {
        context.ui.result_json(&json!({"profile": new.as_str(), "was": old.as_str()}));
    } else {
        context.ui.say(format!("Profile \"{old}\" is \"{new}\" now. Archives stay where they are."));
    }
    // `--all-profiles` looks for an archive under the profile's name.
    for note in profile.archives.iter().filter(|note| note.out.ends_with(old.as_str())) {
        let to = note.out.with_file_name(new.as_str());
        context.ui.say(format!("For fetch --all-profiles, move its archive: mv {} {}", typed(&note.out), typed(&to)));
    }
    Ok(())
}

/// Whether an earlier run has renamed the profile, and could not remove the tokens of the old name.
fn is_left_over(context: &Context, old: &ProfileName, renamed: &Profile) -> Result<bool> {
    let store = context.store(context.token_store.unwrap_or(renamed.token_store));
    let left = store.load(old.as_str())?.as_ref().and_then(Credential::from_record);
    Ok(left.is_some_and(|left| left.grant.log_in.is_some() && left.grant.log_in == renamed.grant.log_in))
}
