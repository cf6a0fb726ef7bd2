//! What is fitted in every session.

use serde::Serialize;

use super::artery::{ArteryPlan, artery};
use super::habitat::{HabitatPlan, Order, habitat};
use super::registration::{RegistrationPlan, refuse_registration, registration};
use super::source::{QueryPlan, RegionPlan, query, query_of, region};
use super::voxels::{self, GatePlan, NoisePlan, Reading, RelativeTo, UncertaintyPlan};
use crate::acquisition::{ProtocolKind, SliceProfile};
use crate::error::{Error, Result};
use crate::fit::{EchoChoice, FitMethod, FitSettings};
use crate::perfusion::IntegrationWindow;
use crate::pipeline::measure;
use crate::pipeline::spec::Section;
use crate::unit::Unit;

/// One model on one series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FitPlan {
    /// Name of this fit: in file names, tables and on pages.
    pub name: String,
    /// Name of the model, as `biomarker models` lists it.
    pub model: String,
    /// The series in a BIDS dataset; none where every input is named by its path.
    pub series: Option<QueryPlan>,
    /// The region of interest; the whole image where it is not given.
    pub region: Option<RegionPlan>,
    /// How the image that the region was drawn on is brought together with the series, where it is.
    pub registration: Option<RegistrationPlan>,
    /// Whether the volumes of the series are brought onto one another first.
    pub motion: Motion,
    /// Name of the estimator: one of [`FitMethod::ALL`].
    pub estimator: String,
    /// Whether the first echo is left out.
    pub skip_first_echo: bool,
    /// Whether echoes below three noise levels are left out.
    pub truncate_below_noise: bool,
    /// Smallest b-value that is used, s/mm².
    pub b_min_s_per_mm2: f64,
    /// Map of the transmit field, flip angle over the nominal one, for T1 by variable flip angles.
    pub b1_map: Option<QueryPlan>,
    /// What was played out, where no sidecar says it.
    pub acquisition: AcquisitionPlan,
    /// Settings of dynamic series.
    pub dynamic: Option<DynamicPlan>,
    /// How σ is obtained.
    pub noise: NoisePlan,
    /// Pseudo-experiments.
    pub uncertainty: UncertaintyPlan,
    /// Which voxels are kept.
    pub gate: GatePlan,
    /// Groups of voxels, where they are asked for.
    pub habitat: Option<HabitatPlan>,
}

/// Acquisition values given in the pipeline; each one overrides the sidecar.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AcquisitionPlan {
    /// Echo time of every volume, ms.
    pub echo_times_ms: Option<Vec<f64>>,
    /// b-value of every volume, s/mm².
    pub b_values_s_per_mm2: Option<Vec<f64>>,
    /// Flip angle of every volume, or of all, degrees.
    pub flip_angles_deg: Option<Vec<f64>>,
    /// Time of every frame, s.
    pub frame_times_s: Option<Vec<f64>>,
    /// Repetition time, ms.
    pub repetition_time_ms: Option<f64>,
    /// Nominal angle of the refocusing pulses of an echo train, degrees; 180 where it is not given.
    pub refocusing_angle_deg: Option<f64>,
    /// Name of a [`SliceProfile`]; rectangular where it is not given.
    pub slice_profile: Option<&'static str>,
}

/// What is done about movement between the volumes of a series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// Nothing.
    #[default]
    None,
    /// Every volume is moved rigidly onto the reference and interpolated.
    Rigid,
}

/// When the bolus comes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// Found on the mean curve of the region.
    Region,
    /// Given, s on the clock of the frame times.
    GivenS(f64),
}

/// Where T10 comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum T10 {
    /// One value for all voxels, ms.
    ValueMs(f64),
    /// A map in s in the dataset.
    Map(QueryPlan),
    /// Not known: only the relative enhancement can be measured.
    Unknown,
}

/// What is integrated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaVariant {
    /// Concentration, mM·s.
    #[default]
    Concentration,
    /// Signal over baseline signal − 1, s.
    RelativeEnhancement,
    /// Concentration over that in the artery in the same window, a pure number.
    BloodNormalised,
}

/// Settings of dynamic series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DynamicPlan {
    /// Longitudinal relaxation time before contrast.
    pub t10: T10,
    /// Relaxivity of the agent, 1/(s·mM).
    pub relaxivity_per_s_per_mm: f64,
    /// When the bolus comes.
    pub arrival: Arrival,
    /// Length of the integration window, s.
    pub window_s: f64,
    /// What is integrated.
    pub variant: AreaVariant,
    /// What flows in the artery, where a model of tissue needs it.
    pub artery: Option<ArteryPlan>,
}

/// Reads all `[[fit]]`.
pub(super) fn fits(root: &Section<'_>) -> Vec<FitPlan> {
    let fits: Vec<FitPlan> =
        root.sections("fit").into_iter().filter_map(|section| fit(section, root)).collect();
    let units: Vec<Unit> = fits.iter().filter_map(|fit| unit_of(&fit.model)).collect();
    voxels::finish_defaults(root, &units);
    for (index, fit) in fits.iter().enumerate() {
        if fits[..index].iter().any(|earlier| earlier.name == fit.name) {
            let error = Error::value(format!("`{}` names two fits", fit.name))
                .hint("give each `[[fit]]` a name of its own");
            root.refuse(&format!("fit[{index}].name"), error);
        }
    }
    fits
}

fn fit(section: Section<'_>, root: &Section<'_>) -> Option<FitPlan> {
    let model = model(&section);
    let measure = model.as_deref().and_then(|name| measure::named(name).ok());
    let is_dynamic = measure.as_ref().is_some_and(|m| m.protocol == ProtocolKind::Dynamic);
    let parameters = measure.map(|measure| measure.parameters).unwrap_or_default();
    let unit = model.as_deref().and_then(unit_of);
    let estimators = FitMethod::ALL.map(|method| (method.name(), method.name()));
    let plan = FitPlan {
        name: section.text("name").or_else(|| model.clone()).unwrap_or_default(),
        series: query(&section, "series"),
        region: region(&section),
        registration: registration(&section),
        motion: section.choice(
            "motion",
            &[("none", Motion::None), ("rigid", Motion::Rigid)],
            Motion::default(),
        ),
        estimator: section.choice("estimator", &estimators, FitMethod::default().name()).to_owned(),
        skip_first_echo: section.flag("skip_first_echo").unwrap_or_default(),
        truncate_below_noise: section.flag("truncate_below_noise").unwrap_or_default(),
        b_min_s_per_mm2: section.number_within("b_min_s_per_mm2", 0.0, [0.0, 5000.0]),
        b1_map: query(&section, "b1_map"),
        acquisition: acquisition(&section),
        dynamic: is_dynamic.then(|| dynamic(&section)),
        noise: voxels::noise(&section, root),
        uncertainty: voxels::uncertainty(&section, root),
        gate: voxels::gate(&section, root, unit),
        habitat: habitat(&section, &parameters, if is_dynamic { "highest" } else { "lowest" }),
        model: model.unwrap_or_default(),
    };
    if plan.noise.method == "none" && plan.uncertainty.pseudo_experiments > 0 {
        let error = Error::value("pseudo-experiments need a noise level")
            .hint("set uncertainty.pseudo_experiments = 0, or another noise.method");
        section.refuse("noise.method", error);
    }
    refuse_stability(&section, &plan);
    refuse_uncertainty(&section, &plan);
    refuse_without_noise(&plan, &section);
    refuse_registration(&section, &plan);
    section.finish();
    (!plan.model.is_empty()).then_some(plan)
}

/// Stability is of a habitat, counted over all pseudo-experiments.
fn refuse_stability(section: &Section<'_>, plan: &FitPlan) {
    if plan.gate.minimum_stability.is_none() {
        return;
    }
    let reason = if plan.habitat.is_none() {
        "needs `[fit.habitat]`"
    } else if plan.uncertainty.pseudo_experiments == 0 {
        "needs pseudo-experiments"
    } else if plan.uncertainty.early_stop {
        "and `uncertainty.early_stop` exclude each other"
    } else {
        return;
    };
    let error = Error::value(format!("`minimum_stability` {reason}"));
    section.refuse("gate.minimum_stability", error);
}

/// Uncertainties that the rest of the plan cannot give.
fn refuse_uncertainty(section: &Section<'_>, plan: &FitPlan) {
    let order = plan.habitat.as_ref().map(|habitat| habitat.order);
    if plan.gate.relative_to == RelativeTo::HabitatMean
        && matches!(order, None | Some(Order::GateCluster))
    {
        let error = Error::value("`habitat_mean` needs habitats before the gate")
            .hint("set habitat.order to cluster_gate or fit_cluster_fit");
        section.refuse("gate.relative_to", error);
    }
    if plan.gate.reading != Reading::StandardDeviation && plan.uncertainty.early_stop {
        let error = Error::value("an early stop is decided by the standard deviation alone")
            .hint("leave out `uncertainty.early_stop`, or `gate.reading`");
        section.refuse("gate.reading", error);
    }
}

/// What cannot be followed where no noise level is asked for.
fn refuse_without_noise(plan: &FitPlan, section: &Section<'_>) {
    let has_noise = plan.noise.method != "none" || plan.noise.sigma.is_some();
    let Ok(settings) = plan.settings() else { return };
    if let Some(what) = settings.needs_sigma().filter(|_| !has_noise) {
        let error = Error::value(format!("`{what}` needs a noise level"))
            .hint("give noise.sigma, or another noise.method");
        section.refuse("noise.method", error);
    }
}

impl FitPlan {
    /// What the estimator of a signal model is to do.
    ///
    /// # Errors
    ///
    /// `Value` when there is no estimator of that name.
    pub fn settings(&self) -> Result<FitSettings> {
        Ok(FitSettings {
            method: FitMethod::from_name(&self.estimator)?,
            transmit_field: self.b1_map.is_some(),
            b_value_min_s_per_mm2: (self.b_min_s_per_mm2 > 0.0).then_some(self.b_min_s_per_mm2),
            echoes: EchoChoice {
                skip_first_echo: self.skip_first_echo,
                truncate_below_noise: self.truncate_below_noise,
            },
            ..FitSettings::default()
        })
    }
}

/// Unit of the headline parameter of `model`.
fn unit_of(model: &str) -> Option<Unit> {
    let measure = measure::named(model).ok()?;
    measure.parameters.first().map(|parameter| parameter.unit)
}

fn model(section: &Section<'_>) -> Option<String> {
    let names = measure::names();
    let choices: Vec<(&str, Option<&str>)> =
        names.iter().map(|name| (*name, Some(*name))).collect();
    let model = section.choice("model", &choices, None);
    if model.is_none() && section.text("model").is_none() {
        let error = Error::value("is missing").hint(format!("one of {}", names.join(", ")));
        section.refuse("model", error);
    }
    model.map(str::to_owned)
}

fn acquisition(section: &Section<'_>) -> AcquisitionPlan {
    let table = section.section("acquisition");
    let profiles = SliceProfile::ALL.map(|profile| (profile.name(), Some(profile.name())));
    let plan = AcquisitionPlan {
        echo_times_ms: listed(&table, "echo_times_ms", [1.0, 500.0]),
        b_values_s_per_mm2: listed(&table, "b_values_s_per_mm2", [0.0, 5000.0]),
        flip_angles_deg: listed(&table, "flip_angles_deg", [0.1, 180.0]),
        frame_times_s: listed(&table, "frame_times_s", [-1e5, 1e5]),
        repetition_time_ms: table
            .number("repetition_time_ms")
            .map(|_| table.number_within("repetition_time_ms", 1.0, [1.0, 20_000.0])),
        refocusing_angle_deg: table
            .number("refocusing_angle_deg")
            .map(|_| table.number_within("refocusing_angle_deg", 180.0, [30.0, 180.0])),
        slice_profile: table.choice("slice_profile", &profiles, None),
    };
    table.finish();
    plan
}

/// A list whose values must be plausible in the unit of their key.
fn listed(table: &Section<'_>, key: &'static str, [low, high]: [f64; 2]) -> Option<Vec<f64>> {
    let values = table.numbers(key)?;
    if let Some(index) = values.iter().position(|value| !(low <= *value && *value <= high)) {
        let value = values[index];
        let error = Error::value(format!("{value} is not between {low} and {high}"));
        let seconds = key.ends_with("_ms") && value < low;
        let error = if seconds { error.hint("looks like seconds; write ms") } else { error };
        table.refuse(&format!("{key}[{index}]"), error);
        return None;
    }
    Some(values)
}

fn dynamic(section: &Section<'_>) -> DynamicPlan {
    let table = section.section("dynamic");
    let variants = [
        ("concentration", AreaVariant::Concentration),
        ("relative_enhancement", AreaVariant::RelativeEnhancement),
        ("blood_normalised", AreaVariant::BloodNormalised),
    ];
    let variant = table.choice("variant", &variants, AreaVariant::default());
    let t10 = t10(&table, variant);
    let arrival = table.number("arrival_s").map_or(Arrival::Region, Arrival::GivenS);
    let relaxivity_per_s_per_mm = table.number_within("relaxivity_per_s_per_mm", 4.5, [0.1, 100.0]);
    let window_s = table.number("window_s").unwrap_or(60.0);
    if IntegrationWindow::from_duration_s(window_s).is_none() {
        let error = Error::value(format!("{window_s} is not 30, 60, 90, 120 or 180"));
        table.refuse("window_s", error);
    }
    let artery = artery(&table);
    if variant == AreaVariant::BloodNormalised && artery.is_none() {
        let error = Error::value("`blood_normalised` needs the concentration in the artery")
            .hint("set arterial_input = \"parker\", or \"measured\" with a mask of the artery");
        table.refuse("arterial_input", error);
    }
    table.finish();
    DynamicPlan { t10, relaxivity_per_s_per_mm, arrival, window_s, variant, artery }
}

fn t10(table: &Section<'_>, variant: AreaVariant) -> T10 {
    let map = table.section("t10_map");
    let map = map.is_present().then(|| query_of(&map)).flatten();
    let value_ms = table.number("t10_ms");
    let is_free = variant == AreaVariant::RelativeEnhancement && value_ms.is_none();
    if is_free && map.is_none() {
        return T10::Unknown;
    }
    if value_ms.is_some() == map.is_some() {
        let error = Error::value("exactly one of `t10_ms` and `t10_map` is needed")
            .hint("without T1 before contrast there is only variant = \"relative_enhancement\"");
        table.refuse("t10_ms", error);
    }
    let value_ms = value_ms.map(|_| table.number_within("t10_ms", 1200.0, [5.0, 10_000.0]));
    map.map_or(T10::ValueMs(value_ms.unwrap_or(1200.0)), T10::Map)
}
