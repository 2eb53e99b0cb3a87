//! Searches: the pages of each version, with its links, its totals and its refusals.

use std::ops::Range;

use jiff::Timestamp;

use serde_json::json;

use super::{
    Caller,
    bundle::Bundle,
    params::{Filter, Window, refused, upstream},
};
use crate::{
    Shared,
    faults::ActiveFaults,
    http::{Request, Response},
    json::quoted,
    records::Records,
    version::Version,
};

const FORMAT: &str = "application/fhir+json";

/// What a search found.
enum Found {
    /// This many claims, starting with the first.
    Claims(usize),
    /// The claims at these places.
    Places(Vec<usize>),
    /// Other resources.
    Texts(Vec<String>),
}

impl Found {
    fn len(&self) -> usize {
        match self {
            Self::Claims(number) => *number,
            Self::Places(places) => places.len(),
            Self::Texts(texts) => texts.len(),
        }
    }
}

pub(super) fn respond(
    shared: &Shared,
    request: &Request,
    caller: &Caller,
    resource: &str,
    faults: &ActiveFaults,
) -> Response {
    let search = match search(shared, request, caller, resource) {
        Ok(search) => search,
        Err(refusal) => return refusal,
    };
    let mut bundle = Bundle::of(&search);
    faults.in_page(&mut bundle);
    bundle.into_response()
}

fn search<'a>(
    shared: &'a Shared,
    request: &'a Request,
    caller: &'a Caller,
    resource: &'a str,
) -> Result<Search<'a>, Response> {
    let forbidden = || Response::detail(403, "You do not have permission to perform this action.");
    let is_v3 = caller.version == Version::V3;
    if is_v3 {
        strict(request, resource)?;
    }
    let window = Window::read(request, caller.version)?;
    let records: &dyn Records = &shared.records;
    let found = match resource {
        "ExplanationOfBenefit" => {
            let filter = Filter::read(request, caller.version)?;
            if request.query("patient").is_some_and(|patient| patient != caller.patient) {
                return Err(forbidden());
            }
            find(records, caller, &filter)
        }
        "Coverage" => {
            if request.query("beneficiary").is_some_and(|person| !person.contains(&caller.patient)) {
                return Err(forbidden());
            }
            let filter = Filter::of_loading(request, caller.version)?;
            let coverage = records.coverage(caller.version, caller.enrollee).into_iter().map(|(_, text)| text);
            Found::Texts(coverage.filter(|text| is_wanted(text, &filter)).collect())
        }
        _ => {
            let is_other = request.query("_id").is_some_and(|id| id != caller.patient);
            if is_other && !is_v3 {
                return Err(Response::detail(404, "Not found."));
            }
            if let Some(identifier) = request.query("identifier").filter(|_| !is_v3) {
                let system = identifier.split('|').next().unwrap_or_default();
                return Err(upstream(&format!("Search query by '{system}' is only supported in POST request")));
            }
            if is_v3 {
                identified(request)?;
            }
            let filter = Filter::of_loading(request, caller.version)?;
            let patient = Some(records.patient(caller.version, caller.enrollee));
            Found::Texts(patient.filter(|text| !is_other && is_wanted(text, &filter)).into_iter().collect())
        }
    };
    Ok(Search { shared, request, caller, resource, window, found })
}

/// Whether a resource was loaded in the time that the search selects. One without a date always matches.
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
        return Found::Claims(number);
    }
    if filter.is_for_finished() {
        return Found::Claims(records.finished(version, enrollee));
    }
    let places = (0..number).map(|nth| records.place(version, enrollee, nth));
    Found::Places(places.filter(|place| filter.holds(&records.claim_header(version, enrollee, *place))).collect())
}

/// Refuses parameters of a search at v3: all unknown ones if the request asks for that (RFC 7240), and paging
/// parameters if there are no pages.
fn strict(request: &Request, resource: &str) -> Result<(), Response> {
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
    if request.header("prefer").is_some_and(|prefer| prefer.replace(' ', "").contains("handling=strict")) {
        let unknown = request.query.iter().map(|(name, _)| name.as_str()).filter(|name| !KNOWN.contains(name));
        let unknown: Vec<String> = unknown.map(|name| format!("'{name}'")).collect();
        if !unknown.is_empty() {
            return Err(Response::spaced(
                400,
                &[("error", json!(format!("Invalid parameters: [{}]", unknown.join(", "))))],
            ));
        }
    }
    if resource != "ExplanationOfBenefit" && request.query("startIndex").is_some() {
        let words = format!(
            "HAPI-0287: Invalid request: The FHIR endpoint on this server does not know how to handle GET operation[{resource}] with parameters [[_count, _format, beneficiary, startIndex]]"
        );
        return Err(refused(Version::V3, 400, &words));
    }
    Ok(())
}

/// v3's data back end finds people by Medicare number. It refuses every other `identifier`, even an empty one (its
/// `FhirInputConverter`).
fn identified(request: &Request) -> Result<(), Response> {
    const NUMBER: &str = "http://hl7.org/fhir/sid/us-mbi";
    let Some(identifier) = request.query("identifier") else { return Ok(()) };
    let (system, value) = identifier.split_once('|').unwrap_or(("", identifier));
    match () {
        () if value.trim().is_empty() => Err(refused(Version::V3, 400, "Value is missing")),
        () if system != NUMBER => Err(refused(Version::V3, 400, "Invalid or missing system")),
        () => Ok(()),
    }
}

/// A search, and what it found.
pub(super) struct Search<'a> {
    pub shared: &'a Shared,
    request: &'a Request,
    pub caller: &'a Caller,
    resource: &'a str,
    pub window: Window,
    found: Found,
}

impl Search<'_> {
    /// How many resources there are.
    pub(super) fn found(&self) -> usize {
        self.found.len()
    }

    pub(super) fn is_of_claims(&self) -> bool {
        self.resource == "ExplanationOfBenefit"
    }

    fn place(&self, nth: usize) -> usize {
        match &self.found {
            Found::Places(places) => places[nth],
            _ => self.shared.records.place(self.caller.version, self.caller.enrollee, nth),
        }
    }

    /// When the newest claim of these was loaded.
    pub(super) fn newest(&self, mut nths: Range<usize>) -> Option<Timestamp> {
        if !self.is_of_claims() {
            return None;
        }
        let Caller { version, enrollee, .. } = *self.caller;
        nths.end = nths.end.min(self.found());
        nths.map(|nth| self.shared.records.claim_header(version, enrollee, self.place(nth)).last_updated).max()
    }

    /// Appends the `nth` result. Beyond the last one, the same claims come again, with new ids.
    pub(super) fn write(&self, nth: usize, out: &mut String) {
        if let Found::Texts(texts) = &self.found {
            out.push_str(&texts[nth]);
            return;
        }
        let Caller { version, enrollee, now, .. } = *self.caller;
        let (round, nth) = (nth / self.found(), nth % self.found());
        let place = self.place(nth);
        if round == 0 {
            return self.shared.records.write_claim(version, enrollee, place, now, out);
        }
        let mut text = String::new();
        self.shared.records.write_claim(version, enrollee, place, now, &mut text);
        let id = self.shared.records.claim_header(version, enrollee, place).id;
        // The number comes after the type; at v3 it is the id. An id without a number may be any word, which the claim
        // may have elsewhere too.
        let number = id.split_once('-').filter(|(kind, _)| !kind.is_empty()).map_or(id.as_str(), |(_, number)| number);
        if number.contains(|letter: char| letter.is_ascii_digit()) {
            out.push_str(&text.replace(number, &format!("{number}{round:06}")));
        } else {
            let member = |id: &str| format!(r#""id":{}"#, quoted(id));
            out.push_str(&text.replace(&member(&id), &member(&format!("{id}{round:06}"))));
        }
    }

    /// Whether the search has pages: at v3, only the claim search does.
    pub(super) fn is_paged(&self) -> bool {
        self.caller.version != Version::V3 || self.resource == "ExplanationOfBenefit"
    }

    /// Which places of the result this page shows.
    pub(super) fn places(&self, found: usize) -> Range<usize> {
        let Window { start, count } = self.window;
        if !self.is_paged() {
            return 0..found;
        }
        start.min(found)..start.saturating_add(count).min(found)
    }

    pub(super) fn links(&self, found: usize) -> Vec<(&'static str, String)> {
        if self.caller.version == Version::V3 {
            return self.links_v3(found);
        }
        let Window { start, count } = self.window;
        let mut links = vec![("first", self.link(0))];
        if start + count < found {
            links.push(("next", self.link(start + count)));
        }
        if start > 0 {
            links.push(("previous", self.link(start.saturating_sub(count))));
        }
        links.push(("last", self.link(found.saturating_sub(1) / count * count)));
        links.push(("self", self.itself()));
        links
    }

    /// Only `next`, `previous` and `self`. They have `_offset` at the end of the request's parameters.
    fn links_v3(&self, found: usize) -> Vec<(&'static str, String)> {
        let Window { start, count } = self.window;
        let mut links = Vec::new();
        if self.is_paged() && count > 0 {
            if start + count < found {
                links.push(("next", self.link(start + count)));
            }
            if start > 0 && start < found {
                links.push(("previous", self.link(start.saturating_sub(count))));
            }
        }
        links.push(("self", self.itself()));
        links
    }

    /// The link to the page that begins at `start`.
    pub(super) fn link(&self, start: usize) -> String {
        if self.caller.version == Version::V3 { self.link_v3(start) } else { self.link_v2(start) }
    }

    /// The request's parameters in their order, then those that the gateway adds, then the start of the page.
    fn link_v3(&self, start: usize) -> String {
        let (name, person) = self.person();
        let count = self.window.count.to_string();
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut is_counted = false;
        for (asked, value) in &self.request.query {
            match asked.as_str() {
                "_count" | "count" if !std::mem::replace(&mut is_counted, true) => {
                    query.append_pair("_count", &count);
                }
                // The gateway adds this itself, at the end.
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
        if self.request.query(name).is_none() {
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

    /// The parameter that the gateway adds so that people see only their own data.
    fn person(&self) -> (&'static str, String) {
        match self.resource {
            "Coverage" => ("beneficiary", format!("Patient/{}", self.caller.patient)),
            "Patient" if self.caller.version == Version::V3 && self.request.query("identifier").is_some() => {
                ("identifier", self.request.query("identifier").unwrap_or_default().to_owned())
            }
            "Patient" if self.caller.version == Version::V3 => {
                ("_id", self.request.query("_id").unwrap_or(&self.caller.patient).to_owned())
            }
            "Patient" => ("_id", self.caller.patient.clone()),
            _ => ("patient", self.caller.patient.clone()),
        }
    }

    fn kept(&self, names: &'static [&'static str]) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.request.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        pairs.filter(move |(name, _)| names.contains(name))
    }

    fn link_v2(&self, start: usize) -> String {
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

    /// The link to this page itself. It has another form of address, with sorted parameters.
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
}
