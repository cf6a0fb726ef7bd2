//! Pseudo-experiments of voxels of the diffusion region.

use std::path::Path;

use biomarker::fit::{Fits, Voxelwise, voxelwise};
use biomarker::image::{Mask, Series};
use biomarker::model::Estimator;
use biomarker::noise::{NoiseDistribution, NoiseLevel};
use biomarker::random::StreamKey;
use biomarker::uncertainty::Uncertainty;
use biomarker::uncertainty::pseudo_experiment::{ObservedVoxels, PseudoExperiments, Smear, run};

use super::{Result, Workload, estimators, fits};

/// Pseudo-experiments per voxel.
const REPLICATES: u32 = 200;

/// 200 replicates of `size` voxels, evenly spread over the region; of all where no size is given.
pub(crate) struct Draws {
    series: Series,
    fits: Fits,
    estimator: Box<dyn Estimator>,
    noise: NoiseLevel,
    uncertainty: Vec<Uncertainty>,
}

impl Draws {
    pub(crate) fn gaussian(folder: &Path, size: Option<usize>) -> Result<Self> {
        Self::new(folder, size, NoiseDistribution::Gaussian)
    }

    pub(crate) fn rician(folder: &Path, size: Option<usize>) -> Result<Self> {
        Self::new(folder, size, NoiseDistribution::Rician)
    }

    fn new(folder: &Path, size: Option<usize>, noise: NoiseDistribution) -> Result<Self> {
        let series = fits::series(folder, "adc.nii")?;
        let region = fits::mask(folder, "adc_region.nii")?;
        let indices = region.indices();
        let n = size.unwrap_or(indices.len()).min(indices.len());
        let voxels: Vec<usize> = (0..n).map(|i| indices[i * indices.len() / n]).collect();
        let mask = Mask::from_indices(*series.grid(), &voxels)?;
        let estimator = estimators::adc()?;
        let fits = voxelwise(&*estimator, &Voxelwise::new(&series, &mask))?;
        let noise = estimators::noise(noise)?;
        Ok(Self { series, fits, estimator, noise, uncertainty: Vec::new() })
    }
}

impl Workload for Draws {
    fn n_items(&self) -> usize {
        self.fits.n_voxels() * REPLICATES as usize
    }

    fn run(&mut self) -> Result<()> {
        let observed = ObservedVoxels::new(&self.series, &self.fits, &[])?;
        let distribution = self.noise.distribution();
        let settings = PseudoExperiments {
            n_replicates: REPLICATES,
            smear: Smear::Signal,
            distribution,
            ..PseudoExperiments::default()
        };
        let key = StreamKey::new(1, "bench");
        self.uncertainty = run(&*self.estimator, &observed, &self.noise, settings, key)?;
        Ok(())
    }

    /// SD of the first parameter of every voxel.
    fn values(&self) -> Vec<f64> {
        self.uncertainty.first().map_or_else(Vec::new, |first| first.standard_deviation.clone())
    }
}
