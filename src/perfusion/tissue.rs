//! Tissue curves of the Tofts models.
//!
//! ```text
//! C_t(t) = v_p·C_p(t) + K·∫ C_p(τ)·exp(−k(t − τ)) dτ,   k = K/v_e,   K = Ktrans
//! ```
//!
//! The plasma concentration is linear between the given times; then the convolution has an exact
//! recursion and no step is too long.
//!
//! # Reference
//!
//! Tofts et al., "Estimating kinetic parameters from dynamic contrast-enhanced T1-weighted MRI of a
//! diffusable tracer", J Magn Reson Imaging 1999,
//! `doi:10.1002/(SICI)1522-2586(199909)10:3<223::AID-JMRI2>3.0.CO;2-S`. Flouri et al., "Fitting the
//! two-compartment model in DCE-MRI by linear inversion", Magn Reson Med 2016,
//! doi:10.1002/mrm.25991 (piecewise-linear exponential convolution).

use crate::error::{Error, Result};

/// Tissue of the extended Tofts model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TissueParameters {
    /// Volume transfer constant Ktrans, 1/s.
    pub ktrans_per_s: f64,
    /// Extravascular extracellular volume fraction.
    pub ve: f64,
    /// Plasma volume fraction; 0 in the Tofts model.
    pub vp: f64,
}

impl TissueParameters {
    fn check(&self) -> Result<()> {
        let rules = [
            ("ktrans_per_s", self.ktrans_per_s, self.ktrans_per_s >= 0.0, "at least 0"),
            ("ve", self.ve, 0.0 < self.ve && self.ve <= 1.0, "in 0–1 and above 0"),
            ("vp", self.vp, (0.0..=1.0).contains(&self.vp), "in 0–1"),
        ];
        for (field, value, holds, rule) in rules {
            if !(holds && value.is_finite()) {
                return Err(Error::value(format!("{value} is not {rule}")).at_field(field));
            }
        }
        Ok(())
    }
}

/// Writes the tissue concentration of the Tofts model (no plasma volume), mM, shape `[n_times]`.
///
/// # Errors
///
/// As [`extended_tofts`].
pub fn tofts(
    times_s: &[f64],
    plasma_mmol_per_l: &[f64],
    tissue: &TissueParameters,
    concentration: &mut [f64],
) -> Result<()> {
    extended_tofts(
        times_s,
        plasma_mmol_per_l,
        &TissueParameters { vp: 0.0, ..*tissue },
        concentration,
    )
}

/// Writes the tissue concentration of the extended Tofts model, mM, shape `[n_times]`.
///
/// `plasma_mmol_per_l` are **plasma** concentrations at `times_s` (s, strictly rising), linear in
/// between and 0 before the first. A NaN spreads to all later times. Allocates nothing.
///
/// # Errors
///
/// `Mismatch` when the lengths differ; `Value` when times do not rise or a parameter is out of range.
pub fn extended_tofts(
    times_s: &[f64],
    plasma_mmol_per_l: &[f64],
    tissue: &TissueParameters,
    concentration: &mut [f64],
) -> Result<()> {
    tissue.check()?;
    let n = times_s.len();
    if plasma_mmol_per_l.len() != n || concentration.len() != n {
        return Err(Error::mismatch(format!(
            "{n} times, {} plasma concentrations and room for {}",
            plasma_mmol_per_l.len(),
            concentration.len()
        )));
    }
    if let Some(k) = times_s.windows(2).position(|pair| pair[0] >= pair[1]) {
        let message = format!("time {} s does not come after {} s", times_s[k + 1], times_s[k]);
        return Err(Error::value(message).at_field(format!("times_s[{}]", k + 1)));
    }
    let rate_per_s = tissue.ktrans_per_s / tissue.ve;
    let mut exchange = 0.0;
    let mut previous: Option<(f64, f64)> = None;
    for ((&time, &plasma), out) in times_s.iter().zip(plasma_mmol_per_l).zip(concentration) {
        if let Some((earlier, before)) = previous {
            let step = time - earlier;
            let [decay, constant, ramp] = step_integrals(rate_per_s * step);
            exchange = exchange * decay + step * (before * constant + (plasma - before) * ramp);
        }
        previous = Some((time, plasma));
        *out = tissue.vp * plasma + tissue.ktrans_per_s * exchange;
    }
    Ok(())
}

/// e^−x, (1 − e^−x)/x and (x − 1 + e^−x)/x², accurate for every x ≥ 0.
fn step_integrals(x: f64) -> [f64; 3] {
    let decay = (-x).exp();
    if x < 0.02 {
        // Taylor series; the first term left out is below 0.02⁷/8! ≈ 3e-17.
        let ramp = (0..7).rev().fold(0.0, |sum, n| 1.0 / factorial(n + 2) - x * sum);
        [decay, 1.0 - x * ramp, ramp]
    } else {
        let constant = -(-x).exp_m1() / x;
        [decay, constant, (1.0 - constant) / x]
    }
}

fn factorial(n: u32) -> f64 {
    (1..=n).map(f64::from).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perfusion::area_under_curve;

    #[test]
    fn step_integrals_join_smoothly_and_match_their_series() {
        for x in [0.0, 1e-12, 1e-6, 1e-3, 0.019_999, 0.020_001, 0.3, 3.0, 50.0] {
            let mut term = 1.0;
            let mut sums = [0.0; 2];
            for n in 0..400_u32 {
                // term = (−x)ⁿ/n!
                sums[0] += term / f64::from(n + 1);
                sums[1] += term / (f64::from(n + 1) * f64::from(n + 2));
                term *= -x / f64::from(n + 1);
            }
            if x < 5.0 {
                let [_, constant, ramp] = step_integrals(x);
                assert!((constant / sums[0] - 1.0).abs() < 1e-13, "{x}");
                assert!((ramp / sums[1] - 1.0).abs() < 1e-13, "{x}");
            }
        }
        let [decay, constant, ramp] = step_integrals(800.0);
        assert!(decay.abs() < 1e-300 && (constant * 800.0 - 1.0).abs() < 1e-15);
        assert!((ramp - 799.0 / 640_000.0).abs() < 1e-15);
    }

    #[test]
    fn constant_plasma_gives_the_closed_form_at_every_frame_and_in_the_area() {
        let (c0, tissue) = (2.0, TissueParameters { ktrans_per_s: 0.5 / 60.0, ve: 0.4, vp: 0.0 });
        let k = tissue.ktrans_per_s / tissue.ve;
        let times: Vec<f64> = (0..=60_000).map(|n| f64::from(n) * 1e-3).collect();
        let mut curve = vec![0.0; times.len()];
        tofts(&times, &vec![c0; times.len()], &tissue, &mut curve).unwrap();
        for (t, c) in times.iter().zip(&curve) {
            let closed = -tissue.ktrans_per_s * c0 / k * (-k * t).exp_m1();
            assert!((c - closed).abs() < 1e-12);
        }
        let area = area_under_curve(&times, &curve, 0.0, 60.0).unwrap();
        let closed = tissue.ktrans_per_s * c0 / k * (60.0 + (-60.0 * k).exp_m1() / k);
        // Trapezoids of 1 ms: error below 60·h²/12·max|C''| ≈ 2e-9.
        assert!((area - closed).abs() < 1e-8, "{area} {closed}");
    }

    #[test]
    fn the_recursion_is_exact_for_a_ramp_on_long_irregular_steps() {
        let tissue = TissueParameters { ktrans_per_s: 0.01, ve: 0.2, vp: 0.1 };
        let k = tissue.ktrans_per_s / tissue.ve;
        let times = [0.0, 7.0, 9.5, 40.0, 41.0, 120.0];
        let mut curve = [0.0; 6];
        extended_tofts(&times, &times.map(|t| 0.3 * t), &tissue, &mut curve).unwrap();
        for (t, c) in times.iter().zip(curve) {
            let convolution = 0.3 * (t / k + (-k * t).exp_m1() / (k * k));
            let closed = tissue.vp * 0.3 * t + tissue.ktrans_per_s * convolution;
            assert!((c - closed).abs() < 1e-13 * (1.0 + closed), "{c} {closed}");
        }
    }

    #[test]
    fn without_exchange_only_plasma_is_left() {
        let tissue = TissueParameters { ktrans_per_s: 0.0, ve: 0.4, vp: 0.05 };
        let mut curve = [f64::NAN; 3];
        extended_tofts(&[0.0, 1.0, 5.0], &[0.0, 2.0, 4.0], &tissue, &mut curve).unwrap();
        assert!(curve.iter().zip([0.0, 0.1, 0.2]).all(|(a, b)| (a - b).abs() < 1e-15));
    }

    #[test]
    fn bad_input_is_named() {
        let good = TissueParameters { ktrans_per_s: 0.01, ve: 0.4, vp: 0.05 };
        let run = |times: &[f64], tissue: TissueParameters| {
            extended_tofts(times, &vec![1.0; times.len()], &tissue, &mut vec![0.0; times.len()])
        };
        assert_eq!(run(&[0.0, 0.0], good).unwrap_err().field(), Some("times_s[1]"));
        let ve = TissueParameters { ve: 0.0, ..good };
        assert_eq!(run(&[0.0, 1.0], ve).unwrap_err().field(), Some("ve"));
        let vp = TissueParameters { vp: f64::NAN, ..good };
        assert_eq!(run(&[0.0, 1.0], vp).unwrap_err().field(), Some("vp"));
        let ktrans = TissueParameters { ktrans_per_s: -1.0, ..good };
        assert_eq!(run(&[0.0, 1.0], ktrans).unwrap_err().field(), Some("ktrans_per_s"));
        assert!(extended_tofts(&[0.0, 1.0], &[1.0], &good, &mut [0.0; 2]).is_err());
        assert!(run(&[], good).is_ok());
    }
}
