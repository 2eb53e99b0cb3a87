//! Claims of doctors (`carrier`) and of equipment suppliers (`dme`) in v1.

use super::super::facts::{Facts, Item, Member, named, tail};
use super::super::json::Json;
use super::super::parts::Cents;
use super::super::vocabulary::{System, US_NPI};
use super::super::{Claim, Kind};
use super::parts::{
    FIRST_MEMBER, amount, coding, copied, extension, is_about, money_extension, one_coding, priced, provider, quantity,
    reasoned, role,
};
use super::sections::{PRIMARY, diagnoses, drug_beside, information};

/// The version of the HCPCS codes, which v1 gives with each.
const HCPCS_VERSION: &str = "3";

/// Writes the inside of the resource.
pub(super) fn write(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>) {
    claim.head_v1(json);
    let referring = facts.member("referring");
    json.put_list("contained", |json| contained(json, claim, facts, referring));
    json.put_list("extension", |json| extensions(json, facts));
    claim.identity_v1(json, facts);
    json.period("billablePeriod", claim.start, claim.end);
    if referring.is_some() {
        json.put_object("referral", |json| json.put("reference", "#1"));
    }
    json.put("disposition", facts.disposition.as_str());
    information(json, facts, None);
    json.put_list("careTeam", |json| care_team(json, facts));
    diagnoses(json, facts);
    claim.insurance_v1(json, facts);
    json.put_list("item", |json| {
        facts.item.iter().for_each(|line| json.object(|json| item(json, claim, facts, line)));
    });
    json.put_object("payment", |json| amount(json, "amount", facts.payment.amount.as_ref()));
}

/// The referral (`#1`) and the laboratory value (`#2`), where the claim has them.
fn contained(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>, referring: Option<&Member<'_>>) {
    if let Some(referring) = referring {
        json.object(|json| {
            json.put("resourceType", "ReferralRequest");
            json.put("id", "1");
            json.put("status", "completed");
            json.put_object("subject", |json| json.put("reference", format_args!("Patient/-{}", claim.patient)));
            json.put_object("requester", |json| {
                json.put_object("agent", |json| provider(json, &referring.provider));
            });
            json.put_list("recipient", |json| json.object(|json| provider(json, &referring.provider)));
        });
    }
    for observation in facts.contained.iter().filter(|one| one.resource_type == "Observation") {
        json.object(|json| {
            json.put("resourceType", "Observation");
            json.put("id", "2");
            json.put("status", "unknown");
            json.put_object("code", |json| {
                json.put_list("coding", |json| observation.code.coding.iter().for_each(|one| coding(json, one)));
            });
            quantity(json, "valueQuantity", &observation.value_quantity);
        });
    }
}

/// What v2 has in extensions, and the sums that it has in `benefitBalance`.
fn extensions(json: &mut Json<'_>, facts: &Facts<'_>) {
    money_extension(json, "prpayamt", Cents(0));
    let variables = ["carr_num", "carr_clm_cntl_num", "carr_clm_pmt_dnl_cd", "asgmntcd", "clm_clncl_tril_num"];
    copied(json, variables.map(|name| facts.variable(name)));
    for balance in facts.balances() {
        if let (Some(variable), Some(money)) = (balance.kind.coding.first(), &balance.used_money) {
            money_extension(json, tail(&variable.code), money.value);
        }
    }
}

/// One member, who answers for all lines; the group they bill for is an extension of theirs.
fn care_team(json: &mut Json<'_>, facts: &Facts<'_>) {
    let Some(performing) = facts.member("performing") else { return };
    json.object(|json| {
        json.put_list("extension", |json| {
            performing.extension.iter().for_each(|one| extension(json, one));
            if let Some(group) = facts.member("primary") {
                json.object(|json| {
                    json.put("url", US_NPI);
                    json.put_object("valueCoding", |json| {
                        json.put("system", US_NPI);
                        json.put_some("code", group.provider.identifier.as_ref().map(|npi| npi.value.as_str()));
                        json.put_some("display", group.provider.display.as_deref());
                    });
                });
            }
        });
        json.put("sequence", FIRST_MEMBER);
        json.put_object("provider", |json| provider(json, &performing.provider));
        json.put("responsible", true);
        role(json, PRIMARY.0, PRIMARY.1);
        if let Some(specialty) = performing.qualification.of("prvdr_spclty") {
            json.put_object("qualification", |json| one_coding(json, specialty));
        }
    });
}

fn item(json: &mut Json<'_>, claim: &Claim, facts: &Facts<'_>, line: &Item<'_>) {
    json.put_list("extension", |json| {
        let known = ["suplrnum", "dmerc_line_scrn_svgs_amt", "dmerc_line_mtus_cnt", "carr_line_mtus_cd"]
            .into_iter()
            .chain(["carr_line_mtus_cnt", "betos_cd", "line_service_deductible"]);
        copied(json, known.map(|name| named(&line.extension, name)));
        // Only the line that the laboratory value belongs to has information of its own.
        if !line.information_sequence.is_empty() && !facts.contained.is_empty() {
            json.object(|json| {
                json.put("url", System::Variable("line_hct_hgb_rslt_num"));
                json.put_object("valueReference", |json| json.put("reference", "#2"));
            });
        }
        drug_beside(json, &line.product_or_service.extension);
    });
    json.put("sequence", line.sequence);
    json.put_list("careTeamLinkId", |json| json.item(FIRST_MEMBER));
    json.put_list("diagnosisLinkId", |json| line.diagnosis_sequence.iter().for_each(|&number| json.item(number)));
    if let Some(kind) = line.category.coding.first() {
        json.put_object("category", |json| one_coding(json, kind));
    }
    json.put_object("service", |json| hcpcs(json, line.product_or_service.coding.first().map(|one| one.code.as_str())));
    if !line.modifier.is_empty() {
        json.put_list("modifier", |json| {
            for modifier in &line.modifier {
                json.object(|json| hcpcs(json, modifier.coding.first().map(|one| one.code.as_str())));
            }
        });
    }
    json.period("servicedPeriod", claim.start, claim.end);
    json.put_object("locationCodeableConcept", |json| {
        let place = &line.location_codeable_concept;
        json.put_list("extension", |json| {
            place.extension.iter().for_each(|one| extension(json, one));
            let equipment = ["dmerc_line_prcng_state_cd", "dmerc_line_supplr_type_cd"];
            copied(json, equipment.map(|name| named(&line.extension, name)));
        });
        json.put_list("coding", |json| place.coding.iter().for_each(|one| coding(json, one)));
    });
    quantity(json, "quantity", &line.quantity);
    json.put_list("adjudication", |json| adjudications(json, claim, line));
}

fn hcpcs(json: &mut Json<'_>, code: Option<&str>) {
    json.put_list("coding", |json| {
        json.object(|json| {
            json.put("system", System::Bluebutton("hcpcs"));
            json.put("version", HCPCS_VERSION);
            json.put_some("code", code);
        });
    });
}

fn adjudications(json: &mut Json<'_>, claim: &Claim, line: &Item<'_>) {
    let reduced = line.adjudication.iter().find_map(|one| one.reason.as_ref()?.coding.first());
    if let (Kind::Carrier, Some(reduced)) = (claim.kind, reduced) {
        let words = "Carrier Line Reduced Payment Physician Assistant Code";
        reasoned(json, "carr_line_rdcd_pmt_phys_astn_c", words, reduced);
    }
    // v2 mislabels a copy of an equipment line's payment as a revenue centre's; v1 has no such copy.
    let own = line.adjudication.iter().filter(|one| !is_about(one, "rev_cntr_prvdr_pmt_amt"));
    own.for_each(|one| priced(json, one, None));
    if let Some(processed) = named(&line.extension, "line_prcsg_ind_cd").and_then(|one| one.value_coding.as_ref()) {
        reasoned(json, "line_prcsg_ind_cd", "Line Processing Indicator Code", processed);
    }
}
