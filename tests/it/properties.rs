//! What every model of the registry must do, whichever it is.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use argmin::core::{CostFunction, Executor};
use argmin::solver::neldermead::NelderMead;
use biomarker::acquisition::{Diffusion, MultiEcho, Protocol, ProtocolKind, VariableFlipAngle};
use biomarker::fit::{FitMethod, FitSettings, estimator};
use biomarker::model::{Estimator, Fit, FitStatus, MODELS, Model, ModelEntry, VoxelData};
use biomarker::random::{Stream, StreamKey};

/// Protocols that a model is held to, from the fewest samples to many.
fn protocols(kind: ProtocolKind) -> Vec<Protocol> {
    let diffusion = |b: &[f64]| Protocol::Diffusion(Diffusion::new(b.to_vec()).unwrap());
    let echoes = |t: &[f64]| Protocol::MultiEcho(MultiEcho::new(t.to_vec()).unwrap());
    let flips = |degrees: &[f64]| {
        let flips = degrees.iter().map(|angle| angle.to_radians()).collect();
        Protocol::VariableFlipAngle(VariableFlipAngle::new(flips, 0.005).unwrap())
    };
    match kind {
        ProtocolKind::Diffusion => vec![
            diffusion(&[0.0, 800.0]),
            diffusion(&[800.0, 50.0, 400.0]),
            diffusion(&[0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0, 800.0]),
        ],
        ProtocolKind::MultiEcho => vec![
            echoes(&[0.02, 0.08]),
            echoes(&[0.01, 0.02, 0.03, 0.04, 0.05, 0.06]),
            echoes(&[0.0138, 0.0276, 0.0414, 0.0552, 0.069, 0.0828]),
        ],
        ProtocolKind::VariableFlipAngle => {
            vec![flips(&[3.0, 15.0]), flips(&[2.0, 5.0, 10.0, 15.0, 20.0, 30.0])]
        }
        ProtocolKind::Dynamic => Vec::new(),
    }
}

/// Headline values that the protocols above can tell apart: the claim of recovery ends there.
fn headline_range(entry: &ModelEntry) -> [f64; 2] {
    match entry.name {
        "adc" => [-0.3e-3, 5e-3],
        "t2" => [8e-3, 0.6],
        "t1_vfa" => [0.02, 6.0],
        // A new model states here what range it is held to; NaN fails every test.
        _ => [f64::NAN; 2],
    }
}

/// Every model on every protocol of its kind.
fn for_each(mut check: impl FnMut(&ModelEntry, &Protocol, Box<dyn Model>)) {
    // Models of a dynamic series need a plasma curve and three parameters: their own tests hold them.
    for entry in MODELS.iter().filter(|entry| entry.protocol != ProtocolKind::Dynamic) {
        let protocols = protocols(entry.protocol);
        assert!(!protocols.is_empty(), "{} needs a protocol here", entry.name);
        for protocol in protocols {
            check(entry, &protocol, (entry.build)(&protocol).unwrap());
        }
    }
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

fn draw(entry: &ModelEntry, stream: &mut Stream) -> [f64; 2] {
    let [low, high] = headline_range(entry);
    let headline = if low > 0.0 {
        low * (high / low).powf(stream.uniform())
    } else {
        low + (high - low) * stream.uniform()
    };
    [headline, 10.0_f64.powf(1.0 + 4.0 * stream.uniform())]
}

fn signal(model: &dyn Model, parameters: &[f64]) -> Vec<f64> {
    let mut signal = vec![0.0; model.n_samples()];
    model.signal(parameters, &[], &mut signal);
    signal
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
                let (mut low, mut high) = (parameters, parameters);
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

#[test]
fn parameters_come_back_from_signals_without_noise() {
    for_each(|entry, protocol, model| {
        for method in [FitMethod::NonlinearLeastSquares, FitMethod::General] {
            let estimator = build(entry, protocol, method);
            for index in 0..300 {
                let truth = draw(entry, &mut StreamKey::new(2, entry.name).stream(index, 0));
                let samples = signal(&*model, &truth);
                let fit = run(&*estimator, &samples);
                assert_eq!(fit.status, FitStatus::Converged, "{} {truth:?}", entry.name);
                for (parameter, truth) in truth.iter().enumerate() {
                    let error = (fit.estimates[parameter] - truth).abs();
                    // Samples are rounded: their 2⁻⁵² times what a sample does to the estimate.
                    let rounding = 64.0
                        * f64::EPSILON
                        * samples.iter().copied().fold(0.0, f64::max)
                        * fit.unscaled_covariance[parameter * 3].sqrt();
                    let limit = 1e-12 * truth.abs() + rounding;
                    // The general path ends where the sum of squares is 0 in 64-bit.
                    let limit = if method == FitMethod::General {
                        1e-9 * truth.abs() + 10.0 * rounding
                    } else {
                        limit
                    };
                    assert!(error < limit, "{} {method:?} {truth} {fit:?}", entry.name);
                    assert!(error < 1e-9 * truth.abs().max(1e-3 * headline_range(entry)[1]));
                }
            }
        }
    });
}

#[test]
fn the_order_and_the_scale_of_samples_do_not_matter() {
    let entry = &MODELS[0];
    let b_values = [0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0];
    let order = [3, 6, 0, 5, 1, 4, 2];
    let protocol = |b: &[f64]| Protocol::Diffusion(Diffusion::new(b.to_vec()).unwrap());
    let sorted = build(entry, &protocol(&b_values), FitMethod::default());
    let shuffled = build(entry, &protocol(&order.map(|k| b_values[k])), FitMethod::default());
    for voxel in 0..200 {
        let mut stream = StreamKey::new(3, "order").stream(voxel, 0);
        let samples = b_values.map(|b| 800.0 * (-1e-3 * b).exp() + 40.0 * stream.normal());
        let reference = run(&*sorted, &samples);
        let permuted = run(&*shuffled, &order.map(|k| samples[k]));
        assert!((permuted.estimates[0] / reference.estimates[0] - 1.0).abs() < 1e-11);
        for scale in [1e-6, 20.0, 1e6] {
            let scaled = run(&*sorted, &samples.map(|sample| sample * scale));
            assert_eq!(scaled.status, reference.status);
            assert!((scaled.estimates[0] / reference.estimates[0] - 1.0).abs() < 1e-11);
            assert!((scaled.estimates[1] / reference.estimates[1] / scale - 1.0).abs() < 1e-11);
            let errors = scaled.unscaled_covariance[0] * scale * scale;
            assert!((errors / reference.unscaled_covariance[0] - 1.0).abs() < 1e-9);
        }
    }
}

/// Tissue at SNR 15 to 100: one valley, which both paths must find to the bottom.
#[test]
fn the_general_path_lands_where_variable_projection_does() {
    for_each(|entry, protocol, model| {
        let fast = build(entry, protocol, FitMethod::NonlinearLeastSquares);
        let general = build(entry, protocol, FitMethod::General);
        let mut n_compared = 0;
        for voxel in 0..300 {
            let mut stream = StreamKey::new(4, entry.name).stream(voxel, 0);
            let clean = signal(&*model, &draw(entry, &mut stream));
            let top = clean.iter().copied().fold(0.0, f64::max);
            let sigma = top / (15.0 + 85.0 * stream.uniform());
            let samples: Vec<f64> =
                clean.iter().map(|sample| sample + sigma * stream.normal()).collect();
            let (a, b) = (run(&*fast, &samples), run(&*general, &samples));
            let total: f64 = samples.iter().map(|sample| sample * sample).sum();
            let place = format!("{} {samples:?} {a:?} {b:?}", entry.name);
            let difference = b.residual_sum_of_squares - a.residual_sum_of_squares;
            if a.status != FitStatus::Converged {
                // The optimum lies at a bound. The general path may give up on the long way along a
                // curved valley, but must not find anything better.
                assert!(!b.status.has_estimate() || difference > -1e-12 * total, "{place}");
                continue;
            }
            assert_eq!(b.status, FitStatus::Converged, "{place}");
            assert!(difference > -1e-12 * total, "{place}");
            assert!(difference < 1e-9 * total, "{place}");
            let rate = |fit: &Fit| {
                if entry.name == "adc" { fit.estimates[0] } else { 1.0 / fit.estimates[0] }
            };
            let scale = rate(&a).abs().max(1e-4 * headline_range(entry)[1]);
            assert!((rate(&a) - rate(&b)).abs() < 1e-6 * scale, "{place}");
            n_compared += 1;
        }
        assert!(n_compared > 200, "{} {n_compared}", entry.name);
    });
}

/// Sum of squares of a voxel over (headline in its range, amplitude of order 1).
struct Cost<'a> {
    model: &'a dyn Model,
    samples: &'a [f64],
    unit: [f64; 2],
}

impl CostFunction for Cost<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        let model = signal(self.model, &[x[0] * self.unit[0], x[1] * self.unit[1]]);
        Ok(model.iter().zip(self.samples).map(|(m, s)| (m - s).powi(2)).sum())
    }
}

#[test]
fn nelder_mead_of_argmin_lands_there_too() {
    for_each(|entry, protocol, model| {
        if model.n_samples() < 6 {
            return;
        }
        let fast = build(entry, protocol, FitMethod::default());
        let [low, high] = headline_range(entry);
        let truth = [0.3 * low.max(0.2 * high) + 0.3 * high.min(0.5), 1000.0];
        for voxel in 0..20 {
            let mut stream = StreamKey::new(5, entry.name).stream(voxel, 0);
            let mut samples = signal(&*model, &truth);
            let top = samples.iter().copied().fold(0.0, f64::max);
            for sample in &mut samples {
                *sample += 0.02 * top * stream.normal();
            }
            let fit = run(&*fast, &samples);
            let cost = Cost { model: &*model, samples: &samples, unit: truth };
            let simplex = vec![vec![1.0, 1.0], vec![1.3, 1.0], vec![1.0, 1.3]];
            let solver = NelderMead::new(simplex).with_sd_tolerance(1e-12 * top).unwrap();
            let result =
                Executor::new(cost, solver).configure(|s| s.max_iters(1000)).run().unwrap();
            let best = result.state.best_param.unwrap();
            for parameter in 0..2 {
                // The simplex sees the square of the distance: half the digits.
                let ratio = best[parameter] * truth[parameter] / fit.estimates[parameter];
                assert!((ratio - 1.0).abs() < 1e-5, "{} {ratio} {fit:?}", entry.name);
            }
            assert!(fit.residual_sum_of_squares <= result.state.best_cost * (1.0 + 1e-12));
        }
    });
}

#[test]
fn any_samples_give_a_status_and_estimates_inside_the_bounds() {
    for_each(|entry, protocol, model| {
        let n = model.n_samples();
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
            (0..n).map(|k| if k == n - 1 { 1.0 } else { 0.0 }).collect(),
            (0..n).map(|k| if k == 1 { 1e-300 } else { -1.0 }).collect(),
            (0..n).map(|k| if k % 2 == 0 { 1.0 } else { -1.0 }).collect(),
            (0..n).map(|k| if k == 1 { f64::NAN } else { 1.0 }).collect(),
            (0..n).map(|k| if k == 1 { f64::INFINITY } else { 1.0 }).collect(),
        ];
        let mut stream = StreamKey::new(6, entry.name).stream(0, 0);
        for _ in 0..300 {
            voxels.push((0..n).map(|_| stream.normal()).collect());
        }
        for method in FitMethod::ALL {
            let settings = FitSettings { method, ..FitSettings::default() };
            let Ok(estimator) = estimator(entry, protocol, &settings) else {
                assert_eq!(entry.name, "t1_vfa", "only exponentials have a logarithm");
                continue;
            };
            for samples in &voxels {
                let fit = run(&*estimator, samples);
                let place = format!("{} {method:?} {samples:?} {fit:?}", entry.name);
                let finite = samples.iter().all(|sample| sample.is_finite());
                assert_eq!(fit.status == FitStatus::NonFinite, !finite, "{place}");
                if samples.iter().all(|&sample| sample <= 0.0) {
                    assert_eq!(fit.status, FitStatus::NoSignal, "{place}");
                }
                for (parameter, &estimate) in entry.parameters.iter().zip(&fit.estimates) {
                    let [low, high] = parameter.bounds;
                    assert_eq!(estimate.is_nan(), !fit.status.has_estimate(), "{place}");
                    assert!(estimate.is_nan() || low <= estimate && estimate <= high, "{place}");
                }
            }
        }
    });
}

#[test]
fn expected_samples_are_the_model_at_the_estimates() {
    for_each(|entry, protocol, model| {
        let estimator = build(entry, protocol, FitMethod::default());
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
            assert!((expected / wanted - 1.0).abs() < 1e-13);
        }
    });
}
