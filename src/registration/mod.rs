//! Transforms between scanner spaces and how they are found.

#[allow(dead_code, reason = "the search for deformations uses it")]
mod comparison;
mod free_form;
#[allow(dead_code, reason = "the search for deformations uses it")]
mod kernel;
#[allow(dead_code, reason = "the search for deformations uses it")]
mod lattice;
mod level;
mod metric;
pub mod motion;
mod pyramid;
mod report;
pub mod resample;
mod rigid;
mod rigid_search;
mod transform;
#[allow(dead_code, reason = "the search for deformations uses it")]
mod warp;

pub use free_form::FreeForm;
pub use level::Pair;
pub use metric::Metric;
pub use report::{Outcome, Registration, Report};
pub use rigid::Rigid;
pub use rigid_search::{LEAST_OVERLAP, RigidSettings, Start, register_rigid};
pub use transform::{Extent, Inverse, PointMap, Transform};

#[cfg(test)]
mod tests;
