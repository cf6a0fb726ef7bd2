//! A knee-like phantom of three tissues with bones, cartilage and texture, defined in scanner
//! coordinates, so that it can be seen through any transform, grid and contrast.

use crate::image::{Affine, Grid, Volume};
use crate::random::StreamKey;
use crate::registration::{PointMap, Rigid};

/// Intensities of background, muscle, fat, bone, cartilage and fluid.
#[derive(Clone, Copy)]
pub(super) struct Contrast(pub(super) [f64; 6]);

pub(super) const DESS: Contrast = Contrast([0.0, 90.0, 40.0, 60.0, 160.0, 220.0]);
pub(super) const MESE: Contrast = Contrast([0.0, 70.0, 190.0, 150.0, 110.0, 130.0]);

/// Smooth membership: 1 well inside (`signed_mm` below 0), 0 well outside.
fn inside(signed_mm: f64) -> f64 {
    0.5 * (1.0 - (signed_mm / 0.8).tanh())
}

fn ellipsoid(p: [f64; 3], centre: [f64; 3], radii: [f64; 3]) -> f64 {
    let q: f64 = (0..3).map(|a| ((p[a] - centre[a]) / radii[a]).powi(2)).sum::<f64>().sqrt();
    (q - 1.0) * radii.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Intensity at `p`, mm; the knee is about 80 mm wide around the origin.
pub(super) fn intensity(p: [f64; 3], Contrast(of): Contrast) -> f64 {
    let limb = inside(ellipsoid(p, [0.0, 0.0, 0.0], [48.0, 44.0, 70.0]));
    let muscle = inside(ellipsoid(p, [4.0, -4.0, 2.0], [40.0, 34.0, 62.0]));
    let femur = inside(ellipsoid(p, [2.0, 3.0, 26.0], [26.0, 22.0, 26.0]));
    let tibia = inside(ellipsoid(p, [1.0, 0.0, -28.0], [27.0, 20.0, 22.0]));
    let patella = inside(ellipsoid(p, [-4.0, 30.0, 16.0], [10.0, 6.0, 12.0]));
    let femoral = inside(ellipsoid(p, [2.0, 3.0, 26.0], [29.0, 25.0, 29.0])) - femur;
    let tibial = inside(ellipsoid(p, [1.0, 0.0, -28.0], [29.5, 22.5, 24.5])) - tibia;
    let fluid = inside(ellipsoid(p, [-20.0, 12.0, 2.0], [6.0, 9.0, 8.0]));
    // Septa and trabeculae: without structure inside tissues a deformation there is not determined.
    let texture = 1.0
        + 0.12 * (0.45 * p[0] + 0.2 * p[2]).sin() * (0.4 * p[1] - 0.1 * p[0]).cos()
        + 0.12 * (0.5 * p[2] + 0.15 * p[1]).sin() * (0.3 * p[0] + 0.35 * p[1]).cos();
    let mut value = of[0];
    for (part, intensity) in [
        (limb, of[2]),
        (muscle, of[1]),
        (femoral.max(0.0), of[4]),
        (tibial.max(0.0), of[4]),
        (femur, of[3]),
        (tibia, of[3]),
        (patella, of[3]),
        (fluid, of[5]),
    ] {
        value += part * (intensity - value);
    }
    value * texture
}

/// The phantom on `grid` seen through `map` (grid position → position in the phantom), with Gaussian
/// noise of standard deviation `sigma`; averaged over the thickness of its slices.
pub(super) fn seen(
    grid: Grid,
    map: &dyn PointMap,
    contrast: Contrast,
    (sigma, seed): (f64, u64),
) -> Volume<f32> {
    let key = StreamKey::new(seed, "phantom");
    let n_parts = (2.0 * grid.affine().spacing_mm()[2]).round().max(1.0) as usize;
    Volume::from_fn(grid, |index| {
        let noise = if sigma > 0.0 { sigma * key.stream(index, 0).normal() } else { 0.0 };
        let [i, j, k] = grid.voxel(index).map(|i| i as f64);
        let part = |n: usize| {
            let z = k + (n as f64 + 0.5) / n_parts as f64 - 0.5;
            intensity(map.apply(grid.affine().to_scanner([i, j, z])), contrast)
        };
        let mean = (0..n_parts).map(part).sum::<f64>() / n_parts as f64;
        (mean + noise) as f32
    })
}

/// `shape` voxels of `spacing_mm` about the origin, turned by `angles_rad`.
pub(super) fn grid(shape: [usize; 3], spacing_mm: [f64; 3], angles_rad: [f64; 3]) -> Grid {
    let turn = Rigid::new(angles_rad, [0.0; 3], [0.0; 3]).unwrap().rotation();
    let mut matrix = [[0.0; 4]; 3];
    for (row, turn) in matrix.iter_mut().zip(turn) {
        for axis in 0..3 {
            row[axis] = turn[axis] * spacing_mm[axis];
            row[3] -= row[axis] * (shape[axis] as f64 - 1.0) / 2.0;
        }
    }
    Grid::new(shape, Affine::new(matrix).unwrap()).unwrap()
}
