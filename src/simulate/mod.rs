//! Digital reference objects with known truth.
//!
//! Two cohorts ([`neuroblastoma`], [`ultramarathon`]) and a block of parameters for single models
//! ([`phantom`]), all in memory: [`SimulatedCohort`] names every file of a BIDS dataset, its sidecar
//! and its tables, and generates its images study by study. Nothing here fits, estimates or writes.
//!
//! All random numbers depend on the seed, the participant and the voxel alone: the same bytes for
//! every number of threads and every order of studies.

mod geometry;
mod neuroblastoma;
mod phantom;
mod receiver;
mod signal;
mod study;
mod targets;
mod ultramarathon;

pub use neuroblastoma::{NeuroblastomaSettings, UncertaintyReading, neuroblastoma};
pub use phantom::{PhantomModel, PhantomSettings, phantom};
pub use study::{
    Content, GradientTable, GroupTruthRow, SimulatedCohort, SimulatedImage, SimulatedStudy,
    TabularFile, TruthRow, truth_file,
};
pub use ultramarathon::{
    KneeMotion, KnownMotion, ShiftDesign, UltramarathonSettings, ultramarathon,
};

/// Number and size of the studies of a cohort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// A few studies of a few megabytes: 6 tumours, or 4 runners.
    Small,
    /// As many as the published abstracts had: 30 tumours, or 9 runners, at full size.
    Abstract,
}
