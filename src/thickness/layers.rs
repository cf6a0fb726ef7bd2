//! Depth inside cartilage: 0 at the bone, 1 at the joint.

use rayon::prelude::*;

use super::interface::Surfaces;
use super::nearest::{Nearest, PointIndex};
use crate::error::Result;
use crate::image::{Mask, Volume};

/// Depth `d_bone / (d_bone + d_articular)` of every voxel of `cartilage` from its distances to both
/// surfaces; NaN outside.
///
/// # Errors
///
/// `Internal` when the volume cannot be built.
pub fn normalised_depth(cartilage: &Mask, surfaces: &Surfaces) -> Result<Volume<f32>> {
    let grid = *cartilage.grid();
    let positions: Vec<_> = cartilage.indices().iter().map(|&at| grid.position_mm(at)).collect();
    let mut voxels = vec![f32::NAN; grid.n_voxels()];
    let depths = normalised_depths(&positions, surfaces);
    for (&index, depth) in cartilage.indices().iter().zip(depths) {
        voxels[index] = depth as f32;
    }
    Volume::new(grid, voxels)
}

/// The same at any scanner positions, mm; a position that is not finite has no depth (NaN).
///
/// Beyond a surface the depth goes back towards 0.5 with the distance.
pub fn normalised_depths(positions_mm: &[[f64; 3]], surfaces: &Surfaces) -> Vec<f64> {
    let bone = PointIndex::new(&surfaces.interface.vertices_mm);
    let joint = PointIndex::new(&surfaces.articular.vertices_mm);
    let distance = |nearest: Option<Nearest>| nearest.map_or(f64::NAN, |n| n.squared_mm2.sqrt());
    let depth = |&position_mm: &[f64; 3]| {
        let from_bone = distance(bone.nearest(position_mm));
        from_bone / (from_bone + distance(joint.nearest(position_mm)))
    };
    positions_mm.par_iter().map(depth).collect()
}

/// The half of the cartilage nearer to bone (depth below 0.5) and the half nearer to the joint.
///
/// Voxels without a depth (NaN) are in neither.
pub fn deep_and_superficial(depth: &Volume<f32>) -> (Mask, Mask) {
    (Mask::new(depth.map(|&z| z < 0.5)), Mask::new(depth.map(|&z| z >= 0.5)))
}

/// `n_layers` layers of equal normalised depth from bone to joint; a depth of 1 is in the last.
///
/// Voxels without a depth (NaN) are in none; a layer may be empty. No layer is made of 0.
pub fn depth_layers(depth: &Volume<f32>, n_layers: usize) -> Vec<Mask> {
    let layer_of = |z: f32| ((f64::from(z) * n_layers as f64) as usize).min(n_layers - 1);
    (0..n_layers).map(|layer| Mask::new(depth.map(|&z| z >= 0.0 && layer_of(z) == layer))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Affine, Grid};

    #[test]
    fn layers_of_equal_depth_hold_every_voxel_once() {
        let grid = Grid::new([7, 1, 1], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
        let depth = Volume::new(grid, vec![0.0, 0.24, 0.25, 0.5, 0.99, 1.0, f32::NAN]).unwrap();
        let layers = depth_layers(&depth, 4);
        let indices: Vec<&[usize]> = layers.iter().map(Mask::indices).collect();
        assert_eq!(indices, [&[0_usize, 1][..], &[2], &[3], &[4, 5]]);
        let (deep, superficial) = deep_and_superficial(&depth);
        let two = depth_layers(&depth, 2);
        assert_eq!([deep.indices(), superficial.indices()], [two[0].indices(), two[1].indices()]);
        assert!(depth_layers(&depth, 0).is_empty());
    }
}
