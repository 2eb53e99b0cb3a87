//! Searches: the pages of each version, with its links, its totals and its refusals.

use std::{fmt::Write, ops::Range};

use jiff::Timestamp;

use serde_json::json;

use super::{
    Caller, instant,
    params::{Filter, Window, refused, upstream},
};
use crate::{
    Shared,
    faults::Kind,
    http::{Answer, Ask},
    records::Records,
    version::Version,
    world::uuid,
};

const FORMAT: &str = "application/fhir+json";
/// Room made at once for a page: this many bytes for each of so many claims, about what they take at v3.
const CLAIM: usize = 32 << 10;
const USUAL: usize = 50;

/// What a search found: places of claims, all of them where nothing was filtered.
enum Found {
    All(usize),
    Some(Vec<usize>),
}

impl Found {
    fn len(&self) -> usize {
        match self {
            Self::All(number) => *number,
            Self::Some(positions) => positions.len(),
        }
    }

    /// The place of the `nth` claim found.
    fn at(&self, records: &dyn Records, caller: &Caller, nth: usize) -> usize {
        match self {
            Self::All(_) => records.place(caller.version, caller.enrollee, nth),
            Self::Some(places) => places[nth],
        }
    }
}

pub(super) fn answer(shared: &Shared, ask: &Ask, caller: &Caller, resource: &str, faults: &[Kind]) -> Answer {
    match page(shared, ask, caller, resource, faults) {
        Ok(text) => Answer::fhir(200, text),
        Err(refusal) => refusal,
    }
}

fn page(shared: &Shared, ask: &Ask, caller: &Caller, resource: &str, faults: &[Kind]) -> Result<String, Answer> {
    let forbidden = || Answer::detail(403, "You do not have permission to perform this action.");
    let is_v3 = caller.version == Version::V3;
    if is_v3 {
        strict(ask, resource)?;
    }
    let window = Window::read(ask, caller.version)?;
    let records: &dyn Records = &shared.records;
    let mut page = Page::new(shared, ask, caller, resource, window, faults);
    match resource {
        "ExplanationOfBenefit" => {
            let filter = Filter::read(ask, caller.version)?;
            if ask.query("patient").is_some_and(|patient| patient != caller.patient) {
                return Err(forbidden());
            }
            let found = find(records, caller, &filter);
            page.claims(records, caller, &found)
        }
        "Coverage" => {
            if ask.query("beneficiary").is_some_and(|person| !person.contains(&caller.patient)) {
                return Err(forbidden());
            }
            let filter = Filter::of_loading(ask, caller.version)?;
            let coverage = records.coverage(caller.version, caller.enrollee).into_iter().map(|(_, text)| text);
            page.texts(&coverage.filter(|text| is_wanted(text, &filter)).collect::<Vec<_>>())
        }
        _ => {
            let is_other = ask.query("_id").is_some_and(|id| id != caller.patient);
            if is_other && !is_v3 {
                return Err(Answer::detail(404, "Not found."));
            }
            if let Some(identifier) = ask.query("identifier").filter(|_| !is_v3) {
                let system = identifier.split('|').next().unwrap_or_default();
                return Err(upstream(&format!("Search query by '{system}' is only supported in POST request")));
            }
            if is_v3 {
                identified(ask)?;
            }
            let filter = Filter::of_loading(ask, caller.version)?;
            let patient = records.patient(caller.version, caller.enrollee);
            page.texts(
                &Some(patient).filter(|text| !is_other && is_wanted(text, &filter)).into_iter().collect::<Vec<_>>(),
            )
        }
    }
}

/// Whether a resource was loaded when the search wants it; one without a date always was.
fn is_wanted(text: &str, filter: &Filter) -> bool {
    #[derive(serde::Deserialize)]
    struct Resource {
        meta: Meta,
    }
    #[derive(serde::Deserialize)]
    struct Meta {
        #[serde(rename = "lastUpdated")]
        last_updated: Timestamp,
    }
    serde_json::from_str::<Resource>(text).map_or(true, |resource| filter.holds_loaded(resource.meta.last_updated))
}

fn find(records: &dyn Records, caller: &Caller, filter: &Filter) -> Found {
    let (version, enrollee) = (caller.version, caller.enrollee);
    let number = records.claims(version, enrollee);
    if filter.is_none() {
        return Found::All(number);
    }
    if filter.is_for_finished() {
        return Found::All(records.finished(version, enrollee));
    }
    let places = (0..number).map(|nth| records.place(version, enrollee, nth));
    Found::Some(places.filter(|place| filter.holds(&records.claim_header(version, enrollee, *place))).collect())
}

/// What v3 refuses of a search's parameters: all unknown ones where that was asked for (RFC 7240), and those
/// for paging where there are no pages.
fn strict(ask: &Ask, resource: &str) -> Result<(), Answer> {
    const KNOWN: [&str; 15] = [
        "_count",
        "count",
        "startIndex",
        "_offset",
        "_lastUpdated",
        "service-date",
        "type",
        "patient",
        "beneficiary",
        "_id",
        "identifier",
        "_tag",
        "_source",
        "_security:not",
        "_format",
    ];
    if ask.header("prefer").is_some_and(|prefer| prefer.replace(' ', "").contains("handling=strict")) {
        let unknown = ask.query.iter().map(|(name, _)| name.as_str()).filter(|name| !KNOWN.contains(name));
        let unknown: Vec<String> = unknown.map(|name| format!("'{name}'")).collect();
        if !unknown.is_empty() {
            return Err(Answer::spaced(
                400,
                &[("error", json!(format!("Invalid parameters: [{}]", unknown.join(", "))))],
            ));
        }
    }
    if resource != "ExplanationOfBenefit" && ask.query("startIndex").is_some() {
        let words = format!(
            "HAPI-0287: Invalid request: The FHIR endpoint on this server does not know how to handle GET operation[{resource}] with parameters [[_count, _format, beneficiary, startIndex]]"
        );
        return Err(refused(Version::V3, 400, &words));
    }
    Ok(())
}

/// v3's data back end finds people by Medicare number, and refuses every other `identifier`, an empty one included
/// (its `FhirInputConverter`).
fn identified(ask: &Ask) -> Result<(), Answer> {
    const NUMBER: &str = "http://hl7.org/fhir/sid/us-mbi";
    let Some(identifier) = ask.query("identifier") else { return Ok(()) };
    let (system, value) = identifier.split_once('|').unwrap_or(("", identifier));
    match () {
        () if value.trim().is_empty() => Err(refused(Version::V3, 400, "Value is missing")),
        () if system != NUMBER => Err(refused(Version::V3, 400, "Invalid or missing system")),
        () => Ok(()),
    }
}

/// A Bundle being written.
struct Page<'a> {
    shared: &'a Shared,
    ask: &'a Ask,
    caller: &'a Caller,
    resource: &'a str,
    window: Window,
    faults: &'a [Kind],
    text: String,
    entries: Entries,
}

/// How far the list of entries is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entries {
    None,
    Opened,
    Some,
}

impl<'a> Page<'a> {
    fn new(
        shared: &'a Shared,
        ask: &'a Ask,
        caller: &'a Caller,
        resource: &'a str,
        window: Window,
        faults: &'a [Kind],
    ) -> Self {
        Self { shared, ask, caller, resource, window, faults, text: String::new(), entries: Entries::None }
    }

    fn has(&self, fault: &Kind) -> bool {
        self.faults.contains(fault)
    }

    fn claims(&mut self, records: &dyn Records, caller: &Caller, found: &Found) -> Result<String, Answer> {
        let header = |nth| records.claim_header(caller.version, caller.enrollee, found.at(records, caller, nth));
        let newest = self.places(found.len()).map(|nth| header(nth).last_updated).max();
        let places = self.open(found.len(), newest)?;
        self.text.reserve(places.len().min(USUAL) * CLAIM);
        let before = self.has(&Kind::Duplicate).then(|| places.start.checked_sub(1)).flatten();
        for place in before.into_iter().chain(places) {
            self.entry();
            records.write_claim(
                caller.version,
                caller.enrollee,
                found.at(records, caller, place),
                caller.now,
                &mut self.text,
            );
            self.text.push('}');
        }
        Ok(self.close())
    }

    fn texts(&mut self, resources: &[String]) -> Result<String, Answer> {
        for place in self.open(resources.len(), None)? {
            self.entry();
            self.text.push_str(&resources[place]);
            self.text.push('}');
        }
        Ok(self.close())
    }

    fn entry(&mut self) {
        if self.entries == Entries::Some {
            self.text.push(',');
        }
        self.entries = Entries::Some;
        self.text.push_str("{\"resource\":");
    }

    /// Writes everything up to the entries; says which places of the result are on this page.
    ///
    /// The Bundle's date is that of the last load, or of the newest claim on the page if that is later; at v3
    /// it is the moment of the answer wherever there is something.
    fn open(&mut self, found: usize, newest: Option<Timestamp>) -> Result<Range<usize>, Answer> {
        let Window { start, count } = self.window;
        let is_v3 = self.caller.version == Version::V3;
        if !is_v3 && found > 0 && start >= found && !self.has(&Kind::Empty) {
            // The words are the real server's.
            return Err(upstream(&format!(
                "Value for startIndex ({start}) must be less than than result size ({found})"
            )));
        }
        let swallowed = self.has(&Kind::Empty);
        let true_total = if swallowed { 0 } else { found };
        let total =
            self.faults.iter().find_map(|fault| if let Kind::Total(total) = fault { Some(*total) } else { None });
        let here = self.places(true_total).len();
        let honest = match self.caller.version {
            Version::V1 | Version::V2 => true_total,
            // Filled in with the page size where there is a next page or nothing at all; else this page's own.
            Version::V3 if here == 0 || (self.is_paged() && start + count < true_total) => count,
            Version::V3 if self.is_paged() => here,
            Version::V3 => count,
        };
        let total = total.unwrap_or(honest as u64);
        let loaded = self.shared.records.loaded();
        let updated = match newest {
            _ if is_v3 && here > 0 => self.caller.now,
            newest => newest.map_or(loaded, |newest| newest.max(loaded)),
        };
        let updated = instant(updated);
        let _ = write!(
            self.text,
            r#"{{"resourceType":"Bundle","id":"{}","meta":{{"lastUpdated":"{updated}"}},"type":"searchset""#,
            uuid()
        );
        if !self.has(&Kind::NoTotal) {
            let _ = write!(self.text, r#","total":{total}"#);
        }
        if is_v3 {
            self.links_v3(true_total, start, count);
        } else {
            self.links(true_total, start, count);
        }
        if true_total == 0 || (is_v3 && here == 0) || self.has(&Kind::EmptyNext) {
            return Ok(0..0);
        }
        self.text.push_str(",\"entry\":[");
        self.entries = Entries::Opened;
        Ok(self.places(found))
    }

    /// Whether the search has pages: at v3 that of claims alone.
    fn is_paged(&self) -> bool {
        self.caller.version != Version::V3 || self.resource == "ExplanationOfBenefit"
    }

    /// Which places of the result this page shows.
    fn places(&self, found: usize) -> Range<usize> {
        let Window { start, count } = self.window;
        if !self.is_paged() {
            return 0..found;
        }
        start.min(found)..start.saturating_add(count).min(found)
    }

    fn links(&mut self, total: usize, start: usize, count: usize) {
        let mut links = vec![("first", self.link(0))];
        if start + count < total {
            let next = if self.has(&Kind::NextLoop) { start } else { start + count };
            links.push(("next", self.bent(self.link(next))));
        }
        if start > 0 {
            links.push(("previous", self.link(start.saturating_sub(count))));
        }
        links.push(("last", self.link(total.saturating_sub(1) / count * count)));
        links.push(("self", self.bent_self()));
        self.write_links(links);
    }

    /// `next`, `previous` and `self`, and no others: `_offset` at the end of what was asked.
    fn links_v3(&mut self, total: usize, start: usize, count: usize) {
        let mut links = Vec::new();
        if self.is_paged() && count > 0 {
            if start + count < total {
                let next = if self.has(&Kind::NextLoop) { start } else { start + count };
                links.push(("next", self.bent(self.link_v3(next))));
            }
            if start > 0 && start < total {
                links.push(("previous", self.link_v3(start.saturating_sub(count))));
            }
        }
        links.push(("self", self.bent_self()));
        self.write_links(links);
    }

    fn write_links(&mut self, links: Vec<(&str, String)>) {
        let links: Vec<String> = links
            .into_iter()
            .map(|(relation, url)| format!(r#"{{"relation":"{relation}","url":{}}}"#, serde_json::json!(url)))
            .collect();
        let _ = write!(self.text, r#","link":[{}]"#, links.join(","));
    }

    /// What was asked, in its order; then what the gateway adds to it; then where the page begins.
    fn link_v3(&self, start: usize) -> String {
        let (name, person) = self.person();
        let count = self.window.count.to_string();
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut is_counted = false;
        for (asked, value) in &self.ask.query {
            match asked.as_str() {
                "_count" | "count" if !std::mem::replace(&mut is_counted, true) => {
                    query.append_pair("_count", &count);
                }
                // What the gateway adds itself comes last.
                "_security:not" if self.caller.without_samhsa => {}
                "_source" | "_tag" | "_security:not" | "type" | "_lastUpdated" | "service-date" | "patient" => {
                    query.append_pair(asked, value);
                }
                _ => {}
            }
        }
        if !is_counted {
            query.append_pair("_count", &count);
        }
        query.append_pair("_format", FORMAT);
        if self.ask.query(name).is_none() {
            query.append_pair(name, &person);
        }
        if self.caller.without_samhsa && self.resource == "ExplanationOfBenefit" {
            query.append_pair("_security:not", "42CFRPart2");
        }
        if start > 0 {
            query.append_pair("_offset", &start.to_string());
        }
        format!("{}/{}/fhir/{}/?{}", self.shared.url(), self.caller.version.name(), self.resource, query.finish())
    }

    /// What the gateway adds so that everyone sees only their own.
    fn person(&self) -> (&'static str, String) {
        match self.resource {
            "Coverage" => ("beneficiary", format!("Patient/{}", self.caller.patient)),
            "Patient" if self.caller.version == Version::V3 && self.ask.query("identifier").is_some() => {
                ("identifier", self.ask.query("identifier").unwrap_or_default().to_owned())
            }
            "Patient" if self.caller.version == Version::V3 => {
                ("_id", self.ask.query("_id").unwrap_or(&self.caller.patient).to_owned())
            }
            "Patient" => ("_id", self.caller.patient.clone()),
            _ => ("patient", self.caller.patient.clone()),
        }
    }

    fn kept(&self, names: &'static [&'static str]) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.ask.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        pairs.filter(move |(name, _)| names.contains(name))
    }

    fn link(&self, start: usize) -> String {
        let (name, person) = self.person();
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("_format", FORMAT)
            .append_pair("startIndex", &start.to_string())
            .append_pair("_count", &self.window.count.to_string())
            .extend_pairs(self.kept(&["type", "_offset"]))
            .append_pair(name, &person)
            .extend_pairs(self.kept(&["_lastUpdated", "service-date"]))
            .finish();
        format!("{}/{}/fhir/{}?{query}", self.shared.url(), self.caller.version.name(), self.resource)
    }

    /// The link to this very page: another form of address, its parameters sorted.
    fn itself(&self) -> String {
        let (name, person) = self.person();
        let count = self.window.count.to_string();
        let mut pairs = vec![("_count", count.as_str()), ("_format", FORMAT), (name, person.as_str())];
        pairs.extend(self.kept(&["type", "_lastUpdated", "_offset", "service-date", "startIndex"]));
        if self.caller.version == Version::V3 {
            pairs.extend(self.kept(&["_source", "_tag", "_security:not"]));
        }
        pairs.sort_by_key(|(name, _)| *name);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("{}/{}/fhir/{}/?{query}", self.shared.url(), self.caller.version.name(), self.resource)
    }

    /// The `next` link, as faults want it.
    fn bent(&self, link: String) -> String {
        let query = link.split_once('?').map_or(String::new(), |(_, query)| query.to_owned());
        self.faults.iter().fold(link, |link, fault| match fault {
            Kind::NextHost(origin) => link.replacen(self.shared.url(), origin, 1),
            Kind::NextPath(path) => format!("{}{path}?{query}", self.shared.url()),
            _ => link,
        })
    }

    /// The `self` link, as faults want it.
    fn bent_self(&self) -> String {
        self.faults.iter().fold(self.itself(), |link, fault| match fault {
            Kind::SelfHost(origin) => link.replacen(self.shared.url(), origin, 1),
            _ => link,
        })
    }

    fn close(&mut self) -> String {
        self.text.push_str(if self.entries == Entries::None { "}" } else { "]}" });
        std::mem::take(&mut self.text)
    }
}
