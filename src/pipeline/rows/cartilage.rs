//! Cartilage: thickness of its parts, knees, depth profiles and unrolled maps.

use super::Rows;
use crate::error::Result;
use crate::pipeline::parts::{self, Part, Placement, VOXELS_PER_LAYER};
use crate::pipeline::plan::{FlatCellPlan, Treatment};
use crate::pipeline::session::{FitResult, ThicknessResult};
use crate::pipeline::voxels::Selection;
use crate::statistics::first_order::FirstOrder;
use crate::statistics::moments::{mean, standard_deviation};
use crate::table::schemas::{DEPTH_PROFILES, FLAT_MAPS, KNEES, THICKNESS};
use crate::table::{Row, Table};
use crate::thickness::{
    BoneSummary, FlatCell, Parcellation, PlacedValue, StandardErrors, Summary, SurfacePoint,
    flattened,
};

/// Every column of bone needs all of it.
const NO_BONE_OF_PARTS: &str = "bone area is measured for the whole cartilage";
const NO_POINT: &str = "no point of the articular surface lies in it";
const NO_VOXEL: &str = "no voxel was kept";
const SHARED_NOISE: &str = "neighbours share the noise that was interpolated: no stderr";

impl Rows<'_> {
    pub(super) fn thickness(&mut self) -> Result<()> {
        let mut table = Table::new(&THICKNESS);
        for result in &self.session.thickness {
            for part in parts::of_plan(result.plan) {
                let row = self
                    .ids(&mut table)
                    .optional_text("side", result.item.knee.as_deref())
                    .text("region", part.name)
                    .text("layer", "full")
                    .text("definition", result.thickness.method.name());
                thickness_of(row, result, &part).finish()?;
            }
        }
        self.tables.push(table);
        Ok(())
    }

    pub(super) fn knees(&mut self, treatment: &Treatment) -> Result<()> {
        let mut table = Table::new(&KNEES);
        for (at, fit) in self.session.fits.iter().enumerate() {
            let kept = fit.voxels.places(Selection::Gated);
            let name = fit.plan.region.as_ref().map_or("image", |region| &region.name);
            let row = self.knee(&mut table, fit.item.knee.as_deref(), treatment);
            fit_of(row.text("region", name).text("layer", "full"), fit, &kept).finish()?;
            let placed = self.session.placements.iter().find(|placement| placement.fit == at);
            if let Some(placement) = placed {
                self.knee_parts(&mut table, (placement, &kept), treatment)?;
            }
        }
        for result in &self.session.thickness {
            for part in parts::of_plan(result.plan) {
                let row = self.knee(&mut table, result.item.knee.as_deref(), treatment);
                let row = row.text("region", part.name).text("layer", "full");
                thickness_of_knee(row, &summary(result, &part)).finish()?;
            }
        }
        self.tables.push(table);
        Ok(())
    }

    /// The kept voxels of a fit by region and layer; the whole of the whole stands already.
    fn knee_parts(
        &self,
        table: &mut Table,
        (placement, kept): (&Placement, &[usize]),
        treatment: &Treatment,
    ) -> Result<()> {
        let (fit, result) = self.placed(placement);
        let layers = result.plan.layer_names();
        for part in parts::of_plan(result.plan) {
            let inside = inside((placement, &part), result, kept);
            if !part.is_whole() {
                let row = self.knee(table, fit.item.knee.as_deref(), treatment);
                fit_of(row.text("region", part.name).text("layer", "full"), fit, &inside)
                    .finish()?;
            }
            let across = parts::voxels_per_layer(&part, fit, result, layers.len().max(1));
            for (layer, name) in layers.iter().enumerate() {
                let places = of_bin(placement, &inside, (layer, layers.len()));
                let row = self.knee(table, fit.item.knee.as_deref(), treatment);
                let row = row.text("region", part.name).text("layer", name);
                match across.filter(|across| *across < VOXELS_PER_LAYER) {
                    Some(across) => {
                        let reason = format!(
                            "{across:.1} measured voxels across the layer, at least \
                             {VOXELS_PER_LAYER} are needed"
                        );
                        headline(row, fit, places.len())
                            .text("exclusion_reason", reason)
                            .finish()?;
                    }
                    None => fit_of(row, fit, &places).finish()?,
                }
            }
        }
        Ok(())
    }

    pub(super) fn depth_profiles(&mut self) -> Result<()> {
        let mut table = Table::new(&DEPTH_PROFILES);
        for placement in &self.session.placements {
            let (fit, result) = self.placed(placement);
            let kept = fit.voxels.places(Selection::Gated);
            let n_bins = result.plan.depth_bins;
            for part in parts::of_plan(result.plan) {
                let inside = inside((placement, &part), result, &kept);
                for bin in 0..n_bins {
                    let places = of_bin(placement, &inside, (bin, n_bins));
                    let row = self
                        .ids(&mut table)
                        .optional_text("side", fit.item.knee.as_deref())
                        .text("region", part.name)
                        .integer("bin", bin)
                        .real("lower", bin as f64 / n_bins as f64)
                        .real("upper", (bin + 1) as f64 / n_bins as f64);
                    profile_of(headline(row, fit, places.len()), fit, &places).finish()?;
                }
            }
        }
        if table.n_rows() > 0 {
            self.tables.push(table);
        }
        Ok(())
    }

    pub(super) fn flat_maps(&mut self) -> Result<()> {
        let mut table = Table::new(&FLAT_MAPS);
        for result in &self.session.thickness {
            let named = ("thickness", "mm");
            self.flat(&mut table, (result, named), &flat_thickness(result))?;
        }
        for placement in &self.session.placements {
            let (fit, result) = self.placed(placement);
            let parameter = fit.headline();
            let named = (parameter.short_name, parameter.unit.symbol());
            self.flat(&mut table, (result, named), &flat_fit(fit, result, placement))?;
        }
        if table.n_rows() > 0 {
            self.tables.push(table);
        }
        Ok(())
    }

    fn flat(
        &self,
        table: &mut Table,
        (result, (parameter, units)): (&ThicknessResult<'_>, (&str, &str)),
        cells: &[FlatCell],
    ) -> Result<()> {
        for cell in cells {
            self.ids(table)
                .optional_text("side", result.item.knee.as_deref())
                .text("region", &result.plan.name)
                .text("parameter", parameter)
                .text("units", units)
                .real("angle_deg", cell.angle_deg)
                .real("lateral_mm", cell.lateral_mm)
                .integer("n", cell.n)
                .real("mean", cell.mean)
                .finish()?;
        }
        Ok(())
    }

    fn placed(&self, placement: &Placement) -> (&FitResult<'_>, &ThicknessResult<'_>) {
        (&self.session.fits[placement.fit], &self.session.thickness[placement.thickness])
    }

    fn knee<'t>(&self, table: &'t mut Table, knee: Option<&str>, treatment: &Treatment) -> Row<'t> {
        let is_treated = treatment.is_of(&self.session.item.values, knee);
        let group = if is_treated { "treated" } else { "control" };
        self.ids(table).optional_text("side", knee).text("group", group)
    }
}

/// Unrolled thickness; empty where no cells are asked for.
pub fn flat_thickness(result: &ThicknessResult<'_>) -> Vec<FlatCell> {
    let Some((parcellation, cell)) = cells(result) else { return Vec::new() };
    flattened(result.thickness.points.iter().map(PlacedValue::from), parcellation, cell)
}

/// The headline parameter of the kept voxels, unrolled; empty where no cells are asked for.
pub fn flat_fit(
    fit: &FitResult<'_>,
    result: &ThicknessResult<'_>,
    placement: &Placement,
) -> Vec<FlatCell> {
    let Some((parcellation, cell)) = cells(result) else { return Vec::new() };
    let kept = fit.voxels.places(Selection::Gated);
    let values = fit.voxels.values(0, &kept);
    let placed = kept.iter().zip(values).map(|(&place, value)| PlacedValue {
        position_mm: placement.positions_mm[place],
        value,
        weight: 1.0,
    });
    flattened(placed, parcellation, cell)
}

fn cells<'a>(result: &'a ThicknessResult<'_>) -> Option<(&'a Parcellation, [f64; 2])> {
    let FlatCellPlan { angle_deg, position_mm } = result.plan.flattened_cell?;
    Some((result.parcellation.as_ref()?, [angle_deg, position_mm]))
}

/// The places of `kept` in a part.
fn inside(
    (placement, part): (&Placement, &Part<'_>),
    result: &ThicknessResult<'_>,
    kept: &[usize],
) -> Vec<usize> {
    let is_in = |place: &usize| part.holds(result, placement.positions_mm[*place]);
    kept.iter().copied().filter(is_in).collect()
}

/// The places in one of `n` bins of depth; a depth of 1 is in the last.
fn of_bin(placement: &Placement, places: &[usize], (bin, n): (usize, usize)) -> Vec<usize> {
    let is_in = |place: &usize| {
        let depth = placement.depths.get(*place).copied().unwrap_or(f64::NAN);
        depth >= 0.0 && ((depth * n as f64) as usize).min(n - 1) == bin
    };
    places.iter().copied().filter(is_in).collect()
}

/// Statistics of the points in a part.
fn summary(result: &ThicknessResult<'_>, part: &Part<'_>) -> Summary {
    let thickness = &result.thickness;
    if part.is_whole() {
        return thickness.summary.clone();
    }
    let grid = result.cartilage.grid();
    let inside = |&&index: &&usize| part.holds(result, grid.position_mm(index));
    let n_voxels = result.cartilage.indices().iter().filter(inside).count();
    let volume_mm3 = n_voxels as f64 * grid.affine().voxel_volume_mm3();
    thickness.summary_of(volume_mm3, |point| part.holds(result, point.position_mm))
}

fn thickness_of<'t>(row: Row<'t>, result: &ThicknessResult<'_>, part: &Part<'_>) -> Row<'t> {
    let summary = summary(result, part);
    let is_in = |point: &SurfacePoint| part.holds(result, point.position_mm);
    let points = result.thickness.points.iter().filter(|point| is_in(point));
    let values = points.map(|point| point.thickness_mm);
    let row = row
        .integer("n_points", summary.n_points)
        .real("volume_mm3", summary.volume_mm3)
        .real("articular_area_mm2", summary.area_mm2);
    let row = if summary.n_points == 0 && !part.is_whole() {
        return row.text("exclusion_reason", NO_POINT);
    } else if part.is_whole() {
        row
    } else {
        row.text("exclusion_reason", NO_BONE_OF_PARTS)
    };
    let bone = summary.bone.as_ref();
    let row = row
        .real("mean_mm", summary.mean_mm)
        .real("median_mm", summary.median_mm)
        .real("p25_mm", summary.p25_mm)
        .real("p75_mm", summary.p75_mm)
        .real("sd_mm", summary.sd_mm)
        .optional_real("min_mm", values.clone().min_by(f64::total_cmp))
        .optional_real("max_mm", values.max_by(f64::total_cmp))
        .optional_real("total_area_mean_mm", bone.map(|bone| bone.total_mean_mm))
        .optional_real("area_mm2", bone.map(|bone| bone.covered_area_mm2))
        .optional_real("total_area_mm2", bone.map(BoneSummary::total_area_mm2));
    let Some(smeared) = &result.smeared else { return row };
    let StandardErrors { mean_mm, median_mm } =
        smeared.standard_errors(&result.thickness.points, is_in);
    row.real("stderr_mean_mm", mean_mm).real("stderr_median_mm", median_mm)
}

/// What is measured, and of how many voxels.
fn headline<'t>(row: Row<'t>, fit: &FitResult<'_>, n: usize) -> Row<'t> {
    let parameter = fit.headline();
    row.text("parameter", parameter.short_name)
        .text("units", parameter.unit.symbol())
        .integer("n", n)
}

fn fit_of<'t>(row: Row<'t>, fit: &FitResult<'_>, places: &[usize]) -> Row<'t> {
    let values = fit.voxels.values(0, places);
    let row = headline(row, fit, values.len());
    let Some(features) = FirstOrder::of(&values) else {
        return row.text("exclusion_reason", NO_VOXEL);
    };
    row.real("median", features.median)
        .real("p25", features.p25)
        .real("mean", features.mean)
        .real("p75", features.p75)
        .optional_real("sd", features.standard_deviation)
        .real("iqr", features.interquartile_range)
}

fn profile_of<'t>(row: Row<'t>, fit: &FitResult<'_>, places: &[usize]) -> Row<'t> {
    let values = fit.voxels.values(0, places);
    let stderr = super::stderr_mean(fit, 0, places);
    let reason = match (values.is_empty(), stderr) {
        (true, _) => Some(NO_VOXEL),
        (false, None) if !fit.voxels.noise_scale.is_empty() => Some(SHARED_NOISE),
        _ => None,
    };
    row.optional_real("mean", mean(&values))
        .optional_real("sd", standard_deviation(&values))
        .optional_real("stderr", stderr)
        .optional_text("exclusion_reason", reason)
}

fn thickness_of_knee<'t>(row: Row<'t>, summary: &Summary) -> Row<'t> {
    let row = row.text("parameter", "thickness").text("units", "mm").integer("n", summary.n_points);
    if summary.n_points == 0 {
        return row.text("exclusion_reason", NO_POINT);
    }
    row.real("median", summary.median_mm)
        .real("p25", summary.p25_mm)
        .real("mean", summary.mean_mm)
        .real("p75", summary.p75_mm)
        .real("sd", summary.sd_mm)
        .real("iqr", summary.p75_mm - summary.p25_mm)
}
