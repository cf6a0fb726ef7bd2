//! Groups of voxels within a region, and what is reported of them.

use serde::Serialize;

use crate::error::Error;
use crate::habitat::{Estimator, Guard, Method, Number, Reported, Settings};
use crate::model::Parameter;
use crate::pipeline::spec::Section;

/// What comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The gate, then habitats of what it kept.
    #[default]
    GateCluster,
    /// Habitats of all voxels with an estimate, then the gate within them.
    ClusterGate,
    /// As before, then a second fit to what is left of the reported habitat.
    FitClusterFit,
}

/// How mean and spread of the reported habitat are obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Summary {
    /// Mean and SD of its voxels.
    Moments,
    /// Component of a Gaussian mixture of all clustered voxels: where habitats come before the gate,
    /// the gate is no part of it.
    MixtureComponent,
    /// A Gaussian fitted to the histogram of its voxels.
    GaussianHistogram,
    /// The estimate from the mean signals of its voxels; the SD is that of its voxels.
    MeanSignal,
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
    /// What comes first.
    pub order: Order,
    /// How mean and spread of the reported habitat are obtained.
    pub summary: Summary,
    /// Whether the Bayesian information criterion may keep a region in one piece.
    pub guard: bool,
    /// Voxels that carry the information of one; none to take it from the map.
    pub correlated_voxels: Option<f64>,
}

impl HabitatPlan {
    /// What the clustering is to do where `n_corr` voxels carry the information of one.
    pub fn settings(&self, n_corr: f64) -> Settings {
        Settings {
            number: match self.clusters {
                0 => Number::Automatic,
                k => Number::Fixed(k),
            },
            method: match self.method.as_str() {
                "gaussian_mixture" => Method::GaussianMixture,
                _ => Method::KMeans,
            },
            reported: match self.report.as_str() {
                "highest" => Reported::Highest,
                _ => Reported::Lowest,
            },
            estimator: match self.summary {
                Summary::MixtureComponent => Estimator::MixtureComponent,
                _ => Estimator::Moments,
            },
            guard: if self.guard { Guard::Criterion } else { Guard::Never },
            n_corr,
        }
    }
}

const METHODS: [(&str, &str); 2] =
    [("k_means", "k_means"), ("gaussian_mixture", "gaussian_mixture")];
const REPORTS: [(&str, &str); 2] = [("lowest", "lowest"), ("highest", "highest")];
const ORDERS: [(&str, Order); 3] = [
    ("gate_cluster", Order::GateCluster),
    ("cluster_gate", Order::ClusterGate),
    ("fit_cluster_fit", Order::FitClusterFit),
];
const SUMMARIES: [(&str, Summary); 4] = [
    ("moments", Summary::Moments),
    ("mixture_component", Summary::MixtureComponent),
    ("gaussian_histogram", Summary::GaussianHistogram),
    ("mean_signal", Summary::MeanSignal),
];

/// Reads `[habitat]`; none where the table is not written for this fit.
pub(super) fn habitat(
    fit: &Section<'_>,
    parameters: &[Parameter],
    default_report: &'static str,
) -> Option<HabitatPlan> {
    let section = fit.section("habitat");
    if !section.is_present() {
        return None;
    }
    let order = section.choice("order", &ORDERS, Order::default());
    let second_fit = match order {
        Order::FitClusterFit => Summary::GaussianHistogram,
        _ => Summary::Moments,
    };
    let plan = HabitatPlan {
        method: section.choice("method", &METHODS, "k_means").to_owned(),
        clusters: clusters(&section),
        report: section.choice("report", &REPORTS, default_report).to_owned(),
        joint_parameters: joint_parameters(&section, parameters),
        order,
        summary: section.choice("summary", &SUMMARIES, second_fit),
        guard: section.flag("guard").unwrap_or(true),
        correlated_voxels: correlated_voxels(&section),
    };
    section.finish();
    Some(plan)
}

fn clusters(section: &Section<'_>) -> usize {
    let clusters = section.count("clusters").unwrap_or(2);
    if clusters > 9 {
        section.refuse("clusters", Error::value(format!("{clusters} is not 0 (auto) to 9")));
    }
    clusters.min(9) as usize
}

fn joint_parameters(section: &Section<'_>, parameters: &[Parameter]) -> Vec<String> {
    let wanted = section.texts("joint_parameters").unwrap_or_default();
    let names: Vec<&str> = parameters.iter().skip(1).map(|p| p.short_name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        let error = Error::value(format!("`{unknown}` is no further parameter of this model"))
            .hint(format!("there are: {}", names.join(", ")));
        section.refuse("joint_parameters", error);
    }
    wanted
}

fn correlated_voxels(section: &Section<'_>) -> Option<f64> {
    section
        .number("correlated_voxels")
        .map(|_| section.number_within("correlated_voxels", 1.0, [1.0, 1e6]))
}

/// Groups of voxels in the space of several fits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JointPlan {
    /// Name: in file names, tables and on pages.
    pub name: String,
    /// Fits whose headline parameters are clustered together, at least two; the first one's grid is
    /// the common one.
    pub fits: Vec<String>,
    /// `k_means` or `gaussian_mixture`.
    pub method: String,
    /// Number of habitats; 0 lets the Bayesian information criterion choose 1 to 3.
    pub clusters: usize,
    /// `lowest` or `highest` mean of the first fit is the habitat that is reported.
    pub report: String,
    /// Whether the Bayesian information criterion may keep a region in one piece.
    pub guard: bool,
}

impl JointPlan {
    /// What the clustering is to do where `n_corr` voxels carry the information of one.
    pub fn settings(&self, n_corr: f64) -> Settings {
        let plan = HabitatPlan {
            method: self.method.clone(),
            clusters: self.clusters,
            report: self.report.clone(),
            joint_parameters: Vec::new(),
            order: Order::GateCluster,
            summary: Summary::Moments,
            guard: self.guard,
            correlated_voxels: None,
        };
        plan.settings(n_corr)
    }
}

/// Reads all `[[joint_habitat]]`; `fits` are the names of the fits.
pub(super) fn joint_habitats(root: &Section<'_>, fits: &[&str]) -> Vec<JointPlan> {
    let sections = root.sections("joint_habitat");
    sections.into_iter().map(|section| joint(section, fits)).collect()
}

fn joint(section: Section<'_>, known: &[&str]) -> JointPlan {
    let fits = section.texts("fits").unwrap_or_default();
    let mut sorted = fits.clone();
    sorted.sort();
    sorted.dedup();
    if fits.len() < 2 || sorted.len() < fits.len() {
        let error = Error::value("at least two different fits are needed")
            .hint(format!("there are: {}", known.join(", ")));
        section.refuse("fits", error);
    }
    if let Some(unknown) = fits.iter().find(|fit| !known.contains(&fit.as_str())) {
        let error = Error::value(format!("no fit is called `{unknown}`"))
            .hint(format!("there are: {}", known.join(", ")));
        section.refuse("fits", error);
    }
    let plan = JointPlan {
        name: section.text("name").unwrap_or_else(|| fits.join("_")),
        method: section.choice("method", &METHODS, "k_means").to_owned(),
        clusters: clusters(&section),
        report: section.choice("report", &REPORTS, "lowest").to_owned(),
        guard: section.flag("guard").unwrap_or(true),
        fits,
    };
    section.finish();
    plan
}
