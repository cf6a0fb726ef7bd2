//! Every voxel of a mask through one estimator, in parallel and always to the same bits.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f64x8};
use rayon::prelude::*;

use super::Fits;
use crate::error::{Error, Result};
use crate::image::{Mask, Runs, Series, Volume};
use crate::model::{Detail, Estimator, FitBlock, FitStatus, LaneData};
use crate::noise::NoiseLevel;

/// Voxels per unit of work: large enough to hide the scheduling, small enough to share the end.
const BLOCK_LEN: usize = 512;

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
    let mut blocks = blocks(fits);
    blocks.par_iter_mut().for_each_init(
        || Worker::new(estimator),
        |worker, block| {
            worker.estimate(input, block.voxels);
            block.store(&worker.fits, input.noise);
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

/// The columns of neighbouring voxels of the mask.
struct Block<'a> {
    voxels: &'a [usize],
    estimates: Vec<&'a mut [f64]>,
    standard_errors: Vec<&'a mut [f64]>,
    status: &'a mut [FitStatus],
    residual_sum_of_squares: &'a mut [f64],
    r_squared: &'a mut [f64],
    degrees_of_freedom: &'a mut [u16],
    evaluations: &'a mut [u32],
}

/// Cuts the columns into disjoint blocks.
fn blocks(fits: &mut Fits) -> Vec<Block<'_>> {
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
            Block {
                voxels,
                estimates,
                standard_errors,
                status,
                residual_sum_of_squares: rss,
                r_squared,
                degrees_of_freedom,
                evaluations,
            }
        })
        .collect()
}

impl Block<'_> {
    fn store(&mut self, fits: &FitBlock, noise: Option<&NoiseLevel>) {
        self.status.copy_from_slice(&fits.status);
        self.residual_sum_of_squares.copy_from_slice(&fits.residual_sum_of_squares);
        self.degrees_of_freedom.copy_from_slice(&fits.degrees_of_freedom);
        self.evaluations.copy_from_slice(&fits.evaluations);
        for (own, estimates) in self.estimates.iter_mut().zip(&fits.estimates) {
            own.copy_from_slice(estimates);
        }
        let level = Level::new();
        let sigma = noise.map(NoiseLevel::sigma);
        dispatch!(level, simd => self.derive(simd, fits, sigma));
    }

    /// R² as [`FitBlock::r_squared`], and standard errors: √(unscaled variance · σ²), with the
    /// residual variance for σ² where σ is not known.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "becomes part of the function of its instruction set")]
    fn derive<S: Simd>(&mut self, simd: S, fits: &FitBlock, sigma: Option<f64>) {
        let n_lanes = self.voxels.len();
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
            let variance = match sigma {
                Some(sigma) => simd.splat_f64x8(sigma * sigma),
                None => {
                    residual
                        * f64x8::from_slice(
                            simd,
                            &per_degree(&fits.degrees_of_freedom[lanes.clone()]),
                        )
                }
            };
            for (own, unscaled) in self.standard_errors.iter_mut().zip(&fits.unscaled_variances) {
                (variance * load(unscaled)).sqrt().store_slice(&mut own[lanes.clone()]);
            }
        }
        for lane in whole..n_lanes {
            self.r_squared[lane] = fits.r_squared(lane);
            let degrees = &fits.degrees_of_freedom[lane..=lane];
            let residual = fits.residual_sum_of_squares[lane] * per_degree(degrees)[0];
            let variance = sigma.map_or(residual, |sigma| sigma * sigma);
            for (own, unscaled) in self.standard_errors.iter_mut().zip(&fits.unscaled_variances) {
                own[lane] = (variance * unscaled[lane]).sqrt();
            }
        }
    }
}

/// 1 / degrees of freedom of up to eight lanes; NaN where there is none.
#[inline(always)]
#[expect(clippy::inline_always, reason = "becomes part of the function of its instruction set")]
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

/// One thread's workspace.
struct Worker<'a> {
    estimator: &'a dyn Estimator,
    runs: Runs,
    samples: Vec<f64>,
    fixed: Vec<f64>,
    fits: FitBlock,
}

impl<'a> Worker<'a> {
    fn new(estimator: &'a dyn Estimator) -> Self {
        let fits = FitBlock::new(estimator.parameters().len(), Detail::Everything);
        Self { estimator, runs: Runs::default(), samples: Vec::new(), fixed: Vec::new(), fits }
    }

    fn estimate(&mut self, input: &Voxelwise<'_>, voxels: &[usize]) {
        let n_lanes = voxels.len();
        self.samples.resize(input.series.n_volumes() * n_lanes, 0.0);
        self.runs.set(voxels);
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
