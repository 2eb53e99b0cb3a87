//! What the server says of itself, with its quirks: endpoints without the slash that they need, and a
//! response type that never works.

use serde_json::{Value, json};

use crate::mock::{
    http::{Answer, Ask},
    pages,
};

/// `openid-configuration`
pub(in crate::mock) fn openid(url: &str, ask: &Ask) -> Answer {
    document(
        ask,
        &[
            ("issuer", json!(url)),
            ("authorization_endpoint", json!(format!("{url}/v2/o/authorize"))),
            ("revocation_endpoint", json!(format!("{url}/v2/o/revoke_token"))),
            ("token_endpoint", json!(format!("{url}/v2/o/token"))),
            ("userinfo_endpoint", json!(format!("{url}/v2/connect/userinfo"))),
            ("ui_locales_supported", json!(["en-US"])),
            ("service_documentation", json!("https://bluebutton.cms.gov/developers")),
            ("op_tos_uri", json!("https://bluebutton.cms.gov/terms")),
            ("grant_types_supported", json!(["refresh_token", "authorization_code"])),
            ("response_types_supported", json!(["code", "token"])),
            ("fhir_metadata_uri", json!(format!("{url}/v2/fhir/metadata"))),
        ],
    )
}

/// `smart-configuration`
pub(in crate::mock) fn smart(url: &str, ask: &Ask) -> Answer {
    let resource =
        |verb: &str| ["Patient", "ExplanationOfBenefit", "Coverage"].map(|name| format!("patient/{name}.{verb}"));
    let mut scopes = vec!["openid".to_owned(), "profile".to_owned(), "launch/patient".to_owned()];
    scopes.extend(resource("read"));
    scopes.extend(resource("rs"));
    document(
        ask,
        &[
            ("authorization_endpoint", json!(format!("{url}/v2/o/authorize"))),
            ("revocation_endpoint", json!(format!("{url}/v2/o/revoke_token"))),
            ("token_endpoint", json!(format!("{url}/v2/o/token"))),
            ("grant_types_supported", json!(["authorization_code"])),
            ("response_types_supported", json!(["code", "token"])),
            ("scopes_supported", json!(scopes)),
            ("code_challenge_methods_supported", json!(["S256"])),
            (
                "capabilities",
                json!([
                    "client-confidential-symmetric",
                    "context-standalone-patient",
                    "launch-standalone",
                    "permission-offline",
                    "permission-patient",
                    "permission-v1",
                    "permission-v2",
                    "authorize-post",
                ]),
            ),
        ],
    )
}

/// `metadata`: the CapabilityStatement, as far as a client can use it.
pub(in crate::mock) fn metadata(url: &str, ask: &Ask) -> Answer {
    let resource = |name: &str| json!({"type": name, "interaction": [{"code": "read"}, {"code": "search-type"}]});
    let uris = [("token", "token"), ("authorize", "authorize"), ("revoke", "revoke_token")]
        .map(|(name, path)| json!({"url": name, "valueUri": format!("{url}/v2/o/{path}")}));
    let rest = json!([{
        "mode": "server",
        "security": {
            "service": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "OAuth"}]}],
            "extension": [{"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}],
        },
        "resource": [resource("Patient"), resource("Coverage"), resource("ExplanationOfBenefit")],
    }]);
    document(
        ask,
        &[
            ("resourceType", json!("CapabilityStatement")),
            ("status", json!("active")),
            ("kind", json!("instance")),
            ("fhirVersion", json!("4.0.1")),
            ("format", json!(["application/json", "application/fhir+json"])),
            ("rest", rest),
        ],
    )
}

/// These views know GET only, HEAD excluded.
fn document(ask: &Ask, fields: &[(&str, Value)]) -> Answer {
    if ask.method != "GET" {
        return Answer::html(405, pages::refused("405 Method Not Allowed")).with("allow", "GET");
    }
    Answer::spaced(200, fields)
}
