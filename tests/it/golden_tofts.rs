//! Exchange between plasma and tissue against public reference objects.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use biomarker::acquisition::{Dynamic, PlasmaCurve, Protocol};
use biomarker::fit::{FitMethod, FitSettings, estimator};
use biomarker::model::{Estimator, Fit, FitStatus, VoxelData, find};
use biomarker::perfusion::{ExchangeEstimator, ExchangeSettings, TissueModel, TissueSamples};

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
