//! Pseudo-experiments: smear, estimate again, and see how far the estimates spread.
//!
//! [`Smear::Signal`] draws every sample anew around the noise-free samples of the reported estimate
//! and runs the identical estimator. [`Smear::Map`] draws the estimate itself,
//! θ* = θ̂ + u·N(0, 1), u from the covariance of the fit: quicker, and blind to everything that is
//! not linear. Either way the replicates of one voxel are the lanes of
//! [`Estimator::estimate_block`], drawn and summarised by vectors.
//!
//! A replicate is valid when its status [has an estimate](crate::model::FitStatus::has_estimate):
//! an estimate at a bound counts, because the reported estimate would have been that bound too.
//! A *reported* estimate at a bound is no optimum: samples drawn around it are not those that were
//! measured, and the bound hides their spread. Its uncertainty is infinite, and so is one whose
//! replicates never move.
//!
//! Around *observed* magnitudes (an estimator without a model) Rician noise would add the noise
//! floor a second time: choose [`NoiseDistribution::Gaussian`] there.
//!
//! # Reference
//!
//! Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 6 (parametric bootstrap),
//! doi:10.1201/9780429246593.

use super::early_stop::EarlyStop;
use super::{Experiment, Uncertainty};
use crate::error::{Error, Result};
use crate::fit::Fits;
use crate::image::{Series, Volume};
use crate::model::Estimator;
use crate::noise::{NoiseDistribution, NoiseLevel};
use crate::random::StreamKey;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Smear {
    /// The samples; the whole estimator runs again.
    Signal,
    /// The estimate, from the covariance of its fit.
    Map,
}

/// Which central intervals are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervals {
    /// 68.27 %.
    Central68,
    /// 68.27 % and 95 %.
    Central68And95,
}

/// How many pseudo-experiments of which kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PseudoExperiments {
    /// Per voxel; the relative standard error of an SD is 1/√(2(n − 1)), 2.2 % for 1000.
    pub n_replicates: u32,
    /// What is drawn.
    pub smear: Smear,
    /// How samples are drawn; `Gaussian` where they are drawn around observed magnitudes.
    pub distribution: NoiseDistribution,
    /// Which intervals are wanted.
    pub intervals: Intervals,
    /// Fewer pseudo-experiments where the gate is decided; all of them where absent.
    pub early_stop: Option<EarlyStop>,
}

impl Default for PseudoExperiments {
    fn default() -> Self {
        Self {
            n_replicates: 1000,
            smear: Smear::Signal,
            distribution: NoiseDistribution::Rician,
            intervals: Intervals::Central68,
            early_stop: None,
        }
    }
}

/// Called with the number of voxels just finished, from any thread.
pub type Progress<'a> = &'a (dyn Fn(usize) + Sync);

/// What was measured and fitted; the voxels are those of `fits.mask`.
#[derive(Clone, Copy)]
pub struct ObservedVoxels<'a> {
    pub(super) series: &'a Series,
    pub(super) fits: &'a Fits,
    pub(super) fixed: &'a [&'a Volume<f64>],
    pub(super) noise_scale: Option<&'a [f64]>,
    pub(super) progress: Option<Progress<'a>>,
}

impl<'a> ObservedVoxels<'a> {
    /// The `series`, its `fits`, and one volume per constant of the estimator (T10 in s).
    ///
    /// # Errors
    ///
    /// `Mismatch` when the grids differ or the columns of `fits` are not of its mask.
    pub fn new(series: &'a Series, fits: &'a Fits, fixed: &'a [&'a Volume<f64>]) -> Result<Self> {
        series.grid().require_same(fits.mask.grid()).map_err(|error| error.at_field("fits"))?;
        for volume in fixed {
            series.grid().require_same(volume.grid()).map_err(|error| error.at_field("fixed"))?;
        }
        let n = fits.mask.len();
        let columns = fits.estimates.iter().chain(&fits.standard_errors).map(Vec::len);
        if columns.chain([fits.status.len()]).any(|length| length != n) {
            return Err(Error::mismatch(format!("columns of the fits do not hold {n} voxels")));
        }
        Ok(Self { series, fits, fixed, noise_scale: None, progress: None })
    }

    /// Takes the noise of every voxel of the fits as σ times `scale`: interpolated signals.
    ///
    /// # Errors
    ///
    /// `Mismatch` when there is not one scale per voxel.
    pub fn with_noise_scale(self, scale: &'a [f64]) -> Result<Self> {
        if scale.len() != self.fits.mask.len() {
            let (n, of) = (scale.len(), self.fits.mask.len());
            return Err(Error::mismatch(format!("{n} scales of the noise for {of} voxels")));
        }
        Ok(Self { noise_scale: Some(scale), ..self })
    }

    /// Reports every finished block of voxels to `progress`.
    #[must_use]
    pub fn with_progress(self, progress: Progress<'a>) -> Self {
        Self { progress: Some(progress), ..self }
    }
}

/// The uncertainty of every parameter of `estimator`, in their order, per voxel of the fits.
///
/// Draws depend on `key`, the linear index of the voxel and the replicate alone: the same bytes for
/// every number of threads and every mask that holds the voxel. Memory is voxels × parameters.
/// A voxel that did not converge has infinite uncertainty and a valid fraction of 0.
///
/// # Errors
///
/// As [`Experiment::new`].
pub fn run(
    estimator: &dyn Estimator,
    observed: &ObservedVoxels<'_>,
    noise: &NoiseLevel,
    settings: PseudoExperiments,
    key: StreamKey,
) -> Result<Vec<Uncertainty>> {
    Ok(Experiment::new(estimator, observed, noise, settings, key)?.uncertainties())
}

pub(super) fn check(
    estimator: &dyn Estimator,
    observed: &ObservedVoxels<'_>,
    settings: PseudoExperiments,
) -> Result<()> {
    if settings.n_replicates < 2 {
        return Err(Error::value(format!(
            "{} pseudo-experiments, fewer than 2",
            settings.n_replicates
        ))
        .at_field("n_replicates"));
    }
    let fits = observed.fits;
    let n_parameters = estimator.parameters().len();
    for (what, needed, found) in [
        ("volumes", estimator.n_samples(), observed.series.n_volumes()),
        ("constants", estimator.n_fixed(), observed.fixed.len()),
        ("parameters", n_parameters, fits.estimates.len()),
        ("standard errors", n_parameters, fits.standard_errors.len()),
    ] {
        if needed != found {
            return Err(Error::mismatch(format!(
                "the estimator has {needed} {what}, the observed voxels {found}"
            )));
        }
    }
    Ok(())
}
