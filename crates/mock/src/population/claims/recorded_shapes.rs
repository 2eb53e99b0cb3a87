//! Compares our resources with recorded ones: which paths a JSON value has, and which kinds of values are there.

#![allow(clippy::print_stderr, reason = "a comparison says what it measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::tests::recorded::recorded;

/// The percentage of our resources of a type that must have a path that all recorded ones have. Some of ours have no
/// provider or coding, like recorded ones of other years.
const MOST: usize = 85;

/// Each path, with the kinds of values there.
pub(super) type Paths = BTreeMap<String, BTreeSet<&'static str>>;

/// How many of our resources must have a path that all recorded ones have.
#[derive(PartialEq, Eq)]
pub(super) enum Need {
    Most,
    /// At least one, because only the single recorded claim of the type happens to have it.
    One,
    Nothing,
}

fn collect(value: &Value, path: &str, paths: &mut Paths) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(items) => {
            items.iter().for_each(|item| collect(item, &format!("{path}[]"), paths));
            "array"
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| collect(member, &format!("{path}.{name}"), paths));
            "object"
        }
    };
    paths.entry(path.to_owned()).or_default().insert(kind);
}

/// The paths of a value. Elements of a list share one path.
pub(super) fn paths(value: &Value) -> Paths {
    let mut found = Paths::new();
    collect(value, "", &mut found);
    found
}

/// The recorded resources of a version in files whose names begin with `prefix`, by the group that `group` returns,
/// if any. `None` if the payloads are not available.
pub(super) fn recorded_resources(
    version: &str,
    prefix: &str,
    group: impl Fn(&Value) -> Option<String>,
) -> Option<BTreeMap<String, Vec<Value>>> {
    let folder = recorded(version)?;
    let mut resources = BTreeMap::<String, Vec<Value>>::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let resource: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let found = match resource["entry"].as_array() {
            Some(entries) => entries.iter().map(|entry| entry["resource"].clone()).collect(),
            None => vec![resource],
        };
        for resource in found {
            if let Some(group) = group(&resource) {
                resources.entry(group).or_default().push(resource);
            }
        }
    }
    Some(resources)
}

/// The type of a claim, as at the beginning of ids of v1 and v2.
pub(super) fn claim_type(resource: &Value) -> Option<String> {
    resource["id"].as_str()?.split('-').next().map(str::to_owned)
}

/// How many lines a claim has.
pub(super) fn lines(claim: &Value) -> usize {
    claim["item"].as_array().map_or(0, Vec::len)
}

/// Fails if our resources lack a path that all recorded ones of their type share, or have another kind of value
/// there.
pub(super) fn assert_paths<'v, Ours: Iterator<Item = &'v Value>>(
    recorded: &BTreeMap<String, Vec<Value>>,
    ours: impl Fn(&str) -> Ours,
    need: impl Fn(&str, &str) -> Need,
) {
    let mut missing = Vec::new();
    for (group, recorded) in recorded {
        let recorded: Vec<Paths> = recorded.iter().map(paths).collect();
        let ours: Vec<Paths> = ours(group).map(paths).collect();
        let shared: Vec<&String> =
            recorded[0].keys().filter(|path| recorded.iter().all(|one| one.contains_key(*path))).collect();
        for path in &shared {
            let kinds: BTreeSet<_> = recorded.iter().flat_map(|one| &one[*path]).collect();
            let having = ours.iter().filter(|one| one.contains_key(*path)).count();
            let same_kind = ours.iter().filter_map(|one| one.get(*path)).flatten().all(|found| kinds.contains(found));
            let is_met = match need(group, path) {
                Need::Most => having * 100 >= ours.len() * MOST && same_kind,
                Need::One => having > 0 && same_kind,
                Need::Nothing => true,
            };
            if !is_met {
                missing.push(format!("{group}: {path} in {having} of {}, same kind: {same_kind}", ours.len()));
            }
        }
        eprintln!("{group}: {} shared paths, {} of ours", shared.len(), ours.len());
    }
    assert!(missing.is_empty(), "{} paths:\n{}", missing.len(), missing.join("\n"));
}

/// Fails if one of our sizes is more than a quarter below the smallest recorded one or above the largest. Some types
/// have only one recorded claim, so the range is that wide.
pub(super) fn assert_sizes(group: &str, recorded: &[Value], ours: impl Iterator<Item = usize>) {
    let sizes = || recorded.iter().map(|one| one.to_string().len());
    let (smallest, largest) = (sizes().min().unwrap(), sizes().max().unwrap());
    let ours: Vec<usize> = ours.collect();
    let (least, most) = (*ours.iter().min().unwrap(), *ours.iter().max().unwrap());
    eprintln!("{group}: recorded {smallest}..{largest}; ours {least}..{most}");
    assert!(least * 100 >= smallest * 75, "{group}: {least} is smaller than {smallest}");
    assert!(most * 100 <= largest * 125, "{group}: {most} is larger than {largest}");
}
