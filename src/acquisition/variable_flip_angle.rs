//! Spoiled gradient echo at several flip angles.

use super::{n_distinct, require_range};
use crate::error::{Error, Result};

/// Flip angle of every volume and their common repetition time.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableFlipAngle {
    flip_angles_rad: Vec<f64>,
    repetition_time_s: f64,
}

impl VariableFlipAngle {
    /// Checks flip angles (rad, in 0–π, at least two different) and repetition time (s).
    ///
    /// # Errors
    ///
    /// `Value` naming the field whose rule is broken.
    pub fn new(flip_angles_rad: Vec<f64>, repetition_time_s: f64) -> Result<Self> {
        require_range("flip_angles_rad", &flip_angles_rad, 1e-3, std::f64::consts::PI)
            .map_err(|error| error.hint("flip angles are in radians here"))?;
        if n_distinct(&flip_angles_rad) < 2 {
            return Err(Error::value(format!(
                "{flip_angles_rad:?} must hold at least two different flip angles"
            ))
            .at_field("flip_angles_rad"));
        }
        require_range("repetition_time_s", &[repetition_time_s], 5e-4, 20.0)?;
        Ok(Self { flip_angles_rad, repetition_time_s })
    }

    /// One flip angle per volume, rad.
    pub fn flip_angles_rad(&self) -> &[f64] {
        &self.flip_angles_rad
    }

    /// Repetition time, s.
    pub fn repetition_time_s(&self) -> f64 {
        self.repetition_time_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_refused() {
        assert!(VariableFlipAngle::new(vec![0.05, 0.2], 0.005).is_ok());
        assert!(VariableFlipAngle::new(vec![5.0, 20.0], 0.005).is_err());
        assert!(VariableFlipAngle::new(vec![0.2, 0.2], 0.005).is_err());
    }
}
