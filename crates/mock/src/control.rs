//! `/__mock/…`: where a test changes the state of the mock and reads what happened.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    apps::Registration,
    faults::{Fault, FaultError},
    http::{Request, Response},
    ids::word,
    login_visits::Standing,
    records::Records as _,
    throttle::Rate,
    world::{Consent, GrantKey, Switches, World},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    advance_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grants {
    /// Delete the grants and the access tokens under them.
    #[serde(default)]
    revoke: bool,
    /// Delete the grants and leave their tokens.
    #[serde(default)]
    forget: bool,
    /// Revoke only this percentage of the grants, spread evenly over the enrollees.
    percent: Option<f64>,
}

impl Grants {
    /// Deletes the grants. With `percent`, returns the enrollees whose grants were deleted.
    fn apply(&self, world: &mut World) -> Result<Value, String> {
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
        let gone: Vec<GrantKey> =
            all.filter(|(nth, _)| share(nth + 1) > share(*nth)).map(|(_, grant_key)| grant_key).collect();
        gone.iter().for_each(|grant_key| world.delete_grant(*grant_key));
        let enrollees: Vec<usize> = gone.iter().map(|grant_key| grant_key.enrollee).collect();
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
    /// Whether the box for substance use treatment data is ticked. Only v3's page has one.
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
pub(super) fn respond(shared: &Shared, request: &Request, what: &str) -> Response {
    let mut response = answer(shared, request, what);
    // A person may read it in a terminal, so it ends with a line break.
    if response.body.last().is_some_and(|last| *last != b'\n') {
        response.body.push(b'\n');
    }
    response
}

fn answer(shared: &Shared, request: &Request, what: &str) -> Response {
    let done = || json(200, &json!({"ok": true}));
    match (request.method.as_str(), what) {
        ("GET", "requests") => Response::new(200, "application/json", shared.world().log.listed()),
        ("DELETE", "requests") => {
            shared.world().log.forget();
            done()
        }
        ("GET", "faults") => {
            let world = shared.world();
            let listed =
                world.faults().iter().map(|fault| json!({"fault": fault.to_string(), "idle": fault.is_idle()}));
            json(200, &listed.collect())
        }
        ("POST", "faults") => order(request, |specs: Vec<String>| {
            let faults = specs.iter().map(|spec| spec.parse()).collect::<Result<Vec<Fault>, FaultError>>();
            let faults = faults.map_err(|why| why.to_string())?;
            shared.world().add_faults(faults);
            Ok(())
        }),
        ("DELETE", "faults") => {
            shared.world().set_faults(Vec::new());
            done()
        }
        ("POST", "clock") => order(request, |clock: Clock| shared.world().advance(clock.advance_seconds)),
        ("POST", "grants") => result(read(request).and_then(|grants: Grants| grants.apply(&mut shared.world()))),
        ("POST", "consent") => order(request, |order: ConsentOrder| {
            if order.enrollee >= shared.records.enrollees() {
                return Err(format!("there is no enrollee {}", order.enrollee));
            }
            let mut world = shared.world();
            (world.consent, world.consent_enrollee) = (order.answer, order.enrollee);
            world.consent_samhsa = order.samhsa;
            Ok(())
        }),
        ("POST", "people") => order(request, |order: PersonOrder| {
            if order.enrollee >= shared.records.enrollees() {
                return Err(format!("there is no enrollee {}", order.enrollee));
            }
            shared.world().login_visits.set_standing(order.enrollee, order.standing);
            Ok(())
        }),
        ("POST", "switches") => order(request, |switches: Switches| {
            shared.world().switches = switches;
            Ok(())
        }),
        ("POST", "rate") => order(request, |rate: Option<Rate>| {
            let rate = rate.map(Rate::checked).transpose()?;
            shared.world().throttle.set(rate);
            Ok(())
        }),
        ("POST", "apps") => match read::<Registration>(request) {
            Ok(registration) => {
                let app = registration.app(word(40), word(128));
                let registered = json!({"client_id": app.id, "client_secret": app.secret});
                shared.world().apps.push(app);
                json(200, &registered)
            }
            Err(why) => refused(why),
        },
        ("POST", "claims") => {
            let now = shared.world().now();
            result(read(request).and_then(|load| shared.records.load(&load, now)).map(|done| json!(done)))
        }
        _ => json(404, &json!({"error": "no such control; see Controls in docs/mock.md"})),
    }
}

fn order<T: for<'de> Deserialize<'de>>(request: &Request, apply: impl FnOnce(T) -> Result<(), String>) -> Response {
    result(read(request).and_then(apply).map(|()| json!({"ok": true})))
}

fn read<T: for<'de> Deserialize<'de>>(request: &Request) -> Result<T, String> {
    serde_json::from_slice(&request.body).map_err(|cause| cause.to_string())
}

fn result(done: Result<Value, String>) -> Response {
    match done {
        Ok(value) => json(200, &value),
        Err(why) => refused(why),
    }
}

/// 400 with the reason.
pub(super) fn refused(why: String) -> Response {
    json(400, &json!({ "error": why }))
}

fn json(status: u16, value: &Value) -> Response {
    Response::new(status, "application/json", value.to_string())
}
