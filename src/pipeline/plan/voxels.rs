//! What happens to voxels after they are fitted: noise, pseudo-experiments, gate.

use serde::Serialize;

use crate::error::Error;
use crate::pipeline::spec::Section;
use crate::unit::Unit;

/// How σ is obtained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoisePlan {
    /// `auto`, `repeat`, `residual`, `background`, `piesno`, `wavelet`, `local_filter`,
    /// `dce_baseline`, `given` or `none`.
    pub method: String,
    /// σ in signal units, for `given`.
    pub sigma: Option<f64>,
    /// Receiver channels whose squares were added up in a magnitude, for `piesno`.
    pub n_channels: usize,
}

/// Pseudo-experiments per voxel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UncertaintyPlan {
    /// Number of pseudo-experiments; 0 switches them off.
    pub pseudo_experiments: u32,
    /// `signal` smears the images, `map` the estimates.
    pub smear: String,
    /// Whether a voxel is done once the gate is decided.
    pub early_stop: bool,
    /// Pseudo-experiments of the whole region, gate and habitats included; 0 switches them off.
    pub region_pseudo_experiments: u32,
    /// SD along each axis, mm, by which transforms are moved in the pseudo-experiments of a region;
    /// 0 takes them as exact.
    pub registration_sd_mm: f64,
}

/// What the uncertainty of a voxel is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// SD over the pseudo-experiments.
    #[default]
    StandardDeviation,
    /// Half of the width of the central 68 % of the pseudo-experiments.
    HalfInterval,
    /// Standard error of the fit, from its covariance: the Cramér–Rao bound at the estimate.
    CramerRao,
}

/// What the uncertainty of a voxel is divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RelativeTo {
    /// The estimate of the voxel.
    #[default]
    Voxel,
    /// The mean of its habitat.
    HabitatMean,
}

/// Which voxels are kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GatePlan {
    /// Largest relative uncertainty of a kept voxel.
    pub maximum_uncertainty: f64,
    /// What the uncertainty is.
    pub reading: Reading,
    /// What it is divided by.
    pub relative_to: RelativeTo,
    /// Smallest R² of a kept voxel, where it is asked for.
    pub minimum_r_squared: Option<f64>,
    /// Smallest fraction of pseudo-experiments of a kept voxel that stay in its habitat, where that
    /// is asked for; it then stands in place of the largest relative uncertainty.
    pub minimum_stability: Option<f64>,
    /// Kept estimates lie in this range, in the unit of the stored map.
    pub range: Option<[f64; 2]>,
}

/// Pseudo-experiments of a region where none are asked for: its standard error is known to 7 %.
const REGION_DEFAULT: u64 = 100;
/// Most of them: each keeps one number per voxel in memory.
const REGION_MAX: u64 = 2000;

/// Receiver channels that can be combined.
const CHANNELS: std::ops::RangeInclusive<u64> = 1..=128;

const NOISE_METHODS: [(&str, &str); 10] = [
    ("none", "none"),
    ("auto", "auto"),
    ("repeat", "repeat"),
    ("residual", "residual"),
    ("background", "background"),
    ("piesno", "piesno"),
    ("wavelet", "wavelet"),
    ("local_filter", "local_filter"),
    ("dce_baseline", "dce_baseline"),
    ("given", "given"),
];

/// Reads `[noise]` with the pipeline's own as defaults.
pub(super) fn noise(fit: &Section<'_>, root: &Section<'_>) -> NoisePlan {
    let section = fit.section_with_defaults("noise", root);
    let method = section.choice("method", &NOISE_METHODS, "auto").to_owned();
    let sigma = section.number("sigma");
    if let Some(sigma) = sigma.filter(|sigma| *sigma <= 0.0) {
        section.refuse("sigma", Error::value(format!("{sigma} is not positive")));
    }
    if (method == "given") != sigma.is_some() {
        let error = Error::value("`method = \"given\"` and `sigma` belong together");
        section.refuse("sigma", error);
    }
    let channels = section.count("channels");
    if channels.is_some_and(|n| method != "piesno" || !CHANNELS.contains(&n)) {
        let error = Error::value("`channels`, 1 to 128, belongs to `method = \"piesno\"`");
        section.refuse("channels", error);
    }
    section.finish();
    NoisePlan { method, sigma, n_channels: channels.unwrap_or(1) as usize }
}

/// Reads `[uncertainty]` with the pipeline's own as defaults.
pub(super) fn uncertainty(fit: &Section<'_>, root: &Section<'_>) -> UncertaintyPlan {
    let section = fit.section_with_defaults("uncertainty", root);
    let pseudo_experiments = section.count("pseudo_experiments").unwrap_or(1000);
    if pseudo_experiments > 1_000_000 || (1..20).contains(&pseudo_experiments) {
        let error = Error::value(format!("{pseudo_experiments} is neither 0 nor 20 to 1000000"));
        section.refuse("pseudo_experiments", error);
    }
    let smear = section.choice("smear", &[("signal", "signal"), ("map", "map")], "signal");
    let early_stop = section.flag("early_stop").unwrap_or(false);
    let of_region = section.count("region_pseudo_experiments").unwrap_or(REGION_DEFAULT);
    if of_region > REGION_MAX || (1..20).contains(&of_region) {
        let error = Error::value(format!("{of_region} is neither 0 nor 20 to {REGION_MAX}"));
        section.refuse("region_pseudo_experiments", error);
    }
    let registration_sd_mm = section.number_within("registration_sd_mm", 0.0, [0.0, 20.0]);
    section.finish();
    UncertaintyPlan {
        pseudo_experiments: pseudo_experiments.min(1_000_000) as u32,
        smear: smear.to_owned(),
        early_stop,
        region_pseudo_experiments: of_region.min(REGION_MAX) as u32,
        registration_sd_mm,
    }
}

const RANGE_MS: &str = "range_ms";
const RANGE_MM2_PER_S: &str = "range_mm2_per_s";
const RANGE_MMOL_S_PER_L: &str = "range_mmol_s_per_l";

/// Key of the range of a parameter in `unit`, and what brings it to the unit of the stored map.
fn range_key(unit: Unit) -> (&'static str, f64) {
    match unit {
        Unit::Second => (RANGE_MS, 1e-3),
        Unit::SquareMillimetrePerSecond => (RANGE_MM2_PER_S, 1.0),
        _ => (RANGE_MMOL_S_PER_L, 1.0),
    }
}

const UNCERTAINTY_KEYS: [&str; 5] = [
    "pseudo_experiments",
    "smear",
    "early_stop",
    "region_pseudo_experiments",
    "registration_sd_mm",
];
const GATE_KEYS: [&str; 5] =
    ["maximum_uncertainty", "reading", "relative_to", "minimum_r_squared", "minimum_stability"];

/// Refuses what no fit can take from the pipeline's own `[noise]`, `[uncertainty]` and `[gate]`;
/// `units` are those of the fits.
pub(super) fn finish_defaults(root: &Section<'_>, units: &[Unit]) {
    let ranges: Vec<&'static str> = match units {
        [] => vec![RANGE_MS, RANGE_MM2_PER_S, RANGE_MMOL_S_PER_L],
        units => units.iter().map(|unit| range_key(*unit).0).collect(),
    };
    let known: [(&'static str, &[&'static str]); 3] =
        [("noise", &["method", "sigma"]), ("uncertainty", &UNCERTAINTY_KEYS), ("gate", &GATE_KEYS)];
    for (table, keys) in known {
        let section = root.section(table);
        section.know(keys);
        if table == "gate" {
            section.know(&ranges);
        }
        section.finish();
    }
}

/// Reads `[gate]` with the pipeline's own as defaults; `unit` decides the key of the range, an
/// unknown one allows each.
pub(super) fn gate(fit: &Section<'_>, root: &Section<'_>, unit: Option<Unit>) -> GatePlan {
    let section = fit.section_with_defaults("gate", root);
    let maximum_uncertainty = section.number_within("maximum_uncertainty", 0.10, [1e-6, 1e6]);
    let readings = [
        ("standard_deviation", Reading::StandardDeviation),
        ("half_interval", Reading::HalfInterval),
        ("cramer_rao", Reading::CramerRao),
    ];
    let reading = section.choice("reading", &readings, Reading::default());
    let relations = [("voxel", RelativeTo::Voxel), ("habitat_mean", RelativeTo::HabitatMean)];
    let relative_to = section.choice("relative_to", &relations, RelativeTo::default());
    let minimum_r_squared = section
        .number("minimum_r_squared")
        .map(|_| section.number_within("minimum_r_squared", 0.0, [0.0, 1.0]));
    let minimum_stability = section
        .number("minimum_stability")
        .map(|_| section.number_within("minimum_stability", 0.7, [0.0, 1.0]));
    if unit.is_none() {
        section.know(&[RANGE_MS, RANGE_MM2_PER_S, RANGE_MMOL_S_PER_L]);
    }
    let (key, factor) = range_key(unit.unwrap_or(Unit::One));
    let range = section.numbers(key).and_then(|range| match range[..] {
        [low, high] if low < high => Some([low * factor, high * factor]),
        _ => {
            let error = Error::value(format!("{range:?} must be two rising numbers"));
            section.refuse(key, error);
            None
        }
    });
    section.finish();
    GatePlan {
        maximum_uncertainty,
        reading,
        relative_to,
        minimum_r_squared,
        minimum_stability,
        range,
    }
}
