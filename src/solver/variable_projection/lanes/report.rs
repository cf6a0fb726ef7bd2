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
    /// What is wanted beside the estimates.
    pub spread: Spread,
}

/// What is wanted of the precision of the estimates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    /// Nothing: only the columns of rate and amplitude are written.
    None,
    /// Variances for samples of variance 1, and sums of squares.
    Unscaled,
    /// Standard errors from the variance of a sample, and R².
    Known {
        /// σ².
        variance: f64,
    },
    /// Standard errors from the residuals, and R².
    Residual {
        /// 1 / degrees of freedom; NaN where there is none.
        per_degree: f64,
    },
}

impl Spread {
    /// The columns of spread and of totals, from variances, RSS and Σ (y − mean)².
    #[inline(always)]
    pub(super) fn of<S: Simd>(
        self,
        [estimate, amplitude]: [f64x8<S>; 2],
        [residual, total]: [f64x8<S>; 2],
    ) -> ([f64x8<S>; 2], f64x8<S>) {
        let simd = total.simd;
        let variance = match self {
            Self::None | Self::Unscaled => return ([estimate, amplitude], total),
            Self::Known { variance } => simd.splat_f64x8(variance),
            Self::Residual { per_degree } => residual * per_degree,
        };
        let known = simd.splat_f64x8(1.0) - residual / total;
        let r_squared = total.simd_gt(0.0).select(known, simd.splat_f64x8(f64::NAN));
        ([(variance * estimate).sqrt(), (variance * amplitude).sqrt()], r_squared)
    }
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
        if (at_lower | at_upper).to_bitmask() == 0 {
            return estimate;
        }
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

/// Lanes settled, at the lower and at the upper bound of the rate, and without positive amplitude, a
/// bit per lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks([u32; 4]);

impl Marks {
    /// No lane at all.
    pub(super) const NONE: Self = Self([0; 4]);

    #[inline(always)]
    pub(super) fn new([settled, at_lower, at_upper]: [u64; 3]) -> Self {
        Self([settled as u32, at_lower as u32, at_upper as u32, 0])
    }

    /// These lanes, and those of `other` from `lane` on.
    #[inline(always)]
    pub(super) fn beside(self, other: Self, lane: usize) -> Self {
        let mut marks = self;
        for (own, other) in marks.0.iter_mut().zip(other.0) {
            *own |= other << lane;
        }
        marks
    }

    /// Settled where `highest` too, or without positive amplitude where `nowhere`.
    #[inline(always)]
    pub(super) fn judged(self, highest: u64, nowhere: u64) -> Self {
        let [settled, at_lower, at_upper, _] = self.0;
        let (highest, nowhere) = (highest as u32, nowhere as u32);
        Self([(settled & highest) | nowhere, at_lower & !nowhere, at_upper & !nowhere, nowhere])
    }

    #[inline(always)]
    pub(super) fn endings(self, first: usize, n_lanes: usize) -> TileEndings {
        let own = u32::MAX >> (TILE_LEN - n_lanes);
        let [settled, at_lower_bound, at_upper_bound, nowhere_positive] =
            self.0.map(|mask| mask & own);
        TileEndings { first, n_lanes, settled, at_lower_bound, at_upper_bound, nowhere_positive }
    }
}

/// The results of a group of lanes.
pub(super) struct Tile {
    numbers: [[f64; TILE_LEN]; 6],
    evaluations: [u32; TILE_LEN],
}

impl Tile {
    pub(super) fn new() -> Self {
        Self { numbers: [[0.0; TILE_LEN]; 6], evaluations: [0; TILE_LEN] }
    }

    pub(super) fn columns(&mut self) -> LaneColumns<'_> {
        let [estimates, amplitudes, variance, amplitude_variance, residual_sums, totals] =
            &mut self.numbers;
        LaneColumns {
            estimates,
            amplitudes,
            spreads: [variance, amplitude_variance],
            residual_sums,
            totals,
            evaluations: &mut self.evaluations,
        }
    }
}

/// How the ends of a lane are written.
#[derive(Debug, Clone, Copy)]
pub struct Endings<E> {
    /// At the global optimum inside the bounds.
    pub converged: E,
    /// The optimum is the lower bound of the rate.
    pub at_lower_bound: E,
    /// The optimum is the upper bound of the rate.
    pub at_upper_bound: E,
    /// No rate fits better with a positive amplitude than with none; the numbers are NaN.
    pub no_positive_amplitude: E,
    /// Left to the solver of single lanes; the numbers of the lane mean nothing.
    pub undecided: E,
}

/// How lanes ended, a bit per lane.
#[derive(Debug, Clone, Copy)]
pub struct TileEndings {
    /// First lane.
    pub first: usize,
    /// Number of lanes, at most 32.
    pub n_lanes: usize,
    /// Lanes that are settled; the numbers of the others mean nothing.
    pub settled: u32,
    /// Lanes whose optimum is the lower bound of the rate.
    pub at_lower_bound: u32,
    /// Lanes whose optimum is the upper bound of the rate.
    pub at_upper_bound: u32,
    /// Lanes without positive amplitude; these are told of one by one.
    pub nowhere_positive: u32,
}

impl TileEndings {
    /// Lanes that are not settled.
    #[inline(always)]
    pub(super) fn undecided(&self) -> u32 {
        !self.settled & (u32::MAX >> (TILE_LEN - self.n_lanes))
    }

    /// Writes its lanes of `to`, shape `[n_lanes]` of the block.
    pub fn write<E: Copy>(&self, endings: &Endings<E>, to: &mut [E]) {
        let own = &mut to[self.first..self.first + self.n_lanes];
        own.fill(endings.converged);
        mark(own, self.at_lower_bound, endings.at_lower_bound);
        mark(own, self.at_upper_bound, endings.at_upper_bound);
        mark(own, self.nowhere_positive, endings.no_positive_amplitude);
        mark(own, self.undecided(), endings.undecided);
    }

    /// Lane `lane` of it alone, as lane `first` of the block.
    pub(super) fn only(&self, lane: usize, first: usize) -> Self {
        let bit = |mask: u32| (mask >> lane) & 1;
        Self {
            first,
            n_lanes: 1,
            settled: bit(self.settled),
            at_lower_bound: bit(self.at_lower_bound),
            at_upper_bound: bit(self.at_upper_bound),
            nowhere_positive: bit(self.nowhere_positive),
        }
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
    /// Of estimate and amplitude: (JᵀJ)⁻¹ or the standard error, as [`Spread`] says.
    pub spreads: [&'a mut [f64]; 2],
    /// Σ (sample − model)².
    pub residual_sums: &'a mut [f64],
    /// Σ (sample − mean)² or R², as [`Spread`] says.
    pub totals: &'a mut [f64],
    /// Evaluations of the curve.
    pub evaluations: &'a mut [u32],
}

impl LaneColumns<'_> {
    /// The same columns for a while.
    #[inline(always)]
    pub(super) fn borrowed(&mut self) -> LaneColumns<'_> {
        let [spread, amplitude_spread] = &mut self.spreads;
        LaneColumns {
            estimates: self.estimates,
            amplitudes: self.amplitudes,
            spreads: [spread, amplitude_spread],
            residual_sums: self.residual_sums,
            totals: self.totals,
            evaluations: self.evaluations,
        }
    }

    /// Copies `len` lanes of `tile`, from `lane` on, to `first` on.
    pub(super) fn take(
        &mut self,
        tile: &Tile,
        (lane, len): (usize, usize),
        first: usize,
        spread: Spread,
    ) {
        let (from, to) = (lane..lane + len, first..first + len);
        let copy = |column: &mut [f64], number: usize| {
            column[to.clone()].copy_from_slice(&tile.numbers[number][from.clone()]);
        };
        copy(self.estimates, 0);
        copy(self.amplitudes, 1);
        if spread != Spread::None {
            copy(self.spreads[0], 2);
            copy(self.spreads[1], 3);
            copy(self.residual_sums, 4);
            copy(self.totals, 5);
            self.evaluations[to].copy_from_slice(&tile.evaluations[from]);
        }
    }

    /// Makes all numbers of a lane NaN.
    pub(super) fn clear(&mut self, lane: usize, spread: Spread) {
        self.estimates[lane] = f64::NAN;
        self.amplitudes[lane] = f64::NAN;
        if spread != Spread::None {
            self.spreads[0][lane] = f64::NAN;
            self.spreads[1][lane] = f64::NAN;
            self.residual_sums[lane] = f64::NAN;
            self.totals[lane] = f64::NAN;
        }
    }
}
