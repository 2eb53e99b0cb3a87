//! Leases: every enrollee once, no lease forever, and only the newest fence counts.

use std::{collections::BTreeMap, time::Duration};

use bbdl::{
    auth::log_in_end::EndedKind,
    shared_state::{
        lease::{DueCriteria, LEASES_AT_ONCE, Lease, PullEnd, Written},
        worker::{Hold, ServerLimit},
    },
};
use serde_json::json;

use super::{import, name, new_enrollee, open, wanted};
use crate::support::postgres::database;

const FAILED: PullEnd = PullEnd::Failed { retry_after: None };
const DONE: PullEnd = PullEnd::Done { archive: None };

#[test]
async fn eight_workers_lease_everybody_exactly_once() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    import(&open(&database, dir.path()).await, 400).await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (database, dir) = (database.clone(), dir.path().to_owned());
        workers.spawn(async move {
            let state = open(&database, &dir).await;
            let worker = state.register().await.unwrap();
            let mut mine = Vec::new();
            loop {
                let leases = state.lease(worker, &wanted()).await.unwrap();
                assert!(leases.len() <= usize::try_from(LEASES_AT_ONCE).unwrap());
                if leases.is_empty() {
                    return mine;
                }
                for lease in leases {
                    let written = state.finish(&lease.ticket(), &DONE, &wanted(), &json!({})).await.unwrap();
                    assert_eq!(written, Written::Yes);
                    mine.push(lease.name.to_string());
                }
            }
        });
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(mine) = workers.join_next().await {
        mine.unwrap().into_iter().for_each(|name| *seen.entry(name).or_default() += 1);
    }
    assert_eq!(seen.len(), 400);
    assert!(seen.values().all(|times| *times == 1));
    assert_eq!(database.number("SELECT count(*) FROM bbdl.enrollee WHERE ok AND fence = 1 AND leased_by IS NULL"), 400);

    // A second run that overlaps the first one finds everyone fresh.
    let state = open(&database, dir.path()).await;
    let worker = state.register().await.unwrap();
    assert!(state.lease(worker, &wanted()).await.unwrap().is_empty());
    let due = state.due(worker, &wanted()).await.unwrap();
    assert_eq!((due.free, due.leased, due.fresh), (0, 0, 400));
}

fn names(leases: &[Lease]) -> Vec<String> {
    leases.iter().map(|lease| lease.name.to_string()).collect()
}

#[test]
async fn an_expired_lease_goes_to_another_worker() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = open(&database, dir.path()).await;
    import(&state, 1).await;
    let (slow, quick) = (state.register().await.unwrap(), state.register().await.unwrap());
    let of_slow = state.lease(slow, &wanted()).await.unwrap();
    assert!(state.lease(quick, &wanted()).await.unwrap().is_empty());
    assert_eq!(state.due(quick, &wanted()).await.unwrap().leased, 1);

    // A heartbeat keeps the lease.
    let held = [name(0)];
    database.sql("UPDATE bbdl.enrollee SET leased_until = now() + interval '1 second'");
    state.pulse(slow, &held, &[]).await.unwrap();
    assert_eq!(
        database.number("SELECT count(*) FROM bbdl.enrollee WHERE leased_until > now() + interval '1 minute'"),
        1
    );

    database.sql("UPDATE bbdl.enrollee SET leased_until = now() - interval '1 second'");
    let of_quick = state.lease(quick, &wanted()).await.unwrap();
    assert_eq!(names(&of_quick), ["p0000"]);
    // The slow worker is back: it takes nothing from the other, and its outcome does not count.
    state.pulse(slow, &held, &[]).await.unwrap();
    let (stale, after) = (of_slow[0].ticket(), &wanted());
    for end in [DONE, FAILED, PullEnd::GivenBack] {
        assert_eq!(state.finish(&stale, &end, after, &json!({})).await.unwrap(), Written::LeaseLost);
    }
    assert_eq!(database.number("SELECT count(*) FROM bbdl.enrollee WHERE tried_at IS NULL"), 1);
    assert_eq!(state.finish(&of_quick[0].ticket(), &DONE, after, &json!({})).await.unwrap(), Written::Yes);
    state.remove(&name(0), None).await.unwrap();
    assert_eq!(state.finish(&of_quick[0].ticket(), &DONE, after, &json!({})).await.unwrap(), Written::Removed);
}

#[test]
async fn due_times_after_a_failure_an_end_and_a_release() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = open(&database, dir.path()).await;
    import(&state, 4).await;
    let worker = state.register().await.unwrap();
    let leases = state.lease(worker, &wanted()).await.unwrap();
    let generation = leases[1].enrollee.as_ref().unwrap().tokens.generation;
    let ended = PullEnd::LogInOver { kind: EndedKind::LostByUs, generation };
    let of_older = PullEnd::LogInOver { kind: EndedKind::GrantRevoked, generation: generation - 1 };
    let wait = PullEnd::Failed { retry_after: Some(Duration::from_secs(3600)) };
    for (lease, end) in leases.iter().zip([&wait, &ended, &of_older, &PullEnd::GivenBack]) {
        assert_eq!(state.finish(&lease.ticket(), end, &wanted(), &json!({})).await.unwrap(), Written::Yes);
    }
    assert_eq!(names(&state.lease(worker, &wanted()).await.unwrap()), ["p0003"]);
    assert_eq!(
        database.sql("SELECT name, ended_kind FROM bbdl.enrollee WHERE ended_kind IS NOT NULL"),
        "p0001|lost_by_us"
    );
    let wait = "SELECT count(*) FROM bbdl.enrollee WHERE name = 'p0000' AND due_at BETWEEN now() + interval '59 minutes' AND now() + interval '61 minutes'";
    assert_eq!(database.number(wait), 1);
    // A later run tries everyone except the enrollee whose server asked for a pause.
    database.sql("UPDATE bbdl.enrollee SET leased_until = NULL");
    let later = state.register().await.unwrap();
    let due = state.due(later, &wanted()).await.unwrap();
    assert_eq!((due.free, due.leased, due.fresh, due.paused), (3, 0, 0, 1));
    // The first worker does not count as left those whom it tried itself.
    let due = state.due(worker, &wanted()).await.unwrap();
    assert_eq!((due.free, due.leased, due.fresh, due.paused), (1, 0, 0, 0));
    assert_eq!(names(&state.lease(later, &wanted()).await.unwrap()), ["p0003", "p0001", "p0002"]);
    // Time passes.
    database.sql("UPDATE bbdl.enrollee SET due_at = due_at - interval '13 hours', leased_until = NULL");
    let last = state.register().await.unwrap();
    assert!(names(&state.lease(last, &wanted()).await.unwrap()).contains(&"p0000".to_owned()));
}

#[test]
async fn the_oldest_come_first_and_shards_part_them() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = open(&database, dir.path()).await;
    import(&state, 6).await;
    database.sql("UPDATE bbdl.enrollee SET ok = true, pulled_at = now() - interval '20 days', due_at = now() - interval '1 day' WHERE name = 'p0004'");
    database.sql("UPDATE bbdl.enrollee SET ok = true, pulled_at = now() - interval '30 days', due_at = now() - interval '2 day' WHERE name = 'p0002'");
    let worker = state.register().await.unwrap();
    let even = DueCriteria { shard: Some((0, 2)), ..wanted() };
    assert_eq!(state.due(worker, &even).await.unwrap().free, 3);
    assert_eq!(names(&state.lease(worker, &even).await.unwrap()), ["p0000", "p0002", "p0004"]);
    let odd = DueCriteria { shard: Some((1, 2)), stale_after: Duration::from_secs(40 * 86_400), ..wanted() };
    assert_eq!(names(&state.lease(worker, &odd).await.unwrap()), ["p0001", "p0003", "p0005"]);
}

/// Two workers whose clocks are hours apart see the same time left.
#[test]
async fn token_lifetimes_follow_the_databases_clock() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = open(&database, dir.path()).await;
    let mut row = new_enrollee(0);
    // The time in the record is by the clock of the machine that wrote it.
    row.credential.grant.access_token_expires = jiff::Timestamp::now().checked_add(Duration::from_secs(7200)).ok();
    state.import(&[row], false).await.unwrap();
    database.sql("UPDATE bbdl.enrollee SET access_expires = access_expires - interval '1 hour'");
    let there = state.enrollees(None).await.unwrap();
    let grant = state.open_tokens(&name(0), &there[0].1.as_ref().unwrap().tokens).unwrap().grant;
    let left = grant.access_token_expires.unwrap().duration_since(jiff::Timestamp::now()).as_secs();
    assert!((3500..=3600).contains(&left), "{left}");
}

#[test]
async fn live_workers_share_one_limit_and_one_hold() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = open(&database, dir.path()).await;
    let origin: bbdl::origin::Origin = "https://bb.example".parse().unwrap();
    state.know_server(&origin).await.unwrap();
    database.sql("UPDATE bbdl.server SET max_in_flight = 7");
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(state.register().await.unwrap());
    }
    let share = async |worker| state.pulse(worker, &[], &[]).await.unwrap()[0].share;
    let shares = [share(workers[0]).await, share(workers[1]).await, share(workers[2]).await];
    assert_eq!(shares, [3, 2, 2]);
    // One worker died. After a while, the others get its share.
    database.sql("UPDATE bbdl.worker SET seen = now() - interval '1 hour' WHERE started = (SELECT min(started) FROM bbdl.worker)");
    assert_eq!([share(workers[1]).await, share(workers[2]).await], [4, 3]);
    // There are more workers than requests: the newest have to wait.
    database.sql("UPDATE bbdl.server SET max_in_flight = 1");
    assert_eq!([share(workers[1]).await, share(workers[2]).await], [1, 0]);

    let hold = Hold { origin: origin.clone(), left: Duration::from_secs(60) };
    state.pulse(workers[1], &[], std::slice::from_ref(&hold)).await.unwrap();
    let limits = state.pulse(workers[2], &[], &[]).await.unwrap();
    let [ServerLimit { hold: Some(left), .. }] = limits.as_slice() else { panic!("{limits:?}") };
    assert!(*left > Duration::from_secs(50), "{left:?}");
    // A shorter pause does not end it.
    state.pulse(workers[1], &[], &[Hold { left: Duration::from_secs(1), ..hold }]).await.unwrap();
    assert!(state.pulse(workers[2], &[], &[]).await.unwrap()[0].hold.unwrap() > Duration::from_secs(50));
    state.sign_off(workers[1]).await.unwrap();
    assert_eq!(share(workers[2]).await, 1);
}
