//! A row of `bbdl profiles import` and `bbdl profiles export`: one enrollee as a JSON object.
//!
//! A row contains secrets. So no error ever quotes a part of a row. The library's own messages are not used, because
//! they quote what they found. An error names the field and what belongs there.

use std::collections::BTreeSet;

use clap::ValueEnum;
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    api_version::ApiVersion,
    auth::{
        store::StoreKind,
        token::{AccessCategory, Credential, Grant},
    },
    error::sanitized,
    origin::{Origin, server_named},
    profile::{Profile, ProfileName},
    secret::Secret,
};

/// An enrollee as described in a row.
pub(super) struct Row {
    pub(super) name: ProfileName,
    api: ApiVersion,
    credential: Credential,
}

/// The beginning of a SHA-256 of a refresh token and its server.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RefreshTokenMark([u8; 16]);

/// The beginning of a SHA-256 of a person's id, and the app and server that know it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PersonMark([u8; 16]);

impl PersonMark {
    /// The person of a profile, if known.
    pub(super) fn of_profile(profile: &Profile) -> Option<Self> {
        Self::of(&profile.server.to_string(), &profile.client_id, profile.grant.patient.as_deref()?)
    }

    /// A person at a server, by the patient id that an app gets there.
    pub(super) fn of(server: &str, client_id: &str, patient: &str) -> Option<Self> {
        mark(&[server, client_id, patient]).map(Self)
    }
}

/// The beginning of a SHA-256 of some texts.
fn mark(texts: &[&str]) -> Option<[u8; 16]> {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text);
        hash.update([0]);
    }
    hash.finalize().first_chunk().copied()
}

/// Why a row cannot be used, and the name in it, if it has one.
#[derive(Debug)]
pub(super) struct BadRow {
    pub(super) name: Option<String>,
    pub(super) why: String,
}

impl Row {
    /// Reads a row. Refuses unknown fields, because a misspelled field would be lost silently.
    pub(super) fn read(line: &str) -> Result<Self, BadRow> {
        let fields = Fields::of(line).map_err(|why| BadRow { name: None, why })?;
        // Reported as it came, so that the row can be found.
        let name = fields.0.get("name").and_then(Value::as_str).map(sanitized);
        Self::from_fields(fields).map_err(|why| BadRow { name, why })
    }

    fn from_fields(mut fields: Fields) -> Result<Self, String> {
        let name = fields.text("name")?.ok_or("name is missing")?;
        let name: ProfileName = name.parse().map_err(|why| format!("name: {why}"))?;
        let server = fields.text("server")?.ok_or("server is missing: write \"sandbox\", \"production\" or a URL")?;
        let origin = origin(&server)?;
        let api = match fields.text("api")? {
            Some(text) => ApiVersion::from_str(&text, false).map_err(|_| "api must be \"v1\", \"v2\" or \"v3\"")?,
            None => ApiVersion::default(),
        };
        let client_id = fields.text("client_id")?.ok_or("client_id is missing")?;
        let client_secret = fields.text("client_secret")?.map(Secret::new);
        let refresh_token = fields.token("refresh_token")?;
        let access_token = fields.token("access_token")?;
        let access_category = match fields.0.remove("access_category") {
            None | Some(Value::Null) => AccessCategory::Unknown,
            Some(value) => serde_json::from_value(value)
                .map_err(|_| "access_category must be \"one-time\", \"thirteen-month\", \"research\" or \"unknown\"")?,
        };
        let is_one_time = access_category == AccessCategory::OneTime;
        match (&refresh_token, &access_token) {
            (None, _) if !is_one_time => return Err("refresh_token is missing".to_owned()),
            (_, None) if is_one_time => {
                return Err("access_token is missing: one-time access has nothing else".to_owned());
            }
            _ => {}
        }
        let grant = Grant {
            patient: fields.text("patient")?,
            scopes: fields.scopes()?,
            access_token_expires: match fields.instant("access_token_expires")? {
                // Without an access token, the first step is to get one.
                None if access_token.is_none() => Some(Timestamp::UNIX_EPOCH),
                expires => expires,
            },
            refreshable: refresh_token.is_some() && !is_one_time,
            access_category,
            grant_expires: fields.instant("grant_expires")?,
            log_in: Grant::new_log_in(),
            renewals: 0,
        };
        if let Some(field) = fields.0.keys().next() {
            return Err(format!("bbdl knows no field \"{}\"", sanitized(field)));
        }
        let access_token = access_token.unwrap_or_else(|| Secret::new(String::new()));
        Ok(Self {
            name,
            api,
            credential: Credential { origin, client_id, client_secret, access_token, refresh_token, grant },
        })
    }

    /// Shows whether two rows have the same refresh token. It is not the token itself, because it is kept for all
    /// rows of a file.
    pub(super) fn refresh_token_mark(&self) -> Option<RefreshTokenMark> {
        let Credential { origin, refresh_token, .. } = &self.credential;
        let token = refresh_token.as_ref()?;
        mark(&[&origin.to_string(), token.expose()]).map(RefreshTokenMark)
    }

    /// The person of the row, if it says so.
    pub(super) fn person_mark(&self) -> Option<PersonMark> {
        let Credential { origin, client_id, grant, .. } = &self.credential;
        PersonMark::of(&origin.to_string(), client_id, grant.patient.as_deref()?)
    }

    /// The tokens.
    #[cfg(feature = "postgres")]
    pub(super) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The record for a token store.
    pub(super) fn tokens(&self) -> Secret {
        self.credential.to_record()
    }

    /// The profile that replaces the one that was there `before`. It keeps the archives if the person is the same.
    pub(super) fn profile(&self, token_store: StoreKind, before: Option<&Profile>) -> Profile {
        let Credential { origin, client_id, grant, .. } = &self.credential;
        let same = |profile: &&Profile| {
            profile.server == *origin && profile.api == self.api && profile.grant.is_of_the_same_person(grant)
        };
        Profile {
            server: origin.clone(),
            api: self.api,
            client_id: client_id.clone(),
            token_store,
            redirect_uri: before.and_then(|profile| profile.redirect_uri.clone()),
            grant: grant.clone(),
            archives: before.filter(same).map(|profile| profile.archives.clone()).unwrap_or_default(),
            ended: None,
        }
    }
}

/// No error may quote the value, because a person may have put a password into it.
fn origin(text: &str) -> Result<Origin, String> {
    server_named(text).map_err(|_| {
        "server must be \"sandbox\", \"production\", or scheme, host and port of an https server (http for this machine only)"
            .to_owned()
    })
}

/// A JSON object, and a field that occurs twice in it. It is not known which of the two values was meant.
struct OneObject {
    fields: Map<String, Value>,
    twice: Option<String>,
}

impl<'de> Deserialize<'de> for OneObject {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = OneObject;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OneObject, A::Error> {
                let mut object = OneObject { fields: Map::new(), twice: None };
                while let Some((field, value)) = map.next_entry::<String, Value>()? {
                    if object.fields.insert(field.clone(), value).is_some() {
                        object.twice.get_or_insert(field);
                    }
                }
                Ok(object)
            }
        }
        input.deserialize_map(Fields)
    }
}

/// The fields of a row that were not read yet.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(line: &str) -> Result<Self, String> {
        match serde_json::from_str(line) {
            Ok(OneObject { twice: Some(field), .. }) => {
                Err(format!("the field \"{}\" is there twice", sanitized(&field)))
            }
            Ok(OneObject { fields, twice: None }) => Ok(Self(fields)),
            Err(cause) if cause.is_data() => Err("it is not a JSON object".to_owned()),
            Err(cause) => Err(format!("it is not JSON (column {})", cause.column())),
        }
    }

    /// A text that is not empty; `null` counts as missing.
    fn text(&mut self, field: &str) -> Result<Option<String>, String> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(format!("{field} must be a text that is not empty")),
        }
    }

    /// A token: visible ASCII characters (RFC 6749, appendix A), because it becomes part of a header or a form.
    fn token(&mut self, field: &str) -> Result<Option<Secret>, String> {
        let Some(text) = self.text(field)?.map(Secret::new) else { return Ok(None) };
        let is_visible = text.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if is_visible { Ok(Some(text)) } else { Err(format!("{field} has characters that no token has")) }
    }

    fn instant(&mut self, field: &str) -> Result<Option<Timestamp>, String> {
        let instant = self.text(field)?.map(|text| text.parse()).transpose();
        instant.map_err(|_| format!("{field} must be an instant like 2027-01-31T00:00:00Z"))
    }

    /// A list of texts, or one text with blanks between the scopes, as in OAuth.
    fn scopes(&mut self) -> Result<BTreeSet<String>, String> {
        let wrong = || "scopes must be a list of texts".to_owned();
        match self.0.remove("scopes") {
            None | Some(Value::Null) => Ok(BTreeSet::new()),
            Some(Value::String(text)) => Ok(text.split_whitespace().map(str::to_owned).collect()),
            Some(Value::Array(scopes)) => {
                scopes.into_iter().map(|it| it.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }
}

/// A row in the form that `export` writes.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    name: &'a str,
    server: &'a Origin,
    api: ApiVersion,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    access_token_expires: Option<Timestamp>,
    patient: Option<&'a str>,
    scopes: &'a BTreeSet<String>,
    access_category: AccessCategory,
    grant_expires: Option<Timestamp>,
}

impl<'a> Written<'a> {
    /// The row of a profile, with its tokens if they are given.
    pub(super) fn of(name: &'a ProfileName, profile: &'a Profile, tokens: Option<&'a Credential>) -> Self {
        let grant = tokens.map_or(&profile.grant, |tokens| &tokens.grant);
        Self {
            name: name.as_str(),
            server: &profile.server,
            api: profile.api,
            client_id: &profile.client_id,
            client_secret: tokens.and_then(|tokens| tokens.client_secret.as_ref()).map(Secret::expose),
            refresh_token: tokens.and_then(|tokens| tokens.refresh_token.as_ref()).map(Secret::expose),
            // An access token that was never there is not written, because an import would refuse it.
            access_token: tokens.map(|tokens| tokens.access_token.expose()).filter(|token| !token.is_empty()),
            access_token_expires: grant.access_token_expires,
            patient: grant.patient.as_deref(),
            scopes: &grant.scopes,
            access_category: grant.access_category,
            grant_expires: grant.grant_expires,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole() -> Value {
        json!({
            "name": "p1", "server": "sandbox", "api": "v3", "client_id": "app", "client_secret": "hush-secret",
            "refresh_token": "hush-refresh", "access_token": "hush-access", "access_token_expires": "2027-01-31T00:00:00Z",
            "patient": "-1", "scopes": ["profile"], "access_category": "thirteen-month",
            "grant_expires": "2027-12-31T00:00:00Z",
        })
    }

    fn with(field: &str, value: Value) -> String {
        let mut row = whole();
        row[field] = value;
        row.to_string()
    }

    fn without(fields: &[&str]) -> Value {
        let mut row = whole();
        fields.iter().for_each(|field| drop(row.as_object_mut().unwrap().remove(*field)));
        row
    }

    #[test]
    fn complete_and_minimal_rows_are_read() {
        let row = Row::read(&whole().to_string()).unwrap();
        assert_eq!((row.api, row.credential.grant.refreshable), (ApiVersion::V3, true));
        let optional = ["api", "client_secret", "access_token", "access_token_expires", "patient", "scopes"];
        let least = without(&[&optional[..], &["access_category", "grant_expires"]].concat());
        let row = Row::read(&least.to_string()).unwrap();
        assert_eq!(row.api, ApiVersion::V2);
        assert!(row.credential.access_token.is_empty() && row.credential.grant.access_token_expires.is_some());
        assert!(row.credential.grant.log_in.is_some());
        let row = Row::read(&with("scopes", json!("profile patient/Patient.read"))).unwrap();
        assert_eq!(row.credential.grant.scopes.len(), 2);
        let mut one_time = without(&["refresh_token"]);
        one_time["access_category"] = "one-time".into();
        assert!(!Row::read(&one_time.to_string()).unwrap().credential.grant.refreshable);
    }

    #[test]
    fn a_bad_row_names_its_field_but_not_the_value() {
        let hush = json!("hush hush");
        for (line, field) in [
            (without(&["name"]).to_string(), "name"),
            (without(&["server"]).to_string(), "server"),
            (without(&["client_id"]).to_string(), "client_id"),
            (without(&["refresh_token"]).to_string(), "refresh_token"),
            (with("name", json!("../hush")), "name"),
            (with("server", json!("https://u:hush@x.example")), "server"),
            (with("server", json!("http://hush.example")), "server"),
            (with("api", hush.clone()), "api"),
            (with("client_secret", json!({"hush": 1})), "client_secret"),
            (with("refresh_token", json!(["hush"])), "refresh_token"),
            (with("refresh_token", json!("")), "refresh_token"),
            (with("access_token", hush.clone()), "access_token"),
            (with("access_token", json!("hush\nhush")), "access_token"),
            (with("access_token_expires", hush.clone()), "access_token_expires"),
            (with("access_token_expires", json!(3600)), "access_token_expires"),
            (with("scopes", json!([["hush"]])), "scopes"),
            (with("scopes", json!(7)), "scopes"),
            (with("access_category", hush.clone()), "access_category"),
            (with("grant_expires", hush.clone()), "grant_expires"),
            (with("refresh_tokn", hush), "refresh_tokn"),
            ("[]".to_owned(), "object"),
            (whole().to_string().replacen('{', "{\"refresh_token\":\"hush\",", 1), "\"refresh_token\" is there twice"),
            ("{\"name\": \"p1\", \"refresh_token\": hush}".to_owned(), "column"),
            ("hush".to_owned(), "JSON"),
            (String::new(), "JSON"),
        ] {
            let bad = Row::read(&line).err().unwrap_or_else(|| panic!("{line} is taken"));
            assert!(bad.why.contains(field) && !bad.why.contains("hush"), "{line}: {}", bad.why);
        }
    }

    #[test]
    fn written_rows_can_be_read() {
        let row = Row::read(&whole().to_string()).unwrap();
        let name = "p1".parse().unwrap();
        let profile = row.profile(StoreKind::File, None);
        let written = serde_json::to_value(Written::of(&name, &profile, Some(&row.credential))).unwrap();
        let mut expected = whole();
        expected["server"] = "https://sandbox.bluebutton.cms.gov".into();
        assert_eq!(written, expected);
        let written = serde_json::to_string(&Written::of(&name, &profile, None)).unwrap();
        assert!(!written.contains("hush"), "{written}");
        assert!(Row::read(&written).err().unwrap().why.contains("refresh_token"));
    }
}
