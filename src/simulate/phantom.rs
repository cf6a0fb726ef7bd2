//! A small block in which every voxel has known parameters of one model.
//!
//! The headline parameter rises along the first axis, the amplitude (or T10) along the second; the
//! third axis repeats both, so noise can be judged from repeats.

use serde_json::{Value, json};

use super::geometry::{centred_grid, rotation};
use super::receiver::Receiver;
use super::signal::{ConcentrationCurve, SpoiledGradientEcho, TUMOUR, exponential_decay};
use super::study::{
    Content, GradientTable, SimulatedCohort, SimulatedImage, SimulatedStudy, StudySource,
    TabularFile, TruthRows, descriptions, map_image, require_snr,
};
use crate::error::{Error, Result};
use crate::image::{Grid, Mask, ParameterMap, Volume};
use crate::unit::{Unit, radians_from_degrees};

/// The model that a phantom is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhantomModel {
    /// Diffusivity 0.2–3.0·10⁻³ mm²/s; b = 0, 50, 100, 200, 400, 600, 800 s/mm².
    Adc,
    /// T2 10–100 ms; echo times 10, 20, … 60 ms.
    T2,
    /// T1 0.2–3.0 s; flip angles 2, 5, 10, 15, 20°, repetition time 5 ms.
    VariableFlipAngleT1,
    /// IAUC60 0–60 mM·s, T10 0.6–2.4 s; 40 frames, arrival at 29 s.
    Iauc60,
}

impl PhantomModel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Adc, Self::T2, Self::VariableFlipAngleT1, Self::Iauc60];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adc => "adc",
            Self::T2 => "t2",
            Self::VariableFlipAngleT1 => "t1_vfa",
            Self::Iauc60 => "iauc60",
        }
    }

    /// The phantom with this name.
    ///
    /// # Errors
    ///
    /// `Usage` listing the names there are.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::new(crate::error::ErrorKind::Usage, format!("no phantom is called `{name}`"))
                .hint(format!("phantoms: {names}"))
        })
    }
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomSettings {
    /// The model it is made for.
    pub model: PhantomModel,
    /// Names all random numbers.
    pub seed: u64,
    /// Largest amplitude (baseline for IAUC60) over σ; `None` for images without noise.
    pub snr: Option<f64>,
}

/// A dataset of one participant with one series of the model.
///
/// # Errors
///
/// `Value` naming the setting that is out of range.
pub fn phantom(settings: PhantomSettings) -> Result<SimulatedCohort> {
    require_snr("snr", settings.snr)?;
    let name = settings.model.name();
    Ok(SimulatedCohort {
        name: name.into(),
        readme: format!(
            "Simulated phantom for the model {name}. The headline parameter rises along the first \
             axis, the second quantity along the second; the third axis repeats both.\n"
        ),
        descriptions: descriptions(&format!("Simulated phantom, {name}")),
        bids_ignore: vec!["sub-*/perf/*_dce.*"],
        tables: vec![TabularFile {
            stem: "participants".into(),
            columns: vec![("participant_id", "participant")],
            rows: vec![vec![PARTICIPANT.into()]],
        }],
        group_truth: Vec::new(),
        source: Box::new(Phantom { settings }),
    })
}

const PARTICIPANT: &str = "sub-01";
const SHAPE: [usize; 3] = [16, 8, 4];
const LARGEST_AMPLITUDE: f64 = 1000.0;
const B_VALUES_S_PER_MM2: [f64; 7] = [0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0];
const ECHO_TIMES_S: [f64; 6] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06];
const FLIP_ANGLES_DEGREES: [f64; 5] = [2.0, 5.0, 10.0, 15.0, 20.0];
const VARIABLE_FLIP_ANGLE_REPETITION_S: f64 = 0.005;
const DYNAMIC_REPETITION_S: f64 = 0.004;
const DYNAMIC_FLIP_ANGLE_DEGREES: f64 = 15.0;
const FRAME_INTERVAL_S: f64 = 3.0;
const N_FRAMES: usize = 40;
const ARRIVAL_S: f64 = 29.0;
const RELAXIVITY_PER_S_MM: f64 = 4.5;

#[derive(Debug)]
struct Phantom {
    settings: PhantomSettings,
}

/// Headline parameter and second quantity of every voxel.
struct Parameters {
    headline: Vec<f64>,
    second: Vec<f64>,
}

impl Parameters {
    /// Even steps over both ranges.
    fn over(grid: &Grid, headline: [f64; 2], second: [f64; 2]) -> Self {
        let along = |axis: usize, [low, high]: [f64; 2]| {
            let steps = grid.shape()[axis] as f64 - 1.0;
            (0..grid.n_voxels())
                .map(|voxel| low + (high - low) * grid.voxel(voxel)[axis] as f64 / steps)
                .collect()
        };
        Self { headline: along(0, headline), second: along(1, second) }
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.headline.iter().copied().zip(self.second.iter().copied())
    }
}

/// Stem below `sub-01/`, the volumes in it, and its sidecar.
type File = (String, Vec<usize>, Value);

/// Everything that differs between the phantoms.
struct Recipe {
    parameters: Parameters,
    signals: Vec<f64>,
    files: Vec<File>,
    gradients: Option<GradientTable>,
    /// The headline's map, and the second quantity's.
    maps: [MapName; 2],
}

impl StudySource for Phantom {
    fn n_studies(&self) -> usize {
        1
    }

    fn study(&self, _index: usize) -> Result<SimulatedStudy> {
        let grid = centred_grid(SHAPE, [2.0, 2.0, 4.0], &rotation([0.0; 3]), [0.0; 3])?;
        let model = self.settings.model;
        let recipe = match model {
            PhantomModel::Adc => diffusion(&grid),
            PhantomModel::T2 => multi_echo(&grid),
            PhantomModel::VariableFlipAngleT1 => variable_flip_angle(&grid),
            PhantomModel::Iauc60 => dynamic(&grid)?,
        };
        let key = format!("phantom/{}", model.name());
        let receiver =
            Receiver::new(self.settings.seed, &key, LARGEST_AMPLITUDE, self.settings.snr);
        let series = receiver.receive(grid, recipe.signals)?;
        let mut truth = TruthRows::new(PARTICIPANT, None);
        let mut images = Vec::new();
        for (stem, volumes, sidecar) in recipe.files {
            let gradients = recipe.gradients.clone();
            let content = Content::Series { series: series.select(&volumes)?, gradients };
            images.push(SimulatedImage::new(format!("{PARTICIPANT}/{stem}"), content, sidecar));
        }
        images.extend(true_maps(grid, recipe.parameters, recipe.maps, &mut truth));
        images.push(SimulatedImage::new(
            format!("derivatives/manual/{PARTICIPANT}/anat/{PARTICIPANT}_label-phantom_mask"),
            Content::Mask(Mask::full(grid)),
            json!({ "Type": "ROI", "Description": "every voxel" }),
        ));
        Ok(SimulatedStudy {
            participant_id: PARTICIPANT.into(),
            session_id: None,
            images,
            truth: truth.rows,
            motions: Vec::new(),
        })
    }
}

/// Name, unit and file of a map.
type MapName = (&'static str, Unit, String);

fn true_maps(
    grid: Grid,
    parameters: Parameters,
    maps: [MapName; 2],
    truth: &mut TruthRows,
) -> Vec<SimulatedImage> {
    let quantities = [parameters.headline, parameters.second];
    maps.into_iter()
        .zip(quantities)
        .map(|((name, unit, stem), values)| {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            truth.add("phantom", name, unit.symbol(), &[("min", low), ("max", high)]);
            let volume = Volume::from_fn(grid, |voxel| values[voxel] as f32);
            let map = ParameterMap { name: name.into(), unit, volume };
            map_image(stem, map, "true value of every voxel")
        })
        .collect()
}

fn truth_stem(datatype: &str, suffix: &str) -> String {
    format!("derivatives/truth/{PARTICIPANT}/{datatype}/{PARTICIPANT}_{suffix}")
}

/// Signals of every weighting, volume after volume.
fn signals_of<W: Copy>(
    parameters: &Parameters,
    weightings: &[W],
    signal: impl Fn(f64, f64, W) -> f64,
) -> Vec<f64> {
    let volume = |&weighting: &W| {
        parameters.pairs().map(|(p, a)| signal(p, a, weighting)).collect::<Vec<f64>>()
    };
    weightings.iter().flat_map(volume).collect()
}

fn diffusion(grid: &Grid) -> Recipe {
    let parameters = Parameters::over(grid, [0.2e-3, 3.0e-3], [200.0, LARGEST_AMPLITUDE]);
    Recipe {
        signals: signals_of(&parameters, &B_VALUES_S_PER_MM2, |adc, s0, b| {
            exponential_decay(s0, adc, b)
        }),
        files: vec![(
            format!("dwi/{PARTICIPANT}_dwi"),
            (0..B_VALUES_S_PER_MM2.len()).collect(),
            json!({ "EchoTime": 0.065, "RepetitionTime": 4.0 }),
        )],
        gradients: Some(GradientTable {
            b_values_s_per_mm2: B_VALUES_S_PER_MM2.to_vec(),
            directions: vec![[0.0; 3]; B_VALUES_S_PER_MM2.len()],
        }),
        maps: [
            (
                "apparent_diffusion_coefficient",
                Unit::SquareMillimetrePerSecond,
                truth_stem("dwi", "desc-truth_ADC"),
            ),
            ("signal_without_weighting", Unit::Arbitrary, truth_stem("dwi", "desc-truth_S0map")),
        ],
        parameters,
    }
}

fn multi_echo(grid: &Grid) -> Recipe {
    let parameters = Parameters::over(grid, [0.010, 0.100], [200.0, LARGEST_AMPLITUDE]);
    let file = |(echo, echo_time): (usize, &f64)| -> File {
        let stem = format!("anat/{PARTICIPANT}_echo-{}_MESE", echo + 1);
        (stem, vec![echo], json!({ "EchoTime": echo_time, "RepetitionTimeExcitation": 1.5 }))
    };
    Recipe {
        signals: signals_of(&parameters, &ECHO_TIMES_S, |t2, s0, echo_time| {
            exponential_decay(s0, 1.0 / t2, echo_time)
        }),
        files: ECHO_TIMES_S.iter().enumerate().map(file).collect(),
        gradients: None,
        maps: [
            ("transverse_relaxation_time", Unit::Second, truth_stem("anat", "desc-truth_T2map")),
            ("signal_without_weighting", Unit::Arbitrary, truth_stem("anat", "desc-truth_S0map")),
        ],
        parameters,
    }
}

fn variable_flip_angle(grid: &Grid) -> Recipe {
    let parameters = Parameters::over(grid, [0.2, 3.0], [2000.0, 10.0 * LARGEST_AMPLITUDE]);
    let file = |(volume, degrees): (usize, &f64)| -> File {
        let sidecar = json!({
            "FlipAngle": degrees,
            "RepetitionTimeExcitation": VARIABLE_FLIP_ANGLE_REPETITION_S,
            "EchoTime": 0.0015,
        });
        (format!("anat/{PARTICIPANT}_flip-{}_VFA", volume + 1), vec![volume], sidecar)
    };
    Recipe {
        signals: signals_of(&parameters, &FLIP_ANGLES_DEGREES, |t1, equilibrium, degrees| {
            SpoiledGradientEcho {
                repetition_time_s: VARIABLE_FLIP_ANGLE_REPETITION_S,
                flip_angle_rad: radians_from_degrees(degrees),
            }
            .signal(equilibrium, 1.0 / t1)
        }),
        files: FLIP_ANGLES_DEGREES.iter().enumerate().map(file).collect(),
        gradients: None,
        maps: [
            ("longitudinal_relaxation_time", Unit::Second, truth_stem("anat", "desc-truth_T1map")),
            ("equilibrium_signal", Unit::Arbitrary, truth_stem("anat", "desc-truth_M0map")),
        ],
        parameters,
    }
}

fn dynamic(grid: &Grid) -> Result<Recipe> {
    let parameters = Parameters::over(grid, [0.0, 60.0], [0.6, 2.4]);
    let shape = ConcentrationCurve::tissue(&TUMOUR)?;
    let area = shape.area_mm_s(60.0);
    let sequence = SpoiledGradientEcho {
        repetition_time_s: DYNAMIC_REPETITION_S,
        flip_angle_rad: radians_from_degrees(DYNAMIC_FLIP_ANGLE_DEGREES),
    };
    let times: Vec<f64> = (0..N_FRAMES).map(|frame| FRAME_INTERVAL_S * frame as f64).collect();
    let signal = |iauc60: f64, t10: f64, time: f64| {
        let equilibrium = sequence.equilibrium(LARGEST_AMPLITUDE, 1.0 / t10);
        let concentration = iauc60 / area * shape.at(time - ARRIVAL_S);
        sequence.signal(equilibrium, 1.0 / t10 + RELAXIVITY_PER_S_MM * concentration)
    };
    Ok(Recipe {
        signals: signals_of(&parameters, &times, signal),
        files: vec![(
            format!("perf/{PARTICIPANT}_dce"),
            (0..N_FRAMES).collect(),
            json!({
                "FlipAngle": DYNAMIC_FLIP_ANGLE_DEGREES,
                "RepetitionTimeExcitation": DYNAMIC_REPETITION_S,
                "VolumeTiming": times,
                "EchoTime": 0.0015,
                "ContrastBolusIngredient": "GADOLINIUM",
            }),
        )],
        gradients: None,
        maps: [
            (
                "initial_area_under_curve",
                Unit::MillimolarSecond,
                truth_stem("perf", "desc-iauc60_mimap"),
            ),
            (
                "longitudinal_relaxation_time",
                Unit::Second,
                format!("{PARTICIPANT}/anat/{PARTICIPANT}_T1map"),
            ),
        ],
        parameters,
    })
}
