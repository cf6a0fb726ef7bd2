//! What the lanes need to know of a curve: its samples, one after another, at a coordinate of its
//! own that makes them cheap.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use fearless_simd::{Simd, f64x8};

use super::sums::{Rows, Sums};
use crate::solver::elementary::Elementary;

/// A curve f(coordinate) with constants of one precision `T`.
///
/// Derivatives are by `δ`, the unit in which [`Table::advance`] moves: the coordinate itself, or its
/// logarithm.
pub(super) trait Table<T> {
    /// The coordinate `delta` further on, to third order in `delta`.
    fn advance<S: Simd, V: Elementary<S, Element = T>>(z: V, delta: V) -> V;

    /// The sums of each vector at `z`.
    fn sums<S: Simd, V: Elementary<S, Element = T>, const G: usize>(
        &self,
        simd: S,
        rows: &Rows<'_, T>,
        z: &[V; G],
    ) -> [Sums<V>; G];

    /// Σ (y − amplitude·f)² of the first vector at `z`.
    fn residual<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        rows: &Rows<'_, T>,
        z: V,
        amplitude: V,
    ) -> V;
}

/// What sums are made of that take sample after sample.
pub(super) trait Sampled<T> {
    /// What is carried from sample to sample.
    type State<V: Copy>: Copy;
    /// Whether the first sample is 1 at every coordinate, so that its derivatives are 0.
    const FIRST_IS_ONE: bool;

    /// State before the first sample.
    fn begin<S: Simd, V: Elementary<S, Element = T>>(&self, z: V) -> Self::State<V>;

    /// f of sample `k`; called for all samples in order, but not for a first that is 1.
    fn value<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        k: usize,
        state: &mut Self::State<V>,
    ) -> V;

    /// Adds a sample, its place and value; called as [`Sampled::value`].
    fn add<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        sample: (usize, V),
        state: &mut Self::State<V>,
        sums: &mut Sums<V>,
    );

    /// After the last sample.
    fn end<S: Simd, V: Elementary<S, Element = T>>(sums: Sums<V>) -> Sums<V>;

    /// As [`Table::advance`].
    #[inline(always)]
    fn advance<S: Simd, V: Elementary<S, Element = T>>(z: V, delta: V) -> V {
        z + delta
    }
}

/// A table whose sums are made sample after sample.
#[derive(Debug, Clone)]
pub(super) struct InTurn<C>(pub(super) C);

impl<T: Copy, C: Sampled<T>> Table<T> for InTurn<C> {
    #[inline(always)]
    fn advance<S: Simd, V: Elementary<S, Element = T>>(z: V, delta: V) -> V {
        <C as Sampled<T>>::advance(z, delta)
    }

    #[inline(always)]
    fn sums<S: Simd, V: Elementary<S, Element = T>, const G: usize>(
        &self,
        simd: S,
        rows: &Rows<'_, T>,
        z: &[V; G],
    ) -> [Sums<V>; G] {
        let mut sums = [Sums::begin(simd, None); G];
        let mut states = [self.0.begin(z[0]); G];
        for g in 0..G {
            if g > 0 {
                states[g] = self.0.begin(z[g]);
            }
            if C::FIRST_IS_ONE {
                sums[g] = Sums::begin(simd, Some(rows.load(simd, 0, g)));
            }
        }
        for k in usize::from(C::FIRST_IS_ONE)..rows.len() {
            for g in 0..G {
                self.0.add((k, rows.load(simd, k, g)), &mut states[g], &mut sums[g]);
            }
        }
        for sums in &mut sums {
            *sums = C::end(*sums);
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
        let mut state = self.0.begin(z);
        let mut residual = V::of(simd, 0.0);
        for k in 0..rows.len() {
            let y: V = rows.load(simd, k, 0);
            let is_one = C::FIRST_IS_ONE && k == 0;
            let model = if is_one { amplitude } else { amplitude * self.0.value(k, &mut state) };
            let rest = y - model;
            residual = rest.mul_add(rest, residual);
        }
        residual
    }
}

/// A curve in both precisions, and how its coordinate belongs to the rate.
pub(super) trait LaneCurve {
    type Single: Table<f32>;
    type Double: Table<f64>;

    fn single(&self) -> &Self::Single;
    fn double(&self) -> &Self::Double;

    /// Which sample of the series stands at each place of the tables.
    fn order(&self) -> &[usize];

    /// The coordinate of a rate, and whether it falls with the rate.
    fn coordinate(&self, rate: f64) -> f64;
    fn falls(&self) -> bool;

    /// Longest `δ` that [`Table::advance`] takes.
    fn step_max(&self) -> f64;

    /// What [`LaneCurve::rate`] divides by; not 0 inside the bounds.
    fn divisor<S: Simd>(&self, z: f64x8<S>) -> f64x8<S>;

    /// The rate at a coordinate, and its derivative by `δ`; `inverse` is 1 / [`LaneCurve::divisor`].
    fn rate<S: Simd>(&self, z: f64x8<S>, inverse: f64x8<S>) -> [f64x8<S>; 2];

    /// The model's own curve is e^(−rate·origin) times the curve of the tables.
    fn origin(&self) -> f64;

    /// e^(rate·origin).
    fn factor<S: Simd>(&self, rate: f64x8<S>, inverse: f64x8<S>) -> f64x8<S>;
}
