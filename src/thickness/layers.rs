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
    let bone = PointIndex::new(&surfaces.interface.vertices_mm);
    let joint = PointIndex::new(&surfaces.articular.vertices_mm);
    let grid = *cartilage.grid();
    let distance = |nearest: Option<Nearest>| nearest.map_or(f64::NAN, |n| n.squared_mm2.sqrt());
    let depths: Vec<f32> = cartilage
        .indices()
        .par_iter()
        .map(|&index| {
            let position_mm = grid.position_mm(index);
            let from_bone = distance(bone.nearest(position_mm));
            (from_bone / (from_bone + distance(joint.nearest(position_mm)))) as f32
        })
        .collect();
    let mut voxels = vec![f32::NAN; grid.n_voxels()];
    for (&index, depth) in cartilage.indices().iter().zip(depths) {
        voxels[index] = depth;
    }
    Volume::new(grid, voxels)
}

/// The half of the cartilage nearer to bone (depth below 0.5) and the half nearer to the joint.
///
/// Voxels without a depth (NaN) are in neither.
pub fn deep_and_superficial(depth: &Volume<f32>) -> (Mask, Mask) {
    (Mask::new(depth.map(|&z| z < 0.5)), Mask::new(depth.map(|&z| z >= 0.5)))
}
