//! How many clusters: silhouette and gap statistic. The Bayesian criterion is
//! [`bic`](super::mixture::bic).
//!
//! # Reference
//!
//! Rousseeuw, "Silhouettes", J. Comput. Appl. Math. 20 (1987), doi:10.1016/0377-0427(87)90125-7.
//! Tibshirani, Walther, Hastie, "Estimating the number of clusters in a data set via the gap
//! statistic", J. R. Stat. Soc. B 63 (2001), doi:10.1111/1467-9868.00293.

use ndarray::{Array2, Axis};

use super::moments::{Moments, sum};
use super::multivariate::Features;
use super::{k_means, multivariate};
use crate::error::{Error, Result};
use crate::random::StreamKey;

/// Samples the silhouette looks at.
const SILHOUETTE_SAMPLES_MAX: usize = 2000;
/// Uniform reference samples of the gap statistic.
const GAP_REFERENCES: u32 = 50;

/// Mean silhouette (b − a)/max(a, b) of `labels`, within −1 and 1.
///
/// At most 2000 samples are used, drawn by a fixed generator. A cluster of one sample counts 0.
/// `None` with fewer than two clusters among them, or where there is not one label per sample.
pub fn silhouette(features: &Features, labels: &[usize]) -> Option<f64> {
    if labels.len() != features.n_samples() {
        return None;
    }
    let rows = subsample(labels.len(), SILHOUETTE_SAMPLES_MAX);
    let features = features.select(&rows);
    let labels: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
    let mut sizes = vec![0_usize; labels.iter().max()? + 1];
    for &label in &labels {
        sizes[label] += 1;
    }
    if sizes.iter().filter(|&&size| size > 0).count() < 2 {
        return None;
    }
    let widths: Vec<f64> =
        (0..labels.len()).map(|sample| width(&features, &labels, &sizes, sample)).collect();
    Some(sum(widths.iter().copied()) / widths.len() as f64)
}

fn width(features: &Features, labels: &[usize], sizes: &[usize], sample: usize) -> f64 {
    let own = labels[sample];
    if sizes[own] < 2 {
        return 0.0;
    }
    let view = features.view();
    let mut distances = vec![0.0; sizes.len()];
    for (row, &label) in view.rows().into_iter().zip(labels) {
        let squared: f64 = row.iter().zip(view.row(sample)).map(|(a, b)| (a - b) * (a - b)).sum();
        distances[label] += squared.sqrt();
    }
    let a = distances[own] / (sizes[own] - 1) as f64;
    let b = (0..sizes.len())
        .filter(|&label| label != own && sizes[label] > 0)
        .map(|label| distances[label] / sizes[label] as f64)
        .fold(f64::INFINITY, f64::min);
    let larger = a.max(b);
    if larger > 0.0 { (b - a) / larger } else { 0.0 }
}

/// `n_max` of `0..n` in rising order, each set equally likely, the same set every time.
fn subsample(n: usize, n_max: usize) -> Vec<usize> {
    let mut stream = StreamKey::new(0, "subsample").stream(n, 0);
    let mut wanted = n_max.min(n);
    (0..n)
        .filter(|&index| {
            let take = stream.below(n - index) < wanted;
            wanted -= usize::from(take);
            take
        })
        .collect()
}

/// Gap of each number of clusters, and the number it chooses.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// Gap(k) for k = 1, 2, … `k_max`.
    pub gaps: Vec<f64>,
    /// Standard error s(k) of each, simulation error included.
    pub errors: Vec<f64>,
    /// Smallest k with Gap(k) ≥ Gap(k + 1) − s(k + 1); `k_max` where there is none.
    pub k: usize,
}

/// Gap statistic of k-means for k up to `k_max`, against 50 uniform samples over the range of each
/// feature drawn from `key`.
///
/// The rule takes the first k that holds, so clusters in a row at equal distances, which look uniform
/// from afar, can pass for one.
///
/// # Errors
///
/// `Value` at `k`: `k_max` is 0 or more than the number of distinct samples; at `features`: a
/// partition without spread, whose logarithm does not exist.
pub fn gap_statistic(features: &Features, k_max: usize, key: StreamKey) -> Result<Gap> {
    if k_max == 0 {
        return Err(Error::value("0 clusters cannot be tried").at_field("k"));
    }
    let observed = log_inertias(features, k_max)?;
    let mut references = vec![Vec::with_capacity(GAP_REFERENCES as usize); k_max];
    for replicate in 0..GAP_REFERENCES {
        let inertias = log_inertias(&uniform(features, key, replicate), k_max)?;
        for (column, inertia) in references.iter_mut().zip(inertias) {
            column.push(inertia);
        }
    }
    let widen = (1.0 + 1.0 / f64::from(GAP_REFERENCES)).sqrt();
    let (mut gaps, mut errors) = (Vec::new(), Vec::new());
    for (column, observed) in references.iter().zip(observed) {
        let moments = Moments::of(column)
            .ok_or_else(|| Error::value("reference samples overflow").at_field("features"))?;
        gaps.push(moments.mean() - observed);
        errors.push(moments.population_variance().sqrt() * widen);
    }
    let k = (1..k_max).find(|&k| gaps[k - 1] >= gaps[k] - errors[k]).unwrap_or(k_max);
    Ok(Gap { gaps, errors, k })
}

fn log_inertias(features: &Features, k_max: usize) -> Result<Vec<f64>> {
    (1..=k_max)
        .map(|k| {
            let inertia = if features.n_features() == 1 {
                k_means::k_means(&features.view().column(0).to_vec(), k)?.inertia
            } else {
                multivariate::k_means(features, k)?.inertia
            };
            if inertia > 0.0 {
                return Ok(inertia.ln());
            }
            let message = format!("{k} clusters leave no spread within");
            Err(Error::value(message).at_field("features"))
        })
        .collect()
}

fn uniform(features: &Features, key: StreamKey, replicate: u32) -> Features {
    let mut reference = Array2::zeros((features.n_samples(), features.n_features()));
    let view = features.view();
    for (feature, column) in view.axis_iter(Axis(1)).enumerate() {
        let low = column.iter().copied().fold(f64::INFINITY, f64::min);
        let high = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut stream = key.stream(feature, replicate);
        reference.column_mut(feature).mapv_inplace(|_: f64| low + (high - low) * stream.uniform());
    }
    Features::from_array(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Standard normal values about the `centres` in turn.
    fn draw(seed: u64, centres: &[f64], n: usize) -> Vec<f64> {
        let key = StreamKey::new(seed, "blobs");
        (0..n).map(|voxel| centres[voxel % centres.len()] + key.stream(voxel, 0).normal()).collect()
    }

    fn blobs(centres: &[f64], n: usize) -> (Features, Vec<usize>) {
        let features = Features::new(&[&draw(9, centres, n)]).unwrap();
        (features, (0..n).map(|voxel| voxel % centres.len()).collect())
    }

    #[test]
    fn silhouette_of_four_points_is_that_of_the_hand() {
        // Points 0, 1 | 5, 7: widths (6−1)/6, (5−1)/5, (4.5−2)/4.5, (6.5−2)/6.5.
        let features = Features::new(&[&[0.0, 1.0, 5.0, 7.0]]).unwrap();
        let expected = (5.0 / 6.0 + 0.8 + 2.5 / 4.5 + 4.5 / 6.5) / 4.0;
        assert!((silhouette(&features, &[0, 0, 1, 1]).unwrap() - expected).abs() < 1e-15);
        let single = silhouette(&features, &[0, 0, 0, 1]).unwrap();
        // Widths (7−3)/7, (6−2.5)/6, (2−4.5)/4.5 and 0.
        assert!((single - (4.0 / 7.0 + 3.5 / 6.0 - 2.5 / 4.5) / 4.0).abs() < 1e-15);
        assert_eq!(silhouette(&features, &[0; 4]), None);
        assert_eq!(silhouette(&features, &[0; 3]), None);
    }

    #[test]
    fn a_subsample_speaks_for_the_whole() {
        let (features, labels) = blobs(&[0.0, 8.0], 6000);
        let drawn = silhouette(&features, &labels).unwrap();
        let (small, small_labels) = blobs(&[0.0, 8.0], 2000);
        assert!((drawn - silhouette(&small, &small_labels).unwrap()).abs() < 0.01);
        assert_eq!(subsample(6000, 2000).len(), 2000);
        assert_eq!(subsample(3, 5), [0, 1, 2]);
    }

    #[test]
    fn gap_chooses_the_number_of_blobs() {
        let key = StreamKey::new(1, "gap");
        for (centres, k) in [(&[0.0][..], 1), (&[0.0, 9.0], 2)] {
            let (features, _) = blobs(centres, 300);
            assert_eq!(gap_statistic(&features, 4, key).unwrap().k, k);
        }
        let (x, y) = (draw(1, &[0.0, 9.0, 0.0], 150), draw(2, &[0.0, 0.0, 9.0], 150));
        let corners = Features::new(&[&x, &y]).unwrap();
        assert_eq!(gap_statistic(&corners, 4, key).unwrap().k, 3);
    }

    #[test]
    fn gap_needs_spread_within_clusters() {
        let features = Features::new(&[&[0.0, 1.0, 1.0]]).unwrap();
        let key = StreamKey::new(1, "gap");
        assert_eq!(gap_statistic(&features, 2, key).unwrap_err().field(), Some("features"));
        assert_eq!(gap_statistic(&features, 0, key).unwrap_err().field(), Some("k"));
    }
}
