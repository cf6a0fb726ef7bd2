//! Least squares of one amplitude times a curve of one rate: S = A·f(rate), A ≥ 0.
//!
//! For a given rate the best amplitude is A = p/q with p = Σ w·S·f and q = Σ w·f², and
//! RSS = Σ w·S² − p²/q; so the problem is one-dimensional: maximise p/√q over the rate, which is the
//! cosine between samples and curve. A negative amplitude is never fitted: where p ≤ 0 the best
//! amplitude is 0 and the rate means nothing.
//!
//! The **global** optimum is found for any samples. A dictionary of unit curves brackets every local
//! maximum that may be the highest (bounds on the curvature say which intervals cannot be), and a
//! safeguarded Newton iteration on p′q − pq′ polishes each. A maximum that hides between the nodes
//! of a subdivided interval can be missed only where it is better by less than 10⁻⁸·Σ w·S².
//!
//! It does not estimate noise, knows no units, and does not fit an offset.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036.

mod dictionary;
mod lanes;
mod search;

pub use lanes::{
    Answers, Centres, Endings, FITS, LaneColumns, LaneSamples, LaneValues, NoiseSums, Quantity,
    Response, Responses, Spread, TileEndings,
};

use crate::error::{Error, Result};
use dictionary::Dictionary;
use lanes::Lanes;

/// The curve f(rate) of a separable model at all samples of a fixed protocol.
pub trait Basis: Send + Sync {
    /// Number of samples.
    fn n_samples(&self) -> usize;

    /// Writes the curve at `rate` and its first and second derivative by the rate, each of shape
    /// `[n_samples]`, all up to the common factor of [`Basis::log_factor`].
    fn evaluate(&self, rate: f64, curve: &mut [f64], first: &mut [f64], second: &mut [f64]);

    /// ln g and d(ln g)/d rate, where the model's curve is g(rate)·`curve`: lets the written curve
    /// stay near 1 where the model's own would underflow.
    fn log_factor(&self, rate: f64) -> [f64; 2] {
        let _ = rate;
        [0.0, 0.0]
    }

    /// The form that vectors of lanes evaluate, where there is one.
    fn lane_form(&self) -> Option<LaneForm> {
        None
    }
}

/// Curves that vectors of lanes can evaluate.
#[derive(Debug, Clone, PartialEq)]
pub enum LaneForm {
    /// f = e^(−rate·abscissa).
    Exponential {
        /// One per sample, in the inverse unit of the rate.
        abscissae: Vec<f64>,
    },
    /// f = s·v/(w + c·v) with v = 1 − e^(−rate·time).
    Saturation {
        /// (s, c, w) of every sample.
        pulses: Vec<[f64; 3]>,
        /// In the inverse unit of the rate.
        time: f64,
    },
}

/// Why the solver stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// At the global optimum, inside the bounds.
    Converged,
    /// The global optimum inside the bounds is the lower bound of the rate.
    AtLowerBound,
    /// The global optimum inside the bounds is the upper bound of the rate.
    AtUpperBound,
    /// The iteration limit came first.
    NotConverged,
    /// No rate fits better with a positive amplitude than with none.
    NoPositiveAmplitude,
    /// The samples do not determine rate and amplitude.
    Degenerate,
}

/// The optimum of one set of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    /// Why it ended; numbers are NaN after `NoPositiveAmplitude` and `Degenerate`.
    pub ending: Ending,
    /// Rate at the optimum.
    pub rate: f64,
    /// Amplitude at the optimum, > 0.
    pub amplitude: f64,
    /// Σ w·(sample − model)², from residuals.
    pub residual_sum_of_squares: f64,
    /// (JᵀWJ)⁻¹ in the order rate, amplitude, `[2, 2]` row-major; NaN where it is singular.
    pub unscaled_covariance: [f64; 4],
    /// Evaluations of the curve.
    pub evaluations: u32,
}

/// A solver for one basis, one set of weights and one range of rates, for many sets of samples.
#[derive(Debug, Clone)]
pub struct VariableProjection<B> {
    basis: B,
    weights: Vec<f64>,
    bounds: [f64; 2],
    dictionary: Dictionary,
    lanes: Option<Lanes>,
}

/// Sums over the samples at one rate.
#[derive(Debug, Clone, Copy)]
struct Sums {
    p: [f64; 3],
    q: f64,
    q1: f64,
    /// Half the second derivative of q.
    q2: f64,
}

impl Sums {
    /// Cosine between samples and curve times the norm of the samples.
    fn value(&self) -> f64 {
        self.p[0] / self.q.sqrt()
    }

    /// Derivative of the value, times √q³, and its own derivative.
    fn slope(&self) -> [f64; 2] {
        let [p, p1, p2] = self.p;
        [p1 * self.q - p * self.q1, p2 * self.q + p1 * self.q1 - p * self.q2]
    }
}

/// A polished local maximum: the best rate is `rate + correction`.
#[derive(Debug, Clone, Copy)]
struct Maximum {
    ending: Ending,
    rate: f64,
    correction: f64,
    sums: Sums,
}

/// The scratch slice, cut up.
struct Workspace<'a> {
    /// Samples over their largest magnitude.
    samples: &'a mut [f64],
    curve: &'a mut [f64],
    first: &'a mut [f64],
    second: &'a mut [f64],
    /// Cosines at the nodes of the dictionary.
    profile: &'a mut [f64],
    norm: f64,
    evaluations: u32,
    /// The rate that `curve` belongs to.
    rate: f64,
    best: Option<Maximum>,
}

impl<B: Basis> VariableProjection<B> {
    /// A solver for `basis` with rates kept in `bounds`. `weights` are relative inverse variances,
    /// one per sample; `None` weighs all alike.
    ///
    /// # Errors
    ///
    /// `Value` when fewer than two samples, weights that are not positive numbers, bounds that do
    /// not rise, or a curve that does not depend on the rate inside the bounds.
    pub fn new(basis: B, weights: Option<&[f64]>, bounds: [f64; 2]) -> Result<Self> {
        let n = basis.n_samples();
        if n < 2 {
            return Err(Error::value(format!("{n} samples cannot determine two parameters")));
        }
        let weights = weights.map_or_else(|| vec![1.0; n], <[f64]>::to_vec);
        if weights.len() != n || !weights.iter().all(|&w| w > 0.0 && w.is_finite()) {
            return Err(Error::value(format!("weights {weights:?} must be {n} positive numbers"))
                .at_field("weights"));
        }
        let [low, high] = bounds;
        if !(low < high && (high - low).is_finite()) {
            return Err(Error::value(format!(
                "lower bound {low} is not below upper bound {high}, or one is not finite"
            ))
            .at_field("bounds"));
        }
        let [dictionary, finer] = Dictionary::new(&basis, &weights, bounds)?;
        let alike = weights.iter().all(|&weight| weight.to_bits() == 1.0_f64.to_bits());
        let lanes = if alike { Lanes::new(&basis, bounds, [&dictionary, &finer]) } else { None };
        Ok(Self { basis, weights, bounds, dictionary, lanes })
    }

    /// The curve it fits.
    pub fn basis(&self) -> &B {
        &self.basis
    }

    /// Length of the scratch slice of [`VariableProjection::solve`].
    pub fn scratch_len(&self) -> usize {
        4 * self.basis.n_samples() + self.dictionary.n_nodes()
    }

    /// Finds the global optimum for finite `samples`, shape `[n_samples]`.
    ///
    /// Scaling the samples scales only the amplitude. Sums of squares and covariance follow 64-bit
    /// range: beyond samples of 10¹⁵⁰ they are infinite or 0 while rate and amplitude stay right.
    /// Samples that are not finite give `Degenerate`.
    pub fn solve(&self, samples: &[f64], scratch: &mut [f64]) -> Projection {
        let n = self.basis.n_samples();
        debug_assert!(samples.len() == n && scratch.len() >= self.scratch_len());
        if !samples.iter().all(|sample| sample.is_finite()) {
            return Projection::without_estimate(Ending::Degenerate, 0);
        }
        let scale = samples.iter().fold(0.0_f64, |largest, sample| largest.max(sample.abs()));
        if scale <= 0.0 {
            return Projection::without_estimate(Ending::NoPositiveAmplitude, 0);
        }
        let mut work = Workspace::new(scratch, n, self.dictionary.n_nodes());
        work.load(samples, scale, &self.weights);
        self.search(&mut work);
        match work.best {
            Some(best) => self.finish(best, scale, &mut work),
            None => Projection::without_estimate(Ending::NoPositiveAmplitude, work.evaluations),
        }
    }

    /// Solves all lanes of `samples` at once where the basis has a form for lanes, the samples are
    /// not weighted and the processor has vectors; `ended` hears how they end, and of lanes first left
    /// undecided a second time. Returns how many stay undecided, for [`Self::solve`]. Else returns
    /// `None` and writes nothing.
    ///
    /// A settled lane is at the global optimum, as [`Self::solve`] would find it to 10⁻⁸ of the rate,
    /// and depends on its own samples alone.
    pub fn solve_lanes(
        &self,
        samples: LaneSamples<'_>,
        quantity: &Quantity,
        columns: &mut LaneColumns<'_>,
        ended: &mut dyn FnMut(TileEndings),
    ) -> Option<usize> {
        self.lanes.as_ref().map(|lanes| lanes.solve(samples, quantity, columns, ended))
    }

    /// Prepares quick solutions for noise around the fits at `centres`; `false` where there are none.
    ///
    /// A settled draw is at the global optimum, its rate as [`Self::solve`] would find it, to 5·10⁻⁷ of
    /// the rate in 32-bit Gaussian noise and 2·10⁻⁶ in Rician, and depends on its own noise alone.
    pub fn respond(&self, centres: &Centres, responses: &mut Responses) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| lanes.respond(centres, responses))
    }

    fn evaluate(&self, rate: f64, work: &mut Workspace<'_>) -> Sums {
        self.basis.evaluate(rate, work.curve, work.first, work.second);
        work.evaluations += 1;
        work.rate = rate;
        let mut sums = Sums { p: [0.0; 3], q: 0.0, q1: 0.0, q2: 0.0 };
        let curves = work.curve.iter().zip(work.first.iter()).zip(work.second.iter());
        for ((&sample, &weight), ((&f, &f1), &f2)) in
            work.samples.iter().zip(&self.weights).zip(curves)
        {
            let weighted = weight * sample;
            sums.p[0] += weighted * f;
            sums.p[1] += weighted * f1;
            sums.p[2] += weighted * f2;
            sums.q += weight * f * f;
            sums.q1 += weight * f * f1;
            sums.q2 += weight * (f1 * f1 + f * f2);
        }
        sums
    }

    /// Amplitude, residuals and covariance at the best maximum.
    fn finish(&self, best: Maximum, scale: f64, work: &mut Workspace<'_>) -> Projection {
        if work.rate.to_bits() != best.rate.to_bits() {
            self.evaluate(best.rate, work);
        }
        let d = best.correction;
        let derivatives = work.first.iter_mut().zip(work.second.iter());
        for (f, (f1, &f2)) in work.curve.iter_mut().zip(derivatives) {
            *f += d * (*f1 + 0.5 * d * f2);
            *f1 += d * f2;
        }
        let (mut p, mut q, mut q1) = (0.0, 0.0, 0.0);
        let curves = || work.curve.iter().zip(work.first.iter());
        let samples = || work.samples.iter().zip(&self.weights);
        for ((&f, &f1), (&sample, &weight)) in curves().zip(samples()) {
            p += weight * f * sample;
            q += weight * f * f;
            q1 += weight * f * f1;
        }
        let (amplitude, along) = (p / q, q1 / q);
        let (mut rss, mut across) = (0.0, 0.0);
        for ((&f, &f1), (&sample, &weight)) in curves().zip(samples()) {
            rss += weight * (sample - amplitude * f).powi(2);
            across += weight * (f1 - along * f).powi(2);
        }
        let singular = across <= (64.0 * f64::EPSILON * along).powi(2) * q || across <= 0.0;
        let gram = Gram { q, along, across: if singular { f64::NAN } else { across } };
        let found = Projection {
            ending: best.ending,
            rate: best.rate + d,
            amplitude: amplitude * scale,
            residual_sum_of_squares: rss * scale * scale,
            unscaled_covariance: gram.inverse(amplitude * scale),
            evaluations: work.evaluations,
        };
        self.with_factor(found, singular)
    }

    /// From the written curve to the model's own: A = A′/g.
    fn with_factor(&self, mut found: Projection, singular: bool) -> Projection {
        let [log_factor, derivative] = self.basis.log_factor(found.rate);
        let factor = (-log_factor).exp();
        let [rate, mixed, _, amplitude] = found.unscaled_covariance;
        let shift = found.amplitude * derivative;
        let mixed_after = factor * (mixed - shift * rate);
        let amplitude_after = factor * factor * (amplitude - shift * (2.0 * mixed - shift * rate));
        found.amplitude *= factor;
        found.unscaled_covariance = [rate, mixed_after, mixed_after, amplitude_after];
        let at_bound = matches!(found.ending, Ending::AtLowerBound | Ending::AtUpperBound);
        if !(found.amplitude.is_finite() && found.amplitude > 0.0) || (singular && !at_bound) {
            return Projection::without_estimate(Ending::Degenerate, found.evaluations);
        }
        found
    }
}

/// `JᵀWJ` by its factors: q, the curve's derivative along the curve, and the square of the rest.
struct Gram {
    q: f64,
    along: f64,
    across: f64,
}

impl Gram {
    /// (JᵀWJ)⁻¹ in the order rate, amplitude.
    fn inverse(&self, amplitude: f64) -> [f64; 4] {
        let mixed = -self.along / (amplitude * self.across);
        let rate = 1.0 / amplitude / amplitude / self.across;
        [rate, mixed, mixed, 1.0 / self.q + self.along * self.along / self.across]
    }
}

impl Projection {
    fn without_estimate(ending: Ending, evaluations: u32) -> Self {
        Self {
            ending,
            rate: f64::NAN,
            amplitude: f64::NAN,
            residual_sum_of_squares: f64::NAN,
            unscaled_covariance: [f64::NAN; 4],
            evaluations,
        }
    }
}

impl<'a> Workspace<'a> {
    fn new(scratch: &'a mut [f64], n_samples: usize, n_nodes: usize) -> Self {
        let (samples, rest) = scratch.split_at_mut(n_samples);
        let (curve, rest) = rest.split_at_mut(n_samples);
        let (first, rest) = rest.split_at_mut(n_samples);
        let (second, rest) = rest.split_at_mut(n_samples);
        let (profile, _) = rest.split_at_mut(n_nodes);
        let (norm, evaluations, rate, best) = (0.0, 0, f64::NAN, None);
        Self { samples, curve, first, second, profile, norm, evaluations, rate, best }
    }

    fn load(&mut self, samples: &[f64], scale: f64, weights: &[f64]) {
        let mut sum_of_squares = 0.0;
        for ((own, &sample), &weight) in self.samples.iter_mut().zip(samples).zip(weights) {
            *own = sample / scale;
            sum_of_squares += weight * *own * *own;
        }
        self.norm = sum_of_squares.sqrt();
    }

    /// Keeps the higher maximum; the first of equals.
    fn offer(&mut self, maximum: Maximum) {
        let value = maximum.sums.value();
        if value > 0.0 && self.best.is_none_or(|best| value > best.sums.value()) {
            self.best = Some(maximum);
        }
    }
}

#[cfg(test)]
mod tests;
