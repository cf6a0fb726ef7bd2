//! Random displacements as large as the error of a registration.

use super::lattice::covering;
use super::{FreeForm, Rigid};
use crate::error::Result;
use crate::image::{Grid, Volume};
use crate::random::Stream;

/// Mean over a span of the sum of the squares of the four cubic weights: ∫ Σ B² du = 151/315.
const MEAN_SQUARE_WEIGHT: f64 = 151.0 / 315.0;

/// A displacement, mm, of every position.
#[derive(Debug, Clone, PartialEq)]
pub enum Perturbation {
    /// The same everywhere: the error of a rigid transform near its centre.
    Shift([f64; 3]),
    /// A cubic B-spline whose control points move independently: the error of a deformation.
    Field(Box<FreeForm>),
}

impl Perturbation {
    /// A shift, normal with standard deviation `sd_mm` along each axis.
    pub fn shift(sd_mm: f64, stream: &mut Stream) -> Self {
        Self::Shift([0; 3].map(|_| sd_mm * stream.normal()))
    }

    /// A random spline with control points `spacing_mm` apart over `grid`, whose root mean square over
    /// places is `sd_mm` along each axis.
    ///
    /// # Errors
    ///
    /// `Value` when the spacing is not positive or asks for too many control points.
    pub fn field(grid: &Grid, spacing_mm: f64, sd_mm: f64, stream: &mut Stream) -> Result<Self> {
        let of_node = sd_mm * MEAN_SQUARE_WEIGHT.powf(-1.5);
        let nodes = Volume::from_fn(covering(grid, spacing_mm)?, |_| {
            [0; 3].map(|_| of_node * stream.normal())
        });
        Ok(Self::Field(Box::new(FreeForm::new(Rigid::identity([0.0; 3]), nodes)?)))
    }

    /// The displacement at `point_mm`, mm.
    pub fn at(&self, point_mm: [f64; 3]) -> [f64; 3] {
        match self {
            Self::Shift(by) => *by,
            Self::Field(field) => field.deformation_mm(point_mm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Affine;
    use crate::random::StreamKey;

    /// Root mean square over places and draws along each axis.
    fn spread_mm(draw: impl Fn(&mut Stream) -> Perturbation, grid: &Grid) -> [f64; 3] {
        let n_draws = 400;
        let mut sums = [0.0; 3];
        for replicate in 0..n_draws {
            let drawn = draw(&mut StreamKey::new(4, "perturbation").stream(0, replicate));
            for index in (0..grid.n_voxels()).step_by(7) {
                let by = drawn.at(grid.position_mm(index));
                for (sum, by) in sums.iter_mut().zip(by) {
                    *sum += by * by;
                }
            }
        }
        let n = f64::from(n_draws) * grid.n_voxels().div_ceil(7) as f64;
        sums.map(|sum| (sum / n).sqrt())
    }

    #[test]
    fn displacements_have_the_spread_that_was_asked_for() {
        let affine = Affine::from_spacing([2.0, 2.0, 3.0], [-10.0, 5.0, 0.0]).unwrap();
        let grid = Grid::new([30, 30, 20], affine).unwrap();
        let shifts = spread_mm(|stream| Perturbation::shift(0.3, stream), &grid);
        let field = |stream: &mut Stream| Perturbation::field(&grid, 20.0, 0.3, stream).unwrap();
        // 400 draws of one number: 3.5 %; a field has 27 spans, whose control points are shared.
        assert!(shifts.iter().all(|sd| (sd / 0.3 - 1.0).abs() < 0.15), "{shifts:?}");
        let fields = spread_mm(field, &grid);
        assert!(fields.iter().all(|sd| (sd / 0.3 - 1.0).abs() < 0.05), "{fields:?}");
    }
}
