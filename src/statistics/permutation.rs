//! Exact sign-flip tests at the level of the subject.
//!
//! Under the null hypothesis all differences of one subject may change their sign together. Every
//! one of the 2^m outcomes is counted: by dynamic programming for signed ranks, which are integers
//! once doubled, and by enumeration for plain sums.
//!
//! # Reference
//!
//! Fisher, "The Design of Experiments", 1935, §21. Rosner, Glynn, Lee, "The Wilcoxon signed rank
//! test for paired comparisons of clustered data", Biometrics 62 (2006),
//! doi:10.1111/j.1541-0420.2005.00389.x.

use super::rank_test::{doubled_ranks, normal_p};
use super::require_finite;
use crate::error::{Error, Result};

/// Subjects above which outcomes are not enumerated.
const SUBJECTS_MAX: usize = 24;
/// Size of the doubled rank sum above which outcomes are not counted.
const DOUBLED_SUM_MAX: usize = 4_000_000;

/// How often flipping signs gives a sum as far from 0 as the one seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignFlip {
    /// Subjects, whose signs flip as one.
    pub n_subjects: usize,
    /// The sum seen.
    pub statistic: f64,
    /// Exact two-sided p; never below 2^(1 − m) for m subjects with a sum other than 0.
    pub p: f64,
    /// Rosner–Glynn–Lee z, statistic / √Σ(subject sum)²; `None` where all are 0.
    pub z: Option<f64>,
    /// Two-sided normal p of z, for comparison: good from 20 subjects on.
    pub p_asymptotic: Option<f64>,
}

impl SignFlip {
    fn new(sums: &[f64], p: f64) -> Self {
        let statistic: f64 = sums.iter().sum();
        let spread = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
        let z = (spread > 0.0).then(|| statistic / spread);
        let p_asymptotic = z.map(normal_p);
        Self { n_subjects: sums.len(), statistic, p: p.min(1.0), z, p_asymptotic }
    }
}

/// Sign flip of one sum per subject (mean or sum of its differences) by enumeration.
///
/// # Errors
///
/// `Value` at `sums`: none, one not finite, or more than 24.
pub fn sign_flip(sums: &[f64]) -> Result<SignFlip> {
    require_finite(sums, "sums")?;
    if sums.len() > SUBJECTS_MAX {
        return Err(Error::value(format!("{} subjects, at most {SUBJECTS_MAX}", sums.len()))
            .at_field("sums")
            .hint("use the signed ranks, whose outcomes are counted without enumeration"));
    }
    let scale: f64 = sums.iter().map(|sum| sum.abs()).sum();
    // Equal sums may differ by rounding.
    let threshold = sums.iter().sum::<f64>().abs() - 1e-12 * scale;
    // The pattern with all signs turned has the same size: the first sign can stay.
    let patterns = 1_u32 << (sums.len() - 1);
    let extreme = (0..patterns).filter(|bits| flipped(sums, *bits).abs() >= threshold).count();
    Ok(SignFlip::new(sums, extreme as f64 / f64::from(patterns)))
}

fn flipped(sums: &[f64], bits: u32) -> f64 {
    let sign = |index: usize| if index > 0 && bits >> (index - 1) & 1 == 1 { -1.0 } else { 1.0 };
    sums.iter().enumerate().map(|(index, sum)| sign(index) * sum).sum()
}

/// Sign flip of the signed ranks over all differences, which are grouped by subject.
///
/// Zeros are dropped, ties share mid-ranks; with one difference per subject this is Wilcoxon's
/// signed-rank test.
///
/// # Errors
///
/// `Value` at `differences`: no subjects, one without differences, one not finite, or more ranks
/// than can be counted (about 1400 differences).
pub fn clustered_signed_rank(differences: &[&[f64]]) -> Result<SignFlip> {
    if differences.is_empty() {
        return Err(Error::value("there are no subjects").at_field("differences"));
    }
    for (index, subject) in differences.iter().enumerate() {
        require_finite(subject, &format!("differences[{index}]"))?;
    }
    let nonzero: Vec<f64> =
        differences.iter().flat_map(|s| s.iter().copied()).filter(|d| d.abs() > 0.0).collect();
    let magnitudes: Vec<f64> = nonzero.iter().map(|d| d.abs()).collect();
    let (ranks, _) = doubled_ranks(&magnitudes);
    let mut signed =
        ranks.iter().zip(&nonzero).map(|(&r, &d)| if d > 0.0 { r as i64 } else { -(r as i64) });
    let doubled: Vec<i64> = differences
        .iter()
        .map(|subject| {
            let n = subject.iter().filter(|d| d.abs() > 0.0).count();
            signed.by_ref().take(n).sum()
        })
        .collect();
    let p = counted_p(&doubled)?;
    let sums: Vec<f64> = doubled.iter().map(|&sum| sum as f64 / 2.0).collect();
    Ok(SignFlip::new(&sums, p))
}

/// P(|Σ ± sums| ≥ |Σ sums|): the negative ones weigh `w` with Σ ± = total − 2w, so the sum of a
/// random subset is counted.
fn counted_p(sums: &[i64]) -> Result<f64> {
    let sizes: Vec<usize> = sums.iter().map(|sum| sum.unsigned_abs() as usize).collect();
    let total: usize = sizes.iter().sum();
    if total > DOUBLED_SUM_MAX {
        let message = format!("doubled rank sum {total} exceeds {DOUBLED_SUM_MAX}");
        return Err(Error::value(message).at_field("differences"));
    }
    let mut probability = vec![0.0; total + 1];
    probability[0] = 1.0;
    for &size in &sizes {
        for w in (0..=total).rev() {
            let with = if w >= size { probability[w - size] } else { 0.0 };
            probability[w] = 0.5 * (probability[w] + with);
        }
    }
    let observed = sums.iter().sum::<i64>().unsigned_abs() as usize;
    Ok((0..=total).filter(|w| total.abs_diff(2 * w) >= observed).map(|w| probability[w]).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;
    use crate::statistics::rank_test::signed_rank;

    fn enumerated(sums: &[f64]) -> f64 {
        let patterns = 1_u32 << sums.len();
        let observed: f64 = sums.iter().sum();
        let extreme = (0..patterns)
            .filter(|bits| {
                let flipped: f64 = sums
                    .iter()
                    .enumerate()
                    .map(|(i, s)| if bits >> i & 1 == 1 { -s } else { *s })
                    .sum();
                flipped.abs() >= observed.abs() - 1e-9
            })
            .count();
        extreme as f64 / f64::from(patterns)
    }

    #[test]
    fn nine_subjects_with_two_knees_match_all_512_flips() {
        for case in 0..20 {
            let mut stream = StreamKey::new(12, "flip").stream(case, 0);
            let knees: Vec<[f64; 2]> = (0..9)
                .map(|_| [0.6 + stream.normal(), 0.4 + stream.normal()])
                .map(|pair| if case % 2 == 0 { pair } else { pair.map(|d: f64| (2.0 * d).round()) })
                .collect();
            let subjects: Vec<&[f64]> = knees.iter().map(<[f64; 2]>::as_slice).collect();
            let test = clustered_signed_rank(&subjects).unwrap();
            let all: Vec<f64> = knees.iter().flatten().copied().collect();
            let rank = |d: f64| {
                let others = || all.iter().map(|x| x.abs()).filter(|&x| x > 0.0);
                let below = others().filter(|&x| x < d.abs()).count() as f64;
                let equal = others().filter(|&x| x <= d.abs()).count() as f64 - below;
                if d.abs() > 0.0 { d.signum() * (below + f64::midpoint(equal, 1.0)) } else { 0.0 }
            };
            let sums: Vec<f64> = knees.iter().map(|pair| rank(pair[0]) + rank(pair[1])).collect();
            assert!((test.statistic - sums.iter().sum::<f64>()).abs() < 1e-9);
            assert!((test.p - enumerated(&sums)).abs() < 1e-12);
            assert!((sign_flip(&sums).unwrap().p - test.p).abs() < 1e-12);
        }
    }

    #[test]
    fn the_least_p_of_nine_subjects_is_two_in_512() {
        let sums: Vec<f64> = (1..=9).map(f64::from).collect();
        assert!((sign_flip(&sums).unwrap().p - 2.0 / 512.0).abs() < 1e-15);
    }

    #[test]
    fn one_knee_per_subject_is_the_signed_rank_test() {
        let differences = [1.2, -0.3, 0.8, 2.0, 0.0, -0.8, 1.1];
        let subjects: Vec<&[f64]> = differences.chunks(1).collect();
        let flip = clustered_signed_rank(&subjects).unwrap();
        let wilcoxon = signed_rank(&differences).unwrap();
        assert!((flip.p - wilcoxon.p_exact.unwrap()).abs() < 1e-14);
        assert!((flip.statistic - (wilcoxon.w_plus - wilcoxon.w_minus)).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_flip_has_p_one_and_bad_input_is_refused() {
        let none = sign_flip(&[0.0, 0.0]).unwrap();
        assert!((none.p - 1.0).abs() < 1e-15);
        assert_eq!(none.z, None);
        assert!((clustered_signed_rank(&[&[0.0]]).unwrap().p - 1.0).abs() < 1e-15);
        assert!(sign_flip(&[]).is_err());
        assert_eq!(sign_flip(&[1.0; 25]).unwrap_err().field(), Some("sums"));
        assert!(clustered_signed_rank(&[]).is_err());
        let error = clustered_signed_rank(&[&[1.0], &[]]).unwrap_err();
        assert_eq!(error.field(), Some("differences[1]"));
    }
}
