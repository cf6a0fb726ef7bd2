//! Images from files.

use std::path::Path;

use fearless_simd::{Level, dispatch};

use super::datatype::Decoded;
use super::file::{self, Location};
use super::stored::{self, Oddities};
use super::{Header, ReadLimits, datatype};
use crate::error::{Error, Result};
use crate::image::{Mask, Samples, Scaling, Series, Volume};

/// How far a scaled value may be off a whole number and still be one, relative: slopes such as
/// 1/255 are stored in single precision.
const WHOLE_TOLERANCE: f64 = 1e-6;

/// What was read, and what was odd about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Image<T> {
    /// The voxels.
    pub image: T,
    /// The header they came with.
    pub header: Header,
    /// Oddities of header and voxels, each a sentence.
    pub warnings: Vec<String>,
    /// Values that are NaN or infinite after scaling; they are kept.
    pub n_non_finite: usize,
}

impl<T> Image<T> {
    fn replace<U>(self, image: U) -> Image<U> {
        Image {
            image,
            header: self.header,
            warnings: self.warnings,
            n_non_finite: self.n_non_finite,
        }
    }
}

/// Reads and checks the header; voxels are not read, a gzip stream is inflated up to them.
///
/// `path` is a single file or either file of a header/image pair.
///
/// # Errors
///
/// `Missing` when a file is not there, `Format` when the bytes are not a NIfTI header or the file is
/// too short for it, `Value` when it asks for more than `limits` or its affine is unusable; each
/// names path and header field.
pub fn read_header(path: &Path, limits: &ReadLimits) -> Result<Header> {
    file::header(&Location::of(path)?, *limits)
}

/// Reads a series: 3-D is one volume, 4-D several; stored values without loss, scaling kept apart.
///
/// # Errors
///
/// As [`read_header`]; `Format` too when the gzip stream is truncated, damaged or followed by bytes
/// that are no gzip member.
pub fn read_series(path: &Path, limits: &ReadLimits) -> Result<Image<Series>> {
    let location = Location::of(path)?;
    let header = file::header(&location, *limits)?;
    let singles = file::singles(&location, &header, *limits)?;
    let (decoded, n_trailing) = if let Some((values, n_trailing)) = singles {
        (Decoded { samples: Samples::Single(values), n_rounded: 0 }, n_trailing)
    } else {
        let bytes = file::voxels(&location, &header, *limits)?;
        let kind = (header.datatype(), header.byte_order());
        (datatype::decode(kind.0, kind.1, bytes.voxels()), bytes.n_trailing)
    };
    let n_non_finite = count_non_finite(&decoded.samples, &header);
    let found = Oddities { n_non_finite, n_rounded: decoded.n_rounded };
    let warnings = stored::warnings(&header, n_trailing, found);
    let scalings = vec![header.scaling(); header.n_volumes()];
    let image = Series::new(*header.grid(), decoded.samples, scalings)
        .map_err(|error| error.at_path(path))?;
    Ok(Image { image, header, warnings, n_non_finite })
}

/// Reads a 3-D image, or 4-D with one volume, as signals in 64-bit.
///
/// # Errors
///
/// As [`read_series`]; `Format` when there are several volumes.
pub fn read_volume(path: &Path, limits: &ReadLimits) -> Result<Image<Volume<f64>>> {
    one_volume(read_header(path, limits)?, path)?;
    let series = read_series(path, limits)?;
    let volume = series.image.volume(0);
    Ok(series.replace(volume))
}

/// Passes a header of one volume.
fn one_volume(header: Header, path: &Path) -> Result<Header> {
    if header.n_volumes() == 1 {
        return Ok(header);
    }
    Err(Error::format(format!("{} volumes, but one 3-D image is needed", header.n_volumes()))
        .at_path(path)
        .at_field("dim[4]")
        .hint("extract the volume that is meant"))
}

/// Reads a label image: whole numbers from 0 to 4 294 967 295, in any stored type.
///
/// # Errors
///
/// As [`read_volume`]; `Value` naming the first voxel `[i, j, k]` that holds something else.
pub fn read_labels(path: &Path, limits: &ReadLimits) -> Result<Image<Volume<u32>>> {
    let (read, labels) = labels(path, limits, |label| label)?;
    let labels = Volume::new(*read.header.grid(), labels)?;
    Ok(read.replace(labels))
}

/// The labels at `path`, each as `keep` makes of it, and the image without them.
fn labels<T>(
    path: &Path,
    limits: &ReadLimits,
    mut keep: impl FnMut(u32) -> T,
) -> Result<(Image<()>, Vec<T>)> {
    let location = Location::of(path)?;
    let header = one_volume(file::header(&location, *limits)?, path)?;
    let bytes = file::voxels(&location, &header, *limits)?;
    let scaling = header.scaling();
    let tolerance = if scaling == Scaling::IDENTITY { 0.0 } else { WHOLE_TOLERANCE };
    let (kind, stored) = ((header.datatype(), header.byte_order()), bytes.voxels());
    let mut labels = Vec::with_capacity(header.grid().n_voxels());
    let mut signals = [0.0; 512];
    for stored in stored.chunks(signals.len() * kind.0.n_bytes()) {
        let signals = &mut signals[..stored.len() / kind.0.n_bytes()];
        datatype::signals_into(kind, scaling, stored, signals);
        for &value in &*signals {
            let label = label(value, tolerance).ok_or_else(|| {
                Error::value(format!(
                    "voxel {:?} holds {value}, but labels are whole numbers from 0 on",
                    header.grid().voxel(labels.len())
                ))
                .at_path(path)
                .hint("give the label image, not an intensity image or a resampled one")
            })?;
            labels.push(keep(label));
        }
    }
    let n_rounded = datatype::count_rounded(kind.0, kind.1, stored);
    let found = Oddities { n_non_finite: 0, n_rounded };
    let warnings = stored::warnings(&header, bytes.n_trailing, found);
    Ok((Image { image: (), header, warnings, n_non_finite: 0 }, labels))
}

/// Reads a mask: 0 outside, one other value inside, at least one voxel inside.
///
/// # Errors
///
/// As [`read_labels`]; `Value` when there are several values inside, or none.
pub fn read_mask(path: &Path, limits: &ReadLimits) -> Result<Image<Mask>> {
    let (mut inside, mut other) = (None, None);
    let (mut read, flags) = labels(path, limits, |label| {
        if label != 0 && *inside.get_or_insert(label) != label {
            other.get_or_insert(label);
        }
        label != 0
    })?;
    let Some(inside) = inside else {
        return Err(Error::value("the mask is empty: every voxel is 0")
            .at_path(path)
            .hint("check that the mask was drawn on this image and saved"));
    };
    if let Some(other) = other {
        return Err(Error::value(format!(
            "a mask holds 0 and one other value, this one holds {inside} and {other}"
        ))
        .at_path(path)
        .hint("name the labels that are meant, or make a mask of one of them"));
    }
    if inside != 1 {
        read.warnings.push(format!("the mask holds 0 and {inside}; {inside} is taken as inside"));
    }
    let mask = Mask::new(Volume::new(*read.header.grid(), flags)?);
    Ok(read.replace(mask))
}

/// Counts values that are not finite after scaling; whole numbers need no look.
fn count_non_finite(samples: &Samples, header: &Header) -> usize {
    if !stored::may_be_lost(header) {
        return 0;
    }
    let scaling = header.scaling();
    dispatch!(Level::new(), _simd => match samples {
        Samples::Single(values) => count_lost(values, |&value| scaling.apply(f64::from(value))),
        Samples::Double(values) => count_lost(values, |&value| scaling.apply(value)),
    })
}

#[allow(clippy::inline_always, reason = "becomes part of what carries the instruction set")]
#[inline(always)]
fn count_lost<T>(values: &[T], signal: impl Fn(&T) -> f64) -> usize {
    values.iter().map(|value| u64::from(!signal(value).is_finite())).sum::<u64>() as usize
}

/// The label that `value` means, if any.
fn label(value: f64, tolerance: f64) -> Option<u32> {
    let direct = value as u32;
    if f64::from(direct).to_bits() == value.to_bits() {
        return Some(direct);
    }
    let whole = value.round();
    let is_whole = (value - whole).abs() <= tolerance * whole.abs().max(1.0);
    (is_whole && 0.0 <= whole && whole <= f64::from(u32::MAX)).then_some(whole as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_whole_numbers_in_range() {
        assert_eq!(label(4_294_967_295.0, 0.0), Some(u32::MAX));
        assert_eq!(label(-0.0, 0.0), Some(0));
        assert_eq!(label(255.0 * f64::from(1.0_f32 / 255.0), WHOLE_TOLERANCE), Some(1));
        for value in [4_294_967_296.0, -1.0, 0.5, f64::NAN, f64::INFINITY, 1.000_1] {
            assert_eq!(label(value, WHOLE_TOLERANCE), None, "{value}");
        }
        assert_eq!(label(1.000_000_1, 0.0), None);
    }
}
