//! Movement in a series is found and undone.

use super::phantom::{Contrast, grid, seen};
use crate::image::Series;
use crate::registration::motion::{MotionSettings, Reference, estimate_motion, resample_series};
use crate::registration::{PointMap, Rigid};

/// Three contrasts as of rising b-values, each moved on its own.
fn moved_series() -> (Series, Vec<Rigid>) {
    let place = grid([64, 64, 24], [1.6, 1.6, 4.0], [0.05, 0.1, 0.0]);
    let truth = [
        Rigid::identity([0.0; 3]),
        Rigid::new([0.02, -0.01, 0.03], [1.5, -1.0, 2.0], [0.0; 3]).unwrap(),
        Rigid::new([-0.03, 0.02, 0.0], [-2.0, 0.5, 1.0], [0.0; 3]).unwrap(),
    ];
    let contrasts = [
        Contrast([0.0, 90.0, 40.0, 60.0, 160.0, 220.0]),
        Contrast([0.0, 60.0, 35.0, 45.0, 100.0, 90.0]),
        Contrast([0.0, 40.0, 30.0, 33.0, 60.0, 35.0]),
    ];
    let mut signals = Vec::new();
    for (k, (rigid, contrast)) in truth.iter().zip(contrasts).enumerate() {
        let volume = seen(place, &rigid.inverse(), contrast, (3.0, k as u64));
        signals.extend(volume.voxels().iter().map(|&v| f64::from(v)));
    }
    (Series::from_signals(place, signals).unwrap(), truth.to_vec())
}

#[test]
fn every_volume_is_brought_back_though_its_contrast_differs() {
    let (series, truth) = moved_series();
    let settings = MotionSettings::new(Reference::Volume(0));
    let found = estimate_motion(&series, None, &settings).unwrap();
    assert!(found[0].report.extent.displacement_max_mm <= 0.0);
    for (found, truth) in found.iter().zip(&truth) {
        for p in [[0.0; 3], [25.0, 20.0, 30.0], [-20.0, 25.0, -30.0]] {
            let (a, b) = (found.transform.apply(p), truth.apply(p));
            let distance_mm = (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt();
            // Voxels of 1.6 × 1.6 × 4 mm, SNR 10–30.
            assert!(distance_mm < 0.3, "{distance_mm} {:?}", found.report);
        }
    }
    let transforms: Vec<Rigid> = found.iter().map(|f| *f.transform.rigid()).collect();
    let back = resample_series(&series, &transforms).unwrap();
    let still = resample_series(&series, &truth).unwrap();
    let first = |series: &Series| -> Vec<f64> {
        (0..series.grid().n_voxels()).map(|i| series.signal(i, 0)).collect()
    };
    assert!(first(&back).iter().zip(first(&series)).all(|(a, b)| (a - b).abs() < 1e-4));
    let spread = |other: &Series| {
        let n = other.grid().n_voxels();
        let inside: Vec<f64> = (0..n)
            .map(|i| (back.signal(i, 2) - other.signal(i, 2)).powi(2))
            .filter(|d| d.is_finite())
            .collect();
        (inside.iter().sum::<f64>() / inside.len() as f64).sqrt()
    };
    assert!(spread(&still) < 0.5 * spread(&series), "{} {}", spread(&still), spread(&series));
}

#[test]
fn references_and_transforms_must_fit_the_series() {
    let (series, truth) = moved_series();
    for reference in [Reference::Volume(3), Reference::Mean(1..1), Reference::Mean(2..4)] {
        let error = estimate_motion(&series, None, &MotionSettings::new(reference)).unwrap_err();
        assert_eq!(error.field(), Some("reference"));
    }
    assert!(resample_series(&series, &truth[..2]).is_err());
}
