//! Modified Bessel functions I₀ and I₁, scaled by e^(−|x|) so that they never overflow.
//!
//! Power series below |x| = 20, where every term is positive, and the asymptotic series above,
//! whose smallest term is there below 1e-16. Relative error below 3e-15 (measured against 120-digit
//! arithmetic).
//!
//! # Reference
//!
//! NIST Digital Library of Mathematical Functions, 10.25.2 and 10.40.1, <https://dlmf.nist.gov>;
//! Olver et al., NIST Handbook of Mathematical Functions, 2010, ISBN 978-0-521-19225-5.

const ASYMPTOTIC_FROM: f64 = 20.0;

/// e^(−|x|)·I₀(x); NaN for NaN, 0 for ±∞.
pub fn i0_scaled(x: f64) -> f64 {
    scaled(0.0, x.abs())
}

/// e^(−|x|)·I₁(x), odd in `x`; NaN for NaN, 0 for ±∞.
pub fn i1_scaled(x: f64) -> f64 {
    if x < 0.0 { -scaled(1.0, -x) } else { scaled(1.0, x) }
}

fn scaled(order: f64, x: f64) -> f64 {
    if x.is_infinite() {
        0.0
    } else if x < ASYMPTOTIC_FROM {
        power_series(order, x)
    } else {
        asymptotic_series(order, x)
    }
}

/// Σ (x/2)^(2k+ν) / (k! (k+ν)!), ν 0 or 1.
fn power_series(order: f64, x: f64) -> f64 {
    let quarter = 0.25 * x * x;
    let mut term = if order > 0.0 { 0.5 * x } else { 1.0 };
    let mut sum = term;
    let mut k = 1.0;
    while term > sum * (0.25 * f64::EPSILON) {
        term *= quarter / (k * (k + order));
        sum += term;
        k += 1.0;
    }
    sum * (-x).exp()
}

/// `Σ (−1)^k a_k(ν) x^(−k) / √(2πx)`, cut at its smallest term.
fn asymptotic_series(order: f64, x: f64) -> f64 {
    let mu = 4.0 * order * order;
    let (mut term, mut sum, mut k) = (1.0_f64, 1.0_f64, 1.0_f64);
    while term.abs() > 0.25 * f64::EPSILON {
        let odd = 2.0 * k - 1.0;
        let factor = (odd * odd - mu) / (8.0 * k * x);
        if factor.abs() >= 1.0 {
            break;
        }
        term *= factor;
        sum += term;
        k += 1.0;
    }
    sum / (std::f64::consts::TAU * x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `tests/it/golden/rician.py`: power series in 120 decimal digits.
    const EXACT: [(f64, f64, f64); 12] = [
        (0.001, 9.990_007_495_835_156e-1, 4.995_003_123_542_213e-4),
        (0.5, 6.450_352_704_491_501e-1, 1.564_208_031_848_717e-1),
        (1.0, 4.657_596_075_936_404_4e-1, 2.079_104_153_497_084_5e-1),
        (3.75, 2.144_570_512_300_487e-1, 1.829_684_209_308_909e-1),
        (8.0, 1.434_317_818_568_503e-1, 1.341_424_932_926_981_8e-1),
        (15.0, 1.038_995_314_488_227_2e-1, 1.003_741_750_451_666_6e-1),
        (19.9, 9.000_858_886_438_959e-2, 8.771_710_213_170_61e-2),
        (20.1, 8.955_376_362_061_345e-2, 8.729_685_184_320_16e-2),
        (35.0, 6.767_837_835_041_363e-2, 6.670_443_172_949_144e-2),
        (100.0, 3.994_437_929_909_668e-2, 3.974_415_302_513_025e-2),
        (700.0, 1.508_129_565_153_135_8e-2, 1.507_051_944_471_684_7e-2),
        (2000.0, 8.921_178_276_439_67e-3, 8.918_947_702_944_236e-3),
    ];

    #[test]
    fn both_series_agree_with_120_digit_arithmetic() {
        for (x, i0, i1) in EXACT {
            assert!((i0_scaled(x) / i0 - 1.0).abs() < 3e-15, "I0({x}) = {}", i0_scaled(x));
            assert!((i1_scaled(x) / i1 - 1.0).abs() < 3e-15, "I1({x}) = {}", i1_scaled(x));
        }
    }

    #[test]
    fn ends_and_signs_are_those_of_the_functions() {
        assert_eq!(i0_scaled(0.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(i1_scaled(0.0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(i0_scaled(-3.0).to_bits(), i0_scaled(3.0).to_bits());
        assert_eq!(i1_scaled(-3.0).to_bits(), (-i1_scaled(3.0)).to_bits());
        assert!(i0_scaled(f64::NAN).is_nan() && i1_scaled(f64::NAN).is_nan());
        assert_eq!(i0_scaled(f64::INFINITY).to_bits(), 0.0_f64.to_bits());
        assert_eq!(i1_scaled(f64::NEG_INFINITY).to_bits(), (-0.0_f64).to_bits());
    }
}
