use super::*;
use crate::image::{Affine, Volume};
use crate::noise::phantom::{self, EDGE};
use crate::noise::rician;
use crate::random::StreamKey;

fn grid(shape: [usize; 3]) -> Grid {
    Grid::new(shape, Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap()
}

/// One volume of `amplitude` with Rician noise of `sigma`.
fn noisy(shape: [usize; 3], sigma: f64, amplitude: impl Fn([usize; 3]) -> f64) -> (Series, Mask) {
    let grid = grid(shape);
    let key = StreamKey::new(5, "wavelet");
    let draw =
        |voxel: usize| rician::draw(amplitude(grid.voxel(voxel)), sigma, &mut key.stream(voxel, 0));
    let signals = (0..grid.n_voxels()).map(draw).collect();
    (Series::from_signals(grid, signals).unwrap(), Mask::full(grid))
}

#[track_caller]
fn recovered(series: &Series, mask: &Mask, sigma: f64) -> NoiseEstimate {
    let estimate = estimate(series, mask, &[0]).unwrap();
    assert!((estimate.level.sigma() / sigma - 1.0).abs() < 0.03, "{estimate:?}");
    assert_eq!(estimate.level.method(), NoiseMethod::Wavelet);
    estimate
}

#[test]
fn detail_recovers_sigma_on_a_phantom_that_is_half_air() {
    let (series, mask) = phantom::half_air(7.0, &[1.0], "wavelet");
    let estimate = recovered(&series, &mask, 7.0);
    assert!(estimate.warnings.is_empty(), "{estimate:?}");
    assert!(estimate.level.n_voxels().abs_diff(mask.len() / 2) < mask.len() / 20);
}

#[test]
fn shading_does_not_pass_for_noise() {
    let shaded = |[i, j, k]: [usize; 3]| {
        let (x, y, z) = (i as f64 / 64.0, j as f64 / 64.0, k as f64 / 64.0);
        200.0 + 150.0 * (3.0 * x).sin() * (2.0 * y).cos() + 80.0 * z * x
    };
    let (series, mask) = noisy([EDGE; 3], 7.0, shaded);
    recovered(&series, &mask, 7.0);
}

#[test]
fn dim_foreground_is_brought_from_rician_to_sigma() {
    for amplitude in [0.0, 1.0, 2.0, 3.0, 4.0] {
        let (series, mask) = noisy([EDGE; 3], 7.0, |_| 7.0 * amplitude);
        recovered(&series, &mask, 7.0);
    }
}

#[test]
fn a_single_slice_uses_squares() {
    let (series, mask) = noisy([256, 256, 1], 3.0, |_| 100.0);
    recovered(&series, &mask, 3.0);
}

#[test]
fn gaussian_noise_is_recovered() {
    let grid = grid([EDGE; 3]);
    let key = StreamKey::new(6, "gaussian");
    let draw = |voxel: usize| 100.0 + 4.0 * key.stream(voxel, 0).normal();
    let series = Series::from_signals(grid, (0..grid.n_voxels()).map(draw).collect()).unwrap();
    recovered(&series, &Mask::full(grid), 4.0);
}

#[test]
fn the_fixed_point_inverts_mean_over_sd() {
    for amplitude in [0.5, 1.0, 2.0, 3.0, 4.5] {
        let sd = standard_deviation(amplitude, 1.0);
        let found = spread(rician::mean(amplitude, 1.0) / sd);
        assert!((found / sd - 1.0).abs() < 1e-6, "{amplitude}: {found} is not {sd}");
    }
    assert!((spread(0.3) - SD_OF_PURE_NOISE).abs() < 1e-15);
}

#[test]
fn interpolated_images_are_refused() {
    // Linear interpolation to twice the matrix in the plane.
    let (series, _) = noisy([33, 33, 32], 7.0, |_| 200.0);
    let coarse = *series.grid();
    let fine = grid([64, 64, 32]);
    let value = |voxel: usize| {
        let [i, j, k] = fine.voxel(voxel);
        let at = |a: usize, b: usize| series.signal(coarse.index([a, b, k]), 0);
        let (a, b, c, d) = (i / 2, j / 2, i.div_ceil(2), j.div_ceil(2));
        0.25 * (at(a, b) + at(c, b) + at(a, d) + at(c, d))
    };
    let signals = (0..fine.n_voxels()).map(value).collect();
    let interpolated = Series::from_signals(fine, signals).unwrap();
    let error = estimate(&interpolated, &Mask::full(fine), &[0]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("the images are interpolated or filtered"), "{text}");
}

#[test]
fn images_without_noise_or_voxels_have_no_sigma() {
    let (series, mask) = noisy([16; 3], 2.0, |_| 100.0);
    let of = |change: &dyn Fn(usize, f64) -> f64| {
        let signals = (0..mask.len()).map(|voxel| change(voxel, series.signal(voxel, 0)));
        let changed = Series::from_signals(*mask.grid(), signals.collect()).unwrap();
        estimate(&changed, &mask, &[0])
    };
    assert!(of(&|_, m| m).is_ok());
    for (error, expected) in [
        (of(&|_, _| 5.0), "noise level 0 from method `wavelet` is not a positive number"),
        (of(&|_, _| 0.0), "method `wavelet` found 0 usable voxels, fewer than 30"),
        (of(&|_, _| f64::NAN), "method `wavelet` found 0 usable voxels, fewer than 30"),
        (estimate(&series, &mask, &[]), "method `wavelet` found 0 usable voxels, fewer than 30"),
        (estimate(&series, &mask, &[1]), "volume 1 is not among the 1 volumes of the series"),
    ] {
        let text = error.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
    let rare = of(&|voxel, m| if voxel % 97 == 0 { f64::NAN } else { m }).unwrap();
    assert!((rare.level.sigma() / 2.0 - 1.0).abs() < 0.15);
    let scattered = Mask::new(Volume::from_fn(*mask.grid(), |voxel| voxel % 2 == 0));
    assert!(estimate(&series, &scattered, &[0]).is_err());
}
