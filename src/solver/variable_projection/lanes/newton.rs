//! Halley's iteration in 32-bit for the slope of p/√q, all lanes at once.
//!
//! With h = p′q − pq′/2 the step is δ = δ₁·(1 − δ₁·h″/2h′), δ₁ = −h/h′. Where the profile
//! is not curved enough downwards its curvature is taken from the curve alone (Gauss–Newton), so that
//! a step always climbs. A lane that has arrived rests: its neighbours cannot move it.
//!
//! # Reference
//!
//! Gander, "On Halley's iteration method", Am Math Mon 1985, doi:10.2307/2322644.

use fearless_simd::{Simd, f32x16, prelude::*, u32x16};

use super::curve::{LaneCurve, Table};
use super::sums::{Rows, Sums};

/// Least curvature, as a part of that of the curve alone.
const CURVATURE_MIN: f32 = 0.25;
/// Largest δ₁·h″/2h′.
const BEND_MAX: f32 = 0.3;
/// Largest change of Σ f′² on half the last step, as a part of it.
const CHANGE_MAX: f32 = 0.2;
/// Passes after which lanes that still move are given up.
const PASSES_MAX: u32 = 8;

/// Where the lanes of a vector have climbed.
#[derive(Clone, Copy)]
pub(super) struct Climbed<S: Simd> {
    pub(super) z: f32x16<S>,
    pub(super) passes: u32x16<S>,
}

/// How far and how long lanes climb.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// A lane whose samples lie on the curve rests after a step below this arc, rad: the error that
    /// remains is about its cube.
    pub(super) rest: f32,
    /// Longest `δ`.
    pub(super) step_max: f32,
}

/// Moves the coordinates `z` to the nearest maximum within the bounds of each lane.
#[inline(always)]
pub(super) fn climb<S: Simd, C: LaneCurve, const G: usize>(
    simd: S,
    curve: &C,
    rows: &Rows<'_, f32>,
    (z, bounds): (&[f32x16<S>; G], &[[f32x16<S>; 2]; G]),
    pace: Pace,
) -> [Climbed<S>; G] {
    let (zero, none) = (simd.splat_f32x16(0.0), simd.splat_u32x16(0));
    let mut z = *z;
    let mut passes = [none; G];
    let mut moving = [simd.splat_mask32x16(true); G];
    for _ in 0..PASSES_MAX {
        let sums = curve.single().sums(simd, rows, &z);
        let mut all_rest = true;
        for g in 0..G {
            let Step { delta, rests } = Step::new(&sums[g], pace.rest);
            let delta = delta.max(-pace.step_max).min(pace.step_max);
            let next = C::Single::advance(z[g], delta).max(bounds[g][0]).min(bounds[g][1]);
            let stays = next.simd_eq(z[g]);
            z[g] = moving[g].select(next, z[g]);
            passes[g] = moving[g].select(passes[g] + 1, passes[g]);
            moving[g] &= !(rests | stays);
            all_rest &= moving[g].to_bitmask() == 0;
        }
        if all_rest {
            break;
        }
    }
    let mut climbed = [Climbed { z: zero, passes: none }; G];
    for g in 0..G {
        climbed[g] = Climbed { z: z[g], passes: passes[g] };
    }
    climbed
}

struct Step<S: Simd> {
    delta: f32x16<S>,
    /// Whether δ is small.
    rests: fearless_simd::mask32x16<S>,
}

impl<S: Simd> Step<S> {
    #[inline(always)]
    fn new(sums: &Sums<f32x16<S>>, rest: f32) -> Self {
        let Sums { p: [p, p1, p2, p3], q: [q, q1, q2, q3], q11, q12, .. } = *sums;
        let h = p1 * q - p * q1;
        let fall = p * q2 - (p2 * q + p1 * q1);
        let bend = p3 * q + p2 * (q1 * 3.0) - p * q3;
        // q·Σ(f′ − f·q₁/q)², the squared speed of the direction times q².
        let across = q * q11 - q1 * q1;
        let (whole, own) = (p * across, fall * q);
        let curved = own.max(whole * CURVATURE_MIN).max(f32::MIN_POSITIVE);
        let inverse = q / curved;
        let newton = h * inverse;
        let bend = bend * inverse * 0.5;
        let turn = (newton * bend).max(-BEND_MAX).min(BEND_MAX);
        let delta = newton.mul_add(turn, newton);
        // The flatter the profile beside the curve alone, the shorter.
        let arc = newton * newton * across;
        let (flat, limit) = (whole * inverse, q * q * rest);
        let is_short = (arc * flat * flat).simd_le(limit * limit);
        let rests = is_short & (newton * q12).abs().simd_le(q11 * CHANGE_MAX);
        Self { delta, rests }
    }
}
