//! A transform in voxels: from the fixed to the moving image of one resolution.

use super::Rigid;
use super::lattice::{base_and_fraction, weights};
use super::level::{LANES, Level};
use super::rigid::{product, times, transposed};
use crate::image::{Affine, Grid};

/// Control points that act along one axis, for every voxel of the fixed image.
#[derive(Debug, Clone)]
pub(super) struct Along {
    /// First of the four control points.
    pub(super) base: Vec<usize>,
    /// Their weights.
    pub(super) weights: Vec<[f32; 4]>,
    pub(super) n_nodes: usize,
}

/// Voxels of a row that share their control points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) base: usize,
}

/// How a lattice lies on the voxels of one resolution; its axes are those of the fixed image.
#[derive(Debug, Clone)]
pub(super) struct LatticeOnGrid {
    pub(super) along: [Along; 3],
    pub(super) intervals: Vec<Interval>,
    /// Weights of the four control points along a row, one after the other, padded by a vector.
    pub(super) row_weights: [Vec<f32>; 4],
}

impl LatticeOnGrid {
    pub(super) fn new(grid: &Grid, lattice: &Grid) -> Self {
        let along = [0, 1, 2].map(|axis| Along::new(grid, lattice, axis));
        let padded = grid.shape()[0].next_multiple_of(LANES) + LANES;
        let mut row_weights = [0; 4].map(|_| vec![0.0; padded]);
        let mut intervals: Vec<Interval> = Vec::new();
        for (x, (&base, weights)) in along[0].base.iter().zip(&along[0].weights).enumerate() {
            for (row, &weight) in row_weights.iter_mut().zip(weights) {
                row[x] = weight;
            }
            match intervals.last_mut() {
                Some(last) if last.base == base => last.end = x + 1,
                _ => intervals.push(Interval { start: x, end: x + 1, base }),
            }
        }
        Self { along, intervals, row_weights }
    }
}

impl Along {
    fn new(grid: &Grid, lattice: &Grid, axis: usize) -> Self {
        let n_nodes = lattice.shape()[axis];
        let place = |i: usize| {
            let mut voxel = [0.0; 3];
            voxel[axis] = i as f64;
            let s = lattice.affine().to_voxel(grid.affine().to_scanner(voxel))[axis];
            base_and_fraction(s, n_nodes)
        };
        let places: Vec<(usize, f64)> = (0..grid.shape()[axis]).map(place).collect();
        Self {
            base: places.iter().map(|(base, _)| *base).collect(),
            weights: places.iter().map(|(_, u)| weights(*u).map(|w| w as f32)).collect(),
            n_nodes,
        }
    }
}

/// Positions in the moving image: `matrix·(i, j, k, 1)` plus a spline of `coefficients`, voxels.
pub(super) struct Warp<'a> {
    pub(super) matrix: [[f64; 4]; 3],
    pub(super) lattice: Option<Spline<'a>>,
}

/// Displacements of the control points in moving voxels, component after component.
pub(super) struct Spline<'a> {
    pub(super) on_grid: &'a LatticeOnGrid,
    pub(super) coefficients: [Vec<f32>; 3],
}

impl<'a> Warp<'a> {
    pub(super) fn rigid(rigid: &Rigid, level: &Level) -> Self {
        let (rotation, offset) = rigid.matrix_and_offset();
        let moving = level.moving.grid.affine();
        let into = into_voxels(moving);
        let fixed = level.fixed.grid.affine().matrix();
        let axes = fixed.map(|row| [row[0], row[1], row[2]]);
        let linear = product(&into, &product(&rotation, &axes));
        let turned = times(&rotation, fixed.map(|row| row[3]));
        let start = moving.to_voxel([0, 1, 2].map(|a| turned[a] + offset[a]));
        let matrix = [0, 1, 2].map(|a| [linear[a][0], linear[a][1], linear[a][2], start[a]]);
        Self { matrix, lattice: None }
    }

    /// `nodes`: three displacements, mm, per control point.
    pub(super) fn free_form(
        rigid: &Rigid,
        nodes: &[f64],
        level: &Level,
        on_grid: &'a LatticeOnGrid,
    ) -> Self {
        let into = into_voxels(level.moving.grid.affine());
        let coefficients = into.map(|row| {
            nodes
                .chunks_exact(3)
                .map(|u| (row[0] * u[0] + row[1] * u[1] + row[2] * u[2]) as f32)
                .collect()
        });
        Self { lattice: Some(Spline { on_grid, coefficients }), ..Self::rigid(rigid, level) }
    }
}

/// Derivatives with respect to `Warp::matrix` as derivatives with respect to the three angles, rad,
/// and three translations, mm.
pub(super) fn rigid_gradient(of_matrix: &[[f64; 4]; 3], rigid: &Rigid, level: &Level) -> [f64; 6] {
    let back = transposed(&into_voxels(level.moving.grid.affine()));
    let fixed = level.fixed.grid.affine().matrix();
    let of_translation = times(&back, of_matrix.map(|row| row[3]));
    // ∂/∂R = backᵀ·(∂/∂linear·axesᵀ + ∂/∂offset·(origin − centre)ᵀ).
    let centre_mm = rigid.centre_mm();
    let spread = of_matrix.map(|row| {
        [0, 1, 2].map(|c| {
            let axes: f64 = (0..3).map(|q| row[q] * fixed[c][q]).sum();
            axes + row[3] * (fixed[c][3] - centre_mm[c])
        })
    });
    let of_rotation = product(&back, &spread);
    let mut gradient = [0.0; 6];
    for (entry, derivative) in gradient.iter_mut().zip(rigid.rotation_derivatives()) {
        *entry =
            (0..3).map(|r| (0..3).map(|c| derivative[r][c] * of_rotation[r][c]).sum::<f64>()).sum();
    }
    gradient[3..].copy_from_slice(&of_translation);
    gradient
}

/// Millimetres to voxels, without the origin.
pub(super) fn into_voxels(affine: &Affine) -> [[f64; 3]; 3] {
    let origin = affine.to_voxel([0.0; 3]);
    let mut matrix = [[0.0; 3]; 3];
    for column in 0..3 {
        let mut unit = [0.0; 3];
        unit[column] = 1.0;
        let there = affine.to_voxel(unit);
        for axis in 0..3 {
            matrix[axis][column] = there[axis] - origin[axis];
        }
    }
    matrix
}
