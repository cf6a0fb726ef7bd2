//! Cartilage unrolled about the axis of the condyles.

use std::collections::BTreeMap;

use super::condyle::Parcellation;
use super::measurement::SurfacePoint;

/// One cell of an unrolled cartilage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlatCell {
    /// Angle about the axis at the middle of the cell, degrees: −180 forward, −90 down, 0 backward.
    pub angle_deg: f64,
    /// Way to the lateral side at the middle of the cell, mm; below 0 is medial.
    pub lateral_mm: f64,
    /// Points in the cell.
    pub n_points: usize,
    /// Area they stand for, mm².
    pub area_mm2: f64,
    /// Their area-weighted mean thickness, mm.
    pub mean_mm: f64,
}

/// Mean thickness in cells of `angle_step_deg` by `lateral_step_mm`, which must be above 0, ordered by
/// angle and then from medial to lateral; cells without a point are left out.
pub fn flattened(
    points: &[SurfacePoint],
    parcellation: &Parcellation,
    [angle_step_deg, lateral_step_mm]: [f64; 2],
) -> Vec<FlatCell> {
    let mut sums: BTreeMap<[i64; 2], (usize, f64, f64)> = BTreeMap::new();
    for point in points {
        let cell = [
            (parcellation.angle_deg(point.position_mm) / angle_step_deg).floor() as i64,
            (parcellation.lateral_mm(point.position_mm) / lateral_step_mm).floor() as i64,
        ];
        let (n, area_mm2, sum) = sums.entry(cell).or_default();
        *n += 1;
        *area_mm2 += point.area_mm2;
        *sum += point.thickness_mm * point.area_mm2;
    }
    sums.into_iter()
        .map(|([angle, lateral], (n_points, area_mm2, sum))| FlatCell {
            angle_deg: (angle as f64 + 0.5) * angle_step_deg,
            lateral_mm: (lateral as f64 + 0.5) * lateral_step_mm,
            n_points,
            area_mm2,
            mean_mm: sum / area_mm2,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thickness::Side;

    #[test]
    fn cells_keep_points_area_and_their_place() {
        let mut points = Vec::new();
        for x in -20..20 {
            for degree in -190..10 {
                let (sine, cosine) = (f64::from(degree) + 0.5).to_radians().sin_cos();
                points.push(SurfacePoint {
                    position_mm: [f64::from(x) + 0.5, -20.0 * cosine, 20.0 * sine],
                    thickness_mm: 2.0 + f64::from(degree) / 1000.0,
                    area_mm2: 0.35,
                    voxel: 0,
                    interface_mm: [0.0; 3],
                });
            }
        }
        let positions: Vec<_> = points.iter().map(|point| point.position_mm).collect();
        let parcellation = Parcellation::fit(&positions, Side::Right).unwrap();
        let cells = flattened(&points, &parcellation, [5.0, 2.0]);
        assert_eq!((cells.len(), cells.iter().map(|c| c.n_points).sum::<usize>()), (800, 8000));
        assert!((cells.iter().map(|c| c.area_mm2).sum::<f64>() - 2800.0).abs() < 1e-6);
        let first = cells[0];
        assert!((first.angle_deg + 187.5).abs() < 1e-9 && (first.lateral_mm + 19.0).abs() < 1e-9);
        // The mean of −190, −189 … −186 thousandths below 2.
        assert!((first.mean_mm - 1.812).abs() < 1e-9 && first.n_points == 10);
        assert!(flattened(&[], &parcellation, [5.0, 2.0]).is_empty());
    }
}
