//! Mono-exponential diffusion: S = S0·e^(−b·ADC).
//!
//! One apparent diffusion coefficient per voxel; no perfusion, no kurtosis, no noise floor.
//!
//! # Reference
//!
//! Le Bihan et al., "MR imaging of intravoxel incoherent motions: application to diffusion and
//! perfusion in neurologic disorders", Radiology 1986, doi:10.1148/radiology.161.2.3763909.

use super::curve::{Curve, Exponential, Headline, Separable};
use super::{Model, ModelEntry, Parameter, clamp_into, wrong_protocol};
use crate::acquisition::{Diffusion, Protocol, ProtocolKind};
use crate::error::Result;
use crate::unit::Unit;

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "apparent_diffusion_coefficient",
        short_name: "adc",
        unit: Unit::SquareMillimetrePerSecond,
        suffix: "ADC",
        bounds: [-0.5e-3, 6e-3],
        display_window: [0.0, 3e-3],
    },
    Parameter {
        name: "signal_without_diffusion_weighting",
        short_name: "s0",
        unit: Unit::Arbitrary,
        suffix: "S0map",
        bounds: [0.0, f64::INFINITY],
        display_window: [0.0, 1000.0],
    },
];

/// Line of the registry.
pub(super) const ENTRY: ModelEntry = ModelEntry {
    name: "adc",
    summary: "mono-exponential diffusion",
    equation: "S(b) = S0 * exp(-b * ADC)",
    reference: "Le Bihan et al., Radiology 1986;161:401-407, doi:10.1148/radiology.161.2.3763909",
    protocol: ProtocolKind::Diffusion,
    parameters: PARAMETERS,
    example_protocols,
    recoverable: &[[-0.3e-3, 5e-3], [10.0, 1e5]],
    build,
};

fn example_protocols() -> Result<Vec<Protocol>> {
    let b_values = [
        &[0.0, 800.0][..],
        &[800.0, 50.0, 400.0],
        &[0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0, 800.0],
    ];
    b_values.into_iter().map(|b| Ok(Protocol::Diffusion(Diffusion::new(b.to_vec())?))).collect()
}

fn build(protocol: &Protocol) -> Result<Box<dyn Model>> {
    match protocol {
        Protocol::Diffusion(diffusion) => {
            let curve = Exponential::new(diffusion.b_values_s_per_mm2().to_vec());
            Ok(Box::new(Adc { curve }))
        }
        other => Err(wrong_protocol(&ENTRY, other)),
    }
}

/// S = S0·e^(−b·ADC); parameters ADC (mm²/s), S0.
#[derive(Debug, Clone)]
struct Adc {
    curve: Exponential,
}

impl Model for Adc {
    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn n_samples(&self) -> usize {
        self.curve.abscissae().len()
    }

    fn signal(&self, parameters: &[f64], _fixed: &[f64], signal: &mut [f64]) {
        for (signal, b) in signal.iter_mut().zip(self.curve.abscissae()) {
            *signal = parameters[1] * (-b * parameters[0]).exp();
        }
    }

    fn jacobian(&self, parameters: &[f64], _fixed: &[f64], jacobian: &mut [f64]) {
        for (row, b) in jacobian.chunks_exact_mut(2).zip(self.curve.abscissae()) {
            let decay = (-b * parameters[0]).exp();
            row[0] = -b * parameters[1] * decay;
            row[1] = decay;
        }
    }

    fn initial(&self, samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
        let highest = samples.iter().copied().fold(0.0, f64::max);
        let start = self.curve.log_linear(samples).unwrap_or([1e-3, highest]);
        clamp_into(PARAMETERS, &start, parameters);
    }

    fn separable(&self) -> Option<Separable> {
        let curve = Curve::Exponential(self.curve.clone());
        Some(Separable { curve, headline: Headline::Rate })
    }
}
