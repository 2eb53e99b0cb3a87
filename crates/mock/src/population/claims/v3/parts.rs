//! The building blocks of v3, in the form of FHIR R4 and CARIN 2.2.

use super::super::json::{Digits, Json, Value};
use super::super::parts::{Cents, Provider};
use super::super::row::Role;
use super::super::vocabulary::{Code, INFO, System, UNITS, US_NPI};

const NPI_TYPE: Code<'static> = Code(System::Terminology("v2-0203"), "NPI", "National provider identifier");

/// `"name": {"value", "currency"}`.
pub(super) fn dollars(json: &mut Json<'_>, name: &'static str, value: impl Value) {
    json.put_object(name, |json| {
        json.put("value", value);
        json.put("currency", "USD");
    });
}

/// `{"system", "code"}` in the extension with the same name.
pub(super) fn coded(json: &mut Json<'_>, name: &str, code: &str, words: &str) {
    json.object(|json| {
        json.put("url", System::FhirExtension(name));
        json.put_object("valueCoding", |json| {
            json.put("system", System::Fhir(name));
            json.put("code", code);
            json.put_some("display", (!words.is_empty()).then_some(words));
        });
    });
}

/// Says that something is not known.
pub(super) fn absent(json: &mut Json<'_>) {
    json.put_list("extension", |json| {
        json.object(|json| {
            json.put("url", "http://hl7.org/fhir/StructureDefinition/data-absent-reason");
            json.put("valueCode", "unknown");
        });
    });
}

/// How the benefit was paid: a code without an amount.
pub(super) fn status_of_benefit(json: &mut Json<'_>) {
    json.object(|json| {
        let words = "Benefit Payment Status";
        let code = Code(System::Carin("C4BBAdjudicationDiscriminator"), "benefitpaymentstatus", words);
        json.concept("category", &[code]);
        json.concept("reason", &[Code(System::Carin("C4BBPayerAdjudicationStatus"), "other", "Other")]);
    });
}

/// The inside of `"identifier": [ … ]` or `"identifier": { … }`: an NPI.
pub(super) fn npi(json: &mut Json<'_>, value: u64) {
    json.put("system", US_NPI);
    json.concept("type", &[NPI_TYPE]);
    json.put("value", Digits(value, 10));
}

/// A contained Organization with an NPI, which is also its id.
pub(super) fn organization(json: &mut Json<'_>, number: u64, name: impl Value) {
    contained(json, Digits(number, 10), Some(number), name);
}

/// The contained Organization of CMS.
pub(super) fn insurer(json: &mut Json<'_>) {
    contained(json, "insurer-org", None, super::INSURER);
}

fn contained(json: &mut Json<'_>, id: impl Value, number: Option<u64>, name: impl Value) {
    json.object(|json| {
        json.put("resourceType", "Organization");
        json.put("id", id);
        json.put_object("meta", |json| {
            json.put_list("profile", |json| {
                json.item("http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-Organization|2.2.0");
                json.item("http://hl7.org/fhir/us/core/StructureDefinition/us-core-organization|7.0.0");
            });
        });
        if let Some(number) = number {
            json.put_list("identifier", |json| json.object(|json| npi(json, number)));
        }
        json.put("active", true);
        json.put("name", name);
    });
}

/// A contained Observation: what a laboratory measured.
pub(super) fn observation(json: &mut Json<'_>, hemoglobin: Cents, number: u64) {
    /// In v3, the value is a text.
    struct Quoted(Cents);
    impl Value for Quoted {
        fn write(&self, json: &mut Json<'_>) {
            json.raw("\"");
            self.0.write(json);
            json.raw("\"");
        }
    }
    json.object(|json| {
        json.put("resourceType", "Observation");
        json.put("id", "line-observation-1");
        json.put("status", "final");
        json.concept("code", &[Code(System::Url("http://loinc.org"), "718-7", "Hemoglobin [Mass/volume] in Blood")]);
        json.put_list("performer", |json| {
            json.object(|json| {
                json.put_object("identifier", |json| {
                    json.put("system", "http://terminology.hl7.org/NamingSystem/CLIA");
                    json.put("value", format_args!("00D{:07}", number % 10_000_000));
                });
            });
        });
        json.put("valueString", Quoted(hemoglobin));
    });
}

/// `"role"` of a member of the care team.
pub(super) fn role(json: &mut Json<'_>, role: Role) {
    let (code, words) = match role {
        Role::Performing => ("rendering", "Rendering provider"),
        Role::Referring => ("referring", "Referring"),
        Role::Attending => ("attending", "Attending"),
        Role::OtherOperating => ("otheroperating", "Other Operating"),
        Role::Operating => ("operating", "Operating"),
        Role::Prescribing => ("prescribing", "Prescribing provider"),
    };
    let systems = [System::Terminology("claimcareteamrole"), System::Carin("C4BBClaimCareTeamRole")];
    json.concept("role", &systems.map(|system| Code(system, code, words)));
}

/// A member of the care team.
pub(super) fn member(json: &mut Json<'_>, sequence: u64, (kind, provider): (Role, &Provider)) {
    json.object(|json| {
        json.put("sequence", sequence);
        json.put_object("provider", |json| {
            json.put("type", "Practitioner");
            json.put_object("identifier", |json| npi(json, provider.npi));
            // In v3, the look-up of names knows everyone.
            match provider.name {
                Some(_) => json.provider_name(provider),
                None => json.put("display", "Doe, Jane"),
            }
        });
        role(json, kind);
        if kind == Role::Performing {
            let code = provider.specialty.taxonomy_code;
            json.concept("qualification", &[Code(System::Fhir("CLM-PRVDR-SPCLTY-CD"), code, "")]);
        }
    });
}

/// The next entry of `supportingInfo`.
pub(super) struct Information<'j, 'o> {
    pub(super) json: &'j mut Json<'o>,
    pub(super) sequence: u64,
}

impl<'o> Information<'_, 'o> {
    /// An entry with a CMS category that has the same name as its variable.
    pub(super) fn of(&mut self, variable: &str, words: &str, value: impl FnOnce(&mut Json<'o>)) {
        self.entry(&[Code(System::Fhir("Supporting-Information"), variable, words), INFO], value);
    }

    /// An entry with one of CARIN's categories.
    pub(super) fn carin(&mut self, word: &str, value: impl FnOnce(&mut Json<'o>)) {
        self.entry(&[Code(System::Carin("C4BBSupportingInfoType"), word, "")], value);
    }

    fn entry(&mut self, category: &[Code<'_>], value: impl FnOnce(&mut Json<'o>)) {
        self.sequence += 1;
        let sequence = self.sequence;
        self.json.object(|json| {
            json.put("sequence", sequence);
            json.concept("category", category);
            value(json);
        });
    }
}

/// `"code": {"coding": [ … ]}` with one code, from the code system with the variable's name.
pub(super) fn code(json: &mut Json<'_>, system: &str, code: &str, words: &str) {
    json.concept("code", &[Code(System::Fhir(system), code, words)]);
}

/// A count of something.
pub(super) fn quantity(
    json: &mut Json<'_>,
    name: &'static str,
    value: impl Value,
    unit: Option<&str>,
    is_measured: bool,
) {
    json.put_object(name, |json| {
        json.put("value", value);
        json.put_some("unit", unit);
        if is_measured {
            json.put("system", UNITS);
            json.put_some("code", unit);
        }
    });
}
