//! Estimates for every voxel of a mask.

mod bounded;
mod descent;
mod estimator;
mod fits;
mod general;
mod log_linear;
mod rician;
mod segmented;
mod selected;
mod separable;
mod truncated;
mod voxelwise;

pub use estimator::{EchoChoice, FitMethod, FitSettings, estimator};
pub use fits::Fits;
pub use general::{GeneralFit, LeastSquaresFit};
pub use log_linear::{LogLinear, LogLinearFit};
pub use rician::RicianFit;
pub use segmented::SegmentedFit;
pub use selected::SelectedSamples;
pub use separable::SeparableFit;
pub use truncated::TruncatedDecay;
pub use voxelwise::{Voxelwise, voxelwise, voxelwise_into};

use crate::model::{Fit, FitStatus, Headline, Parameter};

/// Σ (sample − mean)² in a scale that neither overflows nor underflows on the way.
fn total_sum_of_squares(samples: &[f64]) -> f64 {
    let scale = samples.iter().fold(0.0_f64, |largest, sample| largest.max(sample.abs()));
    if scale <= 0.0 {
        return 0.0;
    }
    let mean = samples.iter().map(|sample| sample / scale).sum::<f64>() / samples.len() as f64;
    let sum: f64 = samples.iter().map(|sample| (sample / scale - mean).powi(2)).sum();
    // Equal samples leave only the rounding of their mean.
    let rounding = samples.len() as f64 * (4.0 * f64::EPSILON).powi(2);
    if sum <= rounding { 0.0 } else { sum * scale * scale }
}

/// The headline parameter of a separable model: how it and its status follow from the rate.
#[derive(Debug, Clone, Copy)]
struct HeadlineRule {
    headline: Headline,
    bounds: [f64; 2],
}

impl HeadlineRule {
    /// Status of the headline where that of the rate is `rate_status`: an inverse swaps the bounds.
    fn status(self, rate_status: FitStatus) -> FitStatus {
        match (self.headline, rate_status) {
            (Headline::InverseRate, FitStatus::AtLowerBound) => FitStatus::AtUpperBound,
            (Headline::InverseRate, FitStatus::AtUpperBound) => FitStatus::AtLowerBound,
            _ => rate_status,
        }
    }

    /// Writes status, estimates and covariance (given for rate, amplitude) into `fit`; at a bound
    /// the headline is exactly the bound.
    fn report(
        self,
        [rate, amplitude]: [f64; 2],
        status: FitStatus,
        covariance: [f64; 4],
        fit: &mut Fit,
    ) {
        let [low, high] = self.bounds;
        fit.status = self.status(status);
        let headline = match fit.status {
            FitStatus::AtLowerBound => low,
            FitStatus::AtUpperBound => high,
            _ => self.headline.convert(rate).max(low).min(high),
        };
        let derivative = match self.headline {
            Headline::Rate => 1.0,
            Headline::InverseRate => -headline * headline,
        };
        let [variance, mixed, _, amplitude_variance] = covariance;
        let mixed = mixed * derivative;
        fit.estimates.copy_from_slice(&[headline, amplitude]);
        fit.unscaled_covariance.copy_from_slice(&[
            variance * derivative * derivative,
            mixed,
            mixed,
            amplitude_variance,
        ]);
    }
}

/// Parameters with some bounds replaced.
fn with_bounds(parameters: &[Parameter], bounds: &[(String, [f64; 2])]) -> Vec<Parameter> {
    parameters
        .iter()
        .map(|parameter| {
            let own = bounds.iter().find(|(name, _)| name == parameter.name);
            Parameter { bounds: own.map_or(parameter.bounds, |(_, bounds)| *bounds), ..*parameter }
        })
        .collect()
}
