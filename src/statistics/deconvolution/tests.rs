use super::*;
use crate::random::StreamKey;
use crate::statistics::mixture::Mixture;

/// Values of 40 % 0.54 ± 0.054 and 60 % 1.8 ± 0.18, measured with errors that differ by up to five.
fn tumour(seed: u64, n: usize, noise: f64) -> (Vec<f64>, Vec<f64>) {
    let key = StreamKey::new(seed, "measured tumour");
    (0..n)
        .map(|voxel| {
            let mut stream = key.stream(voxel, 0);
            let truth = if stream.uniform() < 0.4 {
                0.54 + 0.054 * stream.normal()
            } else {
                1.8 + 0.18 * stream.normal()
            };
            let error = noise * (0.4 + 1.6 * stream.uniform());
            (truth + error * stream.normal(), error)
        })
        .unzip()
}

#[test]
fn one_component_of_equal_errors_has_a_closed_form() {
    let values = [1.0, 2.0, 3.0, 4.0, 7.0];
    // Mean 3.4, population variance 4.24.
    let found = Deconvolution::fit(&values, &[0.7; 5], 1, None).unwrap();
    assert!(found.converged);
    assert!((found.means[0] - 3.4).abs() < 1e-9);
    assert!((found.intrinsic_standard_deviations[0].powi(2) - (4.24 - 0.49)).abs() < 1e-8);
    assert!((found.mean_errors.unwrap()[0] - (4.24_f64 / 5.0).sqrt()).abs() < 1e-9);
    let likelihood = -2.5 * ((std::f64::consts::TAU * 4.24).ln() + 1.0);
    assert!((found.log_likelihood - likelihood).abs() < 1e-9);
    // More noise than spread: the floor.
    let noisy = Deconvolution::fit(&values, &[3.0; 5], 1, None).unwrap();
    assert!((noisy.intrinsic_standard_deviations[0] - 0.006).abs() < 1e-12);
    let error = ((9.0 + 0.006 * 0.006) / 5.0_f64).sqrt();
    assert!((noisy.mean_errors.unwrap()[0] - error).abs() < 1e-9);
}

#[test]
fn without_errors_it_is_the_plain_mixture() {
    let (values, _) = tumour(1, 3000, 0.0);
    for k in 1..=3 {
        let plain = Mixture::fit(&values, k, None).unwrap();
        let found = Deconvolution::fit(&values, &vec![0.0; values.len()], k, None).unwrap();
        assert!(found.converged);
        // The plain one stops at gains of 1e-8 per value, this one at the maximum.
        let gain = found.log_likelihood - plain.log_likelihood;
        assert!(gain > -1e-9, "k {k}: {gain}");
        if k < 3 {
            assert!(gain < 1e-3, "k {k}: {gain}");
            for j in 0..k {
                assert!((found.means[j] - plain.means[j]).abs() < 1e-5);
                assert!((found.weights[j] - plain.weights[j]).abs() < 1e-5);
                let sd = found.intrinsic_standard_deviations[j];
                assert!((sd - plain.standard_deviations[j]).abs() < 1e-5);
            }
        }
        assert!((found.bic(1.0) - plain.bic(1.0) + 2.0 * gain).abs() < 1e-6);
    }
}

#[test]
fn likelihood_never_falls_even_at_the_floors() {
    let (mut values, mut errors) = tumour(2, 800, 0.2);
    values.extend([9.0; 8]);
    errors.extend([1e-3; 8]);
    for k in 1..=4 {
        let found = Deconvolution::fit(&values, &errors, k, None).unwrap();
        assert!(found.log_likelihood_path.is_sorted(), "k {k}");
        assert!(found.converged, "k {k}");
        assert!(found.weights.iter().all(|&weight| weight >= WEIGHT_FLOOR - 1e-15));
        assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(found.means.is_sorted());
    }
}

/// Recovers mean 0.54, SD 0.054 and weight 0.4 without bias where errors reach twice the SD.
#[test]
fn heteroscedastic_noise_is_taken_off() {
    let mut pulls = [Vec::new(), Vec::new()];
    let (mut weights, mut spreads) = (Vec::new(), Vec::new());
    for seed in 0..40 {
        let (values, errors) = tumour(seed, 2000, 0.06);
        let found = Deconvolution::fit(&values, &errors, 2, None).unwrap();
        assert!(found.converged);
        let mean_errors = found.mean_errors.unwrap();
        pulls[0].push((found.means[0] - 0.54) / mean_errors[0]);
        pulls[1].push((found.means[1] - 1.8) / mean_errors[1]);
        weights.push(found.weights[0]);
        spreads.push(found.intrinsic_standard_deviations[0]);
    }
    for pull in &pulls {
        let moments = Moments::of(pull).unwrap();
        // Four standard errors of mean and SD of 40 standard normal values.
        assert!(moments.mean().abs() < 4.0 / 40.0_f64.sqrt(), "{}", moments.mean());
        let sd = moments.standard_deviation().unwrap();
        assert!((sd - 1.0).abs() < 4.0 / 80.0_f64.sqrt(), "{sd}");
    }
    let within = |values: &[f64], truth: f64| {
        let moments = Moments::of(values).unwrap();
        let error = moments.standard_deviation().unwrap() / 40.0_f64.sqrt();
        assert!((moments.mean() - truth).abs() < 4.0 * error, "{}: {error}", moments.mean());
        assert!(error < 0.02 * truth);
    };
    within(&weights, 0.4);
    within(&spreads, 0.054);
}

#[test]
fn derivatives_are_those_of_finite_differences() {
    let (values, errors) = tumour(4, 60, 0.3);
    let sample = Sample::new(&values, &errors).unwrap();
    let components = [(0.25, 0.5, 0.04), (0.35, 1.2, 0.09), (0.4, 2.0, 0.2)]
        .map(|(weight, mean, variance)| Component { weight, mean, variance });
    let found = Information::of(&sample.data, &components, 0.0);
    let moved = |steps: &[(usize, f64)]| {
        let mut moved = components;
        for &(index, step) in steps {
            let component = &mut moved[index % 3];
            match index / 3 {
                0 => component.weight *= step.exp(),
                1 => component.mean += step,
                _ => component.variance += step,
            }
        }
        let total: f64 = moved.iter().map(|component| component.weight).sum();
        for component in &mut moved {
            component.weight /= total;
        }
        sample.expect(&moved).log_likelihood
    };
    let h = 1e-4;
    for i in 0..9 {
        let slope = (moved(&[(i, h)]) - moved(&[(i, -h)])) / (2.0 * h);
        assert!((found.gradient[i] - slope).abs() < 1e-5 * (1.0 + slope.abs()), "{i}");
        for j in 0..9 {
            let corner = |a: f64, b: f64| moved(&[(i, a * h), (j, b * h)]);
            let second =
                corner(1.0, 1.0) - corner(1.0, -1.0) - corner(-1.0, 1.0) + corner(-1.0, -1.0);
            let second = second / (4.0 * h * h);
            let difference = found.matrix[9 * i + j] + second;
            assert!(difference.abs() < 1e-4 * (10.0 + second.abs()), "{i} {j}: {difference}");
        }
    }
}

#[test]
fn values_of_infinite_error_change_nothing_and_take_the_mean() {
    let (mut values, mut errors) = tumour(5, 500, 0.1);
    let without = Deconvolution::fit(&values, &errors, 2, None).unwrap();
    values.extend([f64::NAN, 1e9, 0.5]);
    errors.extend([f64::INFINITY; 3]);
    let with = Deconvolution::fit(&values, &errors, 2, None).unwrap();
    assert_eq!(with, without);
    let posterior = with.posterior(f64::NAN, f64::INFINITY);
    let mean: f64 = with.weights.iter().zip(&with.means).map(|(w, mean)| w * mean).sum();
    assert!((posterior.mean - mean).abs() < 1e-14);
    assert_eq!(with.responsibilities(0.5, f64::INFINITY), with.weights);
    let exact = with.posterior(0.61, 0.0);
    assert!((exact.mean - 0.61).abs() < 1e-14 && exact.standard_deviation < 1e-7);
}

#[test]
fn one_component_shrinks_by_the_ratio_of_variances() {
    let mixture = Deconvolution {
        weights: vec![1.0],
        means: vec![0.5],
        intrinsic_standard_deviations: vec![0.2],
        mean_errors: None,
        log_likelihood: 0.0,
        log_likelihood_path: vec![],
        n: 10,
        converged: true,
    };
    // (0.9/0.1² + 0.5/0.2²)/(1/0.1² + 1/0.2²) = (90 + 12.5)/125.
    let posterior = mixture.posterior(0.9, 0.1);
    assert!((posterior.mean - 102.5 / 125.0).abs() < 1e-15);
    assert!((posterior.standard_deviation - 125.0_f64.sqrt().recip()).abs() < 1e-15);
}

#[test]
fn it_is_bit_equal_for_one_and_two_threads() {
    let (values, errors) = tumour(6, 10_000, 0.1);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Deconvolution::fit(&values, &errors, 2, None).unwrap())
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn samples_that_break_a_rule_are_refused() {
    let field = |values: &[f64], errors: &[f64], k, floor| {
        Deconvolution::fit(values, errors, k, floor).unwrap_err().field().map(str::to_owned)
    };
    assert_eq!(field(&[1.0], &[], 1, None).as_deref(), Some("errors"));
    assert_eq!(field(&[1.0, 2.0], &[0.1, -0.1], 1, None).as_deref(), Some("errors"));
    assert_eq!(field(&[1.0, 2.0], &[0.1, f64::NAN], 1, None).as_deref(), Some("errors"));
    assert_eq!(field(&[], &[], 1, None).as_deref(), Some("values"));
    assert_eq!(field(&[1.0; 2], &[f64::INFINITY; 2], 1, None).as_deref(), Some("values"));
    assert_eq!(field(&[1.0, f64::NAN], &[0.1; 2], 1, None).as_deref(), Some("values"));
    assert_eq!(field(&[1.0, 2.0], &[0.1; 2], 3, None).as_deref(), Some("k"));
    assert_eq!(field(&[1.0, 2.0], &[0.1; 2], 0, None).as_deref(), Some("k"));
    assert_eq!(field(&[1.0, 1.0], &[0.1; 2], 1, None).as_deref(), Some("sd_floor"));
    assert_eq!(field(&[1.0, 2.0], &[0.1; 2], 1, Some(-1.0)).as_deref(), Some("sd_floor"));
    // Squares beyond the range of numbers are an infinite error.
    assert!(Deconvolution::fit(&[1.0, 2.0, 4.0], &[0.1, 0.1, 1e200], 1, None).is_ok());
}
