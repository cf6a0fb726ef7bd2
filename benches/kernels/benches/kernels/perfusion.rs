//! Initial area under the concentration curve.

use std::error::Error;

use biomarker::fit::{Voxelwise, voxelwise};
use biomarker::image::Mask;
use criterion::{Criterion, Throughput};

use crate::{estimators, simulated};

/// All voxels of 60 frames.
pub(crate) fn iauc60(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let grid = simulated::grid([192, 192, 40])?;
    let series = simulated::bolus(grid)?;
    let mask = Mask::full(grid);
    let estimator = estimators::iauc60()?;
    let mut group = criterion.benchmark_group("iauc60_192x192x40x60");
    group.throughput(Throughput::Elements(mask.len() as u64));
    group.bench_function("all_voxels", |bencher| {
        bencher.iter(|| voxelwise(&estimator, &Voxelwise::new(&series, &mask)));
    });
    group.finish();
    Ok(())
}
