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

use super::bessel::{i0_scaled, i1_scaled};
use crate::random::Stream;

/// E\[M\] / σ at amplitude 0: √(π/2).
pub const MEAN_OF_PURE_NOISE: f64 = 1.253_314_137_315_500_3;

/// SD(M) / σ at amplitude 0: √(2 − π/2).
pub const SD_OF_PURE_NOISE: f64 = 0.655_136_377_562_033_6;

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

#[cfg(test)]
mod tests {
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
}
