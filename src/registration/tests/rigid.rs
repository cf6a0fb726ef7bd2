//! Known rigid movements are found again; hostile input gives errors or sane results.

use super::phantom::{Contrast, DESS, MESE, grid, seen};
use crate::image::{Affine, Grid, Mask, Volume};
use crate::registration::{
    Metric, Outcome, Pair, PointMap, Rigid, RigidSettings, Start, Transform, register_rigid,
};
use crate::unit::radians_from_degrees;

fn movement() -> Rigid {
    let angles = [2.0, -3.0, 4.0].map(radians_from_degrees);
    Rigid::new(angles, [4.0, -3.0, 2.0], [0.0; 3]).unwrap()
}

/// Fixed image through the identity, moving image such that `truth` takes fixed to moving.
fn pair(
    truth: &Rigid,
    (fixed, moving): (Grid, Grid),
    (first, second): (Contrast, Contrast),
    sigma: f64,
) -> (Volume<f32>, Volume<f32>) {
    (
        seen(fixed, &Transform::identity(), first, (sigma, 1)),
        seen(moving, &truth.inverse(), second, (sigma, 2)),
    )
}

/// Largest distance, mm, and angle, degrees, between two movements over the knee.
fn errors(found: &Rigid, truth: &Rigid) -> (f64, f64) {
    let mut largest = 0.0_f64;
    for corner in 0..8 {
        let p = [0, 1, 2].map(|a| if corner >> a & 1 == 1 { 30.0 } else { -30.0 });
        let (a, b) = (found.apply(p), truth.apply(p));
        largest = largest.max((0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt());
    }
    (largest, found.then(&truth.inverse()).angle_rad().to_degrees())
}

#[test]
fn a_known_movement_is_found_between_contrasts_and_oblique_grids() {
    let truth = movement();
    let grids = (
        grid([96, 96, 40], [1.0, 1.0, 2.5], [0.1, 0.05, -0.1]),
        grid([110, 100, 36], [0.9, 1.0, 3.0], [-0.1, 0.1, 0.15]),
    );
    // σ 5: muscle, 70–90, has SNR 14–18, cartilage, 110–160, 22–32.
    for (contrasts, metric) in [
        ((DESS, MESE), Metric::MutualInformation),
        ((DESS, MESE), Metric::NormalizedMutualInformation),
        ((DESS, DESS), Metric::Correlation),
        ((DESS, DESS), Metric::MeanSquares),
    ] {
        let (fixed, moving) = pair(&truth, grids, contrasts, 5.0);
        let settings = RigidSettings { metric, ..RigidSettings::default() };
        let found = register_rigid(&Pair::new(&fixed, &moving), &settings).unwrap();
        let (distance_mm, angle) = errors(found.transform.rigid(), &truth);
        assert_eq!(found.report.outcome, Outcome::Registered);
        assert!(distance_mm < 0.1 && angle < 0.1, "{metric:?}: {distance_mm} mm, {angle} degrees");
        assert!(found.report.metric_after > found.report.metric_before);
        assert!(found.report.overlap > 0.8);
    }
}

#[test]
fn equal_images_stay_where_they_are() {
    let place = grid([48, 48, 20], [2.0, 2.0, 5.0], [0.1, 0.05, -0.1]);
    let image = seen(place, &Transform::identity(), DESS, (5.0, 3));
    for metric in [Metric::MutualInformation, Metric::Correlation, Metric::MeanSquares] {
        let settings = RigidSettings { metric, ..RigidSettings::default() };
        let found = register_rigid(&Pair::new(&image, &image), &settings).unwrap();
        // A fiftieth of a voxel: mutual information of finite samples is highest a little off.
        assert!(found.report.extent.displacement_max_mm < 0.04, "{metric:?} {:?}", found.report);
        assert!(found.report.metric_after >= found.report.metric_before);
        assert!(found.report.overlap > 0.99);
    }
}

#[test]
fn every_number_of_threads_gives_the_same_bytes() {
    let truth = movement();
    let grids = (
        grid([40, 44, 13], [2.4, 2.2, 7.0], [0.1, 0.05, -0.1]),
        grid([50, 50, 16], [2.0, 2.0, 6.0], [-0.1, 0.1, 0.15]),
    );
    let (fixed, moving) = pair(&truth, grids, (DESS, MESE), 5.0);
    let run = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| register_rigid(&Pair::new(&fixed, &moving), &RigidSettings::default()))
            .unwrap()
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}

#[test]
fn centres_of_images_bring_distant_headers_together() {
    let truth = Rigid::new([0.05, 0.0, -0.03], [203.0, -98.0, 154.0], [0.0; 3]).unwrap();
    let fixed_grid = grid([48, 48, 20], [2.0, 2.0, 5.0], [0.0; 3]);
    let far = {
        let mut matrix = *fixed_grid.affine().matrix();
        for (row, by) in matrix.iter_mut().zip([200.0, -100.0, 150.0]) {
            row[3] += by;
        }
        Grid::new(fixed_grid.shape(), Affine::new(matrix).unwrap()).unwrap()
    };
    let (fixed, moving) = pair(&truth, (fixed_grid, far), (DESS, MESE), 5.0);
    let pair = Pair::new(&fixed, &moving);
    let error = register_rigid(&pair, &RigidSettings::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`moving`: 0 % of the compared voxels of the fixed image lie in the moving one, at least \
         25 % must"
    );
    assert!(error.hint_text().unwrap().contains("same region"));
    let settings = RigidSettings { start: Start::Centres, ..RigidSettings::default() };
    let found = register_rigid(&pair, &settings).unwrap();
    let (distance_mm, angle) = errors(found.transform.rigid(), &truth);
    // Voxels of 2 × 2 × 5 mm.
    assert!(distance_mm < 0.4 && angle < 0.4, "{distance_mm} mm, {angle} degrees");
}

#[test]
fn a_mask_follows_the_bone_that_moves_on_its_own() {
    // The tibia turns, the femur stays: what the mask holds decides.
    struct Joint(Rigid);
    impl PointMap for Joint {
        fn apply(&self, p: [f64; 3]) -> [f64; 3] {
            if p[2] < 0.0 { self.0.apply(p) } else { p }
        }
    }
    let turn = Rigid::new([0.06, 0.0, 0.05], [1.5, 0.0, 0.0], [0.0, 0.0, 0.0]).unwrap();
    let place = grid([64, 64, 40], [1.5, 1.5, 3.0], [0.0; 3]);
    let fixed = seen(place, &Transform::identity(), DESS, (5.0, 1));
    let moving = seen(place, &Joint(turn.inverse()), MESE, (5.0, 2));
    let within = |low: f64, high: f64| {
        Mask::new(Volume::from_fn(place, |i| {
            let p = place.position_mm(i);
            (low..high).contains(&p[2]) && p[0].abs() < 36.0 && p[1].abs() < 32.0
        }))
    };
    for (mask, truth) in
        [(within(-58.0, -6.0), turn), (within(6.0, 58.0), Rigid::identity([0.0; 3]))]
    {
        let pair = Pair { fixed_mask: Some(&mask), ..Pair::new(&fixed, &moving) };
        let found = register_rigid(&pair, &RigidSettings::default()).unwrap();
        let bone = if truth == turn { [1.0, 0.0, -28.0] } else { [2.0, 3.0, 26.0] };
        let (a, b) = (found.transform.apply(bone), truth.apply(bone));
        let distance_mm = (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt();
        // A tenth of the slice thickness at the centre of the bone.
        assert!(distance_mm < 0.3, "{distance_mm} {:?}", found.report);
    }
}

#[test]
fn hostile_images_give_errors_that_teach() {
    let place = grid([24, 24, 8], [4.0, 4.0, 12.0], [0.0; 3]);
    let good = seen(place, &Transform::identity(), DESS, (5.0, 3));
    let settings = RigidSettings::default();
    let message = |pair: &Pair<'_>| register_rigid(pair, &settings).unwrap_err().to_string();
    let constant = Volume::from_fn(place, |_| 7.0_f32);
    assert_eq!(
        message(&Pair::new(&good, &constant)),
        "`moving`: every voxel that is compared is 7.0000: nothing can be aligned"
    );
    assert!(message(&Pair::new(&constant, &good)).starts_with("`fixed`: every voxel"));
    for missing in [f32::NAN, f32::INFINITY] {
        let nothing = Volume::from_fn(place, |_| missing);
        assert!(message(&Pair::new(&good, &nothing)).contains("no voxel that is compared"));
        assert!(message(&Pair::new(&nothing, &good)).contains("no voxel that is compared"));
    }
    let empty = Mask::from_indices(place, &[]).unwrap();
    let pair = Pair { fixed_mask: Some(&empty), ..Pair::new(&good, &good) };
    assert_eq!(message(&pair), "`fixed_mask`: the mask is empty");
    let pair = Pair { moving_mask: Some(&empty), ..Pair::new(&good, &good) };
    assert_eq!(message(&pair), "`moving_mask`: the mask is empty");
    let few = Mask::from_indices(place, &[700, 701, 2000]).unwrap();
    let pair = Pair { fixed_mask: Some(&few), ..Pair::new(&good, &good) };
    assert!(message(&pair).contains("3 voxels can be compared, 100 are needed"));
    let elsewhere = Mask::full(grid([24, 24, 8], [4.0, 4.0, 11.0], [0.0; 3]));
    let pair = Pair { fixed_mask: Some(&elsewhere), ..Pair::new(&good, &good) };
    assert!(message(&pair).contains("mm apart"));
    let none = RigidSettings { n_levels: 0, ..settings };
    assert!(register_rigid(&Pair::new(&good, &good), &none).is_err());
    let huge: Volume<f32> =
        Volume::from_fn(place, |i| if i % 2 == 0 { f32::MAX } else { f32::MIN });
    assert!(register_rigid(&Pair::new(&huge, &good), &settings).is_err());
}

#[test]
fn missing_voxels_and_single_slices_are_no_obstacle() {
    let truth = Rigid::new([0.0, 0.0, 0.05], [3.0, -2.0, 0.0], [0.0; 3]).unwrap();
    let place = grid([64, 64, 1], [1.6, 1.6, 4.0], [0.0; 3]);
    let (mut fixed, mut moving) = pair(&truth, (place, place), (DESS, MESE), 5.0);
    for image in [&mut fixed, &mut moving] {
        for (index, value) in image.voxels_mut().iter_mut().enumerate() {
            if index % 41 == 0 {
                *value = if index % 2 == 0 { f32::NAN } else { f32::NEG_INFINITY };
            }
        }
    }
    let found = register_rigid(&Pair::new(&fixed, &moving), &RigidSettings::default()).unwrap();
    for p in [[0.0; 3], [20.0, 15.0, 0.0], [-20.0, 10.0, 0.0]] {
        let (a, b) = (found.transform.apply(p), truth.apply(p));
        assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 0.4, "{a:?} {b:?} {:?}", found.report);
    }
    for shape in [[1, 64, 64], [64, 1, 64], [1, 1, 200], [200, 1, 1], [1, 1, 1]] {
        let line = seen(grid(shape, [1.0; 3], [0.0; 3]), &truth, DESS, (5.0, 1));
        let found = register_rigid(&Pair::new(&line, &line), &RigidSettings::default());
        assert!(found.is_ok() != (shape == [1, 1, 1]), "{shape:?} {found:?}");
    }
}
