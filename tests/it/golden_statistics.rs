//! Statistics against numpy, scipy, kmeans1d, scikit-learn, pyradiomics and the IBSI.
//!
//! `golden/statistics.json` is made by `golden/statistics.py` beside it. The other references lie
//! with the shared validation data, whose README names their source.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests panic and read files")]

use std::fs;
use std::io::Read;
use std::path::Path;

use biomarker::habitat;
use biomarker::random::StreamKey;
use biomarker::statistics::cluster_number::silhouette;
use biomarker::statistics::first_order::FirstOrder;
use biomarker::statistics::histogram::Histogram;
use biomarker::statistics::k_means::k_means;
use biomarker::statistics::mixture::Mixture;
use biomarker::statistics::multivariate::{self, Features};
use biomarker::statistics::normality::shapiro_wilk;
use biomarker::statistics::quantile::{quantile, robust_standard_deviation};
use biomarker::statistics::rank_test::{
    ContinuityCorrection, TieCorrection, Zeros, kruskal_wallis, rank_sum, signed_rank,
    signed_rank_with,
};
use biomarker::statistics::roc::{Direction, roc};
use biomarker::statistics::t_test::t_test;
use nifti::{IntoNdArray, NiftiObject};
use serde_json::Value;

use crate::shared_data;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/statistics.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[track_caller]
fn close(value: f64, expected: &Value, relative: f64) {
    let expected = number(expected);
    let distance = (value - expected).abs();
    assert!(distance <= relative * (1e-3 + expected.abs()), "{value} is not {expected}");
}

#[test]
fn descriptions_agree_with_numpy_and_scipy() {
    for case in golden()["descriptions"].as_array().unwrap() {
        let values = numbers(&case["values"]);
        let features = FirstOrder::of(&values).unwrap();
        close(features.variance, &case["variance"], 1e-12);
        close(features.standard_deviation.unwrap(), &case["standard_deviation"], 1e-12);
        close(features.skewness.unwrap(), &case["skewness"], 1e-11);
        close(features.excess_kurtosis.unwrap(), &case["excess_kurtosis"], 1e-11);
        let robust = robust_standard_deviation(&values).unwrap();
        close(robust, &case["robust_standard_deviation"], 1e-12);
        for (p, expected) in numbers(&case["probabilities"]).iter().zip(numbers(&case["quantiles"]))
        {
            assert!((quantile(&values, *p).unwrap() - expected).abs() < 1e-12 * (1.0 + expected));
        }
        let bins = Histogram::freedman_diaconis(&values, 512).unwrap().counts.len();
        assert_eq!(bins as u64, case["freedman_diaconis_bins"].as_u64().unwrap());
        let edges = numbers(&case["edges_of_7_bins"]);
        let counts = Histogram::with_edges(&values, &edges).unwrap().counts;
        assert_eq!(serde_json::json!(counts), case["counts_of_7_bins"]);
    }
}

#[test]
fn paired_tests_agree_with_scipy() {
    for case in golden()["paired"].as_array().unwrap() {
        let differences = numbers(&case["differences"]);
        let t = t_test(&differences).unwrap();
        close(t.t, &case["t"], 1e-12);
        close(t.p, &case["p_t"], 1e-9);
        close(t.d_z, &case["d_z"], 1e-12);
        for end in 0..2 {
            close(t.confidence_interval_95[end], &case["interval"][end], 1e-9);
        }
        let ranks = signed_rank(&differences).unwrap();
        close(ranks.hodges_lehmann, &case["hodges_lehmann"], 1e-12);
        let p = |continuity| ranks.p_asymptotic(continuity, TieCorrection::Corrected);
        close(p(ContinuityCorrection::Half), &case["p_continuity"], 1e-10);
        close(p(ContinuityCorrection::None), &case["p_plain"], 1e-10);
        if let Some(expected) = case.get("p_exact") {
            close(ranks.p_exact.unwrap(), expected, 1e-12);
        }
        assert_eq!(ranks.confidence_level.is_some(), !case["level"].is_null());
        if let Some(level) = ranks.confidence_level {
            close(level, &case["level"], 1e-12);
        }
        let ranked = signed_rank_with(&differences, Zeros::Ranked).unwrap();
        let p = |continuity| ranked.p_asymptotic(continuity, TieCorrection::Corrected);
        close(p(ContinuityCorrection::Half), &case["p_continuity_pratt"], 1e-10);
        close(p(ContinuityCorrection::None), &case["p_plain_pratt"], 1e-10);
        close(ranked.p_exact.unwrap(), &case["p_exact_pratt"], 1e-12);
        // scipy takes normal scores from a rational approximation that is good to about 1e-9.
        let normality = shapiro_wilk(&differences).unwrap();
        close(normality.w, &case["w"], 1e-7);
        close(normality.p, &case["p_w"], 1e-6);
    }
}

#[test]
fn independent_tests_agree_with_scipy() {
    let golden = golden();
    for case in golden["independent"].as_array().unwrap() {
        let (first, second) = (numbers(&case["first"]), numbers(&case["second"]));
        let test = rank_sum(&first, &second).unwrap();
        close(test.u, &case["u"], 1e-12);
        close(test.p_asymptotic, &case["p_asymptotic"], 1e-10);
        if let Some(expected) = case.get("p_exact") {
            close(test.p_exact.unwrap(), expected, 1e-12);
        }
        let curve = roc(&first, &second, Direction::HigherIsPositive).unwrap();
        close(curve.area, &case["area"], 1e-12);
        let interval = curve.confidence_interval_95.unwrap();
        for end in 0..2 {
            close(interval[end], &case["interval"][end], 1e-9);
        }
        let rates = curve.youden.rates;
        close(rates.sensitivity + rates.specificity - 1.0, &case["youden"], 1e-12);
    }
    for case in golden["kruskal"].as_array().unwrap() {
        let samples: Vec<Vec<f64>> =
            case["samples"].as_array().unwrap().iter().map(numbers).collect();
        let slices: Vec<&[f64]> = samples.iter().map(Vec::as_slice).collect();
        let test = kruskal_wallis(&slices).unwrap();
        close(test.h, &case["h"], 1e-11);
        close(test.p, &case["p"], 1e-10);
    }
}

#[test]
fn silhouette_agrees_with_the_full_distance_matrix() {
    let case = &golden()["silhouette"];
    let points: Vec<Vec<f64>> = case["points"].as_array().unwrap().iter().map(numbers).collect();
    let columns = [0, 1].map(|axis| points.iter().map(|p| p[axis]).collect::<Vec<f64>>());
    let features = Features::new(&[&columns[0], &columns[1]]).unwrap();
    let labels: Vec<usize> = numbers(&case["labels"]).iter().map(|&label| label as usize).collect();
    close(silhouette(&features, &labels).unwrap(), &case["silhouette"], 1e-12);
}

fn columns_of(path: &Path) -> Vec<Vec<f64>> {
    let text = fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<f64>> = text
        .lines()
        .map(|line| line.split(',').map(|field| field.parse().unwrap()).collect())
        .collect();
    (0..rows[0].len()).map(|column| rows.iter().map(|row| row[column]).collect()).collect()
}

#[test]
fn clusters_of_a_real_adc_sample_are_the_global_optimum_of_kmeans1d() {
    let Some(folder) = shared_data::folder("k_means") else { return };
    let folder = folder.join("stats/kmeans");
    let values = columns_of(&folder.join("px0000_adc_1e-6mm2_s.csv")).remove(0);
    let text = fs::read_to_string(folder.join("px0000_adc_and_iris_reference.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let reference = &reference["px0000_adc"];
    for k in 2..=5 {
        let found = k_means(&values, k).unwrap();
        let expected = &reference[k.to_string()];
        close(found.inertia, &expected["inertia"], 1e-12);
        let centroids = &expected["global_optimum_centroids(kmeans1d)"];
        for (centroid, expected) in found.centroids.iter().zip(centroids.as_array().unwrap()) {
            close(*centroid, expected, 1e-12);
        }
        assert_eq!(serde_json::json!(found.sizes), expected["sizes"]);
        // Fifty random starts reach this optimum at best.
        assert!(found.inertia <= number(&expected["sklearn_n_init50_inertia"]) * (1.0 + 1e-12));
    }
}

#[test]
fn joint_clusters_of_iris_reach_the_known_inertia() {
    let Some(folder) = shared_data::folder("iris") else { return };
    let columns = columns_of(&folder.join("stats/kmeans/iris.csv"));
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let found = multivariate::k_means(&Features::new(&slices).unwrap(), 3).unwrap();
    assert!((found.inertia - 78.851_441_426_146).abs() < 1e-9);
    assert_eq!(found.sizes, [50, 62, 38]);
    assert!((found.centroids[2][0] - 6.85).abs() < 1e-12);
}

/// The grey levels inside the mask of the IBSI digital phantom.
fn ibsi_phantom(folder: &Path) -> Vec<f64> {
    let read = |name: &str| -> Vec<f64> {
        let path = folder.join(format!("ibsi1/digital_phantom/nifti/{name}"));
        let object = nifti::ReaderOptions::new().read_file(path).unwrap();
        let array = object.into_volume().into_ndarray::<f64>().unwrap();
        array.iter().copied().collect()
    };
    let (image, mask) = (read("image/phantom.nii.gz"), read("mask/mask.nii.gz"));
    image.iter().zip(&mask).filter(|(_, inside)| **inside > 0.5).map(|(value, _)| *value).collect()
}

#[test]
fn first_order_features_of_the_ibsi_phantom_are_the_consensus() {
    let Some(folder) = shared_data::folder("ibsi") else { return };
    let folder = folder.join("stats");
    let features = FirstOrder::of(&ibsi_phantom(&folder)).unwrap();
    let csv = fs::read_to_string(folder.join("ibsi1/reference_values/ibsi_1_dig_phantom.csv"));
    let mut n_checked = 0;
    for line in csv.unwrap().lines().skip(1) {
        let fields: Vec<&str> = line.split(';').collect();
        let Some(value) = by_ibsi_tag(&features, fields[2]) else { continue };
        let expected: f64 = fields[0].parse().unwrap();
        // The consensus is printed with three significant digits.
        let digit = 10_f64.powf(expected.abs().log10().floor() - 2.0);
        assert!(
            (value - expected).abs() <= 0.5 * digit,
            "{}: {value} is not {expected}",
            fields[2]
        );
        n_checked += 1;
    }
    assert_eq!((features.n, n_checked), (74, 18));
}

fn by_ibsi_tag(features: &FirstOrder, tag: &str) -> Option<f64> {
    match tag {
        "stat_mean" => Some(features.mean),
        "stat_var" => Some(features.variance),
        "stat_skew" => features.skewness,
        "stat_kurt" => features.excess_kurtosis,
        "stat_median" => Some(features.median),
        "stat_min" => Some(features.minimum),
        "stat_p10" => Some(features.p10),
        "stat_p90" => Some(features.p90),
        "stat_max" => Some(features.maximum),
        "stat_iqr" => Some(features.interquartile_range),
        "stat_range" => Some(features.range),
        "stat_mad" => Some(features.mean_absolute_deviation),
        "stat_rmad" => Some(features.robust_mean_absolute_deviation),
        "stat_medad" => Some(features.median_absolute_deviation),
        "stat_cov" => features.coefficient_of_variation,
        "stat_qcod" => features.quartile_coefficient_of_dispersion,
        "stat_energy" => Some(features.energy),
        "stat_rms" => Some(features.root_mean_square),
        _ => None,
    }
}

/// The bytes of a gzip-encoded NRRD file after its header.
fn nrrd(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2;
    let mut raw = Vec::new();
    flate2::read::GzDecoder::new(&bytes[end..]).read_to_end(&mut raw).unwrap();
    raw
}

#[test]
fn first_order_features_of_a_real_brain_agree_with_pyradiomics() {
    let Some(folder) = shared_data::folder("pyradiomics") else { return };
    let folder = folder.join("stats/pyradiomics");
    let image = nrrd(&folder.join("brain1_image.nrrd"));
    let label = nrrd(&folder.join("brain1_label.nrrd"));
    let values: Vec<f64> = image
        .chunks_exact(2)
        .zip(label.chunks_exact(4))
        .filter(|(_, label)| label == &[1, 0, 0, 0])
        .map(|(voxel, _)| f64::from(i16::from_le_bytes([voxel[0], voxel[1]])))
        .collect();
    let features = FirstOrder::of(&values).unwrap();
    let csv = fs::read_to_string(folder.join("brain1_firstorder_reference.csv")).unwrap();
    let mut n_checked = 0;
    for line in csv.lines().skip(1) {
        let (name, expected) = line.split_once(',').unwrap();
        let expected: f64 = expected.parse().unwrap();
        let value = match name.trim_start_matches("original_firstorder_") {
            "InterquartileRange" => features.interquartile_range,
            "Skewness" => features.skewness.unwrap(),
            "Median" => features.median,
            "RobustMeanAbsoluteDeviation" => features.robust_mean_absolute_deviation,
            "MeanAbsoluteDeviation" => features.mean_absolute_deviation,
            "Maximum" => features.maximum,
            "90Percentile" => features.p90,
            "Minimum" => features.minimum,
            "Range" => features.range,
            "Variance" => features.variance,
            "10Percentile" => features.p10,
            "Kurtosis" => features.excess_kurtosis.unwrap() + 3.0,
            "Mean" => features.mean,
            // Energy and RMS there shift intensities by 2000 first; the others need bins.
            _ => continue,
        };
        assert!((value - expected).abs() <= 1e-10 * expected.abs(), "{name}: {value}");
        n_checked += 1;
    }
    assert_eq!(n_checked, 13);
}

fn normal_tissue(n: usize) -> Vec<f64> {
    let key = StreamKey::new(1, "one tissue");
    (0..n).map(|voxel| 1.2 + 0.12 * key.stream(voxel, 0).normal()).collect()
}

#[test]
fn k_means_splits_one_tissue_where_the_criterion_keeps_it_whole() {
    let values = normal_tissue(3000);
    // Halves of a normal distribution: mean μ − σ√(2/π) = 1.104, SD σ√(1 − 2/π) = 0.0723.
    let split = k_means(&values, 2).unwrap();
    assert!((split.centroids[0] - 1.104).abs() < 0.008);
    let low: Vec<f64> = values
        .iter()
        .zip(&split.labels)
        .filter(|(_, label)| **label == 0)
        .map(|(value, _)| *value)
        .collect();
    assert!((FirstOrder::of(&low).unwrap().standard_deviation.unwrap() - 0.0723).abs() < 0.004);
    let bic = |k| Mixture::fit(&values, k, None).unwrap().bic(1.0);
    assert!(bic(1) < bic(2) && bic(1) < bic(3));
    let whole = habitat::cluster(&[&values], &habitat::Settings::default()).unwrap();
    assert_eq!((whole.k(), whole.reduction), (1, Some(habitat::Reduction::Criterion)));
    assert!((whole.habitats[0].means[0] - 1.2).abs() < 4.0 * 0.12 / 3000.0_f64.sqrt());
}
