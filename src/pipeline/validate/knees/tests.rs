use super::*;
use crate::pipeline::trial::knees::Distances;

fn knee(participant: &str, session: &str, t2_ms: Option<f64>) -> KneeOutcome {
    KneeOutcome {
        participant_id: participant.into(),
        session_id: session.into(),
        side: "right".into(),
        group: "control".into(),
        t2_ms: [t2_ms, t2_ms.map(|t2| t2 - 5.0)],
        t2_stderr_ms: [Some(0.3), Some(0.4)],
        t2_truth_ms: [38.0, 33.0],
        thickness_mm: Some(2.30),
        thickness_truth_mm: 2.25,
    }
}

fn report(knees: &[KneeOutcome], p: f64) -> KneesReport {
    let outcome = |group: &str, endpoint: &str, p: f64| PairedOutcome {
        endpoint: endpoint.into(),
        group: group.into(),
        mean: Some(0.0),
        p_t: Some(p),
        p_exact: Some(p),
    };
    let cohorts = DESIGNS.map(|design| KneeCohort {
        knees: knees.to_vec(),
        paired: design
            .p
            .iter()
            .map(|&(group, endpoint, planned)| outcome(group, endpoint, planned))
            .chain([outcome("control", "thickness_mean", p)])
            .collect(),
    });
    let distances = Distances { root_mean_square_mm: 0.1, p95_mm: 0.2, largest_mm: 0.3 };
    let placement = Placement {
        participant_id: "sub-01".into(),
        session_id: "ses-pre".into(),
        side: "right".into(),
        distances,
        t2_ms: [[38.05, 33.5]; 4],
    };
    let run = Run {
        seed: 1,
        cohorts: cohorts.into(),
        placements: vec![placement],
        noise_free: Vec::new(),
    };
    KneesReport { runs: vec![run] }
}

fn holding(report: &KneesReport) -> Vec<bool> {
    report.checks().iter().map(Check::holds).collect()
}

#[test]
fn changes_are_after_less_before_in_units_of_both_errors() {
    let errors = Errors::of(&[
        knee("sub-01", "ses-pre", Some(38.1)),
        knee("sub-01", "ses-post", Some(37.6)),
        knee("sub-02", "ses-pre", None),
    ]);
    assert_eq!([errors.t2_ms[0].len(), errors.change_ms[0].len(), errors.n_missing], [2, 1, 1]);
    assert!((errors.t2_ms[0][0] - 0.1).abs() < 1e-9);
    assert!((errors.change_ms[0][0] + 0.5).abs() < 1e-9);
    assert!((errors.change_in_stderr[0][0] + 0.5 / (0.3 * 2.0_f64.sqrt())).abs() < 1e-9);
    assert!((errors.thickness_mm[0] - 0.05).abs() < 1e-9);
}

#[test]
fn every_demand_can_fail() {
    let good = [knee("sub-01", "ses-pre", Some(38.05))];
    assert_eq!(holding(&report(&good, 0.5)), [true, true, true, true, true, true, true]);
    let far = [knee("sub-01", "ses-pre", Some(38.15))];
    assert_eq!(holding(&report(&far, 0.5))[..2], [false, false]);
    assert!(!holding(&report(&good, 0.04))[4]);
    assert!(!holding(&report(&[knee("sub-01", "ses-pre", None)], 0.5))[6]);
    let mut other = report(&good, 0.5);
    other.runs[0].cohorts[0].paired[0].p_t = Some(0.06);
    other.runs[0].placements[0].distances.p95_mm = 0.6;
    assert_eq!(holding(&other)[2..6], [false, true, true, false]);
    let mut thick = report(&good, 0.5);
    thick.runs[0].cohorts[1].knees[0].thickness_mm = Some(2.31);
    assert!(!holding(&thick)[3]);
}

#[test]
fn the_page_shows_planned_and_found_side_by_side() {
    let page = page::render(&report(&[knee("sub-01", "ses-pre", Some(38.05))], 0.5)).unwrap();
    assert!(page.contains("| exact Wilcoxon | control | t2_median | 0.0391 | 0.0391 |"), "{page}");
    assert!(page.contains("| paired t | treated | t2_p25 | 0.1600 | 0.1600 |"));
    assert!(page.contains("| 1 | 0.100 (0.100) | 0.200 (0.200) | 0.300 (0.300) |"));
}
