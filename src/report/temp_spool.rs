//! Keeps the HTML of claims on disk instead of in memory, from when a claim is read until the order of the page is
//! known.

use std::{
    fs::File,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Size of the write buffer.
const BUFFER: usize = 1 << 16;

/// A file without a name (with `O_TMPFILE` if the system has it). No one else can open it, and nothing is left of it
/// when the program ends, however it ends.
pub(super) struct TempSpool {
    file: BufWriter<File>,
    /// How many bytes were written.
    end: u64,
    /// Its directory, for error messages.
    dir: PathBuf,
}

/// Where a text is in the file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    offset: u64,
    length: usize,
}

impl TempSpool {
    /// Creates one in the directory `dir`, which also needs room for the page. Does not create a missing directory.
    pub(super) fn begin(dir: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(dir).map_err(|cause| Error::disk("create a file in", dir, &cause))?;
        Ok(Self { file: BufWriter::with_capacity(BUFFER, file), end: 0, dir: dir.to_owned() })
    }

    /// Keeps a text.
    pub(super) fn keep(&mut self, text: &str) -> Result<Span> {
        self.file.write_all(text.as_bytes()).map_err(|cause| Error::disk("write in", &self.dir, &cause))?;
        let kept = Span { offset: self.end, length: text.len() };
        self.end += text.len() as u64;
        Ok(kept)
    }

    /// Ends writing.
    pub(super) fn written(self) -> Result<Spooled> {
        let dir = self.dir;
        let file = self.file.into_inner().map_err(|cause| Error::disk("write in", &dir, cause.error()))?;
        Ok(Spooled { file, dir })
    }
}

/// A [`TempSpool`] that is complete and can be read.
pub(super) struct Spooled {
    file: File,
    dir: PathBuf,
}

impl Spooled {
    /// Appends the text of this span to `into`.
    pub(super) fn read(&mut self, kept: Span, into: &mut Vec<u8>) -> Result<()> {
        let from = into.len();
        into.resize(from + kept.length, 0);
        let read = self.file.seek(SeekFrom::Start(kept.offset)).and_then(|_| self.file.read_exact(&mut into[from..]));
        read.map_err(|cause| Error::disk("read in", &self.dir, &cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spooled_text_is_read_in_any_order_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = TempSpool::begin(dir.path()).unwrap();
        let texts = ["one", "", "zwölf", &"x".repeat(3 * BUFFER)];
        let kept: Vec<Span> = texts.iter().map(|text| spill.keep(text).unwrap()).collect();
        // On Windows it has a name, but no one else can open it.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), usize::from(cfg!(windows)), "while it is written");
        let mut spilled = spill.written().unwrap();
        for at in [2, 0, 3, 1] {
            let mut read = b"<".to_vec();
            spilled.read(kept[at], &mut read).unwrap();
            assert_eq!(read, format!("<{}", texts[at]).into_bytes());
        }
        drop(spilled);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(TempSpool::begin(&dir.path().join("dir")).is_err() && !dir.path().join("dir").exists());
        std::fs::write(dir.path().join("no"), "").unwrap();
        assert!(TempSpool::begin(&dir.path().join("no")).is_err());
    }
}
