//! Pseudo-experiments of a region.

use std::error::Error;

use biomarker::fit::{Voxelwise, voxelwise};
use biomarker::noise::NoiseDistribution;
use biomarker::random::StreamKey;
use biomarker::uncertainty::pseudo_experiment::{ObservedVoxels, PseudoExperiments, Smear, run};
use criterion::{Criterion, Throughput};

use crate::{estimators, simulated};

const REPLICATES: u32 = 200;

/// 200 replicates of every voxel of 10 % of four slices of the diffusion series.
pub(crate) fn adc(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let grid = simulated::grid([256, 256, 4])?;
    let series = simulated::diffusion(grid)?;
    let region = simulated::disc(grid, 0.1)?;
    let estimator = estimators::adc()?;
    let fits = voxelwise(&*estimator, &Voxelwise::new(&series, &region))?;
    let observed = ObservedVoxels::new(&series, &fits, &[])?;
    let mut group = criterion.benchmark_group("pseudo_experiments_adc_26k_voxels_x200");
    group.throughput(Throughput::Elements(region.len() as u64 * u64::from(REPLICATES)));
    for (name, distribution) in
        [("gaussian", NoiseDistribution::Gaussian), ("rician", NoiseDistribution::Rician)]
    {
        let noise = estimators::noise(distribution)?;
        let settings =
            PseudoExperiments { n_replicates: REPLICATES, smear: Smear::Signal, distribution };
        let key = StreamKey::new(1, "bench");
        group.bench_function(name, |bencher| {
            bencher.iter(|| run(&*estimator, &observed, &noise, settings, key));
        });
    }
    group.finish();
    Ok(())
}
