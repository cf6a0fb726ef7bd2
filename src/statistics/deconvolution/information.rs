//! Gradient and observed information of the likelihood, and what they are good for.
//!
//! The parameters are the logarithms of the weights against the heaviest, the means and the intrinsic
//! variances, 3k of them; those that would fall
//! below a floor and the heaviest weight are held.

use rayon::prelude::*;

use super::{BLOCK, Component, Datum, WEIGHT_FLOOR, responsibilities_into};

/// First and negative second derivatives of the log-likelihood.
pub(super) struct Information<'c> {
    components: &'c [Component],
    pub(super) gradient: Vec<f64>,
    /// `[3k, 3k]`.
    pub(super) matrix: Vec<f64>,
    /// Parameters that may move.
    free: Vec<usize>,
}

/// Where Newton's method goes next.
pub(super) struct NewtonStep {
    pub(super) components: Vec<Component>,
    /// Gradient times step.
    pub(super) decrement: f64,
}

impl<'c> Information<'c> {
    pub(super) fn of(data: &[Datum], components: &'c [Component], variance_floor: f64) -> Self {
        let k = components.len();
        let zero = || (vec![0.0; 3 * k], vec![0.0; 9 * k * k]);
        let blocks: Vec<(Vec<f64>, Vec<f64>)> = data
            .par_chunks(BLOCK)
            .map(|block| {
                let mut sums = zero();
                let mut room = Room::new(k);
                for &datum in block {
                    room.add(components, datum, &mut sums);
                }
                sums
            })
            .collect();
        let (mut gradient, mut matrix) = zero();
        for (part_of_gradient, part_of_matrix) in &blocks {
            gradient.iter_mut().zip(part_of_gradient).for_each(|(sum, part)| *sum += part);
            matrix.iter_mut().zip(part_of_matrix).for_each(|(sum, part)| *sum += part);
        }
        let free = free_parameters(components, &gradient, variance_floor);
        Self { components, gradient, matrix, free }
    }

    /// Factor of the free part with `damping` times the size of its diagonal added there; `None` where
    /// the likelihood does not curve down everywhere.
    fn factor(&self, damping: f64) -> Option<Cholesky> {
        let (n_parameters, n) = (self.gradient.len(), self.free.len());
        let pick = |&row: &usize| {
            self.free.iter().map(move |column| self.matrix[row * n_parameters + column])
        };
        let mut matrix: Vec<f64> = self.free.iter().flat_map(pick).collect();
        for diagonal in matrix.iter_mut().step_by(n + 1) {
            *diagonal += damping * diagonal.abs();
        }
        Cholesky::of(matrix, n)
    }

    /// `None` where the damped likelihood does not curve down everywhere.
    pub(super) fn newton_step(&self, damping: f64) -> Option<NewtonStep> {
        let gradient: Vec<f64> = self.free.iter().map(|&index| self.gradient[index]).collect();
        let step = self.factor(damping)?.solve(&gradient);
        let decrement = step.iter().zip(&gradient).map(|(step, slope)| step * slope).sum::<f64>();
        let k = self.components.len();
        let mut components = self.components.to_vec();
        for (&index, step) in self.free.iter().zip(step) {
            let component = &mut components[index % k];
            match index / k {
                0 => component.weight *= step.exp(),
                1 => component.mean += step,
                _ => component.variance += step,
            }
        }
        let total = components.iter().map(|component| component.weight).sum::<f64>();
        for component in &mut components {
            component.weight /= total;
        }
        let finite = components
            .iter()
            .all(|component| component.mean.is_finite() && component.weight.is_finite());
        finite.then_some(NewtonStep { components, decrement })
    }

    /// Standard error of each mean.
    pub(super) fn mean_errors(&self) -> Option<Vec<f64>> {
        let k = self.components.len();
        let factor = self.factor(0.0)?;
        let error = |component: usize| {
            let place = self.free.iter().position(|&index| index == k + component)?;
            let mut unit = vec![0.0; self.free.len()];
            unit[place] = 1.0;
            let error = factor.solve(&unit)[place].sqrt();
            error.is_finite().then_some(error)
        };
        (0..k).map(error).collect()
    }
}

fn free_parameters(components: &[Component], gradient: &[f64], variance_floor: f64) -> Vec<usize> {
    let k = components.len();
    let weights: Vec<f64> = components.iter().map(|component| component.weight).collect();
    let heaviest = super::first_greatest(&weights);
    let leaves = |index: usize, value: f64, floor: f64| {
        value > floor * (1.0 + 1e-9) || gradient[index] > 0.0
    };
    let free_weights = (0..k).filter(|&j| j != heaviest && leaves(j, weights[j], WEIGHT_FLOOR));
    let free_variances =
        (2 * k..3 * k).filter(|&j| leaves(j, components[j - 2 * k].variance, variance_floor));
    free_weights.chain(k..2 * k).chain(free_variances).collect()
}

/// Buffers for the derivatives of one value.
struct Room {
    shares: Vec<f64>,
    /// ∂ ln f / ∂ parameter.
    slope: Vec<f64>,
    /// ∂² f / f, `[3k, 3k]`.
    curvature: Vec<f64>,
}

impl Room {
    fn new(k: usize) -> Self {
        Self { shares: vec![0.0; k], slope: vec![0.0; 3 * k], curvature: vec![0.0; 9 * k * k] }
    }

    fn add(&mut self, components: &[Component], datum: Datum, sums: &mut (Vec<f64>, Vec<f64>)) {
        self.fill(components, datum);
        let (gradient, matrix) = sums;
        for (sum, slope) in gradient.iter_mut().zip(&self.slope) {
            *sum += slope;
        }
        let rows = matrix.chunks_exact_mut(self.slope.len());
        let curvatures = self.curvature.chunks_exact(self.slope.len());
        for ((row, curvatures), slope) in rows.zip(curvatures).zip(&self.slope) {
            for ((sum, curvature), other) in row.iter_mut().zip(curvatures).zip(&self.slope) {
                *sum += slope * other - curvature;
            }
        }
    }

    fn fill(&mut self, components: &[Component], datum: Datum) {
        let k = components.len();
        responsibilities_into(components, datum, &mut self.shares);
        self.curvature.fill(0.0);
        for (j, component) in components.iter().enumerate() {
            let r = self.shares[j];
            let precision = (component.variance + datum.error_variance).recip();
            let away = (datum.value - component.mean) * precision;
            let by_mean = away;
            let by_variance = 0.5 * (away * away - precision);
            self.slope[j] = r - component.weight;
            self.slope[k + j] = r * by_mean;
            self.slope[2 * k + j] = r * by_variance;
            let mixed = by_mean * by_variance - away * precision;
            let twice = by_variance * by_variance + (0.5 * precision - away * away) * precision;
            self.set(k + j, k + j, r * (by_mean * by_mean - precision));
            self.set(k + j, 2 * k + j, r * mixed);
            self.set(2 * k + j, 2 * k + j, r * twice);
        }
        self.fill_weights(components);
    }

    /// Second derivatives by the logarithm of a weight.
    fn fill_weights(&mut self, components: &[Component]) {
        let k = components.len();
        for (i, first) in components.iter().enumerate() {
            for (j, second) in components.iter().enumerate() {
                let same = f64::from(u8::from(i == j));
                let both = 2.0 * first.weight * second.weight
                    - second.weight * self.shares[i]
                    - first.weight * self.shares[j];
                self.set(i, j, same * (self.shares[i] - first.weight) + both);
                self.set(i, k + j, (same - first.weight) * self.slope[k + j]);
                self.set(i, 2 * k + j, (same - first.weight) * self.slope[2 * k + j]);
            }
        }
    }

    fn set(&mut self, row: usize, column: usize, value: f64) {
        let n_parameters = self.slope.len();
        self.curvature[row * n_parameters + column] = value;
        self.curvature[column * n_parameters + row] = value;
    }
}

/// Lower triangular factor of a positive definite matrix, scaled to a unit diagonal.
struct Cholesky {
    n: usize,
    lower: Vec<f64>,
    scales: Vec<f64>,
}

impl Cholesky {
    /// `None` where the matrix is not positive definite beyond rounding.
    fn of(matrix: Vec<f64>, n: usize) -> Option<Self> {
        let scales: Vec<f64> = (0..n).map(|i| matrix[i * n + i].sqrt().recip()).collect();
        let mut lower = matrix;
        for row in 0..n {
            for column in 0..=row {
                let mut rest = lower[row * n + column] * scales[row] * scales[column];
                for inner in 0..column {
                    rest -= lower[row * n + inner] * lower[column * n + inner];
                }
                lower[row * n + column] = if row > column {
                    rest / lower[column * n + column]
                } else if rest > 1e-12 {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(Self { n, lower, scales })
    }

    fn solve(&self, right: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut x: Vec<f64> = right.iter().zip(&self.scales).map(|(b, scale)| b * scale).collect();
        for row in 0..n {
            for inner in 0..row {
                x[row] -= self.lower[row * n + inner] * x[inner];
            }
            x[row] /= self.lower[row * n + row];
        }
        for row in (0..n).rev() {
            for inner in row + 1..n {
                x[row] -= self.lower[inner * n + row] * x[inner];
            }
            x[row] /= self.lower[row * n + row];
        }
        x.iter().zip(&self.scales).map(|(x, scale)| x * scale).collect()
    }
}
