//! Transforms between scanner spaces and how they are found.
//!
//! A [`Transform`] takes positions of a fixed image to positions of a moving image that show the same
//! tissue, in scanner millimetres (RAS+); grids, contrasts and orientations may differ. [`resample`]
//! brings images, labels and masks through it in either direction, [`motion`] finds and undoes the
//! movement between the volumes of a series.
//!
//! # Example: a shifted image is found again
//!
//! ```
//! use biomarker::image::{Affine, Grid, Volume};
//! use biomarker::registration::resample::resample_linear_through;
//! use biomarker::registration::{Pair, PointMap, RigidSettings, register_rigid};
//!
//! # fn main() -> biomarker::error::Result<()> {
//! let grid = Grid::new([40, 40, 16], Affine::from_spacing([2.0, 2.0, 4.0], [0.0; 3])?)?;
//! let tissue = |[x, y, z]: [f64; 3]| {
//!     let r = ((x - 40.0) / 25.0).powi(2) + ((y - 38.0) / 20.0).powi(2) + ((z - 30.0) / 18.0).powi(2);
//!     (100.0 / (1.0 + r * r) + 5.0 * (0.2 * x).sin() * (0.3 * y + 0.2 * z).cos()) as f32
//! };
//! let fixed = Volume::from_fn(grid, |i| tissue(grid.position_mm(i)));
//! let moving = Volume::from_fn(grid, |i| {
//!     let [x, y, z] = grid.position_mm(i);
//!     1000.0 - 3.0 * tissue([x - 3.0, y + 2.0, z])
//! });
//! let found = register_rigid(&Pair::new(&fixed, &moving), &RigidSettings::default())?;
//! let [x, y, z] = found.transform.apply([40.0, 40.0, 30.0]);
//! assert!((x - 43.0).abs() < 0.2 && (y - 38.0).abs() < 0.2 && (z - 30.0).abs() < 0.2);
//! let onto_fixed = resample_linear_through(&moving, &grid, &found.transform)?;
//! assert!(onto_fixed.n_outside < grid.n_voxels() / 10);
//! # Ok(())
//! # }
//! ```

mod bending;
mod comparison;
mod extent;
mod free_form;
mod free_form_search;
mod kernel;
mod lattice;
mod level;
mod metric;
pub mod motion;
mod perturbation;
mod pyramid;
mod report;
pub mod resample;
mod rigid;
mod rigid_search;
mod transform;
mod warp;

pub use extent::Extent;
pub use free_form::FreeForm;
pub use free_form_search::{FreeFormSettings, deform, register_free_form};
pub use level::Pair;
pub use metric::Metric;
pub use perturbation::Perturbation;
pub use report::{Outcome, Registration, Report};
pub use rigid::Rigid;
pub use rigid_search::{LEAST_OVERLAP, RigidSettings, Start, register_rigid};
pub use transform::{Inverse, PointMap, Transform};

#[cfg(test)]
mod tests;
