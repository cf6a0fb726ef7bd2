//! Faults inside a study, and what no output may hold.
#![expect(clippy::unwrap_used, reason = "tests may panic")]
#![expect(clippy::disallowed_methods, reason = "tests break inputs and read outputs")]

use std::path::Path;

use biomarker::io::parquet;
use biomarker::io::text_table::TextTable;
use biomarker::table::{SCHEMAS, Table, Values};

use super::{CARTILAGE, NEUROBLASTOMA, quick};
use crate::program::{argument, biomarker, copy, files, hashes, number, project, rows};

fn parquet_tables(output: &Path) -> Vec<(String, Table)> {
    let mut tables = Vec::new();
    for (name, path) in files(output) {
        if !name.ends_with(".parquet") {
            continue;
        }
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_voxels = name.starts_with("tables/voxels/");
        let wanted = if is_voxels { "voxels" } else { stem.as_str() };
        let schema = SCHEMAS.iter().find(|schema| schema.name == wanted).unwrap();
        tables.push((name, parquet::read(&path, schema).unwrap()));
    }
    tables
}

#[test]
fn no_table_holds_a_number_that_is_not_finite() {
    for run in [&NEUROBLASTOMA, &CARTILAGE] {
        let tables = parquet_tables(&run.output());
        assert!(tables.len() > 40);
        for (name, table) in &tables {
            for (index, column) in table.columns().iter().enumerate() {
                let finite = match column {
                    Values::Real(values) => values.iter().flatten().all(|value| value.is_finite()),
                    Values::Single(values) => values.iter().flatten().all(|v| v.is_finite()),
                    _ => true,
                };
                assert!(finite, "{name}: {}", table.schema().columns[index].name);
            }
        }
    }
}

/// Every cell of a TSV is that of the Parquet table, numbers to the last bit.
#[test]
fn both_forms_of_a_table_say_the_same() {
    let mut n_numbers = 0;
    for run in [&NEUROBLASTOMA, &CARTILAGE] {
        let output = run.output();
        for (name, table) in parquet_tables(&output) {
            let tsv = output.join(name.replace(".parquet", ".tsv"));
            if !tsv.is_file() {
                assert!(name.starts_with("tables/by-session") || name.starts_with("tables/voxels"));
                continue;
            }
            let text = TextTable::read(&tsv).unwrap();
            assert_eq!(text.n_rows(), table.n_rows(), "{name}");
            for (index, column) in table.columns().iter().enumerate() {
                let title = table.schema().columns[index].name;
                for row in 0..table.n_rows() {
                    let cell = text.get(row, title);
                    let same = match column {
                        Values::Text(texts) => texts.get(row) == cell,
                        Values::Integer(values) => values[row] == cell.map(|c| c.parse().unwrap()),
                        Values::Real(values) => {
                            n_numbers += usize::from(cell.is_some());
                            let cell: Option<f64> = cell.map(|cell| cell.parse().unwrap());
                            values[row].map(f64::to_bits) == cell.map(f64::to_bits)
                        }
                        _ => column.is_missing(row) == cell.is_none(),
                    };
                    assert!(same, "{name}: {title} of row {row} is {cell:?}");
                }
            }
        }
    }
    assert!(n_numbers > 5000, "{n_numbers} numbers");
}

/// Every voxel of a region is kept or dropped for one reason, and stands in the table of voxels
/// once per parameter.
#[test]
fn every_voxel_of_a_region_is_accounted_for() {
    let mut n_regions = 0;
    for run in [&NEUROBLASTOMA, &CARTILAGE] {
        let output = run.output();
        let exclusions = rows(&output.join("tables/exclusions.tsv"));
        let tables = parquet_tables(&output);
        for (name, voxels) in tables.iter().filter(|(name, _)| name.contains("/voxels/")) {
            let session = Path::new(name).file_stem().unwrap().to_str().unwrap();
            let texts = |column| voxels.texts(column).unwrap();
            let (regions, parameters) = (texts("region"), texts("parameter"));
            let Values::Boolean(keep) = voxels.column("keep").unwrap() else { unreachable!() };
            let mut pairs: Vec<(&str, &str)> = (0..voxels.n_rows())
                .map(|row| (regions.get(row).unwrap(), parameters.get(row).unwrap()))
                .collect();
            pairs.dedup();
            for (region, parameter) in pairs {
                let of_session = |row: &&std::collections::BTreeMap<String, String>| {
                    let id = row["participant_id"].clone();
                    let name =
                        row.get("session_id").map_or(id.clone(), |ses| format!("{id}_{ses}"));
                    name == session && row["region"] == region && row["parameter"] == parameter
                };
                let dropped: Vec<_> = exclusions.iter().filter(of_session).collect();
                if dropped.is_empty() {
                    continue;
                }
                let here = |row: &usize| {
                    regions.get(*row) == Some(region) && parameters.get(*row) == Some(parameter)
                };
                let n_rows = (0..voxels.n_rows()).filter(here).count();
                let kept = (0..voxels.n_rows()).filter(here).filter(|&i| keep[i] == Some(true));
                let n_dropped: f64 = dropped.iter().map(|row| number(row, "n_voxels")).sum();
                assert_eq!(kept.count() + n_dropped as usize, n_rows, "{session} {region}");
                assert!((number(dropped[0], "n_region") - n_rows as f64).abs() < 0.5);
                n_regions += 1;
            }
        }
    }
    assert_eq!(n_regions, 6 * 2 + 8 * 2, "ADC, IAUC60 and T2 of every region");
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Looks through every output that is not compressed, logs included.
fn assert_private(output: &Path, words: &[&str]) {
    for (name, path) in files(output) {
        let bytes = std::fs::read(path).unwrap();
        for word in words {
            assert!(!holds(&bytes, word), "{name} holds {word}");
        }
    }
}

#[test]
fn no_output_and_no_log_holds_a_path_of_this_machine() {
    let root = argument(&project(""));
    for run in [&NEUROBLASTOMA, &CARTILAGE] {
        let output = run.output();
        let folder = argument(output.parent().unwrap());
        assert_private(&output, &[&folder, root.trim_end_matches('/')]);
    }
}

#[test]
fn inputs_named_by_absolute_paths_leave_their_folders_behind() {
    let folder = tempfile::tempdir().unwrap();
    copy(&project("testdata/neuroblastoma/sub-01/dwi"), &folder.path().join("secret/dwi"));
    copy(&project("testdata/neuroblastoma/derivatives/manual"), &folder.path().join("masks"));
    let series = argument(&folder.path().join("secret/dwi/sub-01_dwi.nii.gz"));
    std::fs::create_dir_all(folder.path().join("here")).unwrap();
    let text = format!(
        "[uncertainty]\npseudo_experiments = 20\n[[fit]]\nmodel = \"adc\"\n[[input]]\n\
         participant = \"01\"\nfit = \"adc\"\nseries = \"{series}\"\n\
         region = \"../masks/sub-01/dwi/sub-01_label-tumour_mask.nii.gz\"\n"
    );
    std::fs::write(folder.path().join("here/p.toml"), text).unwrap();
    let ended = biomarker(folder.path(), &["run", "here/p.toml", "--output", "output"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let output = folder.path().join("output");
    assert_private(&output, &[&argument(folder.path()), "secret"]);
    let sidecar = std::fs::read_to_string(output.join("sub-01/dwi/sub-01_desc-monoexp_ADC.json"));
    let sidecar = sidecar.unwrap();
    assert!(sidecar.contains("\"bids:raw:sub-01_dwi.nii.gz\""), "{sidecar}");
}

/// The third participant's series ends in the middle; what an earlier run made of it must go too.
#[test]
fn one_broken_participant_stops_no_other_and_leaves_nothing_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    copy(&project("testdata/neuroblastoma"), &data);
    let here = ["--dataset", "data", "--output", "output"];
    assert_eq!(quick(folder.path(), "neuroblastoma", &here).code, 0);
    let output = folder.path().join("output");
    let before = hashes(&output);
    let series = data.join("sub-03/dwi/sub-03_dwi.nii.gz");
    let whole = std::fs::read(&series).unwrap();
    std::fs::write(&series, &whole[..whole.len() / 2]).unwrap();

    let ended = quick(folder.path(), "neuroblastoma", &here);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.stdout, "0 measured, 5 unchanged, 1 failed: output/index.html\n");
    let runs = rows(&output.join("tables/runs.tsv"));
    assert_eq!(runs.len(), 6);
    assert_eq!(runs[2]["status"], "failed");
    assert_eq!(runs[2]["exit_code"], "65");
    let reason = "sub-03_dwi.nii.gz: gzip stream ends early: the file is truncated";
    assert_eq!(runs[2]["reason"], reason);
    assert!(runs.iter().enumerate().all(|(i, row)| i == 2 || row["status"] == "done"));
    let page = std::fs::read_to_string(output.join("index.html")).unwrap();
    assert!(page.contains("sub-03") && page.contains("the file is truncated"));
    let tumours = std::fs::read_to_string(output.join("tables/tumours.tsv")).unwrap();
    assert!(!tumours.contains("sub-03") && tumours.contains("sub-04"));
    let left: Vec<String> = files(&output).into_keys().filter(|n| n.contains("sub-03")).collect();
    assert!(left.is_empty(), "results of an earlier input: {left:?}");
    assert_private(&output, &[&argument(folder.path())]);

    std::fs::write(&series, whole).unwrap();
    let ended = quick(folder.path(), "neuroblastoma", &here);
    assert_eq!(ended.stdout, "1 measured, 5 unchanged, 0 failed: output/index.html\n");
    assert_eq!(hashes(&output), before);
}

#[test]
fn the_manifest_names_every_file_with_its_hash() {
    let output = CARTILAGE.output();
    let text = std::fs::read_to_string(output.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let named = manifest["files"].as_object().unwrap();
    let mut found = hashes(&output);
    // Commit marks and the manifest itself, which nothing can name.
    found.retain(|name, _| name != "manifest.json" && !name.ends_with("/record.json"));
    for (name, hash) in &found {
        assert_eq!(named.get(name).and_then(|hash| hash.as_str()), Some(hash.as_str()), "{name}");
    }
    assert_eq!(named.len(), found.len());
    assert_eq!(manifest["sessions"].as_array().unwrap().len(), 8);
}

#[test]
fn verify_finds_a_changed_and_a_missing_file() {
    let own = tempfile::tempdir().unwrap();
    copy(&CARTILAGE.output(), own.path());
    let verify = || biomarker(own.path(), &["verify", "."]);
    let whole = verify();
    assert_eq!((whole.code, whole.stdout.lines().count()), (0, 1), "{}", whole.stdout);
    std::fs::write(own.path().join("index.html"), "other").unwrap();
    std::fs::remove_file(own.path().join("tables/regions.tsv")).unwrap();
    let broken = verify();
    assert_eq!(broken.code, 65);
    assert!(broken.stdout.starts_with("missing: tables/regions.tsv\nchanged: index.html\n"));
    let nothing = biomarker(own.path(), &["verify", "tables"]);
    assert_eq!(nothing.code, 66, "{}", nothing.stderr);
}

#[test]
fn progress_goes_to_stderr_and_the_result_to_stdout() {
    let ended = NEUROBLASTOMA.ended();
    assert_eq!(ended.stdout, "6 measured, 0 unchanged, 0 failed: output/index.html\n");
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(lines[0], "[1/6] sub-01");
    assert_eq!(lines.len(), 6);
    assert!(!ended.stderr.contains('\u{1b}'), "no colour without a terminal");
}
