//! Claims, people and coverage in the form of API v2 (FHIR R4, CARIN Blue Button).

mod drug;
mod institutional;
mod person;
mod professional;
mod sections;

use jiff::Timestamp;

use super::json::Json;
use super::row::{ClaimRow, Details};
use super::vocabulary::{Code, System, UNIQUE_CLAIM};
use super::{Claim, Kind, written};

impl Claim {
    /// Appends the v2 ExplanationOfBenefit as compact JSON. As on the server, `created` is the time of the answer.
    pub(crate) fn write_v2(&self, created: Timestamp, out: &mut String) {
        let row = ClaimRow::of(self);
        let mut json = Json::new(out);
        json.whole_amounts = row.whole_amounts;
        json.object(|json| match &row.details {
            Details::Drug(drug) => drug::write(json, &row, drug, created),
            Details::Professional(professional) => professional::write(json, &row, professional, created),
            Details::Institutional(institutional) => institutional::write(json, &row, institutional, created),
        });
    }

    /// `resourceType`, `id` and `meta`. The server wrongly calls equipment claims institutional and home health
    /// professional, so the mock does too.
    fn head_v2(&self, json: &mut Json<'_>) {
        let profile = match self.kind {
            Kind::Pde => "Pharmacy",
            Kind::Carrier | Kind::Hha => "Professional-NonClinician",
            Kind::Outpatient => "Outpatient-Institutional",
            Kind::Dme | Kind::Hospice | Kind::Inpatient | Kind::Snf => "Inpatient-Institutional",
        };
        json.put("resourceType", "ExplanationOfBenefit");
        json.put("id", format_args!("{}--{}", self.kind.name(), self.number));
        json.put_object("meta", |json| {
            json.put("lastUpdated", written(self.last_updated, true));
            json.put_list("profile", |json| {
                json.item(format_args!(
                    "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-{profile}"
                ));
            });
        });
    }

    /// CMS's number, Blue Button's and FHIR's names. The server makes the same two mistakes here.
    fn type_v2(&self, json: &mut Json<'_>) {
        let (code, words) = match self.kind {
            Kind::Carrier | Kind::Hha => ("professional", "Professional"),
            Kind::Pde => ("pharmacy", "Pharmacy"),
            _ => ("institutional", "Institutional"),
        };
        json.put_object("type", |json| {
            json.put_list("coding", |json| {
                json.claim_types(self.kind);
                json.coding(Code(System::Terminology("claim-type"), code, words));
            });
        });
    }

    /// `insurance`, which points to one of the person's four coverages.
    fn insurance_v2(&self, json: &mut Json<'_>, inside: impl FnOnce(&mut Json<'_>)) {
        let part = match self.kind {
            Kind::Carrier | Kind::Hha | Kind::Outpatient => 'b',
            Kind::Dme | Kind::Hospice | Kind::Inpatient | Kind::Snf => 'a',
            Kind::Pde => 'd',
        };
        json.put_list("insurance", |json| {
            json.object(|json| {
                json.put("focal", true);
                json.put_object("coverage", |json| {
                    inside(json);
                    json.put("reference", format_args!("Coverage/part-{part}--{}", self.patient));
                });
            });
        });
    }
}

impl ClaimRow<'_> {
    /// What comes between the extensions and the provider.
    fn identity_v2(&self, json: &mut Json<'_>, created: Timestamp) {
        let claim = self.claim;
        json.put_list("identifier", |json| {
            for (system, number) in self.identifiers() {
                json.object(|json| {
                    json.concept("type", &[UNIQUE_CLAIM]);
                    json.put("system", system);
                    json.put("value", format_args!("{number}"));
                });
            }
        });
        json.put("status", self.status());
        claim.type_v2(json);
        let institutional = match &self.details {
            Details::Institutional(bill) => Some(bill),
            _ => None,
        };
        if institutional.is_some_and(|bill| bill.has_sub_type) {
            let (code, words) = match claim.kind {
                Kind::Outpatient => ("outpatient", "Outpatient"),
                _ => ("inpatient", "Inpatient"),
            };
            json.put_object("subType", |json| {
                json.codings(&[Code(System::Carin("C4BBInstitutionalClaimSubType"), code, "")]);
                json.put("text", words);
            });
        }
        json.put("use", "claim");
        json.put_object("patient", |json| json.put("reference", format_args!("Patient/-{}", claim.patient)));
        json.put_object("billablePeriod", |json| {
            if institutional.is_some() {
                json.final_bill();
            }
            json.put("start", claim.start);
            json.put("end", claim.end);
        });
        json.put("created", written(created, false));
        json.put_object("insurer", |json| json.put_object("identifier", |json| json.put("value", "CMS")));
    }
}
