//! Pseudo-experiments against what theory says of them.
//!
//! Two small estimators stand in for the fits: one in closed form, one by variable projection.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use biomarker::fit::Fits;
use biomarker::image::{Affine, Grid, Mask, Series, Volume};
use biomarker::model::{Estimator, Fit, FitStatus, Parameter, VoxelData};
use biomarker::noise::{NoiseDistribution, NoiseLevel, NoiseMethod, rician};
use biomarker::quality::{Criterion, GateInputs, gate};
use biomarker::random::StreamKey;
use biomarker::uncertainty::covariance::{
    mono_exponential_relative_uncertainty, required_signal_to_noise,
};
use biomarker::uncertainty::{
    ObservedVoxels, PseudoExperiments, Smear, Uncertainty, pseudo_experiment,
};
use biomarker::unit::Unit;

const GAUSSIAN: NoiseDistribution = NoiseDistribution::Gaussian;
const RICIAN: NoiseDistribution = NoiseDistribution::Rician;

/// D, 10⁻³ mm²/s, and S0; b in 10³ s/mm².
const PARAMETERS: [Parameter; 2] = [
    Parameter {
        name: "apparent_diffusion_coefficient",
        short_name: "adc",
        unit: Unit::SquareMillimetrePerSecond,
        suffix: "ADC",
        bounds: [-0.5, 6.0],
        display_window: [0.0, 3.0],
    },
    Parameter {
        name: "amplitude",
        short_name: "s0",
        unit: Unit::Arbitrary,
        suffix: "S0map",
        bounds: [0.0, f64::INFINITY],
        display_window: [0.0, 1.0],
    },
];

fn decay(b: &[f64], estimates: &[f64], expected: &mut [f64]) {
    for (signal, b) in expected.iter_mut().zip(b) {
        *signal = estimates[1] * (-b * estimates[0]).exp();
    }
}

/// D = ln(S₁/S₂) / (b₂ − b₁).
struct TwoPoint([f64; 2]);

impl Estimator for TwoPoint {
    fn parameters(&self) -> &[Parameter] {
        &PARAMETERS
    }

    fn n_samples(&self) -> usize {
        2
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn estimate(&self, voxel: VoxelData<'_>, _scratch: &mut [f64], fit: &mut Fit) {
        let (s, [b1, b2]) = (voxel.samples, self.0);
        if !(s[0] > 0.0 && s[1] > 0.0) {
            return fit.fail(FitStatus::NoSignal);
        }
        let rate = (s[0] / s[1]).ln() / (b2 - b1);
        fit.status = FitStatus::Converged;
        fit.estimates.copy_from_slice(&[rate, s[0] * (b1 * rate).exp()]);
    }

    fn expected(&self, _: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        decay(&self.0, &fit.estimates, expected);
    }
}

/// Least squares of S₀·e^(−bD): S₀ projected out, Newton in D, kept inside the bounds.
struct Projection(Vec<f64>);

impl Projection {
    /// Amplitude, slope and curvature of ½ Σ (S − S₀e)² in D at its best amplitude.
    fn at(&self, samples: &[f64], rate: f64) -> [f64; 3] {
        let mut m = [0.0; 6];
        for (&s, &b) in samples.iter().zip(&self.0) {
            let e = (-b * rate).exp();
            for (sum, term) in
                m.iter_mut().zip([s * e, e * e, b * s * e, b * e * e, b * b * s * e, b * b * e * e])
            {
                *sum += term;
            }
        }
        let amplitude = m[0] / m[1];
        let change = (2.0 * amplitude * m[3] - m[2]) / m[1];
        let slope = amplitude * (m[2] - amplitude * m[3]);
        let curvature =
            change * (m[2] - 2.0 * amplitude * m[3]) + amplitude * (2.0 * amplitude * m[5] - m[4]);
        [amplitude, slope, curvature]
    }
}

impl Estimator for Projection {
    fn parameters(&self) -> &[Parameter] {
        &PARAMETERS
    }

    fn n_samples(&self) -> usize {
        self.0.len()
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn estimate(&self, voxel: VoxelData<'_>, _scratch: &mut [f64], fit: &mut Fit) {
        let (s, last) = (voxel.samples, self.0.len() - 1);
        let [low, high] = PARAMETERS[0].bounds;
        let ratio = s[0].abs().max(1e-9) / s[last].abs().max(1e-9);
        let mut rate = (ratio.ln() / (self.0[last] - self.0[0])).clamp(low, high);
        let mut converged = false;
        for _ in 0..100 {
            let [_, slope, curvature] = self.at(s, rate);
            let step = if curvature > 0.0 { -slope / curvature } else { -slope.signum() * 0.2 };
            let next = (rate + step.clamp(-0.5, 0.5)).clamp(low, high);
            converged = (next - rate).abs() < 1e-10;
            rate = next;
            if converged {
                break;
            }
        }
        if !converged {
            return fit.fail(FitStatus::NotConverged);
        }
        fit.status = match rate {
            rate if rate <= low => FitStatus::AtLowerBound,
            rate if rate >= high => FitStatus::AtUpperBound,
            _ => FitStatus::Converged,
        };
        fit.estimates.copy_from_slice(&[rate, self.at(s, rate)[0]]);
    }

    fn expected(&self, _: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        decay(&self.0, &fit.estimates, expected);
    }
}

/// The mean of the samples: an estimator without a model, whose expected samples are the observed.
struct Mean(usize);

impl Estimator for Mean {
    fn parameters(&self) -> &[Parameter] {
        &PARAMETERS[1..]
    }

    fn n_samples(&self) -> usize {
        self.0
    }

    fn n_fixed(&self) -> usize {
        1
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn estimate(&self, voxel: VoxelData<'_>, _scratch: &mut [f64], fit: &mut Fit) {
        fit.status = FitStatus::Converged;
        fit.estimates[0] = voxel.fixed[0] * voxel.samples.iter().sum::<f64>() / self.0 as f64;
    }

    fn expected(&self, voxel: VoxelData<'_>, _: &Fit, _: &mut [f64], expected: &mut [f64]) {
        expected.copy_from_slice(voxel.samples);
    }
}

fn grid(n_voxels: usize) -> Grid {
    Grid::new([n_voxels, 1, 1], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap()
}

/// Samples of voxel v from `samples_of(v)`, and what `estimator` makes of them.
fn observe(
    estimator: &dyn Estimator,
    fixed: &[f64],
    n_voxels: usize,
    samples_of: impl Fn(usize) -> Vec<f64>,
) -> (Series, Fits) {
    let (n, p) = (estimator.n_samples(), estimator.parameters().len());
    let mut signals = vec![0.0; n * n_voxels];
    let mut fits = Fits {
        mask: Mask::full(grid(n_voxels)),
        estimates: vec![Vec::new(); p],
        standard_errors: vec![vec![f64::NAN; n_voxels]; p],
        status: Vec::new(),
        residual_sum_of_squares: vec![f64::NAN; n_voxels],
        r_squared: vec![f64::NAN; n_voxels],
        degrees_of_freedom: vec![0; n_voxels],
        evaluations: vec![0; n_voxels],
    };
    for voxel in 0..n_voxels {
        let (samples, mut fit) = (samples_of(voxel), Fit::new(p));
        estimator.estimate(VoxelData { samples: &samples, fixed }, &mut [], &mut fit);
        fits.status.push(fit.status);
        fits.estimates.iter_mut().zip(fit.estimates).for_each(|(column, e)| column.push(e));
        samples.iter().enumerate().for_each(|(k, s)| signals[k * n_voxels + voxel] = *s);
    }
    (Series::from_signals(grid(n_voxels), signals).unwrap(), fits)
}

fn noise(sigma: f64) -> NoiseLevel {
    NoiseLevel::new(sigma, RICIAN, NoiseMethod::Given, 0).unwrap()
}

fn signal(n_replicates: u32, distribution: NoiseDistribution) -> PseudoExperiments {
    PseudoExperiments { n_replicates, distribution, ..Default::default() }
}

/// Noise-free voxels with these rates and S0 = 1, smeared with `sigma`.
fn of_rates(
    (estimator, b): (&dyn Estimator, &[f64]),
    rates: &[f64],
    sigma: f64,
    settings: PseudoExperiments,
) -> Vec<Uncertainty> {
    let (series, fits) = observe(estimator, &[], rates.len(), |voxel| {
        let mut samples = vec![0.0; b.len()];
        decay(b, &[rates[voxel], 1.0], &mut samples);
        samples
    });
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let key = StreamKey::new(1, "coverage");
    pseudo_experiment::run(estimator, &observed, &noise(sigma), settings, key).unwrap()
}

#[test]
fn gaussian_smearing_agrees_with_cramer_rao_within_three_percent() {
    let rates = [0.54, 0.74, 1.2, 2.0, 2.8];
    // The bound is exact to first order in σ: at S0/σ = 200 the rest is far below 1 %.
    let sigma = 1.0 / 200.0;
    let seven = vec![0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8];
    let two = TwoPoint([0.0, 0.8]);
    let many = Projection(seven.clone());
    let pairs: [(&dyn Estimator, &[f64]); 2] = [(&two, &[0.0, 0.8]), (&many, &seven)];
    for (estimator, b) in pairs {
        let result = of_rates((estimator, b), &rates, sigma, signal(10_000, GAUSSIAN));
        assert_eq!(result.len(), 2);
        for (voxel, &rate) in rates.iter().enumerate() {
            let bound = mono_exponential_relative_uncertainty(b, rate, 1.0 / sigma);
            let u = result[0].relative[voxel];
            assert!((u / bound - 1.0).abs() < 0.03, "b {b:?} D {rate}: {u} {bound}");
            let sd = result[0].standard_deviation[voxel];
            assert!((sd / rate - u).abs() < 1e-12);
            // Five standard errors of the mean, and the half width of the central 68.27 %.
            assert!(result[0].bias[voxel].abs() < 5.0 * sd / 100.0 + 0.02 * sd);
            let [low, high] = result[0].interval_68[voxel];
            assert!(((high - low) / (2.0 * sd) - 1.0).abs() < 0.05);
            assert!((result[0].valid_fraction[voxel] - 1.0).abs() < 1e-15);
        }
    }
}

#[test]
fn least_uncertainty_of_two_points_is_2_878_over_snr_at_bd_1_109() {
    let snr = 400.0;
    let rates = [0.6, 1.109, 1.8];
    let b = [0.0, 1.0];
    let settings = signal(10_000, GAUSSIAN);
    let result = of_rates((&TwoPoint(b), &b), &rates, 1.0 / snr, settings);
    let u = &result[0].relative;
    assert!((u[1] * snr / 2.878 - 1.0).abs() < 0.03, "{}", u[1] * snr);
    assert!(u[0] > 1.05 * u[1] && u[2] > 1.05 * u[1], "{u:?}");
}

#[test]
fn error_of_the_uncertainty_falls_with_the_number_of_replicates() {
    let n_voxels = 3000_usize;
    let b = [0.0, 0.8];
    for n_replicates in [50_u32, 200] {
        let result = of_rates(
            (&TwoPoint(b), &b),
            &vec![1.2; n_voxels],
            1.0 / 100.0,
            signal(n_replicates, GAUSSIAN),
        );
        let u = &result[0].relative;
        let mean = u.iter().sum::<f64>() / n_voxels as f64;
        let variance = u.iter().map(|u| (u / mean - 1.0).powi(2)).sum::<f64>();
        let found = (variance / (n_voxels - 1) as f64).sqrt();
        let theory = 1.0 / f64::from(2 * (n_replicates - 1)).sqrt();
        // Standard error of an SD over 3000 voxels is 1.3 %.
        assert!((found / theory - 1.0).abs() < 0.065, "{n_replicates}: {found} {theory}");
    }
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    let (n_voxels, sigma, truth) = (6000, 0.02, 1.2);
    let estimator = Projection(vec![0.0, 0.4, 0.8]);
    let key = StreamKey::new(8, "truth");
    let (series, fits) = observe(&estimator, &[], n_voxels, |voxel| {
        let mut samples = vec![0.0; 3];
        decay(&estimator.0, &[truth, 1.0], &mut samples);
        let mut stream = key.stream(voxel, 0);
        samples.iter().map(|sample| sample + sigma * stream.normal()).collect()
    });
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let key = StreamKey::new(8, "smear");
    let settings = signal(400, GAUSSIAN);
    let result =
        pseudo_experiment::run(&estimator, &observed, &noise(sigma), settings, key).unwrap();
    let covered = |[low, high]: &[f64; 2]| *low <= truth && truth <= *high;
    let fraction = result[0].interval_68.iter().filter(|interval| covered(interval)).count() as f64
        / n_voxels as f64;
    // Three standard errors of a fraction of 0.6827 over 6000 voxels.
    assert!((fraction - 0.6827).abs() < 0.018, "{fraction}");
    // Error over stated SD is standard normal.
    let squares: f64 = (0..n_voxels)
        .map(|v| ((fits.estimates[0][v] - truth) / result[0].standard_deviation[v]).powi(2))
        .sum();
    assert!((squares / n_voxels as f64 - 1.0).abs() < 0.07, "{}", squares / n_voxels as f64);
}

#[test]
fn rician_floor_biases_fast_diffusion_down_as_an_independent_simulation_says() {
    // Made by `tests/it/golden/rician_bias.py` with 400 000 fits; tolerance is four standard errors
    // of the difference of two such simulations.
    let b = vec![0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8];
    let estimator = Projection(b.clone());
    let n_voxels = 20;
    for (snr, expected, tolerance) in
        [(10.0, -0.05217, 0.0015), (20.0, -0.01207, 0.0008), (40.0, -0.00304, 0.0004)]
    {
        let rates = vec![2.5; n_voxels];
        let result = of_rates((&estimator, &b), &rates, 1.0 / snr, signal(20_000, RICIAN));
        let bias = result[0].bias.iter().sum::<f64>() / n_voxels as f64 / 2.5;
        assert!((bias - expected).abs() < tolerance, "{snr}: {bias}");
    }
}

#[test]
fn smearing_observed_noise_by_gaussian_does_not_double_the_floor() {
    // Eight samples of pure noise: the mean sits at the floor of 1.2533 σ.
    let (n_voxels, n) = (500, 8);
    let key = StreamKey::new(3, "floor");
    let (series, fits) = observe(&Mean(n), &[1.0], n_voxels, |voxel| {
        let mut stream = key.stream(voxel, 0);
        (0..n).map(|_| rician::draw(0.0, 1.0, &mut stream)).collect()
    });
    let ones = Volume::from_fn(grid(n_voxels), |_| 1.0);
    let constants = [&ones];
    let observed = ObservedVoxels::new(&series, &fits, &constants).unwrap();
    let bias = |distribution| {
        let settings = signal(200, distribution);
        let result =
            pseudo_experiment::run(&Mean(n), &observed, &noise(1.0), settings, key).unwrap();
        result[0].bias.iter().sum::<f64>() / n_voxels as f64
    };
    let (gaussian, rician) = (bias(GAUSSIAN), bias(RICIAN));
    assert!(gaussian.abs() < 0.01, "{gaussian}");
    assert!(rician > 0.3, "{rician}");
}

#[test]
fn map_smearing_gives_back_the_standard_error() {
    let b = [0.0, 0.8];
    let estimator = TwoPoint(b);
    let (series, mut fits) = observe(&estimator, &[], 3, |_| vec![1.0, 0.4]);
    fits.standard_errors = vec![vec![0.05, f64::NAN, 0.2], vec![0.01; 3]];
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let settings =
        PseudoExperiments { n_replicates: 10_000, smear: Smear::Map, ..Default::default() };
    let key = StreamKey::new(2, "map");
    let result =
        pseudo_experiment::run(&estimator, &observed, &noise(0.01), settings, key).unwrap();
    let sd = &result[0].standard_deviation;
    assert!((sd[0] / 0.05 - 1.0).abs() < 0.03 && (sd[2] / 0.2 - 1.0).abs() < 0.03, "{sd:?}");
    assert!((result[1].standard_deviation[1] / 0.01 - 1.0).abs() < 0.03);
    assert!(sd[1].is_infinite() && result[0].relative[1].is_infinite());
}

#[test]
fn voxels_that_often_fail_or_hold_no_estimate_are_infinitely_uncertain() {
    let estimator = TwoPoint([0.0, 0.8]);
    let observed_samples = [[1.0, 0.4], [0.02, 0.01], [-1.0, 1.0], [0.5, 0.6], [f64::NAN, 1.0]];
    let (series, fits) = observe(&estimator, &[], 5, |voxel| observed_samples[voxel].to_vec());
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let key = StreamKey::new(2, "fail");
    let settings = signal(1000, GAUSSIAN);
    let result =
        pseudo_experiment::run(&estimator, &observed, &noise(0.02), settings, key).unwrap();
    let adc = &result[0];
    assert!(adc.relative[0].is_finite() && adc.bias[0].is_finite());
    // Samples of 1 σ and 0.5 σ are both positive in Φ(1)·Φ(0.5) of the replicates.
    let valid = 0.841_344_7 * 0.691_462_5;
    assert!((adc.valid_fraction[1] - valid).abs() < 0.05, "{}", adc.valid_fraction[1]);
    assert!(adc.standard_deviation[1].is_infinite() && adc.bias[1].is_nan());
    // S2 above S1: the estimate is negative, its spread is known, the relative one is not.
    assert!(adc.relative[3].is_infinite() && adc.standard_deviation[3].is_finite());
    for lost in [2, 4] {
        assert!(adc.relative[lost].is_infinite() && adc.standard_deviation[lost].is_infinite());
        assert!(adc.valid_fraction[lost].abs() < 1e-15);
    }
}

#[test]
fn an_estimate_at_its_bound_is_infinitely_uncertain_but_a_replicate_there_is_valid() {
    let estimator = Projection(vec![0.0, 0.8]);
    // D at the bound of 6, and just inside it.
    let samples = [[1.0, 1e-6], [1.0, (-0.8_f64 * 5.999).exp()]];
    let (series, fits) = observe(&estimator, &[], 2, |voxel| samples[voxel].to_vec());
    assert_eq!(fits.status, [FitStatus::AtUpperBound, FitStatus::Converged]);
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let key = StreamKey::new(2, "bound");
    let settings = signal(1000, GAUSSIAN);
    let result =
        pseudo_experiment::run(&estimator, &observed, &noise(1e-3), settings, key).unwrap();
    assert!(result[0].relative[0].is_infinite() && result[1].relative[0].is_infinite());
    assert!((result[0].valid_fraction[1] - 1.0).abs() < 1e-15);
    assert!((result[0].interval_68[1][1] - 6.0).abs() < 1e-12);
}

#[test]
fn gate_keeps_what_the_bound_predicts() {
    let (b, rate, n_voxels) = ([0.0, 0.8], 0.54, 400_usize);
    let estimator = Projection(b.to_vec());
    let required = required_signal_to_noise(&b, rate, 0.10);
    let key = StreamKey::new(12, "gate");
    let kept = |factor: f64| {
        let sigma = 1.0 / (required * factor);
        let (series, fits) = observe(&estimator, &[], n_voxels, |voxel| {
            let mut samples = vec![0.0; b.len()];
            decay(&b, &[rate, 1.0], &mut samples);
            let mut stream = key.stream(voxel, u32::MAX);
            samples.iter().map(|sample| sample + sigma * stream.normal()).collect()
        });
        let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
        let settings = signal(300, GAUSSIAN);
        let result =
            pseudo_experiment::run(&estimator, &observed, &noise(sigma), settings, key).unwrap();
        let inputs = GateInputs {
            fits: &fits,
            parameter: 0,
            relative_uncertainty: &result[0].relative,
            stability: &[],
            signal_to_noise: &[],
            sigma: None,
        };
        let criteria = [Criterion::RelativeUncertainty { maximum: 0.10 }];
        gate::gate(inputs, &criteria).unwrap().kept_fraction()
    };
    // One voxel's u scatters by about 8 %: its D by 10 %, of which u follows two thirds, and 4 %
    // from 300 replicates.
    let (below, at, above) = (kept(0.75), kept(1.0), kept(1.35));
    assert!(below < 0.03, "{below}");
    assert!((at - 0.5).abs() < 0.12, "{at}");
    assert!(above > 0.97, "{above}");
}

#[test]
fn every_number_of_threads_and_every_mask_gives_the_same_bytes() {
    let estimator = Projection(vec![0.0, 0.4, 0.8]);
    let n_voxels = 333;
    let (series, fits) = observe(&estimator, &[], n_voxels, |voxel| {
        let rate = 0.3 + voxel as f64 / 150.0;
        [0.0, 0.4, 0.8].iter().map(|b: &f64| (-b * rate).exp()).collect()
    });
    let bits = |fits: &Fits, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let count = std::sync::atomic::AtomicUsize::new(0);
        let progress = |n: usize| {
            count.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
        };
        let observed = ObservedVoxels::new(&series, fits, &[]).unwrap().with_progress(&progress);
        let settings = signal(60, RICIAN);
        let key = StreamKey::new(6, "threads");
        let run = || pseudo_experiment::run(&estimator, &observed, &noise(0.05), settings, key);
        let result = pool.install(run).unwrap();
        assert_eq!(count.into_inner(), fits.mask.len());
        (0..fits.mask.len())
            .map(|v| {
                let [low, high] = result[0].interval_68[v];
                let numbers = [result[0].standard_deviation[v], result[1].bias[v], low, high];
                numbers.map(f64::to_bits)
            })
            .collect::<Vec<_>>()
    };
    let reference = bits(&fits, 1);
    for threads in [2, 3, 8] {
        assert_eq!(bits(&fits, threads), reference, "{threads} threads");
    }
    let odd: Vec<usize> = (0..n_voxels).filter(|voxel| voxel % 2 == 1).collect();
    let take = |column: &Vec<f64>| odd.iter().map(|&v| column[v]).collect::<Vec<f64>>();
    let part = Fits {
        mask: Mask::from_indices(grid(n_voxels), &odd).unwrap(),
        estimates: fits.estimates.iter().map(take).collect(),
        standard_errors: fits.standard_errors.iter().map(take).collect(),
        status: odd.iter().map(|&v| fits.status[v]).collect(),
        ..fits.clone()
    };
    let expected: Vec<_> = odd.iter().map(|&voxel| reference[voxel]).collect();
    assert_eq!(bits(&part, 2), expected);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let estimator = TwoPoint([0.0, 0.8]);
    let (series, fits) = observe(&estimator, &[], 4, |_| vec![1.0, 0.4]);
    let key = StreamKey::new(2, "refuse");
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let run = |estimator: &dyn Estimator, n_replicates: u32| {
        let settings = signal(n_replicates, GAUSSIAN);
        pseudo_experiment::run(estimator, &observed, &noise(0.1), settings, key)
    };
    let error = run(&Projection(vec![0.0, 0.4, 0.8]), 10).unwrap_err();
    assert_eq!(error.to_string(), "the estimator has 3 volumes, the observed voxels 2");
    assert!(run(&Mean(2), 10).is_err() && run(&estimator, 1).is_err());
    let other = Series::from_signals(grid(5), vec![1.0; 10]).unwrap();
    assert!(ObservedVoxels::new(&other, &fits, &[]).is_err());
    let short = Fits { status: vec![FitStatus::Converged; 3], ..fits.clone() };
    assert!(ObservedVoxels::new(&series, &short, &[]).is_err());
    let none = Fits {
        mask: Mask::from_indices(grid(4), &[]).unwrap(),
        estimates: vec![Vec::new(); 2],
        standard_errors: vec![Vec::new(); 2],
        status: Vec::new(),
        ..fits.clone()
    };
    let observed = ObservedVoxels::new(&series, &none, &[]).unwrap();
    let settings = signal(10, GAUSSIAN);
    let empty = pseudo_experiment::run(&estimator, &observed, &noise(0.1), settings, key).unwrap();
    assert!(empty.len() == 2 && empty[0].relative.is_empty());
}
