//! Descent of a cost that is a sum over samples, inside bounds and without allocating.
//!
//! A step solves (Jᵀ`WJ` + λ·diag)·δ = −Jᵀg over the parameters that are free, g being the slope and W
//! the weight of each sample, both by its signal; it is accepted when the cost falls, and is the last
//! one where its gain would drown in the rounding of the cost. λ starts at 0: the weights of least squares make the first steps those of Gauss
//! and Newton. It leads to the bottom of the valley that it starts in.
//!
//! # Reference
//!
//! Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", J Soc Ind Appl
//! Math 1963, doi:10.1137/0111030.

mod step;

use step::Step;

use crate::model::{Model, VoxelData};

/// Along a curved valley steps are short.
const EVALUATIONS_MAX: u32 = 3000;
const RELATIVE_STEP_MIN: f64 = 1e-13;
/// A gain below this many roundings of the cost cannot be seen.
const PROMISE_DROWNED: f64 = 4.0;
const DAMPING_FIRST: f64 = 1e-3;
const DAMPING_MAX: f64 = 1e15;

/// What one sample costs at a signal, both in units of [`Descent::unit`].
pub(super) trait SampleCost {
    /// The cost.
    fn cost(&self, sample: f64, signal: f64) -> f64;

    /// Its slope by the signal, and a positive weight near its curvature.
    fn slope_and_weight(&self, sample: f64, signal: f64) -> [f64; 2];

    /// Whether a step that promises to lower the sum of all from `cost` by `promise` is the last.
    fn is_last(&self, promise: f64, cost: f64) -> bool;

    /// Rounding of the sum of all.
    fn rounding(&self, n_samples: usize, cost: f64) -> f64;
}

/// Half the square of the residual.
pub(super) struct HalfSquare;

impl SampleCost for HalfSquare {
    fn cost(&self, sample: f64, signal: f64) -> f64 {
        0.5 * (signal - sample) * (signal - sample)
    }

    fn slope_and_weight(&self, sample: f64, signal: f64) -> [f64; 2] {
        [signal - sample, 1.0]
    }

    fn is_last(&self, promise: f64, cost: f64) -> bool {
        promise <= 1e-17 * cost
    }

    fn rounding(&self, n_samples: usize, cost: f64) -> f64 {
        let _ = n_samples;
        8.0 * f64::EPSILON * cost
    }
}

/// A model, its bounds and its cost.
pub(super) struct Descent<'a, C> {
    pub(super) model: &'a dyn Model,
    pub(super) bounds: &'a [[f64; 2]],
    pub(super) cost: &'a C,
    /// Samples and signals are divided by it.
    pub(super) unit: f64,
}

/// Where a descent ended.
pub(super) struct Bottom<'s> {
    pub(super) parameters: &'s [f64],
    pub(super) signal: &'s [f64],
    /// ∂signal/∂parameter, `[n_samples, n_parameters]`.
    pub(super) jacobian: &'s mut [f64],
    pub(super) cost: f64,
    pub(super) evaluations: u32,
    /// Whether the last step was small or promised nothing.
    pub(super) is_reached: bool,
}

pub(super) fn scratch_len(n_samples: usize, n_parameters: usize) -> usize {
    2 * (n_samples + n_parameters) + n_samples * n_parameters + Step::scratch_len(n_parameters)
}

impl<C: SampleCost> Descent<'_, C> {
    fn total(&self, samples: &[f64], signal: &[f64]) -> f64 {
        let one =
            |(sample, signal): (&f64, &f64)| self.cost.cost(sample / self.unit, signal / self.unit);
        samples.iter().zip(signal).map(one).sum()
    }

    fn fill(&self, samples: &[f64], here: &Place<'_>, jacobian: &[f64], step: &mut Step<'_>) {
        step.clear();
        let rows = jacobian.chunks_exact(self.bounds.len());
        for ((sample, signal), row) in samples.iter().zip(here.signal.iter()).zip(rows) {
            let sample_cost = self.cost.slope_and_weight(sample / self.unit, signal / self.unit);
            step.add(row, 1.0 / self.unit, sample_cost);
        }
        step.hold(here.parameters, self.bounds);
    }

    /// Descends from `start`, which lies inside the bounds.
    pub(super) fn run<'s>(
        &self,
        voxel: VoxelData<'_>,
        start: &[f64],
        scratch: &'s mut [f64],
    ) -> Bottom<'s> {
        let (n, p) = (voxel.samples.len(), self.bounds.len());
        let (signal, rest) = scratch.split_at_mut(n);
        let (signal_there, rest) = rest.split_at_mut(n);
        let (parameters, rest) = rest.split_at_mut(p);
        let (parameters_there, rest) = rest.split_at_mut(p);
        let (jacobian, rest) = rest.split_at_mut(n * p);
        let mut step = Step::new(rest, p);
        parameters.copy_from_slice(start);
        self.model.signal(parameters, voxel.fixed, signal);
        let cost = self.total(voxel.samples, signal);
        let mut state = State { cost, damping: 0.0, evaluations: 1 };
        let mut here = Place { parameters, signal };
        let mut there = Place { parameters: parameters_there, signal: signal_there };
        let is_reached = loop {
            self.model.jacobian(here.parameters, voxel.fixed, jacobian);
            self.fill(voxel.samples, &here, jacobian, &mut step);
            match self.advance(voxel, [&mut here, &mut there], &mut step, &mut state) {
                Advance::On if state.evaluations < EVALUATIONS_MAX => {}
                end => break matches!(end, Advance::Bottom) && state.cost.is_finite(),
            }
        };
        self.model.jacobian(here.parameters, voxel.fixed, jacobian);
        let State { cost, evaluations, .. } = state;
        let Place { parameters, signal } = here;
        Bottom { parameters, signal, jacobian, cost, evaluations, is_reached }
    }

    /// Tries steps of growing damping until one is accepted.
    fn advance(
        &self,
        voxel: VoxelData<'_>,
        [here, there]: [&mut Place<'_>; 2],
        step: &mut Step<'_>,
        state: &mut State,
    ) -> Advance {
        let rounding = self.cost.rounding(voxel.samples.len(), state.cost);
        while state.evaluations < EVALUATIONS_MAX {
            let promise = step.solve(state.damping, here.parameters, self.bounds, there.parameters);
            self.model.signal(there.parameters, voxel.fixed, there.signal);
            state.evaluations += 1;
            let cost = self.total(voxel.samples, there.signal);
            let is_small = is_small(here.parameters, there.parameters);
            let falls = cost < state.cost - rounding;
            // What drowns in the rounding of the cost still leads nearer, where little is promised.
            let stands =
                !falls && cost <= state.cost + rounding && promise <= PROMISE_DROWNED * rounding;
            if falls || stands {
                let is_last = stands || is_small || self.cost.is_last(promise, state.cost);
                state.cost = cost;
                here.parameters.copy_from_slice(there.parameters);
                here.signal.copy_from_slice(there.signal);
                state.damping = if state.damping > 1e-9 { 0.1 * state.damping } else { 0.0 };
                return if is_last { Advance::Bottom } else { Advance::On };
            }
            if is_small || state.damping > DAMPING_MAX {
                return Advance::Bottom;
            }
            state.damping = (8.0 * state.damping).max(DAMPING_FIRST);
        }
        Advance::On
    }
}

/// Parameters and their signal.
struct Place<'a> {
    parameters: &'a mut [f64],
    signal: &'a mut [f64],
}

struct State {
    cost: f64,
    damping: f64,
    evaluations: u32,
}

enum Advance {
    On,
    Bottom,
}

fn is_small(from: &[f64], to: &[f64]) -> bool {
    from.iter().zip(to).all(|(a, b)| (b - a).abs() <= RELATIVE_STEP_MIN * a.abs().max(b.abs()))
}
