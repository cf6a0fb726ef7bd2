//! Movement between the volumes of one series, each taken as rigid.

use std::ops::Range;

use rayon::prelude::*;

use super::resample::resample_linear_through;
use super::{Metric, Pair, Registration, Rigid, RigidSettings, Start, register_rigid};
use crate::error::{Error, Result};
use crate::image::{Mask, Samples, Scaling, Series, Volume};

/// What the volumes of a series are brought onto.
#[derive(Debug, Clone, PartialEq)]
pub enum Reference {
    /// One volume of the series.
    Volume(usize),
    /// The mean of these volumes, such as the frames after the contrast agent arrived.
    Mean(Range<usize>),
}

/// How the movement of a series is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct MotionSettings {
    /// What stays.
    pub reference: Reference,
    /// Search for every volume.
    pub rigid: RigidSettings,
}

impl MotionSettings {
    /// For contrasts that change with the b-value or the contrast agent: normalised mutual
    /// information, 2 resolutions, 100 000 samples.
    pub fn new(reference: Reference) -> Self {
        let rigid = RigidSettings {
            metric: Metric::NormalizedMutualInformation,
            start: Start::Header,
            n_levels: 2,
            samples_max: 100_000,
            ..RigidSettings::default()
        };
        Self { reference, rigid }
    }
}

/// One registration per volume: from positions of the reference to positions of that volume. The
/// reference volume itself keeps its place. `mask` are the voxels that are compared.
///
/// # Errors
///
/// As [`register_rigid`], naming the volume; `Value` when the reference names no volume of the
/// series.
pub fn estimate_motion(
    series: &Series,
    mask: Option<&Mask>,
    settings: &MotionSettings,
) -> Result<Vec<Registration>> {
    let reference = reference_volume(series, &settings.reference)?;
    (0..series.n_volumes())
        .into_par_iter()
        .map(|volume| {
            let moving = single(series, volume);
            let pair =
                Pair { fixed: &reference, moving: &moving, fixed_mask: mask, moving_mask: None };
            let rigid = if settings.reference == Reference::Volume(volume) {
                RigidSettings { iterations_max: 0, ..settings.rigid }
            } else {
                settings.rigid
            };
            register_rigid(&pair, &rigid)
                .map_err(|error| error.at_field(format!("volumes[{volume}]")))
        })
        .collect()
}

fn single(series: &Series, volume: usize) -> Volume<f32> {
    Volume::from_fn(*series.grid(), |voxel| series.signal(voxel, volume) as f32)
}

fn reference_volume(series: &Series, reference: &Reference) -> Result<Volume<f32>> {
    let volumes = match reference {
        Reference::Volume(volume) => *volume..volume.saturating_add(1),
        Reference::Mean(volumes) => volumes.clone(),
    };
    if volumes.is_empty() || volumes.end > series.n_volumes() {
        return Err(Error::value(format!(
            "volumes {volumes:?} are not in a series of {}",
            series.n_volumes()
        ))
        .at_field("reference"));
    }
    let n = volumes.len() as f64;
    Ok(Volume::from_fn(*series.grid(), |voxel| {
        (volumes.clone().map(|volume| series.signal(voxel, volume)).sum::<f64>() / n) as f32
    }))
}

/// Every volume of `series` through its transform, on the grid of the series, in single precision;
/// NaN where a volume does not reach. A volume whose transform moves nothing keeps its values.
///
/// # Errors
///
/// `Mismatch` when there is not one transform per volume.
pub fn resample_series(series: &Series, transforms: &[Rigid]) -> Result<Series> {
    if transforms.len() != series.n_volumes() {
        return Err(Error::mismatch(format!(
            "{} transforms for {} volumes",
            transforms.len(),
            series.n_volumes()
        )));
    }
    let mut samples = Vec::with_capacity(series.samples().len());
    for (volume, transform) in transforms.iter().enumerate() {
        let still = transform.parameters().iter().all(|p| p.abs() <= 0.0);
        let values = single(series, volume);
        if still {
            samples.extend_from_slice(values.voxels());
        } else {
            let moved = resample_linear_through(&values, series.grid(), transform)?;
            samples.extend_from_slice(moved.image.voxels());
        }
    }
    let scalings = vec![Scaling::IDENTITY; transforms.len()];
    Series::new(*series.grid(), Samples::Single(samples), scalings)
}
