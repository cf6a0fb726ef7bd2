//! What wrong assumptions do to the area under the curve.
//!
//! T10, flip angle and arrival are assumed, not drawn anew in each voxel: their errors shift all
//! voxels together. They never enter the random uncertainty; they are reported beside it, one curve
//! (usually the mean of the volume of interest) at a time.

use super::estimator::{IaucEstimator, IaucSettings, T10Source};
use crate::acquisition::Dynamic;
use crate::error::Result;
use crate::model::{Estimator, Fit, VoxelData};

/// Relative error of the assumed T10.
const T10_ERROR: f64 = 0.2;

/// Relative error of the assumed flip angle.
const FLIP_ANGLE_ERROR: f64 = 0.1;

/// Shifts of the area under one curve, in its unit: value under the wrong assumption − value.
///
/// NaN where an assumption is not used (T10 of a relative enhancement), or where the changed
/// assumption gives no value (too few baseline frames, window incomplete, saturated).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SystematicShifts {
    /// The area under the assumptions as given.
    pub nominal: f64,
    /// Shift when T10 is assumed 20 % too short.
    pub sys_t10_low: f64,
    /// Shift when T10 is assumed 20 % too long.
    pub sys_t10_high: f64,
    /// Shift when the flip angle is assumed 10 % too small.
    pub sys_flip_angle_low: f64,
    /// Shift when the flip angle is assumed 10 % too large.
    pub sys_flip_angle_high: f64,
    /// Shift when the arrival is set one frame too early.
    pub sys_arrival_early: f64,
    /// Shift when the arrival is set one frame too late.
    pub sys_arrival_late: f64,
}

/// The shifts for `samples` (signals of all frames) under `settings`. `t10_s` is the curve's T10 in s
/// where `settings.t10` is a map; else it is ignored.
///
/// One frame is the median spacing of the frame times. A shifted arrival moves the window and the
/// baseline frames together, as it would in the estimate.
///
/// # Errors
///
/// As [`IaucEstimator::new`] for the settings as given.
pub fn systematic_shifts(
    settings: &IaucSettings,
    samples: &[f64],
    t10_s: f64,
) -> Result<SystematicShifts> {
    let t10 = match settings.t10 {
        T10Source::PerVoxel => T10Source::Uniform(t10_s),
        known => known,
    };
    let settings = IaucSettings { t10, ..settings.clone() };
    let nominal = area(&IaucEstimator::new(&settings)?, samples);
    let shift = |changed: Option<IaucSettings>| {
        let estimator = changed.and_then(|changed| IaucEstimator::new(&changed).ok());
        estimator.map_or(f64::NAN, |estimator| area(&estimator, samples) - nominal)
    };
    let frame_s = median_spacing_s(settings.protocol.frame_times_s());
    let arrival = |frames: f64| {
        let arrival_s = settings.arrival_s + frames * frame_s;
        Some(IaucSettings { arrival_s, ..settings.clone() })
    };
    Ok(SystematicShifts {
        nominal,
        sys_t10_low: shift(with_t10(&settings, 1.0 - T10_ERROR)),
        sys_t10_high: shift(with_t10(&settings, 1.0 + T10_ERROR)),
        sys_flip_angle_low: shift(with_flip_angle(&settings, 1.0 - FLIP_ANGLE_ERROR)),
        sys_flip_angle_high: shift(with_flip_angle(&settings, 1.0 + FLIP_ANGLE_ERROR)),
        sys_arrival_early: shift(arrival(-1.0)),
        sys_arrival_late: shift(arrival(1.0)),
    })
}

fn area(estimator: &IaucEstimator, samples: &[f64]) -> f64 {
    let mut fit = Fit::new(1);
    let mut scratch = vec![0.0; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed: &[] }, &mut scratch, &mut fit);
    fit.estimates[0]
}

fn with_t10(settings: &IaucSettings, factor: f64) -> Option<IaucSettings> {
    match settings.t10 {
        T10Source::Uniform(t10_s) => {
            Some(IaucSettings { t10: T10Source::Uniform(factor * t10_s), ..settings.clone() })
        }
        T10Source::PerVoxel | T10Source::Unknown => None,
    }
}

fn with_flip_angle(settings: &IaucSettings, factor: f64) -> Option<IaucSettings> {
    let protocol = Dynamic::new(
        settings.protocol.frame_times_s().to_vec(),
        settings.protocol.repetition_time_s(),
        factor * settings.protocol.flip_angle_rad(),
    );
    Some(IaucSettings { protocol: protocol.ok()?, ..settings.clone() })
}

fn median_spacing_s(times_s: &[f64]) -> f64 {
    let mut spacings: Vec<f64> = times_s.windows(2).map(|pair| pair[1] - pair[0]).collect();
    spacings.sort_by(f64::total_cmp);
    let middle = spacings.len() / 2;
    spacings.get(middle).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perfusion::{
        ArterialInput, Hematocrit, IaucVariant, IntegrationWindow, SpoiledGradientEcho,
        TissueParameters, extended_tofts,
    };

    const ARRIVAL_S: f64 = 30.0;

    /// Parker, hematocrit 0.42, Ktrans 0.5/min, ve 0.4, vp 0.05; TR 4 ms, 15°, T10 1.2 s, dt 3 s.
    fn tissue() -> (IaucSettings, Vec<f64>) {
        let times: Vec<f64> = (0..50).map(|k| f64::from(k) * 3.0).collect();
        let fine: Vec<f64> = (0..=14_700).map(|k| f64::from(k) * 0.01).collect();
        let plasma: Vec<f64> = fine
            .iter()
            .map(|t| ArterialInput::Parker.plasma(t - ARRIVAL_S, Hematocrit::DEFAULT))
            .collect();
        let mut curve = vec![0.0; fine.len()];
        let tissue = TissueParameters { ktrans_per_s: 0.5 / 60.0, ve: 0.4, vp: 0.05 };
        extended_tofts(&fine, &plasma, &tissue, &mut curve).unwrap();
        let settings = IaucSettings {
            protocol: Dynamic::new(times, 0.004, 15_f64.to_radians()).unwrap(),
            relaxivity_per_s_per_mm: 4.5,
            t10: T10Source::Uniform(1.2),
            arrival_s: ARRIVAL_S,
            window: IntegrationWindow::Seconds60,
            variant: IaucVariant::Concentration,
        };
        let equation = SpoiledGradientEcho::new(&settings.protocol, 4.5).unwrap();
        let voxel = equation.with_baseline(100.0, 1.2).unwrap();
        let samples = curve.iter().step_by(300).map(|&c| voxel.signal(c)).collect();
        (settings, samples)
    }

    #[test]
    fn sensitivities_are_those_of_the_method() {
        let (settings, samples) = tissue();
        let shifts = systematic_shifts(&settings, &samples, f64::NAN).unwrap();
        let percent = |shift: f64| 100.0 * shift / shifts.nominal;
        // The area on frames of 3 s; 42.6 mM·s with infinitely fine ones.
        assert!((shifts.nominal - 42.6).abs() < 0.1, "{}", shifts.nominal);
        // Half a unit of the last digit the method states.
        for (found, stated, half_digit) in [
            (shifts.sys_t10_low, 41.0, 0.5),
            (shifts.sys_t10_high, -23.0, 0.5),
            (shifts.sys_flip_angle_low, 12.0, 0.5),
            (shifts.sys_flip_angle_high, -7.5, 0.5),
        ] {
            assert!((percent(found) - stated).abs() <= half_digit, "{} {stated}", percent(found));
        }
        // tests/it/golden/dce.py. A late arrival also takes the first frame of the bolus into the
        // baseline: 4.45 %, not the 5.05 % of a window that moves alone.
        assert!((percent(shifts.sys_arrival_early) + 5.321_441).abs() < 1e-3);
        assert!((percent(shifts.sys_arrival_late) - 4.446_305).abs() < 1e-3);
    }

    #[test]
    fn a_map_of_t10_gives_the_shifts_of_the_curves_own_t10() {
        let (settings, samples) = tissue();
        let mapped = IaucSettings { t10: T10Source::PerVoxel, ..settings.clone() };
        let expected = systematic_shifts(&settings, &samples, f64::NAN).unwrap();
        assert_eq!(systematic_shifts(&mapped, &samples, 1.2).unwrap(), expected);
        assert!(systematic_shifts(&mapped, &samples, f64::NAN).is_err());
    }

    #[test]
    fn relative_enhancement_feels_the_arrival_alone() {
        let (settings, samples) = tissue();
        let settings = IaucSettings {
            t10: T10Source::Unknown,
            variant: IaucVariant::RelativeEnhancement,
            ..settings
        };
        let shifts = systematic_shifts(&settings, &samples, f64::NAN).unwrap();
        assert!(shifts.sys_t10_low.is_nan() && shifts.sys_t10_high.is_nan());
        assert!(shifts.sys_flip_angle_low.abs() < 1e-12);
        assert!(shifts.sys_arrival_late > 0.0 && shifts.sys_arrival_early < 0.0);
    }

    #[test]
    fn a_shift_that_cannot_be_had_is_nan() {
        let (settings, samples) = tissue();
        let early = IaucSettings { arrival_s: 9.0, ..settings.clone() };
        let shifts = systematic_shifts(&early, &samples, f64::NAN).unwrap();
        assert!(shifts.nominal.is_finite() && shifts.sys_arrival_early.is_nan());
        let last = IaucSettings { arrival_s: 87.0, ..settings };
        let shifts = systematic_shifts(&last, &samples, f64::NAN).unwrap();
        assert!(shifts.nominal.is_finite() && shifts.sys_arrival_late.is_nan());
    }
}
