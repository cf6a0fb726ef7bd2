//! Simulated tumours through the whole way, in every order and reading that the pipeline offers.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use biomarker::pipeline::Silent;
use biomarker::pipeline::sweep::{self, Sweep};
use biomarker::pipeline::trial::{Outcome, outcomes};
use biomarker::simulate::{NeuroblastomaSettings, Preset};

use crate::program::{argument, biomarker, number, project, rows};

fn run(changes: &[&[&str]]) -> Vec<Vec<Outcome>> {
    let settings = NeuroblastomaSettings::new(Preset::Small, 3);
    let changes: Vec<Vec<String>> =
        changes.iter().map(|changes| changes.iter().map(|&c| c.to_owned()).collect()).collect();
    outcomes(&settings, &changes, &Silent).unwrap()
}

fn of<'a>(outcomes: &'a [Outcome], parameter: &str) -> impl Iterator<Item = &'a Outcome> {
    outcomes.iter().filter(move |outcome| outcome.parameter == parameter)
}

/// Every way must find the viable ADC: contaminant lies several SD above it in all but the second
/// ganglioneuroma, whose tissues overlap (1.67 and 2.6, 10 % each).
#[test]
fn every_order_and_summary_finds_the_viable_tissue() {
    let ways: [&[&str]; 6] = [
        &[],
        &["fit.adc.habitat.summary=moments"],
        &["fit.adc.habitat.order=cluster_gate", "fit.adc.habitat.summary=moments"],
        &["fit.adc.habitat.order=cluster_gate", "fit.adc.gate.relative_to=habitat_mean"],
        &["fit.adc.habitat.order=fit_cluster_fit", "fit.adc.habitat.summary=gaussian_histogram"],
        &["fit.adc.habitat.summary=mean_signal"],
    ];
    for (way, outcomes) in ways.iter().zip(run(&ways)) {
        assert_eq!(of(&outcomes, "adc").count(), 6);
        for outcome in of(&outcomes, "adc") {
            let error = outcome.method.unwrap() / outcome.truth - 1.0;
            assert!(error.abs() < 0.025, "{way:?} {}: {error}", outcome.participant_id);
            let naive = outcome.naive.unwrap() / outcome.truth - 1.0;
            assert!(naive > 0.05 && naive > 4.0 * error.abs(), "{way:?}: naive {naive}");
            let relative = outcome.standard_error.unwrap() / outcome.truth;
            // u of a voxel is a few percent, and some hundred voxels make the mean.
            assert!((1e-5..0.02).contains(&relative), "{way:?}: {relative}");
        }
    }
}

/// Half of the central interval and the Cramér–Rao bound are the SD where noise is small; the gate
/// then keeps the same voxels but for a few at its edge.
#[test]
fn readings_of_the_uncertainty_agree_where_noise_is_small() {
    let [sd, half, bound] = <[_; 3]>::try_from(run(&[
        &[],
        &["gate.reading=half_interval"],
        &["gate.reading=cramer_rao"],
    ]))
    .unwrap();
    for (sd, other) in
        of(&sd, "adc").zip(of(&half, "adc")).chain(of(&sd, "adc").zip(of(&bound, "adc")))
    {
        let difference = sd.kept_fraction - other.kept_fraction;
        assert!(difference.abs() < 0.02, "{}: {difference}", sd.participant_id);
        let relative = sd.method.unwrap() / other.method.unwrap() - 1.0;
        assert!(relative.abs() < 0.003, "{}: {relative}", sd.participant_id);
    }
}

/// The images of the cohort lie where their headers say: bringing them together must change little.
/// Noise moves volumes by up to an eighth of a voxel; interpolation then mixes viable voxels with that
/// much of neighbours of two to three times their ADC. A region that is registered loses or gains
/// voxels at its border, which enhance as those inside.
#[test]
fn images_that_lie_right_stay_where_they_are() {
    let [plain, moved] = <[_; 2]>::try_from(run(&[
        &[],
        &[
            "fit.adc.motion=rigid",
            "fit.iauc60.region.register_from={ suffix = \"dwi\", datatype = \"dwi\" }",
        ],
    ]))
    .unwrap();
    for (plain, moved) in plain.iter().zip(&moved) {
        let relative = moved.method.unwrap() / plain.method.unwrap() - 1.0;
        assert!(relative.abs() < 0.03, "{} {}: {relative}", plain.participant_id, plain.parameter);
    }
}

/// The artery of the simulation carries the population curve; the tumours take up nothing else.
#[test]
fn areas_over_that_of_blood_are_pure_numbers() {
    let normalised = run(&[&[
        "fit.iauc60.dynamic.variant=blood_normalised",
        "fit.iauc60.dynamic.arterial_input=measured",
        "fit.iauc60.dynamic.artery={ suffix = \"mask\", label = \"aorta\" }",
        "fit.iauc60.dynamic.artery_t10_ms=1600",
    ]]);
    let areas: Vec<&Outcome> =
        normalised[0].iter().filter(|outcome| outcome.parameter != "adc").collect();
    assert_eq!(areas.len(), 6);
    for outcome in areas {
        assert_ne!(outcome.parameter, "iauc60");
        // Parker's curve: 96.99 mM s over the first minute, sampled every three seconds.
        let blood = outcome.truth / outcome.method.unwrap();
        assert!((blood / 96.99 - 1.0).abs() < 0.12, "{}: {blood}", outcome.participant_id);
    }
}

/// A noise level that is too large keeps voxels out.
#[test]
fn sweeps_say_what_was_changed() {
    let points = sweep::points(&[Sweep::Sigma], (Preset::Small, 3), &Silent).unwrap();
    assert_eq!(points.len(), 5 * 2 * 3);
    let kept = |value: &str| {
        let own = points.iter().filter(|p| p.value == value && p.parameter == "iauc60");
        own.map(|point| point.kept_fraction).sum::<f64>()
    };
    // Tissue enhances far above the gate or not at all: a smaller σ lets nothing more through.
    assert!(kept("0.7") >= kept("1") && kept("1") > kept("1.3"));
    let folder = tempfile::tempdir().unwrap();
    sweep::write(&points, (Preset::Small, 3), folder.path()).unwrap();
    let page = std::fs::read_to_string(folder.path().join("sweeps.md")).unwrap();
    assert!(page.contains("## sigma") && page.contains("Simulated throughout"), "{page}");
    assert!(folder.path().join("sweeps.parquet").exists());
}

/// ADC and IAUC60 of one tumour on different grids, clustered together; the volumes aligned before.
#[test]
fn joint_habitats_and_transforms_stand_in_their_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, output) = (project("pipelines/neuroblastoma.toml"), folder.path().join("out"));
    let ended = biomarker(
        folder.path(),
        &[
            "run",
            &argument(&pipeline),
            "--output",
            &argument(&output),
            "--participant-label",
            "05",
            "--set",
            "joint_habitat=[{ fits = [\"adc\", \"iauc60\"], clusters = 0 }]",
            "--set",
            "fit.adc.motion=rigid",
            "-q",
        ],
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let habitats = rows(&output.join("tables/habitats.tsv"));
    let joint: Vec<_> = habitats.iter().filter(|row| row["region"] == "adc_iauc60").collect();
    let k = number(joint[0], "k") as usize;
    assert_eq!(joint.len(), 2 * k);
    assert!((1..=3).contains(&k) && number(joint[0], "gap_k") >= 1.0);
    assert!(joint.iter().all(|row| number(row, "n_corr") >= 1.0));
    let fractions: f64 = joint.iter().map(|row| number(row, "fraction")).sum();
    assert!((fractions - 2.0).abs() < 1e-12);
    assert!(output.join("sub-05/dwi/sub-05_desc-adciauc60habitat_dseg.nii.gz").exists());
    let transforms = rows(&output.join("tables/transforms.tsv"));
    assert_eq!(transforms.len(), 7);
    // The volume with the least weighting is the reference; voxels measure 4 x 4 x 5 mm.
    assert!(number(&transforms[0], "displacement_max_mm").abs() < 1e-12);
    assert!(transforms.iter().all(|row| number(row, "displacement_max_mm") < 1.0));
}
