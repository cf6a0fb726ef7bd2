//! Clusters and first-order features of values that come as images.

use std::path::Path;

use biomarker::io::nifti::{self, ReadLimits};
use biomarker::statistics::first_order::FirstOrder;
use biomarker::statistics::multivariate;

use super::{Result, Workload};

fn column(folder: &Path, name: &str) -> Result<Vec<f64>> {
    Ok(nifti::read_volume(&folder.join(name), &ReadLimits::default())?.image.into_voxels())
}

/// Three clusters of two variables.
pub(crate) struct Clusters {
    features: multivariate::Features,
    partition: Option<multivariate::Partition>,
}

impl Clusters {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let (first, second) = (column(folder, "first.nii")?, column(folder, "second.nii")?);
        Ok(Self { features: multivariate::Features::new(&[&first, &second])?, partition: None })
    }
}

impl Workload for Clusters {
    fn n_items(&self) -> usize {
        self.features.n_samples()
    }

    fn run(&mut self) -> Result<()> {
        self.partition = Some(multivariate::k_means(&self.features, 3)?);
        Ok(())
    }

    /// Inertia, then the centroids.
    fn values(&self) -> Vec<f64> {
        let Some(partition) = &self.partition else { return Vec::new() };
        let centroids = partition.centroids.iter().flatten().copied();
        std::iter::once(partition.inertia).chain(centroids).collect()
    }
}

/// All first-order features of one variable.
pub(crate) struct Features {
    values: Vec<f64>,
    features: Option<FirstOrder>,
}

impl Features {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Ok(Self { values: column(folder, "first.nii")?, features: None })
    }
}

impl Workload for Features {
    fn n_items(&self) -> usize {
        self.values.len()
    }

    fn run(&mut self) -> Result<()> {
        self.features = FirstOrder::of(&self.values);
        Ok(())
    }

    /// Mean, variance, skewness, kurtosis − 3, median, P10, P90, mean and robust mean absolute
    /// deviation, energy.
    fn values(&self) -> Vec<f64> {
        let Some(f) = &self.features else { return Vec::new() };
        let or_nan = |value: Option<f64>| value.unwrap_or(f64::NAN);
        vec![
            f.mean,
            f.variance,
            or_nan(f.skewness),
            or_nan(f.excess_kurtosis),
            f.median,
            f.p10,
            f.p90,
            f.mean_absolute_deviation,
            f.robust_mean_absolute_deviation,
            f.energy,
        ]
    }
}
