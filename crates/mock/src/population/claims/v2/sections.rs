//! The lists that several types of claims share, and the adjudications.

use super::super::json::{Digits, Json};
use super::super::parts::Provider;
use super::super::row::{ClaimRow, Column, DiagnosisKind, Figure, Line, Role};
use super::super::vocabulary::{Code, INFO, System};

/// The role of a member of the care team.
pub(super) fn role(role: Role) -> Code<'static> {
    let (code, words) = match role {
        Role::Performing => ("performing", "Performing provider"),
        Role::Referring => ("referring", "Referring"),
        Role::Attending => ("attending", "Attending"),
        Role::Operating => ("operating", "Operating"),
        Role::OtherOperating => ("otheroperating", "Other Operating"),
        Role::Prescribing => ("prescribing", "Prescribing provider"),
    };
    Code(System::Carin("C4BBClaimCareTeamRole"), code, words)
}

/// The number of the one who performed or prescribed. Lines refer to it.
pub(super) fn performing(row: &ClaimRow<'_>) -> u64 {
    row.care_team().count() as u64
}

/// A member of `careTeam`.
pub(super) fn member(json: &mut Json<'_>, sequence: u64, (kind, provider): (Role, &Provider)) {
    json.object(|json| {
        json.put("sequence", sequence);
        json.put_object("provider", |json| named(json, provider));
        json.concept("role", &[role(kind)]);
        json.concept("qualification", &[provider.specialty.taxonomy()]);
    });
}

/// `identifier` and `display` of a provider.
pub(super) fn named(json: &mut Json<'_>, provider: &Provider) {
    json.npi(provider.npi);
    json.provider_name(provider);
}

/// `careTeam`.
pub(super) fn care_team(json: &mut Json<'_>, row: &ClaimRow<'_>) {
    json.put_list("careTeam", |json| {
        (1..).zip(row.care_team()).for_each(|(sequence, one)| member(json, sequence, one));
    });
}

/// `supportingInfo`.
pub(super) fn supporting_info(json: &mut Json<'_>, row: &ClaimRow<'_>) {
    json.put_list("supportingInfo", |json| {
        for (sequence, (info, value)) in (1..).zip(&row.information) {
            json.object(|json| {
                json.put("sequence", sequence);
                json.put_object("category", |json| {
                    json.put_list("coding", |json| {
                        let carin = |(code, words)| Code(System::Carin("C4BBSupportingInfoType"), code, words);
                        json.coding(info.carin().map_or(INFO, carin));
                        if info.is_variable_in_v2() {
                            let (variable, words) = info.variable();
                            json.variable_code("information", variable, words);
                        }
                    });
                });
                json.information_value(*info, *value);
            });
        }
    });
}

/// `diagnosis`: the server gives every code in both systems.
pub(super) fn diagnoses(json: &mut Json<'_>, row: &ClaimRow<'_>) {
    json.put_list("diagnosis", |json| {
        for (sequence, diagnosis) in (1..).zip(&row.diagnoses) {
            json.object(|json| {
                json.at_admission(diagnosis);
                json.put("sequence", sequence);
                let systems = ["http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10"];
                let codes = systems.map(|system| Code(System::Url(system), diagnosis.code, diagnosis.words));
                json.concept("diagnosisCodeableConcept", &codes);
                const FHIR: System<'static> = System::Terminology("ex-diagnosistype");
                const CARIN: System<'static> = System::Carin("C4BBClaimDiagnosisType");
                let kind = match diagnosis.kind {
                    DiagnosisKind::Admitting => Code(FHIR, "admitting", "Admitting Diagnosis"),
                    DiagnosisKind::Principal => Code(FHIR, "principal", "Principal Diagnosis"),
                    DiagnosisKind::Secondary => Code(CARIN, "secondary", "Secondary"),
                    DiagnosisKind::Other => Code(CARIN, "other", "Other"),
                };
                json.put_list("type", |json| json.object(|json| json.codings(&[kind])));
            });
        }
    });
}

/// The amounts of a line: CARIN's name for each, CMS's variable, the amount.
pub(super) fn amounts(json: &mut Json<'_>, line: &Line) {
    for &(column, amount) in &line.amounts {
        json.object(|json| {
            json.share_paid(column);
            json.put_object("category", |json| {
                json.put_list("coding", |json| {
                    if let Some(category) = column.category() {
                        json.coding(category);
                    }
                    json.adjudication_code(column.variable());
                });
            });
            json.money("amount", amount);
        });
    }
}

/// An adjudication with a reason instead of an amount.
pub(super) fn denial(json: &mut Json<'_>, reason: Code<'_>) {
    json.object(|json| {
        let category = Code(System::Carin("C4BBAdjudicationDiscriminator"), "denialreason", "Denial Reason");
        json.concept("category", &[category]);
        json.concept("reason", &[reason]);
    });
}

/// `total`, `payment` and `benefitBalance`.
pub(super) fn sums(json: &mut Json<'_>, row: &ClaimRow<'_>, category: Code<'_>) {
    json.put_list("total", |json| {
        json.object(|json| {
            json.put_object("category", |json| {
                json.put_list("coding", |json| {
                    json.coding(category);
                    json.adjudication_code(Column::ClmTotChrgAmt.variable());
                });
            });
            json.money("amount", row.charge);
        });
    });
    json.put_object("payment", |json| json.money("amount", row.paid));
    json.put_list("benefitBalance", |json| {
        json.object(|json| {
            json.concept("category", &[Code(System::Terminology("ex-benefitcategory"), "1", "Medical Care")]);
            json.put_list("financial", |json| row.figures.iter().for_each(|one| financial(json, *one)));
        });
    });
}

fn financial(json: &mut Json<'_>, (column, figure): (Column, Figure)) {
    json.object(|json| {
        json.put_object("type", |json| json.put_list("coding", |json| json.balance_code(column)));
        match figure {
            Figure::Money(amount) => json.money("usedMoney", amount),
            Figure::Count(count) => json.put("usedUnsignedInt", count),
        }
    });
}

/// The NPI of the biller.
pub(super) fn biller(json: &mut Json<'_>, system: System<'_>, npi: u64) {
    json.put_object("identifier", |json| {
        json.put("system", system);
        json.put("value", Digits(npi, 10));
    });
}
