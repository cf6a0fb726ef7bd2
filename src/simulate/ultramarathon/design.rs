//! The planned changes of cartilage T2 between the sessions.
//!
//! Changes are constructed, not drawn, so that their paired statistics over the subjects are those
//! of the design exactly.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::UltramarathonSettings;
use crate::error::{Error, Result};
use crate::random::StreamKey;
use crate::simulate::Preset;
use crate::simulate::targets::{correlated_scores, even_scores, permuted};

/// How the changes are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShiftDesign {
    /// Mean and standard deviation (1.5 ms) for which a paired t test of nine subjects gives
    /// p = 0.037 (median), 0.017 (P25) without, and 0.24, 0.16 with hyaluronic acid.
    PairedT,
    /// Magnitudes and signs for which the exact signed-rank test of nine subjects has
    /// W = 5 (median), 3 (P25) without, and 12, 10 with hyaluronic acid. Nine subjects only.
    SignedRank,
}

/// Treatment of a knee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    Control,
    HyaluronicAcid,
}

impl Treatment {
    pub(super) const BOTH: [Self; 2] = [Self::Control, Self::HyaluronicAcid];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::HyaluronicAcid => "hyaluronic_acid",
        }
    }
}

/// Change from the first to the second session, ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PlannedChange {
    pub(super) median_ms: f64,
    pub(super) p25_ms: f64,
}

const SD_MS: f64 = 1.5;
const KNEE_CORRELATION: f64 = 0.6;
const N_PLANNED: usize = 9;
/// Two-sided p of the median and of P25.
const CONTROL_P: [f64; 2] = [0.037, 0.017];
const HYALURONIC_ACID_P: [f64; 2] = [0.24, 0.16];
const MAGNITUDES_MS: [f64; N_PLANNED] = [0.35, 0.7, 1.0, 1.3, 1.6, 1.9, 2.3, 2.7, 3.2];

impl Preset {
    pub(super) fn n_runners(self) -> usize {
        match self {
            Self::Small => 4,
            Self::Abstract => N_PLANNED,
        }
    }
}

/// Mean over SD of nine paired differences whose t test gives `p`.
///
/// # Errors
///
/// `Internal` when the distribution cannot be built.
pub(super) fn effect_size(p: f64) -> Result<f64> {
    let t = StudentsT::new(0.0, 1.0, N_PLANNED as f64 - 1.0)
        .map_err(|error| Error::internal(error.to_string()))?
        .inverse_cdf(1.0 - p / 2.0);
    Ok(t / (N_PLANNED as f64).sqrt())
}

/// The change of every subject, one list per treatment of [`Treatment::BOTH`].
///
/// # Errors
///
/// `Value` when the design does not fit the number of subjects.
pub(super) fn planned_changes(settings: &UltramarathonSettings) -> Result<[Vec<PlannedChange>; 2]> {
    let n = settings.preset.n_runners();
    match settings.shifts {
        ShiftDesign::PairedT => paired_t(n, settings.seed),
        ShiftDesign::SignedRank if n == N_PLANNED => Ok(signed_rank(settings.seed)),
        ShiftDesign::SignedRank => {
            Err(Error::value(format!("the signed-rank design has {N_PLANNED} subjects, not {n}"))
                .at_field("shifts")
                .hint("use the abstract preset"))
        }
    }
}

fn paired_t(n: usize, seed: u64) -> Result<[Vec<PlannedChange>; 2]> {
    let control = permuted(&even_scores(n), StreamKey::new(seed, "change of control knees"));
    let key = StreamKey::new(seed, "change of treated knees");
    let treated = correlated_scores(&control, KNEE_CORRELATION, key);
    let changes = |scores: &[f64], [median_p, p25_p]: [f64; 2]| -> Result<Vec<PlannedChange>> {
        let (median, p25) = (effect_size(median_p)?, effect_size(p25_p)?);
        Ok(scores
            .iter()
            .map(|z| PlannedChange { median_ms: SD_MS * (median + z), p25_ms: SD_MS * (p25 + z) })
            .collect())
    };
    Ok([changes(&control, CONTROL_P)?, changes(&treated, HYALURONIC_ACID_P)?])
}

fn signed_rank(seed: u64) -> [Vec<PlannedChange>; 2] {
    let changes = |name: &str, median: &[usize], p25: &[usize]| {
        let ranks: Vec<f64> = (1..=N_PLANNED).map(|rank| rank as f64).collect();
        let signed = |rank: usize, negative: &[usize]| {
            let magnitude = MAGNITUDES_MS[rank - 1];
            if negative.contains(&rank) { -magnitude } else { magnitude }
        };
        permuted(&ranks, StreamKey::new(seed, name))
            .into_iter()
            .map(|rank| rank as usize)
            .map(|rank| PlannedChange {
                median_ms: signed(rank, median),
                p25_ms: signed(rank, p25),
            })
            .collect()
    };
    [
        changes("change of control knees", &[5], &[3]),
        changes("change of treated knees", &[3, 9], &[1, 9]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::targets::{mean, standard_deviation};

    fn medians(changes: &[PlannedChange]) -> Vec<f64> {
        changes.iter().map(|change| change.median_ms).collect()
    }

    fn p25s(changes: &[PlannedChange]) -> Vec<f64> {
        changes.iter().map(|change| change.p25_ms).collect()
    }

    #[test]
    fn effect_sizes_are_those_of_the_t_distribution() {
        for (p, d_z) in [(0.037, 0.833), (0.017, 1.001), (0.24, 0.423), (0.16, 0.516)] {
            assert!((effect_size(p).unwrap() - d_z).abs() < 6e-4);
        }
    }

    #[test]
    fn planned_changes_have_the_exact_mean_sd_and_correlation() {
        for preset in [Preset::Small, Preset::Abstract] {
            let settings = UltramarathonSettings::new(preset, 5);
            let [control, treated] = planned_changes(&settings).unwrap();
            for (values, d_z) in [
                (medians(&control), 0.8334),
                (p25s(&control), 1.0009),
                (medians(&treated), 0.4228),
                (p25s(&treated), 0.5165),
            ] {
                assert!((standard_deviation(&values) - 1.5).abs() < 1e-12);
                assert!((mean(&values) / 1.5 - d_z).abs() < 6e-4, "{}", mean(&values) / 1.5);
            }
            let (a, b) = (medians(&control), medians(&treated));
            let (m, k) = (mean(&a), mean(&b));
            let covariance: f64 = a.iter().zip(&b).map(|(x, y)| (x - m) * (y - k)).sum::<f64>()
                / (a.len() as f64 - 1.0);
            assert!((covariance / 2.25 - 0.6).abs() < 1e-12);
        }
    }

    #[test]
    fn signed_rank_design_has_the_planned_rank_sums() {
        let mut settings = UltramarathonSettings::new(Preset::Abstract, 5);
        settings.shifts = ShiftDesign::SignedRank;
        let [control, treated] = planned_changes(&settings).unwrap();
        for (values, expected) in [
            (medians(&control), 5),
            (p25s(&control), 3),
            (medians(&treated), 12),
            (p25s(&treated), 10),
        ] {
            let mut sorted = values.clone();
            sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
            let sum: usize =
                sorted.iter().enumerate().filter(|(_, v)| **v < 0.0).map(|(i, _)| i + 1).sum();
            assert_eq!(sum, expected);
        }
        let error = planned_changes(&UltramarathonSettings { preset: Preset::Small, ..settings });
        assert_eq!(error.unwrap_err().field(), Some("shifts"));
    }
}
