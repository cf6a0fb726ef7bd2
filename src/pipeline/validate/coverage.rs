//! How often the intervals of pseudo-experiments hold the truth.
//!
//! Voxels of known truth are drawn with noise, fitted, and given their intervals by the very code
//! behind `biomarker map --uncertainty`; σ is known. An interval that is right holds the truth as
//! often as it says.

mod cases;
mod page;

use std::path::Path;

use fearless_simd::Level;

use crate::error::Result;
use crate::fit::{Fits, Voxelwise, voxelwise};
use crate::image::{Affine, Grid, Mask, Series};
use crate::io::atomic;
use crate::noise::{NoiseDistribution, NoiseLevel, NoiseMethod, rician};
use crate::random::{Spread, StreamKey};
use crate::statistics::moments::mean;
use crate::uncertainty::{
    Intervals, ObservedVoxels, PseudoExperiments, Uncertainty, pseudo_experiment,
};
use cases::Case;

/// Amplitude over σ of the cells.
const SIGNAL_TO_NOISE: [f64; 6] = [5.0, 10.0, 20.0, 40.0, 70.0, 100.0];

/// Nominal coverage of the two intervals.
const NOMINAL: [f64; 2] = [0.682_689_492_137_085_9, 0.95];

/// Standard errors that coverage may be off.
const LIMIT: f64 = 3.0;

/// How much is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoverageSettings {
    /// Voxels per cell of the table.
    pub n_voxels: usize,
    /// Pseudo-experiments per voxel.
    pub n_replicates: u32,
    /// Names the random numbers.
    pub seed: u64,
}

impl Default for CoverageSettings {
    fn default() -> Self {
        Self { n_voxels: 4000, n_replicates: 500, seed: 1 }
    }
}

/// One truth at one signal-to-noise ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Amplitude over σ.
    pub signal_to_noise: f64,
    /// Voxels with an interval; the others did not converge inside the bounds, or more than 5 % of
    /// their pseudo-experiments gave no estimate.
    pub n_intervals: usize,
    /// Fraction of the 68.27 % and of the 95 % intervals that hold the truth; NaN for no interval.
    pub coverage: [f64; 2],
    /// Mean error of the estimates over the truth, as a fraction.
    pub bias: f64,
    /// SD of the estimates over the truth, as a fraction.
    pub relative_sd: f64,
    /// Mean SD of the pseudo-experiments over the SD of the estimates.
    pub sd_ratio: f64,
}

impl Cell {
    /// Binomial standard errors of the coverage that is expected of it.
    pub fn standard_errors(&self, n_replicates: u32) -> [f64; 2] {
        expected_coverage(n_replicates).map(|p| (p * (1.0 - p) / self.n_intervals as f64).sqrt())
    }

    /// Coverage minus what is expected, in standard errors.
    pub fn deviations(&self, n_replicates: u32) -> [f64; 2] {
        let (expected, errors) =
            (expected_coverage(n_replicates), self.standard_errors(n_replicates));
        [0, 1].map(|k| (self.coverage[k] - expected[k]) / errors[k])
    }

    /// Whether both intervals hold the truth as often as they say, to three standard errors.
    pub fn holds(&self, n_replicates: u32) -> bool {
        self.deviations(n_replicates).iter().all(|z| z.abs() <= LIMIT)
    }
}

/// Coverage of exact intervals from `n_replicates`: type 7 quantiles reach a little less far than
/// they say, by (n − 1)/(n + 1).
pub fn expected_coverage(n_replicates: u32) -> [f64; 2] {
    let n = f64::from(n_replicates);
    NOMINAL.map(|nominal| nominal * (n - 1.0) / (n + 1.0))
}

/// One truth at every signal-to-noise ratio.
#[derive(Debug, Clone)]
pub struct CoverageRow {
    /// What was measured, how, and what the truth was.
    pub title: String,
    /// One per signal-to-noise ratio.
    pub cells: Vec<Cell>,
}

/// The whole table.
#[derive(Debug, Clone)]
pub struct CoverageReport {
    /// How much was simulated.
    pub settings: CoverageSettings,
    /// One per truth.
    pub rows: Vec<CoverageRow>,
}

impl CoverageReport {
    /// All cells.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().flat_map(|row| &row.cells)
    }

    /// Writes `coverage.md` into `folder`.
    ///
    /// # Errors
    ///
    /// `Create` or `Write` as of the file system.
    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic::write(&folder.join("coverage.md"), page::render(self).as_bytes())
    }
}

/// Simulates, fits and counts every cell.
///
/// # Errors
///
/// `Value` for no voxel or fewer than two pseudo-experiments.
pub fn coverage(settings: CoverageSettings) -> Result<CoverageReport> {
    let rows = cases::all()?.into_iter().map(|case| {
        let cells = SIGNAL_TO_NOISE.iter().map(|&ratio| cell(&case, ratio, settings));
        Ok(CoverageRow { title: case.title.clone(), cells: cells.collect::<Result<_>>()? })
    });
    Ok(CoverageReport { settings, rows: rows.collect::<Result<_>>()? })
}

fn cell(case: &Case, signal_to_noise: f64, settings: CoverageSettings) -> Result<Cell> {
    let sigma = case.reference_signal / signal_to_noise;
    let name = format!("{}, SNR {signal_to_noise}", case.title);
    let key = StreamKey::new(settings.seed, &format!("coverage/truth/{name}"));
    let series = simulated(case, sigma, (settings.n_voxels, key))?;
    let noise = NoiseLevel::new(sigma, case.distribution, NoiseMethod::Given, 0)?;
    let mask = Mask::full(*series.grid());
    let fits = voxelwise(case.estimator.as_ref(), &Voxelwise::new(&series, &mask))?;
    let observed = ObservedVoxels::new(&series, &fits, &[])?;
    let experiments = PseudoExperiments {
        n_replicates: settings.n_replicates,
        distribution: case.smeared_by,
        intervals: Intervals::Central68And95,
        ..PseudoExperiments::default()
    };
    let key = StreamKey::new(settings.seed, &format!("coverage/smear/{name}"));
    let estimator = case.estimator.as_ref();
    let found = pseudo_experiment::run(estimator, &observed, &noise, experiments, key)?;
    Ok(count(case.truth, signal_to_noise, &fits, &found[0]))
}

/// Voxels of the same truth, each with its own noise of `sigma`.
fn simulated(case: &Case, sigma: f64, (n, key): (usize, StreamKey)) -> Result<Series> {
    let spread = |&centre: &f64| Spread { centre, sigma };
    let rows: Vec<Spread> = case.signal.iter().map(spread).collect();
    let stream = key.lanes(0, Level::new());
    let mut signals = vec![0.0; rows.len() * n];
    match case.distribution {
        NoiseDistribution::Gaussian => stream.gaussian(0, &rows, &mut signals),
        NoiseDistribution::Rician => rician::draw_lanes(&stream, 0, &rows, &mut signals),
    }
    let grid = Grid::new([n, 1, 1], Affine::from_spacing([1.0; 3], [0.0; 3])?)?;
    Series::from_signals(grid, signals)
}

fn count(truth: f64, signal_to_noise: f64, fits: &Fits, found: &Uncertainty) -> Cell {
    let places: Vec<usize> =
        (0..fits.n_voxels()).filter(|&v| found.standard_deviation[v].is_finite()).collect();
    let n_intervals = places.len();
    let fraction = |intervals: &[[f64; 2]]| {
        let holds = |v: &&usize| (intervals[**v][0]..=intervals[**v][1]).contains(&truth);
        places.iter().filter(holds).count() as f64 / n_intervals as f64
    };
    let estimates: Vec<f64> = places.iter().map(|&v| fits.estimates[0][v]).collect();
    let stated: Vec<f64> = places.iter().map(|&v| found.standard_deviation[v]).collect();
    let average = mean(&estimates).unwrap_or(f64::NAN);
    let squares: f64 = estimates.iter().map(|x| (x - average).powi(2)).sum();
    let sd = (squares / (n_intervals as f64 - 1.0)).sqrt();
    Cell {
        signal_to_noise,
        n_intervals,
        coverage: [fraction(&found.interval_68), fraction(&found.interval_95)],
        bias: average / truth - 1.0,
        relative_sd: sd / truth,
        sd_ratio: mean(&stated).unwrap_or(f64::NAN) / sd,
    }
}

#[cfg(test)]
mod tests;
