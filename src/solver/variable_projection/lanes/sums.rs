//! Sums over the samples at one coordinate per lane, in either precision.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use fearless_simd::Simd;

use super::curve::Sampled;
use crate::solver::elementary::Elementary;

/// Where the lanes of a sample stand: `values[order[k]·stride + first + lane]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub(super) values: &'a [T],
    pub(super) stride: usize,
    pub(super) first: usize,
    /// Row of each place of the curve's tables.
    pub(super) order: &'a [usize],
}

impl<T> Rows<'_, T> {
    /// The rows from vector `g` of `LEN` lanes on.
    #[inline(always)]
    pub(super) fn vector<const LEN: usize>(&self, g: usize) -> Self {
        Self { first: self.first + g * LEN, ..*self }
    }

    /// Vector `g` of the lanes of place `k`.
    #[inline(always)]
    pub(super) fn load<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        simd: S,
        k: usize,
        g: usize,
    ) -> V {
        let from = self.order[k] * self.stride + self.first + g * V::LEN;
        V::from_slice(simd, &self.values[from..from + V::LEN])
    }

    /// Number of places.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.order.len()
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

/// [`Sums`] and what one more derivative needs.
#[derive(Clone, Copy)]
pub(super) struct MoreSums<V> {
    pub(super) sums: Sums<V>,
    /// Σ y·f‴.
    pub(super) p3: V,
    /// Σ f′·f″.
    pub(super) q12: V,
    /// Σ f·f‴.
    pub(super) q03: V,
    /// Σ f″² + f′·f‴, half the second derivative of Σ f′².
    pub(super) q11_bend: V,
}

impl<V: Copy> MoreSums<V> {
    /// All sums `value`.
    #[inline(always)]
    pub(super) fn all(value: V) -> Self {
        Self { sums: Sums::all(value), p3: value, q12: value, q03: value, q11_bend: value }
    }
}

impl<V: Copy> Sums<V> {
    /// All sums `value`.
    #[inline(always)]
    pub(super) fn all(value: V) -> Self {
        Self { p: [value; 3], q: value, q1: value, q11: value, q02: value }
    }

    /// Before the second sample, where the first of the curve is 1.
    #[inline(always)]
    pub(super) fn after_one(zero: V, one: V, y: V) -> Self {
        Self { p: [y, zero, zero], q: one, ..Self::all(zero) }
    }

    #[inline(always)]
    pub(super) fn add<S: Simd, T, C: Sampled<T>>(&mut self, _: &C, y: V, [f, f1, f2]: [V; 3])
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

/// Sums of vectors of lanes, sample after sample.
#[inline(always)]
pub(super) fn sums<S, T, V, C, const G: usize>(
    simd: S,
    table: &C,
    rows: &Rows<'_, T>,
    z: &[V; G],
) -> [Sums<V>; G]
where
    S: Simd,
    V: Elementary<S, Element = T>,
    C: Sampled<T>,
{
    let (zero, one) = (V::of(simd, 0.0), V::of(simd, 1.0));
    let mut sums = [Sums::all(zero); G];
    let mut states = [table.begin(simd, z[0]); G];
    for g in 0..G {
        if g > 0 {
            states[g] = table.begin(simd, z[g]);
        }
        if C::FIRST_IS_ONE {
            sums[g] = Sums::after_one(zero, one, rows.load(simd, 0, g));
        }
    }
    for k in usize::from(C::FIRST_IS_ONE)..rows.len() {
        for g in 0..G {
            let [f, f1, f2, _] = table.sample(k, &mut states[g]);
            sums[g].add(table, rows.load(simd, k, g), [f, f1, f2]);
        }
    }
    sums
}

/// The same for one vector with one more derivative.
#[inline(always)]
pub(super) fn more_sums<S, T, V, C>(simd: S, table: &C, rows: &Rows<'_, T>, z: V) -> MoreSums<V>
where
    S: Simd,
    V: Elementary<S, Element = T>,
    C: Sampled<T>,
{
    let (zero, one) = (V::of(simd, 0.0), V::of(simd, 1.0));
    let mut state = table.begin(simd, z);
    let mut more = MoreSums::all(zero);
    if C::FIRST_IS_ONE {
        more.sums = Sums::after_one(zero, one, rows.load(simd, 0, 0));
    }
    for k in usize::from(C::FIRST_IS_ONE)..rows.len() {
        let y: V = rows.load(simd, k, 0);
        let [f, f1, f2, f3] = table.sample(k, &mut state);
        more.sums.add(table, y, [f, f1, f2]);
        more.p3 = y.mul_add(f3, more.p3);
        more.q12 = f1.mul_add(f2, more.q12);
        more.q11_bend = f1.mul_add(f3, f2.mul_add(f2, more.q11_bend));
        if C::EXPONENTIAL {
            more.q03 = more.q12;
        } else {
            more.q03 = f.mul_add(f3, more.q03);
        }
    }
    more
}
