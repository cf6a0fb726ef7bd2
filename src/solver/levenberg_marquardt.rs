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

use argmin::core::{
    Error as ArgminError, Executor, IterState, Jacobian, KV, Operator, Problem, Solver, State as _,
    TerminationReason, TerminationStatus,
};

use crate::error::{Error, Result};

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
        let mut free: Vec<usize> = (0..parameters.len())
            .filter(|&i| {
                let [low, high] = self.bounds[i];
                let held_low = parameters[i] <= low && normal.gradient[i] >= 0.0;
                let held_high = parameters[i] >= high && normal.gradient[i] <= 0.0;
                !held_low && !held_high && normal.diagonal(i) > 0.0
            })
            .collect();
        if free.is_empty() {
            return None;
        }
        let mut step = vec![0.0; parameters.len()];
        let mut is_cut = false;
        while !free.is_empty() {
            let solved = normal.damped_step(&free, &step, self.damping);
            let crosses = |i: usize, step: f64| {
                let [low, high] = self.bounds[i];
                !(low..=high).contains(&(parameters[i] + step))
            };
            let stops = free.iter().zip(&solved).any(|(&i, &step)| crosses(i, step));
            for (&i, &solved) in free.iter().zip(&solved) {
                if crosses(i, solved) {
                    let bound = self.bounds[i][usize::from(solved > 0.0)];
                    step[i] = bound - parameters[i];
                } else if !stops {
                    step[i] = solved;
                }
            }
            if !stops {
                break;
            }
            is_cut = true;
            free = free
                .iter()
                .zip(&solved)
                .filter_map(|(&i, &step)| (!crosses(i, step)).then_some(i))
                .collect();
        }
        let wished: Vec<f64> = parameters.iter().zip(&step).map(|(x, step)| x + step).collect();
        Some(Trial { point: clamped(&wished, &self.bounds), is_cut })
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

/// `JᵀJ` and Jᵀr.
struct NormalEquations {
    /// `[n_parameters, n_parameters]`.
    matrix: Vec<f64>,
    gradient: Vec<f64>,
}

impl NormalEquations {
    fn new(jacobian: &[f64], residuals: &[f64]) -> Self {
        let p = jacobian.len() / residuals.len().max(1);
        let (mut matrix, mut gradient) = (vec![0.0; p * p], vec![0.0; p]);
        for (row, residual) in jacobian.chunks_exact(p.max(1)).zip(residuals) {
            for i in 0..p {
                gradient[i] += row[i] * residual;
                for j in 0..p {
                    matrix[i * p + j] += row[i] * row[j];
                }
            }
        }
        Self { matrix, gradient }
    }

    fn diagonal(&self, i: usize) -> f64 {
        self.matrix[i * self.gradient.len() + i]
    }

    fn is_finite(&self) -> bool {
        self.matrix.iter().chain(&self.gradient).all(|value| value.is_finite())
    }

    /// δ of the damped equations over the `free` parameters, each scaled to a unit diagonal, while
    /// the others move by `fixed`.
    fn damped_step(&self, free: &[usize], fixed: &[f64], damping: f64) -> Vec<f64> {
        let (m, p) = (free.len(), self.gradient.len());
        let scale: Vec<f64> = free.iter().map(|&i| self.diagonal(i).sqrt()).collect();
        let mut matrix = vec![0.0; m * m];
        let shifted = |i: usize| {
            let row = &self.matrix[i * p..(i + 1) * p];
            self.gradient[i] + row.iter().zip(fixed).map(|(m, step)| m * step).sum::<f64>()
        };
        let mut step: Vec<f64> = free.iter().zip(&scale).map(|(&i, s)| -shifted(i) / s).collect();
        for (a, &i) in free.iter().enumerate() {
            for (b, &j) in free.iter().enumerate() {
                matrix[a * m + b] = self.matrix[i * p + j] / (scale[a] * scale[b]);
            }
            // The floor keeps a singular matrix solvable without being felt elsewhere.
            matrix[a * m + a] = 1.0 + damping.max(1e-15);
        }
        solve_positive_definite(&mut matrix, &mut step);
        step.iter().zip(&scale).map(|(step, scale)| step / scale).collect()
    }

    /// By how much the linearised ½·|r|² falls from `from` to `to`.
    fn reduction(&self, from: &[f64], to: &[f64]) -> f64 {
        let p = from.len();
        let step: Vec<f64> = to.iter().zip(from).map(|(to, from)| to - from).collect();
        let linear: f64 = step.iter().zip(&self.gradient).map(|(s, g)| s * g).sum();
        let quadratic: f64 = (0..p * p).map(|k| self.matrix[k] * step[k / p] * step[k % p]).sum();
        -linear - 0.5 * quadratic
    }
}

/// Cholesky solution of `matrix`·x = `x` in place; a pivot that vanishes leaves its unknown 0.
fn solve_positive_definite(matrix: &mut [f64], x: &mut [f64]) {
    let n = x.len();
    for j in 0..n {
        for k in 0..j {
            matrix[j * n + j] -= matrix[j * n + k].powi(2);
        }
        let pivot = matrix[j * n + j].max(0.0).sqrt();
        matrix[j * n + j] = pivot;
        for i in j + 1..n {
            for k in 0..j {
                matrix[i * n + j] -= matrix[i * n + k] * matrix[j * n + k];
            }
            matrix[i * n + j] = if pivot > 0.0 { matrix[i * n + j] / pivot } else { 0.0 };
        }
    }
    for i in 0..n {
        for k in 0..i {
            x[i] -= matrix[i * n + k] * x[k];
        }
        x[i] = if matrix[i * n + i] > 0.0 { x[i] / matrix[i * n + i] } else { 0.0 };
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            x[i] -= matrix[k * n + i] * x[k];
        }
        x[i] = if matrix[i * n + i] > 0.0 { x[i] / matrix[i * n + i] } else { 0.0 };
    }
}

/// (JᵀJ)⁻¹, `[n_parameters, n_parameters]` row-major, of a Jacobian of `n_parameters` columns; `None`
/// where it is singular or not finite. Columns may differ by many orders of magnitude.
pub fn inverse_normal_matrix(jacobian: &[f64], n_parameters: usize) -> Option<Vec<f64>> {
    let p = n_parameters;
    let normal = NormalEquations::new(jacobian, &vec![0.0; jacobian.len() / p.max(1)]);
    let scale: Vec<f64> = (0..p).map(|i| normal.diagonal(i).sqrt()).collect();
    if !(normal.is_finite() && scale.iter().all(|&s| s > 0.0)) {
        return None;
    }
    let mut inverse = vec![0.0; p * p];
    for column in 0..p {
        let mut matrix: Vec<f64> =
            (0..p * p).map(|k| normal.matrix[k] / (scale[k / p] * scale[k % p])).collect();
        let mut unit = vec![0.0; p];
        unit[column] = 1.0;
        solve_positive_definite(&mut matrix, &mut unit);
        if (0..p).any(|i| matrix[i * p + i] < 1e-7) {
            return None;
        }
        for (row, value) in unit.iter().enumerate() {
            inverse[row * p + column] = value / (scale[row] * scale[column]);
        }
    }
    inverse.iter().all(|value| value.is_finite()).then_some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argmin::core::CostFunction;
    use argmin::solver::neldermead::NelderMead;

    /// Rosenbrock as two residuals; minimum 0 at (1, 1).
    struct Rosenbrock;

    impl LeastSquares for Rosenbrock {
        fn n_residuals(&self) -> usize {
            2
        }

        fn residuals(&self, x: &[f64], residuals: &mut [f64]) {
            residuals[0] = 10.0 * (x[1] - x[0] * x[0]);
            residuals[1] = 1.0 - x[0];
        }

        fn jacobian(&self, x: &[f64], jacobian: &mut [f64]) {
            jacobian.copy_from_slice(&[-20.0 * x[0], 10.0, -1.0, 0.0]);
        }
    }

    impl CostFunction for Rosenbrock {
        type Param = Vec<f64>;
        type Output = f64;

        fn cost(&self, x: &Vec<f64>) -> Result<f64, ArgminError> {
            let mut residuals = [0.0; 2];
            self.residuals(x, &mut residuals);
            Ok(residuals.iter().map(|r| r * r).sum())
        }
    }

    const FREE: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

    /// `BoxBOD` of NIST `StRD` (nonlinear, higher difficulty): y = b1·(1 − e^(−b2·x)).
    struct BoxBod;

    impl LeastSquares for BoxBod {
        fn n_residuals(&self) -> usize {
            6
        }

        fn residuals(&self, b: &[f64], residuals: &mut [f64]) {
            let data = [
                (1.0, 109.0),
                (2.0, 149.0),
                (3.0, 149.0),
                (5.0, 191.0),
                (7.0, 213.0),
                (10.0, 224.0),
            ];
            for (residual, (x, y)) in residuals.iter_mut().zip(data) {
                let x: f64 = x;
                *residual = b[0] * (1.0 - (-b[1] * x).exp()) - y;
            }
        }

        fn jacobian(&self, b: &[f64], jacobian: &mut [f64]) {
            for (row, x) in jacobian.chunks_exact_mut(2).zip([1.0, 2.0, 3.0, 5.0, 7.0, 10.0_f64]) {
                row[0] = 1.0 - (-b[1] * x).exp();
                row[1] = b[0] * x * (-b[1] * x).exp();
            }
        }
    }

    #[test]
    fn box_bod_of_nist_reaches_the_certified_values_from_both_starts() {
        for start in [[1.0, 1.0], [100.0, 0.75]] {
            let minimum =
                minimise(&BoxBod, &start, &[[0.0, 1e4], [0.0, 5.0]], Limits::default()).unwrap();
            assert!(minimum.converged, "{minimum:?}");
            assert!((minimum.parameters[0] / 2.138_094_088_9e2 - 1.0).abs() < 1e-8);
            assert!((minimum.parameters[1] / 5.472_374_854_2e-1 - 1.0).abs() < 1e-8);
            assert!((minimum.residual_sum_of_squares / 1.168_008_876_6e3 - 1.0).abs() < 1e-10);
            let mut jacobian = [0.0; 12];
            BoxBod.jacobian(&minimum.parameters, &mut jacobian);
            let inverse = inverse_normal_matrix(&jacobian, 2).unwrap();
            let variance = minimum.residual_sum_of_squares / 4.0;
            assert!(((variance * inverse[0]).sqrt() / 1.235_451_512_4e1 - 1.0).abs() < 1e-7);
            assert!(((variance * inverse[3]).sqrt() / 1.045_599_389_9e-1 - 1.0).abs() < 1e-7);
        }
    }

    #[test]
    fn the_valley_of_rosenbrock_is_followed_to_its_end() {
        let minimum = minimise(&Rosenbrock, &[-1.2, 1.0], &[FREE; 2], Limits::default()).unwrap();
        assert!(minimum.converged);
        assert!(minimum.parameters.iter().all(|x| (x - 1.0).abs() < 1e-10), "{minimum:?}");
    }

    #[test]
    fn nelder_mead_of_argmin_agrees() {
        let simplex = vec![vec![-1.2, 1.0], vec![-1.0, 1.0], vec![-1.2, 1.3]];
        let solver = NelderMead::new(simplex).with_sd_tolerance(1e-16).unwrap();
        let result =
            Executor::new(Rosenbrock, solver).configure(|s| s.max_iters(2000)).run().unwrap();
        let best = result.state.best_param.unwrap();
        let minimum = minimise(&Rosenbrock, &[-1.2, 1.0], &[FREE; 2], Limits::default()).unwrap();
        for (a, b) in best.iter().zip(&minimum.parameters) {
            // The simplex sees the square of the distance: half the digits.
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn an_active_bound_is_kept_and_the_rest_is_optimal_there() {
        // With x ≤ 0.5 the minimum is at x = 0.5, y = 0.25.
        let bounds = [[-2.0, 0.5], FREE];
        let minimum = minimise(&Rosenbrock, &[-1.2, 1.0], &bounds, Limits::default()).unwrap();
        assert!((minimum.parameters[0] - 0.5).abs() < 1e-15);
        assert!((minimum.parameters[1] - 0.25).abs() < 1e-10, "{minimum:?}");
        assert!((minimum.residual_sum_of_squares - 0.25).abs() < 1e-12);
    }

    #[test]
    fn inputs_that_disagree_are_refused() {
        let minimise = |start: &[f64], bounds: &[[f64; 2]]| {
            minimise(&Rosenbrock, start, bounds, Limits::default())
        };
        assert!(minimise(&[0.0], &[FREE; 2]).is_err());
        assert!(minimise(&[0.0, 0.0], &[FREE, [1.0, 0.0]]).is_err());
        let error = minimise(&[f64::INFINITY, 0.0], &[FREE; 2]).unwrap_err();
        assert!(error.to_string().contains("not finite"), "{error}");
    }

    #[test]
    fn singular_normal_matrices_have_no_inverse() {
        assert_eq!(inverse_normal_matrix(&[1.0, 2.0, 2.0, 4.0], 2), None);
        assert_eq!(inverse_normal_matrix(&[1.0, 0.0, 2.0, 0.0], 2), None);
        assert_eq!(inverse_normal_matrix(&[f64::NAN, 0.0, 2.0, 1.0], 2), None);
        let inverse = inverse_normal_matrix(&[2.0, 0.0, 0.0, 1e9], 2).unwrap();
        assert!((inverse[0] - 0.25).abs() < 1e-15 && (inverse[3] * 1e18 - 1.0).abs() < 1e-12);
    }
}
