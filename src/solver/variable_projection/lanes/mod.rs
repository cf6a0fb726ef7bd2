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
mod ladder;
mod mixed;
mod neighbourhood;
mod newton;
mod report;
mod response;
mod saturation;
mod start;
mod sums;
mod uniform;

pub use neighbourhood::Centres;
pub use report::{Endings, LaneColumns, Quantity, TileEndings};
pub use response::{Answers, FITS, NoiseSums, Response, Responses};

use fearless_simd::{Level, Simd, f32x16, prelude::*};

use super::dictionary::Dictionary;
use super::{Basis, LaneForm};
use certificate::Thresholds;
use curve::LaneCurve;
use exponentials::Exponentials;
use ladder::Ladder;
use mixed::Mixed;
use report::{TILE_LEN, Tile};
use saturation::Saturation;
use start::Start;
use sums::Rows;
use uniform::Uniform;

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
    /// 0, 1, 2, …: the rows of a tile stand in the order of the curve.
    places: Vec<usize>,
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
        let level = Level::new();
        if basis.n_samples() > SAMPLES_MAX || !is_wide(level) {
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
        Some(Self { level, engine })
    }

    /// The same on another instruction set of this machine.
    #[cfg(test)]
    fn at_level(&self, level: Level) -> Self {
        Self { level, engine: self.engine.clone() }
    }

    /// Writes all lanes and says of each tile how it ended.
    pub(super) fn solve(
        &self,
        samples: LaneSamples<'_>,
        quantity: &Quantity,
        columns: &mut LaneColumns<'_>,
        ended: &mut dyn FnMut(TileEndings),
    ) {
        let sink = (columns, ended);
        match &self.engine {
            Engine::Uniform(curve, search) => {
                enter(self.level, (curve, search), samples, quantity, sink);
            }
            Engine::Mixed(curve, search) => {
                enter(self.level, (curve, search), samples, quantity, sink);
            }
            Engine::Exponentials(curve, search) => {
                enter(self.level, (curve, search), samples, quantity, sink);
            }
            Engine::Saturation(curve, search) => {
                enter(self.level, (curve, search), samples, quantity, sink);
            }
        }
    }
}

/// Where results go.
type Sink<'a, 'b, 'c> = (&'a mut LaneColumns<'b>, &'c mut dyn FnMut(TileEndings));

/// Whether vectors of this level are worth their code: without fused multiplication and addition on
/// x86-64 lanes go through the solver of single lanes.
fn is_wide(level: Level) -> bool {
    #[cfg(target_arch = "x86_64")]
    return level.as_avx2().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    return !level.is_fallback();
}

/// Enters [`all`] with the instruction set of `level`. Spelt out, because `dispatch!` would also
/// compile the four times longer code for levels that [`is_wide`] turns away.
#[cfg(target_arch = "x86_64")]
fn enter<C: LaneCurve>(
    level: Level,
    problem: (&C, &Search),
    samples: LaneSamples<'_>,
    quantity: &Quantity,
    sink: Sink<'_, '_, '_>,
) {
    if let Some(simd) = level.as_avx512() {
        simd.vectorize(
            #[inline(always)]
            || all(simd, problem, samples, quantity, sink),
        );
    } else if let Some(simd) = level.as_avx2() {
        simd.vectorize(
            #[inline(always)]
            || all(simd, problem, samples, quantity, sink),
        );
    }
}

/// Enters [`all`] with the instruction set of `level`.
#[cfg(not(target_arch = "x86_64"))]
fn enter<C: LaneCurve>(
    level: Level,
    problem: (&C, &Search),
    samples: LaneSamples<'_>,
    quantity: &Quantity,
    sink: Sink<'_, '_, '_>,
) {
    fearless_simd::dispatch!(level, simd => all(simd, problem, samples, quantity, sink));
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
        let [a, b] = bounds.map(|rate| curve.coordinate(rate));
        let double = Range { bounds: [a.min(b), a.max(b)], step_max: curve.step_max() };
        Self {
            start: Start::new(basis, curve, dictionary),
            single: Range {
                bounds: double.bounds.map(|bound| bound as f32),
                step_max: double.step_max as f32,
            },
            double,
            thresholds: Thresholds::new(dictionary, |rate| curve.coordinate(rate)),
            falls: curve.falls(),
            places: (0..basis.n_samples()).collect(),
        }
    }
}

#[inline(always)]
fn all<S: Simd, C: LaneCurve>(
    simd: S,
    (curve, search): (&C, &Search),
    samples: LaneSamples<'_>,
    quantity: &Quantity,
    (columns, ended): Sink<'_, '_, '_>,
) {
    let mut single = [0.0_f32; TILE_LEN * SAMPLES_MAX];
    let mut padded = [0.0_f64; TILE_LEN * SAMPLES_MAX];
    let mut tile = Tile::new();
    let order = curve.order();
    for first in (0..samples.n_lanes).step_by(TILE_LEN) {
        let len = TILE_LEN.min(samples.n_lanes - first);
        let mut rows = Rows { values: samples.values, stride: samples.n_lanes, first, order };
        if len < TILE_LEN {
            pad(&rows, len, &mut padded);
            rows = Rows { values: &padded, stride: TILE_LEN, first: 0, order };
        }
        one(simd, (curve, search), &rows, &mut single, (quantity, &mut tile));
        columns.take(&tile, (first, len), quantity);
        ended(tile.endings(first, len));
    }
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
    for (k, to) in single.chunks_exact_mut(TILE_LEN).enumerate().take(rows.len()) {
        for g in 0..VECTORS {
            let low: fearless_simd::f64x8<S> = rows.load(simd, k, 2 * g);
            let high: fearless_simd::f64x8<S> = rows.load(simd, k, 2 * g + 1);
            low.narrow(high).store_slice(&mut to[16 * g..16 * g + 16]);
        }
    }
    let near = Rows { values: single, stride: TILE_LEN, first: 0, order: &search.places };
    let [mut z, squares]: [[f32x16<S>; VECTORS]; 2] = search.start.coordinates(simd, &near);
    for z in &mut z {
        *z = z.max(search.single.bounds[0]).min(search.single.bounds[1]);
    }
    let passes = newton::climb(simd, curve, &near, &search.single, &mut z);
    for (passes, to) in passes.into_iter().zip(tile.evaluations.chunks_exact_mut(16)) {
        (passes + 1).store_slice(to);
    }
    for g in 0..VECTORS {
        let (low, high) = z[g].widen();
        let (low_square, high_square) = squares[g].widen();
        let near = [(low, low_square), (high, high_square)];
        finish::settle(
            (curve, search),
            &rows.vector::<16>(g),
            near,
            (quantity, &mut *tile),
            16 * g,
        );
    }
}

#[cfg(test)]
mod tests;
