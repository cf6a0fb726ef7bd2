//! Groups of voxels that behave alike within one region.
//!
//! The kept voxels of a region are clustered in the space of one or more parameters (ADC alone, or
//! ADC and IAUC60 together). Habitats are numbered by rising mean of the first parameter. k-means
//! splits whatever it is given, so by default a Gaussian mixture must first say, by the Bayesian
//! criterion, that there is more than one habitat at all.
//!
//! What happens where matters only to [`voxels_per_independent_value`], which weighs the criterion;
//! clusters do not look at positions. [`shrink`] needs no quality gate before it.

mod cluster;
mod correlation;
mod settings;
mod shrinkage;
mod stability;

pub use cluster::{Criterion, Habitat, Habitats, Reduction, cluster, divide};
pub use correlation::voxels_per_independent_value;
pub use settings::{Estimator, Guard, Method, Number, Reported, Settings};
pub use shrinkage::{Shrunken, ShrunkenHabitat, shrink};
pub use stability::intrinsic_standard_deviation;
