//! The Rician distribution: magnitude of a complex signal with normal noise in both channels.
//!
//! M = √((A + σn₁)² + (σn₂)²), n ~ N(0, 1). Parallel imaging with several effective channels
//! (non-central χ) is not covered.
//!
//! # Reference
//!
//! Rice, "Mathematical analysis of random noise", Bell System Technical Journal 1944,
//! doi:10.1002/j.1538-7305.1944.tb00874.x; Gudbjartsson and Patz, "The Rician distribution of noisy
//! MRI data", Magnetic Resonance in Medicine 1995, doi:10.1002/mrm.1910340618.

#![allow(
    clippy::inline_always,
    reason = "vector code works only inside the function that has its instructions"
)]

use fearless_simd::prelude::*;
use fearless_simd::{dispatch, f32x16, f64x8};

use super::bessel::{i0_scaled, i1_scaled};
use crate::random::Stream;
use crate::random::lanes::{self, LaneStream, Spread};

/// E\[M\] / σ at amplitude 0: √(π/2).
pub const MEAN_OF_PURE_NOISE: f64 = 1.253_314_137_315_500_3;

/// SD(M) / σ at amplitude 0: √(2 − π/2).
pub const SD_OF_PURE_NOISE: f64 = 0.655_136_377_562_033_6;

/// A/σ below which single precision is enough for a drawn magnitude: it is off by less than
/// 1e-4 σ.
pub(crate) const SINGLE_BELOW: f64 = 1000.0;

/// A/σ from which mean and SD come from their asymptotic series: the closed form of the SD would
/// lose digits by cancellation.
const ASYMPTOTIC_FROM: f64 = 20.0;

/// Expectation of the magnitude at `amplitude` under `sigma`, both in signal units.
///
/// NaN for NaN; even in `amplitude`. Relative error below 1e-14.
pub fn mean(amplitude: f64, sigma: f64) -> f64 {
    let ratio = (amplitude / sigma).abs();
    if ratio > ASYMPTOTIC_FROM {
        sigma * (ratio + excess(ratio) / ratio)
    } else {
        let half = 0.25 * ratio * ratio;
        let bessel = (1.0 + 2.0 * half) * i0_scaled(half) + 2.0 * half * i1_scaled(half);
        sigma * MEAN_OF_PURE_NOISE * bessel
    }
}

/// Standard deviation of the magnitude at `amplitude` under `sigma`, both in signal units.
///
/// NaN for NaN; even in `amplitude`. Relative error below 1e-12.
pub fn standard_deviation(amplitude: f64, sigma: f64) -> f64 {
    let ratio = (amplitude / sigma).abs();
    let variance = if ratio > ASYMPTOTIC_FROM {
        let excess = excess(ratio);
        2.0 * (1.0 - excess) - (excess / ratio).powi(2)
    } else {
        let mean = mean(ratio, 1.0);
        ratio * ratio + 2.0 - mean * mean
    };
    sigma * variance.sqrt()
}

/// r·(E\[M\]/σ − r) for large r = A/σ, from E\[M\]/σ ~ r Σ ((−½)_n)²/n! · (2/r²)^n.
fn excess(ratio: f64) -> f64 {
    let step = 2.0 / (ratio * ratio);
    let (mut term, mut sum) = (0.5, 0.5);
    let mut n = 1.0;
    while term > 0.25 * f64::EPSILON {
        let pochhammer = n - 0.5;
        term *= pochhammer * pochhammer / (n + 1.0) * step;
        sum += term;
        n += 1.0;
    }
    sum
}

/// ln p(M | A, σ) of one `magnitude`; −∞ for a magnitude ≤ 0, NaN for NaN.
pub fn log_density(magnitude: f64, amplitude: f64, sigma: f64) -> f64 {
    if magnitude <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let (m, a) = (magnitude / sigma, (amplitude / sigma).abs());
    (m / sigma).ln() - 0.5 * (m - a) * (m - a) + i0_scaled(m * a).ln()
}

/// The magnitude that the standard normals `normals` make of `amplitude`.
pub fn magnitude(amplitude: f64, sigma: f64, normals: [f64; 2]) -> f64 {
    let real = amplitude + sigma * normals[0];
    let imaginary = sigma * normals[1];
    (real * real + imaginary * imaginary).sqrt()
}

/// Draws one magnitude from `stream`: two normals.
pub fn draw(amplitude: f64, sigma: f64, stream: &mut Stream) -> f64 {
    let real = stream.normal();
    magnitude(amplitude, sigma, [real, stream.normal()])
}

/// Draws magnitudes, shape `[rows.len(), n_replicates]` like `out`: row k is of amplitude
/// `rows[k].centre` under `rows[k].sigma`, of the replicates from `first_replicate` on.
///
/// One radius and one angle make a magnitude, M² = A² + 2Aσr·cos φ + σ²r². NaN in a row gives a row
/// of NaN. Nothing is drawn for no rows; what is beyond the last whole row of `out` is left as it
/// is.
pub fn draw_lanes(stream: &LaneStream, first_replicate: u32, rows: &[Spread], out: &mut [f64]) {
    if !rows.is_empty() && out.len() >= rows.len() {
        dispatch!(stream.level(), simd => magnitudes(simd, stream, first_replicate, rows, out));
    }
}

#[inline(always)]
fn magnitudes<S: Simd>(
    simd: S,
    stream: &LaneStream,
    first_replicate: u32,
    rows: &[Spread],
    out: &mut [f64],
) {
    let n_lanes = out.len() / rows.len();
    let blocks = rows.chunks(2).zip(out.chunks_mut(2 * n_lanes));
    for (block, (rows, out)) in blocks.enumerate() {
        let mut lane = 0;
        while lane < n_lanes {
            let first = first_replicate.wrapping_add(lane as u32);
            let words = stream.words(simd, block as u32, first);
            let n = (n_lanes - lane).min(lanes::WIDTH);
            let mut row = 0;
            while row < rows.len() {
                let square = lanes::squared_radius(simd, words[2 * row]);
                let real = square.sqrt() * lanes::projection(simd, words[2 * row + 1]);
                let (low, high) = magnitude_lanes(simd, rows[row], real, square);
                let start = row * n_lanes + lane;
                lanes::store(low, high, &mut out[start..start + n]);
                row += 1;
            }
            lane += lanes::WIDTH;
        }
    }
}

/// The magnitudes of standard normals whose real parts are `real` and whose squared moduli are
/// `square`.
#[inline(always)]
fn magnitude_lanes<S: Simd>(
    simd: S,
    row: Spread,
    real: f32x16<S>,
    square: f32x16<S>,
) -> (f64x8<S>, f64x8<S>) {
    let amplitude = row.centre.abs();
    // Squares of single precision neither overflow nor vanish in this unit; NaN stays NaN.
    let largest = if amplitude < row.sigma { row.sigma } else { amplitude };
    let unit = if largest < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { largest };
    let (a, s) = (amplitude / unit, row.sigma / unit);
    let (low, high) = if a < SINGLE_BELOW * s {
        let single = |x: f64| f32x16::splat(simd, x as f32);
        let rest = square.mul_add(single(s * s), single(a * a));
        real.mul_add(single(2.0 * a * s), rest).max(0.0).sqrt().widen()
    } else {
        precise_root(simd, [a, s], real, square)
    };
    let unit = f64x8::splat(simd, unit);
    (low * unit, high * unit)
}

/// M/σ − `ratio` for A/σ = `ratio` below [`SINGLE_BELOW`] and standard normals whose real parts are
/// `real` and whose squared moduli are `square`.
#[inline(always)]
pub(crate) fn excess_lanes<S: Simd>(
    simd: S,
    ratio: f32,
    real: f32x16<S>,
    square: f32x16<S>,
) -> f32x16<S> {
    let ratio = f32x16::splat(simd, ratio);
    (ratio + ratio).mul_add(real, ratio.mul_add(ratio, square)).max(0.0).sqrt() - ratio
}

/// √(a² + 2as·real + s²·square): a root in single precision and one Newton step in double.
#[inline(always)]
fn precise_root<S: Simd>(
    simd: S,
    [a, s]: [f64; 2],
    real: f32x16<S>,
    square: f32x16<S>,
) -> (f64x8<S>, f64x8<S>) {
    let double = |x: f64| f64x8::splat(simd, x);
    let ((real_low, real_high), (square_low, square_high)) = (real.widen(), square.widen());
    let (cross, variance) = (double(2.0 * a * s), double(s * s));
    let low = real_low.mul_add(cross, square_low.mul_add(variance, double(a * a)));
    let high = real_high.mul_add(cross, square_high.mul_add(variance, double(a * a)));
    let root = low.narrow(high).max(1e-20).sqrt();
    let (half_low, half_high) = (f32x16::splat(simd, 0.5) / root).widen();
    let (root_low, root_high) = root.widen();
    (
        (low - root_low * root_low).mul_add(half_low, root_low),
        (high - root_high * root_high).mul_add(half_high, root_high),
    )
}

#[cfg(test)]
mod tests {
    use fearless_simd::Level;

    use super::*;
    use crate::random::StreamKey;

    /// Made by `tests/it/golden/rician.py`: numerical integration of the density.
    const MOMENTS: [(f64, f64, f64); 9] = [
        (0.0, 1.253_314_137_316, 0.655_136_377_562),
        (0.5, 1.330_447_340_611, 0.692_755_277_036),
        (1.0, 1.548_572_460_551, 0.775_837_182_934),
        (2.0, 2.272_383_428_069, 0.914_479_937_363),
        (3.0, 3.172_577_287_901, 0.966_826_433_387),
        (5.0, 5.101_069_639_492, 0.989_489_026_241),
        (10.0, 10.050_126_936_677, 0.997_471_080_619),
        (15.0, 15.033_370_620_790, 0.998_883_265_431),
        (25.0, 25.020_008_019_297, 0.999_599_276_873),
    ];

    #[test]
    fn moments_are_the_integrals_of_the_density() {
        for (ratio, expected_mean, expected_sd) in MOMENTS {
            let (mean, sd) = (mean(3.0 * ratio, 3.0) / 3.0, standard_deviation(ratio, 1.0));
            assert!((mean - expected_mean).abs() < 2e-12, "mean at {ratio}: {mean}");
            assert!((sd - expected_sd).abs() < 2e-12, "sd at {ratio}: {sd}");
        }
    }

    #[test]
    fn closed_form_and_asymptotic_moments_meet() {
        let (below, above) = (ASYMPTOTIC_FROM, ASYMPTOTIC_FROM * (1.0 + 1e-15));
        assert!((mean(below, 1.0) / mean(above, 1.0) - 1.0).abs() < 1e-14);
        let sd = standard_deviation(below, 1.0) / standard_deviation(above, 1.0);
        assert!((sd - 1.0).abs() < 1e-12, "{sd}");
        assert!((standard_deviation(1e9, 1.0) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn log_density_agrees_with_scipy_and_does_not_overflow() {
        // Made by `tests/it/golden/rician.py`: scipy.stats.rice.
        for (m, a, sigma, expected) in [
            (0.3, 0.0, 1.0, -1.248_972_804_325_9),
            (2.0, 1.5, 0.7, -6.510_365_413_430_2e-1),
            (40.0, 38.0, 2.5, -2.129_067_576_363_7),
            (900.0, 1000.0, 20.0, -1.646_729_549_668_1e1),
        ] {
            let value = log_density(m, a, sigma);
            assert!((value - expected).abs() < 1e-12 * expected.abs().max(1.0), "{value}");
        }
        assert!(log_density(1e4, 1e4, 1.0).is_finite());
        assert!(log_density(0.0, 1.0, 1.0).is_infinite());
        assert!(log_density(f64::NAN, 1.0, 1.0).is_nan());
    }

    #[test]
    fn drawn_magnitudes_have_the_moments_of_the_distribution() {
        let n = 100_000_u32;
        for amplitude in [0.0, 2.0, 10.0] {
            let mut stream = StreamKey::new(4, "rician").stream(0, amplitude as u32);
            let (mut sum, mut square) = (0.0, 0.0);
            for _ in 0..n {
                let m = draw(amplitude, 2.0, &mut stream);
                sum += m;
                square += m * m;
            }
            let sample_mean = sum / f64::from(n);
            // Five standard errors of the mean (SD ≤ σ = 2), and of E[M²] = A² + 2σ².
            assert!((sample_mean - mean(amplitude, 2.0)).abs() < 5.0 * 2.0 / f64::from(n).sqrt());
            let second = amplitude * amplitude + 8.0;
            let spread = (4.0 * amplitude * amplitude * 4.0 + 4.0 * 16.0_f64).sqrt();
            let error = 5.0 * spread / f64::from(n).sqrt();
            assert!((square / f64::from(n) - second).abs() < error);
        }
    }

    fn levels() -> Vec<Level> {
        let best = Level::new();
        let mut levels = vec![best];
        #[cfg(target_arch = "x86_64")]
        levels.extend(best.as_avx2().map(Level::Avx2));
        levels
    }

    #[test]
    fn lanes_of_magnitudes_have_the_moments_of_the_distribution() {
        let (n_voxels, n_lanes) = (100_usize, 5000_usize);
        let key = StreamKey::new(5, "rician lanes");
        for amplitude in [0.0, 0.5, 1.0, 3.0, 10.0, 25.0, 999.0, 1001.0, 1e6] {
            let rows = [Spread { centre: 2.0 * amplitude, sigma: 2.0 }; 3];
            let mut draws = vec![0.0; 3 * n_lanes];
            let (expected, sd) = (mean(2.0 * amplitude, 2.0), standard_deviation(amplitude, 1.0));
            let (mut sum, mut square) = (0.0, 0.0);
            for voxel in 0..n_voxels {
                draw_lanes(&key.lanes(voxel, Level::new()), 0, &rows, &mut draws);
                for draw in &draws {
                    sum += (draw - expected) / 2.0;
                    square += ((draw - expected) / 2.0).powi(2);
                }
            }
            let n = (3 * n_voxels * n_lanes) as f64;
            // Four standard errors; that of a variance is at most √(2 / n) of it here.
            assert!((sum / n).abs() < 4.0 * sd / n.sqrt(), "mean at {amplitude}: {}", sum / n);
            let variance = square / n / (sd * sd) - 1.0;
            assert!(variance.abs() < 4.0 * (2.3 / n).sqrt(), "variance at {amplitude}: {variance}");
        }
    }

    #[test]
    fn lanes_are_distributed_as_the_integral_of_the_density_says() {
        // Made by `tests/it/golden/rician.py`: scipy.stats.rice.cdf.
        for (amplitude, points) in [
            (
                0.0,
                [
                    (0.5, 0.117_503_097_415_405),
                    (1.2, 0.513_247_744_040_028),
                    (3.0, 0.988_891_003_461_758),
                ],
            ),
            (
                2.0,
                [
                    (0.5, 0.017_930_632_708_335),
                    (2.2, 0.480_588_546_123_151),
                    (4.5, 0.990_228_241_851_096),
                ],
            ),
            (
                6.0,
                [
                    (4.0, 0.017_771_416_759_984),
                    (6.1, 0.506_770_626_199_145),
                    (8.5, 0.992_453_077_066_606),
                ],
            ),
        ] {
            let n = 1_000_000;
            let mut draws = vec![0.0; n];
            let rows = [Spread { centre: amplitude, sigma: 1.0 }];
            let stream = StreamKey::new(6, "rician density").lanes(1, Level::new());
            draw_lanes(&stream, 0, &rows, &mut draws);
            for (limit, expected) in points {
                let found = draws.iter().filter(|x| **x < limit).count() as f64 / n as f64;
                let error = 4.0 * (expected * (1.0 - expected) / n as f64).sqrt();
                assert!((found - expected).abs() < error, "{amplitude} {limit}: {found}");
            }
        }
    }

    #[test]
    fn single_and_double_precision_draw_the_same_magnitudes() {
        let stream = StreamKey::new(7, "precision").lanes(3, Level::new());
        let mut normals = vec![0.0; 2000];
        for amplitude in [0.0, 1.0, 20.0, 999.9, 1000.1, 1e5, 1e9] {
            let rows = [Spread { centre: amplitude, sigma: 1.0 }];
            let mut draws = vec![0.0; 2000];
            draw_lanes(&stream, 0, &rows, &mut draws);
            // The radius of the draw around 0 and the draw itself give the angle.
            draw_lanes(&stream, 0, &[Spread { centre: 0.0, sigma: 1.0 }], &mut normals);
            for (draw, radius) in draws.iter().zip(&normals) {
                let low = (amplitude - radius).abs();
                assert!(*draw >= low - 1e-4 && *draw <= amplitude + radius + 1e-4);
            }
        }
    }

    #[test]
    fn lanes_are_the_same_for_every_level_and_say_nan_for_nan() {
        let key = StreamKey::new(8, "levels");
        for n_rows in [1, 2, 5] {
            let rows: Vec<Spread> =
                (0..n_rows).map(|k| Spread { centre: 1000.0 * f64::from(k), sigma: 1.3 }).collect();
            let all: Vec<Vec<u64>> = levels()
                .into_iter()
                .map(|level| {
                    let mut out = vec![0.0; rows.len() * 37];
                    draw_lanes(&key.lanes(2, level), 5, &rows, &mut out);
                    out.into_iter().map(f64::to_bits).collect()
                })
                .collect();
            assert!(all.iter().all(|bits| *bits == all[0]));
        }
        let mut out = [1.0; 6];
        let row = |centre, sigma| Spread { centre, sigma };
        let rows = [row(f64::NAN, 1.0), row(0.0, 0.0), row(-3.0, 0.0)];
        draw_lanes(&key.lanes(2, Level::new()), 0, &rows, &mut out);
        assert!(out[..2].iter().all(|x| x.is_nan()));
        assert!(out[2..4].iter().all(|x| x.abs() < 1e-300));
        assert!(out[4..].iter().all(|x| (x - 3.0).abs() < 1e-6));
        draw_lanes(&key.lanes(2, Level::new()), 0, &[], &mut out);
        draw_lanes(&key.lanes(2, Level::new()), 0, &rows, &mut []);
    }
}
