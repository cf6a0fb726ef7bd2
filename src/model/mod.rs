//! Signal models: the equation, its parameters, and one fitted voxel.
//!
//! A model knows no image: it is built from a [`Protocol`] and works on slices, one entry per volume
//! of the series. Adding one is a file here and a line in [`MODELS`].

mod adc;
mod curve;
mod curve_table;
mod echo_train;
mod estimate;
mod fit_block;
mod fit_columns;
mod ivim;
mod kurtosis;
mod slice_profile;
mod t1_vfa;
mod t2;
mod t2_epg;
mod t2_offset;
mod tofts;

pub use curve::{Curve, Exponential, Headline, Separable, SpoiledGradientEcho, Tail};
pub use estimate::{Estimator, Fit, FitStatus, VoxelData};
pub use fit_block::{Detail, FitBlock, LaneData, one_by_one};
pub use fit_columns::{FitColumns, StoredLanes};
pub use tofts::PlasmaConvolution;

use crate::acquisition::{Protocol, ProtocolKind};
use crate::error::{Error, Result};
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

    /// Constants it needs per voxel beside the samples.
    fn n_fixed(&self) -> usize {
        0
    }

    /// Number of starting points that fits descend from; the deepest valley is reported.
    fn n_starts(&self) -> usize {
        1
    }

    /// Writes starting point `index` of [`Model::n_starts`].
    fn start(&self, index: usize, samples: &[f64], fixed: &[f64], parameters: &mut [f64]) {
        let _ = index;
        self.initial(samples, fixed, parameters);
    }

    /// Its curve, where the signal is one amplitude (the second parameter) times a curve of one rate
    /// (which gives the first): such models are solved by variable projection.
    fn separable(&self) -> Option<Separable> {
        None
    }

    /// The samples that the headline parameter shapes alone, where there are such: segmented fits
    /// take it from them.
    fn tail(&self) -> Option<Tail> {
        None
    }

    /// Whether the equation is valid at `parameters` on this protocol; estimates where it is not are
    /// flagged.
    fn holds_at(&self, parameters: &[f64]) -> bool {
        let _ = parameters;
        true
    }
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
    /// Protocols on which it can be seen, from the smallest on.
    pub example_protocols: fn() -> Result<Vec<Protocol>>,
    /// Range of every parameter that each of these protocols can tell apart: there the model is held
    /// to give back what made the signal.
    pub recoverable: &'static [[f64; 2]],
    /// Builds it on a protocol; refuses another kind of protocol.
    pub build: fn(&Protocol) -> Result<Box<dyn Model>>,
}

/// Every signal model, in the order `biomarker models` lists them.
pub const MODELS: &[ModelEntry] = &[
    adc::ENTRY,
    ivim::ENTRY,
    kurtosis::ENTRY,
    t2::ENTRY,
    t2_offset::ENTRY,
    t2_epg::ENTRY,
    t1_vfa::ENTRY,
    tofts::ENTRY,
    tofts::EXTENDED_ENTRY,
];

/// The entry called `name`.
///
/// # Errors
///
/// `Value` with the names there are.
pub fn find(name: &str) -> Result<&'static ModelEntry> {
    MODELS.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = MODELS.iter().map(|entry| entry.name).collect();
        Error::value(format!("no model is called `{name}`"))
            .at_field("model")
            .hint(format!("models: {}", names.join(", ")))
    })
}

fn wrong_protocol(entry: &ModelEntry, protocol: &Protocol) -> Error {
    Error::mismatch(format!(
        "model `{}` needs a protocol of kind {:?}, not {:?}",
        entry.name,
        entry.protocol,
        protocol.kind()
    ))
}

/// The model `t1_vfa` with one constant per voxel: the flip angle over the nominal one (B1+).
///
/// # Errors
///
/// `Mismatch` when the protocol has no flip angles.
pub fn t1_with_transmit_field(protocol: &Protocol) -> Result<Box<dyn Model>> {
    t1_vfa::with_transmit_field(protocol)
}

/// Writes `values` clamped into the bounds of `parameters`; NaN becomes the lower bound.
fn clamp_into(parameters: &[Parameter], values: &[f64], clamped: &mut [f64]) {
    for ((parameter, value), clamped) in parameters.iter().zip(values).zip(clamped) {
        let [low, high] = parameter.bounds;
        *clamped = value.max(low).min(high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquisition::{Diffusion, MultiEcho};

    #[test]
    fn models_are_found_by_name_and_refuse_another_protocol() {
        let protocol = Protocol::Diffusion(Diffusion::new(vec![0.0, 800.0]).unwrap());
        assert_eq!((find("adc").unwrap().build)(&protocol).unwrap().n_samples(), 2);
        let error = (find("t2").unwrap().build)(&protocol).err().unwrap();
        assert!(error.to_string().contains("needs a protocol of kind MultiEcho, not Diffusion"));
        assert_eq!(
            find("t3").unwrap_err().hint_text(),
            Some(
                "models: adc, ivim, kurtosis, t2, t2_offset, t2_epg, t1_vfa, tofts, extended_tofts"
            )
        );
    }

    #[test]
    fn starts_lie_inside_the_bounds_for_any_samples() {
        let protocol = Protocol::MultiEcho(MultiEcho::new(vec![0.01, 0.02]).unwrap());
        let model = (find("t2").unwrap().build)(&protocol).unwrap();
        for samples in [[0.0, 0.0], [-1.0, 2.0], [1.0, 2.0], [1e300, 1e-300], [5.0, 5.0]] {
            let mut start = [f64::NAN; 2];
            model.initial(&samples, &[], &mut start);
            for (parameter, value) in model.parameters().iter().zip(start) {
                assert!(parameter.bounds[0] <= value && value <= parameter.bounds[1]);
            }
        }
    }
}
