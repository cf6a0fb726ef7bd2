//! A 64³ phantom with known σ for the tests of this room.
//!
//! # Reference
//!
//! Rician noise of [`rician`](super::rician), doi:10.1002/mrm.1910340618.

use super::rician;
use crate::image::{Affine, Grid, Mask, Series};
use crate::random::StreamKey;

/// Amplitude of the bright half before scaling.
const AMPLITUDE: f64 = 200.0;

/// Edge of the phantom, voxels.
pub(super) const EDGE: usize = 64;

/// Volumes `scales[k] · 200` where y ≥ 32 and air elsewhere, with Rician noise of `sigma`; all voxels.
pub(super) fn half_air(sigma: f64, scales: &[f64], name: &str) -> (Series, Mask) {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let grid = Grid::new([EDGE; 3], affine).unwrap();
    let key = StreamKey::new(11, name);
    let mut signals = Vec::with_capacity(grid.n_voxels() * scales.len());
    for (volume, scale) in scales.iter().enumerate() {
        for voxel in 0..grid.n_voxels() {
            let bright = grid.voxel(voxel)[1] >= EDGE / 2;
            let amplitude = if bright { AMPLITUDE * scale } else { 0.0 };
            let mut stream = key.stream(voxel, volume as u32);
            signals.push(rician::draw(amplitude, sigma, &mut stream));
        }
    }
    (Series::from_signals(grid, signals).unwrap(), Mask::full(grid))
}
