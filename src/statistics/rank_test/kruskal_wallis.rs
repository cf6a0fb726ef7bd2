//! Kruskal–Wallis test of several independent samples.
//!
//! # Reference
//!
//! Kruskal and Wallis, J. Am. Stat. Assoc. 47 (1952), doi:10.1080/01621459.1952.10483441.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::doubled_ranks;
use crate::error::{Error, Result};
use crate::statistics::require_finite;

/// Whether several samples share one distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KruskalWallis {
    /// H with tie correction.
    pub h: f64,
    /// Number of samples − 1.
    pub degrees_of_freedom: usize,
    /// Upper tail of χ² at H.
    pub p: f64,
    /// H / (n − 1): share of the variance of the ranks between samples.
    pub epsilon_squared: f64,
}

/// Tests whether all `samples` come from one distribution.
///
/// # Errors
///
/// `Value` at `samples`: fewer than two, one empty or with a value not finite, or all values equal.
pub fn kruskal_wallis(samples: &[&[f64]]) -> Result<KruskalWallis> {
    if samples.len() < 2 {
        let message = format!("{} samples where at least 2 are needed", samples.len());
        return Err(Error::value(message).at_field("samples"));
    }
    for (index, sample) in samples.iter().enumerate() {
        require_finite(sample, &format!("samples[{index}]"))?;
    }
    let all: Vec<f64> = samples.iter().flat_map(|sample| sample.iter().copied()).collect();
    let (ranks, ties) = doubled_ranks(&all);
    let n = all.len() as f64;
    let correction = 1.0 - ties / (n * n * n - n);
    if correction <= 0.0 {
        return Err(Error::value("all values are equal").at_field("samples"));
    }
    let mut between = 0.0;
    let mut from = 0;
    for sample in samples {
        let to = from + sample.len();
        let rank_sum = ranks[from..to].iter().sum::<usize>() as f64 / 2.0;
        between += rank_sum * rank_sum / sample.len() as f64;
        from = to;
    }
    let h = ((12.0 / (n * (n + 1.0)) * between - 3.0 * (n + 1.0)) / correction).max(0.0);
    let degrees_of_freedom = samples.len() - 1;
    let distribution = ChiSquared::new(degrees_of_freedom as f64)
        .map_err(|error| Error::internal(format!("chi-squared: {error}")))?;
    Ok(KruskalWallis {
        h,
        degrees_of_freedom,
        p: distribution.sf(h),
        epsilon_squared: h / (n - 1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_degrees_of_freedom_have_an_exponential_tail() {
        // Ranks 1 2 | 3 4 | 5 6: H = 12/42·(9 + 49 + 121)/2 − 21 = 32/7.
        let test = kruskal_wallis(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]]).unwrap();
        assert!((test.h - 32.0 / 7.0).abs() < 1e-12);
        assert!((test.p - (-test.h / 2.0).exp()).abs() < 1e-12);
    }

    #[test]
    fn samples_without_a_test_are_refused() {
        assert!(kruskal_wallis(&[&[1.0, 2.0]]).is_err());
        let error = kruskal_wallis(&[&[1.0], &[]]).unwrap_err();
        assert_eq!(error.field(), Some("samples[1]"));
        assert!(kruskal_wallis(&[&[2.0, 2.0], &[2.0]]).is_err());
        assert!(kruskal_wallis(&[&[2.0], &[f64::NAN]]).is_err());
        assert!(kruskal_wallis(&[&[2.0], &[2.0]]).is_err());
    }
}
