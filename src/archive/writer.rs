//! Resources coming to rest: one a line, each once, counted and hashed as they go.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::index::{Before, for_each_line, key};
use crate::{
    durable,
    error::{Error, Exit, Result},
    fhir::{
        bundle::Bundle,
        resource::{Header, line},
    },
};

/// What a writer expects of every resource.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its `resourceType`.
    pub kind: &'static str,
    /// The Patient id it speaks of, where known.
    pub patient: Option<String>,
}

/// What was done with the resources of a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Distinct ids.
    pub count: u64,
    /// Ids not there before.
    pub added: u64,
    /// Ids with other content than before.
    pub updated: u64,
    /// Ids with the same content as before.
    pub unchanged: u64,
    /// Newest `meta.lastUpdated`.
    pub newest: Option<Timestamp>,
}

impl Tally {
    fn of(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Added => &mut self.added,
            Verdict::Updated => &mut self.updated,
            Verdict::Unchanged => &mut self.unchanged,
        }
    }
}

/// What became of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Not here before this pull.
    Added,
    /// Here before with other content.
    Updated,
    /// Here before with the same content.
    Unchanged,
}

/// A resource that is to be written.
struct Entered {
    verdict: Verdict,
    /// Where its older version stands that came earlier in this pull.
    replaces: Option<Place>,
}

/// Where a resource stands: its line in the file, and in the file of changes.
#[derive(Clone, Copy, Debug)]
struct Place {
    line: u64,
    change: Option<u64>,
}

struct Known {
    place: Place,
    verdict: Verdict,
    last_updated: Option<Timestamp>,
}

/// Decides what each resource of a pull is, by id and content.
struct Ledger {
    expected: Expected,
    before: Before,
    written: HashMap<[u8; 16], Known>,
    lines: u64,
    changes: u64,
    tally: Tally,
}

impl Ledger {
    fn new(mut expected: Expected, before: Before) -> Self {
        // A server that does not say whose token it is: what is kept, and then what comes, says it.
        expected.patient = expected.patient.or_else(|| before.patient().map(str::to_owned));
        Self { expected, before, written: HashMap::new(), lines: 0, changes: 0, tally: Tally::default() }
    }

    /// Enters a resource; `None` for one that came already and is no newer.
    fn enter(&mut self, text: &str) -> Result<Option<Entered>> {
        let header = Header::read(text).map_err(|cause| self.wrong(&cause.to_string()))?;
        if header.kind != self.expected.kind {
            return Err(self.wrong(&format!("a {}", crate::error::shown(&header.kind))));
        }
        self.belongs(header.patient.as_deref())?;
        let key = key(&header.id);
        let earlier = self.written.get(&key).map(|known| (known.place, known.verdict, known.last_updated));
        if earlier.is_some_and(|(_, _, last_updated)| last_updated >= header.last_updated) {
            return Ok(None);
        }
        if let Some((_, verdict, _)) = earlier {
            // The version of before counts for nothing any more.
            *self.tally.of(verdict) -= 1;
        } else {
            self.tally.count += 1;
        }
        let verdict = match self.before.get(&key) {
            None => Verdict::Added,
            Some(kept) if *kept == header.fingerprint(text) => Verdict::Unchanged,
            Some(_) => Verdict::Updated,
        };
        *self.tally.of(verdict) += 1;
        self.tally.newest = self.tally.newest.max(header.last_updated);
        let change = (verdict != Verdict::Unchanged).then_some(self.changes);
        let place = Place { line: self.lines, change };
        self.lines += 1;
        self.changes += u64::from(change.is_some());
        self.written.insert(key, Known { place, verdict, last_updated: header.last_updated });
        Ok(Some(Entered { verdict, replaces: earlier.map(|(place, _, _)| place) }))
    }

    /// Every resource of a pull is of one person; the first that says of whom settles it.
    fn belongs(&mut self, patient: Option<&str>) -> Result<()> {
        match (&self.expected.patient, patient) {
            (Some(wanted), Some(found)) if wanted != found => Err(Error::new(
                Exit::Data,
                "other_patient",
                format!(
                    "{}: what the server sent is of another enrollee than what is kept or was asked for",
                    self.expected.kind
                ),
            )
            .hint("Nothing was replaced. Give each enrollee an --out directory and a --profile of their own.")),
            (None, Some(found)) => {
                self.expected.patient = Some(found.to_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn wrong(&self, what: &str) -> Error {
        Error::new(Exit::Data, "answer", format!("the server sent {what} among the {} resources", self.expected.kind))
            .hint("Nothing was replaced. Run the same command again; if it stays, report it.")
    }
}

/// A resource file being written.
pub struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    ledger: Ledger,
    superseded: HashSet<u64>,
    changes: Changes,
    pages: Option<PathBuf>,
}

/// A finished resource file: synced, not yet in place.
#[derive(Debug)]
pub struct Finished {
    /// What it holds.
    pub tally: Tally,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Ids that were there before and did not come again.
    pub removed: u64,
    /// Whether a file of changed and added resources was written.
    pub has_changes: bool,
    /// The Patient id they are all of, where any of them said so.
    pub patient: Option<String>,
}

/// Resources added or changed, kept apart for whoever wants only those. Nothing on the very first pull,
/// where it would be the whole file again.
struct Changes {
    path: PathBuf,
    wanted: bool,
    out: Option<BufWriter<File>>,
    /// Lines of versions that a later page has replaced.
    superseded: HashSet<u64>,
}

impl Changes {
    /// Ends the file; says whether there is one.
    fn finish(&mut self) -> Result<bool> {
        let Some(out) = self.out.take() else { return Ok(false) };
        sync(out, &self.path)?;
        if self.superseded.is_empty() {
            return Ok(true);
        }
        let (bytes, _) = drop_lines(&self.path, &self.superseded)?;
        if bytes == 0 {
            fs::remove_file(&self.path).map_err(|cause| Error::disk("remove", &self.path, &cause))?;
        }
        Ok(bytes > 0)
    }

    fn push(&mut self, line: &str) -> Result<()> {
        if !self.wanted {
            return Ok(());
        }
        let out = match &mut self.out {
            Some(out) => out,
            None => self.out.insert(create(&self.path)?),
        };
        out.write_all(line.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|cause| Error::disk("write", &self.path, &cause))
    }
}

impl Writer {
    /// Starts a file at `path`; `changes` is where the lines added or changed since `before` go, and
    /// `pages` the directory for the Bundles themselves, if those are wanted.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub fn create(
        path: PathBuf,
        changes: PathBuf,
        expected: Expected,
        before: Before,
        pages: Option<PathBuf>,
    ) -> Result<Self> {
        let out = create(&path)?;
        if let Some(dir) = &pages {
            durable::create_private_dir(dir).map_err(|cause| Error::disk("create", dir, &cause))?;
        }
        let changes = Changes { path: changes, wanted: !before.is_first(), out: None, superseded: HashSet::new() };
        Ok(Self {
            path,
            out,
            hash: Sha256::new(),
            bytes: 0,
            ledger: Ledger::new(expected, before),
            superseded: HashSet::new(),
            changes,
            pages,
        })
    }

    /// Takes in a page: its resources, and the Bundle itself where pages are kept.
    ///
    /// # Errors
    /// [`Exit::Data`] for a resource that does not belong here, [`Exit::Disk`].
    pub fn page(&mut self, index: usize, bundle: &Bundle) -> Result<()> {
        for text in bundle.resources() {
            self.resource(text)?;
        }
        if let Some(dir) = &self.pages {
            let path = dir.join(format!("{:04}.json", index + 1));
            let mut out = create(&path)?;
            out.write_all(bundle.text().as_bytes()).map_err(|cause| Error::disk("write", &path, &cause))?;
            sync(out, &path)?;
        }
        Ok(())
    }

    fn resource(&mut self, text: &str) -> Result<()> {
        // What is compared is the line, since the line is what was kept before.
        let line = line(text);
        let Some(entered) = self.ledger.enter(&line)? else { return Ok(()) };
        if let Some(earlier) = entered.replaces {
            self.superseded.insert(earlier.line);
            self.changes.superseded.extend(earlier.change);
        }
        for part in [line.as_bytes(), b"\n"] {
            self.hash.update(part);
            self.bytes += part.len() as u64;
            self.out.write_all(part).map_err(|cause| Error::disk("write", &self.path, &cause))?;
        }
        if entered.verdict != Verdict::Unchanged {
            self.changes.push(&line)?;
        }
        Ok(())
    }

    /// Resources kept so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ledger.tally.count
    }

    /// Ends the file: everything is on the disk when this returns. `previous` is the file this one will
    /// take the place of, and `removed` where the ids go that it no longer has.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub fn finish(mut self, previous: &Path, removed: &Path) -> Result<Finished> {
        sync(self.out, &self.path)?;
        if !self.superseded.is_empty() {
            (self.bytes, self.hash) = drop_lines(&self.path, &self.superseded)?;
        }
        let has_changes = self.changes.finish()?;
        let removed = if self.changes.wanted { note_removed(previous, removed, &self.ledger)? } else { 0 };
        if let Some(dir) = &self.pages {
            durable::sync_dir(dir).map_err(|cause| Error::disk("sync", dir, &cause))?;
        }
        Ok(Finished {
            patient: self.ledger.expected.patient,
            tally: self.ledger.tally,
            bytes: self.bytes,
            sha256: hex(self.hash),
            removed,
            has_changes,
        })
    }
}

/// Resources on their way to a pipe: each once, nothing kept but ids.
pub struct Pipe<W> {
    out: W,
    ledger: Ledger,
}

impl<W: Write> Pipe<W> {
    /// Writes to `out`.
    pub fn new(out: W, expected: Expected) -> Self {
        Self { out, ledger: Ledger::new(expected, Before::nothing()) }
    }

    /// Writes the resources of a page.
    ///
    /// # Errors
    /// [`Exit::Data`] for a resource that does not belong here, [`Exit::Disk`] when the reader is gone.
    pub fn page(&mut self, bundle: &Bundle) -> Result<()> {
        for text in bundle.resources() {
            let line = line(text);
            if self.ledger.enter(&line)?.is_some() {
                self.out
                    .write_all(line.as_bytes())
                    .and_then(|()| self.out.write_all(b"\n"))
                    .map_err(|cause| pipe(&cause))?;
            }
        }
        self.out.flush().map_err(|cause| pipe(&cause))
    }

    /// What was written.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.ledger.tally
    }
}

fn pipe(cause: &io::Error) -> Error {
    let message = match cause.kind() {
        io::ErrorKind::BrokenPipe => "the reader of stdout closed it before everything was written".to_owned(),
        _ => format!("cannot write to stdout: {cause}"),
    };
    Error::new(Exit::Disk, "stdout", message).hint("What was written so far is not the whole answer.")
}

/// A new private file, whose directory is made where needed.
fn create(path: &Path) -> Result<BufWriter<File>> {
    if let Some(parent) = path.parent() {
        durable::create_private_dir(parent).map_err(|cause| Error::disk("create", parent, &cause))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|cause| Error::disk("create", path, &cause))?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

fn sync(out: BufWriter<File>, path: &Path) -> Result<()> {
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .map_err(|cause| Error::disk("write", path, &cause))
}

/// Takes lines out of a file (a resource came again in a newer version on a later page). Rare: the
/// whole file is copied.
fn drop_lines(path: &Path, superseded: &HashSet<u64>) -> Result<(u64, Sha256)> {
    let kept = path.with_extension("kept");
    let mut out = create(&kept)?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut reader = BufReader::new(File::open(path).map_err(|cause| Error::disk("read", path, &cause))?);
    let mut line = Vec::new();
    for number in 0.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|cause| Error::disk("read", path, &cause))? == 0 {
            break;
        }
        if !superseded.contains(&number) {
            hash.update(&line);
            bytes += line.len() as u64;
            out.write_all(&line).map_err(|cause| Error::disk("write", &kept, &cause))?;
        }
    }
    sync(out, &kept)?;
    fs::rename(&kept, path).map_err(|cause| Error::disk("write", path, &cause))?;
    Ok((bytes, hash))
}

/// Writes the ids of the previous file that this pull did not bring, one `{"resourceType","id"}` a line.
fn note_removed(previous: &Path, removed: &Path, ledger: &Ledger) -> Result<u64> {
    let mut count = 0;
    let mut out = None;
    for_each_line(previous, |_, text| {
        let Ok(header) = Header::read(text) else { return Ok(()) };
        if ledger.written.contains_key(&key(&header.id)) {
            return Ok(());
        }
        count += 1;
        let out = match &mut out {
            Some(out) => out,
            None => out.insert(create(removed)?),
        };
        let line = serde_json::json!({"resourceType": header.kind, "id": header.id});
        writeln!(out, "{line}").map_err(|cause| Error::disk("write", removed, &cause))
    })?;
    out.map_or(Ok(()), |out| sync(out, removed))?;
    Ok(count)
}

/// A finished hash as hexadecimal digits.
#[must_use]
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn write(dir: &Path, name: &str, before: Before, pages: &[Bundle]) -> Finished {
        let mut writer = Writer::create(dir.join(name), dir.join("changes"), expected(), before, None).unwrap();
        for (index, page) in pages.iter().enumerate() {
            writer.page(index, page).unwrap();
        }
        writer.finish(&dir.join("old"), &dir.join("removed")).unwrap()
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
        let finished = write(dir.path(), "new", Before::nothing(), &pages);
        let text = fs::read_to_string(dir.path().join("new")).unwrap();
        assert_eq!(text, format!("{}\n{}\n{}\n", claim("b", LATE, 1), claim("a", LATE, 2), claim("c", EARLY, 1)));
        assert_eq!(finished.tally.count, 3);
        assert_eq!(finished.bytes, text.len() as u64);
        assert_eq!(finished.sha256, hex(Sha256::new_with_prefix(&text)));
        assert_eq!(finished.tally.newest, LATE.parse().ok());
    }

    #[test]
    fn changes_are_told_from_what_stayed() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            "old",
            Before::nothing(),
            &[page(&[claim("a", EARLY, 1), claim("b", EARLY, 1), claim("gone", EARLY, 1)])],
        );
        assert!(!dir.path().join("changes").exists());
        let before = Before::read(&dir.path().join("old")).unwrap();
        let finished = write(
            dir.path(),
            "new",
            before,
            &[page(&[
                claim("a", EARLY, 1).replace(r#""created":"2026-01"#, r#""created":"2026-09"#),
                claim("b", LATE, 2),
                claim("c", LATE, 1),
            ])],
        );
        let Tally { added, updated, unchanged, .. } = finished.tally;
        assert_eq!((added, updated, unchanged, finished.removed), (1, 1, 1, 1));
        let changes = fs::read_to_string(dir.path().join("changes")).unwrap();
        assert_eq!(changes, format!("{}\n{}\n", claim("b", LATE, 2), claim("c", LATE, 1)));
        let removed = fs::read_to_string(dir.path().join("removed")).unwrap();
        assert_eq!(removed, "{\"id\":\"gone\",\"resourceType\":\"ExplanationOfBenefit\"}\n");
    }

    /// The first copy equals what was kept, a later page has a newer one: it is an update, and the line of
    /// the newer one is what stays.
    #[test]
    fn a_newer_version_on_a_later_page_is_never_lost() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "old", Before::nothing(), &[page(&[claim("a", EARLY, 1), claim("b", EARLY, 1)])]);
        let before = || Before::read(&dir.path().join("old")).unwrap();
        let pages = [page(&[claim("a", EARLY, 1), claim("b", EARLY, 1)]), page(&[claim("a", LATE, 2)])];
        let finished = write(dir.path(), "new", before(), &pages);
        let Tally { count, added, updated, unchanged, .. } = finished.tally;
        assert_eq!((count, added, updated, unchanged), (2, 0, 1, 1));
        let new = fs::read_to_string(dir.path().join("new")).unwrap();
        assert_eq!(new, format!("{}\n{}\n", claim("b", EARLY, 1), claim("a", LATE, 2)));
        assert_eq!(fs::read_to_string(dir.path().join("changes")).unwrap(), format!("{}\n", claim("a", LATE, 2)));
        // Changed twice: `changes/` has the last version only.
        let pages =
            [page(&[claim("a", LATE, 2)]), page(&[claim("a", "2026-03-01T00:00:00Z", 3), claim("b", EARLY, 1)])];
        write(dir.path(), "new", before(), &pages);
        assert_eq!(lines_of(&dir.path().join("changes")), [claim("a", "2026-03-01T00:00:00Z", 3)]);
    }

    fn lines_of(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_resource_says_whose_a_pull_is_when_nobody_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let of = |id: &str, person: &str| {
            format!(
                r#"{{"resourceType":"ExplanationOfBenefit","id":"{id}","patient":{{"reference":"Patient/{person}"}}}}"#
            )
        };
        let unknown = Expected { kind: "ExplanationOfBenefit", patient: None };
        let start = |before| {
            Writer::create(dir.path().join("new"), dir.path().join("c"), unknown.clone(), before, None).unwrap()
        };
        let mut writer = start(Before::nothing());
        writer.page(0, &page(&[of("a", "-1"), of("b", "-1")])).unwrap();
        assert_eq!(writer.page(1, &page(&[of("c", "-2")])).unwrap_err().kind, "other_patient");
        // And so does what is kept from before.
        fs::write(dir.path().join("old"), of("a", "-1") + "\n").unwrap();
        let mut writer = start(Before::read(&dir.path().join("old")).unwrap());
        assert_eq!(writer.page(0, &page(&[of("c", "-2")])).unwrap_err().kind, "other_patient");
    }

    #[test]
    fn what_does_not_belong_ends_the_pull() {
        let dir = tempfile::tempdir().unwrap();
        for stranger in [
            r#"{"resourceType":"Patient","id":"x"}"#,
            r#"{"resourceType":"ExplanationOfBenefit"}"#,
            r#"{"resourceType":"ExplanationOfBenefit","id":"x","patient":{"reference":"Patient/-2"}}"#,
        ] {
            let mut writer =
                Writer::create(dir.path().join("x"), dir.path().join("c"), expected(), Before::nothing(), None)
                    .unwrap();
            let error = writer.page(0, &page(&[stranger.to_owned()])).unwrap_err();
            assert_eq!(error.exit, Exit::Data, "{stranger}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "new", Before::nothing(), &[page(&[claim("a", EARLY, 1)])]);
        let mode = fs::metadata(dir.path().join("new")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
