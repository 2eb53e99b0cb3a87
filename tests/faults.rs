//! Everything that the server and the network can get wrong, at every version of the API: a pull ends with every
//! claim exactly once, or it fails as the contract says and does not change the archive.

#![allow(clippy::print_stderr, reason = "the table says how much it tried")]

use std::net::TcpStream;

use crate::support::{Setting, Stage, ids, lines, snapshot, until};
use serde_json::Value;

const CLAIMS: usize = 130;
const FILE: &str = "ExplanationOfBenefit.ndjson";

/// How a pull must end.
#[derive(Clone, Copy)]
enum End {
    /// With every claim exactly once, in the order they had.
    Whole,
    /// With this many more claims than before, the same as without a fault.
    More(usize),
    /// With this exit code and kind of error, and nothing replaced.
    Fails(i32, &'static str),
}

use End::{Fails, More, Whole};

/// A fault, and how pulls of v1 and v2, and those of v3, end with it.
///
/// `PAGE1` matches every request for claims from the first one on, `PAGE2` every request from the fifty-first on.
type Row = (&'static str, End, End);

const fn alike(fault: &'static str, end: End) -> Row {
    (fault, end, end)
}

/// Faults that go away, or do not matter.
const PASSING: &[Row] = &[
    alike("status=503@PAGE1#2", Whole),
    alike("status=500@PAGE2#1", Whole),
    alike("status=400@PAGE2#1", Whole),
    alike("html=504@PAGE2#1", Whole),
    alike("backend=502@PAGE1#2", Whole),
    alike("backend=500@PAGE2#1", Whole),
    alike("backend=504@PAGE2#1", Whole),
    // A refusal by the data back end is not a refusal by the enrollee, and it is temporary.
    alike("backend=400@PAGE2#1", Whole),
    alike("backend=401@PAGE1#1", Whole),
    alike("backend=403@PAGE1#1", Whole),
    alike("backend=404@PAGE2#1", Whole),
    alike("backend=413@PAGE2#1", Whole),
    alike("backend=429@PAGE2#1", Whole),
    alike("backend=down@PAGE2#1", Whole),
    alike("backend=502-html@PAGE2#1", Whole),
    alike("backend=foreign-entry@PAGE2#1", Whole),
    alike("status=404@PAGE1#1", Whole),
    alike("html=200@PAGE2#1", Whole),
    alike("html=403@PAGE2#1", Whole),
    alike("html=404@PAGE1#1", Whole),
    alike("throttle=0@PAGE1#2", Whole),
    alike("throttle=1@PAGE2#1", Whole),
    alike("close@PAGE2#2", Whole),
    alike("reset@PAGE1#1", Whole),
    alike("reset@PAGE2#2", Whole),
    alike("reset=3000@PAGE2#1", Whole),
    alike("refuse=100@PAGE2#1", Whole),
    alike("truncate@PAGE2#1", Whole),
    alike("corrupt@PAGE2#1", Whole),
    alike("invalid-utf8@PAGE2#1", Whole),
    alike("corrupt-gzip@PAGE2#1", Whole),
    alike("length=100@PAGE2#1", Whole),
    alike("length=-100@PAGE2#1", Whole),
    alike("drip=2000000@PAGE2#1", Whole),
    alike("late=1-60@PAGE1", Whole),
    alike("status=502@PAGE1%25", Whole),
    alike("huge=20@PAGE2#1", Whole),
    alike("bomb=20@PAGE2#1", Whole),
    alike("empty-next@PAGE2#1", Whole),
    alike("duplicate@PAGE2", Whole),
    alike("duplicate@PAGE2#1", Whole),
    alike("total=12@PAGE2#1", Whole),
    alike("no-total@PAGE1", Whole),
    alike("no-total@PAGE1#1", Whole),
    alike("next-host=https://internal.example@PAGE1", Whole),
    alike("next-host=http://internal.example@PAGE1", Whole),
    alike("self-host=https://internal.example@PAGE1", Whole),
    alike("expire-token@PAGE2#1", Whole),
    // Only v1 and v2 hide this failure.
    ("empty@PAGE1#1", Whole, Whole),
    ("empty@PAGE2#2", Whole, Whole),
    // Loads between two pages.
    alike("load=1@PAGE2#1", More(1)),
    alike("late-load=600@PAGE2#1", More(1)),
    alike("update=1@PAGE2#1", More(0)),
    // At v1 and v2, the old claim stays as canceled; at v3, it disappears.
    ("supersede=1@PAGE2#1", More(1), More(0)),
];

/// Faults that stay.
const LASTING: &[Row] = &[
    alike("status=403@PAGE2", Fails(77, "not_allowed")),
    // CMS answers like this for a page with an entry of another person.
    alike("status=404@PAGE2", Fails(75, "server")),
    alike("backend=foreign-entry@PAGE2", Fails(75, "server")),
    alike("status=502@PAGE2", Fails(75, "server")),
    alike("status=400@PAGE2", Fails(75, "server")),
    alike("html=200@PAGE2", Fails(65, "answer")),
    alike("html=400@PAGE2", Fails(75, "intercepted")),
    alike("html=401@PAGE2", Fails(75, "intercepted")),
    alike("html=403@PAGE2", Fails(75, "intercepted")),
    alike("html=404@PAGE2", Fails(75, "intercepted")),
    alike("html=503@PAGE2", Fails(75, "server")),
    alike("backend=400@PAGE2", Fails(75, "server")),
    alike("backend=401@PAGE2", Fails(75, "server")),
    alike("backend=403@PAGE2", Fails(75, "server")),
    alike("backend=404@PAGE2", Fails(75, "server")),
    alike("backend=413@PAGE2", Fails(75, "server")),
    alike("backend=down@PAGE2", Fails(75, "server")),
    alike("throttle=3600@PAGE2", Fails(75, "server")),
    alike("backend=500@PAGE2", Fails(75, "server")),
    alike("backend=504@PAGE2", Fails(75, "server")),
    alike("close@PAGE2", Fails(75, "network")),
    alike("reset@PAGE2", Fails(75, "network")),
    alike("refuse=1500@PAGE2", Fails(75, "network")),
    alike("reset=3000@PAGE2", Fails(75, "network")),
    alike("truncate@PAGE2", Fails(65, "answer")),
    alike("corrupt@PAGE2", Fails(65, "answer")),
    alike("invalid-utf8@PAGE2", Fails(65, "answer")),
    alike("corrupt-gzip@PAGE2", Fails(75, "network")),
    alike("length=100@PAGE2", Fails(75, "network")),
    alike("length=-100@PAGE2", Fails(75, "network")),
    alike("drip=1@PAGE2", Fails(75, "server")),
    alike("hang@PAGE2", Fails(75, "server")),
    alike("bomb=300@PAGE2", Fails(75, "server")),
    alike("next-loop@PAGE1", Fails(65, "paging")),
    alike("next-path=/v2/fhir/Patient@PAGE1", Fails(65, "paging")),
    alike("next-path=/v2/o/revoke/@PAGE1", Fails(65, "paging")),
    ("total=260@PAGE1", Fails(75, "shortfall"), Whole),
    alike("redirect=http://127.0.0.1:9/x@PAGE2", Fails(65, "answer")),
    ("empty@PAGE2", Fails(75, "outage"), Fails(75, "shifted")),
    ("empty@PAGE1", Fails(75, "outage"), Fails(75, "outage")),
    ("empty-next@PAGE2", Fails(75, "shortfall"), Fails(75, "shifted")),
    ("v3-closed@PAGE2", Whole, Fails(77, "not_allowed")),
    // The page of a feature that is off is HTML, like that of any other server.
    ("v3-off@PAGE2", Whole, Fails(75, "intercepted")),
    // These end the access, so nothing comes after them.
    alike("revoke-token@PAGE2#1", Fails(77, "refresh_token")),
    alike("inactive@PAGE2", Fails(77, "app_inactive")),
    alike("grant-over@PAGE2", Fails(77, "grant_ended")),
    alike("revoke-grant@PAGE2", Fails(77, "grant_revoked")),
];

#[test]
fn faults_at_v1() {
    at("v1", 0);
}

#[test]
fn faults_at_v2() {
    at("v2", 1);
}

#[test]
fn faults_at_v3() {
    at("v3", 0);
}

/// Tries every row at this version, alternating between one request at a time and four at once.
fn at(api: &str, parity: usize) {
    let is_v3 = api == "v3";
    let place = |fault: &str| {
        let from = if is_v3 { "_offset=" } else { "startIndex=" };
        fault.replace("PAGE1", "ExplanationOfBenefit").replace("PAGE2", from)
    };
    let stage = Stage::with(Setting { claims: CLAIMS, ..Setting::default() });
    let kept = |out: &str| ids(&lines(&stage.home.path().join(out).join(FILE)));
    stage.log_in(&["--api", api]);
    stage.expect(0, &["fetch", "eob", "--out", "claims", "-q"]);
    assert_eq!(kept("claims").len(), CLAIMS);
    let rows = PASSING.iter().map(|row| (row, "3", "20")).chain(LASTING.iter().map(|row| (row, "1", "1")));
    for (number, (row, retry, timeout)) in rows.enumerate() {
        let jobs = if (number + parity).is_multiple_of(2) { "1" } else { "4" };
        let what = format!("{} at {api}, {jobs} at once", row.0);
        let fetch = |out: &str| {
            let limits = ["--retry", retry, "--timeout", timeout, "--jobs", jobs];
            let mut command = stage.bbdl(&[&["fetch", "eob", "--json", "--full", "--out", out], &limits[..]].concat());
            command.env("BBDL_RETRY_DELAY", "40");
            let output = crate::support::finished(command);
            (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
        };
        let (ids_before, before) = (kept("claims"), snapshot(&stage.out()));
        stage.faults(&[&place(row.0)]);
        let (code, result) = fetch("claims");
        // A closed port refuses tests too.
        let address = stage.mock.url().trim_start_matches("http://");
        until("the port is open", || TcpStream::connect(address).is_ok());
        stage.faults(&[]);
        match if is_v3 { row.2 } else { row.1 } {
            Fails(expected, kind) => {
                assert_eq!((code, result["error"]["kind"].as_str()), (Some(expected), Some(kind)), "{what}: {result}");
                let message = result["error"]["message"].as_str().unwrap();
                // If access ends or the port is closed, that may also affect the first page, if both are requested at
                // the same time.
                let is_of_all = expected == 77 || (row.0.starts_with("refuse") && jobs != "1");
                let is_sure = !is_of_all && !["shortfall", "shifted"].contains(&kind);
                if row.0.contains("PAGE2") && is_sure {
                    let (all, name) = (ids_before.len(), "ExplanationOfBenefit");
                    let missing = if is_v3 {
                        format!("50 {name} had come; it is not known how many are missing")
                    } else {
                        format!("50 of {all} {name} had come, {} are missing", all - 50)
                    };
                    assert!(message.contains(&missing), "{what}: {message}");
                }
                if row.0.starts_with("throttle") {
                    assert_eq!(result["error"]["retry_after_s"], 3600, "{what}");
                }
                assert!(snapshot(&stage.out()) == before, "{what}: the archive is another one");
                if expected == 77 {
                    stage.log_in(&["--api", api]);
                }
            }
            Whole => {
                assert_eq!(code, Some(0), "{what}: {result}");
                assert!(kept("claims") == ids_before, "{what}: other claims, or in another order: {result}");
            }
            More(more) => {
                assert_eq!(code, Some(0), "{what}: {result}");
                assert_eq!(kept("claims").len(), ids_before.len() + more, "{what}: {result}");
                stage.expect(0, &["fetch", "eob", "--out", "again", "--full", "-q"]);
                assert_eq!(kept("claims"), kept("again"), "{what}: other claims, or in another order");
            }
        }
    }
    assert_eq!(stage.expect_json(0, &["verify", "claims", "--json"])["ok"], true);
    eprintln!("{api}: {} faults, each survived or refused as the contract says", PASSING.len() + LASTING.len());
}
