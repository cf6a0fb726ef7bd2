//! The curves of the separable models: one amplitude times f(rate).
//!
//! `Exponential`: f = e^(−rate·x). `SpoiledGradientEcho`: f = sin α·(1 − E)/(1 − E·cos α) with
//! E = e^(−TR·rate), rate = 1/T1.
//!
//! # Reference
//!
//! Ernst and Anderson, "Application of Fourier transform spectroscopy to magnetic resonance", Rev
//! Sci Instrum 1966, doi:10.1063/1.1719961. Haase et al., "FLASH imaging", J Magn Reson 1986,
//! doi:10.1016/0022-2364(86)90433-6.

use super::Parameter;
use crate::solver::variable_projection::{Basis, LaneForm};

/// Mono-exponential decay over an abscissa such as b-values or echo times.
#[derive(Debug, Clone, PartialEq)]
pub struct Exponential {
    abscissae: Vec<f64>,
    /// Smallest abscissa: the written curve is 1 there, so that nothing underflows.
    origin: f64,
}

impl Exponential {
    /// One abscissa per sample, in the inverse unit of the rate.
    pub fn new(abscissae: Vec<f64>) -> Self {
        let origin = abscissae.iter().copied().fold(f64::INFINITY, f64::min);
        Self { abscissae, origin }
    }

    /// One per sample.
    pub fn abscissae(&self) -> &[f64] {
        &self.abscissae
    }

    /// Rate and amplitude of the straight line through (abscissa, ln S), weighted by S²; `None`
    /// where fewer than two different abscissae have a positive sample.
    pub fn log_linear(&self, samples: &[f64]) -> Option<[f64; 2]> {
        let scale = samples.iter().copied().fold(0.0, f64::max);
        let positive = || self.abscissae.iter().zip(samples).filter(|(_, sample)| **sample > 0.0);
        let weight = |sample: f64| (sample / scale).powi(2);
        let total: f64 = positive().map(|(_, &s)| weight(s)).sum();
        let mean_x = positive().map(|(x, &s)| weight(s) * x).sum::<f64>() / total;
        let mean_y = positive().map(|(_, &s)| weight(s) * s.ln()).sum::<f64>() / total;
        let (mut xx, mut xy) = (0.0, 0.0);
        for (x, &s) in positive() {
            xx += weight(s) * (x - mean_x).powi(2);
            xy += weight(s) * (x - mean_x) * (s.ln() - mean_y);
        }
        let rate = -xy / xx;
        let amplitude = (mean_y + rate * mean_x).exp();
        (rate.is_finite() && amplitude.is_finite()).then_some([rate, amplitude])
    }
}

impl Basis for Exponential {
    fn n_samples(&self) -> usize {
        self.abscissae.len()
    }

    fn evaluate(&self, rate: f64, curve: &mut [f64], first: &mut [f64], second: &mut [f64]) {
        let derivatives = first.iter_mut().zip(second);
        for ((&abscissa, f), (f1, f2)) in self.abscissae.iter().zip(curve).zip(derivatives) {
            let x = abscissa - self.origin;
            *f = (-rate * x).exp();
            *f1 = -x * *f;
            *f2 = x * x * *f;
        }
    }

    fn log_factor(&self, rate: f64) -> [f64; 2] {
        [-rate * self.origin, -self.origin]
    }

    fn lane_form(&self) -> Option<LaneForm> {
        Some(LaneForm::Exponential { abscissae: self.abscissae.clone() })
    }
}

/// Steady state of a spoiled gradient echo over flip angles.
#[derive(Debug, Clone, PartialEq)]
pub struct SpoiledGradientEcho {
    repetition_time_s: f64,
    /// (sin α, cos α, 1 − cos α) per sample.
    flips: Vec<[f64; 3]>,
}

impl SpoiledGradientEcho {
    /// One flip angle (rad) per sample and their repetition time (s).
    pub fn new(flip_angles_rad: &[f64], repetition_time_s: f64) -> Self {
        let flip = |&angle: &f64| {
            let (sine, cosine) = angle.sin_cos();
            [sine, cosine, 2.0 * (0.5 * angle).sin().powi(2)]
        };
        Self { repetition_time_s, flips: flip_angles_rad.iter().map(flip).collect() }
    }

    /// R1 (1/s) and M0 of the straight line S/sin α = E·S/tan α + M0·(1 − E); `None` where the line
    /// is not that of a positive R1.
    pub fn linearised(&self, samples: &[f64]) -> Option<[f64; 2]> {
        let n = samples.len() as f64;
        let points = || self.flips.iter().zip(samples).map(|([s, c, _], v)| (v * c / s, v / s));
        let mean_x = points().map(|point| point.0).sum::<f64>() / n;
        let mean_y = points().map(|point| point.1).sum::<f64>() / n;
        let xy: f64 = points().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let xx: f64 = points().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let e = xy / xx;
        let m0 = (mean_y - e * mean_x) / (1.0 - e);
        let usable = 0.0 < e && e < 1.0 && m0.is_finite();
        usable.then(|| [-e.ln() / self.repetition_time_s, m0])
    }
}

impl Basis for SpoiledGradientEcho {
    fn n_samples(&self) -> usize {
        self.flips.len()
    }

    fn evaluate(&self, rate: f64, curve: &mut [f64], first: &mut [f64], second: &mut [f64]) {
        let tr = self.repetition_time_s;
        let recovered = -(-tr * rate).exp_m1();
        let e = 1.0 - recovered;
        let derivatives = first.iter_mut().zip(second);
        for ((&[sine, cosine, versine], f), (f1, f2)) in
            self.flips.iter().zip(curve).zip(derivatives)
        {
            let d = versine + cosine * recovered;
            *f = sine * recovered / d;
            *f1 = sine * versine * tr * e / (d * d);
            *f2 = -*f1 * tr * (1.0 + cosine * e) / d;
        }
    }

    fn lane_form(&self) -> Option<LaneForm> {
        let pulse = |&[sine, cosine, versine]: &[f64; 3]| [sine, cosine, versine];
        let pulses = self.flips.iter().map(pulse).collect();
        Some(LaneForm::Saturation { pulses, time: self.repetition_time_s })
    }
}

/// How the headline parameter follows from the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headline {
    /// It is the rate, as the apparent diffusion coefficient.
    Rate,
    /// It is 1 / rate, as T1 and T2.
    InverseRate,
}

impl Headline {
    /// Rate of a headline value, and back.
    pub fn convert(self, value: f64) -> f64 {
        match self {
            Self::Rate => value,
            Self::InverseRate => 1.0 / value,
        }
    }

    /// Bounds of the rate for bounds of the headline parameter.
    pub fn rate_bounds(self, headline: &Parameter) -> [f64; 2] {
        let [low, high] = headline.bounds.map(|bound| self.convert(bound));
        if low <= high { [low, high] } else { [high, low] }
    }
}

/// The curve of a separable model.
#[derive(Debug, Clone, PartialEq)]
pub enum Curve {
    /// Mono-exponential decay.
    Exponential(Exponential),
    /// Spoiled gradient echo.
    SpoiledGradientEcho(SpoiledGradientEcho),
}

/// A model of two parameters, headline and amplitude, whose signal is amplitude × curve(rate).
#[derive(Debug, Clone, PartialEq)]
pub struct Separable {
    /// f(rate).
    pub curve: Curve,
    /// From rate to headline.
    pub headline: Headline,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn require_derivatives(basis: &impl Basis, rate: f64) {
        let n = basis.n_samples();
        let at = |rate: f64| {
            let mut out = [vec![0.0; n], vec![0.0; n], vec![0.0; n]];
            let [curve, first, second] = &mut out;
            basis.evaluate(rate, curve, first, second);
            out
        };
        let step = 1e-5 * rate.abs();
        let (low, here, high) = (at(rate - step), at(rate), at(rate + step));
        for order in 0..2 {
            for k in 0..n {
                let difference = (high[order][k] - low[order][k]) / (2.0 * step);
                let scale = here[order][k].abs() / rate.abs() + here[order + 1][k].abs();
                // Truncation 1e-10, rounding 1e-16 / 1e-5.
                assert!((difference - here[order + 1][k]).abs() <= 1e-8 * scale);
            }
        }
    }

    #[test]
    fn written_derivatives_match_central_differences() {
        let exponential = Exponential::new(vec![10.0, 0.0, 50.0, 800.0]);
        for rate in [-4e-4, 1e-5, 1e-3, 5e-3] {
            require_derivatives(&exponential, rate);
        }
        let spoiled = SpoiledGradientEcho::new(&[0.03, 0.2, 0.6, 1.6], 0.005);
        for rate in [0.1, 1.0, 20.0, 900.0] {
            require_derivatives(&spoiled, rate);
        }
    }

    #[test]
    fn log_linear_and_linearised_are_exact_without_noise() {
        let x = vec![0.0, 0.01, 0.02, 0.05];
        let samples: Vec<f64> = x.iter().map(|&x: &f64| 900.0 * (-25.0 * x).exp()).collect();
        let [rate, amplitude] = Exponential::new(x).log_linear(&samples).unwrap();
        assert!((rate - 25.0).abs() < 1e-12 && (amplitude - 900.0).abs() < 1e-9);

        let spoiled = SpoiledGradientEcho::new(&[0.03, 0.1, 0.4], 0.005);
        let (mut f, mut f1, mut f2) = ([0.0; 3], [0.0; 3], [0.0; 3]);
        spoiled.evaluate(0.8, &mut f, &mut f1, &mut f2);
        let [r1, m0] = spoiled.linearised(&f.map(|f| 5000.0 * f)).unwrap();
        assert!((r1 - 0.8).abs() < 1e-9 && (m0 - 5000.0).abs() < 1e-6);
    }

    #[test]
    fn starts_are_refused_where_no_line_exists() {
        let exponential = Exponential::new(vec![0.0, 1.0, 2.0]);
        assert_eq!(exponential.log_linear(&[0.0, -1.0, 0.0]), None);
        assert_eq!(exponential.log_linear(&[0.0, 3.0, 0.0]), None);
        let spoiled = SpoiledGradientEcho::new(&[0.1, 0.4], 0.005);
        assert_eq!(spoiled.linearised(&[0.0, 0.0]), None);
    }
}
