//! Exchange between plasma and tissue, from the signals of a dynamic series or from concentrations.
//!
//! Unweighted least squares of the concentration curve within Ktrans ≥ 0, 0 < ve ≤ 1, vp ≥ 0 and kep
//! of 0.01–20 per minute; the optimum is the best of the whole range of rates. Residuals and
//! variances are in units of the samples: a residual of the concentration becomes one of the signal by
//! the slope of the signal equation. Errors of T10, flip angle, relaxivity and plasma curve are
//! systematic and no part of them.
//!
//! # Reference
//!
//! Tofts et al., J Magn Reson Imaging 1999,
//! `doi:10.1002/(SICI)1522-2586(199909)10:3<223::AID-JMRI2>3.0.CO;2-S`. Golub and Pereyra, SIAM J
//! Numer Anal 1973, doi:10.1137/0710036.

use super::arrival::Arrival;
use super::concentration::{BaselineSignal, SpoiledGradientEcho, t10_is_valid};
use super::concentration_lanes::Echo;
use super::estimator::T10Source;
use super::lanes::LANES;
use super::rate_series::RateSeries;
use super::tofts_bounded::{BoundedFit, bounded_fit};
use super::tofts_lanes::{ExchangeKernel, Known};
use crate::acquisition::Dynamic;
use crate::error::{Error, Result};
use crate::model::{
    Detail, Estimator, Fit, FitBlock, FitStatus, LaneData, Parameter, PlasmaConvolution, VoxelData,
    find,
};

/// Which tissue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TissueModel {
    /// Exchange alone: Ktrans and ve.
    Tofts,
    /// Exchange and plasma in the tissue: Ktrans, ve and vp.
    ExtendedTofts,
}

impl TissueModel {
    /// Name in the registry of models.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tofts => "tofts",
            Self::ExtendedTofts => "extended_tofts",
        }
    }
}

/// What the samples are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TissueSamples {
    /// Concentrations in tissue, mM.
    Concentrations,
    /// Signals of a spoiled gradient echo.
    Signals {
        /// r₁, s⁻¹ mM⁻¹.
        relaxivity_per_s_per_mm: f64,
        /// Native relaxation time.
        t10: T10Source,
        /// Arrival of the bolus on the axis of the frame times, s: the frames before it are the
        /// baseline.
        arrival_s: f64,
    },
}

/// Everything an [`ExchangeEstimator`] is built from.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeSettings {
    /// Frame times, repetition time, flip angle and plasma curve.
    pub protocol: Dynamic,
    /// Which tissue.
    pub tissue: TissueModel,
    /// What the samples are.
    pub samples: TissueSamples,
}

/// Ktrans (1/s), ve and, in the extended model, vp of every voxel.
///
/// Frames of the baseline and from the first that sees agent are looked at. A voxel with a signal in
/// them that the signal equation cannot invert is [`FitStatus::Saturated`]. Without agent Ktrans and ve
/// are 0 and the status is [`FitStatus::AtLowerBound`]. Where ve is 1, vp is 0 or above 1, or kep is at
/// the end of its range, the status is [`FitStatus::AnotherAtBound`]; vp = 0 then has no standard
/// error, ve = 1 none at all. Only the diagonal of the covariance is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeEstimator {
    parameters: &'static [Parameter],
    kernel: ExchangeKernel,
    convolution: PlasmaConvolution,
    signals: Option<Signals>,
}

/// How signals become concentrations.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Signals {
    equation: SpoiledGradientEcho,
    t10: T10Source,
}

impl ExchangeEstimator {
    /// Checks `settings` and prepares the exchange curves of all rates.
    ///
    /// # Errors
    ///
    /// `Value` at `plasma_curve` (none, or no frame sees it), `frame_times_s` (too few frames see it),
    /// `arrival_s`, `relaxivity_per_s_per_mm` or `t10_s`.
    pub fn new(settings: &ExchangeSettings) -> Result<Self> {
        let parameters = find(settings.tissue.name())?.parameters;
        let convolution = PlasmaConvolution::new(&settings.protocol)?;
        let series = RateSeries::new(&convolution, parameters.len())?;
        let (signals, n_baseline) = match settings.samples {
            TissueSamples::Concentrations => (None, 0),
            TissueSamples::Signals { relaxivity_per_s_per_mm, t10, arrival_s } => {
                check_t10(t10)?;
                let equation =
                    SpoiledGradientEcho::new(&settings.protocol, relaxivity_per_s_per_mm)?;
                let times_s = settings.protocol.frame_times_s();
                let n_baseline = Arrival::given(times_s, arrival_s)?.n_baseline_frames();
                if series.first_frame < n_baseline {
                    return Err(Error::value(format!(
                        "the plasma curve begins in frame {}, of {n_baseline} baseline frames",
                        series.first_frame
                    ))
                    .at_field("arrival_s")
                    .hint("give the arrival at which the plasma curve rises"));
                }
                (Some(Signals { equation, t10 }), n_baseline)
            }
        };
        let echo = signals.map(|signals| Echo::new(signals.equation, signals.t10));
        let kernel = ExchangeKernel { series, echo, n_baseline };
        Ok(Self { parameters, kernel, convolution, signals })
    }

    /// The signal equation of one voxel; `None` where samples are concentrations.
    fn baseline(&self, voxel: VoxelData<'_>) -> Result<Option<BaselineSignal>, FitStatus> {
        let Some(signals) = &self.signals else { return Ok(None) };
        let n = self.kernel.n_baseline;
        let mean = voxel.samples[..n].iter().sum::<f64>() / n as f64;
        if mean <= 0.0 {
            return Err(FitStatus::NoSignal);
        }
        let t10_s = match signals.t10 {
            T10Source::Uniform(t10_s) => t10_s,
            _ => voxel.fixed.first().copied().unwrap_or(f64::NAN),
        };
        let voxel = signals.equation.with_baseline(mean, t10_s);
        voxel.map(Some).ok_or(FitStatus::FixedInvalid)
    }

    /// Concentrations of the frames in use, mM.
    fn curve(&self, voxel: VoxelData<'_>, curve: &mut [f64]) -> Result<(), FitStatus> {
        let n_frames = self.n_samples();
        let samples = voxel.samples.get(..n_frames).ok_or(FitStatus::NonFinite)?;
        if (0..n_frames).any(|k| self.reads_sample(k) && !samples[k].is_finite()) {
            return Err(FitStatus::NonFinite);
        }
        let baseline = self.baseline(voxel)?;
        for (value, sample) in curve.iter_mut().zip(&samples[self.kernel.series.first_frame..]) {
            *value = baseline.map_or(*sample, |baseline| baseline.concentration(*sample));
        }
        if curve.iter().any(|value| !value.is_finite()) {
            return Err(FitStatus::Saturated);
        }
        Ok(())
    }

    /// The whole way of one voxel.
    fn try_estimate(
        &self,
        voxel: VoxelData<'_>,
        curve: &mut [f64],
        fit: &mut Fit,
    ) -> Result<(), FitStatus> {
        self.curve(voxel, curve)?;
        let best = bounded_fit(&self.kernel.series, curve);
        if best.ktrans_per_s > 0.0 && !best.is_full && self.finish(voxel, &best, fit) {
            return Ok(());
        }
        fit.status = if best.ktrans_per_s > 0.0 {
            FitStatus::AnotherAtBound
        } else {
            FitStatus::AtLowerBound
        };
        let ve = best.ktrans_per_s / best.rate_per_s;
        for (estimate, value) in fit.estimates.iter_mut().zip([best.ktrans_per_s, ve, best.vp]) {
            *estimate = value;
        }
        self.residuals(voxel, curve, fit)
    }

    /// Polishes an optimum inside the bounds, with its standard errors.
    fn finish(&self, voxel: VoxelData<'_>, best: &BoundedFit, fit: &mut Fit) -> bool {
        let copies = |values: &[f64]| -> Vec<f64> {
            values.iter().flat_map(|&value| [value; LANES]).collect()
        };
        let (samples, fixed) = (copies(voxel.samples), copies(voxel.fixed));
        let lanes = LaneData { samples: &samples, fixed: &fixed, n_lanes: LANES };
        let mut block = FitBlock::new(self.parameters.len(), Detail::Everything);
        let without_plasma = best.vp <= 0.0;
        let known = Some(Known { x: best.x, without_plasma });
        if !self.kernel.estimate(lanes, known, &mut block).is_empty() {
            return false;
        }
        fit.status = block.status[0];
        for (parameter, estimate) in fit.estimates.iter_mut().enumerate() {
            *estimate = block.estimates[parameter][0];
            fit.unscaled_covariance[parameter * (self.parameters.len() + 1)] =
                block.unscaled_variances[parameter][0];
        }
        fit.residual_sum_of_squares = block.residual_sum_of_squares[0];
        fit.total_sum_of_squares = block.total_sum_of_squares[0];
        fit.degrees_of_freedom = usize::from(block.degrees_of_freedom[0]);
        fit.evaluations = block.evaluations[0];
        true
    }

    /// Sums of squares of an optimum at a bound.
    fn residuals(
        &self,
        voxel: VoxelData<'_>,
        curve: &[f64],
        fit: &mut Fit,
    ) -> Result<(), FitStatus> {
        let baseline = self.baseline(voxel)?;
        let mut fitted = vec![0.0; self.n_samples()];
        self.concentrations(&fit.estimates, &mut fitted);
        let first = self.kernel.series.first_frame;
        let mut squares = 0.0;
        for ((value, fitted), &sample) in
            curve.iter().zip(&fitted[first..]).zip(&voxel.samples[first..])
        {
            let slope =
                baseline.and_then(|b| b.concentration_and_slope(sample)).map_or(1.0, |s| s[1]);
            squares += ((value - fitted) / slope).powi(2);
        }
        let read: Vec<f64> = (0..self.n_samples())
            .filter(|&k| self.reads_sample(k))
            .map(|k| voxel.samples[k])
            .collect();
        let squares_around = |values: &[f64], centre: f64| -> f64 {
            values.iter().map(|value| (value - centre).powi(2)).sum()
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let before = match self.signals {
            Some(_) => &voxel.samples[..self.kernel.n_baseline],
            None => &voxel.samples[..first],
        };
        let level = if self.signals.is_some() { mean(before) } else { 0.0 };
        fit.residual_sum_of_squares = squares + squares_around(before, level);
        fit.total_sum_of_squares = squares_around(&read, mean(&read));
        fit.degrees_of_freedom = usize::from(self.kernel.degrees_of_freedom());
        fit.evaluations = 1;
        Ok(())
    }

    /// Concentrations of the model at all frames, mM.
    fn concentrations(&self, estimates: &[f64], concentrations: &mut [f64]) {
        let [ktrans, ve] = [estimates[0], estimates[1]];
        let vp = estimates.get(2).copied().unwrap_or(0.0);
        let rate = if ve > 0.0 { ktrans / ve } else { 0.0 };
        let plasma = self.convolution.plasma_mmol_per_l();
        self.convolution.for_each_frame(rate, |frame, exchange, _| {
            concentrations[frame] = vp * plasma[frame] + ktrans * exchange;
        });
    }
}

impl Estimator for ExchangeEstimator {
    fn parameters(&self) -> &[Parameter] {
        self.parameters
    }

    fn n_samples(&self) -> usize {
        self.convolution.n_frames()
    }

    fn n_fixed(&self) -> usize {
        usize::from(self.signals.is_some_and(|signals| signals.t10 == T10Source::PerVoxel))
    }

    fn scratch_len(&self) -> usize {
        self.kernel.series.n_frames()
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        fit.unscaled_covariance.fill(f64::NAN);
        let curve = &mut scratch[..self.kernel.series.n_frames()];
        if let Err(status) = self.try_estimate(voxel, curve, fit) {
            fit.fail(status);
            fit.evaluations = 0;
        }
    }

    fn expected(
        &self,
        voxel: VoxelData<'_>,
        fit: &Fit,
        _scratch: &mut [f64],
        expected: &mut [f64],
    ) {
        self.concentrations(&fit.estimates, expected);
        match self.baseline(voxel) {
            Ok(None) => {}
            Ok(Some(baseline)) => {
                for value in expected {
                    *value = baseline.signal(*value);
                }
            }
            Err(_) => expected.fill(f64::NAN),
        }
    }

    fn reads_sample(&self, sample: usize) -> bool {
        let is_before = match self.signals {
            Some(_) => sample < self.kernel.n_baseline,
            None => true,
        };
        is_before || sample >= self.kernel.series.first_frame
    }

    fn estimate_block(&self, lanes: LaneData<'_>, block: &mut FitBlock) {
        block.resize(lanes.n_lanes);
        let is_enough =
            lanes.n_lanes >= LANES && lanes.fixed.len() >= self.n_fixed() * lanes.n_lanes;
        let odd = if is_enough {
            self.kernel.estimate(lanes, None, block)
        } else {
            (0..lanes.n_lanes).collect()
        };
        if odd.is_empty() {
            return;
        }
        let mut scratch = vec![0.0; self.scratch_len()];
        let mut samples = vec![0.0; self.n_samples()];
        let mut fit = Fit::new(self.parameters.len());
        for lane in odd {
            for (k, sample) in samples.iter_mut().enumerate() {
                *sample = lanes.samples[k * lanes.n_lanes + lane];
            }
            let fixed = lanes.fixed.get(lane).map_or(&[][..], std::slice::from_ref);
            self.estimate(VoxelData { samples: &samples, fixed }, &mut scratch, &mut fit);
            block.store(lane, &fit);
        }
    }
}

fn check_t10(t10: T10Source) -> Result<()> {
    let problem = match t10 {
        T10Source::PerVoxel => return Ok(()),
        T10Source::Uniform(t10_s) if t10_is_valid(t10_s) => return Ok(()),
        T10Source::Uniform(t10_s) => format!("T10 {t10_s} s is out of range"),
        T10Source::Unknown => "without T10 there is no concentration".to_owned(),
    };
    Err(Error::value(problem).at_field("t10_s").hint("give T10 in seconds or as a map"))
}

#[cfg(test)]
mod tests;
