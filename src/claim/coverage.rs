//! Reads a Coverage of API v1, v2 or v3: which part of Medicare, since when, and with which plan in which months.
//!
//! v1 and v2 have a plan's contract for each month (`ptc_cntrct_id_01` to `_12`, part D `ptdcntrct01` to `12`) of one
//! reference year; v3 has a resource for each contract, with a period. CMS calls these data incomplete, so a missing
//! entry proves nothing.

use std::fmt;

use jiff::civil::Date;
use serde_json::Value;

use super::{
    day,
    json_access::{coding_of, display, each, extension, said, text},
    lenient_json::read_json,
};

/// A part of Medicare, or Medicaid as an addition to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Hospital insurance.
    A,
    /// Medical insurance.
    B,
    /// A Medicare Advantage plan.
    C,
    /// Prescription drugs.
    D,
    /// Medicaid in addition to Medicare.
    Dual,
}

impl Part {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
            Self::D => "d",
            Self::Dual => "dual",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::A => "Part A: hospital stays, nursing facilities, home health, hospice",
            Self::B => "Part B: doctors, outpatient care, equipment",
            Self::C => "Part C: a Medicare Advantage plan",
            Self::D => "Part D: prescription drugs",
            Self::Dual => "Medicaid, beside Medicare",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let parts = [("Part A", Self::A), ("Part B", Self::B), ("Part C", Self::C), ("Part D", Self::D)];
        let part = parts.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, part)| part);
        part.or_else(|| name.starts_with("Dual").then_some(Self::Dual))
    }
}

/// A month whose year may be unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    /// The year, if it is valid.
    pub year: Option<i16>,
    /// 1 to 12.
    pub month: i8,
}

impl Month {
    fn of(day: Date) -> Self {
        Self { year: Some(day.year()), month: day.month() }
    }

    fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year.map(|year| year + 1), month: 1 },
            month => Self { month: month + 1, ..self },
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = MONTHS[usize::try_from(self.month - 1).unwrap_or(0) % 12];
        match self.year {
            Some(year) => write!(f, "{name} {year}"),
            None => f.write_str(name),
        }
    }
}

/// Names of months.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A plan, and the months in which the enrollee is known to have had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The contract with CMS, such as `H1234`.
    pub number: String,
    /// The plan under that contract.
    pub plan: Option<String>,
    /// The first month.
    pub from: Option<Month>,
    /// The last month; none if it continues.
    pub until: Option<Month>,
}

impl Contract {
    /// Its months as text.
    #[must_use]
    pub fn months(&self) -> String {
        match (self.from, self.until) {
            (Some(from), Some(until)) if from == until => from.to_string(),
            (Some(from), Some(until)) => format!("{from} to {until}"),
            (Some(from), None) => format!("{from} and later"),
            (None, Some(until)) => format!("the time until {until}"),
            (None, None) => "some months".to_owned(),
        }
    }
}

/// One part of an enrollee's coverage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The resource's id.
    pub id: String,
    /// Which part.
    pub part: Option<Part>,
    /// `status`: `active`, `cancelled`.
    pub status: Option<String>,
    /// First day, if the server says it.
    pub start: Option<String>,
    /// Last day, if the server says it.
    pub end: Option<String>,
    /// Whether it has ended (`a_trm_cd`, `b_trm_cd`), in the server's words.
    pub ended: Option<String>,
    /// Who pays: the plan's name, if the server gives one.
    pub payer: Option<String>,
    /// Numbers to call.
    pub phones: Vec<String>,
    /// The plan's contract, over time.
    pub contracts: Vec<Contract>,
    /// What Medicaid pays, in the server's words or as its code.
    pub medicaid: Option<String>,
    /// The number on the card.
    pub member: Option<String>,
    /// What a pharmacy asks for: group, BIN, PCN (`class` of `rx…`).
    pub pharmacy: Vec<(String, String)>,
    /// Whether some part of it could not be read as it was sent. The rest is here.
    pub is_incomplete: bool,
}

impl Coverage {
    /// Reads a Coverage. `None` if it is not one, or if it has only an id, which is v3's answer for a part that the
    /// enrollee does not have. A part that is valid JSON but cannot be read is left out; see
    /// [`Coverage::is_incomplete`].
    ///
    /// # Errors
    /// If the text is not JSON.
    pub fn read(text: &str) -> serde_json::Result<Option<Self>> {
        let (value, is_incomplete) = read_json(text)?;
        Ok(Self::of(&value).map(|coverage| Self { is_incomplete, ..coverage }))
    }

    /// Reads a Coverage from a JSON value.
    #[must_use]
    pub fn of(coverage: &Value) -> Option<Self> {
        let is_more_than_id = || {
            coverage
                .as_object()
                .is_some_and(|it| it.keys().any(|name| !matches!(&**name, "resourceType" | "id" | "meta")))
        };
        if text(coverage, "resourceType") != Some("Coverage") || !is_more_than_id() {
            return None;
        }
        let id = said(coverage, "id").unwrap_or_default();
        let part = part(coverage, &id);
        let period = &coverage["period"];
        let payer = each(coverage, "contained").find(|it| text(it, "resourceType") == Some("Organization"));
        let telecom = payer.into_iter().flat_map(|it| each(it, "contact")).flat_map(|it| each(it, "telecom"));
        Some(Self {
            part,
            status: said(coverage, "status"),
            start: said(period, "start"),
            end: said(period, "end"),
            ended: ended(coverage),
            payer: payer.and_then(|it| said(it, "name")),
            phones: telecom
                .filter(|it| text(it, "system") == Some("phone"))
                .filter_map(|it| said(it, "value"))
                .collect(),
            contracts: contracts(coverage, part, &id),
            medicaid: medicaid(coverage, part),
            member: said(coverage, "subscriberId"),
            pharmacy: pharmacy(coverage),
            is_incomplete: false,
            id,
        })
    }
}

/// The months in which the enrollee had a Medicare Advantage plan, as far as these resources say.
pub fn medicare_advantage(coverages: &[Coverage]) -> Vec<&Contract> {
    coverages.iter().filter(|it| it.part == Some(Part::C)).flat_map(|it| &it.contracts).collect()
}

/// The notice that a plan has some of the claims. `None` if no plan is known. That does not prove that there was
/// none.
#[must_use]
pub fn notice(coverages: &[Coverage]) -> Option<String> {
    let spans = medicare_advantage(coverages).into_iter().map(|it| format!("{} (contract {})", it.months(), it.number));
    let spans: Vec<String> = spans.collect();
    let (last, others) = spans.split_last()?;
    let spans = if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) };
    Some(format!(
        "Medical claims for {spans} are with the Medicare Advantage plan, not here. Blue Button has only the drug claims of a plan's members."
    ))
}

impl Coverage {
    /// Removes what identifies the person: the member's number, and the numbers that a pharmacy asks for.
    pub fn redact(&mut self) {
        (self.member, self.payer) = (None, None);
        self.phones.clear();
        self.pharmacy.clear();
        for contract in &mut self.contracts {
            (contract.number, contract.plan) = ("not shown".to_owned(), None);
        }
    }
}

fn part(coverage: &Value, id: &str) -> Option<Part> {
    let named = || each(coverage, "class").find_map(|class| Part::named(text(class, "value")?));
    let grouped = || text(&coverage["grouping"], "subPlan").and_then(Part::named);
    let of_id = || {
        let parts = [("part-a-", Part::A), ("part-b-", Part::B), ("part-c-", Part::C), ("part-d-", Part::D)];
        let known = parts.into_iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, part)| part);
        known.or_else(|| id.starts_with("dual-").then_some(Part::Dual))
    };
    named().or_else(grouped).or_else(of_id)
}

/// The end in the server's words. Code 0 is "Not Terminated".
fn ended(coverage: &Value) -> Option<String> {
    let coding = ["a_trm_cd", "b_trm_cd"].into_iter().find_map(|name| coding_of(coverage, name))?;
    let code = text(coding, "code")?;
    (code != "0").then(|| display(coding).unwrap_or_else(|| format!("code {code}")))
}

/// Whether this is a contract: a letter and four digits. 0, N and similar codes mean none.
fn is_contract(code: &str) -> bool {
    let bytes = code.as_bytes();
    bytes.len() == 5 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_digit)
}

fn contracts(coverage: &Value, part: Option<Part>, id: &str) -> Vec<Contract> {
    let (number, plan) = match part {
        Some(Part::C) => ("ptc_cntrct_id_", "ptc_pbp_id_"),
        Some(Part::D) => ("ptdcntrct", "ptdpbpid"),
        _ => return Vec::new(),
    };
    let valued = |name: &str| extension(coverage, name).and_then(|it| said(it, "valueString"));
    // v3 also has the contract in the id: `part-c-1-H1234-003`.
    let of_id = || id.rsplit('-').nth(1).map(str::to_owned);
    if let Some(number) = valued("BENE-CNTRCT-NUM").or_else(of_id).filter(|it| is_contract(it)) {
        let month = |name: &str| text(&coverage["period"], name).and_then(day).map(Month::of);
        // A date far in the future means no end.
        let until = month("end").filter(|it| it.year.is_none_or(|year| year < 2099));
        return vec![Contract { number, plan: valued("BENE-PBP-NUM"), from: month("start"), until }];
    }
    let year = extension(coverage, "rfrnc_yr").and_then(|it| text(it, "valueDate")?.get(..4)?.parse::<i16>().ok());
    let year = year.filter(|year| (1966..2100).contains(year));
    let code = |variable: &str, month: i8| {
        let found = coding_of(coverage, &format!("{variable}{month:02}")).and_then(|coding| said(coding, "code"));
        found.filter(|code| !matches!(code.as_str(), "0" | "N" | "X"))
    };
    let mut found: Vec<Contract> = Vec::new();
    for month in 1..=12 {
        let Some(number) = code(number, month).filter(|it| is_contract(it)) else { continue };
        let (plan, month) = (code(plan, month), Month { year, month });
        match found.last_mut() {
            Some(last) if last.number == number && last.plan == plan && last.until.map(Month::next) == Some(month) => {
                last.until = Some(month);
            }
            _ => found.push(Contract { number, plan, from: Some(month), until: Some(month) }),
        }
    }
    found
}

/// What Medicaid pays. v3 has a resource for Medicaid; v1 and v2 have twelve months on each part, and the last month
/// with a value counts.
fn medicaid(coverage: &Value, part: Option<Part>) -> Option<String> {
    let words = |coding: &Value| display(coding).or_else(|| said(coding, "code").map(|code| format!("status {code}")));
    if part == Some(Part::Dual) {
        return coding_of(coverage, "BENE-DUAL-STUS-CD").and_then(words);
    }
    let months = (1..=12).rev().filter_map(|month| coding_of(coverage, &format!("dual_{month:02}")));
    // NA: no Medicaid; 00 and 99: not enrolled, unknown.
    let known = |coding: &&Value| !matches!(text(coding, "code"), Some("NA" | "00" | "99" | "AA" | "**") | None);
    months.into_iter().find(known).and_then(words)
}

fn pharmacy(coverage: &Value) -> Vec<(String, String)> {
    let names = [("rxbin", "RxBIN"), ("rxpcn", "RxPCN"), ("rxgroup", "RxGRP"), ("rxid", "RxID")];
    let value = |code: &str| {
        let is_it = |class: &&Value| each(&class["type"], "coding").any(|coding| text(coding, "code") == Some(code));
        each(coverage, "class").find(is_it).and_then(|class| said(class, "value"))
    };
    names.into_iter().filter_map(|(code, name)| Some((name.to_owned(), value(code)?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn monthly(codes: &[&str], year: &str) -> Coverage {
        let variable = |name: String| format!("https://bluebutton.cms.gov/resources/variables/{name}");
        let months = codes.iter().zip(1..).map(|(code, month)| {
            json!({"url": variable(format!("ptc_cntrct_id_{month:02}")), "valueCoding": {"code": code}})
        });
        let mut extensions: Vec<Value> = months.collect();
        extensions.push(json!({"url": variable("rfrnc_yr".to_owned()), "valueDate": year}));
        Coverage::of(
            &json!({"resourceType": "Coverage", "id": "part-c--1", "status": "active", "extension": extensions}),
        )
        .unwrap()
    }

    #[test]
    fn months_with_one_contract_are_one_period() {
        let codes = ["N", "H1234", "H1234", "", "H1234", "R0001", "0", "N", "N", "N", "N", "R0001"];
        let cover = monthly(&codes, "2025");
        let spans: Vec<_> = cover.contracts.iter().map(|it| (it.number.as_str(), it.months())).collect();
        let expected = [
            ("H1234", "February 2025 to March 2025"),
            ("H1234", "May 2025"),
            ("R0001", "June 2025"),
            ("R0001", "December 2025"),
        ];
        assert_eq!(spans, expected.map(|(number, months)| (number, months.to_owned())));
        let said = notice(&[cover]).unwrap();
        assert!(said.starts_with("Medical claims for February 2025 to March 2025 (contract H1234), "), "{said}");
    }

    #[test]
    fn codes_for_no_plan_are_not_a_plan() {
        for codes in [["0"; 12], ["N"; 12], ["C"; 12], [""; 12]] {
            assert_eq!(notice(&[monthly(&codes, "2025")]), None, "{codes:?}");
        }
        // CMS's samples have an invalid year.
        assert_eq!(monthly(&["H1234"; 12], "0003").contracts[0].months(), "January to December");
    }

    #[test]
    fn coverage_is_left_out_only_if_it_says_nothing() {
        assert_eq!(Coverage::read(r#"{"id": "dual-289169129", "resourceType": "Coverage"}"#).unwrap(), None);
        assert!(Coverage::read("{").is_err());
        let bare = Coverage::read(r#"{"id": "part-a-1", "resourceType": "Coverage", "period": {}}"#).unwrap().unwrap();
        assert_eq!((bare.part, bare.status, bare.is_incomplete), (Some(Part::A), None, false));
        let odd = r#"{"id": "part-b-1", "resourceType": "Coverage", "status": "active", "subscriberId": "\ud800"}"#;
        let odd = Coverage::read(odd).unwrap().unwrap();
        assert_eq!((odd.part, odd.member.as_deref(), odd.is_incomplete), (Some(Part::B), Some("\u{fffd}"), true));
    }
}
