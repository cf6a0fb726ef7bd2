//! Clusters of two and more variables: k-means and Gaussian mixtures of `linfa-clustering`.
//!
//! For two to four clusters of two or three variables k-means is [`lloyd`]'s, which comes to the same
//! partition many times faster; `linfa-clustering` is the reference there and does all else.
//!
//! Features are standardised by median and robust SD after both tails are drawn in (winsorised),
//! so that a few wild voxels neither own a cluster nor overflow a density. Starts come from a fixed
//! generator through k-means++, counts and densities are computed here from labels and parameters,
//! and clusters are sorted, so the same input gives the same clusters for every number of threads.
//!
//! # Reference
//!
//! Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007,
//! doi:10.5555/1283383.1283494.

use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_clustering::{GaussianMixtureModel, KMeans, KMeansInit};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;

use super::k_means::lloyd::{self, Starts};
use super::mixture::{first_greatest, normalise_logarithms};
use super::moments::{Moments, sum};
use super::quantile::{quantiles, robust_standard_deviation};
use super::require_finite;
use crate::error::{Error, Result};
use crate::random::StreamKey;

const SEED: u64 = 42;
const RESTARTS: u32 = 20;
const ITERATIONS_MAX: usize = 300;
/// Squared step of all centroids below which Lloyd's iteration stands still.
const STEP_MIN: f64 = 1e-12;
const MIXTURE_STARTS: u64 = 3;
const MIXTURE_ITERATIONS_MAX: u64 = 500;
/// Gain of mean log-likelihood below which a mixture has converged.
const MIXTURE_GAIN_MIN: f64 = 1e-6;
/// Added to every variance: the floor of the SD is 0.01 robust SD.
const VARIANCE_FLOOR: f64 = 1e-4;
/// Fraction of values drawn in at each end.
const TAIL: f64 = 0.005;

/// Samples by features, `[n_samples, n_features]`, all finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Features(Array2<f64>);

impl Features {
    /// Takes one slice per feature, all of one length, as they are.
    ///
    /// # Errors
    ///
    /// `Value`: no features, no samples, a value that is not finite; `Mismatch`: lengths differ.
    pub fn new(columns: &[&[f64]]) -> Result<Self> {
        let Some(first) = columns.first() else {
            return Err(Error::value("there are no features").at_field("features"));
        };
        for (index, column) in columns.iter().enumerate() {
            let field = format!("features[{index}]");
            require_finite(column, &field)?;
            if column.len() != first.len() {
                let message =
                    format!("{} values where the first has {}", column.len(), first.len());
                return Err(Error::mismatch(message).at_field(field));
            }
        }
        let shape = (first.len(), columns.len());
        Ok(Self(Array2::from_shape_fn(shape, |(sample, feature)| columns[feature][sample])))
    }

    /// The same features, each by its own [`Standardisation`], which come back with them.
    ///
    /// # Errors
    ///
    /// As [`Features::new`].
    pub fn standardised(columns: &[&[f64]]) -> Result<(Self, Vec<Standardisation>)> {
        let mut features = Self::new(columns)?;
        let scales: Vec<Standardisation> =
            columns.iter().map(|column| Standardisation::of(column)).collect();
        for (scale, mut column) in scales.iter().zip(features.0.axis_iter_mut(Axis(1))) {
            column.mapv_inplace(|value| scale.apply(value));
        }
        Ok((features, scales))
    }

    /// Number of samples, at least 1.
    pub fn n_samples(&self) -> usize {
        self.0.nrows()
    }

    /// Number of features, at least 1.
    pub fn n_features(&self) -> usize {
        self.0.ncols()
    }

    /// All values, `[n_samples, n_features]`.
    pub fn view(&self) -> ArrayView2<'_, f64> {
        self.0.view()
    }

    pub(super) fn from_array(array: Array2<f64>) -> Self {
        Self(array)
    }

    /// The samples at `rows`.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        Self(self.0.select(Axis(0), rows))
    }

    /// How many different samples there are.
    pub fn n_distinct(&self) -> usize {
        let mut rows: Vec<Vec<f64>> = self.0.rows().into_iter().map(|row| row.to_vec()).collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        rows.dedup();
        rows.len()
    }

    /// How many different samples there are, counted up to `limit`.
    pub fn n_distinct_up_to(&self, limit: usize) -> usize {
        let mut found: Vec<ArrayView1<'_, f64>> = Vec::new();
        for row in self.0.rows() {
            if found.len() >= limit {
                break;
            }
            if !found.contains(&row) {
                found.push(row);
            }
        }
        found.len()
    }

    fn require_clusters(&self, k: usize) -> Result<()> {
        if k >= 1 && self.n_distinct_up_to(k) == k {
            return Ok(());
        }
        let n_distinct = self.n_distinct();
        Err(Error::value(format!("{k} clusters from {n_distinct} distinct samples"))
            .at_field("k")
            .hint(format!("choose k from 1 to {n_distinct}")))
    }
}

/// How one feature is brought to the common scale: tails drawn in, less its median, over its robust
/// SD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standardisation {
    limits: [f64; 2],
    median: f64,
    scale: f64,
}

impl Standardisation {
    /// Leaves every value as it is.
    pub fn identity() -> Self {
        Self { limits: [f64::NEG_INFINITY, f64::INFINITY], median: 0.0, scale: 1.0 }
    }

    /// Winsorises at the 0.5 % and 99.5 % quantiles of `column`.
    ///
    /// Where the robust SD is 0 the SD stands in; a feature without spread becomes 0. The identity
    /// for no values or where one is not finite.
    fn of(column: &[f64]) -> Self {
        let Some([low, median, high]) = quantiles(column, [TAIL, 0.5, 1.0 - TAIL]) else {
            return Self::identity();
        };
        let scale = robust_standard_deviation(column)
            .filter(|&scale| scale > 0.0)
            .or_else(|| Moments::of(column).and_then(|moments| moments.standard_deviation()))
            .filter(|&scale| scale > 0.0)
            .unwrap_or(1.0);
        Self { limits: [low, high], median, scale }
    }

    /// `value` on the common scale; NaN stays NaN.
    pub fn apply(&self, value: f64) -> f64 {
        (value.clamp(self.limits[0], self.limits[1]) - self.median) / self.scale
    }
}

/// A partition of samples of several variables; clusters by rising first coordinate of the centroid.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// Cluster of each sample, `0..k`.
    pub labels: Vec<usize>,
    /// Mean of each cluster, `[k][n_features]`.
    pub centroids: Vec<Vec<f64>>,
    /// Number of samples in each cluster.
    pub sizes: Vec<usize>,
    /// Sum of squared distances to the own centroid.
    pub inertia: f64,
}

/// Best of 20 k-means++ starts, at most 300 iterations each, over `features` as they are.
///
/// # Errors
///
/// `Value` at `k`: not within 1 and the number of distinct samples, or a cluster ran empty.
pub fn k_means(features: &Features, k: usize) -> Result<Partition> {
    features.require_clusters(k)?;
    let key = StreamKey::new(SEED, "k_means");
    let starts = Starts { repetitions: RESTARTS, n_iterations_max: ITERATIONS_MAX, key };
    let columns: Vec<Vec<f64>> = features.0.columns().into_iter().map(|c| c.to_vec()).collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    match lloyd::best_of(&columns, k, starts) {
        Some(found) => {
            let labels: Vec<usize> = found.labels.into_iter().map(usize::from).collect();
            partition(features, &labels, k)
        }
        None => by_library(features, k),
    }
}

fn by_library(features: &Features, k: usize) -> Result<Partition> {
    let fitted = KMeans::params_with_rng(k, Xoshiro256Plus::seed_from_u64(SEED))
        .init_method(KMeansInit::KMeansPlusPlus)
        .n_runs(RESTARTS as usize)
        .max_n_iterations(ITERATIONS_MAX as u64)
        .tolerance(STEP_MIN)
        .fit(&DatasetBase::from(features.0.view()))
        .map_err(|error| {
            Error::value(format!("k-means found no clusters: {error}")).at_field("k")
        })?;
    partition(features, fitted.predict(&features.0).as_slice().unwrap_or_default(), k)
}

/// Recounts clusters from `labels` and sorts them: what the library counts belongs to its last run.
fn partition(features: &Features, labels: &[usize], k: usize) -> Result<Partition> {
    let mut members = vec![Vec::new(); k];
    for (sample, &label) in labels.iter().enumerate() {
        members[label].push(sample);
    }
    if let Some(empty) = members.iter().position(Vec::is_empty) {
        return Err(Error::value(format!("cluster {} of {k} has no samples", empty + 1))
            .at_field("k")
            .hint("choose fewer clusters"));
    }
    let mut clusters: Vec<(Vec<f64>, Vec<usize>)> =
        members.into_iter().map(|cluster| (centroid(features, &cluster), cluster)).collect();
    clusters.sort_by(|a, b| compare(&a.0, &b.0));
    let mut sorted = vec![0; labels.len()];
    for (label, (_, cluster)) in clusters.iter().enumerate() {
        for &sample in cluster {
            sorted[sample] = label;
        }
    }
    let inertia = sum(clusters.iter().flat_map(|(centroid, cluster)| {
        cluster.iter().map(|&sample| squared_distance(features, sample, centroid))
    }));
    let sizes = clusters.iter().map(|(_, cluster)| cluster.len()).collect();
    let centroids = clusters.into_iter().map(|(centroid, _)| centroid).collect();
    Ok(Partition { labels: sorted, centroids, sizes, inertia })
}

fn centroid(features: &Features, members: &[usize]) -> Vec<f64> {
    features
        .0
        .axis_iter(Axis(1))
        .map(|column| sum(members.iter().map(|&sample| column[sample])) / members.len() as f64)
        .collect()
}

fn squared_distance(features: &Features, sample: usize, centre: &[f64]) -> f64 {
    features.0.row(sample).iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn compare(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)
}

/// A mixture of multivariate normal distributions; components by rising first mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// Weight of each component; they sum to 1.
    pub weights: Vec<f64>,
    /// Mean of each component, `[k][n_features]`.
    pub means: Vec<Vec<f64>>,
    /// Posterior of each component for each sample, `[n_samples, k]` row-major.
    pub responsibilities: Vec<f64>,
    /// Component with the greatest posterior of each sample.
    pub labels: Vec<usize>,
    /// Natural logarithm of the likelihood of the sample.
    pub log_likelihood: f64,
    /// (k − 1) + k·d + k·d·(d + 1)/2 free parameters.
    pub n_parameters: usize,
}

/// Best of three seeded starts of a full-covariance mixture over `features` as they are.
///
/// # Errors
///
/// `Value` at `k`: not within 1 and the number of distinct samples, or no start converged to finite
/// densities within 500 iterations.
pub fn mixture(features: &Features, k: usize) -> Result<Mixture> {
    features.require_clusters(k)?;
    let mut best: Option<Mixture> = None;
    let mut reason = String::from("densities are not finite");
    for start in 0..MIXTURE_STARTS {
        let generator = Xoshiro256Plus::seed_from_u64(SEED + start);
        let fitted = GaussianMixtureModel::params_with_rng(k, generator)
            .max_n_iterations(MIXTURE_ITERATIONS_MAX)
            .tolerance(MIXTURE_GAIN_MIN)
            .reg_covariance(VARIANCE_FLOOR)
            .fit(&DatasetBase::from(features.0.view()));
        match fitted {
            Ok(model) => {
                let found = evaluate(features, &model);
                let better = best.as_ref().is_none_or(|best| {
                    found.as_ref().is_some_and(|f| f.log_likelihood > best.log_likelihood)
                });
                if better {
                    best = found.or(best);
                }
            }
            Err(error) => reason = error.to_string(),
        }
    }
    best.ok_or_else(|| {
        Error::value(format!("no mixture of {k} components fits: {reason}"))
            .at_field("k")
            .hint("choose fewer components, or k-means")
    })
}

/// One normal density: its logarithm is `constant` − ½ (x − mean)ᵀ P (x − mean).
struct Component {
    weight: f64,
    mean: Vec<f64>,
    precision: Array2<f64>,
    constant: f64,
}

/// Densities and posteriors from the fitted parameters; `None` where one is not finite.
fn evaluate(features: &Features, model: &GaussianMixtureModel<f64>) -> Option<Mixture> {
    let (k, d) = (model.weights().len(), features.n_features());
    let mut components = Vec::with_capacity(k);
    for (j, precision) in model.precisions().outer_iter().enumerate() {
        let weight = model.weights()[j];
        let log_determinant = log_determinant(precision)?;
        let constant =
            weight.ln() + 0.5 * (log_determinant - d as f64 * std::f64::consts::TAU.ln());
        let mean = model.means().row(j).to_vec();
        components.push(Component { weight, mean, precision: precision.to_owned(), constant });
    }
    components.sort_by(|a, b| compare(&a.mean, &b.mean));
    let mut responsibilities = vec![0.0; features.n_samples() * k];
    let log_likelihood =
        sum(responsibilities.chunks_exact_mut(k).zip(features.0.rows()).map(|(row, sample)| {
            for (entry, component) in row.iter_mut().zip(&components) {
                *entry = component.log_density(sample.iter().copied());
            }
            normalise_logarithms(row)
        }));
    let weights: Vec<f64> = components.iter().map(|component| component.weight).collect();
    let finite = log_likelihood.is_finite() && weights.iter().all(|weight| weight.is_finite());
    finite.then(|| Mixture {
        weights,
        labels: responsibilities.chunks_exact(k).map(first_greatest).collect(),
        means: components.into_iter().map(|component| component.mean).collect(),
        responsibilities,
        log_likelihood,
        n_parameters: (k - 1) + k * d + k * d * (d + 1) / 2,
    })
}

impl Component {
    fn log_density(&self, sample: impl Iterator<Item = f64>) -> f64 {
        let away: Vec<f64> = sample.zip(&self.mean).map(|(x, mean)| x - mean).collect();
        let mut quadratic = 0.0;
        for (row, a) in self.precision.rows().into_iter().zip(&away) {
            quadratic += a * row.iter().zip(&away).map(|(p, b)| p * b).sum::<f64>();
        }
        self.constant - 0.5 * quadratic
    }
}

/// ln det of a positive definite matrix by Cholesky; `None` where it is not.
fn log_determinant(matrix: ArrayView2<'_, f64>) -> Option<f64> {
    let d = matrix.nrows();
    let mut lower = Array2::<f64>::zeros((d, d));
    let mut logarithm = 0.0;
    for i in 0..d {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|m| lower[[i, m]] * lower[[j, m]]).sum();
            let rest = matrix[[i, j]] - dot;
            if i == j {
                if !(rest > 0.0 && rest.is_finite()) {
                    return None;
                }
                lower[[i, i]] = rest.sqrt();
                logarithm += rest.ln();
            } else {
                lower[[i, j]] = rest / lower[[j, j]];
            }
        }
    }
    Some(logarithm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    /// Two clouds, 60 % at (0, 10), 40 % at (4, 2), SD 1 and 0.5.
    fn clouds(n: usize) -> [Vec<f64>; 2] {
        let key = StreamKey::new(5, "clouds");
        let points: Vec<[f64; 2]> = (0..n)
            .map(|voxel| {
                let mut stream = key.stream(voxel, 0);
                let (x, y) = (stream.normal(), stream.normal());
                if voxel % 5 < 3 { [x, 10.0 + 0.5 * y] } else { [4.0 + x, 2.0 + 0.5 * y] }
            })
            .collect();
        [0, 1].map(|axis| points.iter().map(|point| point[axis]).collect())
    }

    #[test]
    fn two_clouds_are_told_apart_and_sorted_by_the_first_feature() {
        let [x, y] = clouds(1000);
        let (features, _) = Features::standardised(&[&x, &y]).unwrap();
        let found = k_means(&features, 2).unwrap();
        assert_eq!(found.sizes, [600, 400]);
        for (sample, &label) in found.labels.iter().enumerate() {
            assert_eq!(label, usize::from(sample % 5 >= 3));
        }
        let mixed = mixture(&features, 2).unwrap();
        assert_eq!(mixed.labels, found.labels);
        assert!((mixed.weights[0] - 0.6).abs() < 0.01);
    }

    #[test]
    fn one_component_has_the_closed_form_likelihood() {
        let [x, y] = clouds(500);
        let (features, _) = Features::standardised(&[&x, &y]).unwrap();
        let mixed = mixture(&features, 1).unwrap();
        // −n/2 (d ln 2π + ln det Σ) − ½ Σ zᵀ Σ⁻¹ z, with Σ the covariance plus the floor.
        let view = features.view();
        let n = 500.0;
        let mean: Vec<f64> = view.axis_iter(Axis(1)).map(|c| c.sum() / n).collect();
        let covariance = |a: usize, b: usize| {
            view.rows().into_iter().map(|r| (r[a] - mean[a]) * (r[b] - mean[b])).sum::<f64>() / n
        };
        let (sxx, sxy, syy) = (covariance(0, 0), covariance(0, 1), covariance(1, 1));
        let (a, c) = (sxx + VARIANCE_FLOOR, syy + VARIANCE_FLOOR);
        let determinant = a * c - sxy * sxy;
        let trace = (c * sxx - 2.0 * sxy * sxy + a * syy) / determinant;
        let expected = -0.5 * n * (2.0 * std::f64::consts::TAU.ln() + determinant.ln() + trace);
        assert!((mixed.log_likelihood - expected).abs() < 1e-8 * expected.abs());
        assert_eq!(mixed.n_parameters, 5);
    }

    #[test]
    fn wild_values_do_not_own_a_cluster() {
        let [mut x, y] = clouds(1000);
        (x[0], x[1]) = (1e9, -1e9);
        let (features, _) = Features::standardised(&[&x, &y]).unwrap();
        let found = k_means(&features, 2).unwrap();
        assert!(found.sizes.iter().all(|&n| n >= 399));
        assert!(mixture(&features, 2).unwrap().log_likelihood.is_finite());
    }

    #[test]
    fn clusters_are_bit_equal_for_one_and_two_threads() {
        let [x, y] = clouds(3000);
        let (features, _) = Features::standardised(&[&x, &y]).unwrap();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| (k_means(&features, 3).unwrap(), mixture(&features, 2).unwrap()))
        };
        assert_eq!(run(1), run(2));
    }

    #[test]
    fn own_iteration_and_library_come_to_the_same_partition() {
        let [x, y] = clouds(900);
        let z: Vec<f64> = x.iter().zip(&y).map(|(x, y)| (x * y).sin()).collect();
        let (pair, _) = Features::standardised(&[&x, &y]).unwrap();
        let (triple, _) = Features::standardised(&[&x, &y, &z]).unwrap();
        for (features, k) in [(&pair, 2), (&pair, 3), (&triple, 2)] {
            let (own, library) = (k_means(features, k).unwrap(), by_library(features, k).unwrap());
            assert_eq!(own.labels, library.labels);
        }
        // More clusters than the own iteration takes.
        assert_eq!(k_means(&pair, 6).unwrap(), by_library(&pair, 6).unwrap());
        assert_eq!((pair.n_distinct_up_to(7), pair.n_distinct()), (7, 900));
    }

    #[test]
    fn bad_features_are_refused() {
        assert!(Features::new(&[]).is_err());
        assert!(Features::new(&[&[]]).is_err());
        let error = Features::new(&[&[1.0, 2.0], &[1.0]]).unwrap_err();
        assert_eq!(error.to_string(), "`features[1]`: 1 values where the first has 2");
        assert!(Features::new(&[&[1.0, f64::NAN]]).is_err());
        let (constant, _) = Features::standardised(&[&[1.0; 40], &[2.0; 40]]).unwrap();
        assert!(constant.view().iter().all(|value| value.abs() < 1e-15));
        assert_eq!(k_means(&constant, 2).unwrap_err().field(), Some("k"));
        assert_eq!(mixture(&constant, 2).unwrap_err().field(), Some("k"));
    }
}
