//! BIDS datasets as found on disks: what is discovered, in which order, and what is refused.
#![expect(clippy::disallowed_methods, reason = "tests build their datasets")]
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use biomarker::acquisition::Protocol;
use biomarker::error::{Error, ErrorKind, Result};
use biomarker::io::bids::{Dataset, Filter, GivenProtocol, Query, Visit, VisitFiles};
use biomarker::io::gradient_table::{GradientTable, read_echo_times_ms};
use biomarker::io::sidecar::Sidecar;
use biomarker::unit::radians_from_degrees;
use tempfile::TempDir;

/// A dataset in a temporary folder, made of files by relative path.
struct Scene {
    folder: TempDir,
}

const DESCRIPTION: &str = r#"{"Name": "scene", "BIDSVersion": "1.10.0"}"#;

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        scene.put("dataset_description.json", DESCRIPTION);
        for (path, text) in files {
            scene.put(path, text);
        }
        scene
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn visits(&self) -> Vec<Visit> {
        Dataset::open(self.root()).unwrap().visits(&Filter::default()).unwrap()
    }

    fn files(&self) -> Result<VisitFiles> {
        let dataset = Dataset::open(self.root())?;
        let visits = dataset.visits(&Filter::default())?;
        dataset.files(&visits[0])
    }

    /// The error without the temporary folder in it.
    fn text(&self, error: &Error) -> String {
        error.to_string().replace(&format!("{}/", self.root().display()), "")
    }

    fn relative(&self, paths: &[PathBuf]) -> Vec<String> {
        let short = |path: &PathBuf| path.strip_prefix(self.root()).unwrap().display().to_string();
        paths.iter().map(short).collect()
    }
}

fn mese() -> Query {
    Query::new("MESE").in_datatype("anat")
}

fn echo_times(protocol: &Protocol) -> &[f64] {
    match protocol {
        Protocol::MultiEcho(multi_echo) => multi_echo.echo_times_s(),
        _ => &[],
    }
}

#[test]
fn a_folder_without_a_description_is_not_bids() {
    let folder = tempfile::tempdir().unwrap();
    let error = Dataset::open(folder.path()).unwrap_err();
    assert_eq!((error.kind(), error.kind().exit_code()), (ErrorKind::NotBids, 16));
    let description = folder.path().join("dataset_description.json");
    for text in [r#"{"Name": "x"}"#, "{", "[]", r#"{"BIDSVersion": 1}"#] {
        fs::write(&description, text).unwrap();
        let error = Dataset::open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotBids, "{text}");
        assert!(error.hint_text().is_some());
    }
    let absent = Dataset::open(&folder.path().join("nowhere")).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::Missing);
}

#[test]
fn visits_are_sorted_and_carry_what_the_tables_say() {
    let scene = Scene::new(&[
        ("participants.tsv", "participant_id\tclass\tage\nsub-02\tGN\tn/a\nsub-01\tNB\t3\n"),
        ("sub-02/ses-pre/anat/sub-02_ses-pre_T1map.nii", ""),
        ("sub-01/ses-pre/anat/sub-01_ses-pre_T1map.nii", ""),
        ("sub-01/ses-post/anat/sub-01_ses-post_T1map.nii", ""),
        ("sub-01/sub-01_sessions.tsv", "session_id\tage\nses-post\t4\n"),
        ("sub-03/anat/sub-03_T1map.nii", ""),
    ]);
    let visits = scene.visits();
    let ids: Vec<_> = visits.iter().map(|v| (v.participant.id.as_str(), v.session_id())).collect();
    assert_eq!(
        ids,
        [
            ("sub-01", Some("ses-post")),
            ("sub-01", Some("ses-pre")),
            ("sub-02", Some("ses-pre")),
            ("sub-03", None)
        ]
    );
    assert_eq!((visits[0].value("class"), visits[0].value("age")), (Some("NB"), Some("4")));
    assert_eq!((visits[1].value("age"), visits[2].value("age")), (Some("3"), None));
    let dataset = Dataset::open(scene.root()).unwrap();
    assert_eq!(dataset.warnings(), ["participants.tsv has no row for sub-03"]);
}

#[test]
fn filters_take_labels_with_and_without_prefix() {
    let scene = Scene::new(&[
        ("sub-01/ses-pre/anat/sub-01_ses-pre_T1map.nii", ""),
        ("sub-02/ses-post/anat/sub-02_ses-post_T1map.nii", ""),
    ]);
    let dataset = Dataset::open(scene.root()).unwrap();
    let select = |participants: &[&str], sessions: &[&str]| {
        let owned = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect();
        dataset.visits(&Filter { participants: owned(participants), sessions: owned(sessions) })
    };
    assert_eq!(select(&["02"], &[]).unwrap()[0].participant.id, "sub-02");
    assert_eq!(select(&["sub-01", "02"], &["ses-post"]).unwrap().len(), 1);
    let error = select(&["07"], &[]).unwrap_err();
    assert_eq!(
        (error.kind().exit_code(), error.message()),
        (18, "there is no participant `sub-07`")
    );
    assert_eq!(error.hint_text(), Some("found: sub-01, sub-02"));
    let error = select(&["01"], &["post"]).unwrap_err();
    assert_eq!(error.message(), "no participant has session ses-post");
    assert_eq!(error.hint_text(), Some("found: ses-pre"));
}

#[test]
fn tables_of_participants_that_are_wrong_are_refused() {
    for (text, message) in [
        (
            "participant_id,class\nsub-01,NB\n",
            "first column is `participant_id,class`, not `participant_id`",
        ),
        ("participant_id\tclass\n01\tNB\n", "`01` is not `sub-` and a label"),
        ("participant_id\nsub-01\nsub-01\n", "`sub-01` has more than one row"),
        ("participant_id\tclass\nsub-01\n", "row has 1 values but the header has 2 columns"),
    ] {
        let scene = Scene::new(&[("participants.tsv", text), ("sub-01/anat/sub-01_T1map.nii", "")]);
        let error = Dataset::open(scene.root()).unwrap_err();
        assert_eq!(error.message(), message);
        assert!(error.hint_text().is_some() && error.path().is_some());
    }
}

#[test]
fn echoes_are_sorted_by_the_time_of_their_sidecar_never_by_their_number() {
    let scene = Scene::new(&[
        ("sub-01/anat/sub-01_echo-1_MESE.nii.gz", ""),
        ("sub-01/anat/sub-01_echo-1_MESE.json", r#"{"EchoTime": 0.03}"#),
        ("sub-01/anat/sub-01_echo-2_MESE.nii.gz", ""),
        ("sub-01/anat/sub-01_echo-2_MESE.json", r#"{"EchoTime": 0.01}"#),
        ("sub-01/anat/sub-01_echo-10_MESE.nii.gz", ""),
        ("sub-01/anat/sub-01_echo-10_MESE.json", r#"{"EchoTime": 0.02}"#),
        ("MESE.json", r#"{"EchoTime": 0.5, "RepetitionTime": 1.5}"#),
    ]);
    let series = scene.files().unwrap().multi_echo(&mese(), &GivenProtocol::default()).unwrap();
    assert_eq!(echo_times(&series.protocol), [0.01, 0.02, 0.03]);
    assert_eq!(
        scene.relative(&series.images),
        ["echo-2", "echo-10", "echo-1"]
            .map(|echo| format!("sub-01/anat/sub-01_{echo}_MESE.nii.gz"))
    );
    assert_eq!(series.sidecars[0].repetition_time_s().unwrap(), Some(1.5));
    assert_eq!(series.sidecars[0].files().len(), 2);
}

#[test]
fn echoes_without_a_time_of_their_own_are_refused() {
    let json = r#"{"EchoTime": 0.01}"#;
    let two =
        [("sub-01/anat/sub-01_echo-1_MESE.nii", ""), ("sub-01/anat/sub-01_echo-2_MESE.nii", "")];
    let scene = Scene::new(&two);
    let refused = |scene: &Scene, given: &GivenProtocol| {
        let error = scene.files().unwrap().multi_echo(&mese(), given).unwrap_err();
        (scene.text(&error), error.hint_text().unwrap_or_default().to_owned())
    };
    let (text, hint) = refused(&scene, &GivenProtocol::default());
    assert_eq!(
        text,
        "sub-01/anat/sub-01_echo-1_MESE.nii: `EchoTime`: value is missing: the image has no sidecar"
    );
    assert_eq!(hint, "every file of the series needs one `EchoTime`");
    scene.put("MESE.json", json);
    let (text, _) = refused(&scene, &GivenProtocol::default());
    assert!(text.starts_with("MESE.json: `EchoTime`: value 0.01 is that of "), "{text}");
    let (text, hint) = refused(
        &scene,
        &GivenProtocol { echo_times_s: Some(vec![0.01, 0.02, 0.03]), ..GivenProtocol::default() },
    );
    assert_eq!(text, format!("{}: `echo_times_s`: 3 values but 2 files were found", "sub-01"));
    assert_eq!(hint, "delete it to take EchoTime from the sidecars");
    let (text, _) = refused(
        &scene,
        &GivenProtocol { echo_times_s: Some(vec![0.01, 0.02]), ..GivenProtocol::default() },
    );
    assert_eq!(text, "MESE.json: `EchoTime`: value 0.02 was given but the sidecar says 0.01");
    scene.put("sub-01/anat/sub-01_echo-2_MESE.json", r#"{"EchoTime": 20}"#);
    let (text, hint) = refused(&scene, &GivenProtocol::default());
    assert!(text.ends_with(
        "sub-01_echo-2_MESE.json: `EchoTime`: value 20 is not between 0.001 and 0.5 seconds"
    ));
    assert!(hint.contains("looks like milliseconds: write 0.02"));
}

#[test]
fn given_echo_times_belong_to_the_number_in_the_name() {
    let scene = Scene::new(&[
        ("sub-01/anat/sub-01_echo-02_MESE.nii", ""),
        ("sub-01/anat/sub-01_echo-01_MESE.nii", ""),
    ]);
    let given = GivenProtocol { echo_times_s: Some(vec![0.02, 0.01]), ..GivenProtocol::default() };
    let series = scene.files().unwrap().multi_echo(&mese(), &given).unwrap();
    assert_eq!(echo_times(&series.protocol), [0.01, 0.02]);
    assert!(series.images[0].ends_with("sub-01_echo-02_MESE.nii"));
}

#[test]
fn one_file_of_all_echoes_needs_an_array() {
    let scene = Scene::new(&[
        ("sub-01/anat/sub-01_MESE.nii.gz", ""),
        ("sub-01/anat/sub-01_MESE.json", r#"{"EchoTime": [0.02, 0.01]}"#),
    ]);
    let series = scene.files().unwrap().multi_echo(&mese(), &GivenProtocol::default()).unwrap();
    assert_eq!((series.images.len(), echo_times(&series.protocol)), (1, &[0.02, 0.01][..]));
    scene.put("sub-01/anat/sub-01_MESE.json", r#"{"EchoTime": 0.02}"#);
    let files = scene.files().unwrap();
    let error = files.multi_echo(&mese(), &GivenProtocol::default()).unwrap_err();
    assert_eq!(error.hint_text(), Some("a 4-D file needs `EchoTime` as an array, s"));
    let given = GivenProtocol { echo_times_s: Some(vec![0.01, 0.02]), ..GivenProtocol::default() };
    assert_eq!(echo_times(&files.multi_echo(&mese(), &given).unwrap().protocol), [0.01, 0.02]);
}

#[test]
fn several_series_are_refused_with_the_entity_to_name() {
    let scene = Scene::new(&[
        ("sub-01/anat/sub-01_acq-a_echo-1_MESE.nii", ""),
        ("sub-01/anat/sub-01_acq-b_echo-1_MESE.nii", ""),
        ("sub-01/anat/sub-01_acq-b_part-phase_echo-1_MESE.nii", ""),
    ]);
    let files = scene.files().unwrap();
    let error = files.multi_echo(&mese(), &GivenProtocol::default()).unwrap_err();
    assert_eq!(
        scene.text(&error).split_once(": ").unwrap().1,
        "2 files match anat/*_MESE.nii[.gz]: sub-01/anat/sub-01_acq-a_echo-1_MESE.nii, \
         sub-01/anat/sub-01_acq-b_echo-1_MESE.nii"
    );
    assert_eq!(error.hint_text(), Some("say which one is meant by entity `acq`: a, b"));
    assert_eq!(files.find(&mese().with_entity("acq", "b")).len(), 1);
    assert_eq!(files.find(&mese().with_entity("part", "phase")).len(), 1);
    let twice = Scene::new(&[
        ("sub-01/anat/sub-01_T1map.nii", ""),
        ("sub-01/anat/sub-01_T1map.nii.gz", ""),
    ]);
    let error = twice
        .files()
        .unwrap()
        .one(&Query::new("T1map"))
        .unwrap_err()
        .hint_text()
        .map(str::to_owned);
    assert_eq!(error.unwrap(), "they have the same entities: keep one of them");
}

#[test]
fn diffusion_takes_its_b_values_from_beside_or_above() {
    let scene = Scene::new(&[
        ("sub-01/dwi/sub-01_dwi.nii.gz", ""),
        ("dwi.bval", "0 500 1000\n"),
        ("sub-01/dwi/sub-01_dwi.bvec", "0 1 0\n0 0 1\n0 0 0\n"),
        ("dwi.json", r#"{"MagneticFieldStrength": 3}"#),
    ]);
    let query = Query::new("dwi").in_datatype("dwi");
    let b_values = |series: &Protocol| match series {
        Protocol::Diffusion(diffusion) => diffusion.b_values_s_per_mm2().to_vec(),
        other => panic!("{other:?}"),
    };
    let find = || scene.files().unwrap().diffusion(&query, &GivenProtocol::default());
    let series = find().unwrap();
    assert_eq!(b_values(&series.protocol), [0.0, 500.0, 1000.0]);
    let expected = vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
    assert_eq!(series.directions, Some(expected));
    assert_eq!(series.sidecars[0].magnetic_field_strength_t().unwrap(), Some(3.0));
    scene.put("sub-01/dwi/sub-01_dwi.bval", "0\n400\n");
    assert_eq!(find().unwrap_err().kind(), ErrorKind::Mismatch);
    fs::remove_file(scene.root().join("sub-01/dwi/sub-01_dwi.bvec")).unwrap();
    assert_eq!(b_values(&find().unwrap().protocol), [0.0, 400.0]);
    fs::remove_file(scene.root().join("sub-01/dwi/sub-01_dwi.bval")).unwrap();
    fs::remove_file(scene.root().join("dwi.bval")).unwrap();
    let error = find().unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Missing, "image has no .bval"));
}

#[test]
fn dynamic_series_are_found_by_suffix_or_description() {
    let json =
        r#"{"VolumeTiming": [0, 3, 6, 9], "RepetitionTimeExcitation": 0.004, "FlipAngle": 15}"#;
    let query = Query::new("dce").in_datatype("perf");
    for stem in ["sub-01/perf/sub-01_dce", "sub-01/perf/sub-01_desc-dceMoco_perf"] {
        let scene = Scene::new(&[(&format!("{stem}.nii.gz"), ""), (&format!("{stem}.json"), json)]);
        let series = scene.files().unwrap().dynamic(&query, &GivenProtocol::default()).unwrap();
        let Protocol::Dynamic(dynamic) = &series.protocol else { panic!("not dynamic") };
        assert_eq!(dynamic.frame_times_s(), [0.0, 3.0, 6.0, 9.0]);
        assert!((dynamic.flip_angle_rad() - radians_from_degrees(15.0)).abs() < 1e-15);
    }
    let without = r#"{"RepetitionTime": 3, "FlipAngle": 15}"#;
    let scene = Scene::new(&[
        ("sub-01/perf/sub-01_dce.nii.gz", ""),
        ("sub-01/perf/sub-01_dce.json", without),
    ]);
    let files = scene.files().unwrap();
    let error = files.dynamic(&query, &GivenProtocol::default()).unwrap_err();
    assert_eq!((error.field(), error.message()), (Some("VolumeTiming"), "value is missing"));
    let given =
        GivenProtocol { frame_times_s: Some(vec![0.0, 3.0, 6.0, 9.0]), ..GivenProtocol::default() };
    let error = files.dynamic(&query, &given).unwrap_err();
    assert_eq!(error.field(), Some("RepetitionTime"));
    let given = GivenProtocol { repetition_time_s: Some(0.004), ..given };
    assert!(files.dynamic(&query, &given).is_ok());
}

#[test]
fn flip_angles_are_sorted_by_value_and_share_a_repetition_time() {
    let json = |angle: f64, tr: f64| {
        format!(r#"{{"FlipAngle": {angle}, "RepetitionTimeExcitation": {tr}}}"#)
    };
    let scene = Scene::new(&[
        ("sub-01/anat/sub-01_flip-1_VFA.nii", ""),
        ("sub-01/anat/sub-01_flip-1_VFA.json", &json(20.0, 0.005)),
        ("sub-01/anat/sub-01_flip-2_VFA.nii", ""),
        ("sub-01/anat/sub-01_flip-2_VFA.json", &json(2.0, 0.005)),
    ]);
    let query = Query::new("VFA");
    let find = || scene.files().unwrap().variable_flip_angle(&query, &GivenProtocol::default());
    let series = find().unwrap();
    let Protocol::VariableFlipAngle(vfa) = &series.protocol else { panic!("not VFA") };
    assert!((vfa.flip_angles_rad()[0] - radians_from_degrees(2.0)).abs() < 1e-15);
    assert!(series.images[0].ends_with("sub-01_flip-2_VFA.nii"));
    scene.put("sub-01/anat/sub-01_flip-2_VFA.json", &json(2.0, 0.006));
    assert_eq!(find().unwrap_err().message(), "value 0.005 differs from 0.006 of another file");
}

#[test]
fn labels_come_from_the_dataset_first_and_then_from_derivatives() {
    let scene = Scene::new(&[
        ("sub-01/ses-pre/anat/sub-01_ses-pre_acq-dess_T2w.nii.gz", ""),
        ("derivatives/manual/sub-01/ses-pre/anat/sub-01_ses-pre_label-tumour_mask.nii.gz", ""),
        ("derivatives/manual/sub-01/ses-post/anat/sub-01_ses-post_label-tumour_mask.nii.gz", ""),
        ("derivatives/manual/sub-01/anat/sub-01_desc-knee_dseg.nii.gz", ""),
        (
            "derivatives/manual/desc-knee_dseg.tsv",
            "index\tname\n0\tbackground\n1\tfemoral cartilage\n5\tfemur\n",
        ),
        ("derivatives/manual/.git/sub-01/sub-01_label-tumour_mask.nii.gz", ""),
        ("sub-01/ses-pre/anat/notes.txt", ""),
    ]);
    let files = scene.files().unwrap();
    let mask = Query::new("mask").with_entity("label", "tumour");
    let found = files.one(&mask).unwrap();
    assert_eq!(
        found.relative_path(),
        Path::new("sub-01/ses-pre/anat/sub-01_ses-pre_label-tumour_mask.nii.gz")
    );
    assert!(found.root().ends_with("derivatives/manual"));
    assert_eq!(found.datatype(), Some("anat"));
    let names = files.label_names(files.one(&Query::new("dseg")).unwrap()).unwrap();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        [(1, "femoral cartilage".into()), (5, "femur".into())]
    );
    let dess = Query::new("*").in_datatype("anat").with_entity("acq", "dess*");
    assert_eq!(files.find(&dess).len(), 1);
    scene.put("sub-01/ses-pre/anat/sub-01_ses-pre_label-tumour_mask.nii.gz", "");
    let files = scene.files().unwrap();
    assert_eq!(files.one(&mask).unwrap().root(), scene.root());
    let error = files.one(&Query::new("T1map")).unwrap_err();
    assert_eq!(error.message(), "no file matches *_T1map.nii[.gz]");
    assert!(files.optional(&Query::new("T1map")).unwrap().is_none());
}

#[test]
fn sidecars_that_compete_in_one_folder_are_refused() {
    let scene = Scene::new(&[
        ("sub-01/anat/sub-01_acq-a_T1map.nii", ""),
        ("T1map.json", "{}"),
        ("acq-a_T1map.json", "{}"),
    ]);
    let files = scene.files().unwrap();
    let error = files.sidecar(files.one(&Query::new("T1map")).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.message().ends_with("both apply"));
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_and_links_to_nothing_are_errors() {
    use std::os::unix::fs::symlink;
    let scene = Scene::new(&[("sub-01/anat/sub-01_T1map.nii", "")]);
    let link = scene.root().join("sub-01/anat/loop");
    symlink(scene.root().join("sub-01"), &link).unwrap();
    let error = scene.files().unwrap_err();
    assert_eq!(scene.text(&error), "sub-01/anat/loop: links or folders lead round in a circle");
    fs::remove_file(&link).unwrap();
    symlink("itself", scene.root().join("sub-01/anat/itself")).unwrap();
    assert_eq!(scene.files().unwrap_err().kind(), ErrorKind::Missing);
    fs::remove_file(scene.root().join("sub-01/anat/itself")).unwrap();
    symlink("../../.git/annex/absent", scene.root().join("sub-01/anat/sub-01_R2map.nii")).unwrap();
    let files = scene.files().unwrap();
    assert!(files.one(&Query::new("T1map")).is_ok());
    let error = files.one(&Query::new("R2map")).unwrap_err();
    assert_eq!(error.message(), "link to content that is not here");
}

#[test]
fn a_folder_with_the_sessions_of_others_holds_nothing_of_this_one() {
    let scene = Scene::new(&[
        ("sub-01/ses-pre/anat/sub-01_ses-post_T1map.nii", ""),
        ("sub-01/ses-pre/anat/sub-02_ses-pre_T1map.nii", ""),
    ]);
    assert!(scene.files().unwrap().find(&Query::new("T1map")).is_empty());
}

#[test]
fn gradient_tables_and_echo_times_of_real_scans_are_read() {
    let Some(data) = crate::shared_data::folder("bids_input") else { return };
    let table = |path: &str| {
        let bval = data.join("dwi").join(path);
        let bvec = bval.with_extension("bvec");
        let bvec = bvec.is_file().then_some(bvec);
        GradientTable::read(&bval, bvec.as_deref())
    };
    let prostate = table("prostatex/px0000/px0000_dwi.bval").unwrap();
    assert_eq!(prostate.b_values_s_per_mm2, [50.0, 400.0, 800.0]);
    assert_eq!(prostate.directions, Some(vec![[0.0; 3]; 3]));
    let calf = table("qmritools_calf/DTIdata.bval").unwrap();
    assert_eq!(calf.b_values_s_per_mm2.len(), 42);
    for name in ["small_25", "small_64D", "small_101D"] {
        let brain = table(&format!("dipy/{name}.bval")).unwrap();
        assert_eq!(brain.directions.unwrap().len(), brain.b_values_s_per_mm2.len(), "{name}");
    }
    let times = read_echo_times_ms(&data.join("t2/knee_mese/echo_times_ms.txt")).unwrap();
    assert!((times[0] - 0.006_312).abs() < 1e-12);
    let sidecar = Sidecar::read(&data.join("dwi/prostatex/px0000/px0000_dwi.json")).unwrap();
    assert!(sidecar.echo_time_s().unwrap().is_some_and(|time| time > 0.05));
}
