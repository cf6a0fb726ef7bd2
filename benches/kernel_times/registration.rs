//! A free-form registration of the pair of `knee_pair.py`.

use std::path::Path;

use biomarker::image::Volume;
use biomarker::io::nifti::{self, ReadLimits};
use biomarker::registration::{FreeFormSettings, Pair, PointMap, Registration, register_free_form};

use super::{Result, Workload};

/// Control points as dense as those of the peer, every voxel compared at the finest resolution, and
/// a weight that trades error of the field against overlap as the peer does.
const CONTROL_SPACING_MM: [f64; 2] = [48.0, 12.0];
const SAMPLES_MAX: usize = 2_000_000;
const BENDING_WEIGHT: f64 = 0.25;

/// Rigid, then elastic, from reading to a transform.
pub(crate) struct FreeForm {
    fixed: Volume<f32>,
    moving: Volume<f32>,
    found: Option<Registration>,
}

impl FreeForm {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let read = |name: &str| -> Result<Volume<f32>> {
            let image = nifti::read_volume(&folder.join(name), &ReadLimits::default())?.image;
            Ok(image.map(|&value| value as f32))
        };
        let (fixed, moving) = (read("knee_fixed.nii")?, read("knee_moving.nii")?);
        Ok(Self { fixed, moving, found: None })
    }
}

impl Workload for FreeForm {
    fn n_items(&self) -> usize {
        1
    }

    fn run(&mut self) -> Result<()> {
        let settings = FreeFormSettings {
            control_spacing_mm: CONTROL_SPACING_MM,
            samples_max: SAMPLES_MAX,
            bending_weight: BENDING_WEIGHT,
            ..FreeFormSettings::default()
        };
        self.found = Some(register_free_form(&Pair::new(&self.fixed, &self.moving), &settings)?);
        Ok(())
    }

    /// Displacement of every voxel, mm, x y z, the first axis fastest; to 0.1 µm.
    fn values(&self) -> Vec<f64> {
        let Some(found) = &self.found else { return Vec::new() };
        let grid = self.fixed.grid();
        let displacement = |index: usize| {
            let place = grid.position_mm(index);
            let moved = found.transform.apply(place);
            [0, 1, 2].map(|axis| (1e4 * (moved[axis] - place[axis])).round() / 1e4)
        };
        (0..grid.n_voxels()).flat_map(displacement).collect()
    }
}
