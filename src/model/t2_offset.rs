//! Transverse relaxation above a constant: S = S0·e^(−TE/T2) + c.
//!
//! The constant takes up a noise floor, or what has a very long T2. It is poorly told from a long T2:
//! beyond the last echo time the three parameters trade against each other. The start of a fit is
//! the best of 32 T2 with both amplitudes solved for.
//!
//! # Reference
//!
//! Milford et al., "Mono-exponential fitting in T2-relaxometry: relevance of offset and first echo",
//! `PLoS` ONE 2015, doi:10.1371/journal.pone.0145255.

use super::curve_table::{CurveTable, geometric};
use super::{Model, ModelEntry, Parameter, clamp_into, wrong_protocol};
use crate::acquisition::{MultiEcho, Protocol, ProtocolKind};
use crate::error::{Error, Result};
use crate::unit::Unit;

const N_STARTS: usize = 32;
const ECHOES_MIN: usize = 4;

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
        name: "signal_offset",
        short_name: "offset",
        unit: Unit::Arbitrary,
        suffix: "offsetmap",
        bounds: [0.0, f64::INFINITY],
        display_window: [0.0, 100.0],
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
    name: "t2_offset",
    summary: "mono-exponential transverse relaxation above a constant",
    equation: "S(TE) = S0 * exp(-TE / T2) + c",
    reference: "Milford et al., PLoS ONE 2015;10:e0145255, doi:10.1371/journal.pone.0145255",
    protocol: ProtocolKind::MultiEcho,
    parameters: PARAMETERS,
    example_protocols,
    recoverable: &[[0.015, 0.06], [5.0, 50.0], [200.0, 5000.0]],
    build,
};

fn example_protocols() -> Result<Vec<Protocol>> {
    let echo_times_s = [
        &[0.01, 0.02, 0.03, 0.04, 0.05, 0.06][..],
        &[0.012, 0.024, 0.036, 0.048, 0.06, 0.072, 0.084, 0.096, 0.108, 0.12],
    ];
    echo_times_s
        .into_iter()
        .map(|times| Ok(Protocol::MultiEcho(MultiEcho::new(times.to_vec())?)))
        .collect()
}

fn build(protocol: &Protocol) -> Result<Box<dyn Model>> {
    match protocol {
        Protocol::MultiEcho(train) => Ok(Box::new(T2Offset::new(train.echo_times_s())?)),
        other => Err(wrong_protocol(&ENTRY, other)),
    }
}

/// Parameters T2 (s), c, S0.
#[derive(Debug, Clone)]
struct T2Offset {
    echo_times_s: Vec<f64>,
    starts: CurveTable,
    times_s: Vec<f64>,
}

impl T2Offset {
    fn new(echo_times_s: &[f64]) -> Result<Self> {
        let mut different = echo_times_s.to_vec();
        different.sort_by(f64::total_cmp);
        different.dedup_by(|a, b| a.total_cmp(b).is_eq());
        if different.len() < ECHOES_MIN {
            return Err(Error::value(format!(
                "{} different echo times cannot tell an offset from a decay: at least four are needed",
                different.len()
            ))
            .at_field("echo_times_s")
            .hint("choose model `t2`"));
        }
        let [low, high] = PARAMETERS[0].bounds;
        let times_s = geometric(low, high, N_STARTS);
        let decay = |t2: &f64| echo_times_s.iter().map(|echo| (-echo / t2).exp()).collect();
        let mut curves: Vec<Vec<f64>> = times_s.iter().map(decay).collect();
        curves.push(vec![1.0; echo_times_s.len()]);
        let candidates: Vec<_> = (0..N_STARTS).map(|index| (index, Some(N_STARTS))).collect();
        let starts = CurveTable::new(&curves, &candidates);
        Ok(Self { echo_times_s: echo_times_s.to_vec(), starts, times_s })
    }
}

impl Model for T2Offset {
    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn n_samples(&self) -> usize {
        self.echo_times_s.len()
    }

    fn signal(&self, parameters: &[f64], _fixed: &[f64], signal: &mut [f64]) {
        for (signal, echo_time) in signal.iter_mut().zip(&self.echo_times_s) {
            *signal = parameters[2] * (-echo_time / parameters[0]).exp() + parameters[1];
        }
    }

    fn jacobian(&self, parameters: &[f64], _fixed: &[f64], jacobian: &mut [f64]) {
        let [t2, s0] = [parameters[0], parameters[2]];
        for (row, echo_time) in jacobian.chunks_exact_mut(3).zip(&self.echo_times_s) {
            let decay = (-echo_time / t2).exp();
            row[0] = s0 * decay * echo_time / (t2 * t2);
            row[1] = 1.0;
            row[2] = decay;
        }
    }

    fn initial(&self, samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
        let start = match self.starts.best(samples) {
            Some(best) => {
                let [s0, offset] = best.amplitudes;
                [self.times_s[best.candidate], offset, s0]
            }
            None => [0.04, 0.0, samples.iter().copied().fold(0.0, f64::max)],
        };
        clamp_into(PARAMETERS, &start, parameters);
    }
}
