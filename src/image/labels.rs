//! Named regions.

use std::collections::{BTreeMap, BTreeSet};

use super::{Grid, Mask, Volume};

/// One integer per voxel, 0 outside, and the names of the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    volume: Volume<u32>,
    names: BTreeMap<u32, String>,
}

impl Labels {
    /// Label values with their names; a value without a name is called `label-<value>`.
    pub fn new(volume: Volume<u32>, names: BTreeMap<u32, String>) -> Self {
        Self { volume, names }
    }

    /// Where the voxels are.
    pub fn grid(&self) -> &Grid {
        self.volume.grid()
    }

    /// One value per voxel.
    pub fn volume(&self) -> &Volume<u32> {
        &self.volume
    }

    /// The values in use, rising, without 0.
    pub fn values(&self) -> BTreeSet<u32> {
        self.volume.voxels().iter().copied().filter(|&value| value != 0).collect()
    }

    /// Name of a value.
    pub fn name(&self, value: u32) -> String {
        self.names.get(&value).cloned().unwrap_or_else(|| format!("label-{value}"))
    }

    /// The voxels that carry any of `values`; empty where none does.
    pub fn mask_of(&self, values: &[u32]) -> Mask {
        Mask::new(self.volume.map(|value| values.contains(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Affine;

    #[test]
    fn masks_come_from_values_and_names_have_a_fallback() {
        let grid = Grid::new([4, 1, 1], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
        let volume = Volume::new(grid, vec![0, 5, 1, 5]).unwrap();
        let labels = Labels::new(volume, BTreeMap::from([(1, "femoral cartilage".into())]));
        assert_eq!(labels.values(), BTreeSet::from([1, 5]));
        assert_eq!(labels.mask_of(&[5]).indices(), [1, 3]);
        assert_eq!(labels.name(1), "femoral cartilage");
        assert_eq!(labels.name(5), "label-5");
        assert!(labels.mask_of(&[9]).is_empty());
    }
}
