//! Counts of values in bins.
//!
//! # Reference
//!
//! Freedman and Diaconis, "On the histogram as a density estimator: L2 theory", Z. Wahrsch. verw.
//! Gebiete 57 (1981), doi:10.1007/BF01025868.

use super::quantile::quantiles;
use crate::error::{Error, Result};

/// Bins with rising edges; a bin holds its lower edge, the last one both its edges.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// `n_bins + 1` rising edges, unit of the values.
    pub edges: Vec<f64>,
    /// Values in each bin.
    pub counts: Vec<u64>,
    /// Finite values below the first or above the last edge.
    pub n_outside: u64,
}

impl Histogram {
    /// Equal bins from minimum to maximum, of width 2·IQR·n^(−1/3), at most `n_bins_max` of them.
    ///
    /// Where the interquartile range is 0 the number of bins is that of Sturges, 1 + log₂ n. Equal
    /// values give one bin of width 0. `None` for no values, where one is not finite, or where
    /// `n_bins_max` is 0.
    pub fn freedman_diaconis(values: &[f64], n_bins_max: usize) -> Option<Self> {
        let [minimum, p25, p75, maximum] = quantiles(values, [0.0, 0.25, 0.75, 1.0])?;
        let range = maximum - minimum;
        if n_bins_max == 0 || !range.is_finite() {
            return None;
        }
        let n = values.len() as f64;
        let width = 2.0 * (p75 - p25) / n.cbrt();
        let wanted = if width > 0.0 { (range / width).ceil() } else { 1.0 + n.log2().ceil() };
        let n_bins = if range > 0.0 { (wanted as usize).clamp(1, n_bins_max) } else { 1 };
        let edges = equal_edges(minimum, maximum, n_bins);
        Some(Self::count(values, edges))
    }

    /// Counts in the bins between `edges`; values outside and values that are not finite are left
    /// out, the former counted in [`Histogram::n_outside`].
    ///
    /// # Errors
    ///
    /// `Value` at `edges`: fewer than two, one not finite, or not rising.
    pub fn with_edges(values: &[f64], edges: &[f64]) -> Result<Self> {
        if edges.len() < 2 {
            let message = format!("a histogram needs at least 2 edges, got {}", edges.len());
            return Err(Error::value(message).at_field("edges"));
        }
        let wrong = |pair: &&[f64]| !(pair.is_sorted_by(|low, high| low < high) && finite(pair));
        if let Some(pair) = edges.windows(2).find(wrong) {
            let message = format!("edges {pair:?} do not rise");
            return Err(Error::value(message).at_field("edges"));
        }
        let kept: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        Ok(Self::count(&kept, edges.to_vec()))
    }

    /// Sum of `weights` in each bin, in the order of the values; values outside and values or
    /// weights that are not finite count nothing.
    ///
    /// # Errors
    ///
    /// `Mismatch` when there is not one weight per value.
    pub fn weighted_counts(&self, values: &[f64], weights: &[f64]) -> Result<Vec<f64>> {
        if values.len() != weights.len() {
            let message = format!("{} weights for {} values", weights.len(), values.len());
            return Err(Error::mismatch(message).at_field("weights"));
        }
        let mut sums = vec![0.0; self.counts.len()];
        for (&value, &weight) in values.iter().zip(weights) {
            if let Some(bin) = self.bin_of(value).filter(|_| weight.is_finite()) {
                sums[bin] += weight;
            }
        }
        Ok(sums)
    }

    fn bin_of(&self, value: f64) -> Option<usize> {
        let n_bins = self.counts.len();
        let is_inside = self.edges[0] <= value && value <= self.edges[n_bins];
        let above = || self.edges.partition_point(|&edge| edge <= value);
        is_inside.then(|| above().clamp(1, n_bins) - 1)
    }

    fn count(values: &[f64], edges: Vec<f64>) -> Self {
        let counts = vec![0; edges.len() - 1];
        let mut histogram = Self { edges, counts, n_outside: 0 };
        for &value in values {
            match histogram.bin_of(value) {
                Some(bin) => histogram.counts[bin] += 1,
                None => histogram.n_outside += 1,
            }
        }
        histogram
    }
}

fn finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

fn equal_edges(minimum: f64, maximum: f64, n_bins: usize) -> Vec<f64> {
    let width = (maximum - minimum) / n_bins as f64;
    let mut edges: Vec<f64> = (0..=n_bins).map(|bin| minimum + bin as f64 * width).collect();
    edges[n_bins] = maximum;
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_holds_its_lower_edge_and_the_last_bin_both() {
        let values = [0.0, 0.5, 1.0, 1.5, 2.0, 2.1, -0.1, f64::NAN];
        let histogram = Histogram::with_edges(&values, &[0.0, 1.0, 2.0]).unwrap();
        assert_eq!(histogram.counts, [2, 3]);
        assert_eq!(histogram.n_outside, 2);
    }

    #[test]
    fn width_follows_freedman_and_diaconis_up_to_the_cap() {
        // 0…999: IQR 499.5, width 99.9, range 999: exactly 10 bins of 100 values.
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let histogram = Histogram::freedman_diaconis(&values, 512).unwrap();
        assert_eq!(histogram.counts.iter().sum::<u64>(), 1000);
        assert!((10..=11).contains(&histogram.counts.len()));
        assert_eq!(Histogram::freedman_diaconis(&values, 4).unwrap().counts, [250; 4]);
    }

    #[test]
    fn no_spread_gives_one_bin_and_no_iqr_falls_back() {
        assert_eq!(Histogram::freedman_diaconis(&[3.0; 5], 64).unwrap().counts, [5]);
        let mut values = vec![0.0; 15];
        values.push(1.0);
        assert_eq!(Histogram::freedman_diaconis(&values, 64).unwrap().counts, [15, 0, 0, 0, 1]);
        assert_eq!(Histogram::freedman_diaconis(&[], 64), None);
        assert_eq!(Histogram::freedman_diaconis(&[1.0], 0), None);
    }

    #[test]
    fn edges_must_rise() {
        for edges in [vec![], vec![1.0], vec![1.0, 1.0], vec![0.0, f64::NAN], vec![2.0, 1.0]] {
            let error = Histogram::with_edges(&[1.0], &edges).unwrap_err();
            assert_eq!(error.field(), Some("edges"));
        }
    }

    #[test]
    fn weights_are_summed_bin_by_bin() {
        let histogram = Histogram::with_edges(&[0.0, 0.5, 1.0, 2.0], &[0.0, 1.0, 2.0]).unwrap();
        let values = [0.0, 0.5, 1.0, 2.0, 3.0, 0.1, f64::NAN];
        let weights = [1.0, 2.0, 4.0, 8.0, 16.0, f64::INFINITY, 32.0];
        assert_eq!(histogram.weighted_counts(&values, &weights).unwrap(), [3.0, 12.0]);
        assert!(histogram.weighted_counts(&[1.0], &[]).is_err());
    }
}
