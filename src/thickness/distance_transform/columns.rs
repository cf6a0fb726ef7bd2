//! Lower envelopes of parabolas along many columns at once.
//!
//! Where the value at a voxel is small, nothing far away is lower, and the voxels around are looked
//! at one by one. Elsewhere the place of the lowest parabola rises along a column, so that the places
//! found at every eighth voxel, by halving, bound the places between them.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

use fearless_simd::prelude::*;
use fearless_simd::{Simd, f32x16};
use ndarray::{ArrayViewMut1, ArrayViewMut2};

use super::squares_mm2;

/// Columns worked on at once.
const LANES: usize = 16;
/// Voxels between two whose lowest parabola is looked for by halving.
const GROUP: usize = 8;
/// Columns that end within this many voxels are searched from every voxel.
const NEAR_VOXELS: usize = 10;
/// Twice the rounding of a sum of two squares, relative.
const ROUNDING: f64 = 4.8e-7;

/// What the rows of a slice, each across all columns, are known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// No distance at all; the values do not count.
    Empty,
    /// Zeros.
    Zero,
    /// Finite squares.
    Finite,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Squared distances, for the next axis.
    Squared,
    /// Distances.
    Root,
}

/// Envelopes along columns of one length, with their scratch space.
#[derive(Clone)]
pub(super) struct Columns {
    ending: Ending,
    spacing2_mm2: f64,
    /// Squared distance for every difference of places, from −n to n + `GROUP`.
    squares_mm2: Vec<f32>,
    n: usize,
    /// Rows that are not empty: their places, and their values, padded to whole vectors.
    sites: Vec<usize>,
    heights: Vec<f32>,
    /// First and last site that is lowest in any lane at the start of each group.
    bounds: Vec<[usize; 2]>,
    waiting: Vec<[usize; 4]>,
}

impl Columns {
    pub(super) fn new(n: usize, spacing_mm: f64, ending: Ending) -> Self {
        let one_side = squares_mm2(n + GROUP, spacing_mm);
        let below = one_side[1..=n].iter().rev();
        Self {
            ending,
            spacing2_mm2: spacing_mm * spacing_mm,
            squares_mm2: below.chain(&one_side).copied().collect(),
            n,
            sites: Vec::with_capacity(n),
            heights: Vec::new(),
            bounds: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Transforms every column (axis 0) of `slice`, shape `[n, n_columns]`, in place; says what all its
    /// rows hold then.
    #[inline(always)]
    pub(super) fn transform<S: Simd>(
        &mut self,
        simd: S,
        mut slice: ArrayViewMut2<'_, f32>,
        lines: &[Line],
    ) -> Line {
        if lines.iter().all(|&line| line == Line::Zero) {
            return Line::Zero;
        }
        let width = slice.ncols();
        let padded = width.next_multiple_of(LANES);
        let mut rows: Vec<&mut [f32]> =
            slice.outer_iter_mut().filter_map(ArrayViewMut1::into_slice).collect();
        self.sites.clear();
        self.heights.clear();
        for (place, row) in
            rows.iter().enumerate().filter(|(place, _)| lines[*place] != Line::Empty)
        {
            self.sites.push(place);
            self.heights.extend_from_slice(row);
            // Columns beyond the last are copies of it.
            self.heights.extend(std::iter::repeat_n(row[width - 1], padded - width));
        }
        if self.sites.is_empty() {
            return Line::Empty;
        }
        for x in (0..padded).step_by(LANES) {
            let block = Block { x, padded, width };
            self.block(simd, block, &mut rows);
        }
        Line::Finite
    }

    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, block: Block, rows: &mut [&mut [f32]]) {
        let mut highest = f32x16::splat(simd, 0.0);
        for site in 0..self.sites.len() {
            highest = highest.max(self.height(simd, block, site));
        }
        let highest_mm2 = f64::from(maximum(highest));
        let near_mm2 = (NEAR_VOXELS as f64).powi(2) * self.spacing2_mm2;
        if self.sites.len() == self.n && highest_mm2 <= near_mm2 {
            if highest_mm2 > 0.0 {
                self.near(simd, block, rows);
            }
            return;
        }
        self.bound(simd, block, highest_mm2);
        self.far(simd, block, rows);
    }

    #[inline(always)]
    fn height<S: Simd>(&self, simd: S, block: Block, site: usize) -> f32x16<S> {
        let at = site * block.padded + block.x;
        f32x16::from_slice(simd, &self.heights[at..at + LANES])
    }

    /// Squared distances of `GROUP` places from `first` on to a site.
    #[inline(always)]
    fn squares(&self, first: usize, site: usize) -> &[f32] {
        let start = first + self.n - self.sites[site];
        &self.squares_mm2[start..start + GROUP]
    }

    /// Looks around every voxel as far as anything can be lower.
    #[inline(always)]
    fn near<S: Simd>(&self, simd: S, block: Block, rows: &mut [&mut [f32]]) {
        let ahead = &self.squares_mm2[self.n..];
        for (q, row) in rows.iter_mut().enumerate() {
            let mut lowest = self.height(simd, block, q);
            let limit = maximum(lowest);
            if limit <= 0.0 {
                continue;
            }
            for (d, &square) in ahead.iter().enumerate().skip(1) {
                if square >= limit || (q < d && q + d >= self.n) {
                    break;
                }
                let square = f32x16::splat(simd, square);
                if q >= d {
                    lowest = lowest.min(self.height(simd, block, q - d) + square);
                }
                if q + d < self.n {
                    lowest = lowest.min(self.height(simd, block, q + d) + square);
                }
            }
            block.write(row, lowest, self.ending);
        }
    }

    /// Bounds of the lowest sites at the start of each group, by halving.
    #[inline(always)]
    fn bound<S: Simd>(&mut self, simd: S, block: Block, highest_mm2: f64) {
        let last = self.sites.len() - 1;
        let n_groups = self.n.div_ceil(GROUP);
        self.bounds.clear();
        self.bounds.resize(n_groups + 1, [0, last]);
        // Where a rounding is no longer small against the step of a parabola, nothing is left out.
        let longest_mm2 = highest_mm2 + (self.n as f64).powi(2) * self.spacing2_mm2;
        if longest_mm2 * ROUNDING > self.spacing2_mm2 {
            return;
        }
        self.waiting.clear();
        self.waiting.push([0, n_groups, 0, last]);
        while let Some([low, high, from, to]) = self.waiting.pop() {
            let group = usize::midpoint(low, high);
            let [first, final_] = self.lowest(simd, block, group * GROUP, [from, to]);
            self.bounds[group] = [first, final_];
            if low < group {
                self.waiting.push([low, group, from, final_]);
            }
            if group + 1 < high {
                self.waiting.push([group + 1, high, first, to]);
            }
        }
    }

    /// First and last of the sites that are lowest in any lane at `place`.
    #[inline(always)]
    fn lowest<S: Simd>(
        &self,
        simd: S,
        block: Block,
        place: usize,
        [from, to]: [usize; 2],
    ) -> [usize; 2] {
        let mut lowest = f32x16::splat(simd, f32::INFINITY);
        let mut at = f32x16::splat(simd, from as f32);
        for site in from..=to {
            let square = f32x16::splat(simd, self.squares_mm2[place + self.n - self.sites[site]]);
            let value = self.height(simd, block, site) + square;
            let is_lower = value.simd_lt(lowest);
            lowest = lowest.min(value);
            at = is_lower.select(f32x16::splat(simd, site as f32), at);
        }
        let first = -maximum(-at);
        [first as usize, maximum(at) as usize]
    }

    /// The lowest parabola at every place, group by group between the bounds.
    #[inline(always)]
    fn far<S: Simd>(&self, simd: S, block: Block, rows: &mut [&mut [f32]]) {
        for (group, rows) in rows.chunks_mut(GROUP).enumerate() {
            let mut lowest = [f32x16::splat(simd, f32::INFINITY); GROUP];
            for site in self.bounds[group][0]..=self.bounds[group + 1][1] {
                let height = self.height(simd, block, site);
                let squares = self.squares(group * GROUP, site);
                for t in 0..GROUP {
                    lowest[t] = lowest[t].min(height + f32x16::splat(simd, squares[t]));
                }
            }
            for (row, lowest) in rows.iter_mut().zip(lowest) {
                block.write(row, lowest, self.ending);
            }
        }
    }
}

/// Sixteen columns of a slice.
#[derive(Clone, Copy)]
struct Block {
    x: usize,
    padded: usize,
    width: usize,
}

impl Block {
    #[inline(always)]
    fn write<S: Simd>(self, row: &mut [f32], squared: f32x16<S>, ending: Ending) {
        let values = if ending == Ending::Root { squared.sqrt() } else { squared };
        if self.x + LANES <= self.width {
            values.store_slice(&mut row[self.x..self.x + LANES]);
        } else {
            let mut all = [0.0; LANES];
            values.store_slice(&mut all);
            row[self.x..].copy_from_slice(&all[..self.width - self.x]);
        }
    }
}

/// Largest lane.
#[inline(always)]
fn maximum<S: Simd>(values: f32x16<S>) -> f32 {
    let mut lanes = [0.0; LANES];
    values.store_slice(&mut lanes);
    let mut half = [0.0; LANES / 2];
    for lane in 0..LANES / 2 {
        half[lane] = if lanes[lane] > lanes[lane + 8] { lanes[lane] } else { lanes[lane + 8] };
    }
    half.iter()
        .copied()
        .fold(half[0], |largest, value| if value > largest { value } else { largest })
}
