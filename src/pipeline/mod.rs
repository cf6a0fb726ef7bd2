//! From a specification to results: spec (as written) → plan (as checked) → run.

pub mod align;
pub mod check;
pub mod group;
pub mod joint;
pub mod load;
pub mod locate;
pub mod maps;
pub mod measure;
mod memory;
mod observer;
pub mod pages;
pub mod parts;
pub mod plan;
pub mod provenance;
pub mod record;
pub mod registered;
pub mod rows;
pub mod run;
pub mod session;
pub mod simulated;
pub mod single;
pub mod spec;
pub mod sweep;
pub mod trial;
pub mod validate;
pub mod verify;
pub mod voxel_table;
pub mod voxels;

pub use observer::{Event, Observer, Silent};
