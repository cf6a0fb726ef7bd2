//! Gaussian mixture behind values that were measured with known errors.
//!
//! A value of component h with error u is normal about `mean_h` with variance `τ_h² + u²`: τ is the
//! spread of the component itself. A badly measured value says little and is given little weight,
//! so that none has to be left out. Expectation maximisation comes near the maximum and Newton
//! steps on the exact second derivatives finish it; neither ever lowers the likelihood.
//!
//! # Reference
//!
//! Bovy, Hogg, Roweis, "Extreme deconvolution", Ann. Appl. Stat. 5 (2011), doi:10.1214/10-AOAS439.
//! Louis, "Finding the observed information matrix when using the EM algorithm", J. R. Stat. Soc. B
//! 44 (1982), doi:10.1111/j.2517-6161.1982.tb01203.x.

mod information;

use rayon::prelude::*;

use super::mixture::{WEIGHT_FLOOR, bic, first_greatest, floored_weights, normalise_logarithms};
use super::moments::{Moments, sum};
use super::quantile::Sorted;
use crate::error::{Error, Result};
use information::{Information, NewtonStep};

/// Iterations after which the maximisation stops.
const ITERATIONS_MAX: usize = 500;
/// Gain of log-likelihood per value below which Newton steps are tried.
const NEAR: f64 = 1e-4;
/// Gain of log-likelihood per value below which expectation maximisation has converged where no Newton
/// step is possible: along a ridge of components that the values do not tell apart.
const GAIN_MIN: f64 = 1e-8;
/// Score over information below which the maximum is found, before a last step.
const DECREMENT_MIN: f64 = 1e-8;
/// Least intrinsic SD as a fraction of the range, where none is given.
const SD_FLOOR_FRACTION: f64 = 1e-3;
/// Values per block of a sum.
const BLOCK: usize = 4096;
/// Damping of Newton steps: least, most, and what it is raised and lowered by.
const DAMPING_MIN: f64 = 1e-3;
const DAMPING_MAX: f64 = 10.0;
const DAMPING_FACTOR: f64 = 10.0;
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// A mixture of normal distributions without the errors of the values, components by rising mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Deconvolution {
    /// Weight of each component; they sum to 1.
    pub weights: Vec<f64>,
    /// Mean of each component, rising.
    pub means: Vec<f64>,
    /// SD of each component without the errors of the values.
    pub intrinsic_standard_deviations: Vec<f64>,
    /// Standard error of each mean from the observed information, as if all values were independent;
    /// `None` where the likelihood has no peak.
    pub mean_errors: Option<Vec<f64>>,
    /// Natural logarithm of the likelihood of the values with a finite error.
    pub log_likelihood: f64,
    /// Log-likelihood at the start and after each iteration; it never falls.
    pub log_likelihood_path: Vec<f64>,
    /// Number of values with a finite error.
    pub n: usize,
    /// Whether the maximum was found within 500 iterations.
    pub converged: bool,
}

/// What is known of a true value once it was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// Mean.
    pub mean: f64,
    /// SD.
    pub standard_deviation: f64,
}

impl Deconvolution {
    /// Fits `k` components to `values` with standard errors `errors`, ≥ 0; no intrinsic SD falls
    /// below `sd_floor`, by default 1e-3 of the range, no weight below 0.02.
    ///
    /// A value with an infinite error carries no information, may be NaN, and is not counted.
    ///
    /// # Errors
    ///
    /// `Mismatch`: not one error per value. `Value`: an error NaN or negative, no value with a finite
    /// error, one of them not finite, no spread, `k` not within 1 and the smaller of 49 and the
    /// number of distinct values, or a floor that is not positive.
    pub fn fit(values: &[f64], errors: &[f64], k: usize, sd_floor: Option<f64>) -> Result<Self> {
        let sample = Sample::new(values, errors)?;
        let floor = sample.floor(k, sd_floor)?;
        let mut best: Option<Self> = None;
        for start in sample.starts(k, floor)? {
            let found = sample.maximise(start, floor);
            if best.as_ref().is_none_or(|best| found.log_likelihood > best.log_likelihood) {
                best = Some(found);
            }
        }
        best.ok_or_else(|| Error::internal("a deconvolution without a start"))
    }

    fn components(&self) -> impl Iterator<Item = Component> {
        let parts = self.weights.iter().zip(&self.means).zip(&self.intrinsic_standard_deviations);
        parts.map(|((&weight, &mean), sd)| Component { weight, mean, variance: sd * sd })
    }

    /// Posterior probability of each component for a true value measured as `value` with `error`;
    /// they sum to 1. The weights themselves where the error is infinite.
    pub fn responsibilities(&self, value: f64, error: f64) -> Vec<f64> {
        let components: Vec<Component> = self.components().collect();
        let mut row = self.weights.clone();
        if let Some(datum) = Datum::new(value, error) {
            responsibilities_into(&components, datum, &mut row);
        }
        row
    }

    /// The component with the greatest posterior, the lower of equal ones.
    pub fn label(&self, value: f64, error: f64) -> usize {
        first_greatest(&self.responsibilities(value, error))
    }

    /// Mean and SD of a true value measured as `value` with `error`: the component means where the
    /// error is infinite, the value itself where it is 0.
    pub fn posterior(&self, value: f64, error: f64) -> Posterior {
        let row = self.responsibilities(value, error);
        let datum = Datum::new(value, error);
        let parts: Vec<[f64; 3]> = self
            .components()
            .zip(&row)
            .map(|(component, &share)| {
                let [mean, variance] = component.posterior(datum);
                [share, mean, variance]
            })
            .collect();
        let mean = parts.iter().map(|[share, mean, _]| share * mean).sum::<f64>();
        let spread =
            parts.iter().map(|[share, part, variance]| share * (variance + (part - mean).powi(2)));
        Posterior { mean, standard_deviation: spread.sum::<f64>().sqrt() }
    }

    /// Bayesian information criterion, smaller is better; see [`bic`].
    pub fn bic(&self, n_corr: f64) -> f64 {
        bic(self.log_likelihood, 3 * self.weights.len() - 1, self.n, n_corr)
    }
}

/// One component: its variance is the intrinsic one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Component {
    weight: f64,
    mean: f64,
    variance: f64,
}

impl Component {
    /// Mean and variance of the true value, were it of this component.
    fn posterior(self, datum: Option<Datum>) -> [f64; 2] {
        let Some(datum) = datum else { return [self.mean, self.variance] };
        let total = self.variance + datum.error_variance;
        let share = self.variance / total;
        [self.mean + share * (datum.value - self.mean), share * datum.error_variance]
    }
}

/// One value and the square of its error.
#[derive(Debug, Clone, Copy)]
struct Datum {
    value: f64,
    error_variance: f64,
}

impl Datum {
    /// `None` where the value carries no information.
    fn new(value: f64, error: f64) -> Option<Self> {
        let error_variance = error * error;
        error_variance.is_finite().then_some(Self { value, error_variance })
    }
}

/// The values that carry information.
struct Sample {
    data: Vec<Datum>,
    sorted: Sorted,
}

impl Sample {
    fn new(values: &[f64], errors: &[f64]) -> Result<Self> {
        if values.len() != errors.len() {
            let message = format!("{} errors of {} values", errors.len(), values.len());
            return Err(Error::mismatch(message).at_field("errors"));
        }
        if let Some(index) = errors.iter().position(|error| error.is_nan() || *error < 0.0) {
            let message = format!("error {} at position {index} is no error", errors[index]);
            return Err(Error::value(message)
                .at_field("errors")
                .hint("an error is 0 or more; infinite for a value that carries no information"));
        }
        let pairs = values.iter().zip(errors);
        let data: Vec<Datum> =
            pairs.filter_map(|(&value, &error)| Datum::new(value, error)).collect();
        let known: Vec<f64> = data.iter().map(|datum| datum.value).collect();
        super::require_finite(&known, "values")?;
        let sorted = Sorted::new(&known)
            .ok_or_else(|| Error::value("there are no values").at_field("values"))?;
        Ok(Self { data, sorted })
    }

    fn floor(&self, k: usize, sd_floor: Option<f64>) -> Result<f64> {
        let k_max = self.sorted.n_distinct().min((1.0 / WEIGHT_FLOOR) as usize - 1);
        if !(1..=k_max).contains(&k) {
            let message = format!("{k} components where 1 to {k_max} are possible");
            return Err(Error::value(message).at_field("k"));
        }
        let range = self.sorted.maximum() - self.sorted.minimum();
        let floor = sd_floor.unwrap_or(SD_FLOOR_FRACTION * range);
        if floor > 0.0 && floor * floor > 0.0 && (floor * floor).is_finite() {
            return Ok(floor);
        }
        let message = format!("SD floor {floor} is not positive: the values have no spread");
        Err(Error::value(message).at_field("sd_floor"))
    }

    /// Quantiles of all values, and of the better measured half where errors differ.
    fn starts(&self, k: usize, floor: f64) -> Result<Vec<Vec<Component>>> {
        let errors: Vec<f64> = self.data.iter().map(|datum| datum.error_variance).collect();
        let median = Sorted::new(&errors).map_or(0.0, |sorted| sorted.median());
        let better: Vec<Datum> =
            self.data.iter().copied().filter(|datum| datum.error_variance <= median).collect();
        let mut starts = vec![start(&self.data, k, floor)?];
        if better.len() < self.data.len() && k > 1 {
            starts.push(start(&better, k, floor)?);
        }
        Ok(starts)
    }

    fn maximise(&self, start: Vec<Component>, floor: f64) -> Deconvolution {
        let mut climb = Climb::new(self, start, floor);
        while climb.path.len() <= ITERATIONS_MAX && !climb.at_top {
            climb.step();
        }
        climb.finish()
    }

    /// Sums over all values, in blocks of fixed size that are added in order.
    fn expect(&self, components: &[Component]) -> Expected {
        let blocks: Vec<Expected> =
            self.data.par_chunks(BLOCK).map(|block| Expected::of(block, components)).collect();
        let mut all = Expected::zero(components.len());
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
}

/// Components at the quantiles of `data`, the spread beyond its errors shared among them.
fn start(data: &[Datum], k: usize, floor: f64) -> Result<Vec<Component>> {
    let values: Vec<f64> = data.iter().map(|datum| datum.value).collect();
    let spread = Moments::of(&values).zip(Sorted::new(&values));
    let (moments, sorted) =
        spread.ok_or_else(|| Error::value("squares of the values overflow").at_field("values"))?;
    let noise = sum(data.iter().map(|datum| datum.error_variance)) / data.len() as f64;
    let spread = (moments.population_variance() - noise).max(0.0).sqrt();
    let sd = (spread / k as f64).max(floor);
    let place = |j: usize| sorted.quantile((j as f64 + 0.5) / k as f64);
    let component = |j| Component { weight: 1.0 / k as f64, mean: place(j), variance: sd * sd };
    Ok((0..k).map(component).collect())
}

/// What one pass over the values gives.
struct Expected {
    log_likelihood: f64,
    /// Σr, Σr·d, Σr·(d² + v) of each component: r its posterior, d the distance of the expected true
    /// value from its mean, v the variance of the true value.
    powers: Vec<[f64; 3]>,
}

impl Expected {
    fn zero(k: usize) -> Self {
        Self { log_likelihood: 0.0, powers: vec![[0.0; 3]; k] }
    }

    fn of(block: &[Datum], components: &[Component]) -> Self {
        let mut expected = Self::zero(components.len());
        let mut row = vec![0.0; components.len()];
        for &datum in block {
            expected.log_likelihood += responsibilities_into(components, datum, &mut row);
            for ((power, component), &r) in expected.powers.iter_mut().zip(components).zip(&row) {
                let share = component.variance / (component.variance + datum.error_variance);
                let away = share * (datum.value - component.mean);
                power[0] += r;
                power[1] += r * away;
                power[2] += r * (away * away + share * datum.error_variance);
            }
        }
        expected
    }
}

/// Fills the posterior of each component and returns the log density.
fn responsibilities_into(components: &[Component], datum: Datum, row: &mut [f64]) -> f64 {
    for (entry, component) in row.iter_mut().zip(components) {
        let variance = component.variance + datum.error_variance;
        let away = datum.value - component.mean;
        *entry =
            component.weight.ln() - LN_SQRT_TAU - 0.5 * (variance.ln() + away * away / variance);
    }
    normalise_logarithms(row)
}

fn stronger(damping: f64) -> f64 {
    (damping * DAMPING_FACTOR).clamp(DAMPING_MIN, DAMPING_MAX)
}

/// The way up the likelihood.
struct Climb<'s> {
    sample: &'s Sample,
    variance_floor: f64,
    components: Vec<Component>,
    expected: Expected,
    path: Vec<f64>,
    gain: f64,
    /// Of Newton steps, relative to the curvature.
    damping: f64,
    at_top: bool,
}

impl<'s> Climb<'s> {
    fn new(sample: &'s Sample, start: Vec<Component>, floor: f64) -> Self {
        let expected = sample.expect(&start);
        Self {
            sample,
            variance_floor: floor * floor,
            path: vec![expected.log_likelihood],
            components: start,
            expected,
            gain: f64::INFINITY,
            damping: 0.0,
            at_top: false,
        }
    }

    fn step(&mut self) {
        let n = self.sample.data.len() as f64;
        let worth = self.damping <= 0.0 || (GAIN_MIN * n..).contains(&self.gain);
        if self.gain < NEAR * n && worth && self.newton() {
            return;
        }
        let next = self.update();
        // Only rounding can make it fall: the state before is the maximum.
        self.at_top = !self.accept(next) || self.gain < GAIN_MIN * n;
    }

    /// Whether a Newton step was taken, or shown to be needless. It is damped until the likelihood
    /// curves down, and more after a step that would lower it.
    fn newton(&mut self) -> bool {
        let information = self.information();
        let mut damping = self.damping;
        let mut found = information.newton_step(damping);
        while found.is_none() && damping < DAMPING_MAX {
            damping = stronger(damping);
            found = information.newton_step(damping);
        }
        let Some(NewtonStep { components, decrement }) = found else { return false };
        let taken = self.accept(self.above_floors(components));
        self.at_top = damping <= 0.0 && decrement < DECREMENT_MIN;
        self.damping = match taken {
            true if damping <= DAMPING_MIN => 0.0,
            true => damping / DAMPING_FACTOR,
            false => stronger(damping),
        };
        taken || self.at_top
    }

    fn above_floors(&self, mut components: Vec<Component>) -> Vec<Component> {
        let weights: Vec<f64> = components.iter().map(|component| component.weight).collect();
        for (component, weight) in components.iter_mut().zip(floored_weights(&weights)) {
            component.weight = weight;
            component.variance = component.variance.max(self.variance_floor);
        }
        components
    }

    fn information(&self) -> Information<'_> {
        Information::of(&self.sample.data, &self.components, self.variance_floor)
    }

    /// Takes `next` unless the likelihood falls.
    fn accept(&mut self, next: Vec<Component>) -> bool {
        let expected = self.sample.expect(&next);
        let gain = expected.log_likelihood - self.expected.log_likelihood;
        let rises = gain >= 0.0;
        if rises {
            self.path.push(expected.log_likelihood);
            (self.components, self.expected, self.gain) = (next, expected, gain);
        }
        rises
    }

    /// The maximum of the expected log-likelihood under both floors.
    fn update(&self) -> Vec<Component> {
        let powers = &self.expected.powers;
        let totals: Vec<f64> = powers.iter().map(|power| power[0]).collect();
        let weights = floored_weights(&totals);
        let old = self.components.iter().zip(powers).zip(weights);
        old.map(|((&old, &[total, first, second]), weight)| {
            if total <= f64::MIN_POSITIVE {
                return Component { weight, ..old };
            }
            let step = first / total;
            let variance = (second / total - step * step).max(self.variance_floor);
            Component { weight, mean: old.mean + step, variance }
        })
        .collect()
    }

    fn finish(mut self) -> Deconvolution {
        let errors = self.information().mean_errors();
        let mut order: Vec<usize> = (0..self.components.len()).collect();
        order.sort_by(|&a, &b| self.components[a].mean.total_cmp(&self.components[b].mean));
        let errors = errors.map(|errors| order.iter().map(|&j| errors[j]).collect());
        self.components = order.iter().map(|&j| self.components[j]).collect();
        let column = |part: fn(&Component) -> f64| self.components.iter().map(part).collect();
        Deconvolution {
            weights: column(|component| component.weight),
            means: column(|component| component.mean),
            intrinsic_standard_deviations: column(|component| component.variance.sqrt()),
            mean_errors: errors,
            log_likelihood: self.expected.log_likelihood,
            log_likelihood_path: self.path,
            n: self.sample.data.len(),
            converged: self.at_top,
        }
    }
}

#[cfg(test)]
mod tests;
