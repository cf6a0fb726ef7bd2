//! Signal to concentration of eight voxels at once.
//!
//! With e = `S/S_bl` − 1, and v₀ and A of [`concentration`](super::concentration),
//!
//! ```text
//! E/E₀ = (1 − a·e)/(1 − b·e),   a = v₀/(A·(1 − v₀)),   b = cos α·v₀/A
//! C = −ln(E/E₀)/(r₁·TR),   ∂C/∂S = (a − b)/(r₁·TR·S_bl·(1 − a·e)(1 − b·e))
//! ```

#![allow(
    clippy::inline_always,
    reason = "a kernel is compiled for the instruction set of the function it is inlined into"
)]

use fearless_simd::f64x8;
use fearless_simd::prelude::*;

use super::concentration::{SpoiledGradientEcho, t10_is_valid};
use super::estimator::T10Source;
use super::lanes::{LANES, constant, load, recovery_of_short_times};
use crate::model::LaneData;

/// Largest rate a of voxels that go in lanes.
const RATE_MAX: f64 = 1e9;

/// The signal equation, where T10 comes from, and what follows from both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Echo {
    equation: SpoiledGradientEcho,
    /// v₀ where one T10 is given for all voxels.
    recovery: Option<f64>,
    per_versine: f64,
    /// 1/(r₁·TR), mM.
    scale_mmol_per_l: f64,
}

/// Some of the lanes of a block: the eight from `at`.
#[derive(Clone, Copy)]
pub(super) struct Eight<'a> {
    pub(super) lanes: LaneData<'a>,
    pub(super) at: usize,
}

/// What all frames of eight voxels are compared with.
pub(super) struct Baseline<S: Simd> {
    pub(super) mean: f64x8<S>,
    pub(super) inverse: f64x8<S>,
    /// Σ (S − mean)² over its frames.
    pub(super) squares: f64x8<S>,
}

/// The rates a and b.
#[derive(Clone, Copy)]
pub(super) struct Rates<S: Simd> {
    pub(super) numerator: f64x8<S>,
    pub(super) denominator: f64x8<S>,
    /// (a − b)/(r₁·TR).
    pub(super) slope: f64x8<S>,
    /// Above 0 where T10 is valid and the rates are moderate.
    pub(super) valid: f64x8<S>,
}

/// Both factors of one frame.
#[derive(Clone, Copy)]
pub(super) struct Factor<S: Simd> {
    pub(super) signal: f64x8<S>,
    pub(super) excess: f64x8<S>,
    pub(super) numerator: f64x8<S>,
    pub(super) denominator: f64x8<S>,
}

impl Eight<'_> {
    /// Signals of frame `k`.
    #[inline(always)]
    pub(super) fn frame<S: Simd>(&self, simd: S, k: usize) -> f64x8<S> {
        load(simd, &self.lanes.samples[k * self.lanes.n_lanes + self.at..])
    }

    /// Mean of the first `n` frames.
    #[inline(always)]
    pub(super) fn baseline<S: Simd>(&self, simd: S, n: usize) -> Baseline<S> {
        let first = self.frame(simd, 0);
        let (mut sum, mut shifted) = (constant(simd, 0.0), constant(simd, 0.0));
        for k in 0..n {
            let signal = self.frame(simd, k);
            let step = signal - first;
            sum += signal;
            shifted = step.mul_add(step, shifted);
        }
        let n = n as f64;
        let mean = sum / n;
        let shift = mean - first;
        let squares = (shifted - shift * shift * n).max(0.0);
        Baseline { mean, inverse: constant(simd, 1.0) / mean, squares }
    }

    /// Both factors of frame `k`.
    #[inline(always)]
    pub(super) fn factor<S: Simd>(
        &self,
        simd: S,
        k: usize,
        baseline: &Baseline<S>,
        rates: &Rates<S>,
    ) -> Factor<S> {
        let signal = self.frame(simd, k);
        let excess = (signal - baseline.mean) * baseline.inverse;
        let one = constant(simd, 1.0);
        Factor {
            signal,
            excess,
            numerator: one - rates.numerator * excess,
            denominator: one - rates.denominator * excess,
        }
    }
}

impl Echo {
    /// `equation` in lanes.
    pub(super) fn new(equation: SpoiledGradientEcho, t10: T10Source) -> Self {
        let SpoiledGradientEcho { repetition_time_s, versine, relaxivity_per_s_per_mm, .. } =
            equation;
        let recovery = match t10 {
            T10Source::Uniform(t10_s) => Some(-(-repetition_time_s / t10_s).exp_m1()),
            T10Source::PerVoxel | T10Source::Unknown => None,
        };
        Self {
            equation,
            recovery,
            per_versine: 1.0 / versine,
            scale_mmol_per_l: 1.0 / (repetition_time_s * relaxivity_per_s_per_mm),
        }
    }

    /// C over −ln(E/E₀), mM.
    pub(super) fn scale_mmol_per_l(&self) -> f64 {
        self.scale_mmol_per_l
    }

    /// The rates of all voxels, where one T10 is given for all.
    #[inline(always)]
    pub(super) fn common_rates<S: Simd>(&self, simd: S) -> Option<Rates<S>> {
        self.recovery.map(|recovery| self.rates_of(constant(simd, recovery)))
    }

    /// The rates of eight voxels.
    #[inline(always)]
    pub(super) fn rates<S: Simd>(&self, simd: S, eight: Eight<'_>) -> Rates<S> {
        let recovery = match self.recovery {
            Some(recovery) => constant(simd, recovery),
            None => self.recovery(simd, load(simd, &eight.lanes.fixed[eight.at..])),
        };
        self.rates_of(recovery)
    }

    #[inline(always)]
    fn rates_of<S: Simd>(&self, recovery: f64x8<S>) -> Rates<S> {
        let simd = recovery.simd;
        let per_versine = recovery * self.per_versine;
        let numerator = per_versine / (constant(simd, 1.0) - recovery);
        let denominator = per_versine * self.equation.cosine;
        let slope = (numerator - denominator) * self.scale_mmol_per_l;
        let valid = numerator.min(constant(simd, RATE_MAX) - numerator);
        Rates { numerator, denominator, slope, valid }
    }

    /// 1 − e^(−TR/T10); not above 0 where T10 is not in its range.
    #[inline(always)]
    fn recovery<S: Simd>(&self, simd: S, t10_s: f64x8<S>) -> f64x8<S> {
        let time_s = self.equation.repetition_time_s;
        let ratio = constant(simd, time_s) / t10_s;
        let short = recovery_of_short_times(simd, ratio);
        if ratio.simd_le(0.5).all_true() && t10_s.simd_le(60.0).all_true() {
            return short;
        }
        let mut exact = short.to_array();
        recover_singly(time_s, &t10_s.to_array(), &mut exact);
        load(simd, &exact)
    }
}

/// Overwrites the recoveries of long repetition times and of T10 out of range.
#[inline(never)]
fn recover_singly(time_s: f64, t10_s: &[f64; LANES], recovery: &mut [f64; LANES]) {
    for (recovery, &t10_s) in recovery.iter_mut().zip(t10_s) {
        if !t10_is_valid(t10_s) {
            *recovery = f64::NAN;
        } else if time_s > 0.5 * t10_s {
            *recovery = -(-time_s / t10_s).exp_m1();
        }
    }
}
