//! Repeated spoiled gradient echo during a bolus.

use super::require_range;
use crate::error::{Error, Result};

/// Concentration in arterial plasma, linear between its points and 0 before the first.
#[derive(Debug, Clone, PartialEq)]
pub struct PlasmaCurve {
    times_s: Vec<f64>,
    concentrations_mmol_per_l: Vec<f64>,
}

impl PlasmaCurve {
    /// Concentrations (mM of plasma) at `times_s` (s, strictly rising, on the axis of the frames).
    ///
    /// # Errors
    ///
    /// `Mismatch` when lengths differ; `Value` when there are fewer than two points, times do not
    /// rise, a number is not finite or no concentration is above 0.
    pub fn new(times_s: Vec<f64>, concentrations_mmol_per_l: Vec<f64>) -> Result<Self> {
        if times_s.len() != concentrations_mmol_per_l.len() {
            return Err(Error::mismatch(format!(
                "{} times and {} concentrations of the plasma curve",
                times_s.len(),
                concentrations_mmol_per_l.len()
            )));
        }
        require_range("plasma_times_s", &times_s, -1e6, 1e6)?;
        require_range("plasma_mmol_per_l", &concentrations_mmol_per_l, -1e6, 1e6)?;
        let rises = times_s.windows(2).all(|pair| pair[0] < pair[1]);
        if times_s.len() < 2 || !rises {
            return Err(Error::value("a plasma curve needs at least 2 points whose times rise")
                .at_field("plasma_times_s"));
        }
        if !concentrations_mmol_per_l.iter().any(|&concentration| concentration > 0.0) {
            return Err(Error::value("no concentration of the plasma curve is above 0")
                .at_field("plasma_mmol_per_l"));
        }
        Ok(Self { times_s, concentrations_mmol_per_l })
    }

    /// Times of the points, s.
    pub fn times_s(&self) -> &[f64] {
        &self.times_s
    }

    /// Concentrations at the points, mM of plasma.
    pub fn concentrations_mmol_per_l(&self) -> &[f64] {
        &self.concentrations_mmol_per_l
    }
}

/// Frame times, repetition time and flip angle of a dynamic series.
#[derive(Debug, Clone, PartialEq)]
pub struct Dynamic {
    frame_times_s: Vec<f64>,
    repetition_time_s: f64,
    flip_angle_rad: f64,
    plasma: Option<PlasmaCurve>,
}

impl Dynamic {
    /// Checks frame times (s, mid-k-space, strictly rising, any origin), repetition time (s) and
    /// flip angle (rad).
    ///
    /// # Errors
    ///
    /// `Value` when times do not rise, fewer than four frames, repetition time not in 0.5 ms–20 s,
    /// or flip angle not in 0–π.
    pub fn new(
        frame_times_s: Vec<f64>,
        repetition_time_s: f64,
        flip_angle_rad: f64,
    ) -> Result<Self> {
        require_range("frame_times_s", &frame_times_s, -1e6, 1e6)?;
        if let Some(k) = frame_times_s.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(Error::value(format!(
                "frame time {} s does not come after {} s",
                frame_times_s[k + 1],
                frame_times_s[k]
            ))
            .at_field(format!("frame_times_s[{}]", k + 1)));
        }
        if frame_times_s.len() < 4 {
            return Err(Error::value(format!(
                "{} frames: at least 4 are needed, 3 of them before the bolus",
                frame_times_s.len()
            ))
            .at_field("frame_times_s"));
        }
        require_range("repetition_time_s", &[repetition_time_s], 5e-4, 20.0)?;
        require_range("flip_angle_rad", &[flip_angle_rad], 1e-3, std::f64::consts::PI)?;
        Ok(Self { frame_times_s, repetition_time_s, flip_angle_rad, plasma: None })
    }

    /// The same with the plasma curve that models of tissue need.
    ///
    /// # Errors
    ///
    /// `Value` at `plasma_times_s` when the curve ends before the last frame.
    pub fn with_plasma_curve(self, plasma: PlasmaCurve) -> Result<Self> {
        let last = |times: &[f64]| times.last().copied().unwrap_or(f64::NAN);
        let (frame, point) = (last(&self.frame_times_s), last(&plasma.times_s));
        // Times written as text round differently.
        if frame > point + 1e-6 {
            return Err(Error::value(format!(
                "the plasma curve ends at {point} s, before the last frame at {frame} s"
            ))
            .at_field("plasma_times_s")
            .hint("give the curve up to the last frame, or leave the later frames out"));
        }
        Ok(Self { plasma: Some(plasma), ..self })
    }

    /// The plasma curve, where there is one.
    pub fn plasma_curve(&self) -> Option<&PlasmaCurve> {
        self.plasma.as_ref()
    }

    /// One time per volume, s, strictly rising.
    pub fn frame_times_s(&self) -> &[f64] {
        &self.frame_times_s
    }

    /// Repetition time, s.
    pub fn repetition_time_s(&self) -> f64 {
        self.repetition_time_s
    }

    /// Flip angle, rad.
    pub fn flip_angle_rad(&self) -> f64 {
        self.flip_angle_rad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_times_must_rise() {
        assert!(Dynamic::new(vec![0.0, 3.0, 6.5, 9.0], 0.004, 0.26).is_ok());
        let error = Dynamic::new(vec![0.0, 3.0, 3.0, 9.0], 0.004, 0.26).unwrap_err();
        assert_eq!(error.field(), Some("frame_times_s[2]"));
        assert!(Dynamic::new(vec![0.0, 3.0, 6.0, 9.0], f64::NAN, 0.26).is_err());
    }

    #[test]
    fn a_plasma_curve_covers_the_frames_and_has_agent() {
        let dynamic = Dynamic::new(vec![0.0, 3.0, 6.5, 9.0], 0.004, 0.26).unwrap();
        let curve =
            |times: &[f64], values: &[f64]| PlasmaCurve::new(times.to_vec(), values.to_vec());
        let short = curve(&[0.0, 8.0], &[0.0, 1.0]).unwrap();
        let error = dynamic.clone().with_plasma_curve(short).unwrap_err();
        assert_eq!(error.field(), Some("plasma_times_s"));
        let whole = curve(&[2.0, 9.0], &[0.0, 1.0]).unwrap();
        let with = dynamic.with_plasma_curve(whole.clone()).unwrap();
        assert_eq!(with.plasma_curve(), Some(&whole));
        assert!(curve(&[0.0, 1.0], &[0.0]).is_err());
        assert!(curve(&[0.0, 0.0], &[0.0, 1.0]).is_err());
        assert!(curve(&[0.0, 1.0], &[0.0, 0.0]).is_err());
        assert!(curve(&[0.0, 1.0], &[0.0, f64::NAN]).is_err());
        assert!(curve(&[0.0], &[1.0]).is_err());
    }
}
