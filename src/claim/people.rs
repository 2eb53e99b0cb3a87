//! Who billed and who treated. The same role means different things in each version.

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

/// The contained resource that a reference names.
fn contained<'v>(claim: &'v Value, reference: &Value) -> Option<&'v Value> {
    let id = text(reference, "reference")?.strip_prefix('#')?;
    each(claim, "contained").find(|resource| text(resource, "id") == Some(id))
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

/// The name of an organization or a person.
fn name(resource: &Value) -> Option<String> {
    if let Some(name) = said(resource, "name") {
        return Some(name);
    }
    let name = each(resource, "name").next()?;
    let family = said(name, "family");
    let given = each(name, "given").filter_map(Value::as_str).map(str::to_owned);
    let parts: Vec<String> = given.chain(family).collect();
    said(name, "text").or_else(|| (!parts.is_empty()).then(|| json_access::clean(&parts.join(" ")).into_owned()))
}

/// The person or organization of a reference, or of the contained resource that it names.
fn party(claim: &Value, reference: &Value) -> Party {
    let resource = contained(claim, reference);
    let own = npi(std::iter::once(&reference["identifier"]));
    Party {
        name: said(reference, "display").or_else(|| resource.and_then(name)),
        npi: own.or_else(|| npi(resource.into_iter().flat_map(|it| each(it, "identifier")))),
    }
}

/// Who billed. v1 has institutions and pharmacies in `organization`; v2 and v3 have everyone in `provider`; v2 names
/// a pharmacy in `facility`. For doctors' claims, v1 and v2 name only the group, in the care team.
pub(super) fn billed_by(claim: &Value, version: Version, family: Family) -> Party {
    let mut found = Party::default();
    for place in ["provider", "organization", "facility"] {
        let here = party(claim, &claim[place]);
        found.name = found.name.or(here.name);
        found.npi = found.npi.or(here.npi);
    }
    if family == Family::Professional {
        let group = match version {
            Version::V1 => group_of_v1(claim),
            Version::V2 => in_role(claim, "primary").next().unwrap_or_default(),
            Version::V3 => Party::default(),
        };
        found.name = found.name.or(group.name);
        found.npi = found.npi.or(group.npi);
    }
    found
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
    let resource = contained(claim, &claim["provider"])?;
    let address = each(resource, "address").next();
    let lines = address.into_iter().flat_map(|it| each(it, "line")).filter_map(Value::as_str).map(str::trim);
    let rest = ["city", "state", "postalCode"].into_iter().filter_map(|name| text(address?, name));
    let phones = each(resource, "telecom").filter(|it| text(it, "system").is_none_or(|system| system == "phone"));
    let parts: Vec<&str> =
        lines.chain(rest).chain(phones.filter_map(|it| text(it, "value"))).filter(|it| !it.is_empty()).collect();
    (!parts.is_empty()).then(|| json_access::clean(&parts.join(", ")).into_owned())
}

fn in_role(claim: &Value, role: &str) -> impl Iterator<Item = Party> {
    each(claim, "careTeam").filter(move |member| is(&member["role"], role)).map(|it| party(claim, &it["provider"]))
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
    let of_lines = || each(claim, "item").flat_map(|line| each(line, "careTeamLinkId")).collect::<Vec<_>>();
    let billed = if version == Version::V1 { of_lines() } else { Vec::new() };
    let performed = || {
        let is_billed = |member: &&Value| is(&member["role"], "primary") && billed.contains(&&member["sequence"]);
        each(claim, "careTeam").filter(is_billed).map(|it| party(claim, &it["provider"]))
    };
    let everybody = || performed().chain(roles.iter().flat_map(|role| in_role(claim, role)));
    everybody()
        .find(|party| party.name.is_some())
        .or_else(|| everybody().find(|party| party.npi.is_some()))
        .unwrap_or_default()
}

pub(super) fn care_team(claim: &Value) -> Vec<Member> {
    let read = |member: &Value| {
        let Party { name, npi } = party(claim, &member["provider"]);
        Member { role: each(&member["role"], "coding").find_map(|coding| said(coding, "code")), name, npi }
    };
    each(claim, "careTeam").map(read).collect()
}
