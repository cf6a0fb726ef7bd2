//! `biomarker map`: one model on one series, no TOML.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::console::{self, Console};
use super::size::parse_size;
use super::{Common, Outcome};
use crate::acquisition::SliceProfile;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::EchoChoice;
use crate::io::gradient_table;
use crate::io::nifti::{Compression, ReadLimits};
use crate::noise::NoiseMethod;
use crate::pipeline::load::SeriesPaths;
use crate::pipeline::measure;
use crate::pipeline::plan::{AcquisitionPlan, ArteryCurve, ArteryPlan, DEFAULT_DOSE_MMOL_PER_KG};
use crate::pipeline::single::{
    self, ArterialCurve, Background, MapChoice, MapRequest, MapResult, NoiseChoice,
};

/// Options of `biomarker map`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Model, as `biomarker models` lists it.
    model: String,
    /// One 4-D image, or one image per volume.
    #[arg(required = true)]
    series: Vec<PathBuf>,
    /// Folder of the maps.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    acquisition: Acquisition,
    #[command(flatten)]
    dynamic: Dynamic,
    /// Map of the transmit field for `t1_vfa`: flip angle over the nominal one.
    #[arg(long, value_name = "MAP")]
    b1_map: Option<PathBuf>,
    /// Region to fit; the whole image by default.
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// Pseudo-experiments per voxel; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    uncertainty: u32,
    /// Noise level in signal units, where it is known.
    #[arg(long, allow_negative_numbers = true, conflicts_with = "noise")]
    sigma: Option<f64>,
    #[command(flatten)]
    noise: Noise,
    /// `nlls`, `rician_ml`, `segmented`, `iwlls`, `wlls`, `lls`, `two_point` or `general`.
    #[arg(long, default_value = "nlls")]
    estimator: String,
    #[command(flatten)]
    echoes: Echoes,
    /// Smallest b-value that is used, s/mm².
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.0)]
    b_min: f64,
    /// Seed of the pseudo-experiments.
    #[arg(long, default_value_t = 1, env = "BIOMARKER_SEED")]
    seed: u64,
    /// Maps to write, such as `adc,stderr`: short names of parameters, `estimates`, `stderr`,
    /// `uncertainty`, `rsquared`, `chisquare`, `status`; all by default.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    maps: Vec<String>,
    /// Write .nii instead of .nii.gz.
    #[arg(long)]
    uncompressed: bool,
    /// Write voxels.parquet too.
    #[arg(long)]
    table: bool,
    /// NaN instead of 0 where there is no estimate.
    #[arg(long)]
    nan: bool,
    /// Memory for the series, such as 8G; a larger one is read in pieces.
    #[arg(long, env = "BIOMARKER_MAX_MEMORY", value_name = "SIZE", value_parser = parse_size)]
    max_memory: Option<u64>,
}

/// What was played out, where no sidecar says it.
#[derive(Debug, clap::Args)]
struct Acquisition {
    /// File of b-values; the one beside the image by default.
    #[arg(long, value_name = "FILE")]
    bval: Option<PathBuf>,
    /// Echo times in ms.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    echo_times_ms: Option<Vec<f64>>,
    /// Flip angles in degrees: one per volume, or one for a dynamic series.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    flip_angles_deg: Option<Vec<f64>>,
    /// Repetition time in ms.
    #[arg(long, allow_negative_numbers = true)]
    repetition_time_ms: Option<f64>,
    /// Nominal angle of the refocusing pulses in degrees, for `t2_epg`; 180 by default.
    #[arg(long, allow_negative_numbers = true)]
    refocusing_angle_deg: Option<f64>,
    /// Flip angles across the slice, for `t2_epg`: `rectangular` or `windowed_sinc`.
    #[arg(long, value_name = "NAME", value_parser = SliceProfile::ALL.map(SliceProfile::name))]
    slice_profile: Option<String>,
    /// File of frame times in s.
    #[arg(long, value_name = "FILE")]
    frame_times_s: Option<PathBuf>,
}

/// How the noise level is found.
#[derive(Debug, clap::Args)]
struct Noise {
    /// How to find the noise level: `auto`, `repeat`, `residual`, `background`, `piesno`,
    /// `wavelet`, `local_filter` or `dce_baseline`.
    #[arg(long, value_name = "METHOD")]
    noise: Option<String>,
    /// Receiver channels whose squares were added up in a magnitude, for `piesno`.
    #[arg(long, value_name = "N", requires = "noise")]
    noise_channels: Option<usize>,
}

/// Echoes that are left out.
#[derive(Debug, clap::Args)]
struct Echoes {
    /// Leave the first echo out.
    #[arg(long)]
    skip_first_echo: bool,
    /// Leave out echoes with a fitted amplitude below three noise levels; three echoes are kept.
    #[arg(long)]
    truncate_below_noise: bool,
}

/// Settings of a dynamic series.
#[derive(Debug, clap::Args)]
struct Dynamic {
    /// T1 before contrast: a value in ms, or a map in s.
    #[arg(long, value_name = "VALUE|MAP")]
    t10_ms: Option<String>,
    /// Relaxivity of the agent, 1/(s·mM).
    #[arg(long, allow_negative_numbers = true, default_value_t = 4.5)]
    relaxivity: f64,
    /// Arrival of the bolus in s; found on the mean curve of the region by default.
    #[arg(long, allow_negative_numbers = true)]
    arrival_s: Option<f64>,
    /// Measured arterial curve (time in s, concentration in mM): the arrival is found on it.
    #[arg(long, value_name = "FILE", conflicts_with = "arrival_s")]
    arterial_curve: Option<PathBuf>,
    /// Population curve of the artery: `parker`, `weinmann` or `georgiou`; for models of tissue.
    #[arg(long, value_name = "NAME", conflicts_with = "arterial_curve")]
    arterial_input: Option<String>,
    /// What the arterial curve counts: `blood` or `plasma`; for measured curves and `georgiou`.
    #[arg(long, value_name = "NAME")]
    compartment: Option<String>,
    /// Volume fraction of red cells in blood.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.42)]
    hematocrit: f64,
    /// Dose of contrast agent in mmol/kg, for `weinmann`.
    #[arg(long, allow_negative_numbers = true, default_value_t = DEFAULT_DOSE_MMOL_PER_KG)]
    dose: f64,
    /// Length of the integration window: 30, 60, 90, 120 or 180 s.
    #[arg(long, default_value_t = 60.0)]
    window_s: f64,
}

/// Fits and writes; says what was found.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
    let console = Console::new(common.quiet);
    let result = request(options)
        .and_then(|request| single::map(&request, &console))
        .map_err(|error| vec![error])?;
    drop(console);
    report(options, &result, common);
    Ok(ExitCode::SUCCESS)
}

fn request(options: &Options) -> Result<MapRequest<'_>> {
    let measure = measure::named(&options.model).map_err(|e| e.with_kind(ErrorKind::Usage))?;
    let frame_times = options.acquisition.frame_times_s.as_deref();
    let typed = &options.acquisition;
    plausible(options)?;
    let maps = MapChoice::new(&options.maps, &measure.parameters)?;
    Ok(MapRequest {
        measure,
        paths: SeriesPaths { images: &options.series, bval: typed.bval.as_deref() },
        acquisition: AcquisitionPlan {
            echo_times_ms: typed.echo_times_ms.clone(),
            b_values_s_per_mm2: None,
            flip_angles_deg: typed.flip_angles_deg.clone(),
            frame_times_s: frame_times.map(gradient_table::read_frame_times_s).transpose()?,
            repetition_time_ms: typed.repetition_time_ms,
            refocusing_angle_deg: typed.refocusing_angle_deg,
            slice_profile: slice_profile(typed.slice_profile.as_deref()),
        },
        mask: options.mask.as_deref(),
        t10: t10(options.dynamic.t10_ms.as_deref())?,
        b1_map: options.b1_map.as_deref(),
        relaxivity_per_s_per_mm: options.dynamic.relaxivity,
        arrival: match (&options.dynamic.arterial_curve, options.dynamic.arrival_s) {
            (Some(path), _) => ArterialCurve::Measured(path),
            (None, Some(time_s)) => ArterialCurve::ArrivalS(time_s),
            (None, None) => ArterialCurve::Region,
        },
        artery: artery(&options.dynamic).map_err(|e| e.with_kind(ErrorKind::Usage))?,
        window_s: options.dynamic.window_s,
        estimator: &options.estimator,
        echoes: EchoChoice {
            skip_first_echo: options.echoes.skip_first_echo,
            truncate_below_noise: options.echoes.truncate_below_noise,
        },
        b_min_s_per_mm2: options.b_min,
        pseudo_experiments: options.uncertainty,
        sigma: options.sigma,
        noise: noise(&options.noise)?,
        seed: options.seed,
        output: &options.output,
        maps,
        compression: if options.uncompressed { Compression::None } else { Compression::Gzip },
        with_table: options.table,
        background: if options.nan { Background::Nan } else { Background::Zero },
        limits: options
            .max_memory
            .map_or_else(ReadLimits::default, |max_bytes| ReadLimits { max_bytes }),
    })
}

/// Values typed in a wrong unit are found here, where they still have the name they were typed by.
///
/// # Errors
///
/// `Usage` with option, value and rule.
fn plausible(options: &Options) -> Result<()> {
    let typed = &options.acquisition;
    let listed = |values: &Option<Vec<f64>>| values.clone().unwrap_or_default();
    within("--echo-times-ms", &listed(&typed.echo_times_ms), [1.0, 500.0])?;
    within("--flip-angles-deg", &listed(&typed.flip_angles_deg), [0.1, 180.0])?;
    within("--repetition-time-ms", typed.repetition_time_ms.as_slice(), [1.0, 20_000.0])?;
    within("--refocusing-angle-deg", typed.refocusing_angle_deg.as_slice(), [30.0, 180.0])?;
    within("--b-min", &[options.b_min], [0.0, 5000.0])?;
    within("--sigma", options.sigma.as_slice(), [f64::MIN_POSITIVE, f64::MAX])?;
    within("--relaxivity", &[options.dynamic.relaxivity], [0.1, 100.0])?;
    within("--hematocrit", &[options.dynamic.hematocrit], [0.0, 0.7])?;
    within("--dose", &[options.dynamic.dose], [0.01, 1.0])?;
    if (1..20).contains(&options.uncertainty) {
        let text = format!("`--uncertainty {}` is neither 0 nor at least 20", options.uncertainty);
        return Err(Error::new(ErrorKind::Usage, text));
    }
    Ok(())
}

/// The name as the library writes it; clap lets no other one through.
fn slice_profile(typed: Option<&str>) -> Option<&'static str> {
    SliceProfile::ALL.map(SliceProfile::name).into_iter().find(|name| Some(*name) == typed)
}

fn within(option: &str, values: &[f64], [low, high]: [f64; 2]) -> Result<()> {
    let Some(value) = values.iter().find(|value| !(low <= **value && **value <= high)) else {
        return Ok(());
    };
    if high > 1e300 {
        let text = format!("`{option} {value}` is not a positive number");
        return Err(Error::new(ErrorKind::Usage, text));
    }
    let text = format!("`{option} {value}` is not between {low} and {high}");
    let error = Error::new(ErrorKind::Usage, text);
    let is_seconds = option.ends_with("-ms") && *value < low;
    Err(if is_seconds { error.hint("looks like seconds; write ms") } else { error })
}

fn noise(noise: &Noise) -> Result<Option<NoiseChoice>> {
    let usage = |text: String| Error::new(ErrorKind::Usage, text);
    let Some(name) = &noise.noise else { return Ok(None) };
    let method = NoiseMethod::from_name(name);
    if method.is_none() && name != "auto" {
        let known = NoiseMethod::ESTIMATED.map(NoiseMethod::name).join(", ");
        return Err(usage(format!("`--noise {name}` is not a method"))
            .hint(format!("methods: auto, {known}, local_filter")));
    }
    let n_channels = noise.noise_channels.unwrap_or(1);
    if !(1..=128).contains(&n_channels) {
        return Err(usage(format!("`--noise-channels {n_channels}` is not between 1 and 128")));
    }
    if n_channels > 1 && method != Some(NoiseMethod::Piesno) {
        return Err(usage("`--noise-channels` belongs to `--noise piesno`".into()));
    }
    Ok(Some(NoiseChoice { method, n_channels }))
}

/// What flows in the artery: the points of a measured curve are read later.
fn artery(dynamic: &Dynamic) -> Result<Option<ArteryPlan>> {
    let curve = match (&dynamic.arterial_input, &dynamic.arterial_curve) {
        (Some(name), _) => match ArteryPlan::population(name)? {
            ArteryCurve::Weinmann { .. } => {
                ArteryCurve::Weinmann { dose_mmol_per_kg: dynamic.dose }
            }
            other => other,
        },
        (None, Some(_)) => {
            ArteryCurve::Measured { times_s: Vec::new(), concentrations_mmol_per_l: Vec::new() }
        }
        (None, None) => return Ok(None),
    };
    let (compartment, hematocrit) = (dynamic.compartment.clone(), dynamic.hematocrit);
    Ok(Some(ArteryPlan { curve, compartment, hematocrit }))
}

/// A number is ms; anything else is the path of a map in s.
fn t10(text: Option<&str>) -> Result<Option<single::T10Input<'_>>> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<f64>() {
        Ok(value) if (5.0..=10_000.0).contains(&value) => {
            Ok(Some(single::T10Input::ValueMs(value)))
        }
        Ok(value) => Err(Error::new(
            ErrorKind::Usage,
            format!("`--t10-ms {value}` is not between 5 and 10000 ms"),
        )),
        Err(_) => Ok(Some(single::T10Input::Map(Path::new(text)))),
    }
}

fn report(options: &Options, result: &MapResult, common: &Common) {
    if common.json {
        let counts: serde_json::Map<String, serde_json::Value> =
            result.counts.iter().map(|(name, count)| (name.clone(), (*count).into())).collect();
        let report = json!({
            "model": options.model,
            "voxels": result.n_voxels,
            "status": counts,
            "parameters": result.parameters.iter().map(|p| json!({
                "name": p.name, "units": p.units, "n": p.n, "mean": p.mean, "sd": p.sd,
                "median": p.median,
            })).collect::<Vec<_>>(),
            "sigma": result.sigma,
            "arrival_s": result.arrival_s,
            "written": result.written,
            "warnings": result.warnings,
        });
        console::print(&report.to_string());
        return;
    }
    for (name, count) in &result.counts {
        console::print(&format!("{count:>10} voxels {name}"));
    }
    for parameter in &result.parameters {
        console::print(&format!(
            "{} [{}]: median {:.6e}, mean {:.6e}, sd {:.6e} over {} voxels",
            parameter.name,
            parameter.units,
            parameter.median,
            parameter.mean,
            parameter.sd,
            parameter.n
        ));
    }
    for path in &result.written {
        console::print(&options.output.join(path).display().to_string());
    }
}
