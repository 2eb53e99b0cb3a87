//! Stores a new log-in: tokens first, then the profile that points to them.

use std::sync::Arc;

use jiff::Timestamp;

use super::{hold_however_long, plan::Plan};
use crate::{
    auth::{
        log_in_end::{Ended, EndedKind},
        store::{StoreKind, TokenStore},
        token::Credential,
    },
    commands::Context,
    error::{Error, Result},
    profile::{Profile, ProfileName, Replaced},
    runtime::run_blocking,
    secret::Secret,
};

/// A profile as it was before a log-in: its record and its tokens.
pub(super) struct Before {
    profile: Option<Profile>,
    tokens: Option<Secret>,
}

impl Before {
    /// Reads it as far as possible, because it will be replaced anyway. The tokens are needed only if a person may be
    /// asked whether to restore it.
    pub(super) async fn of(context: &Context, name: &ProfileName) -> Self {
        let profile = Profile::load(&context.paths, name).ok().flatten();
        let tokens = match profile.as_ref().filter(|_| context.output.can_ask()) {
            Some(profile) => {
                let (store, name) = (context.store(profile.token_store), name.clone());
                run_blocking(move || store.load(name.as_str()).ok().flatten()).await.ok().flatten()
            }
            None => None,
        };
        Self { profile, tokens }
    }

    pub(super) fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// Restores it. If its own log-in has ended in the meantime, records that.
    pub(super) async fn restore(self, context: &Context, plan: &Plan, has_ended: bool) -> Result<()> {
        let Some(mut profile) = self.profile else {
            delete(&plan.store, &plan.name).await?;
            return Profile::leave(&context.paths, &plan.name);
        };
        if has_ended && profile.ended.is_none() {
            profile.ended = Some(Ended { kind: EndedKind::Replaced, at: Timestamp::now() });
        }
        match &self.tokens {
            Some(tokens) => save(&context.store(profile.token_store), &plan.name, tokens.clone()).await?,
            None => delete(&plan.store, &plan.name).await?,
        }
        if profile.token_store != plan.store_kind {
            delete(&plan.store, &plan.name).await?;
        }
        profile.replace(&context.paths, &plan.name).map(|replaced| tell_what_is_left(context, &replaced))
    }
}

/// Stores the log-in under the requested profile.
pub(super) async fn here(context: &Context, plan: &Plan, new: &Credential, before: &Before) -> Result<Profile> {
    save(&plan.store, &plan.name, new.to_record()).await?;
    let profile = Profile {
        server: plan.server.origin().clone(),
        api: plan.server.api(),
        client_id: plan.app.client_id.clone(),
        token_store: plan.store_kind,
        redirect_uri: plan.redirect_given.clone(),
        grant: new.grant.clone(),
        archives: Vec::new(),
        ended: None,
    };
    let replaced = profile.replace(&context.paths, &plan.name)?;
    tell_what_is_left(context, &replaced);
    if let Some(other) = before.profile().filter(|profile| profile.token_store != plan.store_kind) {
        // This consent has ended the old tokens, so they should not remain.
        let _ = delete(&context.store(other.token_store), &plan.name).await;
    }
    Ok(replaced.profile)
}

/// Stores a record. A keyring may ask for its password; a request to stop is heard meanwhile.
async fn save(store: &Arc<dyn TokenStore>, name: &ProfileName, record: Secret) -> Result<()> {
    let (store, name) = (Arc::clone(store), name.clone());
    run_blocking(move || store.save(name.as_str(), &record)).await?.map_err(Error::from)
}

/// Deletes a record, as [`save`] stores it.
async fn delete(store: &Arc<dyn TokenStore>, name: &ProfileName) -> Result<()> {
    let (store, name) = (Arc::clone(store), name.clone());
    run_blocking(move || store.delete(name.as_str())).await?.map(drop).map_err(Error::from)
}

/// Says which archives the new log-in does not continue.
fn tell_what_is_left(context: &Context, Replaced { left_behind, noted, .. }: &Replaced) {
    if left_behind.is_empty() {
        return;
    }
    let archives: Vec<String> = left_behind.iter().map(|note| note.out.display().to_string()).collect();
    let archives = archives.join(", ");
    match noted {
        Ok(()) => context
            .output
            .say(format!("The archives of the log-in before stay, and purge still knows them: {archives}")),
        Err(error) => context.output.warn(format!(
            "the archives of the log-in before stay, and purge no longer knows them: {archives} ({})",
            error.message
        )),
    }
}

/// Tests the store before the person goes to the browser, because a keyring may be readable but refuse to write until
/// it is unlocked. No profile can have the name that is used for the test.
pub(super) fn check(store: &dyn TokenStore, profile: &ProfileName) -> Result<()> {
    let name = format!("{profile}#check");
    store.save(&name, &Secret::new("bbdl was here".to_owned()))?;
    store.delete(&name)?;
    Ok(())
}

/// Stores the log-in under the existing profile of the person who logged in. That profile keeps its own version with
/// that version's Patient id, its archives and its token store.
pub(super) async fn there(context: &Context, plan: &Plan, new: &Credential, name: &ProfileName) -> Result<Profile> {
    let _held = hold_however_long(context, name).await;
    let mut profile = Profile::must_load(&context.paths, name)?;
    let mut new = new.clone();
    new.grant.patient = profile.grant.patient.clone();
    if save(&context.store(profile.token_store), name, new.to_record()).await.is_err() {
        // These tokens come only once, so use the store of this log-in, which has just been tested.
        save(&plan.store, name, new.to_record()).await?;
        if profile.token_store != plan.store_kind {
            let _ = delete(&context.store(profile.token_store), name).await;
            profile.token_store = plan.store_kind;
        }
    }
    profile.grant = new.grant;
    profile.ended = None;
    // A fetch may have recorded an archive in the meantime.
    let replaced = profile.replace(&context.paths, name)?;
    Ok(replaced.profile)
}

/// Records for other profiles of the same person that the server has just ended their log-ins.
pub(super) fn mark_ended(context: &Context, names: &[ProfileName], profiles: &[(ProfileName, Profile)]) {
    for (name, profile) in profiles.iter().filter(|(name, _)| names.contains(name)) {
        if let Err(error) = Profile::mark_ended(&context.paths, name, &profile.grant, EndedKind::Replaced) {
            context.output.warn(format!("profile \"{name}\" could not be updated: {error}"));
        }
    }
}

/// The name of a store in a sentence.
pub(super) fn store_name(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Keyring => "this system's keyring",
        StoreKind::File => "private files (--token-store file)",
        StoreKind::Command => "what your token store command keeps them in",
    }
}
