//! The table of checks.

use super::Rows;
use crate::error::Result;
use crate::pipeline::session::FitResult;
use crate::pipeline::voxels::Selection;
use crate::registration::{Outcome, Registration};
use crate::statistics::quantile::median;
use crate::table::Table;
use crate::table::schemas::{QC, TRANSFORMS};

/// Relative difference of two ways to one number that is worth a warning.
const TOLERANCE: f64 = 0.10;

/// Two ways to one number.
struct Check {
    name: &'static str,
    metric: &'static str,
    value: f64,
    agrees: bool,
    message: &'static str,
}

impl Rows<'_> {
    pub(super) fn qc(&mut self) -> Result<()> {
        let mut table = Table::new(&QC);
        for fit in &self.session.fits {
            self.kept(&mut table, fit)?;
            let agreement = fit.voxels.noise.as_ref().and_then(|noise| noise.agreement);
            let checks = [
                agreement.map(|agreement| Check {
                    name: "noise level",
                    metric: "largest over smallest sigma, minus 1",
                    value: agreement,
                    agrees: agreement <= TOLERANCE,
                    message: "estimates of sigma disagree",
                }),
                spread_over_bound(fit).map(|ratio| Check {
                    name: "pseudo-experiments",
                    metric: "median of their SD over the standard error by covariance",
                    value: ratio,
                    agrees: (ratio - 1.0).abs() <= TOLERANCE,
                    message: "draws and covariance disagree",
                }),
            ];
            for check in checks.into_iter().flatten() {
                self.agreement(&mut table, fit, &check)?;
            }
            self.alignment(&mut table, fit)?;
            for warning in &fit.warnings {
                self.ids(&mut table)
                    .text("check", format!("{} note", fit.plan.name))
                    .text("metric", "note")
                    .text("units", "1")
                    .text("status", "warned")
                    .text("message", warning)
                    .finish()?;
            }
        }
        self.joint_qc(&mut table)?;
        self.tables.push(table);
        Ok(())
    }

    fn kept(&self, table: &mut Table, fit: &FitResult<'_>) -> Result<()> {
        let enough = !fit.voxels.gate.is_insufficient();
        self.ids(table)
            .text("check", format!("{} {}", fit.plan.name, fit.region))
            .text("metric", "kept fraction of the region")
            .text("units", "1")
            .real("value", fit.voxels.gate.kept_fraction())
            .real("threshold", crate::quality::gate::MINIMUM_KEPT_FRACTION)
            .text("status", if enough { "passed" } else { "failed" })
            .optional_text("message", (!enough).then_some("too few voxels are left"))
            .finish()
    }

    /// How far volumes and region were moved, and whether the images became more alike by it.
    fn alignment(&self, table: &mut Table, fit: &FitResult<'_>) -> Result<()> {
        let moved = |found: &Registration| found.report.extent.displacement_max_mm;
        let motion = &fit.alignment.motion;
        let kept = motion.iter().filter(|found| found.report.outcome != Outcome::Registered);
        let n_kept = kept.count();
        if let Some(largest) = motion.iter().map(moved).max_by(f64::total_cmp) {
            let message = (n_kept > 0).then(|| format!("{n_kept} volumes stayed where they were"));
            self.ids(table)
                .text("check", format!("{} motion", fit.plan.name))
                .text("metric", "largest displacement between volumes")
                .text("units", "mm")
                .real("value", largest)
                .text("status", "passed")
                .optional_text("message", message.as_deref())
                .finish()?;
        }
        let Some(found) = &fit.alignment.region else { return Ok(()) };
        let (report, extent) = (&found.report, &found.report.extent);
        let rows = [
            ("largest displacement of the region's image", "mm", moved(found)),
            ("95th percentile of the displacement", "mm", extent.displacement_p95_mm),
            ("smallest Jacobian determinant", "1", extent.jacobian_min),
            ("largest Jacobian determinant", "1", extent.jacobian_max),
            ("likeness of the images before", "1", report.metric_before),
            ("likeness of the images after", "1", report.metric_after),
            ("overlap of the images", "1", report.overlap),
        ];
        let status = if report.outcome == Outcome::Registered { "passed" } else { "warned" };
        for (metric, units, value) in rows {
            self.ids(table)
                .text("check", format!("{} registration", fit.plan.name))
                .text("metric", metric)
                .text("units", units)
                .real("value", value)
                .text("status", status)
                .optional_text("message", report.outcome.reason())
                .finish()?;
        }
        Ok(())
    }

    fn agreement(&self, table: &mut Table, fit: &FitResult<'_>, check: &Check) -> Result<()> {
        self.ids(table)
            .text("check", format!("{} {}", fit.plan.name, check.name))
            .text("metric", check.metric)
            .text("units", "1")
            .real("value", check.value)
            .real("threshold", TOLERANCE)
            .text("status", if check.agrees { "passed" } else { "warned" })
            .optional_text("message", (!check.agrees).then_some(check.message))
            .finish()
    }

    /// Every transform, a deformation by its rigid part and its extent; no table where nothing was aligned.
    pub(super) fn transforms(&mut self) -> Result<()> {
        let mut table = Table::new(&TRANSFORMS);
        for fit in &self.session.fits {
            for (volume, found) in fit.alignment.motion.iter().enumerate() {
                self.transform(&mut table, fit, ("motion", Some(volume as i64)), found)?;
            }
            if let Some(found) = &fit.alignment.region {
                let kind = if fit.plan.registration.is_some() { "series" } else { "region" };
                self.transform(&mut table, fit, (kind, None), found)?;
            }
        }
        if table.n_rows() > 0 {
            self.tables.push(table);
        }
        Ok(())
    }

    fn transform(
        &self,
        table: &mut Table,
        fit: &FitResult<'_>,
        (kind, volume): (&str, Option<i64>),
        found: &Registration,
    ) -> Result<()> {
        let (rigid, report) = (found.transform.rigid(), &found.report);
        let mut row = self
            .ids(table)
            .text("fit", &fit.plan.name)
            .text("kind", kind)
            .optional_integer("volume", volume)
            .text("outcome", report.outcome.name());
        let triples = [
            (["angle_x_rad", "angle_y_rad", "angle_z_rad"], rigid.angles_rad()),
            (["translation_x_mm", "translation_y_mm", "translation_z_mm"], rigid.translation_mm()),
            (["centre_x_mm", "centre_y_mm", "centre_z_mm"], rigid.centre_mm()),
        ];
        for (names, values) in triples {
            for (name, value) in names.into_iter().zip(values) {
                row = row.real(name, value);
            }
        }
        row.real("displacement_max_mm", report.extent.displacement_max_mm)
            .real("displacement_p95_mm", report.extent.displacement_p95_mm)
            .real("jacobian_min", report.extent.jacobian_min)
            .real("jacobian_max", report.extent.jacobian_max)
            .real("metric_before", report.metric_before)
            .real("metric_after", report.metric_after)
            .real("overlap", report.overlap)
            .finish()
    }

    /// How much of the first fit the others cover.
    fn joint_qc(&self, table: &mut Table) -> Result<()> {
        for joint in &self.session.joint {
            let n = joint.indices.len();
            let of = n + joint.n_uncovered;
            let enough = joint.habitats.is_some();
            self.ids(table)
                .text("check", format!("{} coverage", joint.plan.name))
                .text("metric", "kept voxels that all fits cover")
                .text("units", "1")
                .optional_real("value", (of > 0).then(|| n as f64 / of as f64))
                .text("status", if enough { "passed" } else { "failed" })
                .optional_text("message", (!enough).then_some("fewer than 30 voxels are covered"))
                .finish()?;
        }
        Ok(())
    }
}

/// Median over the kept voxels of the SD of the pseudo-experiments over the standard error that the
/// covariance of the fit gives: two ways to one number.
fn spread_over_bound(fit: &FitResult<'_>) -> Option<f64> {
    let drawn = &fit.voxels.uncertainties.first()?.standard_deviation;
    let bound = &fit.voxels.fits.standard_errors[0];
    let places = fit.voxels.places(Selection::Gated);
    let ratios = places.iter().map(|&place| drawn[place] / bound[place]);
    median(&ratios.filter(|ratio| ratio.is_finite()).collect::<Vec<_>>())
}
