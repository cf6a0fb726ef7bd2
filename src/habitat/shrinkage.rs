//! Habitats of a region without leaving a voxel out: badly measured voxels are drawn towards them
//! instead.
//!
//! A gate on relative uncertainty keeps, of equal voxels, those that noise has raised, and so moves
//! the mean of a low habitat up. Here each voxel speaks with the weight of its own uncertainty: the
//! habitats are the components of a mixture without the errors of the voxels, and the value of a voxel
//! is its posterior mean, by component `(θ/u² + μ/τ²)/(1/u² + 1/τ²)`. The uncertainties must be those of
//! the voxels' true values: where they are computed at the noisy estimate and grow with it, high
//! estimates weigh too little and the means fall, by 0.7 % for the ADC of a simulated tumour at an SNR
//! of 15 to 60, where a gate at 10 % raises the mean by 2 to 3 %.
//!
//! # Reference
//!
//! Bovy, Hogg, Roweis, "Extreme deconvolution", Ann. Appl. Stat. 5 (2011), doi:10.1214/10-AOAS439.

use super::cluster::{Criterion, Reduction};
use super::settings::{Guard, Number, Reported, Settings};
use crate::error::Result;
use crate::statistics::deconvolution::Deconvolution;

/// Voxels below which a region is not split.
const N_MIN: usize = 30;
/// Largest number of components the Bayesian criterion looks at.
const CRITERION_K_MAX: usize = 3;

/// One component of a region.
#[derive(Debug, Clone, PartialEq)]
pub struct ShrunkenHabitat {
    /// 1 for the lowest mean.
    pub label: u8,
    /// Fraction of the region that belongs to it.
    pub weight: f64,
    /// Mean, unit of the values.
    pub mean: f64,
    /// Standard error of the mean from the noise and the number of voxels, correlated neighbours
    /// counted as one; `None` where the likelihood has no peak.
    pub mean_error: Option<f64>,
    /// SD without the noise of its voxels.
    pub intrinsic_standard_deviation: f64,
    /// Voxels that belong to it more than to any other.
    pub n: usize,
}

/// A region whose voxels were drawn towards its habitats.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunken {
    /// Posterior mean of each voxel, in the order given; finite for every voxel.
    pub values: Vec<f64>,
    /// Posterior SD of each voxel.
    pub standard_deviations: Vec<f64>,
    /// Habitat of each voxel, from 1: the one of greatest posterior.
    pub labels: Vec<u8>,
    /// Posterior of each voxel's own habitat.
    pub posteriors: Vec<f64>,
    /// Habitats by rising label; at least one.
    pub habitats: Vec<ShrunkenHabitat>,
    /// Voxels with a finite uncertainty.
    pub n_informative: usize,
    /// Why there are fewer habitats than were asked for.
    pub reduction: Option<Reduction>,
    /// Criterion of each number of components tried; empty where none was.
    pub criteria: Vec<Criterion>,
    /// Whether the maximum of the likelihood was found.
    pub converged: bool,
    reported: Reported,
}

impl Shrunken {
    /// The habitat that stands for the region; `None` where all of them do.
    pub fn reported(&self) -> Option<&ShrunkenHabitat> {
        match self.reported {
            Reported::Lowest => self.habitats.first(),
            Reported::Highest => self.habitats.last(),
            Reported::All => None,
        }
    }
}

/// Deconvolves `values` of the voxels of one region with absolute uncertainties `uncertainties`, an
/// infinite one for a voxel that carries no information (its value may be NaN).
///
/// The number of habitats, the guard, `n_corr` and the reported habitat are those of `settings`;
/// method and estimator are not looked at.
///
/// # Errors
///
/// As [`Deconvolution::fit`], and settings out of range. A region without spread is an error: there
/// is nothing to shrink.
pub fn shrink(values: &[f64], uncertainties: &[f64], settings: &Settings) -> Result<Shrunken> {
    settings.check()?;
    let choice = choose(values, uncertainties, settings)?;
    let mixture = choice.mixture;
    let correlated = settings.n_corr.sqrt();
    let mut habitats: Vec<ShrunkenHabitat> = (0..mixture.means.len())
        .map(|index| ShrunkenHabitat {
            label: index as u8 + 1,
            weight: mixture.weights[index],
            mean: mixture.means[index],
            mean_error: mixture.mean_errors.as_ref().map(|errors| errors[index] * correlated),
            intrinsic_standard_deviation: mixture.intrinsic_standard_deviations[index],
            n: 0,
        })
        .collect();
    let n = values.len();
    let mut shrunken = Shrunken {
        values: Vec::with_capacity(n),
        standard_deviations: Vec::with_capacity(n),
        labels: Vec::with_capacity(n),
        posteriors: Vec::with_capacity(n),
        habitats: Vec::new(),
        n_informative: mixture.n,
        reduction: choice.reduction,
        criteria: choice.criteria,
        converged: mixture.converged,
        reported: settings.reported,
    };
    for (&value, &uncertainty) in values.iter().zip(uncertainties) {
        let posterior = mixture.posterior(value, uncertainty);
        let own = mixture.label(value, uncertainty);
        habitats[own].n += 1;
        shrunken.values.push(posterior.mean);
        shrunken.standard_deviations.push(posterior.standard_deviation);
        shrunken.labels.push(habitats[own].label);
        shrunken.posteriors.push(mixture.responsibilities(value, uncertainty)[own]);
    }
    shrunken.habitats = habitats;
    Ok(shrunken)
}

struct Choice {
    mixture: Deconvolution,
    reduction: Option<Reduction>,
    criteria: Vec<Criterion>,
}

fn choose(values: &[f64], uncertainties: &[f64], settings: &Settings) -> Result<Choice> {
    let fit = |k| Deconvolution::fit(values, uncertainties, k, None);
    let one = fit(1)?;
    let wanted = match settings.number {
        Number::Fixed(k) => k,
        Number::Automatic => 2,
    };
    let n_distinct = n_distinct_up_to(values, uncertainties, wanted.max(CRITERION_K_MAX));
    let alone = |reduction| Choice { mixture: one.clone(), reduction, criteria: Vec::new() };
    if settings.number == Number::Fixed(1) {
        return Ok(alone(None));
    }
    if one.n < N_MIN {
        return Ok(alone(Some(Reduction::FewVoxels)));
    }
    if n_distinct < wanted {
        return Ok(alone(Some(Reduction::FewDistinctValues)));
    }
    if settings.guard == Guard::Never && settings.number != Number::Automatic {
        return Ok(Choice { mixture: fit(wanted)?, reduction: None, criteria: Vec::new() });
    }
    let mut fitted = vec![one];
    for k in 2..=CRITERION_K_MAX.min(n_distinct) {
        fitted.push(fit(k)?);
    }
    let criterion = |(index, mixture): (usize, &Deconvolution)| Criterion {
        k: index + 1,
        bic: mixture.bic(settings.n_corr),
    };
    let criteria: Vec<Criterion> = fitted.iter().enumerate().map(criterion).collect();
    let (k, reduction) = match (preferred(&criteria), settings.number) {
        (1, _) => (1, Some(Reduction::Criterion)),
        (k, Number::Automatic) | (_, Number::Fixed(k)) => (k, None),
    };
    let mixture = if k <= fitted.len() { fitted.swap_remove(k - 1) } else { fit(k)? };
    Ok(Choice { mixture, reduction, criteria })
}

/// The first of the best.
fn preferred(criteria: &[Criterion]) -> usize {
    let best = criteria.iter().map(|criterion| criterion.bic).fold(f64::INFINITY, f64::min);
    criteria.iter().find(|criterion| criterion.bic <= best).map_or(1, |criterion| criterion.k)
}

fn n_distinct_up_to(values: &[f64], uncertainties: &[f64], n_max: usize) -> usize {
    let mut distinct: Vec<f64> = Vec::with_capacity(n_max);
    for (&value, &uncertainty) in values.iter().zip(uncertainties) {
        let known = !uncertainty.is_finite()
            || distinct.iter().any(|other| other.total_cmp(&value).is_eq());
        if !known {
            distinct.push(value);
        }
        if distinct.len() == n_max {
            break;
        }
    }
    distinct.len()
}

#[cfg(test)]
mod tests;
