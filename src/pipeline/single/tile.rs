//! One piece of all maps: read, fitted, encoded, without leaving the processor's caches.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

use std::ops::Range;

use fearless_simd::{Level, dispatch};

use super::Background;
use super::maps::MapKind;
use super::spread::PieceSpread;
use crate::error::Result;
use crate::image::{Mask, Volume};
use crate::io::nifti::{Compression, Oddities, PIECE_VOXELS, Piece};
use crate::model::{Detail, Estimator, FitBlock, FitStatus, LaneData};
use crate::pipeline::load::OpenSeries;

/// Neighbouring voxels that are fitted at once.
const BLOCK_VOXELS: usize = 2048;

/// What every tile is made of.
#[derive(Clone, Copy)]
pub(super) struct Tiles<'a> {
    pub(super) series: &'a OpenSeries,
    /// All voxels where there is none.
    pub(super) region: Option<&'a Mask>,
    pub(super) fixed: &'a [Volume<f64>],
    pub(super) estimator: &'a dyn Estimator,
    /// Noise level, where it is known.
    pub(super) sigma: Option<f64>,
    pub(super) maps: &'a [MapKind],
    pub(super) background: Background,
    pub(super) compression: Compression,
}

impl Tiles<'_> {
    pub(super) fn n_tiles(&self) -> usize {
        self.series.n_voxels().div_ceil(PIECE_VOXELS)
    }

    fn detail(&self) -> Detail {
        let is_plain = |kind: &MapKind| matches!(kind, MapKind::Estimate(_) | MapKind::Status);
        if self.maps.iter().all(is_plain) { Detail::Estimates } else { Detail::Everything }
    }
}

/// What became of a tile.
#[derive(Default)]
pub(super) struct Tile {
    /// One per map.
    pub(super) pieces: Vec<Piece>,
    /// Whether a map has a finite value here.
    pub(super) has_values: Vec<bool>,
    /// Voxels of each status, by its code.
    pub(super) counts: [usize; FitStatus::ALL.len()],
    /// One per map of estimates.
    pub(super) spreads: Vec<PieceSpread>,
    /// One per file.
    pub(super) oddities: Vec<Oddities>,
}

/// One thread's workspace.
pub(super) struct Worker<'a> {
    tiles: Tiles<'a>,
    buffers: Vec<Vec<u8>>,
    samples: Vec<f64>,
    packed: Vec<f64>,
    fixed: Vec<f64>,
    column: Vec<f64>,
    /// Values of each map of estimates.
    values: Vec<Vec<f64>>,
    fits: FitBlock,
    level: Level,
}

/// Stored bytes of a tile, one slice per volume.
struct StoredTile<'a> {
    volumes: Vec<&'a [u8]>,
    start: usize,
}

impl<'a> Worker<'a> {
    pub(super) fn new(tiles: Tiles<'a>) -> Self {
        let n_parameters = tiles.estimator.parameters().len();
        let is_estimate = |kind: &&MapKind| matches!(kind, MapKind::Estimate(_));
        Self {
            tiles,
            buffers: vec![Vec::new(); tiles.series.n_volumes()],
            samples: Vec::new(),
            packed: Vec::new(),
            fixed: Vec::new(),
            column: Vec::new(),
            values: tiles.maps.iter().filter(is_estimate).map(|_| Vec::new()).collect(),
            fits: FitBlock::new(n_parameters, tiles.detail()),
            level: Level::new(),
        }
    }

    /// Makes the tile of this number of the memory of `spare`; `progress` is told of every block.
    pub(super) fn make(
        &mut self,
        number: usize,
        spare: Option<Tile>,
        progress: &dyn Fn(usize),
    ) -> Result<Tile> {
        let tiles = self.tiles;
        let start = number * PIECE_VOXELS;
        let voxels = start..tiles.series.n_voxels().min(start + PIECE_VOXELS);
        let mut tile = spare.unwrap_or_default();
        self.clear(&mut tile, voxels.len());
        let inside = tiles.region.map(|region| part(region.indices(), &voxels));
        if inside.is_none_or(|inside| !inside.is_empty()) || tiles.series.may_be_odd() {
            let mut buffers = std::mem::take(&mut self.buffers);
            let volumes = tiles.series.stored(voxels.clone(), &mut buffers)?;
            let stored = StoredTile { volumes, start };
            for first in voxels.clone().step_by(BLOCK_VOXELS) {
                let block = first..voxels.end.min(first + BLOCK_VOXELS);
                let inside = inside.map(|inside| part(inside, &block));
                self.block(&stored, &block, inside, &mut tile.oddities);
                let n_lanes = inside.map_or(block.len(), <[usize]>::len);
                if n_lanes > 0 {
                    let lanes = match inside {
                        Some(inside) if n_lanes < block.len() => Lanes::Scattered(inside, start),
                        _ => Lanes::Together(block.start - start),
                    };
                    dispatch!(self.level, _simd => self.draw(lanes, &mut tile));
                    progress(n_lanes);
                }
            }
            drop(stored);
            self.buffers = buffers;
        }
        tile.pieces.iter_mut().for_each(|piece| piece.encode(tiles.compression));
        tile.spreads = self.values.iter().map(|values| PieceSpread::of(values)).collect();
        Ok(tile)
    }

    /// Makes `tile` one of `n_voxels` in which nothing is drawn yet.
    fn clear(&mut self, tile: &mut Tile, n_voxels: usize) {
        let tiles = self.tiles;
        self.values.iter_mut().for_each(Vec::clear);
        tile.has_values = vec![false; tiles.maps.len()];
        tile.counts = [0; FitStatus::ALL.len()];
        tile.oddities = vec![Oddities::default(); tiles.series.n_files()];
        tile.pieces.resize_with(tiles.maps.len(), Piece::default);
        for (piece, &kind) in tile.pieces.iter_mut().zip(tiles.maps) {
            let stored = piece.stored_mut();
            let width = if kind == MapKind::Status { 1 } else { size_of::<f32>() };
            stored.resize(width * n_voxels, 0);
            if tiles.region.is_none() {
                // Every voxel is drawn.
            } else if kind == MapKind::Status {
                stored.fill(FitStatus::Outside.code());
            } else {
                let empty = empty_value(kind, tiles.background).to_le_bytes();
                stored.as_chunks_mut().0.fill(empty);
            }
        }
    }

    /// Signals of a block, and the fits of its voxels `inside`; all where there is no mask.
    fn block(
        &mut self,
        stored: &StoredTile<'_>,
        block: &Range<usize>,
        inside: Option<&[usize]>,
        oddities: &mut [Oddities],
    ) {
        let Tiles { series, fixed, estimator, .. } = self.tiles;
        let n = block.len();
        self.samples.resize(stored.volumes.len() * n, 0.0);
        if inside.is_some_and(<[usize]>::is_empty) && !series.may_be_odd() {
            return;
        }
        let first = block.start - stored.start;
        series.signals_into(&stored.volumes, first, &mut self.samples, oddities);
        let n_lanes = inside.map_or(n, <[usize]>::len);
        if n_lanes == 0 {
            return;
        }
        self.packed.clear();
        if let Some(inside) = inside.filter(|_| n_lanes < n) {
            for row in self.samples.chunks_exact(n) {
                self.packed.extend(inside.iter().map(|voxel| row[voxel - block.start]));
            }
        }
        self.fixed.clear();
        for volume in fixed {
            match inside {
                Some(inside) => self.fixed.extend(inside.iter().map(|&v| volume.voxels()[v])),
                None => self.fixed.extend_from_slice(&volume.voxels()[block.clone()]),
            }
        }
        let samples = if n_lanes < n { &self.packed } else { &self.samples };
        let lanes = LaneData { samples, fixed: &self.fixed, n_lanes };
        estimator.estimate_block(lanes, &mut self.fits);
    }

    /// Puts the fits of a block into the maps.
    #[inline(always)]
    fn draw(&mut self, lanes: Lanes<'_>, tile: &mut Tile) {
        count(&self.fits.status, &mut tile.counts);
        let tiles = self.tiles;
        let mut n_estimates = 0;
        let maps = tile.pieces.iter_mut().zip(&mut tile.has_values);
        for ((piece, has_values), &kind) in maps.zip(tiles.maps) {
            let map = piece.stored_mut();
            if kind == MapKind::Status {
                place(&self.fits.status, |status| [status.code()], lanes, map);
                *has_values = true;
                continue;
            }
            let empty = empty_value(kind, tiles.background);
            self.column(kind);
            let column = match kind {
                MapKind::Estimate(parameter) => &self.fits.estimates[parameter],
                _ => &self.column,
            };
            *has_values |= column.iter().fold(false, |any, value| any | value.is_finite());
            place(column, |&value| shown(value, empty).to_le_bytes(), lanes, map);
            if let MapKind::Estimate(parameter) = kind {
                collect(&self.fits, parameter, &mut self.values[n_estimates]);
                n_estimates += 1;
            }
        }
    }

    /// Computes a map that is no column of the fits, one value per lane.
    #[inline(always)]
    fn column(&mut self, kind: MapKind) {
        let Self { fits, column, .. } = self;
        column.resize(fits.n_lanes(), 0.0);
        let residual = fits.residual_sum_of_squares.iter().zip(&fits.degrees_of_freedom);
        match (kind, self.tiles.sigma) {
            (MapKind::StandardError(parameter), Some(sigma)) => {
                let variances = &fits.unscaled_variances[parameter];
                for (value, variance) in column.iter_mut().zip(variances) {
                    *value = sigma * variance.sqrt();
                }
            }
            (MapKind::StandardError(parameter), None) => {
                let variances = &fits.unscaled_variances[parameter];
                for ((value, variance), residual) in column.iter_mut().zip(variances).zip(residual)
                {
                    *value = per_degree(residual).sqrt() * variance.sqrt();
                }
            }
            (MapKind::RSquared, _) => {
                let totals = fits.total_sum_of_squares.iter();
                let sums = totals.zip(&fits.residual_sum_of_squares);
                for (value, (&total, &residual)) in column.iter_mut().zip(sums) {
                    let r_squared = 1.0 - residual / total;
                    *value = if total > 0.0 { r_squared } else { f64::NAN };
                }
            }
            (MapKind::ChiSquare, sigma) => {
                let sigma = sigma.unwrap_or(f64::NAN);
                for (value, (&rss, degrees)) in column.iter_mut().zip(residual) {
                    *value = per_degree((&(rss / sigma / sigma), degrees));
                }
            }
            _ => {}
        }
    }
}

/// Where the lanes of a block are among the voxels of its tile.
#[derive(Clone, Copy)]
enum Lanes<'a> {
    /// Side by side from this voxel of the tile on.
    Together(usize),
    /// At these linear indices, of which the tile begins at the second number.
    Scattered(&'a [usize], usize),
}

/// A sum of squares over its degrees of freedom; NaN without any.
#[inline(always)]
fn per_degree((sum, degrees): (&f64, &u16)) -> f64 {
    let mean = sum / f64::from(*degrees);
    if *degrees == 0 { f64::NAN } else { mean }
}

/// What stands where there is no estimate.
fn empty_value(kind: MapKind, background: Background) -> f32 {
    match (kind, background) {
        (MapKind::Estimate(_), Background::Nan) => f32::NAN,
        _ => 0.0,
    }
}

#[inline(always)]
fn shown(value: f64, empty: f32) -> f32 {
    let stored = value as f32;
    let other = if value.is_finite() { 0.0 } else { empty };
    if stored.is_finite() { stored } else { other }
}

/// Writes one value per lane where its voxel is.
#[inline(always)]
fn place<T, const N: usize>(
    values: &[T],
    to_bytes: impl Fn(&T) -> [u8; N],
    lanes: Lanes<'_>,
    map: &mut [u8],
) {
    let (map, _) = map.as_chunks_mut::<N>();
    match lanes {
        Lanes::Together(first) => {
            for (place, value) in map[first..][..values.len()].iter_mut().zip(values) {
                *place = to_bytes(value);
            }
        }
        Lanes::Scattered(voxels, start) => {
            for (&voxel, value) in voxels.iter().zip(values) {
                map[voxel - start] = to_bytes(value);
            }
        }
    }
}

/// Appends the estimates of `parameter` in the voxels whose headline has one.
#[inline(always)]
fn collect(fits: &FitBlock, parameter: usize, values: &mut Vec<f64>) {
    let mut n = values.len();
    values.extend_from_slice(&fits.estimates[parameter]);
    let headline = fits.status.iter().zip(&fits.estimates[0]);
    let has_value =
        |(status, first): (&FitStatus, &f64)| u32::from(status.has_estimate() & first.is_finite());
    let n_values: u32 = headline.clone().map(has_value).sum();
    if n_values as usize == fits.n_lanes() {
        return;
    }
    for (lane, &value) in headline.zip(&fits.estimates[parameter]) {
        values[n] = value;
        n += has_value(lane) as usize;
    }
    values.truncate(n);
}

/// Counts each status; in groups whose numbers fit into a byte, which the processor adds at once.
#[inline(always)]
fn count(status: &[FitStatus], counts: &mut [usize; FitStatus::ALL.len()]) {
    for group in status.chunks(255) {
        let mut n_left = group.len();
        for (count, one) in counts.iter_mut().zip(FitStatus::ALL) {
            let n: u8 = group.iter().map(|&status| u8::from(status == one)).sum();
            *count += usize::from(n);
            n_left -= usize::from(n);
            if n_left == 0 {
                break;
            }
        }
    }
}

/// The `indices`, which rise, that lie in `range`.
fn part<'i>(indices: &'i [usize], range: &Range<usize>) -> &'i [usize] {
    let start = indices.partition_point(|&index| index < range.start);
    let end = indices.partition_point(|&index| index < range.end);
    &indices[start..end]
}
