//! Claims of institutions in v1: hospital (in and out), nursing facility, home health, hospice.

use super::super::facts::{Contained, Facts, Item, ends_in, tail};
use super::super::json::{Digits, Json};
use super::super::parts::Cents;
use super::super::tables::PROCEDURES;
use super::super::vocabulary::{Code, HCPCS, System, US_NPI};
use super::super::{Claim, Kind};
use super::parts::{FIRST_MEMBER, amount, copied, extension, money_extension, npi, one_coding};
use super::revenue::item;
use super::sections::{PRIMARY, diagnoses, information, member};
use crate::rng::Rng;

/// Writes the inside of the resource.
pub(super) fn write(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>) {
    // Chance for what v2 does not tell, apart from the chance that makes v2.
    let mut rng = Rng::at(&[claim.rng.clone().next(), 0x0076_3100]);
    let organization = facts.contained.iter().find(|one| one.resource_type == "Organization");
    claim.head_v1(json);
    json.put_list("extension", |json| extensions(json, facts, &mut rng));
    claim.identity_v1(json, facts);
    json.put_object("billablePeriod", |json| {
        if matches!(claim.kind, Kind::Inpatient | Kind::Outpatient | Kind::Snf) {
            json.put_list("extension", |json| json.variable("claim_query_cd", "3", "Final bill"));
        }
        json.put("start", claim.start);
        json.put("end", claim.end);
    });
    if let Some(organization) = organization {
        biller(json, organization);
    }
    json.put_object("facility", |json| {
        json.put_list("extension", |json| facts.facility.extension.iter().for_each(|one| extension(json, one)));
        if let Some(organization) = organization {
            known_by_npi(json, organization);
        }
    });
    information(json, facts, None);
    let mut performing = FIRST_MEMBER;
    json.put_list("careTeam", |json| performing = care_team(json, facts));
    diagnoses(json, facts);
    procedures(json, claim, facts, &mut rng);
    claim.insurance_v1(json, facts);
    stay(json, claim, facts);
    json.put_list("item", |json| {
        facts.item.iter().for_each(|line: &Item<'_>| json.object(|json| item(json, claim, &mut rng, performing, line)));
    });
    amount(json, "totalCost", facts.total.first().and_then(|total| total.amount.as_ref()));
    json.put_object("payment", |json| amount(json, "amount", facts.payment.amount.as_ref()));
    balance(json, claim, facts);
}

/// The sums that v2 has in `benefitBalance`, and what it has in extensions.
fn extensions(json: &mut Json<'_>, facts: &Facts<'_>, rng: &mut Rng) {
    let medical = ["ime_op_clm_val_amt", "dsh_op_clm_val_amt", "clm_uncompd_care_pmt_amt"];
    copied(json, medical.map(|name| facts.variable(name)));
    let mut primary_payer = None;
    for balance in facts.balances() {
        match (balance.kind.coding.first(), &balance.used_money) {
            (Some(variable), Some(money)) if ends_in(&variable.code, "prpayamt") => primary_payer = Some(money.value),
            (Some(variable), Some(money)) => money_extension(json, tail(&variable.code), money.value),
            _ => {}
        }
    }
    copied(json, [facts.variable("clm_mdcr_non_pmt_rsn_cd")]);
    match primary_payer {
        Some(value) => money_extension(json, "prpayamt", value),
        None => money_extension(json, "prpayamt", Cents(0)),
    }
    // A coding in v2, an identifier in v1.
    if let Some(contractor) = facts.variable("fi_num").and_then(|one| one.value_coding.as_ref()) {
        json.variable_identifier("fi_num", contractor.code.as_str());
    }
    copied(json, [facts.variable("fi_doc_clm_cntl_num")]);
    json.variable_identifier("fi_orig_clm_cntl_num", Digits(rng.below(100_000_000_000_000), 14));
}

/// `provider` with CMS's own number, `organization` with the national one.
fn biller(json: &mut Json<'_>, organization: &Contained<'_>) {
    json.put_object("provider", |json| {
        json.put_object("identifier", |json| {
            json.put("system", System::Variable("prvdr_num"));
            let own = organization.identifier.iter().find(|one| one.system.is_empty());
            json.put_some("value", own.map(|own| own.value.as_str()));
        });
    });
    json.put_object("organization", |json| known_by_npi(json, organization));
}

fn known_by_npi(json: &mut Json<'_>, organization: &Contained<'_>) {
    let System::Url(national) = US_NPI else { return };
    if let Some(identifier) = organization.identifier.iter().find(|one| one.system == national) {
        npi(json, &identifier.value);
    }
    json.put("display", organization.name.as_str());
}

/// Writes the team in v1's order; returns the number of the member that lines refer to.
fn care_team(json: &mut Json<'_>, facts: &Facts<'_>) -> u64 {
    let roles = [
        ("operating", ("assist", "Assisting Provider")),
        ("otheroperating", ("other", "Other")),
        ("attending", PRIMARY),
        ("performing", PRIMARY),
    ];
    let mut next = FIRST_MEMBER;
    for (theirs, ours) in roles {
        if let Some(found) = facts.member(theirs) {
            member(json, next, found, ours);
            next += 1;
        }
    }
    next.saturating_sub(1)
}

/// v2's procedures, with one coding each. Outpatients now and then have one that only v1 tells.
fn procedures(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>, rng: &mut Rng) {
    if claim.kind == Kind::Outpatient && rng.percent(10) {
        let (code, words) = rng.pick(PROCEDURES);
        json.put_list("procedure", |json| {
            json.object(|json| {
                json.put("sequence", 1);
                json.put("date", format_args!("{}T00:00:00+00:00", claim.start));
                let code = Code(System::Url("http://hl7.org/fhir/sid/icd-10"), code, words);
                json.concept("procedureCodeableConcept", &[code]);
            });
        });
    } else if !facts.procedure.is_empty() {
        json.put_list("procedure", |json| {
            for (sequence, procedure) in (1..).zip(&facts.procedure) {
                json.object(|json| {
                    json.put("sequence", sequence);
                    json.put("date", procedure.date.as_str());
                    if let Some(code) = procedure.procedure_codeable_concept.of("icd-10") {
                        json.put_object("procedureCodeableConcept", |json| one_coding(json, code));
                    }
                });
            }
        });
    }
}

/// `hospitalization`: home health has no end, hospice counts its periods.
fn stay(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>) {
    let Some(stay) = facts.information("admissionperiod").and_then(|info| info.timing_period.as_ref()) else { return };
    json.put_object("hospitalization", |json| {
        if claim.kind == Kind::Hospice {
            json.put_list("extension", |json| copied(json, [facts.variable("bene_hospc_prd_cnt")]));
        }
        json.put_some("start", stay.start.as_deref());
        json.put_some("end", stay.end.as_deref().filter(|_| claim.kind != Kind::Hha));
    });
}

/// `benefitBalance`: v1 keeps only days and visits there.
fn balance(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>) {
    if claim.kind == Kind::Outpatient {
        return;
    }
    json.put_list("benefitBalance", |json| {
        json.object(|json| {
            let medical =
                Code(System::Url("http://hl7.org/fhir/benefit-category"), "medical", "Medical Health Coverage");
            json.concept("category", &[medical]);
            json.put_list("financial", |json| {
                let days = ["clm_utlztn_day_cnt", "bene_tot_coinsrnc_days_cnt", "clm_non_utlztn_days_cnt"];
                for balance in facts.balances() {
                    if let (Some(variable), Some(count)) = (balance.kind.coding.first(), balance.used_unsigned_int)
                        && days.contains(&tail(&variable.code))
                    {
                        json.object(|json| {
                            json.put_object("type", |json| one_coding(json, variable));
                            json.put("usedUnsignedInt", count);
                        });
                    }
                }
                let visits = facts.information("clm_hha_tot_visit_cnt").and_then(|info| info.value_quantity.as_ref());
                if let Some(visits) = visits.and_then(|visits| visits.value) {
                    json.object(|json| {
                        json.put_object("type", |json| {
                            let words = "Claim HHA Total Visit Count";
                            json.put_list("coding", |json| {
                                json.variable_code("benefit-balance", "clm_hha_tot_visit_cnt", words);
                            });
                        });
                        json.put("usedUnsignedInt", visits);
                    });
                }
            });
        });
    });
}

/// `"coding": [ … ]` of one HCPCS code.
pub(super) fn hcpcs(json: &mut Json<'_>, code: &str) {
    json.codings(&[Code(HCPCS, code, "")]);
}
