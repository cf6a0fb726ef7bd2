//! Angles across a slice that a windowed sinc excites and refocuses.
//!
//! The pulse is a sinc of time-bandwidth product 4 under a Hamming window, with the same slice width for
//! excitation and refocusing. Its angles follow from rotations, pulse by short pulse, and are scaled by
//! the transmit field afterwards.
//!
//! # Reference
//!
//! Pauly et al., "Parameter relations for the Shinnar–Le Roux selective excitation pulse design
//! algorithm", IEEE Trans Med Imaging 1991, doi:10.1109/42.75611.

use std::f64::consts::{FRAC_PI_2, PI};

/// Positions from the middle of the slice to one and a half of its half-width.
const N_POSITIONS: usize = 24;
const EXTENT: f64 = 1.5;
const N_STEPS: usize = 256;
const TIME_BANDWIDTH: f64 = 4.0;

/// One position across the slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position {
    /// Nominal refocusing angle there, rad.
    pub(super) refocusing_rad: f64,
    /// Nominal excitation angle there, rad.
    pub(super) excitation_rad: f64,
}

/// Equally wide positions over half the slice, whose middle is refocused by `angle_rad`.
pub(super) fn windowed_sinc(angle_rad: f64) -> Vec<Position> {
    let at = |index: usize| {
        let place = EXTENT * (index as f64 + 0.5) / N_POSITIONS as f64;
        Position {
            refocusing_rad: flip_angle(angle_rad, place),
            excitation_rad: flip_angle(FRAC_PI_2, place),
        }
    };
    (0..N_POSITIONS).map(at).collect()
}

/// Flip angle at `place`, in half-widths of the slice, of a pulse that flips its middle by `angle_rad`.
fn flip_angle(angle_rad: f64, place: f64) -> f64 {
    let time = |step: usize| (step as f64 + 0.5) / N_STEPS as f64 - 0.5;
    let shape = |step: usize| {
        let x = PI * TIME_BANDWIDTH * time(step);
        let sinc = if x.abs() < 1e-12 { 1.0 } else { x.sin() / x };
        sinc * (0.54 + 0.46 * (2.0 * PI * time(step)).cos())
    };
    let area: f64 = (0..N_STEPS).map(shape).sum();
    // Half the angle by which the gradient turns the spins in one step.
    let turn = 0.5 * PI * TIME_BANDWIDTH * place / N_STEPS as f64;
    let mut spin = Spinor { alpha: [1.0, 0.0], beta: [0.0, 0.0] };
    for step in 0..N_STEPS {
        spin = spin.precessed(0.5 * turn).pulsed(0.5 * angle_rad * shape(step) / area);
        spin = spin.precessed(0.5 * turn);
    }
    2.0 * spin.beta[0].hypot(spin.beta[1]).min(1.0).asin()
}

/// Cayley–Klein parameters of a rotation, (real, imaginary).
#[derive(Debug, Clone, Copy)]
struct Spinor {
    alpha: [f64; 2],
    beta: [f64; 2],
}

impl Spinor {
    /// About the field by twice `half_angle`.
    fn precessed(self, half_angle: f64) -> Self {
        let (sine, cosine) = half_angle.sin_cos();
        let turned =
            |[re, im]: [f64; 2], sine: f64| [re * cosine - im * sine, re * sine + im * cosine];
        Self { alpha: turned(self.alpha, -sine), beta: turned(self.beta, sine) }
    }

    /// About the axis of the pulse by twice `half_angle`.
    fn pulsed(self, half_angle: f64) -> Self {
        let (s, c) = half_angle.sin_cos();
        let ([ar, ai], [br, bi]) = (self.alpha, self.beta);
        // β of the pulse is −i·s: α' = c·α − (i·s)·β, β' = c·β − (i·s)·α.
        Self { alpha: [c * ar + s * bi, c * ai - s * br], beta: [c * br + s * ai, c * bi - s * ar] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_flipped_by_the_nominal_angle_and_little_lies_outside() {
        for angle in [FRAC_PI_2, 2.0, PI] {
            assert!((flip_angle(angle, 0.0) - angle).abs() < 1e-6);
            assert!(flip_angle(angle, 2.5) < 0.05 * angle);
        }
        let angles: Vec<f64> = (0..=10).map(|k| flip_angle(PI, 0.1 * f64::from(k))).collect();
        assert!(angles.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn small_angles_are_the_spectrum_of_the_pulse() {
        let angle = 1e-3;
        for place in [0.3, 0.8, 1.2] {
            let (mut sum, mut area) = (0.0, 0.0);
            for step in 0..100_000 {
                let time = (f64::from(step) + 0.5) / 1e5 - 0.5;
                let x = PI * TIME_BANDWIDTH * time;
                let shape = x.sin() / x * (0.54 + 0.46 * (2.0 * PI * time).cos());
                sum += shape * (PI * TIME_BANDWIDTH * place * time).cos();
                area += shape;
            }
            let expected = angle * (sum / area).abs();
            assert!((flip_angle(angle, place) - expected).abs() < 1e-4 * angle, "{place}");
        }
    }
}
