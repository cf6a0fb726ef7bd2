//! Exchange curves of all rates as series of Chebyshev polynomials.
//!
//! The curve u(kep) of an exchange rate is a smooth function of s = ln kep. Normalised,
//! û = u/|u|, it is a short series Σ c·T(x) in x, s scaled to −1–1, whatever the plasma curve looks
//! like and however finely it is sampled. So is the projection of any tissue curve on it,
//!
//! ```text
//! F(x) = y·û(x),    max over Ktrans of the explained sum of squares = F²,    Ktrans = F/|u|
//! ```
//!
//! and a fit is a search for the maximum of one series. With a plasma volume, u is first made
//! perpendicular to the plasma curve.
//!
//! # Reference
//!
//! Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
//! whose variables separate", SIAM J Numer Anal 1973, doi:10.1137/0710036 (projection). Trefethen,
//! "Approximation Theory and Approximation Practice", SIAM 2019, doi:10.1137/1.9781611975949 (series).

use std::f64::consts::PI;

use crate::error::{Error, Result};
use crate::model::PlasmaConvolution;

/// Rates that are searched, 1/s: 0.01–20 per minute.
pub(super) const RATES_PER_S: [f64; 2] = [0.01 / 60.0, 20.0 / 60.0];

/// Nodes that series are made from; the longest series.
const N_NODES: usize = 128;

/// Terms below it, as a fraction of the largest, are left out.
const TOLERANCE: f64 = 2e-12;

/// The same for standard errors and for the first look.
const SHORT_TOLERANCE: f64 = 1e-5;

/// Terms come in blocks of it.
pub(super) const TERM_BLOCK: usize = 8;

/// Places of the first look, in blocks.
pub(super) const PLACE_BLOCK: usize = 11;
pub(super) const N_PLACES: usize = 3 * PLACE_BLOCK;

/// ln kep of x.
pub(super) fn log_rate(x: f64) -> f64 {
    let [low, high] = RATES_PER_S.map(f64::ln);
    0.5 * (low + high) + 0.5 * (high - low) * x
}

/// ∂ ln kep/∂x.
pub(super) fn log_rate_slope() -> f64 {
    0.5 * (RATES_PER_S[1] / RATES_PER_S[0]).ln()
}

/// Σ c·T(x).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series(pub(super) Vec<f64>);

impl Series {
    /// Value at `x`, by Clenshaw's recurrence.
    pub(super) fn at(&self, x: f64) -> f64 {
        let (mut one, mut two) = (0.0, 0.0);
        for &term in self.0.iter().skip(1).rev() {
            (one, two) = (2.0 * x * one - two + term, one);
        }
        x * one - two + self.0[0]
    }

    fn term(&self, m: usize) -> f64 {
        self.0.get(m).copied().unwrap_or(0.0)
    }

    /// ∂/∂x.
    pub(super) fn derivative(&self) -> Self {
        let mut slopes = vec![0.0; self.0.len() + 2];
        for m in (1..self.0.len()).rev() {
            slopes[m - 1] = slopes[m + 1] + 2.0 * m as f64 * self.0[m];
        }
        slopes[0] *= 0.5;
        slopes.truncate((self.0.len() - 1).max(1));
        Self(slopes)
    }
}

fn node(index: usize) -> f64 {
    (PI * (index as f64 + 0.5) / N_NODES as f64).cos()
}

/// Coefficients of the polynomials through the values at the nodes.
struct Transform {
    /// A whole turn of cosines, four steps to the distance of two nodes.
    cosines: Vec<f64>,
}

impl Transform {
    fn new() -> Self {
        let cosine = |j: usize| (PI * j as f64 / (2 * N_NODES) as f64).cos();
        Self { cosines: (0..4 * N_NODES).map(cosine).collect() }
    }

    fn of(&self, values: &[f64]) -> Vec<f64> {
        let cosine = |m: usize, k: usize| self.cosines[m * (2 * k + 1) % (4 * N_NODES)];
        (0..N_NODES)
            .map(|m| {
                let sum: f64 = values.iter().enumerate().map(|(k, v)| v * cosine(m, k)).sum();
                sum * if m == 0 { 1.0 } else { 2.0 } / N_NODES as f64
            })
            .collect()
    }

    /// The same, as long as the tolerance asks for.
    fn series(&self, values: &[f64], tolerance: f64) -> Series {
        let mut terms = self.of(values);
        let largest = terms.iter().fold(0.0_f64, |largest, term| largest.max(term.abs()));
        let n = terms.iter().rposition(|term| term.abs() > tolerance * largest);
        terms.truncate(n.map_or(1, |last| last + 1));
        Series(terms)
    }
}

/// How curves are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As they are.
    Plain,
    /// Without their part along the plasma curve.
    Perpendicular,
}

/// The curves of all rates in one form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    /// û, shape `[n_frames, n_terms]`.
    pub(super) curves: Vec<f64>,
    /// ∂û/∂x, shape `[n_frames, n_short]`.
    pub(super) slopes: Vec<f64>,
    /// ln |u|.
    pub(super) log_norm: Series,
    pub(super) log_norm_slope: Series,
    /// u·plasma/|u| with u before it was made perpendicular.
    pub(super) plasma: Series,
    pub(super) plasma_slope: Series,
    /// |∂û/∂x|².
    pub(super) squared_slope: Series,
}

/// Series of full length.
struct Frames {
    family: Family,
    curves: Vec<Series>,
    slopes: Vec<Series>,
}

impl Frames {
    /// From curves at the nodes, shape `[N_NODES][n_frames]`.
    fn new(mut curves: Vec<Vec<f64>>, plasma: &[f64], form: Form) -> Self {
        let transform = Transform::new();
        let squared_plasma = dot(plasma, plasma);
        let (mut log_norms, mut overlaps) = (Vec::new(), Vec::new());
        for curve in &mut curves {
            let overlap = dot(curve, plasma);
            if form == Form::Perpendicular {
                for (value, p) in curve.iter_mut().zip(plasma) {
                    *value -= p * overlap / squared_plasma;
                }
            }
            let norm = dot(curve, curve).sqrt();
            for value in curve.iter_mut() {
                *value /= norm;
            }
            log_norms.push(norm.ln());
            overlaps.push(overlap / norm);
        }
        let of_frame = |frame: usize| curves.iter().map(|curve| curve[frame]).collect::<Vec<_>>();
        let frames: Vec<Series> =
            (0..plasma.len()).map(|frame| Series(transform.of(&of_frame(frame)))).collect();
        let slopes: Vec<Series> = frames.iter().map(Series::derivative).collect();
        let squared_slope: Vec<f64> = (0..N_NODES)
            .map(|k| slopes.iter().map(|slope| slope.at(node(k)).powi(2)).sum())
            .collect();
        let log_norm = transform.series(&log_norms, TOLERANCE);
        let plasma = transform.series(&overlaps, TOLERANCE);
        let family = Family {
            curves: Vec::new(),
            slopes: Vec::new(),
            log_norm_slope: log_norm.derivative(),
            log_norm,
            plasma_slope: plasma.derivative(),
            plasma,
            squared_slope: transform.series(&squared_slope, 1e-9),
        };
        Self { family, curves: frames, slopes }
    }

    /// Terms that leave out less than `tolerance`, in whole blocks.
    fn n_terms(&self, tolerance: f64) -> usize {
        let is_needed = |m: &usize| self.curves.iter().any(|c| c.0[*m].abs() > tolerance);
        let needed = (1..N_NODES).rev().find(is_needed).map_or(2, |last| last + 1);
        needed.next_multiple_of(TERM_BLOCK)
    }

    fn cut(self, n_terms: usize, n_short: usize) -> Family {
        let cut = |all: &[Series], n: usize| -> Vec<f64> {
            all.iter().flat_map(|series| (0..n).map(|m| series.term(m))).collect()
        };
        Family {
            curves: cut(&self.curves, n_terms),
            slopes: cut(&self.slopes, n_short),
            ..self.family
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// One place of the first look, with what all voxels share there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) rate_per_s: f64,
    /// |u| perpendicular to plasma, and as it is.
    pub(super) norms: [f64; 2],
    /// u·plasma and plasma·plasma.
    pub(super) overlap: f64,
    pub(super) squared_plasma: f64,
}

/// Everything about the plasma curve on the frames that see it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RateSeries {
    /// The first frame that sees agent; all later ones are used.
    pub(super) first_frame: usize,
    /// Plasma at the frames in use, mM.
    pub(super) plasma: Vec<f64>,
    pub(super) squared_plasma: f64,
    /// As they are, and perpendicular to plasma where a plasma volume is estimated.
    pub(super) plain: Family,
    pub(super) perpendicular: Option<Family>,
    pub(super) places: Vec<Place>,
    /// Polynomials at the places, shape `[n_short, N_PLACES]`.
    pub(super) polynomials: Vec<f64>,
    /// Terms of both forms.
    pub(super) n_terms: usize,
    pub(super) n_short: usize,
}

impl RateSeries {
    /// For the frames of `convolution` and 2 parameters, or 3 with a plasma volume.
    ///
    /// # Errors
    ///
    /// `Value` at `frame_times_s` when too few frames see agent for the parameters.
    pub(super) fn new(convolution: &PlasmaConvolution, n_parameters: usize) -> Result<Self> {
        let n_frames = convolution.n_frames();
        let mut all = vec![vec![0.0; n_frames]; N_NODES];
        for (index, curve) in all.iter_mut().enumerate() {
            let rate = log_rate(node(index)).exp();
            convolution.for_each_frame(rate, |frame, value, _| curve[frame] = value);
        }
        let plasma = convolution.plasma_mmol_per_l();
        let sees = |frame: &usize| plasma[*frame].abs() > 0.0 || all[0][*frame].abs() > 0.0;
        let first_frame = (0..n_frames).find(sees).unwrap_or(n_frames);
        if n_frames - first_frame <= n_parameters {
            return Err(Error::value(format!(
                "{} frames see agent, more than {n_parameters} are needed",
                n_frames - first_frame
            ))
            .at_field("frame_times_s"));
        }
        for curve in &mut all {
            curve.drain(..first_frame);
        }
        Ok(Self::of_curves(all, &plasma[first_frame..], n_parameters, first_frame))
    }

    fn of_curves(
        curves: Vec<Vec<f64>>,
        plasma: &[f64],
        n_parameters: usize,
        first_frame: usize,
    ) -> Self {
        let perpendicular =
            (n_parameters == 3).then(|| Frames::new(curves.clone(), plasma, Form::Perpendicular));
        let plain = Frames::new(curves, plasma, Form::Plain);
        let longest = |tolerance: f64| {
            let other = perpendicular.as_ref().map_or(0, |frames| frames.n_terms(tolerance));
            other.max(plain.n_terms(tolerance))
        };
        let (n_terms, n_short) = (longest(TOLERANCE), longest(SHORT_TOLERANCE));
        let perpendicular = perpendicular.map(|frames| frames.cut(n_terms, n_short));
        let plain = plain.cut(n_terms, n_short);
        let mut places: Vec<Place> =
            (0..N_PLACES).map(|index| place(index, &plain, perpendicular.as_ref())).collect();
        for place in &mut places {
            place.squared_plasma = dot(plasma, plasma);
        }
        let mut polynomials = Vec::with_capacity(n_short * N_PLACES);
        for m in 0..n_short {
            polynomials.extend(places.iter().map(|place| (m as f64 * place.x.acos()).cos()));
        }
        Self {
            first_frame,
            squared_plasma: dot(plasma, plasma),
            plasma: plasma.to_vec(),
            plain,
            perpendicular,
            places,
            polynomials,
            n_terms,
            n_short,
        }
    }

    /// Number of frames in use.
    pub(super) fn n_frames(&self) -> usize {
        self.plasma.len()
    }
}

fn place(index: usize, plain: &Family, perpendicular: Option<&Family>) -> Place {
    let x = -1.0 + 2.0 * index as f64 / (N_PLACES - 1) as f64;
    let norm = plain.log_norm.at(x).exp();
    Place {
        x,
        rate_per_s: log_rate(x).exp(),
        norms: [perpendicular.map_or(norm, |family| family.log_norm.at(x).exp()), norm],
        overlap: plain.plasma.at(x) * norm,
        squared_plasma: 0.0,
    }
}
