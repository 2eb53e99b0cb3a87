//! The building blocks of v3, as FHIR R4 and CARIN 2.2 write them.

use super::super::Kind;
use super::super::facts::{Contained, Member, Period, tail};
use super::super::json::{Json, Value};
use super::super::vocabulary::{Code, INFO, System, UNITS, US_NPI};

const NPI_TYPE: Code<'static> = Code(System::Terminology("v2-0203"), "NPI", "National provider identifier");

/// `"name": {"value", "currency"}`.
pub(super) fn dollars(json: &mut Json<'_>, name: &'static str, value: impl Value) {
    json.put_object(name, |json| {
        json.put("value", value);
        json.put("currency", "USD");
    });
}

/// `"name": {"start", "end"}`, where there is one.
pub(super) fn period(json: &mut Json<'_>, name: &'static str, period: &Period<'_>) {
    if period.start.is_none() && period.end.is_none() {
        return;
    }
    json.put_object(name, |json| {
        json.put_some("start", period.start.as_deref());
        json.put_some("end", period.end.as_deref());
    });
}

/// `{"system", "code"}` in the extension of the same name.
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

/// That something is not known.
pub(super) fn absent(json: &mut Json<'_>) {
    json.put_list("extension", |json| {
        json.object(|json| {
            json.put("url", "http://hl7.org/fhir/StructureDefinition/data-absent-reason");
            json.put("valueCode", "unknown");
        });
    });
}

/// How the benefit was paid: a word, and no amount.
pub(super) fn status_of_benefit(json: &mut Json<'_>) {
    json.object(|json| {
        let words = "Benefit Payment Status";
        let code = Code(System::Carin("C4BBAdjudicationDiscriminator"), "benefitpaymentstatus", words);
        json.concept("category", &[code]);
        json.concept("reason", &[Code(System::Carin("C4BBPayerAdjudicationStatus"), "other", "Other")]);
    });
}

/// `"identifier": [ … ]` or `"identifier": { … }` inside: an NPI.
pub(super) fn npi(json: &mut Json<'_>, value: &str) {
    json.put("system", US_NPI);
    json.concept("type", &[NPI_TYPE]);
    json.put("value", value);
}

/// A contained Organization.
pub(super) fn organization(json: &mut Json<'_>, id: &str, number: Option<&str>, name: &str) {
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
pub(super) fn observation(json: &mut Json<'_>, place: usize, one: &Contained<'_>, number: u64) {
    json.object(|json| {
        json.put("resourceType", "Observation");
        json.put("id", format_args!("line-observation-{place}"));
        json.put("status", "final");
        json.put_object("code", |json| {
            let test = one.code.coding.first().map_or("", |coding| coding.code.as_str());
            let (code, words) = if test == "R2" {
                ("20570-8", "Hematocrit [Volume Fraction] of Blood")
            } else {
                ("718-7", "Hemoglobin [Mass/volume] in Blood")
            };
            json.codings(&[Code(System::Url("http://loinc.org"), code, words)]);
        });
        json.put_list("performer", |json| {
            json.object(|json| {
                json.put_object("identifier", |json| {
                    json.put("system", "http://terminology.hl7.org/NamingSystem/CLIA");
                    json.put("value", format_args!("00D{:07}", number % 10_000_000));
                });
            });
        });
        if let Some(value) = one.value_quantity.value {
            json.put("valueString", format_args!("{value}"));
        }
    });
}

/// The role that v3 gives to a member of v2's care team, and its words.
pub(super) fn role_v3(member: &Member<'_>) -> Option<(&'static str, &'static str)> {
    [
        ("performing", ("rendering", "Rendering provider")),
        ("referring", ("referring", "Referring")),
        ("attending", ("attending", "Attending")),
        ("otheroperating", ("otheroperating", "Other Operating")),
        ("operating", ("operating", "Operating")),
        ("prescribing", ("prescribing", "Prescribing provider")),
    ]
    .into_iter()
    .find(|(of_v2, _)| member.role.has(of_v2))
    .map(|(_, of_v3)| of_v3)
}

/// A member of the care team.
pub(super) fn member(json: &mut Json<'_>, member: &Member<'_>, (role, words): (&str, &str), kind: Kind, sequence: u64) {
    json.put("sequence", sequence);
    json.put_object("provider", |json| {
        json.put("type", "Practitioner");
        if let Some(identifier) = &member.provider.identifier {
            json.put_object("identifier", |json| npi(json, &identifier.value));
        }
        // The look-up of names knows everyone in v3.
        json.put("display", member.provider.display.as_deref().unwrap_or("Doe, Jane"));
    });
    json.concept(
        "role",
        &[
            Code(System::Terminology("claimcareteamrole"), role, words),
            Code(System::Carin("C4BBClaimCareTeamRole"), role, words),
        ],
    );
    let specialty = member.qualification.coding.first().filter(|_| kind != Kind::Pde && role == "rendering");
    if let Some(specialty) = specialty {
        json.concept("qualification", &[Code(System::Fhir("CLM-PRVDR-SPCLTY-CD"), &specialty.code, "")]);
    }
}

/// The next entry of `supportingInfo`.
pub(super) struct Information<'j, 'o> {
    pub(super) json: &'j mut Json<'o>,
    pub(super) sequence: u64,
}

impl<'o> Information<'_, 'o> {
    /// An entry of CMS's own category, named like its variable.
    pub(super) fn of(&mut self, variable: &str, words: &str, value: impl FnOnce(&mut Json<'o>)) {
        self.entry(&[Code(System::Fhir("Supporting-Information"), variable, words), INFO], value);
    }

    /// An entry of one of CARIN's categories.
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

/// `"code": {"coding": [ … ]}` of one code of the code system that is named like the variable.
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

/// The code that v2 gives in a concept: the first one, or nothing.
pub(super) fn first_code<'e>(concept: &'e super::super::facts::Concept<'_>) -> &'e str {
    concept.coding.first().map_or("", |coding| tail(&coding.code))
}
