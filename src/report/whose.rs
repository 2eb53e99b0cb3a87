//! Who the page is about, and where its claims come from.

use std::path::Path;

use crate::{
    archive::{manifest::Manifest, reader::whole},
    claim::archived::{name, read_json},
    error::Result,
    origin::{PRODUCTION, SANDBOX},
};

/// Who the page is about.
pub(super) struct Whose {
    /// A name: the enrollee's, if demographic data were shared; else the profile's; else the end of the patient's
    /// number.
    pub(super) name: String,
    /// Where the claims come from, as text.
    pub(super) source: String,
}

impl Whose {
    /// `profile` is the name of the log-in that filled the archive, if it is known and informative.
    pub(super) fn of(dir: &Path, manifest: &Manifest, profile: Option<&str>) -> Result<Self> {
        let patient = whole(dir, "Patient")?;
        let named = patient.as_deref().and_then(|text| text.lines().find_map(named));
        let named = match named {
            Some(name) => Some(name),
            None => whole(dir, "UserInfo")?.as_deref().and_then(self::named),
        };
        let masked = || {
            let id = manifest.source.patient.as_deref().unwrap_or_default();
            let end: Vec<char> = id.chars().rev().take(4).collect();
            match end.len() {
                4 => format!("the person whose number ends in {}", end.iter().rev().collect::<String>()),
                _ => "one person".to_owned(),
            }
        };
        let name = named.or_else(|| profile.map(str::to_owned)).unwrap_or_else(masked);
        Ok(Self { name, source: source(manifest) })
    }

    /// For a redacted page, without a name.
    pub(super) fn nobody(manifest: &Manifest) -> Self {
        Self { name: "one person".to_owned(), source: source(manifest) }
    }
}

fn source(manifest: &Manifest) -> String {
    match manifest.source.server.to_string().trim_end_matches('/') {
        PRODUCTION => "from Medicare Blue Button, production".to_owned(),
        SANDBOX => "from Medicare Blue Button, sandbox (made-up people)".to_owned(),
        other => format!("from {other}, which is not Medicare\u{2019}s own server"),
    }
}

/// The name in a Patient or in UserInfo.
fn named(text: &str) -> Option<String> {
    read_json(text).ok().and_then(|(person, _)| name(&person))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_if_there_is_one() {
        let patient = r#"{"resourceType":"Patient","name":[{"use":"usual","family":"Muñoz","given":["Zoë","A"]}]}"#;
        assert_eq!(named(patient).as_deref(), Some("Zoë A Muñoz"));
        assert_eq!(named(r#"{"name":[{}]}"#), None);
        assert_eq!(named(r#"{"name":[{"given":[" "],"family":""}]}"#), None);
        assert_eq!(named(r#"{"name":" ","sub":"1"}"#), None);
        assert_eq!(named(r#"{"name":"Zoë Muñoz"}"#).as_deref(), Some("Zoë Muñoz"));
        assert_eq!(named(r#"{"name":[{"family":"Mu\ud800oz"}]}"#).as_deref(), Some("Mu\u{fffd}oz"));
    }
}
