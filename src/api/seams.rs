//! Whether nothing lies between the pages of a search that was read: each seam is looked at once more.

use std::{collections::BTreeSet, sync::Arc};

use tokio::task::JoinSet;

use super::{
    address::Address,
    ahead::fetch,
    client::{Bearer, Client, Failure, Wanted},
    problem::Problem,
    server::ApiVersion,
};
use crate::{
    error::{Error, ErrorKind, Result as Outcome},
    fhir::{
        bundle::Bundle,
        seam::{Seam, Sight, is_number},
    },
};

/// How many pages to each side of a seam are looked at, at the most: what may not be shared is left out of a
/// page, and so many in a row are nobody's.
const WIDEST: u64 = 8;

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
        // A page of which nothing may be shared: the next one meets the one before.
        let Some((after, last)) = ids(bundle).next().zip(ids(bundle).last()) else { return };
        let before = self.last.replace(last);
        let (Some(before), Some(address)) = (before, address) else { return };
        // A page that begins with the end of the one before shows by itself that nothing lies between them.
        // Prior authorisations of API v3 stand in no order that two pages could agree on.
        if before != after && self.is_ordered(&before) {
            let after = Some(after).filter(|after| self.is_ordered(after));
            self.found.push(Seam::between(&before, after.as_deref(), address.start, address.count));
        }
    }

    /// Whether there are resources on a page that no two pages need agree on the order of.
    pub(super) fn is_unordered(&self, bundle: &Bundle) -> bool {
        self.api == ApiVersion::V3 && !ids(bundle).all(|id| is_number(&id))
    }

    /// Whether the first resource of a page is one of those.
    pub(super) fn begins_unordered(&self, bundle: &Bundle) -> bool {
        self.api == ApiVersion::V3 && ids(bundle).next().is_some_and(|id| !is_number(&id))
    }

    fn is_ordered(&self, id: &str) -> bool {
        self.api != ApiVersion::V3 || is_number(id)
    }

    /// The seam before the newest page, where that begins at `start`.
    pub(super) fn newest(&self, start: Option<u64>) -> Option<&Seam> {
        self.found.last().filter(|seam| Some(seam.at) == start)
    }

    /// The id of the last resource of the newest page.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Looks at all of them, as many at once as the pace allows. `held` is told up to which place all of them
    /// hold, whenever that is farther: both pages were read by then, and nothing can move between them any more.
    pub(super) async fn hold<B: Bearer>(
        &self,
        client: &Arc<Client>,
        bearer: &B,
        mut held: impl FnMut(u64) -> Outcome<()>,
    ) -> Result<bool, Failure> {
        let Some(form) = &self.form else { return Ok(true) };
        let mut waiting = self.found.iter().enumerate();
        let (mut running, mut under_way) = (JoinSet::new(), BTreeSet::new());
        let (mut begun, mut told) = (0, 0);
        loop {
            while running.len() < client.at_once()
                && let Some((index, seam)) = waiting.next()
            {
                let (client, bearer, form, seam) = (Arc::clone(client), bearer.clone(), form.clone(), seam.clone());
                running.spawn(async move { (index, holds(&client, &bearer, &form, &seam).await) });
                under_way.insert(index);
                begun = index + 1;
            }
            let Some(looked) = running.join_next().await else { return Ok(true) };
            let (index, looked) = looked.map_err(|_| {
                Failure::Other(Error::new(ErrorKind::Defect, "looking between two pages ended unexpectedly"))
            })?;
            if !looked? {
                return Ok(false);
            }
            under_way.remove(&index);
            let hold = under_way.first().copied().unwrap_or(begun);
            if hold > told
                && let Some(last) = self.found.get(hold - 1)
            {
                held(last.at).map_err(Failure::Other)?;
                told = hold;
            }
        }
    }
}

/// Looks at a seam: first at its two places, and if its resources are not there (whatever came, went or may
/// not be shared moved them), farther and farther around, in pages of a size that the server has given.
async fn holds<B: Bearer>(client: &Client, bearer: &B, form: &Address, seam: &Seam) -> Result<bool, Failure> {
    let (mut reach, mut answered) = (1, false);
    loop {
        let from = seam.at.saturating_sub(reach);
        let Some((ids, ended)) = stretch(client, bearer, form, (from, seam.at + reach), seam.count).await? else {
            // A server that gives only the pages that it has named itself: nothing can be told of it.
            return Ok(!answered);
        };
        match seam.in_sight(&ids) {
            Sight::Holds => return Ok(true),
            Sight::Broken => return Ok(false),
            Sight::Unseen if from == 0 && ended => return Ok(false),
            Sight::Unseen if reach >= WIDEST * seam.count => return Ok(true),
            Sight::Unseen => {}
        }
        answered = true;
        reach = if reach == 1 { (seam.count / 2).max(2) } else { reach * 2 };
    }
}

/// The ids of the resources from one place to another, and whether the search ends there; `None` where the
/// server does not accept the question.
async fn stretch<B: Bearer>(
    client: &Client,
    bearer: &B,
    form: &Address,
    (from, to): (u64, u64),
    most: u64,
) -> Result<Option<(Vec<String>, bool)>, Failure> {
    let (mut at, mut found) = (from, Vec::new());
    while at < to {
        let count = most.min(to - at).max(1);
        match fetch(client, bearer, form.at(at, count).url(), Wanted::Fhir).await {
            Ok(bundle) => {
                found.extend(ids(&bundle));
                if bundle.next.is_none() {
                    return Ok(Some((found, true)));
                }
            }
            // There is less than there was.
            Err(Failure::Answer(problem)) if problem.past_the_end() => return Ok(Some((found, true))),
            Err(Failure::Answer(Problem::NotFound | Problem::Invalid { .. })) => return Ok(None),
            Err(failure) => return Err(failure),
        }
        at += count;
    }
    Ok(Some((found, false)))
}

/// The ids of a page; what has none is refused where it is written.
fn ids(bundle: &Bundle) -> impl Iterator<Item = String> {
    bundle.entries().filter_map(|(_, header)| Some(header.as_ref().ok()?.id.clone()))
}
