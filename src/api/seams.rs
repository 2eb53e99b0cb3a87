//! Whether nothing lies between the pages of a search that was read: each seam is looked at once more.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{
    address::Address,
    ahead::fetch,
    client::{Bearer, Client, Failure, Wanted},
    problem::Problem,
    server::ApiVersion,
};
use crate::{
    error::{Error, Exit},
    fhir::{bundle::Bundle, resource::Header, seam::Seam},
};

/// How far around a seam is looked: at its two resources, and if these are not there (whatever came or went
/// since moved them), as far as the server's largest page allows.
const REACHES: [u64; 2] = [1, 25];

/// Where the pages of a search meet, as far as it was read.
pub(super) struct Seams {
    api: ApiVersion,
    found: Vec<Seam>,
    /// The id of the last resource of the newest page.
    last: Option<String>,
    /// An address of this search from which the others can be made.
    form: Option<Address>,
}

impl Seams {
    pub(super) fn of(api: ApiVersion) -> Self {
        Self { api, found: Vec::new(), last: None, form: None }
    }

    /// Those of a search that goes on after its first pages.
    pub(super) fn go_on(&mut self, found: Vec<Seam>, last: Option<String>) {
        (self.found, self.last) = (found, last);
    }

    /// Takes note of a page, and of the seam before it.
    pub(super) fn page(&mut self, address: Option<&Address>, bundle: &Bundle) {
        self.form = address.cloned().or(self.form.take());
        let before = self.last.take();
        self.last = bundle.resources().last().and_then(id);
        let after = bundle.resources().next().and_then(id);
        let (Some(before), Some(after), Some(address)) = (before, after, address) else { return };
        // A page that begins with the end of the one before shows by itself that nothing lies between them.
        if before != after && self.is_ordered(&before) && self.is_ordered(&after) {
            self.found.push(Seam { at: address.start, before, after });
        }
    }

    /// API v3 lists claims by their number, and then prior authorisations, whose ids are no numbers, in an
    /// order that nothing fixes.
    fn is_ordered(&self, id: &str) -> bool {
        self.api != ApiVersion::V3 || id.strip_prefix('-').unwrap_or(id).bytes().all(|byte| byte.is_ascii_digit())
    }

    /// The seam before the newest page, where that begins at `start`.
    pub(super) fn newest(&self, start: Option<u64>) -> Option<&Seam> {
        self.found.last().filter(|seam| Some(seam.at) == start)
    }

    /// The id of the last resource of the newest page.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Looks at all of them, as many at once as the pace allows.
    pub(super) async fn hold<B: Bearer>(&self, client: &Arc<Client>, bearer: &B) -> Result<bool, Failure> {
        let Some(form) = &self.form else { return Ok(true) };
        let mut waiting = self.found.iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < client.pace().limit()
                && let Some(seam) = waiting.next()
            {
                let (client, bearer, form, seam) = (Arc::clone(client), bearer.clone(), form.clone(), seam.clone());
                running.spawn(async move { holds(&client, &bearer, &form, &seam).await });
            }
            let Some(looked) = running.join_next().await else { return Ok(true) };
            let looked = looked.map_err(|_| {
                Failure::Other(Error::new(Exit::Defect, "defect", "looking between two pages ended unexpectedly"))
            })?;
            if !looked? {
                return Ok(false);
            }
        }
    }
}

async fn holds<B: Bearer>(client: &Client, bearer: &B, form: &Address, seam: &Seam) -> Result<bool, Failure> {
    for reach in REACHES {
        let stretch = form.at(seam.at.saturating_sub(reach), 2 * reach);
        match fetch(client, bearer, stretch.url(), Wanted::Fhir).await {
            Ok(bundle) if seam.holds_in(bundle.resources().filter_map(id)) => return Ok(true),
            Ok(_) => {}
            // There is less than there was.
            Err(Failure::Answer(problem)) if problem.past_the_end() => {}
            // A server that gives only the pages that it has named itself: nothing can be told of it.
            Err(Failure::Answer(Problem::NotFound | Problem::Invalid { .. })) => return Ok(true),
            Err(failure) => return Err(failure),
        }
    }
    Ok(false)
}

fn id(resource: &str) -> Option<String> {
    Header::read(resource).ok().map(|header| header.id)
}
