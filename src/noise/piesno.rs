//! σ from voxels that hold noise alone in every volume, found by their own distribution.
//!
//! Without signal the mean square over K volumes, s = Σ m²/(2Kσ²), follows a gamma distribution of
//! shape N·K for N channels. A voxel is noise where s lies between the 0.5 % and 99.5 % quantiles;
//! σ is then a quantile of all magnitudes of these voxels over that of pure noise. Slice by slice:
//! the start is the one of 100 trial values that finds most voxels, and both steps alternate until σ
//! stays. Weighting does not matter, since there is no signal to weight, but the background must be
//! as it was measured: not blanked, not filtered. Blanked background leaves dim tissue to be taken
//! for noise, and tissue of one amplitude looks like noise of a larger σ; the ratio of SD and mean
//! gives both away, and the search goes on below.
//!
//! # Reference
//!
//! Koay, Özarslan and Pierpaoli, "Probabilistic Identification and Estimation of Noise (PIESNO)",
//! Journal of Magnetic Resonance 2009, doi:10.1016/j.jmr.2009.03.005; Koay, Özarslan and Basser, "A
//! signal transformational framework for breaking the noise floor", Journal of Magnetic Resonance
//! 2009, doi:10.1016/j.jmr.2008.11.015.

use super::selection::{level_of, require_matching};
use super::{NoiseEstimate, NoiseMethod};
use crate::error::{Error, Result};
use crate::image::{Mask, Series};
use crate::statistics::moments::Moments;
use crate::statistics::quantile::quantiles;
use statrs::distribution::{ContinuousCDF, Gamma};
use statrs::function::gamma::ln_gamma;

/// Probability that a voxel of noise is left out.
const LEFT_OUT: f64 = 0.01;
/// Values of σ tried as the start of a slice.
const N_TRIALS: usize = 100;
const MAXIMUM_PASSES: usize = 100;
/// Relative step of σ at which it stays.
const STEP: f64 = 1e-5;
/// One volume does not tell dim tissue from noise.
const MINIMUM_VOLUMES: usize = 2;
/// Voxels of noise below which the σ of a slice, known to 1 %, says nothing of the others.
const MINIMUM_IN_SLICE: usize = 100;
/// Largest relative difference of SD/mean from that of noise.
const SHAPE_TOLERANCE: f64 = 0.10;
/// What was taken for noise and is none has nothing to search above this fraction of its σ.
const BELOW: f64 = 0.7;
/// Voxels of noise that are enough.
const ENOUGH_VOXELS: usize = 1000;
/// Samples that the largest trial value is taken from.
const MAXIMUM_SAMPLES: usize = 1 << 22;
/// Ratio of the σ of slices worth a warning.
const SLICE_TOLERANCE: f64 = 0.10;

/// Probability of the quantile with the least variance of σ, for 1, 2, 4 … 128 channels.
const BEST_QUANTILES: [f64; 8] = [
    0.796_812_130_020_02,
    0.730_630_302_749_191_7,
    0.672_195_296_078_216_9,
    0.625_403_043_234_356_9,
    0.590_048_712_373_787_6,
    0.564_177_230_086_641_6,
    0.545_561_184_048_960_7,
    0.532_281_192_330_333_9,
];

/// What the noise of one slice is, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// σ in signal units; NaN where no voxel of noise was found.
    pub sigma: f64,
    /// Linear indices of the voxels of noise, rising.
    pub noise: Vec<usize>,
}

/// σ from the background of `volumes`, with magnitudes combined from `n_channels` by sum of squares
/// (1 for one channel, and for SENSE).
///
/// σ is the median over slices with at least 100 voxels of noise, weighted by their number;
/// `agreement` is the largest over the smallest of these, minus 1. Warns where they differ by more
/// than 10 %, and of fewer than 1000 voxels of noise. Voxels with a sample that is not finite are
/// left out.
///
/// # Errors
///
/// `Mismatch` when a volume is not there; `Value` when there are fewer than two volumes or no
/// channel, or when no slice holds 100 voxels with the distribution of noise.
pub fn estimate(series: &Series, volumes: &[usize], n_channels: usize) -> Result<NoiseEstimate> {
    let slices = slices(series, volumes, n_channels)?;
    let enough: Vec<&Slice> =
        slices.iter().filter(|slice| slice.noise.len() >= MINIMUM_IN_SLICE).collect();
    let n_voxels = enough.iter().map(|slice| slice.noise.len()).sum();
    if enough.is_empty() {
        return Err(refused(&format!(
            "no slice holds {MINIMUM_IN_SLICE} voxels with the distribution of noise (background \
             blanked, filtered, of several channels, or none in the image)"
        )));
    }
    let mut estimate = level_of(weighted_median(&enough), NoiseMethod::Piesno, n_voxels)?;
    let sigmas = || enough.iter().map(|slice| slice.sigma);
    let low = sigmas().fold(f64::INFINITY, f64::min);
    let high = sigmas().fold(0.0, f64::max);
    if enough.len() >= 2 {
        estimate.agreement = Some(high / low - 1.0);
    }
    if high > low * (1.0 + SLICE_TOLERANCE) {
        estimate.warnings.push(format!(
            "background of different slices gives noise levels from {low:.4} to {high:.4}"
        ));
    }
    if n_voxels < ENOUGH_VOXELS {
        estimate.warnings.push(format!(
            "noise level from {n_voxels} voxels of pure noise, fewer than {ENOUGH_VOXELS}"
        ));
    }
    Ok(estimate)
}

/// σ and the voxels of noise of every slice (third axis).
///
/// # Errors
///
/// `Mismatch` when a volume is not there; `Value` for fewer than two volumes or no channel.
pub fn slices(series: &Series, volumes: &[usize], n_channels: usize) -> Result<Vec<Slice>> {
    require_matching(series, &Mask::full(*series.grid()), volumes)?;
    if volumes.len() < MINIMUM_VOLUMES {
        return Err(refused(&format!("{} volumes, fewer than {MINIMUM_VOLUMES}", volumes.len())));
    }
    if n_channels == 0 {
        return Err(refused("0 channels"));
    }
    let method = Method::new(n_channels, volumes.len());
    let largest = method.sigma_of(&every_sample(series, volumes));
    let [nx, ny, nz] = series.grid().shape();
    let in_slice = nx * ny;
    let found = (0..nz).map(|k| {
        let voxels = Voxels::read(series, volumes, k * in_slice..(k + 1) * in_slice);
        method.identify(&voxels, largest)
    });
    Ok(found.collect())
}

/// Finite samples of all voxels, thinned evenly where they are very many.
fn every_sample(series: &Series, volumes: &[usize]) -> Vec<f64> {
    let n_voxels = series.grid().n_voxels();
    let step = (n_voxels * volumes.len()).div_ceil(MAXIMUM_SAMPLES).max(1);
    let samples = (0..n_voxels * volumes.len())
        .step_by(step)
        .map(|sample| series.signal(sample % n_voxels, volumes[sample / n_voxels]));
    samples.filter(|sample| sample.is_finite()).collect()
}

/// Samples of voxels, `[n_voxels, n_volumes]`, and the sums of their squares.
struct Voxels {
    indices: Vec<usize>,
    samples: Vec<f64>,
    squares: Vec<f64>,
}

impl Voxels {
    fn read(series: &Series, volumes: &[usize], range: std::ops::Range<usize>) -> Self {
        let mut voxels = Self { indices: Vec::new(), samples: Vec::new(), squares: Vec::new() };
        for voxel in range {
            let start = voxels.samples.len();
            voxels.samples.extend(volumes.iter().map(|&volume| series.signal(voxel, volume)));
            let square = voxels.samples[start..].iter().map(|sample| sample * sample).sum::<f64>();
            if square.is_finite() {
                voxels.indices.push(voxel);
                voxels.squares.push(square);
            } else {
                voxels.samples.truncate(start);
            }
        }
        voxels
    }
}

/// Quantiles of pure noise in K volumes of N channels.
struct Method {
    n_volumes: usize,
    /// Σ m²/(2σ²) of a voxel of noise lies between these.
    limits: [f64; 2],
    /// Probability of the quantile σ is taken from, and this quantile for σ = 1.
    quantile: (f64, f64),
    /// SD over mean of noise.
    shape: f64,
}

impl Method {
    fn new(n_channels: usize, n_volumes: usize) -> Self {
        let position = n_channels.trailing_zeros() as usize;
        let best = BEST_QUANTILES.get(position).filter(|_| n_channels.is_power_of_two());
        let probability = best.copied().unwrap_or(0.5);
        let shape = (n_channels * n_volumes) as f64;
        Self {
            n_volumes,
            limits: [0.5 * LEFT_OUT, 1.0 - 0.5 * LEFT_OUT].map(|p| gamma_quantile(shape, p)),
            quantile: (probability, (2.0 * gamma_quantile(n_channels as f64, probability)).sqrt()),
            shape: shape_of_noise(n_channels),
        }
    }

    /// NaN where there are no samples.
    fn sigma_of(&self, samples: &[f64]) -> f64 {
        let (probability, of_unit_noise) = self.quantile;
        let found = quantiles(samples, [probability]);
        found.map_or(f64::NAN, |[quantile]| quantile / of_unit_noise)
    }

    /// Places of the voxels that would be noise of `sigma`.
    fn members(&self, voxels: &Voxels, sigma: f64) -> Vec<usize> {
        let [low, high] = self.limits.map(|limit| limit * 2.0 * sigma * sigma);
        let inside = |place: &usize| (low..=high).contains(&voxels.squares[*place]);
        (0..voxels.squares.len()).filter(inside).collect()
    }

    /// The first of the trial values up to `largest` that finds most voxels, while they have the
    /// distribution of noise; else of those below.
    fn identify(&self, voxels: &Voxels, largest: f64) -> Slice {
        let counts = self.counts(voxels, largest);
        let mut limit = f64::INFINITY;
        loop {
            let mut best = (f64::NAN, 0);
            for &(sigma, n) in counts.iter().filter(|trial| trial.0 < limit) {
                if n > best.1 {
                    best = (sigma, n);
                }
            }
            if best.1 == 0 {
                return Slice { sigma: f64::NAN, noise: Vec::new() };
            }
            let (sigma, members) = self.settle(voxels, best.0);
            if self.is_noise(&self.samples(voxels, &members)) {
                let noise = members.iter().map(|&place| voxels.indices[place]).collect();
                return Slice { sigma, noise };
            }
            limit = BELOW * best.0;
        }
    }

    /// Trial values up to `largest`, and how many voxels would be noise of each.
    fn counts(&self, voxels: &Voxels, largest: f64) -> Vec<(f64, usize)> {
        let mut sorted = voxels.squares.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let trials = (1..=N_TRIALS).map(|trial| {
            let sigma = trial as f64 * largest / N_TRIALS as f64;
            let [low, high] = self.limits.map(|limit| limit * 2.0 * sigma * sigma);
            let from = sorted.partition_point(|&square| square < low);
            (sigma, sorted.partition_point(|&square| square <= high).saturating_sub(from))
        });
        trials.filter(|trial| trial.0 > 0.0).collect()
    }

    /// σ that stays, from `sigma` on, and the places of its voxels.
    fn settle(&self, voxels: &Voxels, mut sigma: f64) -> (f64, Vec<usize>) {
        let mut members = Vec::new();
        for _ in 0..MAXIMUM_PASSES {
            members = self.members(voxels, sigma);
            let next = self.sigma_of(&self.samples(voxels, &members));
            let stays = (next - sigma).abs() < STEP * sigma;
            sigma = next;
            if stays || !sigma.is_finite() {
                break;
            }
        }
        (sigma, members)
    }

    fn samples(&self, voxels: &Voxels, members: &[usize]) -> Vec<f64> {
        let mut samples = Vec::with_capacity(members.len() * self.n_volumes);
        for place in members {
            let start = place * self.n_volumes;
            samples.extend_from_slice(&voxels.samples[start..start + self.n_volumes]);
        }
        samples
    }

    fn is_noise(&self, samples: &[f64]) -> bool {
        let Some(moments) = Moments::of(samples) else { return false };
        let shape = moments.population_variance().sqrt() / moments.mean();
        (shape / self.shape - 1.0).abs() <= SHAPE_TOLERANCE
    }
}

/// SD over mean of the magnitude of noise of `n_channels`: a chi variable of twice as many squares.
fn shape_of_noise(n_channels: usize) -> f64 {
    let n = n_channels as f64;
    let mean = std::f64::consts::SQRT_2 * (ln_gamma(n + 0.5) - ln_gamma(n)).exp();
    (2.0 * n - mean * mean).sqrt() / mean
}

/// Quantile of the gamma distribution of unit rate; NaN for a shape that is not positive.
fn gamma_quantile(shape: f64, probability: f64) -> f64 {
    Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| gamma.inverse_cdf(probability))
}

/// σ of the slice that the middle voxel of noise lies in, by rising σ; NaN for no slices.
fn weighted_median(slices: &[&Slice]) -> f64 {
    let mut sorted = slices.to_vec();
    sorted.sort_by(|a, b| a.sigma.total_cmp(&b.sigma));
    let half = sorted.iter().map(|slice| slice.noise.len()).sum::<usize>().div_ceil(2);
    let mut n = 0;
    let middle = sorted.iter().find(|slice| {
        n += slice.noise.len();
        n >= half
    });
    middle.map_or(f64::NAN, |slice| slice.sigma)
}

fn refused(message: &str) -> Error {
    Error::value(format!("method `{}`: {message}", NoiseMethod::Piesno.name()))
        .at_field("noise.method")
        .hint("choose another noise.method or give noise.sigma")
}

#[cfg(test)]
mod tests;
