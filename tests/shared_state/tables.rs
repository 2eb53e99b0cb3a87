//! The tables: created, migrated, refused; what is in them and what is not.

use bbdl::{
    error::Exit,
    shared_state::{
        SharedState,
        enrollee::Imported,
        schema::{Migrate, SchemaState},
        seal::StateKeys,
    },
};

use super::{KEY, address, import, name, new_enrollee, open, open_with};
use crate::support::postgres::{LostAnswer, database};

const OTHER_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

#[test]
async fn tables_are_made_by_an_import_and_brought_up_to_date_by_all() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let opened = async |migrate| {
        let keys = StateKeys::parse(KEY, "the test").unwrap();
        SharedState::open(address(&database), Some(keys), dir.path().to_owned(), migrate).await
    };
    let look = async || SharedState::look(address(&database)).await.unwrap();

    assert_eq!(look().await, SchemaState::Missing);
    for migrate in [Migrate::Nothing, Migrate::Existing] {
        let error = opened(migrate).await.unwrap_err();
        assert_eq!(error.exit(), Exit::NotSetUp);
        assert!(error.hint.contains("bbdl profiles import"), "{}", error.hint);
    }
    assert_eq!(look().await, SchemaState::Missing, "whoever only looks makes nothing");

    // Two imports at the same time.
    let (one, other) = tokio::join!(opened(Migrate::Create), opened(Migrate::Create));
    one.unwrap();
    other.unwrap();
    assert_eq!(look().await, SchemaState::Current);

    // The tables as version 1 left them.
    database.sql("DROP TABLE bbdl.server; DELETE FROM bbdl.schema_version WHERE version >= 2");
    assert_eq!(look().await, SchemaState::Older(1));
    assert_eq!(opened(Migrate::Nothing).await.unwrap_err().exit(), Exit::NotSetUp);
    opened(Migrate::Existing).await.unwrap();
    assert_eq!(look().await, SchemaState::Current);
    assert_eq!(database.number("SELECT count(*) FROM bbdl.server"), 0);

    database.sql("INSERT INTO bbdl.schema_version (version) VALUES (4)");
    let error = opened(Migrate::Create).await.unwrap_err();
    assert_eq!(error.exit(), Exit::NotSetUp);
    assert!(error.hint.contains("newest bbdl"), "{}", error.hint);
}

#[test]
async fn a_user_without_rights_and_a_missing_database_are_set_up_problems() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let open = async |url: &str| {
        let source = bbdl::shared_state::address::AddressSource::CommandLine;
        let address = bbdl::shared_state::address::StateAddress::parse(url, &source).unwrap();
        let keys = StateKeys::parse(KEY, "the test").unwrap();
        SharedState::open(address, Some(keys), dir.path().to_owned(), Migrate::Create).await.unwrap_err()
    };
    database.sql("DROP ROLE IF EXISTS weak; CREATE ROLE weak LOGIN");
    let weak = open(&database.url().replace("bbdl@", "weak@")).await;
    assert_eq!(weak.exit(), Exit::NotSetUp, "{weak}");
    assert!(weak.message.contains("permission denied"), "{weak}");
    let (before, after) = database.url().split_once("/t").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let missing = open(&format!("{before}/none{after}")).await;
    assert_eq!(missing.exit(), Exit::NotSetUp, "{missing}");

    // An administrator made the schema, so the right to make schemas is not needed.
    database.sql("CREATE SCHEMA bbdl AUTHORIZATION weak");
    let url = database.url().replace("bbdl@", "weak@");
    let source = bbdl::shared_state::address::AddressSource::CommandLine;
    let address = bbdl::shared_state::address::StateAddress::parse(&url, &source).unwrap();
    let keys = StateKeys::parse(KEY, "the test").unwrap();
    SharedState::open(address, Some(keys), dir.path().to_owned(), Migrate::Create).await.unwrap();
}

#[test]
async fn a_name_that_exists_is_replaced_only_when_asked_for() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = open(&database, dir.path()).await;
    let rows = [new_enrollee(1), new_enrollee(2)];
    assert_eq!(state.import(&rows[..1], false).await.unwrap(), [Imported::Yes]);
    assert_eq!(state.import(&rows, false).await.unwrap(), [Imported::Exists, Imported::Yes]);
    database
        .sql("UPDATE bbdl.enrollee SET ended_kind = 'grant_revoked', ended_at = now(), ok = true, due_at = 'infinity'");
    assert_eq!(state.import(&rows, true).await.unwrap(), [Imported::Yes, Imported::Yes]);
    let there = state.enrollees(None).await.unwrap();
    assert_eq!(there.len(), 2);
    // A new consent starts from the beginning.
    assert!(there.iter().all(|(_, enrollee)| enrollee.as_ref().unwrap().profile.ended.is_none()));
    let credential = state.open_tokens(&there[0].0, &there[0].1.as_ref().unwrap().tokens).unwrap();
    assert!(credential.refresh_token.unwrap().matches("refresh-0001-0000"));

    assert!(state.remove(&name(1), None).await.unwrap().is_some());
    assert!(state.remove(&name(1), None).await.unwrap().is_none());
    assert_eq!(state.enrollees(Some(&[name(1)])).await.unwrap().len(), 0);
}

/// The archives of a removed enrollee are reported even if the connection breaks before the answer arrives.
#[test]
async fn a_removal_whose_answer_is_lost_still_tells_the_archives() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    import(&open(&database, dir.path()).await, 1).await;
    database.sql(r#"UPDATE bbdl.enrollee SET archives = '[{"out": "/claims/p0000", "last_pull": "2026-01-01T00:00:00Z", "count": 1}]'"#);
    let proxy = LostAnswer::before(&database, "DELETE FROM bbdl.enrollee");
    let source = bbdl::shared_state::address::AddressSource::CommandLine;
    let address = bbdl::shared_state::address::StateAddress::parse(&proxy.url(&database), &source).unwrap();
    let state = SharedState::open(address, None, dir.path().to_owned(), Migrate::Nothing).await.unwrap();
    let archives = state.remove(&name(0), None).await.unwrap().expect("an enrollee who was there");
    assert!(proxy.lost_one(), "the answer was not lost");
    assert_eq!(archives.len(), 1);
    assert_eq!(database.number("SELECT count(*) FROM bbdl.enrollee"), 0);
}

#[test]
async fn a_dump_of_the_database_opens_nothing() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    let state = open(&database, dir.path()).await;
    import(&state, 3).await;
    let dump = database.dump();
    assert!(dump.contains("p0001"), "the rows are in it");
    for secret in ["access-0001", "refresh-0001", "client-secret-of-the-app", KEY] {
        assert!(!dump.contains(secret), "{secret}");
        let as_bytea: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!dump.contains(&as_bytea), "{secret}");
    }

    // Tokens that are moved to another row cannot be opened there.
    database.sql("UPDATE bbdl.enrollee SET sealed = (SELECT sealed FROM bbdl.enrollee WHERE name = 'p0001') WHERE name = 'p0002'");
    let there = state.enrollees(Some(&[name(2)])).await.unwrap();
    assert_eq!(
        state.open_tokens(&there[0].0, &there[0].1.as_ref().unwrap().tokens).unwrap_err().exit(),
        Exit::NotSetUp
    );
}

#[test]
async fn keys_are_rotated_while_older_ones_still_open() {
    let Some(database) = database() else { return };
    let dir = tempfile::tempdir().unwrap();
    import(&open(&database, dir.path()).await, 2).await;
    let both = open_with(&database, dir.path(), &format!("{OTHER_KEY}\n{KEY}")).await;
    assert_eq!(both.sealed_with_older_keys().await.unwrap(), 2);
    assert_eq!(both.import(&[new_enrollee(0)], true).await.unwrap(), [Imported::Yes]);
    assert_eq!(both.sealed_with_older_keys().await.unwrap(), 1);
    for (_, enrollee) in both.enrollees(None).await.unwrap() {
        let enrollee = enrollee.unwrap();
        both.open_tokens(&enrollee.name, &enrollee.tokens).unwrap();
    }
    let newest = open_with(&database, dir.path(), OTHER_KEY).await;
    let there = newest.enrollees(None).await.unwrap();
    assert!(newest.open_tokens(&there[0].0, &there[0].1.as_ref().unwrap().tokens).is_ok());
    let error = newest.open_tokens(&there[1].0, &there[1].1.as_ref().unwrap().tokens).unwrap_err();
    assert!(error.hint.contains("older key"), "{}", error.hint);
}
