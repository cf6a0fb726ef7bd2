//! The uncertainty of each estimate, by repeating the experiment in the computer.

/// What the pseudo-experiments say of one parameter, per voxel in the order of `mask.indices()`.
#[derive(Debug, Clone, PartialEq)]
pub struct Uncertainty {
    /// SD over the replicates, unit of the parameter; infinite where more than 5 % are invalid.
    pub standard_deviation: Vec<f64>,
    /// SD / |estimate|; infinite where the estimate is ≤ 0 or there is none.
    pub relative: Vec<f64>,
    /// Mean over the replicates − estimate.
    pub bias: Vec<f64>,
    /// 15.87 % and 84.13 % quantiles over the replicates.
    pub interval_68: Vec<[f64; 2]>,
    /// Fraction of replicates that gave an estimate.
    pub valid_fraction: Vec<f64>,
    /// Pseudo-experiments per voxel.
    pub n_replicates: u32,
}
