//! The tables of one session, row by row from its results.

mod cartilage;
mod habitats;
mod qc;
mod tumours;

pub use cartilage::{flat_fit, flat_thickness};

use super::plan::{CohortPlan, Plan};
use super::session::{FitResult, SessionResult, ThicknessResult, with_knee};
use super::voxels::Selection;
use crate::error::Result;
use crate::model::Parameter;
use crate::quality::Verdict;
use crate::statistics::first_order::FirstOrder;
use crate::statistics::histogram::Histogram;
use crate::table::schemas::{EXCLUSIONS, HISTOGRAMS, REGIONS, TUMOURS};
use crate::table::{Row, Table};

/// Bins of the histogram of a region.
const BINS_MAX: usize = 100;

/// All tables of one session but `voxels` and `runs`.
///
/// # Errors
///
/// `Internal` when a row does not fit its schema.
pub fn of_session(plan: &Plan, session: &SessionResult<'_>) -> Result<Vec<Table>> {
    let mut rows = Rows { session, tables: Vec::new() };
    rows.regions()?;
    rows.histograms()?;
    rows.habitats()?;
    rows.exclusions()?;
    rows.transforms()?;
    rows.qc()?;
    if matches!(plan.cohort, Some(CohortPlan::Tumours(_))) {
        rows.tumours(plan)?;
    }
    if !session.thickness.is_empty() {
        rows.thickness()?;
        rows.depth_profiles()?;
        rows.flat_maps()?;
    }
    if let Some(CohortPlan::Knees(knees)) = &plan.cohort {
        rows.knees(&knees.treatment)?;
    }
    Ok(rows.tables)
}

/// Reasons and numbers of dropped voxels, in the order of the rules; only reasons that occurred.
pub fn exclusions(fit: &FitResult<'_>) -> Vec<(String, usize)> {
    let mut reasons: Vec<(String, usize)> = Vec::new();
    let tallies = &fit.voxels.gate.tallies;
    for (place, verdict) in fit.voxels.gate.verdicts.iter().enumerate() {
        let Verdict::Rejected(rule) = *verdict else { continue };
        let status = fit.voxels.fits.status[place];
        let reason = match rule {
            0 => status.name(),
            rule => tallies[rule].criterion.name(),
        };
        match reasons.iter_mut().find(|(name, _)| name == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason.to_owned(), 1)),
        }
    }
    reasons.sort_by(|a, b| a.0.cmp(&b.0));
    reasons
}

struct Rows<'a> {
    session: &'a SessionResult<'a>,
    tables: Vec<Table>,
}

impl<'a> Rows<'a> {
    fn ids<'t>(&self, table: &'t mut Table) -> Row<'t> {
        let item = self.session.item;
        table
            .row()
            .text("participant_id", &item.participant_id)
            .optional_text("session_id", item.session_id.as_deref())
    }

    fn place<'t>(&self, table: &'t mut Table, fit: &FitResult<'_>, of: &Parameter) -> Row<'t> {
        self.ids(table)
            .text("region", &fit.region)
            .text("parameter", of.short_name)
            .text("units", of.unit.symbol())
    }

    fn parameters(fit: &'a FitResult<'_>) -> impl Iterator<Item = (usize, &'a Parameter)> {
        fit.voxels.parameters.iter().enumerate()
    }

    fn regions(&mut self) -> Result<()> {
        let mut table = Table::new(&REGIONS);
        for fit in &self.session.fits {
            for (index, parameter) in Self::parameters(fit) {
                for selection in Selection::ALL {
                    let places = fit.voxels.places(selection);
                    let row = self
                        .place(&mut table, fit, parameter)
                        .text("selection", selection.name())
                        .integer("n", places.len())
                        .optional_real("sigma", sigma(fit))
                        .real("volume_ml", volume_ml(fit, places.len()));
                    let row = uncertainty(row, fit, index, &places);
                    let row = repeated(row, fit, (index, selection));
                    let values = fit.voxels.values(index, &places);
                    match FirstOrder::of(&values) {
                        Some(features) => first_order(row, &features).finish()?,
                        None => row.text("exclusion_reason", no_voxels(selection)).finish()?,
                    }
                }
            }
        }
        self.tables.push(table);
        Ok(())
    }

    fn histograms(&mut self) -> Result<()> {
        let mut table = Table::new(&HISTOGRAMS);
        for fit in &self.session.fits {
            let parameter = fit.headline();
            for (selection, histogram) in histograms(fit)? {
                let weighted = weighted_counts(fit, selection, &histogram)?;
                for (bin, &count) in histogram.counts.iter().enumerate() {
                    self.place(&mut table, fit, parameter)
                        .text("selection", selection.name())
                        .integer("bin", bin)
                        .real("lower", histogram.edges[bin])
                        .real("upper", histogram.edges[bin + 1])
                        .integer("count", count)
                        .optional_real("weighted_count", weighted.as_ref().map(|sums| sums[bin]))
                        .finish()?;
                }
            }
        }
        self.tables.push(table);
        Ok(())
    }

    fn exclusions(&mut self) -> Result<()> {
        let mut table = Table::new(&EXCLUSIONS);
        for fit in &self.session.fits {
            let n_region = fit.voxels.gate.n_voxels();
            for (reason, count) in exclusions(fit) {
                self.ids(&mut table)
                    .text("region", &fit.region)
                    .text("parameter", fit.headline().short_name)
                    .text("reason", reason)
                    .integer("n_voxels", count)
                    .integer("n_region", n_region)
                    .real("fraction", count as f64 / n_region as f64)
                    .finish()?;
            }
        }
        self.tables.push(table);
        Ok(())
    }

    fn tumours(&mut self, plan: &Plan) -> Result<()> {
        let Some(CohortPlan::Tumours(cohort)) = &plan.cohort else { return Ok(()) };
        let class = self.session.item.values.get(&cohort.class_column);
        let mut table = Table::new(&TUMOURS);
        for fit in &self.session.fits {
            tumours::tumour(self.place(&mut table, fit, fit.headline()), fit)
                .optional_text("class", class.map(String::as_str))
                .finish()?;
        }
        self.tables.push(table);
        Ok(())
    }
}

/// Histograms of the headline parameter on common bins, the widest selection first.
///
/// # Errors
///
/// As the histogram.
pub fn histograms(fit: &FitResult<'_>) -> Result<Vec<(Selection, Histogram)>> {
    let naive = fit.voxels.values(0, &fit.voxels.places(Selection::Naive));
    let Some(widest) = Histogram::freedman_diaconis(&naive, BINS_MAX) else {
        return Ok(Vec::new());
    };
    if widest.counts.len() < 2 {
        return Ok(vec![(Selection::Naive, widest)]);
    }
    let edges = widest.edges.clone();
    let mut all = vec![(Selection::Naive, widest)];
    for selection in [Selection::Gated, Selection::Habitat] {
        let values = fit.voxels.values(0, &fit.voxels.places(selection));
        if !values.is_empty() {
            all.push((selection, Histogram::with_edges(&values, &edges)?));
        }
    }
    Ok(all)
}

/// Voxels of each bin weighted by 1/u², scaled to the number of voxels; `None` where no voxel has an
/// uncertainty.
fn weighted_counts(
    fit: &FitResult<'_>,
    selection: Selection,
    histogram: &Histogram,
) -> Result<Option<Vec<f64>>> {
    let places = fit.voxels.places(selection);
    let relative = fit.voxels.relative_uncertainties(0);
    let weights: Vec<f64> = places.iter().map(|&place| relative[place].powi(-2)).collect();
    let sums = histogram.weighted_counts(&fit.voxels.values(0, &places), &weights)?;
    let total: f64 = sums.iter().sum();
    let n = histogram.counts.iter().sum::<u64>() as f64;
    let scaled = || sums.iter().map(|sum| sum * n / total).collect();
    Ok((total > 0.0).then(scaled))
}

/// Places of the voxels that the method's number stands on; `None` where too little is left.
pub fn method_places(fit: &FitResult<'_>) -> Option<Vec<usize>> {
    let voxels = &fit.voxels;
    voxels.method.as_ref()?;
    let has_groups = voxels.groups.is_some();
    Some(voxels.places(if has_groups { Selection::Habitat } else { Selection::Gated }))
}

fn sigma(fit: &FitResult<'_>) -> Option<f64> {
    fit.voxels.noise.as_ref().map(|noise| noise.level.sigma())
}

fn no_voxels(selection: Selection) -> &'static str {
    match selection {
        Selection::Naive => "no voxel has an estimate",
        Selection::Gated => "no voxel was kept",
        Selection::Habitat => "no habitat was looked for or too little was kept",
    }
}

fn volume_ml(fit: &FitResult<'_>, n_voxels: usize) -> f64 {
    n_voxels as f64 * fit.header.grid().affine().voxel_volume_mm3() / 1e3
}

/// √Σ sd² / n: what the uncertainties of the voxels leave in their mean; `None` where neighbours share
/// the noise that was interpolated.
fn stderr_mean(fit: &FitResult<'_>, parameter: usize, places: &[usize]) -> Option<f64> {
    if !fit.voxels.noise_scale.is_empty() {
        return None;
    }
    let deviations = fit.voxels.standard_deviations(parameter);
    let sum: f64 = places.iter().map(|&place| deviations[place].powi(2)).sum();
    Some(sum.sqrt() / places.len() as f64).filter(|stderr| stderr.is_finite())
}

/// What pseudo-experiments of the region say, beside the voxels that it reports.
fn repeated<'t>(
    row: Row<'t>,
    fit: &FitResult<'_>,
    (parameter, selection): (usize, Selection),
) -> Row<'t> {
    let has_groups = fit.voxels.groups.is_some();
    let reported = if has_groups { Selection::Habitat } else { Selection::Gated };
    let method = fit.voxels.method.as_ref().filter(|_| parameter == 0 && selection == reported);
    let Some(repeated) = method.and_then(|method| method.repeated) else { return row };
    let [p25, median] = repeated.standard_errors_of_quartiles;
    row.optional_real("repeated_stderr_mean", repeated.standard_error)
        .optional_real("repeated_stderr_median", median)
        .optional_real("repeated_stderr_p25", p25)
}

fn uncertainty<'t>(
    row: Row<'t>,
    fit: &FitResult<'_>,
    parameter: usize,
    places: &[usize],
) -> Row<'t> {
    let relative = fit.voxels.relative_uncertainties(parameter);
    let sum: f64 = places.iter().map(|&place| relative[place]).sum();
    let mean = Some(sum / places.len() as f64).filter(|mean| mean.is_finite());
    row.optional_real("stderr_mean", stderr_mean(fit, parameter, places))
        .optional_real("mean_relative_uncertainty", mean)
}

fn first_order<'t>(row: Row<'t>, f: &FirstOrder) -> Row<'t> {
    row.real("mean", f.mean)
        .optional_real("sd", f.standard_deviation)
        .real("median", f.median)
        .real("p05", f.p05)
        .real("p10", f.p10)
        .real("p25", f.p25)
        .real("p75", f.p75)
        .real("p90", f.p90)
        .real("p95", f.p95)
        .real("min", f.minimum)
        .real("max", f.maximum)
        .real("iqr", f.interquartile_range)
        .real("range", f.range)
        .real("variance", f.variance)
        .optional_real("skewness", f.skewness)
        .optional_real("kurtosis", f.excess_kurtosis)
        .real("mad", f.mean_absolute_deviation)
        .real("rmad", f.robust_mean_absolute_deviation)
        .real("medad", f.median_absolute_deviation)
        .optional_real("cov", f.coefficient_of_variation)
        .optional_real("qcod", f.quartile_coefficient_of_dispersion)
        .real("energy", f.energy)
        .real("rms", f.root_mean_square)
}

/// Combined name of region and knee for the thickness of one label image.
pub fn thickness_region(result: &ThicknessResult<'_>) -> String {
    with_knee(result.item.knee.as_deref(), &result.plan.name)
}
