//! The supporting information about a stay in an institution.

use super::super::datetime::days_after;
use super::super::{Claim, Kind};
use super::{Info, InfoValue};
use crate::rng::Rng;

/// Admission, discharge, bill, and what only one type of institution has.
pub(super) fn information(claim: &Claim, rng: &mut Rng) -> Vec<(Info, InfoValue)> {
    use InfoValue::{Code, Count, Date, Period, Pints};
    const PROSPECTIVE: (Info, InfoValue) = (Info::PaymentSystem, Code("2", "PPS bill; claim contains PPS indicator"));
    let kind = claim.kind;
    let is_stay = matches!(kind, Kind::Inpatient | Kind::Snf);
    let mut information = Vec::with_capacity(16);
    information.push((Info::Received, Date(claim.processed())));
    if is_stay {
        information.push((Info::PatientStatus, Code("A", "Discharged")));
    } else if kind == Kind::Hospice {
        information.push((Info::PatientStatus, Code("C", "Still a patient")));
    }
    if kind != Kind::Outpatient {
        information.push((Info::AdmissionPeriod, Period(claim.start, claim.end)));
    }
    if is_stay {
        let (code, words) = *rng.pick(&[("1", "Emergency"), ("2", "Urgent"), ("3", "Elective")]);
        let group = *rng.pick(&["470", "291", "871", "194", "690", "392"]);
        information.extend([
            (Info::AdmissionType, Code(code, words)),
            (Info::AdmissionSource, Code("1", "")),
            (Info::RelatedGroup, Code(group, "")),
            (Info::BloodPints, Pints(rng.below(3))),
        ]);
    }
    if kind == Kind::Snf {
        information.extend([
            (Info::QualifiedStay, Period(claim.start, days_after(claim.start, 3))),
            (Info::BenefitsExhausted, Date(claim.end)),
            PROSPECTIVE,
        ]);
    }
    if is_stay || kind == Kind::Outpatient {
        information.push((Info::ManagedCarePaid, Code("0", "No managed care organization (MCO) payment")));
    }
    let (code, words) = match kind {
        Kind::Hha | Kind::Hospice => ("30", "Still patient."),
        _ => ("01", "Discharged to home/self-care (routine charge)."),
    };
    information.extend([
        (Info::BillFrequency, Code("1", "Admit thru discharge claim")),
        (Info::DischargeStatus, Code(code, words)),
    ]);
    if rng.percent(15) {
        let words = "Employer group health plan (EGHP) insurance for an aged beneficiary";
        information.push((Info::PrimaryPayer, Code("A", words)));
    }
    if kind == Kind::Hha {
        information.extend([
            PROSPECTIVE,
            (Info::LowUtilization, Code("L", "Low utilization payment adjustment (LUPA) claim")),
            (Info::Referral, Code("1", "Physician referral")),
            (Info::Visits, Count(rng.between(2, 40))),
        ]);
    }
    information
}
