//! The likeness of two images under a transform and its derivatives, slice by slice in parallel.
//!
//! Every slice sums on its own; slices are added in order, so that every number of threads gives the
//! same bytes.

use fearless_simd::{Level as Instructions, dispatch};
use rayon::prelude::*;

use super::kernel::{COLUMNS, Scratch, collect_matrix, collect_spline, look_up};
use super::level::Level;
use super::metric::{Likeness, Metric, Sums, likeness};
use super::rigid::{times, transposed};
use super::warp::{Warp, into_voxels};

/// Both images of one resolution and the memory of their comparison.
pub(super) struct Comparison {
    pub(super) level: Level,
    metric: Metric,
    columns: Vec<f32>,
    sums: Vec<Sums>,
    instructions: Instructions,
}

impl Comparison {
    pub(super) fn new(level: Level, metric: Metric) -> Self {
        let [_, ny, nz] = level.fixed.grid.shape();
        Self {
            columns: vec![0.0; COLUMNS * level.fixed.stride * ny * nz],
            sums: (0..nz).map(|_| Sums::zero(metric)).collect(),
            instructions: Instructions::new(),
            level,
            metric,
        }
    }

    /// Part of the samples that lies in the moving image.
    pub(super) fn overlap(&self, likeness: &Likeness) -> f64 {
        likeness.n_overlap / self.level.fixed.n_samples as f64
    }

    /// Looks every sample up in the moving image.
    pub(super) fn likeness(&mut self, warp: &Warp<'_>) -> Likeness {
        let Self { level, columns, sums, instructions, .. } = self;
        let (fixed, moving) = (&level.fixed, &level.moving);
        let slice_len = COLUMNS * fixed.stride * fixed.grid.shape()[1];
        columns.par_chunks_mut(slice_len).zip(sums.par_iter_mut()).enumerate().for_each_init(
            || Scratch::new(fixed, warp),
            |scratch, (k, (columns, sums))| {
                sums.clear();
                dispatch!(*instructions, simd => {
                    look_up(simd, (fixed, moving, warp), k, scratch, (columns, sums));
                });
            },
        );
        let mut total = Sums::zero(self.metric);
        for sums in &self.sums {
            total.add(sums);
        }
        likeness(self.metric, &total)
    }

    /// Derivatives with respect to the matrix of `warp`, after [`Self::likeness`] with it.
    pub(super) fn matrix_gradient(&self, warp: &Warp<'_>, found: &Likeness) -> [[f64; 4]; 3] {
        let fixed = &self.level.fixed;
        let parts: Vec<[[f64; 4]; 3]> = self
            .slices()
            .map_init(
                || Scratch::new(fixed, warp),
                |scratch, slice| {
                    dispatch!(self.instructions, simd => {
                        collect_matrix(simd, fixed, &found.slope, slice, scratch)
                    })
                },
            )
            .collect();
        let mut gradient = [[0.0; 4]; 3];
        for part in parts {
            for (sum, part) in gradient.iter_mut().flatten().zip(part.iter().flatten()) {
                *sum += part;
            }
        }
        gradient
    }

    /// Derivatives with respect to the displacements, mm, of the control points, three
    /// per control point, after [`Self::likeness`] with `warp`.
    pub(super) fn spline_gradient(&self, warp: &Warp<'_>, found: &Likeness, gradient: &mut [f64]) {
        gradient.fill(0.0);
        let Some(spline) = &warp.lattice else { return };
        let fixed = &self.level.fixed;
        let parts: Vec<[Vec<f64>; 3]> = self
            .slices()
            .map_init(
                || Scratch::new(fixed, warp),
                |scratch, slice| {
                    dispatch!(self.instructions, simd => {
                        collect_spline(simd, (fixed, spline), &found.slope, slice, scratch)
                    })
                },
            )
            .collect();
        let along = &spline.on_grid.along[2];
        for (k, part) in parts.iter().enumerate() {
            for (axis, part) in part.iter().enumerate() {
                for (q, &weight) in along.weights[k].iter().enumerate() {
                    let first = (along.base[k] + q) * part.len();
                    for (node, value) in part.iter().enumerate() {
                        gradient[3 * (first + node) + axis] += f64::from(weight) * value;
                    }
                }
            }
        }
        let back = transposed(&into_voxels(self.level.moving.grid.affine()));
        for node in gradient.chunks_exact_mut(3) {
            let of_mm = times(&back, [node[0], node[1], node[2]]);
            node.copy_from_slice(&of_mm);
        }
    }

    fn slices(&self) -> impl IndexedParallelIterator<Item = (usize, &[f32])> {
        let fixed = &self.level.fixed;
        let slice_len = COLUMNS * fixed.stride * fixed.grid.shape()[1];
        self.columns.par_chunks(slice_len).enumerate()
    }
}
