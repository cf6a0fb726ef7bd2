//! What estimates near bounds are worth: their status and their covariance.

use super::total_sum_of_squares;
use crate::model::{Fit, FitStatus, Model, Parameter};
use crate::solver::levenberg_marquardt::inverse_normal_matrix;

/// The bounds of `parameters`, in their order.
pub(super) fn bounds_of(parameters: &[Parameter]) -> Vec<[f64; 2]> {
    parameters.iter().map(|parameter| parameter.bounds).collect()
}

fn is_inside(estimate: f64, [low, high]: [f64; 2]) -> bool {
    low < estimate && estimate < high
}

/// Status of an optimum: bounds first, then whether the model is valid there.
pub(super) fn status_at(model: &dyn Model, estimates: &[f64], bounds: &[[f64; 2]]) -> FitStatus {
    let [low, high] = bounds[0];
    if estimates[0] <= low {
        FitStatus::AtLowerBound
    } else if estimates[0] >= high {
        FitStatus::AtUpperBound
    } else if !model.holds_at(estimates) {
        FitStatus::BeyondModel
    } else if estimates.iter().zip(bounds).all(|(&x, &pair)| is_inside(x, pair)) {
        FitStatus::Converged
    } else {
        FitStatus::AnotherAtBound
    }
}

/// Writes (JᵀJ)⁻¹ of `jacobian`, `[n_samples, n_parameters]`, into `fit`, whose estimates are set.
///
/// A parameter that moves no sample has no variance. Where the rest is singular, neither has one
/// that lies at a bound, and the others are what they are with it held there. Where the headline
/// parameter moves nothing, or what is inside the bounds cannot be told apart, the fit is
/// `Degenerate`; one whose headline lies at a bound keeps its estimates.
pub(super) fn set_covariance(jacobian: &[f64], bounds: &[[f64; 2]], fit: &mut Fit) {
    let p = bounds.len();
    fit.unscaled_covariance.fill(f64::NAN);
    let moves = |column: usize| jacobian.chunks_exact(p).any(|row| row[column].abs() > 0.0);
    let moving: Vec<usize> = (0..p).filter(|&column| moves(column)).collect();
    let inside = |&column: &usize| is_inside(fit.estimates[column], bounds[column]);
    let mut known = inverse_over(jacobian, p, &moving).map(|inverse| (moving.clone(), inverse));
    if known.is_none() {
        let held: Vec<usize> = moving.iter().copied().filter(inside).collect();
        known = inverse_over(jacobian, p, &held).map(|inverse| (held, inverse));
    }
    let is_at_bound = matches!(fit.status, FitStatus::AtLowerBound | FitStatus::AtUpperBound);
    match known {
        Some((columns, inverse)) if moves(0) => {
            for (a, &i) in columns.iter().enumerate() {
                for (b, &j) in columns.iter().enumerate() {
                    fit.unscaled_covariance[i * p + j] = inverse[a * columns.len() + b];
                }
            }
        }
        _ if is_at_bound => {}
        _ => fit.fail(FitStatus::Degenerate),
    }
}

fn inverse_over(jacobian: &[f64], p: usize, columns: &[usize]) -> Option<Vec<f64>> {
    if columns.is_empty() {
        return None;
    }
    if columns.len() == p {
        return inverse_normal_matrix(jacobian, p);
    }
    let part: Vec<f64> =
        jacobian.chunks_exact(p).flat_map(|row| columns.iter().map(|&k| row[k])).collect();
    inverse_normal_matrix(&part, columns.len())
}

/// Writes the sums of squares and the degrees of freedom of `samples` around `signal`.
pub(super) fn set_sums(samples: &[f64], signal: &[f64], fit: &mut Fit) {
    let square = |(sample, model): (&f64, &f64)| (sample - model).powi(2);
    fit.residual_sum_of_squares = samples.iter().zip(signal).map(square).sum();
    fit.total_sum_of_squares = total_sum_of_squares(samples);
    fit.degrees_of_freedom = samples.len().saturating_sub(fit.estimates.len());
}
