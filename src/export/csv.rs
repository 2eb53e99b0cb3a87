//! Two files of comma-separated values (RFC 4180).

use std::{borrow::Cow, io::BufWriter, path::Path};

use csv::Writer;
use tempfile::NamedTempFile;

use super::{CLAIMS, Cell, Fresh, LINES, Sink, Table};
use crate::error::{Error, Result};

pub(super) struct Csv {
    claims: One,
    lines: One,
}

struct One {
    out: Writer<BufWriter<std::fs::File>>,
    fresh: Fresh,
}

impl One {
    fn create(dir: &Path, table: Table, names: impl Iterator<Item = &'static str>) -> Result<Self> {
        let fresh = Fresh::create(&dir.join(format!("{}.csv", table.name())))?;
        let wrong = |cause: std::io::Error| Error::disk("write", &fresh.to, &cause);
        let file = NamedTempFile::reopen(&fresh.file).map_err(wrong)?;
        let mut out = Writer::from_writer(BufWriter::with_capacity(1 << 16, file));
        out.write_record(names).map_err(|cause| wrong(cause.into()))?;
        Ok(Self { out, fresh })
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        let texts = cells.iter().map(|cell| match cell {
            Cell::Nothing => Cow::Borrowed(""),
            Cell::Text(text) => harmless(text),
            Cell::Count(count) => count.to_string().into(),
            Cell::Money(amount) => amount.to_string().into(),
        });
        let texts: Vec<Cow<'_, str>> = texts.collect();
        self.out
            .write_record(texts.iter().map(|text| text.as_bytes()))
            .map_err(|cause| Error::disk("write", &self.fresh.to, &cause.into()))
    }

    fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(|cause| Error::disk("write", &self.fresh.to, &cause))?;
        drop(self.out);
        self.fresh.keep()
    }
}

impl Csv {
    pub(super) fn create(dir: &Path) -> Result<Self> {
        Ok(Self {
            claims: One::create(dir, Table::Claims, CLAIMS.iter().map(|column| column.name))?,
            lines: One::create(dir, Table::Lines, LINES.iter().map(|column| column.name))?,
        })
    }
}

impl Sink for Csv {
    fn row(&mut self, table: Table, cells: &[Cell<'_>]) -> Result<()> {
        match table {
            Table::Claims => self.claims.row(cells),
            Table::Lines => self.lines.row(cells),
        }
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.claims.finish()?;
        self.lines.finish()
    }
}

/// A spreadsheet takes a cell that begins like a formula for one, and what the server sent is not ours. An
/// apostrophe makes it text; negative numbers are left as they are.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_number = || {
        text.strip_prefix(['-', '+']).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    };
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number() {
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
        for formula in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["-9956159512864", "carrier--12", "", "Smith = Sons", "2026-01-01"] {
            assert_eq!(harmless(text), text);
        }
    }
}
