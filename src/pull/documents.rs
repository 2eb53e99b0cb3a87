//! Documents that come in one answer (userinfo and the insurance card), and whose they are.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    one_profile::{OneProfile, PulledResource},
    plan::{Resource, Target},
    sinks::PullHandle,
};
use crate::{
    api::{
        client::{Failure, Wanted},
        endpoints::Searchable,
    },
    archive::{
        manifest::{Mode, Query},
        pull::Pulled,
    },
    auth::token::Grant,
    error::{Error, ErrorKind, Result},
    paging::{
        page_check::PriorCount,
        pager::{PullError, Search, SearchRequest},
    },
};

impl OneProfile<'_> {
    /// Adds one document to the pull.
    pub(super) async fn document_to_archive(
        &self,
        pull: &PullHandle,
        target: Target,
        grant: &Grant,
    ) -> Result<PulledResource> {
        let started = Timestamp::now();
        let (requests, bytes) = self.client.traffic();
        let text = self.document(target).await?;
        let said = if target == Target::UserInfo { patient_of(&text) } else { None };
        let known = grant.patient.clone().or_else(|| pull.patient());
        if said.as_ref().zip(known).is_some_and(|(said, known)| *said != known) {
            return Err(other_patient(target, "it belongs to another enrollee"));
        }
        let (requests_now, bytes_now) = self.client.traffic();
        let pulled = Pulled {
            resource: target.name(),
            mode: Mode::Full,
            query: Query::new(),
            cursor: None,
            cursor_stays: false,
            clock: None,
            server_total: None,
            started,
            requests: requests_now - requests,
            received: bytes_now - bytes,
        };
        let row = pull.with(move |pull| pull.add_document(&text, said, pulled).cloned()).await??;
        Ok(PulledResource { target, row, warnings: Vec::new(), failure: None })
    }

    pub(super) async fn document(&self, target: Target) -> Result<String> {
        let server = self.client.server();
        let (url, wanted) = match target {
            Target::InsuranceCard => (server.insurance_card(), Wanted::Document),
            _ => (server.userinfo(), Wanted::Json),
        };
        let read = |text: String| match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err("not a JSON object".to_owned()),
        };
        self.client.get(self.session, &url, wanted, read).await.map_err(|failure| match failure {
            Failure::Answer(problem) => problem.into_error(target.name(), &self.logins.again),
            Failure::Other(error) => error,
        })
    }

    /// The Patient id of this log-in, if neither the token answer nor userinfo says it.
    pub(super) async fn whose(&self) -> Result<Option<String>> {
        let request = SearchRequest {
            resource: Searchable::Patient,
            query: Vec::new(),
            page_size: 1,
            prior: PriorCount::MaybeNothing,
            is_ordered: true,
        };
        let search = Search::new(self.client, self.session, request, self.logins.again.clone());
        let page = match search.without_prefetch().next_page().await {
            Ok(page) => page,
            Err(PullError::Shifted) => None,
            Err(PullError::Failed(error)) => return Err(error),
        };
        Ok(page.and_then(|page| Some(page.bundle.entries().next()?.1.as_ref().ok()?.id.clone())))
    }

    /// Used if the log-in has no patient id and the archive belongs to a person: claims contain the patient id,
    /// documents do not.
    pub(super) fn leave_out_documents(&self, targets: &mut Vec<Target>) -> Result<()> {
        let of_nobody = |target: &Target| !matches!(target, Target::Search(_));
        let Some(first) = targets.iter().copied().find(of_nobody) else { return Ok(()) };
        let why = "it has no patient id, and the archive belongs to a person";
        if !self.options.resources.contains(&Resource::All) {
            return Err(other_patient(first, why));
        }
        for target in targets.iter().filter(|target| of_nobody(target)) {
            self.output().say(format!("{}: {why}; the old one stays", target.name()));
        }
        targets.retain(|target| !of_nobody(target));
        Ok(())
    }
}

/// The Patient id that userinfo names.
pub(super) fn patient_of(userinfo: &str) -> Option<String> {
    let userinfo: Map<String, Value> = serde_json::from_str(userinfo).unwrap_or_default();
    userinfo.get("patient").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
}

pub(super) fn other_patient(target: Target, why: &str) -> Error {
    Error::new(ErrorKind::OtherEnrollee, format!("{}: {why}", target.name()))
        .hint("Nothing was replaced. Give each enrollee an --out directory and a --profile of their own.")
}
