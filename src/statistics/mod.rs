//! Statistics on slices: they know no MRI.
//!
//! Descriptions ([`moments`], [`quantile`], [`first_order`]) answer `None` where there is nothing to
//! describe: no values, or a NaN or an infinity among them. Methods that demand more of their input
//! (clusters, tests) return an [`Error`] that names the value and the rule. No
//! function here returns NaN.

pub mod bootstrap;
pub mod cluster_number;
pub mod deconvolution;
pub mod first_order;
pub mod gaussian_histogram;
pub mod histogram;
pub mod k_means;
mod lanes;
pub mod mixed_model;
pub mod mixture;
pub mod moments;
pub mod multiplicity;
pub mod multivariate;
pub mod normality;
pub mod permutation;
pub mod quantile;
pub mod rank_test;
pub mod repeatability;
pub mod roc;
pub mod t_test;

use crate::error::{Error, Result};

/// Refuses an empty slice and any value that is not finite.
fn require_finite(values: &[f64], name: &str) -> Result<()> {
    if values.is_empty() {
        return Err(Error::value("there are no values").at_field(name));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => {
            Err(Error::value(format!("value {} at position {index} is not finite", values[index]))
                .at_field(name)
                .hint("drop the values that could not be estimated before the statistics"))
        }
        None => Ok(()),
    }
}
