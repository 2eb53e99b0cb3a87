//! `bbdl mock`: run an offline Blue Button until stopped.

use std::time::Duration;

use crate::{
    cli::Mock as Args,
    commands::Context,
    error::{Error, ErrorKind, Result},
};
use bluebutton_mock::{Mock, Options, Population, data, records::Records};

/// Runs the command.
///
/// # Errors
/// [`crate::error::Exit::Usage`] for faults and data that cannot be read, [`crate::error::Exit::TryAgain`] when the port is taken.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let faults = args.fault.iter().map(|spec| spec.parse()).collect::<Result<_, String>>().map_err(Error::usage)?;
    let records: Box<dyn Records> = match &args.data {
        Some(dir) => Box::new(data::load(dir).map_err(|why| Error::new(ErrorKind::Data, why))?),
        None => Box::new(Population::new(args.seed, args.enrollees as usize, args.claims)),
    };
    let options = Options {
        port: args.port,
        auto_consent: args.auto_consent,
        latency: Duration::from_millis(args.latency),
        access: args.access,
        seed: args.seed,
        faults,
        records,
    };
    let mock = Mock::start(options).map_err(|cause| {
        Error::new(ErrorKind::Listen, format!("cannot listen on 127.0.0.1:{}: {cause}", args.port))
            .hint("Give another --port, or 0 for a free one.")
    })?;
    context.ui.result(mock.announcement());
    // Nobody could find it.
    context.ui.delivered()?;
    context.ui.say(format!("A mock Blue Button is at {}. Stop it with Ctrl-C.", mock.url()));
    mock.wait();
    Ok(())
}
