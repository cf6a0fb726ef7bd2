//! Malformed and odd NIfTI files: each reads to the exact values or refuses with a pinned text.
//!
//! The readable ones were compared with nibabel 5.4.2, which reads the same values and affines.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]
#![expect(clippy::disallowed_methods, reason = "tests write the files they read")]
#![expect(clippy::cast_lossless, reason = "one macro covers every width")]

mod bytes;
mod gzip;

use biomarker::io::nifti::{
    AffineSource, ReadLimits, read_header, read_labels, read_mask, read_series, read_volume,
};
use proptest::prelude::*;

use bytes::{
    Bytes, at, base, base_2, big_endian, big_endian_2, extension, read, reads, refuses, signals,
    values, write,
};

#[test]
fn both_versions_and_byte_orders_read_the_same() {
    let plain = reads(&base(), &values(), "");
    for bytes in [big_endian(base()), base_2(), big_endian_2(base_2())] {
        let other = reads(&bytes, &values(), "");
        assert_eq!(other.image.grid(), plain.image.grid());
    }
}

#[test]
fn every_numeric_type_reads_its_extremes() {
    macro_rules! check {
        ($datatype:expr, $type:ty) => {
            let extremes = [<$type>::MIN, <$type>::MAX, 1 as $type];
            let bytes: Vec<u8> = extremes.iter().flat_map(|value| value.to_le_bytes()).collect();
            let file =
                base().dim(&[1, 3]).typed($datatype, 8 * size_of::<$type>() as i16).voxels(&bytes);
            let warning = if size_of::<$type>() == 8 && (<$type>::MAX as f64) < 1e300 {
                "1 whole numbers above 2^53 are rounded"
            } else {
                ""
            };
            reads(&file, &extremes.map(|value| value as f64), warning);
        };
    }
    check!(2, u8);
    check!(256, i8);
    check!(512, u16);
    check!(4, i16);
    check!(768, u32);
    check!(8, i32);
    check!(1280, u64);
    check!(1024, i64);
    check!(16, f32);
    check!(64, f64);
}

#[test]
fn a_header_that_is_not_nifti_is_refused() {
    refuses(&base().put(0, b"junk"), "`sizeof_hdr`: 1802401130 is neither 348");
    refuses(&Bytes(vec![0; 1000]), "`sizeof_hdr`: 0 is neither 348 (NIfTI-1) nor 540 (NIfTI-2)");
    refuses(&base().put(at::MAGIC, &[0; 4]), "`magic`: \"\\x00\\x00\\x00\\x00\" is neither");
    refuses(&base().put(at::MAGIC, b"n+3\0"), "`magic`: \"n+3\\x00\" is neither");
    refuses(&base().put(at::MAGIC, b"ni1\0"), "`magic`: says that the voxels are in another file");
    refuses(&base_2().put(8, b"\n\n\x1a\n"), "`magic`: \"n+2\\x00\\n\\n\\x1a\\n\" is neither");
}

#[test]
fn impossible_sizes_are_refused_before_memory_is_taken() {
    refuses(&base().dim(&[0]), "`dim[0]`: 0 axes are not between 1 and 7");
    refuses(&base().dim(&[8]), "`dim[0]`: 8 axes");
    refuses(&base().dim(&[-1]), "`dim[0]`: -1 axes");
    refuses(&base().dim(&[3, 2, 0, 4]), "`dim[2]`: 0 voxels: every axis in use");
    refuses(&base().dim(&[3, 2, -5, 4]), "`dim[2]`: -5 voxels");
    refuses(&base().dim(&[3, -1, -1, -1]), "`dim[1]`: -1 voxels");
    refuses(&base().dim(&[3, 32767, 32767, 32767]), "need more than the limit of 8589934592 bytes");
    refuses(&base().dim(&[3, 32767, 32767, 32767]).gzip(), "more than the limit of 8589934592");
    refuses(&base().dim(&[3, 200, 200, 200]), "from byte 352 on need 15999952 more");
    refuses(&base().dim(&[5, 2, 3, 2, 1, 2]), "`dim[5]`: 2 is not 1");
    for huge in [i64::MAX, 1 << 62, 1 << 32] {
        let bytes = [24, 32, 40].iter().fold(base_2(), |bytes, &axis| bytes.i64(axis, huge));
        refuses(&bytes, "need more than the limit of 8589934592 bytes");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "image.nii", &base());
    let small = |max_bytes| read_header(&path, &ReadLimits { max_bytes }).unwrap_err().to_string();
    assert!(small(399).contains("the file holds 400 bytes, more than the limit of 399"));
    let path = write(folder.path(), "zeros.nii", &base().dim(&[3, 100, 100, 100]).gzip());
    let error = read_header(&path, &ReadLimits { max_bytes: 1_999_999 }).unwrap_err();
    assert!(error.to_string().contains("need more than the limit of 1999999 bytes"), "{error}");
    let padded = base().f32(at::VOX_OFFSET, 1e6 + 352.0).insert(at::VOXELS, &vec![0; 1_000_000]);
    let path = write(folder.path(), "padded.nii", &padded.gzip());
    let error = read_header(&path, &ReadLimits { max_bytes: 1_000_000 }).unwrap_err();
    assert!(error.to_string().contains("from byte 1000352 on need more than"), "{error}");
}

#[test]
fn axes_beyond_the_rank_mean_nothing_and_single_ones_after_time_are_read() {
    reads(&base().dim(&[3, 2, 3, 4, -9, 0, 77, -1]), &values(), "");
    let series = reads(&base().dim(&[5, 2, 3, 1, 4, 1]), &values(), "");
    assert_eq!((series.header.shape(), series.header.n_volumes()), ([2, 3, 1], 4));
    assert_eq!(reads(&base().dim(&[7, 2, 3, 4, 1, 1, 1, 1]), &values(), "").image.n_volumes(), 1);
    assert_eq!(reads(&base().dim(&[2, 4, 6]), &values(), "").header.shape(), [4, 6, 1]);
    assert_eq!(reads(&base().dim(&[1, 24]), &values(), "").header.shape(), [24, 1, 1]);
}

#[test]
fn types_that_are_no_real_numbers_and_wrong_widths_are_refused() {
    for (code, name) in [
        (0, "unknown"),
        (1, "unknown"),
        (3, "unknown"),
        (-4, "unknown"),
        (32, "complex64"),
        (128, "RGB24"),
        (1536, "float128"),
        (1792, "complex128"),
        (2048, "complex256"),
        (2304, "RGBA32"),
    ] {
        refuses(&base().typed(code, 16), &format!("`datatype`: {code} ({name}) is not a real"));
    }
    for bits in [0, 8, 15, 32, -16] {
        let text = format!("`bitpix`: {bits} is not the 16 bits of `datatype` 4 (int16)");
        refuses(&base().i16(at::BITPIX, bits), &text);
    }
}

#[test]
fn voxels_begin_where_vox_offset_says() {
    let padding = vec![0xff; 1024 - 352];
    let padded = base().f32(at::VOX_OFFSET, 1024.0).insert(at::VOXELS, &padding);
    reads(&padded, &values(), "");
    reads(&padded.gzip(), &values(), "");
    reads(&base().f32(at::VOX_OFFSET, 353.0).insert(at::VOXELS, &[0]), &values(), "");
    for wrong in [0.0, 16.0, 351.0, 352.5, -352.0, f32::NAN, f32::INFINITY] {
        refuses(&base().f32(at::VOX_OFFSET, wrong), "is not a whole number of bytes from 352 on");
        let gzipped = base().f32(at::VOX_OFFSET, wrong).gzip();
        refuses(&gzipped, "is not a whole number of bytes from 352 on");
    }
    refuses(&base().f32(at::VOX_OFFSET, 353.0), "from byte 353 on need 1 more");
    refuses(&base().f32(at::VOX_OFFSET, 1e9), "from byte 1000000000 on need");
    refuses(&base().f32(at::VOX_OFFSET, 1e9).gzip(), "gzipped bytes cannot hold");
    refuses(&base().f32(at::VOX_OFFSET, f32::MAX), "`vox_offset`: 3402823");
    for wrong in [0, 352, 543, -1, i64::MIN] {
        refuses(&base_2().i64(168, wrong), "is not a whole number of bytes from 544 on");
    }
    refuses(&base_2().i64(168, i64::MAX), "on need more than the limit of 8589934592 bytes");
}

#[test]
fn header_extensions_are_skipped_only_where_their_chain_holds() {
    reads(&extension(16, 16), &values(), "");
    reads(&extension(64, 64).gzip(), &values(), "");
    reads(&extension(80, 80), &values(), "");
    reads(&base().put(at::EXTENDER, &[1]), &values(), "");
    for size in [8, -8, 20, i32::MAX, i32::MIN, 0, 15, 48] {
        let text = format!("`extension.esize`: {size} is not a multiple of 16");
        refuses(&extension(size, 32), &text);
        refuses(&extension(size, 32).gzip(), &text);
    }
    let chain = extension(16, 48).put(at::VOXELS + 16, &7_i32.to_le_bytes());
    refuses(&chain, "`extension.esize`: 7 is not a multiple of 16 from 16 to the 32 bytes");
}

#[test]
fn scaling_is_applied_in_double_precision_or_not_at_all() {
    let slope = f64::from(0.1_f32);
    let scaled: Vec<f64> = values().iter().map(|value| value * slope - 3.0).collect();
    reads(&base().f32(at::SCL_SLOPE, 0.1).f32(at::SCL_INTER, -3.0), &scaled, "");
    let negative: Vec<f64> = values().iter().map(|value| value * -2.0 + 0.0).collect();
    reads(&base().f32(at::SCL_SLOPE, -2.0), &negative, "");
    for (slope, intercept) in
        [(0.0, 0.0), (0.0, 5.0), (-0.0, 1.0), (f32::NAN, f32::NAN), (f32::INFINITY, 2.0)]
    {
        let bytes = base().f32(at::SCL_SLOPE, slope).f32(at::SCL_INTER, intercept);
        let text = format!("scl_slope {slope} means no scaling");
        reads(&bytes, &values(), &text);
    }
    for intercept in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let text = format!("`scl_inter`: {intercept} is not finite");
        refuses(&base().f32(at::SCL_INTER, intercept), &text);
    }
}

#[test]
fn values_that_are_not_finite_are_counted_and_kept() {
    let stored = [1.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5];
    let bytes: Vec<u8> = stored.iter().flat_map(|value| value.to_le_bytes()).collect();
    let read = read(&base().dim(&[1, 5]).typed(16, 32).voxels(&bytes)).unwrap();
    assert_eq!(read.n_non_finite, 3);
    assert_eq!(read.warnings, ["3 values are not finite"]);
    let values = signals(&read.image);
    assert!(values[1].is_nan() && values[2] > 0.0 && values[3] < 0.0);
    assert_eq!([values[0], values[4]].map(f64::to_bits), [1.5, -0.5].map(f64::to_bits));
    let huge: Vec<u8> = [1e300, 1.0_f64].iter().flat_map(|value| value.to_le_bytes()).collect();
    let file = base().dim(&[1, 2]).typed(64, 64).f32(at::SCL_SLOPE, 1e20).voxels(&huge);
    assert_eq!(self::read(&file).unwrap().n_non_finite, 1, "1e300 · 1e20 overflows");
}

fn matrix(bytes: &Bytes, warning: &str) -> ([[f64; 4]; 3], AffineSource) {
    let read = reads(bytes, &values(), warning);
    (*read.header.affine().matrix(), read.header.affine_source())
}

#[test]
fn sform_goes_before_qform_before_voxel_sizes() {
    let diagonal =
        |x: f64, z: f64| [[x, 0.0, 0.0, -10.0], [0.0, 2.0, 0.0, 20.0], [0.0, 0.0, z, -30.0]];
    assert_eq!(matrix(&base(), ""), (diagonal(2.0, 3.0), AffineSource::Sform));
    let both = base().srow(0, -2.0);
    let text = "sform and qform differ by 4.000 mm and 180.000°";
    assert_eq!(matrix(&both, text), (diagonal(-2.0, 3.0), AffineSource::Sform));
    assert_eq!(matrix(&both.clone().codes(0, 2), "").0, diagonal(-2.0, 3.0));
    let qform = |code| both.clone().codes(code, 0);
    assert_eq!(matrix(&qform(1), ""), (diagonal(2.0, 3.0), AffineSource::Qform));
    assert_eq!(matrix(&qform(3).f32(at::PIXDIM, 0.0), "").0, diagonal(2.0, 3.0));
    assert_eq!(matrix(&qform(3).f32(at::PIXDIM, -1.0), "").0, diagonal(2.0, -3.0));
    let text = "pixdim[0] (qfac) 5 is neither 1 nor -1";
    assert_eq!(matrix(&qform(1).f32(at::PIXDIM, 5.0), text).0, diagonal(2.0, 3.0));
    let text = "pixdim[1] -2 is taken without its sign";
    assert_eq!(matrix(&qform(1).f32(at::PIXDIM + 4, -2.0), text).0, diagonal(2.0, 3.0));
    let text = "sform_code 77 is no code from 0 to 5";
    assert_eq!(matrix(&both.clone().codes(1, 77), text).0, diagonal(2.0, 3.0));
    let text = "qform_code and sform_code are 0: place and orientation in the scanner are unknown";
    let centred = [[-2.0, 0.0, 0.0, 1.0], [0.0, 2.0, 0.0, -2.0], [0.0, 0.0, 3.0, -4.5]];
    assert_eq!(matrix(&base().codes(0, 0), text), (centred, AffineSource::Pixdim));
}

#[test]
fn a_quaternion_turns_the_axes() {
    let half = 0.5_f32.sqrt();
    let (turned, _) = matrix(&base().codes(1, 0).quatern(0.0, 0.0, half), "");
    let expected = [[0.0, -2.0, 0.0, -10.0], [2.0, 0.0, 0.0, 20.0], [0.0, 0.0, 3.0, -30.0]];
    for (found, told) in turned.as_flattened().iter().zip(expected.as_flattened()) {
        assert!((found - told).abs() < 3e-7, "{turned:?}");
    }
    // b² + c² + d² above 1 by the rounding of three floats still is half a turn.
    let (turned, _) = matrix(&base().codes(1, 0).quatern(1.0 + f32::EPSILON, 0.0, 0.0), "");
    assert!((turned[1][1] + 2.0).abs() < 1e-12 && (turned[2][2] + 3.0).abs() < 1e-12);
}

#[test]
fn disagreeing_transforms_are_told() {
    let moved = |mm: f32| base().srow(3, -10.0 + mm);
    matrix(&moved(0.09), "");
    matrix(&moved(0.11), "sform and qform differ by 0.110 mm and 0.000°, more than 0.1 mm or 0.1°");
    let turned = |degrees: f32| base().quatern(0.0, 0.0, (degrees.to_radians() / 2.0).sin());
    matrix(&turned(0.09), "");
    matrix(&turned(0.11), "0.110°, more than 0.1 mm or 0.1°; sform is used");
    matrix(&base().quatern(1.0, 1.0, 0.0), "qform is ignored, sform is used: `quatern`: [1, 1, 0]");
    let text = "pixdim[2] 7 is not the 2.0000 mm of the sform";
    matrix(&base().codes(0, 1).f32(at::PIXDIM + 8, 7.0), text);
}

#[test]
fn unusable_transforms_are_refused() {
    refuses(&base().srow(5, f32::NAN), "`srow_y`: [0.0, NaN, 0.0, 20.0] is not finite");
    refuses(&base().srow(11, f32::INFINITY), "`srow_z`: [0.0, 0.0, 3.0, inf] is not finite");
    refuses(&base().srow(10, 0.0), "is singular: its voxel axes span no volume");
    refuses(&base().srow(0, 0.0).srow(5, 0.0).srow(10, 0.0), "`sform`: [[0.0, 0.0, 0.0, -10.0]");
    refuses(&base().srow(1, 0.01), "is sheared: voxel axes are 0.29° off the right angle");
    reads(&base().srow(1, 0.003), &values(), "");
    let qform = base().codes(1, 0);
    refuses(&qform.clone().quatern(1.0, 1.0, 0.0), "`quatern`: [1, 1, 0] is no rotation");
    refuses(&qform.clone().quatern(0.0, f32::NAN, 0.0), "`quatern`: [0.0, NaN, 0.0] is not finite");
    refuses(&qform.clone().f32(at::QOFFSET, f32::NAN), "`qoffset`: [NaN, 20.0, -30.0] is not");
    refuses(&qform.clone().f32(at::PIXDIM + 8, 0.0), "`pixdim[2]`: 0 is no voxel size in mm");
    refuses(&qform.f32(at::PIXDIM + 8, f32::NAN), "`pixdim[2]`: NaN is no voxel size in mm");
    refuses(&base().codes(0, 0).f32(at::PIXDIM + 12, 0.0), "`pixdim[3]`: 0 is no voxel size");
}

#[test]
fn lengths_in_other_units_are_refused() {
    for units in [0, 2, 8, 10, 18] {
        reads(&base().put(at::XYZT_UNITS, &[units]), &values(), "");
    }
    reads(&base().put(at::XYZT_UNITS, &[5]), &values(), "xyzt_units: 5 is no unit of length");
    refuses(&base().put(at::XYZT_UNITS, &[9]), "`xyzt_units`: 9 means lengths in metres");
    refuses(&base().put(at::XYZT_UNITS, &[11]), "`xyzt_units`: 11 means lengths in micrometres");
}

#[test]
fn what_is_not_there_or_no_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_header(folder.path(), &ReadLimits::default()).unwrap_err();
    assert!(error.to_string().ends_with(": a folder, not a NIfTI file"), "{error}");
    assert_eq!(error.kind().exit_code(), 65);
    for name in ["absent.nii", "absent.hdr", "deep/absent.nii.gz"] {
        let error = read_header(&folder.path().join(name), &ReadLimits::default()).unwrap_err();
        assert!(error.to_string().ends_with(": no such file or folder"), "{error}");
        assert_eq!(error.kind().exit_code(), 66);
    }
}

#[test]
fn pairs_are_read_from_either_name() {
    let folder = tempfile::tempdir().unwrap();
    let header = base().put(at::MAGIC, b"ni1\0").f32(at::VOX_OFFSET, 0.0).cut(348);
    let voxels = Bytes(base().0[at::VOXELS..].to_vec());
    for (name, header, voxels) in [
        ("a", header.clone(), voxels.clone()),
        ("b", header.clone().gzip(), voxels.clone()),
        ("c", header.clone().append(&[0; 4]), voxels.clone().gzip()),
        ("d", header.clone().f32(at::VOX_OFFSET, 16.0), voxels.clone().insert(0, &[9; 16])),
    ] {
        for path in [
            write(folder.path(), &format!("{name}.hdr"), &header),
            write(folder.path(), &format!("{name}.img"), &voxels),
        ] {
            let read = read_series(&path, &ReadLimits::default()).unwrap();
            assert_eq!(signals(&read.image), values(), "{}", path.display());
        }
    }
    let refused = |name: &str, header: &Bytes, text: &str| {
        write(folder.path(), &format!("{name}.img"), &voxels);
        let path = write(folder.path(), &format!("{name}.hdr"), header);
        let error = read_series(&path, &ReadLimits::default()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    };
    refused("single", &base(), "`magic`: says that header and voxels are one file");
    refused("analyze", &header.clone().put(at::MAGIC, &[0; 4]), "an Analyze 7.5 header or none");
    refused("long", &header.clone().dim(&[3, 2, 3, 5]), "the file holds 48 bytes, but [2, 3, 5]");
    let extended = header.append(&[1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0]);
    refused("extended", &extended, "`extension.esize`: 12 is not a multiple of 16");
}

fn labels_of(values: &[f32]) -> Bytes {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    base().dim(&[1, values.len() as i16]).typed(16, 32).voxels(&bytes)
}

#[test]
fn labels_are_whole_and_masks_are_binary_and_not_empty() {
    let folder = tempfile::tempdir().unwrap();
    let limits = ReadLimits::default();
    let labels = |values: &[f32]| {
        let path = write(folder.path(), "labels.nii", &labels_of(values));
        read_labels(&path, &limits).map(|read| read.image.into_voxels())
    };
    assert_eq!(labels(&[0.0, 3.0, -0.0, 65536.0]).unwrap(), [0, 3, 0, 65536]);
    for value in [0.5, -1.0, f32::NAN, f32::INFINITY, 4_294_967_296.0] {
        let error = labels(&[0.0, 1.0, value]).unwrap_err();
        let value = f64::from(value);
        let text = format!("voxel [2, 0, 0] holds {value}, but labels are whole numbers from 0 on");
        assert_eq!(error.message(), text);
        assert_eq!(error.kind().exit_code(), 65);
    }
    let mask = |values: &[f32]| {
        let path = write(folder.path(), "mask.nii", &labels_of(values));
        read_mask(&path, &limits)
    };
    assert_eq!(mask(&[0.0, 1.0, 1.0]).unwrap().image.indices(), [1, 2]);
    let read = mask(&[255.0, 0.0]).unwrap();
    assert_eq!(read.image.indices(), [0]);
    assert_eq!(read.warnings, ["the mask holds 0 and 255; 255 is taken as inside"]);
    let error = mask(&[0.0, 0.0]).unwrap_err();
    assert_eq!(error.message(), "the mask is empty: every voxel is 0");
    let error = mask(&[0.0, 2.0, 3.0]).unwrap_err();
    assert!(error.message().ends_with("this one holds 2 and 3"), "{error}");
}

#[test]
fn a_volume_is_one_volume() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "series.nii", &base().dim(&[4, 2, 3, 2, 2]));
    let error = read_volume(&path, &ReadLimits::default()).unwrap_err();
    assert!(error.to_string().contains("`dim[4]`: 2 volumes, but one 3-D image is needed"));
    let path = write(folder.path(), "single.nii", &base().dim(&[4, 2, 3, 4, 1]));
    let read = read_volume(&path, &ReadLimits::default()).unwrap();
    assert_eq!(read.image.into_voxels(), values());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_header_bytes_brings_the_reader_down(
        changes in prop::collection::vec((0_usize..352, any::<u8>()), 1..8),
        version_2 in any::<bool>(),
        gzipped in any::<bool>(),
    ) {
        let mut bytes = if version_2 { base_2() } else { base() };
        for (offset, value) in changes {
            bytes.0[offset] = value;
        }
        let bytes = if gzipped { bytes.gzip() } else { bytes };
        match read(&bytes) {
            Ok(read) => {
                let n = read.header.shape().iter().product::<usize>() * read.header.n_volumes();
                prop_assert_eq!(signals(&read.image).len(), n);
            }
            Err(error) => prop_assert_eq!(error.kind().exit_code(), 65),
        }
    }

    #[test]
    fn no_heap_of_bytes_brings_the_reader_down(
        mut bytes in prop::collection::vec(any::<u8>(), 0..900),
        start in prop::sample::select(vec![&b""[..], &[0x1f, 0x8b, 8], &[92, 1, 0, 0], &[0, 0, 2, 28]]),
    ) {
        let n = start.len().min(bytes.len());
        bytes[..n].copy_from_slice(&start[..n]);
        prop_assert!(read(&Bytes(bytes)).is_err());
    }
}
