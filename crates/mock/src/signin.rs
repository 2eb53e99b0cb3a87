//! The pages between the authorization request and the consent page: those of Medicare.gov, which the real
//! server sends people to, and the way back.

use serde_json::json;

use super::{
    Shared,
    backend::{Failure, Lookup},
    faults::Struck,
    html,
    http::{Answer, Ask, Pairs, last},
    language::Language,
    login_visits::Standing,
    records::Records as _,
    version::Version,
};

/// `{"error": …}` in a browser.
fn error(status: u16, text: &str) -> Answer {
    Answer::spaced(status, &[("error", json!(text))])
}

/// Where an authorization request goes first.
pub(super) fn leave(version: Version, query: &str) -> Answer {
    let next = format!("/{}/o/authorize/?{query}", version.name());
    Answer::redirect(302, &format!("/mymedicare/login?next={}", quoted(&next)))
}

/// Percent-encoded but for letters, digits, `-._~` and the slash: Python's `quote`.
fn quoted(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// `/mymedicare/login`: on to the log-in server.
pub(super) fn login(shared: &Shared, ask: &Ask) -> Answer {
    let Some(next) = ask.query("next") else { return error(400, "The state parameter is required") };
    let request = form_urlencoded::parse(next.split_once('?').map_or("", |(_, query)| query).as_bytes());
    // The log-in server is told the language that the app asked for, in its own terms.
    let language = match last(&request.into_owned().collect(), "lang") {
        Some("es") => "&lang=es-mx",
        Some("en") => "&lang=en-us",
        _ => "",
    };
    let relay = shared.world().login_visits.leave(next.to_owned());
    let back = quoted(&format!("{}/mymedicare/sls-callback", shared.url()));
    let to = format!("/sso/authorize?client_id=bb2api&relay={relay}&redirect_uri={back}{language}");
    Answer::redirect(302, &format!("{}{to}", shared.url()))
}

/// `/sso/authorize`: who are you? The real one is at Medicare.gov.
pub(super) fn choose(shared: &Shared, ask: &Ask) -> Answer {
    question(shared, ask, ask.query("relay").unwrap_or_default())
}

fn question(shared: &Shared, ask: &Ask, relay: &str) -> Answer {
    let asked = ask.query("lang").map(Language::called);
    let language = asked.unwrap_or_else(|| Language::of(&Pairs::new(), ask));
    Answer::html(200, html::log_in(&shared.records, relay, language)).with("content-language", language.tag())
}

/// `/login/`: somebody has said who they are.
pub(super) fn chosen(shared: &Shared, ask: &Ask) -> Answer {
    let form = ask.form();
    let relay = last(&form, "relay").unwrap_or_default();
    let Some(enrollee) = last(&form, "username").and_then(|name| shared.records.find_enrollee(name)) else {
        return question(shared, ask, relay);
    };
    let token = shared.world().login_visits.sign_in(enrollee);
    let to = format!("{}/mymedicare/sls-callback?req_token={token}&relay={}", shared.url(), quoted(relay));
    Answer::redirect(302, &to)
}

/// `/mymedicare/sls-callback`: back from the log-in server; the person is looked up.
pub(super) fn back(shared: &Shared, ask: &Ask, faults: &Struck) -> Answer {
    let Some(relay) = ask.query("relay") else { return error(400, "The state parameter is required") };
    let world = &mut *shared.world();
    let Some(next) = world.login_visits.next(relay).map(str::to_owned) else {
        return error(400, "The requested state was not found");
    };
    let (path, query) = next.split_once('?').unwrap_or((&next, ""));
    let Some((version, _)) = Version::of(path) else { return Answer::html(404, html::no_such_page()) };
    let Some(enrollee) = ask.query("req_token").and_then(|token| world.login_visits.signed_in(token)) else {
        return error(502, "Failed to retrieve data from data source.");
    };
    let request = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let standing = world.login_visits.standing(enrollee);
    if let Some(refusal) = look_up(standing, version, last(&request, "redirect_uri"), faults) {
        return refusal;
    }
    let uuid = world.open_visit(enrollee, version, query.to_owned());
    Answer::redirect(302, &format!("{path}{uuid}/?{query}"))
}

/// `/v3/o/permission-logout`: the consent page's "switch account", at every version. Whoever had logged in is so no
/// longer, and the same request begins anew. What the real server answers is not known; it forgets its session.
pub(super) fn switch_account(shared: &Shared, ask: &Ask) -> Answer {
    if ask.method != "POST" {
        return Answer::html(405, String::new()).with("allow", "POST, OPTIONS");
    }
    let form = ask.form();
    let world = &mut *shared.world();
    match last(&form, "csrfmiddlewaretoken").and_then(|csrf| world.login_visits.close(csrf)) {
        Some(visit) => leave(visit.version, &visit.query),
        None => Answer::html(403, html::refused(html::FORGED)),
    }
}

/// What somebody sees who cannot be looked up: the data back end of this version fails, does not know them, or knows
/// them twice.
pub(super) fn look_up(
    standing: Standing,
    version: Version,
    redirect_uri: Option<&str>,
    faults: &Struck,
) -> Option<Answer> {
    match faults.failure(version).and_then(Failure::of_person) {
        None => unknown(standing, version, redirect_uri),
        Some(Lookup::NotFound) => unknown(Standing::Unknown, version, redirect_uri),
        Some(Lookup::Failed) => Some(error(502, "Failed to retrieve data from data source.")),
        Some(Lookup::Unanswered) => Some(Answer::uncaught()),
    }
}

fn unknown(standing: Standing, version: Version, redirect_uri: Option<&str>) -> Option<Answer> {
    let absent = || Some(Answer::html(404, html::not_found(redirect_uri.unwrap_or_default())));
    match (standing, version) {
        (Standing::OnlyV2, Version::V3) | (Standing::OnlyV3, Version::V1 | Version::V2) | (Standing::Unknown, _) => {
            absent()
        }
        (Standing::NoNumber, _) => {
            Some(Answer::html(404, html::refused("There is no Medicare number in your profile.")))
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
