//! What goes wrong on purpose: `KIND[=ARGUMENT][@PATH][#TIMES][+SKIP]`.

use std::str::FromStr;

/// A fault: what goes wrong, where, how often, after how many requests that would match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) kind: Kind,
    path: String,
    times: Option<u32>,
    skip: u32,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// This status, with the real server's body for it.
    Status(u16),
    /// 429 with `Retry-After` in seconds.
    Throttle(u64),
    /// The connection breaks in the middle of the body.
    Close,
    /// Valid HTTP, JSON cut in half.
    Truncate,
    /// A byte of the JSON is another one, and it is no JSON any more.
    Corrupt,
    /// A byte that no UTF-8 text has.
    InvalidUtf8,
    /// A resource so many megabytes larger than it was.
    Huge(u64),
    /// A page of HTML with this status, as a CDN sends.
    Html(u16),
    /// The swallowed failure of v1 and v2: 200, no entries, total 0.
    Empty,
    /// Another total than the true one.
    Total(u64),
    /// No total.
    NoTotal,
    /// The `next` link names another origin.
    NextHost(String),
    /// The `next` link has another path.
    NextPath(String),
    /// The `next` link is this page.
    NextLoop,
    /// 302 to another URL.
    Redirect(String),
    /// The access token expires before this request.
    ExpireToken,
    /// The access token is revoked before this request.
    RevokeToken,
    /// The grant is deleted before this request.
    RevokeGrant,
    /// The grant's 13 months are over.
    GrantOver,
    /// A page begins with the last claim of the page before.
    Duplicate,
    /// A page without entries, with its links and total.
    EmptyNext,
    /// The app is inactive.
    Inactive,
    /// API v3 is switched off.
    V3Off,
    /// API v3 is for other apps.
    V3Closed,
    /// The data back end fails with this status.
    Backend(u16),
    /// A refresh rotates the tokens, and its answer is lost.
    DropRefresh,
    /// No answer ever.
    Hang,
    /// The answer leaves this many milliseconds after it was made.
    Late(u64),
    /// A token answer with oddities: float, number, blank in a date, unknown fields.
    TokenExtra,
    /// A token answer without `patient`.
    NoPatient,
    /// A token answer without `access_grant_expiration`.
    NoExpiration,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (spec, times, skip) = counts(text)?;
        let (kind, path) = spec.split_once('@').unwrap_or((spec, ""));
        let (name, argument) = kind.split_once('=').unwrap_or((kind, ""));
        let number = |what: &str| {
            argument
                .parse::<u64>()
                .map_err(|_| format!("fault {name}: \"{argument}\" is not {what}; write {name}=NUMBER"))
        };
        let status = || {
            let number = number("a status")?;
            u16::try_from(number)
                .ok()
                .filter(|status| (200..=599).contains(status))
                .ok_or(format!("{number} is no HTTP status"))
        };
        let kind = match name {
            "status" => Kind::Status(status()?),
            "throttle" => Kind::Throttle(number("a number of seconds")?),
            "close" => Kind::Close,
            "truncate" => Kind::Truncate,
            "corrupt" => Kind::Corrupt,
            "invalid-utf8" => Kind::InvalidUtf8,
            "huge" => Kind::Huge(number("a number of megabytes")?),
            "html" => Kind::Html(status()?),
            "empty" => Kind::Empty,
            "total" => Kind::Total(number("a number")?),
            "no-total" => Kind::NoTotal,
            "next-host" => Kind::NextHost(argument.trim_end_matches('/').to_owned()),
            "next-path" => Kind::NextPath(argument.to_owned()),
            "next-loop" => Kind::NextLoop,
            "redirect" => Kind::Redirect(argument.to_owned()),
            "expire-token" => Kind::ExpireToken,
            "revoke-token" => Kind::RevokeToken,
            "revoke-grant" => Kind::RevokeGrant,
            "grant-over" => Kind::GrantOver,
            "duplicate" => Kind::Duplicate,
            "empty-next" => Kind::EmptyNext,
            "inactive" => Kind::Inactive,
            "v3-off" => Kind::V3Off,
            "v3-closed" => Kind::V3Closed,
            "backend" => Kind::Backend(status()?),
            "drop-refresh" => Kind::DropRefresh,
            "hang" => Kind::Hang,
            "late" => Kind::Late(number("a number of milliseconds")?),
            "token-extra" => Kind::TokenExtra,
            "no-patient" => Kind::NoPatient,
            "no-expiration" => Kind::NoExpiration,
            _ => return Err(format!("there is no fault \"{name}\"; docs/mock.md lists them")),
        };
        Ok(Self { kind, path: path.to_owned(), times, skip })
    }
}

/// Takes `#TIMES` and `+SKIP` off the end, in either order.
fn counts(text: &str) -> Result<(&str, Option<u32>, u32), String> {
    let (mut spec, mut times, mut skip) = (text, None, 0);
    while let Some(at) = spec.rfind(['#', '+']) {
        let digits = &spec[at + 1..];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        let number = digits.parse().map_err(|_| format!("{digits} is too large"))?;
        if spec.as_bytes()[at] == b'#' {
            times = Some(number);
        } else {
            skip = number;
        }
        spec = &spec[..at];
    }
    Ok((spec, times, skip))
}

impl Fault {
    /// Whether it strikes at this path now; counts down.
    pub(super) fn strikes(&mut self, path: &str) -> bool {
        if !path.contains(&self.path) || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_read_in_all_their_parts() {
        let mut fault: Fault = "status=503@ExplanationOfBenefit#2+1".parse().unwrap();
        assert_eq!(fault, "status=503@ExplanationOfBenefit+1#2".parse().unwrap());
        assert_eq!(fault.kind, Kind::Status(503));
        assert!(!fault.strikes("/v2/fhir/Patient"));
        let strikes: Vec<bool> = (0..5).map(|_| fault.strikes("/v2/fhir/ExplanationOfBenefit")).collect();
        assert_eq!(strikes, [false, true, true, false, false]);
        let hosts: Fault = "next-host=http://127.0.0.1:9/".parse().unwrap();
        assert_eq!(hosts.kind, Kind::NextHost("http://127.0.0.1:9".into()));
    }

    #[test]
    fn what_is_no_fault_is_told() {
        for bad in ["", "status", "status=abc", "status=99", "nonsense", "throttle=x"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
