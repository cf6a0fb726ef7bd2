//! Any samples give a status; bounds are kept and flagged.

use super::*;

fn hostile(n: usize, stream: &mut Stream) -> Vec<Vec<f64>> {
    let one_hot = |place: usize, height: f64| {
        (0..n).map(|k| if k == place { height } else { 0.0 }).collect::<Vec<f64>>()
    };
    let mut voxels = vec![
        vec![0.0; n],
        vec![-0.0; n],
        vec![5.0; n],
        vec![-5.0; n],
        vec![1e300; n],
        vec![f64::MAX; n],
        vec![f64::MIN_POSITIVE; n],
        vec![5e-324; n],
        (0..n).map(|k| if k == 0 { 1e12 } else { 1.0 }).collect(),
        (0..n).map(|k| if k == n - 1 { 1e12 } else { 1.0 }).collect(),
        (0..n).map(|k| if k == 1 { 1e-300 } else { -1.0 }).collect(),
        (0..n).map(|k| if k % 2 == 0 { 1.0 } else { -1.0 }).collect(),
        (0..n).map(|k| if k == 1 { f64::NAN } else { 1.0 }).collect(),
        (0..n).map(|k| if k == 1 { f64::INFINITY } else { 1.0 }).collect(),
        (0..n).map(|k| if k == 0 { f64::NEG_INFINITY } else { 1.0 }).collect(),
    ];
    voxels.extend((0..n).flat_map(|k| [one_hot(k, 1.0), one_hot(k, 1e-200), one_hot(k, 1e200)]));
    for _ in 0..150 {
        voxels.push((0..n).map(|_| stream.normal()).collect());
    }
    voxels
}

#[test]
fn any_samples_give_a_status_and_estimates_inside_the_bounds() {
    for_each(|entry, protocol, model| {
        let mut stream = StreamKey::new(6, entry.name).stream(0, 0);
        let voxels = hostile(model.n_samples(), &mut stream);
        for_each_method(entry, protocol, 0.3, |method, estimator| {
            for samples in &voxels {
                let fit = run(&*estimator, samples);
                let place = format!("{} {method:?} {samples:?} {fit:?}", entry.name);
                let finite = samples.iter().all(|sample| sample.is_finite());
                assert_eq!(fit.status == FitStatus::NonFinite, !finite, "{place}");
                if finite && samples.iter().all(|&sample| sample <= 0.0) {
                    assert_eq!(fit.status, FitStatus::NoSignal, "{place}");
                }
                for (parameter, &estimate) in entry.parameters.iter().zip(&fit.estimates) {
                    let [low, high] = parameter.bounds;
                    assert_eq!(estimate.is_nan(), !fit.status.has_estimate(), "{place}");
                    assert!(estimate.is_nan() || low <= estimate && estimate <= high, "{place}");
                }
            }
        });
    });
}

/// Bounds of `parameter` that leave the truth outside, below or above.
fn excluding(entry: &ModelEntry, parameter: usize, truth: f64, is_above: bool) -> FitSettings {
    let [low, high] = entry.parameters[parameter].bounds;
    let span = entry.recoverable[parameter][1] - entry.recoverable[parameter][0];
    let pair = if is_above { [truth + 0.2 * span, high] } else { [low, truth - 0.2 * span] };
    let bounds = vec![(entry.parameters[parameter].name.to_owned(), pair)];
    FitSettings { bounds, ..FitSettings::default() }
}

#[test]
fn a_headline_that_is_pushed_against_its_bound_says_so() {
    for_each(|entry, protocol, model| {
        let middle: Vec<f64> = entry.recoverable.iter().map(|[a, b]| 0.5 * (a + b)).collect();
        let samples = signal(&*model, &middle);
        for is_above in [false, true] {
            let own = excluding(entry, 0, middle[0], is_above);
            let bound = own.bounds[0].1[usize::from(!is_above)];
            let status = if is_above { FitStatus::AtLowerBound } else { FitStatus::AtUpperBound };
            for method in FitMethod::ALL {
                let own = FitSettings { method, sigma: Some(1e-3 * samples[0]), ..own.clone() };
                let Ok(estimator) = estimator(entry, protocol, &own) else { continue };
                let fit = run(&*estimator, &samples);
                let place = format!("{} {method:?} {own:?} {fit:?}", entry.name);
                assert_eq!(fit.status, status, "{place}");
                assert!((fit.estimates[0] / bound - 1.0).abs() < 1e-12, "{place}");
            }
        }
    });
}

#[test]
fn another_parameter_that_is_pushed_against_its_bound_says_so() {
    for_each(|entry, protocol, model| {
        let middle: Vec<f64> = entry.recoverable.iter().map(|[a, b]| 0.5 * (a + b)).collect();
        let samples = signal(&*model, &middle);
        for (parameter, truth) in middle.iter().enumerate().skip(1) {
            let own = excluding(entry, parameter, *truth, false);
            for method in [FitMethod::NonlinearLeastSquares, FitMethod::General] {
                let own = FitSettings { method, ..own.clone() };
                let fit = run(&*estimator(entry, protocol, &own).unwrap(), &samples);
                let place = format!("{} {method:?} {own:?} {fit:?}", entry.name);
                // The others may be pushed far off, but what is reported is inside and flagged.
                assert_ne!(fit.status, FitStatus::Converged, "{place}");
                assert!(
                    fit.estimates[parameter].is_nan()
                        || fit.estimates[parameter] <= own.bounds[0].1[1]
                );
            }
        }
    });
}

#[test]
fn too_few_samples_are_refused_before_any_voxel() {
    use biomarker::acquisition::{Diffusion, MultiEcho, VariableFlipAngle};
    for entry in MODELS {
        let short = match (entry.example_protocols)().unwrap()[0] {
            Protocol::Diffusion(_) => {
                Protocol::Diffusion(Diffusion::new(vec![0.0, 800.0]).unwrap())
            }
            Protocol::MultiEcho(_) => {
                Protocol::MultiEcho(MultiEcho::new(vec![0.01, 0.02]).unwrap())
            }
            Protocol::VariableFlipAngle(_) => {
                Protocol::VariableFlipAngle(VariableFlipAngle::new(vec![0.05, 0.2], 0.005).unwrap())
            }
            Protocol::Dynamic(_) => continue,
        };
        for method in FitMethod::ALL {
            let built = estimator(entry, &short, &settings(method, 1.0));
            assert!(entry.parameters.len() <= 2 || built.is_err(), "{} {method:?}", entry.name);
        }
    }
}
