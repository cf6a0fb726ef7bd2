//! A cubic B-spline displacement on top of a rigid movement.
//!
//! # Reference
//!
//! Rueckert et al., IEEE Trans Med Imaging 1999;18:712–721, doi:10.1109/42.796284.

use super::Rigid;
use super::lattice::{base_and_fraction, weight_slopes, weights};
use super::rigid::determinant;
use crate::error::{Error, Result};
use crate::image::Volume;

/// `rigid(x) + u(x)` in scanner millimetres, u a cubic B-spline on a lattice of control points.
///
/// Beyond the lattice the displacement of its border holds.
#[derive(Debug, Clone, PartialEq)]
pub struct FreeForm {
    rigid: Rigid,
    displacements_mm: Volume<[f64; 3]>,
}

impl FreeForm {
    /// `rigid` and one displacement, mm, per control point; the grid of `displacements_mm` places the
    /// control points in the scanner.
    ///
    /// # Errors
    ///
    /// `Value` when an axis has fewer than four control points or a displacement is not finite.
    pub fn new(rigid: Rigid, displacements_mm: Volume<[f64; 3]>) -> Result<Self> {
        let shape = displacements_mm.grid().shape();
        if shape.iter().any(|&n| n < 4) {
            return Err(Error::value(format!(
                "a lattice of {shape:?} control points has fewer than 4 along an axis"
            )));
        }
        if displacements_mm.voxels().iter().flatten().any(|value| !value.is_finite()) {
            return Err(Error::value("a displacement of a control point is not finite"));
        }
        Ok(Self { rigid, displacements_mm })
    }

    /// The movement under the deformation.
    pub fn rigid(&self) -> &Rigid {
        &self.rigid
    }

    /// Displacement of every control point, mm.
    pub fn displacements_mm(&self) -> &Volume<[f64; 3]> {
        &self.displacements_mm
    }

    /// Where `point_mm` goes, mm.
    pub fn apply(&self, point_mm: [f64; 3]) -> [f64; 3] {
        let moved = self.rigid.apply(point_mm);
        let by = self.deformation_mm(point_mm);
        [0, 1, 2].map(|axis| moved[axis] + by[axis])
    }

    /// u at `point_mm`, mm.
    pub fn deformation_mm(&self, point_mm: [f64; 3]) -> [f64; 3] {
        let [x, y, z] = self.places(point_mm).map(|place| (place.base, weights(place.fraction)));
        self.sum([x, y, z])
    }

    /// ∂(rigid + u)/∂x, row-major.
    pub fn jacobian(&self, point_mm: [f64; 3]) -> [[f64; 3]; 3] {
        let places = self.places(point_mm);
        let mut jacobian = self.rigid.rotation();
        // ∂s_axis/∂x: columns of the inverse of the lattice affine.
        let origin = self.node_coordinate([0.0; 3]);
        let per_mm = [0, 1, 2].map(|column| {
            let mut unit = [0.0; 3];
            unit[column] = 1.0;
            let there = self.node_coordinate(unit);
            [0, 1, 2].map(|axis| there[axis] - origin[axis])
        });
        for axis in 0..3 {
            if !places[axis].inside {
                continue;
            }
            let mut along = places.map(|place| (place.base, weights(place.fraction)));
            along[axis].1 = weight_slopes(places[axis].fraction);
            let slope = self.sum(along);
            for (row, slope) in jacobian.iter_mut().zip(slope) {
                for (entry, per_mm) in row.iter_mut().zip(&per_mm) {
                    *entry += slope * per_mm[axis];
                }
            }
        }
        jacobian
    }

    /// Local change of volume; 0 or below where the transform folds.
    pub fn jacobian_determinant(&self, point_mm: [f64; 3]) -> f64 {
        determinant(&self.jacobian(point_mm))
    }

    fn node_coordinate(&self, point_mm: [f64; 3]) -> [f64; 3] {
        self.displacements_mm.grid().affine().to_voxel(point_mm)
    }

    fn places(&self, point_mm: [f64; 3]) -> [Place; 3] {
        let s = self.node_coordinate(point_mm);
        let shape = self.displacements_mm.grid().shape();
        [0, 1, 2].map(|axis| {
            let (base, fraction) = base_and_fraction(s[axis], shape[axis]);
            let inside = (1.0..=shape[axis] as f64 - 2.0).contains(&s[axis]);
            Place { base, fraction, inside }
        })
    }

    fn sum(&self, [x, y, z]: [(usize, [f64; 4]); 3]) -> [f64; 3] {
        let grid = self.displacements_mm.grid();
        let mut sum = [0.0; 3];
        for (k, weight_z) in z.1.iter().enumerate() {
            for (j, weight_y) in y.1.iter().enumerate() {
                let first = grid.index([x.0, y.0 + j, z.0 + k]);
                let nodes = &self.displacements_mm.voxels()[first..first + 4];
                for (node, weight_x) in nodes.iter().zip(x.1) {
                    let weight = weight_x * weight_y * weight_z;
                    for axis in 0..3 {
                        sum[axis] += weight * node[axis];
                    }
                }
            }
        }
        sum
    }
}

/// Where a point lies along one axis of the lattice.
#[derive(Clone, Copy)]
struct Place {
    base: usize,
    fraction: f64,
    inside: bool,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::image::{Affine, Grid};
    use crate::random::StreamKey;
    use crate::registration::lattice::{covering, refined};

    /// An oblique grid of 60 × 50 × 12 voxels and a random deformation of up to `size_mm` on it.
    pub(in crate::registration) fn wavy(size_mm: f64, spacing_mm: f64) -> (Grid, FreeForm) {
        let turn = Rigid::new([0.2, -0.1, 0.3], [0.0; 3], [0.0; 3]).unwrap().rotation();
        let spacing = [1.0, 1.1, 3.0];
        let matrix = [0, 1, 2].map(|r| {
            let row = [0, 1, 2].map(|c| turn[r][c] * spacing[c]);
            [row[0], row[1], row[2], [-20.0, 5.0, 40.0][r]]
        });
        let grid = Grid::new([60, 50, 12], Affine::new(matrix).unwrap()).unwrap();
        let mut stream = StreamKey::new(5, "lattice").stream(0, 0);
        let nodes = covering(&grid, spacing_mm).unwrap();
        let displacements =
            Volume::from_fn(nodes, |_| [0; 3].map(|_| size_mm * (2.0 * stream.uniform() - 1.0)));
        let rigid = Rigid::new([0.02, -0.03, 0.01], [1.0, -2.0, 0.5], [10.0, 20.0, 50.0]).unwrap();
        (grid, FreeForm::new(rigid, displacements).unwrap())
    }

    #[test]
    fn the_jacobian_is_the_difference_quotient() {
        let (grid, transform) = wavy(3.0, 15.0);
        for index in [0, 1234, 20_000, grid.n_voxels() - 1] {
            let point = grid.position_mm(index);
            let jacobian = transform.jacobian(point);
            for column in 0..3 {
                let at = |by: f64| {
                    let mut p = point;
                    p[column] += by;
                    transform.apply(p)
                };
                let (up, down) = (at(1e-5), at(-1e-5));
                for row in 0..3 {
                    let difference = (up[row] - down[row]) / 2e-5;
                    assert!((difference - jacobian[row][column]).abs() < 1e-8);
                }
            }
        }
    }

    #[test]
    fn a_refined_lattice_makes_the_same_field() {
        let (grid, coarse) = wavy(3.0, 20.0);
        let fine = FreeForm::new(coarse.rigid, refined(&coarse.displacements_mm).unwrap()).unwrap();
        for index in (0..grid.n_voxels()).step_by(97) {
            let point = grid.position_mm(index);
            let (a, b) = (coarse.apply(point), fine.apply(point));
            for axis in 0..3 {
                assert!((a[axis] - b[axis]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn few_or_missing_control_points_are_refused() {
        let affine = Affine::from_spacing([10.0; 3], [0.0; 3]).unwrap();
        let rigid = Rigid::identity([0.0; 3]);
        let few = Volume::from_fn(Grid::new([4, 3, 4], affine).unwrap(), |_| [0.0; 3]);
        assert!(FreeForm::new(rigid, few).is_err());
        let missing = Volume::from_fn(Grid::new([4; 3], affine).unwrap(), |_| [f64::NAN; 3]);
        assert!(FreeForm::new(rigid, missing).is_err());
    }
}
