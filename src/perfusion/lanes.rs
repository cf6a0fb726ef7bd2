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

use fearless_simd::prelude::*;
use fearless_simd::{f64x8, i64x8, u64x8};

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

/// ln x of positive normal numbers to 1 ulp; anything else gives a number that means nothing.
#[inline(always)]
pub(super) fn logarithm<S: Simd>(simd: S, x: f64x8<S>) -> f64x8<S> {
    const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const EVEN: [f64; 3] =
        [3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1];
    const ODD: [f64; 4] = [
        6.666_666_666_666_735e-1,
        2.857_142_874_366_239e-1,
        1.818_357_216_161_805e-1,
        1.479_819_860_511_658_6e-1,
    ];
    let bits: u64x8<S> = x.to_bits();
    let from_half = bits - u64x8::splat(simd, SQRT_HALF_BITS);
    let exponent: i64x8<S> = from_half.bitcast::<i64x8<S>>() >> 52;
    let mantissa = bits - (exponent.bitcast::<u64x8<S>>() << 52);
    let exponent: f64x8<S> = exponent.to_float();
    let f = f64x8::from_bits(mantissa) - 1.0;
    let s = f / (f + 2.0);
    let z = s * s;
    let w = z * z;
    let even = constant(simd, EVEN[2]).mul_add(w, EVEN[1]).mul_add(w, EVEN[0]) * w;
    let odd = constant(simd, ODD[3]).mul_add(w, ODD[2]).mul_add(w, ODD[1]).mul_add(w, ODD[0]) * z;
    let half_square = f * f * 0.5;
    let tail = s.mul_add(half_square + (even + odd), exponent * LN_2_LOW);
    exponent.mul_add(LN_2_HIGH, f - (half_square - tail))
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

    fn map(values: [f64; 8], is_logarithm: bool) -> [f64; 8] {
        #[inline(always)]
        fn kernel<S: Simd>(simd: S, values: [f64; 8], is_logarithm: bool) -> [f64; 8] {
            let x = load(simd, &values);
            let y =
                if is_logarithm { logarithm(simd, x) } else { recovery_of_short_times(simd, x) };
            y.to_array()
        }
        let level = Level::new();
        dispatch!(level, simd => kernel(simd, values, is_logarithm))
    }

    #[test]
    fn the_logarithm_is_that_of_the_library_to_an_ulp() {
        for step in 0..40_000 {
            let x = 1e-200 * 1.023_f64.powi(step);
            let near_one = 1.0 + f64::from(step - 20_000) * 1e-5;
            let values = [x, 1.0 / x, near_one, near_one * 3.0, 1.0, 0.5, 0.75, 1.5];
            for (value, found) in values.into_iter().zip(map(values, true)) {
                let expected = value.ln();
                if value.is_normal() && value.is_finite() && value > 0.0 {
                    let ulp = 2.3e-16 * expected.abs();
                    assert!((found - expected).abs() <= ulp, "{value} {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn the_recovery_of_short_times_is_that_of_the_library() {
        for step in 0..5000 {
            let x = 1e-8 * 1.0036_f64.powi(step);
            for (value, found) in [x.min(0.5); 8].into_iter().zip(map([x.min(0.5); 8], false)) {
                assert!((found / -(-value).exp_m1() - 1.0).abs() < 1e-15, "{value}");
            }
        }
    }
}
