//! One series in one region: noise level → fits → pseudo-experiments → gate → habitats.

mod trust;

use super::load::LoadedSeries;
use super::measure::{self, DynamicSettings};
use super::observer::{Event, Observer};
use super::plan::{self, FitPlan, HabitatPlan, NoisePlan, T10};
use crate::acquisition::Protocol;
use crate::error::{Error, Result};
use crate::fit::{FitSettings, Fits, Voxelwise, voxelwise_into};
use crate::habitat::{self, Habitats, Method, Number, Reduction, Reported};
use crate::image::{Mask, Volume};
use crate::model::{Estimator, FitStatus, Parameter};
use crate::noise::baseline::Baseline;
use crate::noise::residual::Residuals;
use crate::noise::select::{self, NoiseChoice, NoiseInputs};
use crate::noise::{NoiseDistribution, NoiseEstimate, NoiseMethod};
use crate::perfusion::{Arrival, IntegrationWindow, T10Source, voi_mean_curve};
use crate::quality::{Gate, pass_warning, predicted_pass_fraction};
use crate::random::StreamKey;
use crate::statistics::moments::mean;
use crate::statistics::quantile::Sorted;
use crate::uncertainty::Uncertainty;
use crate::uncertainty::covariance::required_signal_to_noise;
use trust::{Clustered, Grounds, Measured};

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
    /// Names the random numbers of this series.
    pub key: StreamKey,
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
    /// What the gate kept.
    pub gate: Gate,
    /// Groups of kept voxels; none where they are not asked for or too little is left.
    pub habitats: Option<Habitats>,
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
                let Some(habitats) = &self.habitats else { return Vec::new() };
                let kept = self.places(Selection::Gated);
                let reported = kept.into_iter().zip(habitats.selection());
                reported.filter(|(_, is_reported)| *is_reported).map(|(place, _)| place).collect()
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
                label: "Rsquared",
                description: "1 - residual over total sum of squares",
                values: self.fits.r_squared.clone(),
                window: [0.0, 1.0],
            },
            QualityColumn {
                label: "Chisquare",
                description: "residual sum of squares over noise variance and degrees of freedom",
                values: sigma.map_or_else(Vec::new, |sigma| self.fits.reduced_chi_square(sigma)),
                window: [0.0, 3.0],
            },
        ];
        let is_known = |column: &QualityColumn| column.values.iter().any(|x| x.is_finite());
        columns.into_iter().filter(is_known).collect()
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
    let settings = work.plan.settings()?;
    let protocol = &work.loaded.protocol;
    let first_estimator = estimator(work.plan, protocol, arrival, &settings.without_noise())?;
    let parameters = first_estimator.parameters().to_vec();
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
    fit(first_estimator.as_ref(), None, &mut fits)?;
    let noise = noise(work, &fits, arrival)?;
    let estimator = match settings.needs_sigma() {
        Some(_) => estimator(work.plan, protocol, arrival, &with_noise(settings, noise.as_ref())?)?,
        None => first_estimator,
    };
    if noise.is_some() {
        fit(estimator.as_ref(), noise.as_ref(), &mut fits)?;
    }
    let measured = Measured { estimator: estimator.as_ref(), fits: &fits, noise: noise.as_ref() };
    let uncertainties = trust::uncertainties(work, measured, observer)?;
    let sigma = noise.as_ref().map(|noise| noise.level.sigma());
    // The last parameter of a dynamic series is no amplitude of the signal.
    let snr0 = match arrival {
        Some(_) => f64::NAN,
        None => snr0(&fits, sigma.unwrap_or(f64::NAN)),
    };
    let mut result = VoxelResult {
        gate: trust::gate_of(work.plan, &fits, Grounds::of(work.plan, &uncertainties), sigma)?,
        warnings: work.loaded.warnings.clone(),
        parameters,
        fits,
        noise,
        uncertainties,
        habitats: None,
        arrival,
        snr0,
        predicted_pass_fraction: None,
    };
    result.warnings.extend(result.noise.iter().flat_map(|noise| noise.warnings.clone()));
    result.warnings.extend(arrival.and_then(|arrival| arrival.warning()));
    result.warnings.extend(validity_warning(&result.fits));
    if let Some(plan) = work.plan.habitat.as_ref().filter(|_| is_by_stability(work.plan)) {
        gate_by_stability((work, plan), estimator.as_ref(), &mut result, observer)?;
    }
    result.habitats = habitats(work.plan.habitat.as_ref(), &mut result)?;
    result.predicted_pass_fraction = predicted_pass(work, &result);
    result.warnings.extend(result.predicted_pass_fraction.and_then(pass_warning));
    Ok(result)
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

/// The settings with the noise level that they need.
fn with_noise(settings: FitSettings, noise: Option<&NoiseEstimate>) -> Result<FitSettings> {
    match (settings.needs_sigma(), noise) {
        (Some(what), None) => Err(Error::value(format!("`{what}` needs a noise level"))
            .at_field("noise.method")
            .hint("give the noise level (`--sigma`, noise.sigma), or another noise.method")),
        (_, noise) => Ok(FitSettings { sigma: noise.map(|noise| noise.level.sigma()), ..settings }),
    }
}

/// The estimator that a plan asks for; `arrival` is that of the bolus in a dynamic series.
pub(super) fn estimator(
    plan: &FitPlan,
    protocol: &Protocol,
    arrival: Option<Arrival>,
    settings: &FitSettings,
) -> Result<Box<dyn Estimator>> {
    if let (Some(dynamic), Some(arrival)) = (&plan.dynamic, arrival) {
        let t10 = match dynamic.t10 {
            T10::ValueMs(value) => T10Source::Uniform(value / 1e3),
            T10::Map(_) => T10Source::PerVoxel,
        };
        let window = IntegrationWindow::from_duration_s(dynamic.window_s).ok_or_else(|| {
            Error::value(format!("{} s is not 30, 60, 90, 120 or 180", dynamic.window_s))
                .at_field("dynamic.window_s")
        })?;
        let dynamic_settings = DynamicSettings {
            relaxivity_per_s_per_mm: dynamic.relaxivity_per_s_per_mm,
            t10,
            arrival_s: arrival.time_s(),
            window,
        };
        return Ok(if plan.model == measure::IAUC {
            Box::new(measure::dynamic_estimator(protocol, &dynamic_settings)?)
        } else {
            let artery = dynamic.artery.as_ref();
            Box::new(measure::tissue_estimator(&plan.model, protocol, &dynamic_settings, artery)?)
        });
    }
    measure::model_estimator(&plan.model, protocol, settings)
}

fn noise(
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

/// What the Cramér–Rao bound says of the gate, before any voxel is drawn.
fn predicted_pass(work: VoxelWork<'_>, result: &VoxelResult) -> Option<f64> {
    let is_gated = !result.uncertainties.is_empty() && !is_by_stability(work.plan);
    let sigma = result.noise.as_ref().filter(|_| is_gated)?.level.sigma();
    let selection = if result.habitats.is_some() { Selection::Habitat } else { Selection::Gated };
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
fn snr0(fits: &Fits, sigma: f64) -> f64 {
    if fits.estimates.len() < 2 {
        return f64::NAN;
    }
    let amplitudes = fits.estimates.last().into_iter().flatten().copied();
    let finite: Vec<f64> = amplitudes.filter(|amplitude| amplitude.is_finite()).collect();
    Sorted::new(&finite).map_or(f64::NAN, |sorted| sorted.median() / sigma)
}

fn is_by_stability(plan: &FitPlan) -> bool {
    plan.gate.minimum_stability.is_some()
}

/// Judges the voxels again by how firmly they belong to the habitats of all usable voxels.
fn gate_by_stability(
    (work, plan): (VoxelWork<'_>, &HabitatPlan),
    estimator: &dyn Estimator,
    result: &mut VoxelResult,
    observer: &dyn Observer,
) -> Result<()> {
    let n_warnings = result.warnings.len();
    let found = habitats(Some(plan), result)?;
    // What is said here is said again of the habitats that are kept.
    result.warnings.truncate(n_warnings);
    let Some(habitats) = found else { return Ok(()) };
    let mut labels = vec![None; result.fits.n_voxels()];
    for (place, label) in result.places(Selection::Gated).into_iter().zip(&habitats.labels) {
        labels[place] = Some(*label);
    }
    let noise = result.noise.as_ref();
    let measured = Measured { estimator, fits: &result.fits, noise };
    let clustered = Clustered { habitats: &habitats, columns: columns(plan, result), labels };
    let stability = trust::stabilities(work, measured, &clustered, observer)?;
    let sigma = noise.map(|noise| noise.level.sigma());
    result.gate = trust::gate_of(work.plan, &result.fits, Grounds::Stability(&stability), sigma)?;
    Ok(())
}

/// The parameters that are clustered, by their place in the model.
fn columns(plan: &HabitatPlan, result: &VoxelResult) -> Vec<usize> {
    let joint = result.parameters.iter().enumerate().skip(1);
    let joint = joint.filter(|(_, p)| plan.joint_parameters.iter().any(|n| n == p.short_name));
    std::iter::once(0).chain(joint.map(|(index, _)| index)).collect()
}

fn reason(reduction: Reduction) -> &'static str {
    match reduction {
        Reduction::FewVoxels => "fewer than 30 voxels",
        Reduction::NoSpread => "all voxels are equal",
        Reduction::FewDistinctValues => "too few different values",
        Reduction::Criterion => "the Bayesian information criterion prefers one component",
        Reduction::NoPartition => "a habitat stayed empty",
    }
}

fn habitats(plan: Option<&HabitatPlan>, result: &mut VoxelResult) -> Result<Option<Habitats>> {
    let Some(plan) = plan else { return Ok(None) };
    if result.gate.is_insufficient() {
        result.warnings.push(format!(
            "{} of {} voxels are left after the gate: too few for a number",
            result.gate.keep.len(),
            result.gate.n_voxels()
        ));
        return Ok(None);
    }
    let places = result.places(Selection::Gated);
    let columns: Vec<Vec<f64>> =
        columns(plan, result).into_iter().map(|index| result.values(index, &places)).collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let settings = habitat::Settings {
        number: match plan.clusters {
            0 => Number::Automatic,
            k => Number::Fixed(k),
        },
        method: match plan.method.as_str() {
            "gaussian_mixture" => Method::GaussianMixture,
            _ => Method::KMeans,
        },
        reported: match plan.report.as_str() {
            "highest" => Reported::Highest,
            _ => Reported::Lowest,
        },
        ..habitat::Settings::default()
    };
    let habitats = habitat::cluster(&columns, &settings)?;
    if let Some(reduction) = habitats.reduction {
        result.warnings.push(format!("one habitat only: {}", reason(reduction)));
    }
    Ok(Some(habitats))
}
