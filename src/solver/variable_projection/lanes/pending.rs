//! Lanes that wait until a whole tile of them is together.
//!
//! # Reference
//!
//! Billeter, Olsson and Assarsson, "Efficient stream compaction on wide SIMD many-core
//! architectures", Proc High Performance Graphics 2009, doi:10.1145/1572769.1572795.

use super::report::{TILE_LEN, TileEndings};
use super::rows::TileRows;
use super::sums::Rows;

/// Lanes kept at most: less than a tile, and all of another.
const CAPACITY: usize = 2 * TILE_LEN;

/// Samples of waiting lanes, one place of the curve's tables after another, and whose they are.
pub(super) struct Pending {
    lanes: [usize; CAPACITY],
    single: Vec<f32>,
    double: Vec<f64>,
    len: usize,
}

impl Pending {
    pub(super) fn new(n_samples: usize) -> Self {
        Self {
            lanes: [0; CAPACITY],
            single: vec![0.0; CAPACITY * n_samples],
            double: vec![0.0; CAPACITY * n_samples],
            len: 0,
        }
    }

    /// Whether a tile is together, or all that will come where no more `is_last`.
    pub(super) fn is_due(&self, is_last: bool) -> bool {
        self.len >= TILE_LEN || (is_last && self.len > 0)
    }

    /// Whose samples wait first, up to a tile.
    pub(super) fn lanes(&self) -> &[usize] {
        &self.lanes[..self.len.min(TILE_LEN)]
    }

    /// The samples of the first tile; `places` are 0, 1, 2, ….
    pub(super) fn rows<'a>(&'a self, places: &'a [usize]) -> TileRows<'a> {
        TileRows {
            single: Rows { values: &self.single, stride: CAPACITY, first: 0, order: places },
            double: Rows { values: &self.double, stride: CAPACITY, first: 0, order: places },
        }
    }

    /// Adds the undecided lanes of a tile.
    pub(super) fn add(&mut self, endings: &TileEndings, rows: &TileRows<'_>) {
        let mut undecided = endings.undecided();
        while undecided != 0 {
            let lane = undecided.trailing_zeros() as usize;
            undecided &= undecided - 1;
            self.lanes[self.len] = endings.first + lane;
            for k in 0..rows.single.len() {
                let to = k * CAPACITY + self.len;
                self.single[to] = rows.single.at(k, lane);
                self.double[to] = rows.double.at(k, lane);
            }
            self.len += 1;
        }
    }

    /// Adds lanes of the first tile of `other`, a bit each.
    pub(super) fn take_over(&mut self, other: &Self, mut lanes: u32, n_samples: usize) {
        while lanes != 0 {
            let slot = lanes.trailing_zeros() as usize;
            lanes &= lanes - 1;
            self.lanes[self.len] = other.lanes[slot];
            for k in 0..n_samples {
                let (to, from) = (k * CAPACITY + self.len, k * CAPACITY + slot);
                self.single[to] = other.single[from];
                self.double[to] = other.double[from];
            }
            self.len += 1;
        }
    }

    /// Repeats the last lane up to a whole tile.
    pub(super) fn fill(&mut self, n_samples: usize) {
        for slot in self.len..TILE_LEN {
            for k in 0..n_samples {
                self.single[k * CAPACITY + slot] = self.single[k * CAPACITY + self.len - 1];
                self.double[k * CAPACITY + slot] = self.double[k * CAPACITY + self.len - 1];
            }
        }
    }

    /// Forgets the first tile.
    pub(super) fn advance(&mut self, n_samples: usize) {
        let gone = self.len.min(TILE_LEN);
        self.lanes.copy_within(gone..self.len, 0);
        for k in 0..n_samples {
            let row = k * CAPACITY;
            self.single.copy_within(row + gone..row + self.len, row);
            self.double.copy_within(row + gone..row + self.len, row);
        }
        self.len -= gone;
    }
}
