//! Maps into files piece by piece, so that no map need be held as a whole.
//!
//! Every map is cut into pieces of [`PIECE_VOXELS`], however it comes to be: equal maps give equal
//! files for any number of threads and any limit of memory.

use std::path::Path;

use libdeflater::Crc;
use rayon::prelude::*;

use super::header::Header;
use super::raw::RawHeader;
use super::write::{Compression, require_name};
use super::{Datatype, deflate, gzip};
use crate::error::{Error, Result};
use crate::io::atomic::Pending;

/// Voxels per piece of a map; the last one may be shorter.
pub const PIECE_VOXELS: usize = 1 << 14;

/// Pieces that are encoded before they are written.
const PIECES_AT_ONCE: usize = 16;

/// Neighbouring voxels of a map as they are stored, and encoded where the map is gzipped. Made again
/// and again of the same memory.
#[derive(Debug, Default)]
pub struct Piece {
    stored: Vec<u8>,
    encoded: Vec<u8>,
    n_encoded: usize,
}

impl Piece {
    /// Encodes `stored`, little-endian voxels, for a file of this name.
    pub fn new(stored: Vec<u8>, compression: Compression) -> Self {
        let mut piece = Self { stored, ..Self::default() };
        piece.encode(compression);
        piece
    }

    /// The voxels, little-endian; to be encoded again after a change.
    pub fn stored_mut(&mut self) -> &mut Vec<u8> {
        &mut self.stored
    }

    /// Encodes the voxels for a file of this name.
    pub fn encode(&mut self, compression: Compression) {
        if compression == Compression::Gzip {
            self.n_encoded = deflate::encode_block(&self.stored, &mut self.encoded);
        }
    }

    /// Bytes that a gzipped map keeps of this piece; none where it is not encoded.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded[..self.n_encoded]
    }
}

/// A 3-D map on its way to the disk.
pub struct MapFile {
    pending: Pending,
    compression: Compression,
    checksum: Crc,
    n_bytes: u64,
    n_expected: u64,
}

impl MapFile {
    /// A map of float32 on the grid of `reference`; `window` is what viewers show from black to
    /// white.
    ///
    /// # Errors
    ///
    /// `Value` when the window is not finite or falls, or the name ends neither in `.nii` nor
    /// `.nii.gz`; `Create` and `Write` as [`Pending`].
    pub fn floats(path: &Path, reference: &Header, window: [f64; 2]) -> Result<Self> {
        let [low, high] = window;
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return Err(Error::value(format!("window {window:?} does not rise"))
                .at_field("window")
                .at_path(path));
        }
        let mut raw = reference.for_output(Datatype::Float32, 1);
        (raw.cal_min, raw.cal_max) = (low, high);
        Self::create(path, &raw)
    }

    /// A map of uint8 codes of which none is larger than `largest`.
    ///
    /// # Errors
    ///
    /// As [`MapFile::floats`].
    pub fn codes(path: &Path, reference: &Header, largest: u8) -> Result<Self> {
        let mut raw = reference.for_output(Datatype::Uint8, 1);
        raw.cal_max = largest.into();
        Self::create(path, &raw)
    }

    pub(super) fn create(path: &Path, raw: &RawHeader) -> Result<Self> {
        let compression = require_name(path)?;
        let header = raw.to_bytes();
        let voxel_bytes = raw.dim[1..5].iter().product::<i64>() as u64 * raw.bitpix as u64 / 8;
        let n_expected = header.len() as u64 + voxel_bytes;
        let mut pending = Pending::create(path)?;
        if compression == Compression::Gzip {
            pending.append(&gzip::HEADER)?;
        }
        let checksum = Crc::new();
        let mut file = Self { pending, compression, checksum, n_bytes: 0, n_expected };
        file.append(&Piece::new(header, compression))?;
        Ok(file)
    }

    /// Whether pieces are encoded.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Adds the next piece.
    ///
    /// # Errors
    ///
    /// `Write` when it cannot be written.
    pub fn append(&mut self, piece: &Piece) -> Result<()> {
        self.n_bytes += piece.stored.len() as u64;
        match self.compression {
            Compression::None => self.pending.append(&piece.stored),
            Compression::Gzip => {
                self.checksum.update(&piece.stored);
                self.pending.append(piece.encoded())
            }
        }
    }

    /// Adds all voxels, encoded side by side.
    ///
    /// # Errors
    ///
    /// As [`MapFile::append`].
    pub fn append_voxels<T: Sync, const N: usize>(
        &mut self,
        voxels: &[T],
        to_bytes: impl Fn(&T) -> [u8; N] + Sync,
    ) -> Result<()> {
        let compression = self.compression;
        let mut pieces = Vec::new();
        for some in voxels.chunks(PIECE_VOXELS * PIECES_AT_ONCE) {
            pieces.resize_with(some.len().div_ceil(PIECE_VOXELS), Piece::default);
            let parts = pieces.par_iter_mut().zip(some.par_chunks(PIECE_VOXELS));
            parts.for_each(|(piece, part)| {
                piece.stored.resize(N * part.len(), 0);
                let stored = piece.stored.as_chunks_mut::<N>().0;
                for (bytes, voxel) in stored.iter_mut().zip(part) {
                    *bytes = to_bytes(voxel);
                }
                piece.encode(compression);
            });
            pieces.iter().try_for_each(|piece| self.append(piece))?;
        }
        Ok(())
    }

    /// Closes the file; it gets its name by [`finish`](crate::io::atomic::finish).
    ///
    /// # Errors
    ///
    /// `Internal` when voxels are missing; `Write` when the end cannot be written.
    pub fn finish(mut self) -> Result<Pending> {
        if self.n_bytes != self.n_expected {
            return Err(Error::internal(format!(
                "{} of {} bytes of a map are there",
                self.n_bytes, self.n_expected
            )));
        }
        if self.compression == Compression::Gzip {
            self.pending.append(&deflate::LAST_BLOCK)?;
            self.pending.append(&self.checksum.sum().to_le_bytes())?;
            // The format keeps the length modulo 2³².
            self.pending.append(&(self.n_bytes as u32).to_le_bytes())?;
        }
        Ok(self.pending)
    }
}
