//! Mean distances from mean, median and robust mean, in two passes.
//!
//! # Reference
//!
//! Zwanenburg et al., "The Image Biomarker Standardization Initiative", Radiology 295 (2020),
//! doi:10.1148/radiol.2020191145 (features 4FUD, 1128 and N72L).

#![allow(clippy::inline_always, reason = "kernels are compiled into the dispatching function")]

use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd, dispatch, f64x8};

use crate::statistics::lanes::{BLOCK, Compensated, fold};

/// Mean distances, unit of the values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Distances {
    pub(super) from_mean: f64,
    pub(super) from_median: f64,
    /// From their own mean, of the values within the limits; 0 where none lies there: of 2 or 3
    /// values the interpolated limits can fall between values.
    pub(super) robust: f64,
}

impl Distances {
    /// Of at least one value, all finite; `centres` are mean and median, `limits` are included.
    pub(super) fn of(values: &[f64], centres: [f64; 2], limits: [f64; 2]) -> Self {
        let level = Level::new();
        let n = values.len() as f64;
        let [_, median] = centres;
        let [from_mean, from_median, inside, n_inside] =
            dispatch!(level, simd => from_centres(simd, values, centres, limits));
        let robust = if n_inside > 0.0 {
            let centre = median + inside / n_inside;
            dispatch!(level, simd => from_robust_mean(simd, values, centre, limits)) / n_inside
        } else {
            0.0
        };
        Self { from_mean: from_mean / n, from_median: from_median / n, robust }
    }
}

/// Σ |x − mean|, Σ |x − median|, and of the values within the limits Σ (x − median) and their number.
#[inline(always)]
fn from_centres<S: Simd>(
    simd: S,
    values: &[f64],
    [mean, median]: [f64; 2],
    [low, high]: [f64; 2],
) -> [f64; 4] {
    let (zero, one) = (f64x8::splat(simd, 0.0), f64x8::splat(simd, 1.0));
    let mut totals = [Compensated::default(); 4];
    for block in values.chunks(BLOCK) {
        let mut lanes = [zero; 4];
        let mut rest = [0.0; 4];
        let mut eights = block.chunks_exact(8);
        for eight in &mut eights {
            let value = f64x8::from_slice(simd, eight);
            let away = value - f64x8::splat(simd, median);
            let inside =
                value.simd_ge(f64x8::splat(simd, low)) & value.simd_le(f64x8::splat(simd, high));
            lanes[0] += (value - f64x8::splat(simd, mean)).abs();
            lanes[1] += away.abs();
            lanes[2] += inside.select(away, zero);
            lanes[3] += inside.select(one, zero);
        }
        for &value in eights.remainder() {
            rest[0] += (value - mean).abs();
            rest[1] += (value - median).abs();
            if low <= value && value <= high {
                rest[2] += value - median;
                rest[3] += 1.0;
            }
        }
        for i in 0..4 {
            totals[i].add(fold(lanes[i]) + rest[i]);
        }
    }
    totals.map(Compensated::value)
}

/// Σ |x − centre| of the values within the limits.
#[inline(always)]
fn from_robust_mean<S: Simd>(simd: S, values: &[f64], centre: f64, [low, high]: [f64; 2]) -> f64 {
    let zero = f64x8::splat(simd, 0.0);
    let mut total = Compensated::default();
    for block in values.chunks(BLOCK) {
        let mut lanes = zero;
        let mut rest = 0.0;
        let mut eights = block.chunks_exact(8);
        for eight in &mut eights {
            let value = f64x8::from_slice(simd, eight);
            let inside =
                value.simd_ge(f64x8::splat(simd, low)) & value.simd_le(f64x8::splat(simd, high));
            lanes += inside.select((value - f64x8::splat(simd, centre)).abs(), zero);
        }
        for &value in eights.remainder() {
            if low <= value && value <= high {
                rest += (value - centre).abs();
            }
        }
        total.add(fold(lanes) + rest);
    }
    total.value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;
    use crate::statistics::moments::sum;

    #[test]
    fn distances_are_those_of_compensated_sums() {
        let mut stream = StreamKey::new(6, "distances").stream(0, 0);
        for n in [1, 5, 8, 513, 7001] {
            let values: Vec<f64> = (0..n).map(|_| 40.0 + stream.normal()).collect();
            let (centres, limits) = ([40.1, 39.9], [39.0, 41.5]);
            let found = Distances::of(&values, centres, limits);
            let mean = |chosen: &[f64], centre: f64| {
                sum(chosen.iter().map(|value| (value - centre).abs())) / chosen.len() as f64
            };
            let inside: Vec<f64> =
                values.iter().copied().filter(|x| (39.0..=41.5).contains(x)).collect();
            let robust = if inside.is_empty() {
                0.0
            } else {
                mean(&inside, sum(inside.iter().copied()) / inside.len() as f64)
            };
            for (value, expected) in [
                (found.from_mean, mean(&values, 40.1)),
                (found.from_median, mean(&values, 39.9)),
                (found.robust, robust),
            ] {
                assert!((value - expected).abs() <= 1e-13 * expected, "{n}: {value}, {expected}");
            }
        }
    }
}
