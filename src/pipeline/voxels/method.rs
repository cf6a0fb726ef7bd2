//! What the method says of one region, with the uncertainty of the whole way to it.
//!
//! The uncertainty is that of repeating everything after the scan: in every pseudo-experiment each
//! voxel takes one of its own replicates, the gate and the clustering are done again, and the number
//! of the region is formed again. The number of habitats is held.

use rayon::prelude::*;

use super::groups::{Evidence, Groups, Judged, kept};
use super::trust;
use crate::error::Result;
use crate::habitat::{self, Habitats};
use crate::model::{Fit, VoxelData};
use crate::perfusion::{Arrival, SystematicShifts, systematic_shifts};
use crate::pipeline::measure;
use crate::pipeline::plan::{HabitatPlan, Order, RelativeTo, Summary};
use crate::quality::gate::{MINIMUM_KEPT_FRACTION, MINIMUM_KEPT_VOXELS};
use crate::statistics::gaussian_histogram::GaussianHistogram;
use crate::statistics::moments::Moments;
use crate::statistics::quantile::quantiles;
use crate::uncertainty::{Experiment, ObservedVoxels, PseudoExperiments};

/// Relative error of the noise level.
const SIGMA_ERROR: f64 = 0.2;
/// Fraction of pseudo-experiments without a number above which there is no standard error.
const MISSING_MAX: f64 = 0.05;

/// What the method says of one region.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodValue {
    /// Mean, unit of the headline parameter.
    pub mean: f64,
    /// SD over the region; `None` for a single voxel.
    pub standard_deviation: Option<f64>,
    /// Voxels it stands on.
    pub n: usize,
    /// What pseudo-experiments of the whole region say of it; `None` where none were asked for.
    pub repeated: Option<Repeated>,
    /// Shift of the mean, relative, where σ is 20 % smaller and 20 % larger than assumed; `None`
    /// where that leaves no number.
    pub sigma_shifts: [Option<f64>; 2],
    /// What wrong assumptions do to the area under the mean curve of the reported voxels.
    pub systematic: Option<SystematicShifts>,
}

/// Pseudo-experiments of one region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Repeated {
    /// How many were done.
    pub n: usize,
    /// How many gave a number.
    pub n_with_number: usize,
    /// SD of the mean over them; `None` where more than 5 % gave no number.
    pub standard_error: Option<f64>,
    /// Their mean − the mean; `None` likewise.
    pub bias: Option<f64>,
    /// SD over them of the SD over the region; `None` likewise.
    pub standard_error_of_sd: Option<f64>,
    /// SD over them of the 25th percentile and of the median of the voxels; `None` likewise.
    pub standard_errors_of_quartiles: [Option<f64>; 2],
}

/// Mean and spread of one region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Answer {
    mean: f64,
    standard_deviation: Option<f64>,
    /// 25th percentile and median of the voxels.
    quartiles: [f64; 2],
}

/// One look at the region: its values, and what may be kept of them.
pub(super) struct Look<'a> {
    /// Clustered parameters, one column each, by place in the fits; NaN where there is no estimate.
    pub(super) values: &'a [Vec<f64>],
    /// Uncertainty of each voxel; empty where nothing is gated by it.
    pub(super) deviations: &'a [f64],
    /// Voxels that a gate by stability kept; it is held.
    pub(super) is_stable: Option<&'a [bool]>,
    pub(super) n_habitats: usize,
    /// Names the noise of a mean signal; `None` for the images as they are.
    pub(super) replicate: Option<u32>,
}

impl Evidence<'_> {
    /// What the method says of the region; `None` where too little is left.
    ///
    /// # Errors
    ///
    /// As the pseudo-experiments and the clustering.
    pub(super) fn method(
        &self,
        judged: &Judged,
        arrival: Option<Arrival>,
    ) -> Result<Option<MethodValue>> {
        if judged.gate.is_insufficient() {
            return Ok(None);
        }
        let places = match (&self.work.plan.habitat, &judged.groups) {
            (Some(_), None) => return Ok(None),
            (_, Some(groups)) => groups.reported(&judged.gate),
            (None, None) => kept(&judged.gate),
        };
        let habitats = judged.groups.as_ref().map(|groups| &groups.habitats);
        let Some(answer) = self.summarise(habitats, &places, None) else { return Ok(None) };
        Ok(Some(MethodValue {
            mean: answer.mean,
            standard_deviation: answer.standard_deviation,
            n: places.len(),
            repeated: self.repeated(judged, answer)?,
            sigma_shifts: self.sigma_shifts(judged, answer),
            systematic: self.systematic(&places, arrival)?,
        }))
    }

    /// Mean and spread of the voxels at `places`, by the summary that the plan asks for.
    fn summarise(
        &self,
        habitats: Option<&Habitats>,
        places: &[usize],
        replicate: Option<u32>,
    ) -> Option<Answer> {
        let estimates = &self.measured.fits.estimates[0];
        let values: Vec<f64> = places.iter().map(|&place| estimates[place]).collect();
        self.summary_of(habitats, (places, &values), replicate)
    }

    fn summary_of(
        &self,
        habitats: Option<&Habitats>,
        (places, values): (&[usize], &[f64]),
        replicate: Option<u32>,
    ) -> Option<Answer> {
        let moments = Moments::of(values)?;
        let quartiles = quantiles(values, [0.25, 0.5]).unwrap_or([f64::NAN; 2]);
        let standard_deviation = moments.standard_deviation();
        let plain = Answer { mean: moments.mean(), standard_deviation, quartiles };
        let summary = self.work.plan.habitat.as_ref().map_or(Summary::Moments, |p| p.summary);
        match summary {
            Summary::Moments => Some(plain),
            Summary::MixtureComponent => {
                let habitats = habitats?;
                let Some(label) = habitats.reported_label() else { return Some(plain) };
                let habitat = &habitats.habitats[usize::from(label) - 1];
                let standard_deviation = habitat.standard_deviations[0];
                Some(Answer { mean: habitat.means[0], standard_deviation, quartiles })
            }
            Summary::GaussianHistogram => {
                let fitted = GaussianHistogram::fit(values).ok()?;
                let standard_deviation = Some(fitted.standard_deviation);
                Some(Answer { mean: fitted.mean, standard_deviation, quartiles })
            }
            Summary::MeanSignal => {
                let mean = self.of_mean_signal(places, replicate)?;
                Some(Answer { mean, ..plain })
            }
        }
    }

    /// The estimate from the mean signals of the voxels at `places`; with the noise of a mean where
    /// a replicate is asked for.
    fn of_mean_signal(&self, places: &[usize], replicate: Option<u32>) -> Option<f64> {
        let (mut samples, fixed) = self.mean_signal(places)?;
        if let (Some(replicate), Some(noise)) = (replicate, self.measured.noise) {
            let sigma = noise.level.sigma() / (places.len() as f64).sqrt();
            // No voxel of the region has this index.
            let beyond = self.work.region.grid().n_voxels();
            let mut stream = self.work.key.stream(beyond, replicate);
            for sample in &mut samples {
                *sample += sigma * stream.normal();
            }
        }
        let estimator = self.measured.estimator;
        let mut fit = Fit::new(estimator.parameters().len());
        let mut scratch = vec![0.0; estimator.scratch_len()];
        estimator.estimate(VoxelData { samples: &samples, fixed: &fixed }, &mut scratch, &mut fit);
        fit.status.has_estimate().then(|| fit.estimates[0]).filter(|mean| mean.is_finite())
    }

    /// Mean samples and constants over the voxels at `places`.
    fn mean_signal(&self, places: &[usize]) -> Option<(Vec<f64>, Vec<f64>)> {
        let (series, indices) = (&self.work.loaded.series, self.work.region.indices());
        let n = places.len() as f64;
        let mut sums = vec![0.0; series.n_volumes()];
        let mut samples = sums.clone();
        let mut fixed = vec![0.0; self.work.fixed.len()];
        for &place in places {
            series.signals_into(indices[place], &mut samples);
            for (sum, sample) in sums.iter_mut().zip(&samples) {
                *sum += sample / n;
            }
            for (sum, constant) in fixed.iter_mut().zip(self.work.fixed) {
                *sum += constant.voxels()[indices[place]] / n;
            }
        }
        (n > 0.0).then_some((sums, fixed))
    }

    fn repeated(&self, judged: &Judged, observed: Answer) -> Result<Option<Repeated>> {
        let n = self.work.plan.uncertainty.region_pseudo_experiments as usize;
        let answers = match self.registered_answers(judged, n)? {
            Some(answers) => answers,
            None => match self.answers(judged, n)? {
                Some(answers) => answers,
                None => return Ok(None),
            },
        };
        Ok((n > 0).then(|| summary(&answers, observed)))
    }

    /// One answer per pseudo-experiment; `None` where nothing can be drawn.
    fn answers(&self, judged: &Judged, n: usize) -> Result<Option<Vec<Option<Answer>>>> {
        let Some(drawn) = self.draw(n)? else { return Ok(None) };
        let deviations = self.gate_deviations();
        let is_stable = self.stable(judged);
        let answer = |replicate: usize| {
            self.look(&Look {
                values: &drawn.columns(replicate),
                deviations: &deviations,
                is_stable: is_stable.as_deref(),
                n_habitats: judged.groups.as_ref().map_or(1, |groups| groups.habitats.k()),
                replicate: Some(replicate as u32),
            })
        };
        Ok(Some((0..n).into_par_iter().map(answer).collect()))
    }

    /// Replicates of the clustered parameters of every voxel; `None` where nothing can be drawn.
    pub(super) fn draw(&self, n: usize) -> Result<Option<Drawn>> {
        let settings = trust::settings(self.work, self.measured.noise);
        let (Some(settings), Some(noise), true) = (settings, self.measured.noise, n > 0) else {
            return Ok(None);
        };
        let settings = PseudoExperiments { n_replicates: n as u32, early_stop: None, ..settings };
        let fixed: Vec<_> = self.work.fixed.iter().collect();
        let observed = ObservedVoxels::new(&self.work.loaded.series, self.measured.fits, &fixed)?;
        let level = &noise.level;
        let estimator = self.measured.estimator;
        let experiment = Experiment::new(estimator, &observed, level, settings, self.work.key)?;
        let columns = self.work.plan.habitat.as_ref().map_or(vec![0], |plan| self.columns(plan));
        let voxels = experiment.reduce(|replicates| {
            let column = |&column: &usize| replicates.estimates.get(column).cloned();
            columns.iter().map(|index| column(index).unwrap_or_default()).collect()
        });
        Ok(Some(Drawn { voxels, n_columns: columns.len() }))
    }

    /// What the gate judges by; empty where it does not judge by uncertainty.
    pub(super) fn gate_deviations(&self) -> Vec<f64> {
        match self.work.plan.gate.minimum_stability {
            Some(_) => Vec::new(),
            None => self.deviations(),
        }
    }

    pub(super) fn stable(&self, judged: &Judged) -> Option<Vec<bool>> {
        self.work.plan.gate.minimum_stability?;
        let mut is_stable = vec![false; judged.gate.n_voxels()];
        for place in kept(&judged.gate) {
            is_stable[place] = true;
        }
        Some(is_stable)
    }

    /// Shifts of the mean, relative, under a noise level that is too small and too large.
    fn sigma_shifts(&self, judged: &Judged, observed: Answer) -> [Option<f64>; 2] {
        let columns = self.work.plan.habitat.as_ref().map_or(vec![0], |plan| self.columns(plan));
        let settled = |index: usize| -> Vec<f64> {
            let fits = self.measured.fits;
            let settled = fits.estimates[index].iter().zip(&fits.status);
            settled.map(|(x, status)| if status.is_settled() { *x } else { f64::NAN }).collect()
        };
        let values: Vec<Vec<f64>> = columns.into_iter().map(settled).collect();
        [1.0 - SIGMA_ERROR, 1.0 + SIGMA_ERROR].map(|factor| {
            let deviations: Vec<f64> =
                self.gate_deviations().into_iter().map(|sd| factor * sd).collect();
            if deviations.is_empty() {
                return None;
            }
            let n_habitats = judged.groups.as_ref().map_or(1, |groups| groups.habitats.k());
            let look = Look {
                values: &values,
                deviations: &deviations,
                is_stable: None,
                n_habitats,
                replicate: None,
            };
            self.look(&look).map(|answer| answer.mean / observed.mean - 1.0)
        })
    }

    /// Gate, habitats and summary of one look at the region.
    pub(super) fn look(&self, look: &Look<'_>) -> Option<Answer> {
        let usable = self.usable(look);
        let plan = self.work.plan.habitat.as_ref();
        let before = match plan.filter(|plan| plan.order != Order::GateCluster) {
            Some(plan) => Some(divided(plan, look, usable.clone())?),
            None => None,
        };
        let passing = self.passing(look, &usable, before.as_ref());
        let least = MINIMUM_KEPT_FRACTION * self.work.region.len() as f64;
        if (passing.len() as f64) < least.max(MINIMUM_KEPT_VOXELS as f64) {
            return None;
        }
        let (habitats, places) = match (plan, before) {
            (None, _) => (None, passing),
            (Some(_), Some(groups)) => {
                let own = reported(&groups).filter(|place| passing.binary_search(place).is_ok());
                let own = own.collect();
                (Some(groups.habitats), own)
            }
            (Some(plan), None) => {
                let groups = divided(plan, look, passing)?;
                let own: Vec<usize> = reported(&groups).collect();
                (Some(groups.habitats), own)
            }
        };
        if places.len() < MINIMUM_KEPT_VOXELS {
            return None;
        }
        let values: Vec<f64> = places.iter().map(|&place| look.values[0][place]).collect();
        self.summary_of(habitats.as_ref(), (&places, &values), look.replicate)
    }

    /// Voxels with a positive value in the range of the plan, in rising order; how well the fit of a
    /// voxel agrees with its samples is held.
    fn usable(&self, look: &Look<'_>) -> Vec<usize> {
        let r_squared = &self.measured.fits.r_squared;
        let least = self.work.plan.gate.minimum_r_squared;
        let [low, high] = self.work.plan.gate.range.unwrap_or([0.0, f64::INFINITY]);
        let is_usable = |&place: &usize| {
            let value = look.values[0][place];
            let is_inside = value > 0.0 && (low..=high).contains(&value);
            is_inside
                && least.is_none_or(|least| r_squared[place] >= least)
                && look.values.iter().all(|column| column[place].is_finite())
        };
        (0..look.values[0].len()).filter(is_usable).collect()
    }

    /// The `usable` voxels that pass the gate.
    fn passing(&self, look: &Look<'_>, usable: &[usize], before: Option<&Groups>) -> Vec<usize> {
        let by_habitat = self.work.plan.gate.relative_to == RelativeTo::HabitatMean;
        let labels = before
            .filter(|_| by_habitat)
            .map(|groups| (groups.labels(look.values[0].len()), &groups.habitats.habitats));
        let maximum = self.work.plan.gate.maximum_uncertainty;
        let passes = |&place: &usize| {
            if let Some(is_stable) = look.is_stable {
                return is_stable[place];
            }
            let Some(deviation) = look.deviations.get(place) else { return true };
            let reference = match &labels {
                Some((labels, habitats)) => labels[place]
                    .map_or(f64::NAN, |label| habitats[usize::from(label) - 1].centroid[0]),
                None => look.values[0][place],
            };
            deviation / reference <= maximum
        };
        usable.iter().copied().filter(passes).collect()
    }

    /// What wrong assumptions do to the mean curve of the voxels at `places`; only for areas.
    fn systematic(
        &self,
        places: &[usize],
        arrival: Option<Arrival>,
    ) -> Result<Option<SystematicShifts>> {
        let (plan, protocol) = (self.work.plan, &self.work.loaded.protocol);
        let (Some(dynamic), Some(arrival)) = (&plan.dynamic, arrival) else { return Ok(None) };
        let Some((samples, fixed)) =
            self.mean_signal(places).filter(|_| plan.model == measure::IAUC)
        else {
            return Ok(None);
        };
        let settings = measure::dynamic_settings(dynamic, protocol, arrival.time_s())?;
        let settings = measure::iauc_settings(protocol, &settings)?;
        let t10_s = fixed.first().copied().unwrap_or(f64::NAN);
        Ok(systematic_shifts(&settings, &samples, t10_s).ok())
    }
}

fn divided(plan: &HabitatPlan, look: &Look<'_>, places: Vec<usize>) -> Option<Groups> {
    let columns: Vec<Vec<f64>> = look
        .values
        .iter()
        .map(|column| places.iter().map(|&place| column[place]).collect())
        .collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let habitats = habitat::divide(&columns, look.n_habitats, &plan.settings(1.0)).ok()?;
    Some(Groups { habitats, places, stability: Vec::new(), n_corr: 1.0 })
}

/// Places of the reported habitat.
fn reported(groups: &Groups) -> impl Iterator<Item = usize> + '_ {
    let selection = groups.habitats.selection();
    groups.places.iter().zip(selection).filter(|(_, is)| *is).map(|(&place, _)| place)
}

/// What the answers of pseudo-experiments say of the one that was observed.
fn summary(answers: &[Option<Answer>], observed: Answer) -> Repeated {
    let of = |value: &dyn Fn(&Answer) -> f64| -> Vec<f64> {
        answers.iter().flatten().map(value).collect()
    };
    let means = of(&|answer| answer.mean);
    let is_known = means.len() as f64 >= (1.0 - MISSING_MAX) * answers.len() as f64;
    let sd = |values: &[f64]| Moments::of(values)?.standard_deviation().filter(|_| is_known);
    let centre = Moments::of(&means).map(|moments| moments.mean());
    let spreads: Vec<f64> =
        answers.iter().flatten().filter_map(|answer| answer.standard_deviation).collect();
    Repeated {
        n: answers.len(),
        n_with_number: means.len(),
        standard_error: sd(&means),
        bias: centre.filter(|_| is_known).map(|mean| mean - observed.mean),
        standard_error_of_sd: sd(&spreads),
        standard_errors_of_quartiles: [0, 1].map(|index| sd(&of(&|a| a.quartiles[index]))),
    }
}

/// Replicates of every voxel.
pub(super) struct Drawn {
    /// Per voxel and clustered parameter.
    voxels: Vec<Vec<Vec<f64>>>,
    n_columns: usize,
}

impl Drawn {
    /// One replicate of every voxel, a column per parameter; NaN where it gave no estimate.
    pub(super) fn columns(&self, replicate: usize) -> Vec<Vec<f64>> {
        let value = |of_voxel: &Vec<Vec<f64>>, column: usize| {
            of_voxel[column].get(replicate).copied().unwrap_or(f64::NAN)
        };
        (0..self.n_columns)
            .map(|column| self.voxels.iter().map(|voxel| value(voxel, column)).collect())
            .collect()
    }
}
