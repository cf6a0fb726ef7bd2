//! Sums in lanes whose order is fixed, whatever the instruction set.
//!
//! # Reference
//!
//! Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54
//! (1974), doi:10.1002/zamm.19740540106.

#![allow(clippy::inline_always, reason = "kernels are compiled into the dispatching function")]

use fearless_simd::prelude::*;
use fearless_simd::{Simd, f64x8};

/// Values added up lane by lane before their sum is carried on with compensation.
pub(super) const BLOCK: usize = 512;

/// A sum that keeps what plain addition loses.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Compensated {
    total: f64,
    lost: f64,
}

impl Compensated {
    #[inline(always)]
    pub(super) fn add(&mut self, value: f64) {
        let next = self.total + value;
        self.lost += if self.total.abs() >= value.abs() {
            (self.total - next) + value
        } else {
            (value - next) + self.total
        };
        self.total = next;
    }

    /// The sum; infinities and NaN spread.
    #[inline(always)]
    pub(super) fn value(self) -> f64 {
        if self.lost.is_finite() { self.total + self.lost } else { self.total }
    }
}

/// Sum of the eight lanes, always in the same order.
#[inline(always)]
pub(super) fn fold<S: Simd>(lanes: f64x8<S>) -> f64 {
    let a = lanes.to_array();
    ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
}
