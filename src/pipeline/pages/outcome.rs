//! What became of every voxel, in words.

use super::shown;
use crate::model::FitStatus;
use crate::pipeline::rows;
use crate::pipeline::session::FitResult;
use crate::quality::{Criterion, Verdict};

/// What became of one voxel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    /// The same in words, with the limit that was broken.
    pub(super) name: String,
}

/// What became of one voxel, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Reported,
    Kept,
    Uncertain,
    NotPositive,
    OutOfRange,
    AtBound,
    PoorFit,
    NoEstimate,
}

/// One outcome per voxel of the region, in the order of the fits.
pub(super) fn outcomes(fit: &FitResult<'_>) -> Vec<Outcome> {
    let reported = rows::method_places(fit);
    let mut is_reported = vec![false; fit.voxels.gate.verdicts.len()];
    for place in reported.iter().flatten() {
        is_reported[*place] = true;
    }
    let kept_only = match reported {
        Some(_) => "kept, in another habitat",
        None => "kept, but too few for a number",
    };
    let verdicts = fit.voxels.gate.verdicts.iter().enumerate();
    verdicts
        .map(|(place, verdict)| match *verdict {
            Verdict::Kept if is_reported[place] => outcome(Kind::Reported, "reported"),
            Verdict::Kept => outcome(Kind::Kept, kept_only),
            Verdict::Rejected(rule) => rejected(fit, place, rule),
        })
        .collect()
}

fn outcome(kind: Kind, name: impl Into<String>) -> Outcome {
    Outcome { kind, name: name.into() }
}

fn rejected(fit: &FitResult<'_>, place: usize, rule: usize) -> Outcome {
    let unit = fit.headline().unit;
    let in_unit = |value: f64| shown(value * unit.page_factor());
    match fit.voxels.gate.tallies[rule].criterion {
        Criterion::FitStatusOk => of_status(fit.voxels.fits.status[place]),
        Criterion::RelativeUncertainty { maximum } => {
            outcome(Kind::Uncertain, format!("relative uncertainty above {:.0} %", 100.0 * maximum))
        }
        Criterion::Positive => outcome(Kind::NotPositive, "not positive"),
        Criterion::ParameterRange { low, high } => {
            let range = format!("outside {} to {}", in_unit(low), in_unit(high));
            outcome(Kind::OutOfRange, format!("{range} {}", unit.page_symbol()))
        }
        Criterion::AboveMaximum { maximum } => {
            let limit = format!("above {} {}", in_unit(maximum), unit.page_symbol());
            outcome(Kind::OutOfRange, limit)
        }
        Criterion::RSquared { minimum } => {
            outcome(Kind::PoorFit, format!("R² below {}", shown(minimum)))
        }
        Criterion::ReducedChiSquare { minimum_p } => {
            outcome(Kind::PoorFit, format!("p of χ² below {}", shown(minimum_p)))
        }
        Criterion::Stability { minimum } => {
            outcome(Kind::Uncertain, format!("stability below {:.0} %", 100.0 * minimum))
        }
        Criterion::SignalToNoise { minimum } => {
            outcome(Kind::PoorFit, format!("signal over noise below {}", shown(minimum)))
        }
    }
}

fn of_status(status: FitStatus) -> Outcome {
    let words = status.name().replace('_', " ");
    if status.has_estimate() {
        outcome(Kind::AtBound, format!("estimate {words}"))
    } else {
        outcome(Kind::NoEstimate, format!("no estimate: {words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_at_its_bound_is_told_from_no_estimate() {
        let said = [FitStatus::AtUpperBound, FitStatus::NoSignal].map(of_status);
        assert_eq!(said[0], outcome(Kind::AtBound, "estimate at upper bound"));
        assert_eq!(said[1], outcome(Kind::NoEstimate, "no estimate: no signal"));
    }
}
