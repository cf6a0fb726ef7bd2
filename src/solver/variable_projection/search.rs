//! The search of a single lane: every local maximum that may be the highest is bracketed by the nodes
//! of the dictionary and polished by a safeguarded Newton iteration.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use super::{Basis, Ending, Maximum, VariableProjection, Workspace};

/// Newton stops after a step below this fraction of the rate's natural scale (per radian of arc, or
/// the rate itself): the error that remains is the square of it.
const STEP_TOLERANCE: f64 = 1e-8;
const EVALUATIONS_MAX: u32 = 200;
/// An interval whose shape the nodes do not settle is cut into this many.
const SUBDIVISIONS: usize = 8;

impl<B: Basis> VariableProjection<B> {
    /// Polishes every local maximum that may be the highest.
    pub(super) fn search(&self, work: &mut Workspace<'_>) {
        let dictionary = &self.dictionary;
        let top = self.project(work);
        if top <= 0.0 {
            return;
        }
        let reachable = top - work.norm * dictionary.curvature * dictionary.spacing.powi(2) / 8.0;
        let last = dictionary.n_nodes() - 2;
        let (mut next, mut right) = (0, f64::NAN);
        for node in 0..=last + 1 {
            if work.profile[node] < reachable {
                continue;
            }
            let first = node.saturating_sub(1);
            if first > next || right.is_nan() {
                next = first.max(next);
                right = self.tangent(next, work);
            }
            while next <= node.min(last) {
                let left = right;
                right = self.tangent(next + 1, work);
                if next == 0 && left <= 0.0 {
                    self.try_bound(0, work);
                }
                self.examine(next, [left, right], work);
                if next == last && right >= 0.0 {
                    self.try_bound(1, work);
                }
                next += 1;
            }
        }
    }

    /// Fills the profile and returns its largest value.
    fn project(&self, work: &mut Workspace<'_>) -> f64 {
        work.profile.fill(0.0);
        let rows = self.dictionary.directions.chunks_exact(work.profile.len());
        for (&sample, row) in work.samples.iter().zip(rows) {
            for (value, direction) in work.profile.iter_mut().zip(row) {
                *value += sample * direction;
            }
        }
        // Four at a time: a chain of comparisons would wait for each.
        let mut tops = [f64::NEG_INFINITY; 4];
        let (chunks, rest) = work.profile.as_chunks::<4>();
        for chunk in chunks {
            for (top, &value) in tops.iter_mut().zip(chunk) {
                *top = if value > *top { value } else { *top };
            }
        }
        let higher = |top: f64, &value: &f64| if value > top { value } else { top };
        rest.iter().fold(tops.iter().fold(f64::NEG_INFINITY, higher), higher)
    }

    /// Slope of the profile along the arc at a node.
    fn tangent(&self, node: usize, work: &Workspace<'_>) -> f64 {
        let n = work.samples.len();
        let tangent = &self.dictionary.tangents[node * n..(node + 1) * n];
        tangent.iter().zip(work.samples.iter()).map(|(t, s)| t * s).sum()
    }

    /// Polishes what lies between node `cell` and the next, where the profile has these slopes.
    fn examine(&self, cell: usize, [left, right]: [f64; 2], work: &mut Workspace<'_>) {
        let rates = &self.dictionary.rates;
        let (low, high) = (rates[cell], rates[cell + 1]);
        let unseen = work.norm * self.dictionary.curvature_change * self.dictionary.spacing.powi(2);
        if left > 0.0 && right <= 0.0 && left - right >= unseen {
            let start = self.hermite_start(cell, [left, right], work);
            self.polish([low, high], start, work);
        } else if left.abs().max(right.abs()) <= unseen {
            self.subdivide([low, high], work);
        }
    }

    /// Maximum of the cubic through values and slopes at both nodes.
    fn hermite_start(&self, cell: usize, [left, right]: [f64; 2], work: &Workspace<'_>) -> f64 {
        let dictionary = &self.dictionary;
        let spacing = dictionary.spacing;
        let secant = (work.profile[cell + 1] - work.profile[cell]) / spacing;
        let a = 3.0 * (left + right - 2.0 * secant);
        let b = 2.0 * (3.0 * secant - 2.0 * left - right);
        let root = (b * b - 4.0 * a * left).max(0.0).sqrt();
        let t = (2.0 * left / (root - b)).clamp(0.0, 1.0);
        let (low, high) = (dictionary.rates[cell], dictionary.rates[cell + 1]);
        let (m0, m1) =
            (dictionary.stretches[cell] * spacing, dictionary.stretches[cell + 1] * spacing);
        let s = 1.0 - t;
        let cubic = low * s * s * (1.0 + 2.0 * t)
            + high * t * t * (3.0 - 2.0 * t)
            + s * t * (m0 * s - m1 * t);
        if low <= cubic && cubic <= high { cubic } else { low + t * (high - low) }
    }

    /// Looks closer at an interval whose shape the slopes at its ends do not settle.
    fn subdivide(&self, [low, high]: [f64; 2], work: &mut Workspace<'_>) {
        let at = |i: usize| low + (high - low) * i as f64 / SUBDIVISIONS as f64;
        let mut left = self.evaluate(low, work).slope()[0];
        for i in 0..SUBDIVISIONS {
            let right = self.evaluate(at(i + 1), work).slope()[0];
            if left > 0.0 && right <= 0.0 {
                self.polish([at(i), at(i + 1)], f64::midpoint(at(i), at(i + 1)), work);
            }
            left = right;
        }
    }

    /// Safeguarded Newton from `start` to the maximum inside `bracket`.
    fn polish(&self, bracket: [f64; 2], start: f64, work: &mut Workspace<'_>) {
        // A root that sits on a node may fall outside by rounding.
        let slack = 1e-3 * (bracket[1] - bracket[0]);
        let mut low = (bracket[0] - slack).max(self.bounds[0]);
        let mut high = (bracket[1] + slack).min(self.bounds[1]);
        let per_arc = (bracket[1] - bracket[0]) / self.dictionary.spacing;
        let span = self.bounds[1] - self.bounds[0];
        let mut rate = start;
        let limit = work.evaluations + EVALUATIONS_MAX;
        loop {
            let sums = self.evaluate(rate, work);
            let [slope, change] = sums.slope();
            if slope > 0.0 {
                low = rate;
            } else {
                high = rate;
            }
            let newton = if change < 0.0 { rate - slope / change } else { f64::NAN };
            let inside = low <= newton && newton <= high;
            let next = if inside { newton } else { f64::midpoint(low, high) };
            // An interval at the end of the range may be much longer than its rate.
            let tolerance = STEP_TOLERANCE * per_arc.min(rate.abs() + 1e-3 * span);
            let exhausted = high - low <= 4.0 * f64::EPSILON * low.abs().max(high.abs());
            if exhausted || (next - rate).abs() <= tolerance || work.evaluations >= limit {
                let settled = exhausted || (next - rate).abs() <= tolerance;
                let ending = if settled { Ending::Converged } else { Ending::NotConverged };
                let correction = if inside { next - rate } else { 0.0 };
                return work.offer(Maximum { ending, rate, correction, sums });
            }
            rate = next;
        }
    }

    /// Offers a bound of the rate as the optimum.
    fn try_bound(&self, side: usize, work: &mut Workspace<'_>) {
        let rate = self.bounds[side];
        let sums = self.evaluate(rate, work);
        let ending = [Ending::AtLowerBound, Ending::AtUpperBound][side];
        work.offer(Maximum { ending, rate, correction: 0.0, sums });
    }
}
