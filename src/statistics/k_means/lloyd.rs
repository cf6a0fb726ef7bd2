//! Lloyd's iteration for few clusters of two or three variables, from a start or the best of many.
//!
//! A sample x belongs to the centroid c with the greatest x·c − |c|²/2, the first of equal ones, both
//! taken from a centre amid the samples. Labels are kept as one bit per cluster and sample; sums are
//! taken over fixed blocks of samples, lane by lane, and added in the order of the blocks, so the
//! same samples give the same bits for every number of threads. Iteration ends when no label
//! changes. A cluster that loses all its samples keeps its centroid.
//!
//! # Reference
//!
//! Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28 (1982),
//! doi:10.1109/TIT.1982.1056489; Arthur and Vassilvitskii, "k-means++: the advantages of careful
//! seeding", SODA 2007, doi:10.5555/1283383.1283494.

#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "kernels are compiled into the dispatching function and unrolled over clusters and features"
)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd, dispatch, f64x8, mask64x8};
use rayon::prelude::*;

use crate::random::{Stream, StreamKey};
use crate::statistics::lanes::fold;
use crate::statistics::moments::sum;

const LANES: usize = 8;
/// Samples whose sums are taken together.
const BLOCK: usize = 512 * LANES;
/// Values that the common centre is the mean of.
const PROBES: usize = 1024;

/// Where Lloyd's iteration came to rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Lloyd {
    /// Cluster of each sample, `0..k`, in the order of the start.
    pub labels: Vec<u8>,
    /// Mean of each cluster, `[k][n_features]`; the last centroid of a cluster without samples.
    pub centroids: Vec<Vec<f64>>,
    /// Samples in each cluster.
    pub sizes: Vec<usize>,
    /// Times that all samples were assigned; the last changed no label, unless none were left.
    pub n_iterations: usize,
}

/// How often to start, and when to stop.
#[derive(Debug, Clone, Copy)]
pub(in crate::statistics) struct Starts {
    pub(in crate::statistics) repetitions: u32,
    pub(in crate::statistics) n_iterations_max: usize,
    pub(in crate::statistics) key: StreamKey,
}

/// Iterates from the centroids `start` until no label changes, at most `n_iterations_max` times.
///
/// One slice per feature; `None` where they differ in length, are empty, or a value is not finite.
pub fn lloyd<const K: usize, const D: usize>(
    columns: [&[f64]; D],
    start: [[f64; D]; K],
    n_iterations_max: usize,
) -> Option<Lloyd> {
    let samples = Samples::new(columns)?;
    if start.iter().flatten().any(|value| !value.is_finite()) {
        return None;
    }
    let mut centroids = start;
    for centroid in &mut centroids {
        samples.centre(centroid);
    }
    samples.labelled(&samples.descend(centroids, n_iterations_max))
}

/// The best of several starts by k-means++, each from a stream of its own; the first of equals.
///
/// `None` for numbers of clusters other than 2 to 4 and of features other than 2 and 3, where
/// [`lloyd`] has none, and where every start left a cluster empty.
pub(in crate::statistics) fn best_of(
    columns: &[&[f64]],
    k: usize,
    starts: Starts,
) -> Option<Lloyd> {
    match (columns, k) {
        (&[x, y], 2) => Samples::new([x, y])?.best::<2>(starts),
        (&[x, y], 3) => Samples::new([x, y])?.best::<3>(starts),
        (&[x, y], 4) => Samples::new([x, y])?.best::<4>(starts),
        (&[x, y, z], 2) => Samples::new([x, y, z])?.best::<2>(starts),
        (&[x, y, z], 3) => Samples::new([x, y, z])?.best::<3>(starts),
        (&[x, y, z], 4) => Samples::new([x, y, z])?.best::<4>(starts),
        _ => None,
    }
}

/// Columns of features, all of one length, finite, at least one sample.
struct Samples<'a, const D: usize> {
    columns: [&'a [f64]; D],
    mean: [f64; D],
}

/// Centroids from the common centre, and the labels of eight samples as bits per cluster.
struct Rest<const K: usize, const D: usize> {
    centroids: [[f64; D]; K],
    sizes: [usize; K],
    bits: Vec<[u8; K]>,
    n_iterations: usize,
}

impl<const K: usize, const D: usize> Rest<K, D> {
    /// Sum over the samples of squared distances to the common centre that the clusters explain.
    fn explained(&self) -> f64 {
        sum(self.centroids.iter().zip(self.sizes).map(|(centroid, n)| {
            n as f64 * centroid.iter().map(|value| value * value).sum::<f64>()
        }))
    }
}

impl<'a, const D: usize> Samples<'a, D> {
    fn new(columns: [&'a [f64]; D]) -> Option<Self> {
        let n = columns.first()?.len();
        if n == 0 || columns.iter().any(|column| column.len() != n) {
            return None;
        }
        Some(Self { columns, mean: columns.map(mean_of_probes) })
    }

    fn n(&self) -> usize {
        self.columns[0].len()
    }

    fn centre(&self, centroid: &mut [f64; D]) {
        for (value, mean) in centroid.iter_mut().zip(self.mean) {
            *value -= mean;
        }
    }

    fn best<const K: usize>(&self, starts: Starts) -> Option<Lloyd> {
        let runs: Vec<Rest<K, D>> = (0..starts.repetitions)
            .into_par_iter()
            .map(|start| {
                let centroids = self.spread_centroids(&mut starts.key.stream(0, start));
                self.descend(centroids, starts.n_iterations_max)
            })
            .collect();
        let filled = runs.into_iter().filter(|run| !run.sizes.contains(&0));
        let best = filled.reduce(
            |best, run| {
                if run.explained() > best.explained() { run } else { best }
            },
        )?;
        self.labelled(&best)
    }

    /// k-means++: each further centroid is a sample drawn by its squared distance to the nearest.
    fn spread_centroids<const K: usize>(&self, stream: &mut Stream) -> [[f64; D]; K] {
        let mut centroids = [[0.0; D]; K];
        let mut squares = vec![f64::INFINITY; self.n()];
        let mut totals = vec![0.0; self.n().div_ceil(BLOCK)];
        for cluster in 0..K {
            let chosen = match cluster {
                0 => stream.below(self.n()),
                _ => draw(&squares, &totals, stream.uniform()),
            };
            let centroid = self.columns.map(|column| column[chosen]);
            for (block, total) in totals.iter_mut().enumerate() {
                let from = block * BLOCK;
                let squares = &mut squares[from..(from + BLOCK).min(self.columns[0].len())];
                *total = self.approach(from, centroid, squares);
            }
            centroids[cluster] = centroid;
            self.centre(&mut centroids[cluster]);
        }
        centroids
    }

    /// Lowers `squares` of the samples from `from` on to their squared distance to `centroid`; sum.
    fn approach(&self, from: usize, centroid: [f64; D], squares: &mut [f64]) -> f64 {
        let mut total = 0.0;
        for (place, square) in squares.iter_mut().enumerate() {
            let mut distance = 0.0;
            for (column, value) in self.columns.iter().zip(centroid) {
                let away = column[from + place] - value;
                distance += away * away;
            }
            *square = square.min(distance);
            total += *square;
        }
        total
    }

    fn descend<const K: usize>(&self, start: [[f64; D]; K], n_iterations_max: usize) -> Rest<K, D> {
        let n_groups = self.n().div_ceil(LANES);
        let mut rest =
            Rest { centroids: start, sizes: [0; K], bits: vec![[0; K]; n_groups], n_iterations: 0 };
        let level = Level::new();
        while rest.n_iterations < n_iterations_max {
            rest.n_iterations += 1;
            let mut step = Step::new(rest.centroids);
            for (block, bits) in rest.bits.chunks_mut(BLOCK / LANES).enumerate() {
                let from = block * BLOCK;
                let to = (from + BLOCK).min(self.n());
                let part = self.columns.map(|column| &column[from..to]);
                dispatch!(level, simd => step.assign(simd, part, self.mean, bits));
            }
            if !step.changed {
                break;
            }
            rest.sizes = step.sizes;
            rest.centroids = step.means();
        }
        rest
    }

    /// `None` where a centroid is not finite: a sample that is not finite stays in the first cluster.
    fn labelled<const K: usize>(&self, rest: &Rest<K, D>) -> Option<Lloyd> {
        if rest.centroids.iter().flatten().any(|value| !value.is_finite()) {
            return None;
        }
        let mut labels = vec![0; self.n()];
        for (labels, bits) in labels.chunks_mut(LANES).zip(&rest.bits) {
            for (lane, label) in labels.iter_mut().enumerate() {
                for (cluster, bits) in bits.iter().enumerate() {
                    *label |= (bits >> lane & 1) * cluster as u8;
                }
            }
        }
        let place = |centroid: [f64; D]| -> Vec<f64> {
            centroid.iter().zip(self.mean).map(|(value, mean)| value + mean).collect()
        };
        Some(Lloyd {
            labels,
            centroids: rest.centroids.map(place).to_vec(),
            sizes: rest.sizes.to_vec(),
            n_iterations: rest.n_iterations,
        })
    }
}

/// One assignment of all samples to `centroids`, and the sums of what each got.
struct Step<const K: usize, const D: usize> {
    centroids: [[f64; D]; K],
    sums: [[f64; D]; K],
    sizes: [usize; K],
    changed: bool,
}

impl<const K: usize, const D: usize> Step<K, D> {
    fn new(centroids: [[f64; D]; K]) -> Self {
        Self { centroids, sums: [[0.0; D]; K], sizes: [0; K], changed: false }
    }

    fn means(&self) -> [[f64; D]; K] {
        let mut means = self.centroids;
        for (cluster, mean) in means.iter_mut().enumerate().filter(|(i, _)| self.sizes[*i] > 0) {
            *mean = self.sums[cluster].map(|sum| sum / self.sizes[cluster] as f64);
        }
        means
    }

    /// Assigns the samples of one block, whose labels so far are `bits`.
    #[inline(always)]
    fn assign<S: Simd>(
        &mut self,
        simd: S,
        columns: [&[f64]; D],
        mean: [f64; D],
        bits: &mut [[u8; K]],
    ) {
        let zero = f64x8::splat(simd, 0.0);
        let n = columns[0].len();
        let mut sums = [[zero; D]; K];
        let mut sizes = [0; K];
        let mut changes = 0;
        let (axes, offsets) = self.planes(simd);
        for (group, bits) in bits.iter_mut().enumerate() {
            let from = group * LANES;
            let valid = if from + LANES <= n { 0xff } else { (1 << (n - from)) - 1 };
            let mut sample = [zero; D];
            for d in 0..D {
                sample[d] = load(simd, columns[d], from) - f64x8::splat(simd, mean[d]);
            }
            let masks = nearest(simd, sample, (&axes, &offsets), valid);
            for j in 0..K {
                for d in 0..D {
                    sums[j][d] += masks[j].select(sample[d], zero);
                }
                let members = masks[j].to_bitmask() as u8;
                sizes[j] += members.count_ones() as usize;
                changes |= bits[j] ^ members;
                bits[j] = members;
            }
        }
        self.changed |= changes != 0;
        for j in 0..K {
            self.sizes[j] += sizes[j];
            for d in 0..D {
                self.sums[j][d] += fold(sums[j][d]);
            }
        }
    }

    /// The centroids c, and −|c|²/2, in all lanes.
    #[inline(always)]
    fn planes<S: Simd>(&self, simd: S) -> ([[f64x8<S>; D]; K], [f64x8<S>; K]) {
        let zero = f64x8::splat(simd, 0.0);
        let (mut axes, mut offsets) = ([[zero; D]; K], [zero; K]);
        for j in 0..K {
            let mut square = 0.0;
            for d in 0..D {
                axes[j][d] = f64x8::splat(simd, self.centroids[j][d]);
                square += self.centroids[j][d] * self.centroids[j][d];
            }
            offsets[j] = f64x8::splat(simd, -0.5 * square);
        }
        (axes, offsets)
    }
}

/// Which of the `valid` lanes are nearest to each centroid of [`Step::planes`].
#[inline(always)]
fn nearest<S: Simd, const K: usize, const D: usize>(
    simd: S,
    sample: [f64x8<S>; D],
    (axes, offsets): (&[[f64x8<S>; D]; K], &[f64x8<S>; K]),
    valid: u64,
) -> [mask64x8<S>; K] {
    let mut masks = [mask64x8::from_bitmask(simd, valid); K];
    let mut best = f64x8::splat(simd, f64::NEG_INFINITY);
    for j in 0..K {
        let mut score = offsets[j];
        for d in 0..D {
            score = sample[d].mul_add(axes[j][d], score);
        }
        if j > 0 {
            let is_better = score.simd_gt(best);
            masks[j] &= is_better;
            for i in 0..j {
                masks[i] &= !is_better;
            }
            best = best.max(score);
        } else {
            best = score;
        }
    }
    masks
}

/// Eight values from `from` on; 0 beyond the end.
#[inline(always)]
fn load<S: Simd>(simd: S, column: &[f64], from: usize) -> f64x8<S> {
    if let Some(values) = column.get(from..from + LANES) {
        return f64x8::from_slice(simd, values);
    }
    let mut padded = [0.0; LANES];
    for (lane, value) in padded.iter_mut().zip(&column[from..]) {
        *lane = *value;
    }
    f64x8::from_slice(simd, &padded)
}

/// Mean of values at equal distances: near enough to take products about it.
fn mean_of_probes(values: &[f64]) -> f64 {
    let probes = values.iter().step_by((values.len() / PROBES).max(1));
    let n = probes.len() as f64;
    probes.sum::<f64>() / n
}

/// The sample at `fraction` of the sum of `squares`, whose sums over blocks are `totals`.
fn draw(squares: &[f64], totals: &[f64], fraction: f64) -> usize {
    let mut left = fraction * totals.iter().sum::<f64>();
    let mut from = 0;
    for (block, &total) in totals.iter().enumerate() {
        from = block * BLOCK;
        if left < total || block + 1 == totals.len() {
            break;
        }
        left -= total;
    }
    let mut chosen = from;
    for (place, &square) in squares.iter().enumerate().skip(from).filter(|(_, s)| **s > 0.0) {
        chosen = place;
        if left < square {
            break;
        }
        left -= square;
    }
    chosen
}

#[cfg(test)]
mod tests;
