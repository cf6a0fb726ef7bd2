use super::*;
use crate::image::{Affine, Grid};
use crate::noise::phantom::{self, EDGE};

const SHAPE: [usize; 3] = [48, 48, 3];
const VOLUMES: [usize; 5] = [0, 1, 2, 3, 4];

/// The hash of `tests/it/golden/piesno.py`, between 0 and 1.
fn uniform(index: usize) -> f64 {
    let mut z = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    ((z >> 11) as f64 + 0.5) / 2.0_f64.powi(53)
}

/// The phantom of `tests/it/golden/piesno.py`.
fn discs(n_channels: usize) -> Series {
    let grid = Grid::new(SHAPE, Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
    let mut signals = Vec::new();
    for volume in VOLUMES {
        for voxel in 0..grid.n_voxels() {
            let [i, j, _] = grid.voxel(voxel).map(|place| place as f64);
            let is_bright = (i - 20.0).powi(2) + (j - 20.0).powi(2) < 144.0;
            let is_dim = (i - 36.0).powi(2) + (j - 36.0).powi(2) < 49.0;
            let amplitude = if is_bright { 200.0 } else { 10.5 * f64::from(u8::from(is_dim)) };
            let amplitude = amplitude / (n_channels as f64).sqrt();
            let mut square = 0.0;
            for channel in 0..n_channels {
                let draw = 2 * ((voxel * VOLUMES.len() + volume) * n_channels + channel);
                let radius = (-2.0 * uniform(draw).ln()).sqrt();
                let angle = std::f64::consts::TAU * uniform(draw + 1);
                let real = amplitude + 7.0 * radius * angle.cos();
                square += real * real + (7.0 * radius * angle.sin()).powi(2);
            }
            signals.push(square.sqrt());
        }
    }
    Series::from_signals(grid, signals).unwrap()
}

#[test]
fn sigma_and_noise_voxels_are_those_of_dipy() {
    // Made by `tests/it/golden/piesno.py`: channels, slice, sigma, voxels, sum of places mod 65521.
    for (n_channels, k, sigma, n_voxels, places) in [
        (1, 0, 7.189_503, 1_817, 47_109),
        (1, 1, 7.187_858, 1_806, 920),
        (1, 2, 7.185_402, 1_818, 41_960),
        (2, 0, 7.145_720, 1_835, 16_844),
        (2, 1, 7.114_905, 1_827, 19_670),
        (2, 2, 7.054_238, 1_826, 32_344),
        (3, 0, 7.115_745, 1_838, 19_018),
        (3, 1, 7.082_952, 1_841, 10_186),
        (3, 2, 7.092_456, 1_832, 3680),
    ] {
        let slice = slices(&discs(n_channels), &VOLUMES, n_channels).unwrap().remove(k);
        // DIPY stores sigma in single precision and sums squares in it.
        assert!((slice.sigma / sigma - 1.0_f64).abs() < 1e-6, "{} is not {sigma}", slice.sigma);
        assert_eq!(slice.noise.len(), n_voxels, "{n_channels} channels, slice {k}");
        assert_eq!(slice.noise.iter().sum::<usize>() % 65_521, places);
    }
}

#[test]
fn air_of_any_weighting_recovers_sigma() {
    let (series, all) = phantom::half_air(6.0, &[1.0, 0.6, 0.3, 0.1], "piesno");
    let estimate = estimate(&series, &[0, 1, 2, 3], 1).unwrap();
    assert!((estimate.level.sigma() / 6.0 - 1.0).abs() < 0.03, "{estimate:?}");
    assert_eq!(estimate.level.method(), NoiseMethod::Piesno);
    assert!(estimate.warnings.is_empty() && estimate.agreement.is_some_and(|a| a < 0.05));
    // 99 % of the air, by construction of the limits.
    let air = all.len() as f64 / 2.0;
    assert!((estimate.level.n_voxels() as f64 / air - 0.99).abs() < 0.005);
    for slice in slices(&series, &[0, 1, 2, 3], 1).unwrap() {
        assert!(slice.noise.iter().all(|&voxel| all.grid().voxel(voxel)[1] < EDGE / 2));
    }
}

#[test]
fn shapes_of_noise_are_those_of_the_chi_distribution() {
    let of_one = super::super::rician::SD_OF_PURE_NOISE / super::super::rician::MEAN_OF_PURE_NOISE;
    assert!((shape_of_noise(1) / of_one - 1.0).abs() < 1e-12);
    // Two channels: E[m] = 1.879971 sigma, E[m^2] = 4 sigma^2.
    assert!((shape_of_noise(2) - 0.362_999).abs() < 1e-5);
}

#[test]
fn a_scaled_series_has_the_scaled_sigma() {
    let (series, all) = phantom::half_air(6.0, &[1.0, 0.5], "piesno");
    let tiny = (0..2 * all.len()).map(|i| 1e-6 * series.signal(i % all.len(), i / all.len()));
    let tiny = Series::from_signals(*all.grid(), tiny.collect()).unwrap();
    let of = |series: &Series| estimate(series, &[0, 1], 1).unwrap().level.sigma();
    assert!((of(&tiny) / of(&series) / 1e-6 - 1.0).abs() < 1e-4);
}

#[test]
fn blanked_background_and_bad_input_are_refused() {
    let (series, all) = phantom::half_air(6.0, &[1.0, 0.7, 0.5], "piesno-bad");
    let volumes = [0, 1, 2];
    let of = |change: &dyn Fn(usize, f64) -> f64| {
        let signals = (0..3 * all.len())
            .map(|i| change(i % all.len(), series.signal(i % all.len(), i / all.len())));
        let changed = Series::from_signals(*all.grid(), signals.collect()).unwrap();
        estimate(&changed, &volumes, 1)
    };
    assert!(of(&|_, m| m).is_ok());
    let is_air = |voxel: usize| all.grid().voxel(voxel)[1] < EDGE / 2;
    for refused in [
        of(&|voxel, m| if is_air(voxel) { 0.0 } else { m }),
        of(&|_, _| 0.0),
        of(&|_, _| f64::NAN),
        of(&|_, _| 12.0),
        // Four averaged channels: the SD falls, the floor does not.
        of(&|_, m| 7.52 + (m - 7.52) / 2.0),
    ] {
        let text = refused.unwrap_err().to_string();
        assert!(text.starts_with("`noise.method`: method `piesno`"), "{text}");
    }
    let rare = of(&|voxel, m| if voxel % 50 == 0 { f64::NAN } else { m }).unwrap();
    assert!((rare.level.sigma() / 6.0 - 1.0).abs() < 0.03);
    for (volumes, n_channels, expected) in [
        (&[0][..], 1, "1 volumes, fewer than 2"),
        (&[0, 1], 0, "0 channels"),
        (&[0, 3], 1, "volume 3 is not among the 3 volumes"),
    ] {
        let text = estimate(&series, volumes, n_channels).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}
