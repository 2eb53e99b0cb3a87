//! One search onto standard output: nothing is kept, and still nothing is left out.

use std::io::{Write, stdout};

use super::{
    Job,
    plan::Target,
    reading::{Keeper, Readings, give_up},
};
use crate::{
    api::{
        pages::{Known, Page, PullError},
        server::Searchable,
    },
    archive::{ledger::Expected, manifest::Mode, partial::Reached, pipe::Pipe},
    auth::token::Grant,
    error::Result,
};

impl Job<'_> {
    /// Writes one resource type to stdout: what every reading brings and an earlier one has not.
    pub(super) async fn search_to_stdout(&self, resource: Searchable, grant: &Grant) -> Result<u64> {
        let expected = Expected { kind: resource.name(), patient: grant.patient.clone() };
        let mut pipe = Pipe::new(stdout().lock(), expected);
        let query = self.filters(Target::Search(resource));
        let (mut readings, mut known) = (Readings::default(), 0);
        loop {
            let read = self.read(resource, query.clone(), Known::Before(known), None, 0, &mut pipe).await;
            let count = pipe.distinct();
            known = known.max(count);
            match read {
                Err(cause @ PullError::Failed(_)) => return Err(give_up(cause, resource)),
                Err(PullError::Shifted) => readings.shifted(resource, self.ui())?,
                Ok(end) => {
                    let asked = (resource, &query, Mode::Full);
                    let brought = (count, readings.moved(pipe.repeated()));
                    let missing = end.missing(count);
                    if !self.held_still(asked, &end, brought, |claim| pipe.has(claim)).await? {
                        readings.shifted(resource, self.ui())?;
                    } else if readings.is_whole(missing, false, end.cut_short) {
                        if let Some(total) = end.total.filter(|total| *total != count) {
                            self.ui().warn(format!(
                                "{}: the server's total is {total}, and it sent {count}",
                                resource.name()
                            ));
                        }
                        return Ok(pipe.written());
                    } else {
                        readings.fell_short(resource, &end, count, self.ui())?;
                    }
                }
            }
            pipe.begin_anew();
        }
    }
}

impl<W: Write> Keeper for Pipe<W> {
    fn take(&mut self, page: &Page, _: &Reached) -> Result<u64, PullError> {
        self.page(&page.bundle).map_err(PullError::Failed)?;
        Ok(self.distinct())
    }

    /// What is read from a pipe is read in one run: nobody goes on with it.
    fn held(&mut self, _: u64) -> Result<()> {
        Ok(())
    }
}
