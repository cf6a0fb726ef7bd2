//! How far each voxel can be trusted: pseudo-experiments, stability, and the gate.

use super::{VoxelWork, registered};
use crate::error::Result;
use crate::fit::Fits;
use crate::habitat::Habitats;
use crate::image::Volume;
use crate::model::Estimator;
use crate::noise::{NoiseDistribution, NoiseEstimate};
use crate::pipeline::observer::{Event, Observer};
use crate::pipeline::plan::FitPlan;
use crate::quality::gate::gate;
use crate::quality::{Criterion, Gate, GateInputs};
use crate::uncertainty::{
    EarlyStop, Experiment, ObservedVoxels, PseudoExperiments, Smear, Uncertainty, pseudo_experiment,
};

/// What was fitted, by what, under which noise.
#[derive(Clone, Copy)]
pub(super) struct Measured<'a> {
    pub(super) estimator: &'a dyn Estimator,
    pub(super) fits: &'a Fits,
    pub(super) noise: Option<&'a NoiseEstimate>,
}

/// Habitats of the usable voxels.
pub(super) struct Clustered<'a> {
    pub(super) habitats: &'a Habitats,
    /// The parameters that were clustered.
    pub(super) columns: Vec<usize>,
    /// Habitat of each voxel of the fits.
    pub(super) labels: Vec<Option<u8>>,
}

/// What the gate judges beside the fit itself.
#[derive(Clone, Copy)]
pub(super) enum Grounds<'a> {
    /// Nothing.
    Fit,
    /// Relative uncertainty of each voxel.
    Uncertainty(&'a [f64]),
    /// Stability of each voxel; NaN where it has none.
    Stability(&'a [f64]),
}

/// How the plan wants pseudo-experiments; none where it wants none or there is no noise level.
pub(super) fn settings(
    work: VoxelWork<'_>,
    noise: Option<&NoiseEstimate>,
) -> Option<PseudoExperiments> {
    let plan = &work.plan.uncertainty;
    let noise = noise.filter(|_| plan.pseudo_experiments > 0)?;
    // Around observed magnitudes Rician draws would add the noise floor a second time.
    // Weighted sums of magnitudes are nearer to Gaussian than to Rician.
    let distribution = match (&work.plan.dynamic, registered::noise_scale(work)) {
        (None, None) => noise.level.distribution(),
        _ => NoiseDistribution::Gaussian,
    };
    let maximum = work.plan.gate.maximum_uncertainty;
    Some(PseudoExperiments {
        n_replicates: plan.pseudo_experiments,
        smear: if plan.smear == "map" { Smear::Map } else { Smear::Signal },
        distribution,
        early_stop: plan.early_stop.then_some(EarlyStop { maximum }),
        ..PseudoExperiments::default()
    })
}

/// One uncertainty per parameter; empty where pseudo-experiments are switched off.
pub(super) fn uncertainties(
    work: VoxelWork<'_>,
    measured: Measured<'_>,
    observer: &dyn Observer,
) -> Result<Vec<Uncertainty>> {
    let (Some(noise), Some(settings)) = (measured.noise, settings(work, measured.noise)) else {
        return Ok(Vec::new());
    };
    let name = "pseudo-experiments";
    observer.observe(&Event::StageStarted { name, n_voxels: work.region.len() });
    let progress = |count: usize| observer.observe(&Event::VoxelsDone(count));
    let fixed: Vec<&Volume<f64>> = work.fixed.iter().collect();
    let observed = ObservedVoxels::new(&work.loaded.series, measured.fits, &fixed)?;
    let observed = match registered::noise_scale(work) {
        Some(scale) => observed.with_noise_scale(scale)?,
        None => observed,
    };
    let observed = observed.with_progress(&progress);
    pseudo_experiment::run(measured.estimator, &observed, &noise.level, settings, work.key)
}

/// Fraction of the pseudo-experiments of each voxel that stay in its habitat; the same draws as
/// those of its uncertainty. NaN for a voxel without a habitat, and without pseudo-experiments.
pub(super) fn stabilities(
    work: VoxelWork<'_>,
    measured: Measured<'_>,
    clustered: &Clustered<'_>,
    observer: &dyn Observer,
) -> Result<Vec<f64>> {
    let (Some(noise), Some(settings)) = (measured.noise, settings(work, measured.noise)) else {
        return Ok(vec![f64::NAN; measured.fits.n_voxels()]);
    };
    let name = "stability";
    observer.observe(&Event::StageStarted { name, n_voxels: work.region.len() });
    let progress = |count: usize| observer.observe(&Event::VoxelsDone(count));
    let fixed: Vec<&Volume<f64>> = work.fixed.iter().collect();
    let observed = ObservedVoxels::new(&work.loaded.series, measured.fits, &fixed)?;
    let observed = match registered::noise_scale(work) {
        Some(scale) => observed.with_noise_scale(scale)?,
        None => observed,
    };
    let observed = observed.with_progress(&progress);
    let experiment =
        Experiment::new(measured.estimator, &observed, &noise.level, settings, work.key)?;
    Ok(experiment.reduce(|replicates| match clustered.labels[replicates.place] {
        Some(label) => clustered.habitats.stability_of(label, &clustered.columns, replicates),
        None => f64::NAN,
    }))
}

/// Judges every voxel by its fit and by `grounds`.
pub(super) fn gate_of(
    plan: &FitPlan,
    fits: &Fits,
    grounds: Grounds<'_>,
    sigma: Option<f64>,
) -> Result<Gate> {
    let mut criteria = vec![Criterion::FitStatusOk, Criterion::Positive];
    if let Some([low, high]) = plan.gate.range {
        criteria.push(Criterion::ParameterRange { low, high });
    }
    criteria.extend(plan.gate.minimum_r_squared.map(|minimum| Criterion::RSquared { minimum }));
    let maximum = plan.gate.maximum_uncertainty;
    let minimum = plan.gate.minimum_stability.unwrap_or(0.0);
    let [mut relative_uncertainty, mut stability]: [&[f64]; 2] = [&[], &[]];
    match grounds {
        Grounds::Fit => {}
        Grounds::Uncertainty(values) => {
            relative_uncertainty = values;
            criteria.push(Criterion::RelativeUncertainty { maximum });
        }
        Grounds::Stability(values) => {
            stability = values;
            criteria.push(Criterion::Stability { minimum });
        }
    }
    let inputs = GateInputs {
        fits,
        parameter: 0,
        relative_uncertainty,
        stability,
        signal_to_noise: &[],
        sigma,
    };
    gate(inputs, &criteria)
}
