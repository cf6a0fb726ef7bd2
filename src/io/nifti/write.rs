//! Images into files: little-endian single files, the same bytes for the same image.
//!
//! The name decides on gzip: `.nii` or `.nii.gz`. Place and orientation come from the reference
//! header bit for bit; where it has a valid sform or qform only, the other is derived from it, and
//! where it has neither both get code 2. Scaling is 1 and 0, lengths are in mm, intent, slice timing
//! and free text are empty.

use std::path::Path;

use super::header::Header;
use super::map_file::MapFile;
use super::raw::RawHeader;
use super::{Datatype, gzip};
use crate::error::{Error, Result};
use crate::image::{Mask, Series, Volume};
use crate::io::atomic;

/// Largest magnitude of stored signals of a scanner series.
const LARGEST_INT16: f64 = i16::MAX as f64;

/// Whether an output is gzipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `.nii`.
    None,
    /// `.nii.gz`.
    Gzip,
}

/// Writes a map as float32; `window` is what viewers show from black to white.
///
/// NaN is written as it is.
///
/// # Errors
///
/// `Mismatch` when `map` is not on the grid of `reference`, `Value` when the window is not finite or
/// falls or the name ends neither in `.nii` nor `.nii.gz`, `Create` and `Write` as
/// [`atomic::write`].
pub fn write_map(
    path: &Path,
    map: &Volume<f32>,
    reference: &Header,
    window: [f64; 2],
) -> Result<()> {
    require_name(path)?;
    require_grid(path, map, reference)?;
    let mut file = MapFile::floats(path, reference, window)?;
    file.append_voxels(map.voxels(), |value| value.to_le_bytes())?;
    atomic::finish(vec![file.finish()?])
}

/// Writes small codes, such as status or habitat, as uint8.
///
/// # Errors
///
/// As [`write_map`].
pub fn write_codes(path: &Path, codes: &Volume<u8>, reference: &Header) -> Result<()> {
    let largest = codes.voxels().iter().copied().max().unwrap_or(0);
    require_name(path)?;
    require_grid(path, codes, reference)?;
    let mut file = MapFile::codes(path, reference, largest)?;
    file.append_voxels(codes.voxels(), |&code| [code])?;
    atomic::finish(vec![file.finish()?])
}

/// Writes a mask as uint8: 1 inside, 0 outside.
///
/// # Errors
///
/// As [`write_map`].
pub fn write_mask(path: &Path, mask: &Mask, reference: &Header) -> Result<()> {
    write_codes(path, &mask.volume().map(|&inside| u8::from(inside)), reference)
}

/// Writes labels as the smallest of uint8, uint16 and uint32 that holds them.
///
/// # Errors
///
/// As [`write_map`].
pub fn write_labels(path: &Path, labels: &Volume<u32>, reference: &Header) -> Result<()> {
    let largest = labels.voxels().iter().copied().max().unwrap_or(0);
    let values = labels.voxels().iter();
    let raw = |datatype| {
        let mut raw = output(path, labels, reference, datatype)?;
        raw.cal_max = f64::from(largest);
        Ok(raw)
    };
    if u8::try_from(largest).is_ok() {
        store(path, &raw(Datatype::Uint8)?, values.map(|&value| [value as u8]))
    } else if u16::try_from(largest).is_ok() {
        store(path, &raw(Datatype::Uint16)?, values.map(|&value| (value as u16).to_le_bytes()))
    } else {
        store(path, &raw(Datatype::Uint32)?, values.map(|value| value.to_le_bytes()))
    }
}

/// Writes several maps on one grid as one 4-D float32 file; the fourth axis has no unit unless
/// `time_step_s` is given.
///
/// # Errors
///
/// As [`write_map`]; `Mismatch` when there is no volume.
pub fn write_series_map(
    path: &Path,
    volumes: &[Volume<f32>],
    reference: &Header,
    time_step_s: Option<f64>,
) -> Result<()> {
    let Some(first) = volumes.first() else {
        return Err(Error::mismatch("no volume to write").at_path(path));
    };
    output(path, first, reference, Datatype::Float32)?;
    for volume in volumes {
        require_grid(path, volume, reference)?;
    }
    let mut raw = reference.for_output(Datatype::Float32, volumes.len());
    set_time_step(path, &mut raw, time_step_s)?;
    let mut file = MapFile::create(path, &raw)?;
    for volume in volumes {
        file.append_voxels(volume.voxels(), |value| value.to_le_bytes())?;
    }
    atomic::finish(vec![file.finish()?])
}

/// Writes signals as scanners store them: int16 with one slope, sform and qform code 1.
///
/// Whole signals of magnitude up to 32 767 are kept exactly with slope 1; all others are rounded to
/// 1/32 767 of the largest magnitude.
///
/// # Errors
///
/// `Value` when a signal is not finite, exceeds the range of a single-precision slope, or the name
/// or time step is unusable; `Create` and `Write` as [`atomic::write`].
pub fn write_scanner_series(path: &Path, series: &Series, time_step_s: Option<f64>) -> Result<()> {
    let header = Header::of_grid(*series.grid());
    require_name(path)?;
    let mut raw = header.for_output(Datatype::Int16, series.n_volumes());
    let slope = scanner_slope(series).map_err(|error| error.at_path(path))?;
    raw.scl_slope = slope;
    set_time_step(path, &mut raw, time_step_s)?;
    let stored = signals(series).map(|signal| ((signal / slope).round() as i16).to_le_bytes());
    store(path, &raw, stored)
}

fn signals(series: &Series) -> impl Iterator<Item = f64> + '_ {
    let n_voxels = series.grid().n_voxels();
    (0..series.n_volumes())
        .flat_map(move |volume| (0..n_voxels).map(move |voxel| series.signal(voxel, volume)))
}

/// The smallest single-precision slope that brings every signal into 16 bits.
fn scanner_slope(series: &Series) -> Result<f64> {
    if let Some(signal) = signals(series).find(|signal| !signal.is_finite()) {
        return Err(Error::value(format!("signal {signal} cannot be stored as an integer")));
    }
    let largest = signals(series).fold(0.0, |largest: f64, signal| largest.max(signal.abs()));
    let is_whole = signals(series).all(|signal| signal.fract().abs() == 0.0);
    if is_whole && largest <= LARGEST_INT16 {
        return Ok(1.0);
    }
    let nearest = (largest / LARGEST_INT16) as f32;
    let slope = [nearest, nearest.next_up()]
        .into_iter()
        .map(f64::from)
        .find(|slope| (largest / slope).round() <= LARGEST_INT16);
    match slope {
        Some(slope) if slope.is_finite() && slope >= f64::from(f32::MIN_POSITIVE) => Ok(slope),
        _ => Err(Error::value(format!("signals up to {largest} need a slope beyond 32 bits"))),
    }
}

fn set_time_step(path: &Path, raw: &mut RawHeader, time_step_s: Option<f64>) -> Result<()> {
    match time_step_s {
        Some(step) if step.is_finite() && step > 0.0 => Header::set_time_step(raw, step),
        Some(step) => {
            return Err(Error::value(format!("{step} s is no time between volumes"))
                .at_field("time_step_s")
                .at_path(path));
        }
        None => {}
    }
    Ok(())
}

/// Header of one output volume after the checks that every writer makes.
fn output<T>(
    path: &Path,
    volume: &Volume<T>,
    reference: &Header,
    datatype: Datatype,
) -> Result<RawHeader> {
    require_name(path)?;
    require_grid(path, volume, reference)?;
    Ok(reference.for_output(datatype, 1))
}

fn require_grid<T>(path: &Path, volume: &Volume<T>, reference: &Header) -> Result<()> {
    reference.grid().require_same(volume.grid()).map_err(|error| error.at_path(path))
}

pub(super) fn require_name(path: &Path) -> Result<Compression> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name.rsplit_once(".nii") {
        Some((_, ".gz")) => Ok(Compression::Gzip),
        Some((_, "")) => Ok(Compression::None),
        _ => Err(Error::value("the name of an image must end in .nii or .nii.gz").at_path(path)),
    }
}

/// Header and voxels to the disk, whole or not at all.
fn store<const N: usize>(
    path: &Path,
    raw: &RawHeader,
    voxels: impl Iterator<Item = [u8; N]>,
) -> Result<()> {
    let mut bytes = raw.to_bytes();
    bytes.reserve_exact(N * raw.dim[1..5].iter().product::<i64>() as usize);
    for voxel in voxels {
        bytes.extend_from_slice(&voxel);
    }
    if require_name(path)? == Compression::Gzip {
        bytes = gzip::deflate(&bytes).map_err(|error| error.at_path(path))?;
    }
    atomic::write(path, &bytes)
}
