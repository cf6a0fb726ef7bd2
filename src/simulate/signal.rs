//! The signal equations of the simulated sequences.
//!
//! Exponential decay S = A·exp(−rate·weighting); spoiled gradient echo
//! S = M₀·sinα·(1 − E)/(1 − E·cosα), E = exp(−TR·R1), R1 = R10 + r₁·C; blood after Parker; tissue
//! by the extended Tofts equation C = vp·Cp + Ktrans·∫Cp(τ)·exp(−(Ktrans/ve)(t − τ))dτ.
//!
//! # Reference
//!
//! Parker et al., Magn Reson Med 2006;56:993–1000, doi:10.1002/mrm.21066. Tofts et al., J Magn
//! Reson Imaging 1999;10:223–232,
//! doi:`10.1002/(SICI)1522-2586(199909)10:3<223::AID-JMRI2>3.0.CO;2-S`.

use crate::error::Result;
use crate::perfusion::{ArterialInput, Hematocrit, TissueParameters, extended_tofts};

/// Signal of `amplitude` after decay at `rate` over `weighting` (1/s with s, mm²/s with s/mm²).
pub(super) fn exponential_decay(amplitude: f64, rate: f64, weighting: f64) -> f64 {
    amplitude * (-rate * weighting).exp()
}

/// Spoiled gradient echo in steady state.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpoiledGradientEcho {
    pub(super) repetition_time_s: f64,
    pub(super) flip_angle_rad: f64,
}

impl SpoiledGradientEcho {
    /// Signal of equilibrium magnetisation `equilibrium` at `relaxation_rate_per_s`.
    pub(super) fn signal(self, equilibrium: f64, relaxation_rate_per_s: f64) -> f64 {
        let recovery = (-self.repetition_time_s * relaxation_rate_per_s).exp();
        let (sine, cosine) = self.flip_angle_rad.sin_cos();
        equilibrium * sine * (1.0 - recovery) / (1.0 - recovery * cosine)
    }

    /// Equilibrium magnetisation whose signal at `relaxation_rate_per_s` is `signal`.
    pub(super) fn equilibrium(self, signal: f64, relaxation_rate_per_s: f64) -> f64 {
        signal / self.signal(1.0, relaxation_rate_per_s)
    }
}

/// The tissue of the designed cohort: Ktrans 0.5/min, ve 0.4, vp 0.05.
pub(super) const TUMOUR: TissueParameters =
    TissueParameters { ktrans_per_s: 0.5 / 60.0, ve: 0.4, vp: 0.05 };

/// A concentration over the time since arrival, linear between fine steps.
#[derive(Debug, Clone)]
pub(super) struct ConcentrationCurve {
    values_mm: Vec<f64>,
}

/// Fine enough that linear interpolation is exact to 1e-5 of the peak.
const STEP_S: f64 = 0.05;
const N_STEPS: usize = 6000;

fn times_s() -> impl Iterator<Item = f64> {
    (0..=N_STEPS).map(|step| step as f64 * STEP_S)
}

impl ConcentrationCurve {
    /// Whole blood.
    pub(super) fn blood() -> Self {
        Self {
            values_mm: times_s().map(|time| ArterialInput::Parker.concentration(time)).collect(),
        }
    }

    /// Tissue; the convolution is exact for plasma that is linear within a step.
    ///
    /// # Errors
    ///
    /// `Value` when a parameter of the tissue is out of range.
    pub(super) fn tissue(tissue: &TissueParameters) -> Result<Self> {
        let times: Vec<f64> = times_s().collect();
        let plasma: Vec<f64> =
            times_s().map(|time| ArterialInput::Parker.plasma(time, Hematocrit::DEFAULT)).collect();
        let mut values_mm = vec![0.0; times.len()];
        extended_tofts(&times, &plasma, tissue, &mut values_mm)?;
        Ok(Self { values_mm })
    }

    /// Concentration, mM, `time_s` after arrival; 0 before, the last value after five minutes.
    pub(super) fn at(&self, time_s: f64) -> f64 {
        if time_s.is_nan() || time_s < 0.0 {
            return 0.0;
        }
        let position = (time_s / STEP_S).min(N_STEPS as f64);
        let lower = (position as usize).min(N_STEPS - 1);
        let weight = position - lower as f64;
        self.values_mm[lower] * (1.0 - weight) + self.values_mm[lower + 1] * weight
    }

    /// ∫ concentration from arrival to `duration_s` (a multiple of the step), mM·s.
    pub(super) fn area_mm_s(&self, duration_s: f64) -> f64 {
        let last = ((duration_s / STEP_S).round() as usize).min(N_STEPS);
        let inner: f64 = self.values_mm[..=last].iter().sum();
        STEP_S * (inner - 0.5 * (self.values_mm[0] + self.values_mm[last]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parker_blood_has_its_known_peak_and_area() {
        let blood = ConcentrationCurve::blood();
        let (step, peak) = blood
            .values_mm
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map(|(step, peak)| (step as f64 * STEP_S, *peak))
            .unwrap();
        assert!((peak - 6.073).abs() < 1e-3 && (step - 10.35).abs() < 0.051, "{peak} at {step}");
        assert!((blood.area_mm_s(60.0) - 96.99).abs() < 0.01);
        assert!((blood.area_mm_s(60.0) / 0.58 - 167.22).abs() < 0.02);
    }

    /// Independent: `scipy.integrate.quad` over the same equation gives 42.603 37 mM·s.
    #[test]
    fn designed_tissue_has_the_area_of_its_kinetics() {
        let area = ConcentrationCurve::tissue(&TUMOUR).unwrap().area_mm_s(60.0);
        assert!((area - 42.603_37).abs() < 1e-4, "{area}");
    }

    #[test]
    fn tissue_curve_equals_direct_quadrature() {
        let curve = ConcentrationCurve::tissue(&TUMOUR).unwrap();
        let rate = TUMOUR.ktrans_per_s / TUMOUR.ve;
        for time in [4.0, 12.0, 31.0, 75.0] {
            let n = 200_000;
            let step = time / f64::from(n);
            let plasma = |t: f64| ArterialInput::Parker.concentration(t) / 0.58;
            let convolution: f64 = (0..n)
                .map(|i| (f64::from(i) + 0.5) * step)
                .map(|tau| plasma(tau) * (-rate * (time - tau)).exp() * step)
                .sum();
            let expected = 0.05 * plasma(time) + TUMOUR.ktrans_per_s * convolution;
            assert!((curve.at(time) - expected).abs() < 2e-5, "{time}");
        }
        assert!(curve.at(-0.1).abs() < 1e-300);
    }

    #[test]
    fn spoiled_echo_approaches_saturation_recovery_and_inverts() {
        let sequence = SpoiledGradientEcho {
            repetition_time_s: 0.5,
            flip_angle_rad: std::f64::consts::FRAC_PI_2,
        };
        assert!((sequence.signal(100.0, 2.0) - 100.0 * (1.0 - (-1.0_f64).exp())).abs() < 1e-12);
        let sequence = SpoiledGradientEcho { repetition_time_s: 0.004, flip_angle_rad: 0.26 };
        let equilibrium = sequence.equilibrium(400.0, 1.0 / 1.2);
        assert!((sequence.signal(equilibrium, 1.0 / 1.2) - 400.0).abs() < 1e-10);
    }
}
