//! Exponentials at any abscissae: one exponential function per sample. The coordinate is the rate.

use fearless_simd::{Simd, f64x8};

use super::curve::{LaneCurve, Table};
use crate::solver::elementary::Elementary;

/// Distances from the smallest abscissa, in one precision.
#[derive(Debug, Clone)]
pub(super) struct Distances<T>(Vec<T>);

/// f = e^(−rate·distance).
#[derive(Debug, Clone)]
pub(super) struct Exponentials {
    single: Distances<f32>,
    double: Distances<f64>,
    order: Vec<usize>,
    origin: f64,
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
    const EXPONENTIAL: bool = true;
    const FIRST_IS_ONE: bool = false;
    const THIRD: f64 = 1.0;

    #[inline(always)]
    fn begin<S: Simd, V: Elementary<S, Element = T>>(&self, _: S, z: V) -> V {
        -z
    }

    #[inline(always)]
    fn value<S: Simd, V: Elementary<S, Element = T>>(&self, k: usize, state: &mut V) -> V {
        Elementary::exp(*state * self.0[k])
    }

    #[inline(always)]
    fn sample<S: Simd, V: Elementary<S, Element = T>>(&self, k: usize, state: &mut V) -> [V; 3] {
        let f = self.value(k, state);
        let first = -(f * self.0[k]);
        [f, first, -(first * self.0[k])]
    }

    #[inline(always)]
    fn sample_with_third<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        k: usize,
        state: &mut V,
    ) -> [V; 4] {
        let [f, first, second] = self.sample(k, state);
        [f, first, second, -(second * self.0[k])]
    }

    #[inline(always)]
    fn advance<S: Simd, V: Elementary<S, Element = T>>(z: V, delta: V) -> V {
        z + delta
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
    fn rate<S: Simd>(&self, z: f64x8<S>) -> [f64x8<S>; 2] {
        [z, z.simd.splat_f64x8(1.0)]
    }

    #[inline(always)]
    fn origin(&self) -> f64 {
        self.origin
    }
}
