//! One image carried to the grid of another by scanner coordinates.
//!
//! Labels take the nearest voxel, volumes are interpolated linearly, and where voxels of the target
//! are larger than those of a mask the part of each that the mask fills is computed. Sums run in a
//! fixed order, so that every number of threads gives the same bytes.

use rayon::prelude::*;

use super::{Grid, Labels, Mask, Volume};
use crate::error::Result;

/// Positions this far beyond the outer faces of a grid, in voxels, still lie inside: rounding.
const FACE_TOLERANCE_VOXELS: f64 = 1e-6;

/// Interpolation needs at least this weight on finite values.
const LEAST_FINITE_WEIGHT: f64 = 0.5;

/// Samples per target voxel along one axis, at most.
const MAXIMUM_SAMPLES: usize = 32;

/// An image on its new grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampled<T> {
    /// The image.
    pub image: T,
    /// Voxels of the target whose centres lie outside the source.
    pub n_outside: usize,
}

/// `labels` on `target`, each voxel that of the nearest source voxel; 0 outside the source.
///
/// # Errors
///
/// `Internal` when the volume cannot be built.
pub fn resample_labels(labels: &Labels, target: &Grid) -> Result<Resampled<Labels>> {
    let source = labels.grid();
    let values = labels.volume().voxels();
    let found: Vec<Option<u32>> = (0..target.n_voxels())
        .into_par_iter()
        .map(|index| source.nearest(target.position_mm(index)).map(|nearest| values[nearest]))
        .collect();
    let n_outside = found.iter().filter(|value| value.is_none()).count();
    let voxels = found.into_iter().map(Option::unwrap_or_default).collect();
    let names = labels.values().into_iter().map(|value| (value, labels.name(value))).collect();
    Ok(Resampled { image: Labels::new(Volume::new(*target, voxels)?, names), n_outside })
}

/// `volume` on `target` by trilinear interpolation; NaN outside the source.
///
/// Source values that are not finite are left out and the other weights scaled up; where those have
/// less than half of the weight the result is NaN. Beyond the outermost voxel centres the border
/// value holds up to the outer face.
///
/// # Errors
///
/// `Internal` when the volume cannot be built.
pub fn resample_linear(volume: &Volume<f32>, target: &Grid) -> Result<Resampled<Volume<f32>>> {
    let found: Vec<Option<f32>> = (0..target.n_voxels())
        .into_par_iter()
        .map(|index| linear_at(volume, target.position_mm(index)))
        .collect();
    let n_outside = found.iter().filter(|value| value.is_none()).count();
    let voxels = found.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect();
    Ok(Resampled { image: Volume::new(*target, voxels)?, n_outside })
}

/// The part, 0–1, of every voxel of `target` that `mask` fills.
///
/// A target voxel is sampled on a regular lattice at most half a source voxel apart (up to 32
/// samples along each axis); a sample counts when the nearest source voxel is in the mask. What lies
/// outside the source is not in the mask.
///
/// # Errors
///
/// `Internal` when the volume cannot be built.
pub fn carry_labels(mask: &Mask, target: &Grid) -> Result<Volume<f32>> {
    let mut fractions = vec![0.0_f32; target.n_voxels()];
    let [nx, ny, _] = target.shape();
    if let Some([low, high]) = target_box(mask, target) {
        let offsets = sample_offsets(mask.grid(), target);
        fractions.par_chunks_mut(nx).enumerate().for_each(|(row, values)| {
            let (j, k) = (row % ny, row / ny);
            if (low[1]..high[1]).contains(&j) && (low[2]..high[2]).contains(&k) {
                for (i, value) in values.iter_mut().enumerate().take(high[0]).skip(low[0]) {
                    *value = fraction_inside(mask, target, [i, j, k], &offsets);
                }
            }
        });
    }
    Volume::new(*target, fractions)
}

/// The voxels of which at least `least` is filled; NaN is not.
pub fn mask_from_fraction(fraction: &Volume<f32>, least: f32) -> Mask {
    Mask::new(fraction.map(|&fraction| fraction >= least))
}

/// Trilinear value of `volume` at a scanner position as [`resample_linear`] computes it; `None`
/// outside, NaN where values are missing.
pub fn linear_at(volume: &Volume<f32>, position_mm: [f64; 3]) -> Option<f32> {
    let corners = corners_at(volume.grid(), position_mm)?;
    let (mut sum, mut weight) = (0.0, 0.0);
    for (index, share) in corners {
        let value = volume.voxels()[index];
        if share > 0.0 && value.is_finite() {
            sum += share * f64::from(value);
            weight += share;
        }
    }
    Some(if weight >= LEAST_FINITE_WEIGHT { (sum / weight) as f32 } else { f32::NAN })
}

/// The voxels that trilinear interpolation at a scanner position takes, each with its weight; voxels
/// of weight 0 may be any. `None` outside.
pub fn corners_at(grid: &Grid, position_mm: [f64; 3]) -> Option<[(usize, f64); 8]> {
    let voxel = grid.affine().to_voxel(position_mm);
    let shape = grid.shape();
    let mut base = [0; 3];
    let mut fraction = [0.0; 3];
    for axis in 0..3 {
        let last = shape[axis] as f64 - 1.0;
        let reach = 0.5 + FACE_TOLERANCE_VOXELS;
        if !(-reach..=last + reach).contains(&voxel[axis]) {
            return None;
        }
        let inside = voxel[axis].clamp(0.0, last);
        base[axis] = (inside.floor() as usize).min(shape[axis].saturating_sub(2));
        fraction[axis] = inside - base[axis] as f64;
    }
    let mut corners = [(0, 0.0); 8];
    for (corner, found) in corners.iter_mut().enumerate() {
        let bit = |axis: usize| corner >> axis & 1;
        let share: f64 =
            (0..3).map(|a| if bit(a) == 1 { fraction[a] } else { 1.0 - fraction[a] }).product();
        if share > 0.0 {
            *found = (grid.index([0, 1, 2].map(|a| base[a] + bit(a))), share);
        }
    }
    Some(corners)
}

/// First and past-the-end voxel of `target` along each axis that `mask` can reach; `None` where it
/// reaches none.
fn target_box(mask: &Mask, target: &Grid) -> Option<[[usize; 3]; 2]> {
    let source = mask.grid();
    let mut low = [f64::INFINITY; 3];
    let mut high = [f64::NEG_INFINITY; 3];
    for &index in mask.indices() {
        let voxel = target.affine().to_voxel(source.position_mm(index));
        for axis in 0..3 {
            low[axis] = low[axis].min(voxel[axis]);
            high[axis] = high[axis].max(voxel[axis]);
        }
    }
    // A source voxel reaches at most half its diagonal beyond its centre.
    let diagonal_mm = source.affine().spacing_mm().iter().map(|s| s * s).sum::<f64>().sqrt();
    let spacing_mm = target.affine().spacing_mm();
    let shape = target.shape();
    let mut bounds = [[0; 3]; 2];
    for axis in 0..3 {
        let margin = 0.5 * diagonal_mm / spacing_mm[axis] + 1.0;
        bounds[0][axis] = (low[axis] - margin).max(0.0) as usize;
        bounds[1][axis] =
            ((high[axis] + margin).ceil() + 1.0).clamp(0.0, shape[axis] as f64) as usize;
    }
    (0..3).all(|axis| bounds[0][axis] < bounds[1][axis]).then_some(bounds)
}

/// Positions of the samples in a target voxel, voxels from its centre.
pub(crate) fn sample_offsets(source: &Grid, target: &Grid) -> Vec<[f64; 3]> {
    let finest_mm = source.affine().spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    let counts = target.affine().spacing_mm().map(|spacing_mm| {
        ((2.0 * spacing_mm / finest_mm).ceil() as usize).clamp(1, MAXIMUM_SAMPLES)
    });
    let along = |axis: usize| {
        let n = counts[axis];
        (0..n).map(move |sample| (sample as f64 + 0.5) / n as f64 - 0.5)
    };
    along(2).flat_map(|z| along(1).flat_map(move |y| along(0).map(move |x| [x, y, z]))).collect()
}

fn fraction_inside(mask: &Mask, target: &Grid, voxel: [usize; 3], offsets: &[[f64; 3]]) -> f32 {
    let source = mask.grid();
    let is_inside = |offset: &&[f64; 3]| {
        let position = [0, 1, 2].map(|axis| voxel[axis] as f64 + offset[axis]);
        let nearest = source.nearest(target.affine().to_scanner(position));
        nearest.is_some_and(|index| mask.contains(index))
    };
    offsets.iter().filter(is_inside).count() as f32 / offsets.len() as f32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::image::Affine;

    fn grid(shape: [usize; 3], spacing_mm: [f64; 3], origin_mm: [f64; 3]) -> Grid {
        Grid::new(shape, Affine::from_spacing(spacing_mm, origin_mm).unwrap()).unwrap()
    }

    #[test]
    fn linear_interpolation_is_exact_on_a_plane_through_a_turned_grid() {
        let source = grid([20, 20, 20], [0.5, 0.7, 1.0], [-4.0, -6.0, -9.0]);
        let plane = |[x, y, z]: [f64; 3]| 3.0 + 0.25 * x - 0.5 * y + z;
        let volume = Volume::from_fn(source, |i| plane(source.position_mm(i)) as f32);
        let turned = [[0.8, -0.6, 0.0, 0.1], [0.6, 0.8, 0.0, -0.3], [0.0, 0.0, 1.3, -2.0]];
        let target = Grid::new([4, 4, 4], Affine::new(turned).unwrap()).unwrap();
        let resampled = resample_linear(&volume, &target).unwrap();
        assert_eq!(resampled.n_outside, 0);
        for (index, &value) in resampled.image.voxels().iter().enumerate() {
            let expected = plane(target.position_mm(index));
            assert!((f64::from(value) - expected).abs() < 1e-5, "{value} {expected}");
        }
    }

    #[test]
    fn a_missing_value_leaves_its_neighbours_and_outside_is_counted() {
        let source = grid([2, 1, 1], [1.0; 3], [0.0; 3]);
        let volume = Volume::new(source, vec![f32::NAN, 8.0]).unwrap();
        let target = grid([4, 1, 1], [0.4, 1.0, 1.0], [0.2, 0.0, 0.0]);
        let resampled = resample_linear(&volume, &target).unwrap();
        let values = resampled.image.voxels();
        assert!(values[0].is_nan(), "four fifths of the weight are missing");
        assert_eq!(
            values[1..].iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            [8.0_f32.to_bits(); 3]
        );
        assert_eq!(resampled.n_outside, 0);
        let beyond = grid([3, 1, 1], [1.0; 3], [1.0, 0.0, 0.0]);
        assert_eq!(resample_linear(&volume, &beyond).unwrap().n_outside, 2);
    }

    #[test]
    fn labels_keep_their_values_and_names() {
        let source = grid([3, 1, 1], [1.0; 3], [0.0; 3]);
        let volume = Volume::new(source, vec![1, 0, 5]).unwrap();
        let labels = Labels::new(volume, BTreeMap::from([(5, "femur".into())]));
        let target = grid([7, 1, 1], [0.5, 1.0, 1.0], [-0.3, 0.0, 0.0]);
        let resampled = resample_labels(&labels, &target).unwrap();
        assert_eq!(resampled.image.volume().voxels(), [1, 1, 0, 0, 5, 5, 0]);
        assert_eq!((resampled.n_outside, resampled.image.name(5)), (1, "femur".to_owned()));
    }

    #[test]
    fn fractions_are_the_overlap_of_boxes() {
        // Source voxels of 0.25 mm fill x from 0 to 4 mm and z from 0 to 2 mm.
        let source = grid([64, 16, 32], [0.25; 3], [-3.875, -1.875, -3.875]);
        let mask = Mask::new(Volume::from_fn(source, |i| {
            let [x, _, z] = source.position_mm(i);
            (0.0..4.0).contains(&x) && (0.0..2.0).contains(&z)
        }));
        let target = grid([5, 1, 3], [1.0, 1.0, 3.0], [-0.25, 0.0, -1.0]);
        let fraction = carry_labels(&mask, &target).unwrap();
        let along = [0.25, 1.0, 1.0, 1.0, 0.75];
        let across = [0.5 / 3.0, 1.5 / 3.0, 0.0];
        for (index, &value) in fraction.voxels().iter().enumerate() {
            let [i, _, k] = target.voxel(index);
            let expected = along[i] * across[k];
            // Samples at most an eighth of a millimetre apart.
            assert!((f64::from(value) - expected).abs() < 0.01, "{i} {k}: {value} {expected}");
        }
        assert_eq!(mask_from_fraction(&fraction, 0.49).len(), 3);
    }

    #[test]
    fn the_volume_of_a_label_is_carried_and_nothing_comes_from_nothing() {
        let source = grid([60, 60, 40], [0.365, 0.456, 0.7], [-10.0, -13.0, -14.0]);
        let ball = Mask::new(Volume::from_fn(source, |i| {
            source.position_mm(i).iter().map(|x| x * x).sum::<f64>() < 64.0
        }));
        let turned = [[0.4, 0.1, 0.0, -10.0], [-0.1, 0.4, 0.0, -9.0], [0.0, 0.0, 3.0, -12.3]];
        let target = Grid::new([50, 50, 9], Affine::new(turned).unwrap()).unwrap();
        let fraction = carry_labels(&ball, &target).unwrap();
        let filled: f64 = fraction.voxels().iter().map(|&f| f64::from(f)).sum();
        let volume_ml = filled * target.affine().voxel_volume_mm3() / 1e3;
        assert!((volume_ml / ball.volume_ml() - 1.0).abs() < 2e-3, "{volume_ml}");
        let none = Mask::from_indices(source, &[]).unwrap();
        assert!(carry_labels(&none, &target).unwrap().voxels().iter().all(|f| f.to_bits() == 0));
        let far = grid([4, 4, 4], [1.0; 3], [900.0; 3]);
        assert!(carry_labels(&ball, &far).unwrap().voxels().iter().all(|f| f.to_bits() == 0));
    }
}
