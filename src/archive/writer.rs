//! Resources coming to rest: one a line, each once, counted and hashed as they go.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    index::{Before, Fingerprint, IdKey, each_line, for_each_line, key},
    partial::{Files, Journal, Left, Question, Reached},
};
use crate::{
    durable,
    error::{Error, Exit, Result},
    fhir::{
        bundle::Bundle,
        resource::{Header, line},
    },
};

/// What is gathered before it goes to a file.
const BUFFER: usize = 1 << 18;

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
    key: IdKey,
    fingerprint: Fingerprint,
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
    written: HashMap<IdKey, Known>,
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
        let fingerprint = header.fingerprint(text);
        let verdict = match self.before.get(&key) {
            None => Verdict::Added,
            Some(kept) if *kept == fingerprint => Verdict::Unchanged,
            Some(_) => Verdict::Updated,
        };
        *self.tally.of(verdict) += 1;
        self.tally.newest = self.tally.newest.max(header.last_updated);
        let change = (verdict != Verdict::Unchanged).then_some(self.changes);
        let place = Place { line: self.lines, change };
        self.lines += 1;
        self.changes += u64::from(change.is_some());
        self.written.insert(key, Known { place, verdict, last_updated: header.last_updated });
        Ok(Some(Entered { key, fingerprint, verdict, replaces: earlier.map(|(place, _, _)| place) }))
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
    files: Files,
    journal: Journal,
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    ledger: Ledger,
    superseded: HashSet<u64>,
    changes: Changes,
    pages_kept: bool,
    again: Option<Again>,
}

/// A page that came before the pull was cut short, and comes again to show that the set is the same.
struct Again {
    index: usize,
    brought: Vec<(IdKey, Fingerprint)>,
}

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the file.
    Kept,
    /// It came before, in other words: the pages of before do not fit what the server has now.
    Shifted,
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
    /// Whether a file of changed and added resources was written.
    pub has_changes: bool,
    /// The Patient id they are all of, where any of them said so.
    pub patient: Option<String>,
    /// Every id it holds.
    pub ids: HashSet<IdKey>,
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
    fn new(path: PathBuf, wanted: bool) -> Self {
        Self { path, wanted, out: None, superseded: HashSet::new() }
    }

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
    /// Begins the file of the resource type that `expected` names, as an answer to `question`. What was
    /// under way of it is forgotten.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub(super) fn begin(
        files: Files,
        question: &Question,
        expected: Expected,
        before: Before,
        now: Timestamp,
    ) -> Result<Self> {
        files.clear()?;
        let out = create(&files.lines())?;
        if question.pages_kept {
            let pages = files.pages();
            durable::create_private_dir(&pages).map_err(|cause| Error::disk("create", &pages, &cause))?;
        }
        let journal = Journal::begin(&files, question, now)?;
        Ok(Self::new(files, journal, out, expected, before, question.pages_kept))
    }

    fn new(
        files: Files,
        journal: Journal,
        out: BufWriter<File>,
        expected: Expected,
        before: Before,
        pages_kept: bool,
    ) -> Self {
        let changes = Changes::new(files.changes(), !before.is_first());
        Self {
            files,
            journal,
            out,
            hash: Sha256::new(),
            bytes: 0,
            ledger: Ledger::new(expected, before),
            superseded: HashSet::new(),
            changes,
            pages_kept,
            again: None,
        }
    }

    /// Goes on with what an earlier run has left of the same question; `None` where there is nothing.
    ///
    /// # Errors
    /// [`Exit::Disk`], and [`Exit::Data`] for lines that do not belong here.
    pub(super) fn resume(
        files: Files,
        question: &Question,
        expected: Expected,
        before: Before,
        now: Timestamp,
    ) -> Result<Option<(Self, Reached)>> {
        let Some(Left { reached, bytes, beyond, journal }) = Left::find(&files, question, now)? else {
            return Ok(None);
        };
        if question.pages_kept && !have_pages(&files.pages(), reached.pages) {
            return Ok(None);
        }
        let path = files.lines();
        let wrong = |cause: io::Error| Error::disk("open", &path, &cause);
        let again = match beyond {
            Some(beyond) => Some(Again { index: reached.pages, brought: brought(&path, bytes, beyond)? }),
            None => None,
        };
        let file = OpenOptions::new().append(true).open(&path).map_err(wrong)?;
        file.set_len(bytes).map_err(wrong)?;
        let out = BufWriter::with_capacity(BUFFER, file);
        let mut writer = Self::new(files, journal, out, expected, before, question.pages_kept);
        for_each_line(&path, |_, line| {
            let Some(entered) = writer.ledger.enter(line)? else { return Ok(()) };
            writer.count(line, &entered)
        })?;
        writer.again = again;
        Ok(Some((writer, reached)))
    }

    /// Takes in a page: its resources, and the Bundle itself where pages are kept.
    ///
    /// # Errors
    /// [`Exit::Data`] for a resource that does not belong here, [`Exit::Disk`].
    pub fn page(&mut self, index: usize, bundle: &Bundle) -> Result<Taken> {
        let again = self.again.take().filter(|again| again.index == index);
        let mut brought = Vec::new();
        for text in bundle.resources() {
            let entered = self.resource(text)?;
            brought.extend(entered.filter(|_| again.is_some()).map(|entered| (entered.key, entered.fingerprint)));
        }
        if again.is_some_and(|again| again.brought != brought) {
            return Ok(Taken::Shifted);
        }
        if self.pages_kept {
            let path = self.files.pages().join(page_name(index));
            let mut out = create(&path)?;
            out.write_all(bundle.text().as_bytes()).map_err(|cause| Error::disk("write", &path, &cause))?;
            sync(out, &path)?;
        }
        Ok(Taken::Kept)
    }

    /// Notes that everything up to here is in the file, and where the search goes on.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub fn reached(&mut self, reached: &Reached) -> Result<()> {
        self.out.flush().map_err(|cause| Error::disk("write", &self.files.lines(), &cause))?;
        self.journal.mark(self.bytes, &self.hash, reached)
    }

    fn resource(&mut self, text: &str) -> Result<Option<Entered>> {
        // What is compared is the line, since the line is what was kept before.
        let line = line(text);
        let Some(entered) = self.ledger.enter(&line)? else { return Ok(None) };
        self.out
            .write_all(line.as_bytes())
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(|cause| Error::disk("write", &self.files.lines(), &cause))?;
        self.count(&line, &entered)?;
        Ok(Some(entered))
    }

    /// Reckons with a line that is in the file.
    fn count(&mut self, line: &str, entered: &Entered) -> Result<()> {
        if let Some(earlier) = entered.replaces {
            self.superseded.insert(earlier.line);
            self.changes.superseded.extend(earlier.change);
        }
        for part in [line.as_bytes(), b"\n"] {
            self.hash.update(part);
            self.bytes += part.len() as u64;
        }
        if entered.verdict == Verdict::Unchanged { Ok(()) } else { self.changes.push(line) }
    }

    /// Resources kept so far.
    #[must_use]
    pub fn distinct(&self) -> u64 {
        self.ledger.tally.count
    }

    /// Ends the file: everything is on the disk when this returns.
    ///
    /// # Errors
    /// [`Exit::Disk`].
    pub(super) fn finish(mut self) -> Result<Finished> {
        let path = self.files.lines();
        sync(self.out, &path)?;
        if !self.superseded.is_empty() {
            (self.bytes, self.hash) = drop_lines(&path, &self.superseded)?;
        }
        let has_changes = self.changes.finish()?;
        if self.pages_kept {
            let pages = self.files.pages();
            durable::sync_dir(&pages).map_err(|cause| Error::disk("sync", &pages, &cause))?;
        }
        Ok(Finished {
            patient: self.ledger.expected.patient,
            tally: self.ledger.tally,
            bytes: self.bytes,
            sha256: hex(self.hash),
            has_changes,
            ids: self.ledger.written.into_keys().collect(),
        })
    }
}

/// The name of the file that keeps the Bundle of a page, `index` from 0.
pub(super) fn page_name(index: usize) -> String {
    format!("{:04}.json", index + 1)
}

/// Whether the Bundles of the first `number` pages are there; what is there beyond them goes.
fn have_pages(dir: &Path, number: usize) -> bool {
    let beyond = (number..).map(|index| dir.join(page_name(index))).take_while(|path| path.exists());
    beyond.for_each(|path| drop(fs::remove_file(path)));
    (0..number).all(|index| dir.join(page_name(index)).exists())
}

/// What the lines between two places of a file are.
fn brought(path: &Path, from: u64, to: u64) -> Result<Vec<(IdKey, Fingerprint)>> {
    let wrong = |cause: io::Error| Error::disk("read", path, &cause);
    let mut file = File::open(path).map_err(wrong)?;
    file.seek(SeekFrom::Start(from)).map_err(wrong)?;
    let mut text = String::new();
    file.take(to.saturating_sub(from)).read_to_string(&mut text).map_err(wrong)?;
    let headers = text.lines().filter_map(|line| Some((line, Header::read(line).ok()?)));
    Ok(headers.map(|(line, header)| (key(&header.id), header.fingerprint(line))).collect())
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
pub(super) fn create(path: &Path) -> Result<BufWriter<File>> {
    if let Some(parent) = path.parent() {
        durable::create_private_dir(parent).map_err(|cause| Error::disk("create", parent, &cause))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|cause| Error::disk("create", path, &cause))?;
    Ok(BufWriter::with_capacity(BUFFER, file))
}

pub(super) fn sync(out: BufWriter<File>, path: &Path) -> Result<()> {
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

/// Writes the ids of the file at `previous` that are not among `ids`, one `{"resourceType","id"}` a line.
pub(super) fn note_removed(previous: &Path, ids: &HashSet<IdKey>, removed: &Path) -> Result<u64> {
    let mut count = 0;
    let mut out = None;
    // A full pull is also how a damaged file is healed: what cannot be read there is not removed by the server.
    each_line(previous, |_, text| {
        let Some(Ok(header)) = text.map(Header::read) else { return Ok(()) };
        if ids.contains(&key(&header.id)) {
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
    use super::{super::manifest::Source, *};

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

    fn question() -> Question {
        let server = "https://x.example".parse().unwrap();
        let source = Source { server, api: crate::api::server::ApiVersion::V2, patient: Some("-1".into()) };
        Question { source, query: Vec::new(), since: None, page_size: 50, pages_kept: false }
    }

    fn begin(dir: &Path, expected: Expected, before: Before) -> Writer {
        Writer::begin(files(dir), &question(), expected, before, Timestamp::UNIX_EPOCH).unwrap()
    }

    /// Writes a file; it is `new` in the directory then, and what it changed `changes`.
    fn write(dir: &Path, before: Before, pages: &[Bundle]) -> Finished {
        let mut writer = begin(dir, expected(), before);
        for (index, page) in pages.iter().enumerate() {
            assert_eq!(writer.page(index, page).unwrap(), Taken::Kept);
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
        let finished = write(dir.path(), Before::nothing(), &pages);
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
            Before::nothing(),
            &[page(&[claim("a", EARLY, 1), claim("b", EARLY, 1), claim("gone", EARLY, 1)])],
        );
        fs::rename(dir.path().join("new"), dir.path().join("old")).unwrap();
        assert!(!dir.path().join("changes").exists());
        let before = Before::read(&dir.path().join("old")).unwrap();
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
        let removed = note_removed(&dir.path().join("old"), &finished.ids, &dir.path().join("removed")).unwrap();
        assert_eq!((added, updated, unchanged, removed), (1, 1, 1, 1));
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
        write(dir.path(), Before::nothing(), &[page(&[claim("a", EARLY, 1), claim("b", EARLY, 1)])]);
        fs::rename(dir.path().join("new"), dir.path().join("old")).unwrap();
        let before = || Before::read(&dir.path().join("old")).unwrap();
        let pages = [page(&[claim("a", EARLY, 1), claim("b", EARLY, 1)]), page(&[claim("a", LATE, 2)])];
        let finished = write(dir.path(), before(), &pages);
        let Tally { count, added, updated, unchanged, .. } = finished.tally;
        assert_eq!((count, added, updated, unchanged), (2, 0, 1, 1));
        let new = fs::read_to_string(dir.path().join("new")).unwrap();
        assert_eq!(new, format!("{}\n{}\n", claim("b", EARLY, 1), claim("a", LATE, 2)));
        assert_eq!(fs::read_to_string(dir.path().join("changes")).unwrap(), format!("{}\n", claim("a", LATE, 2)));
        // Changed twice: `changes/` has the last version only.
        let pages =
            [page(&[claim("a", LATE, 2)]), page(&[claim("a", "2026-03-01T00:00:00Z", 3), claim("b", EARLY, 1)])];
        write(dir.path(), before(), &pages);
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
        let start = |before| begin(dir.path(), unknown.clone(), before);
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
            let mut writer = begin(dir.path(), expected(), Before::nothing());
            let error = writer.page(0, &page(&[stranger.to_owned()])).unwrap_err();
            assert_eq!(error.exit, Exit::Data, "{stranger}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), Before::nothing(), &[page(&[claim("a", EARLY, 1)])]);
        let mode = fs::metadata(dir.path().join("new")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    fn reached(pages: usize, total: Option<u64>) -> Reached {
        Reached { pages, next: Some(format!("/next?page={pages}")), total, cursor: None }
    }

    /// A pull that stops after its second page, in the middle of its third.
    fn cut_short(dir: &Path, total: Option<u64>) {
        let mut writer = begin(dir, expected(), Before::nothing());
        let pages =
            [page(&[claim("a", EARLY, 1), claim("b", EARLY, 1)]), page(&[claim("b", LATE, 2), claim("c", EARLY, 1)])];
        for (index, page) in pages.iter().enumerate() {
            writer.page(index, page).unwrap();
            writer.reached(&reached(index + 1, total)).unwrap();
        }
        writer.page(2, &page(&[claim("half", EARLY, 1)])).unwrap();
        writer.out.flush().unwrap();
    }

    fn resume(dir: &Path) -> (Writer, Reached) {
        let now = Timestamp::UNIX_EPOCH;
        Writer::resume(files(dir), &question(), expected(), Before::nothing(), now).unwrap().unwrap()
    }

    #[test]
    fn a_writer_goes_on_as_if_it_had_never_stopped() {
        let dir = tempfile::tempdir().unwrap();
        cut_short(dir.path(), Some(5));
        let (mut writer, reached) = resume(dir.path());
        assert_eq!((reached.pages, writer.distinct()), (2, 3));
        writer.page(2, &page(&[claim("c", LATE, 3), claim("d", EARLY, 1)])).unwrap();
        let finished = writer.finish().unwrap();
        let text = fs::read_to_string(files(dir.path()).lines()).unwrap();
        let expected = [claim("a", EARLY, 1), claim("b", LATE, 2), claim("c", LATE, 3), claim("d", EARLY, 1)];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert_eq!((finished.tally.count, finished.sha256), (4, hex(Sha256::new_with_prefix(&text))));
    }

    #[test]
    fn without_a_total_the_last_page_has_to_come_again_as_it_was() {
        let again = [claim("b", LATE, 2), claim("c", EARLY, 1)];
        for (claims, taken) in [
            (again.to_vec(), Taken::Kept),
            (again.map(|claim| claim.replace(r#""created":"2026"#, r#""created":"2027"#)).to_vec(), Taken::Kept),
            (vec![claim("b", LATE, 2), claim("c", LATE, 2)], Taken::Shifted),
            (vec![claim("x", EARLY, 1), claim("b", LATE, 2)], Taken::Shifted),
            (vec![claim("b", LATE, 2)], Taken::Shifted),
        ] {
            let dir = tempfile::tempdir().unwrap();
            cut_short(dir.path(), None);
            let (mut writer, reached) = resume(dir.path());
            assert_eq!((reached.pages, writer.distinct()), (1, 2));
            assert_eq!(writer.page(1, &page(&claims)).unwrap(), taken, "{claims:?}");
        }
    }
}
