//! Deflate for voxels: repeated words and prefix codes, nothing else.
//!
//! Maps of floating point hold noise in their low bytes, in which a search for matches finds nothing
//! and takes most of the time of a general encoder; what repeats is background. Here a word of eight
//! bytes that equals the one before it extends a match of distance 8, which covers constants of any
//! voxel type, and every other byte is a literal under the prefix code of its block. Blocks know
//! nothing of each other and end on a byte, so that they can be encoded side by side and give the
//! same bytes for any number of threads.
//!
//! # Reference
//!
//! Deutsch P. DEFLATE compressed data format specification version 1.3, RFC 1951,
//! doi:10.17487/RFC1951.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

mod bits;
mod huffman;

use fearless_simd::{Level, dispatch};

use bits::BitWriter;
use huffman::{Code, codes, lengths};

/// Bytes per word.
const WORD: usize = 8;

/// Bytes of the longest match.
const LONGEST_MATCH: usize = 258;

/// One of so many words is counted: a quarter says enough of how often each byte occurs, and every
/// byte has a code.
const SAMPLE: usize = 4;

const END_OF_BLOCK: usize = 256;

/// Literals, end of block, and 29 classes of match lengths.
const N_SYMBOLS: usize = 286;

/// The last block of a stream: empty.
pub(super) const LAST_BLOCK: [u8; 2] = [3, 0];

/// Distance 8 is class 5 with one extra bit, 1.
const DISTANCE_CLASS: usize = 5;

/// Encodes `bytes` as one block that is not the last, followed by an empty stored one, which ends on
/// a byte. Writes to the start of `encoded`, which grows where it is short, and gives the number of
/// bytes; what follows them means nothing.
pub(super) fn encode_block(bytes: &[u8], encoded: &mut Vec<u8>) -> usize {
    // No code is longer than 12 bits.
    let most = bytes.len() * 3 / 2 + 512;
    if encoded.len() < most {
        encoded.resize(most, 0);
    }
    dispatch!(Level::new(), _simd => encode(bytes, encoded))
}

#[inline(always)]
fn encode(bytes: &[u8], encoded: &mut [u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let stretches = stretches(words);
    let counts = count(words, rest, &stretches);
    let lengths = lengths(&counts);
    let codes = codes(&lengths);
    let mut writer = BitWriter::new(encoded);
    header(&lengths, &mut writer);
    let mut place = 0;
    for stretch in &stretches {
        for &word in &words[place..][..stretch.n_literals] {
            let [a, b, c, d, e, f, g, h] = word.map(|byte| codes[usize::from(byte)]);
            writer.four([a, b, c, d]);
            writer.four([e, f, g, h]);
        }
        matches(stretch.n_repeats, &codes, &mut writer);
        place += stretch.n_literals + stretch.n_repeats;
    }
    for &byte in rest {
        writer.one(codes[usize::from(byte)]);
    }
    writer.one(codes[END_OF_BLOCK]);
    writer.finish()
}

/// Words that differ from the one before each, and repeats of the last of them.
struct Stretch {
    n_literals: usize,
    n_repeats: usize,
}

#[inline(always)]
fn stretches(words: &[[u8; WORD]]) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut place = 0;
    while place < words.len() {
        let rest = &words[place..];
        let differs = |pair: &[[u8; WORD]; 2]| pair[0] != pair[1];
        let n_literals =
            1 + rest.array_windows().position(|pair| !differs(pair)).unwrap_or(rest.len() - 1);
        let n_repeats = n_equal(&rest[n_literals - 1..]) - 1;
        stretches.push(Stretch { n_literals, n_repeats });
        place += n_literals + n_repeats;
    }
    stretches
}

/// How many words from the first on are equal to it.
#[inline(always)]
fn n_equal(words: &[[u8; WORD]]) -> usize {
    let first = u64::from_le_bytes(words[0]);
    let differs = |word: &[u8; WORD]| u64::from_le_bytes(*word) ^ first;
    let groups = words.as_chunks::<8>().0;
    let is_mixed =
        |group: &[[u8; WORD]; 8]| group.iter().fold(0, |all, word| all | differs(word)) != 0;
    let n_groups = groups.iter().position(is_mixed).unwrap_or(groups.len());
    let rest = &words[8 * n_groups..];
    8 * n_groups + rest.iter().position(|word| differs(word) != 0).unwrap_or(rest.len())
}

/// How often each symbol occurs.
#[inline(always)]
fn count(words: &[[u8; WORD]], rest: &[u8], stretches: &[Stretch]) -> [u32; N_SYMBOLS] {
    // Neighbours count in tables of their own: equal bytes need not wait for each other.
    let mut tables = [[0_u32; 256]; 4];
    let mut counts = [0; N_SYMBOLS];
    let mut place = 0;
    for stretch in stretches {
        for word in words[place..][..stretch.n_literals].iter().step_by(SAMPLE) {
            for half in word.as_chunks::<4>().0 {
                for (table, &byte) in tables.iter_mut().zip(half) {
                    table[usize::from(byte)] += 1;
                }
            }
        }
        for length in match_lengths(stretch.n_repeats) {
            counts[length_class(length).symbol] += 1;
        }
        place += stretch.n_literals + stretch.n_repeats;
    }
    for &byte in rest {
        tables[0][usize::from(byte)] += 1;
    }
    for (literal, count) in counts[..END_OF_BLOCK].iter_mut().enumerate() {
        let seen: u32 = tables.iter().map(|table| table[literal]).sum();
        *count = seen * SAMPLE as u32 + 1;
    }
    counts[END_OF_BLOCK] = 1;
    counts
}

#[inline(always)]
fn matches(n_repeats: usize, codes: &[Code; N_SYMBOLS], writer: &mut BitWriter<'_>) {
    for length in match_lengths(n_repeats) {
        let class = length_class(length);
        writer.one(codes[class.symbol]);
        // The distance code has one bit, 0.
        let distance = Code::new(0b10, 2);
        writer.one(Code::new(class.extra, class.n_extra));
        writer.one(distance);
    }
}

/// Lengths of the matches that repeat a word so often; none is shorter than a word.
fn match_lengths(n_repeats: usize) -> impl Iterator<Item = usize> {
    let mut left = n_repeats * WORD;
    std::iter::from_fn(move || {
        let length = match left {
            0 => return None,
            1..=LONGEST_MATCH => left,
            _ => LONGEST_MATCH.min(left - WORD),
        };
        left -= length;
        Some(length)
    })
}

/// Class of a match length and what is added to the class.
struct LengthClass {
    symbol: usize,
    extra: u16,
    n_extra: u8,
}

/// Of lengths from 8 on.
fn length_class(length: usize) -> LengthClass {
    if length == LONGEST_MATCH {
        return LengthClass { symbol: 285, extra: 0, n_extra: 0 };
    }
    // Four classes for every doubling of what exceeds 3.
    let beyond = length - 3;
    let n_extra = beyond.ilog2().saturating_sub(2);
    LengthClass {
        symbol: 257 + 4 * n_extra as usize + (beyond >> n_extra),
        extra: (beyond & ((1 << n_extra) - 1)) as u16,
        n_extra: n_extra as u8,
    }
}

/// Kind of block, sizes of the alphabets, and the code lengths in four bits each.
fn header(lengths: &[u8; N_SYMBOLS], writer: &mut BitWriter<'_>) {
    let number = |value: usize, n_bits| Code::new(value as u16, n_bits);
    writer.one(number(0b100, 3));
    writer.one(number(N_SYMBOLS - 257, 5));
    writer.one(number(DISTANCE_CLASS, 5));
    writer.one(number(19 - 4, 4));
    // In the order of RFC 1951: no repeat codes, then four bits for every length from 0 to 15.
    for index in 0..19 {
        writer.one(number(if index < 3 { 0 } else { 4 }, 3));
    }
    let mut distances = [0; DISTANCE_CLASS + 1];
    distances[DISTANCE_CLASS] = 1;
    for &length in lengths.iter().chain(&distances) {
        let bits = u16::from(length).reverse_bits() >> 12;
        writer.one(Code::new(bits, 4));
    }
}

#[cfg(test)]
mod tests;
