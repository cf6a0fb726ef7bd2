//! Elementary functions of all lanes of a vector at once.
//!
//! Every operation is the same for each instruction set that has fused multiplication and addition,
//! so AVX2 and AVX-512 give the same bits; without it the last bits may differ. The functions are
//! inlined into the kernel that calls them and must be entered through `fearless_simd::dispatch!`.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

mod exponential;
mod logarithm;

use fearless_simd::{Simd, SimdFloat, f32x16, f64x8};

/// Elementary functions of a vector of real numbers.
///
/// Errors are relative and hold on the whole range with fused multiplication and addition.
pub trait Elementary<S: Simd>: SimdFloat<S> {
    /// e^x to 2 units in the last place. Saturates: far below the range the result is about the
    /// smallest, far above it about the largest normal number. NaN stays NaN.
    #[must_use]
    fn exp(self) -> Self;

    /// ln x to 2 units in the last place for normal x > 0; any number for others.
    #[must_use]
    fn ln(self) -> Self;

    /// All lanes `value`, rounded to the precision of the lanes.
    fn of(simd: S, value: f64) -> Self;
}

impl<S: Simd> Elementary<S> for f32x16<S> {
    #[inline(always)]
    fn exp(self) -> Self {
        exponential::single(self)
    }

    #[inline(always)]
    fn ln(self) -> Self {
        logarithm::single(self)
    }

    #[inline(always)]
    fn of(simd: S, value: f64) -> Self {
        simd.splat_f32x16(value as f32)
    }
}

impl<S: Simd> Elementary<S> for f64x8<S> {
    #[inline(always)]
    fn exp(self) -> Self {
        exponential::double(self)
    }

    #[inline(always)]
    fn ln(self) -> Self {
        logarithm::double(self)
    }

    #[inline(always)]
    fn of(simd: S, value: f64) -> Self {
        simd.splat_f64x8(value)
    }
}

#[cfg(test)]
mod tests;
