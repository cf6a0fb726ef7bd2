//! Real series from beginning to end: reference values, and two pipelines on a dataset of them.
//!
//! The series are of different people; they are put under one participant only so that a pipeline
//! finds all it needs in one session.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and lays out its dataset"
)]

use std::fs;
use std::path::{Path, PathBuf};

use biomarker::image::{Mask, Volume};
use biomarker::io::nifti::{self, Header, ReadLimits};
use biomarker::io::{bids, parquet};
use biomarker::pipeline::Silent;
use biomarker::pipeline::load::SeriesPaths;
use biomarker::pipeline::plan::{AcquisitionPlan, Plan};
use biomarker::pipeline::run::{RunOptions, RunSummary, run};
use biomarker::pipeline::single::{self, ArterialCurve, Background, MapChoice, MapRequest};
use biomarker::pipeline::validate::{Report, Verdict, validate};
use biomarker::statistics::moments::Moments;
use biomarker::statistics::quantile::Sorted;
use biomarker::table::{SCHEMAS, Table, Values};

use crate::shared_data;

const LIMITS: ReadLimits = ReadLimits { max_bytes: 1 << 30 };
const PROSTATE: &str = "dwi/prostatex/px0000/px0000_dwi";
const CALF: &str = "dwi/qmritools_calf/DTIdata";
const BRAIN: &str = "dwi/mrtrix/nifti/dwi2adc_in";
const BREAST: &str = "dce/breast_dcemrijl";
const KNEE: &str = "t2/knee_mese/knee_mese_6echo_slices4-9.nii.gz";
const LABELS: &str = "cartilage/right_knee_example/right_knee_example_labels.nii.gz";

fn disagreements(report: &Report) -> Vec<String> {
    let wrong = report.comparisons().filter(|c| c.verdict() == Verdict::Disagrees);
    wrong.map(|c| format!("{} {} {}: {}", c.series, c.quantity, c.reference, c.max)).collect()
}

/// Each limit stands with its reason in the comparison itself and on the page it writes.
#[test]
fn real_maps_agree_with_every_public_reference_and_lose_no_voxel_without_a_reason() {
    let Some(data) = shared_data::folder("real maps") else { return };
    let report = validate(&data).unwrap();
    let absent: Vec<&String> = report.sections.iter().flat_map(|s| &s.absent).collect();
    assert!(absent.is_empty(), "{absent:?}");
    assert_eq!(disagreements(&report), Vec::<String>::new());
    let n_judged = report.comparisons().filter(|c| c.verdict() == Verdict::Agrees).count();
    assert_eq!((n_judged, report.comparisons().count()), (34, 46));
    let mut n_series = 0;
    for fate in report.sections.iter().flat_map(|section| &section.fates) {
        let told: usize = fate.counts.iter().map(|(_, count)| count).sum();
        assert_eq!(told, fate.n_voxels, "{fate:?}");
        assert!(fate.n_non_finite == 0 && fate.same_affine, "{fate:?}");
        n_series += 1;
    }
    assert_eq!(n_series, 23);
    let compared = |series: &str, quantity: &str| {
        let of = |c: &&_| -> bool {
            let c: &biomarker::pipeline::validate::Comparison = c;
            c.series == series && c.quantity == quantity
        };
        report.comparisons().find(of).unwrap_or_else(|| panic!("{series} {quantity}")).n
    };
    assert_eq!(compared("prostate DWI", "ADC, lls, all samples above 0"), 192_903);
    assert_eq!(compared("calf DWI", "ADC, nlls"), 397);
    assert_eq!(compared("knee MESE", "T2, nlls"), 223_053);
    assert_eq!(compared("breast DCE", "our concentrations integrated by Madym's rule"), 7402);
    let notes: Vec<&String> = report.sections.iter().flat_map(|s| &s.notes).collect();
    assert_eq!(notes.iter().filter(|note| note.contains("is refused: no b-values")).count(), 2);
    let better = "is below that at Madym's in 7263 voxels of the region and above it (by more than \
                  a millionth) in 0";
    assert!(notes.iter().any(|note| note.contains(better)), "{notes:?}");

    let folder = tempfile::tempdir().unwrap();
    report.write(folder.path()).unwrap();
    let page = fs::read_to_string(folder.path().join("real_data.md")).unwrap();
    assert!(page.contains("34 comparisons agree, 0 disagree, 12 are shown; 0 of 10 datasets"));
    assert!(!page.contains(&*data.to_string_lossy()), "no path of this machine");
}

#[test]
fn a_folder_without_validation_data_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = validate(folder.path()).unwrap_err();
    assert_eq!(error.message(), "none of the validation data is here");
    assert_eq!(validate(&folder.path().join("nowhere")).unwrap_err().kind().exit_code(), 66);
}

/// A BIDS dataset of real series in a temporary folder.
struct Study {
    folder: tempfile::TempDir,
    data: PathBuf,
}

impl Study {
    fn new(data: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let study = Self { folder, data };
        let description = r#"{"Name": "real series", "BIDSVersion": "1.10.0"}"#;
        study.write("bids/dataset_description.json", description);
        study
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn copy(&self, source: &str, inside: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(self.data.join(source), path).unwrap();
    }

    /// Diffusion series with its b-values and directions, as its scanner gave them.
    fn diffusion(&self, source: &str, stem: &str) {
        for extension in [".nii.gz", ".bval", ".bvec"] {
            self.copy(&format!("{source}{extension}"), &format!("{stem}{extension}"));
        }
        self.write(&format!("{stem}.json"), "{}");
    }

    /// A mask of the voxels of `source` that `inside` chooses by [i, j, k] and smallest sample.
    fn mask(&self, source: &str, target: &str, inside: impl Fn([usize; 3], f64) -> bool) -> Mask {
        let read = nifti::read_series(&self.data.join(source), &LIMITS).unwrap();
        let grid = *read.image.grid();
        let volumes = 0..read.image.n_volumes();
        let smallest = |voxel: usize| {
            volumes.clone().map(|k| read.image.signal(voxel, k)).fold(f64::INFINITY, f64::min)
        };
        let chosen = Volume::from_fn(grid, |voxel| inside(grid.voxel(voxel), smallest(voxel)));
        let mask = Mask::new(chosen);
        nifti::write_mask(&self.path(target), &mask, &read.header).unwrap();
        mask
    }

    /// Breast series, its T1 map by the program from ten flip angles, and its region.
    fn contrast(&self, participant: &str) {
        let stem = format!("bids/{participant}/perf/{participant}");
        self.copy(&format!("{BREAST}/dce_25t.nii.gz"), &format!("{stem}_dce.nii.gz"));
        let times = fs::read_to_string(self.data.join(BREAST).join("dce_times_s.txt")).unwrap();
        let times: Vec<&str> = times.split_whitespace().collect();
        let sidecar = format!(
            r#"{{"RepetitionTimeExcitation": 0.007939, "FlipAngle": 20, "VolumeTiming": [{}]}}"#,
            times.join(", ")
        );
        self.write(&format!("{stem}_dce.json"), &sidecar);
        self.copy(
            &format!("{BREAST}/reference/roi.nii.gz"),
            &format!("{stem}_label-tumour_mask.nii.gz"),
        );
        let maps = self.t1_maps();
        let map = format!("bids/{participant}/anat/{participant}_T1map.nii.gz");
        fs::create_dir_all(self.path(&map).parent().unwrap()).unwrap();
        fs::copy(maps.join("vfa_10_desc-t1vfa_T1map.nii.gz"), self.path(&map)).unwrap();
        self.write(&map.replace(".nii.gz", ".json"), r#"{"Units": "s"}"#);
    }

    fn t1_maps(&self) -> PathBuf {
        let folder = self.path("t1");
        let images = [self.data.join(BREAST).join("vfa_10.nii.gz")];
        let request = MapRequest {
            artery: None,
            measure: biomarker::pipeline::measure::named("t1_vfa").unwrap(),
            paths: SeriesPaths { images: &images, bval: None },
            acquisition: AcquisitionPlan {
                flip_angles_deg: Some((1..=10).rev().map(|k| f64::from(2 * k)).collect()),
                repetition_time_ms: Some(7.939),
                ..AcquisitionPlan::default()
            },
            mask: None,
            t10: None,
            b1_map: None,
            relaxivity_per_s_per_mm: 4.5,
            arrival: ArterialCurve::Region,
            window_s: 60.0,
            estimator: "nlls",
            echoes: biomarker::fit::EchoChoice::default(),
            b_min_s_per_mm2: 0.0,
            pseudo_experiments: 0,
            sigma: None,
            noise: None,
            seed: 1,
            output: &folder,
            maps: MapChoice::default(),
            compression: nifti::Compression::Gzip,
            with_table: false,
            background: Background::Zero,
            limits: LIMITS,
        };
        single::map(&request, &Silent).unwrap();
        folder
    }

    fn run(&self, pipeline: &str, participants: &[&str]) -> RunSummary {
        let plan = Plan::read(&self.path(pipeline), &[]).unwrap_or_else(|errors| {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        let participants = participants.iter().map(|label| (*label).to_owned()).collect();
        let filter = bids::Filter { participants, ..bids::Filter::default() };
        run(&plan, &RunOptions { filter, ..RunOptions::default() }, &Silent).unwrap()
    }

    fn table(&self, output: &str, name: &str) -> Table {
        let schema = SCHEMAS.iter().find(|schema| schema.name == name).unwrap();
        let path = self.path(&format!("{output}/tables/{name}.parquet"));
        parquet::read(&path, schema).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn header(&self, inside: &str) -> Header {
        nifti::read_header(&self.path(inside), &LIMITS).unwrap()
    }

    /// The affine of every map below `folder` is that of `source`, to the last bit.
    fn require_affine(&self, folder: &str, suffixes: &[&str], source: &str) {
        let bits = |header: &Header| header.grid().affine().matrix().map(|r| r.map(f64::to_bits));
        let expected = bits(&self.header(source));
        let mut n_maps = 0;
        for entry in fs::read_dir(self.path(folder)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name.ends_with(".nii.gz") && suffixes.iter().any(|suffix| name.contains(suffix)) {
                assert_eq!(bits(&self.header(&format!("{folder}/{name}"))), expected, "{name}");
                n_maps += 1;
            }
        }
        assert!(n_maps >= suffixes.len(), "{folder}: {n_maps} maps");
    }
}

/// Every number of every table is finite; what is missing is null.
fn require_finite(table: &Table) {
    for (column, values) in table.schema().columns.iter().zip(table.columns()) {
        let finite = match values {
            Values::Real(rows) => rows.iter().flatten().all(|value| value.is_finite()),
            Values::Single(rows) => rows.iter().flatten().all(|value| value.is_finite()),
            Values::Text(_) | Values::Integer(_) | Values::Boolean(_) => true,
        };
        assert!(finite, "{}.{}", table.schema().name, column.name);
    }
}

/// Rows where every text column holds its text.
fn rows(table: &Table, wanted: &[(&str, &str)]) -> Vec<usize> {
    let fits = |row: &usize| {
        wanted.iter().all(|(column, text)| table.texts(column).unwrap().get(*row) == Some(*text))
    };
    (0..table.n_rows()).filter(fits).collect()
}

fn real(table: &Table, column: &str, row: usize) -> f64 {
    table.reals(column).unwrap()[row].unwrap()
}

fn integer(table: &Table, column: &str, row: usize) -> i64 {
    table.integers(column).unwrap()[row].unwrap()
}

/// Kept voxels and dropped ones with their reasons are the region.
fn require_all_told(study: &Study, output: &str, place: &[(&str, &str)], n_region: usize) -> i64 {
    let regions = study.table(output, "regions");
    let exclusions = study.table(output, "exclusions");
    let gated = rows(&regions, &[place, &[("selection", "gated")]].concat());
    let kept = integer(&regions, "n", gated[0]);
    let dropped: i64 =
        rows(&exclusions, place).iter().map(|&row| integer(&exclusions, "n_voxels", row)).sum();
    assert_eq!(kept + dropped, n_region as i64, "{place:?}");
    kept
}

const TUMOURS: &str = r#"
[study]
name = "tumours"
dataset = "bids"
output = "out"
seed = 7

[uncertainty]
pseudo_experiments = 30

[gate]
maximum_uncertainty = 0.10

[[fit]]
name = "adc"
model = "adc"
estimator = "lls"
series = { suffix = "dwi", datatype = "dwi" }
region = { name = "tumour", image = { suffix = "mask", datatype = "dwi", label = "tumour" } }
habitat = { method = "k_means", clusters = 2, report = "lowest" }
noise = { method = "residual" }     # three b-values, no air around the prostate

[[fit]]
name = "iauc60"
model = "iauc60"
series = { suffix = "dce", datatype = "perf" }
region = { name = "tumour", image = { suffix = "mask", datatype = "perf", label = "tumour" } }
# Frames are 16 s apart: the protocol names the bolus frame.
dynamic = { t10_map = { suffix = "T1map" }, relaxivity_per_s_per_mm = 4.5, arrival_s = 65.72 }

[cohort]
kind = "tumours"
class_column = "class"
classes = ["prostate", "calf"]
positive_class = "prostate"
"#;

/// Mean and median of the naive row are those of another program's map over the same voxels.
fn require_statistics_of(table: &Table, row: usize, reference: &[f64], tolerance: f64) {
    assert_eq!(integer(table, "n", row), reference.len() as i64);
    let mean = Moments::of(reference).unwrap().mean();
    let median = Sorted::new(reference).unwrap().median();
    assert!((real(table, "mean", row) - mean).abs() < tolerance, "{mean}");
    assert!((real(table, "median", row) - median).abs() < tolerance, "{median}");
}

fn reference_values(data: &Path, inside: &str, mask: &Mask) -> Vec<f64> {
    let map = nifti::read_volume(&data.join(inside), &LIMITS).unwrap().image;
    mask.indices().iter().map(|&voxel| map.voxels()[voxel]).collect()
}

#[test]
fn a_tumour_pipeline_runs_on_real_diffusion_and_contrast_series_from_end_to_end() {
    let Some(data) = shared_data::folder("tumour pipeline on real series") else { return };
    let study = Study::new(data.clone());
    study.write(
        "bids/participants.tsv",
        "participant_id\tclass\nsub-01\tprostate\nsub-02\tcalf\nsub-03\tprostate\n",
    );
    study.write("tumours.toml", TUMOURS);
    let mut masks = Vec::new();
    for (participant, source) in [("sub-01", PROSTATE), ("sub-02", CALF)] {
        let stem = format!("bids/{participant}/dwi/{participant}");
        study.diffusion(source, &format!("{stem}_dwi"));
        let (image, target) =
            (format!("{source}.nii.gz"), format!("{stem}_label-tumour_mask.nii.gz"));
        // A box in the middle of the prostate scan; in the calf one slice of muscle.
        let labels = data.join("dwi/qmritools_calf/labels.nii.gz");
        let labels = nifti::read_labels(&labels, &LIMITS).unwrap().image;
        masks.push(study.mask(&image, &target, |[i, j, k], smallest| {
            let in_box = (32..52).contains(&i) && (52..76).contains(&j) && (7..12).contains(&k);
            let in_muscle =
                k == 12 && source == CALF && labels.voxels()[labels.grid().index([i, j, k])] > 0;
            smallest > 0.0 && if source == CALF { in_muscle } else { in_box }
        }));
        study.contrast(participant);
    }
    study.diffusion(BRAIN, "bids/sub-03/dwi/sub-03_dwi");
    let summary = study.run("tumours.toml", &["01", "02"]);
    assert!(summary.failed.is_empty(), "{:?}", summary.failed);
    assert_eq!(summary.done, ["sub-01", "sub-02"]);

    for name in
        ["regions", "histograms", "habitats", "exclusions", "qc", "tumours", "classes", "runs"]
    {
        let table = study.table("out", name);
        assert!(table.n_rows() > 0, "{name}");
        require_finite(&table);
    }
    let regions = study.table("out", "regions");
    let n_breast = nifti::read_mask(&data.join(BREAST).join("reference/roi.nii.gz"), &LIMITS)
        .unwrap()
        .image
        .len();
    let maps = [
        "dwi/prostatex/px0000/reference/mrtrix_dwi2adc_ADC_mm2_s.nii.gz",
        "dwi/qmritools_calf/reference/mrtrix_dwi2adc_ADC_mm2_s.nii.gz",
    ];
    for ((participant, mask), map) in ["sub-01", "sub-02"].into_iter().zip(&masks).zip(maps) {
        let place = [("participant_id", participant), ("parameter", "adc")];
        assert!(require_all_told(&study, "out", &place, mask.len()) > 0);
        // Frames of 16 s at a signal-to-noise ratio of 2.5: hardly a voxel's area is known to a tenth.
        let place = [("participant_id", participant), ("parameter", "iauc60")];
        assert!(require_all_told(&study, "out", &place, n_breast) < n_breast as i64 / 1000);
        let naive = [("participant_id", participant), ("parameter", "adc"), ("selection", "naive")];
        // MRtrix3 computes in single precision, and all voxels of both regions are inside our bounds.
        let reference = reference_values(&data, map, mask);
        require_statistics_of(&regions, rows(&regions, &naive)[0], &reference, 1e-9);
        let stem = format!("bids/{participant}/dwi/{participant}_dwi.nii.gz");
        study.require_affine(&format!("out/{participant}/dwi"), &["_ADC", "keep_mask"], &stem);
        let stem = format!("bids/{participant}/perf/{participant}_dce.nii.gz");
        study.require_affine(&format!("out/{participant}/perf"), &["_mimap", "keep_mask"], &stem);
    }

    // A participant without contrast series fails with its reason; the others stay as they are.
    let summary = study.run("tumours.toml", &[]);
    assert_eq!(summary.cached, ["sub-01", "sub-02"]);
    let (name, error) = &summary.failed[0];
    assert_eq!((name.as_str(), summary.failed.len()), ("sub-03", 1));
    let runs = study.table("out", "runs");
    let failed = rows(&runs, &[("status", "failed")]);
    assert_eq!(runs.texts("participant_id").unwrap().get(failed[0]), Some("sub-03"));
    assert!(error.to_string().contains("mask"), "{error}");
    assert!(runs.texts("reason").unwrap().get(failed[0]).unwrap().len() > 10);
}

const KNEES: &str = r#"
[study]
name = "knees"
dataset = "bids"
output = "out"
seed = 7
knees = ["right"]

[uncertainty]
pseudo_experiments = 30

[gate]
maximum_uncertainty = 0.10

[[fit]]
name = "t2"
model = "t2"
series = { suffix = "MESE", datatype = "anat", acq = "{knee}knee" }
acquisition = { echo_times_ms = [6.312, 12.624, 18.936, 25.248, 31.56, 37.872] }
region = { name = "femoral_cartilage", image = { suffix = "dseg", acq = "{knee}knee" }, labels = [1] }
gate = { range_ms = [1, 100] }

[thickness]
name = "femoral_cartilage"
labels = { suffix = "dseg", acq = "{knee}kneedess" }
cartilage = 1
bone = 5
medial = 2
lateral = 3
regions = true
method = "edt_subvoxel"

[cohort]
kind = "knees"
before = "ses-pre"
after = "ses-post"
"#;

#[test]
fn a_knee_pipeline_runs_on_a_real_echo_train_and_real_labels_from_end_to_end() {
    let Some(data) = shared_data::folder("knee pipeline on real series") else { return };
    let study = Study::new(data.clone());
    study.write("bids/participants.tsv", "participant_id\nsub-01\n");
    study.write("knees.toml", KNEES);
    let mut region = None;
    for session in ["ses-pre", "ses-post"] {
        let stem = format!("bids/sub-01/{session}/anat/sub-01_{session}_acq-rightknee");
        study.copy(KNEE, &format!("{stem}_MESE.nii.gz"));
        study.write(&format!("{stem}_MESE.json"), "{}");
        study.copy(LABELS, &format!("{stem}dess_dseg.nii.gz"));
        // A piece of the slice; the labels that come with the data are of another knee.
        region = Some(study.mask(KNEE, &format!("{stem}_dseg.nii.gz"), |[i, j, k], smallest| {
            (160..200).contains(&i) && (200..240).contains(&j) && k == 5 && smallest > 150.0
        }));
    }
    let region = region.unwrap();
    let summary = study.run("knees.toml", &[]);
    assert!(summary.failed.is_empty(), "{:?}", summary.failed);
    assert_eq!(summary.done.len(), 2);
    for name in
        ["regions", "histograms", "exclusions", "qc", "thickness", "knees", "paired", "runs"]
    {
        let table = study.table("out", name);
        assert!(table.n_rows() > 0, "{name}");
        require_finite(&table);
    }
    let regions = study.table("out", "regions");
    let place = [("session_id", "ses-pre"), ("parameter", "t2")];
    assert!(require_all_told(&study, "out", &place, region.len()) > 0);
    let naive = [("session_id", "ses-pre"), ("parameter", "t2"), ("selection", "naive")];
    let reference: Vec<f64> = reference_values(
        &data,
        "t2/knee_mese/reference/pymskt_nlls_6echo_slices4-9_t2_ms.nii.gz",
        &region,
    )
    .iter()
    .map(|t2_ms| t2_ms / 1e3)
    .collect();
    // A millionth of T2: where pymskt stops.
    require_statistics_of(&regions, rows(&regions, &naive)[0], &reference, 1e-7);

    let thickness = study.table("out", "thickness");
    let row = rows(&thickness, &[("session_id", "ses-post"), ("region", "femoral_cartilage")])[0];
    // Voxel count of the reference; ray casting of other software gives a mean of 2.250 mm.
    assert!((real(&thickness, "volume_mm3", row) - 14_663.471).abs() < 0.01);
    assert!((real(&thickness, "mean_mm", row) - 2.250).abs() < 0.05);
    for column in ["volume_mm3", "articular_area_mm2"] {
        let part = |region| {
            let at = rows(&thickness, &[("session_id", "ses-post"), ("region", region)])[0];
            real(&thickness, column, at)
        };
        let parts = ["mTrF", "cMF", "pMF", "lTrF", "cLF", "pLF"].map(part);
        assert!(parts.iter().all(|&part| part > 0.04 * parts.iter().sum::<f64>()), "{parts:?}");
        let share = parts.iter().sum::<f64>() / real(&thickness, column, row);
        assert!((share - 1.0).abs() < 1e-9, "{column}: {share}");
    }

    let folder = "out/sub-01/ses-pre/anat";
    let stem = "bids/sub-01/ses-pre/anat/sub-01_ses-pre_acq-rightknee";
    study.require_affine(folder, &["_T2map", "keep_mask"], &format!("{stem}_MESE.nii.gz"));
    study.require_affine(folder, &["_thickness"], &format!("{stem}dess_dseg.nii.gz"));
    // The same files twice. Voxels near the gate fall to either side by other random numbers.
    let knees = study.table("out", "knees");
    let naive = rows(&regions, &[("parameter", "t2"), ("selection", "naive")]);
    let at = rows(&knees, &[("parameter", "thickness"), ("region", "femoral_cartilage")]);
    for (table, at) in [(&regions, naive), (&knees, at)] {
        assert_eq!(at.len(), 2);
        let [before, after] = [0, 1].map(|k| real(table, "median", at[k]));
        assert_eq!(before.to_bits(), after.to_bits());
    }
}
