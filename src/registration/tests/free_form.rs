//! A known deformation is found again; folds are refused.

use super::phantom::{Contrast, DESS, MESE, grid, seen};
use crate::image::{Grid, Mask, Volume};
use crate::random::StreamKey;
use crate::registration::lattice::covering;
use crate::registration::{
    FreeForm, FreeFormSettings, Outcome, Pair, PointMap, Rigid, Transform, register_free_form,
};
use crate::statistics::quantile::quantile;

/// A movement of a few millimetres and degrees with a deformation of up to 3 mm, 30 mm lattice.
fn truth(fixed: &Grid) -> Transform {
    let lattice = covering(fixed, 30.0).unwrap();
    let mut stream = StreamKey::new(3, "truth").stream(0, 0);
    let nodes = Volume::from_fn(lattice, |_| [0; 3].map(|_| 6.0 * stream.uniform() - 3.0));
    let rigid = Rigid::new([0.03, -0.02, 0.04], [2.0, -1.0, 1.0], [0.0; 3]).unwrap();
    Transform::FreeForm(Box::new(FreeForm::new(rigid, nodes).unwrap()))
}

/// Voxels in and around the bones, where there is contrast to align.
fn joint(place: &Grid) -> Mask {
    Mask::new(Volume::from_fn(*place, |i| {
        let [x, y, z] = place.position_mm(i);
        x.hypot(y) < 34.0 && z.abs() < 48.0
    }))
}

fn errors_mm(found: &Transform, truth: &Transform, mask: &Mask) -> Vec<f64> {
    mask.indices()
        .iter()
        .map(|&index| {
            let p = mask.grid().position_mm(index);
            let (a, b) = (found.apply(p), truth.apply(p));
            (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
        })
        .collect()
}

fn images(place: Grid, truth: &Transform, sigma: f64) -> (Volume<f32>, Volume<f32>) {
    let (first, second): (Contrast, Contrast) = (DESS, MESE);
    let fixed = seen(place, &Transform::identity(), first, (sigma, 1));
    (fixed, seen(place, &truth.inverse(), second, (sigma, 2)))
}

#[test]
fn a_known_deformation_is_found_between_contrasts() {
    let place = grid([72, 70, 84], [1.25, 1.2, 1.25], [0.05, 0.1, 0.0]);
    let truth = truth(&place);
    let (fixed, moving) = images(place, &truth, 4.0);
    let found =
        register_free_form(&Pair::new(&fixed, &moving), &FreeFormSettings::default()).unwrap();
    let errors = errors_mm(&found.transform, &truth, &joint(&place));
    let p95 = quantile(&errors, 0.95).unwrap();
    assert_eq!(found.report.outcome, Outcome::Registered);
    assert!(p95 < 0.5, "{p95} {:?}", found.report);
    assert!(found.report.metric_after > found.report.metric_before);
}

#[test]
fn equal_images_are_hardly_deformed() {
    let place = grid([44, 42, 26], [2.2, 2.2, 4.4], [0.05, 0.1, 0.0]);
    let image = seen(place, &Transform::identity(), DESS, (4.0, 1));
    let found =
        register_free_form(&Pair::new(&image, &image), &FreeFormSettings::default()).unwrap();
    // Mutual information of a few ten thousand samples is highest a little off equality: its entropy
    // grows with what lies at the border. Less than a fifth of the 2.2 × 2.2 × 4.4 mm voxels.
    assert!(found.report.extent.displacement_p95_mm < 0.44, "{:?}", found.report);
    assert!(found.report.extent.jacobian_min > 0.9);
}

#[test]
fn a_deformation_that_folds_is_refused() {
    let place = grid([44, 42, 26], [2.2, 2.2, 4.4], [0.0; 3]);
    // Noise alone and control points almost as dense as voxels, without stiffness.
    let key = StreamKey::new(1, "noise");
    let noise =
        |seed: usize| Volume::from_fn(place, |i| key.stream(i, seed as u32).normal() as f32);
    let (fixed, moving) = (noise(0), noise(1));
    let settings = FreeFormSettings {
        control_spacing_mm: [6.0, 6.0],
        bending_weight: 0.0,
        n_levels: 1,
        iterations_max: [200, 200],
        ..FreeFormSettings::default()
    };
    let found = register_free_form(&Pair::new(&fixed, &moving), &settings).unwrap();
    assert_eq!(found.report.outcome.name(), "rigid_kept");
    assert!(found.report.outcome.reason().unwrap().contains("folds"), "{:?}", found.report);
    assert!(matches!(found.transform, Transform::Rigid(_)));
    assert!((found.report.extent.jacobian_min - 1.0).abs() < 1e-12);
}

#[test]
fn every_number_of_threads_gives_the_same_bytes() {
    let place = grid([44, 42, 13], [2.2, 2.2, 8.0], [0.05, 0.1, 0.0]);
    let (fixed, moving) = images(place, &truth(&place), 4.0);
    let run = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            register_free_form(&Pair::new(&fixed, &moving), &FreeFormSettings::default()).unwrap()
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}

#[test]
fn settings_out_of_range_and_thin_images_are_handled() {
    let place = grid([44, 42, 1], [2.2, 2.2, 8.0], [0.0; 3]);
    let (fixed, moving) = images(place, &Transform::identity(), 4.0);
    let pair = Pair::new(&fixed, &moving);
    let sound = FreeFormSettings::default();
    assert!(register_free_form(&pair, &sound).unwrap().report.extent.displacement_max_mm < 8.0);
    for (settings, field) in [
        (FreeFormSettings { control_spacing_mm: [20.0, 40.0], ..sound }, "control_spacing_mm"),
        (FreeFormSettings { control_spacing_mm: [f64::NAN, 1.0], ..sound }, "control_spacing_mm"),
        (FreeFormSettings { control_spacing_mm: [1e-4, 1e-4], ..sound }, "control_spacing_mm"),
        (FreeFormSettings { bending_weight: -1.0, ..sound }, "bending_weight"),
        (FreeFormSettings { n_levels: 0, ..sound }, "n_levels"),
    ] {
        assert_eq!(register_free_form(&pair, &settings).unwrap_err().field(), Some(field));
    }
}
