//! From the authorization request to the redirect.

use super::*;

fn with_pages() -> Mock {
    start(Options { auto_consent: false, ..options() })
}

/// The value of a hidden field.
fn field(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    page[at..].split('"').nth(3).unwrap().to_owned()
}

/// Logs the first enrollee in. Returns the address of the consent page.
pub(super) fn log_in(mock: &Mock, request: &str) -> String {
    let hop = get(mock, request);
    assert_eq!(hop.status, 302, "{hop:?}");
    let login = hop.header("location").unwrap().to_owned();
    assert!(login.starts_with("/mymedicare/login?next="), "{login}");
    let to = |hop: &Got| hop.header("location").unwrap_or_else(|| panic!("{hop:?}")).to_owned();
    let page = get(mock, &to(&get(mock, &login)));
    assert!(page.text().contains("BBUser00000"));
    let relay = field(page.text(), "relay");
    let hop = get(mock, &to(&form(mock, "/login/", &[], &[("username", "BBUser00000"), ("relay", &relay)])));
    assert_eq!(hop.status, 302, "{hop:?}");
    hop.header("location").unwrap().to_owned()
}

#[test]
fn bad_authorization_requests_are_refused_before_the_log_in() {
    let mock = with_pages();
    let missing =
        |names: &str| format!(r#"{{"status_code": 400, "message": "Missing Required Parameter(s): {names}"}}"#);
    for (changed, status, expected) in [
        (
            vec![("code_challenge", None), ("code_challenge_method", None)],
            400,
            missing("code_challenge, code_challenge_method"),
        ),
        (vec![("code_challenge", None)], 400, missing("code_challenge")),
        (vec![("code_challenge_method", None)], 400, missing("code_challenge_method")),
        (vec![("state", None)], 400, missing("state")),
        (
            vec![("code_challenge_method", Some("plain"))],
            400,
            r#"{"status_code": 400, "error": "invalid_request", "error_description": "code_challenge_method must be S256"}"#.to_owned(),
        ),
        (
            vec![("state", Some("0123456789abcde"))],
            400,
            r#"{"status_code": 400, "message": "State parameter should have a minimum of 16 characters"}"#.to_owned(),
        ),
        (
            vec![("scope", Some("patient/AuditEvent.rs"))],
            400,
            r#"{"status_code": 400, "message": "Invalid scopes."}"#.to_owned(),
        ),
        (vec![("client_secret", Some("x"))], 400, "Illegal query parameter [client_secret] detected".to_owned()),
    ] {
        let got = get(&mock, &authorization(&mock, &changed));
        assert_eq!((got.status, got.text()), (status, expected.as_str()), "{changed:?}");
    }
    for (id, status, words) in [
        (None, 401, "App id failed"),
        (Some("a-b"), 400, "Invalid client_id format"),
        (Some("abc"), 400, "Application does not exist (client_id)"),
    ] {
        let got = get(&mock, &authorization(&mock, &[("client_id", id)]));
        assert_eq!(got.status, status, "{id:?}");
        assert!(got.text().contains("401 - Unauthorized") && got.text().contains(words), "{got:?}");
    }
    let got = form(&mock, "/v2/o/authorize/", &[], &[("client_id", mock.client_id())]);
    assert_eq!((got.status, got.text()), (401, r#"{"status_code": 401, "message": "State required in POST body."}"#));
    control(&mock, "faults", r#"["inactive#1"]"#);
    let got = get(&mock, &authorization(&mock, &[]));
    assert!(got.status == 403 && got.text().contains("is temporarily inactive"), "{got:?}");
}

#[test]
fn a_person_logs_in_and_consents() {
    let mock = with_pages();
    let address = log_in(&mock, &authorization(&mock, &[("state", Some("blank and ümlaut state"))]));
    let page = get(&mock, &address);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("value=\"True\" checked"), "demographics are shared unless the person says no");
    assert!(page.text().contains("for 13 months, until "));
    let csrf = field(page.text(), "csrfmiddlewaretoken");
    assert_eq!(form(&mock, &address, &[], &[("allow", "Allow")]).status, 403, "without the CSRF field");
    let shared = [("csrfmiddlewaretoken", csrf.as_str()), ("share_demographic_scopes", "True"), ("allow", "Allow")];
    let got = form(&mock, &address, &[], &shared);
    assert_eq!(got.status, 302);
    assert_eq!(sent_back(&got, "state").as_deref(), Some("blank and ümlaut state"));
    assert!(got.header("location").unwrap().contains("state=blank+and+"), "form-encoded");
    let code = sent_back(&got, "code").unwrap();
    assert!(code.len() == 30 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{code}");
    assert_eq!(exchange(&mock, &code).status, 200);
}

#[test]
fn the_form_repeats_the_request_as_the_real_one_does() {
    let mock = with_pages();
    for (version, first, last) in [
        ("v2", "share_demographic_scopes=False share_demographic_scopes=True csrfmiddlewaretoken", "claims"),
        (
            "v3",
            "share_demographic_scopes=True",
            "claims share_samhsa_data=False share_samhsa_data=True csrfmiddlewaretoken",
        ),
    ] {
        let scope = "patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs";
        let request = authorization(&mock, &[("scope", Some(scope)), ("state", Some("\"<script>&0123456789"))]);
        let page = get(&mock, &log_in(&mock, &request.replacen("v2", version, 1)));
        let form = page.text().split("<form").nth(1).unwrap();
        let fields = form.split("<input ").skip(1).map(|input| {
            let part =
                |name: &str| input.split(&format!("{name}=\"")).nth(1).map(|rest| rest.split('"').next().unwrap());
            let (name, value) = (part("name").unwrap(), part("value").unwrap());
            if name.starts_with("share_") { format!("{name}={value}") } else { name.to_owned() }
        });
        let names = "redirect_uri scope nonce client_id state response_type code_challenge code_challenge_method";
        assert_eq!(fields.collect::<Vec<_>>().join(" "), format!("{first} {names} {last}"));
        assert_eq!(field(form, "scope").split(' ').count(), 3);
        assert_eq!(field(form, "state"), "&quot;&lt;script&gt;&amp;0123456789");
        assert_eq!(field(form, "redirect_uri"), REDIRECT);
    }
}

#[test]
fn the_page_of_v3_marks_what_nobody_can_withhold() {
    let mock = with_pages();
    let made = send(&mock, "POST", "/__mock/apps", &[], r#"{"part_d": true}"#).unwrap().json();
    let drugs = made["client_id"].as_str().unwrap();
    let marks = |client: &str, lang: &str, scope: &str| {
        let asked = [("client_id", Some(client)), ("lang", Some(lang)), ("scope", Some(scope))];
        let page = get(&mock, &log_in(&mock, &authorization(&mock, &asked).replacen("v2", "v3", 1)));
        let marks = page.text().split("<li>").skip(1).map(|line| line.split("</li>").next().unwrap().to_owned());
        marks.collect::<Vec<_>>()
    };
    let all = "profile patient/Coverage.rs patient/ExplanationOfBenefit.rs";
    let personal = "Personal information (required): name, address, birth date, race and sex";
    assert_eq!(marks(mock.client_id(), "en", all), [personal, "Coverage (required)", "Claims (required)"]);
    assert_eq!(marks(drugs, "en", all)[2], "Prescription drug claims (required)");
    assert_eq!(marks(drugs, "es", all)[2], "Reclamaciones de medicamentos recetados (obligatorio)");
    assert_eq!(marks(drugs, "en", "patient/Coverage.s"), ["Coverage (required)"], "nothing but what is asked for");
}

#[test]
fn the_page_of_v1_and_v2_speaks_of_what_is_asked_for() {
    let mock = with_pages();
    let (claims, coverage) = ("patient/ExplanationOfBenefit.read", "patient/Coverage.rs");
    let too = "Share my personal information too: name";
    for (lang, scope, sentence, label) in [
        ("en", None, Some("Your claims and your coverage will be shared."), Some(too)),
        (
            "en",
            Some(format!("{claims} {coverage} openid")),
            Some("Your claims and your coverage will be shared."),
            None,
        ),
        ("en", Some(format!("{claims} profile")), Some("Your claims will be shared."), Some(too)),
        ("en", Some(coverage.to_owned()), Some("Your coverage will be shared."), None),
        ("en", Some("patient/Patient.r".to_owned()), None, Some("Share my personal information: name")),
        ("en", Some("launch/patient".to_owned()), None, None),
        ("es", Some(claims.to_owned()), Some("Se compartirán sus reclamaciones."), None),
        (
            "es",
            Some(format!("{coverage} profile")),
            Some("Se compartirá su cobertura."),
            Some("Compartir también mis datos"),
        ),
        ("es", Some("profile".to_owned()), None, Some("Compartir mis datos personales: nombre")),
    ] {
        for version in ["v1", "v2"] {
            let asked = authorization(&mock, &[("lang", Some(lang)), ("scope", scope.as_deref())]);
            let address = log_in(&mock, &asked.replacen("v2", version, 1));
            let page = get(&mock, &address);
            let form_of_page = page.text().split("<form").nth(1).unwrap();
            let sentences: Vec<&str> =
                form_of_page.split("<p>").skip(1).map(|p| p.split("</p>").next().unwrap()).collect();
            assert_eq!(sentences, sentence.into_iter().collect::<Vec<_>>(), "{lang} {scope:?}");
            assert_eq!(form_of_page.matches("checkbox").count(), usize::from(label.is_some()), "{lang} {scope:?}");
            assert!(label.is_none_or(|label| form_of_page.contains(&format!("checked> {label}"))), "{form_of_page}");
            assert!(form_of_page.contains("type=\"hidden\" name=\"share_demographic_scopes\" value=\"False\""));
            let click = [("csrfmiddlewaretoken", &*field(page.text(), "csrfmiddlewaretoken")), ("allow", "Allow")];
            let shares = label.is_none() || sentence.is_some();
            let got = form(&mock, &address, &[], &click);
            assert_eq!(sent_back(&got, "code").is_some(), shares, "{scope:?} {got:?}");
        }
    }
}

#[test]
fn somebody_else_can_log_in_instead() {
    let mock = with_pages();
    let request = authorization(&mock, &[("lang", Some("es"))]);
    let address = log_in(&mock, &request);
    let csrf = field(get(&mock, &address).text(), "csrfmiddlewaretoken");
    let switch = |csrf: &str| form(&mock, "/v3/o/permission-logout", &[], &[("csrfmiddlewaretoken", csrf)]);
    assert_eq!((switch("x").status, get(&mock, "/v3/o/permission-logout").status), (403, 405));
    assert_eq!(get(&mock, &address).status, 200);
    let got = switch(&csrf);
    assert_eq!((got.status, got.header("location")), (302, get(&mock, &request).header("location")), "as at first");
    assert_eq!((get(&mock, &address).status, switch(&csrf).status), (404, 403), "nobody is logged in there");
    control(&mock, "faults", r#"["v3-off"]"#);
    assert_eq!(switch(&csrf).status, 404);
}

#[test]
fn the_log_hides_the_addresses_of_consent_pages() {
    let mock = with_pages();
    let address = log_in(&mock, &authorization(&mock, &[]));
    let uuid = address.split("/authorize/").nth(1).unwrap().split('/').next().unwrap();
    assert_eq!((get(&mock, &address).status, uuid.len()), (200, 36));
    let long = "x".repeat(60_000);
    get(&mock, &format!("/v2/fhir/Patient?type={long}"));
    let listed = get(&mock, "/__mock/requests");
    assert!(!listed.text().contains(uuid) && listed.text().contains("/v2/o/authorize/…/"), "{listed:?}");
    assert!(!listed.text().contains(STATE) && listed.text().len() < 10_000, "{}", listed.text().len());
}

#[test]
fn unfinished_log_ins_are_forgotten() {
    let mock = with_pages();
    let query = "x".repeat(60_000);
    let address = log_in(&mock, &authorization(&mock, &[]));
    // Each is about 60 kB, so together they would be 60 MB.
    let relays: Vec<String> = (0..1000)
        .map(|number| {
            let got = get(&mock, &format!("/mymedicare/login?next=/v2/o/authorize/?n={number}{query}"));
            sent_back(&got, "relay").unwrap()
        })
        .collect();
    let known = |relay: &str| {
        let got = get(&mock, &format!("/mymedicare/sls-callback?req_token=x&relay={relay}"));
        !got.text().contains("The requested state was not found")
    };
    assert!(!known(&relays[0]) && !known(&relays[700]) && known(&relays[999]));
    assert_eq!(get(&mock, &address).status, 200, "who has logged in is another matter");
}

#[test]
fn lists_of_apps_are_behind_a_switch() {
    let mock = with_pages();
    for number in 0..12 {
        let active = number != 11;
        let app = format!(r#"{{"name": "App {number:02}", "active": {active}}}"#);
        assert_eq!(send(&mock, "POST", "/__mock/apps", &[], &app).unwrap().status, 200);
    }
    let list = |path: &str| get(&mock, &format!("/.well-known/{path}"));
    let (public, apps) = (list("public-applications").json(), list("applications").json());
    assert_eq!((&public["count"], &apps["count"]), (&13.into(), &12.into()), "those that are active");
    let next = format!("{}/.well-known/applications?page=2", mock.url());
    assert_eq!((apps["next"].as_str(), apps["results"][0]["name"].as_str()), (Some(&*next), Some("App 00")));
    let second = get(&mock, &next).json();
    assert_eq!((second["results"].as_array().unwrap().len(), second["next"].is_null()), (2, true));
    let page = |query: &str| get(&mock, &format!("/.well-known/applications{query}")).json();
    let first = next.split('?').next().unwrap();
    assert_eq!((&page("?page=last"), second["previous"].as_str()), (&second, Some(first)));
    assert_eq!(page("?page=2&b=1&b=2&a=x+y")["previous"], format!("{first}?a=x+y&b=1&b=2"));
    assert_eq!(page("?z=1&a=")["next"], format!("{first}?a=&page=2&z=1"));
    assert_eq!(get(&mock, &next.replace("=2", "=3")).text(), r#"{"detail":"Invalid page."}"#);
    assert_eq!(list("application-labels").json()["results"], serde_json::json!([]));
    assert_eq!(list("applications-v2").json()["count"], 12);
    control(&mock, "switches", r#"{"wellknown_applications": false, "expire_grant_endpoint": false}"#);
    for path in ["public-applications", "applications", "applications-v2", "application-labels"] {
        assert_eq!(list(path).status, 404, "{path}");
    }
    assert_eq!(post(&mock, "/v2/o/expire_authenticated_user/-1/", &[]).status, 404);
    assert_eq!(list("openid-configuration").status, 200);
}

#[test]
fn withheld_scopes_are_missing_from_the_token() {
    let mock = with_pages();
    let address = log_in(&mock, &authorization(&mock, &[]));
    let csrf = field(get(&mock, &address).text(), "csrfmiddlewaretoken");
    for unticked in [None, Some("False")] {
        let mut pairs = vec![("csrfmiddlewaretoken", csrf.as_str()), ("allow", "Allow")];
        pairs.extend(unticked.map(|value| ("share_demographic_scopes", value)));
        let got = form(&mock, &address, &[], &pairs);
        let got = exchange(&mock, &sent_back(&got, "code").unwrap());
        let answer = got.json();
        let scopes = answer["scope"].as_str().unwrap();
        assert!(!scopes.contains("Patient") && !scopes.contains("profile"), "{scopes}");
        let (token, _) = pair(&got);
        let status = |target: &str| request(&mock, &token, target).status;
        assert_eq!((status("/v2/fhir/Patient"), status("/v2/connect/userinfo")), (403, 403));
        assert_eq!((status("/v2/fhir/Coverage"), status("/v2/fhir/ExplanationOfBenefit")), (200, 200));
    }
    let got = form(&mock, &address, &[], &[("csrfmiddlewaretoken", csrf.as_str())]);
    assert_eq!(got.header("location"), Some(&*format!("{REDIRECT}?error=access_denied&state={STATE}")));
}

#[test]
fn other_bad_authorization_requests_are_refused_after_the_log_in() {
    let mock = with_pages();
    let invalid = r#"{"status_code": 400, "message": "Invalid scopes."}"#;
    let got = get(&mock, &log_in(&mock, &authorization(&mock, &[("scope", Some("patient/Bogus.read"))])));
    assert_eq!((got.status, got.text()), (400, invalid));
    for uri in [None, Some("http://localhost:51234/callback"), Some("http://127.0.0.1:51234/callback/")] {
        let got = get(&mock, &log_in(&mock, &authorization(&mock, &[("redirect_uri", uri)])));
        assert!(got.status == 400 && got.header("location").is_none(), "{uri:?} {got:?}");
    }
    for (kind, expected) in [
        (Some("token"), "error=unauthorized_client"),
        (None, "error=invalid_request&error_description=Missing+response_type+parameter."),
    ] {
        let got = get(&mock, &log_in(&mock, &authorization(&mock, &[("response_type", kind)])));
        assert_eq!(got.header("location"), Some(&*format!("{REDIRECT}?{expected}&state={STATE}")));
    }
}

#[test]
fn a_consent_page_expires_after_ten_minutes() {
    let mock = with_pages();
    let address = log_in(&mock, &authorization(&mock, &[]));
    control(&mock, "clock", r#"{"advance_seconds": 599}"#);
    assert_eq!(get(&mock, &address).status, 200);
    let csrf = field(get(&mock, &address).text(), "csrfmiddlewaretoken");
    control(&mock, "clock", r#"{"advance_seconds": 2}"#);
    let start = get(&mock, &authorization(&mock, &[])).header("location").unwrap().to_owned();
    let click = [("csrfmiddlewaretoken", csrf.as_str()), ("allow", "Allow")];
    for got in [get(&mock, &address), form(&mock, &address, &[], &click)] {
        assert_eq!((got.status, got.header("location")), (302, Some(&*start)), "the log-in starts over");
    }
    assert_eq!(form(&mock, &address, &[], &[("allow", "Allow")]).status, 403, "without the CSRF field");
    let got = form(&mock, "/v3/o/permission-logout", &[], &click[..1]);
    assert_eq!((got.status, got.header("location")), (302, Some(&*start)), "somebody else logs in");
    for unknown in [&*address, "/v2/o/authorize/123/"] {
        let got = get(&mock, unknown);
        assert_eq!((got.status, got.text()), (404, r#"{"status_code": 404, "message": "Not found."}"#));
    }
}

#[test]
fn automatic_consent_gives_the_configured_answer() {
    let mock = mock(Access::ThirteenMonth);
    let person = |changed: &[(&str, Option<&str>)]| {
        let answer = exchange(&mock, &code(&mock, changed)).json();
        answer["patient"].as_str().unwrap().to_owned()
    };
    let announced: Value = serde_json::from_str(&mock.announcement()).unwrap();
    let patient = |index: usize| announced["enrollees"][index]["patient"].as_str().unwrap();
    assert_eq!(person(&[]), patient(0));
    let second = announced["enrollees"][1]["username"].as_str().unwrap();
    assert_eq!(person(&[("login_hint", Some(second))]), patient(1));
    control(&mock, "consent", r#"{"answer": "all", "enrollee": 2}"#);
    assert_eq!(person(&[]), patient(2));
    control(&mock, "consent", r#"{"answer": "without-demographics", "enrollee": 0}"#);
    let got = exchange(&mock, &code(&mock, &[]));
    assert!(!got.text().contains("profile"), "{got:?}");
    let got = get(&mock, &authorization(&mock, &[("scope", Some("profile"))]));
    assert_eq!(sent_back(&got, "error").as_deref(), Some("access_denied"), "nothing but what was withheld");
    control(&mock, "consent", r#"{"answer": "deny", "enrollee": 0}"#);
    assert_eq!(sent_back(&get(&mock, &authorization(&mock, &[])), "error").as_deref(), Some("access_denied"));
    control(&mock, "consent", r#"{"answer": "not-found", "enrollee": 0}"#);
    let got = get(&mock, &authorization(&mock, &[]));
    assert!(got.status == 404 && got.text().contains(&format!("{REDIRECT}?error=not_found")), "{got:?}");
}

#[test]
fn scopes_come_as_asked_for_and_condensed() {
    let mock = mock(Access::ThirteenMonth);
    for (asked, granted) in [
        ("patient/ExplanationOfBenefit.read", vec!["patient/ExplanationOfBenefit.read"]),
        ("patient/Coverage.r patient/Coverage.s openid", vec!["openid", "patient/Coverage.rs"]),
        ("patient/Coverage.r", vec!["patient/Coverage.r"]),
    ] {
        let got = exchange(&mock, &code(&mock, &[("scope", Some(asked))]));
        let answer = got.json();
        let mut words: Vec<&str> = answer["scope"].as_str().unwrap().split(' ').collect();
        words.sort_unstable();
        assert_eq!(words, granted, "{asked}");
    }
    let (token, _) = pair(&exchange(&mock, &code(&mock, &[("scope", Some("patient/Coverage.r"))])));
    assert_eq!(request(&mock, &token, "/v2/fhir/Coverage").status, 403, "reading is not searching");
}

#[test]
fn padded_challenges_and_missing_slashes_are_forgiven() {
    let mock = mock(Access::ThirteenMonth);
    let challenge = format!("{}=", BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)));
    assert_eq!(exchange(&mock, &code(&mock, &[("code_challenge", Some(&challenge))])).status, 200);
    let request = authorization(&mock, &[]);
    let got = get(&mock, &request.replace("authorize/?", "authorize?"));
    assert_eq!((got.status, got.header("location")), (301, Some(&*request)));
}
