//! What a claim says, whatever its version and type: one reader for everything that is shown to people.
//!
//! Every field may be absent, and every one may be of another kind than it should be: what cannot be read is
//! not there. CMS's own names are preferred to the words of the Implementation Guide, which are shared by several
//! amounts and sometimes wrong.

mod lines;
mod look;
mod money;

use serde_json::Value;

pub use lines::Line;
use look::{coding, each, information, is, text};
pub use money::{Amounts, Cents};

/// CMS's own types of claims. The FHIR type and the profile group them in ways that are often wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Kind {
    /// Doctors and other professionals
    Carrier,
    /// Durable medical equipment
    Dme,
    /// Home health
    Hha,
    /// Hospice
    Hospice,
    /// Hospital stays
    Inpatient,
    /// Hospital outpatient
    Outpatient,
    /// Prescription drugs (Part D events)
    Pde,
    /// Skilled nursing facilities
    Snf,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Carrier, Self::Dme, Self::Hha, Self::Hospice, Self::Inpatient, Self::Outpatient, Self::Pde, Self::Snf];

    /// CMS's short name, as in `--type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::Dme => "dme",
            Self::Hha => "hha",
            Self::Hospice => "hospice",
            Self::Inpatient => "inpatient",
            Self::Outpatient => "outpatient",
            Self::Pde => "pde",
            Self::Snf => "snf",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Carrier => "Doctor or supplier",
            Self::Dme => "Medical equipment",
            Self::Hha => "Home health",
            Self::Hospice => "Hospice",
            Self::Inpatient => "Hospital stay",
            Self::Outpatient => "Outpatient hospital",
            Self::Pde => "Prescription drug",
            Self::Snf => "Nursing facility",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// From the number that v3 has for it, with those of claims that are still worked on.
    fn numbered(code: &str) -> Option<Self> {
        Some(match code {
            "71" | "72" | "1700" | "2700" => Self::Carrier,
            "81" | "82" | "1800" | "2800" => Self::Dme,
            "50" | "1081" | "1082" | "1091" | "1098" | "1900" | "2081" | "2082" | "2091" | "2098" | "2900" => {
                Self::Hospice
            }
            "10" | "1032" | "1033" | "1039" | "1042" | "1066" | "1092" | "2032" | "2033" | "2039" | "2042" | "2066"
            | "2092" => Self::Hha,
            "60" | "61" | "62" | "63" | "64" | "1011" | "1041" | "1069" | "2011" | "2041" | "2069" => Self::Inpatient,
            "20" | "30" | "1018" | "1021" | "2018" | "2021" => Self::Snf,
            "1" | "2" | "3" | "4" => Self::Pde,
            "40" => Self::Outpatient,
            other if other.len() == 4 && (other.starts_with("10") || other.starts_with("20")) => Self::Outpatient,
            _ => return None,
        })
    }

    fn family(self) -> Family {
        match self {
            Self::Carrier | Self::Dme => Family::Professional,
            Self::Pde => Family::Drug,
            _ => Family::Institutional,
        }
    }
}

/// Types that keep their amounts under the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Professional,
    Institutional,
    Drug,
}

/// A code with the server's words for it, if it has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// The code as it was sent.
    pub code: String,
    /// Its code system's URL.
    pub system: Option<String>,
    /// Its display.
    pub words: Option<String>,
}

/// Somebody who took part in the care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The code of the role.
    pub role: Option<String>,
    /// A name, where the server gives one.
    pub name: Option<String>,
    /// National Provider Identifier.
    pub npi: Option<String>,
}

/// A claim, as far as people ask about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The resource's id.
    pub id: String,
    /// The number by which CMS knows the claim: `identifier` of the variable `clm_id` or `pde_id`; at v3 of type `uc`.
    pub number: Option<String>,
    /// CMS's type.
    pub kind: Option<Kind>,
    /// Whether it only asks whether something would be paid (`use` is `preauthorization`); it has no money.
    pub is_prior_authorization: bool,
    /// `status`: `active`, `cancelled`.
    pub status: Option<String>,
    /// `outcome`: `complete`, `partial`.
    pub outcome: Option<String>,
    /// v3: from which of CMS's systems it is (`meta.source`).
    pub source: Option<String>,
    /// First day of service.
    pub start: Option<String>,
    /// Last day of service.
    pub end: Option<String>,
    /// Who billed: a name, where the server gives one.
    pub provider: Option<String>,
    /// Who billed: National Provider Identifier.
    pub provider_npi: Option<String>,
    /// Who treated or prescribed: a name, where the server gives one.
    pub practitioner: Option<String>,
    /// Everybody in the care team, in its order.
    pub care_team: Vec<Member>,
    /// Diagnoses, the principal one first.
    pub diagnoses: Vec<Coded>,
    /// Procedures of an institutional claim (ICD).
    pub procedures: Vec<Coded>,
    /// Diagnosis related group of a stay.
    pub drg: Option<String>,
    /// For how many days a drug was supplied.
    pub days_supply: Option<String>,
    /// Amounts of the whole claim.
    pub amounts: Amounts,
    /// Its lines.
    pub lines: Vec<Line>,
    /// `meta.lastUpdated`.
    pub last_updated: Option<String>,
}

impl Claim {
    /// Reads an ExplanationOfBenefit of API v1 (STU3), v2 or v3.
    ///
    /// # Errors
    /// When the text is no JSON.
    pub fn read(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(|value: Value| Self::of(&value))
    }

    fn of(claim: &Value) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let kind = kind(claim);
        let family = kind.map_or(Family::Professional, Kind::family);
        let period = &claim["billablePeriod"];
        let served = claim["item"].get(0).map_or(&Value::Null, |line| line);
        let served = text(served, "servicedDate").or_else(|| text(&served["servicedPeriod"], "start"));
        let (provider, provider_npi) = billed_by(claim);
        let is_prior_authorization = text(claim, "use") == Some("preauthorization");
        Self {
            id: text(claim, "id").unwrap_or_default().to_owned(),
            number: number(claim),
            kind,
            is_prior_authorization,
            status: owned(text(claim, "status")),
            outcome: owned(text(claim, "outcome")),
            source: owned(text(&claim["meta"], "source")),
            start: owned(text(period, "start").or(served)),
            end: owned(text(period, "end").or_else(|| text(period, "start")).or(served)),
            provider,
            provider_npi,
            practitioner: practitioner(claim),
            care_team: care_team(claim),
            diagnoses: diagnoses(claim),
            procedures: each(claim, "procedure")
                .filter_map(|procedure| first_code(&procedure["procedureCodeableConcept"]))
                .collect(),
            drg: drg(claim),
            days_supply: days_supply(claim),
            amounts: if is_prior_authorization { Amounts::default() } else { Amounts::read(claim, family) },
            lines: each(claim, "item").map(|line| Line::read(line, kind, family)).collect(),
            last_updated: owned(text(&claim["meta"], "lastUpdated")),
        }
    }

    /// The year of service, where it is known.
    #[must_use]
    pub fn year(&self) -> Option<&str> {
        self.start.as_deref().and_then(|date| date.get(..4)).filter(|year| year.bytes().all(|it| it.is_ascii_digit()))
    }
}

fn kind(claim: &Value) -> Option<Kind> {
    let named = coding(&claim["type"], &["eob-type", "EOB-TYPE"]).and_then(|coding| text(coding, "code"));
    let numbered = || coding(&claim["type"], &["CLM-TYPE-CD"]).and_then(|coding| text(coding, "code"));
    named.and_then(Kind::named).or_else(|| numbered().and_then(Kind::numbered))
}

fn number(claim: &Value) -> Option<String> {
    let is_number = |identifier: &&Value| {
        let system = text(identifier, "system").map(look::tail);
        matches!(system, Some("clm_id" | "pde_id")) || (system.is_none() && is(&identifier["type"], "uc"))
    };
    each(claim, "identifier").find(is_number).and_then(|identifier| text(identifier, "value")).map(str::to_owned)
}

/// The contained resource that a reference names.
fn contained<'v>(claim: &'v Value, reference: &Value) -> Option<&'v Value> {
    let id = text(reference, "reference")?.strip_prefix('#')?;
    each(claim, "contained").find(|resource| text(resource, "id") == Some(id))
}

/// Numbers that stand for none.
fn is_meaningless(number: &str) -> bool {
    number.bytes().all(|byte| byte == b'9') || number.bytes().all(|byte| byte == b'0')
}

/// The National Provider Identifier among identifiers, which v2 sometimes gives without a system.
fn npi<'v>(identifiers: impl Iterator<Item = &'v Value>) -> Option<String> {
    let is_npi = |identifier: &&Value| {
        let system = text(identifier, "system").map(look::tail);
        matches!(system, Some("us-npi" | "carr_clm_blg_npi_num"))
            || is(&identifier["type"], "npi")
            || is(&identifier["type"], "NPI")
    };
    identifiers
        .filter(is_npi)
        .filter_map(|identifier| text(identifier, "value"))
        .find(|number| !is_meaningless(number))
        .map(str::to_owned)
}

/// The name of an organization or a person.
fn name(resource: &Value) -> Option<String> {
    if let Some(name) = text(resource, "name") {
        return Some(name.to_owned());
    }
    let name = each(resource, "name").next()?;
    let given = each(name, "given").filter_map(Value::as_str);
    let parts: Vec<&str> = given.chain(text(name, "family")).collect();
    text(name, "text").map(str::to_owned).or_else(|| (!parts.is_empty()).then(|| parts.join(" ")))
}

/// Name and NPI of who billed. v1 has them at `organization`, v2 and v3 at `provider`, itself or contained.
fn billed_by(claim: &Value) -> (Option<String>, Option<String>) {
    let (mut found, mut number) = (None, None);
    for place in ["provider", "organization", "facility"] {
        let reference = &claim[place];
        let resource = contained(claim, reference);
        found = found.or_else(|| text(reference, "display").map(str::to_owned)).or_else(|| resource.and_then(name));
        let own = || npi(std::iter::once(&reference["identifier"]));
        number = number.or_else(own).or_else(|| npi(resource.into_iter().flat_map(|it| each(it, "identifier"))));
    }
    (found.or_else(|| member(claim, &["primary"])), number)
}

/// The name that the care team or the provider's resource gives a member.
fn name_of(claim: &Value, member: &Value) -> Option<String> {
    let provider = &member["provider"];
    text(provider, "display").map(str::to_owned).or_else(|| contained(claim, provider).and_then(name))
}

/// The name of the first member of the care team in one of these roles, if it has one.
fn member(claim: &Value, roles: &[&str]) -> Option<String> {
    let in_role = |member: &&Value| roles.iter().any(|role| is(&member["role"], role));
    each(claim, "careTeam").filter(in_role).find_map(|member| name_of(claim, member))
}

fn care_team(claim: &Value) -> Vec<Member> {
    let read = |member: &Value| {
        let provider = &member["provider"];
        let resource = contained(claim, provider);
        let number = npi(std::iter::once(&provider["identifier"]));
        let number = number.or_else(|| npi(resource.into_iter().flat_map(|it| each(it, "identifier"))));
        let role = each(&member["role"], "coding").find_map(|coding| text(coding, "code"));
        Member { role: role.map(str::to_owned), name: name_of(claim, member), npi: number }
    };
    each(claim, "careTeam").map(read).collect()
}

fn practitioner(claim: &Value) -> Option<String> {
    member(claim, &["performing", "rendering", "attending", "prescribing"])
        // v1 has the treating physician, and of a drug the prescriber, as primary.
        .or_else(|| member(claim, &["primary", "operating", "otheroperating"]))
}

/// The first code of a concept that is one.
fn first_code(concept: &Value) -> Option<Coded> {
    let codings = || {
        each(concept, "coding").filter(|coding| {
            // A code of no known version, and a product that is spelled out to be absent.
            !text(coding, "system")
                .is_some_and(|system| system.contains("unknown-icd-version") || system.contains("data-absent-reason"))
        })
    };
    let (code, system) = codings().find_map(|coding| Some((text(coding, "code")?, text(coding, "system"))))?;
    let words = codings().find_map(|coding| text(coding, "display"));
    let system = system.map(str::to_owned);
    Some(Coded { code: code.to_owned(), system, words: words.map(|words| words.trim_matches('"').to_owned()) })
}

fn diagnoses(claim: &Value) -> Vec<Coded> {
    let is_principal = |diagnosis: &&Value| each(diagnosis, "type").any(|kind| is(kind, "principal"));
    let (mut first, mut others): (Vec<_>, Vec<_>) = each(claim, "diagnosis").partition(is_principal);
    first.append(&mut others);
    let mut found: Vec<Coded> = Vec::new();
    for coded in first.into_iter().filter_map(|diagnosis| first_code(&diagnosis["diagnosisCodeableConcept"])) {
        if !found.contains(&coded) {
            found.push(coded);
        }
    }
    found
}

fn days_supply(claim: &Value) -> Option<String> {
    let informed = information(claim, "dayssupply").map(|info| &info["valueQuantity"]["value"]);
    let quantity = &claim["item"][0]["quantity"];
    let beside = || look::extension(quantity, "days_suply_num").map(|extension| &extension["valueQuantity"]["value"]);
    informed.or_else(beside).and_then(Value::as_number).map(ToString::to_string)
}

fn drg(claim: &Value) -> Option<String> {
    let informed = || {
        let info = information(claim, "clm_drg_cd").or_else(|| information(claim, "drg"))?;
        each(&info["code"], "coding").find_map(|coding| text(coding, "code"))
    };
    let packaged = || {
        each(claim, "diagnosis")
            .find_map(|diagnosis| coding(&diagnosis["packageCode"], &["clm_drg_cd"])?["code"].as_str())
    };
    informed().or_else(packaged).map(str::to_owned)
}
