//! Claims, people and coverage in the form of API v1 (FHIR STU3).

mod drug;
mod institutional;
mod parts;
mod person;
mod professional;
mod sections;
#[cfg(test)]
mod tests;

use super::json::Json;
use super::row::{ClaimRow, Details, Institutional};
use super::vocabulary::{Code, System};
use super::{Claim, Kind, near_line_record, written};

impl Claim {
    /// Appends the v1 ExplanationOfBenefit as compact JSON. It has no `created`, so a claim has the same text at
    /// every request.
    pub(crate) fn write_v1(&self, out: &mut String) {
        let row = ClaimRow::of(self);
        let mut json = Json::new(out);
        json.whole_amounts = row.whole_amounts;
        json.object(|json| match &row.details {
            Details::Drug(event) => drug::write(json, &row, event),
            Details::Professional(bill) => professional::write(json, &row, bill),
            Details::Institutional(bill) => institutional::write(json, &row, bill),
        });
    }

    /// `resourceType`, `id` and `meta`. v1 names no profile.
    fn head_v1(&self, json: &mut Json<'_>) {
        json.put("resourceType", "ExplanationOfBenefit");
        json.put("id", format_args!("{}--{}", self.kind.name(), self.number));
        json.put_object("meta", |json| json.put("lastUpdated", written(self.last_updated, true)));
    }

    /// CMS's number, Blue Button's and FHIR's names, the record, the service. The server calls outpatient claims
    /// professional, and has no FHIR name for equipment and home health.
    fn types_v1(&self, json: &mut Json<'_>) {
        json.claim_types(self.kind);
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
        if !matches!(self.kind, Kind::Carrier | Kind::Dme | Kind::Pde) {
            let class = Institutional::service_class(self.kind);
            json.coding(Code(System::Variable("clm_srvc_clsfctn_type_cd"), class, ""));
        }
    }

    /// `insurance`: one object in STU3, which points to one of the person's four coverages.
    fn insurance_v1(&self, json: &mut Json<'_>, inside: impl FnOnce(&mut Json<'_>)) {
        let part = match self.kind {
            Kind::Carrier | Kind::Dme | Kind::Hha | Kind::Outpatient => 'b',
            Kind::Hospice | Kind::Inpatient | Kind::Snf => 'a',
            Kind::Pde => 'd',
        };
        json.put_object("insurance", |json| {
            json.put_object("coverage", |json| {
                inside(json);
                json.put("reference", format_args!("Coverage/part-{part}--{}", self.patient));
            });
        });
    }
}

impl ClaimRow<'_> {
    /// `identifier`, `status`, `type` and `patient`.
    fn identity_v1(&self, json: &mut Json<'_>) {
        json.put_list("identifier", |json| {
            for (system, number) in self.identifiers() {
                json.object(|json| {
                    json.put("system", system);
                    json.put("value", format_args!("{number}"));
                });
            }
        });
        json.put("status", self.status());
        json.put_object("type", |json| json.put_list("coding", |json| self.claim.types_v1(json)));
        json.put_object("patient", |json| json.put("reference", format_args!("Patient/-{}", self.claim.patient)));
    }
}
