//! The best deformation on top of a rigid movement, from coarse to fine.
//!
//! # Reference
//!
//! Rueckert et al., IEEE Trans Med Imaging 1999;18:712–721, doi:10.1109/42.796284; Mattes et al., IEEE
//! Trans Med Imaging 2003;22:120–128, doi:10.1109/TMI.2003.809072.

use super::bending::Bending;
use super::comparison::Comparison;
use super::lattice::{covering, refined};
use super::level::{Level, Resolution};
use super::rigid_search::{LEAST_OVERLAP, RigidSettings, register_rigid};
use super::warp::{LatticeOnGrid, Warp};
use super::{FreeForm, Metric, Outcome, Pair, Registration, Report, Rigid, Transform};
use crate::error::{Error, Result};
use crate::image::{Mask, Volume};
use crate::solver::l_bfgs::{self, Objective};

/// How to search for a deformation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FreeFormSettings {
    /// The search for the movement below it; its metric is that of both.
    pub rigid: RigidSettings,
    /// Distance of the control points at the coarsest and at the finest resolution, mm; halved from
    /// one resolution to the next until the finest is reached.
    pub control_spacing_mm: [f64; 2],
    /// Weight beside the metric of the bending energy times the square of the finest control spacing,
    /// so that it means the same at every size.
    pub bending_weight: f64,
    /// Resolutions, each of half the spacing of the one before; at least 1.
    pub n_levels: usize,
    /// Voxels of the fixed image compared at each resolution, at most, on a regular lattice.
    pub samples_max: usize,
    /// Steps at each coarser resolution and at the finest, at most.
    pub iterations_max: [usize; 2],
}

impl Default for FreeFormSettings {
    /// Mutual information, control points 40 → 20 mm apart, bending weight 0.5, 3 resolutions,
    /// 500 000 samples, 100 steps and 50 at the finest resolution.
    fn default() -> Self {
        Self {
            rigid: RigidSettings { samples_max: 100_000, ..RigidSettings::default() },
            control_spacing_mm: [40.0, 20.0],
            bending_weight: 0.5,
            n_levels: 3,
            samples_max: 500_000,
            iterations_max: [100, 50],
        }
    }
}

/// The deformation under which `pair.moving` is most like `pair.fixed`, on top of the best rigid
/// transform.
///
/// The rigid transform is kept, and the report says why, where the deformation folds at a voxel of the
/// mask (of the image, where there is no mask) or is no more alike.
///
/// # Errors
///
/// As [`register_rigid`]; `Value` when a spacing or the weight is not positive or there is no
/// resolution.
pub fn register_free_form(pair: &Pair<'_>, settings: &FreeFormSettings) -> Result<Registration> {
    check(settings)?;
    let rigid = register_rigid(pair, &settings.rigid)?;
    deform(pair, &rigid, settings)
}

fn check(settings: &FreeFormSettings) -> Result<()> {
    let [coarse, fine] = settings.control_spacing_mm;
    if !(coarse.is_finite() && fine > 0.0 && coarse >= fine) {
        return Err(Error::value(format!(
            "{:?} mm is no positive distance that falls or stays from coarse to fine",
            settings.control_spacing_mm
        ))
        .at_field("control_spacing_mm"));
    }
    if !(settings.bending_weight >= 0.0 && settings.bending_weight.is_finite()) {
        return Err(Error::value(format!("{} is negative or not finite", settings.bending_weight))
            .at_field("bending_weight"));
    }
    if settings.n_levels == 0 {
        return Err(Error::value("0 is no number of resolutions").at_field("n_levels"));
    }
    Ok(())
}

/// A deformation on top of a rigid registration that is already known.
///
/// # Errors
///
/// As [`register_free_form`].
pub fn deform(
    pair: &Pair<'_>,
    rigid: &Registration,
    settings: &FreeFormSettings,
) -> Result<Registration> {
    check(settings)?;
    pair.check()?;
    let metric = settings.rigid.metric;
    let [coarse, fine] = settings.control_spacing_mm;
    let halvings = ((coarse / fine).log2().round() as usize).min(settings.n_levels - 1);
    let widest = fine * f64::from(1_u32 << halvings.min(30));
    let lattice = covering(pair.fixed.grid(), widest)?;
    let mut displacements = Volume::from_fn(lattice, |_| [0.0; 3]);
    let mut steps = [rigid.report.iterations, rigid.report.evaluations];
    for level in (0..settings.n_levels).rev() {
        let passed = settings.n_levels - 1 - level;
        if (1..=halvings).contains(&passed) {
            displacements = refined(&displacements)?;
        }
        let Some(images) = images_of(pair, settings, level)? else { continue };
        let mut search = Deformation::new(images, metric, *rigid.transform.rigid(), &displacements);
        search.bending_weight_mm2 = settings.bending_weight * fine * fine;
        let minimum = search.run(&displacements, settings.iterations_max[usize::from(level == 0)]);
        steps = [steps[0] + minimum.iterations, steps[1] + minimum.evaluations];
        for (node, x) in displacements.voxels_mut().iter_mut().zip(minimum.x.chunks_exact(3)) {
            node.copy_from_slice(x);
        }
        if level == 0 {
            let mut registration = search.judge(pair, rigid, displacements)?;
            [registration.report.iterations, registration.report.evaluations] = steps;
            return Ok(registration);
        }
    }
    Err(Error::internal("the finest resolution was not searched"))
}

/// The images of one resolution; `None` where a coarse one has too little to compare.
fn images_of(pair: &Pair<'_>, settings: &FreeFormSettings, level: usize) -> Result<Option<Level>> {
    let resolution =
        Resolution { factor: f64::from(1_u32 << level.min(16)), samples_max: settings.samples_max };
    match Level::new(pair, resolution, settings.rigid.metric) {
        Ok(images) => Ok(Some(images)),
        Err(_) if level > 0 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The search at one resolution.
struct Deformation {
    comparison: Comparison,
    metric: Metric,
    rigid: Rigid,
    on_grid: LatticeOnGrid,
    bending: Bending,
    bending_weight_mm2: f64,
}

impl Deformation {
    fn new(level: Level, metric: Metric, rigid: Rigid, nodes: &Volume<[f64; 3]>) -> Self {
        Self {
            on_grid: LatticeOnGrid::new(&level.fixed.grid, nodes.grid()),
            bending: Bending::new(nodes.grid()),
            comparison: Comparison::new(level, metric),
            metric,
            rigid,
            bending_weight_mm2: 0.0,
        }
    }

    fn run(&mut self, start: &Volume<[f64; 3]>, iterations_max: usize) -> l_bfgs::Minimum {
        let spacing_mm = self.comparison.level.spacing_mm;
        let settings = l_bfgs::Settings {
            memory: 10,
            iterations_max,
            first_step: 0.5 * spacing_mm,
            step_tolerance: 5e-3 * spacing_mm,
            value_tolerance: 2e-6,
        };
        let start: Vec<f64> = start.voxels().iter().flatten().copied().collect();
        l_bfgs::minimise(self, &start, &settings)
    }

    /// Likeness and overlap under `nodes`, three displacements per control point.
    fn likeness(&mut self, nodes: &[f64]) -> (f64, f64) {
        let warp = Warp::free_form(&self.rigid, nodes, &self.comparison.level, &self.on_grid);
        let found = self.comparison.likeness(&warp);
        (found.value, self.comparison.overlap(&found))
    }

    /// The deformation, or the rigid transform where it is not to be trusted.
    fn judge(
        &mut self,
        pair: &Pair<'_>,
        rigid: &Registration,
        displacements_mm: Volume<[f64; 3]>,
    ) -> Result<Registration> {
        let nodes: Vec<f64> = displacements_mm.voxels().iter().flatten().copied().collect();
        let mask = pair.fixed_mask.map_or_else(|| Mask::full(*pair.fixed.grid()), Mask::clone);
        let start = Warp::rigid(&Rigid::identity([0.0; 3]), &self.comparison.level);
        let before = self.comparison.likeness(&start).value;
        let still = self.likeness(&vec![0.0; nodes.len()]);
        let after = self.likeness(&nodes);
        let free_form = FreeForm::new(self.rigid, displacements_mm)?;
        let transform = Transform::FreeForm(Box::new(free_form));
        let extent = transform.extent(&mask);
        let refusal = if extent.jacobian_min <= 0.0 {
            Some(format!(
                "the deformation folds: its Jacobian determinant falls to {:.3}",
                extent.jacobian_min
            ))
        } else if after.0 <= still.0 || after.0.is_nan() {
            Some(format!("{} did not rise above {:.6}", self.metric.name(), still.0))
        } else {
            None
        };
        let kept = match refusal {
            None => (transform, Outcome::Registered, after, extent),
            Some(reason) => {
                let transform = Transform::Rigid(self.rigid);
                let extent = transform.extent(&mask);
                (transform, Outcome::RigidKept(reason), still, extent)
            }
        };
        let (transform, outcome, (metric_after, overlap), extent) = kept;
        let report = Report {
            outcome,
            metric: self.metric,
            metric_before: before,
            metric_after,
            overlap,
            extent,
            iterations: rigid.report.iterations,
            evaluations: rigid.report.evaluations,
        };
        Ok(Registration { transform, report })
    }
}

impl Objective for Deformation {
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        if x.iter().any(|x| !x.is_finite()) {
            return f64::NAN;
        }
        let warp = Warp::free_form(&self.rigid, x, &self.comparison.level, &self.on_grid);
        let found = self.comparison.likeness(&warp);
        if self.comparison.overlap(&found) < LEAST_OVERLAP {
            return f64::NAN;
        }
        self.comparison.spline_gradient(&warp, &found, gradient);
        for entry in &mut *gradient {
            *entry = -*entry;
        }
        let energy = self.bending.add(x, self.bending_weight_mm2, gradient);
        self.bending_weight_mm2 * energy - found.value
    }
}
