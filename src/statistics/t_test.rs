//! One-sample and paired t test with interval and standardised effect.
//!
//! # Reference
//!
//! Student, "The probable error of a mean", Biometrika 6 (1908), doi:10.1093/biomet/6.1.1.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::moments::Moments;
use super::require_finite;
use crate::error::{Error, Result};

/// Mean of a sample against 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// Number of values (pairs).
    pub n: usize,
    /// Mean (of the differences).
    pub mean: f64,
    /// SD with n − 1.
    pub standard_deviation: f64,
    /// Mean over its standard error.
    pub t: f64,
    /// n − 1.
    pub degrees_of_freedom: usize,
    /// Two-sided p.
    pub p: f64,
    /// 95 % interval of the mean.
    pub confidence_interval_95: [f64; 2],
    /// Mean / SD: Cohen's d of the differences.
    pub d_z: f64,
}

/// Tests whether the mean of `differences` is 0.
///
/// # Errors
///
/// `Value`: fewer than two values, one not finite, or no spread.
pub fn t_test(differences: &[f64]) -> Result<TTest> {
    require_finite(differences, "differences")?;
    let n = differences.len();
    let moments = Moments::of(differences);
    let spread = moments.and_then(|m| Some((m.mean(), m.standard_deviation()?)));
    let Some((mean, standard_deviation)) = spread.filter(|&(_, sd)| sd > 0.0) else {
        return Err(Error::value(format!("{n} values without spread have no t"))
            .at_field("differences")
            .hint("a t test needs at least two different values"));
    };
    let distribution = student((n - 1) as f64)?;
    let error = standard_deviation / (n as f64).sqrt();
    let t = mean / error;
    let half = error * distribution.inverse_cdf(0.975);
    Ok(TTest {
        n,
        mean,
        standard_deviation,
        t,
        degrees_of_freedom: n - 1,
        p: (2.0 * distribution.sf(t.abs())).min(1.0),
        confidence_interval_95: [mean - half, mean + half],
        d_z: mean / standard_deviation,
    })
}

/// 95 % interval of the mean of `values`; `None` below two values or where one is not finite.
pub fn mean_interval_95(values: &[f64]) -> Option<[f64; 2]> {
    let moments = Moments::of(values)?;
    let error = moments.standard_deviation()? / (moments.n() as f64).sqrt();
    let half = error * student((moments.n() - 1) as f64).ok()?.inverse_cdf(0.975);
    Some([moments.mean() - half, moments.mean() + half])
}

/// Student's distribution.
pub(super) fn student(degrees_of_freedom: f64) -> Result<StudentsT> {
    StudentsT::new(0.0, 1.0, degrees_of_freedom)
        .map_err(|error| Error::internal(format!("Student's t: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_values_follow_the_cauchy_distribution() {
        // One degree of freedom: p = 1 − 2·atan(t)/π, quantile tan(π·0.475).
        let test = t_test(&[1.0, 3.0]).unwrap();
        assert!((test.t - 2.0).abs() < 1e-14);
        let expected = 1.0 - 2.0 * 2.0_f64.atan() / std::f64::consts::PI;
        assert!((test.p - expected).abs() < 1e-10);
        let half = (std::f64::consts::PI * 0.475).tan();
        assert!((test.confidence_interval_95[1] - (2.0 + half)).abs() < 1e-6);
        assert_eq!(mean_interval_95(&[1.0, 3.0]), Some(test.confidence_interval_95));
    }

    #[test]
    fn no_spread_and_too_few_are_refused() {
        for values in [&[][..], &[1.0], &[2.0, 2.0], &[1.0, f64::NAN]] {
            assert_eq!(t_test(values).unwrap_err().field(), Some("differences"));
        }
        assert_eq!(mean_interval_95(&[1.0]), None);
        assert_eq!(mean_interval_95(&[1.0, f64::NAN]), None);
    }
}
