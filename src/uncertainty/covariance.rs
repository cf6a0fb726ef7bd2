//! The least uncertainty that any unbiased estimator can reach, from the protocol alone.
//!
//! Cramér–Rao bound under normal noise: covariance = σ² (JᵀJ)⁻¹. For S₀·e^(−w·R), w the b-value or
//! echo time and R the diffusion coefficient or R2, the rate has
//! u = σ/S₀ / (R·√(Σ e²(w − w̄)²)), e = e^(−w·R), w̄ = Σwe²/Σe²; for w in {0, w} that is
//! √(1 + e^(2x)) / (x·SNR₀), x = wR, least at x = 1.109 where it is 2.878/SNR₀. A time constant
//! 1/R has the same relative uncertainty as R.
//!
//! # Reference
//!
//! Brihuega-Moreno et al., "Optimization of diffusion measurements using Cramér-Rao lower bound
//! theory", Magnetic Resonance in Medicine 2003, doi:10.1002/mrm.10628.

use crate::model::Model;

/// Squared pivot of the column-scaled normal matrix below which a parameter is not determined.
const SMALLEST_PIVOT: f64 = 1e-13;

/// Smallest standard errors of `parameters`, shape `[n_parameters]`, under normal noise of `sigma`
/// per sample.
///
/// `fixed` are the model's per-voxel constants. All infinite where the samples do not determine the
/// parameters, or where a number is not finite.
pub fn cramer_rao_standard_errors(
    model: &dyn Model,
    parameters: &[f64],
    fixed: &[f64],
    sigma: f64,
) -> Vec<f64> {
    let (n_samples, n) = (model.n_samples(), parameters.len());
    debug_assert_eq!(n, model.parameters().len());
    if n == 0 {
        return Vec::new();
    }
    let mut jacobian = vec![0.0; n_samples * n];
    model.jacobian(parameters, fixed, &mut jacobian);
    let norms: Vec<f64> = (0..n)
        .map(|p| jacobian.iter().skip(p).step_by(n).map(|j| j * j).sum::<f64>().sqrt())
        .collect();
    // Unit columns: signal and rate differ by many powers of ten.
    for row in jacobian.chunks_exact_mut(n) {
        row.iter_mut().zip(&norms).for_each(|(entry, norm)| *entry /= norm);
    }
    match inverse_diagonal(&jacobian, n) {
        Some(diagonal) => {
            diagonal.iter().zip(&norms).map(|(d, norm)| sigma * d.sqrt() / norm).collect()
        }
        None => vec![f64::INFINITY; n],
    }
}

/// Diagonal of (JᵀJ)⁻¹ for unit columns by Cholesky; `None` where it is singular or not finite.
fn inverse_diagonal(jacobian: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut lower = vec![0.0; n * n];
    for row in 0..n {
        for column in 0..=row {
            let dot: f64 = jacobian.chunks_exact(n).map(|j| j[row] * j[column]).sum();
            let known: f64 = (0..column).map(|k| lower[row * n + k] * lower[column * n + k]).sum();
            let rest = dot - known;
            lower[row * n + column] = if column < row {
                rest / lower[column * n + column]
            } else if rest > SMALLEST_PIVOT {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    Some((0..n).map(|unit| inverse_column(&lower, n, unit).iter().map(|x| x * x).sum()).collect())
}

/// Column `unit` of the inverse of a lower triangular matrix.
fn inverse_column(lower: &[f64], n: usize, unit: usize) -> Vec<f64> {
    let mut column = vec![0.0; n];
    for row in unit..n {
        let right = if row == unit { 1.0 } else { 0.0 };
        let known: f64 = (unit..row).map(|k| lower[row * n + k] * column[k]).sum();
        column[row] = (right - known) / lower[row * n + row];
    }
    column
}

/// Smallest relative uncertainty of `rate` in S₀·e^(−w·rate) from samples at `weightings`.
///
/// `weightings` are b-values in s/mm² with a rate in mm²/s, or echo times in s with a rate in 1/s;
/// `signal_to_noise` is S₀/σ. Infinite where two weightings do not differ, where the rate or S₀/σ
/// is not positive, or where a number is not finite.
pub fn mono_exponential_relative_uncertainty(
    weightings: &[f64],
    rate: f64,
    signal_to_noise: f64,
) -> f64 {
    let power = |w: f64| (-2.0 * w * rate).exp();
    let total: f64 = weightings.iter().map(|&w| power(w)).sum();
    let mean = weightings.iter().map(|&w| w * power(w)).sum::<f64>() / total;
    let spread: f64 = weightings.iter().map(|&w| power(w) * (w - mean).powi(2)).sum();
    let uncertainty = 1.0 / (signal_to_noise * rate * spread.sqrt());
    if rate > 0.0 && signal_to_noise > 0.0 && uncertainty.is_finite() {
        uncertainty
    } else {
        f64::INFINITY
    }
}

/// S₀/σ from which `rate` is known to a relative uncertainty of `maximum`; arguments as in
/// [`mono_exponential_relative_uncertainty`].
pub fn required_signal_to_noise(weightings: &[f64], rate: f64, maximum: f64) -> f64 {
    mono_exponential_relative_uncertainty(weightings, rate, 1.0) / maximum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Parameter;
    use crate::unit::Unit;

    const PARAMETER: Parameter = Parameter {
        name: "rate",
        short_name: "rate",
        unit: Unit::PerSecond,
        suffix: "rate",
        bounds: [0.0, 10.0],
        display_window: [0.0, 1.0],
    };

    struct MonoExponential(Vec<f64>);

    impl Model for MonoExponential {
        fn parameters(&self) -> &'static [Parameter] {
            &[PARAMETER, PARAMETER]
        }

        fn n_samples(&self) -> usize {
            self.0.len()
        }

        fn signal(&self, parameters: &[f64], _fixed: &[f64], signal: &mut [f64]) {
            for (s, w) in signal.iter_mut().zip(&self.0) {
                *s = parameters[1] * (-w * parameters[0]).exp();
            }
        }

        fn jacobian(&self, parameters: &[f64], _fixed: &[f64], jacobian: &mut [f64]) {
            for (row, w) in jacobian.chunks_exact_mut(2).zip(&self.0) {
                let e = (-w * parameters[0]).exp();
                row.copy_from_slice(&[-w * parameters[1] * e, e]);
            }
        }

        fn initial(&self, _samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
            parameters.copy_from_slice(&[1.0, 1.0]);
        }
    }

    #[test]
    fn two_points_have_the_closed_form_and_its_minimum() {
        let u = |x: f64| mono_exponential_relative_uncertainty(&[0.0, 800.0], x / 800.0, 30.0);
        for x in [0.3, 1.0, 1.109, 2.0] {
            let closed = (1.0 + f64::exp(2.0 * x)).sqrt() / (x * 30.0);
            assert!((u(x) / closed - 1.0).abs() < 1e-12, "{x}");
        }
        let grid = || (500..2000).map(|i| f64::from(i) / 1000.0);
        let best = grid().min_by(|a, b| u(*a).total_cmp(&u(*b))).unwrap();
        assert!((best - 1.109).abs() < 1.5e-3, "{best}");
        assert!((30.0 * u(best) - 2.878).abs() < 5e-4, "{}", 30.0 * u(best));
    }

    #[test]
    fn signal_to_noise_needed_for_ten_percent_is_the_published_table() {
        let table: [(&[f64], [f64; 5]); 4] = [
            (&[0.0, 800.0], [43.0, 35.0, 29.0, 32.0, 42.0]),
            (&[0.0, 500.0, 1000.0], [35.0, 29.0, 24.0, 23.0, 27.0]),
            (&[0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0], [32.0, 26.0, 20.0, 18.0, 18.0]),
            (&[50.0, 400.0, 800.0], [45.0, 36.0, 28.0, 26.0, 27.0]),
        ];
        for (b_values, expected) in table {
            for (adc, expected) in [0.54e-3, 0.74e-3, 1.2e-3, 2.0e-3, 2.8e-3].iter().zip(expected) {
                let needed = required_signal_to_noise(b_values, *adc, 0.10);
                assert!((needed - expected).abs() <= 0.5, "{b_values:?} {adc}: {needed}");
            }
        }
    }

    #[test]
    fn published_t2_precision_of_six_echoes() {
        // Echo times 10 to 60 ms, S0/σ 50; SD in hundredths of a millisecond.
        let echo_times_s: Vec<f64> = (1..=6).map(|k| 0.01 * f64::from(k)).collect();
        for (t2_ms, expected) in [(25.0, 128.0), (35.0, 166.0), (45.0, 217.0), (60.0, 314.0)] {
            let u = mono_exponential_relative_uncertainty(&echo_times_s, 1e3 / t2_ms, 50.0);
            assert!((100.0 * t2_ms * u - expected).abs() <= 0.5, "{t2_ms}: {u}");
        }
    }

    #[test]
    fn jacobian_bound_equals_the_closed_form_of_the_rate() {
        let b_values = vec![50.0, 400.0, 800.0];
        let model = MonoExponential(b_values.clone());
        let errors = cramer_rao_standard_errors(&model, &[1.1e-3, 900.0], &[], 20.0);
        let closed = mono_exponential_relative_uncertainty(&b_values, 1.1e-3, 45.0);
        assert!((errors[0] / 1.1e-3 / closed - 1.0).abs() < 1e-10);
        assert!(errors[1].is_finite() && errors[1] > 20.0 / 3.0_f64.sqrt());
    }

    #[test]
    fn what_is_not_determined_is_infinitely_uncertain() {
        let same = MonoExponential(vec![500.0, 500.0]);
        let errors = cramer_rao_standard_errors(&same, &[1e-3, 900.0], &[], 20.0);
        assert!(errors.iter().all(|error| error.is_infinite()));
        let lost = MonoExponential(vec![0.0, 800.0]);
        let nan = cramer_rao_standard_errors(&lost, &[f64::NAN, 900.0], &[], 20.0);
        assert!(nan.iter().all(|error| error.is_infinite()));
        for (weightings, rate, snr) in [
            (&[0.0, 800.0][..], -1e-3, 30.0),
            (&[0.0, 800.0], 1e-3, 0.0),
            (&[0.0, 800.0], f64::NAN, 30.0),
            (&[0.0, 0.0], 1e-3, 30.0),
            (&[], 1e-3, 30.0),
        ] {
            let u = mono_exponential_relative_uncertainty(weightings, rate, snr);
            assert!(u.is_infinite() && u > 0.0, "{weightings:?} {rate} {snr}: {u}");
        }
    }
}
