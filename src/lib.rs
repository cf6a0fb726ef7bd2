//! Quantitative MRI to imaging biomarkers that carry their own uncertainty.
//!
//! The library is the product; the binary is a thin face on it. ARCHITECTURE.md draws the rooms and
//! says who may know whom.
//!
//! # Example: the apparent diffusion coefficient of one voxel
//!
//! ```
//! use biomarker::acquisition::{Diffusion, Protocol};
//! use biomarker::fit::{FitSettings, estimator};
//! use biomarker::model::{Fit, VoxelData, find};
//!
//! # fn main() -> biomarker::error::Result<()> {
//! let protocol = Protocol::Diffusion(Diffusion::new(vec![0.0, 400.0, 800.0])?);
//! let adc = estimator(find("adc")?, &protocol, &FitSettings::default())?;
//! let samples = [1000.0, 618.783_391_806, 382.892_885_975];
//! let mut scratch = vec![0.0; adc.scratch_len()];
//! let mut fit = Fit::new(adc.parameters().len());
//! adc.estimate(VoxelData { samples: &samples, fixed: &[] }, &mut scratch, &mut fit);
//! assert!((fit.estimates[0] - 1.2e-3).abs() < 1e-12, "mm²/s");
//! assert!((fit.estimates[1] - 1000.0).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```

pub mod error;
pub mod random;
pub mod unit;

pub mod acquisition;
pub mod image;
pub mod solver;
pub mod statistics;

pub mod model;
pub mod noise;
pub mod registration;

pub mod fit;
pub mod perfusion;

pub mod simulate;
pub mod uncertainty;

pub mod habitat;
pub mod quality;
pub mod thickness;

pub mod cohort;
pub mod table;

pub mod io;
pub mod report;

pub mod pipeline;

pub mod cli;
