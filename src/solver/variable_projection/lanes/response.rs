//! How the optimum answers to noise around samples that lie on the curve, for many draws of the
//! noise.
//!
//! Let u(δ) = f/|f| be the direction of the curve at the rate R₀ + δ, and samples
//! A·|f|·(u(0) + ε·n) with noise n of unit variance per sample, ε = σ/(A·|f|). The optimum is where
//!
//! ```text
//! u′(δ)·(u(0) + ε·n) = 0,
//! ```
//!
//! a power series in δ whose coefficients are linear in n. In units ω = ε/|u′(0)|, the Cramér–Rao
//! bound of the rate, it reads t·n − x + … = 0 with the unit tangent t: one product with a fixed table
//! per sample and order, no curve and no cancellation, so that 32-bit leaves about 10⁻⁷ of the
//! *distance* from R₀. The table belongs to one fit and serves all its draws.
//!
//! The series is cut after [`DEGREE`]; a draw is settled where what is cut is below 10⁻⁷ of the rate,
//! where Newton's iteration has come to rest, and where the samples are so close to the curve that no
//! other maximum can be higher ([`certificate`](super::certificate)). Every other draw must go through the solver.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036; Knuth, "The art of computer
//! programming", vol. 2, 3rd ed., Addison-Wesley 1997, section 4.7 (powers of power series).

use fearless_simd::{Simd, f32x16, f64x8, mask32x16, prelude::*};

/// Highest power of δ in the condition of the optimum.
pub(super) const DEGREE: usize = 7;
/// Highest power that matters in its integral, which counts by ε² only.
const RISE_DEGREE: usize = 5;
/// Products with the noise per sample: one per coefficient, and that along the curve.
pub(super) const ROWS: usize = DEGREE + 2;
/// Fits that are prepared together.
pub const FITS: usize = 8;
/// Longest last step of Newton's iteration, in Cramér–Rao bounds: what remains is its square, times
/// the curvature of the series.
const STEP_MAX: f32 = 2e-3;
/// Cramér–Rao bounds that the series must hold for to be worth it.
const FARTHEST_MIN: f32 = 1.5;
/// Least slope of the condition against that without noise.
const SLOPE_MIN: f32 = 0.25;

/// One number for each fit.
pub(super) type PerFit<T> = [T; FITS];

/// The tables of up to eight fits. Reused, so that preparing allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct Responses {
    /// `tables[sample][row][fit]`: coefficients of the condition by power, then u(0).
    pub(super) tables: Vec<[PerFit<f32>; ROWS]>,
    /// Coefficients of the condition without noise by power: 0, −1, …
    pub(super) condition: [PerFit<f32>; DEGREE + 1],
    /// Coefficients of what the amplitude is divided by, its exponential factor included, by power.
    pub(super) divisor: [PerFit<f32>; DEGREE + 1],
    /// ε.
    pub(super) noise: PerFit<f32>,
    /// Largest |x| of a settled draw; 0 or NaN where no draw is.
    pub(super) farthest: PerFit<f32>,
    /// Least cos² of the angle between samples and curve, a line in x by its value at 0 and its slope.
    pub(super) nearness: [PerFit<f32>; 2],
    /// R₀, ω and the amplitude; the rate is never 0.
    pub(super) centre: [PerFit<f64>; 3],
    /// Whether the reciprocal of the rate is reported.
    pub(super) reciprocal: bool,
    /// Distances of the abscissae from the smallest one.
    pub(super) distances: Vec<f64>,
}

/// The tables of one fit.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    of: &'a Responses,
    fit: usize,
}

/// Sums over the samples of 16 draws.
#[derive(Clone, Copy)]
pub struct NoiseSums<S: Simd> {
    condition: [f32x16<S>; DEGREE + 1],
    along: f32x16<S>,
    squares: f32x16<S>,
}

/// The estimates of 16 draws.
#[derive(Clone, Copy)]
pub struct Answers<S: Simd> {
    /// The rate, or its reciprocal, of the first and the last eight.
    pub headline: [f64x8<S>; 2],
    /// The amplitude likewise.
    pub amplitude: [f64x8<S>; 2],
    /// Draws whose estimates hold.
    pub settled: mask32x16<S>,
}

impl Responses {
    /// The tables of fit `fit` below 8 of those prepared last.
    pub fn of(&self, fit: usize) -> Response<'_> {
        Response { of: self, fit: fit % FITS }
    }
}

impl Response<'_> {
    /// Whether most draws will be settled.
    pub fn is_usable(&self) -> bool {
        self.of.farthest[self.fit] >= FARTHEST_MIN
    }

    /// Number of samples.
    pub fn n_samples(&self) -> usize {
        self.of.tables.len()
    }

    /// The sample without noise over the SD of its noise.
    #[inline(always)]
    pub fn ratio(&self, sample: usize) -> f32 {
        self.of.tables[sample][DEGREE + 1][self.fit] / self.of.noise[self.fit]
    }

    /// The length of the samples without noise over the SD of the noise of one.
    pub fn signal_to_noise(&self) -> f64 {
        1.0 / f64::from(self.of.noise[self.fit])
    }

    /// Sums over no samples yet.
    #[inline(always)]
    pub fn sums<S: Simd>(&self, simd: S) -> NoiseSums<S> {
        let zero = simd.splat_f32x16(0.0);
        let mut condition = [zero; DEGREE + 1];
        let mut power = 1;
        while power <= DEGREE {
            condition[power] = simd.splat_f32x16(self.of.condition[power][self.fit]);
            power += 1;
        }
        NoiseSums { condition, along: zero, squares: zero }
    }

    /// Adds the `noise` of `sample`, in units of its SD.
    #[inline(always)]
    pub fn add<S: Simd>(&self, sample: usize, noise: f32x16<S>, sums: &mut NoiseSums<S>) {
        let rows = &self.of.tables[sample];
        let mut power = 0;
        while power <= DEGREE {
            sums.condition[power] = noise.mul_add(rows[power][self.fit], sums.condition[power]);
            power += 1;
        }
        sums.along = noise.mul_add(rows[DEGREE + 1][self.fit], sums.along);
        sums.squares = noise.mul_add(noise, sums.squares);
    }

    /// The estimates of draws with these sums over all samples.
    #[inline(always)]
    pub fn answers<S: Simd>(&self, simd: S, sums: &NoiseSums<S>) -> Answers<S> {
        let fit = self.fit;
        let farthest = self.of.farthest[fit];
        let (x, at_rest) = root(simd, &sums.condition, farthest);
        let part = self.part(x, sums);
        let settled = at_rest & x.abs().simd_le(farthest) & self.is_near(simd, x, (part, sums));
        let [rate, unit, amplitude] = self.of.centre.map(|centre| centre[fit]);
        let relative = self.relative_amplitude(simd, x, part);
        let all = |value: f64| simd.splat_f64x8(value);
        let moved = |(low, high): (f64x8<S>, f64x8<S>), unit: f64, centre: f64| {
            [low.mul_add(unit, all(centre)), high.mul_add(unit, all(centre))]
        };
        let mut headline = moved(x.widen(), unit, rate);
        if self.of.reciprocal {
            headline = [all(1.0) / headline[0], all(1.0) / headline[1]];
        }
        Answers { headline, amplitude: moved(relative.widen(), amplitude, amplitude), settled }
    }

    /// The samples' part along u over that at R₀ without noise, − 1. The condition is its slope, whose
    /// integral continues it from R₀ on.
    #[inline(always)]
    fn part<S: Simd>(&self, x: f32x16<S>, sums: &NoiseSums<S>) -> f32x16<S> {
        let mut rise = sums.condition[RISE_DEGREE] * (1.0 / (RISE_DEGREE + 1) as f32);
        let mut power = RISE_DEGREE;
        while power > 0 {
            power -= 1;
            rise = rise.mul_add(x, sums.condition[power] * (1.0 / (power + 1) as f32));
        }
        let noise = self.of.noise[self.fit];
        (rise * x).mul_add(noise, sums.along) * noise
    }

    /// Whether the samples are so close to the curve that no other maximum can be higher.
    #[inline(always)]
    fn is_near<S: Simd>(
        &self,
        simd: S,
        x: f32x16<S>,
        (part, sums): (f32x16<S>, &NoiseSums<S>),
    ) -> mask32x16<S> {
        let fit = self.fit;
        let noise = self.of.noise[fit];
        let one = simd.splat_f32x16(1.0);
        let square = sums.squares.mul_add(noise, sums.along + sums.along).mul_add(noise, one);
        let [offset, gradient] = self.of.nearness.map(|line| line[fit]);
        let whole = part + one;
        let needed = x.mul_add(gradient, simd.splat_f32x16(offset));
        (whole * whole).simd_ge(square * needed) & whole.simd_gt(0.0)
    }

    /// A/A₀ − 1 at `x`.
    #[inline(always)]
    fn relative_amplitude<S: Simd>(&self, simd: S, x: f32x16<S>, part: f32x16<S>) -> f32x16<S> {
        let mut shift = simd.splat_f32x16(self.of.divisor[DEGREE][self.fit]);
        let mut power = DEGREE;
        while power > 1 {
            power -= 1;
            shift = shift.mul_add(x, self.of.divisor[power][self.fit]);
        }
        let shift = shift * x;
        part.mul_add(shift, part + shift)
    }
}

/// The zero of the series nearest to 0, and whether it is one: a quadratic start, a Newton step on
/// the first four powers and one on all, whose slope is taken from the step before and refined.
#[inline(always)]
fn root<S: Simd>(
    simd: S,
    series: &[f32x16<S>; DEGREE + 1],
    farthest: f32,
) -> (f32x16<S>, mask32x16<S>) {
    // 1/(1 − g) for the slope g − 1, to g⁴.
    let flatter = series[1] + 1.0;
    let inverse = (flatter * flatter + 1.0) * (flatter + 1.0);
    let first = series[0] * inverse;
    let x = (first * first * series[2]).mul_add(inverse, first);
    let x = x.max(-farthest).min(farthest);
    let [value, slope] = value_and_slope::<S, 4>(simd, series, x);
    let inverse = simd.splat_f32x16(-1.0) / slope.min(-SLOPE_MIN);
    let x = value.mul_add(inverse, x);
    let [value, slope] = value_and_slope::<S, DEGREE>(simd, series, x);
    let inverse = inverse * inverse.mul_add(slope, simd.splat_f32x16(2.0));
    let step = value * inverse;
    let at_rest = step.abs().simd_le(STEP_MAX) & slope.simd_le(-SLOPE_MIN);
    (x + step, at_rest)
}

/// The series up to the power `N`, and its derivative.
#[inline(always)]
fn value_and_slope<S: Simd, const N: usize>(
    simd: S,
    series: &[f32x16<S>; DEGREE + 1],
    x: f32x16<S>,
) -> [f32x16<S>; 2] {
    let (mut value, mut slope) = (series[N], simd.splat_f32x16(0.0));
    let mut power = N;
    while power > 0 {
        power -= 1;
        slope = slope.mul_add(x, value);
        value = value.mul_add(x, series[power]);
    }
    [value, slope]
}
