//! σ from images that were measured more than once.
//!
//! Two repeats: σ = MAD-SD(I₁ − I₂) / √2. Three or more: the variance about each voxel's own mean,
//! pooled over voxels. Both over voxels at A/σ ≥ 5. Motion between repeats inflates σ; this module
//! does not correct it, it warns.
//!
//! # Reference
//!
//! Dietrich et al., "Measurement of signal-to-noise ratios in MR images", Journal of Magnetic
//! Resonance Imaging 2007, doi:10.1002/jmri.20969 (difference method).

use super::selection::{at_high_signal, level_of, median_deviation_sd, require_matching};
use super::{NoiseEstimate, NoiseMethod};
use crate::error::{Error, Result};
use crate::image::{Mask, Series};

/// σ of repeated images that differ by more than this between groups is worth a warning.
const GROUP_TOLERANCE: f64 = 0.10;

struct Group {
    sigma: f64,
    degrees_of_freedom: usize,
    members: Vec<usize>,
    shift: f64,
}

/// σ over the voxels of `mask` from `groups` of volumes that repeat each other.
///
/// Each group lists volume indices of equal weighting (same b-value and direction, or same echo);
/// groups of one are ignored. Voxels with a sample that is not finite, or without signal, are left
/// out. Groups are combined as variances weighted by their degrees of freedom; `agreement` is the
/// largest over the smallest σ, minus 1, where there are several.
///
/// # Errors
///
/// `Mismatch` when the mask lies on another grid or a volume is not there; `Value` when no group
/// holds two volumes, fewer than 30 voxels are bright enough, or the repeats are identical.
pub fn estimate(series: &Series, mask: &Mask, groups: &[Vec<usize>]) -> Result<NoiseEstimate> {
    for group in groups {
        require_matching(series, mask, group)?;
    }
    let measured: Vec<Group> = groups
        .iter()
        .filter(|group| group.len() >= 2)
        .map(|group| measure(series, mask, group))
        .collect();
    if measured.is_empty() {
        return Err(Error::value("no image was measured twice")
            .at_field("noise.method")
            .hint("`repeat` needs two volumes of equal weighting; choose another noise.method"));
    }
    combine(&measured, mask.len())
}

fn combine(groups: &[Group], n_voxels: usize) -> Result<NoiseEstimate> {
    let mut used = vec![false; n_voxels];
    let (mut weighted, mut weight, mut low, mut high) = (0.0, 0.0, f64::INFINITY, 0.0_f64);
    let usable = || groups.iter().filter(|group| group.sigma.is_finite());
    for group in usable() {
        let degrees = group.degrees_of_freedom as f64;
        weighted += degrees * group.sigma * group.sigma;
        weight += degrees;
        (low, high) = (low.min(group.sigma), high.max(group.sigma));
        group.members.iter().for_each(|&member| used[member] = true);
    }
    let n_used = used.iter().filter(|&&used| used).count();
    let sigma = (weighted / weight).sqrt();
    let mut estimate = level_of(sigma, NoiseMethod::Repeat, n_used)?;
    if usable().count() >= 2 {
        estimate.agreement = Some(high / low - 1.0);
    }
    if high > low * (1.0 + GROUP_TOLERANCE) {
        estimate.warnings.push(format!(
            "repeated images give noise levels from {low:.4} to {high:.4}: motion between them \
             inflates the larger"
        ));
    }
    let shift = usable().map(|group| group.shift.abs()).fold(0.0, f64::max);
    if shift > sigma {
        estimate.warnings.push(format!(
            "two repeated images differ by {shift:.4} in the median, more than the noise level \
             {sigma:.4}: their scaling differs"
        ));
    }
    Ok(estimate)
}

fn measure(series: &Series, mask: &Mask, group: &[usize]) -> Group {
    let columns = Columns::read(series, mask, group);
    let usable: Vec<usize> = (0..mask.len())
        .filter(|&i| columns.amplitudes[i] > 0.0 && columns.spreads[i].is_finite())
        .collect();
    let mut shift = 0.0;
    let selected = at_high_signal(&columns.amplitudes, &usable, |members| {
        let mut spreads: Vec<f64> = members.iter().map(|&i| columns.spreads[i]).collect();
        if group.len() == 2 {
            let (sd, centre) = median_deviation_sd(&mut spreads);
            shift = centre;
            sd / std::f64::consts::SQRT_2
        } else {
            let degrees = members.len() * (group.len() - 1);
            (spreads.iter().sum::<f64>() / degrees as f64).sqrt()
        }
    });
    Group {
        sigma: selected.sigma,
        degrees_of_freedom: selected.members.len() * (group.len() - 1),
        members: selected.members,
        shift,
    }
}

/// Per voxel of a mask: mean of the repeats, and their difference (two repeats) or sum of squares
/// about the mean (more).
struct Columns {
    amplitudes: Vec<f64>,
    spreads: Vec<f64>,
}

impl Columns {
    fn read(series: &Series, mask: &Mask, group: &[usize]) -> Self {
        let mut columns = Self {
            amplitudes: Vec::with_capacity(mask.len()),
            spreads: Vec::with_capacity(mask.len()),
        };
        let mut repeats = vec![0.0; group.len()];
        for &voxel in mask.indices() {
            for (repeat, &volume) in repeats.iter_mut().zip(group) {
                *repeat = series.signal(voxel, volume);
            }
            let mean = repeats.iter().sum::<f64>() / repeats.len() as f64;
            columns.amplitudes.push(mean);
            columns.spreads.push(match repeats.as_slice() {
                [first, second] => first - second,
                more => more.iter().map(|repeat| (repeat - mean).powi(2)).sum(),
            });
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::phantom;

    #[test]
    fn two_repeats_recover_sigma_on_a_phantom_that_is_half_air() {
        let (series, mask) = phantom::half_air(7.0, &[1.0, 1.0], "repeat-2");
        let estimate = estimate(&series, &mask, &[vec![0, 1]]).unwrap();
        assert!((estimate.level.sigma() / 7.0 - 1.0).abs() < 0.03, "{estimate:?}");
        assert_eq!(estimate.level.method(), NoiseMethod::Repeat);
        // Every bright voxel and hardly any of air.
        assert!(estimate.level.n_voxels().abs_diff(mask.len() / 2) < mask.len() / 500);
        assert!(estimate.warnings.is_empty() && estimate.agreement.is_none());
    }

    #[test]
    fn several_groups_pool_and_single_images_are_ignored() {
        let (series, mask) = phantom::half_air(7.0, &[1.0, 0.6, 1.0, 0.6, 1.0, 0.3], "repeat-3");
        let groups = [vec![0, 2, 4], vec![1, 3], vec![5]];
        let estimate = estimate(&series, &mask, &groups).unwrap();
        assert!((estimate.level.sigma() / 7.0 - 1.0).abs() < 0.03, "{estimate:?}");
        assert!(estimate.agreement.is_some_and(|agreement| agreement < 0.03));
    }

    #[test]
    fn images_of_different_scale_are_named() {
        let (series, mask) = phantom::half_air(7.0, &[1.0, 1.2], "repeat-shift");
        let estimate = estimate(&series, &mask, &[vec![0, 1]]).unwrap();
        assert!(estimate.warnings.iter().any(|warning| warning.contains("their scaling differs")));
    }

    #[test]
    fn without_repeats_or_noise_there_is_no_sigma() {
        let (series, mask) = phantom::half_air(7.0, &[1.0, 1.0], "repeat-none");
        for groups in [vec![], vec![vec![0]], vec![vec![0, 0]], vec![vec![0, 2]]] {
            assert!(estimate(&series, &mask, &groups).is_err(), "{groups:?}");
        }
        let empty = Mask::from_indices(*mask.grid(), &[]).unwrap();
        let error = estimate(&series, &empty, &[vec![0, 1]]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`noise.method`: method `repeat` found 0 usable voxels, fewer than 30"
        );
    }
}
