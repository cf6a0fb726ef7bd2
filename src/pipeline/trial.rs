//! One simulated cohort through the whole way: written as a dataset, run as a pipeline, compared
//! with its truth. Nothing but the files goes from one to the other.

pub mod knees;

use std::collections::BTreeMap;
use std::path::Path;

use super::observer::Observer;
use super::plan::Plan;
use super::run::{Fresh, RunOptions, run};
use super::simulated;
use super::spec::Spec;
use crate::error::{Error, ErrorKind, Result};
use crate::io::parquet;
use crate::simulate::{NeuroblastomaSettings, SimulatedCohort, TruthRow, neuroblastoma};
use crate::table::Table;
use crate::table::schemas::TUMOURS;

/// The pipeline of the simulated cohort, as it is shipped.
const PIPELINE: (&str, &str) = (
    "pipelines/neuroblastoma_cohort.toml",
    include_str!("../../pipelines/neuroblastoma_cohort.toml"),
);

/// One parameter of one tumour, measured and true.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Such as `sub-01`.
    pub participant_id: String,
    /// Class of the tumour.
    pub class: String,
    /// `adc`, `iauc60` or a variant of it.
    pub parameter: String,
    /// True mean over the viable voxels, unit of the parameter.
    pub truth: f64,
    /// Mean over all voxels.
    pub naive: Option<f64>,
    /// Mean by the method; `None` where too little is left.
    pub method: Option<f64>,
    /// Standard error of the latter.
    pub standard_error: Option<f64>,
    /// Mean without a gate; `None` where it cannot be had.
    pub shrunken: Option<f64>,
    /// Fraction of the voxels that the gate kept.
    pub kept_fraction: f64,
}

/// Simulates one cohort, runs the shipped pipeline once with each of `changes`, and compares; the
/// results in that order. Everything on the disk is gone afterwards.
///
/// Changes are as those of `--set`, such as `gate.maximum_uncertainty=0.2`. A session that fails, as
/// where the images hold too much noise, is a tumour without a number.
///
/// # Errors
///
/// `Create` or `Write` as of the file system; `Configuration` when a change of the pipeline is wrong.
pub fn outcomes(
    settings: &NeuroblastomaSettings,
    changes: &[Vec<String>],
    observer: &dyn Observer,
) -> Result<Vec<Vec<Outcome>>> {
    let folder = tempfile::tempdir()
        .map_err(|error| Error::from_io(ErrorKind::Create, &std::env::temp_dir(), &error))?;
    let dataset = folder.path().join("dataset");
    let cohort = neuroblastoma(settings.clone())?;
    let truth = simulated::write(&cohort, &dataset, &|_| ())?.truth;
    let mut all = Vec::with_capacity(changes.len());
    for (index, changes) in changes.iter().enumerate() {
        let mut plan = plan(PIPELINE, changes)?;
        plan.study.dataset = Some(dataset.clone());
        plan.study.output = folder.path().join(format!("output-{index}"));
        plan.study.seed = settings.seed;
        let options = RunOptions { fresh: Fresh::Again, ..RunOptions::default() };
        run(&plan, &options, observer)?;
        all.push(compared(&plan.study.output, &truth, &classes(&cohort))?);
    }
    Ok(all)
}

/// A shipped pipeline with `changes`.
fn plan((path, text): (&str, &str), changes: &[String]) -> Result<Plan> {
    let spec = Spec::parse(Path::new(path), text.to_owned(), changes);
    let plan = spec.and_then(|spec| Plan::check(&spec));
    plan.map_err(|errors| {
        errors.into_iter().next().unwrap_or_else(|| Error::internal("a plan without a fault"))
    })
}

/// Class of every participant, as the dataset says.
fn classes(cohort: &SimulatedCohort) -> BTreeMap<String, String> {
    let rows = cohort.tables.iter().flat_map(|table| &table.rows);
    rows.filter_map(|row| Some((row.first()?.clone(), row.get(1)?.clone()))).collect()
}

/// One outcome per tumour and parameter, whether the run has a row of it or not.
fn compared(
    output: &Path,
    truth: &[TruthRow],
    classes: &BTreeMap<String, String>,
) -> Result<Vec<Outcome>> {
    let path = output.join("tables/tumours.parquet");
    let tumours =
        if path.exists() { parquet::read(&path, &TUMOURS)? } else { Table::new(&TUMOURS) };
    let viable =
        truth.iter().filter(|row| (row.region.as_str(), row.statistic) == ("viable", "mean"));
    viable.map(|row| outcome(&tumours, row, classes)).collect()
}

fn outcome(
    tumours: &Table,
    truth: &TruthRow,
    classes: &BTreeMap<String, String>,
) -> Result<Outcome> {
    let participants = tumours.texts("participant_id")?;
    let parameters = tumours.texts("parameter")?;
    // Variants of a parameter, such as an area over that of blood, are called after it.
    let is_meant = |row: &usize| {
        participants.get(*row) == Some(truth.participant_id.as_str())
            && parameters.get(*row).is_some_and(|name| name.contains(truth.parameter))
    };
    let row = (0..tumours.n_rows()).find(is_meant);
    let real = |name: &str| -> Result<Option<f64>> {
        let column = tumours.reals(name)?;
        Ok(row.and_then(|row| column.get(row).copied().flatten()))
    };
    let parameter = row.and_then(|row| parameters.get(row)).unwrap_or(truth.parameter);
    Ok(Outcome {
        participant_id: truth.participant_id.clone(),
        class: classes.get(&truth.participant_id).cloned().unwrap_or_default(),
        parameter: parameter.to_owned(),
        truth: truth.value,
        naive: real("naive_mean")?,
        method: real("method_mean")?,
        standard_error: real("method_stderr")?,
        shrunken: real("shrunken_mean")?,
        kept_fraction: real("kept_fraction")?.unwrap_or(0.0),
    })
}
