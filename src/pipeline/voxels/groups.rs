//! The gate and the habitats of one region, in the order of the plan.

use super::VoxelWork;
use super::trust::{self, Grounds, Measured};
use crate::error::Result;
use crate::habitat::{self, Guard, Habitats, Reduction, Shrunken};
use crate::image::{Mask, Volume};
use crate::model::Parameter;
use crate::pipeline::observer::Observer;
use crate::pipeline::plan::{HabitatPlan, Order, Reading, RelativeTo};
use crate::quality::gate::MINIMUM_KEPT_VOXELS;
use crate::quality::{Gate, Verdict};
use crate::uncertainty::Uncertainty;

/// Habitats of one region.
#[derive(Debug, Clone)]
pub struct Groups {
    /// The habitats.
    pub habitats: Habitats,
    /// Places, in the columns of the fits, of the voxels that were clustered.
    pub places: Vec<usize>,
    /// Fraction of the pseudo-experiments of each voxel of the fits that stay in its habitat; NaN
    /// for a voxel without one, empty where there is one habitat or none was counted.
    pub stability: Vec<f64>,
    /// Voxels that carry the information of one.
    pub n_corr: f64,
}

impl Groups {
    /// Habitat of each of the `n_voxels` of the fits.
    pub fn labels(&self, n_voxels: usize) -> Vec<Option<u8>> {
        let mut labels = vec![None; n_voxels];
        for (&place, &label) in self.places.iter().zip(&self.habitats.labels) {
            labels[place] = Some(label);
        }
        labels
    }

    /// Places of the voxels of the reported habitat that the gate kept.
    pub fn reported(&self, gate: &Gate) -> Vec<usize> {
        let reported = self.places.iter().zip(self.habitats.selection());
        reported
            .filter(|(place, is_reported)| *is_reported && gate.verdicts[**place] == Verdict::Kept)
            .map(|(&place, _)| place)
            .collect()
    }
}

/// The region without a gate: every voxel counts as far as its uncertainty allows.
#[derive(Debug, Clone)]
pub struct ShrunkenRegion {
    /// Places, in the columns of the fits, of the voxels with an estimate.
    pub places: Vec<usize>,
    /// Their values drawn towards the habitats.
    pub shrunken: Shrunken,
}

/// What gate and habitats say of one region.
pub(super) struct Judged {
    pub(super) gate: Gate,
    pub(super) groups: Option<Groups>,
    /// Sentences for the reader.
    pub(super) warnings: Vec<String>,
}

/// All that is known of the voxels of one region before they are judged.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) work: VoxelWork<'a>,
    pub(super) measured: Measured<'a>,
    pub(super) parameters: &'a [Parameter],
    /// One per parameter; empty without pseudo-experiments.
    pub(super) uncertainties: &'a [Uncertainty],
    pub(super) observer: &'a dyn Observer,
}

impl Evidence<'_> {
    /// Gate and habitats in the order of the plan.
    ///
    /// # Errors
    ///
    /// As the clustering and the gate.
    pub(super) fn judge(&self) -> Result<Judged> {
        let usable = self.gate_by(Grounds::Fit)?;
        let Some(plan) = &self.work.plan.habitat else {
            let gate = self.gate(usable, None)?;
            return Ok(Judged { gate, groups: None, warnings: Vec::new() });
        };
        let is_first = plan.order != Order::GateCluster;
        let needs_habitats = is_first || self.work.plan.gate.minimum_stability.is_some();
        let before = if needs_habitats && !usable.is_insufficient() {
            Some(self.group(plan, kept(&usable))?)
        } else {
            None
        };
        let gate = self.gate(usable, before.as_ref())?;
        if gate.is_insufficient() {
            let warnings = vec![too_few(gate.keep.len(), gate.n_voxels(), "after the gate")];
            return Ok(Judged { gate, groups: None, warnings });
        }
        let mut groups = match before.filter(|_| is_first) {
            Some(groups) => groups,
            None => self.group(plan, kept(&gate))?,
        };
        let n_reported = groups.reported(&gate).len();
        if n_reported < MINIMUM_KEPT_VOXELS {
            let warnings = vec![too_few(n_reported, gate.n_voxels(), "in the reported habitat")];
            return Ok(Judged { gate, groups: None, warnings });
        }
        if groups.stability.is_empty() {
            groups.stability = self.stability(plan, &groups)?;
        }
        let reduction = groups.habitats.reduction.map(reason);
        let warnings = reduction.iter().map(|reason| format!("one habitat only: {reason}"));
        Ok(Judged { gate, warnings: warnings.collect(), groups: Some(groups) })
    }

    /// What the plan asks of a voxel beyond a usable fit.
    fn gate(&self, usable: Gate, habitats: Option<&Groups>) -> Result<Gate> {
        if self.work.plan.gate.minimum_stability.is_some() {
            return match habitats.map(|groups| &groups.stability) {
                Some(stability) if !stability.is_empty() => {
                    self.gate_by(Grounds::Stability(stability))
                }
                _ => Ok(usable),
            };
        }
        if self.uncertainties.is_empty() {
            return Ok(usable);
        }
        self.gate_by(Grounds::Uncertainty(&self.relative(habitats)))
    }

    fn gate_by(&self, grounds: Grounds<'_>) -> Result<Gate> {
        let sigma = self.measured.noise.map(|noise| noise.level.sigma());
        trust::gate_of(self.work.plan, self.measured.fits, grounds, sigma)
    }

    /// Uncertainty of each voxel by the plan's reading, in the unit of the parameter; infinite where
    /// there is none.
    pub(super) fn deviations(&self) -> Vec<f64> {
        let Some(first) = self.uncertainties.first() else { return Vec::new() };
        let known = first.standard_deviation.iter();
        match self.work.plan.gate.reading {
            Reading::StandardDeviation => known.copied().collect(),
            // Where the SD is infinite, so is every other reading.
            Reading::HalfInterval => known
                .zip(&first.interval_68)
                .map(|(sd, [low, high])| if sd.is_finite() { 0.5 * (high - low) } else { *sd })
                .collect(),
            Reading::CramerRao => known
                .zip(&self.measured.fits.standard_errors[0])
                .map(|(sd, bound)| if sd.is_finite() { *bound } else { *sd })
                .collect(),
        }
    }

    /// What [`Self::deviations`] are divided by.
    fn references(&self, habitats: Option<&Groups>) -> Vec<f64> {
        let estimates = &self.measured.fits.estimates[0];
        let is_of_habitat = self.work.plan.gate.relative_to == RelativeTo::HabitatMean;
        let Some(groups) = habitats.filter(|_| is_of_habitat) else { return estimates.clone() };
        let means: Vec<f64> = groups.habitats.habitats.iter().map(|h| h.centroid[0]).collect();
        let mean_of = |label: Option<u8>| label.map_or(f64::NAN, |l| means[usize::from(l) - 1]);
        groups.labels(estimates.len()).into_iter().map(mean_of).collect()
    }

    fn relative(&self, habitats: Option<&Groups>) -> Vec<f64> {
        let references = self.references(habitats);
        let relative = |(deviation, reference): (f64, f64)| {
            let u = deviation / reference;
            if u.is_finite() && reference > 0.0 { u } else { f64::INFINITY }
        };
        self.deviations().into_iter().zip(references).map(relative).collect()
    }

    fn group(&self, plan: &HabitatPlan, places: Vec<usize>) -> Result<Groups> {
        let columns = self.columns_of(plan, &places);
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let n_corr = match plan.correlated_voxels {
            Some(given) => given,
            None => self.correlated_voxels(plan, (&places, &columns))?,
        };
        let habitats = habitat::cluster(&columns, &plan.settings(n_corr))?;
        let mut groups = Groups { habitats, places, stability: Vec::new(), n_corr };
        if self.work.plan.gate.minimum_stability.is_some() {
            groups.stability = self.stability(plan, &groups)?;
        }
        Ok(groups)
    }

    /// Voxels that carry the information of one, from the headline values within the habitats that
    /// would be found if every voxel were one.
    fn correlated_voxels(
        &self,
        plan: &HabitatPlan,
        (places, columns): (&[usize], &[&[f64]]),
    ) -> Result<f64> {
        let settings = habitat::Settings { guard: Guard::Never, ..plan.settings(1.0) };
        let k = if plan.clusters == 0 { 2 } else { plan.clusters };
        let labels = habitat::divide(columns, k, &settings)?.labels;
        let region = &self.measured.fits.mask;
        let mut inside = Volume::from_fn(*region.grid(), |_| false);
        for &place in places {
            inside.voxels_mut()[region.indices()[place]] = true;
        }
        habitat::voxels_per_independent_value(&Mask::new(inside), columns[0], &labels)
    }

    /// Habitats of all voxels with an estimate, each weighed by its own uncertainty: the gate-free
    /// alternative. `None` without habitats or pseudo-experiments, and where nothing can be shrunk.
    pub(super) fn shrunken(&self, groups: Option<&Groups>) -> Result<Option<ShrunkenRegion>> {
        let Some(plan) = self.work.plan.habitat.as_ref().filter(|_| !self.uncertainties.is_empty())
        else {
            return Ok(None);
        };
        let places = kept(&self.gate_by(Grounds::Fit)?);
        let (estimates, deviations) = (&self.measured.fits.estimates[0], self.deviations());
        let at = |column: &[f64]| places.iter().map(|&place| column[place]).collect::<Vec<f64>>();
        let n_corr = groups.map_or(1.0, |groups| groups.n_corr);
        let shrunken = habitat::shrink(&at(estimates), &at(&deviations), &plan.settings(n_corr));
        Ok(shrunken.ok().map(|shrunken| ShrunkenRegion { places, shrunken }))
    }

    /// Values of the clustered parameters at `places`.
    fn columns_of(&self, plan: &HabitatPlan, places: &[usize]) -> Vec<Vec<f64>> {
        let values = |index: usize| {
            let estimates = &self.measured.fits.estimates[index];
            places.iter().map(|&place| estimates[place]).collect()
        };
        self.columns(plan).into_iter().map(values).collect()
    }

    /// The parameters that are clustered, by their place in the model.
    pub(super) fn columns(&self, plan: &HabitatPlan) -> Vec<usize> {
        let joint = self.parameters.iter().enumerate().skip(1);
        let joint = joint.filter(|(_, p)| plan.joint_parameters.iter().any(|n| n == p.short_name));
        std::iter::once(0).chain(joint.map(|(index, _)| index)).collect()
    }

    /// Stability of every voxel of `groups`; empty for one habitat and where it cannot be counted.
    fn stability(&self, plan: &HabitatPlan, groups: &Groups) -> Result<Vec<f64>> {
        let settings = &self.work.plan.uncertainty;
        let is_wanted = self.work.plan.gate.minimum_stability.is_some();
        let is_free = groups.habitats.k() > 1 && !settings.early_stop;
        if self.uncertainties.is_empty() || !(is_wanted || is_free) {
            return Ok(Vec::new());
        }
        let clustered = trust::Clustered {
            habitats: &groups.habitats,
            columns: self.columns(plan),
            labels: groups.labels(self.measured.fits.n_voxels()),
        };
        trust::stabilities(self.work, self.measured, &clustered, self.observer)
    }
}

/// Places of the voxels that a gate kept.
pub(super) fn kept(gate: &Gate) -> Vec<usize> {
    let verdicts = gate.verdicts.iter().enumerate();
    verdicts.filter(|(_, v)| **v == Verdict::Kept).map(|(place, _)| place).collect()
}

fn too_few(n: usize, of: usize, place: &str) -> String {
    format!("{n} of {of} voxels are left {place}: too few for a number")
}

fn reason(reduction: Reduction) -> &'static str {
    match reduction {
        Reduction::FewVoxels => "fewer than 30 voxels",
        Reduction::NoSpread => "all voxels are equal",
        Reduction::FewDistinctValues => "too few different values",
        Reduction::Criterion => "the Bayesian information criterion prefers one component",
        Reduction::NoPartition => "a habitat stayed empty",
    }
}
