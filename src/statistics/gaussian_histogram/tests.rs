use super::*;
use crate::random::StreamKey;
use crate::statistics::moments::Moments;
use crate::statistics::quantile::Sorted;

/// `n` values 0.54 ± 0.054 of which one in ten is something else between 0.7 and 1.2.
fn contaminated(seed: u64, n: usize) -> Vec<f64> {
    let key = StreamKey::new(seed, "contaminated");
    (0..n)
        .map(|voxel| {
            let mut stream = key.stream(voxel, 0);
            let (which, z) = (stream.uniform(), stream.normal());
            if which < 0.1 { 0.7 + 0.5 * stream.uniform() } else { 0.54 + 0.054 * z }
        })
        .collect()
}

fn normal(seed: u64, n: usize) -> Vec<f64> {
    let key = StreamKey::new(seed, "peak");
    (0..n).map(|voxel| 1.2 + 0.12 * key.stream(voxel, 0).normal()).collect()
}

#[test]
fn a_contaminated_peak_is_recovered_where_moments_are_not() {
    let values = contaminated(1, 4000);
    let fit = GaussianHistogram::fit(&values).unwrap();
    assert!(fit.converged);
    assert!((fit.mean - 0.54).abs() < 4.0 * fit.mean_error);
    assert!((fit.standard_deviation - 0.054).abs() < 4.0 * fit.standard_deviation_error);
    assert!((fit.number - 3600.0).abs() < 4.0 * fit.number_error);
    assert!(fit.mean_error < 0.003 && fit.standard_deviation_error < 0.004);
    let plain = Moments::of(&values).unwrap();
    assert!(plain.mean() - 0.54 > 0.035 && plain.standard_deviation().unwrap() > 0.13);
}

#[test]
fn errors_are_the_scatter_of_many_samples() {
    let n_samples = 200;
    let fits: Vec<GaussianHistogram> = (0..n_samples)
        .map(|seed| GaussianHistogram::fit(&normal(seed, 2000)).unwrap())
        .filter(|fit| fit.converged)
        .collect();
    assert!(fits.len() as f64 > 0.98 * n_samples as f64);
    let ratio = |value: &dyn Fn(&GaussianHistogram) -> [f64; 2]| {
        let values: Vec<f64> = fits.iter().map(|fit| value(fit)[0]).collect();
        let errors: Vec<f64> = fits.iter().map(|fit| value(fit)[1]).collect();
        let median = Sorted::new(&errors).unwrap().median();
        let moments = Moments::of(&values).unwrap();
        (moments.mean(), moments.standard_deviation().unwrap() / median)
    };
    let (mean, mean_ratio) = ratio(&|fit| [fit.mean, fit.mean_error]);
    let (sd, sd_ratio) = ratio(&|fit| [fit.standard_deviation, fit.standard_deviation_error]);
    assert!((mean - 1.2).abs() < 1e-3, "{mean}");
    assert!((sd - 0.12).abs() < 2e-3, "{sd}");
    assert!((0.8..1.3).contains(&mean_ratio), "{mean_ratio}");
    assert!((0.8..1.3).contains(&sd_ratio), "{sd_ratio}");
}

#[test]
fn expected_counts_of_a_gaussian_give_it_back() {
    // Quantiles at (i + ½)/n: the histogram of an exact Gaussian but for whole counts.
    use statrs::distribution::{ContinuousCDF, Normal};
    let normal = Normal::new(3.0, 0.5).unwrap();
    let values: Vec<f64> =
        (0..20_000).map(|i| normal.inverse_cdf((f64::from(i) + 0.5) / 20_000.0)).collect();
    let fit = GaussianHistogram::fit(&values).unwrap();
    assert!(fit.converged);
    // Rounding to whole counts moves a cell by less than one of hundreds.
    assert!((fit.mean - 3.0).abs() < 0.1 * fit.mean_error);
    assert!((fit.standard_deviation - 0.5).abs() < 0.2 * fit.standard_deviation_error);
    assert!((fit.number - 20_000.0).abs() < 0.2 * fit.number_error);
    assert!(fit.chi_squared_per_degree().unwrap() < 0.05);
    let expected = fit.number * fit.bin_width / (fit.standard_deviation * SQRT_TAU);
    assert!((fit.amplitude - expected).abs() < 1e-9 * expected);
}

#[test]
fn a_fit_moves_and_stretches_with_its_sample() {
    let values = contaminated(7, 1500);
    let stretched: Vec<f64> = values.iter().map(|value| 4.0 * value + 2.0).collect();
    let (fit, other) =
        (GaussianHistogram::fit(&values).unwrap(), GaussianHistogram::fit(&stretched).unwrap());
    // Values at an edge may change bins by rounding: compared within a hundredth of the error.
    assert!((other.mean - 4.0 * fit.mean - 2.0).abs() < 0.04 * fit.mean_error);
    let difference = other.standard_deviation - 4.0 * fit.standard_deviation;
    assert!(difference.abs() < 0.04 * fit.standard_deviation_error);
}

#[test]
fn samples_of_every_size_from_thirty_have_an_answer() {
    let mut n_answers = 0;
    for seed in 0..100 {
        for n in [30, 60, 120] {
            let Ok(fit) = GaussianHistogram::fit(&normal(seed, n)) else { continue };
            assert!(fit.mean.is_finite() && fit.mean_error > 0.0);
            n_answers += usize::from(fit.converged);
        }
    }
    assert!(n_answers > 270, "{n_answers}");
}

#[test]
fn what_has_no_peak_is_refused_or_says_so() {
    let refused = |values: &[f64]| {
        assert_eq!(GaussianHistogram::fit(values).unwrap_err().field(), Some("values"));
    };
    refused(&normal(1, 29));
    refused(&[1.0; 100]);
    refused(&[&[f64::NAN][..], &normal(1, 50)].concat());
    let valley: Vec<f64> = (0..2000).map(|i| (f64::from(i) * 0.001 * 3.2).cos()).collect();
    let flat: Vec<f64> = (0..2000).map(f64::from).collect();
    for values in [valley, flat] {
        assert!(GaussianHistogram::fit(&values).map_or(true, |fit| !fit.converged));
    }
    let mut far = normal(3, 500);
    far.push(1e30);
    assert!(GaussianHistogram::fit(&far).map_or(true, |fit| !fit.converged));
}
