//! The initial area under the curve of one voxel, with its analytic variance.
//!
//! The contrast of a frame (concentration, or relative enhancement) depends on its own signal and on
//! the baseline signal, the mean of n frames, through their ratio alone. For independent noise σ
//!
//! ```text
//! area = Σ_k h_k·c_k,   c_k = f(S_k/S_bl)
//! ∂area/∂S_bl = −Σ_k h_k·(S_k/S_bl)·∂c_k/∂S_k
//! Var = σ²·Σ_k g_k²,   g_k = h_k·∂c_k/∂S_k + [k in baseline]·(∂area/∂S_bl)/n
//! ```
//!
//! which is Σ(h σ/(r₁ ∂S/∂R1))² plus the baseline term, and their covariance where a baseline
//! frame is also the left end of the window. Errors of T10, flip angle and arrival are systematic
//! and no part of it: see [`systematic_shifts`](super::systematic_shifts).
//!
//! # Reference
//!
//! Evelhoch, J Magn Reson Imaging 1999,
//! `doi:10.1002/(SICI)1522-2586(199909)10:3<254::AID-JMRI5>3.0.CO;2-9`
//! (the area); Schabel and Parker, Phys Med Biol 2008, doi:10.1088/0031-9155/53/9/010 (variance of
//! a concentration).

use super::arrival::Arrival;
use super::arterial_input::{Compartment, Hematocrit, MeasuredCurve};
use super::concentration::{
    BaselineSignal, SpoiledGradientEcho, T10_RANGE_S, relative_enhancement, t10_is_valid,
};
use super::concentration_lanes::Echo;
use super::iauc::{IntegrationWindow, area_under_curve, weights_into};
use super::iauc_lanes::AreaKernel;
use super::lanes::LANES;
use crate::acquisition::Dynamic;
use crate::error::{Error, Result};
use crate::model::{Estimator, Fit, FitBlock, FitStatus, LaneData, Parameter, VoxelData};
use crate::unit::Unit;

/// Where the native relaxation time comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum T10Source {
    /// One value for all voxels, s.
    Uniform(f64),
    /// A map: each voxel brings its T10, s, as its one fixed parameter.
    PerVoxel,
    /// Not known: only the relative enhancement can be measured.
    Unknown,
}

/// A measured arterial curve that areas are divided by.
#[derive(Debug, Clone, PartialEq)]
pub struct BloodReference {
    /// Concentration in the artery.
    pub curve: MeasuredCurve,
    /// When the bolus arrives in it, on the axis of its own times, s.
    pub arrival_s: f64,
    /// Turns plasma into whole blood where the curve speaks of plasma.
    pub hematocrit: Hematocrit,
}

/// What is integrated, and in which unit.
#[derive(Debug, Clone, PartialEq)]
pub enum IaucVariant {
    /// ∫ C dt, mM·s.
    Concentration,
    /// Integral of the signal over the baseline signal, minus 1; in s. Needs no T10.
    RelativeEnhancement,
    /// ∫ C dt of the tissue over that of whole blood in the same window; a pure number.
    BloodNormalised(BloodReference),
}

/// Everything an [`IaucEstimator`] is built from.
#[derive(Debug, Clone, PartialEq)]
pub struct IaucSettings {
    /// Frame times, repetition time and flip angle.
    pub protocol: Dynamic,
    /// r₁, s⁻¹ mM⁻¹; see [`DEFAULT_RELAXIVITY_PER_S_PER_MM`](super::DEFAULT_RELAXIVITY_PER_S_PER_MM).
    pub relaxivity_per_s_per_mm: f64,
    /// Native relaxation time.
    pub t10: T10Source,
    /// Arrival of the bolus on the axis of the frame times, s.
    pub arrival_s: f64,
    /// How long to integrate.
    pub window: IntegrationWindow,
    /// What to integrate.
    pub variant: IaucVariant,
}

/// Initial area under the curve, one number per voxel. `samples` are the signals of all frames.
///
/// Only frames of the baseline and of the window are looked at; a NaN elsewhere does no harm. One
/// saturated frame in the window is bridged by its neighbours, two give
/// [`FitStatus::Saturated`]. Negative concentrations are kept. There is no model: `expected` is the
/// observed signal, and the residual sum of squares is that of the baseline frames around their
/// mean, with n − 1 degrees of freedom.
#[derive(Debug, Clone, PartialEq)]
pub struct IaucEstimator {
    parameters: [Parameter; 1],
    equation: Option<SpoiledGradientEcho>,
    times_s: Vec<f64>,
    t10: T10Source,
    arrival: Arrival,
    interval_s: [f64; 2],
    /// Weights of all frames; `None` where the series ends before the window does.
    weights: Option<Vec<f64>>,
    /// Eight voxels at once, where the window is complete.
    kernel: Option<AreaKernel>,
    /// The result is divided by it.
    divisor: f64,
}

impl IaucEstimator {
    /// Checks `settings`. A series that ends before the window does is no error: every voxel then
    /// has [`FitStatus::WindowIncomplete`]; ask [`IaucEstimator::window_is_complete`].
    ///
    /// # Errors
    ///
    /// `Value` at `arrival_s` (as [`Arrival::given`]), `relaxivity_per_s_per_mm`, `t10_s` (uniform
    /// value out of range, or unknown where concentrations are wanted) or `blood` (no positive area
    /// of the arterial curve in the window).
    pub fn new(settings: &IaucSettings) -> Result<Self> {
        let times_s = settings.protocol.frame_times_s().to_vec();
        let arrival = Arrival::given(&times_s, settings.arrival_s)?;
        let interval_s = [settings.arrival_s, settings.arrival_s + settings.window.duration_s()];
        let mut weights = vec![0.0; times_s.len()];
        let complete = weights_into(&times_s, interval_s, |_| true, &mut weights);
        let equation = match settings.variant {
            IaucVariant::RelativeEnhancement => None,
            _ => Some(signal_equation(settings)?),
        };
        let divisor = match &settings.variant {
            IaucVariant::BloodNormalised(blood) => blood_area(blood, settings.window)?,
            _ => 1.0,
        };
        let echo = equation.map(|equation| Echo::new(equation, settings.t10));
        let n_baseline = arrival.n_baseline_frames();
        let kernel = complete.then(|| AreaKernel::new(&weights, n_baseline, echo, divisor));
        Ok(Self {
            parameters: [parameter(settings.window, &settings.variant)],
            equation,
            times_s,
            t10: settings.t10,
            arrival,
            interval_s,
            weights: complete.then_some(weights),
            kernel,
            divisor,
        })
    }

    /// Arrival and baseline frames in use.
    pub fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// Whether the frames cover the whole window.
    pub fn window_is_complete(&self) -> bool {
        self.weights.is_some()
    }

    /// Estimates some lanes one after the other.
    fn estimate_singly(&self, odd: &[usize], lanes: LaneData<'_>, block: &mut FitBlock) {
        if odd.is_empty() {
            return;
        }
        let mut scratch = vec![0.0; self.scratch_len()];
        let mut samples = vec![0.0; self.n_samples()];
        let mut fit = Fit::new(1);
        for &lane in odd {
            for (k, sample) in samples.iter_mut().enumerate() {
                *sample = lanes.samples[k * lanes.n_lanes + lane];
            }
            let fixed = lanes.fixed.get(lane).map_or(&[][..], std::slice::from_ref);
            self.estimate(VoxelData { samples: &samples, fixed }, &mut scratch, &mut fit);
            block.store(lane, &fit);
        }
    }

    fn try_estimate(
        &self,
        voxel: VoxelData<'_>,
        scratch: &mut [f64],
        fit: &mut Fit,
    ) -> Result<(), FitStatus> {
        let planned = self.weights.as_deref().ok_or(FitStatus::WindowIncomplete)?;
        let n_baseline = self.arrival.n_baseline_frames();
        let samples = voxel.samples.get(..planned.len()).ok_or(FitStatus::NonFinite)?;
        let is_used = |k: usize| k < n_baseline || planned[k] > 0.0;
        if (0..samples.len()).any(|k| is_used(k) && !samples[k].is_finite()) {
            return Err(FitStatus::NonFinite);
        }
        let before = &samples[..n_baseline];
        let baseline = before.iter().sum::<f64>() / n_baseline as f64;
        if baseline <= 0.0 {
            return Err(FitStatus::NoSignal);
        }
        let contrast = self.contrast(voxel.fixed, baseline)?;
        let frames = self.contrast_of_frames(planned, samples, &contrast, scratch)?;
        let [area, variance] = area_and_variance(&frames, samples, baseline, n_baseline);
        fit.status = FitStatus::Converged;
        fit.evaluations = 1;
        fit.estimates.fill(area / self.divisor);
        fit.unscaled_covariance.fill(variance / (self.divisor * self.divisor));
        fit.residual_sum_of_squares = before.iter().map(|s| (s - baseline).powi(2)).sum();
        fit.total_sum_of_squares = f64::NAN;
        fit.degrees_of_freedom = n_baseline - 1;
        Ok(())
    }

    fn contrast(&self, fixed: &[f64], baseline: f64) -> Result<Contrast, FitStatus> {
        let Some(equation) = &self.equation else { return Ok(Contrast::Relative(baseline)) };
        let t10_s = match self.t10 {
            T10Source::Uniform(t10_s) => t10_s,
            _ => fixed.first().copied().unwrap_or(f64::NAN),
        };
        let voxel = equation.with_baseline(baseline, t10_s);
        voxel.map(Contrast::Concentration).ok_or(FitStatus::FixedInvalid)
    }

    /// Contrast and slope of every frame that has a weight; one saturated frame is bridged.
    fn contrast_of_frames<'a>(
        &self,
        planned: &'a [f64],
        samples: &[f64],
        contrast: &Contrast,
        scratch: &'a mut [f64],
    ) -> Result<Frames<'a>, FitStatus> {
        let n = planned.len();
        let (values, rest) = scratch.split_at_mut(n);
        let (slopes, own_weights) = rest.split_at_mut(n);
        let mut saturated = None;
        for k in (0..n).filter(|&k| planned[k] > 0.0) {
            match contrast.value_and_slope(samples[k]) {
                Some([value, slope]) => (values[k], slopes[k]) = (value, slope),
                None if saturated.is_none() => saturated = Some(k),
                None => return Err(FitStatus::Saturated),
            }
        }
        let Some(saturated) = saturated else {
            return Ok(Frames { weights: planned, values, slopes });
        };
        let weights = &mut own_weights[..n];
        if !weights_into(&self.times_s, self.interval_s, |k| k != saturated, weights) {
            return Err(FitStatus::Saturated);
        }
        let is_new = |&k: &usize| weights[k] > 0.0 && planned[k] <= 0.0;
        for k in (0..n).filter(is_new) {
            [values[k], slopes[k]] =
                contrast.value_and_slope(samples[k]).ok_or(FitStatus::Saturated)?;
        }
        Ok(Frames { weights, values, slopes })
    }
}

impl Estimator for IaucEstimator {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn n_samples(&self) -> usize {
        self.times_s.len()
    }

    fn n_fixed(&self) -> usize {
        usize::from(self.equation.is_some() && self.t10 == T10Source::PerVoxel)
    }

    fn scratch_len(&self) -> usize {
        3 * self.times_s.len()
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        if let Err(status) = self.try_estimate(voxel, scratch, fit) {
            fit.fail(status);
            fit.evaluations = 0;
        }
    }

    fn expected(&self, voxel: VoxelData<'_>, _: &Fit, _: &mut [f64], expected: &mut [f64]) {
        expected.copy_from_slice(voxel.samples);
    }

    fn reads_sample(&self, sample: usize) -> bool {
        self.kernel.as_ref().is_none_or(|kernel| kernel.reads(sample))
    }

    fn estimate_block(&self, lanes: LaneData<'_>, block: &mut FitBlock) {
        block.resize(lanes.n_lanes);
        let is_enough =
            lanes.n_lanes >= LANES && lanes.fixed.len() >= self.n_fixed() * lanes.n_lanes;
        let odd = match &self.kernel {
            Some(kernel) if is_enough => kernel.estimate(lanes, block),
            _ => (0..lanes.n_lanes).collect(),
        };
        self.estimate_singly(&odd, lanes, block);
    }
}

/// What is integrated, as a function of the signal.
enum Contrast {
    Concentration(BaselineSignal),
    /// Relative to this baseline signal.
    Relative(f64),
}

impl Contrast {
    /// The contrast and its derivative by the signal; `None` where the signal is saturated or NaN.
    fn value_and_slope(&self, signal: f64) -> Option<[f64; 2]> {
        match self {
            Self::Concentration(voxel) => voxel.concentration_and_slope(signal),
            Self::Relative(baseline) => signal
                .is_finite()
                .then(|| [relative_enhancement(signal, *baseline), 1.0 / baseline]),
        }
    }
}

/// Per frame: weight in the integral, contrast, ∂contrast/∂signal. Where the weight is 0 the others
/// hold nothing.
struct Frames<'a> {
    weights: &'a [f64],
    values: &'a [f64],
    slopes: &'a [f64],
}

/// The weighted sum of the contrasts, and its variance for noise of variance 1.
fn area_and_variance(
    frames: &Frames<'_>,
    samples: &[f64],
    baseline: f64,
    n_baseline: usize,
) -> [f64; 2] {
    let (mut area, mut by_baseline) = (0.0, 0.0);
    for (k, &weight) in frames.weights.iter().enumerate().filter(|(_, h)| **h > 0.0) {
        area += weight * frames.values[k];
        by_baseline -= weight * (samples[k] / baseline) * frames.slopes[k];
    }
    let mut variance = 0.0;
    for (k, &weight) in frames.weights.iter().enumerate() {
        let own = if weight > 0.0 { weight * frames.slopes[k] } else { 0.0 };
        let shared = if k < n_baseline { by_baseline / n_baseline as f64 } else { 0.0 };
        variance += (own + shared) * (own + shared);
    }
    [area, variance]
}

fn signal_equation(settings: &IaucSettings) -> Result<SpoiledGradientEcho> {
    let hint = "give T10 in seconds or as a map, or measure the relative enhancement";
    match settings.t10 {
        T10Source::Unknown => {
            return Err(Error::value("without T10 there is no concentration")
                .at_field("t10_s")
                .hint(hint));
        }
        T10Source::Uniform(t10_s) if !t10_is_valid(t10_s) => {
            return Err(Error::value(format!(
                "T10 {t10_s} s is not in {}–{} s",
                T10_RANGE_S[0], T10_RANGE_S[1]
            ))
            .at_field("t10_s")
            .hint("T10 is given in seconds, about 0.3–4 in tissue"));
        }
        T10Source::Uniform(_) | T10Source::PerVoxel => {}
    }
    SpoiledGradientEcho::new(&settings.protocol, settings.relaxivity_per_s_per_mm)
}

/// Area under the arterial curve of whole blood in the same window after its own arrival, mM·s.
fn blood_area(blood: &BloodReference, window: IntegrationWindow) -> Result<f64> {
    let BloodReference { curve, arrival_s, hematocrit } = blood;
    let concentrations = curve.concentrations_mmol_per_l();
    let area = area_under_curve(curve.times_s(), concentrations, *arrival_s, window.duration_s())
        .map(|area| hematocrit.convert(area, curve.compartment(), Compartment::Blood));
    match area {
        Some(area) if area > 0.0 => Ok(area),
        Some(area) => {
            Err(Error::value(format!("area {area} mM·s of the arterial curve is not above 0"))
                .at_field("blood"))
        }
        None => Err(Error::value(format!(
            "the arterial curve does not cover the {} s after its arrival at {arrival_s} s",
            window.duration_s()
        ))
        .at_field("blood")),
    }
}

/// What a concentration area over `window` is called, its unit and its display window.
pub fn concentration_area(window: IntegrationWindow) -> Parameter {
    parameter(window, &IaucVariant::Concentration)
}

fn parameter(window: IntegrationWindow, variant: &IaucVariant) -> Parameter {
    let (unit, full_scale) = match variant {
        IaucVariant::Concentration => (Unit::MillimolarSecond, window.duration_s()),
        IaucVariant::RelativeEnhancement => (Unit::Second, 4.0 * window.duration_s()),
        IaucVariant::BloodNormalised(_) => (Unit::One, 1.0),
    };
    let [name, short_name] = names(window, variant);
    Parameter {
        name,
        short_name,
        unit,
        suffix: "mimap",
        bounds: [-1e9, 1e9],
        display_window: [0.0, full_scale],
    }
}

/// Field name and short name.
fn names(window: IntegrationWindow, variant: &IaucVariant) -> [&'static str; 2] {
    use IntegrationWindow::{Seconds30, Seconds60, Seconds90, Seconds120, Seconds180};
    match variant {
        IaucVariant::Concentration => match window {
            Seconds30 => ["initial_area_under_curve_30", "iauc30"],
            Seconds60 => ["initial_area_under_curve_60", "iauc60"],
            Seconds90 => ["initial_area_under_curve_90", "iauc90"],
            Seconds120 => ["initial_area_under_curve_120", "iauc120"],
            Seconds180 => ["initial_area_under_curve_180", "iauc180"],
        },
        IaucVariant::RelativeEnhancement => match window {
            Seconds30 => ["relative_initial_area_under_curve_30", "relative_iauc30"],
            Seconds60 => ["relative_initial_area_under_curve_60", "relative_iauc60"],
            Seconds90 => ["relative_initial_area_under_curve_90", "relative_iauc90"],
            Seconds120 => ["relative_initial_area_under_curve_120", "relative_iauc120"],
            Seconds180 => ["relative_initial_area_under_curve_180", "relative_iauc180"],
        },
        IaucVariant::BloodNormalised(_) => match window {
            Seconds30 => ["blood_normalised_initial_area_under_curve_30", "iauc30bn"],
            Seconds60 => ["blood_normalised_initial_area_under_curve_60", "iauc60bn"],
            Seconds90 => ["blood_normalised_initial_area_under_curve_90", "iauc90bn"],
            Seconds120 => ["blood_normalised_initial_area_under_curve_120", "iauc120bn"],
            Seconds180 => ["blood_normalised_initial_area_under_curve_180", "iauc180bn"],
        },
    }
}

#[cfg(test)]
mod tests;
