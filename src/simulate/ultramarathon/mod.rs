//! Runners' knees before and after an ultramarathon: multi-echo spin echo, an anatomical image of
//! finer voxels, and labels of femur and femoral cartilage.
//!
//! Cartilage T2 rises linearly from bone to surface; the second session changes it by a planned
//! amount whose paired statistics over the subjects are exact. One knee of every subject is treated
//! with hyaluronic acid. Signals are averaged over points within each voxel, labels are the tissue
//! at the voxel's centre: partial volume and segmentation are those of a real, perfectly drawn
//! study.

mod anatomy;
mod design;
mod imaging;
mod motion;

pub use design::ShiftDesign;
pub use motion::KnownMotion;

use super::Preset;
use super::study::{
    GroupTruthRow, SimulatedCohort, SimulatedStudy, StudySource, TabularFile, descriptions,
    require_snr,
};
use super::targets::{mean, permuted, standard_deviation};
use crate::error::Result;
use crate::random::StreamKey;
use crate::unit::Unit;
use design::{PlannedChange, Treatment, planned_changes};

/// How the knee moves between the anatomical and the quantitative image of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KneeMotion {
    /// Not at all: the two grids differ and their affines say all.
    None,
    /// Rigidly (at most 5 mm, 3°) and elastically (at most 2 mm), see [`KnownMotion`].
    RigidAndElastic,
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct UltramarathonSettings {
    /// Number and size of the studies.
    pub preset: Preset,
    /// Names all random numbers.
    pub seed: u64,
    /// Signal of cartilage at echo time 0 over σ; `None` for images without noise.
    pub multi_echo_snr: Option<f64>,
    /// Signal of cartilage in the anatomical image over σ; `None` for images without noise.
    pub anatomical_snr: Option<f64>,
    /// How the planned changes are laid out.
    pub shifts: ShiftDesign,
    /// Movement within a session.
    pub motion: KneeMotion,
}

impl UltramarathonSettings {
    /// The designed cohort: signal-to-noise ratio 50 (multi-echo) and 30 (anatomical), changes for
    /// the paired t test, movement in the abstract preset alone.
    pub fn new(preset: Preset, seed: u64) -> Self {
        let motion = match preset {
            Preset::Small => KneeMotion::None,
            Preset::Abstract => KneeMotion::RigidAndElastic,
        };
        Self {
            preset,
            seed,
            multi_echo_snr: Some(50.0),
            anatomical_snr: Some(30.0),
            shifts: ShiftDesign::PairedT,
            motion,
        }
    }

    /// The same knees in images without noise.
    #[must_use]
    pub fn noise_free(mut self) -> Self {
        (self.multi_echo_snr, self.anatomical_snr) = (None, None);
        self
    }
}

/// Which knee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Right,
    Left,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Right, Self::Left];

    fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Left => "left",
        }
    }

    fn region(self) -> String {
        format!("{}knee", self.name())
    }
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Before,
    After,
}

impl Session {
    const BOTH: [Self; 2] = [Self::Before, Self::After];

    fn id(self) -> &'static str {
        match self {
            Self::Before => "ses-pre",
            Self::After => "ses-post",
        }
    }
}

/// The cohort of runners.
///
/// # Errors
///
/// `Value` naming the setting that is out of range or does not fit the preset.
pub fn ultramarathon(settings: UltramarathonSettings) -> Result<SimulatedCohort> {
    require_snr("multi_echo_snr", settings.multi_echo_snr)?;
    require_snr("anatomical_snr", settings.anatomical_snr)?;
    let changes = planned_changes(&settings)?;
    let n = settings.preset.n_runners();
    let sides: Vec<f64> = (0..n).map(|i| (i % 2) as f64).collect();
    let treated_sides: Vec<Side> = permuted(&sides, StreamKey::new(settings.seed, "treated knees"))
        .into_iter()
        .map(|side| if side < 0.5 { Side::Right } else { Side::Left })
        .collect();
    Ok(SimulatedCohort {
        name: "ultramarathon".into(),
        readme: README.into(),
        descriptions: descriptions("Simulated knees before and after an ultramarathon"),
        bids_ignore: Vec::new(),
        tables: tables(&treated_sides),
        group_truth: group_truth(&changes),
        source: Box::new(Runners { settings, changes, treated_sides }),
    })
}

const README: &str = "\
Simulated knees before and after an ultramarathon with known truth. Nobody ran.

Each subject has a right and a left knee, scanned in sessions pre and post; one knee per subject is \
treated with hyaluronic acid (participants.tsv). The femoral cartilage lies on a circular cylinder, \
so its thickness is exactly the designed function of place; it is the same in both sessions within \
0.02 mm. T2 is 28 + 20 z ms (z from 0 at the bone to 1 at the surface) plus an offset per subject; \
the second session adds a change linear in z that moves the median and the lower quartile over the \
cartilage's volume by the planned amounts. Multi-echo spin echo: TE 10, 20, ... 60 ms. The \
anatomical image stands for a double-echo steady state and carries the suffix T2w because BIDS has \
none for it. The knee is named in the acq entity, because BIDS knows no side for a joint and both \
knees are scanned one after the other. Labels: 1 femoral cartilage, 5 femur.

The changes were designed: recovering them shows what registration, segmentation and partial volume \
do to a known effect, not that runners' knees behave so.
";

fn participant_id(index: usize) -> String {
    format!("sub-{:02}", index + 1)
}

fn tables(treated_sides: &[Side]) -> Vec<TabularFile> {
    let mut tables = vec![TabularFile {
        stem: "participants".into(),
        columns: vec![
            ("participant_id", "participant"),
            ("treated_knee", "knee treated with hyaluronic acid: right or left"),
        ],
        rows: treated_sides
            .iter()
            .enumerate()
            .map(|(index, side)| vec![participant_id(index), side.name().into()])
            .collect(),
    }];
    tables.extend((0..treated_sides.len()).map(|index| {
        TabularFile {
            stem: format!("{0}/{0}_sessions", participant_id(index)),
            columns: vec![
                ("session_id", "session"),
                ("timepoint", "pre or post: before or after the run"),
            ],
            rows: Session::BOTH
                .iter()
                .map(|session| {
                    vec![
                        session.id().to_owned(),
                        session.id().trim_start_matches("ses-").to_owned(),
                    ]
                })
                .collect(),
        }
    }));
    tables
}

fn group_truth(changes: &[Vec<PlannedChange>; 2]) -> Vec<GroupTruthRow> {
    type Endpoint = (&'static str, fn(&PlannedChange) -> f64);
    let endpoints: [Endpoint; 2] = [
        ("t2_median_change", |change| 1e-3 * change.median_ms),
        ("t2_p25_change", |change| 1e-3 * change.p25_ms),
    ];
    let mut rows = Vec::new();
    for (treatment, changes) in Treatment::BOTH.iter().zip(changes) {
        for (parameter, endpoint) in endpoints {
            let values: Vec<f64> = changes.iter().map(endpoint).collect();
            let (mean, sd) = (mean(&values), standard_deviation(&values));
            for (statistic, value, unit) in [
                ("mean", mean, Unit::Second),
                ("sd", sd, Unit::Second),
                ("d_z", mean / sd, Unit::One),
            ] {
                let group = treatment.name().to_owned();
                let units = unit.symbol();
                rows.push(GroupTruthRow {
                    group,
                    region: "knee",
                    parameter,
                    statistic,
                    value,
                    units,
                });
            }
        }
    }
    rows
}

#[derive(Debug)]
struct Runners {
    settings: UltramarathonSettings,
    changes: [Vec<PlannedChange>; 2],
    treated_sides: Vec<Side>,
}

impl StudySource for Runners {
    fn n_studies(&self) -> usize {
        self.treated_sides.len() * Session::BOTH.len()
    }

    fn study(&self, index: usize) -> Result<SimulatedStudy> {
        let (subject, session) = (index / 2, Session::BOTH[index % 2]);
        let visit = imaging::Visit {
            settings: &self.settings,
            participant: participant_id(subject),
            session,
        };
        let change = |side: Side| {
            let treatment = if side == self.treated_sides[subject] {
                Treatment::HyaluronicAcid
            } else {
                Treatment::Control
            };
            self.changes[treatment as usize][subject]
        };
        imaging::study(&visit, change)
    }
}
