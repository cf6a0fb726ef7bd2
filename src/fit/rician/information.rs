//! How much a magnitude says of its amplitude: the expected Fisher information.
//!
//! i(a) = ∫ (m·I₁(ma)/I₀(ma) − a)² p(m | a) dm at σ = 1; it grows from a² for pure noise to 1.
//!
//! # Reference
//!
//! Karlsen et al., "Parameter estimation from Rician-distributed data sets using a maximum likelihood
//! estimator: application to T1 and perfusion measurements", Magn Reson Med 1999,
//! <https://doi.org/10.1002/(SICI)1522-2594(199903)41:3%3C614::AID-MRM26%3E3.0.CO;2-1>.

use crate::noise::bessel::{i0_scaled, i1_scaled};

const SPACING: f64 = 0.05;
const STEP: f64 = 0.1;
/// From here on 1 − 1/(2a²) − 1/(4a⁴) is right to 2·10⁻⁷.
const ASYMPTOTIC_FROM: f64 = 12.0;
/// The density is below 1e-17 of its peak beyond.
const REACH: f64 = 9.0;

/// A table of i(a), read by cubic interpolation.
pub(super) struct Information {
    values: Vec<f64>,
}

impl Information {
    pub(super) fn new() -> Self {
        let n = (ASYMPTOTIC_FROM / SPACING) as usize + 3;
        Self { values: (0..n).map(|k| integral(k as f64 * SPACING)).collect() }
    }

    /// i at amplitude over σ; even in it, 1 for infinity.
    pub(super) fn at(&self, ratio: f64) -> f64 {
        let ratio = ratio.abs();
        if ratio >= ASYMPTOTIC_FROM {
            let square = (ratio * ratio).recip();
            return 1.0 - 0.5 * square - 0.25 * square * square;
        }
        let place = ratio / SPACING;
        let k = (place as usize).min(self.values.len() - 3);
        let t = place - k as f64;
        // The function is even: the value before the first is the one after it.
        let before = self.values[if k == 0 { 1 } else { k - 1 }];
        let [here, next, after] = [self.values[k], self.values[k + 1], self.values[k + 2]];
        let weights = [
            -t * (t - 1.0) * (t - 2.0) / 6.0,
            (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
            -(t + 1.0) * t * (t - 2.0) / 2.0,
            (t + 1.0) * t * (t - 1.0) / 6.0,
        ];
        weights[0] * before + weights[1] * here + weights[2] * next + weights[3] * after
    }
}

/// Trapezoids, and their end correction where the range begins at 0 with a slope: right to 10⁻⁵.
fn integral(amplitude: f64) -> f64 {
    let low = (amplitude - REACH).max(0.0);
    let n = ((amplitude + REACH - low) / STEP).ceil() as usize;
    let inner = |k: usize| {
        let m = low + k as f64 * STEP;
        let z = m * amplitude;
        let i0 = i0_scaled(z);
        let density = m * (-0.5 * (m - amplitude).powi(2)).exp() * i0;
        let score = m * i1_scaled(z) / i0 - amplitude;
        density * score * score
    };
    let slope_at_0 = amplitude * amplitude * (-0.5 * amplitude * amplitude).exp();
    (1..n).map(inner).sum::<f64>() * STEP + STEP * STEP / 12.0 * slope_at_0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `tests/it/golden/models.py`: adaptive quadrature.
    const EXACT: [(f64, f64); 10] = [
        (0.0, 0.0),
        (0.05, 0.002_493_769_453_507_293),
        (0.5, 0.201_695_787_305_014_86),
        (0.97, 0.504_566_607_654_4),
        (2.0, 0.852_632_051_843_539_7),
        (3.33, 0.952_273_058_096_575_7),
        (5.0, 0.979_561_869_047_795_6),
        (11.95, 0.996_486_225_133_241_6),
        (15.0, 0.997_772_794_885_803_5),
        (30.0, 0.999_444_135_113_821_1),
    ];

    #[test]
    fn information_is_that_of_adaptive_quadrature() {
        let information = Information::new();
        for (ratio, exact) in EXACT {
            assert!((information.at(ratio) - exact).abs() < 1e-5, "{ratio}");
        }
    }
}
