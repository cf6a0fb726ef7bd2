//! Saturation recovered between pulses: f = s·v/(w + c·v) with v = 1 − e^(−rate·time), rational in
//! the coordinate v. δ is the change of v.
//!
//! # Reference
//!
//! Ernst and Anderson, "Application of Fourier transform spectroscopy to magnetic resonance", Rev Sci
//! Instrum 1966, doi:10.1063/1.1719961.

use fearless_simd::{Simd, f64x8};

use super::curve::{InTurn, LaneCurve, Sampled};
use super::sums::Sums;
use crate::solver::elementary::Elementary;

/// (s, c, w) of every sample, in one precision.
#[derive(Debug, Clone)]
pub(super) struct Pulses<T>(Vec<[T; 3]>);

/// f = s·v/(w + c·v).
#[derive(Debug, Clone)]
pub(super) struct Saturation {
    single: InTurn<Pulses<f32>>,
    double: InTurn<Pulses<f64>>,
    order: Vec<usize>,
    time: f64,
}

impl Saturation {
    /// (s, c, w) of every sample and the time between pulses, in the inverse unit of the rate.
    pub(super) fn new(pulses: &[[f64; 3]], time: f64) -> Self {
        Self {
            single: InTurn(Pulses(
                pulses.iter().map(|pulse| pulse.map(|value| value as f32)).collect(),
            )),
            double: InTurn(Pulses(pulses.to_vec())),
            order: (0..pulses.len()).collect(),
            time,
        }
    }
}

impl<T: Copy> Sampled<T> for Pulses<T> {
    type State<V: Copy> = V;
    const FIRST_IS_ONE: bool = false;

    #[inline(always)]
    fn begin<S: Simd, V: Elementary<S, Element = T>>(&self, z: V) -> V {
        z
    }

    #[inline(always)]
    fn value<S: Simd, V: Elementary<S, Element = T>>(&self, k: usize, v: &mut V) -> V {
        let [s, c, w] = self.0[k];
        *v * s / (*v * c + w)
    }

    /// With i = 1/(w + c·v): f′ = s·w·i², f″ = −2·c·i·f′ and f‴ = −3·c·i·f″.
    #[inline(always)]
    fn add<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        (k, y): (usize, V),
        v: &mut V,
        sums: &mut Sums<V>,
    ) {
        let [s, c, w] = self.0[k];
        let of = v.token();
        let (two, three) = (V::of(of, -2.0), V::of(of, -3.0));
        let inverse = V::of(of, 1.0) / (*v * c + w);
        let (scaled, bent) = (inverse * s, inverse * c);
        let first = scaled * inverse * w;
        let second = first * bent * two;
        sums.add(y, [*v * scaled, first, second, second * bent * three]);
    }

    #[inline(always)]
    fn end<S: Simd, V: Elementary<S, Element = T>>(sums: Sums<V>) -> Sums<V> {
        sums
    }
}

impl LaneCurve for Saturation {
    type Single = InTurn<Pulses<f32>>;
    type Double = InTurn<Pulses<f64>>;

    #[inline(always)]
    fn single(&self) -> &InTurn<Pulses<f32>> {
        &self.single
    }

    #[inline(always)]
    fn double(&self) -> &InTurn<Pulses<f64>> {
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
    fn divisor<S: Simd>(&self, z: f64x8<S>) -> f64x8<S> {
        z.simd.splat_f64x8(1.0) - z
    }

    #[inline(always)]
    fn rate<S: Simd>(&self, z: f64x8<S>, inverse: f64x8<S>) -> [f64x8<S>; 2] {
        let per_time = 1.0 / self.time;
        let left = z.simd.splat_f64x8(1.0) - z;
        [Elementary::ln(left) * -per_time, inverse * per_time]
    }

    #[inline(always)]
    fn origin(&self) -> f64 {
        0.0
    }

    #[inline(always)]
    fn factor<S: Simd>(&self, rate: f64x8<S>, _: f64x8<S>) -> f64x8<S> {
        rate.simd.splat_f64x8(1.0)
    }
}
