//! Mann–Whitney's (Wilcoxon's rank-sum) test of two independent samples.
//!
//! # Reference
//!
//! Mann and Whitney, Ann. Math. Stat. 18 (1947), doi:10.1214/aoms/1177730491.

use super::{doubled_ranks, normal_p};
use crate::error::Result;
use crate::statistics::require_finite;

/// Steps of dynamic programming above which the exact distribution is not counted.
const EXACT_STEPS_MAX: usize = 50_000_000;

/// What the ranks of two samples say.
#[derive(Debug, Clone, PartialEq)]
pub struct RankSum {
    /// Sizes of the two samples.
    pub n: [usize; 2],
    /// Pairs in which the first sample has the greater value, ties one half.
    pub u: f64,
    /// U / (n₁ n₂): probability that the first is greater.
    pub probability_greater: f64,
    /// Exact two-sided p, twice the smaller tail, ties included; `None` for samples too large.
    pub p_exact: Option<f64>,
    /// Two-sided p of the normal approximation with tie and continuity correction.
    pub p_asymptotic: f64,
}

/// Tests whether a value of `first` is as likely above as below one of `second`.
///
/// # Errors
///
/// `Value` at `first` or `second`: no values, or one not finite.
pub fn rank_sum(first: &[f64], second: &[f64]) -> Result<RankSum> {
    require_finite(first, "first")?;
    require_finite(second, "second")?;
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    let (ranks, ties) = doubled_ranks(&all);
    let observed: usize = ranks[..first.len()].iter().sum();
    let (n1, n2) = (first.len() as f64, second.len() as f64);
    let u = observed as f64 / 2.0 - n1 * (n1 + 1.0) / 2.0;
    let n = n1 + n2;
    let variance = n1 * n2 / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    let distance = ((u - n1 * n2 / 2.0).abs() - 0.5).max(0.0);
    Ok(RankSum {
        n: [first.len(), second.len()],
        u,
        probability_greater: u / (n1 * n2),
        p_exact: exact_p(&ranks, first.len(), observed),
        p_asymptotic: normal_p(distance / variance.sqrt()),
    })
}

/// Twice the smaller tail of the doubled rank sum of `size` out of `ranks`.
fn exact_p(ranks: &[usize], size: usize, observed: usize) -> Option<f64> {
    let total: usize = ranks.iter().sum();
    if ranks.len().saturating_mul(size).saturating_mul(total + 1) > EXACT_STEPS_MAX {
        return None;
    }
    // counts[m][s]: ways to draw m ranks with sum s, scaled by 2^-drawn against overflow.
    let mut counts = vec![vec![0.0_f64; total + 1]; size + 1];
    counts[0][0] = 1.0;
    for (drawn, &rank) in ranks.iter().enumerate() {
        for m in (0..=size.min(drawn + 1)).rev() {
            for s in (0..=total).rev() {
                let with = if m > 0 && s >= rank { counts[m - 1][s - rank] } else { 0.0 };
                counts[m][s] = 0.5 * (counts[m][s] + with);
            }
        }
    }
    let ways: f64 = counts[size].iter().sum();
    let lower: f64 = counts[size][..=observed].iter().sum();
    let upper: f64 = counts[size][observed..].iter().sum();
    Some((2.0 * lower.min(upper) / ways).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    /// Every way to choose which values belong to the first sample.
    fn enumerated(first: &[f64], second: &[f64]) -> f64 {
        let all: Vec<f64> = first.iter().chain(second).copied().collect();
        let u_of = |chosen: u32| {
            let mut u = 0.0;
            for (i, a) in all.iter().enumerate().filter(|(i, _)| chosen >> i & 1 == 1) {
                for (j, b) in all.iter().enumerate().filter(|(j, _)| chosen >> j & 1 == 0) {
                    debug_assert_ne!(i, j);
                    u += if a > b {
                        1.0
                    } else if a < b {
                        0.0
                    } else {
                        0.5
                    };
                }
            }
            u
        };
        let observed = u_of((1 << first.len()) - 1);
        let draws: Vec<f64> = (0..1_u32 << all.len())
            .filter(|chosen| chosen.count_ones() as usize == first.len())
            .map(u_of)
            .collect();
        let lower = draws.iter().filter(|&&u| u <= observed).count();
        let upper = draws.iter().filter(|&&u| u >= observed).count();
        (2.0 * lower.min(upper) as f64 / draws.len() as f64).min(1.0)
    }

    #[test]
    fn exact_p_equals_enumeration_with_and_without_ties() {
        for case in 0..60 {
            let mut stream = StreamKey::new(6, "rank_sum").stream(case, 0);
            let (n1, n2) = (1 + case % 5, 1 + case / 5 % 6);
            let mut draw = |n: usize, shift: f64| -> Vec<f64> {
                (0..n)
                    .map(|_| shift + 1.5 * stream.normal())
                    .map(|x: f64| if case % 2 == 0 { x } else { x.round() })
                    .collect()
            };
            let (first, second) = (draw(n1, 0.0), draw(n2, 1.0));
            let p = rank_sum(&first, &second).unwrap().p_exact.unwrap();
            assert!((p - enumerated(&first, &second)).abs() < 1e-13, "{first:?} {second:?}");
        }
    }

    #[test]
    fn separate_samples_have_the_least_p() {
        let test = rank_sum(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).unwrap();
        assert!(test.u.abs() < 1e-15);
        assert!((test.p_exact.unwrap() - 0.1).abs() < 1e-15);
        let back = rank_sum(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!((back.probability_greater - 1.0).abs() < 1e-15);
    }

    #[test]
    fn equal_values_and_bad_samples_have_answers() {
        let same = rank_sum(&[1.0], &[1.0]).unwrap();
        assert_eq!(same.p_exact, Some(1.0));
        assert!((same.p_asymptotic - 1.0).abs() < 1e-15);
        assert_eq!(rank_sum(&[], &[1.0]).unwrap_err().field(), Some("first"));
        assert_eq!(rank_sum(&[1.0], &[f64::NAN]).unwrap_err().field(), Some("second"));
        let large: Vec<f64> = (0..2000).map(f64::from).collect();
        assert_eq!(rank_sum(&large, &large).unwrap().p_exact, None);
    }
}
