//! Prefix codes of limited length from counts.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

/// Longest code, bits: four codes and seven bits left over fit into 64.
pub(super) const LONGEST: u8 = 12;

/// Codes of an alphabet: bits in the order in which deflate writes them, and how many.
///
/// Both in one number, so that one load brings them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Code(u32);

impl Code {
    /// The lowest `n_bits` of `bits`, of which the others are 0.
    pub(super) fn new(bits: u16, n_bits: u8) -> Self {
        Self(u32::from(bits) << 8 | u32::from(n_bits))
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u64 {
        u64::from(self.0 >> 8)
    }

    #[inline(always)]
    pub(super) fn n_bits(self) -> u32 {
        self.0 & 63
    }

    /// Bits of this code and of `next` behind it.
    #[inline(always)]
    pub(super) fn then(self, next: Self) -> u64 {
        self.bits() | next.bits() << self.n_bits()
    }

    /// Bits of both codes together: no sum of two numbers of bits leaves its place.
    #[inline(always)]
    pub(super) fn n_bits_of_both(a: Self, b: Self) -> u32 {
        (a.0 + b.0) & 63
    }
}

/// Lengths of an optimal prefix code for `counts`, at most [`LONGEST`]; 0 where the count is 0.
///
/// Where the optimum is longer the counts are halved, which flattens them, until it is not. One
/// symbol alone gets one bit.
pub(super) fn lengths<const N: usize>(counts: &[u32; N]) -> [u8; N] {
    let mut flattened = *counts;
    loop {
        let lengths = optimal(&flattened);
        if lengths.iter().all(|&length| length <= LONGEST) {
            return lengths;
        }
        for count in &mut flattened {
            *count = count.div_ceil(2);
        }
    }
}

/// Huffman's construction with two queues: sorted leaves, and inner nodes, which come out sorted.
fn optimal<const N: usize>(counts: &[u32; N]) -> [u8; N] {
    // Count and symbol in one number, which sorts fast.
    let mut leaves = [0_u64; N];
    let mut n = 0;
    for (symbol, &count) in counts.iter().enumerate() {
        leaves[n] = u64::from(count) << 16 | symbol as u64;
        n += usize::from(count > 0);
    }
    let leaves = &mut leaves[..n];
    leaves.sort_unstable();
    let mut weights = [[0_u64; N]; 2];
    let mut parents = [[0_u16; N]; 2];
    for (weight, leaf) in weights[0].iter_mut().zip(&*leaves) {
        *weight = leaf >> 16;
    }
    let n_inner = n.saturating_sub(1);
    let (mut leaf, mut inner) = (0, 0);
    for node in 0..n_inner {
        let mut weight = 0;
        for _ in 0..2 {
            let is_inner = leaf == n || (inner < node && weights[1][inner] < weights[0][leaf]);
            let next = if is_inner { &mut inner } else { &mut leaf };
            let kind = usize::from(is_inner);
            parents[kind][*next] = node as u16;
            weight += weights[kind][*next];
            *next += 1;
        }
        weights[1][node] = weight;
    }
    let mut depths = [0_u8; N];
    for node in (0..n_inner.saturating_sub(1)).rev() {
        depths[node] = depths[usize::from(parents[1][node])] + 1;
    }
    let mut lengths = [0; N];
    for (leaf, &parent) in leaves.iter().zip(&parents[0]) {
        lengths[(leaf & 0xffff) as usize] = depths[usize::from(parent)] + 1;
    }
    lengths
}

/// The canonical code of `lengths`.
///
/// # Reference
///
/// RFC 1951, 3.2.2, doi:10.17487/RFC1951.
pub(super) fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut next = [0_u16; LONGEST as usize + 2];
    for &length in lengths.iter().filter(|&&length| length > 0) {
        next[usize::from(length) + 1] += 1;
    }
    for length in 1..next.len() {
        next[length] = (next[length] + next[length - 1]) << 1;
    }
    // `next[length]` counted shorter codes up to here, already shifted to `length` bits.
    let mut codes = [Code::default(); N];
    for (code, &length) in codes.iter_mut().zip(lengths).filter(|&(_, &length)| length > 0) {
        let bits = next[usize::from(length)];
        next[usize::from(length)] += 1;
        *code = Code::new(bits.reverse_bits() >> (16 - length), length);
    }
    codes
}
