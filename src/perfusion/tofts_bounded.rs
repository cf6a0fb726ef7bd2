//! Exchange of one voxel inside all bounds: Ktrans ≥ 0, ve ≤ 1 and vp ≥ 0.
//!
//! For each rate the best amplitudes inside the bounds are known in closed form, and the sum of
//! squares they explain is a function of x with a continuous slope. Its best place of 33 is refined
//! by bisection of the slope, shortened by secants.

use super::rate_series::{Family, N_PLACES, RateSeries, log_rate, log_rate_slope};

const REACH: f64 = 2.0 / (N_PLACES - 1) as f64;

/// The best fit inside the bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BoundedFit {
    pub(super) x: f64,
    pub(super) rate_per_s: f64,
    pub(super) ktrans_per_s: f64,
    pub(super) vp: f64,
    /// Explained sum of squares and its slope by x.
    explained: f64,
    slope: f64,
    /// Whether Ktrans is held at the rate: ve = 1.
    pub(super) is_full: bool,
}

/// One curve against all rates.
struct Projected<'a> {
    series: &'a RateSeries,
    /// p·y.
    along_plasma: f64,
    /// Terms of F and of F′, for each form.
    plain: [Vec<f64>; 2],
    perpendicular: Option<[Vec<f64>; 2]>,
}

/// The best fit to `curve`, shape `[n_frames]` of the frames in use.
pub(super) fn bounded_fit(series: &RateSeries, curve: &[f64]) -> BoundedFit {
    let projected = Projected::new(series, curve);
    let mut best = projected.at(series.places[0].x);
    for place in &series.places[1..] {
        let here = projected.at(place.x);
        if here.explained > best.explained {
            best = here;
        }
    }
    projected.refine(best)
}

fn terms(series: &RateSeries, family: &Family, curve: &[f64]) -> [Vec<f64>; 2] {
    let mut terms = vec![0.0; series.n_terms];
    for (row, value) in family.curves.chunks_exact(series.n_terms).zip(curve) {
        for (term, c) in terms.iter_mut().zip(row) {
            *term += c * value;
        }
    }
    let slopes = super::rate_series::Series(terms.clone()).derivative().0;
    [terms, slopes]
}

/// Σ term·T(x).
fn sum(terms: &[f64], x: f64) -> f64 {
    let (mut one, mut two) = (0.0, 0.0);
    for &term in terms.iter().skip(1).rev() {
        (one, two) = (2.0 * x * one - two + term, one);
    }
    x * one - two + terms[0]
}

impl<'a> Projected<'a> {
    fn new(series: &'a RateSeries, curve: &[f64]) -> Self {
        Self {
            series,
            along_plasma: series.plasma.iter().zip(curve).map(|(p, y)| p * y).sum(),
            plain: terms(series, &series.plain, curve),
            perpendicular: series.perpendicular.as_ref().map(|f| terms(series, f, curve)),
        }
    }

    /// The best amplitudes at `x`.
    fn at(&self, x: f64) -> BoundedFit {
        if let (Some(family), Some(terms)) = (&self.series.perpendicular, &self.perpendicular) {
            let fit = held(x, family, terms);
            let norm_plasma = family.plasma.at(x) * family.log_norm.at(x).exp();
            let vp =
                (self.along_plasma - fit.ktrans_per_s * norm_plasma) / self.series.squared_plasma;
            if vp >= 0.0 {
                let along = self.along_plasma * self.along_plasma / self.series.squared_plasma;
                return BoundedFit { vp, explained: fit.explained + along, ..fit };
            }
        }
        held(x, &self.series.plain, &self.plain)
    }

    /// The place where the slope is 0, between the neighbours of `best`.
    fn refine(&self, best: BoundedFit) -> BoundedFit {
        let [mut low, mut high] =
            [(best.x - REACH).max(-1.0), (best.x + REACH).min(1.0)].map(|x| self.at(x));
        let mut best = best;
        for step in 0..60 {
            let width = high.x - low.x;
            if width < 1e-13 || !(low.slope > 0.0 && high.slope < 0.0) {
                break;
            }
            let secant = low.x + width * low.slope / (low.slope - high.slope);
            let middle = 0.5 * (low.x + high.x);
            let here = self.at(if step % 3 == 2 { middle } else { secant });
            if here.slope > 0.0 {
                low = here;
            } else {
                high = here;
            }
            best = here;
        }
        [low, high, best]
            .into_iter()
            .fold(best, |a, b| if b.explained > a.explained { b } else { a })
    }
}

/// The best Ktrans in 0–rate without plasma, or beside it.
fn held(x: f64, family: &Family, [terms, slopes]: &[Vec<f64>; 2]) -> BoundedFit {
    let rate_per_s = log_rate(x).exp();
    let norm = family.log_norm.at(x).exp();
    let (amplitude, slope) = (sum(terms, x), sum(slopes, x));
    let full = rate_per_s * norm;
    let fit = BoundedFit {
        x,
        rate_per_s,
        ktrans_per_s: (amplitude / norm).max(0.0),
        vp: 0.0,
        explained: amplitude * amplitude,
        slope: 2.0 * amplitude * slope,
        is_full: false,
    };
    if amplitude <= 0.0 {
        return BoundedFit { explained: 0.0, slope: 0.0, ..fit };
    }
    if amplitude < full {
        return fit;
    }
    let full_slope = full * (log_rate_slope() + family.log_norm_slope.at(x));
    BoundedFit {
        ktrans_per_s: rate_per_s,
        explained: full * (2.0 * amplitude - full),
        slope: 2.0 * (full_slope * amplitude + full * slope - full * full_slope),
        is_full: true,
        ..fit
    }
}
