//! σ from the frames before the contrast agent arrives.
//!
//! Temporal SD of each voxel about its own straight line in time, pooled over the voxels at
//! A/σ ≥ 5: σ² = Σ RSS / (voxels · (frames − 2)). The line takes out drift; pulsation and motion
//! stay in and inflate σ.
//!
//! # Reference
//!
//! Friedman and Glover, "Report on a multicenter fMRI quality assurance protocol", Journal of
//! Magnetic Resonance Imaging 2006, doi:10.1002/jmri.20583 (temporal SD after detrending).

use super::selection::{at_high_signal, level_of, require_matching};
use super::{NoiseEstimate, NoiseMethod};
use crate::error::{Error, Result};
use crate::image::{Mask, Series};

/// A line leaves one degree of freedom in three frames.
const MINIMUM_FRAMES: usize = 3;

/// Below this the detrended SD is weakly determined.
const RECOMMENDED_FRAMES: usize = 5;

/// The frames before arrival of the contrast agent.
#[derive(Debug, Clone, Copy)]
pub struct Baseline<'a> {
    /// Volume indices.
    pub frames: &'a [usize],
    /// Time of each of these frames, s, shape `[frames.len()]`.
    pub frame_times_s: &'a [f64],
}

/// σ over the voxels of `mask` from the frames of `baseline`.
///
/// Voxels with a sample that is not finite, or without signal, are left out.
///
/// # Errors
///
/// `Mismatch` when the mask lies on another grid, a frame is not there, or times and frames differ
/// in number; `Value` when there are fewer than three frames, the times do not differ, fewer than
/// 30 voxels are bright enough, or the frames are identical.
pub fn estimate(series: &Series, mask: &Mask, baseline: Baseline<'_>) -> Result<NoiseEstimate> {
    require_matching(series, mask, baseline.frames)?;
    let line = Line::new(baseline)?;
    let (mut amplitudes, mut residuals) = (Vec::new(), Vec::new());
    let mut samples = vec![0.0; baseline.frames.len()];
    for &voxel in mask.indices() {
        for (sample, &frame) in samples.iter_mut().zip(baseline.frames) {
            *sample = series.signal(voxel, frame);
        }
        let (mean, rss) = line.residual(&samples);
        amplitudes.push(mean);
        residuals.push(rss);
    }
    let usable: Vec<usize> =
        (0..mask.len()).filter(|&i| amplitudes[i] > 0.0 && residuals[i].is_finite()).collect();
    let selected = at_high_signal(&amplitudes, &usable, |members| {
        let total: f64 = members.iter().map(|&i| residuals[i]).sum();
        (total / (members.len() * (samples.len() - 2)) as f64).sqrt()
    });
    let n_used = selected.members.len();
    let mut estimate = level_of(selected.sigma, NoiseMethod::DynamicBaseline, n_used)?;
    if samples.len() < RECOMMENDED_FRAMES {
        estimate.warnings.push(format!(
            "noise level from {} baseline frames; {RECOMMENDED_FRAMES} or more are recommended",
            samples.len()
        ));
    }
    Ok(estimate)
}

/// Centred times, ready to take a straight line out of samples.
struct Line {
    times: Vec<f64>,
    sum_of_squares: f64,
}

impl Line {
    fn new(baseline: Baseline<'_>) -> Result<Self> {
        let n = baseline.frames.len();
        if baseline.frame_times_s.len() != n {
            return Err(Error::mismatch(format!(
                "{} times for {n} baseline frames",
                baseline.frame_times_s.len()
            ))
            .at_field("frame_times_s"));
        }
        if n < MINIMUM_FRAMES {
            return Err(Error::value(format!("{n} baseline frames, fewer than {MINIMUM_FRAMES}"))
                .at_field("noise.method")
                .hint("choose another noise.method or give noise.sigma"));
        }
        let mean = baseline.frame_times_s.iter().sum::<f64>() / n as f64;
        let times: Vec<f64> = baseline.frame_times_s.iter().map(|time| time - mean).collect();
        let sum_of_squares = times.iter().map(|time| time * time).sum::<f64>();
        if sum_of_squares.is_finite() && sum_of_squares > 0.0 {
            Ok(Self { times, sum_of_squares })
        } else {
            Err(Error::value("baseline frame times do not differ").at_field("frame_times_s"))
        }
    }

    /// Mean of `samples` and Σ (sample − line)².
    fn residual(&self, samples: &[f64]) -> (f64, f64) {
        let mean = samples.iter().sum::<f64>() / samples.len() as f64;
        let pairs = || self.times.iter().zip(samples);
        let slope = pairs().map(|(t, s)| t * (s - mean)).sum::<f64>() / self.sum_of_squares;
        (mean, pairs().map(|(t, s)| (s - mean - slope * t).powi(2)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::phantom;

    const TIMES_S: [f64; 6] = [0.0, 3.0, 6.5, 9.0, 12.0, 15.5];

    #[test]
    fn a_drifting_baseline_recovers_sigma() {
        let drift = TIMES_S.map(|time| 1.0 + 0.02 * time);
        let (series, mask) = phantom::half_air(4.0, &drift, "baseline");
        let frames = [0, 1, 2, 3, 4, 5];
        let baseline = Baseline { frames: &frames, frame_times_s: &TIMES_S };
        let estimate = estimate(&series, &mask, baseline).unwrap();
        assert!((estimate.level.sigma() / 4.0 - 1.0).abs() < 0.03, "{estimate:?}");
        assert!(estimate.warnings.is_empty());
    }

    #[test]
    fn too_few_frames_or_equal_times_are_refused() {
        let (series, mask) = phantom::half_air(4.0, &[1.0; 4], "baseline-few");
        let of = |frames: &[usize], times: &[f64]| {
            estimate(&series, &mask, Baseline { frames, frame_times_s: times })
        };
        let error = of(&[0, 1], &[0.0, 1.0]).unwrap_err();
        assert_eq!(error.to_string(), "`noise.method`: 2 baseline frames, fewer than 3");
        assert!(of(&[0, 1, 2], &[1.0; 3]).is_err());
        assert!(of(&[0, 1, 2], &[0.0, 1.0]).is_err());
        assert!(of(&[0, 1, 9], &[0.0, 1.0, 2.0]).is_err());
        assert_eq!(of(&[0, 1, 2, 3], &TIMES_S[..4]).unwrap().warnings.len(), 1);
    }
}
