use super::*;
use crate::random::StreamKey;

const T10_S: f64 = 1.2;

fn protocol(n: usize, step_s: f64) -> Dynamic {
    let times = (0..n).map(|k| k as f64 * step_s).collect();
    Dynamic::new(times, 0.004, 15_f64.to_radians()).unwrap()
}

fn settings(n: usize, step_s: f64, arrival_s: f64) -> IaucSettings {
    IaucSettings {
        protocol: protocol(n, step_s),
        relaxivity_per_s_per_mm: 4.5,
        t10: T10Source::Uniform(T10_S),
        arrival_s,
        window: IntegrationWindow::Seconds60,
        variant: IaucVariant::Concentration,
    }
}

/// Signals of `concentration(t)` with baseline signal 100.
fn signals(settings: &IaucSettings, concentration: impl Fn(f64) -> f64) -> Vec<f64> {
    let equation = SpoiledGradientEcho::new(&settings.protocol, 4.5).unwrap();
    let voxel = equation.with_baseline(100.0, T10_S).unwrap();
    let times = settings.protocol.frame_times_s();
    times.iter().map(|&t| voxel.signal(concentration(t))).collect()
}

/// Uptake to a plateau of about 1 mM, 0 before 30 s.
fn uptake(t: f64) -> f64 {
    if t < 30.0 { 0.0 } else { -(-(t - 30.0) / 12.0).exp_m1() }
}

fn run(estimator: &IaucEstimator, samples: &[f64], fixed: &[f64]) -> Fit {
    let mut fit = Fit::new(1);
    let mut scratch = vec![f64::NAN; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed }, &mut scratch, &mut fit);
    fit
}

#[test]
fn a_line_through_the_signal_equation_gives_1800_times_its_slope() {
    for arrival_s in [30.0, 31.3] {
        let settings = settings(50, 3.0, arrival_s);
        let samples = signals(&settings, |t| 0.02 * (t - arrival_s) * f64::from(t > 29.5));
        let estimator = IaucEstimator::new(&settings).unwrap();
        let fit = run(&estimator, &samples, &[]);
        assert_eq!(fit.status, FitStatus::Converged);
        // Round trips through the signal equation are good to 1e-11 mM.
        assert!((fit.estimates[0] - 36.0).abs() < 1e-9, "{}", fit.estimates[0]);
    }
}

#[test]
fn analytic_variance_is_that_of_monte_carlo() {
    let sigma = 1.0;
    let blood = BloodReference {
        curve: MeasuredCurve::new(vec![0.0, 80.0], vec![2.0, 2.0], Compartment::Blood).unwrap(),
        arrival_s: 0.0,
        hematocrit: Hematocrit::DEFAULT,
    };
    let variants = [
        IaucVariant::Concentration,
        IaucVariant::RelativeEnhancement,
        IaucVariant::BloodNormalised(blood),
    ];
    for (case, variant) in variants.into_iter().enumerate() {
        for arrival_s in [30.0, 31.9] {
            let settings =
                IaucSettings { variant: variant.clone(), ..settings(50, 3.0, arrival_s) };
            let estimator = IaucEstimator::new(&settings).unwrap();
            let truth = signals(&settings, uptake);
            let n = 20_000_u32;
            let (mut sum, mut squares, mut analytic) = (0.0, 0.0, 0.0);
            for replicate in 0..n {
                let mut stream = StreamKey::new(9, "variance").stream(case, replicate);
                let noisy: Vec<f64> = truth.iter().map(|s| s + sigma * stream.normal()).collect();
                let fit = run(&estimator, &noisy, &[]);
                sum += fit.estimates[0];
                squares += fit.estimates[0] * fit.estimates[0];
                analytic += fit.unscaled_covariance[0] * sigma * sigma;
            }
            let n = f64::from(n);
            let sampled = (squares - sum * sum / n) / (n - 1.0);
            // SD of a sampled variance is √(2/n) = 1 %; baseline SNR is 100, so curvature adds little.
            let ratio = analytic / n / sampled;
            assert!((ratio - 1.0).abs() < 0.04, "{ratio} for {variant:?} at {arrival_s}");
        }
    }
}

#[test]
fn variance_is_the_sum_of_squared_derivatives_of_the_estimate() {
    let settings = settings(40, 3.0, 31.9);
    let estimator = IaucEstimator::new(&settings).unwrap();
    let samples = signals(&settings, uptake);
    let mut total = 0.0;
    for k in 0..samples.len() {
        let at = |step: f64| {
            let mut moved = samples.clone();
            moved[k] += step;
            run(&estimator, &moved, &[]).estimates[0]
        };
        total += ((at(1e-4) - at(-1e-4)) / 2e-4).powi(2);
    }
    let variance = run(&estimator, &samples, &[]).unscaled_covariance[0];
    assert!((variance / total - 1.0).abs() < 1e-6, "{variance} {total}");
}

#[test]
fn scaling_the_signal_changes_neither_area_nor_relative_variance() {
    let settings = settings(40, 3.0, 30.0);
    let estimator = IaucEstimator::new(&settings).unwrap();
    let samples = signals(&settings, uptake);
    let scaled: Vec<f64> = samples.iter().map(|s| s * 7.3).collect();
    let (one, other) = (run(&estimator, &samples, &[]), run(&estimator, &scaled, &[]));
    assert!((one.estimates[0] - other.estimates[0]).abs() < 1e-11);
    let variance_ratio = one.unscaled_covariance[0] / other.unscaled_covariance[0];
    assert!((variance_ratio / (7.3 * 7.3) - 1.0).abs() < 1e-11);
}

#[test]
fn t10_of_each_voxel_counts_when_it_is_a_map() {
    let uniform = settings(40, 3.0, 30.0);
    let samples = signals(&uniform, uptake);
    let per_voxel = IaucSettings { t10: T10Source::PerVoxel, ..uniform.clone() };
    let estimator = IaucEstimator::new(&per_voxel).unwrap();
    assert_eq!(estimator.n_fixed(), 1);
    let expected = run(&IaucEstimator::new(&uniform).unwrap(), &samples, &[]);
    let fit = run(&estimator, &samples, &[T10_S]);
    assert_eq!(fit.estimates, expected.estimates);
    assert_eq!(fit.unscaled_covariance, expected.unscaled_covariance);
    for invalid in [&[0.0][..], &[f64::NAN], &[-1.0], &[1e4], &[]] {
        let fit = run(&estimator, &samples, invalid);
        assert_eq!(fit.status, FitStatus::FixedInvalid);
        assert!(fit.estimates[0].is_nan() && fit.unscaled_covariance[0].is_nan());
    }
}

#[test]
fn relative_enhancement_needs_no_t10_and_is_in_seconds() {
    let settings = IaucSettings {
        t10: T10Source::Unknown,
        variant: IaucVariant::RelativeEnhancement,
        ..settings(40, 3.0, 30.0)
    };
    let estimator = IaucEstimator::new(&settings).unwrap();
    let samples: Vec<f64> = (0..40).map(|k| if k < 10 { 50.0 } else { 125.0 }).collect();
    let fit = run(&estimator, &samples, &[]);
    assert!((fit.estimates[0] - 90.0).abs() < 1e-12);
    assert_eq!(estimator.parameters()[0].unit, Unit::Second);
    assert_eq!(estimator.n_fixed(), 0);
    let concentration = IaucSettings { variant: IaucVariant::Concentration, ..settings };
    let error = IaucEstimator::new(&concentration).unwrap_err();
    assert_eq!(error.field(), Some("t10_s"));
    assert!(error.hint_text().unwrap().contains("relative enhancement"));
}

#[test]
fn blood_normalised_divides_by_whole_blood_in_its_own_window() {
    let plain = settings(40, 3.0, 30.0);
    let samples = signals(&plain, uptake);
    let hematocrit = Hematocrit::new(0.4).unwrap();
    let curve = MeasuredCurve::new(vec![0.0, 100.0], vec![5.0, 5.0], Compartment::Plasma).unwrap();
    let blood = BloodReference { curve, arrival_s: 20.0, hematocrit };
    let variant = IaucVariant::BloodNormalised(blood.clone());
    let estimator = IaucEstimator::new(&IaucSettings { variant, ..plain.clone() }).unwrap();
    let fit = run(&estimator, &samples, &[]);
    let tissue = run(&IaucEstimator::new(&plain).unwrap(), &samples, &[]);
    assert!((fit.estimates[0] * 180.0 - tissue.estimates[0]).abs() < 1e-11);
    let ratio = tissue.unscaled_covariance[0] / fit.unscaled_covariance[0];
    assert!((ratio / 32_400.0 - 1.0).abs() < 1e-12);
    assert_eq!(estimator.parameters()[0].unit, Unit::One);
    let late = IaucVariant::BloodNormalised(BloodReference { arrival_s: 50.0, ..blood });
    let error = IaucEstimator::new(&IaucSettings { variant: late, ..plain }).unwrap_err();
    assert_eq!(error.field(), Some("blood"));
}

#[test]
fn a_series_that_ends_too_early_is_incomplete_and_never_extrapolated() {
    for (n, complete) in [(31, true), (30, false)] {
        let settings = settings(n, 3.0, 30.0);
        let estimator = IaucEstimator::new(&settings).unwrap();
        assert_eq!(estimator.window_is_complete(), complete);
        let fit = run(&estimator, &signals(&settings, uptake), &[]);
        assert_eq!(fit.status == FitStatus::WindowIncomplete, !complete);
        assert_eq!(fit.estimates[0].is_nan(), !complete);
    }
}

#[test]
fn one_saturated_frame_is_bridged_and_two_are_refused() {
    let settings = settings(45, 3.0, 30.0);
    let estimator = IaucEstimator::new(&settings).unwrap();
    let clean = signals(&settings, |t| 0.02 * (t - 30.0).max(0.0));
    for frame in [12, 20, 30, 29] {
        let mut samples = clean.clone();
        samples[frame] = 1e6;
        let fit = run(&estimator, &samples, &[]);
        assert_eq!(fit.status, FitStatus::Converged);
        assert!((fit.estimates[0] - 36.0).abs() < 1e-9, "a line has no loss in a bridge");
        samples[frame - 1] = -1.0;
        assert_eq!(run(&estimator, &samples, &[]).status, FitStatus::Saturated);
    }
    let mut samples = clean;
    (samples[40], samples[41]) = (1e6, 1e6);
    assert_eq!(run(&estimator, &samples, &[]).status, FitStatus::Converged);
}

#[test]
fn a_saturated_last_frame_that_nothing_bridges_is_refused() {
    let settings = settings(31, 3.0, 30.0);
    let estimator = IaucEstimator::new(&settings).unwrap();
    let mut samples = signals(&settings, uptake);
    samples[30] = 1e6;
    assert_eq!(run(&estimator, &samples, &[]).status, FitStatus::Saturated);
}

#[test]
fn samples_that_say_nothing_have_a_status() {
    let settings = settings(40, 3.0, 30.0);
    let estimator = IaucEstimator::new(&settings).unwrap();
    let samples = signals(&settings, uptake);
    let with = |frame: usize, value: f64| {
        let mut changed = samples.clone();
        changed[frame] = value;
        run(&estimator, &changed, &[]).status
    };
    assert_eq!(with(2, f64::NAN), FitStatus::NonFinite);
    assert_eq!(with(15, f64::INFINITY), FitStatus::NonFinite);
    assert_eq!(with(39, f64::NAN), FitStatus::Converged);
    assert_eq!(with(2, -1e4), FitStatus::NoSignal);
    assert_eq!(run(&estimator, &[0.0; 40], &[]).status, FitStatus::NoSignal);
    assert_eq!(run(&estimator, &[], &[]).status, FitStatus::NonFinite);
}

#[test]
fn negative_concentrations_are_kept() {
    let settings = settings(40, 3.0, 30.0);
    let samples = signals(&settings, |t| if t < 28.5 { 0.0 } else { -0.05 });
    let fit = run(&IaucEstimator::new(&settings).unwrap(), &samples, &[]);
    assert!((fit.estimates[0] + 3.0).abs() < 1e-9, "{}", fit.estimates[0]);
}

#[test]
fn residual_variance_is_that_of_the_baseline_frames() {
    let settings = settings(40, 3.0, 30.0);
    let estimator = IaucEstimator::new(&settings).unwrap();
    let mut samples = signals(&settings, uptake);
    for (k, sample) in samples.iter_mut().take(10).enumerate() {
        *sample = 100.0 + if k % 2 == 0 { 1.0 } else { -1.0 };
    }
    let fit = run(&estimator, &samples, &[]);
    assert!((fit.residual_variance() - 10.0 / 9.0).abs() < 1e-12);
    assert!(fit.r_squared().is_nan());
}

#[test]
fn expected_is_the_observed_signal() {
    let settings = settings(40, 3.0, 30.0);
    let estimator = IaucEstimator::new(&settings).unwrap();
    let samples = signals(&settings, uptake);
    let mut expected = vec![0.0; 40];
    let voxel = VoxelData { samples: &samples, fixed: &[] };
    estimator.expected(voxel, &Fit::new(1), &mut [], &mut expected);
    assert_eq!(expected, samples);
}

#[test]
fn metadata_name_the_window_and_the_unit() {
    let estimator = IaucEstimator::new(&settings(40, 3.0, 30.0)).unwrap();
    let [parameter] = estimator.parameters() else { panic!("one parameter") };
    assert_eq!(
        (parameter.name, parameter.short_name, parameter.unit, parameter.suffix),
        ("initial_area_under_curve_60", "iauc60", Unit::MillimolarSecond, "mimap")
    );
    assert_eq!(parameter.display_window.map(f64::to_bits), [0.0, 60.0].map(f64::to_bits));
    for window in IntegrationWindow::ALL {
        let parameter = super::parameter(window, &IaucVariant::Concentration);
        assert!(parameter.name.ends_with(&format!("_{}", window.duration_s())));
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let good = settings(40, 3.0, 30.0);
    let field = |settings: IaucSettings| {
        IaucEstimator::new(&settings).unwrap_err().field().unwrap().to_owned()
    };
    assert_eq!(field(IaucSettings { arrival_s: 4.0, ..good.clone() }), "arrival_s");
    assert_eq!(field(IaucSettings { t10: T10Source::Uniform(1200.0), ..good.clone() }), "t10_s");
    let relaxivity = IaucSettings { relaxivity_per_s_per_mm: 0.0, ..good };
    assert_eq!(field(relaxivity), "relaxivity_per_s_per_mm");
}
