//! Repeatability, the mixed model and the power of a paired design against scipy and statsmodels.
//!
//! `golden/paired.json` is made by `golden/paired.py` beside it.

#![expect(clippy::unwrap_used, reason = "tests panic")]

use biomarker::cohort::{Design, reached};
use biomarker::statistics::mixed_model::{Observation, mixed_model};
use biomarker::statistics::repeatability::{WithInterval, repeatability};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/paired.json")).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[track_caller]
fn close(value: f64, expected: &Value, relative: f64) {
    let expected = number(expected);
    let distance = (value - expected).abs();
    assert!(distance <= relative * (1e-3 + expected.abs()), "{value} is not {expected}");
}

/// Number and ends of the interval.
#[track_caller]
fn all_close(found: WithInterval, expected: &Value) {
    let [low, high] = found.interval_95;
    for (value, expected) in [found.value, low, high].into_iter().zip(list(expected)) {
        // Quantiles of χ² and F come from a root search in both programs.
        close(value, expected, 1e-7);
    }
}

#[test]
fn repeatability_agrees_with_analysis_of_variance() {
    for case in list(&golden()["repeatability"]) {
        let pairs: Vec<[f64; 2]> =
            list(&case["pairs"]).iter().map(|pair| [0, 1].map(|k| number(&pair[k]))).collect();
        let found = repeatability(&pairs).unwrap();
        close(found.within_sd.value, &case["within_sd"], 1e-12);
        close(found.within_cv.unwrap(), &case["within_cv"], 1e-12);
        close(found.bias.value, &case["bias"], 1e-12);
        for end in 0..2 {
            close(found.within_sd.interval_95[end], &case["within_sd_interval"][end], 1e-7);
            close(found.bias.interval_95[end], &case["bias_interval"][end], 1e-9);
            all_close(found.limits[end], &case["limits"][end]);
        }
        all_close(found.icc_consistency.unwrap(), &case["consistency"]);
        all_close(found.icc_agreement.unwrap(), &case["agreement"]);
    }
}

#[test]
fn mixed_models_agree_with_statsmodels_and_dense_matrices() {
    for case in list(&golden()["mixed"]) {
        let mut clusters: Vec<Vec<Observation>> = vec![Vec::new(); 20];
        for row in list(&case["rows"]) {
            let cluster = row[0].as_u64().unwrap() as usize;
            let treated = row[1].as_bool().unwrap();
            clusters[cluster].push(Observation { value: number(&row[2]), treated });
        }
        let found = mixed_model(&clusters).unwrap();
        // The search of statsmodels ends where the likelihood is flat in 64-bit: half the digits.
        close(found.untreated_mean, &case["untreated_mean"], 1e-6);
        close(found.effect, &case["effect"], 1e-6);
        close(found.standard_error, &case["standard_error"], 1e-6);
        close(found.within_sd, &case["within_sd"], 1e-6);
        close(found.between_sd, &case["between_sd"], 1e-5);
        close(found.degrees_of_freedom, &case["degrees_of_freedom"], 1e-5);
        close(found.p, &case["p"], 1e-5);
    }
}

#[test]
fn simulated_cohorts_reach_the_power_of_the_noncentral_t_distribution() {
    for case in list(&golden()["power"]) {
        let n = case["n"].as_u64().unwrap() as usize;
        let design = Design { n, d_z: number(&case["d_z"]), level: 0.05 };
        let found = reached(&design, 10_000, 3).unwrap();
        let expected = number(&case["power"]);
        assert!((found.t - expected).abs() < 4.0 * found.standard_error(expected), "{found:?}");
    }
}
