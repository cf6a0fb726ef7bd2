//! Wilcoxon's signed-rank test of paired differences.
//!
//! Zeros are dropped and counted; the exact p counts all sign patterns of the mid-ranks at hand.
//!
//! # Reference
//!
//! Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bull. 1 (1945),
//! doi:10.2307/3001968. Hodges and Lehmann, Ann. Math. Stat. 34 (1963),
//! doi:10.1214/aoms/1177704172. Kerby, "The simple difference formula", Compr. Psychol. 3 (2014),
//! doi:10.2466/11.IT.3.1.

use super::{doubled_ranks, normal_p};
use crate::error::{Error, Result};
use crate::statistics::quantile::Sorted;
use crate::statistics::require_finite;

/// Differences above which the exact distribution is not counted.
const EXACT_N_MAX: usize = 400;

/// What the signed ranks of paired differences say.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedRank {
    /// Number of differences, zeros included.
    pub n: usize,
    /// Differences that are 0: dropped from the ranks.
    pub n_zeros: usize,
    /// Sum of the ranks of positive differences.
    pub w_plus: f64,
    /// Sum of the ranks of negative differences.
    pub w_minus: f64,
    /// Exact two-sided p, ties included; `None` above 400 differences.
    pub p_exact: Option<f64>,
    /// Median of all Walsh averages (x + y)/2 of the differences, zeros included: Hodges–Lehmann.
    pub hodges_lehmann: f64,
    /// Exact interval of the shift with at least 95 % confidence (for untied differences); `None`
    /// below 6 differences, where there is none, and above 400.
    pub confidence_interval_95: Option<[f64; 2]>,
    /// (W⁺ − W⁻)/(W⁺ + W⁻), matched rank-biserial correlation; 0 where all differences are 0.
    pub rank_biserial: f64,
    ties: f64,
}

/// Whether the normal approximation moves W by ½ towards its mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContinuityCorrection {
    /// It does.
    Half,
    /// It does not.
    None,
}

/// Whether the variance of the normal approximation is reduced for ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TieCorrection {
    /// By Σ(t³ − t)/48.
    Corrected,
    /// It is not.
    None,
}

/// Tests whether `differences` are symmetric about 0.
///
/// # Errors
///
/// `Value` at `differences`: none, or one not finite.
pub fn signed_rank(differences: &[f64]) -> Result<SignedRank> {
    require_finite(differences, "differences")?;
    let nonzero: Vec<f64> = differences.iter().copied().filter(|&d| d.abs() > 0.0).collect();
    let magnitudes: Vec<f64> = nonzero.iter().map(|d| d.abs()).collect();
    let (ranks, ties) = doubled_ranks(&magnitudes);
    let total: usize = ranks.iter().sum();
    let plus: usize = ranks.iter().zip(&nonzero).filter(|(_, d)| **d > 0.0).map(|(r, _)| r).sum();
    let minus = total - plus;
    let walsh = walsh_averages(differences)?;
    let exact = differences.len() <= EXACT_N_MAX;
    Ok(SignedRank {
        n: differences.len(),
        n_zeros: differences.len() - nonzero.len(),
        w_plus: plus as f64 / 2.0,
        w_minus: minus as f64 / 2.0,
        p_exact: exact.then(|| (2.0 * lower_tail(&ranks, plus.min(minus))).min(1.0)),
        hodges_lehmann: walsh.median(),
        confidence_interval_95: if exact { interval_95(&walsh, differences.len()) } else { None },
        rank_biserial: if total == 0 { 0.0 } else { (plus as f64 - minus as f64) / total as f64 },
        ties,
    })
}

impl SignedRank {
    /// Two-sided p of the normal approximation; 1 where all differences are 0.
    pub fn p_asymptotic(&self, continuity: ContinuityCorrection, ties: TieCorrection) -> f64 {
        let n = (self.n - self.n_zeros) as f64;
        let mean = n * (n + 1.0) / 4.0;
        let tied = if ties == TieCorrection::Corrected { self.ties / 48.0 } else { 0.0 };
        let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - tied;
        let half = if continuity == ContinuityCorrection::Half { 0.5 } else { 0.0 };
        let distance = ((self.w_plus - mean).abs() - half).max(0.0);
        normal_p(distance / variance.sqrt())
    }
}

/// P(W ≤ `doubled_w`) over all sign patterns of the doubled `ranks`.
fn lower_tail(ranks: &[usize], doubled_w: usize) -> f64 {
    let mut probability = vec![0.0; doubled_w + 1];
    probability[0] = 1.0;
    for &rank in ranks {
        for w in (0..=doubled_w).rev() {
            let with = if w >= rank { probability[w - rank] } else { 0.0 };
            probability[w] = 0.5 * (probability[w] + with);
        }
    }
    probability.iter().sum()
}

fn walsh_averages(differences: &[f64]) -> Result<Sorted> {
    let mut averages = Vec::with_capacity(differences.len() * (differences.len() + 1) / 2);
    for (index, &a) in differences.iter().enumerate() {
        averages.extend(differences[index..].iter().map(|&b| f64::midpoint(a, b)));
    }
    Sorted::new(&averages)
        .ok_or_else(|| Error::internal("averages of finite differences are not finite"))
}

/// The widest exclusion that keeps each tail at 2.5 % or less.
fn interval_95(walsh: &Sorted, n: usize) -> Option<[f64; 2]> {
    let ranks: Vec<usize> = (1..=n).map(|rank| 2 * rank).collect();
    let all = n * (n + 1) / 2;
    let (mut low, mut high) = (0, all);
    // Largest number of averages that can be left out at each end.
    while low < high {
        let middle = usize::midpoint(low, high + 1);
        if lower_tail(&ranks, 2 * (middle - 1)) <= 0.025 {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    (low > 0).then(|| [walsh.values()[low - 1], walsh.values()[all - low]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    /// All 2ⁿ sign patterns.
    fn enumerated(differences: &[f64]) -> f64 {
        let magnitudes: Vec<f64> =
            differences.iter().map(|d| d.abs()).filter(|&d| d > 0.0).collect();
        let rank = |x: f64| {
            let below = magnitudes.iter().filter(|&&m| m < x).count() as f64;
            let equal = magnitudes.iter().filter(|&&m| m <= x).count() as f64 - below;
            below + f64::midpoint(equal, 1.0)
        };
        let ranks: Vec<f64> = magnitudes.iter().map(|&m| rank(m)).collect();
        let total: f64 = ranks.iter().sum();
        let positive: f64 = differences.iter().filter(|&&d| d > 0.0).map(|&d| rank(d.abs())).sum();
        let observed = positive.min(total - positive);
        let patterns = 1_u32 << ranks.len();
        let extreme = (0..patterns)
            .filter(|bits| {
                let w: f64 = ranks
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| bits >> i & 1 == 1)
                    .map(|(_, r)| r)
                    .sum();
                w <= observed
            })
            .count();
        (2.0 * extreme as f64 / f64::from(patterns)).min(1.0)
    }

    #[test]
    fn exact_p_equals_enumeration_with_ties_and_zeros() {
        for case in 0..90 {
            let mut stream = StreamKey::new(3, "signed_rank").stream(case, 0);
            let n = 1 + case % 12;
            let mut differences: Vec<f64> = (0..n).map(|_| 0.5 + 2.0 * stream.normal()).collect();
            if case % 3 > 0 {
                for difference in &mut differences {
                    *difference = difference.round();
                }
            }
            let p = signed_rank(&differences).unwrap().p_exact.unwrap();
            assert!((p - enumerated(&differences)).abs() < 1e-14, "{differences:?}");
        }
    }

    #[test]
    fn nine_pairs_have_the_published_table() {
        for (w, expected) in [
            (0, 0.0039),
            (1, 0.0078),
            (2, 0.0117),
            (3, 0.0195),
            (4, 0.0273),
            (5, 0.0391),
            (6, 0.0547),
            (10, 0.1641),
            (12, 0.25),
        ] {
            // Make the ranks that sum to w negative, greedily from the top.
            let mut left = w;
            let mut differences = [0.0; 9];
            for rank in (1..=9).rev() {
                let negative = rank <= left;
                left -= if negative { rank } else { 0 };
                differences[rank as usize - 1] = f64::from(if negative { -rank } else { rank });
            }
            let test = signed_rank(&differences).unwrap();
            assert!((test.w_minus - f64::from(w)).abs() < 1e-12);
            assert!((test.p_exact.unwrap() - expected).abs() < 5e-5, "W = {w}");
        }
    }

    #[test]
    fn interval_holds_exactly_the_shifts_that_are_not_rejected() {
        for case in 0..8 {
            let mut stream = StreamKey::new(4, "interval").stream(case, 0);
            let differences: Vec<f64> = (0..6 + case).map(|_| 1.0 + stream.normal()).collect();
            let test = signed_rank(&differences).unwrap();
            let [low, high] = test.confidence_interval_95.unwrap();
            assert!(low <= test.hodges_lehmann && test.hodges_lehmann <= high);
            let p = |shift: f64| {
                let moved: Vec<f64> = differences.iter().map(|d| d - shift).collect();
                signed_rank(&moved).unwrap().p_exact.unwrap()
            };
            assert!(p(low + 1e-9) > 0.05 && p(high - 1e-9) > 0.05);
            assert!(p(low - 1e-9) <= 0.05 && p(high + 1e-9) <= 0.05);
        }
    }

    #[test]
    fn small_and_odd_samples_have_answers() {
        let zeros = signed_rank(&[0.0, 0.0]).unwrap();
        assert_eq!((zeros.n_zeros, zeros.p_exact), (2, Some(1.0)));
        let p = zeros.p_asymptotic(ContinuityCorrection::None, TieCorrection::Corrected);
        assert!((p - 1.0).abs() < 1e-15);
        assert!(zeros.rank_biserial.abs() < 1e-15);
        let five = signed_rank(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(five.confidence_interval_95, None);
        assert!((five.rank_biserial - 1.0).abs() < 1e-15);
        assert!((five.hodges_lehmann - 3.0).abs() < 1e-15);
        assert!(signed_rank(&[]).is_err());
        assert!(signed_rank(&[f64::NAN]).is_err());
    }
}
