//! The noise of the signal: σ of one complex channel, estimated from the data.

mod agreement;
pub mod background;
pub mod baseline;
pub mod bessel;
pub mod local_filter;
pub mod piesno;
pub mod repeat;
pub mod residual;
pub mod rician;
pub mod select;
mod selection;
pub mod wavelet;

#[cfg(test)]
mod phantom;

use crate::error::{Error, Result};

/// Distribution of a measured magnitude around the true amplitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseDistribution {
    /// Additive normal noise.
    Gaussian,
    /// Magnitude of a complex signal with normal noise in both channels.
    Rician,
}

/// How σ was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseMethod {
    /// From repeated images.
    Repeat,
    /// From the residuals of the fit.
    Residual,
    /// From signal-free background.
    Background,
    /// From voxels of pure noise in several volumes.
    Piesno,
    /// From the finest detail of the images.
    Wavelet,
    /// From what the mean of a voxel's neighbours does not explain.
    LocalFilter,
    /// From the frames before the bolus.
    DynamicBaseline,
    /// Given by the user.
    Given,
}

impl NoiseMethod {
    /// Methods that check each other, the most trusted of those that apply first.
    pub const ESTIMATED: [Self; 6] = [
        Self::DynamicBaseline,
        Self::Repeat,
        Self::Residual,
        Self::Background,
        Self::Piesno,
        Self::Wavelet,
    ];

    /// The method that estimates σ from the data under this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut methods = Self::ESTIMATED.into_iter().chain([Self::LocalFilter]);
        methods.find(|method| method.name() == name)
    }

    /// Name in pipelines and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Residual => "residual",
            Self::Background => "background",
            Self::Piesno => "piesno",
            Self::Wavelet => "wavelet",
            Self::LocalFilter => "local_filter",
            Self::DynamicBaseline => "dce_baseline",
            Self::Given => "given",
        }
    }
}

/// σ of one image set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseLevel {
    sigma: f64,
    distribution: NoiseDistribution,
    method: NoiseMethod,
    n_voxels: usize,
}

impl NoiseLevel {
    /// σ (signal units, per complex channel) obtained by `method` from `n_voxels`.
    ///
    /// # Errors
    ///
    /// `Value` when σ is not finite and positive: no measurement is without noise.
    pub fn new(
        sigma: f64,
        distribution: NoiseDistribution,
        method: NoiseMethod,
        n_voxels: usize,
    ) -> Result<Self> {
        if sigma.is_finite() && sigma > 0.0 {
            Ok(Self { sigma, distribution, method, n_voxels })
        } else {
            Err(Error::value(format!(
                "noise level {sigma} from method `{}` is not a positive number",
                method.name()
            ))
            .at_field("sigma")
            .hint("choose another noise.method or give noise.sigma"))
        }
    }

    /// σ in signal units.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// Distribution of the magnitudes.
    pub fn distribution(&self) -> NoiseDistribution {
        self.distribution
    }

    /// How σ was obtained.
    pub fn method(&self) -> NoiseMethod {
        self.method
    }

    /// Voxels that σ was estimated from; 0 where it was given.
    pub fn n_voxels(&self) -> usize {
        self.n_voxels
    }
}

/// σ of one image set, and what the user should know of how it was obtained.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseEstimate {
    /// The noise level.
    pub level: NoiseLevel,
    /// Largest over smallest σ, minus 1, where several methods, formulas or groups gave one.
    pub agreement: Option<f64>,
    /// What the other methods that apply to the same images say.
    pub others: Vec<NoiseLevel>,
    /// Sentences for the report, each with its numbers.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigma_is_never_zero() {
        for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let level = NoiseLevel::new(sigma, NoiseDistribution::Rician, NoiseMethod::Given, 0);
            assert!(level.is_err());
        }
    }
}
