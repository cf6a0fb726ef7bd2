//! σ from what the mean of a voxel's neighbours does not explain.
//!
//! ```text
//! e = √(6/7) · (m − mean of the six neighbours)        √(4/5) and four in a single slice
//! ```
//!
//! White noise keeps its variance in e; constants and ramps vanish. In tissue, where magnitudes are
//! normal, σ = median |e| / 0.6745, because edges raise a mean of squares still more. Where hardly any
//! voxel is bright, the mean of squares is the variance of the magnitudes, which is 0.4292 σ² in air
//! and brought to σ² by Koay's fixed point of mean over SD elsewhere.
//!
//! # Reference
//!
//! Coupé et al., "Robust Rician noise estimation for MR images", Medical Image Analysis 2010,
//! doi:10.1016/j.media.2010.03.001; Koay and Basser, Journal of Magnetic Resonance 2006,
//! doi:10.1016/j.jmr.2006.01.016.

use super::selection::{level_of, require_matching};
use super::wavelet::Details;
use super::{NoiseEstimate, NoiseMethod};
use crate::error::Result;
use crate::image::{Grid, Mask, Series};

/// σ from `volumes` over the voxels of `mask` whose neighbours lie in it too.
///
/// Voxels with a neighbour that is not finite are left out, and those of mean 0.
///
/// # Errors
///
/// `Mismatch` when the mask lies on another grid or a volume is not there; `Value` when fewer than
/// 30 voxels are left or the images hold no noise.
pub fn estimate(series: &Series, mask: &Mask, volumes: &[usize]) -> Result<NoiseEstimate> {
    require_matching(series, mask, volumes)?;
    let details = read(series, mask, volumes);
    let (sigma, n) = details.sigma_with(|all| {
        let squares: f64 = all.iter().map(|&place| details.details[place].powi(2)).sum();
        (squares / all.len() as f64).sqrt()
    });
    level_of(sigma, NoiseMethod::LocalFilter, n / volumes.len().max(1))
}

fn read(series: &Series, mask: &Mask, volumes: &[usize]) -> Details {
    let mut found = Details { details: Vec::new(), means: Vec::new() };
    for &voxel in mask.indices() {
        let Some(neighbours) = neighbours(series.grid(), voxel) else { continue };
        if !neighbours.iter().all(|&neighbour| mask.contains(neighbour)) {
            continue;
        }
        let n = neighbours.len() as f64;
        for &volume in volumes {
            let own = series.signal(voxel, volume);
            let around: f64 = neighbours.iter().map(|&i| series.signal(i, volume)).sum();
            let detail = (n / (n + 1.0)).sqrt() * (own - around / n).abs();
            let mean = (own + around) / (n + 1.0);
            if detail.is_finite() && mean > 0.0 {
                found.details.push(detail);
                found.means.push(mean);
            }
        }
    }
    found
}

/// The voxels that share a face with `voxel`, in the plane for a single slice; none at the edge of
/// the grid.
fn neighbours(grid: &Grid, voxel: usize) -> Option<Vec<usize>> {
    let (shape, place) = (grid.shape(), grid.voxel(voxel));
    let n_axes = if shape[2] == 1 { 2 } else { 3 };
    let mut found = Vec::with_capacity(2 * n_axes);
    for axis in 0..n_axes {
        if place[axis] == 0 || place[axis] + 1 == shape[axis] {
            return None;
        }
        for end in [place[axis] - 1, place[axis] + 1] {
            let mut neighbour = place;
            neighbour[axis] = end;
            found.push(grid.index(neighbour));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Affine, Volume};
    use crate::noise::{phantom, rician};
    use crate::random::StreamKey;

    /// One volume of `amplitude` with Rician noise of `sigma`.
    fn noisy(shape: [usize; 3], sigma: f64, amplitude: f64) -> (Series, Mask) {
        let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
        let grid = Grid::new(shape, affine).unwrap();
        let key = StreamKey::new(7, "local filter");
        let draw = |voxel| rician::draw(amplitude, sigma, &mut key.stream(voxel, 0));
        let signals = (0..grid.n_voxels()).map(draw).collect();
        (Series::from_signals(grid, signals).unwrap(), Mask::full(grid))
    }

    #[track_caller]
    fn recovered((series, mask): &(Series, Mask), sigma: f64) {
        let estimate = estimate(series, mask, &[0]).unwrap();
        assert!((estimate.level.sigma() / sigma - 1.0).abs() < 0.03, "{estimate:?}");
        assert_eq!(estimate.level.method(), NoiseMethod::LocalFilter);
    }

    #[test]
    fn sigma_is_recovered_in_tissue_in_air_and_between() {
        let (series, all) = phantom::half_air(7.0, &[1.0], "local filter");
        let grid = *all.grid();
        let bright = Volume::from_fn(grid, |voxel| grid.voxel(voxel)[1] >= phantom::EDGE / 2);
        recovered(&(series, Mask::new(bright)), 7.0);
        for ratio in [0.0, 1.0, 2.0, 3.0, 4.0, 8.0, 40.0] {
            recovered(&noisy([48; 3], 7.0, 7.0 * ratio), 7.0);
        }
        recovered(&noisy([256, 256, 1], 3.0, 100.0), 3.0);
    }

    #[test]
    fn ramps_hold_no_noise() {
        let (series, mask) = noisy([12; 3], 1.0, 10.0);
        let ramp = (0..mask.len()).map(|voxel| 1.0 + series.grid().voxel(voxel)[1] as f64);
        let ramp = Series::from_signals(*mask.grid(), ramp.collect()).unwrap();
        let text = estimate(&ramp, &mask, &[0]).unwrap_err().to_string();
        assert!(text.contains("from method `local_filter` is not a positive number"), "{text}");
        assert!(estimate(&series, &mask, &[1]).is_err() && estimate(&series, &mask, &[]).is_err());
    }
}
