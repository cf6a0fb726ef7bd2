//! One slice of the fixed image, sixteen voxels at a time: where they lie in the moving image, what
//! is there, and how much each parameter of the transform matters.
//!
//! The spline is collapsed one axis after the other: along z once per slice, along y once per row, so
//! that a voxel costs four multiplications per component. Every instruction set with fused
//! multiply-add does the same operations.

#![allow(
    clippy::inline_always,
    reason = "a kernel is compiled for the instruction set of the function it is inlined into"
)]

use fearless_simd::prelude::*;
use fearless_simd::{f32x16, u32x16};

use super::level::{BINS, Fixed, LANES, Moving};
use super::metric::{Slope, Sums};
use super::warp::{Spline, Warp};

/// Columns that are kept per voxel: the moving intensity and its derivatives along three axes of the
/// moving grid; 0 where the voxel does not lie in both images.
pub(super) const COLUMNS: usize = 4;

/// Positions are inside up to the outer faces of the border voxels, half a voxel from their centres.
const REACH: f32 = 0.5;

/// Memory of one worker.
pub(super) struct Scratch {
    /// Control points collapsed along z, `[n_y, n_x]` per component.
    plane: [Vec<f32>; 3],
    /// Those collapsed along y, `[n_x]` per component.
    line: [Vec<f32>; 3],
    /// Displacement of every voxel of a row, voxels.
    shift: [Vec<f32>; 3],
    /// Derivative with respect to the moving intensity, one row.
    slopes: Vec<f32>,
    /// Derivatives collected along y, `[n_y, 3, stride]`.
    collected: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(fixed: &Fixed, warp: &Warp<'_>) -> Self {
        let [n_x, n_y] = warp.lattice.as_ref().map_or([0, 0], |spline| {
            [spline.on_grid.along[0].n_nodes, spline.on_grid.along[1].n_nodes]
        });
        Self {
            plane: [0; 3].map(|_| vec![0.0; n_x * n_y]),
            line: [0; 3].map(|_| vec![0.0; n_x]),
            shift: [0; 3].map(|_| vec![0.0; fixed.stride + LANES]),
            slopes: vec![0.0; fixed.stride],
            collected: vec![0.0; n_y * 3 * fixed.stride],
        }
    }
}

/// Looks up slice `k`: fills `columns`, `[ny, COLUMNS, stride]`, and adds its samples to `sums`.
#[inline(always)]
pub(super) fn look_up<S: Simd>(
    simd: S,
    (fixed, moving, warp): (&Fixed, &Moving, &Warp<'_>),
    k: usize,
    scratch: &mut Scratch,
    (columns, sums): (&mut [f32], &mut Sums),
) {
    let ny = fixed.grid.shape()[1];
    if let Some(spline) = &warp.lattice {
        collapse_z(spline, k, &mut scratch.plane);
    }
    for (j, columns) in columns.chunks_exact_mut(COLUMNS * fixed.stride).enumerate() {
        let row = j + ny * k;
        let blocks = fixed.blocks[row];
        if blocks[0] >= blocks[1] {
            continue;
        }
        if let Some(spline) = &warp.lattice {
            collapse_y(spline, j, scratch);
            spread_x(simd, spline, blocks, scratch);
        }
        let start =
            warp.matrix.map(|m| [m[0] as f32, (m[1] * j as f64 + m[2] * k as f64 + m[3]) as f32]);
        let values = &fixed.values[row * fixed.stride..(row + 1) * fixed.stride];
        let shift = warp.lattice.as_ref().map(|_| &scratch.shift);
        for block in blocks[0]..blocks[1] {
            let x = block * LANES;
            let is_sample = f32x16::from_slice(simd, &values[x..x + LANES]);
            let position = positions(simd, &start, x, shift);
            let [value, slopes @ ..] = interpolate(simd, moving, position, is_sample);
            value.store_slice(&mut columns[x..x + LANES]);
            for (axis, slope) in slopes.iter().enumerate() {
                let at = (axis + 1) * fixed.stride + x;
                slope.store_slice(&mut columns[at..at + LANES]);
            }
        }
        let range = blocks[0] * LANES..blocks[1] * LANES;
        let keys = &fixed.keys[row * fixed.stride..(row + 1) * fixed.stride];
        if sums.powers.is_empty() {
            add_moments(&values[range.clone()], &columns[range], &mut sums.moments);
        } else {
            add_powers(&keys[range.clone()], &columns[range], &mut sums.powers);
        }
    }
}

/// Positions of sixteen voxels from `x` in the moving image.
#[inline(always)]
fn positions<S: Simd>(
    simd: S,
    start: &[[f32; 2]; 3],
    x: usize,
    shift: Option<&[Vec<f32>; 3]>,
) -> [f32x16<S>; 3] {
    const STEPS: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];
    let along = f32x16::from_slice(simd, &STEPS) + x as f32;
    let mut position = [along; 3];
    for axis in 0..3 {
        let offset = f32x16::splat(simd, start[axis][1]);
        position[axis] = along.mul_add(f32x16::splat(simd, start[axis][0]), offset);
        if let Some(shift) = shift {
            position[axis] += f32x16::from_slice(simd, &shift[axis][x..x + LANES]);
        }
    }
    position
}

/// Trilinear value and derivatives; all 0 outside, where a neighbour has no value, and where
/// `is_sample` is NaN.
#[inline(always)]
fn interpolate<S: Simd>(
    simd: S,
    moving: &Moving,
    position: [f32x16<S>; 3],
    is_sample: f32x16<S>,
) -> [f32x16<S>; 4] {
    let zero = f32x16::splat(simd, 0.0);
    let shape = moving.grid.shape();
    let mut is_inside = is_sample.simd_eq(is_sample);
    let mut base = u32x16::splat(simd, 0);
    let mut fraction = [zero; 3];
    let mut moves = [is_inside; 3];
    for axis in 0..3 {
        let last = shape[axis] as f32 - 1.0;
        let at = position[axis];
        is_inside = is_inside & at.simd_ge(-REACH) & at.simd_le(last + REACH);
        moves[axis] = at.simd_ge(0.0) & at.simd_le(last);
        let clamped = at.max(zero).min(f32x16::splat(simd, last));
        let floor = clamped.floor().min(f32x16::splat(simd, (last - 1.0).max(0.0)));
        fraction[axis] = clamped - floor;
        let index: u32x16<S> = floor.to_int();
        base += index * u32x16::splat(simd, moving.stride[axis] as u32);
    }
    if !is_inside.any_true() {
        return [zero; 4];
    }
    let [x, y, z] = fraction;
    let [v00, d00, v10, d10, v01, d01, v11, d11] = corners(simd, moving, base, x);
    let (v0, d0) = ((v10 - v00).mul_add(y, v00), (d10 - d00).mul_add(y, d00));
    let (v1, d1) = ((v11 - v01).mul_add(y, v01), (d11 - d01).mul_add(y, d01));
    let value = (v1 - v0).mul_add(z, v0);
    let along_x = (d1 - d0).mul_add(z, d0);
    let along_y = ((v11 - v01) - (v10 - v00)).mul_add(z, v10 - v00);
    let is_inside = is_inside & value.simd_eq(value);
    [
        is_inside.select(value, zero),
        (is_inside & moves[0]).select(along_x, zero),
        (is_inside & moves[1]).select(along_y, zero),
        (is_inside & moves[2]).select(v1 - v0, zero),
    ]
}

/// Values at fraction `x` and differences along x on the four edges (y, z) = 00, 10, 01, 11.
#[inline(always)]
fn corners<S: Simd>(simd: S, moving: &Moving, base: u32x16<S>, x: f32x16<S>) -> [f32x16<S>; 8] {
    let [_, row, slice] = moving.stride;
    let offsets = [0, row, slice, row + slice];
    let base = base.to_array();
    let mut found = [x; 8];
    for edge in 0..4 {
        let mut pairs = [0.0_f32; 2 * LANES];
        for lane in 0..LANES {
            let at = base[lane] as usize + offsets[edge];
            if let Some(pair) = moving.values.get(at..at + 2) {
                pairs[2 * lane] = pair[0];
                pairs[2 * lane + 1] = pair[1];
            }
        }
        let low = f32x16::from_slice(simd, &pairs[..LANES]);
        let (left, right) = low.deinterleave(f32x16::from_slice(simd, &pairs[LANES..]));
        found[2 * edge + 1] = right - left;
        found[2 * edge] = (right - left).mul_add(x, left);
    }
    found
}

#[inline(always)]
fn add_powers(keys: &[u16], values: &[f32], powers: &mut [[f64; 4]]) {
    for (&key, &value) in keys.iter().zip(values) {
        let interval = value as usize;
        let t = f64::from(value - interval as f32);
        if let Some(sum) = powers.get_mut(usize::from(key) + interval) {
            let t2 = t * t;
            sum[0] += 1.0;
            sum[1] += t;
            sum[2] += t2;
            sum[3] += t2 * t;
        }
    }
}

/// n, Σf, Σm, Σff, Σmm, Σfm over the samples in both images.
#[inline(always)]
fn add_moments(fixed: &[f32], moving: &[f32], moments: &mut [f64; 6]) {
    for (&f, &m) in fixed.iter().zip(moving) {
        // Scaled values begin at 1.
        if m > 0.5 {
            let (f, m) = (f64::from(f), f64::from(m));
            for (sum, term) in moments.iter_mut().zip([1.0, f, m, f * f, m * m, f * m]) {
                *sum += term;
            }
        }
    }
}

#[inline(always)]
fn collapse_z(spline: &Spline<'_>, k: usize, plane: &mut [Vec<f32>; 3]) {
    let along = &spline.on_grid.along[2];
    for (plane, nodes) in plane.iter_mut().zip(&spline.coefficients) {
        let n = plane.len();
        plane.fill(0.0);
        for (q, &weight) in along.weights[k].iter().enumerate() {
            let from = (along.base[k] + q) * n;
            for (sum, node) in plane.iter_mut().zip(&nodes[from..from + n]) {
                *sum += weight * node;
            }
        }
    }
}

#[inline(always)]
fn collapse_y(spline: &Spline<'_>, j: usize, scratch: &mut Scratch) {
    let along = &spline.on_grid.along[1];
    for (line, plane) in scratch.line.iter_mut().zip(&scratch.plane) {
        let n = line.len();
        line.fill(0.0);
        for (q, &weight) in along.weights[j].iter().enumerate() {
            let from = (along.base[j] + q) * n;
            for (sum, node) in line.iter_mut().zip(&plane[from..from + n]) {
                *sum += weight * node;
            }
        }
    }
}

/// Displacement of every voxel of a row. An interval may write past its end; the next one corrects it.
#[inline(always)]
fn spread_x<S: Simd>(simd: S, spline: &Spline<'_>, blocks: [usize; 2], scratch: &mut Scratch) {
    let [low, high] = blocks.map(|block| block * LANES);
    let weights = &spline.on_grid.row_weights;
    for interval in &spline.on_grid.intervals {
        if interval.end <= low || interval.start >= high {
            continue;
        }
        let mut nodes = [[f32x16::splat(simd, 0.0); 4]; 3];
        for (nodes, line) in nodes.iter_mut().zip(&scratch.line) {
            for (q, node) in nodes.iter_mut().enumerate() {
                *node = f32x16::splat(simd, line[interval.base + q]);
            }
        }
        let mut x = interval.start;
        while x < interval.end {
            let lanes = x..x + LANES;
            let weight = [
                f32x16::from_slice(simd, &weights[0][lanes.clone()]),
                f32x16::from_slice(simd, &weights[1][lanes.clone()]),
                f32x16::from_slice(simd, &weights[2][lanes.clone()]),
                f32x16::from_slice(simd, &weights[3][lanes.clone()]),
            ];
            for (node, shift) in nodes.iter().zip(&mut scratch.shift) {
                let sum = weight[1].mul_add(node[1], weight[0] * node[0]);
                let sum = weight[3].mul_add(node[3], weight[2].mul_add(node[2], sum));
                sum.store_slice(&mut shift[lanes.clone()]);
            }
            x += LANES;
        }
    }
}

/// Derivatives with respect to the matrix of the warp from the columns of slice `k`.
#[inline(always)]
pub(super) fn collect_matrix<S: Simd>(
    simd: S,
    fixed: &Fixed,
    slope: &Slope,
    (k, columns): (usize, &[f32]),
    scratch: &mut Scratch,
) -> [[f64; 4]; 3] {
    const STEPS: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];
    let ny = fixed.grid.shape()[1];
    let steps = f32x16::from_slice(simd, &STEPS);
    let mut gradient = [[0.0; 4]; 3];
    for (j, columns) in columns.chunks_exact(COLUMNS * fixed.stride).enumerate() {
        let row = j + ny * k;
        let blocks = fixed.blocks[row];
        if blocks[0] >= blocks[1] {
            continue;
        }
        row_slopes(fixed, slope, row, columns, &mut scratch.slopes);
        let mut sums = [[f32x16::splat(simd, 0.0); 2]; 3];
        for block in blocks[0]..blocks[1] {
            let x = block * LANES;
            let slope = f32x16::from_slice(simd, &scratch.slopes[x..x + LANES]);
            let place = steps + x as f32;
            for (axis, sums) in sums.iter_mut().enumerate() {
                let at = (axis + 1) * fixed.stride + x;
                let product = slope * f32x16::from_slice(simd, &columns[at..at + LANES]);
                sums[0] += product;
                sums[1] = product.mul_add(place, sums[1]);
            }
        }
        for axis in 0..3 {
            let total = in_order(sums[axis][0].to_array());
            gradient[axis][0] += in_order(sums[axis][1].to_array());
            gradient[axis][1] += total * j as f64;
            gradient[axis][2] += total * k as f64;
            gradient[axis][3] += total;
        }
    }
    gradient
}

fn in_order(lanes: [f32; 16]) -> f64 {
    lanes.iter().map(|&lane| f64::from(lane)).sum()
}

/// Derivatives with respect to the control points collapsed along z, moving voxels,
/// `[n_y, n_x]` per component.
#[inline(always)]
pub(super) fn collect_spline<S: Simd>(
    simd: S,
    (fixed, spline): (&Fixed, &Spline<'_>),
    slope: &Slope,
    (k, columns): (usize, &[f32]),
    scratch: &mut Scratch,
) -> [Vec<f64>; 3] {
    let ny = fixed.grid.shape()[1];
    let along = &spline.on_grid.along[1];
    scratch.collected.fill(0.0);
    for (j, columns) in columns.chunks_exact(COLUMNS * fixed.stride).enumerate() {
        let row = j + ny * k;
        let blocks = fixed.blocks[row];
        if blocks[0] >= blocks[1] {
            continue;
        }
        row_slopes(fixed, slope, row, columns, &mut scratch.slopes);
        for block in blocks[0]..blocks[1] {
            let x = block * LANES;
            let slope = f32x16::from_slice(simd, &scratch.slopes[x..x + LANES]);
            for axis in 0..3 {
                let at = (axis + 1) * fixed.stride + x;
                let product = slope * f32x16::from_slice(simd, &columns[at..at + LANES]);
                for (q, &weight) in along.weights[j].iter().enumerate() {
                    let at = ((along.base[j] + q) * 3 + axis) * fixed.stride + x;
                    let sum = &mut scratch.collected[at..at + LANES];
                    let weight = f32x16::splat(simd, weight);
                    product.mul_add(weight, f32x16::from_slice(simd, sum)).store_slice(sum);
                }
            }
        }
    }
    collapse_x(fixed, spline, &scratch.collected)
}

fn collapse_x(fixed: &Fixed, spline: &Spline<'_>, collected: &[f32]) -> [Vec<f64>; 3] {
    let [along_x, along_y, _] = &spline.on_grid.along;
    let mut gradient = [0; 3].map(|_| vec![0.0; along_x.n_nodes * along_y.n_nodes]);
    for (at, row) in collected.chunks_exact(fixed.stride).enumerate() {
        let (node_y, axis) = (at / 3, at % 3);
        let nodes = &mut gradient[axis][node_y * along_x.n_nodes..][..along_x.n_nodes];
        for ((&value, &base), weights) in row.iter().zip(&along_x.base).zip(&along_x.weights) {
            for (node, &weight) in nodes[base..base + 4].iter_mut().zip(weights) {
                *node += f64::from(value) * f64::from(weight);
            }
        }
    }
    gradient
}

/// Derivative of the measure with respect to the moving intensity at every voxel of a row.
#[inline(always)]
fn row_slopes(fixed: &Fixed, slope: &Slope, row: usize, columns: &[f32], slopes: &mut [f32]) {
    let [low, high] = fixed.blocks[row].map(|block| block * LANES);
    let whole = row * fixed.stride;
    let values = &columns[low..high];
    let slopes = &mut slopes[low..high];
    match slope {
        Slope::Table(table) => {
            let keys = &fixed.keys[whole + low..whole + high];
            for ((slope, &value), &key) in slopes.iter_mut().zip(values).zip(keys) {
                let interval = (value as usize).min(BINS - 1);
                let t = value - interval as f32;
                if let Some(c) = table.get(usize::from(key) + interval) {
                    *slope = c[0] + t * (c[1] + t * c[2]);
                }
            }
        }
        Slope::Linear([a, b, c]) => {
            let fixed = &fixed.values[whole + low..whole + high];
            for ((slope, &m), &f) in slopes.iter_mut().zip(values).zip(fixed) {
                *slope = if m > 0.5 { a * f + b * m + c } else { 0.0 };
            }
        }
    }
}
