//! The lists that several types of claims share: `information`, `diagnosis`, `careTeam` members.

use super::super::json::Json;
use super::super::parts::Provider;
use super::super::row::{ClaimRow, DiagnosisKind, Info};
use super::super::vocabulary::{Code, System};
use super::parts::{provider, role};

/// The entries of `information` in v1, in its order.
const INFORMATION: [Info; 20] = [
    Info::Received,
    Info::PatientStatus,
    Info::AdmissionType,
    Info::AdmissionSource,
    Info::BenefitsExhausted,
    Info::BloodPints,
    Info::QualifiedStay,
    Info::ManagedCarePaid,
    Info::BillFrequency,
    Info::DischargeStatus,
    Info::PrimaryPayer,
    Info::LowUtilization,
    Info::Referral,
    Info::DispenseAsWritten,
    Info::DrugCoverage,
    Info::AdjustmentDeletion,
    Info::PrescriptionOrigin,
    Info::BrandGeneric,
    Info::Residence,
    Info::Clarification,
];

/// The list `information`. `pharmacy` is the kind of pharmacy, which v1 repeats here.
pub(super) fn information(json: &mut Json<'_>, row: &ClaimRow<'_>, pharmacy: Option<Code<'_>>) {
    let found = INFORMATION.into_iter().filter_map(|info| Some((info, *row.info(info)?)));
    json.put_list("information", |json| {
        let mut sequence = 0;
        let mut entry = |json: &mut Json<'_>, (variable, words): (&str, &str), value: &dyn Fn(&mut Json<'_>)| {
            sequence += 1;
            json.object(|json| {
                json.put("sequence", sequence);
                json.put_object("category", |json| {
                    json.put_list("coding", |json| json.variable_code("information", variable, words));
                });
                value(json);
            });
        };
        found.for_each(|(info, value)| entry(json, info.variable(), &|json| json.information_value(info, value)));
        if let Some(kind) = pharmacy {
            let variable = ("phrmcy_srvc_type_cd", "Pharmacy service type code");
            entry(json, variable, &|json| json.concept("code", &[kind]));
        }
    });
}

/// The list `diagnosis`. v1 has the diagnosis related group of a stay here, before all others, and gives no kind for
/// secondary diagnoses.
pub(super) fn diagnoses(json: &mut Json<'_>, row: &ClaimRow<'_>) {
    let group = row.code(Info::RelatedGroup);
    json.put_list("diagnosis", |json| {
        if let Some(group) = group {
            json.object(|json| {
                json.put("sequence", 1);
                json.concept("packageCode", &[Code(System::Variable("clm_drg_cd"), group, "")]);
            });
        }
        let first = 1 + u64::from(group.is_some());
        for (sequence, diagnosis) in (first..).zip(&row.diagnoses) {
            json.object(|json| {
                json.at_admission(diagnosis);
                json.put("sequence", sequence);
                let system = System::Url("http://hl7.org/fhir/sid/icd-10");
                json.concept("diagnosisCodeableConcept", &[Code(system, diagnosis.code, diagnosis.words)]);
                let (code, words) = match diagnosis.kind {
                    DiagnosisKind::Principal => ("principal", "Principal Diagnosis"),
                    DiagnosisKind::Admitting => ("admitting", "Admitting Diagnosis"),
                    DiagnosisKind::Secondary | DiagnosisKind::Other => return,
                };
                json.put_list("type", |json| {
                    json.object(|json| json.codings(&[Code(System::Bluebutton("diagnosis-type"), code, words)]));
                });
            });
        }
    });
}

/// A member of the care team with only a number and a role.
pub(super) fn member(json: &mut Json<'_>, sequence: u64, member: &Provider, kind: (&str, &str)) {
    json.object(|json| {
        json.put("sequence", sequence);
        json.put_object("provider", |json| provider(json, member));
        role(json, kind);
    });
}

/// The role of the person who is responsible for the claim or a line of it.
pub(super) const PRIMARY: (&str, &str) = ("primary", "Primary provider");
