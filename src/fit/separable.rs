//! Least squares of a separable model by variable projection: the default path.

use super::{HeadlineRule, total_sum_of_squares};
use crate::error::Result;
use crate::model::{
    Detail, Estimator, Fit, FitBlock, FitStatus, Headline, LaneData, Parameter, VoxelData,
    one_by_one,
};
use crate::solver::variable_projection::{
    Basis, Centres, Ending, Endings, FITS, LaneColumns, LaneSamples, Quantity, Responses,
    VariableProjection,
};

/// Fits amplitude × curve(rate); reports the headline parameter and the amplitude.
///
/// Every finite sample counts, negative and zero ones too. The amplitude is never negative: where
/// nothing positive fits better than nothing at all, and where no sample is positive, the status is
/// `NoSignal`. Two samples are fitted exactly; then no degree of freedom is left and a standard error
/// needs a known noise level.
#[derive(Debug, Clone)]
pub struct SeparableFit<B> {
    solver: VariableProjection<B>,
    rule: HeadlineRule,
    parameters: Vec<Parameter>,
}

impl<B: Basis> SeparableFit<B> {
    /// A fit of `curve`; `parameters` are headline and amplitude, the bounds of the first are kept.
    ///
    /// # Errors
    ///
    /// `Value` when the bounds do not rise or the curve does not depend on the rate inside them.
    pub fn new(curve: B, headline: Headline, parameters: &[Parameter]) -> Result<Self> {
        let bounds = headline.rate_bounds(&parameters[0]);
        let solver = VariableProjection::new(curve, None, bounds)
            .map_err(|error| error.at_field(parameters[0].name))?;
        let rule = HeadlineRule { headline, bounds: parameters[0].bounds };
        Ok(Self { solver, rule, parameters: parameters.to_vec() })
    }
}

impl<B> SeparableFit<B> {
    /// What the solver of lanes reports of the rate.
    fn quantity(&self, detail: Detail) -> Quantity {
        let [low, high] = self.rule.bounds;
        let reciprocal = self.rule.headline == Headline::InverseRate;
        Quantity {
            reciprocal,
            at_bounds: if reciprocal { [high, low] } else { [low, high] },
            everything: detail == Detail::Everything,
        }
    }

    /// How the solver of lanes writes the status of the headline; no lane is outside.
    fn endings(&self) -> Endings<FitStatus> {
        Endings {
            converged: FitStatus::Converged,
            at_lower_bound: self.rule.status(FitStatus::AtLowerBound),
            at_upper_bound: self.rule.status(FitStatus::AtUpperBound),
            undecided: FitStatus::Outside,
        }
    }
}

/// The columns of a block for the solver of lanes, and its status.
fn columns(block: &mut FitBlock) -> Option<(LaneColumns<'_>, &mut [FitStatus])> {
    let [estimates, amplitudes] = block.estimates.as_mut_slice() else { return None };
    let [variances, amplitude_variances] = block.unscaled_variances.as_mut_slice() else {
        return None;
    };
    let columns = LaneColumns {
        estimates,
        amplitudes,
        variances,
        amplitude_variances,
        residual_sums: &mut block.residual_sum_of_squares,
        total_sums: &mut block.total_sum_of_squares,
        evaluations: &mut block.evaluations,
    };
    Some((columns, &mut block.status))
}

/// What became of the rate.
fn rate_status(ending: Ending) -> FitStatus {
    match ending {
        Ending::Converged => FitStatus::Converged,
        Ending::AtLowerBound => FitStatus::AtLowerBound,
        Ending::AtUpperBound => FitStatus::AtUpperBound,
        Ending::NotConverged => FitStatus::NotConverged,
        Ending::NoPositiveAmplitude => FitStatus::NoSignal,
        Ending::Degenerate => FitStatus::Degenerate,
    }
}

impl<B: Basis> Estimator for SeparableFit<B> {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn n_samples(&self) -> usize {
        self.solver.basis().n_samples()
    }

    fn scratch_len(&self) -> usize {
        self.solver.scratch_len()
    }

    fn estimate(&self, voxel: VoxelData<'_>, scratch: &mut [f64], fit: &mut Fit) {
        fit.evaluations = 0;
        if !voxel.samples.iter().all(|sample| sample.is_finite()) {
            return fit.fail(FitStatus::NonFinite);
        }
        let found = self.solver.solve(voxel.samples, scratch);
        fit.evaluations = found.evaluations;
        let status = rate_status(found.ending);
        if !status.has_estimate() {
            return fit.fail(status);
        }
        let pair = [found.rate, found.amplitude];
        self.rule.report(pair, status, found.unscaled_covariance, fit);
        fit.residual_sum_of_squares = found.residual_sum_of_squares;
        fit.total_sum_of_squares = total_sum_of_squares(voxel.samples);
        fit.degrees_of_freedom = voxel.samples.len().saturating_sub(2);
    }

    fn estimate_block(&self, lanes: LaneData<'_>, block: &mut FitBlock) {
        block.resize(lanes.n_lanes);
        let samples = LaneSamples { values: lanes.samples, n_lanes: lanes.n_lanes };
        let quantity = self.quantity(block.detail);
        let (endings, mut undecided) = (self.endings(), 0);
        let solved = columns(block).is_some_and(|(mut columns, status)| {
            self.solver.solve_lanes(samples, &quantity, &mut columns, &mut |tile| {
                undecided += tile.write(&endings, status);
            })
        });
        if !solved {
            return one_by_one(self, lanes, block, |_| true);
        }
        let degrees = u16::try_from(self.n_samples().saturating_sub(2)).unwrap_or(u16::MAX);
        block.degrees_of_freedom.fill(degrees);
        if undecided > 0 {
            one_by_one(self, lanes, block, |status| status == FitStatus::Outside);
        }
    }

    fn respond(&self, estimates: &[[f64; FITS]], sigma: f64, responses: &mut Responses) -> bool {
        let [headlines, amplitudes] = estimates else { return false };
        let centres = Centres {
            rates: headlines.map(|headline| self.rule.headline.convert(headline)),
            amplitudes: *amplitudes,
            sigma,
            reciprocal: self.rule.headline == Headline::InverseRate,
        };
        self.solver.respond(&centres, responses)
    }

    fn expected(&self, _: VoxelData<'_>, fit: &Fit, scratch: &mut [f64], expected: &mut [f64]) {
        let n = self.n_samples();
        let rate = self.rule.headline.convert(fit.estimates[0]);
        let (first, second) = scratch.split_at_mut(n);
        let basis = self.solver.basis();
        basis.evaluate(rate, expected, first, &mut second[..n]);
        let factor = fit.estimates[1] * basis.log_factor(rate)[0].exp();
        for value in expected {
            *value *= factor;
        }
    }
}

#[cfg(test)]
mod tests;
