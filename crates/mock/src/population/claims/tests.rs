//! Compares our v2 claims with recorded ones: every path that all recorded claims of a type share, and their sizes.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use super::super::Population;
use super::recorded_shapes::{Need, assert_paths, assert_sizes, claim_type, lines, recorded_resources};
use crate::records::{Records, Version};

fn recorded_claims() -> Option<BTreeMap<String, Vec<Value>>> {
    recorded_resources("v2", "eob-", claim_type)
}

/// Some of our claims by type, with their compact sizes. They are made once for both tests.
fn our_claims() -> &'static BTreeMap<String, Vec<(Value, usize)>> {
    static CLAIMS: OnceLock<BTreeMap<String, Vec<(Value, usize)>>> = OnceLock::new();
    CLAIMS.get_or_init(generate)
}

fn generate() -> BTreeMap<String, Vec<(Value, usize)>> {
    let population = Population::new(2026, 2, 700);
    let mut claims = BTreeMap::<String, Vec<(Value, usize)>>::new();
    let mut text = String::new();
    for enrollee in 0..2 {
        for position in 0..population.claims(Version::V2, enrollee) {
            text.clear();
            population.write_claim(Version::V2, enrollee, position, population.loaded(), &mut text);
            let claim = serde_json::from_str(&text).unwrap();
            let kind = population.claim_header(Version::V2, enrollee, position).kind;
            claims.entry(kind.to_owned()).or_default().push((claim, text.len()));
        }
    }
    claims
}

#[test]
fn every_path_that_all_recorded_claims_share_is_in_most_of_ours() {
    let Some(recorded) = recorded_claims() else { return };
    assert_eq!(recorded.len(), 8, "one group a claim type");
    assert_paths(&recorded, |kind| our_claims()[kind].iter().map(|(claim, _)| claim), |_, _| Need::Most);
}

#[test]
fn sizes_are_those_of_recorded_claims_with_as_many_lines() {
    let Some(recorded) = recorded_claims() else { return };
    for (kind, recorded) in &recorded {
        let most_lines = recorded.iter().map(lines).max().unwrap();
        let ours = || our_claims()[kind].iter();
        let short = ours().filter(|(claim, _)| lines(claim) <= most_lines);
        assert_sizes(kind, recorded, short.map(|(_, size)| *size));
        let ordinary = ours().filter(|(claim, _)| lines(claim) <= 12);
        assert!(ordinary.clone().all(|(_, size)| (7_500..=106_000).contains(size)), "{kind}");
    }
}
