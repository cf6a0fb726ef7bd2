use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fit::Fits;
use crate::image::{Affine, Grid, Mask, Series};
use crate::model::{FitStatus, Parameter};
use crate::noise::NoiseMethod;
use crate::uncertainty::EarlyStop;
use crate::unit::Unit;

const PARAMETERS: [Parameter; 2] = [
    Parameter {
        name: "mean",
        short_name: "mean",
        unit: Unit::Arbitrary,
        suffix: "mean",
        bounds: [0.0, 100.0],
        display_window: [0.0, 1.0],
    },
    Parameter {
        name: "difference",
        short_name: "difference",
        unit: Unit::Arbitrary,
        suffix: "difference",
        bounds: [0.0, 100.0],
        display_window: [0.0, 1.0],
    },
];

/// Mean and difference of two samples; a mean beyond `limit` is no estimate.
struct Pair {
    limit: f64,
    n_estimated: AtomicUsize,
}

impl Estimator for Pair {
    fn parameters(&self) -> &[Parameter] {
        &PARAMETERS
    }

    fn n_samples(&self) -> usize {
        2
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn estimate(&self, voxel: VoxelData<'_>, _: &mut [f64], fit: &mut Fit) {
        self.n_estimated.fetch_add(1, Ordering::Relaxed);
        let [a, b] = [voxel.samples[0], voxel.samples[1]];
        if 0.5 * (a + b) > self.limit {
            return fit.fail(FitStatus::NotConverged);
        }
        fit.status = FitStatus::Converged;
        fit.estimates.copy_from_slice(&[0.5 * (a + b), a - b]);
    }

    fn expected(&self, voxel: VoxelData<'_>, _: &Fit, _: &mut [f64], expected: &mut [f64]) {
        expected.copy_from_slice(voxel.samples);
    }
}

fn pair(limit: f64) -> Pair {
    Pair { limit, n_estimated: AtomicUsize::new(0) }
}

/// Voxels whose two samples are both `means[voxel]`.
fn observe(means: &[f64]) -> (Series, Fits) {
    let n = means.len();
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let grid = Grid::new([n, 1, 1], affine).unwrap();
    let fits = Fits {
        mask: Mask::full(grid),
        estimates: vec![means.to_vec(), vec![0.0; n]],
        standard_errors: vec![vec![0.1; n]; 2],
        status: vec![FitStatus::Converged; n],
        residual_sum_of_squares: vec![0.0; n],
        r_squared: vec![1.0; n],
        degrees_of_freedom: vec![0; n],
        evaluations: vec![1; n],
    };
    (Series::from_signals(grid, [means, means].concat()).unwrap(), fits)
}

fn noise(sigma: f64) -> NoiseLevel {
    NoiseLevel::new(sigma, NoiseDistribution::Rician, NoiseMethod::Given, 0).unwrap()
}

fn gaussian(n_replicates: u32) -> PseudoExperiments {
    PseudoExperiments {
        n_replicates,
        distribution: NoiseDistribution::Gaussian,
        ..PseudoExperiments::default()
    }
}

fn bits(columns: &[Uncertainty]) -> Vec<u64> {
    let column = |u: &Uncertainty| {
        let pairs = u.interval_68.iter().chain(&u.interval_95).flatten();
        let numbers = u.standard_deviation.iter().chain(&u.relative).chain(&u.bias).chain(pairs);
        numbers.chain(&u.valid_fraction).map(|x| x.to_bits()).collect::<Vec<_>>()
    };
    columns.iter().flat_map(column).collect()
}

#[test]
fn every_level_and_number_of_threads_gives_the_same_bytes() {
    let means: Vec<f64> = (0..77).map(|v| 5.0 + 0.1 * f64::from(v)).collect();
    let (series, fits) = observe(&means);
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let estimator = pair(f64::INFINITY);
    for (smear, distribution) in [
        (Smear::Signal, NoiseDistribution::Gaussian),
        (Smear::Signal, NoiseDistribution::Rician),
        (Smear::Map, NoiseDistribution::Rician),
    ] {
        let settings = PseudoExperiments {
            smear,
            distribution,
            intervals: Intervals::Central68And95,
            ..gaussian(777)
        };
        let key = StreamKey::new(1, "levels");
        let experiment =
            Experiment::new(&estimator, &observed, &noise(1.0), settings, key).unwrap();
        let expected = bits(&experiment.uncertainties());
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(bits(&pool.install(|| experiment.uncertainties())), expected);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = Level::new().as_avx2() {
            let other = Experiment { level: Level::Avx2(token), ..experiment };
            assert_eq!(bits(&other.uncertainties()), expected);
        }
    }
}

#[test]
fn spread_of_a_mean_and_of_a_difference_is_that_of_their_noise() {
    let (series, fits) = observe(&[50.0; 20]);
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let estimator = pair(f64::INFINITY);
    let settings = PseudoExperiments { intervals: Intervals::Central68And95, ..gaussian(10_000) };
    let key = StreamKey::new(2, "spread");
    let experiment = Experiment::new(&estimator, &observed, &noise(2.0), settings, key).unwrap();
    let found = experiment.uncertainties();
    for (column, expected) in found.iter().zip([2.0_f64.sqrt(), 8.0_f64.sqrt()]) {
        for voxel in 0..20 {
            // 3 %, and four standard errors of quantiles at 15.9 % (1.5) and 2.5 % (2.7) over √n.
            let sd = column.standard_deviation[voxel];
            assert!((sd / expected - 1.0).abs() < 0.03, "{sd}");
            let centre = if expected < 2.0 { 50.0 } else { 0.0 };
            for (interval, distance, error) in
                [(&column.interval_68, 1.0, 0.06), (&column.interval_95, 1.96, 0.11)]
            {
                let [low, high] = interval[voxel].map(|x| (x - centre) / expected);
                assert!((low + distance).abs() < error && (high - distance).abs() < error);
            }
        }
        assert!(column.n_used.iter().all(|&n| n == 10_000) && column.n_replicates == 10_000);
    }
}

#[test]
fn invalid_lanes_are_left_out_of_every_parameter_and_counted() {
    let (series, fits) = observe(&[10.0, 11.9, 13.0]);
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let estimator = pair(13.0);
    let key = StreamKey::new(3, "invalid");
    let sigma = 1.0;
    let experiment =
        Experiment::new(&estimator, &observed, &noise(sigma), gaussian(2000), key).unwrap();
    let found = experiment.uncertainties();
    for column in &found {
        assert!((column.valid_fraction[0] - 1.0).abs() < 1e-3);
        // 1.1 over an SD of √½: 6.0 % are lost, give or take four standard errors.
        assert!((column.valid_fraction[1] - 0.940).abs() < 0.022, "{}", column.valid_fraction[1]);
        assert!((column.valid_fraction[2] - 0.5).abs() < 0.045);
        assert!(column.relative[2].is_infinite() && column.bias[2].is_nan());
        assert!(column.interval_95.is_empty());
    }
    let counts = experiment.reduce(|replicates| {
        assert_eq!(replicates.estimates[0].len(), replicates.estimates[1].len());
        (replicates.estimates[0].len(), replicates.n_drawn)
    });
    for (voxel, (n_valid, n_drawn)) in counts.into_iter().enumerate() {
        assert_eq!(n_drawn, 2000);
        assert!((found[0].valid_fraction[voxel] - n_valid as f64 / 2000.0).abs() < 1e-15);
    }
}

#[test]
fn voxels_without_an_estimate_are_not_drawn() {
    let (series, mut fits) = observe(&[10.0, 10.0]);
    fits.status[1] = FitStatus::AtUpperBound;
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let estimator = pair(f64::INFINITY);
    let key = StreamKey::new(4, "none");
    let experiment =
        Experiment::new(&estimator, &observed, &noise(1.0), gaussian(100), key).unwrap();
    let found = experiment.uncertainties();
    assert_eq!(found[0].n_used, [100, 0]);
    assert!(found[0].relative[1].is_infinite() && found[0].valid_fraction[1].abs() < 1e-15);
    assert_eq!(estimator.n_estimated.into_inner(), 100);
}

/// Relative uncertainties of 6 % to 16 % around a gate of 10 %, with all 2000 pseudo-experiments
/// and with an early stop.
#[test]
fn an_early_stop_saves_most_of_the_work_and_seldom_changes_the_decision() {
    let n_voxels = 2000_usize;
    let true_u = |voxel: usize| 0.06 + 0.10 * voxel as f64 / n_voxels as f64;
    let means: Vec<f64> = (0..n_voxels).map(|v| 0.5_f64.sqrt() / true_u(v)).collect();
    let (series, fits) = observe(&means);
    let observed = ObservedVoxels::new(&series, &fits, &[]).unwrap();
    let estimator = pair(f64::INFINITY);
    let key = StreamKey::new(5, "stop");
    let run = |early_stop| {
        let settings = PseudoExperiments { early_stop, ..gaussian(2000) };
        Experiment::new(&estimator, &observed, &noise(1.0), settings, key).unwrap().uncertainties()
    };
    let (all, some) = (run(None), run(Some(EarlyStop { maximum: 0.1 })));
    let (all, some) = (&all[0], &some[0]);
    let changed: Vec<usize> =
        (0..n_voxels).filter(|&v| (all.relative[v] <= 0.1) != (some.relative[v] <= 0.1)).collect();
    let used: u32 = some.n_used.iter().sum();
    let share = f64::from(used) / (2000.0 * n_voxels as f64);
    // Stopped voxels: mean of u over the true u, below and above the gate.
    let stopped = |below: bool| {
        let of = |v: &usize| some.n_used[*v] < 2000 && (true_u(*v) < 0.1) == below;
        let ratios: Vec<f64> =
            (0..n_voxels).filter(of).map(|v| some.relative[v] / true_u(v)).collect();
        ratios.iter().sum::<f64>() / ratios.len() as f64
    };
    let bias = [stopped(true) - 1.0, stopped(false) - 1.0];
    // Measured: 2 voxels, a share of 0.171, and biases of −1.0 % and +0.5 %.
    assert!(changed.len() * 1000 <= 5 * n_voxels, "{}", changed.len());
    assert!(changed.iter().all(|&v| (true_u(v) - 0.1).abs() < 0.02), "far from the limit");
    assert!(share < 0.25, "{share}");
    assert!(bias.iter().all(|bias| bias.abs() < 0.02), "{bias:?}");
    assert!(some.n_used.iter().all(|n| *n == 2000 || n.is_power_of_two() && *n >= 128));
    // What was not stopped is what it is without an early stop.
    let whole = (0..n_voxels).filter(|&v| some.n_used[v] == 2000);
    assert!(whole.into_iter().all(|v| some.relative[v].to_bits() == all.relative[v].to_bits()));
}
