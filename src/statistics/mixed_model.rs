//! Two groups of measurements that come in clusters: y = μ + τ·treated + b(cluster) + ε.
//!
//! The variances of b and ε are those of restricted maximum likelihood; the degrees of freedom of τ
//! follow Satterthwaite with the expected information. A negative correlation within clusters is outside
//! the model: the variance of b is 0 then. Where each cluster holds one treated and one untreated
//! measurement, the test of τ is the paired t test as long as that variance is positive.
//!
//! # Reference
//!
//! Patterson and Thompson, "Recovery of inter-block information when block sizes are unequal",
//! Biometrika 58 (1971), doi:10.1093/biomet/58.3.545. Satterthwaite, "An approximate distribution of
//! estimates of variance components", Biometrics Bull. 2 (1946), doi:10.2307/3002019.

use statrs::distribution::ContinuousCDF;

use super::t_test::student;
use crate::error::{Error, Result};

/// Coarse steps of the search over the part of the variance that lies between clusters.
const N_STEPS: usize = 200;
const N_SECTIONS: usize = 80;

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Value, any unit.
    pub value: f64,
    /// Whether it is of the treated group.
    pub treated: bool,
}

/// Difference between the groups and what it is judged by, in the unit of the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixedModel {
    /// Mean of the untreated, μ.
    pub untreated_mean: f64,
    /// Treated less untreated, τ.
    pub effect: f64,
    /// Standard error of τ.
    pub standard_error: f64,
    /// Satterthwaite's degrees of freedom of τ.
    pub degrees_of_freedom: f64,
    /// Two-sided p of τ = 0.
    pub p: f64,
    /// SD of b, between clusters; 0 where clusters are no more alike than chance.
    pub between_sd: f64,
    /// SD of ε, within clusters.
    pub within_sd: f64,
}

/// Fits the model to clusters of observations.
///
/// # Errors
///
/// `Value` at `clusters`: a value not finite, a group without any observation, no cluster with two, or
/// nothing left to vary.
pub fn mixed_model(clusters: &[Vec<Observation>]) -> Result<MixedModel> {
    let all = || clusters.iter().flatten();
    let refuse = |what: &str| Err(Error::value(what).at_field("clusters"));
    if all().any(|observation| !observation.value.is_finite()) {
        return refuse("a value is not finite");
    }
    if !(all().any(|o| o.treated) && all().any(|o| !o.treated)) {
        return refuse("both groups need an observation");
    }
    if clusters.iter().all(|cluster| cluster.len() < 2) {
        return refuse("no cluster has two observations");
    }
    let data = Data::of(clusters);
    let ratio = data.likeliest_ratio();
    let Some(at) = data.solve(ratio).filter(|at| at.variance > 0.0) else {
        return refuse("the observations leave nothing to vary");
    };
    let [within, between] = [at.variance, ratio * at.variance];
    let (variance, freedom) = data.satterthwaite([within, between]);
    let distribution = student(freedom)?;
    let standard_error = variance.sqrt();
    Ok(MixedModel {
        untreated_mean: at.effects[0],
        effect: at.effects[1],
        standard_error,
        degrees_of_freedom: freedom,
        p: (2.0 * distribution.sf((at.effects[1] / standard_error).abs())).min(1.0),
        between_sd: between.sqrt(),
        within_sd: within.sqrt(),
    })
}

/// Symmetric 2×2: [00, 01, 11].
type Symmetric = [f64; 3];

fn inverse([a, b, d]: Symmetric) -> Symmetric {
    let determinant = a * d - b * b;
    [d / determinant, -b / determinant, a / determinant]
}

/// x'·M·y.
fn form([a, b, d]: Symmetric, x: [f64; 2], y: [f64; 2]) -> f64 {
    x[0] * (a * y[0] + b * y[1]) + x[1] * (b * y[0] + d * y[1])
}

/// Squares of one cluster about its mean and of its mean, over (1, treated, value).
struct Cluster {
    n: f64,
    within: [f64; 6],
    mean: [f64; 6],
}

/// Products of (1, t, y): 11, 1t, tt, 1y, ty, yy.
fn products([one, t, y]: [f64; 3]) -> [f64; 6] {
    [one * one, one * t, t * t, one * y, t * y, y * y]
}

struct Data {
    clusters: Vec<Cluster>,
    n: f64,
}

/// Generalised least squares at one ratio of variances.
struct Solution {
    effects: [f64; 2],
    /// Of ε, restricted.
    variance: f64,
    /// −2 log restricted likelihood, less a constant.
    deviance: f64,
}

impl Data {
    fn of(clusters: &[Vec<Observation>]) -> Self {
        let of_cluster = |cluster: &Vec<Observation>| {
            let n = cluster.len() as f64;
            let row = |o: &Observation| [1.0, f64::from(u8::from(o.treated)), o.value];
            let mut mean = [0.0; 3];
            for observation in cluster {
                for (sum, value) in mean.iter_mut().zip(row(observation)) {
                    *sum += value / n;
                }
            }
            let mut within = [0.0; 6];
            for observation in cluster {
                let [_, t, y] = row(observation);
                let squares = products([0.0, t - mean[1], y - mean[2]]);
                within.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
            }
            Cluster { n, within, mean: products([1.0, mean[1], mean[2]]).map(|m| n * m) }
        };
        let clusters: Vec<Cluster> =
            clusters.iter().filter(|cluster| !cluster.is_empty()).map(of_cluster).collect();
        Self { n: clusters.iter().map(|cluster| cluster.n).sum(), clusters }
    }

    /// Σ over clusters of `within`·(squares about the mean) + `mean(n)`·(squares of the mean).
    fn weighted(&self, within: f64, mean: impl Fn(f64) -> f64) -> [f64; 6] {
        let mut sums = [0.0; 6];
        for cluster in &self.clusters {
            let weight = mean(cluster.n);
            for ((sum, inside), outside) in sums.iter_mut().zip(cluster.within).zip(cluster.mean) {
                *sum += within * inside + weight * outside;
            }
        }
        sums
    }

    fn design(&self, within: f64, mean: impl Fn(f64) -> f64) -> Symmetric {
        let [a, b, d, ..] = self.weighted(within, mean);
        [a, b, d]
    }

    /// `None` where τ cannot be told.
    fn solve(&self, ratio: f64) -> Option<Solution> {
        let [a, b, d, y0, y1, yy] = self.weighted(1.0, |n| 1.0 / (1.0 + n * ratio));
        let determinant = a * d - b * b;
        if determinant <= 0.0 {
            return None;
        }
        let inverse = inverse([a, b, d]);
        let effects = [form(inverse, [1.0, 0.0], [y0, y1]), form(inverse, [0.0, 1.0], [y0, y1])];
        let freedom = self.n - 2.0;
        let residual = yy - effects[0] * y0 - effects[1] * y1;
        // What is left of equal values is rounding.
        let variance = if residual > 1e-13 * yy { residual / freedom } else { 0.0 };
        let volume: f64 = self.clusters.iter().map(|c| (c.n * ratio).ln_1p()).sum();
        let deviance = freedom * variance.ln() + volume + determinant.ln();
        Some(Solution { effects, variance, deviance })
    }

    /// Variance of b over that of ε, by restricted likelihood.
    fn likeliest_ratio(&self) -> f64 {
        // The part u of the variance that lies between clusters: ratio = u / (1 − u).
        let deviance =
            |u: f64| self.solve(u / (1.0 - u)).map_or(f64::INFINITY, |solution| solution.deviance);
        let step = |index: usize| index as f64 / N_STEPS as f64;
        let best = (0..N_STEPS).min_by(|&a, &b| deviance(step(a)).total_cmp(&deviance(step(b))));
        let best = best.unwrap_or(0);
        let mut low = step(best.saturating_sub(1));
        let mut high = step(best + 1).min(1.0 - 1e-9);
        for _ in 0..N_SECTIONS {
            let third = (high - low) / 3.0;
            if deviance(low + third) <= deviance(high - third) {
                high -= third;
            } else {
                low += third;
            }
        }
        let u = f64::midpoint(low, high);
        if deviance(0.0) <= deviance(u) { 0.0 } else { u / (1.0 - u) }
    }

    /// Variance of τ at the variances of ε and b, and its degrees of freedom.
    fn satterthwaite(&self, [within, between]: [f64; 2]) -> (f64, f64) {
        let total = |n: f64| within + n * between;
        let covariance = inverse(self.design(1.0 / within, |n| 1.0 / total(n)));
        let variance = covariance[2];
        // By the variance of ε, and by that of b, which is felt by the means of clusters alone.
        let slopes = [
            self.design(within.powi(-2), |n| total(n).powi(-2)),
            self.design(0.0, |n| n * total(n).powi(-2)),
        ];
        let tau = column(covariance);
        let gradient = slopes.map(|slope| form(slope, tau, tau));
        let information = self.information([within, between], covariance, slopes);
        let spread = form(inverse(information), gradient, gradient);
        (variance, 2.0 * variance * variance / spread)
    }

    /// Expected information about both variances under restricted likelihood.
    fn information(
        &self,
        [within, between]: [f64; 2],
        covariance: Symmetric,
        slopes: [Symmetric; 2],
    ) -> Symmetric {
        let total = |n: f64| within + n * between;
        let mut traces = [0.0; 3];
        for Cluster { n, .. } in &self.clusters {
            let mean = total(*n).powi(-2);
            traces[0] += (n - 1.0) * within.powi(-2) + mean;
            traces[1] += n * mean;
            traces[2] += n * n * mean;
        }
        let cubes = [
            self.design(within.powi(-3), |n| total(n).powi(-3)),
            self.design(0.0, |n| n * total(n).powi(-3)),
            self.design(0.0, |n| n * n * total(n).powi(-3)),
        ];
        let pairs = [[0, 0], [0, 1], [1, 1]];
        let mut information = [0.0; 3];
        for (place, [j, k]) in pairs.into_iter().enumerate() {
            let fixed = trace(covariance, cubes[place]);
            let both = trace_of_four(covariance, slopes[j], slopes[k]);
            information[place] = 0.5 * (traces[place] - 2.0 * fixed + both);
        }
        information
    }
}

fn column([_, b, d]: Symmetric) -> [f64; 2] {
    [b, d]
}

/// tr(C·M).
fn trace([a, b, d]: Symmetric, [e, f, g]: Symmetric) -> f64 {
    a * e + 2.0 * b * f + d * g
}

/// tr(C·M·C·N).
fn trace_of_four(c: Symmetric, m: Symmetric, n: Symmetric) -> f64 {
    let columns = [[c[0], c[1]], [c[1], c[2]]];
    let mut sum = 0.0;
    for i in 0..2 {
        for j in 0..2 {
            sum += form(m, columns[i], columns[j]) * form(n, unit(j), unit(i));
        }
    }
    sum
}

fn unit(index: usize) -> [f64; 2] {
    if index == 0 { [1.0, 0.0] } else { [0.0, 1.0] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;
    use crate::statistics::t_test::t_test;

    fn knee(value: f64, treated: bool) -> Observation {
        Observation { value, treated }
    }

    fn cohort(n: usize, between: f64, seed: usize) -> Vec<Vec<Observation>> {
        let mut stream = StreamKey::new(31, "mixed_model").stream(seed, 0);
        (0..n)
            .map(|_| {
                let own = between * stream.normal();
                vec![
                    knee(1.0 + own + stream.normal(), false),
                    knee(0.3 + own + stream.normal(), true),
                ]
            })
            .collect()
    }

    /// Mean squares between and within subjects give the variances in closed form.
    #[test]
    fn a_balanced_design_has_its_closed_form() {
        for seed in 0..10 {
            let clusters = cohort(9, 2.0, seed);
            let found = mixed_model(&clusters).unwrap();
            let differences: Vec<f64> = clusters.iter().map(|c| c[1].value - c[0].value).collect();
            let sums: Vec<f64> = clusters.iter().map(|c| c[1].value + c[0].value).collect();
            let (test, other) = (t_test(&differences).unwrap(), t_test(&sums).unwrap());
            let within = test.standard_deviation.powi(2) / 2.0;
            let between = (other.standard_deviation.powi(2) / 2.0 - within) / 2.0;
            assert!(between > 0.0);
            assert!((found.within_sd - within.sqrt()).abs() < 1e-7);
            assert!((found.between_sd - between.sqrt()).abs() < 1e-7);
            assert!((found.effect - test.mean).abs() < 1e-12);
            assert!((found.standard_error - test.mean / test.t).abs() < 1e-7);
            assert!((found.degrees_of_freedom - 8.0).abs() < 1e-6);
            assert!((found.p - test.p).abs() < 1e-7);
        }
    }

    #[test]
    fn clusters_that_disagree_have_no_variance_of_their_own() {
        let clusters: Vec<Vec<Observation>> = (0..8)
            .map(|k| {
                let side = if k % 2 == 0 { 1.0 } else { -1.0 };
                vec![knee(side + 0.1 * f64::from(k), false), knee(1.0 - side, true)]
            })
            .collect();
        let found = mixed_model(&clusters).unwrap();
        assert!(found.between_sd.abs() < 1e-300 && found.within_sd > 0.5);
    }

    /// 2000 cohorts without any effect: a fraction of 0.05 is known to 0.005.
    #[test]
    fn no_effect_is_found_as_often_as_it_should_be() {
        let rejected = (0..2000)
            .filter(|&seed| {
                let mut clusters = cohort(9, 1.5, 1000 + seed);
                // Some knees are missing, and the effect is taken away.
                clusters[seed % 9].truncate(1);
                for observation in clusters.iter_mut().flatten() {
                    observation.value += if observation.treated { 0.7 } else { 0.0 };
                }
                mixed_model(&clusters).unwrap().p < 0.05
            })
            .count();
        assert!((rejected as f64 / 2000.0 - 0.05).abs() < 0.02, "{rejected}");
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let alone = vec![vec![knee(1.0, true)], vec![knee(2.0, false)]];
        let untreated = vec![vec![knee(1.0, false), knee(2.0, false)]];
        let equal = vec![vec![knee(1.0, false), knee(1.0, true)]; 4];
        let broken = vec![vec![knee(f64::NAN, false), knee(1.0, true)]];
        for clusters in [&[][..], &alone, &untreated, &equal, &broken] {
            assert_eq!(mixed_model(clusters).unwrap_err().field(), Some("clusters"));
        }
    }
}
