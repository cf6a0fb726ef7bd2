//! Thickness of one cartilage in a few numbers.

use super::measurement::SurfacePoint;

/// Area-weighted statistics of one cartilage; NaN where there is nothing to average.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Articular points measured, without those excluded at the rim.
    pub n_points: usize,
    /// Articular points excluded at the rim.
    pub n_excluded: usize,
    /// Articular area of the points measured, mm².
    pub area_mm2: f64,
    /// Area-weighted mean, mm.
    pub mean_mm: f64,
    /// Area-weighted median, mm.
    pub median_mm: f64,
    /// Area-weighted 25th percentile, mm.
    pub p25_mm: f64,
    /// Area-weighted 75th percentile, mm.
    pub p75_mm: f64,
    /// Area-weighted standard deviation with n − 1, mm.
    pub sd_mm: f64,
    /// Volume of the cartilage mask, mm³.
    pub volume_mm3: f64,
    /// Bone measured from, when the method knows it.
    pub bone: Option<BoneSummary>,
}

/// Thickness seen from the bone, in the nomenclature of knee cartilage.
///
/// # Reference
///
/// Eckstein et al., "Proposal for a nomenclature for magnetic resonance imaging based measures of
/// articular cartilage in osteoarthritis", Osteoarthritis and Cartilage 14 (2006) 974–983,
/// doi:10.1016/j.joca.2006.03.005.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoneSummary {
    /// Bone covered with cartilage, cAB, mm².
    pub covered_area_mm2: f64,
    /// Bone that cartilage surrounds and does not cover, dAB, mm². A defect that opens to the rim
    /// is not seen.
    pub denuded_area_mm2: f64,
    /// Mean distance from covered bone to the articular surface, `ThCcAB`, mm.
    pub covered_mean_mm: f64,
    /// The same over covered and denuded bone, which counts as 0, `ThCtAB`, mm.
    pub total_mean_mm: f64,
}

impl BoneSummary {
    /// Total area of bone, tAB = cAB + dAB, mm².
    pub fn total_area_mm2(&self) -> f64 {
        self.covered_area_mm2 + self.denuded_area_mm2
    }

    pub(super) fn new(covered_mm2: f64, denuded_mm2: f64, distances: &[(f64, f64)]) -> Self {
        let covered_mean_mm = weighted_mean(distances);
        Self {
            covered_area_mm2: covered_mm2,
            denuded_area_mm2: denuded_mm2,
            covered_mean_mm,
            total_mean_mm: covered_mean_mm * covered_mm2 / (covered_mm2 + denuded_mm2),
        }
    }
}

impl Summary {
    pub(super) fn new(points: &[SurfacePoint], n_excluded: usize, volume_mm3: f64) -> Self {
        let mut values: Vec<(f64, f64)> =
            points.iter().map(|point| (point.thickness_mm, point.area_mm2)).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self {
            n_points: points.len(),
            n_excluded,
            area_mm2: points.iter().map(|point| point.area_mm2).sum(),
            mean_mm: weighted_mean(&values),
            median_mm: weighted_quantile(&values, 0.5),
            p25_mm: weighted_quantile(&values, 0.25),
            p75_mm: weighted_quantile(&values, 0.75),
            sd_mm: weighted_sd(&values),
            volume_mm3,
            bone: None,
        }
    }
}

/// Mean of (value, weight) pairs.
pub(super) fn weighted_mean(values: &[(f64, f64)]) -> f64 {
    let total: f64 = values.iter().map(|v| v.1).sum();
    values.iter().map(|v| v.0 * v.1).sum::<f64>() / total
}

/// Equals the sample standard deviation where all weights are equal.
fn weighted_sd(values: &[(f64, f64)]) -> f64 {
    let mean = weighted_mean(values);
    let squares: Vec<_> = values.iter().map(|v| ((v.0 - mean).powi(2), v.1)).collect();
    let n = values.len() as f64;
    (weighted_mean(&squares) * n / (n - 1.0)).sqrt()
}

/// Quantile of rising (value, weight) pairs, linear between the middles of the weights; where all
/// weights are equal its rank is `p·(n − 1)`.
pub(super) fn weighted_quantile(values: &[(f64, f64)], p: f64) -> f64 {
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return f64::NAN };
    let total: f64 = values.iter().map(|v| v.1).sum();
    let target = first.1 / 2.0 + p * (total - f64::midpoint(first.1, last.1));
    let mut below = (first.0, 0.0);
    let mut passed = 0.0;
    for &(value, weight) in values {
        let middle = passed + weight / 2.0;
        if middle >= target {
            let step = middle - below.1;
            let share = if step > 0.0 { (target - below.1) / step } else { 1.0 };
            return below.0 + share * (value - below.0);
        }
        below = (value, middle);
        passed += weight;
    }
    last.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(thickness_mm: f64, area_mm2: f64) -> SurfacePoint {
        let zero = [0.0; 3];
        SurfacePoint { position_mm: zero, thickness_mm, area_mm2, voxel: 0, interface_mm: zero }
    }

    #[test]
    fn equal_areas_give_the_statistics_of_the_sample() {
        let points: Vec<_> = [4.0, 1.0, 2.0, 3.5, 7.0].map(|t| point(t, 0.3)).into();
        let summary = Summary::new(&points, 2, 10.0);
        // numpy: mean, std(ddof=1), percentile 50, 25 and 75.
        let Summary { mean_mm, sd_mm, median_mm, p25_mm, p75_mm, .. } = summary;
        let ours = [mean_mm, sd_mm, median_mm, p25_mm, p75_mm];
        for (value, expected) in ours.iter().zip([3.5, 2.291_287_847_477_92, 3.5, 2.0, 4.0]) {
            assert!((value - expected).abs() < 1e-12, "{value} {expected}");
        }
        assert_eq!((summary.n_points, summary.n_excluded), (5, 2));
        assert!((summary.area_mm2 - 1.5).abs() < 1e-12);
    }

    #[test]
    fn a_point_of_a_large_area_counts_as_many_small_ones() {
        let large = Summary::new(&[point(1.0, 1.0), point(3.0, 3.0)], 0, 0.0);
        assert!((large.mean_mm - 2.5).abs() < 1e-12);
        let many: Vec<_> = (0..4_000).map(|i| point(f64::from(i), 0.25)).collect();
        let mut few: Vec<_> = (0..2_000).map(|i| point(f64::from(i), 0.25)).collect();
        few.extend((2_000..4_000).step_by(10).map(|i| point(f64::from(i) + 4.5, 2.5)));
        let (many, few) = (Summary::new(&many, 0, 0.0), Summary::new(&few, 0, 0.0));
        assert!((many.mean_mm - few.mean_mm).abs() < 1e-9);
        assert!((many.p25_mm - few.p25_mm).abs() < 2.0);
        assert!((many.median_mm - few.median_mm).abs() < 5.0);
    }

    #[test]
    fn nothing_has_no_mean_and_one_point_no_spread() {
        let empty = Summary::new(&[], 3, 1.0);
        assert!(empty.mean_mm.is_nan() && empty.median_mm.is_nan() && empty.sd_mm.is_nan());
        let one = Summary::new(&[point(2.0, 0.1)], 0, 1.0);
        assert!((one.median_mm - 2.0).abs() < 1e-15 && one.sd_mm.is_nan());
    }

    #[test]
    fn denuded_bone_counts_as_no_cartilage() {
        let bone = BoneSummary::new(30.0, 10.0, &[(2.0, 1.0), (1.0, 1.0)]);
        assert!((bone.covered_mean_mm - 1.5).abs() < 1e-12);
        assert!((bone.total_mean_mm - 1.125).abs() < 1e-12);
        assert!((bone.total_area_mm2() - 40.0).abs() < 1e-12);
    }
}
