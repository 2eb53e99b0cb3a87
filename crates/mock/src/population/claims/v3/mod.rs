//! Claims, people and coverage in the shape of API v3 (FHIR R4, CARIN Blue Button 2.2).
//!
//! [`Claim::write_v3`] makes the v3 resource of the claim that [`Claim::write`] makes for v2, and
//! [`Person::patient_v3`] and its neighbours do so for people. Dates, codes, providers and amounts are the
//! same in both; v3 has other ids, other code systems and other places for them, and it shows claims that
//! Medicare has not finished with.
//!
//! [`Person::patient_v3`]: super::person::Person::patient_v3

mod amounts;
mod information;
mod lines;
mod parts;
mod person;
mod prior;
#[cfg(test)]
mod tests;

use super::datetime::FhirInstant;
use super::facts::{Diagnosis, Facts, Member};
use super::json::Json;
use super::vocabulary::{Code, System};
use super::{Claim, Kind};
use crate::records::Marks;
use amounts::{HEADER, TOTALS};
use parts::{dollars, status_of_benefit};

/// How far Medicare is with what v3 shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Paid or denied: what v1 and v2 show as well.
    Adjudicated,
    /// Still with one of the systems that work on it.
    Partial,
    /// Asked for, not yet done.
    PriorAuthorization,
}

const HISTORY: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/System-Type", "NationalClaimsHistory");
const SHARED: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/System-Type", "SharedSystem");
const DRUGS: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/System-Type", "DDPS");
const FINAL: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/Final-Action", "FinalAction");
const NOT_FINAL: (&str, &str) = ("https://bluebutton.cms.gov/fhir/CodeSystem/Final-Action", "NotFinalAction");
/// What CMS calls itself.
const INSURER: &str = "Centers for Medicare and Medicaid Services";

impl Claim {
    /// What a search needs to know; nothing is written for it.
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

    /// Appends the v3 ExplanationOfBenefit as compact JSON; the same text at every request. `id` and
    /// `patient` are its own and the Patient's id of v3.
    pub(crate) fn write_v3(&self, stage: Stage, id: &str, patient: &str, out: &mut String) {
        let tape = self.as_v2();
        let facts = Facts::of(&tape);
        let mut json = Json::new(out);
        if stage == Stage::PriorAuthorization {
            return json.object(|json| prior::write(json, self, &facts, id, patient));
        }
        json.object(|json| {
            let marks = self.marks_v3(stage);
            self.head_v3(json, id, &marks);
            self.contained_v3(json, &facts);
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
            parts::period(json, "billablePeriod", &facts.billable_period);
            json.put("created", FhirInstant { at: self.effective(), eastern: false, milliseconds: false });
            if self.kind != Kind::Pde {
                json.put_object("insurer", |json| json.put("reference", "#insurer-org"));
            }
            provider(json, &facts);
            json.put("outcome", if stage == Stage::Partial { "partial" } else { "complete" });
            care_team(json, &facts, self.kind);
            json.put_list("supportingInfo", |json| information::write(json, self, &facts, stage));
            self.diagnoses(json, &facts);
            procedures(json, &facts);
            json.put_list("insurance", |json| {
                json.object(|json| {
                    json.put("focal", true);
                    json.put_object("coverage", |json| json.put("display", part(self.kind)));
                });
            });
            json.put_list("item", |json| facts.item.iter().for_each(|item| lines::write(json, self, &facts, item)));
            json.put_list("adjudication", |json| {
                status_of_benefit(json);
                let of_kind = HEADER.iter().filter(|amount| amount.kinds.include(self.kind));
                of_kind.for_each(|amount| amount.write(json, &|name| facts.amount(name), &|name| facts.count(name)));
            });
            json.put_list("total", |json| {
                let of_kind = TOTALS.iter().filter(|amount| amount.kinds.include(self.kind));
                // A drug event has one line, and its totals are those of the line.
                let line = facts.item.first().filter(|_| self.kind == Kind::Pde);
                let money = |name: &str| facts.amount(name).or_else(|| line?.amount(name));
                of_kind.for_each(|amount| amount.write(json, &money, &|_| None));
            });
            self.payment_v3(json, &facts);
        });
    }

    fn place(&self, below: u64) -> usize {
        usize::try_from(self.number % below).unwrap_or(0)
    }

    /// When the claim took effect, `created` of v3: the midnight of the day on which it was processed.
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

    /// CMS's number, FHIR's word, Blue Button's. Home health has FHIR's `institutional` here.
    fn type_v3(&self, json: &mut Json<'_>, stage: Stage) {
        let is_partial = stage == Stage::Partial;
        let (number, partial, word) = match self.kind {
            Kind::Carrier => ("71", "2700", "CARRIER"),
            Kind::Dme => ("82", "2800", "DME"),
            Kind::Hha => ("10", "1032", "HHA"),
            Kind::Hospice => ("50", "1081", "HOSPICE"),
            Kind::Inpatient => ("60", "1011", "INPATIENT"),
            Kind::Outpatient => ("40", "1013", "OUTPATIENT"),
            Kind::Snf => ("20", "1021", "SNF"),
            Kind::Pde => (if self.is_deleted() { "3" } else { "1" }, "1", "PDE"),
        };
        let (fhir, sub) = match self.kind {
            Kind::Pde => ("pharmacy", None),
            Kind::Carrier | Kind::Dme => ("professional", None),
            Kind::Inpatient | Kind::Snf => ("institutional", Some("inpatient")),
            Kind::Outpatient | Kind::Hha | Kind::Hospice => ("institutional", Some("outpatient")),
        };
        json.put_object("type", |json| {
            json.put_list("coding", |json| {
                let number = if is_partial { partial } else { number };
                json.coding(Code(System::Fhir("CLM-TYPE-CD"), number, type_words(number)));
                json.coding(Code(System::Terminology("claim-type"), fhir, ""));
                json.coding(Code(System::Fhir("EOB-TYPE"), word, eob_type(self.kind)));
            });
        });
        if let Some(sub) = sub {
            json.concept("subType", &[Code(System::Carin("C4BBInstitutionalClaimSubType"), sub, "")]);
        }
    }

    /// The insurer, who billed, and what was measured.
    fn contained_v3(&self, json: &mut Json<'_>, facts: &Facts<'_>) {
        json.put_list("contained", |json| {
            if self.kind != Kind::Pde {
                parts::organization(json, "insurer-org", None, INSURER);
            }
            if let Some(npi) = biller(facts) {
                parts::organization(json, npi, Some(npi), biller_name(facts));
            }
            let observed = facts.contained.iter().filter(|one| one.resource_type == "Observation");
            for (place, one) in observed.enumerate() {
                parts::observation(json, place + 1, one, self.number);
            }
        });
    }

    fn diagnoses(&self, json: &mut Json<'_>, facts: &Facts<'_>) {
        if facts.diagnosis.is_empty() {
            return;
        }
        json.put_list("diagnosis", |json| {
            for (one, sequence) in facts.diagnosis.iter().zip(1..) {
                json.object(|json| self.diagnosis(json, one, sequence));
            }
        });
    }

    fn diagnosis(&self, json: &mut Json<'_>, one: &Diagnosis<'_>, sequence: u64) {
        json.put("sequence", sequence);
        json.put_object("diagnosisCodeableConcept", |json| {
            json.put_list("coding", |json| {
                let coding =
                    one.diagnosis_codeable_concept.coding.iter().find(|coding| coding.system.contains("icd-10"));
                if let Some(coding) = coding.or(one.diagnosis_codeable_concept.coding.first()) {
                    json.coding(Code(System::Url("http://hl7.org/fhir/sid/icd-10-cm"), &coding.code, ""));
                }
            });
        });
        let is_principal = one.kind.iter().any(|kind| kind.has("principal"));
        json.put_list("type", |json| {
            json.object(|json| {
                json.codings(&[match (is_principal, self.kind) {
                    (true, _) => Code(System::Terminology("ex-diagnosistype"), "principal", ""),
                    (false, Kind::Carrier | Kind::Dme) => {
                        Code(System::Carin("C4BBClaimDiagnosisType"), "secondary", "")
                    }
                    (false, _) => Code(System::Carin("C4BBClaimDiagnosisType"), "other", ""),
                }]);
            });
        });
        if !matches!(self.kind, Kind::Carrier | Kind::Dme | Kind::Pde) {
            const PRESENT: &str =
                "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/HospitalAcqCond/Coding";
            json.concept("onAdmission", &[Code(System::Url(PRESENT), "Y", "")]);
        }
    }

    fn payment_v3(&self, json: &mut Json<'_>, facts: &Facts<'_>) {
        json.put_object("payment", |json| match (&facts.payment.amount, self.kind) {
            (Some(money), kind) if kind != Kind::Pde => dollars(json, "amount", money.value),
            _ => json.put(
                "date",
                facts.payment.date.as_deref().map_or(self.processed(), |date| date.parse().unwrap_or(self.processed())),
            ),
        });
    }
}

const CONTROL: [&str; 7] = ["RIF", "JHV", "BIX", "RYL", "SAG", "WDP", "KQT"];

/// Who billed: the provider's National Provider Identifier.
fn biller<'e>(facts: &'e Facts<'_>) -> Option<&'e str> {
    let named = facts.contained.iter().filter(|one| one.resource_type == "Organization");
    let numbers = named.flat_map(|one| &one.identifier).filter(|one| one.value.len() == 10);
    let own = numbers.map(|one| one.value.as_str()).next();
    own.or_else(|| performer(facts)?.provider.identifier.as_ref().map(|one| one.value.as_str()))
}

fn performer<'e, 'f>(facts: &'e Facts<'f>) -> Option<&'e Member<'f>> {
    facts.member("performing").or_else(|| facts.member("prescribing"))
}

fn biller_name<'e>(facts: &'e Facts<'_>) -> &'e str {
    let organization = facts.contained.iter().find(|one| one.resource_type == "Organization" && !one.name.is_empty());
    let person = || performer(facts).and_then(|member| member.provider.display.as_deref());
    organization.map(|one| one.name.as_str()).or_else(person).unwrap_or("Provider Group")
}

/// A reference to who billed, or that it is not known.
fn provider(json: &mut Json<'_>, facts: &Facts<'_>) {
    json.put_object("provider", |json| match biller(facts) {
        Some(npi) => json.put("reference", format_args!("#{npi}")),
        None => parts::absent(json),
    });
}

fn care_team(json: &mut Json<'_>, facts: &Facts<'_>, kind: Kind) {
    let members: Vec<(&Member<'_>, (&str, &str))> =
        facts.care_team.iter().filter_map(|member| Some((member, parts::role_v3(member)?))).collect();
    if members.is_empty() {
        return;
    }
    json.put_list("careTeam", |json| {
        for ((member, role), sequence) in members.into_iter().zip(1..) {
            json.object(|json| parts::member(json, member, role, kind, sequence));
        }
    });
}

fn procedures(json: &mut Json<'_>, facts: &Facts<'_>) {
    if facts.procedure.is_empty() {
        return;
    }
    json.put_list("procedure", |json| {
        for (one, sequence) in facts.procedure.iter().zip(1..) {
            json.object(|json| {
                json.put("sequence", sequence);
                json.put_list("type", |json| {
                    let word = if sequence == 1 { "principal" } else { "other" };
                    json.object(|json| json.codings(&[Code(System::Carin("C4BBClaimProcedureType"), word, "")]));
                });
                json.put("date", one.date.split('T').next().unwrap_or_default());
                json.put_object("procedureCodeableConcept", |json| {
                    let code = one.procedure_codeable_concept.coding.first().map_or("", |coding| &coding.code);
                    json.codings(&[Code(System::Url("http://www.cms.gov/Medicare/Coding/ICD10"), code, "")]);
                });
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

fn type_words(number: &str) -> &'static str {
    match number {
        "71" => "MEDICARE PART B PROFESSIONAL PHYSICIAN/SUPPLIER CLAIM (NON-DMEPOS)",
        "82" => "MEDICARE PART B DME REGIONAL CARRIER (DMERC); DMEPOS CLAIM",
        "10" => "HOME HEALTH AGENCY (HHA) CLAIM",
        "50" => "HOSPICE CLAIM",
        "60" => "INPATIENT CLAIM",
        "40" => "HOSPITAL OUTPATIENT CLAIM",
        "20" => "NON SWING BED SKILLED NURSING FACILITY (SNF) CLAIM",
        "1" => "MEDICARE PART D ORIGINAL CLAIM",
        "3" => "MEDICARE PART D DELETED CLAIM",
        "2700" => "PROFESSIONAL MEDICARE SS CARRIER",
        "2800" => "DME MEDICARE SS DME",
        "1011" => "011X MEDICARE SS HOSPITAL INPATIENT",
        "1013" => "013X MEDICARE SS HOSPITAL OUTPATIENT",
        "1021" => "021X MEDICARE SS SNF INPATIENT",
        "1032" => "032X MEDICARE SS HOME HEALTH",
        _ => "081X MEDICARE SS HOSPICE",
    }
}
