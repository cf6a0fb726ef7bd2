//! Area under a curve that is linear between frames.
//!
//! ```text
//! IAUC_T = ∫ C dt from arrival to arrival + T = Σ h_k·C_k
//! ```
//!
//! C is linear between frames, so the integral is exact on {arrival, frames inside, arrival + T} with
//! C interpolated at both ends: a weighted sum. Value, variance and baseline term all use the same
//! weights.
//!
//! Integrating to whole frames only is a known shortcut and is not done; nothing is extrapolated.
//!
//! # Reference
//!
//! Evelhoch, "Key factors in the acquisition of contrast kinetic data for oncology", J Magn Reson
//! Imaging 1999, `doi:10.1002/(SICI)1522-2586(199909)10:3<254::AID-JMRI5>3.0.CO;2-9`.

/// How long after the arrival the curve is integrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum IntegrationWindow {
    /// 30 s.
    Seconds30,
    /// 60 s, the usual one.
    #[default]
    Seconds60,
    /// 90 s.
    Seconds90,
    /// 120 s.
    Seconds120,
    /// 180 s.
    Seconds180,
}

impl IntegrationWindow {
    /// All of them, shortest first.
    pub const ALL: [Self; 5] =
        [Self::Seconds30, Self::Seconds60, Self::Seconds90, Self::Seconds120, Self::Seconds180];

    /// Length in s.
    pub fn duration_s(self) -> f64 {
        match self {
            Self::Seconds30 => 30.0,
            Self::Seconds60 => 60.0,
            Self::Seconds90 => 90.0,
            Self::Seconds120 => 120.0,
            Self::Seconds180 => 180.0,
        }
    }

    /// The window of that length; `None` for a length that has none.
    pub fn from_duration_s(duration_s: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|window| (window.duration_s() - duration_s).abs() < 1e-9)
    }
}

/// Rounding of frame times that the end of a window may lie beyond the last frame, s.
pub(super) const END_TOLERANCE_S: f64 = 1e-6;

/// Weights of the frames whose weighted sum is the integral of the piecewise-linear curve over
/// `interval_s`.
///
/// `times_s` rise strictly. `weights`, shape `[n_frames]`, is overwritten; frames that `is_usable`
/// refuses get weight 0 and are bridged by the line between their neighbours. Returns whether the
/// usable frames cover the interval; where they do not, the weights mean nothing.
pub(super) fn weights_into(
    times_s: &[f64],
    interval_s: [f64; 2],
    is_usable: impl Fn(usize) -> bool,
    weights: &mut [f64],
) -> bool {
    debug_assert_eq!(times_s.len(), weights.len());
    weights.fill(0.0);
    let [start, end] = interval_s;
    let mut frames = times_s.iter().enumerate().filter(|&(frame, _)| is_usable(frame));
    let Some((mut left, &(mut left_time))) = frames.next() else { return false };
    let covers_start = left_time <= start + END_TOLERANCE_S;
    for (right, &right_time) in frames {
        let (from, to) = (start.max(left_time), end.min(right_time));
        if from < to {
            let midpoint = 0.5 * (from + to);
            let step = right_time - left_time;
            weights[left] += (to - from) * (right_time - midpoint) / step;
            weights[right] += (to - from) * (midpoint - left_time) / step;
        }
        (left, left_time) = (right, right_time);
    }
    covers_start && end <= left_time + END_TOLERANCE_S && start < end
}

/// Weights, shape `[n_frames]`, of the area from `start_s` over `duration_s` under the curve that
/// is linear between `times_s` (s, strictly rising). `None` when the frames do not cover the whole
/// interval or it is empty: nothing is extrapolated.
pub fn integration_weights(times_s: &[f64], start_s: f64, duration_s: f64) -> Option<Vec<f64>> {
    let mut weights = vec![0.0; times_s.len()];
    let interval_s = [start_s, start_s + duration_s];
    weights_into(times_s, interval_s, |_| true, &mut weights).then_some(weights)
}

/// Area from `start_s` over `duration_s` under the curve that is linear between (`times_s`,
/// `values`), unit of the values times s.
///
/// `None` when lengths differ or the frames do not cover the whole interval; NaN when a value that
/// counts is NaN.
pub fn area_under_curve(
    times_s: &[f64],
    values: &[f64],
    start_s: f64,
    duration_s: f64,
) -> Option<f64> {
    if times_s.len() != values.len() {
        return None;
    }
    let weights = integration_weights(times_s, start_s, duration_s)?;
    Some(weights.iter().zip(values).filter(|(h, _)| **h > 0.0).map(|(h, value)| h * value).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn irregular() -> Vec<f64> {
        let mut time = -20.0;
        (0..60)
            .map(|frame| {
                time += 1.0 + f64::from(frame % 7) * 0.37;
                time
            })
            .collect()
    }

    #[test]
    fn a_constant_of_one_gives_sixty_for_arrival_on_and_between_frames() {
        let regular: Vec<f64> = (0..40).map(|frame| f64::from(frame) * 3.0).collect();
        let on_frames = area_under_curve(&regular, &[1.0; 40], 30.0, 60.0).unwrap();
        assert_eq!(on_frames.to_bits(), 60.0_f64.to_bits());
        for start in [0.0, 0.123, 5.5, 17.9] {
            let times = irregular();
            let area = area_under_curve(&times, &vec![1.0; times.len()], start, 60.0).unwrap();
            // Sixty rounded additions: at most 60 ulp of 60.
            assert!((area - 60.0).abs() < 1e-12, "{area}");
        }
    }

    #[test]
    fn a_line_from_the_arrival_gives_1800_times_its_slope_on_irregular_frames() {
        let times = irregular();
        for start in [0.0, 0.123, 5.5, 17.9] {
            let line: Vec<f64> = times.iter().map(|t| 0.7 * (t - start)).collect();
            let area = area_under_curve(&times, &line, start, 60.0).unwrap();
            assert!((area - 0.7 * 1800.0).abs() < 1e-10, "{area}");
        }
    }

    #[test]
    fn a_window_beyond_the_frames_has_no_area() {
        let times = [0.0, 30.0, 60.0];
        let ones = [1.0; 3];
        assert!(area_under_curve(&times, &ones, 0.0, 60.0).is_some());
        assert!(area_under_curve(&times, &ones, 0.1, 60.0).is_none());
        assert!(area_under_curve(&times, &ones, -0.1, 60.0).is_none());
        assert!(area_under_curve(&times, &ones, f64::NAN, 60.0).is_none());
        assert!(area_under_curve(&times, &ones[..2], 0.0, 60.0).is_none());
        assert!(area_under_curve(&[], &[], 0.0, 60.0).is_none());
        assert!(area_under_curve(&times, &ones, 0.0, 0.0).is_none());
    }

    #[test]
    fn a_frame_outside_the_window_may_be_nan() {
        let times: Vec<f64> = (0..50).map(|frame| f64::from(frame) * 2.0).collect();
        let mut values = vec![1.0; 50];
        values[0] = f64::NAN;
        values[45] = f64::NAN;
        assert!((area_under_curve(&times, &values, 10.0, 60.0).unwrap() - 60.0).abs() < 1e-12);
        values[20] = f64::NAN;
        assert!(area_under_curve(&times, &values, 10.0, 60.0).unwrap().is_nan());
    }

    #[test]
    fn a_refused_frame_is_bridged_by_its_neighbours() {
        let times: Vec<f64> = (0..40).map(|frame| f64::from(frame) * 3.0).collect();
        let mut weights = vec![0.0; 40];
        assert!(weights_into(&times, [9.0, 69.0], |frame| frame != 10, &mut weights));
        let line: f64 = weights.iter().zip(&times).map(|(h, t)| h * (t - 9.0)).sum();
        assert_eq!(weights[10].to_bits(), 0.0_f64.to_bits());
        assert!((line - 1800.0).abs() < 1e-10);
    }

    #[test]
    fn windows_are_known_by_their_length() {
        for window in IntegrationWindow::ALL {
            assert_eq!(IntegrationWindow::from_duration_s(window.duration_s()), Some(window));
        }
        assert_eq!(IntegrationWindow::from_duration_s(45.0), None);
        assert_eq!(IntegrationWindow::default(), IntegrationWindow::Seconds60);
    }
}
