//! Sets of numbers with exact sample moments, for cohorts whose truth is constructed.

use crate::random::StreamKey;

/// Mean of `values`; NaN where there is none.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation with n − 1; NaN below two values.
pub(super) fn standard_deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

/// `values` moved and stretched to exactly `target_mean` and `target_sd` (n − 1).
///
/// Values without spread, and a single one, become `target_mean`.
pub(super) fn standardised(values: &[f64], target_mean: f64, target_sd: f64) -> Vec<f64> {
    let (centre, spread) = (mean(values), standard_deviation(values));
    let scale = if spread > 0.0 { target_sd / spread } else { 0.0 };
    values.iter().map(|value| target_mean + (value - centre) * scale).collect()
}

/// `n` evenly spaced scores, mean 0, SD 1.
pub(super) fn even_scores(n: usize) -> Vec<f64> {
    standardised(&(0..n).map(|i| i as f64).collect::<Vec<_>>(), 0.0, 1.0)
}

/// `n` scores in two tight groups, mean 0, SD 1: six are −1, −.9, −.8, .8, .9, 1 standardised.
pub(super) fn two_group_scores(n: usize) -> Vec<f64> {
    let lower = n / 2;
    let within = |rank: usize, size: usize| {
        if size > 1 { 0.2 * rank as f64 / (size - 1) as f64 } else { 0.0 }
    };
    let value = |i: usize| {
        if i < lower { within(i, lower) - 1.0 } else { 0.8 + within(i - lower, n - lower) }
    };
    standardised(&(0..n).map(value).collect::<Vec<_>>(), 0.0, 1.0)
}

/// `values` in an order that depends on `key` alone (Fisher–Yates).
pub(super) fn permuted(values: &[f64], key: StreamKey) -> Vec<f64> {
    let mut stream = key.stream(0, 0);
    let mut shuffled = values.to_vec();
    for last in (1..shuffled.len()).rev() {
        shuffled.swap(last, stream.below(last + 1));
    }
    shuffled
}

/// Scores (mean 0, SD 1) whose correlation with `scores` is exactly `correlation`.
///
/// Needs three scores; with fewer no second direction exists and `scores` come back.
pub(super) fn correlated_scores(scores: &[f64], correlation: f64, key: StreamKey) -> Vec<f64> {
    if scores.len() < 3 {
        return scores.to_vec();
    }
    let mut stream = key.stream(0, 0);
    let draws: Vec<f64> = scores.iter().map(|_| stream.normal()).collect();
    let centred = standardised(&draws, 0.0, 1.0);
    let overlap = centred.iter().zip(scores).map(|(a, b)| a * b).sum::<f64>()
        / scores.iter().map(|score| score * score).sum::<f64>();
    let rest: Vec<f64> = centred.iter().zip(scores).map(|(a, b)| a - overlap * b).collect();
    let orthogonal = standardised(&rest, 0.0, 1.0);
    let remainder = (1.0 - correlation * correlation).sqrt();
    scores.iter().zip(&orthogonal).map(|(a, b)| correlation * a + remainder * b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_standard(scores: &[f64]) {
        assert!(mean(scores).abs() < 1e-14 && (standard_deviation(scores) - 1.0).abs() < 1e-14);
    }

    #[test]
    fn scores_have_mean_zero_and_standard_deviation_one() {
        for n in [2, 4, 6, 9, 18] {
            assert_standard(&even_scores(n));
            assert_standard(&two_group_scores(n));
        }
        let expected = [-1.0, -0.9, -0.8, 0.8, 0.9, 1.0].map(|x: f64| x / 0.98_f64.sqrt());
        for (score, expected) in two_group_scores(6).iter().zip(expected) {
            assert!((score - expected).abs() < 1e-14);
        }
    }

    #[test]
    fn correlation_is_exact_in_the_sample() {
        for n in [3, 4, 9] {
            let scores = even_scores(n);
            let other = correlated_scores(&scores, 0.6, StreamKey::new(3, "other"));
            assert_standard(&other);
            let product: f64 = scores.iter().zip(&other).map(|(a, b)| a * b).sum();
            assert!((product / (n as f64 - 1.0) - 0.6).abs() < 1e-13);
        }
    }

    #[test]
    fn a_permutation_keeps_every_value_and_moves_some() {
        let scores = even_scores(18);
        let mut shuffled = permuted(&scores, StreamKey::new(1, "order"));
        assert_ne!(shuffled, scores);
        shuffled.sort_by(f64::total_cmp);
        assert_eq!(shuffled, scores);
    }

    #[test]
    fn values_without_spread_become_the_mean() {
        assert_eq!(standardised(&[3.0, 3.0], 1.5, 1.0), [1.5, 1.5]);
        assert_eq!(standardised(&[3.0], 1.5, 1.0), [1.5]);
        assert!(standardised(&[], 1.5, 1.0).is_empty());
    }
}
