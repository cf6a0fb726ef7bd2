//! Fits in two steps: the headline parameter where it acts alone, then the others with it fixed.
//!
//! The first step is least squares of an exponential through the tail of the model (for IVIM:
//! b ≥ 200 s/mm²), the second least squares of the whole model with the headline parameter held. What
//! the first step does not know of the head of the curve it cannot be misled by; what is left of the
//! head in the tail biases it. The covariance carries the noise of all samples through both steps.
//!
//! # Reference
//!
//! Le Bihan et al., "Separation of diffusion and perfusion in intravoxel incoherent motion MR
//! imaging", Radiology 1988, doi:10.1148/radiology.168.2.3393671 (asymptotic fitting).

use super::SeparableFit;
use super::bounded::{bounds_of, set_sums, status_at};
use super::general::{VoxelResiduals, power_of_two_below, require_samples, unfit};
use crate::error::{Error, Result};
use crate::model::{Estimator, Exponential, Fit, FitStatus, Headline, Model, Parameter, VoxelData};
use crate::solver::levenberg_marquardt::{Limits, inverse_normal_matrix, minimise};

/// Fits a model with a tail step by step.
pub struct SegmentedFit {
    model: Box<dyn Model>,
    parameters: Vec<Parameter>,
    bounds: Vec<[f64; 2]>,
    first: SeparableFit<Exponential>,
    tail: Vec<usize>,
    tail_x: Vec<f64>,
}

impl SegmentedFit {
    /// A fit of `model` inside the bounds of `parameters`.
    ///
    /// # Errors
    ///
    /// `Value` at `estimator` when the model has no tail on this protocol, or there are fewer samples
    /// than parameters.
    pub fn new(model: Box<dyn Model>, parameters: &[Parameter]) -> Result<Self> {
        require_samples(model.as_ref(), parameters)?;
        let Some(tail) = model.tail() else {
            return Err(Error::value(
                "`segmented` needs a model with a mono-exponential tail and two different samples in it",
            )
            .at_field("estimator")
            .hint("choose estimator `nlls`; for `ivim`, two b-values of at least 200 s/mm²"));
        };
        let amplitude = Parameter { bounds: [0.0, f64::INFINITY], ..parameters[0] };
        let tail_x = tail.curve.abscissae().to_vec();
        let first = SeparableFit::new(tail.curve, Headline::Rate, &[parameters[0], amplitude])?;
        let bounds = bounds_of(parameters);
        let parameters = parameters.to_vec();
        Ok(Self { model, parameters, bounds, first, tail: tail.samples, tail_x })
    }

    /// How the headline parameter moves with each sample: row of (JᵀJ)⁻¹Jᵀ of the first step.
    fn first_gains(&self, first: &Fit, gains: &mut [f64]) {
        gains.fill(0.0);
        let [rate, amplitude] = [first.estimates[0], first.estimates[1]];
        let [variance, mixed] = [first.unscaled_covariance[0], first.unscaled_covariance[1]];
        for (&sample, x) in self.tail.iter().zip(&self.tail_x) {
            let decay = (-rate * x).exp();
            gains[sample] = decay * (mixed - variance * x * amplitude);
        }
    }

    /// Covariance of all parameters per unit variance of a sample: rows of gains times each other.
    fn covariance(&self, voxel: VoxelData<'_>, first: &Fit, fit: &mut Fit) {
        let (n, p) = (voxel.samples.len(), self.parameters.len());
        fit.unscaled_covariance.fill(f64::NAN);
        fit.unscaled_covariance[0] = first.unscaled_covariance[0];
        let mut jacobian = vec![0.0; n * p];
        self.model.jacobian(&fit.estimates, voxel.fixed, &mut jacobian);
        let others: Vec<f64> =
            jacobian.chunks_exact(p).flat_map(|row| row[1..].iter().copied()).collect();
        let Some(inverse) = inverse_normal_matrix(&others, p - 1) else {
            if fit.status == FitStatus::Converged {
                fit.fail(FitStatus::Degenerate);
            }
            return;
        };
        let mut gains = vec![0.0; p * n];
        self.first_gains(first, &mut gains[..n]);
        let (headline, rest) = gains.split_at_mut(n);
        for (i, row) in rest.chunks_exact_mut(n).enumerate() {
            for (gain, slopes) in row.iter_mut().zip(others.chunks_exact(p - 1)) {
                *gain = (0..p - 1).map(|j| inverse[i * (p - 1) + j] * slopes[j]).sum();
            }
            let by_headline: f64 = row
                .iter()
                .zip(jacobian.chunks_exact(p))
                .map(|(gain, slopes)| gain * slopes[0])
                .sum();
            for (gain, own) in row.iter_mut().zip(headline.iter()) {
                *gain -= by_headline * own;
            }
        }
        for i in 0..p {
            for j in 0..p {
                let rows = gains[i * n..(i + 1) * n].iter().zip(&gains[j * n..(j + 1) * n]);
                fit.unscaled_covariance[i * p + j] = rows.map(|(a, b)| a * b).sum();
            }
        }
    }
}

impl Estimator for SegmentedFit {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn n_samples(&self) -> usize {
        self.model.n_samples()
    }

    fn scratch_len(&self) -> usize {
        self.model.n_samples() + self.parameters.len() + self.first.scratch_len()
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        fit.evaluations = 0;
        if let Some(status) = unfit(voxel) {
            return fit.fail(status);
        }
        let (samples, rest) = scratch.split_at_mut(voxel.samples.len());
        let (start, rest) = rest.split_at_mut(self.parameters.len());
        for (sample, &k) in samples.iter_mut().zip(&self.tail) {
            *sample = voxel.samples[k];
        }
        let tail = VoxelData { samples: &samples[..self.tail.len()], fixed: &[] };
        let mut first = Fit::new(2);
        self.first.estimate(tail, rest, &mut first);
        if !first.status.has_estimate() {
            return fit.fail(first.status);
        }
        self.model.initial(voxel.samples, voxel.fixed, start);
        start[0] = first.estimates[0];
        let mut bounds = self.bounds.clone();
        bounds[0] = [start[0]; 2];
        let scale = power_of_two_below(voxel.samples);
        let problem = VoxelResiduals { model: self.model.as_ref(), voxel, scale };
        let Ok(minimum) = minimise(&problem, start, &bounds, Limits::default()) else {
            return fit.fail(FitStatus::Degenerate);
        };
        fit.evaluations = u32::try_from(minimum.evaluations).unwrap_or(u32::MAX);
        if !minimum.converged {
            return fit.fail(FitStatus::NotConverged);
        }
        fit.estimates.copy_from_slice(&minimum.parameters);
        fit.status = status_at(self.model.as_ref(), &fit.estimates, &self.bounds);
        self.model.signal(&fit.estimates, voxel.fixed, samples);
        set_sums(voxel.samples, samples, fit);
        self.covariance(voxel, &first, fit);
    }

    fn expected(&self, voxel: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        self.model.signal(&fit.estimates, voxel.fixed, expected);
    }
}
