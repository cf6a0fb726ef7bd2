//! Exponentials one step apart: with x = e^(−rate·step) the sums are polynomials, p = Σ `y[k]`·x^k
//! and q = Q(x²) with Q(w) = Σ w^k, which Horner's scheme evaluates with all their derivatives.
//! δ is the change of x.
//!
//! # Reference
//!
//! Higham, "Accuracy and stability of numerical algorithms", 2nd ed., SIAM 2002, chapter 5,
//! doi:10.1137/1.9780898718027.

use fearless_simd::{Simd, f64x8};

use super::curve::{LaneCurve, Table};
use super::ladder::Scale;
use super::sums::{Rows, Sums};
use crate::solver::elementary::Elementary;

/// The samples 1, x, x², …
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) n_samples: usize,
}

/// Samples one step apart.
#[derive(Debug, Clone)]
pub(super) struct Uniform {
    pub(super) terms: Terms,
    pub(super) scale: Scale,
}

/// p, p′, p″/2, p‴/6 by x and Q, Q′, Q″/2, Q‴/6, Q⁗/24 by w.
#[derive(Clone, Copy)]
struct Horner<V> {
    x: V,
    w: V,
    p: [V; 4],
    q: [V; 5],
}

impl<V: Copy> Horner<V> {
    #[inline(always)]
    fn new<S: Simd>(simd: S, x: V, last: V) -> Self
    where
        V: Elementary<S>,
    {
        let (zero, one) = (V::of(simd, 0.0), V::of(simd, 1.0));
        Self { x, w: x * x, p: [last, zero, zero, zero], q: [one, zero, zero, zero, zero] }
    }

    #[inline(always)]
    fn add<S: Simd>(&mut self, one: V, y: V)
    where
        V: Elementary<S>,
    {
        let Self { x, w, p, q } = *self;
        self.p = [
            p[0].mul_add(x, y),
            p[1].mul_add(x, p[0]),
            p[2].mul_add(x, p[1]),
            p[3].mul_add(x, p[2]),
        ];
        self.q = [
            q[0].mul_add(w, one),
            q[1].mul_add(w, q[0]),
            q[2].mul_add(w, q[1]),
            q[3].mul_add(w, q[2]),
            q[4].mul_add(w, q[3]),
        ];
    }

    /// q₁ = x·Q′, q₂ = Q′ + 2w·Q″, q₃ = 6x·Q″ + 4xw·Q‴, Σ f′² = Q′ + w·Q″ and half its derivatives
    /// 2x·Q″ + xw·Q‴ and 2Q″ + 7w·Q‴ + 2w²·Q⁗.
    #[inline(always)]
    fn sums<S: Simd>(&self, simd: S) -> Sums<V>
    where
        V: Elementary<S>,
    {
        let [q, q1, half_q2, sixth_q3, part_q4] = self.q;
        let (second, third) = (half_q2 + half_q2, sixth_q3 * V::of(simd, 6.0));
        let bent = self.w * second;
        let (bend, change) = (self.x * (second + second), self.x * self.w * third);
        let four = V::of(simd, 4.0);
        let (by_q3, by_q4) = (self.w * V::of(simd, 7.0), self.w * self.w * V::of(simd, 48.0));
        let q22 = by_q4.mul_add(part_q4, by_q3.mul_add(third, second + second));
        Sums {
            p: [self.p[0], self.p[1], self.p[2] + self.p[2], self.p[3] * V::of(simd, 6.0)],
            q: [q, self.x * q1, q1 + bent + bent, change.mul_add(four, bend + bend + bend)],
            q11: q1 + bent,
            q12: bend + change,
            q22,
        }
    }
}

impl<T: Copy> Table<T> for Terms {
    #[inline(always)]
    fn advance<S: Simd, V: Elementary<S, Element = T>>(z: V, delta: V) -> V {
        z + delta
    }

    #[inline(always)]
    fn sums<S: Simd, V: Elementary<S, Element = T>, const G: usize>(
        &self,
        simd: S,
        rows: &Rows<'_, T>,
        z: &[V; G],
    ) -> [Sums<V>; G] {
        let one = V::of(simd, 1.0);
        let last = self.n_samples - 1;
        let mut horner = [Horner::new(simd, z[0], z[0]); G];
        for g in 0..G {
            horner[g] = Horner::new(simd, z[g], rows.load(simd, last, g));
        }
        for k in (0..last).rev() {
            for (g, horner) in horner.iter_mut().enumerate() {
                horner.add(one, rows.load(simd, k, g));
            }
        }
        let mut sums = [Sums::begin(simd, None); G];
        for g in 0..G {
            sums[g] = horner[g].sums(simd);
        }
        sums
    }

    #[inline(always)]
    fn residual<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        rows: &Rows<'_, T>,
        z: V,
        amplitude: V,
    ) -> V {
        let simd = z.token();
        let mut model = amplitude;
        let mut residual = V::of(simd, 0.0);
        for k in 0..rows.len() {
            let y: V = rows.load(simd, k, 0);
            let rest = y - model;
            residual = rest.mul_add(rest, residual);
            model *= z;
        }
        residual
    }
}

impl LaneCurve for Uniform {
    type Single = Terms;
    type Double = Terms;

    #[inline(always)]
    fn single(&self) -> &Terms {
        &self.terms
    }

    #[inline(always)]
    fn double(&self) -> &Terms {
        &self.terms
    }

    #[inline(always)]
    fn order(&self) -> &[usize] {
        &self.scale.order
    }

    fn coordinate(&self, rate: f64) -> f64 {
        (-rate * self.scale.step).exp()
    }

    fn falls(&self) -> bool {
        true
    }

    fn step_max(&self) -> f64 {
        f64::INFINITY
    }

    #[inline(always)]
    fn divisor<S: Simd>(&self, z: f64x8<S>) -> f64x8<S> {
        z
    }

    #[inline(always)]
    fn rate<S: Simd>(&self, z: f64x8<S>, inverse: f64x8<S>) -> [f64x8<S>; 2] {
        let per_step = -1.0 / self.scale.step;
        [Elementary::ln(z) * per_step, inverse * per_step]
    }

    #[inline(always)]
    fn origin(&self) -> f64 {
        self.scale.origin
    }

    #[inline(always)]
    fn factor<S: Simd>(&self, rate: f64x8<S>, inverse: f64x8<S>) -> f64x8<S> {
        self.scale.factor(rate, inverse)
    }
}
