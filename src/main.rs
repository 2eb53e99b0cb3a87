//! Starts the program and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(bbdl::commands::main().code())
}
