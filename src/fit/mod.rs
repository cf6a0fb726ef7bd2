//! Estimates for every voxel of a mask.

use crate::image::Mask;
use crate::model::FitStatus;

/// Fits of all voxels of a mask as columns, in the order of `mask.indices()`.
#[derive(Debug, Clone)]
pub struct Fits {
    /// The voxels that were fitted.
    pub mask: Mask,
    /// `estimates[parameter][voxel]`; NaN where the status has no estimate.
    pub estimates: Vec<Vec<f64>>,
    /// `standard_errors[parameter][voxel]`: √ of the covariance's diagonal, scaled by σ² where the
    /// noise level is known, else by the residual variance; NaN where not defined.
    pub standard_errors: Vec<Vec<f64>>,
    /// Why each voxel ended.
    pub status: Vec<FitStatus>,
    /// Σ (sample − model)².
    pub residual_sum_of_squares: Vec<f64>,
    /// R² = 1 − RSS / TSS.
    pub r_squared: Vec<f64>,
    /// Degrees of freedom, samples used minus parameters.
    pub degrees_of_freedom: Vec<u16>,
    /// Evaluations of the model.
    pub evaluations: Vec<u32>,
}
