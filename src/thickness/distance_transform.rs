//! Exact Euclidean distance transform.
//!
//! `D²(p) = min_q |s·(p − q)|²` over the voxels `q` of a set, one axis after the other: runs of
//! voxels along x, then the lower envelope of the parabolas `D²(q) + s²·(p − q)²` along y and z
//! ([`columns`]), sixteen neighbouring columns at once.
//!
//! # Reference
//!
//! Separable squared distances: Felzenszwalb and Huttenlocher, "Distance transforms of sampled
//! functions", Theory of Computing 8 (2012) 415–428, doi:10.4086/toc.2012.v008a019.

mod columns;

use fearless_simd::{Level, dispatch};
use ndarray::{ArrayViewMut3, Axis};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::image::{Mask, Volume};
use columns::{Columns, Ending, Line};

/// Distance in mm from every voxel centre to the nearest voxel centre of `set`; 0 inside the set.
///
/// The voxel axes must be orthogonal; their spacings may differ. Squares are single precision, so
/// that a distance is exact to 2 parts in 10⁷. The result is the same for every number of threads.
///
/// # Errors
///
/// `Value` when the set is empty.
pub fn distance_transform(set: &Mask) -> Result<Volume<f32>> {
    if set.is_empty() {
        return Err(Error::value("no voxel to measure a distance to: the mask is empty"));
    }
    let grid = *set.grid();
    let spacing_mm = grid.affine().spacing_mm();
    Volume::new(grid, distances_mm(set.volume().voxels(), grid.shape(), spacing_mm)?)
}

/// Distance in mm from every voxel centre outside `set` to the nearest voxel centre of the set, and,
/// below 0, from every voxel centre of the set to the nearest one outside.
///
/// Neither side is 0 anywhere: the surface lies between the voxels. Exactness as of
/// [`distance_transform`].
///
/// # Errors
///
/// `Value` when the set is empty or fills the image.
pub fn signed_distance_transform(set: &Mask) -> Result<Volume<f32>> {
    if set.len() == set.grid().n_voxels() {
        return Err(Error::value("no voxel to measure a distance to: the mask fills the image"));
    }
    let mut signed = distance_transform(set)?;
    let depths = Depths::of(set)?;
    for (start, own) in depths.rows() {
        for (value, depth) in signed.voxels_mut()[start..start + own.len()].iter_mut().zip(own) {
            *value = if *depth > 0.0 { -depth } else { *value };
        }
    }
    Ok(signed)
}

/// Distances from the voxels of a set to the nearest outside, in the box around it.
pub(super) struct Depths {
    /// First voxel of the box.
    pub(super) low: [usize; 3],
    pub(super) shape: [usize; 3],
    /// Distance at every voxel of the box, mm, `x` fastest; 0 outside the set.
    pub(super) values_mm: Vec<f32>,
    whole: [usize; 3],
}

impl Depths {
    /// # Errors
    ///
    /// `Internal` when the set is empty or fills the image.
    pub(super) fn of(set: &Mask) -> Result<Self> {
        let (low, shape) = box_around(set);
        let mut depths = Self { low, shape, values_mm: Vec::new(), whole: set.grid().shape() };
        let inside = set.volume().voxels();
        let outside: Vec<bool> = depths
            .row_starts()
            .flat_map(|start| inside[start..start + shape[0]].iter().map(|inside| !inside))
            .collect();
        depths.values_mm = distances_mm(&outside, shape, set.grid().affine().spacing_mm())?;
        Ok(depths)
    }

    /// Place in the image of the first voxel of every row of the box.
    fn row_starts(&self) -> impl Iterator<Item = usize> + use<> {
        let ([x, y, z], [_, ny, nz], [width, height, _]) = (self.low, self.shape, self.whole);
        (0..nz).flat_map(move |k| (0..ny).map(move |j| x + width * (y + j + height * (z + k))))
    }

    /// The rows of the box with the place of their first voxel in the image.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.row_starts().zip(self.values_mm.chunks_exact(self.shape[0]))
    }
}

/// First voxel and size of the box around a set and one voxel more to each side: no voxel of the set
/// has its nearest neighbour outside the set beyond that.
fn box_around(set: &Mask) -> ([usize; 3], [usize; 3]) {
    let grid = set.grid();
    let (mut low, mut high) = (grid.shape(), [0; 3]);
    for &index in set.indices() {
        for (axis, at) in grid.voxel(index).into_iter().enumerate() {
            low[axis] = low[axis].min(at);
            high[axis] = high[axis].max(at + 1);
        }
    }
    let low = low.map(|at| at.saturating_sub(1));
    (low, [0, 1, 2].map(|axis| (high[axis] + 1).min(grid.shape()[axis]) - low[axis]))
}

/// Distances to the voxels of a set that is not empty, `x` fastest.
fn distances_mm(set: &[bool], [nx, ny, nz]: [usize; 3], spacing_mm: [f64; 3]) -> Result<Vec<f32>> {
    let mut values = vec![0.0_f32; set.len()];
    let squares = squares_mm2(nx, spacing_mm[0]);
    let lines: Vec<Line> = values
        .par_chunks_mut(nx)
        .zip(set.par_chunks(nx))
        .map(|(row, set)| scan_row(row, set, &squares))
        .collect();
    let level = Level::new();
    let mut cube = ArrayViewMut3::from_shape((nz, ny, nx), &mut values)
        .map_err(|error| Error::internal(error.to_string()))?;
    let along_y = Columns::new(ny, spacing_mm[1], Ending::Squared);
    let slices: Vec<Line> = cube
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .zip(lines.par_chunks(ny))
        .map_init(
            || along_y.clone(),
            |own, (slice, lines)| dispatch!(level, simd => own.transform(simd, slice, lines)),
        )
        .collect();
    let along_z = Columns::new(nz, spacing_mm[2], Ending::Root);
    cube.axis_iter_mut(Axis(1)).into_par_iter().for_each_init(
        || along_z.clone(),
        |own, slice| {
            dispatch!(level, simd => own.transform(simd, slice, &slices));
        },
    );
    Ok(values)
}

/// Squares of the distances between voxels of a line, mm².
fn squares_mm2(n: usize, spacing_mm: f64) -> Vec<f32> {
    (0..=n).map(|d| (d as f64 * spacing_mm).powi(2) as f32).collect()
}

/// Squared distance along one row, which is 0, to its nearest voxel of the set; left alone where there
/// is none.
fn scan_row(row: &mut [f32], set: &[bool], squares_mm2: &[f32]) -> Line {
    let n_set = set.iter().map(|&inside| u32::from(inside)).sum::<u32>() as usize;
    if n_set == 0 {
        return Line::Empty;
    }
    if n_set == set.len() {
        return Line::Zero;
    }
    let mut before = None;
    let mut at = 0;
    while at < row.len() {
        if set[at] {
            before = Some(at);
            at += 1;
            continue;
        }
        let length = set[at..].iter().position(|&inside| inside);
        let gap = &mut row[at..length.map_or(set.len(), |length| at + length)];
        let from_before = if before.is_none() {
            0
        } else if length.is_none() {
            gap.len()
        } else {
            gap.len() / 2
        };
        let (near, far) = gap.split_at_mut(from_before);
        near.copy_from_slice(&squares_mm2[1..=near.len()]);
        far.iter_mut().rev().zip(&squares_mm2[1..]).for_each(|(value, square)| *value = *square);
        at += gap.len();
    }
    Line::Finite
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::{Affine, Grid};

    fn brute_force(set: &Mask) -> Vec<f64> {
        let grid = set.grid();
        let positions: Vec<_> = (0..grid.n_voxels()).map(|i| grid.position_mm(i)).collect();
        let squared = |a: [f64; 3], b: [f64; 3]| (0..3).map(|r| (a[r] - b[r]).powi(2)).sum::<f64>();
        positions
            .iter()
            .map(|&p| {
                let nearest = set.indices().iter().map(|&q| squared(p, positions[q]));
                nearest.fold(f64::INFINITY, f64::min).sqrt()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn distances_equal_brute_force_on_random_anisotropic_masks(
            shape in prop::array::uniform3(1_usize..12),
            spacing in prop::array::uniform3(0.2_f64..3.0),
            seed in prop::collection::vec(0_usize..1728, 1..40),
        ) {
            let grid = Grid::new(shape, Affine::from_spacing(spacing, [0.0; 3]).unwrap()).unwrap();
            let voxels: Vec<_> = seed.iter().map(|index| index % grid.n_voxels()).collect();
            let set = Mask::from_indices(grid, &voxels).unwrap();
            let distances = distance_transform(&set).unwrap();
            for (&ours, exact) in distances.voxels().iter().zip(brute_force(&set)) {
                // Three roundings to 24 bits of mantissa.
                prop_assert!((f64::from(ours) - exact).abs() <= 2e-7 * exact, "{ours} {exact}");
            }
        }
    }

    #[test]
    fn signed_distances_are_those_to_the_other_side() {
        let affine = Affine::from_spacing([0.365, 0.456, 0.7], [0.0; 3]).unwrap();
        let grid = Grid::new([29, 23, 17], affine).unwrap();
        // A thick piece, a thin one and a piece at the border.
        let set = Mask::new(Volume::from_fn(grid, |i| {
            let [x, y, z] = grid.voxel(i);
            (4..17).contains(&x) && (5..16).contains(&y) && (3..12).contains(&z)
                || x == 25
                || z == 0 && y < 3
        }));
        let outside = Mask::new(set.volume().map(|inside| !inside));
        let signed = signed_distance_transform(&set).unwrap();
        let (to_set, to_outside) = (brute_force(&set), brute_force(&outside));
        for (i, &ours) in signed.voxels().iter().enumerate() {
            let exact = to_set[i] - to_outside[i];
            assert!((f64::from(ours) - exact).abs() <= 2e-7 * exact.abs(), "{ours} {exact}");
        }
        assert!(signed_distance_transform(&Mask::full(grid)).is_err());
    }

    /// Long lines with few voxels take the way of far columns, crowded ones that of near columns.
    #[test]
    fn long_lines_equal_brute_force_however_full_they_are() {
        for (shape, every) in [([5, 150, 3], 391), ([17, 3, 140], 977), ([40, 30, 9], 5)] {
            for spacing in [[0.4, 0.5, 0.8], [3.0, 0.01, 3.0]] {
                let affine = Affine::from_spacing(spacing, [0.0; 3]).unwrap();
                let grid = Grid::new(shape, affine).unwrap();
                let set = Mask::new(Volume::from_fn(grid, |i| (i * 7919 + 13) % every == 0));
                let distances = distance_transform(&set).unwrap();
                for (&ours, exact) in distances.voxels().iter().zip(brute_force(&set)) {
                    assert!((f64::from(ours) - exact).abs() <= 2e-7 * exact, "{ours} {exact}");
                }
            }
        }
    }

    #[test]
    fn an_empty_set_has_no_distance() {
        let grid = Grid::new([2; 3], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
        let error = distance_transform(&Mask::from_indices(grid, &[]).unwrap()).unwrap_err();
        assert!(error.to_string().contains("empty"), "{error}");
    }

    #[test]
    fn every_number_of_threads_gives_the_same_bits() {
        let affine = Affine::from_spacing([0.365, 0.456, 0.7], [0.0; 3]).unwrap();
        let grid = Grid::new([37, 23, 19], affine).unwrap();
        let set = Mask::new(Volume::from_fn(grid, |i| i % 911 == 3));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| distance_transform(&set).unwrap()).map(|value| value.to_bits())
        };
        let one = with(1);
        assert!([2, 3, 8].iter().all(|&threads| with(threads) == one));
    }
}
