//! `bbdl status`: the log-ins of this machine and how long they last. Needs no network.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        client::{Failure, Wanted},
        endpoints::Searchable,
        problem::Problem,
        retry::RetryPolicy,
    },
    auth::{log_in_end::EndedKind, refusal::intercepted, token::AccessCategory},
    claim::archived::coverages,
    claim::coverage::notice,
    cli::Status,
    commands::{Context, shared_state},
    error::{Error, ErrorKind, Exit, Result},
    profile::{Profile, ProfileName, archive_notes::ArchiveNote},
    runtime::{asked_to_stop, block_on, interruptible},
};

/// From here on a person is reminded that the consent ends.
const REMIND_DAYS: i64 = 30;

/// What the server said when it was asked.
type Online = Result<(), Error>;

/// Runs the command.
///
/// # Errors
/// [`Exit::Disk`] when the profiles cannot be read, [`Exit::NotSetUp`] when one was named and is not there; of
/// `--online`, the gravest of what was found.
pub fn run(context: &Context, args: &Status) -> Result<()> {
    let now = Timestamp::now();
    let named = [context.profile.clone()];
    let wanted = context.profile_is_named.then_some(&named[..]);
    if let Some(profiles) = shared_state::profiles(context, &args.shared, wanted)? {
        return of_shared_state(context, args, profiles);
    }
    let mut rows = Vec::new();
    let names = if context.profile_is_named {
        // What was asked for by name has to be there.
        Profile::must_load(&context.paths, &context.profile)?;
        vec![context.profile.clone()]
    } else {
        context.paths.profiles()?
    };
    for name in names {
        let online = match load(context, &name) {
            Some(profile) if args.online => Some(ask(context, &name, &profile)?),
            Some(_) => None,
            None => continue,
        };
        // As it is by now: to ask may have renewed or ended the log-in.
        if let Some(profile) = load(context, &name) {
            rows.push((name, profile, online));
        }
    }
    let same_person = SamePerson(Profile::load_all(&context.paths)?);
    if context.ui.json() {
        let profiles: Vec<Value> =
            rows.iter().map(|(name, profile, online)| row(name, profile, online.as_ref(), now)).collect();
        let profiles: Vec<Value> = profiles.into_iter().map(|row| same_person.marked(row)).collect();
        context.ui.result_json(&json!({ "profiles": profiles }));
    } else if rows.is_empty() {
        context.ui.say("No log-ins on this machine. Begin with: bbdl login --sandbox  (or --production)");
    }
    if !context.ui.json() {
        for (name, profile, online) in &rows {
            context.ui.result(paragraph(name, profile, online.as_ref(), now) + &same_person.line(name));
        }
    }
    let asked = rows.iter().filter_map(|(name, _, online)| Some((name, online.as_ref()?.as_ref().err()?)));
    match asked.max_by_key(|(_, error)| error.exit().gravity()) {
        Some((name, error)) => Err(found(context, name, error.clone())),
        None => Ok(()),
    }
}

/// The same for a shared state.
fn of_shared_state(context: &Context, args: &Status, profiles: Vec<(ProfileName, Profile)>) -> Result<()> {
    let now = Timestamp::now();
    if args.online {
        return Err(Error::usage("--online asks with the tokens of this machine, not with those of a shared state"));
    }
    if context.profile_is_named && profiles.is_empty() {
        let message = format!("\"{}\" is not in the shared state", context.profile);
        return Err(Error::new(ErrorKind::NoProfile, message).hint("To list who is: bbdl profiles list"));
    }
    let same_person = SamePerson(profiles);
    if context.ui.json() {
        let row = |(name, profile): &(ProfileName, Profile)| {
            let mut row = same_person.marked(row(name, profile, None, now));
            row["token_store"] = "state".into();
            row
        };
        let profiles: Vec<Value> = same_person.0.iter().map(row).collect();
        context.ui.result_json(&json!({ "profiles": profiles }));
        return Ok(());
    }
    for (name, profile) in &same_person.0 {
        context.ui.result(paragraph(name, profile, None, now) + &same_person.line(name));
    }
    Ok(())
}

/// All profiles of this machine, to be held against each other.
struct SamePerson(Vec<(ProfileName, Profile)>);

impl SamePerson {
    /// The other profiles that hold the person of this one.
    fn names(&self, name: &str) -> Vec<&str> {
        let Some((_, own)) = self.0.iter().find(|(it, _)| it.as_str() == name) else { return Vec::new() };
        let same = self.0.iter().filter(|(it, other)| it.as_str() != name && other.holds_the_person_of(own));
        same.map(|(name, _)| name.as_str()).collect()
    }

    fn marked(&self, mut row: Value) -> Value {
        row["same_person_as"] = json!(self.names(row["name"].as_str().unwrap_or_default()));
        row
    }

    fn line(&self, name: &ProfileName) -> String {
        match self.names(name.as_str()) {
            names if names.is_empty() => String::new(),
            names => format!("\n  the same person as profile {}", names.join(", ")),
        }
    }
}

fn load(context: &Context, name: &ProfileName) -> Option<Profile> {
    Profile::load(&context.paths, name).unwrap_or_else(|error| {
        context.ui.warn(error.to_string());
        None
    })
}

/// The failure of the whole. The result on stdout has it already.
fn found(context: &Context, name: &ProfileName, error: Error) -> Error {
    let error = Error { message: format!("{name}: {}", error.message), ..error };
    if context.ui.json() { error.already_reported() } else { error }
}

/// Whether the server still takes the log-in: the smallest question that needs a token. What it says is remembered;
/// a log-in that is noted as over is asked about all the same.
///
/// # Errors
/// [`Exit::Interrupted`]; whatever else goes wrong is an answer to the question.
fn ask(context: &Context, name: &ProfileName, profile: &Profile) -> Result<Online> {
    let asked = block_on(async {
        let retry = RetryPolicy { retries: 1, ..RetryPolicy::default() };
        let (client, session) = context.session(name, &Profile { ended: None, ..profile.clone() }, retry)?;
        let mut url = client.server().search(Searchable::Coverage);
        url.query_pairs_mut().append_pair("_count", "1");
        let asked = interruptible(async { Ok(client.get(&session, &url, Wanted::Fhir, is_bundle).await) }).await;
        session.settle(asked_to_stop()).await;
        match asked? {
            // Not allowed to see this resource, but known.
            Ok(()) | Err(Failure::Answer(Problem::NotAllowed { .. })) => Ok(()),
            Err(Failure::Answer(Problem::Unreadable { said })) => Err(intercepted("the server", &said)),
            Err(Failure::Answer(problem)) => {
                let error = problem.into_error("the server", &profile.login_command(name));
                if error.kind == ErrorKind::GrantEnded {
                    session.note_ended(EndedKind::GrantEnded).await;
                }
                Err(error)
            }
            Err(Failure::Other(error)) => Err(error),
        }
    });
    match &asked {
        Err(error) if error.exit() == Exit::Interrupted => return Err(error.clone()),
        Ok(()) if profile.ended.is_some() => Profile::clear_ended(&context.paths, name)?,
        _ => {}
    }
    Ok(asked)
}

/// A captive portal can answer with JSON as well.
fn is_bundle(text: String) -> Result<(), String> {
    let body: Map<String, Value> = serde_json::from_str(&text).map_err(|_| "it is not a JSON object".to_owned())?;
    match body.get("resourceType").and_then(Value::as_str) {
        Some("Bundle") => Ok(()),
        _ => Err("it is not a Bundle".to_owned()),
    }
}

/// Whether a person has to log in again before the next pull can work.
fn must_log_in(profile: &Profile, now: Timestamp) -> bool {
    let grant = &profile.grant;
    if profile.ended.is_some() {
        return true;
    }
    let over = grant.grant_expires.is_some_and(|end| end <= now);
    let dead = grant.access_token_expires.is_none_or(|end| end <= now);
    over || (dead && !grant.refreshable)
}

fn row(name: &ProfileName, profile: &Profile, online: Option<&Online>, now: Timestamp) -> Value {
    let grant = &profile.grant;
    let mut value = json!({
        "name": name.as_str(),
        "server": profile.server,
        "api": profile.api,
        "client_id": profile.client_id,
        "patient": grant.patient,
        "scopes": grant.scopes,
        "demographics": grant.demographics(),
        "token_store": profile.token_store,
        "access_token_expires": grant.access_token_expires,
        "refreshable": grant.refreshable,
        "access_category": grant.access_category,
        "grant_expires": grant.grant_expires,
        "days_left": grant.days_left(now),
        "reauthorize": must_log_in(profile, now),
        "ended": profile.ended,
        "archives": profile.archives.iter().map(archive).collect::<Vec<_>>(),
    });
    if let Some(online) = online {
        value["online"] = match online {
            Ok(()) => json!({"ok": true}),
            Err(error) => json!({"ok": false, "kind": error.kind.name(), "message": words(error)}),
        };
    }
    value
}

/// An archive of the profile, with what its Coverage says of claims that a plan has.
fn archive(archive: &ArchiveNote) -> Value {
    let mut row = archive.to_json();
    if let Some(notice) = elsewhere(archive) {
        row["medicare_advantage"] = notice.into();
    }
    row
}

/// What is not in the archive because a Medicare Advantage plan has it. An archive that cannot be read is for `verify`.
fn elsewhere(archive: &ArchiveNote) -> Option<String> {
    notice(&coverages(&archive.place().ok()??).ok()?)
}

fn paragraph(name: &ProfileName, profile: &Profile, online: Option<&Online>, now: Timestamp) -> String {
    let grant = &profile.grant;
    let mut lines =
        vec![format!("{name}: {} (API {}), tokens in the {} store", profile.server, profile.api, profile.token_store)];
    let demographics = if grant.demographics() { "with" } else { "without" };
    lines.push(format!("  shared: {} scopes, {demographics} demographic data", grant.scopes.len()));
    lines.push(format!("  access: {}", duration(profile, now)));
    if must_log_in(profile, now) {
        lines.push(format!("  a new log-in is needed: {}", profile.login_command(name)));
    } else if let Some(reminder) = grant.reminder(now, REMIND_DAYS) {
        lines.push(format!("  {reminder}; renew it with: {}", profile.login_command(name)));
    }
    for archive in &profile.archives {
        let count = archive.count;
        lines.push(format!(
            "  archive: {} ({count} claims, last pull {})",
            archive.out.display(),
            archive.last_pull.strftime("%Y-%m-%d %H:%M UTC")
        ));
        lines.extend(elsewhere(archive).map(|notice| format!("    {notice}")));
    }
    match online {
        Some(Ok(())) => lines.push("  the server accepts this log-in".to_owned()),
        Some(Err(error)) => lines.push(format!("  the server was asked: {}", words(error))),
        None => {}
    }
    lines.join("\n")
}

fn words(error: &Error) -> String {
    if error.hint.is_empty() { error.message.clone() } else { format!("{} ({})", error.message, error.hint) }
}

fn duration(profile: &Profile, now: Timestamp) -> String {
    let grant = &profile.grant;
    let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    if let Some(ended) = profile.ended {
        return format!("ended, known since {}: {}", day(ended.at), ended.kind.words());
    }
    match (grant.access_category, grant.grant_expires) {
        (AccessCategory::OneTime, _) => match grant.access_token_expires {
            Some(end) if end <= now => format!("one-time, ended {}", day(end)),
            Some(end) => format!("one-time, until {}", day(end)),
            None => "one-time".to_owned(),
        },
        (AccessCategory::Research, _) => "research study, until withdrawn".to_owned(),
        (_, Some(end)) if end <= now => format!("ended {}", day(end)),
        (_, Some(end)) => format!("until {} ({} days)", day(end), grant.days_left(now).unwrap_or(0)),
        (_, None) => "the server did not say for how long".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{log_in_end::Ended, token::Grant};

    fn profile(category: AccessCategory, refreshable: bool, access: &str, grant: Option<&str>) -> Profile {
        Profile {
            server: "https://sandbox.bluebutton.cms.gov".parse().unwrap(),
            api: crate::api_version::ApiVersion::V2,
            client_id: "id".into(),
            token_store: crate::auth::store::StoreKind::File,
            redirect_uri: None,
            grant: Grant {
                access_token_expires: access.parse().ok(),
                refreshable,
                access_category: category,
                grant_expires: grant.and_then(|text| text.parse().ok()),
                ..Grant::default()
            },
            archives: Vec::new(),
            ended: None,
        }
    }

    #[test]
    fn when_a_person_has_to_log_in_again() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let (early, late) = ("2026-11-23T09:00:00Z", "2026-11-23T11:00:00Z");
        use AccessCategory::{OneTime, Research, ThirteenMonth};
        let ended = Ended { kind: EndedKind::GrantRevoked, at: now };
        for (case, expected) in [
            (profile(ThirteenMonth, true, early, Some("2027-12-01T00:00:00Z")), false),
            (profile(ThirteenMonth, true, late, Some(early)), true),
            (profile(OneTime, false, late, Some(late)), false),
            (profile(OneTime, false, early, Some(early)), true),
            (profile(Research, true, early, None), false),
            (Profile { ended: Some(ended), ..profile(Research, true, early, None) }, true),
        ] {
            assert_eq!(must_log_in(&case, now), expected, "{case:?}");
        }
    }
}
