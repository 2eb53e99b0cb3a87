//! What to fetch: from the command line and the scopes granted to searches with their parameters.

use crate::{
    api::endpoints::Searchable,
    api_version::ApiVersion,
    archive::manifest::Query,
    auth::token::Grant,
    claim::Kind,
    cli::{self, Fetch, Resource},
    error::{Error, ErrorKind, Result},
};

/// Something to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Search(Searchable),
    UserInfo,
    InsuranceCard,
}

impl Target {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Search(resource) => resource.name(),
            Self::UserInfo => "UserInfo",
            Self::InsuranceCard => "InsuranceCard",
        }
    }

    /// Whether the scopes granted cover it.
    pub(super) fn is_granted(self, grant: &Grant) -> bool {
        // A server that names no scopes at all has to be asked.
        grant.scopes.is_empty()
            || match self {
                Self::Search(resource) => grant.allows(resource.name()),
                Self::UserInfo => grant.allows_userinfo(),
                Self::InsuranceCard => grant.allows("Patient") && grant.allows("Coverage"),
            }
    }
}

/// What a person can type to log in.
pub(super) struct Logins {
    /// As before.
    pub(super) again: String,
    /// At API v3, under a profile of its own.
    pub(super) v3: String,
}

/// What to fetch, and what was not granted of it.
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
            Resource::Eob => Target::Search(Searchable::ExplanationOfBenefit),
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
            return Err(Error::new(ErrorKind::ApiVersion, format!("API {api} has no insurance card; v3 has"))
                .hint(format!("Log in with API v3, under a profile of its own: {}", logins.v3)));
        }
        if !target.is_granted(grant) {
            return Err(Error::new(
                ErrorKind::Withheld,
                format!(
                    "{}: the enrollee did not share it with this app, or the app may not ask for it",
                    target.name()
                ),
            )
            .hint(format!("The enrollee can share it in a new log-in: {}", logins.again)));
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

/// The parameters of a claim search, page size left out.
pub(super) fn claim_query(args: &Fetch, api: ApiVersion) -> Result<Query> {
    let has_filter = !(args.types.is_empty()
        && args.service_date.is_empty()
        && args.last_updated.is_empty()
        && args.source.is_empty());
    if has_filter && !args.resources.iter().any(|resource| matches!(resource, Resource::Eob | Resource::All)) {
        return Err(Error::usage(
            "--type, --service-date, --last-updated and --source are for claims: fetch eob or all",
        ));
    }
    if api != ApiVersion::V3 && !args.source.is_empty() {
        return Err(Error::usage(format!("--source is for API v3; this profile uses {api}, which would ignore it")));
    }
    for (flag, bounds) in [("--service-date", &args.service_date), ("--last-updated", &args.last_updated)] {
        one_bound_a_side(flag, bounds)?;
    }
    let mut query = Query::new();
    // The same filters in another order are the same filters.
    let types = in_order(args.types.iter().map(|kind| Kind::name(*kind)));
    if !types.is_empty() {
        query.push(("type".to_owned(), types.join(",")));
    }
    for (name, bounds) in [("service-date", &args.service_date), ("_lastUpdated", &args.last_updated)] {
        let bounds = in_order(bounds.iter().map(String::as_str));
        query.extend(bounds.into_iter().map(|bound| (name.to_owned(), bound.to_owned())));
    }
    let sources = in_order(args.source.iter().map(|source| source_name(*source)));
    if !sources.is_empty() {
        query.push(("_source".to_owned(), sources.join(",")));
    }
    Ok(query)
}

fn in_order<'t>(words: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    words.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The server's back end refuses two bounds on one side.
fn one_bound_a_side(flag: &str, bounds: &[String]) -> Result<()> {
    for side in ["g", "l"] {
        if bounds.iter().filter(|bound| bound.starts_with(side)).count() > 1 {
            return Err(Error::usage(format!("{flag}: at most one lower (ge, gt) and one upper (le, lt) bound")));
        }
    }
    Ok(())
}

fn source_name(source: cli::Source) -> &'static str {
    match source {
        cli::Source::Nch => "NCH",
        cli::Source::Ddps => "DDPS",
        cli::Source::Fiss => "FISS",
        cli::Source::Mcs => "MCS",
        cli::Source::Vms => "VMS",
        cli::Source::Cwf => "CWF",
    }
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
    fn all_leaves_out_what_was_withheld_and_names_it() {
        let grant = grant(&["patient/ExplanationOfBenefit.read", "patient/Coverage.rs"]);
        let (targets, withheld) = choose(&[Resource::All], ApiVersion::V2, &grant, &logins()).unwrap();
        let names: Vec<_> = targets.iter().map(|target| target.name()).collect();
        assert_eq!(names, ["ExplanationOfBenefit", "Coverage"]);
        assert_eq!(withheld, ["Patient", "UserInfo"]);
    }

    #[test]
    fn what_is_named_and_withheld_needs_a_person() {
        let grant = grant(&["patient/ExplanationOfBenefit.read"]);
        let error = choose(&[Resource::Eob, Resource::Patient], ApiVersion::V2, &grant, &logins()).unwrap_err();
        assert_eq!((error.exit(), error.kind), (Exit::PersonMustAct, ErrorKind::Withheld));
        let error = choose(&[Resource::InsuranceCard], ApiVersion::V2, &grant, &logins()).unwrap_err();
        assert_eq!(error.exit(), Exit::NotSetUp);
    }
}
