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
use super::sums::{MoreSums, Rows, Sums};
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

/// x and its latest power.
#[derive(Clone, Copy)]
pub(super) struct Power<V> {
    x: V,
    value: V,
}

/// p, p′, p″/2 by x and Q, Q′, Q″/2 by w.
#[derive(Clone, Copy)]
struct Horner<V> {
    x: V,
    w: V,
    p: [V; 3],
    q: [V; 3],
}

impl<V: Copy> Horner<V> {
    #[inline(always)]
    fn new<S: Simd>(simd: S, x: V, last: V) -> Self
    where
        V: Elementary<S>,
    {
        let (zero, one) = (V::of(simd, 0.0), V::of(simd, 1.0));
        Self { x, w: x * x, p: [last, zero, zero], q: [one, zero, zero] }
    }

    #[inline(always)]
    fn add<S: Simd>(&mut self, one: V, y: V)
    where
        V: Elementary<S>,
    {
        let Self { x, w, p, q } = *self;
        self.p = [p[0].mul_add(x, y), p[1].mul_add(x, p[0]), p[2].mul_add(x, p[1])];
        self.q = [q[0].mul_add(w, one), q[1].mul_add(w, q[0]), q[2].mul_add(w, q[1])];
    }

    /// Σ f·f′ = x·Q′, Σ f·f″ = w·Q″ and Σ f′² = Q′ + w·Q″.
    #[inline(always)]
    fn sums<S: Simd>(&self) -> Sums<V>
    where
        V: Elementary<S>,
    {
        let q02 = self.w * (self.q[2] + self.q[2]);
        Sums {
            p: [self.p[0], self.p[1], self.p[2] + self.p[2]],
            q: self.q[0],
            q1: self.x * self.q[1],
            q11: self.q[1] + q02,
            q02,
        }
    }
}

impl<T: Copy> Table<T> for Terms {
    type State<V: Copy> = Power<V>;
    const FIRST_IS_ONE: bool = true;

    #[inline(always)]
    fn begin<S: Simd, V: Elementary<S, Element = T>>(&self, simd: S, z: V) -> Power<V> {
        Power { x: z, value: V::of(simd, 1.0) }
    }

    #[inline(always)]
    fn value<S: Simd, V: Elementary<S, Element = T>>(&self, _: usize, state: &mut Power<V>) -> V {
        state.value *= state.x;
        state.value
    }

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
        let mut sums = [Sums::all(one); G];
        for g in 0..G {
            sums[g] = horner[g].sums();
        }
        sums
    }

    #[inline(always)]
    fn more_sums<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        simd: S,
        rows: &Rows<'_, T>,
        z: V,
    ) -> MoreSums<V> {
        let (zero, one, six) = (V::of(simd, 0.0), V::of(simd, 1.0), V::of(simd, 6.0));
        let last = self.n_samples - 1;
        let mut horner = Horner::new(simd, z, rows.load(simd, last, 0));
        // p‴/6 by x, and Q‴/6 and Q⁗/24 by w.
        let (mut p3, mut q3, mut q4) = (zero, zero, zero);
        for k in (0..last).rev() {
            p3 = p3.mul_add(z, horner.p[2]);
            q4 = q4.mul_add(horner.w, q3);
            q3 = q3.mul_add(horner.w, horner.q[2]);
            horner.add(one, rows.load(simd, k, 0));
        }
        let sums = horner.sums();
        let q03 = z * horner.w * q3 * six;
        let twice = horner.q[2] + horner.q[2];
        let four = twice + twice;
        let [by_q3, by_q4] = [horner.w * V::of(simd, 42.0), horner.w * V::of(simd, 48.0)];
        let q11_bend = (by_q4 * horner.w).mul_add(q4, by_q3.mul_add(q3, four));
        MoreSums { sums, p3: p3 * six, q12: z.mul_add(four, q03), q03, q11_bend }
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
