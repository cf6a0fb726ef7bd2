//! T1 by variable flip angle: S = M0·sin α·(1 − E)/(1 − E·cos α), E = e^(−TR/T1).
//!
//! Perfect spoiling. Flip angles are nominal, where an error of the angle becomes an error of T1 twice
//! as large, or scaled in every voxel by a map of the transmit field (B1+).
//!
//! # Reference
//!
//! Fram et al., "Rapid calculation of T1 using variable flip angle gradient refocused imaging", Magn
//! Reson Imaging 1987, doi:10.1016/0730-725X(87)90021-X.

use super::curve::{Curve, Headline, Separable, SpoiledGradientEcho};
use super::{Model, ModelEntry, Parameter, clamp_into, wrong_protocol};
use crate::acquisition::{Protocol, ProtocolKind, VariableFlipAngle};
use crate::error::Result;
use crate::solver::variable_projection::Basis;
use crate::unit::{Unit, radians_from_degrees};

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "longitudinal_relaxation_time",
        short_name: "t1",
        unit: Unit::Second,
        suffix: "T1map",
        bounds: [1e-3, 10.0],
        display_window: [0.0, 3.0],
    },
    Parameter {
        name: "equilibrium_signal",
        short_name: "m0",
        unit: Unit::Arbitrary,
        suffix: "M0map",
        bounds: [0.0, f64::INFINITY],
        display_window: [0.0, 10_000.0],
    },
];

/// Line of the registry.
pub(super) const ENTRY: ModelEntry = ModelEntry {
    name: "t1_vfa",
    summary: "longitudinal relaxation from spoiled gradient echoes at several flip angles",
    equation: "S(a) = M0 * sin(a) * (1 - E) / (1 - E * cos(a)), E = exp(-TR / T1)",
    reference: "Fram et al., Magn Reson Imaging 1987;5:201-208, doi:10.1016/0730-725X(87)90021-X",
    protocol: ProtocolKind::VariableFlipAngle,
    parameters: PARAMETERS,
    example_protocols,
    recoverable: &[[0.02, 6.0], [10.0, 1e5]],
    build,
};

fn example_protocols() -> Result<Vec<Protocol>> {
    let flip_angles_deg = [&[3.0, 15.0][..], &[2.0, 5.0, 10.0, 15.0, 20.0, 30.0]];
    flip_angles_deg
        .into_iter()
        .map(|angles| {
            let radians = angles.iter().map(|&angle| radians_from_degrees(angle)).collect();
            Ok(Protocol::VariableFlipAngle(VariableFlipAngle::new(radians, 0.005)?))
        })
        .collect()
}

fn build(protocol: &Protocol) -> Result<Box<dyn Model>> {
    match protocol {
        Protocol::VariableFlipAngle(flips) => Ok(Box::new(T1VariableFlipAngle {
            repetition_time_s: flips.repetition_time_s(),
            flip_angles_rad: flips.flip_angles_rad().to_vec(),
            curve: SpoiledGradientEcho::new(flips.flip_angles_rad(), flips.repetition_time_s()),
        })),
        other => Err(wrong_protocol(&ENTRY, other)),
    }
}

/// Spoiled gradient echo over flip angles; parameters T1 (s), M0.
#[derive(Debug, Clone)]
struct T1VariableFlipAngle {
    repetition_time_s: f64,
    flip_angles_rad: Vec<f64>,
    curve: SpoiledGradientEcho,
}

impl Model for T1VariableFlipAngle {
    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn n_samples(&self) -> usize {
        self.curve.n_samples()
    }

    fn signal(&self, parameters: &[f64], _fixed: &[f64], signal: &mut [f64]) {
        let recovered = -(-self.repetition_time_s / parameters[0]).exp_m1();
        for (signal, angle) in signal.iter_mut().zip(&self.flip_angles_rad) {
            let versine = 2.0 * (0.5 * angle).sin().powi(2);
            let denominator = versine + angle.cos() * recovered;
            *signal = parameters[1] * angle.sin() * recovered / denominator;
        }
    }

    fn jacobian(&self, parameters: &[f64], _fixed: &[f64], jacobian: &mut [f64]) {
        let [t1, m0] = [parameters[0], parameters[1]];
        let tr = self.repetition_time_s;
        let recovered = -(-tr / t1).exp_m1();
        for (row, angle) in jacobian.chunks_exact_mut(2).zip(&self.flip_angles_rad) {
            let versine = 2.0 * (0.5 * angle).sin().powi(2);
            let denominator = versine + angle.cos() * recovered;
            let by_e = -m0 * angle.sin() * versine / (denominator * denominator);
            row[0] = by_e * (1.0 - recovered) * tr / (t1 * t1);
            row[1] = angle.sin() * recovered / denominator;
        }
    }

    fn initial(&self, samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
        let highest = samples.iter().copied().fold(0.0, f64::max);
        let [r1, m0] = self.curve.linearised(samples).unwrap_or([1.0, 10.0 * highest]);
        clamp_into(PARAMETERS, &[1.0 / r1, m0], parameters);
    }

    fn separable(&self) -> Option<Separable> {
        let curve = Curve::SpoiledGradientEcho(self.curve.clone());
        Some(Separable { curve, headline: Headline::InverseRate })
    }
}

/// As [`T1VariableFlipAngle`], every flip angle times the transmit field of the voxel, the only
/// constant in `fixed`.
#[derive(Debug, Clone)]
struct FieldCorrected {
    repetition_time_s: f64,
    flip_angles_rad: Vec<f64>,
}

pub(super) fn with_transmit_field(protocol: &Protocol) -> Result<Box<dyn Model>> {
    match protocol {
        Protocol::VariableFlipAngle(flips) => Ok(Box::new(FieldCorrected {
            repetition_time_s: flips.repetition_time_s(),
            flip_angles_rad: flips.flip_angles_rad().to_vec(),
        })),
        other => Err(wrong_protocol(&ENTRY, other)),
    }
}

impl FieldCorrected {
    fn angles(&self, fixed: &[f64]) -> impl Iterator<Item = f64> + '_ {
        let field = fixed.first().copied().unwrap_or(1.0);
        self.flip_angles_rad.iter().map(move |angle| field * angle)
    }
}

impl Model for FieldCorrected {
    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn n_samples(&self) -> usize {
        self.flip_angles_rad.len()
    }

    fn n_fixed(&self) -> usize {
        1
    }

    fn signal(&self, parameters: &[f64], fixed: &[f64], signal: &mut [f64]) {
        let recovered = -(-self.repetition_time_s / parameters[0]).exp_m1();
        for (signal, angle) in signal.iter_mut().zip(self.angles(fixed)) {
            *signal = parameters[1] * shape(angle, recovered)[0];
        }
    }

    fn jacobian(&self, parameters: &[f64], fixed: &[f64], jacobian: &mut [f64]) {
        let [t1, m0] = [parameters[0], parameters[1]];
        let tr = self.repetition_time_s;
        let recovered = -(-tr / t1).exp_m1();
        for (row, angle) in jacobian.chunks_exact_mut(2).zip(self.angles(fixed)) {
            let [value, by_e] = shape(angle, recovered);
            row[0] = m0 * by_e * (1.0 - recovered) * tr / (t1 * t1);
            row[1] = value;
        }
    }

    fn initial(&self, samples: &[f64], fixed: &[f64], parameters: &mut [f64]) {
        let highest = samples.iter().copied().fold(0.0, f64::max);
        let angles: Vec<f64> = self.angles(fixed).collect();
        let curve = SpoiledGradientEcho::new(&angles, self.repetition_time_s);
        let [r1, m0] = curve.linearised(samples).unwrap_or([1.0, 10.0 * highest]);
        clamp_into(PARAMETERS, &[1.0 / r1, m0], parameters);
    }

    /// Around the straight line, and from a short and a long T1: where noise bends the line away.
    fn n_starts(&self) -> usize {
        3
    }

    fn start(&self, index: usize, samples: &[f64], fixed: &[f64], parameters: &mut [f64]) {
        self.initial(samples, fixed, parameters);
        if let Some(t1) = index.checked_sub(1).and_then(|other| [0.1, 3.0].get(other)) {
            let highest = samples.iter().copied().fold(0.0, f64::max);
            let recovered = -(-self.repetition_time_s / t1).exp_m1();
            let values = self.angles(fixed).map(|angle| shape(angle, recovered)[0]);
            let largest = values.fold(f64::MIN_POSITIVE, f64::max);
            clamp_into(PARAMETERS, &[*t1, highest / largest], parameters);
        }
    }
}

/// Signal of M0 = 1 at one angle, and its derivative by E = 1 − `recovered`.
fn shape(angle: f64, recovered: f64) -> [f64; 2] {
    let versine = 2.0 * (0.5 * angle).sin().powi(2);
    let denominator = versine + angle.cos() * recovered;
    let by_e = -angle.sin() * versine / (denominator * denominator);
    [angle.sin() * recovered / denominator, by_e]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(factor: f64) -> Protocol {
        let angles = [2.0, 5.0, 10.0, 15.0, 20.0];
        let radians = angles.iter().map(|&angle| radians_from_degrees(factor * angle)).collect();
        Protocol::VariableFlipAngle(VariableFlipAngle::new(radians, 0.005).unwrap())
    }

    #[test]
    fn a_field_scales_every_angle() {
        for field in [0.7, 1.0, 1.2] {
            let scaled = build(&protocol(field)).unwrap();
            let corrected = with_transmit_field(&protocol(1.0)).unwrap();
            let (mut expected, mut found) = ([0.0; 5], [0.0; 5]);
            scaled.signal(&[1.2, 800.0], &[], &mut expected);
            corrected.signal(&[1.2, 800.0], &[field], &mut found);
            let (mut slopes, mut own) = ([0.0; 10], [0.0; 10]);
            scaled.jacobian(&[1.2, 800.0], &[], &mut slopes);
            corrected.jacobian(&[1.2, 800.0], &[field], &mut own);
            for (a, b) in expected.iter().chain(&slopes).zip(found.iter().chain(&own)) {
                assert!((a - b).abs() <= 1e-12 * a.abs().max(1.0), "{a} {b}");
            }
            let mut start = [0.0; 2];
            corrected.initial(&found, &[field], &mut start);
            assert!((start[0] - 1.2).abs() < 1e-9 && (start[1] - 800.0).abs() < 1e-6, "{start:?}");
        }
    }
}
