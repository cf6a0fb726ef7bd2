//! Echo trains and their fits against extended phase graphs written in numpy.
//!
//! `golden/epg.json` is made by `golden/epg.py` beside it.

#![expect(clippy::unwrap_used, reason = "tests panic")]

use biomarker::acquisition::{MultiEcho, Protocol, Refocusing, SliceProfile};
use biomarker::fit::{EchoChoice, FitMethod, FitSettings, estimator};
use biomarker::model::{Estimator, Fit, FitStatus, Model, VoxelData, find};
use biomarker::random::StreamKey;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/epg.json")).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

fn train(n: usize, spacing_ms: f64) -> MultiEcho {
    MultiEcho::new((1..=n).map(|k| 1e-3 * spacing_ms * k as f64).collect()).unwrap()
}

fn fitted(name: &str, protocol: &MultiEcho, samples: &[f64], settings: &FitSettings) -> Fit {
    let protocol = Protocol::MultiEcho(protocol.clone());
    run(&*estimator(find(name).unwrap(), &protocol, settings).unwrap(), samples)
}

fn run(estimator: &dyn Estimator, samples: &[f64]) -> Fit {
    let mut fit = Fit::new(estimator.parameters().len());
    let mut scratch = vec![0.0; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed: &[] }, &mut scratch, &mut fit);
    fit
}

#[test]
fn signals_agree_with_the_complex_graph() {
    for case in list(&golden()["signals"]) {
        let n = case["n"].as_u64().unwrap() as usize;
        let name = case["slice_profile"].as_str().unwrap();
        let profile = SliceProfile::ALL.into_iter().find(|p| p.name() == name).unwrap();
        let angle = number(&case["refocusing_angle_deg"]).to_radians();
        let protocol = train(n, number(&case["spacing_ms"]))
            .refocused_by(Refocusing::new(angle, profile).unwrap());
        let model = (find("t2_epg").unwrap().build)(&Protocol::MultiEcho(protocol)).unwrap();
        let mut signal = vec![0.0; n];
        model.signal(&[1e-3 * number(&case["t2_ms"]), number(&case["b1"]), 1.0], &[], &mut signal);
        for (ours, theirs) in signal.iter().zip(numbers(&case["echoes"])) {
            // 32 echoes lose a few digits in the sum of their polynomials.
            assert!((ours - theirs).abs() < 1e-12, "{case}: {ours} {theirs}");
        }
    }
}

/// What a plain exponential makes of stimulated echoes, and what the graph makes of them.
#[test]
fn a_plain_exponential_reads_stimulated_echoes_as_a_longer_t2() {
    let published = [[40.0, 40.0], [41.46, 40.04], [45.5, 39.4], [53.9, 39.9]];
    for (case, published) in list(&golden()["table"]).iter().zip(published) {
        let (protocol, echoes) = (train(6, 10.0), numbers(&case["echoes"]));
        let echo_choice = EchoChoice { skip_first_echo: true, truncate_below_noise: false };
        let without_first = FitSettings { echoes: echo_choice, ..FitSettings::default() };
        let plain = fitted("t2", &protocol, &echoes, &FitSettings::default()).estimates[0];
        let later = fitted("t2", &protocol, &echoes, &without_first).estimates[0];
        assert!((1e3 * plain - number(&case["t2_ms"])).abs() < 1e-6);
        assert!((1e3 * later - number(&case["t2_without_first_ms"])).abs() < 1e-6);
        assert!((1e3 * plain - published[0]).abs() < 0.051, "{plain}");
        assert!((1e3 * later - published[1]).abs() < 0.051, "{later}");
        let graph = fitted("t2_epg", &protocol, &echoes, &FitSettings::default());
        let field = number(&case["refocusing_angle_deg"]) / 180.0;
        // At 180° the echoes are flat in B1: it is found to the root of the rounding.
        let limit = if field < 1.0 { 1e-9 } else { 1e-6 };
        assert!((graph.estimates[0] - 0.04).abs() < 1e-9, "{graph:?}");
        assert!((graph.estimates[1] - field).abs() < limit, "{graph:?}");
    }
}

#[test]
fn fits_of_noisy_trains_agree_with_scipy() {
    for case in list(&golden()["fits"]) {
        let n = case["n"].as_u64().unwrap() as usize;
        let protocol = train(n, number(&case["spacing_ms"]));
        for method in [FitMethod::NonlinearLeastSquares, FitMethod::General] {
            let settings = FitSettings { method, ..FitSettings::default() };
            let fit = fitted("t2_epg", &protocol, &numbers(&case["samples"]), &settings);
            assert_eq!(fit.status, FitStatus::Converged);
            let expected =
                [1e-3 * number(&case["t2_ms"]), number(&case["b1"]), number(&case["s0"])];
            for (ours, theirs) in fit.estimates.iter().zip(expected) {
                // Both stop where the sum of squares is flat in 64-bit.
                assert!((ours / theirs - 1.0).abs() < 1e-6, "{method:?} {ours} {theirs}");
            }
            let sum = number(&case["residual_sum_of_squares"]);
            assert!((fit.residual_sum_of_squares / sum - 1.0).abs() < 1e-9);
            let errors = [1e-3 * number(&case["t2_ms_per_sigma"]), number(&case["b1_per_sigma"])];
            for (parameter, bound) in errors.into_iter().enumerate() {
                let ours = fit.unscaled_covariance[4 * parameter].sqrt();
                assert!((ours / bound - 1.0).abs() < 1e-5, "{ours} {bound}");
            }
        }
    }
}

/// 4000 voxels: mean and SD of error over Cramér–Rao bound are known to 0.016 and 0.011.
#[test]
fn errors_of_t2_are_those_of_the_information() {
    let protocol = train(6, 10.0);
    let model: Box<dyn Model> =
        (find("t2_epg").unwrap().build)(&Protocol::MultiEcho(protocol.clone())).unwrap();
    let settings = FitSettings::default();
    let protocol = Protocol::MultiEcho(protocol);
    let estimator = estimator(find("t2_epg").unwrap(), &protocol, &settings).unwrap();
    for [t2, field] in [[0.03, 0.8], [0.04, 0.85], [0.06, 0.75]] {
        let truth = [t2, field, 1000.0];
        let mut clean = [0.0; 6];
        model.signal(&truth, &[], &mut clean);
        let bound = run(&*estimator, &clean);
        let sigma = 1000.0 / 100.0;
        let error = sigma * bound.unscaled_covariance[0].sqrt();
        let (mut sum, mut squares, n) = (0.0, 0.0, 4000);
        for voxel in 0..n {
            let mut stream = StreamKey::new(17, "t2_epg").stream(voxel, 0);
            let samples = clean.map(|echo| echo + sigma * stream.normal());
            let fit = run(&*estimator, &samples);
            assert!(fit.status.has_estimate());
            let score = (fit.estimates[0] - t2) / error;
            sum += score;
            squares += score * score;
        }
        let mean = sum / n as f64;
        let sd = (squares / n as f64 - mean * mean).sqrt();
        // Curvature: half the relative standard error, here up to 5 %.
        assert!(mean.abs() < 0.1 && (sd - 1.0).abs() < 0.06, "{truth:?} {mean} {sd}");
    }
}
