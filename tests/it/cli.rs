//! What the program says when something is wrong: a file in, the exact text and exit code out.
#![expect(clippy::unwrap_used, reason = "tests may panic")]
#![expect(clippy::disallowed_methods, reason = "tests write the files that are refused")]

use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use biomarker::cli::command_names;
use biomarker::image::{Affine, Grid, Mask, Volume};
use biomarker::io::nifti::{Header, write_map, write_mask};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{argument, biomarker, command, copy, files, project};

/// A folder with one diffusion series, `dwi.nii.gz` with its `.bval`.
fn series() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for end in ["nii.gz", "bval"] {
        let from = project(&format!("testdata/neuroblastoma/sub-01/dwi/sub-01_dwi.{end}"));
        std::fs::copy(from, folder.path().join(format!("dwi.{end}"))).unwrap();
    }
    folder
}

/// The program refuses with this code and this text, and says nothing on stdout.
fn refused(folder: &Path, arguments: &[&str], code: i32, text: &str) {
    let ended = biomarker(folder, arguments);
    assert_eq!(ended.stderr, text, "{arguments:?}");
    assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{arguments:?}");
}

/// As [`refused`], with the TOML in `p.toml`.
fn refused_pipeline(toml: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.toml"), toml).unwrap();
    refused(folder.path(), &["check", "p.toml"], 78, text);
    refused(folder.path(), &["run", "p.toml"], 78, text);
}

#[test]
fn everything_wrong_with_a_pipeline_comes_at_once_with_its_place() {
    refused_pipeline(
        r#"[study]
dataset = "data"
name = "a/b"
sed = 3
[gate]
maximum_uncertanty = 0.5
[noise]
sigma = "high"
[[fit]]
model = "adcc"
series = { datatype = "dwi" }
estimator = "nlss"
b_min_s_per_mm2 = nan
[fit.acquisition]
echo_times_ms = [0.01, 0.02]
repetition_time_ms = inf
[[fit]]
model = "t2"
series = { suffix = "MESE" }
[fit.gate]
range_ms = [3, 1]
maximum_uncertainty = -1
[fit.uncertainty]
pseudo_experiments = 3
[cohort]
kind = "tumors"
"#,
        r#"error: `study.name`: must be letters, digits, `-` and `_` only: it names a folder
  --> p.toml:3:8
error: `study.sed`: unknown key
  --> p.toml:4:1
   = hint: did you mean `seed`?
error: `gate.maximum_uncertanty`: unknown key
  --> p.toml:6:1
   = hint: did you mean `maximum_uncertainty`?
error: `noise.sigma`: a number is needed, not the string "high"
  --> p.toml:8:9
error: `fit[0].model`: `adcc` is not one of adc, ivim, kurtosis, t2, t2_offset, t2_epg, t1_vfa, tofts, extended_tofts, iauc60
  --> p.toml:10:9
   = hint: did you mean `adc`?
error: `fit[0].series.suffix`: is missing
  --> p.toml:11:10
   = hint: name the BIDS suffix, as in suffix = "dwi"
error: `fit[0].estimator`: `nlss` is not one of nlls, rician_ml, segmented, iwlls, wlls, lls, two_point, general
  --> p.toml:12:13
   = hint: did you mean `nlls`?
error: `fit[0].b_min_s_per_mm2`: NaN is not a finite number
  --> p.toml:13:19
error: `fit[0].acquisition.echo_times_ms[0]`: 0.01 is not between 1 and 500
  --> p.toml:15:18
   = hint: looks like seconds; write ms
error: `fit[0].acquisition.repetition_time_ms`: inf is not a finite number
  --> p.toml:16:22
error: `fit[1].gate.range_ms`: [3.0, 1.0] must be two rising numbers
  --> p.toml:21:12
error: `fit[1].gate.maximum_uncertainty`: -1 is not between 0.000001 and 1000000
  --> p.toml:22:23
error: `fit[1].uncertainty.pseudo_experiments`: 3 is neither 0 nor 20 to 1000000
  --> p.toml:24:22
error: `cohort.kind`: `tumors` is not one of tumours, knees
  --> p.toml:26:8
   = hint: did you mean `tumours`?
14 errors
"#,
    );
}

#[test]
fn a_pipeline_that_is_no_toml_or_does_nothing_is_refused() {
    refused_pipeline("a = 1\nb = = 2", "error: extra `=`, expected nothing\n  --> p.toml:2:5\n");
    refused_pipeline(
        "",
        "error: `fit`: nothing to do: neither `[[fit]]` nor `[thickness]`\n  --> p.toml\nerror: \
         `study`: no data: neither `dataset` nor `[[input]]`\n  --> p.toml\n2 errors\n",
    );
    refused_pipeline(
        "[[fit]]\nmodel = \"adc\"\n[[input]]\nparticipant = \"1\"\nfit = \"acd\"\nseries = \"x\"\n",
        "error: `input[0].fit`: nothing is called `acd`\n  --> p.toml:5:7\n   = hint: one of adc\n",
    );
    refused_pipeline(
        "[study]\ndataset = \"d\"\n[gate]\nrange_ms = [1, 2]\n[[fit]]\nmodel = \"adc\"\n",
        "error: `gate.range_ms`: unknown key\n  --> p.toml:4:1\n   = hint: known here: \
         maximum_uncertainty, minimum_r_squared, minimum_stability, range_mm2_per_s, reading, relative_to\n",
    );
}

#[test]
fn a_default_that_two_fits_take_is_refused_once_where_it_stands() {
    refused_pipeline(
        "[study]\ndataset = \"d\"\n[uncertainty]\npseudo_experiments = 3\n[[fit]]\nname = \"a\"\n\
         model = \"adc\"\n[[fit]]\nname = \"b\"\nmodel = \"adc\"\n",
        "error: `uncertainty.pseudo_experiments`: 3 is neither 0 nor 20 to 1000000\n  --> \
         p.toml:4:22\n",
    );
}

#[test]
fn data_that_are_not_there_have_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let fit = "[[fit]]\nmodel = \"adc\"\nseries = { suffix = \"dwi\" }\n";
    std::fs::write(here.join("p.toml"), format!("[study]\ndataset = \"data\"\n{fit}")).unwrap();
    let missing = "error: no such file or folder\n  --> data\n";
    refused(here, &["run", "p.toml"], 66, missing);
    refused(here, &["run", "q.toml"], 66, "error: no such file or folder\n  --> q.toml\n");
    std::fs::create_dir(here.join("data")).unwrap();
    let not_bids = "error: no such file or folder\n  --> data/dataset_description.json\n   = hint: \
                    a BIDS dataset has a dataset_description.json: {\"Name\": \"…\", \
                    \"BIDSVersion\": \"1.10.0\"}\n";
    refused(here, &["run", "p.toml"], 16, not_bids);
    refused(here, &["inspect", "data"], 16, not_bids);
    copy(&project("testdata/neuroblastoma/sub-01"), &here.join("data/sub-01"));
    let description = project("testdata/neuroblastoma/dataset_description.json");
    std::fs::copy(description, here.join("data/dataset_description.json")).unwrap();
    refused(
        here,
        &["run", "p.toml", "--participant-label", "99"],
        18,
        "error: there is no participant `sub-99`\n  --> data\n   = hint: found: sub-01\n",
    );
    refused(
        here,
        &["run", "p.toml", "--session-label", "pre"],
        18,
        "error: no participant has session ses-pre\n  --> data\n   = hint: none was found\n",
    );
    let ended = biomarker(here, &["check", "p.toml", "--max-memory", "10k"]);
    assert_eq!(ended.code, 65);
    assert_eq!(
        ended.stderr,
        "error: the file holds 100939 bytes, more than the limit of 10240\n  --> \
         data/sub-01/dwi/sub-01_dwi.nii.gz\n   = hint: raise `--max-memory` when the file is meant \
         to be that large\n"
    );
    let ended = biomarker(here, &["check", "p.toml", "--max-memory", "1M"]);
    assert!(ended.stderr.contains("more than --max-memory"), "{}", ended.stderr);
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    let folder = series();
    let here = folder.path();
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["run"],
        &["run", "p.toml", "--frob"],
        &["map", "adc"],
        &["models", "--threads", "x"],
        &["run", "p.toml", "--max-memory", "8X"],
        &["simulate", "adc"],
    ] {
        let ended = biomarker(here, arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""), "{arguments:?}");
        assert!(
            ended.stderr.contains("Usage:") || ended.stderr.contains("--help"),
            "{arguments:?}"
        );
    }
    let mut from_environment = command(here, &["models"]);
    from_environment.env("BIOMARKER_THREADS", "many");
    assert_eq!(from_environment.output().unwrap().status.code(), Some(64));
    let map = |option: &'static str, value: &'static str| {
        vec!["map", "adc", "dwi.nii.gz", "-o", "m", option, value]
    };
    for (arguments, text) in [
        (
            vec!["models", "adcx"],
            "`adcx` is not a model
   = hint: one of adc, ivim, kurtosis, t2, t2_offset, t2_epg, t1_vfa, tofts, \
             extended_tofts, iauc60",
        ),
        (
            vec!["simulate", "x", "-o", "m"],
            "`x` cannot be simulated\n   = hint: one of neuroblastoma, ultramarathon, adc, t2, \
             t1_vfa, iauc60",
        ),
        (vec!["models", "--threads", "0"], "`--threads 0` is not between 1 and 1024"),
        (
            vec!["run", "p.toml", "--set", "gate"],
            "`--set gate`: there is no `=`\n   = hint: write --set gate.maximum_uncertainty=0.2",
        ),
        (map("--sigma", "-1"), "`--sigma -1` is not a positive number"),
        (map("--b-min", "-5"), "`--b-min -5` is not between 0 and 5000"),
        (map("--uncertainty", "5"), "`--uncertainty 5` is neither 0 nor at least 20"),
        (map("--relaxivity", "nan"), "`--relaxivity NaN` is not between 0.1 and 100"),
        (map("--t10-ms", "1.2"), "`--t10-ms 1.2` is not between 5 and 10000 ms"),
        (
            map("--echo-times-ms", "0.01,0.02"),
            "`--echo-times-ms 0.01` is not between 1 and 500\n   = hint: looks like seconds; write ms",
        ),
    ] {
        if arguments[0] == "run" {
            std::fs::write(here.join("p.toml"), "").unwrap();
        }
        refused(here, &arguments, 64, &format!("error: {text}\n"));
    }
}

#[test]
fn hostile_images_are_refused_by_every_command_that_reads_them() {
    let folder = series();
    let here = folder.path();
    let whole = std::fs::read(here.join("dwi.nii.gz")).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let mut header = vec![0_u8; 400];
    header[..4].copy_from_slice(&348_i32.to_le_bytes());
    header[344..348].copy_from_slice(b"n+1\0");
    let mut huge = header.clone();
    for (place, value) in [(40, 4_i16), (42, 32767), (44, 32767), (46, 32767), (48, 7), (70, 16)] {
        huge[place..place + 2].copy_from_slice(&value.to_le_bytes());
    }
    huge[72..74].copy_from_slice(&32_i16.to_le_bytes());
    huge[108..112].copy_from_slice(&352_f32.to_le_bytes());
    for (bytes, expected) in [
        (&whole[..whole.len() / 2], "gzip stream ends early: the file is truncated"),
        (&flipped, "gzip"),
        (b"", ""),
        (b"not an image at all, but long enough to hold a header".as_slice(), ""),
        (&header, "`dim[0]`: 0 axes are not between 1 and 7"),
        (&huge, "more than the limit of 8589934592"),
    ] {
        std::fs::write(here.join("dwi.nii.gz"), bytes).unwrap();
        for arguments in [
            &["inspect", "dwi.nii.gz"][..],
            &["map", "adc", "dwi.nii.gz", "-o", "m"],
            &["thickness", "dwi.nii.gz", "--cartilage", "1", "-o", "m"],
        ] {
            let ended = biomarker(here, arguments);
            assert_eq!(ended.code, 65, "{arguments:?} {}", ended.stderr);
            assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
            // A label image is refused by its shape before its voxels are read.
            let is_first = arguments[0] != "thickness" || expected.starts_with('`');
            assert!(!is_first || ended.stderr.contains(expected), "{expected}: {}", ended.stderr);
            assert!(ended.stderr.contains("\n  --> dwi.nii.gz\n"), "{}", ended.stderr);
            assert!(!here.join("m").exists(), "something was written");
        }
    }
}

#[test]
fn series_and_what_was_played_out_must_agree() {
    let folder = series();
    let here = folder.path();
    let map = ["map", "adc", "dwi.nii.gz", "-o", "m"];
    std::fs::write(here.join("dwi.bval"), "0 500 1000").unwrap();
    refused(
        here,
        &map,
        65,
        "error: `b_values`: 3 values but 7 volumes were found\n  --> dwi.nii.gz\n   = hint: one \
         value per volume is needed\n",
    );
    std::fs::write(here.join("dwi.bval"), "0 500 x 1000").unwrap();
    refused(
        here,
        &map,
        65,
        "error: `x` is not a number\n  --> dwi.bval:1:7\n   = hint: numbers have a decimal point and \
         stand apart by spaces, tabs or commas\n",
    );
    std::fs::write(here.join("dwi.bval"), "0 0 -500 1000").unwrap();
    refused(
        here,
        &map,
        65,
        "error: b-value -500 is not between 0 and 5000 s/mm²\n  --> dwi.bval:1:5\n   = hint: \
         b-values are in s/mm²; a value in s/m² must be divided by 1e6\n",
    );
    std::fs::remove_file(here.join("dwi.bval")).unwrap();
    refused(
        here,
        &map,
        65,
        "error: no b-values: there is no `.bval` file beside the image\n  --> dwi.nii.gz\n   = hint: \
         give --bval FILE or b_values_s_per_mm2\n",
    );
    for echo in [1, 2] {
        std::fs::copy(here.join("dwi.nii.gz"), here.join(format!("e{echo}.nii.gz"))).unwrap();
        let text = format!("{{\"EchoTime\": {}}}", 10 * echo);
        std::fs::write(here.join(format!("e{echo}.json")), text).unwrap();
    }
    refused(
        here,
        &["map", "t2", "e1.nii.gz", "e2.nii.gz", "-o", "m"],
        65,
        "error: `EchoTime`: value 10 is not between 0.001 and 0.5 seconds\n  --> e1.json\n   = hint: \
         10 looks like milliseconds: write 0.01, BIDS uses seconds\n",
    );
    refused(
        here,
        &["map", "t2", "e1.nii.gz", "e2.nii.gz", "-o", "m", "--echo-times-ms", "10,20,30"],
        65,
        "error: `echo_times_ms`: 3 values but 2 echoes were found\n  --> e1.nii.gz\n   = hint: leave \
         it out to take EchoTime from the sidecars\n",
    );
}

#[test]
fn echo_times_of_a_pipeline_are_counted_against_the_echoes_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = argument(&project("testdata/ultramarathon"));
    let text = format!(
        "[study]\ndataset = \"{data}\"\n[[fit]]\nmodel = \"t2\"\n\
         series = {{ suffix = \"MESE\", acq = \"rightknee\" }}\n\
         [fit.acquisition]\necho_times_ms = [10, 20, 30, 40, 50, 60, 70, 80]\n"
    );
    std::fs::write(folder.path().join("p.toml"), text).unwrap();
    let one = ["--participant-label", "01", "--session-label", "pre"];
    let arguments: Vec<&str> = ["check", "p.toml"].into_iter().chain(one).collect();
    let ended = biomarker(folder.path(), &arguments);
    assert_eq!(ended.code, 65);
    assert_eq!(
        ended.stderr,
        format!(
            "error: `acquisition.echo_times_ms`: 8 values but 6 files were found\n  --> \
             {data}/sub-01/ses-pre\n   = hint: delete it to take EchoTime from the sidecars\n"
        )
    );
}

#[test]
fn masks_and_maps_must_fit_the_series() {
    let folder = series();
    let here = folder.path();
    let series = biomarker::io::nifti::read_header(
        &here.join("dwi.nii.gz"),
        &biomarker::io::nifti::ReadLimits::default(),
    );
    let header = series.unwrap();
    let grid = *header.grid();
    let empty = Volume::from_fn(grid, |_| 0_u8);
    biomarker::io::nifti::write_codes(&here.join("empty.nii.gz"), &empty, &header).unwrap();
    let other = Grid::new([4, 5, 6], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
    write_mask(&here.join("other.nii.gz"), &Mask::full(other), &Header::of_grid(other)).unwrap();
    let mask = |name: &'static str| vec!["map", "adc", "dwi.nii.gz", "-o", "m", "--mask", name];
    refused(
        here,
        &mask("empty.nii.gz"),
        65,
        "error: the mask is empty: every voxel is 0\n  --> empty.nii.gz\n   = hint: check that the \
         mask was drawn on this image and saved\n",
    );
    refused(
        here,
        &mask("other.nii.gz"),
        65,
        "error: `mask`: shape [4, 5, 6] is not the expected [40, 40, 10]\n  --> other.nii.gz\n   = \
         hint: draw the mask on the grid of the series\n",
    );
    let data = project("testdata/neuroblastoma/sub-01/perf");
    copy(&data, here);
    let dce = "sub-01_dce.nii.gz";
    let t10 = Volume::from_fn(grid, |_| 1600.0_f32);
    write_map(&here.join("t10.nii.gz"), &t10, &header, [0.0, 1.0]).unwrap();
    refused(
        here,
        &["map", "iauc60", dce, "-o", "m", "--t10-ms", "t10.nii.gz"],
        65,
        "error: T10 up to 1600 looks like milliseconds\n  --> t10.nii.gz\n   = hint: BIDS T1map is \
         in seconds: divide the map by 1000\n",
    );
    refused(
        here,
        &["map", "iauc60", dce, "-o", "m"],
        65,
        "error: `--t10-ms`: T1 before contrast is needed for concentrations\n   = hint: give a value \
         in ms, or a map in s: biomarker map t1_vfa makes one\n",
    );
    refused(
        here,
        &["map", "iauc60", dce, "-o", "m", "--t10-ms", "1200", "--arrival-s", "-3"],
        65,
        "error: `arrival_s`: arrival -3 s is not between the frames at 0 s and 127 s\n  --> \
         sub-01_dce.nii.gz\n",
    );
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let ended = biomarker(folder, arguments);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn every_json_result_is_json_alone() {
    let folder = series();
    let here = folder.path();
    let models = json(here, &["models", "--json"]);
    let names: Vec<&str> =
        models.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    let expected = [
        "adc",
        "ivim",
        "kurtosis",
        "t2",
        "t2_offset",
        "t2_epg",
        "t1_vfa",
        "tofts",
        "extended_tofts",
        "iauc60",
    ];
    assert_eq!(names, expected);
    assert_eq!(json(here, &["models", "adc", "--json"])[0]["parameters"][0]["suffix"], "ADC");
    let data = argument(&project("testdata/neuroblastoma"));
    assert_eq!(json(here, &["inspect", &data, "--json"])["participants"], 6);
    let image = json(here, &["inspect", "dwi.nii.gz", "--json"]);
    assert_eq!((&image["shape"], &image["volumes"]), (&serde_json::json!([40, 40, 10]), &7.into()));
    let map = json(here, &["map", "adc", "dwi.nii.gz", "-o", "m", "--json"]);
    assert_eq!(map["voxels"], 16_000);
    let pipeline = argument(&project("pipelines/neuroblastoma.toml"));
    assert_eq!(json(here, &["check", &pipeline, "--json"])["series"], 12);
    let one = ["--participant-label", "01", "--set", "uncertainty.pseudo_experiments=20"];
    let arguments: Vec<&str> =
        ["run", &pipeline, "--json", "--output", "o"].into_iter().chain(one).collect();
    assert_eq!(json(here, &arguments)["done"], serde_json::json!(["sub-01"]));
    assert_eq!(json(here, &arguments)["cached"], serde_json::json!(["sub-01"]));
}

#[test]
fn models_are_described_for_people() {
    let ended = biomarker(Path::new("."), &["models", "t2"]);
    assert_eq!(ended.code, 0);
    for part in ["S0 * exp(-TE / T2)", "doi:", "transverse_relaxation_time [s]", "T2map"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let lines = biomarker(Path::new("."), &["models"]).stdout;
    assert_eq!(lines.lines().count(), 10);
}

#[test]
fn quiet_is_silent_on_stderr() {
    let folder = series();
    let here = folder.path();
    let map = ["map", "adc", "dwi.nii.gz", "-o", "m", "--quiet"];
    assert_eq!(biomarker(here, &map).stderr, "");
    let pipeline = argument(&project("pipelines/neuroblastoma.toml"));
    let few = "uncertainty.pseudo_experiments=20";
    let run = ["run", &pipeline, "-q", "--output", "o", "--participant-label", "01", "--set", few];
    let ended = biomarker(here, &run);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(biomarker(here, &["simulate", "adc", "-o", "s", "-q"]).stderr, "");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [&["models"][..], &["models", "adc"], &["--help"], &["models", "--json"]] {
        let mut child = command(Path::new("."), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

/// A file system of a few hundred kilobytes, where the tests may mount one.
#[cfg(target_os = "linux")]
struct SmallDisk(TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_at_once_and_leaves_nothing_half_written() {
    let Some(disk) = SmallDisk::mount("300k") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED a_full_disk…: this user may not mount");
        return;
    };
    let here = disk.0.path();
    let dwi = argument(&project("testdata/neuroblastoma/sub-01/dwi/sub-01_dwi.nii.gz"));
    let pipeline = argument(&project("pipelines/neuroblastoma.toml"));
    let run = ["run", &pipeline, "-o", "o", "--set", "uncertainty.pseudo_experiments=20"];
    let run = run.map(|argument| if argument == "-o" { "--output" } else { argument });
    let ended = biomarker(here, &run);
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    let error = &ended.stderr[ended.stderr.find("error: ").unwrap()..];
    assert!(error.starts_with("error: No space left on device (os error 28)\n  --> o/"), "{error}");
    assert!(!ended.stderr.contains("[6/6]"), "it went on: {}", ended.stderr);
    for (name, path) in crate::program::files(here) {
        assert!(!name.contains(".biomarker-"), "{name}");
        if name.ends_with(".nii.gz") {
            let limits = biomarker::io::nifti::ReadLimits::default();
            assert!(biomarker::io::nifti::read_series(&path, &limits).is_ok(), "{name}");
        }
    }
    let ended = biomarker(here, &["map", "adc", &dwi, "-o", "m"]);
    assert_eq!(ended.code, 74, "{}", ended.stderr);
}

#[test]
fn an_output_that_cannot_be_made_ends_with_73() {
    let folder = series();
    let here = folder.path();
    std::fs::write(here.join("file"), "").unwrap();
    let text = "error: Not a directory (os error 20)\n  --> file/m\n";
    refused(here, &["map", "adc", "dwi.nii.gz", "-q", "-o", "file/m"], 73, text);
    let pipeline = argument(&project("pipelines/neuroblastoma.toml"));
    let run = ["run", &pipeline, "--output", "file/o"];
    refused(here, &run, 73, "error: Not a directory (os error 20)\n  --> file/o/logs\n");
}

#[test]
fn shells_and_man_learn_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = biomarker(folder.path(), &["completions", shell]);
        assert_eq!(script.code, 0, "{}", script.stderr);
        for name in command_names() {
            assert!(script.stdout.contains(&name), "{shell} {name}");
        }
    }
    let pages = biomarker(folder.path(), &["man", "--output", "man"]);
    assert_eq!(pages.code, 0, "{}", pages.stderr);
    let written = files(&folder.path().join("man"));
    assert!(written.contains_key("biomarker.1"));
    for name in command_names() {
        let page = std::fs::read_to_string(&written[&format!("biomarker-{name}.1")]).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(&name), "{name}");
    }
}
