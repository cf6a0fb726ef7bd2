//! First-order features of a region: names and definitions of the IBSI, continuous values, no bins.
//!
//! # Reference
//!
//! Zwanenburg et al., "The Image Biomarker Standardization Initiative", Radiology 295 (2020),
//! doi:10.1148/radiol.2020191145.

mod distances;

use super::moments::Summary;
use super::quantile::quantiles_of_finite;
use distances::Distances;

/// The first-order features; `None` where a feature is not defined (no spread, mean 0, one value).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FirstOrder {
    /// Number of values.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Population variance (n), as the IBSI defines it.
    pub variance: f64,
    /// Standard deviation with n − 1, for the tables.
    pub standard_deviation: Option<f64>,
    /// Population skewness.
    pub skewness: Option<f64>,
    /// Population kurtosis − 3.
    pub excess_kurtosis: Option<f64>,
    /// Median.
    pub median: f64,
    /// Smallest value.
    pub minimum: f64,
    /// 5th percentile.
    pub p05: f64,
    /// 10th percentile.
    pub p10: f64,
    /// 25th percentile.
    pub p25: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// Largest value.
    pub maximum: f64,
    /// P75 − P25.
    pub interquartile_range: f64,
    /// Maximum − minimum.
    pub range: f64,
    /// Mean distance from the mean.
    pub mean_absolute_deviation: f64,
    /// The same within P10–P90 (both included), about the mean of those values.
    pub robust_mean_absolute_deviation: f64,
    /// Mean distance from the median: what the IBSI calls median absolute deviation.
    pub median_absolute_deviation: f64,
    /// Population SD / mean.
    pub coefficient_of_variation: Option<f64>,
    /// (P75 − P25) / (P75 + P25).
    pub quartile_coefficient_of_dispersion: Option<f64>,
    /// Sum of squares.
    pub energy: f64,
    /// Root of the mean square.
    pub root_mean_square: f64,
}

impl FirstOrder {
    /// Features of `values` in any order; `None` for no values or where one is not finite.
    pub fn of(values: &[f64]) -> Option<Self> {
        let Summary { moments, minimum, maximum, sum_of_squares } = Summary::of(values)?;
        let [p05, p10, p25, median, p75, p90, p95] =
            quantiles_of_finite(values, [0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95]);
        let distances = Distances::of(values, [moments.mean(), median], [p10, p90]);
        Some(Self {
            n: moments.n(),
            mean: moments.mean(),
            variance: moments.population_variance(),
            standard_deviation: moments.standard_deviation(),
            skewness: moments.skewness(),
            excess_kurtosis: moments.excess_kurtosis(),
            median,
            minimum,
            p05,
            p10,
            p25,
            p75,
            p90,
            p95,
            maximum,
            interquartile_range: p75 - p25,
            range: maximum - minimum,
            mean_absolute_deviation: distances.from_mean,
            robust_mean_absolute_deviation: distances.robust,
            median_absolute_deviation: distances.from_median,
            coefficient_of_variation: ratio(moments.population_variance().sqrt(), moments.mean()),
            quartile_coefficient_of_dispersion: ratio(p75 - p25, p75 + p25),
            energy: sum_of_squares,
            root_mean_square: (sum_of_squares / values.len() as f64).sqrt(),
        })
    }
}

fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    let ratio = numerator / denominator;
    ratio.is_finite().then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grey levels of the IBSI digital phantom: 50 × 1, 1 × 3, 16 × 4, 7 × 6.
    fn phantom() -> Vec<f64> {
        [(1.0, 50), (3.0, 1), (4.0, 16), (6.0, 7)]
            .iter()
            .flat_map(|&(value, n)| std::iter::repeat_n(value, n))
            .collect()
    }

    #[test]
    fn the_digital_phantom_gives_the_consensus_values() {
        let features = FirstOrder::of(&phantom()).unwrap();
        assert_eq!(features.n, 74);
        // Half a unit of the last printed digit.
        for (name, value, expected, tolerance) in [
            ("mean", features.mean, 2.15, 5e-3),
            ("variance", features.variance, 3.05, 5e-3),
            ("skewness", features.skewness.unwrap(), 1.08, 5e-3),
            ("excess kurtosis", features.excess_kurtosis.unwrap(), -0.355, 5e-4),
            ("median", features.median, 1.0, 0.0),
            ("minimum", features.minimum, 1.0, 0.0),
            ("P10", features.p10, 1.0, 0.0),
            ("P90", features.p90, 4.0, 0.0),
            ("maximum", features.maximum, 6.0, 0.0),
            ("interquartile range", features.interquartile_range, 3.0, 0.0),
            ("range", features.range, 5.0, 0.0),
            ("MAD", features.mean_absolute_deviation, 1.55, 5e-3),
            ("robust MAD", features.robust_mean_absolute_deviation, 1.11, 5e-3),
            ("median AD", features.median_absolute_deviation, 1.15, 5e-3),
            ("CoV", features.coefficient_of_variation.unwrap(), 0.812, 5e-4),
            ("QCoD", features.quartile_coefficient_of_dispersion.unwrap(), 0.6, 1e-12),
            ("energy", features.energy, 567.0, 0.0),
            ("RMS", features.root_mean_square, 2.77, 5e-3),
        ] {
            assert!((value - expected).abs() <= tolerance, "{name}: {value} is not {expected}");
        }
    }

    #[test]
    fn one_value_has_a_place_and_no_spread() {
        let features = FirstOrder::of(&[2.5]).unwrap();
        assert_eq!((features.n, features.standard_deviation), (1, None));
        assert_eq!(features.skewness, None);
        assert!((features.median - 2.5).abs() < 1e-15);
        assert!(features.robust_mean_absolute_deviation.abs() < 1e-15);
    }

    #[test]
    fn two_values_leave_nothing_between_their_percentiles() {
        let features = FirstOrder::of(&[0.0, 1.0]).unwrap();
        assert!(features.robust_mean_absolute_deviation.abs() < 1e-15);
    }

    #[test]
    fn ratios_to_zero_are_none_and_bad_values_give_nothing() {
        let features = FirstOrder::of(&[-1.0, 1.0]).unwrap();
        assert_eq!(features.coefficient_of_variation, None);
        assert_eq!(features.quartile_coefficient_of_dispersion, None);
        assert_eq!(FirstOrder::of(&[]), None);
        assert_eq!(FirstOrder::of(&[1.0, f64::NAN]), None);
    }
}
