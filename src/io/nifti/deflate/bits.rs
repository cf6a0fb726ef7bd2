//! Bits in the order of deflate: the first is the lowest.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

use super::huffman::Code;

/// Appends bits to bytes.
pub(super) struct BitWriter<'a> {
    bytes: &'a mut [u8],
    place: usize,
    waiting: u64,
    n_waiting: u32,
}

impl<'a> BitWriter<'a> {
    /// Fills `bytes` from the start, of which eight are spare; what exceeds them is lost.
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, place: 0, waiting: 0, n_waiting: 0 }
    }

    /// Appends one code.
    #[inline(always)]
    pub(super) fn one(&mut self, code: Code) {
        self.push(code.bits(), code.n_bits());
    }

    /// Appends four codes of at most 12 bits.
    #[inline(always)]
    pub(super) fn four(&mut self, [a, b, c, d]: [Code; 4]) {
        let (ab, cd) = (a.then(b), c.then(d));
        let n_ab = Code::n_bits_of_both(a, b);
        self.push(ab | cd << n_ab, n_ab + Code::n_bits_of_both(c, d));
    }

    /// Appends at most 56 bits; whole bytes leave at once.
    #[inline(always)]
    fn push(&mut self, bits: u64, n_bits: u32) {
        self.waiting |= bits << self.n_waiting;
        self.n_waiting += n_bits;
        if let Some(target) = self.bytes[self.place..].first_chunk_mut::<8>() {
            *target = self.waiting.to_le_bytes();
        }
        self.place += self.n_waiting as usize / 8;
        self.waiting >>= self.n_waiting & !7;
        self.n_waiting &= 7;
    }

    /// Ends with an empty stored block, whose length starts on a byte; gives the number of bytes.
    pub(super) fn finish(mut self) -> usize {
        self.push(0, 3);
        self.push(0, (8 - self.n_waiting) % 8);
        self.push(0xffff_0000, 32);
        self.place
    }
}
