//! Claims of institutions in v1: hospital (in and out), nursing facility, home health, hospice.

use super::super::Kind;
use super::super::json::{Digits, Json};
use super::super::row::{ClaimRow, Column, Figure, Info, Institutional, Line, Organization, RevenueLine, Role};
use super::super::vocabulary::{Code, HCPCS, System, UNITS};
use super::parts::{FIRST_MEMBER, amounts, dollars, money_extension, npi, reasoned};
use super::sections::{PRIMARY, diagnoses, information, member};

/// Writes the members of the resource.
pub(super) fn write(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Institutional) {
    let claim = row.claim;
    claim.head_v1(json);
    json.put_list("extension", |json| extensions(json, row, bill));
    row.identity_v1(json);
    json.put_object("billablePeriod", |json| {
        if matches!(claim.kind, Kind::Inpatient | Kind::Outpatient | Kind::Snf) {
            json.final_bill();
        }
        json.put("start", claim.start);
        json.put("end", claim.end);
    });
    if let Some(organization) = bill.organization {
        // With CMS's own number, and then with the national one.
        json.put_object("provider", |json| {
            json.put_object("identifier", |json| {
                json.put("system", System::Variable("prvdr_num"));
                json.put("value", Digits(organization.number, 6));
            });
        });
        json.put_object("organization", |json| known_by_npi(json, organization));
    }
    json.put_object("facility", |json| {
        json.facility_kind(claim.kind);
        if let Some(organization) = bill.organization {
            known_by_npi(json, organization);
        }
    });
    information(json, row, None);
    json.put_list("careTeam", |json| care_team(json, row));
    diagnoses(json, row);
    let procedures = bill.outpatient_procedure.iter().chain(&bill.procedures);
    if procedures.clone().next().is_some() {
        json.put_list("procedure", |json| {
            for (sequence, (code, words)) in (1..).zip(procedures) {
                json.object(|json| {
                    json.put("sequence", sequence);
                    json.put("date", format_args!("{}T00:00:00+00:00", claim.start));
                    let system = System::Url("http://hl7.org/fhir/sid/icd-10");
                    json.concept("procedureCodeableConcept", &[Code(system, code, words)]);
                });
            }
        });
    }
    claim.insurance_v1(json, |_| ());
    if claim.kind != Kind::Outpatient {
        json.put_object("hospitalization", |json| {
            if let Some(periods) = bill.hospice_periods {
                json.put_list("extension", |json| json.hospice_periods(periods));
            }
            json.put("start", claim.start);
            json.put_some("end", (claim.kind != Kind::Hha).then_some(claim.end));
        });
    }
    json.put_list("item", |json| {
        for (line, details) in row.lines.iter().zip(&bill.lines) {
            json.object(|json| item(json, row, bill, (line, details)));
        }
    });
    dollars(json, "totalCost", row.charge);
    json.put_object("payment", |json| dollars(json, "amount", row.paid));
    if claim.kind != Kind::Outpatient {
        balance(json, row);
    }
}

/// The sums that v2 has in `benefitBalance`, and what v2 has in extensions too.
fn extensions(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Institutional) {
    for column in [Column::ImeOpClmValAmt, Column::DshOpClmValAmt, Column::ClmUncompdCarePmtAmt] {
        if let Some(amount) = row.figure(column) {
            money_extension(json, column, amount);
        }
    }
    for (column, figure) in row.figures.iter().filter(|(column, _)| *column != Column::Prpayamt) {
        if let Figure::Money(amount) = figure {
            money_extension(json, *column, *amount);
        }
    }
    json.payment_requested();
    if let Some(primary_payer) = row.figure(Column::Prpayamt) {
        money_extension(json, Column::Prpayamt, primary_payer);
    }
    // This is a coding in v2 and an identifier in v1.
    json.variable_identifier("fi_num", bill.contractor);
    json.control_number(bill);
    json.variable_identifier("fi_orig_clm_cntl_num", Digits(bill.original_control, 14));
}

fn known_by_npi(json: &mut Json<'_>, organization: Organization) {
    npi(json, organization.npi);
    json.put("display", organization.name);
}

fn care_team(json: &mut Json<'_>, row: &ClaimRow<'_>) {
    let roles = [
        (Role::Operating, ("assist", "Assisting Provider")),
        (Role::OtherOperating, ("other", "Other")),
        (Role::Attending, PRIMARY),
        (Role::Performing, PRIMARY),
    ];
    let members = roles.into_iter().filter_map(|(role, words)| {
        row.care_team().find(|(found, _)| *found == role).map(|(_, provider)| (provider, words))
    });
    (FIRST_MEMBER..).zip(members).for_each(|(sequence, (provider, words))| member(json, sequence, provider, words));
}

/// `benefitBalance`: v1 keeps only days and visits there.
fn balance(json: &mut Json<'_>, row: &ClaimRow<'_>) {
    let days = [Column::ClmUtlztnDayCnt, Column::BeneTotCoinsrncDaysCnt, Column::ClmNonUtlztnDaysCnt];
    let days = row.figures.iter().filter(|(column, _)| days.contains(column)).copied();
    let visits = row.count(Info::Visits).map(|visits| (Column::ClmHhaTotVisitCnt, Figure::Count(visits)));
    json.put_list("benefitBalance", |json| {
        json.object(|json| {
            let medical =
                Code(System::Url("http://hl7.org/fhir/benefit-category"), "medical", "Medical Health Coverage");
            json.concept("category", &[medical]);
            json.put_list("financial", |json| {
                for (column, count) in days.chain(visits) {
                    json.object(|json| {
                        json.put_object("type", |json| json.put_list("coding", |json| json.balance_code(column)));
                        json.put("usedUnsignedInt", count);
                    });
                }
            });
        });
    });
}

fn item(json: &mut Json<'_>, row: &ClaimRow<'_>, bill: &Institutional, (line, details): (&Line, &RevenueLine)) {
    let kind = row.claim.kind;
    let counts_drugs = Institutional::counts_drugs(kind);
    if details.has_drug || counts_drugs {
        json.put_list("extension", |json| {
            json.object(|json| {
                json.put("url", System::Variable("rev_cntr_ndc_qty"));
                json.put_object("valueQuantity", |json| {
                    json.put("value", if counts_drugs { line.units } else { 1 });
                    json.put("unit", "Milliliter");
                    json.put("system", UNITS);
                    json.put("code", "ML");
                });
            });
        });
    }
    json.put("sequence", line.sequence);
    // The performer comes last.
    json.put_list("careTeamLinkId", |json| json.item(FIRST_MEMBER + bill.others.len() as u64));
    json.put_object("revenue", |json| revenue_center(json, kind, details));
    if let Some(code) = line.code {
        json.put_object("service", |json| {
            if details.has_drug {
                json.put_list("extension", |json| json.variable("rev_cntr_ide_ndc_upc_num", RevenueLine::DRUG, ""));
            }
            json.codings(&[Code(HCPCS, code, "")]);
        });
    }
    let modifiers = line.modifier.into_iter().chain(details.has_v1_modifier.then_some("59"));
    if modifiers.clone().next().is_some() {
        json.put_list("modifier", |json| {
            modifiers.for_each(|code| json.object(|json| json.codings(&[Code(HCPCS, code, "")])));
        });
    }
    if line.code.is_some() && matches!(kind, Kind::Outpatient | Kind::Hha | Kind::Hospice) {
        json.put("servicedDate", row.claim.start);
    }
    json.put_object("locationAddress", |json| json.put("state", bill.state));
    json.put_object("quantity", |json| json.put("value", line.units));
    json.put_list("adjudication", |json| {
        // Outpatient lines always say why less was allowed than charged: the fee schedule.
        if let Some(reason) = line.reduction(matches!(kind, Kind::Outpatient | Kind::Hha)) {
            reasoned(json, "Revenue Center 1st ANSI Code", reason);
        }
        amounts(json, line);
    });
}

fn revenue_center(json: &mut Json<'_>, kind: Kind, details: &RevenueLine) {
    let has_deductible = RevenueLine::has_deductible(kind);
    if has_deductible || RevenueLine::has_fee_schedule(kind) {
        json.put_list("extension", |json| {
            if RevenueLine::has_fee_schedule(kind) {
                json.fee_schedule();
            }
            if has_deductible {
                let Code(system, code, words) = RevenueLine::DEDUCTIBLE;
                json.extension(system, code, words);
            }
        });
    }
    json.codings(&[details.center()]);
}
