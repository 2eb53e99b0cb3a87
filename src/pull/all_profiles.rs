//! Every profile of this machine, some of them at once.

use tokio::task::JoinSet;

use crate::{
    error::{Error, ErrorKind, Exit, Result},
    profile::ProfileName,
};

/// How many profiles are under way for each request that may be: one that waits for the server to recover, or for
/// its lock, leaves its turn to the others. One request at a time is also one profile after the other.
const PROFILES_A_REQUEST: usize = 4;

/// How many profiles are under way at once where a server is asked for `jobs` answers at once.
#[must_use]
pub fn profiles_at_once(jobs: usize) -> usize {
    if jobs == 1 { 1 } else { PROFILES_A_REQUEST * jobs }
}

/// Pulls for `at_once` of them at a time, each in a task of its own: one that is slow holds up nobody. `told` hears
/// of each end as it comes; all of them are given back in the order of the names.
///
/// # Errors
/// [`Exit::Defect`] when a task panicked. What became of a profile is in its row.
pub async fn each_profile<T, F>(
    names: &[ProfileName],
    at_once: usize,
    pull: impl Fn(&ProfileName) -> F,
    told: impl Fn(&ProfileName, &Result<T>),
) -> Result<Vec<Result<T>>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut waiting = names.iter().enumerate();
    let mut running = JoinSet::new();
    let mut stopped = false;
    let mut ends: Vec<Option<Result<T>>> = names.iter().map(|_| None).collect();
    loop {
        while !stopped
            && running.len() < at_once
            && let Some((place, name)) = waiting.next()
        {
            let task = pull(name);
            running.spawn(async move { (place, task.await) });
        }
        let Some(ended) = running.join_next().await else { break };
        let (place, end) =
            ended.map_err(|_| Error::new(ErrorKind::Defect, "fetching for a profile ended unexpectedly"))?;
        if end.as_ref().is_err_and(|error| error.exit() == Exit::Interrupted) {
            // Those under way hear of it as well; what is complete of any of them is told all the same.
            stopped = true;
        } else {
            told(&names[place], &end);
        }
        ends[place] = Some(end);
    }
    let never_begun = || Err(Error::new(ErrorKind::Interrupted, "interrupted before it was its turn"));
    Ok(ends.into_iter().map(|end| end.unwrap_or_else(never_begun)).collect())
}
