//! The images of one tumour and the truth behind them.

use std::collections::BTreeMap;

use serde_json::json;

use super::NeuroblastomaSettings;
use super::anatomy::{Anatomy, Tissue};
use super::design::{Tumour, tissue_values};
use crate::error::Result;
use crate::image::{Grid, Labels, Mask, ParameterMap, Volume};
use crate::random::StreamKey;
use crate::simulate::Preset;
use crate::simulate::geometry::{centred_grid, rotation};
use crate::simulate::receiver::Receiver;
use crate::simulate::signal::{ConcentrationCurve, SpoiledGradientEcho, TUMOUR, exponential_decay};
use crate::simulate::study::{
    Content, GradientTable, SimulatedImage, SimulatedStudy, TruthRows, map_image, map_on,
};
use crate::simulate::targets::{mean, standard_deviation};
use crate::unit::{Unit, radians_from_degrees};

/// Signal of viable tumour at b = 0, and of tumour before contrast.
pub(super) const REFERENCE_SIGNAL: f64 = 1000.0;
const REPETITION_TIME_S: f64 = 0.004;
const FLIP_ANGLE_DEGREES: f64 = 15.0;
const RELAXIVITY_PER_S_MM: f64 = 4.5;
const ARRIVAL_S: f64 = 29.0;
const N_FRAMES: usize = 40;
const DIFFUSIVITY: Unit = Unit::SquareMillimetrePerSecond;

/// Diffusion and dynamic properties of tissue that is not tumour, relative to tumour.
struct Surroundings {
    diffusion_signal: f64,
    adc: f64,
    dynamic_signal: f64,
    t10_s: f64,
    iauc60: f64,
}

impl Surroundings {
    fn of(tissue: Tissue) -> Self {
        let [diffusion_signal, adc, dynamic_signal, t10_s, iauc60] = match tissue {
            Tissue::Air => [0.0; 5],
            Tissue::Muscle => [0.5, 1.5e-3, 0.8, 1.0, 9.0],
            Tissue::Aorta => [0.1, 2.0e-3, 0.5, 1.6, 0.0],
            Tissue::Tumour => [1.0, 0.0, 1.0, 1.2, 0.0],
        };
        Self { diffusion_signal, adc, dynamic_signal, t10_s, iauc60 }
    }
}

/// Frame times, s: every 3 s to 102 s, then every 5 s.
fn frame_times_s() -> Vec<f64> {
    let time = |frame: usize| 3.0 * frame.min(34) as f64 + 5.0 * frame.saturating_sub(34) as f64;
    (0..N_FRAMES).map(time).collect()
}

struct Grids {
    diffusion: Grid,
    dynamic: Grid,
    semi_axes_mm: [f64; 3],
}

fn grids(preset: Preset) -> Result<Grids> {
    let (diffusion, dynamic, semi_axes_mm) = match preset {
        Preset::Small => {
            (([40, 40, 10], [4.0, 4.0, 5.0]), ([32, 32, 8], [5.0, 5.0, 6.0]), [33.0, 28.0, 21.0])
        }
        Preset::Abstract => (
            ([64, 64, 20], [2.75, 2.75, 4.0]),
            ([56, 56, 16], [3.25, 3.25, 5.0]),
            [36.0, 31.0, 28.0],
        ),
    };
    let oblique = rotation([4.0, -3.0, 8.0].map(radians_from_degrees));
    Ok(Grids {
        diffusion: centred_grid(diffusion.0, diffusion.1, &rotation([0.0; 3]), [0.0; 3])?,
        dynamic: centred_grid(dynamic.0, dynamic.1, &oblique, [1.5, 2.0, -0.4])?,
        semi_axes_mm,
    })
}

/// One tumour's anatomy on one grid.
struct Section<'a> {
    participant: &'a str,
    seed: u64,
    anatomy: &'a Anatomy,
    tumour: &'a Tumour,
    grid: Grid,
    viable: Vec<usize>,
    contaminant: Vec<usize>,
}

impl Section<'_> {
    fn key(&self, what: &str) -> StreamKey {
        StreamKey::new(self.seed, &format!("{}/{what}", self.participant))
    }

    fn mask(&self) -> Result<Mask> {
        Mask::from_indices(self.grid, &[self.viable.as_slice(), &self.contaminant].concat())
    }

    fn habitats(&self) -> Labels {
        let mut volume = Volume::from_fn(self.grid, |_| 0_u32);
        for (label, voxels) in [(1, &self.viable), (2, &self.contaminant)] {
            for &voxel in voxels {
                volume.voxels_mut()[voxel] = label;
            }
        }
        Labels::new(volume, BTreeMap::from([(1, "viable".into()), (2, "contaminant".into())]))
    }

    fn tissue(&self, voxel: usize) -> Tissue {
        self.anatomy.tissue(self.grid.position_mm(voxel))
    }
}

/// All files of one participant.
pub(super) fn study(
    settings: &NeuroblastomaSettings,
    participant: &str,
    tumour: &Tumour,
) -> Result<SimulatedStudy> {
    let grids = grids(settings.preset)?;
    let key = StreamKey::new(settings.seed, &format!("{participant}/anatomy"));
    let anatomy = Anatomy::new(key, grids.semi_axes_mm);
    let section = |grid: Grid| {
        let (viable, contaminant) = anatomy.split_tumour(&grid, tumour.contaminant_fraction);
        let seed = settings.seed;
        Section { participant, seed, anatomy: &anatomy, tumour, grid, viable, contaminant }
    };
    let mut truth = TruthRows::new(participant, None);
    let mut images = diffusion_images(&section(grids.diffusion), settings, &mut truth)?;
    images.extend(dynamic_images(&section(grids.dynamic), settings, &mut truth)?);
    Ok(SimulatedStudy {
        participant_id: participant.into(),
        session_id: None,
        images,
        truth: truth.rows,
        motions: Vec::new(),
    })
}

/// Amplitude at b = 0 and diffusivity, mm²/s, of every voxel.
fn diffusion_properties(section: &Section<'_>, junk_fraction: f64) -> Vec<[f64; 2]> {
    let surroundings = |voxel: usize| {
        let tissue = Surroundings::of(section.tissue(voxel));
        [REFERENCE_SIGNAL * tissue.diffusion_signal, tissue.adc]
    };
    let mut properties: Vec<[f64; 2]> = (0..section.grid.n_voxels()).map(surroundings).collect();
    let tumour = section.tumour;
    for (voxels, signal, adc) in [
        (&section.viable, 1.0, tumour.viable_adc),
        (&section.contaminant, 1.2, tumour.contaminant_adc),
    ] {
        let diffusivities = tissue_values(adc, section.key("adc"), voxels);
        for (&voxel, diffusivity) in voxels.iter().zip(diffusivities) {
            let mut stream = section.key("s0").stream(voxel, 0);
            let mut amplitude = REFERENCE_SIGNAL * signal * (1.0 + 0.1 * stream.normal()).max(0.1);
            if stream.uniform() < junk_fraction {
                amplitude = REFERENCE_SIGNAL * (0.05 + 0.20 * stream.uniform());
            }
            properties[voxel] = [amplitude, 1e-3 * diffusivity];
        }
    }
    properties
}

fn diffusion_images(
    section: &Section<'_>,
    settings: &NeuroblastomaSettings,
    truth: &mut TruthRows,
) -> Result<Vec<SimulatedImage>> {
    let properties = diffusion_properties(section, settings.junk_fraction);
    let b_values = &settings.b_values_s_per_mm2;
    let signals = b_values
        .iter()
        .flat_map(|b| properties.iter().map(move |[s0, adc]| exponential_decay(*s0, *adc, *b)))
        .collect();
    let stem = format!("{0}/dwi/{0}_dwi", section.participant);
    let receiver = Receiver::new(section.seed, &stem, REFERENCE_SIGNAL, settings.diffusion_snr);
    let series = receiver.receive(section.grid, signals)?;
    let gradients = GradientTable {
        b_values_s_per_mm2: b_values.clone(),
        directions: vec![[0.0; 3]; b_values.len()],
    };
    let adc = |voxel: usize| properties[voxel][1];
    add_statistics(truth, section, ("adc", DIFFUSIVITY), adc);
    truth.add(
        "tumour",
        "diffusion_noise",
        "arbitrary",
        &[("sigma", receiver.sigma.unwrap_or(0.0))],
    );
    let mut images = vec![SimulatedImage::new(
        stem,
        Content::Series { series, gradients: Some(gradients) },
        json!({ "MagneticFieldStrength": 1.5, "EchoTime": 0.065, "RepetitionTime": 4.0 }),
    )];
    let mask = section.mask()?;
    let map = map_on(&mask, "apparent_diffusion_coefficient", DIFFUSIVITY, |position| {
        adc(mask.indices()[position])
    });
    images.extend(region_images(section, "dwi", "manual", mask));
    let stem = format!("derivatives/truth/{0}/dwi/{0}_desc-truth_ADC", section.participant);
    images.push(map_image(stem, map, "true apparent diffusion coefficient in the tumour"));
    Ok(images)
}

/// IAUC60, mM·s, of every voxel; blood is apart.
fn true_iauc60(section: &Section<'_>) -> Vec<f64> {
    let surroundings = |voxel: usize| Surroundings::of(section.tissue(voxel)).iauc60;
    let mut iauc60: Vec<f64> = (0..section.grid.n_voxels()).map(surroundings).collect();
    let values =
        tissue_values(section.tumour.viable_iauc60, section.key("iauc60"), &section.viable);
    for (&voxel, value) in section.viable.iter().zip(values) {
        iauc60[voxel] = value;
    }
    iauc60
}

/// Signals of every frame, frame after frame.
fn dynamic_signals(section: &Section<'_>, iauc60: &[f64]) -> Result<Vec<f64>> {
    let sequence = SpoiledGradientEcho {
        repetition_time_s: REPETITION_TIME_S,
        flip_angle_rad: radians_from_degrees(FLIP_ANGLE_DEGREES),
    };
    let shape = ConcentrationCurve::tissue(&TUMOUR)?;
    let area = shape.area_mm_s(60.0);
    let blood = ConcentrationCurve::blood();
    let voxels: Vec<(f64, f64, Tissue)> = (0..section.grid.n_voxels())
        .map(|voxel| {
            let tissue = section.tissue(voxel);
            let around = Surroundings::of(tissue);
            let variation = section.key("baseline").stream(voxel, 0).normal();
            let variation = (1.0 + 0.1 * variation).max(0.1);
            let baseline = REFERENCE_SIGNAL * around.dynamic_signal * variation;
            let relaxation = if around.t10_s > 0.0 { 1.0 / around.t10_s } else { 1.0 };
            (sequence.equilibrium(baseline, relaxation), relaxation, tissue)
        })
        .collect();
    let mut signals = Vec::with_capacity(N_FRAMES * voxels.len());
    for time in frame_times_s() {
        let since_arrival = time - ARRIVAL_S;
        let (unit, blood_mm) = (shape.at(since_arrival) / area, blood.at(since_arrival));
        signals.extend(voxels.iter().zip(iauc60).map(|(&(equilibrium, r10, tissue), iauc60)| {
            let concentration = if tissue == Tissue::Aorta { blood_mm } else { iauc60 * unit };
            sequence.signal(equilibrium, r10 + RELAXIVITY_PER_S_MM * concentration)
        }));
    }
    Ok(signals)
}

fn dynamic_images(
    section: &Section<'_>,
    settings: &NeuroblastomaSettings,
    truth: &mut TruthRows,
) -> Result<Vec<SimulatedImage>> {
    let iauc60 = true_iauc60(section);
    let participant = section.participant;
    let stem = format!("{participant}/perf/{participant}_dce");
    let receiver = Receiver::new(section.seed, &stem, REFERENCE_SIGNAL, settings.dynamic_snr);
    let series = receiver.receive(section.grid, dynamic_signals(section, &iauc60)?)?;
    add_statistics(truth, section, ("iauc60", Unit::MillimolarSecond), |voxel| iauc60[voxel]);
    let arrival = ("bolus_arrival", ARRIVAL_S);
    truth.add("tumour", "dynamic_timing", Unit::Second.symbol(), &[arrival]);
    let sigma = ("sigma", receiver.sigma.unwrap_or(0.0));
    truth.add("tumour", "dynamic_noise", Unit::Arbitrary.symbol(), &[sigma]);
    let mut images = vec![
        SimulatedImage::new(
            stem,
            Content::Series { series, gradients: None },
            json!({
                "MagneticFieldStrength": 1.5,
                "FlipAngle": FLIP_ANGLE_DEGREES,
                "RepetitionTimeExcitation": REPETITION_TIME_S,
                "VolumeTiming": frame_times_s(),
                "EchoTime": 0.0015,
                "ContrastBolusIngredient": "GADOLINIUM",
            }),
        ),
        t1_map(section),
    ];
    let mask = section.mask()?;
    let map = map_on(&mask, "initial_area_under_curve", Unit::MillimolarSecond, |position| {
        iauc60[mask.indices()[position]]
    });
    images.extend(region_images(section, "perf", "truth", mask));
    let stem = format!("derivatives/truth/{participant}/perf/{participant}_desc-iauc60_mimap");
    images.push(map_image(stem, map, "true initial area under the concentration curve, 60 s"));
    images.push(aorta_mask(section)?);
    Ok(images)
}

fn aorta_mask(section: &Section<'_>) -> Result<SimulatedImage> {
    let participant = section.participant;
    let aorta: Vec<usize> = (0..section.grid.n_voxels())
        .filter(|&voxel| section.tissue(voxel) == Tissue::Aorta)
        .collect();
    Ok(SimulatedImage::new(
        format!("derivatives/manual/{participant}/perf/{participant}_label-aorta_mask"),
        Content::Mask(Mask::from_indices(section.grid, &aorta)?),
        json!({ "Type": "ROI", "Description": "aorta on the grid of the dynamic series" }),
    ))
}

fn t1_map(section: &Section<'_>) -> SimulatedImage {
    let volume =
        Volume::from_fn(section.grid, |voxel| Surroundings::of(section.tissue(voxel)).t10_s as f32);
    let map =
        ParameterMap { name: "longitudinal_relaxation_time".into(), unit: Unit::Second, volume };
    let stem = format!("{0}/anat/{0}_T1map", section.participant);
    map_image(stem, map, "longitudinal relaxation time before contrast; 0 in air")
}

/// The tumour's mask in `derivatives/<folder>` and its true habitats.
fn region_images(
    section: &Section<'_>,
    datatype: &str,
    folder: &str,
    mask: Mask,
) -> Vec<SimulatedImage> {
    let file = |folder: &str, suffix: &str| {
        format!("derivatives/{folder}/{0}/{datatype}/{0}_{suffix}", section.participant)
    };
    vec![
        SimulatedImage::new(
            file(folder, "label-tumour_mask"),
            Content::Mask(mask),
            json!({ "Type": "Lesion", "Description": "tumour on the grid of its series" }),
        ),
        SimulatedImage::new(
            file("truth", "desc-habitat_dseg"),
            Content::Labels(section.habitats()),
            json!({ "Description": "true tissue of every tumour voxel" }),
        ),
    ]
}

fn add_statistics(
    truth: &mut TruthRows,
    section: &Section<'_>,
    (parameter, unit): (&'static str, Unit),
    value: impl Fn(usize) -> f64,
) {
    let tumour = [section.viable.as_slice(), &section.contaminant].concat();
    let n_tumour = tumour.len() as f64;
    for (region, voxels) in [
        ("viable", section.viable.as_slice()),
        ("contaminant", &section.contaminant),
        ("tumour", &tumour),
    ] {
        let values: Vec<f64> = voxels.iter().map(|&voxel| value(voxel)).collect();
        let fraction = voxels.len() as f64 / n_tumour;
        truth.add(
            region,
            parameter,
            Unit::One.symbol(),
            &[("n_voxels", voxels.len() as f64), ("fraction", fraction)],
        );
        if values.len() > 1 {
            let (mean, sd) = (mean(&values), standard_deviation(&values));
            truth.add(region, parameter, unit.symbol(), &[("mean", mean), ("sd", sd)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_frames_come_before_the_bolus_and_the_window_is_covered() {
        let times = frame_times_s();
        assert_eq!(times.iter().filter(|&&time| time < ARRIVAL_S).count(), 10);
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(times.last().is_some_and(|&last| last > ARRIVAL_S + 60.0));
    }

    #[test]
    fn every_grid_covers_the_whole_tumour() {
        for (preset, least) in [(Preset::Small, 800), (Preset::Abstract, 3000)] {
            let grids = grids(preset).unwrap();
            for participant in 1..=6 {
                let key = StreamKey::new(4, &format!("sub-{participant:02}/anatomy"));
                let anatomy = Anatomy::new(key, grids.semi_axes_mm);
                let size = |grid: &Grid| {
                    let (viable, contaminant) = anatomy.split_tumour(grid, 0.3);
                    let n = viable.len() + contaminant.len();
                    (n, n as f64 * grid.affine().voxel_volume_mm3())
                };
                let (n, volume) = size(&grids.diffusion);
                let (_, dynamic_volume) = size(&grids.dynamic);
                assert!(n >= least, "{n}");
                assert!((dynamic_volume / volume - 1.0).abs() < 0.05, "{dynamic_volume} {volume}");
            }
        }
    }

    #[test]
    fn the_dynamic_grid_is_oblique_to_the_diffusion_grid() {
        let grids = grids(Preset::Small).unwrap();
        let matrix = grids.dynamic.affine().matrix();
        assert!(matrix[0][1].abs() > 0.1 && grids.dynamic.affine().shear() < 1e-12);
    }
}
