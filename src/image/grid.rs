//! Shape and place of an image.

use super::Affine;
use crate::error::{Error, Result};

/// How far, in mm, the corners of two grids may lie apart and still be one grid.
pub const GRID_TOLERANCE_MM: f64 = 1e-3;

/// The voxels of an image: shape `[nx, ny, nz]` and their place in the scanner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    shape: [usize; 3],
    affine: Affine,
}

impl Grid {
    /// A grid of `shape` voxels placed by `affine`.
    ///
    /// # Errors
    ///
    /// `Value` when an axis has no voxel or their product overflows.
    pub fn new(shape: [usize; 3], affine: Affine) -> Result<Self> {
        let count = shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
        match count {
            Some(count) if count > 0 => Ok(Self { shape, affine }),
            _ => Err(Error::value(format!("shape {shape:?} must hold at least one voxel"))
                .at_field("shape")),
        }
    }

    /// Voxels along each axis.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Place in the scanner.
    pub fn affine(&self) -> &Affine {
        &self.affine
    }

    /// Number of voxels.
    pub fn n_voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Linear index of voxel `[i, j, k]`.
    pub fn index(&self, [i, j, k]: [usize; 3]) -> usize {
        debug_assert!(i < self.shape[0] && j < self.shape[1] && k < self.shape[2]);
        i + self.shape[0] * (j + self.shape[1] * k)
    }

    /// Voxel `[i, j, k]` of a linear index.
    pub fn voxel(&self, index: usize) -> [usize; 3] {
        let [nx, ny, _] = self.shape;
        [index % nx, index / nx % ny, index / (nx * ny)]
    }

    /// Scanner position, mm, of the centre of the voxel with this linear index.
    pub fn position_mm(&self, index: usize) -> [f64; 3] {
        self.affine.to_scanner(self.voxel(index).map(|i| i as f64))
    }

    /// Linear index of the voxel whose centre is nearest to `position_mm`; `None` outside.
    pub fn nearest(&self, position_mm: [f64; 3]) -> Option<usize> {
        let voxel = self.affine.to_voxel(position_mm);
        let mut index = [0_usize; 3];
        for axis in 0..3 {
            let rounded = voxel[axis].round();
            if !(0.0 <= rounded && rounded < self.shape[axis] as f64) {
                return None;
            }
            index[axis] = rounded as usize;
        }
        Some(self.index(index))
    }

    /// Largest distance between equal corners of two grids, mm; `None` when the shapes differ.
    pub fn corner_distance_mm(&self, other: &Self) -> Option<f64> {
        if self.shape != other.shape {
            return None;
        }
        let corner = |grid: &Self, bits: usize| {
            let voxel = [0, 1, 2].map(|axis| {
                if bits >> axis & 1 == 1 { (grid.shape[axis] - 1) as f64 } else { 0.0 }
            });
            grid.affine.to_scanner(voxel)
        };
        let distance = |bits| {
            let (a, b) = (corner(self, bits), corner(other, bits));
            (0..3).map(|r| (a[r] - b[r]).powi(2)).sum::<f64>().sqrt()
        };
        Some((0..8).map(distance).fold(0.0, f64::max))
    }

    /// Passes when `other` is the same grid within [`GRID_TOLERANCE_MM`].
    ///
    /// # Errors
    ///
    /// `Mismatch` naming both shapes, or how far the corners lie apart.
    pub fn require_same(&self, other: &Self) -> Result<()> {
        match self.corner_distance_mm(other) {
            Some(distance) if distance <= GRID_TOLERANCE_MM => Ok(()),
            Some(distance) => Err(Error::mismatch(format!(
                "affines place the same voxels up to {distance:.4} mm apart, more than \
                 {GRID_TOLERANCE_MM} mm"
            ))),
            None => Err(Error::mismatch(format!(
                "shape {:?} is not the expected {:?}",
                other.shape, self.shape
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(origin_mm: f64) -> Grid {
        let affine = Affine::from_spacing([0.5, 1.0, 3.0], [origin_mm, 0.0, 0.0]).unwrap();
        Grid::new([4, 3, 2], affine).unwrap()
    }

    #[test]
    fn index_and_voxel_are_inverse_and_x_is_fastest() {
        let grid = grid(0.0);
        assert_eq!(grid.index([1, 0, 0]), 1);
        for index in 0..grid.n_voxels() {
            assert_eq!(grid.index(grid.voxel(index)), index);
            assert_eq!(grid.nearest(grid.position_mm(index)), Some(index));
        }
        assert_eq!(grid.nearest([-0.3, 0.0, 0.0]), None);
        assert_eq!(grid.nearest([f64::NAN, 0.0, 0.0]), None);
    }

    #[test]
    fn grids_agree_within_a_thousandth_of_a_millimetre() {
        assert!(grid(0.0).require_same(&grid(9e-4)).is_ok());
        let error = grid(0.0).require_same(&grid(0.02)).unwrap_err();
        assert!(error.to_string().contains("0.0200 mm apart"), "{error}");
    }

    #[test]
    fn empty_and_overflowing_shapes_are_refused() {
        let affine = *grid(0.0).affine();
        assert!(Grid::new([0, 3, 2], affine).is_err());
        assert!(Grid::new([usize::MAX, 3, 2], affine).is_err());
    }
}
