//! The distal femur as a cylinder with cartilage on an arc of 200°, in knee coordinates: x along
//! the axis (medial–lateral), y to the front, z up, millimetres.
//!
//! Because the bone is a circular cylinder, the point of the bone–cartilage interface nearest to
//! the articular surface is radially below it: thickness is exactly h(θ, x), everywhere.

use crate::random::StreamKey;

/// What stands at a position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Tissue {
    Air,
    Muscle,
    Meniscus,
    Fluid,
    Marrow,
    /// Depth from 0 at the bone to 1 at the surface.
    Cartilage {
        depth: f64,
    },
}

const HALF_ARC_RAD: f64 = 100.0 * std::f64::consts::PI / 180.0;
/// Forward of this angle the groove joins both condyles.
const GROOVE_START_RAD: f64 = 35.0 * std::f64::consts::PI / 180.0;
const NOTCH_DEPTH_MM: f64 = 6.0;
const MEAN_THICKNESS_MM: f64 = 2.25;
/// Heights of the three waves of thickness; together they keep it within 1.5–3 mm.
const WAVE_HEIGHTS_MM: [f64; 3] = [0.35, 0.25, 0.12];
const LARGEST_THICKNESS_MM: f64 = 3.0;
const FLUID_MM: f64 = 1.0;
const MENISCUS_MM: f64 = 4.0;
const MENISCUS_ANGLES_RAD: [f64; 2] = [0.35, 1.05];
const SKIN_MM: f64 = 9.0;
const BONE_OVERHANG_MM: f64 = 1.5;
const SHAFT_HALF_WIDTH: f64 = 0.75;

/// Size of the bone.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::struct_field_names, reason = "every length carries its unit")]
pub(super) struct BoneSize {
    pub(super) radius_mm: f64,
    pub(super) half_width_mm: f64,
    /// Half the gap between the condyles; 0 for a single one.
    pub(super) notch_half_width_mm: f64,
}

/// One distal femur with its cartilage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FemoralCondyle {
    size: BoneSize,
    phases_rad: [f64; 3],
    thickness_offset_mm: f64,
}

/// Numbers of the cartilage by quadrature over its footprint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CartilageTruth {
    /// Thickness weighted by the area of the articular surface: mean, SD, P25, median.
    pub(super) thickness_mm: [f64; 4],
    /// Mean thickness weighted by the area of the bone–cartilage interface.
    pub(super) thickness_over_bone_mm: f64,
    pub(super) interface_area_mm2: f64,
    pub(super) volume_mm3: f64,
    /// Depth below which a quarter and a half of the volume lie, and mean depth.
    pub(super) depth_p25: f64,
    pub(super) depth_median: f64,
    pub(super) depth_mean: f64,
}

impl FemoralCondyle {
    /// The femur named by `key`; `thickness_offset_mm` is added everywhere.
    pub(super) fn new(size: BoneSize, key: StreamKey, thickness_offset_mm: f64) -> Self {
        let mut stream = key.stream(0, 0);
        let phases_rad = [0, 1, 2].map(|_| std::f64::consts::TAU * stream.uniform());
        Self { size, phases_rad, thickness_offset_mm }
    }

    /// Thickness of the cartilage at `angle_rad` (0 below, positive to the front) and `x_mm`.
    pub(super) fn thickness_mm(&self, angle_rad: f64, x_mm: f64) -> f64 {
        let [a, b, c] = self.phases_rad;
        let [p, q, r] = WAVE_HEIGHTS_MM;
        let x = std::f64::consts::TAU * x_mm;
        MEAN_THICKNESS_MM
            + self.thickness_offset_mm
            + p * (1.7 * angle_rad + a).sin()
            + q * (x / 40.0 + b).cos()
            + r * (3.0 * angle_rad + x / 25.0 + c).sin()
    }

    fn in_notch(&self, angle_rad: f64, x_mm: f64) -> bool {
        x_mm.abs() < self.size.notch_half_width_mm && angle_rad < GROOVE_START_RAD
    }

    /// Whether cartilage covers the bone there.
    pub(super) fn is_covered(&self, angle_rad: f64, x_mm: f64) -> bool {
        angle_rad.abs() <= HALF_ARC_RAD
            && x_mm.abs() <= self.size.half_width_mm
            && !self.in_notch(angle_rad, x_mm)
    }

    /// The tissue at a position in knee coordinates.
    pub(super) fn tissue(&self, [x, y, z]: [f64; 3]) -> Tissue {
        let BoneSize { radius_mm, half_width_mm, notch_half_width_mm } = self.size;
        if y.hypot(z.min(0.0)) > radius_mm + SKIN_MM {
            return Tissue::Air;
        }
        let radius = y.hypot(z);
        let beside = x.abs() > half_width_mm + BONE_OVERHANG_MM;
        let shaft = z > 0.0 && y.abs() < SHAFT_HALF_WIDTH * radius_mm;
        if !beside && (shaft || radius < radius_mm) {
            let hollow = !shaft
                && radius > radius_mm - NOTCH_DEPTH_MM
                && x.abs() < notch_half_width_mm
                && self.in_notch(y.atan2(-z), x);
            return if hollow { Tissue::Muscle } else { Tissue::Marrow };
        }
        let height = radius - radius_mm;
        let reach = LARGEST_THICKNESS_MM + FLUID_MM + MENISCUS_MM;
        if (0.0..reach).contains(&height) {
            self.tissue_above_bone(height, y.atan2(-z), x)
        } else {
            Tissue::Muscle
        }
    }

    /// The tissue `height_mm` above the cylinder.
    fn tissue_above_bone(&self, height_mm: f64, angle_rad: f64, x_mm: f64) -> Tissue {
        if !self.is_covered(angle_rad, x_mm) {
            return Tissue::Muscle;
        }
        let above = height_mm - self.thickness_mm(angle_rad, x_mm);
        let [first, last] = MENISCUS_ANGLES_RAD;
        if above < 0.0 {
            Tissue::Cartilage { depth: height_mm / (height_mm - above) }
        } else if above < FLUID_MM {
            Tissue::Fluid
        } else if above < FLUID_MM + MENISCUS_MM && (first..last).contains(&angle_rad.abs()) {
            Tissue::Meniscus
        } else {
            Tissue::Muscle
        }
    }

    /// The tissue that fills the whole ball of `reach_mm` around a position, where that is sure
    /// without looking closer: deep in air, in marrow, or beside the bone.
    pub(super) fn uniform_tissue(&self, [x, y, z]: [f64; 3], reach_mm: f64) -> Option<Tissue> {
        let BoneSize { radius_mm, half_width_mm, .. } = self.size;
        let to_skin = radius_mm + SKIN_MM - y.hypot(z.min(0.0));
        let to_side = half_width_mm + BONE_OVERHANG_MM - x.abs();
        if to_skin < -reach_mm {
            return Some(Tissue::Air);
        }
        if to_skin > reach_mm && to_side < -reach_mm {
            return Some(Tissue::Muscle);
        }
        let in_head = y.hypot(z) < radius_mm - NOTCH_DEPTH_MM - reach_mm;
        let in_shaft = z > reach_mm && y.abs() < SHAFT_HALF_WIDTH * radius_mm - reach_mm;
        (to_skin > reach_mm && to_side > reach_mm && (in_head || in_shaft))
            .then_some(Tissue::Marrow)
    }

    /// True numbers by the midpoint rule on 360 × 120 points.
    pub(super) fn truth(&self) -> CartilageTruth {
        const N_ANGLES: usize = 360;
        const N_POSITIONS: usize = 120;
        let radius = self.size.radius_mm;
        let angle_step = 2.0 * HALF_ARC_RAD / N_ANGLES as f64;
        let x_step = 2.0 * self.size.half_width_mm / N_POSITIONS as f64;
        let cell = angle_step * x_step;
        let mut surface = Vec::new();
        let [mut area, mut linear, mut square] = [0.0; 3];
        for i in 0..N_ANGLES * N_POSITIONS {
            let angle = (i % N_ANGLES) as f64 * angle_step + 0.5 * angle_step - HALF_ARC_RAD;
            let x = (i / N_ANGLES) as f64 * x_step + 0.5 * x_step - self.size.half_width_mm;
            if !self.is_covered(angle, x) {
                continue;
            }
            let h = self.thickness_mm(angle, x);
            area += radius * cell;
            linear += radius * h * cell;
            square += 0.5 * h * h * cell;
            surface.push((h, cell * self.surface_factor(angle, x)));
        }
        // The volume below depth z is linear·z + square·z².
        let depth = |fraction: f64| {
            let root = (linear * linear + 4.0 * square * fraction * (linear + square)).sqrt();
            (root - linear) / (2.0 * square)
        };
        CartilageTruth {
            thickness_mm: weighted_statistics(surface),
            thickness_over_bone_mm: linear / area,
            interface_area_mm2: area,
            volume_mm3: linear + square,
            depth_p25: depth(0.25),
            depth_median: depth(0.5),
            depth_mean: (linear / 2.0 + square * 2.0 / 3.0) / (linear + square),
        }
    }

    /// Articular area per dθ·dx: `√(r²(1 + (∂h/∂x)²) + (∂h/∂θ)²)`, r = R + h.
    fn surface_factor(&self, angle_rad: f64, x_mm: f64) -> f64 {
        const STEP: f64 = 1e-5;
        let h = |angle: f64, x: f64| self.thickness_mm(angle, x);
        let by_angle = (h(angle_rad + STEP, x_mm) - h(angle_rad - STEP, x_mm)) / (2.0 * STEP);
        let by_x = (h(angle_rad, x_mm + STEP) - h(angle_rad, x_mm - STEP)) / (2.0 * STEP);
        let r = self.size.radius_mm + h(angle_rad, x_mm);
        (r * r * (1.0 + by_x * by_x) + by_angle * by_angle).sqrt()
    }
}

/// Mean, SD (population), P25 and median of `(value, weight)`.
fn weighted_statistics(mut values: Vec<(f64, f64)>) -> [f64; 4] {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = values.iter().map(|(_, weight)| weight).sum();
    let mean = values.iter().map(|(value, weight)| value * weight).sum::<f64>() / total;
    let variance =
        values.iter().map(|(value, weight)| weight * (value - mean).powi(2)).sum::<f64>() / total;
    let quantile = |fraction: f64| {
        let mut below = 0.0;
        let reached = |(_, weight): &&(f64, f64)| {
            below += weight;
            below >= fraction * total
        };
        values.iter().find(reached).map_or(f64::NAN, |&(value, _)| value)
    };
    [mean, variance.sqrt(), quantile(0.25), quantile(0.5)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condyle() -> FemoralCondyle {
        let size = BoneSize { radius_mm: 22.0, half_width_mm: 30.0, notch_half_width_mm: 8.0 };
        FemoralCondyle::new(size, StreamKey::new(3, "knee"), 0.0)
    }

    fn point(radius: f64, angle: f64, x: f64) -> [f64; 3] {
        [x, radius * angle.sin(), -radius * angle.cos()]
    }

    /// All points of the bone–cartilage interface, 0.1 mm apart.
    fn interface(condyle: &FemoralCondyle, near: [f64; 2]) -> Vec<[f64; 3]> {
        let mut points = Vec::new();
        for i in -80..=80 {
            for j in -80..=80 {
                let angle = near[0] + f64::from(i) * 0.1 / 22.0;
                let x = near[1] + f64::from(j) * 0.1;
                if condyle.is_covered(angle, x) {
                    points.push(point(22.0, angle, x));
                }
            }
        }
        points
    }

    #[test]
    fn thickness_is_the_distance_to_the_nearest_interface_point() {
        let condyle = condyle();
        for (angle, x) in [(0.0, 20.0), (1.7, -3.0), (-1.7, 29.9), (0.62, 0.0), (-0.4, 8.1)] {
            let h = condyle.thickness_mm(angle, x);
            let surface = point(22.0 + h, angle, x);
            let nearest = interface(&condyle, [angle, x])
                .iter()
                .map(|q| (0..3).map(|a| (q[a] - surface[a]).powi(2)).sum::<f64>().sqrt())
                .fold(f64::MAX, f64::min);
            assert!((nearest - h).abs() < 1e-6, "{nearest} {h}");
        }
    }

    #[test]
    fn thickness_stays_between_one_and_a_half_and_three_millimetres() {
        let condyle = condyle();
        for i in 0..100 {
            for j in 0..60 {
                let h = condyle.thickness_mm(-1.7 + 0.034 * f64::from(i), -30.0 + f64::from(j));
                assert!((1.5..3.0).contains(&h));
            }
        }
    }

    /// Monte Carlo over the box around the bone, independent of the quadrature.
    #[test]
    fn volume_and_depths_equal_those_of_random_points() {
        let condyle = condyle();
        let truth = condyle.truth();
        let mut stream = StreamKey::new(8, "points").stream(0, 0);
        let mut depths = Vec::new();
        let n = 400_000;
        for _ in 0..n {
            let p = [60.0, 50.0, 50.0].map(|side| side * (stream.uniform() - 0.5));
            if let Tissue::Cartilage { depth } = condyle.tissue(p) {
                depths.push(depth);
            }
        }
        depths.sort_by(f64::total_cmp);
        let count = depths.len() as f64;
        let volume = 60.0 * 50.0 * 50.0 * count / f64::from(n);
        assert!((volume / truth.volume_mm3 - 1.0).abs() < 5.0 / count.sqrt());
        // Five standard errors of a quantile of a nearly uniform variable.
        let error = 2.5 / count.sqrt();
        assert!((depths[depths.len() / 2] - truth.depth_median).abs() < error);
        assert!((depths[depths.len() / 4] - truth.depth_p25).abs() < error);
        assert!((depths.iter().sum::<f64>() / count - truth.depth_mean).abs() < error);
    }

    #[test]
    fn a_tissue_called_uniform_fills_the_whole_ball() {
        let condyle = condyle();
        let mut stream = StreamKey::new(9, "balls").stream(0, 0);
        let mut n_uniform = 0;
        for _ in 0..20_000 {
            let centre = [70.0, 74.0, 74.0].map(|side| side * (stream.uniform() - 0.5));
            let Some(tissue) = condyle.uniform_tissue(centre, 1.6) else { continue };
            n_uniform += 1;
            for _ in 0..20 {
                let step = [0; 3].map(|_| 1.6 / 3.0_f64.sqrt() * (2.0 * stream.uniform() - 1.0));
                let near = [0, 1, 2].map(|axis| centre[axis] + step[axis]);
                assert_eq!(condyle.tissue(near), tissue);
            }
        }
        assert!(n_uniform > 5000, "{n_uniform}");
    }

    #[test]
    fn tissues_follow_each_other_from_marrow_to_air() {
        let condyle = condyle();
        let h = condyle.thickness_mm(0.5, 20.0);
        let at = |radius: f64| condyle.tissue(point(radius, 0.5, 20.0));
        assert_eq!(at(21.9), Tissue::Marrow);
        assert!(
            matches!(at(22.0 + 0.5 * h), Tissue::Cartilage { depth } if (depth - 0.5).abs() < 1e-9)
        );
        assert_eq!(at(22.0 + h + 0.5), Tissue::Fluid);
        assert_eq!(at(22.0 + h + 2.0), Tissue::Meniscus);
        assert_eq!(at(22.0 + h + 5.5), Tissue::Muscle);
        assert_eq!(at(31.5), Tissue::Air);
        assert_eq!(condyle.tissue(point(20.0, 0.0, 0.0)), Tissue::Muscle);
        assert_eq!(condyle.tissue([0.0, 0.0, 25.0]), Tissue::Marrow);
    }
}
