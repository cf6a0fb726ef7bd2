//! Residuals and standard errors of eight fitted voxels.
//!
//! To first order an estimate answers to noise of the curve y by a row of weights over û, ∂û/∂x and
//! the plasma curve p, which are perpendicular:
//!
//! ```text
//! δF = û·δy,   δx = û′·δy/(F·|û′|²),   δ(p·y) = p·δy
//! ln Ktrans = ln F − ln|u|,   ln ve = ln Ktrans − ln kep,   vp = (p·y − F·β)/p²,   β = p·u/|u|
//! ```
//!
//! The noise of y is that of the signal times ∂C/∂S, and that of the baseline, which all frames share.

#![allow(
    clippy::inline_always,
    reason = "a kernel is compiled for the instruction set of the function it is inlined into"
)]

use fearless_simd::prelude::*;
use fearless_simd::{f64x8, mask64x8};

use super::lanes::{LANES, constant, load};
use super::rate_series::log_rate_slope;
use super::tofts_lanes::{Buffers, ExchangeKernel, Fitted};
use super::tofts_series::Local;
use crate::model::FitBlock;

/// Weights of û, ∂û/∂x and plasma in one estimate.
#[derive(Clone, Copy)]
struct Row<S: Simd>([f64x8<S>; 3]);

/// What the errors need of the optimum: everything in terms of û perpendicular to plasma.
struct Answers<S: Simd> {
    rows: [Row<S>; 3],
    /// The fitted curve: weights of û and of plasma.
    fitted: [f64x8<S>; 2],
}

/// Sums over frames of products of û, ∂û/∂x and plasma with squared noise, and with that of the
/// baseline.
struct Noise<S: Simd> {
    /// Of 00, 01, 02, 11, 12, 22.
    pairs: [f64x8<S>; 6],
    shared: [f64x8<S>; 3],
    residuals: f64x8<S>,
}

impl ExchangeKernel {
    /// Writes the columns that only [`Detail::Everything`](crate::model::Detail) wants.
    #[inline(always)]
    pub(super) fn store_errors<S: Simd>(
        &self,
        simd: S,
        fitted: &Fitted<S>,
        buffers: &Buffers<'_>,
        block: &mut FitBlock,
    ) {
        let answers = self.answers(simd, fitted);
        let noise = self.noise(simd, &answers, buffers);
        let lanes = fitted.at..fitted.at + LANES;
        let observed = &fitted.observed;
        let squared_unit = observed.unit * observed.unit;
        let residuals = noise.residuals / squared_unit + observed.residuals;
        residuals.store_slice(&mut block.residual_sum_of_squares[lanes.clone()]);
        observed.total.store_slice(&mut block.total_sum_of_squares[lanes.clone()]);
        let per_baseline = if self.echo.is_some() { 1.0 / self.n_baseline as f64 } else { 0.0 };
        let missing = constant(simd, f64::NAN);
        for (parameter, row) in answers.rows.iter().enumerate().take(self.n_parameters()) {
            let variance = noise.variance(row, per_baseline) * squared_unit;
            let estimate = load(simd, &block.estimates[parameter][fitted.at..]);
            let variance = match parameter {
                2 => fitted.start.without_plasma.select(missing, variance),
                _ => variance * (estimate * estimate),
            };
            variance.store_slice(&mut block.unscaled_variances[parameter][lanes.clone()]);
        }
        block.degrees_of_freedom[lanes.clone()].fill(self.degrees_of_freedom());
        block.evaluations[lanes].fill(fitted.optimum.steps);
    }

    /// Frames that are read minus the parameters and the baseline.
    pub(super) fn degrees_of_freedom(&self) -> u16 {
        let before = match self.echo {
            Some(_) => self.n_baseline - 1,
            None => self.series.first_frame,
        };
        let n = before + self.series.n_frames() - self.n_parameters();
        u16::try_from(n).unwrap_or(u16::MAX)
    }

    #[inline(always)]
    fn answers<S: Simd>(&self, simd: S, fitted: &Fitted<S>) -> Answers<S> {
        let [own, plain] = &fitted.plasma.locals;
        let (zero, amplitude) = (constant(simd, 0.0), fitted.optimum.amplitude);
        let [ktrans, ve] = logarithms(simd, own, amplitude);
        if self.series.perpendicular.is_none() {
            return Answers { rows: [ktrans, ve, ve], fitted: [amplitude, zero] };
        }
        let per_plasma = 1.0 / self.series.squared_plasma;
        let vp = Row([
            -(own.plasma * per_plasma),
            -(own.plasma_slope / own.squared_slope * per_plasma),
            constant(simd, per_plasma),
        ]);
        let along = fitted.observed.along_plasma * per_plasma;
        let without = fitted.start.without_plasma;
        if !without.any_true() {
            return Answers { rows: [ktrans, ve, vp], fitted: [amplitude, along] };
        }
        let lean = Lean::new(simd, own, per_plasma);
        let rows = logarithms(simd, plain, amplitude).map(|row| lean.perpendicular(&row));
        let curve = amplitude * lean.inverse_norm;
        Answers {
            rows: [rows[0].where_else(without, &ktrans), rows[1].where_else(without, &ve), vp],
            fitted: [without.select(curve, amplitude), without.select(curve * lean.part, along)],
        }
    }

    #[inline(always)]
    fn noise<S: Simd>(&self, simd: S, answers: &Answers<S>, buffers: &Buffers<'_>) -> Noise<S> {
        let family = self.series.perpendicular.as_ref().unwrap_or(&self.series.plain);
        let zero = constant(simd, 0.0);
        let mut noise = Noise { pairs: [zero; 6], shared: [zero; 3], residuals: zero };
        let (n_terms, n_short) = (self.series.n_terms, self.series.n_short);
        let curves = family.curves.chunks_exact(n_terms);
        let rows = curves.zip(family.slopes.chunks_exact(n_short));
        let read = buffers
            .curve
            .chunks_exact(LANES)
            .zip(buffers.inverse_slope.chunks_exact(LANES))
            .zip(buffers.ratio.chunks_exact(LANES));
        for (((curve, slopes), ((value, inverse_slope), ratio)), &plasma) in
            rows.zip(read).zip(&self.series.plasma)
        {
            let (mut unit, mut slope) = (zero, zero);
            let terms = curve[..n_short].iter().zip(&slopes[..n_short]);
            for ((&c, &s), t) in terms.zip(buffers.polynomials.chunks_exact(LANES)) {
                let t = load(simd, t);
                unit = t.mul_add(c, unit);
                slope = t.mul_add(s, slope);
            }
            let inverse_slope = load(simd, inverse_slope);
            let fitted = answers.fitted[0].mul_add(unit, answers.fitted[1] * plasma);
            let residual = (load(simd, value) - fitted) * inverse_slope;
            noise.residuals = residual.mul_add(residual, noise.residuals);
            let error = constant(simd, 1.0) / inverse_slope;
            noise.take([unit * error, slope * error, error * plasma], load(simd, ratio));
        }
        noise
    }
}

/// ln Ktrans and ln ve.
#[inline(always)]
fn logarithms<S: Simd>(simd: S, local: &Local<S>, amplitude: f64x8<S>) -> [Row<S>; 2] {
    let inverse = constant(simd, 1.0) / amplitude;
    let by_x = inverse / local.squared_slope;
    let zero = constant(simd, 0.0);
    [
        Row([inverse, -(local.log_norm_slope * by_x), zero]),
        Row([inverse, -((local.log_norm_slope + log_rate_slope()) * by_x), zero]),
    ]
}

/// û as it is = (û perpendicular to plasma + part·p)/N, N² = 1 + β²/p².
struct Lean<S: Simd> {
    part: f64x8<S>,
    part_slope: f64x8<S>,
    inverse_norm: f64x8<S>,
    /// ∂ ln N/∂x.
    norm_slope: f64x8<S>,
}

impl<S: Simd> Lean<S> {
    #[inline(always)]
    fn new(simd: S, own: &Local<S>, per_plasma: f64) -> Self {
        let part = own.plasma * per_plasma;
        let inverse_norm = constant(simd, 1.0) / (own.plasma * part + 1.0).sqrt();
        let norm_slope = part * own.plasma_slope * inverse_norm * inverse_norm;
        Self { part, part_slope: own.plasma_slope * per_plasma, inverse_norm, norm_slope }
    }

    /// A row over û as it is, as one over û perpendicular to plasma.
    #[inline(always)]
    fn perpendicular(&self, Row([curve, slope, _]): &Row<S>) -> Row<S> {
        let along_curve = (*curve - *slope * self.norm_slope) * self.inverse_norm;
        let along_slope = *slope * self.inverse_norm;
        let along_plasma = along_curve * self.part + along_slope * self.part_slope;
        Row([along_curve, along_slope, along_plasma])
    }
}

impl<S: Simd> Row<S> {
    #[inline(always)]
    fn where_else(&self, mask: mask64x8<S>, Self([d, e, f]): &Self) -> Self {
        let Self([a, b, c]) = self;
        Self([mask.select(*a, *d), mask.select(*b, *e), mask.select(*c, *f)])
    }
}

impl<S: Simd> Noise<S> {
    #[inline(always)]
    fn take(&mut self, [a, b, c]: [f64x8<S>; 3], ratio: f64x8<S>) {
        for (pair, (one, other)) in
            self.pairs.iter_mut().zip([(a, a), (a, b), (a, c), (b, b), (b, c), (c, c)])
        {
            *pair = one.mul_add(other, *pair);
        }
        for (shared, one) in self.shared.iter_mut().zip([a, b, c]) {
            *shared = one.mul_add(ratio, *shared);
        }
    }

    /// Variance of the estimate that `row` belongs to, for noise of variance 1.
    #[inline(always)]
    fn variance(&self, Row([a, b, c]): &Row<S>, per_baseline: f64) -> f64x8<S> {
        let [aa, ab, ac, bb, bc, cc] = self.pairs;
        let (a, b, c) = (*a, *b, *c);
        let own =
            a * a * aa + b * b * bb + c * c * cc + (a * b * ab + a * c * ac + b * c * bc) * 2.0;
        let shared = a * self.shared[0] + b * self.shared[1] + c * self.shared[2];
        own + shared * shared * per_baseline
    }
}
