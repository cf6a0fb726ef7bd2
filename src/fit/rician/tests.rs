use super::*;
use crate::acquisition::{Diffusion, Protocol};
use crate::fit::{FitMethod, FitSettings, estimator};
use crate::model::find;
use crate::noise::rician;

const B_VALUES: [f64; 7] = [0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0];

fn adc(sigma: f64) -> Box<dyn Estimator> {
    let protocol = Protocol::Diffusion(Diffusion::new(B_VALUES.to_vec()).unwrap());
    let method = FitMethod::RicianLikelihood;
    let settings = FitSettings { method, sigma: Some(sigma), ..FitSettings::default() };
    estimator(find("adc").unwrap(), &protocol, &settings).unwrap()
}

fn run(estimator: &dyn Estimator, samples: &[f64]) -> Fit {
    let mut fit = Fit::new(2);
    let mut scratch = vec![0.0; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed: &[] }, &mut scratch, &mut fit);
    fit
}

#[test]
fn cost_is_the_density_and_its_slope_the_difference() {
    for m in [0.0, 0.3, 1.5, 4.0, 30.0] {
        for a in [0.2, 1.0, 3.5, 28.0] {
            if m > 0.0 {
                let by_density = rician::log_density(m, a, 1.0) - rician::log_density(m, 1.0, 1.0);
                let by_cost = Magnitude.cost(m, 1.0) - Magnitude.cost(m, a);
                assert!((by_density - by_cost).abs() < 1e-12 * (1.0 + by_cost.abs()));
            }
            let step = 1e-5 * a;
            let costs = [-step, 0.0, step].map(|step| Magnitude.cost(m, a + step));
            let [slope, weight] = Magnitude.slope_and_weight(m, a);
            // Rounding of the cost, 1e-14, over the step.
            assert!(((costs[2] - costs[0]) / (2.0 * step) - slope).abs() < 1e-8 * (1.0 + m * m));
            let by_slope = |a: f64| Magnitude.slope_and_weight(m, a)[0];
            let curvature = (by_slope(a + step) - by_slope(a - step)) / (2.0 * step);
            assert!((curvature.max(WEIGHT_MIN) - weight).abs() < 1e-6 * (1.0 + m * m), "{m} {a}");
        }
    }
}

#[test]
fn with_much_signal_it_is_least_squares_of_what_lies_above_the_floor() {
    // √(M² − σ²) is the likeliest amplitude of one magnitude to the second order in σ/M.
    let sigma = 1.0;
    let clean = B_VALUES.map(|b| 1000.0 * (-1e-3 * b).exp());
    let samples = clean.map(|a: f64| a.hypot(sigma));
    let fit = run(&*adc(sigma), &samples);
    assert_eq!(fit.status, FitStatus::Converged);
    assert!((fit.estimates[0] / 1e-3 - 1.0).abs() < 1e-9, "{fit:?}");
    assert!((fit.estimates[1] / 1000.0 - 1.0).abs() < 1e-9);
}

#[test]
fn standard_errors_grow_where_the_floor_hides_the_signal() {
    let clean = B_VALUES.map(|b| 1000.0 * (-2.5e-3 * b).exp());
    let magnitudes = |sigma: f64| clean.map(|a| rician::mean(a, sigma));
    let variance = |sigma: f64| run(&*adc(sigma), &magnitudes(sigma)).unscaled_covariance[0];
    assert!(variance(200.0) > 1.3 * variance(1.0));
    let negative = run(&*adc(20.0), &clean.map(|a| a - 200.0));
    assert!(negative.status.has_estimate(), "{negative:?}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let protocol = Protocol::Diffusion(Diffusion::new(B_VALUES.to_vec()).unwrap());
    let model = || (find("adc").unwrap().build)(&protocol).unwrap();
    for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = RicianFit::new(model(), adc(1.0), sigma).err().unwrap();
        assert!(error.to_string().contains("is not a positive number"));
    }
    let short = Protocol::Diffusion(Diffusion::new(vec![0.0, 800.0]).unwrap());
    let short = (find("adc").unwrap().build)(&short).unwrap();
    assert!(RicianFit::new(short, adc(1.0), 1.0).is_err());
}
