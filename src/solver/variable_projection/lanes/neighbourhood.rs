//! The tables of [`Responses`]: power series of the curve of directions around eight fits at once.
//!
//! For exponentials f·e^(t̄·δ) with the mean abscissa t̄ under the weights f² has the coefficients
//! f₀·τʲ/j!, τ = t̄ − t, and |f|² those of Σ f₀²·e^(2τδ). u = f/|f| is their product with |f|^(−1), which
//! a recurrence gives; the common factor e^(t̄·δ) does not turn u.
//!
//! # Reference
//!
//! Knuth, "The art of computer programming", vol. 2, 3rd ed., Addison-Wesley 1997, section 4.7
//! (powers of power series).

use fearless_simd::{Simd, f64x8, prelude::*};

use super::certificate::Thresholds;
use super::curve::LaneCurve;
use super::response::{DEGREE, FITS, PerFit, ROWS, Responses};
use super::{Engine, Lanes, Search};
use crate::solver::elementary::Elementary;

/// Coefficients of the curve of directions: one beyond those used tells what is cut.
const ORDERS: usize = DEGREE + 3;
/// What may be cut, as a part of the rate.
const REST_MAX: f64 = 1e-7;

/// Fits around which noise is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Centres {
    /// The rate of each fit.
    pub rates: PerFit<f64>,
    /// Its amplitude.
    pub amplitudes: PerFit<f64>,
    /// SD of the noise of every sample.
    pub sigma: f64,
    /// Whether the reciprocal of the rate is reported.
    pub reciprocal: bool,
}

/// Power series in δ, eight at once.
type Series<S> = [f64x8<S>; ORDERS];

impl Lanes {
    /// Fills the tables of the fits at `centres`; `false` where the curve has none.
    pub(in crate::solver::variable_projection) fn respond(
        &self,
        centres: &Centres,
        responses: &mut Responses,
    ) -> bool {
        match &self.engine {
            Engine::Uniform(curve, search) => {
                let step = curve.scale.step;
                place(&curve.scale.order, |k| step * k as f64, responses);
                self.fill((curve, search), (centres, curve.scale.origin), responses);
            }
            Engine::Mixed(curve, search) => {
                let step = curve.scale.step;
                place(&curve.scale.order, |k| step * curve.double.0.powers[k][0], responses);
                self.fill((curve, search), (centres, curve.scale.origin), responses);
            }
            Engine::Exponentials(curve, search) => {
                let negative_distances = &curve.double.0.0;
                place(&search.places, |k| -negative_distances[k][0], responses);
                self.fill((curve, search), (centres, curve.origin), responses);
            }
            Engine::Saturation(..) => return false,
        }
        true
    }

    fn fill<C: LaneCurve>(
        &self,
        (curve, search): (&C, &Search),
        (centres, origin): (&Centres, f64),
        responses: &mut Responses,
    ) {
        fearless_simd::dispatch!(self.level, simd => series(simd, centres, origin, responses));
        responses.reciprocal = centres.reciprocal;
        let bounds = search.aim.bounds;
        for fit in 0..FITS {
            let (rate, unit) = (responses.centre[0][fit], responses.centre[1][fit]);
            let reach = f64::from(responses.farthest[fit]) * unit;
            let places = [rate - reach, rate, rate + reach].map(|rate| curve.coordinate(rate));
            let is_inside = places.iter().all(|z| bounds[0] < *z && *z < bounds[1]);
            if !(reach > 0.0 && responses.noise[fit] > 0.0 && is_inside) {
                responses.farthest[fit] = 0.0;
            }
            let [offset, gradient] = nearness(&search.aim.thresholds, places);
            responses.nearness[0][fit] = offset as f32;
            responses.nearness[1][fit] = (gradient / f64::from(responses.farthest[fit])) as f32;
        }
    }
}

/// Writes the abscissa of each sample.
fn place(order: &[usize], distance: impl Fn(usize) -> f64, responses: &mut Responses) {
    responses.distances.resize(order.len(), 0.0);
    responses.tables.resize(order.len(), [[0.0; FITS]; ROWS]);
    for (k, &sample) in order.iter().enumerate() {
        responses.distances[sample] = distance(k);
    }
}

/// A line above what is needed at three `places`, at −1, 0 and 1: its value at 0 and its slope. What
/// is needed bends to one side, so that it lies below the chord, or above it by at most twice as
/// much as in the middle.
fn nearness(thresholds: &Thresholds, places: [f64; 3]) -> [f64; 2] {
    let [offset, gradient] = thresholds.inside;
    let [low, middle, high] = places.map(|z| z * gradient + offset);
    let chord = f64::midpoint(low, high);
    [chord + 2.0 * (middle - chord).max(0.0), 0.5 * (high - low)]
}

#[inline(always)]
fn series<S: Simd>(simd: S, centres: &Centres, origin: f64, responses: &mut Responses) {
    let zero = simd.splat_f64x8(0.0);
    let rate = f64x8::simd_from(simd, centres.rates);
    let own_amplitude = f64x8::simd_from(simd, centres.amplitudes);
    let (mut total, mut moment) = (zero, zero);
    for &t in &responses.distances {
        let weight = (rate * (-2.0 * t)).exp();
        total += weight;
        moment = weight.mul_add(t, moment);
    }
    let mean = moment / total;
    let mut squares = [zero; ORDERS];
    for &t in &responses.distances {
        let twice = (mean - t) * 2.0;
        let mut term = (rate * (-2.0 * t)).exp() / total;
        for (order, sum) in squares.iter_mut().enumerate() {
            *sum += term;
            term = term * twice * (1.0 / (order + 1) as f64);
        }
    }
    let divisor = inverse_root(simd, &squares);
    let norm = total.sqrt();
    let speed = (squares[2] * 0.5).sqrt();
    let noise = simd.splat_f64x8(centres.sigma) / (own_amplitude * (rate * -origin).exp() * norm);
    let unit = noise / speed;
    let around = Around { rate, mean, norm, noise, unit };
    let cut = around.directions(simd, &divisor, responses);
    // The error of x is about cut·ω^(D+2)·x^(D+1)/ε²; 1/8 by three roots.
    let to_bound = simd.splat_f64x8(0.5 * REST_MAX) * rate * noise * noise;
    let power = powers(simd, unit)[DEGREE + 2];
    let farthest = (to_bound / (cut * power * unit)).sqrt().sqrt().sqrt();
    store(farthest, &mut responses.farthest);
    store(noise, &mut responses.noise);
    rate.store_slice(&mut responses.centre[0]);
    unit.store_slice(&mut responses.centre[1]);
    own_amplitude.store_slice(&mut responses.centre[2]);
    around.divisor(simd, (&divisor, origin), responses);
}

/// What the series are taken around.
#[derive(Clone, Copy)]
struct Around<S: Simd> {
    rate: f64x8<S>,
    /// t̄ and |f₀|.
    mean: f64x8<S>,
    norm: f64x8<S>,
    /// ε and ω.
    noise: f64x8<S>,
    unit: f64x8<S>,
}

impl<S: Simd> Around<S> {
    /// Writes the condition of the optimum; returns the length of the first coefficient that is cut.
    #[inline(always)]
    fn directions(&self, simd: S, divisor: &Series<S>, responses: &mut Responses) -> f64x8<S> {
        let zero = simd.splat_f64x8(0.0);
        let mut condition = [zero; ORDERS];
        let mut rest = zero;
        let per_noise = simd.splat_f64x8(1.0) / self.noise;
        let scales = powers(simd, self.unit);
        for (&t, rows) in responses.distances.iter().zip(&mut responses.tables) {
            let curve = self.curve(simd, t);
            store(curve[0], &mut rows[DEGREE + 1]);
            for order in 1..ORDERS {
                let mut direction = curve[order];
                for lower in 0..order {
                    direction = curve[lower].mul_add(divisor[order - lower], direction);
                }
                let slope = direction * order as f64;
                condition[order - 1] = slope.mul_add(curve[0], condition[order - 1]);
                if order <= DEGREE + 1 {
                    store(slope * scales[order] * per_noise, &mut rows[order - 1]);
                } else {
                    rest = slope.mul_add(slope, rest);
                }
            }
        }
        store(simd.splat_f64x8(-1.0), &mut responses.condition[1]);
        for power in 2..=DEGREE {
            let coefficient = condition[power] * scales[power + 1] * (per_noise * per_noise);
            store(coefficient, &mut responses.condition[power]);
        }
        rest.sqrt()
    }

    /// f/|f₀|, times e^(t̄·δ), at the abscissa `t`.
    #[inline(always)]
    fn curve(&self, simd: S, t: f64) -> Series<S> {
        let mut coefficients = [simd.splat_f64x8(0.0); ORDERS];
        let tau = self.mean - t;
        let mut term = (self.rate * -t).exp() / self.norm;
        for (order, coefficient) in coefficients.iter_mut().enumerate() {
            *coefficient = term;
            term = term * tau * (1.0 / (order + 1) as f64);
        }
        coefficients
    }

    /// Writes the series of e^((t̄ + origin)·δ)/|f|, which the amplitude follows.
    #[inline(always)]
    fn divisor(&self, simd: S, (divisor, origin): (&Series<S>, f64), responses: &mut Responses) {
        let mut factor = [simd.splat_f64x8(1.0); ORDERS];
        let exponent = self.mean + origin;
        for order in 1..ORDERS {
            factor[order] = factor[order - 1] * exponent * (1.0 / order as f64);
        }
        let scales = powers(simd, self.unit);
        for order in 1..=DEGREE {
            let mut sum = factor[order];
            for lower in 0..order {
                sum = factor[lower].mul_add(divisor[order - lower], sum);
            }
            store(sum * scales[order], &mut responses.divisor[order]);
        }
    }
}

/// The series to the power −½; its first coefficient must be 1.
#[inline(always)]
fn inverse_root<S: Simd>(simd: S, series: &Series<S>) -> Series<S> {
    let mut root = [simd.splat_f64x8(1.0); ORDERS];
    for n in 1..ORDERS {
        let mut sum = simd.splat_f64x8(0.0);
        for j in 1..=n {
            let factor = -0.5 * j as f64 - (n - j) as f64;
            sum = (series[j] * factor).mul_add(root[n - j], sum);
        }
        root[n] = sum * (1.0 / n as f64);
    }
    root
}

/// 1, x, x², …
#[inline(always)]
fn powers<S: Simd>(simd: S, x: f64x8<S>) -> Series<S> {
    let mut powers = [simd.splat_f64x8(1.0); ORDERS];
    for order in 1..ORDERS {
        powers[order] = powers[order - 1] * x;
    }
    powers
}

#[inline(always)]
fn store<S: Simd>(values: f64x8<S>, to: &mut PerFit<f32>) {
    for (to, value) in to.iter_mut().zip(values.to_array()) {
        *to = value as f32;
    }
}
