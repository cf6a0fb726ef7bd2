//! A series in memory: what pseudo-experiments, a noise level from the data, and tables need.

use super::maps::{MapKind, MapNames};
use super::spread::{PieceSpread, Spread};
use super::stream::map_file;
use super::{Background, MapRequest, MapResult, ParameterSummary, fixed_maps, mask_on, stem};
use crate::error::Result;
use crate::image::Mask;
use crate::io::atomic::{self, Pending};
use crate::io::nifti::{Header, PIECE_VOXELS};
use crate::io::parquet;
use crate::model::FitStatus;
use crate::pipeline::load::SeriesSource;
use crate::pipeline::observer::{Event, Observer};
use crate::pipeline::plan::FitPlan;
use crate::pipeline::voxel_table::{self, VoxelPlace};
use crate::pipeline::voxels::{Selection, VoxelResult, VoxelWork, measure_voxels};
use crate::random::StreamKey;

/// As [`super::map`], for any settings.
pub(super) fn map(
    request: &MapRequest<'_>,
    source: &SeriesSource,
    plan: &FitPlan,
    observer: &dyn Observer,
) -> Result<MapResult> {
    let loaded = source.load(&request.limits)?;
    let grid = *loaded.series.grid();
    let region = match request.mask {
        Some(path) => mask_on(&grid, path, &request.limits)?,
        None => Mask::full(grid),
    };
    let mut notes = Vec::new();
    let fixed = fixed_maps(request, &grid, &mut notes)?;
    let stem = stem(source);
    let key = StreamKey::new(request.seed, &stem);
    let work = VoxelWork {
        plan,
        loaded: &loaded,
        region: &region,
        fixed: &fixed,
        artery: None,
        key,
        bridge: None,
    };
    let mut result = measure_voxels(work, observer).map_err(|e| e.at_path(&source.images[0]))?;
    result.warnings.extend(notes);
    for warning in &result.warnings {
        observer.observe(&Event::Warning(warning));
    }
    let parameters = result.parameters.clone();
    let names = MapNames { request, source, parameters: &parameters, stem: &stem };
    let maps = request.maps.kinds(&parameters);
    let written = write(&names, &maps, &result, &loaded.header)?;
    Ok(MapResult {
        n_voxels: result.fits.n_voxels(),
        counts: status_counts(&result),
        parameters: summaries(&result, &maps),
        sigma: result.noise.as_ref().map(|noise| noise.level.sigma()),
        arrival_s: result.arrival.map(|arrival| arrival.time_s()),
        written,
        warnings: result.warnings,
    })
}

/// Brings all files to the disk and gives their names.
fn write(
    names: &MapNames<'_>,
    maps: &[MapKind],
    result: &VoxelResult,
    header: &Header,
) -> Result<Vec<String>> {
    let (mut written, mut files) = (Vec::new(), Vec::new());
    for &kind in maps {
        if let Some(file) = file_of(kind, names, result, header)? {
            let (json, sidecar) = names.sidecar(kind)?;
            written.extend([names.describe(kind).name, json]);
            files.extend([file, sidecar]);
        }
    }
    atomic::finish(files)?;
    if names.request.with_table {
        let place = VoxelPlace { participant_id: "sub-00", session_id: None, region: "image" };
        let table = voxel_table::table(place, result)?;
        parquet::write(&names.request.output.join("voxels.parquet"), &table)?;
        written.push("voxels.parquet".into());
    }
    Ok(written)
}

/// The whole file of a map; none for a measure of quality that no voxel has.
fn file_of(
    kind: MapKind,
    names: &MapNames<'_>,
    result: &VoxelResult,
    header: &Header,
) -> Result<Option<Pending>> {
    let quality;
    let column = match kind {
        MapKind::Estimate(index) => &result.fits.estimates[index],
        MapKind::StandardError(index) => &result.fits.standard_errors[index],
        MapKind::Status => {
            let mut file = map_file(names, &names.describe(kind), kind, header)?;
            file.append_voxels(result.fits.status_map().voxels(), |&code| [code])?;
            return file.finish().map(Some);
        }
        MapKind::Uncertainty | MapKind::RSquared | MapKind::ChiSquare => {
            let label = match kind {
                MapKind::Uncertainty => "U",
                MapKind::RSquared => "Rsquared",
                _ => "Chisquare",
            };
            let columns = result.quality_columns();
            let Some(found) = columns.into_iter().find(|column| column.label == label) else {
                return Ok(None);
            };
            quality = found.values;
            &quality
        }
    };
    let mut map = result.fits.column_map(column)?;
    if names.request.background == Background::Nan && matches!(kind, MapKind::Estimate(_)) {
        let mut filled = map.map(|_| f32::NAN);
        for (&index, _) in
            result.fits.mask.indices().iter().zip(column).filter(|(_, value)| value.is_finite())
        {
            filled.voxels_mut()[index] = map.voxels()[index];
        }
        map = filled;
    }
    let mut file = map_file(names, &names.describe(kind), kind, header)?;
    file.append_voxels(map.voxels(), |value| value.to_le_bytes())?;
    file.finish().map(Some)
}

fn status_counts(result: &VoxelResult) -> Vec<(String, usize)> {
    let counts: Vec<(FitStatus, usize)> = result.fits.status_counts();
    counts.into_iter().map(|(status, count)| (status.name().to_owned(), count)).collect()
}

/// The same sums, piece by piece of the image, as a map that is never held as a whole.
fn summaries(result: &VoxelResult, maps: &[MapKind]) -> Vec<ParameterSummary> {
    let places = result.places(Selection::Naive);
    let indices = result.fits.mask.indices();
    let of_one_piece =
        |a: &usize, b: &usize| indices[*a] / PIECE_VOXELS == indices[*b] / PIECE_VOXELS;
    let summary = |kind: &MapKind| {
        let MapKind::Estimate(parameter) = *kind else { return None };
        let mut spread = Spread::default();
        for piece in places.chunk_by(of_one_piece) {
            spread.add(PieceSpread::of(&result.values(parameter, piece)));
        }
        Some(spread.summary(&result.parameters[parameter]))
    };
    maps.iter().filter_map(summary).collect()
}
