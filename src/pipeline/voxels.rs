//! One series in one region: noise level → fits → pseudo-experiments → gate → habitats.

mod artery;
mod groups;
mod method;
mod noise;
mod registered;
mod trust;

pub use groups::{Groups, ShrunkenRegion};
pub use method::{MethodValue, Repeated};

use super::load::LoadedSeries;
use super::measure::{self};
use super::observer::{Event, Observer};
use super::plan::{self, FitPlan};
use super::registered::Bridge;
use crate::acquisition::Protocol;
use crate::error::Result;
use crate::fit::{FitSettings, Fits, Voxelwise, voxelwise_into};
use crate::image::{Mask, Volume};
use crate::model::{Estimator, FitStatus, Parameter};
use crate::noise::NoiseEstimate;
use crate::perfusion::{Arrival, voi_mean_curve};
use crate::quality::{Gate, pass_warning, predicted_pass_fraction};
use crate::random::StreamKey;
use crate::statistics::moments::mean;
use crate::statistics::quantile::Sorted;
use crate::uncertainty::Uncertainty;
use crate::uncertainty::covariance::required_signal_to_noise;
use groups::Evidence;
use trust::Measured;

/// What is measured where.
#[derive(Clone, Copy)]
pub struct VoxelWork<'a> {
    /// Settings.
    pub plan: &'a FitPlan,
    /// The series with its protocol.
    pub loaded: &'a LoadedSeries,
    /// The region, on the grid of the series.
    pub region: &'a Mask,
    /// Constants per voxel on the grid of the series: T10 in s, where it is a map.
    pub fixed: &'a [Volume<f64>],
    /// The artery on the grid of the series, where its curve is measured there.
    pub artery: Option<&'a Mask>,
    /// Names the random numbers of this series.
    pub key: StreamKey,
    /// How series and region were brought together, where they were registered.
    pub bridge: Option<&'a Bridge>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct VoxelResult {
    /// What was estimated; the first is the headline.
    pub parameters: Vec<Parameter>,
    /// Estimates of the region.
    pub fits: Fits,
    /// Noise level; none where none was asked for.
    pub noise: Option<NoiseEstimate>,
    /// One per parameter; empty where pseudo-experiments are switched off.
    pub uncertainties: Vec<Uncertainty>,
    /// Noise of each voxel over σ where its signals were interpolated; empty where they were measured.
    pub noise_scale: Vec<f64>,
    /// What the gate kept.
    pub gate: Gate,
    /// Groups of voxels; none where they are not asked for or too little is left.
    pub groups: Option<Groups>,
    /// What the method says of the region; none where too little is left.
    pub method: Option<MethodValue>,
    /// What the region says without a gate.
    pub shrunken: Option<ShrunkenRegion>,
    /// Arrival of the bolus in a dynamic series.
    pub arrival: Option<Arrival>,
    /// Median amplitude over σ; NaN where there is no amplitude.
    pub snr0: f64,
    /// Fraction of voxels with enough signal to pass the gate at the mean of what is reported, by
    /// the Cramér–Rao bound; none where the model is not exponential or nothing is gated.
    pub predicted_pass_fraction: Option<f64>,
    /// What the reader should know, each a sentence.
    pub warnings: Vec<String>,
}

/// Relative uncertainty that maps end at: an infinite one must not look like none.
const SHOWN_MAX: f64 = 10.0;

/// One more column worth a map: how far each voxel can be trusted.
#[derive(Debug, Clone)]
pub struct QualityColumn {
    /// Added to the label of the estimate, such as `U`.
    pub label: &'static str,
    /// What it shows.
    pub description: &'static str,
    /// One per voxel of the fits; pure numbers.
    pub values: Vec<f64>,
    /// Values that viewers show from black to white.
    pub window: [f64; 2],
}

/// Which voxels a statistic is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// All voxels with a finite estimate: the plain voxel-by-voxel answer.
    Naive,
    /// The voxels that the gate kept.
    Gated,
    /// The reported habitat of the kept voxels.
    Habitat,
}

impl Selection {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Naive, Self::Gated, Self::Habitat];

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Gated => "gated",
            Self::Habitat => "habitat",
        }
    }
}

impl VoxelResult {
    /// Places, in the columns of the fits, of the voxels of a selection.
    pub fn places(&self, selection: Selection) -> Vec<usize> {
        let indices = self.fits.mask.indices();
        let all = 0..indices.len();
        match selection {
            Selection::Naive => all.filter(|&i| self.gate.naive.contains(indices[i])).collect(),
            Selection::Gated => all.filter(|&i| self.gate.keep.contains(indices[i])).collect(),
            Selection::Habitat => {
                self.groups.as_ref().map_or_else(Vec::new, |groups| groups.reported(&self.gate))
            }
        }
    }

    /// Values of `parameter` at `places`.
    pub fn values(&self, parameter: usize, places: &[usize]) -> Vec<f64> {
        places.iter().map(|&place| self.fits.estimates[parameter][place]).collect()
    }

    /// Relative uncertainty, R² and reduced χ², as far as any voxel has them.
    pub fn quality_columns(&self) -> Vec<QualityColumn> {
        let shown = |u: &Uncertainty| u.relative.iter().map(|u| u.min(SHOWN_MAX)).collect();
        let relative: Option<Vec<f64>> = self.uncertainties.first().map(shown);
        let sigma = self.noise.as_ref().map(|noise| noise.level.sigma());
        let columns = [
            QualityColumn {
                label: "U",
                description: "standard deviation of the pseudo-experiments over the estimate; 10 stands \
                              for 10 and above, and for no estimate",
                values: relative.unwrap_or_default(),
                window: [0.0, 0.2],
            },
            QualityColumn {
                label: "Stability",
                description: "fraction of the pseudo-experiments that stay in the habitat of the voxel",
                values: self.groups.as_ref().map_or_else(Vec::new, |g| g.stability.clone()),
                window: [0.0, 1.0],
            },
            QualityColumn {
                label: "Rsquared",
                description: "1 - residual over total sum of squares",
                values: self.fits.r_squared.clone(),
                window: [0.0, 1.0],
            },
            QualityColumn {
                label: "Chisquare",
                description: "residual sum of squares over noise variance and degrees of freedom",
                values: sigma.map_or_else(Vec::new, |sigma| self.reduced_chi_square(sigma)),
                window: [0.0, 3.0],
            },
        ];
        let is_known = |column: &QualityColumn| column.values.iter().any(|x| x.is_finite());
        columns.into_iter().filter(is_known).collect()
    }

    /// Residual sum of squares over noise variance and degrees of freedom, per voxel.
    fn reduced_chi_square(&self, sigma: f64) -> Vec<f64> {
        let mut values = self.fits.reduced_chi_square(sigma);
        for (value, scale) in values.iter_mut().zip(&self.noise_scale) {
            *value /= scale * scale;
        }
        values
    }

    /// SD of each value: from the pseudo-experiments, else from the covariance of the fit.
    pub fn standard_deviations(&self, parameter: usize) -> &[f64] {
        match self.uncertainties.get(parameter) {
            Some(uncertainty) => &uncertainty.standard_deviation,
            None => &self.fits.standard_errors[parameter],
        }
    }

    /// Relative uncertainty of each value of `parameter`; infinite where it has none.
    pub fn relative_uncertainties(&self, parameter: usize) -> Vec<f64> {
        if let Some(uncertainty) = self.uncertainties.get(parameter) {
            return uncertainty.relative.clone();
        }
        let pairs =
            self.fits.standard_errors[parameter].iter().zip(&self.fits.estimates[parameter]);
        let relative = |(sd, estimate): (&f64, &f64)| {
            let u = sd / estimate;
            if u.is_finite() && *estimate > 0.0 { u } else { f64::INFINITY }
        };
        pairs.map(relative).collect()
    }
}

/// Measures every voxel of the region.
///
/// # Errors
///
/// Where the series and the settings do not fit together, no arrival or no noise level can be found;
/// a voxel that cannot be fitted is never an error.
pub fn measure_voxels(work: VoxelWork<'_>, observer: &dyn Observer) -> Result<VoxelResult> {
    let arrival = arrival(work)?;
    let plan = artery::measured(work, arrival)?;
    let work = VoxelWork { plan: &plan, ..work };
    let Fitted { estimator, fits, noise } = fitted(work, arrival, observer)?;
    let parameters = estimator.parameters().to_vec();
    let measured = Measured { estimator: estimator.as_ref(), fits: &fits, noise: noise.as_ref() };
    let uncertainties = trust::uncertainties(work, measured, observer)?;
    let evidence = Evidence {
        work,
        measured,
        parameters: &parameters,
        uncertainties: &uncertainties,
        observer,
    };
    let judged = evidence.judge()?;
    let method = evidence.method(&judged, arrival)?;
    let shrunken = evidence.shrunken(judged.groups.as_ref())?;
    let mut warnings = work.loaded.warnings.clone();
    warnings.extend(noise.iter().flat_map(|noise| noise.warnings.clone()));
    warnings.extend(arrival.and_then(|arrival| arrival.warning()));
    warnings.extend(validity_warning(&fits));
    warnings.extend(judged.warnings);
    let mut result = VoxelResult {
        gate: judged.gate,
        groups: judged.groups,
        method,
        shrunken,
        warnings,
        parameters,
        snr0: snr0(&fits, arrival, noise.as_ref()),
        fits,
        noise,
        uncertainties,
        noise_scale: registered::noise_scale(work).unwrap_or_default().to_vec(),
        arrival,
        predicted_pass_fraction: None,
    };
    result.predicted_pass_fraction = predicted_pass(work, &result);
    result.warnings.extend(result.predicted_pass_fraction.and_then(pass_warning));
    Ok(result)
}

/// Estimates of a region under the noise level that was found.
struct Fitted {
    estimator: Box<dyn Estimator>,
    fits: Fits,
    noise: Option<NoiseEstimate>,
}

/// Fits, finds the noise level from the fits where the plan says so, and fits again under it.
fn fitted(
    work: VoxelWork<'_>,
    arrival: Option<Arrival>,
    observer: &dyn Observer,
) -> Result<Fitted> {
    let settings = work.plan.settings()?;
    let protocol = &work.loaded.protocol;
    let first = estimator(work.plan, protocol, arrival, &settings.without_noise())?;
    let progress = |count: usize| observer.observe(&Event::VoxelsDone(count));
    let fit = |estimator: &dyn Estimator, noise: Option<&NoiseEstimate>, fits: &mut Fits| {
        observer.observe(&Event::StageStarted { name: "fit", n_voxels: work.region.len() });
        let input = Voxelwise {
            fixed: work.fixed,
            noise: noise.map(|noise| &noise.level),
            progress: Some(&progress),
            ..Voxelwise::new(&work.loaded.series, work.region)
        };
        voxelwise_into(estimator, &input, fits)
    };
    let mut fits = Fits::empty(work.region);
    fit(first.as_ref(), None, &mut fits)?;
    let noise = match registered::as_measured(work) {
        Some(measured) => noise::of_measured(measured, first.as_ref())?,
        None => noise::noise(work, &fits, arrival)?,
    };
    let estimator = match settings.needs_sigma() {
        Some(_) => {
            let settings = noise::with_noise(settings, noise.as_ref())?;
            estimator(work.plan, protocol, arrival, &settings)?
        }
        None => first,
    };
    if noise.is_some() {
        fit(estimator.as_ref(), noise.as_ref(), &mut fits)?;
        let scales = registered::noise_scale(work).unwrap_or_default();
        for column in &mut fits.standard_errors {
            column.iter_mut().zip(scales).for_each(|(error, scale)| *error *= scale);
        }
    }
    Ok(Fitted { estimator, fits, noise })
}

fn arrival(work: VoxelWork<'_>) -> Result<Option<Arrival>> {
    let (Protocol::Dynamic(dynamic), Some(settings)) = (&work.loaded.protocol, &work.plan.dynamic)
    else {
        return Ok(None);
    };
    let times_s = dynamic.frame_times_s();
    let found = match settings.arrival {
        plan::Arrival::GivenS(time_s) => Arrival::given(times_s, time_s)?,
        plan::Arrival::Region => {
            let curve = voi_mean_curve(&work.loaded.series, work.region)?;
            Arrival::detect(times_s, &curve, None)?
        }
    };
    Ok(Some(found))
}

/// Says in how many voxels the estimates lie where the signal equation is not valid.
fn validity_warning(fits: &Fits) -> Option<String> {
    let n = fits.status.iter().filter(|&&status| status == FitStatus::BeyondModel).count();
    (n > 0).then(|| {
        format!(
            "in {n} of {} voxels the estimates lie where the model is not valid",
            fits.n_voxels()
        )
    })
}

/// The estimator that a plan asks for; `arrival` is that of the bolus in a dynamic series.
pub(super) fn estimator(
    plan: &FitPlan,
    protocol: &Protocol,
    arrival: Option<Arrival>,
    settings: &FitSettings,
) -> Result<Box<dyn Estimator>> {
    if let (Some(dynamic), Some(arrival)) = (&plan.dynamic, arrival) {
        let dynamic_settings = measure::dynamic_settings(dynamic, protocol, arrival.time_s())?;
        return Ok(if plan.model == measure::IAUC {
            Box::new(measure::dynamic_estimator(protocol, &dynamic_settings)?)
        } else {
            let artery = dynamic.artery.as_ref();
            Box::new(measure::tissue_estimator(&plan.model, protocol, &dynamic_settings, artery)?)
        });
    }
    measure::model_estimator(&plan.model, protocol, settings)
}

/// What the Cramér–Rao bound says of the gate, before any voxel is drawn.
fn predicted_pass(work: VoxelWork<'_>, result: &VoxelResult) -> Option<f64> {
    let is_gated = !result.uncertainties.is_empty()
        && work.plan.gate.minimum_stability.is_none()
        && result.noise_scale.is_empty();
    let sigma = result.noise.as_ref().filter(|_| is_gated)?.level.sigma();
    let selection = if result.groups.is_some() { Selection::Habitat } else { Selection::Gated };
    let estimate = mean(&result.values(0, &result.places(selection)))?;
    if result.parameters.len() != 2 {
        return None;
    }
    let b_min = work.plan.b_min_s_per_mm2;
    let (weightings, rate): (Vec<f64>, f64) = match &work.loaded.protocol {
        Protocol::Diffusion(p) => {
            let used = p.b_values_s_per_mm2().iter().copied().filter(|&b| b >= b_min);
            (used.collect(), estimate)
        }
        Protocol::MultiEcho(p) => {
            let mut times_s = p.echo_times_s().to_vec();
            times_s.sort_by(f64::total_cmp);
            (times_s.split_off(usize::from(work.plan.skip_first_echo)), 1.0 / estimate)
        }
        Protocol::Dynamic(_) | Protocol::VariableFlipAngle(_) => return None,
    };
    let maximum = work.plan.gate.maximum_uncertainty;
    let required = required_signal_to_noise(&weightings, rate, maximum);
    let amplitudes = result.fits.estimates.last()?.iter();
    let ratios: Vec<f64> = amplitudes.map(|amplitude| amplitude / sigma).collect();
    Some(predicted_pass_fraction(&ratios, required)).filter(|fraction| fraction.is_finite())
}

/// Median of the amplitude (the last parameter) over σ; NaN where no amplitude is fitted.
fn snr0(fits: &Fits, arrival: Option<Arrival>, noise: Option<&NoiseEstimate>) -> f64 {
    // The last parameter of a dynamic series is no amplitude of the signal.
    let (Some(noise), None) = (noise, arrival) else { return f64::NAN };
    if fits.estimates.len() < 2 {
        return f64::NAN;
    }
    let amplitudes = fits.estimates.last().into_iter().flatten().copied();
    let finite: Vec<f64> = amplitudes.filter(|amplitude| amplitude.is_finite()).collect();
    Sorted::new(&finite).map_or(f64::NAN, |sorted| sorted.median() / noise.level.sigma())
}
