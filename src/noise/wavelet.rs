//! σ from the finest detail of the images themselves.
//!
//! The Haar detail in all three directions, (Σ ± m)/√8 over a cube of eight voxels, is blind to
//! constants, ramps and any sum of functions of one coordinate; of white noise it keeps σ. So
//! σ = median |detail| / 0.6745 over cubes of the foreground (squares in a single slice). Cubes with
//! mean ≥ 5σ are used. Where hardly any are that bright, all are, and the SD found is brought from
//! Rician to σ by Koay's fixed point of mean over SD.
//!
//! Fine structure raises this σ; interpolated and filtered images, whose neighbours share their
//! noise, lower it. The same detail of voxels two apart tells: white noise has the same there.
//!
//! # Reference
//!
//! Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 1994,
//! doi:10.1093/biomet/81.3.425; Coupé et al., "Robust Rician noise estimation for MR images",
//! Medical Image Analysis 2010, doi:10.1016/j.media.2010.03.001; Koay and Basser, "Analytically exact
//! correction scheme for signal extraction from noisy magnitude MR signals", Journal of Magnetic
//! Resonance 2006, doi:10.1016/j.jmr.2006.01.016.

use super::rician::{MEAN_OF_PURE_NOISE, SD_OF_PURE_NOISE, standard_deviation};
use super::selection::{MINIMUM_VOXELS, at_high_signal, level_of, median, require_matching};
use super::{NoiseEstimate, NoiseMethod};
use crate::error::{Error, Result};
use crate::image::{Grid, Mask, Series};

/// Φ⁻¹(3/4): median of the absolute value of a standard normal.
const MEDIAN_OF_NORMAL: f64 = 0.674_489_750_196_081_7;
/// Bright cubes that are enough: σ is then known to 2 %.
const ENOUGH_CUBES: usize = 3000;
/// Mean over SD of the foreground below which it follows the Rician distribution.
const GAUSSIAN_FROM: f64 = 5.0;
/// Ratio of the details two voxels and one voxel apart that is worth a warning, and that refuses.
const CORRELATED: [f64; 2] = [1.15, 1.5];
const MAXIMUM_PASSES: usize = 500;
const STEP: f64 = 1e-9;

/// σ from the detail of `volumes` over the cubes that lie in `mask`.
///
/// Cubes with a sample that is not finite are left out, and cubes of mean 0. `agreement` is the
/// ratio of the details two voxels and one voxel apart, minus 1; warns from 0.15. `n_voxels` counts
/// eight (in a single slice four) voxels per cube once.
///
/// # Errors
///
/// `Mismatch` when the mask lies on another grid or a volume is not there; `Value` when fewer than
/// 30 voxels lie in such cubes, when neighbours are correlated (ratio 1.5 and more), or the images
/// hold no noise.
pub fn estimate(series: &Series, mask: &Mask, volumes: &[usize]) -> Result<NoiseEstimate> {
    require_matching(series, mask, volumes)?;
    let near = Details::read(series, mask, (volumes, 1));
    let (sigma, n_cubes) = near.sigma();
    let corners = if series.grid().shape()[2] == 1 { 4 } else { 8 };
    let n_voxels = corners * n_cubes / volumes.len().max(1);
    let mut estimate = level_of(sigma, NoiseMethod::Wavelet, n_voxels)?;
    let far = Details::read(series, mask, (volumes, 2));
    if far.details.len() < MINIMUM_VOXELS {
        return Ok(estimate);
    }
    let ratio = far.sigma().0 / sigma;
    estimate.agreement = Some(ratio.max(1.0 / ratio) - 1.0);
    let [warned, refused] = CORRELATED;
    let correlated =
        format!("detail of voxels two apart is {ratio:.2} times that of neighbours, whose noise");
    if ratio >= refused {
        let message = format!("{correlated} is shared: the images are interpolated or filtered");
        return Err(Error::value(format!("method `wavelet`: {message}"))
            .at_field("noise.method")
            .hint("choose another noise.method or give noise.sigma"));
    }
    if ratio >= warned {
        estimate.warnings.push(format!("{correlated} may be shared: the noise level is too small"));
    }
    Ok(estimate)
}

/// Absolute detail and mean of every place that is looked at, such as the cubes of the mask.
pub(super) struct Details {
    pub(super) details: Vec<f64>,
    pub(super) means: Vec<f64>,
}

impl Details {
    /// Cubes of the `volumes` whose corners are `step` voxels apart and share no voxel.
    fn read(series: &Series, mask: &Mask, (volumes, step): (&[usize], usize)) -> Self {
        let mut cubes = Self { details: Vec::new(), means: Vec::new() };
        for corners in corners(series.grid(), step) {
            if !corners.iter().all(|&voxel| mask.contains(voxel)) {
                continue;
            }
            for &volume in volumes {
                let (mut plus, mut minus) = (0.0, 0.0);
                for (corner, &voxel) in corners.iter().enumerate() {
                    let sum = if corner.count_ones() % 2 == 0 { &mut plus } else { &mut minus };
                    *sum += series.signal(voxel, volume);
                }
                let n = corners.len() as f64;
                let (detail, mean) = ((plus - minus).abs() / n.sqrt(), (plus + minus) / n);
                if detail.is_finite() && mean > 0.0 {
                    cubes.details.push(detail);
                    cubes.means.push(mean);
                }
            }
        }
        cubes
    }

    /// σ and the number of places it is from, by the median of the details.
    fn sigma(&self) -> (f64, usize) {
        self.sigma_with(|all| self.median_sd(all))
    }

    /// As [`Details::sigma`]; where hardly any place is bright, `sd_of` gives the SD of the magnitudes
    /// of all.
    pub(super) fn sigma_with(&self, sd_of: impl Fn(&[usize]) -> f64) -> (f64, usize) {
        let all: Vec<usize> = (0..self.details.len()).collect();
        let bright = at_high_signal(&self.means, &all, |members| self.median_sd(members));
        if bright.members.len() >= ENOUGH_CUBES.min(all.len() / 10).max(MINIMUM_VOXELS) {
            return (bright.sigma, bright.members.len());
        }
        let sd = sd_of(&all);
        let ratio = median(&mut self.means.clone()) / sd;
        let sigma = if ratio < GAUSSIAN_FROM { sd / spread(ratio) } else { sd };
        (sigma, all.len())
    }

    fn median_sd(&self, members: &[usize]) -> f64 {
        let mut details: Vec<f64> = members.iter().map(|&place| self.details[place]).collect();
        median(&mut details) / MEDIAN_OF_NORMAL
    }
}

/// Corners of the cubes of a grid, four in a single slice; the parity of ones in a corner's place is
/// its sign.
fn corners(grid: &Grid, step: usize) -> impl Iterator<Item = Vec<usize>> {
    let grid = *grid;
    let shape = grid.shape();
    let is_flat = shape[2] == 1;
    let starts = move |axis: usize| {
        let end = shape[axis].saturating_sub(step);
        (0..end).filter(move |start| start % (2 * step) < step)
    };
    let slices: Vec<usize> = if is_flat { vec![0] } else { starts(2).collect() };
    slices.into_iter().flat_map(move |k| {
        starts(1).flat_map(move |j| {
            starts(0).map(move |i| {
                let n = if is_flat { 4 } else { 8 };
                let place = |corner: usize| {
                    [
                        i + step * (corner & 1),
                        j + step * (corner >> 1 & 1),
                        k + step * (corner >> 2),
                    ]
                };
                (0..n).map(|corner| grid.index(place(corner))).collect()
            })
        })
    })
}

/// SD over σ of a Rician variable whose mean over SD is `ratio`; that of pure noise where no
/// amplitude gives so small a ratio.
fn spread(ratio: f64) -> f64 {
    if ratio <= MEAN_OF_PURE_NOISE / SD_OF_PURE_NOISE {
        return SD_OF_PURE_NOISE;
    }
    let mut amplitude = ratio;
    for _ in 0..MAXIMUM_PASSES {
        let variance = standard_deviation(amplitude, 1.0).powi(2);
        let next = (variance * (1.0 + ratio * ratio) - 2.0).max(0.0).sqrt();
        let stays = (next - amplitude).abs() < STEP;
        amplitude = next;
        if stays {
            break;
        }
    }
    standard_deviation(amplitude, 1.0)
}

#[cfg(test)]
mod tests;
