//! Cubic B-splines on a regular lattice of control points.
//!
//! # Reference
//!
//! Rueckert et al., IEEE Trans Med Imaging 1999;18:712–721, doi:10.1109/42.796284; Forsey and
//! Bartels, SIGGRAPH 1988, doi:10.1145/54852.378512 (exact refinement).

use crate::error::{Error, Result};
use crate::image::{Affine, Grid, Volume};

/// Control points of one lattice, at most.
const MAXIMUM_NODES: usize = 1 << 22;

/// Weights of the four control points around a position `u` ∈ [0, 1] past the second.
pub(super) fn weights(u: f64) -> [f64; 4] {
    let (v, u2, u3) = (1.0 - u, u * u, u * u * u);
    [
        v * v * v / 6.0,
        (3.0 * u3 - 6.0 * u2 + 4.0) / 6.0,
        (-3.0 * u3 + 3.0 * u2 + 3.0 * u + 1.0) / 6.0,
        u3 / 6.0,
    ]
}

/// Derivatives of [`weights`] with respect to `u`.
pub(super) fn weight_slopes(u: f64) -> [f64; 4] {
    let (v, u2) = (1.0 - u, u * u);
    [-v * v / 2.0, 1.5 * u2 - 2.0 * u, -1.5 * u2 + u + 0.5, u2 / 2.0]
}

/// First of the four control points that act at node coordinate `s`, and the position between the
/// second and third; what lies beyond the lattice is moved to its border.
pub(super) fn base_and_fraction(s: f64, n_nodes: usize) -> (usize, f64) {
    let last = n_nodes as f64 - 2.0;
    let inside = s.clamp(1.0, last);
    let base = (inside.floor()).min(last - 1.0);
    (base as usize - 1, inside - base)
}

/// Control points `spacing_mm` apart along the axes of `grid` that cover its voxels to their outer
/// faces, with one more beyond each end.
///
/// # Errors
///
/// `Value` when the spacing is not a positive number or asks for more than 2²² control points.
pub(super) fn covering(grid: &Grid, spacing_mm: f64) -> Result<Grid> {
    if !(spacing_mm.is_finite() && spacing_mm > 0.0) {
        return Err(Error::value(format!("{spacing_mm} mm is no positive distance"))
            .at_field("control_spacing_mm"));
    }
    let voxel_mm = grid.affine().spacing_mm();
    let spans = [0, 1, 2]
        .map(|a| (grid.shape()[a] as f64 * voxel_mm[a] / spacing_mm - 1e-9).ceil().max(1.0));
    if spans.iter().product::<f64>() > MAXIMUM_NODES as f64 {
        return Err(Error::value(format!(
            "control points {spacing_mm} mm apart make {spans:?} spans, more than {MAXIMUM_NODES}"
        ))
        .at_field("control_spacing_mm")
        .hint("use a wider control spacing"));
    }
    let step = voxel_mm.map(|mm| spacing_mm / mm);
    let first = [0, 1, 2].map(|a| {
        let n = grid.shape()[a] as f64;
        (n - 1.0) / 2.0 - step[a] * (spans[a] / 2.0 + 1.0)
    });
    let mut matrix = *grid.affine().matrix();
    let origin_mm = grid.affine().to_scanner(first);
    for (row, origin_mm) in matrix.iter_mut().zip(origin_mm) {
        for (entry, step) in row.iter_mut().zip(step) {
            *entry *= step;
        }
        row[3] = origin_mm;
    }
    Grid::new(spans.map(|n| n as usize + 3), Affine::new(matrix)?)
}

/// The same field on a lattice of half the spacing, exactly.
///
/// # Errors
///
/// `Value` when the finer lattice would have more than 2²² control points.
pub(super) fn refined(coarse: &Volume<[f64; 3]>) -> Result<Volume<[f64; 3]>> {
    let shape = coarse.grid().shape().map(|n| 2 * (n - 3) + 3);
    if shape.iter().product::<usize>() > MAXIMUM_NODES {
        return Err(Error::value(format!(
            "a lattice of {shape:?} control points is larger than {MAXIMUM_NODES}"
        ))
        .at_field("control_spacing_mm")
        .hint("use a wider control spacing"));
    }
    let affine = coarse.grid().affine();
    let mut matrix = *affine.matrix();
    let origin_mm = affine.to_scanner([0.5; 3]);
    for (row, origin_mm) in matrix.iter_mut().zip(origin_mm) {
        for entry in row.iter_mut().take(3) {
            *entry /= 2.0;
        }
        row[3] = origin_mm;
    }
    let fine = Grid::new(shape, Affine::new(matrix)?)?;
    Ok(Volume::from_fn(fine, |index| {
        let along = fine.voxel(index).map(subdivision);
        let mut sum = [0.0; 3];
        for &(k, weight_z) in &along[2] {
            for &(j, weight_y) in &along[1] {
                for &(i, weight_x) in &along[0] {
                    if weight_x * weight_y * weight_z > 0.0 {
                        let node = coarse.voxels()[coarse.grid().index([i, j, k])];
                        for axis in 0..3 {
                            sum[axis] += weight_x * weight_y * weight_z * node[axis];
                        }
                    }
                }
            }
        }
        sum
    }))
}

/// Coarse control points and their weights of fine control point `fine` along one axis.
fn subdivision(fine: usize) -> [(usize, f64); 3] {
    let half = fine / 2;
    if fine.is_multiple_of(2) {
        [(half, 0.5), (half + 1, 0.5), (half, 0.0)]
    } else {
        [(half, 0.125), (half + 1, 0.75), (half + 2, 0.125)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_reproduce_a_line_and_have_their_slopes() {
        for u in [0.0, 0.3, 0.999, 1.0] {
            let w = weights(u);
            assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-15);
            assert!((-w[0] + w[2] + 2.0 * w[3] - u).abs() < 1e-15);
            let (up, down, slope) = (weights(u + 1e-5), weights(u - 1e-5), weight_slopes(u));
            for q in 0..4 {
                assert!(((up[q] - down[q]) / 2e-5 - slope[q]).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn the_lattice_covers_the_grid_and_its_border_is_kept() {
        let affine = Affine::from_spacing([0.7, 1.0, 3.0], [-5.0, 2.0, 0.0]).unwrap();
        let grid = Grid::new([50, 40, 1], affine).unwrap();
        let lattice = covering(&grid, 12.0).unwrap();
        assert_eq!(lattice.shape(), [6, 7, 4]);
        for corner in [[-0.5; 3], [49.5, 39.5, 0.5]] {
            let s = lattice.affine().to_voxel(affine.to_scanner(corner));
            for axis in 0..3 {
                assert!((1.0..=lattice.shape()[axis] as f64 - 2.0).contains(&s[axis]), "{s:?}");
            }
        }
        assert_eq!(base_and_fraction(-9.0, 6), (0, 0.0));
        assert_eq!(base_and_fraction(99.0, 6), (2, 1.0));
        for spacing_mm in [0.0, f64::NAN, -1.0, 1e-6] {
            assert!(covering(&grid, spacing_mm).is_err());
        }
    }
}
