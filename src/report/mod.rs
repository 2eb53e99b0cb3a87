//! The report: one self-contained page that opens in any browser and loads nothing from the network.

mod billable;
mod claims;
mod cover;
mod help;
mod html;
mod preventive;
mod redact;
mod sums;
mod temp_spool;
mod whose;
mod words;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashSet},
    fmt::Write as _,
    io::{self, Write},
    ops::RangeInclusive,
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use html::Escaped;
use jiff::civil::Date;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use redact::Aliases;
use sha2::{Digest, Sha256};
use sums::Sums;
use temp_spool::{Span, Spooled, TempSpool};
use whose::Whose;
use words::{counted, date};

use crate::{
    archive::{
        id_hash::{IdHash, id_hash},
        lines::each_line,
        manifest::Manifest,
        pull_history::newest_of,
        reader::whole,
    },
    claim::archived::{CLAIM, Claims, coverages},
    claim::{Claim, Kind, coverage::Coverage, day},
    error::{Error, ErrorKind, Result},
    fhir::resource::Header,
    files::private_dir,
};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// On a page with at least this many claims, the lines of a claim are one text, and the script turns it into a table
/// when the claim is opened. As tables, the lines of closed claims would take a browser a hundred times as long.
/// Without the script, the text itself is shown.
const MANY: u64 = 2_000;
/// This many claims form a group, which the browser lays out only when it is scrolled into view.
const TOGETHER: usize = 100;
/// With at most this many claims, the printed page includes their services.
const PRINTED_WHOLE: usize = 200;

/// The options of the page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The profile that filled the archive, if its name is informative (not `default`).
    pub profile: Option<String>,
    /// Only claims with a time of service that touches this year.
    pub year: Option<i16>,
    /// Without names and numbers of people.
    pub is_redacted: bool,
}

/// The claims of an archive, read once: their totals, and the HTML of each claim.
pub(crate) struct Report {
    whose: Whose,
    coverages: Vec<Coverage>,
    /// `InsuranceCard.json`.
    card: Option<String>,
    sums: Sums,
    news: News,
    shown: Spooled,
    /// The newest first. Claims of the same day are in the order of the archive.
    order: Vec<(Reverse<Option<Date>>, Span)>,
    is_long: bool,
}

impl Report {
    /// Reads the archive at `dir`. Until [`Report::write`], the HTML of each claim is kept in an unnamed temporary
    /// file: in `room`, which is created if it is missing, or in the system's directory for temporary files. So
    /// memory does not grow with the number of claims, and no claim is read twice.
    ///
    /// # Errors
    /// The errors of [`Claims::each`]; [`crate::error::Exit::Disk`] if there is not enough room.
    pub(crate) fn of(dir: &Path, room: Option<&Path>, options: &Options) -> Result<Self> {
        let mut claims = Claims::open(dir)?;
        let news = News::of(dir, claims.manifest())?;
        let whose = if options.is_redacted {
            Whose::nobody(claims.manifest())
        } else {
            Whose::of(dir, claims.manifest(), options.profile.as_deref())?
        };
        let (mut sums, mut order, mut text) = (Sums::until(news.pulled, options.year), Vec::new(), String::new());
        let is_long = claims.count() > MANY;
        let mut spill = match room {
            Some(room) => {
                private_dir::create(room).map_err(|cause| Error::disk("create a file in", room, &cause))?;
                TempSpool::begin(room)?
            }
            None => TempSpool::begin(&std::env::temp_dir())
                .map_err(|error| error.hint("TMPDIR names another directory, and --out FILE needs none."))?,
        };
        let mut aliases = Aliases::default();
        let mut years = BTreeSet::new();
        claims.each(|mut claim| {
            let served = served(&claim);
            years.extend(served.iter().flat_map(|years| [*years.start(), *years.end()]));
            if options.year.is_some_and(|year| served.is_none_or(|years| !years.contains(&year))) {
                return Ok(());
            }
            let mark = news.ids.contains(&id_hash(&claim.id)).then_some(news.mark);
            if options.is_redacted {
                aliases.redact(&mut claim);
            }
            sums.take(&claim);
            text.clear();
            claims::show(&mut text, &claim, mark, is_long);
            order.push((Reverse(claim.first_day()), spill.keep(&text)?));
            Ok(())
        })?;
        if let Some(year) = options.year.filter(|_| order.is_empty()) {
            return Err(Error::new(ErrorKind::NoClaims, format!("no claim has a service in {year}"))
                .hint(format!("Nothing was written. {}", there_are(&years))));
        }
        order.sort_unstable();
        let card = if options.is_redacted { None } else { whole(dir, "InsuranceCard")? };
        let mut coverages = coverages(dir)?;
        if options.is_redacted {
            coverages.iter_mut().for_each(Coverage::redact);
        }
        Ok(Self { whose, coverages, card, sums, news, shown: spill.written()?, order, is_long })
    }

    /// Claims that will be shown.
    #[must_use]
    pub(crate) fn claims(&self) -> u64 {
        self.order.len() as u64
    }

    /// Writes the page, one claim at a time. `wrong` turns a write failure into an error.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`] if a claim cannot be read again, and the errors of `wrong`.
    pub(crate) fn write(mut self, out: &mut impl Write, wrong: impl Fn(&io::Error) -> Error) -> Result<()> {
        let title = self.title();
        let style = format!("{STYLE}{}", printed(&title));
        let head = html! {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(format!("default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'", fingerprint(&style), fingerprint(SCRIPT)));
            meta name="referrer" content="no-referrer";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (Escaped(&title)) }
            style { (PreEscaped(&style)) }
        };
        let body = if self.order.len() <= PRINTED_WHOLE { "<body class=\"few\">" } else { "<body>" };
        let opening = html! {
            (self.header())
            (PreEscaped("<main>"))
            (cover::elsewhere(&self.coverages))
            (self.sums.at_a_glance(&self.news.words))
            (self.finder())
        };
        let mut put = |text: &[u8]| out.write_all(text).map_err(|cause| wrong(&cause));
        put(format!(
            "{}<html lang=\"en\">\n<head>{}</head>\n{body}\n{}",
            DOCTYPE.into_string(),
            head.into_string(),
            opening.into_string()
        )
        .as_bytes())?;
        let years = Years::of(&self.order, self.sums.as_of);
        let mut claim = Vec::new();
        let mut at = 0;
        for year in &years.0 {
            put(year.head().as_bytes())?;
            for (place, (_, kept)) in self.order[at..at + year.claims].iter().enumerate() {
                claim.clear();
                if self.is_long && place.is_multiple_of(TOGETHER) {
                    let end: &[u8] = if place == 0 { b"" } else { b"</div>\n" };
                    claim.extend_from_slice(end);
                    claim.extend_from_slice(b"<div class=\"some\">\n");
                }
                self.shown.read(*kept, &mut claim)?;
                put(&claim)?;
            }
            put(if self.is_long { b"</div>\n</details>\n" } else { b"</details>\n" })?;
            at += year.claims;
        }
        let closing = html! {
            (self.sums.denied())
            (cover::section(&self.coverages, self.card.as_deref()))
            (self.sums.sections())
            (help::section())
            (PreEscaped("</main>"))
            (help::footer())
            script { (PreEscaped(SCRIPT)) }
        };
        put(format!("{}\n</body>\n</html>\n", closing.into_string()).as_bytes())
    }

    fn title(&self) -> String {
        let year = self.sums.year.map(|year| format!(" in {year}")).unwrap_or_default();
        let as_of = self.news.pulled.map(|day| format!(", as of {}", date(day))).unwrap_or_default();
        format!("Medicare claims of {}{year}{as_of}", self.whose.name)
    }

    fn header(&self) -> Markup {
        let year = self.sums.year;
        html! {
            header {
                h1 { "Medicare claims of " (Escaped(&self.whose.name)) @if let Some(year) = year { " in " (year) } }
                p.quiet {
                    @if let Some(day) = self.news.pulled { "As of " (date(day)) ", " }
                    (Escaped(&self.whose.source)) ". "
                    @if let Some(year) = year { "Only claims of " (year) " are here." }
                }
                nav aria-label="On this page" { ul {
                    @for (id, name) in self.places() { li { a href=(format!("#{id}")) { (name) } } }
                } }
            }
        }
    }

    /// The sections on this page, in their order, with the text of the links to them.
    fn places(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let first =
            [("glance", "At a glance"), ("claims", "Claims"), ("denied", "Not approved"), ("coverage", "Coverage")];
        first.into_iter().chain(self.sums.places()).chain([("help", "What to do")])
    }

    fn finder(&self) -> Markup {
        html! {
            h2 #claims { "Claims" }
            form.find #find role="search" hidden {
                div { label for="words" { "Search" } input #words type="search" autocomplete="off" placeholder="name, code, word"; }
                div { label for="kind" { "Type" } select #kind {
                    option value="" { "All" }
                    @for kind in Kind::ALL { option value=(kind.name()) { (kind.words()) } }
                    @if self.sums.is_one_untyped() { option value=(claims::UNKNOWN) { "Of no known type" } }
                } }
                div { label for="year" { "Year" } select #year {
                    option value="" { "All" }
                    @for year in self.sums.years() { @if year == claims::UNKNOWN { option value=(year) { "No date" } } @else { option { (Escaped(year)) } } }
                } }
                div { label for="denied-only" { "Approved?" } select #denied-only { option value="" { "All" } option value="1" { "Not approved" } } }
            }
            p.quiet #found role="status" { (counted(self.order.len() as u64, "claim")) }
        }
    }
}

/// The years that `--year` can name.
fn there_are(years: &BTreeSet<i16>) -> String {
    match (years.first(), years.last()) {
        (Some(first), Some(last)) if first == last => format!("All claims are of {first}."),
        (Some(first), Some(last)) => format!("The claims are of {first} to {last}."),
        _ => "Leave --year out.".to_owned(),
    }
}

/// The years of service. A stay over New Year's Eve is on the pages of both.
fn served(claim: &Claim) -> Option<RangeInclusive<i16>> {
    let last = claim.end.as_deref().and_then(day);
    let first = claim.first_day().or(last)?;
    // An end before the beginning is a mistake.
    let last = last.filter(|last| *last >= first).unwrap_or(first);
    Some(first.year()..=last.year())
}

/// The claims by year, the newest first. The current year is open.
struct Years(Vec<Year>);

struct Year {
    year: Option<i16>,
    claims: usize,
    is_open: bool,
}

impl Years {
    fn of(order: &[(Reverse<Option<Date>>, Span)], as_of: Option<Date>) -> Self {
        let mut years: Vec<Year> = Vec::new();
        for (Reverse(day), _) in order {
            let year = day.map(Date::year);
            match years.last_mut().filter(|last| last.year == year) {
                Some(last) => last.claims += 1,
                None => years.push(Year { year, claims: 1, is_open: false }),
            }
        }
        let present = years.iter().position(|it| it.year == as_of.map(Date::year)).unwrap_or(0);
        if let Some(year) = years.get_mut(present) {
            year.is_open = true;
        }
        Self(years)
    }
}

impl Year {
    fn head(&self) -> String {
        let name = self.year.map_or_else(|| "No date".to_owned(), |year| year.to_string());
        let claims = counted(self.claims as u64, "claim");
        let open = if self.is_open { " open" } else { "" };
        format!(
            "<details class=\"year\"{open}><summary><h3>{name}</h3> <span class=\"quiet\">{claims}</span></summary>\n"
        )
    }
}

/// On paper, each page has the person's name and its page number. Names are encoded, because CSS strings cannot
/// contain markup.
fn printed(title: &str) -> String {
    let title = title.chars().filter(|letter| !letter.is_control());
    let mut escaped = String::new();
    for letter in title {
        let _ = match letter {
            letter if letter.is_ascii_alphanumeric() || letter == ' ' => write!(escaped, "{letter}"),
            letter => write!(escaped, "\\{:x} ", u32::from(letter)),
        };
    }
    format!("@page {{ @top-left {{ content: \"{escaped}\"; }} }}")
}

/// What the last pull of claims brought.
#[derive(Default)]
struct News {
    /// When it was.
    pulled: Option<Date>,
    /// The claims that came or changed.
    ids: HashSet<IdHash>,
    /// How the page marks them.
    mark: &'static str,
    words: String,
}

impl News {
    fn of(dir: &Path, manifest: &Manifest) -> Result<Self> {
        let mut pulls = newest_of(dir, manifest, CLAIM, 2)?.into_iter();
        let Some(last) = pulls.next() else { return Ok(Self::default()) };
        let pulled = day(&last.finished.strftime("%Y-%m-%d").to_string());
        if pulls.next().is_none() {
            let words = "This was the first pull: everything is new.".to_owned();
            return Ok(Self { pulled, words, ..Self::default() });
        }
        let mut ids = HashSet::new();
        if let Some(changes) = &last.changes {
            each_line(&dir.join(changes), |_, line| {
                ids.extend(line.and_then(|line| Header::read(line).ok()).map(|header| id_hash(&header.id)));
                Ok(())
            })?;
        }
        let words = match (last.added, last.updated, last.removed) {
            (0, 0, 0) => "The last pull brought nothing new.".to_owned(),
            (added, updated, removed) => {
                let added = counted(added, "claim");
                format!("The last pull added {added}, changed {updated} and removed {removed}.")
            }
        };
        // The file contains both new and changed claims, and does not tell them apart.
        let mark = match (last.added, last.updated) {
            (_, 0) => "new",
            (0, _) => "changed",
            _ => "new or changed",
        };
        Ok(Self { pulled, ids, mark, words })
    }
}

fn fingerprint(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()))
}
