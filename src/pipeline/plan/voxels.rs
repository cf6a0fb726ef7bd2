//! What happens to voxels after they are fitted: noise, pseudo-experiments, gate, habitats.

use serde::Serialize;

use crate::error::Error;
use crate::model::Parameter;
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
}

/// Which voxels are kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GatePlan {
    /// Largest relative uncertainty of a kept voxel.
    pub maximum_uncertainty: f64,
    /// Smallest R² of a kept voxel, where it is asked for.
    pub minimum_r_squared: Option<f64>,
    /// Smallest fraction of pseudo-experiments of a kept voxel that stay in its habitat, where that
    /// is asked for; it then stands in place of the largest relative uncertainty.
    pub minimum_stability: Option<f64>,
    /// Kept estimates lie in this range, in the unit of the stored map.
    pub range: Option<[f64; 2]>,
}

/// Groups of voxels within the region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HabitatPlan {
    /// `k_means` or `gaussian_mixture`.
    pub method: String,
    /// Number of habitats; 0 lets the Bayesian information criterion choose 1 to 3.
    pub clusters: usize,
    /// `lowest` or `highest` mean is the habitat that is reported.
    pub report: String,
    /// Parameters of the same fit that are clustered together with the headline, by short name.
    pub joint_parameters: Vec<String>,
}

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
    section.finish();
    UncertaintyPlan {
        pseudo_experiments: pseudo_experiments.min(1_000_000) as u32,
        smear: smear.to_owned(),
        early_stop,
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

/// Refuses what no fit can take from the pipeline's own `[noise]`, `[uncertainty]` and `[gate]`;
/// `units` are those of the fits.
pub(super) fn finish_defaults(root: &Section<'_>, units: &[Unit]) {
    let ranges: Vec<&'static str> = match units {
        [] => vec![RANGE_MS, RANGE_MM2_PER_S, RANGE_MMOL_S_PER_L],
        units => units.iter().map(|unit| range_key(*unit).0).collect(),
    };
    let known: [(&'static str, &[&'static str]); 3] = [
        ("noise", &["method", "sigma"]),
        ("uncertainty", &["pseudo_experiments", "smear", "early_stop"]),
        ("gate", &["maximum_uncertainty", "minimum_r_squared", "minimum_stability"]),
    ];
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
    GatePlan { maximum_uncertainty, minimum_r_squared, minimum_stability, range }
}

/// Reads `[habitat]`; none where the table is not written for this fit or the pipeline.
pub(super) fn habitat(
    fit: &Section<'_>,
    parameters: &[Parameter],
    default_report: &'static str,
) -> Option<HabitatPlan> {
    let section = fit.section("habitat");
    if !section.is_present() {
        return None;
    }
    let methods = [("k_means", "k_means"), ("gaussian_mixture", "gaussian_mixture")];
    let method = section.choice("method", &methods, "k_means").to_owned();
    let reports = [("lowest", "lowest"), ("highest", "highest")];
    let report = section.choice("report", &reports, default_report).to_owned();
    let clusters = section.count("clusters").unwrap_or(2);
    if clusters > 9 {
        section.refuse("clusters", Error::value(format!("{clusters} is not 0 (auto) to 9")));
    }
    let joint_parameters = section.texts("joint_parameters").unwrap_or_default();
    let names: Vec<&str> = parameters.iter().skip(1).map(|p| p.short_name).collect();
    if let Some(unknown) = joint_parameters.iter().find(|name| !names.contains(&name.as_str())) {
        let error = Error::value(format!("`{unknown}` is no further parameter of this model"))
            .hint(format!("there are: {}", names.join(", ")));
        section.refuse("joint_parameters", error);
    }
    section.finish();
    let clusters = clusters.min(9) as usize;
    Some(HabitatPlan { method, clusters, report, joint_parameters })
}
