//! Rotations, rigid poses, and grids centred where one wants them.

use crate::error::Result;
use crate::image::{Affine, Grid};

/// A 3 × 3 matrix, row-major.
pub(super) type Matrix = [[f64; 3]; 3];

/// Rotation about the scanner's x, then y, then z axis by the three angles, rad.
pub(super) fn rotation([a, b, c]: [f64; 3]) -> Matrix {
    let about_x = [[1.0, 0.0, 0.0], [0.0, a.cos(), -a.sin()], [0.0, a.sin(), a.cos()]];
    let about_y = [[b.cos(), 0.0, b.sin()], [0.0, 1.0, 0.0], [-b.sin(), 0.0, b.cos()]];
    let about_z = [[c.cos(), -c.sin(), 0.0], [c.sin(), c.cos(), 0.0], [0.0, 0.0, 1.0]];
    product(&about_z, &product(&about_y, &about_x))
}

/// Matrix product.
pub(super) fn product(left: &Matrix, right: &Matrix) -> Matrix {
    left.map(|row| [0, 1, 2].map(|c| (0..3).map(|k| row[k] * right[k][c]).sum()))
}

/// Rotation about the origin, then translation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    pub(super) rotation: Matrix,
    pub(super) translation_mm: [f64; 3],
}

impl Pose {
    pub(super) fn apply(&self, position_mm: [f64; 3]) -> [f64; 3] {
        let rotated = self.rotation.map(|row| dot(row, position_mm));
        [0, 1, 2].map(|axis| rotated[axis] + self.translation_mm[axis])
    }

    pub(super) fn undo(&self, position_mm: [f64; 3]) -> [f64; 3] {
        let centred = [0, 1, 2].map(|axis| position_mm[axis] - self.translation_mm[axis]);
        [0, 1, 2].map(|c| (0..3).map(|r| self.rotation[r][c] * centred[r]).sum())
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// A grid of `shape` voxels of `spacing_mm`, its axes the columns of `axes` (orthonormal), its
/// centre at `centre_mm`.
///
/// # Errors
///
/// `Value` when the shape or the spacing is unusable.
pub(super) fn centred_grid(
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    axes: &Matrix,
    centre_mm: [f64; 3],
) -> Result<Grid> {
    let half = [0, 1, 2].map(|axis| spacing_mm[axis] * (shape[axis] as f64 - 1.0) / 2.0);
    let row = |r: usize| {
        let origin = centre_mm[r] - dot(axes[r], half);
        [axes[r][0] * spacing_mm[0], axes[r][1] * spacing_mm[1], axes[r][2] * spacing_mm[2], origin]
    };
    Grid::new(shape, Affine::new([row(0), row(1), row(2)])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pose_is_undone_and_keeps_lengths() {
        let pose =
            Pose { rotation: rotation([0.05, -0.03, 0.02]), translation_mm: [1.0, -2.0, 0.5] };
        let p = [12.0, -7.0, 30.0];
        let back = pose.undo(pose.apply(p));
        for axis in 0..3 {
            assert!((back[axis] - p[axis]).abs() < 1e-12);
        }
        let rotated = pose.rotation.map(|row| dot(row, p));
        assert!((dot(rotated, rotated) - dot(p, p)).abs() < 1e-10);
    }

    #[test]
    fn the_middle_of_a_centred_grid_is_its_centre() {
        let grid =
            centred_grid([5, 4, 3], [1.0, 2.0, 3.0], &rotation([0.1, 0.2, 0.3]), [4.0, 5.0, 6.0]);
        let middle = grid.unwrap().affine().to_scanner([2.0, 1.5, 1.0]);
        for (a, b) in middle.iter().zip([4.0, 5.0, 6.0]) {
            assert!((a - b).abs() < 1e-12);
        }
    }
}
