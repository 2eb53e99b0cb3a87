//! `bbdl fetch`: bring resources home, page by page, into an archive or a pipe.

use std::{
    io::stdout,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        client::{Client, Failure, Wanted},
        pages::{Page, PullError, Search},
        retry::RetryPolicy,
        server::{ApiVersion, Searchable},
    },
    archive::{
        Archive, Pull,
        manifest::{Entry, PullRow, Query, Source},
        pull::Pulled,
        writer::{Expected, Pipe, Tally},
    },
    auth::{session::Session, token::Grant},
    cli::{self, ClaimType, Fetch, Format, Resource},
    commands::{Context, block_on},
    config::{ArchiveNote, Profile},
    error::{Error, Exit, Result},
    ui::{Ui, size},
};

/// How often a pull begins anew because the set changed while it was read.
const FRESH_STARTS: u32 = 2;

/// Something to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Search(Searchable),
    UserInfo,
    InsuranceCard,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Search(resource) => resource.name(),
            Self::UserInfo => "UserInfo",
            Self::InsuranceCard => "InsuranceCard",
        }
    }

    /// Whether the scopes granted cover it.
    fn is_granted(self, grant: &Grant) -> bool {
        // A server that names no scopes at all has to be asked.
        grant.scopes.is_empty()
            || match self {
                Self::Search(resource) => grant.allows(resource.name()),
                Self::UserInfo => grant.allows_userinfo(),
                Self::InsuranceCard => grant.allows("Patient") && grant.allows("Coverage"),
            }
    }
}

/// Runs the command.
///
/// # Errors
/// Any of the contract's.
pub fn run(context: &Context, args: &Fetch) -> Result<()> {
    let profile = Profile::must_load(&context.paths, &context.profile)?;
    let query = claim_query(args, profile.api)?;
    let retry = RetryPolicy {
        retries: args.retry,
        first_pause: Duration::from_millis(args.retry_delay),
        ..RetryPolicy::default()
    };
    block_on(async {
        let (client, session) = context.session(&context.profile, &profile, retry)?;
        let job = Job { context, args, profile, query, client: &client, session: &session };
        let result = job.run().await;
        session.settle().await;
        result
    })
}

/// One run of `fetch`.
struct Job<'a> {
    context: &'a Context,
    args: &'a Fetch,
    profile: Profile,
    query: Query,
    client: &'a Client,
    session: &'a Session,
}

impl Job<'_> {
    async fn run(&self) -> Result<()> {
        let started = Instant::now();
        let grant = self.session.grant().await;
        let (targets, withheld) = choose(&self.args.resources, self.profile.api, &grant, &self.login())?;
        if !withheld.is_empty() {
            self.ui().say(format!("withheld by the enrollee: {}", withheld.join(", ")));
        }
        if self.args.out == Path::new("-") {
            return self.to_stdout(&targets, &grant).await;
        }
        let out = absolute(&self.args.out)?;
        let rows = self.to_archive(&out, &targets, &grant).await?;
        self.report(&rows, &withheld, started.elapsed());
        Ok(())
    }

    fn ui(&self) -> &Ui {
        &self.context.ui
    }

    fn login(&self) -> String {
        self.profile.login_command(&self.context.profile)
    }

    fn filters(&self, target: Target) -> Query {
        if target == Target::Search(Searchable::ExplanationOfBenefit) { self.query.clone() } else { Vec::new() }
    }

    async fn to_archive(&self, out: &Path, targets: &[Target], grant: &Grant) -> Result<Vec<(PullRow, Entry)>> {
        let archive = Archive::open(out)?;
        let server = self.client.server();
        let source = Source { server: server.origin().clone(), api: server.api(), patient: grant.patient.clone() };
        for target in targets {
            archive.accepts(&source, target.name(), &self.filters(*target))?;
        }
        let mut pull = Pull::begin(archive, source, Timestamp::now());
        let mut rows = Vec::new();
        for target in targets {
            rows.push(self.one_to_archive(&mut pull, *target, grant).await?);
        }
        let manifest = pull.commit()?;
        self.note_archive(out, manifest.resources.get("ExplanationOfBenefit").map_or(0, |entry| entry.count));
        let entry = |row: &PullRow| manifest.resources.get(&row.resource).cloned();
        Ok(rows.into_iter().filter_map(|row| entry(&row).map(|entry| (row, entry))).collect())
    }

    async fn one_to_archive(&self, pull: &mut Pull, target: Target, grant: &Grant) -> Result<PullRow> {
        let started = Timestamp::now();
        let (requests, bytes) = self.client.traffic();
        let pulled = |cursor, server_total| {
            let (requests_now, bytes_now) = self.client.traffic();
            Pulled {
                resource: target.name(),
                query: self.filters(target),
                cursor,
                server_total,
                started,
                requests: requests_now - requests,
                received: bytes_now - bytes,
            }
        };
        let resource = match target {
            Target::Search(resource) => resource,
            Target::UserInfo | Target::InsuranceCard => {
                let text = self.document(target).await?;
                return Ok(pull.add_document(&text, pulled(None, None))?.clone());
            }
        };
        let kept = pull.kept(resource.name()).cloned();
        let expected = Expected { kind: resource.name(), patient: grant.patient.clone() };
        let mut shortfall = None;
        for start in 0.. {
            let mut writer = pull.writer(expected.clone(), self.args.format == Format::Json)?;
            let known = kept.as_ref().map_or(0, |entry| entry.count);
            let read = self.read(resource, known, |page| {
                writer.page(page.index, &page.bundle)?;
                Ok(writer.count())
            });
            let end = match read.await {
                Ok(end) => end,
                Err(PullError::Shifted) if start < FRESH_STARTS => {
                    self.ui().say("the claims changed on the server while they were being read: reading them again");
                    continue;
                }
                Err(cause) => return Err(give_up(cause, resource)),
            };
            // API v1 and v2 count before they redact: a shortfall that stays the same is the answer.
            let missing = end.total.map_or(0, |total| total.saturating_sub(writer.count()));
            let confirmed =
                shortfall == Some(missing) || kept.as_ref().is_some_and(|entry| same_shortfall(entry, missing));
            if missing > 0 && !confirmed && start < FRESH_STARTS {
                self.ui()
                    .say(format!("{missing} fewer {} than the server's total: reading them again", resource.name()));
                shortfall = Some(missing);
                continue;
            }
            return Ok(pull.add(writer, pulled(end.cursor, end.total))?.clone());
        }
        Err(give_up(PullError::Shifted, resource))
    }

    /// Reads a search to its end, handing each page to `keep`, which says how many resources there are.
    async fn read(
        &self,
        resource: Searchable,
        known_before: u64,
        mut keep: impl FnMut(&Page) -> Result<u64>,
    ) -> Result<End, PullError> {
        let mut query = self.filters(Target::Search(resource));
        query.push(("_count".to_owned(), self.args.page_size.to_string()));
        let login = self.login();
        let mut search = Search::new(self.client, self.session, resource, &query, known_before, &login);
        let mut progress = self.ui().progress(resource.name());
        let (_, bytes_before) = self.client.traffic();
        let mut end = End::default();
        let mut count = 0;
        let outcome = loop {
            match search.next_page().await {
                Ok(Some(page)) => {
                    if page.index == 0 && self.profile.api != ApiVersion::V3 {
                        end.cursor = page.bundle.last_updated;
                    }
                    match keep(&page) {
                        Ok(now) => count = now,
                        Err(cause) => break Err(PullError::Failed(cause)),
                    }
                    progress.at(count, search.total(), self.client.traffic().1 - bytes_before);
                }
                Ok(None) => break Ok(()),
                Err(cause) => break Err(cause),
            }
        };
        progress.finish();
        end.total = search.total();
        outcome.map(|()| end).map_err(|cause| incomplete(cause, resource, count, search.total()))
    }

    async fn document(&self, target: Target) -> Result<String> {
        let server = self.client.server();
        let (url, wanted) = match target {
            Target::InsuranceCard => (server.insurance_card(), Wanted::Fhir),
            _ => (server.userinfo(), Wanted::Json),
        };
        let read = |text: String| match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err("not a JSON object".to_owned()),
        };
        self.client.get(self.session, &url, wanted, read).await.map_err(|failure| match failure {
            Failure::Answer(problem) => problem.into_error(target.name(), &self.login()),
            Failure::Other(error) => error,
        })
    }

    async fn to_stdout(&self, targets: &[Target], grant: &Grant) -> Result<()> {
        if self.context.ui.json() {
            return Err(Error::usage("--json and --out - both want standard output"));
        }
        for target in targets {
            match target {
                Target::Search(resource) => {
                    let expected = Expected { kind: resource.name(), patient: grant.patient.clone() };
                    let mut pipe = Pipe::new(stdout().lock(), expected);
                    let read = self.read(*resource, 0, |page| {
                        pipe.page(&page.bundle)?;
                        Ok(pipe.tally().count)
                    });
                    let end = read.await.map_err(|cause| give_up(cause, *resource))?;
                    self.ui().say(piped(*resource, pipe.tally(), end.total));
                }
                Target::UserInfo | Target::InsuranceCard => {
                    let text = self.document(*target).await?;
                    self.ui().result(crate::fhir::resource::line(&text));
                }
            }
        }
        Ok(())
    }

    fn note_archive(&self, out: &Path, count: u64) {
        let (paths, name) = (&self.context.paths, &self.context.profile);
        let note = ArchiveNote { out: out.to_owned(), last_pull: Timestamp::now(), count };
        let noted = Profile::must_load(paths, name).and_then(|mut profile| {
            profile.archives.retain(|archive| archive.out != note.out);
            profile.archives.push(note);
            profile.save(paths, name)
        });
        if let Err(error) = noted {
            self.ui().warn(format!("the archive is complete, but `bbdl status` will not know of it: {error}"));
        }
    }

    fn report(&self, rows: &[(PullRow, Entry)], withheld: &[&str], elapsed: Duration) {
        let out = self.args.out.display();
        for (row, entry) in rows {
            if let Some(total) = entry.server_total {
                self.ui().warn(format!(
                    "{}: the server's total is {total}, and it sent {}; manifest.json says so too",
                    row.resource, entry.count
                ));
            }
        }
        if self.ui().json() {
            let resources: Map<String, Value> =
                rows.iter().map(|(row, entry)| (row.resource.clone(), row_json(row, entry))).collect();
            self.ui().result_json(&json!({
                "profile": self.context.profile.as_str(), "out": self.args.out, "resources": resources,
                "withheld": withheld, "elapsed_s": (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            }));
            return;
        }
        let parts: Vec<String> = rows.iter().map(|(row, entry)| summary(row, entry)).collect();
        let bytes: u64 = rows.iter().map(|(row, _)| row.bytes).sum();
        self.ui().say(format!("{out}: {} ({} in {:.1} s)", parts.join("; "), size(bytes), elapsed.as_secs_f64()));
    }
}

/// What is known when a search has been read to its end.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    cursor: Option<Timestamp>,
    total: Option<u64>,
}

fn same_shortfall(kept: &Entry, missing: u64) -> bool {
    kept.server_total.is_some_and(|total| total.saturating_sub(kept.count) == missing)
}

fn row_json(row: &PullRow, entry: &Entry) -> Value {
    let mut value = json!({
        "count": entry.count, "added": row.added, "updated": row.updated, "unchanged": row.unchanged,
        "removed": row.removed, "requests": row.requests, "bytes": row.bytes, "mode": row.mode,
    });
    if let Some(total) = entry.server_total {
        value["server_total"] = total.into();
    }
    value
}

fn summary(row: &PullRow, entry: &Entry) -> String {
    let changes: Vec<String> = [(row.added, "new"), (row.updated, "changed"), (row.removed, "gone")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let changes = if changes.is_empty() { "nothing new".to_owned() } else { changes.join(", ") };
    format!("{} {} ({changes})", entry.count, row.resource)
}

fn piped(resource: Searchable, tally: &Tally, total: Option<u64>) -> String {
    let differs = total.filter(|total| *total != tally.count);
    let differs = differs.map(|total| format!("; the server's total is {total}")).unwrap_or_default();
    format!("{} {} written to standard output{differs}", tally.count, resource.name())
}

/// Says how much is missing when a search fails half-way.
fn incomplete(cause: PullError, resource: Searchable, count: u64, total: Option<u64>) -> PullError {
    let PullError::Failed(mut error) = cause else { return PullError::Shifted };
    if count > 0 || total.is_some() {
        let missing = match total {
            Some(total) => format!("{count} of {total} had come, {} are missing", total.saturating_sub(count)),
            None => format!("{count} had come, how many are missing is not known"),
        };
        error.message = format!("{}; {missing} {}; nothing was replaced", error.message, resource.name());
    }
    PullError::Failed(error)
}

fn give_up(cause: PullError, resource: Searchable) -> Error {
    match cause {
        PullError::Failed(error) => error,
        PullError::Shifted => Error::new(
            Exit::TryAgain,
            "shifted",
            format!(
                "{}: the set on the server kept changing while it was being read; nothing was replaced",
                resource.name()
            ),
        )
        .hint("Run the same command again later."),
    }
}

/// What to fetch, and what the enrollee withheld of it.
fn choose(
    resources: &[Resource],
    api: ApiVersion,
    grant: &Grant,
    login: &str,
) -> Result<(Vec<Target>, Vec<&'static str>)> {
    let mut targets = Vec::new();
    let mut withheld = Vec::new();
    let mut add = |target: Target| {
        if !targets.contains(&target) {
            targets.push(target);
        }
    };
    for resource in resources {
        let target = match resource {
            Resource::Eob => Target::Search(Searchable::ExplanationOfBenefit),
            Resource::Patient => Target::Search(Searchable::Patient),
            Resource::Coverage => Target::Search(Searchable::Coverage),
            Resource::Userinfo => Target::UserInfo,
            Resource::InsuranceCard => Target::InsuranceCard,
            Resource::All => {
                for target in everything(api) {
                    if target.is_granted(grant) {
                        add(target);
                    } else {
                        withheld.push(target.name());
                    }
                }
                continue;
            }
        };
        if target == Target::InsuranceCard && api != ApiVersion::V3 {
            return Err(Error::new(Exit::NotSetUp, "api_version", format!("API {api} has no insurance card; v3 has"))
                .hint(format!("Log in with API v3, under a profile of its own: {login} --api v3 --profile v3")));
        }
        if !target.is_granted(grant) {
            return Err(Error::new(
                Exit::PersonMustAct,
                "withheld",
                format!(
                    "{}: the enrollee did not share it with this app, or the app may not ask for it",
                    target.name()
                ),
            )
            .hint(format!("The enrollee can share it in a new log-in: {login}")));
        }
        add(target);
    }
    Ok((targets, withheld))
}

fn everything(api: ApiVersion) -> Vec<Target> {
    let mut targets = vec![
        Target::Search(Searchable::ExplanationOfBenefit),
        Target::Search(Searchable::Patient),
        Target::Search(Searchable::Coverage),
        Target::UserInfo,
    ];
    if api == ApiVersion::V3 {
        targets.push(Target::InsuranceCard);
    }
    targets
}

/// The parameters of a claim search, page size left out.
fn claim_query(args: &Fetch, api: ApiVersion) -> Result<Query> {
    let has_filter = !(args.types.is_empty()
        && args.service_date.is_empty()
        && args.last_updated.is_empty()
        && args.source.is_empty());
    if has_filter && !args.resources.iter().any(|resource| matches!(resource, Resource::Eob | Resource::All)) {
        return Err(Error::usage(
            "--type, --service-date, --last-updated and --source are for claims: fetch eob or all",
        ));
    }
    if api != ApiVersion::V3 && !args.source.is_empty() {
        return Err(Error::usage(format!("--source is for API v3; this profile uses {api}, which would ignore it")));
    }
    for (flag, bounds) in [("--service-date", &args.service_date), ("--last-updated", &args.last_updated)] {
        one_bound_a_side(flag, bounds)?;
    }
    let mut query = Query::new();
    let mut types: Vec<&str> = args.types.iter().map(|kind| type_name(*kind)).collect();
    types.sort_unstable();
    types.dedup();
    if !types.is_empty() {
        query.push(("type".to_owned(), types.join(",")));
    }
    query.extend(args.service_date.iter().map(|bound| ("service-date".to_owned(), bound.clone())));
    query.extend(args.last_updated.iter().map(|bound| ("_lastUpdated".to_owned(), bound.clone())));
    let sources: Vec<&str> = args.source.iter().map(|source| source_name(*source)).collect();
    if !sources.is_empty() {
        query.push(("_source".to_owned(), sources.join(",")));
    }
    Ok(query)
}

/// The server's back end refuses two bounds on one side.
fn one_bound_a_side(flag: &str, bounds: &[String]) -> Result<()> {
    for side in ["g", "l"] {
        if bounds.iter().filter(|bound| bound.starts_with(side)).count() > 1 {
            return Err(Error::usage(format!("{flag}: at most one lower (ge, gt) and one upper (le, lt) bound")));
        }
    }
    Ok(())
}

fn type_name(kind: ClaimType) -> &'static str {
    match kind {
        ClaimType::Carrier => "carrier",
        ClaimType::Dme => "dme",
        ClaimType::Hha => "hha",
        ClaimType::Hospice => "hospice",
        ClaimType::Inpatient => "inpatient",
        ClaimType::Outpatient => "outpatient",
        ClaimType::Pde => "pde",
        ClaimType::Snf => "snf",
    }
}

fn source_name(source: cli::Source) -> &'static str {
    match source {
        cli::Source::Nch => "NCH",
        cli::Source::Ddps => "DDPS",
        cli::Source::Fiss => "FISS",
        cli::Source::Mcs => "MCS",
        cli::Source::Vms => "VMS",
        cli::Source::Cwf => "CWF",
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|cause| Error::disk("find", path, &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scopes: &[&str]) -> Grant {
        Grant { scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(), ..Grant::default() }
    }

    #[test]
    fn all_leaves_out_what_was_withheld_and_names_it() {
        let grant = grant(&["patient/ExplanationOfBenefit.read", "patient/Coverage.rs"]);
        let (targets, withheld) = choose(&[Resource::All], ApiVersion::V2, &grant, "bbdl login").unwrap();
        let names: Vec<_> = targets.iter().map(|target| target.name()).collect();
        assert_eq!(names, ["ExplanationOfBenefit", "Coverage"]);
        assert_eq!(withheld, ["Patient", "UserInfo"]);
    }

    #[test]
    fn what_is_named_and_withheld_needs_a_person() {
        let grant = grant(&["patient/ExplanationOfBenefit.read"]);
        let error = choose(&[Resource::Eob, Resource::Patient], ApiVersion::V2, &grant, "bbdl login").unwrap_err();
        assert_eq!((error.exit, error.kind), (Exit::PersonMustAct, "withheld"));
        let error = choose(&[Resource::InsuranceCard], ApiVersion::V2, &grant, "bbdl login").unwrap_err();
        assert_eq!(error.exit, Exit::NotSetUp);
    }
}
