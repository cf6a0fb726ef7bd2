//! One voxel: what goes into an estimator and what comes out.
//!
//! The plain types stand here, below the fitting algorithms, because perfusion, fitting and
//! pseudo-experiments all exchange them.

use super::fit_block::one_by_one;
use super::{FitBlock, FitColumns, LaneData, Parameter, StoredLanes};
use crate::solver::variable_projection::{FITS, Responses};

/// Why a voxel ended as it did; its code is what the status map stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum FitStatus {
    /// Not in the mask; nothing was tried.
    Outside = 0,
    /// At the optimum.
    Converged = 1,
    /// A sample is NaN or infinite.
    NonFinite = 2,
    /// Too few positive samples to say anything.
    NoSignal = 3,
    /// The iteration limit came before the stop rule.
    NotConverged = 4,
    /// The optimum lies at or below the lower bound of the headline parameter.
    AtLowerBound = 5,
    /// The optimum lies at or above the upper bound of the headline parameter.
    AtUpperBound = 6,
    /// The samples do not determine the parameters (singular normal matrix).
    Degenerate = 7,
    /// Signal outside the range that the signal equation can invert.
    Saturated = 8,
    /// The series ends before the integration window does.
    WindowIncomplete = 9,
    /// A per-voxel constant, such as T10, is missing or out of range here.
    FixedInvalid = 10,
    /// At the optimum; the headline parameter lies inside its bounds, another one at a bound.
    AnotherAtBound = 11,
    /// At the optimum, but where the signal equation is not valid.
    BeyondModel = 12,
}

impl FitStatus {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 13] = [
        Self::Outside,
        Self::Converged,
        Self::NonFinite,
        Self::NoSignal,
        Self::NotConverged,
        Self::AtLowerBound,
        Self::AtUpperBound,
        Self::Degenerate,
        Self::Saturated,
        Self::WindowIncomplete,
        Self::FixedInvalid,
        Self::AnotherAtBound,
        Self::BeyondModel,
    ];

    /// Value in the status map.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Name in tables and legends.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Converged => "converged",
            Self::NonFinite => "non_finite_signal",
            Self::NoSignal => "no_signal",
            Self::NotConverged => "not_converged",
            Self::AtLowerBound => "at_lower_bound",
            Self::AtUpperBound => "at_upper_bound",
            Self::Degenerate => "degenerate",
            Self::Saturated => "saturated",
            Self::WindowIncomplete => "window_incomplete",
            Self::FixedInvalid => "fixed_parameter_invalid",
            Self::AnotherAtBound => "another_parameter_at_bound",
            Self::BeyondModel => "beyond_model_validity",
        }
    }

    /// Whether the estimates are numbers that may be used (bounds are flagged but usable).
    pub fn has_estimate(self) -> bool {
        matches!(
            self,
            Self::Converged
                | Self::AtLowerBound
                | Self::AtUpperBound
                | Self::AnotherAtBound
                | Self::BeyondModel
        )
    }

    /// Whether the headline parameter is at an optimum inside its bounds and the model is valid
    /// there.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Converged | Self::AnotherAtBound)
    }
}

/// What an estimator sees of one voxel.
#[derive(Debug, Clone, Copy)]
pub struct VoxelData<'a> {
    /// Signals, one per volume, shape `[n_samples]`.
    pub samples: &'a [f64],
    /// Per-voxel constants such as T10 in s; empty where the estimator needs none.
    pub fixed: &'a [f64],
}

/// One fitted voxel. Reused from voxel to voxel, so estimating allocates nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Why it ended.
    pub status: FitStatus,
    /// Estimates in the order of the parameters; NaN where `status` has no estimate.
    pub estimates: Vec<f64>,
    /// (JᵀJ)⁻¹ at the optimum, `[n_parameters, n_parameters]` row-major: multiply by the variance
    /// of one sample to get the covariance. NaN where it is not defined.
    pub unscaled_covariance: Vec<f64>,
    /// Σ (sample − model)².
    pub residual_sum_of_squares: f64,
    /// Σ (sample − mean of samples)².
    pub total_sum_of_squares: f64,
    /// Samples used minus parameters; 0 where nothing is left to judge the fit by.
    pub degrees_of_freedom: usize,
    /// Evaluations of the model.
    pub evaluations: u32,
}

impl Fit {
    /// An empty fit for `n_parameters`.
    pub fn new(n_parameters: usize) -> Self {
        Self {
            status: FitStatus::Outside,
            estimates: vec![f64::NAN; n_parameters],
            unscaled_covariance: vec![f64::NAN; n_parameters * n_parameters],
            residual_sum_of_squares: f64::NAN,
            total_sum_of_squares: f64::NAN,
            degrees_of_freedom: 0,
            evaluations: 0,
        }
    }

    /// Clears all numbers and records why there are none.
    pub fn fail(&mut self, status: FitStatus) {
        self.status = status;
        self.estimates.fill(f64::NAN);
        self.unscaled_covariance.fill(f64::NAN);
        self.residual_sum_of_squares = f64::NAN;
        self.total_sum_of_squares = f64::NAN;
        self.degrees_of_freedom = 0;
    }

    /// Residual variance, RSS / (n − p); NaN without degrees of freedom.
    pub fn residual_variance(&self) -> f64 {
        if self.degrees_of_freedom == 0 {
            f64::NAN
        } else {
            self.residual_sum_of_squares / self.degrees_of_freedom as f64
        }
    }

    /// R² = 1 − RSS / TSS; NaN where all samples are equal.
    pub fn r_squared(&self) -> f64 {
        if self.total_sum_of_squares > 0.0 {
            1.0 - self.residual_sum_of_squares / self.total_sum_of_squares
        } else {
            f64::NAN
        }
    }
}

/// From the samples of one voxel to estimates: a model fit, or a direct measure such as IAUC60.
///
/// Voxel-wise maps and pseudo-experiments run any estimator through this one door, so that
/// uncertainty always belongs to exactly the estimate that is reported.
pub trait Estimator: Send + Sync {
    /// What it estimates; the first is the headline.
    fn parameters(&self) -> &[Parameter];

    /// Samples it needs per voxel.
    fn n_samples(&self) -> usize;

    /// Constants it needs per voxel.
    fn n_fixed(&self) -> usize {
        0
    }

    /// Length of the `scratch` slice that [`Estimator::estimate`] and [`Estimator::expected`] may
    /// overwrite.
    fn scratch_len(&self) -> usize;

    /// Estimates one voxel into `fit`. Never panics: what cannot be estimated becomes a status.
    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit);

    /// Writes the noise-free samples that pseudo-experiments smear, shape `[n_samples]`: the model
    /// at the estimates, or the observed samples where there is no model.
    fn expected(&self, voxel: VoxelData<'_>, fit: &Fit, scratch: &mut [f64], expected: &mut [f64]);

    /// Whether it looks at `sample` of a voxel; the others need not be filled in.
    fn reads_sample(&self, _sample: usize) -> bool {
        true
    }

    /// Estimates all lanes into `block`, which is resized to them. A lane gets what
    /// [`Estimator::estimate`] gives, to the precision the estimator states, whatever its neighbours
    /// are. Batched estimators write their own.
    fn estimate_block(&self, lanes: LaneData<'_>, block: &mut FitBlock) {
        one_by_one(self, lanes, block, |_| true);
    }

    /// Estimates 32-bit lanes straight into final columns and returns `true`, where the estimator can;
    /// the fits are those of [`Estimator::estimate_block`]. Else returns `false` and writes nothing.
    fn estimate_stored(&self, _lanes: StoredLanes<'_>, _columns: &mut FitColumns<'_>) -> bool {
        false
    }

    /// Prepares `responses` to noise of SD `sigma` around the samples that [`Estimator::expected`]
    /// gives for up to eight fits, `estimates[parameter][fit]`. A settled answer is what
    /// [`Estimator::estimate`] gives for the same samples, to 2·10⁻⁶ of the headline, with a status that
    /// has an estimate. `false`, and nothing else, where there is no quick way.
    fn respond(&self, _estimates: &[[f64; FITS]], _sigma: f64, _responses: &mut Responses) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_are_their_place_in_the_list() {
        for (index, status) in FitStatus::ALL.iter().enumerate() {
            assert_eq!(usize::from(status.code()), index);
        }
    }

    #[test]
    fn a_failed_fit_has_no_numbers() {
        let mut fit = Fit::new(2);
        fit.estimates.fill(1.0);
        fit.fail(FitStatus::NoSignal);
        assert!(fit.estimates.iter().all(|estimate| estimate.is_nan()));
        assert!(fit.residual_variance().is_nan() && fit.r_squared().is_nan());
        assert!(!fit.status.has_estimate() && FitStatus::AtUpperBound.has_estimate());
    }
}
