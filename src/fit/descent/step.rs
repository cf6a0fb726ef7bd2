//! One damped step inside bounds, on slices that are lent.

/// The weighted normal equations of a step and room to solve them; at most 32 parameters.
pub(super) struct Step<'a> {
    n: usize,
    /// Lower triangle.
    matrix: &'a mut [f64],
    gradient: &'a mut [f64],
    factor: &'a mut [f64],
    solution: &'a mut [f64],
    scale: &'a mut [f64],
    /// Parameters that stay where they are, one bit each.
    held: u32,
}

impl<'a> Step<'a> {
    pub(super) fn scratch_len(n_parameters: usize) -> usize {
        n_parameters * (2 * n_parameters + 3)
    }

    pub(super) fn new(scratch: &'a mut [f64], n_parameters: usize) -> Self {
        let n = n_parameters;
        let (matrix, rest) = scratch.split_at_mut(n * n);
        let (factor, rest) = rest.split_at_mut(n * n);
        let (gradient, rest) = rest.split_at_mut(n);
        let (scale, rest) = rest.split_at_mut(n);
        Self { n, matrix, gradient, factor, solution: &mut rest[..n], scale, held: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.matrix.fill(0.0);
        self.gradient.fill(0.0);
        self.held = 0;
    }

    /// Adds one sample: its row of the Jacobian times `unit`, slope and weight of its cost.
    pub(super) fn add(&mut self, row: &[f64], unit: f64, [slope, weight]: [f64; 2]) {
        for (i, by_i) in row.iter().enumerate() {
            let by_i = by_i * unit;
            self.gradient[i] += by_i * slope;
            let own = &mut self.matrix[i * self.n..=i * self.n + i];
            for (element, by_j) in own.iter_mut().zip(row) {
                *element += weight * by_i * (by_j * unit);
            }
        }
    }

    /// Holds parameters that move nothing, and those at a bound that the gradient pushes against.
    pub(super) fn hold(&mut self, parameters: &[f64], bounds: &[[f64; 2]]) {
        for (i, (&x, &[low, high])) in parameters.iter().zip(bounds).enumerate() {
            let (slope, diagonal) = (self.gradient[i], self.matrix[i * (self.n + 1)]);
            let is_stopped = (x <= low && slope >= 0.0) || (x >= high && slope <= 0.0);
            let moves = diagonal > 0.0 && diagonal.is_finite();
            self.scale[i] = if moves { 1.0 / diagonal.sqrt() } else { 0.0 };
            if is_stopped || !moves {
                self.held |= 1 << i;
            }
        }
    }

    /// Writes the trial point of `damping` into `there`; by how much the quadratic cost falls. What
    /// would cross its bound stops there, and the others are solved again with it fixed.
    pub(super) fn solve(
        &mut self,
        damping: f64,
        parameters: &[f64],
        bounds: &[[f64; 2]],
        there: &mut [f64],
    ) -> f64 {
        let mut fixed = self.held;
        there.copy_from_slice(parameters);
        loop {
            self.factorise(damping, fixed);
            self.substitute(fixed, parameters, there);
            let before = fixed;
            for (i, &[low, high]) in bounds.iter().enumerate() {
                let wished = parameters[i] + self.solution[i];
                if fixed & (1 << i) == 0 && !(low..=high).contains(&wished) {
                    there[i] = if wished < low { low } else { high };
                    fixed |= 1 << i;
                }
            }
            if fixed == before {
                break;
            }
        }
        let mut promise = 0.0;
        for i in 0..self.n {
            if fixed & (1 << i) == 0 {
                there[i] = parameters[i] + self.solution[i];
            }
            promise -= self.gradient[i] * (there[i] - parameters[i]);
        }
        promise - 0.5 * self.quadratic(parameters, there)
    }

    fn element(&self, i: usize, j: usize) -> f64 {
        self.matrix[i.max(j) * self.n + i.min(j)]
    }

    fn quadratic(&self, parameters: &[f64], there: &[f64]) -> f64 {
        let step = |i: usize| there[i] - parameters[i];
        let row = |i: usize| (0..self.n).map(|j| self.element(i, j) * step(j)).sum::<f64>();
        (0..self.n).map(|i| step(i) * row(i)).sum()
    }

    /// Cholesky of the damped matrix scaled to a unit diagonal; rows that are `fixed` are those of
    /// the unit matrix.
    fn factorise(&mut self, damping: f64, fixed: u32) {
        let n = self.n;
        let is_fixed = |i: usize| fixed & (1 << i) != 0;
        for i in 0..n {
            for j in 0..i {
                let mut sum = if is_fixed(i) || is_fixed(j) {
                    0.0
                } else {
                    self.matrix[i * n + j] * self.scale[i] * self.scale[j]
                };
                for k in 0..j {
                    sum -= self.factor[i * n + k] * self.factor[j * n + k];
                }
                self.factor[i * n + j] = sum / self.factor[j * n + j];
            }
            // The floor keeps a singular matrix solvable without being felt elsewhere.
            let mut pivot = 1.0 + damping.max(1e-15);
            for k in 0..i {
                pivot -= self.factor[i * n + k] * self.factor[i * n + k];
            }
            self.factor[i * n + i] = pivot.max(1e-15).sqrt();
        }
    }

    /// The step of the free parameters while the fixed ones move to `there`.
    fn substitute(&mut self, fixed: u32, parameters: &[f64], there: &[f64]) {
        let n = self.n;
        for i in 0..n {
            self.solution[i] = 0.0;
            if fixed & (1 << i) != 0 {
                continue;
            }
            let mut slope = self.gradient[i];
            for j in 0..n {
                if fixed & (1 << j) != 0 {
                    slope += self.element(i, j) * (there[j] - parameters[j]);
                }
            }
            self.solution[i] = -slope * self.scale[i];
        }
        for i in 0..n {
            for k in 0..i {
                self.solution[i] -= self.factor[i * n + k] * self.solution[k];
            }
            self.solution[i] /= self.factor[i * n + i];
        }
        for i in (0..n).rev() {
            for k in i + 1..n {
                self.solution[i] -= self.factor[k * n + i] * self.solution[k];
            }
            self.solution[i] /= self.factor[i * n + i];
        }
        for (solution, scale) in self.solution.iter_mut().zip(self.scale.iter()) {
            *solution *= scale;
        }
    }
}
