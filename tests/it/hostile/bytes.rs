//! Valid files to be made malformed, and the two ways to look at what becomes of them.

use std::path::Path;

use biomarker::error::Result;
use biomarker::image::Series;
use biomarker::io::nifti::{Image, ReadLimits, read_series};
use libdeflater::{CompressionLvl, Compressor};

/// Byte offsets of header fields of NIfTI-1.
pub(super) mod at {
    pub(crate) const DIM: usize = 40;
    pub(crate) const DATATYPE: usize = 70;
    pub(crate) const BITPIX: usize = 72;
    pub(crate) const PIXDIM: usize = 76;
    pub(crate) const VOX_OFFSET: usize = 108;
    pub(crate) const SCL_SLOPE: usize = 112;
    pub(crate) const SCL_INTER: usize = 116;
    pub(crate) const XYZT_UNITS: usize = 123;
    pub(crate) const QFORM_CODE: usize = 252;
    pub(crate) const SFORM_CODE: usize = 254;
    pub(crate) const QUATERN: usize = 256;
    pub(crate) const QOFFSET: usize = 268;
    pub(crate) const SROW: usize = 280;
    pub(crate) const MAGIC: usize = 344;
    pub(crate) const EXTENDER: usize = 348;
    pub(crate) const VOXELS: usize = 352;
}

/// A file under construction.
#[derive(Clone)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn put(mut self, offset: usize, field: &[u8]) -> Self {
        self.0[offset..offset + field.len()].copy_from_slice(field);
        self
    }

    pub(super) fn i16(self, offset: usize, value: i16) -> Self {
        self.put(offset, &value.to_le_bytes())
    }

    pub(super) fn f32(self, offset: usize, value: f32) -> Self {
        self.put(offset, &value.to_le_bytes())
    }

    pub(super) fn i64(self, offset: usize, value: i64) -> Self {
        self.put(offset, &value.to_le_bytes())
    }

    pub(super) fn dim(self, dim: &[i16]) -> Self {
        dim.iter().enumerate().fold(self, |bytes, (axis, &n)| bytes.i16(at::DIM + 2 * axis, n))
    }

    pub(super) fn codes(self, qform: i16, sform: i16) -> Self {
        self.i16(at::QFORM_CODE, qform).i16(at::SFORM_CODE, sform)
    }

    pub(super) fn typed(self, datatype: i16, bitpix: i16) -> Self {
        self.i16(at::DATATYPE, datatype).i16(at::BITPIX, bitpix)
    }

    pub(super) fn srow(self, entry: usize, value: f32) -> Self {
        self.f32(at::SROW + 4 * entry, value)
    }

    pub(super) fn quatern(self, b: f32, c: f32, d: f32) -> Self {
        self.f32(at::QUATERN, b).f32(at::QUATERN + 4, c).f32(at::QUATERN + 8, d)
    }

    pub(super) fn insert(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.0.splice(offset..offset, bytes.iter().copied());
        self
    }

    pub(super) fn append(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn cut(mut self, length: usize) -> Self {
        self.0.truncate(length);
        self
    }

    pub(super) fn voxels(mut self, bytes: &[u8]) -> Self {
        self.0.truncate(at::VOXELS);
        self.append(bytes)
    }

    pub(super) fn gzip(self) -> Self {
        Self(gzip(&self.0))
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::new(6).unwrap());
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).unwrap();
    out.truncate(length);
    out
}

pub(super) fn stored() -> impl Iterator<Item = i16> {
    (0..24).map(|index| 7 * index - 50)
}

pub(super) fn values() -> Vec<f64> {
    stored().map(f64::from).collect()
}

/// int16, 2 × 3 × 4 voxels of 2 × 2 × 3 mm, first voxel at (−10, 20, −30), sform = qform.
pub(super) fn base() -> Bytes {
    let mut bytes = Bytes(vec![0; at::VOXELS])
        .put(0, &348_i32.to_le_bytes())
        .dim(&[3, 2, 3, 4, 1, 1, 1, 1])
        .typed(4, 16)
        .f32(at::VOX_OFFSET, 352.0)
        .f32(at::SCL_SLOPE, 1.0)
        .put(at::XYZT_UNITS, &[10])
        .codes(1, 1)
        .put(at::MAGIC, b"n+1\0");
    for (k, value) in [1.0, 2.0, 2.0, 3.0, 1.0].into_iter().enumerate() {
        bytes = bytes.f32(at::PIXDIM + 4 * k, value);
    }
    for (k, value) in [-10.0, 20.0, -30.0].into_iter().enumerate() {
        bytes = bytes.f32(at::QOFFSET + 4 * k, value).srow(4 * k + 3, value);
    }
    let bytes = bytes.srow(0, 2.0).srow(5, 2.0).srow(10, 3.0);
    stored().fold(bytes, |bytes, value| bytes.append(&value.to_le_bytes()))
}

/// The same image as NIfTI-2.
pub(super) fn base_2() -> Bytes {
    let mut bytes = Bytes(vec![0; 544])
        .put(0, &540_i32.to_le_bytes())
        .put(4, b"n+2\0\r\n\x1a\n")
        .i16(12, 4)
        .i16(14, 16)
        .i64(168, 544)
        .put(176, &1_f64.to_le_bytes())
        .put(348, &1_i32.to_le_bytes())
        .put(500, &10_i32.to_le_bytes());
    for (axis, n) in [3, 2, 3, 4, 1, 1, 1, 1].into_iter().enumerate() {
        bytes = bytes.i64(16 + 8 * axis, n);
    }
    for (k, value) in [1.0, 2.0, 2.0, 3.0_f64].into_iter().enumerate() {
        bytes = bytes.put(104 + 8 * k, &value.to_le_bytes());
    }
    for (entry, value) in [(0, 2.0), (3, -10.0), (5, 2.0), (7, 20.0), (10, 3.0), (11, -30.0_f64)] {
        bytes = bytes.put(400 + 8 * entry, &value.to_le_bytes());
    }
    stored().fold(bytes, |bytes, value| bytes.append(&value.to_le_bytes()))
}

/// Reverses every field of a NIfTI-1 header and every 16-bit voxel.
pub(super) fn big_endian(bytes: Bytes) -> Bytes {
    let mut swapped = bytes.0;
    let mut reverse = |start: usize, width: usize, count: usize| {
        for field in swapped[start..start + width * count].chunks_exact_mut(width) {
            field.reverse();
        }
    };
    reverse(0, 4, 1);
    reverse(at::DIM, 2, 8);
    reverse(at::DATATYPE, 2, 2);
    reverse(at::PIXDIM, 4, 11);
    reverse(at::QFORM_CODE, 2, 2);
    reverse(at::QUATERN, 4, 18);
    reverse(at::VOXELS, 2, 24);
    Bytes(swapped)
}

/// Reverses every field of a NIfTI-2 header and every 16-bit voxel.
pub(super) fn big_endian_2(bytes: Bytes) -> Bytes {
    let mut swapped = bytes.0;
    for (start, width, count) in
        [(0, 4, 1), (12, 2, 2), (16, 8, 8), (104, 8, 11), (344, 4, 2), (352, 8, 18), (500, 4, 1)]
    {
        for field in swapped[start..start + width * count].chunks_exact_mut(width) {
            field.reverse();
        }
    }
    swapped[544..].chunks_exact_mut(2).for_each(<[u8]>::reverse);
    Bytes(swapped)
}

pub(super) fn extension(size: i32, room: usize) -> Bytes {
    let mut block = vec![0; room];
    block[..4].copy_from_slice(&size.to_le_bytes());
    block[4..8].copy_from_slice(&6_i32.to_le_bytes());
    base()
        .put(at::EXTENDER, &[1])
        .f32(at::VOX_OFFSET, 352.0 + room as f32)
        .insert(at::VOXELS, &block)
}

pub(super) fn write(folder: &Path, name: &str, bytes: &Bytes) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, &bytes.0).unwrap();
    path
}

pub(super) fn read(bytes: &Bytes) -> Result<Image<Series>> {
    let folder = tempfile::tempdir().unwrap();
    read_series(&write(folder.path(), "image.nii", bytes), &ReadLimits::default())
}

pub(super) fn signals(series: &Series) -> Vec<f64> {
    (0..series.n_volumes()).flat_map(|volume| series.volume(volume).into_voxels()).collect()
}

/// Reads `bytes` and checks the values and, where `warning` is not empty, that it is the only one.
#[track_caller]
pub(super) fn reads(bytes: &Bytes, expected: &[f64], warning: &str) -> Image<Series> {
    let read = read(bytes).unwrap_or_else(|error| panic!("{error}"));
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&signals(&read.image)), bits(expected));
    match read.warnings.as_slice() {
        [] => assert_eq!(warning, ""),
        [only] => assert!(!warning.is_empty() && only.contains(warning), "{only}"),
        several => panic!("{several:?}"),
    }
    read
}

/// Checks that `bytes` are refused with `text`, with path, hint and exit code 65.
#[track_caller]
pub(super) fn refuses(bytes: &Bytes, text: &str) {
    let error = read(bytes).map(|read| read.warnings).unwrap_err();
    assert!(error.to_string().contains(text), "{error}");
    assert!(error.path().is_some_and(|path| path.ends_with("image.nii")), "{error}");
    assert_eq!(error.kind().exit_code(), 65, "{error}");
    assert!(error.hint_text().is_some(), "{error} says nothing about what to do");
}
