//! Smoothed and thinned images: what one resolution of the search looks at.
//!
//! The Gaussian is given in millimetres along the axes of the image. Values that are not finite are left out and the other weights scaled up.

use rayon::prelude::*;

use crate::error::Result;
use crate::image::{Affine, Grid, Volume};

/// Gaussians narrower than this many voxels are none.
const NARROWEST_VOXELS: f64 = 0.3;

/// A Gaussian ends at this many standard deviations.
const REACH: f64 = 3.0;

/// The least part of the weight on finite values.
const LEAST_FINITE_WEIGHT: f32 = 0.5;

/// Every `step`-th voxel from `first`, `count` of them, along each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) first: [usize; 3],
    pub(super) step: [usize; 3],
    pub(super) count: [usize; 3],
}

impl Window {
    /// Voxels `low..high` of each axis thinned by `step`, centred in them.
    pub(super) fn centred(low: [usize; 3], high: [usize; 3], step: [usize; 3]) -> Self {
        let count = [0, 1, 2].map(|a| (high[a] - low[a]).div_ceil(step[a]));
        let first =
            [0, 1, 2].map(|a| low[a] + (high[a] - low[a] - 1 - step[a] * (count[a] - 1)) / 2);
        Self { first, step, count }
    }

    /// Where the voxels of the window are.
    ///
    /// # Errors
    ///
    /// `Value` when the window is empty.
    pub(super) fn grid(&self, of: &Grid) -> Result<Grid> {
        let mut matrix = *of.affine().matrix();
        let origin_mm = of.affine().to_scanner(self.first.map(|i| i as f64));
        for (row, origin_mm) in matrix.iter_mut().zip(origin_mm) {
            for (entry, step) in row.iter_mut().zip(self.step) {
                *entry *= step as f64;
            }
            row[3] = origin_mm;
        }
        Grid::new(self.count, Affine::new(matrix)?)
    }

    /// Position in the whole image of voxel `i` along `axis`.
    pub(super) fn position(&self, axis: usize, i: usize) -> usize {
        self.first[axis] + self.step[axis] * i
    }
}

/// Thinning by about `factor` of the finest spacing along each axis: wide axes are thinned less.
pub(super) fn steps(grid: &Grid, factor: f64) -> [usize; 3] {
    let spacing_mm = grid.affine().spacing_mm();
    let finest_mm = finest_mm(grid);
    [0, 1, 2].map(|a| {
        let step = (factor * finest_mm / spacing_mm[a]).round().max(1.0) as usize;
        // At least four voxels stay where there are as many.
        step.min((grid.shape()[a] / 4).max(1))
    })
}

/// Smallest voxel spacing of an axis with more than one voxel, mm.
pub(super) fn finest_mm(grid: &Grid) -> f64 {
    let spacing_mm = grid.affine().spacing_mm();
    let of = |only: bool| {
        (0..3)
            .filter(|&a| !only || grid.shape()[a] > 1)
            .fold(f64::INFINITY, |finest, a| finest.min(spacing_mm[a]))
    };
    let finest = of(true);
    if finest.is_finite() { finest } else { of(false) }
}

/// `volume` after a Gaussian of standard deviations `sigma_mm` along its axes, at the voxels of `window`; NaN where
/// finite values have less than half of the weight.
///
/// # Errors
///
/// `Value` when the window is empty.
pub(super) fn smoothed(
    volume: &Volume<f32>,
    sigma_mm: [f64; 3],
    window: &Window,
) -> Result<Volume<f32>> {
    let grid = volume.grid();
    let spacing_mm = grid.affine().spacing_mm();
    let taps = [0, 1, 2].map(|a| gaussian(sigma_mm[a] / spacing_mm[a]));
    let target = window.grid(grid)?;
    let shape = grid.shape();
    if volume.voxels().par_iter().all(|value| value.is_finite()) {
        let voxels = separable(volume.voxels(), shape, &taps, window);
        return Volume::new(target, voxels);
    }
    let values: Vec<f32> =
        volume.voxels().iter().map(|&v| if v.is_finite() { v } else { 0.0 }).collect();
    let known: Vec<f32> =
        volume.voxels().iter().map(|v| f32::from(u8::from(v.is_finite()))).collect();
    let mut sums = separable(&values, shape, &taps, window);
    let weights = separable(&known, shape, &taps, window);
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum = if weight >= LEAST_FINITE_WEIGHT { *sum / weight } else { f32::NAN };
    }
    Volume::new(target, sums)
}

/// Weights from the centre outwards; one for no smoothing. They sum to 1 over both sides.
fn gaussian(sigma_voxels: f64) -> Vec<f32> {
    if sigma_voxels < NARROWEST_VOXELS || !sigma_voxels.is_finite() {
        return vec![1.0];
    }
    let radius = (REACH * sigma_voxels).ceil() as usize;
    let half: Vec<f64> =
        (0..=radius).map(|t| (-0.5 * (t as f64 / sigma_voxels).powi(2)).exp()).collect();
    let sum = half[0] + 2.0 * half[1..].iter().sum::<f64>();
    half.iter().map(|weight| (weight / sum) as f32).collect()
}

/// Positions and weights of the inputs of one output along one axis; beyond the border there is
/// nothing, and the weights inside are scaled up.
fn contributions(taps: &[f32], position: usize, length: usize) -> Vec<(usize, f32)> {
    let radius = taps.len() - 1;
    let low = position.saturating_sub(radius);
    let high = (position + radius).min(length - 1);
    let mut found: Vec<(usize, f32)> =
        (low..=high).map(|at| (at, taps[at.abs_diff(position)])).collect();
    let sum: f32 = found.iter().map(|(_, weight)| weight).sum();
    for (_, weight) in &mut found {
        *weight /= sum;
    }
    found
}

fn separable(
    values: &[f32],
    [nx, ny, nz]: [usize; 3],
    taps: &[Vec<f32>; 3],
    window: &Window,
) -> Vec<f32> {
    let along = |axis: usize, n: usize| -> Vec<Vec<(usize, f32)>> {
        (0..window.count[axis])
            .map(|i| contributions(&taps[axis], window.position(axis, i), n))
            .collect()
    };
    let (x, y, z) = (along(0, nx), along(1, ny), along(2, nz));
    let mut output = vec![0.0_f32; x.len() * y.len() * z.len()];
    let slice = |(k, out): (usize, &mut [f32])| {
        let mut plane = vec![0.0_f32; nx * ny];
        for &(at, weight) in &z[k] {
            add_scaled(&mut plane, weight, &values[at * nx * ny..(at + 1) * nx * ny]);
        }
        let mut row = vec![0.0_f32; nx];
        for (from, out) in y.iter().zip(out.chunks_exact_mut(x.len())) {
            row.fill(0.0);
            for &(at, weight) in from {
                add_scaled(&mut row, weight, &plane[at * nx..(at + 1) * nx]);
            }
            for (from, out) in x.iter().zip(out) {
                *out = from.iter().map(|&(at, weight)| weight * row[at]).sum();
            }
        }
    };
    output.par_chunks_mut(x.len() * y.len()).enumerate().for_each(slice);
    output
}

fn add_scaled(sum: &mut [f32], weight: f32, values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(shape: [usize; 3], spacing_mm: [f64; 3]) -> Grid {
        Grid::new(shape, Affine::from_spacing(spacing_mm, [3.0, -1.0, 2.0]).unwrap()).unwrap()
    }

    fn whole(grid: &Grid, step: [usize; 3]) -> Window {
        Window::centred([0; 3], grid.shape(), step)
    }

    #[test]
    fn thinned_voxels_keep_their_place_and_a_plane_its_values_inside() {
        let grid = grid([40, 36, 12], [1.0, 1.2, 3.0]);
        let plane = |[x, y, z]: [f64; 3]| 5.0 + 0.5 * x - 0.25 * y + 0.125 * z;
        let volume = Volume::from_fn(grid, |i| plane(grid.position_mm(i)) as f32);
        let window = whole(&grid, [4, 3, 1]);
        let thin = smoothed(&volume, [2.0; 3], &window).unwrap();
        assert_eq!(thin.grid().shape(), [10, 12, 12]);
        for (index, &value) in thin.voxels().iter().enumerate() {
            let voxel = thin.grid().voxel(index);
            if (0..2).all(|a| (3..thin.grid().shape()[a] - 3).contains(&voxel[a]))
                && (3..9).contains(&voxel[2])
            {
                let expected = plane(thin.grid().position_mm(index));
                assert!((f64::from(value) - expected).abs() < 1e-4, "{value} {expected}");
            }
        }
    }

    #[test]
    fn a_gaussian_of_an_impulse_has_its_variance() {
        let grid = grid([41, 41, 41], [0.5; 3]);
        let centre = grid.index([20; 3]);
        let impulse = Volume::from_fn(grid, |i| f32::from(u8::from(i == centre)));
        let blurred = smoothed(&impulse, [1.5; 3], &whole(&grid, [1; 3])).unwrap();
        let centre_mm = grid.position_mm(centre);
        let mut variance = [0.0; 3];
        let mut sum = 0.0;
        for (index, &value) in blurred.voxels().iter().enumerate() {
            let position = grid.position_mm(index);
            sum += f64::from(value);
            for axis in 0..3 {
                variance[axis] += f64::from(value) * (position[axis] - centre_mm[axis]).powi(2);
            }
        }
        assert!((sum - 1.0).abs() < 1e-5);
        // Cut at three standard deviations: 2.7 % of the variance is lost.
        assert!(variance.iter().all(|v| (v.sqrt() / 1.5 - 1.0).abs() < 0.02), "{variance:?}");
    }

    #[test]
    fn missing_values_are_filled_from_their_neighbours_or_stay_missing() {
        let grid = grid([20, 20, 4], [1.0; 3]);
        let volume = Volume::from_fn(grid, |i| {
            let [x, y, _] = grid.voxel(i);
            if x < 5 || (x, y) == (12, 12) { f32::NAN } else { 7.0 }
        });
        let blurred = smoothed(&volume, [1.0; 3], &whole(&grid, [1; 3])).unwrap();
        assert!(blurred.voxels()[grid.index([0, 10, 1])].is_nan());
        assert!((blurred.voxels()[grid.index([12, 12, 1])] - 7.0).abs() < 1e-5);
        assert!((blurred.voxels()[grid.index([6, 3, 1])] - 7.0).abs() < 1e-5);
    }

    #[test]
    fn thick_slices_are_not_thinned_and_one_voxel_stays_one() {
        assert_eq!(steps(&grid([100, 100, 30], [0.5, 0.5, 3.0]), 4.0), [4, 4, 1]);
        assert_eq!(steps(&grid([1, 1, 1], [1.0; 3]), 4.0), [1, 1, 1]);
        assert_eq!(steps(&grid([9, 100, 1], [1.0; 3]), 4.0), [2, 4, 1]);
        let window = Window::centred([2, 0, 0], [9, 1, 5], [3, 1, 2]);
        assert_eq!((window.first, window.count), ([2, 0, 0], [3, 1, 3]));
    }
}
