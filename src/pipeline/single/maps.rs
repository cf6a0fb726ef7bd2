//! Which maps are written, and what their files say.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::MapRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::io::atomic::Pending;
use crate::io::nifti::Compression;
use crate::io::sidecar;
use crate::model::{FitStatus, Parameter};
use crate::pipeline::load::{SeriesSource, file_name};
use crate::pipeline::provenance::VERSION;
use crate::unit::Unit;

/// One map of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    /// Estimate of this parameter.
    Estimate(usize),
    /// Standard error of this parameter.
    StandardError(usize),
    /// Relative uncertainty of the headline parameter.
    Uncertainty,
    /// Coefficient of determination.
    RSquared,
    /// χ² per degree of freedom.
    ChiSquare,
    /// Why each voxel ended.
    Status,
}

impl MapKind {
    /// What stands for it on the command line, parameters apart.
    fn word(self) -> &'static str {
        match self {
            Self::Estimate(_) => "estimates",
            Self::StandardError(_) => "stderr",
            Self::Uncertainty => "uncertainty",
            Self::RSquared => "rsquared",
            Self::ChiSquare => "chisquare",
            Self::Status => "status",
        }
    }

    /// All maps of `parameters`, in the order in which they are written.
    fn all(parameters: &[Parameter]) -> Vec<Self> {
        let of_parameter = |index| [Self::Estimate(index), Self::StandardError(index)];
        let parameters = (0..parameters.len()).flat_map(of_parameter);
        parameters
            .chain([Self::Uncertainty, Self::RSquared, Self::ChiSquare, Self::Status])
            .collect()
    }
}

/// The maps that a user wants, by their words; all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapChoice(Vec<String>);

impl MapChoice {
    /// `words`: short names of parameters for their estimates, or `estimates`, `stderr`,
    /// `uncertainty`, `rsquared`, `chisquare`, `status`; none for all.
    ///
    /// # Errors
    ///
    /// `Usage` naming a word that is none of these.
    pub fn new(words: &[String], parameters: &[Parameter]) -> Result<Self> {
        let names = parameters.iter().map(|parameter| parameter.short_name);
        let kinds = MapKind::all(parameters).into_iter().map(MapKind::word);
        let mut known: Vec<&str> = names.chain(kinds).collect();
        let mut seen = Vec::new();
        known.retain(|word| {
            !seen.contains(word) && {
                seen.push(*word);
                true
            }
        });
        match words.iter().find(|word| !known.contains(&word.as_str())) {
            None => Ok(Self(words.to_vec())),
            Some(word) => {
                Err(Error::new(ErrorKind::Usage, format!("`--maps {word}` is not a map"))
                    .hint(format!("maps: {}", known.join(", "))))
            }
        }
    }

    /// The maps of a fit of `parameters`.
    pub(super) fn kinds(&self, parameters: &[Parameter]) -> Vec<MapKind> {
        let is_wanted = |kind: &MapKind| {
            let by_name = match *kind {
                MapKind::Estimate(index) => Some(parameters[index].short_name),
                _ => None,
            };
            self.0.is_empty()
                || self.0.iter().any(|word| word == kind.word() || Some(word.as_str()) == by_name)
        };
        MapKind::all(parameters).into_iter().filter(is_wanted).collect()
    }
}

/// One map on its way to the disk.
pub(super) struct MapDescription {
    /// Name of the file.
    pub(super) name: String,
    /// What it shows.
    description: &'static str,
    /// Values that viewers show from black to white.
    pub(super) window: [f64; 2],
    /// Unit of its voxels.
    unit: Unit,
}

/// Names and sidecars of the maps of one series.
pub(super) struct MapNames<'a> {
    pub(super) request: &'a MapRequest<'a>,
    pub(super) source: &'a SeriesSource,
    pub(super) parameters: &'a [Parameter],
    /// Start of every name.
    pub(super) stem: &'a str,
}

impl MapNames<'_> {
    pub(super) fn describe(&self, kind: MapKind) -> MapDescription {
        let first = &self.parameters[0];
        let one = |label, description, window| (label, first, description, window, Unit::One);
        let (label, parameter, description, window, unit) = match kind {
            MapKind::Estimate(index) => {
                let parameter = &self.parameters[index];
                let summary = self.request.measure.summary;
                ("", parameter, summary, parameter.display_window, parameter.unit)
            }
            MapKind::StandardError(index) => {
                let parameter = &self.parameters[index];
                let [low, high] = parameter.display_window;
                let window = [0.0, (high - low) / 10.0];
                ("Stderr", parameter, "standard error", window, parameter.unit)
            }
            MapKind::Uncertainty => one(
                "U",
                "standard deviation of the pseudo-experiments over the estimate; 10 stands for 10 \
                 and above, and for no estimate",
                [0.0, 0.2],
            ),
            MapKind::RSquared => {
                one("Rsquared", "1 - residual over total sum of squares", [0.0, 1.0])
            }
            MapKind::ChiSquare => one(
                "Chisquare",
                "residual sum of squares over noise variance and degrees of freedom",
                [0.0, 3.0],
            ),
            MapKind::Status => one("Status", "why the fit of each voxel ended", [0.0, 0.0]),
        };
        let suffix = if kind == MapKind::Status { "dseg" } else { parameter.suffix };
        // The label of an entity is letters and digits.
        let model = self.request.measure.name.replace('_', "");
        let ending = match self.request.compression {
            Compression::None => "nii",
            Compression::Gzip => "nii.gz",
        };
        let name = format!("{}_desc-{model}{label}_{suffix}.{ending}", self.stem);
        MapDescription { name, description, window, unit }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.request.output.join(name)
    }

    /// The sidecar of a map, and its name.
    pub(super) fn sidecar(&self, kind: MapKind) -> Result<(String, Pending)> {
        let description = self.describe(kind);
        let object = match kind {
            MapKind::Status => status_object(&description),
            _ => self.map_object(&description),
        };
        let name = Path::new(description.name.trim_end_matches(".gz")).with_extension("json");
        let name = file_name(&name);
        Ok((name.clone(), sidecar::pending(&self.path(&name), &object)?))
    }

    fn map_object(&self, description: &MapDescription) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("Description".into(), description.description.into());
        let sources: Vec<String> = self.source.images.iter().map(|path| file_name(path)).collect();
        object.insert("Sources".into(), sources.into());
        let algorithm = format!("{}, {}", self.request.measure.name, self.request.estimator);
        object.insert("EstimationAlgorithm".into(), algorithm.into());
        object.insert("EstimationReference".into(), self.request.measure.reference.into());
        object.insert("Units".into(), description.unit.symbol().into());
        object.insert("SoftwareVersion".into(), VERSION.into());
        if let Some(sidecar) = self.source.sidecars.first() {
            object.extend(sidecar.copied());
        }
        object
    }
}

/// The largest code of a status map.
pub(super) fn largest_status() -> u8 {
    FitStatus::ALL.iter().map(|status| status.code()).max().unwrap_or(0)
}

fn status_object(description: &MapDescription) -> Map<String, Value> {
    let legend: Map<String, Value> = FitStatus::ALL
        .iter()
        .map(|status| (status.code().to_string(), status.name().into()))
        .collect();
    let mut object = Map::new();
    object.insert("Description".into(), description.description.into());
    object.insert("Levels".into(), legend.into());
    object
}
