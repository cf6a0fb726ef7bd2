//! How a series and the anatomical image that its region was drawn on are brought together.

use serde::Serialize;

use super::source::{QueryPlan, query};
use crate::error::Error;
use crate::pipeline::spec::Section;
use crate::registration::{FreeFormSettings, Metric};

/// Which transforms are looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransformKind {
    /// Rotation and translation.
    Rigid,
    /// A cubic B-spline deformation on top of them.
    #[default]
    FreeForm,
}

/// What is done first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationOrder {
    /// Signals are interpolated on the grid of the anatomical image and fitted there.
    #[default]
    RegisterThenFit,
    /// Signals are fitted where they were measured; the region is carried to them.
    FitThenMap,
}

/// The image that stands for the series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MovingReference {
    /// The first volume: of a multi-echo series the one with the most signal.
    #[default]
    First,
    /// The root of the mean square over all volumes.
    RootMeanSquare,
}

/// One registration, of the series to an anatomical image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegistrationPlan {
    /// The anatomical image that the region was drawn on; none where every input is named by its path.
    pub to: Option<QueryPlan>,
    /// Which transforms are looked for.
    pub kind: TransformKind,
    /// What is made as large as possible: `mutual_information`, `normalised_mutual_information`,
    /// `correlation` or `mean_squares`.
    pub metric: String,
    /// The image that stands for the series.
    pub reference: MovingReference,
    /// Distance of the control points at the coarsest and at the finest resolution, mm.
    pub control_spacing_mm: [f64; 2],
    /// Weight of the bending energy times the square of the finest control spacing.
    pub bending_weight: f64,
    /// Label values whose neighbourhood is compared; all labels of the region's image where empty.
    pub mask_labels: Vec<u32>,
    /// How far around them, mm.
    pub mask_margin_mm: f64,
    /// What is done first.
    pub order: RegistrationOrder,
}

const METRICS: [(&str, Metric); 4] = [
    ("mutual_information", Metric::MutualInformation),
    ("normalised_mutual_information", Metric::NormalizedMutualInformation),
    ("correlation", Metric::Correlation),
    ("mean_squares", Metric::MeanSquares),
];

impl RegistrationPlan {
    /// How the search is to be done.
    pub fn settings(&self) -> FreeFormSettings {
        let named = METRICS.iter().find(|(name, _)| *name == self.metric);
        let mut settings = FreeFormSettings {
            control_spacing_mm: self.control_spacing_mm,
            bending_weight: self.bending_weight,
            ..FreeFormSettings::default()
        };
        settings.rigid.metric = named.map_or(settings.rigid.metric, |(_, metric)| *metric);
        settings
    }
}

/// Reads `registration`; none where it is not written.
pub(super) fn registration(fit: &Section<'_>) -> Option<RegistrationPlan> {
    let table = fit.section("registration");
    if !table.is_present() {
        return None;
    }
    let defaults = FreeFormSettings::default();
    let metrics = METRICS.map(|(name, _)| (name, name));
    let kinds = [("rigid", TransformKind::Rigid), ("free_form", TransformKind::FreeForm)];
    let references =
        [("first", MovingReference::First), ("root_mean_square", MovingReference::RootMeanSquare)];
    let orders = [
        ("register_then_fit", RegistrationOrder::RegisterThenFit),
        ("fit_then_map", RegistrationOrder::FitThenMap),
    ];
    let plan = RegistrationPlan {
        to: query(&table, "to"),
        kind: table.choice("kind", &kinds, TransformKind::default()),
        metric: table.choice("metric", &metrics, METRICS[0].0).to_owned(),
        reference: table.choice("reference", &references, MovingReference::default()),
        control_spacing_mm: control_spacing(&table, defaults.control_spacing_mm),
        bending_weight: table.number_within("bending_weight", defaults.bending_weight, [0.0, 1e6]),
        mask_labels: mask_labels(&table),
        mask_margin_mm: table.number_within("mask_margin_mm", 10.0, [0.0, 1000.0]),
        order: table.choice("order", &orders, RegistrationOrder::default()),
    };
    table.finish();
    Some(plan)
}

fn control_spacing(table: &Section<'_>, default: [f64; 2]) -> [f64; 2] {
    match table.numbers("control_spacing_mm").as_deref() {
        None => default,
        Some(&[coarse, fine]) if coarse >= fine && (2.0..=1000.0).contains(&fine) => [coarse, fine],
        Some(other) => {
            let error = Error::value(format!("{other:?} must be two distances of 2 mm and more"))
                .hint("from coarse to fine, as in control_spacing_mm = [40, 20]");
            table.refuse("control_spacing_mm", error);
            default
        }
    }
}

fn mask_labels(table: &Section<'_>) -> Vec<u32> {
    let values = table.numbers("mask_labels").unwrap_or_default();
    if let Some(wrong) = values.iter().find(|x| !(1.0..1e9).contains(*x) || x.fract() != 0.0) {
        table.refuse("mask_labels", Error::value(format!("{wrong} is not a label value from 1")));
    }
    values.iter().map(|&value| value as u32).collect()
}

/// What a registration excludes and needs.
pub(super) fn refuse_registration(section: &Section<'_>, plan: &super::FitPlan) {
    let Some(registration) = &plan.registration else {
        if plan.uncertainty.registration_sd_mm > 0.0 {
            let error = Error::value("there is no registration whose error could be carried on")
                .hint("give [fit.registration], or leave it out");
            section.refuse("uncertainty.registration_sd_mm", error);
        }
        return;
    };
    if plan.region.as_ref().is_some_and(|region| region.register_from.is_some()) {
        let error = Error::value("and `registration` exclude each other")
            .hint("`registration.to` names the image that the region was drawn on");
        section.refuse("region.register_from", error);
    }
    if plan.uncertainty.registration_sd_mm > 0.0 && plan.gate.minimum_stability.is_some() {
        let error = Error::value("and `gate.minimum_stability` exclude each other")
            .hint("voxels that join a region have no stability");
        section.refuse("uncertainty.registration_sd_mm", error);
    }
    let is_resampled = registration.order == RegistrationOrder::RegisterThenFit;
    let beside = [
        (plan.b1_map.is_some(), "b1_map"),
        (plan.dynamic.is_some(), "dynamic"),
        (plan.settings().is_ok_and(|settings| settings.needs_sigma().is_some()), "estimator"),
    ];
    for (_, key) in beside.iter().filter(|(is_there, _)| is_resampled && *is_there) {
        let error = Error::value("does not go together with `order = \"register_then_fit\"`")
            .hint("interpolation changes the noise from voxel to voxel: use `fit_then_map`");
        section.refuse(key, error);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::pipeline::plan::{Plan, RegistrationOrder, TransformKind};
    use crate::pipeline::spec::Spec;

    fn read(lines: &str) -> Result<Plan, Vec<String>> {
        let text = format!(
            "[study]\ndataset = \".\"\n[[fit]]\nmodel = \"t2\"\nseries = {{ suffix = \"MESE\" }}\n\
             region = {{ image = {{ suffix = \"dseg\" }}, labels = [1] }}\n{lines}"
        );
        let spec = Spec::parse(Path::new("a.toml"), text, &[]);
        let plan = spec.and_then(|spec| Plan::check(&spec));
        plan.map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn defaults_are_those_of_the_method() {
        let plan = read("registration = { to = { suffix = \"T2w\" } }\n").unwrap();
        let registration = plan.fit[0].registration.as_ref().unwrap();
        assert_eq!(registration.kind, TransformKind::FreeForm);
        assert_eq!(registration.order, RegistrationOrder::RegisterThenFit);
        assert_eq!(registration.to.as_ref().unwrap().suffix, "T2w");
        assert!((registration.mask_margin_mm - 10.0).abs() < 1e-12);
        assert!(plan.to_toml().unwrap().contains("order = \"register_then_fit\""));
        assert!(read("").unwrap().fit[0].registration.is_none());
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_its_place() {
        let to = "to = { suffix = \"T2w\" }";
        for (lines, field) in [
            ("uncertainty = { registration_sd_mm = 0.2 }".to_owned(), "registration_sd_mm"),
            (format!("registration = {{ {to}, control_spacing_mm = [20, 40] }}"), "two distances"),
            (format!("registration = {{ {to}, metric = \"nmi\" }}"), "registration.metric"),
            (format!("registration = {{ {to}, mask_labels = [0] }}"), "not a label value"),
            (format!("registration = {{ {to}, spacing = 3 }}"), "unknown key"),
            (
                format!("registration = {{ {to} }}\ntruncate_below_noise = true"),
                "does not go together with `order = \"register_then_fit\"`",
            ),
        ] {
            let errors = read(&format!("{lines}\n")).unwrap_err();
            assert!(errors.iter().any(|error| error.contains(field)), "{lines}: {errors:?}");
        }
    }
}
