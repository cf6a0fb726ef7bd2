//! From which side a volume is looked at: the radiological convention, by the affine.

use crate::image::{Affine, Grid};

/// Letters of the positive and the negative direction of each scanner axis (RAS+).
const LETTERS: [[&str; 2]; 3] = [["R", "L"], ["A", "P"], ["S", "I"]];
const PLANES: [&str; 3] = ["sagittal", "coronal", "axial"];

/// Slices whose normal is further than this from its scanner axis are called oblique.
const OBLIQUE_COSINE: f64 = 0.985;

/// Which voxel axis runs where on the screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// Voxel axis from left to right.
    pub(super) across: VoxelAxis,
    /// Voxel axis from top to bottom.
    pub(super) down: VoxelAxis,
    /// Voxel axis from slice to slice.
    pub(super) through: VoxelAxis,
    /// Whether the slices are tilted by more than ten degrees.
    pub(super) is_oblique: bool,
}

/// One voxel axis and the scanner axis that it follows most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VoxelAxis {
    /// 0, 1 or 2.
    pub(super) voxel: usize,
    /// 0 right, 1 anterior, 2 superior.
    pub(super) scanner: usize,
    /// Whether rising indices go to the right, anterior or superior.
    pub(super) rises: bool,
}

impl View {
    /// Slices are cut along the axis of the thickest step, the last one where all are alike.
    pub(super) fn of(grid: &Grid) -> Self {
        let affine = grid.affine();
        let axes = scanner_axes(affine);
        let spacing = affine.spacing_mm();
        let through =
            (0..3).fold(
                0,
                |thickest, axis| {
                    if spacing[axis] > 0.99 * spacing[thickest] { axis } else { thickest }
                },
            );
        let others = || axes.into_iter().filter(|axis| axis.voxel != through);
        // Left–right runs across where it is in the plane, superior–inferior always down.
        let across = others().min_by_key(|axis| axis.scanner).unwrap_or(axes[0]);
        let down = others().max_by_key(|axis| axis.scanner).unwrap_or(axes[1]);
        let through = axes[through];
        let is_oblique = cosine(affine, through).abs() < OBLIQUE_COSINE;
        Self { across, down, through, is_oblique }
    }

    /// Such as `axial` or `oblique, nearly sagittal`.
    pub(super) fn plane(&self) -> String {
        let plane = PLANES[self.through.scanner];
        if self.is_oblique { format!("oblique, nearly {plane}") } else { plane.to_owned() }
    }

    /// Letters at the left, right, top and bottom of a slice.
    pub(super) fn letters(&self) -> [&'static str; 4] {
        let [left, right] = LETTERS[self.across.scanner];
        let [top, bottom] = LETTERS[self.down.scanner];
        [left, right, top, bottom]
    }

    /// Where a slice through `position_mm` lies, such as `L 12 mm`.
    pub(super) fn place(&self, position_mm: [f64; 3]) -> String {
        let along = position_mm[self.through.scanner].round();
        if along.abs() < 0.5 {
            return "0 mm".into();
        }
        let letter = LETTERS[self.through.scanner][usize::from(along < 0.0)];
        format!("{letter} {:.0} mm", along.abs())
    }
}

impl VoxelAxis {
    /// Index in `low..=high` of the pixel at `place`, from the letter of the positive direction.
    pub(super) fn index(self, place: usize, [low, high]: [usize; 2]) -> usize {
        if self.rises { high - place } else { low + place }
    }
}

/// Cosine between a voxel axis and its scanner axis.
fn cosine(affine: &Affine, axis: VoxelAxis) -> f64 {
    affine.matrix()[axis.scanner][axis.voxel] / affine.spacing_mm()[axis.voxel]
}

/// The scanner axis of each voxel axis: each once, with the greatest sum of cosines.
fn scanner_axes(affine: &Affine) -> [VoxelAxis; 3] {
    const ORDERS: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let axes = |order: [usize; 3]| {
        [0, 1, 2].map(|voxel| {
            let scanner = order[voxel];
            VoxelAxis { voxel, scanner, rises: affine.matrix()[scanner][voxel] > 0.0 }
        })
    };
    let sum = |order: [usize; 3]| -> f64 {
        axes(order).into_iter().map(|axis| cosine(affine, axis).abs()).sum()
    };
    let best = ORDERS.into_iter().max_by(|a, b| sum(*a).total_cmp(&sum(*b)));
    axes(best.unwrap_or(ORDERS[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(matrix: [[f64; 4]; 3]) -> View {
        View::of(&Grid::new([4, 4, 4], Affine::new(matrix).unwrap()).unwrap())
    }

    #[test]
    fn axial_slices_have_the_right_side_at_the_left_and_the_front_at_the_top() {
        let view = view([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]]);
        assert_eq!(view.letters(), ["R", "L", "A", "P"]);
        assert_eq!(view.plane(), "axial");
        assert_eq!(view.across.index(0, [2, 9]), 9, "the rightmost voxel is drawn first");
        assert_eq!(view.place([1.0, 2.0, -7.6]), "I 8 mm");
        assert_eq!(view.place([1.0, 2.0, -0.4]), "0 mm", "neither superior nor inferior");
    }

    #[test]
    fn sagittal_slices_are_found_by_their_thickness_in_any_storage_order() {
        let view = view([[0.0, -3.0, 0.0, 0.0], [0.0, 0.0, -0.5, 0.0], [0.5, 0.0, 0.0, 0.0]]);
        assert_eq!((view.across.voxel, view.down.voxel, view.through.voxel), (2, 0, 1));
        assert_eq!(view.letters(), ["A", "P", "S", "I"]);
        assert_eq!(view.across.index(0, [2, 9]), 2, "stored from front to back");
        assert_eq!(view.plane(), "sagittal");
    }

    #[test]
    fn slices_tilted_by_a_fifth_of_a_right_angle_are_called_oblique() {
        let (sine, cosine) = 18_f64.to_radians().sin_cos();
        let view = view([
            [1.0, 0.0, 0.0, 0.0],
            [0.0, cosine, -3.0 * sine, 0.0],
            [0.0, sine, 3.0 * cosine, 0.0],
        ]);
        assert_eq!(view.plane(), "oblique, nearly axial");
    }
}
