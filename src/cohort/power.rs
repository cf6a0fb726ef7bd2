//! How often a cohort of a given size would reach a given p.

use crate::error::{Error, Result};
use crate::random::StreamKey;
use crate::statistics::rank_test::signed_rank;
use crate::statistics::t_test::t_test;

/// A paired design whose differences are normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    /// Independent differences, at least two.
    pub n: usize,
    /// True mean over true SD of the differences.
    pub d_z: f64,
    /// p below which a test counts.
    pub level: f64,
}

/// Fractions of simulated cohorts whose p is below the level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reached {
    /// Cohorts that were drawn.
    pub n_cohorts: usize,
    /// By the paired t test.
    pub t: f64,
    /// By the exact Wilcoxon signed-rank test.
    pub wilcoxon: f64,
}

impl Reached {
    /// Standard error of a fraction, by the number of cohorts.
    pub fn standard_error(&self, fraction: f64) -> f64 {
        (fraction * (1.0 - fraction) / self.n_cohorts as f64).sqrt()
    }
}

/// Draws `n_cohorts` cohorts of `design` and tests each; the same numbers for the same seed.
///
/// # Errors
///
/// `Value` at `design` when n is not 2–400, `d_z` not finite or the level not between 0 and 1; at
/// `n_cohorts` when it is 0.
pub fn reached(design: &Design, n_cohorts: usize, seed: u64) -> Result<Reached> {
    let is_level = 0.0 < design.level && design.level < 1.0;
    if !((2..=400).contains(&design.n) && design.d_z.is_finite() && is_level) {
        return Err(Error::value(format!("{design:?} is no design"))
            .at_field("design")
            .hint("2 to 400 differences, a finite d_z and a level between 0 and 1"));
    }
    if n_cohorts == 0 {
        return Err(Error::value("no cohort is to be drawn").at_field("n_cohorts"));
    }
    let key = StreamKey::new(seed, "paired_power");
    let mut counts = [0_usize; 2];
    let mut differences = vec![0.0; design.n];
    for cohort in 0..n_cohorts {
        let mut stream = key.stream(cohort, 0);
        differences.fill_with(|| design.d_z + stream.normal());
        let of_t = t_test(&differences)?.p;
        let of_ranks = signed_rank(&differences)?.p_exact.unwrap_or(1.0);
        for (count, p) in counts.iter_mut().zip([of_t, of_ranks]) {
            *count += usize::from(p < design.level);
        }
    }
    let [t, wilcoxon] = counts.map(|count| count as f64 / n_cohorts as f64);
    Ok(Reached { n_cohorts, t, wilcoxon })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `d_z`, power of t, power of Wilcoxon.
    const POWERS: [[f64; 3]; 5] = [
        [0.0, 0.05, 0.0389],
        [0.423, 0.2017, 0.1661],
        [0.516, 0.2766, 0.2321],
        [0.833, 0.5927, 0.5254],
        [1.001, 0.7488, 0.6837],
    ];

    /// Against the noncentral t distribution (scipy 1.17.1: `1 - nct.cdf(c, 8, 3 d) + nct.cdf(-c, 8,
    /// 3 d)`, c = 2.3060) and, for Wilcoxon, 10⁶ cohorts of numpy.
    #[test]
    fn fractions_agree_with_the_noncentral_t_distribution() {
        for [d_z, t, wilcoxon] in POWERS {
            let found = reached(&Design { n: 9, d_z, level: 0.05 }, 20_000, 5).unwrap();
            // Four standard errors of 20 000 cohorts.
            assert!((found.t - t).abs() < 0.0142, "{d_z} {found:?}");
            assert!((found.wilcoxon - wilcoxon).abs() < 0.0142, "{d_z} {found:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_fractions_and_bad_designs_are_refused() {
        let design = Design { n: 9, d_z: 0.8, level: 0.05 };
        assert_eq!(reached(&design, 500, 7).unwrap(), reached(&design, 500, 7).unwrap());
        let found = reached(&design, 500, 7).unwrap();
        assert!((found.standard_error(0.5) - (0.25_f64 / 500.0).sqrt()).abs() < 1e-15);
        assert!(reached(&Design { n: 1, ..design }, 10, 1).is_err());
        assert!(reached(&Design { level: 0.0, ..design }, 10, 1).is_err());
        assert_eq!(reached(&design, 0, 1).unwrap_err().field(), Some("n_cohorts"));
    }
}
