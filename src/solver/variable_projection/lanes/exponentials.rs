//! Exponentials at any abscissae: one exponential function per sample. The coordinate is the rate.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use fearless_simd::{Simd, f64x8};

use super::curve::{InTurn, LaneCurve, Sampled};
use super::sums::{Sums, powers};
use crate::solver::elementary::Elementary;

/// First to fourth power of the negative distance from the smallest abscissa, in one precision.
#[derive(Debug, Clone)]
pub(super) struct Distances<T>(pub(super) Vec<[T; 4]>);

/// f = e^(−rate·distance).
#[derive(Debug, Clone)]
pub(super) struct Exponentials {
    single: InTurn<Distances<f32>>,
    pub(super) double: InTurn<Distances<f64>>,
    order: Vec<usize>,
    pub(super) origin: f64,
}

impl Exponentials {
    pub(super) fn new(abscissae: &[f64]) -> Self {
        let origin = abscissae.iter().copied().fold(f64::INFINITY, f64::min);
        let powers: Vec<[f64; 4]> = abscissae.iter().map(|x| powers(origin - x)).collect();
        Self {
            single: InTurn(Distances(
                powers.iter().map(|powers| powers.map(|x| x as f32)).collect(),
            )),
            double: InTurn(Distances(powers)),
            order: (0..abscissae.len()).collect(),
            origin,
        }
    }
}

impl<T: Copy> Sampled<T> for Distances<T> {
    type State<V: Copy> = V;
    const FIRST_IS_ONE: bool = false;

    #[inline(always)]
    fn begin<S: Simd, V: Elementary<S, Element = T>>(&self, z: V) -> V {
        z
    }

    #[inline(always)]
    fn value<S: Simd, V: Elementary<S, Element = T>>(&self, k: usize, z: &mut V) -> V {
        Elementary::exp(*z * self.0[k][0])
    }

    #[inline(always)]
    fn add<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        (k, y): (usize, V),
        z: &mut V,
        sums: &mut Sums<V>,
    ) {
        sums.add_exponential(y, self.value(k, z), &self.0[k]);
    }

    #[inline(always)]
    fn end<S: Simd, V: Elementary<S, Element = T>>(sums: Sums<V>) -> Sums<V> {
        sums.of_exponentials()
    }
}

impl LaneCurve for Exponentials {
    type Single = InTurn<Distances<f32>>;
    type Double = InTurn<Distances<f64>>;

    #[inline(always)]
    fn single(&self) -> &InTurn<Distances<f32>> {
        &self.single
    }

    #[inline(always)]
    fn double(&self) -> &InTurn<Distances<f64>> {
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
