//! One noise level beside those of the other methods that apply to the same images.
//!
//! Each method errs in its own way, so that agreement is evidence for all of them and disagreement
//! says which assumption to doubt. The chosen one stands.
//!
//! # Reference
//!
//! Dietrich et al., Journal of Magnetic Resonance Imaging 2007, doi:10.1002/jmri.20969 (methods
//! compared: all agree on one channel without filters, and background fails first).

use super::{NoiseEstimate, NoiseLevel, NoiseMethod};

/// Relative difference from the chosen noise level that is worth a warning.
const TOLERANCE: f64 = 0.10;

/// Sets `others` beside the estimate; widens its `agreement` to them, and warns beyond 10 %.
pub(super) fn compare(estimate: &mut NoiseEstimate, others: Vec<NoiseLevel>) {
    let chosen = estimate.level;
    let sigmas = || others.iter().chain([&chosen]).map(NoiseLevel::sigma);
    if !others.is_empty() {
        let low = sigmas().fold(f64::INFINITY, f64::min);
        let high = sigmas().fold(0.0, f64::max);
        let between = high / low - 1.0;
        estimate.agreement = Some(estimate.agreement.map_or(between, |own| own.max(between)));
    }
    let differs = |level: &&NoiseLevel| (level.sigma() / chosen.sigma() - 1.0).abs() > TOLERANCE;
    let different: Vec<String> =
        others.iter().filter(differs).map(|other| difference(other, &chosen)).collect();
    if !different.is_empty() {
        estimate.warnings.push(format!(
            "noise level {:.4} by {} stands, since {}; other methods disagree: {}",
            chosen.sigma(),
            shown(chosen.method()),
            strength(chosen.method()),
            different.join(", ")
        ));
    }
    estimate.others = others;
}

fn difference(other: &NoiseLevel, chosen: &NoiseLevel) -> String {
    let percent = 100.0 * (other.sigma() / chosen.sigma() - 1.0);
    let method = other.method();
    format!("{:.4} by {} ({percent:+.0} %: {})", other.sigma(), shown(method), weakness(method))
}

fn shown(method: NoiseMethod) -> &'static str {
    match method {
        NoiseMethod::DynamicBaseline => "baseline frames",
        other => other.name(),
    }
}

/// Why a method that was chosen stands.
fn strength(method: NoiseMethod) -> &'static str {
    match method {
        NoiseMethod::Repeat => "it needs neither a model nor a background",
        NoiseMethod::Residual => "it is measured in the fitted voxels and errs to the safe side",
        NoiseMethod::DynamicBaseline => "it is measured in the region itself, before the bolus",
        NoiseMethod::Given => "it was given",
        NoiseMethod::Background
        | NoiseMethod::Piesno
        | NoiseMethod::Wavelet
        | NoiseMethod::LocalFilter => "nothing better applies or it was asked for",
    }
}

/// What moves the σ of a method away from the truth.
fn weakness(method: NoiseMethod) -> &'static str {
    match method {
        NoiseMethod::Repeat => "motion between repeats raises it",
        NoiseMethod::Residual => "whatever the model misses raises it",
        NoiseMethod::DynamicBaseline => "motion and pulsation raise it",
        NoiseMethod::Background | NoiseMethod::Piesno => {
            "parallel imaging, filters and ghosts change the background"
        }
        NoiseMethod::Wavelet | NoiseMethod::LocalFilter => {
            "fine structure raises it, interpolation and filters lower it"
        }
        NoiseMethod::Given => "it was given",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::NoiseDistribution;

    fn level(sigma: f64, method: NoiseMethod) -> NoiseLevel {
        NoiseLevel::new(sigma, NoiseDistribution::Rician, method, 1000).unwrap()
    }

    fn compared(others: Vec<NoiseLevel>) -> NoiseEstimate {
        let level = level(5.0, NoiseMethod::Repeat);
        let mut estimate =
            NoiseEstimate { level, agreement: None, others: Vec::new(), warnings: Vec::new() };
        compare(&mut estimate, others);
        estimate
    }

    #[test]
    fn methods_that_agree_say_nothing() {
        let others = vec![level(5.2, NoiseMethod::Residual), level(4.9, NoiseMethod::Wavelet)];
        let estimate = compared(others.clone());
        assert!(estimate.warnings.is_empty());
        assert!((estimate.agreement.unwrap() - (5.2 / 4.9 - 1.0)).abs() < 1e-12);
        assert_eq!(estimate.others, others);
        assert_eq!(compared(Vec::new()).agreement, None);
    }

    #[test]
    fn methods_that_disagree_are_named_with_numbers_and_reasons() {
        let others = vec![
            level(6.1, NoiseMethod::Residual),
            level(5.1, NoiseMethod::Background),
            level(3.9, NoiseMethod::Wavelet),
        ];
        assert_eq!(
            compared(others).warnings,
            ["noise level 5.0000 by repeat stands, since it needs neither a model nor a \
                 background; other methods disagree: 6.1000 by residual (+22 %: whatever the model \
                 misses raises it), 3.9000 by wavelet (-22 %: fine structure raises it, \
                 interpolation and filters lower it)"]
        );
    }
}
