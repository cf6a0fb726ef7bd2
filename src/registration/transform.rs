//! What takes points of the fixed image to points of the moving one, and back.

use super::extent::{Extent, extent};
use super::{FreeForm, Rigid};
use crate::image::Mask;

/// Fixed-point iterations of an inverse, at most.
const MAXIMUM_ITERATIONS: usize = 100;

/// Steps of an inverse below this are its end, mm.
const INVERSE_TOLERANCE_MM: f64 = 1e-9;

/// Something that takes a scanner position, mm, to another one.
pub trait PointMap: Sync {
    /// Where `point_mm` goes; NaN where that is not known.
    fn apply(&self, point_mm: [f64; 3]) -> [f64; 3];
}

/// From positions in the fixed image to positions in the moving image that show the same tissue,
/// scanner millimetres (RAS+).
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// Rotation and translation.
    Rigid(Rigid),
    /// A deformation on top of them.
    FreeForm(Box<FreeForm>),
}

impl Transform {
    /// Nothing moves.
    pub fn identity() -> Self {
        Self::Rigid(Rigid::identity([0.0; 3]))
    }

    /// The rigid part.
    pub fn rigid(&self) -> &Rigid {
        match self {
            Self::Rigid(rigid) => rigid,
            Self::FreeForm(free_form) => free_form.rigid(),
        }
    }

    /// Local change of volume at `point_mm`: 1 for a rigid transform, 0 or below where it folds.
    pub fn jacobian_determinant(&self, point_mm: [f64; 3]) -> f64 {
        match self {
            Self::Rigid(_) => 1.0,
            Self::FreeForm(free_form) => free_form.jacobian_determinant(point_mm),
        }
    }

    /// From the moving image back to the fixed one.
    pub fn inverse(&self) -> Inverse<'_> {
        Inverse { transform: self, undone: self.rigid().inverse() }
    }

    /// Displacements and Jacobian determinants at the voxel centres of `mask`.
    pub fn extent(&self, mask: &Mask) -> Extent {
        extent(self, mask)
    }
}

impl PointMap for Rigid {
    fn apply(&self, point_mm: [f64; 3]) -> [f64; 3] {
        Self::apply(self, point_mm)
    }
}

impl PointMap for Transform {
    fn apply(&self, point_mm: [f64; 3]) -> [f64; 3] {
        match self {
            Self::Rigid(rigid) => rigid.apply(point_mm),
            Self::FreeForm(free_form) => free_form.apply(point_mm),
        }
    }
}

/// A transform the other way round: exact for rigid ones, by fixed-point iteration to 1e-9 mm for
/// deformations.
///
/// The iteration x ← rigid⁻¹(y − u(x)) converges where u changes by less than its argument, which a
/// transform without folds nearly always does; where it does not converge the result is NaN.
#[derive(Debug, Clone, Copy)]
pub struct Inverse<'a> {
    transform: &'a Transform,
    undone: Rigid,
}

impl PointMap for Inverse<'_> {
    fn apply(&self, point_mm: [f64; 3]) -> [f64; 3] {
        let Transform::FreeForm(free_form) = self.transform else {
            return self.undone.apply(point_mm);
        };
        let mut found = self.undone.apply(point_mm);
        for _ in 0..MAXIMUM_ITERATIONS {
            let by = free_form.deformation_mm(found);
            let next = self.undone.apply([0, 1, 2].map(|axis| point_mm[axis] - by[axis]));
            let step = distance(next, found);
            found = next;
            if step < INVERSE_TOLERANCE_MM {
                return found;
            }
        }
        [f64::NAN; 3]
    }
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::free_form::tests::wavy;

    #[test]
    fn there_and_back_is_the_same_point() {
        let (grid, free_form) = wavy(3.0, 15.0);
        let rigid = Transform::Rigid(*free_form.rigid());
        for transform in [rigid, Transform::FreeForm(Box::new(free_form))] {
            let inverse = transform.inverse();
            for index in (0..grid.n_voxels()).step_by(53) {
                let point = grid.position_mm(index);
                assert!(distance(inverse.apply(transform.apply(point)), point) < 1e-8);
                assert!(distance(transform.apply(inverse.apply(point)), point) < 1e-8);
            }
        }
    }

    #[test]
    fn the_extent_of_nothing_is_not_a_number_and_of_a_shift_is_its_length() {
        let (grid, free_form) = wavy(0.0, 15.0);
        let shift = Rigid::new([0.0; 3], [3.0, 0.0, 4.0], [0.0; 3]).unwrap();
        let full = Mask::full(grid);
        let still = FreeForm::new(shift, free_form.displacements_mm().clone()).unwrap();
        for transform in [Transform::Rigid(shift), Transform::FreeForm(Box::new(still))] {
            let extent = transform.extent(&full);
            assert!((extent.displacement_max_mm - 5.0).abs() < 1e-12);
            assert!((extent.displacement_p95_mm - 5.0).abs() < 1e-12);
            assert!((extent.jacobian_min - 1.0).abs() < 1e-12);
            assert!((extent.jacobian_max - 1.0).abs() < 1e-12);
        }
        let none = Transform::identity().extent(&Mask::from_indices(grid, &[]).unwrap());
        assert!(none.displacement_max_mm.is_nan() && none.displacement_p95_mm.is_nan());
        assert!(none.jacobian_min.is_nan());
    }

    #[test]
    fn a_fold_has_a_negative_jacobian() {
        let (grid, free_form) = wavy(40.0, 15.0);
        let extent = Transform::FreeForm(Box::new(free_form)).extent(&Mask::full(grid));
        assert!(extent.jacobian_min < 0.0, "{extent:?}");
    }
}
