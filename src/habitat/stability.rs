//! How firmly a voxel belongs to its habitat, and how wide a habitat is without its noise.

use super::cluster::Habitats;
use crate::statistics::moments::mean;
use crate::statistics::multivariate::Standardisation;
use crate::uncertainty::Replicates;

impl Habitats {
    /// Label of the habitat whose centre is nearest to `values` (one per parameter), the lower of
    /// equal ones; `None` where a value is not finite or their number is wrong.
    pub fn nearest(&self, values: &[f64]) -> Option<u8> {
        let scales = &self.space.scales;
        if values.len() != scales.len() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut best = (0, f64::INFINITY);
        for (index, centre) in self.space.centres.iter().enumerate() {
            let from_centre = |((centre, &value), scale): ((&f64, &f64), &Standardisation)| {
                let difference = centre - scale.apply(value);
                difference * difference
            };
            let distance: f64 = centre.iter().zip(values).zip(scales).map(from_centre).sum();
            if distance < best.1 {
                best = (index, distance);
            }
        }
        Some(best.0 as u8 + 1)
    }

    /// Fraction of the pseudo-experiments of `voxel` that stay nearest to the centre of its habitat,
    /// centres fixed.
    ///
    /// `replicates` is one slice per parameter. A replicate without a finite estimate did not stay.
    /// `None` for a voxel out of range, no replicates, or slices of different length.
    pub fn membership_stability(&self, voxel: usize, replicates: &[&[f64]]) -> Option<f64> {
        let &label = self.labels.get(voxel)?;
        let n = replicates.first()?.len();
        if n == 0 || replicates.iter().any(|parameter| parameter.len() != n) {
            return None;
        }
        let stayed = (0..n)
            .filter(|&replicate| {
                let values: Vec<f64> = replicates.iter().map(|values| values[replicate]).collect();
                self.nearest(&values) == Some(label)
            })
            .count();
        Some(stayed as f64 / n as f64)
    }

    /// Fraction of all drawn pseudo-experiments that are nearest to the centre of habitat `label`,
    /// centres fixed; `columns` are the parameters that were clustered, in their order.
    ///
    /// A replicate without a finite estimate did not stay. NaN where none was drawn or a column is
    /// not there.
    pub fn stability_of(&self, label: u8, columns: &[usize], replicates: Replicates<'_>) -> f64 {
        let chosen: Option<Vec<&Vec<f64>>> =
            columns.iter().map(|&column| replicates.estimates.get(column)).collect();
        let Some(chosen) = chosen.filter(|_| replicates.n_drawn > 0) else { return f64::NAN };
        let n_valid = chosen.iter().map(|column| column.len()).min().unwrap_or(0);
        let mut values = vec![0.0; chosen.len()];
        let stays = |&replicate: &usize| {
            for (value, column) in values.iter_mut().zip(&chosen) {
                *value = column[replicate];
            }
            self.nearest(&values) == Some(label)
        };
        let n_stayed = (0..n_valid).filter(stays).count();
        n_stayed as f64 / replicates.n_drawn as f64
    }

    /// Mean of `stability` (one per voxel, `None` where unknown) over each habitat, by label;
    /// `None` where no voxel of it is known.
    pub fn mean_stability(&self, stability: &[Option<f64>]) -> Vec<Option<f64>> {
        let of_habitat = |label| {
            let known: Vec<f64> = self
                .labels
                .iter()
                .zip(stability)
                .filter(|(own, _)| **own == label)
                .filter_map(|(_, stability)| *stability)
                .collect();
            mean(&known)
        };
        self.habitats.iter().map(|habitat| of_habitat(habitat.label)).collect()
    }
}

/// SD without the noise of its voxels, √max(0, SD² − mean u²), for the absolute uncertainties `u`
/// of those voxels; `None` where one is not finite or there is none.
pub fn intrinsic_standard_deviation(standard_deviation: f64, uncertainties: &[f64]) -> Option<f64> {
    let squares: Vec<f64> = uncertainties.iter().map(|u| u * u).collect();
    let noise = mean(&squares)?;
    let variance = standard_deviation * standard_deviation - noise;
    (!variance.is_nan()).then(|| variance.max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_taken_off_in_squares_and_never_below_zero() {
        let sd = intrinsic_standard_deviation(0.5, &[0.3; 8]).unwrap();
        assert!((sd - 0.4).abs() < 1e-15);
        assert_eq!(intrinsic_standard_deviation(0.1, &[0.3]), Some(0.0));
        assert_eq!(intrinsic_standard_deviation(0.5, &[]), None);
        assert_eq!(intrinsic_standard_deviation(0.5, &[f64::INFINITY]), None);
    }
}
