//! Draws, estimates and summarises the replicates of every voxel.

use fearless_simd::Level;
use rayon::prelude::*;

use super::Uncertainty;
use super::early_stop::FIRST_LOOK;
use super::pseudo_experiment::{Intervals, ObservedVoxels, PseudoExperiments, Smear, check};
use super::quick::Quick;
use super::summary::{Moments, Room, interval_68, interval_95};
use crate::error::Result;
use crate::model::{Detail, Estimator, Fit, FitBlock, LaneData, VoxelData};
use crate::noise::{NoiseDistribution, NoiseLevel, rician};
use crate::random::{LaneStream, Spread, StreamKey};
use crate::solver::variable_projection::{FITS, Responses};

/// Valid replicates below which there is no uncertainty to speak of.
const MINIMUM_VALID_FRACTION: f64 = 0.95;

/// Voxels that one task works on.
const VOXELS_PER_BLOCK: usize = 32;

/// Replicates that are drawn and estimated together: their samples stay in the first caches.
const LANES: usize = 512;

/// A replicate that is drawn alone costs as much as 16 in lanes: below one of so many it is cheaper.
const ONE_BY_ONE_BELOW: usize = 16;

/// The pseudo-experiments of all voxels of some fits.
#[derive(Clone, Copy)]
pub struct Experiment<'a> {
    estimator: &'a dyn Estimator,
    observed: &'a ObservedVoxels<'a>,
    sigma: f64,
    settings: PseudoExperiments,
    key: StreamKey,
    level: Level,
}

/// The pseudo-experiments of one voxel.
#[derive(Debug, Clone, Copy)]
pub struct Replicates<'a> {
    /// Its place in the mask of the fits.
    pub place: usize,
    /// One column per parameter; lanes without an estimate are left out of all of them, and a
    /// column may still hold NaN where smeared from NaN. Empty where the fit did not converge.
    pub estimates: &'a [Vec<f64>],
    /// How many were drawn, the invalid ones too.
    pub n_drawn: usize,
}

impl<'a> Experiment<'a> {
    /// What [`run`](super::pseudo_experiment::run) runs; `noise` is of the samples, and of no use for [`Smear::Map`].
    ///
    /// # Errors
    ///
    /// `Value` when there are fewer than two replicates; `Mismatch` when the estimator needs another
    /// number of volumes, constants or parameters than were observed.
    pub fn new(
        estimator: &'a dyn Estimator,
        observed: &'a ObservedVoxels<'a>,
        noise: &NoiseLevel,
        settings: PseudoExperiments,
        key: StreamKey,
    ) -> Result<Self> {
        check(estimator, observed, settings)?;
        let (sigma, level) = (noise.sigma(), Level::new());
        Ok(Self { estimator, observed, sigma, settings, key, level })
    }

    /// One number, or more, of the pseudo-experiments of every voxel, in the order of the mask.
    ///
    /// `of_voxel` is called from any thread. The same draws are made by every call.
    pub fn reduce<T: Send>(&self, of_voxel: impl Fn(Replicates<'_>) -> T + Sync) -> Vec<T> {
        self.reduce_with(|replicates, _room| of_voxel(replicates))
    }

    fn reduce_with<T: Send>(
        &self,
        of_voxel: impl Fn(Replicates<'_>, &mut Room) -> T + Sync,
    ) -> Vec<T> {
        let places: Vec<usize> = (0..self.observed.fits.mask.len()).collect();
        let blocks: Vec<Vec<T>> = places
            .par_chunks(VOXELS_PER_BLOCK)
            .map_init(
                || (Workspace::new(self), Room::default()),
                |(workspace, room), block| {
                    let mut reduced = Vec::with_capacity(block.len());
                    for group in block.chunks(FITS) {
                        self.respond(group, workspace);
                        for (fit, &place) in group.iter().enumerate() {
                            self.voxel(place, fit, workspace);
                            reduced.push(of_voxel(workspace.drawn(place), room));
                        }
                    }
                    if let Some(progress) = self.observed.progress {
                        progress(block.len());
                    }
                    reduced
                },
            )
            .collect();
        blocks.into_iter().flatten().collect()
    }

    pub(super) fn uncertainties(&self) -> Vec<Uncertainty> {
        let summaries = self.reduce_with(|replicates, room| self.summaries(replicates, room));
        let n_parameters = self.estimator.parameters().len();
        (0..n_parameters)
            .map(|parameter| {
                let mut column = empty(summaries.len(), self.settings.n_replicates);
                for of_voxel in &summaries {
                    of_voxel[parameter].push_to(&mut column, self.settings.intervals);
                }
                column
            })
            .collect()
    }

    fn summaries(&self, replicates: Replicates<'_>, room: &mut Room) -> Vec<Summary> {
        let estimates = &self.observed.fits.estimates;
        let columns = replicates.estimates.iter().zip(estimates);
        columns
            .map(|(column, estimates)| {
                self.summary(column, (estimates[replicates.place], replicates.n_drawn), room)
            })
            .collect()
    }

    /// What the valid `replicates` of `n_drawn` say of `estimate`.
    fn summary(
        &self,
        replicates: &[f64],
        (estimate, n_drawn): (f64, usize),
        room: &mut Room,
    ) -> Summary {
        let mut moments = Moments::of(self.level, replicates);
        let finite: Vec<f64>;
        let mut values = replicates;
        if !moments.standard_deviation.is_finite() {
            finite = replicates.iter().copied().filter(|x| x.is_finite()).collect();
            values = &finite;
            moments = Moments::of(self.level, values);
        }
        let mut summary = Summary::unknown(moments.n, n_drawn);
        let sd = moments.standard_deviation;
        let is_known = summary.valid_fraction >= MINIMUM_VALID_FRACTION && moments.n >= 2;
        if is_known && sd.is_finite() && sd > 0.0 {
            summary.standard_deviation = sd;
            summary.bias = moments.mean - estimate;
            summary.interval_68 = interval_68(self.level, values, moments, room);
            if self.settings.intervals == Intervals::Central68And95 {
                summary.interval_95 = interval_95(self.level, values, moments, room);
            }
            if estimate > 0.0 {
                summary.relative = sd / estimate;
            }
        }
        summary
    }

    /// Prepares the responses of the fits at `places`.
    fn respond(&self, places: &[usize], workspace: &mut Workspace) {
        // A response holds for one σ.
        let is_even = self.observed.noise_scale.is_none();
        workspace.responds = self.settings.smear == Smear::Signal && is_even && {
            let of_parameter = |column: &Vec<f64>| {
                let mut estimates = [f64::NAN; FITS];
                for (estimate, &place) in estimates.iter_mut().zip(places) {
                    *estimate = column[place];
                }
                estimates
            };
            workspace.centres.clear();
            workspace.centres.extend(self.observed.fits.estimates.iter().map(of_parameter));
            self.estimator.respond(&workspace.centres, self.sigma, &mut workspace.responses)
        };
    }

    /// Draws and estimates the replicates of the voxel at `place` in the mask, `fit` of those whose
    /// responses are prepared.
    fn voxel(&self, place: usize, fit: usize, workspace: &mut Workspace) {
        let fits = self.observed.fits;
        workspace.replicates.iter_mut().for_each(Vec::clear);
        workspace.n_drawn = 0;
        if !fits.status[place].is_settled() {
            return;
        }
        workspace.rows.clear();
        let n = self.settings.n_replicates as usize;
        while workspace.n_drawn < n {
            let first = workspace.n_drawn;
            let mut n_lanes = (n - first).min(LANES);
            if self.settings.early_stop.is_some() {
                // Looks at 128, 256, 512, …: a block never reaches beyond the next one.
                n_lanes = n_lanes.min(first.max(FIRST_LOOK));
            }
            self.block((place, fit), n_lanes, workspace);
            if self.is_decided(place, workspace) {
                break;
            }
        }
    }

    /// What is smeared: the noise-free samples, or the estimates.
    fn rows(&self, place: usize, workspace: &mut Workspace) {
        let fits = self.observed.fits;
        if !workspace.rows.is_empty() {
            return;
        }
        let voxel = fits.mask.indices()[place];
        if self.settings.smear == Smear::Map {
            let columns = fits.estimates.iter().zip(&fits.standard_errors);
            let spread = |(estimates, errors): (&Vec<f64>, &Vec<f64>)| Spread {
                centre: estimates[place],
                sigma: errors[place],
            };
            workspace.rows.extend(columns.map(spread));
            return;
        }
        let Workspace { samples, expected, fixed, scratch, fit, rows, .. } = workspace;
        self.observed.series.signals_into(voxel, samples);
        for (constant, volume) in fixed.iter_mut().zip(self.observed.fixed) {
            *constant = volume.voxels()[voxel];
        }
        self.reported_fit(place, fit);
        self.estimator.expected(VoxelData { samples, fixed }, fit, scratch, expected);
        let sigma = self.sigma * self.observed.noise_scale.map_or(1.0, |scale| scale[place]);
        rows.extend(expected.iter().map(|&centre| Spread { centre, sigma }));
    }

    /// Draws and estimates the next `n_lanes` replicates.
    fn block(&self, (place, fit): (usize, usize), n_lanes: usize, workspace: &mut Workspace) {
        let stream = self.key.lanes(self.observed.fits.mask.indices()[place], self.level);
        let first = workspace.n_drawn as u32;
        workspace.n_drawn += n_lanes;
        if workspace.responds && self.quick((place, fit), (&stream, first), n_lanes, workspace) {
            return;
        }
        self.rows(place, workspace);
        let Workspace { rows, lanes, fixed, fixed_lanes, block, replicates, .. } = workspace;
        lanes.resize(rows.len() * n_lanes, 0.0);
        if self.settings.smear == Smear::Map {
            stream.gaussian(first, rows, lanes);
            for (column, values) in replicates.iter_mut().zip(lanes.chunks_exact(n_lanes)) {
                column.extend_from_slice(values);
            }
            return;
        }
        self.draw(&stream, first, rows, lanes);
        fixed_lanes.clear();
        for &constant in fixed.iter() {
            fixed_lanes.resize(fixed_lanes.len() + n_lanes, constant);
        }
        let data = LaneData { samples: lanes, fixed: fixed_lanes, n_lanes };
        self.estimator.estimate_block(data, block);
        keep_valid(block, n_lanes, replicates);
    }

    fn draw(&self, stream: &LaneStream, first: u32, rows: &[Spread], lanes: &mut [f64]) {
        match self.settings.distribution {
            NoiseDistribution::Gaussian => stream.gaussian(first, rows, lanes),
            NoiseDistribution::Rician => rician::draw_lanes(stream, first, rows, lanes),
        }
    }

    /// The next replicates from the response of the fit; those it does not settle go through the
    /// estimator. Returns `false`, and draws nothing, where there is no response.
    fn quick(
        &self,
        (place, fit): (usize, usize),
        (stream, first): (&LaneStream, u32),
        n_lanes: usize,
        workspace: &mut Workspace,
    ) -> bool {
        let Workspace { responses, replicates, unsettled, .. } = workspace;
        let response = responses.of(fit);
        let quick = Quick { stream, response, distribution: self.settings.distribution };
        let [headlines, amplitudes] = replicates.as_mut_slice() else { return false };
        if !quick.is_usable() {
            return false;
        }
        let from = headlines.len();
        headlines.resize(from + n_lanes, f64::NAN);
        amplitudes.resize(from + n_lanes, f64::NAN);
        unsettled.clear();
        quick.estimate(first, [&mut headlines[from..], &mut amplitudes[from..]], unsettled);
        if !unsettled.is_empty() {
            self.rows(place, workspace);
            self.settle((stream, first), n_lanes, from, workspace);
        }
        true
    }

    /// Estimates the unsettled of `n_lanes` replicates, which are kept `from` there on, anew.
    fn settle(
        &self,
        (stream, first): (&LaneStream, u32),
        n_lanes: usize,
        from: usize,
        workspace: &mut Workspace,
    ) {
        let Workspace { rows, lanes, few, unsettled, block, replicates, .. } = workspace;
        let n_few = unsettled.len();
        few.resize(rows.len() * n_few, 0.0);
        if n_few * ONE_BY_ONE_BELOW < n_lanes {
            lanes.resize(rows.len(), 0.0);
            for (to, &lane) in unsettled.iter().enumerate() {
                self.draw(stream, first + lane as u32, rows, lanes);
                for (row, &sample) in lanes.iter().enumerate() {
                    few[row * n_few + to] = sample;
                }
            }
        } else {
            lanes.resize(rows.len() * n_lanes, 0.0);
            self.draw(stream, first, rows, lanes);
            for (row, all) in few.chunks_exact_mut(n_few).zip(lanes.chunks_exact(n_lanes)) {
                for (sample, &lane) in row.iter_mut().zip(unsettled.iter()) {
                    *sample = all[lane];
                }
            }
        }
        let data = LaneData { samples: few, fixed: &[], n_lanes: n_few };
        self.estimator.estimate_block(data, block);
        put_back(block, unsettled, from, replicates);
    }

    fn is_decided(&self, place: usize, workspace: &Workspace) -> bool {
        let Some(early_stop) = self.settings.early_stop else { return false };
        let n_drawn = workspace.n_drawn;
        // Looks are at powers of two: between them an error would only be tried more often.
        if n_drawn < FIRST_LOOK || !n_drawn.is_power_of_two() {
            return false;
        }
        let (Some(replicates), Some(estimates)) =
            (workspace.replicates.first(), self.observed.fits.estimates.first())
        else {
            return false;
        };
        let voxel = (estimates[place], n_drawn, MINIMUM_VALID_FRACTION);
        early_stop.is_decided(self.level, replicates, voxel)
    }

    /// The reported estimates as a fit, for [`Estimator::expected`].
    fn reported_fit(&self, place: usize, fit: &mut Fit) {
        let fits = self.observed.fits;
        fit.fail(fits.status[place]);
        for (estimate, column) in fit.estimates.iter_mut().zip(&fits.estimates) {
            *estimate = column[place];
        }
    }
}

/// Writes the lanes of `block` to the places `unsettled` after `from` and takes those without an
/// estimate out.
fn put_back(block: &FitBlock, unsettled: &[usize], from: usize, replicates: &mut [Vec<f64>]) {
    let lanes = || block.status.iter().zip(unsettled).enumerate();
    for (column, estimates) in replicates.iter_mut().zip(&block.estimates) {
        for (lane, (_, place)) in lanes() {
            column[from + place] = estimates[lane];
        }
        for (_, (status, place)) in lanes().rev() {
            if !status.has_estimate() {
                column.remove(from + place);
            }
        }
    }
}

/// Appends the lanes with an estimate to the columns of `replicates`.
fn keep_valid(block: &FitBlock, n_lanes: usize, replicates: &mut [Vec<f64>]) {
    let status = &block.status[..n_lanes];
    let all_valid = status.iter().all(|status| status.has_estimate());
    for (column, estimates) in replicates.iter_mut().zip(&block.estimates) {
        let estimates = &estimates[..n_lanes];
        if all_valid {
            column.extend_from_slice(estimates);
        } else {
            let lanes = status.iter().zip(estimates);
            column.extend(lanes.filter(|(s, _)| s.has_estimate()).map(|(_, &estimate)| estimate));
        }
    }
}

/// Buffers of one worker; what one voxel leaves in them never reaches the next.
struct Workspace {
    samples: Vec<f64>,
    expected: Vec<f64>,
    fixed: Vec<f64>,
    scratch: Vec<f64>,
    fit: Fit,
    rows: Vec<Spread>,
    lanes: Vec<f64>,
    fixed_lanes: Vec<f64>,
    block: FitBlock,
    replicates: Vec<Vec<f64>>,
    n_drawn: usize,
    /// `centres[parameter][fit]`, and whether `responses` belong to them.
    centres: Vec<[f64; FITS]>,
    responses: Responses,
    responds: bool,
    /// Replicates of a block that their response does not settle, and their samples.
    unsettled: Vec<usize>,
    few: Vec<f64>,
}

impl Workspace {
    fn new(experiment: &Experiment<'_>) -> Self {
        let estimator = experiment.estimator;
        let n_parameters = estimator.parameters().len();
        let n_samples = estimator.n_samples();
        Self {
            samples: vec![0.0; n_samples],
            expected: vec![0.0; n_samples],
            fixed: vec![0.0; estimator.n_fixed()],
            scratch: vec![0.0; estimator.scratch_len()],
            fit: Fit::new(n_parameters),
            rows: Vec::new(),
            lanes: Vec::new(),
            fixed_lanes: Vec::new(),
            block: FitBlock::new(n_parameters, Detail::Estimates),
            replicates: vec![Vec::new(); n_parameters],
            n_drawn: 0,
            centres: Vec::new(),
            responses: Responses::default(),
            responds: false,
            unsettled: Vec::new(),
            few: Vec::new(),
        }
    }

    fn drawn(&self, place: usize) -> Replicates<'_> {
        Replicates { place, estimates: &self.replicates, n_drawn: self.n_drawn }
    }
}

fn empty(n_voxels: usize, n_replicates: u32) -> Uncertainty {
    Uncertainty {
        standard_deviation: Vec::with_capacity(n_voxels),
        relative: Vec::with_capacity(n_voxels),
        bias: Vec::with_capacity(n_voxels),
        interval_68: Vec::with_capacity(n_voxels),
        interval_95: Vec::new(),
        valid_fraction: Vec::with_capacity(n_voxels),
        n_used: Vec::with_capacity(n_voxels),
        n_replicates,
    }
}

/// One parameter of one voxel.
struct Summary {
    standard_deviation: f64,
    relative: f64,
    bias: f64,
    interval_68: [f64; 2],
    interval_95: [f64; 2],
    valid_fraction: f64,
    n_used: u32,
}

impl Summary {
    /// `n_valid` of `n_drawn` replicates, and nothing else known.
    fn unknown(n_valid: usize, n_drawn: usize) -> Self {
        Self {
            standard_deviation: f64::INFINITY,
            relative: f64::INFINITY,
            bias: f64::NAN,
            interval_68: [f64::NAN; 2],
            interval_95: [f64::NAN; 2],
            valid_fraction: n_valid as f64 / n_drawn.max(1) as f64,
            n_used: n_drawn as u32,
        }
    }

    fn push_to(&self, column: &mut Uncertainty, intervals: Intervals) {
        column.standard_deviation.push(self.standard_deviation);
        column.relative.push(self.relative);
        column.bias.push(self.bias);
        column.interval_68.push(self.interval_68);
        if intervals == Intervals::Central68And95 {
            column.interval_95.push(self.interval_95);
        }
        column.valid_fraction.push(self.valid_fraction);
        column.n_used.push(self.n_used);
    }
}

#[cfg(test)]
mod tests;
