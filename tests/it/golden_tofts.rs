//! Exchange between plasma and tissue against public reference objects.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use biomarker::acquisition::{Dynamic, PlasmaCurve, Protocol};
use biomarker::fit::{FitMethod, FitSettings, estimator};
use biomarker::model::{Detail, Estimator, Fit, FitBlock, FitStatus, LaneData, VoxelData, find};
use biomarker::perfusion::{
    ExchangeEstimator, ExchangeSettings, TissueModel, TissueParameters, TissueSamples,
    extended_tofts,
};

use crate::shared_data;

/// Columns of a table whose cells hold no commas.
fn columns(path: &Path) -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        for (name, cell) in names.iter().zip(line.split(',')) {
            table.entry((*name).to_owned()).or_default().push(cell.to_owned());
        }
    }
    table
}

fn words(cell: &str) -> Vec<f64> {
    cell.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

fn protocol(frame_times_s: &[f64], plasma: &[f64]) -> Dynamic {
    let curve = PlasmaCurve::new(frame_times_s.to_vec(), plasma.to_vec()).unwrap();
    let dynamic = Dynamic::new(frame_times_s.to_vec(), 0.005, 0.4).unwrap();
    dynamic.with_plasma_curve(curve).unwrap()
}

fn fit(tissue: TissueModel, protocol: Dynamic, curve: &[f64]) -> Fit {
    let settings = ExchangeSettings { protocol, tissue, samples: TissueSamples::Concentrations };
    run(&ExchangeEstimator::new(&settings).unwrap(), curve)
}

fn run(estimator: &dyn Estimator, samples: &[f64]) -> Fit {
    let mut fit = Fit::new(estimator.parameters().len());
    let mut scratch = vec![0.0; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed: &[] }, &mut scratch, &mut fit);
    fit
}

/// Every case of the OSIPI collection's Tofts object, within its tolerances: Ktrans 0.005/min + 10 %,
/// ve 0.05.
#[test]
fn the_osipi_tofts_object_is_recovered() {
    let Some(data) = shared_data::folder("the_osipi_tofts_object_is_recovered") else { return };
    let table = columns(&data.join("dce/osipi/DCEmodels/data/dce_DRO_data_tofts.csv"));
    let labels = &table["label"];
    assert!(labels.len() >= 20);
    for (case, label) in labels.iter().enumerate() {
        let number = |name: &str| table[name][case].trim().parse::<f64>().unwrap();
        let [times, curve, plasma] = ["t", "C", "ca"].map(|name| words(&table[name][case]));
        let fit = fit(TissueModel::Tofts, protocol(&times, &plasma), &curve);
        let (ktrans, ve) = (number("Ktrans"), number("ve"));
        let found = [60.0 * fit.estimates[0], fit.estimates[1]];
        assert!(fit.status.has_estimate(), "{label}");
        assert!((found[0] - ktrans).abs() < 0.005 + 0.1 * ktrans, "{label}: {found:?} {ktrans}");
        assert!((found[1] - ve).abs() < 0.05, "{label}: {found:?} {ve}");
    }
}

/// The general path through the registry ends where the search over rates does.
#[test]
fn levenberg_marquardt_from_the_registry_finds_the_same_optimum() {
    let times: Vec<f64> = (0..40).map(|k| f64::from(k) * 4.0).collect();
    let plasma: Vec<f64> = times
        .iter()
        .map(|t| {
            let since = (t - 20.0_f64).max(0.0) / 60.0;
            40.0 * since * (-since / 0.12).exp()
                + (1.0 - (-since / 0.2).exp()) * (-since / 5.0).exp()
        })
        .collect();
    let protocol = protocol(&times, &plasma);
    for tissue in [TissueModel::Tofts, TissueModel::ExtendedTofts] {
        let entry = find(tissue.name()).unwrap();
        let model = (entry.build)(&Protocol::Dynamic(protocol.clone())).unwrap();
        let mut curve = vec![0.0; 40];
        model.signal(&[0.004, 0.3, 0.05][..entry.parameters.len()], &[], &mut curve);
        for (k, value) in curve.iter_mut().enumerate() {
            *value += 0.01 * ((k * 7919 % 101) as f64 / 50.0 - 1.0);
        }
        let general = FitSettings { method: FitMethod::General, ..FitSettings::default() };
        let dynamic = Protocol::Dynamic(protocol.clone());
        let general = run(estimator(entry, &dynamic, &general).unwrap().as_ref(), &curve);
        let own = fit(tissue, protocol.clone(), &curve);
        assert_eq!((general.status, own.status), (FitStatus::Converged, FitStatus::Converged));
        assert!(own.residual_sum_of_squares <= general.residual_sum_of_squares * (1.0 + 1e-4));
        for (parameter, (one, other)) in own.estimates.iter().zip(&general.estimates).enumerate() {
            assert!((one / other - 1.0).abs() < 1e-5, "{parameter}: {one} {other}");
            let place = parameter * (entry.parameters.len() + 1);
            let ratio = own.unscaled_covariance[place] / general.unscaled_covariance[place];
            // Standard errors are those of the curves to 1e-4.
            assert!((ratio - 1.0).abs() < 1e-3, "{parameter}: {ratio}");
        }
    }
}

/// Concentrations of one voxel of `golden/tofts.py`, mM.
fn golden_curve(voxel: usize, times_s: &[f64], plasma: &[f64]) -> Vec<f64> {
    let part = |step: f64| ((voxel + 1) as f64 * step).fract();
    let tissue = TissueParameters {
        ktrans_per_s: (0.05 + 0.35 * part(0.618_033_988_7)) / 60.0,
        ve: 0.1 + 0.4 * part(0.754_877_666_2),
        vp: 0.02 + 0.08 * part(0.569_840_291_0),
    };
    let mut curve = vec![0.0; times_s.len()];
    extended_tofts(times_s, plasma, &tissue, &mut curve).unwrap();
    let voxel = (voxel + 1) as f64;
    for (k, value) in curve.iter_mut().enumerate() {
        let frame = (k + 1) as f64;
        *value += 0.04 * (12.9898 * frame + 78.233 * voxel + 3.7 * frame * voxel).sin();
    }
    curve
}

/// The fits of all voxels of `golden/tofts.py`.
fn golden_fits() -> FitBlock {
    let times_s: Vec<f64> = (0..60).map(|frame| 5.0 * f64::from(frame)).collect();
    let plasma = |time_s: &f64| {
        let since = (time_s - 25.0).max(0.0);
        6.0 * (since / 20.0) * (1.0 - since / 20.0).exp() + 1.5 * (1.0 - (-since / 15.0).exp())
    };
    let plasma: Vec<f64> = times_s.iter().map(plasma).collect();
    let settings = ExchangeSettings {
        protocol: protocol(&times_s, &plasma),
        tissue: TissueModel::ExtendedTofts,
        samples: TissueSamples::Concentrations,
    };
    let curves: Vec<Vec<f64>> =
        (0..512).map(|voxel| golden_curve(voxel, &times_s, &plasma)).collect();
    let samples: Vec<f64> =
        (0..times_s.len()).flat_map(|k| curves.iter().map(move |curve| curve[k])).collect();
    let mut fits = FitBlock::new(3, Detail::Everything);
    let lanes = LaneData { samples: &samples, fixed: &[], n_lanes: 512 };
    ExchangeEstimator::new(&settings).unwrap().estimate_block(lanes, &mut fits);
    fits
}

/// 512 noisy voxels against the best of ten starts of scipy, polished (`golden/tofts.py`): Ktrans and
/// ve to 1e-6 of their value, vp to 1e-7.
#[test]
fn noisy_voxels_are_at_the_optimum_that_scipy_finds_from_ten_starts() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("golden/tofts.json")).unwrap();
    let rows = golden["estimates"].as_array().unwrap();
    assert_eq!(rows.len(), 512);
    let fits = golden_fits();
    let mut largest = [0.0_f64; 3];
    for (voxel, row) in rows.iter().enumerate() {
        assert!(fits.status[voxel].has_estimate());
        for (parameter, largest) in largest.iter_mut().enumerate() {
            let expected = row[parameter].as_f64().unwrap();
            let scale = if parameter == 2 { 1.0 } else { expected };
            let off = (fits.estimates[parameter][voxel] - expected).abs() / scale;
            *largest = largest.max(off);
        }
    }
    assert!(largest[0] < 1e-6 && largest[1] < 1e-6 && largest[2] < 1e-7, "{largest:?}");
}
