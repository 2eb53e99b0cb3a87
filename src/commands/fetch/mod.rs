//! `bbdl fetch`: bring resources home, page by page, into an archive or a pipe.

mod all_profiles;
mod filters;
mod report;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    api::{client::Limits, retry::RetryPolicy},
    api_version::ApiVersion,
    archive::manifest::Entry,
    auth::{log_in_end::EndedKind, session::Session},
    claim::{archived::coverages, coverage::notice},
    cli::{Fetch, Format},
    commands::Context,
    error::{Error, ErrorKind, Result},
    profile::{Profile, archive_notes::ArchiveNote, login_command},
    pull::{
        one_profile::{Brought, OneProfile, PullOptions, PulledResource},
        outcome::{Warning, WarningKind},
        plan::Logins,
    },
    runtime::{asked_to_stop, block_on_with_workers, interruptible},
};
use filters::claim_query;
use report::Done;

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
        return block_on_with_workers(one(&context, args, async |_, pull| pull.to_stdout().await));
    }
    let done = block_on_with_workers(one(&context, args, to_archive))?;
    if context.ui.json() {
        context.ui.result_json(&done.json());
    } else {
        context.ui.summary(done.line());
    }
    Ok(())
}

/// One profile's fetch, and what has to be waited for when it ends or is interrupted.
async fn one<T>(
    context: &Context,
    args: &Fetch,
    what: impl AsyncFnOnce(&Job<'_>, &OneProfile<'_>) -> Result<T>,
) -> Result<T> {
    let profile = Profile::must_load(&context.paths, &context.profile)?;
    let options = options(args, profile.api)?;
    let retry = RetryPolicy {
        retries: args.retry,
        first_pause: Duration::from_millis(args.retry_delay),
        ..RetryPolicy::default()
    };
    let (client, session) = context.session(&context.profile, &profile, retry)?;
    let job = Job { context, args, profile };
    let pull = OneProfile { options, logins: job.logins(), client: &client, session: &session };
    let result = interruptible(what(&job, &pull)).await;
    // The data endpoints say so as well, and not only the token endpoint.
    if result.as_ref().is_err_and(|error| error.kind == ErrorKind::GrantEnded) {
        session.note_ended(EndedKind::GrantEnded).await;
    }
    // Whatever ended it: an answer to a renewal that is on its way has to reach the store.
    session.settle(asked_to_stop()).await;
    if result.is_ok() {
        job.remind(&session).await;
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

/// Pulls into the archive, notes it in the profile, and warns of what a person should know.
async fn to_archive(job: &Job<'_>, pull: &OneProfile<'_>) -> Result<Done> {
    let began = Instant::now();
    let Brought { out, manifest, mut resources, withheld, failure } = pull.to_archive().await?;
    let count = manifest.resources.get("ExplanationOfBenefit").map_or(0, |entry| entry.count);
    job.note_archive(ArchiveNote::of(&out, &manifest.source, count));
    say_what_a_plan_has(&out, &mut resources);
    let (profile, api, out) = (job.context.profile.to_string(), job.profile.api, job.args.out.clone());
    let done = Done { profile, api, out, resources, withheld, elapsed: began.elapsed() };
    done.warn(&job.context.ui);
    // What came is in place by now.
    failure.map_or(Ok(done), Err)
}

/// Warns that a Medicare Advantage plan has the medical claims of some months, where the archive's Coverage says so: with
/// the claims, else with whatever came.
fn say_what_a_plan_has(out: &Path, resources: &mut [(PulledResource, Entry)]) {
    // What came is in place: a file that cannot be read now is for `verify` to say.
    let Some(message) = notice(&coverages(out).unwrap_or_default()) else { return };
    let of_claims = resources.iter().position(|(pulled, _)| pulled.row.resource == "ExplanationOfBenefit").unwrap_or(0);
    if let Some((pulled, _)) = resources.get_mut(of_claims) {
        pulled.warnings.push(Warning { kind: WarningKind::MedicareAdvantage, message });
    }
}

/// One run of `fetch`.
struct Job<'a> {
    context: &'a Context,
    args: &'a Fetch,
    profile: Profile,
}

impl Job<'_> {
    fn logins(&self) -> Logins {
        let v3 = self.context.profile.with_ending("-v3");
        let again = self.profile.login_command(&self.context.profile);
        Logins { again, v3: login_command(&self.profile.server, ApiVersion::V3, &v3) }
    }

    /// Says that the consent ends, in time to do something about it.
    async fn remind(&self, session: &Session) {
        let grant = session.grant().await;
        if let Some(reminder) = grant.reminder(Timestamp::now(), REMIND_DAYS) {
            let login = self.profile.login_command(&self.context.profile);
            self.context.ui.warn(format!("{reminder}; renew it with: {login}"));
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
            self.context.ui.warn(format!("the archive is complete, but `bbdl status` will not show it: {error}"));
        }
    }
}
