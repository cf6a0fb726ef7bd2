//! Peaks of histograms, mixtures behind measured values and bootstrap intervals against scipy.
//!
//! `golden/inference.json` is made by `golden/inference.py` beside it.

#![expect(clippy::unwrap_used, reason = "tests panic")]

use biomarker::random::StreamKey;
use biomarker::statistics::bootstrap::{Bootstrap, bca};
use biomarker::statistics::deconvolution::Deconvolution;
use biomarker::statistics::gaussian_histogram::GaussianHistogram;
use biomarker::statistics::moments::{Moments, mean, standard_deviation};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/inference.json")).unwrap()
}

fn cases(name: &str) -> Vec<Value> {
    golden()[name].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[track_caller]
fn within(value: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected} ± {tolerance:e}");
}

/// scipy stops within 1e-5 standard errors of the maximum, where the likelihood is flat to 1e-10.
#[test]
fn peaks_are_the_maximum_that_scipy_finds() {
    for case in cases("peaks") {
        let fit = GaussianHistogram::fit(&numbers(&case["values"])).unwrap();
        assert!(fit.converged);
        let errors = numbers(&case["errors"]);
        within(fit.mean, &case["mean"], 1e-5 * errors[0]);
        within(fit.standard_deviation, &case["standard_deviation"], 1e-5 * errors[1]);
        within(fit.number, &case["number"], 1e-5 * errors[2]);
        let found = [fit.mean_error, fit.standard_deviation_error, fit.number_error];
        for (error, expected) in found.iter().zip(&errors) {
            // Derivatives by differences of 1e-5.
            assert!((error - expected).abs() < 1e-6 * expected, "{error} is not {expected}");
        }
        within(fit.chi_squared, &case["chi_squared"], 1e-6);
        assert_eq!(fit.degrees_of_freedom as u64 + 3, case["n_bins"].as_u64().unwrap());
        for end in 0..2 {
            within(fit.window[end], &case["window"][end], 1e-9);
        }
    }
}

#[test]
fn deconvolutions_are_the_maximum_that_scipy_finds() {
    for case in cases("deconvolutions") {
        let (values, errors) = (numbers(&case["values"]), numbers(&case["errors"]));
        let means = numbers(&case["means"]);
        let found = Deconvolution::fit(&values, &errors, means.len(), None).unwrap();
        assert!(found.converged);
        within(found.log_likelihood, &case["log_likelihood"], 1e-7);
        let mean_errors = found.mean_errors.clone().unwrap();
        for j in 0..means.len() {
            // A likelihood flat to 1e-9 leaves 5e-5 standard errors.
            let tolerance = 1e-4 * mean_errors[j];
            within(found.means[j], &case["means"][j], tolerance);
            within(found.weights[j], &case["weights"][j], 1e-5);
            let sd = found.intrinsic_standard_deviations[j];
            within(sd, &case["intrinsic_standard_deviations"][j], tolerance);
            // Second differences of steps of 1e-4.
            within(mean_errors[j], &case["mean_errors"][j], 1e-3 * mean_errors[j]);
        }
        for row in case["posteriors"].as_array().unwrap() {
            let row = numbers(row);
            let posterior = found.posterior(row[0], row[1]);
            assert!((posterior.mean - row[2]).abs() < 1e-5);
            assert!((posterior.standard_deviation - row[3]).abs() < 1e-5);
        }
    }
}

fn bootstrap(case: &Value, seed: u64) -> Bootstrap {
    let values = numbers(&case["values"]);
    let key = StreamKey::new(seed, "golden");
    match case["statistic"].as_str().unwrap() {
        "mean" => bca(&values, key, 10_000, |resample| mean(resample).unwrap()),
        _ => bca(&values, key, 10_000, |resample| standard_deviation(resample).unwrap()),
    }
    .unwrap()
}

#[test]
fn bootstrap_intervals_are_those_of_scipy_in_expectation() {
    for case in cases("bootstraps") {
        let runs: Vec<[f64; 2]> =
            (0..16).map(|seed| bootstrap(&case, seed).confidence_interval_95).collect();
        let n_golden = case["runs"].as_f64().unwrap();
        for end in 0..2 {
            let ends: Vec<f64> = runs.iter().map(|run| run[end]).collect();
            let moments = Moments::of(&ends).unwrap();
            let sd = case["monte_carlo_sd"][end].as_f64().unwrap();
            // Four Monte-Carlo standard errors of both means; one run scatters as scipy's do.
            let tolerance = 4.0 * sd * (1.0 / 16.0 + 1.0 / n_golden).sqrt();
            within(moments.mean(), &case["interval"][end], tolerance);
            let ratio = moments.standard_deviation().unwrap() / sd;
            assert!((0.5..1.7).contains(&ratio), "{ratio}");
        }
    }
}
