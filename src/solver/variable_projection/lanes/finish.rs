//! The last step in 64-bit, and all that is reported, at the point it leads to.
//!
//! The 32-bit iteration leaves an arc of 10⁻⁶ to 10⁻⁴ rad. One step of Halley's kind from sums in
//! 64-bit leaves about the cube of it: with h = p′q − pq′/2 and δ₁ = −h/h′, δ = δ₁·(1 − δ₁·h″/2h′). The sums follow the step by Taylor's theorem.
//! With s = q₁/q and a = Σ f′² − q₁·s, the amplitude is A = p/q, and (JᵀJ)⁻¹ has the diagonal
//! 1/(A²·a) for the coordinate and 1/q + s²/a for the amplitude.
//!
//! # Reference
//!
//! Gander, "On Halley's iteration method", Am Math Mon 1985, doi:10.2307/2322644.

use fearless_simd::{Simd, f64x8, mask64x8, prelude::*};

use super::Aim;
use super::curve::{LaneCurve, Table};
use super::report::{LaneColumns, Marks, Quantity, Spread};
use super::sums::{Rows, Sums};

/// Largest arc of the last step, rad.
const ARC_TOLERANCE: f64 = 1e-4;
/// Largest change of Σ f′² on half the last step, as a part of it: its cube is left.
const CHANGE_MAX: f64 = 2e-3;
/// Slope at a bound, as the sine of an angle, that cannot be rounding.
const SLOPE_MIN: f64 = 1e-8;
/// Least part of Σ f′² that is across the curve.
const ACROSS_MIN: f64 = 1e-9;
/// Least rate, in units of the coordinate: below it rounding of the coordinate is felt.
const RATE_MIN: f64 = 1e-8;
/// RSS and Σ (y − mean)² as parts of Σ y² below which a difference would lose them.
const REST_MIN: f64 = 1e-5;
/// Σ y² of samples that 32-bit holds with room for their sums.
const SQUARES: [f64; 2] = [1e-24, 1e24];

/// Where the step starts.
#[derive(Clone, Copy)]
pub(super) struct Near<S: Simd> {
    /// From the 32-bit iteration.
    pub(super) z: f64x8<S>,
    /// Σ y².
    pub(super) square: f64x8<S>,
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

/// Settles two vectors of lanes, `lane` on, from where the 32-bit iteration has left them.
///
/// Stage after stage for both, so that the processor finds independent work; in plain variables,
/// because arrays of structures would be copied through memory.
#[inline(always)]
pub(super) fn settle<S: Simd, C: LaneCurve>(
    (curve, aim): (&C, &Aim),
    rows: &Rows<'_, f64>,
    [near_a, near_b]: [Near<S>; 2],
    (quantity, columns): (&Quantity, &mut LaneColumns<'_>),
    lane: usize,
) -> Marks {
    let simd = near_a.z.simd;
    let (rows_a, rows_b) = (rows.vector::<8>(0), rows.vector::<8>(1));
    let (from_a, from_b) = (Start::new(aim, near_a), Start::new(aim, near_b));
    let [sums_a] = curve.double().sums(simd, &rows_a, &[from_a.near.z]);
    let [sums_b] = curve.double().sums(simd, &rows_b, &[from_b.near.z]);
    let a = step(curve, aim, &sums_a, &from_a);
    let b = step(curve, aim, &sums_b, &from_b);
    let rate_a = curve.rate(a.z, a.inverse);
    let rate_b = curve.rate(b.z, b.inverse);
    let marks_a = a.write((curve, aim.falls), rate_a, (quantity, &mut *columns), lane);
    let marks_b = b.write((curve, aim.falls), rate_b, (quantity, &mut *columns), lane + 8);
    if quantity.spread != Spread::None {
        a.write_spread((curve, rate_a), &rows_a, (quantity, &mut *columns), lane);
        b.write_spread((curve, rate_b), &rows_b, (quantity, columns), lane + 8);
    }
    marks_a.beside(marks_b, 8)
}

#[derive(Clone, Copy)]
struct Start<S: Simd> {
    near: Near<S>,
    at_low: mask64x8<S>,
    at_high: mask64x8<S>,
}

impl<S: Simd> Start<S> {
    /// From 32-bit coordinates: those at a bound are put exactly there.
    #[inline(always)]
    fn new(aim: &Aim, near: Near<S>) -> Self {
        let simd = near.z.simd;
        let [low, high] = aim.bounds;
        let [low_single, high_single] = aim.single();
        let at_low = near.z.simd_eq(f64::from(low_single));
        let at_high = near.z.simd_eq(f64::from(high_single));
        let z = at_high.select(simd.splat_f64x8(high), near.z);
        let z = at_low.select(simd.splat_f64x8(low), z);
        Self { near: Near { z, ..near }, at_low, at_high }
    }
}

/// The step, and what is found at its end.
#[inline(always)]
fn step<S: Simd, C: LaneCurve>(
    curve: &C,
    aim: &Aim,
    sums: &Sums<f64x8<S>>,
    start: &Start<S>,
) -> End<S> {
    let (delta, verdict) = judge(sums, aim, start);
    let z = C::Double::advance(start.near.z, delta);
    let [low, high] = aim.bounds;
    let settled = verdict.settled & z.simd_ge(low) & z.simd_le(high);
    move_by(sums, delta, curve.divisor(z), (z, Verdict { settled, ..verdict }))
}

/// δ, 0 where a lane stays at a bound.
#[inline(always)]
fn judge<S: Simd>(sums: &Sums<f64x8<S>>, aim: &Aim, start: &Start<S>) -> (f64x8<S>, Verdict<S>) {
    let Near { z, square } = start.near;
    let simd = z.simd;
    let Sums { p: [p, p1, p2, p3], q: [q, q1, q2, q3], q11, q12, .. } = *sums;
    let zero = simd.splat_f64x8(0.0);
    // h, −h′, h″ and q·a.
    let h = p1 * q - p * q1;
    let fall = p * q2 - p2 * q - p1 * q1;
    let across = q11 * q - q1 * q1;
    let bend = p3 * q + p2 * (q1 * 3.0) - p * q3;
    let inverse = simd.splat_f64x8(1.0) / fall;
    let newton = h * inverse;
    let delta = newton.mul_add(newton * bend * inverse * 0.5, newton);
    // Samples and curve are close enough that no other maximum can be higher.
    let (found, all) = (p * p, q * square);
    let [offset, gradient] = aim.thresholds.inside;
    let near = found.simd_ge(all * (z * gradient + offset));
    let still = (delta * delta * across).simd_le(q * q * (ARC_TOLERANCE * ARC_TOLERANCE));
    // Far out the arc is short where the coordinate is long: the sums must follow the step too.
    let change = delta * q12;
    let followed = (change * change).simd_le(q11 * q11 * (CHANGE_MAX * CHANGE_MAX));
    let top = still & followed & fall.simd_gt(zero) & near;
    let usable = p.simd_gt(zero)
        & across.simd_ge(q11 * q * ACROSS_MIN)
        & square.simd_ge(SQUARES[0])
        & square.simd_le(SQUARES[1]);
    let (at_low, at_high) = (start.at_low & h.simd_lt(zero), start.at_high & h.simd_gt(zero));
    if (at_low | at_high).to_bitmask() == 0 {
        return (delta, Verdict { settled: usable & top, at_low, at_high });
    }
    let steep = (h * h).simd_ge(across * all * (SLOPE_MIN * SLOPE_MIN));
    let [low, high] = aim.thresholds.bounds.map(|bound| found.simd_ge(all * bound));
    let inside = top & !(at_low | at_high);
    let (at_low, at_high) = (at_low & steep & low, at_high & steep & high);
    let at_bound = at_low | at_high;
    let settled = usable & (inside | at_bound);
    (at_bound.select(zero, delta), Verdict { settled, at_low, at_high })
}

/// Amplitude and precision `delta` further on; errors are of fourth order in `delta` for p and q, of
/// third order for q₁ and Σ f′².
#[inline(always)]
fn move_by<S: Simd>(
    sums: &Sums<f64x8<S>>,
    delta: f64x8<S>,
    divisor: f64x8<S>,
    (z, verdict): (f64x8<S>, Verdict<S>),
) -> End<S> {
    let Sums { p: [p, p1, p2, p3], q: [q, q1, q2, q3], q11, q12, q22 } = *sums;
    let (half, third, twice) = (delta * 0.5, delta * (1.0 / 3.0), delta + delta);
    let p = delta.mul_add(half.mul_add(third.mul_add(p3, p2), p1), p);
    let q = twice.mul_add(half.mul_add(third.mul_add(q3, q2), q1), q);
    let q1 = delta.mul_add(half.mul_add(q3, q2), q1);
    let q11 = twice.mul_add(half.mul_add(q22, q12), q11);
    // One division for 1/q, 1/a = q/(q·a), 1/A² = (q/p)² and the curve's own divisor.
    let (across, square) = (q11 * q - q1 * q1, p * p);
    let [left, right] = [q * across, square * divisor];
    let inverse = delta.simd.splat_f64x8(1.0) / (left * right);
    let [left_inverse, right_inverse] = [right * inverse, left * inverse];
    let inverse_q = across * left_inverse;
    let q_square = q * q;
    let inverse_across = q_square * left_inverse;
    End {
        z,
        verdict,
        amplitude: p * inverse_q,
        inverse_q,
        along: q1 * inverse_q,
        inverse_across,
        variance: inverse_across * q_square * (divisor * right_inverse),
        p,
        inverse: square * right_inverse,
    }
}

impl<S: Simd> End<S> {
    /// Writes the estimates of eight lanes from `lane` on.
    #[inline(always)]
    fn write<C: LaneCurve>(
        &self,
        (curve, falls): (&C, bool),
        rate: [f64x8<S>; 2],
        (quantity, columns): (&Quantity, &mut LaneColumns<'_>),
        lane: usize,
    ) -> Marks {
        let resolved = rate[0].abs().simd_ge(rate[1].abs() * RATE_MIN);
        let Verdict { settled, at_low, at_high } = self.verdict;
        let settled = settled & (resolved | at_low | at_high);
        let [at_lower, at_upper] = if falls { [at_high, at_low] } else { [at_low, at_high] };
        let factor = curve.factor(rate[0], self.inverse);
        let estimate = quantity.estimate(rate[0], [at_lower, at_upper]);
        estimate.store_slice(&mut columns.estimates[lane..lane + 8]);
        (self.amplitude * factor).store_slice(&mut columns.amplitudes[lane..lane + 8]);
        Marks::new([settled.to_bitmask(), at_lower.to_bitmask(), at_upper.to_bitmask()])
    }

    /// Writes sums of squares and variances of eight lanes from `lane` on, or what follows from them.
    #[inline(always)]
    fn write_spread<C: LaneCurve>(
        &self,
        (curve, rate): (&C, [f64x8<S>; 2]),
        rows: &Rows<'_, f64>,
        (quantity, columns): (&Quantity, &mut LaneColumns<'_>),
        lane: usize,
    ) {
        let simd = self.z.simd;
        let lanes = lane..lane + 8;
        let estimate = f64x8::from_slice(simd, &columns.estimates[lanes.clone()]);
        let variance = quantity.variance(estimate, rate[1] * rate[1] * self.variance);
        let factor = curve.factor(rate[0], self.inverse);
        // d ln(e^(−rate·origin)) by δ joins the curve's own slope.
        let along = self.along - rate[1] * curve.origin();
        let unscaled = (along * along).mul_add(self.inverse_across, self.inverse_q);
        let variances = [variance, factor * factor * unscaled];
        let [residual, total] = self.sums_of_squares(curve, rows);
        residual.store_slice(&mut columns.residual_sums[lanes.clone()]);
        let (spreads, goodness) = quantity.spread.of(variances, [residual, total]);
        goodness.store_slice(&mut columns.totals[lanes.clone()]);
        for (column, spread) in columns.spreads.iter_mut().zip(spreads) {
            spread.store_slice(&mut column[lanes.clone()]);
        }
    }

    /// RSS = Σ (y − A·f)² and Σ (y − mean)².
    ///
    /// At the optimum RSS = Σ y² − A·p, which is exact where residuals are not almost nothing; there
    /// they are summed.
    #[inline(always)]
    fn sums_of_squares<C: LaneCurve>(&self, curve: &C, rows: &Rows<'_, f64>) -> [f64x8<S>; 2] {
        let simd = self.z.simd;
        let first: f64x8<S> = rows.load(simd, 0, 0);
        let (mut sum, mut all) = (first, first * first);
        for k in 1..rows.len() {
            let y: f64x8<S> = rows.load(simd, k, 0);
            sum += y;
            all = y.mul_add(y, all);
        }
        let rest = all - self.amplitude * self.p;
        let total = all - sum * sum * (1.0 / rows.len() as f64);
        let least = all * REST_MIN;
        let (rest_lost, total_lost) = (rest.simd_lt(least), total.simd_lt(least));
        if (rest_lost | total_lost).to_bitmask() == 0 {
            return [rest, total];
        }
        let residual = curve.double().residual(rows, self.z, self.amplitude);
        let (mut sum, mut square) = (simd.splat_f64x8(0.0), simd.splat_f64x8(0.0));
        for k in 1..rows.len() {
            let y: f64x8<S> = rows.load(simd, k, 0);
            let distance = y - first;
            sum += distance;
            square = distance.mul_add(distance, square);
        }
        let distant = square - sum * sum * (1.0 / rows.len() as f64);
        [rest_lost.select(residual, rest), total_lost.select(distant, total)]
    }
}
