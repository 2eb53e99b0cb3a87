//! The pages between the authorization request and the consent page: those of Medicare.gov, to which the real server
//! sends people, and the way back.

use serde_json::json;

use super::{
    Shared,
    backend::{FailedLookup, Failure},
    faults::ActiveFaults,
    html,
    http::{Pairs, Request, Response, last},
    language::Language,
    login_visits::Standing,
    records::Records as _,
    version::Version,
};

/// `{"error": …}` in a browser.
fn error(status: u16, text: &str) -> Response {
    Response::spaced(status, &[("error", json!(text))])
}

/// The first redirect of an authorization request.
pub(super) fn leave(version: Version, query: &str) -> Response {
    let next = format!("/{}/o/authorize/?{query}", version.name());
    Response::redirect(302, &format!("/mymedicare/login?next={}", quoted(&next)))
}

/// Percent-encodes everything except letters, digits, `-._~` and the slash, like Python's `quote`.
fn quoted(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// `/mymedicare/login`: continues to the log-in server.
pub(super) fn login(shared: &Shared, request: &Request) -> Response {
    let Some(next) = request.query("next") else { return error(400, "The state parameter is required") };
    let parameters = form_urlencoded::parse(next.split_once('?').map_or("", |(_, query)| query).as_bytes());
    // The log-in server gets the language that the app asked for, in its own terms.
    let language = match last(&parameters.into_owned().collect(), "lang") {
        Some("es") => "&lang=es-mx",
        Some("en") => "&lang=en-us",
        _ => "",
    };
    let relay = shared.world().login_visits.leave(next.to_owned());
    let back = quoted(&format!("{}/mymedicare/sls-callback", shared.url()));
    let to = format!("/sso/authorize?client_id=bb2api&relay={relay}&redirect_uri={back}{language}");
    Response::redirect(302, &format!("{}{to}", shared.url()))
}

/// `/sso/authorize`: the page that asks who logs in. The real one is on Medicare.gov.
pub(super) fn choose(shared: &Shared, request: &Request) -> Response {
    question(shared, request, request.query("relay").unwrap_or_default())
}

fn question(shared: &Shared, request: &Request, relay: &str) -> Response {
    let asked = request.query("lang").map(Language::called);
    let language = asked.unwrap_or_else(|| Language::of(&Pairs::new(), request));
    Response::html(200, html::log_in(&shared.records, relay, language)).with("content-language", language.tag())
}

/// `/login/`: the form of that page.
pub(super) fn chosen(shared: &Shared, request: &Request) -> Response {
    let form = request.form();
    let relay = last(&form, "relay").unwrap_or_default();
    let Some(enrollee) = last(&form, "username").and_then(|name| shared.records.find_enrollee(name)) else {
        return question(shared, request, relay);
    };
    let token = shared.world().login_visits.sign_in(enrollee);
    let to = format!("{}/mymedicare/sls-callback?req_token={token}&relay={}", shared.url(), quoted(relay));
    Response::redirect(302, &to)
}

/// `/mymedicare/sls-callback`: the way back from the log-in server. Looks up the person.
pub(super) fn back(shared: &Shared, request: &Request, faults: &ActiveFaults) -> Response {
    let Some(relay) = request.query("relay") else { return error(400, "The state parameter is required") };
    let world = &mut *shared.world();
    let Some(next) = world.login_visits.next(relay).map(str::to_owned) else {
        return error(400, "The requested state was not found");
    };
    let (path, query) = next.split_once('?').unwrap_or((&next, ""));
    let Some((version, _)) = Version::of(path) else { return Response::html(404, html::no_such_page()) };
    let Some(enrollee) = request.query("req_token").and_then(|token| world.login_visits.signed_in(token)) else {
        return error(502, "Failed to retrieve data from data source.");
    };
    let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let standing = world.login_visits.standing(enrollee);
    if let Some(refusal) = look_up(standing, version, last(&parameters, "redirect_uri"), faults) {
        return refusal;
    }
    let uuid = world.open_visit(enrollee, version, query.to_owned());
    Response::redirect(302, &format!("{path}{uuid}/?{query}"))
}

/// `/v3/o/permission-logout`: "switch account" on the consent page, at every version. It ends the log-in, and the
/// same request begins again. The real server's answer is not known, but it forgets its session.
pub(super) fn switch_account(shared: &Shared, request: &Request) -> Response {
    if request.method != "POST" {
        return Response::html(405, String::new()).with("allow", "POST, OPTIONS");
    }
    let form = request.form();
    let world = &mut *shared.world();
    match last(&form, "csrfmiddlewaretoken").and_then(|csrf| world.login_visits.close(csrf)) {
        Some(visit) => leave(visit.version, &visit.query),
        None => Response::html(403, html::refused(html::FORGED)),
    }
}

/// The refusal for a person who cannot be looked up: the data back end of this version fails, does not know them, or
/// knows them twice.
pub(super) fn look_up(
    standing: Standing,
    version: Version,
    redirect_uri: Option<&str>,
    faults: &ActiveFaults,
) -> Option<Response> {
    match faults.failure(version).and_then(Failure::of_person) {
        None => unknown(standing, version, redirect_uri),
        Some(FailedLookup::NotFound) => unknown(Standing::Unknown, version, redirect_uri),
        Some(FailedLookup::Failed) => Some(error(502, "Failed to retrieve data from data source.")),
        Some(FailedLookup::Unanswered) => Some(Response::uncaught()),
    }
}

fn unknown(standing: Standing, version: Version, redirect_uri: Option<&str>) -> Option<Response> {
    let absent = || Some(Response::html(404, html::not_found(redirect_uri.unwrap_or_default())));
    match (standing, version) {
        (Standing::OnlyV2, Version::V3) | (Standing::OnlyV3, Version::V1 | Version::V2) | (Standing::Unknown, _) => {
            absent()
        }
        (Standing::NoNumber, _) => {
            Some(Response::html(404, html::refused("There is no Medicare number in your profile.")))
        }
        (Standing::Duplicate, _) => Some(error(502, "Failed to retrieve data from data source.")),
        (Standing::Known | Standing::OnlyV2 | Standing::OnlyV3, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn slashes_stay() {
        assert_eq!(quoted("/v2/o/authorize/?a=b%3A&c=d+e"), "/v2/o/authorize/%3Fa%3Db%253A%26c%3Dd%2Be");
    }
}
