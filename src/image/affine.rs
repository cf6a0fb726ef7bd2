//! Voxel index → scanner millimetres.

use crate::error::{Error, Result};

/// Maps voxel indices to scanner millimetres (RAS+); invertible by construction.
///
/// Row-major 3 × 4: `scanner[r] = Σ_c matrix[r][c]·voxel[c] + matrix[r][3]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    matrix: [[f64; 4]; 3],
    inverse: [[f64; 4]; 3],
}

impl Affine {
    /// Checks and keeps `matrix` (mm per voxel step in its columns, origin in the last).
    ///
    /// # Errors
    ///
    /// `Value` when an entry is not finite or the voxel axes span no volume.
    pub fn new(matrix: [[f64; 4]; 3]) -> Result<Self> {
        if matrix.iter().flatten().any(|entry| !entry.is_finite()) {
            return Err(Error::value(format!("affine {matrix:?} has an entry that is not finite"))
                .at_field("affine"));
        }
        let norms = column_norms(&matrix);
        let determinant = determinant(&matrix);
        let relative = determinant.abs() / (norms[0] * norms[1] * norms[2]);
        if !(relative.is_finite() && relative > 1e-6) {
            return Err(Error::value(format!(
                "affine {matrix:?} is singular: its voxel axes span no volume"
            ))
            .at_field("affine"));
        }
        Ok(Self { matrix, inverse: invert(&matrix, determinant) })
    }

    /// Axis-aligned affine of voxels of `spacing_mm` whose first voxel centre is at `origin_mm`.
    ///
    /// # Errors
    ///
    /// `Value` when a spacing is zero or not finite.
    pub fn from_spacing(spacing_mm: [f64; 3], origin_mm: [f64; 3]) -> Result<Self> {
        let mut matrix = [[0.0; 4]; 3];
        for axis in 0..3 {
            matrix[axis][axis] = spacing_mm[axis];
            matrix[axis][3] = origin_mm[axis];
        }
        Self::new(matrix)
    }

    /// The 3 × 4 matrix, row-major.
    pub fn matrix(&self) -> &[[f64; 4]; 3] {
        &self.matrix
    }

    /// Scanner position, mm, of a (fractional) voxel index.
    pub fn to_scanner(&self, voxel: [f64; 3]) -> [f64; 3] {
        apply(&self.matrix, voxel)
    }

    /// (Fractional) voxel index of a scanner position in mm.
    pub fn to_voxel(&self, scanner_mm: [f64; 3]) -> [f64; 3] {
        apply(&self.inverse, scanner_mm)
    }

    /// Distance between neighbouring voxel centres along each voxel axis, mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        column_norms(&self.matrix)
    }

    /// Volume of one voxel, mm³.
    pub fn voxel_volume_mm3(&self) -> f64 {
        determinant(&self.matrix).abs()
    }

    /// Largest |cosine| between two voxel axes: 0 where the grid is orthogonal.
    pub fn shear(&self) -> f64 {
        let norms = self.spacing_mm();
        [(0, 1), (0, 2), (1, 2)]
            .iter()
            .map(|&(a, b)| {
                let dot: f64 = (0..3).map(|r| self.matrix[r][a] * self.matrix[r][b]).sum();
                (dot / (norms[a] * norms[b])).abs()
            })
            .fold(0.0, f64::max)
    }
}

fn apply(matrix: &[[f64; 4]; 3], x: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * x[0] + row[1] * x[1] + row[2] * x[2] + row[3])
}

fn column_norms(m: &[[f64; 4]; 3]) -> [f64; 3] {
    [0, 1, 2].map(|c| (m[0][c] * m[0][c] + m[1][c] * m[1][c] + m[2][c] * m[2][c]).sqrt())
}

fn determinant(m: &[[f64; 4]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

fn invert(m: &[[f64; 4]; 3], determinant: f64) -> [[f64; 4]; 3] {
    let mut inverse = [[0.0; 4]; 3];
    for (r, row) in inverse.iter_mut().enumerate() {
        for (c, entry) in row.iter_mut().take(3).enumerate() {
            let (a, b) = ((c + 1) % 3, (c + 2) % 3);
            let (d, e) = ((r + 1) % 3, (r + 2) % 3);
            *entry = (m[a][d] * m[b][e] - m[a][e] * m[b][d]) / determinant;
        }
        row[3] = -(row[0] * m[0][3] + row[1] * m[1][3] + row[2] * m[2][3]);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oblique() -> Affine {
        Affine::new([[0.3, -0.1, 0.2, 12.0], [0.15, 0.4, -0.3, -40.0], [-0.1, 0.2, 0.9, 7.5]])
            .unwrap()
    }

    #[test]
    fn there_and_back_is_the_same_voxel() {
        let voxel = [3.0, 17.5, -2.25];
        let back = oblique().to_voxel(oblique().to_scanner(voxel));
        for (a, b) in voxel.iter().zip(back) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn singular_and_non_finite_matrices_are_refused() {
        assert!(Affine::from_spacing([1.0, 0.0, 1.0], [0.0; 3]).is_err());
        assert!(Affine::from_spacing([1.0, f64::NAN, 1.0], [0.0; 3]).is_err());
        let flat = [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        assert!(Affine::new(flat).is_err());
    }

    #[test]
    fn spacing_and_volume_ignore_direction() {
        let affine = Affine::from_spacing([-0.5, 2.0, 3.0], [1.0; 3]).unwrap();
        assert_eq!(affine.spacing_mm().map(f64::to_bits), [0.5, 2.0, 3.0].map(f64::to_bits));
        assert!((affine.voxel_volume_mm3() - 3.0).abs() < 1e-15);
        assert!(affine.shear() < 1e-15);
        assert!(oblique().shear() > 0.01);
    }
}
