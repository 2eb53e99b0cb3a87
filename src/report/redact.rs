//! Redaction for a page that is shown to others: no names, no identifiers of people or claims.

use std::collections::BTreeMap;

use crate::claim::Claim;

/// Maps each provider to a neutral name: Provider 1, Provider 2.
#[derive(Default)]
pub(super) struct Aliases(BTreeMap<String, usize>);

impl Aliases {
    fn of(&mut self, name: &str) -> String {
        let next = self.0.len() + 1;
        format!("Provider {}", self.0.entry(name.to_owned()).or_insert(next))
    }

    /// Removes what identifies a person from a claim. What was done, when, and for how much stays.
    pub(super) fn redact(&mut self, claim: &mut Claim) {
        let mut alias = |name: &Option<String>, npi: &Option<String>| {
            npi.as_deref().or(name.as_deref()).map(|known| self.of(known))
        };
        claim.provider = alias(&claim.provider, &claim.provider_npi);
        claim.practitioner = alias(&claim.practitioner, &claim.practitioner_npi);
        (claim.provider_npi, claim.practitioner_npi, claim.provider_contact) = (None, None, None);
        claim.number = None;
        claim.care_team.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redaction_removes_names_but_keeps_providers_distinct() {
        let mut aliases = Aliases::default();
        let mut claims = ["1", "2", "1"].map(|npi| Claim {
            provider: Some(format!("Clinic {npi}")),
            provider_npi: Some(npi.to_owned()),
            number: Some("77".to_owned()),
            ..Claim::default()
        });
        claims.iter_mut().for_each(|claim| aliases.redact(claim));
        let names = claims.map(|claim| (claim.provider.unwrap(), claim.provider_npi, claim.number));
        assert_eq!(names.clone().map(|it| it.0), ["Provider 1", "Provider 2", "Provider 1"]);
        assert!(names.iter().all(|(_, npi, number)| npi.is_none() && number.is_none()));
    }
}
