//! `biomarker map` from files to maps for every estimator and choice of samples.
#![expect(clippy::unwrap_used, reason = "tests may panic")]
#![expect(clippy::disallowed_methods, reason = "tests write what the program reads")]

use std::path::Path;

use biomarker::image::{Affine, Grid, Mask, Volume};
use biomarker::io::nifti::{Header, ReadLimits, read_volume, write_mask, write_series_map};
use biomarker::noise::rician;
use biomarker::perfusion::{ArterialInput, Hematocrit, TissueParameters, extended_tofts};
use biomarker::random::StreamKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::biomarker;

const SHAPE: [usize; 3] = [16, 16, 4];
const ECHO_TIMES_S: [f64; 8] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1];
const ECHO_TIMES_MS: &str = "10,20,30,40,50,60,80,100";

/// Writes `series.nii.gz` of one volume per entry of `at`, and nothing else.
fn series(shape: [usize; 3], at: &[f64], signal: impl Fn(usize, usize, f64) -> f64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let affine = Affine::from_spacing([2.0; 3], [0.0; 3]).unwrap();
    let grid = Grid::new(shape, affine).unwrap();
    let volume =
        |(k, &at): (usize, &f64)| Volume::from_fn(grid, |voxel| signal(voxel, k, at) as f32);
    let volumes: Vec<Volume<f32>> = at.iter().enumerate().map(volume).collect();
    let path = folder.path().join("series.nii.gz");
    write_series_map(&path, &volumes, &Header::of_grid(grid), None).unwrap();
    folder
}

/// Maps `series.nii.gz` and gives what the program says.
fn map(folder: &Path, model: &str, options: &[&str]) -> Value {
    let command = ["map", model, "series.nii.gz", "-o", "m", "--json", "-q"];
    let ended = biomarker(folder, &[&command, options].concat());
    assert_eq!(ended.code, 0, "{model} {options:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// All voxels of the map whose name ends so.
fn voxels(folder: &Path, ending: &str) -> Vec<f64> {
    let path = folder.join(format!("m/series_desc-{ending}.nii.gz"));
    read_volume(&path, &ReadLimits::default()).unwrap().image.voxels().to_vec()
}

fn median(folder: &Path, ending: &str) -> f64 {
    let mut values = voxels(folder, ending);
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() < tolerance, "{found} is not {expected}");
}

fn t2_s(voxel: usize) -> f64 {
    0.025 + 5e-5 * (voxel % 500) as f64
}

/// Largest relative distance of the map from the truth.
fn worst(found: &[f64], truth: impl Fn(usize) -> f64) -> f64 {
    let distance = |(voxel, found): (usize, &f64)| (found / truth(voxel) - 1.0).abs();
    found.iter().enumerate().map(distance).fold(0.0, f64::max)
}

/// Maps are stored in single precision.
const STORED: f64 = 1e-6;

#[test]
fn a_spoilt_first_echo_is_left_out() {
    let folder = series(SHAPE, &ECHO_TIMES_S, |voxel, k, time| {
        let spoilt = if k == 0 { 0.8 } else { 1.0 };
        spoilt * 900.0 * (-time / t2_s(voxel)).exp()
    });
    let here = folder.path();
    map(here, "t2", &["--echo-times-ms", ECHO_TIMES_MS]);
    assert!(worst(&voxels(here, "t2_T2map"), t2_s) > 0.01);
    map(here, "t2", &["--echo-times-ms", ECHO_TIMES_MS, "--skip-first-echo"]);
    assert!(worst(&voxels(here, "t2_T2map"), t2_s) < STORED);
}

#[test]
fn echoes_below_the_noise_are_left_out() {
    // From 50 ms on a floor of two noise levels, to which the echoes have decayed before.
    let floor = 20.0;
    let short = |voxel: usize| 0.008 + 2e-6 * (voxel % 500) as f64;
    let signal = |voxel: usize, _: usize, time: f64| {
        let decayed = 900.0 * (-time / short(voxel)).exp();
        if time > 0.045 { floor } else { decayed }
    };
    let folder = series(SHAPE, &ECHO_TIMES_S, signal);
    let here = folder.path();
    let options = ["--echo-times-ms", ECHO_TIMES_MS, "--sigma", "10"];
    map(here, "t2", &options);
    assert!(worst(&voxels(here, "t2_T2map"), short) > 0.01);
    map(here, "t2", &[&options[..], &["--truncate-below-noise"]].concat());
    assert!(worst(&voxels(here, "t2_T2map"), short) < STORED);
}

#[test]
fn an_offset_is_fitted_beside_the_decay() {
    let folder =
        series(SHAPE, &ECHO_TIMES_S, |voxel, _, time| 60.0 + 900.0 * (-time / t2_s(voxel)).exp());
    let here = folder.path();
    map(here, "t2_offset", &["--echo-times-ms", ECHO_TIMES_MS]);
    // Single precision of the images times the condition of the offset.
    assert!(worst(&voxels(here, "t2offset_T2map"), t2_s) < 1e-4);
}

#[test]
fn two_points_are_the_logarithm_of_their_ratio() {
    let adc = |voxel: usize| 0.5e-3 + 2e-6 * (voxel % 900) as f64;
    let folder = series(SHAPE, &[0.0, 800.0], |voxel, _, b| 700.0 * (-b * adc(voxel)).exp());
    let here = folder.path();
    std::fs::write(here.join("series.bval"), "0 800").unwrap();
    map(here, "adc", &["--estimator", "two_point"]);
    assert!(worst(&voxels(here, "adc_ADC"), adc) < STORED);
}

/// Six weightings of one diffusion coefficient with Rician noise, at a signal-to-noise ratio of 6.
fn noisy(sigma: f64) -> TempDir {
    let b_values = [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0];
    let key = StreamKey::new(3, "map command");
    let folder = series([32, 32, 16], &b_values, |voxel, k, b| {
        let amplitude = 6.0 * sigma * (-b * 2e-3).exp();
        rician::draw(amplitude, sigma, &mut key.stream(voxel, k as u32))
    });
    std::fs::write(folder.path().join("series.bval"), "0 200 400 600 800 1000").unwrap();
    folder
}

#[test]
fn rician_maximum_likelihood_takes_the_bias_of_the_floor_away() {
    let folder = noisy(50.0);
    let here = folder.path();
    map(here, "adc", &["--sigma", "50"]);
    let biased = median(here, "adc_ADC");
    assert!(biased < 0.85 * 2e-3, "{biased}");
    let said = map(here, "adc", &["--sigma", "50", "--estimator", "rician_ml"]);
    assert_eq!(said["sigma"], 50.0);
    // The median over 16 384 voxels of SD 40 % is known to 0.4 %; what is left is of second order.
    close(median(here, "adc_ADC"), 2e-3, 0.04);
}

/// Half air, half one bright tissue, five repeats of each of two weightings.
fn repeats(sigma: f64) -> TempDir {
    let b_values = [0.0, 0.0, 0.0, 0.0, 0.0, 500.0, 500.0, 500.0, 500.0, 500.0];
    let key = StreamKey::new(4, "noise of map");
    let folder = series([32, 32, 32], &b_values, |voxel, k, b| {
        let amplitude = if voxel % 32 < 16 { 0.0 } else { 400.0 * (-b * 1e-3).exp() };
        rician::draw(amplitude, sigma, &mut key.stream(voxel, k as u32))
    });
    std::fs::write(folder.path().join("series.bval"), "0 0 0 0 0 500 500 500 500 500").unwrap();
    folder
}

#[test]
fn every_method_finds_the_noise_level() {
    let folder = repeats(10.0);
    let here = folder.path();
    let affine = Affine::from_spacing([2.0; 3], [0.0; 3]).unwrap();
    let grid = Grid::new([32; 3], affine).unwrap();
    let tissue = Mask::new(Volume::from_fn(grid, |voxel| voxel % 32 >= 16));
    write_mask(&here.join("tissue.nii.gz"), &tissue, &Header::of_grid(grid)).unwrap();
    let all = ["auto", "repeat", "residual", "background", "piesno", "wavelet"];
    let all = all.map(|method| vec!["--noise", method]);
    // The edge of the tissue would pass for noise.
    let inside = vec!["--noise", "local_filter", "--mask", "tissue.nii.gz"];
    for method in all.into_iter().chain([inside]) {
        let said = map(here, "adc", &[&method[..], &["--maps", "adc,chisquare"]].concat());
        close(said["sigma"].as_f64().unwrap(), 10.0, 0.03);
        assert!(said["written"].to_string().contains("Chisquare"), "{method:?}");
    }
}

#[test]
fn channels_change_what_pure_noise_looks_like() {
    // The root of the sum of squares of four channels of pure noise.
    let key = StreamKey::new(5, "channels");
    let folder = series([32, 32, 4], &[0.0, 100.0, 200.0, 300.0], |voxel, k, _| {
        let mut stream = key.stream(voxel, k as u32);
        let square = (0..8).map(|_| (7.0 * stream.normal()).powi(2)).sum::<f64>();
        square.sqrt()
    });
    let here = folder.path();
    std::fs::write(here.join("series.bval"), "0 100 200 300").unwrap();
    let said = map(here, "adc", &["--noise", "piesno", "--noise-channels", "4"]);
    close(said["sigma"].as_f64().unwrap(), 7.0, 0.03);
}

#[test]
fn a_method_that_does_not_exist_is_refused() {
    let folder = repeats(10.0);
    let command = ["map", "adc", "series.nii.gz", "-o", "m"];
    for (options, text) in [
        (
            vec!["--noise", "guess"],
            "error: `--noise guess` is not a method\n   = hint: methods: auto, dce_baseline, \
             repeat, residual, background, piesno, wavelet, local_filter\n",
        ),
        (
            vec!["--noise", "piesno", "--noise-channels", "0"],
            "error: `--noise-channels 0` is not between 1 and 128\n",
        ),
        (
            vec!["--noise", "repeat", "--noise-channels", "4"],
            "error: `--noise-channels` belongs to `--noise piesno`\n",
        ),
    ] {
        let ended = biomarker(folder.path(), &[&command[..], &options].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (64, text));
    }
}

const FRAME_S: f64 = 2.0;
const N_FRAMES: usize = 120;
const ARRIVAL_S: f64 = 20.0;

/// Concentration in mM at every frame, from the artery at steps of 0.02 s.
fn concentration(tissue: &TissueParameters) -> Vec<f64> {
    let step_s = 0.02;
    let n = (FRAME_S / step_s) as usize * (N_FRAMES - 1) + 1;
    let times_s: Vec<f64> = (0..n).map(|k| step_s * k as f64).collect();
    let plasma = |&time_s: &f64| match time_s - ARRIVAL_S {
        since_s if since_s > 0.0 => ArterialInput::Parker.plasma(since_s, Hematocrit::DEFAULT),
        _ => 0.0,
    };
    let plasma: Vec<f64> = times_s.iter().map(plasma).collect();
    let mut curve = vec![0.0; n];
    extended_tofts(&times_s, &plasma, tissue, &mut curve).unwrap();
    curve.into_iter().step_by((FRAME_S / step_s) as usize).collect()
}

/// The steady state of a spoiled gradient echo, T10 1.2 s, TR 5 ms, 15 degrees, 4.5 /s/mM.
fn signal(concentration: f64) -> f64 {
    let angle = 15_f64.to_radians();
    let decay = (-0.005 * (1.0 / 1.2 + 4.5 * concentration)).exp();
    2e4 * angle.sin() * (1.0 - decay) / (1.0 - angle.cos() * decay)
}

fn tissue(voxel: usize) -> TissueParameters {
    let [a, b, c] = [voxel % 7, voxel % 5, voxel % 3].map(|step| step as f64);
    TissueParameters { ktrans_per_s: (0.1 + 0.05 * a) / 60.0, ve: 0.2 + 0.08 * b, vp: 0.03 * c }
}

/// Both exchange models find the tissue that made the images.
#[test]
fn exchange_between_plasma_and_tissue_is_recovered() {
    let frames: Vec<f64> = (0..N_FRAMES).map(|k| FRAME_S * k as f64).collect();
    let times: Vec<String> = frames.iter().map(f64::to_string).collect();
    for (model, label) in [("tofts", "tofts"), ("extended_tofts", "extendedtofts")] {
        let of = |voxel: usize| {
            let tissue = tissue(voxel);
            if model == "tofts" { TissueParameters { vp: 0.0, ..tissue } } else { tissue }
        };
        let curves: Vec<Vec<f64>> = (0..105).map(|voxel| concentration(&of(voxel))).collect();
        let folder = series([7, 5, 3], &frames, |voxel, k, _| signal(curves[voxel][k]));
        let here = folder.path();
        std::fs::write(here.join("times.txt"), times.join(" ")).unwrap();
        let timing = ["--frame-times-s", "times.txt", "--arrival-s", "20", "--t10-ms", "1200"];
        let sequence = ["--flip-angles-deg", "15", "--repetition-time-ms", "5"];
        let artery = ["--arterial-input", "parker"];
        let said = map(here, model, &[&timing[..], &sequence, &artery].concat());
        assert_eq!(said["arrival_s"], 20.0);
        let found = |suffix: &str| voxels(here, &format!("{label}_{suffix}"));
        // The program samples the curve of the artery every 0.25 s: 3e-6 of ve.
        let ktrans_per_s = |voxel| of(voxel).ktrans_per_s;
        let far = [worst(&found("Ktransmap"), ktrans_per_s), worst(&found("vemap"), |v| of(v).ve)];
        assert!(far.iter().all(|&far| far < 1e-4), "{model}: {far:?}");
        if model == "extended_tofts" {
            let found = found("vpmap");
            let far = (0..105).map(|voxel| (found[voxel] - of(voxel).vp).abs());
            assert!(far.fold(0.0, f64::max) < 1e-3);
        }
    }
}

/// Angles that are 15 % off make T1 a quarter wrong; the map of the transmit field puts that right.
#[test]
fn a_map_of_the_transmit_field_corrects_the_flip_angles() {
    let (angles_deg, repetition_time_s) = ([2.0, 5.0, 10.0, 15.0, 20.0], 0.005);
    let field = |voxel: usize| 0.85 + 6e-4 * (voxel % 500) as f64;
    let t1_s = |voxel: usize| 0.6 + 2e-3 * (voxel % 500) as f64;
    let folder = series(SHAPE, &angles_deg, |voxel, _, degrees| {
        let angle = (field(voxel) * degrees).to_radians();
        let e = (-repetition_time_s / t1_s(voxel)).exp();
        1e4 * angle.sin() * (1.0 - e) / (1.0 - e * angle.cos())
    });
    let here = folder.path();
    let grid = Grid::new(SHAPE, Affine::from_spacing([2.0; 3], [0.0; 3]).unwrap()).unwrap();
    let write = |name: &str, factor: f64| {
        let map = Volume::from_fn(grid, |voxel| (factor * field(voxel)) as f32);
        write_series_map(&here.join(name), &[map], &Header::of_grid(grid), None).unwrap();
    };
    write("b1.nii.gz", 1.0);
    write("percent.nii.gz", 100.0);
    let options = ["--flip-angles-deg", "2,5,10,15,20", "--repetition-time-ms", "5"];
    map(here, "t1_vfa", &options);
    assert!(worst(&voxels(here, "t1vfa_T1map"), t1_s) > 0.2);
    map(here, "t1_vfa", &[&options[..], &["--b1-map", "b1.nii.gz"]].concat());
    // Single precision of images and field, twice the relative error of the angle.
    assert!(worst(&voxels(here, "t1vfa_T1map"), t1_s) < 1e-4);
    let command = ["map", "t1_vfa", "series.nii.gz", "-o", "m", "-q"];
    let field = ["--b1-map", "percent.nii.gz"];
    let wrong = biomarker(here, &[&command[..], &options, &field].concat());
    assert_eq!(wrong.code, 65, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("percent is divided by 100"), "{}", wrong.stderr);
}
