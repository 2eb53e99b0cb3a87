//! The data back ends behind the gateway, one for each version, and what the gateway shows when one fails.
//!
//! Every answer here was recorded from CMS's own gateway with a failing back end behind it.

use serde_json::json;

use super::{
    fhir,
    http::{Request, Response},
    version::Version,
};

/// How a back end fails, and which one: all of them if `version` is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    pub how: Failure,
    pub version: Option<Version>,
}

/// How a back end fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It answers with this status, and in this form.
    Status(u16, Form),
    /// It cannot be reached, or the connection breaks.
    Down,
    /// A page contains an entry that is not this person's, so the gateway refuses the whole page.
    ForeignEntry,
}

/// The form of a failing back end's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    OperationOutcome,
    OtherJson,
    /// HTML, as from a load balancer.
    Html,
}

impl Outage {
    /// Reads `STATUS[-json|-html][:vN]`, `down[:vN]` or `foreign-entry[:vN]`.
    pub(super) fn read(argument: &str) -> Result<Self, String> {
        let (how, version) = match argument.split_once(':') {
            None => (argument, None),
            Some((how, version)) => {
                let (version, _) = Version::of(&format!("/{version}/"))
                    .ok_or_else(|| format!("fault backend: there is no API \"{version}\"; write v1, v2 or v3"))?;
                (how, Some(version))
            }
        };
        let how = match how {
            "down" => Failure::Down,
            "foreign-entry" => Failure::ForeignEntry,
            _ => {
                let (status, form) = match how.split_once('-') {
                    None => (how, Form::OperationOutcome),
                    Some((status, "json")) => (status, Form::OtherJson),
                    Some((status, "html")) => (status, Form::Html),
                    Some((_, form)) => {
                        return Err(format!("fault backend: there is no form \"{form}\"; write json or html"));
                    }
                };
                let status = status.parse().ok().filter(|status| (200..=599).contains(status));
                let status = status.ok_or_else(|| {
                    format!("fault backend: \"{how}\" is not an HTTP status; write a status, down or foreign-entry")
                })?;
                Failure::Status(status, form)
            }
        };
        Ok(Self { how, version })
    }

    /// Whether a request to this path may use this back end. The paths of the log-in pages do not say which one they
    /// use.
    pub(super) fn concerns(self, path: &str) -> bool {
        let asked = Version::of(path).map(|(version, _)| version).or_else(|| checked_by(path));
        asked.is_none() || self.strikes(asked)
    }

    fn strikes(self, asked: Option<Version>) -> bool {
        self.version.is_none() || self.version == asked
    }
}

/// The back end that a health endpoint checks, if any. No endpoint checks v3's.
fn checked_by(path: &str) -> Option<Version> {
    match path.strip_prefix("/health")?.trim_end_matches('/') {
        "/bfd" | "/external" => Some(Version::V1),
        "/bfd_v2" | "/external_v2" => Some(Version::V2),
        _ => None,
    }
}

impl Failure {
    /// How the back end of this version fails, if it does.
    pub(super) fn at(outages: impl IntoIterator<Item = Outage>, version: Version) -> Option<Self> {
        outages.into_iter().find(|outage| outage.strikes(Some(version))).map(|outage| outage.how)
    }

    /// The response to a search or a read. v1 and v2 hide most of the failure. v3 passes an OperationOutcome on, and
    /// answers 500 if the back end sent no JSON.
    pub(super) fn of_fhir(self, version: Version) -> Response {
        const REFUSED: &str = "An error occurred contacting the upstream server";
        const FAILED: &str = "A failure occurred contacting the upstream server";
        let is_v3 = version == Version::V3;
        let absent = || Response::detail(404, "Not found.");
        match self {
            Self::Down => Response::uncaught(),
            Self::ForeignEntry => absent(),
            Self::Status(..400, _) => Response::uncaught(),
            Self::Status(_, Form::Html) if is_v3 => Response::uncaught(),
            Self::Status(status, Form::OperationOutcome) if is_v3 => fhir::refused(version, status, "simulated"),
            Self::Status(404, _) => absent(),
            Self::Status(status @ 400..500, Form::OperationOutcome) => fhir::refused(version, status, "simulated"),
            Self::Status(400..500, _) => Response::detail(502, REFUSED),
            Self::Status(..) => Response::detail(502, FAILED),
        }
    }

    /// The response of `metadata`, if it shows the failure. It needs no token, so it shows whether v3's back end
    /// works.
    pub(super) fn of_metadata(self) -> Option<Response> {
        match self {
            Self::ForeignEntry => None,
            Self::Status(..) => Some(Response::new(500, "application/json", r#""""#)),
            Self::Down => {
                let timed_out = "The gateway has timed out";
                let errors = [timed_out, "Failed to reach FHIR Database."];
                Some(Response::spaced(
                    504,
                    &[
                        ("errors", json!(errors)),
                        ("code", json!(504)),
                        ("status_code", json!(504)),
                        ("text", json!(timed_out)),
                    ],
                ))
            }
        }
    }

    /// How the look-up of a person fails. A log-in and a refresh both need it.
    pub(super) fn of_person(self) -> Option<FailedLookup> {
        match self {
            Self::ForeignEntry => None,
            Self::Status(404, _) => Some(FailedLookup::NotFound),
            Self::Status(..) => Some(FailedLookup::Failed),
            Self::Down => Some(FailedLookup::Unanswered),
        }
    }
}

/// How the look-up of a person failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailedLookup {
    NotFound,
    Failed,
    Unanswered,
}

/// `/health…`: 200, or 503 if the data back end that it checks fails.
pub(super) fn health(request: &Request, outages: impl IntoIterator<Item = Outage>) -> Option<Response> {
    const KNOWN: [&str; 7] = ["", "/external", "/external_v2", "/sls", "/db", "/bfd", "/bfd_v2"];
    let check = request.path.strip_prefix("/health")?.trim_end_matches('/');
    if !KNOWN.contains(&check) {
        return None;
    }
    let failure = checked_by(&request.path).and_then(|version| Failure::at(outages, version));
    let (status, body) = if failure.and_then(Failure::of_metadata).is_some() {
        (503, r#"{"detail":"Service temporarily unavailable, try again later."}"#)
    } else {
        (200, r#"{"message":"all's well"}"#)
    };
    Some(Response::new(status, "application/json", body).with("allow", "GET, HEAD, OPTIONS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let read = |text| Outage::read(text).ok();
        let status = |status, form| Failure::Status(status, form);
        for (text, how, version) in [
            ("503", status(503, Form::OperationOutcome), None),
            ("403:v3", status(403, Form::OperationOutcome), Some(Version::V3)),
            ("502-html:v1", status(502, Form::Html), Some(Version::V1)),
            ("500-json", status(500, Form::OtherJson), None),
            ("down:v2", Failure::Down, Some(Version::V2)),
            ("foreign-entry", Failure::ForeignEntry, None),
        ] {
            assert_eq!(read(text), Some(Outage { how, version }), "{text}");
        }
        for bad in ["", "up", "99", "600", "503:v4", "503:", "503-xml", "down-html", "-html"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_outage_affects_the_paths_that_use_its_back_end() {
        for (version, path, expected) in [
            (Some(Version::V1), "/health/bfd", true),
            (Some(Version::V1), "/health/external/", true),
            (Some(Version::V1), "/health/bfd_v2", false),
            (Some(Version::V2), "/health/bfd_v2", true),
            (Some(Version::V2), "/health/external_v2", true),
            (Some(Version::V2), "/health/bfd", false),
            (Some(Version::V3), "/health/bfd", false),
            (Some(Version::V3), "/health/bfd_v2", false),
            (Some(Version::V3), "/v3/fhir/metadata", true),
            (Some(Version::V3), "/v2/fhir/metadata", false),
            (Some(Version::V3), "/mymedicare/sls-callback", true),
            (None, "/v1/fhir/Patient", true),
            (None, "/health/bfd", true),
        ] {
            let outage = Outage { how: Failure::Down, version };
            assert_eq!(outage.concerns(path), expected, "{version:?} {path}");
        }
    }
}
