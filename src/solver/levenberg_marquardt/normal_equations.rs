//! The normal equations of one iteration, and their inverse.
//!
//! # Reference
//!
//! Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", J Soc Ind Appl
//! Math 1963, doi:10.1137/0111030.

/// `JᵀJ` and Jᵀr.
pub(super) struct NormalEquations {
    /// `[n_parameters, n_parameters]`.
    matrix: Vec<f64>,
    pub(super) gradient: Vec<f64>,
}

impl NormalEquations {
    pub(super) fn new(jacobian: &[f64], residuals: &[f64]) -> Self {
        let p = jacobian.len() / residuals.len().max(1);
        let (mut matrix, mut gradient) = (vec![0.0; p * p], vec![0.0; p]);
        for (row, residual) in jacobian.chunks_exact(p.max(1)).zip(residuals) {
            for i in 0..p {
                gradient[i] += row[i] * residual;
                for j in 0..p {
                    matrix[i * p + j] += row[i] * row[j];
                }
            }
        }
        Self { matrix, gradient }
    }

    pub(super) fn diagonal(&self, i: usize) -> f64 {
        self.matrix[i * self.gradient.len() + i]
    }

    pub(super) fn is_finite(&self) -> bool {
        self.matrix.iter().chain(&self.gradient).all(|value| value.is_finite())
    }

    /// δ of the damped equations over the `free` parameters, each scaled to a unit diagonal, while
    /// the others move by `fixed`.
    pub(super) fn damped_step(&self, free: &[usize], fixed: &[f64], damping: f64) -> Vec<f64> {
        let (m, p) = (free.len(), self.gradient.len());
        let scale: Vec<f64> = free.iter().map(|&i| self.diagonal(i).sqrt()).collect();
        let mut matrix = vec![0.0; m * m];
        let shifted = |i: usize| {
            let row = &self.matrix[i * p..(i + 1) * p];
            self.gradient[i] + row.iter().zip(fixed).map(|(m, step)| m * step).sum::<f64>()
        };
        let mut step: Vec<f64> = free.iter().zip(&scale).map(|(&i, s)| -shifted(i) / s).collect();
        for (a, &i) in free.iter().enumerate() {
            for (b, &j) in free.iter().enumerate() {
                matrix[a * m + b] = self.matrix[i * p + j] / (scale[a] * scale[b]);
            }
            // The floor keeps a singular matrix solvable without being felt elsewhere.
            matrix[a * m + a] = 1.0 + damping.max(1e-15);
        }
        solve_positive_definite(&mut matrix, &mut step);
        step.iter().zip(&scale).map(|(step, scale)| step / scale).collect()
    }

    /// By how much the linearised ½·|r|² falls from `from` to `to`.
    pub(super) fn reduction(&self, from: &[f64], to: &[f64]) -> f64 {
        let p = from.len();
        let step: Vec<f64> = to.iter().zip(from).map(|(to, from)| to - from).collect();
        let linear: f64 = step.iter().zip(&self.gradient).map(|(s, g)| s * g).sum();
        let quadratic: f64 = (0..p * p).map(|k| self.matrix[k] * step[k / p] * step[k % p]).sum();
        -linear - 0.5 * quadratic
    }
}

/// Cholesky solution of `matrix`·x = `x` in place; a pivot that vanishes leaves its unknown 0.
fn solve_positive_definite(matrix: &mut [f64], x: &mut [f64]) {
    let n = x.len();
    for j in 0..n {
        for k in 0..j {
            matrix[j * n + j] -= matrix[j * n + k].powi(2);
        }
        let pivot = matrix[j * n + j].max(0.0).sqrt();
        matrix[j * n + j] = pivot;
        for i in j + 1..n {
            for k in 0..j {
                matrix[i * n + j] -= matrix[i * n + k] * matrix[j * n + k];
            }
            matrix[i * n + j] = if pivot > 0.0 { matrix[i * n + j] / pivot } else { 0.0 };
        }
    }
    for i in 0..n {
        for k in 0..i {
            x[i] -= matrix[i * n + k] * x[k];
        }
        x[i] = if matrix[i * n + i] > 0.0 { x[i] / matrix[i * n + i] } else { 0.0 };
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            x[i] -= matrix[k * n + i] * x[k];
        }
        x[i] = if matrix[i * n + i] > 0.0 { x[i] / matrix[i * n + i] } else { 0.0 };
    }
}

/// (JᵀJ)⁻¹, `[n_parameters, n_parameters]` row-major, of a Jacobian of `n_parameters` columns; `None`
/// where it is singular or not finite. Columns may differ by many orders of magnitude.
pub fn inverse_normal_matrix(jacobian: &[f64], n_parameters: usize) -> Option<Vec<f64>> {
    let p = n_parameters;
    let normal = NormalEquations::new(jacobian, &vec![0.0; jacobian.len() / p.max(1)]);
    let scale: Vec<f64> = (0..p).map(|i| normal.diagonal(i).sqrt()).collect();
    if !(normal.is_finite() && scale.iter().all(|&s| s > 0.0)) {
        return None;
    }
    let mut inverse = vec![0.0; p * p];
    for column in 0..p {
        let mut matrix: Vec<f64> =
            (0..p * p).map(|k| normal.matrix[k] / (scale[k / p] * scale[k % p])).collect();
        let mut unit = vec![0.0; p];
        unit[column] = 1.0;
        solve_positive_definite(&mut matrix, &mut unit);
        if (0..p).any(|i| matrix[i * p + i] < 1e-7) {
            return None;
        }
        for (row, value) in unit.iter().enumerate() {
            inverse[row * p + column] = value / (scale[row] * scale[column]);
        }
    }
    inverse.iter().all(|value| value.is_finite()).then_some(inverse)
}
