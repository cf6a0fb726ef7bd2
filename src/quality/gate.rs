//! The voxel gate.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::{Criterion, Verdict};
use crate::error::{Error, Result};
use crate::fit::Fits;
use crate::image::{Mask, Volume};

/// A region of fewer kept voxels gives no number.
pub const MINIMUM_KEPT_VOXELS: usize = 30;

/// A region of which less is kept gives no number.
pub const MINIMUM_KEPT_FRACTION: f64 = 0.05;

/// Columns that the rules look at, all in the order of `fits.mask.indices()`.
///
/// The region is `fits.mask`: voxels that were not fitted belong to it with their status, so that
/// they are counted.
#[derive(Debug, Clone, Copy)]
pub struct GateInputs<'a> {
    /// The fits.
    pub fits: &'a Fits,
    /// Which parameter is judged; 0 is the headline.
    pub parameter: usize,
    /// [`Uncertainty::relative`](crate::uncertainty::Uncertainty) of that parameter; may be empty
    /// where no rule needs it.
    pub relative_uncertainty: &'a [f64],
    /// Fraction of the pseudo-experiments that stay in the habitat of the voxel, NaN where it has
    /// none; may be empty where no rule needs it.
    pub stability: &'a [f64],
    /// Amplitude over σ; may be empty where no rule needs it.
    pub signal_to_noise: &'a [f64],
    /// σ, for χ²; may be absent where no rule needs it.
    pub sigma: Option<f64>,
}

/// How often one rule was broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// The rule.
    pub criterion: Criterion,
    /// Voxels that it rejected: it was the first blocking rule they broke.
    pub n_rejected: usize,
    /// Voxels that break it, whatever else they break.
    pub n_broken: usize,
}

/// What the gate decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// The voxels that broke no blocking rule.
    pub keep: Mask,
    /// The voxels of the plain voxel-by-voxel answer: all with a finite estimate.
    pub naive: Mask,
    /// One per voxel of the region.
    pub verdicts: Vec<Verdict>,
    /// One per rule, in their order.
    pub tallies: Vec<Tally>,
}

impl Gate {
    /// Voxels of the region.
    pub fn n_voxels(&self) -> usize {
        self.verdicts.len()
    }

    /// Kept voxels over voxels of the region; 0 for an empty region.
    pub fn kept_fraction(&self) -> f64 {
        self.keep.len() as f64 / self.n_voxels().max(1) as f64
    }

    /// Whether too little is left to give a number: fewer than 30 voxels, or less than 5 %.
    pub fn is_insufficient(&self) -> bool {
        self.keep.len() < MINIMUM_KEPT_VOXELS || self.kept_fraction() < MINIMUM_KEPT_FRACTION
    }
}

/// Judges every voxel of the region by `criteria`, in their order.
///
/// A comparison with NaN breaks its rule, except that [`Criterion::AboveMaximum`] flags only what is
/// above. An empty region gives an empty gate.
///
/// # Errors
///
/// `Value` when a criterion [does not pass its check](Criterion::check); `Mismatch` when a column
/// that a rule needs is not there or has another length than the region.
pub fn gate(inputs: GateInputs<'_>, criteria: &[Criterion]) -> Result<Gate> {
    let columns = Columns::new(inputs, criteria)?;
    let region = &inputs.fits.mask;
    let n = region.len();
    let mut tallies: Vec<Tally> =
        criteria.iter().map(|&criterion| Tally { criterion, n_rejected: 0, n_broken: 0 }).collect();
    let mut verdicts = Vec::with_capacity(n);
    for voxel in 0..n {
        let mut verdict = Verdict::Kept;
        for (index, tally) in tallies.iter_mut().enumerate() {
            if !columns.breaks(tally.criterion, voxel) {
                continue;
            }
            tally.n_broken += 1;
            if verdict == Verdict::Kept && tally.criterion.is_blocking() {
                verdict = Verdict::Rejected(index);
                tally.n_rejected += 1;
            }
        }
        verdicts.push(verdict);
    }
    let keep = part_of(region, |voxel| verdicts[voxel] == Verdict::Kept);
    let naive = part_of(region, |voxel| columns.has_estimate(voxel));
    Ok(Gate { keep, naive, verdicts, tallies })
}

/// The voxels of `region` whose place in it passes `chosen`.
fn part_of(region: &Mask, chosen: impl Fn(usize) -> bool) -> Mask {
    let mut inside = Volume::from_fn(*region.grid(), |_| false);
    for (place, &index) in region.indices().iter().enumerate() {
        inside.voxels_mut()[index] = chosen(place);
    }
    Mask::new(inside)
}

/// Inputs whose columns are known to be there.
struct Columns<'a> {
    inputs: GateInputs<'a>,
    estimates: &'a [f64],
    sigma: f64,
}

impl<'a> Columns<'a> {
    fn new(inputs: GateInputs<'a>, criteria: &[Criterion]) -> Result<Self> {
        let fits = inputs.fits;
        let n = fits.mask.len();
        let estimates = fits.estimates.get(inputs.parameter).ok_or_else(|| {
            Error::mismatch(format!(
                "parameter {} of {} estimates",
                inputs.parameter,
                fits.estimates.len()
            ))
        })?;
        require_length("estimates", estimates.len(), n)?;
        require_length("status", fits.status.len(), n)?;
        for criterion in criteria {
            criterion.check()?;
            require_columns(*criterion, &inputs)?;
        }
        Ok(Self { inputs, estimates, sigma: inputs.sigma.unwrap_or(f64::NAN) })
    }

    fn breaks(&self, criterion: Criterion, voxel: usize) -> bool {
        let (inputs, fits) = (&self.inputs, self.inputs.fits);
        let estimate = self.estimates[voxel];
        let passes = match criterion {
            Criterion::FitStatusOk => fits.status[voxel].is_settled(),
            Criterion::RelativeUncertainty { maximum } => {
                inputs.relative_uncertainty[voxel] <= maximum
            }
            Criterion::Positive => estimate > 0.0,
            Criterion::AboveMaximum { maximum } => estimate.is_nan() || estimate <= maximum,
            Criterion::SignalToNoise { minimum } => inputs.signal_to_noise[voxel] >= minimum,
            Criterion::Stability { minimum } => inputs.stability[voxel] >= minimum,
            Criterion::RSquared { minimum } => fits.r_squared[voxel] >= minimum,
            Criterion::ReducedChiSquare { minimum_p } => {
                let degrees = fits.degrees_of_freedom[voxel];
                let chi_square = fits.residual_sum_of_squares[voxel] / (self.sigma * self.sigma);
                chi_square_p(chi_square, degrees) >= minimum_p
            }
            Criterion::ParameterRange { low, high } => low <= estimate && estimate <= high,
        };
        !passes
    }

    fn has_estimate(&self, voxel: usize) -> bool {
        self.inputs.fits.status[voxel].has_estimate() && self.estimates[voxel].is_finite()
    }
}

/// Passes when what `criterion` looks at is there for every voxel.
fn require_columns(criterion: Criterion, inputs: &GateInputs<'_>) -> Result<()> {
    let fits = inputs.fits;
    let lengths = match criterion {
        Criterion::RelativeUncertainty { .. } => vec![inputs.relative_uncertainty.len()],
        Criterion::SignalToNoise { .. } => vec![inputs.signal_to_noise.len()],
        Criterion::Stability { .. } => vec![inputs.stability.len()],
        Criterion::RSquared { .. } => vec![fits.r_squared.len()],
        Criterion::ReducedChiSquare { .. } => {
            if inputs.sigma.is_none() {
                return Err(Error::mismatch("rule needs the noise level")
                    .at_field(criterion.name())
                    .at_field("quality"));
            }
            vec![fits.residual_sum_of_squares.len(), fits.degrees_of_freedom.len()]
        }
        Criterion::FitStatusOk
        | Criterion::Positive
        | Criterion::AboveMaximum { .. }
        | Criterion::ParameterRange { .. } => Vec::new(),
    };
    for length in lengths {
        require_length(criterion.name(), length, fits.mask.len())?;
    }
    Ok(())
}

/// Probability of a larger χ²; 1 without degrees of freedom, NaN for NaN.
fn chi_square_p(chi_square: f64, degrees_of_freedom: u16) -> f64 {
    if chi_square.is_nan() {
        return f64::NAN;
    }
    ChiSquared::new(f64::from(degrees_of_freedom))
        .map_or(1.0, |distribution| distribution.sf(chi_square))
}

fn require_length(name: &str, found: usize, needed: usize) -> Result<()> {
    if found == needed {
        Ok(())
    } else {
        Err(Error::mismatch(format!("{found} values for the {needed} voxels of the region"))
            .at_field(name)
            .at_field("quality"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Affine, Grid};
    use crate::model::FitStatus;
    use crate::random::StreamKey;

    const NAN: f64 = f64::NAN;

    /// Fits of one parameter over the first voxels of a grid that is one voxel longer.
    fn fits(estimates: &[f64], status: &[FitStatus]) -> Fits {
        let n = estimates.len();
        let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
        let grid = Grid::new([n + 1, 1, 1], affine).unwrap();
        let places: Vec<usize> = (1..=n).collect();
        Fits {
            mask: Mask::from_indices(grid, &places).unwrap(),
            estimates: vec![estimates.to_vec()],
            standard_errors: vec![vec![NAN; n]],
            status: status.to_vec(),
            residual_sum_of_squares: vec![0.0; n],
            r_squared: vec![1.0; n],
            degrees_of_freedom: vec![3; n],
            evaluations: vec![1; n],
        }
    }

    fn inputs<'a>(fits: &'a Fits, relative_uncertainty: &'a [f64]) -> GateInputs<'a> {
        GateInputs {
            fits,
            parameter: 0,
            relative_uncertainty,
            stability: &[],
            signal_to_noise: &[],
            sigma: Some(1.0),
        }
    }

    #[test]
    fn first_broken_rule_is_the_verdict_and_the_limit_is_inclusive() {
        use FitStatus::{AtUpperBound, Converged, NonFinite, NotConverged};
        let fits = fits(
            &[1e-3, 1e-3, -1e-4, NAN, 4e-3, 6e-3, NAN],
            &[Converged, Converged, Converged, NonFinite, Converged, AtUpperBound, NotConverged],
        );
        let u = [0.10, 0.100_000_1, f64::INFINITY, NAN, 0.05, 0.05, NAN];
        let criteria = [
            Criterion::FitStatusOk,
            Criterion::Positive,
            Criterion::AboveMaximum { maximum: 3.5e-3 },
            Criterion::RelativeUncertainty { maximum: 0.10 },
        ];
        let gate = gate(inputs(&fits, &u), &criteria).unwrap();
        let rejected = Verdict::Rejected;
        assert_eq!(
            gate.verdicts,
            [
                Verdict::Kept,
                rejected(3),
                rejected(1),
                rejected(0),
                Verdict::Kept,
                rejected(0),
                rejected(0)
            ]
        );
        assert_eq!(gate.keep.indices(), [1, 5]);
        assert_eq!(gate.naive.indices(), [1, 2, 3, 5, 6]);
        let counts: Vec<_> = gate.tallies.iter().map(|t| (t.n_rejected, t.n_broken)).collect();
        assert_eq!(counts, [(3, 3), (1, 3), (0, 2), (1, 4)]);
        assert!(gate.is_insufficient());
    }

    #[test]
    fn every_voxel_of_the_region_is_accounted_for() {
        let n = 2000;
        let mut stream = StreamKey::new(5, "gate").stream(0, 0);
        let estimates: Vec<f64> = (0..n).map(|_| 1e-3 + 1e-3 * stream.normal()).collect();
        let status: Vec<FitStatus> =
            (0..n).map(|_| FitStatus::ALL[stream.below(FitStatus::ALL.len())]).collect();
        let u: Vec<f64> = (0..n).map(|_| 0.3 * stream.uniform()).collect();
        let snr: Vec<f64> = (0..n).map(|_| 20.0 * stream.uniform()).collect();
        let mut fits = fits(&estimates, &status);
        fits.r_squared = (0..n).map(|_| stream.uniform()).collect();
        fits.residual_sum_of_squares = (0..n).map(|_| 9.0 * stream.uniform()).collect();
        let criteria = [
            Criterion::SignalToNoise { minimum: 3.0 },
            Criterion::FitStatusOk,
            Criterion::RSquared { minimum: 0.2 },
            Criterion::AboveMaximum { maximum: 2e-3 },
            Criterion::ReducedChiSquare { minimum_p: 0.1 },
            Criterion::RelativeUncertainty { maximum: 0.2 },
            Criterion::ParameterRange { low: 1e-4, high: 2.5e-3 },
            Criterion::Positive,
        ];
        let inputs = GateInputs { signal_to_noise: &snr, ..inputs(&fits, &u) };
        let gate = gate(inputs, &criteria).unwrap();
        let rejected: usize = gate.tallies.iter().map(|tally| tally.n_rejected).sum();
        assert_eq!(rejected + gate.keep.len(), gate.n_voxels());
        assert_eq!(gate.n_voxels(), n);
        for (index, tally) in gate.tallies.iter().enumerate() {
            let verdicts = gate.verdicts.iter().filter(|v| **v == Verdict::Rejected(index));
            assert_eq!(verdicts.count(), tally.n_rejected);
            assert!(tally.n_rejected <= tally.n_broken && tally.n_broken > 0);
        }
        assert!(gate.tallies[6].n_rejected > 0 && gate.tallies[7].n_rejected == 0);
        assert!(!gate.keep.is_empty());
    }

    #[test]
    fn chi_square_passes_one_good_voxel_of_a_thousand_at_the_published_quantiles() {
        // 0.999 quantiles of χ², NIST/SEMATECH handbook 1.3.6.7.4.
        for (degrees, quantile) in [(1, 10.828), (3, 16.266), (5, 20.515)] {
            assert!(chi_square_p(quantile - 0.01, degrees) > 1e-3);
            assert!(chi_square_p(quantile + 0.01, degrees) < 1e-3);
        }
        assert!((chi_square_p(5.0, 0) - 1.0).abs() < 1e-15 && chi_square_p(NAN, 3).is_nan());
    }

    #[test]
    fn thirty_voxels_and_five_percent_are_sufficient() {
        let of = |n_kept: usize, n: usize| {
            let estimates: Vec<f64> = (0..n).map(|i| if i < n_kept { 1.0 } else { -1.0 }).collect();
            let fits = fits(&estimates, &vec![FitStatus::Converged; n]);
            gate(inputs(&fits, &[]), &[Criterion::Positive]).unwrap().is_insufficient()
        };
        assert!(!of(30, 600) && of(29, 40) && of(30, 601));
    }

    #[test]
    fn missing_columns_are_named_and_an_empty_region_is_empty() {
        let one = fits(&[1.0], &[FitStatus::Converged]);
        let needs = |criterion| gate(GateInputs { sigma: None, ..inputs(&one, &[]) }, &[criterion]);
        let error = needs(Criterion::RelativeUncertainty { maximum: 0.1 }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`quality.relative_uncertainty`: 0 values for the 1 voxels of the region"
        );
        assert!(needs(Criterion::SignalToNoise { minimum: 3.0 }).is_err());
        assert!(needs(Criterion::ReducedChiSquare { minimum_p: 1e-3 }).is_err());
        assert!(gate(GateInputs { parameter: 1, ..inputs(&one, &[]) }, &[]).is_err());
        let none = fits(&[], &[]);
        let gate = gate(inputs(&none, &[]), &[Criterion::FitStatusOk]).unwrap();
        assert!(gate.verdicts.is_empty() && gate.keep.is_empty() && gate.is_insufficient());
    }

    #[test]
    fn stability_keeps_from_its_limit_on_and_never_what_has_none() {
        let fits = fits(&[1e-3; 4], &[FitStatus::Converged; 4]);
        let stability = [0.69, 0.70, 1.0, NAN];
        let inputs = GateInputs { stability: &stability, ..inputs(&fits, &[]) };
        let gate = gate(inputs, &[Criterion::Stability { minimum: 0.7 }]).unwrap();
        assert_eq!(gate.keep.indices(), [2, 3]);
        let short = GateInputs { stability: &stability[..3], ..inputs };
        assert!(super::gate(short, &[Criterion::Stability { minimum: 0.7 }]).is_err());
        assert!(Criterion::Stability { minimum: 1.1 }.check().is_err());
    }
}
