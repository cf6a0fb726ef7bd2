//! Dense linear least squares through LAPACK: design matrices and their covariance.
//!
//! Meant for one problem at a time; a call allocates and costs microseconds, so voxel loops use
//! closed forms instead. LAPACK does not notice NaN, so every entry is checked before.
//!
//! # Reference
//!
//! Golub and Reinsch, "Singular value decomposition and least squares solutions", Numer Math 1970,
//! doi:10.1007/BF02163027.

use ndarray::{Array1, Array2};
use ndarray_linalg::{LeastSquaresSvd, SVD};

use crate::error::{Error, Result};

/// Singular values below this fraction of the largest count as 0.
const RANK_TOLERANCE: f64 = 1e-12;

/// Coefficients of a linear model and how well they are determined.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearFit {
    /// Shape `[n_parameters]`.
    pub coefficients: Vec<f64>,
    /// (XᵀX)⁻¹, `[n_parameters, n_parameters]` row-major: times the variance of one value, the
    /// covariance.
    pub unscaled_covariance: Vec<f64>,
    /// Σ (value − X·coefficients)².
    pub residual_sum_of_squares: f64,
    /// Values minus parameters.
    pub degrees_of_freedom: usize,
}

/// Solves min |values − X·coefficients|² for `design` X, shape `[n_values, n_parameters]` row-major.
///
/// # Errors
///
/// `Mismatch` when the shapes disagree, `Value` when an entry is not finite or the columns are
/// linearly dependent.
pub fn least_squares(design: &[f64], values: &[f64]) -> Result<LinearFit> {
    let n = values.len();
    if n == 0 || design.is_empty() || !design.len().is_multiple_of(n) || design.len() < n {
        return Err(Error::mismatch(format!("{} design entries for {n} values", design.len())));
    }
    let n_parameters = design.len() / n;
    require_finite("design", design)?;
    require_finite("values", values)?;
    if n < n_parameters {
        return Err(Error::value(format!("{n} values for {n_parameters} parameters")));
    }
    let x = Array2::from_shape_vec((n, n_parameters), design.to_vec())
        .map_err(|error| Error::internal(error.to_string()))?;
    let y = Array1::from_vec(values.to_vec());
    let unscaled_covariance = inverse_normal_matrix(&x)?;
    let solution =
        x.least_squares(&y).map_err(|error| Error::internal(format!("least squares: {error}")))?;
    let residuals = &y - &x.dot(&solution.solution);
    Ok(LinearFit {
        coefficients: solution.solution.to_vec(),
        unscaled_covariance,
        residual_sum_of_squares: residuals.iter().map(|r| r * r).sum(),
        degrees_of_freedom: n - n_parameters,
    })
}

/// (XᵀX)⁻¹ = V·diag(1/s²)·Vᵀ, which does not square the condition number of X on the way.
fn inverse_normal_matrix(x: &Array2<f64>) -> Result<Vec<f64>> {
    let (_, singular_values, v_transposed) =
        x.svd(false, true).map_err(|error| Error::internal(format!("SVD: {error}")))?;
    let v_transposed = v_transposed.ok_or_else(|| Error::internal("SVD without vectors"))?;
    let largest = singular_values.iter().copied().fold(0.0, f64::max);
    if singular_values.iter().any(|&s| s <= RANK_TOLERANCE * largest) {
        return Err(Error::value("columns of the design are linearly dependent"));
    }
    let p = x.ncols();
    let mut inverse = vec![0.0; p * p];
    for (k, s) in singular_values.iter().enumerate() {
        for i in 0..p {
            for j in 0..p {
                inverse[i * p + j] += v_transposed[[k, i]] * v_transposed[[k, j]] / (s * s);
            }
        }
    }
    Ok(inverse)
}

fn require_finite(field: &str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::value(format!("{} is not finite", values[index]))
            .at_field(format!("{field}[{index}]"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Norris, NIST `StRD` linear regression: certified values.
    #[test]
    fn norris_of_nist_gives_the_certified_line_and_errors() {
        let x = [
            0.2, 337.4, 118.2, 884.6, 10.1, 226.5, 666.3, 996.3, 448.6, 777.0, 558.2, 0.4, 0.6,
            775.5, 666.9, 338.0, 447.5, 11.6, 556.0, 228.1, 995.8, 887.6, 120.2, 0.3, 0.3, 556.8,
            339.1, 887.2, 999.0, 779.0, 11.1, 118.3, 229.2, 669.1, 448.9, 0.5,
        ];
        let y = [
            0.1, 338.8, 118.1, 888.0, 9.2, 228.1, 668.5, 998.5, 449.1, 778.9, 559.2, 0.3, 0.1,
            778.1, 668.8, 339.3, 448.9, 10.8, 557.7, 228.3, 998.0, 888.8, 119.6, 0.3, 0.6, 557.6,
            339.3, 888.0, 998.5, 778.9, 10.2, 117.6, 228.9, 668.4, 449.2, 0.2,
        ];
        let design: Vec<f64> = x.iter().flat_map(|&x| [1.0, x]).collect();
        let fit = least_squares(&design, &y).unwrap();
        assert!((fit.coefficients[0] - -0.262_323_073_774_029).abs() < 1e-11);
        assert!((fit.coefficients[1] - 1.002_116_818_020_45).abs() < 1e-13);
        let variance = fit.residual_sum_of_squares / fit.degrees_of_freedom as f64;
        assert!((variance.sqrt() - 0.884_796_396_144_373).abs() < 1e-11);
        let error = |i: usize| (variance * fit.unscaled_covariance[3 * i]).sqrt();
        assert!((error(0) - 0.232_818_234_301_152).abs() < 1e-11);
        assert!((error(1) - 0.429_796_848_199_937e-3).abs() < 1e-14);
    }

    #[test]
    fn non_finite_and_dependent_designs_are_refused() {
        assert_eq!(
            least_squares(&[1.0, f64::NAN], &[1.0, 2.0]).unwrap_err().field(),
            Some("design[1]")
        );
        assert!(least_squares(&[1.0, 1.0], &[1.0, f64::INFINITY]).is_err());
        assert!(least_squares(&[1.0, 2.0, 2.0, 4.0, 3.0, 6.0], &[1.0, 2.0, 3.0]).is_err());
        assert!(least_squares(&[], &[]).is_err());
        assert!(least_squares(&[1.0, 2.0, 3.0], &[1.0, 2.0]).is_err());
        assert!(least_squares(&[1.0, 2.0], &[1.0]).is_err());
    }
}
