//! An estimate per voxel, ready to be stored.

use super::Volume;
use crate::unit::Unit;

/// A map of one parameter in its stored unit; 0 outside the mask and where nothing was estimated.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterMap {
    /// Name of the parameter, such as `apparent_diffusion_coefficient`.
    pub name: String,
    /// Unit of the stored values.
    pub unit: Unit,
    /// One value per voxel.
    pub volume: Volume<f32>,
}
