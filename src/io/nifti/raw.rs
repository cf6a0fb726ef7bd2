//! The fields of a NIfTI-1 or NIfTI-2 header as they stand in the file, unchecked.
//!
//! Both versions share one struct; `f32` fields become `f64` and go back without loss.

use ::nifti::Endianness;
use ::nifti::header::{MAGIC_CODE_NI1, MAGIC_CODE_NIP1};

use super::Version;
use crate::error::{Error, Result};

/// Bytes before the voxels of a header that nothing follows: fixed fields and the extender.
pub(super) const EXTENDER_BYTES: usize = 4;

const MAGIC_PAIR_2: &[u8; 8] = b"ni2\0\r\n\x1a\n";
const MAGIC_SINGLE_2: &[u8; 8] = b"n+2\0\r\n\x1a\n";
const NOT_NIFTI: &str = "give a NIfTI file; dcm2niix converts DICOM";

/// Whether header and voxels share one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Single,
    Pair,
}

/// Header fields by their NIfTI names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawHeader {
    pub(super) version: Version,
    pub(super) order: Endianness,
    pub(super) layout: Layout,
    pub(super) dim: [i64; 8],
    pub(super) datatype: i16,
    pub(super) bitpix: i16,
    pub(super) pixdim: [f64; 8],
    pub(super) vox_offset: f64,
    pub(super) scl_slope: f64,
    pub(super) scl_inter: f64,
    pub(super) cal_max: f64,
    pub(super) cal_min: f64,
    pub(super) xyzt_units: i32,
    pub(super) qform_code: i32,
    pub(super) sform_code: i32,
    pub(super) quatern: [f64; 3],
    pub(super) qoffset: [f64; 3],
    pub(super) srow: [[f64; 4]; 3],
}

impl Version {
    /// Bytes of the fixed fields, the value of `sizeof_hdr`.
    pub(super) fn header_bytes(self) -> usize {
        match self {
            Self::Nifti1 => 348,
            Self::Nifti2 => 540,
        }
    }
}

impl RawHeader {
    /// Reads the fixed fields at the start of `bytes`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < Version::Nifti1.header_bytes() {
            let message = format!("{} bytes are fewer than the 348 of a header", bytes.len());
            return Err(Error::format(message).hint(NOT_NIFTI));
        }
        let (version, order) = recognise(bytes)?;
        if bytes.len() < version.header_bytes() {
            let message = format!("{} bytes are fewer than the 540 of a header", bytes.len());
            return Err(Error::format(message)
                .at_field("sizeof_hdr")
                .hint("the file is truncated; copy it again"));
        }
        let fields = Fields { bytes, order };
        match version {
            Version::Nifti1 => Ok(fields.version_1(layout_1(bytes)?)),
            Version::Nifti2 => Ok(fields.version_2(layout_2(bytes)?)),
        }
    }

    /// The header as little-endian bytes, with an empty extender; every other field is 0.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.version.header_bytes() + EXTENDER_BYTES];
        match self.version {
            Version::Nifti1 => self.write_version_1(&mut bytes),
            Version::Nifti2 => self.write_version_2(&mut bytes),
        }
        bytes
    }

    fn write_version_1(&self, bytes: &mut [u8]) {
        let mut put = |offset: usize, field: &[u8]| put(bytes, offset, field);
        put(0, &348_i32.to_le_bytes());
        put(38, b"r");
        for (axis, &n) in self.dim.iter().enumerate() {
            put(40 + 2 * axis, &(n as i16).to_le_bytes());
        }
        put(70, &self.datatype.to_le_bytes());
        put(72, &self.bitpix.to_le_bytes());
        for (axis, &step) in self.pixdim.iter().enumerate() {
            put(76 + 4 * axis, &(step as f32).to_le_bytes());
        }
        let scalars =
            [self.vox_offset, self.scl_slope, self.scl_inter].map(|v| (v as f32).to_le_bytes());
        put(108, scalars.as_flattened());
        put(123, &[self.xyzt_units as u8]);
        let window = [self.cal_max, self.cal_min].map(|v| (v as f32).to_le_bytes());
        put(124, window.as_flattened());
        put(252, &(self.qform_code as i16).to_le_bytes());
        put(254, &(self.sform_code as i16).to_le_bytes());
        for (place, value) in self.placement().enumerate() {
            put(256 + 4 * place, &(value as f32).to_le_bytes());
        }
        put(344, MAGIC_CODE_NIP1);
    }

    fn write_version_2(&self, bytes: &mut [u8]) {
        let mut put = |offset: usize, field: &[u8]| put(bytes, offset, field);
        put(0, &540_i32.to_le_bytes());
        put(4, MAGIC_SINGLE_2);
        put(12, &self.datatype.to_le_bytes());
        put(14, &self.bitpix.to_le_bytes());
        put(16, self.dim.map(i64::to_le_bytes).as_flattened());
        put(104, self.pixdim.map(f64::to_le_bytes).as_flattened());
        put(168, &(self.vox_offset as i64).to_le_bytes());
        let scalars = [self.scl_slope, self.scl_inter, self.cal_max, self.cal_min];
        put(176, scalars.map(f64::to_le_bytes).as_flattened());
        put(344, &self.qform_code.to_le_bytes());
        put(348, &self.sform_code.to_le_bytes());
        for (place, value) in self.placement().enumerate() {
            put(352 + 8 * place, &value.to_le_bytes());
        }
        put(500, &self.xyzt_units.to_le_bytes());
    }

    /// Quaternion, offsets and sform rows in the order both versions store them.
    fn placement(&self) -> impl Iterator<Item = f64> {
        self.quatern.into_iter().chain(self.qoffset).chain(self.srow.into_iter().flatten())
    }
}

fn put(bytes: &mut [u8], offset: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(offset..offset + field.len()) {
        place.copy_from_slice(field);
    }
}

/// Version and byte order from `sizeof_hdr`, which reads as 348 or 540 in one order only.
fn recognise(bytes: &[u8]) -> Result<(Version, Endianness)> {
    for order in [Endianness::Little, Endianness::Big] {
        match i32::from_le_bytes(Fields { bytes, order }.array(0)) {
            348 => return Ok((Version::Nifti1, order)),
            540 => return Ok((Version::Nifti2, order)),
            _ => {}
        }
    }
    let found = i32::from_le_bytes(Fields { bytes, order: Endianness::Little }.array(0));
    Err(Error::format(format!("{found} is neither 348 (NIfTI-1) nor 540 (NIfTI-2)"))
        .at_field("sizeof_hdr")
        .hint(NOT_NIFTI))
}

fn layout_1(bytes: &[u8]) -> Result<Layout> {
    match bytes.get(344..348) {
        Some(magic) if magic == MAGIC_CODE_NIP1 => Ok(Layout::Single),
        Some(magic) if magic == MAGIC_CODE_NI1 => Ok(Layout::Pair),
        magic => Err(Error::format(format!(
            "{} is neither \"n+1\\0\" nor \"ni1\\0\": an Analyze 7.5 header or none at all",
            quoted(magic)
        ))
        .at_field("magic")
        .hint("Analyze 7.5 does not say where left and right are; convert it to NIfTI")),
    }
}

fn layout_2(bytes: &[u8]) -> Result<Layout> {
    match bytes.get(4..12) {
        Some(magic) if magic == MAGIC_SINGLE_2 => Ok(Layout::Single),
        Some(magic) if magic == MAGIC_PAIR_2 => Ok(Layout::Pair),
        magic => Err(Error::format(format!(
            "{} is neither \"n+2\\0\\r\\n\\x1a\\n\" nor \"ni2\\0\\r\\n\\x1a\\n\"",
            quoted(magic)
        ))
        .at_field("magic")
        .hint("a text-mode transfer changes these bytes; copy the file again in binary mode")),
    }
}

fn quoted(magic: Option<&[u8]>) -> String {
    format!("\"{}\"", magic.unwrap_or_default().escape_ascii())
}

/// Header bytes in a known byte order.
struct Fields<'a> {
    bytes: &'a [u8],
    order: Endianness,
}

impl Fields<'_> {
    /// `N` bytes at `offset` in little-endian order; zeros where the header ends before.
    fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut field = [0; N];
        if let Some(bytes) = self.bytes.get(offset..offset + N) {
            field.copy_from_slice(bytes);
        }
        if self.order == Endianness::Big {
            field.reverse();
        }
        field
    }

    fn i16(&self, offset: usize) -> i16 {
        i16::from_le_bytes(self.array(offset))
    }

    fn i32(&self, offset: usize) -> i32 {
        i32::from_le_bytes(self.array(offset))
    }

    fn f32(&self, offset: usize) -> f64 {
        f64::from(f32::from_le_bytes(self.array(offset)))
    }

    fn f64(&self, offset: usize) -> f64 {
        f64::from_le_bytes(self.array(offset))
    }

    fn version_1(&self, layout: Layout) -> RawHeader {
        let floats = |start: usize| move |place: usize| self.f32(start + 4 * place);
        RawHeader {
            version: Version::Nifti1,
            order: self.order,
            layout,
            dim: std::array::from_fn(|axis| i64::from(self.i16(40 + 2 * axis))),
            datatype: self.i16(70),
            bitpix: self.i16(72),
            pixdim: std::array::from_fn(floats(76)),
            vox_offset: self.f32(108),
            scl_slope: self.f32(112),
            scl_inter: self.f32(116),
            cal_max: self.f32(124),
            cal_min: self.f32(128),
            xyzt_units: i32::from(self.array::<1>(123)[0]),
            qform_code: i32::from(self.i16(252)),
            sform_code: i32::from(self.i16(254)),
            quatern: std::array::from_fn(floats(256)),
            qoffset: std::array::from_fn(floats(268)),
            srow: std::array::from_fn(|row| std::array::from_fn(floats(280 + 16 * row))),
        }
    }

    fn version_2(&self, layout: Layout) -> RawHeader {
        let floats = |start: usize| move |place: usize| self.f64(start + 8 * place);
        RawHeader {
            version: Version::Nifti2,
            order: self.order,
            layout,
            dim: std::array::from_fn(|axis| i64::from_le_bytes(self.array(16 + 8 * axis))),
            datatype: self.i16(12),
            bitpix: self.i16(14),
            pixdim: std::array::from_fn(floats(104)),
            vox_offset: i64::from_le_bytes(self.array(168)) as f64,
            scl_slope: self.f64(176),
            scl_inter: self.f64(184),
            cal_max: self.f64(192),
            cal_min: self.f64(200),
            xyzt_units: self.i32(500),
            qform_code: self.i32(344),
            sform_code: self.i32(348),
            quatern: std::array::from_fn(floats(352)),
            qoffset: std::array::from_fn(floats(376)),
            srow: std::array::from_fn(|row| std::array::from_fn(floats(400 + 32 * row))),
        }
    }
}
