//! Fits of images: masked, and of packed voxels.

use std::hint::black_box;
use std::path::Path;

use biomarker::fit::{Fits, Voxelwise, voxelwise_into};
use biomarker::image::{Mask, Series};
use biomarker::io::nifti::{self, ReadLimits};
use biomarker::model::{
    Estimator, Fit, FitBlock, FitColumns, FitStatus, LaneData, Parameter, StoredLanes, VoxelData,
};

use super::{Result, Workload, estimators};

/// Voxels whose estimates are handed out.
const N_REPORTED: usize = 2000;
/// Lanes of one packed block.
const LANES: usize = 2048;
/// Blocks that stay in the caches.
const N_CACHED: usize = 2;

/// The series `name` of `folder`.
pub(crate) fn series(folder: &Path, name: &str) -> Result<Series> {
    Ok(nifti::read_series(&folder.join(name), &ReadLimits::default())?.image)
}

/// The mask `name` of `folder`.
pub(crate) fn mask(folder: &Path, name: &str) -> Result<Mask> {
    Ok(nifti::read_mask(&folder.join(name), &ReadLimits::default())?.image)
}

/// Places `i·n/2000` of `n`, or all of fewer.
fn reported(n: usize) -> impl Iterator<Item = usize> {
    let count = n.min(N_REPORTED);
    (0..count).map(move |i| i * n / count)
}

/// From the 4-D volume and a mask to columns, as the program fits.
pub(crate) struct Masked {
    series: Series,
    mask: Mask,
    estimator: Box<dyn Estimator>,
    /// Columns that every run writes again.
    fits: Fits,
}

impl Masked {
    pub(crate) fn t2(folder: &Path, mask: Option<&str>) -> Result<Self> {
        Self::new(folder, "t2.nii", mask, estimators::t2()?)
    }

    pub(crate) fn adc(folder: &Path, mask: Option<&str>) -> Result<Self> {
        Self::new(folder, "adc.nii", mask, estimators::adc()?)
    }

    /// Loads and stores of [`Masked::t2`] without its arithmetic: the limit.
    pub(crate) fn t2_traffic(folder: &Path, mask: Option<&str>) -> Result<Self> {
        Self::new(folder, "t2.nii", mask, Box::new(Traffic::of(&*estimators::t2()?)))
    }

    /// Loads and stores of [`Masked::adc`] without its arithmetic: the limit.
    pub(crate) fn adc_traffic(folder: &Path, mask: Option<&str>) -> Result<Self> {
        Self::new(folder, "adc.nii", mask, Box::new(Traffic::of(&*estimators::adc()?)))
    }

    pub(crate) fn iauc60(folder: &Path) -> Result<Self> {
        Self::new(folder, "dce.nii", None, Box::new(estimators::iauc60()?))
    }

    /// Loads and stores of [`Masked::iauc60`] without its arithmetic: the limit.
    pub(crate) fn iauc60_traffic(folder: &Path) -> Result<Self> {
        let traffic = Traffic::of(&estimators::iauc60()?);
        Self::new(folder, "dce.nii", None, Box::new(traffic))
    }

    fn new(
        folder: &Path,
        image: &str,
        name: Option<&str>,
        estimator: Box<dyn Estimator>,
    ) -> Result<Self> {
        let series = series(folder, image)?;
        let mask = match name {
            Some(name) => mask(folder, name)?,
            None => Mask::full(*series.grid()),
        };
        let fits = Fits::empty(&mask);
        Ok(Self { series, mask, estimator, fits })
    }
}

impl Workload for Masked {
    fn n_items(&self) -> usize {
        self.mask.len()
    }

    fn run(&mut self) -> Result<()> {
        let input = Voxelwise::new(&self.series, &self.mask);
        Ok(voxelwise_into(&*self.estimator, &input, &mut self.fits)?)
    }

    /// The first parameter of up to 2000 voxels, evenly spread over the mask.
    fn values(&self) -> Vec<f64> {
        let estimates = self.fits.estimates.first().map_or(&[][..], Vec::as_slice);
        reported(estimates.len()).map(|place| estimates[place]).collect()
    }
}

/// Takes the sum of the samples for every number.
struct Traffic {
    parameters: Vec<Parameter>,
    /// Whether each sample is read.
    reads: Vec<bool>,
}

impl Traffic {
    fn of(estimator: &dyn Estimator) -> Self {
        let reads = (0..estimator.n_samples()).map(|k| estimator.reads_sample(k)).collect();
        Self { parameters: estimator.parameters().to_vec(), reads }
    }
}

impl Estimator for Traffic {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn n_samples(&self) -> usize {
        self.reads.len()
    }

    fn reads_sample(&self, sample: usize) -> bool {
        self.reads[sample]
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn estimate(&self, _: VoxelData<'_>, _: &mut [f64], fit: &mut Fit) {
        fit.fail(FitStatus::Outside);
    }

    fn estimate_block(&self, lanes: LaneData<'_>, block: &mut FitBlock) {
        let n = lanes.n_lanes;
        block.resize(n);
        block.residual_sum_of_squares.fill(0.0);
        for k in (0..self.reads.len()).filter(|&k| self.reads[k]) {
            let row = &lanes.samples[k * n..(k + 1) * n];
            for (sum, &value) in block.residual_sum_of_squares.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let sums = &block.residual_sum_of_squares;
        for column in block.estimates.iter_mut().chain(&mut block.unscaled_variances) {
            column.copy_from_slice(sums);
        }
        block.total_sum_of_squares.copy_from_slice(sums);
        block.status.fill(FitStatus::Converged);
        block.degrees_of_freedom.fill(1);
        block.evaluations.fill(1);
    }

    fn estimate_stored(&self, lanes: StoredLanes<'_>, columns: &mut FitColumns<'_>) -> bool {
        if self.reads.contains(&false) {
            return false;
        }
        let mut sums = [0.0; 32];
        for from in (0..lanes.n_lanes).step_by(sums.len()) {
            let to = lanes.n_lanes.min(from + sums.len());
            let sums = &mut sums[..to - from];
            sums.fill(0.0);
            for k in 0..self.reads.len() {
                let row = &lanes.values[k * lanes.stride + lanes.first + from..];
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += f64::from(value);
                }
            }
            for column in columns.estimates.iter_mut().chain(&mut columns.standard_errors) {
                column[from..to].copy_from_slice(sums);
            }
            columns.residual_sum_of_squares[from..to].copy_from_slice(sums);
            columns.r_squared[from..to].copy_from_slice(sums);
            columns.evaluations[from..to].fill(1);
        }
        columns.status.fill(FitStatus::Converged);
        columns.degrees_of_freedom.fill(1);
        true
    }

    fn expected(&self, _: VoxelData<'_>, _: &Fit, _: &mut [f64], expected: &mut [f64]) {
        expected.fill(f64::NAN);
    }
}

/// The same voxels, already gathered into lanes of 32-bit signals as the file holds them: the solver
/// alone, with standard errors, sums of squares and R².
pub(crate) struct Packed {
    blocks: Vec<Vec<f32>>,
    estimator: Box<dyn Estimator>,
    n_voxels: usize,
    n_runs: usize,
    room: Room,
}

/// Columns of one block, written again by every block.
struct Room {
    reals: Vec<Vec<f64>>,
    status: Vec<FitStatus>,
    degrees_of_freedom: Vec<u16>,
    evaluations: Vec<u32>,
}

impl Room {
    fn new(n_parameters: usize) -> Self {
        Self {
            reals: vec![vec![0.0; LANES]; 2 * n_parameters + 2],
            status: vec![FitStatus::Outside; LANES],
            degrees_of_freedom: vec![0; LANES],
            evaluations: vec![0; LANES],
        }
    }

    fn columns(&mut self, n_lanes: usize) -> FitColumns<'_> {
        let mut reals: Vec<&mut [f64]> =
            self.reals.iter_mut().map(|column| &mut column[..n_lanes]).collect();
        let (residual_sum_of_squares, r_squared) = match (reals.pop(), reals.pop()) {
            (Some(residual), Some(r_squared)) => (residual, r_squared),
            _ => (&mut [][..], &mut [][..]),
        };
        let standard_errors = reals.split_off(reals.len() / 2);
        FitColumns {
            estimates: reals,
            standard_errors,
            status: &mut self.status[..n_lanes],
            residual_sum_of_squares,
            r_squared,
            degrees_of_freedom: &mut self.degrees_of_freedom[..n_lanes],
            evaluations: &mut self.evaluations[..n_lanes],
            variance: None,
        }
    }
}

impl Packed {
    pub(crate) fn t2(folder: &Path) -> Result<Self> {
        let (series, mask) = (series(folder, "t2.nii")?, mask(folder, "t2_mask.nii")?);
        Ok(Self::new(&series, &mask, estimators::t2()?))
    }

    pub(crate) fn adc(folder: &Path) -> Result<Self> {
        let (series, mask) = (series(folder, "adc.nii")?, mask(folder, "adc_region.nii")?);
        Ok(Self::new(&series, &mask, estimators::adc()?))
    }

    fn new(series: &Series, mask: &Mask, estimator: Box<dyn Estimator>) -> Self {
        let packed = |voxels: &[usize]| {
            let mut samples = vec![0.0; series.n_volumes() * voxels.len()];
            series.lanes_into(voxels, &mut samples);
            samples.into_iter().map(|sample| sample as f32).collect()
        };
        let room = Room::new(estimator.parameters().len());
        let blocks = mask.indices().chunks(LANES).map(packed).collect();
        Self { blocks, estimator, n_voxels: mask.len(), n_runs: 1, room }
    }

    /// The first blocks again and again: arithmetic without memory.
    pub(crate) fn cached(mut self) -> Self {
        self.n_runs = self.blocks.len() / N_CACHED;
        self.blocks.truncate(N_CACHED);
        self.n_voxels = self.n_runs * N_CACHED * LANES;
        self
    }

    /// Fits one block; its lanes.
    fn fit(&mut self, block: usize) -> Result<usize> {
        let values = &self.blocks[block];
        let n_lanes = values.len() / self.estimator.n_samples();
        let lanes = StoredLanes { values, stride: n_lanes, first: 0, n_lanes };
        let mut columns = self.room.columns(n_lanes);
        if !self.estimator.estimate_stored(black_box(lanes), &mut columns) {
            return Err("the estimator does not read 32-bit lanes".into());
        }
        Ok(n_lanes)
    }
}

impl Workload for Packed {
    fn n_items(&self) -> usize {
        self.n_voxels
    }

    fn run(&mut self) -> Result<()> {
        for _ in 0..self.n_runs {
            for block in 0..self.blocks.len() {
                self.fit(block)?;
            }
        }
        Ok(())
    }

    /// The first parameter of up to 2000 voxels, evenly spread; the blocks are copied and fitted
    /// again, because a run keeps its last block only.
    fn values(&self) -> Vec<f64> {
        let mut estimates = Vec::with_capacity(self.n_voxels);
        let mut room = Room::new(self.estimator.parameters().len());
        for values in &self.blocks {
            let n_lanes = values.len() / self.estimator.n_samples();
            let lanes = StoredLanes { values, stride: n_lanes, first: 0, n_lanes };
            self.estimator.estimate_stored(lanes, &mut room.columns(n_lanes));
            estimates.extend_from_slice(&room.reals[0][..n_lanes]);
        }
        reported(estimates.len()).map(|place| estimates[place]).collect()
    }
}
