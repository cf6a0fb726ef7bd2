//! Bits in the order of deflate: the first is the lowest.

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
    #[inline]
    pub(super) fn one(&mut self, code: Code) {
        self.push(code.bits().into(), code.n_bits());
    }

    /// Appends four codes of at most 12 bits.
    #[inline]
    pub(super) fn four(&mut self, [a, b, c, d]: [Code; 4]) {
        let low = u64::from(a.bits()) | u64::from(b.bits()) << a.n_bits();
        let high = u64::from(c.bits()) | u64::from(d.bits()) << c.n_bits();
        let n_low = a.n_bits() + b.n_bits();
        self.push(low | high << n_low, n_low + c.n_bits() + d.n_bits());
    }

    /// Appends at most 56 bits; whole bytes leave at once.
    #[inline]
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
