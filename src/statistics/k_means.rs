//! Exact k-means of one variable: the global optimum, no start, no seed.
//!
//! Clusters of one variable are intervals. For two of them every split is tried (sort and prefix
//! sums), which is the threshold of Otsu on raw values; for more, dynamic programming over the
//! sorted distinct values, with divide and conquer because the best last split never moves left:
//! O(n log n + k·m log m) for m distinct values. Equal values always share a cluster.
//!
//! # Reference
//!
//! Wang and Song, "Ckmeans.1d.dp", R Journal 3 (2011), doi:10.32614/RJ-2011-015. Otsu, IEEE Trans.
//! SMC 9 (1979), doi:10.1109/TSMC.1979.4310076.

pub mod lloyd;

use super::moments::sum;
use super::require_finite;
use crate::error::{Error, Result};

/// The best partition of a sample of one variable into `k` intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// Cluster of each value, `0..k`, in the order given.
    pub labels: Vec<usize>,
    /// Mean of each cluster, rising.
    pub centroids: Vec<f64>,
    /// Number of values in each cluster.
    pub sizes: Vec<usize>,
    /// Sum of squared distances to the own centroid.
    pub inertia: f64,
}

/// Splits `values` into `k` clusters with the least sum of squared distances to their means.
///
/// Of equally good partitions the one with the smallest lower clusters is taken.
///
/// # Errors
///
/// `Value`: no values, a value that is not finite, or `k` not within 1 and the number of distinct
/// values.
pub fn k_means(values: &[f64], k: usize) -> Result<Partition> {
    require_finite(values, "values")?;
    let sample = Distinct::of(values);
    let m = sample.values.len();
    if !(1..=m).contains(&k) {
        return Err(Error::value(format!("{k} clusters from {m} distinct values"))
            .at_field("k")
            .hint(format!("choose k from 1 to {m}")));
    }
    let starts = if k == 2 { vec![0, sample.best_split()] } else { sample.best_starts(k) };
    Ok(partition(values, &sample.values, &starts))
}

/// Distinct values, rising, with prefix sums of their multiplicity, value and square about the mean.
struct Distinct {
    values: Vec<f64>,
    weight: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Distinct {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let centre = sum(sorted.iter().copied()) / sorted.len() as f64;
        let mut sample =
            Self { values: Vec::new(), weight: vec![0.0], first: vec![0.0], second: vec![0.0] };
        let mut sums = [0.0; 3];
        for run in sorted.chunk_by(|a, b| a >= b) {
            let (n, x) = (run.len() as f64, run[0] - centre);
            sums = [sums[0] + n, sums[1] + n * x, sums[2] + n * x * x];
            sample.values.push(run[0]);
            sample.weight.push(sums[0]);
            sample.first.push(sums[1]);
            sample.second.push(sums[2]);
        }
        sample
    }

    /// Sum of squares of the distinct values `from..to` about their mean.
    fn cost(&self, from: usize, to: usize) -> f64 {
        let weight = self.weight[to] - self.weight[from];
        let first = self.first[to] - self.first[from];
        (self.second[to] - self.second[from] - first * first / weight).max(0.0)
    }

    /// Index of the first distinct value of the upper of two clusters.
    fn best_split(&self) -> usize {
        let m = self.values.len();
        let between = |split: usize| {
            let (low, high) = (self.weight[split], self.weight[m] - self.weight[split]);
            let (first, last) = (self.first[split], self.first[m] - self.first[split]);
            first * first / low + last * last / high
        };
        let mut best = (1, f64::NEG_INFINITY);
        for split in 1..m {
            let value = between(split);
            if value > best.1 {
                best = (split, value);
            }
        }
        best.0
    }

    /// Index of the first distinct value of each of `k` clusters.
    fn best_starts(&self, k: usize) -> Vec<usize> {
        let m = self.values.len();
        let mut costs: Vec<f64> =
            (0..=m).map(|to| if to == 0 { 0.0 } else { self.cost(0, to) }).collect();
        let mut last_starts = Vec::with_capacity(k);
        for clusters in 2..=k {
            let mut layer = Layer { costs: vec![f64::INFINITY; m + 1], starts: vec![0; m + 1] };
            self.fill(&costs, &mut layer, (clusters, m), (clusters - 1, m - 1));
            costs = layer.costs;
            last_starts.push(layer.starts);
        }
        let mut starts = vec![0; k];
        let mut end = m;
        for cluster in (1..k).rev() {
            end = last_starts[cluster - 1][end];
            starts[cluster] = end;
        }
        starts
    }

    /// Fills `layer` for ends `ends.0..=ends.1`, whose last clusters start within
    /// `starts.0..=starts.1`.
    fn fill(&self, costs: &[f64], layer: &mut Layer, ends: (usize, usize), starts: (usize, usize)) {
        if ends.0 > ends.1 {
            return;
        }
        let middle = usize::midpoint(ends.0, ends.1);
        let mut best = (starts.0, f64::INFINITY);
        let end = middle.min(starts.1 + 1);
        for (start, before) in costs.iter().enumerate().take(end).skip(starts.0) {
            let cost = before + self.cost(start, middle);
            if cost < best.1 {
                best = (start, cost);
            }
        }
        layer.starts[middle] = best.0;
        layer.costs[middle] = best.1;
        self.fill(costs, layer, (ends.0, middle - 1), (starts.0, best.0));
        self.fill(costs, layer, (middle + 1, ends.1), (best.0, starts.1));
    }
}

/// Least cost of the first `i` distinct values, and where the last of their clusters starts.
struct Layer {
    costs: Vec<f64>,
    starts: Vec<usize>,
}

fn partition(values: &[f64], distinct: &[f64], starts: &[usize]) -> Partition {
    let k = starts.len();
    let bounds: Vec<f64> = starts[1..].iter().map(|&start| distinct[start]).collect();
    let labels: Vec<usize> =
        values.iter().map(|&value| bounds.partition_point(|&bound| bound <= value)).collect();
    let mut members = vec![Vec::new(); k];
    for (&value, &label) in values.iter().zip(&labels) {
        members[label].push(value);
    }
    let centroids: Vec<f64> =
        members.iter().map(|cluster| sum(cluster.iter().copied()) / cluster.len() as f64).collect();
    let inertia = sum(members.iter().zip(&centroids).flat_map(|(cluster, centroid)| {
        cluster.iter().map(move |value| (value - centroid) * (value - centroid))
    }));
    Partition { labels, centroids, sizes: members.iter().map(Vec::len).collect(), inertia }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    /// Least inertia over every way to cut the sorted values into `k` intervals.
    fn brute_force(sorted: &[f64], k: usize) -> f64 {
        let cost = |part: &[f64]| {
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            part.iter().map(|x| (x - mean).powi(2)).sum::<f64>()
        };
        if k == 1 {
            return cost(sorted);
        }
        (k - 1..sorted.len())
            .map(|cut| brute_force(&sorted[..cut], k - 1) + cost(&sorted[cut..]))
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn partition_is_the_global_optimum_of_every_cut() {
        for case in 0..60 {
            let mut stream = StreamKey::new(7, "k_means").stream(case, 0);
            let n = 6 + stream.below(9);
            // Every second sample is rounded, so that it has ties.
            let mut values: Vec<f64> = (0..n)
                .map(|_| 100.0 + 3.0 * stream.normal())
                .map(|x: f64| if case % 2 == 0 { x } else { x.round() })
                .collect();
            for k in 1..=4 {
                let Ok(found) = k_means(&values, k) else { continue };
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                let best = brute_force(&sorted, k);
                assert!((found.inertia - best).abs() < 1e-9 * (1.0 + best), "case {case}, k {k}");
                assert_eq!(found.sizes.iter().sum::<usize>(), n);
                assert!(found.centroids.is_sorted());
            }
            values.reverse();
        }
    }

    #[test]
    fn two_clusters_are_the_threshold_of_otsu() {
        let mut stream = StreamKey::new(8, "otsu").stream(0, 0);
        let values: Vec<f64> =
            (0..200).map(|i| f64::from(i % 3) * 0.7 + 0.3 * stream.normal()).collect();
        let found = k_means(&values, 2).unwrap();
        let between = |threshold: f64| {
            let (low, high): (Vec<f64>, Vec<f64>) = values.iter().partition(|&&x| x <= threshold);
            let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
            low.len() as f64 * high.len() as f64 * (mean(&low) - mean(&high)).powi(2)
        };
        let mut thresholds = values.clone();
        thresholds.sort_by(f64::total_cmp);
        thresholds.pop();
        let otsu =
            thresholds.into_iter().max_by(|&a, &b| between(a).total_cmp(&between(b))).unwrap();
        for (&value, &label) in values.iter().zip(&found.labels) {
            assert_eq!(label, usize::from(value > otsu));
        }
    }

    #[test]
    fn order_of_values_and_an_offset_change_nothing_but_the_place() {
        let values = [1.0, 5.0, 1.1, 5.2, 9.0, 1.2, 5.1];
        let moved: Vec<f64> = values.iter().rev().map(|x| x + 1e6).collect();
        let (a, b) = (k_means(&values, 3).unwrap(), k_means(&moved, 3).unwrap());
        assert_eq!(a.sizes, [3, 3, 1]);
        assert_eq!(a.labels, b.labels.iter().rev().copied().collect::<Vec<_>>());
    }

    #[test]
    fn more_clusters_than_distinct_values_are_refused() {
        let error = k_means(&[1.0, 1.0, 2.0], 3).unwrap_err();
        assert_eq!(error.to_string(), "`k`: 3 clusters from 2 distinct values");
        assert_eq!(k_means(&[1.0], 0).unwrap_err().field(), Some("k"));
        assert!(k_means(&[], 1).is_err());
        assert!(k_means(&[1.0, f64::NAN], 1).is_err());
        assert_eq!(k_means(&[0.0, -0.0, 1.0], 2).unwrap().sizes, [2, 1]);
    }
}
