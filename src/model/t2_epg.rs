//! Transverse relaxation with stimulated echoes: extended phase graphs with the transmit field fitted.
//!
//! Where refocusing pulses are not of 180°, stored magnetisation comes back as stimulated echoes from
//! the second echo on: a plain exponential reads them as a longer T2. The echoes are those of the train,
//! T1 fixed at 1200 ms, the refocusing angle nominal times B1. Angles β and 360° − β give the same
//! echoes, so B1 stays at or below 1; there it does not move any echo, and the fit is that of a plain
//! exponential.
//!
//! # Reference
//!
//! Lebel and Wilman, "Transverse relaxometry with stimulated echo compensation", Magn Reson Med 2010,
//! doi:10.1002/mrm.22487. T1 of femoral cartilage at 3 T: Gold et al., "Musculoskeletal MRI at 3.0 T:
//! relaxation times and image contrast", AJR 2004, doi:10.2214/ajr.183.2.1830343.

use super::curve_table::{CurveTable, geometric};
use super::echo_train::{ECHOES_MAX, EchoTrain};
use super::{Model, ModelEntry, Parameter, clamp_into, wrong_protocol};
use crate::acquisition::{MultiEcho, Protocol, ProtocolKind};
use crate::error::{Error, Result};
use crate::unit::Unit;

/// Longitudinal relaxation time of all tissue, s: of cartilage at 3 T.
const T1_S: f64 = 1.2;
/// Starting points that are looked at.
const N_TIMES: usize = 24;
const FIELDS: [f64; 5] = [0.5, 0.62, 0.74, 0.86, 0.97];
/// An echo time may be this part of a spacing off its place in the train.
const SPACING_TOLERANCE: f64 = 0.02;

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
        name: "transmit_field",
        short_name: "b1",
        unit: Unit::One,
        suffix: "TB1map",
        bounds: [0.4, 1.0],
        display_window: [0.4, 1.0],
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
    name: "t2_epg",
    summary: "transverse relaxation with stimulated echoes and the transmit field",
    equation: "S(k) = S0 * EPG_k(T2, B1 * refocusing angle; T1 = 1.2 s), k = TE / echo spacing",
    reference: "Lebel and Wilman, Magn Reson Med 2010;64:1005-1014, doi:10.1002/mrm.22487",
    protocol: ProtocolKind::MultiEcho,
    parameters: PARAMETERS,
    example_protocols,
    recoverable: &[[0.015, 0.1], [0.6, 0.9], [10.0, 1e5]],
    build,
};

/// Short trains: over a long one echoes turn so fast with B1 that its central differences, and not the
/// slopes that are held against them, lose their digits.
fn example_protocols() -> Result<Vec<Protocol>> {
    [(6, 0.01), (8, 0.006_312), (7, 0.0095)]
        .into_iter()
        .map(|(n, spacing)| {
            let times = (1..=n).map(|k| spacing * f64::from(k)).collect();
            Ok(Protocol::MultiEcho(MultiEcho::new(times)?))
        })
        .collect()
}

fn build(protocol: &Protocol) -> Result<Box<dyn Model>> {
    match protocol {
        Protocol::MultiEcho(train) => Ok(Box::new(T2ByPhaseGraph::new(train)?)),
        other => Err(wrong_protocol(&ENTRY, other)),
    }
}

/// Parameters T2 (s), B1, S0.
#[derive(Debug, Clone)]
struct T2ByPhaseGraph {
    spacing_s: f64,
    /// Place in the train of every sample, from 0.
    places: Vec<usize>,
    train: EchoTrain,
    starts: CurveTable,
    candidates: Vec<[f64; 2]>,
}

impl T2ByPhaseGraph {
    fn new(protocol: &MultiEcho) -> Result<Self> {
        let (spacing_s, places) = places(protocol.echo_times_s())?;
        let n_echoes = places.iter().max().map_or(0, |last| last + 1);
        if n_echoes > ECHOES_MAX {
            return Err(Error::value(format!("{n_echoes} echoes, at most {ECHOES_MAX}"))
                .at_field("echo_times_s")
                .hint("leave the last ones out: T2 of cartilage is told by the first"));
        }
        let stored = (-spacing_s / T1_S).exp();
        let train = EchoTrain::new(n_echoes, protocol.refocusing(), stored, PARAMETERS[1].bounds);
        let times_s = geometric(4e-3, 1.5, N_TIMES);
        let candidates: Vec<[f64; 2]> =
            times_s.iter().flat_map(|&t2| FIELDS.map(|b1| [t2, b1])).collect();
        let mut echoes = [0.0; ECHOES_MAX];
        let mut curve = |&[t2, b1]: &[f64; 2]| -> Vec<f64> {
            train.echoes((-spacing_s / t2).exp(), b1, &mut echoes);
            places.iter().map(|&place| echoes[place]).collect()
        };
        let curves: Vec<Vec<f64>> = candidates.iter().map(&mut curve).collect();
        let alone: Vec<(usize, Option<usize>)> = (0..curves.len()).map(|k| (k, None)).collect();
        let starts = CurveTable::new(&curves, &alone);
        Ok(Self { spacing_s, places, train, starts, candidates })
    }

    fn loss(&self, t2: f64) -> f64 {
        (-self.spacing_s / t2).exp()
    }
}

/// Echo spacing (s) and the place in the train of every echo time, from 0.
fn places(echo_times_s: &[f64]) -> Result<(f64, Vec<usize>)> {
    let mut sorted = echo_times_s.to_vec();
    sorted.sort_by(f64::total_cmp);
    let steps = sorted.windows(2).map(|pair| pair[1] - pair[0]);
    let spacing = steps.fold(sorted[0], f64::min);
    let number = |time: &f64| (time / spacing).round();
    let (mut products, mut squares) = (0.0, 0.0);
    for time in echo_times_s {
        products += time * number(time);
        squares += number(time).powi(2);
    }
    let spacing_s = products / squares;
    let off = |time: &&f64| (*time / spacing_s - number(time)).abs() > SPACING_TOLERANCE;
    if let Some(time) = echo_times_s.iter().find(off) {
        return Err(Error::value(format!(
            "{time} s is no multiple of the echo spacing {spacing} s"
        ))
        .at_field("echo_times_s")
        .hint("stimulated echoes need one train of equal spacing; choose model `t2`"));
    }
    Ok((spacing_s, echo_times_s.iter().map(|time| number(time) as usize - 1).collect()))
}

impl Model for T2ByPhaseGraph {
    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn n_samples(&self) -> usize {
        self.places.len()
    }

    fn signal(&self, parameters: &[f64], _fixed: &[f64], signal: &mut [f64]) {
        let mut echoes = [0.0; ECHOES_MAX];
        self.train.echoes(self.loss(parameters[0]), parameters[1], &mut echoes);
        for (signal, &place) in signal.iter_mut().zip(&self.places) {
            *signal = parameters[2] * echoes[place];
        }
    }

    fn jacobian(&self, parameters: &[f64], _fixed: &[f64], jacobian: &mut [f64]) {
        let [t2, b1, s0] = [parameters[0], parameters[1], parameters[2]];
        let loss = self.loss(t2);
        let mut rows = [[0.0; 3]; ECHOES_MAX];
        self.train.slopes(loss, b1, &mut rows);
        let by_time = loss * self.spacing_s / (t2 * t2);
        for (row, &place) in jacobian.chunks_exact_mut(3).zip(&self.places) {
            let [echo, by_loss, by_field] = rows[place];
            row.copy_from_slice(&[s0 * by_loss * by_time, s0 * by_field, echo]);
        }
    }

    fn initial(&self, samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
        let start = match self.starts.best(samples) {
            Some(best) => {
                let [t2, b1] = self.candidates[best.candidate];
                [t2, b1, best.amplitudes[0]]
            }
            None => [0.04, 0.9, samples.iter().copied().fold(0.0, f64::max)],
        };
        clamp_into(PARAMETERS, &start, parameters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_have_their_place_in_the_train() {
        let (spacing, of) = places(&[0.0264, 0.0396, 0.0528]).unwrap();
        assert!((spacing - 0.0132).abs() < 1e-15);
        assert_eq!(of, [1, 2, 3]);
        assert_eq!(places(&[0.03, 0.01, 0.02]).unwrap().1, [2, 0, 1]);
        // Written with three digits.
        assert_eq!(places(&[0.006_312, 0.012_62, 0.018_94]).unwrap().1, [0, 1, 2]);
        let error = places(&[0.01, 0.023, 0.03]).unwrap_err();
        assert_eq!(error.field(), Some("echo_times_s"));
        assert!(error.hint_text().unwrap().contains("`t2`"));
    }

    #[test]
    fn a_train_that_is_too_long_is_refused() {
        let times = |n: u32| (1..=n).map(|k| 0.01 * f64::from(k)).collect();
        let train = |n| Protocol::MultiEcho(MultiEcho::new(times(n)).unwrap());
        assert!(build(&train(32)).is_ok());
        assert_eq!(build(&train(33)).err().unwrap().field(), Some("echo_times_s"));
    }
}
