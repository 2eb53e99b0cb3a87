//! The mock against what the real server was recorded to answer: every recorded request is made again, in
//! the state that it needs, and the answers are compared: status, `WWW-Authenticate`, `Retry-After`,
//! `Location`, `Content-Type`, `Allow`, the keys of the body and what it says. [`left`] lists the rows that
//! cannot be made again, with reasons.

#![allow(unreachable_pub, reason = "a test has no other crate that could reach it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod compare;
mod left;
mod plan;
mod recorded;
mod replay;
mod stand;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _};

#[test]
fn conformance_with_the_recorded_exchanges() {
    let Some(dir) = support::shared("data/transcripts") else { return };
    let rows = recorded::rows(&dir);
    let index = std::fs::read_to_string(dir.join("INDEX.tsv")).unwrap();
    assert_eq!(rows.len(), index.lines().count(), "every row of the index is read");
    let mut stand = stand::Stand::start();
    let verifiers = replay::Verifiers::of(&rows);
    let (mut replayed, mut alike) = (0, 0);
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut theme = "";
    for row in &rows {
        if row.theme != theme {
            stand.forget_last();
            theme = &row.theme;
        }
        if let Some(why) = left::not_replayed(row) {
            *left.entry(why).or_default() += 1;
            continue;
        }
        replayed += 1;
        let answer = replay::replay(&mut stand, row, &verifiers);
        let differences = compare::differences(&stand, row, &answer);
        match (differences.is_empty(), left::may_differ(row)) {
            (true, None) => alike += 1,
            (false, Some(why)) => *left.entry(why).or_default() += 1,
            (false, None) => wrong.push(format!("{}\n    {}", row.name(), differences.join("\n    "))),
            (true, Some(_)) => {
                alike += 1;
                wrong.push(format!("{}\n    is alike: strike it off the list of what differs", row.name()));
            }
        }
    }
    let mut report = format!("conformance: {replayed} of {} rows replayed, {alike} alike\n", rows.len());
    for (why, number) in &left {
        let _ = writeln!(report, "  {number} left: {why}");
    }
    // Not print!: the harness would keep it to itself.
    let _ = std::io::stderr().write_all(report.as_bytes());
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}
