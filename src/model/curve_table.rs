//! Starting points by looking at many: unit curves on a fixed protocol, one or two at a time.
//!
//! For each entry the best non-negative amplitudes are known in closed form from inner products with
//! the samples, so that hundreds of candidates cost less than one step of an iteration.
//!
//! # Reference
//!
//! Lawson and Hanson, "Solving least squares problems", SIAM 1995, doi:10.1137/1.9781611971217
//! (least squares with non-negative unknowns).

/// Inner products are kept on the stack.
const CURVES_MAX: usize = 128;

/// Unit curves and the combinations of them that are candidates.
#[derive(Debug, Clone)]
pub(super) struct CurveTable {
    n_samples: usize,
    /// `[n_curves, n_samples]`.
    curves: Vec<f64>,
    candidates: Vec<Candidate>,
}

/// One curve, or the sum of two, with their inner products.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    first: usize,
    second: Option<usize>,
    products: [f64; 3],
}

/// The candidate that leaves the least sum of squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Best {
    /// Its place in the order of `pairs` given to [`CurveTable::new`].
    pub(super) candidate: usize,
    /// Amplitudes of its curves; the second is 0 where there is none, or where it does not help.
    pub(super) amplitudes: [f64; 2],
}

impl CurveTable {
    /// `curves` of `n_samples` each, at most 128; `pairs` name the candidates by their curves.
    pub(super) fn new(curves: &[Vec<f64>], pairs: &[(usize, Option<usize>)]) -> Self {
        let dot = |a: usize, b: usize| -> f64 {
            curves[a].iter().zip(&curves[b]).map(|(x, y)| x * y).sum()
        };
        let candidate = |&(first, second): &(usize, Option<usize>)| Candidate {
            first,
            second,
            products: second.map_or([dot(first, first), 0.0, 0.0], |second| {
                [dot(first, first), dot(first, second), dot(second, second)]
            }),
        };
        let curves_kept = curves.len().min(CURVES_MAX);
        let is_kept = |(first, second): &&(usize, Option<usize>)| {
            *first < curves_kept && second.is_none_or(|second| second < curves_kept)
        };
        Self {
            n_samples: curves.first().map_or(0, Vec::len),
            curves: curves[..curves_kept].concat(),
            candidates: pairs.iter().filter(is_kept).map(candidate).collect(),
        }
    }

    /// The best candidate for finite `samples`; `None` where none fits better than nothing.
    pub(super) fn best(&self, samples: &[f64]) -> Option<Best> {
        let scale = samples.iter().fold(0.0_f64, |largest, sample| largest.max(sample.abs()));
        if scale <= 0.0 {
            return None;
        }
        // A sample near the smallest number has no reciprocal.
        let shrink = scale.max(f64::MIN_POSITIVE).recip();
        let mut projections = [0.0; CURVES_MAX];
        for (projection, curve) in
            projections.iter_mut().zip(self.curves.chunks_exact(self.n_samples))
        {
            *projection = curve.iter().zip(samples).map(|(c, sample)| c * (sample * shrink)).sum();
        }
        let mut best: Option<(f64, Best)> = None;
        for (index, candidate) in self.candidates.iter().enumerate() {
            let (gain, amplitudes) = candidate.gain(&projections);
            if gain > best.map_or(0.0, |(gain, _)| gain) {
                let amplitudes = amplitudes.map(|amplitude| amplitude / shrink);
                best = Some((gain, Best { candidate: index, amplitudes }));
            }
        }
        best.map(|(_, best)| best)
    }
}

impl Candidate {
    /// By how much the sum of squares falls, and the amplitudes that do it.
    fn gain(&self, projections: &[f64; CURVES_MAX]) -> (f64, [f64; 2]) {
        let [aa, ab, bb] = self.products;
        let ya = projections[self.first];
        if let Some(second) = self.second {
            let yb = projections[second];
            let determinant = aa * bb - ab * ab;
            let a = (ya * bb - yb * ab) / determinant;
            let b = (yb * aa - ya * ab) / determinant;
            if a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite() {
                return (a * ya + b * yb, [a, b]);
            }
        }
        let a = ya.max(0.0) / aa;
        (a * ya, [a, 0.0])
    }
}

/// `n` values from `low` to `high` in equal ratios.
pub(super) fn geometric(low: f64, high: f64, n: usize) -> Vec<f64> {
    let ratio = (high / low).ln() / (n.max(2) - 1) as f64;
    (0..n).map(|k| low * (ratio * k as f64).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixture_that_made_the_samples_is_found_with_its_amplitudes() {
        let x = [0.0, 1.0, 2.0, 4.0, 7.0];
        let curves: Vec<Vec<f64>> = geometric(0.05, 3.0, 8)
            .iter()
            .map(|rate| x.iter().map(|x| f64::exp(-rate * x)).collect())
            .collect();
        let pairs: Vec<(usize, Option<usize>)> =
            (0..4).flat_map(|a| (4..8).map(move |b| (a, Some(b)))).collect();
        let table = CurveTable::new(&curves, &pairs);
        for scale in [1e-300, 1.0, 1e300] {
            let samples: Vec<f64> =
                (0..5).map(|k| scale * (7.0 * curves[2][k] + 2.0 * curves[6][k])).collect();
            let best = table.best(&samples).unwrap();
            assert_eq!(pairs[best.candidate], (2, Some(6)));
            for (amplitude, truth) in best.amplitudes.iter().zip([7.0, 2.0]) {
                assert!((amplitude / scale / truth - 1.0).abs() < 1e-10);
            }
        }
        assert_eq!(table.best(&[0.0; 5]), None);
        assert_eq!(table.best(&[-1.0; 5]), None);
    }

    #[test]
    fn a_second_curve_that_does_not_help_gets_no_amplitude() {
        let table = CurveTable::new(&[vec![1.0, 0.5], vec![1.0, 1.0]], &[(0, Some(1))]);
        let best = table.best(&[1.0, 0.2]).unwrap();
        assert!((best.amplitudes[0] - 1.1 / 1.25).abs() < 1e-15);
        assert!(best.amplitudes[1].abs() < 1e-300);
    }
}
