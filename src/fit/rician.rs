//! Maximum likelihood of magnitudes with Rician noise of a known level.
//!
//! Minimises Σ ½·(M − A)²/σ² − ln Ĩ₀(M·A/σ²) over the parameters, A being the signal of the model and
//! Ĩ₀ the scaled Bessel function, from the least-squares estimate on. The weight of a sample in the
//! descent is its observed information, at least a fifth of that without a noise floor; the last
//! step promises less than 10⁻¹⁴: the optimum is met to a millionth of a standard error.
//!
//! One effective channel: parallel imaging with several (non-central χ) is not covered.
//!
//! # Reference
//!
//! Sijbers et al., "Maximum-likelihood estimation of Rician distribution parameters", IEEE Trans Med
//! Imaging 1998, doi:10.1109/42.712125.

mod information;

use information::Information;

use super::bounded::{bounds_of, set_covariance, set_sums, status_at};
use super::descent::{self, Descent, SampleCost};
use crate::error::{Error, Result};
use crate::model::{Estimator, Fit, FitStatus, Model, Parameter, VoxelData};
use crate::noise::bessel::{i0_scaled, i1_scaled};

/// A step that promises less gain in ln likelihood is the last.
const PROMISE_MIN: f64 = 1e-14;
/// Observed information is not taken for less, which keeps every step a descent.
const WEIGHT_MIN: f64 = 0.2;

/// Fits any model to magnitudes; a negative sample counts as a magnitude of 0.
///
/// The covariance is the inverse of the expected information, in units of σ². Sums of squares are
/// around the signal without its noise floor. Statuses are those of the least-squares fit where that
/// has no estimate, else those of the optimum.
pub struct RicianFit {
    model: Box<dyn Model>,
    start: Box<dyn Estimator>,
    bounds: Vec<[f64; 2]>,
    sigma: f64,
    information: Information,
}

/// −ln likelihood of one magnitude, up to a constant of the sample; at σ = 1.
struct Magnitude;

impl SampleCost for Magnitude {
    fn cost(&self, sample: f64, signal: f64) -> f64 {
        let (m, a) = (sample.max(0.0), signal.abs());
        0.5 * (m - a) * (m - a) - i0_scaled(m * a).ln()
    }

    fn slope_and_weight(&self, sample: f64, signal: f64) -> [f64; 2] {
        let m = sample.max(0.0);
        let z = m * signal.abs();
        let ratio = i1_scaled(z) / i0_scaled(z);
        let over_z = if z > 1e-8 { ratio / z } else { 0.5 };
        let weight = 1.0 - m * m * (1.0 - ratio * ratio - over_z);
        [signal - m * ratio.copysign(signal), weight.max(WEIGHT_MIN)]
    }

    fn is_last(&self, promise: f64, _: f64) -> bool {
        promise < PROMISE_MIN
    }

    fn rounding(&self, n_samples: usize, cost: f64) -> f64 {
        4.0 * f64::EPSILON * (n_samples as f64 + cost.abs())
    }
}

impl RicianFit {
    /// A fit of `model` from the estimates of `start`, an estimator of the same model; `sigma` is the
    /// noise level of one channel in signal units.
    ///
    /// # Errors
    ///
    /// `Mismatch` when `start` estimates something else, `Value` at `sigma` when it is not positive.
    pub fn new(model: Box<dyn Model>, start: Box<dyn Estimator>, sigma: f64) -> Result<Self> {
        if start.n_samples() != model.n_samples()
            || start.parameters().len() != model.parameters().len()
        {
            return Err(Error::mismatch("model and starting estimator are not of one kind"));
        }
        if !(sigma.is_finite() && sigma > 0.0) {
            return Err(Error::value(format!("{sigma} is not a positive number")).at_field("sigma"));
        }
        let bounds = bounds_of(start.parameters());
        Ok(Self { model, start, bounds, sigma, information: Information::new() })
    }
}

impl Estimator for RicianFit {
    fn parameters(&self) -> &[Parameter] {
        self.start.parameters()
    }

    fn n_samples(&self) -> usize {
        self.model.n_samples()
    }

    fn n_fixed(&self) -> usize {
        self.start.n_fixed()
    }

    fn scratch_len(&self) -> usize {
        let (n, p) = (self.model.n_samples(), self.bounds.len());
        p + descent::scratch_len(n, p).max(self.start.scratch_len())
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        self.start.estimate(voxel, scratch, fit);
        if !fit.status.has_estimate() {
            return;
        }
        let (start, rest) = scratch.split_at_mut(self.bounds.len());
        start.copy_from_slice(&fit.estimates);
        let descent = Descent {
            model: self.model.as_ref(),
            bounds: &self.bounds,
            cost: &Magnitude,
            unit: self.sigma,
        };
        let bottom = descent.run(voxel, start, rest);
        fit.evaluations += bottom.evaluations;
        if !bottom.is_reached {
            return fit.fail(FitStatus::NotConverged);
        }
        fit.estimates.copy_from_slice(bottom.parameters);
        fit.status = status_at(self.model.as_ref(), &fit.estimates, &self.bounds);
        set_sums(voxel.samples, bottom.signal, fit);
        for (row, signal) in bottom.jacobian.chunks_exact_mut(self.bounds.len()).zip(bottom.signal)
        {
            let root = self.information.at(signal / self.sigma).sqrt();
            for slope in row {
                *slope *= root;
            }
        }
        set_covariance(bottom.jacobian, &self.bounds, fit);
    }

    fn expected(&self, voxel: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        self.model.signal(&fit.estimates, voxel.fixed, expected);
    }
}

#[cfg(test)]
mod tests;
