//! e^x = 2^k·e^r with k = round(x / ln 2) and |r| ≤ ln 2 / 2, e^r by its Taylor polynomial.
//!
//! # Reference
//!
//! Tang, "Table-driven implementation of the exponential function in IEEE floating-point
//! arithmetic", ACM Trans Math Softw 1989, doi:10.1145/63522.214389 (the reduction in two parts).

use fearless_simd::{Simd, f32x16, f64x8, prelude::*};

/// 1.5·2^52: added to a number, it leaves the nearest integer in the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1/n! for n = 13 … 0: the first term left out is below 5e-18.
const FACTORIALS: [f64; 14] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];
const RANGE: [f64; 2] = [-708.0, 709.0];

/// 1.5·2^23.
const ROUNDER_SINGLE: f32 = 12_582_912.0;
const LN_2_HIGH_SINGLE: f32 = 0.693_359_4;
const LN_2_LOW_SINGLE: f32 = -2.121_944_4e-4;
/// 1/n! for n = 7 … 0: the first term left out is below 6e-9.
const FACTORIALS_SINGLE: [f32; 8] =
    [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
const RANGE_SINGLE: [f32; 2] = [-87.0, 88.0];

#[inline(always)]
pub(super) fn double<S: Simd>(x: f64x8<S>) -> f64x8<S> {
    let simd = x.simd;
    // In this order NaN passes.
    let x = simd.splat_f64x8(RANGE[0]).max(simd.splat_f64x8(RANGE[1]).min(x));
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUNDER);
    let k = shifted - ROUNDER;
    let r = k.mul_add(-LN_2_LOW, k.mul_add(-LN_2_HIGH, x));
    let mut sum = simd.splat_f64x8(FACTORIALS[0]);
    for coefficient in &FACTORIALS[1..] {
        sum = sum.mul_add(r, *coefficient);
    }
    // Adding k to the exponent of the sum multiplies by 2^k.
    f64x8::from_bits(sum.to_bits() + (shifted.to_bits() << 52))
}

#[inline(always)]
pub(super) fn single<S: Simd>(x: f32x16<S>) -> f32x16<S> {
    let simd = x.simd;
    let x = simd.splat_f32x16(RANGE_SINGLE[0]).max(simd.splat_f32x16(RANGE_SINGLE[1]).min(x));
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUNDER_SINGLE);
    let k = shifted - ROUNDER_SINGLE;
    let r = k.mul_add(-LN_2_LOW_SINGLE, k.mul_add(-LN_2_HIGH_SINGLE, x));
    let mut sum = simd.splat_f32x16(FACTORIALS_SINGLE[0]);
    for coefficient in &FACTORIALS_SINGLE[1..] {
        sum = sum.mul_add(r, *coefficient);
    }
    f32x16::from_bits(sum.to_bits() + (shifted.to_bits() << 23))
}
