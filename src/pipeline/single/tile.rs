//! One piece of all maps: read, fitted, encoded, without leaving the processor's caches.

use std::ops::Range;

use super::Background;
use super::maps::MapKind;
use super::spread::PieceSpread;
use crate::error::Result;
use crate::image::{Mask, Volume};
use crate::io::nifti::{Compression, Oddities, PIECE_VOXELS, Piece};
use crate::model::{Detail, Estimator, FitBlock, FitStatus, LaneData};
use crate::pipeline::load::OpenSeries;

/// Neighbouring voxels that are fitted at once.
const BLOCK_VOXELS: usize = 512;

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
    fits: FitBlock,
}

/// Stored bytes of a tile, one slice per volume.
struct StoredTile<'a> {
    volumes: Vec<&'a [u8]>,
    start: usize,
}

/// Maps of a tile while they are drawn.
struct Canvas {
    start: usize,
    /// Bytes of each map.
    maps: Vec<Vec<u8>>,
    has_values: Vec<bool>,
    counts: [usize; FitStatus::ALL.len()],
    /// Values of each map of estimates.
    values: Vec<Vec<f64>>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(tiles: Tiles<'a>) -> Self {
        let n_parameters = tiles.estimator.parameters().len();
        Self {
            tiles,
            buffers: vec![Vec::new(); tiles.series.n_volumes()],
            samples: Vec::new(),
            packed: Vec::new(),
            fixed: Vec::new(),
            column: Vec::new(),
            fits: FitBlock::new(n_parameters, tiles.detail()),
        }
    }

    /// Makes the tile of this number; `progress` is told of every block.
    pub(super) fn make(&mut self, number: usize, progress: &dyn Fn(usize)) -> Result<Tile> {
        let tiles = self.tiles;
        let start = number * PIECE_VOXELS;
        let voxels = start..tiles.series.n_voxels().min(start + PIECE_VOXELS);
        let mut canvas = Canvas::new(&tiles, voxels.clone());
        let mut oddities = vec![Oddities::default(); tiles.series.n_files()];
        let inside = tiles.region.map(|region| part(region.indices(), &voxels));
        if inside.is_none_or(|inside| !inside.is_empty()) || tiles.series.may_be_odd() {
            let mut buffers = std::mem::take(&mut self.buffers);
            let volumes = tiles.series.stored(voxels.clone(), &mut buffers)?;
            let stored = StoredTile { volumes, start };
            for first in voxels.clone().step_by(BLOCK_VOXELS) {
                let block = first..voxels.end.min(first + BLOCK_VOXELS);
                let inside = inside.map(|inside| part(inside, &block));
                self.block(&stored, &block, inside, &mut oddities);
                let n_lanes = inside.map_or(block.len(), <[usize]>::len);
                if n_lanes > 0 {
                    canvas.draw(self, inside, block);
                    progress(n_lanes);
                }
            }
            drop(stored);
            self.buffers = buffers;
        }
        Ok(canvas.finish(&tiles, oddities))
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

    /// Values of a map of numbers, one per lane.
    fn column(&mut self, kind: MapKind) -> &[f64] {
        let Self { fits, column, .. } = self;
        let lanes = 0..fits.n_lanes();
        let sigma = self.tiles.sigma;
        column.clear();
        match kind {
            MapKind::Estimate(parameter) => return &fits.estimates[parameter],
            MapKind::StandardError(parameter) => {
                let variances = &fits.unscaled_variances[parameter];
                column.extend(lanes.map(|lane| {
                    let sigma = sigma.unwrap_or_else(|| fits.residual_variance(lane).sqrt());
                    sigma * variances[lane].sqrt()
                }));
            }
            MapKind::RSquared => column.extend(lanes.map(|lane| fits.r_squared(lane))),
            MapKind::ChiSquare => {
                let sigma = sigma.unwrap_or(f64::NAN);
                column.extend(lanes.map(|lane| match fits.degrees_of_freedom[lane] {
                    0 => f64::NAN,
                    degrees => {
                        fits.residual_sum_of_squares[lane] / sigma / sigma / f64::from(degrees)
                    }
                }));
            }
            MapKind::Uncertainty | MapKind::Status => {}
        }
        column
    }
}

impl Canvas {
    fn new(tiles: &Tiles<'_>, voxels: Range<usize>) -> Self {
        let n = voxels.len();
        let empty = |kind: &MapKind| match kind {
            MapKind::Status => vec![FitStatus::Outside.code(); n],
            kind => empty_value(*kind, tiles.background).to_le_bytes().repeat(n),
        };
        let is_estimate = |kind: &&MapKind| matches!(kind, MapKind::Estimate(_));
        Self {
            start: voxels.start,
            maps: tiles.maps.iter().map(empty).collect(),
            has_values: vec![false; tiles.maps.len()],
            counts: [0; FitStatus::ALL.len()],
            values: tiles.maps.iter().filter(is_estimate).map(|_| Vec::new()).collect(),
        }
    }

    /// Puts the fits of a block into the maps.
    fn draw(&mut self, worker: &mut Worker<'_>, inside: Option<&[usize]>, block: Range<usize>) {
        count(&worker.fits.status, &mut self.counts);
        let tiles = worker.tiles;
        let block = block.start - self.start..block.end - self.start;
        let start = self.start;
        let mut values = self.values.iter_mut();
        let maps = self.maps.iter_mut().zip(&mut self.has_values);
        for ((map, has_values), &kind) in maps.zip(tiles.maps) {
            if kind == MapKind::Status {
                let codes = worker.fits.status.iter().map(|status| [status.code()]);
                place(codes, inside, (start, &block), map);
                *has_values = true;
                continue;
            }
            let empty = empty_value(kind, tiles.background);
            let column = worker.column(kind);
            *has_values = *has_values || column.iter().any(|value| value.is_finite());
            let shown = column.iter().map(|&value| shown(value, empty).to_le_bytes());
            place(shown, inside, (start, &block), map);
            if let MapKind::Estimate(parameter) = kind
                && let Some(values) = values.next()
            {
                collect(&worker.fits, parameter, values);
            }
        }
    }

    fn finish(self, tiles: &Tiles<'_>, oddities: Vec<Oddities>) -> Tile {
        let piece = |bytes| Piece::new(bytes, tiles.compression);
        Tile {
            pieces: self.maps.into_iter().map(piece).collect(),
            has_values: self.has_values,
            counts: self.counts,
            spreads: self.values.iter().map(|values| PieceSpread::of(values)).collect(),
            oddities,
        }
    }
}

/// What stands where there is no estimate.
fn empty_value(kind: MapKind, background: Background) -> f32 {
    match (kind, background) {
        (MapKind::Estimate(_), Background::Nan) => f32::NAN,
        _ => 0.0,
    }
}

fn shown(value: f64, empty: f32) -> f32 {
    let stored = value as f32;
    if stored.is_finite() {
        stored
    } else if value.is_finite() {
        0.0
    } else {
        empty
    }
}

/// Writes one value per lane where its voxel is: at its index, or side by side from `block` on.
fn place<const N: usize>(
    values: impl Iterator<Item = [u8; N]>,
    inside: Option<&[usize]>,
    (start, block): (usize, &Range<usize>),
    map: &mut [u8],
) {
    let (map, _) = map.as_chunks_mut::<N>();
    match inside {
        Some(inside) => {
            for (&voxel, value) in inside.iter().zip(values) {
                map[voxel - start] = value;
            }
        }
        None => {
            for (place, value) in map[block.clone()].iter_mut().zip(values) {
                *place = value;
            }
        }
    }
}

/// Appends the estimates of `parameter` in the voxels whose headline has one.
fn collect(fits: &FitBlock, parameter: usize, values: &mut Vec<f64>) {
    let mut n = values.len();
    values.resize(n + fits.n_lanes(), 0.0);
    let headline = fits.status.iter().zip(&fits.estimates[0]);
    for ((status, first), &value) in headline.zip(&fits.estimates[parameter]) {
        values[n] = value;
        n += usize::from(status.has_estimate() & first.is_finite());
    }
    values.truncate(n);
}

/// Counts each status; in groups whose numbers fit into a byte, which the processor adds at once.
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
