//! Claims, people and coverage in the form of API v3 (FHIR R4, CARIN Blue Button 2.2).
//!
//! v3 has other ids than v1 and v2, other code systems, and other places for the same facts. It also shows claims
//! that Medicare has not finished.

mod amounts;
mod information;
mod lines;
mod parts;
mod person;
mod prior;
#[cfg(test)]
mod tests;

use super::datetime::FhirInstant;
use super::json::Json;
use super::row::{ClaimRow, Details, DiagnosisKind, Institutional};
use super::vocabulary::{Code, System};
use super::{Claim, Kind};
use crate::records::Marks;
use amounts::{HEADER, TOTALS};
use parts::{dollars, status_of_benefit};

/// How far Medicare has processed what v3 shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Paid or denied. v1 and v2 show these too.
    Adjudicated,
    /// Still being processed.
    Partial,
    /// Requested, but not done yet.
    PriorAuthorization,
}

const HISTORY: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/System-Type", "NationalClaimsHistory");
const SHARED: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/System-Type", "SharedSystem");
const DRUGS: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/System-Type", "DDPS");
const FINAL: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/Final-Action", "FinalAction");
const NOT_FINAL: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/Final-Action", "NotFinalAction");
/// CMS's name for itself.
const INSURER: &str = "Centers for Medicare and Medicaid Services";

impl Claim {
    /// What a search needs to know. Nothing is written for it.
    pub(crate) fn marks_v3(&self, stage: Stage) -> Marks {
        let (source, tags): (_, &[_]) = match (stage, self.kind) {
            (Stage::PriorAuthorization, _) => ("CWF", &[SHARED]),
            (Stage::Adjudicated, Kind::Pde) => ("DDPS", &[DRUGS, FINAL]),
            (Stage::Partial, Kind::Pde) => ("DDPS", &[DRUGS, NOT_FINAL]),
            (Stage::Adjudicated, _) => ("NCH", &[HISTORY, FINAL]),
            (Stage::Partial, Kind::Carrier) => ("MCS", &[SHARED, NOT_FINAL]),
            (Stage::Partial, Kind::Dme) => ("VMS", &[SHARED, NOT_FINAL]),
            (Stage::Partial, _) => ("FISS", &[SHARED, NOT_FINAL]),
        };
        let samhsa = self.kind != Kind::Pde && self.rng.clone().below(1000) < 30;
        Marks { source, samhsa, tags }
    }

    /// Whether this drug event has been deleted by the plan that reported it.
    fn is_deleted(&self) -> bool {
        self.kind == Kind::Pde && self.rng.clone().below(1000) >= 980
    }

    /// Appends the v3 ExplanationOfBenefit as compact JSON, with the same text at every request. `id` and `patient`
    /// are the ids of the claim and of the Patient at v3.
    pub(crate) fn write_v3(&self, stage: Stage, id: &str, patient: &str, out: &mut String) {
        let row = ClaimRow::of(self);
        let mut json = Json::new(out);
        json.whole_amounts = row.whole_amounts;
        if stage == Stage::PriorAuthorization {
            return json.object(|json| prior::write(json, &row, id, patient));
        }
        json.object(|json| {
            let marks = self.marks_v3(stage);
            self.head_v3(json, id, &marks);
            self.contained_v3(json, &row);
            json.put_list("identifier", |json| {
                json.object(|json| {
                    json.concept("type", &[Code(System::Carin("C4BBIdentifierType"), "uc", "Unique Claim ID")]);
                    json.put("value", id);
                });
                json.object(|json| {
                    json.put("system", "https://bluebutton.cms.gov/identifiers/CLM-CNTL-NUM");
                    json.put(
                        "value",
                        format_args!("{:014}{}", self.number % 100_000_000_000_000, &CONTROL[self.place(7)]),
                    );
                });
            });
            json.put("status", "active");
            self.type_v3(json, stage);
            json.put("use", "claim");
            json.put_object("patient", |json| json.put("reference", format_args!("Patient/{patient}")));
            json.period("billablePeriod", self.start, self.end);
            json.put("created", FhirInstant { at: self.effective(), eastern: false, milliseconds: false });
            if self.kind != Kind::Pde {
                json.put_object("insurer", |json| json.put("reference", "#insurer-org"));
            }
            json.put_object("provider", |json| json.put("reference", format_args!("#{}", biller(&row))));
            json.put("outcome", if stage == Stage::Partial { "partial" } else { "complete" });
            json.put_list("careTeam", |json| {
                (1..).zip(row.care_team()).for_each(|(sequence, one)| parts::member(json, sequence, one));
            });
            json.put_list("supportingInfo", |json| information::write(json, &row, stage));
            diagnoses(json, &row);
            procedures(json, &row);
            json.put_list("insurance", |json| {
                json.object(|json| {
                    json.put("focal", true);
                    json.put_object("coverage", |json| json.put("display", part(self.kind)));
                });
            });
            lines::items(json, &row);
            json.put_list("adjudication", |json| {
                status_of_benefit(json);
                let of_kind = HEADER.iter().filter(|amount| amount.kinds.include(self.kind));
                of_kind.for_each(|amount| amount.write(json, |column| row.figure(column)));
            });
            json.put_list("total", |json| {
                let of_kind = TOTALS.iter().filter(|amount| amount.kinds.include(self.kind));
                // A drug event has one line, and its totals are those of the line.
                let line = row.lines.first().filter(|_| self.kind == Kind::Pde);
                let figure = |column| line.map_or_else(|| row.figure(column), |line| line.amount(column));
                of_kind.for_each(|amount| amount.write(json, figure));
            });
            json.put_object("payment", |json| match self.kind {
                Kind::Pde => json.put("date", self.processed()),
                _ => dollars(json, "amount", row.paid),
            });
        });
    }

    fn place(&self, below: u64) -> usize {
        usize::try_from(self.number % below).unwrap_or(0)
    }

    /// When the claim took effect, v3's `created`: midnight of the day on which it was processed.
    fn effective(&self) -> jiff::Timestamp {
        jiff::tz::Offset::UTC.to_timestamp(self.processed().at(0, 0, 0, 0)).unwrap_or(self.last_updated)
    }

    fn head_v3(&self, json: &mut Json<'_>, id: &str, marks: &Marks) {
        json.put("resourceType", "ExplanationOfBenefit");
        json.put("id", id);
        let profile = match self.kind {
            Kind::Pde => "Pharmacy",
            Kind::Carrier | Kind::Dme => "Professional-NonClinician",
            Kind::Inpatient | Kind::Snf => "Inpatient-Institutional",
            Kind::Outpatient | Kind::Hha | Kind::Hospice => "Outpatient-Institutional",
        };
        json.put_object("meta", |json| {
            json.put("lastUpdated", FhirInstant { at: self.last_updated, eastern: false, milliseconds: true });
            json.put("source", marks.source);
            json.put_list("profile", |json| {
                json.item(format_args!(
                    "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-{profile}|2.2.0"
                ));
            });
            if marks.samhsa {
                json.put_list("security", |json| {
                    json.coding(Code(System::Terminology("v3-ActCode"), "42CFRPart2", "42 CFR Part2"));
                });
            }
            json.put_list("tag", |json| {
                for &(system, code) in marks.tags {
                    json.coding(Code(System::Url(system), code, ""));
                }
            });
        });
    }

    /// CMS's number, FHIR's and Blue Button's names. Home health has FHIR's `institutional` here.
    fn type_v3(&self, json: &mut Json<'_>, stage: Stage) {
        let (fhir, sub) = match self.kind {
            Kind::Pde => ("pharmacy", None),
            Kind::Carrier | Kind::Dme => ("professional", None),
            Kind::Inpatient | Kind::Snf => ("institutional", Some("inpatient")),
            Kind::Outpatient | Kind::Hha | Kind::Hospice => ("institutional", Some("outpatient")),
        };
        json.put_object("type", |json| {
            json.put_list("coding", |json| {
                let (number, words) = self.claim_type_v3(stage == Stage::Partial);
                json.coding(Code(System::Fhir("CLM-TYPE-CD"), number, words));
                json.coding(Code(System::Terminology("claim-type"), fhir, ""));
                json.coding(Code(System::Fhir("EOB-TYPE"), self.kind.eob_type(), eob_type(self.kind)));
            });
        });
        if let Some(sub) = sub {
            json.concept("subType", &[Code(System::Carin("C4BBInstitutionalClaimSubType"), sub, "")]);
        }
    }

    /// CMS's number for the type, and its text. Claims that are still being processed have another number.
    fn claim_type_v3(&self, is_partial: bool) -> (&'static str, &'static str) {
        match (self.kind, is_partial) {
            (Kind::Carrier, false) => ("71", "MEDICARE PART B PROFESSIONAL PHYSICIAN/SUPPLIER CLAIM (NON-DMEPOS)"),
            (Kind::Carrier, true) => ("2700", "PROFESSIONAL MEDICARE SS CARRIER"),
            (Kind::Dme, false) => ("82", "MEDICARE PART B DME REGIONAL CARRIER (DMERC); DMEPOS CLAIM"),
            (Kind::Dme, true) => ("2800", "DME MEDICARE SS DME"),
            (Kind::Hha, false) => ("10", "HOME HEALTH AGENCY (HHA) CLAIM"),
            (Kind::Hha, true) => ("1032", "032X MEDICARE SS HOME HEALTH"),
            (Kind::Hospice, false) => ("50", "HOSPICE CLAIM"),
            (Kind::Hospice, true) => ("1081", "081X MEDICARE SS HOSPICE"),
            (Kind::Inpatient, false) => ("60", "INPATIENT CLAIM"),
            (Kind::Inpatient, true) => ("1011", "011X MEDICARE SS HOSPITAL INPATIENT"),
            (Kind::Outpatient, false) => ("40", "HOSPITAL OUTPATIENT CLAIM"),
            (Kind::Outpatient, true) => ("1013", "013X MEDICARE SS HOSPITAL OUTPATIENT"),
            (Kind::Snf, false) => ("20", "NON SWING BED SKILLED NURSING FACILITY (SNF) CLAIM"),
            (Kind::Snf, true) => ("1021", "021X MEDICARE SS SNF INPATIENT"),
            (Kind::Pde, false) if self.is_deleted() => ("3", "MEDICARE PART D DELETED CLAIM"),
            (Kind::Pde, _) => ("1", "MEDICARE PART D ORIGINAL CLAIM"),
        }
    }

    /// The insurer, the biller, and the measured value.
    fn contained_v3(&self, json: &mut Json<'_>, row: &ClaimRow<'_>) {
        json.put_list("contained", |json| {
            if self.kind != Kind::Pde {
                parts::insurer(json);
            }
            parts::organization(json, biller(row), biller_name(row).as_str());
            if let Details::Professional(bill) = &row.details
                && let Some(hemoglobin) = bill.hemoglobin
            {
                parts::observation(json, hemoglobin, self.number);
            }
        });
    }
}

const CONTROL: [&str; 7] = ["RIF", "JHV", "BIX", "RYL", "SAG", "WDP", "KQT"];

/// The National Provider Identifier of the biller.
fn biller(row: &ClaimRow<'_>) -> u64 {
    match &row.details {
        Details::Institutional(Institutional { organization: Some(organization), .. }) => organization.npi,
        _ => row.performer.npi,
    }
}

fn biller_name(row: &ClaimRow<'_>) -> String {
    match (&row.details, row.performer.name) {
        (Details::Institutional(Institutional { organization: Some(organization), .. }), _) => organization.name.into(),
        (_, Some((given, family))) => format!("Dr. {given} {family}"),
        _ => "Provider Group".into(),
    }
}

fn diagnoses(json: &mut Json<'_>, row: &ClaimRow<'_>) {
    if row.diagnoses.is_empty() {
        return;
    }
    json.put_list("diagnosis", |json| {
        for (sequence, diagnosis) in (1..).zip(&row.diagnoses) {
            json.object(|json| {
                json.put("sequence", sequence);
                let system = System::Url("http://hl7.org/fhir/sid/icd-10-cm");
                json.concept("diagnosisCodeableConcept", &[Code(system, diagnosis.code, "")]);
                let kind = match diagnosis.kind {
                    DiagnosisKind::Principal => Code(System::Terminology("ex-diagnosistype"), "principal", ""),
                    DiagnosisKind::Secondary => Code(System::Carin("C4BBClaimDiagnosisType"), "secondary", ""),
                    DiagnosisKind::Admitting | DiagnosisKind::Other => {
                        Code(System::Carin("C4BBClaimDiagnosisType"), "other", "")
                    }
                };
                json.put_list("type", |json| json.object(|json| json.codings(&[kind])));
                if let Details::Institutional(_) = row.details {
                    const PRESENT: &str =
                        "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/HospitalAcqCond/Coding";
                    json.concept("onAdmission", &[Code(System::Url(PRESENT), "Y", "")]);
                }
            });
        }
    });
}

fn procedures(json: &mut Json<'_>, row: &ClaimRow<'_>) {
    let Details::Institutional(Institutional { procedures, .. }) = &row.details else { return };
    if procedures.is_empty() {
        return;
    }
    json.put_list("procedure", |json| {
        for (sequence, (code, _)) in (1..).zip(procedures) {
            json.object(|json| {
                json.put("sequence", sequence);
                json.put_list("type", |json| {
                    let word = if sequence == 1 { "principal" } else { "other" };
                    json.object(|json| json.codings(&[Code(System::Carin("C4BBClaimProcedureType"), word, "")]));
                });
                json.put("date", row.claim.start);
                let system = System::Url("http://www.cms.gov/Medicare/Coding/ICD10");
                json.concept("procedureCodeableConcept", &[Code(system, code, "")]);
            });
        }
    });
}

/// The part of Medicare that pays.
fn part(kind: Kind) -> &'static str {
    match kind {
        Kind::Pde => "Part D",
        Kind::Carrier | Kind::Dme => "Part B",
        _ => "Part A",
    }
}

fn eob_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Carrier => "Professional Physician/Supplier Claim",
        Kind::Dme => "Durable Medical Equipment Claim",
        Kind::Hha => "Home Health Care",
        Kind::Hospice => "Hospice Care",
        Kind::Inpatient => "Inpatient Hospital Care",
        Kind::Outpatient => "Outpatient Hospital Care",
        Kind::Snf => "Skilled Nursing Facility Care",
        Kind::Pde => "Drug Plan Event",
    }
}
