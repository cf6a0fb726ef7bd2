//! The simulated cohorts from outside: their truth, their signals, their noise and their files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;

use biomarker::acquisition::{Diffusion, Dynamic, MultiEcho, VariableFlipAngle};
use biomarker::image::{Samples, Series};
use biomarker::simulate::{
    Content, NeuroblastomaSettings, PhantomModel, PhantomSettings, Preset, ShiftDesign,
    SimulatedCohort, SimulatedStudy, UltramarathonSettings, neuroblastoma, phantom, truth_file,
    ultramarathon,
};
use serde_json::Value;

fn series<'a>(study: &'a SimulatedStudy, stem: &str) -> &'a Series {
    match &study.image(stem).unwrap().content {
        Content::Series { series, .. } => series,
        other => panic!("{stem} is {other:?}"),
    }
}

fn map<'a>(study: &'a SimulatedStudy, stem: &str) -> &'a [f32] {
    match &study.image(stem).unwrap().content {
        Content::Map(map) => map.volume.voxels(),
        other => panic!("{stem} is {other:?}"),
    }
}

fn numbers(sidecar: &Value, key: &str) -> Vec<f64> {
    sidecar[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (values.len() as f64 - 1.0)).sqrt())
}

fn small_tumours() -> SimulatedCohort {
    neuroblastoma(NeuroblastomaSettings::new(Preset::Small, 1)).unwrap()
}

#[test]
fn true_viable_means_of_the_images_have_the_class_mean_and_spread_exactly() {
    let settings = NeuroblastomaSettings::new(Preset::Small, 3).noise_free();
    let cohort = neuroblastoma(settings).unwrap();
    let studies: Vec<_> = cohort.studies().map(Result::unwrap).collect();
    let classes: Vec<&str> = cohort.tables[0].rows.iter().map(|row| row[1].as_str()).collect();
    for (class, parameter, mean, percent) in [
        ("GN", "adc", 1.2e-3, 37.0),
        ("GNB", "adc", 0.74e-3, 43.0),
        ("NB", "adc", 0.54e-3, 20.0),
        ("NB", "iauc60", 43.0, 14.0),
    ] {
        let members = studies.iter().zip(&classes).filter(|(_, c)| **c == class);
        let values: Vec<f64> =
            members.map(|(s, _)| s.true_value("viable", parameter, "mean").unwrap()).collect();
        let (m, sd) = mean_and_sd(&values);
        assert!((m / mean - 1.0).abs() < 1e-12, "{class} {parameter} {m}");
        assert!((100.0 * sd / m - percent).abs() < 1e-9, "{class} {parameter} {sd}");
    }
}

#[test]
fn tumours_are_large_enough_and_mixed_as_designed() {
    for study in small_tumours().studies().map(Result::unwrap) {
        let value = |region: &str, what: &str| study.true_value(region, "adc", what).unwrap();
        assert!(value("tumour", "n_voxels") >= 800.0);
        let mixed = value("viable", "fraction") * value("viable", "mean")
            + value("contaminant", "fraction") * value("contaminant", "mean");
        assert!((mixed / value("tumour", "mean") - 1.0).abs() < 1e-12);
        let iauc60 = |region: &str| study.true_value(region, "iauc60", "mean").unwrap();
        assert!(iauc60("contaminant").abs() < 1e-300);
        let fraction = study.true_value("viable", "iauc60", "fraction").unwrap();
        assert!((iauc60("tumour") - fraction * iauc60("viable")).abs() < 1e-9);
    }
}

#[test]
fn noise_free_diffusion_signals_are_exponential_decays_of_the_true_map() {
    let settings = NeuroblastomaSettings::new(Preset::Small, 3).noise_free();
    let study = neuroblastoma(settings).unwrap().study(4).unwrap();
    let image = study.image("sub-05/dwi/sub-05_dwi").unwrap();
    let Content::Series { series, gradients: Some(table) } = &image.content else { panic!() };
    let b_values = &table.b_values_s_per_mm2;
    assert_eq!(table.directions.len(), b_values.len());
    Diffusion::new(b_values.clone()).unwrap();
    let truth = map(&study, "derivatives/truth/sub-05/dwi/sub-05_desc-truth_ADC");
    let inside: Vec<usize> = (0..truth.len()).filter(|&voxel| truth[voxel] > 0.0).collect();
    for &voxel in &inside {
        let decay = (series.signal(voxel, 0) / series.signal(voxel, 6)).ln();
        let adc = decay / (b_values[6] - b_values[0]);
        // The map is stored in single precision.
        assert!((adc / f64::from(truth[voxel]) - 1.0).abs() < 1e-6);
    }
    assert!(inside.len() >= 800);
}

/// Concentration by inverting the spoiled-echo equation frame by frame, then the trapezoid rule.
#[test]
fn noise_free_dynamic_signals_integrate_to_the_true_area() {
    let settings = NeuroblastomaSettings::new(Preset::Small, 3).noise_free();
    let study = neuroblastoma(settings).unwrap().study(5).unwrap();
    let image = study.image("sub-06/perf/sub-06_dce").unwrap();
    let series = series(&study, "sub-06/perf/sub-06_dce");
    let times = numbers(&image.sidecar, "VolumeTiming");
    let tr = image.sidecar["RepetitionTimeExcitation"].as_f64().unwrap();
    let angle = image.sidecar["FlipAngle"].as_f64().unwrap().to_radians();
    Dynamic::new(times.clone(), tr, angle).unwrap();
    assert!(times.windows(2).any(|pair| (pair[1] - pair[0] - 3.0).abs() > 0.5));
    let arrival = study.true_value("tumour", "dynamic_timing", "bolus_arrival").unwrap();
    let t1 = map(&study, "sub-06/anat/sub-06_T1map");
    let truth = map(&study, "derivatives/truth/sub-06/perf/sub-06_desc-iauc60_mimap");
    for voxel in (0..truth.len()).filter(|&voxel| truth[voxel] > 0.0) {
        let r10 = 1.0 / f64::from(t1[voxel]);
        let recovery = (-tr * r10).exp();
        let (sine, cosine) = angle.sin_cos();
        let m0 = series.signal(voxel, 0) * (1.0 - cosine * recovery) / (sine * (1.0 - recovery));
        let concentration = |frame: usize| {
            let s = series.signal(voxel, frame);
            let e = (m0 * sine - s) / (m0 * sine - s * cosine);
            (-e.ln() / tr - r10) / 4.5
        };
        let inside: Vec<usize> = (0..times.len())
            .filter(|&frame| (arrival..=arrival + 60.0).contains(&times[frame]))
            .collect();
        let (first, last) = (inside[0], inside[inside.len() - 1]);
        let between = |frame: usize, time: f64| {
            let weight = (time - times[frame]) / (times[frame + 1] - times[frame]);
            concentration(frame) * (1.0 - weight) + concentration(frame + 1) * weight
        };
        let mut points = vec![(arrival, between(first - 1, arrival))];
        points.extend(inside.iter().map(|&frame| (times[frame], concentration(frame))));
        points.push((arrival + 60.0, between(last, arrival + 60.0)));
        let area: f64 =
            points.windows(2).map(|p| 0.5 * (p[1].0 - p[0].0) * (p[1].1 + p[0].1)).sum();
        // The trapezoid rule on 3 s frames misses the bend at arrival and the first-pass peak.
        assert!((area / f64::from(truth[voxel]) - 1.0).abs() < 0.01, "{area} {}", truth[voxel]);
    }
}

#[test]
fn background_of_every_series_has_the_rayleigh_standard_deviation() {
    let study = small_tumours().study(0).unwrap();
    for (stem, noise) in
        [("sub-01/dwi/sub-01_dwi", "diffusion_noise"), ("sub-01/perf/sub-01_dce", "dynamic_noise")]
    {
        let series = series(&study, stem);
        let sigma = study.true_value("tumour", noise, "sigma").unwrap();
        let [nx, ny, nz] = series.grid().shape();
        let corner = |voxel: &usize| {
            let [i, j, _] = series.grid().voxel(*voxel);
            (i < nx / 8 || i >= nx - nx / 8) && (j < ny / 8 || j >= ny - ny / 8)
        };
        let air: Vec<f64> = (0..nx * ny * nz)
            .filter(corner)
            .flat_map(|voxel| (0..series.n_volumes()).map(move |k| series.signal(voxel, k)))
            .collect();
        let (mean, sd) = mean_and_sd(&air);
        // Four standard errors, and 0.3 % for rounding to integers.
        let error = 4.0 * 0.6551 / (air.len() as f64).sqrt() + 0.003;
        assert!(air.len() > 5000);
        assert!((sd / sigma - 0.6551).abs() < error, "{stem} {}", sd / sigma);
        assert!((mean / sigma - 1.2533).abs() < error, "{stem} {}", mean / sigma);
    }
}

/// Air is where the same knee without noise has no signal.
#[test]
fn air_around_the_knee_is_large_enough_to_estimate_noise_from() {
    let settings = UltramarathonSettings::new(Preset::Small, 4);
    let silent = ultramarathon(settings.clone().noise_free()).unwrap().study(2).unwrap();
    let study = ultramarathon(settings).unwrap().study(2).unwrap();
    let base = "sub-02/ses-pre/anat/sub-02_ses-pre_acq-rightknee";
    for (stem, noise) in [("_echo-1_MESE", "multi_echo_noise"), ("dess_T2w", "anatomical_noise")] {
        let stem = format!("{base}{stem}");
        let signals = series(&silent, &stem);
        let noisy = series(&study, &stem);
        let sigma = study.true_value("rightknee", noise, "sigma").unwrap();
        let air: Vec<f64> = (0..signals.grid().n_voxels())
            .filter(|&voxel| signals.signal(voxel, 0).abs() < 1e-300)
            .map(|voxel| noisy.signal(voxel, 0) / sigma)
            .collect();
        assert!(air.len() >= 1000, "{}", air.len());
        let (_, sd) = mean_and_sd(&air);
        // Four standard errors, and 0.3 % for rounding to integers.
        let error = 4.0 * 0.6551 / (air.len() as f64).sqrt() + 0.003;
        assert!((sd - 0.6551).abs() < error, "{stem} {sd}");
    }
}

#[test]
fn a_volume_of_interest_needs_scanner_coordinates() {
    let study = small_tumours().study(2).unwrap();
    let mask = |stem: &str| match &study.image(stem).unwrap().content {
        Content::Mask(mask) => mask.clone(),
        other => panic!("{other:?}"),
    };
    let diffusion = mask("derivatives/manual/sub-03/dwi/sub-03_label-tumour_mask");
    let dynamic = mask("derivatives/truth/sub-03/perf/sub-03_label-tumour_mask");
    assert!(diffusion.grid().require_same(dynamic.grid()).is_err());
    let transferred: BTreeSet<usize> = (0..dynamic.grid().n_voxels())
        .filter(|&voxel| {
            let nearest = diffusion.grid().nearest(dynamic.grid().position_mm(voxel));
            nearest.is_some_and(|voxel| diffusion.contains(voxel))
        })
        .collect();
    let truth: BTreeSet<usize> = dynamic.indices().iter().copied().collect();
    let common = truth.intersection(&transferred).count();
    let dice = 2.0 * common as f64 / (truth.len() + transferred.len()) as f64;
    // Half a voxel of 4–6 mm at the surface of a body of 25 mm radius.
    assert!(dice > 0.88, "{dice}");
}

/// Every file of a dataset, in the order it is written.
fn stems(cohort: &SimulatedCohort) -> Vec<String> {
    let studies = cohort.studies().map(Result::unwrap);
    studies.flat_map(|study| study.images.into_iter().map(|image| image.stem)).collect()
}

#[test]
fn every_file_has_a_name_of_its_own() {
    for cohort in
        [small_tumours(), ultramarathon(UltramarathonSettings::new(Preset::Small, 1)).unwrap()]
    {
        let stems = stems(&cohort);
        assert_eq!(stems.iter().collect::<BTreeSet<_>>().len(), stems.len());
        assert_eq!(cohort.tables[0].stem, "participants");
        assert!(cohort.tables.iter().all(|t| t.rows.iter().all(|r| r.len() == t.columns.len())));
        assert_eq!(cohort.descriptions[0].1["DatasetType"], "raw");
    }
}

#[test]
fn a_study_is_the_same_for_every_number_of_threads_and_every_order() {
    let generate = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let runner = ultramarathon(UltramarathonSettings::new(Preset::Small, 9)).unwrap();
            (small_tumours().study(1).unwrap(), runner.study(3).unwrap())
        })
    };
    let reference = generate(1);
    for threads in [2, 3, 8] {
        assert!(generate(threads) == reference, "{threads}");
    }
    let cohort = small_tumours();
    let in_order = cohort.studies().nth(1).unwrap().unwrap();
    assert!(in_order == reference.0);
    let other = neuroblastoma(NeuroblastomaSettings::new(Preset::Small, 2)).unwrap();
    assert!(other.study(1).unwrap() != reference.0);
}

/// True statistic of every knee: (control before, control after, treated before, treated after).
fn knee_values(cohort: &SimulatedCohort, parameter: &str, statistic: &str) -> [Vec<f64>; 4] {
    let mut values = [const { Vec::new() }; 4];
    for (index, study) in cohort.studies().map(Result::unwrap).enumerate() {
        let treated = cohort.tables[0].rows[index / 2][1].as_str();
        for side in ["right", "left"] {
            let value = study.true_value(&format!("{side}knee"), parameter, statistic).unwrap();
            values[2 * usize::from(side == treated) + index % 2].push(value);
        }
    }
    values
}

fn changes(before: &[f64], after: &[f64]) -> Vec<f64> {
    before.iter().zip(after).map(|(before, after)| after - before).collect()
}

#[test]
fn true_t2_of_the_knees_changes_by_the_planned_mean_and_spread() {
    let cohort = ultramarathon(UltramarathonSettings::new(Preset::Small, 4)).unwrap();
    for (statistic, control, treated) in [("median", 0.833, 0.423), ("p25", 1.001, 0.516)] {
        let [a, b, c, d] = knee_values(&cohort, "t2", statistic);
        for (before, after, d_z) in [(&a, &b, control), (&c, &d, treated)] {
            assert_eq!(before.len(), 4);
            let (mean, sd) = mean_and_sd(&changes(before, after));
            assert!((sd - 1.5e-3).abs() < 1e-14, "{sd}");
            assert!((mean / sd - d_z).abs() < 6e-4, "{}", mean / sd);
        }
    }
    let [a, b, c, d] = knee_values(&cohort, "thickness", "mean");
    for change in changes(&a, &b).into_iter().chain(changes(&c, &d)) {
        assert!(change.abs() <= 0.0201, "{change}");
    }
}

#[test]
fn group_truth_states_what_the_knees_do() {
    let mut settings = UltramarathonSettings::new(Preset::Abstract, 4);
    settings.shifts = ShiftDesign::SignedRank;
    let cohort = ultramarathon(settings).unwrap();
    assert_eq!(cohort.n_studies(), 18);
    let row = |group: &str, statistic: &str| {
        let rows = &cohort.group_truth;
        let found = rows.iter().find(|r| {
            r.group == group && r.parameter == "t2_median_change" && r.statistic == statistic
        });
        found.unwrap().value
    };
    let control = [0.35, 0.7, 1.0, 1.3, -1.6, 1.9, 2.3, 2.7, 3.2].map(|ms| 1e-3 * ms);
    let (mean, sd) = mean_and_sd(&control);
    assert!((row("control", "mean") - mean).abs() < 1e-15);
    assert!((row("control", "d_z") - mean / sd).abs() < 1e-12);
    assert_eq!(cohort.group_truth_file().rows.len(), 12);
}

#[test]
fn noise_free_echoes_decay_with_the_true_t2_inside_the_cartilage() {
    let settings = UltramarathonSettings::new(Preset::Small, 4).noise_free();
    let study = ultramarathon(settings).unwrap().study(1).unwrap();
    let base = "sub-01/ses-post/anat/sub-01_ses-post_acq-leftknee";
    let echo_time = |echo: usize| {
        let image = study.image(&format!("{base}_echo-{echo}_MESE")).unwrap();
        image.sidecar["EchoTime"].as_f64().unwrap()
    };
    MultiEcho::new((1..=6).map(echo_time).collect()).unwrap();
    let first = series(&study, &format!("{base}_echo-1_MESE"));
    let last = series(&study, &format!("{base}_echo-6_MESE"));
    let t2 = map(&study, &format!("derivatives/truth/{base}_desc-truth_T2map"));
    let fraction = map(&study, &format!("derivatives/truth/{base}_label-cartilage_probseg"));
    let pure: Vec<usize> =
        (0..t2.len()).filter(|&voxel| t2[voxel] > 0.0 && fraction[voxel] > 0.9999).collect();
    assert!(pure.len() > 100, "{}", pure.len());
    let errors: Vec<f64> = pure
        .iter()
        .map(|&voxel| {
            let decay = (first.signal(voxel, 0) / last.signal(voxel, 0)).ln();
            (echo_time(6) - echo_time(1)) / decay - f64::from(t2[voxel])
        })
        .collect();
    let (mean, _) = mean_and_sd(&errors);
    let worst = errors.iter().copied().map(f64::abs).fold(0.0, f64::max);
    // A voxel of 0.75 mm spans 0.3 of the depth, 6 ms of T2: the mean of its decays is a little
    // slower than the decay at its centre.
    assert!(mean.abs() < 3e-4 && worst < 1.2e-3, "{mean} {worst}");
}

#[test]
fn labels_fill_the_true_volume_and_lie_on_the_anatomical_grid() {
    let study = ultramarathon(UltramarathonSettings::new(Preset::Small, 4)).unwrap().study(0);
    let study = study.unwrap();
    for side in ["right", "left"] {
        let base = format!("sub-01/ses-pre/anat/sub-01_ses-pre_acq-{side}kneedess");
        let image = study.image(&format!("derivatives/manual/{base}_dseg")).unwrap();
        let Content::Labels(labels) = &image.content else { panic!() };
        series(&study, &format!("{base}_T2w")).grid().require_same(labels.grid()).unwrap();
        let volume_mm3 = 1e3 * labels.mask_of(&[1]).volume_ml();
        let truth = study.true_value(&format!("{side}knee"), "volume", "total").unwrap();
        // Lattice error of some 5000 voxels.
        assert!((volume_mm3 / truth - 1.0).abs() < 0.01, "{volume_mm3} {truth}");
        assert_eq!(
            (labels.name(1).as_str(), labels.name(5).as_str()),
            ("femoral cartilage", "femur")
        );
        assert!(labels.mask_of(&[5]).len() > labels.mask_of(&[1]).len());
    }
}

/// The true cartilage of the moved image is where the stated movement puts the labels.
#[test]
fn stated_movement_carries_the_labels_onto_the_moved_image() {
    let mut settings = UltramarathonSettings::new(Preset::Small, 4);
    settings.motion = biomarker::simulate::KneeMotion::RigidAndElastic;
    let study = ultramarathon(settings).unwrap().study(0).unwrap();
    let base = "sub-01/ses-pre/anat/sub-01_ses-pre_acq-rightknee";
    let image = study.image(&format!("derivatives/manual/{base}dess_dseg")).unwrap();
    let Content::Labels(labels) = &image.content else { panic!() };
    let truth_map = study.image(&format!("derivatives/truth/{base}_desc-truth_T2map")).unwrap();
    let Content::Map(truth) = &truth_map.content else { panic!() };
    let (region, motion) = &study.motions[0];
    assert_eq!(region, "rightknee");
    let agreement = |carry: &dyn Fn([f64; 3]) -> [f64; 3]| {
        let inside: Vec<[f64; 3]> = (0..truth.volume.grid().n_voxels())
            .filter(|&voxel| truth.volume.voxels()[voxel] > 0.0)
            .map(|voxel| carry(truth.volume.grid().position_mm(voxel)))
            .filter(|&position| labels.grid().nearest(position).is_some())
            .collect();
        let is_cartilage = |position: &&[f64; 3]| {
            let voxel = labels.grid().nearest(**position).unwrap();
            labels.volume().voxels()[voxel] == 1
        };
        inside.iter().filter(is_cartilage).count() as f64 / inside.len() as f64
    };
    let (moved, unmoved) = (agreement(&|p| motion.to_anatomy(p)), agreement(&|p| p));
    // Rounding to the nearest 0.7 mm voxel loses some of a sheet 1.5–3 mm thick.
    assert!(moved > 0.85 && moved > unmoved + 0.1, "{moved} {unmoved}");
    assert!(study.image(&format!("derivatives/truth/{base}_desc-motion_xfm")).is_some());
}

#[test]
fn phantoms_hold_their_parameters_and_their_protocols() {
    for model in PhantomModel::ALL {
        let settings = PhantomSettings { model, seed: 1, snr: None };
        let study = phantom(settings).unwrap().study(0).unwrap();
        let raw = study.images.iter().filter(|image| image.stem.starts_with("sub-01"));
        let n_volumes: usize = raw
            .filter_map(|image| match &image.content {
                Content::Series { series, .. } => Some(series.n_volumes()),
                _ => None,
            })
            .sum();
        let expected = match model {
            PhantomModel::Adc => 7,
            PhantomModel::T2 => 6,
            PhantomModel::VariableFlipAngleT1 => 5,
            PhantomModel::Iauc60 => 40,
        };
        assert_eq!(n_volumes, expected);
        assert_eq!(PhantomModel::from_name(model.name()).unwrap(), model);
    }
    let error = PhantomModel::from_name("t3").unwrap_err();
    assert_eq!(error.kind().exit_code(), 64);
    assert!(error.hint_text().unwrap().contains("t1_vfa"));
}

#[test]
fn phantom_signals_are_the_equations_of_their_maps() {
    let study =
        |model| phantom(PhantomSettings { model, seed: 1, snr: None }).unwrap().study(0).unwrap();
    let t2_study = study(PhantomModel::T2);
    let t2 = map(&t2_study, "derivatives/truth/sub-01/anat/sub-01_desc-truth_T2map");
    let s0 = map(&t2_study, "derivatives/truth/sub-01/anat/sub-01_desc-truth_S0map");
    let third = series(&t2_study, "sub-01/anat/sub-01_echo-3_MESE");
    let t1_study = study(PhantomModel::VariableFlipAngleT1);
    let t1 = map(&t1_study, "derivatives/truth/sub-01/anat/sub-01_desc-truth_T1map");
    let m0 = map(&t1_study, "derivatives/truth/sub-01/anat/sub-01_desc-truth_M0map");
    let angles: Vec<f64> = (1..=5)
        .map(|flip| {
            let stem = format!("sub-01/anat/sub-01_flip-{flip}_VFA");
            let angle = t1_study.image(&stem).unwrap().sidecar["FlipAngle"].as_f64().unwrap();
            angle.to_radians()
        })
        .collect();
    VariableFlipAngle::new(angles.clone(), 0.005).unwrap();
    for voxel in 0..t2.len() {
        let expected = f64::from(s0[voxel]) * (-0.03 / f64::from(t2[voxel])).exp();
        // Maps are stored in single precision.
        assert!((third.signal(voxel, 0) / expected - 1.0).abs() < 1e-6);
        for (flip, angle) in angles.iter().enumerate() {
            let series = series(&t1_study, &format!("sub-01/anat/sub-01_flip-{}_VFA", flip + 1));
            let e = (-0.005 / f64::from(t1[voxel])).exp();
            let expected = f64::from(m0[voxel]) * angle.sin() * (1.0 - e) / (1.0 - angle.cos() * e);
            assert!((series.signal(voxel, 0) / expected - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let mut settings = NeuroblastomaSettings::new(Preset::Small, 1);
    settings.diffusion_snr = Some(0.0);
    assert_eq!(neuroblastoma(settings.clone()).unwrap_err().field(), Some("diffusion_snr"));
    settings.diffusion_snr = None;
    settings.junk_fraction = f64::NAN;
    assert_eq!(neuroblastoma(settings.clone()).unwrap_err().field(), Some("junk_fraction"));
    settings.junk_fraction = 0.0;
    settings.contaminant_fraction = Some(1.0);
    let error = neuroblastoma(settings).unwrap_err();
    assert_eq!(error.to_string(), "`contaminant_fraction`: fraction 1 is not between 0 and 0.95");
    let mut settings = UltramarathonSettings::new(Preset::Small, 1);
    settings.multi_echo_snr = Some(f64::INFINITY);
    assert_eq!(ultramarathon(settings).unwrap_err().field(), Some("multi_echo_snr"));
    let settings = PhantomSettings { model: PhantomModel::T2, seed: 1, snr: Some(-3.0) };
    assert_eq!(phantom(settings).unwrap_err().field(), Some("snr"));
    assert!(small_tumours().study(6).is_err());
}

/// Bytes of the dataset as 16-bit images, 32-bit maps and 8-bit labels, compressed.
fn compressed_bytes(cohort: &SimulatedCohort) -> usize {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(9).unwrap());
    let mut compress = |bytes: &[u8]| {
        let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
        compressor.gzip_compress(bytes, &mut out).unwrap()
    };
    let mut total = 0;
    for study in cohort.studies().map(Result::unwrap) {
        for image in study.images {
            total += match image.content {
                Content::Series { series, .. } => {
                    let Samples::Single(stored) = series.samples() else { panic!() };
                    let bytes: Vec<u8> =
                        stored.iter().flat_map(|value| (*value as i16).to_le_bytes()).collect();
                    compress(&bytes)
                }
                Content::Mask(mask) => {
                    compress(&mask.volume().map(|&inside| u8::from(inside)).into_voxels())
                }
                Content::Labels(labels) => {
                    compress(&labels.volume().map(|&label| label as u8).into_voxels())
                }
                Content::Map(map) => {
                    let bytes: Vec<u8> =
                        map.volume.voxels().iter().flat_map(|value| value.to_le_bytes()).collect();
                    compress(&bytes)
                }
                Content::Record => image.sidecar.to_string().len(),
            };
        }
    }
    total
}

#[test]
fn small_presets_fit_into_a_repository() {
    let tumours = compressed_bytes(&small_tumours());
    assert!(tumours <= 4_000_000, "{tumours}");
    let knees = ultramarathon(UltramarathonSettings::new(Preset::Small, 1)).unwrap();
    let knees = compressed_bytes(&knees);
    assert!(knees <= 5_000_000, "{knees}");
}

#[test]
fn truth_becomes_a_table_with_one_row_per_number() {
    let study = small_tumours().study(0).unwrap();
    let file = truth_file(&study.truth);
    assert_eq!(file.stem, "derivatives/truth/truth");
    assert_eq!(file.rows.len(), study.truth.len());
    assert_eq!(file.rows[0][..4], ["sub-01", "n/a", "viable", "adc"]);
    assert!(file.dictionary()["units"]["Description"].is_string());
}
