//! One model on one series, or one label image, without a dataset.

mod maps;
mod spread;
mod stream;
mod tile;
mod whole;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::maps::{MapChoice, MapKind};
use super::load::{SeriesPaths, SeriesSource, file_name};
use super::measure::Measure;
use super::observer::Observer;
use super::plan::{
    AcquisitionPlan, AreaVariant, Arrival, ArteryCurve, ArteryPlan, DynamicPlan, FitPlan, GatePlan,
    Motion, NoisePlan, Reading, RelativeTo, T10, UncertaintyPlan,
};
use super::session::{b1_on, t10_on};
use crate::acquisition::ProtocolKind;
use crate::error::{Error, Result};
use crate::fit::{EchoChoice, FitMethod, FitSettings};
use crate::image::{Grid, Mask, Volume};
use crate::io::gradient_table;
use crate::io::nifti::{self, Compression, ReadLimits};
use crate::noise::NoiseMethod;
use crate::perfusion;

/// Where the arrival of the bolus is found.
#[derive(Debug, Clone, Copy)]
pub enum ArterialCurve<'a> {
    /// On the mean curve of the region.
    Region,
    /// Given, s.
    ArrivalS(f64),
    /// On a measured arterial curve: two columns, time in s and concentration in mM.
    Measured(&'a Path),
}

/// Where T10 comes from.
#[derive(Debug, Clone, Copy)]
pub enum T10Input<'a> {
    /// One value, ms.
    ValueMs(f64),
    /// A map in s.
    Map(&'a Path),
}

/// How the noise level is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseChoice {
    /// The method; none for the best that the data allow.
    pub method: Option<NoiseMethod>,
    /// Receiver channels whose squares were added up in a magnitude; for `piesno`.
    pub n_channels: usize,
}

/// What stands in maps where there is no estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// 0; the status map says why.
    Zero,
    /// NaN.
    Nan,
}

/// Everything about one map.
#[derive(Debug, Clone)]
pub struct MapRequest<'a> {
    /// What is measured.
    pub measure: Measure,
    /// The series.
    pub paths: SeriesPaths<'a>,
    /// What was played out, where no sidecar says it.
    pub acquisition: AcquisitionPlan,
    /// Region to fit; the whole image where it is not given.
    pub mask: Option<&'a Path>,
    /// T1 before contrast.
    pub t10: Option<T10Input<'a>>,
    /// Map of the transmit field, flip angle over the nominal one.
    pub b1_map: Option<&'a Path>,
    /// Relaxivity, 1/(s·mM).
    pub relaxivity_per_s_per_mm: f64,
    /// Arrival of the bolus.
    pub arrival: ArterialCurve<'a>,
    /// What flows in the artery, for models of tissue; a measured curve of `arrival` is filled in.
    pub artery: Option<ArteryPlan>,
    /// Length of the integration window, s.
    pub window_s: f64,
    /// Name of the estimator.
    pub estimator: &'a str,
    /// Echoes that are left out.
    pub echoes: EchoChoice,
    /// Smallest b-value that is used, s/mm².
    pub b_min_s_per_mm2: f64,
    /// Pseudo-experiments per voxel; 0 for none.
    pub pseudo_experiments: u32,
    /// σ, where it is known.
    pub sigma: Option<f64>,
    /// How σ is obtained where it is not known; none leaves it out where nothing needs it.
    pub noise: Option<NoiseChoice>,
    /// Seed of the pseudo-experiments.
    pub seed: u64,
    /// Folder of the maps.
    pub output: &'a Path,
    /// Maps that are written; nothing else is computed.
    pub maps: MapChoice,
    /// Whether maps are gzipped.
    pub compression: Compression,
    /// Whether `voxels.parquet` is written.
    pub with_table: bool,
    /// What stands where there is no estimate.
    pub background: Background,
    /// Memory for the series. One that is larger is read in pieces where that gives the same maps:
    /// without pseudo-experiments, table and noise level from the data.
    pub limits: ReadLimits,
}

/// One parameter over all voxels with an estimate, in its stored unit.
#[derive(Debug, Clone)]
pub struct ParameterSummary {
    /// Name of the parameter.
    pub name: &'static str,
    /// Symbol of its unit.
    pub units: &'static str,
    /// Voxels with an estimate.
    pub n: usize,
    /// Mean over them; NaN where there is none.
    pub mean: f64,
    /// Standard deviation over them, n − 1; NaN below two.
    pub sd: f64,
    /// Median over them; NaN where there is none.
    pub median: f64,
}

/// What a map came to.
#[derive(Debug, Clone)]
pub struct MapResult {
    /// Voxels that were fitted.
    pub n_voxels: usize,
    /// How many ended how.
    pub counts: Vec<(String, usize)>,
    /// Every parameter.
    pub parameters: Vec<ParameterSummary>,
    /// Noise level, where one was found or given.
    pub sigma: Option<f64>,
    /// Arrival of the bolus, s, in a dynamic series.
    pub arrival_s: Option<f64>,
    /// Names of the files written.
    pub written: Vec<String>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// Fits one model to one series and writes its maps.
///
/// # Errors
///
/// As loading, fitting and writing.
pub fn map(request: &MapRequest<'_>, observer: &dyn Observer) -> Result<MapResult> {
    let kind = request.measure.protocol;
    let source = SeriesSource::of_paths(request.paths, kind, &request.acquisition)?;
    let plan = fit_plan(request)?;
    let estimates_noise = !["none", "given"].contains(&plan.noise.method.as_str());
    let looks_at_all_voxels = estimates_noise || plan.uncertainty.pseudo_experiments > 0;
    if looks_at_all_voxels || request.with_table {
        whole::map(request, &source, &plan, observer)
    } else {
        stream::map(request, &source, &plan, observer)
    }
}

/// The plan of a pipeline that would do the same.
fn fit_plan(request: &MapRequest<'_>) -> Result<FitPlan> {
    let is_dynamic = request.measure.protocol == ProtocolKind::Dynamic;
    let method = match (request.sigma, request.noise) {
        (Some(_), _) => "given",
        (None, Some(choice)) => choice.method.map_or("auto", NoiseMethod::name),
        (None, None) if request.pseudo_experiments > 0 || needs_sigma(request)? => "auto",
        (None, None) => "none",
    };
    Ok(FitPlan {
        name: request.measure.name.into(),
        model: request.measure.name.into(),
        series: None,
        region: None,
        registration: None,
        motion: Motion::default(),
        estimator: request.estimator.into(),
        skip_first_echo: request.echoes.skip_first_echo,
        truncate_below_noise: request.echoes.truncate_below_noise,
        b_min_s_per_mm2: request.b_min_s_per_mm2,
        b1_map: request.b1_map.map(|_| map_query("TB1map")),
        acquisition: request.acquisition.clone(),
        dynamic: is_dynamic.then(|| dynamic_plan(request)).transpose()?,
        noise: NoisePlan {
            method: method.into(),
            sigma: request.sigma,
            n_channels: request.noise.map_or(1, |choice| choice.n_channels),
        },
        uncertainty: UncertaintyPlan {
            pseudo_experiments: request.pseudo_experiments,
            smear: "signal".into(),
            early_stop: false,
            region_pseudo_experiments: 0,
            registration_sd_mm: 0.0,
        },
        gate: GatePlan {
            maximum_uncertainty: 0.10,
            reading: Reading::default(),
            relative_to: RelativeTo::default(),
            minimum_r_squared: None,
            minimum_stability: None,
            range: None,
        },
        habitat: None,
    })
}

fn needs_sigma(request: &MapRequest<'_>) -> Result<bool> {
    let method = FitMethod::from_name(request.estimator)?;
    let settings = FitSettings { method, echoes: request.echoes, ..FitSettings::default() };
    Ok(settings.needs_sigma().is_some())
}

/// A map that is named by its path, by its BIDS suffix.
fn map_query(suffix: &str) -> super::plan::QueryPlan {
    let entities = BTreeMap::new();
    super::plan::QueryPlan { suffix: suffix.into(), datatype: None, entities }
}

fn dynamic_plan(request: &MapRequest<'_>) -> Result<DynamicPlan> {
    let t10 = match request.t10 {
        Some(T10Input::ValueMs(value)) => T10::ValueMs(value),
        Some(T10Input::Map(_)) => T10::Map(map_query("T1map")),
        None => {
            return Err(Error::value("T1 before contrast is needed for concentrations")
                .at_field("--t10-ms")
                .hint("give a value in ms, or a map in s: biomarker map t1_vfa makes one"));
        }
    };
    let arrival = match request.arrival {
        ArterialCurve::Region => Arrival::Region,
        ArterialCurve::ArrivalS(time_s) => Arrival::GivenS(time_s),
        ArterialCurve::Measured(path) => Arrival::GivenS(arrival_on(path)?),
    };
    Ok(DynamicPlan {
        t10,
        relaxivity_per_s_per_mm: request.relaxivity_per_s_per_mm,
        arrival,
        window_s: request.window_s,
        variant: AreaVariant::default(),
        artery: artery_on(request)?,
    })
}

/// The artery of models of tissue, with the points of a measured curve.
fn artery_on(request: &MapRequest<'_>) -> Result<Option<ArteryPlan>> {
    let mut artery = request.artery.clone();
    if let (Some(artery), ArterialCurve::Measured(path)) = (&mut artery, request.arrival) {
        let [times_s, concentrations_mmol_per_l] = gradient_table::read_curve(path)?;
        artery.curve = ArteryCurve::Measured { times_s, concentrations_mmol_per_l };
    }
    Ok(artery)
}

/// Arrival of the bolus on a measured arterial curve, s.
fn arrival_on(path: &Path) -> Result<f64> {
    let [times_s, curve] = gradient_table::read_curve(path)?;
    perfusion::MeasuredCurve::new(times_s, curve, perfusion::Compartment::Plasma)
        .and_then(|artery| {
            let curve = artery.concentrations_mmol_per_l();
            perfusion::Arrival::detect(artery.times_s(), curve, None)
        })
        .map(|arrival| arrival.time_s())
        .map_err(|error| error.at_path(path))
}

/// Constants per voxel: T10 in s or the transmit field, where it is a map.
fn fixed_maps(
    request: &MapRequest<'_>,
    grid: &Grid,
    notes: &mut Vec<String>,
) -> Result<Vec<Volume<f64>>> {
    match request.t10 {
        Some(T10Input::Map(path)) => Ok(vec![t10_on(grid, path, &request.limits, notes)?]),
        _ => match request.b1_map {
            Some(path) => Ok(vec![b1_on(grid, path, &request.limits, notes)?]),
            None => Ok(Vec::new()),
        },
    }
}

fn mask_on(grid: &Grid, path: &Path, limits: &ReadLimits) -> Result<Mask> {
    let mask = nifti::read_mask(path, limits)?.image;
    grid.require_same(mask.grid()).map_err(|error| {
        error.at_path(path).at_field("mask").hint("draw the mask on the grid of the series")
    })?;
    Ok(mask)
}

/// Name of the first image without its extension, and without the part that tells the files of one
/// series apart.
fn stem(source: &SeriesSource) -> String {
    let name = file_name(source.images.first().map_or(Path::new(""), PathBuf::as_path));
    let name = name.trim_end_matches(".gz").trim_end_matches(".nii").to_owned();
    let tells_apart = |part: &&str| part.starts_with("echo-") || part.starts_with("flip-");
    let parts = name.split('_').filter(|part| source.images.len() < 2 || !tells_apart(part));
    parts.collect::<Vec<_>>().join("_")
}
