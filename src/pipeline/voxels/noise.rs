//! The noise level of one series.

use super::VoxelWork;
use crate::acquisition::Protocol;
use crate::error::{Error, Result};
use crate::fit::{FitSettings, Fits, Voxelwise, voxelwise_into};
use crate::model::Estimator;
use crate::noise::baseline::Baseline;
use crate::noise::residual::Residuals;
use crate::noise::select::{self, NoiseChoice, NoiseInputs};
use crate::noise::{NoiseDistribution, NoiseEstimate, NoiseMethod};
use crate::perfusion::Arrival;
use crate::pipeline::plan::NoisePlan;

/// The settings with the noise level that they need.
pub(super) fn with_noise(
    settings: FitSettings,
    noise: Option<&NoiseEstimate>,
) -> Result<FitSettings> {
    match (settings.needs_sigma(), noise) {
        (Some(what), None) => Err(Error::value(format!("`{what}` needs a noise level"))
            .at_field("noise.method")
            .hint("give the noise level (`--sigma`, noise.sigma), or another noise.method")),
        (_, noise) => Ok(FitSettings { sigma: noise.map(|noise| noise.level.sigma()), ..settings }),
    }
}

/// The noise level that the plan asks for, from the series or the residuals of `fits`.
pub(super) fn noise(
    work: VoxelWork<'_>,
    fits: &Fits,
    arrival: Option<Arrival>,
) -> Result<Option<NoiseEstimate>> {
    let Some(choice) = noise_choice(&work.plan.noise) else { return Ok(None) };
    let repeats = repeats(&work.loaded.protocol);
    let frames: Vec<usize> = (0..arrival.map_or(0, |a| a.n_baseline_frames())).collect();
    let times = match &work.loaded.protocol {
        Protocol::Dynamic(dynamic) => &dynamic.frame_times_s()[..frames.len()],
        _ => &[],
    };
    let amplitudes = fits.estimates.last().cloned().unwrap_or_default();
    let residuals = Residuals {
        residual_sum_of_squares: &fits.residual_sum_of_squares,
        degrees_of_freedom: &fits.degrees_of_freedom,
        amplitudes: &amplitudes,
    };
    let inputs = NoiseInputs {
        series: &work.loaded.series,
        mask: work.region,
        repeats: &repeats,
        residuals: arrival.is_none().then_some(residuals),
        air: None,
        baseline: arrival.map(|_| Baseline { frames: &frames, frame_times_s: times }),
        n_channels: work.plan.noise.n_channels,
    };
    select::estimate(choice, &inputs).map(Some)
}

/// The noise level of measured signals, where the voxels of the region hold interpolated ones.
pub(super) fn of_measured(
    work: VoxelWork<'_>,
    estimator: &dyn Estimator,
) -> Result<Option<NoiseEstimate>> {
    let mut fits = Fits::empty(work.region);
    voxelwise_into(estimator, &Voxelwise::new(&work.loaded.series, work.region), &mut fits)?;
    noise(work, &fits, None)
}

/// What the plan asks for; `None` where it wants no noise level.
fn noise_choice(plan: &NoisePlan) -> Option<NoiseChoice> {
    if let Some(sigma) = plan.sigma {
        return Some(NoiseChoice::Given { sigma, distribution: NoiseDistribution::Rician });
    }
    if plan.method == "none" {
        return None;
    }
    let named = NoiseMethod::from_name(&plan.method);
    Some(named.map_or(NoiseChoice::Automatic, NoiseChoice::Method))
}

/// Groups of volumes that were weighted alike and are at least two.
fn repeats(protocol: &Protocol) -> Vec<Vec<usize>> {
    let Protocol::Diffusion(diffusion) = protocol else { return Vec::new() };
    let b_values = diffusion.b_values_s_per_mm2();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (volume, b) in b_values.iter().enumerate() {
        let same = |group: &&mut Vec<usize>| b_values[group[0]].total_cmp(b).is_eq();
        match groups.iter_mut().find(same) {
            Some(group) => group.push(volume),
            None => groups.push(vec![volume]),
        }
    }
    groups.retain(|group| group.len() >= 2);
    groups
}
