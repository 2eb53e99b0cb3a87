//! The code systems of Blue Button, CARIN and HL7, and the codes that many claims use.

use super::json::{Json, Value};

/// A code system or an extension's URL, stored as the part that differs.
#[derive(Clone, Copy)]
pub(super) enum System<'a> {
    /// A variable of the CMS claims database.
    Variable(&'a str),
    /// A code system of Blue Button v1 and v2.
    Bluebutton(&'a str),
    /// A code system of Blue Button v3.
    Fhir(&'a str),
    /// An extension of Blue Button v3.
    FhirExtension(&'a str),
    /// A code system of the CARIN guide for Blue Button.
    Carin(&'a str),
    /// A code system of HL7 Terminology.
    Terminology(&'a str),
    /// Any other URL, in full.
    Url(&'a str),
}

impl Value for System<'_> {
    fn write(&self, json: &mut Json<'_>) {
        let (base, name) = match self {
            Self::Variable(name) => ("https://bluebutton.cms.gov/resources/variables/", name),
            Self::Bluebutton(name) => ("https://bluebutton.cms.gov/resources/codesystem/", name),
            Self::Fhir(name) => ("https://bluebutton.cms.gov/fhir/CodeSystem/", name),
            Self::FhirExtension(name) => ("https://bluebutton.cms.gov/fhir/StructureDefinition/", name),
            Self::Carin(name) => ("http://hl7.org/fhir/us/carin-bb/CodeSystem/", name),
            Self::Terminology(name) => ("http://terminology.hl7.org/CodeSystem/", name),
            Self::Url(name) => ("", name),
        };
        json.raw("\"");
        json.raw(base);
        json.raw(name);
        json.raw("\"");
    }
}

/// A code with its system and its display. An empty display is left out.
#[derive(Clone, Copy)]
pub(super) struct Code<'a>(pub(super) System<'a>, pub(super) &'a str, pub(super) &'a str);

pub(super) const NDC: System<'static> = System::Url("http://hl7.org/fhir/sid/ndc");
pub(super) const US_NPI: System<'static> = System::Url("http://hl7.org/fhir/sid/us-npi");
pub(super) const HCPCS: System<'static> = System::Bluebutton("hcpcs");
pub(super) const UNITS: System<'static> = System::Url("http://unitsofmeasure.org");

pub(super) const SUBMITTED: Code<'static> = Code(System::Terminology("adjudication"), "submitted", "Submitted Amount");
pub(super) const ELIGIBLE: Code<'static> = Code(System::Terminology("adjudication"), "eligible", "Eligible Amount");
pub(super) const BENEFIT: Code<'static> = Code(System::Terminology("adjudication"), "benefit", "Benefit Amount");
pub(super) const DEDUCTIBLE: Code<'static> = Code(System::Terminology("adjudication"), "deductible", "Deductible");
pub(super) const COINSURANCE: Code<'static> = Code(System::Carin("C4BBAdjudication"), "coinsurance", "Co-insurance");
pub(super) const NONCOVERED: Code<'static> = Code(System::Carin("C4BBAdjudication"), "noncovered", "Noncovered");
pub(super) const PAID_TO_PATIENT: Code<'static> =
    Code(System::Carin("C4BBAdjudication"), "paidtopatient", "Paid to patient");
pub(super) const PAID_BY_PATIENT: Code<'static> =
    Code(System::Carin("C4BBAdjudication"), "paidbypatient", "Paid by patient");
pub(super) const PAID_TO_PROVIDER: Code<'static> =
    Code(System::Carin("C4BBAdjudication"), "paidtoprovider", "Paid to provider");
pub(super) const PRIOR_PAYER: Code<'static> =
    Code(System::Carin("C4BBAdjudication"), "priorpayerpaid", "Prior payer paid");
pub(super) const DISCOUNT: Code<'static> = Code(System::Carin("C4BBAdjudication"), "discount", "Discount");
pub(super) const DRUG_COST: Code<'static> = Code(System::Carin("C4BBAdjudication"), "drugcost", "Drug Cost");

pub(super) const INFO: Code<'static> = Code(System::Terminology("claiminformationcategory"), "info", "Information");

pub(super) const NPI: Code<'static> = Code(System::Carin("C4BBIdentifierType"), "npi", "National Provider Identifier");
pub(super) const UNIQUE_CLAIM: Code<'static> = Code(System::Carin("C4BBIdentifierType"), "uc", "Unique Claim ID");
