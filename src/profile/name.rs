//! The name of a profile.

use std::{fmt, str::FromStr};

/// The name of a profile: letters, digits, `.`, `_`, `-`; at most 64; not starting with a dot or dash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileName(String);

impl ProfileName {
    /// The profile used when none is named.
    pub const DEFAULT: &str = "default";
    const LONGEST: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This name with something added at the end.
    #[must_use]
    pub fn with_ending(&self, ending: &str) -> Self {
        let begun: String = self.0.chars().take(Self::LONGEST.saturating_sub(ending.len())).collect();
        format!("{begun}{ending}").parse().unwrap_or_else(|_| self.clone())
    }

    /// A name that an older version may have created, on a system that allows it.
    #[cfg(test)]
    pub(super) fn unchecked(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether Windows treats a file with this name as a device, with any extension.
    pub(super) fn is_a_device(&self) -> bool {
        const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
        let stem = self.0.split('.').next().unwrap_or_default().to_ascii_lowercase();
        let is_port = stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.ends_with(|c: char| c.is_ascii_digit());
        DEVICES.contains(&stem.as_str()) || is_port
    }

    /// A form that is equal for names that differ only in upper and lower case.
    pub(super) fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for ProfileName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits = !text.is_empty() && text.len() <= Self::LONGEST && !text.starts_with(['.', '-']);
        if !fits || !text.chars().all(allowed) {
            return Err(
                "a profile name is 1 to 64 letters, digits, '.', '_' or '-', and does not start with '.' or '-'".into(),
            );
        }
        let name = Self(text.to_owned());
        // Windows cannot have such a profile, and looking for its file may never end.
        if cfg!(windows) && name.is_a_device() {
            return Err(super::NameRefused::Device { name }.to_string());
        }
        Ok(name)
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The flag that names a profile, with a blank before it; empty for the default profile.
#[must_use]
pub fn profile_option(name: &ProfileName) -> String {
    if name.as_str() == ProfileName::DEFAULT { String::new() } else { format!(" --profile {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_names_are_fit_to_be_file_names() {
        for good in ["default", "mom", "study-17.a_b", "Mom", "com10", "console", "null", "lpt"] {
            assert!(good.parse::<ProfileName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", "-x", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<ProfileName>().is_err(), "{bad}");
        }
    }
}
