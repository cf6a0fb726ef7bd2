//! Change from before to after, knees by treatment, subjects as independent units.
//!
//! The headline p of a row is that of the test asked for where every subject gives one difference, and
//! the exact sign flip of whole subjects where a subject gives more.
//!
//! # Reference
//!
//! Rosner, Glynn, Lee, Biometrics 62 (2006), doi:10.1111/j.1541-0420.2005.00389.x.

use std::collections::{BTreeMap, BTreeSet};

use super::knee::Knee;
use crate::error::{Error, Result};
use crate::statistics::mixed_model::{MixedModel, Observation, mixed_model};
use crate::statistics::moments::mean;
use crate::statistics::multiplicity::holm;
use crate::statistics::normality::{ShapiroWilk, shapiro_wilk};
use crate::statistics::permutation::{SignFlip, clustered_signed_rank};
use crate::statistics::rank_test::{RankSum, SignedRank, Zeros, rank_sum, signed_rank_with};
use crate::statistics::t_test::{TTest, t_test};

/// One measure of the knees, over all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Name, such as `t2_median`.
    pub name: String,
    /// Groups in which it is a hypothesis, with the family it is adjusted in; exploratory elsewhere.
    pub families: Vec<(Group, String)>,
    /// The knees, at most one row per subject and side.
    pub knees: Vec<Knee>,
}

/// Which differences a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Changes of untreated knees.
    Untreated,
    /// Changes of treated knees.
    Treated,
    /// Changes of all knees.
    All,
    /// Change of the untreated less change of the treated knee of one subject.
    Interaction,
}

/// The test whose p stands for a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeadlineTest {
    /// Exact Wilcoxon signed ranks.
    #[default]
    Wilcoxon,
    /// Paired t.
    T,
    /// Exact sign flip of whole subjects.
    SignFlip,
}

/// How differences are tested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PairedSettings {
    /// The test whose p stands for a row.
    pub headline: HeadlineTest,
    /// What becomes of differences that are 0.
    pub zeros: Zeros,
}

/// One endpoint in one group.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedRow {
    /// Endpoint.
    pub endpoint: String,
    /// Which differences.
    pub group: Group,
    /// Subjects with a difference.
    pub n_subjects: usize,
    /// Differences: knees, or subjects for the interaction.
    pub n: usize,
    /// Knees of the group without both sessions.
    pub n_missing: usize,
    /// Mean before; for the interaction the baseline imbalance, untreated less treated.
    pub mean_before: Option<f64>,
    /// Mean after; for the interaction untreated less treated.
    pub mean_after: Option<f64>,
    /// Wilcoxon's test; `None` without differences or where a subject gives more than one.
    pub signed_rank: Option<SignedRank>,
    /// Paired t test; `None` for fewer than two differences, without spread, or where a subject
    /// gives more than one.
    pub t_test: Option<TTest>,
    /// Whether the differences could be normal; `None` for fewer than three, without spread, or where
    /// a subject gives more than one.
    pub shapiro_wilk: Option<ShapiroWilk>,
    /// Exact sign flip of whole subjects on the signed ranks; `None` without differences.
    pub sign_flip: Option<SignFlip>,
    /// For the interaction: changes of untreated less treated knees with a common part per subject;
    /// `None` where one of the groups or every second knee is missing.
    pub mixed_model: Option<MixedModel>,
    /// For the interaction where no subject has both: changes of untreated against treated
    /// subjects, each the mean of its knees.
    pub between_subjects: Option<RankSum>,
    /// The headline p.
    pub p: Option<f64>,
    /// Family of the headline p; `None` where it is exploratory.
    pub family: Option<String>,
    /// Headline p adjusted by Holm within its family, or within all that is exploratory.
    pub p_holm: Option<f64>,
}

/// Four rows (untreated, treated, all, interaction) per endpoint, in the order given.
///
/// # Errors
///
/// `Value` at the endpoint's name: a knee twice, or a value not finite.
pub fn paired_rows(endpoints: &[Endpoint], settings: &PairedSettings) -> Result<Vec<PairedRow>> {
    let mut rows = Vec::with_capacity(4 * endpoints.len());
    for endpoint in endpoints {
        check(&endpoint.knees).map_err(|error| error.at_field(&endpoint.name))?;
        for group in [Group::Untreated, Group::Treated, Group::All] {
            rows.push(change_row(endpoint, group, settings));
        }
        rows.push(interaction_row(endpoint, settings));
    }
    adjust(&mut rows);
    Ok(rows)
}

/// Adjusts each family by itself, and what is exploratory as one more.
fn adjust(rows: &mut [PairedRow]) {
    let families: BTreeSet<Option<String>> = rows.iter().map(|row| row.family.clone()).collect();
    for family in families {
        let members = rows.iter_mut().filter(|row| row.family == family && row.p.is_some());
        let members: Vec<&mut PairedRow> = members.collect();
        let raw: Vec<f64> = members.iter().filter_map(|row| row.p).collect();
        for (row, adjusted) in members.into_iter().zip(holm(&raw)) {
            row.p_holm = Some(adjusted);
        }
    }
}

fn check(knees: &[Knee]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for knee in knees {
        let place = format!("{} {:?}", knee.subject, knee.side).to_lowercase();
        if !seen.insert((&knee.subject, knee.side)) {
            return Err(Error::value(format!("{place} is given twice")).at_field("knees"));
        }
        if [knee.before, knee.after].iter().flatten().any(|value| !value.is_finite()) {
            let message = format!("{place} has a value that is not finite");
            return Err(Error::value(message).at_field("knees"));
        }
    }
    Ok(())
}

/// Differences of one subject each, in order of the subject's name.
type BySubject<'a> = BTreeMap<&'a str, Vec<f64>>;

fn by_subject<'a>(knees: &[&'a Knee], of: impl Fn(&Knee) -> Option<f64>) -> BySubject<'a> {
    let mut subjects = BySubject::new();
    for knee in knees {
        if let Some(value) = of(knee) {
            subjects.entry(&knee.subject).or_default().push(value);
        }
    }
    subjects
}

fn group_of(knees: &[Knee], group: Group) -> Vec<&Knee> {
    let belongs = |knee: &&Knee| match group {
        Group::Untreated => !knee.treated,
        Group::Treated => knee.treated,
        Group::All | Group::Interaction => true,
    };
    knees.iter().filter(belongs).collect()
}

fn change_row(endpoint: &Endpoint, group: Group, settings: &PairedSettings) -> PairedRow {
    let members = group_of(&endpoint.knees, group);
    let complete: Vec<&Knee> =
        members.iter().copied().filter(|knee| knee.change().is_some()).collect();
    let column = |of: fn(&Knee) -> Option<f64>| -> Vec<f64> {
        complete.iter().filter_map(|knee| of(knee)).collect()
    };
    let mut row = row_of(endpoint, group, &by_subject(&complete, Knee::change), settings);
    row.n_missing = members.len() - complete.len();
    row.mean_before = mean(&column(|knee| knee.before));
    row.mean_after = mean(&column(|knee| knee.after));
    row
}

fn row_of(
    endpoint: &Endpoint,
    group: Group,
    subjects: &BySubject<'_>,
    settings: &PairedSettings,
) -> PairedRow {
    let all: Vec<f64> = subjects.values().flatten().copied().collect();
    let clusters: Vec<&[f64]> = subjects.values().map(Vec::as_slice).collect();
    let independent = all.len() == subjects.len();
    let single = if independent { &all[..] } else { &[] };
    let wilcoxon = signed_rank_with(single, settings.zeros).ok();
    let t_test = t_test(single).ok();
    let sign_flip = clustered_signed_rank(&clusters).ok();
    let p = match settings.headline {
        HeadlineTest::Wilcoxon => wilcoxon.as_ref().and_then(|test| test.p_exact),
        HeadlineTest::T => t_test.map(|test| test.p),
        HeadlineTest::SignFlip => None,
    };
    let family = endpoint.families.iter().find(|(other, _)| *other == group);
    PairedRow {
        endpoint: endpoint.name.clone(),
        group,
        n_subjects: subjects.len(),
        n: all.len(),
        n_missing: 0,
        mean_before: None,
        mean_after: None,
        p: p.or(sign_flip.map(|test| test.p)),
        signed_rank: wilcoxon,
        t_test,
        shapiro_wilk: shapiro_wilk(single).ok(),
        sign_flip,
        mixed_model: None,
        between_subjects: None,
        family: family.map(|(_, name)| name.clone()),
        p_holm: None,
    }
}

fn interaction_row(endpoint: &Endpoint, settings: &PairedSettings) -> PairedRow {
    let knees = &endpoint.knees;
    let contrast = |of: fn(&Knee) -> Option<f64>| {
        let value = |knee: &Knee| knee.change().and_then(|_| of(knee));
        let untreated = by_subject(&group_of(knees, Group::Untreated), value);
        let treated = by_subject(&group_of(knees, Group::Treated), value);
        let mut both = BySubject::new();
        for (subject, values) in &untreated {
            if let Some(others) = treated.get(subject) {
                both.extend(mean(values).zip(mean(others)).map(|(a, b)| (*subject, vec![a - b])));
            }
        }
        both
    };
    let mean_of =
        |subjects: &BySubject<'_>| mean(&subjects.values().flatten().copied().collect::<Vec<_>>());
    let changes = contrast(Knee::change);
    let mut row = row_of(endpoint, Group::Interaction, &changes, settings);
    row.mixed_model = mixed_changes(knees);
    row.n_missing = knees.iter().filter(|knee| knee.change().is_none()).count();
    row.mean_before = mean_of(&contrast(|knee| knee.before));
    row.mean_after = mean_of(&contrast(|knee| knee.after));
    if changes.is_empty() {
        row.between_subjects = between_subjects(knees);
        row.p = row.between_subjects.as_ref().map(|test| test.p_exact.unwrap_or(test.p_asymptotic));
    }
    row
}

/// Changes of all knees, those of a subject together; the effect is untreated less treated, as in the
/// row.
fn mixed_changes(knees: &[Knee]) -> Option<MixedModel> {
    let mut subjects: BTreeMap<&str, Vec<Observation>> = BTreeMap::new();
    for knee in knees {
        if let Some(value) = knee.change() {
            let observation = Observation { value, treated: !knee.treated };
            subjects.entry(&knee.subject).or_default().push(observation);
        }
    }
    mixed_model(&subjects.into_values().collect::<Vec<_>>()).ok()
}

fn between_subjects(knees: &[Knee]) -> Option<RankSum> {
    let means = |group| -> Vec<f64> {
        by_subject(&group_of(knees, group), Knee::change).values().filter_map(|v| mean(v)).collect()
    };
    rank_sum(&means(Group::Untreated), &means(Group::Treated)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::Side;

    /// Changes of nine knees with these negative ranks.
    fn changes(negative_ranks: &[usize]) -> Vec<f64> {
        let mut changes = vec![0.35, 0.7, 1.0, 1.3, 1.6, 1.9, 2.3, 2.7, 3.2];
        for rank in negative_ranks {
            changes[rank - 1] *= -1.0;
        }
        changes
    }

    fn knee(subject: usize, treated: bool, change: f64) -> Knee {
        Knee {
            subject: format!("sub-{subject:02}"),
            side: if treated { Side::Right } else { Side::Left },
            treated,
            before: Some(38.0 + subject as f64),
            after: Some(38.0 + subject as f64 + change),
        }
    }

    fn endpoint(name: &str, primary: bool, untreated: &[f64], treated: &[f64]) -> Endpoint {
        let rows = |changes: &[f64], treated| -> Vec<Knee> {
            changes.iter().enumerate().map(|(i, &change)| knee(i + 1, treated, change)).collect()
        };
        let knees = [rows(untreated, false), rows(treated, true)].concat();
        let families =
            if primary { vec![(Group::Untreated, "primary".to_owned())] } else { Vec::new() };
        Endpoint { name: name.into(), families, knees }
    }

    fn rows_of(endpoints: &[Endpoint]) -> Result<Vec<PairedRow>> {
        paired_rows(endpoints, &PairedSettings::default())
    }

    fn row<'a>(rows: &'a [PairedRow], endpoint: &str, group: Group) -> &'a PairedRow {
        rows.iter().find(|row| row.endpoint == endpoint && row.group == group).unwrap()
    }

    #[test]
    fn the_designed_cohort_has_its_exact_p_values() {
        let rows = rows_of(&[
            endpoint("t2_median", true, &changes(&[5]), &changes(&[3, 9])),
            endpoint("t2_p25", true, &changes(&[3]), &changes(&[1, 9])),
        ])
        .unwrap();
        assert_eq!(rows.len(), 8);
        for (name, group, w, p) in [
            ("t2_median", Group::Untreated, 5.0, 0.0391),
            ("t2_p25", Group::Untreated, 3.0, 0.0195),
            ("t2_median", Group::Treated, 12.0, 0.25),
            ("t2_p25", Group::Treated, 10.0, 0.1641),
        ] {
            let row = row(&rows, name, group);
            let test = row.signed_rank.as_ref().unwrap();
            assert!((test.w_minus - w).abs() < 1e-12);
            assert!((row.p.unwrap() - p).abs() < 5e-5, "{name}");
            // One knee per subject: flipping subjects is the same test.
            assert!((row.sign_flip.unwrap().p - row.p.unwrap()).abs() < 1e-12);
            assert_eq!((row.n, row.n_subjects, row.n_missing), (9, 9, 0));
            let moved = row.mean_after.unwrap() - row.mean_before.unwrap();
            assert!((moved - row.t_test.unwrap().mean).abs() < 1e-12);
        }
    }

    #[test]
    fn holm_adjusts_the_primary_hypotheses_apart_from_the_rest() {
        let rows = rows_of(&[
            endpoint("t2_median", true, &changes(&[5]), &changes(&[3, 9])),
            endpoint("t2_p25", true, &changes(&[3]), &changes(&[1, 9])),
            endpoint("thickness", false, &changes(&[2, 8]), &changes(&[4, 7])),
        ])
        .unwrap();
        let primary: Vec<&PairedRow> =
            rows.iter().filter(|row| row.family.as_deref() == Some("primary")).collect();
        assert_eq!(primary.len(), 2);
        for row in &primary {
            // min(1, 2·.01953) = .03906, and never below it.
            assert!((row.p_holm.unwrap() - 0.039_062_5).abs() < 1e-12);
        }
        let others = rows.iter().filter(|row| row.family.is_none());
        for row in others {
            assert!(row.p_holm.unwrap() >= row.p.unwrap());
        }
    }

    #[test]
    fn interaction_compares_the_knees_of_one_subject() {
        let (untreated, treated) = (changes(&[5]), changes(&[3, 9]));
        let rows = rows_of(&[endpoint("t2_median", true, &untreated, &treated)]).unwrap();
        let found = row(&rows, "t2_median", Group::Interaction);
        // Differences 0 but for ranks 3, 5, 9: 2.0, −3.2, 6.4.
        let test = found.signed_rank.as_ref().unwrap();
        assert_eq!((test.n, test.n_zeros), (9, 6));
        assert!((test.w_minus - 2.0).abs() < 1e-12);
        assert!((found.mean_before.unwrap()).abs() < 1e-12);
        assert_eq!(found.family, None);
    }

    #[test]
    fn all_knees_are_tested_by_subject_and_not_as_if_independent() {
        let rows = rows_of(&[endpoint("t2_median", true, &changes(&[]), &changes(&[]))]).unwrap();
        let all = row(&rows, "t2_median", Group::All);
        assert_eq!((all.n, all.n_subjects), (18, 9));
        assert_eq!((&all.signed_rank, all.t_test), (&None, None));
        // Eighteen independent knees would give 2^-17.
        assert!((all.p.unwrap() - 2.0 / 512.0).abs() < 1e-15);
    }

    #[test]
    fn a_design_between_subjects_has_an_interaction_too() {
        let mut knees: Vec<Knee> = (1..=4).map(|i| knee(i, false, 1.0 + i as f64)).collect();
        knees.extend((5..=8).map(|i| knee(i, true, -(i as f64))));
        let rows = rows_of(&[Endpoint { name: "t2".into(), families: Vec::new(), knees }]).unwrap();
        let found = row(&rows, "t2", Group::Interaction);
        assert_eq!((found.n, &found.signed_rank), (0, &None));
        // 2 of C(8, 4) = 70 orders.
        assert!((found.p.unwrap() - 2.0 / 70.0).abs() < 1e-12);
    }

    #[test]
    fn the_test_that_is_asked_for_stands_for_the_row() {
        let endpoint = endpoint("t2_median", true, &changes(&[5]), &changes(&[3, 9]));
        for headline in [HeadlineTest::Wilcoxon, HeadlineTest::T, HeadlineTest::SignFlip] {
            let settings = PairedSettings { headline, zeros: Zeros::Dropped };
            let rows = paired_rows(std::slice::from_ref(&endpoint), &settings).unwrap();
            let untreated = row(&rows, "t2_median", Group::Untreated);
            let expected = match headline {
                HeadlineTest::Wilcoxon => untreated.signed_rank.as_ref().unwrap().p_exact.unwrap(),
                HeadlineTest::T => untreated.t_test.unwrap().p,
                HeadlineTest::SignFlip => untreated.sign_flip.unwrap().p,
            };
            assert_eq!(untreated.p, Some(expected));
            // Both knees of a subject: only whole subjects can be flipped.
            let all = row(&rows, "t2_median", Group::All);
            assert_eq!(all.p, all.sign_flip.map(|test| test.p));
        }
    }

    #[test]
    fn a_balanced_mixed_model_is_the_t_test_of_the_interaction() {
        let untreated = [1.9, -0.4, 2.2, 0.9, 1.4, 3.1, 0.2, 2.5, 1.1];
        let treated = [1.0, -0.9, 1.9, -0.4, 1.2, 2.0, -0.8, 1.9, 0.9];
        let rows = rows_of(&[endpoint("t2", false, &untreated, &treated)]).unwrap();
        let found = row(&rows, "t2", Group::Interaction);
        let (mixed, test) = (found.mixed_model.unwrap(), found.t_test.unwrap());
        assert!((mixed.effect - test.mean).abs() < 1e-12 && mixed.between_sd > 0.0);
        assert!((mixed.degrees_of_freedom - 8.0).abs() < 1e-6 && (mixed.p - test.p).abs() < 1e-7);
        assert_eq!(row(&rows, "t2", Group::All).mixed_model, None);
    }

    #[test]
    fn missing_sessions_are_counted_and_nothing_is_invented() {
        let mut endpoint = endpoint("t2", true, &changes(&[5]), &[]);
        endpoint.knees[0].after = None;
        endpoint.knees[1].before = None;
        let rows = rows_of(&[endpoint]).unwrap();
        let untreated = row(&rows, "t2", Group::Untreated);
        assert_eq!((untreated.n, untreated.n_missing), (7, 2));
        let treated = row(&rows, "t2", Group::Treated);
        assert_eq!((treated.n, treated.p, treated.p_holm), (0, None, None));
        assert_eq!((treated.mean_before, &treated.between_subjects), (None, &None));
        assert_eq!(row(&rows, "t2", Group::Interaction).p, None);
        assert!(rows_of(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_knee_twice_or_without_a_number_is_refused() {
        let twice = Endpoint {
            name: "t2_median".into(),
            families: Vec::new(),
            knees: vec![knee(1, true, 1.0), knee(1, true, 2.0)],
        };
        let error = rows_of(&[twice]).unwrap_err();
        assert_eq!(error.to_string(), "`t2_median.knees`: sub-01 right is given twice");
        let bad = endpoint("t2_median", true, &[f64::NAN], &[]);
        assert!(rows_of(&[bad]).is_err());
    }
}
