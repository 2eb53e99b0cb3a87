//! The mock against what the real server was recorded to answer: every recorded request is made again, in
//! the state that it needs, and the answers are compared: status, `WWW-Authenticate`, `Retry-After`,
//! `Location`, `Content-Type`, `Allow`, the keys of the body and what it says. [`left`] lists the rows that
//! cannot be made again, with reasons.

#![allow(unreachable_pub, reason = "a test has no other crate that could reach it")]
mod compare;
mod left;
mod plan;
mod recorded;
mod replay;
mod stand;
use std::{collections::BTreeMap, fmt::Write as _, io::Write as _};

#[test]
fn conformance_with_the_recorded_exchanges() {
    let mut rows = Vec::new();
    for folder in ["data/transcripts", "data/transcripts-backend-faults"] {
        let Some(dir) = crate::support::shared(folder) else { return };
        let read = recorded::rows(&dir);
        let index = std::fs::read_to_string(dir.join("INDEX.tsv")).unwrap();
        assert_eq!(read.len(), index.lines().count(), "every row of the index is read");
        rows.extend(read);
    }
    let mut stand = stand::Stand::start();
    let verifiers = replay::Verifiers::of(&rows);
    // By file: rows, replayed ones, alike ones.
    let mut themes: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut left: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in &rows {
        if !themes.contains_key(row.theme.as_str()) {
            stand.forget_last();
        }
        let [all, replayed, alike] = themes.entry(&row.theme).or_default();
        *all += 1;
        if let Some(why) = left::not_replayed(row) {
            left.entry(why).or_default().push(row.name());
            continue;
        }
        *replayed += 1;
        let answer = replay::replay(&mut stand, row, &verifiers);
        let differences = compare::differences(&stand, row, &answer);
        *alike += usize::from(differences.is_empty());
        match (differences.is_empty(), left::may_differ(row)) {
            (true, None) => {}
            (false, Some(why)) => left.entry(why).or_default().push(row.name()),
            (false, None) => wrong.push(format!("{}\n    {}", row.name(), differences.join("\n    "))),
            (true, Some(_)) => wrong.push(format!("{}\n    is alike: strike it off the list", row.name())),
        }
    }
    // Not print!: the harness would keep it to itself.
    let _ = std::io::stderr().write_all(report(&themes, &left).as_bytes());
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Sums, and what is left with its reasons; with `BBDL_CONFORMANCE_ROWS` set, every row of that by name.
fn report(themes: &BTreeMap<&str, [usize; 3]>, left: &BTreeMap<&str, Vec<String>>) -> String {
    let sum = |at: usize| themes.values().map(|numbers| numbers[at]).sum::<usize>();
    let mut text = format!("conformance: {} of {} rows replayed, {} alike\n", sum(1), sum(0), sum(2));
    for (theme, [all, replayed, alike]) in themes {
        let _ = writeln!(text, "  {theme}: {replayed} of {all} replayed, {alike} alike");
    }
    let by_name = std::env::var_os("BBDL_CONFORMANCE_ROWS").is_some();
    for (why, rows) in left {
        let _ = writeln!(text, "  left, {}: {why}", rows.len());
        for row in rows.iter().filter(|_| by_name) {
            let _ = writeln!(text, "    {row}");
        }
    }
    text
}
