use super::*;
use crate::acquisition::{MultiEcho, Protocol};
use crate::fit::{FitSettings, estimator};
use crate::image::{Affine, Grid, Samples, Scaling};
use crate::model::FitStatus;
use crate::model::find;
use crate::noise::{NoiseDistribution, NoiseMethod};
use crate::random::StreamKey;
use std::sync::atomic::{AtomicUsize, Ordering};

const ECHOES: [f64; 4] = [0.01, 0.025, 0.04, 0.07];

fn grid(shape: [usize; 3]) -> Grid {
    Grid::new(shape, Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap()
}

fn t2() -> Box<dyn Estimator> {
    let protocol = Protocol::MultiEcho(MultiEcho::new(ECHOES.to_vec()).unwrap());
    estimator(find("t2").unwrap(), &protocol, &FitSettings::default()).unwrap()
}

/// Noisy decays, with some air, NaN and negative voxels among them.
fn series(grid: Grid) -> Series {
    let n = grid.n_voxels();
    let mut signals = vec![0.0; n * ECHOES.len()];
    for voxel in 0..n {
        let mut stream = StreamKey::new(7, "voxelwise").stream(voxel, 0);
        for (k, echo_time) in ECHOES.iter().enumerate() {
            let amplitude = if voxel % 5 == 0 { 0.0 } else { 500.0 };
            let clean = amplitude * (-echo_time / 0.04).exp();
            signals[k * n + voxel] = match voxel % 97 {
                13 => f64::NAN,
                14 => -1.0,
                _ => clean + 10.0 * stream.normal(),
            };
        }
    }
    Series::from_signals(grid, signals).unwrap()
}

fn bits(fits: &Fits) -> Vec<u64> {
    let columns = fits.estimates.iter().chain(&fits.standard_errors);
    let scalars = [&fits.residual_sum_of_squares, &fits.r_squared];
    let status = fits.status.iter().map(|status| u64::from(status.code()));
    columns
        .chain(scalars)
        .flatten()
        .map(|value| value.to_bits())
        .chain(status)
        .chain(fits.evaluations.iter().map(|&count| u64::from(count)))
        .chain(fits.degrees_of_freedom.iter().map(|&degrees| u64::from(degrees)))
        .collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let grid = grid([31, 23, 5]);
    let (series, mask) = (series(grid), Mask::full(grid));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bits(&voxelwise(&*t2(), &Voxelwise::new(&series, &mask)).unwrap()))
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

#[test]
fn a_voxel_is_fitted_as_if_it_were_alone() {
    let grid = grid([40, 30, 1]);
    let series = series(grid);
    let all = voxelwise(&*t2(), &Voxelwise::new(&series, &Mask::full(grid))).unwrap();
    for voxel in [0, 1, 12, 13, 14, 15, 511, 512, 1199] {
        let mask = Mask::from_indices(grid, &[voxel]).unwrap();
        let alone = voxelwise(&*t2(), &Voxelwise::new(&series, &mask)).unwrap();
        assert_eq!(alone.status[0], all.status[voxel]);
        for parameter in 0..2 {
            assert_eq!(
                alone.estimates[parameter][0].to_bits(),
                all.estimates[parameter][voxel].to_bits()
            );
        }
    }
    assert_eq!(all.status[13], FitStatus::NonFinite);
    assert_eq!(all.status[14], FitStatus::NoSignal);
}

#[test]
fn maps_are_zero_where_nothing_is_known_and_counts_add_up() {
    let grid = grid([40, 30, 1]);
    let series = series(grid);
    let inside: Vec<usize> = (0..900).collect();
    let mask = Mask::from_indices(grid, &inside).unwrap();
    let fits = voxelwise(&*t2(), &Voxelwise::new(&series, &mask)).unwrap();
    let t2_map = fits.estimate_map(0).unwrap();
    let status = fits.status_map();
    for voxel in 0..grid.n_voxels() {
        let has_value = t2_map.voxels()[voxel].abs() > 0.0;
        let known = mask.contains(voxel) && fits.status[voxel].has_estimate();
        assert_eq!(has_value, known);
        assert_eq!(status.voxels()[voxel] == 0, !mask.contains(voxel));
    }
    assert!(fits.standard_error_map(0).unwrap().voxels()[1] > 0.0);
    assert!(fits.r_squared_map().unwrap().voxels()[1] > 0.8);
    assert_eq!(fits.status_counts().iter().map(|(_, count)| count).sum::<usize>(), 900);
    assert!(fits.estimate_map(2).is_err());
    assert_eq!(fits.n_voxels(), 900);
}

#[test]
fn a_known_noise_level_scales_the_standard_errors_and_chi_square_is_one() {
    let grid = grid([60, 50, 1]);
    let (series, mask) = (series(grid), Mask::full(grid));
    let noise = NoiseLevel::new(10.0, NoiseDistribution::Gaussian, NoiseMethod::Given, 0).unwrap();
    let free = voxelwise(&*t2(), &Voxelwise::new(&series, &mask)).unwrap();
    let input = Voxelwise { noise: Some(&noise), ..Voxelwise::new(&series, &mask) };
    let known = voxelwise(&*t2(), &input).unwrap();
    let chi_square = known.reduced_chi_square(10.0);
    for (voxel, chi_square) in chi_square.iter().enumerate() {
        if known.status[voxel] == FitStatus::Converged {
            let ratio = free.standard_errors[0][voxel] / known.standard_errors[0][voxel];
            assert!((ratio / chi_square.sqrt() - 1.0).abs() < 1e-9);
        }
    }
    let inside: Vec<f64> = (0..chi_square.len())
        .filter(|&voxel| voxel % 5 != 0 && known.status[voxel] == FitStatus::Converged)
        .map(|voxel| chi_square[voxel])
        .collect();
    assert!(inside.len() > 2000);
    let mean = inside.iter().sum::<f64>() / inside.len() as f64;
    // χ²₂/2 has variance 1: four standard errors.
    assert!((mean - 1.0).abs() < 4.0 / (inside.len() as f64).sqrt(), "{mean}");
}

#[test]
fn inputs_that_do_not_belong_together_are_refused_with_the_fix() {
    let here = grid([4, 3, 2]);
    let series = series(here);
    let mask = Mask::full(here);
    let other = Mask::full(grid([3, 4, 2]));
    let refuse = |input: &Voxelwise<'_>, estimator: &dyn Estimator| {
        let error = voxelwise(estimator, input).unwrap_err();
        (error.to_string(), error.hint_text().map(str::to_owned))
    };
    let (text, hint) = refuse(&Voxelwise::new(&series, &other), &*t2());
    assert_eq!(text, "`mask`: shape [3, 4, 2] is not the expected [4, 3, 2]");
    assert!(hint.unwrap().contains("resample"));
    let short = series.select(&[0, 1]).unwrap();
    let (text, hint) = refuse(&Voxelwise::new(&short, &mask), &*t2());
    assert_eq!(text, "`series`: the series has 2 volumes, its protocol describes 4");
    assert!(hint.is_some());
    let constant = [Volume::from_fn(here, |_| 1.2)];
    let input = Voxelwise { fixed: &constant, ..Voxelwise::new(&series, &mask) };
    assert_eq!(refuse(&input, &*t2()).0, "`fixed`: 1 constant maps given, 0 needed");
}

#[test]
fn an_empty_mask_gives_empty_columns_and_progress_counts_every_voxel() {
    let grid = grid([40, 30, 2]);
    let series = series(grid);
    let none = Mask::from_indices(grid, &[]).unwrap();
    assert_eq!(voxelwise(&*t2(), &Voxelwise::new(&series, &none)).unwrap().n_voxels(), 0);
    let done = AtomicUsize::new(0);
    let count = |voxels: usize| {
        done.fetch_add(voxels, Ordering::Relaxed);
    };
    let mask = Mask::full(grid);
    let input = Voxelwise { progress: Some(&count), ..Voxelwise::new(&series, &mask) };
    voxelwise(&*t2(), &input).unwrap();
    assert_eq!(done.into_inner(), 2400);
}

/// The same signals in 32-bit, straight from the volumes or gathered, and in 64-bit.
#[test]
fn single_precision_is_fitted_to_the_bits_of_double() {
    let grid = grid([40, 20, 3]);
    let double = series(grid);
    let values: Vec<f32> = (0..ECHOES.len())
        .flat_map(|volume| (0..grid.n_voxels()).map(move |voxel| (volume, voxel)))
        .map(|(volume, voxel)| double.signal(voxel, volume) as f32)
        .collect();
    let wide = Series::from_signals(grid, values.iter().map(|&y| f64::from(y)).collect()).unwrap();
    let scalings = vec![Scaling::IDENTITY; ECHOES.len()];
    let single = Series::new(grid, Samples::Single(values), scalings).unwrap();
    let odd = Mask::new(Volume::from_fn(grid, |voxel| voxel % 37 > 5));
    for mask in [Mask::full(grid), odd] {
        let [a, b] = [&single, &wide]
            .map(|series| voxelwise(&*t2(), &Voxelwise::new(series, &mask)).unwrap());
        assert_eq!(a.status, b.status);
        assert_eq!(a.degrees_of_freedom, b.degrees_of_freedom);
        assert_eq!(a.evaluations, b.evaluations);
        let columns = |fits: &Fits| -> Vec<f64> {
            let columns = fits.estimates.iter().chain(&fits.standard_errors);
            columns
                .chain([&fits.residual_sum_of_squares, &fits.r_squared])
                .flatten()
                .copied()
                .collect()
        };
        for (a, b) in columns(&a).iter().zip(columns(&b)) {
            // Fits of single lanes divide by the degrees of freedom, those of blocks multiply.
            let close = (a - b).abs() <= 4.0 * f64::EPSILON * b.abs();
            assert!(close || (a.is_nan() && b.is_nan()), "{a} {b}");
        }
    }
}
