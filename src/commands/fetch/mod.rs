//! `bbdl fetch`: bring resources home, page by page, into an archive or a pipe.

mod all_profiles;
mod plan;
mod report;
mod searches;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    api::{
        client::{Client, Failure, Limits, Wanted},
        endpoints::Searchable,
        retry::RetryPolicy,
    },
    api_version::ApiVersion,
    archive::{
        Archive, Pull,
        manifest::{Entry, Mode, PullRow, Query, Source},
        pull::Pulled,
    },
    auth::{log_in_end::EndedKind, session::Session, token::Grant},
    claim::coverage::notice,
    cli::{Fetch, Resource},
    commands::Context,
    error::{Error, ErrorKind, Result},
    export::coverages,
    output::Ui,
    paging::{
        page_check::PriorCount,
        pager::{PullError, Search, SearchRequest},
    },
    profile::{Profile, archive_notes::ArchiveNote, login_command},
    pull::{
        outcome::{Warning, WarningKind},
        sinks::SharedPull,
    },
    runtime::{asked_to_stop, block_on_with_workers, interruptible, run_blocking},
};
use plan::{Logins, Target, choose, claim_query};
use report::{Done, Fetched};

/// From here on every fetch says that the consent ends.
const REMIND_DAYS: i64 = 14;

/// Runs the command.
///
/// # Errors
/// Any of the contract's.
pub fn run(context: &Context, args: &Fetch) -> Result<()> {
    let limits = Limits { jobs: usize::from(args.jobs), patience: Duration::from_secs(args.timeout) };
    let context = Context { limits, ..context.clone() };
    if args.all_profiles {
        return all_profiles::run(&context, args);
    }
    if args.out == Path::new("-") {
        if context.ui.json() {
            return Err(Error::usage("--json and --out - both want standard output"));
        }
        return block_on_with_workers(one(&context, args, async |job| job.to_stdout().await));
    }
    let done = block_on_with_workers(one(&context, args, async |job| job.to_archive().await))?;
    if context.ui.json() {
        context.ui.result_json(&done.json());
    } else {
        context.ui.summary(done.line());
    }
    Ok(())
}

/// One profile's fetch, and what has to be waited for when it ends or is interrupted.
async fn one<T>(context: &Context, args: &Fetch, what: impl AsyncFnOnce(&Job<'_>) -> Result<T>) -> Result<T> {
    let profile = Profile::must_load(&context.paths, &context.profile)?;
    let query = claim_query(args, profile.api)?;
    let retry = RetryPolicy {
        retries: args.retry,
        first_pause: Duration::from_millis(args.retry_delay),
        ..RetryPolicy::default()
    };
    let (client, session) = context.session(&context.profile, &profile, retry)?;
    let job = Job { context, args, profile, query, client: &client, session: &session };
    let result = interruptible(what(&job)).await;
    // The data endpoints say so as well, and not only the token endpoint.
    if result.as_ref().is_err_and(|error| error.kind == ErrorKind::GrantEnded) {
        session.note_ended(EndedKind::GrantEnded).await;
    }
    // Whatever ended it: an answer to a renewal that is on its way has to reach the store.
    session.settle(asked_to_stop()).await;
    if result.is_ok() {
        job.remind().await;
    }
    result
}

/// Warns that a Medicare Advantage plan has the medical claims of some months, where the archive's Coverage says so: with
/// the claims, else with whatever came.
fn say_what_a_plan_has(out: &Path, rows: &mut [(Fetched, Entry)]) {
    // What came is in place: a file that cannot be read now is for `verify` to say.
    let Some(message) = notice(&coverages(out).unwrap_or_default()) else { return };
    let of_claims = rows.iter().position(|(fetched, _)| fetched.row.resource == "ExplanationOfBenefit").unwrap_or(0);
    if let Some((fetched, _)) = rows.get_mut(of_claims) {
        fetched.warnings.push(Warning { kind: WarningKind::MedicareAdvantage, message });
    }
}

/// One run of `fetch`.
struct Job<'a> {
    context: &'a Context,
    args: &'a Fetch,
    profile: Profile,
    query: Query,
    client: &'a Arc<Client>,
    session: &'a Session,
}

impl Job<'_> {
    /// What to fetch for whom, and what was withheld.
    async fn plan(&self) -> Result<(Grant, Vec<Target>, Vec<&'static str>)> {
        let mut grant = self.session.grant().await;
        if grant.patient.is_none() && grant.allows_userinfo() {
            grant.patient = patient_of(&self.document(Target::UserInfo).await?);
        }
        let (targets, withheld) = choose(&self.args.resources, self.profile.api, &grant, &self.logins())?;
        // A card does not say whose it is (its ids are made up at each call), and an archive wants to know.
        let has_card = targets.contains(&Target::InsuranceCard);
        if grant.patient.is_none() && has_card && self.args.out != Path::new("-") {
            grant.patient = match self.whose().await {
                Err(error) if self.was_withheld(&error, &grant) => None,
                whose => whose?,
            };
        }
        if !withheld.is_empty() {
            self.ui().say(not_granted(&withheld.join(", ")));
        }
        Ok((grant, targets, withheld))
    }

    fn ui(&self) -> &Ui {
        &self.context.ui
    }

    fn login(&self) -> String {
        self.profile.login_command(&self.context.profile)
    }

    fn logins(&self) -> Logins {
        let v3 = self.context.profile.with_ending("-v3");
        Logins { again: self.login(), v3: login_command(&self.profile.server, ApiVersion::V3, &v3) }
    }

    fn filters(&self, target: Target) -> Query {
        if target == Target::Search(Searchable::ExplanationOfBenefit) { self.query.clone() } else { Vec::new() }
    }

    /// Whether a refusal is how the server says that something was withheld: when it never named the
    /// scopes granted, and nobody asked for this by name.
    fn was_withheld(&self, error: &Error, grant: &Grant) -> bool {
        error.kind == ErrorKind::NotAllowed && grant.scopes.is_empty() && self.args.resources.contains(&Resource::All)
    }

    fn source(&self, grant: &Grant) -> Source {
        let server = self.client.server();
        Source { server: server.origin().clone(), api: server.api(), patient: grant.patient.clone() }
    }

    async fn to_archive(&self) -> Result<Done> {
        let began = Instant::now();
        let (grant, mut targets, mut withheld) = self.plan().await?;
        let out = absolute(&self.args.out)?;
        let dir = out.clone();
        let archive = run_blocking(move || Archive::open(&dir)).await??;
        let source = self.source(&grant);
        for target in &targets {
            archive.accepts(&source, target.name(), &self.filters(*target))?;
        }
        refuse_nobodys(&archive, &targets)?;
        archive.make_private()?.iter().for_each(|warning| self.ui().warn(warning));
        let knows_whose = archive.manifest().is_some_and(|manifest| manifest.source.patient.is_some());
        if source.patient.is_none() && knows_whose {
            self.leave_out_documents(&mut targets)?;
        }
        let pull = SharedPull::new(Pull::begin(archive, source, self.args.full, Timestamp::now()));
        let mut rows = Vec::new();
        for target in &targets {
            match self.one_to_archive(&pull, *target, &grant).await {
                Ok(row) => rows.push(row),
                Err(error) if self.was_withheld(&error, &grant) => {
                    self.ui().say(not_granted(target.name()));
                    withheld.push(target.name());
                }
                Err(error) => return Err(error),
            }
        }
        let manifest = pull.with(|pull| pull.commit().cloned()).await??;
        let count = manifest.resources.get("ExplanationOfBenefit").map_or(0, |entry| entry.count);
        self.note_archive(ArchiveNote::of(&out, &manifest.source, count));
        let failure = rows.iter_mut().find_map(|fetched: &mut Fetched| fetched.failure.take());
        let entry = |row: &PullRow| manifest.resources.get(&row.resource).cloned();
        let mut rows: Vec<(Fetched, Entry)> =
            rows.into_iter().filter_map(|fetched| entry(&fetched.row).map(|entry| (fetched, entry))).collect();
        say_what_a_plan_has(&out, &mut rows);
        let (profile, out) = (self.context.profile.to_string(), self.args.out.clone());
        let done = Done { profile, api: self.profile.api, out, rows, withheld, elapsed: began.elapsed() };
        done.warn(self.ui());
        // What came is in place by now.
        failure.map_or(Ok(done), Err)
    }

    /// Where nothing says whose log-in this is, and the archive is somebody's: claims say whose they are, documents do
    /// not.
    fn leave_out_documents(&self, targets: &mut Vec<Target>) -> Result<()> {
        let of_nobody = |target: &Target| !matches!(target, Target::Search(_));
        let Some(first) = targets.iter().copied().find(of_nobody) else { return Ok(()) };
        let why = "nothing says whose it would be, and the archive is somebody's";
        if !self.args.resources.contains(&Resource::All) {
            return Err(other_patient(first, why));
        }
        for target in targets.iter().filter(|target| of_nobody(target)) {
            self.ui().say(format!("{}: {why}; what is kept stays", target.name()));
        }
        targets.retain(|target| !of_nobody(target));
        Ok(())
    }

    async fn one_to_archive(&self, pull: &SharedPull, target: Target, grant: &Grant) -> Result<Fetched> {
        if let Target::Search(resource) = target {
            return self.search_to_archive(pull, resource, grant).await;
        }
        let started = Timestamp::now();
        let (requests, bytes) = self.client.traffic();
        let text = self.document(target).await?;
        let said = if target == Target::UserInfo { patient_of(&text) } else { None };
        let known = grant.patient.clone().or_else(|| pull.patient());
        if said.as_ref().zip(known).is_some_and(|(said, known)| *said != known) {
            return Err(other_patient(target, "it is of another enrollee than what is kept or was asked for"));
        }
        let (requests_now, bytes_now) = self.client.traffic();
        let pulled = Pulled {
            resource: target.name(),
            mode: Mode::Full,
            query: Query::new(),
            cursor: None,
            cursor_stays: false,
            clock: None,
            server_total: None,
            started,
            requests: requests_now - requests,
            received: bytes_now - bytes,
        };
        let row = pull.with(move |pull| pull.add_document(&text, said, pulled).cloned()).await??;
        Ok(Fetched { row, warnings: Vec::new(), failure: None })
    }

    /// Whose log-in this is, where neither token answer nor userinfo say.
    async fn whose(&self) -> Result<Option<String>> {
        let request = SearchRequest {
            resource: Searchable::Patient,
            query: Vec::new(),
            page_size: 1,
            prior: PriorCount::MaybeNothing,
            is_ordered: true,
        };
        let search = Search::new(self.client, self.session, request, self.login());
        let page = match search.without_prefetch().next_page().await {
            Ok(page) => page,
            Err(PullError::Shifted) => None,
            Err(PullError::Failed(error)) => return Err(error),
        };
        Ok(page.and_then(|page| Some(page.bundle.entries().next()?.1.as_ref().ok()?.id.clone())))
    }

    async fn document(&self, target: Target) -> Result<String> {
        let server = self.client.server();
        let (url, wanted) = match target {
            Target::InsuranceCard => (server.insurance_card(), Wanted::Document),
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

    async fn to_stdout(&self) -> Result<()> {
        let (grant, targets, _) = self.plan().await?;
        for target in &targets {
            match self.one_to_stdout(*target, &grant).await {
                Err(error) if self.was_withheld(&error, &grant) => {
                    self.ui().say(not_granted(target.name()));
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn one_to_stdout(&self, target: Target, grant: &Grant) -> Result<()> {
        if let Target::Search(resource) = target {
            let count = self.search_to_stdout(resource, grant).await?;
            self.ui().say(format!("{count} {} written to standard output", resource.name()));
        } else {
            let text = self.document(target).await?;
            self.ui().result(crate::fhir::resource::line(&text));
        }
        Ok(())
    }

    /// Says that the consent ends, in time to do something about it.
    async fn remind(&self) {
        let grant = self.session.grant().await;
        if let Some(reminder) = grant.reminder(Timestamp::now(), REMIND_DAYS) {
            self.ui().warn(format!("{reminder}; renew it with: {}", self.login()));
        }
    }

    fn note_archive(&self, note: ArchiveNote) {
        let (paths, name) = (&self.context.paths, &self.context.profile);
        let ours = &self.profile;
        let noted = Profile::update(paths, name, |profile| {
            // Somebody else may have logged in under this name meanwhile: it is no archive of theirs.
            let same_person = profile.grant.is_of_the_same_person(&ours.grant);
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
}

/// An archive with a document of which nothing said whose it was does not become somebody's.
fn refuse_nobodys(archive: &Archive, targets: &[Target]) -> Result<()> {
    let Some(manifest) = archive.manifest().filter(|manifest| manifest.source.patient.is_none()) else {
        return Ok(());
    };
    let documents = [Target::UserInfo, Target::InsuranceCard];
    let kept = documents.into_iter().find(|document| manifest.resources.contains_key(document.name()));
    let claims = targets.iter().any(|target| matches!(target, Target::Search(_)));
    match kept.filter(|_| claims) {
        Some(document) => Err(other_patient(document, "nothing says whose it is that is in this archive")),
        None => Ok(()),
    }
}

/// The Patient id that userinfo names.
fn patient_of(userinfo: &str) -> Option<String> {
    let userinfo: Map<String, Value> = serde_json::from_str(userinfo).unwrap_or_default();
    userinfo.get("patient").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
}

fn other_patient(target: Target, why: &str) -> Error {
    Error::new(ErrorKind::OtherEnrollee, format!("{}: {why}", target.name()))
        .hint("Nothing was replaced. Give each enrollee an --out directory and a --profile of their own.")
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|cause| Error::disk("find", path, &cause))
}

/// The server does not say who it was that left a scope out.
fn not_granted(what: &str) -> String {
    format!("not granted (withheld, not asked for, or not for this app): {what}")
}
