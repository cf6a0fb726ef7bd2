//! Receiver operating characteristic of one number that tells two groups apart.
//!
//! # Reference
//!
//! E. R. `DeLong` and others, "Comparing the areas under two or more correlated receiver operating
//! characteristic curves", Biometrics 44 (1988), doi:10.2307/2531595. Youden, "Index for rating
//! diagnostic tests", Cancer 3 (1950),
//! `doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3`.

use super::moments::Moments;
use super::require_finite;
use crate::error::Result;

const Z_95: f64 = 1.959_963_984_540_054;

/// Which end of the number speaks for the positive group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Low values are positive.
    LowerIsPositive,
    /// High values are positive.
    HigherIsPositive,
}

/// How well a number tells positives from negatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Roc {
    /// Sizes: positives, negatives.
    pub n: [usize; 2],
    /// Area under the curve, U/(n₁ n₂): probability that a positive lies further in the direction.
    pub area: f64,
    /// `DeLong` interval within 0 and 1; `None` below two values in a group, or where the groups do
    /// not overlap, for the variance is then 0.
    pub confidence_interval_95: Option<[f64; 2]>,
    /// Cut with the greatest sensitivity + specificity − 1.
    pub youden: Cut,
    /// Rates of cuts chosen without the value they are tried on; `None` below two in a group.
    pub leave_one_out: Option<Rates>,
}

/// A threshold and what it gives on the values it was chosen on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Halfway between two neighbouring values, or beyond the last by no more than the next number.
    pub threshold: f64,
    /// Rates at it.
    pub rates: Rates,
}

/// Rates of a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Positives called positive.
    pub sensitivity: f64,
    /// Negatives called negative.
    pub specificity: f64,
    /// Called positive that are; `None` where none is called so.
    pub positive_predictive_value: Option<f64>,
    /// Called negative that are; `None` where none is called so.
    pub negative_predictive_value: Option<f64>,
}

/// Curve of `positives` against `negatives`.
///
/// # Errors
///
/// `Value` at `positives` or `negatives`: no values, or one not finite.
pub fn roc(positives: &[f64], negatives: &[f64], direction: Direction) -> Result<Roc> {
    require_finite(positives, "positives")?;
    require_finite(negatives, "negatives")?;
    let sign = if direction == Direction::HigherIsPositive { 1.0 } else { -1.0 };
    let positives: Vec<f64> = positives.iter().map(|value| sign * value).collect();
    let negatives: Vec<f64> = negatives.iter().map(|value| sign * value).collect();
    let placements: Vec<f64> = positives.iter().map(|&x| share_below(x, &negatives)).collect();
    let area = placements.iter().sum::<f64>() / placements.len() as f64;
    let threshold = youden_threshold(&positives, &negatives);
    let counts = Counts::at(threshold, &positives, &negatives);
    Ok(Roc {
        n: [positives.len(), negatives.len()],
        area,
        confidence_interval_95: interval_95(area, &placements, &positives, &negatives),
        youden: Cut { threshold: sign * threshold, rates: counts.rates() },
        leave_one_out: leave_one_out(&positives, &negatives),
    })
}

/// Share of `others` below `x`, ties one half.
fn share_below(x: f64, others: &[f64]) -> f64 {
    let below = others.iter().filter(|&&other| other < x).count() as f64;
    let not_above = others.iter().filter(|&&other| other <= x).count() as f64;
    f64::midpoint(below, not_above) / others.len() as f64
}

fn interval_95(
    area: f64,
    placements: &[f64],
    positives: &[f64],
    negatives: &[f64],
) -> Option<[f64; 2]> {
    let others: Vec<f64> = negatives.iter().map(|&y| 1.0 - share_below(y, positives)).collect();
    let variance = Moments::of(placements)?.variance()? / placements.len() as f64
        + Moments::of(&others)?.variance()? / others.len() as f64;
    let half = Z_95 * variance.sqrt();
    (half > 0.0).then(|| [(area - half).max(0.0), (area + half).min(1.0)])
}

/// The cut with the greatest Youden index, high values positive; of equal ones the lowest, which
/// has the greatest sensitivity.
fn youden_threshold(positives: &[f64], negatives: &[f64]) -> f64 {
    let mut values: Vec<f64> = positives.iter().chain(negatives).copied().collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let lowest = values[0].next_down();
    let middles = values.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    let mut best = (lowest, f64::NEG_INFINITY);
    for threshold in std::iter::once(lowest).chain(middles) {
        let rates = Counts::at(threshold, positives, negatives).rates();
        let index = rates.sensitivity + rates.specificity;
        // Equal indices may differ by rounding.
        if index > best.1 + 1e-12 {
            best = (threshold, index);
        }
    }
    best.0
}

/// Decisions counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    true_positives: usize,
    false_negatives: usize,
    true_negatives: usize,
    false_positives: usize,
}

impl Counts {
    fn at(threshold: f64, positives: &[f64], negatives: &[f64]) -> Self {
        let true_positives = positives.iter().filter(|&&value| value > threshold).count();
        let false_positives = negatives.iter().filter(|&&value| value > threshold).count();
        Self {
            true_positives,
            false_negatives: positives.len() - true_positives,
            true_negatives: negatives.len() - false_positives,
            false_positives,
        }
    }

    fn rates(self) -> Rates {
        let share = |part: usize, rest: usize| part as f64 / (part + rest) as f64;
        let defined = |part, rest| (part + rest > 0).then(|| share(part, rest));
        Rates {
            sensitivity: share(self.true_positives, self.false_negatives),
            specificity: share(self.true_negatives, self.false_positives),
            positive_predictive_value: defined(self.true_positives, self.false_positives),
            negative_predictive_value: defined(self.true_negatives, self.false_negatives),
        }
    }
}

fn leave_one_out(positives: &[f64], negatives: &[f64]) -> Option<Rates> {
    if positives.len() < 2 || negatives.len() < 2 {
        return None;
    }
    let without = |values: &[f64], index: usize| {
        let mut rest = values.to_vec();
        rest.remove(index);
        rest
    };
    let mut counts = Counts::default();
    for (index, &value) in positives.iter().enumerate() {
        let called = value > youden_threshold(&without(positives, index), negatives);
        counts.true_positives += usize::from(called);
        counts.false_negatives += usize::from(!called);
    }
    for (index, &value) in negatives.iter().enumerate() {
        let called = value > youden_threshold(positives, &without(negatives, index));
        counts.false_positives += usize::from(called);
        counts.true_negatives += usize::from(!called);
    }
    Some(counts.rates())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn area_is_the_share_of_ordered_pairs() {
        let curve = roc(&[3.0, 4.0, 2.0], &[1.0, 2.0], Direction::HigherIsPositive).unwrap();
        assert!((curve.area - 5.5 / 6.0).abs() < 1e-15);
        assert!((curve.youden.threshold - 1.5).abs() < 1e-15 || curve.youden.threshold > 2.0);
        let turned = roc(&[3.0, 4.0, 2.0], &[1.0, 2.0], Direction::LowerIsPositive).unwrap();
        assert!((turned.area - 0.5 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn separate_groups_have_a_perfect_cut_between_them() {
        let low = [0.4, 0.5, 0.6];
        let high = [1.0, 1.2, 1.4, 1.6];
        let curve = roc(&low, &high, Direction::LowerIsPositive).unwrap();
        assert!((curve.area - 1.0).abs() < 1e-15);
        assert!((curve.youden.threshold - 0.8).abs() < 1e-15);
        assert!((curve.youden.rates.sensitivity - 1.0).abs() < 1e-15);
        assert_eq!(curve.confidence_interval_95, None);
        let left_out = curve.leave_one_out.unwrap();
        assert!((left_out.specificity - 1.0).abs() < 1e-15);
        assert_eq!(left_out.negative_predictive_value, Some(1.0));
    }

    #[test]
    fn equal_cuts_are_settled_for_sensitivity() {
        // Cuts at 1.5 (1, ½) and 2.5 (½, 1) have one index.
        let curve = roc(&[2.0, 3.0], &[1.0, 2.0], Direction::HigherIsPositive).unwrap();
        assert!((curve.youden.threshold - 1.5).abs() < 1e-15);
        assert!((curve.youden.rates.sensitivity - 1.0).abs() < 1e-15);
    }

    #[test]
    fn left_out_values_do_not_choose_their_own_cut() {
        // Every value alone on its wrong side: chosen without itself, each cut misses it.
        let curve = roc(&[1.0, 3.0], &[2.0, 4.0], Direction::HigherIsPositive).unwrap();
        let left_out = curve.leave_one_out.unwrap();
        assert!(left_out.sensitivity <= curve.youden.rates.sensitivity);
        assert!(left_out.specificity <= curve.youden.rates.specificity);
    }

    #[test]
    fn one_value_per_group_has_an_area_and_no_more() {
        let curve = roc(&[2.0], &[1.0], Direction::HigherIsPositive).unwrap();
        assert_eq!((curve.confidence_interval_95, curve.leave_one_out), (None, None));
        assert!(roc(&[], &[1.0], Direction::HigherIsPositive).is_err());
        assert!(roc(&[1.0], &[f64::NAN], Direction::HigherIsPositive).is_err());
    }
}
