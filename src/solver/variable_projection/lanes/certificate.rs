//! When the maximum that was found must be the highest.
//!
//! Let y be samples at the angle φ from the curve of directions u, and s* a maximum of u(s)·y. All y
//! with that foot point are cos φ·u* + sin φ·w with w across u* and the tangent u*′, so that
//! u(s)·y − u*·y ≤ |y|·(sin φ·|Pu(s)| − cos φ·(1 − u*·u(s))), where P projects across both. The
//! right side is negative for all s where tan φ is below the least (1 − u*·u(s))/|Pu(s)|: then no
//! other maximum is as high. At a bound y also leans outwards, which lowers all other values as long
//! as the curve has turned by less than a right angle from there.

use crate::solver::variable_projection::dictionary::Dictionary;

/// Part of the least ratio that is relied on; the rest covers what lies between the nodes.
const MARGIN: f64 = 0.9;
/// Nodes looked at, spread over the dictionary.
const NODES_MAX: usize = 97;

/// cos² φ down to which the maximum found is the highest: inside, and at the two bounds of the
/// coordinate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    pub(super) inside: f64,
    pub(super) bounds: [f64; 2],
}

impl Thresholds {
    /// In the order of rising rates.
    pub(super) fn new(dictionary: &Dictionary) -> Self {
        let nodes = Nodes::new(dictionary);
        let m = nodes.directions.len();
        let least = (0..m).map(|i| nodes.least_ratio(i)).fold(f64::INFINITY, f64::min);
        let inside = cosine_squared(MARGIN * least);
        let bound = |i: usize, inwards: f64| {
            let turned = (0..m).any(|j| j != i && inwards * nodes.along(i, j) < 0.0);
            if turned { f64::INFINITY } else { inside }
        };
        Self { inside, bounds: [bound(0, 1.0), bound(m - 1, -1.0)] }
    }

    /// For a coordinate that falls with the rate.
    pub(super) fn reversed(self) -> Self {
        let [first, last] = self.bounds;
        Self { inside: self.inside, bounds: [last, first] }
    }
}

fn cosine_squared(tangent: f64) -> f64 {
    1.0 / (1.0 + tangent * tangent)
}

struct Nodes {
    directions: Vec<Vec<f64>>,
    tangents: Vec<Vec<f64>>,
}

impl Nodes {
    fn new(dictionary: &Dictionary) -> Self {
        let n_nodes = dictionary.n_nodes();
        let n = dictionary.directions.len() / n_nodes;
        let kept = n_nodes.min(NODES_MAX);
        let place = |i: usize| i * (n_nodes - 1) / (kept - 1);
        let direction =
            |i: usize| (0..n).map(|k| dictionary.directions[k * n_nodes + place(i)]).collect();
        let tangent = |i: usize| dictionary.tangents[place(i) * n..(place(i) + 1) * n].to_vec();
        Self {
            directions: (0..kept).map(direction).collect(),
            tangents: (0..kept).map(tangent).collect(),
        }
    }

    /// u*′·u.
    fn along(&self, i: usize, j: usize) -> f64 {
        dot(&self.tangents[i], &self.directions[j])
    }

    /// Least (1 − u*·u)/|Pu| seen from node `i`.
    fn least_ratio(&self, i: usize) -> f64 {
        let ratio = |j: usize| {
            let (u, other) = (&self.directions[i], &self.directions[j]);
            let chord: f64 = u.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum();
            let (cosine, along) = (dot(u, other), self.along(i, j));
            let rest = |((o, u), t): ((&f64, &f64), &f64)| (o - cosine * u - along * t).powi(2);
            let across: f64 = other.iter().zip(u).zip(&self.tangents[i]).map(rest).sum();
            // 1 − cos of an angle is half the squared chord.
            0.5 * chord / across.sqrt().max(1e-9 * chord)
        };
        (0..self.directions.len()).filter(|&j| j != i).map(ratio).fold(f64::INFINITY, f64::min)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
