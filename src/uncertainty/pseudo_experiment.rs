//! Pseudo-experiments: smear, estimate again, and see how far the estimates spread.
//!
//! [`Smear::Signal`] draws every sample anew around the noise-free samples of the reported estimate
//! and runs the identical estimator. [`Smear::Map`] draws the estimate itself,
//! θ* = θ̂ + u·N(0, 1), u from the covariance of the fit: quicker, and blind to everything that is
//! not linear.
//!
//! A replicate is valid when its status [has an estimate](crate::model::FitStatus::has_estimate):
//! an estimate at a bound counts, because the reported estimate would have been that bound too.
//! A *reported* estimate at a bound is no optimum: samples drawn around it are not those that were
//! measured, and the bound hides their spread. Its uncertainty is infinite, and so is one whose
//! replicates never move.
//!
//! Around *observed* magnitudes (an estimator without a model) Rician noise would add the noise
//! floor a second time: choose [`NoiseDistribution::Gaussian`] there.
//!
//! # Reference
//!
//! Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 6 (parametric bootstrap),
//! doi:10.1201/9780429246593.

use rayon::prelude::*;

use super::Uncertainty;
use crate::error::{Error, Result};
use crate::fit::Fits;
use crate::image::{Series, Volume};
use crate::model::{Estimator, Fit, VoxelData};
use crate::noise::{NoiseDistribution, NoiseLevel, rician};
use crate::random::{Stream, StreamKey};

/// Valid replicates below which there is no uncertainty to speak of.
const MINIMUM_VALID_FRACTION: f64 = 0.95;

/// Φ(−1): lower edge of the central 68.27 %.
const LOWER_TAIL: f64 = 0.158_655_253_931_457_05;

/// Voxels that one task works on.
const VOXELS_PER_BLOCK: usize = 32;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Smear {
    /// The samples; the whole estimator runs again.
    Signal,
    /// The estimate, from the covariance of its fit.
    Map,
}

/// How many pseudo-experiments of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PseudoExperiments {
    /// Per voxel; the relative standard error of an SD is 1/√(2(n − 1)), 2.2 % for 1000.
    pub n_replicates: u32,
    /// What is drawn.
    pub smear: Smear,
    /// How samples are drawn; `Gaussian` where they are drawn around observed magnitudes.
    pub distribution: NoiseDistribution,
}

impl Default for PseudoExperiments {
    fn default() -> Self {
        Self { n_replicates: 1000, smear: Smear::Signal, distribution: NoiseDistribution::Rician }
    }
}

/// Called with the number of voxels just finished, from any thread.
pub type Progress<'a> = &'a (dyn Fn(usize) + Sync);

/// What was measured and fitted; the voxels are those of `fits.mask`.
#[derive(Clone, Copy)]
pub struct ObservedVoxels<'a> {
    series: &'a Series,
    fits: &'a Fits,
    fixed: &'a [&'a Volume<f64>],
    progress: Option<Progress<'a>>,
}

impl<'a> ObservedVoxels<'a> {
    /// The `series`, its `fits`, and one volume per constant of the estimator (T10 in s).
    ///
    /// # Errors
    ///
    /// `Mismatch` when the grids differ or the columns of `fits` are not of its mask.
    pub fn new(series: &'a Series, fits: &'a Fits, fixed: &'a [&'a Volume<f64>]) -> Result<Self> {
        series.grid().require_same(fits.mask.grid()).map_err(|error| error.at_field("fits"))?;
        for volume in fixed {
            series.grid().require_same(volume.grid()).map_err(|error| error.at_field("fixed"))?;
        }
        let n = fits.mask.len();
        let columns = fits.estimates.iter().chain(&fits.standard_errors).map(Vec::len);
        if columns.chain([fits.status.len()]).any(|length| length != n) {
            return Err(Error::mismatch(format!("columns of the fits do not hold {n} voxels")));
        }
        Ok(Self { series, fits, fixed, progress: None })
    }

    /// Reports every finished block of voxels to `progress`.
    #[must_use]
    pub fn with_progress(self, progress: Progress<'a>) -> Self {
        Self { progress: Some(progress), ..self }
    }
}

/// The uncertainty of every parameter of `estimator`, in their order, per voxel of the fits.
///
/// Draws depend on `key`, the linear index of the voxel and the replicate alone: the same bytes for
/// every number of threads and every mask that holds the voxel. Memory is voxels × parameters.
/// A voxel that did not converge has infinite uncertainty and a valid fraction of 0.
///
/// # Errors
///
/// `Value` when there are fewer than two replicates; `Mismatch` when the estimator needs another
/// number of volumes, constants or parameters than were observed.
pub fn run(
    estimator: &dyn Estimator,
    observed: &ObservedVoxels<'_>,
    noise: &NoiseLevel,
    settings: PseudoExperiments,
    key: StreamKey,
) -> Result<Vec<Uncertainty>> {
    check(estimator, observed, settings)?;
    let experiment = Experiment { estimator, observed, sigma: noise.sigma(), settings, key };
    let n_voxels = observed.fits.mask.len();
    let places: Vec<usize> = (0..n_voxels).collect();
    let blocks: Vec<Vec<Summary>> = places
        .par_chunks(VOXELS_PER_BLOCK)
        .map_init(
            || Workspace::new(&experiment),
            |workspace, block| {
                let summaries =
                    block.iter().flat_map(|&place| experiment.voxel(place, workspace)).collect();
                if let Some(progress) = observed.progress {
                    progress(block.len());
                }
                summaries
            },
        )
        .collect();
    let n_parameters = estimator.parameters().len();
    let mut columns: Vec<Uncertainty> =
        (0..n_parameters).map(|_| empty(n_voxels, settings.n_replicates)).collect();
    for (index, summary) in blocks.into_iter().flatten().enumerate() {
        summary.push_to(&mut columns[index % n_parameters]);
    }
    Ok(columns)
}

fn check(
    estimator: &dyn Estimator,
    observed: &ObservedVoxels<'_>,
    settings: PseudoExperiments,
) -> Result<()> {
    if settings.n_replicates < 2 {
        return Err(Error::value(format!(
            "{} pseudo-experiments, fewer than 2",
            settings.n_replicates
        ))
        .at_field("n_replicates"));
    }
    let fits = observed.fits;
    let n_parameters = estimator.parameters().len();
    for (what, needed, found) in [
        ("volumes", estimator.n_samples(), observed.series.n_volumes()),
        ("constants", estimator.n_fixed(), observed.fixed.len()),
        ("parameters", n_parameters, fits.estimates.len()),
        ("standard errors", n_parameters, fits.standard_errors.len()),
    ] {
        if needed != found {
            return Err(Error::mismatch(format!(
                "the estimator has {needed} {what}, the observed voxels {found}"
            )));
        }
    }
    Ok(())
}

fn empty(n_voxels: usize, n_replicates: u32) -> Uncertainty {
    Uncertainty {
        standard_deviation: Vec::with_capacity(n_voxels),
        relative: Vec::with_capacity(n_voxels),
        bias: Vec::with_capacity(n_voxels),
        interval_68: Vec::with_capacity(n_voxels),
        valid_fraction: Vec::with_capacity(n_voxels),
        n_replicates,
    }
}

struct Experiment<'a> {
    estimator: &'a dyn Estimator,
    observed: &'a ObservedVoxels<'a>,
    sigma: f64,
    settings: PseudoExperiments,
    key: StreamKey,
}

impl Experiment<'_> {
    /// One summary per parameter of the voxel at `place` in the mask.
    fn voxel(&self, place: usize, workspace: &mut Workspace) -> Vec<Summary> {
        let fits = self.observed.fits;
        workspace.replicates.iter_mut().for_each(Vec::clear);
        if fits.status[place].is_settled() {
            let voxel = fits.mask.indices()[place];
            match self.settings.smear {
                Smear::Signal => self.smear_signal(place, voxel, workspace),
                Smear::Map => self.smear_map(place, voxel, workspace),
            }
        }
        let n = self.settings.n_replicates;
        fits.estimates
            .iter()
            .zip(&mut workspace.replicates)
            .map(|(estimates, replicates)| Summary::of(replicates, estimates[place], n))
            .collect()
    }

    fn smear_signal(&self, place: usize, voxel: usize, workspace: &mut Workspace) {
        let Workspace { samples, expected, fixed, scratch, fit, replicates } = workspace;
        self.observed.series.signals_into(voxel, samples);
        for (constant, volume) in fixed.iter_mut().zip(self.observed.fixed) {
            *constant = volume.voxels()[voxel];
        }
        self.reported_fit(place, fit);
        self.estimator.expected(VoxelData { samples, fixed }, fit, scratch, expected);
        for replicate in 0..self.settings.n_replicates {
            let mut stream = self.key.stream(voxel, replicate);
            for (sample, &amplitude) in samples.iter_mut().zip(expected.iter()) {
                *sample = self.draw(amplitude, &mut stream);
            }
            self.estimator.estimate(VoxelData { samples, fixed }, scratch, fit);
            if fit.status.has_estimate() {
                for (values, &estimate) in replicates.iter_mut().zip(&fit.estimates) {
                    values.push(estimate);
                }
            }
        }
    }

    fn smear_map(&self, place: usize, voxel: usize, workspace: &mut Workspace) {
        let fits = self.observed.fits;
        for replicate in 0..self.settings.n_replicates {
            let mut stream = self.key.stream(voxel, replicate);
            for (parameter, values) in workspace.replicates.iter_mut().enumerate() {
                let error = fits.standard_errors[parameter][place];
                values.push(fits.estimates[parameter][place] + error * stream.normal());
            }
        }
    }

    fn draw(&self, amplitude: f64, stream: &mut Stream) -> f64 {
        match self.settings.distribution {
            NoiseDistribution::Gaussian => amplitude + self.sigma * stream.normal(),
            NoiseDistribution::Rician => rician::draw(amplitude, self.sigma, stream),
        }
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

/// Buffers of one worker; what one voxel leaves in them never reaches the next.
struct Workspace {
    samples: Vec<f64>,
    expected: Vec<f64>,
    fixed: Vec<f64>,
    scratch: Vec<f64>,
    fit: Fit,
    replicates: Vec<Vec<f64>>,
}

impl Workspace {
    fn new(experiment: &Experiment<'_>) -> Self {
        let estimator = experiment.estimator;
        let n_parameters = estimator.parameters().len();
        let capacity = experiment.settings.n_replicates as usize;
        Self {
            samples: vec![0.0; estimator.n_samples()],
            expected: vec![0.0; estimator.n_samples()],
            fixed: vec![0.0; estimator.n_fixed()],
            scratch: vec![0.0; estimator.scratch_len()],
            fit: Fit::new(n_parameters),
            replicates: (0..n_parameters).map(|_| Vec::with_capacity(capacity)).collect(),
        }
    }
}

/// One parameter of one voxel.
struct Summary {
    standard_deviation: f64,
    relative: f64,
    bias: f64,
    interval_68: [f64; 2],
    valid_fraction: f64,
}

impl Summary {
    /// What `replicates` (the valid ones of `n_replicates`, reordered here) say of `estimate`.
    fn of(replicates: &mut Vec<f64>, estimate: f64, n_replicates: u32) -> Self {
        replicates.retain(|replicate| replicate.is_finite());
        let n = replicates.len() as f64;
        let mut summary = Self {
            standard_deviation: f64::INFINITY,
            relative: f64::INFINITY,
            bias: f64::NAN,
            interval_68: [f64::NAN; 2],
            valid_fraction: n / f64::from(n_replicates),
        };
        if summary.valid_fraction < MINIMUM_VALID_FRACTION || replicates.len() < 2 {
            return summary;
        }
        // Deviations from the first replicate: a spread of exactly 0 stays exactly 0.
        let origin = replicates[0];
        let shift = replicates.iter().map(|x| x - origin).sum::<f64>() / n;
        let squares = replicates.iter().map(|x| (x - origin - shift).powi(2)).sum::<f64>();
        let sd = (squares / (n - 1.0)).sqrt();
        if sd.is_finite() && sd > 0.0 {
            summary.standard_deviation = sd;
            summary.bias = origin + shift - estimate;
            summary.interval_68 = central_interval(replicates);
            if estimate > 0.0 {
                summary.relative = sd / estimate;
            }
        }
        summary
    }

    fn push_to(self, column: &mut Uncertainty) {
        column.standard_deviation.push(self.standard_deviation);
        column.relative.push(self.relative);
        column.bias.push(self.bias);
        column.interval_68.push(self.interval_68);
        column.valid_fraction.push(self.valid_fraction);
    }
}

/// Φ(−1) and Φ(1) quantiles by linear interpolation (type 7) of at least two `values`.
fn central_interval(values: &mut [f64]) -> [f64; 2] {
    values.sort_unstable_by(f64::total_cmp);
    [LOWER_TAIL, 1.0 - LOWER_TAIL].map(|probability| {
        let rank = probability * (values.len() - 1) as f64;
        let below = rank.floor() as usize;
        let above = (below + 1).min(values.len() - 1);
        values[below] + (rank - rank.floor()) * (values[above] - values[below])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_interpolates_between_order_statistics() {
        let mut values: Vec<f64> = (0..101).rev().map(f64::from).collect();
        let [low, high] = central_interval(&mut values);
        assert!((low - 15.865_525_393_145_7).abs() < 1e-10);
        assert!((high - 84.134_474_606_854_3).abs() < 1e-10);
    }

    #[test]
    fn six_percent_of_invalid_replicates_leave_no_uncertainty() {
        let spread = |n: usize| (0..n).map(|i| 2.0 + f64::from(i as u32 % 7)).collect::<Vec<_>>();
        let enough = Summary::of(&mut spread(95), 2.0, 100);
        assert!(enough.relative.is_finite() && (enough.valid_fraction - 0.95).abs() < 1e-15);
        let few = Summary::of(&mut spread(94), 2.0, 100);
        assert!(few.relative.is_infinite() && few.standard_deviation.is_infinite());
        assert!(few.bias.is_nan() && few.interval_68[0].is_nan());
    }

    #[test]
    fn estimates_at_or_below_zero_have_infinite_relative_uncertainty() {
        for estimate in [0.0, -1.0, f64::NAN] {
            let summary = Summary::of(&mut vec![-1.0, 1.0, 0.5], estimate, 3);
            assert!(summary.relative.is_infinite() && summary.standard_deviation.is_finite());
        }
    }

    #[test]
    fn replicates_that_never_move_are_not_certainty() {
        let summary = Summary::of(&mut vec![0.1; 100], 0.1, 100);
        assert!(summary.relative.is_infinite() && summary.standard_deviation.is_infinite());
    }
}
