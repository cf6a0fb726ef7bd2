//! Least squares of a separable model by variable projection: the default path.

use super::{HeadlineRule, total_sum_of_squares};
use crate::error::Result;
use crate::model::{
    Detail, Estimator, Fit, FitBlock, FitColumns, FitStatus, Headline, LaneData, Parameter,
    StoredLanes, VoxelData, one_by_one,
};
use crate::solver::variable_projection::{
    Basis, Centres, Ending, Endings, FITS, LaneColumns, LaneSamples, LaneValues, Quantity,
    Responses, Spread, VariableProjection,
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
    fn quantity(&self, spread: Spread) -> Quantity {
        let [low, high] = self.rule.bounds;
        let reciprocal = self.rule.headline == Headline::InverseRate;
        Quantity {
            reciprocal,
            at_bounds: if reciprocal { [high, low] } else { [low, high] },
            spread,
        }
    }

    /// How the solver of lanes writes the status of the headline; no lane is outside.
    fn endings(&self) -> Endings<FitStatus> {
        Endings {
            converged: FitStatus::Converged,
            at_lower_bound: self.rule.status(FitStatus::AtLowerBound),
            at_upper_bound: self.rule.status(FitStatus::AtUpperBound),
            no_positive_amplitude: FitStatus::NoSignal,
            undecided: FitStatus::Outside,
        }
    }
}

/// Status and degrees of freedom of every lane.
type Ends<'a> = (&'a mut [FitStatus], &'a mut [u16]);

/// The columns of a block for the solver of lanes, and what it does not write itself.
fn columns(block: &mut FitBlock) -> Option<(LaneColumns<'_>, Ends<'_>)> {
    let [estimates, amplitudes] = block.estimates.as_mut_slice() else { return None };
    let [variances, amplitude_variances] = block.unscaled_variances.as_mut_slice() else {
        return None;
    };
    let columns = LaneColumns {
        estimates,
        amplitudes,
        spreads: [variances, amplitude_variances],
        residual_sums: &mut block.residual_sum_of_squares,
        totals: &mut block.total_sum_of_squares,
        evaluations: &mut block.evaluations,
    };
    Some((columns, (&mut block.status, &mut block.degrees_of_freedom)))
}

/// As [`columns`] of final columns.
fn final_columns<'b>(columns: &'b mut FitColumns<'_>) -> Option<(LaneColumns<'b>, Ends<'b>)> {
    let [estimates, amplitudes] = columns.estimates.as_mut_slice() else { return None };
    let [error, amplitude_error] = columns.standard_errors.as_mut_slice() else { return None };
    let target = LaneColumns {
        estimates,
        amplitudes,
        spreads: [error, amplitude_error],
        residual_sums: columns.residual_sum_of_squares,
        totals: columns.r_squared,
        evaluations: columns.evaluations,
    };
    Some((target, (columns.status, columns.degrees_of_freedom)))
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

impl<B: Basis> SeparableFit<B> {
    /// Writes all lanes that the solver of lanes settles; the others are `Outside`, and their number is
    /// returned; `None` where nothing is written.
    fn solve(
        &self,
        samples: LaneSamples<'_>,
        quantity: &Quantity,
        columns: &mut LaneColumns<'_>,
        (status, degrees_of_freedom): Ends<'_>,
    ) -> Option<usize> {
        let degrees = u16::try_from(self.n_samples().saturating_sub(2)).unwrap_or(u16::MAX);
        degrees_of_freedom.fill(degrees);
        let endings = self.endings();
        self.solver.solve_lanes(samples, quantity, columns, &mut |tile| {
            tile.write(&endings, status);
            if tile.nowhere_positive != 0 {
                degrees_of_freedom[tile.first] = 0;
            }
        })
    }

    /// Lane after lane, those that the solver of lanes has left.
    fn estimate_rest(&self, lanes: StoredLanes<'_>, columns: &mut FitColumns<'_>) {
        let mut scratch = vec![0.0; self.scratch_len()];
        let mut samples = vec![0.0; self.n_samples()];
        let mut fit = Fit::new(self.parameters.len());
        for lane in 0..lanes.n_lanes {
            if columns.status[lane] == FitStatus::Outside {
                lanes.lane_into(lane, &mut samples);
                let voxel = VoxelData { samples: &samples, fixed: &[] };
                self.estimate(voxel, &mut scratch, &mut fit);
                columns.store(lane, &fit);
            }
        }
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
        let quantity = self.quantity(match block.detail {
            Detail::Everything => Spread::Unscaled,
            Detail::Estimates => Spread::None,
        });
        let samples = LaneSamples::packed(lanes.samples, lanes.n_lanes);
        let solved = columns(block)
            .and_then(|(mut columns, ends)| self.solve(samples, &quantity, &mut columns, ends));
        match solved {
            None => one_by_one(self, lanes, block, |_| true),
            Some(0) => {}
            Some(_) => one_by_one(self, lanes, block, |status| status == FitStatus::Outside),
        }
    }

    fn estimate_stored(&self, lanes: StoredLanes<'_>, columns: &mut FitColumns<'_>) -> bool {
        let StoredLanes { values, stride, first, n_lanes } = lanes;
        let samples = LaneSamples { values: LaneValues::Single(values), stride, first, n_lanes };
        let quantity = self.quantity(match (columns.variance, self.n_samples()) {
            (Some(variance), _) => Spread::Known { variance },
            (None, ..=2) => Spread::Residual { per_degree: f64::NAN },
            (None, n_samples) => Spread::Residual { per_degree: 1.0 / (n_samples - 2) as f64 },
        });
        let solved = final_columns(columns)
            .and_then(|(mut columns, ends)| self.solve(samples, &quantity, &mut columns, ends));
        let Some(undecided) = solved else { return false };
        if undecided > 0 {
            self.estimate_rest(lanes, columns);
        }
        true
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
