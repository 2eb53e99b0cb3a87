//! What the server says of itself, with its quirks: endpoints without the slash that they need, and a
//! response type that never works.

use serde_json::json;

use crate::mock::http::Answer;

/// `openid-configuration`
pub(in crate::mock) fn openid(url: &str) -> Answer {
    spaced(&json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/v2/o/authorize"),
        "revocation_endpoint": format!("{url}/v2/o/revoke_token"),
        "token_endpoint": format!("{url}/v2/o/token"),
        "userinfo_endpoint": format!("{url}/v2/connect/userinfo"),
        "ui_locales_supported": ["en-US"],
        "service_documentation": "https://bluebutton.cms.gov/developers",
        "op_tos_uri": "https://bluebutton.cms.gov/terms",
        "grant_types_supported": ["refresh_token", "authorization_code"],
        "response_types_supported": ["code", "token"],
        "fhir_metadata_uri": format!("{url}/v2/fhir/metadata"),
    }))
}

/// `smart-configuration`
pub(in crate::mock) fn smart(url: &str) -> Answer {
    let resource =
        |verb: &str| ["Patient", "ExplanationOfBenefit", "Coverage"].map(|name| format!("patient/{name}.{verb}"));
    let mut scopes = vec!["openid".to_owned(), "profile".to_owned(), "launch/patient".to_owned()];
    scopes.extend(resource("read"));
    scopes.extend(resource("rs"));
    spaced(&json!({
        "authorization_endpoint": format!("{url}/v2/o/authorize"),
        "revocation_endpoint": format!("{url}/v2/o/revoke_token"),
        "token_endpoint": format!("{url}/v2/o/token"),
        "grant_types_supported": ["authorization_code"],
        "response_types_supported": ["code", "token"],
        "scopes_supported": scopes,
        "code_challenge_methods_supported": ["S256"],
        "capabilities": [
            "client-confidential-symmetric", "context-standalone-patient", "launch-standalone", "permission-offline",
            "permission-patient", "permission-v1", "permission-v2", "authorize-post",
        ],
    }))
}

/// `metadata`: the CapabilityStatement, as far as a client can use it.
pub(in crate::mock) fn metadata(url: &str) -> Answer {
    let resource = |name: &str| json!({"type": name, "interaction": [{"code": "read"}, {"code": "search-type"}]});
    let uris = [("token", "token"), ("authorize", "authorize"), ("revoke", "revoke_token")]
        .map(|(name, path)| json!({"url": name, "valueUri": format!("{url}/v2/o/{path}")}));
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/json", "application/fhir+json"],
        "rest": [{
            "mode": "server",
            "security": {
                "service": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "OAuth"}]}],
                "extension": [{"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}],
            },
            "resource": [resource("Patient"), resource("Coverage"), resource("ExplanationOfBenefit")],
        }],
    });
    Answer::fhir(200, statement.to_string())
}

fn spaced(value: &serde_json::Value) -> Answer {
    let answer = Answer::oauth(200, value);
    Answer { headers: answer.headers.into_iter().filter(|(name, _)| *name == "content-type").collect(), ..answer }
}
