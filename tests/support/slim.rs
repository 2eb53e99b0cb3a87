//! Claims of a kilobyte instead of twenty. These tests kill while claims are kept, not while they are read, and many
//! runs have to fit into a minute.

use bluebutton_mock::{
    Population,
    records::{ClaimHeader, Enrollee, Records, Version},
};
use jiff::Timestamp;

/// The people of a [`Population`], with claims that have few fields.
pub struct Slim(Population);

impl Slim {
    pub fn of(claims: usize) -> Box<dyn Records> {
        Box::new(Self(Population::new(7, 2, claims)))
    }
}

impl Records for Slim {
    fn serves(&self, version: Version) -> bool {
        version == Version::V2
    }

    fn enrollees(&self) -> usize {
        self.0.enrollees()
    }

    fn enrollee(&self, index: usize) -> Enrollee {
        self.0.enrollee(index)
    }

    fn claims(&self, version: Version, enrollee: usize) -> usize {
        self.0.claims(version, enrollee)
    }

    fn spare(&self, enrollee: usize, from: usize) -> usize {
        self.0.spare(enrollee, from)
    }

    fn claim_header(&self, version: Version, enrollee: usize, place: usize) -> ClaimHeader {
        self.0.claim_header(version, enrollee, place)
    }

    fn find_claim(&self, version: Version, enrollee: usize, id: &str) -> Option<usize> {
        self.0.find_claim(version, enrollee, id)
    }

    fn write_claim(&self, version: Version, enrollee: usize, place: usize, created: Timestamp, out: &mut String) {
        let ClaimHeader { id, last_updated, .. } = self.claim_header(version, enrollee, place);
        let patient = self.enrollee(enrollee).patient;
        let remark = "nothing to remark ".repeat(40);
        out.push_str(&format!(
            r#"{{"resourceType":"ExplanationOfBenefit","id":"{id}","meta":{{"lastUpdated":"{last_updated}"}},"patient":{{"reference":"Patient/{patient}"}},"created":"{created}","payment":{{"amount":{{"value":{place}.50}}}},"remark":"{remark}"}}"#,
        ));
    }

    fn patient(&self, version: Version, enrollee: usize) -> String {
        self.0.patient(version, enrollee)
    }

    fn coverage(&self, version: Version, enrollee: usize) -> Vec<(String, String)> {
        self.0.coverage(version, enrollee)
    }

    fn loaded(&self) -> Timestamp {
        self.0.loaded()
    }
}

/// A claim without `created`, which is the time of the download.
pub fn lasting(line: &str) -> String {
    const CREATED: &str = r#""created":""#;
    let from = line.find(CREATED).unwrap() + CREATED.len();
    let to = from + line[from..].find('"').unwrap();
    format!("{}{}", &line[..from], &line[to..])
}
