//! Claims of doctors (`carrier`) and of equipment suppliers (`dme`).

use jiff::Timestamp;

use super::json::{Digits, Json};
use super::lines::{self, Line};
use super::parts::{Cents, Provider};
use super::sections::{CareTeam, SupportingInfo, benefit_balance, used_money};
use super::tables::{EQUIPMENT, ORGANIZATIONS, PLACES, SERVICES, STATES, Service, State, diagnosis};
use super::vocabulary::{
    BENEFIT, COINSURANCE, Code, DEDUCTIBLE, ELIGIBLE, HCPCS, INFO, NDC, PAID_TO_PATIENT, PAID_TO_PROVIDER, PRIOR_PAYER,
    REFERRING, SUBMITTED, System, US_NPI,
};
use super::{Claim, Kind, near_line_record, types};
use crate::rng::Rng;

/// What a line needs to know of the claim around it.
struct Around<'c> {
    claim: &'c Claim,
    carrier: bool,
    diagnoses: u64,
    /// The number of the laboratory value in `supportingInfo`, if the claim has one.
    observation: Option<u64>,
    place: &'static (&'static str, &'static str),
    state: &'static State,
}

/// Writes the inside of the resource.
pub(super) fn write(json: &mut Json<'_>, claim: &Claim, created: Timestamp, rng: &mut Rng) {
    let carrier = claim.kind == Kind::Carrier;
    let services: Vec<(&Service, Line)> = (0..lines::count(rng, claim.kind))
        .map(|_| {
            let service = rng.pick(if carrier { SERVICES } else { EQUIPMENT });
            (service, Line::any(rng, service.charge))
        })
        .collect();
    let total = Line::total(&services.iter().map(|(_, line)| *line).collect::<Vec<_>>());
    // Equipment goes with a laboratory value more often than a visit does: oxygen and insulin need one.
    let observed = rng.percent(if carrier { 10 } else { 90 });
    let cancelled = rng.percent(3);

    // The server calls equipment claims institutional, profile and all.
    claim.head(json, if carrier { "Professional-NonClinician" } else { "Inpatient-Institutional" });
    if observed {
        json.put_list("contained", |json| json.object(|json| observation(json, rng)));
    }
    json.put_list("extension", |json| extensions(json, claim, rng, cancelled));
    json.put_list("identifier", |json| json.claim_identifiers("clm_id", claim.number, claim.group(rng)));
    claim.status(json, cancelled);
    if carrier {
        let words = "Local carrier non-durable medical equipment, prosthetics, orthotics, and supplies (DMEPOS) claim";
        types(json, claim.kind, ("71", words), "CARRIER");
    } else {
        types(json, claim.kind, ("82", "DMERC; DMEPOS claim"), "DME");
    }
    claim.patient(json);
    json.period("billablePeriod", claim.start, claim.end);
    claim.created(json, created);

    let performing = Provider::any(rng);
    let referring = Provider::any(rng);
    billing(json, rng, carrier, &performing);
    if !carrier || !rng.percent(15) {
        json.put_object("referral", |json| {
            json.npi(referring.npi);
            json.provider_name(&referring);
        });
    }
    json.put("outcome", "complete");
    json.put("disposition", if cancelled { "03" } else { "01" });
    json.put_list("careTeam", |json| {
        let mut team = CareTeam::new();
        team.add(json, &referring, REFERRING);
        team.add_performing(json, &performing, carrier);
        if carrier && rng.percent(40) {
            let name = *rng.pick(ORGANIZATIONS);
            team.add_organization(json, 9_000_000_000 + rng.below(1_000_000_000), name);
        }
    });
    let mut info = SupportingInfo::new();
    let mut observation = None;
    json.put_list("supportingInfo", |json| {
        info.add_received(json, claim.processed());
        if observed {
            let variable = ("line_hct_hgb_rslt_num", "Hematocrit / Hemoglobin Test Results");
            observation = Some(info.add(json, INFO, variable, |json| {
                json.put_object("valueReference", |json| json.put("reference", "#line-observation-1"));
            }));
        }
    });
    let diagnoses = rng.between(1, 4);
    let start = rng.next();
    json.put_list("diagnosis", |json| {
        for sequence in 1..=diagnoses {
            let kind = match sequence {
                1 => Code(System::Terminology("ex-diagnosistype"), "principal", "Principal Diagnosis"),
                _ => Code(System::Carin("C4BBClaimDiagnosisType"), "secondary", "Secondary"),
            };
            let (code, words) = diagnosis(start, sequence);
            json.object(|json| json.diagnosis(sequence, code, words, kind));
        }
    });
    claim.insurance(json, if carrier { 'b' } else { 'a' }, |_| ());
    let around = Around { claim, carrier, diagnoses, observation, place: rng.pick(PLACES), state: rng.pick(STATES) };
    json.put_list("item", |json| {
        for (sequence, (service, line)) in (1..).zip(&services) {
            json.object(|json| item(json, &around, rng, sequence, service, line));
        }
    });
    json.put_list("total", |json| {
        // Always 0 on these types, and not the charge: see the trap list of the server's mapping.
        json.adjudication(PRIOR_PAYER, "clm_tot_chrg_amt", "Claim Total Charge Amount", Cents(0));
    });
    json.put_object("payment", |json| json.money("amount", total.paid));
    benefit_balance(json, |json| balance(json, &total));
}

fn observation(json: &mut Json<'_>, rng: &mut Rng) {
    json.put("resourceType", "Observation");
    json.put("id", "line-observation-1");
    json.put("status", "unknown");
    json.concept("code", &[Code(System::Variable("line_hct_hgb_type_cd"), "R1", "Hemoglobin Test")]);
    json.put_object("valueQuantity", |json| json.put("value", Cents(rng.between(80, 170) * 10)));
}

fn extensions(json: &mut Json<'_>, claim: &Claim, rng: &mut Rng, cancelled: bool) {
    let (code, words) = near_line_record(claim.kind);
    json.variable("nch_near_line_rec_ident_cd", code, words);
    json.variable_identifier("carr_num", Digits(rng.between(1, 99_999), 5));
    json.variable_identifier("carr_clm_cntl_num", Digits(rng.below(100_000_000_000_000), 14));
    json.variable("carr_clm_pmt_dnl_cd", "1", "Physician/supplier");
    json.variable("asgmntcd", "A", "Assigned claim");
    json.variable_identifier("clm_clncl_tril_num", Digits(0, 1));
    let (code, words) = match (cancelled, rng.below(100)) {
        (true, _) => ("3", "Full credit"),
        (false, 0..=4) => ("5", "Replacement debit"),
        _ => ("1", "Original debit; void of original debit (If CLM_DISP_CD = 3, code 1 means voided original debit)"),
    };
    json.variable("carr_clm_entry_cd", code, words);
}

/// Who sent the bill. Most carrier claims do not say.
fn billing(json: &mut Json<'_>, rng: &mut Rng, carrier: bool, performing: &Provider) {
    if carrier && rng.percent(60) {
        return;
    }
    json.put_object("provider", |json| {
        if !carrier {
            json.put("type", "Practitioner");
        }
        json.put_object("identifier", |json| {
            json.put("system", if carrier { System::Variable("carr_clm_blg_npi_num") } else { US_NPI });
            json.put("value", Digits(performing.npi, 10));
        });
        if !carrier {
            json.provider_name(performing);
        }
    });
}

fn item(json: &mut Json<'_>, around: &Around<'_>, rng: &mut Rng, sequence: u64, service: &Service, line: &Line) {
    let units = rng.between(1, 3);
    json.put_list("extension", |json| {
        if around.carrier {
            json.variable_count("carr_line_mtus_cnt", units);
            json.variable("carr_line_mtus_cnt", "3", "");
            json.variable("carr_line_mtus_cd", "3", "Services");
        } else {
            equipment_extensions(json, rng, around.state.postal, units);
        }
        json.variable("betos_cd", service.betos.0, service.betos.1);
        if line.denied() {
            json.variable("line_prcsg_ind_cd", "N", "Medically unnecessary");
        } else {
            json.variable("line_prcsg_ind_cd", "A", "Allowed");
        }
        json.variable("line_service_deductible", "0", "Service Subject to Deductible");
    });
    json.put("sequence", sequence);
    json.put_list("careTeamSequence", |json| json.item(2));
    json.put_list("diagnosisSequence", |json| json.item(rng.between(1, around.diagnoses)));
    if let (1, Some(observation)) = (sequence, around.observation) {
        json.put_list("informationSequence", |json| json.item(observation));
    }
    json.concept("category", &[Code(System::Variable("line_cms_type_srvc_cd"), service.kind.0, service.kind.1)]);
    json.put_object("productOrService", |json| {
        if !around.carrier {
            json.put_list("extension", |json| {
                let Code(system, code, words) = Code(NDC, "99999090110", "Testing strips - BLOOD GLUCOSE STRIP");
                json.extension(system, code, words);
            });
        }
        json.codings(&[Code(HCPCS, service.hcpcs, "")]);
    });
    if !around.carrier || rng.percent(20) {
        modifier(json, rng);
    }
    json.period("servicedPeriod", around.claim.start, around.claim.end);
    json.put_object("locationCodeableConcept", |json| {
        json.put_list("extension", |json| location(json, around, rng));
        json.codings(&[Code(System::Variable("line_place_of_srvc_cd"), around.place.0, around.place.1)]);
    });
    json.put_object("quantity", |json| json.put("value", units));
    json.put_list("adjudication", |json| {
        if around.carrier {
            json.denial(Code(System::Variable("carr_line_rdcd_pmt_phys_astn_c"), "0", "N/A"));
        }
        adjudications(json, around.carrier, line);
    });
}

fn equipment_extensions(json: &mut Json<'_>, rng: &mut Rng, state: &str, units: u64) {
    json.variable_identifier("suplrnum", Digits(9_000_000_000 + rng.below(1_000_000_000), 10));
    json.object(|json| {
        json.put("url", System::Variable("dmerc_line_scrn_svgs_amt"));
        json.put_object("valueQuantity", |json| json.put("value", Cents(0)));
    });
    json.object(|json| {
        json.put("url", System::Variable("dmerc_line_mtus_cnt"));
        json.put_object("valueQuantity", |json| {
            json.put("value", Cents(units * 100));
            json.put("unit", "Number of services");
            json.put("system", System::Variable("dmerc_line_mtus_cd"));
            json.put("code", "3");
        });
    });
    json.variable("dmerc_line_prcng_state_cd", state, "");
    json.variable(
        "dmerc_line_supplr_type_cd",
        "3",
        "Suppliers (other than sole proprietorship) for whom employer identification (EI) numbers are used in coding the ID field.",
    );
}

fn modifier(json: &mut Json<'_>, rng: &mut Rng) {
    let codes: &[&str] = &["LT", "RT", "NU", "RR", "KX", "59"];
    json.put_list("modifier", |json| {
        json.object(|json| {
            json.put_list("coding", |json| {
                json.object(|json| {
                    json.put("system", HCPCS);
                    json.put("version", "3");
                    json.put("code", *rng.pick(codes));
                });
            });
        });
    });
}

fn location(json: &mut Json<'_>, around: &Around<'_>, rng: &mut Rng) {
    if around.carrier {
        json.variable("prvdr_state_cd", around.state.code, around.state.name);
        json.object(|json| {
            json.put("url", System::Variable("prvdr_zip"));
            json.put_object("valueCoding", |json| {
                json.put("system", System::Variable("prvdr_zip"));
                json.put("code", format_args!("{:05}{:04}", around.state.zip + rng.below(999), rng.below(10_000)));
            });
        });
        json.variable("carr_line_prcng_lclty_cd", "99", "");
    } else {
        json.variable("prvdr_state_cd", around.state.postal, "");
    }
}

fn adjudications(json: &mut Json<'_>, carrier: bool, line: &Line) {
    if !carrier {
        let words = "Revenue Center (Medicare) Provider Payment Amount";
        json.adjudication(PAID_TO_PROVIDER, "rev_cntr_prvdr_pmt_amt", words, line.paid);
        let words = "Line Primary Payer Allowed Charge Amount";
        json.adjudication(ELIGIBLE, "line_prmry_alowd_chrg_amt", words, Cents(0));
        json.adjudication(SUBMITTED, "line_dme_prchs_price_amt", "Line DME Purchase Price Amount", line.charge);
    }
    json.object(|json| {
        json.put_list("extension", |json| json.variable("line_pmt_80_100_cd", "0", "80%"));
        json.priced(BENEFIT, "line_nch_pmt_amt", "Line NCH Medicare Payment Amount", line.paid);
    });
    for (category, variable, words, amount) in [
        (PAID_TO_PATIENT, "line_bene_pmt_amt", "Line Payment Amount to Beneficiary", Cents(0)),
        (PAID_TO_PROVIDER, "line_prvdr_pmt_amt", "Line Provider Payment Amount", line.paid),
        (DEDUCTIBLE, "line_bene_ptb_ddctbl_amt", "Line Beneficiary Part B Deductible Amount", line.deductible),
        (PRIOR_PAYER, "line_bene_prmry_pyr_pd_amt", "Line Primary Payer (if not Medicare) Paid Amount", Cents(0)),
        (COINSURANCE, "line_coinsrnc_amt", "Line Beneficiary Coinsurance Amount", line.coinsurance),
        (SUBMITTED, "line_sbmtd_chrg_amt", "Line Submitted Charge Amount", line.charge),
        (ELIGIBLE, "line_alowd_chrg_amt", "Line Allowed Charge Amount", line.allowed),
    ] {
        json.adjudication(category, variable, words, amount);
    }
}

fn balance(json: &mut Json<'_>, total: &Line) {
    for (variable, words, amount) in [
        (
            "carr_clm_cash_ddctbl_apld_amt",
            "Carrier Claim Cash Deductible Applied Amount (sum of all line-level deductible amounts)",
            total.deductible,
        ),
        ("nch_clm_prvdr_pmt_amt", "NCH Claim Provider Payment Amount", total.paid),
        ("nch_clm_bene_pmt_amt", "NCH Claim Payment Amount to Beneficiary", Cents(0)),
        (
            "nch_carr_clm_sbmtd_chrg_amt",
            "NCH Carrier Claim Submitted Charge Amount (sum of all line-level submitted charges)",
            total.charge,
        ),
        (
            "nch_carr_clm_alowd_amt",
            "NCH Carrier Claim Allowed Charge Amount (sum of all line-level allowed charges)",
            total.allowed,
        ),
    ] {
        used_money(json, variable, words, amount);
    }
}
