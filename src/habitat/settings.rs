//! How habitats are found and which of them is reported.

use crate::error::{Error, Result};

/// Most habitats a region can be asked for.
const NUMBER_MAX: usize = 16;

/// How many habitats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// This many.
    Fixed(usize),
    /// As many of 1, 2, 3 as the Bayesian criterion prefers.
    Automatic,
}

/// How voxels are assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Least squared distance to the means; exact for one parameter.
    KMeans,
    /// Greatest posterior of a Gaussian mixture.
    GaussianMixture,
}

/// Which habitat stands for the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// The one with the lowest mean: viable tumour on ADC.
    Lowest,
    /// The one with the highest mean: viable tumour on IAUC60.
    Highest,
    /// All of them together.
    All,
}

/// How mean and SD of a habitat are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimator {
    /// Over the voxels assigned to it.
    Moments,
    /// Over all voxels, each weighted with its posterior: free of the truncation at the border.
    MixtureComponent,
}

/// What keeps a region of one tissue in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// One habitat where the Bayesian criterion prefers one component to two or three.
    Criterion,
    /// Nothing: the number is taken as given.
    Never,
}

/// All choices about habitats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How many habitats; default 2.
    pub number: Number,
    /// How voxels are assigned; default k-means.
    pub method: Method,
    /// Which habitat stands for the region; default the lowest.
    pub reported: Reported,
    /// How mean and SD are computed; default moments.
    pub estimator: Estimator,
    /// What keeps one tissue in one piece; default the criterion.
    pub guard: Guard,
    /// Voxels that carry the information of one, because neighbours are correlated; ≥ 1, default 1.
    pub n_corr: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            number: Number::Fixed(2),
            method: Method::KMeans,
            reported: Reported::Lowest,
            estimator: Estimator::Moments,
            guard: Guard::Criterion,
            n_corr: 1.0,
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<()> {
        if !(self.n_corr >= 1.0 && self.n_corr.is_finite()) {
            let message = format!("{} is not a finite number of at least 1", self.n_corr);
            return Err(Error::value(message).at_field("n_corr"));
        }
        match self.number {
            Number::Fixed(k) if !(1..=NUMBER_MAX).contains(&k) => {
                let message = format!("{k} habitats, from 1 to {NUMBER_MAX} are possible");
                Err(Error::value(message).at_field("number"))
            }
            _ => Ok(()),
        }
    }
}
