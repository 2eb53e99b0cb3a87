//! Comma-separated values (RFC 4180).

use std::{borrow::Cow, fs::File, io::BufWriter};

use csv::Writer;

use super::{Cell, Columns, Rows};
use crate::{
    error::{Error, Result},
    files::durable::AtomicFile,
};

pub(super) struct Csv {
    out: Writer<BufWriter<File>>,
    bytes: u64,
    file: AtomicFile,
}

impl Rows for Csv {
    const EXTENSION: &'static str = "csv";

    fn begin(file: AtomicFile, head: &Columns) -> Result<Self> {
        let wrong = |cause: std::io::Error| Error::disk("write", file.place(), &cause);
        let mut out = Writer::from_writer(BufWriter::with_capacity(1 << 16, file.file().map_err(wrong)?));
        out.write_record(head.columns.iter().map(|(name, _)| name)).map_err(|cause| wrong(cause.into()))?;
        Ok(Self { out, bytes: 0, file })
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        let texts = cells.iter().map(|cell| match cell {
            Cell::Nothing => Cow::Borrowed(""),
            Cell::Text(text) => harmless(text),
            Cell::Day(day) => day.to_string().into(),
            Cell::List(codes) => harmless(&codes.join(" ")).into_owned().into(),
            Cell::Count(count) => count.to_string().into(),
            Cell::Money(amount) => amount.to_string().into(),
        });
        let texts: Vec<Cow<'_, str>> = texts.collect();
        self.bytes += texts.iter().map(|text| text.len() as u64 + 1).sum::<u64>();
        self.out
            .write_record(texts.iter().map(|text| text.as_bytes()))
            .map_err(|cause| Error::disk("write", self.file.place(), &cause.into()))
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn finish(mut self) -> Result<AtomicFile> {
        self.out.flush().map_err(|cause| Error::disk("write", self.file.place(), &cause))?;
        Ok(self.file)
    }
}

/// A spreadsheet runs a cell that looks like a formula, even after invisible characters, and the server's texts are
/// not trusted. An apostrophe makes the cell a text. Numbers stay as they are.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_number = || {
        text.strip_prefix(['-', '+'])
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    };
    let seen = text.trim_start_matches(|it: char| it.is_whitespace() || it.is_control() || it == '\u{feff}');
    let begins_hidden = text.starts_with(['\t', '\r', '\n', '\0']);
    // Some spreadsheets also accept full-width signs.
    if (begins_hidden || seen.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])) && !is_number() {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn formulas_are_text() {
        for formula in
            ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\0=1", " =1", "\u{feff}=1", "\0", "-", "＝1"]
        {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["-9956159512864", "carrier--12", "", "Smith = Sons", "2026-01-01"] {
            assert_eq!(harmless(text), text);
        }
    }
}
