//! Simulated runners whose knees moved between the images, through the whole way.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use biomarker::pipeline::Silent;
use biomarker::pipeline::trial::knees::{Place, WrittenCohort, placements};
use biomarker::simulate::{KneeMotion, Preset, UltramarathonSettings};

use crate::program::{argument, biomarker, number, project, rows};

const FEW: [&str; 2] =
    ["uncertainty.pseudo_experiments=20", "uncertainty.region_pseudo_experiments=20"];

/// Voxels of 0.75 mm show a sheet of 1.5–3 mm: under the known movement the median is right to the
/// 0.8 ms that knees that did not move are held to. Registration must come as near; the region carried
/// by scanner coordinates alone lies millimetres beside the cartilage.
#[test]
fn registration_recovers_t2_of_knees_that_moved() {
    let mut settings = UltramarathonSettings::new(Preset::Small, 4);
    settings.motion = KneeMotion::RigidAndElastic;
    let cohort = WrittenCohort::new(&settings).unwrap();
    let changes = FEW.map(str::to_owned);
    let found = cohort.run(&changes, &Silent).unwrap();
    assert_eq!(found.knees.len(), 16);
    let errors: Vec<f64> =
        found.knees.iter().map(|knee| knee.t2_ms[0].unwrap() - knee.t2_truth_ms[0]).collect();
    let size = |errors: &[f64]| errors.iter().map(|e| e.abs()).sum::<f64>() / errors.len() as f64;
    assert!(errors.iter().all(|error| error.abs() < 0.8), "{errors:?}");

    let folder = tempfile::tempdir().unwrap();
    let pipeline = argument(&project("pipelines/cartilage.toml"));
    let dataset = format!("study.dataset={:?}", argument(&cohort.dataset()));
    let arguments = ["run", &pipeline, "--set", &dataset, "--set", FEW[0], "--output", "o"];
    assert_eq!(biomarker(folder.path(), &arguments).code, 0);
    let unmoved = rows(&folder.path().join("o/tables/knees.tsv"));
    let unregistered: Vec<f64> = found
        .knees
        .iter()
        .map(|knee| {
            let is_meant = |row: &&std::collections::BTreeMap<String, String>| {
                row["participant_id"] == knee.participant_id
                    && row["session_id"] == knee.session_id
                    && row["side"] == knee.side
                    && row["parameter"] == "t2"
                    && row["layer"] == "full"
            };
            1e3 * number(unmoved.iter().find(is_meant).unwrap(), "median") - knee.t2_truth_ms[0]
        })
        .collect();
    let (with, without) = (size(&errors), size(&unregistered));
    assert!(with < 0.3 * without, "{with} ms registered, {without} ms by coordinates");

    // The same knees through both transforms: what registration adds is the difference.
    let placements = placements(&cohort, &changes).unwrap();
    assert_eq!(placements.len(), 16);
    for (placement, knee) in placements.iter().zip(&found.knees) {
        assert!(placement.distances.p95_mm < 0.5, "{:?}", placement.distances);
        assert_eq!(
            (&placement.participant_id, &placement.session_id),
            (&knee.participant_id, &knee.session_id)
        );
        for (place, t2_ms) in Place::ALL.iter().zip(placement.t2_ms) {
            let error = t2_ms[0] - knee.t2_truth_ms[0];
            assert!(error.abs() < 0.8, "{place:?}: {error} ms");
        }
    }
}
