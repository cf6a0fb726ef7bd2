//! The `biomarker` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    biomarker::cli::main()
}
