//! Limited-memory BFGS: smooth functions of many parameters from values and gradients.
//!
//! Deterministic: sums run in order. A step is accepted where the value falls by 1e-4 of what the
//! slope promises; steps that are too long are cut by interpolation. A value that is not finite is a
//! step too long, so a function may refuse parameters.
//!
//! # Reference
//!
//! Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", Math Program
//! 1989;45:503–528, doi:10.1007/BF01589116.

use std::collections::VecDeque;

/// Decrease of the value, as a part of what the slope promises, that a step must bring.
const SUFFICIENT_DECREASE: f64 = 1e-4;

/// Cuts of one step, at most.
const MAXIMUM_CUTS: usize = 12;

/// A smooth function to be made small.
pub trait Objective {
    /// The value at `x`, its derivatives into `gradient` (same length). A value that is not finite
    /// refuses `x`; then `gradient` may hold anything.
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> f64;
}

/// When to stop and how to begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Pairs of steps and changes of gradient that are remembered.
    pub memory: usize,
    /// Accepted steps, at most.
    pub iterations_max: usize,
    /// Largest change of a parameter in the first trial step.
    pub first_step: f64,
    /// The end: largest change of a parameter in an accepted step.
    pub step_tolerance: f64,
    /// The end: decrease of the value in an accepted step.
    pub value_tolerance: f64,
}

/// Why the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Steps or decreases became smaller than their tolerance, or the gradient is 0.
    Converged,
    /// No shorter step along the gradient makes the value smaller.
    NoDescent,
    /// All iterations are used.
    IterationLimit,
    /// The value at the start is not finite.
    StartRefused,
}

/// The best parameters seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// Parameters.
    pub x: Vec<f64>,
    /// Value there.
    pub value: f64,
    /// Accepted steps.
    pub iterations: usize,
    /// Values and gradients computed.
    pub evaluations: usize,
    /// Why the search ended.
    pub end: End,
}

/// Goes down from `start`; an empty `start` is its own minimum.
pub fn minimise(objective: &mut dyn Objective, start: &[f64], settings: &Settings) -> Minimum {
    let mut search = Search::new(objective, start, settings);
    let end = search.run();
    Minimum {
        x: search.x,
        value: search.value,
        iterations: search.iterations,
        evaluations: search.evaluations,
        end,
    }
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    inner: f64,
}

struct Search<'a> {
    objective: &'a mut dyn Objective,
    settings: &'a Settings,
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    trial: Vec<f64>,
    trial_gradient: Vec<f64>,
    pairs: VecDeque<Pair>,
    iterations: usize,
    evaluations: usize,
}

impl<'a> Search<'a> {
    fn new(objective: &'a mut dyn Objective, start: &[f64], settings: &'a Settings) -> Self {
        let mut gradient = vec![0.0; start.len()];
        let value = objective.evaluate(start, &mut gradient);
        Self {
            objective,
            settings,
            x: start.to_vec(),
            value,
            gradient,
            trial: vec![0.0; start.len()],
            trial_gradient: vec![0.0; start.len()],
            pairs: VecDeque::new(),
            iterations: 0,
            evaluations: 1,
        }
    }

    fn run(&mut self) -> End {
        if !self.value.is_finite() {
            return End::StartRefused;
        }
        while self.iterations < self.settings.iterations_max {
            let before = self.value;
            if !self.gradient.iter().any(|g| g.abs() > 0.0) {
                return End::Converged;
            }
            let mut direction = self.direction();
            if dot(&direction, &self.gradient) >= 0.0 {
                self.pairs.clear();
                direction = self.direction();
            }
            if !self.descend(&direction) {
                if self.pairs.is_empty() {
                    return End::NoDescent;
                }
                self.pairs.clear();
                continue;
            }
            self.iterations += 1;
            let step = largest(&self.trial);
            if step < self.settings.step_tolerance
                || before - self.value < self.settings.value_tolerance
            {
                return End::Converged;
            }
        }
        End::IterationLimit
    }

    /// −H·gradient by the two loops over the remembered pairs; without pairs the steepest descent of
    /// the first trial step.
    fn direction(&self) -> Vec<f64> {
        let mut direction: Vec<f64> = self.gradient.iter().map(|g| -g).collect();
        let mut factors = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let factor = dot(&pair.step, &direction) / pair.inner;
            add(&mut direction, -factor, &pair.change);
            factors.push(factor);
        }
        let scale = match self.pairs.back() {
            Some(pair) => pair.inner / dot(&pair.change, &pair.change),
            None => self.settings.first_step / largest(&self.gradient),
        };
        for d in &mut direction {
            *d *= scale;
        }
        for (pair, factor) in self.pairs.iter().zip(factors.into_iter().rev()) {
            let back = dot(&pair.change, &direction) / pair.inner;
            add(&mut direction, factor - back, &pair.step);
        }
        direction
    }

    /// Whether a step along `direction` was accepted; then `trial` holds that step.
    fn descend(&mut self, direction: &[f64]) -> bool {
        let slope = dot(direction, &self.gradient);
        let mut length = 1.0;
        for _ in 0..=MAXIMUM_CUTS {
            for ((trial, x), d) in self.trial.iter_mut().zip(&self.x).zip(direction) {
                *trial = x + length * d;
            }
            let value = self.objective.evaluate(&self.trial, &mut self.trial_gradient);
            self.evaluations += 1;
            if value <= self.value + SUFFICIENT_DECREASE * length * slope {
                self.accept(value);
                return true;
            }
            // Minimum of the parabola through value, slope and the trial value.
            let curvature = value - self.value - slope * length;
            let cut = if curvature.is_finite() { -0.5 * slope * length / curvature } else { 0.1 };
            length *= cut.clamp(0.1, 0.5);
        }
        false
    }

    fn accept(&mut self, value: f64) {
        let change: Vec<f64> =
            self.trial_gradient.iter().zip(&self.gradient).map(|(new, old)| new - old).collect();
        std::mem::swap(&mut self.x, &mut self.trial);
        std::mem::swap(&mut self.gradient, &mut self.trial_gradient);
        for (old, new) in self.trial.iter_mut().zip(&self.x) {
            *old = new - *old;
        }
        self.value = value;
        let step = self.trial.clone();
        let inner = dot(&step, &change);
        // Positive curvature along the step keeps H positive definite.
        if inner > 1e-10 * (dot(&step, &step) * dot(&change, &change)).sqrt() {
            if self.pairs.len() >= self.settings.memory.max(1) {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair { step, change, inner });
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], factor: f64, other: &[f64]) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum += factor * other;
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Function<F>(F);

    impl<F: FnMut(&[f64], &mut [f64]) -> f64> Objective for Function<F> {
        fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
            (self.0)(x, gradient)
        }
    }

    const TIGHT: Settings = Settings {
        memory: 8,
        iterations_max: 500,
        first_step: 0.1,
        step_tolerance: 1e-12,
        value_tolerance: 0.0,
    };

    #[test]
    fn the_valley_of_rosenbrock_ends_at_one() {
        let mut function = Function(|x: &[f64], gradient: &mut [f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient[0] = -2.0 * a - 400.0 * x[0] * b;
            gradient[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });
        let minimum = minimise(&mut function, &[-1.2, 1.0], &TIGHT);
        assert!((minimum.x[0] - 1.0).abs() < 1e-7, "{minimum:?}");
        assert!((minimum.x[1] - 1.0).abs() < 1e-7);
        assert!(minimum.evaluations < 120);
    }

    #[test]
    fn a_badly_scaled_parabola_of_many_parameters_is_solved() {
        let n = 60;
        let mut function = Function(|x: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            for (i, x) in x.iter().enumerate() {
                let weight = 1.0 + (i * i) as f64;
                let off = x - i as f64;
                value += weight * off * off;
                gradient[i] = 2.0 * weight * off;
            }
            value
        });
        let minimum = minimise(&mut function, &vec![0.0; n], &TIGHT);
        for (i, x) in minimum.x.iter().enumerate() {
            assert!((x - i as f64).abs() < 1e-6, "{i} {x} {:?}", minimum.end);
        }
    }

    #[test]
    fn refused_parameters_shorten_the_step() {
        // −ln x + x with x ≤ 0 refused: minimum at 1.
        let mut function = Function(|x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 1.0 - 1.0 / x[0];
            if x[0] > 0.0 { x[0] - x[0].ln() } else { f64::NAN }
        });
        let minimum = minimise(&mut function, &[5.0], &Settings { first_step: 40.0, ..TIGHT });
        assert!((minimum.x[0] - 1.0).abs() < 1e-6, "{minimum:?}");
        let refused = minimise(&mut function, &[-1.0], &TIGHT);
        assert_eq!((refused.end, refused.iterations), (End::StartRefused, 0));
    }

    #[test]
    fn a_stationary_start_and_no_parameters_are_their_own_minimum() {
        let mut function = Function(|x: &[f64], gradient: &mut [f64]| {
            gradient.fill(0.0);
            x.len() as f64
        });
        for start in [vec![], vec![3.0]] {
            let minimum = minimise(&mut function, &start, &TIGHT);
            assert_eq!((minimum.end, minimum.x), (End::Converged, start));
        }
    }
}
