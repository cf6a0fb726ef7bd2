//! Sums over the samples at one coordinate per lane, in either precision.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use fearless_simd::Simd;

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

    /// The sample of one lane at place `k`.
    #[inline(always)]
    pub(super) fn at(&self, k: usize, lane: usize) -> T
    where
        T: Copy,
    {
        self.values[self.order[k] * self.stride + self.first + lane]
    }

    /// Number of places.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

/// p = Σ y·f, q = Σ f² and their derivatives by `δ`.
#[derive(Clone, Copy)]
pub(super) struct Sums<V> {
    /// p, p′, p″, p‴.
    pub(super) p: [V; 4],
    /// q, q′/2, q″/2, q‴/2.
    pub(super) q: [V; 4],
    /// Σ f′², and half its first and second derivative.
    pub(super) q11: V,
    pub(super) q12: V,
    pub(super) q22: V,
}

impl<V: Copy> Sums<V> {
    /// Before the first sample; where that is 1 everywhere, before the second.
    #[inline(always)]
    pub(super) fn begin<S: Simd>(simd: S, first: Option<V>) -> Self
    where
        V: Elementary<S>,
    {
        let zero = V::of(simd, 0.0);
        let mut sums = Self { p: [zero; 4], q: [zero; 4], q11: zero, q12: zero, q22: zero };
        if let Some(y) = first {
            (sums.p[0], sums.q[0]) = (y, V::of(simd, 1.0));
        }
        sums
    }

    /// Adds a sample of f with f′ = c·f; `powers` are c to c⁴. The sums q₁₁ and q₁₂ follow from
    /// q″ and q‴: [`Self::of_exponentials`].
    #[inline(always)]
    pub(super) fn add_exponential<S: Simd>(&mut self, y: V, f: V, powers: &[V::Element; 4])
    where
        V: Elementary<S>,
        V::Element: Copy,
    {
        let (projected, square) = (y * f, f * f);
        self.p[0] += projected;
        self.q[0] += square;
        for (i, &power) in powers[..3].iter().enumerate() {
            self.p[i + 1] = projected.mul_add(power, self.p[i + 1]);
            self.q[i + 1] = square.mul_add(power, self.q[i + 1]);
        }
        self.q22 = square.mul_add(powers[3], self.q22);
    }

    /// From Σ f², Σ c·f², Σ c²·f², Σ c³·f²: for exponentials q″/2 is twice the third, q‴/2 four times
    /// the fourth.
    #[inline(always)]
    pub(super) fn of_exponentials<S: Simd>(self) -> Self
    where
        V: Elementary<S>,
    {
        let [q, q1, q11, q12] = self.q;
        let twice = q12 + q12;
        let q22 = self.q22 + self.q22;
        Self { p: self.p, q: [q, q1, q11 + q11, twice + twice], q11, q12, q22 }
    }

    /// Adds a sample of any f, with its three derivatives.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, y: V, [f, f1, f2, f3]: [V; 4])
    where
        V: Elementary<S>,
    {
        for (p, f) in self.p.iter_mut().zip([f, f1, f2, f3]) {
            *p = y.mul_add(f, *p);
        }
        let (bent, three) = (f1 * f1, f1 + f1 + f1);
        self.q[0] = f.mul_add(f, self.q[0]);
        self.q[1] = f.mul_add(f1, self.q[1]);
        self.q[2] = f.mul_add(f2, self.q[2] + bent);
        self.q[3] = f.mul_add(f3, three.mul_add(f2, self.q[3]));
        self.q11 += bent;
        self.q12 = f1.mul_add(f2, self.q12);
        self.q22 = f1.mul_add(f3, f2.mul_add(f2, self.q22));
    }
}

/// First to fourth power.
pub(super) fn powers(x: f64) -> [f64; 4] {
    [x, x * x, x * x * x, x * x * x * x]
}
