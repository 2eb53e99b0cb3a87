//! The facts of a claim, read off its v2 resource.
//!
//! CMS fills all versions from the same row. Here the v2 resource stands for that row: what v1 and v3 say
//! of a claim is taken from it, so that no two versions can tell different stories. Only what they need
//! is named; whatever is absent reads as empty.

use serde::Deserialize;
use serde_json::Number;

/// An ExplanationOfBenefit of v2.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Facts {
    pub(super) contained: Vec<Contained>,
    pub(super) extension: Vec<Extension>,
    pub(super) identifier: Vec<Identifier>,
    pub(super) status: String,
    #[serde(rename = "type")]
    pub(super) kind: Concept,
    pub(super) billable_period: Period,
    pub(super) facility: Reference,
    pub(super) disposition: String,
    pub(super) care_team: Vec<Member>,
    pub(super) supporting_info: Vec<Information>,
    pub(super) diagnosis: Vec<Diagnosis>,
    pub(super) procedure: Vec<Procedure>,
    pub(super) insurance: Vec<Insurance>,
    pub(super) item: Vec<Item>,
    pub(super) total: Vec<Adjudication>,
    pub(super) payment: Payment,
    pub(super) benefit_balance: Vec<Balance>,
}

impl Facts {
    /// The extension of a CMS variable.
    pub(super) fn variable(&self, name: &str) -> Option<&Extension> {
        named(&self.extension, name)
    }

    /// The entry of `supportingInfo` with a category of this code: a CMS variable or a word of CARIN's.
    pub(super) fn information(&self, code: &str) -> Option<&Information> {
        self.supporting_info.iter().find(|info| info.category.coding.iter().any(|coding| tail(&coding.code) == code))
    }

    /// Everything that `benefitBalance` counts or sums up.
    pub(super) fn balances(&self) -> impl Iterator<Item = &Financial> {
        self.benefit_balance.iter().flat_map(|balance| &balance.financial)
    }

    /// The amount of a CMS variable, wherever the header has it.
    pub(super) fn amount(&self, variable: &str) -> Option<&Number> {
        let is_it = |concept: &Concept| concept.coding.iter().any(|coding| tail(&coding.code) == variable);
        let total = self.total.iter().find(|total| is_it(&total.category)).and_then(|total| total.amount.as_ref());
        let balance = || self.balances().find(|balance| is_it(&balance.kind)).and_then(|it| it.used_money.as_ref());
        let extension = || self.variable(variable).and_then(|extension| extension.value_money.as_ref());
        total.or_else(balance).or_else(extension).map(|money| &money.value)
    }

    /// The count of a CMS variable.
    pub(super) fn count(&self, variable: &str) -> Option<u64> {
        let is_it = |concept: &Concept| concept.coding.iter().any(|coding| tail(&coding.code) == variable);
        self.balances().find(|balance| is_it(&balance.kind)).and_then(|balance| balance.used_unsigned_int)
    }

    /// Who does `role` in the care team.
    pub(super) fn member(&self, role: &str) -> Option<&Member> {
        self.care_team.iter().find(|member| member.role.has(role))
    }
}

/// The extension of the CMS variable `name` in a list.
pub(super) fn named<'f>(extensions: &'f [Extension], name: &str) -> Option<&'f Extension> {
    extensions.iter().find(|extension| tail(&extension.url) == name)
}

/// The last part of a URL.
pub(super) fn tail(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

impl Item {
    /// The amount of a CMS variable on this line.
    pub(super) fn amount(&self, variable: &str) -> Option<&Number> {
        let is_it = |concept: &Concept| concept.coding.iter().any(|coding| tail(&coding.code) == variable);
        let found = self.adjudication.iter().find(|adjudication| is_it(&adjudication.category));
        found.and_then(|adjudication| adjudication.amount.as_ref()).map(|money| &money.value)
    }
}

/// A Patient or Coverage of v2, as far as the other versions need it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PersonFacts {
    pub(super) extension: Vec<Extension>,
    pub(super) identifier: Vec<Identifier>,
    pub(super) name: Vec<Name>,
    pub(super) gender: String,
    pub(super) birth_date: String,
    pub(super) address: Vec<Address>,
    pub(super) period: Option<Period>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Name {
    pub(super) family: String,
    pub(super) given: Vec<String>,
}

/// A contained Organization or Observation.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Contained {
    pub(super) resource_type: String,
    pub(super) name: String,
    pub(super) identifier: Vec<Identifier>,
    pub(super) code: Concept,
    pub(super) value_quantity: Quantity,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Coding {
    pub(super) system: String,
    pub(super) version: Option<String>,
    pub(super) code: String,
    pub(super) display: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Concept {
    pub(super) extension: Vec<Extension>,
    pub(super) coding: Vec<Coding>,
}

impl Concept {
    /// Whether one of the codings has this code.
    pub(super) fn has(&self, code: &str) -> bool {
        self.coding.iter().any(|coding| coding.code == code)
    }

    /// The coding whose system ends so.
    pub(super) fn of(&self, system: &str) -> Option<&Coding> {
        self.coding.iter().find(|coding| tail(&coding.system) == system)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Extension {
    pub(super) url: String,
    pub(super) value_coding: Option<Coding>,
    pub(super) value_identifier: Option<Identifier>,
    pub(super) value_money: Option<Money>,
    pub(super) value_quantity: Option<Quantity>,
    pub(super) value_date: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Identifier {
    pub(super) system: String,
    pub(super) value: String,
    pub(super) period: Option<Period>,
}

#[derive(Deserialize)]
pub(super) struct Money {
    pub(super) value: Number,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Quantity {
    pub(super) value: Option<Number>,
    pub(super) unit: Option<String>,
    pub(super) system: Option<String>,
    pub(super) code: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Period {
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
}

/// A reference that names somebody by identifier and display.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Reference {
    pub(super) extension: Vec<Extension>,
    pub(super) identifier: Option<Identifier>,
    pub(super) display: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Member {
    pub(super) extension: Vec<Extension>,
    pub(super) provider: Reference,
    pub(super) role: Concept,
    pub(super) qualification: Concept,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Information {
    pub(super) category: Concept,
    pub(super) code: Option<Concept>,
    pub(super) timing_date: Option<String>,
    pub(super) timing_period: Option<Period>,
    pub(super) value_quantity: Option<Quantity>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Diagnosis {
    pub(super) extension: Vec<Extension>,
    pub(super) diagnosis_codeable_concept: Concept,
    #[serde(rename = "type")]
    pub(super) kind: Vec<Concept>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Procedure {
    pub(super) date: String,
    pub(super) procedure_codeable_concept: Concept,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Insurance {
    pub(super) coverage: Reference,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Item {
    pub(super) extension: Vec<Extension>,
    pub(super) sequence: u64,
    pub(super) diagnosis_sequence: Vec<u64>,
    pub(super) information_sequence: Vec<u64>,
    pub(super) revenue: Concept,
    pub(super) category: Concept,
    pub(super) product_or_service: Concept,
    pub(super) modifier: Vec<Concept>,
    pub(super) serviced_period: Period,
    pub(super) serviced_date: Option<String>,
    pub(super) location_codeable_concept: Concept,
    pub(super) location_address: Address,
    pub(super) quantity: Quantity,
    pub(super) adjudication: Vec<Adjudication>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Address {
    pub(super) state: String,
    pub(super) postal_code: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Adjudication {
    pub(super) extension: Vec<Extension>,
    pub(super) category: Concept,
    pub(super) reason: Option<Concept>,
    pub(super) amount: Option<Money>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Payment {
    pub(super) date: Option<String>,
    pub(super) amount: Option<Money>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Balance {
    pub(super) financial: Vec<Financial>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Financial {
    #[serde(rename = "type")]
    pub(super) kind: Concept,
    pub(super) used_money: Option<Money>,
    pub(super) used_unsigned_int: Option<u64>,
}
