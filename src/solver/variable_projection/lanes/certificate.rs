//! When the maximum that was found must be the highest.
//!
//! Let y be samples at the angle φ from the curve of directions u, and s* a maximum of u(s)·y. All y
//! with that foot point are cos φ·u* + sin φ·w with w across u* and the tangent u*′, so that
//! u(s)·y − u*·y ≤ |y|·(sin φ·|Pu(s)| − cos φ·(1 − u*·u(s))), where P projects across both. The
//! right side is negative for all s where tan φ is below the least (1 − u*·u(s))/|Pu(s)|: then no
//! other maximum is as high. At a bound y also leans outwards, which lowers all other values as long
//! as the curve has turned by less than a right angle from there.
//!
//! # Reference
//!
//! Federer, "Curvature measures", Trans Am Math Soc 1959, doi:10.1090/S0002-9947-1959-0110078-1 (the
//! distance within which the nearest point of a curve is unique).

use crate::solver::variable_projection::dictionary::Dictionary;

/// Part of the least ratio that is relied on; the rest covers what lies between the nodes.
const MARGIN: f64 = 0.9;
/// Nodes looked at, spread over the dictionary.
const NODES_MAX: usize = 97;

/// cos² φ down to which the maximum found is the highest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    /// Inside: a line in the coordinate, as its value at 0 and its slope.
    pub(super) inside: [f64; 2],
    /// At the lower and at the upper bound of the coordinate.
    pub(super) bounds: [f64; 2],
}

impl Thresholds {
    /// Every maximum will do.
    pub(super) const NONE: Self =
        Self { inside: [f64::NEG_INFINITY, 0.0], bounds: [f64::NEG_INFINITY; 2] };

    /// `coordinate` of a rate rises or falls with the rate throughout.
    pub(super) fn new(dictionary: &Dictionary, coordinate: impl Fn(f64) -> f64) -> Self {
        let nodes = Nodes::new(dictionary);
        let m = nodes.directions.len();
        let needed: Vec<f64> =
            (0..m).map(|i| cosine_squared(MARGIN * nodes.least_ratio(i))).collect();
        let places: Vec<f64> = nodes.rates.iter().map(|&rate| coordinate(rate)).collect();
        let bound = |i: usize, inwards: f64| {
            let turned = (0..m).any(|j| j != i && inwards * nodes.along(i, j) < 0.0);
            if turned { f64::INFINITY } else { needed[i] }
        };
        let mut bounds = [bound(0, 1.0), bound(m - 1, -1.0)];
        if places[0] > places[m - 1] {
            bounds.reverse();
        }
        Self { inside: line_above(&places, &needed), bounds }
    }
}

/// The line through the ends of `values` over `places`, raised until none lies above it.
fn line_above(places: &[f64], values: &[f64]) -> [f64; 2] {
    let last = places.len() - 1;
    let slope = (values[last] - values[0]) / (places[last] - places[0]);
    let offsets = places.iter().zip(values).map(|(place, value)| value - slope * place);
    [offsets.fold(f64::NEG_INFINITY, f64::max), slope]
}

fn cosine_squared(tangent: f64) -> f64 {
    1.0 / (1.0 + tangent * tangent)
}

struct Nodes {
    rates: Vec<f64>,
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
            rates: (0..kept).map(|i| dictionary.rates[place(i)]).collect(),
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
