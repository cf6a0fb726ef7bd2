//! ln x = k·ln 2 + 2·artanh(s) with x = 2^k·m, √½ ≤ m < √2 and s = (m − 1)/(m + 1), |s| < 0.172.
//!
//! # Reference
//!
//! Tang, "Table-driven implementation of the logarithm function in IEEE floating-point arithmetic",
//! ACM Trans Math Softw 1990, doi:10.1145/98267.98294 (the reduction in two parts).

use fearless_simd::{Simd, f32x16, f64x8, prelude::*};

const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Bits of √½: what is above lies in the octave of 1.
const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
/// Bits of 2^52, and of 2^52 + 1023: an integer in the low bits of the first is that number above it.
const TWO_52: u64 = 0x4330_0000_0000_0000;
const BIASED: f64 = 4_503_599_627_370_496.0 + 1024.0;
/// 2/(2n + 1) for n = 10 … 1: the first term left out is below 2e-18.
const INVERSE_ODDS: [f64; 10] = [
    2.0 / 21.0,
    2.0 / 19.0,
    2.0 / 17.0,
    2.0 / 15.0,
    2.0 / 13.0,
    2.0 / 11.0,
    2.0 / 9.0,
    2.0 / 7.0,
    2.0 / 5.0,
    2.0 / 3.0,
];

const LN_2_HIGH_SINGLE: f32 = 0.693_359_4;
const LN_2_LOW_SINGLE: f32 = -2.121_944_4e-4;
const ROOT_HALF_SINGLE: u32 = 0x3f35_04f3;
const TWO_23: u32 = 0x4b00_0000;
const BIASED_SINGLE: f32 = 8_388_608.0 + 128.0;
/// 2/(2n + 1) for n = 4 … 1: the first term left out is below 5e-9.
const INVERSE_ODDS_SINGLE: [f32; 4] = [2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0];

#[inline(always)]
pub(super) fn double<S: Simd>(x: f64x8<S>) -> f64x8<S> {
    let simd = x.simd;
    // The offset moves the edge of an octave from 1 to √½ of the next.
    let offset = (0x3ff0_0000_0000_0000 - ROOT_HALF) + (1 << 52);
    let bits = x.to_bits() + simd.splat_u64x8(offset);
    let k = f64x8::from_bits((bits >> 52) | simd.splat_u64x8(TWO_52)) - BIASED;
    let fraction = bits & simd.splat_u64x8((1 << 52) - 1);
    let f = f64x8::from_bits(fraction + simd.splat_u64x8(ROOT_HALF)) - 1.0;
    let s = f / (f + 2.0);
    let square = s * s;
    let mut sum = simd.splat_f64x8(INVERSE_ODDS[0]);
    for coefficient in &INVERSE_ODDS[1..] {
        sum = sum.mul_add(square, *coefficient);
    }
    // 2·artanh(s) = f − s·(f − s²·sum), exact in its leading term.
    let small = s.mul_add(square.mul_add(sum, -f), k * LN_2_LOW);
    k.mul_add(LN_2_HIGH, f + small)
}

#[inline(always)]
pub(super) fn single<S: Simd>(x: f32x16<S>) -> f32x16<S> {
    let simd = x.simd;
    let offset = (0x3f80_0000 - ROOT_HALF_SINGLE) + (1 << 23);
    let bits = x.to_bits() + simd.splat_u32x16(offset);
    let k = f32x16::from_bits((bits >> 23) | simd.splat_u32x16(TWO_23)) - BIASED_SINGLE;
    let fraction = bits & simd.splat_u32x16((1 << 23) - 1);
    let f = f32x16::from_bits(fraction + simd.splat_u32x16(ROOT_HALF_SINGLE)) - 1.0;
    let s = f / (f + 2.0);
    let square = s * s;
    let mut sum = simd.splat_f32x16(INVERSE_ODDS_SINGLE[0]);
    for coefficient in &INVERSE_ODDS_SINGLE[1..] {
        sum = sum.mul_add(square, *coefficient);
    }
    let small = s.mul_add(square.mul_add(sum, -f), k * LN_2_LOW_SINGLE);
    k.mul_add(LN_2_HIGH_SINGLE, f + small)
}
