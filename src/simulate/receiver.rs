//! From noise-free signal to what the scanner stores.
//!
//! A magnitude image of one channel, M = √((A + σn₁)² + (σn₂)²), rounded to integers of σ/5 (or
//! coarser where 16 bits would not hold the brightest voxel), which adds 0.2 % to σ.
//!
//! # Reference
//!
//! Gudbjartsson and Patz, Magn Reson Med 1995;34:910–914, doi:10.1002/mrm.1910340618.

use rayon::prelude::*;

use crate::error::Result;
use crate::image::{Grid, Samples, Scaling, Series};
use crate::random::StreamKey;

const STEPS_PER_SIGMA: f64 = 5.0;
const LARGEST_STORED: f64 = 32_000.0;

/// Noise of one image set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receiver {
    pub(super) key: StreamKey,
    /// σ per complex channel; `None` for signals as the equations give them.
    pub(super) sigma: Option<f64>,
}

impl Receiver {
    /// A receiver whose noise is `reference_signal / snr`.
    pub(super) fn new(seed: u64, image: &str, reference_signal: f64, snr: Option<f64>) -> Self {
        Self { key: StreamKey::new(seed, image), sigma: snr.map(|snr| reference_signal / snr) }
    }

    /// Stores `signals`, volume after volume on `grid`.
    ///
    /// # Errors
    ///
    /// `Mismatch` when the signals do not fill whole volumes.
    pub(super) fn receive(&self, grid: Grid, mut signals: Vec<f64>) -> Result<Series> {
        let Some(sigma) = self.sigma else { return Series::from_signals(grid, signals) };
        let n_voxels = grid.n_voxels();
        signals.par_iter_mut().enumerate().for_each(|(sample, signal)| {
            let mut stream = self.key.stream(sample % n_voxels, (sample / n_voxels) as u32);
            *signal = (*signal + sigma * stream.normal()).hypot(sigma * stream.normal());
        });
        let largest = signals.iter().copied().fold(0.0, f64::max);
        let step = f64::from((sigma / STEPS_PER_SIGMA).max(largest / LARGEST_STORED) as f32);
        let stored = signals.iter().map(|signal| (signal / step).round() as f32).collect();
        let scaling = Scaling { slope: step, intercept: 0.0 };
        Series::new(grid, Samples::Single(stored), vec![scaling; signals.len() / n_voxels])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Affine;

    fn moments(amplitude: f64) -> (f64, f64) {
        let grid = Grid::new([64, 64, 16], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap());
        let grid = grid.unwrap();
        let receiver = Receiver::new(5, "moments", 1.0, Some(1.0));
        let series = receiver.receive(grid, vec![amplitude; grid.n_voxels()]).unwrap();
        let values = series.volume(0).into_voxels();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
    }

    /// Mean and SD of the Rician distribution in units of σ.
    #[test]
    fn magnitudes_have_the_moments_of_the_rician_distribution() {
        for (amplitude, mean, sd) in [
            (0.0, 1.2533, 0.6551),
            (1.0, 1.5486, 0.7758),
            (2.0, 2.2724, 0.9145),
            (5.0, 5.1011, 0.9895),
        ] {
            let (observed_mean, observed_sd) = moments(amplitude);
            // Five standard errors of 65 536 voxels; the rounding adds 1/300 of σ² at most.
            assert!((observed_mean - mean).abs() < 5.0 * sd / 256.0, "{observed_mean}");
            assert!((observed_sd - sd).abs() < 5.0 * sd / 362.0 + 0.003, "{observed_sd}");
        }
    }

    #[test]
    fn stored_samples_are_integers_of_sixteen_bits() {
        let grid = Grid::new([4, 1, 1], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
        let receiver = Receiver::new(1, "bright", 1.0, Some(1e4));
        let series = receiver.receive(grid, vec![0.0, 1.0, 10.0, 1e4]).unwrap();
        for sample in 0..4 {
            let stored = series.samples().get(sample);
            assert!((0.0..=32_767.0).contains(&stored) && stored.fract().abs() < 1e-12);
        }
        assert!((series.signal(3, 0) - 1e4).abs() < 0.5);
    }
}
