use super::*;
use argmin::core::CostFunction;
use argmin::solver::neldermead::NelderMead;

/// Rosenbrock as two residuals; minimum 0 at (1, 1).
struct Rosenbrock;

impl LeastSquares for Rosenbrock {
    fn n_residuals(&self) -> usize {
        2
    }

    fn residuals(&self, x: &[f64], residuals: &mut [f64]) {
        residuals[0] = 10.0 * (x[1] - x[0] * x[0]);
        residuals[1] = 1.0 - x[0];
    }

    fn jacobian(&self, x: &[f64], jacobian: &mut [f64]) {
        jacobian.copy_from_slice(&[-20.0 * x[0], 10.0, -1.0, 0.0]);
    }
}

impl CostFunction for Rosenbrock {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, ArgminError> {
        let mut residuals = [0.0; 2];
        self.residuals(x, &mut residuals);
        Ok(residuals.iter().map(|r| r * r).sum())
    }
}

const FREE: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

/// `BoxBOD` of NIST `StRD` (nonlinear, higher difficulty): y = b1·(1 − e^(−b2·x)).
struct BoxBod;

impl LeastSquares for BoxBod {
    fn n_residuals(&self) -> usize {
        6
    }

    fn residuals(&self, b: &[f64], residuals: &mut [f64]) {
        let data =
            [(1.0, 109.0), (2.0, 149.0), (3.0, 149.0), (5.0, 191.0), (7.0, 213.0), (10.0, 224.0)];
        for (residual, (x, y)) in residuals.iter_mut().zip(data) {
            let x: f64 = x;
            *residual = b[0] * (1.0 - (-b[1] * x).exp()) - y;
        }
    }

    fn jacobian(&self, b: &[f64], jacobian: &mut [f64]) {
        for (row, x) in jacobian.chunks_exact_mut(2).zip([1.0, 2.0, 3.0, 5.0, 7.0, 10.0_f64]) {
            row[0] = 1.0 - (-b[1] * x).exp();
            row[1] = b[0] * x * (-b[1] * x).exp();
        }
    }
}

#[test]
fn box_bod_of_nist_reaches_the_certified_values_from_both_starts() {
    for start in [[1.0, 1.0], [100.0, 0.75]] {
        let minimum =
            minimise(&BoxBod, &start, &[[0.0, 1e4], [0.0, 5.0]], Limits::default()).unwrap();
        assert!(minimum.converged, "{minimum:?}");
        assert!((minimum.parameters[0] / 2.138_094_088_9e2 - 1.0).abs() < 1e-8);
        assert!((minimum.parameters[1] / 5.472_374_854_2e-1 - 1.0).abs() < 1e-8);
        assert!((minimum.residual_sum_of_squares / 1.168_008_876_6e3 - 1.0).abs() < 1e-10);
        let mut jacobian = [0.0; 12];
        BoxBod.jacobian(&minimum.parameters, &mut jacobian);
        let inverse = inverse_normal_matrix(&jacobian, 2).unwrap();
        let variance = minimum.residual_sum_of_squares / 4.0;
        assert!(((variance * inverse[0]).sqrt() / 1.235_451_512_4e1 - 1.0).abs() < 1e-7);
        assert!(((variance * inverse[3]).sqrt() / 1.045_599_389_9e-1 - 1.0).abs() < 1e-7);
    }
}

#[test]
fn the_valley_of_rosenbrock_is_followed_to_its_end() {
    let minimum = minimise(&Rosenbrock, &[-1.2, 1.0], &[FREE; 2], Limits::default()).unwrap();
    assert!(minimum.converged);
    assert!(minimum.parameters.iter().all(|x| (x - 1.0).abs() < 1e-10), "{minimum:?}");
}

#[test]
fn nelder_mead_of_argmin_agrees() {
    let simplex = vec![vec![-1.2, 1.0], vec![-1.0, 1.0], vec![-1.2, 1.3]];
    let solver = NelderMead::new(simplex).with_sd_tolerance(1e-16).unwrap();
    let result = Executor::new(Rosenbrock, solver).configure(|s| s.max_iters(2000)).run().unwrap();
    let best = result.state.best_param.unwrap();
    let minimum = minimise(&Rosenbrock, &[-1.2, 1.0], &[FREE; 2], Limits::default()).unwrap();
    for (a, b) in best.iter().zip(&minimum.parameters) {
        // The simplex sees the square of the distance: half the digits.
        assert!((a - b).abs() < 1e-6);
    }
}

#[test]
fn an_active_bound_is_kept_and_the_rest_is_optimal_there() {
    // With x ≤ 0.5 the minimum is at x = 0.5, y = 0.25.
    let bounds = [[-2.0, 0.5], FREE];
    let minimum = minimise(&Rosenbrock, &[-1.2, 1.0], &bounds, Limits::default()).unwrap();
    assert!((minimum.parameters[0] - 0.5).abs() < 1e-15);
    assert!((minimum.parameters[1] - 0.25).abs() < 1e-10, "{minimum:?}");
    assert!((minimum.residual_sum_of_squares - 0.25).abs() < 1e-12);
}

#[test]
fn inputs_that_disagree_are_refused() {
    let minimise = |start: &[f64], bounds: &[[f64; 2]]| {
        minimise(&Rosenbrock, start, bounds, Limits::default())
    };
    assert!(minimise(&[0.0], &[FREE; 2]).is_err());
    assert!(minimise(&[0.0, 0.0], &[FREE, [1.0, 0.0]]).is_err());
    let error = minimise(&[f64::INFINITY, 0.0], &[FREE; 2]).unwrap_err();
    assert!(error.to_string().contains("not finite"), "{error}");
}

#[test]
fn singular_normal_matrices_have_no_inverse() {
    assert_eq!(inverse_normal_matrix(&[1.0, 2.0, 2.0, 4.0], 2), None);
    assert_eq!(inverse_normal_matrix(&[1.0, 0.0, 2.0, 0.0], 2), None);
    assert_eq!(inverse_normal_matrix(&[f64::NAN, 0.0, 2.0, 1.0], 2), None);
    let inverse = inverse_normal_matrix(&[2.0, 0.0, 0.0, 1e9], 2).unwrap();
    assert!((inverse[0] - 0.25).abs() < 1e-15 && (inverse[3] * 1e18 - 1.0).abs() < 1e-12);
}
