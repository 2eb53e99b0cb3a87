//! How many log-ins are renewed at once, over all sessions of this process.
//!
//! A renewal spends a refresh token, which works once. If the process is killed between the request and the storing of
//! the answer, the consent is lost. So only a few are under way at a time, however many sessions there are. One good
//! answer of the server's health page counts for all of them for a while.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::backend_health::Health;
use crate::{api::client::Client, error::Result};

/// How long a good answer counts.
const HEALTH_COUNTS: Duration = Duration::from_secs(30);

/// What sessions share. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct RenewalLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    turns: Semaphore,
    /// The health pages that said "well", and when.
    well: Mutex<Vec<(String, Instant)>>,
}

impl RenewalLimit {
    /// As many as `--renewals` says if nobody says otherwise.
    pub const AT_ONCE: u8 = 2;

    /// At most this many at once.
    #[must_use]
    pub fn at_most(number: u8) -> Self {
        Self(Arc::new(Inner { turns: Semaphore::new(usize::from(number.max(1))), well: Mutex::default() }))
    }

    /// Waits for a turn. `None` never happens, since nobody closes the semaphore; then there is no limit.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.0.turns.acquire().await.ok()
    }

    /// Makes sure that the server's back end is well: asks, unless it said so a short time ago.
    pub(super) async fn must_be_well(&self, client: &Client) -> Result<()> {
        let page = client.server().backend_health().to_string();
        if self.said_well(&page) {
            return Ok(());
        }
        let asked = Instant::now();
        Health::of(client).await.must_be_well()?;
        let mut well = self.0.well.lock().unwrap_or_else(PoisonError::into_inner);
        well.retain(|(of, _)| *of != page);
        well.push((page, asked));
        Ok(())
    }

    /// Forgets that the back end is well: a renewal has just failed.
    pub(super) fn doubt(&self) {
        self.0.well.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn said_well(&self, page: &str) -> bool {
        let well = self.0.well.lock().unwrap_or_else(PoisonError::into_inner);
        well.iter().any(|(of, at)| of == page && at.elapsed() < HEALTH_COUNTS)
    }
}

impl Default for RenewalLimit {
    fn default() -> Self {
        Self::at_most(Self::AT_ONCE)
    }
}
