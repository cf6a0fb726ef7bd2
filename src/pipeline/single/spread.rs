//! Mean, spread and median of a map, collected piece by piece.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

use fearless_simd::{Level, dispatch};

use super::ParameterSummary;
use crate::model::Parameter;

/// Values of one piece of a map: their number, mean, and sum of squared distances from it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PieceSpread {
    n: f64,
    mean: f64,
    squares: f64,
    /// As the map stores them.
    values: Vec<f32>,
}

impl PieceSpread {
    /// Of `values` in any order; always the same sums for the same order.
    pub(super) fn of(values: &[f64]) -> Self {
        dispatch!(Level::new(), _simd => Self::sums(values))
    }

    #[inline(always)]
    fn sums(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = if values.is_empty() { 0.0 } else { sum_of(values, |value| value) / n };
        let squares = sum_of(values, |value| (value - mean) * (value - mean));
        let mut stored = vec![0.0; values.len()];
        for (stored, &value) in stored.iter_mut().zip(values) {
            *stored = value as f32;
        }
        Self { n, mean, squares, values: stored }
    }
}

/// A sum in eight lanes, which the processor adds at once.
#[inline(always)]
fn sum_of(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let (groups, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0_f64; 8];
    for group in groups {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane += term(value);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&value| term(value)).sum::<f64>()
}

/// Values of all pieces so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Spread {
    n: f64,
    mean: f64,
    squares: f64,
    pieces: Vec<Vec<f32>>,
}

impl Spread {
    /// Adds the next piece; the order of pieces decides the last bits.
    ///
    /// # Reference
    ///
    /// Chan and others, "Algorithms for computing the sample variance", Am. Stat. 37 (1983),
    /// doi:10.1080/00031305.1983.10483115.
    pub(super) fn add(&mut self, piece: PieceSpread) {
        if piece.n == 0.0 {
            return;
        }
        let n = self.n + piece.n;
        let step = piece.mean - self.mean;
        self.mean += step * (piece.n / n);
        self.squares += piece.squares + step * step * (self.n * piece.n / n);
        self.n = n;
        self.pieces.push(piece.values);
    }

    /// Mean, standard deviation and median; the median is that of the stored 32-bit values.
    pub(super) fn summary(self, parameter: &Parameter) -> ParameterSummary {
        let n = self.n as usize;
        let is_finite = self.mean.is_finite() && self.squares.is_finite();
        let known = |value: f64, least: usize| {
            if is_finite && n >= least { value } else { f64::NAN }
        };
        ParameterSummary {
            name: parameter.name,
            units: parameter.unit.symbol(),
            n,
            mean: known(self.mean, 1),
            sd: known((self.squares / (self.n - 1.0)).sqrt(), 2),
            median: if is_finite { median(&self.pieces) } else { f64::NAN },
        }
    }
}

/// The middle value of all `pieces`, or the mean of the two middle ones; NaN for none.
fn median(pieces: &[Vec<f32>]) -> f64 {
    let n: usize = pieces.iter().map(Vec::len).sum();
    if n == 0 {
        return f64::NAN;
    }
    let [low, high] = ranked(pieces, (n - 1) / 2).map(f64::from);
    if n % 2 == 1 { low } else { f64::midpoint(low, high) }
}

/// The values at `place` of all values sorted and after it, where there is one.
///
/// A sorted sample tells between which two values they lie, nearly always; then few values are left
/// to be sorted.
fn ranked(pieces: &[Vec<f32>], place: usize) -> [f32; 2] {
    const STEP: usize = 251;
    let sampled = |piece: &Vec<f32>| piece.iter().step_by(STEP).copied().map(key).collect();
    let mut sample: Vec<i32> = pieces.iter().flat_map::<Vec<i32>, _>(sampled).collect();
    sample.sort_unstable();
    let n: usize = pieces.iter().map(Vec::len).sum();
    let expected = place * sample.len() / n;
    let margin = 2 * (sample.len().isqrt() + 1);
    let low = sample[expected.saturating_sub(margin).min(sample.len() - 1)];
    let high = sample[(expected + margin).min(sample.len() - 1)];
    let (mut n_below, mut between) = (0, Vec::new());
    let level = Level::new();
    for piece in pieces {
        n_below += dispatch!(level, _simd => split(piece, [low, high], &mut between));
    }
    if let Some(inside) = place.checked_sub(n_below).filter(|&inside| inside + 1 < between.len()) {
        return two_from(&mut between, inside);
    }
    two_from(&mut pieces.iter().flatten().copied().map(key).collect::<Vec<_>>(), place)
}

/// Appends the keys of the `values` from `low` to `high` to `between`, and counts those below.
#[inline(always)]
fn split(values: &[f32], [low, high]: [i32; 2], between: &mut Vec<i32>) -> usize {
    let n_below: u32 = values.iter().map(|&value| u32::from(key(value) < low)).sum();
    let mut n = between.len();
    between.resize(n + values.len(), 0);
    for &value in values {
        let key = key(value);
        between[n] = key;
        n += usize::from(low <= key) & usize::from(key <= high);
    }
    between.truncate(n);
    n_below as usize
}

fn two_from(keys: &mut [i32], place: usize) -> [f32; 2] {
    let (_, &mut first, after) = keys.select_nth_unstable(place);
    [first, after.iter().copied().min().unwrap_or(first)].map(value)
}

/// Whole numbers that stand in the order of the values.
#[inline(always)]
fn key(value: f32) -> i32 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 31) & i32::MAX)
}

fn value(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) & i32::MAX)).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::first_order::FirstOrder;

    fn summary(values: &[f64], length: usize) -> ParameterSummary {
        let mut spread = Spread::default();
        for piece in values.chunks(length) {
            spread.add(PieceSpread::of(piece));
        }
        spread.summary(&crate::model::MODELS[0].parameters[0])
    }

    #[test]
    fn pieces_give_the_moments_and_the_median_of_the_whole() {
        let values: Vec<f64> = (0_u32..20_001)
            .map(|i| f64::from((i.wrapping_mul(7919)) % 20_011) * 1e-3 - 3.0)
            .collect();
        for (n, length) in [(1, 8), (2, 8), (1000, 7), (20_000, 16_384), (20_001, 512)] {
            let whole = FirstOrder::of(&values[..n]).unwrap();
            let found = summary(&values[..n], length);
            assert_eq!(found.n, n);
            assert!((found.mean - whole.mean).abs() < 1e-12 * whole.mean.abs().max(1.0));
            let sd = whole.standard_deviation.unwrap_or(f64::NAN);
            assert!(n == 1 || (found.sd / sd - 1.0).abs() < 1e-12);
            // Half a unit in the last place of the stored values.
            assert!((found.median - whole.median).abs() <= 1e-7 * whole.median.abs().max(1e-7));
        }
    }

    #[test]
    fn nothing_and_infinities_have_no_summary() {
        let none = summary(&[], 4);
        assert!(none.mean.is_nan() && none.sd.is_nan() && none.median.is_nan() && none.n == 0);
        assert!(summary(&[1.0, f64::INFINITY], 4).median.is_nan());
    }

    #[test]
    fn keys_keep_the_order_and_come_back() {
        let rising = [f32::MIN, -1.0, -1e-30, -0.0, 0.0, 1e-30, 1.0, f32::MAX];
        assert!(rising.is_sorted_by_key(|&x| key(x)));
        assert!(rising.iter().all(|&x| value(key(x)).to_bits() == x.to_bits()));
    }

    #[test]
    fn a_sample_that_misleads_is_found_out() {
        // Every sampled value is far from the median.
        let values: Vec<f32> =
            (0..251 * 40).map(|i| if i % 251 == 0 { 9.0 } else { i as f32 * 1e-6 }).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f32::total_cmp);
        let place = values.len() / 2;
        let bits = |pair: [f32; 2]| pair.map(f32::to_bits);
        assert_eq!(bits(ranked(&[values], place)), bits([sorted[place], sorted[place + 1]]));
    }
}
