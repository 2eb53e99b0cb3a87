//! Ours against the real ones: every path that all real claims of a type share, and their sizes.

#![allow(clippy::print_stderr, reason = "a comparison says what it measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::OnceLock;

use serde_json::Value;

use super::super::Population;
use super::json_shape::{Paths, paths};
use crate::records::{Records, Version};
use crate::tests::recorded::recorded;

/// The share of our claims of a type that must have a path which all real ones have. Some leave a
/// provider or a coding out, as the real ones of other years do.
const MOST: usize = 85;

/// The real v2 claims by type; none where the shared payloads are not at hand.
fn real_claims() -> Option<BTreeMap<String, Vec<Value>>> {
    let folder = recorded("v2")?;
    let mut claims = BTreeMap::<String, Vec<Value>>::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_string_lossy().starts_with("eob-") {
            continue;
        }
        let resource: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let found = match resource["entry"].as_array() {
            Some(entries) => entries.iter().map(|entry| entry["resource"].clone()).collect(),
            None => vec![resource],
        };
        for claim in found {
            let kind = claim["id"].as_str().unwrap().split('-').next().unwrap().to_owned();
            claims.entry(kind).or_default().push(claim);
        }
    }
    Some(claims)
}

/// Some of ours by type, with their compact sizes; made once for both tests.
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

fn lines(claim: &Value) -> usize {
    claim["item"].as_array().map_or(0, Vec::len)
}

#[test]
fn every_path_that_all_real_claims_share_is_in_most_of_ours() {
    let Some(real) = real_claims() else { return };
    let ours = our_claims();
    assert_eq!(real.len(), 8, "one group a claim type");
    let mut missing = Vec::new();
    for (kind, real) in &real {
        let real: Vec<Paths> = real.iter().map(paths).collect();
        let ours: Vec<Paths> = ours[kind].iter().map(|(claim, _)| paths(claim)).collect();
        let shared: Vec<&String> =
            real[0].keys().filter(|path| real.iter().all(|one| one.contains_key(*path))).collect();
        let mut covered = 0;
        for path in &shared {
            let kinds: BTreeSet<_> = real.iter().flat_map(|one| &one[*path]).collect();
            let having = ours.iter().filter(|one| one.contains_key(*path)).count();
            let same_kind = ours.iter().filter_map(|one| one.get(*path)).flatten().all(|found| kinds.contains(found));
            if having * 100 >= ours.len() * MOST && same_kind {
                covered += 1;
            } else {
                missing.push(format!("{kind}: {path} in {having} of {}, same kind: {same_kind}", ours.len()));
            }
        }
        eprintln!("{kind}: {covered} of {} paths, {} of ours", shared.len(), ours.len());
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn sizes_are_those_of_real_claims_with_as_many_lines() {
    let Some(real) = real_claims() else { return };
    let ours = our_claims();
    for (kind, real) in &real {
        let real: Vec<(usize, usize)> = real.iter().map(|claim| (lines(claim), claim.to_string().len())).collect();
        let most_lines = real.iter().map(|(lines, _)| *lines).max().unwrap();
        let (smallest, largest) =
            (real.iter().map(|(_, size)| *size).min().unwrap(), real.iter().map(|(_, size)| *size).max().unwrap());
        let mut sizes: Vec<usize> =
            ours[kind].iter().filter(|(claim, _)| lines(claim) <= most_lines).map(|(_, size)| *size).collect();
        sizes.sort_unstable();
        let mut all: Vec<usize> = ours[kind].iter().map(|(_, size)| *size).collect();
        all.sort_unstable();
        eprintln!(
            "{kind}: real {smallest}..{largest} (up to {most_lines} lines); ours {}..{}, median {}; all {}..{}, median {}",
            sizes[0],
            sizes[sizes.len() - 1],
            sizes[sizes.len() / 2],
            all[0],
            all[all.len() - 1],
            all[all.len() / 2],
        );
        // One golden claim stands for some types: a quarter either way is their range.
        assert!(sizes[0] * 100 >= smallest * 75, "{kind}: {} is smaller than {smallest}", sizes[0]);
        assert!(sizes[sizes.len() - 1] * 100 <= largest * 125, "{kind}: larger than {largest}");
        let ordinary = ours[kind].iter().filter(|(claim, _)| lines(claim) <= 12);
        assert!(ordinary.clone().all(|(_, size)| (7_500..=106_000).contains(size)), "{kind}");
    }
}
