//! Single documents: whether two downloads have the same content.

use serde_json::Value;

/// Whether two documents differ only in ids that the server made up for the answer. In an insurance card, API v3
/// gives the entries new UUIDs at each call, in `id`, `fullUrl` and the references between them.
#[must_use]
pub(crate) fn says_the_same(one: &str, other: &str) -> bool {
    let settled = |text: &str| serde_json::from_str(text).ok().map(without_made_up_ids);
    one == other || settled(one).zip(settled(other)).is_some_and(|(one, other)| one == other)
}

fn without_made_up_ids(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields
                .into_iter()
                .filter(|(name, value)| !matches!(name.as_str(), "id" | "fullUrl" | "reference") || !is_uuid(value));
            Value::Object(kept.map(|(name, value)| (name, without_made_up_ids(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_made_up_ids).collect()),
        value => value,
    }
}

/// Whether this is a UUID (RFC 9562 section 4), alone, as a URN or at the end of a reference (`Patient/…`).
fn is_uuid(value: &Value) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let Some(text) = value.as_str() else { return false };
    let text = text.strip_prefix("urn:uuid:").or(text.rsplit('/').next()).unwrap_or(text);
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq(GROUPS)
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0b6c8f9e-3a52-4d0e-9b1d-0123456789ab";
    const OTHER: &str = "ffffffff-3a52-4d0e-9b1d-0123456789ab";

    fn card(id: &str, plan: &str) -> String {
        format!(
            r#"{{"resourceType":"Bundle","entry":[{{"fullUrl":"urn:uuid:{id}","resource":{{"resourceType":"Coverage","id":"{id}","identifier":[{{"id":"part-a"}}],"payor":[{{"reference":"urn:uuid:{id}"}}],"beneficiary":{{"reference":"Patient/{id}"}},"plan":"{plan}"}}}}]}}"#
        )
    }

    #[test]
    fn only_fresh_ids_are_ignored_when_comparing() {
        assert!(says_the_same(&card(ONE, "A"), &card(OTHER, "A")));
        assert!(!says_the_same(&card(ONE, "A"), &card(ONE, "B")));
        assert!(!says_the_same(&card(ONE, "A").replace("part-a", "part-b"), &card(ONE, "A")));
        assert!(!says_the_same("not JSON", "not JSON either"));
        assert!(!says_the_same("{}", "not JSON"));
    }
}
