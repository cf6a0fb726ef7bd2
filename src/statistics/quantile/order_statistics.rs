//! Order statistics without sorting everything.
//!
//! Every value gets one of 1024 equal bins between two quantiles of a few probes, with one catch-all
//! bin at either end. Bins rise with the values, so the counts tell which bins hold the wanted ranks;
//! only their values are then partitioned. Where the bins tell nothing apart (few distinct values,
//! a far tail) the wanted bin holds many values, which costs time and never an answer.
//!
//! # Reference
//!
//! Floyd and Rivest, "Expected time bounds for selection", Commun. ACM 18 (1975),
//! doi:10.1145/360680.360691 (bounds from a sample); Hoare, "Algorithm 65: find", Commun. ACM 4
//! (1961), doi:10.1145/366622.366647.

#![allow(clippy::inline_always, reason = "kernels are compiled into the dispatching function")]

use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd, dispatch, f64x8, i16x32};

const BINS: usize = 1024;
const LAST: f64 = (BINS - 1) as f64;
/// Values that the ends of the bins are taken from.
const PROBES: usize = 4096;
/// Probes beyond either end: 2 %.
const PROBES_BEYOND: usize = PROBES / 50;
/// Values below which partitioning all of them is cheaper than bins.
const FEW: usize = 2 * PROBES;
/// Neighbours are counted in tables of their own, so that equal bins do not wait for each other.
const TABLES: usize = 4;
/// Values whose bins stay in the nearest cache until they are counted.
const BLOCK: usize = 1024;

/// The values at rising `ranks` (from 0) of the sorted finite `values`, in the total order of
/// numbers; as many as there are ranks, each below the number of values.
pub(super) fn order_statistics(values: &[f64], ranks: &[usize]) -> Vec<f64> {
    let binned = if values.len() < FEW { None } else { Bins::of(values) };
    let (mut candidates, places) = match binned {
        Some(bins) => bins.candidates(values, ranks),
        None => (values.to_vec(), ranks.to_vec()),
    };
    put_in_place(&mut candidates, &places, 0);
    places.into_iter().map(|place| candidates[place]).collect()
}

/// Brings the order statistics at rising `ranks` to their places; `values` start at rank `first`.
fn put_in_place(values: &mut [f64], ranks: &[usize], first: usize) {
    let Some(&rank) = ranks.get(ranks.len() / 2) else { return };
    let (below, _, above) = values.select_nth_unstable_by(rank - first, f64::total_cmp);
    let lower = ranks.partition_point(|&other| other < rank);
    let upper = ranks.partition_point(|&other| other <= rank);
    put_in_place(below, &ranks[..lower], first);
    put_in_place(above, &ranks[upper..], rank + 1);
}

/// The bin of every value, and how many values each bin holds.
struct Bins {
    of_values: Vec<i16>,
    counts: Vec<usize>,
}

impl Bins {
    /// `None` where the probes span no range that bins can divide.
    fn of(values: &[f64]) -> Option<Self> {
        let step = values.len() / PROBES;
        let mut probes: Vec<f64> = values.iter().step_by(step).copied().collect();
        let ends = [PROBES_BEYOND, probes.len() - 1 - PROBES_BEYOND];
        put_in_place(&mut probes, &ends, 0);
        let [low, high] = ends.map(|end| probes[end]);
        let per_unit = BINS as f64 / (high - low);
        if !(per_unit.is_finite() && per_unit > 0.0) {
            return None;
        }
        let mut of_values = vec![0; values.len()];
        let mut tables = [[0_u32; BINS]; TABLES];
        let scale = Scale { low, per_unit };
        let level = Level::new();
        for (values, bins) in values.chunks(BLOCK).zip(of_values.chunks_mut(BLOCK)) {
            dispatch!(level, simd => scale.bin(simd, values, bins));
            count(bins, &mut tables);
        }
        let total = |bin: usize| tables.iter().map(|table| table[bin] as usize).sum();
        Some(Self { of_values, counts: (0..BINS).map(total).collect() })
    }

    /// The values of the bins that hold `ranks`, and the places of these ranks among them.
    fn candidates(&self, values: &[f64], ranks: &[usize]) -> (Vec<f64>, Vec<usize>) {
        let mut wanted = Vec::new();
        let mut places = Vec::with_capacity(ranks.len());
        let (mut below, mut n_candidates) = (0, 0);
        for (bin, &n) in self.counts.iter().enumerate() {
            let here = ranks[places.len()..].iter().take_while(|&&rank| rank < below + n);
            let before = places.len();
            places.extend(here.map(|rank| n_candidates + rank - below));
            if places.len() > before {
                wanted.push(bin as i16);
                n_candidates += n;
            }
            below += n;
        }
        let mut picked = Vec::with_capacity(n_candidates);
        dispatch!(Level::new(), simd => pick(simd, values, &self.of_values, &wanted, &mut picked));
        (picked, places)
    }
}

/// Where bins start, and how many of them one unit holds.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    per_unit: f64,
}

impl Scale {
    #[inline(always)]
    fn bin<S: Simd>(self, simd: S, values: &[f64], bins: &mut [i16]) {
        let mut many = values.chunks_exact(32);
        let mut out = bins.chunks_exact_mut(32);
        for (values, bins) in (&mut many).zip(&mut out) {
            let low = simd.narrow_f64x8(
                self.position(simd, &values[..8]),
                self.position(simd, &values[8..16]),
            );
            let high = simd.narrow_f64x8(
                self.position(simd, &values[16..24]),
                self.position(simd, &values[24..]),
            );
            simd.narrow_i32x16(simd.cvt_i32_f32x16(low), simd.cvt_i32_f32x16(high))
                .store_slice(bins);
        }
        for (value, bin) in many.remainder().iter().zip(out.into_remainder()) {
            let position = ((value - self.low) * self.per_unit).clamp(0.0, LAST);
            *bin = position as f32 as i16;
        }
    }

    /// Position of eight values on the scale of bins, between the first and the last.
    #[inline(always)]
    fn position<S: Simd>(self, simd: S, values: &[f64]) -> f64x8<S> {
        let away = f64x8::from_slice(simd, values) - f64x8::splat(simd, self.low);
        (away * f64x8::splat(simd, self.per_unit))
            .max(f64x8::splat(simd, 0.0))
            .min(f64x8::splat(simd, LAST))
    }
}

fn count(bins: &[i16], tables: &mut [[u32; BINS]; TABLES]) {
    let mask = BINS - 1;
    let mut fours = bins.chunks_exact(TABLES);
    for four in &mut fours {
        for (table, &bin) in tables.iter_mut().zip(four) {
            table[bin as usize & mask] += 1;
        }
    }
    for &bin in fours.remainder() {
        tables[0][bin as usize & mask] += 1;
    }
}

/// Appends the values whose bin is one of `wanted`, in order.
#[inline(always)]
fn pick<S: Simd>(simd: S, values: &[f64], bins: &[i16], wanted: &[i16], picked: &mut Vec<f64>) {
    let mut many = bins.chunks_exact(32);
    let mut start = 0;
    for bins in &mut many {
        let bins = i16x32::from_slice(simd, bins);
        let mut matches = bins.simd_lt(i16x32::splat(simd, 0));
        for &bin in wanted {
            matches |= bins.simd_eq(i16x32::splat(simd, bin));
        }
        let mut bits = matches.to_bitmask();
        while bits != 0 {
            picked.push(values[start + bits.trailing_zeros() as usize]);
            bits &= bits - 1;
        }
        start += 32;
    }
    for (bin, value) in many.remainder().iter().zip(&values[start..]) {
        if wanted.contains(bin) {
            picked.push(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    /// Samples that are hard on bins, of `n` values each.
    fn samples(n: usize) -> Vec<Vec<f64>> {
        let mut stream = StreamKey::new(12, "order").stream(0, 0);
        let mut draw = |make: &dyn Fn(f64) -> f64| -> Vec<f64> {
            (0..n).map(|_| make(stream.normal())).collect()
        };
        vec![
            draw(&|z| z),
            draw(&|z| (5.0 * z).exp()),
            draw(&|z| z.round()),
            draw(&|z| if z > 2.5 { 1e300 * z } else { 1e-9 * z }),
            draw(&|z| if z > -2.0 { 0.0 } else { -0.0 }),
            draw(&|z| if z > 0.0 { f64::MAX } else { f64::MIN }),
            draw(&|z| 1e15 + z),
            draw(&|z| z * f64::MIN_POSITIVE * 1e-10),
            vec![2.5; n],
            (0..n).map(|i| i as f64).collect(),
            (0..n).rev().map(|i| (i % 4096) as f64).collect(),
        ]
    }

    #[test]
    fn order_statistics_are_those_of_sorting_to_the_last_bit() {
        for n in [1, 2, 31, 1000, FEW - 1, FEW, 3 * FEW + 17, 50_003] {
            for (kind, values) in samples(n).into_iter().enumerate() {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                let mut ranks: Vec<usize> =
                    [0.0, 0.001, 0.05, 0.25, 0.5, 0.5, 0.75, 0.9, 0.95, 0.999, 1.0]
                        .iter()
                        .map(|p| (p * (n - 1) as f64) as usize)
                        .collect();
                ranks.dedup();
                let found = order_statistics(&values, &ranks);
                assert_eq!(found.len(), ranks.len());
                for (rank, value) in ranks.into_iter().zip(found) {
                    assert_eq!(value.to_bits(), sorted[rank].to_bits(), "{n}, {kind}, {rank}");
                }
            }
        }
        assert!(order_statistics(&[1.0], &[]).is_empty());
    }
}
