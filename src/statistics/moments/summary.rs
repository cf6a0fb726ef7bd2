//! Extremes, sum of squares and moments in one pass.
//!
//! Powers are summed about the mean of a few values spread over the sample and moved to the mean of
//! all by the binomial formula; where those few mislead, a second pass about the mean follows.

#![allow(clippy::inline_always, reason = "kernels are compiled into the dispatching function")]

use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd, dispatch, f64x8};

use super::Moments;
use crate::statistics::lanes::{BLOCK, Compensated, fold};

/// Values that the first centre is the mean of.
const PROBES: usize = 1024;

/// Squared distance of centre and mean, over the variance, from which the moments about the centre
/// are taken again about the mean: below it less than one bit cancels.
const FAR: f64 = 0.25;

/// Sums of power 0 (squares as they are) and 1 to 4 about a centre.
const SUMS: usize = 5;

/// What one pass over a sample tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::statistics) struct Summary {
    pub(in crate::statistics) moments: Moments,
    pub(in crate::statistics) minimum: f64,
    pub(in crate::statistics) maximum: f64,
    pub(in crate::statistics) sum_of_squares: f64,
}

impl Summary {
    /// `None` for no values, where one is not finite, or where a power leaves the range of numbers.
    pub(in crate::statistics) fn of(values: &[f64]) -> Option<Self> {
        let level = Level::new();
        let first = centre_of_probes(values)?;
        let powers = dispatch!(level, simd => sum_powers(simd, values, first));
        let moments = powers.about(values.len(), first)?;
        let away = moments.mean - first;
        if away * away <= FAR * moments.central[0] || powers.minimum >= powers.maximum {
            return Some(powers.summary(moments));
        }
        let again = moments.mean;
        let powers = dispatch!(level, simd => sum_powers(simd, values, again));
        Some(powers.summary(powers.about(values.len(), again)?))
    }
}

/// Mean of values at equal distances; `None` for no values or where it is not finite.
fn centre_of_probes(values: &[f64]) -> Option<f64> {
    let step = (values.len() / PROBES).max(1);
    let probes = values.iter().step_by(step);
    let n = probes.len() as f64;
    let centre = probes.sum::<f64>() / n;
    centre.is_finite().then_some(centre)
}

struct Powers {
    minimum: f64,
    maximum: f64,
    sums: [f64; SUMS],
}

impl Powers {
    /// Moments of `n` values whose powers were taken about `centre`.
    fn about(&self, n: usize, centre: f64) -> Option<Moments> {
        let [_, first, second, third, fourth] = self.sums.map(|sum| sum / n as f64);
        // All values equal: rounding of the mean must not pass for spread.
        if self.minimum >= self.maximum && fourth.is_finite() {
            return Some(Moments { n, mean: self.minimum, central: [0.0; 3] });
        }
        let square = first * first;
        let central = [
            (second - square).max(0.0),
            third - first * (3.0 * second - 2.0 * square),
            fourth - 4.0 * first * third + square * (6.0 * second - 3.0 * square),
        ];
        let mean = centre + first;
        let finite = mean.is_finite() && central.iter().all(|moment| moment.is_finite());
        finite.then_some(Moments { n, mean, central })
    }

    fn summary(&self, moments: Moments) -> Summary {
        let Self { minimum, maximum, sums } = *self;
        Summary { moments, minimum, maximum, sum_of_squares: sums[0] }
    }
}

#[inline(always)]
fn sum_powers<S: Simd>(simd: S, values: &[f64], centre: f64) -> Powers {
    let mut low = f64x8::splat(simd, f64::INFINITY);
    let mut high = f64x8::splat(simd, f64::NEG_INFINITY);
    let mut totals = [Compensated::default(); SUMS];
    for block in values.chunks(BLOCK) {
        let mut lanes = [f64x8::splat(simd, 0.0); SUMS];
        let mut rest = [0.0; SUMS];
        let mut eights = block.chunks_exact(8);
        for eight in &mut eights {
            let value = f64x8::from_slice(simd, eight);
            low = low.min(value);
            high = high.max(value);
            let away = value - f64x8::splat(simd, centre);
            let square = away * away;
            lanes[0] = value.mul_add(value, lanes[0]);
            lanes[1] += away;
            lanes[2] += square;
            lanes[3] = square.mul_add(away, lanes[3]);
            lanes[4] = square.mul_add(square, lanes[4]);
        }
        for &value in eights.remainder() {
            low = low.min(f64x8::splat(simd, value));
            high = high.max(f64x8::splat(simd, value));
            let away = value - centre;
            let square = away * away;
            let terms = [value * value, away, square, square * away, square * square];
            for (sum, term) in rest.iter_mut().zip(terms) {
                *sum += term;
            }
        }
        for i in 0..SUMS {
            totals[i].add(fold(lanes[i]) + rest[i]);
        }
    }
    Powers {
        minimum: low.to_array().into_iter().fold(f64::INFINITY, f64::min),
        maximum: high.to_array().into_iter().fold(f64::NEG_INFINITY, f64::max),
        sums: totals.map(Compensated::value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;
    use crate::statistics::moments::sum;

    /// Central moment in compensated sums about the compensated mean.
    fn moment(values: &[f64], power: i32) -> f64 {
        let n = values.len() as f64;
        let first = sum(values.iter().copied()) / n;
        let mean = first + sum(values.iter().map(|value| value - first)) / n;
        sum(values.iter().map(|value| (value - mean).powi(power))) / n
    }

    #[test]
    fn one_pass_has_the_digits_of_compensated_passes() {
        let mut stream = StreamKey::new(3, "summary").stream(0, 0);
        for n in [1, 2, 7, 8, 9, 511, 513, 5000, 20_011] {
            let values: Vec<f64> = (0..n).map(|_| 7.0 + stream.normal().exp()).collect();
            let found = Summary::of(&values).unwrap();
            for (power, central) in [2, 3, 4].into_iter().zip(found.moments.central) {
                let expected = moment(&values, power);
                assert!((central - expected).abs() <= 1e-13 * expected.abs(), "{n}, {power}");
            }
            let squares = sum(values.iter().map(|value| value * value));
            assert!((found.sum_of_squares / squares - 1.0).abs() < 1e-14);
            let minimum = values.iter().copied().fold(f64::INFINITY, f64::min);
            let maximum = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!(found.minimum.to_bits(), minimum.to_bits());
            assert_eq!(found.maximum.to_bits(), maximum.to_bits());
        }
    }

    #[test]
    fn probes_that_mislead_cost_no_digits() {
        // Every probe is 1e6 and hardly any other value is.
        let values: Vec<f64> = (0..10 * PROBES)
            .map(|i| if i % 10 == 0 && i < 10 { 1e6 } else { f64::from(u8::from(i % 3 == 0)) })
            .map(|value| value + 0.25)
            .collect();
        let mut misled = values.clone();
        misled.rotate_left(5);
        for values in [values, misled] {
            let found = Summary::of(&values).unwrap();
            for (power, central) in [2, 3, 4].into_iter().zip(found.moments.central) {
                let expected = moment(&values, power);
                assert!((central / expected - 1.0).abs() < 1e-12, "{power}");
            }
        }
    }

    #[test]
    fn a_value_that_is_not_finite_leaves_nothing_wherever_it_stands() {
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for place in [0, 3, 8, 600, 4095, 4098] {
                let mut values = vec![1.5; 4099];
                values[place] = wrong;
                assert_eq!(Summary::of(&values), None, "{wrong} at {place}");
            }
        }
        assert_eq!(Summary::of(&[]), None);
    }
}
