//! Limits how many log-ins are renewed at the same time by all sessions of this process.
//!
//! A renewal uses up a refresh token, which works once. If the process is killed after the request and before the
//! answer is stored, the consent is lost. So only a few renewals run at a time, no matter how many sessions there
//! are. One good answer of the server's health page counts for all of them for a while.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::backend_health::Health;
use crate::{api::client::Client, error::Result};

/// How long a good answer counts.
const HEALTH_COUNTS: Duration = Duration::from_secs(30);

/// The state that sessions share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RenewalLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    turns: Semaphore,
    /// The health pages that said "well", and when.
    well: Mutex<Vec<(String, Instant)>>,
}

impl RenewalLimit {
    /// The default of `--renewals`.
    pub const AT_ONCE: u8 = 2;

    /// At most this many at once.
    #[must_use]
    pub fn at_most(number: u8) -> Self {
        Self(Arc::new(Inner { turns: Semaphore::new(usize::from(number.max(1))), well: Mutex::default() }))
    }

    /// Waits for a turn. `None` would mean that the semaphore is closed, which never happens; then there is no limit.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.0.turns.acquire().await.ok()
    }

    /// Makes sure that the server's back end works: asks, unless it said so a short time ago.
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

    /// Forgets that the back end works, because a renewal has just failed.
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
