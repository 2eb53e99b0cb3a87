//! Pulls the requested resources of one profile into an archive or to standard output.

use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    documents::{other_patient, patient_of},
    outcome::Warning,
    plan::{Logins, Resource, Target, choose},
    sinks::PullHandle,
    withheld,
};
use crate::{
    api::{client::Client, endpoints::Searchable},
    api_version::ApiVersion,
    archive::{
        Archive, Pull,
        manifest::{Entry, Manifest, PullRow, Query, Source},
    },
    auth::{session::Session, token::Grant},
    error::{Error, Result},
    output::Output,
    runtime::run_blocking,
};

/// The work of recording which archive a pull fills.
pub(crate) type Noting = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// What to pull, and how to keep it.
#[derive(Clone, Debug)]
pub(crate) struct PullOptions {
    /// The resources named.
    pub resources: Vec<Resource>,
    /// The filters of the claim search.
    pub query: Query,
    /// The archive's directory; `-` for standard output.
    pub out: PathBuf,
    /// Whether to keep the pages byte for byte as well.
    pub keeps_pages: bool,
    /// Whether to pull everything, not only what is new.
    pub full: bool,
    /// Resources per page.
    pub page_size: u32,
    /// The pull fails if one enrollee has more claims than this.
    pub max_claims: u64,
}

/// What was done for one resource type.
pub(crate) struct PulledResource {
    /// What was pulled.
    pub target: Target,
    /// Its row in the manifest.
    pub row: PullRow,
    /// What a person should know about it.
    pub warnings: Vec<Warning>,
    /// The error that the run ends with, although what came is in place.
    pub failure: Option<Error>,
}

/// What a pull brought into an archive.
pub(crate) struct Brought {
    /// The archive's directory, absolute.
    pub out: PathBuf,
    /// Its manifest now.
    pub manifest: Manifest,
    /// What was done, and what is kept, for each resource type.
    pub resources: Vec<(PulledResource, Entry)>,
    /// Resources that were withheld.
    pub withheld: Vec<&'static str>,
    /// The error that the run ends with, although what came is in place.
    pub failure: Option<Error>,
}

/// The pull of one profile.
pub(crate) struct OneProfile<'a> {
    /// What to pull.
    pub options: PullOptions,
    /// What a person can type to log in.
    pub logins: Logins,
    /// The server.
    pub client: &'a Arc<Client>,
    /// The log-in.
    pub session: &'a Session,
}

impl OneProfile<'_> {
    /// What to fetch and for whom, and what was withheld.
    async fn plan(&self) -> Result<(Grant, Vec<Target>, Vec<&'static str>)> {
        let mut grant = self.session.grant().await;
        if grant.patient.is_none() && grant.allows_userinfo() {
            grant.patient = patient_of(&self.document(Target::UserInfo).await?);
        }
        let (targets, withheld) = choose(&self.options.resources, self.api(), &grant, &self.logins)?;
        // A card does not say whose it is (its ids are new at each call), but an archive needs to know.
        let has_card = targets.contains(&Target::InsuranceCard);
        if grant.patient.is_none() && has_card && self.options.out != Path::new("-") {
            grant.patient = match self.whose().await {
                Err(error) if self.is_withheld(&error, &grant) => None,
                whose => whose?,
            };
        }
        if !withheld.is_empty() {
            self.output().say(withheld::not_granted(&withheld.join(", ")));
        }
        Ok((grant, targets, withheld))
    }

    pub(super) fn output(&self) -> &Output {
        self.client.output()
    }

    pub(super) fn api(&self) -> ApiVersion {
        self.client.server().api()
    }

    pub(super) fn filters(&self, target: Target) -> Query {
        let is_of_claims = target == Target::Search(Searchable::ExplanationOfBenefit);
        if is_of_claims { self.options.query.clone() } else { Query::new() }
    }

    fn is_withheld(&self, refusal: &Error, grant: &Grant) -> bool {
        withheld::is_withheld(refusal, grant, &self.options.resources)
    }

    pub(super) fn source(&self, grant: &Grant) -> Source {
        let server = self.client.server();
        Source { server: server.origin().clone(), api: server.api(), patient: grant.patient.clone() }
    }

    /// Pulls into the archive, and puts what came in place. Runs `begin` with the archive before anything is written
    /// to it.
    ///
    /// # Errors
    /// All errors of the contract, and those of `begin`. After any error, the archive is either the old one or the
    /// new one.
    pub(crate) async fn to_archive(&self, begin: impl FnOnce(PathBuf, Source) -> Noting) -> Result<Brought> {
        let (grant, mut targets, mut withheld) = self.plan().await?;
        let out = absolute(&self.options.out)?;
        let dir = out.clone();
        let archive = run_blocking(move || Archive::open(&dir)).await??;
        let source = self.source(&grant);
        for target in &targets {
            archive.accepts(&source, target.name(), &self.filters(*target))?;
        }
        refuse_unowned_documents(&archive, &targets)?;
        archive.make_private()?.iter().for_each(|warning| self.output().warn(warning));
        let knows_whose = archive.manifest().is_some_and(|manifest| manifest.source.patient.is_some());
        if source.patient.is_none() && knows_whose {
            self.leave_out_documents(&mut targets)?;
        }
        begin(out.clone(), source.clone()).await?;
        let pull = PullHandle::new(Pull::begin(archive, source, self.options.full, Timestamp::now()));
        let mut pulled = Vec::new();
        for target in &targets {
            match self.one_to_archive(&pull, *target, &grant).await {
                Ok(resource) => pulled.push(resource),
                Err(error) if self.is_withheld(&error, &grant) => {
                    self.output().say(withheld::not_granted(target.name()));
                    withheld.push(target.name());
                }
                Err(error) => return Err(error),
            }
        }
        let patient = self.session.grant().await.patient;
        pull.with(|pull| pull.belongs_to(patient)).await??;
        let (manifest, warning) =
            pull.with(|pull| pull.commit().cloned().map(|manifest| (manifest, pull.warning()))).await??;
        warning.iter().for_each(|warning| self.output().warn(warning));
        let failure = pulled.iter_mut().find_map(|resource: &mut PulledResource| resource.failure.take());
        let entry = |row: &PullRow| manifest.resources.get(&row.resource).cloned();
        let resources =
            pulled.into_iter().filter_map(|pulled| entry(&pulled.row).map(|entry| (pulled, entry))).collect();
        Ok(Brought { out, manifest, resources, withheld, failure })
    }

    async fn one_to_archive(&self, pull: &PullHandle, target: Target, grant: &Grant) -> Result<PulledResource> {
        match target {
            Target::Search(resource) => self.search_to_archive(pull, resource, grant).await,
            document => self.document_to_archive(pull, document, grant).await,
        }
    }

    /// Writes everything to standard output; nothing is kept.
    ///
    /// # Errors
    /// All errors of the contract.
    pub(crate) async fn to_stdout(&self) -> Result<()> {
        let (grant, targets, _) = self.plan().await?;
        for target in &targets {
            match self.one_to_stdout(*target, &grant).await {
                Err(error) if self.is_withheld(&error, &grant) => {
                    self.output().say(withheld::not_granted(target.name()));
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn one_to_stdout(&self, target: Target, grant: &Grant) -> Result<()> {
        if let Target::Search(resource) = target {
            let count = self.search_to_stdout(resource, grant).await?;
            self.output().say(format!("{count} {} written to standard output", resource.name()));
        } else {
            let text = self.document(target).await?;
            self.output().result(crate::fhir::resource::line(&text));
        }
        Ok(())
    }
}

/// Refuses to add claims to an archive that holds a document of unknown owner. The claims say whose the archive is,
/// but the document may belong to another person.
fn refuse_unowned_documents(archive: &Archive, targets: &[Target]) -> Result<()> {
    let Some(manifest) = archive.manifest().filter(|manifest| manifest.source.patient.is_none()) else {
        return Ok(());
    };
    let documents = [Target::UserInfo, Target::InsuranceCard];
    let kept = documents.into_iter().find(|document| manifest.resources.contains_key(document.name()));
    let claims = targets.iter().any(|target| matches!(target, Target::Search(_)));
    match kept.filter(|_| claims) {
        Some(document) => Err(other_patient(document, "the archive does not say which person it belongs to")),
        None => Ok(()),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|cause| Error::disk("find", path, &cause))
}
