//! Limits how many requests run at the same time and when the next may begin. All who ask the same server share one
//! limit, so that many profiles put no more load on it than one.
//!
//! The limit starts at the requested number. It falls to half as soon as the server shows that this is too much (429,
//! 5xx, time-outs, slower and slower answers), and rises by one after a series of good answers.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// No `Retry-After` pauses all requests for longer than this. The retry policy of each request may wait longer.
const LONGEST_HOLD: Duration = Duration::from_secs(120);
/// An answer that takes this many times as long as the quickest shows that the server has too much to do.
const SLOWER: u32 = 4;
/// Smaller differences may come from the network.
const NOTABLE: Duration = Duration::from_millis(1500);

/// The limit for the requests to one server. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// What other processes leave to this one. Its own limit applies too.
    allowed: usize,
    /// How many clients share this limit.
    clients: usize,
    running: usize,
    good: usize,
    not_before: Option<Instant>,
}

/// One client's share of a limit. An enrollee whose pages are slow does not take the turns of others.
///
/// A client's answers are compared with its own quickest one, because some enrollees have more claims than others.
#[derive(Debug)]
pub struct Share {
    pace: ConcurrencyLimit,
    quickest: Arc<Mutex<Option<Duration>>>,
}

impl Share {
    /// How many requests this client may have under way now; at least one.
    #[must_use]
    pub fn limit(&self) -> usize {
        let state = self.pace.state();
        (state.limit.min(state.allowed) / state.clients.max(1)).max(1)
    }

    /// Waits for a turn.
    pub async fn turn(&self) -> Turn {
        self.pace.free().await;
        Turn { pace: self.pace.clone(), quickest: Arc::clone(&self.quickest), observed: Observation::Nothing }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pace.state().clients -= 1;
    }
}

/// What a request has shown about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It answered, and took this long to begin.
    Answers(Duration),
    /// It has too much to do, and may have said how long to wait.
    TooMuch(Option<Duration>),
    /// It answered, but allows no more requests for this long.
    Spent(Duration),
    /// Nothing that affects the limit.
    Nothing,
}

impl ConcurrencyLimit {
    /// At most this many requests at the same time (at least one).
    #[must_use]
    pub fn of(most: usize) -> Self {
        let most = most.max(1);
        let state = State { limit: most, allowed: most, clients: 0, running: 0, good: 0, not_before: None };
        Self(Arc::new(Inner { most, state: Mutex::new(state), changed: Notify::new() }))
    }

    /// Adds a client to this limit, until the returned value is dropped.
    #[must_use]
    pub fn join(&self) -> Share {
        self.state().clients += 1;
        Share { pace: self.clone(), quickest: Arc::default() }
    }

    /// Allows no more than this many requests from now on, because other processes ask the same server. 0 allows
    /// none.
    pub fn allow(&self, most: usize) {
        self.state().allowed = most;
        self.0.changed.notify_waiters();
    }

    /// Makes all requests wait, because the server told another process to wait.
    pub fn hold(&self, wait: Duration) {
        self.state().hold(wait.min(LONGEST_HOLD));
    }

    /// How long all requests still have to wait as the server asked.
    #[must_use]
    pub fn held(&self) -> Option<Duration> {
        let until = self.state().not_before?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a turn is free.
    async fn free(&self) {
        loop {
            let changed = self.0.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Register before looking for a free place. Otherwise a notice that comes in between would be missed.
            changed.as_mut().enable();
            let wait = {
                let mut state = self.state();
                let now = Instant::now();
                match state.not_before.filter(|at| *at > now) {
                    Some(at) => Some(at - now),
                    None if state.running < state.limit.min(state.allowed) => {
                        state.running += 1;
                        return;
                    }
                    None => None,
                }
            };
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => changed.await,
            }
        }
    }

    fn done(&self, observed: Observation, quickest: &mut Option<Duration>) {
        let mut state = self.state();
        state.running -= 1;
        match observed {
            Observation::Nothing => {}
            Observation::TooMuch(wait) => {
                state.slow_down();
                if let Some(wait) = wait.filter(|wait| *wait <= LONGEST_HOLD) {
                    state.hold(wait);
                }
            }
            Observation::Spent(wait) => state.hold(wait.min(LONGEST_HOLD)),
            Observation::Answers(took) => {
                let least = quickest.map_or(took, |quickest| quickest.min(took));
                *quickest = Some(least);
                // If only one request runs at a time, the number of requests is not the reason.
                if state.limit > 1 && took > least * SLOWER && took - least > NOTABLE {
                    state.slow_down();
                    // Forget slowly how quick an answer was under less load.
                    *quickest = Some(least * 2);
                } else {
                    state.good += 1;
                    if state.limit < self.0.most && state.good >= 4 * state.limit {
                        state.limit += 1;
                        state.good = 0;
                    }
                }
            }
        }
        drop(state);
        self.0.changed.notify_waiters();
    }
}

impl State {
    fn slow_down(&mut self) {
        self.limit = (self.limit / 2).max(1);
        self.good = 0;
    }

    fn hold(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        self.not_before = Some(self.not_before.map_or(until, |at| at.max(until)));
    }
}

/// A request that may run. Dropping this frees its place.
#[derive(Debug)]
pub struct Turn {
    pace: ConcurrencyLimit,
    quickest: Arc<Mutex<Option<Duration>>>,
    observed: Observation,
}

impl Turn {
    /// Reports what the request has shown.
    pub fn observed(&mut self, observed: Observation) {
        self.observed = observed;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut quickest = self.quickest.lock().unwrap_or_else(PoisonError::into_inner);
        self.pace.done(self.observed, &mut quickest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl ConcurrencyLimit {
        fn limit(&self) -> usize {
            self.state().limit
        }
    }

    async fn answer(share: &Share, observed: Observation) {
        share.turn().await.observed(observed);
    }

    const GOOD: Observation = Observation::Answers(Duration::from_millis(100));

    #[tokio::test]
    async fn the_limit_falls_at_once_and_rises_slowly() {
        let pace = ConcurrencyLimit::of(4);
        let share = pace.join();
        answer(&share, Observation::TooMuch(None)).await;
        assert_eq!(pace.limit(), 2);
        answer(&share, Observation::TooMuch(None)).await;
        answer(&share, Observation::TooMuch(None)).await;
        assert_eq!(pace.limit(), 1, "somebody may always ask");
        let mut answers = 0;
        while pace.limit() < 4 {
            answer(&share, GOOD).await;
            answers += 1;
        }
        assert_eq!(answers, 4 + 8 + 12);
        for _ in 0..100 {
            answer(&share, GOOD).await;
        }
        assert_eq!(pace.limit(), 4, "never above what was asked for");
    }

    #[tokio::test]
    async fn other_processes_lower_the_limit_and_share_the_pause() {
        let pace = ConcurrencyLimit::of(4);
        let share = pace.join();
        pace.allow(0);
        let waiting = tokio::time::timeout(Duration::from_millis(20), share.turn()).await;
        assert!(waiting.is_err(), "the others have all of it");
        pace.allow(1);
        let _one = share.turn().await;
        assert!(tokio::time::timeout(Duration::from_millis(20), share.turn()).await.is_err());
        pace.allow(9);
        let _others = (share.turn().await, share.turn().await, share.turn().await);
        assert!(tokio::time::timeout(Duration::from_millis(20), share.turn()).await.is_err(), "4 were asked for");
        assert_eq!(pace.held(), None);
        pace.hold(Duration::from_secs(60));
        assert!(pace.held().is_some_and(|left| left > Duration::from_secs(50)));
    }

    #[tokio::test]
    async fn rising_latency_lowers_the_limit() {
        let pace = ConcurrencyLimit::of(4);
        let share = pace.join();
        answer(&share, GOOD).await;
        answer(&share, Observation::Answers(Duration::from_secs(1))).await;
        assert_eq!(pace.limit(), 4, "no more than a bad moment of the network");
        answer(&share, Observation::Answers(Duration::from_secs(3))).await;
        assert_eq!(pace.limit(), 2);
    }

    #[tokio::test]
    async fn one_slow_client_does_not_lower_the_limit() {
        let pace = ConcurrencyLimit::of(4);
        let (quick, slow) = (pace.join(), pace.join());
        for _ in 0..10 {
            answer(&quick, GOOD).await;
            answer(&slow, Observation::Answers(Duration::from_secs(3))).await;
        }
        assert_eq!(pace.limit(), 4);
    }

    #[tokio::test]
    async fn the_limit_holds_and_a_dropped_request_frees_its_place() {
        let share = Arc::new(ConcurrencyLimit::of(2).join());
        let (first, _second) = (share.turn().await, share.turn().await);
        let third = tokio::spawn({
            let share = Arc::clone(&share);
            async move { drop(share.turn().await) }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(first);
        third.await.unwrap();
    }

    #[tokio::test]
    async fn retry_after_holds_up_every_client_of_the_server() {
        let share = ConcurrencyLimit::of(2).join();
        let before = Instant::now();
        answer(&share, Observation::TooMuch(Some(Duration::from_millis(20)))).await;
        drop(share.turn().await);
        assert!(before.elapsed() >= Duration::from_millis(20));
        answer(&share, Observation::TooMuch(Some(Duration::from_secs(3600)))).await;
        drop(share.turn().await); // not held for an hour: whoever got that answer gives up
    }
}
