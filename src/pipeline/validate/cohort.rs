//! The designed cohort of neuroblastic tumours, end to end, beside the numbers it was designed to.

mod page;

use std::path::Path;

use crate::cohort::{
    ClassSummary, ClassTests, Contrast, Selection, Summary, Tumour, class_summaries, class_tests,
};
use crate::error::Result;
use crate::io::atomic;
use crate::pipeline::observer::Observer;
use crate::pipeline::trial::{Outcome, outcomes};
use crate::simulate::{NeuroblastomaSettings, Preset};
use crate::statistics::roc::Direction;

/// The parameters of the cohort, with what brings them to the unit of the page.
const PARAMETERS: [Parameter; 2] = [
    Parameter { name: "adc", unit: "10⁻³ mm²/s", factor: 1e3, limit: 0.03, digits: 3 },
    Parameter { name: "iauc60", unit: "mM·s", factor: 1.0, limit: 0.5, digits: 2 },
];

/// Classes, most differentiated first.
const CLASSES: [&str; 3] = ["GN", "GNB", "NB"];
/// Largest error of a spread between tumours, percentage points.
const PERCENT_LIMIT: f64 = 3.0;

#[derive(Debug, Clone, Copy)]
struct Parameter {
    name: &'static str,
    unit: &'static str,
    factor: f64,
    /// Largest error of a class mean, in `unit`.
    limit: f64,
    digits: usize,
}

/// A way to the number of a tumour.
#[derive(Debug, Clone)]
struct Way {
    /// As the page calls it.
    name: &'static str,
    /// Changes of the shipped pipeline.
    changes: Vec<String>,
}

/// The ways that are compared; the first is the shipped pipeline.
fn ways() -> Vec<Way> {
    let set = |changes: &[&str]| changes.iter().map(|&change| change.to_owned()).collect();
    vec![
        Way { name: "shipped pipeline", changes: Vec::new() },
        Way {
            name: "means of the k-means clusters",
            changes: set(&[
                "fit.adc.habitat.summary=moments",
                "fit.iauc60.habitat.summary=moments",
            ]),
        },
        Way {
            name: "clusters before the gate, moments",
            changes: set(&[
                "fit.adc.habitat.order=cluster_gate",
                "fit.adc.habitat.summary=moments",
                "fit.iauc60.habitat.order=cluster_gate",
                "fit.iauc60.habitat.summary=moments",
            ]),
        },
        Way {
            name: "fit, cluster, fit",
            changes: set(&[
                "fit.adc.habitat.order=fit_cluster_fit",
                "fit.adc.habitat.summary=gaussian_histogram",
                "fit.iauc60.habitat.order=fit_cluster_fit",
                "fit.iauc60.habitat.summary=gaussian_histogram",
            ]),
        },
    ]
}

/// Every way on one cohort.
#[derive(Debug, Clone)]
struct Run {
    seed: u64,
    /// One per way.
    outcomes: Vec<Vec<Outcome>>,
}

/// The cohort under every seed.
#[derive(Debug, Clone)]
pub struct CohortReport {
    runs: Vec<Run>,
    ways: Vec<Way>,
}

/// One class of one parameter under one seed.
#[derive(Debug, Clone)]
struct ClassOutcome {
    naive: ClassSummary,
    method: ClassSummary,
    /// Mean and percent over the true means of the tumours.
    truth: [f64; 2],
}

/// One demand on the shipped pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is demanded.
    pub what: String,
    /// The largest error over the seeds; infinite where a class has no number.
    pub worst: f64,
    /// The largest that is allowed.
    pub limit: f64,
}

impl Check {
    /// Whether the demand is met.
    pub fn holds(&self) -> bool {
        self.worst <= self.limit
    }
}

/// Simulates the cohort of the abstract under each of `seeds` and measures it in every way.
///
/// # Errors
///
/// As [`outcomes`].
pub fn cohort(preset: Preset, seeds: &[u64], observer: &dyn Observer) -> Result<CohortReport> {
    let ways = ways();
    let changes: Vec<Vec<String>> = ways.iter().map(|way| way.changes.clone()).collect();
    let run = |&seed: &u64| {
        let settings = NeuroblastomaSettings::new(preset, seed);
        outcomes(&settings, &changes, observer).map(|outcomes| Run { seed, outcomes })
    };
    Ok(CohortReport { runs: seeds.iter().map(run).collect::<Result<_>>()?, ways })
}

impl CohortReport {
    /// What the shipped pipeline must hold under every seed.
    ///
    /// # Errors
    ///
    /// Where a class cannot be summarised.
    pub fn checks(&self) -> Result<Vec<Check>> {
        let mut checks = Vec::new();
        for parameter in PARAMETERS {
            for class in CLASSES {
                let (mut mean, mut percent) = (0.0_f64, 0.0_f64);
                for run in &self.runs {
                    let found = class_outcome(&run.outcomes[0], parameter, class)?;
                    let error = |value: Option<f64>, truth: f64| {
                        value.map_or(f64::INFINITY, |value| (value - truth).abs())
                    };
                    let [true_mean, true_percent] = found.truth;
                    mean = mean.max(error(found.method.mean, true_mean) * parameter.factor);
                    percent = percent.max(error(found.method.percent_uncertainty, true_percent));
                }
                let what =
                    |of: &str| format!("{} {} {class}: {of}", parameter.name, parameter.unit);
                checks.push(Check { what: what("mean"), worst: mean, limit: parameter.limit });
                let what = format!("{} {class}: percent between tumours", parameter.name);
                checks.push(Check { what, worst: percent, limit: PERCENT_LIMIT });
            }
        }
        Ok(checks)
    }

    /// Writes `neuroblastoma.md` into `folder`.
    ///
    /// # Errors
    ///
    /// `Create` or `Write` as of the file system.
    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic::write(&folder.join("neuroblastoma.md"), page::render(self)?.as_bytes())
    }
}

/// Tumours of one parameter as the cohort statistics take them.
fn tumours(outcomes: &[Outcome], parameter: Parameter) -> Vec<Tumour> {
    let summary = |mean: f64, standard_error| Summary {
        mean,
        standard_deviation: None,
        n: 1,
        standard_error,
    };
    let of_parameter = outcomes.iter().filter(|outcome| outcome.parameter == parameter.name);
    let mut tumours: Vec<Tumour> = of_parameter
        .map(|outcome| Tumour {
            subject: outcome.participant_id.clone(),
            class: outcome.class.clone(),
            naive: outcome.naive.map(|mean| summary(mean, None)),
            method: outcome.method.map(|mean| summary(mean, outcome.standard_error)),
        })
        .collect();
    tumours.sort_by_key(|tumour| CLASSES.iter().position(|class| *class == tumour.class));
    tumours
}

fn class_outcome(outcomes: &[Outcome], parameter: Parameter, class: &str) -> Result<ClassOutcome> {
    let mut tumours = tumours(outcomes, parameter);
    tumours.retain(|tumour| tumour.class == class);
    let mut both = class_summaries(&tumours)?.into_iter();
    let of_class =
        |outcome: &&Outcome| outcome.parameter == parameter.name && outcome.class == class;
    for tumour in &mut tumours {
        let truth = outcomes.iter().filter(of_class).find(|o| o.participant_id == tumour.subject);
        tumour.naive = truth.map(|outcome| Summary {
            mean: outcome.truth,
            standard_deviation: None,
            n: 1,
            standard_error: None,
        });
    }
    let truth = class_summaries(&tumours)?.into_iter().next();
    let truth = truth.map(|t| [t.mean, t.percent_uncertainty].map(|x| x.unwrap_or(f64::NAN)));
    match (both.next(), both.next()) {
        (Some(naive), Some(method)) => {
            Ok(ClassOutcome { naive, method, truth: truth.unwrap_or([f64::NAN; 2]) })
        }
        _ => Err(crate::error::Error::internal(format!("no tumour of class {class}"))),
    }
}

/// Tests between the classes of one parameter, naive and by the method.
fn tests(outcomes: &[Outcome], parameter: Parameter) -> Result<[ClassTests; 2]> {
    let tumours = tumours(outcomes, parameter);
    let contrast = Contrast {
        positive: vec!["NB".into()],
        negative: vec!["GN".into(), "GNB".into()],
        direction: match parameter.name {
            "adc" => Direction::LowerIsPositive,
            _ => Direction::HigherIsPositive,
        },
    };
    let tests = |selection| class_tests(&tumours, selection, Some(&contrast));
    Ok([tests(Selection::Naive)?, tests(Selection::Method)?])
}

/// Share of the tumours whose truth lies within 1.96 standard errors of the method, and their number.
fn coverage(outcomes: &[Outcome], parameter: Parameter) -> (usize, usize) {
    let of_parameter = outcomes.iter().filter(|outcome| outcome.parameter == parameter.name);
    let known = of_parameter.filter_map(|o| Some((o.method? - o.truth, o.standard_error?)));
    let held = |(error, standard_error): (f64, f64)| error.abs() <= 1.96 * standard_error;
    known.fold((0, 0), |(n_held, n), one| (n_held + usize::from(held(one)), n + 1))
}
