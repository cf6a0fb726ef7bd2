//! Where a header puts its voxels: sform, else qform, else the voxel sizes alone.
//!
//! The choice and the fallback are those of nibabel's `get_best_affine`. Without sform and qform the
//! affine is `diag(−dx, dy, dz)` with the scanner's origin in the centre of the image, as for
//! Analyze files.
//!
//! An affine whose axes are not perpendicular within [`SHEAR_TOLERANCE`] is refused: distances,
//! areas and volumes are measured along the axes, and no quaternion can carry the shear into an
//! output. The tolerance is the sine of the 0.1° within which sform and qform must agree; single
//! precision alone gives about 1e-7, and direction cosines of converted files up to 1e-5.

use super::raw::RawHeader;
use crate::error::{Error, Result};
use crate::image::{Affine, Grid};

/// Largest |cosine| between two voxel axes: the sine of 0.1°.
pub const SHEAR_TOLERANCE: f64 = 1.745_328_365_898_309e-3;

/// How far corners may lie apart between sform and qform without a warning, mm.
const AGREEMENT_MM: f64 = 0.1;

/// How far axes may turn between sform and qform without a warning, degrees.
const AGREEMENT_DEGREES: f64 = 0.1;

/// How far voxel sizes may differ between sform and `pixdim` without a warning, relative.
const SPACING_AGREEMENT: f64 = 0.01;

/// How far b² + c² + d² may exceed 1 by rounding, as nibabel takes it.
const QUATERNION_TOLERANCE: f64 = 3.0 * f32::EPSILON as f64;

/// Which header fields the affine comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AffineSource {
    /// `srow_x`, `srow_y`, `srow_z`.
    Sform,
    /// The quaternion, offsets and voxel sizes.
    Qform,
    /// Voxel sizes alone: the place in the scanner is unknown.
    Pixdim,
}

/// The grid of an image and the fields that placed it.
pub(super) struct Placement {
    pub(super) grid: Grid,
    pub(super) source: AffineSource,
    /// Whether the qform fields are valid and in use, so that outputs may carry them.
    pub(super) has_qform: bool,
}

/// Chooses and checks the affine of `raw` for an image of `shape`.
pub(super) fn place(
    raw: &RawHeader,
    shape: [usize; 3],
    warnings: &mut Vec<String>,
) -> Result<Placement> {
    let qform = is_used("qform_code", raw.qform_code, warnings).then(|| qform(raw, warnings));
    if is_used("sform_code", raw.sform_code, warnings) {
        let grid = Grid::new(shape, sform(raw)?)?;
        compare_spacing(raw, &grid, warnings);
        let has_qform = match qform {
            Some(Ok(affine)) => Grid::new(shape, affine).map(|other| {
                compare(&grid, &other, warnings);
                true
            })?,
            Some(Err(error)) => {
                warnings.push(format!("qform is ignored, sform is used: {error}"));
                false
            }
            None => false,
        };
        return Ok(Placement { grid, source: AffineSource::Sform, has_qform });
    }
    if let Some(affine) = qform {
        let grid = Grid::new(shape, affine?)?;
        return Ok(Placement { grid, source: AffineSource::Qform, has_qform: true });
    }
    warnings.push(
        "qform_code and sform_code are 0: place and orientation in the scanner are unknown; voxel \
         sizes are taken from pixdim, x from right to left"
            .into(),
    );
    let grid = Grid::new(shape, centred(raw, shape, warnings)?)?;
    Ok(Placement { grid, source: AffineSource::Pixdim, has_qform: false })
}

fn is_used(field: &str, code: i32, warnings: &mut Vec<String>) -> bool {
    let known = (0..=::nifti::XForm::TemplateOther as i32).contains(&code);
    if !known {
        warnings.push(format!("{field} {code} is no code from 0 to 5 and is taken as 0"));
    }
    known && code > 0
}

fn sform(raw: &RawHeader) -> Result<Affine> {
    for (name, row) in ["srow_x", "srow_y", "srow_z"].iter().zip(raw.srow) {
        require_finite(name, &row)?;
    }
    let affine = Affine::new(raw.srow).map_err(|_| {
        Error::value(format!("{:?} is singular: its voxel axes span no volume", raw.srow))
            .at_field("sform")
            .hint("the sform fields are wrong; set sform_code to 0 if the qform is right")
    })?;
    let shear = affine.shear();
    if shear > SHEAR_TOLERANCE {
        let degrees = 90.0 - shear.min(1.0).acos().to_degrees();
        return Err(Error::value(format!(
            "{:?} is sheared: voxel axes are {degrees:.2}° off the right angle, more than 0.1°",
            raw.srow
        ))
        .at_field("sform")
        .hint("resample the image onto a grid with perpendicular axes"));
    }
    Ok(affine)
}

fn qform(raw: &RawHeader, warnings: &mut Vec<String>) -> Result<Affine> {
    require_finite("quatern", &raw.quatern)?;
    require_finite("qoffset", &raw.qoffset)?;
    let [b, c, d] = raw.quatern;
    let rest = 1.0 - (b * b + c * c + d * d);
    if rest < -QUATERNION_TOLERANCE {
        return Err(Error::value(format!(
            "[{b}, {c}, {d}] is no rotation: b² + c² + d² = {} is above 1",
            1.0 - rest
        ))
        .at_field("quatern")
        .hint("the qform fields are wrong; write an sform with the tool that made the file"));
    }
    let rotation = rotation([rest.max(0.0).sqrt(), b, c, d]);
    let mut spacing = spacing(raw, warnings)?;
    let qfac = raw.pixdim[0];
    if ![0.0, 1.0].contains(&qfac.abs()) {
        warnings.push(format!("pixdim[0] (qfac) {qfac} is neither 1 nor -1 and is taken as 1"));
    }
    spacing[2] *= handedness(qfac);
    let mut matrix = [[0.0; 4]; 3];
    for (row, entries) in matrix.iter_mut().enumerate() {
        for axis in 0..3 {
            entries[axis] = rotation[row][axis] * spacing[axis];
        }
        entries[3] = raw.qoffset[row];
    }
    Affine::new(matrix).map_err(|error| {
        Error::value(error.message())
            .at_field("qform")
            .hint("the header is damaged; convert the scan again")
    })
}

/// qfac: −1 turns the third axis; NIfTI says that 0 means 1, and nibabel takes all else as 1 too.
#[expect(clippy::float_cmp, reason = "the field holds one of two exact numbers")]
pub(super) fn handedness(qfac: f64) -> f64 {
    if qfac == -1.0 { -1.0 } else { 1.0 }
}

fn centred(raw: &RawHeader, shape: [usize; 3], warnings: &mut Vec<String>) -> Result<Affine> {
    let mut spacing = spacing(raw, warnings)?;
    for (axis, size) in spacing.iter_mut().enumerate() {
        // An axis that the file does not have carries no voxel size either.
        if axis as i64 >= raw.dim[0] {
            *size = 1.0;
        }
    }
    spacing[0] = -spacing[0];
    let centre = [0, 1, 2].map(|axis| -spacing[axis] * (shape[axis] - 1) as f64 / 2.0);
    Affine::from_spacing(spacing, centre)
        .map_err(|_| Error::value("voxel sizes span no volume").at_field("pixdim"))
}

/// Voxel sizes of the axes, mm, with the sign dropped.
fn spacing(raw: &RawHeader, warnings: &mut Vec<String>) -> Result<[f64; 3]> {
    let spacing = [raw.pixdim[1], raw.pixdim[2], raw.pixdim[3]];
    for (axis, &size) in spacing.iter().enumerate() {
        let is_absent = axis as i64 >= raw.dim[0] && raw.qform_code == 0;
        let is_length = size.is_finite() && size.abs() > 0.0;
        if !(is_absent || is_length) {
            return Err(Error::value(format!("{size} is no voxel size in mm"))
                .at_field(format!("pixdim[{}]", axis + 1))
                .hint("the header does not say how large a voxel is; convert the scan again"));
        }
        if size < 0.0 {
            warnings.push(format!("pixdim[{}] {size} is taken without its sign", axis + 1));
        }
    }
    Ok(spacing.map(f64::abs))
}

fn require_finite(field: &str, values: &[f64]) -> Result<()> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::value(format!("{values:?} is not finite"))
        .at_field(field)
        .hint("the header is damaged; convert the scan again"))
}

/// Rotation matrix of a quaternion, normalised.
fn rotation([w, x, y, z]: [f64; 4]) -> [[f64; 3]; 3] {
    let s = 2.0 / (w * w + x * x + y * y + z * z);
    let (xs, ys, zs) = (x * s, y * s, z * s);
    [
        [1.0 - (y * ys + z * zs), x * ys - w * zs, x * zs + w * ys],
        [x * ys + w * zs, 1.0 - (x * xs + z * zs), y * zs - w * xs],
        [x * zs - w * ys, y * zs + w * xs, 1.0 - (x * xs + y * ys)],
    ]
}

/// Warns when sform and qform place the same voxels elsewhere.
fn compare(sform: &Grid, qform: &Grid, warnings: &mut Vec<String>) {
    let distance = sform.corner_distance_mm(qform).unwrap_or(f64::INFINITY);
    let angle = largest_angle_degrees(sform.affine(), qform.affine());
    if distance > AGREEMENT_MM || angle > AGREEMENT_DEGREES {
        warnings.push(format!(
            "sform and qform differ by {distance:.3} mm and {angle:.3}°, more than {AGREEMENT_MM} \
             mm or {AGREEMENT_DEGREES}°; sform is used"
        ));
    }
}

fn largest_angle_degrees(a: &Affine, b: &Affine) -> f64 {
    let axis = |affine: &Affine, axis: usize| {
        let length = affine.spacing_mm()[axis];
        affine.matrix().map(|row| row[axis] / length)
    };
    (0..3)
        .map(|k| {
            let (u, v) = (axis(a, k), axis(b, k));
            let norm = |w: [f64; 3]| w.iter().map(|x| x * x).sum::<f64>().sqrt();
            let difference = norm([u[0] - v[0], u[1] - v[1], u[2] - v[2]]);
            2.0 * (difference / 2.0).min(1.0).asin().to_degrees()
        })
        .fold(0.0, f64::max)
}

/// Warns when `pixdim` tells other voxel sizes than the sform.
fn compare_spacing(raw: &RawHeader, grid: &Grid, warnings: &mut Vec<String>) {
    let spacing = grid.affine().spacing_mm();
    let shape = grid.shape();
    for axis in 0..3 {
        let told = raw.pixdim[axis + 1].abs();
        let differs = (told - spacing[axis]).abs() > SPACING_AGREEMENT * spacing[axis];
        if shape[axis] > 1 && (differs || told.is_nan()) {
            warnings.push(format!(
                "pixdim[{}] {told} is not the {:.4} mm of the sform; sform is used",
                axis + 1,
                spacing[axis]
            ));
        }
    }
}

/// Quaternion `[b, c, d]` and qfac of the orthogonal axes of `affine`.
///
/// # Reference
///
/// Shepperd SW. Quaternion from rotation matrix. J Guid Control 1978;1:223–224.
/// doi:10.2514/3.55767b
pub(super) fn quaternion(affine: &Affine) -> ([f64; 3], f64) {
    let spacing = affine.spacing_mm();
    let mut r = affine.matrix().map(|row| [0, 1, 2].map(|axis| row[axis] / spacing[axis]));
    let determinant = r[0][0] * (r[1][1] * r[2][2] - r[1][2] * r[2][1])
        - r[0][1] * (r[1][0] * r[2][2] - r[1][2] * r[2][0])
        + r[0][2] * (r[1][0] * r[2][1] - r[1][1] * r[2][0]);
    let qfac = if determinant < 0.0 { -1.0 } else { 1.0 };
    for row in &mut r {
        row[2] *= qfac;
    }
    let [w, x, y, z] = unit_quaternion(&r);
    let sign = if w < 0.0 { -1.0 } else { 1.0 };
    ([x * sign, y * sign, z * sign], qfac)
}

/// `[w, x, y, z]` of a rotation, from its largest component.
fn unit_quaternion(r: &[[f64; 3]; 3]) -> [f64; 4] {
    let trace = r[0][0] + r[1][1] + r[2][2];
    let squares = [trace, r[0][0], r[1][1], r[2][2]];
    let largest = (0..4).fold(0, |best, k| if squares[k] > squares[best] { k } else { best });
    let (a, b, c) = (r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]);
    let (d, e, f) = (r[0][1] + r[1][0], r[0][2] + r[2][0], r[1][2] + r[2][1]);
    let own = 1.0 + 2.0 * squares[largest] - trace;
    let q = match largest {
        0 => [1.0 + trace, a, b, c],
        1 => [a, own, d, e],
        2 => [b, d, own, f],
        _ => [c, e, f, own],
    };
    let norm = q.iter().map(|v| v * v).sum::<f64>().sqrt();
    q.map(|v| v / norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quaternion_and_rotation_are_inverse_for_every_largest_component() {
        for q in [
            [0.9, 0.1, -0.3, 0.2],
            [0.1, 0.9, 0.3, -0.2],
            [0.2, -0.1, 0.9, 0.3],
            [0.1, 0.3, -0.2, 0.9],
            [0.0, 1.0, 0.0, 0.0],
            [0.0, 0.6, 0.0, -0.8],
        ] {
            let norm = q.iter().map(|v: &f64| v * v).sum::<f64>().sqrt();
            let q = q.map(|v| v / norm);
            let r = rotation(q);
            for qfac in [1.0, -1.0] {
                let matrix = r.map(|row| [row[0] * 0.5, row[1] * 2.0, row[2] * 3.0 * qfac, 7.0]);
                let (found, sign) = quaternion(&Affine::new(matrix).unwrap());
                assert!((sign - qfac).abs() < 1e-15);
                let w = (1.0 - found.iter().map(|v| v * v).sum::<f64>()).max(0.0).sqrt();
                let back = rotation([w, found[0], found[1], found[2]]);
                for (a, b) in back.as_flattened().iter().zip(r.as_flattened()) {
                    assert!((a - b).abs() < 1e-7, "{q:?} {back:?}");
                }
            }
        }
    }

    #[test]
    fn shear_tolerance_is_the_sine_of_a_tenth_of_a_degree() {
        assert!((SHEAR_TOLERANCE - 0.1_f64.to_radians().sin()).abs() < 1e-15);
    }
}
