//! The Gaussian peak of a histogram, by maximum Poisson likelihood about its mode.
//!
//! Tails belong to other tissues, so that only the bins within 1.5 SD of the mean are looked at, and
//! mean and SD are those of the whole Gaussian whose part they are. With the area free, the Poisson
//! likelihood is that of the total within the window times the multinomial one of its bins. The
//! latter, with the exact probability of each bin, gives mean and SD by Fisher scoring; the former
//! gives the area. The window follows the fit until both stand still.
//!
//! # Reference
//!
//! Baker and Cousins, "Clarification of the use of chi-square and likelihood functions in fits to
//! histograms", Nucl. Instrum. Methods 221 (1984), doi:10.1016/0167-5087(84)90016-4.
//! Kulldorff, "Contributions to the theory of estimation from grouped and partially grouped
//! samples", Wiley (1961).

mod grouped;

use super::histogram::Histogram;
use super::moments::sum;
use super::require_finite;
use crate::error::{Error, Result};
use grouped::{Bins, Peak, Scoring};

/// Values below which there is no fit.
const N_MIN: usize = 30;
/// Bins of a window: one more than there are parameters.
const N_BINS_MIN: usize = 4;
/// Most bins of a histogram; wild outliers stretch it beyond.
const N_BINS_MAX: usize = 65_536;
/// Half width of the window, SD.
const HALF_WIDTH_SD: f64 = 1.5;
const WINDOWS_MAX: usize = 50;
const SQRT_TAU: f64 = 2.506_628_274_631_000_7;
/// Half width at half maximum of a Gaussian, SD.
const HALF_MAXIMUM_SD: f64 = 1.177_410_022_515_474_7;

/// A Gaussian fitted to the peak of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianHistogram {
    /// Mean, unit of the values.
    pub mean: f64,
    /// SD, unit of the values.
    pub standard_deviation: f64,
    /// Values under the whole Gaussian, beyond the window too.
    pub number: f64,
    /// Expected count of a bin at the mean: number·width/(SD·√2π).
    pub amplitude: f64,
    /// Standard error of the mean.
    pub mean_error: f64,
    /// Standard error of the SD.
    pub standard_deviation_error: f64,
    /// Standard error of the number, that of the count within the window included.
    pub number_error: f64,
    /// Standard error of the amplitude.
    pub amplitude_error: f64,
    /// Likelihood-ratio χ² of the bins within the window.
    pub chi_squared: f64,
    /// Bins within the window less three.
    pub degrees_of_freedom: usize,
    /// Lower and upper edge of the window.
    pub window: [f64; 2],
    /// Values within the window.
    pub n_within: u64,
    /// Width of a bin.
    pub bin_width: f64,
    /// Whether scoring came to the maximum and the window to rest.
    pub converged: bool,
}

impl GaussianHistogram {
    /// Fits the peak of the Freedman–Diaconis histogram of `values`.
    ///
    /// The window holds the bins whose centres lie within 1.5 SD of the mean, at least four. Where it
    /// does not come to rest but goes round, the widest of its round stands. A peak narrower than
    /// the bins, which follow the interquartile range of all values, cannot be told from its
    /// neighbours: give the voxels of one habitat, not of a whole tumour.
    ///
    /// # Errors
    ///
    /// `Value` at `values`: fewer than 30 of them, one not finite, no spread, fewer than four bins,
    /// or counts that leave mean and SD undetermined.
    pub fn fit(values: &[f64]) -> Result<Self> {
        require_finite(values, "values")?;
        if values.len() < N_MIN {
            let message = format!("{} values, a peak needs at least {N_MIN}", values.len());
            return Err(Error::value(message).at_field("values"));
        }
        let histogram = Histogram::freedman_diaconis(values, N_BINS_MAX)
            .filter(|histogram| histogram.counts.len() >= N_BINS_MIN)
            .filter(|histogram| histogram.edges.is_sorted_by(|low, high| low < high))
            .ok_or_else(|| {
                let message = format!("their histogram has fewer than {N_BINS_MIN} bins");
                Error::value(message).at_field("values").hint("the values have too little spread")
            })?;
        let found = settle(&histogram);
        Self::describe(&histogram, &found).ok_or_else(|| {
            Error::value("their histogram has no peak of its own width")
                .at_field("values")
                .hint("the bins are too coarse, or counts do not fall away from the mode")
        })
    }

    /// χ² over its degrees of freedom; `None` without any.
    pub fn chi_squared_per_degree(&self) -> Option<f64> {
        let degrees = self.degrees_of_freedom;
        (degrees > 0).then(|| self.chi_squared / degrees as f64)
    }

    fn describe(histogram: &Histogram, found: &Settled) -> Option<Self> {
        let bins = found.range.of(histogram);
        let Peak { mean, ln_sd } = found.scoring.peak;
        let standard_deviation = ln_sd.exp();
        let covariance = found.scoring.covariance()?;
        let cells = bins.cells(found.scoring.peak)?;
        let n_within = bins.total();
        let number = n_within / cells.total;
        let width = histogram.edges[1] - histogram.edges[0];
        let amplitude = number * width / (standard_deviation * SQRT_TAU);
        // Total within and place and width are independent: relative variances add.
        let relative = |[a, b]: [f64; 2]| {
            let [[aa, ab], [_, bb]] = covariance;
            (1.0 / n_within + a * a * aa + 2.0 * a * b * ab + b * b * bb).sqrt()
        };
        let [by_mean, by_sd] = cells.total_gradient;
        let described = Self {
            mean,
            standard_deviation,
            number,
            amplitude,
            mean_error: covariance[0][0].sqrt(),
            standard_deviation_error: standard_deviation * covariance[1][1].sqrt(),
            number_error: number * relative([by_mean, by_sd]),
            amplitude_error: amplitude * relative([by_mean, by_sd + 1.0]),
            chi_squared: bins.chi_squared(&cells),
            degrees_of_freedom: bins.counts.len() - 3,
            window: [bins.edges[0], bins.edges[bins.counts.len()]],
            n_within: n_within as u64,
            bin_width: width,
            converged: found.scoring.converged && found.at_rest,
        };
        let numbers = [described.number_error, described.amplitude_error, described.chi_squared];
        let errors = [described.mean_error, described.standard_deviation_error];
        numbers.iter().chain(&errors).all(|number| number.is_finite()).then_some(described)
    }
}

/// Bins `first..end` of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: usize,
    end: usize,
}

impl Range {
    /// Bins whose centres lie within 1.5 SD of the mean, and the nearest beyond until there are four.
    fn about(histogram: &Histogram, peak: Peak) -> Self {
        let half = HALF_WIDTH_SD * peak.ln_sd.exp();
        let n_bins = histogram.counts.len();
        let centre = |bin: usize| f64::midpoint(histogram.edges[bin], histogram.edges[bin + 1]);
        let away = |bin: usize| (centre(bin) - peak.mean).abs();
        let nearest = (0..n_bins).min_by(|&a, &b| away(a).total_cmp(&away(b))).unwrap_or(0);
        let mut range = Self { first: nearest, end: nearest + 1 };
        loop {
            let below = range.first.checked_sub(1);
            let above = Some(range.end).filter(|&bin| bin < n_bins);
            let Some(next) =
                below.into_iter().chain(above).min_by(|&a, &b| away(a).total_cmp(&away(b)))
            else {
                return range;
            };
            if away(next) > half && range.n_bins() >= N_BINS_MIN {
                return range;
            }
            range = Self { first: range.first.min(next), end: range.end.max(next + 1) };
        }
    }

    fn n_bins(self) -> usize {
        self.end - self.first
    }

    fn of(self, histogram: &Histogram) -> Bins<'_> {
        Bins {
            edges: &histogram.edges[self.first..=self.end],
            counts: &histogram.counts[self.first..self.end],
        }
    }
}

struct Settled {
    range: Range,
    scoring: Scoring,
    at_rest: bool,
}

/// Fits and moves the window in turn.
fn settle(histogram: &Histogram) -> Settled {
    let mut peak = mode(histogram);
    let mut visited: Vec<Range> = Vec::new();
    loop {
        let range = Range::about(histogram, peak);
        let again = visited.iter().position(|before| *before == range);
        if let Some(since) = again {
            let widest = widest(&visited[since..]).unwrap_or(range);
            let scoring = widest.of(histogram).maximise(peak);
            return Settled { range: widest, scoring, at_rest: true };
        }
        let scoring = range.of(histogram).maximise(peak);
        visited.push(range);
        if !scoring.converged || visited.len() == WINDOWS_MAX {
            return Settled { range, scoring, at_rest: false };
        }
        peak = scoring.peak;
    }
}

/// The first of the ranges with the most bins.
fn widest(ranges: &[Range]) -> Option<Range> {
    ranges.iter().copied().reduce(
        |best, range| {
            if range.n_bins() > best.n_bins() { range } else { best }
        },
    )
}

/// Centre of the highest bin and SD from the half height on its steeper side, both of counts smoothed
/// over three bins.
fn mode(histogram: &Histogram) -> Peak {
    let counts: Vec<f64> = histogram.counts.iter().map(|&count| count as f64).collect();
    let at = |bin: Option<usize>| bin.and_then(|bin| counts.get(bin)).copied().unwrap_or(0.0);
    let smooth: Vec<f64> = (0..counts.len())
        .map(|bin| at(bin.checked_sub(1)) + 2.0 * counts[bin] + at(Some(bin + 1)))
        .collect();
    let mut highest = 0;
    for (bin, height) in smooth.iter().enumerate() {
        if *height > smooth[highest] {
            highest = bin;
        }
    }
    let half = 0.5 * smooth[highest];
    let low = smooth[..highest].iter().rev().position(|&height| height < half);
    let high = smooth[highest + 1..].iter().position(|&height| height < half);
    let n_bins = low.unwrap_or(highest).min(high.unwrap_or(counts.len() - highest - 1)).max(1);
    let width = histogram.edges[1] - histogram.edges[0];
    Peak {
        mean: f64::midpoint(histogram.edges[highest], histogram.edges[highest + 1]),
        ln_sd: (n_bins as f64 * width / HALF_MAXIMUM_SD).ln(),
    }
}

impl Bins<'_> {
    fn total(&self) -> f64 {
        self.counts.iter().sum::<u64>() as f64
    }

    /// Twice the logarithm of the ratio of the likelihood of perfect cells to that of these.
    fn chi_squared(&self, cells: &grouped::Cells) -> f64 {
        let total = self.total();
        let terms = self.counts.iter().zip(&cells.shares).filter(|(count, _)| **count > 0);
        let terms = terms.map(|(&count, share)| {
            let count = count as f64;
            count * (count / (total * share)).ln()
        });
        (2.0 * sum(terms)).max(0.0)
    }
}

#[cfg(test)]
mod tests;
