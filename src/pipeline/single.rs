//! One model on one series, or one label image, without a dataset.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Map;

use super::load::{LoadedSeries, SeriesPaths, SeriesSource, file_name};
use super::measure::Measure;
use super::observer::{Event, Observer};
use super::plan::{
    AcquisitionPlan, Arrival, DynamicPlan, FitPlan, GatePlan, NoisePlan, T10, UncertaintyPlan,
};
use super::provenance::VERSION;
use super::session::t10_on;
use super::voxel_table::{self, VoxelPlace};
use super::voxels::{Selection, VoxelResult, VoxelWork, measure_voxels};
use crate::acquisition::ProtocolKind;
use crate::error::{Error, Result};
use crate::fit::{EchoChoice, FitMethod, FitSettings};
use crate::image::{Grid, Mask, Volume};
use crate::io::nifti::{self, Header, ReadLimits};
use crate::io::{gradient_table, parquet, sidecar};
use crate::model::FitStatus;
use crate::perfusion;
use crate::random::StreamKey;
use crate::statistics::first_order::FirstOrder;
use crate::unit::Unit;

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
    /// Relaxivity, 1/(s·mM).
    pub relaxivity_per_s_per_mm: f64,
    /// Arrival of the bolus.
    pub arrival: ArterialCurve<'a>,
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
    /// Seed of the pseudo-experiments.
    pub seed: u64,
    /// Folder of the maps.
    pub output: &'a Path,
    /// Whether `voxels.parquet` is written.
    pub with_table: bool,
    /// What stands where there is no estimate.
    pub background: Background,
    /// How much a file may ask for.
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
    let loaded = source.load(&request.limits)?;
    let grid = *loaded.series.grid();
    let region = match request.mask {
        Some(path) => mask_on(&grid, path, &request.limits)?,
        None => Mask::full(grid),
    };
    let mut notes = Vec::new();
    let fixed = match request.t10 {
        Some(T10Input::Map(path)) => vec![t10_on(&grid, path, &request.limits, &mut notes)?],
        _ => Vec::new(),
    };
    let plan = fit_plan(request)?;
    let stem = stem(&source);
    let key = StreamKey::new(request.seed, &stem);
    let work = VoxelWork { plan: &plan, loaded: &loaded, region: &region, fixed: &fixed, key };
    let mut result = measure_voxels(work, observer).map_err(|e| e.at_path(&source.images[0]))?;
    result.warnings.extend(notes);
    for warning in &result.warnings {
        observer.observe(&Event::Warning(warning));
    }
    let mut writer =
        Writer { request, source: &source, loaded: &loaded, stem, written: Vec::new() };
    writer.maps(&result)?;
    if request.with_table {
        let place = VoxelPlace { participant_id: "sub-00", session_id: None, region: "image" };
        let table = voxel_table::table(place, &result)?;
        parquet::write(&request.output.join("voxels.parquet"), &table)?;
        writer.written.push("voxels.parquet".into());
    }
    Ok(summary(result, writer.written))
}

fn summary(result: VoxelResult, written: Vec<String>) -> MapResult {
    let places = result.places(Selection::Naive);
    let parameters = result.parameters.iter().enumerate().map(|(index, parameter)| {
        let features = FirstOrder::of(&result.values(index, &places));
        let of = |value: fn(&FirstOrder) -> f64| features.as_ref().map_or(f64::NAN, value);
        ParameterSummary {
            name: parameter.name,
            units: parameter.unit.symbol(),
            n: places.len(),
            mean: of(|f| f.mean),
            sd: of(|f| f.standard_deviation.unwrap_or(f64::NAN)),
            median: of(|f| f.median),
        }
    });
    let counts = result.fits.status_counts().into_iter();
    MapResult {
        n_voxels: result.fits.n_voxels(),
        parameters: parameters.collect(),
        counts: counts
            .filter(|(_, count)| *count > 0)
            .map(|(status, count)| (status.name().to_owned(), count))
            .collect(),
        sigma: result.noise.as_ref().map(|noise| noise.level.sigma()),
        arrival_s: result.arrival.map(|arrival| arrival.time_s()),
        written,
        warnings: result.warnings,
    }
}

/// The plan of a pipeline that would do the same.
fn fit_plan(request: &MapRequest<'_>) -> Result<FitPlan> {
    let is_dynamic = request.measure.protocol == ProtocolKind::Dynamic;
    let method = match request.sigma {
        Some(_) => "given",
        None if request.pseudo_experiments > 0 || needs_sigma(request)? => "auto",
        None => "none",
    };
    Ok(FitPlan {
        name: request.measure.name.into(),
        model: request.measure.name.into(),
        series: None,
        region: None,
        estimator: request.estimator.into(),
        skip_first_echo: request.echoes.skip_first_echo,
        truncate_below_noise: request.echoes.truncate_below_noise,
        b_min_s_per_mm2: request.b_min_s_per_mm2,
        acquisition: request.acquisition.clone(),
        dynamic: is_dynamic.then(|| dynamic_plan(request)).transpose()?,
        noise: NoisePlan { method: method.into(), sigma: request.sigma },
        uncertainty: UncertaintyPlan {
            pseudo_experiments: request.pseudo_experiments,
            smear: "signal".into(),
        },
        gate: GatePlan { maximum_uncertainty: 0.10, minimum_r_squared: None, range: None },
        habitat: None,
    })
}

fn needs_sigma(request: &MapRequest<'_>) -> Result<bool> {
    let method = FitMethod::from_name(request.estimator)?;
    let settings = FitSettings { method, echoes: request.echoes, ..FitSettings::default() };
    Ok(settings.needs_sigma().is_some())
}

fn dynamic_plan(request: &MapRequest<'_>) -> Result<DynamicPlan> {
    let t10 = match request.t10 {
        Some(T10Input::ValueMs(value)) => T10::ValueMs(value),
        Some(T10Input::Map(_)) => T10::Map(super::plan::QueryPlan {
            suffix: "T1map".into(),
            datatype: None,
            entities: BTreeMap::new(),
        }),
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
    })
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

/// One map on its way to the disk.
struct MapFile<'m> {
    /// Behind `desc-`: label and suffix.
    label: String,
    /// What it shows.
    description: &'m str,
    /// Values that viewers show from black to white.
    window: [f64; 2],
    /// Unit of its voxels.
    unit: Unit,
}

struct Writer<'a> {
    request: &'a MapRequest<'a>,
    source: &'a SeriesSource,
    loaded: &'a LoadedSeries,
    stem: String,
    written: Vec<String>,
}

impl Writer<'_> {
    fn maps(&mut self, result: &VoxelResult) -> Result<()> {
        // The label of an entity is letters and digits.
        let model = self.request.measure.name.replace('_', "");
        for (index, parameter) in result.parameters.iter().enumerate() {
            let [low, high] = parameter.display_window;
            let (suffix, unit) = (parameter.suffix, parameter.unit);
            let map = self.with_background(result.fits.estimate_map(index)?, result, index);
            let description = self.request.measure.summary;
            let file = MapFile {
                label: format!("{model}_{suffix}"),
                description,
                window: [low, high],
                unit,
            };
            self.map(&file, &map)?;
            let map = result.fits.standard_error_map(index)?;
            let label = format!("{model}Stderr_{suffix}");
            let (description, window) = ("standard error", [0.0, (high - low) / 10.0]);
            self.map(&MapFile { label, description, window, unit }, &map)?;
        }
        for quality in result.quality_columns() {
            let map = result.fits.column_map(&quality.values)?;
            let label = format!("{model}{}_{}", quality.label, result.parameters[0].suffix);
            let (description, window) = (quality.description, quality.window);
            self.map(&MapFile { label, description, window, unit: Unit::One }, &map)?;
        }
        let name = format!("{}_desc-{model}Status_dseg.nii.gz", self.stem);
        let path = self.request.output.join(&name);
        nifti::write_codes(&path, &result.fits.status_map(), self.header())?;
        let legend: Map<String, serde_json::Value> = FitStatus::ALL
            .iter()
            .map(|status| (status.code().to_string(), status.name().into()))
            .collect();
        let mut object = Map::new();
        object.insert("Description".into(), "why the fit of each voxel ended".into());
        object.insert("Levels".into(), legend.into());
        self.sidecar(name, &object)
    }

    fn header(&self) -> &Header {
        &self.loaded.header
    }

    /// NaN where there is no estimate, if that is asked for.
    fn with_background(
        &self,
        mut map: Volume<f32>,
        result: &VoxelResult,
        parameter: usize,
    ) -> Volume<f32> {
        if self.request.background == Background::Nan {
            let mut filled = map.map(|_| f32::NAN);
            let estimates = &result.fits.estimates[parameter];
            for (&index, estimate) in result.fits.mask.indices().iter().zip(estimates) {
                if estimate.is_finite() {
                    filled.voxels_mut()[index] = map.voxels()[index];
                }
            }
            map = filled;
        }
        map
    }

    fn map(&mut self, file: &MapFile<'_>, map: &Volume<f32>) -> Result<()> {
        let name = format!("{}_desc-{}.nii.gz", self.stem, file.label);
        nifti::write_map(&self.request.output.join(&name), map, self.header(), file.window)?;
        let mut object = Map::new();
        object.insert("Description".into(), file.description.into());
        let sources: Vec<String> = self.source.images.iter().map(|path| file_name(path)).collect();
        object.insert("Sources".into(), sources.into());
        let algorithm = format!("{}, {}", self.request.measure.name, self.request.estimator);
        object.insert("EstimationAlgorithm".into(), algorithm.into());
        object.insert("EstimationReference".into(), self.request.measure.reference.into());
        object.insert("Units".into(), file.unit.symbol().into());
        object.insert("SoftwareVersion".into(), VERSION.into());
        if let Some(sidecar) = self.source.sidecars.first() {
            object.extend(sidecar.copied());
        }
        self.sidecar(name, &object)
    }

    fn sidecar(&mut self, name: String, object: &Map<String, serde_json::Value>) -> Result<()> {
        let json = name.replace(".nii.gz", ".json");
        sidecar::write(&self.request.output.join(&json), object)?;
        self.written.extend([name, json]);
        Ok(())
    }
}
