//! `biomarker run`: a whole pipeline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::console::{self, Console};
use super::size::parse_size;
use super::{Common, Outcome};
use crate::error::Error;
use crate::io::bids::Filter;
use crate::io::nifti::ReadLimits;
use crate::pipeline::plan::Plan;
use crate::pipeline::run::{Fresh, RunOptions, RunSummary, run as run_plan};

/// Options of `biomarker run`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The pipeline (TOML).
    pipeline: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Seed of all random numbers, instead of the pipeline's.
    #[arg(long, env = "BIOMARKER_SEED")]
    seed: Option<u64>,
    /// Make everything again, whatever is there.
    #[arg(long)]
    fresh: bool,
}

/// Where data come from and go to; shared with `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// BIDS dataset, instead of the pipeline's.
    #[arg(long, env = "BIOMARKER_DATASET", value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// Folder of the results, instead of the pipeline's.
    #[arg(long, env = "BIOMARKER_OUTPUT", value_name = "DIR")]
    output: Option<PathBuf>,
    /// Only these participants.
    #[arg(long, value_name = "LABEL", num_args = 1..)]
    participant_label: Vec<String>,
    /// Only these sessions.
    #[arg(long, value_name = "LABEL", num_args = 1..)]
    session_label: Vec<String>,
    /// Largest series in memory, such as 8G.
    #[arg(long, env = "BIOMARKER_MAX_MEMORY", value_name = "SIZE", value_parser = parse_size)]
    max_memory: Option<u64>,
    /// Change one setting of the pipeline, such as `gate.maximum_uncertainty=0.2`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Place {
    /// The plan with what was typed put over it.
    pub(super) fn plan(&self, pipeline: &Path) -> Result<Plan, Vec<Error>> {
        let mut plan = Plan::read(pipeline, &self.set)?;
        if let Some(dataset) = &self.dataset {
            plan.study.dataset = Some(dataset.clone());
        }
        if let Some(output) = &self.output {
            plan.study.output.clone_from(output);
        }
        Ok(plan)
    }

    /// Which sessions are meant.
    pub(super) fn filter(&self) -> Filter {
        Filter {
            participants: self.participant_label.clone(),
            sessions: self.session_label.clone(),
        }
    }

    /// How much a file may ask for.
    pub(super) fn limits(&self) -> ReadLimits {
        self.max_memory.map_or_else(ReadLimits::default, |max_bytes| ReadLimits { max_bytes })
    }
}

/// Runs the pipeline; exit code 1 where a session failed.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
    let mut plan = options.place.plan(&options.pipeline)?;
    if let Some(seed) = options.seed {
        plan.study.seed = seed;
    }
    let run_options = RunOptions {
        filter: options.place.filter(),
        fresh: if options.fresh { Fresh::Again } else { Fresh::Resume },
        limits: options.place.limits(),
    };
    let console = Console::new(common.quiet);
    let summary = run_plan(&plan, &run_options, &console).map_err(|error| vec![error])?;
    drop(console);
    report(&plan, &summary, common);
    Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn report(plan: &Plan, summary: &RunSummary, common: &Common) {
    let index = plan.study.output.join("index.html");
    if common.json {
        let failed: Vec<_> = summary
            .failed
            .iter()
            .map(|(name, error)| json!({ "session": name, "error": error.to_string() }))
            .collect();
        let result = json!({
            "output": plan.study.output,
            "done": summary.done,
            "cached": summary.cached,
            "failed": failed,
        });
        console::print(&result.to_string());
        return;
    }
    console::print(&format!(
        "{} measured, {} unchanged, {} failed: {}",
        summary.done.len(),
        summary.cached.len(),
        summary.failed.len(),
        index.display()
    ));
}
