//! Truths whose intervals are counted.

use crate::acquisition::{Diffusion, Dynamic, MultiEcho, Protocol, VariableFlipAngle};
use crate::error::{Error, Result};
use crate::fit::FitSettings;
use crate::model::{Estimator, Fit, FitStatus, VoxelData};
use crate::noise::NoiseDistribution;
use crate::perfusion::{IaucVariant, IntegrationWindow, SpoiledGradientEcho, T10Source};
use crate::pipeline::measure::{self, DynamicSettings};

/// One truth and how it is measured.
pub(super) struct Case {
    pub(super) title: String,
    pub(super) estimator: Box<dyn Estimator>,
    /// Of the first parameter, in its stored unit.
    pub(super) truth: f64,
    /// Noise-free samples.
    pub(super) signal: Vec<f64>,
    /// What the signal-to-noise ratio is of.
    pub(super) reference_signal: f64,
    /// Noise of the samples.
    pub(super) distribution: NoiseDistribution,
    /// Noise of the pseudo-experiments: `Gaussian` around observed samples.
    pub(super) smeared_by: NoiseDistribution,
}

const AMPLITUDE: f64 = 1000.0;

/// b-values of the methods' tables, s/mm².
const B_VALUES: [&[f64]; 4] = [
    &[0.0, 800.0],
    &[0.0, 500.0, 1000.0],
    &[0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0],
    &[50.0, 400.0, 800.0],
];

/// All cases, Gaussian controls last.
pub(super) fn all() -> Result<Vec<Case>> {
    let rician = NoiseDistribution::Rician;
    let mut cases = Vec::new();
    for b_values in B_VALUES {
        cases.push(diffusion(b_values, 1.2e-3, rician)?);
    }
    for adc in [0.54e-3, 2.8e-3] {
        cases.push(diffusion(B_VALUES[2], adc, rician)?);
    }
    for t2_ms in [25.0, 40.0, 60.0] {
        cases.push(six_echoes(t2_ms, rician)?);
    }
    cases.push(flip_angles(rician)?);
    cases.push(area_under_curve()?);
    cases.push(diffusion(B_VALUES[2], 1.2e-3, NoiseDistribution::Gaussian)?);
    cases.push(six_echoes(40.0, NoiseDistribution::Gaussian)?);
    Ok(cases)
}

fn list(values: &[f64]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn suffix(distribution: NoiseDistribution) -> &'static str {
    match distribution {
        NoiseDistribution::Rician => "",
        NoiseDistribution::Gaussian => "; Gaussian noise",
    }
}

pub(super) fn diffusion(
    b_values: &[f64],
    adc: f64,
    distribution: NoiseDistribution,
) -> Result<Case> {
    let protocol = Protocol::Diffusion(Diffusion::new(b_values.to_vec())?);
    let title = format!(
        "ADC {}·10⁻³ mm²/s, b {} s/mm²{}",
        (adc * 1e5).round() / 100.0,
        list(b_values),
        suffix(distribution)
    );
    exponential(title, ("adc", &protocol), adc, distribution)
}

pub(super) fn six_echoes(t2_ms: f64, distribution: NoiseDistribution) -> Result<Case> {
    let echo_times_s = (1..=6).map(|k| 0.01 * f64::from(k)).collect();
    let protocol = Protocol::MultiEcho(MultiEcho::new(echo_times_s)?);
    let title = format!("T2 {t2_ms} ms, TE 10 to 60 ms{}", suffix(distribution));
    exponential(title, ("t2", &protocol), t2_ms / 1e3, distribution)
}

fn exponential(
    title: String,
    (model, protocol): (&str, &Protocol),
    truth: f64,
    distribution: NoiseDistribution,
) -> Result<Case> {
    let (estimator, signal) = of_model(model, protocol, truth)?;
    Ok(Case {
        title,
        estimator,
        truth,
        signal,
        reference_signal: AMPLITUDE,
        distribution,
        smeared_by: distribution,
    })
}

pub(super) fn flip_angles(distribution: NoiseDistribution) -> Result<Case> {
    let flip_angles_rad = [2.0_f64, 5.0, 10.0, 15.0].map(f64::to_radians).to_vec();
    let protocol = Protocol::VariableFlipAngle(VariableFlipAngle::new(flip_angles_rad, 0.006)?);
    let truth = 1.2;
    let (estimator, signal) = of_model("t1_vfa", &protocol, truth)?;
    let reference_signal = signal.iter().copied().fold(0.0, f64::max);
    Ok(Case {
        title: "T1 1200 ms, flip angles 2, 5, 10, 15°, TR 6 ms".into(),
        estimator,
        truth,
        signal,
        reference_signal,
        distribution,
        smeared_by: distribution,
    })
}

/// The estimator of a model, and its noise-free samples.
fn of_model(
    model: &str,
    protocol: &Protocol,
    truth: f64,
) -> Result<(Box<dyn Estimator>, Vec<f64>)> {
    let estimator = measure::model_estimator(model, protocol, &FitSettings::default())?;
    let mut fit = Fit::new(estimator.parameters().len());
    fit.status = FitStatus::Converged;
    fit.estimates.fill(AMPLITUDE);
    fit.estimates[0] = truth;
    let n = estimator.n_samples();
    let (zeros, mut signal) = (vec![0.0; n], vec![0.0; n]);
    let mut scratch = vec![0.0; estimator.scratch_len()];
    let voxel = VoxelData { samples: &zeros, fixed: &[] };
    estimator.expected(voxel, &fit, &mut scratch, &mut signal);
    Ok((estimator, signal))
}

/// Uptake from 30 s to a plateau of 1 mmol/l, 40 frames of 3 s.
pub(super) fn area_under_curve() -> Result<Case> {
    let (t10_s, arrival_s, relaxivity) = (1.2, 30.0, 4.5);
    let times = (0..40).map(|frame| 3.0 * f64::from(frame)).collect();
    let dynamic = Dynamic::new(times, 0.004, 15_f64.to_radians())?;
    let settings = DynamicSettings {
        relaxivity_per_s_per_mm: relaxivity,
        t10: T10Source::Uniform(t10_s),
        arrival_s,
        window: IntegrationWindow::Seconds60,
        variant: IaucVariant::Concentration,
    };
    let baseline = SpoiledGradientEcho::new(&dynamic, relaxivity)?
        .with_baseline(AMPLITUDE, t10_s)
        .ok_or_else(|| Error::internal("no concentration from this baseline"))?;
    let uptake = |t: f64| -(-(t - arrival_s).max(0.0) / 12.0).exp_m1();
    let signal: Vec<f64> =
        dynamic.frame_times_s().iter().map(|&t| baseline.signal(uptake(t))).collect();
    let protocol = Protocol::Dynamic(dynamic);
    let estimator: Box<dyn Estimator> = Box::new(measure::dynamic_estimator(&protocol, &settings)?);
    let mut fit = Fit::new(1);
    let mut scratch = vec![0.0; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples: &signal, fixed: &[] }, &mut scratch, &mut fit);
    Ok(Case {
        title: "IAUC60, 40 frames of 3 s, TR 4 ms, 15°, T10 1200 ms".into(),
        estimator,
        truth: fit.estimates[0],
        signal,
        reference_signal: AMPLITUDE,
        distribution: NoiseDistribution::Rician,
        smeared_by: NoiseDistribution::Gaussian,
    })
}
