//! What a claim says, whatever its version and type: one reader for everything that is shown to people.
//!
//! Every field may be absent, and every one may be of another kind than it should be: what cannot be read is
//! not there. CMS's own names are preferred to the words of the Implementation Guide, which are shared by several
//! amounts and sometimes wrong.

mod codes;
mod kind;
mod lines;
mod look;
mod mend;
mod money;
mod people;
mod standing;

use serde_json::Value;

pub use codes::Coded;
use jiff::civil::Date;
pub use kind::Kind;
use kind::{Family, Version};
pub use lines::Line;
pub use look::day;
use look::{each, is, said, text};
use money::Beyond;
pub use money::{Amounts, Cents};
pub use people::Member;
pub use standing::Standing;

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
    /// Whether it is to be counted.
    pub standing: Standing,
    /// `status`: `active`, `cancelled`.
    pub status: Option<String>,
    /// `outcome`: `complete`, `partial`.
    pub outcome: Option<String>,
    /// v3: from which of CMS's systems it is (`meta.source`).
    pub source: Option<String>,
    /// First day of service, as the claim says it: it may be no day, and later than the last.
    pub start: Option<String>,
    /// Last day of service, as the claim says it.
    pub end: Option<String>,
    /// Who billed: a name, where the server gives one.
    pub provider: Option<String>,
    /// Who billed: National Provider Identifier.
    pub provider_npi: Option<String>,
    /// Who treated or prescribed: a name, where the server gives one.
    pub practitioner: Option<String>,
    /// Who treated or prescribed: National Provider Identifier.
    pub practitioner_npi: Option<String>,
    /// Everybody in the care team, in its order.
    pub care_team: Vec<Member>,
    /// Diagnoses, the principal one first.
    pub diagnoses: Vec<Coded>,
    /// Whether the claim says that the first is the principal one.
    pub has_principal_diagnosis: bool,
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
    /// Whether something of it could not be read as it was sent: half a surrogate pair, a number or an amount beyond
    /// any claim, nesting beyond any reader. The rest is here.
    pub is_incomplete: bool,
}

impl Claim {
    /// Reads an ExplanationOfBenefit of API v1 (STU3), v2 or v3. One that is JSON and yet cannot be read as it was
    /// sent is read without that part, see [`Claim::is_incomplete`].
    ///
    /// # Errors
    /// When the text is no JSON.
    pub fn read(text: &str) -> serde_json::Result<Self> {
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            return Ok(Self::of(&value));
        }
        let value: Value = serde_json::from_str(&mend::mended(text))?;
        Ok(Self { is_incomplete: true, ..Self::of(&value) })
    }

    fn of(claim: &Value) -> Self {
        let kind = kind::kind(claim);
        let version = Version::of(claim);
        let family = kind.map_or(Family::Professional, Kind::family);
        let (start, end) = served(claim);
        let provider = people::billed_by(claim, version, family);
        let practitioner = people::practitioner(claim, version, family);
        let (diagnoses, has_principal_diagnosis) = codes::diagnoses(claim);
        let standing = Standing::of(claim, version);
        let is_prior_authorization = standing == Standing::PriorAuthorization;
        let beyond = Beyond::default();
        let mut amounts =
            if is_prior_authorization { Amounts::default() } else { Amounts::read(claim, family, &beyond) };
        let mut lines: Vec<Line> = each(claim, "item").map(|line| Line::read(line, kind, family, &beyond)).collect();
        lines::unsay_zeros(&mut lines, &mut amounts);
        Self {
            id: text(claim, "id").unwrap_or_default().to_owned(),
            number: number(claim),
            kind,
            is_prior_authorization,
            standing,
            status: said(claim, "status"),
            outcome: said(claim, "outcome"),
            source: said(&claim["meta"], "source"),
            start,
            end,
            provider: provider.name,
            provider_npi: provider.npi,
            practitioner: practitioner.name,
            practitioner_npi: practitioner.npi,
            care_team: people::care_team(claim),
            diagnoses,
            has_principal_diagnosis,
            procedures: codes::procedures(claim),
            drg: codes::drg(claim),
            days_supply: codes::days_supply(claim),
            amounts,
            lines,
            last_updated: said(&claim["meta"], "lastUpdated"),
            is_incomplete: beyond.is_met(),
        }
    }

    /// The first day of service, where the claim says a whole day.
    #[must_use]
    pub fn first_day(&self) -> Option<Date> {
        day(self.start.as_deref()?)
    }

    /// The year of the first day of service.
    #[must_use]
    pub fn year(&self) -> Option<&str> {
        self.first_day()?;
        self.start.as_deref()?.get(..4)
    }

    /// Who this claim is by, for people: who billed, else who treated, by name; else a number.
    #[must_use]
    pub fn who(&self) -> Option<String> {
        let number = || self.provider_npi.as_ref().or(self.practitioner_npi.as_ref()).map(|npi| format!("NPI {npi}"));
        // Doctors' claims of v1 name who treated, and seldom who billed.
        self.provider.clone().or_else(|| self.practitioner.clone()).or_else(number)
    }
}

/// First and last day of service. Old drug events have no period, and the day on their only line.
fn served(claim: &Value) -> (Option<String>, Option<String>) {
    let period = &claim["billablePeriod"];
    let (start, end) = (said(period, "start"), said(period, "end"));
    if start.is_some() || end.is_some() {
        return (start, end);
    }
    let line = claim["item"].get(0).unwrap_or(&Value::Null);
    let day = said(line, "servicedDate");
    let period = &line["servicedPeriod"];
    (day.clone().or_else(|| said(period, "start")), day.or_else(|| said(period, "end")))
}

fn number(claim: &Value) -> Option<String> {
    let is_number = |identifier: &&Value| {
        let system = text(identifier, "system").map(look::tail);
        matches!(system, Some("clm_id" | "pde_id")) || (system.is_none() && is(&identifier["type"], "uc"))
    };
    each(claim, "identifier").find(is_number).and_then(|identifier| said(identifier, "value"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const WHOLE: &str = r##"{"id":"1","use":"claim","status":"active","type":{"coding":[{"system":"x/eob-type","code":"CARRIER"}]},
        "billablePeriod":{"start":"2024-01-01","end":"2024-01-02"},"careTeam":[{"role":{"coding":[{"code":"performing"}]},"provider":{"reference":"#p"}}],
        "contained":[{"id":"p","name":[{"family":"F","given":["G"]}],"identifier":[{"system":"x/us-npi","value":"12"}]}],
        "total":[{"category":{"coding":[{"code":"CLM_SBMT_CHRG_AMT"}]},"amount":{"value":1.5}}],"diagnosis":[{"type":[{"coding":[{"code":"principal"}]}],
        "diagnosisCodeableConcept":{"coding":[{"code":"A"}]}}],"item":[{"sequence":1,"quantity":{"value":1},"modifier":[{"coding":[{"code":"M"}]}]}]}"##;

    proptest! {
        /// Any part of a claim may be anything.
        #[test]
        fn no_claim_makes_it_panic(at in 0..WHOLE.len(), length in 0..60_usize, by in r#"[\[\]{}",:\\ud80-9e\-é\x00 ]{0,12}|null|\[\]|"\\ud800"|-1e999"#) {
            let end = (at + length).min(WHOLE.len());
            if let (Some(before), Some(after)) = (WHOLE.get(..at), WHOLE.get(end..)) {
                let _ = Claim::read(&format!("{before}{by}{after}"));
            }
        }
    }

    fn read(claim: &Value) -> Claim {
        Claim::read(&claim.to_string()).unwrap()
    }

    /// A carrier claim of v1, v2 or v3 as far as the version shows, with something added.
    fn carrier(version: &str, more: &Value) -> Value {
        let (system, name) = match version {
            "v3" => ("https://bluebutton.cms.gov/fhir/CodeSystem/CLM-TYPE-CD", "71"),
            _ => ("https://bluebutton.cms.gov/resources/codesystem/eob-type", "CARRIER"),
        };
        let mut claim = json!({"id": "1", "type": {"coding": [{"system": system, "code": name}]}});
        if version != "v1" {
            claim["use"] = "claim".into();
        }
        for (name, value) in more.as_object().unwrap() {
            claim[name] = value.clone();
        }
        claim
    }

    #[test]
    fn primary_is_who_treated_at_v1_and_who_billed_at_v2() {
        let member = |role: &str, name: &str, number: &str| {
            json!({"role": {"coding": [{"code": role}]}, "provider": {
                "display": name, "identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": number},
            }})
        };
        let team = json!({"careTeam": [member("primary", "First", "11"), member("performing", "Second", "22")]});
        let names =
            |claim: &Claim| (claim.provider.clone(), claim.practitioner.clone(), claim.practitioner_npi.clone());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(names(&read(&carrier("v1", &team))), (None, some("First"), some("11")));
        assert_eq!(names(&read(&carrier("v2", &team))), (some("First"), some("Second"), some("22")));
        assert_eq!(names(&read(&carrier("v3", &team))), (None, None, None));
        let team = json!({"careTeam": [member("rendering", "Third", "33")]});
        assert_eq!(names(&read(&carrier("v3", &team))), (None, some("Third"), some("33")));
    }

    #[test]
    fn days_that_contradict_each_other_are_what_the_claim_says() {
        let dated = |period: Value| {
            let claim = read(&json!({"id": "1", "billablePeriod": period}));
            (claim.year().map(str::to_owned), claim.start, claim.end)
        };
        let some = |text: &str| Some(text.to_owned());
        let backwards = dated(json!({"start": "2024-02-02", "end": "2023-01-01"}));
        assert_eq!(backwards, (some("2024"), some("2024-02-02"), some("2023-01-01")));
        // What has no end has none.
        assert_eq!(dated(json!({"start": "2024-02"})), (None, some("2024-02"), None));
        assert_eq!(dated(json!({"start": "2024-02-30"})).0, None);
        assert_eq!(dated(json!({"start": "2024-02-03T23:00:00-05:00"})).0, some("2024"));
        assert_eq!(dated(json!({"start": "20240202", "end": []})), (None, some("20240202"), None));
        assert_eq!(dated(json!({"start": "9999\u{202e}x"})).0, None);
        assert_eq!(dated(json!({"start": "é24"})).0, None);
    }

    #[test]
    fn an_amount_beyond_any_claim_is_none_and_noted() {
        for (value, cents) in [
            ("1e2", Some(10_000)),
            ("1.5E1", Some(1500)),
            ("0.1e1", Some(100)),
            ("1e13", None),
            ("1e300", None),
            ("-1e300", None),
            ("1e400", None),
            ("1e-400", Some(0)),
            ("1e-7", Some(0)),
            ("5e-3", Some(1)),
            ("99999999999999999999999999999999", None),
        ] {
            let claim = carrier("v2", &json!({}));
            let text =
                claim.to_string().replacen('{', &format!("{{\"payment\":{{\"amount\":{{\"value\":{value}}}}},"), 1);
            let claim = Claim::read(&text).unwrap();
            assert_eq!(claim.amounts.medicare_paid.map(|it| it.0), cents, "{value}");
            assert_eq!(claim.is_incomplete, cents.is_none(), "{value}");
            assert_eq!(claim.id, "1");
        }
    }

    #[test]
    fn what_a_parser_refuses_costs_only_itself() {
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        let text = format!(
            r#"{{"id":"7","status":"active","meta":{{"source":"a\ud800b","x":{deep}}},"billablePeriod":{{"start":"2024-01-01","end":1e999}}}}"#
        );
        assert!(serde_json::from_str::<Value>(&text).is_err());
        let claim = Claim::read(&text).unwrap();
        assert_eq!((claim.id.as_str(), claim.is_incomplete), ("7", true));
        assert_eq!(claim.source.as_deref(), Some("a\u{fffd}b"));
        assert_eq!((claim.start.as_deref(), claim.end), (Some("2024-01-01"), None));
        for text in ["", "{", "{\"id\":\"1\"", "[1e400", "\"\\ud800", "{\"id\":\"\u{1}\"}"] {
            assert!(Claim::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_is_made_of_nothing_and_control_characters_are_seen() {
        let claim = read(&json!({
            "id": "1", "use": "claim", "status": "\u{0}=1+1\u{7}\nx", "careTeam": [{}, {"role": {"coding": []}}],
            "diagnosis": [{"diagnosisCodeableConcept": {"coding": []}}, {"type": [{"coding": [{"code": "principal"}]}]}],
            "procedure": [{"procedureCodeableConcept": {"coding": [{"code": " "}]}}], "total": [{}], "item": [{"modifier": [{"coding": []}]}],
            "supportingInfo": [{"category": {"coding": []}}], "identifier": [{}],
        }));
        assert_eq!(claim.status.as_deref(), Some("\u{fffd}=1+1\u{fffd}\u{fffd}x"));
        assert!(claim.diagnoses.is_empty() && claim.procedures.is_empty() && !claim.has_principal_diagnosis);
        assert_eq!((claim.lines.len(), claim.amounts, claim.number), (1, Amounts::default(), None));
        let other = read(&json!({"id": "1", "diagnosis": [{"type": [{"coding": [{"code": "other"}]}],
            "diagnosisCodeableConcept": {"coding": [{"code": "A01"}]}}]}));
        assert!(!other.has_principal_diagnosis && other.diagnoses.len() == 1);
    }
}
