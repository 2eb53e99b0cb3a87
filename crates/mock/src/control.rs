//! `/__mock/…`: how a test changes the world and asks what happened in it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    apps::Registration,
    faults::{Fault, FaultError},
    http::{Answer, Ask},
    ids::word,
    login_visits::Standing,
    records::Records as _,
    throttle::Rate,
    world::{Consent, Switches, Whose, World},
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
    /// Of so many grants in a hundred, spread evenly over the enrollees.
    percent: Option<f64>,
}

impl Grants {
    /// Does so; says whose grants are gone where that was a share of all.
    fn obey(&self, world: &mut World) -> Result<Value, String> {
        let Some(percent) = self.percent else {
            if self.revoke || self.forget {
                world.delete_all_grants(self.revoke);
            }
            return Ok(json!({"ok": true}));
        };
        if !(0.0..=100.0).contains(&percent) {
            return Err(format!("percent: {percent} is not from 0 to 100"));
        }
        if !self.revoke {
            return Err("percent needs \"revoke\": true".to_owned());
        }
        let share = |number: usize| (number as f64 * percent / 100.0).floor();
        let all = world.all_grants().into_iter().enumerate();
        let gone: Vec<Whose> = all.filter(|(nth, _)| share(nth + 1) > share(*nth)).map(|(_, whose)| whose).collect();
        gone.iter().for_each(|whose| world.delete_grant(*whose));
        let enrollees: Vec<usize> = gone.iter().map(|whose| whose.enrollee).collect();
        Ok(json!({"ok": true, "enrollees": enrollees}))
    }
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
            let faults = specs.iter().map(|spec| spec.parse()).collect::<Result<Vec<Fault>, FaultError>>();
            let faults = faults.map_err(|why| why.to_string())?;
            shared.world().add_faults(faults);
            Ok(())
        }),
        ("DELETE", "faults") => {
            shared.world().set_faults(Vec::new());
            done()
        }
        ("POST", "clock") => order(ask, |clock: Clock| shared.world().advance(clock.advance_seconds)),
        ("POST", "grants") => answered(read(ask).and_then(|grants: Grants| grants.obey(&mut shared.world()))),
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
        ("POST", "apps") => match read::<Registration>(ask) {
            Ok(registration) => {
                let app = registration.app(word(40), word(128));
                let answer = json!({"client_id": app.id, "client_secret": app.secret});
                shared.world().apps.push(app);
                json(200, &answer)
            }
            Err(why) => refused(why),
        },
        ("POST", "claims") => {
            let now = shared.world().now();
            answered(read(ask).and_then(|load| shared.records.load(&load, now)).map(|done| json!(done)))
        }
        _ => json(404, &json!({"error": "no such control; docs/mock.md lists them"})),
    }
}

fn order<T: for<'de> Deserialize<'de>>(ask: &Ask, obey: impl FnOnce(T) -> Result<(), String>) -> Answer {
    answered(read(ask).and_then(obey).map(|()| json!({"ok": true})))
}

fn read<T: for<'de> Deserialize<'de>>(ask: &Ask) -> Result<T, String> {
    serde_json::from_slice(&ask.body).map_err(|cause| cause.to_string())
}

fn answered(done: Result<Value, String>) -> Answer {
    match done {
        Ok(value) => json(200, &value),
        Err(why) => refused(why),
    }
}

/// Of an order that cannot be obeyed.
pub(super) fn refused(why: String) -> Answer {
    json(400, &json!({ "error": why }))
}

fn json(status: u16, value: &Value) -> Answer {
    Answer::new(status, "application/json", value.to_string())
}
