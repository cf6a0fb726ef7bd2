//! Echoes of a spin-echo train with stimulated echoes, by extended phase graphs.
//!
//! Between refocusing pulses the magnetisation stands in configurations that the gradients dephase
//! (F+), rephase (F−) or leave stored along the field (Z). The train meets the conditions of Carr,
//! Purcell, Meiboom and Gill, so that all of them are real. What recovers along the field during the
//! train never is in phase at an echo and is left out.
//!
//! A configuration loses q = e^(−ESP/T2) per echo spacing in which it is transverse and e^(−ESP/T1) in
//! which it is stored. So echo k is a polynomial of degree k in q whose coefficients depend on the
//! refocusing angle alone. They are expanded once per protocol in Chebyshev polynomials of the transmit
//! field B1, piece by piece of its range, averaged over the slice, to the rounding of 64-bit: an evaluation costs the same with and
//! without a slice profile.
//!
//! # Reference
//!
//! Weigel, "Extended phase graphs: dephasing, RF pulses, and echoes – pure and simple", J Magn Reson
//! Imaging 2015, doi:10.1002/jmri.24619. Lebel and Wilman, "Transverse relaxometry with stimulated echo
//! compensation", Magn Reson Med 2010, doi:10.1002/mrm.22487.

use std::f64::consts::{FRAC_PI_2, PI};

use super::slice_profile;
use crate::acquisition::{Refocusing, SliceProfile};

/// Longest train: its coefficients are kept on the stack.
pub(super) const ECHOES_MAX: usize = 32;
const COEFFICIENTS_MAX: usize = ECHOES_MAX * (ECHOES_MAX + 1) / 2;
/// A coefficient of the expansion below this part of the largest is rounding.
const NEGLIGIBLE: f64 = 3e-17;

/// Trains of up to eight echoes clear less of the stack.
const SHORT_MAX: usize = 36;
/// Parts of the range of B1, each with an expansion of its own: few orders are enough in each.
const N_PANELS: usize = 8;

/// The echoes of one train over q and B1.
#[derive(Debug, Clone)]
pub(super) struct EchoTrain {
    n_echoes: usize,
    range: [f64; 2],
    /// Expansion of every coefficient over each part of the range, `[order, n_echoes · (n_echoes + 1)
    /// / 2]`.
    panels: Vec<Vec<f64>>,
    /// B1 about which the echoes are even, where there is one: their slope by B1 is 0 there.
    even_about: Option<f64>,
}

/// Number of coefficients of all polynomials in q; those of echo k start at place k·(k + 1)/2.
fn n_coefficients(n_echoes: usize) -> usize {
    n_echoes * (n_echoes + 1) / 2
}

impl EchoTrain {
    /// `n_echoes` (at most 32) refocused by `refocusing`, with `stored` = e^(−ESP/T1), for B1 inside
    /// `range`.
    pub(super) fn new(
        n_echoes: usize,
        refocusing: &Refocusing,
        stored: f64,
        range: [f64; 2],
    ) -> Self {
        let n_echoes = n_echoes.min(ECHOES_MAX);
        let slice = Slice::new(refocusing);
        let even_about = (refocusing.slice_profile() == SliceProfile::Rectangular)
            .then(|| PI / refocusing.angle_rad());
        let mut train = Self { n_echoes, range, panels: Vec::new(), even_about };
        for panel in 0..N_PANELS {
            let part = train.part(panel);
            train.panels.push(expansion(&slice, stored, n_echoes, part));
        }
        train
    }

    fn part(&self, panel: usize) -> [f64; 2] {
        let width = (self.range[1] - self.range[0]) / N_PANELS as f64;
        [0, 1].map(|end| self.range[0] + (panel + end) as f64 * width)
    }

    /// The expansion at `b1`, its variable from −1 to 1, and half the width of its part.
    fn panel(&self, b1: f64) -> (&[f64], f64, f64) {
        let place = (b1 - self.range[0]) / (self.range[1] - self.range[0]);
        let panel = ((place * N_PANELS as f64) as usize).min(N_PANELS - 1);
        let [middle, half] = middle_and_half(self.part(panel));
        (&self.panels[panel], (b1 - middle) / half, half)
    }

    /// Writes echo `k` of unit magnetisation at `q` and `b1` into `echoes[k]`.
    pub(super) fn echoes(&self, q: f64, b1: f64, echoes: &mut [f64]) {
        if n_coefficients(self.n_echoes) <= SHORT_MAX {
            self.echoes_within::<SHORT_MAX>(q, b1, echoes);
        } else {
            self.echoes_within::<COEFFICIENTS_MAX>(q, b1, echoes);
        }
    }

    /// Writes echo, slope by q and slope by B1 of echo `k` into `rows[k]`.
    pub(super) fn slopes(&self, q: f64, b1: f64, rows: &mut [[f64; 3]]) {
        if n_coefficients(self.n_echoes) <= SHORT_MAX {
            self.slopes_within::<SHORT_MAX>(q, b1, rows);
        } else {
            self.slopes_within::<COEFFICIENTS_MAX>(q, b1, rows);
        }
    }

    fn echoes_within<const N: usize>(&self, q: f64, b1: f64, echoes: &mut [f64]) {
        let width = n_coefficients(self.n_echoes);
        let mut coefficients = [0.0; N];
        let (expansion, x, _) = self.panel(b1);
        let (mut last, mut next) = (1.0, x);
        for row in expansion.chunks_exact(width) {
            for (sum, value) in coefficients[..width].iter_mut().zip(row) {
                *sum += last * value;
            }
            (last, next) = (next, 2.0 * x * next - last);
        }
        for (k, echo) in echoes.iter_mut().enumerate().take(self.n_echoes) {
            *echo = q * horner(powers(&coefficients, k), q)[0];
        }
    }

    fn slopes_within<const N: usize>(&self, q: f64, b1: f64, rows: &mut [[f64; 3]]) {
        let width = n_coefficients(self.n_echoes);
        let (mut coefficients, mut by_field) = ([0.0; N], [0.0; N]);
        let (expansion, x, half) = self.panel(b1);
        // Of the first kind, and of the second: T'(n) = n·U(n − 1).
        let (mut last, mut next) = (1.0, x);
        let (mut before, mut second) = (0.0, 1.0);
        for (order, row) in expansion.chunks_exact(width).enumerate() {
            let slope = order as f64 * before / half;
            let sums = coefficients[..width].iter_mut().zip(&mut by_field[..width]);
            for ((sum, change), value) in sums.zip(row) {
                *sum += last * value;
                *change += slope * value;
            }
            (last, next) = (next, 2.0 * x * next - last);
            (before, second) = (second, 2.0 * x * second - before);
        }
        let is_flat = self.even_about.is_some_and(|centre| (b1 - centre).abs() <= 1e-12 * centre);
        for (k, row) in rows.iter_mut().enumerate().take(self.n_echoes) {
            let [value, by_q] = horner(powers(&coefficients, k), q);
            let change = q * horner(powers(&by_field, k), q)[0];
            *row = [q * value, value + q * by_q, if is_flat { 0.0 } else { change }];
        }
    }
}

/// Chebyshev expansion of all coefficients for B1 inside `range`, without what is rounding.
fn expansion(slice: &Slice, stored: f64, n_echoes: usize, range: [f64; 2]) -> Vec<f64> {
    let width = n_coefficients(n_echoes).max(1);
    let n_nodes = 20 + n_echoes;
    let angle = |node: usize| PI * (node as f64 + 0.5) / n_nodes as f64;
    let [middle, half] = middle_and_half(range);
    let values: Vec<Vec<f64>> = (0..n_nodes)
        .map(|node| slice.coefficients(middle + half * angle(node).cos(), stored, n_echoes))
        .collect();
    let mut expansion = Vec::new();
    for order in 0..n_nodes {
        let share = if order == 0 { 1.0 } else { 2.0 } / n_nodes as f64;
        let mut sums = vec![0.0; width];
        for (node, values) in values.iter().enumerate() {
            let weight = share * (order as f64 * angle(node)).cos();
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
        expansion.extend(sums);
    }
    let largest = expansion.iter().fold(0.0_f64, |most, value: &f64| most.max(value.abs()));
    let matters = |row: &[f64]| row.iter().any(|v| v.abs() > NEGLIGIBLE * largest);
    let used = expansion.chunks_exact(width).rposition(matters).map_or(1, |last| last + 1);
    expansion.truncate(used * width);
    expansion
}

fn middle_and_half([low, high]: [f64; 2]) -> [f64; 2] {
    [f64::midpoint(low, high), 0.5 * (high - low)]
}

/// The polynomial of echo `k`, the constant first.
fn powers(coefficients: &[f64], k: usize) -> &[f64] {
    let first = n_coefficients(k);
    &coefficients[first..=first + k]
}

/// Polynomial and its derivative.
fn horner(coefficients: &[f64], x: f64) -> [f64; 2] {
    coefficients.iter().rev().fold([0.0, 0.0], |[value, slope], &coefficient| {
        [value * x + coefficient, slope * x + value]
    })
}

/// Refocusing and excitation angles at positions across the slice.
struct Slice {
    /// Nominal angles (rad) and the width that each position stands for.
    positions: Vec<slice_profile::Position>,
}

impl Slice {
    fn new(refocusing: &Refocusing) -> Self {
        let angle_rad = refocusing.angle_rad();
        let positions = match refocusing.slice_profile() {
            SliceProfile::Rectangular => vec![slice_profile::Position {
                refocusing_rad: angle_rad,
                excitation_rad: FRAC_PI_2,
            }],
            SliceProfile::WindowedSinc => slice_profile::windowed_sinc(angle_rad),
        };
        Self { positions }
    }

    /// Coefficients averaged over the slice, weighted by the magnetisation that was excited.
    fn coefficients(&self, b1: f64, stored: f64, n_echoes: usize) -> Vec<f64> {
        let mut sums = vec![0.0; n_coefficients(n_echoes)];
        let mut total = 0.0;
        for position in &self.positions {
            let weight = (b1 * position.excitation_rad).sin();
            let mut graph = PhaseGraph::new(b1 * position.refocusing_rad, stored, n_echoes);
            for k in 0..n_echoes {
                let first = n_coefficients(k);
                for (sum, value) in sums[first..=first + k].iter_mut().zip(graph.next_echo()) {
                    *sum += weight * value;
                }
            }
            total += weight;
        }
        for sum in &mut sums {
            *sum /= total;
        }
        sums
    }
}

/// Configurations just before a pulse: polynomials in q, `[order, power]`, the orders 1, 3, 5, … in
/// units of half an echo spacing.
struct PhaseGraph {
    n: usize,
    dephasing: Vec<f64>,
    rephasing: Vec<f64>,
    stored: Vec<f64>,
    loss_of_stored: f64,
    /// cos²(β/2), sin²(β/2), sin β, cos β.
    pulse: [f64; 4],
}

impl PhaseGraph {
    fn new(angle_rad: f64, loss_of_stored: f64, n: usize) -> Self {
        let (half_sine, half_cosine) = (0.5 * angle_rad).sin_cos();
        let (sine, cosine) = angle_rad.sin_cos();
        let mut dephasing = vec![0.0; n * n];
        dephasing[0] = 1.0;
        Self {
            n,
            dephasing,
            rephasing: vec![0.0; n * n],
            stored: vec![0.0; n * n],
            loss_of_stored,
            pulse: [half_cosine * half_cosine, half_sine * half_sine, sine, cosine],
        }
    }

    /// Plays a pulse and the spacing behind it; the coefficients of its echo over q.
    fn next_echo(&mut self) -> Vec<f64> {
        let n = self.n;
        let [same, turned, sine, cosine] = self.pulse;
        for place in 0..n * n {
            let (up, down, z) = (self.dephasing[place], self.rephasing[place], self.stored[place]);
            self.dephasing[place] = same * up + turned * down + sine * z;
            self.rephasing[place] = turned * up + same * down - sine * z;
            self.stored[place] = (0.5 * sine * (down - up) + cosine * z) * self.loss_of_stored;
        }
        let echo = self.rephasing[..n].to_vec();
        // Dephasing moves up by one order, rephasing down, and one more power of q is lost.
        for order in (0..n).rev() {
            for power in (0..n).rev() {
                let from = if order == 0 { &self.rephasing[..] } else { &self.dephasing };
                let source = order.saturating_sub(1) * n + power.saturating_sub(1);
                let moved = if power == 0 { 0.0 } else { from[source] };
                self.dephasing[order * n + power] = moved;
            }
        }
        for order in 0..n {
            for power in (0..n).rev() {
                let is_kept = power > 0 && order + 1 < n;
                self.rephasing[order * n + power] =
                    if is_kept { self.rephasing[(order + 1) * n + power - 1] } else { 0.0 };
            }
        }
        echo
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same graph with numbers instead of polynomials, in steps of half an echo spacing, with
    /// the recovery along the field.
    fn stepped(n: usize, angle_rad: f64, [e1, e2]: [f64; 2]) -> Vec<f64> {
        let size = 2 * n + 3;
        let (mut up, mut down, mut z) = (vec![0.0; size], vec![0.0; size], vec![0.0; size]);
        up[0] = 1.0;
        let half = |up: &mut Vec<f64>, down: &mut Vec<f64>, z: &mut Vec<f64>| {
            for transverse in up.iter_mut().chain(down.iter_mut()) {
                *transverse *= e2;
            }
            for stored in z.iter_mut() {
                *stored *= e1;
            }
            let in_phase = down[1];
            up.rotate_right(1);
            down.rotate_left(1);
            *down.last_mut().unwrap() = 0.0;
            (up[0], down[0]) = (in_phase, in_phase);
        };
        let (half_sine, half_cosine) = (0.5 * angle_rad).sin_cos();
        let (sine, cosine) = angle_rad.sin_cos();
        let mut echoes = Vec::new();
        for _ in 0..n {
            half(&mut up, &mut down, &mut z);
            for m in 1..size {
                let (a, b, c) = (up[m], down[m], z[m]);
                up[m] = half_cosine.powi(2) * a + half_sine.powi(2) * b + sine * c;
                down[m] = half_sine.powi(2) * a + half_cosine.powi(2) * b - sine * c;
                z[m] = 0.5 * sine * (b - a) + cosine * c;
            }
            half(&mut up, &mut down, &mut z);
            echoes.push(up[0]);
        }
        echoes
    }

    fn rectangular(degrees: f64) -> Refocusing {
        Refocusing::new(degrees.to_radians(), SliceProfile::Rectangular).unwrap()
    }

    #[test]
    fn the_first_two_echoes_are_those_of_the_closed_form() {
        let (q, stored) = ((-10.0_f64 / 40.0).exp(), (-10.0_f64 / 1200.0).exp());
        let train = EchoTrain::new(6, &rectangular(180.0), stored, [0.4, 1.0]);
        for degrees in [80.0, 120.0, 140.0, 160.0, 180.0_f64] {
            let mut echoes = [0.0; 6];
            train.echoes(q, degrees / 180.0, &mut echoes);
            let beta = degrees.to_radians();
            let turned = (0.5 * beta).sin().powi(2);
            let second = turned * turned * q * q + 0.5 * beta.sin().powi(2) * q * stored;
            // Rounding of a sum of some forty terms.
            assert!((echoes[0] - turned * q).abs() < 4e-15);
            assert!((echoes[1] - second).abs() < 4e-15);
        }
    }

    #[test]
    fn long_trains_agree_with_numbers_carried_step_by_step() {
        for n in [1, 6, 32] {
            for (t2, degrees) in [(8.0, 90.0), (40.0, 130.0), (300.0, 172.0), (2000.0, 180.0)] {
                let half = [(-5.0_f64 / 1200.0).exp(), (-5.0_f64 / t2).exp()];
                let expected = stepped(n, f64::to_radians(degrees), half);
                let train = EchoTrain::new(n, &rectangular(180.0), half[0].powi(2), [0.4, 1.0]);
                let mut echoes = vec![0.0; n];
                train.echoes(half[1].powi(2), degrees / 180.0, &mut echoes);
                for (echo, expected) in echoes.iter().zip(&expected) {
                    // The sum of polynomials cancels a few digits in trains of 32.
                    assert!((echo - expected).abs() < 1e-12, "{n} {t2} {degrees}");
                }
            }
        }
    }

    #[test]
    fn slopes_match_central_differences() {
        for profile in [SliceProfile::Rectangular, SliceProfile::WindowedSinc] {
            let refocusing = Refocusing::new(PI, profile).unwrap();
            let train = EchoTrain::new(8, &refocusing, 0.99, [0.4, 1.0]);
            let at = |q: f64, b1: f64| {
                let mut echoes = [0.0; 8];
                train.echoes(q, b1, &mut echoes);
                echoes
            };
            for (q, b1) in [(0.8, 0.7), (0.3, 0.95), (0.98, 0.5)] {
                let mut rows = [[0.0; 3]; 8];
                train.slopes(q, b1, &mut rows);
                let here = at(q, b1);
                let [up, down] = [at(q + 1e-5, b1), at(q - 1e-5, b1)];
                let [more, less] = [at(q, b1 + 1e-5), at(q, b1 - 1e-5)];
                for k in 0..8 {
                    assert!((rows[k][0] - here[k]).abs() < 1e-15);
                    // Truncation 1e-10 times a third derivative of up to 8³.
                    assert!(((up[k] - down[k]) / 2e-5 - rows[k][1]).abs() < 1e-7);
                    assert!(((more[k] - less[k]) / 2e-5 - rows[k][2]).abs() < 1e-7);
                }
            }
        }
    }

    #[test]
    fn echoes_do_not_tell_an_angle_from_its_complement() {
        let train = EchoTrain::new(6, &rectangular(180.0), 0.99, [0.4, 1.6]);
        let (mut below, mut above) = ([0.0; 6], [0.0; 6]);
        train.echoes(0.8, 0.8, &mut below);
        train.echoes(0.8, 1.2, &mut above);
        for (a, b) in below.iter().zip(&above) {
            assert!((a - b).abs() < 1e-14);
        }
        let mut rows = [[0.0; 3]; 6];
        train.slopes(0.8, 1.0, &mut rows);
        assert!(rows.iter().all(|row| row[2].abs() <= 0.0));
    }
}
