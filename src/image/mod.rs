//! Images in scanner space: where voxels are, and what they hold.
//!
//! Voxels are stored with `x` fastest, as NIfTI stores them; the linear index of voxel `(i, j, k)`
//! is `i + nx·(j + ny·k)`. Two images combine only on one [`Grid`].

mod affine;
mod grid;
mod labels;
mod mask;
mod parameter_map;
pub mod resample;
mod runs;
mod series;
mod volume;

pub use affine::Affine;
pub use grid::{GRID_TOLERANCE_MM, Grid};
pub use labels::Labels;
pub use mask::Mask;
pub use parameter_map::ParameterMap;
pub use runs::Runs;
pub use series::{Samples, Scaling, Series};
pub use volume::Volume;
