//! Runs the tests of this program like the compiler's own harness, and also ignores those that miss something on this
//! machine ([`super::needs`]). The last lines say what to install.

use std::{panic::resume_unwind, process::ExitCode, thread};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::needs;

/// A function with `#[test]`.
pub struct Test {
    pub name: &'static str,
    pub run: fn(),
}

inventory::collect!(Test);

pub fn main() -> ExitCode {
    let (mut arguments, wanted) = arguments();
    arguments.test_threads = arguments.test_threads.or_else(threads);
    // The program's own name comes first and has no meaning.
    let tests = inventory::iter::<Test>.into_iter();
    let mut tests: Vec<(&str, fn())> =
        tests.map(|test| (test.name.split_once("::").map_or(test.name, |(_, name)| name), test.run)).collect();
    tests.sort_by_key(|(name, _)| *name);
    let is_wanted = |name: &str, part: &String| if arguments.exact { name == part } else { name.contains(part) };
    tests.retain(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| is_wanted(name, part)));
    let trials = tests.into_iter().map(|(name, run)| Trial::ignorable_test(name, move || attempt(name, run)));
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    needs::print_summary();
    conclusion.exit_code()
}

/// How many tests run at once, unless a person sets it. They use the processors a third of the time. The rest is
/// waiting, for a server that is slow on purpose or a program that has to end.
fn threads() -> Option<usize> {
    const TESTS_PER_PROCESSOR: usize = 2;
    thread::available_parallelism().ok().map(|processors| processors.get() * TESTS_PER_PROCESSOR)
}

/// The options, and the parts of names to run. Unlike the compiler's harness, libtest-mimic accepts only one.
fn arguments() -> (Arguments, Vec<String>) {
    const WITH_VALUE: [&str; 6] = ["-Z", "--color", "--format", "--logfile", "--skip", "--test-threads"];
    let (mut options, mut wanted) = (Vec::new(), Vec::new());
    let mut words = std::env::args();
    options.extend(words.next());
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            wanted.push(word);
            continue;
        }
        let has_value = WITH_VALUE.contains(&word.as_str());
        options.push(word);
        options.extend(has_value.then(|| words.next()).flatten());
    }
    (Arguments::from_iter(options), wanted)
}

/// Runs an `async` test.
pub fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

/// Runs a test in a thread with its name, which a panic's message shows.
fn attempt(name: &str, run: fn()) -> Result<Completion, Failed> {
    let body = move || {
        run();
        needs::missed()
    };
    match thread::Builder::new().name(name.to_owned()).spawn(body)?.join() {
        Ok(None) => Ok(Completion::Completed),
        Ok(Some(reason)) => Ok(Completion::ignored_with(reason)),
        Err(panic) => resume_unwind(panic),
    }
}
