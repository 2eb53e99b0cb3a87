//! The Patient and the four Coverage resources of a made-up person in v1.

use sha2::{Digest, Sha256};

use super::super::datetime::FhirInstant;
use super::super::eastern;
use super::super::facts::{Identifier, PersonFacts, tail};
use super::super::json::Json;
use super::super::person::Person;
use super::parts::{extension, period};

impl Person<'_> {
    /// The v1 Patient: as in v2, but with a hash in place of the Medicare number.
    pub(crate) fn patient_v1(&self) -> String {
        let text = self.patient();
        let facts = PersonFacts::of(&text);
        let mut out = String::with_capacity(4096);
        Json::new(&mut out).object(|json| {
            self.head_v1(json, "Patient", format_args!("-{}", self.patient));
            extensions(json, &facts);
            json.put_list("identifier", |json| facts.identifier.iter().for_each(|one| identifier(json, one)));
            json.put_list("name", |json| {
                for name in &facts.name {
                    json.object(|json| {
                        json.put("use", "usual");
                        json.put("family", name.family.as_str());
                        json.put_list("given", |json| name.given.iter().for_each(|given| json.item(given.as_str())));
                    });
                }
            });
            json.put("gender", facts.gender.as_str());
            json.put("birthDate", facts.birth_date.as_str());
            json.put_list("address", |json| {
                for address in &facts.address {
                    json.object(|json| {
                        json.put("state", address.state.as_str());
                        json.put("postalCode", address.postal_code.as_str());
                    });
                }
            });
        });
        out
    }

    /// The v1 Coverage of one of the parts of Medicare: its id and the resource.
    pub(crate) fn coverage_v1(&self, part: char) -> (String, String) {
        let (id, text) = self.coverage(part);
        let facts = PersonFacts::of(&text);
        let mut out = String::with_capacity(20_000);
        Json::new(&mut out).object(|json| {
            self.head_v1(json, "Coverage", format_args!("{id}"));
            extensions(json, &facts);
            json.put("status", "active");
            let plan = format!("Part {}", part.to_ascii_uppercase());
            json.put_object("type", |json| {
                json.put_list("coding", |json| {
                    json.object(|json| {
                        json.put("system", "Medicare");
                        json.put("code", plan.as_str());
                    });
                });
            });
            json.put_object("beneficiary", |json| json.put("reference", format_args!("Patient/-{}", self.patient)));
            if let Some(value) = &facts.period {
                period(json, "period", value);
            }
            json.put_object("grouping", |json| {
                json.put("subGroup", "Medicare");
                json.put("subPlan", plan.as_str());
            });
        });
        (id, out)
    }

    fn head_v1(&self, json: &mut Json<'_>, kind: &str, id: std::fmt::Arguments<'_>) {
        json.put("resourceType", kind);
        json.put("id", id);
        json.put_object("meta", |json| {
            let at = self.last_updated;
            json.put("lastUpdated", FhirInstant { at, eastern: eastern(at), milliseconds: true });
        });
    }
}

/// CMS's own extensions. Those of US Core, which nest, came with v2.
fn extensions(json: &mut Json<'_>, facts: &PersonFacts<'_>) {
    json.put_list("extension", |json| {
        let own = facts.extension.iter().filter(|one| one.url.starts_with("https://bluebutton.cms.gov/"));
        own.for_each(|one| extension(json, one));
    });
}

fn identifier(json: &mut Json<'_>, identifier: &Identifier<'_>) {
    json.object(|json| {
        if tail(&identifier.system) == "us-mbi" {
            json.put("system", "https://bluebutton.cms.gov/resources/identifier/mbi-hash");
            // CMS hashes with a secret of its own; any 64 hexadecimal digits that stay the same do here.
            let hash = Sha256::digest(identifier.value.as_bytes());
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            json.put("value", hash.as_str());
        } else {
            json.put("system", identifier.system.as_str());
            json.put("value", identifier.value.as_str());
        }
        if let Some(value) = &identifier.period {
            period(json, "period", value);
        }
    });
}
