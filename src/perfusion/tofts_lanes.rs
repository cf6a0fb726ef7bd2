//! Exchange of eight voxels at once: the largest F of [`rate_series`](super::rate_series).
//!
//! ```text
//! concentrations → terms of F (one matrix product) → best of 33 places → Newton on F′ = 0
//! ```
//!
//! With a plasma volume, a voxel whose vp would be below 0 at its best place is fitted with vp = 0.
//! Standard errors follow from how F, x and the projection on plasma answer to noise of the signal:
//! û, ∂û/∂x and plasma are perpendicular, so that no matrix is inverted. Voxels that end at Ktrans = 0
//! or ve = 1, or change sides on the way, are done one by one.

#![allow(
    clippy::inline_always,
    reason = "a kernel is compiled for the instruction set of the function it is inlined into"
)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f64x8, mask64x8};

use super::concentration_lanes::{Baseline, Echo, Eight};
use super::lanes::{LANES, constant, load, logarithm_of_ratio, starts};
use super::rate_series::{Family, N_PLACES, PLACE_BLOCK, RateSeries, log_rate, log_rate_slope};
use super::tofts_series::{Best, Local, polynomials, project, slopes_of};
use crate::model::{Detail, FitBlock, FitStatus, LaneData};
use crate::solver::elementary::Elementary;

/// Newton steps before a voxel goes its own way.
const STEPS_MAX: usize = 12;

/// A Newton step below it leaves an error of its square.
const LAST_STEP: f64 = 1e-6;

/// Rounding of a plasma volume that is 0.
const PLASMA_ROUNDING: f64 = 1e-12;

/// Least 1 − a·e of voxels that go in lanes.
const LEAST_FACTOR: f64 = 1e-6;

/// Half the distance of two places.
const REACH: f64 = 2.0 / (N_PLACES - 1) as f64;

/// Everything about one series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ExchangeKernel {
    pub(super) series: RateSeries,
    /// `None` where the samples are concentrations.
    pub(super) echo: Option<Echo>,
    pub(super) n_baseline: usize,
}

/// Where the optimum is, of a block of copies of one voxel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) x: f64,
    pub(super) without_plasma: bool,
}

/// Buffers of eight voxels; all shapes end in the eight lanes.
pub(super) struct Buffers<'a> {
    /// Concentration, mM.
    pub(super) curve: &'a mut [f64],
    /// (∂C/∂S)⁻¹ in units of [`Observed::unit`].
    pub(super) inverse_slope: &'a mut [f64],
    /// S over baseline.
    pub(super) ratio: &'a mut [f64],
    /// Terms of F perpendicular to plasma, and of F, F′ and F″ of each lane.
    own: &'a mut [f64],
    terms: &'a mut [f64],
    first: &'a mut [f64],
    second: &'a mut [f64],
    pub(super) polynomials: &'a mut [f64],
}

/// Sums over the frames.
pub(super) struct Observed<S: Simd> {
    pub(super) along_plasma: f64x8<S>,
    valid: mask64x8<S>,
    /// Σ of squared differences from the baseline, of the frames that see no agent.
    pub(super) residuals: f64x8<S>,
    pub(super) total: f64x8<S>,
    /// mM per unit of signal.
    pub(super) unit: f64x8<S>,
}

/// Where the search starts.
pub(super) struct Start<S: Simd> {
    x: f64x8<S>,
    pub(super) without_plasma: mask64x8<S>,
    inside: mask64x8<S>,
}

/// The optimum.
pub(super) struct Optimum<S: Simd> {
    x: f64x8<S>,
    pub(super) amplitude: f64x8<S>,
    settled: mask64x8<S>,
    pub(super) steps: u32,
}

/// What follows from the optimum for plasma.
pub(super) struct Plasma<S: Simd> {
    /// Perpendicular to plasma, and plain.
    pub(super) locals: [Local<S>; 2],
    vp: f64x8<S>,
    /// Whether vp has the sign that was assumed.
    right_side: mask64x8<S>,
}

impl ExchangeKernel {
    pub(super) fn n_parameters(&self) -> usize {
        2 + usize::from(self.series.perpendicular.is_some())
    }

    /// Length of the buffers.
    fn buffer_len(&self) -> usize {
        LANES * (3 * self.series.n_frames() + 5 * self.n_polynomials())
    }

    fn n_polynomials(&self) -> usize {
        let of = |family: &Family| {
            let scalars = [&family.log_norm, &family.plasma, &family.squared_slope];
            scalars.iter().map(|series| series.0.len()).max().unwrap_or(0)
        };
        let other = self.series.perpendicular.as_ref().map_or(0, of);
        self.series.n_terms.max(of(&self.series.plain)).max(other)
    }

    /// Estimates all lanes, at least eight, into `block`, from `known` places where they are given;
    /// returns those that must go one by one.
    pub(super) fn estimate(
        &self,
        lanes: LaneData<'_>,
        known: Option<Known>,
        block: &mut FitBlock,
    ) -> Vec<usize> {
        block.resize(lanes.n_lanes);
        let mut buffer = std::mem::take(&mut block.scratch);
        buffer.resize(self.buffer_len().max(buffer.len()), 0.0);
        let level = Level::new();
        let odd =
            dispatch!(level, simd => self.all_lanes(simd, (lanes, known), block, &mut buffer));
        block.scratch = buffer;
        odd
    }

    #[inline(always)]
    fn all_lanes<S: Simd>(
        &self,
        simd: S,
        (lanes, known): (LaneData<'_>, Option<Known>),
        block: &mut FitBlock,
        buffer: &mut [f64],
    ) -> Vec<usize> {
        let mut odd = Vec::new();
        let mut buffers = self.buffers(buffer);
        for at in starts(lanes.n_lanes) {
            let plain = self.eight_lanes(simd, (Eight { lanes, at }, known), &mut buffers, block);
            if plain != (1 << LANES) - 1 {
                odd.extend((0..LANES).filter(|lane| plain >> lane & 1 == 0).map(|lane| at + lane));
            }
        }
        odd
    }

    #[inline(always)]
    fn buffers<'a>(&self, buffer: &'a mut [f64]) -> Buffers<'a> {
        let (frames, terms) = (LANES * self.series.n_frames(), LANES * self.n_polynomials());
        let (curve, rest) = buffer.split_at_mut(frames);
        let (inverse_slope, rest) = rest.split_at_mut(frames);
        let (ratio, rest) = rest.split_at_mut(frames);
        let (own, rest) = rest.split_at_mut(terms);
        let (mixed, rest) = rest.split_at_mut(terms);
        let (first, rest) = rest.split_at_mut(terms);
        let (second, rest) = rest.split_at_mut(terms);
        let polynomials = &mut rest[..terms];
        Buffers { curve, inverse_slope, ratio, own, terms: mixed, first, second, polynomials }
    }

    /// Returns the lanes whose numbers hold, bit by bit.
    #[inline(always)]
    fn eight_lanes<S: Simd>(
        &self,
        simd: S,
        (eight, known): (Eight<'_>, Option<Known>),
        buffers: &mut Buffers<'_>,
        block: &mut FitBlock,
    ) -> u64 {
        let observed = self.observe(simd, eight, buffers);
        let family = self.series.perpendicular.as_ref().unwrap_or(&self.series.plain);
        project(simd, &family.curves, buffers.curve, buffers.own);
        let mut start = match known {
            Some(known) => Start {
                x: constant(simd, known.x),
                without_plasma: mask64x8::splat(simd, known.without_plasma),
                inside: mask64x8::splat(simd, true),
            },
            None => self.start(simd, observed.along_plasma, buffers.own),
        };
        let mut found = self.optimum(simd, &start, &observed, buffers);
        if self.series.perpendicular.is_some() && !found.1.right_side.all_true() {
            // vp changed its sign on the way from the place to the optimum.
            let right_side = found.1.right_side;
            start.without_plasma = right_side.select(start.without_plasma, !start.without_plasma);
            start.x = found.0.x;
            found = self.optimum(simd, &start, &observed, buffers);
        }
        let (optimum, plasma) = found;
        let fitted = Fitted { observed, start, optimum, plasma, at: eight.at };
        let held = self.store(simd, &fitted, block);
        if block.detail == Detail::Everything {
            self.store_errors(simd, &fitted, buffers, block);
        }
        held
    }

    /// The maximum near the start, each lane with or without plasma.
    #[inline(always)]
    fn optimum<S: Simd>(
        &self,
        simd: S,
        start: &Start<S>,
        observed: &Observed<S>,
        buffers: &mut Buffers<'_>,
    ) -> (Optimum<S>, Plasma<S>) {
        let n = self.series.n_terms * LANES;
        if self.series.perpendicular.is_some() && start.without_plasma.any_true() {
            project(simd, &self.series.plain.curves, buffers.curve, buffers.terms);
            for (term, own) in
                buffers.terms[..n].chunks_exact_mut(LANES).zip(buffers.own.chunks_exact(LANES))
            {
                let (plain, own) = (load(simd, term), load(simd, own));
                start.without_plasma.select(plain, own).store_slice(term);
            }
        } else {
            buffers.terms[..n].copy_from_slice(&buffers.own[..n]);
        }
        self.differentiate(simd, buffers);
        let optimum = self.climb(simd, start.x, buffers);
        let locals = self.locals(simd, start, buffers);
        let plasma = self.plasma(simd, (start, &optimum), locals, observed.along_plasma);
        (optimum, plasma)
    }

    /// The plasma volume at the optimum, and whether it belongs there.
    #[inline(always)]
    fn plasma<S: Simd>(
        &self,
        simd: S,
        (start, optimum): (&Start<S>, &Optimum<S>),
        locals: [Local<S>; 2],
        along_plasma: f64x8<S>,
    ) -> Plasma<S> {
        let [own, plain] = &locals;
        let without = start.without_plasma;
        let overlap = optimum.amplitude * without.select(plain.plasma, own.plasma);
        let free = (along_plasma - overlap) * (1.0 / self.series.squared_plasma);
        let right_side =
            without.select(free.simd_le(PLASMA_ROUNDING), free.simd_ge(-PLASMA_ROUNDING));
        let vp = without.select(constant(simd, 0.0), free.max(0.0));
        Plasma { locals, vp, right_side }
    }

    /// Concentrations of the frames in use.
    #[inline(always)]
    fn observe<S: Simd>(
        &self,
        simd: S,
        eight: Eight<'_>,
        buffers: &mut Buffers<'_>,
    ) -> Observed<S> {
        match &self.echo {
            Some(echo) => self.observe_signals(simd, echo, eight, buffers),
            None => self.observe_concentrations(simd, eight, buffers),
        }
    }

    #[inline(always)]
    fn observe_concentrations<S: Simd>(
        &self,
        simd: S,
        eight: Eight<'_>,
        buffers: &mut Buffers<'_>,
    ) -> Observed<S> {
        let zero = constant(simd, 0.0);
        let (mut along_plasma, mut sum, mut squares) = (zero, zero, zero);
        let mut residuals = zero;
        for k in 0..self.series.first_frame {
            let value = eight.frame(simd, k);
            sum += value;
            residuals = value.mul_add(value, residuals);
        }
        squares += residuals;
        for (k, &plasma) in self.series.plasma.iter().enumerate() {
            let value = eight.frame(simd, self.series.first_frame + k);
            let at = k * LANES..(k + 1) * LANES;
            value.store_slice(&mut buffers.curve[at.clone()]);
            constant(simd, 1.0).store_slice(&mut buffers.inverse_slope[at.clone()]);
            zero.store_slice(&mut buffers.ratio[at]);
            along_plasma = value.mul_add(plasma, along_plasma);
            sum += value;
            squares = value.mul_add(value, squares);
        }
        let n = (self.series.first_frame + self.series.n_frames()) as f64;
        let total = (squares - sum * sum * (1.0 / n)).max(0.0);
        let (valid, unit) = (squares.simd_lt(1e200), constant(simd, 1.0));
        Observed { along_plasma, valid, residuals, total, unit }
    }

    #[inline(always)]
    fn observe_signals<S: Simd>(
        &self,
        simd: S,
        echo: &Echo,
        eight: Eight<'_>,
        buffers: &mut Buffers<'_>,
    ) -> Observed<S> {
        let baseline = eight.baseline(simd, self.n_baseline);
        let rates = echo.rates(simd, eight);
        let zero = constant(simd, 0.0);
        let (mut along_plasma, mut sum, mut squares) = (zero, zero, baseline.squares);
        let (mut least_factor, mut least_signal) = (constant(simd, 1.0), baseline.mean);
        for (k, &plasma) in self.series.plasma.iter().enumerate() {
            let factor = eight.factor(simd, self.series.first_frame + k, &baseline, &rates);
            let logarithm = logarithm_of_ratio(simd, factor.numerator, factor.denominator);
            let value = logarithm * -echo.scale_mmol_per_l();
            let both = factor.numerator * factor.denominator;
            let at = k * LANES..(k + 1) * LANES;
            value.store_slice(&mut buffers.curve[at.clone()]);
            both.store_slice(&mut buffers.inverse_slope[at.clone()]);
            (factor.excess + 1.0).store_slice(&mut buffers.ratio[at]);
            along_plasma = value.mul_add(plasma, along_plasma);
            let excess = factor.signal - baseline.mean;
            sum += excess;
            squares = excess.mul_add(excess, squares);
            least_factor = least_factor.min(factor.numerator);
            least_signal = least_signal.min(factor.signal);
        }
        let n = (self.n_baseline + self.series.n_frames()) as f64;
        let total = (squares - sum * sum * (1.0 / n)).max(0.0);
        let Baseline { mean, squares: residuals, inverse } = baseline;
        let valid = mean.simd_gt(1e-100)
            & mean.simd_lt(1e100)
            & rates.valid.simd_gt(0.0)
            & least_factor.simd_ge(LEAST_FACTOR)
            & least_signal.simd_ge(0.0)
            & along_plasma.is_finite();
        let unit = rates.slope * inverse;
        Observed { along_plasma, valid, residuals, total, unit }
    }

    /// The place that explains most.
    #[inline(always)]
    fn start<S: Simd>(&self, simd: S, along_plasma: f64x8<S>, terms: &[f64]) -> Start<S> {
        let mut best = Best::new(simd, mask64x8::splat(simd, self.series.perpendicular.is_none()));
        let part_of_plasma = along_plasma * (1.0 / self.series.squared_plasma);
        for (block, places) in self.series.places.chunks_exact(PLACE_BLOCK).enumerate() {
            let mut sums = [constant(simd, 0.0); PLACE_BLOCK];
            let rows = self.series.polynomials.chunks_exact(N_PLACES);
            for (row, term) in rows.zip(terms.chunks_exact(LANES)) {
                let term = load(simd, term);
                let row = &row[block * PLACE_BLOCK..(block + 1) * PLACE_BLOCK];
                for place in 0..PLACE_BLOCK {
                    sums[place] = term.mul_add(row[place], sums[place]);
                }
            }
            for (place, sum) in places.iter().zip(sums) {
                match self.series.perpendicular {
                    Some(_) => best.offer_with_plasma(simd, place, sum, part_of_plasma),
                    None => best.offer(simd, place, sum),
                }
            }
        }
        Start { x: best.x, without_plasma: best.without_plasma, inside: best.inside }
    }

    /// Terms of F′ and F″.
    #[inline(always)]
    fn differentiate<S: Simd>(&self, simd: S, buffers: &mut Buffers<'_>) {
        let n = self.series.n_terms;
        slopes_of(simd, &buffers.terms[..n * LANES], &mut buffers.first[..n * LANES]);
        slopes_of(simd, &buffers.first[..n * LANES], &mut buffers.second[..n * LANES]);
    }

    /// Newton on F′ inside the neighbours of the place.
    #[inline(always)]
    fn climb<S: Simd>(&self, simd: S, start: f64x8<S>, buffers: &mut Buffers<'_>) -> Optimum<S> {
        let (mut low, mut high) = ((start - REACH).max(-1.0), (start + REACH).min(1.0));
        let mut x = start;
        let mut settled = mask64x8::splat(simd, false);
        let mut steps = 0;
        for _ in 0..STEPS_MAX {
            steps += 1;
            let [slope, curvature] = self.slope_and_curvature(simd, x, buffers);
            let rises = slope.simd_gt(0.0);
            low = rises.select(x, low);
            high = rises.select(high, x);
            let side = rises.select(high, low);
            let newton = (x - slope / curvature).max(low).min(high);
            let next = curvature.simd_lt(0.0).select(newton, (x + side) * 0.5);
            let step = (next - x).abs();
            x = next;
            settled = step.simd_lt(LAST_STEP);
            if settled.all_true() {
                break;
            }
        }
        polynomials(simd, x, buffers.polynomials);
        let mut amplitude = constant(simd, 0.0);
        let rows = buffers.polynomials.chunks_exact(LANES).zip(buffers.terms.chunks_exact(LANES));
        for (polynomial, term) in rows.take(self.series.n_terms) {
            amplitude = load(simd, polynomial).mul_add(load(simd, term), amplitude);
        }
        // A maximum beyond the neighbours belongs to another place.
        let between = (x - start).abs().simd_lt(0.999 * REACH) | x.abs().simd_ge(1.0);
        Optimum { x, amplitude, settled: settled & between, steps }
    }

    #[inline(always)]
    fn slope_and_curvature<S: Simd>(
        &self,
        simd: S,
        x: f64x8<S>,
        buffers: &Buffers<'_>,
    ) -> [f64x8<S>; 2] {
        let (mut one, mut before) = (constant(simd, 1.0), x);
        let twice = x + x;
        let (mut slope, mut curvature) = (constant(simd, 0.0), constant(simd, 0.0));
        let rows = buffers.first.chunks_exact(LANES).zip(buffers.second.chunks_exact(LANES));
        for (first, second) in rows.take(self.series.n_terms) {
            slope = one.mul_add(load(simd, first), slope);
            curvature = one.mul_add(load(simd, second), curvature);
            (one, before) = (twice.mul_sub(one, before), one);
        }
        [slope, curvature]
    }

    /// Norm and plasma at the optimum, in both forms where both are needed.
    #[inline(always)]
    fn locals<S: Simd>(&self, simd: S, start: &Start<S>, buffers: &Buffers<'_>) -> [Local<S>; 2] {
        let polynomials = &*buffers.polynomials;
        match &self.series.perpendicular {
            None => [Local::of(simd, &self.series.plain, polynomials); 2],
            Some(family) => {
                let own = Local::of(simd, family, polynomials);
                if start.without_plasma.any_true() {
                    [own, Local::of(simd, &self.series.plain, polynomials)]
                } else {
                    [own; 2]
                }
            }
        }
    }
}

/// What eight voxels came to.
pub(super) struct Fitted<S: Simd> {
    pub(super) observed: Observed<S>,
    pub(super) start: Start<S>,
    pub(super) optimum: Optimum<S>,
    pub(super) plasma: Plasma<S>,
    pub(super) at: usize,
}

impl ExchangeKernel {
    /// Status and estimates; returns the lanes that hold.
    #[inline(always)]
    fn store<S: Simd>(&self, simd: S, fitted: &Fitted<S>, block: &mut FitBlock) -> u64 {
        let Fitted { observed, start, optimum, plasma, at } = fitted;
        let [own, plain] = &plasma.locals;
        let lanes = *at..at + LANES;
        let log_norm = start.without_plasma.select(plain.log_norm, own.log_norm);
        let ktrans = optimum.amplitude * (-log_norm).exp();
        let logarithm = optimum.x * -log_rate_slope() - log_rate(0.0);
        let ve = ktrans * logarithm.exp();
        ktrans.store_slice(&mut block.estimates[0][lanes.clone()]);
        ve.store_slice(&mut block.estimates[1][lanes.clone()]);
        let outside = optimum.x.abs().simd_ge(1.0);
        let mut bound = outside;
        let mut right_side = mask64x8::splat(simd, true);
        if self.series.perpendicular.is_some() {
            plasma.vp.store_slice(&mut block.estimates[2][lanes.clone()]);
            right_side = plasma.right_side & plasma.vp.simd_le(1.0);
            bound |= start.without_plasma;
        }
        block.status[lanes.clone()].fill(FitStatus::Converged);
        let bound_bits = bound.to_bitmask();
        if bound_bits != 0 {
            for lane in (0..LANES).filter(|lane| bound_bits >> lane & 1 == 1) {
                block.status[at + lane] = FitStatus::AnotherAtBound;
            }
        }
        let inside = start.inside & ktrans.simd_gt(0.0) & ve.simd_le(1.0);
        (observed.valid & inside & right_side & optimum.settled).to_bitmask()
    }
}
