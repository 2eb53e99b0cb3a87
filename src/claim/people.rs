//! Who billed and who treated. The same role means different things in each version.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{
    Family,
    json_access::{self, each, extension, is, said, text},
    kind::Version,
};

/// A person or organization that took part in the care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The code of the role.
    pub role: Option<String>,
    /// A name, if the server gives one.
    pub name: Option<String>,
    /// National Provider Identifier.
    pub npi: Option<String>,
}

/// A person or organization with a name, a number, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) name: Option<String>,
    pub(super) npi: Option<String>,
}

impl Party {
    /// Adds what another place says about the same party. If the two places name two parties, the first one with a
    /// name counts, with its own number: no one gets the number of somebody else.
    fn or(self, other: Self) -> Self {
        fn agree(one: Option<&String>, other: Option<&String>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        if agree(self.name.as_ref(), other.name.as_ref()) && agree(self.npi.as_ref(), other.npi.as_ref()) {
            Self { name: self.name.or(other.name), npi: self.npi.or(other.npi) }
        } else if self.name.is_none() && other.name.is_some() {
            other
        } else {
            self
        }
    }
}

/// A claim, with its contained resources by id. A claim can have thousands of both references and resources.
struct Parties<'v> {
    claim: &'v Value,
    contained: HashMap<&'v str, &'v Value>,
}

impl<'v> Parties<'v> {
    fn of(claim: &'v Value) -> Self {
        let mut contained = HashMap::new();
        for resource in each(claim, "contained") {
            if let Some(id) = text(resource, "id") {
                contained.entry(id).or_insert(resource);
            }
        }
        Self { claim, contained }
    }

    /// The contained resource that a reference names.
    fn contained(&self, reference: &Value) -> Option<&'v Value> {
        self.contained.get(text(reference, "reference")?.strip_prefix('#')?).copied()
    }

    /// The person or organization of a reference, or of the contained resource that it names.
    fn party(&self, reference: &Value) -> Party {
        let resource = self.contained(reference);
        let own = npi(std::iter::once(&reference["identifier"]));
        Party {
            name: said(reference, "display").or_else(|| resource.and_then(name)),
            npi: own.or_else(|| npi(resource.into_iter().flat_map(|it| each(it, "identifier")))),
        }
    }

    /// The members of the care team in this role.
    fn in_role(&self, role: &str) -> impl Iterator<Item = Party> {
        each(self.claim, "careTeam")
            .filter(move |member| is(&member["role"], role))
            .map(|it| self.party(&it["provider"]))
    }
}

/// Placeholders for a missing number.
fn is_meaningless(number: &str) -> bool {
    number.bytes().all(|byte| byte == b'9') || number.bytes().all(|byte| byte == b'0')
}

/// The National Provider Identifier among these identifiers. v2 sometimes gives it without a system.
fn npi<'v>(identifiers: impl Iterator<Item = &'v Value>) -> Option<String> {
    let is_npi = |identifier: &&Value| {
        let system = text(identifier, "system").map(json_access::tail);
        matches!(system, Some("us-npi" | "carr_clm_blg_npi_num"))
            || is(&identifier["type"], "npi")
            || is(&identifier["type"], "NPI")
    };
    identifiers.filter(is_npi).filter_map(|identifier| said(identifier, "value")).find(|number| !is_meaningless(number))
}

/// The name of a resource: an organization's, or the first one of a person. UserInfo has it like an organization.
pub(crate) fn name(resource: &Value) -> Option<String> {
    if let Some(name) = said(resource, "name") {
        return Some(name);
    }
    let name = each(resource, "name").next()?;
    let family = said(name, "family");
    let given = each(name, "given").filter_map(Value::as_str).map(str::to_owned);
    let parts: Vec<String> = given.chain(family).filter(|part| !part.trim().is_empty()).collect();
    said(name, "text").or_else(|| (!parts.is_empty()).then(|| json_access::clean(&parts.join(" ")).into_owned()))
}

/// Who billed. v1 has institutions and pharmacies in `organization`; v2 and v3 have everyone in `provider`; v2 names
/// a pharmacy in `facility`. For doctors' claims, v1 and v2 name only the group, in the care team.
pub(super) fn billed_by(claim: &Value, version: Version, family: Family) -> Party {
    let parties = Parties::of(claim);
    let places = ["provider", "organization", "facility"].into_iter().map(|place| parties.party(&claim[place]));
    let found = places.fold(Party::default(), Party::or);
    match (family, version) {
        (Family::Professional, Version::V1) => found.or(group_of_v1(claim)),
        (Family::Professional, Version::V2) => found.or(parties.in_role("primary").next().unwrap_or_default()),
        _ => found,
    }
}

/// The organization of the person who treated. v1 has it next to that person.
fn group_of_v1(claim: &Value) -> Party {
    let groups = each(claim, "careTeam").filter_map(|member| extension(member, "us-npi"));
    let read = |group: &Value| {
        let coding = &group["valueCoding"];
        let number = said(coding, "code").filter(|number| !is_meaningless(number));
        Party { name: json_access::display(coding), npi: number }
    };
    groups.map(read).next().unwrap_or_default()
}

/// Address and phone of the biller. Few claims have them.
pub(super) fn contact(claim: &Value) -> Option<String> {
    let resource = Parties::of(claim).contained(&claim["provider"])?;
    let address = each(resource, "address").next();
    let lines = address.into_iter().flat_map(|it| each(it, "line")).filter_map(Value::as_str).map(str::trim);
    let rest = ["city", "state", "postalCode"].into_iter().filter_map(|name| text(address?, name));
    let phones = each(resource, "telecom").filter(|it| text(it, "system").is_none_or(|system| system == "phone"));
    let parts: Vec<&str> =
        lines.chain(rest).chain(phones.filter_map(|it| text(it, "value"))).filter(|it| !it.is_empty()).collect();
    (!parts.is_empty()).then(|| json_access::clean(&parts.join(", ")).into_owned())
}

/// Who treated or prescribed: the party with the closest role. A party with a name comes before one with only a
/// number.
pub(super) fn practitioner(claim: &Value, version: Version, family: Family) -> Party {
    // The order is the same for every version. Institutions: who performed what the lines bill, who attended, who
    // operated. Doctors and suppliers: who performed it. Drugs: who prescribed it. v1 calls the first two "primary",
    // and only the lines tell them apart; "assist" and "other" are those who operated. v2 did the same in 2021 for
    // stays. In v2's doctors' claims, "primary" is who billed.
    let roles: &[&str] = match (version, family) {
        (Version::V1, Family::Professional) => &["primary"],
        (_, Family::Professional) => &["performing", "rendering"],
        (_, Family::Institutional) => {
            &["performing", "rendering", "attending", "primary", "operating", "assist", "otheroperating", "other"]
        }
        (_, Family::Drug) => &["prescribing", "primary", "performing"],
    };
    let of_lines = || each(claim, "item").flat_map(|line| each(line, "careTeamLinkId")).collect::<HashSet<_>>();
    let billed = if version == Version::V1 { of_lines() } else { HashSet::new() };
    let parties = Parties::of(claim);
    let performed = || {
        let is_billed = |member: &&Value| is(&member["role"], "primary") && billed.contains(&member["sequence"]);
        each(claim, "careTeam").filter(is_billed).map(|it| parties.party(&it["provider"]))
    };
    let everybody = || performed().chain(roles.iter().flat_map(|role| parties.in_role(role)));
    everybody()
        .find(|party| party.name.is_some())
        .or_else(|| everybody().find(|party| party.npi.is_some()))
        .unwrap_or_default()
}

pub(super) fn care_team(claim: &Value) -> Vec<Member> {
    let parties = Parties::of(claim);
    let read = |member: &Value| {
        let Party { name, npi } = parties.party(&member["provider"]);
        Member { role: each(&member["role"], "coding").find_map(|coding| said(coding, "code")), name, npi }
    };
    each(claim, "careTeam").map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn party(name: &str, npi: &str) -> Party {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Party { name: some(name), npi: some(npi) }
    }

    #[test]
    fn nobody_gets_the_number_of_somebody_else() {
        for (one, other, expected) in [
            (("", ""), ("Group", "2"), ("Group", "2")),
            (("", "1"), ("Group", ""), ("Group", "1")),
            (("", "1"), ("Group", "1"), ("Group", "1")),
            (("", "1"), ("Group", "2"), ("Group", "2")),
            (("Clinic", ""), ("", "2"), ("Clinic", "2")),
            (("Clinic", ""), ("Group", "2"), ("Clinic", "")),
            (("Clinic", ""), ("Clinic", "2"), ("Clinic", "2")),
            (("Clinic", "1"), ("Group", "2"), ("Clinic", "1")),
            (("Clinic", "1"), ("", "2"), ("Clinic", "1")),
            (("", "1"), ("", "2"), ("", "1")),
        ] {
            assert_eq!(
                party(one.0, one.1).or(party(other.0, other.1)),
                party(expected.0, expected.1),
                "{one:?} {other:?}"
            );
        }
    }

    /// v1 does not name the one who billed, only the group. v2 does both, and their numbers can differ.
    #[test]
    fn v1_and_v2_name_the_same_biller_of_a_doctors_claim() {
        const NPI: &str = "http://hl7.org/fhir/sid/us-npi";
        let v1 = json!({"careTeam": [{"extension": [{"url": NPI, "valueCoding": {"code": "2", "display": "Group"}}]}]});
        let v2 = json!({
            "provider": {"identifier": {"system": "https://bluebutton.cms.gov/resources/variables/carr_clm_blg_npi_num", "value": "1"}},
            "careTeam": [{"role": {"coding": [{"code": "primary"}]},
                "provider": {"display": "Group", "identifier": {"system": NPI, "value": "2"}}}],
        });
        assert_eq!(billed_by(&v1, Version::V1, Family::Professional), party("Group", "2"));
        assert_eq!(billed_by(&v2, Version::V2, Family::Professional), party("Group", "2"));
    }

    /// If each member were looked for among all others, this would take a minute.
    #[test]
    fn a_care_team_of_any_size_is_read() {
        const COUNT: usize = 50_000;
        let id = |nth: usize| format!("p{nth}");
        let resource = |nth| json!({"id": id(nth), "name": [{"family": id(nth)}]});
        let member = |nth| json!({"sequence": nth, "role": {"coding": [{"code": "primary"}]}, "provider": {"reference": format!("#{}", id(nth))}});
        let line = |nth| json!({"careTeamLinkId": [COUNT + nth]});
        let claim = json!({
            "contained": (0..COUNT).map(resource).collect::<Vec<_>>(),
            "careTeam": (0..COUNT).map(member).collect::<Vec<_>>(),
            "item": (0..COUNT).map(line).collect::<Vec<_>>(),
        });
        assert_eq!(practitioner(&claim, Version::V1, Family::Professional).name.as_deref(), Some("p0"));
        let team = care_team(&claim);
        assert!(team.len() == COUNT && team.iter().all(|member| member.name.is_some()));
    }
}
