//! σ from the residuals of a fit.
//!
//! RSS/σ² follows χ² with ν = samples − parameters, so every voxel's RSS over the median of χ² is
//! above σ² as often as below: σ² is their median. Whatever the model misses counts as noise, so σ
//! errs to the large side. Interpolated images have correlated samples and are not corrected here.
//!
//! # Reference
//!
//! Seber and Wild, Nonlinear Regression, 1989, section 2.1, doi:10.1002/0471725315 (distribution of
//! the residual sum of squares); the median makes it robust to voxels that the model does not fit.

use std::collections::BTreeMap;

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::selection::{at_high_signal, level_of, median};
use super::{NoiseEstimate, NoiseMethod};
use crate::error::{Error, Result};

/// Fewer voxels than this leave σ with more than about 5 % standard error.
const FEW_VOXELS: usize = 300;

/// Columns of the fits of one image set, one entry per voxel.
#[derive(Debug, Clone, Copy)]
pub struct Residuals<'a> {
    /// Σ (sample − model)²; NaN where there is no fit.
    pub residual_sum_of_squares: &'a [f64],
    /// Samples used minus parameters.
    pub degrees_of_freedom: &'a [u16],
    /// Fitted amplitude, the signal without weighting (S0); NaN where there is no fit.
    pub amplitudes: &'a [f64],
}

/// σ from the residuals of voxels with amplitude over σ of at least 5.
///
/// Voxels without a finite residual or without degrees of freedom are left out.
///
/// # Errors
///
/// `Mismatch` when the columns differ in length; `Value` when fewer than 30 voxels are usable or
/// the residuals are 0.
pub fn estimate(columns: Residuals<'_>) -> Result<NoiseEstimate> {
    let n = columns.residual_sum_of_squares.len();
    if columns.degrees_of_freedom.len() != n || columns.amplitudes.len() != n {
        return Err(Error::mismatch(format!(
            "{n} residuals, {} degrees of freedom and {} amplitudes are not of the same voxels",
            columns.degrees_of_freedom.len(),
            columns.amplitudes.len()
        )));
    }
    let variances = variances(columns);
    let usable: Vec<usize> = (0..n).filter(|&i| variances[i].is_finite()).collect();
    let selected = at_high_signal(columns.amplitudes, &usable, |members| {
        let mut chosen: Vec<f64> = members.iter().map(|&i| variances[i]).collect();
        median(&mut chosen).sqrt()
    });
    let n_used = selected.members.len();
    let mut estimate = level_of(selected.sigma, NoiseMethod::Residual, n_used)?;
    if n_used < FEW_VOXELS {
        estimate.warnings.push(format!(
            "noise level from the residuals of {n_used} voxels only, fewer than {FEW_VOXELS}"
        ));
    }
    Ok(estimate)
}

/// Per voxel: an estimate of σ² that is too large as often as too small; NaN where unusable.
fn variances(columns: Residuals<'_>) -> Vec<f64> {
    let mut medians = BTreeMap::new();
    columns
        .residual_sum_of_squares
        .iter()
        .zip(columns.degrees_of_freedom)
        .map(|(&rss, &nu)| rss / *medians.entry(nu).or_insert_with(|| chi_squared_median(nu)))
        .collect()
}

/// Median of χ² with `nu` degrees of freedom; NaN for 0.
fn chi_squared_median(nu: u16) -> f64 {
    ChiSquared::new(f64::from(nu)).map_or(f64::NAN, |chi_squared| chi_squared.inverse_cdf(0.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    /// RSS of a straight line through the origin in `n` samples around amplitude · (1, 1, …).
    fn columns(n_voxels: usize, sigma: f64) -> (Vec<f64>, Vec<u16>, Vec<f64>) {
        let key = StreamKey::new(9, "residual");
        let (mut rss, mut nu, mut amplitudes) = (Vec::new(), Vec::new(), Vec::new());
        for voxel in 0..n_voxels {
            let mut stream = key.stream(voxel, 0);
            let n = 4 + voxel % 3;
            let truth = if voxel % 4 == 0 { 0.0 } else { 100.0 };
            let samples: Vec<f64> =
                (0..n).map(|_| crate::noise::rician::draw(truth, sigma, &mut stream)).collect();
            let mean = samples.iter().sum::<f64>() / n as f64;
            let misfit = if voxel % 10 == 1 { 50.0 } else { 1.0 };
            rss.push(misfit * samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>());
            nu.push(n as u16 - 1);
            amplitudes.push(mean);
        }
        (rss, nu, amplitudes)
    }

    #[test]
    fn chi_squared_medians_agree_with_scipy() {
        // Made by `tests/it/golden/rician.py`: scipy.stats.chi2.ppf.
        for (nu, expected) in [
            (1, 0.454_936_423_119_57),
            (2, 1.386_294_361_119_89),
            (3, 2.365_973_884_375_34),
            (5, 4.351_460_191_095_53),
            (40, 39.335_345_446_113_4),
        ] {
            let scale = chi_squared_median(nu) / expected;
            assert!((scale - 1.0).abs() < 1e-6, "{nu}: {scale}");
        }
        assert!(chi_squared_median(0).is_nan());
    }

    #[test]
    fn residuals_recover_sigma_through_air_and_some_voxels_without_a_good_fit() {
        let (mut rss, nu, amplitudes) = columns(64 * 64 * 64, 3.0);
        let clean: Vec<f64> =
            rss.iter().enumerate().map(|(v, r)| if v % 10 == 1 { r / 50.0 } else { *r }).collect();
        let of = |rss: &[f64]| {
            estimate(Residuals {
                residual_sum_of_squares: rss,
                degrees_of_freedom: &nu,
                amplitudes: &amplitudes,
            })
            .unwrap()
        };
        assert!((of(&clean).level.sigma() / 3.0 - 1.0).abs() < 0.03, "{:?}", of(&clean));
        // A tenth of voxels far off moves the median by a known small amount, and only upwards.
        let inflated = of(&rss).level.sigma() / 3.0;
        assert!(1.0 < inflated && inflated < 1.12, "{inflated}");
        rss[5] = f64::NAN;
        assert!(of(&rss).level.sigma().is_finite());
    }

    #[test]
    fn few_or_perfect_voxels_are_refused_or_named() {
        let (rss, nu, amplitudes) = columns(200, 3.0);
        let take = |n: usize, rss: &[f64]| {
            estimate(Residuals {
                residual_sum_of_squares: &rss[..n],
                degrees_of_freedom: &nu[..n],
                amplitudes: &amplitudes[..n],
            })
        };
        assert_eq!(take(200, &rss).unwrap().warnings.len(), 1);
        assert!(take(20, &rss).is_err());
        assert!(take(200, &[0.0; 200]).is_err());
        let unequal = Residuals {
            residual_sum_of_squares: &rss,
            degrees_of_freedom: &nu[1..],
            amplitudes: &amplitudes,
        };
        assert!(estimate(unequal).is_err());
    }
}
