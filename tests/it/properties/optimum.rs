//! Whichever way it is looked for, the optimum is the same.

use super::*;
use argmin::core::{CostFunction, Executor};
use argmin::solver::neldermead::NelderMead;
use biomarker::solver::levenberg_marquardt::{LeastSquares, Limits, minimise};

/// Tissue at SNR 15 to 100: one valley, which both paths must find to the bottom.
#[test]
fn the_general_path_lands_where_variable_projection_does() {
    for_each(|entry, protocol, model| {
        if model.separable().is_none() {
            return;
        }
        let fast = build(entry, protocol, FitMethod::NonlinearLeastSquares);
        let general = build(entry, protocol, FitMethod::General);
        let mut n_compared = 0;
        for voxel in 0..300 {
            let mut stream = StreamKey::new(4, entry.name).stream(voxel, 0);
            let clean = signal(&*model, &draw(entry, &mut stream));
            let sigma = largest(&clean) / (15.0 + 85.0 * stream.uniform());
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
            let headline = model.separable().unwrap().headline;
            let rates = [&a, &b].map(|fit| headline.convert(fit.estimates[0]));
            let scale = rates[0].abs().max(1e-4 * entry.recoverable[0][1]);
            assert!((rates[0] - rates[1]).abs() < 1e-6 * scale, "{place}");
            n_compared += 1;
        }
        assert!(n_compared > 200, "{} {n_compared}", entry.name);
    });
}

/// Residuals of a model from samples.
struct Residuals<'a> {
    model: &'a dyn Model,
    samples: &'a [f64],
}

impl LeastSquares for Residuals<'_> {
    fn n_residuals(&self) -> usize {
        self.samples.len()
    }

    fn residuals(&self, parameters: &[f64], residuals: &mut [f64]) {
        self.model.signal(parameters, &[], residuals);
        for (residual, sample) in residuals.iter_mut().zip(self.samples) {
            *residual -= sample;
        }
    }

    fn jacobian(&self, parameters: &[f64], jacobian: &mut [f64]) {
        self.model.jacobian(parameters, &[], jacobian);
    }
}

/// The default fit, from its one start, is at least as deep as descents from twenty random ones.
#[test]
fn no_random_start_leads_deeper() {
    for_each(|entry, protocol, model| {
        let fit = build(entry, protocol, FitMethod::default());
        let bounds: Vec<[f64; 2]> = entry.parameters.iter().map(|p| p.bounds).collect();
        for voxel in 0..60 {
            let mut stream = StreamKey::new(9, entry.name).stream(voxel, 0);
            let (samples, _) = noisy(entry, &*model, &mut stream);
            let found = run(&*fit, &samples);
            assert!(found.status.has_estimate(), "{} {samples:?} {found:?}", entry.name);
            let problem = Residuals { model: &*model, samples: &samples };
            for _ in 0..20 {
                let start = draw(entry, &mut stream);
                let Ok(other) = minimise(&problem, &start, &bounds, Limits::default()) else {
                    continue;
                };
                let total: f64 = samples.iter().map(|sample| sample * sample).sum();
                assert!(
                    found.residual_sum_of_squares <= other.residual_sum_of_squares + 1e-12 * total,
                    "{} {samples:?} {found:?} {other:?}",
                    entry.name
                );
            }
        }
    });
}

/// Sum of squares of a voxel over parameters in units of the truth.
struct Cost<'a> {
    model: &'a dyn Model,
    samples: &'a [f64],
    unit: &'a [f64],
}

impl CostFunction for Cost<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        let parameters: Vec<f64> = x.iter().zip(self.unit).map(|(x, unit)| x * unit).collect();
        let model = signal(self.model, &parameters);
        Ok(model.iter().zip(self.samples).map(|(m, s)| (m - s).powi(2)).sum())
    }
}

#[test]
fn nelder_mead_of_argmin_lands_there_too() {
    for_each(|entry, protocol, model| {
        if model.n_samples() < 6 || model.separable().is_none() {
            return;
        }
        let fast = build(entry, protocol, FitMethod::default());
        let [low, high] = entry.recoverable[0];
        let truth = [0.3 * low.max(0.2 * high) + 0.3 * high.min(0.5), 1000.0];
        for voxel in 0..20 {
            let mut stream = StreamKey::new(5, entry.name).stream(voxel, 0);
            let mut samples = signal(&*model, &truth);
            let top = largest(&samples);
            for sample in &mut samples {
                *sample += 0.02 * top * stream.normal();
            }
            let fit = run(&*fast, &samples);
            let cost = Cost { model: &*model, samples: &samples, unit: &truth };
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
