//! `/__mock/…`: how a test changes the world and asks what happened in it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    apps::Registration,
    faults::Fault,
    http::{Answer, Ask},
    login_visits::Standing,
    records::Records as _,
    throttle::Rate,
    world::{Consent, Switches, word},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    advance_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grants {
    /// Away with the grants and the access tokens under them.
    #[serde(default)]
    revoke: bool,
    /// Away with the grants alone.
    #[serde(default)]
    forget: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentOrder {
    #[serde(default)]
    answer: Consent,
    #[serde(default)]
    enrollee: usize,
    /// The box for substance use treatment data, which only v3's page has.
    #[serde(default = "ticked")]
    samhsa: bool,
}

fn ticked() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonOrder {
    enrollee: usize,
    standing: Standing,
}

/// Answers a control request.
pub(super) fn answer(shared: &Shared, ask: &Ask, what: &str) -> Answer {
    let done = || json(200, &json!({"ok": true}));
    match (ask.method.as_str(), what) {
        ("GET", "requests") => Answer::new(200, "application/json", shared.world().log.listed()),
        ("DELETE", "requests") => {
            shared.world().log.forget();
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
        ("POST", "clock") => order(ask, |clock: Clock| shared.world().advance(clock.advance_seconds)),
        ("POST", "grants") => order(ask, |grants: Grants| {
            if grants.revoke || grants.forget {
                shared.world().delete_all_grants(grants.revoke);
            }
            Ok(())
        }),
        ("POST", "consent") => order(ask, |order: ConsentOrder| {
            if order.enrollee >= shared.records.enrollees() {
                return Err(format!("there is no enrollee {}", order.enrollee));
            }
            let mut world = shared.world();
            (world.consent, world.consent_enrollee) = (order.answer, order.enrollee);
            world.consent_samhsa = order.samhsa;
            Ok(())
        }),
        ("POST", "people") => order(ask, |order: PersonOrder| {
            if order.enrollee >= shared.records.enrollees() {
                return Err(format!("there is no enrollee {}", order.enrollee));
            }
            shared.world().login_visits.set_standing(order.enrollee, order.standing);
            Ok(())
        }),
        ("POST", "switches") => order(ask, |switches: Switches| {
            shared.world().switches = switches;
            Ok(())
        }),
        ("POST", "rate") => order(ask, |rate: Option<Rate>| {
            let rate = rate.map(Rate::checked).transpose()?;
            shared.world().throttle.set(rate);
            Ok(())
        }),
        ("POST", "apps") => match serde_json::from_slice::<Registration>(&ask.body) {
            Ok(registration) => {
                let app = registration.app(word(40), word(128));
                let answer = json!({"client_id": app.id, "client_secret": app.secret});
                shared.world().apps.push(app);
                json(200, &answer)
            }
            Err(cause) => json(400, &json!({ "error": cause.to_string() })),
        },
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
