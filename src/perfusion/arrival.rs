//! When the bolus arrives.
//!
//! Found on one curve of good signal-to-noise ratio (mean of the volume of interest, or an artery),
//! not voxel by voxel. For each candidate frame k the curve is fitted by least squares with
//!
//! ```text
//! f = f₀                                    t < t_k
//! f = f₀ + β₁(t − t_k) + β₂(t − t_k)²       t ≥ t_k,   β₁, β₂ ≥ 0
//! ```
//!
//! and the least residual sum of squares wins; the vertex of the parabola through it and its
//! neighbours refines the arrival between frames. The fit ends where the curve first reaches half of
//! its rise: up to the peak itself, a convex curve cannot follow tissue that fills slowly, and the
//! arrival is found many frames early.
//!
//! # Reference
//!
//! Cheong, Koh and Hou, "An automatic approach for estimating bolus arrival time in dynamic contrast
//! MRI using piecewise continuous regression models", Phys Med Biol 2003,
//! doi:10.1088/0031-9155/48/5/403.

use crate::error::{Error, Result};

/// Fewest frames before the arrival that give a baseline.
pub const MIN_BASELINE_FRAMES: usize = 3;

/// Fewest frames before the arrival for a baseline of good precision.
pub const RECOMMENDED_BASELINE_FRAMES: usize = 5;

/// A rise counts when it exceeds this many standard deviations of the baseline.
const RISE_IN_BASELINE_SD: f64 = 5.0;

/// Consecutive frames that must stay above the threshold in the fallback rule.
const SUSTAINED_FRAMES: usize = 3;

/// How the arrival was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrivalMethod {
    /// Piecewise linear–quadratic fit.
    LinearQuadratic,
    /// The frame before the first of three above baseline mean + 5 SD.
    Threshold,
    /// The user's value.
    Given,
}

impl ArrivalMethod {
    /// Name in sidecars and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinearQuadratic => "linear_quadratic",
            Self::Threshold => "threshold",
            Self::Given => "given",
        }
    }
}

/// The arrival of the bolus and the frames before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    time_s: f64,
    method: ArrivalMethod,
    n_baseline_frames: usize,
}

impl Arrival {
    /// The arrival at `time_s` by decree. Baseline frames are those with t < `time_s` − dt/2, dt the
    /// spacing of the two frames around `time_s`.
    ///
    /// # Errors
    ///
    /// `Value` at `arrival_s` when it is not between the first and the last of `times_s`, or fewer
    /// than three frames lie before it.
    pub fn given(times_s: &[f64], time_s: f64) -> Result<Self> {
        Self::new(times_s, time_s, ArrivalMethod::Given)
    }

    /// The arrival on `curve` (any unit, shape `[n_frames]`) at `times_s` (s, strictly rising):
    /// linear–quadratic fit, accepted when the curve rises by more than 5 baseline SD; else the
    /// threshold rule; else `otherwise_s`.
    ///
    /// # Errors
    ///
    /// `Mismatch` when the lengths differ; `Value` when a value is not finite, no rule finds an
    /// arrival and none is given, or fewer than three frames lie before it.
    pub fn detect(times_s: &[f64], curve: &[f64], otherwise_s: Option<f64>) -> Result<Self> {
        if times_s.len() != curve.len() {
            return Err(Error::mismatch(format!(
                "{} frame times and {} values of the curve",
                times_s.len(),
                curve.len()
            )));
        }
        for (field, values) in [("times_s", times_s), ("curve", curve)] {
            if let Some(k) = values.iter().position(|value| !value.is_finite()) {
                let message = format!("{} is not a finite number", values[k]);
                return Err(Error::value(message).at_field(format!("{field}[{k}]")));
            }
        }
        if let Some(time_s) = linear_quadratic(times_s, curve)
            && rises_at(times_s, curve, time_s)
        {
            return Self::new(times_s, time_s, ArrivalMethod::LinearQuadratic);
        }
        if let Some(frame) = first_sustained_rise(curve) {
            return Self::new(times_s, times_s[frame], ArrivalMethod::Threshold);
        }
        match otherwise_s {
            Some(time_s) => Self::given(times_s, time_s),
            None => Err(Error::value(format!(
                "no rise of more than {RISE_IN_BASELINE_SD} baseline standard deviations in {} \
                 frames: the arrival of the bolus cannot be found",
                curve.len()
            ))
            .at_field("arrival_s")
            .hint("give the arrival in seconds, or a volume of interest that enhances")),
        }
    }

    fn new(times_s: &[f64], time_s: f64, method: ArrivalMethod) -> Result<Self> {
        let after = times_s.partition_point(|&t| t < time_s);
        let before = after.checked_sub(1).and_then(|k| times_s.get(k));
        let (Some(before), Some(after)) = (before, times_s.get(after)) else {
            let [first, last] =
                [times_s.first(), times_s.last()].map(|time| time.copied().unwrap_or(f64::NAN));
            return Err(Error::value(format!(
                "arrival {time_s} s is not between the frames at {first} s and {last} s"
            ))
            .at_field("arrival_s"));
        };
        let spacing = after - before;
        let n_baseline_frames = times_s.partition_point(|&t| t < time_s - 0.5 * spacing);
        if n_baseline_frames < MIN_BASELINE_FRAMES {
            return Err(Error::value(format!(
                "{n_baseline_frames} frames before the arrival at {time_s:.2} s, at least \
                 {MIN_BASELINE_FRAMES} are needed for a baseline"
            ))
            .at_field("arrival_s")
            .hint("scan longer before the injection, or give a later arrival"));
        }
        Ok(Self { time_s, method, n_baseline_frames })
    }

    /// Arrival on the axis of the frame times, s.
    pub fn time_s(&self) -> f64 {
        self.time_s
    }

    /// How it was found.
    pub fn method(&self) -> ArrivalMethod {
        self.method
    }

    /// Number of baseline frames; they are the first ones of the series.
    pub fn n_baseline_frames(&self) -> usize {
        self.n_baseline_frames
    }

    /// What a reader should know: fewer than [`RECOMMENDED_BASELINE_FRAMES`] frames of baseline.
    pub fn warning(&self) -> Option<String> {
        (self.n_baseline_frames < RECOMMENDED_BASELINE_FRAMES).then(|| {
            format!(
                "{} frames before the bolus arrives at {:.2} s; {RECOMMENDED_BASELINE_FRAMES} or \
                 more give a better baseline",
                self.n_baseline_frames, self.time_s
            )
        })
    }
}

/// Whether the peak lies more than [`RISE_IN_BASELINE_SD`] above the frames before `time_s`.
fn rises_at(times_s: &[f64], curve: &[f64], time_s: f64) -> bool {
    let n_before = times_s.partition_point(|&t| t < time_s);
    let (before, after) = curve.split_at(n_before);
    let peak = after.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match mean_and_deviation(before) {
        Some([mean, deviation]) => peak - mean > RISE_IN_BASELINE_SD * deviation,
        None => false,
    }
}

/// The frame before the first three that all lie above mean + 5 SD of everything before them.
fn first_sustained_rise(curve: &[f64]) -> Option<usize> {
    (MIN_BASELINE_FRAMES..(curve.len() + 1).saturating_sub(SUSTAINED_FRAMES)).find_map(|frame| {
        let (before, after) = curve.split_at(frame);
        let [mean, deviation] = mean_and_deviation(before)?;
        let threshold = mean + RISE_IN_BASELINE_SD * deviation;
        after.iter().take(SUSTAINED_FRAMES).all(|&v| v > threshold).then_some(frame - 1)
    })
}

/// Mean and SD (n − 1); `None` below [`MIN_BASELINE_FRAMES`] values.
fn mean_and_deviation(values: &[f64]) -> Option<[f64; 2]> {
    let n = values.len();
    if n < MIN_BASELINE_FRAMES {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some([mean, (squares / (n - 1) as f64).sqrt()])
}

/// Arrival of the best linear–quadratic fit, s; `None` when the curve never rises after the third
/// frame.
fn linear_quadratic(times_s: &[f64], curve: &[f64]) -> Option<f64> {
    let end = half_rise(curve)?;
    let (times_s, curve) = (&times_s[..=end], &curve[..=end]);
    let residuals: Vec<f64> = (0..=end).map(|k| residual(times_s, curve, k)).collect();
    let best = (MIN_BASELINE_FRAMES..end).min_by(|&a, &b| residuals[a].total_cmp(&residuals[b]))?;
    let around = best - 1..=best + 1;
    Some(parabola_vertex(&times_s[around.clone()], &residuals[around]))
}

/// First frame at or above half way from the first frames to the peak, with room for candidates.
fn half_rise(curve: &[f64]) -> Option<usize> {
    let peak = (0..curve.len()).max_by(|&a, &b| curve[a].total_cmp(&curve[b]).then(b.cmp(&a)))?;
    let start = curve.get(..MIN_BASELINE_FRAMES)?;
    let level = start.iter().sum::<f64>() / MIN_BASELINE_FRAMES as f64;
    let half = level + 0.5 * (curve[peak] - level);
    let reached = curve.iter().position(|&value| value >= half)?;
    let end = reached.max(MIN_BASELINE_FRAMES + 1);
    (end <= peak).then_some(end)
}

/// Least residual sum of squares with the bend at frame `bend`, over all sets of β that stay ≥ 0.
fn residual(times_s: &[f64], curve: &[f64], bend: usize) -> f64 {
    let n = curve.len() as f64;
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / n;
    let since = |k: usize| (times_s[k] - times_s[bend]).max(0.0);
    let (x_mean, q_mean, y_mean) = (
        mean(&mut (0..curve.len()).map(since)),
        mean(&mut (0..curve.len()).map(|k| since(k).powi(2))),
        mean(&mut curve.iter().copied()),
    );
    let [mut xx, mut xq, mut qq, mut xy, mut qy, mut yy] = [0.0; 6];
    for (k, &value) in curve.iter().enumerate() {
        let (x, q, y) = (since(k) - x_mean, since(k).powi(2) - q_mean, value - y_mean);
        xx += x * x;
        xq += x * q;
        qq += q * q;
        xy += x * y;
        qy += q * y;
        yy += y * y;
    }
    let one = |covariance: f64, variance: f64| {
        if covariance > 0.0 && variance > 0.0 { covariance * covariance / variance } else { 0.0 }
    };
    let determinant = xx * qq - xq * xq;
    let both = if determinant > 1e-12 * xx * qq {
        let slope = (qq * xy - xq * qy) / determinant;
        let bend = (xx * qy - xq * xy) / determinant;
        if slope >= 0.0 && bend >= 0.0 { slope * xy + bend * qy } else { 0.0 }
    } else {
        0.0
    };
    (yy - one(xy, xx).max(one(qy, qq)).max(both)).max(0.0)
}

/// Abscissa of the vertex through three points with the least in the middle, kept between the outer
/// ones.
fn parabola_vertex(x: &[f64], y: &[f64]) -> f64 {
    let (left, right) = (x[1] - x[0], x[1] - x[2]);
    let (rise_right, rise_left) = (y[1] - y[2], y[1] - y[0]);
    let divisor = left * rise_right - right * rise_left;
    let shift = 0.5 * (left * left * rise_right - right * right * rise_left) / divisor;
    if shift.is_finite() { (x[1] - shift).clamp(x[0], x[2]) } else { x[1] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perfusion::{ArterialInput, Hematocrit, TissueParameters, extended_tofts};
    use crate::random::StreamKey;

    fn frames(n: usize, step_s: f64) -> Vec<f64> {
        (0..n).map(|k| k as f64 * step_s).collect()
    }

    fn tissue_curve(times_s: &[f64], arrival_s: f64, tissue: TissueParameters) -> Vec<f64> {
        let fine = frames(4001, 0.1);
        let plasma: Vec<f64> = fine
            .iter()
            .map(|t| ArterialInput::Parker.plasma(t - arrival_s, Hematocrit::DEFAULT))
            .collect();
        let mut curve = vec![0.0; fine.len()];
        extended_tofts(&fine, &plasma, &tissue, &mut curve).unwrap();
        times_s.iter().map(|t| 100.0 + curve[(t * 10.0).round() as usize]).collect()
    }

    fn tissues() -> Vec<TissueParameters> {
        [(0.5, 0.4, 0.05), (0.05, 0.4, 0.02), (0.2, 0.2, 0.1), (1.0, 0.3, 0.0), (0.25, 0.5, 0.0)]
            .map(|(ktrans, ve, vp)| TissueParameters { ktrans_per_s: ktrans / 60.0, ve, vp })
            .to_vec()
    }

    #[test]
    fn a_ramp_that_starts_between_frames_is_found_within_half_a_frame() {
        for start in [30.0, 30.7, 31.5, 32.3, 40.1] {
            let times = frames(60, 3.0);
            let ramp: Vec<f64> = times.iter().map(|t| 100.0 + (t - start).max(0.0)).collect();
            let arrival = Arrival::detect(&times, &ramp, None).unwrap();
            assert!((arrival.time_s() - start).abs() < 1.5, "{} {start}", arrival.time_s());
            assert_eq!(arrival.method(), ArrivalMethod::LinearQuadratic);
        }
    }

    /// Tissue enhances visibly a few seconds after the agent enters the artery (the Parker bolus is
    /// at 1 % of its peak at 0 s and needs 7 s to half of it), so late by up to 4 s is expected.
    #[test]
    fn tissue_that_fills_fast_or_slowly_is_found_within_one_frame_and_the_rise_of_the_bolus() {
        for (step_s, tolerance_s) in [(1.5, 4.5), (3.0, 3.6), (5.0, 5.0)] {
            let times = frames((240.0 / step_s) as usize, step_s);
            for tissue in tissues() {
                for start in [30.0, 31.5, 32.0] {
                    let curve = tissue_curve(&times, start, tissue);
                    let arrival = Arrival::detect(&times, &curve, None).unwrap();
                    let late = arrival.time_s() - start;
                    assert!(late.abs() < tolerance_s, "{late} {step_s} {tissue:?}");
                }
            }
        }
    }

    #[test]
    fn noise_of_two_percent_moves_the_arrival_by_less_than_two_frames() {
        let times = frames(80, 3.0);
        for (replicate, tissue) in tissues().into_iter().cycle().take(100).enumerate() {
            let mut stream = StreamKey::new(5, "arrival").stream(replicate, 0);
            let mut curve = tissue_curve(&times, 31.5, tissue);
            let peak = curve.iter().copied().fold(0.0, f64::max) - 100.0;
            for value in &mut curve {
                *value += 0.02 * peak * stream.normal();
            }
            let arrival = Arrival::detect(&times, &curve, None).unwrap();
            assert!((arrival.time_s() - 31.5).abs() < 6.0, "{} {tissue:?}", arrival.time_s());
        }
    }

    #[test]
    fn baseline_frames_end_half_a_frame_before_the_arrival() {
        let times = [0.0, 4.0, 8.0, 12.0, 20.0, 30.0];
        for (arrival_s, n) in [(12.0, 3), (14.0, 3), (16.0, 3), (16.1, 4), (20.0, 4), (25.1, 5)] {
            assert_eq!(Arrival::given(&times, arrival_s).unwrap().n_baseline_frames(), n);
        }
        let arrival = Arrival::given(&times, 12.0).unwrap();
        assert!(arrival.warning().unwrap().starts_with("3 frames before"));
        assert_eq!(Arrival::given(&times, 25.1).unwrap().warning(), None);
    }

    #[test]
    fn an_arrival_without_baseline_or_outside_the_series_is_refused() {
        let times = frames(20, 3.0);
        for arrival_s in [0.0, 3.0, 7.4, -5.0, 57.1, f64::NAN] {
            let error = Arrival::given(&times, arrival_s).unwrap_err();
            assert_eq!(error.field(), Some("arrival_s"), "{arrival_s}");
        }
        assert!(Arrival::given(&[], 1.0).is_err());
        assert!(Arrival::given(&times, 7.6).is_ok());
    }

    #[test]
    fn a_curve_that_never_rises_needs_the_users_value() {
        let times = frames(40, 3.0);
        let mut stream = StreamKey::new(6, "flat").stream(0, 0);
        let flat: Vec<f64> = times.iter().map(|_| 100.0 + stream.normal()).collect();
        let error = Arrival::detect(&times, &flat, None).unwrap_err();
        assert_eq!(error.field(), Some("arrival_s"));
        assert!(error.hint_text().unwrap().contains("give the arrival"));
        let given = Arrival::detect(&times, &flat, Some(30.0)).unwrap();
        assert_eq!((given.method(), given.n_baseline_frames()), (ArrivalMethod::Given, 10));
        assert!(Arrival::detect(&times, &[1.0; 40], None).is_err());
        let falling: Vec<f64> = times.iter().map(|t| 100.0 - t).collect();
        assert!(Arrival::detect(&times, &falling, None).is_err());
    }

    #[test]
    fn the_threshold_rule_takes_over_where_the_fit_is_not_accepted() {
        // One moved frame and a slow drift pull the bend to the fourth frame; the moved frame then
        // makes the SD of the three before it too large to accept the fit. Fourteen frames dilute it.
        let times = frames(30, 3.0);
        let mut curve: Vec<f64> = (0..30).map(|k| 100.0 + 0.2 * f64::from(k)).collect();
        curve[1] += 10.0;
        curve[14..].fill(116.0);
        assert!(linear_quadratic(&times, &curve).is_some_and(|bend| bend < 12.0));
        let arrival = Arrival::detect(&times, &curve, None).unwrap();
        assert_eq!(arrival.method(), ArrivalMethod::Threshold);
        assert!((arrival.time_s() - 39.0).abs() < 1e-12);
        assert_eq!(arrival.n_baseline_frames(), 13);
    }

    #[test]
    fn a_peak_right_after_three_frames_leaves_too_short_a_baseline() {
        let curve = [100.0, 101.0, 100.0, 160.0, 150.0, 150.0, 150.0, 150.0];
        let error = Arrival::detect(&frames(8, 3.0), &curve, None).unwrap_err();
        assert!(error.message().contains("at least 3"), "{error}");
        assert!(error.hint_text().unwrap().contains("longer before the injection"));
    }

    #[test]
    fn lengths_and_finite_numbers_are_checked() {
        let times = frames(10, 3.0);
        assert!(Arrival::detect(&times, &[1.0; 9], None).is_err());
        let mut curve = [1.0; 10];
        curve[4] = f64::NAN;
        let error = Arrival::detect(&times, &curve, Some(20.0)).unwrap_err();
        assert_eq!(error.field(), Some("curve[4]"));
        assert!(Arrival::detect(&[], &[], None).is_err());
    }
}
