//! Samples of the lanes of a tile, in both precisions.
//!
//! # Reference
//!
//! IEEE Standard for Floating-Point Arithmetic, IEEE 754-2019, doi:10.1109/IEEESTD.2019.8766229
//! (a 32-bit number is exact in 64-bit).

use fearless_simd::{Simd, f32x16, f64x8, prelude::*};

use super::SAMPLES_MAX;
use super::report::TILE_LEN;
use super::sums::Rows;

/// Samples in the precision they are kept in.
#[derive(Debug, Clone, Copy)]
pub enum LaneValues<'a> {
    /// 32-bit.
    Single(&'a [f32]),
    /// 64-bit.
    Double(&'a [f64]),
}

/// Lanes to solve: lane `l` of sample `k` is `values[k·stride + first + l]`.
#[derive(Debug, Clone, Copy)]
pub struct LaneSamples<'a> {
    /// All samples.
    pub values: LaneValues<'a>,
    /// From a lane to the same of the next sample.
    pub stride: usize,
    /// Before the first lane.
    pub first: usize,
    /// Number of lanes.
    pub n_lanes: usize,
}

impl<'a> LaneSamples<'a> {
    /// Samples of shape `[n_samples, n_lanes]`.
    pub fn packed(values: &'a [f64], n_lanes: usize) -> Self {
        Self { values: LaneValues::Double(values), stride: n_lanes, first: 0, n_lanes }
    }
}

/// A tile of samples.
pub(super) struct TileRows<'a> {
    pub(super) single: Rows<'a, f32>,
    pub(super) double: Rows<'a, f64>,
}

/// What one precision lacks.
pub(super) struct Buffers {
    single: [f32; TILE_LEN * SAMPLES_MAX],
    double: [f64; TILE_LEN * SAMPLES_MAX],
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { single: [0.0; TILE_LEN * SAMPLES_MAX], double: [0.0; TILE_LEN * SAMPLES_MAX] }
    }

    /// `len` lanes from `first` on; lanes beyond repeat the last. `order` names the sample of each
    /// place of the curve's tables, `places` are 0, 1, 2, ….
    #[inline(always)]
    pub(super) fn fill<'b, S: Simd>(
        &'b mut self,
        simd: S,
        samples: LaneSamples<'b>,
        (first, len): (usize, usize),
        (order, places): (&'b [usize], &'b [usize]),
    ) -> TileRows<'b> {
        let (stride, first) = (samples.stride, samples.first + first);
        let Self { single, double } = self;
        match samples.values {
            LaneValues::Single(values) => {
                let mut rows = Rows { values, stride, first, order };
                if len < TILE_LEN {
                    pad(&rows, len, single);
                    rows = Rows { values: single, stride: TILE_LEN, first: 0, order: places };
                }
                widen(simd, &rows, double);
                let double = Rows { values: double, stride: TILE_LEN, first: 0, order: places };
                TileRows { single: rows, double }
            }
            LaneValues::Double(values) => {
                let mut rows = Rows { values, stride, first, order };
                if len < TILE_LEN {
                    pad(&rows, len, double);
                    rows = Rows { values: double, stride: TILE_LEN, first: 0, order: places };
                }
                narrow(simd, &rows, single);
                let single = Rows { values: single, stride: TILE_LEN, first: 0, order: places };
                TileRows { single, double: rows }
            }
        }
    }
}

/// Copies the last `len` lanes into rows of whole tiles, in the order of the tables.
fn pad<T: Copy>(rows: &Rows<'_, T>, len: usize, padded: &mut [T]) {
    for (&k, row) in rows.order.iter().zip(padded.chunks_exact_mut(TILE_LEN)) {
        let from = k * rows.stride + rows.first;
        let (own, beyond) = row.split_at_mut(len);
        own.copy_from_slice(&rows.values[from..from + len]);
        beyond.fill(own[len - 1]);
    }
}

#[inline(always)]
fn widen<S: Simd>(simd: S, rows: &Rows<'_, f32>, to: &mut [f64]) {
    for (k, to) in to.chunks_exact_mut(TILE_LEN).enumerate().take(rows.len()) {
        for g in 0..TILE_LEN / 16 {
            let values: f32x16<S> = rows.load(simd, k, g);
            let (low, high) = values.widen();
            low.store_slice(&mut to[16 * g..16 * g + 8]);
            high.store_slice(&mut to[16 * g + 8..16 * g + 16]);
        }
    }
}

#[inline(always)]
fn narrow<S: Simd>(simd: S, rows: &Rows<'_, f64>, to: &mut [f32]) {
    for (k, to) in to.chunks_exact_mut(TILE_LEN).enumerate().take(rows.len()) {
        for g in 0..TILE_LEN / 16 {
            let low: f64x8<S> = rows.load(simd, k, 2 * g);
            let high: f64x8<S> = rows.load(simd, k, 2 * g + 1);
            low.narrow(high).store_slice(&mut to[16 * g..16 * g + 16]);
        }
    }
}
