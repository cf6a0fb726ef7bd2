//! Data of known size from fixed seeds: tissue at a signal-to-noise ratio of 50, air around it.

use std::f64::consts::PI;

use biomarker::error::Result;
use biomarker::image::{Affine, Grid, Mask, Samples, Scaling, Series};
use biomarker::perfusion::DEFAULT_RELAXIVITY_PER_S_PER_MM;
use biomarker::random::{Stream, StreamKey};

use crate::estimators::{
    ARRIVAL_S, B_VALUES_S_PER_MM2, DYNAMIC_FLIP_ANGLE_DEG, ECHO_TIMES_S, N_FRAMES,
    REPETITION_TIME_S, SIGMA, T10_S,
};

/// Signal of tissue without decay.
const AMPLITUDE: f64 = 1000.0;
/// Part of each slice that holds tissue; the rest is air.
const TISSUE_FRACTION: f64 = 0.3;
/// Flip angles, degrees.
pub(crate) const FLIP_ANGLES_DEG: [f64; 4] = [3.0, 9.0, 15.0, 21.0];

/// Voxels of 1 mm.
pub(crate) fn grid(shape: [usize; 3]) -> Result<Grid> {
    Grid::new(shape, Affine::from_spacing([1.0; 3], [0.0; 3])?)
}

/// A disc in every slice that holds `fraction` of it.
pub(crate) fn disc(grid: Grid, fraction: f64) -> Result<Mask> {
    let [nx, ny, _] = grid.shape();
    let radius_squared = fraction * (nx * ny) as f64 / PI;
    let inside = |index: &usize| {
        let [i, j, _] = grid.voxel(*index);
        let x = i as f64 + 0.5 - 0.5 * nx as f64;
        let y = j as f64 + 0.5 - 0.5 * ny as f64;
        x * x + y * y <= radius_squared
    };
    let indices: Vec<usize> = (0..grid.n_voxels()).filter(inside).collect();
    Mask::from_indices(grid, &indices)
}

/// Magnitudes of echoes of T2 20–80 ms, in single precision.
pub(crate) fn echoes(grid: Grid) -> Result<Series> {
    decay(grid, &ECHO_TIMES_S, [12.5, 50.0])
}

/// Magnitudes of diffusion of 0.5–2.5 · 10⁻³ mm²/s, in single precision.
pub(crate) fn diffusion(grid: Grid) -> Result<Series> {
    decay(grid, &B_VALUES_S_PER_MM2, [0.5e-3, 2.5e-3])
}

fn decay(grid: Grid, abscissae: &[f64], rates: [f64; 2]) -> Result<Series> {
    magnitudes(grid, abscissae.len(), |uniform, sample| {
        let rate = rates[0] + uniform * (rates[1] - rates[0]);
        AMPLITUDE * (-rate * abscissae[sample]).exp()
    })
}

/// Magnitudes of spoiled gradient echoes of T1 0.4–2 s, in single precision.
pub(crate) fn flip_angles(grid: Grid) -> Result<Series> {
    magnitudes(grid, FLIP_ANGLES_DEG.len(), |uniform, sample| {
        20.0 * AMPLITUDE * spoiled(FLIP_ANGLES_DEG[sample], 1.0 / (0.4 + 1.6 * uniform))
    })
}

/// Magnitudes of a bolus that leaves up to 1 mM in tissue, in single precision.
pub(crate) fn bolus(grid: Grid) -> Result<Series> {
    magnitudes(grid, N_FRAMES, |uniform, frame| {
        let minutes = (5.0 * frame as f64 - ARRIVAL_S).max(0.0) / 60.0;
        let concentration = uniform * (1.0 - (-4.0 * minutes).exp()) * (-0.2 * minutes).exp();
        let rate = 1.0 / T10_S + DEFAULT_RELAXIVITY_PER_S_PER_MM * concentration;
        20.0 * AMPLITUDE * spoiled(DYNAMIC_FLIP_ANGLE_DEG, rate)
    })
}

/// Steady state of a spoiled gradient echo of amplitude 1.
fn spoiled(flip_angle_deg: f64, rate_per_s: f64) -> f64 {
    let (sine, cosine) = flip_angle_deg.to_radians().sin_cos();
    let e = (-REPETITION_TIME_S * rate_per_s).exp();
    sine * (1.0 - e) / (1.0 - e * cosine)
}

/// Rician magnitudes of `signal(uniform of the voxel, sample)` in tissue, of nothing in air.
fn magnitudes(grid: Grid, n_samples: usize, signal: impl Fn(f64, usize) -> f64) -> Result<Series> {
    let tissue = disc(grid, TISSUE_FRACTION)?;
    let n_voxels = grid.n_voxels();
    let mut samples = vec![0.0_f32; n_voxels * n_samples];
    let key = StreamKey::new(1, "bench");
    for voxel in 0..n_voxels {
        let mut stream = key.stream(voxel, 0);
        let uniform = stream.uniform();
        for sample in 0..n_samples {
            let amplitude = if tissue.contains(voxel) { signal(uniform, sample) } else { 0.0 };
            samples[sample * n_voxels + voxel] = magnitude(amplitude, &mut stream);
        }
    }
    Series::new(grid, Samples::Single(samples), vec![Scaling::IDENTITY; n_samples])
}

fn magnitude(amplitude: f64, stream: &mut Stream) -> f32 {
    let real = amplitude + SIGMA * stream.normal();
    real.hypot(SIGMA * stream.normal()) as f32
}

/// Two variables of three overlapping groups, as habitats are made of.
pub(crate) fn three_groups(n: usize) -> [Vec<f64>; 2] {
    let centres = [[0.8, 0.1], [1.2, 0.4], [1.9, 0.2]];
    let key = StreamKey::new(2, "groups");
    let mut columns = [Vec::with_capacity(n), Vec::with_capacity(n)];
    for sample in 0..n {
        let mut stream = key.stream(sample, 0);
        let centre = centres[stream.below(3)];
        columns[0].push(centre[0] + 0.2 * stream.normal());
        columns[1].push(centre[1] + 0.1 * stream.normal());
    }
    columns
}
