//! Whether a small sample could be normal: Shapiro and Wilk's W in Royston's approximation.
//!
//! # Reference
//!
//! Shapiro and Wilk, "An analysis of variance test for normality", Biometrika 52 (1965),
//! doi:10.1093/biomet/52.3-4.591. Royston, "Remark AS R94: a remark on algorithm AS 181: the W-test
//! for normality", Appl. Stat. 44 (1995), doi:10.2307/2986146.

use statrs::distribution::{ContinuousCDF, Normal};

use super::require_finite;
use crate::error::{Error, Result};

/// Sizes that the approximation was made for.
const N_RANGE: std::ops::RangeInclusive<usize> = 3..=5000;

/// Coefficients of polynomials, the constant first.
const LAST_WEIGHT: [f64; 6] = [0.0, 0.221_157, -0.147_981, -2.071_19, 4.434_685, -2.706_056];
const NEXT_WEIGHT: [f64; 6] = [0.0, 0.042_981, -0.293_762, -1.752_461, 5.682_633, -3.582_633];
const SMALL_SHIFT: [f64; 2] = [-2.273, 0.459];
const SMALL_MEAN: [f64; 4] = [0.544, -0.399_78, 0.025_054, -6.714e-4];
const SMALL_LOG_SD: [f64; 4] = [1.3822, -0.778_57, 0.062_767, -0.002_032_2];
const LARGE_MEAN: [f64; 4] = [-1.5861, -0.310_82, -0.083_751, 0.003_891_5];
const LARGE_LOG_SD: [f64; 3] = [-0.4803, -0.082_676, 0.003_030_2];

/// How straight a sample lies against normal order statistics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShapiroWilk {
    /// Number of values.
    pub n: usize,
    /// Squared correlation with the weights, at most 1.
    pub w: f64,
    /// Probability of a smaller W if the values are normal: exact for three values, approximate beyond.
    pub p: f64,
}

/// Tests whether `values` could be drawn from one normal distribution.
///
/// # Errors
///
/// `Value` at `values`: fewer than 3 or more than 5000, one not finite, or no spread.
pub fn shapiro_wilk(values: &[f64]) -> Result<ShapiroWilk> {
    require_finite(values, "values")?;
    let n = values.len();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let range = sorted[n - 1] - sorted[0];
    if !N_RANGE.contains(&n) || range <= 0.0 {
        return Err(Error::value(format!("{n} values with a range of {range} have no W"))
            .at_field("values")
            .hint("the test needs 3 to 5000 values that are not all equal"));
    }
    // Sums around the middle, in units of the range, lose no digits.
    let middle = sorted[n / 2];
    let scaled: Vec<f64> = sorted.iter().map(|value| (value - middle) / range).collect();
    let lack = lack_of_fit(&scaled, &weights(n));
    Ok(ShapiroWilk { n, w: 1.0 - lack, p: p_of(lack, n) })
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// Weights of the ordered values, antisymmetric, with squares that sum to 1.
fn weights(n: usize) -> Vec<f64> {
    let half = n / 2;
    let upper = if n == 3 { vec![0.5_f64.sqrt()] } else { upper_weights(n, half) };
    let mut weights = vec![0.0; n];
    for (index, weight) in upper.into_iter().enumerate() {
        weights[index] = -weight;
        weights[n - 1 - index] = weight;
    }
    weights
}

/// Weights of the largest, the second largest, … value.
fn upper_weights(n: usize, half: usize) -> Vec<f64> {
    let size = n as f64;
    let normal = Normal::standard();
    let score = |rank: usize| normal.inverse_cdf((rank as f64 - 0.375) / (size + 0.25));
    let scores: Vec<f64> = (1..=half).map(score).collect();
    let squares = 2.0 * scores.iter().map(|m| m * m).sum::<f64>();
    let (length, root) = (squares.sqrt(), 1.0 / size.sqrt());
    let mut exact = vec![polynomial(&LAST_WEIGHT, root) - scores[0] / length];
    if n > 5 {
        exact.push(polynomial(&NEXT_WEIGHT, root) - scores[1] / length);
    }
    let spent = |values: &[f64]| 2.0 * values.iter().map(|v| v * v).sum::<f64>();
    let left = (squares - spent(&scores[..exact.len()])) / (1.0 - spent(&exact));
    let rest = scores[exact.len()..].iter().map(|m| -m / left.sqrt());
    exact.iter().copied().chain(rest).collect()
}

/// 1 − W, without the cancellation of a W near 1.
fn lack_of_fit(values: &[f64], weights: &[f64]) -> f64 {
    let n = values.len() as f64;
    let [mean, mean_weight] = [values, weights].map(|list| list.iter().sum::<f64>() / n);
    let (mut aa, mut xx, mut ax) = (0.0, 0.0, 0.0);
    for (value, weight) in values.iter().zip(weights) {
        let (x, a) = (value - mean, weight - mean_weight);
        aa += a * a;
        xx += x * x;
        ax += a * x;
    }
    let both = (aa * xx).sqrt();
    ((both - ax) * (both + ax) / (aa * xx)).max(0.0)
}

fn p_of(lack: f64, n: usize) -> f64 {
    if n == 3 {
        let angle = (1.0 - lack).sqrt().min(1.0).asin() - 0.75_f64.sqrt().asin();
        return (6.0 / std::f64::consts::PI * angle).clamp(0.0, 1.0);
    }
    if lack <= 0.0 {
        return 1.0;
    }
    let (size, log_size) = (n as f64, (n as f64).ln());
    let z = if n <= 11 {
        let shift = polynomial(&SMALL_SHIFT, size);
        let room = shift - lack.ln();
        if room <= 0.0 {
            return 0.0;
        }
        (-room.ln() - polynomial(&SMALL_MEAN, size)) / polynomial(&SMALL_LOG_SD, size).exp()
    } else {
        (lack.ln() - polynomial(&LARGE_MEAN, log_size)) / polynomial(&LARGE_LOG_SD, log_size).exp()
    };
    Normal::standard().sf(z)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    #[test]
    fn the_weights_of_eleven_men_are_not_normal() {
        // Shapiro and Wilk's own example: W = .79, p below 1 %.
        let pounds = [148., 154., 158., 160., 161., 162., 166., 170., 182., 195., 236.];
        let test = shapiro_wilk(&pounds).unwrap();
        assert!((test.w - 0.79).abs() < 0.005 && test.p < 0.01, "{test:?}");
    }

    #[test]
    fn three_values_follow_the_closed_form() {
        // W = 3/4 where two of three are equal, and 1 where they are evenly spaced.
        let worst = shapiro_wilk(&[0.0, 0.0, 1.0]).unwrap();
        assert!((worst.w - 0.75).abs() < 1e-12 && worst.p < 1e-6, "{worst:?}");
        let best = shapiro_wilk(&[1.0, 2.0, 3.0]).unwrap();
        assert!((best.w - 1.0).abs() < 1e-12 && (best.p - 1.0).abs() < 1e-6, "{best:?}");
    }

    #[test]
    fn shift_and_scale_do_not_matter() {
        let values = [0.2, -1.0, 3.1, 0.7, 0.9, -0.4, 1.8];
        let test = shapiro_wilk(&values).unwrap();
        let moved: Vec<f64> = values.iter().map(|v| 1e6 - 4.0 * v).collect();
        let other = shapiro_wilk(&moved).unwrap();
        assert!((test.w - other.w).abs() < 1e-9 && (test.p - other.p).abs() < 1e-7);
    }

    /// 4000 normal samples each: a fraction of 0.05 is known to 0.0034.
    #[test]
    fn normal_samples_are_rejected_as_often_as_they_should_be() {
        for n in [9, 18, 40] {
            let mut stream = StreamKey::new(8, "shapiro").stream(n, 0);
            let rejected = (0..4000)
                .filter(|_| {
                    let values: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
                    shapiro_wilk(&values).unwrap().p < 0.05
                })
                .count();
            assert!((rejected as f64 / 4000.0 - 0.05).abs() < 0.014, "{n}: {rejected}");
        }
    }

    #[test]
    fn what_cannot_be_tested_is_refused() {
        for values in [&[][..], &[1.0, 2.0], &[2.0; 5], &[1.0, f64::NAN, 2.0]] {
            assert_eq!(shapiro_wilk(values).unwrap_err().field(), Some("values"));
        }
    }
}
