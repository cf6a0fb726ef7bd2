use super::*;
use crate::acquisition::PlasmaCurve;
use crate::perfusion::{ArterialInput, Hematocrit};
use crate::random::StreamKey;

const ARRIVAL_S: f64 = 26.1;
const T10_S: f64 = 1.2;
const BASELINE: f64 = 100.0;
const N_FRAMES: usize = 60;

fn protocol() -> Dynamic {
    let frames = (0..N_FRAMES).map(|k| k as f64 * 5.0).collect();
    let mut times = vec![ARRIVAL_S - 1e-6];
    let mut plasma = vec![0.0];
    for k in 0..1081 {
        let since = f64::from(k) * 0.25;
        times.push(ARRIVAL_S + since);
        plasma.push(ArterialInput::Parker.plasma(since, Hematocrit::DEFAULT));
    }
    let curve = PlasmaCurve::new(times, plasma).unwrap();
    Dynamic::new(frames, 0.004, 15_f64.to_radians()).unwrap().with_plasma_curve(curve).unwrap()
}

fn signals(t10: T10Source) -> TissueSamples {
    TissueSamples::Signals { relaxivity_per_s_per_mm: 4.5, t10, arrival_s: ARRIVAL_S }
}

fn estimator(tissue: TissueModel, samples: TissueSamples) -> ExchangeEstimator {
    ExchangeEstimator::new(&ExchangeSettings { protocol: protocol(), tissue, samples }).unwrap()
}

/// Ktrans (1/s), ve, vp of a voxel; every fourth has no plasma.
fn tissue(lane: usize) -> [f64; 3] {
    let mut stream = StreamKey::new(7, "tissue").stream(lane, 0);
    let vp = if lane.is_multiple_of(4) { 0.0 } else { 0.1 * stream.uniform() };
    [(0.02 + 0.8 * stream.uniform()) / 60.0, 0.1 + 0.5 * stream.uniform(), vp]
}

fn voxel_curve(estimator: &ExchangeEstimator, parameters: &[f64]) -> Vec<f64> {
    let mut curve = vec![0.0; N_FRAMES];
    estimator.concentrations(parameters, &mut curve);
    if let Some(signals) = &estimator.signals {
        let voxel = signals.equation.with_baseline(BASELINE, T10_S).unwrap();
        for value in &mut curve {
            *value = voxel.signal(*value);
        }
    }
    curve
}

/// Samples of `n_lanes` voxels with normal noise.
fn block(estimator: &ExchangeEstimator, n_lanes: usize, noise: f64) -> Vec<f64> {
    let mut samples = vec![0.0; N_FRAMES * n_lanes];
    for lane in 0..n_lanes {
        let curve = voxel_curve(estimator, &tissue(lane)[..estimator.parameters.len()]);
        let mut stream = StreamKey::new(8, "noise").stream(lane, 0);
        for (k, value) in curve.iter().enumerate() {
            samples[k * n_lanes + lane] = value + noise * stream.normal();
        }
    }
    samples
}

fn run(estimator: &ExchangeEstimator, samples: &[f64], fixed: &[f64]) -> FitBlock {
    let n_lanes = samples.len() / N_FRAMES;
    let mut fits = FitBlock::new(estimator.parameters.len(), Detail::Everything);
    estimator.estimate_block(LaneData { samples, fixed, n_lanes }, &mut fits);
    fits
}

fn one(estimator: &ExchangeEstimator, samples: &[f64], fixed: &[f64]) -> Fit {
    let mut fit = Fit::new(estimator.parameters.len());
    let mut scratch = vec![f64::NAN; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed }, &mut scratch, &mut fit);
    fit
}

fn voxel(samples: &[f64], lane: usize) -> Vec<f64> {
    samples.iter().skip(lane).step_by(samples.len() / N_FRAMES).copied().collect()
}

const BOTH: [TissueModel; 2] = [TissueModel::Tofts, TissueModel::ExtendedTofts];

#[test]
fn tissue_without_noise_is_recovered_from_concentrations_and_from_signals() {
    for model in BOTH {
        for samples in [TissueSamples::Concentrations, signals(T10Source::Uniform(T10_S))] {
            let estimator = estimator(model, samples);
            let fits = run(&estimator, &block(&estimator, 203, 0.0), &[]);
            for lane in 0..203 {
                assert!(fits.status[lane].has_estimate());
                for (column, truth) in fits.estimates.iter().zip(tissue(lane)) {
                    let error = (column[lane] - truth).abs() / truth.max(1e-2);
                    assert!(error < 1e-7, "{error} {model:?}");
                }
            }
        }
    }
}

#[test]
fn no_other_rate_or_amplitude_explains_a_noisy_curve_better() {
    for model in BOTH {
        let estimator = estimator(model, TissueSamples::Concentrations);
        let samples = block(&estimator, 96, 0.05);
        let fits = run(&estimator, &samples, &[]);
        let n = estimator.parameters.len();
        let residuals = |parameters: &[f64], curve: &[f64]| -> f64 {
            let model = voxel_curve(&estimator, parameters);
            model.iter().zip(curve).map(|(a, b)| (a - b).powi(2)).sum()
        };
        for lane in 0..96 {
            let curve = voxel(&samples, lane);
            let best: Vec<f64> = fits.estimates.iter().map(|column| column[lane]).collect();
            let least = residuals(&best, &curve);
            // The curve of the residuals is known to 1e-5 of the tissue curve.
            let own = fits.residual_sum_of_squares[lane];
            assert!((own / least - 1.0).abs() < 1e-4, "{own} {least}");
            for parameter in 0..n {
                for factor in [0.5, 0.9, 0.999, 1.001, 1.1, 2.0] {
                    let mut other = best.clone();
                    other[parameter] *= factor;
                    let allowed = other[1] <= 1.0;
                    let worse = residuals(&other, &curve) >= least * (1.0 - 1e-10);
                    assert!(worse || !allowed, "{other:?} beats {best:?}");
                }
            }
            let mut stream = StreamKey::new(9, "other").stream(lane, 0);
            for _ in 0..200 {
                let other = [
                    stream.uniform() / 40.0,
                    0.01 + 0.99 * stream.uniform(),
                    0.2 * stream.uniform(),
                ];
                assert!(residuals(&other[..n], &curve) >= least);
            }
        }
    }
}

#[test]
fn standard_errors_are_the_spread_of_repeated_noise() {
    for model in BOTH {
        let estimator = estimator(model, signals(T10Source::Uniform(T10_S)));
        let n = estimator.parameters.len();
        let truth = [0.2 / 60.0, 0.3, 0.06];
        let curve = voxel_curve(&estimator, &truth[..n]);
        let n_lanes = 4000;
        let mut samples = vec![0.0; N_FRAMES * n_lanes];
        for lane in 0..n_lanes {
            let mut stream = StreamKey::new(11, "spread").stream(lane, 0);
            for (k, value) in curve.iter().enumerate() {
                samples[k * n_lanes + lane] = value + 0.5 * stream.normal();
            }
        }
        let fits = run(&estimator, &samples, &[]);
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / n_lanes as f64;
        for parameter in 0..n {
            let column = &fits.estimates[parameter];
            let centre = mean(&mut column.iter().copied());
            let variance = mean(&mut column.iter().map(|value| (value - centre).powi(2)));
            let stated = 0.25 * mean(&mut fits.unscaled_variances[parameter].iter().copied());
            // SD of a sampled variance is √(2/n) = 2.2 %.
            assert!((stated / variance - 1.0).abs() < 0.09, "{parameter}: {stated} {variance}");
        }
        let degrees = f64::from(fits.degrees_of_freedom[0]);
        let residual = mean(&mut fits.residual_sum_of_squares.iter().copied()) / degrees;
        assert!((residual / 0.25 - 1.0).abs() < 0.03, "{residual}");
    }
}

#[test]
fn bounds_are_kept_and_flagged() {
    let estimator = estimator(TissueModel::ExtendedTofts, TissueSamples::Concentrations);
    // Exchange into more than all of the tissue.
    let curve = voxel_curve(&estimator, &[0.2 / 60.0, 0.5, 0.02]);
    let full: Vec<f64> = curve.iter().map(|value| 4.0 * value).collect();
    let fit = one(&estimator, &full, &[]);
    assert_eq!(fit.status, FitStatus::AnotherAtBound);
    assert!((fit.estimates[1] - 1.0).abs() < 1e-9 && fit.unscaled_covariance[0].is_nan());
    // Plasma that would have to be taken away.
    let plasma = estimator.convolution.plasma_mmol_per_l();
    let less: Vec<f64> = curve.iter().zip(plasma).map(|(c, p)| c - 0.05 * p).collect();
    let fit = one(&estimator, &less, &[]);
    assert_eq!(fit.status, FitStatus::AnotherAtBound);
    assert!(fit.estimates[2].abs() < 1e-300 && fit.unscaled_covariance[8].is_nan());
    assert!(fit.unscaled_covariance[0] > 0.0);
    // No agent at all.
    for curve in [vec![0.0; N_FRAMES], vec![-1.0; N_FRAMES]] {
        let fit = one(&estimator, &curve, &[]);
        assert_eq!(fit.status, FitStatus::AtLowerBound);
        assert_eq!(fit.estimates.iter().filter(|value| value.abs() > 0.0).count(), 0);
    }
}

#[test]
fn hostile_samples_have_a_status_and_harm_no_neighbour() {
    let estimator = estimator(TissueModel::ExtendedTofts, signals(T10Source::PerVoxel));
    let n_lanes = 83;
    let samples = block(&estimator, n_lanes, 0.5);
    let fixed = vec![T10_S; n_lanes];
    let before = run(&estimator, &samples, &fixed);
    let (mut spoiled, mut spoiled_t10) = (samples.clone(), fixed.clone());
    let mut spoil = |lane: usize, frame: usize, value: f64| spoiled[frame * n_lanes + lane] = value;
    spoil(0, 20, f64::NAN);
    spoil(9, 20, f64::INFINITY);
    spoil(17, 30, 1e5);
    spoil(25, 30, -1.0);
    (0..N_FRAMES).for_each(|k| spoil(33, k, 0.0));
    spoiled_t10[41] = 0.0;
    spoiled_t10[49] = f64::NAN;
    let expected = [
        (0, FitStatus::NonFinite),
        (9, FitStatus::NonFinite),
        (17, FitStatus::Saturated),
        (25, FitStatus::Saturated),
        (33, FitStatus::NoSignal),
        (41, FitStatus::FixedInvalid),
        (49, FitStatus::FixedInvalid),
    ];
    let after = run(&estimator, &spoiled, &spoiled_t10);
    for lane in 0..n_lanes {
        match expected.iter().find(|(spoiled, _)| *spoiled == lane) {
            Some((_, status)) => {
                assert_eq!(after.status[lane], *status);
                assert!(after.estimates.iter().all(|column| column[lane].is_nan()));
            }
            None => {
                for (one, other) in after.estimates.iter().zip(&before.estimates) {
                    let difference = (one[lane] - other[lane]).abs();
                    // A neighbour's odd path may take a Newton step more or less.
                    assert!(difference <= 1e-9 * other[lane].abs() + 1e-12);
                }
            }
        }
    }
}

#[test]
fn blocks_and_single_voxels_agree() {
    for model in BOTH {
        let estimator = estimator(model, signals(T10Source::Uniform(T10_S)));
        let samples = block(&estimator, 64, 1.0);
        let fits = run(&estimator, &samples, &[]);
        for lane in 0..64 {
            let single = one(&estimator, &voxel(&samples, lane), &[]);
            assert_eq!(single.status, fits.status[lane]);
            for (column, estimate) in fits.estimates.iter().zip(&single.estimates) {
                assert!((column[lane] - estimate).abs() <= 1e-7 * estimate.abs() + 1e-10);
            }
        }
    }
}

#[test]
fn expected_signals_are_those_of_the_model() {
    let estimator = estimator(TissueModel::ExtendedTofts, signals(T10Source::Uniform(T10_S)));
    let samples = voxel_curve(&estimator, &tissue(1));
    let fit = one(&estimator, &samples, &[]);
    let mut expected = vec![f64::NAN; N_FRAMES];
    let voxel = VoxelData { samples: &samples, fixed: &[] };
    estimator.expected(voxel, &fit, &mut vec![0.0; estimator.scratch_len()], &mut expected);
    for (one, other) in expected.iter().zip(&samples) {
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    }
}

#[test]
fn settings_that_cannot_work_are_named() {
    let settings = |protocol: Dynamic, samples| ExchangeSettings {
        protocol,
        tissue: TissueModel::ExtendedTofts,
        samples,
    };
    let field = |settings: &ExchangeSettings| {
        ExchangeEstimator::new(settings).unwrap_err().field().map(str::to_owned)
    };
    let bare = Dynamic::new((0..60).map(f64::from).collect(), 0.004, 0.26).unwrap();
    let concentrations = settings(bare, TissueSamples::Concentrations);
    assert_eq!(field(&concentrations).as_deref(), Some("plasma_curve"));
    let unknown = settings(protocol(), signals(T10Source::Unknown));
    assert_eq!(field(&unknown).as_deref(), Some("t10_s"));
    let late = TissueSamples::Signals {
        relaxivity_per_s_per_mm: 4.5,
        t10: T10Source::Uniform(T10_S),
        arrival_s: 100.0,
    };
    assert_eq!(field(&settings(protocol(), late)).as_deref(), Some("arrival_s"));
}
