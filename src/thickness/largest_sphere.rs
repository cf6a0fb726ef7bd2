//! Local thickness: the diameter of the largest ball that contains a point and fits inside.
//!
//! Every voxel centre carries the largest ball around it; a ball inside the ball of a neighbour can
//! be left out, and what remains lies on the ridge of the distances. Each remaining ball raises the
//! voxels it holds, row by row.
//!
//! # Reference
//!
//! Hildebrand and Rüegsegger, "A new method for the model-independent assessment of thickness in
//! three-dimensional images", Journal of Microscopy 185 (1997) 67–75,
//! doi:10.1046/j.1365-2818.1997.1340694.x.

use rayon::prelude::*;

use super::distance_transform::Depths;
use super::interface::Surfaces;
use super::nearest::PointIndex;
use crate::error::{Error, Result};
use crate::image::{Mask, Volume};

/// A voxel whose distance is shorter than the radius by less than this share of its square lies on
/// the ball, not in it: distances are single precision.
const ON_THE_BALL: f64 = 1e-6;

/// Diameter, mm, of the largest ball inside `set` that contains each voxel centre; 0 outside.
///
/// Balls are centred on voxel centres and open: the ball around a centre reaches to the nearest
/// centre outside, so that a set of one voxel has twice the spacing, and a slab is measured about one
/// voxel too thick. The image border is no outside. The voxel axes must be orthogonal; their spacings
/// may differ.
///
/// # Errors
///
/// `Value` when the set is empty or fills the image.
///
/// # Examples
///
/// ```
/// use biomarker::image::{Affine, Grid, Mask, Volume};
/// use biomarker::thickness::local_thickness;
///
/// # fn main() -> biomarker::error::Result<()> {
/// let grid = Grid::new([9, 9, 9], Affine::from_spacing([0.5; 3], [0.0; 3])?)?;
/// let slab = Mask::new(Volume::from_fn(grid, |i| (3..6).contains(&grid.voxel(i)[0])));
/// let thickness = local_thickness(&slab)?;
/// assert!((thickness.voxels()[grid.index([4, 4, 4])] - 2.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
pub fn local_thickness(set: &Mask) -> Result<Volume<f32>> {
    if set.is_empty() {
        return Err(Error::value("no ball fits: the mask is empty"));
    }
    let grid = *set.grid();
    if set.len() == grid.n_voxels() {
        return Err(Error::value("no ball ends: the mask fills the image"));
    }
    let depths = Depths::of(set)?;
    let balls = Balls { shape: depths.shape, spacing_mm: grid.affine().spacing_mm() };
    let diameters = balls.diameters(&depths.values_mm);
    let mut whole = vec![0.0; grid.n_voxels()];
    for ((start, _), row) in depths.rows().zip(diameters.chunks_exact(depths.shape[0])) {
        whole[start..start + row.len()].copy_from_slice(row);
    }
    Volume::new(grid, whole)
}

/// Local thickness, mm, where the shortest way from each articular vertex to the interface has its
/// middle; `ways_mm` are both ends of these ways, and what has none is NaN.
///
/// The middles lie on the ridge between both surfaces however coarse the voxels are, so they are the
/// centres of the balls too; a ball reaches to the nearest vertex of either surface.
pub(super) fn thickness(surfaces: &Surfaces, ways_mm: &[Option<[[f64; 3]; 2]>]) -> Vec<f64> {
    let middle = |[a, b]: [[f64; 3]; 2]| [0, 1, 2].map(|r| f64::midpoint(a[r], b[r]));
    let centres_mm: Vec<[f64; 3]> = ways_mm.iter().flatten().map(|&way| middle(way)).collect();
    let sides = [&surfaces.interface, &surfaces.articular].map(|s| PointIndex::new(&s.vertices_mm));
    let squared_radius = |&centre: &[f64; 3]| {
        let squared = sides.iter().filter_map(|side| Some(side.nearest(centre)?.squared_mm2));
        squared.fold(f64::INFINITY, f64::min)
    };
    let squared_mm2: Vec<f64> = centres_mm.par_iter().map(squared_radius).collect();
    let largest_mm2 = squared_mm2.iter().copied().fold(0.0, f64::max);
    let index = PointIndex::new(&centres_mm);
    let thickness = |&way: &Option<[[f64; 3]; 2]>| {
        let mut best_mm2 = f64::NAN;
        index.for_each_within(middle(way?), largest_mm2, |near| {
            if near.squared_mm2 <= squared_mm2[near.id] {
                best_mm2 = best_mm2.max(squared_mm2[near.id]);
            }
        });
        Some(2.0 * best_mm2.sqrt())
    };
    ways_mm.par_iter().map(|way| thickness(way).unwrap_or(f64::NAN)).collect()
}

/// Balls around voxel centres of a box.
struct Balls {
    shape: [usize; 3],
    spacing_mm: [f64; 3],
}

/// One ball: its centre in voxels and its squared radius, mm².
struct Ball {
    centre: [usize; 3],
    squared_mm2: f64,
    diameter_mm: f32,
}

impl Balls {
    /// Largest diameter over every voxel of the box; `radii_mm` are those of the balls around each
    /// voxel, 0 for none.
    fn diameters(&self, radii_mm: &[f32]) -> Vec<f32> {
        let [nx, ny, nz] = self.shape;
        let neighbours = self.neighbours();
        let balls: Vec<Vec<Ball>> =
            (0..nz).into_par_iter().map(|z| self.ridge(radii_mm, &neighbours, z)).collect();
        let largest_mm = radii_mm.iter().copied().fold(0.0, f32::max);
        let reach = (f64::from(largest_mm) / self.spacing_mm[2]) as usize + 1;
        let mut diameters = vec![0.0; nx * ny * nz];
        diameters.par_chunks_mut(nx * ny).enumerate().for_each(|(z, slice)| {
            let near = &balls[z.saturating_sub(reach)..(z + reach + 1).min(nz)];
            for ball in near.iter().flatten() {
                self.raise(slice, z, ball);
            }
        });
        diameters
    }

    /// Steps to the 26 voxels around one, each plus 1, and their lengths, mm.
    fn neighbours(&self) -> Vec<([usize; 3], f32)> {
        let around = (0..27_usize).filter(|&n| n != 13).map(|n| [n % 3, n / 3 % 3, n / 9]);
        around
            .map(|step| {
                let length = |axis: usize| (step[axis] as f64 - 1.0) * self.spacing_mm[axis];
                let squared: f64 = (0..3).map(|axis| length(axis).powi(2)).sum();
                (step, squared.sqrt() as f32)
            })
            .collect()
    }

    /// The balls around voxels of slice `z` that are not inside the ball of a voxel beside them.
    fn ridge(&self, radii_mm: &[f32], neighbours: &[([usize; 3], f32)], z: usize) -> Vec<Ball> {
        let [nx, ny, _] = self.shape;
        let slice = &radii_mm[z * nx * ny..(z + 1) * nx * ny];
        let is_covered = |centre: [usize; 3], radius_mm: f32| {
            // The margin keeps balls whose cover is a matter of rounding.
            let own = radius_mm * (1.0 + ON_THE_BALL as f32);
            neighbours.iter().any(|&(step, distance_mm)| {
                let other = [0, 1, 2].map(|axis| (centre[axis] + step[axis]).wrapping_sub(1));
                (0..3).all(|axis| other[axis] < self.shape[axis])
                    && radii_mm[other[0] + nx * (other[1] + ny * other[2])] >= own + distance_mm
            })
        };
        let inside = slice.iter().enumerate().filter(|(_, radius_mm)| **radius_mm > 0.0);
        inside
            .map(|(at, &radius_mm)| ([at % nx, at / nx, z], radius_mm))
            .filter(|&(centre, radius_mm)| !is_covered(centre, radius_mm))
            .map(|(centre, radius_mm)| Ball {
                centre,
                squared_mm2: f64::from(radius_mm).powi(2) * (1.0 - ON_THE_BALL),
                diameter_mm: 2.0 * radius_mm,
            })
            .collect()
    }

    /// Raises the voxels of slice `z` that lie in the ball.
    fn raise(&self, slice: &mut [f32], z: usize, ball: &Ball) {
        let [nx, ny, _] = self.shape;
        let [sx, sy, sz] = self.spacing_mm;
        let [cx, cy, cz] = ball.centre;
        let left = ball.squared_mm2 - (z as f64 - cz as f64).powi(2) * sz * sz;
        if left <= 0.0 {
            return;
        }
        let reach = (left.sqrt() / sy) as usize;
        for y in cy.saturating_sub(reach)..(cy + reach + 1).min(ny) {
            let left = left - (y as f64 - cy as f64).powi(2) * sy * sy;
            if left <= 0.0 {
                continue;
            }
            let reach = (left.sqrt() / sx) as usize;
            let row = &mut slice[y * nx..(y + 1) * nx];
            for value in &mut row[cx.saturating_sub(reach)..(cx + reach + 1).min(nx)] {
                *value = value.max(ball.diameter_mm);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::{Affine, Grid};

    /// The definition, voxel by voxel and ball by ball.
    fn brute_force(set: &Mask) -> Vec<f64> {
        let grid = *set.grid();
        let positions: Vec<_> = (0..grid.n_voxels()).map(|i| grid.position_mm(i)).collect();
        let squared = |a: usize, b: usize| {
            (0..3).map(|r| (positions[a][r] - positions[b][r]).powi(2)).sum::<f64>()
        };
        let outside: Vec<usize> = (0..positions.len()).filter(|&i| !set.contains(i)).collect();
        let radii: Vec<f64> = set
            .indices()
            .iter()
            .map(|&c| outside.iter().map(|&o| squared(c, o)).fold(f64::INFINITY, f64::min))
            .collect();
        (0..positions.len())
            .map(|x| {
                let holds = |&(&c, &r): &(&usize, &f64)| squared(c, x) < r * (1.0 - ON_THE_BALL);
                let balls = set.indices().iter().zip(&radii).filter(holds);
                2.0 * balls.map(|(_, &r)| r).fold(0.0, f64::max).sqrt()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn diameters_equal_brute_force_on_random_anisotropic_sets(
            shape in prop::array::uniform3(2_usize..11),
            spacing in prop::array::uniform3(0.2_f64..1.5),
            holes in prop::collection::vec(0_usize..1331, 1..12),
        ) {
            let grid = Grid::new(shape, Affine::from_spacing(spacing, [0.0; 3]).unwrap()).unwrap();
            let holes: Vec<_> = holes.iter().map(|hole| hole % grid.n_voxels()).collect();
            let set = Mask::new(Volume::from_fn(grid, |i| !holes.contains(&i)));
            prop_assume!(!set.is_empty());
            let found = local_thickness(&set).unwrap();
            for (&ours, exact) in found.voxels().iter().zip(brute_force(&set)) {
                // Two roundings to 24 bits of mantissa, and those of the distance transform.
                prop_assert!((f64::from(ours) - exact).abs() <= 4e-7 * exact, "{ours} {exact}");
            }
        }
    }

    #[test]
    fn nothing_and_everything_have_no_ball() {
        let grid = Grid::new([3; 3], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
        let empty = local_thickness(&Mask::from_indices(grid, &[]).unwrap()).unwrap_err();
        let full = local_thickness(&Mask::full(grid)).unwrap_err();
        assert!(empty.to_string().contains("empty") && full.to_string().contains("fills"));
        let one = Mask::from_indices(grid, &[13]).unwrap();
        assert!((local_thickness(&one).unwrap().voxels()[13] - 2.0).abs() < 1e-6);
    }
}
