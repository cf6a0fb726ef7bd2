//! Lanes whose certificate does not reach: every node of the dictionary is looked at.
//!
//! Values and slopes of the profile at the nodes say between which nodes it has maxima, and bounds on
//! its derivatives say which other intervals may hide one: the same rules as for a single lane. The
//! highest maximum is climbed within its interval; it is the highest of all where no other interval
//! reaches up to it. Ties that are closer than the bounds tell apart stay undecided.
//!
//! # Reference
//!
//! Piyavskii, "An algorithm for finding the absolute extremum of a function", USSR Comput Math Math
//! Phys 1972, doi:10.1016/0041-5553(72)90115-2 (bounds between samples of a smooth function).

use fearless_simd::{Simd, f32x16, mask32x16, prelude::*};

use super::curve::{LaneCurve, Table};
use super::newton::Climbed;
use super::sums::{Rows, Sums};
use crate::solver::variable_projection::dictionary::Dictionary;

/// What 32-bit sums may be off, as a part of |y|.
const ROUNDING: f32 = 1e-5;
/// |y| that 32-bit holds with room for its square.
const NORM_MIN: f32 = 1e-12;
/// Part of an interval by which a maximum at a node may fall outside.
const SLACK: f32 = 1e-3;

/// The nodes in the order of the curve's tables.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    /// Coordinate of each node.
    places: Vec<f32>,
    /// Direction and tangent of each sample, shape `[n_nodes, n_samples]`.
    samples: Vec<[f32; 2]>,
    /// Slope at both ends of an interval, as a part of |y|, up to which it may hide a maximum.
    unseen: f32,
    /// Height of a maximum over the nodes beside it, as a part of |y|.
    hump: f32,
}

/// What the nodes show of the profiles of a vector of lanes.
#[derive(Clone, Copy)]
pub(super) struct Sight<S: Simd> {
    /// Ends of the interval of the highest maximum, and where in it the slope is 0 on a line.
    pub(super) bounds: [f32x16<S>; 2],
    pub(super) start: f32x16<S>,
    /// Highest value of any other interval that may have a maximum.
    rival: f32x16<S>,
    /// Highest value of all.
    top: f32x16<S>,
}

impl Survey {
    pub(super) fn new<C: LaneCurve>(curve: &C, dictionary: &Dictionary) -> Self {
        let n_nodes = dictionary.n_nodes();
        let n = dictionary.directions.len() / n_nodes;
        let sample = |i: usize, k: usize| {
            [dictionary.directions[k * n_nodes + i], dictionary.tangents[i * n + k]]
                .map(|value| value as f32)
        };
        let square = dictionary.spacing.powi(2);
        Self {
            places: dictionary.rates.iter().map(|&rate| curve.coordinate(rate) as f32).collect(),
            samples: (0..n_nodes)
                .flat_map(|i| curve.order().iter().map(move |&k| sample(i, k)))
                .collect(),
            unseen: (dictionary.curvature_change * square) as f32 + ROUNDING,
            hump: (dictionary.curvature * square / 8.0) as f32 + ROUNDING,
        }
    }

    /// Looks at vectors of lanes; `norms` are |y|.
    #[inline(always)]
    pub(super) fn look<S: Simd, const G: usize>(
        &self,
        simd: S,
        rows: &Rows<'_, f32>,
        norms: &[f32x16<S>; G],
    ) -> [Sight<S>; G] {
        let zero = simd.splat_f32x16(0.0);
        let none = simd.splat_f32x16(f32::NEG_INFINITY);
        let blank = Sight { bounds: [zero; 2], start: zero, rival: none, top: none };
        let mut sights = [blank; G];
        let mut before = [[zero; 2]; G];
        let mut best = [none; G];
        let last = self.places.len() - 1;
        for (i, samples) in self.samples.chunks_exact(rows.len()).enumerate() {
            let here = project(simd, rows, samples);
            let places = [self.places[i.saturating_sub(1)], self.places[i]];
            for g in 0..G {
                let unseen = norms[g] * self.unseen;
                if i == 0 {
                    let is_end = here[g][1].simd_le(0.0);
                    sights[g].take((here[g][0], is_end), [places[1]; 2], zero, &mut best[g]);
                } else {
                    sights[g].weigh([before[g], here[g]], unseen, places, &mut best[g]);
                }
                if i == last {
                    let is_end = here[g][1].simd_ge(0.0);
                    sights[g].take((here[g][0], is_end), [places[1]; 2], zero, &mut best[g]);
                }
                sights[g].top = sights[g].top.max(here[g][0]);
            }
            before = here;
        }
        sights
    }

    /// Lanes whose maximum, climbed to, is higher than any other can be.
    #[inline(always)]
    pub(super) fn is_highest<S: Simd, C: LaneCurve, const G: usize>(
        &self,
        (simd, curve): (S, &C),
        rows: &Rows<'_, f32>,
        (sights, norms): (&[Sight<S>; G], &[f32x16<S>; G]),
        climbed: &[Climbed<S>; G],
    ) -> [mask32x16<S>; G] {
        let mut z = [simd.splat_f32x16(0.0); G];
        for g in 0..G {
            z[g] = climbed[g].z;
        }
        let sums = curve.single().sums(simd, rows, &z);
        let mut highest = [simd.splat_mask32x16(false); G];
        for g in 0..G {
            let Sums { p: [p, ..], q: [q, ..], .. } = sums[g];
            let reach = sights[g].rival + norms[g] * self.hump;
            highest[g] = p.simd_gt(0.0) & p.simd_gt(reach * q.sqrt());
        }
        highest
    }

    /// Lanes that no rate fits better with a positive amplitude than with none.
    #[inline(always)]
    pub(super) fn is_nowhere_positive<S: Simd>(sight: &Sight<S>, norm: f32x16<S>) -> mask32x16<S> {
        sight.top.simd_lt(norm * -ROUNDING) & norm.simd_ge(NORM_MIN)
    }
}

impl<S: Simd> Sight<S> {
    /// Takes up the interval between two nodes with these values and slopes.
    #[inline(always)]
    fn weigh(
        &mut self,
        [[value, left], [next, right]]: [[f32x16<S>; 2]; 2],
        unseen: f32x16<S>,
        places: [f32; 2],
        best: &mut f32x16<S>,
    ) {
        let simd = value.simd;
        let none = simd.splat_f32x16(f32::NEG_INFINITY);
        let value = value.max(next);
        let fall = left - right;
        let is_peak = left.simd_gt(0.0) & right.simd_le(0.0) & fall.simd_ge(unseen);
        let is_flat = left.abs().max(right.abs()).simd_le(unseen) & !is_peak;
        self.rival = self.rival.max(is_flat.select(value, none));
        self.take((value, is_peak), places, left / fall.max(f32::MIN_POSITIVE), best);
    }

    /// Takes up a maximum in an interval, where there is one.
    #[inline(always)]
    fn take(
        &mut self,
        (value, is_peak): (f32x16<S>, mask32x16<S>),
        [low, high]: [f32; 2],
        part: f32x16<S>,
        best: &mut f32x16<S>,
    ) {
        let simd = value.simd;
        if is_peak.to_bitmask() == 0 {
            return;
        }
        let value = is_peak.select(value, simd.splat_f32x16(f32::NEG_INFINITY));
        self.rival = self.rival.max(value.min(*best));
        let is_best = value.simd_gt(*best);
        let slack = (high - low) * SLACK;
        let ends = [(low - slack).min(high + slack), (low - slack).max(high + slack)];
        for (bound, end) in self.bounds.iter_mut().zip(ends) {
            *bound = is_best.select(simd.splat_f32x16(end), *bound);
        }
        self.start = is_best.select(part * (high - low) + low, self.start);
        *best = best.max(value);
    }
}

/// Value and slope of the profiles at one node.
#[inline(always)]
fn project<S: Simd, const G: usize>(
    simd: S,
    rows: &Rows<'_, f32>,
    samples: &[[f32; 2]],
) -> [[f32x16<S>; 2]; G] {
    let mut sums = [[simd.splat_f32x16(0.0); 2]; G];
    for (k, [direction, tangent]) in samples.iter().enumerate() {
        for (g, sums) in sums.iter_mut().enumerate() {
            let y: f32x16<S> = rows.load(simd, k, g);
            sums[0] = y.mul_add(*direction, sums[0]);
            sums[1] = y.mul_add(*tangent, sums[1]);
        }
    }
    sums
}
