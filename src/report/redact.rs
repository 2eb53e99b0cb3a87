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
        let (billed, treated) = (claim.provider_npi.take(), claim.practitioner_npi.take());
        if claim.provider.is_none() && claim.practitioner.is_none() {
            // Nobody has a name, so the claim is from the one whose number it has.
            claim.provider = billed.or(treated).map(|npi| self.of(&npi));
        } else {
            // A number alone gets no name, because the claim is from the one with a name.
            claim.provider = claim.provider.take().map(|name| self.of(&billed.unwrap_or(name)));
            claim.practitioner = claim.practitioner.take().map(|name| self.of(&treated.unwrap_or(name)));
        }
        (claim.provider_contact, claim.number) = (None, None);
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

    /// A claim is from the one with a name, else from the one with a number: also after redaction.
    #[test]
    fn redaction_does_not_change_who_a_claim_is_from() {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let claim = |[provider, billed, practitioner, treated]: [&str; 4]| Claim {
            provider: some(provider),
            provider_npi: some(billed),
            practitioner: some(practitioner),
            practitioner_npi: some(treated),
            ..Claim::default()
        };
        let mut aliases = Aliases::default();
        let mut who = |parts| {
            let mut claim = claim(parts);
            aliases.redact(&mut claim);
            claim.who()
        };
        assert_eq!(who(["", "10", "Dr. One", "1"]).as_deref(), Some("Provider 1"));
        assert_eq!(who(["", "10", "Dr. Two", "2"]).as_deref(), Some("Provider 2"));
        assert_eq!(who(["", "10", "", "2"]).as_deref(), Some("Provider 3"));
        assert_eq!(who(["", "", "", "2"]).as_deref(), Some("Provider 2"));
        assert_eq!(who(["Clinic", "10", "Dr. One", "1"]).as_deref(), Some("Provider 3"));
        assert_eq!(who(["", "", "", ""]), None);
    }
}
