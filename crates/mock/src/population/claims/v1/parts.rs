//! The building blocks of v1, as FHIR STU3 writes them.

use super::super::facts::{Adjudication, Coding, Extension, Identifier, Money, Period, Quantity, Reference};
use super::super::json::{Json, Value};
use super::super::vocabulary::{Code, System, US_NPI};

/// The code system of care team roles in STU3.
const ROLES: System<'static> = System::Url("http://hl7.org/fhir/claimcareteamrole");

/// The first number of a care team: CMS counts from 2 in v1.
pub(super) const FIRST_MEMBER: u64 = 2;

/// A coding as v2 has it.
pub(super) fn coding(json: &mut Json<'_>, coding: &Coding<'_>) {
    json.object(|json| inside_coding(json, coding));
}

fn inside_coding(json: &mut Json<'_>, coding: &Coding<'_>) {
    json.put("system", coding.system.as_str());
    json.put_some("version", coding.version.as_deref());
    json.put("code", coding.code.as_str());
    json.put_some("display", coding.display.as_deref());
}

/// `"coding": [ … ]` of one coding.
pub(super) fn one_coding(json: &mut Json<'_>, one: &Coding<'_>) {
    json.put_list("coding", |json| coding(json, one));
}

/// `"name": {"system", "value"}`.
pub(super) fn identifier(json: &mut Json<'_>, name: &'static str, identifier: &Identifier<'_>) {
    json.put_object(name, |json| {
        json.put("system", identifier.system.as_str());
        json.put("value", identifier.value.as_str());
    });
}

/// A sum of US dollars: STU3 makes money a quantity whose code is the currency.
pub(super) fn dollars(json: &mut Json<'_>, name: &'static str, value: impl Value) {
    json.put_object(name, |json| {
        json.put("value", value);
        json.put("system", "urn:iso:std:iso:4217");
        json.put("code", "USD");
    });
}

/// [`dollars`] of an amount that v2 has; nothing where it has none.
pub(super) fn amount(json: &mut Json<'_>, name: &'static str, money: Option<&Money<'_>>) {
    if let Some(money) = money {
        dollars(json, name, money.value);
    }
}

/// `"name": {"value", …}`.
pub(super) fn quantity(json: &mut Json<'_>, name: &'static str, quantity: &Quantity<'_>) {
    json.put_object(name, |json| {
        json.put_some("value", quantity.value);
        json.put_some("unit", quantity.unit.as_deref());
        json.put_some("system", quantity.system.as_deref());
        json.put_some("code", quantity.code.as_deref());
    });
}

/// `"name": {"start", "end"}`.
pub(super) fn period(json: &mut Json<'_>, name: &'static str, period: &Period<'_>) {
    json.put_object(name, |json| {
        json.put_some("start", period.start.as_deref());
        json.put_some("end", period.end.as_deref());
    });
}

/// An extension as v2 has it, but for the shape of money.
pub(super) fn extension(json: &mut Json<'_>, extension: &Extension<'_>) {
    json.object(|json| {
        json.put("url", extension.url.as_str());
        if let Some(coding) = &extension.value_coding {
            json.put_object("valueCoding", |json| inside_coding(json, coding));
        }
        if let Some(value) = &extension.value_identifier {
            identifier(json, "valueIdentifier", value);
        }
        amount(json, "valueMoney", extension.value_money.as_ref());
        if let Some(value) = &extension.value_quantity {
            quantity(json, "valueQuantity", value);
        }
        json.put_some("valueDate", extension.value_date.as_deref());
    });
}

/// Those of `extensions` that there are.
pub(super) fn copied<'e, 'f: 'e>(json: &mut Json<'_>, extensions: impl IntoIterator<Item = Option<&'e Extension<'f>>>) {
    extensions.into_iter().flatten().for_each(|one| extension(json, one));
}

/// An extension that holds money.
pub(super) fn money_extension(json: &mut Json<'_>, variable: &str, value: impl Value) {
    json.object(|json| {
        json.put("url", System::Variable(variable));
        dollars(json, "valueMoney", value);
    });
}

/// `"identifier"` of somebody with a National Provider Identifier, and the name where one is known.
pub(super) fn provider(json: &mut Json<'_>, provider: &Reference<'_>) {
    if let Some(identifier) = &provider.identifier {
        npi(json, &identifier.value);
    }
    json.put_some("display", provider.display.as_deref());
}

/// `"identifier"` with a National Provider Identifier.
pub(super) fn npi(json: &mut Json<'_>, value: &str) {
    json.put_object("identifier", |json| {
        json.put("system", US_NPI);
        json.put("value", value);
    });
}

/// `"role"` of a member of the care team.
pub(super) fn role(json: &mut Json<'_>, code: &str, words: &str) {
    json.concept("role", &[Code(ROLES, code, words)]);
}

/// `"category"` of an adjudication: the CMS variable alone, without CARIN's word.
fn category(json: &mut Json<'_>, variable: &Coding<'_>) {
    json.put_object("category", |json| one_coding(json, variable));
}

/// What v2 adjudicates with an amount; adjudications that only give a reason are left out, since v2
/// does not say by which variable.
pub(super) fn priced(json: &mut Json<'_>, adjudication: &Adjudication<'_>, reason: Option<Code<'_>>) {
    // CARIN's word comes first in v2; the variable is the coding whose code is a URL.
    let variable = adjudication.category.coding.iter().find(|coding| coding.code.contains("/variables/"));
    let (Some(variable), Some(_)) = (variable, &adjudication.amount) else { return };
    json.object(|json| {
        if !adjudication.extension.is_empty() {
            json.put_list("extension", |json| adjudication.extension.iter().for_each(|one| extension(json, one)));
        }
        category(json, variable);
        if let Some(reason) = reason {
            json.concept("reason", &[reason]);
        }
        amount(json, "amount", adjudication.amount.as_ref());
    });
}

/// Whether an adjudication is about this CMS variable.
pub(super) fn is_about(adjudication: &Adjudication<'_>, variable: &str) -> bool {
    adjudication.category.is_about(variable)
}

/// An adjudication that gives a reason instead of an amount.
pub(super) fn reasoned(json: &mut Json<'_>, variable: &str, words: &str, reason: &Coding<'_>) {
    json.object(|json| {
        json.put_object("category", |json| {
            json.put_list("coding", |json| json.variable_code("adjudication", variable, words));
        });
        json.put_object("reason", |json| one_coding(json, reason));
    });
}
