//! What the lanes report, and where it is written.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use fearless_simd::{Simd, f64x8, mask64x8, prelude::*};

/// Lanes of a tile.
pub(super) const TILE_LEN: usize = 32;

/// What is reported of the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity {
    /// The reciprocal of the rate instead of the rate.
    pub reciprocal: bool,
    /// What to report at the lower and at the upper bound of the rate.
    pub at_bounds: [f64; 2],
    /// Whether variances and sums of squares are wanted too.
    pub everything: bool,
}

impl Quantity {
    #[inline(always)]
    pub(super) fn estimate<S: Simd>(
        &self,
        rate: f64x8<S>,
        [at_lower, at_upper]: [mask64x8<S>; 2],
    ) -> f64x8<S> {
        let simd = rate.simd;
        let [lower, upper] = self.at_bounds;
        let estimate = if self.reciprocal { simd.splat_f64x8(1.0) / rate } else { rate };
        let estimate = estimate.max(lower.min(upper)).min(lower.max(upper));
        let estimate = at_lower.select(simd.splat_f64x8(lower), estimate);
        at_upper.select(simd.splat_f64x8(upper), estimate)
    }

    /// From the variance of the rate.
    #[inline(always)]
    pub(super) fn variance<S: Simd>(&self, estimate: f64x8<S>, by_rate: f64x8<S>) -> f64x8<S> {
        if self.reciprocal {
            let square = estimate * estimate;
            by_rate * square * square
        } else {
            by_rate
        }
    }
}

/// The results of a group of lanes.
pub(super) struct Tile {
    pub(super) estimate: [f64; TILE_LEN],
    pub(super) amplitude: [f64; TILE_LEN],
    pub(super) variance: [f64; TILE_LEN],
    pub(super) amplitude_variance: [f64; TILE_LEN],
    pub(super) residual: [f64; TILE_LEN],
    pub(super) total: [f64; TILE_LEN],
    pub(super) evaluations: [u32; TILE_LEN],
    /// Lanes settled, at the lower and at the upper bound of the rate, a bit per lane.
    pub(super) masks: [u32; 3],
}

impl Tile {
    #[inline(always)]
    pub(super) fn new() -> Self {
        let empty = [0.0; TILE_LEN];
        Self {
            estimate: empty,
            amplitude: empty,
            variance: empty,
            amplitude_variance: empty,
            residual: empty,
            total: empty,
            evaluations: [0; TILE_LEN],
            masks: [0; 3],
        }
    }

    #[inline(always)]
    pub(super) fn endings(&self, first: usize, n_lanes: usize) -> TileEndings {
        let [settled, at_lower_bound, at_upper_bound] = self.masks;
        TileEndings { first, n_lanes, settled, at_lower_bound, at_upper_bound }
    }

    /// Masks of the eight lanes from `lane` on.
    #[inline(always)]
    pub(super) fn set_masks(&mut self, lane: usize, masks: [u64; 3]) {
        for (own, mask) in self.masks.iter_mut().zip(masks) {
            let cleared = *own & !(0xff << lane);
            *own = cleared | ((mask as u32 & 0xff) << lane);
        }
    }
}

/// How the four ends of a lane are written.
#[derive(Debug, Clone, Copy)]
pub struct Endings<E> {
    /// At the global optimum inside the bounds.
    pub converged: E,
    /// The optimum is the lower bound of the rate.
    pub at_lower_bound: E,
    /// The optimum is the upper bound of the rate.
    pub at_upper_bound: E,
    /// Left to the solver of single lanes; the numbers of the lane mean nothing.
    pub undecided: E,
}

/// How the lanes of one tile ended, a bit per lane.
#[derive(Debug, Clone, Copy)]
pub struct TileEndings {
    /// First lane, and number of lanes, at most 32.
    pub first: usize,
    /// Number of lanes.
    pub n_lanes: usize,
    /// Lanes that are settled; the numbers of the others mean nothing.
    pub settled: u32,
    /// Lanes whose optimum is the lower bound of the rate.
    pub at_lower_bound: u32,
    /// Lanes whose optimum is the upper bound of the rate.
    pub at_upper_bound: u32,
}

impl TileEndings {
    /// Writes its lanes of `to`, shape `[n_lanes]` of the block; returns how many are undecided.
    pub fn write<E: Copy>(&self, endings: &Endings<E>, to: &mut [E]) -> u32 {
        let own = &mut to[self.first..self.first + self.n_lanes];
        own.fill(endings.converged);
        let lanes = u32::MAX >> (TILE_LEN - self.n_lanes);
        mark(own, self.at_lower_bound & lanes, endings.at_lower_bound);
        mark(own, self.at_upper_bound & lanes, endings.at_upper_bound);
        mark(own, !self.settled & lanes, endings.undecided);
        (!self.settled & lanes).count_ones()
    }
}

/// Writes `ending` where `mask` has a bit.
fn mark<E: Copy>(endings: &mut [E], mut mask: u32, ending: E) {
    while mask != 0 {
        endings[mask.trailing_zeros() as usize] = ending;
        mask &= mask - 1;
    }
}

/// Columns of results, each of shape `[n_lanes]`.
#[derive(Debug)]
pub struct LaneColumns<'a> {
    /// The rate or its reciprocal.
    pub estimates: &'a mut [f64],
    /// The amplitude, > 0.
    pub amplitudes: &'a mut [f64],
    /// (JᵀJ)⁻¹ of the estimate.
    pub variances: &'a mut [f64],
    /// (JᵀJ)⁻¹ of the amplitude.
    pub amplitude_variances: &'a mut [f64],
    /// Σ (sample − model)².
    pub residual_sums: &'a mut [f64],
    /// Σ (sample − mean)².
    pub total_sums: &'a mut [f64],
    /// Evaluations of the curve.
    pub evaluations: &'a mut [u32],
}

impl LaneColumns<'_> {
    /// Copies `len` lanes of `tile` to `first` on.
    #[inline(always)]
    pub(super) fn take(&mut self, tile: &Tile, (first, len): (usize, usize), quantity: &Quantity) {
        let to = first..first + len;
        self.estimates[to.clone()].copy_from_slice(&tile.estimate[..len]);
        self.amplitudes[to.clone()].copy_from_slice(&tile.amplitude[..len]);
        if quantity.everything {
            self.variances[to.clone()].copy_from_slice(&tile.variance[..len]);
            self.amplitude_variances[to.clone()].copy_from_slice(&tile.amplitude_variance[..len]);
            self.residual_sums[to.clone()].copy_from_slice(&tile.residual[..len]);
            self.total_sums[to.clone()].copy_from_slice(&tile.total[..len]);
            self.evaluations[to].copy_from_slice(&tile.evaluations[..len]);
        }
    }
}
