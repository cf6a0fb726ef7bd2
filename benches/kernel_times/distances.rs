//! Distances and largest balls of a label mask.

use std::path::Path;

use biomarker::image::{Mask, Volume};
use biomarker::io::nifti::{self, ReadLimits};
use biomarker::thickness::{local_thickness, signed_distance_transform};

use super::{Result, Workload};

/// Values shown to the driver.
const N_VALUES: usize = 4000;

/// What is made of the mask.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    SignedDistance,
    LocalThickness,
}

/// One field over all voxels of an image.
pub(crate) struct Field {
    kind: Kind,
    set: Mask,
    values: Option<Volume<f32>>,
}

impl Field {
    pub(crate) fn new(folder: &Path, kind: Kind) -> Result<Self> {
        let labels = nifti::read_labels(&folder.join("cartilage.nii"), &ReadLimits::default())?;
        let set = Mask::new(labels.image.map(|&label| label > 0));
        Ok(Self { kind, set, values: None })
    }
}

impl Workload for Field {
    fn n_items(&self) -> usize {
        match self.kind {
            Kind::SignedDistance => self.set.grid().n_voxels(),
            Kind::LocalThickness => 1,
        }
    }

    fn run(&mut self) -> Result<()> {
        self.values = Some(match self.kind {
            Kind::SignedDistance => signed_distance_transform(&self.set)?,
            Kind::LocalThickness => local_thickness(&self.set)?,
        });
        Ok(())
    }

    /// Values at voxels spread evenly: over the image for distances, over the mask for balls.
    fn values(&self) -> Vec<f64> {
        let Some(field) = &self.values else { return Vec::new() };
        let at = |place: usize| match self.kind {
            Kind::SignedDistance => place * field.voxels().len() / N_VALUES,
            Kind::LocalThickness => self.set.indices()[place * self.set.len() / N_VALUES],
        };
        (0..N_VALUES).map(|place| f64::from(field.voxels()[at(place)])).collect()
    }
}
