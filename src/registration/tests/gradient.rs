//! Values and gradients against a plain comparison in 64-bit that shares no code with the kernels
//! beyond the transform itself.

use super::phantom::{DESS, MESE, grid, seen};
use crate::image::{Grid, Volume};
use crate::random::StreamKey;
use crate::registration::comparison::Comparison;
use crate::registration::lattice::covering;
use crate::registration::level::{BINS, Level, Resolution};
use crate::registration::warp::{LatticeOnGrid, Warp, rigid_gradient};
use crate::registration::{FreeForm, Metric, Pair, PointMap, Rigid, Transform};

const METRICS: [Metric; 4] = [
    Metric::MutualInformation,
    Metric::NormalizedMutualInformation,
    Metric::Correlation,
    Metric::MeanSquares,
];

/// Scaled moving value at a scanner position; `None` outside.
fn value_at(moving: &Volume<f64>, position_mm: [f64; 3]) -> Option<f64> {
    let grid = moving.grid();
    let place = grid.affine().to_voxel(position_mm);
    let mut sum = 0.0;
    let last = grid.shape().map(|n| n as f64 - 1.0);
    if (0..3).any(|a| !(-0.5..=last[a] + 0.5).contains(&place[a])) {
        return None;
    }
    let place = [0, 1, 2].map(|a| place[a].clamp(0.0, last[a]));
    for corner in 0..8_usize {
        let (mut weight, mut voxel) = (1.0, [0; 3]);
        for axis in 0..3 {
            let low = place[axis].floor();
            let fraction = place[axis] - low;
            let up = corner >> axis & 1;
            weight *= if up == 1 { fraction } else { 1.0 - fraction };
            voxel[axis] = (low as usize + up).min(grid.shape()[axis] - 1);
        }
        if weight > 0.0 {
            sum += weight * moving.voxels()[grid.index(voxel)];
        }
    }
    Some(sum)
}

fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        2.0 / 3.0 - x * x + x * x * x / 2.0
    } else if x < 2.0 {
        (2.0 - x).powi(3) / 6.0
    } else {
        0.0
    }
}

/// The measure from pairs (fixed bin, scaled fixed, scaled moving).
fn plain(metric: Metric, pairs: &[(usize, f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let mean = |of: &dyn Fn(&(usize, f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    match metric {
        Metric::Correlation => {
            let (f, m) = (mean(&|p| p.1), mean(&|p| p.2));
            mean(&|p| (p.1 - f) * (p.2 - m))
                / (mean(&|p| (p.1 - f).powi(2)) * mean(&|p| (p.2 - m).powi(2))).sqrt()
        }
        Metric::MeanSquares => -mean(&|p| (p.1 - p.2).powi(2)),
        _ => {
            let mut joint = vec![[0.0; BINS]; BINS];
            for (bin, _, m) in pairs {
                for (b, p) in joint[*bin].iter_mut().enumerate() {
                    *p += cubic(b as f64 - m) / n;
                }
            }
            let entropy = |p: &mut dyn Iterator<Item = f64>| -> f64 {
                p.filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum()
            };
            let fixed = entropy(&mut joint.iter().map(|row| row.iter().sum()));
            let moving = entropy(&mut (0..BINS).map(|b| joint.iter().map(|row| row[b]).sum()));
            let both = entropy(&mut joint.iter().flatten().copied());
            if metric == Metric::MutualInformation {
                fixed + moving - both
            } else {
                (fixed + moving) / both
            }
        }
    }
}

/// The measure of one resolution under any map, in 64-bit.
pub(super) fn reference(level: &Level, metric: Metric, map: &dyn PointMap) -> f64 {
    let (fixed, moving) = (&level.fixed, &level.moving);
    let row = moving.grid.shape()[0];
    let plain_moving =
        Volume::from_fn(moving.grid, |i| f64::from(moving.values[i / row * (row + 1) + i % row]));
    let nx = fixed.grid.shape()[0];
    let mut pairs = Vec::new();
    for index in 0..fixed.grid.n_voxels() {
        let at = index / nx * fixed.stride + index % nx;
        if fixed.values[at].is_finite() {
            let place = map.apply(fixed.grid.position_mm(index));
            if let Some(m) = value_at(&plain_moving, place).filter(|m| m.is_finite()) {
                let bin = usize::from(fixed.keys[at]) / BINS;
                pairs.push((bin, f64::from(fixed.values[at]), m));
            }
        }
    }
    plain(metric, &pairs)
}

pub(super) fn level(metric: Metric) -> Level {
    let fixed_grid: Grid = grid([37, 40, 14], [2.6, 2.4, 6.0], [0.1, 0.2, -0.1]);
    let moving_grid = grid([60, 56, 30], [2.2, 2.3, 5.0], [-0.05, 0.1, 0.2]);
    let still = Transform::identity();
    let fixed = seen(fixed_grid, &still, DESS, (3.0, 1));
    let moving = seen(moving_grid, &still, MESE, (3.0, 2));
    let resolution = Resolution { factor: 1.0, samples_max: usize::MAX };
    Level::new(&Pair::new(&fixed, &moving), resolution, metric).unwrap()
}

#[test]
fn rigid_values_and_gradients_are_those_of_the_plain_comparison() {
    let rigid = Rigid::new([0.06, -0.04, 0.05], [2.3, -1.7, 1.1], [3.0, -2.0, 5.0]).unwrap();
    for metric in METRICS {
        let mut comparison = Comparison::new(level(metric), metric);
        let warp = Warp::rigid(&rigid, &comparison.level);
        let found = comparison.likeness(&warp);
        let of_matrix = comparison.matrix_gradient(&warp, &found);
        let gradient = rigid_gradient(&of_matrix, &rigid, &comparison.level);
        let value = reference(&comparison.level, metric, &rigid);
        // 32-bit positions and interpolation.
        assert!((found.value / value - 1.0).abs() < 1e-5, "{metric:?} {} {value}", found.value);
        for parameter in 0..6 {
            // Trilinear interpolation has kinks between voxels: short steps, as 64-bit allows, cross
            // few of them.
            let step = if parameter < 3 { 3e-8 } else { 1e-6 };
            let at = |by: f64| {
                let mut p = rigid.parameters();
                p[parameter] += by;
                reference(&comparison.level, metric, &rigid.with_parameters(p))
            };
            let difference = (at(step) - at(-step)) / (2.0 * step);
            let scale = if parameter < 3 { &gradient[..3] } else { &gradient[3..] };
            let largest = scale.iter().fold(0.0_f64, |l, g| l.max(g.abs()));
            assert!(
                (difference - gradient[parameter]).abs() < 1e-4 * largest,
                "{metric:?} {parameter}: {difference} {}",
                gradient[parameter]
            );
        }
    }
}

#[test]
fn free_form_values_and_gradients_are_those_of_the_plain_comparison() {
    let rigid = Rigid::new([0.03, -0.02, 0.04], [1.3, -0.7, 0.6], [3.0, -2.0, 5.0]).unwrap();
    for metric in METRICS {
        let mut comparison = Comparison::new(level(metric), metric);
        let lattice = covering(&comparison.level.fixed.grid, 26.0).unwrap();
        let mut stream = StreamKey::new(11, "nodes").stream(0, 0);
        let nodes: Vec<f64> =
            (0..3 * lattice.n_voxels()).map(|_| 4.0 * stream.uniform() - 2.0).collect();
        let on_grid = LatticeOnGrid::new(&comparison.level.fixed.grid, &lattice);
        let warp = Warp::free_form(&rigid, &nodes, &comparison.level, &on_grid);
        let found = comparison.likeness(&warp);
        let mut gradient = vec![0.0; nodes.len()];
        comparison.spline_gradient(&warp, &found, &mut gradient);
        let at = |parameter: usize, by: f64| {
            let mut moved = nodes.clone();
            moved[parameter] += by;
            let volume = Volume::from_fn(lattice, |i| [0, 1, 2].map(|a| moved[3 * i + a]));
            let transform = FreeForm::new(rigid, volume).unwrap();
            reference(&comparison.level, metric, &Transform::FreeForm(Box::new(transform)))
        };
        let value = at(0, 0.0);
        assert!((found.value / value - 1.0).abs() < 1e-5, "{metric:?} {} {value}", found.value);
        let largest = gradient.iter().fold(0.0_f64, |l, g| l.max(g.abs()));
        for parameter in (0..nodes.len()).step_by(nodes.len() / 12) {
            let difference = (at(parameter, 1e-6) - at(parameter, -1e-6)) / 2e-6;
            assert!(
                (difference - gradient[parameter]).abs() < 1e-4 * largest,
                "{metric:?} {parameter}: {difference} {} of {largest}",
                gradient[parameter]
            );
        }
    }
}
