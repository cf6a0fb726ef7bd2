//! The fits of all voxels of a mask, as columns and as maps.

use crate::error::{Error, Result};
use crate::image::{Grid, Mask, Volume};
use crate::model::FitStatus;

/// Fits of all voxels of a mask as columns, in the order of `mask.indices()`.
#[derive(Debug, Clone)]
pub struct Fits {
    /// The voxels that were fitted.
    pub mask: Mask,
    /// `estimates[parameter][voxel]`; NaN where the status has no estimate.
    pub estimates: Vec<Vec<f64>>,
    /// `standard_errors[parameter][voxel]`: √ of the covariance's diagonal, scaled by σ² where the
    /// noise level is known, else by the residual variance; NaN where not defined.
    pub standard_errors: Vec<Vec<f64>>,
    /// Why each voxel ended.
    pub status: Vec<FitStatus>,
    /// Σ (sample − model)².
    pub residual_sum_of_squares: Vec<f64>,
    /// R² = 1 − RSS / TSS.
    pub r_squared: Vec<f64>,
    /// Degrees of freedom, samples used minus parameters.
    pub degrees_of_freedom: Vec<u16>,
    /// Evaluations of the model.
    pub evaluations: Vec<u32>,
}

impl Fits {
    /// No voxel fitted yet; made for [`voxelwise_into`](super::voxelwise_into).
    pub fn empty(mask: &Mask) -> Self {
        Self {
            mask: mask.clone(),
            estimates: Vec::new(),
            standard_errors: Vec::new(),
            status: Vec::new(),
            residual_sum_of_squares: Vec::new(),
            r_squared: Vec::new(),
            degrees_of_freedom: Vec::new(),
            evaluations: Vec::new(),
        }
    }

    /// Makes columns for all voxels of `mask`; what stood in them means nothing.
    pub(super) fn reset(&mut self, n_parameters: usize, mask: &Mask) {
        let n = mask.len();
        // A column that is short is made anew, because fresh zeros cost nothing until they are written.
        let long = |column: &mut Vec<f64>| {
            if column.len() < n {
                *column = vec![0.0; n];
            }
            column.truncate(n);
        };
        for columns in [&mut self.estimates, &mut self.standard_errors] {
            columns.resize(n_parameters, Vec::new());
            columns.iter_mut().for_each(long);
        }
        [&mut self.residual_sum_of_squares, &mut self.r_squared].into_iter().for_each(long);
        self.status.resize(n, FitStatus::Outside);
        self.degrees_of_freedom.resize(n, 0);
        self.evaluations.resize(n, 0);
        self.mask = mask.clone();
    }

    /// Where the voxels are.
    pub fn grid(&self) -> &Grid {
        self.mask.grid()
    }

    /// Number of voxels, fitted or failed.
    pub fn n_voxels(&self) -> usize {
        self.status.len()
    }

    /// Map of a parameter; 0 outside the mask and without estimate.
    ///
    /// # Errors
    ///
    /// `Value` when there is no such parameter.
    pub fn estimate_map(&self, parameter: usize) -> Result<Volume<f32>> {
        self.column_map(column(&self.estimates, parameter)?)
    }

    /// Map of the standard error of a parameter; 0 outside the mask and where not defined.
    ///
    /// # Errors
    ///
    /// `Value` when there is no such parameter.
    pub fn standard_error_map(&self, parameter: usize) -> Result<Volume<f32>> {
        self.column_map(column(&self.standard_errors, parameter)?)
    }

    /// Map of R²; 0 outside the mask and where not defined.
    ///
    /// # Errors
    ///
    /// `Internal` when the columns do not fit the mask.
    pub fn r_squared_map(&self) -> Result<Volume<f32>> {
        self.column_map(&self.r_squared)
    }

    /// Map of [`FitStatus::code`]; 0 outside the mask.
    pub fn status_map(&self) -> Volume<u8> {
        let mut map = Volume::from_fn(*self.grid(), |_| FitStatus::Outside.code());
        for (&voxel, status) in self.mask.indices().iter().zip(&self.status) {
            map.voxels_mut()[voxel] = status.code();
        }
        map
    }

    /// χ² per degree of freedom, RSS/(ν·σ²), for samples of standard deviation `sigma`; NaN without
    /// estimate or degrees of freedom. Near 1 where model and noise level are right.
    pub fn reduced_chi_square(&self, sigma: f64) -> Vec<f64> {
        self.residual_sum_of_squares
            .iter()
            .zip(&self.degrees_of_freedom)
            .map(|(rss, &degrees)| match degrees {
                0 => f64::NAN,
                degrees => rss / sigma / sigma / f64::from(degrees),
            })
            .collect()
    }

    /// Voxels of each status that occurs, in the order of their codes.
    pub fn status_counts(&self) -> Vec<(FitStatus, usize)> {
        FitStatus::ALL
            .iter()
            .map(|&status| (status, self.status.iter().filter(|&&own| own == status).count()))
            .filter(|&(_, count)| count > 0)
            .collect()
    }

    /// Map of a column of its own voxels; 0 outside the mask and where a value is not finite.
    ///
    /// # Errors
    ///
    /// `Internal` when the column has another length than the mask.
    pub fn column_map(&self, column: &[f64]) -> Result<Volume<f32>> {
        if column.len() != self.mask.len() {
            return Err(Error::internal("a column does not fit its mask"));
        }
        let mut map = Volume::from_fn(*self.grid(), |_| 0.0_f32);
        for (&voxel, &value) in self.mask.indices().iter().zip(column) {
            let value = value as f32;
            map.voxels_mut()[voxel] = if value.is_finite() { value } else { 0.0 };
        }
        Ok(map)
    }
}

fn column(columns: &[Vec<f64>], parameter: usize) -> Result<&[f64]> {
    columns.get(parameter).map(Vec::as_slice).ok_or_else(|| {
        Error::value(format!("parameter {parameter} of {} does not exist", columns.len()))
    })
}
