//! How a registration went, in numbers for a table of quality control.

use super::{Extent, Metric, Transform};

/// What came of a registration.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The transform that was asked for.
    Registered,
    /// The deformation was rejected, the rigid transform kept; why.
    RigidKept(String),
    /// The search found nothing better than its start, which was kept; why.
    StartKept(String),
}

impl Outcome {
    /// `registered`, `rigid_kept` or `start_kept`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::RigidKept(_) => "rigid_kept",
            Self::StartKept(_) => "start_kept",
        }
    }

    /// Why less was kept than asked for.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Registered => None,
            Self::RigidKept(reason) | Self::StartKept(reason) => Some(reason),
        }
    }
}

/// Figures of one registration. Metrics are those of the finest resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What came of it.
    pub outcome: Outcome,
    /// The measure of likeness.
    pub metric: Metric,
    /// Likeness at the start.
    pub metric_before: f64,
    /// Likeness under the transform.
    pub metric_after: f64,
    /// Part of the compared voxels of the fixed image that lie in the moving one, 0–1.
    pub overlap: f64,
    /// Displacements and Jacobian determinants over the compared voxels.
    pub extent: Extent,
    /// Accepted steps of the search, all resolutions.
    pub iterations: usize,
    /// Comparisons of the images, all resolutions.
    pub evaluations: usize,
}

/// A transform and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// From the fixed to the moving image.
    pub transform: Transform,
    /// Figures.
    pub report: Report,
}
