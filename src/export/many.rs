//! Which archives are exported, and whose they are.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    archive,
    claim::archived::Claims,
    error::{Error, ErrorKind, Result},
    files::place::resolved,
};

/// The value of the column `enrollee`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Enrollee(String);

impl Enrollee {
    /// An enrollee with this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name of an archive's directory, for any path that leads to it.
    #[must_use]
    pub fn of_directory(dir: &Path) -> Self {
        let whole = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        Self(whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One archive, or several with different enrollees.
#[derive(Clone, Debug)]
pub struct Archives {
    first: (Enrollee, PathBuf),
    others: Vec<(Enrollee, PathBuf)>,
    waiting: Vec<PathBuf>,
}

impl Archives {
    /// The archive at `first` and those at `others`. `name` says whose each one is. If there are several, those whose
    /// first pull has not finished are left out, unless this is true for all of them.
    ///
    /// # Errors
    /// [`crate::error::Exit::Usage`] if two have the same name, because their rows could not be told apart.
    pub fn of(first: &Path, others: &[PathBuf], name: impl Fn(&Path) -> Enrollee) -> Result<Self> {
        let named = |dir: &Path| (name(dir), dir.to_owned());
        let all: Vec<_> = std::iter::once(first).chain(others.iter().map(PathBuf::as_path)).map(named).collect();
        let mut seen = HashMap::new();
        for (enrollee, dir) in &all {
            if let Some(before) = seen.insert(enrollee, dir) {
                let (name, before, dir) = (enrollee.as_str(), before.display(), dir.display());
                return Err(Error::usage(format!("{before} and {dir} would both be \"{name}\" in the tables")).hint(
                    "Nothing was written. Give each archive once, and rename one of two directories of the same name.",
                ));
            }
        }
        let (waiting, ready): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, dir)| archive::has_no_pull_yet(dir));
        let waiting: Vec<PathBuf> = waiting.into_iter().map(|(_, dir)| dir).collect();
        let mut ready = ready.into_iter();
        Ok(match ready.next() {
            Some(first) => Self { first, others: ready.collect(), waiting },
            // If this is true for all, none is left out, and reading the first one gives the error.
            None => {
                Self { first: named(first), others: others.iter().map(|dir| named(dir)).collect(), waiting: Vec::new() }
            }
        })
    }

    /// The archives that are left out because their first pull has not finished.
    #[must_use]
    pub fn waiting(&self) -> &[PathBuf] {
        &self.waiting
    }

    pub(super) fn is_many(&self) -> bool {
        !self.others.is_empty() || !self.waiting.is_empty()
    }

    pub(super) fn first(&self) -> &Path {
        &self.first.1
    }

    /// The only archive.
    pub(super) fn only(&self) -> Result<&Path> {
        if self.is_many() {
            return Err(Error::usage("a bundle is of one person").hint("Write one for each archive."));
        }
        Ok(self.first())
    }

    /// The claims of one archive. If there are several, one may have no claims because only other resources were
    /// pulled into it. Then the inner result says why.
    pub(super) fn open(&self, dir: &Path) -> Result<Result<Claims, Error>> {
        match Claims::open(dir) {
            Err(error) if self.is_many() && error.kind == ErrorKind::NoClaims && archive::is_one(dir) => Ok(Err(error)),
            opened => opened.map(Ok),
        }
    }

    /// Refuses output inside an archive: tables of several people inside any archive, and tables of one person inside
    /// another person's.
    pub(super) fn refuse_output_in_an_archive(&self, output: &Path) -> Result<()> {
        let whole = resolved(output);
        let Some(dir) = archive::around(&whole) else { return Ok(()) };
        let is_the_only_one = !self.is_many() && std::fs::canonicalize(self.first()).is_ok_and(|first| first == dir);
        if is_the_only_one {
            return Ok(());
        }
        let whose = if self.is_many() { "several" } else { "another archive" };
        let (output, dir) = (output.display(), dir.display());
        Err(Error::usage(format!("{output} is in {dir}, the archive of one person, and the tables are of {whose}"))
            .hint("Nothing was changed. Give another --out."))
    }

    /// Each archive, with its enrollee if there are several.
    pub(super) fn each(&self) -> impl Iterator<Item = (Option<&Enrollee>, &Path)> {
        let all = std::iter::once(&self.first).chain(&self.others);
        all.map(|(enrollee, dir)| (self.is_many().then_some(enrollee), dir.as_path()))
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Exit;

    use super::*;

    #[test]
    fn archives_are_told_apart_by_name() {
        let of = |dirs: &[&str]| {
            let others: Vec<PathBuf> = dirs.iter().skip(1).map(PathBuf::from).collect();
            Archives::of(Path::new(dirs[0]), &others, Enrollee::of_directory)
        };
        let one = of(&["study/p1"]).unwrap();
        assert!(one.each().all(|(enrollee, _)| enrollee.is_none()) && one.only().is_ok());
        let two = of(&["study/p1", "study/p2/"]).unwrap();
        let names: Vec<_> = two.each().map(|(enrollee, _)| enrollee.unwrap().as_str()).collect();
        assert_eq!(names, ["p1", "p2"]);
        assert_eq!(two.only().unwrap_err().exit(), Exit::Usage);
        for same in [&["study/p1", "study/p1"], &["one/p1", "other/p1"]] {
            assert_eq!(of(same).unwrap_err().exit(), Exit::Usage, "{same:?}");
        }
    }
}
