//! Images of one session brought together before anything is measured: volumes of a series onto one
//! another, and a region from the image it was drawn on to the series.

use std::path::Path;

use crate::acquisition::Protocol;
use crate::error::Result;
use crate::image::resample::mask_from_fraction;
use crate::image::{Mask, Series, Volume};
use crate::io::nifti::{self, ReadLimits};
use crate::registration::motion::{MotionSettings, Reference, estimate_motion, resample_series};
use crate::registration::resample::carry_mask_through;
use crate::registration::{Pair, Registration, RigidSettings, register_rigid};

/// What was moved, and how far.
#[derive(Debug, Clone, Default)]
pub struct Alignment {
    /// One per volume of the series, from the reference to that volume; empty where the series was
    /// taken as it is.
    pub motion: Vec<Registration>,
    /// From the series to the image that the region was drawn on, or from that image to the series
    /// where the plan registers the series.
    pub region: Option<Registration>,
}

/// The series with every volume on the place of the reference, and the transforms that did it.
///
/// The reference is the volume with the least diffusion weighting, the shortest echo or the largest
/// flip angle, and the mean of the later half of a dynamic series.
///
/// # Errors
///
/// As [`estimate_motion`].
pub fn without_motion(series: &Series, protocol: &Protocol) -> Result<(Series, Vec<Registration>)> {
    let settings = MotionSettings::new(reference(series, protocol));
    let motion = estimate_motion(series, None, &settings)?;
    let transforms: Vec<_> = motion.iter().map(|found| *found.transform.rigid()).collect();
    Ok((resample_series(series, &transforms)?, motion))
}

fn reference(series: &Series, protocol: &Protocol) -> Reference {
    let least = |values: &[f64]| {
        let smallest = values.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        Reference::Volume(smallest.map_or(0, |(volume, _)| volume))
    };
    match protocol {
        Protocol::Diffusion(diffusion) => least(diffusion.b_values_s_per_mm2()),
        Protocol::MultiEcho(echoes) => least(echoes.echo_times_s()),
        Protocol::VariableFlipAngle(flips) => {
            least(&flips.flip_angles_rad().iter().map(|angle| -angle).collect::<Vec<_>>())
        }
        Protocol::Dynamic(_) => Reference::Mean(series.n_volumes() / 2..series.n_volumes()),
    }
}

/// `drawn` on the grid of `series`, through the rigid transform between the image at `path` that it
/// was drawn on and the mean of the series; voxels that it fills to `least` are in it.
///
/// # Errors
///
/// As reading the image and [`register_rigid`].
pub fn registered_region(
    drawn: &Mask,
    series: &Series,
    (path, least): (&Path, f64),
    limits: &ReadLimits,
) -> Result<(Mask, Registration)> {
    let image = nifti::read_series(path, limits).map_err(|error| error.at_path(path))?.image;
    let moving = image.volume(0).map(|&signal| signal as f32);
    let fixed = mean_volume(series);
    let found = register_rigid(&Pair::new(&fixed, &moving), &RigidSettings::default())
        .map_err(|error| error.at_path(path))?;
    let fractions = carry_mask_through(drawn, series.grid(), &found.transform)?;
    Ok((mask_from_fraction(&fractions, least as f32), found))
}

fn mean_volume(series: &Series) -> Volume<f32> {
    let n = series.n_volumes();
    Volume::from_fn(*series.grid(), |voxel| {
        ((0..n).map(|volume| series.signal(voxel, volume)).sum::<f64>() / n as f64) as f32
    })
}
