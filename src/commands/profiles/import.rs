//! `bbdl profiles import`: enrollees who consented elsewhere, for example at a web portal.
//!
//! Each row is kept or refused separately. Rows are kept in batches that share their syncs: first all tokens of a
//! batch are on the disk under their names, then all profiles, and only then are the rows reported as kept. A name
//! never has half a file, and there is no profile without its tokens. If an import was killed, run it again: rows
//! that it had kept are refused because they exist already, and nothing is lost.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, stdin},
    path::Path,
    sync::OnceLock,
    time::Duration,
};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::row::{BadRow, PersonMark, RefreshTokenMark, Row};
use crate::{
    auth::store::{StoreError, StoreKind},
    cli::{ProfilesImport, SharedStateArgs},
    commands::{Context, shared_state},
    error::{Error, ErrorKind, Result},
    files::{lock::FileLock, open_files, path_text::typed, private_dir, private_file::refuse_directory},
    output::counted,
    profile::{
        Profile, ProfileName, TakenNames,
        archive_notes::{ArchiveNote, LeftBehind},
        hold,
    },
    runtime::in_parallel,
    secret::Secret,
};

/// How many rows share their syncs in the file store, if the system allows so many open files. A sync waits for the
/// whole file system.
const ROWS_A_SYNC: usize = 8000;
/// The same for other stores. They keep their records one by one, while other processes wait for the locks.
const ROWS_ELSEWHERE: usize = 400;
/// Each row keeps up to two locks open.
const LOCKS_A_ROW: usize = 2;
/// A longer line is not a row: a token has some hundred characters.
const LONGEST_LINE: u64 = 1 << 20;
/// Longer than a renewal by another process takes.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Runs the command.
///
/// # Errors
/// [`crate::error::Exit::Disk`] if the file cannot be read; if rows were refused, the gravest reason.
pub(super) fn run(context: &Context, args: &ProfilesImport, shared: &SharedStateArgs) -> Result<()> {
    if shared_state::is_named(context, shared) {
        #[cfg(feature = "postgres")]
        return super::import_shared::run(context, args, shared);
        #[cfg(not(feature = "postgres"))]
        return shared_state::none(context, shared);
    }
    let mut lines = Lines { input: open(context, &args.file)? };
    let named = context.token_store.or(context.config.token_store);
    let names = context.paths.profiles()?;
    let mut import = Import {
        context,
        replaces: args.replace,
        named,
        known: names.len(),
        taken: names.iter().cloned().collect(),
        names,
        persons: OnceLock::new(),
        seen: Seen::default(),
        summary: Summary::default(),
    };
    let at_once = if named == Some(StoreKind::File) { ROWS_A_SYNC } else { ROWS_ELSEWHERE };
    let at_once = open_files::room_for(at_once * LOCKS_A_ROW).div_ceil(LOCKS_A_ROW);
    let mut batch = Vec::new();
    for number in 1.. {
        let Some(line) = lines.next().map_err(|cause| Error::disk("read", &args.file, &cause))? else { break };
        if !line.is_blank() {
            batch.push((number, import.read(number, &line)));
        }
        if batch.len() >= at_once {
            import.keep(std::mem::take(&mut batch));
        }
    }
    import.keep(batch);
    import.summary.into_result(context)
}

/// One run of the command.
struct Import<'a> {
    context: &'a Context,
    replaces: bool,
    /// The token store that was named. Otherwise an existing profile keeps its own.
    named: Option<StoreKind>,
    /// How many profiles there are now.
    known: usize,
    /// Profiles that existed at the beginning.
    names: Vec<ProfileName>,
    /// The people of those profiles. Read when the first row has to be compared with them.
    persons: OnceLock<HashMap<PersonMark, ProfileName>>,
    taken: TakenNames,
    seen: Seen,
    summary: Summary,
}

/// The names, tokens and people in the rows so far, with their line numbers.
#[derive(Default)]
pub(super) struct Seen {
    names: HashMap<ProfileName, u64>,
    refresh_tokens: HashMap<RefreshTokenMark, u64>,
    persons: HashMap<PersonMark, u64>,
}

impl Seen {
    /// Refuses a row whose name, refresh token or person was in an earlier row. A refresh token works once: if two
    /// profiles share one, the second renewal ends the log-in of both. If a person has two log-ins with one app, the
    /// older one has ended.
    pub(super) fn check(&self, row: &Row) -> Result<(), String> {
        if let Some(earlier) = self.names.get(&row.name) {
            return Err(format!("line {earlier} has this name already"));
        }
        match row.refresh_token_mark().and_then(|mark| self.refresh_tokens.get(&mark)) {
            Some(earlier) => {
                Err(format!("line {earlier} has this refresh_token already; two profiles cannot share one"))
            }
            None => match row.person_mark().and_then(|mark| self.persons.get(&mark)) {
                Some(earlier) => Err(format!("line {earlier} is this person with this app already")),
                None => Ok(()),
            },
        }
    }

    /// Records a row that can be kept.
    pub(super) fn note(&mut self, number: u64, row: &Row) {
        self.names.insert(row.name.clone(), number);
        self.refresh_tokens.extend(row.refresh_token_mark().map(|mark| (mark, number)));
        self.persons.extend(row.person_mark().map(|mark| (mark, number)));
    }
}

/// A row that can be kept, and what is needed to keep it.
struct Pending {
    name: ProfileName,
    profile: Profile,
    tokens: Secret,
    /// The earlier profile with this name.
    before: Option<Profile>,
    _lock: FileLock,
}

/// A row, its line, and whether its tokens are stored.
type Saved<'p> = (&'p (u64, Pending), Result<(), StoreError>);

/// The result for a row: the name in it, and why it was refused.
pub(super) struct Verdict {
    pub(super) name: Option<String>,
    pub(super) refused: Option<Error>,
    /// What a person should know about a row that was kept.
    pub(super) warnings: Vec<String>,
}

impl Verdict {
    /// The row was refused for this reason.
    pub(super) fn refused(name: Option<String>, error: Error) -> Self {
        Self { name, refused: Some(error), warnings: Vec::new() }
    }

    /// The row was kept.
    pub(super) fn kept(name: &ProfileName, warnings: Vec<String>) -> Self {
        Self { name: Some(name.to_string()), refused: None, warnings }
    }
}

impl Import<'_> {
    /// Reads a row, and refuses it if it could not be kept on any disk.
    fn read(&mut self, number: u64, line: &Line) -> Result<Row, Verdict> {
        let row = line.text().map_err(|why| BadRow { name: None, why: why.to_owned() }).and_then(Row::read);
        let row = row.map_err(|BadRow { name, why }| Verdict::refused(name, bad(why)))?;
        let refuse = |error| Err(Verdict::refused(Some(row.name.to_string()), error));
        if let Err(why) = self.seen.check(&row) {
            return refuse(bad(why));
        }
        let is_there = self.taken.has(&row.name);
        if is_there && !self.replaces {
            // The existing profile may have this very token.
            self.seen.note(number, &row);
            return refuse(exists());
        }
        if let Some(other) = self.other_profile_of(&row) {
            return refuse(same_person(&other, ""));
        }
        if !is_there && let Err(why) = self.taken.take(row.name.clone()) {
            return refuse(bad(why.to_string()));
        }
        self.seen.note(number, &row);
        Ok(row)
    }

    /// Another profile with the row's person and app. Either the consent of the row has ended that profile's log-in,
    /// or both share one log-in, and then one of them loses it at a renewal.
    fn other_profile_of(&self, row: &Row) -> Option<ProfileName> {
        let persons = self.persons.get_or_init(|| {
            let profiles = self.names.iter().filter_map(|name| {
                // A profile that cannot be read is ignored here, and reported when it is used.
                let profile = Profile::load(&self.context.paths, name).ok().flatten()?;
                Some((PersonMark::of_profile(&profile)?, name.clone()))
            });
            profiles.collect()
        });
        persons.get(&row.person_mark()?).filter(|name| **name != row.name).cloned()
    }

    /// Keeps a batch, and reports the result of each row.
    fn keep(&mut self, batch: Vec<(u64, Result<Row, Verdict>)>) {
        let mut verdicts: Vec<(u64, Verdict)> = Vec::with_capacity(batch.len());
        let mut pending = Vec::new();
        let prepared = in_parallel(batch, |(number, row)| (number, row.and_then(|row| self.prepare(row))));
        for (number, row) in prepared {
            match row {
                Ok(row) => pending.push((number, row)),
                Err(verdict) => verdicts.push((number, verdict)),
            }
        }
        let stored = self.save_tokens(&pending);
        let (with_tokens, without): (Vec<_>, Vec<_>) = stored.into_iter().partition(|(_, stored)| stored.is_ok());
        for ((number, row), stored) in without {
            verdicts.push((*number, row.verdict(stored.map_err(Error::from).map(|()| Vec::new()))));
        }
        let profiles: Vec<(&ProfileName, &Profile)> =
            with_tokens.iter().map(|((_, row), _)| (&row.name, &row.profile)).collect();
        let kept = Profile::replace_many(&self.context.paths, &profiles);
        for (((number, row), _), kept) in with_tokens.iter().zip(kept) {
            self.known += usize::from(kept.is_ok() && row.before.is_none());
            verdicts.push((*number, row.verdict(kept.map(|()| self.tidy(row)))));
        }
        verdicts.sort_by_key(|(number, _)| *number);
        self.summary.tell(self.context, &verdicts);
    }

    /// Saves the tokens of rows, each in its profile's store.
    fn save_tokens<'p>(&self, rows: &'p [(u64, Pending)]) -> Vec<Saved<'p>> {
        let mut saved = Vec::with_capacity(rows.len());
        for kind in [StoreKind::Keyring, StoreKind::File, StoreKind::Command] {
            let of_kind: Vec<&(u64, Pending)> =
                rows.iter().filter(|(_, row)| row.profile.token_store == kind).collect();
            if of_kind.is_empty() {
                continue;
            }
            let store = self.context.store(kind);
            store.make_room(self.known + of_kind.len());
            let tokens: Vec<(&str, &Secret)> =
                of_kind.iter().map(|(_, row)| (row.name.as_str(), &row.tokens)).collect();
            let answers = store.save_many(&tokens);
            saved.extend(of_kind.into_iter().zip(answers));
        }
        saved
    }

    /// Takes the lock that must be held to change the profile's tokens.
    fn prepare(&self, row: Row) -> Result<Pending, Verdict> {
        let name: ProfileName = row.name.clone();
        let refuse = |error| Verdict::refused(Some(name.to_string()), error);
        let lock = hold(&self.context.paths, &name, LOCK_PATIENCE, "import").map_err(refuse)?;
        // A profile that cannot be read will be replaced.
        let before = Profile::load(&self.context.paths, &name)
            .or_else(|error| if self.replaces { Ok(None) } else { Err(error) });
        let before = before.map_err(refuse)?;
        if before.is_some() && !self.replaces {
            return Err(refuse(exists()));
        }
        let kind = self.named.or(before.as_ref().map(|profile| profile.token_store)).unwrap_or_default();
        let (profile, tokens) = (row.profile(kind, before.as_ref()), row.tokens());
        let pending = Pending { name, profile, tokens, before, _lock: lock };
        // Before the record is replaced, because only it knows these archives.
        LeftBehind::add(&self.context.paths, &pending.name, pending.left_behind())
            .map_err(|error| pending.verdict(Err(error)))?;
        Ok(pending)
    }

    /// Cleans up after a row is kept: deletes the old tokens. Returns what a person has to know.
    fn tidy(&self, row: &Pending) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(other) = row.before.as_ref().filter(|before| before.token_store != row.profile.token_store)
            && let Err(cause) = self.context.store(other.token_store).delete(row.name.as_str())
        {
            let why = Error::from(cause).message;
            warnings.push(format!("the tokens of the log-in before are still stored: {why}"));
        }
        let left: Vec<String> = row.left_behind().iter().map(|note| note.out.display().to_string()).collect();
        if !left.is_empty() {
            warnings.push(format!(
                "the log-in before may be another person's. Its archives stay, and purge still knows them: {}",
                left.join(", ")
            ));
        }
        warnings
    }
}

impl Pending {
    /// The archives of the earlier log-in that the new one does not continue.
    fn left_behind(&self) -> &[ArchiveNote] {
        match &self.before {
            Some(before) if self.profile.archives.is_empty() => &before.archives,
            _ => &[],
        }
    }

    fn verdict(&self, kept: Result<Vec<String>>) -> Verdict {
        match kept {
            Ok(warnings) => Verdict::kept(&self.name, warnings),
            Err(error) => Verdict::refused(Some(self.name.to_string()), error),
        }
    }
}

pub(super) fn bad(why: String) -> Error {
    Error::new(ErrorKind::ImportRow, why).hint("Correct this row, and import it again.")
}

/// `state` is the option for the shared state that the command has to name, if any.
pub(super) fn same_person(other: &ProfileName, state: &str) -> Error {
    bad(format!("profile \"{other}\" is this person with this app already")).hint(format!(
        "Give the row that name and add --replace, or remove the profile: bbdl profiles remove {other}{state}"
    ))
}

pub(super) fn exists() -> Error {
    bad("a profile of this name is there already".to_owned()).hint("To put the row in its place: --replace")
}

/// The results of all rows.
#[derive(Default)]
pub(super) struct Summary {
    kept: u64,
    refused: u64,
    /// The gravest reason, and the line of the first row that was refused for it.
    gravest: Option<(u64, Error)>,
}

impl Summary {
    pub(super) fn tell(&mut self, context: &Context, verdicts: &[(u64, Verdict)]) {
        let mut rows = String::new();
        for (number, verdict) in verdicts {
            let name = verdict.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            match &verdict.refused {
                None => self.kept += 1,
                Some(error) => {
                    self.refused += 1;
                    if !context.output.json() {
                        context.output.warn(format!("line {number}{name}: {}", error.message));
                    }
                    let is_graver = |it: &Error| it.exit().gravity() < error.exit().gravity();
                    if self.gravest.as_ref().is_none_or(|(_, gravest)| is_graver(gravest)) {
                        self.gravest = Some((*number, error.clone()));
                    }
                }
            }
            for warning in &verdict.warnings {
                context.output.warn(format!("line {number}{name}: {warning}"));
            }
            rows.push_str(&row_json(*number, verdict).to_string());
            rows.push('\n');
        }
        if context.output.json() && !rows.is_empty() {
            context.output.result(rows.trim_end());
        }
    }

    pub(super) fn into_result(self, context: &Context) -> Result<()> {
        let Self { kept, refused, gravest } = self;
        if !context.output.json() {
            context.output.summary(format!(
                "{} imported, {} refused",
                counted(kept, "profile"),
                counted(refused, "row")
            ));
        }
        let Some((line, gravest)) = gravest else { return Ok(()) };
        let all = kept + refused;
        let were = if all == 1 { "row was" } else { "rows were" };
        let message = format!("{refused} of {all} {were} refused. Fix line {line} first");
        // Each row is already on stderr, or with --json on stdout.
        Err(match context.output.json() {
            true => Error { message: format!("{message}: {}", gravest.message), ..gravest }.already_reported(),
            false => Error { message, ..gravest },
        })
    }
}

fn row_json(number: u64, Verdict { name, refused, warnings }: &Verdict) -> Value {
    let mut row = json!({"line": number, "name": name, "ok": refused.is_none()});
    if let Some(error) = refused {
        row["error"] = error.to_json();
    }
    if !warnings.is_empty() {
        row["warnings"] = warnings.clone().into();
    }
    row
}

pub(super) fn open(context: &Context, path: &Path) -> Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(stdin().lock()));
    }
    let file =
        refuse_directory(path).and_then(|()| File::open(path)).map_err(|cause| Error::disk("read", path, &cause))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_file() && private_dir::usable_by_others(&metadata).is_some()) {
        context.output.warn(format!(
            "others can read {0}, and it has tokens in it. To keep it to yourself: chmod 600 {0}",
            typed(path)
        ));
    }
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

/// Reads the lines of a file with secrets.
pub(super) struct Lines {
    pub(super) input: Box<dyn BufRead>,
}

/// A line, without its line break.
pub(super) struct Line(Zeroizing<Vec<u8>>);

impl Lines {
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Zeroizing::new(Vec::new());
        let read = (&mut self.input).take(LONGEST_LINE + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        if line.len() as u64 > LONGEST_LINE && !line.ends_with(b"\n") {
            self.input.skip_until(b'\n')?;
        }
        Ok(Some(Line(line)))
    }
}

impl Line {
    pub(super) fn is_blank(&self) -> bool {
        self.0.len() as u64 <= LONGEST_LINE && self.0.trim_ascii().is_empty()
    }

    pub(super) fn text(&self) -> Result<&str, &'static str> {
        if self.0.len() as u64 > LONGEST_LINE {
            return Err("it is too long");
        }
        let text = std::str::from_utf8(&self.0).map_err(|_| "it is not UTF-8")?;
        // Some editors start a file with a byte order mark.
        Ok(text.trim_start_matches('\u{feff}').trim())
    }
}
