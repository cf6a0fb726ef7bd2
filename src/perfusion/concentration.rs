//! Spoiled gradient echo: signal ↔ concentration of contrast agent.
//!
//! S = M₀ sin α·(1 − E)/(1 − cos α·E), E = exp(−TR·R1), R1 = R10 + r₁·C, with fast water exchange and
//! T2* neglected. M₀ comes from the baseline signal and T10 and cancels: with v = 1 − E,
//! v₀ = 1 − exp(−TR·R10), A = 1 − cos α and q the signal over the baseline signal,
//!
//! ```text
//! q = (v/v₀)·(A + cos α·v₀)/(A + cos α·v)
//! r₁·TR·C = −ln(1 − x),  x = v₀(q − 1)(A + cos α·v₀) / [(A + cos α·v₀(1 − q))·(1 − v₀)]
//! ```
//!
//! Written so, nothing cancels when TR·R1 is small: C is exactly 0 at the baseline signal. Signals
//! that no relaxation rate can give (below 0, or at and above M₀ sin α) have no concentration; they
//! are never clamped.
//!
//! # Reference
//!
//! Schabel and Parker, "Uncertainty and bias in contrast concentration measurements using spoiled
//! gradient echo pulse sequences", Phys Med Biol 2008, doi:10.1088/0031-9155/53/9/010.

use crate::acquisition::Dynamic;
use crate::error::{Error, Result};

/// Longitudinal relaxivity in s⁻¹ mM⁻¹ where none is given; depends on agent and field.
pub const DEFAULT_RELAXIVITY_PER_S_PER_MM: f64 = 4.5;

/// T10 in s outside of which a voxel has no valid native relaxation time.
pub const T10_RANGE_S: [f64; 2] = [1e-3, 60.0];

/// Whether `t10_s` lies inside [`T10_RANGE_S`]; false for NaN.
pub(super) fn t10_is_valid(t10_s: f64) -> bool {
    (T10_RANGE_S[0]..=T10_RANGE_S[1]).contains(&t10_s)
}

/// The signal equation on one protocol and contrast agent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpoiledGradientEcho {
    pub(super) repetition_time_s: f64,
    pub(super) cosine: f64,
    pub(super) versine: f64,
    pub(super) relaxivity_per_s_per_mm: f64,
}

impl SpoiledGradientEcho {
    /// The equation for `protocol` and `relaxivity_per_s_per_mm` (r₁, s⁻¹ mM⁻¹).
    ///
    /// # Errors
    ///
    /// `Value` at `relaxivity_per_s_per_mm` when it is not in 0.1–1000.
    pub fn new(protocol: &Dynamic, relaxivity_per_s_per_mm: f64) -> Result<Self> {
        if !(0.1..=1000.0).contains(&relaxivity_per_s_per_mm) {
            return Err(Error::value(format!(
                "relaxivity {relaxivity_per_s_per_mm} /s/mM is not in 0.1–1000"
            ))
            .at_field("relaxivity_per_s_per_mm")
            .hint("gadolinium chelates have about 3–6 /s/mM at 1.5–3 T"));
        }
        let flip_angle_rad = protocol.flip_angle_rad();
        let half_sine = (0.5 * flip_angle_rad).sin();
        Ok(Self {
            repetition_time_s: protocol.repetition_time_s(),
            cosine: flip_angle_rad.cos(),
            versine: 2.0 * half_sine * half_sine,
            relaxivity_per_s_per_mm,
        })
    }

    /// Fixes the scale by the signal before the bolus and T10 (s). `None` when the baseline is not
    /// finite and positive or T10 is not inside [`T10_RANGE_S`].
    pub fn with_baseline(&self, baseline_signal: f64, t10_s: f64) -> Option<BaselineSignal> {
        let usable = baseline_signal.is_finite() && baseline_signal > 0.0;
        if !(usable && t10_is_valid(t10_s)) {
            return None;
        }
        let recovery = -(-self.repetition_time_s / t10_s).exp_m1();
        Some(BaselineSignal {
            equation: *self,
            scale: baseline_signal,
            recovery,
            weight: self.versine + self.cosine * recovery,
        })
    }
}

/// A [`SpoiledGradientEcho`] whose scale is fixed by one voxel's baseline signal and T10.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BaselineSignal {
    equation: SpoiledGradientEcho,
    /// Signal without contrast agent.
    scale: f64,
    /// v₀ = 1 − exp(−TR/T10).
    recovery: f64,
    /// A + cos α·v₀.
    weight: f64,
}

impl BaselineSignal {
    /// Signal at `concentration_mmol_per_l`; NaN in, NaN out.
    pub fn signal(&self, concentration_mmol_per_l: f64) -> f64 {
        let SpoiledGradientEcho { repetition_time_s, cosine, versine, relaxivity_per_s_per_mm } =
            self.equation;
        let exponent = repetition_time_s * relaxivity_per_s_per_mm * concentration_mmol_per_l;
        let change = -(1.0 - self.recovery) * (-exponent).exp_m1();
        let recovery = self.recovery + change;
        let ratio = recovery / self.recovery * self.weight / (versine + cosine * recovery);
        self.scale * ratio
    }

    /// Concentration in mM; NaN where the signal is saturated (below 0, at or above M₀ sin α) or
    /// NaN. Negative concentrations are kept.
    pub fn concentration(&self, signal: f64) -> f64 {
        match self.saturation_loss(signal) {
            Some(loss) => self.concentration_from_loss(loss),
            None => f64::NAN,
        }
    }

    /// Concentration in mM and ∂C/∂S in mM per signal unit; `None` where the signal is saturated or
    /// NaN.
    pub fn concentration_and_slope(&self, signal: f64) -> Option<[f64; 2]> {
        let loss = self.saturation_loss(signal)?;
        let r1_slope = self.r1_slope_from_loss(loss);
        let slope = 1.0 / (self.equation.relaxivity_per_s_per_mm * r1_slope);
        slope.is_finite().then(|| [self.concentration_from_loss(loss), slope])
    }

    /// ∂S/∂R1 in signal units times s at `signal`; NaN where it is saturated.
    pub fn r1_slope(&self, signal: f64) -> f64 {
        self.saturation_loss(signal).map_or(f64::NAN, |loss| self.r1_slope_from_loss(loss))
    }

    /// x of the module's equation, the fraction 1 − E/E₀; `None` outside the domain.
    fn saturation_loss(&self, signal: f64) -> Option<f64> {
        let SpoiledGradientEcho { cosine, versine, .. } = self.equation;
        let excess = (signal - self.scale) / self.scale;
        let divisor = (versine - cosine * self.recovery * excess) * (1.0 - self.recovery);
        let loss = self.recovery * excess * self.weight / divisor;
        (signal >= 0.0 && divisor > 0.0 && loss < 1.0).then_some(loss)
    }

    fn concentration_from_loss(&self, loss: f64) -> f64 {
        let SpoiledGradientEcho { repetition_time_s, relaxivity_per_s_per_mm, .. } = self.equation;
        -(-loss).ln_1p() / (repetition_time_s * relaxivity_per_s_per_mm)
    }

    /// ∂S/∂R1 = M·TR·E·A/(A + cos α·v)².
    fn r1_slope_from_loss(&self, loss: f64) -> f64 {
        let SpoiledGradientEcho { repetition_time_s, cosine, versine, .. } = self.equation;
        let native = 1.0 - self.recovery;
        let recovery = self.recovery + native * loss;
        let scale = self.scale * self.weight / self.recovery;
        let divisor = versine + cosine * recovery;
        scale * repetition_time_s * native * (1.0 - loss) * versine / (divisor * divisor)
    }
}

/// Signal over baseline signal, minus 1: the measure left where T10 is not known; NaN when `baseline_signal` is not
/// positive.
pub fn relative_enhancement(signal: f64, baseline_signal: f64) -> f64 {
    if baseline_signal > 0.0 { (signal - baseline_signal) / baseline_signal } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equation(repetition_time_s: f64, flip_deg: f64) -> SpoiledGradientEcho {
        let times = vec![0.0, 1.0, 2.0, 3.0];
        let protocol = Dynamic::new(times, repetition_time_s, flip_deg.to_radians()).unwrap();
        SpoiledGradientEcho::new(&protocol, 4.5).unwrap()
    }

    #[test]
    fn concentration_to_signal_and_back_is_identity_from_0_to_10_mmol_per_l() {
        for (repetition_time_s, flip_deg) in
            [(0.004, 15.0), (0.002, 10.0), (0.0079, 20.0), (0.005, 90.0), (0.005, 140.0)]
        {
            for t10_s in [0.1, 0.8, 1.2, 4.0] {
                let voxel =
                    equation(repetition_time_s, flip_deg).with_baseline(137.0, t10_s).unwrap();
                for step in 0..=1000 {
                    let truth = f64::from(step) * 0.01;
                    let found = voxel.concentration(voxel.signal(truth));
                    assert!((found - truth).abs() < 1e-9, "{truth} became {found}");
                }
            }
        }
    }

    #[test]
    fn signal_agrees_with_the_textbook_equation() {
        let (tr, alpha, r10, r1, m0) = (0.004_f64, 15_f64.to_radians(), 1.0 / 1.2, 4.5, 5000.0);
        let textbook = |concentration: f64| {
            let e = (-tr * (r10 + r1 * concentration)).exp();
            m0 * alpha.sin() * (1.0 - e) / (1.0 - alpha.cos() * e)
        };
        let voxel = equation(tr, 15.0).with_baseline(textbook(0.0), 1.2).unwrap();
        for concentration in [-0.1, 0.0, 1e-6, 0.3, 2.0, 9.0] {
            let expected = textbook(concentration);
            assert!((voxel.signal(concentration) / expected - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_baseline_signal_is_exactly_no_contrast_agent() {
        let voxel = equation(0.0005, 1.0).with_baseline(311.7, 4.0).unwrap();
        assert_eq!(voxel.concentration(311.7).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_tiny_concentration_keeps_its_digits_at_small_tr_times_r1() {
        let (baseline, excess) = (1000.0, 1e-7);
        let voxel = equation(0.0005, 15.0).with_baseline(baseline, 4.0).unwrap();
        let slope = 1.0 / (4.5 * voxel.r1_slope(baseline));
        let found = voxel.concentration(baseline + excess);
        // The signal itself is only exact to 1000·2⁻⁵³ ≈ 1e-13, one part in 10⁶ of the excess.
        assert!((found / (slope * excess) - 1.0).abs() < 2e-6, "{found}");
    }

    #[test]
    fn r1_slope_matches_central_differences() {
        let voxel = equation(0.004, 15.0).with_baseline(100.0, 1.2).unwrap();
        for concentration in [0.0, 0.5, 3.0, 10.0] {
            let step = 1e-5;
            let difference = (voxel.signal(concentration + step)
                - voxel.signal(concentration - step))
                / (2.0 * step * 4.5);
            let slope = voxel.r1_slope(voxel.signal(concentration));
            assert!((slope / difference - 1.0).abs() < 1e-7, "{slope} {difference}");
            let [_, inverse] = voxel.concentration_and_slope(voxel.signal(concentration)).unwrap();
            assert!((inverse * 4.5 * slope - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn signals_outside_the_domain_have_no_concentration() {
        let (baseline, t10_s) = (100.0, 1.2);
        let voxel = equation(0.004, 15.0).with_baseline(baseline, t10_s).unwrap();
        let e = (-0.004_f64 / t10_s).exp();
        let limit = baseline * (1.0 - 15_f64.to_radians().cos() * e) / (1.0 - e);
        for signal in [-1e-9, limit * (1.0 + 1e-12), 2.0 * limit, f64::NAN, f64::INFINITY] {
            assert!(voxel.concentration(signal).is_nan(), "{signal}");
            assert!(voxel.r1_slope(signal).is_nan());
            assert!(voxel.concentration_and_slope(signal).is_none());
        }
        assert!(voxel.concentration(limit * (1.0 - 1e-9)) > 100.0);
        assert!((voxel.concentration(0.0) + 1.0 / (t10_s * 4.5)).abs() < 1e-12);
    }

    #[test]
    fn a_baseline_or_t10_that_says_nothing_gives_no_voxel() {
        let equation = equation(0.004, 15.0);
        for baseline in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(equation.with_baseline(baseline, 1.2).is_none());
        }
        for t10_s in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(equation.with_baseline(100.0, t10_s).is_none());
        }
        assert!(relative_enhancement(1.0, 0.0).is_nan());
        assert!((relative_enhancement(3.0, 2.0) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn relaxivity_must_be_physical() {
        let protocol = Dynamic::new(vec![0.0, 1.0, 2.0, 3.0], 0.004, 0.26).unwrap();
        for relaxivity in [0.0, -4.5, f64::NAN, 4500.0] {
            let error = SpoiledGradientEcho::new(&protocol, relaxivity).unwrap_err();
            assert_eq!(error.field(), Some("relaxivity_per_s_per_mm"));
        }
    }
}
