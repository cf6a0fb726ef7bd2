//! Smooth Gaussian random fields in space.
//!
//! White noise on a lattice of a third of the correlation length, convolved with a Gaussian along each
//! axis and interpolated between the nodes; divided by what the interpolation leaves of its standard
//! deviation, which is 1 at every position. Two positions d apart correlate by exp(−d²/2L²), L the
//! correlation length, up to what the lattice changes: below 0.01 for any d.

use crate::random::Stream;

/// Steps of the lattice in one correlation length.
const STEPS: f64 = 3.0;

/// The kernel is cut off here, in steps, where its weight is e⁻⁹.
const RADIUS: usize = 9;

/// One field on a box.
pub(super) struct RandomField {
    low_mm: [f64; 3],
    step_mm: f64,
    shape: [usize; 3],
    nodes: Vec<f32>,
    /// Correlation of neighbouring nodes along an axis.
    neighbours: f64,
}

impl RandomField {
    /// Draws a field on the box from `low_mm` to `high_mm` (finite); `correlation_mm` is above 0.
    pub(super) fn draw(
        [low_mm, high_mm]: [[f64; 3]; 2],
        correlation_mm: f64,
        stream: &mut Stream,
    ) -> Self {
        let step_mm = correlation_mm / STEPS;
        let length = |axis: usize| ((high_mm[axis] - low_mm[axis]) / step_mm).max(0.0) as usize + 2;
        let shape = [0, 1, 2].map(length);
        let wide = shape.map(|n| n + 2 * RADIUS);
        let n = wide.iter().product();
        let mut nodes: Vec<f32> = (0..n).map(|_| stream.normal() as f32).collect();
        let weights = weights();
        let mut size = wide;
        for axis in 0..3 {
            nodes = smoothed(&nodes, size, axis, &weights);
            size[axis] = shape[axis];
        }
        let pairs = weights.iter().zip(&weights[1..]);
        let neighbours = pairs.map(|(a, b)| a * b).sum();
        Self { low_mm, step_mm, shape, nodes, neighbours }
    }

    /// The field at a position of the box.
    pub(super) fn at(&self, position_mm: [f64; 3]) -> f64 {
        let mut places = [(0, 0.0); 3];
        let mut variance = 1.0;
        for axis in 0..3 {
            let place = (position_mm[axis] - self.low_mm[axis]) / self.step_mm;
            let node = (place.max(0.0) as usize).min(self.shape[axis] - 2);
            let part = (place - node as f64).clamp(0.0, 1.0);
            let rest = 1.0 - part;
            variance *= rest * rest + part * part + 2.0 * rest * part * self.neighbours;
            places[axis] = (node, part);
        }
        let [nx, ny, _] = self.shape;
        let mut sum = 0.0;
        for corner in 0..8 {
            let (mut at, mut weight) = ([0; 3], 1.0);
            for axis in 0..3 {
                let up = corner >> axis & 1;
                let (node, part) = places[axis];
                at[axis] = node + up;
                weight *= if up == 1 { part } else { 1.0 - part };
            }
            sum += weight * f64::from(self.nodes[at[0] + nx * (at[1] + ny * at[2])]);
        }
        sum / variance.sqrt()
    }
}

/// Weights at −9 … 9 steps whose squares sum to 1; convolved with themselves they correlate as a
/// Gaussian of one correlation length.
fn weights() -> [f64; 2 * RADIUS + 1] {
    let mut weights = [0.0; 2 * RADIUS + 1];
    for (place, weight) in weights.iter_mut().enumerate() {
        let steps = place as f64 - RADIUS as f64;
        *weight = (-(steps / STEPS).powi(2)).exp();
    }
    let norm = weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
    weights.map(|weight| weight / norm)
}

/// `nodes` of `shape`, convolved along `axis`, which becomes shorter by the width of the kernel.
fn smoothed(nodes: &[f32], shape: [usize; 3], axis: usize, weights: &[f64]) -> Vec<f32> {
    let stride: usize = shape[..axis].iter().product();
    let (n, rows) = (shape[axis], shape[axis + 1..].iter().product());
    let left = n + 1 - weights.len();
    let mut smooth = Vec::with_capacity(stride * left * rows);
    for row in 0..rows {
        for place in 0..left {
            for at in 0..stride {
                let first = (row * n + place) * stride + at;
                let along = weights.iter().enumerate();
                let sum: f64 = along.map(|(d, w)| w * f64::from(nodes[first + d * stride])).sum();
                smooth.push(sum as f32);
            }
        }
    }
    smooth
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    #[test]
    fn fields_have_unit_variance_and_the_correlation_asked_for() {
        let key = StreamKey::new(3, "field");
        let bounds = [[-4.0, 2.0, 0.0], [9.0, 12.0, 8.0]];
        let length_mm = 3.0;
        let centre = [1.234, 6.1, 3.3];
        let steps = [0.0, 1.0, 3.0, 6.0];
        let mut sums = [0.0; 4];
        let n = 4000;
        for replicate in 0..n {
            let field = RandomField::draw(bounds, length_mm, &mut key.stream(0, replicate));
            let here = field.at(centre);
            for (sum, step) in sums.iter_mut().zip(steps) {
                // Along a diagonal of the lattice plane.
                let along = step / 2.0_f64.sqrt();
                *sum += here * field.at([centre[0] + along, centre[1] + along, centre[2]]);
            }
        }
        for (sum, step) in sums.iter().zip(steps) {
            let expected = (-0.5 * (step / length_mm).powi(2)).exp();
            // Four standard errors of a covariance, √((1 + ρ²)/n), and 0.01 for the lattice.
            let limit = 4.0 * ((1.0 + expected * expected) / f64::from(n)).sqrt() + 0.01;
            let found = sum / f64::from(n);
            assert!((found - expected).abs() < limit, "{step} mm: {found} {expected}");
        }
    }

    #[test]
    fn a_field_is_the_same_for_the_same_stream_alone() {
        let key = StreamKey::new(3, "field");
        let draw = |voxel| {
            let mut stream = key.stream(voxel, 1);
            RandomField::draw([[0.0; 3], [5.0; 3]], 2.0, &mut stream).at([2.2, 1.0, 4.9])
        };
        assert_eq!(draw(0).to_bits(), draw(0).to_bits());
        assert!((draw(0) - draw(1)).abs() > 1e-6);
    }
}
