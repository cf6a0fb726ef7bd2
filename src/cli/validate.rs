//! `biomarker validate`: public reference values side by side with ours.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::{Common, Outcome, console};
use crate::error::Result;
use crate::pipeline::validate::{Report, Verdict, validate};

/// Exit code of a quality gate that failed.
const GATE_FAILED: u8 = 7;

/// Options of `biomarker validate`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Folder of the validation data.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder of `real_data.md`.
    #[arg(long, short, value_name = "DIR", default_value = "reports/validation")]
    output: PathBuf,
}

/// Compares, writes the page, and says how many agree; exit code 7 where one does not.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
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
    let report = validate(&options.data)?;
    report.write(&options.output)?;
    Ok(report)
}
