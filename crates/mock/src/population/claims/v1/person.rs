//! The Patient and the four Coverage resources of a made-up person in v1.

use jiff::civil::Date;
use sha2::{Digest, Sha256};

use super::super::json::Json;
use super::super::person::{Person, dual_status, gender_and_birth, race, state_and_zip};
use super::super::vocabulary::System;
use crate::ids::hex;

impl Person<'_> {
    /// The v1 Patient: like v2's, but with a hash instead of the Medicare number, and without the extensions of US
    /// Core, which came with v2.
    pub(crate) fn patient_v1(&self) -> String {
        let row = self.row();
        let mut out = String::with_capacity(4096);
        Json::new(&mut out).object(|json| {
            self.head(json, "Patient", format_args!("-{}", self.patient), None);
            json.put_list("extension", |json| {
                race(json, &row);
                dual_status(json, &row);
            });
            json.put_list("identifier", |json| {
                json.object(|json| {
                    json.put("system", System::Variable("bene_id"));
                    json.put("value", format_args!("-{}", self.patient));
                });
                json.object(|json| {
                    json.put("system", "https://bluebutton.cms.gov/resources/identifier/mbi-hash");
                    // CMS hashes with its own secret. Here, any 64 hexadecimal digits that stay the same are good
                    // enough.
                    json.put("value", hex(&Sha256::digest(row.mbi.as_bytes())).as_str());
                    json.put_object("period", |json| json.put("start", Date::constant(2020, 1, 1)));
                });
            });
            self.usual_name(json, &row);
            gender_and_birth(json, &row);
            json.put_list("address", |json| json.object(|json| state_and_zip(json, &row)));
        });
        out
    }

    /// The v1 Coverage of one part of Medicare: its id and the resource.
    pub(crate) fn coverage_v1(&self, part: char) -> (String, String) {
        let row = self.row();
        let id = format!("part-{part}--{}", self.patient);
        let plan = format!("Part {}", part.to_ascii_uppercase());
        let mut out = String::with_capacity(20_000);
        Json::new(&mut out).object(|json| {
            self.head(json, "Coverage", format_args!("{id}"), None);
            json.put_list("extension", |json| self.coverage_extensions(json, &row, part));
            json.put("status", "active");
            json.put_object("type", |json| {
                json.put_list("coding", |json| {
                    json.object(|json| {
                        json.put("system", "Medicare");
                        json.put("code", plan.as_str());
                    });
                });
            });
            json.put_object("beneficiary", |json| json.put("reference", format_args!("Patient/-{}", self.patient)));
            if matches!(part, 'a' | 'b') {
                json.put_object("period", |json| json.put("start", row.since()));
            }
            json.put_object("grouping", |json| {
                json.put("subGroup", "Medicare");
                json.put("subPlan", plan.as_str());
            });
        });
        (id, out)
    }
}
