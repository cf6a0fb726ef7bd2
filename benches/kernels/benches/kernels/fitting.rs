//! Least squares of decays, voxel by voxel of a mask.

use std::error::Error;
use std::hint::black_box;

use biomarker::acquisition::{Protocol, VariableFlipAngle};
use biomarker::fit::{Voxelwise, voxelwise};
use biomarker::image::{Mask, Series};
use biomarker::model::Estimator;
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};

use crate::{estimators, simulated};

/// Voxels that the yardstick fits.
const YARDSTICK_VOXELS: usize = 20_000;

/// Transverse relaxation, six echoes.
pub(crate) fn t2(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let grid = simulated::grid([384, 384, 27])?;
    let series = simulated::echoes(grid)?;
    let mask = simulated::disc(grid, 0.3)?;
    let estimator = estimators::t2()?;
    let mut group = criterion.benchmark_group("t2_384x384x27x6");
    masked(&mut group, "mask_30_percent", &*estimator, (&series, &mask));
    masked(&mut group, "all_voxels", &*estimator, (&series, &Mask::full(grid)));
    yardstick(&mut group, &estimators::ECHO_TIMES_S, (&series, &mask));
    group.finish();
    Ok(())
}

/// Diffusion, four b-values.
pub(crate) fn adc(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let grid = simulated::grid([256, 256, 40])?;
    let series = simulated::diffusion(grid)?;
    let region = simulated::disc(grid, 0.1)?;
    let estimator = estimators::adc()?;
    let mut group = criterion.benchmark_group("adc_256x256x40x4");
    masked(&mut group, "region_10_percent", &*estimator, (&series, &region));
    masked(&mut group, "all_voxels", &*estimator, (&series, &Mask::full(grid)));
    yardstick(&mut group, &estimators::B_VALUES_S_PER_MM2, (&series, &region));
    group.finish();
    Ok(())
}

/// Longitudinal relaxation, four flip angles.
pub(crate) fn t1_vfa(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let grid = simulated::grid([192, 192, 10])?;
    let series = simulated::flip_angles(grid)?;
    let mask = simulated::disc(grid, 0.3)?;
    let angles = simulated::FLIP_ANGLES_DEG.map(f64::to_radians).to_vec();
    let protocol = VariableFlipAngle::new(angles, estimators::REPETITION_TIME_S)?;
    let protocol = Protocol::VariableFlipAngle(protocol);
    let estimator = estimators::least_squares("t1_vfa", &protocol)?;
    let mut group = criterion.benchmark_group("t1_vfa_192x192x10x4");
    masked(&mut group, "mask_30_percent", &*estimator, (&series, &mask));
    group.finish();
    Ok(())
}

fn masked(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    estimator: &dyn Estimator,
    (series, mask): (&Series, &Mask),
) {
    group.throughput(Throughput::Elements(mask.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| voxelwise(estimator, &Voxelwise::new(black_box(series), mask)));
    });
}

/// The crate `levenberg-marquardt`, one thread.
fn yardstick<const N: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    abscissae: &[f64; N],
    (series, mask): (&Series, &Mask),
) where
    Voxels<N>: Fit,
{
    let voxels = Voxels::<N>::first_of(*abscissae, series, mask);
    group.throughput(Throughput::Elements(voxels.samples.len() as u64));
    group.bench_function(format!("levenberg_marquardt_crate_{YARDSTICK_VOXELS}"), |bencher| {
        bencher.iter(|| black_box(&voxels).sum_of_rates());
    });
}

/// Samples of a few voxels.
struct Voxels<const N: usize> {
    abscissae: [f64; N],
    samples: Vec<[f64; N]>,
}

impl<const N: usize> Voxels<N> {
    fn first_of(abscissae: [f64; N], series: &Series, mask: &Mask) -> Self {
        let signals = |&voxel: &usize| {
            let mut samples = [0.0; N];
            series.signals_into(voxel, &mut samples);
            samples
        };
        let samples = mask.indices().iter().take(YARDSTICK_VOXELS).map(signals).collect();
        Self { abscissae, samples }
    }
}

/// What the yardstick does, for the lengths it is compiled for.
trait Fit {
    fn sum_of_rates(&self) -> f64;
}

impl Fit for Voxels<4> {
    fn sum_of_rates(&self) -> f64 {
        self.samples.iter().map(|samples| general_solver::rate(&self.abscissae, samples)).sum()
    }
}

impl Fit for Voxels<6> {
    fn sum_of_rates(&self) -> f64 {
        self.samples.iter().map(|samples| general_solver::rate(&self.abscissae, samples)).sum()
    }
}
