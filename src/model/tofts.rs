//! Exchange between plasma and tissue: C(t) = vp·Cp(t) + Ktrans·∫ Cp(τ)·e^(−kep(t − τ)) dτ, kep =
//! Ktrans/ve.
//!
//! The samples are concentrations, mM. Cp is the plasma curve of the protocol, linear between its
//! points, so that the convolution has an exact recursion and no step is too long. Bolus delay
//! between artery and tissue is not modelled.
//!
//! # Reference
//!
//! Tofts et al., "Estimating kinetic parameters from dynamic contrast-enhanced T1-weighted MRI of a
//! diffusable tracer", J Magn Reson Imaging 1999,
//! `doi:10.1002/(SICI)1522-2586(199909)10:3<223::AID-JMRI2>3.0.CO;2-S`. Flouri et al., "Fitting the
//! two-compartment model in DCE-MRI by linear inversion", Magn Reson Med 2016,
//! doi:10.1002/mrm.25991 (piecewise-linear exponential convolution).

use super::{Model, ModelEntry, Parameter, wrong_protocol};
use crate::acquisition::{Dynamic, PlasmaCurve, Protocol, ProtocolKind};
use crate::error::{Error, Result};
use crate::unit::Unit;

const EXTENDED: &[Parameter] = &[
    Parameter {
        name: "volume_transfer_constant",
        short_name: "ktrans",
        unit: Unit::PerSecond,
        suffix: "Ktransmap",
        bounds: [0.0, 20.0 / 60.0],
        display_window: [0.0, 0.5 / 60.0],
    },
    Parameter {
        name: "extravascular_extracellular_volume_fraction",
        short_name: "ve",
        unit: Unit::One,
        suffix: "vemap",
        bounds: [1e-3, 1.0],
        display_window: [0.0, 0.6],
    },
    Parameter {
        name: "plasma_volume_fraction",
        short_name: "vp",
        unit: Unit::One,
        suffix: "vpmap",
        bounds: [0.0, 1.0],
        display_window: [0.0, 0.2],
    },
];

/// The parameters without a plasma volume.
const PLAIN: &[Parameter] = &[EXTENDED[0], EXTENDED[1]];

/// Ktrans, ve and vp that ten minutes after a bolus tell apart.
const RECOVERABLE: [[f64; 2]; 3] = [[0.05 / 60.0, 0.8 / 60.0], [0.1, 0.6], [0.01, 0.15]];

/// Line of the registry.
pub(super) const ENTRY: ModelEntry = ModelEntry {
    name: "tofts",
    summary: "exchange between plasma and tissue",
    equation: "C(t) = Ktrans * conv(Cp, exp(-Ktrans / ve * t))",
    reference: "Tofts et al., J Magn Reson Imaging 1999;10:223-232, \
                doi:10.1002/(SICI)1522-2586(199909)10:3<223::AID-JMRI2>3.0.CO;2-S",
    protocol: ProtocolKind::Dynamic,
    parameters: PLAIN,
    example_protocols,
    recoverable: &[RECOVERABLE[0], RECOVERABLE[1]],
    build: build_plain,
};

/// Line of the registry.
pub(super) const EXTENDED_ENTRY: ModelEntry = ModelEntry {
    name: "extended_tofts",
    summary: "plasma in the tissue, and exchange with it",
    equation: "C(t) = vp * Cp(t) + Ktrans * conv(Cp, exp(-Ktrans / ve * t))",
    parameters: EXTENDED,
    recoverable: &RECOVERABLE,
    build: build_extended,
    ..ENTRY
};

/// Frames after a bolus, every 3 s and every 10 s.
fn example_protocols() -> Result<Vec<Protocol>> {
    let plasma = |time: f64| {
        let minutes = time / 60.0;
        30.0 * minutes * (-minutes / 0.15).exp()
            - 1.2 * (-minutes / 0.3).exp_m1() * (-minutes / 6.0).exp()
    };
    [(3.0, 120), (10.0, 40)]
        .into_iter()
        .map(|(interval_s, n_frames)| {
            let frames = (1..=n_frames).map(|k| f64::from(k) * interval_s).collect();
            let times: Vec<f64> = (0..=1000).map(|k| f64::from(k) * 0.4).collect();
            let curve = times.iter().map(|&time| plasma(time)).collect();
            let dynamic = Dynamic::new(frames, 0.004, 0.26)?;
            Ok(Protocol::Dynamic(dynamic.with_plasma_curve(PlasmaCurve::new(times, curve)?)?))
        })
        .collect()
}

fn build_plain(protocol: &Protocol) -> Result<Box<dyn Model>> {
    build(&ENTRY, protocol)
}

fn build_extended(protocol: &Protocol) -> Result<Box<dyn Model>> {
    build(&EXTENDED_ENTRY, protocol)
}

fn build(entry: &'static ModelEntry, protocol: &Protocol) -> Result<Box<dyn Model>> {
    match protocol {
        Protocol::Dynamic(dynamic) => Ok(Box::new(Tofts {
            parameters: entry.parameters,
            convolution: PlasmaConvolution::new(dynamic)?,
        })),
        other => Err(wrong_protocol(entry, other)),
    }
}

/// A stretch of time in which plasma is linear.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    duration_s: f64,
    plasma: [f64; 2],
    /// Frame that the step ends at.
    frame: Option<usize>,
}

/// The convolution of the plasma curve with e^(−rate·t) at the frame times, and its derivative.
#[derive(Debug, Clone, PartialEq)]
pub struct PlasmaConvolution {
    steps: Vec<Step>,
    plasma_mmol_per_l: Vec<f64>,
}

impl PlasmaConvolution {
    /// That of the plasma curve of `dynamic`.
    ///
    /// # Errors
    ///
    /// `Value` at `plasma_curve` when there is none, or no frame comes after its first point.
    pub fn new(dynamic: &Dynamic) -> Result<Self> {
        let Some(curve) = dynamic.plasma_curve() else {
            return Err(Error::value("the model needs the concentration in arterial plasma")
                .at_field("plasma_curve")
                .hint("give a measured arterial curve or the name of a population curve"));
        };
        let (times, values) = (curve.times_s(), curve.concentrations_mmol_per_l());
        let frames = dynamic.frame_times_s();
        let mut steps = Vec::with_capacity(times.len() + frames.len());
        let mut at_frames = vec![0.0; frames.len()];
        let (mut now, mut plasma) = (times[0], values[0]);
        let mut point = 1;
        for (frame, &frame_time) in frames.iter().enumerate().filter(|(_, time)| **time >= times[0])
        {
            while point < times.len() && times[point] < frame_time {
                steps.push(Step {
                    duration_s: times[point] - now,
                    plasma: [plasma, values[point]],
                    frame: None,
                });
                (now, plasma) = (times[point], values[point]);
                point += 1;
            }
            let here = match times.get(point) {
                Some(next) => plasma + (values[point] - plasma) * (frame_time - now) / (next - now),
                None => plasma,
            };
            let duration_s = frame_time - now;
            steps.push(Step { duration_s, plasma: [plasma, here], frame: Some(frame) });
            (now, plasma) = (frame_time, here);
            at_frames[frame] = here;
        }
        if !at_frames.iter().any(|&concentration| concentration > 0.0) {
            return Err(Error::value("no frame sees the agent of the plasma curve")
                .at_field("plasma_curve"));
        }
        Ok(Self { steps, plasma_mmol_per_l: at_frames })
    }

    /// Number of frames.
    pub fn n_frames(&self) -> usize {
        self.plasma_mmol_per_l.len()
    }

    /// Plasma concentration at the frames, mM; 0 before the curve begins.
    pub fn plasma_mmol_per_l(&self) -> &[f64] {
        &self.plasma_mmol_per_l
    }

    /// Calls `visit(frame, u, ∂u/∂rate)` for every frame with u = ∫ Cp(τ)·e^(−rate(t − τ)) dτ, mM·s,
    /// for a rate of at least 0, 1/s. Frames before the curve begins are 0.
    pub fn for_each_frame(&self, rate_per_s: f64, mut visit: impl FnMut(usize, f64, f64)) {
        let first = self.steps.iter().find_map(|step| step.frame).unwrap_or(self.n_frames());
        (0..first).for_each(|frame| visit(frame, 0.0, 0.0));
        let (mut value, mut slope) = (0.0, 0.0);
        for step in &self.steps {
            let h = step.duration_s;
            let integrals = StepIntegrals::new(rate_per_s * h);
            let [before, after] = step.plasma;
            let rise = after - before;
            slope = integrals.decay * (slope - h * value)
                + h * h * (before * integrals.constant_slope + rise * integrals.ramp_slope);
            value =
                integrals.decay * value + h * (before * integrals.constant + rise * integrals.ramp);
            if let Some(frame) = step.frame {
                visit(frame, value, slope);
            }
        }
    }
}

/// e^−x, c = (1 − e^−x)/x, r = (x − 1 + e^−x)/x² and the derivatives of c and r, accurate for every
/// x ≥ 0.
struct StepIntegrals {
    decay: f64,
    constant: f64,
    ramp: f64,
    constant_slope: f64,
    ramp_slope: f64,
}

impl StepIntegrals {
    fn new(x: f64) -> Self {
        let decay = (-x).exp();
        if x < 0.5 {
            // Taylor series; the first term left out is below 0.5¹⁴/16! ≈ 3e-18.
            let (mut ramp, mut ramp_slope) = (0.0, 0.0);
            for n in (0..14_u32).rev() {
                let n = f64::from(n);
                ramp = (1.0 - x * ramp) / (n + 2.0);
                ramp_slope = (1.0 + n - x * ramp_slope) / (n + 3.0);
            }
            let (ramp, ramp_slope) = (ramp, -0.5 * ramp_slope);
            let constant = 1.0 - x * ramp;
            let constant_slope = -ramp - x * ramp_slope;
            return Self { decay, constant, ramp, constant_slope, ramp_slope };
        }
        let constant = -(-x).exp_m1() / x;
        let ramp = (1.0 - constant) / x;
        let constant_slope = (decay - constant) / x;
        let ramp_slope = (constant - 2.0 * ramp) / x;
        Self { decay, constant, ramp, constant_slope, ramp_slope }
    }
}

/// Parameters Ktrans (1/s), ve and, in the extended model, vp.
#[derive(Debug, Clone)]
struct Tofts {
    parameters: &'static [Parameter],
    convolution: PlasmaConvolution,
}

impl Model for Tofts {
    fn parameters(&self) -> &'static [Parameter] {
        self.parameters
    }

    fn n_samples(&self) -> usize {
        self.convolution.n_frames()
    }

    fn signal(&self, parameters: &[f64], _fixed: &[f64], signal: &mut [f64]) {
        let [ktrans, ve] = [parameters[0], parameters[1]];
        let vp = parameters.get(2).copied().unwrap_or(0.0);
        let plasma = &self.convolution.plasma_mmol_per_l;
        self.convolution.for_each_frame(ktrans / ve, |frame, exchange, _| {
            signal[frame] = vp * plasma[frame] + ktrans * exchange;
        });
    }

    fn jacobian(&self, parameters: &[f64], _fixed: &[f64], jacobian: &mut [f64]) {
        let [ktrans, ve] = [parameters[0], parameters[1]];
        let n = self.parameters.len();
        let plasma = &self.convolution.plasma_mmol_per_l;
        self.convolution.for_each_frame(ktrans / ve, |frame, exchange, slope| {
            let row = &mut jacobian[frame * n..(frame + 1) * n];
            row[0] = exchange + ktrans * slope / ve;
            row[1] = -ktrans * ktrans * slope / (ve * ve);
            if let Some(by_plasma) = row.get_mut(2) {
                *by_plasma = plasma[frame];
            }
        });
    }

    fn initial(&self, samples: &[f64], _fixed: &[f64], parameters: &mut [f64]) {
        let mut best = f64::NEG_INFINITY;
        // 0.02–20 per minute, in steps of a half.
        for step in 0..18 {
            let rate_per_s = 0.02 / 60.0 * 1.5_f64.powi(step);
            let [ktrans, vp, explained] = self.amplitudes(samples, rate_per_s);
            if explained > best {
                best = explained;
                let start = [ktrans, ktrans / rate_per_s, vp];
                for ((own, start), parameter) in
                    parameters.iter_mut().zip(start).zip(self.parameters)
                {
                    *own = start.max(parameter.bounds[0]).min(parameter.bounds[1]);
                }
            }
        }
    }
}

impl Tofts {
    /// Ktrans and vp, not below 0, of the least squares for one rate, and the sum of squares they
    /// explain.
    fn amplitudes(&self, samples: &[f64], rate_per_s: f64) -> [f64; 3] {
        let plasma = &self.convolution.plasma_mmol_per_l;
        let [mut uu, mut up, mut pp, mut uy, mut py] = [0.0; 5];
        self.convolution.for_each_frame(rate_per_s, |frame, u, _| {
            let (p, y) = (plasma[frame], samples[frame]);
            uu += u * u;
            up += u * p;
            pp += p * p;
            uy += u * y;
            py += p * y;
        });
        let determinant = uu * pp - up * up;
        let both = [(uy * pp - py * up) / determinant, (py * uu - uy * up) / determinant];
        let is_inside = both.iter().all(|amplitude| *amplitude >= 0.0);
        if self.parameters.len() == 3 && is_inside {
            return [both[0], both[1], both[0] * uy + both[1] * py];
        }
        let ktrans = (uy / uu).max(0.0);
        [ktrans, 0.0, ktrans * uy]
    }
}

#[cfg(test)]
mod tests;
