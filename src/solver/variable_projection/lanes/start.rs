//! First coordinate of a lane from two sums of its samples.
//!
//! At a node in the middle of the curve of directions u the samples y have the slope
//! t = (u′·y)/(u·y). For samples on the curve t rises with the coordinate; a polynomial through its
//! inverse, made once per basis, is exact to about 10⁻³ without noise. It only decides how many
//! Newton steps follow.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use fearless_simd::{Simd, f32x16, prelude::*};

use super::curve::LaneCurve;
use super::sums::Rows;
use crate::solver::variable_projection::{Basis, dictionary::Dictionary};

/// Coefficients of the polynomial.
const N_COEFFICIENTS: usize = 8;
/// Directions further than this from the node, as a cosine, are left to the polynomial's end.
const COSINE_MIN: f64 = 0.15;

/// How a lane's start follows from its samples.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// Weights of both sums, one pair per place of the tables.
    weights: Vec<[f32; 2]>,
    /// Range of the slope t, and the map to −1 … 1 as centre and factor.
    range: [f32; 2],
    map: [f32; 2],
    /// Highest power first.
    coefficients: [f32; N_COEFFICIENTS],
}

/// Slope t of the curve itself at a rate, seen from a node.
struct Sight<'a, B> {
    basis: &'a B,
    direction: Vec<f64>,
    tangent: Vec<f64>,
}

impl<B: Basis> Sight<'_, B> {
    /// t, or `None` where the curve has turned away.
    fn slope(&self, rate: f64) -> Option<f64> {
        let n = self.basis.n_samples();
        let (mut curve, mut first, mut second) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        self.basis.evaluate(rate, &mut curve, &mut first, &mut second);
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let along = dot(&self.direction, &curve);
        let norm = dot(&curve, &curve).sqrt();
        (along > COSINE_MIN * norm).then(|| dot(&self.tangent, &curve) / along)
    }
}

impl Start {
    pub(super) fn new<B: Basis, C: LaneCurve>(
        basis: &B,
        curve: &C,
        dictionary: &Dictionary,
    ) -> Self {
        let (n, n_nodes) = (basis.n_samples(), dictionary.n_nodes());
        let middle = n_nodes / 2;
        let sight = Sight {
            basis,
            direction: (0..n).map(|k| dictionary.directions[k * n_nodes + middle]).collect(),
            tangent: dictionary.tangents[middle * n..(middle + 1) * n].to_vec(),
        };
        let [first, last] = rising_part(&sight, &dictionary.rates, middle);
        let ends = [first, last].map(|node| dictionary.rates[node]);
        let slopes = ends.map(|rate| sight.slope(rate).unwrap_or(0.0));
        let at = |slope: f64| curve.coordinate(rate_of(&sight, slope, ends));
        let centre = f64::midpoint(slopes[0], slopes[1]);
        let half = 0.5 * (slopes[1] - slopes[0]);
        let coefficients = interpolate(|x| at(centre + half * x));
        let weight = |&k: &usize| [sight.tangent[k] as f32, sight.direction[k] as f32];
        Self {
            weights: curve.order().iter().map(weight).collect(),
            range: slopes.map(|slope| slope as f32),
            map: [centre as f32, (1.0 / half) as f32],
            coefficients: coefficients.map(|c| c as f32),
        }
    }

    /// Coordinates of vectors of lanes, not yet kept in the bounds, and Σ y².
    #[inline(always)]
    pub(super) fn coordinates<S: Simd, const G: usize>(
        &self,
        simd: S,
        rows: &Rows<'_, f32>,
    ) -> [[f32x16<S>; G]; 2] {
        let zero = simd.splat_f32x16(0.0);
        let mut sums = [[zero; 2]; G];
        let mut squares = [zero; G];
        for (k, [tangent, direction]) in self.weights.iter().enumerate() {
            for (g, sums) in sums.iter_mut().enumerate() {
                let y: f32x16<S> = rows.load(simd, k, g);
                sums[0] = y.mul_add(*tangent, sums[0]);
                sums[1] = y.mul_add(*direction, sums[1]);
                squares[g] = y.mul_add(y, squares[g]);
            }
        }
        let mut coordinates = [zero; G];
        for (z, [across, along]) in coordinates.iter_mut().zip(sums) {
            let slope = across / along.max(f32::MIN_POSITIVE);
            let slope = slope.max(self.range[0]).min(self.range[1]);
            let x = (slope - self.map[0]) * self.map[1];
            *z = simd.splat_f32x16(self.coefficients[0]);
            for coefficient in &self.coefficients[1..] {
                *z = z.mul_add(x, *coefficient);
            }
        }
        [coordinates, squares]
    }
}

/// First and last node around `middle` between which the slope rises.
fn rising_part<B: Basis>(sight: &Sight<'_, B>, rates: &[f64], middle: usize) -> [usize; 2] {
    let slopes: Vec<Option<f64>> = rates.iter().map(|&rate| sight.slope(rate)).collect();
    let rises = |a: usize, b: usize| matches!((slopes[a], slopes[b]), (Some(a), Some(b)) if a < b);
    let last = (middle..rates.len() - 1).find(|&i| !rises(i, i + 1)).unwrap_or(rates.len() - 1);
    let first = (1..=middle).rev().find(|&i| !rises(i - 1, i)).unwrap_or(0);
    [first, last]
}

/// The rate between `low` and `high` where the curve has this slope, by bisection.
fn rate_of<B: Basis>(sight: &Sight<'_, B>, slope: f64, [mut low, mut high]: [f64; 2]) -> f64 {
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        match sight.slope(middle) {
            Some(own) if own < slope => low = middle,
            _ => high = middle,
        }
    }
    f64::midpoint(low, high)
}

/// The polynomial through `function` at the Chebyshev points of −1 … 1, highest power first.
fn interpolate(function: impl Fn(f64) -> f64) -> [f64; N_COEFFICIENTS] {
    let n = N_COEFFICIENTS;
    let point = |i: usize| (std::f64::consts::PI * (i as f64 + 0.5) / n as f64).cos();
    let mut differences: Vec<f64> = (0..n).map(|i| function(point(i))).collect();
    for order in 1..n {
        for i in (order..n).rev() {
            differences[i] = (differences[i] - differences[i - 1]) / (point(i) - point(i - order));
        }
    }
    // Newton's form, multiplied out from the innermost factor.
    let mut coefficients = [0.0; N_COEFFICIENTS];
    for i in (0..n).rev() {
        for power in 0..n {
            let lower = coefficients.get(power + 1).copied().unwrap_or(0.0);
            coefficients[power] = lower - point(i) * coefficients[power];
        }
        coefficients[n - 1] += differences[i];
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polynomial_is_interpolated_exactly() {
        let wanted = [0.0, 0.0, 0.0, 0.5, 0.0, -2.0, 3.0, 1.0];
        let value = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
        let got = interpolate(|x| value(&wanted, x));
        for (got, wanted) in got.iter().zip(wanted) {
            assert!((got - wanted).abs() < 1e-12);
        }
    }
}
