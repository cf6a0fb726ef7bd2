//! Least squares of any model by bounded Levenberg–Marquardt: the general path.

use super::bounded::{bounds_of, set_covariance, set_sums, status_at};
use super::descent::{self, Descent, HalfSquare};
use super::total_sum_of_squares;
use crate::error::{Error, Result};
use crate::model::{Estimator, Fit, FitStatus, Model, Parameter, VoxelData};
use crate::solver::levenberg_marquardt::{LeastSquares, Limits, Minimum, minimise};

/// Fits a model from its own starting points to the deepest of the valleys they lie in.
///
/// Every finite sample counts. Where no sample is positive the status is `NoSignal`. A solution at a
/// bound is flagged, and so is one where the model is not valid. It is the global optimum where one of
/// the starting points of the model lies in its valley. Samples are divided by a power of two, so that squares neither overflow
/// nor lose digits.
pub struct GeneralFit {
    model: Box<dyn Model>,
    parameters: Vec<Parameter>,
    bounds: Vec<[f64; 2]>,
}

/// Residuals (model − samples) / scale of one voxel.
pub(super) struct VoxelResiduals<'a> {
    pub(super) model: &'a dyn Model,
    pub(super) voxel: VoxelData<'a>,
    pub(super) scale: f64,
}

impl LeastSquares for VoxelResiduals<'_> {
    fn n_residuals(&self) -> usize {
        self.voxel.samples.len()
    }

    fn residuals(&self, parameters: &[f64], residuals: &mut [f64]) {
        self.model.signal(parameters, self.voxel.fixed, residuals);
        for (residual, sample) in residuals.iter_mut().zip(self.voxel.samples) {
            *residual = (*residual - sample) / self.scale;
        }
    }

    fn jacobian(&self, parameters: &[f64], jacobian: &mut [f64]) {
        self.model.jacobian(parameters, self.voxel.fixed, jacobian);
        for derivative in jacobian {
            *derivative /= self.scale;
        }
    }
}

/// The power of two below the largest of `samples`, at least the smallest normal number.
pub(super) fn power_of_two_below(samples: &[f64]) -> f64 {
    let largest = samples.iter().fold(0.0_f64, |largest, sample| largest.max(sample.abs()));
    let exponent = f64::INFINITY.to_bits();
    f64::from_bits(largest.to_bits() & exponent).max(f64::MIN_POSITIVE)
}

fn clamp_into_bounds(parameters: &mut [f64], bounds: &[[f64; 2]]) {
    for (parameter, [low, high]) in parameters.iter_mut().zip(bounds) {
        *parameter = parameter.max(*low).min(*high);
    }
}

/// Why `voxel` cannot be fitted at all; `None` where it can be tried.
pub(super) fn unfit(voxel: VoxelData<'_>) -> Option<FitStatus> {
    if !voxel.samples.iter().chain(voxel.fixed).all(|value| value.is_finite()) {
        return Some(FitStatus::NonFinite);
    }
    let has_signal = voxel.samples.iter().any(|&sample| sample > 0.0);
    (!has_signal).then_some(FitStatus::NoSignal)
}

/// Passes when there are at least as many samples as parameters.
pub(super) fn require_samples(model: &dyn Model, parameters: &[Parameter]) -> Result<()> {
    if model.n_samples() >= parameters.len() {
        return Ok(());
    }
    Err(Error::value(format!(
        "{} samples cannot determine {} parameters",
        model.n_samples(),
        parameters.len()
    )))
}

/// Fits a model as [`GeneralFit`] does, by a descent of its own that allocates nothing but the
/// covariance: the default for models that do not separate.
pub struct LeastSquaresFit {
    model: Box<dyn Model>,
    parameters: Vec<Parameter>,
    bounds: Vec<[f64; 2]>,
}

impl LeastSquaresFit {
    /// A fit of `model` inside the bounds of `parameters`, which are the model's own or narrower.
    ///
    /// # Errors
    ///
    /// `Value` when there are fewer samples than parameters.
    pub fn new(model: Box<dyn Model>, parameters: &[Parameter]) -> Result<Self> {
        require_samples(model.as_ref(), parameters)?;
        Ok(Self { model, parameters: parameters.to_vec(), bounds: bounds_of(parameters) })
    }
}

impl Estimator for LeastSquaresFit {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn n_samples(&self) -> usize {
        self.model.n_samples()
    }

    fn n_fixed(&self) -> usize {
        self.model.n_fixed()
    }

    fn scratch_len(&self) -> usize {
        let p = self.parameters.len();
        2 * p + descent::scratch_len(self.model.n_samples(), p)
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        fit.evaluations = 0;
        if let Some(status) = unfit(voxel) {
            return fit.fail(status);
        }
        let p = self.parameters.len();
        let (start, rest) = scratch.split_at_mut(p);
        let (deepest, rest) = rest.split_at_mut(p);
        let descent = Descent {
            model: self.model.as_ref(),
            bounds: &self.bounds,
            cost: &HalfSquare,
            unit: power_of_two_below(voxel.samples),
        };
        let (mut least, mut evaluations) = (f64::INFINITY, 0);
        for index in 0..self.model.n_starts() {
            self.model.start(index, voxel.samples, voxel.fixed, start);
            clamp_into_bounds(start, &self.bounds);
            let bottom = descent.run(voxel, start, rest);
            evaluations += bottom.evaluations;
            if bottom.is_reached && bottom.cost < least {
                least = bottom.cost;
                deepest.copy_from_slice(bottom.parameters);
            }
        }
        if least.is_infinite() {
            fit.evaluations = evaluations;
            return fit.fail(FitStatus::NotConverged);
        }
        // The signal and the Jacobian of the last start stand in the scratch; a step brings back
        // those of the deepest.
        let bottom = descent.run(voxel, deepest, rest);
        fit.evaluations = evaluations + bottom.evaluations;
        fit.estimates.copy_from_slice(bottom.parameters);
        fit.status = status_at(self.model.as_ref(), &fit.estimates, &self.bounds);
        set_sums(voxel.samples, bottom.signal, fit);
        set_covariance(bottom.jacobian, &self.bounds, fit);
    }

    fn expected(&self, voxel: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        self.model.signal(&fit.estimates, voxel.fixed, expected);
    }
}

impl GeneralFit {
    /// A fit of `model` inside the bounds of `parameters`, which are the model's own or narrower.
    ///
    /// # Errors
    ///
    /// `Value` when there are fewer samples than parameters.
    pub fn new(model: Box<dyn Model>, parameters: &[Parameter]) -> Result<Self> {
        require_samples(model.as_ref(), parameters)?;
        Ok(Self { model, parameters: parameters.to_vec(), bounds: bounds_of(parameters) })
    }
}

impl Estimator for GeneralFit {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn n_samples(&self) -> usize {
        self.model.n_samples()
    }

    fn n_fixed(&self) -> usize {
        self.model.n_fixed()
    }

    fn scratch_len(&self) -> usize {
        self.parameters.len() * (1 + self.model.n_samples())
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        fit.evaluations = 0;
        if let Some(status) = unfit(voxel) {
            return fit.fail(status);
        }
        let (start, jacobian) = scratch.split_at_mut(self.parameters.len());
        let jacobian = &mut jacobian[..voxel.samples.len() * self.parameters.len()];
        let scale = power_of_two_below(voxel.samples);
        let problem = VoxelResiduals { model: self.model.as_ref(), voxel, scale };
        let minima = (0..self.model.n_starts()).filter_map(|index| {
            self.model.start(index, voxel.samples, voxel.fixed, start);
            minimise(&problem, start, &self.bounds, Limits::default()).ok()
        });
        let deepest = minima.min_by(|a, b| {
            let key = |minimum: &Minimum| (!minimum.converged, minimum.residual_sum_of_squares);
            let ((is_open_a, a), (is_open_b, b)) = (key(a), key(b));
            is_open_a.cmp(&is_open_b).then(a.total_cmp(&b))
        });
        let Some(minimum) = deepest else {
            return fit.fail(FitStatus::Degenerate);
        };
        fit.evaluations = u32::try_from(minimum.evaluations).unwrap_or(u32::MAX);
        if !minimum.converged {
            return fit.fail(FitStatus::NotConverged);
        }
        fit.status = status_at(self.model.as_ref(), &minimum.parameters, &self.bounds);
        fit.estimates.copy_from_slice(&minimum.parameters);
        fit.residual_sum_of_squares = minimum.residual_sum_of_squares * scale * scale;
        fit.total_sum_of_squares = total_sum_of_squares(voxel.samples);
        fit.degrees_of_freedom = voxel.samples.len() - self.parameters.len();
        self.model.jacobian(&fit.estimates, voxel.fixed, jacobian);
        set_covariance(jacobian, &self.bounds, fit);
    }

    fn expected(&self, voxel: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        self.model.signal(&fit.estimates, voxel.fixed, expected);
    }
}
