//! Spin echoes of one train.

use std::f64::consts::PI;

use super::{n_distinct, require_range};
use crate::error::{Error, Result};

/// The echo time of every volume, and how the train is refocused.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiEcho {
    echo_times_s: Vec<f64>,
    refocusing: Refocusing,
}

/// The refocusing pulses of a train, all alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refocusing {
    angle_rad: f64,
    slice_profile: SliceProfile,
}

/// How flip angles vary across the slice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SliceProfile {
    /// Not at all.
    #[default]
    Rectangular,
    /// As a sinc of time-bandwidth product 4 under a Hamming window makes them, excitation and
    /// refocusing being of the same width.
    WindowedSinc,
}

impl SliceProfile {
    /// All, in the order of documentation.
    pub const ALL: [Self; 2] = [Self::Rectangular, Self::WindowedSinc];

    /// Name in pipelines and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rectangular => "rectangular",
            Self::WindowedSinc => "windowed_sinc",
        }
    }
}

impl Refocusing {
    /// Checks the nominal refocusing angle in the middle of the slice, rad.
    ///
    /// # Errors
    ///
    /// `Value` when the angle is not between π/6 and π.
    pub fn new(angle_rad: f64, slice_profile: SliceProfile) -> Result<Self> {
        if !(PI / 6.0..=PI).contains(&angle_rad) {
            return Err(Error::value(format!("{angle_rad} rad is not between π/6 and π"))
                .at_field("refocusing_angle_rad")
                .hint("angles are in radians here; echoes are the same for β and 2π − β"));
        }
        Ok(Self { angle_rad, slice_profile })
    }

    /// Nominal angle in the middle of the slice, rad.
    pub fn angle_rad(&self) -> f64 {
        self.angle_rad
    }

    /// How angles vary across the slice.
    pub fn slice_profile(&self) -> SliceProfile {
        self.slice_profile
    }
}

impl Default for Refocusing {
    /// By π, everywhere in the slice.
    fn default() -> Self {
        Self { angle_rad: PI, slice_profile: SliceProfile::Rectangular }
    }
}

impl MultiEcho {
    /// Checks one echo time per volume, s; refocused by π.
    ///
    /// # Errors
    ///
    /// `Value` when an echo time is not in 0.1 ms–1 s (larger ones look like milliseconds), two
    /// volumes share one, or there are fewer than two.
    pub fn new(echo_times_s: Vec<f64>) -> Result<Self> {
        require_range("echo_times_s", &echo_times_s, 1e-4, 1.0).map_err(|error| {
            error.hint("echo times are in seconds here; a value above 1 looks like milliseconds")
        })?;
        if echo_times_s.len() < 2 || n_distinct(&echo_times_s) < echo_times_s.len() {
            return Err(Error::value(format!(
                "{echo_times_s:?} must be at least two different echo times"
            ))
            .at_field("echo_times_s"));
        }
        Ok(Self { echo_times_s, refocusing: Refocusing::default() })
    }

    /// The same train refocused otherwise.
    #[must_use]
    pub fn refocused_by(self, refocusing: Refocusing) -> Self {
        Self { refocusing, ..self }
    }

    /// The volumes `used` of the train, in that order; places beyond the train are left out.
    ///
    /// # Errors
    ///
    /// `Value` when fewer than two are left, or one is named twice.
    pub fn part(&self, used: &[usize]) -> Result<Self> {
        let times_s = used.iter().filter_map(|&k| self.echo_times_s.get(k).copied()).collect();
        Ok(Self::new(times_s)?.refocused_by(self.refocusing))
    }

    /// One echo time per volume, s.
    pub fn echo_times_s(&self) -> &[f64] {
        &self.echo_times_s
    }

    /// The refocusing pulses.
    pub fn refocusing(&self) -> &Refocusing {
        &self.refocusing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_refused_with_the_fix() {
        let error = MultiEcho::new(vec![10.0, 20.0]).unwrap_err();
        assert!(error.hint_text().unwrap().contains("milliseconds"));
        assert_eq!(error.field(), Some("echo_times_s[0]"));
    }

    #[test]
    fn echo_times_must_differ() {
        assert!(MultiEcho::new(vec![0.01, 0.02, 0.03]).is_ok());
        assert!(MultiEcho::new(vec![0.01, 0.01]).is_err());
        assert!(MultiEcho::new(vec![0.01]).is_err());
    }

    #[test]
    fn a_part_of_a_train_keeps_its_pulses() {
        let refocusing = Refocusing::new(2.5, SliceProfile::WindowedSinc).unwrap();
        let train = MultiEcho::new(vec![0.01, 0.02, 0.03]).unwrap().refocused_by(refocusing);
        let part = train.part(&[2, 1]).unwrap();
        assert_eq!((part.echo_times_s(), part.refocusing()), (&[0.03, 0.02][..], &refocusing));
        assert!(train.part(&[1]).is_err() && train.part(&[1, 7]).is_err());
    }

    #[test]
    fn degrees_are_refused() {
        let error = Refocusing::new(160.0, SliceProfile::Rectangular).unwrap_err();
        assert_eq!(error.field(), Some("refocusing_angle_rad"));
        assert!(Refocusing::new(f64::NAN, SliceProfile::Rectangular).is_err());
    }
}
