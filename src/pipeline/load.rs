//! A series with the protocol that made it: volumes matched to their values, counts checked.

mod open;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use self::open::OpenSeries;
use super::plan::{AcquisitionPlan, QueryPlan};
use crate::acquisition::{
    Diffusion, Dynamic, MultiEcho, Protocol, ProtocolKind, Refocusing, SliceProfile,
    VariableFlipAngle,
};
use crate::error::{Error, Result};
use crate::image::Series;
use crate::io::bids::{GivenProtocol, Query, VisitFiles};
use crate::io::gradient_table;
use crate::io::nifti::{self, Header, ReadLimits, StoredSeries};
use crate::io::sidecar::{Sidecar, with_extension};
use crate::unit::{radians_from_degrees, seconds_from_ms};

/// The files of one series and what was played out for each volume.
#[derive(Debug, Clone)]
pub struct SeriesSource {
    /// One 4-D image, or one image per volume in the order of the protocol.
    pub images: Vec<PathBuf>,
    /// What was played out.
    pub protocol: Protocol,
    /// What is said of each image.
    pub sidecars: Vec<Sidecar>,
}

/// A series, its protocol, and the header its maps are written with.
#[derive(Debug, Clone)]
pub struct LoadedSeries {
    /// Volumes in the order of the protocol.
    pub series: Series,
    /// What was played out.
    pub protocol: Protocol,
    /// Header of the first image.
    pub header: Header,
    /// Oddities, each a sentence without paths.
    pub warnings: Vec<String>,
}

/// Paths of one series, and the file of its b-values.
#[derive(Debug, Clone, Copy)]
pub struct SeriesPaths<'a> {
    /// One 4-D image, or one image per volume.
    pub images: &'a [PathBuf],
    /// `.bval` file; the one beside the image where it is not given.
    pub bval: Option<&'a Path>,
}

impl SeriesSource {
    /// The series that `query` finds in a visit; values of `acquisition` override the sidecars.
    ///
    /// # Errors
    ///
    /// As the discovery of the dataset: nothing or too much found, values missing or implausible.
    pub fn in_dataset(
        files: &VisitFiles,
        query: &QueryPlan,
        kind: ProtocolKind,
        acquisition: &AcquisitionPlan,
    ) -> Result<Self> {
        let seconds = |ms: &Vec<f64>| ms.iter().map(|&time| seconds_from_ms(time)).collect();
        let given = GivenProtocol {
            echo_times_s: acquisition.echo_times_ms.as_ref().map(seconds),
            frame_times_s: acquisition.frame_times_s.clone(),
            repetition_time_s: acquisition.repetition_time_ms.map(seconds_from_ms),
            flip_angles_deg: acquisition.flip_angles_deg.clone(),
            b_values_s_per_mm2: acquisition.b_values_s_per_mm2.clone(),
        };
        let query = bids_query(query);
        let found = match kind {
            ProtocolKind::Diffusion => files.diffusion(&query, &given),
            ProtocolKind::MultiEcho => files.multi_echo(&query, &given),
            ProtocolKind::Dynamic => files.dynamic(&query, &given),
            ProtocolKind::VariableFlipAngle => files.variable_flip_angle(&query, &given),
        }
        .map_err(as_in_pipeline)?;
        let protocol = refocused(found.protocol, acquisition)?;
        Ok(Self { images: found.images, protocol, sidecars: found.sidecars })
    }

    /// A series named by its paths; sidecars of the same name are read, `given` values override
    /// them. Echoes and flip angles of several files are matched to their own sidecars.
    ///
    /// # Errors
    ///
    /// `Value` or `Mismatch` naming file and field when a needed value is missing, wrong or
    /// contradicted.
    pub fn of_paths(
        paths: SeriesPaths<'_>,
        kind: ProtocolKind,
        given: &AcquisitionPlan,
    ) -> Result<Self> {
        let sidecars: Vec<Sidecar> =
            paths.images.iter().map(|path| Sidecar::beside(path)).collect::<Result<_>>()?;
        let named = Named { paths, sidecars, given };
        let protocol = named.protocol(kind).map_err(|error| error.at_path(named.first_image()))?;
        let (order, protocol) = in_rising_order(protocol, paths.images.len())?;
        Ok(Self {
            images: order.iter().map(|&index| paths.images[index].clone()).collect(),
            sidecars: order.iter().map(|&index| named.sidecars[index].clone()).collect(),
            protocol: refocused(protocol, given)?,
        })
    }

    /// Reads the voxels and holds them to the protocol.
    ///
    /// # Errors
    ///
    /// As [`nifti::read_series`]; `Mismatch` when the numbers of volumes and of values differ, or
    /// images of one series lie on different grids.
    pub fn load(&self, limits: &ReadLimits) -> Result<LoadedSeries> {
        let mut parts = Vec::new();
        let mut warnings = Vec::new();
        let mut header = None;
        for path in &self.images {
            let image = nifti::read_series(path, limits)?;
            let name = file_name(path);
            warnings.extend(image.warnings.iter().map(|warning| format!("{name}: {warning}")));
            header.get_or_insert(image.header);
            parts.push(image.image);
        }
        for sidecar in &self.sidecars {
            warnings.extend(sidecar.warnings().iter().map(|warning| without_folder(warning)));
        }
        let first = self.images.first().map_or(Path::new(""), PathBuf::as_path);
        let header = header.ok_or_else(|| Error::mismatch("no image in the series"))?;
        let series = Series::concatenate(parts).map_err(|error| error.at_path(first))?;
        require_count(series.n_volumes(), &self.protocol).map_err(|error| error.at_path(first))?;
        Ok(LoadedSeries { series, protocol: self.protocol.clone(), header, warnings })
    }
}

impl SeriesSource {
    /// Opens the files without reading their voxels, and holds them to the protocol. Gzipped files
    /// that do not fit into memory together are inflated into files without a name in `folder`.
    ///
    /// # Errors
    ///
    /// As [`SeriesSource::load`] and [`StoredSeries::open`].
    pub fn open(&self, limits: &ReadLimits, folder: &Path) -> Result<OpenSeries> {
        let memory = limits.max_bytes / self.images.len().max(1) as u64;
        let open = |path: &PathBuf| StoredSeries::open(path, limits, memory, folder);
        let files = self.images.par_iter().map(open).collect::<Vec<_>>();
        let files = files.into_iter().collect::<Result<Vec<_>>>()?;
        let [first, others @ ..] = &files[..] else {
            return Err(Error::mismatch("no image in the series"));
        };
        let at_first = |error: Error| error.at_path(&self.images[0]);
        for other in others {
            first.header().grid().require_same(other.header().grid()).map_err(at_first)?;
        }
        let of_file = |(index, file): (usize, &StoredSeries)| {
            (0..file.header().n_volumes()).map(move |volume| (index, volume))
        };
        let volumes: Vec<_> = files.iter().enumerate().flat_map(of_file).collect();
        require_count(volumes.len(), &self.protocol).map_err(at_first)?;
        Ok(OpenSeries::new(self, files, volumes))
    }
}

/// Echo times that were given are named as the pipeline writes them, in ms.
fn as_in_pipeline(error: Error) -> Error {
    let index = error.field().and_then(|field| field.strip_prefix("echo_times_s"));
    match index.map(|index| format!("acquisition.echo_times_ms{index}")) {
        Some(field) => error.with_field(field),
        None => error,
    }
}

/// The query as the dataset understands it.
pub fn bids_query(plan: &QueryPlan) -> Query {
    let mut query = Query::new(&plan.suffix);
    query.datatype.clone_from(&plan.datatype);
    query.entities.clone_from(&plan.entities);
    query
}

/// Name of a file without its folder: what may stand in outputs.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A sentence that starts with a path keeps its file name only.
fn without_folder(warning: &str) -> String {
    match warning.split_once(": ") {
        Some((path, rest)) => format!("{}: {rest}", file_name(Path::new(path))),
        None => warning.to_owned(),
    }
}

/// Number of values = number of volumes, named as the user knows them.
///
/// # Errors
///
/// `Mismatch` with both numbers.
pub fn require_count(n_volumes: usize, protocol: &Protocol) -> Result<()> {
    let n_values = protocol.n_volumes();
    if n_values == n_volumes {
        return Ok(());
    }
    let field = match protocol.kind() {
        ProtocolKind::Diffusion => "b_values",
        ProtocolKind::MultiEcho => "echo_times",
        ProtocolKind::Dynamic => "frame_times",
        ProtocolKind::VariableFlipAngle => "flip_angles",
    };
    Err(Error::mismatch(format!("{n_values} values but {n_volumes} volumes were found"))
        .at_field(field)
        .hint("one value per volume is needed"))
}

/// Order of `n_images` files by rising echo time, and the protocol in that order; a single 4-D file
/// stays as it is.
fn in_rising_order(protocol: Protocol, n_images: usize) -> Result<(Vec<usize>, Protocol)> {
    let mut order: Vec<usize> = (0..n_images).collect();
    let Protocol::MultiEcho(echoes) = &protocol else { return Ok((order, protocol)) };
    let times = echoes.echo_times_s();
    if n_images < 2 || n_images != times.len() {
        return Ok((order, protocol));
    }
    order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
    let sorted = MultiEcho::new(order.iter().map(|&index| times[index]).collect())?;
    Ok((order, Protocol::MultiEcho(sorted)))
}

/// A train of echoes with the refocusing pulses that were given; other protocols stay as they are.
fn refocused(protocol: Protocol, given: &AcquisitionPlan) -> Result<Protocol> {
    let Protocol::MultiEcho(train) = protocol else { return Ok(protocol) };
    let named = |profile: &SliceProfile| given.slice_profile == Some(profile.name());
    let profile = SliceProfile::ALL.into_iter().find(named).unwrap_or_default();
    let angle_deg = given.refocusing_angle_deg.unwrap_or(180.0);
    let refocusing = Refocusing::new(radians_from_degrees(angle_deg), profile)
        .map_err(|error| error.with_field("refocusing_angle_deg"))?;
    Ok(Protocol::MultiEcho(train.refocused_by(refocusing)))
}

/// Files named by their paths, with what stands beside them and what was typed.
struct Named<'a> {
    paths: SeriesPaths<'a>,
    sidecars: Vec<Sidecar>,
    given: &'a AcquisitionPlan,
}

impl Named<'_> {
    fn first_image(&self) -> &Path {
        self.paths.images.first().map_or(Path::new(""), PathBuf::as_path)
    }

    fn first_sidecar(&self) -> Result<&Sidecar> {
        self.sidecars.first().ok_or_else(|| Error::mismatch("no image in the series"))
    }

    fn protocol(&self, kind: ProtocolKind) -> Result<Protocol> {
        Ok(match kind {
            ProtocolKind::Diffusion => Protocol::Diffusion(Diffusion::new(self.b_values()?)?),
            ProtocolKind::MultiEcho => Protocol::MultiEcho(MultiEcho::new(self.echo_times()?)?),
            ProtocolKind::Dynamic => {
                let [flip] = self.flip_angles()?[..] else {
                    return Err(Error::value("a dynamic series has one flip angle")
                        .at_field("flip_angles_deg"));
                };
                let repetition_time = self.repetition_time()?;
                Protocol::Dynamic(Dynamic::new(self.frame_times()?, repetition_time, flip)?)
            }
            ProtocolKind::VariableFlipAngle => Protocol::VariableFlipAngle(VariableFlipAngle::new(
                self.flip_angles()?,
                self.repetition_time()?,
            )?),
        })
    }

    fn b_values(&self) -> Result<Vec<f64>> {
        if let Some(values) = &self.given.b_values_s_per_mm2 {
            return Ok(values.clone());
        }
        let beside = with_extension(self.first_image(), ".bval");
        match self.paths.bval {
            Some(path) => gradient_table::read_b_values(path),
            None if beside.is_file() => gradient_table::read_b_values(&beside),
            None => Err(Error::value("no b-values: there is no `.bval` file beside the image")
                .hint("give --bval FILE or b_values_s_per_mm2")),
        }
    }

    fn echo_times(&self) -> Result<Vec<f64>> {
        let given: Option<Vec<f64>> = self
            .given
            .echo_times_ms
            .as_ref()
            .map(|times| times.iter().map(|&time| seconds_from_ms(time)).collect());
        let [sidecar] = &self.sidecars[..] else {
            return self.echo_times_of_files(given.as_deref());
        };
        let missing = || sidecar.missing("EchoTime", "give one echo time per volume in ms");
        given.map_or_else(|| sidecar.echo_times_s()?.ok_or_else(missing), Ok)
    }

    fn echo_times_of_files(&self, given: Option<&[f64]>) -> Result<Vec<f64>> {
        let n_files = self.sidecars.len();
        if let Some(given) = given.filter(|given| given.len() != n_files) {
            return Err(Error::mismatch(format!(
                "{} values but {n_files} echoes were found",
                given.len()
            ))
            .at_field("echo_times_ms")
            .hint("leave it out to take EchoTime from the sidecars"));
        }
        let of_file = |(index, sidecar): (usize, &Sidecar)| {
            let typed = given.map(|times| times[index]);
            match (sidecar.echo_time_s()?, typed) {
                (Some(said), Some(typed)) if (said - typed).abs() > 1e-6 => Err(Error::mismatch(
                    format!("{} ms was given, the sidecar says {} ms", typed * 1e3, said * 1e3),
                )
                .at_field(format!("echo_times_ms[{index}]"))
                .hint("leave it out to take EchoTime from the sidecars")),
                (Some(time), _) | (None, Some(time)) => Ok(time),
                (None, None) => Err(sidecar.missing("EchoTime", "every echo needs its time")),
            }
        };
        self.sidecars.iter().enumerate().map(of_file).collect()
    }

    fn frame_times(&self) -> Result<Vec<f64>> {
        if let Some(times) = &self.given.frame_times_s {
            return Ok(times.clone());
        }
        let sidecar = self.first_sidecar()?;
        let hint = "frame times are never guessed from pixdim or RepetitionTime; give them in s";
        sidecar.frame_times_s()?.ok_or_else(|| sidecar.missing("VolumeTiming", hint))
    }

    fn repetition_time(&self) -> Result<f64> {
        if let Some(time) = self.given.repetition_time_ms {
            return Ok(seconds_from_ms(time));
        }
        let sidecar = self.first_sidecar()?;
        let missing = || sidecar.missing("RepetitionTimeExcitation", "or give it in ms");
        sidecar.repetition_time_excitation_s()?.ok_or_else(missing)
    }

    fn flip_angles(&self) -> Result<Vec<f64>> {
        let mut degrees = self.given.flip_angles_deg.clone().unwrap_or_default();
        if degrees.is_empty() {
            for sidecar in &self.sidecars {
                let missing = || sidecar.missing("FlipAngle", "or give the angles in degrees");
                degrees.extend(sidecar.flip_angles_deg()?.ok_or_else(missing)?);
            }
        }
        Ok(degrees.into_iter().map(radians_from_degrees).collect())
    }
}
