//! Gzip in and out: every member, every checksum, no trust in what the file says of its length.
//!
//! One member of the length that the image header demands, which is nearly every file, is inflated
//! by libdeflate in one call. Every other file takes the streaming path, which also finds the words
//! for what is wrong with a broken one.

use std::io::{BufRead, ErrorKind, Read};

use fearless_simd::{Level, dispatch};
use flate2::bufread::GzDecoder;
use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::memory::zeroed;
use crate::error::{Error, Result};

/// First two bytes of every gzip member.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate codes 258 bytes in no less than 2 bits: more than this ratio cannot be.
pub(super) const MAX_RATIO: u64 = 1032;

/// Level 1: maps of floats shrink hardly more at higher levels and take three times as long at 6.
const LEVEL: i32 = 1;

/// Inflates every member of `compressed`, keeps the first bytes, as many as `bytes` takes, and gives
/// how many follow them.
///
/// # Errors
///
/// `Format` when the stream is truncated, corrupt, followed by something that is no gzip member, or
/// holds less than `bytes` takes; `Value` when it holds more than `max_bytes`.
pub(super) fn inflate(compressed: &[u8], bytes: &mut [u8], max_bytes: u64) -> Result<u64> {
    let expected = bytes.len();
    let whole = Decompressor::new().gzip_decompress(compressed, bytes);
    if whole == Ok(expected) && is_one_member(compressed, bytes) {
        return Ok(0);
    }
    let n_bytes = stream(compressed, bytes, max_bytes)?;
    n_bytes.checked_sub(expected as u64).ok_or_else(|| too_short(n_bytes, expected as u64))
}

/// The words for a stream that ends before the voxels do.
pub(super) fn too_short(n_bytes: u64, expected: u64) -> Error {
    Error::format(format!(
        "gzip stream holds {n_bytes} bytes, fewer than the {expected} that header and voxels need"
    ))
    .hint("the file was cut off before it was compressed; copy or convert it again")
}

/// Inflates all of `compressed`, a header file of unknown length.
pub(super) fn inflate_all(compressed: &[u8], max_bytes: u64) -> Result<Vec<u8>> {
    let expected = stream(compressed, &mut [], max_bytes)?;
    let expected = usize::try_from(expected).map_err(|_| over_limit(max_bytes))?;
    let mut bytes = zeroed(expected)?;
    inflate(compressed, &mut bytes, max_bytes)?;
    Ok(bytes)
}

/// Start of a member without name and time, for [`super::deflate`].
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// One member without name and time, so that equal bytes give equal files.
pub(super) fn deflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let refused = |reason: String| Error::internal(format!("gzip: {reason}"));
    let level = CompressionLvl::new(LEVEL).map_err(|error| refused(format!("{error:?}")))?;
    let mut compressor = Compressor::new(level);
    let mut compressed = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor
        .gzip_compress(bytes, &mut compressed)
        .map_err(|error| refused(error.to_string()))?;
    compressed.truncate(length);
    Ok(compressed)
}

/// The words for a stream that the decoder refuses.
pub(super) fn broken(error: &std::io::Error) -> Error {
    let error = match error.kind() {
        ErrorKind::UnexpectedEof => Error::format("gzip stream ends early: the file is truncated"),
        _ => Error::format(format!("gzip stream is damaged: {error}")),
    };
    error.hint("copy the file again from where it came from")
}

/// Whether the trailer that ends the first member stands at the end of the file and nowhere else.
///
/// libdeflate does not say where the member ended. The end carries checksum and length of `bytes`,
/// so where these eight bytes occur once, at the end, nothing follows the member.
fn is_one_member(compressed: &[u8], bytes: &[u8]) -> bool {
    let [a, b, c, d] = libdeflater::crc32(bytes).to_le_bytes();
    let [e, f, g, h] = (bytes.len() as u32).to_le_bytes();
    let trailer = [a, b, c, d, e, f, g, h];
    compressed.split_last_chunk::<8>().is_some_and(|(before, last)| {
        *last == trailer && !contains(before, trailer) && !spans_end(compressed, trailer)
    })
}

/// Whether `pattern` occurs in `bytes`; in blocks, so that the search runs at memory speed.
fn contains(bytes: &[u8], pattern: [u8; 8]) -> bool {
    const BLOCK: usize = 4096;
    let level = Level::new();
    (0..bytes.len()).step_by(BLOCK).any(|first| {
        let block = &bytes[first..bytes.len().min(first + BLOCK + 7)];
        dispatch!(level, _simd => may_contain(block, pattern))
            && block.windows(8).any(|window| window == pattern)
    })
}

/// Whether the first three bytes of `pattern` follow each other somewhere in `bytes`.
#[allow(clippy::inline_always, reason = "becomes part of what carries the instruction set")]
#[inline(always)]
fn may_contain(bytes: &[u8], [a, b, c, ..]: [u8; 8]) -> bool {
    let n = bytes.len().saturating_sub(7);
    let mut hits = 0;
    for place in 0..n {
        let equal = |offset: usize, byte: u8| u8::from(bytes[place + offset] == byte);
        hits |= equal(0, a) & equal(1, b) & equal(2, c);
    }
    hits != 0
}

/// Whether `pattern` also occurs so that it overlaps the last eight bytes.
fn spans_end(bytes: &[u8], pattern: [u8; 8]) -> bool {
    let start = bytes.len().saturating_sub(15);
    bytes[start..].windows(8).rev().skip(1).any(|window| window == pattern)
}

/// Inflates member after member into `bytes`, counts what does not fit, and returns the sum.
fn stream(compressed: &[u8], bytes: &mut [u8], max_bytes: u64) -> Result<u64> {
    let mut members = Members::new(compressed);
    let (mut filled, mut total) = (0, 0_u64);
    let mut overflow = vec![0; 1 << 16];
    loop {
        let target = match bytes.get_mut(filled..) {
            Some(free) if !free.is_empty() => free,
            _ => overflow.as_mut_slice(),
        };
        let n = members.read(target).map_err(|error| broken(&error))?;
        filled = bytes.len().min(filled + n);
        total += n as u64;
        if n == 0 {
            return Ok(total);
        }
        if total > max_bytes {
            return Err(over_limit(max_bytes));
        }
    }
}

/// Reads what all members of a gzip file hold, checks each, and skips zeros between and after them,
/// with which tapes and block devices pad.
pub(super) struct Members<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Members<R> {
    /// Reads from the start of the first member.
    pub(super) fn new(compressed: R) -> Self {
        Self(Some(GzDecoder::new(compressed)))
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        while let Some(decoder) = &mut self.0 {
            let n = decoder.read(target)?;
            if n > 0 || target.is_empty() {
                return Ok(n);
            }
            self.0 = match self.0.take() {
                Some(decoder) => next_member(decoder.into_inner())?.map(GzDecoder::new),
                None => None,
            };
        }
        Ok(0)
    }
}

/// The start of the member that follows, if any.
fn next_member<R: BufRead>(mut rest: R) -> std::io::Result<Option<R>> {
    loop {
        let buffer = rest.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        match buffer.iter().position(|&byte| byte != 0) {
            None => {
                let n = buffer.len();
                rest.consume(n);
            }
            Some(start) if buffer[start] == MAGIC[0] => {
                rest.consume(start);
                return Ok(Some(rest));
            }
            Some(_) => {
                let message = "what follows it is no gzip member";
                return Err(std::io::Error::new(ErrorKind::InvalidData, message));
            }
        }
    }
}

pub(super) fn over_limit(max_bytes: u64) -> Error {
    Error::value(format!("gzip stream holds more than the limit of {max_bytes} bytes"))
        .hint("raise `--max-memory` when the file is meant to be that large")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: u32) -> Vec<u8> {
        (0..n).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
    }

    /// The first `expected` bytes, and how many follow.
    fn inflated(compressed: &[u8], expected: usize) -> Result<(Vec<u8>, u64)> {
        let mut bytes = vec![0; expected];
        let n_trailing = inflate(compressed, &mut bytes, 1 << 20)?;
        Ok((bytes, n_trailing))
    }

    #[test]
    fn deflate_and_inflate_are_inverse_and_repeatable() {
        let bytes = numbers(5_000);
        let compressed = deflate(&bytes).unwrap();
        assert_eq!(compressed, deflate(&bytes).unwrap());
        assert_eq!(compressed[3..8], [0; 5], "no name, no time");
        assert_eq!(inflated(&compressed, bytes.len()).unwrap(), (bytes.clone(), 0));
        assert_eq!(inflate_all(&compressed, 1 << 20).unwrap(), bytes);
    }

    #[test]
    fn equal_members_are_all_seen() {
        let half = numbers(100);
        let one = deflate(&half).unwrap();
        let two = [one.clone(), one.clone()].concat();
        assert!(is_one_member(&one, &half));
        assert!(!is_one_member(&two, &half));
        assert_eq!(inflated(&two, 800).unwrap().0, [half.clone(), half.clone()].concat());
        assert_eq!(inflated(&two, 400).unwrap().1, 400);
        assert_eq!(inflated(&two, 500).unwrap().1, 300);
    }

    #[test]
    fn padding_is_skipped_and_garbage_is_refused() {
        let bytes = numbers(10);
        let compressed = deflate(&bytes).unwrap();
        let padded = [compressed.clone(), vec![0; 512]].concat();
        assert_eq!(inflated(&padded, 40).unwrap().0, bytes);
        let dirty = [compressed.clone(), b"x".to_vec()].concat();
        let error = inflated(&dirty, 40).unwrap_err();
        assert_eq!(error.to_string(), "gzip stream is damaged: what follows it is no gzip member");
        let error = inflated(&compressed, 41).unwrap_err();
        assert!(error.message().starts_with("gzip stream holds 40 bytes, fewer than the 41"));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let compressed = deflate(&vec![0; 1 << 22]).unwrap();
        let error = inflated(&compressed, 1000).unwrap_err();
        assert_eq!(error.message(), "gzip stream holds more than the limit of 1048576 bytes");
        assert!(inflate_all(&compressed, 1 << 20).is_err());
    }

    #[test]
    fn a_pattern_is_found_across_blocks() {
        let mut bytes = vec![1_u8; 10_000];
        assert!(!contains(&bytes, *b"abcdefgh"));
        for start in [0, 4090, 4096, 8190, 9992] {
            bytes[start..start + 8].copy_from_slice(b"abcdefgh");
            assert!(contains(&bytes, *b"abcdefgh"), "{start}");
            bytes[start..start + 8].fill(1);
        }
    }
}
