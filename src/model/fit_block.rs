//! Many fits at once: samples in lanes, results in columns.
//!
//! A lane is one voxel, or one pseudo-experiment of a voxel. Lanes of one sample are neighbours, so
//! that batched solvers load vectors and gather nothing.

use super::{Estimator, Fit, FitStatus, VoxelData};

/// What an estimator sees of a block of lanes.
#[derive(Debug, Clone, Copy)]
pub struct LaneData<'a> {
    /// Signals, shape `[n_samples, n_lanes]`: all lanes of the first sample come first.
    pub samples: &'a [f64],
    /// Per-voxel constants, shape `[n_fixed, n_lanes]`.
    pub fixed: &'a [f64],
    /// Number of lanes.
    pub n_lanes: usize,
}

/// What is wanted of a block of fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Status and estimates, as pseudo-experiments need them; the other columns are left as they
    /// are.
    Estimates,
    /// Every column.
    Everything,
}

/// The fits of a block of lanes as columns. Reused from block to block, so estimating allocates
/// nothing.
#[derive(Debug, Clone)]
pub struct FitBlock {
    /// What is wanted.
    pub detail: Detail,
    /// Why each lane ended, shape `[n_lanes]`.
    pub status: Vec<FitStatus>,
    /// `estimates[parameter][lane]`; NaN where the status has no estimate.
    pub estimates: Vec<Vec<f64>>,
    /// `unscaled_variances[parameter][lane]`: the diagonal of (JᵀJ)⁻¹; NaN where not defined.
    pub unscaled_variances: Vec<Vec<f64>>,
    /// Σ (sample − model)², shape `[n_lanes]`.
    pub residual_sum_of_squares: Vec<f64>,
    /// Σ (sample − mean of samples)², shape `[n_lanes]`.
    pub total_sum_of_squares: Vec<f64>,
    /// Samples used minus parameters, shape `[n_lanes]`.
    pub degrees_of_freedom: Vec<u16>,
    /// Evaluations of the model, shape `[n_lanes]`.
    pub evaluations: Vec<u32>,
    /// Free for the estimator between its own uses; of any length.
    pub scratch: Vec<f64>,
    lane: OneLane,
}

/// Buffers for estimators that take one lane at a time.
#[derive(Debug, Clone)]
struct OneLane {
    samples: Vec<f64>,
    fixed: Vec<f64>,
    fit: Fit,
}

impl FitBlock {
    /// An empty block for up to any number of lanes of an estimator with `n_parameters`.
    pub fn new(n_parameters: usize, detail: Detail) -> Self {
        Self {
            detail,
            status: Vec::new(),
            estimates: vec![Vec::new(); n_parameters],
            unscaled_variances: vec![Vec::new(); n_parameters],
            residual_sum_of_squares: Vec::new(),
            total_sum_of_squares: Vec::new(),
            degrees_of_freedom: Vec::new(),
            evaluations: Vec::new(),
            scratch: Vec::new(),
            lane: OneLane { samples: Vec::new(), fixed: Vec::new(), fit: Fit::new(n_parameters) },
        }
    }

    /// Makes all columns `n_lanes` long; old values stay where they are.
    pub fn resize(&mut self, n_lanes: usize) {
        self.status.resize(n_lanes, FitStatus::Outside);
        for column in self.estimates.iter_mut().chain(&mut self.unscaled_variances) {
            column.resize(n_lanes, f64::NAN);
        }
        self.residual_sum_of_squares.resize(n_lanes, f64::NAN);
        self.total_sum_of_squares.resize(n_lanes, f64::NAN);
        self.degrees_of_freedom.resize(n_lanes, 0);
        self.evaluations.resize(n_lanes, 0);
    }

    /// Number of lanes of the columns.
    pub fn n_lanes(&self) -> usize {
        self.status.len()
    }

    /// Writes one fit into its lane.
    pub fn store(&mut self, lane: usize, fit: &Fit) {
        let n_parameters = self.estimates.len();
        self.status[lane] = fit.status;
        for (column, &estimate) in self.estimates.iter_mut().zip(&fit.estimates) {
            column[lane] = estimate;
        }
        if self.detail == Detail::Estimates {
            return;
        }
        for (parameter, column) in self.unscaled_variances.iter_mut().enumerate() {
            column[lane] = fit.unscaled_covariance[parameter * (n_parameters + 1)];
        }
        self.residual_sum_of_squares[lane] = fit.residual_sum_of_squares;
        self.total_sum_of_squares[lane] = fit.total_sum_of_squares;
        self.degrees_of_freedom[lane] = u16::try_from(fit.degrees_of_freedom).unwrap_or(u16::MAX);
        self.evaluations[lane] = fit.evaluations;
    }

    /// R² = 1 − RSS / TSS of a lane; NaN where all samples are equal.
    pub fn r_squared(&self, lane: usize) -> f64 {
        let total = self.total_sum_of_squares[lane];
        if total > 0.0 { 1.0 - self.residual_sum_of_squares[lane] / total } else { f64::NAN }
    }

    /// Residual variance, RSS / (n − p), of a lane; NaN without degrees of freedom.
    pub fn residual_variance(&self, lane: usize) -> f64 {
        match self.degrees_of_freedom[lane] {
            0 => f64::NAN,
            degrees => self.residual_sum_of_squares[lane] / f64::from(degrees),
        }
    }
}

/// Estimates lane after lane through [`Estimator::estimate`], but only lanes whose status is `wanted`;
/// the others keep what they have.
pub fn one_by_one<E: Estimator + ?Sized>(
    estimator: &E,
    lanes: LaneData<'_>,
    block: &mut FitBlock,
    wanted: impl Fn(FitStatus) -> bool,
) {
    block.resize(lanes.n_lanes);
    let mut scratch = std::mem::take(&mut block.scratch);
    scratch.resize(estimator.scratch_len().max(scratch.len()), 0.0);
    let mut one = std::mem::replace(
        &mut block.lane,
        OneLane { samples: Vec::new(), fixed: Vec::new(), fit: Fit::new(0) },
    );
    one.samples.resize(estimator.n_samples(), 0.0);
    one.fixed.resize(estimator.n_fixed(), 0.0);
    for lane in 0..lanes.n_lanes {
        if !wanted(block.status[lane]) {
            continue;
        }
        gather(lanes.samples, lane, &mut one.samples);
        gather(lanes.fixed, lane, &mut one.fixed);
        let voxel = VoxelData { samples: &one.samples, fixed: &one.fixed };
        estimator.estimate(voxel, &mut scratch, &mut one.fit);
        block.store(lane, &one.fit);
    }
    block.lane = one;
    block.scratch = scratch;
}

/// One lane of `columns`, shape `[values.len(), n_lanes]`.
fn gather(columns: &[f64], lane: usize, values: &mut [f64]) {
    if values.is_empty() {
        return;
    }
    let n_lanes = columns.len() / values.len();
    for (value, column) in values.iter_mut().zip(columns.chunks_exact(n_lanes)) {
        *value = column[lane];
    }
}
