//! A known movement between the anatomical and the quantitative image: rigid plus free-form.
//!
//! # Reference
//!
//! Rueckert et al., IEEE Trans Med Imaging 1999;18:712–721, doi:10.1109/42.796284 (the free-form
//! deformation on cubic B-splines).

use serde_json::{Value, json};

use crate::error::Result;
use crate::image::{Affine, Grid, Volume};
use crate::random::{Stream, StreamKey};
use crate::registration::{FreeForm, Rigid, Transform};
use crate::simulate::geometry::{Pose, rotation};
use crate::unit::radians_from_degrees;

const LARGEST_TRANSLATION_MM: f64 = 5.0;
/// About each axis; together at most 3°.
const LARGEST_ANGLE_DEGREES: f64 = 1.7;
const LARGEST_DISPLACEMENT_MM: f64 = 2.0;
const CONTROL_SPACING_MM: f64 = 30.0;
/// Distance of the control points of the movement as a transform.
const TRANSFORM_SPACING_MM: f64 = 5.0;

/// Where tissue seen at a position of the quantitative image lies in the anatomical image:
/// `pose(x − centre) + centre + u(x)`, u a cubic B-spline on a lattice of 30 mm.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownMotion {
    pose: Pose,
    centre_mm: [f64; 3],
    lattice_origin_mm: [f64; 3],
    lattice_shape: [usize; 3],
    displacements_mm: Vec<[f64; 3]>,
}

impl KnownMotion {
    /// A movement of at most 5 mm, 3° and 2 mm of deformation within `half_extent_mm` of the centre.
    pub(super) fn new(key: StreamKey, centre_mm: [f64; 3], half_extent_mm: f64) -> Self {
        let mut stream = key.stream(0, 0);
        let angle = radians_from_degrees(LARGEST_ANGLE_DEGREES);
        let angles = [0, 1, 2].map(|_| angle * (2.0 * stream.uniform() - 1.0));
        let pose = Pose {
            rotation: rotation(angles),
            translation_mm: in_ball(&mut stream, LARGEST_TRANSLATION_MM),
        };
        let n = (2.0 * half_extent_mm / CONTROL_SPACING_MM).ceil() as usize + 3;
        let reach = CONTROL_SPACING_MM * (n as f64 - 1.0) / 2.0;
        let displacements_mm =
            (0..n * n * n).map(|_| in_ball(&mut stream, LARGEST_DISPLACEMENT_MM)).collect();
        Self {
            pose,
            centre_mm,
            lattice_origin_mm: centre_mm.map(|c| c - reach),
            lattice_shape: [n; 3],
            displacements_mm,
        }
    }

    /// Position in the anatomical image, mm, of what the quantitative image shows at `position_mm`.
    pub fn to_anatomy(&self, position_mm: [f64; 3]) -> [f64; 3] {
        let moved = self.rigid(position_mm);
        let elastic = self.elastic(position_mm);
        [0, 1, 2].map(|axis| moved[axis] + elastic[axis])
    }

    /// Position in the quantitative image, mm, of what the anatomical image shows at `position_mm`:
    /// the transform that a registration with the anatomical image fixed has to find.
    ///
    /// Fixed-point iteration to 1e-10 mm; the deformation is a contraction.
    pub fn from_anatomy(&self, position_mm: [f64; 3]) -> [f64; 3] {
        let mut found = position_mm;
        for _ in 0..100 {
            let elastic = self.elastic(found);
            let centred =
                [0, 1, 2].map(|axis| position_mm[axis] - elastic[axis] - self.centre_mm[axis]);
            let undone = self.pose.undo(centred);
            let next = [0, 1, 2].map(|axis| undone[axis] + self.centre_mm[axis]);
            let step = (0..3).map(|axis| (next[axis] - found[axis]).abs()).fold(0.0, f64::max);
            found = next;
            if step < 1e-10 {
                break;
            }
        }
        found
    }

    /// [`Self::from_anatomy`] as a registration hands it over: a cubic B-spline on control points of
    /// 5 mm, right to 5e-3 mm within 30 mm of the border of the lattice of the movement.
    ///
    /// # Errors
    ///
    /// `Internal` when the lattice cannot be built.
    pub fn transform(&self) -> Result<Transform> {
        let reach_mm = CONTROL_SPACING_MM * (self.lattice_shape[0] as f64 - 1.0) / 2.0;
        let n = (2.0 * reach_mm / TRANSFORM_SPACING_MM).round() as usize + 1;
        let place = |shape: usize, first_mm: f64| {
            let origin = self.lattice_origin_mm.map(|origin| origin + first_mm);
            Grid::new([shape; 3], Affine::from_spacing([TRANSFORM_SPACING_MM; 3], origin)?)
        };
        let (nodes, around) = (place(n, 0.0)?, place(n + 2, -TRANSFORM_SPACING_MM)?);
        let samples = Volume::from_fn(around, |index| {
            let position_mm = around.position_mm(index);
            let there = self.from_anatomy(position_mm);
            [0, 1, 2].map(|axis| there[axis] - position_mm[axis])
        });
        let coefficients =
            Volume::from_fn(nodes, |index| coefficient(&samples, nodes.voxel(index)));
        let still = Rigid::identity(self.centre_mm);
        Ok(Transform::FreeForm(Box::new(FreeForm::new(still, coefficients)?)))
    }

    fn rigid(&self, position_mm: [f64; 3]) -> [f64; 3] {
        let centred = [0, 1, 2].map(|axis| position_mm[axis] - self.centre_mm[axis]);
        let moved = self.pose.apply(centred);
        [0, 1, 2].map(|axis| moved[axis] + self.centre_mm[axis])
    }

    /// Deformation alone, mm; beyond the lattice its outermost control points continue.
    fn elastic(&self, position_mm: [f64; 3]) -> [f64; 3] {
        let along = [0, 1, 2].map(|axis| {
            let place = (position_mm[axis] - self.lattice_origin_mm[axis]) / CONTROL_SPACING_MM;
            let last = self.lattice_shape[axis] as i64 - 1;
            let nodes = [-1, 0, 1, 2].map(|k| (place.floor() as i64 + k).clamp(0, last) as usize);
            (nodes, b_spline_weights(place - place.floor()))
        });
        let [nx, ny, _] = self.lattice_shape;
        let mut displacement = [0.0; 3];
        for (k, weight_z) in along[2].0.iter().zip(along[2].1) {
            for (j, weight_y) in along[1].0.iter().zip(along[1].1) {
                for (i, weight_x) in along[0].0.iter().zip(along[0].1) {
                    let control = &self.displacements_mm[i + nx * (j + ny * k)];
                    let weight = weight_x * weight_y * weight_z;
                    for axis in 0..3 {
                        displacement[axis] += weight * control[axis];
                    }
                }
            }
        }
        displacement
    }

    /// The movement as a JSON record: rotation, translation, centre, lattice and displacements.
    pub fn record(&self) -> Value {
        json!({
            "Description": "position x in the quantitative image shows the tissue that the \
                anatomical image shows at R(x - centre) + t + centre + u(x), u a cubic B-spline, \
                displacements with the first lattice axis fastest",
            "Rotation": self.pose.rotation,
            "Translation": self.pose.translation_mm,
            "Centre": self.centre_mm,
            "LatticeOrigin": self.lattice_origin_mm,
            "LatticeSpacing": CONTROL_SPACING_MM,
            "LatticeShape": self.lattice_shape,
            "Displacements": self.displacements_mm,
            "Units": "mm",
        })
    }
}

/// Control point of a cubic B-spline through smooth samples, from the 27 samples around it, which
/// begin at `first`: weights −1/6, 8/6, −1/6 along each axis, exact for cubic polynomials.
fn coefficient(samples: &Volume<[f64; 3]>, first: [usize; 3]) -> [f64; 3] {
    const WEIGHTS: [f64; 3] = [-1.0 / 6.0, 8.0 / 6.0, -1.0 / 6.0];
    let mut sum = [0.0; 3];
    for n in 0..27 {
        let step = [n % 3, n / 3 % 3, n / 9];
        let weight = step.map(|s| WEIGHTS[s]).iter().product::<f64>();
        let sample = samples.voxels()[samples.grid().index([0, 1, 2].map(|a| first[a] + step[a]))];
        for axis in 0..3 {
            sum[axis] += weight * sample[axis];
        }
    }
    sum
}

/// Uniform in the ball of `radius`.
pub(super) fn in_ball(stream: &mut Stream, radius: f64) -> [f64; 3] {
    loop {
        let point = [0, 1, 2].map(|_| 2.0 * stream.uniform() - 1.0);
        if point.iter().map(|x| x * x).sum::<f64>() <= 1.0 {
            return point.map(|x| radius * x);
        }
    }
}

/// Weights of the four control points around a position `u` ∈ [0, 1) past the second.
fn b_spline_weights(u: f64) -> [f64; 4] {
    let (v, u2, u3) = (1.0 - u, u * u, u * u * u);
    [
        v * v * v / 6.0,
        (3.0 * u3 - 6.0 * u2 + 4.0) / 6.0,
        (-3.0 * u3 + 3.0 * u2 + 3.0 * u + 1.0) / 6.0,
        u3 / 6.0,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::PointMap;

    fn motion() -> KnownMotion {
        KnownMotion::new(StreamKey::new(7, "knee"), [0.0, 0.0, -10.0], 45.0)
    }

    #[test]
    fn weights_sum_to_one_and_reproduce_a_line() {
        for u in [0.0, 0.3, 0.999] {
            let weights = b_spline_weights(u);
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-15);
            let line = -weights[0] + weights[2] + 2.0 * weights[3];
            assert!((line - u).abs() < 1e-15);
        }
    }

    #[test]
    fn there_and_back_is_the_same_position() {
        let motion = motion();
        for p in [[0.0, 0.0, 0.0], [30.0, -25.0, -40.0], [-35.0, 30.0, 12.0]] {
            let back = motion.from_anatomy(motion.to_anatomy(p));
            for axis in 0..3 {
                assert!((back[axis] - p[axis]).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn as_a_transform_it_is_the_way_from_the_anatomy() {
        let motion = motion();
        let transform = motion.transform().unwrap();
        let mut stream = StreamKey::new(3, "places").stream(0, 0);
        let mut largest = 0.0_f64;
        for _ in 0..500 {
            let p = [0, 1, 2]
                .map(|axis| [0.0, 0.0, -10.0][axis] + 45.0 * (2.0 * stream.uniform() - 1.0));
            let (found, known) = (transform.apply(p), motion.from_anatomy(p));
            for axis in 0..3 {
                largest = largest.max((found[axis] - known[axis]).abs());
            }
        }
        // Third derivatives step at the knots of the movement: 3e-3 mm at worst along one axis.
        assert!(largest < 5e-3, "{largest}");
    }

    #[test]
    fn deformation_stays_within_two_millimetres_and_varies() {
        let motion = motion();
        let length = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let lengths: Vec<f64> =
            (-40..40).map(|i| length(motion.elastic([f64::from(i), 0.0, -10.0]))).collect();
        assert!(lengths.iter().all(|&l| l <= 2.0));
        let largest = lengths.iter().copied().fold(0.0, f64::max);
        let smallest = lengths.iter().copied().fold(f64::MAX, f64::min);
        assert!(largest - smallest > 0.1, "{smallest} {largest}");
    }
}
