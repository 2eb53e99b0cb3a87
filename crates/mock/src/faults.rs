//! What goes wrong on purpose: `KIND[=ARGUMENT][@PATH][#TIMES][+SKIP][%CHANCE]`.

use std::str::FromStr;

use super::{backend::Outage, claims::dice::Dice, living::Load};

/// The most megabytes that a resource may become larger by, since they are made at once.
const HUGEST: u64 = 1_000;
/// The most megabytes of blanks, which are made as they are sent: more are not received in a day.
const LARGEST_BOMB: u64 = 100_000;

/// A fault: what goes wrong, where, how often, after how many requests that would match, with what chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) kind: Kind,
    path: String,
    times: Option<u32>,
    skip: u32,
    /// In percent of the requests that would match.
    chance: u32,
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
    /// The connection is reset after so many bytes of the answer.
    Reset(usize),
    /// The connection is reset, and for so many milliseconds no other is accepted.
    Refuse(u64),
    /// `Content-Length` is wrong by so many bytes; the connection closes after the body.
    Length(i64),
    /// So many bytes of the body a second.
    Drip(usize),
    /// A byte of the compressed body is another one.
    CorruptGzip,
    /// So many megabytes of blanks after the JSON, where it is compressed.
    Bomb(u64),
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
    /// The `self` link names another origin.
    SelfHost(String),
    /// So many claims come before this request is answered.
    Load(usize),
    /// So many claims are loaded again, with another payment, before this request is answered.
    Update(usize),
    /// So many claims are superseded before this request is answered.
    Supersede(usize),
    /// A claim comes before this request is answered, loaded so many seconds ago as it says.
    LateLoad(i64),
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
    /// A data back end fails.
    Backend(Outage),
    /// A refresh rotates the tokens, and its answer is lost.
    DropRefresh,
    /// No answer ever.
    Hang,
    /// The answer leaves this many milliseconds after it was made, from the first number to the second.
    Late(u64, u64),
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
        let Counts { spec, times, skip, chance } = Counts::of(text)?;
        let (kind, path) = spec.split_once('@').unwrap_or((spec, ""));
        let (name, argument) = kind.split_once('=').unwrap_or((kind, ""));
        let number = |what: &str| {
            argument
                .parse::<u64>()
                .map_err(|_| format!("fault {name}: \"{argument}\" is not {what}; write {name}=NUMBER"))
        };
        let size = |what: &str| {
            number(what).and_then(|number| usize::try_from(number).map_err(|_| format!("{number} is too large")))
        };
        let at_most = |most: u64, what: &str| {
            number(what).and_then(|number| {
                if number <= most { Ok(number) } else { Err(format!("fault {name}: {number} is more than {most}")) }
            })
        };
        let claims = || at_most(Load::MOST as u64, "a number of claims").map(|number| number as usize);
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
            "reset" if argument.is_empty() => Kind::Reset(0),
            "reset" => Kind::Reset(size("a number of bytes")?),
            "refuse" => Kind::Refuse(number("a number of milliseconds")?),
            "length" => match argument.parse() {
                Ok(bytes) if bytes != 0 => Kind::Length(bytes),
                _ => {
                    return Err(format!(
                        "fault length: \"{argument}\" is not how many bytes too many or too few; write length=100 or length=-100"
                    ));
                }
            },
            "drip" => Kind::Drip(size("a number of bytes a second")?.max(1)),
            "corrupt-gzip" => Kind::CorruptGzip,
            "bomb" => Kind::Bomb(at_most(LARGEST_BOMB, "a number of megabytes")?),
            "truncate" => Kind::Truncate,
            "corrupt" => Kind::Corrupt,
            "invalid-utf8" => Kind::InvalidUtf8,
            "huge" => Kind::Huge(at_most(HUGEST, "a number of megabytes")?),
            "html" => Kind::Html(status()?),
            "empty" => Kind::Empty,
            "total" => Kind::Total(number("a number")?),
            "no-total" => Kind::NoTotal,
            "next-host" => Kind::NextHost(argument.trim_end_matches('/').to_owned()),
            "next-path" => Kind::NextPath(argument.to_owned()),
            "next-loop" => Kind::NextLoop,
            "self-host" => Kind::SelfHost(argument.trim_end_matches('/').to_owned()),
            "load" => Kind::Load(claims()?),
            "update" => Kind::Update(claims()?),
            "supersede" => Kind::Supersede(claims()?),
            "late-load" => {
                Kind::LateLoad(i64::try_from(number("a number of seconds")?).map_err(|_| "that is too long ago")?)
            }
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
            "backend" => Kind::Backend(Outage::read(argument)?),
            "drop-refresh" => Kind::DropRefresh,
            "hang" => Kind::Hang,
            "late" => match argument.split_once('-').map(|(least, most)| (least.parse(), most.parse())) {
                Some((Ok(least), Ok(most))) if least <= most => Kind::Late(least, most),
                _ => number("a number of milliseconds, nor two of them as in late=50-300")
                    .map(|late| Kind::Late(late, late))?,
            },
            "token-extra" => Kind::TokenExtra,
            "no-patient" => Kind::NoPatient,
            "no-expiration" => Kind::NoExpiration,
            _ => return Err(format!("there is no fault \"{name}\"; docs/mock.md lists them")),
        };
        Ok(Self { kind, path: path.to_owned(), times, skip, chance })
    }
}

/// What stands behind a fault and where it strikes, in any order.
struct Counts<'t> {
    spec: &'t str,
    times: Option<u32>,
    skip: u32,
    chance: u32,
}

impl<'t> Counts<'t> {
    fn of(text: &'t str) -> Result<Self, String> {
        let mut counts = Self { spec: text, times: None, skip: 0, chance: 100 };
        while let Some(at) = counts.spec.rfind(['#', '+', '%']) {
            let digits = &counts.spec[at + 1..];
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                break;
            }
            let number = digits.parse().map_err(|_| format!("{digits} is too large"))?;
            match counts.spec.as_bytes()[at] {
                b'#' => counts.times = Some(number),
                b'+' => counts.skip = number,
                _ if number > 100 => return Err(format!("a chance of {number} % is more than certain")),
                _ => counts.chance = number,
            }
            counts.spec = &counts.spec[..at];
        }
        Ok(counts)
    }
}

/// The back ends that fail at this request.
pub(super) fn outages(faults: &[Kind]) -> impl Iterator<Item = Outage> {
    faults.iter().filter_map(|fault| if let Kind::Backend(outage) = fault { Some(*outage) } else { None })
}

impl Fault {
    /// Whether it has struck as often as it was to.
    pub(super) fn is_over(&self) -> bool {
        self.times == Some(0)
    }

    /// What strikes at this path now, if it does; counts down.
    pub(super) fn strikes(&mut self, path: &str, dice: &mut Dice) -> Option<Kind> {
        // With a mark after the last parameter as after the others, so that `_offset=50&` is one page wherever it
        // stands.
        if !format!("{path}&").contains(&self.path) || self.times == Some(0) {
            return None;
        }
        // What another back end is asked is no such request.
        let asked = path.split('?').next().unwrap_or(path);
        if matches!(self.kind, Kind::Backend(outage) if !outage.concerns(asked)) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if self.chance < 100 && !dice.percent(u64::from(self.chance)) {
            return None;
        }
        self.times = self.times.map(|times| times - 1);
        Some(match self.kind {
            Kind::Late(least, most) if least < most => {
                let late = dice.between(least, most);
                Kind::Late(late, late)
            }
            ref kind => kind.clone(),
        })
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
        let dice = &mut Dice::at(&[1]);
        assert!(fault.strikes("/v2/fhir/Patient", dice).is_none());
        let strikes: Vec<bool> =
            (0..5).map(|_| fault.strikes("/v2/fhir/ExplanationOfBenefit", dice).is_some()).collect();
        assert_eq!(strikes, [false, true, true, false, false]);
        let hosts: Fault = "next-host=http://127.0.0.1:9/".parse().unwrap();
        assert_eq!(hosts.kind, Kind::NextHost("http://127.0.0.1:9".into()));
    }

    #[test]
    fn chance_is_the_seeds() {
        let strikes = |seed| {
            let (mut fault, mut dice) = ("late=10-90@Patient%30".parse::<Fault>().unwrap(), Dice::at(&[seed]));
            (0..400).map(|_| fault.strikes("/v2/fhir/Patient", &mut dice)).collect::<Vec<_>>()
        };
        assert_eq!(strikes(1), strikes(1));
        assert_ne!(strikes(1), strikes(2));
        let struck: Vec<Kind> = strikes(1).into_iter().flatten().collect();
        assert!((80..160).contains(&struck.len()), "{}", struck.len());
        assert!(
            struck
                .iter()
                .all(|kind| matches!(kind, Kind::Late(late, same) if late == same && (10..=90).contains(late)))
        );
        assert!(struck.iter().any(|kind| kind != &struck[0]));
    }

    #[test]
    fn what_is_no_fault_is_told() {
        for bad in
            ["", "status", "status=abc", "status=99", "nonsense", "throttle=x", "length=0", "late=9-1", "close%101"]
                .into_iter()
                .chain(["huge=1001", "huge=1000000", "huge=18446744073709", "bomb=100001", "bomb=18446744073709551615"])
                .chain(["load=100001", "update=100001", "supersede=18446744073709551615"])
        {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
        for good in ["huge=1000", "bomb=100000", "load=100000"] {
            assert!(good.parse::<Fault>().is_ok(), "{good}");
        }
    }
}
