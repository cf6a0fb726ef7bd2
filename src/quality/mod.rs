//! Which voxels are kept, and why the others are not.
//!
//! A [`Criterion`] is one rule; [`gate`](gate::gate) asks them in order and gives every voxel of the
//! region one [`Verdict`], so that the reasons and the kept voxels always add up to the region.

pub mod gate;

pub use gate::{Gate, GateInputs, Tally};

use crate::error::{Error, Result};

/// One quality rule for the voxels of a fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Criterion {
    /// The fit converged inside the bounds.
    FitStatusOk,
    /// Relative uncertainty of the estimate at most `maximum` (inclusive), as a fraction.
    RelativeUncertainty {
        /// 0.10 for the 10 % gate.
        maximum: f64,
    },
    /// Estimate above 0.
    Positive,
    /// Estimate at most `maximum`, unit of the parameter. Flags only: such voxels are counted, not
    /// rejected.
    AboveMaximum {
        /// 3.5e-3 mm²/s for water diffusion.
        maximum: f64,
    },
    /// Signal over noise at least `minimum`.
    SignalToNoise {
        /// Amplitude over σ.
        minimum: f64,
    },
    /// R² at least `minimum`.
    RSquared {
        /// 0.9 is customary for T2.
        minimum: f64,
    },
    /// p of the residual sum of squares under χ² with known σ at least `minimum_p`; passes where no
    /// degree of freedom is left to judge by.
    ReducedChiSquare {
        /// 1e-3 rejects one good voxel of a thousand.
        minimum_p: f64,
    },
    /// Fraction of the pseudo-experiments that stay in the habitat of the voxel at least `minimum`.
    Stability {
        /// 0.7 for the 70 % threshold.
        minimum: f64,
    },
    /// Estimate inside `low..=high`, unit of the parameter.
    ParameterRange {
        /// Smallest estimate that is kept.
        low: f64,
        /// Largest estimate that is kept.
        high: f64,
    },
}

impl Criterion {
    /// Name in tables, legends and pipelines.
    pub fn name(self) -> &'static str {
        match self {
            Self::FitStatusOk => "fit_status",
            Self::RelativeUncertainty { .. } => "relative_uncertainty",
            Self::Positive => "not_positive",
            Self::AboveMaximum { .. } => "above_maximum",
            Self::SignalToNoise { .. } => "signal_to_noise",
            Self::RSquared { .. } => "r_squared",
            Self::ReducedChiSquare { .. } => "reduced_chi_square",
            Self::Stability { .. } => "stability",
            Self::ParameterRange { .. } => "parameter_range",
        }
    }

    /// Whether a voxel that breaks the rule is rejected, or only counted.
    pub fn is_blocking(self) -> bool {
        !matches!(self, Self::AboveMaximum { .. })
    }

    /// Passes when the numbers of the rule can be met by some voxel and broken by another.
    ///
    /// # Errors
    ///
    /// `Value` naming the rule and the number.
    pub fn check(self) -> Result<()> {
        let (usable, rule) = match self {
            Self::FitStatusOk | Self::Positive => (true, ""),
            Self::RelativeUncertainty { maximum } => {
                (maximum.is_finite() && maximum > 0.0, "maximum must be a positive number")
            }
            Self::AboveMaximum { maximum } => (maximum.is_finite(), "maximum must be a number"),
            Self::SignalToNoise { minimum } => {
                (minimum.is_finite() && minimum > 0.0, "minimum must be a positive number")
            }
            Self::RSquared { minimum } => (minimum <= 1.0, "minimum must be 1 or less"),
            Self::ReducedChiSquare { minimum_p } => {
                (0.0 < minimum_p && minimum_p < 1.0, "minimum_p must lie between 0 and 1")
            }
            Self::Stability { minimum } => {
                ((0.0..=1.0).contains(&minimum), "minimum must lie between 0 and 1")
            }
            Self::ParameterRange { low, high } => (low < high, "low must be below high"),
        };
        if usable {
            Ok(())
        } else {
            Err(Error::value(format!("{self:?}: {rule}")).at_field(self.name()).at_field("quality"))
        }
    }
}

/// What became of one voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No blocking rule is broken.
    Kept,
    /// Index, in the list of criteria, of the first blocking rule that is broken.
    Rejected(usize),
}

/// Fraction of voxels predicted to pass below which the gate removes what it should measure.
pub const SMALLEST_PREDICTED_PASS: f64 = 0.8;

/// Fraction of voxels whose `signal_to_noise` (S₀/σ) is at least `required`.
///
/// `required` is
/// [`required_signal_to_noise`](crate::uncertainty::covariance::required_signal_to_noise) at the
/// estimate of interest. NaN counts as too little signal; NaN is returned for no voxel.
pub fn predicted_pass_fraction(signal_to_noise: &[f64], required: f64) -> f64 {
    let n_pass = signal_to_noise.iter().filter(|&&ratio| ratio >= required).count();
    n_pass as f64 / signal_to_noise.len() as f64
}

/// The warning that belongs to a predicted pass `fraction` below [`SMALLEST_PREDICTED_PASS`].
pub fn pass_warning(fraction: f64) -> Option<String> {
    (fraction < SMALLEST_PREDICTED_PASS).then(|| {
        format!(
            "only {:.0} % of voxels at the typical estimate are predicted to pass the uncertainty \
             gate, less than {:.0} %: what is kept is not typical of the region",
            100.0 * fraction,
            100.0 * SMALLEST_PREDICTED_PASS
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_no_voxel_can_meet_or_break_are_refused() {
        for criterion in [
            Criterion::RelativeUncertainty { maximum: 0.0 },
            Criterion::RelativeUncertainty { maximum: f64::INFINITY },
            Criterion::AboveMaximum { maximum: f64::NAN },
            Criterion::SignalToNoise { minimum: -1.0 },
            Criterion::RSquared { minimum: 1.1 },
            Criterion::RSquared { minimum: f64::NAN },
            Criterion::ReducedChiSquare { minimum_p: 0.0 },
            Criterion::ParameterRange { low: 0.1, high: 0.1 },
        ] {
            assert!(criterion.check().is_err(), "{criterion:?}");
        }
        let error = Criterion::ParameterRange { low: 0.2, high: 0.1 }.check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`quality.parameter_range`: ParameterRange { low: 0.2, high: 0.1 }: low must be below \
             high"
        );
        assert!(Criterion::RelativeUncertainty { maximum: 0.1 }.check().is_ok());
    }

    #[test]
    fn prediction_counts_voxels_with_enough_signal() {
        let fraction = predicted_pass_fraction(&[10.0, 43.0, 80.0, f64::NAN], 43.0);
        assert!((fraction - 0.5).abs() < 1e-15);
        assert!(pass_warning(fraction).is_some_and(|warning| warning.starts_with("only 50 %")));
        assert!(pass_warning(0.8).is_none());
        assert!(predicted_pass_fraction(&[], 1.0).is_nan() && pass_warning(f64::NAN).is_none());
    }
}
