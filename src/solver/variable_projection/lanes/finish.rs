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
use super::sums::{MoreSums, Rows, Sums};

/// Largest arc of the last step, rad: what remains is about its cube.
const ARC_TOLERANCE: f64 = 1e-4;
/// Slope at a bound, as the sine of an angle, that cannot be rounding.
const SLOPE_MIN: f64 = 1e-8;
/// Least part of Σ f′² that is across the curve.
const ACROSS_MIN: f64 = 1e-9;
/// Least rate, in units of the coordinate: below it rounding of the coordinate is felt.
const RATE_MIN: f64 = 1e-8;
/// RSS as a part of Σ y² below which a difference would lose it.
const REST_MIN: f64 = 1e-6;
/// Σ y² of samples that 32-bit holds with room for their sums.
const SQUARES: [f64; 2] = [1e-24, 1e24];

/// Sums at the start of the step.
#[derive(Clone, Copy)]
struct Here<S: Simd> {
    more: MoreSums<f64x8<S>>,
    /// Σ y².
    square: f64x8<S>,
}

/// Which lanes are settled, and which of them at an end of the coordinate.
#[derive(Clone, Copy)]
struct Verdict<S: Simd> {
    settled: mask64x8<S>,
    at_low: mask64x8<S>,
    at_high: mask64x8<S>,
}

/// The end of the step.
#[derive(Clone, Copy)]
struct End<S: Simd> {
    z: f64x8<S>,
    verdict: Verdict<S>,
    amplitude: f64x8<S>,
    /// 1/q, q₁/q, 1/a and 1/(A²·a).
    inverse_q: f64x8<S>,
    along: f64x8<S>,
    inverse_across: f64x8<S>,
    variance: f64x8<S>,
    /// p, and 1 / the curve's divisor.
    p: f64x8<S>,
    inverse: f64x8<S>,
}

/// Settles two vectors of lanes, `lane` on, from their 32-bit coordinates and sums of squares.
///
/// Stage after stage for both, so that the processor finds independent work; in plain variables,
/// because arrays of structures would be copied through memory.
#[inline(always)]
pub(super) fn settle<S: Simd, C: LaneCurve>(
    (curve, search): (&C, &Search),
    rows: &Rows<'_, f64>,
    [(z_a, square_a), (z_b, square_b)]: [(f64x8<S>, f64x8<S>); 2],
    (quantity, tile): (&Quantity, &mut Tile),
    lane: usize,
) {
    let simd = z_a.simd;
    let (rows_a, rows_b) = (rows.vector::<8>(0), rows.vector::<8>(1));
    let (from_a, from_b) = (Start::new(search, z_a), Start::new(search, z_b));
    let more_a = curve.double().more_sums(simd, &rows_a, from_a.z);
    let more_b = curve.double().more_sums(simd, &rows_b, from_b.z);
    let a = Here { more: more_a, square: square_a }.step(curve, search, &from_a);
    let b = Here { more: more_b, square: square_b }.step(curve, search, &from_b);
    let rate_a = curve.rate(a.z, a.inverse);
    let rate_b = curve.rate(b.z, b.inverse);
    write((curve, search.falls), &a, rate_a, (quantity, &mut *tile), lane);
    write((curve, search.falls), &b, rate_b, (quantity, &mut *tile), lane + 8);
    if quantity.everything {
        let [residual_a, total_a] = sums_of_squares(curve, &rows_a, &a);
        let [residual_b, total_b] = sums_of_squares(curve, &rows_b, &b);
        residual_a.store_slice(&mut tile.residual[lane..lane + 8]);
        residual_b.store_slice(&mut tile.residual[lane + 8..lane + 16]);
        total_a.store_slice(&mut tile.total[lane..lane + 8]);
        total_b.store_slice(&mut tile.total[lane + 8..lane + 16]);
    }
}

/// Where the step starts.
#[derive(Clone, Copy)]
struct Start<S: Simd> {
    z: f64x8<S>,
    at_low: mask64x8<S>,
    at_high: mask64x8<S>,
}

impl<S: Simd> Start<S> {
    /// From 32-bit coordinates: those at a bound are put exactly there.
    #[inline(always)]
    fn new(search: &Search, near: f64x8<S>) -> Self {
        let simd = near.simd;
        let [low, high] = search.double.bounds;
        let [low_single, high_single] = search.single.bounds;
        let at_low = near.simd_eq(f64::from(low_single));
        let at_high = near.simd_eq(f64::from(high_single));
        let z = at_high.select(simd.splat_f64x8(high), near);
        Self { z: at_low.select(simd.splat_f64x8(low), z), at_low, at_high }
    }
}

/// Writes what follows from the end of the step for eight lanes from `lane` on.
#[inline(always)]
fn write<S: Simd, C: LaneCurve>(
    (curve, falls): (&C, bool),
    end: &End<S>,
    rate: [f64x8<S>; 2],
    (quantity, tile): (&Quantity, &mut Tile),
    lane: usize,
) {
    let lanes = lane..lane + 8;
    let resolved = rate[0].abs().simd_ge(rate[1].abs() * RATE_MIN);
    let Verdict { settled, at_low, at_high } = end.verdict;
    let settled = settled & (resolved | at_low | at_high);
    let [at_lower, at_upper] = if falls { [at_high, at_low] } else { [at_low, at_high] };
    let masks = [settled.to_bitmask(), at_lower.to_bitmask(), at_upper.to_bitmask()];
    tile.set_masks(lane, masks);
    let factor = curve.factor(rate[0], end.inverse);
    let estimate = quantity.estimate(rate[0], [at_lower, at_upper]);
    estimate.store_slice(&mut tile.estimate[lanes.clone()]);
    (end.amplitude * factor).store_slice(&mut tile.amplitude[lanes.clone()]);
    if quantity.everything {
        let variance = quantity.variance(estimate, rate[1] * rate[1] * end.variance);
        variance.store_slice(&mut tile.variance[lanes.clone()]);
        // d ln(e^(−rate·origin)) by δ joins the curve's own slope.
        let along = end.along - rate[1] * curve.origin();
        let unscaled = (along * along).mul_add(end.inverse_across, end.inverse_q);
        (factor * factor * unscaled).store_slice(&mut tile.amplitude_variance[lanes]);
    }
}

impl<S: Simd> Here<S> {
    /// The step, and what is found at its end.
    #[inline(always)]
    fn step<C: LaneCurve>(&self, curve: &C, search: &Search, start: &Start<S>) -> End<S> {
        let (delta, verdict) = self.verdict(search, start);
        let z = C::Double::advance(start.z, delta);
        let [low, high] = search.double.bounds;
        let settled = verdict.settled & z.simd_ge(low) & z.simd_le(high);
        self.moved(delta, curve.divisor(z), (z, Verdict { settled, ..verdict }))
    }

    /// δ, 0 where a lane stays at a bound.
    #[inline(always)]
    fn verdict(&self, search: &Search, start: &Start<S>) -> (f64x8<S>, Verdict<S>) {
        let simd = start.z.simd;
        let MoreSums { sums, p3, q12, q03, .. } = self.more;
        let Sums { p: [p, p1, p2], q, q1, q11, q02 } = sums;
        let zero = simd.splat_f64x8(0.0);
        // h, −h′, h″ and q·a.
        let h = p1 * q - p * q1;
        let fall = p * (q11 + q02) - p2 * q - p1 * q1;
        let bend = p3 * q + p2 * q1 * 3.0 - p * q12.mul_add(3.0, q03);
        let across = q11 * q - q1 * q1;
        let inverse = simd.splat_f64x8(1.0) / fall;
        let newton = h * inverse;
        let delta = newton.mul_add(newton * bend * inverse * 0.5, newton);
        // Samples and curve are close enough that no other maximum can be higher.
        let (found, all) = (p * p, q * self.square);
        let close = |cosine_squared: f64| found.simd_ge(all * cosine_squared);
        let [offset, gradient] = search.thresholds.inside;
        let near = found.simd_ge(all * (start.z * gradient + offset));
        let steep = (h * h).simd_ge(across * q * self.square * (SLOPE_MIN * SLOPE_MIN));
        let [low, high] = search.thresholds.bounds;
        let [falls, rises] = [start.at_low & h.simd_lt(zero), start.at_high & h.simd_gt(zero)];
        let at_low = falls & steep & close(low);
        let at_high = rises & steep & close(high);
        let still = (delta * delta * across).simd_le(q * q * (ARC_TOLERANCE * ARC_TOLERANCE));
        let top = still & fall.simd_gt(zero) & near;
        let inside = top & !(falls | rises);
        let usable = p.simd_gt(zero)
            & across.simd_ge(q11 * q * ACROSS_MIN)
            & self.square.simd_ge(SQUARES[0])
            & self.square.simd_le(SQUARES[1]);
        let at_bound = at_low | at_high;
        let settled = usable & (inside | at_bound);
        (at_bound.select(zero, delta), Verdict { settled, at_low, at_high })
    }

    /// Amplitude and precision `delta` further on; errors are of fourth order in `delta` for p and
    /// q, of third order for their derivatives.
    #[inline(always)]
    fn moved(
        &self,
        delta: f64x8<S>,
        divisor: f64x8<S>,
        (z, verdict): (f64x8<S>, Verdict<S>),
    ) -> End<S> {
        let MoreSums { sums, p3, q12, q03, q11_bend } = self.more;
        let Sums { p: [p, p1, p2], q, q1, q11, q02 } = sums;
        let p2 = delta.mul_add(p3 * (1.0 / 3.0), p2);
        let p = delta.mul_add((delta * p2).mul_add(0.5, p1), p);
        let (q2, q3) = (q11 + q02, q12.mul_add(3.0, q03));
        let q = delta.mul_add(delta.mul_add(delta.mul_add(q3 * (1.0 / 3.0), q2), q1 + q1), q);
        let q1 = delta.mul_add((delta * q3).mul_add(0.5, q2), q1);
        let q11 = delta.mul_add(delta.mul_add(q11_bend, q12 + q12), q11);
        // One division for 1/q, 1/a = q/(q·a), 1/A² = (q/p)² and the curve's own divisor.
        let (across, square) = (q11 * q - q1 * q1, p * p);
        let [left, right] = [q * across, square * divisor];
        let inverse = delta.simd.splat_f64x8(1.0) / (left * right);
        let [left_inverse, right_inverse] = [right * inverse, left * inverse];
        let inverse_q = across * left_inverse;
        let inverse_across = q * q * left_inverse;
        End {
            z,
            verdict,
            amplitude: p * inverse_q,
            inverse_q,
            along: q1 * inverse_q,
            inverse_across,
            variance: inverse_across * (q * q) * (divisor * right_inverse),
            p,
            inverse: square * right_inverse,
        }
    }
}

/// RSS = Σ (y − A·f)² and Σ (y − mean)², the latter from distances to the first sample.
///
/// At the optimum RSS = Σ y² − A·p, which is exact where residuals are not almost nothing; there
/// they are summed.
#[inline(always)]
fn sums_of_squares<S: Simd, C: LaneCurve>(
    curve: &C,
    rows: &Rows<'_, f64>,
    end: &End<S>,
) -> [f64x8<S>; 2] {
    let simd = end.z.simd;
    let first: f64x8<S> = rows.load(simd, 0, 0);
    let zero = simd.splat_f64x8(0.0);
    let (mut sum, mut square) = (zero, zero);
    for k in 1..rows.len() {
        let y: f64x8<S> = rows.load(simd, k, 0);
        let distance = y - first;
        sum += distance;
        square = distance.mul_add(distance, square);
    }
    let n = rows.len() as f64;
    let all = first.mul_add(first.mul_add(n, sum + sum), square);
    let rest = all - end.amplitude * end.p;
    let lost = rest.simd_lt(all * REST_MIN);
    let mut residual = rest;
    if lost.to_bitmask() != 0 {
        residual = lost.select(residuals(curve, rows, end), rest);
    }
    [residual, square - sum * sum * (1.0 / n)]
}

/// Σ (y − A·f)² from the residuals.
#[inline(always)]
fn residuals<S: Simd, C: LaneCurve>(curve: &C, rows: &Rows<'_, f64>, end: &End<S>) -> f64x8<S> {
    let (simd, table) = (end.z.simd, curve.double());
    let mut state = table.begin(simd, end.z);
    let mut residual = simd.splat_f64x8(0.0);
    let skipped = usize::from(C::Double::FIRST_IS_ONE);
    if skipped == 1 {
        let y: f64x8<S> = rows.load(simd, 0, 0);
        let rest = y - end.amplitude;
        residual = rest * rest;
    }
    for k in skipped..rows.len() {
        let y: f64x8<S> = rows.load(simd, k, 0);
        let rest = y - end.amplitude * table.value(k, &mut state);
        residual = rest.mul_add(rest, residual);
    }
    residual
}
