//! Parts of one cartilage: regions by the angle about the condyles, layers by the depth.
//!
//! Thickness is divided by where its points lie. The voxels of a fit of the same region are taken to
//! the label image first, back through the registration where there was one, and have a region and a
//! depth there.

use rayon::prelude::*;

use super::plan::{RegistrationOrder, ThicknessPlan};
use super::session::{FitResult, ThicknessResult};
use crate::error::{Error, Result};
use crate::image::Labels;
use crate::registration::{PointMap, Registration};
use crate::statistics::quantile::median;
use crate::thickness::{
    FEMORAL_PARTS, FemoralRegion, Parcellation, Side, SurfacePoint, normalised_depths,
};

/// Fewest measured voxels across a layer; with fewer, every voxel is a mixture of layers.
pub const VOXELS_PER_LAYER: f64 = 2.0;

/// A named part of one cartilage.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// Its name in tables.
    pub name: &'a str,
    /// Regions that make it; empty for the whole.
    regions: &'static [FemoralRegion],
}

impl Part<'_> {
    /// Whether it is the whole cartilage.
    pub fn is_whole(&self) -> bool {
        self.regions.is_empty()
    }

    /// Whether a position in the space of the label image, scanner mm, lies in it.
    pub fn holds(&self, result: &ThicknessResult<'_>, position_mm: [f64; 3]) -> bool {
        let is_in = |axis: &Parcellation| self.regions.contains(&axis.region(position_mm));
        self.is_whole() || result.parcellation.as_ref().is_some_and(is_in)
    }
}

/// The whole cartilage, and the regions that the plan asks for.
pub fn of_plan(plan: &ThicknessPlan) -> Vec<Part<'_>> {
    let regions = FEMORAL_PARTS.iter().filter(|_| plan.regions.is_some());
    let regions = regions.map(|part| Part { name: part.name, regions: part.regions });
    [Part { name: &plan.name, regions: &[] }].into_iter().chain(regions).collect()
}

/// Where the voxels of one fit lie in the cartilage whose thickness was measured.
#[derive(Debug)]
pub struct Placement {
    /// Place of the fit in the session.
    pub fit: usize,
    /// Place of the thickness in the session.
    pub thickness: usize,
    /// Positions of the voxels of the fit in the space of the label image, scanner mm; NaN where the
    /// registration cannot be undone.
    pub positions_mm: Vec<[f64; 3]>,
    /// Their depths, 0 at the bone and 1 at the joint; empty where no depth is asked for.
    pub depths: Vec<f64>,
}

/// Every fit of a cartilage that is divided, placed in it.
pub fn placements(fits: &[FitResult<'_>], thickness: &[ThicknessResult<'_>]) -> Vec<Placement> {
    let mut placements = Vec::new();
    for (at, result) in thickness.iter().enumerate() {
        let plan = result.plan;
        if !plan.needs_axis() && !plan.needs_depth() {
            continue;
        }
        for (place, fit) in fits.iter().enumerate() {
            if !plan.is_of(fit.plan) || fit.item.knee != result.item.knee {
                continue;
            }
            let positions_mm = positions_mm(fit);
            let surfaces = result.thickness.surfaces.as_ref().filter(|_| plan.needs_depth());
            let depths = surfaces.map(|surfaces| normalised_depths(&positions_mm, surfaces));
            let depths = depths.unwrap_or_default();
            placements.push(Placement { fit: place, thickness: at, positions_mm, depths });
        }
    }
    placements
}

/// Positions of the voxels of a fit in the space of the image that its region was drawn on.
fn positions_mm(fit: &FitResult<'_>) -> Vec<[f64; 3]> {
    let grid = *fit.header.grid();
    let order = fit.plan.registration.as_ref().map(|registration| registration.order);
    let to_labels = |position_mm| match (&fit.alignment.region, order) {
        // Interpolated on the grid of the anatomical image.
        (None, _) | (_, Some(RegistrationOrder::RegisterThenFit)) => position_mm,
        (Some(Registration { transform, .. }), Some(RegistrationOrder::FitThenMap)) => {
            transform.inverse().apply(position_mm)
        }
        // Registered from the series to the image.
        (Some(Registration { transform, .. }), None) => transform.apply(position_mm),
    };
    let indices = fit.voxels.fits.mask.indices();
    indices.par_iter().map(|&index| to_labels(grid.position_mm(index))).collect()
}

/// Measured voxels across one of `n_layers` layers of a part: the median over its points of the way
/// from joint to bone in steps of the voxels of the series; none where the part has no point.
///
/// A registration turns these ways by a few degrees, which is left out.
pub fn voxels_per_layer(
    part: &Part<'_>,
    fit: &FitResult<'_>,
    result: &ThicknessResult<'_>,
    n_layers: usize,
) -> Option<f64> {
    let affine = fit.measured_grid.affine();
    let across = |point: &SurfacePoint| {
        let [a, b] = [point.position_mm, point.interface_mm].map(|p| affine.to_voxel(p));
        (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
    };
    let points = result.thickness.points.iter();
    let inside = points.filter(|point| part.holds(result, point.position_mm));
    median(&inside.map(across).collect::<Vec<_>>()).map(|voxels| voxels / n_layers as f64)
}

/// Which knee a label image shows: as it is called, held to where its medial and lateral labels lie.
///
/// # Errors
///
/// `Mismatch` when name and labels contradict; `Value` when neither says it.
pub fn side(plan: &ThicknessPlan, knee: Option<&str>, labels: &Labels) -> Result<Side> {
    let middle_mm = |values: &[u32]| {
        let mask = labels.mask_of(values);
        let all = mask.indices().iter().map(|&index| labels.grid().position_mm(index)[0]);
        all.sum::<f64>() / mask.len() as f64
    };
    let is_told = !plan.medial.is_empty() && !plan.lateral.is_empty();
    let [medial_mm, lateral_mm] = [&plan.medial, &plan.lateral].map(|values| middle_mm(values));
    let found = Side::of_parts(medial_mm, lateral_mm).filter(|_| is_told);
    match (knee.and_then(Side::named), found) {
        (Some(named), Some(found)) if named != found => {
            let message = format!(
                "the knee is called {}, but its medial labels lie at x = {medial_mm:.0} mm and its \
                 lateral ones at {lateral_mm:.0} mm, as in a {} knee",
                named.name(),
                found.name()
            );
            Err(Error::mismatch(message)
                .at_field("side")
                .hint("check the name of the knee, the label values, and the affine"))
        }
        (Some(side), _) | (None, Some(side)) => Ok(side),
        (None, None) => Err(Error::value("left or right knee? medial and lateral depend on it")
            .at_field("side")
            .hint(
                "name `study.knees = [\"left\", \"right\"]` and ask for `{knee}` in the query, or \
                 give label values `medial` and `lateral`",
            )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::image::{Affine, Grid, Volume};
    use crate::pipeline::plan::Plan;
    use crate::pipeline::spec::Spec;

    fn plan(lines: &str) -> ThicknessPlan {
        let text = format!(
            "[study]\ndataset = \".\"\n[thickness]\nlabels = {{ suffix = \"dseg\" }}\n\
             cartilage = 1\nregions = true\n{lines}"
        );
        let spec = Spec::parse(Path::new("a.toml"), text, &[]).unwrap();
        Plan::check(&spec).unwrap().thickness.unwrap()
    }

    /// Label 2 at x = 0 and label 3 at x = 10 mm.
    fn labels() -> Labels {
        let affine = Affine::from_spacing([10.0, 1.0, 1.0], [0.0; 3]).unwrap();
        let grid = Grid::new([2, 1, 1], affine).unwrap();
        Labels::new(Volume::new(grid, vec![2, 3]).unwrap(), BTreeMap::new())
    }

    #[test]
    fn the_side_is_named_found_and_asserted() {
        let (silent, told) = (plan(""), plan("medial = 2\nlateral = 3\n"));
        assert_eq!(side(&silent, Some("left"), &labels()).unwrap(), Side::Left);
        assert_eq!(side(&told, Some("right"), &labels()).unwrap(), Side::Right);
        assert_eq!(side(&told, None, &labels()).unwrap(), Side::Right);
        let error = side(&told, Some("left"), &labels()).unwrap_err();
        let text = "the knee is called left, but its medial labels lie at x = 0 mm and its lateral \
                    ones at 10 mm, as in a right knee";
        assert_eq!(error.message(), text);
        assert!(error.hint_text().unwrap().contains("affine"));
        let error = side(&silent, None, &labels()).unwrap_err();
        assert!(error.hint_text().unwrap().contains("study.knees"), "{error}");
    }

    #[test]
    fn the_whole_comes_before_its_regions() {
        let plan = plan("name = \"femur\"\n");
        let parts = of_plan(&plan);
        let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
        assert_eq!(names, ["femur", "mTrF", "cMF", "pMF", "lTrF", "cLF", "pLF", "MF", "LF"]);
        assert!(parts[0].is_whole() && !parts[1].is_whole());
    }
}
