//! Checks that the right person logged in: compares with the other profiles, and with who had this profile before.
//!
//! If the browser is still signed in as another person, Medicare logs that person in without asking. The server says
//! only afterwards who it was. By then, it has ended every earlier log-in of that person with the same app, on any
//! machine.

use std::time::Duration;

use serde_json::Value;

use super::plan::Plan;
use crate::{
    api::{
        client::{AccessToken, Bearer, Wanted},
        endpoints::Server,
        retry::RetryPolicy,
    },
    api_version::ApiVersion,
    auth::token::{Credential, Grant},
    commands::Context,
    error::{Error, ErrorKind, Result, sanitized},
    profile::{Profile, ProfileName},
};

/// How the people of two log-ins are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// Both belong to one person.
    Same,
    /// They belong to two people.
    Other,
    /// The server names no person, or one id is from v3 and the other from v1 or v2, so they cannot be compared.
    Unknown,
}

/// Another profile of the person who has just logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) name: ProfileName,
    /// It has the same app, so this consent ended its log-in at the server.
    pub(super) same_app: bool,
    /// Its log-in was still valid before, as far as this machine knows.
    pub(super) was_good: bool,
}

/// What to do with the new log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Keep it under the requested profile. These log-ins have ended.
    Keep { ended: Vec<ProfileName> },
    /// Keep it under the profile of the person who logged in. These other log-ins of that person have ended.
    Divert { to: ProfileName, ended: Vec<ProfileName> },
    /// Do not keep it.
    Refuse,
}

/// `past` says whether the person is the one that this profile had. `replace` says that a different person is fine.
///
/// If the profile belongs to another person, and the person at the browser has a profile with this app, the tokens go
/// there. That profile's own log-in ended with the consent, so revoking the new tokens would leave the person with
/// none.
pub(super) fn decide(past: Relation, holders: &[Holder], replace: bool) -> Verdict {
    let ended: Vec<&Holder> = holders.iter().filter(|holder| holder.same_app).collect();
    let names = |but: Option<&ProfileName>| -> Vec<ProfileName> {
        ended.iter().map(|holder| holder.name.clone()).filter(|name| Some(name) != but).collect()
    };
    if past != Relation::Other || replace {
        return Verdict::Keep { ended: names(None) };
    }
    match ended.iter().find(|holder| holder.was_good).or(ended.first()) {
        Some(to) => Verdict::Divert { to: to.name.clone(), ended: names(Some(&to.name)) },
        None => Verdict::Refuse,
    }
}

/// The person who has just logged in.
pub(super) struct Person {
    server: Server,
    /// The Patient id at the API version of the log-in.
    patient: Option<String>,
    /// The Patient id at the other API versions, if bbdl asked for it and got it.
    other_patient: Option<String>,
}

impl Person {
    /// Asks for the id at the other API versions only if a profile has no other id to compare with.
    pub(super) async fn of(
        context: &Context,
        plan: &Plan,
        new: &Credential,
        profiles: &[(ProfileName, Profile)],
    ) -> Self {
        let server = plan.server.clone();
        let is_needed = |profile: &&Profile| {
            profile.server == *server.origin()
                && !profile.api.shares_ids_with(server.api())
                && profile.grant.patient.is_some()
        };
        let needed = profiles.iter().map(|(_, profile)| profile).find(is_needed).map(|profile| profile.api);
        let other_patient = match needed {
            // Tokens work at every version, and userinfo answers with that version's own id.
            Some(api) => userinfo(context, new, api).await.and_then(|info| text(&info, "patient")),
            None => None,
        };
        Self { server, patient: new.grant.patient.clone(), other_patient }
    }

    /// How this person and a profile's are related.
    pub(super) fn relation(&self, profile: &Profile) -> Relation {
        let own = if profile.api.shares_ids_with(self.server.api()) { &self.patient } else { &self.other_patient };
        match (own, &profile.grant.patient) {
            (Some(own), Some(theirs)) if profile.server == *self.server.origin() => {
                if own == theirs {
                    Relation::Same
                } else {
                    Relation::Other
                }
            }
            _ => Relation::Unknown,
        }
    }

    /// The profiles among these that belong to this person.
    pub(super) fn holders(
        &self,
        profiles: &[(ProfileName, Profile)],
        but: &ProfileName,
        client_id: &str,
    ) -> Vec<Holder> {
        let held = profiles.iter().filter(|(name, profile)| name != but && self.relation(profile) == Relation::Same);
        let holder = |(name, profile): &(ProfileName, Profile)| Holder {
            name: name.clone(),
            same_app: profile.client_id == client_id,
            was_good: profile.ended.is_none(),
        };
        held.map(holder).collect()
    }
}

/// Who logged in, as text for people: the name if it was shared, else the end of the Patient id.
pub(super) async fn who(context: &Context, new: &Credential, api: ApiVersion) -> String {
    let name = match new.grant.allows_userinfo() {
        true => userinfo(context, new, api).await.and_then(|info| text(&info, "name")),
        false => None,
    };
    name.map(|name| sanitized(&name)).filter(|name| !name.is_empty()).unwrap_or_else(|| masked(&new.grant))
}

/// "the person with the id …0010": enough to tell two people of a family apart, but not a usable id.
fn masked(grant: &Grant) -> String {
    const SHOWN: usize = 4;
    match &grant.patient {
        Some(id) if id.chars().count() > SHOWN => {
            let end: String = id.chars().skip(id.chars().count() - SHOWN).collect();
            format!("the person with the id …{end}")
        }
        _ => "a person whom the server does not name".to_owned(),
    }
}

fn text(info: &Value, key: &str) -> Option<String> {
    info[key].as_str().map(str::to_owned).filter(|text| !text.is_empty())
}

/// What the server says about who logged in. bbdl does not wait long for it, because the log-in works without it.
async fn userinfo(context: &Context, new: &Credential, api: ApiVersion) -> Option<Value> {
    const PATIENCE: Duration = Duration::from_secs(10);
    if !new.grant.allows_userinfo() {
        return None;
    }
    let server = Server::new(new.origin.clone(), api);
    let url = server.userinfo();
    let client = context.client(server, RetryPolicy { retries: 0, ..RetryPolicy::default() }).ok()?;
    let token = NewToken(AccessToken::new(new.origin.clone(), new.access_token.clone()));
    let read = |body: String| serde_json::from_str::<Value>(&body).map_err(|_| "it is not JSON".to_owned());
    tokio::time::timeout(PATIENCE, client.get(&token, &url, Wanted::Json, read)).await.ok()?.ok()
}

/// The token that has just come. It is not renewed.
#[derive(Clone)]
struct NewToken(AccessToken);

impl Bearer for NewToken {
    async fn token(&self) -> Result<AccessToken> {
        Ok(self.0.clone())
    }

    async fn renew(&self, _: &AccessToken) -> Result<AccessToken> {
        Err(Error::new(ErrorKind::Token, "the server does not accept the access token that it has just given"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str, same_app: bool, was_good: bool) -> Holder {
        Holder { name: name.parse().unwrap(), same_app, was_good }
    }

    fn names(names: &[&str]) -> Vec<ProfileName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn the_person_of_new_tokens_is_recognized() {
        use Relation::{Other, Same, Unknown};
        let keep = |ended: &[&str]| Verdict::Keep { ended: names(ended) };
        let divert = |to: &str, ended: &[&str]| Verdict::Divert { to: to.parse().unwrap(), ended: names(ended) };
        let mom = holder("mom", true, true);
        let elsewhere = holder("other-app", false, true);
        for (past, holders, replace, verdict) in [
            (Unknown, vec![], false, keep(&[])),
            (Same, vec![], false, keep(&[])),
            (Same, vec![mom.clone()], false, keep(&["mom"])),
            (Unknown, vec![mom.clone(), elsewhere.clone()], false, keep(&["mom"])),
            (Other, vec![], false, Verdict::Refuse),
            (Other, vec![], true, keep(&[])),
            // A log-in with another app stays valid, and its profile cannot use this app's tokens.
            (Other, vec![elsewhere.clone()], false, Verdict::Refuse),
            (Other, vec![mom.clone()], false, divert("mom", &[])),
            (Other, vec![mom.clone()], true, keep(&["mom"])),
            (Other, vec![holder("old", true, false), mom.clone()], false, divert("mom", &["old"])),
            (Other, vec![holder("old", true, false), elsewhere], false, divert("old", &[])),
        ] {
            assert_eq!(decide(past, &holders, replace), verdict, "{past:?} {holders:?} {replace}");
        }
    }

    #[test]
    fn an_id_is_not_shown_whole() {
        let grant = |id: &str| Grant { patient: Some(id.to_owned()), ..Grant::default() };
        assert_eq!(masked(&grant("-20140000010000")), "the person with the id …0000");
        assert!(!masked(&grant("1234")).contains("1234"));
        assert!(!masked(&Grant::default()).is_empty());
    }
}
