//! Gaussian mixture of one variable by expectation maximisation.
//!
//! Start at the quantiles, densities by log-sum-exp, a floor under every SD and every weight. Both
//! floors are kept by the exact constrained maximum of the M step, so the log-likelihood still never
//! falls.
//!
//! # Reference
//!
//! Dempster, Laird, Rubin, J. R. Stat. Soc. B 39 (1977), doi:10.1111/j.2517-6161.1977.tb01600.x.
//! Schwarz, "Estimating the dimension of a model", Ann. Stat. 6 (1978), doi:10.1214/aos/1176344136.

use rayon::prelude::*;

use super::moments::{Moments, sum};
use super::quantile::Sorted;
use super::require_finite;
use crate::error::{Error, Result};

/// Iterations after which expectation maximisation stops.
pub const ITERATIONS_MAX: usize = 500;
/// Least weight of a component.
pub const WEIGHT_FLOOR: f64 = 0.02;
/// Gain of log-likelihood per value below which it has converged.
const GAIN_MIN: f64 = 1e-8;
/// Least SD as a fraction of the range, where none is given.
const SD_FLOOR_FRACTION: f64 = 1e-3;
/// Values per block of a sum.
const BLOCK: usize = 4096;
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// A mixture of normal distributions, components by rising mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// Weight of each component; they sum to 1.
    pub weights: Vec<f64>,
    /// Mean of each component, rising.
    pub means: Vec<f64>,
    /// SD of each component.
    pub standard_deviations: Vec<f64>,
    /// Natural logarithm of the likelihood of the sample.
    pub log_likelihood: f64,
    /// Log-likelihood at the start and after each iteration.
    pub log_likelihood_path: Vec<f64>,
    /// Number of values it was fitted to.
    pub n: usize,
    /// Whether the gain fell below 1e-8 per value within 500 iterations.
    pub converged: bool,
}

impl Mixture {
    /// Fits `k` components to `values`; no SD falls below `sd_floor`, by default 1e-3 of the range.
    ///
    /// # Errors
    ///
    /// `Value`: no values, a value that is not finite, no spread, `k` not within 1 and the smaller of
    /// 49 (the weight floor) and the number of distinct values, or a floor that is not positive.
    pub fn fit(values: &[f64], k: usize, sd_floor: Option<f64>) -> Result<Self> {
        require_finite(values, "values")?;
        let sorted = Sorted::new(values)
            .ok_or_else(|| Error::value("there are no values").at_field("values"))?;
        let range = sorted.maximum() - sorted.minimum();
        let k_max = sorted.n_distinct().min((1.0 / WEIGHT_FLOOR) as usize - 1);
        if !(1..=k_max).contains(&k) {
            let message = format!("{k} components where 1 to {k_max} are possible");
            return Err(Error::value(message).at_field("k"));
        }
        let floor = sd_floor.unwrap_or(SD_FLOOR_FRACTION * range);
        if !(floor > 0.0 && floor.is_finite()) {
            let message = format!("SD floor {floor} is not positive: the values have no spread");
            return Err(Error::value(message).at_field("sd_floor"));
        }
        let mut mixture = Self::start(&sorted, k, floor)?;
        mixture.maximise(values, floor);
        mixture.order();
        Ok(mixture)
    }

    fn start(sorted: &Sorted, k: usize, floor: f64) -> Result<Self> {
        let moments = Moments::of(sorted.values())
            .ok_or_else(|| Error::value("squares of the values overflow").at_field("values"))?;
        let spread = moments.population_variance().sqrt();
        let means = (0..k).map(|j| sorted.quantile((j as f64 + 0.5) / k as f64)).collect();
        Ok(Self {
            weights: vec![1.0 / k as f64; k],
            means,
            standard_deviations: vec![(spread / k as f64).max(floor); k],
            log_likelihood: f64::NEG_INFINITY,
            log_likelihood_path: Vec::new(),
            n: sorted.values().len(),
            converged: false,
        })
    }

    fn maximise(&mut self, values: &[f64], floor: f64) {
        let mut expected = self.expect(values);
        self.log_likelihood = expected.log_likelihood;
        self.log_likelihood_path.push(self.log_likelihood);
        for _ in 0..ITERATIONS_MAX {
            let before =
                (self.weights.clone(), self.means.clone(), self.standard_deviations.clone());
            self.update(&expected, floor);
            expected = self.expect(values);
            let gain = expected.log_likelihood - self.log_likelihood;
            if gain < 0.0 {
                // Only rounding can make it fall: the last but one state is the maximum.
                (self.weights, self.means, self.standard_deviations) = before;
                self.converged = true;
                return;
            }
            self.log_likelihood = expected.log_likelihood;
            self.log_likelihood_path.push(self.log_likelihood);
            if gain < GAIN_MIN * values.len() as f64 {
                self.converged = true;
                return;
            }
        }
    }

    /// Sums over all values, in blocks of fixed size that are added in order.
    fn expect(&self, values: &[f64]) -> Expected {
        let terms = self.log_terms();
        let blocks: Vec<Expected> =
            values.par_chunks(BLOCK).map(|block| self.expect_block(block, &terms)).collect();
        let mut all = Expected::zero(self.weights.len());
        all.log_likelihood = sum(blocks.iter().map(|block| block.log_likelihood));
        for block in &blocks {
            for (total, part) in all.powers.iter_mut().zip(&block.powers) {
                for (total, part) in total.iter_mut().zip(part) {
                    *total += part;
                }
            }
        }
        all
    }

    fn expect_block(&self, block: &[f64], terms: &[f64]) -> Expected {
        let mut expected = Expected::zero(self.weights.len());
        let mut row = vec![0.0; self.weights.len()];
        for &value in block {
            expected.log_likelihood += self.responsibilities_into(value, terms, &mut row);
            for (j, (power, &r)) in expected.powers.iter_mut().zip(&row).enumerate() {
                let away = value - self.means[j];
                power[0] += r;
                power[1] += r * away;
                power[2] += r * away * away;
            }
        }
        expected
    }

    /// ln weight − ln SD − ln √(2π) of each component.
    fn log_terms(&self) -> Vec<f64> {
        let pairs = self.weights.iter().zip(&self.standard_deviations);
        pairs.map(|(weight, sd)| weight.ln() - sd.ln() - LN_SQRT_TAU).collect()
    }

    /// Fills the posterior of each component at `value` and returns the log density there.
    fn responsibilities_into(&self, value: f64, terms: &[f64], row: &mut [f64]) -> f64 {
        for (j, entry) in row.iter_mut().enumerate() {
            let z = (value - self.means[j]) / self.standard_deviations[j];
            *entry = terms[j] - 0.5 * z * z;
        }
        normalise_logarithms(row)
    }

    fn update(&mut self, expected: &Expected, floor: f64) {
        for (j, &[total, first, second]) in expected.powers.iter().enumerate() {
            if total > f64::MIN_POSITIVE {
                let step = first / total;
                self.means[j] += step;
                let variance = (second / total - step * step).max(0.0);
                self.standard_deviations[j] = variance.sqrt().max(floor);
            }
        }
        let totals: Vec<f64> = expected.powers.iter().map(|power| power[0]).collect();
        self.weights = floored_weights(&totals);
    }

    fn order(&mut self) {
        let mut order: Vec<usize> = (0..self.means.len()).collect();
        order.sort_by(|&a, &b| self.means[a].total_cmp(&self.means[b]));
        let pick = |column: &[f64]| order.iter().map(|&j| column[j]).collect::<Vec<f64>>();
        self.weights = pick(&self.weights);
        self.standard_deviations = pick(&self.standard_deviations);
        self.means = pick(&self.means);
    }

    /// Posterior probability of each component at `value`; they sum to 1.
    pub fn responsibilities(&self, value: f64) -> Vec<f64> {
        let mut row = vec![0.0; self.weights.len()];
        self.responsibilities_into(value, &self.log_terms(), &mut row);
        row
    }

    /// The component with the greatest posterior at `value`, the lower of equal ones.
    pub fn label(&self, value: f64) -> usize {
        first_greatest(&self.responsibilities(value))
    }

    /// Bayesian information criterion, smaller is better; see [`bic`].
    pub fn bic(&self, n_corr: f64) -> f64 {
        bic(self.log_likelihood, 3 * self.weights.len() - 1, self.n, n_corr)
    }
}

/// What one pass over the values gives.
struct Expected {
    log_likelihood: f64,
    /// Σr, Σr·d, Σr·d² of each component, with r the posterior and d the distance from its mean.
    powers: Vec<[f64; 3]>,
}

impl Expected {
    fn zero(k: usize) -> Self {
        Self { log_likelihood: 0.0, powers: vec![[0.0; 3]; k] }
    }
}

/// −2ℓ/c + p·ln(n/c): the criterion of a sample whose neighbours are correlated so that `c` =
/// `n_corr` values carry the information of one. `n_corr` below 1 or NaN counts as 1; n/c is at
/// least 1.
///
/// The log-likelihood is divided as well as n: a smaller n alone would make the criterion prefer
/// more components, not fewer.
pub fn bic(log_likelihood: f64, n_parameters: usize, n: usize, n_corr: f64) -> f64 {
    let n_corr = n_corr.max(1.0);
    let n_effective = (n as f64 / n_corr).max(1.0);
    -2.0 * log_likelihood / n_corr + n_parameters as f64 * n_effective.ln()
}

/// Turns log densities into shares that sum to 1 and returns the logarithm of their sum.
pub(super) fn normalise_logarithms(row: &mut [f64]) -> f64 {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        row.fill(1.0 / row.len() as f64);
        return largest;
    }
    let mut total = 0.0;
    for entry in row.iter_mut() {
        *entry = (*entry - largest).exp();
        total += *entry;
    }
    for entry in row {
        *entry /= total;
    }
    largest + total.ln()
}

/// Position of the greatest entry, the first of equal ones; 0 for no entries.
pub(super) fn first_greatest(row: &[f64]) -> usize {
    let mut best = 0;
    for (j, entry) in row.iter().enumerate() {
        if entry > &row[best] {
            best = j;
        }
    }
    best
}

/// Weights proportional to `totals` and none below the floor: the maximum of Σ totals·ln(weight)
/// under that constraint.
pub(super) fn floored_weights(totals: &[f64]) -> Vec<f64> {
    let mut floored = vec![false; totals.len()];
    loop {
        let n_floored = floored.iter().filter(|&&at| at).count();
        let free: f64 = totals.iter().zip(&floored).filter(|(_, at)| !**at).map(|(t, _)| t).sum();
        let share = (1.0 - WEIGHT_FLOOR * n_floored as f64) / free;
        let weights: Vec<f64> = totals
            .iter()
            .zip(&floored)
            .map(|(total, &at)| if at { WEIGHT_FLOOR } else { share * total })
            .collect();
        let Some(low) = weights.iter().position(|&weight| weight < WEIGHT_FLOOR) else {
            return weights;
        };
        floored[low] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    fn sample(n: usize, draw: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let key = StreamKey::new(11, "mixture");
        (0..n)
            .map(|voxel| {
                let mut stream = key.stream(voxel, 0);
                let which = stream.uniform();
                draw(which, stream.normal())
            })
            .collect()
    }

    #[test]
    fn one_component_is_mean_and_population_deviation() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let mixture = Mixture::fit(&values, 1, None).unwrap();
        assert!((mixture.means[0] - 2.5).abs() < 1e-12);
        assert!((mixture.standard_deviations[0] - 1.25_f64.sqrt()).abs() < 1e-12);
        let expected = -2.0 * ((std::f64::consts::TAU * 1.25).ln() + 1.0);
        assert!((mixture.log_likelihood - expected).abs() < 1e-12);
        assert!((mixture.bic(1.0) - (-2.0 * expected + 2.0 * 4.0_f64.ln())).abs() < 1e-12);
    }

    #[test]
    fn likelihood_never_falls_even_at_the_floors() {
        let spiked = sample(800, |which, z| if which < 0.99 { z } else { 9.0 });
        let far = sample(500, |which, z| if which < 0.5 { 1e-3 * z } else { 1e3 + z });
        for values in [&spiked, &far] {
            let sorted = Sorted::new(values).unwrap();
            let floor = SD_FLOOR_FRACTION * (sorted.maximum() - sorted.minimum());
            for k in 1..=4 {
                let mut mixture = Mixture::start(&sorted, k, floor).unwrap();
                let mut expected = mixture.expect(values);
                for iteration in 0..ITERATIONS_MAX {
                    mixture.update(&expected, floor);
                    let next = mixture.expect(values);
                    let gain = next.log_likelihood - expected.log_likelihood;
                    // Rounding of the sum of n logarithms.
                    let rounding = 1e-12 * (1.0 + next.log_likelihood.abs());
                    assert!(gain >= -rounding, "k {k}, iteration {iteration}: {gain}");
                    assert!(mixture.weights.iter().all(|&weight| weight >= WEIGHT_FLOOR - 1e-15));
                    assert!((mixture.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                    expected = next;
                }
                let fitted = Mixture::fit(values, k, None).unwrap();
                // It takes the same steps and stops no later.
                assert!(fitted.log_likelihood <= expected.log_likelihood + 1e-9);
                assert!(fitted.log_likelihood > fitted.log_likelihood_path[0] || k == 1);
            }
        }
    }

    #[test]
    fn a_known_mixture_is_recovered() {
        let values =
            sample(20_000, |which, z| if which < 0.3 { 0.54 + 0.054 * z } else { 1.8 + 0.18 * z });
        let mixture = Mixture::fit(&values, 2, None).unwrap();
        // Four standard errors of each.
        assert!((mixture.weights[0] - 0.3).abs() < 4.0 * (0.21 / 20_000.0_f64).sqrt());
        assert!((mixture.means[0] - 0.54).abs() < 4.0 * 0.054 / 6_000.0_f64.sqrt());
        assert!((mixture.standard_deviations[1] - 0.18).abs() < 4.0 * 0.18 / 28_000.0_f64.sqrt());
        assert!(mixture.converged);
    }

    #[test]
    fn far_points_have_posteriors_and_not_nan() {
        let values = sample(400, |which, z| if which < 0.5 { z * 1e-2 } else { 5.0 + z * 1e-2 });
        let mixture = Mixture::fit(&values, 2, None).unwrap();
        for value in [-1e6, 1e6, 2.5] {
            let posterior = mixture.responsibilities(value);
            assert!((posterior.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        assert_eq!((mixture.label(-40.0), mixture.label(40.0)), (0, 1));
    }

    #[test]
    fn a_mixture_is_bit_equal_for_one_and_two_threads() {
        let values = sample(20_000, |which, z| if which < 0.3 { z } else { 3.0 + z });
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Mixture::fit(&values, 3, None).unwrap())
        };
        assert_eq!(run(1), run(2));
    }

    #[test]
    fn correlated_neighbours_weaken_the_case_for_more_components() {
        let values = sample(2_000, |which, z| if which < 0.5 { z } else { 2.2 + z });
        let gain = |n_corr| {
            Mixture::fit(&values, 1, None).unwrap().bic(n_corr)
                - Mixture::fit(&values, 2, None).unwrap().bic(n_corr)
        };
        assert!(gain(1.0) > 0.0);
        assert!(gain(200.0) < 0.0);
        assert!((gain(f64::NAN) - gain(1.0)).abs() < 1e-12);
    }

    #[test]
    fn samples_without_a_mixture_are_refused() {
        assert!(Mixture::fit(&[], 1, None).is_err());
        assert!(Mixture::fit(&[1.0, f64::INFINITY], 1, None).is_err());
        assert_eq!(Mixture::fit(&[2.0; 9], 1, None).unwrap_err().field(), Some("sd_floor"));
        assert_eq!(Mixture::fit(&[1.0, 2.0], 3, None).unwrap_err().field(), Some("k"));
        assert_eq!(Mixture::fit(&[1.0, 2.0], 0, None).unwrap_err().field(), Some("k"));
        assert!(Mixture::fit(&[1.0, 2.0], 1, Some(-1.0)).is_err());
    }
}
