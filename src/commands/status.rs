//! `bbdl status`: the log-ins of this machine and how long they last. It needs no network.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::{
    api::{
        client::{Failure, Wanted},
        endpoints::Searchable,
        problem::Problem,
        retry::RetryPolicy,
    },
    api_version::ApiVersion,
    auth::{log_in_end::EndedKind, refusal::intercepted, token::AccessCategory},
    claim::archived::coverages,
    claim::coverage::notice,
    cli::Status,
    commands::{Context, shared_state},
    error::{Error, ErrorKind, Exit, Result},
    files::path_text::to_text,
    output::counted,
    profile::{Profile, ProfileName, Unreadable, archive_notes::ArchiveNote, last_pull::LastPulls},
    runtime::{asked_to_stop, block_on_with_workers, interruptible},
};

/// From this many days before the end of the consent, a person is reminded of it.
const REMIND_DAYS: i64 = 30;

/// The server's answer to the question.
type Online = Result<(), Error>;
/// How many log-ins are checked at the same time. The client limits how many requests that makes.
const ASKED_AT_ONCE: usize = 16;

/// Runs the command.
///
/// # Errors
/// [`Exit::Disk`] if the profiles cannot be listed, [`Exit::NotSetUp`] if one cannot be read, or was named and does not
/// exist. With `--online`, the gravest error that was found.
pub(crate) fn run(context: &Context, args: &Status) -> Result<()> {
    if args.paths {
        places(context);
        return Ok(());
    }
    let named = [context.profile.clone()];
    let wanted = context.profile_is_named.then_some(&named[..]);
    if let Some(profiles) = shared_state::profiles(context, &args.shared, wanted)? {
        return of_shared_state(context, args, profiles);
    }
    let all = context.paths.profiles()?;
    let names = if context.profile_is_named {
        // A profile that was named has to exist.
        Profile::must_exist(&context.paths, &context.profile)?;
        std::slice::from_ref(&context.profile)
    } else {
        &all
    };
    let online = if args.online { block_on_with_workers(ask_all(context, names))? } else { HashMap::new() };
    // Read again now, because the check may have renewed or ended a log-in.
    let Read { rows, same_person, unreadable } = read(context, &all, names, &online);
    if rows.is_empty() && unreadable.is_empty() && !context.output.json() {
        context.output.say("No log-ins on this machine. Begin with: bbdl login --sandbox  (or --production)");
    }
    show(context, &rows, &same_person, &unreadable)?;
    let failed: Vec<(&ProfileName, &Error)> =
        names.iter().filter_map(|name| Some((name, online.get(name)?.as_ref().err()?))).collect();
    let found = found(context, &failed).err();
    let gravest = unreadable
        .into_error()
        .into_iter()
        .chain(found)
        .reduce(|one, other| if other.exit().gravity() > one.exit().gravity() { other } else { one });
    let Some(error) = gravest else { return Ok(()) };
    // The result on stdout already says it.
    Err(if context.output.json() { error.already_reported() } else { error })
}

/// The same for a shared state.
fn of_shared_state(context: &Context, args: &Status, profiles: shared_state::Rows) -> Result<()> {
    let now = Timestamp::now();
    if args.online {
        return Err(Error::usage("status --online does not work on a shared state").hint(
            "For the profiles of this machine, leave --state out, and unset BBDL_STATE and state in config.toml. In a shared state, each fetch with --all-profiles notes whose log-in has ended. To see that: bbdl status",
        ));
    }
    if context.profile_is_named && profiles.is_empty() {
        let message = format!("\"{}\" is not in the shared state", context.profile);
        return Err(Error::new(ErrorKind::NoProfile, message).hint("To list who is: bbdl profiles list"));
    }
    let (mut rows, mut people, mut unreadable) = (Vec::new(), Vec::new(), Unreadable::default());
    for (name, read) in profiles {
        let Some(profile) = unreadable.or_note(&name, read.map(Some)) else { continue };
        people.push((name.clone(), PersonKey::of(&profile)));
        let text = if context.output.json() {
            row(&name, &profile, Kept::InSharedState, now).to_string()
        } else {
            paragraph(&name, &profile, Kept::InSharedState, now)
        };
        rows.push(Shown { name, text });
    }
    show(context, &rows, &SamePerson::of(people), &unreadable)?;
    let Some(error) = unreadable.into_error() else { return Ok(()) };
    // The result on stdout says it already.
    Err(if context.output.json() { error.already_reported() } else { error })
}

fn show(context: &Context, rows: &[Shown], same_person: &SamePerson, unreadable: &Unreadable) -> Result<()> {
    if context.output.json() {
        context.output.stream(|out| {
            let wrong = |cause| Error::stdout(&cause);
            out.write_all(b"{\"profiles\":[").map_err(wrong)?;
            for (place, Shown { name, text }) in rows.iter().enumerate() {
                let between = if place == 0 { "" } else { "," };
                let same = serde_json::to_string(&same_person.names(name)).unwrap_or_default();
                let fields = text.strip_suffix('}').unwrap_or(text);
                write!(out, "{between}{fields},\"same_person_as\":{same}}}").map_err(wrong)?;
            }
            writeln!(out, "]{}}}", unreadable.json_field()).map_err(wrong)
        })?;
    } else {
        for Shown { name, text } in rows {
            context.output.result(text.clone() + &same_person.line(name));
        }
    }
    Ok(())
}

/// Where things are on this machine, whether or not they exist yet.
fn places(context: &Context) {
    let paths = &context.paths;
    let (config, state, tokens) = (paths.config_file(), paths.state(), paths.tokens());
    if context.output.json() {
        context.output.result_json(&json!({"paths": {
            "config": to_text(config), "state": to_text(state), "tokens": to_text(&tokens),
        }}));
        return;
    }
    context.output.result(format!(
        "configuration  {}\nstate          {}\ntokens         {} (with --token-store file; other stores keep them elsewhere)",
        config.display(),
        state.display(),
        tokens.display()
    ));
}

/// What is shown of a profile: a paragraph, or an object of JSON whose last field is still to come.
struct Shown {
    name: ProfileName,
    text: String,
}

/// What was read about the profiles.
struct Read {
    rows: Vec<Shown>,
    same_person: SamePerson,
    unreadable: Unreadable,
}

/// Reads all profiles, and what is shown of those in `names`. There may be many thousands. So each is turned into
/// text as soon as it is read, in as many threads as the machine has processors.
fn read(context: &Context, all: &[ProfileName], names: &[ProfileName], online: &HashMap<ProfileName, Online>) -> Read {
    const FEW: usize = 64;
    let now = Timestamp::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(all.len().div_ceil(FEW)).max(1);
    let is_shown = |name: &ProfileName| names.len() == all.len() || names.contains(name);
    let read_some = |some: &[ProfileName]| {
        let (mut rows, mut people, mut unreadable) = (Vec::new(), Vec::new(), Unreadable::default());
        for name in some {
            // Reports a profile that cannot be read only if it was asked for.
            let loaded = if is_shown(name) {
                load(context, name)
            } else {
                Ok(Profile::load(&context.paths, name).ok().flatten())
            };
            let Some(profile) = unreadable.or_note(name, loaded) else { continue };
            people.push((name.clone(), PersonKey::of(&profile)));
            if is_shown(name) {
                let asked = online.get(name);
                let text = if context.output.json() {
                    row(name, &profile, Kept::Here(asked), now).to_string()
                } else {
                    paragraph(name, &profile, Kept::Here(asked), now)
                };
                rows.push(Shown { name: name.clone(), text });
            }
        }
        (rows, people, unreadable)
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(threads).max(1));
        let started: Vec<_> =
            parts.map(|part| (part, std::thread::Builder::new().spawn_scoped(scope, || read_some(part)))).collect();
        // If the system has no more threads, this one does the work.
        let ends = started.into_iter().map(|(part, started)| match started.map(|thread| thread.join()) {
            Ok(Ok(end)) => end,
            _ => read_some(part),
        });
        ends.collect()
    });
    let (mut rows, mut people, mut unreadable) = (Vec::new(), Vec::new(), Unreadable::default());
    for (some_rows, some_people, some_unreadable) in parts {
        rows.extend(some_rows);
        people.extend(some_people);
        unreadable.append(some_unreadable);
    }
    Read { rows, same_person: SamePerson::of(people), unreadable }
}

/// Shows whether two profiles certainly belong to the same person, like [`Profile::holds_the_person_of`].
#[derive(Clone, PartialEq, Eq, Hash)]
struct PersonKey {
    server: String,
    has_v3_ids: bool,
    patient: String,
}

impl PersonKey {
    fn of(profile: &Profile) -> Option<Self> {
        let patient = profile.grant.patient.clone()?;
        Some(Self {
            server: profile.server.to_string(),
            has_v3_ids: profile.api.shares_ids_with(ApiVersion::V3),
            patient,
        })
    }
}

/// The profiles of each person who has more than one.
struct SamePerson {
    others: HashMap<ProfileName, Vec<ProfileName>>,
}

impl SamePerson {
    fn of(people: Vec<(ProfileName, Option<PersonKey>)>) -> Self {
        let mut by_person: HashMap<PersonKey, Vec<ProfileName>> = HashMap::new();
        for (name, key) in people {
            if let Some(key) = key {
                by_person.entry(key).or_default().push(name);
            }
        }
        let mut others = HashMap::new();
        for names in by_person.into_values().filter(|names| names.len() > 1) {
            for name in &names {
                others.insert(name.clone(), names.iter().filter(|other| *other != name).cloned().collect());
            }
        }
        Self { others }
    }

    /// The other profiles of this profile's person.
    fn names(&self, name: &ProfileName) -> Vec<&str> {
        self.others.get(name).into_iter().flatten().map(ProfileName::as_str).collect()
    }

    fn line(&self, name: &ProfileName) -> String {
        match self.names(name) {
            names if names.is_empty() => String::new(),
            names => format!("\n  the same person as profile {}", names.join(", ")),
        }
    }
}

fn load(context: &Context, name: &ProfileName) -> Result<Option<Profile>> {
    let Some(mut profile) = Profile::load(&context.paths, name)? else { return Ok(None) };
    LastPulls::load(&context.paths, name).refresh(&mut profile.archives);
    Ok(Some(profile))
}

/// The archives that have a finished pull.
fn filled(profile: &Profile) -> impl Iterator<Item = &ArchiveNote> {
    profile.archives.iter().filter(|note| !note.unfinished)
}

/// The failure of the whole command: the names, and the exit code and next step of the worst one. The result on
/// stdout has already said why each one failed.
///
/// # Errors
/// If the server did not accept one of the log-ins, or could not be asked.
fn found(context: &Context, failed: &[(&ProfileName, &Error)]) -> Result<()> {
    const LISTED: usize = 8;
    let Some((_, worst)) = failed.iter().max_by_key(|(_, error)| error.exit().gravity()) else { return Ok(()) };
    let names: Vec<&str> = failed.iter().take(LISTED).map(|(name, _)| name.as_str()).collect();
    let more = if failed.len() > LISTED { ", …" } else { "" };
    let message = match failed.len() {
        1 => format!("the log-in of profile {} was not confirmed", names.join("")),
        count => format!("{count} log-ins were not confirmed: {}{more}", names.join(", ")),
    };
    // The text of the profile has already told the person why.
    let message = if context.output.json() { format!("{message}: {worst}") } else { message };
    // The next step differs by profile.
    let mut hints: Vec<&str> = Vec::new();
    for (_, failure) in failed.iter().filter(|(_, failure)| failure.exit() == worst.exit()).take(LISTED) {
        if !hints.contains(&failure.hint.as_str()) {
            hints.push(&failure.hint);
        }
    }
    Err(Error::new(worst.kind, message).hint(hints.join("\n")))
}

/// Asks the server about each profile, several at once. After a request to stop, asks about no more profiles, but waits
/// for the answers that are still to come, because a dropped request could lose the new tokens of its log-in.
///
/// # Errors
/// [`Exit::Interrupted`]; any other failure is the answer for that profile.
async fn ask_all(context: &Context, names: &[ProfileName]) -> Result<HashMap<ProfileName, Online>> {
    let (mut waiting, mut running, mut answers) = (names.iter(), JoinSet::new(), HashMap::new());
    let mut stopped = None;
    loop {
        while stopped.is_none()
            && running.len() < ASKED_AT_ONCE
            && let Some(name) = waiting.next()
        {
            let (context, name) = (context.clone(), name.clone());
            // A profile that cannot be read is reported when it is shown.
            if let Ok(Some(profile)) = Profile::load(&context.paths, &name) {
                running.spawn(async move {
                    let answer = ask(&context, &name, &profile).await;
                    (name, answer)
                });
            }
        }
        let Some(ended) = running.join_next().await else { break };
        match ended {
            Ok((name, Ok(answer))) => drop(answers.insert(name, answer)),
            Ok((_, Err(error))) => drop(stopped.get_or_insert(error)),
            Err(_) => {
                stopped.get_or_insert(Error::new(ErrorKind::Defect, "asking about a profile ended unexpectedly"));
            }
        }
    }
    stopped.map_or(Ok(answers), Err)
}

/// Whether the server still accepts the log-in, with the smallest request that needs a token. Records the answer. Also
/// asks if the log-in is already recorded as over.
///
/// # Errors
/// [`Exit::Interrupted`]; any other failure is the answer for that profile.
async fn ask(context: &Context, name: &ProfileName, profile: &Profile) -> Result<Online> {
    let asked = async {
        let retry = RetryPolicy { retries: 1, ..RetryPolicy::default() };
        let profile = Profile { ended: None, ..profile.clone() };
        let (client, session) = interruptible(context.session(name, &profile, retry)).await?;
        let mut url = client.server().search(Searchable::Coverage);
        url.query_pairs_mut().append_pair("_count", "1");
        let asked = interruptible(async { Ok(client.get(&session, &url, Wanted::Fhir, is_bundle).await) }).await;
        session.settle(asked_to_stop()).await;
        match asked? {
            // The log-in may not see this resource, but the server knows it.
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
    }
    .await;
    match &asked {
        Err(error) if error.exit() == Exit::Interrupted => return Err(error.clone()),
        Ok(()) if profile.ended.is_some() => Profile::clear_ended(&context.paths, name)?,
        _ => {}
    }
    Ok(asked)
}

/// A captive portal can also answer with JSON.
fn is_bundle(text: String) -> Result<(), String> {
    let body: Map<String, Value> = serde_json::from_str(&text).map_err(|_| "it is not a JSON object".to_owned())?;
    match body.get("resourceType").and_then(Value::as_str) {
        Some("Bundle") => Ok(()),
        _ => Err("it is not a Bundle".to_owned()),
    }
}

/// Whether a person has to log in again before the next pull.
fn must_log_in(profile: &Profile, now: Timestamp) -> bool {
    let grant = &profile.grant;
    if profile.ended.is_some() {
        return true;
    }
    let over = grant.grant_expires.is_some_and(|end| end <= now);
    let dead = grant.access_token_expires.is_none_or(|end| end <= now);
    over || (dead && !grant.refreshable)
}

/// Where the tokens are, and what the server said about them, if it was asked.
#[derive(Clone, Copy)]
enum Kept<'a> {
    Here(Option<&'a Online>),
    InSharedState,
}

impl<'a> Kept<'a> {
    fn online(self) -> Option<&'a Online> {
        match self {
            Self::Here(online) => online,
            Self::InSharedState => None,
        }
    }
}

fn row(name: &ProfileName, profile: &Profile, kept: Kept<'_>, now: Timestamp) -> Value {
    let grant = &profile.grant;
    let token_store = match kept {
        Kept::Here(_) => json!(profile.token_store),
        Kept::InSharedState => "state".into(),
    };
    let mut value = json!({
        "name": name.as_str(),
        "server": profile.server,
        "api": profile.api,
        "client_id": profile.client_id,
        "patient": grant.patient,
        "scopes": grant.scopes,
        "demographics": grant.demographics(),
        "token_store": token_store,
        "access_token_expires": grant.access_token_expires,
        "refreshable": grant.refreshable,
        "access_category": grant.access_category,
        "grant_expires": grant.grant_expires,
        "days_left": grant.days_left(now),
        "reauthorize": must_log_in(profile, now),
        "ended": profile.ended,
        "archives": filled(profile).map(archive).collect::<Vec<_>>(),
    });
    if let Some(online) = kept.online() {
        value["online"] = match online {
            Ok(()) => json!({"ok": true}),
            Err(error) => json!({"ok": false, "kind": error.kind.name(), "message": words(error)}),
        };
    }
    value
}

/// An archive of the profile, and which claims a plan has, according to its Coverage.
fn archive(archive: &ArchiveNote) -> Value {
    let mut row = archive.to_json();
    if let Some(notice) = elsewhere(archive) {
        row["medicare_advantage"] = notice.into();
    }
    row
}

/// What is missing from the archive because a Medicare Advantage plan has it. If the archive cannot be read, `verify`
/// reports it.
fn elsewhere(archive: &ArchiveNote) -> Option<String> {
    notice(&coverages(&archive.place().ok()??).ok()?)
}

fn paragraph(name: &ProfileName, profile: &Profile, kept: Kept<'_>, now: Timestamp) -> String {
    let grant = &profile.grant;
    let (place, login) = match kept {
        Kept::Here(_) => (format!("the {} store", profile.token_store), profile.login_command(name)),
        Kept::InSharedState => ("the shared state".to_owned(), "bbdl profiles import FILE --replace".to_owned()),
    };
    let mut lines = vec![format!("{name}: {} (API {}), tokens in {place}", profile.server, profile.api)];
    let shared = [
        ("claims", grant.allows("ExplanationOfBenefit")),
        ("coverage", grant.allows("Coverage")),
        ("name and address", grant.demographics()),
    ];
    let shared: Vec<&str> = shared.into_iter().filter_map(|(what, is_shared)| is_shared.then_some(what)).collect();
    // An imported row may not have the scopes.
    if !grant.scopes.is_empty() {
        lines.push(format!("  shared: {}", if shared.is_empty() { "nothing".to_owned() } else { shared.join(", ") }));
    }
    lines.push(format!("  access: {}", duration(profile, now)));
    if must_log_in(profile, now) {
        lines.push(format!("  a new log-in is needed: {login}"));
    } else if let Some(reminder) = grant.reminder(now, REMIND_DAYS) {
        lines.push(format!("  {reminder}; renew it with: {login}"));
    }
    for archive in filled(profile) {
        lines.push(format!(
            "  archive: {} ({}, last pull {})",
            archive.out.display(),
            counted(archive.count, "claim"),
            archive.last_pull.strftime("%Y-%m-%d %H:%M UTC")
        ));
        lines.extend(elsewhere(archive).map(|notice| format!("    {notice}")));
    }
    match kept.online() {
        Some(Ok(())) => lines.push("  the server accepts this log-in".to_owned()),
        Some(Err(error)) => lines.push(format!("  not confirmed: {}", error.message)),
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
