//! Elementary functions on eight voxels at once, the same operations at every instruction set with
//! fused multiply-add.
//!
//! # Reference
//!
//! Polynomials of the logarithm: Ng, "FDLIBM", Sun Microsystems 1993 (`e_log.c`).

#![allow(
    clippy::inline_always,
    reason = "a kernel is compiled for the instruction set of the function it is inlined into"
)]

use fearless_simd::f64x8;
use fearless_simd::prelude::*;

use crate::solver::elementary::Elementary;

/// Voxels that are worked on together.
pub(super) const LANES: usize = 8;

/// Starts of the groups of eight that cover `n_lanes`; where eight do not divide them, the last group
/// lies over the one before it. None below eight lanes.
pub(super) fn starts(n_lanes: usize) -> impl Iterator<Item = usize> {
    let last = (n_lanes > LANES && !n_lanes.is_multiple_of(LANES)).then(|| n_lanes - LANES);
    (0..n_lanes / LANES).map(|group| group * LANES).chain(last)
}

/// Eight doubles from the start of `values`.
#[inline(always)]
pub(super) fn load<S: Simd>(simd: S, values: &[f64]) -> f64x8<S> {
    f64x8::from_slice(simd, &values[..LANES])
}

/// ln(p/q) with an error of a few 2⁻⁵³ beside those of p and q. NaN unless p/q is a normal number
/// below 1e300.
///
/// ln(p/q) = 2·artanh((p − q)/(p + q)), whose series needs few terms while p/q is near 1.
#[inline(always)]
pub(super) fn logarithm_of_ratio<S: Simd>(simd: S, p: f64x8<S>, q: f64x8<S>) -> f64x8<S> {
    /// Above it the polynomial of a mantissa in √½–√2 does not hold.
    const LARGEST: f64 = 0.171_572;
    let s = (p - q) / (p + q);
    let near = logarithm_by_artanh(simd, s);
    let is_near = s.abs().simd_le(LARGEST);
    if is_near.all_true() {
        return near;
    }
    is_near.select(near, logarithm(simd, p / q))
}

/// 2·artanh(s) for |s| up to 0.1716.
#[inline(always)]
fn logarithm_by_artanh<S: Simd>(simd: S, s: f64x8<S>) -> f64x8<S> {
    const EVEN: [f64; 3] =
        [3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1];
    const ODD: [f64; 4] = [
        6.666_666_666_666_735e-1,
        2.857_142_874_366_239e-1,
        1.818_357_216_161_805e-1,
        1.479_819_860_511_658_6e-1,
    ];
    let z = s * s;
    let w = z * z;
    let even = constant(simd, EVEN[2]).mul_add(w, EVEN[1]).mul_add(w, EVEN[0]);
    let odd = constant(simd, ODD[3]).mul_add(w, ODD[2]).mul_add(w, ODD[1]).mul_add(w, ODD[0]);
    let tail = even.mul_add(w, odd * z);
    s.mul_add(tail, s * 2.0)
}

/// ln x of positive normal numbers below 1e300 to 2 ulp, else NaN.
#[inline(always)]
fn logarithm<S: Simd>(simd: S, x: f64x8<S>) -> f64x8<S> {
    let is_normal = x.simd_ge(f64::MIN_POSITIVE) & x.simd_le(1e300);
    is_normal.select(x.ln(), constant(simd, f64::NAN))
}

/// 1 − e^(−x) for x in 0–0.5, to a few ulp of the result.
#[inline(always)]
pub(super) fn recovery_of_short_times<S: Simd>(simd: S, x: f64x8<S>) -> f64x8<S> {
    // Taylor series; the first term left out is below 0.5¹⁴/15! ≈ 5e-17.
    let mut sum = constant(simd, 1.0);
    for n in (2..=14_u32).rev() {
        sum = (x * (-1.0 / f64::from(n))).mul_add(sum, 1.0);
    }
    x * sum
}

/// All lanes `value`.
#[inline(always)]
pub(super) fn constant<S: Simd>(simd: S, value: f64) -> f64x8<S> {
    f64x8::splat(simd, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::{Level, dispatch};

    #[derive(Clone, Copy)]
    enum Function {
        Logarithm,
        Recovery,
    }

    #[inline(always)]
    fn kernel<S: Simd>(simd: S, values: [f64; 8], function: Function) -> [f64; 8] {
        let x = load(simd, &values);
        let y = match function {
            Function::Logarithm => logarithm(simd, x),
            Function::Recovery => recovery_of_short_times(simd, x),
        };
        y.to_array()
    }

    fn map(values: [f64; 8], function: Function) -> [f64; 8] {
        let level = Level::new();
        dispatch!(level, simd => kernel(simd, values, function))
    }

    #[test]
    fn the_logarithm_is_that_of_the_library_to_two_ulp() {
        for step in 0..40_000 {
            let x = 1e-200 * 1.023_f64.powi(step);
            let near_one = 1.0 + f64::from(step - 20_000) * 1e-5;
            let values = [x, 1.0 / x, near_one, near_one * 3.0, 1.0, 0.5, 0.75, 1.5];
            for (value, found) in values.into_iter().zip(map(values, Function::Logarithm)) {
                let expected = value.ln();
                if value.is_normal() && value < 1e300 && value > 0.0 {
                    let two_ulp = 4.5e-16 * expected.abs();
                    assert!((found - expected).abs() <= two_ulp, "{value} {found} {expected}");
                } else {
                    assert!(found.is_nan(), "{value} {found}");
                }
            }
        }
    }

    #[test]
    fn the_recovery_of_short_times_is_that_of_the_library() {
        for step in 0..5000 {
            let x = 1e-8 * 1.0036_f64.powi(step);
            let values = [x.min(0.5); 8];
            for (value, found) in values.into_iter().zip(map(values, Function::Recovery)) {
                assert!((found / -(-value).exp_m1() - 1.0).abs() < 1e-15, "{value}");
            }
        }
    }
}
