//! The Patient, the Coverage resources and the insurance card of a made-up person in v3.

use jiff::{Span, civil::Date};

use super::super::datetime::FhirInstant;
use super::super::json::Json;
use super::super::person::{CONTRACT, PLAN, Person, PersonRow, gender_and_birth, state_and_zip};
use super::super::vocabulary::{Code, System};
use super::INSURER;
use super::parts::coded;

/// A Medicare card for which v3 has a Coverage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Card {
    A,
    B,
    C,
    D,
    Dual,
}

impl Card {
    const ALL: [Self; 5] = [Self::A, Self::B, Self::C, Self::D, Self::Dual];

    fn id(self, patient: &str) -> String {
        match self {
            Self::A => format!("part-a-{patient}"),
            Self::B => format!("part-b-{patient}"),
            Self::C => format!("part-c-{patient}-{CONTRACT}-{PLAN}"),
            Self::D => format!("part-d-{patient}-{CONTRACT}-{PLAN}"),
            Self::Dual => format!("dual-{patient}"),
        }
    }

    fn plan(self) -> &'static str {
        match self {
            Self::A => "Part A",
            Self::B => "Part B",
            Self::C => "Part C",
            Self::D => "Part D",
            Self::Dual => "Dual Medicare/Medicaid",
        }
    }

    fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::A => ("1", "MEDICARE"),
            Self::B => ("121", "MEDICARE FFS"),
            Self::C => ("11", "MEDICARE MANAGED CARE (Includes Medicare Advantage Plans)"),
            Self::D => ("122", "MEDICARE DRUG BENEFIT"),
            Self::Dual => ("14", "Dual Eligibility Medicare/Medicaid Organization"),
        }
    }

    /// Whether a plan provides it. Parts C and D belong to a plan.
    fn is_plan(self) -> bool {
        matches!(self, Self::C | Self::D)
    }
}

impl Person<'_> {
    /// The v3 Patient.
    pub(crate) fn patient_v3(&self, id: &str) -> String {
        let row = self.row();
        let mut out = String::with_capacity(2048);
        Json::new(&mut out).object(|json| {
            json.put("resourceType", "Patient");
            json.put("id", id);
            self.meta(
                json,
                &["carin-bb/StructureDefinition/C4BB-Patient|2.2.0", "core/StructureDefinition/us-core-patient|7.0.0"],
            );
            about(json, &row);
            json.put_list("identifier", |json| json.object(|json| member_number(json, &row, true)));
            self.named(json, &row);
            json.put_list("address", |json| {
                json.object(|json| {
                    json.put_list("line", |json| json.item("1 MAIN STREET"));
                    json.put("city", "SPRINGFIELD");
                    state_and_zip(json, &row);
                });
            });
            language(json, "en");
        });
        out
    }

    /// The v3 Coverage resources: id and text of each.
    pub(crate) fn coverage_v3(&self, patient: &str) -> Vec<(String, String)> {
        let row = self.row();
        let has = |card: &Card| match card {
            Card::C => self.months_in_plan() > 0,
            Card::Dual => row.is_dual,
            _ => true,
        };
        Card::ALL
            .into_iter()
            .filter(has)
            .map(|card| (card.id(patient), self.coverage_of(card, &row, patient)))
            .collect()
    }

    fn coverage_of(&self, card: Card, row: &PersonRow, patient: &str) -> String {
        let mut out = String::with_capacity(4096);
        let payer = if card.is_plan() { "insurer-org" } else { "cms-org" };
        Json::new(&mut out).object(|json| {
            json.put("resourceType", "Coverage");
            json.put("id", card.id(patient).as_str());
            self.meta(
                json,
                &[
                    "carin-bb/StructureDefinition/C4BB-Coverage|2.2.0",
                    "core/StructureDefinition/us-core-coverage|7.0.0",
                ],
            );
            json.put_list("contained", |json| {
                json.object(|json| {
                    json.put("resourceType", "Organization");
                    json.put("id", payer);
                    json.put_object("meta", |json| {
                        json.put_list("profile", |json| {
                            json.item("http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-Organization|2.2.0");
                        });
                    });
                    organization(json, if card.is_plan() { "Silver Birch Health Plan" } else { INSURER });
                });
            });
            json.put_list("extension", |json| extensions(json, card));
            json.put_list("identifier", |json| json.object(|json| member_number(json, row, false)));
            json.put("status", "active");
            self.covered(json, card, row);
            json.put_object("beneficiary", |json| json.put("reference", format_args!("Patient/{patient}")));
            json.put_list("payor", |json| json.object(|json| json.put("reference", format_args!("#{payer}"))));
            plan_class(json, card);
        });
        out
    }

    /// The digital insurance card: its sentence in two languages, and new ids from `uuid` at every request.
    pub(crate) fn insurance_card(&self, mut uuid: impl FnMut() -> String) -> String {
        let row = self.row();
        let (patient, payer) = (uuid(), uuid());
        let mut out = String::with_capacity(12_000);
        Json::new(&mut out).object(|json| {
            json.put("resourceType", "Bundle");
            json.put_object("meta", |json| json.put("lastUpdated", "1970-01-01T00:00:00.000+00:00"));
            json.put("type", "collection");
            json.put_list("entry", |json| {
                entry(json, &patient, |json| {
                    json.put("resourceType", "Patient");
                    json.put("id", patient.as_str());
                    self.meta(json, &["insurance-card/StructureDefinition/C4DIC-Patient"]);
                    about(json, &row);
                    self.named(json, &row);
                    language(json, "unknown");
                });
                entry(json, &payer, |json| {
                    json.put("resourceType", "Organization");
                    json.put("id", payer.as_str());
                    json.put_object("meta", |json| {
                        json.put_list("profile", |json| {
                            json.item("http://hl7.org/fhir/us/insurance-card/StructureDefinition/C4DIC-Organization");
                        });
                    });
                    organization(json, INSURER);
                });
                for card in [Card::A, Card::B, Card::Dual] {
                    if card != Card::Dual || row.is_dual {
                        let id = uuid();
                        entry(json, &id, |json| self.card(json, card, &row, [&id, &patient, &payer]));
                    }
                }
            });
        });
        out
    }

    fn card(&self, json: &mut Json<'_>, card: Card, row: &PersonRow, [id, patient, payer]: [&str; 3]) {
        json.put("resourceType", "Coverage");
        json.put("id", id);
        self.meta(json, &["insurance-card/StructureDefinition/C4DIC-Coverage"]);
        json.put_list("extension", |json| {
            json.object(|json| {
                json.put("url", "http://hl7.org/fhir/us/insurance-card/StructureDefinition/C4DIC-AdditionalCardInformation-extension");
                json.put_object("valueAnnotation", |json| json.put("text", CARE));
            });
            if card != Card::Dual {
                coded(json, "BENE-MDCR-ENTLMT-RSN-CD", "0", "");
            }
        });
        json.put_list("identifier", |json| {
            json.object(|json| {
                member_number(json, row, false);
                json.put_object("assigner", |json| json.put("reference", format_args!("Organization/{payer}")));
            });
        });
        json.put("status", "active");
        json.put_object("subscriber", |json| json.put("reference", format_args!("Patient/{patient}")));
        self.covered(json, card, row);
        json.put_object("beneficiary", |json| json.put("reference", format_args!("Patient/{patient}")));
        json.put_list("payor", |json| json.object(|json| json.put("reference", format_args!("Organization/{payer}"))));
        plan_class(json, card);
    }

    /// What the insurance card and the Coverage share.
    fn covered(&self, json: &mut Json<'_>, card: Card, row: &PersonRow) {
        let (code, words) = card.kind();
        json.concept("type", &[Code(System::Url("https://nahdo.org/sopt"), code, words)]);
        json.put("subscriberId", row.mbi.as_str());
        json.concept("relationship", &[Code(System::Terminology("subscriber-relationship"), "self", "Self")]);
        json.put_object("period", |json| {
            if card == Card::C {
                let months = i16::try_from(self.months_in_plan()).unwrap_or(12);
                let first = Date::constant(2026, 1, 1);
                json.put("start", first);
                json.put("end", first.saturating_add(Span::new().months(months)).saturating_sub(Span::new().days(1)));
            } else {
                json.put("start", row.since());
            }
        });
    }

    fn named(&self, json: &mut Json<'_>, row: &PersonRow) {
        json.put_list("name", |json| json.object(|json| self.name(json, row)));
        gender_and_birth(json, row);
    }

    fn meta(&self, json: &mut Json<'_>, profiles: &[&str]) {
        json.put_object("meta", |json| {
            json.put("lastUpdated", FhirInstant { at: self.last_updated, eastern: false, milliseconds: true });
            json.put_list("profile", |json| {
                profiles.iter().for_each(|profile| json.item(format_args!("http://hl7.org/fhir/us/{profile}")));
            });
        });
    }
}

/// A request to the owner of a made-up card, in English and Spanish.
const CARE: &str = "This card is made up. Show a real one only to those who care for you.\n\nEsta tarjeta es inventada. Muestre una verdadera solamente a quienes le brindan atención médica. ¡ADVERTENCIA! No la preste.";

fn entry(json: &mut Json<'_>, id: &str, inside: impl FnOnce(&mut Json<'_>)) {
    json.object(|json| {
        json.put("fullUrl", format_args!("urn:uuid:{id}"));
        json.put_object("resource", inside);
    });
}

fn member_number(json: &mut Json<'_>, row: &PersonRow, since: bool) {
    json.concept("type", &[Code(System::Terminology("v2-0203"), "MB", "")]);
    json.put("system", "http://hl7.org/fhir/sid/us-mbi");
    json.put("value", row.mbi.as_str());
    if since {
        json.put_object("period", |json| json.put("start", "2020-01-01T00:00:00+00:00"));
    }
}

/// Sex and race, in the form of US Core.
fn about(json: &mut Json<'_>, row: &PersonRow) {
    const CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-";
    json.put_list("extension", |json| {
        json.object(|json| {
            json.put("url", format_args!("{CORE}sex"));
            json.put("valueCode", if row.is_female { "248152002" } else { "248153007" });
        });
        json.object(|json| {
            json.put("url", format_args!("{CORE}race"));
            json.put_list("extension", |json| {
                json.object(|json| {
                    json.put("url", "ombCategory");
                    json.put_object("valueCoding", |json| {
                        json.put("system", "urn:oid:2.16.840.1.113883.6.238");
                        json.put("code", "2106-3");
                        json.put("display", "White");
                    });
                });
                json.object(|json| {
                    json.put("url", "text");
                    // The server uses this type for it.
                    json.put("valueCode", "White");
                });
            });
        });
    });
}

fn language(json: &mut Json<'_>, code: &str) {
    json.put_list("communication", |json| {
        json.object(|json| json.concept("language", &[Code(System::Url("urn:ietf:bcp:47"), code, "")]));
    });
}

fn organization(json: &mut Json<'_>, name: &str) {
    json.put("active", true);
    json.put("name", name);
    json.put_list("contact", |json| {
        json.object(|json| {
            json.concept("purpose", &[Code(System::Terminology("contactentity-type"), "PATINF", "Patient")]);
            json.put_list("telecom", |json| {
                for (system, value) in
                    [("phone", "1-800-555-0100"), ("phone", "TTY: 1-800-555-0101"), ("url", "www.example.com")]
                {
                    json.object(|json| {
                        json.put("system", system);
                        json.put("value", value);
                    });
                }
            });
        });
    });
}

fn plan_class(json: &mut Json<'_>, card: Card) {
    json.put_list("class", |json| {
        let mut class = |kind: &str, value: &str| {
            json.object(|json| {
                json.concept("type", &[Code(System::Terminology("coverage-class"), kind, "")]);
                json.put("value", value);
            });
        };
        class("plan", card.plan());
        if card == Card::D {
            class("rxid", "194710044");
            class("rxgroup", "354");
            class("rxpcn", "609279");
            class("rxbin", "289653");
        }
    });
}

fn extensions(json: &mut Json<'_>, card: Card) {
    let text = |json: &mut Json<'_>, name: &str, value: &str| {
        json.object(|json| {
            json.put("url", System::FhirExtension(name));
            json.put("valueString", value);
        });
    };
    match card {
        Card::A | Card::B => {
            for (name, code) in [
                ("BENE-BUYIN-CD", "3"),
                ("BENE-ENRLMT-RSN-CD", "A"),
                ("BENE-MDCR-ENTLMT-STUS-CD", "Y"),
                ("BENE-MDCR-STUS-CD", "10"),
                ("BENE-ESRD-STUS-ID", "N"),
                ("BENE-DSBLD-STUS-ID", "N"),
                ("BENE-MDCR-ENTLMT-RSN-CD", "0"),
            ] {
                coded(json, name, code, "");
            }
        }
        Card::C | Card::D => {
            text(json, "BENE-CNTRCT-NUM", CONTRACT);
            text(json, "BENE-PBP-NUM", PLAN);
            coded(json, "BENE-CVRG-TYPE-CD", "11", "");
            coded(json, "BENE-ENRLMT-EMPLR-SBSDY-SW", "N", "");
            if card == Card::D {
                json.object(|json| {
                    json.put("url", System::FhirExtension("BENE-LIS-PTD-PRM-PCT"));
                    json.put("valueDecimal", 25);
                });
                coded(json, "BENE-LIS-COPMT-LVL-CD", "4", "");
            }
        }
        Card::Dual => {
            coded(json, "BENE-DUAL-STUS-CD", "02", "");
            coded(json, "BENE-DUAL-TYPE-CD", "F", "");
        }
    }
}
