//! The facts of a claim, read off its v2 resource.
//!
//! CMS fills all versions from the same row. Here the v2 resource stands for that row: what v1 and v3 say
//! of a claim is taken from it, so that no two versions can tell different stories. Only what they need
//! is named; whatever is absent reads as empty.

use std::{borrow::Cow, fmt, ops::Deref};

use super::json::{Json, Value};
use super::tape::Tape;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// A text of the resource, borrowed from it where nothing in it is escaped.
#[derive(Default)]
pub(super) struct Text<'f>(Cow<'f, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'f, 'f> Deserialize<'de> for Text<'f> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

/// A number with the text that v2 gave it: `40` stays `40`, `37.5` stays `37.5`. It is never read as one.
#[derive(Clone, Copy)]
pub(super) struct Figure<'f>(&'f str);

impl<'de: 'f, 'f> Deserialize<'de> for Figure<'f> {
    /// A tape gives the text of a number to whoever asks for text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'f str>::deserialize(deserializer).map(Self)
    }
}

impl fmt::Display for Figure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Value for Figure<'_> {
    fn write(&self, json: &mut Json<'_>) {
        json.raw(self.0);
    }
}

/// An ExplanationOfBenefit of v2.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct Facts<'f> {
    pub(super) contained: Vec<Contained<'f>>,
    pub(super) extension: Vec<Extension<'f>>,
    pub(super) identifier: Vec<Identifier<'f>>,
    pub(super) status: Text<'f>,
    #[serde(rename = "type")]
    pub(super) kind: Concept<'f>,
    pub(super) billable_period: Period<'f>,
    pub(super) facility: Reference<'f>,
    pub(super) disposition: Text<'f>,
    pub(super) care_team: Vec<Member<'f>>,
    pub(super) supporting_info: Vec<Information<'f>>,
    pub(super) diagnosis: Vec<Diagnosis<'f>>,
    pub(super) procedure: Vec<Procedure<'f>>,
    pub(super) insurance: Vec<Insurance<'f>>,
    pub(super) item: Vec<Item<'f>>,
    pub(super) total: Vec<Adjudication<'f>>,
    pub(super) payment: Payment<'f>,
    pub(super) benefit_balance: Vec<Balance<'f>>,
}

impl<'f> Facts<'f> {
    /// Reads them off what v2 would write. That always reads back (the tests compare the versions).
    pub(super) fn of(tape: &'f Tape) -> Self {
        tape.read().unwrap_or_default()
    }

    /// The extension of a CMS variable.
    pub(super) fn variable(&self, name: &str) -> Option<&Extension<'f>> {
        named(&self.extension, name)
    }

    /// The entry of `supportingInfo` with a category of this code: a CMS variable or a word of CARIN's.
    pub(super) fn information(&self, code: &str) -> Option<&Information<'f>> {
        self.supporting_info.iter().find(|info| info.category.is_about(code))
    }

    /// Everything that `benefitBalance` counts or sums up.
    pub(super) fn balances(&self) -> impl Iterator<Item = &Financial<'f>> {
        self.benefit_balance.iter().flat_map(|balance| &balance.financial)
    }

    /// The amount of a CMS variable, wherever the header has it.
    pub(super) fn amount(&self, variable: &str) -> Option<Figure<'f>> {
        let total = self.total.iter().find(|total| total.category.is_about(variable)).and_then(|total| total.amount);
        let balance = || self.balances().find(|balance| balance.kind.is_about(variable)).and_then(|it| it.used_money);
        let extension = || self.variable(variable).and_then(|extension| extension.value_money);
        total.or_else(balance).or_else(extension).map(|money| money.value)
    }

    /// The count of a CMS variable.
    pub(super) fn count(&self, variable: &str) -> Option<u64> {
        self.balances().find(|balance| balance.kind.is_about(variable)).and_then(|balance| balance.used_unsigned_int)
    }

    /// Who does `role` in the care team.
    pub(super) fn member(&self, role: &str) -> Option<&Member<'f>> {
        self.care_team.iter().find(|member| member.role.has(role))
    }
}

/// The extension of the CMS variable `name` in a list.
pub(super) fn named<'e, 'f>(extensions: &'e [Extension<'f>], name: &str) -> Option<&'e Extension<'f>> {
    extensions.iter().find(|extension| ends_in(&extension.url, name))
}

/// Whether `name` is the last part of a URL, or the whole of what is none.
pub(super) fn ends_in(url: &str, name: &str) -> bool {
    url.strip_suffix(name).is_some_and(|base| base.is_empty() || base.ends_with('/'))
}

/// The last part of a URL.
pub(super) fn tail(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

impl<'f> Item<'f> {
    /// The amount of a CMS variable on this line.
    pub(super) fn amount(&self, variable: &str) -> Option<Figure<'f>> {
        let found = self.adjudication.iter().find(|adjudication| adjudication.category.is_about(variable));
        found.and_then(|adjudication| adjudication.amount).map(|money| money.value)
    }
}

/// A Patient or Coverage of v2, as far as the other versions need it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct PersonFacts<'f> {
    pub(super) extension: Vec<Extension<'f>>,
    pub(super) identifier: Vec<Identifier<'f>>,
    pub(super) name: Vec<Name<'f>>,
    pub(super) gender: Text<'f>,
    pub(super) birth_date: Text<'f>,
    pub(super) address: Vec<Address<'f>>,
    pub(super) period: Option<Period<'f>>,
}

impl<'f> PersonFacts<'f> {
    /// Reads them off the text of v2.
    pub(super) fn of(text: &'f str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Name<'f> {
    pub(super) family: Text<'f>,
    pub(super) given: Vec<Text<'f>>,
}

/// A contained Organization or Observation.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct Contained<'f> {
    pub(super) resource_type: Text<'f>,
    pub(super) name: Text<'f>,
    pub(super) identifier: Vec<Identifier<'f>>,
    pub(super) code: Concept<'f>,
    pub(super) value_quantity: Quantity<'f>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Coding<'f> {
    pub(super) system: Text<'f>,
    pub(super) version: Option<Text<'f>>,
    pub(super) code: Text<'f>,
    pub(super) display: Option<Text<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Concept<'f> {
    pub(super) extension: Vec<Extension<'f>>,
    pub(super) coding: Vec<Coding<'f>>,
}

impl<'f> Concept<'f> {
    /// Whether one of the codings has this code.
    pub(super) fn has(&self, code: &str) -> bool {
        self.coding.iter().any(|coding| coding.code == code)
    }

    /// Whether one of the codings is the URL of this CMS variable, or this word.
    pub(super) fn is_about(&self, variable: &str) -> bool {
        self.coding.iter().any(|coding| ends_in(&coding.code, variable))
    }

    /// The coding whose system ends so.
    pub(super) fn of(&self, system: &str) -> Option<&Coding<'f>> {
        self.coding.iter().find(|coding| ends_in(&coding.system, system))
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct Extension<'f> {
    pub(super) url: Text<'f>,
    pub(super) value_coding: Option<Coding<'f>>,
    pub(super) value_identifier: Option<Identifier<'f>>,
    pub(super) value_money: Option<Money<'f>>,
    pub(super) value_quantity: Option<Quantity<'f>>,
    pub(super) value_date: Option<Text<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Identifier<'f> {
    pub(super) system: Text<'f>,
    pub(super) value: Text<'f>,
    pub(super) period: Option<Period<'f>>,
}

#[derive(Clone, Copy, Deserialize)]
pub(super) struct Money<'f> {
    #[serde(borrow)]
    pub(super) value: Figure<'f>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Quantity<'f> {
    pub(super) value: Option<Figure<'f>>,
    pub(super) unit: Option<Text<'f>>,
    pub(super) system: Option<Text<'f>>,
    pub(super) code: Option<Text<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Period<'f> {
    pub(super) start: Option<Text<'f>>,
    pub(super) end: Option<Text<'f>>,
}

/// A reference that names somebody by identifier and display.
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Reference<'f> {
    pub(super) extension: Vec<Extension<'f>>,
    pub(super) identifier: Option<Identifier<'f>>,
    pub(super) display: Option<Text<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Member<'f> {
    pub(super) extension: Vec<Extension<'f>>,
    pub(super) provider: Reference<'f>,
    pub(super) role: Concept<'f>,
    pub(super) qualification: Concept<'f>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct Information<'f> {
    pub(super) category: Concept<'f>,
    pub(super) code: Option<Concept<'f>>,
    pub(super) timing_date: Option<Text<'f>>,
    pub(super) timing_period: Option<Period<'f>>,
    pub(super) value_quantity: Option<Quantity<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct Diagnosis<'f> {
    pub(super) extension: Vec<Extension<'f>>,
    pub(super) diagnosis_codeable_concept: Concept<'f>,
    #[serde(rename = "type")]
    pub(super) kind: Vec<Concept<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct Procedure<'f> {
    pub(super) date: Text<'f>,
    pub(super) procedure_codeable_concept: Concept<'f>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Insurance<'f> {
    pub(super) coverage: Reference<'f>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct Item<'f> {
    pub(super) extension: Vec<Extension<'f>>,
    pub(super) sequence: u64,
    pub(super) diagnosis_sequence: Vec<u64>,
    pub(super) information_sequence: Vec<u64>,
    pub(super) revenue: Concept<'f>,
    pub(super) category: Concept<'f>,
    pub(super) product_or_service: Concept<'f>,
    pub(super) modifier: Vec<Concept<'f>>,
    pub(super) serviced_period: Period<'f>,
    pub(super) serviced_date: Option<Text<'f>>,
    pub(super) location_codeable_concept: Concept<'f>,
    pub(super) location_address: Address<'f>,
    pub(super) quantity: Quantity<'f>,
    pub(super) adjudication: Vec<Adjudication<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct Address<'f> {
    pub(super) state: Text<'f>,
    pub(super) postal_code: Text<'f>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Adjudication<'f> {
    pub(super) extension: Vec<Extension<'f>>,
    pub(super) category: Concept<'f>,
    pub(super) reason: Option<Concept<'f>>,
    pub(super) amount: Option<Money<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Payment<'f> {
    pub(super) date: Option<Text<'f>>,
    pub(super) amount: Option<Money<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'f"))]
pub(super) struct Balance<'f> {
    pub(super) financial: Vec<Financial<'f>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'f"))]
pub(super) struct Financial<'f> {
    #[serde(rename = "type")]
    pub(super) kind: Concept<'f>,
    pub(super) used_money: Option<Money<'f>>,
    pub(super) used_unsigned_int: Option<u64>,
}
