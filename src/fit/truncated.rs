//! Echo trains without the echoes that are mostly noise floor.
//!
//! All echoes are fitted first; those whose fitted amplitude is below three noise levels are
//! dropped, never below a least number of early echoes, and the rest is fitted again until no more
//! fall out. An echo that was dropped does not come back. The echoes are dropped by their fitted
//! amplitude and not by the sample itself, which would favour the samples that noise has raised.
//!
//! # Reference
//!
//! Feng et al., "Improved MRI R2* relaxometry of iron-loaded liver with noise correction", Magn Reson
//! Med 2013, doi:10.1002/mrm.24607 (the noise floor in relaxometry and its remedies).

use crate::error::{Error, Result};
use crate::model::{Estimator, Fit, Model, Parameter, VoxelData};

/// Amplitudes below this many noise levels are dropped.
const LEVELS: f64 = 3.0;

/// Hands the leading samples of a decay to estimators of ever fewer samples.
pub struct TruncatedDecay {
    model: Box<dyn Model>,
    order: Vec<usize>,
    /// The estimator of the first k samples in `order`, for k from the least number on.
    by_length: Vec<Box<dyn Estimator>>,
    sigma: f64,
}

impl TruncatedDecay {
    /// Fits of the series that `model` describes; `order` lists its samples from the highest to the
    /// lowest signal, `by_length` an estimator of the leading samples for every number of them from
    /// the least that is kept to all; `sigma` is the noise level.
    ///
    /// # Errors
    ///
    /// `Mismatch` when the numbers of samples do not fit together.
    pub fn new(
        model: Box<dyn Model>,
        order: Vec<usize>,
        by_length: Vec<Box<dyn Estimator>>,
        sigma: f64,
    ) -> Result<Self> {
        let n = model.n_samples();
        let lengths = by_length.iter().rev().map(|estimator| estimator.n_samples());
        if order.len() != n
            || by_length.is_empty()
            || !lengths.eq((0..by_length.len()).map(|k| n - k))
        {
            return Err(Error::mismatch(format!(
                "estimators of {:?} leading samples for a series of {n}",
                by_length.iter().map(|estimator| estimator.n_samples()).collect::<Vec<_>>()
            )));
        }
        Ok(Self { model, order, by_length, sigma })
    }

    fn n_least(&self) -> usize {
        self.order.len() + 1 - self.by_length.len()
    }
}

impl Estimator for TruncatedDecay {
    fn parameters(&self) -> &[Parameter] {
        self.by_length[0].parameters()
    }

    fn n_samples(&self) -> usize {
        self.order.len()
    }

    fn scratch_len(&self) -> usize {
        let inner = self.by_length.iter().map(|estimator| estimator.scratch_len()).max();
        2 * self.order.len() + inner.unwrap_or(0)
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        let n = self.order.len();
        let (samples, rest) = scratch.split_at_mut(n);
        let (signal, rest) = rest.split_at_mut(n);
        for (sample, &k) in samples.iter_mut().zip(&self.order) {
            *sample = voxel.samples[k];
        }
        let mut n_kept = n;
        let mut evaluations = 0;
        loop {
            let inner = &self.by_length[n_kept - self.n_least()];
            let kept = VoxelData { samples: &samples[..n_kept], fixed: voxel.fixed };
            inner.estimate(kept, rest, fit);
            evaluations += fit.evaluations;
            fit.evaluations = evaluations;
            if !fit.status.has_estimate() {
                return;
            }
            self.model.signal(&fit.estimates, voxel.fixed, signal);
            let above = |&&k: &&usize| signal[k] >= LEVELS * self.sigma;
            let n_above = self.order.iter().take_while(above).count().max(self.n_least());
            if n_above >= n_kept {
                return;
            }
            n_kept = n_above;
        }
    }

    fn expected(&self, voxel: VoxelData<'_>, fit: &Fit, _: &mut [f64], expected: &mut [f64]) {
        self.model.signal(&fit.estimates, voxel.fixed, expected);
    }
}
