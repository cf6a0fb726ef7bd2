//! Runs the commands on the validation data and reads their maps back.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::Section;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::EchoChoice;
use crate::image::{Grid, Volume};
use crate::io::nifti::{self, ReadLimits};
use crate::model::FitStatus;
use crate::pipeline::load::SeriesPaths;
use crate::pipeline::plan::AcquisitionPlan;
use crate::pipeline::single::{
    self, ArterialCurve, Background, MapChoice, MapRequest, MapResult, T10Input,
};
use crate::pipeline::{Silent, measure};

/// What became of the voxels of one series.
#[derive(Debug, Clone)]
pub struct Fate {
    /// Such as `prostate DWI, nlls`.
    pub series: String,
    /// All voxels of the image.
    pub n_voxels: usize,
    /// How many ended how; every voxel is in one of them.
    pub counts: Vec<(String, usize)>,
    /// Values in the written maps that are not finite.
    pub n_non_finite: usize,
    /// Whether every map has the affine of the series, bit for bit.
    pub same_affine: bool,
}

/// The validation data, and a folder for maps that goes away with it.
pub(super) struct Bench<'a> {
    data: &'a Path,
    folder: tempfile::TempDir,
    limits: ReadLimits,
}

/// One call of `biomarker map`.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// What readers call the series.
    pub(super) name: &'static str,
    pub(super) model: &'static str,
    /// Paths inside the data.
    pub(super) images: Vec<&'static str>,
    pub(super) estimator: &'static str,
    pub(super) acquisition: AcquisitionPlan,
    /// Settings of a dynamic series.
    pub(super) dynamic: Option<DynamicJob>,
}

/// What a dynamic series needs.
#[derive(Debug, Clone)]
pub(super) struct DynamicJob {
    /// Map of T10 in s.
    pub(super) t10: PathBuf,
    /// How the command names it.
    pub(super) t10_name: &'static str,
    /// Path inside the data of the measured artery, or the arrival in s.
    pub(super) arrival: std::result::Result<&'static str, f64>,
    pub(super) relaxivity_per_s_per_mm: f64,
    /// Path inside the data of the frame times.
    pub(super) frame_times: &'static str,
}

impl Job {
    /// A series whose files say everything.
    pub(super) fn new(name: &'static str, model: &'static str, image: &'static str) -> Self {
        Self {
            name,
            model,
            images: vec![image],
            estimator: "nlls",
            acquisition: AcquisitionPlan::default(),
            dynamic: None,
        }
    }

    /// The same by another estimator.
    pub(super) fn by(&self, estimator: &'static str) -> Self {
        Self { estimator, ..self.clone() }
    }

    /// What a user would type.
    pub(super) fn command(&self) -> String {
        let mut text = format!("biomarker map {} {}", self.model, self.images.join(" "));
        let listed =
            |values: &[f64]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        if self.estimator != "nlls" {
            let _ = write!(text, " --estimator {}", self.estimator);
        }
        if let Some(times) = &self.acquisition.echo_times_ms {
            let _ = write!(text, " --echo-times-ms {}", listed(times));
        }
        if let Some(angles) = &self.acquisition.flip_angles_deg {
            let _ = write!(text, " --flip-angles-deg {}", listed(angles));
        }
        if let Some(time) = self.acquisition.repetition_time_ms {
            let _ = write!(text, " --repetition-time-ms {time}");
        }
        if let Some(dynamic) = &self.dynamic {
            let _ = write!(
                text,
                " --frame-times-s {} --relaxivity {} --t10-ms {}",
                dynamic.frame_times, dynamic.relaxivity_per_s_per_mm, dynamic.t10_name
            );
            let arrival = match dynamic.arrival {
                Ok(path) => format!(" --arterial-curve {path}"),
                Err(time_s) => format!(" --arrival-s {time_s}"),
            };
            text.push_str(&arrival);
        }
        text + " --output maps/" + self.estimator
    }
}

/// The maps of one job, read back.
pub(super) struct Maps {
    pub(super) result: MapResult,
    pub(super) grid: Grid,
    /// Why each voxel ended.
    pub(super) status: Vec<FitStatus>,
    folder: PathBuf,
    limits: ReadLimits,
}

impl Maps {
    /// Path of the map whose name ends with `ending`.
    pub(super) fn path(&self, ending: &str) -> Result<PathBuf> {
        let name = self.result.written.iter().find(|name| name.ends_with(ending));
        let name = name.ok_or_else(|| Error::internal(format!("no map ends with {ending}")))?;
        Ok(self.folder.join(name))
    }

    /// Values of the map whose name ends with `ending`, x fastest.
    pub(super) fn values(&self, ending: &str) -> Result<Vec<f64>> {
        Ok(nifti::read_volume(&self.path(ending)?, &self.limits)?.image.into_voxels())
    }

    /// Whether the fit of a voxel is at an optimum inside the bounds.
    pub(super) fn converged(&self, voxel: usize) -> bool {
        self.status.get(voxel) == Some(&FitStatus::Converged)
    }
}

impl<'a> Bench<'a> {
    pub(super) fn new(data: &'a Path) -> Result<Self> {
        if !data.is_dir() {
            return Err(Error::new(ErrorKind::Missing, "no such folder").at_path(data));
        }
        let folder = tempfile::tempdir()
            .map_err(|error| Error::from_io(ErrorKind::Create, Path::new("maps"), &error))?;
        Ok(Self { data, folder, limits: ReadLimits::default() })
    }

    /// A path inside the data.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.data.join(inside)
    }

    /// A path for something of our own.
    pub(super) fn own(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The volumes of a reference image, each x fastest.
    pub(super) fn volumes(&self, inside: &str) -> Result<Vec<Vec<f64>>> {
        let series = nifti::read_series(&self.path(inside), &self.limits)?.image;
        Ok((0..series.n_volumes()).map(|volume| series.volume(volume).into_voxels()).collect())
    }

    /// A reference image of one volume.
    pub(super) fn volume(&self, inside: &str) -> Result<Volume<f64>> {
        Ok(nifti::read_volume(&self.path(inside), &self.limits)?.image)
    }

    /// A section, and whether all of `needed` is there.
    pub(super) fn section(
        &self,
        title: &'static str,
        attribution: &'static str,
        needed: &[&str],
    ) -> (Section, bool) {
        let absent = needed.iter().filter(|inside| !self.path(inside).is_file());
        let absent: Vec<String> = absent.map(|inside| (*inside).to_owned()).collect();
        let complete = absent.is_empty();
        (Section { title, attribution, absent, ..Section::default() }, complete)
    }

    /// Runs a job as the program does, and notes its command and what became of its voxels.
    pub(super) fn run(&self, job: &Job, section: &mut Section) -> Result<Maps> {
        section.commands.push(job.command());
        let number = section.commands.len();
        let folder = self.own(&format!("{}-{number}", section.title.replace([' ', ','], "-")));
        let result = self.map(job, &folder)?;
        let first = self.path(job.images.first().copied().unwrap_or_default());
        let grid = *nifti::read_header(&first, &self.limits)?.grid();
        let mut maps = Maps { result, grid, status: Vec::new(), folder, limits: self.limits };
        let codes = maps.values("Status_dseg.nii.gz")?;
        let status = codes.iter().map(|&code| FitStatus::ALL.get(code as usize).copied());
        maps.status = status.map(|status| status.unwrap_or(FitStatus::Outside)).collect();
        section.fates.push(fate(job, &maps)?);
        Ok(maps)
    }

    fn map(&self, job: &Job, folder: &Path) -> Result<MapResult> {
        let images: Vec<PathBuf> = job.images.iter().map(|inside| self.path(inside)).collect();
        let mut acquisition = job.acquisition.clone();
        let dynamic = job.dynamic.as_ref();
        if let Some(dynamic) = dynamic {
            let path = self.path(dynamic.frame_times);
            let times = crate::io::gradient_table::read_frame_times_s(&path)?;
            acquisition.frame_times_s = Some(times);
        }
        let artery = dynamic.and_then(|d| d.arrival.ok()).map(|inside| self.path(inside));
        let arrival = match (&artery, dynamic.map(|dynamic| dynamic.arrival)) {
            (Some(path), _) => ArterialCurve::Measured(path),
            (None, Some(Err(time_s))) => ArterialCurve::ArrivalS(time_s),
            _ => ArterialCurve::Region,
        };
        let request = MapRequest {
            artery: None,
            measure: measure::named(job.model)?,
            paths: SeriesPaths { images: &images, bval: None },
            acquisition,
            mask: None,
            t10: dynamic.map(|dynamic| T10Input::Map(&dynamic.t10)),
            b1_map: None,
            relaxivity_per_s_per_mm: dynamic.map_or(4.5, |d| d.relaxivity_per_s_per_mm),
            arrival,
            window_s: 60.0,
            estimator: job.estimator,
            echoes: EchoChoice::default(),
            b_min_s_per_mm2: 0.0,
            pseudo_experiments: 0,
            sigma: None,
            noise: None,
            seed: 1,
            output: folder,
            maps: MapChoice::default(),
            compression: nifti::Compression::Gzip,
            with_table: false,
            background: Background::Zero,
            limits: self.limits,
        };
        single::map(&request, &Silent)
    }
}

fn fate(job: &Job, maps: &Maps) -> Result<Fate> {
    let mut n_non_finite = 0;
    let mut same_affine = true;
    let bits = |grid: &Grid| grid.affine().matrix().map(|row| row.map(f64::to_bits));
    for name in maps.result.written.iter().filter(|name| name.ends_with(".nii.gz")) {
        let read = nifti::read_volume(&maps.folder.join(name), &maps.limits)?;
        n_non_finite += read.n_non_finite;
        same_affine &= bits(read.header.grid()) == bits(&maps.grid);
    }
    Ok(Fate {
        series: format!("{}, {}", job.name, job.estimator),
        n_voxels: maps.grid.n_voxels(),
        counts: maps.result.counts.clone(),
        n_non_finite,
        same_affine,
    })
}
