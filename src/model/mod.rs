//! Signal models: the equation, its parameters, and one fitted voxel.
//!
//! A model knows no image: it is built from a [`Protocol`] and works on slices, one entry per volume
//! of the series. Adding one is a file here and a line in [`MODELS`].

mod estimate;

pub use estimate::{Estimator, Fit, FitStatus, VoxelData};

use crate::acquisition::{Protocol, ProtocolKind};
use crate::error::Result;
use crate::unit::Unit;

/// A quantity that a model estimates, with everything a map of it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// Field name, whole words, such as `apparent_diffusion_coefficient`.
    pub name: &'static str,
    /// Short name for table columns and axes, such as `adc`.
    pub short_name: &'static str,
    /// Unit of estimates and maps.
    pub unit: Unit,
    /// BIDS suffix of its map, such as `ADC` or `T2map`.
    pub suffix: &'static str,
    /// Estimates are kept inside `bounds[0]..=bounds[1]`.
    pub bounds: [f64; 2],
    /// Values shown from black to white, in `unit`.
    pub display_window: [f64; 2],
}

/// A signal equation on a fixed protocol. Object-safe over slices.
pub trait Model: Send + Sync {
    /// Varying parameters in the order of every parameter slice; the first is the headline.
    fn parameters(&self) -> &'static [Parameter];

    /// Number of samples of one voxel.
    fn n_samples(&self) -> usize;

    /// Writes the signal of `parameters`, shape `[n_samples]`. `fixed` are the model's per-voxel
    /// constants (empty for most models).
    fn signal(&self, parameters: &[f64], fixed: &[f64], signal: &mut [f64]);

    /// Writes ∂signal/∂parameter, shape `[n_samples, n_parameters]`, row-major.
    fn jacobian(&self, parameters: &[f64], fixed: &[f64], jacobian: &mut [f64]);

    /// Writes a starting point for `samples`, inside the bounds.
    fn initial(&self, samples: &[f64], fixed: &[f64], parameters: &mut [f64]);
}

/// One line of the registry: what `biomarker models` lists and how a model is built.
#[derive(Debug, Clone, Copy)]
pub struct ModelEntry {
    /// Name on the command line, such as `adc`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The equation in plain text.
    pub equation: &'static str,
    /// Citation with DOI.
    pub reference: &'static str,
    /// The protocol it needs.
    pub protocol: ProtocolKind,
    /// Its varying parameters.
    pub parameters: &'static [Parameter],
    /// Builds it on a protocol; refuses another kind of protocol.
    pub build: fn(&Protocol) -> Result<Box<dyn Model>>,
}

/// Every signal model, in the order `biomarker models` lists them.
pub const MODELS: &[ModelEntry] = &[];
