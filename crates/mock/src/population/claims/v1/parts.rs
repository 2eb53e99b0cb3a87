//! The building blocks of v1, in the form of FHIR STU3.

use super::super::json::{Digits, Json, Value};
use super::super::parts::Provider;
use super::super::row::{Column, Line};
use super::super::vocabulary::{Code, System, US_NPI};

/// The first number of a care team. In v1, CMS counts from 2.
pub(super) const FIRST_MEMBER: u64 = 2;

/// An amount of US dollars. In STU3, money is a quantity with the currency as its code.
pub(super) fn dollars(json: &mut Json<'_>, name: &'static str, value: impl Value) {
    json.put_object(name, |json| {
        json.put("value", value);
        json.put("system", "urn:iso:std:iso:4217");
        json.put("code", "USD");
    });
}

/// An extension that holds money.
pub(super) fn money_extension(json: &mut Json<'_>, column: Column, value: impl Value) {
    json.object(|json| {
        json.put("url", System::Variable(column.variable().0));
        dollars(json, "valueMoney", value);
    });
}

/// `"identifier"` of a provider with a National Provider Identifier, and the name if it is known.
pub(super) fn provider(json: &mut Json<'_>, provider: &Provider) {
    npi(json, provider.npi);
    json.provider_name(provider);
}

/// `"identifier"` with a National Provider Identifier.
pub(super) fn npi(json: &mut Json<'_>, npi: u64) {
    json.put_object("identifier", |json| {
        json.put("system", US_NPI);
        json.put("value", Digits(npi, 10));
    });
}

/// `"role"` of a member of the care team.
pub(super) fn role(json: &mut Json<'_>, (code, words): (&str, &str)) {
    json.concept("role", &[Code(System::Url("http://hl7.org/fhir/claimcareteamrole"), code, words)]);
}

/// The amounts of a line: only the CMS variable, without CARIN's name. The amount that a drug's plan paid says that
/// the drug is covered.
pub(super) fn amounts(json: &mut Json<'_>, line: &Line) {
    // v2 has a copy of an equipment line's payment, mislabeled as a revenue center's. v1 has no such copy.
    let is_equipment = line.amount(Column::LineDmePrchsPriceAmt).is_some();
    for &(column, amount) in &line.amounts {
        if is_equipment && column == Column::RevCntrPrvdrPmtAmt {
            continue;
        }
        json.object(|json| {
            json.share_paid(column);
            json.put_object("category", |json| {
                json.put_list("coding", |json| json.adjudication_code(column.variable()));
            });
            if column == Column::CvrdDPlanPdAmt {
                json.concept("reason", &[Code(System::Variable("drug_cvrg_stus_cd"), "C", "Covered")]);
            }
            dollars(json, "amount", amount);
        });
    }
}

/// An adjudication with a reason instead of an amount: the code of a CMS variable with this text.
pub(super) fn reasoned(json: &mut Json<'_>, words: &str, reason: Code<'_>) {
    let System::Variable(variable) = reason.0 else { return };
    json.object(|json| {
        json.put_object("category", |json| {
            json.put_list("coding", |json| json.adjudication_code((variable, words)));
        });
        json.concept("reason", &[reason]);
    });
}
