//! Every voxel of a mask through one estimator, in parallel and always to the same bits.

use rayon::prelude::*;

use super::Fits;
use crate::error::{Error, Result};
use crate::image::{Mask, Runs, Series, Volume};
use crate::model::{Detail, Estimator, FitBlock, FitColumns, LaneData, StoredLanes};
use crate::noise::NoiseLevel;

/// Voxels per unit of work: large enough to hide the scheduling, small enough to share the end.
const BLOCK_LEN: usize = 2048;

/// What [`voxelwise`] works on.
#[derive(Clone, Copy)]
pub struct Voxelwise<'a> {
    /// Signals, one volume per sample of the estimator.
    pub series: &'a Series,
    /// Voxels to fit; may be empty.
    pub mask: &'a Mask,
    /// Per-voxel constants such as T10, one volume per constant of the estimator.
    pub fixed: &'a [Volume<f64>],
    /// σ of one sample, where it is known: standard errors come from it, else from the residuals.
    pub noise: Option<&'a NoiseLevel>,
    /// Called with the number of voxels after each block, from any thread and in any order.
    pub progress: Option<&'a (dyn Fn(usize) + Sync)>,
}

impl<'a> Voxelwise<'a> {
    /// `series` inside `mask`; no constants, noise unknown, no progress.
    pub fn new(series: &'a Series, mask: &'a Mask) -> Self {
        Self { series, mask, fixed: &[], noise: None, progress: None }
    }
}

/// Estimates every voxel of the mask. A voxel that cannot be estimated gets a status and NaN; it
/// never changes a neighbour. The result has the same bits for any number of threads.
///
/// # Errors
///
/// `Mismatch` when the grids of series, mask or constants differ, or the number of volumes or
/// constants is not what the estimator needs.
pub fn voxelwise(estimator: &dyn Estimator, input: &Voxelwise<'_>) -> Result<Fits> {
    let mut fits = Fits::empty(input.mask);
    voxelwise_into(estimator, input, &mut fits)?;
    Ok(fits)
}

/// As [`voxelwise`], into the columns of `fits`, whose memory is used again: the pages of new columns
/// cost as much as the fits.
///
/// # Errors
///
/// As [`voxelwise`]; then `fits` is unchanged.
pub fn voxelwise_into(
    estimator: &dyn Estimator,
    input: &Voxelwise<'_>,
    fits: &mut Fits,
) -> Result<()> {
    check(estimator, input)?;
    fits.reset(estimator.parameters().len(), input.mask);
    let variance = input.noise.map(|noise| noise.sigma() * noise.sigma());
    let mut blocks = blocks(fits, variance);
    blocks.par_iter_mut().for_each_init(
        || Worker::new(estimator),
        |worker, block| {
            worker.estimate(input, block);
            if let Some(progress) = input.progress {
                progress(block.voxels.len());
            }
        },
    );
    Ok(())
}

fn check(estimator: &dyn Estimator, input: &Voxelwise<'_>) -> Result<()> {
    let grid = input.series.grid();
    grid.require_same(input.mask.grid()).map_err(|error| {
        error.at_field("mask").hint("resample the mask onto the grid of the series")
    })?;
    for (index, volume) in input.fixed.iter().enumerate() {
        grid.require_same(volume.grid()).map_err(|error| {
            error
                .at_field(format!("fixed[{index}]"))
                .hint("resample it onto the grid of the series")
        })?;
    }
    if input.series.n_volumes() != estimator.n_samples() {
        return Err(Error::mismatch(format!(
            "the series has {} volumes, its protocol describes {}",
            input.series.n_volumes(),
            estimator.n_samples()
        ))
        .at_field("series")
        .hint("give one b-value, echo time, flip angle or frame time per volume"));
    }
    if input.fixed.len() != estimator.n_fixed() {
        return Err(Error::mismatch(format!(
            "{} constant maps given, {} needed",
            input.fixed.len(),
            estimator.n_fixed()
        ))
        .at_field("fixed"));
    }
    Ok(())
}

/// Neighbouring voxels of the mask and their columns.
struct Block<'a> {
    voxels: &'a [usize],
    columns: FitColumns<'a>,
}

/// Cuts the columns into disjoint blocks.
fn blocks(fits: &mut Fits, variance: Option<f64>) -> Vec<Block<'_>> {
    let n_blocks = fits.mask.len().div_ceil(BLOCK_LEN);
    let transpose = |columns| -> Vec<Vec<&mut [f64]>> {
        let mut blocks: Vec<Vec<&mut [f64]>> = (0..n_blocks).map(|_| Vec::new()).collect();
        let columns: &mut Vec<Vec<f64>> = columns;
        for column in columns {
            for (block, part) in blocks.iter_mut().zip(column.chunks_mut(BLOCK_LEN)) {
                block.push(part);
            }
        }
        blocks
    };
    let scalars = fits
        .status
        .chunks_mut(BLOCK_LEN)
        .zip(fits.residual_sum_of_squares.chunks_mut(BLOCK_LEN))
        .zip(fits.r_squared.chunks_mut(BLOCK_LEN))
        .zip(fits.degrees_of_freedom.chunks_mut(BLOCK_LEN))
        .zip(fits.evaluations.chunks_mut(BLOCK_LEN));
    fits.mask
        .indices()
        .chunks(BLOCK_LEN)
        .zip(transpose(&mut fits.estimates))
        .zip(transpose(&mut fits.standard_errors))
        .zip(scalars)
        .map(|(((voxels, estimates), standard_errors), scalars)| {
            let ((((status, rss), r_squared), degrees_of_freedom), evaluations) = scalars;
            let columns = FitColumns {
                estimates,
                standard_errors,
                status,
                residual_sum_of_squares: rss,
                r_squared,
                degrees_of_freedom,
                evaluations,
                variance,
            };
            Block { voxels, columns }
        })
        .collect()
}

/// One thread's workspace.
struct Worker<'a> {
    estimator: &'a dyn Estimator,
    runs: Runs,
    stored: Vec<f32>,
    samples: Vec<f64>,
    fixed: Vec<f64>,
    fits: FitBlock,
}

impl<'a> Worker<'a> {
    fn new(estimator: &'a dyn Estimator) -> Self {
        Self {
            estimator,
            runs: Runs::default(),
            stored: Vec::new(),
            samples: Vec::new(),
            fixed: Vec::new(),
            fits: FitBlock::new(estimator.parameters().len(), Detail::Everything),
        }
    }

    fn estimate(&mut self, input: &Voxelwise<'_>, block: &mut Block<'_>) {
        self.runs.set(block.voxels);
        if !self.estimate_stored(input.series, &mut block.columns) {
            self.estimate_block(input, block.voxels);
            block.columns.store_block(&self.fits);
        }
    }

    /// From where the series keeps its values, if they are signals.
    fn estimate_stored(&mut self, series: &Series, columns: &mut FitColumns<'_>) -> bool {
        if self.estimator.n_fixed() > 0 {
            return false;
        }
        let (stride, n_lanes) = (series.grid().n_voxels(), self.runs.n_lanes());
        let Some(values) = series.stored_signals() else { return false };
        if let Some(first) = self.runs.whole() {
            let lanes = StoredLanes { values, stride, first, n_lanes };
            return self.estimator.estimate_stored(lanes, columns);
        }
        self.stored.resize(series.n_volumes() * n_lanes, 0.0);
        for (volume, row) in values.chunks_exact(stride).zip(self.stored.chunks_exact_mut(n_lanes))
        {
            self.runs.copy(volume, row);
        }
        let lanes = StoredLanes { values: &self.stored, stride: n_lanes, first: 0, n_lanes };
        self.estimator.estimate_stored(lanes, columns)
    }

    fn estimate_block(&mut self, input: &Voxelwise<'_>, voxels: &[usize]) {
        let n_lanes = voxels.len();
        self.samples.resize(input.series.n_volumes() * n_lanes, 0.0);
        for volume in 0..input.series.n_volumes() {
            if self.estimator.reads_sample(volume) {
                let lanes = volume * n_lanes..(volume + 1) * n_lanes;
                input.series.lanes_of_runs_into(volume, &self.runs, &mut self.samples[lanes]);
            }
        }
        self.fixed.clear();
        for volume in input.fixed {
            self.fixed.extend(voxels.iter().map(|&voxel| volume.voxels()[voxel]));
        }
        let lanes = LaneData { samples: &self.samples, fixed: &self.fixed, n_lanes };
        self.estimator.estimate_block(lanes, &mut self.fits);
    }
}

#[cfg(test)]
mod tests;
