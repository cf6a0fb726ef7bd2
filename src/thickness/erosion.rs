//! What a Gaussian takes off a layer that was smoothed alone, and how its surfaces get it back.
//!
//! A plane layer of thickness h, smoothed with standard deviation σ, exceeds ½ over t = h − 2e only:
//! on its boundary Φ((h − e)/σ) − Φ(−e/σ) = ½, that is
//!
//! ```text
//! Φ((t + e)/σ) + Φ(e/σ) = 3/2
//! ```
//!
//! with the cumulative normal Φ. The left side rises with e and bends down, so Newton's method from
//! e = 0 comes to the only root from below. A layer of 1.5 mm loses 0.06 mm to σ = 0.7 mm, one of
//! 2 mm 0.01 mm, and one below 1.35 σ is lost.

use rayon::prelude::*;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use super::interface::Surfaces;
use super::nearest::PointIndex;

/// Steps of Newton's method; the root is right to 1e-12 σ after them for any thickness.
const STEPS: usize = 8;

/// What is missing on each side of a layer of which `left_mm` is left, mm; 0 where nothing was
/// smoothed.
pub(super) fn worn_mm(left_mm: f64, sd_mm: f64) -> f64 {
    if !(sd_mm > 0.0 && left_mm.is_finite()) {
        return 0.0;
    }
    let normal = Normal::standard();
    let left = left_mm / sd_mm;
    let mut worn = 0.0;
    for _ in 0..STEPS {
        let excess = normal.cdf(left + worn) + normal.cdf(worn) - 1.5;
        worn -= excess / (normal.pdf(left + worn) + normal.pdf(worn));
    }
    worn * sd_mm
}

/// Moves both surfaces of a cartilage that was smoothed alone outward by what the Gaussian, whose
/// standard deviation along a normal is `sd_along_mm`, took off them; where the nearest point of the
/// interface is its end there is no thickness, and nothing is moved.
pub(super) fn restore(
    surfaces: &mut Surfaces,
    interface_normals: &[[f64; 3]],
    sd_along_mm: impl Fn([f64; 3]) -> f64 + Sync,
) {
    let interface = PointIndex::new(&surfaces.interface.vertices_mm);
    let articular = PointIndex::new(&surfaces.articular.vertices_mm);
    let rim = &surfaces.interface_rim;
    let joint = surfaces.articular.vertices_mm.par_iter().zip(&surfaces.articular_normals);
    let of_joint: Vec<f64> = joint
        .map(|(&position, &normal)| {
            let nearest = interface.nearest(position).filter(|near| !rim[near.id]);
            nearest.map_or(0.0, |near| worn_mm(near.squared_mm2.sqrt(), sd_along_mm(normal)))
        })
        .collect();
    let bone = surfaces.interface.vertices_mm.par_iter().zip(interface_normals);
    let of_bone: Vec<f64> = bone
        .map(|(&position, &normal)| {
            let nearest = articular.nearest(position).filter(|near| of_joint[near.id] > 0.0);
            nearest.map_or(0.0, |near| worn_mm(near.squared_mm2.sqrt(), sd_along_mm(normal)))
        })
        .collect();
    surfaces.articular.displace(&surfaces.articular_normals, &of_joint);
    surfaces.interface.displace(interface_normals, &of_bone);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smoothed_layer_gets_back_what_it_lost() {
        let normal = Normal::standard();
        for true_mm in [1.1, 1.5, 2.0, 3.0] {
            // Where the smoothed layer is ½, by halving: an independent way to the same boundary.
            let value = |x: f64| normal.cdf((x + true_mm) / 0.7) - normal.cdf(x / 0.7);
            let (mut outside, mut inside) = (0.0, -true_mm / 2.0);
            for _ in 0..60 {
                let middle = f64::midpoint(outside, inside);
                if value(middle) < 0.5 { outside = middle } else { inside = middle }
            }
            let left_mm = true_mm + 2.0 * inside;
            let restored_mm = left_mm + 2.0 * worn_mm(left_mm, 0.7);
            assert!((restored_mm - true_mm).abs() < 1e-9, "{true_mm}: {restored_mm}");
        }
        // scipy 1.x: brentq on the difference of norm.cdf.
        assert!((2.0 * worn_mm(1.5 - 0.063_049_535, 0.7) - 0.063_049_535).abs() < 1e-8);
        assert!(worn_mm(1.0, 0.0).abs() < 1e-300 && worn_mm(f64::NAN, 0.7).abs() < 1e-300);
        // Nothing is left of 1.35 σ: twice the quartile of the normal.
        assert!((2.0 * worn_mm(0.0, 1.0) - 1.348_979_5).abs() < 1e-6);
    }
}
