//! Multinomial likelihood of counts in bins under a Gaussian cut off at the first and last edge.

use statrs::function::erf::erfc;

use crate::statistics::moments::sum;

const STEPS_MAX: usize = 200;
const HALVINGS_MAX: usize = 40;
/// Score over information below which the maximum is found: steps of 1e-9 standard errors.
const DECREMENT_MIN: f64 = 1e-18;
const SQRT_TAU: f64 = 2.506_628_274_631_000_7;

/// Mean and natural logarithm of the SD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Peak {
    pub(super) mean: f64,
    pub(super) ln_sd: f64,
}

/// Neighbouring bins: one more edge than counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bins<'h> {
    pub(super) edges: &'h [f64],
    pub(super) counts: &'h [u64],
}

/// What a Gaussian expects in the bins.
pub(super) struct Cells {
    /// Of the probability within the window, per bin; they sum to 1.
    pub(super) shares: Vec<f64>,
    /// ∂ ln share / ∂ (mean, ln SD) per bin.
    gradients: Vec<[f64; 2]>,
    /// Probability within the window.
    pub(super) total: f64,
    /// ∂(−ln total) / ∂ (mean, ln SD).
    pub(super) total_gradient: [f64; 2],
}

/// Where scoring ended.
pub(super) struct Scoring {
    pub(super) peak: Peak,
    pub(super) information: [[f64; 2]; 2],
    pub(super) converged: bool,
}

impl Scoring {
    /// Inverse of the expected information of mean and ln SD; `None` where they are not determined.
    pub(super) fn covariance(&self) -> Option<[[f64; 2]; 2]> {
        let [[aa, ab], [_, bb]] = self.information;
        let determinant = aa * bb - ab * ab;
        // Relative to its largest value; below, rounding alone would decide.
        (determinant > 1e-12 * aa * bb).then(|| {
            let scale = determinant.recip();
            [[bb * scale, -ab * scale], [-ab * scale, aa * scale]]
        })
    }
}

impl Bins<'_> {
    /// `None` where a probability is too small for a number.
    pub(super) fn cells(&self, peak: Peak) -> Option<Cells> {
        let sd = peak.ln_sd.exp();
        let z: Vec<f64> = self.edges.iter().map(|edge| (edge - peak.mean) / sd).collect();
        let density: Vec<f64> = z.iter().map(|z| (-0.5 * z * z).exp() / SQRT_TAU).collect();
        let gradient = |low: usize, high: usize| {
            let by_mean = (density[low] - density[high]) / sd;
            [by_mean, z[low] * density[low] - z[high] * density[high]]
        };
        let last = z.len() - 1;
        let total = between(z[0], z[last]);
        let whole = gradient(0, last).map(|derivative| -derivative / total);
        let mut shares = Vec::with_capacity(last);
        let mut gradients = Vec::with_capacity(last);
        for bin in 0..last {
            let probability = between(z[bin], z[bin + 1]);
            let [by_mean, by_sd] = gradient(bin, bin + 1);
            shares.push(probability / total);
            gradients.push([by_mean / probability + whole[0], by_sd / probability + whole[1]]);
        }
        let usable = shares.iter().all(|share| *share > 0.0 && share.is_finite())
            && gradients.iter().flatten().all(|derivative| derivative.is_finite());
        usable.then_some(Cells { shares, gradients, total, total_gradient: whole })
    }

    fn log_likelihood(&self, cells: &Cells) -> f64 {
        let terms = self.counts.iter().zip(&cells.shares);
        sum(terms.map(|(&count, share)| count as f64 * share.ln()))
    }

    fn score_and_information(&self, cells: &Cells) -> ([f64; 2], [[f64; 2]; 2]) {
        let n = self.counts.iter().sum::<u64>() as f64;
        let (mut score, mut information) = ([0.0; 2], [[0.0; 2]; 2]);
        for ((&count, share), gradient) in
            self.counts.iter().zip(&cells.shares).zip(&cells.gradients)
        {
            for row in 0..2 {
                score[row] += count as f64 * gradient[row];
                for column in 0..2 {
                    information[row][column] += n * share * gradient[row] * gradient[column];
                }
            }
        }
        (score, information)
    }

    /// Fisher scoring from `start`; it ends unconverged where the SD leaves the range that these bins
    /// can tell: a tenth of a bin to ten times the window.
    pub(super) fn maximise(&self, start: Peak) -> Scoring {
        let last = self.edges.len() - 1;
        let window = self.edges[last] - self.edges[0];
        let limits = [0.1 * window / last as f64, 10.0 * window].map(f64::ln);
        let mut scoring = Scoring { peak: start, information: [[0.0; 2]; 2], converged: false };
        for _ in 0..STEPS_MAX {
            let Some(cells) = self.cells(scoring.peak) else { return scoring };
            let (score, information) = self.score_and_information(&cells);
            scoring.information = information;
            let Some([[aa, ab], [_, bb]]) = scoring.covariance() else { return scoring };
            let step = [aa * score[0] + ab * score[1], ab * score[0] + bb * score[1]];
            if step[0] * score[0] + step[1] * score[1] < DECREMENT_MIN {
                scoring.converged = true;
                return scoring;
            }
            let Some(next) = self.search(scoring.peak, step, window) else { return scoring };
            scoring.peak = next;
            if !(limits[0]..=limits[1]).contains(&next.ln_sd) {
                return scoring;
            }
        }
        scoring
    }

    /// The longest of the step's halves that raises the likelihood, rounding aside.
    fn search(&self, from: Peak, step: [f64; 2], window: f64) -> Option<Peak> {
        let before = self.log_likelihood(&self.cells(from)?);
        let mut length = (window / step[0].abs()).min(1.0 / step[1].abs()).min(1.0);
        for _ in 0..HALVINGS_MAX {
            let next =
                Peak { mean: from.mean + length * step[0], ln_sd: from.ln_sd + length * step[1] };
            let after = self.cells(next).map(|cells| self.log_likelihood(&cells));
            if after.is_some_and(|after| after >= before - 1e-13 * before.abs()) {
                return Some(next);
            }
            length *= 0.5;
        }
        None
    }
}

/// Probability of a standard normal between `low` and `high`, without loss in the tails.
fn between(low: f64, high: f64) -> f64 {
    let above = |z: f64| 0.5 * erfc(z * std::f64::consts::FRAC_1_SQRT_2);
    if low > 0.0 {
        above(low) - above(high)
    } else if high < 0.0 {
        above(-high) - above(-low)
    } else {
        1.0 - above(high) - above(-low)
    }
}
