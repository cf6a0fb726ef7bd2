//! Cartilage thickness from label maps.
//!
//! Two surfaces are cut out of the masks: the bone–cartilage interface, where bone meets cartilage,
//! and the articular surface, where cartilage meets the joint. The thickness at a point of the
//! articular surface is its distance, in scanner millimetres, to the nearest point of the
//! interface; [`measure`] is the entry point.
//!
//! The definition decides the number (shortest distance, ray along the normal, largest sphere and
//! Laplace streamlines differ by 10–30 % on one knee), so every result names its [`Method`].
//! Only the shortest distance is computed here. Image borders are no surfaces: a label that runs
//! out of the field of view is continued as it stands at the border.

mod distance_transform;
mod interface;
mod layers;
mod measurement;
mod nearest;
mod region;
mod rim;
mod summary;
mod surface;
mod voxel_surface;

pub use distance_transform::distance_transform;
pub use interface::{Surfaces, extract_surfaces};
pub use layers::{deep_and_superficial, normalised_depth};
pub use measurement::{Method, Settings, SurfacePoint, Thickness, Warning, measure};
pub use summary::{BoneSummary, Summary};
pub use surface::Surface;
