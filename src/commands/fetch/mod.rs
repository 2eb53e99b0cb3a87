//! `bbdl fetch`: downloads resources, page by page, into an archive or a pipe.

mod all_profiles;
mod filters;
mod report;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    api::{client::Limits, retry::RetryPolicy},
    api_version::ApiVersion,
    archive::manifest::{Entry, Source},
    auth::{log_in_end::EndedKind, renewal_limit::RenewalLimit, session::Session},
    claim::{archived::coverages, coverage::notice},
    cli::{Fetch, Format},
    commands::{Context, shared_state},
    error::{Error, ErrorKind, Result},
    output::refuse_closed_stdout,
    profile::{self, Profile, archive_notes::ArchiveNote, last_pull::RequestedResources, login_command},
    pull::{
        one_profile::{Brought, Noting, OneProfile, PullOptions, PulledResource},
        outcome::{Warning, WarningKind},
        plan::{Logins, Target},
    },
    runtime::{asked_to_stop, block_on_with_workers, interruptible, run_blocking},
};
use filters::claim_query;
pub(super) use filters::typed_filters;
use report::Done;

/// From this many days before the end of the consent, every fetch says that it ends.
const REMIND_DAYS: i64 = 14;

/// Runs the command.
///
/// # Errors
/// All errors of the contract.
pub(crate) fn run(context: &Context, args: &Fetch) -> Result<()> {
    let limits = Limits { jobs: usize::from(args.jobs), patience: args.timeout };
    let context = Context { limits, renewals: RenewalLimit::at_most(args.many.renewals), ..context.clone() };
    if args.all_profiles {
        return all_profiles::run(&context, args);
    }
    if let Some(option) = args.many.given() {
        return Err(Error::usage(format!("{option} works only with --all-profiles"))
            .hint(format!("Add --all-profiles, or leave {option} out.")));
    }
    if context.state_is_typed {
        shared_state::refuse(&context, &args.shared, "fetch without --all-profiles")?;
    }
    if args.out == Path::new("-") {
        if context.output.json() {
            return Err(Error::usage("--json and --out - cannot be used together: both write to standard output"));
        }
        refuse_closed_stdout()?;
        return block_on_with_workers(one_named(&context, args, async |_, pull| pull.to_stdout().await));
    }
    let done = block_on_with_workers(one_named(&context, args, to_archive))?;
    if context.output.json() {
        context.output.result_json(&done.json());
    } else {
        context.output.summary(done.line());
    }
    Ok(())
}

/// Fetches for the profile that was named.
async fn one_named<T>(
    context: &Context,
    args: &Fetch,
    what: impl AsyncFnOnce(&Job<'_>, &OneProfile<'_>) -> Result<T>,
) -> Result<T> {
    let profile = Profile::must_load(&context.paths, &context.profile).map_err(|error| {
        if error.kind == ErrorKind::NoProfile && shared_state::is_named(context, &args.shared) {
            return error.hint(
                "Without --all-profiles, bbdl fetches for a profile of this machine, and leaves the shared state alone. To fetch for everybody in it, add --all-profiles.",
            );
        }
        error
    })?;
    one(&Job { context, args, profile, home: Home::Local }, what).await.result
}

/// The result of a fetch, and how much was requested, whether it succeeded or not.
struct Ended<T> {
    result: Result<T>,
    requests: u64,
    bytes: u64,
}

impl<T> Ended<T> {
    /// It failed before the first request.
    fn early(error: Error) -> Self {
        Self { result: Err(error), requests: 0, bytes: 0 }
    }
}

/// Fetches for one profile.
async fn one<T>(job: &Job<'_>, what: impl AsyncFnOnce(&Job<'_>, &OneProfile<'_>) -> Result<T>) -> Ended<T> {
    let Job { context, args, profile, .. } = job;
    let retry = RetryPolicy {
        retries: args.retry,
        first_pause: Duration::from_millis(args.retry_delay),
        ..RetryPolicy::default()
    };
    let options = match options(args, profile.api) {
        Ok(options) => options,
        Err(error) => return Ended::early(error),
    };
    let ready = match &job.home {
        Home::Local | Home::LocalOfMany(_) => interruptible(context.session(&context.profile, profile, retry)).await,
        #[cfg(feature = "postgres")]
        Home::Shared(pull) => context.shared_session(&context.profile, profile, retry, pull).await,
    };
    let (client, session) = match ready {
        Ok(ready) => ready,
        Err(error) => return Ended::early(error),
    };
    let pull = OneProfile { options, logins: job.logins(), client: &client, session: &session };
    let result = to_its_end(job, &pull, what).await;
    let (requests, bytes) = client.traffic();
    Ended { result, requests, bytes }
}

/// Runs a pull. When it ends or is interrupted, waits for what must not be cut off.
async fn to_its_end<T>(
    job: &Job<'_>,
    pull: &OneProfile<'_>,
    what: impl AsyncFnOnce(&Job<'_>, &OneProfile<'_>) -> Result<T>,
) -> Result<T> {
    let session = pull.session;
    let result = interruptible(what(job, pull)).await;
    // Not only the token endpoint says so; the data endpoints do too.
    if result.as_ref().is_err_and(|error| error.kind == ErrorKind::GrantEnded) {
        session.note_ended(EndedKind::GrantEnded).await;
    }
    // However the pull ended, an answer to a running renewal has to reach the store.
    session.settle(asked_to_stop()).await;
    if result.is_ok() {
        job.remind(session).await;
    }
    result
}

fn options(args: &Fetch, api: ApiVersion) -> Result<PullOptions> {
    Ok(PullOptions {
        resources: args.resources.clone(),
        query: claim_query(args, api)?,
        out: args.out.clone(),
        keeps_pages: args.format == Format::Json,
        full: args.full,
        page_size: args.page_size,
        max_claims: args.max_claims,
    })
}

/// Pulls into the archive, records it in the profile, and warns about what a person should know.
async fn to_archive(job: &Job<'_>, pull: &OneProfile<'_>) -> Result<Done> {
    let began = Instant::now();
    let Brought { out, manifest, mut resources, withheld, failure } = pull.to_archive(job.begin()).await?;
    let count = manifest.resources.get(Target::CLAIMS.name()).map_or(0, |entry| entry.count);
    let archive = ArchiveNote::of(&out, &manifest.source, count);
    job.note_pull(PullNote { archive, is_whole: failure.is_none() });
    say_what_a_plan_has(&out, &mut resources);
    let (profile, api, out) = (job.context.profile.to_string(), job.profile.api, job.args.out.clone());
    let done = Done { profile, api, out, resources, withheld, elapsed: began.elapsed() };
    done.warn(&job.context.output);
    // What came is already in place.
    failure.map_or(Ok(done), Err)
}

/// Warns that a Medicare Advantage plan has the medical claims of some months, if the archive's Coverage says so. The
/// warning goes with the claims, or else with what came.
fn say_what_a_plan_has(out: &Path, resources: &mut [(PulledResource, Entry)]) {
    // What came is in place. If a file cannot be read now, `verify` reports it.
    let Some(message) = notice(&coverages(out).unwrap_or_default()) else { return };
    let of_claims = resources.iter().position(|(pulled, _)| pulled.target == Target::CLAIMS).unwrap_or(0);
    if let Some((pulled, _)) = resources.get_mut(of_claims) {
        pulled.warnings.push(Warning { kind: WarningKind::MedicareAdvantage, message });
    }
}

/// Where the profile's record and tokens are.
enum Home {
    /// On this machine.
    Local,
    /// On this machine, in a run over many profiles. The pull is recorded once its row is in the results.
    LocalOfMany(NoteLater),
    /// In a database that machines share.
    #[cfg(feature = "postgres")]
    Shared(crate::shared_state::shared_pull::SharedPull),
}

/// What to record of a pull.
struct PullNote {
    /// The archive.
    archive: ArchiveNote,
    /// Whether everything that was asked for came.
    is_whole: bool,
}

/// A pull that will be recorded later.
type NoteLater = Arc<Mutex<Option<PullNote>>>;

/// One run of `fetch`.
struct Job<'a> {
    context: &'a Context,
    args: &'a Fetch,
    profile: Profile,
    home: Home,
}

impl Job<'_> {
    fn logins(&self) -> Logins {
        let v3 = self.context.profile.with_ending("-v3");
        let again = self.profile.login_command(&self.context.profile);
        Logins { again, v3: login_command(&self.profile.server, ApiVersion::V3, &v3) }
    }

    /// Says that the consent ends soon, in time to act.
    async fn remind(&self, session: &Session) {
        let grant = session.grant().await;
        if let Some(reminder) = grant.reminder(Timestamp::now(), REMIND_DAYS) {
            let login = self.profile.login_command(&self.context.profile);
            self.context.output.warn(format!("{reminder}; renew it with: {login}"));
        }
    }

    /// Records the archive before a pull writes to it.
    fn begin(&self) -> impl FnOnce(PathBuf, Source) -> Noting + use<> {
        let (paths, name, profile) = (self.context.paths.clone(), self.context.profile.clone(), self.profile.clone());
        #[cfg(feature = "postgres")]
        let vault = if let Home::Shared(pull) = &self.home { Some(pull.vault.clone()) } else { None };
        move |out, source| {
            Box::pin(async move {
                let note = run_blocking(move || ArchiveNote::begun(&out, &source)).await?;
                #[cfg(feature = "postgres")]
                if let Some(vault) = vault {
                    return vault.note_begun(&note).await;
                }
                match run_blocking(move || Profile::note_begin(&paths, &name, &profile, note)).await? {
                    // If a record cannot be written, the end of the pull reports it.
                    Err(error) if error.kind == ErrorKind::Disk => Ok(()),
                    noted => noted,
                }
            })
        }
    }

    /// Records the pull for `status` and `--stale-after`.
    fn note_pull(&self, note: PullNote) {
        match &self.home {
            Home::Local => note_pull(self.context, self.args, &self.profile, note),
            Home::LocalOfMany(later) => {
                *later.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
            }
            // The note goes to the database together with the outcome.
            #[cfg(feature = "postgres")]
            Home::Shared(pull) => pull.note_archive(note.archive),
        }
    }
}

/// Records a pull of a profile on this machine.
fn note_pull(context: &Context, args: &Fetch, profile: &Profile, note: PullNote) {
    let PullNote { archive: note, is_whole } = note;
    let asked = is_whole.then_some(RequestedResources { resources: &args.resources, full: args.full });
    let pulled = profile::EndedPull { note, asked };
    if let Err(error) = Profile::note_pull(&context.paths, &context.profile, profile, pulled) {
        context.output.warn(format!("the archive is complete, but `bbdl status` will not show it: {error}"));
    }
}
