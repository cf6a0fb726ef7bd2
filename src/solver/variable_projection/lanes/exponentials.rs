//! Exponentials at any abscissae: one exponential function per sample. The coordinate is the rate.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use fearless_simd::{Simd, f64x8};

use super::curve::{LaneCurve, Sampled, Table};
use super::sums::{MoreSums, Rows, Sums, more_sums, sums};
use crate::solver::elementary::Elementary;

/// Distances from the smallest abscissa, in one precision.
#[derive(Debug, Clone)]
pub(super) struct Distances<T>(pub(super) Vec<T>);

/// f = e^(−rate·distance).
#[derive(Debug, Clone)]
pub(super) struct Exponentials {
    single: Distances<f32>,
    pub(super) double: Distances<f64>,
    order: Vec<usize>,
    pub(super) origin: f64,
}

impl Exponentials {
    pub(super) fn new(abscissae: &[f64]) -> Self {
        let origin = abscissae.iter().copied().fold(f64::INFINITY, f64::min);
        Self {
            single: Distances(abscissae.iter().map(|x| (x - origin) as f32).collect()),
            double: Distances(abscissae.iter().map(|x| x - origin).collect()),
            order: (0..abscissae.len()).collect(),
            origin,
        }
    }
}

impl<T: Copy> Table<T> for Distances<T> {
    type State<V: Copy> = V;
    const FIRST_IS_ONE: bool = false;

    #[inline(always)]
    fn begin<S: Simd, V: Elementary<S, Element = T>>(&self, _: S, z: V) -> V {
        -z
    }

    #[inline(always)]
    fn value<S: Simd, V: Elementary<S, Element = T>>(&self, k: usize, state: &mut V) -> V {
        Elementary::exp(*state * self.0[k])
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
        sums(simd, self, rows, z)
    }

    #[inline(always)]
    fn more_sums<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        simd: S,
        rows: &Rows<'_, T>,
        z: V,
    ) -> MoreSums<V> {
        more_sums(simd, self, rows, z)
    }
}

impl<T: Copy> Sampled<T> for Distances<T> {
    const EXPONENTIAL: bool = true;

    #[inline(always)]
    fn sample<S: Simd, V: Elementary<S, Element = T>>(&self, k: usize, state: &mut V) -> [V; 4] {
        let f = self.value(k, state);
        let first = -(f * self.0[k]);
        let second = -(first * self.0[k]);
        [f, first, second, -(second * self.0[k])]
    }
}

impl LaneCurve for Exponentials {
    type Single = Distances<f32>;
    type Double = Distances<f64>;

    #[inline(always)]
    fn single(&self) -> &Distances<f32> {
        &self.single
    }

    #[inline(always)]
    fn double(&self) -> &Distances<f64> {
        &self.double
    }

    #[inline(always)]
    fn order(&self) -> &[usize] {
        &self.order
    }

    fn coordinate(&self, rate: f64) -> f64 {
        rate
    }

    fn falls(&self) -> bool {
        false
    }

    fn step_max(&self) -> f64 {
        f64::INFINITY
    }

    #[inline(always)]
    fn divisor<S: Simd>(&self, z: f64x8<S>) -> f64x8<S> {
        z.simd.splat_f64x8(1.0)
    }

    #[inline(always)]
    fn rate<S: Simd>(&self, z: f64x8<S>, inverse: f64x8<S>) -> [f64x8<S>; 2] {
        [z, inverse]
    }

    #[inline(always)]
    fn origin(&self) -> f64 {
        self.origin
    }

    #[inline(always)]
    fn factor<S: Simd>(&self, rate: f64x8<S>, _: f64x8<S>) -> f64x8<S> {
        if self.origin.abs() > 0.0 {
            Elementary::exp(rate * self.origin)
        } else {
            rate.simd.splat_f64x8(1.0)
        }
    }
}
