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
mod pending;
mod report;
mod response;
mod rows;
mod saturation;
mod start;
mod sums;
mod survey;
mod uniform;

pub use neighbourhood::Centres;
pub use report::{Endings, LaneColumns, Quantity, Spread, TileEndings};
pub use response::{Answers, FITS, NoiseSums, Response, Responses};
pub use rows::{LaneSamples, LaneValues};

use fearless_simd::{Level, Simd, f32x16, prelude::*};

use super::dictionary::Dictionary;
use super::{Basis, LaneForm};
use certificate::Thresholds;
use curve::LaneCurve;
use exponentials::Exponentials;
use finish::{Near, settle};
use ladder::Ladder;
use mixed::Mixed;
use newton::{Climbed, Pace, climb};
use pending::Pending;
use report::{Marks, TILE_LEN, Tile};
use rows::{Buffers, TileRows};
use saturation::Saturation;
use start::Start;
use survey::{Sight, Survey};
use uniform::Uniform;

/// Samples per lane that fit the buffer of a tile; longer series go lane by lane.
const SAMPLES_MAX: usize = 32;
/// Vectors of a tile.
const VECTORS: usize = TILE_LEN / 16;
/// Looks at a dictionary: the second is finer, for the lanes that the first leaves.
pub(super) const SURVEYS: usize = 2;
/// Arc below which lanes rest, rad, where samples lie near the curve, and where they need not.
const REST: f32 = 0.02;
const REST_SURVEYED: f32 = 2e-3;

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
    aim: Aim,
    pace: Pace,
    /// Each finer than the one before, for the lanes that it leaves.
    surveys: [Survey; SURVEYS],
    /// What is left of the aim where the survey says which maximum is the highest.
    surveyed: Aim,
    /// 0, 1, 2, …: the rows of a tile stand in the order of the curve.
    places: Vec<usize>,
}

/// Where lanes may end.
#[derive(Debug, Clone, Copy)]
struct Aim {
    /// Bounds of the coordinate.
    bounds: [f64; 2],
    thresholds: Thresholds,
    falls: bool,
}

impl Aim {
    fn single(&self) -> [f32; 2] {
        self.bounds.map(|bound| bound as f32)
    }
}

impl Lanes {
    /// `None` where the curve has no form for lanes or too many samples.
    pub(super) fn new<B: Basis>(
        basis: &B,
        bounds: [f64; 2],
        dictionaries: [&Dictionary; SURVEYS],
    ) -> Option<Self> {
        let level = Level::new();
        if basis.n_samples() > SAMPLES_MAX || !is_wide(level) {
            return None;
        }
        let engine = match basis.lane_form()? {
            LaneForm::Exponential { abscissae } => {
                exponential(&abscissae, basis, bounds, dictionaries)
            }
            LaneForm::Saturation { pulses, time } => {
                let curve = Saturation::new(&pulses, time);
                let search = Search::new(basis, &curve, bounds, dictionaries);
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

    /// Writes all lanes and says how they ended, undecided ones once more after the survey; returns how
    /// many are left undecided.
    pub(super) fn solve(
        &self,
        samples: LaneSamples<'_>,
        quantity: &Quantity,
        columns: &mut LaneColumns<'_>,
        ended: &mut dyn FnMut(TileEndings),
    ) -> usize {
        let sink = (columns, ended);
        match &self.engine {
            Engine::Uniform(curve, search) => {
                enter(self.level, (curve, search), samples, quantity, sink)
            }
            Engine::Mixed(curve, search) => {
                enter(self.level, (curve, search), samples, quantity, sink)
            }
            Engine::Exponentials(curve, search) => {
                enter(self.level, (curve, search), samples, quantity, sink)
            }
            Engine::Saturation(curve, search) => {
                enter(self.level, (curve, search), samples, quantity, sink)
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
) -> usize {
    if let Some(simd) = level.as_avx512() {
        simd.vectorize(
            #[inline(always)]
            || all(simd, problem, samples, quantity, sink),
        )
    } else if let Some(simd) = level.as_avx2() {
        simd.vectorize(
            #[inline(always)]
            || all(simd, problem, samples, quantity, sink),
        )
    } else {
        samples.n_lanes
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
) -> usize {
    fearless_simd::dispatch!(level, simd => all(simd, problem, samples, quantity, sink))
}

fn exponential<B: Basis>(
    abscissae: &[f64],
    basis: &B,
    bounds: [f64; 2],
    dictionaries: [&Dictionary; SURVEYS],
) -> Engine {
    let ladder = Ladder::new(abscissae);
    if let Some(curve) = ladder.as_ref().and_then(Ladder::uniform) {
        let search = Search::new(basis, &curve, bounds, dictionaries);
        return Engine::Uniform(curve, search);
    }
    if let Some(curve) = ladder.as_ref().and_then(Ladder::mixed) {
        let search = Search::new(basis, &curve, bounds, dictionaries);
        return Engine::Mixed(curve, search);
    }
    let curve = Exponentials::new(abscissae);
    let search = Search::new(basis, &curve, bounds, dictionaries);
    Engine::Exponentials(curve, search)
}

impl Search {
    fn new<B: Basis, C: LaneCurve>(
        basis: &B,
        curve: &C,
        bounds: [f64; 2],
        dictionaries: [&Dictionary; SURVEYS],
    ) -> Self {
        let [dictionary, _] = dictionaries;
        let [a, b] = bounds.map(|rate| curve.coordinate(rate));
        let aim = Aim {
            bounds: [a.min(b), a.max(b)],
            thresholds: Thresholds::new(dictionary, |rate| curve.coordinate(rate)),
            falls: curve.falls(),
        };
        Self {
            start: Start::new(basis, curve, dictionary),
            aim,
            pace: Pace { rest: REST, step_max: curve.step_max() as f32 },
            surveys: dictionaries.map(|dictionary| Survey::new(curve, dictionary)),
            surveyed: Aim { thresholds: Thresholds::NONE, ..aim },
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
) -> usize {
    let (mut buffers, mut tile) = (Buffers::new(), Tile::new());
    let n_samples = search.places.len();
    let mut pending = [Pending::new(n_samples), Pending::new(n_samples)];
    let (mut first, mut undecided) = (0, 0);
    loop {
        let is_last = first >= samples.n_lanes;
        // The second first: it has room for what the first leaves of a tile.
        if let Some(turn) = pending.iter().rposition(|own| own.is_due(is_last)) {
            pending[turn].fill(n_samples);
            let rows = pending[turn].rows(&search.places);
            let survey = (search, &search.surveys[turn]);
            let marks = surveyed(simd, (curve, survey), &rows, quantity, &mut tile);
            let lanes = pending[turn].lanes();
            let left = hand_out(lanes, marks, (&tile, quantity), columns, ended);
            let [own, next] = &mut pending;
            if turn == 0 {
                next.take_over(own, left, n_samples);
            } else {
                undecided += left.count_ones() as usize;
            }
            pending[turn].advance(n_samples);
        } else if is_last {
            return undecided;
        } else {
            let len = TILE_LEN.min(samples.n_lanes - first);
            let rows = buffers.fill(simd, samples, (first, len), (curve.order(), &search.places));
            let (mut target, lane) =
                if len == TILE_LEN { (columns.borrowed(), first) } else { (tile.columns(), 0) };
            let marks = certified(simd, (curve, search), &rows, (quantity, &mut target), lane);
            if len < TILE_LEN {
                columns.take(&tile, (0, len), first, quantity.spread);
            }
            let endings = marks.endings(first, len);
            pending[0].add(&endings, &rows);
            ended(endings);
            first += len;
        }
    }
}

/// Copies surveyed lanes to where they belong; returns those still undecided, a bit per slot.
fn hand_out(
    lanes: &[usize],
    marks: Marks,
    (tile, quantity): (&Tile, &Quantity),
    columns: &mut LaneColumns<'_>,
    ended: &mut dyn FnMut(TileEndings),
) -> u32 {
    let endings = marks.endings(0, lanes.len());
    for (slot, &lane) in lanes.iter().enumerate() {
        let own = endings.only(slot, lane);
        columns.take(tile, (slot, 1), lane, quantity.spread);
        if own.nowhere_positive != 0 {
            columns.clear(lane, quantity.spread);
        }
        ended(own);
    }
    endings.undecided()
}

/// Solves a tile into `columns` from `lane` on as far as certificates reach.
#[inline(always)]
fn certified<S: Simd, C: LaneCurve>(
    simd: S,
    (curve, search): (&C, &Search),
    rows: &TileRows<'_>,
    sink: (&Quantity, &mut LaneColumns<'_>),
    lane: usize,
) -> Marks {
    let [mut z, squares]: [[f32x16<S>; VECTORS]; 2] = search.start.coordinates(simd, &rows.single);
    let bounds = search.aim.single().map(|bound| simd.splat_f32x16(bound));
    for z in &mut z {
        *z = z.max(bounds[0]).min(bounds[1]);
    }
    let climbed = climb(simd, curve, &rows.single, (&z, &[bounds; VECTORS]), search.pace);
    settle_all((curve, &search.aim), rows, (&climbed, &squares), sink, lane)
}

/// Solves a tile of waiting lanes after a look at the whole dictionary.
#[inline(always)]
fn surveyed<S: Simd, C: LaneCurve>(
    simd: S,
    (curve, (search, survey)): (&C, (&Search, &Survey)),
    rows: &TileRows<'_>,
    quantity: &Quantity,
    tile: &mut Tile,
) -> Marks {
    let near = &rows.single;
    let mut squares = [simd.splat_f32x16(0.0); VECTORS];
    for k in 0..near.len() {
        for (g, square) in squares.iter_mut().enumerate() {
            let y: f32x16<S> = near.load(simd, k, g);
            *square = y.mul_add(y, *square);
        }
    }
    let mut norms = squares;
    for norm in &mut norms {
        *norm = norm.sqrt();
    }
    let sights: [Sight<S>; VECTORS] = survey.look(simd, near, &norms);
    let [low, high] = search.aim.single();
    let mut z = squares;
    let mut bounds = [[squares[0]; 2]; VECTORS];
    for g in 0..VECTORS {
        bounds[g] = sights[g].bounds.map(
            #[inline(always)]
            |bound| bound.max(low).min(high),
        );
        z[g] = sights[g].start.max(bounds[g][0]).min(bounds[g][1]);
    }
    let pace = Pace { rest: REST_SURVEYED, ..search.pace };
    let climbed = climb(simd, curve, near, (&z, &bounds), pace);
    let sink = (quantity, &mut tile.columns());
    let marks = settle_all((curve, &search.surveyed), rows, (&climbed, &squares), sink, 0);
    let highest = survey.is_highest((simd, curve), near, (&sights, &norms), &climbed);
    let (mut is_highest, mut is_nowhere) = (0, 0);
    for g in 0..VECTORS {
        is_highest |= highest[g].to_bitmask() << (16 * g);
        let nowhere = Survey::is_nowhere_positive(&sights[g], norms[g]);
        is_nowhere |= nowhere.to_bitmask() << (16 * g);
    }
    marks.judged(is_highest, is_nowhere)
}

/// The last step of all lanes of a tile.
#[inline(always)]
fn settle_all<S: Simd, C: LaneCurve>(
    problem: (&C, &Aim),
    rows: &TileRows<'_>,
    (climbed, squares): (&[Climbed<S>; VECTORS], &[f32x16<S>; VECTORS]),
    (quantity, columns): (&Quantity, &mut LaneColumns<'_>),
    lane: usize,
) -> Marks {
    let mut marks = Marks::NONE;
    for g in 0..VECTORS {
        let Climbed { z, passes } = climbed[g];
        let to = lane + 16 * g;
        if quantity.spread != Spread::None {
            (passes + 1).store_slice(&mut columns.evaluations[to..to + 16]);
        }
        let (z_a, z_b) = z.widen();
        let (square_a, square_b) = squares[g].widen();
        let near = [Near { z: z_a, square: square_a }, Near { z: z_b, square: square_b }];
        let rows = rows.double.vector::<16>(g);
        let found = settle(problem, &rows, near, (quantity, &mut *columns), to);
        marks = marks.beside(found, 16 * g);
    }
    marks
}

#[cfg(test)]
mod tests;
