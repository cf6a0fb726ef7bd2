//! Repeated spoiled gradient echo during a bolus.

use super::require_range;
use crate::error::{Error, Result};

/// Frame times, repetition time and flip angle of a dynamic series.
#[derive(Debug, Clone, PartialEq)]
pub struct Dynamic {
    frame_times_s: Vec<f64>,
    repetition_time_s: f64,
    flip_angle_rad: f64,
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
        Ok(Self { frame_times_s, repetition_time_s, flip_angle_rad })
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
}
