//! Claims for people: one page that stands on its own, opens in any browser and asks nobody for anything.

mod claims;
mod html;
mod spill;
mod sums;

use std::{
    cmp::Reverse,
    collections::HashSet,
    fmt::Write as _,
    io::{self, Write},
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use html::Shown;
use jiff::civil::Date;
use sha2::{Digest, Sha256};
use spill::{Kept, Spill, Spilled};
use sums::Sums;

use crate::{
    archive::{
        id_hash::{IdHash, id_hash},
        lines::each_line,
        manifest::Manifest,
    },
    durable::create_private_dir,
    error::{Error, Result},
    export::Claims,
    fhir::{
        claim::{Kind, day},
        resource::Header,
    },
    notice::CMS_NOTICE,
};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// From here on the lines of a claim are one text, which the script makes a table of when the claim is opened: a
/// browser has a hundred times the work with tables that nobody looks at. Without script the text is what is seen.
const MANY: u64 = 2_000;
/// Of so many claims, as many are laid out together or not at all.
const TOGETHER: usize = 100;

/// The claims of an archive, looked through once: what they come to is known, and how the page shows each.
pub struct Report {
    manifest: Manifest,
    sums: Sums,
    news: News,
    shown: Spilled,
    /// The newest first; claims of a day as they are in the archive.
    order: Vec<(Reverse<Option<Date>>, Kept)>,
}

impl Report {
    /// Looks through the archive at `dir`. How the page shows each claim is kept in a file without a name in `room`,
    /// which is made if it is missing, or where the system keeps what is for a moment, until [`Report::write`]: memory
    /// does not grow with them, and none is read twice.
    ///
    /// # Errors
    /// As [`Claims::each`]; [`crate::error::Exit::Disk`] where there is no room.
    pub fn of(dir: &Path, room: Option<&Path>) -> Result<Self> {
        let mut claims = Claims::open(dir)?;
        let news = News::of(dir, claims.manifest())?;
        let (mut sums, mut order, mut text) = (Sums::default(), Vec::new(), String::new());
        let is_long = claims.count() > MANY;
        let mut spill = match room {
            Some(room) => {
                create_private_dir(room).map_err(|cause| Error::disk("create a file in", room, &cause))?;
                Spill::begin(room)?
            }
            None => Spill::begin(&std::env::temp_dir())
                .map_err(|error| error.hint("TMPDIR names another directory, and --output FILE needs none."))?,
        };
        claims.each(|claim| {
            sums.take(&claim);
            text.clear();
            let mark = news.ids.contains(&id_hash(&claim.id)).then_some(news.mark);
            claims::show(&mut text, &claim, mark, is_long);
            order.push((Reverse(claim.first_day()), spill.keep(&text)?));
            Ok(())
        })?;
        order.sort_unstable();
        Ok(Self { manifest: claims.manifest().clone(), sums, news, shown: spill.written()?, order })
    }

    /// Claims that will be shown.
    #[must_use]
    pub fn claims(&self) -> u64 {
        self.order.len() as u64
    }

    /// Writes the page, a claim at a time; `wrong` says what a failure to write is.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`] where a claim cannot be read again, and what `wrong` makes of a failure.
    pub fn write(mut self, out: &mut impl Write, wrong: impl Fn(&io::Error) -> Error) -> Result<()> {
        let mut put = |text: &[u8]| out.write_all(text).map_err(|cause| wrong(&cause));
        let mut text = String::new();
        head(&mut text);
        opening(&mut text, &self.manifest, &self.sums, &self.news);
        self.sums.write(&mut text, self.news.pulled);
        finder(&mut text, &self.sums, self.order.len());
        put(text.as_bytes())?;
        let is_long = self.order.len() as u64 > MANY;
        let mut claim = Vec::new();
        for (at, (_, kept)) in self.order.iter().enumerate() {
            claim.clear();
            if is_long && at.is_multiple_of(TOGETHER) {
                let end: &[u8] = if at == 0 { b"" } else { b"</div>\n" };
                claim.extend_from_slice(end);
                claim.extend_from_slice(b"<div class=\"some\">\n");
            }
            self.shown.read(*kept, &mut claim)?;
            put(&claim)?;
        }
        text.clear();
        text.push_str(if is_long { "</div>\n" } else { "" });
        text.push_str(CLOSING);
        let _ = write!(text, "<p>{}</p>\n</footer>\n", Shown(CMS_NOTICE));
        let _ = writeln!(text, "<script>{SCRIPT}</script>\n</body>\n</html>");
        put(text.as_bytes())
    }
}

/// What the last pull of claims brought.
#[derive(Default)]
struct News {
    /// When it was.
    pulled: Option<Date>,
    /// The claims that came or changed.
    ids: HashSet<IdHash>,
    /// What they are.
    mark: &'static str,
    words: String,
}

impl News {
    fn of(dir: &Path, manifest: &Manifest) -> Result<Self> {
        let mut pulls = manifest.pulls.iter().rev().filter(|row| row.resource == "ExplanationOfBenefit");
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
                let added = claims::counted(added, "claim");
                format!("With the last pull {added} came, {updated} changed and {removed} went.")
            }
        };
        // The file has both, and does not tell them apart.
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

fn head(out: &mut String) {
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Medicare claims</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        fingerprint(STYLE),
        fingerprint(SCRIPT)
    );
}

fn opening(out: &mut String, manifest: &Manifest, sums: &Sums, news: &News) {
    let server = manifest.source.server.to_string();
    let _ = write!(
        out,
        "<header><h1>Medicare claims</h1>\n<p class=\"quiet\">As of {}, from {}. {}</p></header>\n<main>\n",
        Shown(&news.pulled.map(|day| day.to_string()).unwrap_or_default()),
        Shown(&server),
        Shown(&news.words)
    );
    sums.write_summary(out);
}

fn finder(out: &mut String, sums: &Sums, claims: usize) {
    out.push_str(
        "<h2>Claims</h2>\n<form class=\"find\" id=\"find\" role=\"search\" hidden>\
         <div><label for=\"words\">Search</label><input id=\"words\" type=\"search\" autocomplete=\"off\"></div>\
         <div><label for=\"kind\">Type</label><select id=\"kind\"><option value=\"\">All</option>",
    );
    for kind in Kind::ALL {
        let _ = write!(out, "<option value=\"{}\">{}</option>", kind.name(), kind.words());
    }
    if sums.is_one_untyped() {
        let _ = write!(out, "<option value=\"{}\">Of no known type</option>", claims::UNKNOWN);
    }
    out.push_str(
        "</select></div><div><label for=\"year\">Year</label><select id=\"year\"><option value=\"\">All</option>",
    );
    for year in sums.years() {
        let _ = match year {
            claims::UNKNOWN => write!(out, "<option value=\"{year}\">No date</option>"),
            year => write!(out, "<option>{}</option>", Shown(year)),
        };
    }
    let _ = write!(
        out,
        "</select></div></form>\n<p class=\"quiet\" id=\"found\" role=\"status\">{}</p>\n",
        claims::counted(claims as u64, "claim")
    );
}

const CLOSING: &str = "</main>\n<footer>\n<h2>Where these numbers come from</h2>\n\
<p>Each is the claim's own, from the field of CMS's that means it: what was billed, what Medicare (or, for a drug, the plan) paid, and what was left \
to you. Where a claim does not say a number, the place is empty and sums leave it out. One number is computed: your share, which is \
the deductible, the coinsurance and the blood deductible together. A prescription has none: what was paid for it at the pharmacy stands for \
itself. Nor have claims that Medicare did not pay, or that a Medicare Advantage plan paid. Claims that were cancelled, \
deleted or replaced, that are still worked on, or that only ask in advance are shown, and are in no sum. A supplement or another insurer may have paid your share. This is not a bill.</p>\n\
<p>Words for procedure codes are licensed and not here; your provider can tell you what a code means.</p>\n";
