//! The two images of one resolution, laid out for vectors.

use super::Metric;
use super::pyramid::{Window, finest_mm, smoothed, steps};
use crate::error::{Error, Result};
use crate::image::resample::resample_linear;
use crate::image::{Affine, Grid, Mask, Volume};
use crate::statistics::quantile::quantiles;

/// Voxels of a row that are worked on together.
pub(super) const LANES: usize = 16;

/// Bins of the joint histogram along each axis.
pub(super) const BINS: usize = 32;

/// Scaled moving values lie in this range; every cubic window around them lies within the bins.
const SCALED: [f32; 2] = [1.0, BINS as f32 - 2.001];

/// Values that the range of intensities is taken from, at most.
const RANGE_SAMPLES: usize = 100_000;

/// Standard deviation of the Gaussian before each resolution, in finest voxel spacings of it, the same
/// for both images. Without it noise makes positions between voxels, where interpolation averages it
/// out, unlike positions on them.
const SMOOTHING: f64 = 0.5;

/// Distance of samples in voxels: √5/2, whose multiples fill the unit interval evenly.
const SAMPLE_STEP: f64 = 1.118_033_988_749_895;

/// A range below this part of the values is rounding.
const FLAT: f32 = 1e-5;

/// Fewest samples that a resolution may have.
const MINIMUM_SAMPLES: usize = 100;

/// What is to be brought together: scanner coordinates relate the two images.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The image that stays.
    pub fixed: &'a Volume<f32>,
    /// The image that is moved onto it, on any grid.
    pub moving: &'a Volume<f32>,
    /// Voxels of the fixed image that are compared; all where there is none.
    pub fixed_mask: Option<&'a Mask>,
    /// Voxels of the moving image that may be compared; all where there is none.
    pub moving_mask: Option<&'a Mask>,
}

impl<'a> Pair<'a> {
    /// `moving` onto all of `fixed`.
    pub fn new(fixed: &'a Volume<f32>, moving: &'a Volume<f32>) -> Self {
        Self { fixed, moving, fixed_mask: None, moving_mask: None }
    }

    /// Passes when masks lie on the grids of their images.
    pub(super) fn check(&self) -> Result<()> {
        for (name, mask, image) in [
            ("fixed_mask", self.fixed_mask, self.fixed),
            ("moving_mask", self.moving_mask, self.moving),
        ] {
            if let Some(mask) = mask {
                image.grid().require_same(mask.grid()).map_err(|error| error.at_field(name))?;
                if mask.is_empty() {
                    return Err(Error::value("the mask is empty").at_field(name));
                }
                if mask.len() < MINIMUM_SAMPLES {
                    return Err(too_few(mask.len()).at_field(name));
                }
            }
        }
        Ok(())
    }
}

/// How coarse one resolution is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Resolution {
    /// Thinning in units of the finest voxel spacing: 1, 2, 4 …
    pub(super) factor: f64,
    /// Voxels of the fixed image that are compared, at most; thinned on a regular lattice.
    pub(super) samples_max: usize,
}

/// Samples of the fixed image: rows padded to whole vectors.
pub(super) struct Fixed {
    pub(super) grid: Grid,
    /// Row length, a multiple of [`LANES`].
    pub(super) stride: usize,
    /// `[nz, ny, stride]`, NaN where there is no sample.
    pub(super) values: Vec<f32>,
    /// Fixed bin · [`BINS`]; same shape.
    pub(super) keys: Vec<u16>,
    /// First and past-the-end block of [`LANES`] voxels with samples, per row.
    pub(super) blocks: Vec<[usize; 2]>,
    pub(super) n_samples: usize,
}

/// The moving image scaled to the bins, NaN where it has no value; one column more than voxels.
pub(super) struct Moving {
    pub(super) grid: Grid,
    pub(super) values: Vec<f32>,
    pub(super) stride: [usize; 3],
}

/// Both images of one resolution.
pub(super) struct Level {
    pub(super) fixed: Fixed,
    pub(super) moving: Moving,
    /// Finest voxel spacing of the thinned fixed image, mm.
    pub(super) spacing_mm: f64,
}

impl Level {
    /// # Errors
    ///
    /// `Value` when too few voxels can be compared or an image is constant where it is looked at.
    pub(super) fn new(pair: &Pair<'_>, resolution: Resolution, metric: Metric) -> Result<Self> {
        let fixed_window = fixed_window(pair, resolution)?;
        let finest = finest_mm(pair.fixed.grid()).max(finest_mm(pair.moving.grid()));
        let sigma_mm = [SMOOTHING * resolution.factor * finest; 3];
        let fixed = smoothed(pair.fixed, sigma_mm, &fixed_window)?;
        let fixed = masked(fixed, pair.fixed, pair.fixed_mask, &fixed_window);
        let fixed = resample_linear(&fixed, &incommensurate(fixed.grid())?)?.image;
        let step = steps(pair.moving.grid(), resolution.factor);
        let window = Window::centred([0; 3], pair.moving.grid().shape(), step);
        let moving = smoothed(pair.moving, sigma_mm, &window)?;
        let moving = masked(moving, pair.moving, pair.moving_mask, &window);
        let moving_range =
            intensity_range(moving.voxels(), metric).map_err(|error| error.at_field("moving"))?;
        let fixed_range =
            intensity_range(fixed.voxels(), metric).map_err(|error| error.at_field("fixed"))?;
        let scaled_range = if metric == Metric::MeanSquares { moving_range } else { fixed_range };
        Ok(Self {
            spacing_mm: finest_mm(fixed.grid()),
            fixed: Fixed::new(&fixed, scaled_range)?,
            moving: Moving::new(&moving, moving_range, metric),
        })
    }
}

impl Fixed {
    fn new(volume: &Volume<f32>, range: [f32; 2]) -> Result<Self> {
        let grid = *volume.grid();
        let [nx, ny, nz] = grid.shape();
        let stride = nx.next_multiple_of(LANES);
        let mut fixed = Self {
            grid,
            stride,
            values: vec![f32::NAN; stride * ny * nz],
            keys: vec![0; stride * ny * nz],
            blocks: Vec::with_capacity(ny * nz),
            n_samples: 0,
        };
        let [low, high] = range;
        let scale = (SCALED[1] - SCALED[0]) / (high - low);
        let per_bin = BINS as f32 / (high - low);
        for (row, values) in volume.voxels().chunks_exact(nx).enumerate() {
            let first = row * stride;
            let mut blocks = [usize::MAX, 0];
            for (x, &value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
                fixed.values[first + x] = SCALED[0] + (value - low) * scale;
                let bin = ((value - low) * per_bin).clamp(0.0, BINS as f32 - 1.0) as u16;
                fixed.keys[first + x] = bin * BINS as u16;
                blocks = [blocks[0].min(x / LANES), x / LANES + 1];
                fixed.n_samples += 1;
            }
            fixed.blocks.push(if blocks[1] == 0 { [0, 0] } else { blocks });
        }
        if fixed.n_samples < MINIMUM_SAMPLES {
            return Err(too_few(fixed.n_samples).at_field("fixed"));
        }
        Ok(fixed)
    }

    /// The voxels that are compared.
    pub(super) fn mask(&self) -> Mask {
        let nx = self.grid.shape()[0];
        Mask::new(Volume::from_fn(self.grid, |index| {
            self.values[index / nx * self.stride + index % nx].is_finite()
        }))
    }
}

impl Moving {
    fn new(volume: &Volume<f32>, [low, high]: [f32; 2], metric: Metric) -> Self {
        let [nx, ny, nz] = volume.grid().shape();
        let scale = (SCALED[1] - SCALED[0]) / (high - low);
        let limits =
            if metric.is_information() { SCALED } else { [f32::NEG_INFINITY, f32::INFINITY] };
        let row = nx + 1;
        let mut values = vec![0.0; row * ny * nz];
        for (from, to) in volume.voxels().chunks_exact(nx).zip(values.chunks_exact_mut(row)) {
            for (from, to) in from.iter().zip(&mut *to) {
                let scaled = SCALED[0] + (from - low) * scale;
                *to =
                    if scaled.is_finite() { scaled.clamp(limits[0], limits[1]) } else { f32::NAN };
            }
            to[nx] = to[nx - 1];
        }
        let stride = [1, if ny > 1 { row } else { 0 }, if nz > 1 { row * ny } else { 0 }];
        Self { grid: *volume.grid(), values, stride }
    }
}

fn too_few(n: usize) -> Error {
    Error::value(format!("{n} voxels can be compared, {MINIMUM_SAMPLES} are needed"))
        .hint("use a larger mask or an image with fewer missing values")
}

/// The box of the mask, thinned.
fn fixed_window(pair: &Pair<'_>, resolution: Resolution) -> Result<Window> {
    let grid = pair.fixed.grid();
    let (low, high) = match pair.fixed_mask {
        None => ([0; 3], grid.shape()),
        Some(mask) => mask.indices().iter().fold(([usize::MAX; 3], [0; 3]), |(low, high), &i| {
            let voxel = grid.voxel(i);
            ([0, 1, 2].map(|a| low[a].min(voxel[a])), [0, 1, 2].map(|a| high[a].max(voxel[a] + 1)))
        }),
    };
    let n_compared = pair.fixed_mask.map_or(grid.n_voxels(), Mask::len) as f64;
    let filled = n_compared / (0..3).map(|a| (high[a] - low[a]) as f64).product::<f64>();
    let mut step = steps(grid, resolution.factor);
    let spacing_mm = grid.affine().spacing_mm();
    loop {
        let window = Window::centred(low, high, step);
        let n = window.count.iter().product::<usize>() as f64 * filled;
        let can_thin = |a: &usize| window.count[*a] > 8;
        let finest = (0..3).filter(can_thin).min_by(|&a, &b| {
            (spacing_mm[a] * step[a] as f64).total_cmp(&(spacing_mm[b] * step[b] as f64))
        });
        match finest {
            Some(axis) if n > resolution.samples_max as f64 => step[axis] += 1,
            _ => return Ok(window),
        }
    }
}

/// A lattice over the same box whose samples fall on ever other places between the voxels of any
/// grid like the given one.
///
/// Where samples lie on the voxels of the moving image under one transform and between them under the
/// next, the noise that interpolation averages out makes the one unlike the other, and searches stick.
fn incommensurate(grid: &Grid) -> Result<Grid> {
    let shape = grid.shape().map(|n| ((n as f64 - 1.0) / SAMPLE_STEP).floor() as usize + 1);
    let first = [0, 1, 2]
        .map(|a| (grid.shape()[a] as f64 - 1.0 - SAMPLE_STEP * (shape[a] as f64 - 1.0)) / 2.0);
    let mut matrix = *grid.affine().matrix();
    let origin_mm = grid.affine().to_scanner(first);
    for (row, origin_mm) in matrix.iter_mut().zip(origin_mm) {
        for entry in row.iter_mut().take(3) {
            *entry *= SAMPLE_STEP;
        }
        row[3] = origin_mm;
    }
    Grid::new(shape, Affine::new(matrix)?)
}

/// NaN where the source has no value or the mask does not reach.
fn masked(
    mut thinned: Volume<f32>,
    source: &Volume<f32>,
    mask: Option<&Mask>,
    window: &Window,
) -> Volume<f32> {
    let grid = *thinned.grid();
    for (index, value) in thinned.voxels_mut().iter_mut().enumerate() {
        let voxel = grid.voxel(index);
        let at = source.grid().index([0, 1, 2].map(|a| window.position(a, voxel[a])));
        if !source.voxels()[at].is_finite() || mask.is_some_and(|mask| !mask.contains(at)) {
            *value = f32::NAN;
        }
    }
    thinned
}

/// Intensities from the first to the last bin: all but the outermost thousandths for measures of
/// information, which a few bright vessels must not squeeze into few bins.
fn intensity_range(values: &[f32], metric: Metric) -> Result<[f32; 2]> {
    let finite: Vec<f64> =
        values.iter().filter(|value| value.is_finite()).map(|&value| f64::from(value)).collect();
    let every = finite.len().div_ceil(RANGE_SAMPLES).max(1);
    let some: Vec<f64> = finite.iter().copied().step_by(every).collect();
    let whole =
        finite.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[l, h], &v| [l.min(v), h.max(v)]);
    let inner = quantiles(&some, [0.001, 0.999]).filter(|[low, high]| low < high);
    let [low, high] = match inner {
        Some(inner) if metric.is_information() => inner,
        _ => whole,
    };
    let range = [low as f32, high as f32];
    let width = range[1] - range[0];
    if width > FLAT * range[0].abs().max(range[1].abs()) && width.is_finite() {
        return Ok(range);
    }
    if finite.is_empty() {
        return Err(Error::value("no voxel that is compared has a finite value"));
    }
    Err(Error::value(format!("every voxel that is compared is {low:.4}: nothing can be aligned"))
        .hint("use a mask that holds more than one tissue, or another image"))
}
