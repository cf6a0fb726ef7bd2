//! What the scanner played out: one validated struct per kind of sequence.
//!
//! Times are in seconds, angles in radians, b-values in s/mm². The order is the order of the
//! volumes in the series; nothing here sorts.

mod diffusion;
mod dynamic;
mod multi_echo;
mod variable_flip_angle;

pub use diffusion::Diffusion;
pub use dynamic::{Dynamic, PlasmaCurve};
pub use multi_echo::{MultiEcho, Refocusing, SliceProfile};
pub use variable_flip_angle::VariableFlipAngle;

/// What was played out for one series.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    /// Diffusion weighting.
    Diffusion(Diffusion),
    /// Spin echoes of one train.
    MultiEcho(MultiEcho),
    /// Repeated spoiled gradient echo during a bolus.
    Dynamic(Dynamic),
    /// Spoiled gradient echo at several flip angles.
    VariableFlipAngle(VariableFlipAngle),
}

/// The kind of a [`Protocol`], for a model that says what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolKind {
    /// Diffusion weighting.
    Diffusion,
    /// Spin echoes of one train.
    MultiEcho,
    /// Repeated spoiled gradient echo during a bolus.
    Dynamic,
    /// Spoiled gradient echo at several flip angles.
    VariableFlipAngle,
}

impl Protocol {
    /// Number of volumes it describes.
    pub fn n_volumes(&self) -> usize {
        match self {
            Self::Diffusion(p) => p.b_values_s_per_mm2().len(),
            Self::MultiEcho(p) => p.echo_times_s().len(),
            Self::Dynamic(p) => p.frame_times_s().len(),
            Self::VariableFlipAngle(p) => p.flip_angles_rad().len(),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> ProtocolKind {
        match self {
            Self::Diffusion(_) => ProtocolKind::Diffusion,
            Self::MultiEcho(_) => ProtocolKind::MultiEcho,
            Self::Dynamic(_) => ProtocolKind::Dynamic,
            Self::VariableFlipAngle(_) => ProtocolKind::VariableFlipAngle,
        }
    }
}

use crate::error::{Error, Result};

/// Passes when every value is finite and lies in `low..=high`.
fn require_range(field: &str, values: &[f64], low: f64, high: f64) -> Result<()> {
    match values.iter().position(|value| !(low <= *value && *value <= high)) {
        Some(index) => {
            Err(Error::value(format!("value {} is not between {low} and {high}", values[index]))
                .at_field(format!("{field}[{index}]")))
        }
        None => Ok(()),
    }
}

/// Number of distinct values.
fn n_distinct(values: &[f64]) -> usize {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup_by(|a, b| a.total_cmp(b).is_eq());
    sorted.len()
}
