//! How many requests may be under way at once, and when the next may begin: one pace for everyone who asks
//! the same server, so that many profiles weigh no more on it than one.
//!
//! It starts at the number asked for, falls to half as soon as the server shows that it is too much (429,
//! 5xx, time-outs, answers that take ever longer) and rises by one after a while of good answers.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// No `Retry-After` pauses all requests for longer. The retry policy of each request may wait longer.
const LONGEST_HOLD: Duration = Duration::from_secs(120);
/// An answer this many times as slow as the quickest shows that the server has too much to do.
const SLOWER: u32 = 4;
/// Differences below this are the network's.
const NOTABLE: Duration = Duration::from_millis(1500);

/// The pace of the requests to one server. Cheap to clone; clones share it.
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
    /// What other processes leave to this one; the limit of its own counts as well.
    allowed: usize,
    /// How many clients ask at this pace.
    clients: usize,
    running: usize,
    good: usize,
    not_before: Option<Instant>,
}

/// One client's share of a pace: no enrollee whose pages are slow takes the turns of the others.
///
/// What is slow is told by the quickest answer to the same client: some enrollees have more than others.
#[derive(Debug)]
pub struct Share {
    pace: ConcurrencyLimit,
    quickest: Arc<Mutex<Option<Duration>>>,
}

impl Share {
    /// How many requests this client may have under way now, one at least.
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

/// What a request has observed of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It answers, and took this long to begin to.
    Answers(Duration),
    /// It has too much to do, and may have said how long it wants to be left alone.
    TooMuch(Option<Duration>),
    /// It has no more to give for this long, although this answer was good.
    Spent(Duration),
    /// Nothing that has to do with pace.
    Nothing,
}

impl ConcurrencyLimit {
    /// At most this many requests at once (one at least).
    #[must_use]
    pub fn of(most: usize) -> Self {
        let most = most.max(1);
        let state = State { limit: most, allowed: most, clients: 0, running: 0, good: 0, not_before: None };
        Self(Arc::new(Inner { most, state: Mutex::new(state), changed: Notify::new() }))
    }

    /// A client comes to ask at this pace, until what is given back is dropped.
    #[must_use]
    pub fn join(&self) -> Share {
        self.state().clients += 1;
        Share { pace: self.clone(), quickest: Arc::default() }
    }

    /// Lets no more than this many be under way from now on, since other processes ask the same server; none at all
    /// where it is 0.
    pub fn allow(&self, most: usize) {
        self.state().allowed = most;
        self.0.changed.notify_waiters();
    }

    /// Has everyone wait, as the server wished from another process.
    pub fn hold(&self, wait: Duration) {
        self.state().hold(wait.min(LONGEST_HOLD));
    }

    /// How long everyone still waits as the server wished.
    #[must_use]
    pub fn held(&self) -> Option<Duration> {
        let until = self.state().not_before?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place, and takes it.
    async fn free(&self) {
        loop {
            let changed = self.0.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Whoever is told of a free place has to be waiting before looking for one.
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
                // Alone it is as slow: then it is not for our number.
                if state.limit > 1 && took > least * SLOWER && took - least > NOTABLE {
                    state.slow_down();
                    // What was quick under less load is forgotten slowly.
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

/// A request that may be under way; its place is free when this is dropped.
#[derive(Debug)]
pub struct Turn {
    pace: ConcurrencyLimit,
    quickest: Arc<Mutex<Option<Duration>>>,
    observed: Observation,
}

impl Turn {
    /// Says what the request has observed.
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
