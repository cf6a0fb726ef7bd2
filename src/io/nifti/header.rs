//! A header that has passed every check.

use super::placement::{AffineSource, place, quaternion};
use super::raw::{EXTENDER_BYTES, Layout, RawHeader};
use super::{Datatype, Endianness, ReadLimits, Version};
use crate::error::{Error, Result};
use crate::image::{Affine, Grid, Scaling};

/// Millimetres, the space part of `xyzt_units`.
const MILLIMETRE: i32 = 2;

/// Seconds, the time part of `xyzt_units`.
const SECOND: i32 = 8;

/// What a checked NIfTI header says.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub(super) raw: RawHeader,
    grid: Grid,
    n_volumes: usize,
    datatype: Datatype,
    scaling: Scaling,
    source: AffineSource,
    has_qform: bool,
    voxels_start: u64,
    warnings: Vec<String>,
}

impl Header {
    /// Checks `raw` against the format and `limits`.
    pub(super) fn check(raw: RawHeader, limits: ReadLimits) -> Result<Self> {
        let mut warnings = Vec::new();
        let (shape, n_volumes) = shape(&raw)?;
        let datatype = Datatype::from_codes(raw.datatype, raw.bitpix)?;
        let voxels_start = voxels_start(&raw)?;
        require_within(shape, n_volumes, datatype, voxels_start, limits)?;
        let scaling = scaling(&raw, &mut warnings)?;
        require_millimetres(&raw, &mut warnings)?;
        let placement = place(&raw, shape, &mut warnings)?;
        Ok(Self {
            grid: placement.grid,
            n_volumes,
            datatype,
            scaling,
            source: placement.source,
            has_qform: placement.has_qform,
            voxels_start,
            warnings,
            raw,
        })
    }

    /// The header of an image that comes from no file: NIfTI-1, sform and qform from `grid` with
    /// code 1 (scanner), NIfTI-2 where an axis is longer than 32 767.
    pub fn of_grid(grid: Grid) -> Self {
        let long = grid.shape().iter().any(|&n| n > i16::MAX as usize);
        let version = if long { Version::Nifti2 } else { Version::Nifti1 };
        let mut raw = RawHeader {
            version,
            order: Endianness::Little,
            layout: Layout::Single,
            dim: [3, 1, 1, 1, 1, 1, 1, 1],
            datatype: Datatype::Float32.code(),
            bitpix: 32,
            pixdim: [1.0; 8],
            vox_offset: single_start(version) as f64,
            scl_slope: 1.0,
            scl_inter: 0.0,
            cal_max: 0.0,
            cal_min: 0.0,
            xyzt_units: MILLIMETRE,
            qform_code: 1,
            sform_code: 1,
            quatern: [0.0; 3],
            qoffset: [0.0; 3],
            srow: *grid.affine().matrix(),
        };
        for axis in 0..3 {
            raw.dim[axis + 1] = grid.shape()[axis] as i64;
        }
        set_qform(&mut raw, grid.affine());
        Self {
            grid,
            n_volumes: 1,
            datatype: Datatype::Float32,
            scaling: Scaling::IDENTITY,
            source: AffineSource::Sform,
            has_qform: true,
            voxels_start: single_start(version),
            warnings: Vec::new(),
            raw,
        }
    }

    /// Shape and affine, mm.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Voxel index → scanner, mm.
    pub fn affine(&self) -> &Affine {
        self.grid.affine()
    }

    /// Voxels along each axis `[nx, ny, nz]`; 1 along axes the file does not have.
    pub fn shape(&self) -> [usize; 3] {
        self.grid.shape()
    }

    /// Number of 3-D volumes.
    pub fn n_volumes(&self) -> usize {
        self.n_volumes
    }

    /// How a voxel is stored.
    pub fn datatype(&self) -> Datatype {
        self.datatype
    }

    /// Stored value → signal; the identity where the file says that there is none.
    pub fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// Which fields the affine comes from.
    pub fn affine_source(&self) -> AffineSource {
        self.source
    }

    /// `pixdim[1..=3]` as stored, mm; [`Affine::spacing_mm`] is what counts.
    pub fn zooms_mm(&self) -> [f64; 3] {
        [self.raw.pixdim[1], self.raw.pixdim[2], self.raw.pixdim[3]]
    }

    /// `pixdim[4]` in seconds; `None` where the header gives no time unit or no positive number.
    ///
    /// Converters fill this field with many things: it never replaces the times of a sidecar.
    pub fn time_step_s(&self) -> Option<f64> {
        let unit_s = match self.raw.xyzt_units & 0x38 {
            SECOND => 1.0,
            16 => 1e-3,
            24 => 1e-6,
            _ => return None,
        };
        let step = self.raw.pixdim[4] * unit_s;
        (step.is_finite() && step > 0.0).then_some(step)
    }

    /// The `xyzt_units` field.
    pub fn xyzt_units(&self) -> i32 {
        self.raw.xyzt_units
    }

    /// Version of the format.
    pub fn version(&self) -> Version {
        self.raw.version
    }

    /// Byte order of the file.
    pub fn byte_order(&self) -> Endianness {
        self.raw.order
    }

    /// What is odd about the header though it can be read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Bytes of all voxels; [`Header::check`] has seen that the product does not overflow.
    pub(super) fn voxel_bytes(&self) -> u64 {
        self.grid.n_voxels() as u64 * self.n_volumes as u64 * self.datatype.n_bytes() as u64
    }

    /// Where in their file the voxels begin.
    pub(super) fn voxels_start(&self) -> u64 {
        self.voxels_start
    }

    /// Header of an output on the same grid: place kept bit for bit, everything else reset.
    pub(super) fn for_output(&self, datatype: Datatype, n_volumes: usize) -> RawHeader {
        let mut raw = self.raw.clone();
        raw.order = Endianness::Little;
        raw.layout = Layout::Single;
        let [nx, ny, nz] = self.shape().map(|n| n as i64);
        let rank = if n_volumes > 1 { 4 } else { 3 };
        raw.dim = [rank, nx, ny, nz, n_volumes as i64, 1, 1, 1];
        if n_volumes > i16::MAX as usize {
            raw.version = Version::Nifti2;
        }
        raw.datatype = datatype.code();
        raw.bitpix = 8 * datatype.n_bytes() as i16;
        raw.vox_offset = single_start(raw.version) as f64;
        (raw.scl_slope, raw.scl_inter) = (1.0, 0.0);
        (raw.cal_min, raw.cal_max) = (0.0, 0.0);
        raw.xyzt_units = MILLIMETRE;
        for step in &mut raw.pixdim[4..] {
            *step = 1.0;
        }
        self.fill_placement(&mut raw);
        raw
    }

    /// Gives sform and qform to an output: what the input used stays, what it lacks is derived.
    fn fill_placement(&self, raw: &mut RawHeader) {
        let code = match self.source {
            AffineSource::Sform => raw.sform_code,
            AffineSource::Qform => raw.qform_code,
            AffineSource::Pixdim => ::nifti::XForm::AlignedAnat as i32,
        };
        if self.source != AffineSource::Sform {
            raw.srow = *self.affine().matrix();
            raw.sform_code = code;
        }
        if self.has_qform {
            raw.pixdim[0] = super::placement::handedness(raw.pixdim[0]);
            for size in &mut raw.pixdim[1..4] {
                *size = size.abs();
            }
        } else {
            set_qform(raw, self.affine());
            raw.qform_code = code;
        }
    }

    /// Sets the time step of an output series.
    pub(super) fn set_time_step(raw: &mut RawHeader, time_step_s: f64) {
        raw.pixdim[4] = time_step_s;
        raw.xyzt_units = MILLIMETRE | SECOND;
    }
}

/// First byte of voxels right after the header of a single file.
pub(super) fn single_start(version: Version) -> u64 {
    (version.header_bytes() + EXTENDER_BYTES) as u64
}

fn set_qform(raw: &mut RawHeader, affine: &Affine) {
    let (quatern, qfac) = quaternion(affine);
    raw.quatern = quatern;
    raw.qoffset = affine.matrix().map(|row| row[3]);
    raw.pixdim[0] = qfac;
    raw.pixdim[1..4].copy_from_slice(&affine.spacing_mm());
}

/// Shape of a volume and number of volumes.
fn shape(raw: &RawHeader) -> Result<([usize; 3], usize)> {
    let Ok(rank @ 1..=7) = usize::try_from(raw.dim[0]) else {
        return Err(Error::format(format!("{} axes are not between 1 and 7", raw.dim[0]))
            .at_field("dim[0]")
            .hint("the header is damaged; convert the scan again"));
    };
    let mut lengths = [1_usize; 7];
    for (axis, length) in lengths.iter_mut().enumerate().take(rank) {
        let told = raw.dim[axis + 1];
        *length = match usize::try_from(told) {
            Ok(length) if length > 0 => length,
            _ => {
                let message = format!("{told} voxels: every axis in use must have at least one");
                return Err(Error::format(message)
                    .at_field(format!("dim[{}]", axis + 1))
                    .hint("the header is damaged; convert the scan again"));
            }
        };
    }
    if let Some(axis) = (4..7).find(|&axis| lengths[axis] != 1) {
        return Err(Error::format(format!(
            "{} is not 1: only x, y, z and one series axis are read",
            lengths[axis]
        ))
        .at_field(format!("dim[{}]", axis + 1))
        .hint("split the file into 4-D series"));
    }
    let [nx, ny, nz, n_volumes, ..] = lengths;
    Ok(([nx, ny, nz], n_volumes))
}

fn voxels_start(raw: &RawHeader) -> Result<u64> {
    let offset = raw.vox_offset;
    let least = match raw.layout {
        Layout::Single => single_start(raw.version),
        Layout::Pair => 0,
    };
    let whole = offset.is_finite() && offset.fract().abs() == 0.0;
    if whole && offset >= least as f64 && offset < u64::MAX as f64 {
        return Ok(offset as u64);
    }
    Err(Error::format(format!("{offset} is not a whole number of bytes from {least} on"))
        .at_field("vox_offset")
        .hint("write the file again with the tool that made it"))
}

/// Passes when the voxels and what stands before them fit into `limits`, in checked arithmetic.
fn require_within(
    shape: [usize; 3],
    n_volumes: usize,
    datatype: Datatype,
    voxels_start: u64,
    limits: ReadLimits,
) -> Result<()> {
    let factors = [shape[0], shape[1], shape[2], n_volumes, datatype.n_bytes()];
    let bytes = factors
        .iter()
        .try_fold(1_u64, |product, &factor| product.checked_mul(u64::try_from(factor).ok()?))
        .and_then(|bytes| bytes.checked_add(voxels_start));
    match bytes {
        Some(bytes) if bytes <= limits.max_bytes && usize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(Error::value(format!(
            "{shape:?} voxels × {n_volumes} volumes of {} from byte {voxels_start} on need more than \
             the limit of {} bytes",
            datatype.name(),
            limits.max_bytes
        ))
        .at_field("dim")
        .hint("raise `--max-memory` when the file is meant to be that large")),
    }
}

fn scaling(raw: &RawHeader, warnings: &mut Vec<String>) -> Result<Scaling> {
    let (slope, intercept) = (raw.scl_slope, raw.scl_inter);
    if !(slope.is_finite() && slope.abs() > 0.0) {
        warnings.push(format!(
            "scl_slope {slope} means no scaling: stored values are taken as they are"
        ));
        return Ok(Scaling::IDENTITY);
    }
    if !intercept.is_finite() {
        return Err(Error::format(format!("{intercept} is not finite"))
            .at_field("scl_inter")
            .hint("the header is damaged; convert the scan again"));
    }
    Ok(Scaling { slope, intercept })
}

/// Refuses lengths in metres or micrometres: taken for millimetres they would be silently wrong.
fn require_millimetres(raw: &RawHeader, warnings: &mut Vec<String>) -> Result<()> {
    let unit = match raw.xyzt_units & 7 {
        0 | MILLIMETRE => return Ok(()),
        1 => "metres",
        3 => "micrometres",
        unknown => {
            warnings.push(format!("xyzt_units: {unknown} is no unit of length; mm are assumed"));
            return Ok(());
        }
    };
    Err(Error::value(format!("{} means lengths in {unit}, not millimetres", raw.xyzt_units))
        .at_field("xyzt_units")
        .hint("convert pixdim, qform and sform to millimetres"))
}
