//! `bbdl demo`: mock, log-in and fetch in one command, in a temporary profile.
//!
//! Almost everything is real: the mock is a server on loopback, the log-in goes through a redirect to a real
//! listener, and the archive is written like any other. Only the person and the browser are simulated.

use std::{path::Path, thread};

use crate::{
    archive,
    auth::store::StoreKind,
    cli::{Cli, Command, Demo, Fetch, Login},
    commands::{Context, fetch, login},
    error::{Error, ErrorKind, Result, in_words},
    files::{durable, path_text::typed},
    output::Output,
    profile::{Paths, ProfileName, config_file::ConfigFile},
};
use bluebutton_mock::{Mock, Options, Population, StartError};

/// Enough for every type of claim, and for more than one page of fifty.
const CLAIMS: usize = 120;

/// Marks an archive as a demo's, so that another demo may replace it.
const MARK: &str = ".bbdl/demo";

/// Runs the command.
///
/// # Errors
/// The errors of its steps.
pub(crate) fn run(context: &Context, args: &Demo) -> Result<()> {
    let output = &context.output;
    make_room(&args.out)?;
    let home = tempfile::tempdir().map_err(|cause| Error::disk("create", &std::env::temp_dir(), &cause))?;
    let mock = start()?;
    output.say(format!(
        "1. A mock Blue Button server is running at {}, with one made-up enrollee and {CLAIMS} claims\n",
        mock.url()
    ));

    let secret = home.path().join("client-secret");
    durable::write_private(&secret, mock.client_secret().as_bytes())
        .map_err(|cause| Error::disk("write", &secret, &cause))?;
    let stage = Context { output: output.for_a_step(), ..temporary(context, home.path())? };
    output.say(format!("2. $ bbdl login --server {}\n", mock.url()));
    login::run_with(&stage, log_in(&mock, &secret)?, visit)?;

    output.say(format!("\n3. $ bbdl fetch all --out {}\n", typed(&args.out)));
    fetch::run(&Context { output: output.clone(), ..stage }, &fetch_all(&args.out)?)?;
    let mark = args.out.join(MARK);
    durable::write_private(&mark, b"").map_err(|cause| Error::disk("write", &mark, &cause))?;
    output.say(next_steps(&args.out));
    Ok(())
}

/// Removes an earlier demo's archive, whose mock no longer exists. If anything else is there, it stays and the demo
/// does not begin.
fn make_room(out: &Path) -> Result<()> {
    if out.join(MARK).exists() {
        return archive::empty(out);
    }
    if archive::is_one(out) {
        return Err(Error::new(ErrorKind::NotADemo, format!("{} is an archive, but not from a demo", out.display()))
            .hint("Nothing was changed. Give another directory with --out."));
    }
    archive::refuse_foreign(out)
}

fn start() -> Result<Mock> {
    let options =
        Options { auto_consent: true, records: Box::new(Population::new(1, 1, CLAIMS)), ..Options::default() };
    Mock::start(options).map_err(|cause| match &cause {
        StartError::System(source) => Error::limit(source),
        StartError::Listen { source, .. } => {
            Error::new(ErrorKind::Listen, format!("the mock cannot listen on 127.0.0.1: {}", in_words(source)))
                .hint("Check that this machine lets programs listen on 127.0.0.1: bbdl doctor")
        }
        _ => Error::new(ErrorKind::Demo, cause.to_string()),
    })
}

/// A context with a temporary home for the profile and its tokens, which is removed after the demo.
fn temporary(context: &Context, home: &Path) -> Result<Context> {
    let profile = ProfileName::DEFAULT.parse().map_err(Error::usage)?;
    let paths = Paths::find(Some(home), None)?;
    Ok(Context { paths, config: ConfigFile::default(), profile, token_store: Some(StoreKind::File), ..context.clone() })
}

/// Parses what a person would have typed, by the same rules.
fn read_words(words: &[&std::ffi::OsStr]) -> Result<Command> {
    let read = <Cli as clap::Parser>::try_parse_from(words);
    read.map(|cli| cli.command).map_err(|cause| Error::new(ErrorKind::Demo, cause.to_string()))
}

fn log_in(mock: &Mock, secret: &Path) -> Result<Login> {
    let words = ["bbdl", "login", "--server", mock.url(), "--client-id", mock.client_id(), "--client-secret-file"];
    let words: Vec<_> = words.map(std::ffi::OsStr::new).into_iter().chain([secret.as_os_str()]).collect();
    match read_words(&words)? {
        Command::Login(login) => Ok(Login { redirect_uri: None, manual: false, no_browser: false, ..login }),
        _ => Err(Error::new(ErrorKind::Demo, "the demo typed something else")),
    }
}

fn fetch_all(out: &Path) -> Result<Fetch> {
    let words: Vec<_> =
        ["bbdl", "fetch", "all", "--out"].map(std::ffi::OsStr::new).into_iter().chain([out.as_os_str()]).collect();
    match read_words(&words)? {
        Command::Fetch(fetch) => Ok(*fetch),
        _ => Err(Error::new(ErrorKind::Demo, "the demo typed something else")),
    }
}

/// Plays the browser: follows redirects to the end. The mock needs nothing more.
fn visit(output: &Output, url: String) {
    let output = output.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let visited = runtime.map(|runtime| {
            runtime.block_on(async { reqwest::Client::builder().no_proxy().build()?.get(url).send().await })
        });
        if !matches!(visited, Ok(Ok(_))) {
            output.warn("the demo's browser could not follow the log-in");
        }
    });
}

fn next_steps(out: &Path) -> String {
    let out = typed(out);
    format!(
        "\nThe archive is in {out}. Look at it:\n\n  \
         bbdl verify {out}\n  \
         bbdl report {out} --out claims.html\n  \
         wc -l {out}/*.ndjson\n  \
         head -1 {out}/ExplanationOfBenefit.ndjson | jq .\n  \
         jq -r '[.id, .billablePeriod.end, .payment.amount.value] | @tsv' {out}/ExplanationOfBenefit.ndjson\n  \
         jq '.resources | map_values(.count)' {out}/manifest.json\n\n\
         Everything in it is made up. To try CMS's sandbox: bbdl login --sandbox, then bbdl fetch all --out claims"
    )
}
