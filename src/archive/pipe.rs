//! Resources on their way to a pipe.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use super::{
    index::Before,
    key::{IdKey, key},
    ledger::{Expected, Ledger, Repeated},
};
use crate::{
    error::{Error, ErrorKind, Result},
    fhir::{
        bundle::Bundle,
        resource::{Header, line},
    },
};

/// Resources on their way to a pipe: each once, nothing kept but ids. One that comes again in a newer version
/// is written again, behind the older one.
pub struct Pipe<W> {
    out: W,
    ledger: Ledger,
    written: u64,
    /// What this reading has brought, where it is not the first.
    again: Option<Again>,
}

#[derive(Default)]
struct Again {
    ids: HashSet<IdKey>,
    repeated: Repeated,
}

impl Again {
    fn came(&mut self, header: &Header) {
        let key = key(&header.id);
        if !self.ids.insert(key) {
            self.repeated.count(&header.id, &key);
        }
    }
}

impl<W: Write> Pipe<W> {
    /// Writes to `out`.
    pub fn new(out: W, expected: Expected) -> Self {
        Self { out, ledger: Ledger::new(expected, Before::nothing()), written: 0, again: None }
    }

    /// What comes now is the whole set from its beginning, once more.
    pub fn begin_anew(&mut self) {
        self.again = Some(Again::default());
    }

    /// Writes the resources of a page.
    ///
    /// # Errors
    /// [`crate::error::Exit::Data`] for a resource that does not belong here, [`crate::error::Exit::Disk`] when the reader is gone.
    pub fn page(&mut self, bundle: &Bundle) -> Result<()> {
        for (text, header) in bundle.entries() {
            if let (Some(again), Ok(header)) = (&mut self.again, header) {
                again.came(header);
            }
            if self.ledger.enter_with(header, text)?.is_some() {
                let line = line(text);
                self.out
                    .write_all(line.as_bytes())
                    .and_then(|()| self.out.write_all(b"\n"))
                    .map_err(|cause| pipe(&cause))?;
                self.written += 1;
            }
        }
        self.out.flush().map_err(|cause| pipe(&cause))
    }

    /// Lines written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// How many distinct resources this reading has brought.
    #[must_use]
    pub fn distinct(&self) -> u64 {
        self.again.as_ref().map_or(self.ledger.tally.count, |again| again.ids.len() as u64)
    }

    /// The resources that came again in this reading.
    #[must_use]
    pub fn repeated(&self) -> Repeated {
        self.again.as_ref().map_or(self.ledger.repeated, |again| again.repeated)
    }

    /// Whether a resource is written, in this version or a newer one.
    #[must_use]
    pub fn has(&self, resource: &str) -> bool {
        self.ledger.has(resource)
    }
}

fn pipe(cause: &io::Error) -> Error {
    let message = match cause.kind() {
        io::ErrorKind::BrokenPipe => "the reader of stdout closed it before everything was written".to_owned(),
        _ => format!("cannot write to stdout: {cause}"),
    };
    Error::new(ErrorKind::Stdout, message).hint("What was written so far is not the whole answer.")
}
