//! What a person or a script sees: messages, progress, questions, and results on stdout.
//!
//! Results go to stdout and everything else to stderr. Nothing outside this file prints. If the reader of a stream
//! has closed it, messages are dropped without an error. A result that could not be written is a failure
//! ([`Output::delivered`]).

use std::{
    io::{BufWriter, IsTerminal, Write, stderr, stdin, stdout},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    error::{Error, ErrorKind, Result, is_of_a_closed_pipe, shown},
    secret::Secret,
};

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// On a terminal that can show them, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How bbdl talks to the person. Decided once per run.
#[derive(Clone, Debug, Default)]
pub struct OutputOptions {
    /// Only errors.
    pub quiet: bool,
    /// 0: what a person needs; 1: every request; 2: also why a request was repeated.
    pub verbose: u8,
    /// One machine-readable result on stdout.
    pub json: bool,
    /// No progress display.
    pub no_progress: bool,
    /// Never ask questions.
    pub no_input: bool,
    /// Colors.
    pub color: Color,
    /// This is a step of a larger command. With `quiet`, the person does not have to know why it waited.
    pub is_step: bool,
    /// The profile that messages are about, if several run at the same time. Each line begins with it.
    pub about: Option<String>,
}

/// Where messages, questions and results go.
#[derive(Clone, Debug)]
pub struct Output(Arc<OutputOptions>, Arc<Streams>);

/// What all clones of an [`Output`] share.
#[derive(Debug, Default)]
struct Streams {
    /// Why a result did not reach stdout: the first such error.
    lost: OnceLock<Error>,
    /// The progress bar on the terminal. Lines are printed above it, not into it.
    bar: Mutex<Option<ProgressBar>>,
}

impl Streams {
    fn bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line_to_stderr(&self, text: &str) {
        // One write per line, so that the lines of several threads do not mix.
        self.above_the_bar(|| {
            let _ = stderr().lock().write_all(format!("{text}\n").as_bytes());
        });
    }

    fn above_the_bar<T>(&self, write: impl FnOnce() -> T) -> T {
        match &*self.bar() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Output {
    /// An output with these options.
    #[must_use]
    pub fn new(options: OutputOptions) -> Self {
        Self(Arc::new(options), Arc::default())
    }

    fn with(&self, options: OutputOptions) -> Self {
        Self(Arc::new(options), Arc::clone(&self.1))
    }

    /// An output that shows only errors: for tests, and for commands that run inside another.
    #[must_use]
    pub fn quiet() -> Self {
        Self::new(OutputOptions { quiet: true, no_progress: true, no_input: true, ..OutputOptions::default() })
    }

    /// Like [`Output::quiet`], with results and failures as JSON. For errors before a command begins.
    #[must_use]
    pub fn quiet_json() -> Self {
        Self::new(OutputOptions {
            json: true,
            quiet: true,
            no_progress: true,
            no_input: true,
            ..OutputOptions::default()
        })
    }

    /// The same output, for a step whose own result was not asked for.
    #[must_use]
    pub fn for_a_step(&self) -> Self {
        self.with(OutputOptions { json: false, is_step: true, ..(*self.0).clone() })
    }

    /// Whether a larger command continues after this one.
    #[must_use]
    pub fn is_step(&self) -> bool {
        self.0.is_step
    }

    /// The same output for one of several things that run at the same time. Its lines say which one it is, and it
    /// shows no progress.
    #[must_use]
    pub fn speaking_of(&self, name: &str) -> Self {
        self.with(OutputOptions { about: Some(name.to_owned()), no_progress: true, ..(*self.0).clone() })
    }

    fn named(&self, text: &str) -> String {
        let text = shown(text);
        self.0.about.as_ref().map_or_else(|| text.to_string(), |about| format!("{about}: {text}"))
    }

    /// Whether results are wanted as JSON.
    #[must_use]
    pub fn json(&self) -> bool {
        self.0.json
    }

    /// Whether asking is forbidden although a person could type an answer.
    pub(crate) fn must_not_ask(&self) -> bool {
        self.0.no_input && stdin().is_terminal()
    }

    /// Why a person cannot be asked.
    pub(crate) fn why_not_asked(&self) -> &'static str {
        if self.must_not_ask() { "--no-input forbids questions" } else { "there is no terminal to ask on" }
    }

    /// Whether a person can be asked: there is a terminal, and questions are allowed.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        !self.0.no_input && stdin().is_terminal() && stderr().is_terminal()
    }

    /// Prints something that a person wants to know.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.0.quiet {
            self.1.line_to_stderr(&self.named(text.as_ref()));
        }
    }

    /// Prints what the person is waiting for. `-q` does not silence it, except in a step.
    pub fn tell(&self, text: impl AsRef<str>) {
        if !(self.0.quiet && self.0.is_step) {
            self.1.line_to_stderr(&self.named(text.as_ref()));
        }
    }

    /// Prints something that a person has to know. `-q` does not silence it.
    pub fn warn(&self, text: impl AsRef<str>) {
        let label = self.painted("33", "warning:");
        self.1.line_to_stderr(&format!("{label} {}", self.named(text.as_ref())));
    }

    /// Prints something only with `-v` (level 1) or `-vv` (level 2).
    pub fn trace(&self, level: u8, text: impl FnOnce() -> String) {
        if self.0.verbose >= level && !self.0.quiet {
            self.1.line_to_stderr(&self.named(&text()));
        }
    }

    /// Prints a result for people, or one as JSON, on stdout.
    pub fn result(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        let text = if self.0.json { text.into() } else { shown(text) };
        let written = self.1.above_the_bar(|| {
            let mut out = stdout().lock();
            writeln!(out, "{text}").and_then(|()| out.flush())
        });
        if let Err(cause) = written
            && !is_of_a_closed_pipe(&cause)
        {
            let _ = self.1.lost.set(Error::stdout(&cause));
        }
    }

    /// Prints a long result on stdout while it is being made. If the reader closes the pipe early, that is not a
    /// failure.
    ///
    /// # Errors
    /// Errors of `write`, which uses [`Error::stdout`] if a write fails.
    pub fn stream(&self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let mut out = BufWriter::with_capacity(1 << 16, stdout().lock());
        let written = write(&mut out).and_then(|()| out.flush().map_err(|cause| Error::stdout(&cause)));
        // The rest was already refused once, so it is dropped.
        drop(out.into_parts());
        written.or_else(|error| if error.kind == ErrorKind::ReaderLeft { Ok(()) } else { Err(error) })
    }

    /// Whether all results reached stdout.
    ///
    /// # Errors
    /// [`crate::error::Exit::Disk`] if not: a reader must not take missing output for an empty result.
    pub fn delivered(&self) -> Result<()> {
        self.1.lost.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Prints the one line on stdout that says what a successful run has done. `-q` silences it.
    pub fn summary(&self, text: impl AsRef<str>) {
        if !self.0.quiet {
            self.result(text);
        }
    }

    /// Prints a result for programs on stdout.
    pub fn result_json(&self, value: &serde_json::Value) {
        self.result(value.to_string());
    }

    /// Prints a failure: a sentence and what to do, and with `--json` also an object on stdout.
    pub fn failure(&self, error: &Error) {
        let label = self.painted("1;31", "error:");
        self.1.line_to_stderr(&format!("{label} {}", shown(&error.message)));
        if !error.hint.is_empty() {
            self.1.line_to_stderr(&format!("  {} {}", self.painted("36", "next:"), shown(&error.hint)));
        }
        if self.0.json && !error.reported {
            self.failure_json(error);
        }
    }

    /// Prints a failure as an object on stdout.
    pub fn failure_json(&self, error: &Error) {
        self.result_json(&serde_json::json!({ "error": error.to_json() }));
    }

    /// Asks for a yes before something that cannot be undone. Any other answer is a no, and so is the end of input.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if no person can be asked.
    pub fn asks_for_yes(&self, question: &str) -> Result<bool> {
        match self.ask(&format!("{question} Type yes")) {
            Ok(answer) => Ok(answer.eq_ignore_ascii_case("yes")),
            Err(error) if error.kind == ErrorKind::Declined => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks for a line of text.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if no person can be asked, [`ErrorKind::Declined`] if the input ends instead.
    pub fn ask(&self, question: &str) -> Result<String> {
        self.must_be_able_to_ask(question)?;
        let mut err = stderr().lock();
        let _ = write!(err, "{question}: ");
        let _ = err.flush();
        drop(err);
        let mut answer = String::new();
        match stdin().read_line(&mut answer) {
            Ok(1..) => Ok(answer.trim().to_owned()),
            _ => {
                // The question ends with no line break.
                self.tell("");
                Err(no_answer(question))
            }
        }
    }

    /// Asks for a secret, which the terminal does not show.
    ///
    /// # Errors
    /// As [`Output::ask`].
    pub fn ask_secret(&self, question: &str) -> Result<Secret> {
        self.must_be_able_to_ask(question)?;
        discard_type_ahead();
        let answer =
            rpassword::prompt_password(format!("{question} (not shown): ")).map_err(|_| no_answer(question))?;
        Ok(Secret::new(answer.trim().to_owned()))
    }

    fn must_be_able_to_ask(&self, question: &str) -> Result<()> {
        if self.can_ask() { Ok(()) } else { Err(nobody_to_ask(question)) }
    }

    /// Starts showing the progress of a download.
    #[must_use]
    pub fn progress(&self, what: &str) -> Progress {
        let wanted = self.shows_progress();
        let bar = self.bar();
        bar.iter().for_each(|bar| bar.set_prefix(what.to_owned()));
        Progress {
            bar,
            wanted,
            output: self.clone(),
            what: what.to_owned(),
            started: Instant::now(),
            last_line: Instant::now(),
        }
    }

    /// Starts showing one line that changes.
    #[must_use]
    pub fn status_line(&self) -> StatusLine {
        let bar = self.bar();
        bar.iter().for_each(|bar| bar.set_style(style("{wide_msg}")));
        StatusLine { bar, output: self.clone(), last_line: Instant::now() }
    }

    fn shows_progress(&self) -> bool {
        !self.0.quiet && !self.0.no_progress && !self.0.json
    }

    /// A progress bar, if there is a terminal that can show one.
    fn bar(&self) -> Option<ProgressBar> {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        (self.shows_progress() && stderr().is_terminal() && !dumb).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            *self.1.bar() = Some(bar.clone());
            bar
        })
    }

    fn painted(&self, style: &str, text: &str) -> String {
        let paint = match self.0.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        if paint && understands_styles() { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Whether our messages go to something that reads escape sequences. The Windows console does after this check, which
/// turns them on; before Windows 10 it could not. With a pipe, a person who asks for colors knows what to do with them.
fn understands_styles() -> bool {
    !cfg!(windows) || !stderr().is_terminal() || Term::stderr().features().colors_supported()
}

/// Refuses to write records to a closed standard output (`>&-`). Rust's runtime replaces it with `/dev/null`, opened
/// for reading and writing, and every record would seem to be written. With `>/dev/null`, a shell opens it only for
/// writing. This check is only for records: a program that does not want to see a result may open `/dev/null` in the
/// same way.
///
/// # Errors
/// [`crate::error::Exit::Disk`].
pub(crate) fn refuse_closed_stdout() -> Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
        let is_null = || fstat(stdout()).ok()?.st_rdev.eq(&stat("/dev/null").ok()?.st_rdev).then_some(());
        if fcntl_getfl(stdout()).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR) && is_null().is_some() {
            return Err(Error::new(
                ErrorKind::Stdout,
                "standard output is closed, or thrown away, so nothing was written",
            )
            .hint("Open it: leave out >&-, or name a file with --out."));
        }
    }
    Ok(())
}

fn no_answer(question: &str) -> Error {
    Error::new(ErrorKind::Declined, format!("{question}: no answer was given"))
}

fn nobody_to_ask(question: &str) -> Error {
    Error::new(ErrorKind::Input, format!("{question}: there is no terminal to ask on"))
        .hint("Give it as an option or environment variable (see `bbdl login --help`), or run this on a terminal.")
}

/// The progress of a download: a bar on a terminal, a line from time to time elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    wanted: bool,
    output: Output,
    what: String,
    started: Instant,
    last_line: Instant,
}

impl Progress {
    /// Time between two lines if there is no terminal.
    const SPARSE: Duration = Duration::from_secs(10);
    /// On a terminal with fewer columns, there is no room for a bar.
    const NARROW: u16 = 60;

    /// `done` resources of `total` (if the server said it) and `bytes` have arrived.
    pub fn at(&mut self, done: u64, total: Option<u64>, bytes: u64) {
        if let Some(bar) = &self.bar {
            let seconds = self.started.elapsed().as_secs_f64().max(0.1);
            #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
            let rate = done as f64 / seconds;
            let so_far = format!("{}, {rate:.0}/s", size(bytes));
            let is_narrow = Term::stderr().size().1 < Self::NARROW;
            let message = if let Some(total) = total.filter(|total| *total >= done) {
                bar.set_length(total);
                #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
                let left = (total - done) as f64 / rate.max(0.01);
                // A line that is too long would be wrapped and then not be removed.
                let (template, left) = if is_narrow {
                    ("{prefix} {pos}/{len} {wide_msg}", format!("{left:.0} s left"))
                } else {
                    ("{prefix} {pos}/{len} {wide_bar} {msg}", format!("{so_far}, {left:.0} s left"))
                };
                bar.set_style(style(template));
                left
            } else {
                bar.set_style(style("{prefix} {pos} {spinner} {wide_msg}"));
                so_far
            };
            bar.set_position(done);
            bar.set_message(message);
        } else if self.wanted && self.last_line.elapsed() >= Self::SPARSE {
            self.last_line = Instant::now();
            let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
            self.output.say(format!("{}: {done}{of}, {}", self.what, size(bytes)));
        }
    }

    /// Removes the display. The caller prints what follows.
    pub fn finish(self) {}
}

impl Drop for Progress {
    /// Whatever ended it, the next message starts on a new line.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            *self.output.1.bar() = None;
            bar.finish_and_clear();
        }
    }
}

/// One line that changes on a terminal, or a line from time to time elsewhere.
pub struct StatusLine {
    bar: Option<ProgressBar>,
    output: Output,
    last_line: Instant,
}

impl StatusLine {
    /// Time between two lines if there is no terminal. They may be mailed in the morning.
    const SPARSE: Duration = Duration::from_secs(60);

    /// Shows another text.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text());
            bar.tick();
        } else if self.output.shows_progress() && self.last_line.elapsed() >= Self::SPARSE {
            self.last_line = Instant::now();
            self.output.say(text());
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            *self.output.1.bar() = None;
            bar.finish_and_clear();
        }
    }
}

/// Discards what was typed before the question: it is not an answer, and the terminal has already shown it.
fn discard_type_ahead() {
    #[cfg(unix)]
    let _ = rustix::termios::tcflush(stdin(), rustix::termios::QueueSelector::IFlush);
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
}

/// A count with its noun: "1 row", "2 rows".
#[must_use]
pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A number of bytes as people write it: `1.4 MB`.
#[must_use]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_read_as_people_say_them() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(1_400_000), "1.4 MB");
        assert_eq!(size(999_960), "1.0 MB");
    }
}
