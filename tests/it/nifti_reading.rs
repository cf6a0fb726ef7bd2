//! Real NIfTI files of many makers, read as nibabel reads them; writing and reading back.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use std::path::Path;

use biomarker::error::ErrorKind;
use biomarker::io::nifti::{ReadLimits, read_header, read_series};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::shared_data;

const NIBABEL: &str = include_str!("golden/nifti_nibabel.json");

/// Files that this program refuses, with the reason; nibabel reads those marked so.
const REFUSED: [(&str, &str); 12] = [
    // nibabel reads it: the third axis of its sform is 34° off the right angle.
    ("dwi/dipy/S0_10slices.nii.gz", "is sheared: voxel axes are 34.37° off the right angle"),
    ("nifti_edge/fsl_avg152/avg152T1.hdr.gz", "an Analyze 7.5 header or none at all"),
    ("nifti_edge/nibabel/analyze.hdr", "analyze.img.gz is there"),
    ("nifti_edge/nibabel/nifti1.hdr", "nifti1.img.gz is there"),
    ("nifti_edge/nibabel/nifti2.hdr", "nifti2.img.gz is there"),
    ("nifti_edge/nifti_rs/avg152T1_LR_nifti.hdr.gz", "avg152T1_LR_nifti.img is there"),
    ("nifti_edge/nifti_rs/complex/complex32.nii", "`datatype`: 32 (complex64)"),
    ("nifti_edge/nifti_rs/complex/complex64.nii", "`datatype`: 1792 (complex128)"),
    ("nifti_edge/nifti_rs/rgb/3D.nii", "`datatype`: 128 (RGB24)"),
    ("nifti_edge/nifti_rs/rgb/4D.nii", "`datatype`: 128 (RGB24)"),
    ("nifti_edge/nifti_rs/rgba/4D.nii", "`datatype`: 2304 (RGBA32)"),
    ("nifti_edge/nifti_rs/missing.nii", "no such file or folder"),
];

/// nibabel wants `minimal2.img` beside `minimal2.hdr`; only `minimal2.img.gz` is there.
const OURS_ALONE: &str = "nifti_edge/nifti_rs/minimal2.hdr";

#[test]
fn every_real_file_is_read_as_nibabel_reads_it() {
    let Some(folder) = shared_data::folder("nifti_reading") else { return };
    let table: Value = serde_json::from_str(NIBABEL).unwrap();
    let mut n_read = 0;
    for (name, expected) in table.as_object().unwrap() {
        if REFUSED.iter().any(|(refused, _)| refused == name) || name == OURS_ALONE {
            continue;
        }
        compare(&folder.join(name), expected);
        n_read += 1;
    }
    assert_eq!(n_read, table.as_object().unwrap().len() - 12);
}

fn compare(path: &Path, expected: &Value) {
    let read = read_series(path, &ReadLimits::default()).unwrap_or_else(|error| panic!("{error}"));
    let (series, header) = (&read.image, &read.header);
    let shape: Vec<u64> = expected["shape"].as_array().unwrap().iter().map(number).collect();
    let mut ours = header.shape().map(|n| n as u64).to_vec();
    ours.push(header.n_volumes() as u64);
    let padded: Vec<u64> = shape.iter().copied().chain([1; 4]).take(4).collect();
    assert_eq!(ours, padded, "{}", path.display());
    assert_eq!(header.datatype().name(), expected["datatype"], "{}", path.display());
    for (row, told) in header.affine().matrix().iter().zip(expected["affine"].as_array().unwrap()) {
        for (ours, told) in row.iter().zip(told.as_array().unwrap()) {
            let told = told.as_f64().unwrap();
            // Entries from a quaternion pass through nibabel's extended precision.
            assert!((ours - told).abs() <= 1e-13 * told.abs().max(1.0), "{}", path.display());
        }
    }
    let n = series.grid().n_voxels();
    let mut hash = Sha256::new();
    for volume in 0..series.n_volumes() {
        for voxel in 0..n {
            hash.update(plain(series.signal(voxel, volume)).to_le_bytes());
        }
    }
    for (index, told) in expected["voxels"].as_object().unwrap() {
        let index: usize = index.parse().unwrap();
        let ours = plain(series.signal(index % n, index / n));
        let bits = format!("{:016x}", ours.to_bits());
        assert_eq!(bits, told.as_str().unwrap(), "{} {index}", path.display());
    }
    let digest: Vec<String> = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest.concat(), expected["sha256"], "{}", path.display());
    assert_eq!(read.n_non_finite as u64, number(&expected["non_finite"]), "{}", path.display());
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// The value without the sign of zero and the payload of NaN, as the table hashes it.
fn plain(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { value + 0.0 }
}

#[test]
fn files_that_mean_no_numbers_per_voxel_are_refused_by_name() {
    let Some(folder) = shared_data::folder("nifti_reading") else { return };
    for (name, reason) in REFUSED {
        let path = folder.join(name);
        let error = read_header(&path, &ReadLimits::default()).unwrap_err();
        assert!(error.to_string().contains(reason), "{name}: {error}");
        assert_eq!(error.path(), Some(path.as_path()));
        let missing = reason.contains("is there") || reason.starts_with("no such");
        assert_eq!(error.kind().exit_code(), if missing { 66 } else { 65 }, "{name}");
        assert!(missing || error.hint_text().is_some(), "{name} has no hint");
        assert_eq!(missing, error.kind() == ErrorKind::Missing);
    }
}

#[test]
fn either_file_of_a_pair_names_both_and_compression_may_differ() {
    let Some(folder) = shared_data::folder("nifti_reading") else { return };
    let folder = folder.join("nifti_edge/nifti_rs");
    let limits = ReadLimits::default();
    let single = read_series(&folder.join("minimal.nii"), &limits).unwrap();
    for name in ["minimal.hdr", "minimal.img", "minimal.hdr.gz", "minimal.img.gz", "minimal2.hdr"] {
        let pair = read_series(&folder.join(name), &limits).unwrap();
        assert_eq!(pair.image, single.image, "{name}");
    }
}
