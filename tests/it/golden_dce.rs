//! Perfusion against published reference curves, another program's maps of a real breast and an
//! independent implementation (`golden/dce.py`).

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read reference files and may panic"
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use biomarker::acquisition::Dynamic;
use biomarker::model::{Estimator, Fit, FitStatus, VoxelData};
use biomarker::perfusion::{
    Arrival, ArterialInput, Compartment, Hematocrit, IaucEstimator, IaucSettings, IaucVariant,
    IntegrationWindow, SpoiledGradientEcho, T10Source, TissueParameters, area_under_curve,
    extended_tofts,
};

use crate::shared_data;

/// Columns of a comma-separated file by name.
fn columns(path: &Path) -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        for (name, cell) in names.iter().zip(line.split(',')) {
            table.entry((*name).to_owned()).or_default().push(cell.to_owned());
        }
    }
    table
}

fn numbers(cells: &[String]) -> Vec<f64> {
    cells.iter().map(|cell| cell.parse().unwrap()).collect()
}

fn words(cell: &str) -> Vec<f64> {
    cell.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

/// |found − expected| over the tolerance of numpy's `assert_allclose`; at most 1 passes.
fn excess(found: f64, expected: f64, absolute: f64, relative: f64) -> f64 {
    (found - expected).abs() / (absolute + relative * expected.abs())
}

#[test]
fn osipi_signals_become_the_osipi_concentrations() {
    let Some(data) = shared_data::folder("osipi_signals_become_the_osipi_concentrations") else {
        return;
    };
    let table = columns(&data.join("dce/osipi/SI_to_Conc/data/SI2Conc_data.csv"));
    let number = |name: &str, case: usize| table[name][case].parse::<f64>().unwrap();
    let cases = table["label"].len();
    assert_eq!(cases, 5);
    for case in 0..cases {
        let signals = words(&table["s"][case]);
        let times = (0..signals.len()).map(|k| k as f64).collect();
        let flip_angle_rad = number("FA", case).to_radians();
        let protocol = Dynamic::new(times, number("TR", case), flip_angle_rad).unwrap();
        let equation = SpoiledGradientEcho::new(&protocol, number("r1", case)).unwrap();
        // OSIPI's baseline of n points skips the first, which is not yet in the steady state.
        let baseline = &signals[1..number("numbaselinepts", case) as usize];
        let mean = baseline.iter().sum::<f64>() / baseline.len() as f64;
        let voxel = equation.with_baseline(mean, number("T1base", case)).unwrap();
        for (signal, expected) in signals.iter().zip(words(&table["conc"][case])) {
            let found = voxel.concentration(*signal);
            // OSIPI allows 1e-5 mM; both are the same algebra, so rounding is all there is.
            assert!((found - expected).abs() < 1e-11, "case {case}: {found} {expected}");
            assert!((voxel.signal(found) - signal).abs() < 1e-9);
        }
    }
}

/// Per label: (times in minutes, concentrations, delay in s).
fn osipi_curves(path: &Path) -> BTreeMap<String, Vec<[f64; 3]>> {
    let table = columns(path);
    let (times, values) = (numbers(&table["time"]), numbers(&table["Cb"]));
    let delays = table.get("delay").map_or(vec![0.0; times.len()], |cells| numbers(cells));
    let mut curves: BTreeMap<String, Vec<[f64; 3]>> = BTreeMap::new();
    for (k, label) in table["label"].iter().enumerate() {
        curves.entry(label.clone()).or_default().push([times[k], values[k], delays[k]]);
    }
    curves
}

#[test]
fn parker_is_osipis_parker_in_every_case() {
    let Some(data) = shared_data::folder("parker_is_osipis_parker_in_every_case") else { return };
    let folder = data.join("dce/osipi/PopulationAIF_DCE/data");
    for (file, n_cases) in [("ParkerAIF_ref.csv", 11), ("ParkerAIF_ref_with_delay.csv", 9)] {
        let curves = osipi_curves(&folder.join(file));
        assert_eq!(curves.len(), n_cases);
        for (label, points) in curves {
            for [minutes, expected, delay_s] in points {
                let found = ArterialInput::Parker.concentration((minutes - delay_s / 60.0) * 60.0);
                // OSIPI allows 1e-4 mM + 1 %; the formula is the same one.
                assert!(excess(found, expected, 1e-12, 1e-12) <= 1.0, "{label} at {minutes} min");
            }
        }
    }
}

/// OSIPI's reference is the supplement of the paper: a curve made with more digits than the table of
/// parameters in the paper has. With those digits the formula is the curve.
#[test]
fn georgiou_is_osipis_georgiou() {
    let Some(data) = shared_data::folder("georgiou_is_osipis_georgiou") else { return };
    let path = data.join("dce/osipi/PopulationAIF_DCE/data/GeorgiouAIF_ref.csv");
    let curves = osipi_curves(&path);
    assert_eq!(curves.len(), 7);
    let formula = ArterialInput::Georgiou { compartment: Compartment::Blood };
    for (label, points) in &curves {
        for &[minutes, expected, _] in points {
            let found = formula.concentration(minutes * 60.0);
            // OSIPI allows 1e-4 mM + 1 %; the fitted digits leave 2.2e-5 mM.
            assert!(excess(found, expected, 1e-4, 0.01) <= 1.0, "{label} at {minutes} min");
            assert!((found - expected).abs() < 2.2e-5, "{label} at {minutes} min: {found}");
        }
    }
    let original = &curves["original_AIF"];
    let times: Vec<f64> = original.iter().map(|point| point[0] * 60.0).collect();
    let values: Vec<f64> = times.iter().map(|&t| formula.concentration(t)).collect();
    let reference: Vec<f64> = original.iter().map(|point| point[1]).collect();
    let areas = [values, reference].map(|v| area_under_curve(&times, &v, 0.0, 59.9).unwrap());
    assert!((areas[0] / areas[1] - 1.0).abs() < 1e-6, "{areas:?}");
}

/// `golden/dce.py`: `extended_tofts_ode`, Ktrans 0.5/min, ve 0.4, vp 0.05, arrival at 30 s.
#[test]
fn extended_tofts_is_the_solution_of_its_differential_equation() {
    let times: Vec<f64> = (0..=14_700).map(|k| f64::from(k) * 0.01).collect();
    let plasma: Vec<f64> =
        times.iter().map(|t| ArterialInput::Parker.plasma(t - 30.0, Hematocrit::DEFAULT)).collect();
    let tissue = TissueParameters { ktrans_per_s: 0.5 / 60.0, ve: 0.4, vp: 0.05 };
    let mut curve = vec![0.0; times.len()];
    extended_tofts(&times, &plasma, &tissue, &mut curve).unwrap();
    for (second, expected) in [
        (33, 0.066_876_458),
        (39, 0.736_121_851),
        (60, 0.786_292_004),
        (90, 0.756_629_614),
        (147, 0.659_494_012),
    ] {
        // C_p jumps to 0.139 mM at the arrival; the line before it adds K·0.139·0.005 s = 6e-6.
        let found = curve[second * 100];
        assert!((found - expected).abs() < 1e-5, "{second} s: {found}");
    }
    let area = area_under_curve(&times, &curve, 30.0, 60.0).unwrap();
    assert!((area - 42.603_37).abs() < 1e-3, "{area}");
}

/// Madym's rule: from the segment that *ends* at the bolus frame, the last segment as a fraction of
/// its own area. Times and window share one unit.
fn madym_area(times: &[f64], values: &[f64], bolus: usize, duration: f64) -> f64 {
    let mut area = 0.0;
    for k in bolus..times.len() {
        let step = times[k] - times[k - 1];
        let segment = 0.5 * step * (values[k] + values[k - 1]);
        let beyond = times[k] - times[bolus] - duration;
        if beyond > 0.0 {
            return area + (1.0 - beyond / step) * segment;
        }
        area += segment;
    }
    f64::NAN
}

const MADYM_BOLUS: usize = 8;

#[test]
fn madyms_calibration_areas_follow_from_its_rule_and_ours_differ_as_they_must() {
    let Some(data) = shared_data::folder("madyms_calibration_areas") else { return };
    let table = columns(&data.join("dce/madym_calibration/madym_calibration.csv"));
    let minutes = numbers(&table["t_min"]);
    let curve = numbers(&table["ETM_noise_C_mM"]);
    let seconds: Vec<f64> = minutes.iter().map(|t| t * 60.0).collect();
    for (window, expected) in [(60.0, 0.557_50), (90.0, 0.796_40), (120.0, 1.017_52)] {
        let madym = madym_area(&minutes, &curve, MADYM_BOLUS, window / 60.0);
        // The references are printed with five decimals; Madym's own tolerance is 1e-3.
        assert!((madym - expected).abs() < 1e-5, "{window} s: {madym}");
        let ours = area_under_curve(&seconds, &curve, seconds[MADYM_BOLUS], window).unwrap() / 60.0;
        // Frames every 5 s and windows of whole frames: the rules differ by the first segment.
        let step = minutes[MADYM_BOLUS] - minutes[MADYM_BOLUS - 1];
        let first = 0.5 * step * (curve[MADYM_BOLUS] + curve[MADYM_BOLUS - 1]);
        assert!((madym - ours - first).abs() < 1e-9, "{window} s: {}", madym - ours - first);
    }
}

/// Parker without the zero before the arrival, in plasma at hematocrit 0.42, as Madym has it.
fn madym_plasma(minutes: f64) -> f64 {
    let gaussian = |amplitude: f64, centre: f64, sigma: f64| {
        amplitude * (-(minutes - centre).powi(2) / (2.0 * sigma * sigma)).exp()
    };
    let sigmoid = 1.0 + (-38.078 * (minutes - 0.483)).exp();
    let washout = 1.050 * (-0.1685 * minutes).exp() / sigmoid;
    (gaussian(5.7326, 0.170_46, 0.0563) + gaussian(0.9974, 0.365, 0.132) + washout) / 0.58
}

#[test]
fn extended_tofts_is_madyms_within_its_trapezoidal_convolution() {
    let Some(data) = shared_data::folder("extended_tofts_is_madyms") else { return };
    let table = columns(&data.join("dce/madym_calibration/madym_calibration.csv"));
    let minutes = numbers(&table["t_min"]);
    let expected = numbers(&table["ETM_C_mM"]);
    // Ktrans 0.25/min, ve 0.2, vp 0.1, delay 0.1 min after frame 8 of 1, 2, …
    let plasma: Vec<f64> =
        minutes.iter().map(|t| madym_plasma(t - minutes[MADYM_BOLUS - 1] - 0.1)).collect();
    let k = 0.25 / 0.2;
    let (mut exchange, mut trapezoidal) = (0.0, vec![0.1 * plasma[0]]);
    for step in 1..minutes.len() {
        let dt = minutes[step] - minutes[step - 1];
        let decay = (-k * dt).exp();
        exchange = exchange * decay + 0.5 * dt * (plasma[step] + plasma[step - 1] * decay);
        trapezoidal.push(0.1 * plasma[step] + 0.25 * exchange);
    }
    let tissue = TissueParameters { ktrans_per_s: 0.25 / 60.0, ve: 0.2, vp: 0.1 };
    let seconds: Vec<f64> = minutes.iter().map(|t| t * 60.0).collect();
    let mut exact = vec![0.0; seconds.len()];
    extended_tofts(&seconds, &plasma, &tissue, &mut exact).unwrap();
    for k in 0..expected.len() {
        // Madym rounds the amplitudes of the Gaussians in the fifth digit.
        assert!((trapezoidal[k] - expected[k]).abs() < 2e-5);
        assert!((exact[k] - expected[k]).abs() < 3.5e-3, "{} {}", exact[k], expected[k]);
    }
    for window in [1.0, 1.5, 2.0] {
        let [ours, madyms] =
            [&exact, &expected].map(|c| madym_area(&minutes, c, MADYM_BOLUS, window));
        assert!((ours - madyms).abs() < 1e-3, "{ours} {madyms}");
    }
}

/// Breast series as signals `[frame][j][i]` of its one slice.
fn breast_signals(path: &Path) -> impl Fn(usize, usize, usize) -> f64 + use<> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    let float = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let short = |at: usize| i16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let dimensions: Vec<i16> = (0..5).map(|axis| short(40 + 2 * axis)).collect();
    assert_eq!((dimensions, short(70)), (vec![4, 192, 192, 1, 25], 16));
    let start = float(108) as usize;
    let signals: Vec<f64> = bytes[start..]
        .chunks_exact(4)
        .map(|value| f64::from(f32::from_le_bytes(value.try_into().unwrap())))
        .collect();
    move |i, j, frame| signals[i + 192 * (j + 192 * frame)]
}

fn breast_settings(folder: &Path, arrival_frame: usize) -> IaucSettings {
    let text = std::fs::read_to_string(folder.join("dce_times_s.txt")).unwrap();
    let times = words(&text);
    IaucSettings {
        arrival_s: times[arrival_frame],
        protocol: Dynamic::new(times, 7.939e-3, 20_f64.to_radians()).unwrap(),
        relaxivity_per_s_per_mm: 4.5,
        t10: T10Source::PerVoxel,
        window: IntegrationWindow::Seconds60,
        variant: IaucVariant::Concentration,
    }
}

#[test]
fn breast_voxels_have_the_reference_areas_under_both_definitions() {
    let Some(data) = shared_data::folder("breast_voxels_have_the_reference_areas") else { return };
    let folder = data.join("dce/breast_dcemrijl");
    let table = columns(&folder.join("reference/voxel_reference.csv"));
    let signal = breast_signals(&folder.join("dce_25t.nii.gz"));
    let settings = breast_settings(&folder, 4);
    let estimator = IaucEstimator::new(&settings).unwrap();
    assert_eq!(estimator.arrival().n_baseline_frames(), 4);
    let equation = SpoiledGradientEcho::new(&settings.protocol, 4.5).unwrap();
    let times = settings.protocol.frame_times_s();
    let column = |name: &str| numbers(&table[name]);
    let (i, j, t1_ms) = (column("i"), column("j"), column("T1_ms"));
    let (madym, textbook) = (column("IAUC60_madymdef"), column("IAUC60_textbook"));
    assert_eq!(i.len(), 150);
    let mut scratch = vec![0.0; estimator.scratch_len()];
    let mut fit = Fit::new(1);
    let mut relative_differences = Vec::new();
    for voxel in 0..i.len() {
        let samples: Vec<f64> =
            (0..times.len()).map(|k| signal(i[voxel] as usize, j[voxel] as usize, k)).collect();
        let fixed = [t1_ms[voxel] / 1e3];
        estimator.estimate(VoxelData { samples: &samples, fixed: &fixed }, &mut scratch, &mut fit);
        assert_eq!(fit.status, FitStatus::Converged);
        // The reference is in mM·min and double precision; rounding is all that may differ.
        assert!((fit.estimates[0] / 60.0 - textbook[voxel]).abs() < 1e-11);
        let baseline = samples[..4].iter().sum::<f64>() / 4.0;
        let calibrated = equation.with_baseline(baseline, fixed[0]).unwrap();
        let curve: Vec<f64> = samples.iter().map(|&s| calibrated.concentration(s)).collect();
        let by_madym = madym_area(times, &curve, 4, 60.0) / 60.0;
        assert!((by_madym - madym[voxel]).abs() < 1e-11);
        relative_differences.push((by_madym * 60.0 - fit.estimates[0]) / fit.estimates[0]);
    }
    relative_differences.sort_by(f64::total_cmp);
    let median = relative_differences[relative_differences.len() / 2];
    // At 16 s sampling the two definitions are about 10 % apart: never compare across them.
    assert!((0.09..0.12).contains(&median), "{median}");
}

#[test]
fn arrival_in_the_measured_breast_artery_is_one_frame_before_its_steep_rise() {
    let Some(data) = shared_data::folder("arrival_in_the_measured_breast_artery") else { return };
    let table = columns(&data.join("dce/breast_dcemrijl/aif_Cp_mM.csv"));
    let (times, plasma) = (numbers(&table["t_s"]), numbers(&table["Cp_mM"]));
    let arrival = Arrival::detect(&times, &plasma, None).unwrap();
    // 0.034 mM at 49 s, 0.63 at 66 s, 4.1 at 82 s.
    assert!((45.0..=66.0).contains(&arrival.time_s()), "{arrival:?}");
    assert!(arrival.n_baseline_frames() >= 3);
}
