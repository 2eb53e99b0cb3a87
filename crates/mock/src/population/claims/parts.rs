//! The building blocks that all claims share: codings, extensions, amounts, providers.
//!
//! Every method writes the keys in the same order as the server's FHIR library.

use jiff::civil::Date;

use super::json::{Digits, Json, Value};
use super::tables::{FAMILY_NAMES, GIVEN_NAMES, SPECIALTIES, Specialty};
use super::vocabulary::{Code, NPI, System};
use crate::rng::Rng;

/// US dollars in cents.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Cents(pub(super) u64);

impl Cents {
    /// `percent` of the amount, rounded down to a cent.
    pub(super) fn percent(self, percent: u64) -> Self {
        Self(self.0 * percent / 100)
    }

    /// What is left after `other`; never below zero.
    pub(super) fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// The web server reads the numbers in Python and writes them again: `37.50` becomes `37.5`, and `0.00` becomes
/// `0.0`.
impl Value for Cents {
    fn write(&self, json: &mut Json<'_>) {
        json.digits(self.0 / 100, 1);
        let cents = self.0 % 100;
        if cents == 0 && json.whole_amounts {
            return;
        }
        json.raw(".");
        if cents.is_multiple_of(10) { json.digits(cents / 10, 1) } else { json.digits(cents, 2) }
    }
}

/// A doctor, a supplier's employee, or a pharmacist. The number starts with 9, which no real NPI does.
#[derive(Clone, Copy)]
pub(super) struct Provider {
    pub(super) npi: u64,
    /// Given and family name, if the server's look-up found the number.
    pub(super) name: Option<(&'static str, &'static str)>,
    pub(super) specialty: &'static Specialty,
}

impl Provider {
    /// A random provider. One in ten has no name.
    pub(super) fn any(rng: &mut Rng) -> Self {
        let npi = 9_000_000_000 + rng.below(1_000_000_000);
        let name = (!rng.percent(10)).then(|| (*rng.pick(GIVEN_NAMES), *rng.pick(FAMILY_NAMES)));
        Self { npi, name, specialty: rng.pick(SPECIALTIES) }
    }
}

impl Json<'_> {
    /// `{"system", "code", "display"}` in a list.
    pub(super) fn coding(&mut self, Code(system, code, display): Code<'_>) {
        self.object(|json| {
            json.put("system", system);
            json.put("code", code);
            json.put_some("display", (!display.is_empty()).then_some(display));
        });
    }

    /// `"name": {"coding": [ … ]}`.
    pub(super) fn concept(&mut self, name: &'static str, codes: &[Code<'_>]) {
        self.put_object(name, |json| json.codings(codes));
    }

    /// `"coding": [ … ]`.
    pub(super) fn codings(&mut self, codes: &[Code<'_>]) {
        self.put_list("coding", |json| {
            for &code in codes {
                json.coding(code);
            }
        });
    }

    /// An extension whose URL is also the system of its coding, as in all of the server's own extensions.
    pub(super) fn extension(&mut self, system: System<'_>, code: &str, display: &str) {
        self.object(|json| {
            json.put("url", system);
            json.put_object("valueCoding", |json| {
                json.put("system", system);
                json.put("code", code);
                json.put_some("display", (!display.is_empty()).then_some(display));
            });
        });
    }

    /// [`Json::extension`] of a CMS variable.
    pub(super) fn variable(&mut self, name: &str, code: &str, display: &str) {
        self.extension(System::Variable(name), code, display);
    }

    /// An extension that holds an identifier.
    pub(super) fn variable_identifier(&mut self, name: &str, value: impl Value) {
        self.object(|json| {
            json.put("url", System::Variable(name));
            json.put_object("valueIdentifier", |json| {
                json.put("system", System::Variable(name));
                json.put("value", value);
            });
        });
    }

    /// An extension that holds one plain value under `key`.
    pub(super) fn variable_value(&mut self, name: &str, key: &'static str, value: impl Value) {
        self.object(|json| {
            json.put("url", System::Variable(name));
            json.put(key, value);
        });
    }

    /// An extension that holds a bare number of things.
    pub(super) fn variable_count(&mut self, name: &str, count: u64) {
        self.object(|json| {
            json.put("url", System::Variable(name));
            json.put_object("valueQuantity", |json| json.put("value", count));
        });
    }

    /// `"name": {"value": 37.5, "currency": "USD"}`.
    pub(super) fn money(&mut self, name: &'static str, amount: Cents) {
        self.put_object(name, |json| {
            json.put("value", amount);
            json.put("currency", "USD");
        });
    }

    /// A coding whose code is the URL of a CMS variable.
    pub(super) fn variable_code(&mut self, system: &str, variable: &str, words: &str) {
        self.object(|json| {
            json.put("system", System::Bluebutton(system));
            json.put("code", System::Variable(variable));
            json.put("display", words);
        });
    }

    /// `"identifier": {"type": npi, "value": …}`.
    pub(super) fn npi(&mut self, npi: u64) {
        self.put_object("identifier", |json| {
            json.concept("type", &[NPI]);
            json.put("value", Digits(npi, 10));
        });
    }

    /// `"display": "Dr. Given Family"`, for a provider with a name.
    pub(super) fn provider_name(&mut self, provider: &Provider) {
        if let Some((given, family)) = provider.name {
            self.put("display", format_args!("Dr. {given} {family}"));
        }
    }

    /// Start and end, as in `"billablePeriod"`.
    pub(super) fn period(&mut self, name: &'static str, start: Date, end: Date) {
        self.put_object(name, |json| {
            json.put("start", start);
            json.put("end", end);
        });
    }
}
