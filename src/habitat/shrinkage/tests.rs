use super::*;
use crate::random::StreamKey;
use crate::statistics::moments::Moments;

/// Diffusion of a tumour, 40 % viable 0.54 ± 0.054 and 60 % 1.8 ± 0.18, measured as seven b-values up
/// to 800 at an SNR between 15 and 60 do: noise of 10 % at SNR 32 where D is 0.54, at 18 where it
/// is 2.
struct Measured {
    values: Vec<f64>,
    uncertainties: Vec<f64>,
}

/// `noise_at` chooses where noise is taken, from the true value and the mean of its habitat.
fn measured(seed: u64, n: usize, noise_at: fn(f64, f64) -> f64) -> Measured {
    let key = StreamKey::new(seed, "shrinkage");
    let (values, uncertainties) = (0..n)
        .map(|voxel| {
            let mut stream = key.stream(voxel, 0);
            let centre = if stream.uniform() < 0.4 { 0.54 } else { 1.8 };
            let truth = centre * (1.0 + 0.1 * stream.normal());
            let snr = 15.0 + 45.0 * stream.uniform();
            let uncertainty = (1.26 + 1.17 * noise_at(truth, centre)) / snr;
            (truth + uncertainty * stream.normal(), uncertainty)
        })
        .unzip();
    Measured { values, uncertainties }
}

/// Mean over the voxels that a gate at 10 % keeps, below the valley at 1.1.
fn gated_mean(sample: &Measured) -> f64 {
    let pairs = sample.values.iter().zip(&sample.uncertainties);
    let kept: Vec<f64> = pairs
        .filter(|(value, uncertainty)| **uncertainty <= 0.1 * **value)
        .map(|(value, _)| *value)
        .filter(|value| *value < 1.1)
        .collect();
    Moments::of(&kept).unwrap().mean()
}

#[test]
fn habitats_are_recovered_where_a_gate_biases() {
    let mut shrunken_means = Vec::new();
    let mut gated_means = Vec::new();
    let (mut weights, mut spreads) = (Vec::new(), Vec::new());
    let settings = Settings { guard: Guard::Never, ..Settings::default() };
    for seed in 0..20 {
        let sample = measured(seed, 2000, |_, centre| centre);
        let found = shrink(&sample.values, &sample.uncertainties, &settings).unwrap();
        let viable = found.reported().unwrap();
        assert!(found.converged && found.reduction.is_none());
        assert!((viable.mean - 0.54).abs() < 5.0 * viable.mean_error.unwrap());
        shrunken_means.push(viable.mean);
        weights.push(viable.weight);
        spreads.push(viable.intrinsic_standard_deviation);
        gated_means.push(gated_mean(&sample));
    }
    let described = |values: &[f64]| {
        let moments = Moments::of(values).unwrap();
        (moments.mean(), moments.standard_deviation().unwrap() / 20.0_f64.sqrt())
    };
    for (values, truth) in [(&shrunken_means, 0.54), (&weights, 0.4), (&spreads, 0.054)] {
        let (mean, error) = described(values);
        assert!((mean - truth).abs() < 4.0 * error, "{mean} ± {error} is not {truth}");
        assert!(error < 0.02 * truth);
    }
    let (gated, error) = described(&gated_means);
    assert!(gated - 0.54 > 0.012 && error < 0.002, "{gated} ± {error}");
}

#[test]
fn noise_that_follows_the_value_draws_means_down_a_little() {
    let settings = Settings { guard: Guard::Never, ..Settings::default() };
    let means: Vec<f64> = (0..20)
        .map(|seed| {
            let sample = measured(seed, 2000, |truth, _| truth);
            let found = shrink(&sample.values, &sample.uncertainties, &settings).unwrap();
            found.reported().unwrap().mean
        })
        .collect();
    let mean = Moments::of(&means).unwrap().mean();
    assert!(mean < 0.54 && mean > 0.99 * 0.54, "{mean}");
}

#[test]
fn shrunken_voxels_are_nearer_to_the_truth() {
    let key = StreamKey::new(3, "truth");
    let n = 3000;
    let draw = |voxel: usize, draw: u32| key.stream(voxel, draw).normal();
    let truth: Vec<f64> = (0..n).map(|voxel| 0.54 + 0.054 * draw(voxel, 0)).collect();
    let uncertainties: Vec<f64> = (0..n).map(|voxel| 0.03 + 0.03 * (voxel % 5) as f64).collect();
    let values: Vec<f64> =
        (0..n).map(|voxel| truth[voxel] + uncertainties[voxel] * draw(voxel, 1)).collect();
    let settings = Settings { number: Number::Fixed(1), ..Settings::default() };
    let found = shrink(&values, &uncertainties, &settings).unwrap();
    let mean_square = |values: &[f64]| {
        values.iter().zip(&truth).map(|(value, truth)| (value - truth).powi(2)).sum::<f64>()
            / n as f64
    };
    let expected = found.standard_deviations.iter().map(|sd| sd * sd).sum::<f64>() / n as f64;
    let reached = mean_square(&found.values);
    // The posterior SD is the error that is left: 4 standard errors of a mean square.
    assert!((reached / expected - 1.0).abs() < 4.0 * (2.0 / n as f64).sqrt());
    assert!(reached < 0.3 * mean_square(&values));
}

#[test]
fn one_tissue_stays_whole_and_noise_is_no_habitat() {
    let key = StreamKey::new(4, "one tissue");
    let uncertainties: Vec<f64> =
        (0..2000).map(|voxel| if voxel % 4 == 0 { 0.5 } else { 0.05 }).collect();
    let values: Vec<f64> = (0..2000)
        .map(|voxel| 1.2 + 0.12_f64.hypot(uncertainties[voxel]) * key.stream(voxel, 0).normal())
        .collect();
    let found = shrink(&values, &uncertainties, &Settings::default()).unwrap();
    assert_eq!((found.habitats.len(), found.reduction), (1, Some(Reduction::Criterion)));
    assert_eq!(found.criteria.len(), 3);
    // Wide tails of a few noisy voxels look like a second component to a mixture without errors.
    let blind = super::super::cluster(&[&values], &Settings::default()).unwrap();
    assert_eq!(blind.reduction, None);
}

#[test]
fn unmeasured_voxels_take_the_mean_of_the_region() {
    let mut sample = measured(9, 600, |_, centre| centre);
    sample.values[0] = f64::NAN;
    sample.uncertainties[0] = f64::INFINITY;
    let settings = Settings { n_corr: 4.0, guard: Guard::Never, ..Settings::default() };
    let found = shrink(&sample.values, &sample.uncertainties, &settings).unwrap();
    assert_eq!((found.n_informative, found.values.len()), (599, 600));
    let mean: f64 = found.habitats.iter().map(|habitat| habitat.weight * habitat.mean).sum();
    assert!((found.values[0] - mean).abs() < 1e-12);
    assert!(found.standard_deviations.iter().all(|sd| sd.is_finite()));
    assert_eq!(found.habitats.iter().map(|habitat| habitat.n).sum::<usize>(), 600);
    let settings = Settings { n_corr: 1.0, ..settings };
    let one = shrink(&sample.values, &sample.uncertainties, &settings).unwrap();
    let errors = [&found, &one].map(|found| found.habitats[0].mean_error.unwrap());
    assert!((errors[0] - 2.0 * errors[1]).abs() < 1e-12);
}

#[test]
fn regions_that_cannot_be_split_say_why() {
    let settings = Settings::default();
    let few = measured(1, 29, |_, centre| centre);
    let found = shrink(&few.values, &few.uncertainties, &settings).unwrap();
    assert_eq!((found.habitats.len(), found.reduction), (1, Some(Reduction::FewVoxels)));
    let two: Vec<f64> = (0..40).map(|voxel| f64::from(voxel % 2)).collect();
    let three = Settings { number: Number::Fixed(3), ..settings };
    let found = shrink(&two, &[0.1; 40], &three).unwrap();
    assert_eq!(found.reduction, Some(Reduction::FewDistinctValues));
    assert!(shrink(&[1.0; 40], &[0.1; 40], &settings).is_err());
    assert!(shrink(&[], &[], &settings).is_err());
    assert!(shrink(&[1.0, 2.0], &[0.1], &settings).is_err());
}
