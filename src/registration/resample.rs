//! Images, labels and masks seen through a transform.
//!
//! A map takes positions of the target to positions of the image: a [`Transform`](super::Transform)
//! brings the moving image onto the grid of the fixed one, its inverse brings what belongs to the
//! fixed image onto the moving one. Where the map is not known (NaN) the position counts as outside.

use rayon::prelude::*;

use super::{Perturbation, PointMap};
use crate::error::Result;
use crate::image::resample::{Resampled, linear_at, sample_offsets};
use crate::image::{Grid, Labels, Mask, Volume};

/// `volume` on `target` through `map` by trilinear interpolation, with the rules of
/// [`resample_linear`](crate::image::resample::resample_linear); NaN outside.
///
/// # Errors
///
/// `Internal` when the volume cannot be built.
pub fn resample_linear_through(
    volume: &Volume<f32>,
    target: &Grid,
    map: &dyn PointMap,
) -> Result<Resampled<Volume<f32>>> {
    let found: Vec<Option<f32>> = (0..target.n_voxels())
        .into_par_iter()
        .map(|index| linear_at(volume, map.apply(target.position_mm(index))))
        .collect();
    let n_outside = found.iter().filter(|value| value.is_none()).count();
    let voxels = found.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect();
    Ok(Resampled { image: Volume::new(*target, voxels)?, n_outside })
}

/// `labels` on `target` through `map`, each voxel that of the nearest voxel; 0 outside.
///
/// # Errors
///
/// `Internal` when the volume cannot be built.
pub fn resample_labels_through(
    labels: &Labels,
    target: &Grid,
    map: &dyn PointMap,
) -> Result<Resampled<Labels>> {
    let (values, n_outside) = nearest(labels.grid(), target, map, |i| labels.volume().voxels()[i]);
    let names = labels.values().into_iter().map(|value| (value, labels.name(value))).collect();
    Ok(Resampled { image: Labels::new(Volume::new(*target, values)?, names), n_outside })
}

/// `mask` on `target` through `map`: voxels whose nearest voxel is in the mask; none outside.
///
/// # Errors
///
/// `Internal` when the volume cannot be built.
pub fn resample_mask_through(
    mask: &Mask,
    target: &Grid,
    map: &dyn PointMap,
) -> Result<Resampled<Mask>> {
    let (inside, n_outside) = nearest(mask.grid(), target, map, |index| mask.contains(index));
    Ok(Resampled { image: Mask::new(Volume::new(*target, inside)?), n_outside })
}

fn nearest<T: Default + Send>(
    source: &Grid,
    target: &Grid,
    map: &dyn PointMap,
    value: impl Fn(usize) -> T + Sync,
) -> (Vec<T>, usize) {
    let found: Vec<Option<T>> = (0..target.n_voxels())
        .into_par_iter()
        .map(|index| source.nearest(map.apply(target.position_mm(index))).map(&value))
        .collect();
    let n_outside = found.iter().filter(|value| value.is_none()).count();
    (found.into_iter().map(Option::unwrap_or_default).collect(), n_outside)
}

/// The part, 0–1, of every voxel of `target` that `mask` fills when seen through `map`, sampled as in
/// [`carry_labels`](crate::image::resample::carry_labels). Within a voxel the map is taken as linear.
///
/// # Errors
///
/// `Internal` when the volume cannot be built.
pub fn carry_mask_through(mask: &Mask, target: &Grid, map: &dyn PointMap) -> Result<Volume<f32>> {
    let all: Vec<usize> = (0..target.n_voxels()).collect();
    let [nx, ny, _] = target.shape();
    let of_slice =
        |slice: &[usize]| CarriedVoxels::new(mask, (target, slice), map).fractions(mask, None);
    Volume::new(*target, all.chunks(nx * ny).flat_map(of_slice).collect())
}

/// Voxels of one grid seen in another: what the part that a mask fills is computed from, again and
/// again under small displacements.
#[derive(Debug, Clone)]
pub struct CarriedVoxels {
    /// Centre of every voxel, voxels of the mask; NaN where the map is not known.
    centres: Vec<[f64; 3]>,
    /// Its three edges, likewise.
    edges: Vec<[[f64; 3]; 3]>,
    /// Samples within a voxel.
    offsets: Vec<[f64; 3]>,
}

impl CarriedVoxels {
    /// The `voxels` of `target` through `map`, which leads to the scanner positions of `mask`.
    pub fn new(mask: &Mask, (target, voxels): (&Grid, &[usize]), map: &dyn PointMap) -> Self {
        let source = mask.grid();
        let at = |voxel| source.affine().to_voxel(map.apply(target.affine().to_scanner(voxel)));
        let (centres, edges) = voxels
            .par_iter()
            .map(|&index| {
                let voxel = target.voxel(index).map(|i| i as f64);
                let edges = [0, 1, 2].map(|axis| {
                    let (mut low, mut high) = (voxel, voxel);
                    low[axis] -= 0.5;
                    high[axis] += 0.5;
                    let (low, high) = (at(low), at(high));
                    [0, 1, 2].map(|a| high[a] - low[a])
                });
                (at(voxel), edges)
            })
            .unzip();
        Self { centres, edges, offsets: sample_offsets(source, target) }
    }

    /// Part of every voxel, 0–1, that `mask` fills, each voxel displaced in the scanner space of the
    /// mask where a perturbation is given; 0 where the map is not known.
    pub fn fractions(&self, mask: &Mask, perturbation: Option<&Perturbation>) -> Vec<f32> {
        let Some(bounds) = bounds(mask) else { return vec![0.0; self.centres.len()] };
        let affine = mask.grid().affine();
        let moved = |centre: [f64; 3]| {
            let Some(perturbation) = perturbation else { return centre };
            let place = affine.to_scanner(centre);
            let by = perturbation.at(place);
            affine.to_voxel([0, 1, 2].map(|axis| place[axis] + by[axis]))
        };
        let places = self.centres.par_iter().zip(&self.edges);
        let part = |(&centre, &edges): (&[f64; 3], &[[f64; 3]; 3])| {
            let is_known = centre.iter().chain(edges.iter().flatten()).all(|x| x.is_finite());
            if is_known {
                fraction(mask, bounds, (moved(centre), edges), &self.offsets)
            } else {
                0.0
            }
        };
        places.map(part).collect()
    }
}

/// First and last voxel of the mask along each axis.
fn bounds(mask: &Mask) -> Option<[[f64; 3]; 2]> {
    let start = [[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]];
    let found = mask.indices().iter().fold(start, |[low, high], &index| {
        let voxel = mask.grid().voxel(index).map(|i| i as f64);
        [[0, 1, 2].map(|a| low[a].min(voxel[a])), [0, 1, 2].map(|a| high[a].max(voxel[a]))]
    });
    (!mask.is_empty()).then_some(found)
}

/// Part of a voxel, given by its centre and edges in voxels of the mask, that the mask fills.
fn fraction(
    mask: &Mask,
    [low, high]: [[f64; 3]; 2],
    (centre, edges): ([f64; 3], [[f64; 3]; 3]),
    offsets: &[[f64; 3]],
) -> f32 {
    let grid = mask.grid();
    let reach = [0, 1, 2].map(|a| edges.iter().map(|edge| edge[a].abs()).sum::<f64>() / 2.0 + 1.0);
    if (0..3).any(|a| centre[a] + reach[a] < low[a] || centre[a] - reach[a] > high[a]) {
        return 0.0;
    }
    let is_inside = |offset: &&[f64; 3]| {
        let mut voxel = [0_usize; 3];
        for (axis, voxel) in voxel.iter_mut().enumerate() {
            let place: f64 = centre[axis] + (0..3).map(|e| offset[e] * edges[e][axis]).sum::<f64>();
            let rounded = place.round();
            if !(0.0 <= rounded && rounded < grid.shape()[axis] as f64) {
                return false;
            }
            *voxel = rounded as usize;
        }
        mask.contains(grid.index(voxel))
    };
    offsets.iter().filter(is_inside).count() as f32 / offsets.len() as f32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::image::resample::{carry_labels, resample_labels, resample_linear};
    use crate::registration::free_form::tests::wavy;
    use crate::registration::{Rigid, Transform};

    #[test]
    fn the_identity_is_plain_resampling() {
        let (source, free_form) = wavy(0.0, 15.0);
        let still = Transform::identity();
        let volume = Volume::from_fn(source, |i| (i % 97) as f32);
        let other = free_form.displacements_mm().grid();
        let plain = resample_linear(&volume, other).unwrap();
        let through = resample_linear_through(&volume, other, &still).unwrap();
        assert_eq!(plain.n_outside, through.n_outside);
        for (a, b) in plain.image.voxels().iter().zip(through.image.voxels()) {
            assert!((a - b).abs() < 1e-3 || (a.is_nan() && b.is_nan()), "{a} {b}");
        }
        let labels = volume.map(|&v| u32::from(v > 40.0) * 7);
        let labels = Labels::new(labels, BTreeMap::from([(7, "seven".into())]));
        let plain = resample_labels(&labels, &source).unwrap();
        assert_eq!(resample_labels_through(&labels, &source, &still).unwrap(), plain);
        let mask = labels.mask_of(&[7]);
        assert_eq!(resample_mask_through(&mask, &source, &still).unwrap().image, mask);
        let carried = carry_mask_through(&mask, &source, &still).unwrap();
        for (a, b) in carry_labels(&mask, &source).unwrap().voxels().iter().zip(carried.voxels()) {
            assert!((a - b).abs() < 0.01, "{a} {b}");
        }
    }

    #[test]
    fn a_map_and_its_inverse_bring_a_mask_home() {
        let (grid, free_form) = wavy(2.0, 20.0);
        let transform = Transform::FreeForm(Box::new(free_form));
        let centre = grid.affine().to_scanner([30.0, 25.0, 6.0]);
        let ball = Mask::new(Volume::from_fn(grid, |i| {
            let p = grid.position_mm(i);
            (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum::<f64>() < 144.0
        }));
        let there = carry_mask_through(&ball, &grid, &transform.inverse()).unwrap();
        let filled: f64 = there.voxels().iter().map(|&f| f64::from(f)).sum();
        // The deformation changes volumes by a few per cent.
        assert!((filled / ball.len() as f64 - 1.0).abs() < 0.2);
        let there = resample_mask_through(&ball, &grid, &transform.inverse()).unwrap().image;
        let back = resample_mask_through(&there, &grid, &transform).unwrap().image;
        let common = ball.indices().iter().filter(|&&i| back.contains(i)).count();
        let dice = 2.0 * common as f64 / (ball.len() + back.len()) as f64;
        assert!(dice > 0.9, "{dice}");
    }

    #[test]
    fn far_away_everything_is_outside() {
        let (grid, _) = wavy(0.0, 20.0);
        let far = Rigid::new([0.0; 3], [1e4, 0.0, 0.0], [0.0; 3]).unwrap();
        let volume = Volume::from_fn(grid, |_| 1.0);
        let found = resample_linear_through(&volume, &grid, &far).unwrap();
        assert_eq!(found.n_outside, grid.n_voxels());
        assert!(found.image.voxels().iter().all(|v| v.is_nan()));
        let full = Mask::full(grid);
        assert!(resample_mask_through(&full, &grid, &far).unwrap().image.is_empty());
        let carried = carry_mask_through(&full, &grid, &far).unwrap();
        assert!(carried.voxels().iter().all(|f| f.to_bits() == 0));
    }
}
