//! `biomarker check`: everything that can be wrong before a run, at once.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::run::Place;
use super::{Common, Outcome, console};
use crate::pipeline::check;

/// Options of `biomarker check`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The pipeline (TOML).
    pipeline: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Checks pipeline, dataset and headers; fits nothing and writes nothing.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
    let plan = options.place.plan(&options.pipeline)?;
    let findings = check::check(&plan, &options.place.filter(), &options.place.limits())
        .map_err(|error| vec![error])?;
    let n_sessions = findings.n_sessions;
    if common.json {
        let errors: Vec<String> = findings.errors.iter().map(ToString::to_string).collect();
        let result = json!({
            "sessions": n_sessions,
            "series": findings.n_series,
            "errors": errors,
            "warnings": findings.warnings,
        });
        console::print(&result.to_string());
    } else {
        findings.warnings.iter().for_each(|warning| console::print(&format!("warning: {warning}")));
        console::print(&format!(
            "{n_sessions} sessions, {} series: {} errors, {} warnings",
            findings.n_series,
            findings.errors.len(),
            findings.warnings.len()
        ));
    }
    if findings.errors.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(findings.errors) }
}
