//! An estimator that looks at some of the samples only.

use crate::error::{Error, Result};
use crate::model::{Estimator, Fit, Model, Parameter, VoxelData};

/// Hands the samples `used` to an inner estimator and expects all of them back from the model.
///
/// A sample that is not used may be anything, NaN too.
pub struct SelectedSamples {
    inner: Box<dyn Estimator>,
    used: Vec<usize>,
    model: Box<dyn Model>,
}

impl SelectedSamples {
    /// `inner` on the samples `used` of the series that `model` describes.
    ///
    /// # Errors
    ///
    /// `Mismatch` when `inner` wants another number of samples or `used` points outside the series.
    pub fn new(inner: Box<dyn Estimator>, used: Vec<usize>, model: Box<dyn Model>) -> Result<Self> {
        if inner.n_samples() != used.len() || used.iter().any(|&k| k >= model.n_samples()) {
            return Err(Error::mismatch(format!(
                "samples {used:?} of {} for an estimator of {}",
                model.n_samples(),
                inner.n_samples()
            )));
        }
        Ok(Self { inner, used, model })
    }
}

impl Estimator for SelectedSamples {
    fn parameters(&self) -> &[Parameter] {
        self.inner.parameters()
    }

    fn n_samples(&self) -> usize {
        self.model.n_samples()
    }

    fn n_fixed(&self) -> usize {
        self.inner.n_fixed()
    }

    fn scratch_len(&self) -> usize {
        self.used.len() + self.inner.scratch_len()
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        let (samples, scratch) = scratch.split_at_mut(self.used.len());
        for (sample, &k) in samples.iter_mut().zip(&self.used) {
            *sample = voxel.samples[k];
        }
        self.inner.estimate(VoxelData { samples, fixed: voxel.fixed }, scratch, fit);
    }

    fn expected(&self, voxel: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        self.model.signal(&fit.estimates, voxel.fixed, expected);
    }
}
