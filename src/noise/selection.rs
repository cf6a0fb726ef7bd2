//! Voxels bright enough for the Rician distribution to be normal, and robust σ on slices.
//!
//! At A/σ ≥ 5 the SD of a magnitude is within 1 % of σ. Which voxels these are depends on σ itself,
//! so the selection is repeated until it stays the same; it starts from all voxels, where σ is at
//! worst a third too small, and so never starts with too few of them.
//!
//! # Reference
//!
//! Gudbjartsson and Patz, Magnetic Resonance in Medicine 1995, doi:10.1002/mrm.1910340618 (where a
//! Rician is normal); Rousseeuw and Croux, Journal of the American Statistical Association 1993,
//! doi:10.1080/01621459.1993.10476408 (median absolute deviation).

use super::{NoiseDistribution, NoiseEstimate, NoiseLevel, NoiseMethod};
use crate::error::{Error, Result};
use crate::image::{Mask, Series};

/// Amplitude over σ from which a voxel is used.
const MINIMUM_SIGNAL_TO_NOISE: f64 = 5.0;

/// The selection settles in a few passes; two selections that alternate end here.
const MAXIMUM_PASSES: usize = 50;

/// Fewer voxels than this say nothing about σ.
pub(super) const MINIMUM_VOXELS: usize = 30;

/// 1 / Φ⁻¹(3/4): from the median absolute deviation to the SD of a normal distribution.
const SD_PER_MEDIAN_DEVIATION: f64 = 1.482_602_218_505_602;

/// The voxels in use at the end, and their σ.
pub(super) struct Selected {
    pub(super) sigma: f64,
    pub(super) members: Vec<usize>,
}

/// σ over the `usable` members whose amplitude is at least five σ.
///
/// `sigma_of` gets indices into `amplitudes`. σ is NaN where no member is left.
pub(super) fn at_high_signal(
    amplitudes: &[f64],
    usable: &[usize],
    mut sigma_of: impl FnMut(&[usize]) -> f64,
) -> Selected {
    let mut members = usable.to_vec();
    let mut sigma = sigma_of(&members);
    for _ in 0..MAXIMUM_PASSES {
        let least = MINIMUM_SIGNAL_TO_NOISE * sigma;
        let next: Vec<usize> = usable.iter().copied().filter(|&i| amplitudes[i] >= least).collect();
        if next == members {
            break;
        }
        members = next;
        sigma = sigma_of(&members);
    }
    Selected { sigma, members }
}

/// Median of finite `values`, reordering them; NaN where there is none.
pub(super) fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    0.5 * (lower + upper)
}

/// Robust SD, 1.4826 times the median absolute deviation, and the median; reorders `values`.
pub(super) fn median_deviation_sd(values: &mut [f64]) -> (f64, f64) {
    let centre = median(values);
    for value in values.iter_mut() {
        *value = (*value - centre).abs();
    }
    (SD_PER_MEDIAN_DEVIATION * median(values), centre)
}

/// Refuses a mask of another grid, and volumes that are not in the series.
pub(super) fn require_matching(series: &Series, mask: &Mask, volumes: &[usize]) -> Result<()> {
    series.grid().require_same(mask.grid()).map_err(|error| error.at_field("noise.mask"))?;
    match volumes.iter().find(|&&volume| volume >= series.n_volumes()) {
        Some(volume) => Err(Error::mismatch(format!(
            "volume {volume} is not among the {} volumes of the series",
            series.n_volumes()
        ))
        .at_field("noise.volumes")),
        None => Ok(()),
    }
}

/// A Rician level from `n_voxels`, refused where they are too few.
pub(super) fn level_of(sigma: f64, method: NoiseMethod, n_voxels: usize) -> Result<NoiseEstimate> {
    if n_voxels < MINIMUM_VOXELS {
        return Err(Error::value(format!(
            "method `{}` found {n_voxels} usable voxels, fewer than {MINIMUM_VOXELS}",
            method.name()
        ))
        .at_field("noise.method")
        .hint("choose another noise.method or give noise.sigma"));
    }
    let level = NoiseLevel::new(sigma, NoiseDistribution::Rician, method, n_voxels)?;
    Ok(NoiseEstimate { level, agreement: None, others: Vec::new(), warnings: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_takes_the_middle_or_the_mean_of_two() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-15);
        assert!((median(&mut [4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-15);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn one_wild_value_leaves_the_robust_deviation_alone() {
        let (sd, centre) = median_deviation_sd(&mut [1.0, 2.0, 3.0, 4.0, 1e9]);
        assert!((sd - 1.482_602_218_505_602).abs() < 1e-12 && (centre - 3.0).abs() < 1e-15);
    }

    #[test]
    fn selection_settles_on_the_bright_voxels() {
        let amplitudes = [1.0, 20.0, 30.0, f64::NAN];
        let selected = at_high_signal(&amplitudes, &[0, 1, 2], |members| members.len() as f64);
        assert_eq!(selected.members, [1, 2]);
        let none =
            at_high_signal(
                &amplitudes,
                &[0],
                |members| {
                    if members.is_empty() { f64::NAN } else { 1.0 }
                },
            );
        assert!(none.members.is_empty() && none.sigma.is_nan());
    }
}
