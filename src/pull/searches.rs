//! The searches of one profile's pull: plans each one from what is kept, reads it, and adds it to the pull.

use std::io::stdout;

use jiff::Timestamp;

use super::{
    increment,
    one_profile::{OneProfile, PulledResource},
    outcome::ReadingOutcome,
    plan::Target,
    search_loop::{Reader, SearchPlan},
    sinks::{ArchiveSink, PullHandle, StreamSink},
};
use crate::{
    api::endpoints::Searchable,
    archive::{
        Pull,
        dedup::Expected,
        journal::SearchKey,
        manifest::{Entry, Mode},
        pull::Pulled,
    },
    auth::token::Grant,
    error::Result,
    paging::page_check::PriorCount,
};

impl OneProfile<'_> {
    /// Adds one resource type to the pull.
    pub(super) async fn search_to_archive(
        &self,
        pull: &PullHandle,
        resource: Searchable,
        grant: &Grant,
    ) -> Result<PulledResource> {
        let started = Timestamp::now();
        let (requests, bytes) = self.client.traffic();
        let (kept, plan, key, patient) = {
            let pull = pull.now();
            let kept = pull.kept(resource.name()).cloned();
            let plan = self.search_plan(&pull, resource, kept.as_ref());
            let key = SearchKey {
                source: self.source(grant),
                query: plan.query.clone(),
                since: plan.since,
                page_size: self.options.page_size,
                pages_kept: self.options.keeps_pages,
            };
            (kept, plan, key, grant.patient.clone().or_else(|| pull.patient().map(str::to_owned)))
        };
        let query = plan.query.clone();
        let expected = Expected { kind: resource.name(), patient };
        let (mut sink, from) = ArchiveSink::open(pull, expected, key).await?;
        let settled = self.reader().read_to_archive(plan, kept.as_ref(), &mut sink, from).await?;
        let (requests_now, bytes_now) = self.client.traffic();
        let ReadingOutcome { mode, total, data_time, cursor_stays, .. } = settled;
        let failure = settled.failure.clone();
        let warnings = settled.warnings_with("the next pull asks for the same again");
        let pulled = Pulled {
            resource: resource.name(),
            mode,
            query,
            cursor: data_time,
            cursor_stays: cursor_stays || failure.is_some(),
            clock: self.client.clock(),
            server_total: total,
            started,
            requests: requests_now - requests,
            received: bytes_now - bytes,
        };
        let writer = sink.into_writer();
        let row = pull.with(move |pull| pull.add(writer, pulled).cloned()).await??;
        Ok(PulledResource { target: Target::Search(resource), row, warnings, failure })
    }

    /// What to ask for: everything, or what is new since the last pull. A person's Patient and Coverage resources fit
    /// on one page, so bbdl always asks for all of them.
    fn search_plan(&self, pull: &Pull, resource: Searchable, kept: Option<&Entry>) -> SearchPlan {
        let pages_kept = self.options.keeps_pages;
        let may_be_partial = resource == Searchable::ExplanationOfBenefit
            && !self.options.full
            && (!pages_kept || pull.has_pages(resource.name()));
        let since = kept.filter(|_| may_be_partial).and_then(|kept| increment::since(kept, self.api()));
        let (mode, prior) = match since {
            Some(_) => (Mode::Incremental, PriorCount::MaybeNothing),
            None => (Mode::Full, PriorCount::Resources(kept.map_or(0, |kept| kept.count))),
        };
        SearchPlan { resource, mode, query: self.filters(Target::Search(resource)), since, prior }
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            client: self.client,
            session: self.session,
            login: self.logins.again.clone(),
            page_size: self.options.page_size,
            max_claims: self.options.max_claims,
        }
    }

    /// Writes one resource type to standard output. A later reading writes only what an earlier one did not bring.
    pub(super) async fn search_to_stdout(&self, resource: Searchable, grant: &Grant) -> Result<u64> {
        let expected = Expected { kind: resource.name(), patient: grant.patient.clone() };
        let mut sink = StreamSink::new(stdout().lock(), expected);
        let plan = SearchPlan {
            resource,
            mode: Mode::Full,
            query: self.filters(Target::Search(resource)),
            since: None,
            prior: PriorCount::Resources(0),
        };
        let settled = self.reader().read_to_stream(plan, &mut sink).await?;
        for warning in settled.warnings_with("the output may be incomplete") {
            self.output().warn(warning.message);
        }
        Ok(sink.written())
    }
}
