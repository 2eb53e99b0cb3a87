//! `/__mock/…`: how a test changes the world and asks what happened in it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    faults::Fault,
    http::{Answer, Ask},
    records::Records as _,
    world::Consent,
};

#[derive(Deserialize)]
struct Clock {
    advance_seconds: i64,
}

#[derive(Deserialize)]
struct Grants {
    revoke: bool,
}

#[derive(Deserialize)]
struct ConsentOrder {
    #[serde(default)]
    answer: Consent,
    #[serde(default)]
    enrollee: usize,
}

/// Answers a control request.
pub(super) fn answer(shared: &Shared, ask: &Ask, what: &str) -> Answer {
    let done = || json(200, &json!({"ok": true}));
    match (ask.method.as_str(), what) {
        ("GET", "requests") => json(200, &json!(shared.world().asked())),
        ("DELETE", "requests") => {
            shared.world().forget_asked();
            done()
        }
        ("POST", "faults") => order(ask, |specs: Vec<String>| {
            let faults = specs.iter().map(|spec| spec.parse()).collect::<Result<Vec<Fault>, _>>()?;
            shared.world().add_faults(faults);
            Ok(())
        }),
        ("DELETE", "faults") => {
            shared.world().set_faults(Vec::new());
            done()
        }
        ("POST", "clock") => order(ask, |clock: Clock| {
            shared.world().advance(clock.advance_seconds);
            Ok(())
        }),
        ("POST", "grants") => order(ask, |grants: Grants| {
            if grants.revoke {
                shared.world().delete_all_grants();
            }
            Ok(())
        }),
        ("POST", "consent") => order(ask, |order: ConsentOrder| {
            if order.enrollee >= shared.records.enrollees() {
                return Err(format!("there is no enrollee {}", order.enrollee));
            }
            let mut world = shared.world();
            (world.consent, world.consent_enrollee) = (order.answer, order.enrollee);
            Ok(())
        }),
        ("POST", "claims") => {
            let now = shared.world().now();
            let load = serde_json::from_slice(&ask.body).map_err(|cause| cause.to_string());
            match load.and_then(|load| shared.records.load(&load, now)) {
                Ok(done) => json(200, &json!(done)),
                Err(why) => json(400, &json!({ "error": why })),
            }
        }
        _ => json(404, &json!({"error": "no such control; docs/mock.md lists them"})),
    }
}

fn order<T: for<'de> Deserialize<'de>>(ask: &Ask, obey: impl FnOnce(T) -> Result<(), String>) -> Answer {
    let read = serde_json::from_slice(&ask.body).map_err(|cause| cause.to_string());
    match read.and_then(obey) {
        Ok(()) => json(200, &json!({"ok": true})),
        Err(why) => json(400, &json!({ "error": why })),
    }
}

fn json(status: u16, value: &Value) -> Answer {
    Answer::new(status, "application/json", value.to_string())
}
