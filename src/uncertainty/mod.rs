//! The uncertainty of each estimate, by repeating the experiment in the computer.
//!
//! [`pseudo_experiment`] draws it; [`covariance`] predicts it from the protocol alone.

pub mod covariance;
mod early_stop;
mod experiment;
pub mod pseudo_experiment;
mod quick;
mod summary;

pub use early_stop::EarlyStop;
pub use experiment::{Experiment, Replicates};
pub use pseudo_experiment::{Intervals, ObservedVoxels, PseudoExperiments, Smear};

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
    /// 2.5 % and 97.5 % quantiles likewise; empty where they were not asked for.
    pub interval_95: Vec<[f64; 2]>,
    /// Fraction of replicates that gave an estimate; 0 where none was drawn.
    pub valid_fraction: Vec<f64>,
    /// Pseudo-experiments that were drawn: fewer than asked for where an
    /// [early stop](EarlyStop) was allowed, 0 where the fit did not converge.
    pub n_used: Vec<u32>,
    /// Pseudo-experiments per voxel that were asked for.
    pub n_replicates: u32,
}
