//! Which paths a JSON value has: how our claims are compared with real ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Each path, and what kinds of value stand there.
pub(super) type Paths = BTreeMap<String, BTreeSet<&'static str>>;

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

/// The paths of a value; elements of a list are one path.
pub(super) fn paths(value: &Value) -> Paths {
    let mut found = Paths::new();
    collect(value, "", &mut found);
    found
}
