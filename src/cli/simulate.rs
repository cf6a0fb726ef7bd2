//! `biomarker simulate`: a dataset with known truth.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::console::{self, Console};
use super::{Common, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::simulated;
use crate::pipeline::sweep::{self, Sweep};
use crate::simulate::{
    NeuroblastomaSettings, PhantomModel, PhantomSettings, Preset, SimulatedCohort,
    UltramarathonSettings, neuroblastoma, phantom, ultramarathon,
};

/// Options of `biomarker simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// neuroblastoma, ultramarathon, or a model such as adc.
    what: String,
    /// Folder of the dataset.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// How many participants and how large the images.
    #[arg(long, value_enum, default_value = "small")]
    preset: Size,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// No noise: signals are the equation, stored in floating point.
    #[arg(long)]
    noise_free: bool,
    /// Instead of a dataset: change one thing after the other (snr, contamination, junk, `b_values`,
    /// gate, sigma, order; all where none is named), run the pipeline on each, and report.
    #[arg(long, value_name = "NAME", num_args = 0.., conflicts_with = "noise_free")]
    sweep: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Size {
    /// A few participants, a few megabytes.
    Small,
    /// As many participants as the published studies.
    Abstract,
}

/// Writes the dataset; files of the same name are replaced, others in the folder are left alone.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
    if let Some(names) = &options.sweep {
        return swept(options, names, common);
    }
    let told = |name: &str| {
        if !common.quiet {
            console::note(name);
        }
    };
    let written = cohort(options).and_then(|cohort| {
        simulated::write(&cohort, &options.output, &told)?;
        Ok(cohort.n_studies())
    });
    let n_studies = written.map_err(|error| vec![error])?;
    console::print(&format!("{n_studies} studies: {}", options.output.display()));
    Ok(ExitCode::SUCCESS)
}

/// Runs sweeps and writes their table and page.
fn swept(options: &Options, names: &[String], common: &Common) -> Outcome {
    let sweeps = sweeps(options, names).map_err(|error| vec![error])?;
    let design = (options.preset.preset(), options.seed);
    let console = Console::new(common.quiet);
    let points = sweep::points(&sweeps, design, &console);
    drop(console);
    points
        .and_then(|points| sweep::write(&points, design, &options.output))
        .map_err(|error| vec![error])?;
    console::print(&format!(
        "{} sweeps: {}",
        sweeps.len(),
        options.output.join("sweeps.md").display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn sweeps(options: &Options, names: &[String]) -> Result<Vec<Sweep>> {
    if options.what != "neuroblastoma" {
        let message = format!("there are no sweeps of `{}`", options.what);
        return Err(Error::new(ErrorKind::Usage, message).hint("simulate neuroblastoma --sweep"));
    }
    if names.is_empty() {
        return Ok(Sweep::ALL.to_vec());
    }
    let named = |name: &String| Sweep::from_name(name).map_err(|e| e.with_kind(ErrorKind::Usage));
    names.iter().map(named).collect()
}

impl Size {
    fn preset(self) -> Preset {
        match self {
            Self::Small => Preset::Small,
            Self::Abstract => Preset::Abstract,
        }
    }
}

fn cohort(options: &Options) -> Result<SimulatedCohort> {
    let preset = options.preset.preset();
    match options.what.as_str() {
        "neuroblastoma" => {
            let settings = NeuroblastomaSettings::new(preset, options.seed);
            neuroblastoma(if options.noise_free { settings.noise_free() } else { settings })
        }
        "ultramarathon" => {
            let settings = UltramarathonSettings::new(preset, options.seed);
            ultramarathon(if options.noise_free { settings.noise_free() } else { settings })
        }
        name => {
            let model = PhantomModel::from_name(name).map_err(|_| unknown(name))?;
            let snr = (!options.noise_free).then_some(50.0);
            phantom(PhantomSettings { model, seed: options.seed, snr })
        }
    }
}

fn unknown(name: &str) -> Error {
    let models: Vec<&str> = PhantomModel::ALL.into_iter().map(PhantomModel::name).collect();
    Error::new(ErrorKind::Usage, format!("`{name}` cannot be simulated"))
        .hint(format!("one of neuroblastoma, ultramarathon, {}", models.join(", ")))
}
