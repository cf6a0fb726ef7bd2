//! What is written is read back the same, stands in the same place, and carries no words of the input.
#![expect(clippy::unwrap_used, reason = "tests may panic")]
#![expect(clippy::disallowed_methods, reason = "tests look at the bytes of files")]

use std::path::{Path, PathBuf};

use biomarker::image::{Affine, Grid, Mask, Samples, Scaling, Series, Volume};
use biomarker::io::nifti::{
    AffineSource, Datatype, Header, ReadLimits, Version, read_header, read_labels, read_mask,
    read_series, read_volume, write_codes, write_labels, write_map, write_mask,
    write_scanner_series, write_series_map,
};
use proptest::prelude::*;

const LIMITS: ReadLimits = ReadLimits { max_bytes: 1 << 24 };

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn grid() -> Grid {
    let affine = Affine::from_spacing([-0.5, 2.0, 3.0], [10.0, -20.0, 5.5]).unwrap();
    Grid::new([3, 2, 2], affine).unwrap()
}

fn ramp(grid: Grid) -> Volume<f32> {
    Volume::from_fn(grid, |index| index as f32 * 0.1 - 0.3)
}

/// Writes a header of `grid` as a file and returns its bytes for changes, plain NIfTI-1.
fn reference_bytes(folder: &Path) -> Vec<u8> {
    let path = folder.join("reference.nii");
    write_map(&path, &ramp(grid()), &Header::of_grid(grid()), [0.0, 1.0]).unwrap();
    std::fs::read(path).unwrap()
}

fn reference(folder: &Path, bytes: &[u8]) -> Header {
    let path = folder.join("changed.nii");
    std::fs::write(&path, bytes).unwrap();
    read_header(&path, &LIMITS).unwrap()
}

fn written(folder: &Path, reference: &Header) -> Vec<u8> {
    let path = folder.join("output.nii");
    write_map(&path, &ramp(*reference.grid()), reference, [-1.0, 2.5]).unwrap();
    std::fs::read(path).unwrap()
}

fn i16_at(bytes: &[u8], offset: usize) -> i16 {
    i16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

fn f32_at(bytes: &[u8], offset: usize) -> f32 {
    f32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_map_has_the_header_that_viewers_need() {
    let folder = folder();
    let bytes = written(folder.path(), &Header::of_grid(grid()));
    assert_eq!(bytes.len(), 352 + 4 * 12);
    let dim: Vec<i16> = (0..8).map(|axis| i16_at(&bytes, 40 + 2 * axis)).collect();
    assert_eq!(dim, [3, 3, 2, 2, 1, 1, 1, 1]);
    assert_eq!((i16_at(&bytes, 70), i16_at(&bytes, 72)), (16, 32));
    assert_eq!(bits(&[f32_at(&bytes, 108), f32_at(&bytes, 112)]), bits(&[352.0, 1.0]));
    assert_eq!(bits(&[f32_at(&bytes, 124), f32_at(&bytes, 128)]), bits(&[2.5, -1.0]));
    assert_eq!(bytes[123], 2, "lengths in mm, no time");
    assert_eq!((i16_at(&bytes, 252), i16_at(&bytes, 254)), (1, 1));
    assert_eq!(&bytes[344..352], b"n+1\0\0\0\0\0");
}

#[test]
fn place_is_copied_bit_for_bit_and_words_are_not() {
    let folder = folder();
    let mut bytes = reference_bytes(folder.path());
    for (start, end) in [(4, 38), (56, 70), (148, 252), (328, 344)] {
        bytes[start..end].fill(b'Z');
    }
    bytes[122] = b'Z';
    bytes[252..256].copy_from_slice(&[3, 0, 4, 0]);
    // A sform that is off by the last bit of one entry, as after a conversion.
    let moved = f32_at(&bytes, 292).next_up();
    bytes[292..296].copy_from_slice(&moved.to_le_bytes());
    let mut extension = b"ZZZZZZZZZZZZZZZZ".to_vec();
    extension[..8].copy_from_slice(&[16, 0, 0, 0, 6, 0, 0, 0]);
    bytes[348] = 1;
    bytes[108..112].copy_from_slice(&368_f32.to_le_bytes());
    bytes.splice(352..352, extension);
    let output = written(folder.path(), &reference(folder.path(), &bytes));
    assert_eq!(output[252..328], bytes[252..328], "codes, quaternion, offsets, sform");
    assert_eq!(output[76..92], bytes[76..92], "qfac and voxel sizes");
    assert!(!output[..352].contains(&b'Z'));
    assert_eq!(output[348..352], [0; 4]);
}

#[test]
fn the_transform_that_lacks_is_derived() {
    let folder = folder();
    let bytes = reference_bytes(folder.path());
    for (codes, source, expected) in [
        ([0, 2], AffineSource::Sform, (2, 2)),
        ([3, 0], AffineSource::Qform, (3, 3)),
        ([0, 0], AffineSource::Pixdim, (2, 2)),
    ] {
        let mut changed = bytes.clone();
        changed[252] = codes[0];
        changed[254] = codes[1];
        let absent = if codes[0] == 0 { 256..280 } else { 280..328 };
        changed[absent].fill(0xff);
        let header = reference(folder.path(), &changed);
        assert_eq!(header.affine_source(), source);
        let mut output = written(folder.path(), &header);
        assert_eq!((i16_at(&output, 252), i16_at(&output, 254)), expected);
        let by_sform = reference(folder.path(), &output);
        output[254] = 0;
        let by_qform = reference(folder.path(), &output);
        assert_eq!(by_qform.affine_source(), AffineSource::Qform);
        assert!(by_sform.warnings().is_empty(), "{:?}", by_sform.warnings());
        for other in [by_sform, by_qform] {
            let distance = header.grid().corner_distance_mm(other.grid()).unwrap();
            assert!(distance < 1e-5, "{distance} mm");
        }
    }
}

#[test]
fn a_nifti_2_reference_keeps_its_double_precision() {
    let folder = folder();
    let third = 1.0 / 3.0;
    let affine = Affine::from_spacing([third, 0.1, 0.7], [1e-9 + 12.3, 0.0, 0.0]).unwrap();
    let long = Grid::new([40_000, 1, 1], affine).unwrap();
    let header = Header::of_grid(long);
    assert_eq!(header.version(), Version::Nifti2);
    let path = folder.path().join("long.nii.gz");
    write_map(&path, &ramp(long), &header, [0.0, 0.0]).unwrap();
    let read = read_series(&path, &LIMITS).unwrap();
    assert_eq!(read.header.version(), Version::Nifti2);
    assert_eq!(read.header.affine(), &affine, "every bit");
    assert_eq!(read.image.samples(), &Samples::Single(ramp(long).into_voxels()));
}

#[test]
fn labels_take_the_smallest_type_and_masks_are_zero_and_one() {
    let folder = folder();
    let path = folder.path().join("labels.nii.gz");
    let header = Header::of_grid(grid());
    for (largest, datatype) in [
        (255, Datatype::Uint8),
        (256, Datatype::Uint16),
        (65_535, Datatype::Uint16),
        (65_536, Datatype::Uint32),
        (u32::MAX, Datatype::Uint32),
    ] {
        let labels = Volume::from_fn(grid(), |index| largest - index as u32);
        write_labels(&path, &labels, &header).unwrap();
        let read = read_labels(&path, &LIMITS).unwrap();
        assert_eq!(read.header.datatype(), datatype);
        assert_eq!(read.image.voxels(), labels.voxels());
    }
    let codes = Volume::from_fn(grid(), |index| index as u8);
    write_codes(&path, &codes, &header).unwrap();
    let read = read_volume(&path, &LIMITS).unwrap();
    assert_eq!(read.image, codes.map(|&code| f64::from(code)));
    let mask = Mask::from_indices(grid(), &[2, 7]).unwrap();
    write_mask(&path, &mask, &header).unwrap();
    assert_eq!(read_mask(&path, &LIMITS).unwrap().image, mask);
}

#[test]
fn series_keep_their_order_and_time_step() {
    let folder = folder();
    let path = folder.path().join("series.nii");
    let header = Header::of_grid(grid());
    let volumes: Vec<Volume<f32>> =
        (0..3).map(|k| ramp(grid()).map(|value| value + k as f32)).collect();
    write_series_map(&path, &volumes, &header, Some(2.5)).unwrap();
    let read = read_series(&path, &LIMITS).unwrap();
    assert_eq!(read.header.time_step_s(), Some(2.5));
    let stored: Vec<f32> = volumes.iter().flat_map(Volume::voxels).copied().collect();
    assert_eq!(read.image.samples(), &Samples::Single(stored));
    write_series_map(&path, &volumes, &header, None).unwrap();
    assert_eq!(read_header(&path, &LIMITS).unwrap().time_step_s(), None);
}

#[test]
fn scanner_series_are_16_bit_with_one_slope() {
    let folder = folder();
    let path = folder.path().join("scanner.nii.gz");
    let write = |signals: Vec<f64>| {
        let series = Series::from_signals(grid(), signals).unwrap();
        write_scanner_series(&path, &series, Some(0.5))
            .map(|()| read_series(&path, &LIMITS).unwrap())
    };
    let whole: Vec<f64> = (0..24).map(|index| f64::from(index) * 1000.0 - 7.0).collect();
    let read = write(whole.clone()).unwrap();
    assert_eq!((read.header.datatype(), read.header.n_volumes()), (Datatype::Int16, 2));
    assert_eq!(read.header.scaling(), Scaling::IDENTITY);
    let signals =
        |series: &Series| [series.volume(0), series.volume(1)].map(Volume::into_voxels).concat();
    assert_eq!(signals(&read.image), whole);
    let real: Vec<f64> = (0..24).map(|index| (f64::from(index) * 0.7).sin() * 1.234e-4).collect();
    let read = write(real.clone()).unwrap();
    let largest = real.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    for (found, told) in signals(&read.image).iter().zip(&real) {
        assert!((found - told).abs() <= 0.5001 * largest / 32_767.0);
    }
    assert!(write(vec![0.0; 24]).is_ok(), "nothing but zeros has slope 1");
    assert!(write(vec![f64::NAN; 24]).is_err());
    assert!(write(vec![1e300; 24]).unwrap_err().message().contains("need a slope beyond 32 bits"));
}

#[test]
fn outputs_that_would_mislead_are_refused() {
    let folder = folder();
    let header = Header::of_grid(grid());
    let refused = |path: PathBuf, map: &Volume<f32>, window| {
        let error = write_map(&path, map, &header, window).unwrap_err();
        assert!(!path.exists());
        error.to_string()
    };
    let map = ramp(grid());
    for name in ["map", "map.img", "map.gz", "map.nii.bz2", "mapnii"] {
        let text = refused(folder.path().join(name), &map, [0.0, 1.0]);
        assert!(text.ends_with(": the name of an image must end in .nii or .nii.gz"), "{text}");
    }
    let path = folder.path().join("map.nii");
    for window in [[1.0, 0.0], [f64::NAN, 1.0], [0.0, f64::INFINITY]] {
        assert!(refused(path.clone(), &map, window).contains("`window`: window ["));
    }
    let moved = Affine::from_spacing([-0.5, 2.0, 3.0], [10.1, -20.0, 5.5]).unwrap();
    let elsewhere = ramp(Grid::new([3, 2, 2], moved).unwrap());
    assert!(refused(path.clone(), &elsewhere, [0.0, 1.0]).contains("0.1000 mm apart"));
    assert!(write_series_map(&path, &[], &header, None).is_err());
    assert!(write_series_map(&path, &[map.clone(), elsewhere], &header, None).is_err());
    assert!(write_series_map(&path, &[map], &header, Some(0.0)).is_err());
}

#[test]
fn a_dot_in_the_name_names_no_other_file() {
    let folder = folder();
    for name in ["x.v1.nii", "adc_b0.0-b800.5.nii", ".nii.gz", "a.nii.nii.gz"] {
        let path = folder.path().join(name);
        write_map(&path, &ramp(grid()), &Header::of_grid(grid()), [0.0, 1.0]).unwrap();
        assert!(read_volume(&path, &LIMITS).is_ok(), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
}

/// Any orthogonal placement of a small grid.
fn grids() -> impl Strategy<Value = Grid> {
    let shape = prop::array::uniform3(1_usize..6);
    let quaternion = prop::array::uniform4(-1.0_f64..1.0);
    let spacing = prop::array::uniform3(0.1_f64..10.0);
    let origin = prop::array::uniform3(-500.0_f64..500.0);
    (shape, quaternion, spacing, origin, any::<bool>()).prop_filter_map(
        "a rotation",
        |(shape, q, spacing, origin, left_handed)| {
            let norm = q.iter().map(|v| v * v).sum::<f64>().sqrt();
            if norm < 0.1 {
                return None;
            }
            let [w, x, y, z] = q.map(|v| v / norm);
            let hand = if left_handed { -1.0 } else { 1.0 };
            let columns = [
                [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)],
                [2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)],
                [2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)]
                    .map(|v| v * hand),
            ];
            let row = |r: usize| {
                let entry = |c: usize| columns[c][r] * spacing[c];
                [entry(0), entry(1), entry(2), origin[r]]
            };
            Grid::new(shape, Affine::new([row(0), row(1), row(2)]).ok()?).ok()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_written_is_read_and_written_again_the_same(
        grid in grids(),
        seed in any::<u32>(),
        gzipped in any::<bool>(),
    ) {
        let folder = folder();
        let name = |stem: &str| folder.path().join(format!("{stem}.nii{}", if gzipped { ".gz" } else { "" }));
        // All bit patterns of single precision: subnormal numbers, infinities and NaN too.
        let map = Volume::from_fn(grid, |index| {
            f32::from_bits((index as u32).wrapping_add(seed).wrapping_mul(2_654_435_761))
        });
        write_map(&name("first"), &map, &Header::of_grid(grid), [0.0, 1.0]).unwrap();
        let read = read_series(&name("first"), &LIMITS).unwrap();
        prop_assert!(read.image.grid().require_same(&grid).is_ok());
        let non_finite = map.voxels().iter().filter(|value| !value.is_finite()).count();
        prop_assert_eq!(read.n_non_finite, non_finite);
        prop_assert!(read.header.warnings().is_empty(), "{:?}", read.header.warnings());
        let Samples::Single(values) = read.image.samples().clone() else {
            return Err(TestCaseError::fail("float32 must stay single"));
        };
        prop_assert_eq!(bits(&values), bits(map.voxels()));
        let again = Volume::new(*read.header.grid(), values).unwrap();
        write_map(&name("second"), &again, &read.header, [0.0, 1.0]).unwrap();
        prop_assert_eq!(std::fs::read(name("first")).unwrap(), std::fs::read(name("second")).unwrap());
    }

    #[test]
    fn the_derived_quaternion_places_voxels_where_the_sform_does(grid in grids()) {
        let folder = folder();
        let mut bytes = written(folder.path(), &Header::of_grid(grid));
        bytes[254] = 0;
        let header = reference(folder.path(), &bytes);
        prop_assert_eq!(header.affine_source(), AffineSource::Qform);
        // Single precision of offsets up to 500 mm, and of b, c and d: the file leaves out
        // a = √(1 − b² − c² − d²), which near half a turn loses all but half of the digits.
        let part = |at: usize| {
            f64::from(f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).powi(2)
        };
        let a = (1.0 - part(256) - part(260) - part(264)).max(0.0).sqrt();
        let turned = (1.2e-7 / a).min(7e-4);
        let spacing = grid.affine().spacing_mm();
        let extent: f64 = (0..3).map(|axis| spacing[axis] * grid.shape()[axis] as f64).sum();
        let distance = header.grid().corner_distance_mm(&grid).unwrap();
        prop_assert!(distance < 1e-3 + extent * turned, "{} mm", distance);
    }

    #[test]
    fn labels_come_back_whatever_they_are(
        labels in prop::collection::vec(any::<u32>(), 12),
        shift in 0_u32..32,
    ) {
        let folder = folder();
        let path = folder.path().join("labels.nii.gz");
        let labels: Vec<u32> = labels.into_iter().map(|label| label >> shift).collect();
        let volume = Volume::new(grid(), labels.clone()).unwrap();
        write_labels(&path, &volume, &Header::of_grid(grid())).unwrap();
        prop_assert_eq!(read_labels(&path, &LIMITS).unwrap().image.into_voxels(), labels);
    }
}
