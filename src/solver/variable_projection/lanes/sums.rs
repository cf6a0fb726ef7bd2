//! Sums over the samples at one coordinate per lane, in either precision.

use fearless_simd::Simd;

use super::curve::Table;
use crate::solver::elementary::Elementary;

/// Where the lanes of a sample stand: `values[row·stride + first + lane]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub(super) values: &'a [T],
    pub(super) stride: usize,
    pub(super) first: usize,
}

impl<T> Rows<'_, T> {
    /// Vector `g` of the lanes of `row`.
    #[inline(always)]
    pub(super) fn load<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        simd: S,
        row: usize,
        g: usize,
    ) -> V {
        let from = row * self.stride + self.first + g * V::LEN;
        V::from_slice(simd, &self.values[from..from + V::LEN])
    }
}

/// p = Σ y·f, q = Σ f² and what their derivatives by `δ` are made of.
#[derive(Clone, Copy)]
pub(super) struct Sums<V> {
    /// Σ y·f, Σ y·f′, Σ y·f″.
    pub(super) p: [V; 3],
    /// Σ f².
    pub(super) q: V,
    /// Σ f·f′.
    pub(super) q1: V,
    /// Σ f′².
    pub(super) q11: V,
    /// Σ f·f″.
    pub(super) q02: V,
}

impl<V: Copy> Sums<V> {
    #[inline(always)]
    pub(super) fn zero<S: Simd>(simd: S) -> Self
    where
        V: Elementary<S>,
    {
        let zero = V::of(simd, 0.0);
        Self { p: [zero; 3], q: zero, q1: zero, q11: zero, q02: zero }
    }

    /// Before the second sample, where the first of the curve is 1.
    #[inline(always)]
    pub(super) fn after_one<S: Simd>(simd: S, y: V) -> Self
    where
        V: Elementary<S>,
    {
        let mut sums = Self::zero(simd);
        sums.p[0] = y;
        sums.q = V::of(simd, 1.0);
        sums
    }

    #[inline(always)]
    pub(super) fn add<S: Simd, T, C: Table<T>>(&mut self, _: &C, y: V, [f, f1, f2]: [V; 3])
    where
        V: Elementary<S, Element = T>,
    {
        self.p[0] = y.mul_add(f, self.p[0]);
        self.p[1] = y.mul_add(f1, self.p[1]);
        self.p[2] = y.mul_add(f2, self.p[2]);
        self.q = f.mul_add(f, self.q);
        self.q1 = f.mul_add(f1, self.q1);
        self.q11 = f1.mul_add(f1, self.q11);
        if C::EXPONENTIAL {
            self.q02 = self.q11;
        } else {
            self.q02 = f.mul_add(f2, self.q02);
        }
    }
}
