//! `biomarker verify`: whether the files of a run are still those that it wrote.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::{Common, Outcome, console};
use crate::error::ErrorKind;
use crate::pipeline::verify;

/// Options of `biomarker verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Output folder of a run.
    output: PathBuf,
}

/// Compares every file with the manifest; the exit code is that of bad data where one differs.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
    let found = verify::verify(&options.output).map_err(|error| vec![error])?;
    if common.json {
        let result = json!({
            "version": found.version,
            "files": found.n_files,
            "missing": found.missing,
            "changed": found.changed,
        });
        console::print(&result.to_string());
    } else {
        found.missing.iter().for_each(|name| console::print(&format!("missing: {name}")));
        found.changed.iter().for_each(|name| console::print(&format!("changed: {name}")));
        console::print(&format!(
            "{} files written by version {}: {} missing, {} changed",
            found.n_files,
            found.version,
            found.missing.len(),
            found.changed.len()
        ));
    }
    if found.is_whole() {
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::from(ErrorKind::Format.exit_code()))
    }
}
