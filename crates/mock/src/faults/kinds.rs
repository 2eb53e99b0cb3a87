//! Every fault: its name, and what it does.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::effects::{Condition, Effect, corrupt_middle, plain_status, swell};
use crate::{
    backend::Outage,
    fhir::Entry,
    html,
    http::{Break, LIMITS, Response},
    mutable_records::Load,
};

/// The maximum number of megabytes that a fault can add to a resource. They are created all at once.
const HUGEST: u64 = 1_000;
/// The maximum number of megabytes of blanks, which are created while they are sent. No one receives more in a day.
const LARGEST_BOMB: u64 = 100_000;
/// The number of results that an endless search claims to have.
const ENDLESS: usize = 1_000_000_000;

/// A message of the server along with the results, as FHIR allows (R4 section 3.1.1.1.1, `search.mode` `outcome`).
const OUTCOME: &str = r#"{"resourceType":"OperationOutcome","id":"made-up-outcome","issue":[{"severity":"warning","code":"informational","diagnostics":"This search took a part of the data from an older copy."}]}"#;
/// A resource that belongs to the results (`search.mode` `include`).
const INCLUDED: &str = r#"{"resourceType":"Organization","id":"made-up-organization","name":"MADE UP HOSPITAL"}"#;

/// Reads the text after the name, and returns what the fault does.
type Make = fn(Argument<'_>) -> Result<Effect, String>;

/// Every fault. If several strike, they do so in this order.
pub(super) const KINDS: &[(&str, Make)] = &[
    // ---- the world, before the request is handled
    ("expire-token", |_| Ok(Effect::world(|scene| scene.world.expire(scene.token)))),
    ("revoke-token", |_| Ok(Effect::world(|scene| _ = scene.world.kill_pair(scene.token)))),
    ("revoke-grant", |_| Ok(Effect::world(|scene| scene.world.delete_grant(scene.grant_key)))),
    ("grant-over", |_| Ok(Effect::world(|scene| scene.world.end_grant(scene.grant_key)))),
    ("load", |argument| {
        let add = argument.claims()?;
        Ok(Effect::world(move |scene| scene.load(Load { add, ..Load::default() })))
    }),
    ("update", |argument| {
        let update = argument.claims()?;
        Ok(Effect::world(move |scene| scene.load(Load { update, ..Load::default() })))
    }),
    ("supersede", |argument| {
        let supersede = argument.claims()?;
        Ok(Effect::world(move |scene| scene.load(Load { supersede, ..Load::default() })))
    }),
    ("late-load", |argument| {
        let seconds = i64::try_from(argument.number("a number of seconds")?).map_err(|_| "that is too long ago")?;
        Ok(Effect::world(move |scene| {
            let at = scene.world.now().checked_sub(SignedDuration::from_secs(seconds)).ok();
            scene.load(Load { add: 1, at, ..Load::default() });
        }))
    }),
    ("inactive", |_| Ok(Effect::Under(Condition::Inactive))),
    ("v3-off", |_| Ok(Effect::Under(Condition::V3Off))),
    ("v3-closed", |_| Ok(Effect::Under(Condition::V3Closed))),
    ("backend", |argument| Outage::read(argument.text).map(Effect::Backend)),
    // ---- the whole answer
    ("status", |argument| {
        let status = argument.status()?;
        Ok(Effect::instead(move || plain_status(status)))
    }),
    ("throttle", |argument| {
        let seconds = argument.number("a number of seconds")?;
        Ok(Effect::instead(move || throttled(seconds)))
    }),
    ("html", |argument| {
        let status = argument.status()?;
        Ok(Effect::instead(move || Response::html(status, html::refused("The CDN cannot reach its origin."))))
    }),
    ("redirect", |argument| {
        let to = argument.text.to_owned();
        Ok(Effect::instead(move || Response::redirect(302, &to)))
    }),
    // ---- the Bundle of a search
    ("empty", |_| Ok(Effect::page(|bundle| bundle.lay_out(0)))),
    ("endless", |_| {
        Ok(Effect::page(|bundle| {
            if bundle.is_of_claims() {
                bundle.lay_out(ENDLESS);
            }
        }))
    }),
    ("repeat-first", |_| Ok(Effect::page(|bundle| bundle.show_first_page()))),
    ("duplicate", |_| Ok(Effect::page(|bundle| bundle.repeat_previous()))),
    ("empty-next", |_| Ok(Effect::page(|bundle| bundle.entries.clear()))),
    ("outcome-entry", |_| {
        Ok(Effect::page(|bundle| bundle.entries.insert(0, Entry::Other { text: OUTCOME, mode: Some("outcome") })))
    }),
    ("bare-outcome-entry", |_| {
        Ok(Effect::page(|bundle| bundle.entries.push(Entry::Other { text: OUTCOME, mode: None })))
    }),
    ("include-entry", |_| {
        Ok(Effect::page(|bundle| bundle.entries.push(Entry::Other { text: INCLUDED, mode: Some("include") })))
    }),
    ("total", |argument| {
        let total = argument.number("a number")?;
        Ok(Effect::page(move |bundle| bundle.total = Some(total)))
    }),
    ("no-total", |_| Ok(Effect::page(|bundle| bundle.total = None))),
    ("next-loop", |_| Ok(Effect::page(|bundle| bundle.bend("next", |bundle, _| bundle.link(bundle.start()))))),
    ("next-host", |argument| {
        let origin = argument.origin();
        Ok(Effect::page(move |bundle| bundle.bend("next", |bundle, link| link.replacen(bundle.url(), &origin, 1))))
    }),
    ("next-path", |argument| {
        let path = argument.text.to_owned();
        Ok(Effect::page(move |bundle| {
            bundle.bend("next", |bundle, link| {
                let query = link.split_once('?').map_or("", |(_, query)| query);
                format!("{}{path}?{query}", bundle.url())
            });
        }))
    }),
    ("self-host", |argument| {
        let origin = argument.origin();
        Ok(Effect::page(move |bundle| bundle.bend("self", |bundle, link| link.replacen(bundle.url(), &origin, 1))))
    }),
    // ---- the answer of the token endpoint
    ("token-extra", |_| {
        Ok(Effect::tokens(|response| {
            for (name, value) in &mut response.fields {
                match (*name, value.as_str()) {
                    ("expires_in", _) => *value = json!(3599.5),
                    ("patient", Some(patient)) => {
                        *value = patient.parse::<i64>().map_or_else(|_| value.clone(), Value::from);
                    }
                    ("access_grant_expiration", Some(end)) => *value = json!(end.replace('T', " ")),
                    _ => {}
                }
            }
            response.fields.push(("id_token", Value::Null));
            response.fields.push(("extension", json!({"nested": [1, 2.5, "x"]})));
        }))
    }),
    ("no-patient", |_| Ok(Effect::tokens(|response| response.fields.retain(|(name, _)| *name != "patient")))),
    ("no-expiration", |_| {
        Ok(Effect::tokens(|response| response.fields.retain(|(name, _)| *name != "access_grant_expiration")))
    }),
    ("drop-refresh", |_| Ok(Effect::tokens(|response| response.is_lost = response.is_refresh))),
    // ---- the text of an answer
    ("truncate", |_| Ok(Effect::text(|response| response.body.truncate(response.body.len() / 2)))),
    ("corrupt", |_| Ok(Effect::text(|response| corrupt_middle(response, |body, quote| body[quote] = b'#')))),
    ("invalid-utf8", |_| Ok(Effect::text(|response| corrupt_middle(response, |body, quote| body[quote - 1] = 0xff)))),
    ("huge", |argument| {
        let megabytes = argument.at_most(HUGEST, "a number of megabytes")?;
        let bytes = usize::try_from(megabytes).unwrap_or(0).saturating_mul(1_000_000);
        Ok(Effect::text(move |response| swell(&mut response.body, bytes)))
    }),
    ("close", |_| Ok(Effect::text(|response| response.breaks = Some(Break::Within)))),
    ("bomb", |argument| {
        let megabytes = argument.at_most(LARGEST_BOMB, "a number of megabytes")?;
        Ok(Effect::text(move |response| response.blanks = megabytes))
    }),
    // ---- when and how the answer is sent
    ("hang", |_| Ok(Effect::Hang)),
    ("late", |argument| {
        let bounds = argument.text.split_once('-').map(|(least, most)| (least.parse(), most.parse()));
        match bounds {
            Some((Ok(least), Ok(most))) if least <= most => Ok(Effect::Late(least, most)),
            _ => argument
                .number("a number of milliseconds, nor two of them as in late=50-300")
                .map(|late| Effect::Late(late, late)),
        }
    }),
    ("reset", |argument| {
        let after = if argument.text.is_empty() { 0 } else { argument.size("a number of bytes")? };
        Ok(Effect::wire(move |wire| wire.reset(after)))
    }),
    ("refuse", |argument| {
        let shut = Duration::from_millis(argument.number("a number of milliseconds")?);
        Ok(Effect::wire(move |wire| {
            wire.refuse(shut);
            wire.reset(0);
        }))
    }),
    ("corrupt-gzip", |_| {
        Ok(Effect::bytes(|sent| {
            if sent.is_compressed() {
                let mut bytes = sent.body.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle..].iter_mut().take(8).for_each(|byte| *byte ^= 0x55);
                sent.body = bytes.into();
            }
        }))
    }),
    ("length", |argument| {
        let by: i64 = argument.text.parse().ok().filter(|bytes| *bytes != 0).ok_or_else(|| {
            let text = argument.text;
            format!("fault length: \"{text}\" is not a number of bytes; write length=100 or length=-100")
        })?;
        Ok(Effect::bytes(move |sent| {
            let length = i64::try_from(sent.body.len()).unwrap_or(i64::MAX).saturating_add(by).max(0);
            sent.send_as(length);
        }))
    }),
    ("drip", |argument| {
        let rate = argument.size("a number of bytes a second")?.max(1);
        Ok(Effect::bytes(move |sent| sent.drip = Some(rate)))
    }),
];

/// 429, as the throttle answers.
fn throttled(seconds: u64) -> Response {
    let words = format!("Request was throttled. Expected available in {seconds} seconds.");
    let response = Response::detail(429, &words).with("retry-after", seconds.to_string());
    let limits = ["100000".to_owned(), "0".to_owned(), format!("{seconds}.0")];
    LIMITS.into_iter().zip(limits).fold(response, |response, (name, value)| response.with(name, value))
}

/// The text after a fault's name and the equals sign.
#[derive(Clone, Copy)]
pub(super) struct Argument<'t> {
    pub name: &'static str,
    pub text: &'t str,
}

impl Argument<'_> {
    fn number(self, what: &str) -> Result<u64, String> {
        let Self { name, text } = self;
        text.parse().map_err(|_| format!("fault {name}: \"{text}\" is not {what}; write {name}=NUMBER"))
    }

    fn size(self, what: &str) -> Result<usize, String> {
        let number = self.number(what)?;
        usize::try_from(number).map_err(|_| format!("{number} is too large"))
    }

    fn at_most(self, most: u64, what: &str) -> Result<u64, String> {
        let number = self.number(what)?;
        if number <= most { Ok(number) } else { Err(format!("fault {}: {number} is more than {most}", self.name)) }
    }

    fn claims(self) -> Result<usize, String> {
        self.at_most(Load::MOST as u64, "a number of claims").map(|number| number as usize)
    }

    fn status(self) -> Result<u16, String> {
        let number = self.number("a status")?;
        let status = u16::try_from(number).ok().filter(|status| (200..=599).contains(status));
        status.ok_or(format!("fault {}: {number} is not a status from 200 to 599", self.name))
    }

    fn origin(self) -> String {
        self.text.trim_end_matches('/').to_owned()
    }
}
