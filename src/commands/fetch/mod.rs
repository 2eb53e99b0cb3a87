//! `bbdl fetch`: bring resources home, page by page, into an archive or a pipe.

mod plan;

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
        writer::{Expected, Pipe},
    },
    auth::{session::Session, token::Grant},
    cli::{Fetch, Format, Resource},
    commands::{Context, asked_to_stop, block_on, interruptible},
    config::{ArchiveNote, Profile},
    error::{Error, Exit, Result},
    ui::{Ui, size},
};
use plan::{Target, choose, claim_query};

/// How often a pull begins anew because the set changed while it was read.
const FRESH_STARTS: u32 = 2;

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
        let result = interruptible(job.run()).await;
        // Whatever ended it: an answer to a renewal that is on its way has to reach the store.
        session.settle(asked_to_stop()).await;
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
        let mut grant = self.session.grant().await;
        if grant.patient.is_none() && grant.allows_userinfo() {
            grant.patient = self.whose().await?;
        }
        let (targets, mut withheld) = choose(&self.args.resources, self.profile.api, &grant, &self.login())?;
        if !withheld.is_empty() {
            self.ui().say(format!("withheld by the enrollee: {}", withheld.join(", ")));
        }
        if self.args.out == Path::new("-") {
            return self.to_stdout(&targets, &grant).await;
        }
        let out = absolute(&self.args.out)?;
        let rows = self.to_archive(&out, &targets, &grant, &mut withheld).await?;
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

    /// Whether a refusal is how the server says that something was withheld: when it never named the
    /// scopes granted, and nobody asked for this by name.
    fn was_withheld(&self, error: &Error, grant: &Grant) -> bool {
        error.kind == "not_allowed" && grant.scopes.is_empty() && self.args.resources.contains(&Resource::All)
    }

    async fn to_archive(
        &self,
        out: &Path,
        targets: &[Target],
        grant: &Grant,
        withheld: &mut Vec<&'static str>,
    ) -> Result<Vec<(PullRow, Entry)>> {
        let archive = Archive::open(out)?;
        let server = self.client.server();
        let source = Source { server: server.origin().clone(), api: server.api(), patient: grant.patient.clone() };
        for target in targets {
            archive.accepts(&source, target.name(), &self.filters(*target))?;
        }
        let mut pull = Pull::begin(archive, source, Timestamp::now());
        let mut rows = Vec::new();
        for target in targets {
            match self.one_to_archive(&mut pull, *target, grant).await {
                Ok(row) => rows.push(row),
                Err(error) if self.was_withheld(&error, grant) => {
                    self.ui().say(format!("withheld by the enrollee: {}", target.name()));
                    withheld.push(target.name());
                }
                Err(error) => return Err(error),
            }
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
        let patient = grant.patient.clone().or_else(|| pull.patient().map(str::to_owned));
        let expected = Expected { kind: resource.name(), patient };
        let mut known = kept.as_ref().map_or(0, |entry| entry.count);
        let mut shortfall = None;
        for start in 0.. {
            let mut writer = pull.writer(expected.clone(), self.args.format == Format::Json)?;
            let read = self.read(resource, known, |page| {
                writer.page(page.index, &page.bundle)?;
                Ok(writer.count())
            });
            let read = read.await;
            // What any reading of this pull has brought is known to be there.
            known = known.max(writer.count());
            let end = match read {
                Ok(end) => end,
                Err(PullError::Shifted) if start < FRESH_STARTS => {
                    self.ui().say("the claims changed on the server while they were being read: reading them again");
                    continue;
                }
                Err(cause) => return Err(give_up(cause, resource)),
            };
            let missing = end.missing(writer.count());
            let seen_before =
                shortfall == Some(missing) || kept.as_ref().is_some_and(|entry| same_shortfall(entry, missing));
            // API v1 and v2 count before they redact: a shortfall that stays the same is the answer. Links
            // that end before the total are not: the server names a next page whenever there is more.
            if missing == 0 || (seen_before && !end.cut_short) {
                return Ok(pull.add(writer, pulled(end.cursor, end.total))?.clone());
            }
            if start == FRESH_STARTS {
                return Err(fell_short(resource, &end, writer.count()));
            }
            self.ui().say(format!("{missing} fewer {} than the server's total: reading them again", resource.name()));
            shortfall = Some(missing);
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
        let mut progress = self.ui().progress(spoken(resource));
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
                    if let Err(cause) = search.brought(count) {
                        break Err(cause);
                    }
                    progress.at(count, search.total(), self.client.traffic().1 - bytes_before);
                }
                Ok(None) => break Ok(()),
                Err(cause) => break Err(cause),
            }
        };
        progress.finish();
        end.total = search.total();
        end.cut_short = end.total.is_some_and(|total| (search.pages() as u64) * u64::from(self.args.page_size) < total);
        outcome.map(|()| end).map_err(|cause| incomplete(cause, resource, count, search.total()))
    }

    /// Whose log-in this is, where the token answer did not say.
    async fn whose(&self) -> Result<Option<String>> {
        let userinfo: Map<String, Value> =
            serde_json::from_str(&self.document(Target::UserInfo).await?).unwrap_or_default();
        Ok(userinfo.get("patient").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned))
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
                    let count = pipe.tally().count;
                    if end.cut_short {
                        return Err(fell_short(*resource, &end, count));
                    }
                    if let Some(total) = end.total.filter(|total| *total != count) {
                        self.ui()
                            .warn(format!("{}: the server's total is {total}, and it sent {count}", resource.name()));
                    }
                    self.ui().say(format!("{count} {} written to standard output", resource.name()));
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
        let ours = &self.profile;
        let noted = Profile::update(paths, name, |profile| {
            // Somebody else may have logged in under this name meanwhile: it is no archive of theirs.
            let same_person = profile.grant.patient == ours.grant.patient;
            if profile.server != ours.server || profile.api != ours.api || !same_person {
                return;
            }
            profile.archives.retain(|archive| archive.out != note.out);
            profile.archives.push(note);
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
    /// Whether the links ended although the pages read cannot have held the total.
    cut_short: bool,
}

impl End {
    /// How many fewer there are than the server's total.
    fn missing(&self, count: u64) -> u64 {
        self.total.map_or(0, |total| total.saturating_sub(count))
    }
}

/// A resource type as people call it, short enough for a narrow terminal.
fn spoken(resource: Searchable) -> &'static str {
    match resource {
        Searchable::ExplanationOfBenefit => "claims",
        Searchable::Patient => "patient",
        Searchable::Coverage => "coverage",
    }
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

fn fell_short(resource: Searchable, end: &End, count: u64) -> Error {
    let (name, missing, total) = (resource.name(), end.missing(count), end.total.unwrap_or_default());
    Error::new(
        Exit::TryAgain,
        "shortfall",
        format!("{name}: {count} of {total} had come, {missing} are missing, and reading again did not settle it; nothing was replaced"),
    )
    .hint("Run the same command again later; if it stays, report it to the server's operators.")
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

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|cause| Error::disk("find", path, &cause))
}
