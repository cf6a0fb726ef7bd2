//! What the machine can do at most: fused multiplications and additions, and reading memory.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

use std::hint::black_box;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f32x16, f64x8};

use super::{Result, Workload};

/// Independent sums, enough to hide the latency of one.
const SUMS: usize = 12;
/// Passes over the sums of one run.
const PASSES: usize = 4_000_000;
/// Bytes that are read, far more than caches hold.
const N_BYTES: usize = 1 << 28;

/// Fused multiplications and additions of numbers of one width in registers; an item is one lane.
pub(crate) struct Fused {
    is_double: bool,
    sum: f64,
}

impl Fused {
    pub(crate) fn single() -> Self {
        Self { is_double: false, sum: 0.0 }
    }

    pub(crate) fn double() -> Self {
        Self { is_double: true, sum: 0.0 }
    }
}

impl Workload for Fused {
    fn n_items(&self) -> usize {
        SUMS * PASSES * if self.is_double { 8 } else { 16 }
    }

    fn run(&mut self) -> Result<()> {
        let level = Level::new();
        self.sum = if self.is_double {
            dispatch!(level, simd => fused_double(simd))
        } else {
            dispatch!(level, simd => fused_single(simd))
        };
        Ok(())
    }

    fn values(&self) -> Vec<f64> {
        vec![self.sum]
    }
}

#[inline(always)]
fn fused_double<S: Simd>(simd: S) -> f64 {
    let (factor, term) = (black_box(0.999), black_box(1e-3));
    let (factor, term) = (simd.splat_f64x8(factor), simd.splat_f64x8(term));
    let mut sums: [f64x8<S>; SUMS] = [term; SUMS];
    for _ in 0..PASSES {
        for sum in &mut sums {
            *sum = sum.mul_add(factor, term);
        }
    }
    sums.iter().map(|sum| sum.to_array()[0]).sum()
}

#[inline(always)]
fn fused_single<S: Simd>(simd: S) -> f64 {
    let (factor, term) = (black_box(0.999), black_box(1e-3));
    let (factor, term) = (simd.splat_f32x16(factor), simd.splat_f32x16(term));
    let mut sums: [f32x16<S>; SUMS] = [term; SUMS];
    for _ in 0..PASSES {
        for sum in &mut sums {
            *sum = sum.mul_add(factor, term);
        }
    }
    sums.iter().map(|sum| f64::from(sum.to_array()[0])).sum()
}

/// One thread reads memory that no cache holds; an item is a byte.
pub(crate) struct Memory {
    words: Vec<u64>,
    sum: u64,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self { words: (0..N_BYTES as u64 / 8).collect(), sum: 0 }
    }
}

impl Workload for Memory {
    fn n_items(&self) -> usize {
        N_BYTES
    }

    fn run(&mut self) -> Result<()> {
        self.sum = self.words.iter().fold(0, |sum, word| sum ^ word);
        Ok(())
    }

    fn values(&self) -> Vec<f64> {
        vec![self.sum as f64]
    }
}
