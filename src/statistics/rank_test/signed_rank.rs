//! Wilcoxon's signed-rank test of paired differences.
//!
//! Zeros are counted, and dropped before or after ranking; the exact p counts all sign patterns of the
//! mid-ranks at hand.
//!
//! # Reference
//!
//! Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bull. 1 (1945),
//! doi:10.2307/3001968. Pratt, "Remarks on zeros and ties in the Wilcoxon signed rank procedures",
//! J. Am. Stat. Assoc. 54 (1959), doi:10.1080/01621459.1959.10501526. Hodges and Lehmann, Ann. Math. Stat. 34 (1963),
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
    /// Differences that are 0: in neither sum of ranks.
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
    /// Confidence that this interval attains with untied differences, at least 0.95.
    pub confidence_level: Option<f64>,
    /// (W⁺ − W⁻)/(W⁺ + W⁻), matched rank-biserial correlation; 0 where all differences are 0.
    pub rank_biserial: f64,
    ties: f64,
    /// Variance of W under the null hypothesis, Σrank²/4: ties and zeros included.
    variance: f64,
}

/// What becomes of differences that are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Zeros {
    /// Dropped before the others are ranked: Wilcoxon.
    #[default]
    Dropped,
    /// Ranked with the others and dropped then: Pratt.
    Ranked,
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

/// Tests whether `differences` are symmetric about 0; zeros are dropped.
///
/// # Errors
///
/// `Value` at `differences`: none, or one not finite.
pub fn signed_rank(differences: &[f64]) -> Result<SignedRank> {
    signed_rank_with(differences, Zeros::Dropped)
}

/// As [`signed_rank`], with a choice about zeros.
///
/// # Errors
///
/// `Value` at `differences`: none, or one not finite.
pub fn signed_rank_with(differences: &[f64], zeros: Zeros) -> Result<SignedRank> {
    require_finite(differences, "differences")?;
    let n = differences.len();
    let Ranks { doubled, positive, ties } = Ranks::of(differences, zeros);
    let total: usize = doubled.iter().sum();
    let plus: usize = doubled.iter().zip(&positive).filter(|(_, up)| **up).map(|(r, _)| r).sum();
    let minus = total - plus;
    let walsh = walsh_averages(differences)?;
    let exact = n <= EXACT_N_MAX;
    let interval = if exact { interval_95(&walsh, n) } else { None };
    Ok(SignedRank {
        n,
        n_zeros: n - doubled.len(),
        w_plus: plus as f64 / 2.0,
        w_minus: minus as f64 / 2.0,
        p_exact: exact.then(|| (2.0 * lower_tail(&doubled, plus.min(minus))).min(1.0)),
        hodges_lehmann: walsh.median(),
        confidence_interval_95: interval.map(|(ends, _)| ends),
        confidence_level: interval.map(|(_, level)| level),
        rank_biserial: if total == 0 { 0.0 } else { (plus as f64 - minus as f64) / total as f64 },
        ties,
        variance: doubled.iter().map(|&rank| (rank as f64).powi(2)).sum::<f64>() / 16.0,
    })
}

/// Ranks of the differences that are not 0, in their order.
struct Ranks {
    /// Doubled mid-ranks of the magnitudes.
    doubled: Vec<usize>,
    /// Which differences are positive.
    positive: Vec<bool>,
    /// Σ(t³ − t) over groups of t equal magnitudes.
    ties: f64,
}

impl Ranks {
    fn of(differences: &[f64], zeros: Zeros) -> Self {
        let nonzero: Vec<f64> = differences.iter().copied().filter(|&d| d.abs() > 0.0).collect();
        let magnitudes: Vec<f64> = nonzero.iter().map(|d| d.abs()).collect();
        let (mut doubled, ties) = doubled_ranks(&magnitudes);
        if zeros == Zeros::Ranked {
            // All zeros lie below all others.
            let below = 2 * (differences.len() - nonzero.len());
            for rank in &mut doubled {
                *rank += below;
            }
        }
        Self { doubled, positive: nonzero.iter().map(|&d| d > 0.0).collect(), ties }
    }
}

impl SignedRank {
    /// Two-sided p of the normal approximation; 1 where all differences are 0.
    pub fn p_asymptotic(&self, continuity: ContinuityCorrection, ties: TieCorrection) -> f64 {
        let mean = f64::midpoint(self.w_plus, self.w_minus);
        let untied = if ties == TieCorrection::Corrected { 0.0 } else { self.ties / 48.0 };
        let half = if continuity == ContinuityCorrection::Half { 0.5 } else { 0.0 };
        let distance = ((self.w_plus - mean).abs() - half).max(0.0);
        normal_p(distance / (self.variance + untied).sqrt())
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

/// The widest exclusion that keeps each tail at 2.5 % or less, and the confidence it attains.
fn interval_95(walsh: &Sorted, n: usize) -> Option<([f64; 2], f64)> {
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
    (low > 0).then(|| {
        let ends = [walsh.values()[low - 1], walsh.values()[all - low]];
        (ends, 1.0 - 2.0 * lower_tail(&ranks, 2 * (low - 1)))
    })
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
    fn nine_pairs_attain_what_the_table_leaves() {
        // W = 5 is the largest with a tail below 2.5 %: 2·10/512 stay outside.
        let differences: Vec<f64> = (1..=9).map(f64::from).collect();
        let test = signed_rank(&differences).unwrap();
        assert!((test.confidence_level.unwrap() - (1.0 - 20.0 / 512.0)).abs() < 1e-15);
        // Walsh averages of 1 to 9 without the five least and the five largest: {1, 1.5, 2, 2, 2.5}.
        assert_eq!(test.confidence_interval_95, Some([2.5, 7.5]));
    }

    #[test]
    fn zeros_that_are_ranked_raise_the_ranks_of_the_others() {
        let differences = [0.0, 0.0, -1.0, 2.0, 3.0];
        let dropped = signed_rank(&differences).unwrap();
        assert!((dropped.w_plus - 5.0).abs() < 1e-15 && (dropped.w_minus - 1.0).abs() < 1e-15);
        assert_eq!(dropped.p_exact, Some(0.5));
        let ranked = signed_rank_with(&differences, Zeros::Ranked).unwrap();
        assert!((ranked.w_plus - 9.0).abs() < 1e-15 && (ranked.w_minus - 3.0).abs() < 1e-15);
        assert_eq!((ranked.p_exact, ranked.n_zeros), (Some(0.5), 2));
        let none = signed_rank_with(&[0.0, 0.0], Zeros::Ranked).unwrap();
        assert_eq!(none.p_exact, Some(1.0));
    }

    #[test]
    fn small_and_odd_samples_have_answers() {
        let zeros = signed_rank(&[0.0, 0.0]).unwrap();
        assert_eq!((zeros.n_zeros, zeros.p_exact), (2, Some(1.0)));
        let p = zeros.p_asymptotic(ContinuityCorrection::None, TieCorrection::Corrected);
        assert!((p - 1.0).abs() < 1e-15);
        assert!(zeros.rank_biserial.abs() < 1e-15);
        let five = signed_rank(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((five.confidence_interval_95, five.confidence_level), (None, None));
        assert!((five.rank_biserial - 1.0).abs() < 1e-15);
        assert!((five.hodges_lehmann - 3.0).abs() < 1e-15);
        assert!(signed_rank(&[]).is_err());
        assert!(signed_rank(&[f64::NAN]).is_err());
    }
}
