//! Tests on ranks, exact where the sample is small enough to count every outcome.
//!
//! Mid-ranks of ties are multiples of ½, so doubled ranks are integers and the null distribution,
//! ties and all, is counted by dynamic programming.

mod kruskal_wallis;
mod rank_sum;
mod signed_rank;

pub use kruskal_wallis::{KruskalWallis, kruskal_wallis};
pub use rank_sum::{RankSum, rank_sum};
pub use signed_rank::{
    ContinuityCorrection, SignedRank, TieCorrection, Zeros, signed_rank, signed_rank_with,
};

use statrs::distribution::{ContinuousCDF, Normal};

/// Doubled mid-ranks of `values` (all finite), `2 ..= 2n`, and Σ(t³ − t) over groups of `t` ties.
pub(super) fn doubled_ranks(values: &[f64]) -> (Vec<usize>, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0; values.len()];
    let mut ties = 0.0;
    let mut below = 0;
    for group in order.chunk_by(|&a, &b| values[a] >= values[b]) {
        let t = group.len();
        for &index in group {
            ranks[index] = 2 * below + t + 1;
        }
        ties += (t as f64).powi(3) - t as f64;
        below += t;
    }
    (ranks, ties)
}

/// Two-sided p of a standard normal deviate; NaN counts as 0.
pub(super) fn normal_p(z: f64) -> f64 {
    let z = if z.is_nan() { 0.0 } else { z.abs() };
    (2.0 * Normal::standard().sf(z)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_middle_rank() {
        let (ranks, ties) = doubled_ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]);
        assert_eq!(ranks, [8, 2, 8, 4, 8]);
        assert!((ties - 24.0).abs() < 1e-15);
        assert_eq!(doubled_ranks(&[0.0, -0.0]).0, [3, 3]);
        assert_eq!(doubled_ranks(&[]).0, [] as [usize; 0]);
    }
}
