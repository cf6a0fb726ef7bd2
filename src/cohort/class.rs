//! Classes of tumours: means over patients and tests between classes.

use std::collections::BTreeSet;

use super::tumour::{Selection, Summary, Tumour, percent};
use crate::error::{Error, Result};
use crate::random::StreamKey;
use crate::statistics::bootstrap::bca_of_mean;
use crate::statistics::moments::{Moments, mean, standard_deviation};
use crate::statistics::multiplicity::holm;
use crate::statistics::rank_test::{KruskalWallis, RankSum, kruskal_wallis, rank_sum};
use crate::statistics::roc::{Direction, Roc, roc};
use crate::statistics::t_test::mean_interval_95;

/// One class under one selection, with every reading of its uncertainty.
///
/// All percents are of [`ClassSummary::mean`]; `None` where it is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassSummary {
    /// Class.
    pub class: String,
    /// Which voxels the tumour means come from.
    pub selection: Selection,
    /// Tumours with a mean.
    pub n: usize,
    /// Tumours without one.
    pub n_missing: usize,
    /// Mean of the tumour means; `None` without tumours, as is all that follows.
    pub mean: Option<f64>,
    /// SD of the tumour means, n − 1; `None` for one tumour, as is all that needs it.
    pub sd_between: Option<f64>,
    /// 100·SD between/mean: the headline uncertainty.
    pub percent_uncertainty: Option<f64>,
    /// Root of the mean square of the SDs within the tumours that have one.
    pub sd_within: Option<f64>,
    /// 100·SD within/mean.
    pub percent_within: Option<f64>,
    /// √(SD between² + SD within²).
    pub sd_pooled: Option<f64>,
    /// 100·SD pooled/mean.
    pub percent_pooled: Option<f64>,
    /// SD between/√n.
    pub standard_error: Option<f64>,
    /// 100·SD between/√n/mean.
    pub percent_standard_error: Option<f64>,
    /// Standard error of the class mean from the measurement alone, √Σe²/n with e the standard error
    /// of each tumour mean; `None` where a tumour lacks it.
    pub measurement_error: Option<f64>,
    /// 100·measurement error/mean.
    pub percent_measurement_error: Option<f64>,
    /// SD between without what the measurement adds, √max(0, SD between² − mean e²).
    pub sd_between_intrinsic: Option<f64>,
    /// 100·SD between intrinsic/mean.
    pub percent_intrinsic: Option<f64>,
    /// 95 % t interval of the mean.
    pub confidence_interval_95: Option<[f64; 2]>,
    /// 95 % bias-corrected and accelerated bootstrap interval of the mean, 10 000 resamples of the
    /// tumours, the same for every call; `None` below three tumours or without spread.
    pub bootstrap_interval_95: Option<[f64; 2]>,
}

/// Every class under both selections, naive first, classes in order of first appearance.
///
/// # Errors
///
/// `Value` at `tumours`: a subject twice, a mean or SD not finite, or a standard error not finite or
/// negative.
pub fn class_summaries(tumours: &[Tumour]) -> Result<Vec<ClassSummary>> {
    check(tumours)?;
    let classes = classes_of(tumours);
    Ok([Selection::Naive, Selection::Method]
        .into_iter()
        .flat_map(|selection| classes.iter().map(move |class| (class, selection)))
        .map(|(class, selection)| summarise(tumours, class, selection))
        .collect())
}

fn summarise(tumours: &[Tumour], class: &str, selection: Selection) -> ClassSummary {
    let members: Vec<&Tumour> = tumours.iter().filter(|tumour| tumour.class == class).collect();
    let summaries: Vec<Summary> = members.iter().filter_map(|t| t.summary(selection)).collect();
    let means: Vec<f64> = summaries.iter().map(|summary| summary.mean).collect();
    let spreads = Spreads::of(&summaries, &means);
    let class_mean = Moments::of(&means).map(|moments| moments.mean());
    let of_mean = |value: Option<f64>| percent(value?, class_mean?);
    let bootstrap = bca_of_mean(&means, StreamKey::new(0, "mean of a class"));
    ClassSummary {
        class: class.to_owned(),
        selection,
        n: means.len(),
        n_missing: members.len() - means.len(),
        mean: class_mean,
        sd_between: spreads.between,
        percent_uncertainty: of_mean(spreads.between),
        sd_within: spreads.within,
        percent_within: of_mean(spreads.within),
        sd_pooled: spreads.pooled,
        percent_pooled: of_mean(spreads.pooled),
        standard_error: spreads.standard_error,
        percent_standard_error: of_mean(spreads.standard_error),
        measurement_error: spreads.measurement_error,
        percent_measurement_error: of_mean(spreads.measurement_error),
        sd_between_intrinsic: spreads.between_intrinsic,
        percent_intrinsic: of_mean(spreads.between_intrinsic),
        confidence_interval_95: mean_interval_95(&means),
        bootstrap_interval_95: bootstrap.map(|found| found.confidence_interval_95),
    }
}

/// The readings of "uncertainty" of one class, unit of the parameter.
struct Spreads {
    between: Option<f64>,
    within: Option<f64>,
    pooled: Option<f64>,
    standard_error: Option<f64>,
    measurement_error: Option<f64>,
    between_intrinsic: Option<f64>,
}

impl Spreads {
    fn of(summaries: &[Summary], means: &[f64]) -> Self {
        let n = means.len() as f64;
        let between = standard_deviation(means);
        let within = mean_square(summaries.iter().filter_map(|s| s.standard_deviation));
        let errors: Option<Vec<f64>> = summaries.iter().map(|s| s.standard_error).collect();
        let error = errors.and_then(|errors| mean_square(errors.into_iter()));
        Self {
            between,
            within: within.map(f64::sqrt),
            pooled: between.zip(within).map(|(sd, square)| sd.hypot(square.sqrt())),
            standard_error: between.map(|sd| sd / n.sqrt()),
            measurement_error: error.map(|square| (square / n).sqrt()),
            between_intrinsic: between
                .zip(error)
                .map(|(sd, square)| (sd * sd - square).max(0.0).sqrt()),
        }
    }
}

/// Mean of the squares; `None` for no values.
fn mean_square(values: impl Iterator<Item = f64>) -> Option<f64> {
    mean(&values.map(|value| value * value).collect::<Vec<f64>>())
}

/// Which classes a biomarker should tell apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// Classes that are sought, such as `NB`.
    pub positive: Vec<String>,
    /// Classes they are told from, such as `GN` and `GNB`.
    pub negative: Vec<String>,
    /// Which end speaks for the positive ones: low ADC, high IAUC60.
    pub direction: Direction,
}

/// Two classes against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassPair {
    /// First class, by order of first appearance.
    pub first: String,
    /// Second class.
    pub second: String,
    /// Mann–Whitney test of the tumour means.
    pub test: RankSum,
    /// p (exact, or asymptotic where too large) adjusted by Holm over all pairs.
    pub p_holm: f64,
}

/// Tests between classes under one selection.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassTests {
    /// Which voxels the tumour means come from.
    pub selection: Selection,
    /// Over all classes with a tumour; `None` for fewer than two or all means equal.
    pub kruskal_wallis: Option<KruskalWallis>,
    /// Every two classes with a tumour.
    pub pairs: Vec<ClassPair>,
    /// The contrast; `None` where it is not asked for or one side has no tumour.
    pub roc: Option<Roc>,
}

/// Tests the tumour means of one selection between classes.
///
/// # Errors
///
/// `Value` at `tumours`: a subject twice, a mean or SD not finite, or a standard error not finite or
/// negative; at `contrast`: a class on both sides, or one that no tumour has.
pub fn class_tests(
    tumours: &[Tumour],
    selection: Selection,
    contrast: Option<&Contrast>,
) -> Result<ClassTests> {
    check(tumours)?;
    let groups: Vec<(String, Vec<f64>)> = classes_of(tumours)
        .into_iter()
        .map(|class| {
            let means = means_of(tumours, selection, std::slice::from_ref(&class));
            (class, means)
        })
        .filter(|(_, means)| !means.is_empty())
        .collect();
    let samples: Vec<&[f64]> = groups.iter().map(|(_, means)| means.as_slice()).collect();
    Ok(ClassTests {
        selection,
        kruskal_wallis: kruskal_wallis(&samples).ok(),
        pairs: class_pairs(&groups)?,
        roc: contrast.map(|c| contrast_roc(tumours, selection, c)).transpose()?.flatten(),
    })
}

fn class_pairs(groups: &[(String, Vec<f64>)]) -> Result<Vec<ClassPair>> {
    let mut pairs = Vec::new();
    for (index, (first, means)) in groups.iter().enumerate() {
        for (second, others) in &groups[index + 1..] {
            let test = rank_sum(means, others)?;
            pairs.push(ClassPair {
                first: first.clone(),
                second: second.clone(),
                p_holm: test.p_exact.unwrap_or(test.p_asymptotic),
                test,
            });
        }
    }
    let raw: Vec<f64> = pairs.iter().map(|pair| pair.p_holm).collect();
    for (pair, adjusted) in pairs.iter_mut().zip(holm(&raw)) {
        pair.p_holm = adjusted;
    }
    Ok(pairs)
}

fn contrast_roc(
    tumours: &[Tumour],
    selection: Selection,
    contrast: &Contrast,
) -> Result<Option<Roc>> {
    let known = classes_of(tumours);
    for class in contrast.positive.iter().chain(&contrast.negative) {
        if !known.contains(class) {
            return Err(Error::value(format!("no tumour has the class `{class}`"))
                .at_field("contrast")
                .hint(format!("the classes are {}", known.join(", "))));
        }
    }
    if let Some(both) = contrast.positive.iter().find(|class| contrast.negative.contains(class)) {
        let message = format!("`{both}` is both positive and negative");
        return Err(Error::value(message).at_field("contrast"));
    }
    let positives = means_of(tumours, selection, &contrast.positive);
    let negatives = means_of(tumours, selection, &contrast.negative);
    if positives.is_empty() || negatives.is_empty() {
        return Ok(None);
    }
    roc(&positives, &negatives, contrast.direction).map(Some)
}

fn means_of(tumours: &[Tumour], selection: Selection, classes: &[String]) -> Vec<f64> {
    tumours
        .iter()
        .filter(|tumour| classes.contains(&tumour.class))
        .filter_map(|tumour| tumour.summary(selection))
        .map(|summary| summary.mean)
        .collect()
}

fn classes_of(tumours: &[Tumour]) -> Vec<String> {
    let mut classes: Vec<String> = Vec::new();
    for tumour in tumours {
        if !classes.contains(&tumour.class) {
            classes.push(tumour.class.clone());
        }
    }
    classes
}

fn check(tumours: &[Tumour]) -> Result<()> {
    let mut subjects = BTreeSet::new();
    for tumour in tumours {
        let subject = &tumour.subject;
        if !subjects.insert(subject) {
            return Err(Error::value(format!("{subject} has more than one tumour"))
                .at_field("tumours")
                .hint("patients are the independent units: merge the tumours of one patient"));
        }
        let finite = [tumour.naive, tumour.method].iter().flatten().all(|summary| {
            summary.mean.is_finite() && summary.standard_deviation.is_none_or(f64::is_finite)
        });
        if !finite {
            return Err(Error::value(format!("{subject} has a mean or SD that is not finite"))
                .at_field("tumours")
                .hint("a tumour without a result has none, not NaN"));
        }
        let wrong = |error: &f64| !(error.is_finite() && *error >= 0.0);
        let summaries = [tumour.naive, tumour.method];
        if let Some(error) = summaries.iter().flatten().filter_map(|s| s.standard_error).find(wrong)
        {
            let message = format!("{subject} has the standard error {error}");
            return Err(Error::value(message)
                .at_field("tumours")
                .hint("a standard error is finite and not negative; an unknown one is none"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tumour(subject: usize, class: &str, method: f64) -> Tumour {
        let summary = |mean: f64| Summary {
            mean,
            standard_deviation: Some(0.1 * mean),
            n: 100,
            standard_error: None,
        };
        Tumour {
            subject: format!("sub-{subject:02}"),
            class: class.into(),
            naive: Some(summary(1.5)),
            method: Some(summary(method)),
        }
    }

    /// GN 1.2, GNB 0.74, NB 0.54 with 37, 43 and 20 % between tumours.
    fn cohort() -> Vec<Tumour> {
        let spread = [-1.0, 0.0, 1.0];
        [("GN", 1.2, 0.37), ("GNB", 0.74, 0.43), ("NB", 0.54, 0.20)]
            .iter()
            .flat_map(|&(class, mean, cv)| spread.map(|z| (class, mean * (1.0 + cv * z))))
            .enumerate()
            .map(|(subject, (class, mean))| tumour(subject, class, mean))
            .collect()
    }

    #[test]
    fn headline_is_the_spread_between_tumours() {
        let rows = class_summaries(&cohort()).unwrap();
        assert_eq!(rows.len(), 6);
        let nb = rows.last().unwrap();
        assert_eq!((nb.class.as_str(), nb.selection, nb.n), ("NB", Selection::Method, 3));
        assert!((nb.mean.unwrap() - 0.54).abs() < 1e-12);
        assert!((nb.percent_uncertainty.unwrap() - 20.0).abs() < 1e-10);
        // √mean of (0.1 m)² over m = 0.54·(0.8, 1, 1.2).
        let within = 0.054 * ((0.64 + 1.0 + 1.44) / 3.0_f64).sqrt();
        assert!((nb.sd_within.unwrap() - within).abs() < 1e-12);
        assert!(
            (nb.sd_pooled.unwrap() - (0.108_f64.powi(2) + within * within).sqrt()).abs() < 1e-12
        );
        assert!((nb.standard_error.unwrap() - 0.108 / 3.0_f64.sqrt()).abs() < 1e-12);
        // t quantile of two degrees of freedom: 4.302653.
        let half = 4.302_652_73 * 0.108 / 3.0_f64.sqrt();
        assert!((nb.confidence_interval_95.unwrap()[0] - (0.54 - half)).abs() < 1e-7);
    }

    #[test]
    fn every_reading_of_uncertainty_is_that_of_the_hand() {
        // Means 1, 2, 3 with SDs 0.3, none, 0.4 and errors 0.6, 0, 0.3: mean e² = 0.15.
        let mut tumours: Vec<Tumour> =
            [1.0, 2.0, 3.0].iter().enumerate().map(|(i, &m)| tumour(i, "NB", m)).collect();
        let readings = [(Some(0.3), 0.6), (None, 0.0), (Some(0.4), 0.3)];
        for (tumour, (sd, error)) in tumours.iter_mut().zip(readings) {
            let summary = tumour.method.as_mut().unwrap();
            (summary.standard_deviation, summary.standard_error) = (sd, Some(error));
        }
        let row = class_summaries(&tumours).unwrap().pop().unwrap();
        let check = |[value, percent]: [Option<f64>; 2], expected: f64| {
            assert!((value.unwrap() - expected).abs() < 1e-14);
            assert!((percent.unwrap() - 50.0 * expected).abs() < 1e-12);
        };
        check([row.sd_between, row.percent_uncertainty], 1.0);
        check([row.sd_within, row.percent_within], 0.125_f64.sqrt());
        check([row.sd_pooled, row.percent_pooled], 1.125_f64.sqrt());
        check([row.standard_error, row.percent_standard_error], 3.0_f64.sqrt().recip());
        check([row.measurement_error, row.percent_measurement_error], 0.45_f64.sqrt() / 3.0);
        check([row.sd_between_intrinsic, row.percent_intrinsic], 0.85_f64.sqrt());
        tumours[0].method.as_mut().unwrap().standard_error = Some(9.0);
        assert_eq!(class_summaries(&tumours).unwrap()[1].sd_between_intrinsic, Some(0.0));
        tumours[1].method.as_mut().unwrap().standard_error = None;
        let row = class_summaries(&tumours).unwrap().pop().unwrap();
        assert_eq!((row.measurement_error, row.sd_between_intrinsic), (None, None));
        for wrong in [-0.1, f64::NAN, f64::INFINITY] {
            tumours[2].method.as_mut().unwrap().standard_error = Some(wrong);
            assert_eq!(class_summaries(&tumours).unwrap_err().field(), Some("tumours"));
        }
    }

    #[test]
    fn bootstrap_interval_of_a_class_lies_within_its_tumours() {
        let means = [0.4, 0.45, 0.5, 0.52, 0.6, 1.1];
        let tumours: Vec<Tumour> =
            means.iter().enumerate().map(|(i, &mean)| tumour(i, "NB", mean)).collect();
        let rows = class_summaries(&tumours).unwrap();
        let [low, high] = rows[1].bootstrap_interval_95.unwrap();
        assert!(0.4 < low && low < 0.595 && 0.595 < high && high < 1.1);
        // The long tail lies above: so does the longer arm.
        assert!(high - 0.595 > 0.595 - low);
        assert_eq!(rows, class_summaries(&tumours).unwrap());
        assert_eq!(rows[0].bootstrap_interval_95, None, "all naive means are equal");
        assert_eq!(class_summaries(&tumours[..2]).unwrap()[1].bootstrap_interval_95, None);
    }

    #[test]
    fn one_tumour_has_a_mean_and_no_spread() {
        let mut tumours = vec![tumour(1, "GN", 1.0), tumour(2, "GN", 2.0)];
        tumours[1].method = None;
        let rows = class_summaries(&tumours).unwrap();
        let row = &rows[1];
        assert_eq!((row.n, row.n_missing, row.mean), (1, 1, Some(1.0)));
        assert_eq!((row.sd_between, row.percent_uncertainty), (None, None));
        assert_eq!(
            (row.standard_error, row.sd_pooled, row.sd_between_intrinsic),
            (None, None, None)
        );
        assert_eq!((row.confidence_interval_95, row.bootstrap_interval_95), (None, None));
        assert_eq!(rows[0].sd_between, Some(0.0));
        assert!(class_summaries(&[]).unwrap().is_empty());
    }

    #[test]
    fn classes_are_tested_together_in_pairs_and_by_contrast() {
        let contrast = Contrast {
            positive: vec!["NB".into()],
            negative: vec!["GN".into(), "GNB".into()],
            direction: Direction::LowerIsPositive,
        };
        let tests = class_tests(&cohort(), Selection::Method, Some(&contrast)).unwrap();
        // NB .432 .54 .648; GN .756 1.2 1.644; GNB .4218 .74 1.0582.
        let curve = tests.roc.unwrap();
        assert_eq!(curve.n, [3, 6]);
        assert!((curve.area - 15.0 / 18.0).abs() < 1e-12);
        let names: Vec<_> =
            tests.pairs.iter().map(|pair| (pair.first.as_str(), pair.second.as_str())).collect();
        assert_eq!(names, [("GN", "GNB"), ("GN", "NB"), ("GNB", "NB")]);
        let raw: Vec<f64> = tests.pairs.iter().map(|pair| pair.test.p_exact.unwrap()).collect();
        assert!((raw[1] - 0.1).abs() < 1e-12);
        assert!((tests.pairs[1].p_holm - 0.3).abs() < 1e-12);
        assert!(tests.kruskal_wallis.unwrap().p < 0.2);
        let naive = class_tests(&cohort(), Selection::Naive, None).unwrap();
        assert_eq!((naive.kruskal_wallis, naive.roc), (None, None));
        assert!(naive.pairs.iter().all(|pair| (pair.p_holm - 1.0).abs() < 1e-12));
    }

    #[test]
    fn cohorts_that_break_a_rule_are_refused() {
        let twice = [tumour(1, "GN", 1.0), tumour(1, "NB", 1.0)];
        let error = class_summaries(&twice).unwrap_err();
        assert_eq!(error.to_string(), "`tumours`: sub-01 has more than one tumour");
        assert!(class_tests(&[tumour(1, "GN", f64::NAN)], Selection::Method, None).is_err());
        let contrast = |positive: &str, negative: &str| Contrast {
            positive: vec![positive.into()],
            negative: vec![negative.into()],
            direction: Direction::LowerIsPositive,
        };
        for (positive, negative) in [("NB", "XX"), ("NB", "NB")] {
            let wrong = contrast(positive, negative);
            let error = class_tests(&cohort(), Selection::Method, Some(&wrong)).unwrap_err();
            assert_eq!(error.field(), Some("contrast"));
        }
    }
}
