//! What every model of the registry must do, whichever it is.
//!
//! Protocols and ranges come from the registry: a model that is added there is held to all of this
//! without a line here.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod hostile_voxels;
mod invariance;
mod optimum;

use biomarker::acquisition::{Protocol, ProtocolKind};
use biomarker::fit::{FitMethod, FitSettings, estimator};
use biomarker::model::{Estimator, Fit, FitStatus, MODELS, Model, ModelEntry, VoxelData};
use biomarker::random::{Stream, StreamKey};

/// Every model on every protocol of its own.
fn for_each(mut check: impl FnMut(&ModelEntry, &Protocol, Box<dyn Model>)) {
    for entry in MODELS {
        let protocols = (entry.example_protocols)().unwrap();
        assert!(!protocols.is_empty(), "{} needs an example", entry.name);
        assert_eq!(entry.recoverable.len(), entry.parameters.len(), "{}", entry.name);
        for protocol in protocols {
            check(entry, &protocol, (entry.build)(&protocol).unwrap());
        }
    }
}

/// Every estimator that fits the model, at noise level `sigma`.
fn for_each_method(
    entry: &ModelEntry,
    protocol: &Protocol,
    sigma: f64,
    mut check: impl FnMut(FitMethod, Box<dyn Estimator>),
) {
    let mut n_methods = 0;
    for method in FitMethod::ALL {
        if let Ok(estimator) = estimator(entry, protocol, &settings(method, sigma)) {
            check(method, estimator);
            n_methods += 1;
        }
    }
    // Rician likelihood is of magnitudes: the samples of a dynamic model are concentrations.
    let n_of_all = if entry.protocol == ProtocolKind::Dynamic { 2 } else { 3 };
    assert!(n_methods >= n_of_all, "{}: nlls, general and rician_ml", entry.name);
}

fn settings(method: FitMethod, sigma: f64) -> FitSettings {
    FitSettings { method, sigma: Some(sigma), ..FitSettings::default() }
}

fn build(entry: &ModelEntry, protocol: &Protocol, method: FitMethod) -> Box<dyn Estimator> {
    estimator(entry, protocol, &FitSettings { method, ..FitSettings::default() }).unwrap()
}

fn run(estimator: &dyn Estimator, samples: &[f64]) -> Fit {
    let mut fit = Fit::new(estimator.parameters().len());
    let mut scratch = vec![0.0; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed: &[] }, &mut scratch, &mut fit);
    fit
}

/// Parameters in the range that the examples tell apart: even in ratio where that is wide.
fn draw(entry: &ModelEntry, stream: &mut Stream) -> Vec<f64> {
    let one = |&[low, high]: &[f64; 2]| {
        if low > 0.0 && high > 4.0 * low {
            low * (high / low).powf(stream.uniform())
        } else {
            low + (high - low) * stream.uniform()
        }
    };
    entry.recoverable.iter().map(one).collect()
}

fn signal(model: &dyn Model, parameters: &[f64]) -> Vec<f64> {
    let mut signal = vec![0.0; model.n_samples()];
    model.signal(parameters, &[], &mut signal);
    signal
}

fn largest(samples: &[f64]) -> f64 {
    samples.iter().fold(0.0, |largest, sample| largest.max(sample.abs()))
}

/// Tissue at SNR 30 to 150: samples and the noise level.
fn noisy(entry: &ModelEntry, model: &dyn Model, stream: &mut Stream) -> (Vec<f64>, f64) {
    let clean = signal(model, &draw(entry, stream));
    let sigma = largest(&clean) / (30.0 + 120.0 * stream.uniform());
    (clean.iter().map(|sample| sample + sigma * stream.normal()).collect(), sigma)
}

#[test]
fn entries_are_complete() {
    for entry in MODELS {
        let names: Vec<&str> = entry.parameters.iter().map(|p| p.name).collect();
        let suffixes: Vec<&str> = entry.parameters.iter().map(|p| p.suffix).collect();
        for list in [&names, &suffixes] {
            let mut different = list.clone();
            different.sort_unstable();
            different.dedup();
            assert_eq!(different.len(), list.len(), "{}", entry.name);
        }
        assert!(suffixes.iter().all(|s| s.chars().all(|c| c.is_ascii_alphanumeric())));
        assert!(entry.reference.contains("doi:10."), "{}", entry.name);
        for (parameter, [low, high]) in entry.parameters.iter().zip(entry.recoverable) {
            assert!(parameter.bounds[0] <= *low && low < high && *high <= parameter.bounds[1]);
            assert!(parameter.display_window[0] < parameter.display_window[1]);
        }
    }
}

#[test]
fn jacobians_match_central_differences() {
    for_each(|entry, _, model| {
        let p = entry.parameters.len();
        for draw_index in 0..100 {
            let parameters = draw(entry, &mut StreamKey::new(1, entry.name).stream(draw_index, 0));
            let mut jacobian = vec![0.0; model.n_samples() * p];
            model.jacobian(&parameters, &[], &mut jacobian);
            for column in 0..p {
                // Truncation 1e-10 of the third derivative, rounding 1e-16 / 1e-5.
                let step = 1e-5 * parameters[column].abs();
                let (mut low, mut high) = (parameters.clone(), parameters.clone());
                low[column] -= step;
                high[column] += step;
                let (low, high) = (signal(&*model, &low), signal(&*model, &high));
                for k in 0..model.n_samples() {
                    let difference = (high[k] - low[k]) / (2.0 * step);
                    let scale = high[k].abs() / parameters[column].abs();
                    let error = (difference - jacobian[k * p + column]).abs();
                    assert!(error < 1e-7 * scale, "{} {parameters:?}", entry.name);
                }
            }
        }
    });
}

/// Samples are rounded: their 2⁻⁵² times what a sample does to the estimate. The general path ends
/// where the sum of squares is 0 in 64-bit, the Rician one at a fraction of a standard error.
#[test]
fn parameters_come_back_from_signals_without_noise() {
    for_each(|entry, protocol, model| {
        let p = entry.parameters.len();
        for method in [FitMethod::NonlinearLeastSquares, FitMethod::General] {
            let estimator = build(entry, protocol, method);
            for index in 0..300 {
                let truth = draw(entry, &mut StreamKey::new(2, entry.name).stream(index, 0));
                let samples = signal(&*model, &truth);
                let fit = run(&*estimator, &samples);
                let place = format!("{} {method:?} {truth:?} {fit:?}", entry.name);
                assert_eq!(fit.status, FitStatus::Converged, "{place}");
                let is_fast =
                    model.separable().is_some() && method == FitMethod::NonlinearLeastSquares;
                for (parameter, truth) in truth.iter().enumerate() {
                    let error = (fit.estimates[parameter] - truth).abs();
                    let rounding = 64.0
                        * f64::EPSILON
                        * largest(&samples)
                        * fit.unscaled_covariance[parameter * (p + 1)].sqrt();
                    let limit = if is_fast {
                        1e-12 * truth.abs() + rounding
                    } else {
                        1e-9 * truth.abs() + 10.0 * rounding
                    };
                    assert!(error < limit, "{place}");
                    let scale = truth.abs().max(1e-3 * entry.recoverable[parameter][1]);
                    assert!(error < 1e-9 * scale, "{place}");
                }
            }
        }
    });
}

#[test]
fn expected_samples_are_the_model_at_the_estimates() {
    for_each(|entry, protocol, model| {
        for_each_method(entry, protocol, 1.0, |method, estimator| {
            let mut stream = StreamKey::new(7, entry.name).stream(0, 0);
            let mut samples = signal(&*model, &draw(entry, &mut stream));
            samples[0] *= 1.01;
            let fit = run(&*estimator, &samples);
            let mut scratch = vec![0.0; estimator.scratch_len()];
            let mut expected = vec![0.0; samples.len()];
            let voxel = VoxelData { samples: &samples, fixed: &[] };
            estimator.expected(voxel, &fit, &mut scratch, &mut expected);
            let wanted = signal(&*model, &fit.estimates);
            for (expected, wanted) in expected.iter().zip(&wanted) {
                assert!((expected / wanted - 1.0).abs() < 1e-13, "{} {method:?}", entry.name);
            }
        });
    });
}
