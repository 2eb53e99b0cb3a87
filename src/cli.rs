//! What a person may type. No behavior here; help texts, completions and man pages come from this.

mod profiles;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint, builder::FalseyValueParser};
use clap_complete::engine::ArgValueCompleter;

use crate::{
    api_version::ApiVersion,
    auth::{renewal_limit::RenewalLimit, store::StoreKind},
    claim::Kind,
    cms_notice::CMS_NOTICE,
    duration,
    error::{DOCS, ISSUES},
    export,
    fleet::{shard::Shard, tolerance::Tolerance},
    output::Color,
    profile::ProfileName,
    resource::Resource,
    secret::Secret,
};
use bluebutton_mock::Access;
pub use profiles::{Profiles, ProfilesAction, ProfilesExport, ProfilesImport, ProfilesRemove, ProfilesRename};
use values::{at_least, how_often, op_date, op_instant, patience, profiles, request_timeout, secret, whole};

const EXAMPLES: &str = "Examples:\n  \
    bbdl demo                     try bbdl on made-up people, offline\n  \
    bbdl login --sandbox          log in once, in the browser\n  \
    bbdl fetch eob --out claims   download all claims to the directory \"claims\"";

/// The command line, with the address of docs and issues at the end of each help.
#[must_use]
pub fn command() -> clap::Command {
    with_addresses(for_people(Cli::command()))
}

/// A word is understood in any case, and a negative number is told what the option takes instead of being taken for an
/// option.
fn for_people(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| match arg.get_action().takes_values() {
        true => arg.ignore_case(true).allow_negative_numbers(true),
        false => arg,
    });
    command.mut_subcommands(for_people)
}

fn with_addresses(command: clap::Command) -> clap::Command {
    let addresses = format!("Docs:   {DOCS}\nIssues: {ISSUES}");
    let long = command.get_after_long_help().or_else(|| command.get_after_help());
    let long = long.map(|text| format!("{text}\n\n{addresses}")).unwrap_or_else(|| addresses.clone());
    let command = match command.get_after_help().map(ToString::to_string) {
        // That of single commands has to fit a screen.
        Some(text) if command.has_subcommands() => command.after_help(format!("{text}\n\n{addresses}")),
        _ => command,
    };
    command.after_long_help(long).mut_subcommands(with_addresses)
}

/// Download Medicare claims from CMS's Blue Button API and keep them up to date.
#[derive(Debug, Parser)]
#[command(
    name = "bbdl",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{CMS_NOTICE}"),
    disable_help_flag = true,
    disable_version_flag = true
)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Profile (a named log-in) to use [default: default]
    #[arg(long, global = true, value_name = "NAME", env = "BBDL_PROFILE", add = ArgValueCompleter::new(profiles))]
    pub profile: Option<ProfileName>,
    /// Read this configuration file instead of the usual config.toml
    #[arg(long, global = true, value_name = "FILE", env = "BBDL_CONFIG", hide_short_help = true, value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Where tokens are kept [default: keyring]
    #[arg(long, global = true, value_name = "STORE", env = "BBDL_TOKEN_STORE", hide_short_help = true)]
    pub token_store: Option<StoreKind>,
    /// Print the result as JSON
    #[arg(long, global = true, env = "BBDL_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Print only errors and warnings
    #[arg(short, long, global = true, env = "BBDL_QUIET", hide_short_help = true, value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    /// Print every request; -vv also prints why a request is repeated
    #[arg(short, long, global = true, action = ArgAction::Count, env = "BBDL_VERBOSE", hide_short_help = true, value_parser = how_often)]
    pub verbose: u8,
    /// Do not show progress
    #[arg(long, global = true, env = "BBDL_NO_PROGRESS", hide_short_help = true, value_parser = FalseyValueParser::new())]
    pub no_progress: bool,
    /// Do not ask questions; fail instead
    #[arg(long, global = true, env = "BBDL_NO_INPUT", hide_short_help = true, value_parser = FalseyValueParser::new())]
    pub no_input: bool,
    /// Whether `--state` is on the command line. The environment and the configuration can name a shared state too.
    #[arg(skip)]
    pub state_is_typed: bool,
    /// Also trust the certificates in this file (PEM), such as those of a TLS-intercepting proxy
    #[arg(long, global = true, value_name = "FILE", env = "BBDL_CA_CERT", hide_short_help = true, value_hint = ValueHint::FilePath)]
    pub ca_cert: Option<PathBuf>,
    /// When to use colors (NO_COLOR is honored)
    #[arg(long, global = true, value_name = "WHEN", env = "BBDL_COLOR", hide_short_help = true)]
    pub color: Option<Color>,
    /// Print help (--help shows every option)
    #[arg(short, long, global = true, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// Print version
    #[arg(short = 'V', long, global = true, action = ArgAction::Version)]
    pub version: Option<bool>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in to Blue Button in the browser
    ///
    /// bbdl opens Medicare's page in the browser, waits for its answer on this machine, and keeps the tokens in the system's
    /// keyring. From then on, `bbdl fetch` needs no browser until the consent ends: with most apps after 13 months.
    Login(Login),
    /// End the log-in at the server and delete its tokens
    ///
    /// Your archives stay. To delete them as well, use `bbdl purge`.
    Logout(Logout),
    /// Show the log-ins on this machine and how long they last
    ///
    /// For each profile, it says who logged in where, how long the consent lasts, and which archives it fills. It needs no
    /// network unless you pass --online.
    Status(Status),
    /// Download claims and other resources
    ///
    /// The first run downloads everything into a directory, the archive. It has one file for each type of resource, with one
    /// claim per line, and manifest.json, which says where the claims are from. A later run with the same directory asks only
    /// for what is new or changed since the last one, and adds it. If a run fails or is interrupted, the archive stays as it
    /// was, and the next run continues.
    Fetch(Box<Fetch>),
    /// Check that an archive is complete and undamaged
    ///
    /// It compares each file with the counts and checksums in manifest.json, and reads every line. It changes nothing.
    Verify(Verify),
    /// Make a web page with totals, charts and every claim
    ///
    /// The page is one file. It begins with what you may still be billed for, and with what Medicare did not approve and why.
    Report(Report),
    /// Write claims as tables or as one FHIR Bundle
    ///
    /// Tables are for spreadsheets and programs; a FHIR Bundle is for a doctor or a portal. The archive itself does not change.
    Export(Export),
    /// Check this machine's setup and its log-ins
    ///
    /// It checks the browser, proxies, directories, token stores, servers and consents, and says what to do about each problem.
    #[command(
        after_help = "Examples:\n  bbdl doctor\n  bbdl doctor --json | jq '.findings[] | select(.state != \"ok\")'"
    )]
    Doctor(Doctor),
    /// Import, export, list, rename and remove profiles
    ///
    /// A profile is a named log-in. These commands are for people who have many of them.
    #[command(after_help = "Examples:\n  \
            bbdl profiles import rows.ndjson\n  \
            bbdl profiles list\n  \
            bbdl profiles rename mum mom")]
    Profiles(Profiles),
    /// Delete a log-in, its tokens and the archives that it filled
    ///
    /// The consent ends at the server too. Pages of bbdl report and tables of bbdl export are kept.
    Purge(Purge),
    /// Run an offline Blue Button server with made-up people
    ///
    /// It has the log-in, tokens and FHIR data of API v1, v2 and v3, for trying bbdl and for testing apps. It listens on this
    /// machine only.
    Mock(Mock),
    /// Try bbdl offline: mock server, log-in and fetch
    ///
    /// It starts a mock server, logs in to it as a made-up person, and downloads that person's claims. Your own log-ins are not
    /// used.
    Demo(Demo),
    /// Print shell completions
    ///
    /// They complete commands, options, values and the names of your profiles.
    Completions(Completions),
    /// Write the man pages
    ///
    /// There is one page for each command, and bbdl(1) for all.
    Man(Man),
}

/// `bbdl login`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  \
        bbdl login --sandbox --client-id ID --client-secret-file client-secret\n  \
        bbdl login --production --profile mom --no-browser\n  \
        bbdl login --sandbox --redirect-uri http://localhost:8080/callback",
    after_long_help = "The client secret comes from --client-secret-file, from BBDL_CLIENT_SECRET or from an earlier log-in; \
        otherwise bbdl asks for it. You cannot pass it on the command line.\n\n\
        You can also choose the server with BBDL_SERVER (sandbox, production or a URL), BBDL_SANDBOX=1 or \
        BBDL_PRODUCTION=1.\n\n\
        BBDL_TOKEN_STORE_COMMAND or config.toml sets the command for --token-store command.\n\n\
        Examples:\n  \
        bbdl login --sandbox --client-id ID --client-secret-file client-secret\n  \
        bbdl login --production --profile mom --no-browser\n  \
        bbdl login --sandbox --redirect-uri http://localhost:8080/callback"
)]
pub struct Login {
    /// Use CMS's sandbox (made-up people)
    #[arg(long, group = "environment")]
    pub sandbox: bool,
    /// Use CMS's production server (real people); the default
    #[arg(long, group = "environment")]
    pub production: bool,
    /// Use another server, such as http://127.0.0.1:8099
    #[arg(long, value_name = "URL", group = "environment", hide_short_help = true, value_hint = ValueHint::Url)]
    pub server: Option<String>,
    /// API version [default: v2]
    #[arg(long, value_name = "VERSION", env = "BBDL_API")]
    pub api: Option<ApiVersion>,
    /// Let another person take over this profile
    #[arg(long, env = "BBDL_REPLACE", hide_short_help = true, value_parser = FalseyValueParser::new())]
    pub replace: bool,
    /// The app's client id
    #[arg(long, value_name = "ID", env = "BBDL_CLIENT_ID")]
    pub client_id: Option<String>,
    /// File with the app's client secret, or - for standard input
    #[arg(long, value_name = "FILE", env = "BBDL_CLIENT_SECRET_FILE", value_hint = ValueHint::FilePath)]
    pub client_secret_file: Option<PathBuf>,
    /// The redirect URI registered for the app [default: http://127.0.0.1/callback, on any free port]
    #[arg(long, value_name = "URI", env = "BBDL_REDIRECT_URI", hide_short_help = true)]
    pub redirect_uri: Option<String>,
    /// Print the address; do not open a browser
    #[arg(long, env = "BBDL_NO_BROWSER", value_parser = FalseyValueParser::new())]
    pub no_browser: bool,
    /// Do not listen for the redirect; read the address or the code from standard input
    #[arg(long, env = "BBDL_MANUAL", hide_short_help = true, value_parser = FalseyValueParser::new())]
    pub manual: bool,
    /// Ask for this scope (repeatable) [default: every scope that bbdl can use]
    #[arg(long, value_name = "SCOPE", env = "BBDL_SCOPE", hide_short_help = true, value_delimiter = ' ')]
    pub scope: Vec<String>,
    /// Language of CMS's pages
    #[arg(long, value_name = "LANG", env = "BBDL_LANG", hide_short_help = true)]
    pub lang: Option<Lang>,
    /// How long to wait for the log-in, such as 90s, 15m or 1h [default: 15m]
    #[arg(long, value_name = "DURATION", env = "BBDL_TIMEOUT", hide_short_help = true, value_parser = patience, allow_hyphen_values = true)]
    pub timeout: Option<Duration>,
}

/// Languages of CMS's pages.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Lang {
    /// English.
    En,
    /// Spanish.
    Es,
}

/// `bbdl logout`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  bbdl logout\n  bbdl logout --profile mom --local")]
pub struct Logout {
    /// Only delete the tokens on this machine; the consent continues
    #[arg(long)]
    pub local: bool,
    /// The shared state.
    #[command(flatten)]
    pub shared: SharedStateArgs,
}

/// `bbdl status`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  bbdl status\n  bbdl status --online\n  bbdl status --json | jq -r '.profiles[] | [.name, .days_left] | @tsv'"
)]
pub struct Status {
    /// Also ask the server whether each log-in still works
    #[arg(long)]
    pub online: bool,
    /// Show where configuration, state and tokens are on this machine
    #[arg(long, conflicts_with = "online")]
    pub paths: bool,
    /// The shared state.
    #[command(flatten)]
    pub shared: SharedStateArgs,
}

/// Where machines share profiles, tokens and work.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Shared state")]
pub struct SharedStateArgs {
    /// Share profiles and work with other machines through this PostgreSQL database: postgres://USER@HOST/DATABASE
    #[arg(long, global = true, value_name = "URL", env = "BBDL_STATE", hide_env_values = true, hide_short_help = true, value_parser = secret)]
    pub state: Option<Secret>,
    /// File with the key that encrypts the tokens in the shared state
    #[arg(long, global = true, value_name = "FILE", env = "BBDL_STATE_KEY_FILE", hide_short_help = true, value_hint = ValueHint::FilePath)]
    pub state_key_file: Option<PathBuf>,
}

/// `bbdl doctor`
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// The shared state.
    #[command(flatten)]
    pub shared: SharedStateArgs,
}

/// `bbdl purge`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "purge first shows what it would delete, and asks. It deletes only files that bbdl keeps in an archive. It does \
        not delete the pages and tables that report and export made: delete those yourself.\n\nExamples:\n  \
        bbdl purge --profile mom --dry-run\n  \
        bbdl purge --all-profiles --yes"
)]
pub struct Purge {
    /// Do not ask for confirmation
    #[arg(long, env = "BBDL_YES", value_parser = FalseyValueParser::new())]
    pub yes: bool,
    /// Only show what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    /// Delete all profiles on this machine, or in the shared state
    #[arg(long, conflicts_with = "profile")]
    pub all_profiles: bool,
    /// The shared state.
    #[command(flatten)]
    pub shared: SharedStateArgs,
}

/// How a download is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One resource per line
    #[default]
    Ndjson,
    /// The same, and also every page as the server sent it, in pages/
    Json,
}

/// `bbdl fetch`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
        bbdl fetch eob --out claims\n  \
        bbdl fetch all --out claims --json\n  \
        bbdl fetch eob --type pde --service-date ge2025-01-01 --out - | jq -r .id")]
pub struct Fetch {
    /// What to fetch
    #[arg(required = true, value_name = "RESOURCE")]
    pub resources: Vec<Resource>,
    /// The archive's directory, or - for standard output
    #[arg(long, short, visible_alias = "output", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// How to store what is downloaded
    #[arg(long, value_name = "FORMAT", default_value = "ndjson", hide_short_help = true)]
    pub format: Format,
    /// Download everything again, and remove what the server no longer has
    #[arg(long)]
    pub full: bool,
    /// Fetch for every profile, into DIR/PROFILE
    #[arg(long, conflicts_with = "profile")]
    pub all_profiles: bool,
    /// Only claims of this type (repeatable)
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<Kind>,
    /// Only claims by date of service, as in ge2025-01-31 (repeatable)
    ///
    /// Write ge (on or after), gt (after), le (on or before) or lt (before) in front of the date. For a range, pass the option
    /// twice.
    #[arg(long, value_name = "DATE", value_parser = op_date)]
    pub service_date: Vec<String>,
    /// Only what the server loaded before or after a time, as in ge2025-01-31 or lt2025-01-31T12:00:00Z (repeatable)
    ///
    /// Write ge (at or after), gt (after), le (at or before) or lt (before) in front of the date or time. For a range, pass the
    /// option twice.
    #[arg(long, value_name = "TIME", value_parser = op_instant, hide_short_help = true)]
    pub last_updated: Vec<String>,
    /// API v3: only claims from this source (repeatable)
    #[arg(long, value_name = "SOURCE", value_delimiter = ',', hide_short_help = true)]
    pub source: Vec<Source>,
    /// Resources per page
    #[arg(long, value_name = "N", default_value = "50", hide_short_help = true, value_parser = whole::<u32>(1..=50))]
    pub page_size: u32,
    /// Stop if one enrollee has more claims than this
    #[arg(long, value_name = "N", default_value = "200000", hide_short_help = true, value_parser = at_least::<u64>(1))]
    pub max_claims: u64,
    /// Send at most this many requests to a server at once, for all profiles together; bbdl sends fewer while the server is slow
    #[arg(long, value_name = "N", default_value = "4", env = "BBDL_JOBS", hide_short_help = true, value_parser = whole::<u8>(1..=16))]
    pub jobs: u8,
    /// How long to wait for one complete answer, such as 90s or 5m; CMS's own limit is 120 seconds
    #[arg(long, value_name = "DURATION", default_value = "130s", env = "BBDL_REQUEST_TIMEOUT", hide_short_help = true, value_parser = request_timeout, allow_hyphen_values = true)]
    pub timeout: Duration,
    /// How many times to retry a request that failed for a temporary reason
    #[arg(long, value_name = "N", default_value = "6", env = "BBDL_RETRY", hide_short_help = true, value_parser = whole::<u32>(0..=20))]
    pub retry: u32,
    /// How many milliseconds to wait before the first retry; the wait doubles each time
    #[arg(long, value_name = "MS", default_value = "1000", env = "BBDL_RETRY_DELAY", hide_short_help = true, value_parser = whole::<u64>(1..=60_000))]
    pub retry_delay: u64,
    /// Options for all profiles.
    #[command(flatten)]
    pub many: FetchMany,
    /// The shared state.
    #[command(flatten)]
    pub shared: SharedStateArgs,
}

/// `bbdl fetch --all-profiles`
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options for --all-profiles")]
pub struct FetchMany {
    /// Only profiles whose last pull is at least this long ago, such as 6h or 7d
    #[arg(long, value_name = "DURATION", hide_short_help = true, value_parser = duration::parse, allow_hyphen_values = true)]
    pub stale_after: Option<Duration>,
    /// Start no more fetches once this much time has passed, such as 4h; exit with 75 if some profiles that were due were not fetched
    #[arg(long = "for", value_name = "DURATION", hide_short_help = true, value_parser = duration::parse, allow_hyphen_values = true)]
    pub time: Option<Duration>,
    /// Split the profiles by name into N parts, and fetch only part K (from 0), so that N machines can share the work
    #[arg(long, value_name = "K/N", hide_short_help = true)]
    pub shard: Option<Shard>,
    /// Append one line of JSON to this file for each profile, as soon as its fetch ends
    #[arg(long, value_name = "FILE", hide_short_help = true, value_hint = ValueHint::FilePath)]
    pub results: Option<PathBuf>,
    /// Write the numbers of the run to this file, for Prometheus (node_exporter's textfile collector)
    #[arg(long, value_name = "FILE", hide_short_help = true, value_hint = ValueHint::FilePath)]
    pub metrics: Option<PathBuf>,
    /// Failures that do not make the run fail (repeatable): an exit code, such as 75, for all failures with it, or a percentage, such as 1%, for failures of up to that share of the profiles that were due
    #[arg(long, value_name = "CODE|PERCENT%", hide_short_help = true)]
    pub tolerate: Vec<Tolerance>,
    /// Renew at most this many log-ins at once; if bbdl is killed, up to this many consents can be lost
    #[arg(long, value_name = "N", default_value_t = RenewalLimit::AT_ONCE, env = "BBDL_RENEWALS", hide_short_help = true, value_parser = whole::<u8>(1..=16))]
    pub renewals: u8,
}

impl FetchMany {
    /// The first option given that means something for many profiles only.
    #[must_use]
    pub fn given(&self) -> Option<&'static str> {
        [
            ("--stale-after", self.stale_after.is_some()),
            ("--for", self.time.is_some()),
            ("--shard", self.shard.is_some()),
            ("--results", self.results.is_some()),
            ("--metrics", self.metrics.is_some()),
            ("--tolerate", !self.tolerate.is_empty()),
        ]
        .into_iter()
        .find_map(|(name, is_given)| is_given.then_some(name))
    }
}

/// Where API v3's claims come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// Adjudicated fee-for-service claims
    Nch,
    /// Part D events
    Ddps,
    /// Partially adjudicated institutional claims
    Fiss,
    /// Partially adjudicated professional claims
    Mcs,
    /// Partially adjudicated equipment claims
    Vms,
    /// Prior authorizations
    Cwf,
}

/// `bbdl verify`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  bbdl verify claims\n  bbdl verify claims --json | jq .problems")]
pub struct Verify {
    /// The archive's directory
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

/// `bbdl report`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The page works without a network. It contains health data: keep it as safe as the archive.\n\nExamples:\n  \
        bbdl report claims --out claims.html\n  \
        bbdl report claims --out - > claims.html"
)]
pub struct Report {
    /// The archive's directory
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Where to write the page, or - for standard output; an existing file is replaced
    #[arg(long, short, visible_alias = "output", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: PathBuf,
    /// Open the page in the browser afterwards
    #[arg(long)]
    pub open: bool,
    /// Only claims whose service begins, continues or ends in this year
    #[arg(long, value_name = "YYYY", value_parser = whole::<i16>(1900..=2200))]
    pub year: Option<i16>,
    /// Leave out names and the identifiers of people, claims and plans, so that you can show the page to others
    #[arg(long)]
    pub redact: bool,
}

/// `bbdl export`
#[derive(Clone, Debug, Args)]
#[command(after_help = format!("What each column means: {DOCS}/export.md\n\nExamples:\n  \
        bbdl export claims --to csv --out tables\n  \
        bbdl export claims --to sqlite --out claims.db\n  \
        bbdl export claims --to fhir-bundle --out claims.json\n  \
        bbdl export study/* --to parquet --out tables"))]
pub struct Export {
    /// One or more archive directories
    ///
    /// With several archives, the first column of each table is `enrollee`: the name of the profile that fills the archive, or
    /// else the name of its directory.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath, required = true, num_args = 1..)]
    pub dirs: Vec<PathBuf>,
    /// What to write
    #[arg(long, value_name = "FORMAT")]
    pub to: export::Format,
    /// Where to write: a directory for csv and parquet, a file for the others; existing files are replaced
    #[arg(long, short, visible_alias = "output", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub out: PathBuf,
    /// For csv and parquet: separate files for each year of service
    #[arg(long, value_name = "WHAT")]
    pub partition_by: Option<export::Partition>,
}

/// `bbdl mock`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Prints JSON with url, client_id, client_secret and enrollees. Ctrl-C stops it.\n\nExamples:\n  \
        bbdl mock --port 8099 --claims 400 --auto-consent\n  \
        bbdl mock --data recorded/ --fault 'status=503@ExplanationOfBenefit#2'"
)]
pub struct Mock {
    /// Port on 127.0.0.1; 0 for a free one
    #[arg(long, value_name = "N", default_value = "0", value_parser = whole::<u16>(0..=65_535))]
    pub port: u16,
    /// Claims per enrollee
    #[arg(long, value_name = "N", default_value = "100", value_parser = at_least::<usize>(0))]
    pub claims: usize,
    /// Number of enrollees
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u32>(1..=1_000_000))]
    pub enrollees: u32,
    /// Seed for the made-up people and claims
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least::<u64>(0))]
    pub seed: u64,
    /// Serve the FHIR payloads in this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data: Option<PathBuf>,
    /// Complete log-ins without showing pages
    #[arg(long)]
    pub auto_consent: bool,
    /// Delay each answer (milliseconds)
    #[arg(long, value_name = "MS", default_value = "0", value_parser = at_least::<u64>(0))]
    pub latency: u64,
    /// How long a consent lasts
    #[arg(long, value_name = "CATEGORY", default_value = "thirteen-month")]
    pub access: Access,
    /// Register this redirect URI too (repeatable)
    #[arg(long, value_name = "URI")]
    pub redirect_uri: Vec<String>,
    /// Fail on purpose (repeatable)
    #[arg(long, value_name = "SPEC", help = format!("Fail on purpose (repeatable): {DOCS}/mock.md"))]
    pub fault: Vec<String>,
}

/// `bbdl demo`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  bbdl demo\n  bbdl demo --out somewhere")]
pub struct Demo {
    /// Where to put the archive
    #[arg(long, short, visible_alias = "output", value_name = "DIR", default_value = "bbdl-demo", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
}

/// `bbdl completions`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
        mkdir -p ~/.local/share/bash-completion/completions\n  \
        bbdl completions bash > ~/.local/share/bash-completion/completions/bbdl\n  \
        mkdir -p ~/.zfunc\n  \
        bbdl completions zsh > ~/.zfunc/_bbdl\n  \
        mkdir -p ~/.config/fish/completions\n  \
        bbdl completions fish > ~/.config/fish/completions/bbdl.fish")]
pub struct Completions {
    /// Shell to print completions for
    pub shell: clap_complete::Shell,
}

/// `bbdl man`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  man -l <(bbdl man -)\n  bbdl man ~/.local/share/man/man1")]
pub struct Man {
    /// Directory for the pages; - writes bbdl(1) to standard output
    #[arg(value_name = "DIR", default_value = "-", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    /// `--out` and `--output` are one option wherever something is written.
    #[test]
    fn out_is_the_same_option_everywhere() {
        for name in ["fetch", "report", "export", "demo"] {
            let command = command();
            let sub = command.find_subcommand(name).unwrap();
            let out = sub.get_arguments().find(|arg| arg.get_long() == Some("out")).unwrap();
            assert_eq!(out.get_visible_aliases().unwrap_or_default(), ["output"], "{name}");
        }
    }
}
