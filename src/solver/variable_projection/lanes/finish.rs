//! The last step in 64-bit, and all that is reported, at the point it leads to.
//!
//! The 32-bit iteration leaves an arc of 10⁻⁶ to 10⁻⁴ rad. One step of Halley's kind from sums in
//! 64-bit leaves about the cube of it: with h = p′q − pq′/2 and δ₁ = −h/h′, δ = δ₁·(1 − δ₁·h″/2h′).
//! The sums follow the step by Taylor's theorem, the residuals are taken from the curve at its end.
//! With s = q₁/q and a = Σ f′² − q₁·s, the amplitude is A = p/q, and (JᵀJ)⁻¹ has the diagonal
//! 1/(A²·a) for the coordinate and 1/q + s²/a for the amplitude.
//!
//! # Reference
//!
//! Gander, "On Halley's iteration method", Am Math Mon 1985, doi:10.2307/2322644.

use fearless_simd::{Simd, f64x8, mask64x8, prelude::*};

use super::Search;
use super::curve::{LaneCurve, Table};
use super::report::{Quantity, Tile};
use super::sums::{Rows, Sums};
use crate::solver::elementary::Elementary;

/// Largest arc of the last step, rad: what remains is about its cube.
const ARC_TOLERANCE: f64 = 3e-4;
/// Slope at a bound, as the sine of an angle, that cannot be rounding.
const SLOPE_MIN: f64 = 1e-8;
/// Least part of Σ f′² that is across the curve.
const ACROSS_MIN: f64 = 1e-9;
/// Least rate, in units of the coordinate: below it rounding of the coordinate is felt.
const RATE_MIN: f64 = 1e-8;
/// Σ y² of samples that 32-bit holds with room for their sums.
const SQUARES: [f64; 2] = [1e-24, 1e24];

/// Sums at a coordinate, and what the step adds to them.
struct Here<S: Simd> {
    sums: Sums<f64x8<S>>,
    /// Σ y·f‴.
    p3: f64x8<S>,
    /// Σ f′·f″, Σ f″² and Σ f·f‴.
    q12: f64x8<S>,
    q22: f64x8<S>,
    q03: f64x8<S>,
    /// Σ y².
    square: f64x8<S>,
}

/// Which lanes are settled, and where.
struct Verdict<S: Simd> {
    settled: mask64x8<S>,
    at_low: mask64x8<S>,
    at_high: mask64x8<S>,
}

/// Amplitude and precision at the end of the step.
struct There<S: Simd> {
    amplitude: f64x8<S>,
    /// 1/q, q₁/q and 1/a.
    inverse_q: f64x8<S>,
    along: f64x8<S>,
    inverse_across: f64x8<S>,
}

/// Settles eight lanes from the 32-bit coordinates `z` and writes them to `tile` from `lane` on.
#[inline(always)]
pub(super) fn settle<S: Simd, C: LaneCurve>(
    curve: &C,
    search: &Search,
    rows: &Rows<'_, f64>,
    (z, lane): (f64x8<S>, usize),
    (quantity, tile): (&Quantity, &mut Tile),
) {
    let simd = z.simd;
    let [low, high] = search.double.bounds;
    let [low_single, high_single] = search.single.bounds;
    let at_low = z.simd_eq(f64::from(low_single));
    let at_high = z.simd_eq(f64::from(high_single));
    let z = at_high.select(simd.splat_f64x8(high), z);
    let z = at_low.select(simd.splat_f64x8(low), z);
    let here = at(curve, rows, z);
    let (delta, verdict) = last_step(search, &here, z, [at_low, at_high]);
    let there = here.moved(delta, C::Double::THIRD);
    let z = C::Double::advance(z, delta);
    let within = z.simd_ge(low) & z.simd_le(high);
    let rate = curve.rate(z);
    let resolved = rate[0].abs().simd_ge(rate[1].abs() * RATE_MIN);
    let at_bound = verdict.at_low | verdict.at_high;
    let settled = verdict.settled & within & (resolved | at_bound);
    let [at_lower, at_upper] = if search.falls {
        [verdict.at_high, verdict.at_low]
    } else {
        [verdict.at_low, verdict.at_high]
    };
    tile.set_masks(lane, [settled, at_lower, at_upper].map(SimdMask::to_bitmask));
    let factor = if curve.origin() == 0.0 {
        simd.splat_f64x8(1.0)
    } else {
        Elementary::exp(rate[0] * curve.origin())
    };
    let estimate = quantity.estimate(rate[0], [at_lower, at_upper]);
    estimate.store_slice(&mut tile.estimate[lane..lane + 8]);
    (there.amplitude * factor).store_slice(&mut tile.amplitude[lane..lane + 8]);
    if !quantity.everything {
        return;
    }
    let scaled = there.amplitude * there.amplitude;
    let by_rate = rate[1] * rate[1] * there.inverse_across / scaled;
    let variance = quantity.variance(estimate, by_rate);
    variance.store_slice(&mut tile.variance[lane..lane + 8]);
    // d ln(e^(−rate·origin)) by δ joins the curve's own slope.
    let along = there.along - rate[1] * curve.origin();
    let amplitude_variance =
        factor * factor * (along * along).mul_add(there.inverse_across, there.inverse_q);
    amplitude_variance.store_slice(&mut tile.amplitude_variance[lane..lane + 8]);
    let [residual, total] = squares(curve, rows, z, there.amplitude);
    residual.store_slice(&mut tile.residual[lane..lane + 8]);
    total.store_slice(&mut tile.total[lane..lane + 8]);
}

#[inline(always)]
fn at<S: Simd, C: LaneCurve>(curve: &C, rows: &Rows<'_, f64>, z: f64x8<S>) -> Here<S> {
    let (simd, table, order) = (z.simd, curve.double(), curve.order());
    let mut state = table.begin(simd, z);
    let mut here = Here::zero(simd);
    let skipped = usize::from(C::Double::FIRST_IS_ONE);
    if skipped == 1 {
        let y: f64x8<S> = rows.load(simd, order[0], 0);
        here.sums = Sums::after_one(simd, y);
        here.square = y * y;
    }
    for (k, &row) in order.iter().enumerate().skip(skipped) {
        let y: f64x8<S> = rows.load(simd, row, 0);
        let [f, f1, f2, f3] = table.sample_with_third(k, &mut state);
        here.sums.add(table, y, [f, f1, f2]);
        here.p3 = y.mul_add(f3, here.p3);
        here.q12 = f1.mul_add(f2, here.q12);
        here.q22 = f2.mul_add(f2, here.q22);
        if C::Double::EXPONENTIAL {
            here.q03 = here.q12;
        } else {
            here.q03 = f.mul_add(f3, here.q03);
        }
        here.square = y.mul_add(y, here.square);
    }
    here
}

/// δ of the last step, 0 where a lane stays at a bound.
#[inline(always)]
fn last_step<S: Simd>(
    search: &Search,
    here: &Here<S>,
    z: f64x8<S>,
    [at_low, at_high]: [mask64x8<S>; 2],
) -> (f64x8<S>, Verdict<S>) {
    let simd = z.simd;
    let Sums { p: [p, p1, p2], q, q1, q11, q02 } = here.sums;
    let zero = simd.splat_f64x8(0.0);
    let inverse_q = simd.splat_f64x8(1.0) / q;
    let along = q1 * inverse_q;
    let across = q11 - q1 * along;
    let slope = p1 - p * along;
    let curvature = p * (q11 + q02) * inverse_q - p1 * along - p2;
    let newton = slope / curvature;
    let q2_change = here.q12.mul_add(3.0, here.q03);
    let change = here.p3 + (p2 * q1 * 3.0 - p * q2_change) * inverse_q;
    let delta = newton.mul_add(newton * change / (curvature + curvature), newton);
    // Samples and curve are close enough that no other maximum can be higher.
    let close = |cosine_squared: f64| (p * p).simd_ge(q * here.square * cosine_squared);
    let steep = (slope * slope).simd_ge(across * here.square * (SLOPE_MIN * SLOPE_MIN));
    let [falls, rises] = [slope.simd_lt(zero), slope.simd_gt(zero)];
    let outwards = (at_low & falls) | (at_high & rises);
    let still = (delta * delta * across).simd_le(q * (ARC_TOLERANCE * ARC_TOLERANCE));
    let [low, high] = search.thresholds.bounds;
    let stays_low = at_low & falls & steep & close(low);
    let stays_high = at_high & rises & steep & close(high);
    let inside = still & curvature.simd_gt(zero) & close(search.thresholds.inside) & !outwards;
    let usable = p.simd_gt(zero)
        & across.simd_ge(q11 * ACROSS_MIN)
        & here.square.simd_ge(SQUARES[0])
        & here.square.simd_le(SQUARES[1]);
    let at_bound = stays_low | stays_high;
    let settled = usable & (inside | at_bound);
    (at_bound.select(zero, delta), Verdict { settled, at_low: stays_low, at_high: stays_high })
}

impl<S: Simd> Here<S> {
    #[inline(always)]
    fn zero(simd: S) -> Self {
        let zero = simd.splat_f64x8(0.0);
        Self { sums: Sums::zero(simd), p3: zero, q12: zero, q22: zero, q03: zero, square: zero }
    }

    /// Amplitude and precision `delta` further on; errors are of fourth order in `delta` for p and
    /// q, of third order for their derivatives.
    #[inline(always)]
    fn moved(&self, delta: f64x8<S>, third: f64) -> There<S> {
        let Sums { p: [p, p1, p2], q, q1, q11, q02 } = self.sums;
        let one = delta.simd.splat_f64x8(1.0);
        let p2 = delta.mul_add(self.p3 * (1.0 / 3.0), p2);
        let p = delta.mul_add((delta * p2).mul_add(0.5, p1), p);
        let (q2, q2_change) = (q11 + q02, self.q12.mul_add(3.0, self.q03));
        let q_bend = delta.mul_add(q2_change * (1.0 / 3.0), q2);
        let q = delta.mul_add(delta.mul_add(q_bend, q1 + q1), q);
        let q1 = delta.mul_add((delta * q2_change).mul_add(0.5, q2), q1);
        let q12 = delta.mul_add(self.q22 * (0.5 + 0.5 * third), self.q12);
        let q11 = (delta + delta).mul_add(q12, q11);
        let inverse_q = one / q;
        let along = q1 * inverse_q;
        let inverse_across = one / (q11 - q1 * along);
        There { amplitude: p * inverse_q, inverse_q, along, inverse_across }
    }
}

/// Σ (y − A·f)² and Σ (y − mean)², the latter from distances to the first sample.
#[inline(always)]
fn squares<S: Simd, C: LaneCurve>(
    curve: &C,
    rows: &Rows<'_, f64>,
    z: f64x8<S>,
    amplitude: f64x8<S>,
) -> [f64x8<S>; 2] {
    let (simd, table, order) = (z.simd, curve.double(), curve.order());
    let mut state = table.begin(simd, z);
    let zero = simd.splat_f64x8(0.0);
    let first: f64x8<S> = rows.load(simd, order[0], 0);
    let (mut residual, mut sum, mut square) = (zero, zero, zero);
    let skipped = usize::from(C::Double::FIRST_IS_ONE);
    if skipped == 1 {
        let rest = first - amplitude;
        residual = rest * rest;
    }
    for (k, &row) in order.iter().enumerate().skip(skipped) {
        let y: f64x8<S> = rows.load(simd, row, 0);
        let rest = y - amplitude * table.value(k, &mut state);
        residual = rest.mul_add(rest, residual);
        let distance = y - first;
        sum += distance;
        square = distance.mul_add(distance, square);
    }
    [residual, square - sum * sum * (1.0 / order.len() as f64)]
}
