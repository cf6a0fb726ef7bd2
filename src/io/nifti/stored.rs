//! A series on the disk, read in pieces as 64-bit signals.

use std::ops::{AddAssign, Range};
use std::path::{Path, PathBuf};

use fearless_simd::{Level, dispatch};

use super::file::{self, Location, Place, UNLIMITED};
use super::header::Header;
use super::{ReadLimits, datatype};
use crate::error::{Error, ErrorKind, Result};
use crate::image::Scaling;

/// A series whose header has passed every check and whose voxels are read where they are needed.
///
/// Voxels of a plain file stay on the disk and are never held as a whole. Those of a gzip stream,
/// which can only be read from its start and is good only if its checksum is, are inflated once and
/// kept.
pub struct StoredSeries {
    header: Header,
    place: Place,
    path: PathBuf,
    n_trailing: u64,
    may_be_odd: bool,
    level: Level,
}

/// What is odd about voxels that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Signals that are NaN or infinite.
    pub n_non_finite: usize,
    /// Stored whole numbers that 64-bit floating point had to round.
    pub n_rounded: usize,
}

impl AddAssign for Oddities {
    fn add_assign(&mut self, other: Self) {
        self.n_non_finite += other.n_non_finite;
        self.n_rounded += other.n_rounded;
    }
}

impl StoredSeries {
    /// Opens the single file or pair at `path`.
    ///
    /// A gzip stream is checked to its end; where stream and voxels need more than `memory` bytes,
    /// it is inflated into a file without a name in `folder`. Files beyond `limits` are read
    /// nonetheless, if they hold what their header asks for.
    ///
    /// # Errors
    ///
    /// As [`read_series`](super::read_series); `Create` and `Write` when a stream is too large for
    /// memory and there is no room in `folder`.
    pub fn open(path: &Path, limits: &ReadLimits, memory: u64, folder: &Path) -> Result<Self> {
        let location = Location::of(path)?;
        let header = match file::header(&location, *limits) {
            Ok(header) => header,
            Err(error) => file::header(&location, UNLIMITED).map_err(|_| error)?,
        };
        let (place, n_trailing) = file::place(&location, &header, memory, folder)?;
        let may_be_odd = may_be_odd(&header);
        let level = Level::new();
        Ok(Self { header, place, path: location.voxels, n_trailing, may_be_odd, level })
    }

    /// What the file says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether a voxel can be odd at all: whole numbers of up to 32 bits cannot.
    pub fn may_be_odd(&self) -> bool {
        self.may_be_odd
    }

    /// What is odd about the file, each a sentence; `found` is the sum over all voxels.
    pub fn warnings(&self, found: Oddities) -> Vec<String> {
        warnings(&self.header, self.n_trailing, found)
    }

    /// The stored bytes of `voxels` (linear indices) of `volume`; `buffer` may be used for them.
    ///
    /// # Errors
    ///
    /// `Format` when the file cannot be read, for example because it became shorter.
    pub fn stored<'a>(
        &'a self,
        volume: usize,
        voxels: Range<usize>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        let n_bytes = self.header.datatype().n_bytes();
        let first = volume * self.header.grid().n_voxels();
        let start = (first + voxels.start) * n_bytes;
        let length = voxels.len() * n_bytes;
        match &self.place {
            Place::Memory(bytes) => bytes.voxels().get(start..start + length).ok_or_else(|| {
                Error::internal(format!("voxels {voxels:?} of volume {volume} are not there"))
            }),
            Place::Disk(file, origin) => {
                buffer.resize(length, 0);
                file::read_at(file, origin + start as u64, buffer)
                    .map_err(|error| Error::from_io(ErrorKind::Format, &self.path, &error))?;
                Ok(buffer)
            }
        }
    }

    /// Writes as many signals as `signals` takes from the start of `stored`.
    pub fn signals_into(&self, stored: &[u8], signals: &mut [f64]) -> Oddities {
        let kind = (self.header.datatype(), self.header.byte_order());
        let scaling = self.header.scaling();
        let may_be_odd = self.may_be_odd;
        let n_non_finite = dispatch!(self.level, _simd => {
            datatype::signals_into(kind, scaling, stored, signals);
            if may_be_odd { count_non_finite(signals) } else { 0 }
        });
        let bytes = &stored[..stored.len().min(signals.len() * kind.0.n_bytes())];
        Oddities { n_non_finite, n_rounded: datatype::count_rounded(kind.0, kind.1, bytes) }
    }
}

#[inline(always)]
fn count_non_finite(signals: &[f64]) -> usize {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    let is_lost = |signal: &f64| u64::from(signal.to_bits() & EXPONENT == EXPONENT);
    signals.iter().map(is_lost).sum::<u64>() as usize
}

/// Whether the signals of this file may be not finite, or rounded.
fn may_be_odd(header: &Header) -> bool {
    let exact = header.datatype().is_integer() && header.datatype().n_bytes() < 8;
    !exact || may_be_lost(header)
}

/// Whether a stored value can leave the range of numbers; whole numbers mostly cannot.
pub(super) fn may_be_lost(header: &Header) -> bool {
    let scaling: Scaling = header.scaling();
    let extremes = [u64::MAX as f64, i64::MIN as f64].map(|stored| scaling.apply(stored));
    !(header.datatype().is_integer() && extremes.iter().all(|extreme| extreme.is_finite()))
}

/// The words for what is odd about a file.
pub(super) fn warnings(header: &Header, n_trailing: u64, found: Oddities) -> Vec<String> {
    let mut warnings = header.warnings().to_vec();
    if n_trailing > 0 {
        warnings.push(format!("{n_trailing} bytes after the voxels are not read"));
    }
    if found.n_rounded > 0 {
        let n = found.n_rounded;
        warnings.push(format!("{n} whole numbers above 2^53 are rounded to 64-bit floating point"));
    }
    if found.n_non_finite > 0 {
        warnings.push(format!("{} values are not finite", found.n_non_finite));
    }
    warnings
}
