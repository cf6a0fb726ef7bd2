//! Habitats in the space of several fits, on the grid of the first.
//!
//! Maps are carried by scanner coordinates and interpolated linearly; the gate comes before, so that a
//! dropped voxel gives nothing to its neighbours.

use super::plan::JointPlan;
use super::session::FitResult;
use super::voxels::Selection;
use crate::error::{Error, Result};
use crate::habitat::{self, Guard, Habitats};
use crate::image::resample::resample_linear;
use crate::image::{Grid, Mask, Volume};

/// What was found.
#[derive(Debug)]
pub struct JointResult<'a> {
    /// Its settings.
    pub plan: &'a JointPlan,
    /// Knee that the fits show; none elsewhere.
    pub knee: Option<String>,
    /// Places of its fits in the session, in the order of the plan.
    pub fits: Vec<usize>,
    /// Voxels, by their index in the grid of the first fit.
    pub indices: Vec<usize>,
    /// Value of each fit in each of those voxels, unit of its headline parameter.
    pub values: Vec<Vec<f64>>,
    /// Kept voxels of the first fit where another fit has no kept value.
    pub n_uncovered: usize,
    /// Voxels that carry the information of one.
    pub n_corr: f64,
    /// The habitats; none where fewer than thirty voxels are covered by all fits.
    pub habitats: Option<Habitats>,
}

/// Fewest voxels that are clustered.
const N_MIN: usize = 30;

/// Clusters what `plan` names, once for every knee.
///
/// # Errors
///
/// As the clustering.
pub fn joint_habitats<'a>(
    plan: &'a JointPlan,
    fits: &[FitResult<'_>],
) -> Result<Vec<JointResult<'a>>> {
    let of = |name: &str, knee: Option<&str>| {
        let is_it = |f: &FitResult<'_>| f.plan.name == name && f.item.knee.as_deref() == knee;
        fits.iter().position(is_it)
    };
    let first = plan.fits.first().map_or("", String::as_str);
    let knees = fits.iter().filter(|fit| fit.plan.name == first).map(|fit| fit.item.knee.clone());
    let mut results = Vec::new();
    for knee in knees {
        let places: Option<Vec<usize>> =
            plan.fits.iter().map(|name| of(name, knee.as_deref())).collect();
        let places = places.ok_or_else(|| {
            Error::mismatch(format!("`{}` needs all of {}", plan.name, plan.fits.join(", ")))
                .at_field("joint_habitat.fits")
        })?;
        results.push(one(plan, knee, (fits, places))?);
    }
    Ok(results)
}

fn one<'a>(
    plan: &'a JointPlan,
    knee: Option<String>,
    (fits, places): (&[FitResult<'_>], Vec<usize>),
) -> Result<JointResult<'a>> {
    let first = &fits[places[0]];
    let grid = *first.voxels.fits.mask.grid();
    let maps: Vec<Volume<f32>> =
        places.iter().map(|&place| kept_map(&fits[place], &grid)).collect::<Result<_>>()?;
    let kept = first.voxels.gate.keep.indices();
    let is_covered = |&index: &usize| maps.iter().all(|map| map.voxels()[index].is_finite());
    let indices: Vec<usize> = kept.iter().copied().filter(is_covered).collect();
    let values: Vec<Vec<f64>> = maps
        .iter()
        .map(|map| indices.iter().map(|&index| f64::from(map.voxels()[index])).collect())
        .collect();
    let columns: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
    let mut n_corr = 1.0;
    let habitats = if indices.len() < N_MIN {
        None
    } else {
        let mask = Mask::from_indices(grid, &indices)?;
        n_corr = correlated_voxels(plan, &mask, &columns)?;
        Some(habitat::cluster(&columns, &plan.settings(n_corr))?)
    };
    let n_uncovered = kept.len() - indices.len();
    Ok(JointResult { plan, knee, fits: places, indices, values, n_uncovered, n_corr, habitats })
}

/// Voxels that carry the information of one: of the fit where neighbours are most alike, because what
/// was interpolated says least.
fn correlated_voxels(plan: &JointPlan, mask: &Mask, columns: &[&[f64]]) -> Result<f64> {
    let settings = habitat::Settings { guard: Guard::Never, ..plan.settings(1.0) };
    let k = if plan.clusters == 0 { 2 } else { plan.clusters };
    let labels = habitat::divide(columns, k, &settings)?.labels;
    let mut largest = 1.0_f64;
    for column in columns {
        largest = largest.max(habitat::voxels_per_independent_value(mask, column, &labels)?);
    }
    Ok(largest)
}

/// The kept estimates of a fit on `grid`; NaN elsewhere.
fn kept_map(fit: &FitResult<'_>, grid: &Grid) -> Result<Volume<f32>> {
    let voxels = &fit.voxels;
    let own = voxels.fits.mask.grid();
    let mut map = Volume::from_fn(*own, |_| f32::NAN);
    let indices = voxels.fits.mask.indices();
    for place in voxels.places(Selection::Gated) {
        map.voxels_mut()[indices[place]] = voxels.fits.estimates[0][place] as f32;
    }
    match grid.require_same(own) {
        Ok(()) => Ok(map),
        Err(_) => Ok(resample_linear(&map, grid)?.image),
    }
}
