//! Variable projection of many lanes at once, for curves that vectors can evaluate.
//!
//! Each lane starts from two sums of its samples ([`start`]), climbs by Newton's iteration in 32-bit
//! ([`newton`]), and ends with one step in 64-bit ([`finish`]), which also writes amplitude, residuals
//! and variances. A lane is settled where the samples are so close to the curve that no other maximum
//! can be higher ([`certificate`]); the others are left to the solver of single lanes. What a lane
//! gets depends on its own samples alone.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

mod certificate;
mod curve;
mod exponentials;
mod finish;
mod newton;
mod powers;
mod report;
mod saturation;
mod start;
mod sums;

pub use report::{Endings, LaneColumns, Quantity};

use fearless_simd::{Level, Simd, dispatch, f32x16, prelude::*};

use super::dictionary::Dictionary;
use super::{Basis, LaneForm};
use certificate::Thresholds;
use curve::LaneCurve;
use exponentials::Exponentials;
use powers::{Ladder, Mixed, Uniform};
use report::{TILE_LEN, Tile};
use saturation::Saturation;
use start::Start;
use sums::Rows;

/// Samples per lane that fit the buffer of a tile; longer series go lane by lane.
const SAMPLES_MAX: usize = 32;
/// Vectors of a tile.
const VECTORS: usize = TILE_LEN / 16;

/// A solver of lanes for one basis.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    level: Level,
    engine: Engine,
}

#[derive(Debug, Clone)]
enum Engine {
    Uniform(Uniform, Search),
    Mixed(Mixed, Search),
    Exponentials(Exponentials, Search),
    Saturation(Saturation, Search),
}

/// What the search needs beside the curve.
#[derive(Debug, Clone)]
struct Search {
    start: Start,
    single: Range<f32>,
    double: Range<f64>,
    thresholds: Thresholds,
    falls: bool,
}

/// Bounds of the coordinate, and the longest step.
#[derive(Debug, Clone, Copy)]
struct Range<T> {
    bounds: [T; 2],
    step_max: T,
}

/// Lanes to solve: samples of shape `[n_samples, n_lanes]`.
#[derive(Debug, Clone, Copy)]
pub struct LaneSamples<'a> {
    /// All lanes of the first sample come first.
    pub values: &'a [f64],
    /// Number of lanes.
    pub n_lanes: usize,
}

impl Lanes {
    /// `None` where the curve has no form for lanes or too many samples.
    pub(super) fn new<B: Basis>(
        basis: &B,
        bounds: [f64; 2],
        dictionary: &Dictionary,
    ) -> Option<Self> {
        let n = basis.n_samples();
        if n > SAMPLES_MAX {
            return None;
        }
        let engine = match basis.lane_form()? {
            LaneForm::Exponential { abscissae } => {
                exponential(&abscissae, basis, bounds, dictionary)
            }
            LaneForm::Saturation { pulses, time } => {
                let curve = Saturation::new(&pulses, time);
                let search = Search::new(basis, &curve, bounds, dictionary);
                Engine::Saturation(curve, search)
            }
        };
        Some(Self { level: Level::new(), engine })
    }

    /// Writes all lanes; returns how many are left undecided.
    pub(super) fn solve<E: Copy>(
        &self,
        samples: LaneSamples<'_>,
        quantity: &Quantity,
        endings: &Endings<E>,
        columns: &mut LaneColumns<'_, E>,
    ) -> u32 {
        match &self.engine {
            Engine::Uniform(curve, search) => {
                dispatch!(self.level, simd => all(simd, (curve, search), samples, (quantity, endings), columns))
            }
            Engine::Mixed(curve, search) => {
                dispatch!(self.level, simd => all(simd, (curve, search), samples, (quantity, endings), columns))
            }
            Engine::Exponentials(curve, search) => {
                dispatch!(self.level, simd => all(simd, (curve, search), samples, (quantity, endings), columns))
            }
            Engine::Saturation(curve, search) => {
                dispatch!(self.level, simd => all(simd, (curve, search), samples, (quantity, endings), columns))
            }
        }
    }
}

fn exponential<B: Basis>(
    abscissae: &[f64],
    basis: &B,
    bounds: [f64; 2],
    dictionary: &Dictionary,
) -> Engine {
    let ladder = Ladder::new(abscissae);
    if let Some(curve) = ladder.as_ref().and_then(Ladder::uniform) {
        let search = Search::new(basis, &curve, bounds, dictionary);
        return Engine::Uniform(curve, search);
    }
    if let Some(curve) = ladder.as_ref().and_then(Ladder::mixed) {
        let search = Search::new(basis, &curve, bounds, dictionary);
        return Engine::Mixed(curve, search);
    }
    let curve = Exponentials::new(abscissae);
    let search = Search::new(basis, &curve, bounds, dictionary);
    Engine::Exponentials(curve, search)
}

impl Search {
    fn new<B: Basis, C: LaneCurve>(
        basis: &B,
        curve: &C,
        bounds: [f64; 2],
        dictionary: &Dictionary,
    ) -> Self {
        let falls = curve.falls();
        let thresholds = Thresholds::new(dictionary);
        let [a, b] = bounds.map(|rate| curve.coordinate(rate));
        let double = Range { bounds: [a.min(b), a.max(b)], step_max: curve.step_max() };
        Self {
            start: Start::new(basis, curve, dictionary),
            single: Range {
                bounds: double.bounds.map(|bound| bound as f32),
                step_max: double.step_max as f32,
            },
            double,
            thresholds: if falls { thresholds.reversed() } else { thresholds },
            falls,
        }
    }
}

#[inline(always)]
fn all<S: Simd, C: LaneCurve, E: Copy>(
    simd: S,
    (curve, search): (&C, &Search),
    samples: LaneSamples<'_>,
    (quantity, endings): (&Quantity, &Endings<E>),
    columns: &mut LaneColumns<'_, E>,
) -> u32 {
    let mut single = [0.0_f32; TILE_LEN * SAMPLES_MAX];
    let mut padded = [0.0_f64; TILE_LEN * SAMPLES_MAX];
    let mut tile = Tile::new();
    let mut undecided = 0;
    let mut first = 0;
    while first < samples.n_lanes {
        let len = TILE_LEN.min(samples.n_lanes - first);
        let mut rows = Rows { values: samples.values, stride: samples.n_lanes, first };
        if len < TILE_LEN {
            pad(&rows, len, &mut padded);
            rows = Rows { values: &padded, stride: TILE_LEN, first: 0 };
        }
        one(simd, (curve, search), &rows, &mut single, (quantity, &mut tile));
        undecided += columns.take(&tile, (first, len), endings, quantity);
        first += len;
    }
    undecided
}

/// Copies the last `len` lanes into rows of whole tiles; lanes beyond repeat the last.
fn pad(rows: &Rows<'_, f64>, len: usize, padded: &mut [f64]) {
    let sources = rows.values.chunks_exact(rows.stride);
    for (source, row) in sources.zip(padded.chunks_exact_mut(TILE_LEN)) {
        let (own, beyond) = row.split_at_mut(len);
        own.copy_from_slice(&source[rows.first..rows.first + len]);
        beyond.fill(own[len - 1]);
    }
}

#[inline(always)]
fn one<S: Simd, C: LaneCurve>(
    simd: S,
    (curve, search): (&C, &Search),
    rows: &Rows<'_, f64>,
    single: &mut [f32],
    (quantity, tile): (&Quantity, &mut Tile),
) {
    for (&row, to) in curve.order().iter().zip(single.chunks_exact_mut(TILE_LEN)) {
        for g in 0..VECTORS {
            let low: fearless_simd::f64x8<S> = rows.load(simd, row, 2 * g);
            let high: fearless_simd::f64x8<S> = rows.load(simd, row, 2 * g + 1);
            low.narrow(high).store_slice(&mut to[16 * g..16 * g + 16]);
        }
    }
    let near = Rows { values: single, stride: TILE_LEN, first: 0 };
    let mut z: [f32x16<S>; VECTORS] = search.start.coordinates(simd, &near);
    for z in &mut z {
        *z = z.max(search.single.bounds[0]).min(search.single.bounds[1]);
    }
    newton::climb(simd, curve, &near, &search.single, &mut z);
    for (g, z) in z.into_iter().enumerate() {
        let (low, high) = z.widen();
        for (half, z) in [low, high].into_iter().enumerate() {
            let lane = 16 * g + 8 * half;
            let rows = Rows { first: rows.first + lane, ..*rows };
            finish::settle(curve, search, &rows, (z, lane), (quantity, tile));
        }
    }
}
