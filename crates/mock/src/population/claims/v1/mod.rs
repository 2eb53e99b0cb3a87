//! Claims, people and coverage in the shape of API v1 (FHIR STU3).
//!
//! [`Claim::write_v1`] makes the v1 resource of the claim that [`Claim::write`] makes for v2, and
//! [`Person::patient_v1`] and [`Person::coverage_v1`] do so for people. Ids, dates, codes, providers and
//! amounts are the same in both versions; v1 has other places for them.
//!
//! [`Person::patient_v1`]: super::person::Person::patient_v1
//! [`Person::coverage_v1`]: super::person::Person::coverage_v1

mod drug;
mod institutional;
mod parts;
mod person;
mod professional;
mod revenue;
mod sections;
#[cfg(test)]
mod tests;

use super::facts::Facts;
use super::json::Json;
use super::vocabulary::{Code, System};
use super::{Claim, Kind, near_line_record, written};

impl Claim {
    /// Appends the v1 ExplanationOfBenefit as compact JSON. It has no `created`, so that a claim is the
    /// same text at every request.
    pub(crate) fn write_v1(&self, out: &mut String) {
        let tape = self.as_v2();
        let facts = Facts::of(&tape);
        let mut json = Json::new(out);
        json.whole_amounts = self.rng.clone().percent(12);
        json.object(|json| match self.kind {
            Kind::Pde => drug::write(json, self, &facts),
            Kind::Carrier | Kind::Dme => professional::write(json, self, &facts),
            _ => institutional::write(json, self, &facts),
        });
    }

    /// `resourceType`, `id` and `meta`; v1 names no profile.
    fn head_v1(&self, json: &mut Json<'_>) {
        json.put("resourceType", "ExplanationOfBenefit");
        json.put("id", format_args!("{}--{}", self.kind.name(), self.number));
        json.put_object("meta", |json| json.put("lastUpdated", written(self.last_updated, true)));
    }

    /// `identifier`, `status`, `type` and `patient`.
    fn identity_v1(&self, json: &mut Json<'_>, facts: &Facts<'_>) {
        json.put_list("identifier", |json| {
            for identifier in &facts.identifier {
                json.object(|json| {
                    json.put("system", identifier.system.as_str());
                    json.put("value", identifier.value.as_str());
                });
            }
        });
        json.put("status", facts.status.as_str());
        json.put_object("type", |json| json.put_list("coding", |json| self.types_v1(json, facts)));
        json.put_object("patient", |json| json.put("reference", format_args!("Patient/-{}", self.patient)));
    }

    /// CMS's number, Blue Button's word, FHIR's, the record, the service. The server calls outpatient
    /// claims professional, and has no FHIR word for equipment and home health.
    fn types_v1(&self, json: &mut Json<'_>, facts: &Facts<'_>) {
        for system in ["nch_clm_type_cd", "eob-type"] {
            if let Some(coding) = facts.kind.of(system) {
                parts::coding(json, coding);
            }
        }
        let fhir = match self.kind {
            Kind::Carrier | Kind::Outpatient => Some(("professional", "Professional")),
            Kind::Hospice | Kind::Inpatient | Kind::Snf => Some(("institutional", "Institutional")),
            Kind::Pde => Some(("pharmacy", "Pharmacy")),
            Kind::Dme | Kind::Hha => None,
        };
        if let Some((code, words)) = fhir {
            json.coding(Code(System::Url("http://hl7.org/fhir/ex-claimtype"), code, words));
        }
        if self.kind != Kind::Pde {
            let (code, words) = near_line_record(self.kind);
            json.coding(Code(System::Variable("nch_near_line_rec_ident_cd"), code, words));
        }
        if let Some(class) = facts.variable("clm_srvc_clsfctn_type_cd").and_then(|class| class.value_coding.as_ref()) {
            parts::coding(json, class);
        }
    }

    /// `insurance`: one object in STU3, which points to one of the person's four coverages.
    fn insurance_v1(&self, json: &mut Json<'_>, facts: &Facts<'_>) {
        let part = match self.kind {
            Kind::Carrier | Kind::Dme | Kind::Hha | Kind::Outpatient => 'b',
            Kind::Hospice | Kind::Inpatient | Kind::Snf => 'a',
            Kind::Pde => 'd',
        };
        let extensions = facts.insurance.iter().flat_map(|insurance| &insurance.coverage.extension);
        json.put_object("insurance", |json| {
            json.put_object("coverage", |json| {
                if self.kind == Kind::Pde {
                    json.put_list("extension", |json| extensions.for_each(|one| parts::extension(json, one)));
                }
                json.put("reference", format_args!("Coverage/part-{part}--{}", self.patient));
            });
        });
    }
}
