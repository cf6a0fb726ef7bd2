//! Several tests at once.
//!
//! # Reference
//!
//! Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979), 65–70,
//! <https://www.jstor.org/stable/4615733>.

/// Holm-adjusted p values in the order given; NaN counts as 1. Empty in, empty out.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let of = |index: usize| if p_values[index].is_nan() { 1.0 } else { p_values[index] };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| of(a).total_cmp(&of(b)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max(((p_values.len() - rank) as f64 * of(index)).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_step_down_and_never_fall() {
        let adjusted = holm(&[0.037, 0.017]);
        assert!((adjusted[0] - 0.037).abs() < 1e-15 && (adjusted[1] - 0.034).abs() < 1e-15);
        // R: p.adjust(c(.01, .04, .03, .005), "holm") = .03 .06 .06 .02.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (value, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((value - expected).abs() < 1e-15);
        }
        assert!((holm(&[0.017, 0.24, 0.16, 0.037])[0] - 0.068).abs() < 1e-15);
    }

    #[test]
    fn no_value_exceeds_one_and_nothing_gives_nothing() {
        assert!(holm(&[0.9, f64::NAN]).iter().all(|&p| (p - 1.0).abs() < 1e-15));
        assert!(holm(&[]).is_empty());
    }
}
