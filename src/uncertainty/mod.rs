//! The uncertainty of each estimate, by repeating the experiment in the computer.
//!
//! [`pseudo_experiment`] draws it; [`covariance`] predicts it from the protocol alone.

pub mod covariance;
pub mod pseudo_experiment;

pub use pseudo_experiment::{ObservedVoxels, PseudoExperiments, Smear};

/// What the pseudo-experiments say of one parameter, per voxel in the order of `mask.indices()`.
#[derive(Debug, Clone, PartialEq)]
pub struct Uncertainty {
    /// SD over the replicates, unit of the parameter; infinite where the fit did not converge inside
    /// its bounds, where more than 5 % of the replicates are invalid, and where they never move.
    pub standard_deviation: Vec<f64>,
    /// SD / |estimate|; infinite where the SD is, and where the estimate is ≤ 0.
    pub relative: Vec<f64>,
    /// Mean over the valid replicates − estimate; NaN where the SD is infinite.
    pub bias: Vec<f64>,
    /// 15.87 % and 84.13 % quantiles over the valid replicates; NaN where the SD is infinite.
    pub interval_68: Vec<[f64; 2]>,
    /// Fraction of replicates that gave an estimate.
    pub valid_fraction: Vec<f64>,
    /// Pseudo-experiments per voxel.
    pub n_replicates: u32,
}
