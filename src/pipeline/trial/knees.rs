//! One simulated cohort of runners through the whole way, and its knees under the movement that is
//! known beside the one that was found.

mod placement;

use std::path::{Path, PathBuf};

pub use placement::{Distances, Place, Placement, placements};

use super::super::observer::Observer;
use super::super::plan::Plan;
use super::super::run::{Fresh, RunOptions, run};
use super::super::simulated::{self, Written};
use super::plan;
use crate::error::{Error, ErrorKind, Result};
use crate::io::parquet;
use crate::simulate::{TruthRow, UltramarathonSettings, ultramarathon};
use crate::table::schemas::{KNEES, PAIRED, REGIONS};
use crate::table::{Schema, Table};

/// The pipeline of the simulated cohort, as it is shipped.
const PIPELINE: (&str, &str) =
    ("pipelines/cartilage_cohort.toml", include_str!("../../../pipelines/cartilage_cohort.toml"));
/// The region of the shipped pipeline.
const REGION: &str = "femoral_cartilage";
const MS_PER_S: f64 = 1e3;

/// One knee in one session, measured and true.
#[derive(Debug, Clone, PartialEq)]
pub struct KneeOutcome {
    /// Such as `sub-01`.
    pub participant_id: String,
    /// Such as `ses-pre`.
    pub session_id: String,
    /// `right` or `left`.
    pub side: String,
    /// `control` or `treated`; empty where there is no row of the knee.
    pub group: String,
    /// Median and 25th percentile of T2, ms; `None` where there is no number.
    pub t2_ms: [Option<f64>; 2],
    /// Standard errors of both by the pseudo-experiments of the region, ms.
    pub t2_stderr_ms: [Option<f64>; 2],
    /// The designed ones over the volume of the cartilage, ms.
    pub t2_truth_ms: [f64; 2],
    /// Mean thickness, mm.
    pub thickness_mm: Option<f64>,
    /// The designed one over the articular surface, mm.
    pub thickness_truth_mm: f64,
}

/// One row of the table `paired`.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedOutcome {
    /// Such as `t2_median`.
    pub endpoint: String,
    /// `control` or `treated`.
    pub group: String,
    /// Mean difference, after − before, in the unit of the endpoint.
    pub mean: Option<f64>,
    /// p of the paired t test.
    pub p_t: Option<f64>,
    /// Exact p of the Wilcoxon signed-rank test.
    pub p_exact: Option<f64>,
}

/// What a run on one cohort says.
#[derive(Debug, Clone, PartialEq)]
pub struct KneeCohort {
    /// Knees by participant, session and side.
    pub knees: Vec<KneeOutcome>,
    /// Paired statistics of untreated and of treated knees.
    pub paired: Vec<PairedOutcome>,
}

/// A cohort on the disk with the truth behind it; gone when dropped.
#[derive(Debug)]
pub struct WrittenCohort {
    folder: tempfile::TempDir,
    seed: u64,
    written: Written,
}

impl WrittenCohort {
    /// Simulates and writes.
    ///
    /// # Errors
    ///
    /// `Create` or `Write` as of the file system; as [`ultramarathon`].
    pub fn new(settings: &UltramarathonSettings) -> Result<Self> {
        let folder = tempfile::tempdir()
            .map_err(|error| Error::from_io(ErrorKind::Create, &std::env::temp_dir(), &error))?;
        let cohort = ultramarathon(settings.clone())?;
        let written = simulated::write(&cohort, &folder.path().join("dataset"), &|_| ())?;
        Ok(Self { folder, seed: settings.seed, written })
    }

    /// Folder of the BIDS dataset.
    pub fn dataset(&self) -> PathBuf {
        self.folder.path().join("dataset")
    }

    /// The shipped pipeline on this cohort with `changes`, such as `gate.maximum_uncertainty=0.2`.
    ///
    /// # Errors
    ///
    /// `Configuration` when a change is wrong.
    pub fn plan(&self, changes: &[String]) -> Result<Plan> {
        let mut plan = plan(PIPELINE, changes)?;
        plan.study.dataset = Some(self.dataset());
        plan.study.output = self.folder.path().join("output");
        plan.study.seed = self.seed;
        Ok(plan)
    }

    /// Runs the shipped pipeline with `changes` and compares its tables with the truth.
    ///
    /// # Errors
    ///
    /// As the run; a session that fails gives knees without numbers.
    pub fn run(&self, changes: &[String], observer: &dyn Observer) -> Result<KneeCohort> {
        let plan = self.plan(changes)?;
        run(&plan, &RunOptions { fresh: Fresh::Again, ..RunOptions::default() }, observer)?;
        let table = |schema: &'static Schema| read(&plan.study.output, schema);
        let tables = Tables { knees: table(&KNEES)?, regions: table(&REGIONS)? };
        let is_knee = |row: &&TruthRow| (row.parameter, row.statistic) == ("t2", "median");
        let knees = self.written.truth.iter().filter(is_knee);
        Ok(KneeCohort {
            knees: knees.map(|row| self.outcome(row, &tables)).collect::<Result<_>>()?,
            paired: paired(&table(&PAIRED)?)?,
        })
    }

    /// The true value of one statistic of the knee of `row`; NaN where it is not stated.
    fn truth(&self, of: &TruthRow, parameter: &str, statistic: &str) -> f64 {
        let is_meant = |row: &&TruthRow| {
            row.participant_id == of.participant_id
                && row.session_id == of.session_id
                && row.region == of.region
                && (row.parameter, row.statistic) == (parameter, statistic)
        };
        self.written.truth.iter().find(is_meant).map_or(f64::NAN, |row| row.value)
    }

    fn outcome(&self, truth: &TruthRow, tables: &Tables) -> Result<KneeOutcome> {
        let session_id = truth.session_id.clone().unwrap_or_default();
        let side = truth.region.trim_end_matches("knee").to_owned();
        let here = [("participant_id", truth.participant_id.as_str()), ("session_id", &session_id)];
        let of_knee = [here[0], here[1], ("side", &side), ("region", REGION), ("layer", "full")];
        let t2 = row_with(&tables.knees, &[&of_knee[..], &[("parameter", "t2")]].concat())?;
        let thickness =
            row_with(&tables.knees, &[&of_knee[..], &[("parameter", "thickness")]].concat())?;
        let region = format!("{side}_{REGION}");
        let of_region =
            [here[0], here[1], ("region", &region), ("parameter", "t2"), ("selection", "gated")];
        let gated = row_with(&tables.regions, &of_region)?;
        let ms = |table: &Table, row: Option<usize>, names: [&str; 2]| -> Result<_> {
            let [a, b] = names.map(|name| real(table, row, name));
            Ok([a?, b?].map(|value| value.map(|value| MS_PER_S * value)))
        };
        let errors = ["repeated_stderr_median", "repeated_stderr_p25"];
        let group = t2.map(|row| tables.knees.texts("group").map(|texts| texts.get(row)));
        Ok(KneeOutcome {
            participant_id: truth.participant_id.clone(),
            group: group.transpose()?.flatten().unwrap_or_default().to_owned(),
            t2_ms: ms(&tables.knees, t2, ["median", "p25"])?,
            t2_stderr_ms: ms(&tables.regions, gated, errors)?,
            t2_truth_ms: ["median", "p25"].map(|s| MS_PER_S * self.truth(truth, "t2", s)),
            thickness_mm: real(&tables.knees, thickness, "mean")?,
            thickness_truth_mm: self.truth(truth, "thickness", "mean"),
            session_id,
            side,
        })
    }
}

/// Tables of a run.
struct Tables {
    knees: Table,
    regions: Table,
}

fn read(output: &Path, schema: &'static Schema) -> Result<Table> {
    let path = output.join(format!("tables/{}.parquet", schema.name));
    if path.exists() { parquet::read(&path, schema) } else { Ok(Table::new(schema)) }
}

/// The first row with these texts.
fn row_with(table: &Table, texts: &[(&str, &str)]) -> Result<Option<usize>> {
    let columns = texts
        .iter()
        .map(|(name, text)| Ok((table.texts(name)?, *text)))
        .collect::<Result<Vec<_>>>()?;
    let is_meant =
        |row: &usize| columns.iter().all(|(column, text)| column.get(*row) == Some(*text));
    Ok((0..table.n_rows()).find(is_meant))
}

fn real(table: &Table, row: Option<usize>, name: &str) -> Result<Option<f64>> {
    let column = table.reals(name)?;
    Ok(row.and_then(|row| column.get(row).copied().flatten()))
}

/// Rows of the whole region in untreated and in treated knees.
fn paired(table: &Table) -> Result<Vec<PairedOutcome>> {
    let mut outcomes = Vec::new();
    for endpoint in ["t2_median", "t2_p25", "thickness_mean", "thickness_median"] {
        for group in ["control", "treated"] {
            let texts =
                [("endpoint", endpoint), ("group", group), ("region", REGION), ("layer", "full")];
            let row = row_with(table, &texts)?;
            outcomes.push(PairedOutcome {
                endpoint: endpoint.into(),
                group: group.into(),
                mean: real(table, row, "delta_mean")?,
                p_t: real(table, row, "p_t")?,
                p_exact: real(table, row, "p_exact")?,
            });
        }
    }
    Ok(outcomes)
}
