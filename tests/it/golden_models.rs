//! The larger models, the Rician likelihood and the iterated straight line against scipy and numpy.

use biomarker::acquisition::{Diffusion, MultiEcho, Protocol};
use biomarker::fit::{FitMethod, FitSettings, estimator};
use biomarker::model::{Fit, FitStatus, VoxelData, find};
use biomarker::noise::rician;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn protocol_of(case: &Value) -> Protocol {
    match case.get("b_values_s_per_mm2") {
        Some(values) => Protocol::Diffusion(Diffusion::new(numbers(values)).unwrap()),
        None => Protocol::MultiEcho(MultiEcho::new(numbers(&case["echo_times_s"])).unwrap()),
    }
}

fn run(case: &Value, settings: &FitSettings, samples: &[f64]) -> Fit {
    let entry = find(case["model"].as_str().unwrap()).unwrap();
    let estimator = estimator(entry, &protocol_of(case), settings).unwrap();
    let mut fit = Fit::new(entry.parameters.len());
    let mut scratch = vec![0.0; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed: &[] }, &mut scratch, &mut fit);
    fit
}

fn golden(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("golden/models.json")).unwrap();
    all[kind].as_array().unwrap().clone()
}

/// `golden/models.py`: the lowest of `scipy.optimize.least_squares` from 6 to 36 starts.
#[test]
fn larger_models_end_where_scipy_does_from_many_starts() {
    for case in golden("squares") {
        let mut n_compared = 0;
        for method in [FitMethod::NonlinearLeastSquares, FitMethod::General] {
            for voxel in case["voxels"].as_array().unwrap() {
                let samples = numbers(&voxel["samples"]);
                let total: f64 = samples.iter().map(|sample| sample * sample).sum();
                let fit = run(&case, &FitSettings { method, ..FitSettings::default() }, &samples);
                let place = format!("{} {method:?} {fit:?} scipy {voxel}", case["model"]);
                let is_good = voxel["well_conditioned"].as_bool().unwrap();
                // On pure noise the cross-check may give up in a curved valley.
                assert!(fit.status.has_estimate() || method == FitMethod::General, "{place}");
                let rss = voxel["rss"].as_f64().unwrap();
                if method == FitMethod::NonlinearLeastSquares || is_good {
                    assert!(fit.residual_sum_of_squares <= rss + 1e-10 * total, "{place}");
                }
                if !is_good {
                    continue;
                }
                assert!(fit.status.is_settled() || fit.status == FitStatus::BeyondModel, "{place}");
                assert!((fit.residual_sum_of_squares - rss).abs() <= 1e-10 * total, "{place}");
                let p = fit.estimates.len();
                let errors = numbers(&voxel["standard_errors"]);
                for (k, theirs) in numbers(&voxel["estimates"]).iter().enumerate() {
                    // scipy ends where the sum of squares no longer falls: half its digits.
                    let difference = (fit.estimates[k] - theirs).abs();
                    assert!(difference < 1e-6 * theirs.abs() + 1e-6 * errors[k], "{place}");
                    let own =
                        (fit.residual_variance() * fit.unscaled_covariance[k * (p + 1)]).sqrt();
                    assert!((own / errors[k] - 1.0).abs() < 1e-5, "{place}");
                }
                n_compared += 1;
            }
        }
        assert!(n_compared >= 20, "{} {n_compared}", case["model"]);
    }
}

/// `golden/models.py`: `scipy.optimize.minimize` of −Σ ln `scipy.stats.rice.pdf`.
#[test]
fn rician_likelihood_is_as_high_as_that_of_scipy() {
    for case in golden("rician") {
        let mut n_compared = 0;
        for voxel in case["voxels"].as_array().unwrap() {
            let (samples, sigma) = (numbers(&voxel["samples"]), voxel["sigma"].as_f64().unwrap());
            let method = FitMethod::RicianLikelihood;
            let settings = FitSettings { method, sigma: Some(sigma), ..FitSettings::default() };
            let fit = run(&case, &settings, &samples);
            let place = format!("{} {fit:?} scipy {voxel}", case["model"]);
            assert!(fit.status.has_estimate(), "{place}");
            let entry = find(case["model"].as_str().unwrap()).unwrap();
            let model = (entry.build)(&protocol_of(&case)).unwrap();
            let mut signal = vec![0.0; samples.len()];
            model.signal(&fit.estimates, &[], &mut signal);
            let cost: f64 =
                samples.iter().zip(&signal).map(|(&m, &a)| -rician::log_density(m, a, sigma)).sum();
            let difference = cost - voxel["cost"].as_f64().unwrap();
            assert!(difference < 1e-9, "{difference} {place}");
            if difference > -1e-9 && fit.status.is_settled() {
                let p = fit.estimates.len();
                for (k, theirs) in numbers(&voxel["estimates"]).iter().enumerate() {
                    let error = sigma * fit.unscaled_covariance[k * (p + 1)].sqrt();
                    // A simplex sees the square of the distance: half the digits.
                    let difference = (fit.estimates[k] - theirs).abs();
                    assert!(error.is_nan() || difference < 1e-4 * error, "{k} {place}");
                }
                n_compared += 1;
            }
        }
        assert!(n_compared >= 14, "{} {n_compared}", case["model"]);
    }
}

/// `golden/models.py`: `numpy.linalg.lstsq`, weighted by the fitted signal until it stands still.
#[test]
fn iterated_straight_lines_are_those_of_numpy() {
    for case in golden("iterated") {
        for voxel in case["voxels"].as_array().unwrap() {
            let samples = numbers(&voxel["samples"]);
            let settings =
                FitSettings { method: FitMethod::IteratedLogLinear, ..FitSettings::default() };
            let fit = run(&case, &settings, &samples);
            let place = format!("{} {fit:?} numpy {voxel}", case["model"]);
            assert_eq!(fit.status, FitStatus::Converged, "{place}");
            let [rate, amplitude] = numbers(&voxel["estimates"])[..] else { panic!("{place}") };
            let is_rate = case["model"] == "adc";
            let own = if is_rate { fit.estimates[0] } else { 1.0 / fit.estimates[0] };
            // The iteration stops when ln S moves by 1e-10; what is left is a few times that.
            assert!((own / rate - 1.0).abs() < 2e-9, "{place}");
            assert!((fit.estimates[1] / amplitude - 1.0).abs() < 2e-9, "{place}");
        }
    }
}
