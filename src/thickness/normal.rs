//! Thickness along the normal: from each articular vertex inward to the first triangle of the
//! interface.
//!
//! # Reference
//!
//! Möller and Trumbore, "Fast, minimum storage ray/triangle intersection", Journal of Graphics Tools
//! 2 (1997) 21–28, doi:10.1080/10867651.1997.10487468.

use rayon::prelude::*;

use super::interface::Surfaces;
use super::surface::{Surface, cross, difference, dot};

/// No cartilage is thicker, mm; rays end here.
const REACH_MM: f64 = 10.0;

/// Where a ray meets the interface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    pub(super) distance_mm: f64,
    pub(super) position_mm: [f64; 3],
}

/// What the inward normal of each articular vertex meets first; `None` where it misses.
pub(super) fn hits(surfaces: &Surfaces) -> Vec<Option<Hit>> {
    let index = TriangleIndex::new(&surfaces.interface);
    surfaces
        .articular
        .vertices_mm
        .par_iter()
        .zip(&surfaces.articular_normals)
        .map(|(&origin_mm, normal)| index.first_hit(origin_mm, normal.map(|x| -x)))
        .collect()
}

/// Triangles by the cubes of a lattice that their bounding boxes touch.
struct TriangleIndex<'a> {
    surface: &'a Surface,
    low_mm: [f64; 3],
    shape: [usize; 3],
    side_mm: f64,
    /// Where the triangles of each cube begin in `triangles`.
    starts: Vec<usize>,
    triangles: Vec<u32>,
}

impl<'a> TriangleIndex<'a> {
    fn new(surface: &'a Surface) -> Self {
        let fold = |start: f64, of: fn(f64, f64) -> f64| {
            surface.vertices_mm.iter().fold([start; 3], |bound, vertex| {
                [0, 1, 2].map(|axis| of(bound[axis], vertex[axis]))
            })
        };
        let (low_mm, high_mm) = (fold(f64::INFINITY, f64::min), fold(f64::NEG_INFINITY, f64::max));
        let extent_mm = (0..3).map(|axis| high_mm[axis] - low_mm[axis]).fold(0.0, f64::max);
        // Cubes of about the size of a voxel, and never more of them than memory has room for.
        let side_mm = (extent_mm / 200.0).max(0.7);
        let shape = [0, 1, 2].map(|a| ((high_mm[a] - low_mm[a]).max(0.0) / side_mm) as usize + 1);
        let mut index =
            Self { surface, low_mm, shape, side_mm, starts: Vec::new(), triangles: Vec::new() };
        index.sort();
        index
    }

    fn sort(&mut self) {
        let mut pairs: Vec<(usize, u32)> = Vec::new();
        for (number, triangle) in self.surface.triangles.iter().enumerate() {
            let corners =
                triangle.map(|vertex| self.cube(self.surface.vertices_mm[vertex as usize]));
            let range = |axis: usize| {
                let along = corners.map(|cube| cube[axis]);
                along.into_iter().min().unwrap_or(0)..=along.into_iter().max().unwrap_or(0)
            };
            for k in range(2) {
                for j in range(1) {
                    pairs.extend(range(0).map(|i| (self.place([i, j, k]), number as u32)));
                }
            }
        }
        pairs.sort_unstable();
        let n_cubes = self.shape.iter().product::<usize>();
        self.starts = (0..=n_cubes).map(|cube| pairs.partition_point(|p| p.0 < cube)).collect();
        self.triangles = pairs.into_iter().map(|pair| pair.1).collect();
    }

    fn cube(&self, position_mm: [f64; 3]) -> [usize; 3] {
        [0, 1, 2].map(|axis| {
            let along = (position_mm[axis] - self.low_mm[axis]) / self.side_mm;
            (along.max(0.0) as usize).min(self.shape[axis] - 1)
        })
    }

    fn place(&self, [i, j, k]: [usize; 3]) -> usize {
        i + self.shape[0] * (j + self.shape[1] * k)
    }

    /// Walks along the ray in pieces of half a cube and looks at every cube that a piece touches.
    fn first_hit(&self, origin_mm: [f64; 3], direction: [f64; 3]) -> Option<Hit> {
        let at = |distance_mm: f64| [0, 1, 2].map(|a| origin_mm[a] + distance_mm * direction[a]);
        if !direction.iter().all(|x| x.is_finite()) || self.surface.triangles.is_empty() {
            return None;
        }
        let piece_mm = 0.5 * self.side_mm;
        let mut seen = [usize::MAX; 2];
        for piece in 0..(REACH_MM / piece_mm).ceil() as usize {
            let ends = [piece, piece + 1].map(|p| self.cube(at(p as f64 * piece_mm)));
            let mut nearest = f64::INFINITY;
            let cubes = cubes_between(ends).map(|cube| self.place(cube));
            for cube in cubes {
                if !seen.contains(&cube) {
                    let triangles = &self.triangles[self.starts[cube]..self.starts[cube + 1]];
                    let hits = triangles.iter().filter_map(|&t| self.hit(t, origin_mm, direction));
                    nearest = hits.fold(nearest, f64::min);
                }
            }
            // A cube may hold a triangle that is met beyond this piece, after one of the next.
            if nearest <= (piece + 1) as f64 * piece_mm {
                return Some(Hit { distance_mm: nearest, position_mm: at(nearest) });
            }
            seen = if nearest.is_finite() {
                [usize::MAX; 2]
            } else {
                ends.map(|cube| self.place(cube))
            };
        }
        None
    }

    /// Distance along the ray to a triangle; `None` where the ray passes it.
    fn hit(&self, triangle: u32, origin_mm: [f64; 3], direction: [f64; 3]) -> Option<f64> {
        let corners = self.surface.triangles[triangle as usize];
        let [a, b, c] = corners.map(|vertex| self.surface.vertices_mm[vertex as usize]);
        let (ab, ac) = (difference(b, a), difference(c, a));
        let p = cross(direction, ac);
        let determinant = dot(ab, p);
        if determinant.abs() <= f64::MIN_POSITIVE {
            return None;
        }
        let from_a = difference(origin_mm, a);
        let u = dot(from_a, p) / determinant;
        let q = cross(from_a, ab);
        let v = dot(direction, q) / determinant;
        let distance_mm = dot(ac, q) / determinant;
        // A ray through an edge belongs to both triangles.
        let is_inside = u >= -1e-9 && v >= -1e-9 && u + v <= 1.0 + 1e-9;
        (is_inside && distance_mm >= 0.0).then_some(distance_mm)
    }
}

/// The box of cubes between two of them.
fn cubes_between([a, b]: [[usize; 3]; 2]) -> impl Iterator<Item = [usize; 3]> {
    let range = move |axis: usize| a[axis].min(b[axis])..=a[axis].max(b[axis]);
    range(2).flat_map(move |k| range(1).flat_map(move |j| range(0).map(move |i| [i, j, k])))
}
