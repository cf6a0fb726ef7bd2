//! Mono-exponential transverse relaxation: S = S0·e^(−TE/T2).
//!
//! Reported as T2 in seconds; stimulated echoes, an offset and the noise floor are not modelled.
//!
//! # Reference
//!
//! Meiboom and Gill, "Modified spin-echo method for measuring nuclear relaxation times", Rev Sci
//! Instrum 1958, doi:10.1063/1.1716296.

use super::curve::{Curve, Exponential, Headline, Separable};
use super::{Model, ModelEntry, Parameter, clamp_into, wrong_protocol};
use crate::acquisition::{MultiEcho, Protocol, ProtocolKind};
use crate::error::Result;
use crate::unit::Unit;

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "transverse_relaxation_time",
        short_name: "t2",
        unit: Unit::Second,
        suffix: "T2map",
        bounds: [1e-3, 3.0],
        display_window: [0.0, 0.1],
    },
    Parameter {
        name: "signal_at_echo_time_zero",
        short_name: "s0",
        unit: Unit::Arbitrary,
        suffix: "S0map",
        bounds: [0.0, f64::INFINITY],
        display_window: [0.0, 1000.0],
    },
];

/// Line of the registry.
pub(super) const ENTRY: ModelEntry = ModelEntry {
    name: "t2",
    summary: "mono-exponential transverse relaxation",
    equation: "S(TE) = S0 * exp(-TE / T2)",
    reference: "Meiboom and Gill, Rev Sci Instrum 1958;29:688-691, doi:10.1063/1.1716296",
    protocol: ProtocolKind::MultiEcho,
    parameters: PARAMETERS,
    example_protocols,
    recoverable: &[[8e-3, 0.6], [10.0, 1e5]],
    build,
};

fn example_protocols() -> Result<Vec<Protocol>> {
    let echo_times_s = [
        &[0.02, 0.08][..],
        &[0.01, 0.02, 0.03, 0.04, 0.05, 0.06],
        &[0.0138, 0.0276, 0.0414, 0.0552, 0.069, 0.0828],
    ];
    echo_times_s
        .into_iter()
        .map(|times| Ok(Protocol::MultiEcho(MultiEcho::new(times.to_vec())?)))
        .collect()
}

fn build(protocol: &Protocol) -> Result<Box<dyn Model>> {
    match protocol {
        Protocol::MultiEcho(train) => {
            Ok(Box::new(T2 { curve: Exponential::new(train.echo_times_s().to_vec()) }))
        }
        other => Err(wrong_protocol(&ENTRY, other)),
    }
}

/// S = S0·e^(−TE/T2); parameters T2 (s), S0.
#[derive(Debug, Clone)]
struct T2 {
    curve: Exponential,
}

impl Model for T2 {
    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn n_samples(&self) -> usize {
        self.curve.abscissae().len()
    }

    fn signal(&self, parameters: &[f64], _fixed: &[f64], signal: &mut [f64]) {
        for (signal, echo_time) in signal.iter_mut().zip(self.curve.abscissae()) {
            *signal = parameters[1] * (-echo_time / parameters[0]).exp();
        }
    }

    fn jacobian(&self, parameters: &[f64], _fixed: &[f64], jacobian: &mut [f64]) {
        let [t2, s0] = [parameters[0], parameters[1]];
        for (row, echo_time) in jacobian.chunks_exact_mut(2).zip(self.curve.abscissae()) {
            let decay = (-echo_time / t2).exp();
            row[0] = s0 * decay * echo_time / (t2 * t2);
            row[1] = decay;
        }
    }

    fn initial(&self, samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
        let highest = samples.iter().copied().fold(0.0, f64::max);
        let [rate, s0] = self.curve.log_linear(samples).unwrap_or([20.0, highest]);
        let t2 = if rate > 0.0 { 1.0 / rate } else { PARAMETERS[0].bounds[1] };
        clamp_into(PARAMETERS, &[t2, s0], parameters);
    }

    fn separable(&self) -> Option<Separable> {
        let curve = Curve::Exponential(self.curve.clone());
        Some(Separable { curve, headline: Headline::InverseRate })
    }
}
