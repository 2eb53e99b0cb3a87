//! Search parameters: which ones are read, refused, or silently ignored.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime},
    tz::Offset,
};

use serde_json::json;

use crate::{
    http::{Request, Response},
    records::ClaimHeader,
    version::Version,
};

const KINDS: [&str; 8] = ["carrier", "dme", "hha", "hospice", "inpatient", "outpatient", "pde", "snf"];

/// Where a page begins in the result, and how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub start: usize,
    pub count: usize,
}

impl Window {
    /// `count` takes priority over `_count`; the default is 10, at most 50. At v3, `_offset` takes priority over
    /// `startIndex`, a page size of 0 is allowed, and a negative start makes the data back end fail.
    pub(super) fn read(request: &Request, version: Version) -> Result<Self, Response> {
        let integer = |name: &str| match request.query(name) {
            None => Ok(None),
            Some(text) => text.trim().parse::<i64>().map(Some).map_err(|_| Response::detail(400, "expected int")),
        };
        let count = match integer("count")? {
            Some(count) => count,
            None => integer("_count")?.unwrap_or(10),
        };
        match count {
            51.. => return Err(Response::detail(400, "value must be at most 50")),
            ..0 => return Err(Response::detail(400, "value must be at least 0")),
            0 if version != Version::V3 => return Err(upstream("Invalid pageSize '0'")),
            _ => {}
        }
        let offset = integer("_offset")?.filter(|_| version == Version::V3);
        let start = offset.or(integer("startIndex")?).unwrap_or(0);
        let too_low = |_| match version {
            Version::V1 | Version::V2 => upstream(&format!("Value for startIndex cannot be negative: {start}")),
            Version::V3 => Response::uncaught(),
        };
        let start = usize::try_from(start).map_err(too_low)?;
        Ok(Self { start, count: usize::try_from(count).unwrap_or(10) })
    }
}

/// A refusal of the data back end, as this version shows it.
pub(in super::super) fn refused(version: Version, status: u16, diagnostics: &str) -> Response {
    if version != Version::V3 {
        return upstream(diagnostics);
    }
    // In the data back end's order.
    let issue = format!(r#"{{"severity":"error","code":"processing","diagnostics":{}}}"#, json!(diagnostics));
    Response::fhir(status, format!(r#"{{"resourceType":"OperationOutcome","issue":[{issue}]}}"#))
}

/// A 400 of the data back end, as v1 and v2 show it.
pub(super) fn upstream(diagnostics: &str) -> Response {
    Response::detail(400, &format!("An error occurred contacting the upstream server:{diagnostics}"))
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

/// Which claims a search selects.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    kinds: Option<Vec<&'static str>>,
    service: Vec<Bound>,
    updated: Vec<Bound>,
    /// Only at v3.
    sources: Vec<Vec<&'static str>>,
    tags: Vec<Vec<(String, String)>>,
    without_samhsa: bool,
}

impl Filter {
    /// Reads the filters of a claim search.
    pub(super) fn read(request: &Request, version: Version) -> Result<Self, Response> {
        let (service, updated) = (bounds(request, version, "service-date")?, bounds(request, version, "_lastUpdated")?);
        let filter = Self { kinds: kinds(request, version)?, service, updated, ..Self::default() };
        if version != Version::V3 {
            return Ok(filter);
        }
        let without_samhsa = request.query("_security:not").is_some_and(|label| label.contains("42CFRPart2"));
        Ok(Self { sources: sources(request)?, tags: tags(request)?, without_samhsa, ..filter })
    }

    /// The load date alone, the only filter for Patient and Coverage searches.
    pub(super) fn of_loading(request: &Request, version: Version) -> Result<Self, Response> {
        Ok(Self { updated: bounds(request, version, "_lastUpdated")?, ..Self::default() })
    }

    /// Whether a resource that was loaded at this time is selected.
    pub(super) fn holds_loaded(&self, at: Timestamp) -> bool {
        self.updated.iter().all(|bound| bound.holds(at))
    }

    pub(super) fn is_none(&self) -> bool {
        self.kinds.is_none()
            && self.service.is_empty()
            && self.updated.is_empty()
            && self.sources.is_empty()
            && self.tags.is_empty()
            && !self.without_samhsa
    }

    /// Whether this is the filter that the gateway uses at v3 by default: all finished claims.
    pub(super) fn is_for_finished(&self) -> bool {
        let named: Vec<_> = self.sources.iter().map(|any| any.as_slice()).collect();
        named == [["NCH", "DDPS"]] && Self { sources: Vec::new(), ..self.clone() }.is_none()
    }

    pub(super) fn holds(&self, claim: &ClaimHeader) -> bool {
        let service = || {
            let at = claim.service_end.and_then(midnight)?;
            Some(self.service.iter().all(|bound| bound.holds(at)))
        };
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&claim.kind))
            && self.holds_loaded(claim.last_updated)
            && (self.service.is_empty() || service().unwrap_or(false))
            && self.sources.iter().all(|any| any.contains(&claim.marks.source))
            && self.tags.iter().all(|any| any.iter().any(|(system, code)| claim.marks.tags.contains(&(system, code))))
            && !(self.without_samhsa && claim.marks.samhsa)
    }
}

/// One word of a `type` list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Kind(&'static str),
    /// The system without a code, which means every type.
    Any,
    /// Types without a comma between them. The server accepts this and finds nothing.
    Nothing,
}

impl Word {
    fn read(text: &str) -> Option<Self> {
        const SYSTEM: &str = "https://bluebutton.cms.gov/resources/codesystem/eob-type|";
        let (code, has_system) = text.strip_prefix(SYSTEM).map_or((text, false), |code| (code, true));
        if code.is_empty() {
            return has_system.then_some(Self::Any);
        }
        if let Some(kind) = KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(code)) {
            return Some(Self::Kind(kind));
        }
        let mut rest = code.to_ascii_lowercase();
        while !rest.is_empty() {
            let kind = KINDS.into_iter().find(|kind| rest.starts_with(kind))?;
            rest = rest[kind.len()..].trim_start().to_owned();
        }
        Some(Self::Nothing)
    }
}

const SOURCES: [&str; 6] = ["DDPS", "NCH", "MCS", "VMS", "FISS", "CWF"];

/// `_source`: which systems to show claims from. Each value is a list, and one item of it must match.
fn sources(request: &Request) -> Result<Vec<Vec<&'static str>>, Response> {
    let known = |word: &str| SOURCES.into_iter().find(|source| *source == word.trim());
    let values = request.query.iter().filter(|(key, _)| key == "_source");
    let sources = values.map(|(_, list)| list.split(',').map(known).collect::<Option<Vec<_>>>());
    sources.collect::<Option<Vec<_>>>().ok_or_else(|| {
        refused(Version::V3, 400, &format!("Unknown source. Supported sources are: [{}]", SOURCES.join(", ")))
    })
}

/// `_tag`: each value is a list, and one item of it must match.
fn tags(request: &Request) -> Result<Vec<Vec<(String, String)>>, Response> {
    let read = |one: &str| {
        let (system, code) = one.split_once('|').filter(|(system, code)| !system.is_empty() && !code.is_empty())?;
        Some((system.to_owned(), code.to_owned()))
    };
    let values = request.query.iter().filter(|(key, _)| key == "_tag");
    let tags = values.map(|(_, list)| list.split(',').map(read).collect::<Option<Vec<_>>>());
    tags.collect::<Option<Vec<_>>>()
        .ok_or_else(|| refused(Version::V3, 400, "Searching by tag requires a token (system|code) to be specified."))
}

fn kinds(request: &Request, version: Version) -> Result<Option<Vec<&'static str>>, Response> {
    let Some(text) = request.query("type") else { return Ok(None) };
    let words: Option<Vec<Word>> = text.split(',').map(Word::read).collect();
    let words = words.ok_or_else(|| Response::detail(400, "the type parameter value is not valid"))?;
    let breaks = |word: &Word| matches!(word, Word::Any | Word::Nothing);
    if version == Version::V3 && words.iter().any(breaks) {
        // The other data back end cannot handle these.
        return Err(Response::uncaught());
    }
    if words.contains(&Word::Any) {
        return Ok(None);
    }
    Ok(Some(words.into_iter().filter_map(|word| if let Word::Kind(kind) = word { Some(kind) } else { None }).collect()))
}

fn bounds(request: &Request, version: Version, name: &str) -> Result<Vec<Bound>, Response> {
    let mut bounds: Vec<Bound> = Vec::new();
    for (_, text) in request.query.iter().filter(|(key, _)| key == name) {
        let operator = match text.get(..2) {
            Some("lt") => Operator::Lt,
            Some("le") => Operator::Le,
            Some("gt") => Operator::Gt,
            Some("ge") => Operator::Ge,
            _ => return Err(Response::detail(400, &format!("the {name} operator is not valid"))),
        };
        let (from, until) = span(&text[2..]).ok_or_else(|| {
            let text = text[2..].replace('"', "");
            refused(version, 400, &format!("HAPI-1882: Invalid date/time format: \"{text}\""))
        })?;
        let lower = |operator| matches!(operator, Operator::Gt | Operator::Ge);
        if bounds.iter().any(|bound| lower(bound.operator) == lower(operator)) {
            let side = if lower(operator) { "a lower" } else { "an upper" };
            let words = format!(
                "HAPI-1885: Can not have multiple date range parameters for the same param that specify {side} bound"
            );
            return Err(refused(version, 400, &words));
        }
        bounds.push(Bound { operator, from, until });
    }
    Ok(bounds)
}

/// The time span of a date or time. A raw `+` in the query has become a blank by now, and is refused as by the real
/// server.
fn span(text: &str) -> Option<(Timestamp, Timestamp)> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return (!text.contains(' ')).then_some((at, at));
    }
    if let Some(at) = (text.len() > 10 && !text.contains(' ')).then(|| text.parse::<DateTime>().ok()).flatten() {
        let at = Offset::UTC.to_timestamp(at).ok()?;
        return Some((at, at));
    }
    let (first, length) = match text.len() {
        4 => (format!("{text}-01-01"), 1.year()),
        7 => (format!("{text}-01"), 1.month()),
        10 => (text.to_owned(), 1.day()),
        _ => return None,
    };
    let first: Date = first.parse().ok()?;
    // The last day of the calendar has no midnight after it.
    let until = first.checked_add(length).ok().and_then(midnight).unwrap_or(Timestamp::MAX);
    Some((midnight(first).unwrap_or(Timestamp::MAX), until))
}

fn midnight(date: Date) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_in_any_case_with_or_without_system() {
        const SYSTEM: &str = "https://bluebutton.cms.gov/resources/codesystem/eob-type|";
        for (text, expected) in [
            ("carrier", Some(Word::Kind("carrier"))),
            ("PDE", Some(Word::Kind("pde"))),
            (&*format!("{SYSTEM}snf"), Some(Word::Kind("snf"))),
            (SYSTEM, Some(Word::Any)),
            ("carrier pde", Some(Word::Nothing)),
            ("carrierpde", Some(Word::Nothing)),
            ("", None),
            ("bogus", None),
            ("carrierx", None),
        ] {
            assert_eq!(Word::read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_date_stands_for_all_its_instants() {
        let holds = |operator, text, at: &str| {
            let (from, until) = span(text).unwrap();
            Bound { operator, from, until }.holds(at.parse().unwrap())
        };
        for (operator, text, at, expected) in [
            (Operator::Ge, "2024-01-01", "2024-01-01T00:00:00Z", true),
            (Operator::Gt, "2024-01-01", "2024-01-01T23:59:59Z", false),
            (Operator::Gt, "2024-01-01", "2024-01-02T00:00:00Z", true),
            (Operator::Le, "2024-01-01", "2024-01-01T23:59:59Z", true),
            (Operator::Lt, "2024-01-01", "2024-01-01T00:00:00Z", false),
            (Operator::Lt, "2025", "2024-12-31T23:59:59Z", true),
            (Operator::Le, "2024-02", "2024-02-29T12:00:00Z", true),
            (Operator::Gt, "2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00Z", false),
            (Operator::Le, "2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00Z", true),
            (Operator::Ge, "9999", "2024-01-01T00:00:00Z", false),
            (Operator::Le, "9999-12-31", "2024-01-01T00:00:00Z", true),
            (Operator::Lt, "9999-12", "2024-01-01T00:00:00Z", true),
        ] {
            assert_eq!(holds(operator, text, at), expected, "{operator:?} {text} {at}");
        }
        assert_eq!(span("2024-01-01T00:00:00 00:00"), None, "a raw + in the query");
        assert_eq!(span("garbage"), None);
    }
}
