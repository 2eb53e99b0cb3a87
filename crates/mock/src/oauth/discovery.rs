//! The discovery documents, with the real server's quirks: endpoints that lack their final slash, and a response type
//! that never works.

use serde_json::{Value, json};

use crate::{
    apps::App,
    http::{Request, Response},
    version::Version,
};

/// `openid-configuration`
pub(crate) fn openid(url: &str, version: Version, request: &Request) -> Response {
    let api = format!("{url}/{}", version.published());
    document(
        request,
        &[
            ("issuer", json!(url)),
            ("authorization_endpoint", json!(format!("{api}/o/authorize"))),
            ("revocation_endpoint", json!(format!("{api}/o/revoke_token"))),
            ("token_endpoint", json!(format!("{api}/o/token"))),
            ("userinfo_endpoint", json!(format!("{api}/connect/userinfo"))),
            ("ui_locales_supported", json!(["en-US"])),
            ("service_documentation", json!("https://bluebutton.cms.gov/developers")),
            ("op_tos_uri", json!("https://bluebutton.cms.gov/terms")),
            ("grant_types_supported", json!(["refresh_token", "authorization_code"])),
            ("response_types_supported", json!(["code", "token"])),
            ("fhir_metadata_uri", json!(format!("{api}/fhir/metadata"))),
        ],
    )
}

/// `smart-configuration`
pub(crate) fn smart(url: &str, version: Version, request: &Request) -> Response {
    let api = format!("{url}/{}", version.published());
    let resource =
        |verb: &str| ["Patient", "ExplanationOfBenefit", "Coverage"].map(|name| format!("patient/{name}.{verb}"));
    let mut scopes = vec!["openid".to_owned(), "profile".to_owned(), "launch/patient".to_owned()];
    scopes.extend(resource("read"));
    scopes.extend(resource("rs"));
    let mut grants = vec!["authorization_code"];
    let mut capabilities = vec![
        "client-confidential-symmetric",
        "context-standalone-patient",
        "launch-standalone",
        "permission-offline",
        "permission-patient",
        "permission-v1",
        "permission-v2",
        "authorize-post",
    ];
    let mut more = Vec::new();
    if version == Version::V3 {
        grants.push("client_credentials");
        capabilities.push("client-confidential-asymmetric");
        more.push(("token_endpoint_auth_methods_supported", json!(["private_key_jwt"])));
        more.push(("token_endpoint_auth_signing_alg_values_supported", json!(["ES384", "RS256", "RS384", "RS512"])));
    }
    let mut fields = vec![
        ("authorization_endpoint", json!(format!("{api}/o/authorize"))),
        ("revocation_endpoint", json!(format!("{api}/o/revoke_token"))),
        ("token_endpoint", json!(format!("{api}/o/token"))),
        ("grant_types_supported", json!(grants)),
        ("response_types_supported", json!(["code", "token"])),
        ("scopes_supported", json!(scopes)),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("capabilities", json!(capabilities)),
    ];
    fields.extend(more);
    document(request, &fields)
}

/// `metadata`: the CapabilityStatement, as far as a client can use it. It names AuditEvent if that is switched on.
pub(crate) fn metadata(url: &str, version: Version, has_audit: bool, request: &Request) -> Response {
    let resource = |name: &str| json!({"type": name, "interaction": [{"code": "read"}, {"code": "search-type"}]});
    let uris = [("token", "token"), ("authorize", "authorize"), ("revoke", "revoke_token")]
        .map(|(name, path)| json!({"url": name, "valueUri": format!("{url}/{}/o/{path}", version.published())}));
    let mut resources = vec![resource("Patient"), resource("Coverage"), resource("ExplanationOfBenefit")];
    resources.extend((has_audit && version == Version::V3).then(|| resource("AuditEvent")));
    let rest = json!([{
        "mode": "server",
        "security": {
            "service": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "OAuth"}]}],
            "extension": [{"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}],
        },
        "resource": resources,
    }]);
    let div = "<div xmlns=\"http://www.w3.org/1999/xhtml\">A mock Blue Button</div>";
    let at = json!({"description": "bbdl mock", "url": format!("{url}/{}/fhir", version.name())});
    let mut fields = vec![("resourceType", json!("CapabilityStatement"))];
    if version != Version::V1 {
        fields.extend([("text", json!({"status": "generated", "div": div})), ("name", json!("RestServer"))]);
    }
    fields.extend([
        ("status", json!("active")),
        ("date", json!("2026-08-01T00:00:00+00:00")),
        ("publisher", json!("bbdl, which is not CMS")),
        ("kind", json!("instance")),
        ("software", json!({"name": "bbdl mock", "version": env!("CARGO_PKG_VERSION")})),
        ("implementation", at),
        ("fhirVersion", json!(if version == Version::V1 { "3.0.2" } else { "4.0.1" })),
    ]);
    if version == Version::V1 {
        fields.push(("acceptUnknown", json!("extensions")));
    }
    fields.extend([("format", json!(["application/json", "application/fhir+json"])), ("rest", rest)]);
    document(request, &fields)
}

/// `public-applications`: the registered apps, ten per page.
pub(crate) fn public_apps(url: &str, apps: &[App], request: &Request) -> Response {
    let Some((Paged { next, previous, count }, apps)) = Paged::of(url, apps, request) else { return no_such_part() };
    let listed = apps.iter().map(|app| {
        json!({
            "name": app.name, "description": "", "website_uri": "https://example.com", "tos_uri": "https://example.com/tos",
            "privacy_policy_uri": "https://example.com/privacy",
            "contacts": [{"system": "phone", "value": null}, {"system": "email", "value": "app@example.com"}],
        })
    });
    let fields = [("next", next), ("previous", previous), ("count", count), ("publisher", json!({}))];
    list(fields.into(), listed.collect())
}

/// `applications`: the active apps, in the form of the web server's `apps/wellknown/serializers.py`. There is no
/// recording of it.
pub(crate) fn apps(url: &str, apps: &[App], request: &Request) -> Response {
    let mut active: Vec<(usize, &App)> = apps.iter().enumerate().filter(|(_, app)| app.active).collect();
    active.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let Some((Paged { next, previous, count }, active)) = Paged::of(url, &active, request) else {
        return no_such_part();
    };
    let listed = active.iter().map(|(at, app)| {
        json!({
            "id": at + 1, "name": app.name, "website_uri": "https://example.com", "logo_uri": "",
            "tos_uri": "https://example.com/tos", "policy_uri": "https://example.com/privacy",
            "support_email": "app@example.com", "support_phone_number": null, "description": "", "labels": [],
        })
    });
    list([("count", count), ("next", next), ("previous", previous)].into(), listed.collect())
}

/// `application-labels`: no app here has any.
pub(crate) fn labels() -> Response {
    list([("count", json!(0)), ("next", Value::Null), ("previous", Value::Null)].into(), Vec::new())
}

/// A page of a list, with links to the pages before and after it, or null.
struct Paged {
    next: Value,
    previous: Value,
    count: Value,
}

impl Paged {
    /// The requested page with ten items, if it exists.
    fn of<'t, T>(url: &str, things: &'t [T], request: &Request) -> Option<(Self, &'t [T])> {
        const PAGE: usize = 10;
        let last = things.len().div_ceil(PAGE).max(1);
        let page = match request.query("page") {
            None => Some(1),
            Some("last") => Some(last),
            Some(page) => page.trim().parse().ok(),
        };
        let page = page.filter(|page| (1..=last).contains(page))?;
        // As Django REST framework does it: other parameters stay, sorted by name, and the first page has no number.
        let link = |page: usize| {
            let mut pairs: Vec<_> = request.query.iter().filter(|(key, _)| key != "page").cloned().collect();
            pairs.extend((page > 1).then(|| ("page".to_owned(), page.to_string())));
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            json!(format!("{url}{}{}{query}", request.path, if query.is_empty() { "" } else { "?" }))
        };
        let paged = Self {
            next: if page < last { link(page + 1) } else { Value::Null },
            previous: if page > 1 { link(page - 1) } else { Value::Null },
            count: json!(things.len()),
        };
        Some((paged, &things[(page - 1) * PAGE..things.len().min(page * PAGE)]))
    }
}

/// Django REST framework's message for a page that does not exist.
fn no_such_part() -> Response {
    Response::new(404, "application/json", r#"{"detail":"Invalid page."}"#)
}

fn list(mut fields: Vec<(&str, Value)>, results: Vec<Value>) -> Response {
    fields.push(("results", Value::Array(results)));
    let body = crate::json::Fields(&fields).compact();
    Response::new(200, "application/json", body).with("allow", "GET, HEAD, OPTIONS")
}

/// These views accept only GET, not even HEAD.
fn document(request: &Request, fields: &[(&str, Value)]) -> Response {
    if request.method != "GET" {
        return Response::html(405, String::new()).with("allow", "GET");
    }
    Response::spaced(200, fields)
}
