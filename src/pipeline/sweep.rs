//! How far the method bends: one property of the simulated cohort or one setting of the pipeline is
//! changed step by step, everything else stays as it is designed.

mod page;

use std::path::Path;

use super::observer::Observer;
use super::trial::{Outcome, outcomes};
use crate::error::{Error, Result};
use crate::io::{atomic, parquet, text_table};
use crate::simulate::{NeuroblastomaSettings, Preset};
use crate::table::Table;
use crate::table::schemas::SWEEPS;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// Signal over σ of both images.
    SignalToNoise,
    /// Fraction of contaminant of every tumour.
    Contamination,
    /// Fraction of voxels that hold almost no signal.
    Junk,
    /// Diffusion weightings.
    BValues,
    /// Largest uncertainty of a kept voxel, and stability in its place.
    Gate,
    /// Error of the noise level that is assumed.
    Sigma,
    /// What comes first, and how the reported habitat is summarised.
    Order,
}

/// One step: a cohort and the changes of the pipeline that are run on it.
struct Step {
    settings: NeuroblastomaSettings,
    /// Name and changes.
    runs: Vec<(String, Vec<String>)>,
}

/// One value of a sweep, one class, one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Name of the sweep.
    pub sweep: &'static str,
    /// Value, or name of the setting.
    pub value: String,
    /// Class of the tumours.
    pub class: String,
    /// `adc` or `iauc60`.
    pub parameter: String,
    /// Tumours, and how many of them have a number by the method.
    pub n: [usize; 2],
    /// Mean over the tumours of estimate/truth − 1: naive, by the method, and without a gate.
    pub bias: [Option<f64>; 3],
    /// The largest of those by the method, without sign.
    pub worst: Option<f64>,
    /// Mean fraction of kept voxels.
    pub kept_fraction: f64,
    /// Share of the tumours whose truth lies within 1.96 standard errors.
    pub coverage: Option<f64>,
}

impl Sweep {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SignalToNoise,
        Self::Contamination,
        Self::Junk,
        Self::BValues,
        Self::Gate,
        Self::Sigma,
        Self::Order,
    ];

    /// Name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignalToNoise => "snr",
            Self::Contamination => "contamination",
            Self::Junk => "junk",
            Self::BValues => "b_values",
            Self::Gate => "gate",
            Self::Sigma => "sigma",
            Self::Order => "order",
        }
    }

    /// The sweep called `name`.
    ///
    /// # Errors
    ///
    /// `Value` with the names there are.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|sweep| sweep.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            Error::value(format!("`{name}` is no sweep"))
                .at_field("sweep")
                .hint(format!("one of {}", names.join(", ")))
        })
    }

    /// One sentence for the page.
    fn description(self) -> &'static str {
        match self {
            Self::SignalToNoise => {
                "S₀/σ of the diffusion images; that of the dynamic images before contrast is a third \
                 of it."
            }
            Self::Contamination => "Fraction of every tumour that is necrosis, cyst or stroma.",
            Self::Junk => {
                "Fraction of the voxels of the diffusion images with 5–25 % of the signal."
            }
            Self::BValues => "Diffusion weightings, s/mm².",
            Self::Gate => {
                "Largest relative uncertainty of a kept voxel; or stability of its habitat."
            }
            Self::Sigma => "σ given to the pipeline over the true σ.",
            Self::Order => "What comes first, and how the reported habitat is summarised.",
        }
    }

    fn steps(self, design: &NeuroblastomaSettings) -> Vec<Step> {
        match self {
            Self::SignalToNoise => {
                each(&[10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 100.0], |snr| NeuroblastomaSettings {
                    diffusion_snr: Some(snr),
                    dynamic_snr: Some(snr / 3.0),
                    ..design.clone()
                })
            }
            Self::Contamination => each(&[0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9], |fraction| {
                NeuroblastomaSettings { contaminant_fraction: Some(fraction), ..design.clone() }
            }),
            Self::Junk => each(&[0.0, 0.05, 0.1, 0.2, 0.3], |junk_fraction| {
                NeuroblastomaSettings { junk_fraction, ..design.clone() }
            }),
            Self::BValues => {
                B_VALUES.iter().map(|b_values| with_b_values(design, b_values)).collect()
            }
            Self::Gate => {
                let mut runs: Vec<_> = [0.05, 0.075, 0.10, 0.15, 0.20, 0.30]
                    .into_iter()
                    .map(|maximum| {
                        changed(maximum.to_string(), "gate.maximum_uncertainty", maximum)
                    })
                    .collect();
                runs.push(changed("stability 0.7".into(), "gate.minimum_stability", 0.7));
                vec![Step { settings: design.clone(), runs }]
            }
            Self::Sigma => vec![sigma(design)],
            Self::Order => vec![Step { settings: design.clone(), runs: orders() }],
        }
    }
}

const B_VALUES: [&[f64]; 4] = [
    &[0.0, 800.0],
    &[0.0, 500.0, 1000.0],
    &[0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0],
    &[50.0, 400.0, 800.0],
];

fn each(values: &[f64], settings: impl Fn(f64) -> NeuroblastomaSettings) -> Vec<Step> {
    let step = |&value: &f64| Step {
        settings: settings(value),
        runs: vec![(value.to_string(), Vec::new())],
    };
    values.iter().map(step).collect()
}

fn with_b_values(design: &NeuroblastomaSettings, b_values: &[f64]) -> Step {
    let names: Vec<String> = b_values.iter().map(f64::to_string).collect();
    Step {
        settings: NeuroblastomaSettings { b_values_s_per_mm2: b_values.to_vec(), ..design.clone() },
        runs: vec![(names.join(" "), Vec::new())],
    }
}

fn changed(name: String, key: &str, value: f64) -> (String, Vec<String>) {
    (name, vec![format!("{key}={value}")])
}

/// The designed σ, known here because the cohort is simulated, times a factor.
fn sigma(design: &NeuroblastomaSettings) -> Step {
    let given = |factor: f64| {
        let sigma = |snr: Option<f64>| factor * design.reference_signal() / snr.unwrap_or(60.0);
        let of_fit = |fit: &str, sigma: f64| {
            [format!("fit.{fit}.noise.method=given"), format!("fit.{fit}.noise.sigma={sigma}")]
        };
        let changes = [
            of_fit("adc", sigma(design.diffusion_snr)),
            of_fit("iauc60", sigma(design.dynamic_snr)),
        ];
        (factor.to_string(), changes.concat())
    };
    Step { settings: design.clone(), runs: [0.7, 0.85, 1.0, 1.15, 1.3].map(given).to_vec() }
}

fn orders() -> Vec<(String, Vec<String>)> {
    let of_both = |changes: &[&str]| -> Vec<String> {
        let fits = ["adc", "iauc60"].into_iter();
        fits.flat_map(|fit| changes.iter().map(move |change| format!("fit.{fit}.{change}")))
            .collect()
    };
    let first = "habitat.order=cluster_gate";
    [
        ("gate, clusters; moments", of_both(&["habitat.summary=moments"])),
        ("gate, clusters; mixture component", of_both(&["habitat.summary=mixture_component"])),
        ("gate, clusters; mean signal", of_both(&["habitat.summary=mean_signal"])),
        ("clusters, gate; moments", of_both(&[first, "habitat.summary=moments"])),
        (
            "clusters, gate by the habitat's mean; moments",
            of_both(&[first, "habitat.summary=moments", "gate.relative_to=habitat_mean"]),
        ),
        (
            "fit, clusters, fit",
            of_both(&["habitat.order=fit_cluster_fit", "habitat.summary=gaussian_histogram"]),
        ),
    ]
    .map(|(name, changes)| (name.to_owned(), changes))
    .to_vec()
}

/// Every point of `sweeps`, in their order.
///
/// # Errors
///
/// As the simulation and the runs.
pub fn points(
    sweeps: &[Sweep],
    (preset, seed): (Preset, u64),
    observer: &dyn Observer,
) -> Result<Vec<Point>> {
    let design = NeuroblastomaSettings::new(preset, seed);
    let mut points = Vec::new();
    for sweep in sweeps {
        for step in sweep.steps(&design) {
            let changes: Vec<Vec<String>> =
                step.runs.iter().map(|(_, changes)| changes.clone()).collect();
            let all = outcomes(&step.settings, &changes, observer)?;
            for ((value, _), outcomes) in step.runs.iter().zip(all) {
                points.extend(summarised(sweep.name(), value, &outcomes));
            }
        }
    }
    Ok(points)
}

fn summarised(sweep: &'static str, value: &str, outcomes: &[Outcome]) -> Vec<Point> {
    let mut groups: Vec<(&str, &str)> = Vec::new();
    for outcome in outcomes {
        let group = (outcome.parameter.as_str(), outcome.class.as_str());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups.sort_by_key(|(parameter, _)| *parameter);
    let point = |&(parameter, class): &(&str, &str)| {
        let of_group =
            |o: &&Outcome| (o.parameter.as_str(), o.class.as_str()) == (parameter, class);
        let members: Vec<&Outcome> = outcomes.iter().filter(of_group).collect();
        let errors = |of: fn(&Outcome) -> Option<f64>| -> Vec<f64> {
            members.iter().filter_map(|o| Some(of(o)? / o.truth - 1.0)).collect()
        };
        let method = errors(|outcome| outcome.method);
        let held: Vec<f64> = members.iter().filter_map(|outcome| holds(outcome)).collect();
        let kept: Vec<f64> = members.iter().map(|outcome| outcome.kept_fraction).collect();
        Point {
            sweep,
            value: value.to_owned(),
            class: class.to_owned(),
            parameter: parameter.to_owned(),
            n: [members.len(), method.len()],
            bias: [
                mean(&errors(|outcome| outcome.naive)),
                mean(&method),
                mean(&errors(|outcome| outcome.shrunken)),
            ],
            worst: method.iter().map(|error| error.abs()).reduce(f64::max),
            kept_fraction: mean(&kept).unwrap_or(0.0),
            coverage: mean(&held),
        }
    };
    groups.iter().map(point).collect()
}

/// 1 where the truth lies within 1.96 standard errors, else 0.
fn holds(outcome: &Outcome) -> Option<f64> {
    let error = (outcome.method? - outcome.truth).abs();
    Some(f64::from(u8::from(error <= 1.96 * outcome.standard_error?)))
}

fn mean(values: &[f64]) -> Option<f64> {
    crate::statistics::moments::mean(values)
}

/// Writes `sweeps.parquet`, `sweeps.tsv` and `sweeps.md` into `folder`.
///
/// # Errors
///
/// `Create` or `Write` as of the file system.
pub fn write(points: &[Point], (preset, seed): (Preset, u64), folder: &Path) -> Result<()> {
    let mut table = Table::new(&SWEEPS);
    for point in points {
        let [naive, method, shrunken] = point.bias.map(|bias| bias.map(|bias| 100.0 * bias));
        table
            .row()
            .text("sweep", point.sweep)
            .text("value", &point.value)
            .text("class", &point.class)
            .text("parameter", &point.parameter)
            .integer("n", point.n[0])
            .integer("method_n", point.n[1])
            .optional_real("naive_bias_percent", naive)
            .optional_real("method_bias_percent", method)
            .optional_real("shrunken_bias_percent", shrunken)
            .optional_real("method_worst_percent", point.worst.map(|worst| 100.0 * worst))
            .real("kept_fraction", point.kept_fraction)
            .optional_real("coverage_95", point.coverage)
            .finish()?;
    }
    parquet::write(&folder.join("sweeps.parquet"), &table)?;
    text_table::write(&folder.join("sweeps.tsv"), &table)?;
    let page = page::render(points, (preset, seed));
    atomic::write(&folder.join("sweeps.md"), page.as_bytes())
}
