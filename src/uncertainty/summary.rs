//! What the replicates of one voxel say of one parameter.

#![allow(
    clippy::inline_always,
    reason = "vector code works only inside the function that has its instructions"
)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f64x8};

/// Φ(−1): lower edge of the central 68.27 %.
const LOWER_TAIL_68: f64 = 0.158_655_253_931_457_05;

/// Lower edge of the central 95 %, and its distance from the mean in SD of a normal.
const LOWER_TAIL_95: (f64, f64) = (0.025, 1.959_963_984_540_054);

/// Standard errors of a quantile, times 1.5, that the first window reaches to each side: three.
const WINDOW: f64 = 4.5;

/// Candidates that are ranked by comparing each with each.
const FEW: usize = 32;

/// Number, mean and spread of finite values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    pub(super) n: usize,
    pub(super) mean: f64,
    /// n − 1; exactly 0 where all values are equal.
    pub(super) standard_deviation: f64,
}

impl Moments {
    /// Sums of 32 interleaved parts in a fixed order; NaN below two values.
    pub(super) fn of(level: Level, values: &[f64]) -> Self {
        let n = values.len();
        let Some(&origin) = values.first() else {
            return Self { n, mean: f64::NAN, standard_deviation: f64::NAN };
        };
        let [sum, squares] = dispatch!(level, simd => deviations(simd, values, origin));
        let shift = sum / n as f64;
        let variance = (squares - sum * shift) / (n as f64 - 1.0);
        // Rounding may leave a variance just below 0; NaN must stay NaN.
        let variance = if variance < 0.0 { 0.0 } else { variance };
        Self { n, mean: origin + shift, standard_deviation: variance.sqrt() }
    }
}

/// Fourth central moment over the squared second one; NaN without spread.
pub(super) fn kurtosis(values: &[f64], moments: Moments) -> f64 {
    let (mut second, mut fourth) = (0.0, 0.0);
    for value in values {
        let square = (value - moments.mean).powi(2);
        second += square;
        fourth += square * square;
    }
    values.len() as f64 * fourth / (second * second)
}

/// Σ (x − origin) and Σ (x − origin)²: the origin is one of the values, so that a spread of exactly
/// 0 stays exactly 0 and little is lost by cancellation.
#[inline(always)]
fn deviations<S: Simd>(simd: S, values: &[f64], origin: f64) -> [f64; 2] {
    let from = f64x8::splat(simd, origin);
    let zero = f64x8::splat(simd, 0.0);
    let mut sums = [[zero; 4]; 2];
    let chunks = values.chunks_exact(32);
    let mut rest = [origin; 32];
    rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    for chunk in chunks {
        add_deviations(simd, chunk, from, &mut sums);
    }
    add_deviations(simd, &rest, from, &mut sums);
    [total(sums[0]), total(sums[1])]
}

#[inline(always)]
fn add_deviations<S: Simd>(
    simd: S,
    chunk: &[f64],
    from: f64x8<S>,
    [sums, squares]: &mut [[f64x8<S>; 4]; 2],
) {
    let mut part = 0;
    while part < 4 {
        let deviation = f64x8::from_slice(simd, &chunk[8 * part..8 * part + 8]) - from;
        sums[part] += deviation;
        squares[part] = deviation.mul_add(deviation, squares[part]);
        part += 1;
    }
}

#[inline(always)]
fn total<S: Simd>(parts: [f64x8<S>; 4]) -> f64 {
    let lanes = ((parts[0] + parts[1]) + (parts[2] + parts[3])).to_array();
    ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
        + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
}

/// Buffers for [`interval_68`] and [`interval_95`].
#[derive(Debug, Default)]
pub(super) struct Room {
    tails: [Vec<f64>; 2],
    few: Vec<f64>,
}

/// Φ(−1) and Φ(1) quantiles of at least two finite `values` by linear interpolation (type 7).
///
/// Equal to the answer of a full sort. `moments` are those of the values and only guide the search.
pub(super) fn interval_68(
    level: Level,
    values: &[f64],
    moments: Moments,
    room: &mut Room,
) -> [f64; 2] {
    let sd = moments.standard_deviation;
    let tails = Tails { lower: LOWER_TAIL_68, mean: moments.mean, reach: sd, sd };
    dispatch!(level, simd => central(simd, values, tails, room))
}

/// 2.5 % and 97.5 % quantiles; otherwise as [`interval_68`].
pub(super) fn interval_95(
    level: Level,
    values: &[f64],
    moments: Moments,
    room: &mut Room,
) -> [f64; 2] {
    let (lower, distance) = LOWER_TAIL_95;
    let sd = moments.standard_deviation;
    let tails = Tails { lower, mean: moments.mean, reach: distance * sd, sd };
    dispatch!(level, simd => central(simd, values, tails, room))
}

/// A lower tail, and where its quantile and that of the upper tail are looked for: mean ∓ reach.
#[derive(Clone, Copy)]
struct Tails {
    lower: f64,
    mean: f64,
    reach: f64,
    sd: f64,
}

#[inline(always)]
fn central<S: Simd>(simd: S, values: &[f64], tails: Tails, room: &mut Room) -> [f64; 2] {
    let last = (values.len() - 1) as f64;
    let positions = [tails.lower * last, (1.0 - tails.lower) * last];
    let half = WINDOW * tails.sd / (values.len() as f64).sqrt();
    let (low, high) = (tails.mean - tails.reach, tails.mean + tails.reach);
    let bounds = [[low - half, low + half], [high - half, high + half]];
    let below = both_windows(simd, values, bounds, &mut room.tails);
    let mut interval = [0.0; 2];
    let mut tail = 0;
    while tail < 2 {
        let rank = (positions[tail] as usize).min(values.len() - 2);
        let kept = &mut room.tails[tail];
        let [at, above] = if below[tail] <= rank && rank + 2 <= below[tail] + kept.len() {
            within(simd, kept, rank - below[tail], (bounds[tail], &mut room.few))
        } else {
            kept.clear();
            kept.extend_from_slice(values);
            by_selection(kept, rank)
        };
        interval[tail] = at + (positions[tail] - rank as f64) * (above - at);
        tail += 1;
    }
    interval
}

#[derive(Clone, Copy)]
struct Window<S: Simd> {
    low: f64x8<S>,
    high: f64x8<S>,
}

impl<S: Simd> Window<S> {
    #[inline(always)]
    fn new(simd: S, [low, high]: [f64; 2]) -> Self {
        Self { low: f64x8::splat(simd, low), high: f64x8::splat(simd, high) }
    }

    /// Appends the lanes of `x` in low..high to `kept`; counts those below and those kept.
    #[inline(always)]
    fn keep(self, x: f64x8<S>, kept: &mut [f64], [below, n]: &mut [usize; 2]) {
        let is_below = x.simd_lt(self.low);
        let inside = x.simd_lt(self.high) & !is_below;
        x.compress(inside).store_slice(&mut kept[*n..*n + 8]);
        *below += is_below.to_bitmask().count_ones() as usize;
        *n += inside.to_bitmask().count_ones() as usize;
    }
}

/// Values inside each of two windows, in one pass; gives how many lie below each.
#[inline(always)]
fn both_windows<S: Simd>(
    simd: S,
    values: &[f64],
    bounds: [[f64; 2]; 2],
    tails: &mut [Vec<f64>; 2],
) -> [usize; 2] {
    let (lower, upper) = (Window::new(simd, bounds[0]), Window::new(simd, bounds[1]));
    tails[0].resize(values.len() + 8, 0.0);
    tails[1].resize(values.len() + 8, 0.0);
    let [first, second] = tails;
    let (kept_low, kept_high) = (first.as_mut_slice(), second.as_mut_slice());
    let (mut n_low, mut n_high) = ([0; 2], [0; 2]);
    let chunks = values.chunks_exact(8);
    let mut rest = [f64::INFINITY; 8];
    rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    for chunk in chunks {
        let x = f64x8::from_slice(simd, chunk);
        lower.keep(x, kept_low, &mut n_low);
        upper.keep(x, kept_high, &mut n_high);
    }
    let x = f64x8::from_slice(simd, &rest);
    lower.keep(x, kept_low, &mut n_low);
    upper.keep(x, kept_high, &mut n_high);
    first.truncate(n_low[1]);
    second.truncate(n_high[1]);
    [n_low[0], n_high[0]]
}

/// Order statistics `rank` and `rank` + 1 of values spread over `bounds`.
#[inline(always)]
fn within<S: Simd>(
    simd: S,
    kept: &mut Vec<f64>,
    rank: usize,
    (bounds, few): ([f64; 2], &mut Vec<f64>),
) -> [f64; 2] {
    let n = kept.len();
    kept.resize(n.next_multiple_of(8), f64::INFINITY);
    if n <= FEW {
        return among_few(simd, kept, rank);
    }
    let width = bounds[1] - bounds[0];
    let centre = bounds[0] + width * ((rank + 1) as f64 / n as f64);
    let half = width * 1.25 / (n as f64).sqrt();
    let narrow = Window::new(simd, [centre - half, centre + half]);
    few.resize(n + 16, 0.0);
    let mut counted = [0; 2];
    for chunk in kept.chunks_exact(8) {
        narrow.keep(f64x8::from_slice(simd, chunk), few.as_mut_slice(), &mut counted);
    }
    let [below, n_few] = counted;
    if below <= rank && rank + 2 <= below + n_few && n_few <= 4 * FEW {
        few.truncate(n_few);
        few.resize(n_few.next_multiple_of(8), f64::INFINITY);
        return among_few(simd, few, rank - below);
    }
    by_selection(&mut kept[..n], rank)
}

/// The largest values with at most `rank`, and at most `rank` + 1, smaller ones; whole vectors.
#[inline(always)]
fn among_few<S: Simd>(simd: S, few: &[f64], rank: usize) -> [f64; 2] {
    let all = |x: f64| f64x8::splat(simd, x);
    let (zero, one, none) = (all(0.0), all(1.0), all(f64::NEG_INFINITY));
    let (at, above) = (all(rank as f64), all((rank + 1) as f64));
    let (mut best_at, mut best_above) = (none, none);
    for chunk in few.chunks_exact(8) {
        let x = f64x8::from_slice(simd, chunk);
        let (mut even, mut odd) = (zero, zero);
        for pair in few.chunks_exact(2) {
            even += f64x8::splat(simd, pair[0]).simd_lt(x).select(one, zero);
            odd += f64x8::splat(simd, pair[1]).simd_lt(x).select(one, zero);
        }
        let smaller = even + odd;
        best_at = best_at.max(smaller.simd_le(at).select(x, none));
        best_above = best_above.max(smaller.simd_le(above).select(x, none));
    }
    [best_at.reduce_max(), best_above.reduce_max()]
}

/// Order statistics `rank` and `rank` + 1, whatever the values; there must be so many.
fn by_selection(values: &mut [f64], rank: usize) -> [f64; 2] {
    let (_, at, above) = values.select_nth_unstable_by(rank, f64::total_cmp);
    let at = *at;
    [at, above.iter().copied().fold(f64::INFINITY, f64::min)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Spread, StreamKey};

    fn levels() -> Vec<Level> {
        let best = Level::new();
        let mut levels = vec![best];
        #[cfg(target_arch = "x86_64")]
        levels.extend(best.as_avx2().map(Level::Avx2));
        levels
    }

    /// Type 7 of sorted values.
    fn by_sorting(values: &[f64], lower: f64) -> [f64; 2] {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = (values.len() - 1) as f64;
        [lower * last, (1.0 - lower) * last].map(|position| {
            let below = (position.floor() as usize).min(values.len() - 2);
            sorted[below] + (position - below as f64) * (sorted[below + 1] - sorted[below])
        })
    }

    #[test]
    fn interval_interpolates_between_order_statistics() {
        let values: Vec<f64> = (0..101).rev().map(f64::from).collect();
        let moments = Moments::of(Level::new(), &values);
        let [low, high] = interval_68(Level::new(), &values, moments, &mut Room::default());
        assert!((low - 15.865_525_393_145_7).abs() < 1e-10);
        assert!((high - 84.134_474_606_854_3).abs() < 1e-10);
    }

    #[test]
    fn intervals_are_those_of_a_full_sort_whatever_the_distribution() {
        let key = StreamKey::new(1, "quantiles");
        let mut room = Room::default();
        for case in 0..3000_usize {
            let n = 2 + case % 700 + if case % 50 == 0 { 5000 } else { 0 };
            let mut values = vec![0.0; n];
            let rows = [Spread { centre: 10.0, sigma: 1.0 }];
            key.lanes(case, Level::new()).gaussian(0, &rows, &mut values);
            let shape: fn(f64) -> f64 = match case % 7 {
                1 => |x| (3.0 * x).round(),
                2 => f64::exp,
                3 => |x| 1.0 / (x - 10.0),
                4 => |x| x.max(10.0),
                5 => |x| if x > 8.0 { x } else { 1e9 * x },
                6 => |_| 0.1,
                _ => |x| x,
            };
            for x in &mut values {
                *x = shape(*x);
            }
            let moments = Moments::of(Level::new(), &values);
            for level in levels() {
                assert_eq!(Moments::of(level, &values), moments, "case {case}");
                let central = interval_68(level, &values, moments, &mut room);
                let expected = by_sorting(&values, LOWER_TAIL_68);
                assert_eq!(central.map(f64::to_bits), expected.map(f64::to_bits), "case {case}");
                let central = interval_95(level, &values, moments, &mut room);
                let expected = by_sorting(&values, LOWER_TAIL_95.0);
                assert_eq!(central.map(f64::to_bits), expected.map(f64::to_bits), "case {case}");
            }
        }
    }

    #[test]
    fn moments_are_those_of_two_passes() {
        let key = StreamKey::new(2, "moments");
        for n in [2, 31, 32, 33, 1000] {
            let mut values = vec![0.0; n];
            let rows = [Spread { centre: -7.0, sigma: 1e-3 }];
            key.lanes(n, Level::new()).gaussian(0, &rows, &mut values);
            let mean = values.iter().sum::<f64>() / n as f64;
            let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
            let sd = (squares / (n as f64 - 1.0)).sqrt();
            let found = Moments::of(Level::new(), &values);
            assert!((found.mean - mean).abs() < 1e-14 * mean.abs(), "{n}");
            assert!((found.standard_deviation / sd - 1.0).abs() < 1e-12, "{n}");
        }
        let none = Moments::of(Level::new(), &[]);
        assert!(none.mean.is_nan() && none.standard_deviation.is_nan());
        assert!(Moments::of(Level::new(), &[1.0]).standard_deviation.is_nan());
        assert!(Moments::of(Level::new(), &[1.0, f64::NAN, 2.0]).standard_deviation.is_nan());
    }

    #[test]
    fn kurtosis_of_a_normal_is_three() {
        let mut values = vec![0.0; 100_000];
        let rows = [Spread { centre: 3.0, sigma: 0.5 }];
        StreamKey::new(3, "kurtosis").lanes(0, Level::new()).gaussian(0, &rows, &mut values);
        let found = kurtosis(&values, Moments::of(Level::new(), &values));
        // Five standard errors, √(24 / n).
        assert!((found - 3.0).abs() < 5.0 * (24.0 / 1e5_f64).sqrt(), "{found}");
    }
}
