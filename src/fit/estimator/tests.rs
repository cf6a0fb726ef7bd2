use super::*;
use crate::model::{Fit, FitStatus, VoxelData, find};

fn diffusion(b_values: &[f64]) -> Protocol {
    Protocol::Diffusion(Diffusion::new(b_values.to_vec()).unwrap())
}

fn fit(estimator: &dyn Estimator, samples: &[f64]) -> Fit {
    let mut fit = Fit::new(estimator.parameters().len());
    let mut scratch = vec![0.0; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed: &[] }, &mut scratch, &mut fit);
    fit
}

fn adc(b_values: &[f64], settings: &FitSettings) -> Box<dyn Estimator> {
    estimator(find("adc").unwrap(), &diffusion(b_values), settings).unwrap()
}

/// All that fit two samples of an exponential.
const METHODS: [FitMethod; 7] = [
    FitMethod::NonlinearLeastSquares,
    FitMethod::RicianLikelihood,
    FitMethod::IteratedLogLinear,
    FitMethod::WeightedLogLinear,
    FitMethod::LogLinear,
    FitMethod::TwoPoint,
    FitMethod::General,
];

fn with_method(method: FitMethod) -> FitSettings {
    FitSettings { method, sigma: Some(1e-3), ..FitSettings::default() }
}

#[test]
fn every_method_solves_two_samples_exactly_and_leaves_no_degree_of_freedom() {
    for method in METHODS {
        let fit = fit(&*adc(&[0.0, 800.0], &with_method(method)), &[1000.0, 449.329]);
        assert_eq!(fit.status, FitStatus::Converged, "{method:?}");
        assert!((fit.estimates[0] - 1.0e-3).abs() < 1e-9, "{method:?} {fit:?}");
        assert!((fit.estimates[1] - 1000.0).abs() < 1e-6);
        assert_eq!(fit.degrees_of_freedom, 0);
        assert!(fit.residual_variance().is_nan());
        // u = √(1 + e^(2x)) / (x·SNR) holds for all of them: one solution, one covariance.
        let x = 800.0 * fit.estimates[0];
        let bound = (1.0 + (2.0 * x).exp()).sqrt() / 800.0 / 1000.0;
        assert!((fit.unscaled_covariance[0].sqrt() / bound - 1.0).abs() < 1e-7, "{method:?}");
    }
}

#[test]
fn samples_below_the_least_b_value_are_neither_seen_nor_lost() {
    let settings = FitSettings { b_value_min_s_per_mm2: Some(100.0), ..FitSettings::default() };
    let estimator = adc(&[0.0, 100.0, 400.0, 800.0], &settings);
    let decay = [100.0, 400.0, 800.0].map(|b: f64| 700.0 * (-1.2e-3 * b).exp());
    for first in [5000.0, f64::NAN] {
        let samples = [first, decay[0], decay[1], decay[2]];
        let fit = fit(&*estimator, &samples);
        assert!((fit.estimates[0] / 1.2e-3 - 1.0).abs() < 1e-12);
        assert_eq!(fit.degrees_of_freedom, 1);
        let mut expected = [0.0; 4];
        let mut scratch = vec![0.0; estimator.scratch_len()];
        let voxel = VoxelData { samples: &samples, fixed: &[] };
        estimator.expected(voxel, &fit, &mut scratch, &mut expected);
        assert!((expected[0] - 700.0).abs() < 1e-9 && (expected[3] - decay[2]).abs() < 1e-9);
    }
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_field() {
    let entry = find("adc").unwrap();
    let refuse = |settings: FitSettings| {
        let protocol = diffusion(&[0.0, 800.0]);
        estimator(entry, &protocol, &settings).err().unwrap().to_string()
    };
    let bounds = |name: &str, pair| FitSettings {
        bounds: vec![(name.into(), pair)],
        ..FitSettings::default()
    };
    let adc = "apparent_diffusion_coefficient";
    assert_eq!(refuse(bounds("t2", [0.0, 1.0])), "`bounds.t2`: model `adc` has no such parameter");
    assert_eq!(
        refuse(bounds(adc, [2.0, 1.0])),
        "`bounds.apparent_diffusion_coefficient`: lower bound 2 is not below upper bound 1"
    );
    assert!(refuse(bounds(adc, [0.0, f64::INFINITY])).contains("must be finite"));
    let settings = FitSettings { b_value_min_s_per_mm2: Some(500.0), ..FitSettings::default() };
    assert_eq!(
        refuse(settings.clone()),
        "`b_value_min_s_per_mm2`: 500 leaves fewer than two different b-values of [0.0, 800.0]"
    );
    let echoes = Protocol::MultiEcho(MultiEcho::new(vec![0.01, 0.02]).unwrap());
    let error = estimator(find("t2").unwrap(), &echoes, &settings).err().unwrap();
    assert!(error.to_string().contains("a MultiEcho series has no b-values"));
    assert!(FitMethod::from_name("ols").unwrap_err().hint_text().unwrap().contains("wlls"));
    assert_eq!(FitMethod::from_name("lls").unwrap(), FitMethod::LogLinear);
}

#[test]
fn own_bounds_replace_those_of_the_model() {
    let pair = [0.0, 1e-3];
    for method in METHODS {
        let settings = FitSettings {
            bounds: vec![("apparent_diffusion_coefficient".into(), pair)],
            ..with_method(method)
        };
        let estimator = adc(&[0.0, 400.0, 800.0], &settings);
        let fit = fit(&*estimator, &[1000.0, 400.0, 150.0]);
        assert_eq!(fit.status, FitStatus::AtUpperBound, "{method:?}");
        assert!((fit.estimates[0] - 1e-3).abs() < 1e-18);
    }
}

#[test]
fn logarithms_drop_samples_that_are_not_positive() {
    let b_values = [0.0, 200.0, 400.0, 800.0];
    for method in [FitMethod::LogLinear, FitMethod::WeightedLogLinear] {
        let estimator = adc(&b_values, &with_method(method));
        let clean = b_values.map(|b| 500.0 * (-1e-3 * b).exp());
        let kept = fit(&*estimator, &[clean[0], -3.0, clean[2], 0.0]);
        assert!((kept.estimates[0] / 1e-3 - 1.0).abs() < 1e-12);
        assert_eq!(kept.degrees_of_freedom, 0);
        let lost = fit(&*estimator, &[clean[0], -3.0, 0.0, 0.0]);
        assert_eq!(lost.status, FitStatus::NoSignal);
    }
    let two_point = adc(&b_values, &with_method(FitMethod::TwoPoint));
    assert_eq!(fit(&*two_point, &[500.0, 1.0, 1.0, 0.0]).status, FitStatus::NoSignal);
}

#[test]
fn two_point_uses_the_means_at_both_ends() {
    let estimator = adc(&[0.0, 0.0, 400.0, 800.0, 800.0], &with_method(FitMethod::TwoPoint));
    let fit = fit(&*estimator, &[900.0, 1100.0, 1.0, 440.0, 460.0]);
    assert!((fit.estimates[0] - (1000.0_f64 / 450.0).ln() / 800.0).abs() < 1e-15);
    assert_eq!(fit.degrees_of_freedom, 2);
    assert!((fit.residual_sum_of_squares - 20_200.0).abs() < 1e-6);
}

fn echoes(times_s: &[f64]) -> Protocol {
    Protocol::MultiEcho(MultiEcho::new(times_s.to_vec()).unwrap())
}

fn choice(skip_first_echo: bool, truncate_below_noise: bool) -> FitSettings {
    let echoes = EchoChoice { skip_first_echo, truncate_below_noise };
    FitSettings { echoes, sigma: Some(10.0), ..FitSettings::default() }
}

#[test]
fn the_first_echo_is_skipped_by_its_time_and_not_by_its_place() {
    let times_s = [0.03, 0.01, 0.02, 0.05];
    let t2 = estimator(find("t2").unwrap(), &echoes(&times_s), &choice(true, false)).unwrap();
    let mut samples = times_s.map(|time| 800.0 * (-time / 0.04_f64).exp());
    samples[1] = 5000.0;
    let fit = fit(&*t2, &samples);
    assert!((fit.estimates[0] / 0.04 - 1.0).abs() < 1e-12);
    assert_eq!(fit.degrees_of_freedom, 1);
}

#[test]
fn echoes_below_three_noise_levels_are_dropped_and_three_are_kept() {
    let times_s = [0.06, 0.01, 0.02, 0.03, 0.04, 0.05];
    let t2 = estimator(find("t2").unwrap(), &echoes(&times_s), &choice(false, true)).unwrap();
    // 1000·e^(−TE/10 ms): 368, 135, 50, 18, … against 3σ = 30, with a floor of 18 on the rest.
    let samples = times_s.map(|time| (1000.0 * (-time / 0.01_f64).exp()).max(18.0));
    let fitted = fit(&*t2, &samples);
    assert_eq!(fitted.degrees_of_freedom, 1);
    assert!((fitted.estimates[0] / 0.01 - 1.0).abs() < 1e-10, "{fitted:?}");
    let steep = times_s.map(|time| 1000.0 * (-time / 0.004_f64).exp());
    assert_eq!(fit(&*t2, &steep).degrees_of_freedom, 1);
    let high = samples.map(|sample| 100.0 + sample);
    assert_eq!(fit(&*t2, &high).degrees_of_freedom, 4);
    let both = estimator(find("t2").unwrap(), &echoes(&times_s), &choice(true, true)).unwrap();
    assert_eq!(fit(&*both, &samples).degrees_of_freedom, 1);
}

#[test]
fn choices_that_do_not_suit_the_series_are_refused() {
    let refuse = |name: &str, protocol: &Protocol, settings: FitSettings| {
        estimator(find(name).unwrap(), protocol, &settings).err().unwrap().to_string()
    };
    let train = echoes(&[0.01, 0.02, 0.03, 0.04, 0.05]);
    assert_eq!(
        refuse("adc", &diffusion(&[0.0, 800.0]), choice(true, false)),
        "`skip_first_echo`: a Diffusion series has no echo times"
    );
    assert_eq!(
        refuse("adc", &diffusion(&[0.0, 800.0]), choice(false, true)),
        "`truncate_below_noise`: a Diffusion series has no echo times"
    );
    assert_eq!(
        refuse("t2_offset", &train, choice(false, true)),
        "`truncate_below_noise`: model `t2_offset` has its own answer to the noise floor"
    );
    assert_eq!(
        refuse("t2", &echoes(&[0.01, 0.02]), choice(true, false)),
        "`skip_first_echo`: leaves fewer than two different echo times of [0.01, 0.02]"
    );
    for mut settings in [choice(false, true), with_method(FitMethod::RicianLikelihood)] {
        settings.sigma = None;
        let text = refuse("t2", &train, settings);
        assert!(text.starts_with("`sigma`: `") && text.contains("needs the noise level"), "{text}");
    }
    assert!(
        refuse("t2", &train, with_method(FitMethod::Segmented)).contains("needs a model with a")
    );
    assert!(
        refuse("t2_offset", &echoes(&[0.01, 0.02, 0.03]), FitSettings::default())
            .contains("at least four are needed")
    );
    assert!(
        refuse("ivim", &diffusion(&[0.0, 50.0, 800.0]), FitSettings::default())
            .contains("at least four different b-values")
    );
}
