//! Series of eight voxels at once: their terms, values and slopes, and the best of the places.

#![allow(
    clippy::inline_always,
    reason = "a kernel is compiled for the instruction set of the function it is inlined into"
)]

use fearless_simd::prelude::*;
use fearless_simd::{f64x8, mask64x8};

use super::lanes::{LANES, constant, load};
use super::rate_series::{Family, Place, TERM_BLOCK};

/// What the norm and the plasma say at the optimum.
#[derive(Clone, Copy)]
pub(super) struct Local<S: Simd> {
    pub(super) log_norm: f64x8<S>,
    pub(super) log_norm_slope: f64x8<S>,
    pub(super) plasma: f64x8<S>,
    pub(super) plasma_slope: f64x8<S>,
    pub(super) squared_slope: f64x8<S>,
}

/// The best place so far.
pub(super) struct Best<S: Simd> {
    explained: f64x8<S>,
    pub(super) x: f64x8<S>,
    pub(super) without_plasma: mask64x8<S>,
    /// Whether the optimum there has ve below 1.
    pub(super) inside: mask64x8<S>,
}

impl<S: Simd> Best<S> {
    /// Before any place was seen.
    #[inline(always)]
    pub(super) fn new(simd: S, without_plasma: mask64x8<S>) -> Self {
        Self {
            explained: constant(simd, -1.0),
            x: constant(simd, 0.0),
            without_plasma,
            inside: mask64x8::splat(simd, false),
        }
    }

    /// Where plasma has no volume: Ktrans = F/|u|, at most the rate.
    #[inline(always)]
    pub(super) fn offer(&mut self, simd: S, place: &Place, amplitude: f64x8<S>) {
        let largest = place.rate_per_s * place.norms[1];
        let inside = amplitude.simd_le(largest);
        let kept = amplitude.max(0.0).min(largest);
        let explained = kept * (amplitude + amplitude - kept);
        self.take(simd, (explained, place.x), mask64x8::splat(simd, true), inside);
    }

    /// With a plasma volume of at least 0.
    #[inline(always)]
    pub(super) fn offer_with_plasma(
        &mut self,
        simd: S,
        place: &Place,
        amplitude: f64x8<S>,
        part_of_plasma: f64x8<S>,
    ) {
        let [perpendicular, plain] = place.norms;
        // vp = e/c − Ktrans·b/c.
        let ratio = place.overlap / place.squared_plasma;
        let largest = place.rate_per_s * perpendicular;
        let kept = amplitude.max(0.0).min(largest);
        let vp = part_of_plasma - kept * (ratio / perpendicular);
        let has_plasma = vp.simd_ge(0.0);
        let along = part_of_plasma * part_of_plasma * place.squared_plasma;
        let with = kept * (amplitude + amplitude - kept) + along;
        let bare = (amplitude * perpendicular + part_of_plasma * place.overlap) * (1.0 / plain);
        let bare_largest = place.rate_per_s * plain;
        let bare_kept = bare.max(0.0).min(bare_largest);
        let without = bare_kept * (bare + bare - bare_kept);
        let explained = has_plasma.select(with, without);
        let inside = has_plasma.select(amplitude.simd_le(largest), bare.simd_le(bare_largest));
        self.take(simd, (explained, place.x), !has_plasma, inside);
    }

    #[inline(always)]
    fn take(
        &mut self,
        simd: S,
        (explained, x): (f64x8<S>, f64),
        without_plasma: mask64x8<S>,
        inside: mask64x8<S>,
    ) {
        let better = explained.simd_gt(self.explained);
        self.explained = better.select(explained, self.explained);
        self.x = better.select(constant(simd, x), self.x);
        self.without_plasma = better.select(without_plasma, self.without_plasma);
        self.inside = better.select(inside, self.inside);
    }
}

impl<S: Simd> Local<S> {
    #[inline(always)]
    pub(super) fn of(simd: S, family: &Family, polynomials: &[f64]) -> Self {
        let sum = |terms: &[f64]| series_at(simd, terms, polynomials);
        Self {
            log_norm: sum(&family.log_norm.0),
            log_norm_slope: sum(&family.log_norm_slope.0),
            plasma: sum(&family.plasma.0),
            plasma_slope: sum(&family.plasma_slope.0),
            squared_slope: sum(&family.squared_slope.0),
        }
    }
}

/// T(x) of all orders there is room for.
#[inline(always)]
pub(super) fn polynomials<S: Simd>(simd: S, x: f64x8<S>, polynomials: &mut [f64]) {
    let (mut one, mut before) = (constant(simd, 1.0), x);
    let twice = x + x;
    for polynomial in polynomials.chunks_exact_mut(LANES) {
        one.store_slice(polynomial);
        (one, before) = (twice.mul_sub(one, before), one);
    }
}

/// Σ term·T(x).
#[inline(always)]
fn series_at<S: Simd>(simd: S, terms: &[f64], polynomials: &[f64]) -> f64x8<S> {
    let mut sum = constant(simd, 0.0);
    for (&term, polynomial) in terms.iter().zip(polynomials.chunks_exact(LANES)) {
        sum = load(simd, polynomial).mul_add(term, sum);
    }
    sum
}

/// The terms of F: `curves`, shape `[n_frames, n_terms]`, times `curve`, shape `[n_frames, 8]`.
#[inline(always)]
pub(super) fn project<S: Simd>(simd: S, curves: &[f64], curve: &[f64], terms: &mut [f64]) {
    let n_terms = curves.len() / (curve.len() / LANES);
    for (block, terms) in
        terms.chunks_exact_mut(TERM_BLOCK * LANES).take(n_terms / TERM_BLOCK).enumerate()
    {
        let mut sums = [constant(simd, 0.0); TERM_BLOCK];
        for (row, value) in curves.chunks_exact(n_terms).zip(curve.chunks_exact(LANES)) {
            let value = load(simd, value);
            let row = &row[block * TERM_BLOCK..(block + 1) * TERM_BLOCK];
            for term in 0..TERM_BLOCK {
                sums[term] = value.mul_add(row[term], sums[term]);
            }
        }
        for (sum, term) in sums.iter().zip(terms.chunks_exact_mut(LANES)) {
            sum.store_slice(term);
        }
    }
}

/// Terms of the derivative of a series, both shape `[n_terms, 8]`.
#[inline(always)]
pub(super) fn slopes_of<S: Simd>(simd: S, terms: &[f64], slopes: &mut [f64]) {
    let (mut later, mut next) = (constant(simd, 0.0), constant(simd, 0.0));
    let n = terms.len() / LANES;
    for (m, slope) in slopes.chunks_exact_mut(LANES).enumerate().rev() {
        // s(m) = s(m + 2) + 2(m + 1)·t(m + 1), halved for m = 0.
        if m + 1 < n {
            let term = load(simd, &terms[(m + 1) * LANES..]);
            let own = term.mul_add(2.0 * (m + 1) as f64, later);
            (later, next) = (next, own);
        }
        let own = if m == 0 { next * 0.5 } else { next };
        own.store_slice(slope);
    }
}
