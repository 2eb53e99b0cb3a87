use super::*;
use crate::{
    archive::{changes::write_removed, manifest::Source},
    error::Exit,
};

fn claim(id: &str, updated: &str, value: u32) -> String {
    format!(
        r#"{{"resourceType":"ExplanationOfBenefit","id":"{id}","meta":{{"lastUpdated":"{updated}"}},"created":"{updated}","v":{value}}}"#
    )
}

fn page(claims: &[String]) -> Bundle {
    let entries: Vec<String> = claims.iter().map(|claim| format!(r#"{{"resource":{claim}}}"#)).collect();
    Bundle::split(format!(r#"{{"resourceType":"Bundle","entry":[{}]}}"#, entries.join(","))).unwrap()
}

fn expected() -> Expected {
    Expected { kind: "ExplanationOfBenefit", patient: Some("-1".into()) }
}

fn files(dir: &Path) -> Files {
    Files::of(dir, "ExplanationOfBenefit")
}

fn search_key() -> SearchKey {
    let server = "https://x.example".parse().unwrap();
    let source = Source { server, api: crate::api_version::ApiVersion::V2, patient: Some("-1".into()) };
    SearchKey { source, query: Vec::new(), since: None, page_size: 50, pages_kept: false }
}

fn begin(dir: &Path, expected: Expected, before: PreviousIds) -> Writer {
    Writer::begin(files(dir), &search_key(), expected, before).unwrap()
}

/// Takes a page. Resources that came before count as repeats.
fn take(writer: &mut Writer, page: &Bundle) -> Result<News> {
    writer.page(page, KeepBundle::Always, |_| false)
}

/// Writes the file `new` into the directory, and its changes into `changes`.
fn write(dir: &Path, before: PreviousIds, pages: &[Bundle]) -> Finished {
    let mut writer = begin(dir, expected(), before);
    for page in pages {
        take(&mut writer, page).unwrap();
    }
    let finished = writer.finish().unwrap();
    fs::rename(files(dir).lines(), dir.join("new")).unwrap();
    let _ = fs::rename(files(dir).changes(), dir.join("changes"));
    finished
}

const EARLY: &str = "2026-01-01T00:00:00Z";
const LATE: &str = "2026-02-01T00:00:00Z";

#[test]
fn a_claim_on_two_pages_is_written_once_and_the_newer_version_stays() {
    let dir = tempfile::tempdir().unwrap();
    let pages = [
        page(&[claim("a", EARLY, 1), claim("b", LATE, 1)]),
        page(&[claim("a", EARLY, 1), claim("b", EARLY, 0), claim("a", LATE, 2), claim("c", EARLY, 1)]),
    ];
    let finished = write(dir.path(), PreviousIds::nothing(), &pages);
    let text = fs::read_to_string(dir.path().join("new")).unwrap();
    assert_eq!(text, format!("{}\n{}\n{}\n", claim("b", LATE, 1), claim("a", LATE, 2), claim("c", EARLY, 1)));
    assert_eq!(finished.tally.count, 3);
    assert_eq!(finished.bytes, text.len() as u64);
    assert_eq!(finished.sha256, hex_digest(Sha256::new_with_prefix(&text)));
    assert_eq!(finished.tally.newest, LATE.parse().ok());
}

#[test]
fn changed_claims_are_told_from_unchanged_ones() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        PreviousIds::nothing(),
        &[page(&[claim("a", EARLY, 1), claim("b", EARLY, 1), claim("gone", EARLY, 1)])],
    );
    fs::rename(dir.path().join("new"), dir.path().join("old")).unwrap();
    assert!(!dir.path().join("changes").exists());
    let before = PreviousIds::read(&dir.path().join("old")).unwrap();
    let finished = write(
        dir.path(),
        before,
        &[page(&[
            claim("a", EARLY, 1).replace(r#""created":"2026-01"#, r#""created":"2026-09"#),
            claim("b", LATE, 2),
            claim("c", LATE, 1),
        ])],
    );
    let Tally { added, updated, unchanged, .. } = finished.tally;
    let removed = write_removed(&dir.path().join("old"), &finished.seen, &dir.path().join("removed")).unwrap();
    assert_eq!((added, updated, unchanged, removed), (1, 1, 1, 1));
    let changes = fs::read_to_string(dir.path().join("changes")).unwrap();
    assert_eq!(changes, format!("{}\n{}\n", claim("b", LATE, 2), claim("c", LATE, 1)));
    let removed = fs::read_to_string(dir.path().join("removed")).unwrap();
    assert_eq!(removed, "{\"id\":\"gone\",\"resourceType\":\"ExplanationOfBenefit\"}\n");
}

/// The first copy equals what was kept. A later page has a newer one: it counts as an update, and its line is the one
/// that stays.
#[test]
fn a_newer_version_on_a_later_page_is_never_lost() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), PreviousIds::nothing(), &[page(&[claim("a", EARLY, 1), claim("b", EARLY, 1)])]);
    fs::rename(dir.path().join("new"), dir.path().join("old")).unwrap();
    let before = || PreviousIds::read(&dir.path().join("old")).unwrap();
    let pages = [page(&[claim("a", EARLY, 1), claim("b", EARLY, 1)]), page(&[claim("a", LATE, 2)])];
    let finished = write(dir.path(), before(), &pages);
    let Tally { count, added, updated, unchanged, .. } = finished.tally;
    assert_eq!((count, added, updated, unchanged), (2, 0, 1, 1));
    let new = fs::read_to_string(dir.path().join("new")).unwrap();
    assert_eq!(new, format!("{}\n{}\n", claim("b", EARLY, 1), claim("a", LATE, 2)));
    assert_eq!(fs::read_to_string(dir.path().join("changes")).unwrap(), format!("{}\n", claim("a", LATE, 2)));
    // It changed twice: `changes/` has only the last version.
    let pages = [page(&[claim("a", LATE, 2)]), page(&[claim("a", "2026-03-01T00:00:00Z", 3), claim("b", EARLY, 1)])];
    write(dir.path(), before(), &pages);
    assert_eq!(lines_of(&dir.path().join("changes")), [claim("a", "2026-03-01T00:00:00Z", 3)]);
}

fn lines_of(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn without_a_patient_id_the_first_resource_names_the_enrollee() {
    let dir = tempfile::tempdir().unwrap();
    let of = |id: &str, person: &str| {
        format!(r#"{{"resourceType":"ExplanationOfBenefit","id":"{id}","patient":{{"reference":"Patient/{person}"}}}}"#)
    };
    let unknown = Expected { kind: "ExplanationOfBenefit", patient: None };
    let start = |before| begin(dir.path(), unknown.clone(), before);
    let mut writer = start(PreviousIds::nothing());
    take(&mut writer, &page(&[of("a", "-1"), of("b", "-1")])).unwrap();
    assert_eq!(take(&mut writer, &page(&[of("c", "-2")])).unwrap_err().kind, crate::error::ErrorKind::OtherEnrollee);
    // The same is true for what an earlier pull kept.
    fs::write(dir.path().join("old"), of("a", "-1") + "\n").unwrap();
    let mut writer = start(PreviousIds::read(&dir.path().join("old")).unwrap());
    assert_eq!(take(&mut writer, &page(&[of("c", "-2")])).unwrap_err().kind, crate::error::ErrorKind::OtherEnrollee);
}

#[test]
fn a_resource_of_another_enrollee_ends_the_pull() {
    let dir = tempfile::tempdir().unwrap();
    for stranger in [
        r#"{"resourceType":"Patient","id":"x"}"#,
        r#"{"resourceType":"ExplanationOfBenefit"}"#,
        r#"{"resourceType":"ExplanationOfBenefit","id":"x","patient":{"reference":"Patient/-2"}}"#,
    ] {
        let mut writer = begin(dir.path(), expected(), PreviousIds::nothing());
        let error = take(&mut writer, &page(&[stranger.to_owned()])).unwrap_err();
        assert_eq!(error.exit(), Exit::Data, "{stranger}");
    }
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), PreviousIds::nothing(), &[page(&[claim("a", EARLY, 1)])]);
    let mode = fs::metadata(dir.path().join("new")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Read {
    pages: usize,
}

impl Progress for Read {
    fn pages(&self) -> usize {
        self.pages
    }

    fn has_next(&self) -> bool {
        true
    }
}

/// A pull that stops after its second page, in the middle of its third.
fn cut_short(dir: &Path) {
    let mut writer = begin(dir, expected(), PreviousIds::nothing());
    let pages =
        [page(&[claim("a", EARLY, 1), claim("b", EARLY, 1)]), page(&[claim("b", LATE, 2), claim("c", EARLY, 1)])];
    for (index, page) in pages.iter().enumerate() {
        take(&mut writer, page).unwrap();
        writer.reached(&Read { pages: index + 1 }).unwrap();
    }
    take(&mut writer, &page(&[claim("half", EARLY, 1)])).unwrap();
    writer.out.flush().unwrap();
}

#[test]
fn a_continued_writer_writes_what_an_uninterrupted_one_does() {
    let dir = tempfile::tempdir().unwrap();
    cut_short(dir.path());
    let before = || Ok(PreviousIds::nothing());
    let resumed = Writer::resume::<Read>(files(dir.path()), &search_key(), expected(), before).unwrap().unwrap();
    let mut writer = resumed.writer;
    assert_eq!((resumed.checkpoint.pages, writer.dedup().tally().count), (2, 3));
    take(&mut writer, &page(&[claim("c", LATE, 3), claim("d", EARLY, 1)])).unwrap();
    let finished = writer.finish().unwrap();
    let text = fs::read_to_string(files(dir.path()).lines()).unwrap();
    let expected = [claim("a", EARLY, 1), claim("b", LATE, 2), claim("c", LATE, 3), claim("d", EARLY, 1)];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert_eq!((finished.tally.count, finished.sha256), (4, hex_digest(Sha256::new_with_prefix(&text))));
}
