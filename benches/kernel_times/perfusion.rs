//! Perfusion of packed voxels: the kernels alone.

use std::hint::black_box;
use std::path::Path;

use biomarker::acquisition::PlasmaCurve;
use biomarker::model::{Detail, Estimator, FitBlock, LaneData};
use biomarker::perfusion::{ExchangeEstimator, ExchangeSettings, TissueModel, TissueSamples};

use super::{Result, Workload, estimators, fits};

/// Lanes of one block.
const LANES: usize = 512;
/// Voxels of the dynamic series, few enough for the caches, and how often one run estimates them.
const N_VOXELS: usize = 4096;
const N_PASSES: usize = 24;
/// Voxels whose estimates are handed out.
const N_REPORTED: usize = 2000;

/// Blocks of voxels, estimated one after the other.
pub(crate) struct Packed {
    blocks: Vec<Vec<f64>>,
    estimator: Box<dyn Estimator>,
    fits: FitBlock,
    n_passes: usize,
    /// Of the first parameter.
    estimates: Vec<f64>,
}

impl Packed {
    /// Tissue of the dynamic series, with standard errors or without.
    pub(crate) fn iauc60(folder: &Path, detail: Detail) -> Result<Self> {
        let series = fits::series(folder, "dce.nii")?;
        let tissue = fits::mask(folder, "dce_mask.nii")?;
        let voxels = &tissue.indices()[..N_VOXELS.min(tissue.len())];
        let packed = |voxels: &[usize]| {
            let mut samples = vec![0.0; series.n_volumes() * voxels.len()];
            series.lanes_into(voxels, &mut samples);
            samples
        };
        let blocks = voxels.chunks(LANES).map(packed).collect();
        let packed = Self::new(blocks, Box::new(estimators::iauc60()?), detail);
        Ok(Self { n_passes: N_PASSES, ..packed })
    }

    /// `tofts.samples`: concentrations, doubles of shape `[n_curves, n_frames]`; `tofts.plasma`: those
    /// in plasma, doubles of shape `[n_frames]`.
    pub(crate) fn extended_tofts(folder: &Path) -> Result<Self> {
        let curves = doubles(&folder.join("tofts.samples"))?;
        let plasma = doubles(&folder.join("tofts.plasma"))?;
        let protocol = estimators::dynamic()?;
        let times_s = protocol.frame_times_s().to_vec();
        let n_frames = times_s.len();
        let protocol = protocol.with_plasma_curve(PlasmaCurve::new(times_s, plasma)?)?;
        let estimator = ExchangeEstimator::new(&ExchangeSettings {
            protocol,
            tissue: TissueModel::ExtendedTofts,
            samples: TissueSamples::Concentrations,
        })?;
        let transposed = |curves: &[f64]| {
            let columns = 0..n_frames;
            let column = |k| curves.iter().skip(k).step_by(n_frames).copied();
            columns.flat_map(column).collect()
        };
        let blocks = curves.chunks(LANES * n_frames).map(transposed).collect();
        Ok(Self::new(blocks, Box::new(estimator), Detail::Everything))
    }

    fn new(blocks: Vec<Vec<f64>>, estimator: Box<dyn Estimator>, detail: Detail) -> Self {
        let fits = FitBlock::new(estimator.parameters().len(), detail);
        Self { blocks, estimator, fits, n_passes: 1, estimates: Vec::new() }
    }
}

#[allow(clippy::disallowed_methods, reason = "numbers of the driver, not an image")]
fn doubles(path: &Path) -> Result<Vec<f64>> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}

impl Workload for Packed {
    fn n_items(&self) -> usize {
        let n_samples = self.blocks.iter().map(Vec::len).sum::<usize>();
        self.n_passes * n_samples / self.estimator.n_samples()
    }

    fn run(&mut self) -> Result<()> {
        self.estimates.clear();
        let passes = (0..self.n_passes).flat_map(|_| &self.blocks);
        for samples in passes {
            let n_lanes = samples.len() / self.estimator.n_samples();
            let lanes = LaneData { samples, fixed: &[], n_lanes };
            self.estimator.estimate_block(black_box(lanes), &mut self.fits);
            self.estimates.extend_from_slice(&self.fits.estimates[0]);
        }
        Ok(())
    }

    /// The first parameter of the first 2000 voxels.
    fn values(&self) -> Vec<f64> {
        self.estimates.iter().take(N_REPORTED).copied().collect()
    }
}
