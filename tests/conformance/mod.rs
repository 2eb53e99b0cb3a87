//! Compares the mock with recorded answers of the real server. Every recorded request is made again, in the state
//! that it needs, and the answers are compared: status, `WWW-Authenticate`, `Retry-After`, `Location`,
//! `Content-Type`, `Allow`, the keys of the body and its text. [`exceptions`] lists the exchanges that cannot be
//! repeated or that differ, with reasons.

#![allow(unreachable_pub, reason = "a test has no other crate that could reach it")]
mod compare;
mod exceptions;
mod plan;
mod recorded;
mod replay;
mod replay_server;
use std::{collections::BTreeMap, fmt::Write as _, io::Write as _};

#[test]
fn conformance_with_the_recorded_exchanges() {
    let mut exchanges = Vec::new();
    for folder in ["data/transcripts", "data/transcripts-backend-faults"] {
        let Some(dir) = crate::support::shared(folder) else { return };
        let read = recorded::exchanges(&dir);
        let index = std::fs::read_to_string(dir.join("INDEX.tsv")).unwrap();
        assert_eq!(read.len(), index.lines().count(), "every row of the index is read");
        exchanges.extend(read);
    }
    let mut server = replay_server::ReplayServer::start();
    let verifiers = replay::Verifiers::of(&exchanges);
    // By file: the number of exchanges, of replayed ones, and of those that were alike.
    let mut themes: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut left: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for exchange in &exchanges {
        if !themes.contains_key(exchange.theme.as_str()) {
            server.forget_last();
        }
        let [all, replayed, alike] = themes.entry(&exchange.theme).or_default();
        *all += 1;
        if let Some(why) = exceptions::not_replayed(exchange) {
            left.entry(why).or_default().push(exchange.name());
            continue;
        }
        *replayed += 1;
        let answer = replay::replay(&mut server, exchange, &verifiers);
        let differences = compare::differences(&server, exchange, &answer);
        *alike += usize::from(differences.is_empty());
        match (differences.is_empty(), exceptions::may_differ(exchange)) {
            (true, None) => {}
            (false, Some(why)) => left.entry(why).or_default().push(exchange.name()),
            (false, None) => wrong.push(format!("{}\n    {}", exchange.name(), differences.join("\n    "))),
            (true, Some(_)) => wrong.push(format!("{}\n    is alike: strike it off the list", exchange.name())),
        }
    }
    // Not print!, because the harness would hide it.
    let _ = std::io::stderr().write_all(report(&themes, &left).as_bytes());
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The sums, and how many exchanges are exceptions for which reason. With `BBDL_CONFORMANCE_ROWS`, also their names.
fn report(themes: &BTreeMap<&str, [usize; 3]>, left: &BTreeMap<&str, Vec<String>>) -> String {
    let sum = |at: usize| themes.values().map(|numbers| numbers[at]).sum::<usize>();
    let mut text = format!("conformance: {} of {} rows replayed, {} alike\n", sum(1), sum(0), sum(2));
    for (theme, [all, replayed, alike]) in themes {
        let _ = writeln!(text, "  {theme}: {replayed} of {all} replayed, {alike} alike");
    }
    let by_name = std::env::var_os("BBDL_CONFORMANCE_ROWS").is_some();
    for (why, exchanges) in left {
        let _ = writeln!(text, "  left, {}: {why}", exchanges.len());
        for exchange in exchanges.iter().filter(|_| by_name) {
            let _ = writeln!(text, "    {exchange}");
        }
    }
    text
}
