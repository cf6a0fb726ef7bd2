//! `biomarker validate`: public reference values side by side with ours, and how often intervals hold
//! the truth.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::console::{self, Console};
use super::{Common, Outcome};
use crate::error::Result;
use crate::pipeline::validate::{
    Check, CoverageSettings, Report, Verdict, cohort, coverage, knees, validate,
};
use crate::simulate::Preset;

/// Exit code of a quality gate that failed.
const GATE_FAILED: u8 = 7;

/// Options of `biomarker validate`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Folder of the validation data.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["coverage", "cohort", "knees"])]
    data: Option<PathBuf>,
    /// Count instead how often intervals of pseudo-experiments hold the truth, on simulated voxels.
    #[arg(long, value_name = "VOXELS", num_args = 0..=1, default_missing_value = "4000", conflicts_with = "data")]
    coverage: Option<usize>,
    /// Simulate the cohort of tumours under so many seeds instead, and measure it end to end.
    #[arg(long, value_name = "SEEDS", num_args = 0..=1, default_missing_value = "6", conflicts_with_all = ["data", "coverage"])]
    cohort: Option<u64>,
    /// Simulate the cohort of runners under so many seeds instead, and measure their knees end to end.
    #[arg(long, value_name = "SEEDS", num_args = 0..=1, default_missing_value = "3", conflicts_with_all = ["data", "coverage", "cohort"])]
    knees: Option<u64>,
    /// Folder of `real_data.md`, `coverage.md`, `neuroblastoma.md` or `cartilage.md`.
    #[arg(long, short, value_name = "DIR", default_value = "reports/validation")]
    output: PathBuf,
}

/// Compares, writes the page, and says how many agree; exit code 7 where one does not.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
    if let Some(n_voxels) = options.coverage {
        return counted(options, n_voxels, common);
    }
    if let Some(n_seeds) = options.cohort {
        return tumours(options, n_seeds, common);
    }
    if let Some(n_seeds) = options.knees {
        return runners(options, n_seeds, common);
    }
    let report = compared(options).map_err(|error| vec![error])?;
    let count = |verdict: Verdict| report.comparisons().filter(|c| c.verdict() == verdict).count();
    let [agree, disagree, shown] = [Verdict::Agrees, Verdict::Disagrees, Verdict::Shown].map(count);
    let absent: Vec<&str> = report
        .sections
        .iter()
        .filter(|section| !section.absent.is_empty())
        .map(|section| section.title)
        .collect();
    let page = options.output.join("real_data.md");
    if common.json {
        let result = json!({
            "output": page, "agree": agree, "disagree": disagree, "shown": shown, "absent": absent,
        });
        console::print(&result.to_string());
    } else {
        console::print(&format!(
            "{agree} agree, {disagree} disagree, {shown} shown, {} datasets absent: {}",
            absent.len(),
            page.display()
        ));
    }
    Ok(if report.agrees() { ExitCode::SUCCESS } else { ExitCode::from(GATE_FAILED) })
}

fn compared(options: &Options) -> Result<Report> {
    let report = validate(options.data.as_deref().unwrap_or_else(|| Path::new(".")))?;
    report.write(&options.output)?;
    Ok(report)
}

/// Simulates, writes the page, and says how many rows hold. Rows that do not are what the page is
/// for, no failure.
fn counted(options: &Options, n_voxels: usize, common: &Common) -> Outcome {
    let settings = CoverageSettings { n_voxels, ..CoverageSettings::default() };
    let report = coverage(settings)
        .and_then(|report| report.write(&options.output).map(|()| report))
        .map_err(|error| vec![error])?;
    let page = options.output.join("coverage.md");
    let n_rows = report.cells().count();
    let holding = report.cells().filter(|cell| cell.holds(settings.n_replicates)).count();
    if common.json {
        let result = json!({ "output": page, "rows": n_rows, "hold": holding });
        console::print(&result.to_string());
    } else {
        console::print(&format!("{holding} of {n_rows} rows hold: {}", page.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Simulates the cohort of tumours, measures it and writes the page.
fn tumours(options: &Options, n_seeds: u64, common: &Common) -> Outcome {
    let console = Console::new(common.quiet);
    let report = cohort(Preset::Abstract, &seeds(n_seeds), &console);
    drop(console);
    let checks = report
        .and_then(|report| report.write(&options.output).and_then(|()| report.checks()))
        .map_err(|error| vec![error])?;
    Ok(demanded(&options.output.join("neuroblastoma.md"), &checks, common))
}

/// Simulates the cohort of runners, measures it and writes the page.
fn runners(options: &Options, n_seeds: u64, common: &Common) -> Outcome {
    let console = Console::new(common.quiet);
    let report = knees(Preset::Abstract, &seeds(n_seeds), &console);
    drop(console);
    let checks = report
        .and_then(|report| report.write(&options.output).map(|()| report.checks()))
        .map_err(|error| vec![error])?;
    Ok(demanded(&options.output.join("cartilage.md"), &checks, common))
}

fn seeds(n: u64) -> Vec<u64> {
    (1..=n.max(1)).collect()
}

/// Says how many demands hold; exit code 7 where one does not.
fn demanded(page: &Path, checks: &[Check], common: &Common) -> ExitCode {
    let holding = checks.iter().filter(|check| check.holds()).count();
    if common.json {
        let result = json!({ "output": page, "demands": checks.len(), "hold": holding });
        console::print(&result.to_string());
    } else {
        console::print(&format!("{holding} of {} demands hold: {}", checks.len(), page.display()));
    }
    if holding == checks.len() { ExitCode::SUCCESS } else { ExitCode::from(GATE_FAILED) }
}
