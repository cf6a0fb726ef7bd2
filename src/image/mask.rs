//! Voxels in or out.

use std::sync::Arc;

use super::{Grid, Volume};
use crate::error::{Error, Result};

/// A set of voxels of a [`Grid`], with the list of their linear indices in rising order. A clone
/// shares both.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    inside: Arc<Volume<bool>>,
    indices: Arc<[usize]>,
}

impl Mask {
    /// The voxels where `inside` is true; may be empty.
    pub fn new(inside: Volume<bool>) -> Self {
        let indices = inside
            .voxels()
            .iter()
            .enumerate()
            .filter_map(|(index, &inside)| inside.then_some(index))
            .collect();
        Self { inside: Arc::new(inside), indices }
    }

    /// Every voxel of `grid`.
    pub fn full(grid: Grid) -> Self {
        Self::new(Volume::from_fn(grid, |_| true))
    }

    /// The voxels with these linear indices, in any order.
    ///
    /// # Errors
    ///
    /// `Value` when an index lies outside `grid`.
    pub fn from_indices(grid: Grid, indices: &[usize]) -> Result<Self> {
        let mut inside = Volume::from_fn(grid, |_| false);
        for &index in indices {
            match inside.voxels_mut().get_mut(index) {
                Some(voxel) => *voxel = true,
                None => return Err(Error::value(format!("voxel {index} lies outside the grid"))),
            }
        }
        Ok(Self::new(inside))
    }

    /// Where the voxels are.
    pub fn grid(&self) -> &Grid {
        self.inside.grid()
    }

    /// Linear indices of the voxels inside, rising.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// Whether the voxel with this linear index is inside.
    pub fn contains(&self, index: usize) -> bool {
        self.inside.voxels()[index]
    }

    /// One flag per voxel of the grid.
    pub fn volume(&self) -> &Volume<bool> {
        &self.inside
    }

    /// Number of voxels inside.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether no voxel is inside.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Physical volume of the voxels inside, mL.
    pub fn volume_ml(&self) -> f64 {
        self.len() as f64 * self.grid().affine().voxel_volume_mm3() / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Affine;

    #[test]
    fn indices_rise_and_match_the_flags() {
        let grid = Grid::new([3, 2, 1], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
        let mask = Mask::from_indices(grid, &[4, 1]).unwrap();
        assert_eq!(mask.indices(), [1, 4]);
        assert!(mask.contains(4) && !mask.contains(0));
        assert!((mask.volume_ml() - 0.002).abs() < 1e-15);
        assert!(Mask::from_indices(grid, &[6]).is_err());
        assert_eq!(Mask::full(grid).len(), 6);
    }
}
