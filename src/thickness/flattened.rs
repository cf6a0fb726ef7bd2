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
    /// Values in the cell.
    pub n: usize,
    /// Sum of their weights: of points the area that they stand for, mm².
    pub weight: f64,
    /// Their weighted mean.
    pub mean: f64,
}

/// One value of the cartilage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlacedValue {
    /// Where it is, scanner mm.
    pub position_mm: [f64; 3],
    /// The value.
    pub value: f64,
    /// What it counts.
    pub weight: f64,
}

impl From<&SurfacePoint> for PlacedValue {
    fn from(point: &SurfacePoint) -> Self {
        let SurfacePoint { position_mm, thickness_mm, area_mm2, .. } = *point;
        Self { position_mm, value: thickness_mm, weight: area_mm2 }
    }
}

/// Weighted means in cells of `angle_step_deg` by `lateral_step_mm`, which must be above 0, ordered by
/// angle and then from medial to lateral; cells without a value are left out, and values that are not
/// finite, or have no place, too.
pub fn flattened(
    values: impl IntoIterator<Item = PlacedValue>,
    parcellation: &Parcellation,
    [angle_step_deg, lateral_step_mm]: [f64; 2],
) -> Vec<FlatCell> {
    let mut sums: BTreeMap<[i64; 2], (usize, f64, f64)> = BTreeMap::new();
    for PlacedValue { position_mm, value, weight } in values {
        if !(value.is_finite() && position_mm.iter().all(|x| x.is_finite())) {
            continue;
        }
        let cell = [
            (parcellation.angle_deg(position_mm) / angle_step_deg).floor() as i64,
            (parcellation.lateral_mm(position_mm) / lateral_step_mm).floor() as i64,
        ];
        let (n, total, sum) = sums.entry(cell).or_default();
        *n += 1;
        *total += weight;
        *sum += value * weight;
    }
    sums.into_iter()
        .map(|([angle, lateral], (n, weight, sum))| FlatCell {
            angle_deg: (angle as f64 + 0.5) * angle_step_deg,
            lateral_mm: (lateral as f64 + 0.5) * lateral_step_mm,
            n,
            weight,
            mean: sum / weight,
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
        let cells = flattened(points.iter().map(PlacedValue::from), &parcellation, [5.0, 2.0]);
        assert_eq!((cells.len(), cells.iter().map(|c| c.n).sum::<usize>()), (800, 8000));
        assert!((cells.iter().map(|c| c.weight).sum::<f64>() - 2800.0).abs() < 1e-6);
        let first = cells[0];
        assert!((first.angle_deg + 187.5).abs() < 1e-9 && (first.lateral_mm + 19.0).abs() < 1e-9);
        // The mean of −190, −189 … −186 thousandths below 2.
        assert!((first.mean - 1.812).abs() < 1e-9 && first.n == 10);
        let nowhere = PlacedValue { value: f64::NAN, ..PlacedValue::from(&points[0]) };
        assert!(flattened([nowhere], &parcellation, [5.0, 2.0]).is_empty());
    }
}
