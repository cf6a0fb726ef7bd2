//! The same bytes: for every number of threads, after a resume, a kill, a filter.
#![expect(clippy::unwrap_used, reason = "tests may panic")]
#![expect(clippy::disallowed_methods, reason = "tests change inputs and outputs")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use biomarker::io::lock;
use tempfile::TempDir;

use super::quick;
use crate::program::{argument, biomarker, command, copy, files, hashes, project};

/// One quick run of the tumours, whose bytes others are held to.
fn tumours() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let ended = quick(folder.path(), "neuroblastoma", &["--output", "output"]);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            folder
        })
        .path()
}

#[test]
fn tumours_are_the_same_bytes_for_one_two_and_three_threads() {
    let folder = tempfile::tempdir().unwrap();
    let expected = hashes(&tumours().join("output"));
    for threads in ["1", "2", "3"] {
        let more = ["--threads", threads, "--output", threads];
        assert_eq!(quick(folder.path(), "neuroblastoma", &more).code, 0);
        assert_eq!(hashes(&folder.path().join(threads)), expected, "{threads} threads");
    }
}

#[test]
fn knees_are_the_same_bytes_for_one_two_and_three_threads() {
    let folder = tempfile::tempdir().unwrap();
    for threads in ["1", "2", "3"] {
        let more = ["--threads", threads, "--output", threads, "--participant-label", "01"];
        assert_eq!(quick(folder.path(), "cartilage", &more).code, 0);
    }
    let one = hashes(&folder.path().join("1"));
    assert!(one.len() > 50);
    assert_eq!(hashes(&folder.path().join("2")), one);
    assert_eq!(hashes(&folder.path().join("3")), one);
}

#[test]
fn a_second_run_measures_nothing_and_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output");
    copy(&tumours().join("output"), &output);
    let ended = quick(folder.path(), "neuroblastoma", &["--output", "output"]);
    assert_eq!(ended.stdout, "0 measured, 6 unchanged, 0 failed: output/index.html\n");
    assert_eq!(hashes(&output), hashes(&tumours().join("output")));
}

#[test]
fn everything_made_afresh_is_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output");
    copy(&tumours().join("output"), &output);
    let ended = quick(folder.path(), "neuroblastoma", &["--output", "output", "--fresh"]);
    assert_eq!(ended.stdout, "6 measured, 0 unchanged, 0 failed: output/index.html\n");
    assert_eq!(hashes(&output), hashes(&tumours().join("output")));
}

#[test]
fn another_input_or_a_lost_output_reruns_that_session_alone() {
    let folder = tempfile::tempdir().unwrap();
    copy(&project("testdata/neuroblastoma"), &folder.path().join("data"));
    copy(&tumours().join("output"), &folder.path().join("output"));
    let here = ["--dataset", "data", "--output", "output"];
    let run = || quick(folder.path(), "neuroblastoma", &here).stdout;
    assert_eq!(run(), "0 measured, 6 unchanged, 0 failed: output/index.html\n");
    let data = folder.path().join("data");
    std::fs::copy(
        data.join("sub-01/dwi/sub-01_dwi.nii.gz"),
        data.join("sub-02/dwi/sub-02_dwi.nii.gz"),
    )
    .unwrap();
    assert_eq!(run(), "1 measured, 5 unchanged, 0 failed: output/index.html\n");
    let bval = data.join("sub-03/dwi/sub-03_dwi.bval");
    let other = std::fs::read_to_string(&bval).unwrap().replace("800", "790");
    std::fs::write(&bval, other).unwrap();
    assert_eq!(run(), "1 measured, 5 unchanged, 0 failed: output/index.html\n");
    let sidecar = data.join("sub-05/dwi/sub-05_dwi.json");
    let other = std::fs::read_to_string(&sidecar).unwrap();
    std::fs::write(&sidecar, other.replace("1.5", "3.0")).unwrap();
    assert_eq!(run(), "1 measured, 5 unchanged, 0 failed: output/index.html\n");
    std::fs::remove_file(folder.path().join("output/sub-04.html")).unwrap();
    assert_eq!(run(), "1 measured, 5 unchanged, 0 failed: output/index.html\n");
}

#[test]
fn a_killed_run_continues_to_the_same_bytes_and_holds_others_off_while_it_lives() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output");
    let pipeline = argument(&project("pipelines/neuroblastoma.toml"));
    let few = "uncertainty.pseudo_experiments=20";
    let arguments = ["run", &pipeline, "--set", few, "--output", "output", "--threads", "1"];
    let mut first = command(folder.path(), &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !output.join("tables/by-session/sub-01/record.json").is_file() {
        assert!(start.elapsed() < Duration::from_mins(1), "no session was ever done");
        std::thread::sleep(Duration::from_millis(2));
    }
    let second = biomarker(folder.path(), &arguments);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.code, 75, "{}", second.stderr);
    assert_eq!(
        second.stderr,
        "error: another run writes to this folder\n  --> output\n   = hint: wait until it has \
         ended, or choose another --output\n"
    );
    assert!(!output.join("manifest.json").exists(), "it ended before it was killed");
    std::fs::write(output.join("sub-02/dwi/.biomarker-Ab12Cd.tmp"), "half").unwrap_or_else(|_| {
        std::fs::write(output.join("tables/.biomarker-Ab12Cd.tmp"), "half").unwrap();
    });
    let third = biomarker(folder.path(), &arguments);
    assert_eq!(third.code, 0, "{}", third.stderr);
    assert!(!third.stdout.starts_with("6 measured"), "nothing was kept: {}", third.stdout);
    assert_eq!(hashes(&output), hashes(&tumours().join("output")));
}

#[test]
fn a_held_output_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _held = lock::acquire(&folder.path().join("output")).unwrap();
    let ended = quick(folder.path(), "neuroblastoma", &["--output", "output"]);
    assert_eq!(ended.code, 75);
    assert_eq!(files(&folder.path().join("output")).len(), 1, "only the lock");
}

#[test]
fn participants_one_by_one_come_to_the_bytes_of_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for label in ["06", "sub-02"] {
        let more = ["--output", "output", "--participant-label", label];
        let ended = quick(folder.path(), "neuroblastoma", &more);
        assert_eq!(ended.stdout, "1 measured, 0 unchanged, 0 failed: output/index.html\n");
    }
    let runs = std::fs::read_to_string(folder.path().join("output/tables/runs.tsv")).unwrap();
    assert_eq!(runs.lines().count(), 3, "{runs}");
    let more = ["--output", "output", "--participant-label", "05", "04", "03", "01"];
    assert_eq!(quick(folder.path(), "neuroblastoma", &more).code, 0);
    let output = folder.path().join("output");
    assert_eq!(hashes(&output), hashes(&tumours().join("output")));
}

#[test]
fn a_session_of_another_plan_stays_out_of_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let here = ["--output", "output", "--participant-label", "01", "02"];
    assert_eq!(quick(folder.path(), "neuroblastoma", &here).code, 0);
    let other = ["--output", "output", "--participant-label", "01", "--set"];
    let other: Vec<&str> = other.into_iter().chain(["gate.maximum_uncertainty=0.2"]).collect();
    assert_eq!(quick(folder.path(), "neuroblastoma", &other).code, 0);
    let output = folder.path().join("output");
    let tumours = std::fs::read_to_string(output.join("tables/tumours.tsv")).unwrap();
    assert!(tumours.contains("sub-01") && !tumours.contains("sub-02"), "{tumours}");
}

#[test]
fn outputs_that_a_changed_plan_no_longer_makes_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(project("pipelines/neuroblastoma.toml")).unwrap();
    let data = argument(&project("testdata/neuroblastoma"));
    let text = text.replace("../testdata/neuroblastoma", &data).replace("= 400", "= 20");
    let pipeline = folder.path().join("p.toml");
    std::fs::write(&pipeline, &text).unwrap();
    let run = ["run", "p.toml", "--output", "output", "--participant-label", "01"];
    assert_eq!(biomarker(folder.path(), &run).code, 0);
    let output = folder.path().join("output");
    let habitats = files(&output).into_keys().filter(|name| name.contains("habitat")).count();
    assert!(habitats > 5);
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("habitat")).collect();
    std::fs::write(&pipeline, without.join("\n")).unwrap();
    assert_eq!(biomarker(folder.path(), &run).code, 0);
    let left: Vec<String> =
        files(&output).into_keys().filter(|name| name.contains("habitat_dseg")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_seed_changes_the_uncertainties_and_nothing_that_is_fitted() {
    let folder = tempfile::tempdir().unwrap();
    let one = ["--participant-label", "01", "--seed"];
    for (seed, output) in [("1", "a"), ("1", "b"), ("2", "c")] {
        let more: Vec<&str> = one.into_iter().chain([seed, "--output", output]).collect();
        assert_eq!(quick(folder.path(), "neuroblastoma", &more).code, 0);
    }
    let [a, b, c] = ["a", "b", "c"].map(|output| hashes(&folder.path().join(output)));
    assert_eq!(a, b);
    for (name, is_same) in [
        ("sub-01/dwi/sub-01_desc-monoexp_ADC.nii.gz", true),
        ("sub-01/dwi/sub-01_desc-monoexpStderr_ADC.nii.gz", true),
        ("sub-01/dwi/sub-01_desc-monoexpU_ADC.nii.gz", false),
        ("sub-01/perf/sub-01_desc-iauc60_mimap.nii.gz", true),
        ("sub-01/perf/sub-01_desc-iauc60U_mimap.nii.gz", false),
    ] {
        assert_eq!(a[name] == c[name], is_same, "{name}");
    }
}

#[test]
fn the_shipped_datasets_are_what_their_commands_make() {
    let folder = tempfile::tempdir().unwrap();
    for (study, seed) in [("neuroblastoma", "20190726"), ("ultramarathon", "20190727")] {
        let ended =
            biomarker(folder.path(), &["simulate", study, "--output", study, "--seed", seed]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let made = hashes(&folder.path().join(study));
        assert!(made.len() > 100, "{study}");
        let shipped = hashes(&project(&format!("testdata/{study}")));
        let names = made.keys().chain(shipped.keys());
        let different: BTreeSet<_> =
            names.filter(|&name| made.get(name) != shipped.get(name)).collect();
        assert!(different.is_empty(), "{study}: {different:?}");
    }
}
