//! The cost of bringing news into an archive: comparing, merging, and what a full pull reads first.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

use std::{ops::Range, path::Path};

use bbdl::{
    api_version::ApiVersion,
    archive::{
        Archive, Pull,
        dedup::Expected,
        journal::SearchKey,
        manifest::{Mode, PullRow, Source},
        previous_ids::PreviousIds,
        pull::Pulled,
        writer::KeepBundle,
    },
    fhir::bundle::Bundle,
};
use divan::{Bencher, counter::BytesCount};
use jiff::Timestamp;
use tempfile::TempDir;

fn main() {
    divan::main();
}

const KIND: &str = "ExplanationOfBenefit";
/// Archives of 22 and 220 MB.
const CLAIMS: [usize; 2] = [1_000, 10_000];

/// A claim of about 22 kB, the average of the mock's claims.
fn claim(number: usize, version: usize) -> String {
    let line = r#"{"sequence":1,"productOrService":{"coding":[{"system":"https://bluebutton.cms.gov/resources/codesystem/hcpcs","code":"99214"}]},"adjudication":[{"amount":{"value":102.30,"currency":"USD"}}]},"#;
    let lines = line.repeat(22_000 / line.len());
    format!(
        r#"{{"resourceType":"{KIND}","id":"carrier-{number}","meta":{{"lastUpdated":"2026-01-0{version}T00:00:00Z"}},"patient":{{"reference":"Patient/-1"}},"created":"2026-01-0{version}","item":[{}],"v":{version}}}"#,
        lines.trim_end_matches(',')
    )
}

fn pages(claims: Range<usize>, version: usize) -> Vec<Bundle> {
    let numbers: Vec<usize> = claims.collect();
    let page = |numbers: &[usize]| {
        let entries: Vec<String> =
            numbers.iter().map(|number| format!(r#"{{"resource":{}}}"#, claim(*number, version))).collect();
        Bundle::split(format!(r#"{{"resourceType":"Bundle","entry":[{}]}}"#, entries.join(","))).unwrap()
    };
    numbers.chunks(50).map(page).collect()
}

/// Pulls pages into the archive at `dir`, up to the commit.
fn bring(dir: &Path, mode: Mode, pages: &[Bundle]) -> (Pull, PullRow) {
    let now = Timestamp::UNIX_EPOCH;
    let server = "https://x.example".parse().unwrap();
    let source = Source { server, api: ApiVersion::V2, patient: Some("-1".into()) };
    let since = (mode == Mode::Incremental).then_some(now);
    let key = SearchKey { source: source.clone(), query: Vec::new(), since, page_size: 50, pages_kept: false };
    let mut pull = Pull::begin(Archive::open(dir).unwrap(), source, false, now);
    let mut writer = pull.writer(Expected { kind: KIND, patient: Some("-1".into()) }, &key).unwrap();
    for page in pages {
        writer.page(page, KeepBundle::Always, |_| false).unwrap();
    }
    let pulled = Pulled {
        resource: KIND,
        mode,
        query: Vec::new(),
        cursor: Some(now),
        cursor_stays: false,
        clock: None,
        server_total: None,
        started: now,
        requests: 0,
        received: 0,
    };
    let row = pull.add(writer, pulled).unwrap().clone();
    (pull, row)
}

fn archive(claims: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    bring(dir.path(), Mode::Full, &pages(0..claims, 1)).0.commit().unwrap();
    dir
}

fn size(dir: &TempDir) -> BytesCount {
    BytesCount::new(std::fs::metadata(dir.path().join(format!("{KIND}.ndjson"))).unwrap().len())
}

/// Half a percent of the claims are new, and half a percent have changed. The file is compared, rewritten and synced.
#[divan::bench(args = CLAIMS, sample_count = 10)]
fn one_percent_of_news(bencher: Bencher<'_, '_>, claims: usize) {
    let dir = archive(claims);
    let mut news = pages(0..claims / 200, 2);
    news.extend(pages(claims..claims + claims / 200, 2));
    bencher.counter(size(&dir)).bench_local(|| {
        let (_, row) = bring(dir.path(), Mode::Incremental, &news);
        assert_eq!((row.added, row.updated), (claims as u64 / 200, claims as u64 / 200));
    });
}

/// One percent of the claims come again unchanged. The catalog shows it.
#[divan::bench(args = CLAIMS)]
fn nothing_new(bencher: Bencher<'_, '_>, claims: usize) {
    let dir = archive(claims);
    let same = pages(0..claims / 100, 1);
    bencher.counter(size(&dir)).bench_local(|| {
        let (_, row) = bring(dir.path(), Mode::Incremental, &same);
        assert_eq!((row.added, row.updated, row.unchanged), (0, 0, claims as u64));
    });
}

/// Reads the file that a full pull compares with.
#[divan::bench(args = CLAIMS, sample_count = 10)]
fn read_what_was_before(bencher: Bencher<'_, '_>, claims: usize) {
    let dir = archive(claims);
    let file = dir.path().join(format!("{KIND}.ndjson"));
    bencher.counter(size(&dir)).bench_local(|| {
        let before = PreviousIds::read(&file).unwrap();
        assert!(!before.is_first());
        before
    });
}
