//! Parse, run, print the error, exit. Nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(bbdl::commands::main().code())
}
