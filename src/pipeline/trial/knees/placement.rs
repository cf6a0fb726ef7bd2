//! T2 of one knee by both orders, through the transform that was found and through the one that is
//! known: the same voxels, the same noise, no pseudo-experiments.

use super::{MS_PER_S, WrittenCohort};
use crate::error::{Error, Result};
use crate::image::Labels;
use crate::io::bids::Filter;
use crate::io::nifti::{self, ReadLimits};
use crate::pipeline::locate::{self, FitItem};
use crate::pipeline::observer::Silent;
use crate::pipeline::plan::{FitPlan, RegionPlan, RegistrationOrder};
use crate::pipeline::registered::{Anatomy, Registered, register, register_through};
use crate::pipeline::simulated::Movement;
use crate::pipeline::voxels::{Selection, VoxelWork, measure_voxels};
use crate::random::StreamKey;
use crate::registration::{PointMap, Registration};
use crate::simulate::KnownMotion;
use crate::statistics::quantile::quantiles;

/// Every so many voxels of the cartilage are looked at.
const STRIDE: usize = 7;

/// Where a number of a knee comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What is done first.
    pub order: RegistrationOrder,
    /// Whether the transform is the known one; else it was found.
    pub is_known: bool,
}

impl Place {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self { order: RegistrationOrder::RegisterThenFit, is_known: false },
        Self { order: RegistrationOrder::RegisterThenFit, is_known: true },
        Self { order: RegistrationOrder::FitThenMap, is_known: false },
        Self { order: RegistrationOrder::FitThenMap, is_known: true },
    ];
}

/// Distances between found and known transform over the voxels of the cartilage, mm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distances {
    /// Root of the mean square.
    pub root_mean_square_mm: f64,
    /// 95th percentile.
    pub p95_mm: f64,
    /// Largest.
    pub largest_mm: f64,
}

/// One knee in one session.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Such as `sub-01`.
    pub participant_id: String,
    /// Such as `ses-pre`.
    pub session_id: String,
    /// `right` or `left`.
    pub side: String,
    /// How far the found transform is from the known one.
    pub distances: Distances,
    /// Median and 25th percentile of T2, ms, one pair per place of [`Place::ALL`].
    pub t2_ms: [[f64; 2]; 4],
}

/// Every knee of `cohort` that was moved, by its files and the shipped pipeline with `changes`.
///
/// # Errors
///
/// As the registration and the fits.
pub fn placements(cohort: &WrittenCohort, changes: &[String]) -> Result<Vec<Placement>> {
    let plan = cohort.plan(changes)?;
    let mut all = Vec::new();
    for located in locate::sessions(&plan, &Filter::default())? {
        let item = located.item?;
        for fit in &item.fits {
            let side = fit.knee.clone().unwrap_or_default();
            let is_meant = |movement: &&Movement| {
                movement.participant_id == item.participant_id
                    && movement.session_id == item.session_id
                    && movement.region == format!("{side}knee")
            };
            let Some(movement) = cohort.written.movements.iter().find(is_meant) else { continue };
            let knee = Knee { item: fit, plan: plan.fit[fit.fit].clone(), key: cohort.seed };
            let (distances, t2_ms) = knee.compared(&movement.motion)?;
            all.push(Placement {
                participant_id: item.participant_id.clone(),
                session_id: item.session_id.clone().unwrap_or_default(),
                side,
                distances,
                t2_ms,
            });
        }
    }
    Ok(all)
}

struct Knee<'a> {
    item: &'a FitItem,
    plan: FitPlan,
    key: u64,
}

impl Knee<'_> {
    fn compared(mut self, motion: &KnownMotion) -> Result<(Distances, [[f64; 2]; 4])> {
        let limits = ReadLimits::default();
        let absent = || Error::internal("a knee without an anatomical image or a region");
        let image = self.item.register_from.as_deref().ok_or_else(absent)?;
        let region = self.item.region.as_deref().ok_or_else(absent)?;
        let anatomy = Anatomy { image, region };
        self.plan.uncertainty.pseudo_experiments = 0;
        let load = || self.item.source.load(&limits);
        let found = register(&self.plan, load()?, anatomy, &limits)?.found;
        let known = Registration { transform: motion.transform()?, report: found.report.clone() };
        let mut t2_ms = [[f64::NAN; 2]; 4];
        for (place, t2_ms) in Place::ALL.iter().zip(&mut t2_ms) {
            let through = if place.is_known { &known } else { &found };
            if let Some(registration) = &mut self.plan.registration {
                registration.order = place.order;
            }
            let placed = register_through(&self.plan, load()?, anatomy, &limits, through.clone())?;
            *t2_ms = self.quantiles_ms(&placed)?;
        }
        let labels = self.plan.region.as_ref();
        Ok((distances(anatomy, labels, &found, motion)?, t2_ms))
    }

    fn quantiles_ms(&self, placed: &Registered) -> Result<[f64; 2]> {
        let work = VoxelWork {
            plan: &self.plan,
            loaded: &placed.loaded,
            region: &placed.region,
            fixed: &[],
            artery: None,
            key: StreamKey::new(self.key, "placement"),
            bridge: Some(&placed.bridge),
        };
        let result = measure_voxels(work, &Silent)?;
        let values = result.values(0, &result.places(Selection::Gated));
        let found = quantiles(&values, [0.5, 0.25]);
        Ok(found.map_or([f64::NAN; 2], |both| both.map(|value| MS_PER_S * value)))
    }
}

fn distances(
    anatomy: Anatomy<'_>,
    region: Option<&RegionPlan>,
    found: &Registration,
    motion: &KnownMotion,
) -> Result<Distances> {
    let volume = nifti::read_labels(anatomy.region, &ReadLimits::default())?.image;
    let labels = Labels::new(volume, std::collections::BTreeMap::new());
    let drawn = labels.mask_of(region.map_or(&[][..], |region| &region.labels));
    let voxels = drawn.indices().iter().step_by(STRIDE);
    let distances: Vec<f64> = voxels
        .map(|&voxel| {
            let place = drawn.grid().position_mm(voxel);
            let (a, b) = (found.transform.apply(place), motion.from_anatomy(place));
            (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
        })
        .collect();
    let square: f64 = distances.iter().map(|d| d * d).sum();
    let [p95_mm, largest_mm] = quantiles(&distances, [0.95, 1.0]).unwrap_or([f64::NAN; 2]);
    let root_mean_square_mm = (square / distances.len() as f64).sqrt();
    Ok(Distances { root_mean_square_mm, p95_mm, largest_mm })
}
