//! Decides what to pull: searches and documents, from the resources that were named and the scopes that were granted.

use super::withheld;
use crate::{
    api::endpoints::Searchable,
    api_version::ApiVersion,
    auth::token::Grant,
    error::{Error, ErrorKind, Result},
};

pub(crate) use crate::resource::Resource;

/// Something to pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A search of one resource type.
    Search(Searchable),
    /// Who logged in.
    UserInfo,
    /// The digital insurance card.
    InsuranceCard,
}

impl Target {
    /// Claims.
    pub(crate) const CLAIMS: Self = Self::Search(Searchable::ExplanationOfBenefit);

    /// Its name in an archive.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Search(resource) => resource.name(),
            Self::UserInfo => "UserInfo",
            Self::InsuranceCard => "InsuranceCard",
        }
    }

    /// Whether the granted scopes cover it.
    pub(super) fn is_granted(self, grant: &Grant) -> bool {
        // If a server names no scopes at all, the only way is to ask it for the resource.
        grant.scopes.is_empty()
            || match self {
                Self::Search(resource) => grant.allows(resource.name()),
                Self::UserInfo => grant.allows_userinfo(),
                Self::InsuranceCard => grant.allows("Patient") && grant.allows("Coverage"),
            }
    }
}

/// What a person can type to log in.
pub(crate) struct Logins {
    /// The same log-in again.
    pub again: String,
    /// A log-in at API v3, under a separate profile.
    pub v3: String,
}

/// What to fetch, and what was not granted.
pub(super) fn choose(
    resources: &[Resource],
    api: ApiVersion,
    grant: &Grant,
    logins: &Logins,
) -> Result<(Vec<Target>, Vec<&'static str>)> {
    let mut targets = Vec::new();
    let mut withheld = Vec::new();
    let mut add = |target: Target| {
        if !targets.contains(&target) {
            targets.push(target);
        }
    };
    for resource in resources {
        let target = match resource {
            Resource::Eob => Target::CLAIMS,
            Resource::Patient => Target::Search(Searchable::Patient),
            Resource::Coverage => Target::Search(Searchable::Coverage),
            Resource::Userinfo => Target::UserInfo,
            Resource::InsuranceCard => Target::InsuranceCard,
            Resource::All => {
                for target in everything(api) {
                    if target.is_granted(grant) {
                        add(target);
                    } else {
                        withheld.push(target.name());
                    }
                }
                continue;
            }
        };
        if target == Target::InsuranceCard && api != ApiVersion::V3 {
            return Err(Error::new(ErrorKind::ApiVersion, format!("API {api} has no insurance card, but v3 does"))
                .hint(format!("Log in with API v3, under a profile of its own: {}", logins.v3)));
        }
        if !target.is_granted(grant) {
            return Err(withheld::refused(target, &logins.again));
        }
        add(target);
    }
    Ok((targets, withheld))
}

fn everything(api: ApiVersion) -> Vec<Target> {
    let mut targets = vec![
        Target::Search(Searchable::ExplanationOfBenefit),
        Target::Search(Searchable::Patient),
        Target::Search(Searchable::Coverage),
        Target::UserInfo,
    ];
    if api == ApiVersion::V3 {
        targets.push(Target::InsuranceCard);
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn grant(scopes: &[&str]) -> Grant {
        Grant { scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(), ..Grant::default() }
    }

    fn logins() -> Logins {
        Logins { again: "bbdl login".to_owned(), v3: "bbdl login --api v3 --profile default-v3".to_owned() }
    }

    #[test]
    fn all_skips_withheld_resources_and_names_them() {
        let grant = grant(&["patient/ExplanationOfBenefit.read", "patient/Coverage.rs"]);
        let (targets, withheld) = choose(&[Resource::All], ApiVersion::V2, &grant, &logins()).unwrap();
        let names: Vec<_> = targets.iter().map(|target| target.name()).collect();
        assert_eq!(names, ["ExplanationOfBenefit", "Coverage"]);
        assert_eq!(withheld, ["Patient", "UserInfo"]);
    }

    #[test]
    fn a_withheld_resource_named_by_the_user_is_an_error() {
        let grant = grant(&["patient/ExplanationOfBenefit.read"]);
        let error = choose(&[Resource::Eob, Resource::Patient], ApiVersion::V2, &grant, &logins()).unwrap_err();
        assert_eq!((error.exit(), error.kind), (Exit::PersonMustAct, ErrorKind::Withheld));
        let error = choose(&[Resource::InsuranceCard], ApiVersion::V2, &grant, &logins()).unwrap_err();
        assert_eq!(error.exit(), Exit::NotSetUp);
    }
}
