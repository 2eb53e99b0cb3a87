//! Renewals by many: one at a time, nothing that was stored is lost, and what is lost is reported as lost.

use std::time::Duration;

use bbdl::{
    auth::{
        log_in_end::EndedKind,
        token::Credential,
        vault::{Begun, Renewal, Vault},
    },
    shared_state::{SharedState, lease::PullEnd, vault::SharedVault, worker::WorkerId},
};
use serde_json::json;

use super::{import, name, new_enrollee, open, wanted};
use crate::support::postgres::{Cluster, Database, database};

async fn vault(state: &SharedState, worker: WorkerId, number: usize) -> SharedVault {
    let there = state.enrollees(Some(&[name(number)])).await.unwrap();
    SharedVault::new(state.clone(), worker, there[0].1.as_ref().unwrap(), 2)
}

async fn begun(vault: &SharedVault, present: &Credential) -> Box<dyn Renewal> {
    match vault.begin_renewal(present).await.unwrap() {
        Begun::Yes(renewal) => renewal,
        Begun::Elsewhere => panic!("somebody else has renewed"),
    }
}

fn renewed(credential: &Credential, number: usize) -> Credential {
    let next = super::credential(&format!("access-renewed-{number}"), &format!("refresh-renewed-{number}"));
    Credential { access_token: next.access_token, refresh_token: next.refresh_token, ..credential.clone() }
}

fn is(credential: &Credential, refresh: &str) -> bool {
    credential.refresh_token.as_ref().unwrap().matches(refresh)
}

/// `count` enrollees, and a state for which a second of silence means that a worker is dead.
async fn stage(database: &Database, dir: &std::path::Path, count: usize) -> SharedState {
    let state = open(database, dir).await;
    import(&state, count).await;
    database.sql("UPDATE bbdl.setting SET longest_renewal = '1 second'");
    state
}

#[test]
async fn a_renewal_is_committed_before_it_is_asked_for_and_keeps_others_away() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = open(&database, dir.path()).await;
    import(&state, 1).await;
    let worker = state.register().await.unwrap();
    let (one, other) = (vault(&state, worker, 0).await, vault(&state, worker, 0).await);
    let present = one.load().await.unwrap();
    let mut renewal = begun(&one, &present).await;
    assert!(!renewal.after_a_loss());
    assert_eq!(database.number("SELECT count(*) FROM bbdl.enrollee WHERE renewing_since IS NOT NULL"), 1);

    let known = other.load().await.unwrap();
    let waiting = tokio::spawn(async move {
        let begun = other.begin_renewal(&known).await.unwrap();
        assert!(matches!(begun, Begun::Elsewhere));
        other.load().await.unwrap()
    });
    renewal.store(&renewed(&present, 1)).await.unwrap();
    assert!(is(&waiting.await.unwrap(), "refresh-renewed-1"));
    assert_eq!(
        database.number("SELECT count(*) FROM bbdl.enrollee WHERE renewing_since IS NULL AND unanswered = 0"),
        1
    );
}

#[test]
async fn a_worker_that_lost_its_lease_still_stores_new_tokens() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = stage(&database, dir.path(), 1).await;
    let (slow, quick) = (state.register().await.unwrap(), state.register().await.unwrap());
    state.lease(slow, &wanted()).await.unwrap();
    let of_slow = vault(&state, slow, 0).await;
    let present = of_slow.load().await.unwrap();
    let mut renewal = begun(&of_slow, &present).await;

    // Its lease expires, and so does the longest renewal time. Another worker takes over and tries once.
    database.sql("UPDATE bbdl.enrollee SET leased_until = now() - interval '1 second', renewing_since = now() - interval '2 seconds'");
    let lease = state.lease(quick, &wanted()).await.unwrap().remove(0);
    let of_quick = vault(&state, quick, 0).await;
    let one_try = begun(&of_quick, &of_quick.load().await.unwrap()).await;
    assert!(one_try.after_a_loss(), "invalid_grant now means that we lost it");
    one_try.forget().await;
    let ended = PullEnd::LogInOver { kind: EndedKind::LostByUs, generation: of_quick.generation() };
    state.finish(&lease.ticket(), &ended, &wanted(), &json!({})).await.unwrap();
    assert_eq!(database.sql("SELECT ended_kind FROM bbdl.enrollee"), "lost_by_us");

    // The answer finally arrives.
    renewal.store(&renewed(&present, 7)).await.unwrap();
    assert!(is(&of_quick.load().await.unwrap(), "refresh-renewed-7"));
    assert_eq!(database.sql("SELECT ended_kind FROM bbdl.enrollee"), "", "it is not lost after all");
}

#[test]
async fn tokens_older_than_a_new_consent_are_ignored() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = stage(&database, dir.path(), 1).await;
    let worker = state.register().await.unwrap();
    let vault = vault(&state, worker, 0).await;
    let present = vault.load().await.unwrap();
    let mut renewal = begun(&vault, &present).await;
    let mut row = new_enrollee(0);
    row.credential = super::credential("access-of-new-consent", "refresh-of-new-consent");
    state.import(&[row], true).await.unwrap();
    renewal.store(&renewed(&present, 1)).await.unwrap();
    assert!(is(&vault.load().await.unwrap(), "refresh-of-new-consent"));
}

#[test]
async fn an_unanswered_renewal_is_waited_for_and_then_noted() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = stage(&database, dir.path(), 1).await;
    let worker = state.register().await.unwrap();
    let vault = vault(&state, worker, 0).await;
    let present = vault.load().await.unwrap();
    // The worker dies here.
    drop(begun(&vault, &present).await);
    let began = std::time::Instant::now();
    let second = begun(&vault, &present).await;
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(second.after_a_loss());
    // The server was not reached this time, but the first answer may still be lost.
    second.forget().await;
    assert!(begun(&vault, &present).await.after_a_loss());
}

#[test]
async fn the_limit_of_renewals_holds_and_ignores_dead_workers() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = open(&database, dir.path()).await;
    import(&state, 3).await;
    let (alive, dead) = (state.register().await.unwrap(), state.register().await.unwrap());
    let (first, second) = (vault(&state, dead, 0).await, vault(&state, dead, 1).await);
    let _first = begun(&first, &first.load().await.unwrap()).await;
    let _second = begun(&second, &second.load().await.unwrap()).await;
    let third = vault(&state, alive, 2).await;
    let present = third.load().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(600), third.begin_renewal(&present)).await;
    assert!(waiting.is_err(), "two are under way already");
    state.sign_off(dead).await.unwrap();
    begun(&third, &present).await;
}

#[test]
async fn tokens_wait_on_the_disk_while_the_database_is_away() {
    let Some(cluster) = Cluster::start() else { return };
    let database = cluster.database("away");
    let dir = tempfile::tempdir().unwrap();
    let unsaved = dir.path().join("unsaved");
    let state = open(&database, &unsaved).await;
    import(&state, 1).await;
    let worker = state.register().await.unwrap();
    let vault = vault(&state, worker, 0).await;
    let present = vault.load().await.unwrap();
    let mut renewal = begun(&vault, &present).await;
    cluster.down();
    let files = || std::fs::read_dir(&unsaved).map(|entries| entries.count()).unwrap_or_default();
    let storing = tokio::spawn(async move { renewal.store(&renewed(&present, 1)).await });
    while files() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The process is killed here.
    storing.abort();
    let text = std::fs::read_to_string(std::fs::read_dir(&unsaved).unwrap().next().unwrap().unwrap().path()).unwrap();
    assert!(!text.contains("refresh-renewed"), "it is sealed");
    cluster.up();
    let what = async |state: &SharedState| {
        let delivered = state.deliver_unsaved().await.unwrap();
        (delivered.stored, delivered.of_others.len(), delivered.unreadable.len())
    };
    // It stays where it is if the database does not have this log-in, has another person under the name, or is an
    // older copy.
    let elsewhere = open(&cluster.database("elsewhere"), &unsaved).await;
    assert_eq!(what(&elsewhere).await, (0, 1, 0));
    import(&elsewhere, 1).await;
    assert_eq!(what(&elsewhere).await, (0, 1, 0));
    let next = open(&database, &unsaved).await;
    database.sql("UPDATE bbdl.enrollee SET generation = generation - 1");
    assert_eq!(what(&next).await, (0, 1, 0));
    database.sql("UPDATE bbdl.enrollee SET generation = generation + 1");
    let kept = std::fs::read_dir(&unsaved).unwrap().next().unwrap().unwrap().path();
    let copy = dir.path().join("copy");
    std::fs::copy(&kept, &copy).unwrap();
    assert_eq!(what(&next).await, (1, 0, 0));
    assert_eq!(files(), 0);
    assert!(is(&vault.load().await.unwrap(), "refresh-renewed-1"));
    assert_eq!(what(&next).await, (0, 0, 0));
    // What the database has already, or has newer, is of no use any more.
    std::fs::copy(&copy, &kept).unwrap();
    database.sql("UPDATE bbdl.enrollee SET generation = generation + 1");
    assert_eq!(what(&next).await, (0, 0, 0));
    assert_eq!(files(), 0);
    std::fs::write(&copy, text.replace("generation", "of-a-newer-bbdl")).unwrap();
    std::fs::copy(&copy, &kept).unwrap();
    assert_eq!(what(&next).await, (0, 0, 1));
    assert_eq!(files(), 1);
}
