//! Classes of tumours: means over patients and tests between classes.

use std::collections::BTreeSet;

use super::tumour::{Selection, Tumour, percent};
use crate::error::{Error, Result};
use crate::statistics::moments::{Moments, mean};
use crate::statistics::multiplicity::holm;
use crate::statistics::rank_test::{KruskalWallis, RankSum, kruskal_wallis, rank_sum};
use crate::statistics::roc::{Direction, Roc, roc};
use crate::statistics::t_test::mean_interval_95;

/// One class under one selection.
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
    /// SD of the tumour means, n − 1; `None` for one tumour.
    pub sd_between: Option<f64>,
    /// 100·SD between/mean: the headline uncertainty.
    pub percent_uncertainty: Option<f64>,
    /// Root of the mean square of the SDs within the tumours that have one.
    pub sd_within: Option<f64>,
    /// √(SD between² + SD within²).
    pub sd_pooled: Option<f64>,
    /// SD between/√n.
    pub standard_error: Option<f64>,
    /// 95 % t interval of the mean.
    pub confidence_interval_95: Option<[f64; 2]>,
}

/// Every class under both selections, naive first, classes in order of first appearance.
///
/// # Errors
///
/// `Value` at `tumours`: a subject twice, or a mean or SD not finite.
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
    let summaries: Vec<_> = members.iter().filter_map(|t| t.summary(selection)).collect();
    let means: Vec<f64> = summaries.iter().map(|summary| summary.mean).collect();
    let squares: Vec<f64> =
        summaries.iter().filter_map(|s| s.standard_deviation).map(|sd| sd * sd).collect();
    let moments = Moments::of(&means);
    let class_mean = moments.map(|moments| moments.mean());
    let sd_between = moments.and_then(|moments| moments.standard_deviation());
    let sd_within = mean(&squares).map(f64::sqrt);
    ClassSummary {
        class: class.to_owned(),
        selection,
        n: means.len(),
        n_missing: members.len() - means.len(),
        mean: class_mean,
        sd_between,
        percent_uncertainty: sd_between.zip(class_mean).and_then(|(sd, mean)| percent(sd, mean)),
        sd_within,
        sd_pooled: sd_between.zip(sd_within).map(|(between, within)| between.hypot(within)),
        standard_error: sd_between.map(|sd| sd / (means.len() as f64).sqrt()),
        confidence_interval_95: mean_interval_95(&means),
    }
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
/// `Value` at `tumours`: a subject twice, or a mean or SD not finite; at `contrast`: a class on both
/// sides, or one that no tumour has.
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
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::Summary;

    fn tumour(subject: usize, class: &str, method: f64) -> Tumour {
        let summary = |mean: f64| Summary { mean, standard_deviation: Some(0.1 * mean), n: 100 };
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
    fn one_tumour_has_a_mean_and_no_spread() {
        let mut tumours = vec![tumour(1, "GN", 1.0), tumour(2, "GN", 2.0)];
        tumours[1].method = None;
        let rows = class_summaries(&tumours).unwrap();
        let row = &rows[1];
        assert_eq!((row.n, row.n_missing, row.mean), (1, 1, Some(1.0)));
        assert_eq!((row.sd_between, row.percent_uncertainty), (None, None));
        assert_eq!(row.confidence_interval_95, None);
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
