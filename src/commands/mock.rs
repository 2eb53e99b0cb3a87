//! `bbdl mock`: runs an offline Blue Button server until it is stopped.

use std::{future::ready, pin::pin, time::Duration};

use crate::{
    cli::Mock as Args,
    commands::Context,
    error::{Error, ErrorKind, Result, in_words},
    runtime::{asked_to_stop, block_on},
    spelling::nearest,
};
use bluebutton_mock::{
    FaultError, Mock, Options, Population, Records, StartError,
    data::{self, DataError},
};

/// Runs until it is asked to stop, which is its normal end.
///
/// # Errors
/// [`crate::error::Exit::Usage`] for faults, redirect URIs and data that cannot be read,
/// [`crate::error::Exit::TryAgain`] if the port is taken.
pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let options = options(args)?;
    block_on(async {
        let mut stop = pin!(asked_to_stop());
        // Listens for signals from here on, because a program that reads the first line may stop the mock at once.
        tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            () = ready(()) => {}
        }
        let mock = Mock::start(options).map_err(not_started)?;
        context.output.result(mock.announcement());
        // If the first line did not get out, no one could find the server.
        context.output.delivered()?;
        for (fault, meant) in args.fault.iter().filter_map(|fault| Some((fault, meant(fault)?))) {
            context.output.warn(format!("the fault {fault}: no request has such a path. Did you mean {meant}?"));
        }
        context.output.say(format!("A mock Blue Button is at {}. Stop it with Ctrl-C.", mock.url()));
        stop.await;
        for fault in mock.idle_faults() {
            context.output.warn(format!("the fault {fault} never struck: no request was one that it is for"));
        }
        Ok(())
    })
}

fn options(args: &Args) -> Result<Options> {
    let faults = args.fault.iter().map(|spec| spec.parse()).collect::<std::result::Result<_, _>>();
    let records: Box<dyn Records> = match &args.data {
        Some(dir) => Box::new(data::load(dir).map_err(|why| {
            let said = match &why {
                _ if dir.is_file() => format!("{} is a file, not a directory", dir.display()),
                DataError::Read { path, source } => format!("cannot read {}: {}", path.display(), in_words(source)),
                _ => why.to_string(),
            };
            Error::new(ErrorKind::Data, said)
                .hint("Give a directory with FHIR payloads in .json or .ndjson files, such as an archive.")
        })?),
        None => Box::new(Population::new(args.seed, args.enrollees as usize, args.claims)),
    };
    Ok(Options {
        port: args.port,
        auto_consent: args.auto_consent,
        latency: Duration::from_millis(args.latency),
        access: args.access,
        redirect_uris: args.redirect_uri.clone(),
        seed: args.seed,
        faults: faults.map_err(|why: FaultError| Error::usage(why.to_string()))?,
        records,
    })
}

/// The path that a fault is probably for, if it is only similar to one that apps ask for.
fn meant(fault: &str) -> Option<&'static str> {
    const PATHS: [&str; 8] =
        ["ExplanationOfBenefit", "Patient", "Coverage", "userinfo", "metadata", "token", "authorize", "revoke_token"];
    let path = fault.split_once('@')?.1.split(['#', '+', '%', '?']).next()?;
    let last = path.trim_end_matches('/').rsplit('/').next()?;
    let is_known = PATHS.iter().any(|known| known.contains(last));
    if is_known { None } else { nearest(last, PATHS, |known| (*known).to_owned()) }
}

fn not_started(cause: StartError) -> Error {
    match &cause {
        StartError::RedirectUri(_) => Error::usage(cause.to_string()),
        StartError::System(source) => Error::limit(source),
        StartError::Listen { port, source } => {
            Error::new(ErrorKind::Listen, format!("cannot listen on 127.0.0.1:{port}: {}", in_words(source)))
                .hint("Give another --port, or 0 for a free one.")
        }
        _ => Error::new(ErrorKind::Listen, cause.to_string()),
    }
}
