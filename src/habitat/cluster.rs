//! From the kept voxels of one region to its habitats.

use super::settings::{Estimator, Guard, Method, Number, Reported, Settings};
use crate::error::Result;
use crate::random::StreamKey;
use crate::statistics::cluster_number::{gap_statistic, silhouette};
use crate::statistics::k_means;
use crate::statistics::mixture::{self, Mixture};
use crate::statistics::moments::{Moments, sum};
use crate::statistics::multivariate::{self, Features, Standardisation};

/// Voxels below which a region is not split.
const N_MIN: usize = 30;
/// Largest number of components the Bayesian criterion looks at.
const CRITERION_K_MAX: usize = 3;

/// Why a region has fewer habitats than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Fewer than 30 voxels.
    FewVoxels,
    /// All voxels are equal.
    NoSpread,
    /// Fewer distinct values than habitats.
    FewDistinctValues,
    /// The Bayesian criterion prefers one component.
    Criterion,
    /// A habitat stayed empty, or the mixture did not converge: as many as did.
    NoPartition,
}

/// Bayesian information criterion of a mixture of `k` components; smaller is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Criterion {
    /// Number of components.
    pub k: usize,
    /// −2ℓ/c + p·ln(n/c), with c the number of correlated voxels that count as one.
    pub bic: f64,
}

/// One group of voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct Habitat {
    /// 1 for the lowest mean of the first parameter.
    pub label: u8,
    /// Voxels assigned to it.
    pub n: usize,
    /// Of all voxels given.
    pub fraction: f64,
    /// Mean of its voxels per parameter, unit of the parameter.
    pub centroid: Vec<f64>,
    /// Mean per parameter by the chosen estimator.
    pub means: Vec<f64>,
    /// SD per parameter by the chosen estimator; `None` for a single voxel.
    pub standard_deviations: Vec<Option<f64>>,
}

/// The habitats of one region.
#[derive(Debug, Clone, PartialEq)]
pub struct Habitats {
    /// Habitat of each voxel, from 1, in the order given.
    pub labels: Vec<u8>,
    /// Habitats by rising label; at least one.
    pub habitats: Vec<Habitat>,
    /// Why there are fewer than were asked for; one, except after [`Reduction::NoPartition`].
    pub reduction: Option<Reduction>,
    /// Criterion of each number of components tried; empty where none was.
    pub criteria: Vec<Criterion>,
    /// Mean silhouette of the partition; `None` for one habitat.
    pub silhouette: Option<f64>,
    /// Number of habitats by the gap statistic, up to 3; only where the number was to be chosen.
    pub gap_k: Option<usize>,
    /// Posterior of the own habitat per voxel; `None` where no mixture assigned the voxels.
    pub posteriors: Option<Vec<f64>>,
    pub(super) space: Space,
    reported: Reported,
}

impl Habitats {
    /// Number of habitats.
    pub fn k(&self) -> usize {
        self.habitats.len()
    }

    /// Label of the habitat that stands for the region; `None` where all of them do.
    pub fn reported_label(&self) -> Option<u8> {
        match self.reported {
            Reported::Lowest => self.habitats.first().map(|habitat| habitat.label),
            Reported::Highest => self.habitats.last().map(|habitat| habitat.label),
            Reported::All => None,
        }
    }

    /// Which voxels stand for the region, in the order given.
    pub fn selection(&self) -> Vec<bool> {
        let reported = self.reported_label();
        self.labels.iter().map(|&label| reported.is_none_or(|wanted| wanted == label)).collect()
    }

    /// The criterion's own choice; `None` where it was not asked.
    pub fn preferred_k(&self) -> Option<usize> {
        preferred(&self.criteria)
    }
}

/// The space in which distances are taken, and the centres there, by label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Space {
    pub(super) scales: Vec<Standardisation>,
    pub(super) centres: Vec<Vec<f64>>,
}

/// Clusters the kept voxels of one region; `parameters` is one slice per parameter, each with one
/// finite value per voxel in the same order.
///
/// One parameter is clustered as it is and exactly; more are standardised by median and robust SD
/// and clustered together.
///
/// # Errors
///
/// `Value`: no parameters, no voxels, a value not finite, `n_corr` or the number of habitats out of
/// range, or an estimator whose mixture does not converge; `Mismatch`: slices of different length.
pub fn cluster(parameters: &[&[f64]], settings: &Settings) -> Result<Habitats> {
    settings.check()?;
    let region = Region::new(parameters)?;
    let (k, reduction, criteria) = region.choose_k(settings)?;
    let mut habitats = region.divide(k, settings)?;
    habitats.reduction = habitats.reduction.or(reduction);
    habitats.criteria = criteria;
    let labels: Vec<usize> = habitats.labels.iter().map(|&label| usize::from(label) - 1).collect();
    habitats.silhouette = silhouette(&region.features, &labels);
    if settings.number == Number::Automatic && reduction != Some(Reduction::FewVoxels) {
        let key = StreamKey::new(0, "gap statistic");
        let found = gap_statistic(&region.features, CRITERION_K_MAX, key);
        habitats.gap_k = found.ok().map(|gap| gap.k);
    }
    Ok(habitats)
}

/// As [`cluster`] with `k` habitats, or as many as there can be, whatever the settings say of their
/// number: what is repeated in every pseudo-experiment of a region. No criterion and no silhouette
/// is computed.
///
/// # Errors
///
/// As [`cluster`].
pub fn divide(parameters: &[&[f64]], k: usize, settings: &Settings) -> Result<Habitats> {
    settings.check()?;
    let region = Region::new(parameters)?;
    region.divide(k.min(region.features.n_distinct_up_to(k)), settings)
}

struct Region<'a> {
    parameters: &'a [&'a [f64]],
    features: Features,
    scales: Vec<Standardisation>,
}

/// Labels from 0, centres on the common scale, posteriors `[n, k]` where a mixture assigned.
struct Assignment {
    labels: Vec<usize>,
    centres: Vec<Vec<f64>>,
    responsibilities: Option<Vec<f64>>,
}

impl<'a> Region<'a> {
    fn new(parameters: &'a [&'a [f64]]) -> Result<Self> {
        let (features, scales) = if parameters.len() == 1 {
            (Features::new(parameters)?, vec![Standardisation::identity()])
        } else {
            Features::standardised(parameters)?
        };
        Ok(Self { parameters, features, scales })
    }

    fn n(&self) -> usize {
        self.features.n_samples()
    }

    /// `k` habitats, or fewer where one stays empty.
    fn divide(&self, mut k: usize, settings: &Settings) -> Result<Habitats> {
        let mut reduction = None;
        let (assignment, members) = loop {
            if let Some(found) = self.assign(k, settings) {
                break found;
            }
            (k, reduction) = (k - 1, Some(Reduction::NoPartition));
        };
        let weights = self.weights(&assignment, k, settings)?;
        let habitats = members
            .iter()
            .enumerate()
            .map(|(cluster, members)| self.describe(cluster, members, weights.as_deref()))
            .collect();
        let posteriors = assignment.responsibilities.as_ref().map(|responsibilities| {
            let rows = responsibilities.chunks_exact(k).zip(&assignment.labels);
            rows.map(|(row, &label)| row[label]).collect()
        });
        Ok(Habitats {
            silhouette: None,
            gap_k: None,
            labels: assignment.labels.iter().map(|&label| label as u8 + 1).collect(),
            habitats,
            reduction,
            criteria: Vec::new(),
            posteriors,
            space: Space { scales: self.scales.clone(), centres: assignment.centres },
            reported: settings.reported,
        })
    }

    /// The parameter, where there is only one.
    fn only(&self) -> Option<&'a [f64]> {
        match self.parameters {
            [only] => Some(only),
            _ => None,
        }
    }

    fn choose_k(&self, settings: &Settings) -> Result<(usize, Option<Reduction>, Vec<Criterion>)> {
        let wanted = match settings.number {
            Number::Fixed(1) => return Ok((1, None, Vec::new())),
            Number::Fixed(k) => k,
            Number::Automatic => 2,
        };
        let n_distinct = self.features.n_distinct_up_to(CRITERION_K_MAX.max(wanted));
        let reduction = if self.n() < N_MIN {
            Some(Reduction::FewVoxels)
        } else if n_distinct == 1 {
            Some(Reduction::NoSpread)
        } else if n_distinct < wanted {
            Some(Reduction::FewDistinctValues)
        } else {
            None
        };
        if reduction.is_some() {
            return Ok((1, reduction, Vec::new()));
        }
        if settings.guard == Guard::Never && settings.number != Number::Automatic {
            return Ok((wanted, None, Vec::new()));
        }
        let criteria = self.criteria(CRITERION_K_MAX.min(n_distinct), settings.n_corr)?;
        let k = match (preferred(&criteria), settings.number) {
            (Some(1), _) => return Ok((1, Some(Reduction::Criterion), criteria)),
            (Some(k), Number::Automatic) => k,
            _ => wanted,
        };
        Ok((k, None, criteria))
    }

    /// A number of components whose mixture does not converge is left out.
    fn criteria(&self, k_max: usize, n_corr: f64) -> Result<Vec<Criterion>> {
        let mut criteria = Vec::with_capacity(k_max);
        for k in 1..=k_max {
            let bic = match self.only() {
                Some(values) => Some(Mixture::fit(values, k, None)?.bic(n_corr)),
                None => multivariate::mixture(&self.features, k).ok().map(|found| {
                    mixture::bic(found.log_likelihood, found.n_parameters, self.n(), n_corr)
                }),
            };
            criteria.extend(bic.map(|bic| Criterion { k, bic }));
        }
        Ok(criteria)
    }

    /// Assignment and members of each of `k` habitats; `None` where one stays empty. One habitat
    /// always is found.
    fn assign(&self, k: usize, settings: &Settings) -> Option<(Assignment, Vec<Vec<usize>>)> {
        let assignment = if k <= 1 {
            self.whole()
        } else if settings.method == Method::GaussianMixture {
            self.fit_mixture(k).ok()?
        } else {
            self.fit_k_means(k).ok()?
        };
        let mut members = vec![Vec::new(); k.max(1)];
        for (voxel, &label) in assignment.labels.iter().enumerate() {
            members[label].push(voxel);
        }
        members.iter().all(|members| !members.is_empty()).then_some((assignment, members))
    }

    fn whole(&self) -> Assignment {
        let view = self.features.view();
        let columns = view.columns().into_iter();
        let centre = columns.map(|column| sum(column.iter().copied()) / self.n() as f64);
        let centres = vec![centre.collect()];
        Assignment { labels: vec![0; self.n()], centres, responsibilities: None }
    }

    fn fit_k_means(&self, k: usize) -> Result<Assignment> {
        let (labels, centres) = if let Some(values) = self.only() {
            let found = k_means::k_means(values, k)?;
            (found.labels, found.centroids.into_iter().map(|centre| vec![centre]).collect())
        } else {
            let found = multivariate::k_means(&self.features, k)?;
            (found.labels, found.centroids)
        };
        Ok(Assignment { labels, centres, responsibilities: None })
    }

    fn fit_mixture(&self, k: usize) -> Result<Assignment> {
        let Some(values) = self.only() else {
            let found = multivariate::mixture(&self.features, k)?;
            return Ok(Assignment {
                labels: found.labels,
                centres: found.means,
                responsibilities: Some(found.responsibilities),
            });
        };
        let found = Mixture::fit(values, k, None)?;
        Ok(Assignment {
            labels: values.iter().map(|&value| found.label(value)).collect(),
            centres: found.means.iter().map(|&mean| vec![mean]).collect(),
            responsibilities: Some(
                values.iter().flat_map(|&value| found.responsibilities(value)).collect(),
            ),
        })
    }

    /// Posteriors `[n, k]` that weigh the estimates; `None` for plain moments.
    fn weights(
        &self,
        assignment: &Assignment,
        k: usize,
        settings: &Settings,
    ) -> Result<Option<Vec<f64>>> {
        match (settings.estimator, &assignment.responsibilities) {
            (Estimator::Moments, _) => Ok(None),
            (Estimator::MixtureComponent, _) if k == 1 => Ok(None),
            (Estimator::MixtureComponent, Some(weights)) => Ok(Some(weights.clone())),
            (Estimator::MixtureComponent, None) => Ok(self.fit_mixture(k)?.responsibilities),
        }
    }

    fn describe(&self, cluster: usize, members: &[usize], weights: Option<&[f64]>) -> Habitat {
        let per_parameter = |values: &&[f64]| -> (f64, f64, Option<f64>) {
            let own: Vec<f64> = members.iter().map(|&voxel| values[voxel]).collect();
            let centroid = sum(own.iter().copied()) / own.len() as f64;
            let plain = || {
                let moments = Moments::of(&own);
                (centroid, moments.and_then(|moments| moments.standard_deviation()))
            };
            let (mean, sd) = match weights {
                Some(weights) => {
                    let k = weights.len() / self.n();
                    weighted(values, weights.iter().skip(cluster).step_by(k).copied())
                }
                None => plain(),
            };
            (centroid, mean, sd)
        };
        let described: Vec<_> = self.parameters.iter().map(per_parameter).collect();
        Habitat {
            label: cluster as u8 + 1,
            n: members.len(),
            fraction: members.len() as f64 / self.n() as f64,
            centroid: described.iter().map(|&(centroid, _, _)| centroid).collect(),
            means: described.iter().map(|&(_, mean, _)| mean).collect(),
            standard_deviations: described.iter().map(|&(_, _, sd)| sd).collect(),
        }
    }
}

/// Mean and population SD of `values` under `weights`.
fn weighted(values: &[f64], weights: impl Iterator<Item = f64> + Clone) -> (f64, Option<f64>) {
    let total = sum(weights.clone());
    let mean = sum(weights.clone().zip(values).map(|(w, value)| w * value)) / total;
    let squares = sum(weights.zip(values).map(|(w, value)| w * (value - mean) * (value - mean)));
    (mean, Some((squares / total).sqrt()))
}

/// The first of the best.
fn preferred(criteria: &[Criterion]) -> Option<usize> {
    let best = criteria.iter().map(|criterion| criterion.bic).fold(f64::INFINITY, f64::min);
    criteria.iter().find(|criterion| criterion.bic <= best).map(|criterion| criterion.k)
}

#[cfg(test)]
mod tests;
