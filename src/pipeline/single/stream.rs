//! A series through its fit and into its maps piece by piece: what is read is fitted and encoded by
//! the thread that read it, and never held as a whole.
//!
//! Every thread takes the next tile that nobody has taken. Reading one tile, fitting another and
//! encoding a third so run at the same time, and tiles come out nearly in order; the few that come
//! early wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::maps::{MapDescription, MapKind, MapNames, largest_status};
use super::spread::Spread;
use super::tile::{Tile, Tiles, Worker};
use super::{MapRequest, MapResult, fixed_maps, mask_on, stem};
use crate::acquisition::Protocol;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::FitSettings;
use crate::image::Mask;
use crate::io::atomic::{self, Pending};
use crate::io::nifti::{Header, MapFile, Oddities};
use crate::model::{Estimator, FitStatus, Parameter};
use crate::noise::{NoiseDistribution, NoiseLevel, NoiseMethod};
use crate::perfusion::Arrival;
use crate::pipeline::load::{OpenSeries, SeriesSource};
use crate::pipeline::observer::{Event, Observer};
use crate::pipeline::plan::{self, FitPlan};
use crate::pipeline::voxels::estimator;

/// As [`super::map`], for settings that look at one voxel at a time.
pub(super) fn map(
    request: &MapRequest<'_>,
    source: &SeriesSource,
    plan: &FitPlan,
    observer: &dyn Observer,
) -> Result<MapResult> {
    let series = source.open(&request.limits, request.output)?;
    let at_first = |error: Error| error.at_path(&source.images[0]);
    let grid = *series.header().grid();
    let region = request.mask.map(|path| mask_on(&grid, path, &request.limits)).transpose()?;
    let mut notes = Vec::new();
    let fixed = fixed_maps(request, &grid, &mut notes)?;
    let arrival = arrival(plan, &series, region.as_ref()).map_err(at_first)?;
    let sigma = given_sigma(plan)?;
    let settings = FitSettings { sigma, ..plan.settings()? };
    let estimator = estimator(plan, &source.protocol, arrival, &settings).map_err(at_first)?;
    require_inputs(estimator.as_ref(), series.n_volumes(), fixed.len()).map_err(at_first)?;
    let maps = maps_of_one_pass(request, estimator.parameters(), sigma)?;
    let tiles = Tiles {
        series: &series,
        region: region.as_ref(),
        fixed: &fixed,
        estimator: estimator.as_ref(),
        sigma,
        maps: &maps,
        background: request.background,
        compression: request.compression,
    };
    let stem = stem(source);
    let names = MapNames { request, source, parameters: estimator.parameters(), stem: &stem };
    let n_voxels = region.as_ref().map_or(grid.n_voxels(), Mask::len);
    observer.observe(&Event::StageStarted { name: "fit", n_voxels });
    let outcome = run(tiles, &names, observer)?;
    let mut warnings = series.warnings(&outcome.oddities);
    warnings.extend(arrival.and_then(|arrival| arrival.warning()));
    warnings.extend(notes);
    for warning in &warnings {
        observer.observe(&Event::Warning(warning));
    }
    let arrival_s = arrival.map(|arrival| arrival.time_s());
    Ok(MapResult { arrival_s, warnings, ..outcome.write(&tiles, &names)? })
}

/// The chosen maps that need no second look at a voxel.
fn maps_of_one_pass(
    request: &MapRequest<'_>,
    parameters: &[Parameter],
    sigma: Option<f64>,
) -> Result<Vec<MapKind>> {
    let mut maps = request.maps.kinds(parameters);
    maps.retain(|&kind| kind != MapKind::Uncertainty);
    maps.retain(|&kind| kind != MapKind::ChiSquare || sigma.is_some());
    if maps.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "none of the chosen maps can be made")
            .hint("uncertainty needs pseudo-experiments, chisquare a noise level"));
    }
    Ok(maps)
}

/// Where the bolus arrives; to find it, the region is read once more than for the fit.
fn arrival(plan: &FitPlan, series: &OpenSeries, region: Option<&Mask>) -> Result<Option<Arrival>> {
    let (Protocol::Dynamic(dynamic), Some(settings)) = (series.protocol(), &plan.dynamic) else {
        return Ok(None);
    };
    let times_s = dynamic.frame_times_s();
    Ok(Some(match settings.arrival {
        plan::Arrival::GivenS(time_s) => Arrival::given(times_s, time_s)?,
        plan::Arrival::Region => Arrival::detect(times_s, &series.mean_curve(region)?, None)?,
    }))
}

fn given_sigma(plan: &FitPlan) -> Result<Option<f64>> {
    let Some(sigma) = plan.noise.sigma else { return Ok(None) };
    let level = NoiseLevel::new(sigma, NoiseDistribution::Rician, NoiseMethod::Given, 0)?;
    Ok(Some(level.sigma()))
}

fn require_inputs(estimator: &dyn Estimator, n_volumes: usize, n_fixed: usize) -> Result<()> {
    if n_volumes != estimator.n_samples() {
        return Err(Error::mismatch(format!(
            "the series has {n_volumes} volumes, its protocol describes {}",
            estimator.n_samples()
        ))
        .at_field("series")
        .hint("give one b-value, echo time, flip angle or frame time per volume"));
    }
    if n_fixed != estimator.n_fixed() {
        let text = format!("{n_fixed} constant maps given, {} needed", estimator.n_fixed());
        return Err(Error::mismatch(text).at_field("fixed"));
    }
    Ok(())
}

/// Makes all tiles.
fn run(tiles: Tiles<'_>, names: &MapNames<'_>, observer: &dyn Observer) -> Result<Outcome> {
    let outcome = Mutex::new(Outcome::new(&tiles, names)?);
    let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let progress = |count: usize| observer.observe(&Event::VoxelsDone(count));
    rayon::broadcast(|_| {
        let mut worker = Worker::new(tiles);
        let mut spare = None;
        while !has_failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= tiles.n_tiles() {
                break;
            }
            let tile = worker.make(number, spare, &progress);
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            spare = outcome.take(number, tile);
            has_failed.fetch_or(outcome.error.is_some(), Ordering::Relaxed);
        }
    });
    let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    match outcome.error {
        Some(error) => Err(error),
        None => Ok(outcome),
    }
}

/// What all tiles came to.
struct Outcome {
    files: Vec<MapFile>,
    has_values: Vec<bool>,
    counts: [usize; FitStatus::ALL.len()],
    spreads: Vec<Spread>,
    oddities: Vec<Oddities>,
    n_taken: usize,
    /// Tiles that came before an earlier one.
    early: BTreeMap<usize, Result<Tile>>,
    /// Tiles that have been written, whose memory serves again.
    spare: Vec<Tile>,
    error: Option<Error>,
}

impl Outcome {
    fn new(tiles: &Tiles<'_>, names: &MapNames<'_>) -> Result<Self> {
        let header = tiles.series.header();
        let create = |&kind: &MapKind| map_file(names, &names.describe(kind), kind, header);
        let is_estimate = |kind: &&MapKind| matches!(kind, MapKind::Estimate(_));
        Ok(Self {
            files: tiles.maps.iter().map(create).collect::<Result<_>>()?,
            has_values: vec![false; tiles.maps.len()],
            counts: [0; FitStatus::ALL.len()],
            spreads: tiles.maps.iter().filter(is_estimate).map(|_| Spread::default()).collect(),
            oddities: vec![Oddities::default(); tiles.series.n_files()],
            n_taken: 0,
            early: BTreeMap::new(),
            spare: Vec::new(),
            error: None,
        })
    }

    /// Takes the tiles in their order, whatever the order in which they come, and gives back one that
    /// is done with, if any.
    fn take(&mut self, number: usize, tile: Result<Tile>) -> Option<Tile> {
        self.early.insert(number, tile);
        while let Some(tile) = self.early.remove(&self.n_taken) {
            self.n_taken += 1;
            if let Err(error) = tile.and_then(|tile| self.add(tile)) {
                self.error.get_or_insert(error);
            }
        }
        self.spare.pop()
    }

    fn add(&mut self, mut tile: Tile) -> Result<()> {
        for (file, piece) in self.files.iter_mut().zip(&tile.pieces) {
            file.append(piece)?;
        }
        for (all, has_values) in self.has_values.iter_mut().zip(&tile.has_values) {
            *all |= has_values;
        }
        for (all, count) in self.counts.iter_mut().zip(&tile.counts) {
            *all += count;
        }
        for (all, spread) in self.spreads.iter_mut().zip(tile.spreads.drain(..)) {
            all.add(spread);
        }
        for (all, oddities) in self.oddities.iter_mut().zip(&tile.oddities) {
            *all += *oddities;
        }
        self.spare.push(tile);
        Ok(())
    }

    /// The maps with their sidecars, and the names of both; a measure of quality that no voxel has
    /// is left out.
    fn files(
        &mut self,
        names: &MapNames<'_>,
        maps: &[MapKind],
    ) -> Result<(Vec<String>, Vec<Pending>)> {
        let (mut written, mut files) = (Vec::new(), Vec::new());
        let made = std::mem::take(&mut self.files).into_iter().zip(&self.has_values);
        for ((file, has_values), &kind) in made.zip(maps) {
            if matches!(kind, MapKind::RSquared | MapKind::ChiSquare) && !has_values {
                continue;
            }
            let (json, sidecar) = names.sidecar(kind)?;
            written.extend([names.describe(kind).name, json]);
            files.extend([file.finish()?, sidecar]);
        }
        Ok((written, files))
    }

    fn status_counts(&self) -> Vec<(String, usize)> {
        let counts = FitStatus::ALL.iter().zip(self.counts).filter(|(_, count)| *count > 0);
        counts.map(|(status, count)| (status.name().to_owned(), count)).collect()
    }

    /// Brings all files to the disk.
    fn write(mut self, tiles: &Tiles<'_>, names: &MapNames<'_>) -> Result<MapResult> {
        let (written, files) = self.files(names, tiles.maps)?;
        atomic::finish(files)?;
        let estimates = tiles.maps.iter().filter_map(|kind| match kind {
            MapKind::Estimate(index) => Some(&names.parameters[*index]),
            _ => None,
        });
        let counts = self.status_counts();
        let spreads = self.spreads.into_iter().zip(estimates);
        Ok(MapResult {
            n_voxels: self.counts.iter().sum(),
            counts,
            parameters: spreads.map(|(spread, p)| spread.summary(p)).collect(),
            sigma: tiles.sigma,
            arrival_s: None,
            written,
            warnings: Vec::new(),
        })
    }
}

/// An empty file for a map.
pub(super) fn map_file(
    names: &MapNames<'_>,
    description: &MapDescription,
    kind: MapKind,
    header: &Header,
) -> Result<MapFile> {
    let path = names.path(&description.name);
    match kind {
        MapKind::Status => MapFile::codes(&path, header, largest_status()),
        _ => MapFile::floats(&path, header, description.window),
    }
}
