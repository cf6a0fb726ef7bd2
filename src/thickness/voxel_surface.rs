//! Surfaces made of voxels, for the distance transform read at voxel centres.

use super::distance_transform;
use super::interface::check_masks;
use super::measurement::SurfacePoint;
use super::rim::InterfaceIndex;
use crate::error::{Error, Result};
use crate::image::{Grid, Mask};

/// Distance from every cartilage voxel at the joint to the nearest bone voxel, and how many such
/// voxels were excluded at the rim.
///
/// # Errors
///
/// As [`check_masks`]; `Value` when no cartilage voxel shares a face with bone.
pub(super) fn measure(
    cartilage: &Mask,
    bone: &Mask,
    rim_mm: f64,
) -> Result<(Vec<SurfacePoint>, usize)> {
    check_masks(cartilage, Some(bone))?;
    let tissues = Tissues { grid: cartilage.grid(), cartilage, bone };
    let interface: Vec<usize> =
        bone.indices().iter().copied().filter(|&index| tissues.is_covered(index)).collect();
    if interface.is_empty() {
        return Err(Error::value("no voxel of the cartilage shares a face with bone")
            .hint("check that both labels belong to one bone and leave no gap between them"));
    }
    let interface_mm: Vec<[f64; 3]> =
        interface.iter().map(|&index| tissues.grid.position_mm(index)).collect();
    let rim: Vec<bool> = interface.iter().map(|&index| tissues.ends_at(index)).collect();
    let index = InterfaceIndex::new(&interface_mm, &rim, rim_mm);
    let distances = distance_transform(bone)?;
    let mut n_excluded = 0;
    let mut points = Vec::new();
    for &voxel in cartilage.indices() {
        let area_mm2 = tissues.exposed_area_mm2(voxel);
        if area_mm2 <= 0.0 {
            continue;
        }
        let position_mm = tissues.grid.position_mm(voxel);
        let thickness_mm = f64::from(distances.voxels()[voxel]);
        // Bone that is no interface lies nearer only where the point looks past the rim.
        let facing = index.facing(position_mm);
        match facing.filter(|nearest| thickness_mm >= nearest.squared_mm2.sqrt() * (1.0 - 1e-6)) {
            Some(nearest) => points.push(SurfacePoint {
                position_mm,
                thickness_mm,
                area_mm2,
                voxel,
                interface_mm: interface_mm[nearest.id],
            }),
            None => n_excluded += 1,
        }
    }
    Ok((points, n_excluded))
}

struct Tissues<'a> {
    grid: &'a Grid,
    cartilage: &'a Mask,
    bone: &'a Mask,
}

impl Tissues<'_> {
    fn is_background(&self, index: usize) -> bool {
        !self.cartilage.contains(index) && !self.bone.contains(index)
    }

    /// Whether a face of this bone voxel is covered with cartilage.
    fn is_covered(&self, index: usize) -> bool {
        self.across_faces(index).any(|(_, other)| self.cartilage.contains(other))
    }

    /// Whether the interface ends at this voxel: at bare bone or at the border of the image.
    fn ends_at(&self, index: usize) -> bool {
        let is_bare = |other: usize| {
            self.bone.contains(other)
                && !self.is_covered(other)
                && self.across_faces(other).any(|(_, beyond)| self.is_background(beyond))
        };
        let voxel = self.grid.voxel(index);
        let shape = self.grid.shape();
        let at_border = (0..3).any(|axis| voxel[axis] == 0 || voxel[axis] + 1 == shape[axis]);
        at_border || self.around(voxel).any(is_bare)
    }

    /// Area of the faces towards background, seen along their mean direction, mm².
    fn exposed_area_mm2(&self, index: usize) -> f64 {
        let [x, y, z] = self.grid.affine().spacing_mm();
        let face_areas = [y * z, x * z, x * y];
        let mut exposed = [0.0; 3];
        for (axis, other) in self.across_faces(index) {
            if self.is_background(other) {
                exposed[axis] = face_areas[axis];
            }
        }
        exposed.iter().map(|area| area * area).sum::<f64>().sqrt()
    }

    /// The up to six voxels that share a face with this one, each with the axis across the face.
    fn across_faces(&self, index: usize) -> impl Iterator<Item = (usize, usize)> {
        let shape = self.grid.shape();
        let voxel = self.grid.voxel(index);
        let strides = [1, shape[0], shape[0] * shape[1]];
        (0..3).flat_map(move |axis| {
            let below = (voxel[axis] > 0).then(|| (axis, index - strides[axis]));
            let above = (voxel[axis] + 1 < shape[axis]).then(|| (axis, index + strides[axis]));
            below.into_iter().chain(above)
        })
    }

    /// This voxel and the up to 26 around it.
    fn around(&self, voxel: [usize; 3]) -> impl Iterator<Item = usize> {
        let shape = self.grid.shape();
        let range = move |axis: usize| {
            voxel[axis].saturating_sub(1)..=(voxel[axis] + 1).min(shape[axis] - 1)
        };
        range(2)
            .flat_map(move |k| range(1).flat_map(move |j| range(0).map(move |i| [i, j, k])))
            .map(|voxel| self.grid.index(voxel))
    }
}
