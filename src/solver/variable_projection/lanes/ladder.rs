//! The largest step that divides all distances between the abscissae, and a chain of products that
//! reaches their powers.
//!
//! # Reference
//!
//! Knuth, "The art of computer programming", vol. 2, 3rd ed., Addison-Wesley 1997, section 4.6.3
//! (chains of multiplications to powers).

use fearless_simd::{Simd, f64x8};

use super::curve::InTurn;
use super::mixed::{Chain, Mixed, SQUARES};
use super::sums::powers;
use super::uniform::{Terms, Uniform};
use crate::solver::elementary::Elementary;

/// Largest power: beyond it rounding of x would be felt.
const POWER_MAX: u32 = 64;

/// Where a set of abscissae stands on a scale of steps.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    /// Samples in the order of rising abscissae.
    pub(super) order: Vec<usize>,
    pub(super) step: f64,
    /// Smallest abscissa, and how many steps that is where it is a whole number of them.
    pub(super) origin: f64,
    pub(super) origin_steps: Option<u32>,
}

impl Scale {
    /// e^(rate·origin), where `inverse` is e^(rate·step).
    #[inline(always)]
    pub(super) fn factor<S: Simd>(&self, rate: f64x8<S>, inverse: f64x8<S>) -> f64x8<S> {
        match self.origin_steps {
            Some(0) => rate.simd.splat_f64x8(1.0),
            Some(1) => inverse,
            Some(2) => inverse * inverse,
            _ => Elementary::exp(rate * self.origin),
        }
    }
}

/// Distances from the smallest abscissa as multiples of one step.
pub(super) struct Ladder {
    scale: Scale,
    powers: Vec<u32>,
}

impl Ladder {
    /// The largest step that divides all distances between `abscissae`; `None` where it is none or
    /// too small.
    pub(super) fn new(abscissae: &[f64]) -> Option<Self> {
        let mut order: Vec<usize> = (0..abscissae.len()).collect();
        order.sort_by(|&a, &b| abscissae[a].total_cmp(&abscissae[b]));
        let origin = abscissae[order[0]];
        let last = abscissae[*order.last()?];
        let slack = 16.0 * f64::EPSILON * last.abs().max(origin.abs());
        let distances: Vec<f64> = order.iter().map(|&k| abscissae[k] - origin).collect();
        let coarse = distances.iter().fold(0.0, |step, &x| common_step(step, x, 1e-6 * last));
        let largest = (last - origin) / coarse;
        if !(largest.is_finite() && largest.round() <= f64::from(POWER_MAX) && largest > 0.5) {
            return None;
        }
        let step = (last - origin) / largest.round();
        let powers: Vec<u32> = distances.iter().map(|x| (x / step).round() as u32).collect();
        let exact =
            distances.iter().zip(&powers).all(|(x, &n)| (x - step * f64::from(n)).abs() <= slack);
        let steps = (origin / step).round();
        let whole = (origin - step * steps).abs() <= slack && (0.0..64.0).contains(&steps);
        let origin_steps = whole.then_some(steps as u32);
        let scale = Scale { order, step, origin, origin_steps };
        exact.then_some(Self { scale, powers })
    }

    /// Where every power is one above the one before.
    pub(super) fn uniform(&self) -> Option<Uniform> {
        let uniform = self.powers.iter().enumerate().all(|(k, &n)| n as usize == k);
        let n_samples = self.powers.len();
        uniform.then(|| Uniform { terms: Terms { n_samples }, scale: self.scale.clone() })
    }

    /// Where squares of squares reach every gap between neighbours.
    pub(super) fn mixed(&self) -> Option<Mixed> {
        let before = [0].iter().chain(&self.powers);
        let gaps: Vec<u32> = self.powers.iter().zip(before).map(|(n, m)| n - m).collect();
        if gaps.iter().any(|&gap| gap >= 1 << SQUARES) {
            return None;
        }
        let double: Vec<[f64; 4]> = self.powers.iter().map(|&n| powers(f64::from(n))).collect();
        let single = double.iter().map(|powers| powers.map(|power| power as f32)).collect();
        Some(Mixed {
            single: InTurn(Chain { powers: single, gaps: gaps.clone() }),
            double: InTurn(Chain { powers: double, gaps }),
            scale: self.scale.clone(),
        })
    }
}

/// Euclid's algorithm on lengths that are known to `slack`.
fn common_step(a: f64, b: f64, slack: f64) -> f64 {
    let (mut a, mut b) = (a.max(b), a.min(b));
    while b > slack {
        let rest = a - b * (a / b).round();
        (a, b) = (b, rest.abs());
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn powers(abscissae: &[f64]) -> Option<(Vec<u32>, f64)> {
        Ladder::new(abscissae).map(|ladder| (ladder.powers, ladder.scale.step))
    }

    #[test]
    fn the_largest_common_step_is_found() {
        let (n, step) = powers(&[0.01, 0.02, 0.03, 0.04, 0.05, 0.06]).unwrap();
        assert_eq!(n, [0, 1, 2, 3, 4, 5]);
        assert!((step - 0.01).abs() < 1e-17);
        let (n, step) = powers(&[1000.0, 0.0, 500.0, 200.0]).unwrap();
        assert_eq!((n.as_slice(), step.to_bits()), ([0, 2, 5, 10].as_slice(), 100.0_f64.to_bits()));
        assert_eq!(powers(&[0.0, 800.0]).unwrap().0, [0, 1]);
        assert_eq!(powers(&[5.0, 0.0, 5.0]).unwrap().0, [0, 1, 1]);
        assert_eq!(powers(&[0.0138, 0.0276, 0.0414]).unwrap().0, [0, 1, 2]);
        assert!(powers(&[0.0, 1.0, 2.0_f64.sqrt()]).is_none());
        assert!(powers(&[0.0, 1.0, 100.0]).is_none());
        assert!(powers(&[3.0, 3.0]).is_none());
    }

    #[test]
    fn chains_reach_every_power() {
        for abscissae in [
            vec![0.0, 200.0, 500.0, 1000.0],
            vec![0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0],
            vec![0.0, 0.0, 700.0, 1000.0, 1000.0, 2000.0],
            vec![0.0, 31.0, 62.0],
            vec![0.0, 1.0, 64.0],
        ] {
            let ladder = Ladder::new(&abscissae).unwrap();
            let Some(mixed) = ladder.mixed() else { continue };
            let mut power = 0;
            for (gap, wanted) in mixed.double.0.gaps.iter().zip(&ladder.powers) {
                power += gap;
                assert_eq!(power, *wanted, "{abscissae:?}");
            }
        }
        assert!(Ladder::new(&[0.0, 200.0, 500.0, 1000.0]).unwrap().mixed().is_some());
        assert!(Ladder::new(&[0.0, 1.0, 2.0]).unwrap().uniform().is_some());
        assert!(Ladder::new(&[0.0, 1.0, 3.0]).unwrap().uniform().is_none());
    }
}
