//! The initial area under the curve of eight voxels at once.
//!
//! The area is a sum of h·C over frames and C is linear in ln E, so frames of one weight share one logarithm:
//!
//! ```text
//! Σ h·C_k = −h/(r₁·TR)·ln Π (1 − a·e_k)/(1 − b·e_k)
//! ```
//!
//! with the factors of [`concentration_lanes`](super::concentration_lanes). A product of 32 pairs of
//! factors, each known to a few 2⁻⁵³, moves the logarithm by less than 3e-14, so the area agrees with
//! the sum of single concentrations to 3e-14·Σh/(r₁·TR), about 1e-10 mM·s at TR 4 ms. Voxels with a
//! frame at the edge of the domain or outside of it go the scalar way.

#![allow(
    clippy::inline_always,
    reason = "a kernel is compiled for the instruction set of the function it is inlined into"
)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f64x8, mask64x8};

use super::concentration_lanes::{Baseline, Echo, Eight, Factor, Rates};
use super::lanes::{LANES, constant, logarithm_of_ratio, starts};
use crate::model::{Detail, FitBlock, FitStatus, LaneData};

/// Longest product of factors: 1e-6 to the 32nd is still a normal number, and so is 1e9.
const PRODUCT_LEN: usize = 32;

/// Voxels with a factor 1 − a·e below it go the scalar way.
const LEAST_FACTOR: f64 = 1e-6;

/// Weights that agree to this fraction are one weight.
const SAME_WEIGHT: f64 = 1e-13;

/// Frames of one weight.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    weight: f64,
    frames: Vec<usize>,
}

/// The frames of the window in groups of one weight, and those of the baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AreaKernel {
    groups: Vec<Group>,
    /// Window frames before the arrival, with their weights: their noise is in the baseline too.
    shared: Vec<(usize, f64)>,
    n_baseline: usize,
    /// `None` where the relative enhancement is integrated.
    echo: Option<Echo>,
    per_divisor: f64,
    per_baseline_frame: f64,
}

/// Sums over the frames of the window.
struct Sums<S: Simd> {
    area: f64x8<S>,
    /// Σ of squared derivatives, in units of the squared scale of the slope.
    squares: f64x8<S>,
    /// Whether every frame is well inside the domain.
    inside: mask64x8<S>,
}

/// Over the frames of one group.
struct Products<S: Simd> {
    numerator: f64x8<S>,
    denominator: f64x8<S>,
    least_factor: f64x8<S>,
    least_signal: f64x8<S>,
    /// Σ slope², Σ slope·S/mean in units of the scale of the slope.
    squares: f64x8<S>,
    by_baseline: f64x8<S>,
}

/// What eight voxels are seen against.
struct Surroundings<'a, S: Simd> {
    eight: Eight<'a>,
    baseline: Baseline<S>,
    detail: Detail,
}

impl AreaKernel {
    /// The kernel of frame `weights`; areas are divided by `divisor`.
    pub(super) fn new(
        weights: &[f64],
        n_baseline: usize,
        echo: Option<Echo>,
        divisor: f64,
    ) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (frame, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            let same = groups.iter_mut().find(|group| {
                group.frames.len() < PRODUCT_LEN
                    && (group.weight - weight).abs() <= SAME_WEIGHT * weight
            });
            match same {
                Some(group) => group.frames.push(frame),
                None => groups.push(Group { weight, frames: vec![frame] }),
            }
        }
        let shared = (0..n_baseline).filter(|&k| weights[k] > 0.0).map(|k| (k, weights[k]));
        Self {
            shared: shared.collect(),
            groups,
            n_baseline,
            echo,
            per_divisor: 1.0 / divisor,
            per_baseline_frame: 1.0 / n_baseline as f64,
        }
    }

    /// Whether `frame` is looked at.
    pub(super) fn reads(&self, frame: usize) -> bool {
        frame < self.n_baseline || self.groups.iter().any(|group| group.frames.contains(&frame))
    }

    /// Estimates all lanes, at least eight, into `block`; returns those that must go the scalar way.
    pub(super) fn estimate(&self, lanes: LaneData<'_>, block: &mut FitBlock) -> Vec<usize> {
        block.resize(lanes.n_lanes);
        let level = Level::new();
        dispatch!(level, simd => self.all_lanes(simd, lanes, block))
    }

    #[inline(always)]
    fn all_lanes<S: Simd>(&self, simd: S, lanes: LaneData<'_>, block: &mut FitBlock) -> Vec<usize> {
        let mut odd = Vec::new();
        let rates = self.echo.as_ref().and_then(|echo| echo.common_rates(simd));
        for at in starts(lanes.n_lanes) {
            let plain = self.eight_lanes(simd, (Eight { lanes, at }, rates), block);
            if plain != (1 << LANES) - 1 {
                odd.extend((0..LANES).filter(|lane| plain >> lane & 1 == 0).map(|lane| at + lane));
            }
        }
        odd
    }

    /// Returns the lanes whose numbers hold, bit by bit.
    #[inline(always)]
    fn eight_lanes<S: Simd>(
        &self,
        simd: S,
        (eight, rates): (Eight<'_>, Option<Rates<S>>),
        block: &mut FitBlock,
    ) -> u64 {
        let baseline = eight.baseline(simd, self.n_baseline);
        let (mean, squares, inverse) = (baseline.mean, baseline.squares, baseline.inverse);
        let around = Surroundings { eight, baseline, detail: block.detail };
        let (sums, scale, valid) = match &self.echo {
            Some(echo) => {
                let rates = match rates {
                    Some(rates) => rates,
                    None => echo.rates(simd, eight),
                };
                let sums = self.concentrations(simd, echo, &around, &rates);
                (sums, rates.slope * inverse, rates.valid.simd_gt(0.0))
            }
            None => (self.enhancements(simd, &around), inverse, mask64x8::splat(simd, true)),
        };
        let at = eight.at;
        block.status[at..at + LANES].fill(FitStatus::Converged);
        sums.area.store_slice(&mut block.estimates[0][at..at + LANES]);
        if block.detail == Detail::Everything {
            let scale = scale * self.per_divisor;
            let variance = sums.squares * (scale * scale);
            variance.store_slice(&mut block.unscaled_variances[0][at..at + LANES]);
            squares.store_slice(&mut block.residual_sum_of_squares[at..at + LANES]);
            block.total_sum_of_squares[at..at + LANES].fill(f64::NAN);
            let degrees = u16::try_from(self.n_baseline - 1).unwrap_or(u16::MAX);
            block.degrees_of_freedom[at..at + LANES].fill(degrees);
            block.evaluations[at..at + LANES].fill(1);
        }
        let moderate = mean.simd_gt(1e-100) & mean.simd_lt(1e100);
        (moderate & valid & sums.inside & sums.area.is_finite()).to_bitmask()
    }

    #[inline(always)]
    fn concentrations<S: Simd>(
        &self,
        simd: S,
        echo: &Echo,
        around: &Surroundings<'_, S>,
        rates: &Rates<S>,
    ) -> Sums<S> {
        let zero = constant(simd, 0.0);
        let (mut area, mut squares, mut by_baseline) = (zero, zero, zero);
        let mut inside = mask64x8::splat(simd, true);
        for group in &self.groups {
            let products = around.products(simd, &group.frames, rates);
            let Products { numerator, denominator, .. } = products;
            let logarithm = logarithm_of_ratio(simd, numerator, denominator);
            area = logarithm.mul_add(group.weight, area);
            squares = products.squares.mul_add(group.weight * group.weight, squares);
            by_baseline = products.by_baseline.mul_add(group.weight, by_baseline);
            inside = inside
                & products.least_signal.simd_ge(0.0)
                & products.least_factor.simd_ge(LEAST_FACTOR);
        }
        let mut own = zero;
        for &(k, weight) in &self.shared {
            let factor = around.eight.factor(simd, k, &around.baseline, rates);
            own += constant(simd, weight) / (factor.numerator * factor.denominator);
        }
        Sums {
            area: area * (-echo.scale_mmol_per_l() * self.per_divisor),
            squares: self.with_baseline_noise(squares, own, by_baseline),
            inside,
        }
    }

    #[inline(always)]
    fn enhancements<S: Simd>(&self, simd: S, around: &Surroundings<'_, S>) -> Sums<S> {
        let Surroundings { eight, baseline, .. } = around;
        let (mut area, mut total, mut squared) = (constant(simd, 0.0), 0.0, 0.0);
        for group in &self.groups {
            for &k in &group.frames {
                let excess = (eight.frame(simd, k) - baseline.mean) * baseline.inverse;
                area = excess.mul_add(group.weight, area);
                total += group.weight;
                squared += group.weight * group.weight;
            }
        }
        let own = constant(simd, self.shared.iter().map(|(_, weight)| weight).sum());
        let squares = self.with_baseline_noise(constant(simd, squared), own, area + total);
        let inside = mask64x8::splat(simd, true);
        Sums { area: area * self.per_divisor, squares, inside }
    }

    /// Σ over frames of (own − [in baseline]·`by_baseline`/n)², where `own` is the sum of those in the
    /// baseline.
    #[inline(always)]
    fn with_baseline_noise<S: Simd>(
        &self,
        squares: f64x8<S>,
        own: f64x8<S>,
        by_baseline: f64x8<S>,
    ) -> f64x8<S> {
        let each = by_baseline * self.per_baseline_frame;
        (by_baseline - own * 2.0).mul_add(each, squares)
    }
}

impl<S: Simd> Surroundings<'_, S> {
    #[inline(always)]
    fn products(&self, simd: S, frames: &[usize], rates: &Rates<S>) -> Products<S> {
        let (zero, one) = (constant(simd, 0.0), constant(simd, 1.0));
        let mut products = Products {
            numerator: one,
            denominator: one,
            least_factor: one,
            least_signal: one,
            squares: zero,
            by_baseline: zero,
        };
        let mut quads = frames.chunks_exact(4);
        for quad in &mut quads {
            let factors = [
                self.eight.factor(simd, quad[0], &self.baseline, rates),
                self.eight.factor(simd, quad[1], &self.baseline, rates),
                self.eight.factor(simd, quad[2], &self.baseline, rates),
                self.eight.factor(simd, quad[3], &self.baseline, rates),
            ];
            products.take_four(&factors);
            if self.detail == Detail::Everything {
                products.take_slopes_of_four(simd, &factors);
            }
        }
        let mut rest = quads.remainder();
        if let [first, second, ..] = *rest {
            let factors = [
                self.eight.factor(simd, first, &self.baseline, rates),
                self.eight.factor(simd, second, &self.baseline, rates),
            ];
            products.take(&factors[0]);
            products.take(&factors[1]);
            if self.detail == Detail::Everything {
                products.take_slopes_of_two(simd, &factors);
            }
            rest = &rest[2..];
        }
        for &k in rest {
            let factor = self.eight.factor(simd, k, &self.baseline, rates);
            products.take(&factor);
            if self.detail == Detail::Everything {
                products.take_slope(&factor, one / (factor.numerator * factor.denominator));
            }
        }
        products
    }
}

impl<S: Simd> Products<S> {
    #[inline(always)]
    fn take(&mut self, factor: &Factor<S>) {
        self.numerator *= factor.numerator;
        self.denominator *= factor.denominator;
        self.least_factor = self.least_factor.min(factor.numerator);
        self.least_signal = self.least_signal.min(factor.signal);
    }

    #[inline(always)]
    fn take_four(&mut self, [a, b, c, d]: &[Factor<S>; 4]) {
        self.numerator *= (a.numerator * b.numerator) * (c.numerator * d.numerator);
        self.denominator *= (a.denominator * b.denominator) * (c.denominator * d.denominator);
        let factor = a.numerator.min(b.numerator).min(c.numerator.min(d.numerator));
        self.least_factor = self.least_factor.min(factor);
        let signal = a.signal.min(b.signal).min(c.signal.min(d.signal));
        self.least_signal = self.least_signal.min(signal);
    }

    #[inline(always)]
    fn take_slope(&mut self, factor: &Factor<S>, slope: f64x8<S>) {
        self.squares = slope.mul_add(slope, self.squares);
        self.by_baseline = slope.mul_add(factor.excess + 1.0, self.by_baseline);
    }

    /// Two reciprocals from one division.
    #[inline(always)]
    fn take_slopes_of_two(&mut self, simd: S, [a, b]: &[Factor<S>; 2]) {
        let (p, q) = (a.numerator * a.denominator, b.numerator * b.denominator);
        let inverse = constant(simd, 1.0) / (p * q);
        self.take_slope(a, inverse * q);
        self.take_slope(b, inverse * p);
    }

    /// Four reciprocals from one division.
    #[inline(always)]
    fn take_slopes_of_four(&mut self, simd: S, [a, b, c, d]: &[Factor<S>; 4]) {
        let (p, q) = (a.numerator * a.denominator, b.numerator * b.denominator);
        let (r, s) = (c.numerator * c.denominator, d.numerator * d.denominator);
        let (first, second) = (p * q, r * s);
        let inverse = constant(simd, 1.0) / (first * second);
        let (of_first, of_second) = (inverse * second, inverse * first);
        self.take_slope(a, of_first * q);
        self.take_slope(b, of_first * p);
        self.take_slope(c, of_second * s);
        self.take_slope(d, of_second * r);
    }
}

#[cfg(test)]
mod tests;
