//! The curve of directions u(rate) = f / |f|, sampled at equal arc length.
//!
//! Along its arc length s the curve has unit speed, so for any samples y the profile c(s) = y·u(s)
//! obeys |c″| ≤ |y|·sup|u″| and |c‴| ≤ |y|·sup|u‴|. The two suprema, found once per basis, say which
//! intervals between nodes can hide a maximum that the nodes do not show.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

use super::Basis;
use crate::error::{Error, Result};

/// Arc length of one step of the fine walk along the curve, rad.
const WALK_STEP_RAD: f64 = 1e-3;
/// Steps of the fine walk after which it hurries to the end of the range.
const WALK_LENGTH_MAX: usize = 20_000;
/// Nodes are so many that sup|u‴|·spacing is below this: then a maximum that data support
/// (|c″| near |y|) is seen by the signs at the nodes alone.
const HIDDEN_CURVATURE_MAX: f64 = 0.5;
/// Fewest and most nodes.
const NODES: [usize; 2] = [25, 385];
/// Suprema come from differences between nodes; this covers what lies between.
const SUPREMUM_MARGIN: f64 = 1.5;
/// Steps of the finer dictionary per step.
const FINER: usize = 4;

/// Nodes along the curve of a basis.
#[derive(Debug, Clone)]
pub(super) struct Dictionary {
    /// Rate at each node, rising, shape `[n_nodes]`.
    pub(super) rates: Vec<f64>,
    /// d rate / d arc length at each node, shape `[n_nodes]`; infinite where the curve rests.
    pub(super) stretches: Vec<f64>,
    /// Weighted unit directions, shape `[n_samples, n_nodes]`.
    pub(super) directions: Vec<f64>,
    /// Weighted unit tangents du/ds, shape `[n_nodes, n_samples]`; 0 where the curve rests.
    pub(super) tangents: Vec<f64>,
    /// Arc length between neighbouring nodes, rad.
    pub(super) spacing: f64,
    /// sup|u″|.
    pub(super) curvature: f64,
    /// sup|u‴|.
    pub(super) curvature_change: f64,
}

/// u, du/ds and the speed ds/d rate at one rate.
struct Point {
    direction: Vec<f64>,
    tangent: Vec<f64>,
    speed: f64,
}

impl Dictionary {
    /// Samples the curve of `basis` over `bounds`, and once more at a fraction of the spacing.
    ///
    /// # Errors
    ///
    /// `Value` when the curve is not finite, vanishes, or does not change inside the bounds.
    pub(super) fn new<B: Basis>(basis: &B, weights: &[f64], bounds: [f64; 2]) -> Result<[Self; 2]> {
        let walk = walk(basis, weights, bounds)?;
        let length = walk.last().map_or(0.0, |end| end.0);
        if length < 1e-9 {
            return Err(Error::value(format!(
                "samples do not depend on a rate between {} and {}",
                bounds[0], bounds[1]
            ))
            .hint("check the bounds against the protocol"));
        }
        let at = |n_nodes| Self::at(basis, weights, spread(&walk, length, bounds, n_nodes), length);
        let coarse = at(NODES[0])?;
        let finer = coarse.curvature_change * coarse.spacing / HIDDEN_CURVATURE_MAX;
        let intervals = ((NODES[0] - 1) as f64 * finer).ceil() as usize;
        let n_nodes = (intervals + 1).clamp(NODES[0], NODES[1]);
        Ok([at(n_nodes)?, at((n_nodes - 1) * FINER + 1)?])
    }

    fn at<B: Basis>(basis: &B, weights: &[f64], rates: Vec<f64>, length: f64) -> Result<Self> {
        let (n, m) = (basis.n_samples(), rates.len());
        let spacing = length / (m - 1) as f64;
        let points: Vec<Point> =
            rates.iter().map(|&rate| point(basis, weights, rate)).collect::<Result<_>>()?;
        let mut directions = vec![0.0; n * m];
        let mut tangents = vec![0.0; m * n];
        for (i, point) in points.iter().enumerate() {
            for k in 0..n {
                directions[k * m + i] = point.direction[k] * weights[k].sqrt();
                tangents[i * n + k] = point.tangent[k] * weights[k].sqrt();
            }
        }
        Ok(Self {
            stretches: points.iter().map(|point| 1.0 / point.speed).collect(),
            curvature: SUPREMUM_MARGIN
                * sup_difference(&points, &[1.0, -2.0, 1.0], spacing.powi(2)),
            curvature_change: SUPREMUM_MARGIN
                * sup_difference(&points, &[1.0, -3.0, 3.0, -1.0], spacing.powi(3)),
            rates,
            directions,
            tangents,
            spacing,
        })
    }

    /// Number of nodes.
    pub(super) fn n_nodes(&self) -> usize {
        self.rates.len()
    }
}

/// Largest |Σ coefficient·u| / `divisor` over windows of neighbouring points.
fn sup_difference(points: &[Point], coefficients: &[f64], divisor: f64) -> f64 {
    let norm = |window: &[Point]| {
        (0..window[0].direction.len())
            .map(|k| {
                let terms = window.iter().zip(coefficients);
                terms.map(|(point, c)| c * point.direction[k]).sum::<f64>().powi(2)
            })
            .sum::<f64>()
            .sqrt()
    };
    points.windows(coefficients.len()).map(norm).fold(0.0, f64::max) / divisor
}

/// (arc length, rate) from the lower to the upper bound.
fn walk<B: Basis>(basis: &B, weights: &[f64], bounds: [f64; 2]) -> Result<Vec<(f64, f64)>> {
    let [low, high] = bounds;
    let span = high - low;
    let mut path = vec![(0.0, low)];
    let (mut rate, mut length) = (low, 0.0);
    let mut here = point(basis, weights, rate)?;
    while rate < high {
        let hurry = if path.len() < WALK_LENGTH_MAX { 1e-12 } else { 1e-3 };
        let step = (WALK_STEP_RAD / here.speed).min(span / 2048.0).max(hurry * span);
        rate = (rate + step).min(high);
        let next = point(basis, weights, rate)?;
        let chord: f64 =
            here.direction.iter().zip(&next.direction).map(|(a, b)| (b - a).powi(2)).sum();
        length += chord.sqrt();
        path.push((length, rate));
        here = next;
    }
    Ok(path)
}

/// Rates of `n_nodes` nodes at equal arc length; both bounds are nodes.
fn spread(walk: &[(f64, f64)], length: f64, bounds: [f64; 2], n_nodes: usize) -> Vec<f64> {
    let mut rates: Vec<f64> = (0..n_nodes)
        .map(|i| {
            let wanted = length * i as f64 / (n_nodes - 1) as f64;
            let after = walk.partition_point(|step| step.0 < wanted).clamp(1, walk.len() - 1);
            let (before, after) = (walk[after - 1], walk[after]);
            let t = ((wanted - before.0) / (after.0 - before.0).max(f64::MIN_POSITIVE)).min(1.0);
            before.1 + t * (after.1 - before.1)
        })
        .collect();
    rates[0] = bounds[0];
    rates[n_nodes - 1] = bounds[1];
    rates
}

fn point<B: Basis>(basis: &B, weights: &[f64], rate: f64) -> Result<Point> {
    let n = basis.n_samples();
    let (mut curve, mut first, mut second) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    basis.evaluate(rate, &mut curve, &mut first, &mut second);
    for k in 0..n {
        curve[k] *= weights[k].sqrt();
        first[k] *= weights[k].sqrt();
    }
    let norm = curve.iter().map(|f| f * f).sum::<f64>().sqrt();
    let all_finite = curve.iter().chain(&first).chain(&second).all(|value| value.is_finite());
    if !(all_finite && norm > 0.0) {
        return Err(Error::value(format!("the curve vanishes or overflows at rate {rate}"))
            .hint("narrow the bounds"));
    }
    let along = curve.iter().zip(&first).map(|(f, f1)| f * f1).sum::<f64>() / (norm * norm);
    let across: Vec<f64> =
        curve.iter().zip(&first).map(|(f, f1)| (f1 - along * f) / norm).collect();
    let speed = across.iter().map(|v| v * v).sum::<f64>().sqrt();
    Ok(Point {
        direction: curve.iter().map(|f| f / norm).collect(),
        tangent: across.iter().map(|v| if speed > 0.0 { v / speed } else { 0.0 }).collect(),
        speed,
    })
}
