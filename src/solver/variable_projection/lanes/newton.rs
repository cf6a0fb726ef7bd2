//! Newton's iteration in 32-bit for the slope of p/√q, all lanes at once.
//!
//! With h = p′q − pq′/2 the step is δ = −h/h′. Where the profile is not curved enough downwards its
//! curvature is taken from the curve alone (Gauss–Newton), so that a step always climbs. A lane that
//! has arrived rests: its neighbours cannot move it.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use fearless_simd::{Simd, f32x16, prelude::*};

use super::Range;
use super::curve::{LaneCurve, Table};
use super::sums::{Rows, Sums};

/// A lane rests after a step below this arc, rad: the error that remains is about its square.
const ARC_TOLERANCE: f32 = 2e-3;
/// Least curvature, as a part of that of the curve alone.
const CURVATURE_MIN: f32 = 0.25;
/// Passes after which lanes that still move are given up.
const PASSES_MAX: u32 = 8;

/// Moves the coordinates `z` to the nearest maximum within `bounds`; returns the passes made.
#[inline(always)]
pub(super) fn climb<S: Simd, C: LaneCurve, const G: usize>(
    simd: S,
    curve: &C,
    rows: &Rows<'_, f32>,
    range: &Range<f32>,
    z: &mut [f32x16<S>; G],
) -> u32 {
    let mut moving = [simd.splat_mask32x16(true); G];
    for pass in 1..=PASSES_MAX {
        let sums = at(simd, curve, rows, z);
        let mut all_rest = true;
        for g in 0..G {
            let (delta, rests) = step(simd, &sums[g]);
            let delta = delta.max(-range.step_max).min(range.step_max);
            let next = C::Single::advance(z[g], delta).max(range.bounds[0]).min(range.bounds[1]);
            let stays = next.simd_eq(z[g]);
            z[g] = moving[g].select(next, z[g]);
            moving[g] &= !(rests | stays);
            all_rest &= moving[g].to_bitmask() == 0;
        }
        if all_rest {
            return pass;
        }
    }
    PASSES_MAX
}

#[inline(always)]
fn at<S: Simd, C: LaneCurve, const G: usize>(
    simd: S,
    curve: &C,
    rows: &Rows<'_, f32>,
    z: &[f32x16<S>; G],
) -> [Sums<f32x16<S>>; G] {
    let table = curve.single();
    let mut sums = [Sums::zero(simd); G];
    let mut states = [table.begin(simd, z[0]); G];
    for g in 0..G {
        states[g] = table.begin(simd, z[g]);
        if C::Single::FIRST_IS_ONE {
            sums[g] = Sums::after_one(simd, rows.load(simd, 0, g));
        }
    }
    for k in usize::from(C::Single::FIRST_IS_ONE)..curve.order().len() {
        for g in 0..G {
            let sample = table.sample(k, &mut states[g]);
            sums[g].add(table, rows.load(simd, k, g), sample);
        }
    }
    sums
}

/// δ, and whether it is small.
#[inline(always)]
fn step<S: Simd>(simd: S, sums: &Sums<f32x16<S>>) -> (f32x16<S>, fearless_simd::mask32x16<S>) {
    let Sums { p: [p, p1, p2], q, q1, q11, q02 } = *sums;
    let h = p1 * q - p * q1;
    let newton = p * (q11 + q02) - (p2 * q + p1 * q1);
    // q·Σ(f′ − f·q₁/q)², the squared speed of the direction times q².
    let across = q * q11 - q1 * q1;
    let curved = newton * q;
    let least = p * across * CURVATURE_MIN;
    let delta = h * q / curved.max(least).max(f32::MIN_POSITIVE);
    let arc = delta * delta * across;
    (delta, arc.simd_le(q * q * simd.splat_f32x16(ARC_TOLERANCE * ARC_TOLERANCE)))
}
