//! Prefix codes of limited length from counts.

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

    #[inline]
    pub(super) fn bits(self) -> u32 {
        self.0 >> 8
    }

    #[inline]
    pub(super) fn n_bits(self) -> u32 {
        self.0 & 0xff
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
    let mut leaves: Vec<(u32, usize)> =
        counts.iter().copied().zip(0..N).filter(|&(count, _)| count > 0).collect();
    leaves.sort_unstable();
    let n = leaves.len();
    let mut weights: Vec<u64> = leaves.iter().map(|&(count, _)| u64::from(count)).collect();
    let mut parents = vec![0; (2 * n).saturating_sub(1)];
    let (mut leaf, mut inner) = (0, n);
    for node in n..(2 * n).saturating_sub(1) {
        let mut weight = 0;
        for _ in 0..2 {
            let is_leaf = leaf < n && (inner == node || weights[leaf] <= weights[inner]);
            let next = if is_leaf { &mut leaf } else { &mut inner };
            parents[*next] = node;
            weight += weights[*next];
            *next += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0_u8; parents.len()];
    for node in (0..parents.len().saturating_sub(1)).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    let mut lengths = [0; N];
    for (&(_, symbol), &depth) in leaves.iter().zip(&depths) {
        lengths[symbol] = depth.max(1);
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
