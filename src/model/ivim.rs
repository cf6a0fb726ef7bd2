//! Intravoxel incoherent motion: S = S0·(f·e^(−b·D*) + (1 − f)·e^(−b·D)).
//!
//! Two compartments with one T1 and T2; their bounds do not overlap, so that the names cannot swap.
//! Fits start from the best of 12 × 10 pairs (D, D*) with both amplitudes solved for, and from the best
//! of those with a slow, a middle and a fast D*: these are the valleys that noise can make.
//!
//! # Reference
//!
//! Le Bihan et al., "Separation of diffusion and perfusion in intravoxel incoherent motion MR
//! imaging", Radiology 1988, doi:10.1148/radiology.168.2.3393671.

use super::curve_table::{CurveTable, geometric};
use super::{Exponential, Model, ModelEntry, Parameter, Tail, clamp_into, wrong_protocol};
use crate::acquisition::{Diffusion, Protocol, ProtocolKind};
use crate::error::{Error, Result};
use crate::unit::Unit;

/// From here on perfusion has left the signal: e^(−200·0.01) is 0.14 of a small fraction.
const TAIL_FROM_S_PER_MM2: f64 = 200.0;
const N_SLOW: usize = 12;
const N_FAST: usize = 10;
/// Places of D* in the table that start a valley each.
const VALLEYS: [[usize; 2]; 3] = [[0, 3], [3, 6], [6, N_FAST]];

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "diffusion_coefficient",
        short_name: "d",
        unit: Unit::SquareMillimetrePerSecond,
        suffix: "Dmap",
        bounds: [0.0, 4e-3],
        display_window: [0.0, 3e-3],
    },
    Parameter {
        name: "pseudo_diffusion_coefficient",
        short_name: "d_star",
        unit: Unit::SquareMillimetrePerSecond,
        suffix: "Dstarmap",
        bounds: [4e-3, 0.3],
        display_window: [0.0, 0.1],
    },
    Parameter {
        name: "perfusion_fraction",
        short_name: "f",
        unit: Unit::One,
        suffix: "PFmap",
        bounds: [0.0, 1.0],
        display_window: [0.0, 0.4],
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
    name: "ivim",
    summary: "intravoxel incoherent motion: diffusion and perfusion",
    equation: "S(b) = S0 * (f * exp(-b * D*) + (1 - f) * exp(-b * D))",
    reference: "Le Bihan et al., Radiology 1988;168:497-505, doi:10.1148/radiology.168.2.3393671",
    protocol: ProtocolKind::Diffusion,
    parameters: PARAMETERS,
    example_protocols,
    recoverable: &[[0.4e-3, 2.2e-3], [0.01, 0.08], [0.08, 0.4], [10.0, 1e5]],
    build,
};

fn example_protocols() -> Result<Vec<Protocol>> {
    let b_values = [
        &[0.0, 10.0, 20.0, 40.0, 80.0, 110.0, 140.0, 170.0, 200.0, 300.0, 400.0, 600.0, 900.0][..],
        &[0.0, 5.0, 15.0, 30.0, 50.0, 80.0, 120.0, 200.0, 400.0, 800.0],
    ];
    b_values.into_iter().map(|b| Ok(Protocol::Diffusion(Diffusion::new(b.to_vec())?))).collect()
}

fn build(protocol: &Protocol) -> Result<Box<dyn Model>> {
    match protocol {
        Protocol::Diffusion(diffusion) => Ok(Box::new(Ivim::new(diffusion)?)),
        other => Err(wrong_protocol(&ENTRY, other)),
    }
}

/// Parameters D (mm²/s), D* (mm²/s), f, S0.
#[derive(Debug, Clone)]
struct Ivim {
    b_values: Vec<f64>,
    starts: CurveTable,
    pairs: Vec<[f64; 2]>,
    /// The part of the table with D* in each of [`VALLEYS`], and its pairs.
    valleys: Vec<(CurveTable, Vec<[f64; 2]>)>,
}

impl Ivim {
    fn new(diffusion: &Diffusion) -> Result<Self> {
        let b_values = diffusion.b_values_s_per_mm2().to_vec();
        if diffusion.n_different() < PARAMETERS.len() {
            return Err(Error::value(format!(
                "{b_values:?} must hold at least four different b-values for model `ivim`"
            ))
            .at_field("b_values_s_per_mm2"));
        }
        let slow = geometric(0.1e-3, PARAMETERS[0].bounds[1], N_SLOW);
        let fast = geometric(1.2 * PARAMETERS[1].bounds[0], 0.2, N_FAST);
        let decay = |rate: &f64| b_values.iter().map(|b| (-b * rate).exp()).collect();
        let curves: Vec<Vec<f64>> = slow.iter().chain(&fast).map(decay).collect();
        let part = |[low, high]: [usize; 2]| {
            let places = || (0..N_SLOW).flat_map(move |i| (low..high).map(move |j| (i, j)));
            let candidates: Vec<_> = places().map(|(i, j)| (i, Some(N_SLOW + j))).collect();
            let pairs: Vec<[f64; 2]> = places().map(|(i, j)| [slow[i], fast[j]]).collect();
            (CurveTable::new(&curves, &candidates), pairs)
        };
        let (starts, pairs) = part([0, N_FAST]);
        let valleys = VALLEYS.into_iter().map(part).collect();
        Ok(Self { b_values, starts, pairs, valleys })
    }
}

/// The parameters of the best candidate of a table for `samples`.
fn best_of(starts: &CurveTable, pairs: &[[f64; 2]], samples: &[f64]) -> [f64; 4] {
    match starts.best(samples) {
        // A little of the second compartment, else nothing says where its rate should go.
        Some(best) if best.amplitudes[1] <= 0.0 => {
            let fast = pairs[pairs.len() / 2][1];
            [pairs[best.candidate][0], fast, 0.01, best.amplitudes[0]]
        }
        Some(best) => {
            let [slow, fast] = pairs[best.candidate];
            let s0 = best.amplitudes[0] + best.amplitudes[1];
            [slow, fast, best.amplitudes[1] / s0, s0]
        }
        None => [1e-3, 0.02, 0.1, samples.iter().copied().fold(0.0, f64::max)],
    }
}

impl Model for Ivim {
    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn n_samples(&self) -> usize {
        self.b_values.len()
    }

    fn signal(&self, parameters: &[f64], _fixed: &[f64], signal: &mut [f64]) {
        let [slow, fast, fraction, s0] = four(parameters);
        for (signal, b) in signal.iter_mut().zip(&self.b_values) {
            let (slow, fast) = ((-b * slow).exp(), (-b * fast).exp());
            *signal = s0 * (slow + fraction * (fast - slow));
        }
    }

    fn jacobian(&self, parameters: &[f64], _fixed: &[f64], jacobian: &mut [f64]) {
        let [slow, fast, fraction, s0] = four(parameters);
        for (row, b) in jacobian.chunks_exact_mut(4).zip(&self.b_values) {
            let (slow, fast) = ((-b * slow).exp(), (-b * fast).exp());
            row[0] = -b * s0 * (1.0 - fraction) * slow;
            row[1] = -b * s0 * fraction * fast;
            row[2] = s0 * (fast - slow);
            row[3] = slow + fraction * (fast - slow);
        }
    }

    fn initial(&self, samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
        clamp_into(PARAMETERS, &best_of(&self.starts, &self.pairs, samples), parameters);
    }

    fn n_starts(&self) -> usize {
        self.valleys.len()
    }

    fn start(&self, index: usize, samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
        let (starts, pairs) = &self.valleys[index];
        clamp_into(PARAMETERS, &best_of(starts, pairs, samples), parameters);
    }

    fn tail(&self) -> Option<Tail> {
        let samples: Vec<usize> =
            (0..self.b_values.len()).filter(|&k| self.b_values[k] >= TAIL_FROM_S_PER_MM2).collect();
        let b_values: Vec<f64> = samples.iter().map(|&k| self.b_values[k]).collect();
        Diffusion::new(b_values.clone()).ok()?;
        Some(Tail { samples, curve: Exponential::new(b_values) })
    }
}

fn four(parameters: &[f64]) -> [f64; 4] {
    [parameters[0], parameters[1], parameters[2], parameters[3]]
}
