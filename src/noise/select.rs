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
use super::{
    NoiseDistribution, NoiseEstimate, NoiseLevel, NoiseMethod, agreement, background, local_filter,
    piesno, repeat, wavelet,
};
use crate::error::{Error, Result};
use crate::image::{Mask, Series};

/// Residuals of fewer samples per voxel hardly tell noise from the model.
const MINIMUM_SAMPLES_FOR_RESIDUALS: usize = 4;

/// Volumes that a method looks at when it only stands beside the chosen one.
const VOLUMES_TO_COMPARE: usize = 8;

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
    /// Receiver channels whose squares were added up in a magnitude; 1 for one channel and SENSE.
    pub n_channels: usize,
}

/// Runs the method of `choice` on its part of `inputs`, and compares it with all others that apply.
///
/// The others see at most eight volumes, which is enough to compare; one that cannot work on these
/// data, or doubts itself, is left out. The choice stands whatever they say: `agreement` and, beyond 10 %, a warning
/// tell the difference. A noise level that is given is compared with nothing.
///
/// # Errors
///
/// `Value` when the data do not offer what the method needs; else those of the method.
pub fn estimate(choice: NoiseChoice, inputs: &NoiseInputs<'_>) -> Result<NoiseEstimate> {
    let mut estimate = match choice {
        NoiseChoice::Given { sigma, distribution } => {
            let level = NoiseLevel::new(sigma, distribution, NoiseMethod::Given, 0)?;
            let (others, warnings) = (Vec::new(), Vec::new());
            return Ok(NoiseEstimate { level, agreement: None, others, warnings });
        }
        NoiseChoice::Method(method) => run(method, inputs, &every_volume(inputs.series))?,
        NoiseChoice::Automatic => run(automatic(inputs), inputs, &every_volume(inputs.series))?,
    };
    let volumes = volumes_to_compare(inputs.series);
    let others = NoiseMethod::ESTIMATED.into_iter().filter(|&method| {
        method != estimate.level.method() && (method != NoiseMethod::Residual || enough(inputs))
    });
    let others = others.filter_map(|method| run(method, inputs, &volumes).ok());
    let others =
        others.filter(|other| other.warnings.is_empty()).map(|other| other.level).collect();
    agreement::compare(&mut estimate, others);
    Ok(estimate)
}

fn every_volume(series: &Series) -> Vec<usize> {
    (0..series.n_volumes()).collect()
}

/// At most eight volumes at equal distances, the first among them.
fn volumes_to_compare(series: &Series) -> Vec<usize> {
    let step = series.n_volumes().div_ceil(VOLUMES_TO_COMPARE).max(1);
    (0..series.n_volumes()).step_by(step).collect()
}

/// One method; those that may look at any volume look at `volumes`.
fn run(method: NoiseMethod, inputs: &NoiseInputs<'_>, volumes: &[usize]) -> Result<NoiseEstimate> {
    match method {
        NoiseMethod::Repeat => repeat::estimate(inputs.series, inputs.mask, inputs.repeats),
        NoiseMethod::Residual => {
            residual::estimate(inputs.residuals.ok_or_else(|| missing(method, "a fit"))?)
        }
        NoiseMethod::Background => from_air(inputs, volumes),
        NoiseMethod::Piesno => piesno::estimate(inputs.series, volumes, inputs.n_channels),
        NoiseMethod::Wavelet => wavelet::estimate(inputs.series, inputs.mask, volumes),
        NoiseMethod::LocalFilter => local_filter::estimate(inputs.series, inputs.mask, volumes),
        NoiseMethod::DynamicBaseline => {
            let frames = inputs.baseline.ok_or_else(|| missing(method, "baseline frames"))?;
            baseline::estimate(inputs.series, inputs.mask, frames)
        }
        NoiseMethod::Given => Err(missing(method, "noise.sigma")),
    }
}

fn enough(inputs: &NoiseInputs<'_>) -> bool {
    inputs.series.n_volumes() >= MINIMUM_SAMPLES_FOR_RESIDUALS
}

/// The method that [`NoiseChoice::Automatic`] stands for.
pub fn automatic(inputs: &NoiseInputs<'_>) -> NoiseMethod {
    if inputs.baseline.is_some() {
        NoiseMethod::DynamicBaseline
    } else if inputs.repeats.iter().any(|group| group.len() >= 2) {
        NoiseMethod::Repeat
    } else if inputs.residuals.is_some() && enough(inputs) {
        NoiseMethod::Residual
    } else {
        NoiseMethod::Background
    }
}

fn from_air(inputs: &NoiseInputs<'_>, volumes: &[usize]) -> Result<NoiseEstimate> {
    if let Some(air) = inputs.air {
        return background::estimate(inputs.series, air, volumes);
    }
    let air = background::find(inputs.series, 0)?;
    background::estimate(inputs.series, &air, volumes)
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
            n_channels: 1,
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

    /// Residuals of the mean of six equal volumes.
    fn mean_model(series: &Series, mask: &Mask) -> (Vec<f64>, Vec<u16>, Vec<f64>) {
        let n = series.n_volumes();
        let (mut rss, mut amplitudes) = (Vec::new(), Vec::new());
        let mut samples = vec![0.0; n];
        for &voxel in mask.indices() {
            series.signals_into(voxel, &mut samples);
            let mean = samples.iter().sum::<f64>() / n as f64;
            rss.push(samples.iter().map(|sample| (sample - mean).powi(2)).sum());
            amplitudes.push(mean);
        }
        (rss, vec![n as u16 - 1; mask.len()], amplitudes)
    }

    #[test]
    fn all_six_methods_recover_sigma_and_agree() {
        let (series, mask) = phantom::half_air(5.0, &[1.0; 6], "six");
        let (rss, nu, amplitudes) = mean_model(&series, &mask);
        let times = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let groups = [vec![0, 1, 2], vec![3, 4, 5]];
        let inputs = NoiseInputs {
            series: &series,
            mask: &mask,
            repeats: &groups,
            residuals: Some(Residuals {
                residual_sum_of_squares: &rss,
                degrees_of_freedom: &nu,
                amplitudes: &amplitudes,
            }),
            air: None,
            baseline: Some(Baseline { frames: &[0, 1, 2, 3, 4, 5], frame_times_s: &times }),
            n_channels: 1,
        };
        for method in NoiseMethod::ESTIMATED {
            let found = estimate(NoiseChoice::Method(method), &inputs).unwrap();
            assert_eq!((found.level.method(), found.others.len()), (method, 5));
            assert!((found.level.sigma() / 5.0 - 1.0).abs() < 0.03, "{found:?}");
            assert!(found.agreement.is_some_and(|agreement| agreement < 0.06), "{found:?}");
            assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        }
        let distribution = NoiseDistribution::Rician;
        let given = estimate(NoiseChoice::Given { sigma: 8.0, distribution }, &inputs).unwrap();
        assert!((given.level.sigma() - 8.0).abs() < 1e-15 && given.others.is_empty());
        assert!(given.warnings.is_empty());
    }

    #[test]
    fn methods_that_cannot_work_are_left_out_of_the_comparison() {
        // Air blanked: neither background nor voxels of pure noise.
        let (series, all) = phantom::half_air(5.0, &[1.0, 1.0], "left out");
        let is_air = |voxel: usize| all.grid().voxel(voxel)[1] < phantom::EDGE / 2;
        let signals = (0..2 * all.len()).map(|i| {
            let (voxel, volume) = (i % all.len(), i / all.len());
            if is_air(voxel) { 0.0 } else { series.signal(voxel, volume) }
        });
        let blanked = Series::from_signals(*all.grid(), signals.collect()).unwrap();
        let groups = [vec![0, 1]];
        let inputs = NoiseInputs {
            series: &blanked,
            mask: &all,
            repeats: &groups,
            residuals: None,
            air: None,
            baseline: None,
            n_channels: 1,
        };
        let found = estimate(NoiseChoice::Automatic, &inputs).unwrap();
        let others: Vec<NoiseMethod> = found.others.iter().map(NoiseLevel::method).collect();
        assert_eq!(others, [NoiseMethod::Wavelet]);
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        let texts = [NoiseMethod::Background, NoiseMethod::Piesno]
            .map(|method| estimate(NoiseChoice::Method(method), &inputs).unwrap_err().to_string());
        assert!(texts[0].contains("voxels look like air, fewer than 1000"), "{}", texts[0]);
        assert!(texts[1].contains("method `piesno`"), "{}", texts[1]);
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
            n_channels: 1,
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
