//! What a measurement repeated under the same conditions says about its error.
//!
//! # Reference
//!
//! Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical
//! measurement", Lancet 327 (1986), doi:10.1016/S0140-6736(86)90837-8; "Measuring agreement in method
//! comparison studies", Stat Methods Med Res 8 (1999), doi:10.1177/096228029900800204. `McGraw` and Wong,
//! "Forming inferences about some intraclass correlation coefficients", Psychol. Methods 1 (1996),
//! doi:10.1037/1082-989X.1.1.30. Shrout and Fleiss, "Intraclass correlations: uses in assessing rater
//! reliability", Psychol. Bull. 86 (1979), doi:10.1037/0033-2909.86.2.420.

use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor};

use super::moments::Moments;
use super::require_finite;
use super::t_test::{mean_interval_95, student};
use crate::error::{Error, Result};

/// 97.5 % quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A number and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WithInterval {
    /// The number.
    pub value: f64,
    /// Its 95 % interval.
    pub interval_95: [f64; 2],
}

impl WithInterval {
    fn scaled(self, factor: f64) -> Self {
        Self { value: factor * self.value, interval_95: self.interval_95.map(|end| factor * end) }
    }
}

/// Error of a measurement from pairs of repeats; all in the unit of the measurement but where said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Repeatability {
    /// Number of pairs.
    pub n: usize,
    /// Within-subject SD, √(Σd²/2n); interval by χ² with n degrees of freedom.
    pub within_sd: WithInterval,
    /// Repeatability coefficient, 1.96·√2 within-subject SDs: 95 % of repeats differ by less. The
    /// smallest change of one subject that is detected with 95 % confidence.
    pub coefficient: WithInterval,
    /// Within-subject coefficient of variation, √(mean of d²/2m²), a fraction; `None` where the mean m
    /// of a pair is not positive.
    pub within_cv: Option<f64>,
    /// Mean of second − first, t interval.
    pub bias: WithInterval,
    /// Bland–Altman limits of agreement, bias ∓ 1.96 SD of the differences, each with its interval.
    pub limits: [WithInterval; 2],
    /// Intraclass correlation of single measurements, absolute agreement: ICC(2,1) of Shrout and Fleiss,
    /// ICC(A,1) of `McGraw` and Wong. `None` where all measurements are equal.
    pub icc_agreement: Option<WithInterval>,
    /// The same for consistency, a common bias left out: ICC(3,1), ICC(C,1).
    pub icc_consistency: Option<WithInterval>,
}

/// Describes `pairs` of [first, second] measurements, each of one subject.
///
/// # Errors
///
/// `Value` at `pairs`: fewer than two, or a value not finite.
pub fn repeatability(pairs: &[[f64; 2]]) -> Result<Repeatability> {
    require_finite(pairs.as_flattened(), "pairs")?;
    let n = pairs.len();
    let differences: Vec<f64> = pairs.iter().map(|[first, second]| second - first).collect();
    let moments = Moments::of(&differences);
    let (Some(bias_interval), Some(sd)) =
        (mean_interval_95(&differences), moments.and_then(|m| m.standard_deviation()))
    else {
        return Err(Error::value(format!("{n} pairs tell no error"))
            .at_field("pairs")
            .hint("at least two subjects measured twice are needed"));
    };
    let bias = differences.iter().sum::<f64>() / n as f64;
    let within_sd = within_sd(&differences)?;
    Ok(Repeatability {
        n,
        within_sd,
        coefficient: within_sd.scaled(Z * std::f64::consts::SQRT_2),
        within_cv: within_cv(pairs),
        bias: WithInterval { value: bias, interval_95: bias_interval },
        limits: limits(bias, sd, n)?,
        icc_agreement: Anova::of(pairs).agreement()?,
        icc_consistency: Anova::of(pairs).consistency()?,
    })
}

fn within_sd(differences: &[f64]) -> Result<WithInterval> {
    let n = differences.len() as f64;
    let squares = differences.iter().map(|d| d * d).sum::<f64>() / 2.0;
    let spread = ChiSquared::new(n)
        .map_err(|error| Error::internal(format!("χ² of {n} degrees of freedom: {error}")))?;
    let end = |probability: f64| (squares / spread.inverse_cdf(probability)).sqrt();
    Ok(WithInterval { value: (squares / n).sqrt(), interval_95: [end(0.975), end(0.025)] })
}

fn within_cv(pairs: &[[f64; 2]]) -> Option<f64> {
    let mut sum = 0.0;
    for &[first, second] in pairs {
        let mean = f64::midpoint(first, second);
        if mean <= 0.0 {
            return None;
        }
        sum += ((second - first) / mean).powi(2) / 2.0;
    }
    Some((sum / pairs.len() as f64).sqrt())
}

/// The variance of a limit is that of the bias plus Z² times that of the SD, s²/(2(n − 1)).
fn limits(bias: f64, sd: f64, n: usize) -> Result<[WithInterval; 2]> {
    let size = n as f64;
    let error = sd * (1.0 / size + Z * Z / (2.0 * (size - 1.0))).sqrt();
    let half = error * student(n as f64 - 1.0)?.inverse_cdf(0.975);
    Ok([-1.0, 1.0].map(|side| {
        let value = bias + side * Z * sd;
        WithInterval { value, interval_95: [value - half, value + half] }
    }))
}

/// Mean squares of the two-way table of n subjects and two repeats.
#[derive(Debug, Clone, Copy)]
struct Anova {
    n: f64,
    between_subjects: f64,
    between_repeats: f64,
    residual: f64,
}

impl Anova {
    fn of(pairs: &[[f64; 2]]) -> Self {
        let n = pairs.len() as f64;
        let columns = [0, 1].map(|k| pairs.iter().map(|pair| pair[k]).sum::<f64>() / n);
        let all = f64::midpoint(columns[0], columns[1]);
        let (mut subjects, mut residual) = (0.0, 0.0);
        for pair in pairs {
            let mean = f64::midpoint(pair[0], pair[1]);
            subjects += 2.0 * (mean - all).powi(2);
            for k in 0..2 {
                residual += (pair[k] - mean - columns[k] + all).powi(2);
            }
        }
        Self {
            n,
            between_subjects: subjects / (n - 1.0),
            between_repeats: n * columns.iter().map(|mean| (mean - all).powi(2)).sum::<f64>(),
            residual: residual / (n - 1.0),
        }
    }

    fn consistency(&self) -> Result<Option<WithInterval>> {
        let (between, residual) = (self.between_subjects, self.residual);
        if between + residual <= 0.0 {
            return Ok(None);
        }
        let value = (between - residual) / (between + residual);
        if residual <= 0.0 {
            return Ok(Some(WithInterval { value, interval_95: [1.0, 1.0] }));
        }
        let ratio = between / residual;
        let bound = quantile_of_f(self.n - 1.0, self.n - 1.0)?;
        let end = |ratio: f64| (ratio - 1.0) / (ratio + 1.0);
        let interval_95 = [end(ratio / bound), end(ratio * bound)];
        Ok(Some(WithInterval { value, interval_95 }))
    }

    fn agreement(&self) -> Result<Option<WithInterval>> {
        let Self { n, between_subjects: rows, between_repeats: columns, residual } = *self;
        let all = rows + residual + 2.0 / n * (columns - residual);
        if all <= 0.0 || rows + columns + residual <= 0.0 {
            return Ok(None);
        }
        let value = (rows - residual) / all;
        let odds = 2.0 * value / (n * (1.0 - value));
        let (a, b) = (odds, 1.0 + odds * (n - 1.0));
        let freedom = (a * columns + b * residual).powi(2)
            / ((a * columns).powi(2) + (b * residual).powi(2) / (n - 1.0));
        if !freedom.is_finite() || freedom <= 0.0 {
            return Ok(Some(WithInterval { value, interval_95: [value, value] }));
        }
        let rest = 2.0 * columns + (n - 2.0) * residual;
        let (low, high) = (quantile_of_f(n - 1.0, freedom)?, quantile_of_f(freedom, n - 1.0)?);
        let interval_95 = [
            n * (rows - low * residual) / (low * rest + n * rows),
            n * (high * rows - residual) / (rest + n * high * rows),
        ];
        Ok(Some(WithInterval { value, interval_95 }))
    }
}

fn quantile_of_f(first: f64, second: f64) -> Result<f64> {
    let distribution = FisherSnedecor::new(first, second)
        .map_err(|error| Error::internal(format!("F of {first} and {second}: {error}")))?;
    Ok(distribution.inverse_cdf(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pairs_have_their_closed_form() {
        let found = repeatability(&[[10.0, 12.0], [20.0, 20.0]]).unwrap();
        // Σd² = 4, two pairs: √(4/4).
        assert!((found.within_sd.value - 1.0).abs() < 1e-15);
        assert!((found.coefficient.value - 2.771_807_648_699_356).abs() < 1e-12);
        assert!((found.bias.value - 1.0).abs() < 1e-15);
        let cv = ((2.0_f64 / 11.0).powi(2) / 4.0).sqrt();
        assert!((found.within_cv.unwrap() - cv).abs() < 1e-15);
        // SD of 2 and 0 is √2.
        assert!((found.limits[1].value - (1.0 + Z * 2.0_f64.sqrt())).abs() < 1e-12);
        assert!((found.limits[0].value - (1.0 - Z * 2.0_f64.sqrt())).abs() < 1e-12);
    }

    #[test]
    fn a_common_bias_lowers_agreement_but_not_consistency() {
        let pairs: Vec<[f64; 2]> = (0..12)
            .map(|k| {
                let truth = 30.0 + f64::from(k);
                [truth, truth + 2.0 + 0.1 * f64::from(k % 3)]
            })
            .collect();
        let found = repeatability(&pairs).unwrap();
        let (agreement, consistency) =
            (found.icc_agreement.unwrap(), found.icc_consistency.unwrap());
        assert!(consistency.value > 0.999 && agreement.value < 0.9);
        for icc in [agreement, consistency] {
            assert!(icc.interval_95[0] < icc.value && icc.value < icc.interval_95[1]);
        }
    }

    #[test]
    fn repeats_without_any_error_and_bad_input() {
        let exact = repeatability(&[[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]).unwrap();
        assert!(exact.within_sd.value.abs() < 1e-300);
        assert!((exact.icc_consistency.unwrap().value - 1.0).abs() < 1e-15);
        assert!((exact.icc_agreement.unwrap().value - 1.0).abs() < 1e-15);
        let equal = repeatability(&[[3.0, 3.0], [3.0, 3.0]]).unwrap();
        assert_eq!((equal.icc_agreement, equal.icc_consistency), (None, None));
        assert_eq!(repeatability(&[[-1.0, 1.0], [2.0, 2.0]]).unwrap().within_cv, None);
        for pairs in [&[][..], &[[1.0, 2.0]], &[[1.0, f64::NAN], [1.0, 2.0]]] {
            assert_eq!(repeatability(pairs).unwrap_err().field(), Some("pairs"));
        }
    }
}
