//! The columns that voxel-wise fits are kept in, borrowed for a block of voxels.
//!
//! # Reference
//!
//! Seber and Wild, "Nonlinear regression", Wiley 1989, chapter 2, doi:10.1002/0471725315 (standard
//! errors from (JᵀJ)⁻¹ and the residual variance).

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f64x8};

use super::{Fit, FitBlock, FitStatus};

/// Signals of lanes where a series keeps them: 32-bit, volume after volume. The signal of lane `l` in
/// sample `k` is `values[k·stride + first + l]`.
#[derive(Debug, Clone, Copy)]
pub struct StoredLanes<'a> {
    /// All signals.
    pub values: &'a [f32],
    /// From a lane to the same of the next sample.
    pub stride: usize,
    /// Before the first lane.
    pub first: usize,
    /// Number of lanes.
    pub n_lanes: usize,
}

impl StoredLanes<'_> {
    /// Writes the samples of one lane, shape `[n_samples]`.
    pub fn lane_into(&self, lane: usize, samples: &mut [f64]) {
        let own = self.values.iter().skip(self.first + lane).step_by(self.stride);
        for (sample, &value) in samples.iter_mut().zip(own) {
            *sample = f64::from(value);
        }
    }
}

/// Final columns of neighbouring voxels, each of shape `[n_lanes]`.
#[derive(Debug)]
pub struct FitColumns<'a> {
    /// `estimates[parameter][lane]`; NaN where the status has no estimate.
    pub estimates: Vec<&'a mut [f64]>,
    /// `standard_errors[parameter][lane]`; NaN where not defined.
    pub standard_errors: Vec<&'a mut [f64]>,
    /// Why each lane ended.
    pub status: &'a mut [FitStatus],
    /// Σ (sample − model)².
    pub residual_sum_of_squares: &'a mut [f64],
    /// R² = 1 − RSS / TSS.
    pub r_squared: &'a mut [f64],
    /// Samples used minus parameters.
    pub degrees_of_freedom: &'a mut [u16],
    /// Evaluations of the model.
    pub evaluations: &'a mut [u32],
    /// σ² of one sample, where it is known: standard errors come from it, else from the residuals.
    pub variance: Option<f64>,
}

impl FitColumns<'_> {
    /// Writes one fit into its lane.
    pub fn store(&mut self, lane: usize, fit: &Fit) {
        let n_parameters = self.estimates.len();
        self.status[lane] = fit.status;
        self.residual_sum_of_squares[lane] = fit.residual_sum_of_squares;
        self.r_squared[lane] = fit.r_squared();
        self.degrees_of_freedom[lane] = u16::try_from(fit.degrees_of_freedom).unwrap_or(u16::MAX);
        self.evaluations[lane] = fit.evaluations;
        let variance = self.variance.unwrap_or_else(|| fit.residual_variance());
        for parameter in 0..n_parameters {
            let unscaled = fit.unscaled_covariance[parameter * (n_parameters + 1)];
            self.estimates[parameter][lane] = fit.estimates[parameter];
            self.standard_errors[parameter][lane] = (variance * unscaled).sqrt();
        }
    }

    /// Copies a whole block, with R² and standard errors of its sums and variances.
    pub fn store_block(&mut self, fits: &FitBlock) {
        self.status.copy_from_slice(&fits.status);
        self.residual_sum_of_squares.copy_from_slice(&fits.residual_sum_of_squares);
        self.degrees_of_freedom.copy_from_slice(&fits.degrees_of_freedom);
        self.evaluations.copy_from_slice(&fits.evaluations);
        for (own, estimates) in self.estimates.iter_mut().zip(&fits.estimates) {
            own.copy_from_slice(estimates);
        }
        let level = Level::new();
        dispatch!(level, simd => self.derive(simd, fits));
    }

    /// R² as [`FitBlock::r_squared`], and standard errors: √(unscaled variance · σ²), with the
    /// residual variance for σ² where σ is not known.
    #[inline(always)]
    fn derive<S: Simd>(&mut self, simd: S, fits: &FitBlock) {
        let n_lanes = self.status.len();
        let whole = n_lanes - n_lanes % 8;
        for lane in (0..whole).step_by(8) {
            let lanes = lane..lane + 8;
            let load = |column: &[f64]| f64x8::from_slice(simd, &column[lanes.clone()]);
            let residual = load(&fits.residual_sum_of_squares);
            let total = load(&fits.total_sum_of_squares);
            let known = simd.splat_f64x8(1.0) - residual / total;
            let is_known = total.simd_gt(0.0);
            let r_squared = is_known.select(known, simd.splat_f64x8(f64::NAN));
            r_squared.store_slice(&mut self.r_squared[lanes.clone()]);
            let degrees = &fits.degrees_of_freedom[lanes.clone()];
            let variance = match self.variance {
                Some(variance) => simd.splat_f64x8(variance),
                None => residual * f64x8::from_slice(simd, &per_degree(degrees)),
            };
            for (own, unscaled) in self.standard_errors.iter_mut().zip(&fits.unscaled_variances) {
                (variance * load(unscaled)).sqrt().store_slice(&mut own[lanes.clone()]);
            }
        }
        for lane in whole..n_lanes {
            self.r_squared[lane] = fits.r_squared(lane);
            let degrees = &fits.degrees_of_freedom[lane..=lane];
            let residual = fits.residual_sum_of_squares[lane] * per_degree(degrees)[0];
            let variance = self.variance.unwrap_or(residual);
            for (own, unscaled) in self.standard_errors.iter_mut().zip(&fits.unscaled_variances) {
                own[lane] = (variance * unscaled[lane]).sqrt();
            }
        }
    }
}

/// 1 / degrees of freedom of up to eight lanes; NaN where there is none.
#[inline(always)]
fn per_degree(degrees: &[u16]) -> [f64; 8] {
    let first = degrees[0];
    let reciprocal = |degrees: u16| if degrees == 0 { f64::NAN } else { 1.0 / f64::from(degrees) };
    let mut reciprocals = [reciprocal(first); 8];
    if degrees.iter().any(|&own| own != first) {
        for (own, &degrees) in reciprocals.iter_mut().zip(degrees) {
            *own = reciprocal(degrees);
        }
    }
    reciprocals
}
