//! Cartilage thickness from label maps.
//!
//! Two surfaces are cut out of the masks: the bone–cartilage interface, where bone meets cartilage,
//! and the articular surface, where cartilage meets the joint. The thickness at a point of the
//! articular surface is its distance, in scanner millimetres, to the nearest point of the
//! interface, or what another [`Method`] defines; [`measure`] is the entry point.
//!
//! The definition decides the number (shortest distance, ray along the normal, largest sphere and
//! Laplace streamlines differ by 10–30 % on one knee), so every result names its [`Method`]. Image borders are no surfaces: a label that runs
//! out of the field of view is continued as it stands at the border.

mod condyle;
mod distance_transform;
mod erosion;
mod flattened;
mod interface;
mod laplace;
mod largest_sphere;
mod layer;
mod layers;
mod measurement;
mod nearest;
mod normal;
mod random_field;
mod region;
mod rim;
mod smear;
mod summary;
mod surface;
mod voxel_surface;

pub use condyle::{FEMORAL_PARTS, FemoralPart, FemoralRegion, Parcellation, Side};
pub use distance_transform::{distance_transform, signed_distance_transform};
pub use flattened::{FlatCell, PlacedValue, flattened};
pub use interface::{Surfaces, extract_surfaces};
pub use largest_sphere::local_thickness;
pub use layers::{deep_and_superficial, depth_layers, normalised_depth, normalised_depths};
pub use measurement::{Method, Settings, SurfacePoint, Thickness, Warning, measure};
pub use smear::{LabelError, SmearedThickness, StandardErrors, smear};
pub use summary::{BoneSummary, Summary};
pub use surface::Surface;
