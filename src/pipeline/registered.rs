//! A series and the anatomical image that its region was drawn on, brought together by registration.
//!
//! One transform, from the anatomical image to the series, holds for all volumes. Either the signals
//! are interpolated on the grid of the anatomical image around the region and fitted there, or the
//! region is carried to the voxels that were measured. [`Bridge`] keeps what the pseudo-experiments of
//! the region repeat.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::load::LoadedSeries;
use super::plan::{
    FitPlan, MovingReference, RegionPlan, RegistrationOrder, RegistrationPlan, TransformKind,
};
use crate::error::{Error, Result};
use crate::image::resample::{corners_at, linear_at};
use crate::image::{Affine, Grid, Labels, Mask, Samples, Scaling, Series, Volume};
use crate::io::nifti::{self, Header, ReadLimits};
use crate::registration::resample::CarriedVoxels;
use crate::registration::{
    Pair, PointMap, Registration, Transform, register_free_form, register_rigid,
};
use crate::thickness::distance_transform;

/// A region reaches at most this many standard deviations of the transform beyond itself.
const REACH: f64 = 4.0;

/// A series and its region on one grid.
#[derive(Debug)]
pub struct Registered {
    /// What is fitted.
    pub loaded: LoadedSeries,
    /// Where.
    pub region: Mask,
    /// From the anatomical image to the series.
    pub found: Registration,
    /// What came from where.
    pub bridge: Bridge,
    /// What the reader should know, each a sentence.
    pub warnings: Vec<String>,
}

/// How series and region came onto one grid.
#[derive(Debug)]
pub enum Bridge {
    /// The signals were interpolated.
    Resampled(Box<Resampled>),
    /// The region was carried.
    Carried(Box<Carried>),
}

/// Interpolated signals and where they were measured.
#[derive(Debug)]
pub struct Resampled {
    /// The series as measured.
    pub measured: LoadedSeries,
    /// The region on its grid.
    pub measured_region: Mask,
    /// Position in the measured series of every voxel of the region, mm.
    pub places_mm: Vec<[f64; 3]>,
    /// Noise of the interpolated signals of every voxel of the region over that of measured ones:
    /// √Σw² over the weights w.
    pub noise_scale: Vec<f64>,
}

/// A carried region and the voxels that it may reach under small displacements.
#[derive(Debug)]
pub struct Carried {
    /// As drawn.
    pub drawn: Mask,
    /// Voxels of the series that it may reach.
    pub reach: Mask,
    /// The same voxels seen in the anatomical image.
    pub voxels: CarriedVoxels,
    /// Smallest fraction of a voxel of the region.
    pub least: f64,
}

/// The files beside a series.
#[derive(Debug, Clone, Copy)]
pub struct Anatomy<'a> {
    /// The anatomical image.
    pub image: &'a Path,
    /// The mask or label image that was drawn on it.
    pub region: &'a Path,
}

/// Finds the transform and brings series and region together in the order of the plan.
///
/// # Errors
///
/// As reading the files and the search; `Mismatch` when the region was not drawn on the anatomical
/// image, or does not reach the series.
pub fn register(
    plan: &FitPlan,
    loaded: LoadedSeries,
    anatomy: Anatomy<'_>,
    limits: &ReadLimits,
) -> Result<Registered> {
    let (settings, region) = asked(plan)?;
    let drawn = Drawn::read(settings, region, anatomy, limits)?;
    let moving = reference(&loaded.series, settings.reference);
    let pair = Pair {
        fixed: &drawn.image,
        moving: &moving,
        fixed_mask: Some(&drawn.compared),
        moving_mask: None,
    };
    let search = settings.settings();
    let found = match settings.kind {
        TransformKind::Rigid => register_rigid(&pair, &search.rigid),
        TransformKind::FreeForm => register_free_form(&pair, &search),
    }
    .map_err(|error| error.at_path(anatomy.image))?;
    joined(plan, loaded, &drawn.region, found).map_err(|error| error.at_path(anatomy.region))
}

/// Brings series and region together in the order of the plan by a registration that was `found`
/// before, or is known.
///
/// # Errors
///
/// As [`register`] without the search.
pub fn register_through(
    plan: &FitPlan,
    loaded: LoadedSeries,
    anatomy: Anatomy<'_>,
    limits: &ReadLimits,
    found: Registration,
) -> Result<Registered> {
    let (settings, region) = asked(plan)?;
    let drawn = Drawn::read(settings, region, anatomy, limits)?;
    joined(plan, loaded, &drawn.region, found).map_err(|error| error.at_path(anatomy.region))
}

/// What a registration needs of the plan.
fn asked(plan: &FitPlan) -> Result<(&RegistrationPlan, &RegionPlan)> {
    plan.registration.as_ref().zip(plan.region.as_ref()).ok_or_else(|| {
        Error::value("a registration needs the region that was drawn")
            .at_field("region")
            .hint("as in region = { image = { suffix = \"dseg\" }, labels = [1] }")
    })
}

fn joined(
    plan: &FitPlan,
    loaded: LoadedSeries,
    drawn: &Mask,
    found: Registration,
) -> Result<Registered> {
    let (settings, region) = asked(plan)?;
    let joined = Joined { drawn, least: region.minimum_fraction, found };
    match settings.order {
        RegistrationOrder::RegisterThenFit => joined.resampled(loaded),
        RegistrationOrder::FitThenMap => {
            joined.carried(loaded, REACH * plan.uncertainty.registration_sd_mm)
        }
    }
}

/// What was drawn on the anatomical image.
struct Drawn {
    image: Volume<f32>,
    region: Mask,
    compared: Mask,
}

impl Drawn {
    fn read(
        settings: &RegistrationPlan,
        region: &RegionPlan,
        anatomy: Anatomy<'_>,
        limits: &ReadLimits,
    ) -> Result<Self> {
        let read = nifti::read_series(anatomy.image, limits)
            .map_err(|error| error.at_path(anatomy.image))?;
        let image = read.image.volume(0).map(|&signal| signal as f32);
        let labels = nifti::read_labels(anatomy.region, limits)?.image;
        let at_region = |error: Error| error.at_path(anatomy.region);
        image.grid().require_same(labels.grid()).map_err(|error| {
            at_region(error).hint("`registration.to` names the image that the region was drawn on")
        })?;
        let labels = Labels::new(labels, BTreeMap::new());
        let all: Vec<u32> = labels.values().into_iter().filter(|&value| value > 0).collect();
        let of = |values: &[u32]| labels.mask_of(if values.is_empty() { &all } else { values });
        let (drawn, around) = (of(&region.labels), of(&settings.mask_labels));
        if drawn.is_empty() || around.is_empty() {
            let wanted = if drawn.is_empty() { &region.labels } else { &settings.mask_labels };
            return Err(at_region(Error::value(format!("no voxel has a label of {wanted:?}")))
                .hint("which values are in it: biomarker inspect FILE"));
        }
        let margin_mm = settings.mask_margin_mm as f32;
        let compared = distance_transform(&around)?.map(|&distance_mm| distance_mm <= margin_mm);
        Ok(Self { image, region: drawn, compared: Mask::new(compared) })
    }
}

/// The image that stands for the series.
fn reference(series: &Series, which: MovingReference) -> Volume<f32> {
    let n = series.n_volumes();
    let mean_square =
        |voxel| (0..n).map(|volume| series.signal(voxel, volume).powi(2)).sum::<f64>() / n as f64;
    match which {
        MovingReference::First => series.volume(0).map(|&signal| signal as f32),
        MovingReference::RootMeanSquare => {
            Volume::from_fn(*series.grid(), |voxel| mean_square(voxel).sqrt() as f32)
        }
    }
}

/// A drawn region and the transform that leads from it to the series.
struct Joined<'a> {
    drawn: &'a Mask,
    least: f64,
    found: Registration,
}

impl Joined<'_> {
    /// Voxels of `grid` within `margin_mm` of where the region goes, in rising order.
    fn near(&self, grid: &Grid, margin_mm: f64) -> Vec<usize> {
        let places: Vec<[f64; 3]> = self
            .drawn
            .indices()
            .par_iter()
            .map(|&index| {
                let place = self.found.transform.apply(self.drawn.grid().position_mm(index));
                grid.affine().to_voxel(place)
            })
            .collect();
        let spacing_mm = grid.affine().spacing_mm();
        let bounds = [0, 1, 2].map(|axis| {
            let along = places.iter().map(|place| place[axis]).filter(|x| x.is_finite());
            let [low, high] =
                along.fold([f64::INFINITY, f64::NEG_INFINITY], |[l, h], x| [l.min(x), h.max(x)]);
            let margin = 1.5 + margin_mm / spacing_mm[axis];
            (low - margin)..=(high + margin)
        });
        (0..grid.n_voxels())
            .filter(|&index| {
                let voxel = grid.voxel(index);
                (0..3).all(|axis| bounds[axis].contains(&(voxel[axis] as f64)))
            })
            .collect()
    }

    /// `voxels` of `grid` seen in the anatomical image.
    fn seen(&self, grid: &Grid, voxels: &[usize]) -> CarriedVoxels {
        CarriedVoxels::new(self.drawn, (grid, voxels), &self.found.transform.inverse())
    }

    /// Passes when something of the region arrived.
    fn require_covered(&self, n_arrived: usize) -> Result<()> {
        if n_arrived > 0 {
            return Ok(());
        }
        Err(Error::mismatch(format!(
            "the region of {} voxels does not reach the series: no voxel is covered to {}",
            self.drawn.len(),
            self.least
        ))
        .hint("look at the table `qc`: how alike are the images before and after?"))
    }

    /// The region on the grid of the series; `margin_mm` is how far it may move later.
    fn carried(self, loaded: LoadedSeries, margin_mm: f64) -> Result<Registered> {
        let grid = *loaded.series.grid();
        let near = self.near(&grid, margin_mm);
        let voxels = self.seen(&grid, &near);
        let fractions = voxels.fractions(self.drawn, None);
        let is_in = |fraction: &f32| f64::from(*fraction) >= self.least;
        let inside: Vec<usize> =
            near.iter().zip(&fractions).filter(|(_, f)| is_in(f)).map(|(&i, _)| i).collect();
        self.require_covered(inside.len())?;
        let region = Mask::from_indices(grid, &inside)?;
        let distances = distance_transform(&region)?;
        let reached: Vec<usize> = near
            .into_iter()
            .filter(|&index| f64::from(distances.voxels()[index]) <= margin_mm)
            .collect();
        let carried = Carried {
            drawn: self.drawn.clone(),
            voxels: self.seen(&grid, &reached),
            reach: Mask::from_indices(grid, &reached)?,
            least: self.least,
        };
        let warnings = vec![format!(
            "region carried to the grid of the series through its registration: {:.2} mL as drawn, \
             {:.2} mL carried",
            self.drawn.volume_ml(),
            region.volume_ml()
        )];
        let bridge = Bridge::Carried(Box::new(carried));
        Ok(Registered { loaded, region, found: self.found, bridge, warnings })
    }

    /// The signals on the grid of the anatomical image around the region.
    fn resampled(self, measured: LoadedSeries) -> Result<Registered> {
        let grid = *measured.series.grid();
        let near = self.near(&grid, 0.0);
        let fractions = self.seen(&grid, &near).fractions(self.drawn, None);
        let mut filled = Volume::from_fn(grid, |_| 0.0_f32);
        for (&index, fraction) in near.iter().zip(fractions) {
            filled.voxels_mut()[index] = fraction;
        }
        let measured_region = Mask::new(filled.map(|&part| f64::from(part) >= self.least));
        let (target, first) = box_around(self.drawn)?;
        let series = interpolated(&measured.series, &target, &self.found.transform)?;
        let (mut inside, mut places_mm, mut noise_scale) = (Vec::new(), Vec::new(), Vec::new());
        for &index in self.drawn.indices() {
            let place = self.found.transform.apply(self.drawn.grid().position_mm(index));
            let part = linear_at(&filled, place).map_or(0.0, f64::from);
            if let Some(corners) = corners_at(&grid, place).filter(|_| part >= self.least) {
                let voxel = self.drawn.grid().voxel(index);
                inside.push(target.index([0, 1, 2].map(|axis| voxel[axis] - first[axis])));
                places_mm.push(place);
                noise_scale.push(corners.iter().map(|(_, w)| w * w).sum::<f64>().sqrt());
            }
        }
        self.require_covered(inside.len())?;
        let warnings = vec![format!(
            "signals interpolated on the grid of the anatomical image; {} of {} voxels of the region \
             lie where voxels of the series are filled to {} by it",
            inside.len(),
            self.drawn.len(),
            self.least
        )];
        let loaded = LoadedSeries {
            series,
            protocol: measured.protocol.clone(),
            header: Header::of_grid(target),
            warnings: measured.warnings.clone(),
        };
        let region = Mask::from_indices(target, &inside)?;
        let resampled = Resampled { measured, measured_region, places_mm, noise_scale };
        let bridge = Bridge::Resampled(Box::new(resampled));
        Ok(Registered { loaded, region, found: self.found, bridge, warnings })
    }
}

/// The part of the grid of `mask` that holds it, one voxel more on each side, and its first voxel.
fn box_around(mask: &Mask) -> Result<(Grid, [usize; 3])> {
    let grid = mask.grid();
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for &index in mask.indices() {
        let voxel = grid.voxel(index);
        for axis in 0..3 {
            low[axis] = low[axis].min(voxel[axis]);
            high[axis] = high[axis].max(voxel[axis]);
        }
    }
    let first = low.map(|i| i.saturating_sub(1));
    let last = [0, 1, 2].map(|axis| (high[axis] + 1).min(grid.shape()[axis] - 1));
    let mut matrix = *grid.affine().matrix();
    let origin_mm = grid.affine().to_scanner(first.map(|i| i as f64));
    for (row, origin_mm) in matrix.iter_mut().zip(origin_mm) {
        row[3] = origin_mm;
    }
    let shape = [0, 1, 2].map(|axis| last[axis] - first[axis] + 1);
    Ok((Grid::new(shape, Affine::new(matrix)?)?, first))
}

/// Every volume of `series` on `target` through `transform`, in single precision; NaN outside.
fn interpolated(series: &Series, target: &Grid, transform: &Transform) -> Result<Series> {
    let places: Vec<[f64; 3]> = (0..target.n_voxels())
        .into_par_iter()
        .map(|index| transform.apply(target.position_mm(index)))
        .collect();
    let mut samples = Vec::with_capacity(target.n_voxels() * series.n_volumes());
    for volume in 0..series.n_volumes() {
        let image = series.volume(volume).map(|&signal| signal as f32);
        let value = |&place: &[f64; 3]| linear_at(&image, place).unwrap_or(f32::NAN);
        samples.par_extend(places.par_iter().map(value));
    }
    Series::new(*target, Samples::Single(samples), vec![Scaling::IDENTITY; series.n_volumes()])
}

#[cfg(test)]
mod tests;
