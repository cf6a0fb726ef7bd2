//! Diffusional kurtosis of one direction or of a mean: S = S0·e^(−b·D + b²·D²·K/6).
//!
//! The expansion ends after the second order in b: it holds below b = 3/(D·K), where the curve turns
//! upwards. Estimates that put the largest b-value beyond are flagged. No tensor. The start of a fit
//! is the best of 14 × 8 pairs (D, K) with the amplitude solved for.
//!
//! # Reference
//!
//! Jensen et al., "Diffusional kurtosis imaging: the quantification of non-Gaussian water diffusion
//! by means of magnetic resonance imaging", Magn Reson Med 2005, doi:10.1002/mrm.20508. Jensen and
//! Helpern, "MRI quantification of non-Gaussian water diffusion by kurtosis analysis", NMR Biomed
//! 2010, doi:10.1002/nbm.1518 (range of b).

use super::curve_table::{CurveTable, geometric};
use super::{Model, ModelEntry, Parameter, clamp_into, wrong_protocol};
use crate::acquisition::{Diffusion, Protocol, ProtocolKind};
use crate::error::{Error, Result};
use crate::unit::Unit;

const N_DIFFUSION: usize = 14;
const KURTOSES: [f64; 8] = [0.0, 0.3, 0.6, 1.0, 1.5, 2.2, 3.2, 4.5];

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "diffusion_coefficient",
        short_name: "d",
        unit: Unit::SquareMillimetrePerSecond,
        suffix: "Dmap",
        bounds: [0.0, 6e-3],
        display_window: [0.0, 3e-3],
    },
    Parameter {
        name: "diffusional_kurtosis",
        short_name: "k",
        unit: Unit::One,
        suffix: "Kmap",
        bounds: [-1.0, 5.0],
        display_window: [0.0, 2.0],
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
    name: "kurtosis",
    summary: "non-Gaussian diffusion to the second order in b",
    equation: "S(b) = S0 * exp(-b * D + b^2 * D^2 * K / 6)",
    reference: "Jensen et al., Magn Reson Med 2005;53:1432-1440, doi:10.1002/mrm.20508",
    protocol: ProtocolKind::Diffusion,
    parameters: PARAMETERS,
    example_protocols,
    recoverable: &[[0.4e-3, 1.2e-3], [0.2, 1.1], [10.0, 1e5]],
    build,
};

fn example_protocols() -> Result<Vec<Protocol>> {
    let b_values = [
        &[0.0, 500.0, 1000.0, 1500.0, 2000.0][..],
        &[0.0, 0.0, 200.0, 400.0, 700.0, 1000.0, 1000.0, 1400.0, 2000.0, 2000.0],
    ];
    b_values.into_iter().map(|b| Ok(Protocol::Diffusion(Diffusion::new(b.to_vec())?))).collect()
}

fn build(protocol: &Protocol) -> Result<Box<dyn Model>> {
    match protocol {
        Protocol::Diffusion(diffusion) => Ok(Box::new(Kurtosis::new(diffusion)?)),
        other => Err(wrong_protocol(&ENTRY, other)),
    }
}

/// Parameters D (mm²/s), K, S0.
#[derive(Debug, Clone)]
struct Kurtosis {
    b_values: Vec<f64>,
    b_max: f64,
    starts: CurveTable,
    pairs: Vec<[f64; 2]>,
}

/// −b·D + b²·D²·K/6.
fn exponent(b: f64, diffusion: f64, kurtosis: f64) -> f64 {
    let x = b * diffusion;
    x * (x * kurtosis / 6.0 - 1.0)
}

impl Kurtosis {
    fn new(diffusion: &Diffusion) -> Result<Self> {
        let b_values = diffusion.b_values_s_per_mm2().to_vec();
        if diffusion.n_different() < PARAMETERS.len() {
            return Err(Error::value(format!(
                "{b_values:?} must hold at least three different b-values for model `kurtosis`"
            ))
            .at_field("b_values_s_per_mm2"));
        }
        let diffusivities = geometric(0.1e-3, 4e-3, N_DIFFUSION);
        let pairs: Vec<[f64; 2]> =
            diffusivities.iter().flat_map(|&d| KURTOSES.map(|k| [d, k])).collect();
        let curve =
            |[d, k]: &[f64; 2]| b_values.iter().map(|&b| exponent(b, *d, *k).exp()).collect();
        let curves: Vec<Vec<f64>> = pairs.iter().map(curve).collect();
        let candidates: Vec<_> = (0..pairs.len()).map(|index| (index, None)).collect();
        let b_max = b_values.iter().copied().fold(0.0, f64::max);
        Ok(Self { starts: CurveTable::new(&curves, &candidates), b_values, b_max, pairs })
    }
}

impl Model for Kurtosis {
    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn n_samples(&self) -> usize {
        self.b_values.len()
    }

    fn signal(&self, parameters: &[f64], _fixed: &[f64], signal: &mut [f64]) {
        for (signal, &b) in signal.iter_mut().zip(&self.b_values) {
            *signal = parameters[2] * exponent(b, parameters[0], parameters[1]).exp();
        }
    }

    fn jacobian(&self, parameters: &[f64], _fixed: &[f64], jacobian: &mut [f64]) {
        let [diffusion, kurtosis, s0] = [parameters[0], parameters[1], parameters[2]];
        for (row, &b) in jacobian.chunks_exact_mut(3).zip(&self.b_values) {
            let decay = exponent(b, diffusion, kurtosis).exp();
            row[0] = s0 * decay * b * (b * diffusion * kurtosis / 3.0 - 1.0);
            row[1] = s0 * decay * (b * diffusion).powi(2) / 6.0;
            row[2] = decay;
        }
    }

    fn initial(&self, samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
        let start = match self.starts.best(samples) {
            Some(best) => {
                let [diffusion, kurtosis] = self.pairs[best.candidate];
                [diffusion, kurtosis, best.amplitudes[0]]
            }
            None => [1e-3, 0.0, samples.iter().copied().fold(0.0, f64::max)],
        };
        clamp_into(PARAMETERS, &start, parameters);
    }

    /// Whether the largest b-value is below 3/(D·K).
    fn holds_at(&self, parameters: &[f64]) -> bool {
        self.b_max * parameters[0] * parameters[1] < 3.0
    }
}
