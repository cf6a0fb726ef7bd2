//! Straight lines through ln S: fast, biased at low signal, kept as comparators.
//!
//! ln S = ln A − rate·x. Samples that are not positive are left out. Weighted: two passes, weights S²,
//! then the fitted S², which are the weights that undo the stretching of noise by the logarithm. Iterated:
//! weighted by the fitted S² until the line moves by less than 10⁻¹⁰ of ln S over the abscissae, at most
//! 200 passes. Two-point:
//! ln(S̄₁/S̄₂)/(x₂ − x₁) from the means at the lowest and the highest abscissa. The covariance is
//! that of signal noise carried through the line, at the fitted signals.
//!
//! # Reference
//!
//! Salvador et al., "Formal characterization and extension of the linearized diffusion tensor
//! model", Hum Brain Mapp 2005, doi:10.1002/hbm.20076. Veraart et al., "Weighted linear least
//! squares estimation of diffusion MRI parameters", `NeuroImage` 2013,
//! doi:10.1016/j.neuroimage.2013.05.028 (weights from the fit). Collier et al., "Iterative
//! reweighted linear least squares for accurate, fast, and robust estimation of diffusion magnetic
//! resonance parameters", Magn Reson Med 2015, doi:10.1002/mrm.25351 (iteration).

use super::{HeadlineRule, total_sum_of_squares};
use crate::model::{Estimator, Exponential, Fit, FitStatus, Headline, Parameter, VoxelData};

/// The iteration ends when ln S moves by less than this at any abscissa.
const SETTLED_BELOW: f64 = 1e-10;
const PASSES_MAX: usize = 200;

/// How the points of the line are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLinear {
    /// All alike.
    Unweighted,
    /// By S², then by the fitted S².
    Weighted,
    /// By the fitted S² until the line stands still.
    Iterated,
    /// Only the lowest and the highest abscissa.
    TwoPoint,
}

/// Fits an exponential through the logarithm of the samples.
#[derive(Debug, Clone)]
pub struct LogLinearFit {
    curve: Exponential,
    rule: HeadlineRule,
    parameters: Vec<Parameter>,
    rate_bounds: [f64; 2],
    kind: LogLinear,
}

/// ln S = `log_amplitude` − `rate`·x, with the sums that made it.
#[derive(Debug, Clone, Copy)]
struct Line {
    rate: f64,
    log_amplitude: f64,
    weight: f64,
    mean_x: f64,
    spread: f64,
}

/// The scratch slice, cut up; the first `n_used` entries are in use.
struct Points<'a> {
    x: &'a mut [f64],
    log: &'a mut [f64],
    weight: &'a mut [f64],
    /// Samples that a point is the mean of.
    repeats: &'a mut [f64],
    n_used: usize,
}

impl LogLinearFit {
    /// A fit of `curve`; `parameters` are headline and amplitude, the bounds of the first are kept.
    pub fn new(
        curve: Exponential,
        headline: Headline,
        parameters: &[Parameter],
        kind: LogLinear,
    ) -> Self {
        let rate_bounds = headline.rate_bounds(&parameters[0]);
        let rule = HeadlineRule { headline, bounds: parameters[0].bounds };
        Self { curve, rule, parameters: parameters.to_vec(), rate_bounds, kind }
    }

    /// The points of the line from samples over `scale`.
    fn gather(&self, samples: &[f64], scale: f64, points: &mut Points<'_>) {
        let x = self.curve.abscissae();
        if self.kind == LogLinear::TwoPoint {
            let low = x.iter().copied().fold(f64::INFINITY, f64::min);
            let high = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for end in [low, high] {
                let at_end = || x.iter().zip(samples).filter(|(x, _)| x.total_cmp(&end).is_eq());
                let count = at_end().count() as f64;
                let mean = at_end().map(|(_, sample)| sample / scale).sum::<f64>() / count;
                points.push(end, mean, count);
            }
        } else {
            for (&x, &sample) in x.iter().zip(samples) {
                points.push(x, sample / scale, 1.0);
            }
        }
    }

    /// The line through the points, reweighted where the kind asks for it.
    fn line(&self, points: &mut Points<'_>) -> Result<Line, FitStatus> {
        let unweighted = points.line().ok_or(FitStatus::NoSignal)?;
        match self.kind {
            LogLinear::Unweighted | LogLinear::TwoPoint => Ok(unweighted),
            LogLinear::Weighted => {
                points.weigh_by_samples();
                let line = points.line().ok_or(FitStatus::NoSignal)?;
                points.weigh_by(line);
                points.line().ok_or(FitStatus::NoSignal)
            }
            LogLinear::Iterated => points.settled_line(),
        }
    }

    fn status(&self, line: &mut Line) -> FitStatus {
        let [low, high] = self.rate_bounds;
        let (clamped, status) = if line.rate <= low {
            (low, FitStatus::AtLowerBound)
        } else if line.rate >= high {
            (high, FitStatus::AtUpperBound)
        } else {
            (line.rate, FitStatus::Converged)
        };
        line.log_amplitude += (clamped - line.rate) * line.mean_x;
        line.rate = clamped;
        status
    }

    /// Residuals of the samples that made the points.
    fn residuals(&self, line: Line, samples: &[f64], scratch: &mut [f64], fit: &mut Fit) {
        let x = self.curve.abscissae();
        let ends = [0, 1].map(|side| {
            let pick = [f64::min, f64::max][side];
            x.iter().copied().fold([f64::INFINITY, f64::NEG_INFINITY][side], pick)
        });
        let is_used = |x: f64, sample: f64| match self.kind {
            LogLinear::TwoPoint => ends.iter().any(|end| x.total_cmp(end).is_eq()),
            _ => sample > 0.0,
        };
        let (mut n_used, mut rss) = (0, 0.0);
        for (&x, &sample) in x.iter().zip(samples) {
            if is_used(x, sample) {
                scratch[n_used] = sample;
                n_used += 1;
                let model = fit.estimates[1] * (-line.rate * x).exp();
                rss += (sample - model).powi(2);
            }
        }
        fit.residual_sum_of_squares = rss;
        fit.total_sum_of_squares = total_sum_of_squares(&scratch[..n_used]);
        fit.degrees_of_freedom = n_used.saturating_sub(2);
    }
}

impl Points<'_> {
    fn new(scratch: &mut [f64], n: usize) -> Points<'_> {
        let (x, rest) = scratch.split_at_mut(n);
        let (log, rest) = rest.split_at_mut(n);
        let (weight, rest) = rest.split_at_mut(n);
        Points { x, log, weight, repeats: &mut rest[..n], n_used: 0 }
    }

    /// Adds a point where `signal` has a logarithm.
    fn push(&mut self, x: f64, signal: f64, repeats: f64) {
        if signal > 0.0 {
            let k = self.n_used;
            (self.x[k], self.log[k]) = (x, signal.ln());
            (self.weight[k], self.repeats[k]) = (1.0, repeats);
            self.n_used += 1;
        }
    }

    fn weigh_by_samples(&mut self) {
        for k in 0..self.n_used {
            self.weight[k] = (2.0 * self.log[k]).exp();
        }
    }

    /// Weights S² of a line, relative to its first point.
    fn weigh_by(&mut self, line: Line) {
        for k in 0..self.n_used {
            self.weight[k] = (2.0 * line.rate * (self.x[0] - self.x[k])).exp();
        }
    }

    /// The line whose own S² are its weights.
    fn settled_line(&mut self) -> Result<Line, FitStatus> {
        self.weigh_by_samples();
        let mut line = self.line().ok_or(FitStatus::NoSignal)?;
        let used = &self.x[..self.n_used];
        let reach = used.iter().map(|x| (x - used[0]).abs()).fold(0.0, f64::max);
        for _ in 0..PASSES_MAX {
            self.weigh_by(line);
            let next = self.line().ok_or(FitStatus::Degenerate)?;
            let moved = (next.rate - line.rate).abs() * reach;
            line = next;
            if moved < SETTLED_BELOW {
                return Ok(line);
            }
        }
        Err(FitStatus::NotConverged)
    }

    /// Weighted straight line; `None` where fewer than two abscissae differ.
    fn line(&self) -> Option<Line> {
        let points = || (0..self.n_used).map(|k| (self.x[k], self.log[k], self.weight[k]));
        let weight: f64 = points().map(|(_, _, w)| w).sum();
        let mean_x = points().map(|(x, _, w)| w * x).sum::<f64>() / weight;
        let mean_y = points().map(|(_, y, w)| w * y).sum::<f64>() / weight;
        let spread: f64 = points().map(|(x, _, w)| w * (x - mean_x).powi(2)).sum();
        let mixed: f64 = points().map(|(x, y, w)| w * (x - mean_x) * (y - mean_y)).sum();
        let rate = -mixed / spread;
        let log_amplitude = mean_y + rate * mean_x;
        let usable = rate.is_finite() && log_amplitude.is_finite();
        usable.then_some(Line { rate, log_amplitude, weight, mean_x, spread })
    }

    /// Covariance of rate and ln amplitude per unit variance of one sample over the scale.
    fn covariance(&self, line: Line) -> [f64; 3] {
        let mut covariance = [0.0; 3];
        for k in 0..self.n_used {
            let (x, weight) = (self.x[k], self.weight[k]);
            let by_rate = -weight * (x - line.mean_x) / line.spread;
            let by_log = weight / line.weight + by_rate * line.mean_x;
            let fitted = line.log_amplitude - line.rate * x;
            let variance = (-2.0 * fitted).exp() / self.repeats[k];
            covariance[0] += by_rate * by_rate * variance;
            covariance[1] += by_rate * by_log * variance;
            covariance[2] += by_log * by_log * variance;
        }
        covariance
    }
}

impl Estimator for LogLinearFit {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn n_samples(&self) -> usize {
        self.curve.abscissae().len()
    }

    fn scratch_len(&self) -> usize {
        4 * self.curve.abscissae().len()
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        fit.evaluations = 0;
        if !voxel.samples.iter().all(|sample| sample.is_finite()) {
            return fit.fail(FitStatus::NonFinite);
        }
        let scale = voxel.samples.iter().copied().fold(0.0, f64::max);
        if scale <= 0.0 {
            return fit.fail(FitStatus::NoSignal);
        }
        let mut points = Points::new(scratch, voxel.samples.len());
        self.gather(voxel.samples, scale, &mut points);
        let mut line = match self.line(&mut points) {
            Ok(line) => line,
            Err(status) => return fit.fail(status),
        };
        let [rate, mixed, log] = points.covariance(line);
        let status = self.status(&mut line);
        let relative = line.log_amplitude.exp();
        let amplitude = relative * scale;
        if !(amplitude.is_finite() && amplitude > 0.0) {
            return fit.fail(FitStatus::Degenerate);
        }
        let mixed = mixed * relative / scale;
        let covariance = [rate / scale / scale, mixed, mixed, log * relative * relative];
        self.rule.report([line.rate, amplitude], status, covariance, fit);
        self.residuals(line, voxel.samples, scratch, fit);
    }

    fn expected(&self, _: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        let rate = self.rule.headline.convert(fit.estimates[0]);
        for (value, x) in expected.iter_mut().zip(self.curve.abscissae()) {
            *value = fit.estimates[1] * (-rate * x).exp();
        }
    }
}
