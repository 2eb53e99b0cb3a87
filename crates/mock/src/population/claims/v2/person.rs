//! The Patient resource and the four Coverage resources of a made-up person in v2.

use jiff::civil::Date;

use super::super::json::Json;
use super::super::person::{Person, PersonRow, dual_status, gender_and_birth, race, state_and_zip};
use super::super::vocabulary::{Code, System};

impl Person<'_> {
    /// The Patient: a name, a sex, a birth date, a state and a ZIP code, but no street.
    pub(crate) fn patient_v2(&self) -> String {
        let row = self.row();
        let mut out = String::with_capacity(4096);
        Json::new(&mut out).object(|json| {
            self.head(json, "Patient", format_args!("-{}", self.patient), Some("C4BB-Patient"));
            json.put_list("extension", |json| {
                race(json, &row);
                core_race(json);
                dual_status(json, &row);
            });
            json.put_list("identifier", |json| self.identifiers(json, &row));
            self.usual_name(json, &row);
            gender_and_birth(json, &row);
            json.put("deceasedBoolean", false);
            json.put_list("address", |json| json.object(|json| state_and_zip(json, &row)));
        });
        out
    }

    fn identifiers(&self, json: &mut Json<'_>, row: &PersonRow) {
        const TYPES: System<'static> = System::Terminology("v2-0203");
        json.object(|json| {
            json.concept("type", &[Code(TYPES, "MB", "Member Number")]);
            json.put("system", System::Variable("bene_id"));
            json.put("value", format_args!("-{}", self.patient));
        });
        json.object(|json| {
            json.put_object("type", |json| {
                json.put_list("coding", |json| {
                    json.object(|json| {
                        json.put_list("extension", |json| {
                            json.extension(System::Bluebutton("identifier-currency"), "current", "Current");
                        });
                        json.put("system", TYPES);
                        json.put("code", "MC");
                        json.put("display", "Patient's Medicare number");
                    });
                });
            });
            json.put("system", System::Url("http://hl7.org/fhir/sid/us-mbi"));
            json.put("value", row.mbi.as_str());
            json.put_object("period", |json| json.put("start", Date::constant(2020, 1, 1)));
        });
    }

    /// The Coverage of one of the parts of Medicare: its id and the resource.
    pub(crate) fn coverage_v2(&self, part: char) -> (String, String) {
        let row = self.row();
        let mut out = String::with_capacity(20_000);
        let id = format!("part-{part}--{}", self.patient);
        Json::new(&mut out).object(|json| {
            self.head(json, "Coverage", format_args!("{id}"), Some("C4BB-Coverage"));
            json.put_list("extension", |json| self.coverage_extensions(json, &row, part));
            json.put("status", "active");
            json.concept("type", &[Code(System::Terminology("v3-ActCode"), "SUBSIDIZ", "")]);
            json.put("subscriberId", row.mbi.as_str());
            json.put_object("beneficiary", |json| json.put("reference", format_args!("Patient/-{}", self.patient)));
            json.concept("relationship", &[Code(System::Terminology("subscriber-relationship"), "self", "Self")]);
            if matches!(part, 'a' | 'b') {
                json.put_object("period", |json| json.put("start", row.since()));
            }
            json.put_list("payor", |json| {
                json.object(|json| {
                    json.put_object("identifier", |json| {
                        json.put("value", "Centers for Medicare and Medicaid Services")
                    });
                });
            });
            json.put_list("class", |json| {
                const CLASSES: System<'static> = System::Terminology("coverage-class");
                json.object(|json| {
                    json.concept("type", &[Code(CLASSES, "group", "Group")]);
                    json.put("value", "Medicare");
                });
                json.object(|json| {
                    json.concept("type", &[Code(CLASSES, "plan", "Plan")]);
                    json.put("value", format_args!("Part {}", part.to_ascii_uppercase()));
                });
            });
        });
        (id, out)
    }
}

/// The race in the form of US Core, always as unknown.
fn core_race(json: &mut Json<'_>) {
    json.object(|json| {
        json.put("url", System::Url("http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"));
        json.put_list("extension", |json| {
            json.object(|json| {
                json.put("url", "ombCategory");
                json.put_object("valueCoding", |json| {
                    json.put("system", System::Terminology("v3-NullFlavor"));
                    json.put("code", "UNK");
                    json.put("display", "Unknown");
                });
            });
            json.object(|json| {
                json.put("url", "text");
                json.put("valueString", "Unknown");
            });
        });
    });
}
