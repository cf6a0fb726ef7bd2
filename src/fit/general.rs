//! Least squares of any model by bounded Levenberg–Marquardt: the general path.

use super::total_sum_of_squares;
use crate::error::{Error, Result};
use crate::model::{Estimator, Fit, FitStatus, Model, Parameter, VoxelData};
use crate::solver::levenberg_marquardt::{LeastSquares, Limits, inverse_normal_matrix, minimise};

/// Fits a model from its own starting point to the optimum of that valley.
///
/// Every finite sample counts. Where no sample is positive the status is `NoSignal`. A solution at a
/// bound of the headline parameter is flagged. It allocates per voxel.
pub struct GeneralFit {
    model: Box<dyn Model>,
    parameters: Vec<Parameter>,
    bounds: Vec<[f64; 2]>,
}

/// Residuals model − samples of one voxel.
struct VoxelResiduals<'a> {
    model: &'a dyn Model,
    voxel: VoxelData<'a>,
}

impl LeastSquares for VoxelResiduals<'_> {
    fn n_residuals(&self) -> usize {
        self.voxel.samples.len()
    }

    fn residuals(&self, parameters: &[f64], residuals: &mut [f64]) {
        self.model.signal(parameters, self.voxel.fixed, residuals);
        for (residual, sample) in residuals.iter_mut().zip(self.voxel.samples) {
            *residual -= sample;
        }
    }

    fn jacobian(&self, parameters: &[f64], jacobian: &mut [f64]) {
        self.model.jacobian(parameters, self.voxel.fixed, jacobian);
    }
}

impl GeneralFit {
    /// A fit of `model` inside the bounds of `parameters`, which are the model's own or narrower.
    ///
    /// # Errors
    ///
    /// `Value` when there are fewer samples than parameters.
    pub fn new(model: Box<dyn Model>, parameters: &[Parameter]) -> Result<Self> {
        if model.n_samples() < parameters.len() {
            return Err(Error::value(format!(
                "{} samples cannot determine {} parameters",
                model.n_samples(),
                parameters.len()
            )));
        }
        let bounds = parameters.iter().map(|parameter| parameter.bounds).collect();
        Ok(Self { model, parameters: parameters.to_vec(), bounds })
    }

    fn status(&self, headline: f64) -> FitStatus {
        let [low, high] = self.bounds[0];
        if headline <= low {
            FitStatus::AtLowerBound
        } else if headline >= high {
            FitStatus::AtUpperBound
        } else {
            FitStatus::Converged
        }
    }

    fn covariance(&self, voxel: VoxelData<'_>, fit: &mut Fit) {
        let p = self.parameters.len();
        let mut jacobian = vec![0.0; voxel.samples.len() * p];
        self.model.jacobian(&fit.estimates, voxel.fixed, &mut jacobian);
        match inverse_normal_matrix(&jacobian, p) {
            Some(inverse) => fit.unscaled_covariance.copy_from_slice(&inverse),
            None if fit.status == FitStatus::Converged => fit.fail(FitStatus::Degenerate),
            None => fit.unscaled_covariance.fill(f64::NAN),
        }
    }
}

impl Estimator for GeneralFit {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn n_samples(&self) -> usize {
        self.model.n_samples()
    }

    fn scratch_len(&self) -> usize {
        self.parameters.len()
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        fit.evaluations = 0;
        if !voxel.samples.iter().chain(voxel.fixed).all(|value| value.is_finite()) {
            return fit.fail(FitStatus::NonFinite);
        }
        if !voxel.samples.iter().any(|&sample| sample > 0.0) {
            return fit.fail(FitStatus::NoSignal);
        }
        let start = &mut scratch[..self.parameters.len()];
        self.model.initial(voxel.samples, voxel.fixed, start);
        let problem = VoxelResiduals { model: self.model.as_ref(), voxel };
        let Ok(minimum) = minimise(&problem, start, &self.bounds, Limits::default()) else {
            return fit.fail(FitStatus::Degenerate);
        };
        fit.evaluations = u32::try_from(minimum.evaluations).unwrap_or(u32::MAX);
        if !minimum.converged {
            return fit.fail(FitStatus::NotConverged);
        }
        fit.status = self.status(minimum.parameters[0]);
        fit.estimates.copy_from_slice(&minimum.parameters);
        fit.residual_sum_of_squares = minimum.residual_sum_of_squares;
        fit.total_sum_of_squares = total_sum_of_squares(voxel.samples);
        fit.degrees_of_freedom = voxel.samples.len() - self.parameters.len();
        self.covariance(voxel, fit);
    }

    fn expected(&self, voxel: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        self.model.signal(&fit.estimates, voxel.fixed, expected);
    }
}
