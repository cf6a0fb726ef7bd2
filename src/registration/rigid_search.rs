//! The best rotation and translation, from coarse to fine.
//!
//! # Reference
//!
//! Mattes et al., IEEE Trans Med Imaging 2003;22:120–128, doi:10.1109/TMI.2003.809072; Thévenaz and
//! Unser, IEEE Trans Image Process 2000;9:2083–2099, doi:10.1109/83.887976 (pyramids).

use super::comparison::Comparison;
use super::level::{Level, Resolution};
use super::warp::{Warp, rigid_gradient};
use super::{Metric, Outcome, Pair, Registration, Report, Rigid, Transform};
use crate::error::{Error, Result};
use crate::image::Mask;
use crate::solver::l_bfgs::{self, Objective};

/// Least part of the fixed samples that must lie in the moving image.
pub const LEAST_OVERLAP: f64 = 0.25;

/// Where a search begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// Scanner coordinates of the two headers as they are: right within one examination.
    Header,
    /// The centres of the two grids on one another.
    Centres,
    /// A transform known beforehand.
    Given(Rigid),
}

/// How to search for a rigid transform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RigidSettings {
    /// What is made as large as possible.
    pub metric: Metric,
    /// Where to begin.
    pub start: Start,
    /// Resolutions, each of half the spacing of the one before; at least 1.
    pub n_levels: usize,
    /// Voxels of the fixed image compared at each resolution, at most, on a regular lattice.
    pub samples_max: usize,
    /// Steps at each resolution, at most.
    pub iterations_max: usize,
}

impl Default for RigidSettings {
    /// Mutual information from the headers' positions; 3 resolutions, 500 000 samples, 50 steps.
    fn default() -> Self {
        Self {
            metric: Metric::MutualInformation,
            start: Start::Header,
            n_levels: 3,
            samples_max: 500_000,
            iterations_max: 50,
        }
    }
}

/// The rigid transform under which `pair.moving` is most like `pair.fixed`.
///
/// The likeness never falls: where the search ends below its start, the start is kept and the report
/// says so. Values that are not finite take no part.
///
/// # Errors
///
/// `Mismatch` when a mask is not on the grid of its image. `Value` when there is no resolution, a mask
/// is empty, fewer than 100 voxels can be compared, an image is constant there, or less than a quarter
/// of them lies in the moving image at the start.
pub fn register_rigid(pair: &Pair<'_>, settings: &RigidSettings) -> Result<Registration> {
    pair.check()?;
    if settings.n_levels == 0 {
        return Err(Error::value("0 is no number of resolutions").at_field("n_levels"));
    }
    let start = start_of(pair, settings.start);
    let mut found = start;
    let mut steps = [0, 0];
    for level in (0..settings.n_levels).rev() {
        let resolution = Resolution {
            factor: f64::from(1_u32 << level.min(16)),
            samples_max: settings.samples_max,
        };
        let images = match Level::new(pair, resolution, settings.metric) {
            Ok(images) => images,
            // A coarse image may have too few voxels; the finest must do.
            Err(_) if level > 0 => continue,
            Err(error) => return Err(error),
        };
        let mut search = RigidSearch::new(images, settings.metric, found);
        if search.overlap(&start) < LEAST_OVERLAP {
            return Err(too_little_overlap(search.overlap(&start)));
        }
        let minimum = search.run(settings.iterations_max);
        steps = [steps[0] + minimum.iterations, steps[1] + minimum.evaluations];
        found = search.rigid(&minimum.x);
        if level == 0 {
            return Ok(search.registration((start, found), steps));
        }
    }
    Err(Error::internal("the finest resolution was not searched"))
}

pub(super) fn too_little_overlap(overlap: f64) -> Error {
    Error::value(format!(
        "{:.0} % of the compared voxels of the fixed image lie in the moving one, at least {:.0} % \
         must",
        100.0 * overlap,
        100.0 * LEAST_OVERLAP
    ))
    .at_field("moving")
    .hint("check that both images show the same region, or start from the centres of the images")
}

fn start_of(pair: &Pair<'_>, start: Start) -> Rigid {
    let centre = |grid: &crate::image::Grid| {
        grid.affine().to_scanner(grid.shape().map(|n| (n as f64 - 1.0) / 2.0))
    };
    let fixed = pair.fixed_mask.map_or_else(|| centre(pair.fixed.grid()), centre_of_mask);
    match start {
        Start::Header => Rigid::identity(fixed),
        Start::Given(rigid) => rigid.about(fixed),
        Start::Centres => {
            let own = centre(pair.fixed.grid());
            let other = centre(pair.moving.grid());
            let by = [0, 1, 2].map(|a| other[a] - own[a]);
            Rigid::identity(fixed).with_parameters([0.0, 0.0, 0.0, by[0], by[1], by[2]])
        }
    }
}

fn centre_of_mask(mask: &Mask) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for &index in mask.indices() {
        let position = mask.grid().position_mm(index);
        for axis in 0..3 {
            sum[axis] += position[axis];
        }
    }
    sum.map(|s| s / mask.len() as f64)
}

/// The search at one resolution.
struct RigidSearch {
    comparison: Comparison,
    from: Rigid,
    /// Angles times this length are the parameters, so that all have millimetres of effect.
    radius_mm: f64,
    metric: Metric,
}

impl RigidSearch {
    fn new(level: Level, metric: Metric, from: Rigid) -> Self {
        let grid = &level.fixed.grid;
        let spacing_mm = grid.affine().spacing_mm();
        let half_diagonal =
            (0..3).map(|a| (grid.shape()[a] as f64 * spacing_mm[a] / 2.0).powi(2)).sum::<f64>();
        // Root-mean-square distance of the voxels of a box from its centre.
        let radius_mm = (half_diagonal / 3.0).sqrt();
        Self { comparison: Comparison::new(level, metric), from, radius_mm, metric }
    }

    fn run(&mut self, iterations_max: usize) -> l_bfgs::Minimum {
        let spacing_mm = self.comparison.level.spacing_mm;
        let settings = l_bfgs::Settings {
            memory: 6,
            iterations_max,
            first_step: 0.5 * spacing_mm,
            step_tolerance: 1e-3 * spacing_mm,
            value_tolerance: 1e-8,
        };
        let start = self.parameters(&self.from);
        l_bfgs::minimise(self, &start, &settings)
    }

    fn parameters(&self, rigid: &Rigid) -> [f64; 6] {
        let p = rigid.parameters();
        let angle = |i: usize| p[i] * self.radius_mm;
        [angle(0), angle(1), angle(2), p[3], p[4], p[5]]
    }

    fn rigid(&self, x: &[f64]) -> Rigid {
        let mut p = [0.0; 6];
        for (i, (p, x)) in p.iter_mut().zip(x).enumerate() {
            *p = if i < 3 { x / self.radius_mm } else { *x };
        }
        self.from.with_parameters(p)
    }

    fn overlap(&mut self, rigid: &Rigid) -> f64 {
        let warp = Warp::rigid(rigid, &self.comparison.level);
        let found = self.comparison.likeness(&warp);
        self.comparison.overlap(&found)
    }

    fn registration(&mut self, (start, found): (Rigid, Rigid), steps: [usize; 2]) -> Registration {
        let [before, after] = [start, found].map(|rigid| {
            let warp = Warp::rigid(&rigid, &self.comparison.level);
            let likeness = self.comparison.likeness(&warp);
            (likeness.value, self.comparison.overlap(&likeness))
        });
        let better = after.0 >= before.0;
        let (rigid, kept) = if better { (found, after) } else { (start, before) };
        let outcome = if better {
            Outcome::Registered
        } else {
            Outcome::StartKept(format!(
                "{} fell from {:.6} to {:.6}",
                self.metric.name(),
                before.0,
                after.0
            ))
        };
        let transform = Transform::Rigid(rigid);
        let report = Report {
            outcome,
            metric: self.metric,
            metric_before: before.0,
            metric_after: kept.0,
            overlap: kept.1,
            extent: transform.extent(&self.comparison.level.fixed.mask()),
            iterations: steps[0],
            evaluations: steps[1],
        };
        Registration { transform, report }
    }
}

impl Objective for RigidSearch {
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        if x.iter().any(|x| !x.is_finite()) {
            return f64::NAN;
        }
        let rigid = self.rigid(x);
        let warp = Warp::rigid(&rigid, &self.comparison.level);
        let found = self.comparison.likeness(&warp);
        if self.comparison.overlap(&found) < LEAST_OVERLAP {
            return f64::NAN;
        }
        let of_matrix = self.comparison.matrix_gradient(&warp, &found);
        let slopes = rigid_gradient(&of_matrix, &rigid, &self.comparison.level);
        for (i, (entry, slope)) in gradient.iter_mut().zip(slopes).enumerate() {
            *entry = if i < 3 { -slope / self.radius_mm } else { -slope };
        }
        -found.value
    }
}
