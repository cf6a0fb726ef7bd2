//! How alike two images are, and how that changes with the moving intensity at each sample.
//!
//! Information measures come from a joint histogram: the fixed intensity falls into one bin, the
//! moving one into four through a cubic B-spline window, so that they are smooth in the transform.
//! The histogram is summed as powers of the position within a bin, 1, t, t² and t³, of which the four
//! weights are combinations; the derivative is a parabola in t per pair of bins.
//!
//! # Reference
//!
//! Mattes et al., IEEE Trans Med Imaging 2003;22:120–128, doi:10.1109/TMI.2003.809072; Studholme et
//! al., Pattern Recognit 1999;32:71–86, doi:10.1016/S0031-3203(98)00091-0 (normalised).

use super::level::BINS;

/// Probabilities below this count as 0: rounding of sums of powers.
const LEAST_PROBABILITY: f64 = 1e-15;

/// A measure of likeness; more is better for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Mattes mutual information, nats: images of any two contrasts.
    MutualInformation,
    /// (H(fixed) + H(moving))/H(both), 1–2: the same where the overlap changes much.
    NormalizedMutualInformation,
    /// Pearson's correlation, −1–1: contrasts that are linear functions of one another.
    Correlation,
    /// −mean squared difference in units of 1/29 of the moving image's range: equal contrasts.
    MeanSquares,
}

impl Metric {
    /// Whether it is computed from a joint histogram.
    pub(super) fn is_information(self) -> bool {
        matches!(self, Self::MutualInformation | Self::NormalizedMutualInformation)
    }

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::MutualInformation => "mutual information",
            Self::NormalizedMutualInformation => "normalised mutual information",
            Self::Correlation => "correlation",
            Self::MeanSquares => "mean squares",
        }
    }
}

/// Sums over samples. One of the two stays empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    /// Σ1, Σt, Σt², Σt³ per fixed bin and moving interval.
    pub(super) powers: Vec<[f64; 4]>,
    /// n, Σf, Σm, Σff, Σmm, Σfm.
    pub(super) moments: [f64; 6],
}

impl Sums {
    pub(super) fn zero(metric: Metric) -> Self {
        let n = if metric.is_information() { BINS * BINS } else { 0 };
        Self { powers: vec![[0.0; 4]; n], moments: [0.0; 6] }
    }

    pub(super) fn clear(&mut self) {
        self.powers.fill([0.0; 4]);
        self.moments = [0.0; 6];
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, other) in self.powers.iter_mut().zip(&other.powers) {
            for (sum, other) in sum.iter_mut().zip(other) {
                *sum += other;
            }
        }
        for (sum, other) in self.moments.iter_mut().zip(other.moments) {
            *sum += other;
        }
    }
}

/// Derivative of the measure with respect to the scaled moving intensity of a sample.
#[derive(Debug, Clone)]
pub(super) enum Slope {
    /// c₀ + c₁·t + c₂·t² per fixed bin and moving interval.
    Table(Vec<[f32; 4]>),
    /// a·f + b·m + c.
    Linear([f32; 3]),
}

/// The measure over all samples.
pub(super) struct Likeness {
    pub(super) value: f64,
    /// Samples that lie in both images.
    pub(super) n_overlap: f64,
    pub(super) slope: Slope,
}

/// NaN where no sample lies in both images.
pub(super) fn likeness(metric: Metric, sums: &Sums) -> Likeness {
    match metric {
        Metric::MutualInformation | Metric::NormalizedMutualInformation => {
            information(metric, &sums.powers)
        }
        Metric::Correlation => correlation(&sums.moments),
        Metric::MeanSquares => mean_squares(&sums.moments),
    }
}

fn information(metric: Metric, powers: &[[f64; 4]]) -> Likeness {
    let (joint, n_overlap) = joint_probabilities(powers);
    let mut fixed = [0.0; BINS];
    let mut moving = [0.0; BINS];
    for (f, row) in joint.chunks_exact(BINS).enumerate() {
        for (m, p) in row.iter().enumerate() {
            fixed[f] += p;
            moving[m] += p;
        }
    }
    let (h_fixed, h_moving, h_joint) = (entropy(&fixed), entropy(&moving), entropy(&joint));
    // Weights of ln p(f, m) and ln p(m) in the derivative; the marginal of f does not change.
    let (value, of_joint, of_moving) = if metric == Metric::MutualInformation {
        (h_fixed + h_moving - h_joint, 1.0, -1.0)
    } else {
        let sum = h_fixed + h_moving;
        (sum / h_joint, sum / (h_joint * h_joint), -1.0 / h_joint)
    };
    let logarithms: Vec<f64> = joint
        .iter()
        .enumerate()
        .map(|(at, &p)| of_joint * logarithm(p) + of_moving * logarithm(moving[at % BINS]))
        .collect();
    let slope = Slope::Table(parabolas(&logarithms, n_overlap));
    Likeness { value, n_overlap, slope }
}

/// Joint probabilities, `[fixed bin, moving bin]`, and the number of samples.
fn joint_probabilities(powers: &[[f64; 4]]) -> (Vec<f64>, f64) {
    let mut joint = vec![0.0; BINS * BINS];
    let mut n = 0.0;
    for (row, from) in joint.chunks_exact_mut(BINS).zip(powers.chunks_exact(BINS)) {
        // Interval 0 collects what does not lie in both images.
        for (b, [one, t, t2, t3]) in from.iter().enumerate().take(BINS - 2).skip(1) {
            row[b - 1] += (one - 3.0 * t + 3.0 * t2 - t3) / 6.0;
            row[b] += (4.0 * one - 6.0 * t2 + 3.0 * t3) / 6.0;
            row[b + 1] += (one + 3.0 * t + 3.0 * t2 - 3.0 * t3) / 6.0;
            row[b + 2] += t3 / 6.0;
            n += one;
        }
    }
    for p in &mut joint {
        *p /= n;
    }
    (joint, n)
}

fn logarithm(p: f64) -> f64 {
    if p > LEAST_PROBABILITY { p.ln() } else { 0.0 }
}

fn entropy(probabilities: &[f64]) -> f64 {
    -probabilities.iter().map(|&p| p * logarithm(p)).sum::<f64>()
}

/// `Σ w'(t)·L(f, b − 1 + q)/n` over the four q as a parabola in t for every fixed bin f and moving interval b.
fn parabolas(logarithms: &[f64], n: f64) -> Vec<[f32; 4]> {
    let mut table = vec![[0.0; 4]; BINS * BINS];
    for (row, from) in table.chunks_exact_mut(BINS).zip(logarithms.chunks_exact(BINS)) {
        for b in 1..BINS - 2 {
            let [l0, l1, l2, l3] = [from[b - 1], from[b], from[b + 1], from[b + 2]];
            let parabola =
                [(l2 - l0) / 2.0, l0 - 2.0 * l1 + l2, (3.0 * (l1 - l2) + l3 - l0) / 2.0, 0.0];
            row[b] = parabola.map(|c| (c / n) as f32);
        }
    }
    table
}

fn correlation(&[n, f, m, ff, mm, fm]: &[f64; 6]) -> Likeness {
    let (mean_f, mean_m) = (f / n, m / n);
    let var_f = ff - f * mean_f;
    let var_m = mm - m * mean_m;
    let value = (fm - f * mean_m) / (var_f * var_m).sqrt();
    let a = 1.0 / (var_f * var_m).sqrt();
    let b = -value / var_m;
    let slope = Slope::Linear([a, b, -a * mean_f - b * mean_m].map(|c| c as f32));
    Likeness { value, n_overlap: n, slope }
}

fn mean_squares(&[n, _, _, ff, mm, fm]: &[f64; 6]) -> Likeness {
    let value = -(ff - 2.0 * fm + mm) / n;
    Likeness {
        value,
        n_overlap: n,
        slope: Slope::Linear([2.0 / n, -2.0 / n, 0.0].map(|c| c as f32)),
    }
}
