//! Bounded nonlinear least squares for any number of parameters: the general path.
//!
//! Minimises ½·|r(x)|² for low ≤ x ≤ high. Each iteration solves (`JᵀJ` + λ·diag JᵀJ)·δ = −Jᵀr over the
//! parameters that are free (not at a bound that the gradient pushes against), clamps x + δ into the
//! bounds, and accepts it when the sum of squares falls; λ follows Nielsen's rule. The damping is
//! scaled by diag `JᵀJ`, so the units of the parameters do not matter. The iteration is an `argmin`
//! solver and runs under its executor.
//!
//! It finds the optimum of the valley it starts in; where the global one is needed, start from
//! several points. It is the cross-check of [`variable_projection`](super::variable_projection).
//!
//! # Reference
//!
//! Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", J Soc Ind Appl
//! Math 1963, doi:10.1137/0111030. Madsen, Nielsen and Tingleff, "Methods for non-linear least
//! squares problems", Technical University of Denmark 2004 (damping). Kanzow, Yamashita and
//! Fukushima, "Levenberg–Marquardt methods with strong local convergence properties for solving
//! nonlinear equations with convex constraints", J Comput Appl Math 2004,
//! doi:10.1016/j.cam.2004.02.013 (bounds).

mod normal_equations;

use argmin::core::{
    Error as ArgminError, Executor, IterState, Jacobian, KV, Operator, Problem, Solver, State as _,
    TerminationReason, TerminationStatus,
};

pub use normal_equations::inverse_normal_matrix;

use crate::error::{Error, Result};
use normal_equations::NormalEquations;

/// Residuals r(x) and their derivatives on slices.
pub trait LeastSquares {
    /// Number of residuals.
    fn n_residuals(&self) -> usize;

    /// Writes r(x), shape `[n_residuals]`.
    fn residuals(&self, parameters: &[f64], residuals: &mut [f64]);

    /// Writes ∂r/∂x, shape `[n_residuals, n_parameters]`, row-major.
    fn jacobian(&self, parameters: &[f64], jacobian: &mut [f64]);
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// A step smaller than this fraction of every parameter is the last.
    pub relative_step: f64,
    /// So is a step that promises less than this fraction of the sum of squares.
    pub relative_reduction: f64,
    /// Accepted steps.
    pub iterations_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { relative_step: 1e-13, relative_reduction: 1e-17, iterations_max: 500 }
    }
}

/// Where the iteration ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// Parameters, inside the bounds.
    pub parameters: Vec<f64>,
    /// Σ r².
    pub residual_sum_of_squares: f64,
    /// Whether the stop rule was met within the limit of iterations.
    pub converged: bool,
    /// Evaluations of the residuals.
    pub evaluations: u64,
}

/// Minimises Σ r² inside `bounds`, one pair per parameter, from `start`.
///
/// # Errors
///
/// `Mismatch` when `start` and `bounds` differ in length, `Value` when bounds do not rise or the
/// residuals at the start are not finite.
pub fn minimise<P: LeastSquares>(
    problem: &P,
    start: &[f64],
    bounds: &[[f64; 2]],
    limits: Limits,
) -> Result<Minimum> {
    if start.len() != bounds.len() || start.is_empty() {
        return Err(Error::mismatch(format!(
            "{} starting values for {} pairs of bounds",
            start.len(),
            bounds.len()
        )));
    }
    if let Some(pair) =
        bounds.iter().find(|[low, high]| low.is_nan() || high.is_nan() || low > high)
    {
        return Err(Error::value(format!("bounds {pair:?} do not rise")).at_field("bounds"));
    }
    let start = clamped(start, bounds);
    let solver = LevenbergMarquardt::new(bounds.to_vec(), limits);
    let outcome = Executor::new(Residuals(problem), solver)
        .configure(|state: State| state.param(start).max_iters(limits.iterations_max))
        .ctrlc(false)
        .timer(false)
        .run()
        .map_err(|error| Error::value(error.to_string()))?;
    let evaluations = outcome.solver.evaluations;
    let mut state = outcome.state;
    let reason = &state.termination_status;
    let converged =
        matches!(reason, TerminationStatus::Terminated(TerminationReason::SolverConverged));
    let residual_sum_of_squares = 2.0 * state.cost;
    match state.param.take() {
        Some(parameters) => {
            Ok(Minimum { parameters, residual_sum_of_squares, converged, evaluations })
        }
        None => Err(Error::internal("the executor lost the parameters")),
    }
}

fn clamped(values: &[f64], bounds: &[[f64; 2]]) -> Vec<f64> {
    values.iter().zip(bounds).map(|(value, [low, high])| value.max(*low).min(*high)).collect()
}

/// Lends the problem to `argmin`, which wants to own one that speaks vectors.
struct Residuals<'a, P>(&'a P);

impl<P: LeastSquares> Operator for Residuals<'_, P> {
    type Param = Vec<f64>;
    type Output = Vec<f64>;

    fn apply(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, ArgminError> {
        let mut residuals = vec![0.0; self.0.n_residuals()];
        self.0.residuals(parameters, &mut residuals);
        Ok(residuals)
    }
}

impl<P: LeastSquares> Jacobian for Residuals<'_, P> {
    type Param = Vec<f64>;
    type Jacobian = Vec<f64>;

    fn jacobian(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, ArgminError> {
        let mut jacobian = vec![0.0; self.0.n_residuals() * parameters.len()];
        self.0.jacobian(parameters, &mut jacobian);
        Ok(jacobian)
    }
}

type State = IterState<Vec<f64>, (), Vec<f64>, (), Vec<f64>, f64>;

/// The iteration as an `argmin` solver.
#[derive(Debug, Clone)]
pub struct LevenbergMarquardt {
    bounds: Vec<[f64; 2]>,
    limits: Limits,
    damping: f64,
    growth: f64,
    evaluations: u64,
}

impl LevenbergMarquardt {
    /// One pair of bounds per parameter; infinite bounds are legal.
    pub fn new(bounds: Vec<[f64; 2]>, limits: Limits) -> Self {
        Self { bounds, limits, damping: 1e-3, growth: 2.0, evaluations: 0 }
    }

    /// Whether the step from `from` to `to` no longer matters.
    fn is_small(&self, from: &[f64], to: &[f64]) -> bool {
        let limit = self.limits.relative_step;
        from.iter().zip(to).all(|(a, b)| (b - a).abs() <= limit * a.abs().max(b.abs()))
    }

    fn reject(&mut self) {
        self.damping = (self.damping * self.growth).max(1e-12);
        self.growth *= 2.0;
    }

    /// The trial point of the present damping; `None` where no free parameter moves the residuals.
    /// A parameter that would cross its bound stops there, and the others are solved again with it
    /// fixed.
    fn trial(&self, parameters: &[f64], normal: &NormalEquations) -> Option<Trial> {
        let mut free = self.free(parameters, normal);
        if free.is_empty() {
            return None;
        }
        let mut step = vec![0.0; parameters.len()];
        let mut is_cut = false;
        while !free.is_empty() {
            let solved = normal.damped_step(&free, &step, self.damping);
            let crosses = |&(i, step): &(usize, f64)| {
                let [low, high] = self.bounds[i];
                !(low..=high).contains(&(parameters[i] + step))
            };
            let (stopped, moving): (Vec<_>, Vec<_>) =
                free.iter().copied().zip(solved).partition(crosses);
            if stopped.is_empty() {
                for (i, solved) in moving {
                    step[i] = solved;
                }
                break;
            }
            is_cut = true;
            for (i, solved) in stopped {
                step[i] = self.bounds[i][usize::from(solved > 0.0)] - parameters[i];
            }
            free = moving.iter().map(|&(i, _)| i).collect();
        }
        let wished: Vec<f64> = parameters.iter().zip(&step).map(|(x, step)| x + step).collect();
        Some(Trial { point: clamped(&wished, &self.bounds), is_cut })
    }

    /// Parameters that are not at a bound which the gradient pushes against.
    fn free(&self, parameters: &[f64], normal: &NormalEquations) -> Vec<usize> {
        (0..parameters.len())
            .filter(|&i| {
                let [low, high] = self.bounds[i];
                let held_low = parameters[i] <= low && normal.gradient[i] >= 0.0;
                let held_high = parameters[i] >= high && normal.gradient[i] <= 0.0;
                !held_low && !held_high && normal.diagonal(i) > 0.0
            })
            .collect()
    }
}

/// Where a step leads, and whether a bound cut it off.
struct Trial {
    point: Vec<f64>,
    is_cut: bool,
}

impl<O> Solver<O, State> for LevenbergMarquardt
where
    O: Operator<Param = Vec<f64>, Output = Vec<f64>>
        + Jacobian<Param = Vec<f64>, Jacobian = Vec<f64>>,
{
    fn name(&self) -> &'static str {
        "bounded Levenberg-Marquardt"
    }

    fn init(
        &mut self,
        problem: &mut Problem<O>,
        mut state: State,
    ) -> Result<(State, Option<KV>), ArgminError> {
        let parameters = state.take_param().ok_or_else(|| ArgminError::msg("no start"))?;
        let residuals = problem.apply(&parameters)?;
        self.evaluations += 1;
        let cost = half_square(&residuals);
        if !cost.is_finite() {
            return Err(ArgminError::msg("residuals at the start are not finite"));
        }
        Ok((state.param(parameters).residuals(residuals).cost(cost), None))
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<O>,
        mut state: State,
    ) -> Result<(State, Option<KV>), ArgminError> {
        let lost = || ArgminError::msg("state without parameters or residuals");
        let parameters = state.take_param().ok_or_else(lost)?;
        let residuals = state.take_residuals().ok_or_else(lost)?;
        let cost = state.get_cost();
        let normal = NormalEquations::new(&problem.jacobian(&parameters)?, &residuals);
        loop {
            let trial = self.trial(&parameters, &normal).filter(|_| normal.is_finite());
            let Some(Trial { point: trial, is_cut }) = trial else { break };
            if self.is_small(&parameters, &trial) || self.damping > 1e30 {
                break;
            }
            let promised = normal.reduction(&parameters, &trial);
            if promised <= self.limits.relative_reduction * cost {
                // A step cut off by a bound may lead uphill until damping turns it.
                if is_cut {
                    self.reject();
                    continue;
                }
                return Ok((
                    self.last_step(problem, state, [parameters, residuals], &normal)?,
                    None,
                ));
            }
            let residuals_there = problem.apply(&trial)?;
            self.evaluations += 1;
            let cost_there = half_square(&residuals_there);
            let gain = (cost - cost_there) / promised;
            if gain > 0.0 && cost_there.is_finite() {
                self.damping *= (1.0 - (2.0 * gain - 1.0).powi(3)).max(1.0 / 3.0);
                self.growth = 2.0;
                return Ok((state.param(trial).residuals(residuals_there).cost(cost_there), None));
            }
            self.reject();
        }
        let state = state.param(parameters).residuals(residuals).cost(cost);
        Ok((state.terminate_with(TerminationReason::SolverConverged), None))
    }
}

impl LevenbergMarquardt {
    /// Where the gain of a damped step drowns in the rounding of the cost, the undamped step still
    /// brings the point nearer to the optimum: takes it unless the cost objects, and ends unless it
    /// brought a gain that can be seen.
    fn last_step<O>(
        &mut self,
        problem: &mut Problem<O>,
        state: State,
        [parameters, residuals]: [Vec<f64>; 2],
        normal: &NormalEquations,
    ) -> Result<State, ArgminError>
    where
        O: Operator<Param = Vec<f64>, Output = Vec<f64>>,
    {
        self.damping = 0.0;
        let point = self.trial(&parameters, normal).map_or_else(|| parameters.clone(), |t| t.point);
        let residuals_there = problem.apply(&point)?;
        self.evaluations += 1;
        let (cost, cost_there) = (half_square(&residuals), half_square(&residuals_there));
        let noise = 8.0 * f64::EPSILON * cost;
        if cost_there < cost - noise {
            self.damping = 1e-3;
            return Ok(state.param(point).residuals(residuals_there).cost(cost_there));
        }
        let state = if cost_there <= cost + noise {
            state.param(point).residuals(residuals_there).cost(cost_there)
        } else {
            state.param(parameters).residuals(residuals).cost(cost)
        };
        Ok(state.terminate_with(TerminationReason::SolverConverged))
    }
}

fn half_square(residuals: &[f64]) -> f64 {
    0.5 * residuals.iter().map(|r| r * r).sum::<f64>()
}

#[cfg(test)]
mod tests;
