//! The images of both knees of one visit and the truth behind them.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::json;

use super::anatomy::{BoneSize, CartilageTruth, FemoralCondyle, Tissue};
use super::design::PlannedChange;
use super::motion::in_ball;
use super::{KneeMotion, KnownMotion, Session, Side, UltramarathonSettings};
use crate::error::Result;
use crate::image::{Grid, Labels, Mask, ParameterMap, Volume};
use crate::random::StreamKey;
use crate::simulate::Preset;
use crate::simulate::geometry::{Matrix, Pose, centred_grid, product, rotation};
use crate::simulate::receiver::Receiver;
use crate::simulate::signal::exponential_decay;
use crate::simulate::study::{
    Content, SimulatedImage, SimulatedStudy, TruthRows, map_image, map_on,
};
use crate::unit::{Unit, radians_from_degrees};

const ECHO_TIMES_S: [f64; 6] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06];
const N_ECHOES: usize = ECHO_TIMES_S.len();
/// Signal of cartilage at echo time 0, and in the anatomical image.
const REFERENCE_SIGNAL: f64 = 1000.0;
const T2_AT_BONE_MS: f64 = 28.0;
const T2_RISE_MS: f64 = 20.0;
const LARGEST_THICKNESS_CHANGE_MM: f64 = 0.02;
const ANATOMICAL_SUBSAMPLES: [usize; 3] = [2, 2, 2];
/// Voxel axes of sagittal slices: to the front, up, along the bone's axis.
const SAGITTAL: Matrix = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];

/// Sizes of one preset.
struct Layout {
    anatomical: ([usize; 3], [f64; 3]),
    multi_echo: ([usize; 3], [f64; 3]),
    subsamples: [usize; 3],
    centre_mm: [f64; 3],
    radius_mm: [f64; 2],
    half_width_mm: f64,
    notch_half_width_mm: f64,
    pose_mm: f64,
    pose_degrees: f64,
    half_extent_mm: f64,
}

impl Layout {
    fn of(preset: Preset) -> Self {
        match preset {
            Preset::Small => Self {
                anatomical: ([74, 50, 26], [0.7, 0.7, 1.0]),
                multi_echo: ([70, 47, 9], [0.75, 0.75, 3.0]),
                subsamples: [3, 3, 6],
                centre_mm: [0.0, 0.0, -9.5],
                radius_mm: [18.0, 19.0],
                half_width_mm: 9.5,
                notch_half_width_mm: 0.0,
                pose_mm: 1.0,
                pose_degrees: 1.0,
                half_extent_mm: 30.0,
            },
            Preset::Abstract => Self {
                anatomical: ([198, 118, 108], [0.365, 0.456, 0.7]),
                multi_echo: ([152, 116, 27], [0.5, 0.5, 3.0]),
                subsamples: [2, 2, 6],
                centre_mm: [0.0, 0.0, -9.0],
                radius_mm: [20.0, 24.0],
                half_width_mm: 30.0,
                notch_half_width_mm: 8.0,
                pose_mm: 2.0,
                pose_degrees: 1.7,
                half_extent_mm: 48.0,
            },
        }
    }
}

/// One session of one participant.
pub(super) struct Visit<'a> {
    pub(super) settings: &'a UltramarathonSettings,
    pub(super) participant: String,
    pub(super) session: Session,
}

/// T2 = `at_bone_ms + rise_ms · depth`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct DepthProfile {
    at_bone_ms: f64,
    rise_ms: f64,
}

impl DepthProfile {
    fn t2_s(self, depth: f64) -> f64 {
        1e-3 * (self.at_bone_ms + self.rise_ms * depth)
    }

    /// The profile whose lower quartile and median over `after` differ from those of `self` over
    /// `before` by exactly the planned change.
    fn changed(
        self,
        planned: PlannedChange,
        before: &CartilageTruth,
        after: &CartilageTruth,
    ) -> Self {
        let ms = |depth: f64| 1e3 * self.t2_s(depth);
        let median = ms(before.depth_median) + planned.median_ms;
        let p25 = ms(before.depth_p25) + planned.p25_ms;
        let rise_ms = (median - p25) / (after.depth_median - after.depth_p25);
        Self { at_bone_ms: median - rise_ms * after.depth_median, rise_ms }
    }
}

/// One knee of one visit, placed in the scanner.
struct Knee {
    stem: String,
    side: Side,
    condyle: FemoralCondyle,
    profile: DepthProfile,
    pose: Pose,
    motion: Option<KnownMotion>,
    anatomical: Grid,
    multi_echo: Grid,
}

impl Knee {
    /// Position in knee coordinates of a scanner position of the anatomical image.
    fn place(&self, position_mm: [f64; 3]) -> [f64; 3] {
        let [x, y, z] = self.pose.undo(position_mm);
        [if self.side == Side::Right { x } else { -x }, y, z]
    }

    /// Position in knee coordinates of a scanner position of the multi-echo image.
    fn moved_place(&self, position_mm: [f64; 3]) -> [f64; 3] {
        match &self.motion {
            Some(motion) => self.place(motion.to_anatomy(position_mm)),
            None => self.place(position_mm),
        }
    }
}

/// Half the diagonal of a voxel, and a fifth more because the movement may stretch it.
fn voxel_reach_mm(grid: &Grid) -> f64 {
    let [x, y, z] = grid.affine().spacing_mm();
    1.2 * 0.5 * (x * x + y * y + z * z).sqrt()
}

/// All files of one visit.
pub(super) fn study(
    visit: &Visit<'_>,
    change: impl Fn(Side) -> PlannedChange,
) -> Result<SimulatedStudy> {
    let session_id = visit.session.id();
    let mut truth = TruthRows::new(&visit.participant, Some(session_id));
    let (mut images, mut motions) = (Vec::new(), Vec::new());
    for side in Side::BOTH {
        let knee = knee(visit, side, change(side))?;
        add_truth(&mut truth, &knee);
        for (parameter, snr) in [
            ("multi_echo_noise", visit.settings.multi_echo_snr),
            ("anatomical_noise", visit.settings.anatomical_snr),
        ] {
            let sigma = snr.map_or(0.0, |snr| REFERENCE_SIGNAL / snr);
            truth.add(&side.region(), parameter, Unit::Arbitrary.symbol(), &[("sigma", sigma)]);
        }
        images.extend(anatomical_images(visit, &knee)?);
        images.extend(multi_echo_images(visit, &knee)?);
        motions.extend(knee.motion.map(|motion| (side.region(), motion)));
    }
    Ok(SimulatedStudy {
        participant_id: visit.participant.clone(),
        session_id: Some(session_id.into()),
        images,
        truth: truth.rows,
        motions,
    })
}

/// The cartilage of one knee at one visit and its T2.
fn condyle(
    visit: &Visit<'_>,
    layout: &Layout,
    side: Side,
    planned: PlannedChange,
) -> (FemoralCondyle, DepthProfile) {
    let (seed, participant) = (visit.settings.seed, &visit.participant);
    let mut subject = StreamKey::new(seed, &format!("{participant}/subject")).stream(0, 0);
    let knee = StreamKey::new(seed, &format!("{participant}/{}", side.region()));
    let [smallest, largest] = layout.radius_mm;
    let size = BoneSize {
        radius_mm: smallest + (largest - smallest) * subject.uniform(),
        half_width_mm: layout.half_width_mm,
        notch_half_width_mm: layout.notch_half_width_mm,
    };
    let profile =
        DepthProfile { at_bone_ms: T2_AT_BONE_MS + subject.normal(), rise_ms: T2_RISE_MS };
    let before = FemoralCondyle::new(size, knee, 0.0);
    match visit.session {
        Session::Before => (before, profile),
        Session::After => {
            let drift = LARGEST_THICKNESS_CHANGE_MM * (2.0 * knee.stream(1, 0).uniform() - 1.0);
            let after = FemoralCondyle::new(size, knee, drift);
            let profile = profile.changed(planned, &before.truth(), &after.truth());
            (after, profile)
        }
    }
}

/// One knee and where it lies in the scanner at one visit.
fn knee(visit: &Visit<'_>, side: Side, planned: PlannedChange) -> Result<Knee> {
    let layout = Layout::of(visit.settings.preset);
    let (participant, session, region) = (&visit.participant, visit.session.id(), side.region());
    let key = StreamKey::new(visit.settings.seed, &format!("{participant}/{session}/{region}"));
    let mut stream = key.stream(0, 0);
    let mut turn = |degrees: f64| {
        let limit = radians_from_degrees(degrees);
        rotation([0, 1, 2].map(|_| limit * (2.0 * stream.uniform() - 1.0)))
    };
    let (pose, anatomical, multi_echo) = (turn(layout.pose_degrees), turn(1.0), turn(2.0));
    let offset = in_ball(&mut stream, 1.0);
    let centre = [0, 1, 2].map(|axis| layout.centre_mm[axis] + offset[axis]);
    let grid = |(shape, spacing), turned: &Matrix, centre| {
        centred_grid(shape, spacing, &product(turned, &SAGITTAL), centre)
    };
    let (condyle, profile) = condyle(visit, &layout, side, planned);
    Ok(Knee {
        stem: format!("{participant}/{session}/anat/{participant}_{session}_acq-{region}"),
        side,
        condyle,
        profile,
        pose: Pose { rotation: pose, translation_mm: in_ball(&mut stream, layout.pose_mm) },
        motion: (visit.settings.motion == KneeMotion::RigidAndElastic)
            .then(|| KnownMotion::new(key, layout.centre_mm, layout.half_extent_mm)),
        anatomical: grid(layout.anatomical, &anatomical, layout.centre_mm)?,
        multi_echo: grid(layout.multi_echo, &multi_echo, centre)?,
    })
}

fn add_truth(truth: &mut TruthRows, knee: &Knee) {
    let region = knee.side.region();
    let cartilage = knee.condyle.truth();
    let t2 = |depth: f64| knee.profile.t2_s(depth);
    truth.add(
        &region,
        "t2",
        Unit::Second.symbol(),
        &[
            ("median", t2(cartilage.depth_median)),
            ("p25", t2(cartilage.depth_p25)),
            ("mean", t2(cartilage.depth_mean)),
            ("at_bone", t2(0.0)),
            ("at_surface", t2(1.0)),
        ],
    );
    let [mean, sd, p25, median] = cartilage.thickness_mm;
    truth.add(
        &region,
        "thickness",
        Unit::Millimetre.symbol(),
        &[
            ("mean", mean),
            ("sd", sd),
            ("p25", p25),
            ("median", median),
            ("mean_over_bone", cartilage.thickness_over_bone_mm),
        ],
    );
    truth.add(&region, "interface_area", "mm^2", &[("total", cartilage.interface_area_mm2)]);
    truth.add(&region, "volume", "mm^3", &[("total", cartilage.volume_mm3)]);
}

/// Signal at echo time 0 and T2, s, of tissue with one T2; air has neither.
fn multi_echo_signal(tissue: Tissue, profile: DepthProfile) -> (f64, f64) {
    let (amplitude, t2_ms) = match tissue {
        Tissue::Air => (0.0, 1.0),
        Tissue::Muscle => (0.7, 35.0),
        Tissue::Meniscus => (0.5, 15.0),
        Tissue::Fluid => (1.1, 300.0),
        Tissue::Marrow => (0.9, 50.0),
        Tissue::Cartilage { depth } => (1.0, 1e3 * profile.t2_s(depth)),
    };
    (REFERENCE_SIGNAL * amplitude, 1e-3 * t2_ms)
}

fn label(tissue: Tissue) -> u32 {
    match tissue {
        Tissue::Cartilage { .. } => 1,
        Tissue::Marrow => 5,
        _ => 0,
    }
}

fn anatomical_signal(tissue: Tissue) -> f64 {
    REFERENCE_SIGNAL
        * match tissue {
            Tissue::Air => 0.0,
            Tissue::Muscle => 0.45,
            Tissue::Meniscus => 0.20,
            Tissue::Fluid => 1.6,
            Tissue::Marrow => 0.30,
            Tissue::Cartilage { .. } => 1.0,
        }
}

/// Scanner positions of evenly spaced points within `voxel`.
fn points_within(
    grid: &Grid,
    voxel: usize,
    [nx, ny, nz]: [usize; 3],
) -> impl Iterator<Item = [f64; 3]> {
    let corner = grid.voxel(voxel).map(|index| index as f64 - 0.5);
    let affine = *grid.affine();
    (0..nx * ny * nz).map(move |n| {
        let part = [(n % nx, nx), (n / nx % ny, ny), (n / (nx * ny), nz)];
        let place = part.map(|(index, count)| (index as f64 + 0.5) / count as f64);
        affine.to_scanner([0, 1, 2].map(|axis| corner[axis] + place[axis]))
    })
}

fn anatomical_images(visit: &Visit<'_>, knee: &Knee) -> Result<Vec<SimulatedImage>> {
    let grid = knee.anatomical;
    let n_points = ANATOMICAL_SUBSAMPLES.iter().product::<usize>() as f64;
    let reach_mm = voxel_reach_mm(&grid);
    let (signals, labels): (Vec<f64>, Vec<u32>) = (0..grid.n_voxels())
        .into_par_iter()
        .map(|voxel| {
            let centre = knee.place(grid.position_mm(voxel));
            if let Some(tissue) = knee.condyle.uniform_tissue(centre, reach_mm) {
                return (anatomical_signal(tissue), label(tissue));
            }
            let points = points_within(&grid, voxel, ANATOMICAL_SUBSAMPLES);
            let tissues = points.map(|point| knee.condyle.tissue(knee.place(point)));
            let sum: f64 = tissues.map(anatomical_signal).sum();
            (sum / n_points, label(knee.condyle.tissue(centre)))
        })
        .unzip();
    let stem = format!("{}dess_T2w", knee.stem);
    let snr = visit.settings.anatomical_snr;
    let receiver = Receiver::new(visit.settings.seed, &stem, REFERENCE_SIGNAL, snr);
    let series = receiver.receive(grid, signals)?;
    let names = BTreeMap::from([(1, "femoral cartilage".into()), (5, "femur".into())]);
    Ok(vec![
        SimulatedImage::new(
            stem,
            Content::Series { series, gradients: None },
            json!({
                "MagneticFieldStrength": 3.0,
                "PulseSequenceType": "Double Echo Steady State",
                "EchoTime": 0.005,
                "RepetitionTime": 0.016,
                "FlipAngle": 25.0,
                "BodyPart": "KNEE",
            }),
        ),
        SimulatedImage::new(
            format!("derivatives/manual/{}dess_dseg", knee.stem),
            Content::Labels(Labels::new(Volume::new(grid, labels)?, names)),
            json!({ "Manual": true, "Description": "tissue at the centre of every voxel" }),
        ),
    ])
}

/// One signal per echo of one tissue.
fn echoes(tissue: Tissue, profile: DepthProfile) -> [f64; N_ECHOES] {
    let (amplitude, t2_s) = multi_echo_signal(tissue, profile);
    ECHO_TIMES_S.map(|echo_time| exponential_decay(amplitude, 1.0 / t2_s, echo_time))
}

/// What a multi-echo voxel shows: one signal per echo, and the fraction that is cartilage.
fn multi_echo_voxel(knee: &Knee, voxel: usize, subsamples: [usize; 3]) -> ([f64; N_ECHOES], f64) {
    let grid = &knee.multi_echo;
    let centre = knee.moved_place(grid.position_mm(voxel));
    if let Some(tissue) = knee.condyle.uniform_tissue(centre, voxel_reach_mm(grid)) {
        return (echoes(tissue, knee.profile), 0.0);
    }
    let weight = 1.0 / subsamples.iter().product::<usize>() as f64;
    let (mut signals, mut cartilage) = ([0.0; N_ECHOES], 0.0);
    for point in points_within(grid, voxel, subsamples) {
        let tissue = knee.condyle.tissue(knee.moved_place(point));
        if matches!(tissue, Tissue::Cartilage { .. }) {
            cartilage += weight;
        }
        for (signal, echo) in signals.iter_mut().zip(echoes(tissue, knee.profile)) {
            *signal += weight * echo;
        }
    }
    (signals, cartilage)
}

fn multi_echo_images(visit: &Visit<'_>, knee: &Knee) -> Result<Vec<SimulatedImage>> {
    let grid = knee.multi_echo;
    let subsamples = Layout::of(visit.settings.preset).subsamples;
    let voxels: Vec<([f64; N_ECHOES], f64)> = (0..grid.n_voxels())
        .into_par_iter()
        .map(|voxel| multi_echo_voxel(knee, voxel, subsamples))
        .collect();
    let signals =
        (0..N_ECHOES).flat_map(|echo| voxels.iter().map(move |voxel| voxel.0[echo])).collect();
    let name = format!("{}_MESE", knee.stem);
    let snr = visit.settings.multi_echo_snr;
    let receiver = Receiver::new(visit.settings.seed, &name, REFERENCE_SIGNAL, snr);
    let series = receiver.receive(grid, signals)?;
    let mut images = Vec::with_capacity(N_ECHOES + 3);
    for (echo, echo_time) in ECHO_TIMES_S.into_iter().enumerate() {
        images.push(SimulatedImage::new(
            format!("{}_echo-{}_MESE", knee.stem, echo + 1),
            Content::Series { series: series.select(&[echo])?, gradients: None },
            json!({
                "MagneticFieldStrength": 3.0,
                "PulseSequenceType": "Multi Echo Spin Echo",
                "EchoTime": echo_time,
                "RepetitionTimeExcitation": 1.5,
                "BodyPart": "KNEE",
            }),
        ));
    }
    let fractions: Vec<f64> = voxels.iter().map(|voxel| voxel.1).collect();
    images.extend(multi_echo_truth(knee, &fractions)?);
    Ok(images)
}

/// True T2 at voxel centres, the cartilage fraction, and the movement where there is one.
fn multi_echo_truth(knee: &Knee, fractions: &[f64]) -> Result<Vec<SimulatedImage>> {
    let grid = knee.multi_echo;
    let tissue_at_centre =
        |voxel: usize| knee.condyle.tissue(knee.moved_place(grid.position_mm(voxel)));
    let at_centre: Vec<(usize, f64)> = (0..grid.n_voxels())
        .filter_map(|voxel| match tissue_at_centre(voxel) {
            Tissue::Cartilage { depth } => Some((voxel, knee.profile.t2_s(depth))),
            _ => None,
        })
        .collect();
    let indices: Vec<usize> = at_centre.iter().map(|&(voxel, _)| voxel).collect();
    let mask = Mask::from_indices(grid, &indices)?;
    let t2 =
        map_on(&mask, "transverse_relaxation_time", Unit::Second, |position| at_centre[position].1);
    let fraction = ParameterMap {
        name: "cartilage_fraction".into(),
        unit: Unit::One,
        volume: Volume::from_fn(grid, |voxel| fractions[voxel] as f32),
    };
    let stem = |suffix: &str| format!("derivatives/truth/{}_{suffix}", knee.stem);
    let mut images = vec![
        map_image(stem("desc-truth_T2map"), t2, "true T2 where the voxel's centre is cartilage"),
        map_image(
            stem("label-cartilage_probseg"),
            fraction,
            "fraction of the voxel that is femoral cartilage",
        ),
    ];
    if let Some(motion) = &knee.motion {
        let stem = stem("desc-motion_xfm");
        images.push(SimulatedImage::new(stem, Content::Record, motion.record()));
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_profile_moves_median_and_quartile_by_the_plan() {
        let size = BoneSize { radius_mm: 22.0, half_width_mm: 20.0, notch_half_width_mm: 0.0 };
        let truth =
            |drift: f64| FemoralCondyle::new(size, StreamKey::new(1, "knee"), drift).truth();
        let (before, after) = (truth(0.0), truth(0.02));
        let profile = DepthProfile { at_bone_ms: 28.0, rise_ms: 20.0 };
        let planned = PlannedChange { median_ms: 1.25, p25_ms: -1.5 };
        let changed = profile.changed(planned, &before, &after);
        let median = changed.t2_s(after.depth_median) - profile.t2_s(before.depth_median);
        let p25 = changed.t2_s(after.depth_p25) - profile.t2_s(before.depth_p25);
        assert!((median - 1.25e-3).abs() < 1e-15 && (p25 + 1.5e-3).abs() < 1e-15);
    }

    #[test]
    fn points_of_a_voxel_average_to_its_centre() {
        let grid = centred_grid([4, 4, 3], [0.5, 0.5, 3.0], &SAGITTAL, [1.0, 2.0, 3.0]).unwrap();
        let points: Vec<_> = points_within(&grid, 17, [3, 2, 6]).collect();
        let centre = grid.position_mm(17);
        for axis in 0..3 {
            let mean = points.iter().map(|p| p[axis]).sum::<f64>() / 36.0;
            assert!((mean - centre[axis]).abs() < 1e-12);
        }
    }
}
