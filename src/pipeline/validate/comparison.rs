//! Two numbers per voxel, their difference, and what is said of it.

use std::collections::BTreeMap;

use crate::statistics::quantile::Sorted;

/// How a difference is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Judged {
    /// The largest must not be above this.
    Largest(f64),
    /// The median must not be above this.
    Median(f64),
    /// Not at all: the two mean different things.
    Shown,
}

/// What is said of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Within the limit.
    Agrees,
    /// Outside the limit.
    Disagrees,
    /// Shown for the reader; not judged.
    Shown,
}

/// What is compared with what.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) series: &'static str,
    pub(super) quantity: &'static str,
    pub(super) units: &'static str,
    pub(super) reference: &'static str,
    /// Unit of the difference; `1` where it is relative to the reference.
    pub(super) difference_units: &'static str,
    pub(super) judged: Judged,
    /// Why this limit, or why none.
    pub(super) reason: &'static str,
}

/// Ours beside theirs.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Such as `prostate DWI`.
    pub series: &'static str,
    /// Such as `ADC, nlls`.
    pub quantity: &'static str,
    /// Unit of both.
    pub units: &'static str,
    /// Software and version, or the data's own authors.
    pub reference: &'static str,
    /// Voxels compared.
    pub n: usize,
    /// Voxels that are not, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Median of ours; NaN where nothing was compared.
    pub ours: f64,
    /// Median of theirs.
    pub theirs: f64,
    /// Unit of the differences; `1` where they are relative.
    pub difference_units: &'static str,
    /// Median of the differences, all without sign.
    pub median: f64,
    /// 99th percentile of the differences.
    pub p99: f64,
    /// Largest difference.
    pub max: f64,
    /// How it is judged.
    pub judged: Judged,
    /// Why this limit, or why none.
    pub reason: &'static str,
}

impl Comparison {
    /// Whether the difference is within its limit; a comparison of nothing is not.
    pub fn verdict(&self) -> Verdict {
        let within = match self.judged {
            Judged::Shown => return Verdict::Shown,
            Judged::Largest(limit) => self.max <= limit,
            Judged::Median(limit) => self.median <= limit,
        };
        if within { Verdict::Agrees } else { Verdict::Disagrees }
    }
}

/// Numbers of the same voxels, gathered one by one.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    ours: Vec<f64>,
    theirs: Vec<f64>,
    differences: Vec<f64>,
    left_out: BTreeMap<&'static str, usize>,
}

impl Pairs {
    /// A pair whose difference counts in units of `scale`, which must be above 0.
    pub(super) fn push_in(&mut self, ours: f64, theirs: f64, scale: f64) {
        self.ours.push(ours);
        self.theirs.push(theirs);
        self.differences.push((ours - theirs).abs() / scale);
    }

    /// A pair whose difference counts in its unit.
    pub(super) fn push(&mut self, ours: f64, theirs: f64) {
        self.push_in(ours, theirs, 1.0);
    }

    /// A pair whose difference counts relative to the reference, which must not be 0.
    pub(super) fn push_relative(&mut self, ours: f64, theirs: f64) {
        self.push_in(ours, theirs, theirs.abs());
    }

    /// A voxel that cannot be compared.
    pub(super) fn leave(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    /// Pearson's correlation and the slope of theirs on ours through the origin.
    pub(super) fn correlation_and_slope(&self) -> [f64; 2] {
        let n = self.ours.len() as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
        let [x, y] = [mean(&self.ours), mean(&self.theirs)];
        let (mut xx, mut xy, mut yy, mut raw_xx, mut raw_xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (a, b) in self.ours.iter().zip(&self.theirs) {
            xx += (a - x) * (a - x);
            xy += (a - x) * (b - y);
            yy += (b - y) * (b - y);
            raw_xx += a * a;
            raw_xy += a * b;
        }
        [xy / (xx * yy).sqrt(), raw_xy / raw_xx]
    }

    /// What came of them.
    pub(super) fn compare(&self, about: &About) -> Comparison {
        let sorted = Sorted::new(&self.differences);
        let of = |rank: f64| sorted.as_ref().map_or(f64::NAN, |sorted| sorted.quantile(rank));
        let median =
            |values: &[f64]| Sorted::new(values).map_or(f64::NAN, |sorted| sorted.median());
        Comparison {
            series: about.series,
            quantity: about.quantity,
            units: about.units,
            reference: about.reference,
            n: self.ours.len(),
            left_out: self.left_out.clone(),
            ours: median(&self.ours),
            theirs: median(&self.theirs),
            difference_units: about.difference_units,
            median: of(0.5),
            p99: of(0.99),
            max: of(1.0),
            judged: about.judged,
            reason: about.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About = About {
        series: "a",
        quantity: "b",
        units: "mm",
        reference: "c",
        difference_units: "1",
        judged: Judged::Largest(0.1),
        reason: "d",
    };

    #[test]
    fn one_voxel_too_far_off_is_a_disagreement() {
        let mut pairs = Pairs::default();
        pairs.push_relative(1.05, 1.0);
        pairs.push_relative(-2.0, -2.0);
        pairs.leave("no signal");
        let comparison = pairs.compare(&ABOUT);
        assert_eq!((comparison.n, comparison.left_out["no signal"]), (2, 1));
        assert!((comparison.max - 0.05).abs() < 1e-12 && comparison.verdict() == Verdict::Agrees);
        pairs.push_relative(1.2, 1.0);
        assert_eq!(pairs.compare(&ABOUT).verdict(), Verdict::Disagrees);
        let median = About { judged: Judged::Median(0.1), ..ABOUT };
        assert_eq!(pairs.compare(&median).verdict(), Verdict::Agrees);
    }

    #[test]
    fn nothing_compared_and_values_that_are_no_number_are_disagreements() {
        assert_eq!(Pairs::default().compare(&ABOUT).verdict(), Verdict::Disagrees);
        let mut pairs = Pairs::default();
        pairs.push(f64::NAN, 1.0);
        assert_eq!(pairs.compare(&ABOUT).verdict(), Verdict::Disagrees);
        let shown = About { judged: Judged::Shown, ..ABOUT };
        assert_eq!(pairs.compare(&shown).verdict(), Verdict::Shown);
    }

    #[test]
    fn correlation_and_slope_are_those_of_a_line() {
        let mut pairs = Pairs::default();
        (1..9).for_each(|x| pairs.push(f64::from(x), 0.9 * f64::from(x)));
        let [correlation, slope] = pairs.correlation_and_slope();
        assert!((correlation - 1.0).abs() < 1e-12 && (slope - 0.9).abs() < 1e-12);
    }
}
