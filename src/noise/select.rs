//! Which estimator of σ is run.
//!
//! Automatic order: the baseline frames of a dynamic series; repeated images; the residuals of a
//! fit with at least four samples; air, found without a mask where none is given.
//!
//! # Reference
//!
//! Dietrich et al., Journal of Magnetic Resonance Imaging 2007, doi:10.1002/jmri.20969 (repeated
//! images before background: the latter fails with parallel imaging and filters).

use super::baseline::{self, Baseline};
use super::residual::{self, Residuals};
use super::{NoiseDistribution, NoiseEstimate, NoiseLevel, NoiseMethod, background, repeat};
use crate::error::{Error, Result};
use crate::image::{Mask, Series};

/// Residuals of fewer samples per voxel hardly tell noise from the model.
const MINIMUM_SAMPLES_FOR_RESIDUALS: usize = 4;

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoiseChoice {
    /// The best method that the data allow.
    Automatic,
    /// Exactly this method, estimated from the data.
    Method(NoiseMethod),
    /// σ known beforehand, signal units per complex channel.
    Given {
        /// σ.
        sigma: f64,
        /// Distribution of the magnitudes.
        distribution: NoiseDistribution,
    },
}

/// What the methods may look at; each uses its part.
#[derive(Debug, Clone, Copy)]
pub struct NoiseInputs<'a> {
    /// The images.
    pub series: &'a Series,
    /// Voxels with signal of interest.
    pub mask: &'a Mask,
    /// Groups of volumes of equal weighting.
    pub repeats: &'a [Vec<usize>],
    /// Columns of the fit over `mask`, where it was run.
    pub residuals: Option<Residuals<'a>>,
    /// Voxels of air, where known; else they are searched in the first volume.
    pub air: Option<&'a Mask>,
    /// Frames before arrival, in a dynamic series.
    pub baseline: Option<Baseline<'a>>,
}

/// Runs the method of `choice` on its part of `inputs`.
///
/// # Errors
///
/// `Value` when the data do not offer what the method needs; else those of the method.
pub fn estimate(choice: NoiseChoice, inputs: &NoiseInputs<'_>) -> Result<NoiseEstimate> {
    let method = match choice {
        NoiseChoice::Given { sigma, distribution } => {
            let level = NoiseLevel::new(sigma, distribution, NoiseMethod::Given, 0)?;
            return Ok(NoiseEstimate { level, agreement: None, warnings: Vec::new() });
        }
        NoiseChoice::Method(method) => method,
        NoiseChoice::Automatic => automatic(inputs),
    };
    match method {
        NoiseMethod::Repeat => repeat::estimate(inputs.series, inputs.mask, inputs.repeats),
        NoiseMethod::Residual => {
            residual::estimate(inputs.residuals.ok_or_else(|| missing(method, "a fit"))?)
        }
        NoiseMethod::Background => from_air(inputs),
        NoiseMethod::DynamicBaseline => {
            let frames = inputs.baseline.ok_or_else(|| missing(method, "baseline frames"))?;
            baseline::estimate(inputs.series, inputs.mask, frames)
        }
        NoiseMethod::Given => Err(missing(method, "noise.sigma")),
    }
}

/// The method that [`NoiseChoice::Automatic`] stands for.
pub fn automatic(inputs: &NoiseInputs<'_>) -> NoiseMethod {
    let enough = inputs.series.n_volumes() >= MINIMUM_SAMPLES_FOR_RESIDUALS;
    if inputs.baseline.is_some() {
        NoiseMethod::DynamicBaseline
    } else if inputs.repeats.iter().any(|group| group.len() >= 2) {
        NoiseMethod::Repeat
    } else if inputs.residuals.is_some() && enough {
        NoiseMethod::Residual
    } else {
        NoiseMethod::Background
    }
}

fn from_air(inputs: &NoiseInputs<'_>) -> Result<NoiseEstimate> {
    let volumes: Vec<usize> = (0..inputs.series.n_volumes()).collect();
    if let Some(air) = inputs.air {
        return background::estimate(inputs.series, air, &volumes);
    }
    let air = background::find(inputs.series, 0)?;
    background::estimate(inputs.series, &air, &volumes)
}

fn missing(method: NoiseMethod, what: &str) -> Error {
    Error::value(format!("method `{}` needs {what}", method.name()))
        .at_field("noise.method")
        .hint("choose another noise.method or give noise.sigma")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::phantom;

    #[test]
    fn automatic_takes_the_best_that_the_data_allow() {
        let (series, mask) = phantom::half_air(5.0, &[1.0, 1.0, 1.0, 1.0], "select");
        let (rss, nu, amplitudes) = (vec![75.0; 100], vec![3; 100], vec![200.0; 100]);
        let residuals = Residuals {
            residual_sum_of_squares: &rss,
            degrees_of_freedom: &nu,
            amplitudes: &amplitudes,
        };
        let frames = Baseline { frames: &[0, 1, 2, 3], frame_times_s: &[0.0, 1.0, 2.0, 3.0] };
        let none = NoiseInputs {
            series: &series,
            mask: &mask,
            repeats: &[],
            residuals: None,
            air: None,
            baseline: None,
        };
        let groups = [vec![0, 1]];
        for (inputs, expected) in [
            (NoiseInputs { baseline: Some(frames), ..none }, NoiseMethod::DynamicBaseline),
            (NoiseInputs { repeats: &groups, ..none }, NoiseMethod::Repeat),
            (NoiseInputs { residuals: Some(residuals), ..none }, NoiseMethod::Residual),
            (none, NoiseMethod::Background),
        ] {
            let level = estimate(NoiseChoice::Automatic, &inputs).unwrap().level;
            assert_eq!(level.method(), expected);
            if expected != NoiseMethod::Residual {
                assert!((level.sigma() / 5.0 - 1.0).abs() < 0.03, "{level:?}");
            }
            assert!(estimate(NoiseChoice::Method(expected), &inputs).is_ok());
        }
        for method in [NoiseMethod::Residual, NoiseMethod::DynamicBaseline, NoiseMethod::Given] {
            assert!(estimate(NoiseChoice::Method(method), &none).is_err());
        }
    }

    #[test]
    fn a_given_sigma_is_taken_as_it_is() {
        let (series, mask) = phantom::half_air(5.0, &[1.0], "given");
        let inputs = NoiseInputs {
            series: &series,
            mask: &mask,
            repeats: &[],
            residuals: None,
            air: None,
            baseline: None,
        };
        let given = |sigma| {
            let distribution = NoiseDistribution::Gaussian;
            estimate(NoiseChoice::Given { sigma, distribution }, &inputs)
        };
        let level = given(2.5).unwrap().level;
        assert_eq!(level.sigma().to_bits(), 2.5_f64.to_bits());
        assert_eq!(level.distribution(), NoiseDistribution::Gaussian);
        assert!(given(0.0).is_err());
    }
}
