//! The designed cohort of runners, end to end, beside the numbers it was designed to.

mod page;

use std::path::Path;

use super::cohort::Check;
use crate::error::Result;
use crate::io::atomic;
use crate::pipeline::observer::Observer;
use crate::pipeline::trial::knees::{
    KneeCohort, KneeOutcome, PairedOutcome, Placement, WrittenCohort, placements,
};
use crate::simulate::{Preset, ShiftDesign, UltramarathonSettings};

/// Changes of the shipped pipeline: fewer pseudo-experiments, so that a seed takes minutes. The number
/// of a knee depends on them through the gate alone.
const CHANGES: [&str; 2] =
    ["uncertainty.pseudo_experiments=50", "uncertainty.region_pseudo_experiments=20"];
/// Level of the paired tests.
const LEVEL: f64 = 0.05;
/// Largest error of the median T2 of a knee, ms.
const MEDIAN_LIMIT_MS: f64 = 0.1;
/// Largest 95th percentile of the distance from the known movement, mm.
const REGISTRATION_LIMIT_MM: f64 = 0.5;
/// Largest mean error of the thickness, mm.
const THICKNESS_LIMIT_MM: f64 = 0.05;

/// A layout of the planned changes, with the test that it was made for.
#[derive(Debug, Clone, Copy)]
struct Planned {
    shifts: ShiftDesign,
    name: &'static str,
    /// Group, endpoint and p of the planned changes themselves.
    p: [(&'static str, &'static str, f64); 4],
}

const DESIGNS: [Planned; 2] = [
    Planned {
        shifts: ShiftDesign::PairedT,
        name: "paired t",
        p: [
            ("control", "t2_median", 0.037),
            ("control", "t2_p25", 0.017),
            ("treated", "t2_median", 0.24),
            ("treated", "t2_p25", 0.16),
        ],
    },
    Planned {
        shifts: ShiftDesign::SignedRank,
        name: "exact Wilcoxon",
        p: [
            ("control", "t2_median", 20.0 / 512.0),
            ("control", "t2_p25", 10.0 / 512.0),
            ("treated", "t2_median", 128.0 / 512.0),
            ("treated", "t2_p25", 84.0 / 512.0),
        ],
    },
];

impl Planned {
    /// p of the test that the design was made for.
    fn p_of(&self, outcome: &PairedOutcome) -> Option<f64> {
        match self.shifts {
            ShiftDesign::PairedT => outcome.p_t,
            ShiftDesign::SignedRank => outcome.p_exact,
        }
    }
}

/// Both designs under one seed.
#[derive(Debug, Clone)]
struct Run {
    seed: u64,
    /// One per design.
    cohorts: Vec<KneeCohort>,
    /// Every knee of the first design by both orders and both transforms.
    placements: Vec<Placement>,
    /// The same without noise; of the first seed alone.
    noise_free: Vec<Placement>,
}

/// The cohort under every seed.
#[derive(Debug, Clone)]
pub struct KneesReport {
    runs: Vec<Run>,
}

/// Simulates the cohort under each of `seeds` in both designs and measures it.
///
/// # Errors
///
/// As [`WrittenCohort::run`] and [`placements`].
pub fn knees(preset: Preset, seeds: &[u64], observer: &dyn Observer) -> Result<KneesReport> {
    let changes = CHANGES.map(str::to_owned);
    let mut runs = Vec::with_capacity(seeds.len());
    for &seed in seeds {
        let settings = |design: &Planned| {
            let mut settings = UltramarathonSettings::new(preset, seed);
            settings.shifts = design.shifts;
            settings
        };
        let (mut cohorts, mut found) = (Vec::new(), Vec::new());
        for (place, design) in DESIGNS.iter().enumerate() {
            let written = WrittenCohort::new(&settings(design))?;
            cohorts.push(written.run(&changes, observer)?);
            if place == 0 {
                found = placements(&written, &changes)?;
            }
        }
        let noise_free = if runs.is_empty() {
            let written = WrittenCohort::new(&settings(&DESIGNS[0]).noise_free())?;
            placements(&written, &changes)?
        } else {
            Vec::new()
        };
        runs.push(Run { seed, cohorts, placements: found, noise_free });
    }
    Ok(KneesReport { runs })
}

/// Errors of the knees of one cohort.
#[derive(Debug, Clone, Default)]
struct Errors {
    /// Median and 25th percentile of T2 of every knee in every session, ms.
    t2_ms: [Vec<f64>; 2],
    /// The same over their standard errors.
    t2_in_stderr: [Vec<f64>; 2],
    /// Change from the first to the second session of every knee, ms.
    change_ms: [Vec<f64>; 2],
    /// The same over their standard errors.
    change_in_stderr: [Vec<f64>; 2],
    /// Mean thickness of every knee in every session, mm.
    thickness_mm: Vec<f64>,
    /// Knees in sessions without a number of T2 or of thickness.
    n_missing: usize,
}

impl Errors {
    fn of(knees: &[KneeOutcome]) -> Self {
        let mut errors = Self::default();
        for knee in knees {
            errors.n_missing +=
                usize::from(knee.t2_ms.contains(&None) || knee.thickness_mm.is_none());
            errors.thickness_mm.extend(knee.thickness_mm.map(|x| x - knee.thickness_truth_mm));
            let later = knees.iter().find(|other| {
                (&other.participant_id, &other.side) == (&knee.participant_id, &knee.side)
                    && other.session_id != knee.session_id
                    && knee.session_id == "ses-pre"
            });
            for statistic in 0..2 {
                let Some((error, stderr)) = t2_error(knee, statistic) else { continue };
                errors.t2_ms[statistic].push(error);
                errors.t2_in_stderr[statistic].extend(stderr.map(|stderr| error / stderr));
                let after = later.and_then(|later| t2_error(later, statistic));
                let Some((error_after, stderr_after)) = after else { continue };
                let change = error_after - error;
                errors.change_ms[statistic].push(change);
                errors.change_in_stderr[statistic]
                    .extend(stderr.zip(stderr_after).map(|(a, b)| change / a.hypot(b)));
            }
        }
        errors
    }

    fn append(&mut self, mut other: Self) {
        for statistic in 0..2 {
            self.t2_ms[statistic].append(&mut other.t2_ms[statistic]);
            self.t2_in_stderr[statistic].append(&mut other.t2_in_stderr[statistic]);
            self.change_ms[statistic].append(&mut other.change_ms[statistic]);
            self.change_in_stderr[statistic].append(&mut other.change_in_stderr[statistic]);
        }
        self.thickness_mm.append(&mut other.thickness_mm);
        self.n_missing += other.n_missing;
    }
}

/// Error of one statistic of T2 and its standard error, ms; `None` where there is no number.
fn t2_error(knee: &KneeOutcome, statistic: usize) -> Option<(f64, Option<f64>)> {
    let measured = knee.t2_ms[statistic]?;
    Some((measured - knee.t2_truth_ms[statistic], knee.t2_stderr_ms[statistic]))
}

/// Largest size; infinite where there is nothing.
fn largest(values: &[f64]) -> f64 {
    if values.is_empty() { f64::INFINITY } else { values.iter().fold(0.0, |a, x| a.max(x.abs())) }
}

impl KneesReport {
    /// Errors of all knees of one design, or of all.
    fn errors(&self, design: Option<usize>) -> Errors {
        let mut all = Errors::default();
        for run in &self.runs {
            for (place, cohort) in run.cohorts.iter().enumerate() {
                if design.is_none_or(|design| design == place) {
                    all.append(Errors::of(&cohort.knees));
                }
            }
        }
        all
    }

    /// What must hold under every seed and in both designs.
    pub fn checks(&self) -> Vec<Check> {
        let mut means = [0.0_f64; 2];
        for cohort in self.runs.iter().flat_map(|run| &run.cohorts) {
            let errors = Errors::of(&cohort.knees);
            for (worst, of) in means.iter_mut().zip([&errors.t2_ms[0], &errors.thickness_mm]) {
                let mean = of.iter().sum::<f64>() / of.len() as f64;
                *worst = worst.max(if mean.is_finite() { mean.abs() } else { f64::INFINITY });
            }
        }
        let all = self.errors(None);
        let p95: Vec<f64> = self.placements().map(|placement| placement.distances.p95_mm).collect();
        let check = |what: &str, worst: f64, limit: f64| Check { what: what.into(), worst, limit };
        vec![
            check("median T2 of a knee: error, ms", largest(&all.t2_ms[0]), MEDIAN_LIMIT_MS),
            check("median T2: mean error of the 36 knees, ms", means[0], MEDIAN_LIMIT_MS),
            check("registration: 95th percentile, mm", largest(&p95), REGISTRATION_LIMIT_MM),
            check("thickness: mean error of the 36 knees, mm", means[1], THICKNESS_LIMIT_MM),
            check("thickness: tests with p ≤ 0.05", self.n_thickness_changes() as f64, 0.0),
            check("T2: tests on the other side of 0.05", self.n_other_side() as f64, 0.0),
            check("knees without a number", all.n_missing as f64, 0.0),
        ]
    }

    fn placements(&self) -> impl Iterator<Item = &Placement> {
        self.runs.iter().flat_map(|run| &run.placements)
    }

    /// Tests of thickness, t and exact, that see a change where there is none.
    fn n_thickness_changes(&self) -> usize {
        let paired = self.runs.iter().flat_map(|run| &run.cohorts).flat_map(|c| &c.paired);
        let of_thickness = paired.filter(|outcome| outcome.endpoint.starts_with("thickness"));
        let is_change = |p: Option<f64>| p.is_none_or(|p| p <= LEVEL);
        of_thickness
            .map(|outcome| usize::from(is_change(outcome.p_t) || is_change(outcome.p_exact)))
            .sum()
    }

    /// Tests of T2 that lie on the other side of 0.05 than planned.
    fn n_other_side(&self) -> usize {
        let mut n = 0;
        for run in &self.runs {
            for (design, cohort) in DESIGNS.iter().zip(&run.cohorts) {
                for (group, endpoint, planned) in design.p {
                    let found = p_value(cohort, design, (group, endpoint));
                    n += usize::from(found.is_none_or(|p| (p <= LEVEL) != (planned <= LEVEL)));
                }
            }
        }
        n
    }

    /// Writes `cartilage.md` into `folder`.
    ///
    /// # Errors
    ///
    /// `Create` or `Write` as of the file system.
    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic::write(&folder.join("cartilage.md"), page::render(self)?.as_bytes())
    }
}

/// p of one endpoint in one group by the test of the design.
fn p_value(cohort: &KneeCohort, design: &Planned, (group, endpoint): (&str, &str)) -> Option<f64> {
    let is_meant =
        |o: &&PairedOutcome| (o.group.as_str(), o.endpoint.as_str()) == (group, endpoint);
    cohort.paired.iter().find(is_meant).and_then(|outcome| design.p_of(outcome))
}

#[cfg(test)]
mod tests;
