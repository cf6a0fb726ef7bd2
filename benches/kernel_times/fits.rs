//! Fits of images: masked, and of packed voxels.

use std::hint::black_box;
use std::path::Path;

use biomarker::fit::{Fits, Voxelwise, voxelwise_into};
use biomarker::image::{Mask, Series};
use biomarker::io::nifti::{self, ReadLimits};
use biomarker::model::{
    Detail, Estimator, Fit, FitBlock, FitColumns, FitStatus, LaneData, Parameter, StoredLanes,
    VoxelData,
};

use super::{Result, Workload, estimators};

/// Voxels whose estimates are handed out.
const N_REPORTED: usize = 2000;
/// Lanes of one packed block.
const LANES: usize = 512;

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

/// One block of packed voxels.
fn lanes(samples: &[f64], n_samples: usize) -> LaneData<'_> {
    LaneData { samples, fixed: &[], n_lanes: samples.len() / n_samples }
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
    n_samples: usize,
}

impl Traffic {
    fn of(estimator: &dyn Estimator) -> Self {
        Self { parameters: estimator.parameters().to_vec(), n_samples: estimator.n_samples() }
    }
}

impl Estimator for Traffic {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn n_samples(&self) -> usize {
        self.n_samples
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn estimate(&self, _: VoxelData<'_>, _: &mut [f64], fit: &mut Fit) {
        fit.fail(FitStatus::Outside);
    }

    fn estimate_stored(&self, lanes: StoredLanes<'_>, columns: &mut FitColumns<'_>) -> bool {
        let mut sums = [0.0; 32];
        for from in (0..lanes.n_lanes).step_by(sums.len()) {
            let to = lanes.n_lanes.min(from + sums.len());
            let sums = &mut sums[..to - from];
            sums.fill(0.0);
            for k in 0..self.n_samples {
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

/// The same voxels, already gathered into lanes: the solver alone, with standard errors.
pub(crate) struct Packed {
    blocks: Vec<Vec<f64>>,
    estimator: Box<dyn Estimator>,
    fits: FitBlock,
    n_voxels: usize,
}

impl Packed {
    pub(crate) fn t2(folder: &Path) -> Result<Self> {
        let (series, mask) = (series(folder, "t2.nii")?, mask(folder, "t2_mask.nii")?);
        Ok(Self::new(&series, &mask, estimators::t2()?))
    }

    /// Status and estimates alone.
    pub(crate) fn estimates_alone(mut self) -> Self {
        self.fits.detail = Detail::Estimates;
        self
    }

    pub(crate) fn adc(folder: &Path) -> Result<Self> {
        let (series, mask) = (series(folder, "adc.nii")?, mask(folder, "adc_region.nii")?);
        Ok(Self::new(&series, &mask, estimators::adc()?))
    }

    fn new(series: &Series, mask: &Mask, estimator: Box<dyn Estimator>) -> Self {
        let packed = |voxels: &[usize]| {
            let mut samples = vec![0.0; series.n_volumes() * voxels.len()];
            series.lanes_into(voxels, &mut samples);
            samples
        };
        let fits = FitBlock::new(estimator.parameters().len(), Detail::Everything);
        let blocks = mask.indices().chunks(LANES).map(packed).collect();
        Self { blocks, estimator, fits, n_voxels: mask.len() }
    }
}

impl Workload for Packed {
    fn n_items(&self) -> usize {
        self.n_voxels
    }

    fn run(&mut self) -> Result<()> {
        for samples in &self.blocks {
            let lanes = lanes(samples, self.estimator.n_samples());
            self.estimator.estimate_block(black_box(lanes), &mut self.fits);
        }
        Ok(())
    }

    /// The first parameter of up to 2000 voxels, evenly spread; estimated again, because a run keeps
    /// its last block only.
    fn values(&self) -> Vec<f64> {
        let mut fits = self.fits.clone();
        let mut estimates = Vec::with_capacity(self.n_voxels);
        for samples in &self.blocks {
            let lanes = lanes(samples, self.estimator.n_samples());
            self.estimator.estimate_block(lanes, &mut fits);
            estimates.extend_from_slice(&fits.estimates[0]);
        }
        reported(estimates.len()).map(|place| estimates[place]).collect()
    }
}
