//! Resources on their way to a pipe.

use std::io::{self, Write};

use super::{
    index::Before,
    ledger::{Expected, Ledger, Tally},
};
use crate::{
    error::{Error, Exit, Result},
    fhir::{bundle::Bundle, resource::line},
};

/// Resources on their way to a pipe: each once, nothing kept but ids.
pub struct Pipe<W> {
    out: W,
    ledger: Ledger,
}

impl<W: Write> Pipe<W> {
    /// Writes to `out`.
    pub fn new(out: W, expected: Expected) -> Self {
        Self { out, ledger: Ledger::new(expected, Before::nothing()) }
    }

    /// Writes the resources of a page.
    ///
    /// # Errors
    /// [`Exit::Data`] for a resource that does not belong here, [`Exit::Disk`] when the reader is gone.
    pub fn page(&mut self, bundle: &Bundle) -> Result<()> {
        for text in bundle.resources() {
            let line = line(text);
            if self.ledger.enter(&line)?.is_some() {
                self.out
                    .write_all(line.as_bytes())
                    .and_then(|()| self.out.write_all(b"\n"))
                    .map_err(|cause| pipe(&cause))?;
            }
        }
        self.out.flush().map_err(|cause| pipe(&cause))
    }

    /// What was written.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.ledger.tally
    }
}

fn pipe(cause: &io::Error) -> Error {
    let message = match cause.kind() {
        io::ErrorKind::BrokenPipe => "the reader of stdout closed it before everything was written".to_owned(),
        _ => format!("cannot write to stdout: {cause}"),
    };
    Error::new(Exit::Disk, "stdout", message).hint("What was written so far is not the whole answer.")
}
