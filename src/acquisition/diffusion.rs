//! Diffusion weighting.

use super::{n_distinct, require_range};
use crate::error::{Error, Result};

/// The b-value of every volume; repeats are legal and b = 0 may be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Diffusion {
    b_values_s_per_mm2: Vec<f64>,
}

impl Diffusion {
    /// Checks one b-value per volume, s/mm².
    ///
    /// # Errors
    ///
    /// `Value` when a b-value is not finite or not in 0–50 000, or fewer than two differ.
    pub fn new(b_values_s_per_mm2: Vec<f64>) -> Result<Self> {
        require_range("b_values_s_per_mm2", &b_values_s_per_mm2, 0.0, 50_000.0)?;
        if n_distinct(&b_values_s_per_mm2) < 2 {
            return Err(Error::value(format!(
                "{b_values_s_per_mm2:?} must hold at least two different b-values"
            ))
            .at_field("b_values_s_per_mm2"));
        }
        Ok(Self { b_values_s_per_mm2 })
    }

    /// One b-value per volume, s/mm².
    pub fn b_values_s_per_mm2(&self) -> &[f64] {
        &self.b_values_s_per_mm2
    }

    /// Number of different b-values.
    pub fn n_different(&self) -> usize {
        n_distinct(&self.b_values_s_per_mm2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_b_values_are_needed() {
        assert!(Diffusion::new(vec![50.0, 400.0]).is_ok());
        assert!(Diffusion::new(vec![0.0, 0.0]).is_err());
        assert!(Diffusion::new(vec![0.0, f64::NAN]).is_err());
        assert!(Diffusion::new(vec![0.0, -5.0]).is_err());
    }
}
