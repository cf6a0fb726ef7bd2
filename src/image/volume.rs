//! A 3-D image.

use super::Grid;
use crate::error::{Error, Result};

/// One value per voxel of a [`Grid`], `x` fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume<T> {
    grid: Grid,
    voxels: Vec<T>,
}

impl<T> Volume<T> {
    /// `voxels` on `grid`, `x` fastest.
    ///
    /// # Errors
    ///
    /// `Mismatch` when the number of values is not the number of voxels.
    pub fn new(grid: Grid, voxels: Vec<T>) -> Result<Self> {
        if voxels.len() == grid.n_voxels() {
            Ok(Self { grid, voxels })
        } else {
            Err(Error::mismatch(format!(
                "{} values do not fill shape {:?}",
                voxels.len(),
                grid.shape()
            )))
        }
    }

    /// The value of every voxel from its linear index.
    pub fn from_fn(grid: Grid, value: impl FnMut(usize) -> T) -> Self {
        Self { voxels: (0..grid.n_voxels()).map(value).collect(), grid }
    }

    /// Where the voxels are.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// All values, `x` fastest.
    pub fn voxels(&self) -> &[T] {
        &self.voxels
    }

    /// All values, to be changed in place.
    pub fn voxels_mut(&mut self) -> &mut [T] {
        &mut self.voxels
    }

    /// The same voxels after `change`.
    pub fn map<U>(&self, change: impl FnMut(&T) -> U) -> Volume<U> {
        Volume { grid: self.grid, voxels: self.voxels.iter().map(change).collect() }
    }

    /// The values alone.
    pub fn into_voxels(self) -> Vec<T> {
        self.voxels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Affine;

    #[test]
    fn a_volume_must_fill_its_grid() {
        let grid = Grid::new([2, 2, 1], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
        assert!(Volume::new(grid, vec![1_u8; 4]).is_ok());
        assert!(Volume::new(grid, vec![1_u8; 3]).is_err());
        assert_eq!(Volume::from_fn(grid, |i| i).map(|i| i * 2).voxels(), [0, 2, 4, 6]);
    }
}
