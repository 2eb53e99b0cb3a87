//! `--state`: the shared state in a real PostgreSQL.

mod commands;
mod leases;
mod left;
mod nights;
mod renewals;
mod tables;

use std::{path::Path, time::Duration};

use bbdl::{
    auth::{
        store::StoreKind,
        token::{AccessCategory, Credential, Grant},
    },
    profile::{Profile, ProfileName},
    secret::Secret,
    shared_state::{
        SharedState,
        address::{AddressSource, StateAddress},
        enrollee::{Imported, NewEnrollee},
        lease::DueCriteria,
        schema::Migrate,
        seal::StateKeys,
    },
};
use jiff::Timestamp;

use crate::support::postgres::Database;

pub(crate) const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Everyone who was not pulled within half a day.
pub(crate) fn wanted() -> DueCriteria {
    DueCriteria { asked: "eob".into(), stale_after: Duration::from_secs(12 * 3600), shard: None }
}

pub(crate) async fn open(database: &Database, unsaved: &Path) -> SharedState {
    open_with(database, unsaved, KEY).await
}

pub(crate) async fn open_with(database: &Database, unsaved: &Path, keys: &str) -> SharedState {
    let keys = StateKeys::parse(keys, "the test").unwrap();
    SharedState::open(address(database), Some(keys), unsaved.to_owned(), Migrate::Create).await.unwrap()
}

pub(crate) fn address(database: &Database) -> StateAddress {
    StateAddress::parse(&database.url(), &AddressSource::CommandLine).unwrap()
}

pub(crate) fn name(number: usize) -> ProfileName {
    format!("p{number:04}").parse().unwrap()
}

pub(crate) fn credential(access: &str, refresh: &str) -> Credential {
    Credential {
        origin: "https://bb.example".parse().unwrap(),
        client_id: "client".into(),
        client_secret: Some(Secret::new("client-secret-of-the-app".into())),
        access_token: Secret::new(access.into()),
        refresh_token: Some(Secret::new(refresh.into())),
        grant: Grant {
            patient: Some("-1".into()),
            scopes: ["patient/ExplanationOfBenefit.read".to_owned()].into(),
            access_token_expires: Timestamp::now().checked_add(Duration::from_secs(3600)).ok(),
            refreshable: true,
            access_category: AccessCategory::ThirteenMonth,
            ..Grant::default()
        },
    }
}

pub(crate) fn new_enrollee(number: usize) -> NewEnrollee {
    let credential = credential(&format!("access-{number:04}-0000"), &format!("refresh-{number:04}-0000"));
    let profile = Profile {
        server: credential.origin.clone(),
        api: bbdl::api_version::ApiVersion::V2,
        client_id: credential.client_id.clone(),
        token_store: StoreKind::File,
        redirect_uri: None,
        grant: credential.grant.clone(),
        archives: Vec::new(),
        ended: None,
    };
    NewEnrollee { name: name(number), profile, credential, shard_number: number as u64 }
}

pub(crate) async fn import(state: &SharedState, count: usize) {
    let rows: Vec<NewEnrollee> = (0..count).map(new_enrollee).collect();
    let imported = state.import(&rows, false).await.unwrap();
    assert!(imported.iter().all(|row| *row == Imported::Yes));
}
