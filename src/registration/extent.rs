//! How far a transform moves the voxels of a mask, and how it changes their volume.

use rayon::prelude::*;

use super::lattice::{base_and_fraction, weight_slopes, weights};
use super::rigid::determinant;
use super::{FreeForm, PointMap, Transform};
use crate::image::{Grid, Mask};
use crate::statistics::quantile::quantile;

/// Axes of a lattice and a grid are parallel where one step of the grid leaves the others unchanged by
/// this part of a node spacing.
const PARALLEL: f64 = 1e-9;

/// Displacements and changes of volume over the voxels of a mask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// Largest displacement, mm; NaN for an empty mask, as everything here.
    pub displacement_max_mm: f64,
    /// 95th percentile of the displacement, mm.
    pub displacement_p95_mm: f64,
    /// Smallest determinant of the Jacobian; 0 or below where the transform folds.
    pub jacobian_min: f64,
    /// Largest determinant of the Jacobian.
    pub jacobian_max: f64,
}

/// Displacements and Jacobian determinants at the voxel centres of `mask`.
pub(super) fn extent(transform: &Transform, mask: &Mask) -> Extent {
    let found = match transform {
        Transform::FreeForm(free_form) if is_parallel(free_form, mask.grid()) => {
            row_by_row(free_form, mask)
        }
        _ => point_by_point(transform, mask),
    };
    let displacements: Vec<f64> = found.iter().map(|(displacement, _)| *displacement).collect();
    Extent {
        displacement_max_mm: displacements.iter().copied().fold(f64::NAN, f64::max),
        displacement_p95_mm: quantile(&displacements, 0.95).unwrap_or(f64::NAN),
        jacobian_min: found.iter().map(|(_, jacobian)| *jacobian).fold(f64::NAN, f64::min),
        jacobian_max: found.iter().map(|(_, jacobian)| *jacobian).fold(f64::NAN, f64::max),
    }
}

fn point_by_point(transform: &Transform, mask: &Mask) -> Vec<(f64, f64)> {
    mask.indices()
        .par_iter()
        .map(|&index| {
            let point = mask.grid().position_mm(index);
            let length = distance(transform.apply(point), point);
            (length, transform.jacobian_determinant(point))
        })
        .collect()
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
}

fn is_parallel(free_form: &FreeForm, grid: &Grid) -> bool {
    let lattice = free_form.displacements_mm().grid().affine();
    let at = |voxel| lattice.to_voxel(grid.affine().to_scanner(voxel));
    let origin = at([0.0; 3]);
    (0..3).all(|axis| {
        let mut unit = [0.0; 3];
        unit[axis] = 1.0;
        let there = at(unit);
        (0..3).all(|other| other == axis || (there[other] - origin[other]).abs() < PARALLEL)
    })
}

/// As [`point_by_point`] where the axes of lattice and grid are parallel: the control points are
/// summed along two axes once per row.
fn row_by_row(free_form: &FreeForm, mask: &Mask) -> Vec<(f64, f64)> {
    let nx = mask.grid().shape()[0];
    let rows: Vec<&[usize]> = mask.indices().chunk_by(|a, b| a / nx == b / nx).collect();
    rows.par_iter()
        .flat_map_iter(|row| Row::new(free_form, mask.grid(), row[0]).values(row))
        .collect()
}

/// The spline along one row of voxels.
struct Row<'a> {
    free_form: &'a FreeForm,
    grid: &'a Grid,
    /// Per control point along x: u and its slopes along y and z, per node.
    lines: Vec<[[f64; 3]; 3]>,
    /// Lattice axes in scanner coordinates, node⁻¹ → mm⁻¹.
    per_mm: [[f64; 3]; 3],
}

impl<'a> Row<'a> {
    fn new(free_form: &'a FreeForm, grid: &'a Grid, first: usize) -> Self {
        let nodes = free_form.displacements_mm();
        let lattice = nodes.grid();
        let shape = lattice.shape();
        let s = lattice.affine().to_voxel(grid.position_mm(first));
        let [(base_y, y, dy), (base_z, z, dz)] = [1, 2].map(|a| along(s[a], shape[a]));
        let mut lines = vec![[[0.0; 3]; 3]; shape[0]];
        for k in 0..4 {
            for j in 0..4 {
                let from = lattice.index([0, base_y + j, base_z + k]);
                let weights = [y[j] * z[k], dy[j] * z[k], y[j] * dz[k]];
                for (line, node) in lines.iter_mut().zip(&nodes.voxels()[from..from + shape[0]]) {
                    for (line, weight) in line.iter_mut().zip(weights) {
                        for (sum, u) in line.iter_mut().zip(node) {
                            *sum += weight * u;
                        }
                    }
                }
            }
        }
        Self { free_form, grid, lines, per_mm: super::warp::into_voxels(lattice.affine()) }
    }

    fn values(self, row: &[usize]) -> Vec<(f64, f64)> {
        let rigid = self.free_form.rigid();
        let (rotation, offset) = rigid.matrix_and_offset();
        let lattice = self.free_form.displacements_mm().grid();
        let value = |&index: &usize| {
            let point = self.grid.position_mm(index);
            let s = lattice.affine().to_voxel(point)[0];
            let (base, x, dx) = along(s, lattice.shape()[0]);
            // u and its slopes along x, y and z.
            let mut field = [[0.0; 3]; 4];
            for (q, line) in self.lines[base..base + 4].iter().enumerate() {
                for c in 0..3 {
                    field[0][c] += x[q] * line[0][c];
                    field[1][c] += dx[q] * line[0][c];
                    field[2][c] += x[q] * line[1][c];
                    field[3][c] += x[q] * line[2][c];
                }
            }
            let mut jacobian = rotation;
            let mut by = [0.0; 3];
            for r in 0..3 {
                let turned = rotation[r][0] * point[0]
                    + rotation[r][1] * point[1]
                    + rotation[r][2] * point[2];
                by[r] = turned + offset[r] + field[0][r];
                for (c, entry) in jacobian[r].iter_mut().enumerate() {
                    *entry += (0..3).map(|a| field[a + 1][r] * self.per_mm[a][c]).sum::<f64>();
                }
            }
            (distance(by, point), determinant(&jacobian))
        };
        row.iter().map(value).collect()
    }
}

/// First control point, weights and slopes; beyond the lattice nothing changes.
fn along(s: f64, n_nodes: usize) -> (usize, [f64; 4], [f64; 4]) {
    let (base, u) = base_and_fraction(s, n_nodes);
    let inside = (1.0..=n_nodes as f64 - 2.0).contains(&s);
    (base, weights(u), if inside { weight_slopes(u) } else { [0.0; 4] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::free_form::tests::wavy;

    #[test]
    fn rows_give_what_points_give() {
        let (grid, free_form) = wavy(3.0, 15.0);
        let mask = Mask::new(crate::image::Volume::from_fn(grid, |i| i % 3 != 0 && i % 60 < 50));
        assert!(is_parallel(&free_form, &grid));
        let rows = row_by_row(&free_form, &mask);
        let points = point_by_point(&Transform::FreeForm(Box::new(free_form)), &mask);
        assert_eq!(rows.len(), points.len());
        for (a, b) in rows.iter().zip(points) {
            assert!((a.0 - b.0).abs() < 1e-10 && (a.1 - b.1).abs() < 1e-10);
        }
    }
}
