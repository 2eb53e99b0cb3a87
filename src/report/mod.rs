//! Claims for people: one page that stands on its own, opens in any browser and asks nobody for anything.

mod claims;
mod html;
mod sums;

use std::{collections::HashSet, fmt::Write as _, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use html::Shown;
use sha2::{Digest, Sha256};
use sums::Sums;

use crate::{
    archive::{index::each_line, manifest::Manifest},
    error::Result,
    export::each_claim,
    fhir::{claim::Kind, resource::Header},
};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// A page, and how many claims are on it.
pub struct Report {
    /// The whole document.
    pub html: String,
    /// Claims shown.
    pub claims: u64,
}

/// Makes the page of the archive at `dir`.
///
/// # Errors
/// As [`each_claim`].
pub fn report(dir: &Path) -> Result<Report> {
    let manifest = Manifest::load(dir)?;
    let news = News::of(dir, manifest.as_ref())?;
    let (mut sums, mut shown) = (Sums::default(), Vec::new());
    each_claim(dir, |claim| {
        sums.take(&claim);
        let date = claim.start.clone().unwrap_or_default();
        shown.push((date, claims::shown(&claim, news.ids.contains(&claim.id))));
        Ok(())
    })?;
    // The newest first; claims of a day stay as they are in the archive.
    shown.sort_by(|(one, _), (other, _)| other.cmp(one));
    let mut out = String::with_capacity(shown.iter().map(|(_, text)| text.len()).sum::<usize>() + 100_000);
    head(&mut out);
    opening(&mut out, manifest.as_ref(), &sums, &news);
    sums.write(&mut out);
    list(&mut out, &sums, &shown);
    out.push_str(CLOSING);
    let _ = writeln!(out, "<script>{SCRIPT}</script>\n</body>\n</html>");
    Ok(Report { html: out, claims: shown.len() as u64 })
}

/// What the last pull brought.
#[derive(Default)]
struct News {
    ids: HashSet<String>,
    words: String,
}

impl News {
    fn of(dir: &Path, manifest: Option<&Manifest>) -> Result<Self> {
        let pulls = manifest.map(|manifest| manifest.pulls.as_slice()).unwrap_or_default();
        let mut pulls = pulls.iter().rev().filter(|row| row.resource == "ExplanationOfBenefit");
        let Some(last) = pulls.next() else { return Ok(Self::default()) };
        if pulls.next().is_none() {
            return Ok(Self { words: "This was the first pull: everything is new.".to_owned(), ..Self::default() });
        }
        let mut ids = HashSet::new();
        if let Some(changes) = &last.changes {
            each_line(&dir.join(changes), |_, line| {
                ids.extend(line.and_then(|line| Header::read(line).ok()).map(|header| header.id));
                Ok(())
            })?;
        }
        let words = match (last.added, last.updated, last.removed) {
            (0, 0, 0) => "The last pull brought nothing new.".to_owned(),
            (added, updated, removed) => {
                format!("With the last pull {added} claims came, {updated} changed and {removed} went.")
            }
        };
        Ok(Self { ids, words })
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

fn opening(out: &mut String, manifest: Option<&Manifest>, sums: &Sums, news: &News) {
    let last =
        manifest.and_then(|manifest| manifest.pulls.last()).map(|row| row.finished.strftime("%Y-%m-%d").to_string());
    let server = manifest.map(|manifest| manifest.source.server.to_string()).unwrap_or_default();
    let _ = write!(
        out,
        "<header><h1>Medicare claims</h1>\n<p class=\"quiet\">As of {}, from {}. {}</p></header>\n<main>\n",
        Shown(&last.unwrap_or_default()),
        Shown(&server),
        Shown(&news.words)
    );
    sums.write_summary(out);
}

fn list(out: &mut String, sums: &Sums, shown: &[(String, String)]) {
    out.push_str(
        "<h2>Claims</h2>\n<form class=\"find\" id=\"find\" role=\"search\" hidden>\
         <div><label for=\"words\">Search</label><input id=\"words\" type=\"search\" autocomplete=\"off\"></div>\
         <div><label for=\"kind\">Type</label><select id=\"kind\"><option value=\"\">All</option>",
    );
    for kind in Kind::ALL {
        let _ = write!(out, "<option value=\"{}\">{}</option>", kind.name(), kind.words());
    }
    out.push_str(
        "</select></div><div><label for=\"year\">Year</label><select id=\"year\"><option value=\"\">All</option>",
    );
    for year in sums.years() {
        let _ = write!(out, "<option>{}</option>", Shown(year));
    }
    let _ = write!(
        out,
        "</select></div></form>\n<p class=\"quiet\" id=\"found\" role=\"status\">{} claims</p>\n",
        shown.len()
    );
    for (_, claim) in shown {
        out.push_str(claim);
    }
}

const CLOSING: &str = "</main>\n<footer>\n<h2>Where these numbers come from</h2>\n\
<p>Each is the claim's own, from the field of CMS's that means it: what was billed, what Medicare (or, for a drug, the plan) paid, and what was left \
to you. Where a claim does not say a number, the place is empty and sums leave it out. For claims of doctors and suppliers, and for stays, older versions \
of the data do not say your share: it is the deductible and the coinsurance together. Claims that were cancelled, \
deleted or replaced, that are still worked on, or that only ask in advance are shown, and are in no sum. A supplement or another insurer may have paid your share. This is not a bill.</p>\n\
<p>Words for procedure codes are licensed and not here; your provider can tell you what a code means.</p>\n</footer>\n";
