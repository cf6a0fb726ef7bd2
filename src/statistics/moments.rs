//! Sums, mean, variance and the higher moments, without loss of digits.
//!
//! Sums are compensated and moments are taken about a centre near the mean, so that a large common
//! offset costs no accuracy.
//!
//! # Reference
//!
//! Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54
//! (1974), doi:10.1002/zamm.19740540106. Chan and others, "Algorithms for computing the sample
//! variance", Am. Stat. 37 (1983), doi:10.1080/00031305.1983.10483115.

mod summary;

use super::lanes::Compensated;
pub(super) use summary::Summary;

/// Compensated sum; 0 for no values. NaN and infinities spread.
pub fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut total = Compensated::default();
    for value in values {
        total.add(value);
    }
    total.value()
}

/// Arithmetic mean; `None` for no values or where one is not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let n = values.len() as f64;
    let first = sum(values.iter().copied()) / n;
    let mean = first + sum(values.iter().map(|value| value - first)) / n;
    mean.is_finite().then_some(mean)
}

/// Standard deviation with n − 1; `None` below two values or where one is not finite.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    Moments::of(values)?.standard_deviation()
}

/// Number of values, their mean and their central moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    n: usize,
    mean: f64,
    central: [f64; 3],
}

impl Moments {
    /// Moments of `values`; `None` for no values, where one is not finite, or where a power of them
    /// leaves the range of numbers.
    pub fn of(values: &[f64]) -> Option<Self> {
        Some(Summary::of(values)?.moments)
    }

    /// Number of values, at least 1.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Variance with n: the mean squared distance from the mean.
    pub fn population_variance(&self) -> f64 {
        self.central[0]
    }

    /// Variance with n − 1; `None` for a single value.
    pub fn variance(&self) -> Option<f64> {
        let n = self.n as f64;
        (self.n > 1).then(|| self.central[0] * n / (n - 1.0))
    }

    /// Square root of [`Moments::variance`].
    pub fn standard_deviation(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// Third standardised moment, population form; `None` without spread.
    pub fn skewness(&self) -> Option<f64> {
        finite(self.central[1] / self.central[0].powf(1.5))
    }

    /// Fourth standardised moment − 3, population form; `None` without spread.
    pub fn excess_kurtosis(&self) -> Option<f64> {
        finite(self.central[2] / (self.central[0] * self.central[0])).map(|kurtosis| kurtosis - 3.0)
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_keeps_what_plain_addition_loses() {
        assert!((sum([1.0, 1e100, 1.0, -1e100]) - 2.0).abs() < f64::EPSILON);
        assert!(sum([]).abs() < f64::EPSILON);
        assert!(sum([1.0, f64::INFINITY]).is_infinite());
        assert!(sum([1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn a_common_offset_costs_no_digits() {
        // NIST StRD NumAcc4 (lottery of 10000000.1 ± .1): mean 10000000.2, SD exactly 0.1.
        let mut values = vec![10_000_000.2];
        for _ in 0..500 {
            values.extend([10_000_000.1, 10_000_000.3]);
        }
        let moments = Moments::of(&values).unwrap();
        assert!((moments.mean() - 10_000_000.2).abs() < 2e-9);
        assert!((moments.standard_deviation().unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn moments_of_one_to_four_are_those_of_the_textbook() {
        let moments = Moments::of(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((moments.mean() - 2.5).abs() < 1e-15);
        assert!((moments.population_variance() - 1.25).abs() < 1e-15);
        assert!((moments.variance().unwrap() - 5.0 / 3.0).abs() < 1e-15);
        assert!(moments.skewness().unwrap().abs() < 1e-15);
        assert!((moments.excess_kurtosis().unwrap() + 1.36).abs() < 1e-14);
    }

    #[test]
    fn what_is_not_defined_is_none() {
        assert_eq!(Moments::of(&[]), None);
        assert_eq!(Moments::of(&[1.0, f64::NAN]), None);
        assert_eq!(mean(&[f64::INFINITY]), None);
        assert_eq!(mean(&[f64::MAX, f64::MAX]), None);
        let one = Moments::of(&[3.0]).unwrap();
        assert_eq!(one.standard_deviation(), None);
        assert_eq!(one.skewness(), None);
        let equal = Moments::of(&[0.1; 10]).unwrap();
        assert_eq!(equal.standard_deviation(), Some(0.0));
        assert_eq!(equal.excess_kurtosis(), None);
    }
}
