//! What a registered region says of itself, against closed forms and against the other order.

use super::*;
use crate::acquisition::{MultiEcho, Protocol};
use crate::pipeline::observer::Silent;
use crate::pipeline::plan::Plan;
use crate::pipeline::spec::Spec;
use crate::pipeline::voxels::{Repeated, VoxelResult, VoxelWork, measure_voxels};
use crate::random::StreamKey;
use crate::registration::{Extent, Metric, Outcome, Report};

const SIGMA: f64 = 10.0;
const SLOPE_S_PER_MM: f64 = 1e-3;
const RADIUS_MM: f64 = 8.0;

fn grid(shape: [usize; 3], spacing_mm: f64, first_mm: f64) -> Grid {
    Grid::new(shape, Affine::from_spacing([spacing_mm; 3], [first_mm; 3]).unwrap()).unwrap()
}

/// T2 = 40 ms + 1 ms/mm · x in every voxel, echoes at 10–60 ms, amplitude 1000, Gaussian noise.
fn series() -> LoadedSeries {
    let place = grid([32, 32, 32], 1.0, -15.5);
    let times_s: Vec<f64> = (1..=6).map(|echo| 0.01 * f64::from(echo)).collect();
    let key = StreamKey::new(1, "series");
    let n = place.n_voxels();
    let mut signals = vec![0.0; n * times_s.len()];
    for voxel in 0..n {
        let t2_s = 0.040 + SLOPE_S_PER_MM * place.position_mm(voxel)[0];
        let mut stream = key.stream(voxel, 0);
        for (echo, time_s) in times_s.iter().enumerate() {
            signals[echo * n + voxel] = 1000.0 * (-time_s / t2_s).exp() + SIGMA * stream.normal();
        }
    }
    LoadedSeries {
        series: Series::from_signals(place, signals).unwrap(),
        protocol: Protocol::MultiEcho(MultiEcho::new(times_s).unwrap()),
        header: Header::of_grid(place),
        warnings: Vec::new(),
    }
}

/// A ball drawn on voxels of half the size, which lie a quarter of a voxel beside those of the series.
fn drawn() -> Mask {
    let fine = grid([64, 64, 64], 0.5, -15.75);
    Mask::new(Volume::from_fn(fine, |index| {
        fine.position_mm(index).iter().map(|x| x * x).sum::<f64>() < RADIUS_MM * RADIUS_MM
    }))
}

fn still() -> Registration {
    let extent = Extent {
        displacement_max_mm: 0.0,
        displacement_p95_mm: 0.0,
        jacobian_min: 1.0,
        jacobian_max: 1.0,
    };
    let report = Report {
        outcome: Outcome::Registered,
        metric: Metric::MutualInformation,
        metric_before: 1.0,
        metric_after: 1.0,
        overlap: 1.0,
        extent,
        iterations: 0,
        evaluations: 0,
    };
    Registration { transform: Transform::identity(), report }
}

fn measured(order: &str, sd_mm: f64) -> VoxelResult {
    let text = format!(
        "[study]\ndataset = \".\"\n[[fit]]\nmodel = \"t2\"\nseries = {{ suffix = \"MESE\" }}\n\
         region = {{ image = {{ suffix = \"dseg\" }} }}\n\
         registration = {{ to = {{ suffix = \"T2w\" }}, kind = \"rigid\", order = \"{order}\" }}\n\
         noise = {{ method = \"given\", sigma = {SIGMA} }}\n\
         uncertainty = {{ pseudo_experiments = 20, region_pseudo_experiments = 200, \
         registration_sd_mm = {sd_mm:?} }}\n"
    );
    let spec = Spec::parse(Path::new("a.toml"), text, &[]).unwrap();
    let plan = Plan::check(&spec).unwrap();
    let drawn = drawn();
    let joined = Joined { drawn: &drawn, least: 0.5, found: still() };
    let registered = if order == "fit_then_map" {
        joined.carried(series(), REACH * sd_mm).unwrap()
    } else {
        joined.resampled(series()).unwrap()
    };
    let work = VoxelWork {
        plan: &plan.fit[0],
        loaded: &registered.loaded,
        region: &registered.region,
        fixed: &[],
        artery: None,
        key: StreamKey::new(5, "sub-01"),
        bridge: Some(&registered.bridge),
    };
    measure_voxels(work, &Silent).unwrap()
}

fn repeated(result: &VoxelResult) -> Repeated {
    result.method.as_ref().unwrap().repeated.unwrap()
}

/// A shift by s moves the T2 of the whole region by s · slope: its SD is that of the shift times the
/// slope, to the 5 % that 200 draws leave.
#[test]
fn the_error_of_the_transform_grows_by_the_slope_of_t2() {
    for order in ["register_then_fit", "fit_then_map"] {
        let exact = repeated(&measured(order, 0.0));
        for sd_mm in [0.3, 0.9] {
            let moved = repeated(&measured(order, sd_mm));
            let [_, median] = moved.standard_errors_of_quartiles;
            for error in [moved.standard_error, median] {
                let ratio = error.unwrap() / (sd_mm * SLOPE_S_PER_MM);
                assert!((ratio - 1.0).abs() < 0.18, "{order}, {sd_mm} mm: {ratio}");
            }
            let of_noise = exact.standard_error.unwrap();
            assert!(of_noise < 0.2 * moved.standard_error.unwrap(), "{order}: {of_noise}");
        }
    }
}

/// Eight interpolated voxels stand for one that was measured: drawn where it was measured, noise
/// leaves the same standard error as where nothing was interpolated.
#[test]
fn interpolated_voxels_share_their_noise() {
    let interpolated = measured("register_then_fit", 0.0);
    let native = measured("fit_then_map", 0.0);
    let [of_interpolated, of_native] =
        [&interpolated, &native].map(|result| repeated(result).standard_error.unwrap());
    let n = interpolated.fits.n_voxels() as f64 / native.fits.n_voxels() as f64;
    assert!((7.0..9.0).contains(&n), "{n}");
    // Interpolation weighs voxels beyond the border, and fits less noise: 200 draws each, 7 %.
    let ratio = of_interpolated / of_native;
    assert!((ratio - 1.0).abs() < 0.22, "{ratio}");
    // Taken as independent they would promise almost three times as much.
    let sum: f64 = interpolated.uncertainties[0].standard_deviation.iter().map(|s| s * s).sum();
    assert!(sum.sqrt() / (interpolated.fits.n_voxels() as f64) < 0.6 * of_interpolated);
}

/// Weights ¾ and ¼ along each axis: √(⅝³).
#[test]
fn interpolated_noise_is_scaled_by_its_weights() {
    let result = measured("register_then_fit", 0.0);
    let expected = 0.625_f64.powf(1.5);
    assert!(result.noise_scale.iter().all(|scale| (scale - expected).abs() < 1e-9));
    let measured = measured("fit_then_map", 0.0);
    assert!(measured.noise_scale.is_empty());
    // Same place, same T2, standard errors by covariance in the ratio of the noise.
    let middle = |result: &VoxelResult| {
        let errors = &result.fits.standard_errors[0];
        errors.iter().sum::<f64>() / errors.len() as f64
    };
    let ratio = middle(&result) / middle(&measured);
    assert!((ratio / expected - 1.0).abs() < 0.03, "{ratio}");
    // χ² of interpolated signals is near 1 only where the scale is taken out.
    let columns = result.quality_columns();
    let chi = columns.iter().find(|column| column.label == "Chisquare").unwrap();
    let mean = chi.values.iter().sum::<f64>() / chi.values.len() as f64;
    assert!((mean - 1.0).abs() < 0.1, "{mean}");
}
