//! Exponentials at multiples of one step: with x = e^(−rate·step) every sample is a power of x, and
//! no sample needs an exponential function. δ is the change of ln x.
//!
//! # Reference
//!
//! Knuth, "The art of computer programming", vol. 2, 3rd ed., Addison-Wesley 1997, section 4.6.3
//! (chains of multiplications to powers).

use fearless_simd::{Simd, f64x8};

use super::curve::{InTurn, LaneCurve, Sampled};
use super::ladder::Scale;
use super::sums::Sums;
use crate::solver::elementary::Elementary;

/// Squares of squares of x that are kept at hand: x, x², x⁴, …
pub(super) const SQUARES: usize = 5;

/// From power to power of x, in one precision.
#[derive(Debug, Clone)]
pub(super) struct Chain<T> {
    /// Power of each sample, rising, with its powers to the fourth.
    pub(super) powers: Vec<[T; 4]>,
    /// Steps from the sample before to this one, below 2^[`SQUARES`].
    pub(super) gaps: Vec<u32>,
}

/// Samples at powers of x that few products reach.
#[derive(Debug, Clone)]
pub(super) struct Mixed {
    pub(super) single: InTurn<Chain<f32>>,
    pub(super) double: InTurn<Chain<f64>>,
    pub(super) scale: Scale,
}

/// Squares of squares of x, and the power of the sample before.
#[derive(Clone, Copy)]
pub(super) struct Running<V: Copy> {
    squares: [V; SQUARES],
    value: V,
}

impl<T: Copy> Sampled<T> for Chain<T> {
    type State<V: Copy> = Running<V>;
    const FIRST_IS_ONE: bool = true;

    #[inline(always)]
    fn begin<S: Simd, V: Elementary<S, Element = T>>(&self, z: V) -> Running<V> {
        let mut squares = [z; SQUARES];
        for i in 1..SQUARES {
            squares[i] = squares[i - 1] * squares[i - 1];
        }
        Running { squares, value: V::of(z.token(), 1.0) }
    }

    #[inline(always)]
    fn value<S: Simd, V: Elementary<S, Element = T>>(&self, k: usize, state: &mut Running<V>) -> V {
        let gap = self.gaps[k];
        for (i, &square) in state.squares.iter().enumerate() {
            if gap & (1 << i) != 0 {
                state.value *= square;
            }
        }
        state.value
    }

    #[inline(always)]
    fn add<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        (k, y): (usize, V),
        state: &mut Running<V>,
        sums: &mut Sums<V>,
    ) {
        sums.add_exponential(y, self.value(k, state), &self.powers[k]);
    }

    #[inline(always)]
    fn end<S: Simd, V: Elementary<S, Element = T>>(sums: Sums<V>) -> Sums<V> {
        sums.of_exponentials()
    }

    #[inline(always)]
    fn advance<S: Simd, V: Elementary<S, Element = T>>(z: V, delta: V) -> V {
        let (sixth, half) = (V::of(z.token(), 1.0 / 6.0), V::of(z.token(), 0.5));
        let square = delta * delta;
        z.mul_add(square.mul_add(delta.mul_add(sixth, half), delta), z)
    }
}

impl LaneCurve for Mixed {
    type Single = InTurn<Chain<f32>>;
    type Double = InTurn<Chain<f64>>;

    #[inline(always)]
    fn single(&self) -> &InTurn<Chain<f32>> {
        &self.single
    }

    #[inline(always)]
    fn double(&self) -> &InTurn<Chain<f64>> {
        &self.double
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
        0.8
    }

    #[inline(always)]
    fn divisor<S: Simd>(&self, z: f64x8<S>) -> f64x8<S> {
        z
    }

    #[inline(always)]
    fn rate<S: Simd>(&self, z: f64x8<S>, _: f64x8<S>) -> [f64x8<S>; 2] {
        let per_step = -1.0 / self.scale.step;
        [Elementary::ln(z) * per_step, z.simd.splat_f64x8(per_step)]
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
