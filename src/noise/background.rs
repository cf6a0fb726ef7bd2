//! σ from air, where the magnitude is noise alone.
//!
//! Without signal a magnitude of one effective channel follows the Rayleigh distribution, so
//! σ = √(mean(M²)/2) = mean(M)/1.2533 = SD(M)/0.6551. The three agree only in true, unfiltered air:
//! their disagreement unmasks parallel imaging with several channels, filters and masked images.
//!
//! # Reference
//!
//! Henkelman, "Measurement of signal intensities in the presence of noise in MR images", Medical
//! Physics 1985, doi:10.1118/1.595711; Gudbjartsson and Patz, Magnetic Resonance in Medicine 1995,
//! doi:10.1002/mrm.1910340618.

use super::rician::{MEAN_OF_PURE_NOISE, SD_OF_PURE_NOISE};
use super::selection::{level_of, require_matching};
use super::{NoiseEstimate, NoiseMethod};
use crate::error::{Error, Result};
use crate::image::{Grid, Mask, Series};

/// Voxels of air that are enough.
const ENOUGH_VOXELS: usize = 1000;

/// Fraction of zeros from which air may have been blanked.
const MAXIMUM_ZERO_FRACTION: f64 = 0.01;

/// Largest relative difference between the three formulas in true air.
const FORMULA_TOLERANCE: f64 = 0.10;

/// Voxels in a block of the search: its σ then has 2 % standard error.
const BLOCK_VOXELS: usize = 512;

/// Largest edge of a block through the slices.
const BLOCK_DEPTH: usize = 8;

/// Five standard errors of SD/mean in a block.
const SHAPE_TOLERANCE: f64 = 0.15;

/// Nine standard errors of σ in a block: room for the lowest block, from which the search starts.
const LEVEL_TOLERANCE: f64 = 0.20;

/// The search settles in a few passes.
const MAXIMUM_PASSES: usize = 50;

/// σ = √(mean(M²)/2) over the voxels of `air` in `volumes`, with the checks of the three formulas.
///
/// `agreement` is the largest over the smallest of the three σ, minus 1. Warns of fewer than 1000
/// voxels, of 1 % zeros or more, and of formulas more than 10 % apart. Samples that are not finite
/// are left out.
///
/// # Errors
///
/// `Mismatch` when the mask lies on another grid or a volume is not there; `Value` when `volumes`
/// is empty, there are fewer than 30 voxels, or the air is blanked: 1 % zeros or more and formulas
/// that disagree.
pub fn estimate(series: &Series, air: &Mask, volumes: &[usize]) -> Result<NoiseEstimate> {
    require_matching(series, air, volumes)?;
    if volumes.is_empty() {
        return Err(Error::value("no volume to take the background from").at_field("noise.method"));
    }
    let mut moments = Moments::default();
    for &volume in volumes {
        air.indices().iter().for_each(|&voxel| moments.add(series.signal(voxel, volume)));
    }
    let formulas = moments.formulas();
    let [sigma, ..] = formulas;
    let largest = formulas.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = formulas.iter().copied().fold(f64::INFINITY, f64::min);
    let agreement = largest / smallest - 1.0;
    let mut estimate = level_of(sigma, NoiseMethod::Background, air.len())?;
    estimate.agreement = Some(agreement);
    estimate.warnings = warnings(&moments, formulas, agreement, air.len())?;
    Ok(estimate)
}

fn warnings(
    moments: &Moments,
    [rms, mean, sd]: [f64; 3],
    agreement: f64,
    n_voxels: usize,
) -> Result<Vec<String>> {
    let zeros = moments.zero_fraction();
    let blank = zeros >= MAXIMUM_ZERO_FRACTION;
    let disagree = agreement > FORMULA_TOLERANCE;
    if blank && disagree {
        return Err(Error::value(format!(
            "{:.1} % of the background is 0: it was blanked and holds no noise",
            100.0 * zeros
        ))
        .at_field("noise.method")
        .hint("choose another noise.method or give noise.sigma"));
    }
    let mut warnings = Vec::new();
    if n_voxels < ENOUGH_VOXELS {
        warnings.push(format!(
            "noise level from {n_voxels} background voxels, fewer than {ENOUGH_VOXELS}"
        ));
    }
    if blank {
        warnings.push(format!("{:.1} % of the background is 0", 100.0 * zeros));
    }
    if disagree {
        warnings.push(format!(
            "background is not Rayleigh noise: noise level {rms:.4} from the mean square, \
             {mean:.4} from the mean, {sd:.4} from the SD (filtered, parallel imaging or not air)"
        ));
    }
    Ok(warnings)
}

/// Finds air in `volume` of `series` without a mask.
///
/// The grid is tiled by blocks of about 512 voxels. A block is a candidate when fewer than 1 % of
/// it are 0 and SD/mean is within 15 % of a Rayleigh distribution's 0.5227. Starting from the
/// candidate with the lowest mean square, all candidates whose σ is within 20 % of the pooled σ are
/// taken until nothing changes. No randomness: the same image gives the same mask.
///
/// # Errors
///
/// `Mismatch` when `volume` is not there; `Value` when fewer than 1000 voxels look like air.
pub fn find(series: &Series, volume: usize) -> Result<Mask> {
    if volume >= series.n_volumes() {
        return Err(Error::mismatch(format!("volume {volume} of {}", series.n_volumes())));
    }
    let grid = series.grid();
    let mut candidates: Vec<(Block, Moments)> = blocks(grid)
        .into_iter()
        .map(|block| (block, block.moments(series, volume)))
        .filter(|(_, moments)| moments.looks_like_air())
        .collect();
    settle(&mut candidates);
    let indices: Vec<usize> = candidates.iter().flat_map(|(block, _)| block.voxels(grid)).collect();
    if indices.len() < ENOUGH_VOXELS {
        return Err(Error::value(format!(
            "{} voxels look like air, fewer than {ENOUGH_VOXELS}",
            indices.len()
        ))
        .at_field("noise.method")
        .hint("give a mask of air, choose another noise.method or give noise.sigma"));
    }
    Mask::from_indices(*grid, &indices)
}

/// Keeps the candidates that share the lowest noise level.
fn settle(candidates: &mut Vec<(Block, Moments)>) {
    let levels: Vec<f64> = candidates.iter().map(|(_, moments)| moments.formulas()[0]).collect();
    let mut sigma = levels.iter().copied().fold(f64::INFINITY, f64::min);
    let mut chosen: Vec<bool> = Vec::new();
    for _ in 0..MAXIMUM_PASSES {
        let next: Vec<bool> =
            levels.iter().map(|level| (level / sigma - 1.0).abs() <= LEVEL_TOLERANCE).collect();
        if next == chosen {
            break;
        }
        chosen = next;
        let mut pooled = Moments::default();
        for ((_, moments), _) in candidates.iter().zip(&chosen).filter(|(_, chosen)| **chosen) {
            pooled.merge(moments);
        }
        sigma = pooled.formulas()[0];
    }
    let mut keep = chosen.into_iter();
    candidates.retain(|_| keep.next().unwrap_or(false));
}

/// A box of voxels, `low` inclusive to `high` exclusive.
#[derive(Debug, Clone, Copy)]
struct Block {
    low: [usize; 3],
    high: [usize; 3],
}

impl Block {
    fn voxels(self, grid: &Grid) -> impl Iterator<Item = usize> {
        let Self { low, high } = self;
        let grid = *grid;
        (low[2]..high[2]).flat_map(move |k| {
            (low[1]..high[1])
                .flat_map(move |j| (low[0]..high[0]).map(move |i| grid.index([i, j, k])))
        })
    }

    fn moments(self, series: &Series, volume: usize) -> Moments {
        let mut moments = Moments::default();
        self.voxels(series.grid()).for_each(|voxel| moments.add(series.signal(voxel, volume)));
        moments
    }
}

/// Whole blocks of the grid; what is left at the far edges belongs to none.
fn blocks(grid: &Grid) -> Vec<Block> {
    let [nx, ny, nz] = grid.shape();
    let depth = nz.min(BLOCK_DEPTH);
    let edge = ((BLOCK_VOXELS as f64 / depth as f64).sqrt().ceil() as usize).max(1);
    let (width, height) = (edge.min(nx), edge.min(ny));
    let mut blocks = Vec::new();
    for k in 0..nz / depth {
        for j in 0..ny / height {
            for i in 0..nx / width {
                let low = [i * width, j * height, k * depth];
                blocks.push(Block { low, high: [low[0] + width, low[1] + height, low[2] + depth] });
            }
        }
    }
    blocks
}

/// Sums of magnitudes, added in order.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: usize,
    zeros: usize,
    sum: f64,
    sum_of_squares: f64,
}

impl Moments {
    fn add(&mut self, magnitude: f64) {
        if magnitude.is_finite() {
            self.n += 1;
            self.zeros += usize::from(magnitude <= 0.0);
            self.sum += magnitude;
            self.sum_of_squares += magnitude * magnitude;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.zeros += other.zeros;
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
    }

    /// σ from the mean square, the mean and the SD; NaN without samples.
    fn formulas(&self) -> [f64; 3] {
        let n = self.n as f64;
        let (mean, square) = (self.sum / n, self.sum_of_squares / n);
        let sd = (square - mean * mean).max(0.0).sqrt();
        [(0.5 * square).sqrt(), mean / MEAN_OF_PURE_NOISE, sd / SD_OF_PURE_NOISE]
    }

    fn zero_fraction(&self) -> f64 {
        self.zeros as f64 / self.n as f64
    }

    fn looks_like_air(&self) -> bool {
        let [_, mean, sd] = self.formulas();
        self.zero_fraction() < MAXIMUM_ZERO_FRACTION
            && mean > 0.0
            && (sd / mean - 1.0).abs() <= SHAPE_TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Volume;
    use crate::noise::phantom::{self, EDGE};

    fn air(grid: &Grid) -> Mask {
        Mask::new(Volume::from_fn(*grid, |voxel| grid.voxel(voxel)[1] < EDGE / 2))
    }

    #[test]
    fn air_recovers_sigma_and_the_three_formulas_agree() {
        let (series, all) = phantom::half_air(6.0, &[1.0, 0.5], "air");
        let estimate = estimate(&series, &air(all.grid()), &[0, 1]).unwrap();
        assert!((estimate.level.sigma() / 6.0 - 1.0).abs() < 0.03, "{estimate:?}");
        assert!(estimate.agreement.is_some_and(|agreement| agreement < 0.02));
        assert!(estimate.warnings.is_empty());
    }

    #[test]
    fn air_is_found_without_a_mask() {
        let (series, all) = phantom::half_air(6.0, &[1.0], "find");
        let found = find(&series, 0).unwrap();
        let air = air(all.grid());
        assert!(found.indices().iter().all(|&voxel| air.contains(voxel)));
        assert!(found.len() * 10 > air.len() * 9, "{} of {}", found.len(), air.len());
        let sigma = estimate(&series, &found, &[0]).unwrap().level.sigma();
        assert!((sigma / 6.0 - 1.0).abs() < 0.03, "{sigma}");
    }

    #[test]
    fn an_image_without_air_is_refused() {
        let (series, all) = phantom::half_air(6.0, &[1.0], "no-air");
        let bright = Series::from_signals(
            *all.grid(),
            (0..all.len()).map(|voxel| series.signal(voxel, 0) + 200.0).collect(),
        )
        .unwrap();
        let error = find(&bright, 0).unwrap_err();
        assert!(error.to_string().contains("0 voxels look like air, fewer than 1000"), "{error}");
        assert!(find(&bright, 1).is_err());
    }

    #[test]
    fn blanked_air_is_refused_and_filtered_air_is_named() {
        let (series, all) = phantom::half_air(6.0, &[1.0], "blank");
        let air = air(all.grid());
        let changed = |change: &dyn Fn(usize, f64) -> f64| {
            let signals = (0..all.len()).map(|voxel| change(voxel, series.signal(voxel, 0)));
            let changed = Series::from_signals(*all.grid(), signals.collect()).unwrap();
            estimate(&changed, &air, &[0])
        };
        let error = changed(&|voxel, m| if voxel % 4 == 0 { 0.0 } else { m }).unwrap_err();
        assert!(error.to_string().contains("% of the background is 0"), "{error}");
        let rare = changed(&|voxel, m| if voxel % 64 == 0 { 0.0 } else { m }).unwrap();
        assert_eq!(rare.warnings, ["1.6 % of the background is 0"]);
        // Four averaged channels: the SD falls, the floor does not.
        let averaged = changed(&|_, m| 7.52 + (m - 7.52) / 2.0).unwrap();
        assert!(averaged.warnings[0].starts_with("background is not Rayleigh noise"));
        assert!(changed(&|_, _| 0.0).is_err());
    }

    #[test]
    fn a_small_air_mask_is_named_and_a_tiny_one_refused() {
        let (series, all) = phantom::half_air(6.0, &[1.0], "small");
        let of = |n: usize| {
            let indices: Vec<usize> = (0..n).collect();
            estimate(&series, &Mask::from_indices(*all.grid(), &indices).unwrap(), &[0])
        };
        assert!(of(500).unwrap().warnings.iter().any(|warning| warning.contains("fewer than")));
        assert!(of(29).is_err() && estimate(&series, &all, &[]).is_err());
    }
}
