//! How many voxels carry the information of one.
//!
//! The mean of n values of variance σ² whose correlation at distance d is ρ(d) has the variance
//! σ²·Σρ(d)/n, the sum taken over all distances, 0 included: Σρ(d) values count as one. What
//! correlates the voxels of an image (the filter of k-space, resampling, smoothing) acts along its
//! axes one by one, so that ρ(d) is the product of the correlations along the axes and the sum the
//! product of three sums, `Π (1 + 2·Σ_l ρ_axis(l))`. For white noise smoothed by a kernel g a sum is
//! (Σg)²/Σg²: 2√π·s for a Gaussian of SD s voxels.
//!
//! # Reference
//!
//! Bartlett, "On the theoretical specification and sampling properties of autocorrelated
//! time-series", J. R. Stat. Soc. Suppl. 8 (1946), doi:10.2307/2983611. Bayley and Hammersley, "The
//! effective number of independent observations in an autocorrelated time series", J. R. Stat. Soc.
//! Suppl. 8 (1946), doi:10.2307/2983560.

use crate::error::{Error, Result};
use crate::image::Mask;
use crate::statistics::moments::{Moments, sum};

/// Voxels, and pairs of voxels, below which nothing is said about correlation.
const N_MIN: usize = 30;
/// Rounds after which the correction for the fitted means stops.
const ROUNDS_MAX: usize = 50;
/// Relative change below which the correction stands still.
const CHANGE_MIN: f64 = 1e-9;

/// Number of neighbouring voxels that carry the information of one, at least 1 and at most the number
/// of voxels looked at.
///
/// `values` and `labels` are in the order of `mask`; a label of 0 or a value that is not finite
/// leaves a voxel out. From each value the mean of its habitat is taken off and the rest is divided by
/// the SD there, so that habitats of different spread count alike. The correlation along each axis is
/// corrected for the means having been fitted and summed until it falls below its error. A habitat
/// that changes slowly over space counts as correlated; one cut out of correlated noise by its
/// values alone looks less so than it is. 1 for fewer than 30 voxels or no spread.
///
/// # Errors
///
/// `Mismatch` at `values` or `labels`: not one per voxel of the mask.
pub fn voxels_per_independent_value(mask: &Mask, values: &[f64], labels: &[u8]) -> Result<f64> {
    for (name, n) in [("values", values.len()), ("labels", labels.len())] {
        if n != mask.len() {
            let message = format!("{n} where the mask has {} voxels", mask.len());
            return Err(Error::mismatch(message).at_field(name));
        }
    }
    let residuals = residuals(values, labels);
    let squares = sum(residuals.iter().flatten().map(|residual| residual * residual));
    let n = residuals.iter().flatten().count();
    if n < N_MIN || squares <= 0.0 {
        return Ok(1.0);
    }
    let field = Field::new(mask, &residuals);
    let variance = squares / n as f64;
    let axes = [0, 1, 2].map(|axis| field.correlations(axis, variance));
    Ok(settle(&axes, n as f64))
}

/// Distance of each value from the mean of its habitat, in SD; `None` for voxels left out.
fn residuals(values: &[f64], labels: &[u8]) -> Vec<Option<f64>> {
    let mut groups: Vec<Vec<f64>> = vec![Vec::new(); 256];
    let used = |value: f64, label: u8| label > 0 && value.is_finite();
    for (&value, &label) in values.iter().zip(labels) {
        if used(value, label) {
            groups[usize::from(label)].push(value);
        }
    }
    let moments: Vec<Option<Moments>> = groups.iter().map(|group| Moments::of(group)).collect();
    let residual = |(&value, &label): (&f64, &u8)| {
        let moments = moments[usize::from(label)].filter(|_| used(value, label))?;
        let away = (value - moments.mean()) / moments.population_variance().sqrt();
        Some(if away.is_finite() { away } else { 0.0 })
    };
    values.iter().zip(labels).map(residual).collect()
}

/// Correlation of voxels at one distance along an axis, and how many pairs gave it.
#[derive(Debug, Clone, Copy)]
struct Lag {
    correlation: f64,
    n_pairs: f64,
}

/// Residuals on the grid; NaN where there is none.
struct Field<'m> {
    mask: &'m Mask,
    residuals: Vec<f64>,
}

impl<'m> Field<'m> {
    fn new(mask: &'m Mask, in_order: &[Option<f64>]) -> Self {
        let mut residuals = vec![f64::NAN; mask.grid().n_voxels()];
        for (&index, residual) in mask.indices().iter().zip(in_order) {
            residuals[index] = residual.unwrap_or(f64::NAN);
        }
        Self { mask, residuals }
    }

    /// Lags 1, 2, … as far as there are 30 pairs and the correlation is positive.
    fn correlations(&self, axis: usize, variance: f64) -> Vec<Lag> {
        let mut lags = Vec::new();
        for lag in 1..self.mask.grid().shape()[axis] {
            let products = self.products(axis, lag);
            let n_pairs = products.len() as f64;
            if products.len() < N_MIN {
                break;
            }
            let correlation = sum(products) / (n_pairs * variance);
            lags.push(Lag { correlation, n_pairs });
            if correlation <= 0.0 {
                break;
            }
        }
        lags
    }

    fn products(&self, axis: usize, lag: usize) -> Vec<f64> {
        let shape = self.mask.grid().shape();
        let stride: usize = shape[..axis].iter().product();
        let has_partner = |index: &&usize| **index / stride % shape[axis] + lag < shape[axis];
        let pairs = self.mask.indices().iter().filter(has_partner);
        pairs
            .map(|&index| self.residuals[index] * self.residuals[index + lag * stride])
            .filter(|product| !product.is_nan())
            .collect()
    }
}

/// Σρ and Σρ² over all lags of one axis, 0 included.
#[derive(Debug, Clone, Copy)]
struct AxisSums {
    plain: f64,
    squared: f64,
}

/// The product of the axes. Taking fitted means off lowers every correlation by product/n, and the
/// error of a correlation where there is none grows with Σρ²: both follow from the product, and so
/// it is found in rounds from 1 on.
fn settle(axes: &[Vec<Lag>; 3], n: f64) -> f64 {
    let (mut product, mut squared) = (1.0_f64, 1.0_f64);
    for _ in 0..ROUNDS_MAX {
        let sums = [0, 1, 2].map(|axis| sum_axis(&axes[axis], product / n, squared));
        let next = sums.iter().map(|axis| axis.plain).product::<f64>().clamp(1.0, n);
        squared = sums.iter().map(|axis| axis.squared).product();
        let change = (next - product).abs();
        product = next;
        if change < CHANGE_MIN * product {
            break;
        }
    }
    product
}

/// Sums until the correlation falls below twice its error for white noise, or once that for noise as
/// correlated as this.
fn sum_axis(lags: &[Lag], offset: f64, squared: f64) -> AxisSums {
    let mut sums = AxisSums { plain: 1.0, squared: 1.0 };
    for lag in lags {
        let correlation = lag.correlation * (1.0 - offset) + offset;
        let error = 2.0_f64.max(squared.sqrt()) / lag.n_pairs.sqrt();
        if correlation < error {
            break;
        }
        sums.plain += 2.0 * correlation;
        sums.squared += 2.0 * correlation * correlation;
    }
    sums
}

#[cfg(test)]
mod tests;
