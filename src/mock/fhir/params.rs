//! Search parameters of API v2: what is read, what is refused, what is dropped without a word.

use jiff::{Timestamp, civil::Date, tz::Offset};

use crate::mock::{
    http::{Answer, Ask},
    records::ClaimHeader,
};

const KINDS: [&str; 8] = ["carrier", "dme", "hha", "hospice", "inpatient", "outpatient", "pde", "snf"];

/// Where in the result a page begins, and how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub start: usize,
    pub count: usize,
}

impl Window {
    /// `count` wins over `_count`; default 10, at most 50.
    pub(super) fn read(ask: &Ask) -> Result<Self, Answer> {
        let integer = |name: &str| match ask.query(name) {
            None => Ok(None),
            Some(text) => text.trim().parse::<i64>().map(Some).map_err(|_| Answer::detail(400, "expected int")),
        };
        let count = match integer("count")? {
            Some(count) => count,
            None => integer("_count")?.unwrap_or(10),
        };
        match count {
            51.. => return Err(Answer::detail(400, "value must be at most 50")),
            ..0 => return Err(Answer::detail(400, "value must be at least 0")),
            0 => return Err(upstream("Invalid pageSize '0'")),
            _ => {}
        }
        let start = integer("startIndex")?.unwrap_or(0);
        let too_low = |_| upstream(&format!("Value for startIndex cannot be negative: {start}"));
        let start = usize::try_from(start).map_err(too_low)?;
        Ok(Self { start, count: usize::try_from(count).unwrap_or(10) })
    }
}

/// A 400 of the data back end, as v1 and v2 show it.
pub(super) fn upstream(diagnostics: &str) -> Answer {
    Answer::detail(400, &format!("An error occurred contacting the upstream server:{diagnostics}"))
}

/// One side of a range.
#[derive(Clone, Copy, Debug)]
struct Bound {
    operator: Operator,
    from: Timestamp,
    until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Lt,
    Le,
    Gt,
    Ge,
}

impl Bound {
    fn holds(&self, at: Timestamp) -> bool {
        match self.operator {
            Operator::Lt => at < self.from,
            Operator::Le => at < self.until || at == self.from,
            Operator::Gt => at >= self.until && at != self.from,
            Operator::Ge => at >= self.from,
        }
    }
}

/// Which claims a search wants.
#[derive(Debug, Default)]
pub(super) struct Filter {
    kinds: Option<Vec<&'static str>>,
    service: Vec<Bound>,
    updated: Vec<Bound>,
}

impl Filter {
    /// Reads the filters of a claim search.
    pub(super) fn read(ask: &Ask) -> Result<Self, Answer> {
        Ok(Self { kinds: kinds(ask)?, service: bounds(ask, "service-date")?, updated: bounds(ask, "_lastUpdated")? })
    }

    pub(super) fn is_none(&self) -> bool {
        self.kinds.is_none() && self.service.is_empty() && self.updated.is_empty()
    }

    pub(super) fn holds(&self, claim: &ClaimHeader) -> bool {
        let service = || {
            let at = claim.service_end.and_then(midnight)?;
            Some(self.service.iter().all(|bound| bound.holds(at)))
        };
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&claim.kind))
            && self.updated.iter().all(|bound| bound.holds(claim.last_updated))
            && (self.service.is_empty() || service().unwrap_or(false))
    }
}

fn kinds(ask: &Ask) -> Result<Option<Vec<&'static str>>, Answer> {
    let Some(text) = ask.query("type") else { return Ok(None) };
    let kind = |word: &str| {
        let code = word.strip_prefix("https://bluebutton.cms.gov/resources/codesystem/eob-type|").unwrap_or(word);
        KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(code))
    };
    let kinds: Option<Vec<_>> = text.split(',').map(kind).collect();
    kinds.map(Some).ok_or_else(|| Answer::detail(400, "the type parameter value is not valid"))
}

fn bounds(ask: &Ask, name: &str) -> Result<Vec<Bound>, Answer> {
    let mut bounds: Vec<Bound> = Vec::new();
    for (_, text) in ask.query.iter().filter(|(key, _)| key == name) {
        let operator = match text.get(..2) {
            Some("lt") => Operator::Lt,
            Some("le") => Operator::Le,
            Some("gt") => Operator::Gt,
            Some("ge") => Operator::Ge,
            _ => return Err(Answer::detail(400, &format!("the {name} operator is not valid"))),
        };
        let (from, until) = span(&text[2..]).ok_or_else(|| {
            upstream(&format!("HAPI-1882: Invalid date/time format: \"{}\"", text[2..].replace('"', "")))
        })?;
        let lower = |operator| matches!(operator, Operator::Gt | Operator::Ge);
        if bounds.iter().any(|bound| lower(bound.operator) == lower(operator)) {
            return Err(upstream("HAPI-1885: Can not have multiple date range parameters for the same bound"));
        }
        bounds.push(Bound { operator, from, until });
    }
    Ok(bounds)
}

/// The instants that a date or instant stands for. A raw `+` in the query has become a blank by now,
/// and is refused as by the real server.
fn span(text: &str) -> Option<(Timestamp, Timestamp)> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return (!text.contains(' ')).then_some((at, at));
    }
    let date: Date = if text.len() == 10 { text.parse().ok()? } else { return None };
    Some((midnight(date)?, midnight(date.tomorrow().ok()?)?))
}

fn midnight(date: Date) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
}
