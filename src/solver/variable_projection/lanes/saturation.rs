//! Saturation recovered between pulses: f = s·v/(w + c·v) with v = 1 − e^(−rate·time), rational in
//! the coordinate v. δ is the change of v.

use fearless_simd::{Simd, f64x8};

use super::curve::{LaneCurve, Table};
use crate::solver::elementary::Elementary;

/// (s, c, w) of every sample, in one precision.
#[derive(Debug, Clone)]
pub(super) struct Pulses<T>(Vec<[T; 3]>);

/// f = s·v/(w + c·v).
#[derive(Debug, Clone)]
pub(super) struct Saturation {
    single: Pulses<f32>,
    double: Pulses<f64>,
    order: Vec<usize>,
    time: f64,
}

impl Saturation {
    /// (s, c, w) of every sample and the time between pulses, in the inverse unit of the rate.
    pub(super) fn new(pulses: &[[f64; 3]], time: f64) -> Self {
        Self {
            single: Pulses(pulses.iter().map(|pulse| pulse.map(|value| value as f32)).collect()),
            double: Pulses(pulses.to_vec()),
            order: (0..pulses.len()).collect(),
            time,
        }
    }
}

impl<T: Copy> Table<T> for Pulses<T> {
    type State<V: Copy> = V;
    const EXPONENTIAL: bool = false;
    const FIRST_IS_ONE: bool = false;
    const THIRD: f64 = 1.5;

    #[inline(always)]
    fn begin<S: Simd, V: Elementary<S, Element = T>>(&self, _: S, z: V) -> V {
        z
    }

    #[inline(always)]
    fn value<S: Simd, V: Elementary<S, Element = T>>(&self, k: usize, v: &mut V) -> V {
        let [s, c, w] = self.0[k];
        *v * s / (*v * c + w)
    }

    #[inline(always)]
    fn sample<S: Simd, V: Elementary<S, Element = T>>(&self, k: usize, v: &mut V) -> [V; 3] {
        let [f, first, second, _] = self.sample_with_third(k, v);
        [f, first, second]
    }

    /// With i = 1/(w + c·v): f′ = s·w·i², f″ = −2·c·i·f′ and f‴ = −3·c·i·f″.
    #[inline(always)]
    fn sample_with_third<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        k: usize,
        v: &mut V,
    ) -> [V; 4] {
        let [s, c, w] = self.0[k];
        let [one, two, three] = [1.0, -2.0, -3.0].map(|value| V::of(v.token(), value));
        let inverse = one / (*v * c + w);
        let (scaled, bent) = (inverse * s, inverse * c);
        let first = scaled * inverse * w;
        let second = first * bent * two;
        [*v * scaled, first, second, second * bent * three]
    }

    #[inline(always)]
    fn advance<S: Simd, V: Elementary<S, Element = T>>(z: V, delta: V) -> V {
        z + delta
    }
}

impl LaneCurve for Saturation {
    type Single = Pulses<f32>;
    type Double = Pulses<f64>;

    #[inline(always)]
    fn single(&self) -> &Pulses<f32> {
        &self.single
    }

    #[inline(always)]
    fn double(&self) -> &Pulses<f64> {
        &self.double
    }

    #[inline(always)]
    fn order(&self) -> &[usize] {
        &self.order
    }

    fn coordinate(&self, rate: f64) -> f64 {
        -(-rate * self.time).exp_m1()
    }

    fn falls(&self) -> bool {
        false
    }

    fn step_max(&self) -> f64 {
        f64::INFINITY
    }

    #[inline(always)]
    fn rate<S: Simd>(&self, z: f64x8<S>) -> [f64x8<S>; 2] {
        let left = z.simd.splat_f64x8(1.0) - z;
        let per_time = 1.0 / self.time;
        [Elementary::ln(left) * -per_time, z.simd.splat_f64x8(per_time) / left]
    }

    #[inline(always)]
    fn origin(&self) -> f64 {
        0.0
    }
}
