//! Fits against numbers that other software made: scipy on simulated voxels, and the reference
//! values that come with public scans and calibration curves.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "a test reads its references")]

use std::path::Path;

use biomarker::acquisition::{Diffusion, MultiEcho, Protocol, VariableFlipAngle};
use biomarker::fit::{FitMethod, FitSettings, estimator};
use biomarker::model::{Estimator, Fit, FitStatus, VoxelData, find};
use biomarker::solver::linear;
use serde_json::Value;

use crate::shared_data;

fn build(model: &str, protocol: &Protocol, method: FitMethod) -> Box<dyn Estimator> {
    let settings = FitSettings { method, ..FitSettings::default() };
    estimator(find(model).unwrap(), protocol, &settings).unwrap()
}

fn run(estimator: &dyn Estimator, samples: &[f64]) -> Fit {
    let mut fit = Fit::new(estimator.parameters().len());
    let mut scratch = vec![0.0; estimator.scratch_len()];
    estimator.estimate(VoxelData { samples, fixed: &[] }, &mut scratch, &mut fit);
    fit
}

/// Standard error of a parameter, scaled by the residual variance as scipy's `curve_fit` does.
fn standard_error(fit: &Fit, parameter: usize) -> f64 {
    (fit.residual_variance() * fit.unscaled_covariance[3 * parameter]).sqrt()
}

fn relative(a: f64, b: f64) -> f64 {
    (a - b).abs() / b.abs()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn protocol_of(case: &Value) -> Protocol {
    match case["model"].as_str().unwrap() {
        "adc" => Protocol::Diffusion(Diffusion::new(numbers(&case["b_values_s_per_mm2"])).unwrap()),
        "t2" => Protocol::MultiEcho(MultiEcho::new(numbers(&case["echo_times_s"])).unwrap()),
        _ => {
            let repetition_time_s = case["repetition_time_s"].as_f64().unwrap();
            let flips = numbers(&case["flip_angles_rad"]);
            Protocol::VariableFlipAngle(VariableFlipAngle::new(flips, repetition_time_s).unwrap())
        }
    }
}

/// `golden/fits.py`: `scipy.optimize.least_squares` from sixteen starts per voxel, tissue at SNR
/// 10–100, Rayleigh air and normal noise.
#[test]
fn optima_are_those_of_scipy_from_many_starts() {
    let cases: Value = serde_json::from_str(include_str!("golden/fits.json")).unwrap();
    let mut n_compared = 0;
    for case in cases.as_array().unwrap() {
        let model = case["model"].as_str().unwrap();
        let fitter = build(model, &protocol_of(case), FitMethod::default());
        for (index, voxel) in case["voxels"].as_array().unwrap().iter().enumerate() {
            let samples = numbers(&voxel["samples"]);
            let total: f64 = samples.iter().map(|sample| sample * sample).sum();
            let fit = run(&*fitter, &samples);
            let number = |key: &str| voxel[key].as_f64().unwrap();
            let has_signal = fit.status != FitStatus::NoSignal;
            let rss = if has_signal { fit.residual_sum_of_squares } else { total };
            let place = format!("{model} {index}: {fit:?} scipy {voxel}");
            assert!((rss - number("rss")).abs() <= 1e-8 * total, "{place}");
            assert!(rss <= number("rss") + 1e-12 * total, "{place}");
            if voxel["well_conditioned"].as_bool().unwrap() {
                let rate = if model == "adc" { fit.estimates[0] } else { 1.0 / fit.estimates[0] };
                // scipy stops when the sum of squares no longer falls in 64-bit: half its digits.
                assert!(relative(rate, number("rate")) < 1e-6, "{place}");
                assert!(relative(fit.estimates[1], number("amplitude")) < 1e-6, "{place}");
                n_compared += 1;
            }
        }
    }
    assert!(n_compared > 150, "{n_compared}");
}

/// A comma-separated table as named columns of numbers; what is no number is NaN.
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Table {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        // One header cell is quoted and holds a comma.
        let header = lines.next().unwrap().replace("(full series, 24", "(full series 24");
        let names = header.split(',').map(str::to_owned).collect();
        let row =
            |line: &str| line.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect();
        Self { names, rows: lines.map(row).collect() }
    }

    fn column(&self, name: &str) -> usize {
        self.names.iter().position(|own| own == name).unwrap()
    }

    /// Columns of signals and the number in each name between `start` and `end`.
    fn signals(&self, start: &str, end: &str) -> (Vec<usize>, Vec<f64>) {
        let number = |name: &String| {
            let rest = name.strip_prefix(start)?;
            rest.split(end).next()?.parse::<f64>().ok()
        };
        let found = self.names.iter().enumerate();
        found.filter_map(|(column, name)| Some((column, number(name)?))).unzip()
    }
}

/// Largest value, for a bound on what a whole table shows.
#[derive(Default)]
struct Largest(f64, usize);

impl Largest {
    fn see(&mut self, value: f64) {
        assert!(value.is_finite());
        self.0 = self.0.max(value);
        self.1 += 1;
    }
}

/// Straight lines agree to rounding. `curve_fit` stops at a relative 1e-8 of the sum of squares with
/// a Jacobian by forward differences: its estimates are good to a millionth of their standard error,
/// and the error itself, where three samples lie almost on the curve, to a hundred-thousandth.
fn require_agreement(largest: &[Largest; 6], n_voxels: usize) {
    let limits = [1e-16, 1e-16, 1e-16, 1e-6, 1e-7, 2e-5];
    for (largest, limit) in largest.iter().zip(limits) {
        assert!(largest.1 + 5 > n_voxels && largest.0 < limit, "{} {}", largest.0, largest.1);
    }
}

/// Slope of ln S on x with its standard error by LAPACK.
fn straight_line(x: &[f64], samples: &[f64]) -> (f64, f64) {
    let design: Vec<f64> = x.iter().flat_map(|&x| [1.0, x]).collect();
    let logs: Vec<f64> = samples.iter().map(|sample| sample.ln()).collect();
    let line = linear::least_squares(&design, &logs).unwrap();
    let variance = line.residual_sum_of_squares / line.degrees_of_freedom as f64;
    (-line.coefficients[1], (variance * line.unscaled_covariance[3]).sqrt())
}

fn compare_diffusion(path: &Path) -> [Largest; 6] {
    let table = Table::read(path);
    let (columns, b_values) = table.signals("S_b", "_");
    let protocol = Protocol::Diffusion(Diffusion::new(b_values.clone()).unwrap());
    let line = build("adc", &protocol, FitMethod::LogLinear);
    let nonlinear = build("adc", &protocol, FitMethod::default());
    let mut largest: [Largest; 6] = Default::default();
    for row in &table.rows {
        let samples: Vec<f64> = columns.iter().map(|&column| row[column]).collect();
        let of = |name: &str| row[table.column(name)];
        let (slope, slope_error) = straight_line(&b_values, &samples);
        let ours = run(&*line, &samples);
        if ours.status == FitStatus::Converged {
            largest[0].see((ours.estimates[0] - of("ols_ADC_mm2_s")).abs());
        } else {
            let [low, high] = line.parameters()[0].bounds;
            assert!(!(low..=high).contains(&of("ols_ADC_mm2_s")));
        }
        largest[1].see((slope - of("ols_ADC_mm2_s")).abs());
        largest[2].see((slope_error - of("ols_ADC_se")).abs());
        let fit = run(&*nonlinear, &samples);
        let reference_error = of("nlls_ADC_se");
        let usable = reference_error.is_finite() && fit.status == FitStatus::Converged;
        // Where three samples are almost on the curve, the residual is scipy's own rounding.
        if usable && fit.residual_sum_of_squares > 1e-6 {
            largest[3].see((fit.estimates[0] - of("nlls_ADC_mm2_s")).abs() / reference_error);
            largest[4].see(relative(fit.estimates[1], of("nlls_S0")));
            largest[5].see(relative(standard_error(&fit, 0), reference_error));
        }
    }
    largest
}

#[test]
fn prostate_adc_is_that_of_scipy_in_four_hundred_real_voxels() {
    let Some(folder) = shared_data::folder("prostate ADC") else { return };
    let largest =
        compare_diffusion(&folder.join("dwi/prostatex/px0000/reference/voxel_reference.csv"));
    require_agreement(&largest, 400);
}

#[test]
fn calf_adc_of_forty_two_volumes_is_that_of_scipy_in_four_hundred_real_voxels() {
    let Some(folder) = shared_data::folder("calf ADC") else { return };
    let largest =
        compare_diffusion(&folder.join("dwi/qmritools_calf/reference/voxel_reference.csv"));
    require_agreement(&largest, 400);
}

#[test]
fn knee_t2_and_its_standard_error_are_those_of_scipy_in_three_hundred_real_voxels() {
    let Some(folder) = shared_data::folder("knee T2") else { return };
    let table = Table::read(&folder.join("t2/knee_mese/reference/voxel_reference_slices4-9.csv"));
    let (columns, echo_times_ms) = table.signals("S_TE", "_");
    let mut largest: [Largest; 5] = Default::default();
    for row in &table.rows {
        let of = |name: &str| row[table.column(name)];
        let n = of("n_echo") as usize;
        let samples: Vec<f64> = columns[..n].iter().map(|&column| row[column]).collect();
        let echo_times_s: Vec<f64> = echo_times_ms[..n].iter().map(|ms| ms / 1e3).collect();
        let protocol = Protocol::MultiEcho(MultiEcho::new(echo_times_s).unwrap());
        let line = run(&*build("t2", &protocol, FitMethod::LogLinear), &samples);
        largest[0].see(relative(1e3 * line.estimates[0], of("loglin_T2_ms")));
        let (_, slope_error) = straight_line(&echo_times_ms[..n], &samples);
        largest[1].see(relative(slope_error, of("loglin_R2_se_per_ms")));
        let fit = run(&*build("t2", &protocol, FitMethod::default()), &samples);
        largest[2].see(relative(1e3 * fit.estimates[0], of("nlls_T2_ms")));
        largest[3].see(relative(fit.estimates[1], of("nlls_S0")));
        largest[4].see(relative(1e3 * standard_error(&fit, 0), of("nlls_T2_se_ms")));
    }
    // As for diffusion: rounding for straight lines, the stop rule of `curve_fit` for the others.
    for (largest, limit) in largest.iter().zip([1e-12, 1e-12, 1e-7, 1e-7, 1e-6]) {
        assert!(largest.1 == 300 && largest.0 < limit, "{}", largest.0);
    }
}

/// A calibration file of Madym: number of points as 32-bit integer, then 64-bit floats.
fn calibration(path: &Path) -> (usize, Vec<f64>) {
    let bytes = std::fs::read(path).unwrap();
    let (count, numbers) = bytes.split_at(4);
    let numbers =
        numbers.chunks_exact(8).map(|chunk| f64::from_le_bytes(chunk.try_into().unwrap()));
    (i32::from_le_bytes(count.try_into().unwrap()) as usize, numbers.collect())
}

#[test]
fn the_diffusion_calibration_of_madym_gives_its_truth() {
    let Some(folder) = shared_data::folder("Madym ADC") else { return };
    let (n, numbers) = calibration(&folder.join("dwi/madym_calibration/DWI_ADC.dat"));
    let protocol = Protocol::Diffusion(Diffusion::new(numbers[..n].to_vec()).unwrap());
    let fit = run(&*build("adc", &protocol, FitMethod::default()), &numbers[n..2 * n]);
    assert!(relative(fit.estimates[1], numbers[2 * n]) < 1e-12);
    assert!(relative(fit.estimates[0], numbers[2 * n + 1]) < 1e-12);
}

#[test]
fn the_flip_angle_calibration_of_madym_gives_its_truth() {
    let Some(folder) = shared_data::folder("Madym T1") else { return };
    let (n, numbers) = calibration(&folder.join("dce/madym_calibration/T1.dat"));
    let [t1_ms, m0, tr_ms] = [numbers[2 * n], numbers[2 * n + 1], numbers[2 * n + 2]];
    let flips = VariableFlipAngle::new(numbers[..n].to_vec(), tr_ms / 1e3).unwrap();
    let protocol = Protocol::VariableFlipAngle(flips);
    let fit = run(&*build("t1_vfa", &protocol, FitMethod::default()), &numbers[n..2 * n]);
    assert!(relative(1e3 * fit.estimates[0], t1_ms) < 1e-11, "{fit:?}");
    assert!(relative(fit.estimates[1], m0) < 1e-11, "{fit:?}");
}

/// One voxel of the OSIPI collection: protocol, samples, R1 as printed.
fn osipi_voxels(path: &Path) -> Vec<(String, Protocol, Vec<f64>, f64)> {
    let text = std::fs::read_to_string(path).unwrap();
    let list = |cell: &str| -> Vec<f64> {
        cell.split_whitespace().map(|number| number.parse().unwrap()).collect()
    };
    text.lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let flips = list(cells[1]).iter().map(|angle| angle.to_radians()).collect();
            let flips = VariableFlipAngle::new(flips, list(cells[2])[0]).unwrap();
            let protocol = Protocol::VariableFlipAngle(flips);
            (cells[0].to_owned(), protocol, list(cells[3]), cells[4].parse().unwrap())
        })
        .collect()
}

#[test]
fn t1_of_the_qiba_phantom_is_right_within_its_stated_noise() {
    let Some(folder) = shared_data::folder("QIBA T1") else { return };
    let voxels = osipi_voxels(&folder.join("dce/osipi/T1_mapping/data/t1_quiba_data.csv"));
    let mut sum = 0.0;
    for (label, protocol, samples, r1_per_ms) in &voxels {
        let fit = run(&*build("t1_vfa", protocol, FitMethod::default()), samples);
        let noise = label.split("sigma ").nth(1).unwrap().split(' ').next().unwrap();
        // Samples are whole numbers.
        let sigma = noise.parse::<f64>().unwrap().hypot(1.0 / 12.0_f64.sqrt());
        let t1_s = 1e-3 / r1_per_ms;
        let score = (fit.estimates[0] - t1_s) / (sigma * fit.unscaled_covariance[0].sqrt());
        // One of 45 normal scores exceeds 3.8 with probability 0.7 %.
        assert!(score.abs() < 3.8, "{label}: {score}");
        sum += score * score;
    }
    // χ²₄₅/45 has standard deviation 0.21.
    let mean = sum / voxels.len() as f64;
    assert!(voxels.len() == 45 && (mean - 1.0).abs() < 3.0 * 0.21, "{mean}");
}

#[test]
fn t1_of_the_brain_agrees_with_the_published_values() {
    let Some(folder) = shared_data::folder("brain T1") else { return };
    let voxels = osipi_voxels(&folder.join("dce/osipi/T1_mapping/data/t1_brain_data.csv"));
    assert_eq!(voxels.len(), 76);
    for (label, protocol, samples, r1_per_s) in &voxels {
        let fit = run(&*build("t1_vfa", protocol, FitMethod::default()), samples);
        // Five decimals are printed, some of them cut off.
        assert!((1.0 / fit.estimates[0] - r1_per_s).abs() < 1e-5, "{label}: {fit:?}");
    }
}
