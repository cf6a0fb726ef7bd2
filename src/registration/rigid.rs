//! Rotation about a centre and translation.

use crate::error::{Error, Result};

/// Below this cosine of the second angle the first and the third turn about the same axis.
const GIMBAL_COSINE: f64 = 1e-9;

/// `R·(x − centre) + centre + translation` in scanner millimetres, R = Rz·Ry·Rx.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rigid {
    angles_rad: [f64; 3],
    translation_mm: [f64; 3],
    centre_mm: [f64; 3],
}

impl Rigid {
    /// Nothing moves; later rotations turn about `centre_mm`.
    pub fn identity(centre_mm: [f64; 3]) -> Self {
        Self { angles_rad: [0.0; 3], translation_mm: [0.0; 3], centre_mm }
    }

    /// Rotation by `angles_rad` about the scanner's x, then y, then z axis through `centre_mm`, then
    /// translation.
    ///
    /// # Errors
    ///
    /// `Value` when a number is not finite.
    pub fn new(
        angles_rad: [f64; 3],
        translation_mm: [f64; 3],
        centre_mm: [f64; 3],
    ) -> Result<Self> {
        let all = [angles_rad, translation_mm, centre_mm];
        if all.iter().flatten().any(|value| !value.is_finite()) {
            return Err(Error::value(format!(
                "rigid transform {all:?} has a number that is not finite"
            )));
        }
        Ok(Self { angles_rad, translation_mm, centre_mm })
    }

    /// Angles about x, y and z, rad.
    pub fn angles_rad(&self) -> [f64; 3] {
        self.angles_rad
    }

    /// Displacement of the centre, mm.
    pub fn translation_mm(&self) -> [f64; 3] {
        self.translation_mm
    }

    /// Centre of rotation, mm.
    pub fn centre_mm(&self) -> [f64; 3] {
        self.centre_mm
    }

    /// The same three angles and translation about another centre: another transform.
    pub(super) fn parameters(&self) -> [f64; 6] {
        let ([a, b, c], [x, y, z]) = (self.angles_rad, self.translation_mm);
        [a, b, c, x, y, z]
    }

    /// The transform with these angles, rad, and translations, mm, about the same centre.
    pub(super) fn with_parameters(&self, p: [f64; 6]) -> Self {
        Self {
            angles_rad: [p[0], p[1], p[2]],
            translation_mm: [p[3], p[4], p[5]],
            centre_mm: self.centre_mm,
        }
    }

    /// The rotation matrix, row-major.
    pub fn rotation(&self) -> [[f64; 3]; 3] {
        let turns = self.angles_rad.map(f64::sin_cos);
        product(&about_z(turns[2]), &product(&about_y(turns[1]), &about_x(turns[0])))
    }

    /// ∂R/∂angle for the three angles.
    pub(super) fn rotation_derivatives(&self) -> [[[f64; 3]; 3]; 3] {
        let [x, y, z] = self.angles_rad.map(f64::sin_cos);
        // d(sin, cos) = (cos, −sin); the constant entry 1 of each axis rotation vanishes.
        let slope = |(sin, cos): (f64, f64)| (cos, -sin);
        let without = |mut m: [[f64; 3]; 3], axis: usize| {
            m[axis][axis] = 0.0;
            m
        };
        let dx = without(about_x(slope(x)), 0);
        let dy = without(about_y(slope(y)), 1);
        let dz = without(about_z(slope(z)), 2);
        [
            product(&about_z(z), &product(&about_y(y), &dx)),
            product(&about_z(z), &product(&dy, &about_x(x))),
            product(&dz, &product(&about_y(y), &about_x(x))),
        ]
    }

    /// Where `point_mm` goes, mm.
    pub fn apply(&self, point_mm: [f64; 3]) -> [f64; 3] {
        let (matrix, offset) = self.matrix_and_offset();
        let turned = times(&matrix, point_mm);
        [0, 1, 2].map(|axis| turned[axis] + offset[axis])
    }

    /// R and o of `x ↦ R·x + o`.
    pub(super) fn matrix_and_offset(&self) -> ([[f64; 3]; 3], [f64; 3]) {
        let matrix = self.rotation();
        let turned = times(&matrix, self.centre_mm);
        let offset = [0, 1, 2].map(|a| self.centre_mm[a] + self.translation_mm[a] - turned[a]);
        (matrix, offset)
    }

    /// The transform that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self {
            angles_rad: angles(&transposed(&self.rotation())),
            translation_mm: self.translation_mm.map(|t| -t),
            centre_mm: [0, 1, 2].map(|a| self.centre_mm[a] + self.translation_mm[a]),
        }
    }

    /// First this transform, then `next`; about this transform's centre.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        let moved = next.apply(self.apply(self.centre_mm));
        Self {
            angles_rad: angles(&product(&next.rotation(), &self.rotation())),
            translation_mm: [0, 1, 2].map(|axis| moved[axis] - self.centre_mm[axis]),
            centre_mm: self.centre_mm,
        }
    }

    /// The same movement described about another centre.
    #[must_use]
    pub fn about(&self, centre_mm: [f64; 3]) -> Self {
        let moved = self.apply(centre_mm);
        Self {
            angles_rad: self.angles_rad,
            translation_mm: [0, 1, 2].map(|axis| moved[axis] - centre_mm[axis]),
            centre_mm,
        }
    }

    /// Angle of the whole rotation, rad, 0–π.
    pub fn angle_rad(&self) -> f64 {
        let r = self.rotation();
        let axis = [r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]];
        let sine = axis.iter().map(|x| x * x).sum::<f64>().sqrt() / 2.0;
        sine.atan2((r[0][0] + r[1][1] + r[2][2] - 1.0) / 2.0)
    }
}

fn about_x((sin, cos): (f64, f64)) -> [[f64; 3]; 3] {
    [[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]]
}

fn about_y((sin, cos): (f64, f64)) -> [[f64; 3]; 3] {
    [[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]]
}

fn about_z((sin, cos): (f64, f64)) -> [[f64; 3]; 3] {
    [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]
}

/// Angles of R = Rz·Ry·Rx.
fn angles(r: &[[f64; 3]; 3]) -> [f64; 3] {
    let cosine = r[0][0].hypot(r[1][0]);
    let y = (-r[2][0]).atan2(cosine);
    if cosine > GIMBAL_COSINE {
        [r[2][1].atan2(r[2][2]), y, r[1][0].atan2(r[0][0])]
    } else {
        [(-r[1][2]).atan2(r[1][1]), y, 0.0]
    }
}

pub(super) fn times(m: &[[f64; 3]; 3], x: [f64; 3]) -> [f64; 3] {
    m.map(|row| row[0] * x[0] + row[1] * x[1] + row[2] * x[2])
}

pub(super) fn transposed(m: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    [0, 1, 2].map(|r| [0, 1, 2].map(|c| m[c][r]))
}

pub(super) fn product(a: &[[f64; 3]; 3], b: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    a.map(|row| [0, 1, 2].map(|c| row[0] * b[0][c] + row[1] * b[1][c] + row[2] * b[2][c]))
}

pub(super) fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Rigid {
        Rigid::new([0.3, -0.2, 0.9], [4.0, -7.0, 2.0], [20.0, 10.0, -30.0]).unwrap()
    }

    fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
        (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn the_inverse_undoes_and_composition_is_application_in_turn() {
        let gimbal = Rigid::new([0.4, std::f64::consts::FRAC_PI_2, -0.3], [1.0; 3], [5.0; 3]);
        for rigid in [some(), gimbal.unwrap()] {
            let other = Rigid::new([0.1, 0.5, -0.4], [1.0, 2.0, 3.0], [-3.0, 0.0, 9.0]).unwrap();
            for point in [[0.0; 3], [50.0, -20.0, 80.0]] {
                assert!(distance(rigid.inverse().apply(rigid.apply(point)), point) < 1e-12);
                let in_turn = other.apply(rigid.apply(point));
                assert!(distance(rigid.then(&other).apply(point), in_turn) < 1e-12);
                let elsewhere = rigid.about([1.0, 2.0, 3.0]);
                assert!(distance(elsewhere.apply(point), rigid.apply(point)) < 1e-12);
            }
        }
    }

    #[test]
    fn a_quarter_turn_about_z_takes_x_to_y() {
        let quarter = std::f64::consts::FRAC_PI_2;
        let rigid = Rigid::new([0.0, 0.0, quarter], [0.0; 3], [1.0, 0.0, 0.0]).unwrap();
        assert!(distance(rigid.apply([3.0, 0.0, 5.0]), [1.0, 2.0, 5.0]) < 1e-12);
        assert!((rigid.angle_rad() - quarter).abs() < 1e-12);
        assert!(Rigid::new([f64::NAN, 0.0, 0.0], [0.0; 3], [0.0; 3]).is_err());
    }

    #[test]
    fn derivatives_of_the_rotation_are_its_differences() {
        let rigid = some();
        let step = 1e-6;
        for (angle, derivative) in rigid.rotation_derivatives().iter().enumerate() {
            let turned = |by: f64| {
                let mut p = rigid.parameters();
                p[angle] += by;
                rigid.with_parameters(p).rotation()
            };
            let (up, down) = (turned(step), turned(-step));
            for r in 0..3 {
                for c in 0..3 {
                    let difference = (up[r][c] - down[r][c]) / (2.0 * step);
                    assert!((difference - derivative[r][c]).abs() < 1e-9);
                }
            }
        }
    }
}
