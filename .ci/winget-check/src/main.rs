//! Reads winget manifests with the types of winget's community tools. What does not fit the schema, or has a field that the
//! schema does not have, is an error.
use winget_types::{VersionManifest, installer::InstallerManifest, locale::DefaultLocaleManifest};

type Done = Result<(), Box<dyn std::error::Error>>;

fn check<M: serde::de::DeserializeOwned + serde::Serialize>(path: &str) -> Done {
    let text = std::fs::read_to_string(path)?;
    let read: M = serde_yaml_ng::from_str(&text).map_err(|why| format!("{path}: {why}"))?;
    let there: serde_yaml_ng::Mapping = serde_yaml_ng::from_str(&text)?;
    let known = serde_yaml_ng::to_value(&read)?;
    for (field, value) in &there {
        let name = field.as_str().unwrap_or_default();
        if known.get(name).is_none() && name != "ManifestType" {
            return Err(format!("{path}: {name}: {value:?} is not in the schema").into());
        }
    }
    println!("{path}: {} fields", there.len());
    Ok(())
}

fn main() -> Done {
    for path in std::env::args().skip(1) {
        match path.rsplit('.').nth(1) {
            Some("installer") => check::<InstallerManifest>(&path)?,
            Some("en-US") => check::<DefaultLocaleManifest>(&path)?,
            _ => check::<VersionManifest>(&path)?,
        }
    }
    Ok(())
}
