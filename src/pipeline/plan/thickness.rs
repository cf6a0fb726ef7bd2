//! What is measured on label images.

use serde::Serialize;

use super::FitPlan;
use super::source::{QueryPlan, query};
use crate::error::Error;
use crate::pipeline::spec::{Problems, Section};
use crate::thickness::Method;

/// Cartilage thickness of one label image, and the parts of the cartilage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThicknessPlan {
    /// Name of the cartilage in tables and on pages.
    pub name: String,
    /// The label image; none where every input is named by its path.
    pub labels: Option<QueryPlan>,
    /// Label values of the cartilage.
    pub cartilage: Vec<u32>,
    /// Label values of the bone under it; empty where only cartilage was drawn.
    pub bone: Vec<u32>,
    /// `edt_subvoxel`, `edt_voxel`, `normal`, `local` or `laplace`.
    pub method: String,
    /// How the cartilage is divided: `femoral`, or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<&'static str>,
    /// Label values that lie medially, such as the medial tibial cartilage; with `lateral` they say
    /// which knee it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub medial: Vec<u32>,
    /// Label values that lie laterally.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lateral: Vec<u32>,
    /// Layers from bone to joint in which a fit of the same region is reported; 1 is the whole.
    #[serde(skip_serializing_if = "is_one")]
    pub layers: usize,
    /// Bins of depth from bone to joint; 0 where no profile is asked for.
    #[serde(skip_serializing_if = "is_none")]
    pub depth_bins: usize,
    /// Cells of the unrolled cartilage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flattened_cell: Option<FlatCellPlan>,
    /// How far labels are off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<LabelErrorPlan>,
}

/// Size of a cell of the unrolled cartilage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FlatCellPlan {
    /// About the axis of the condyles, degrees.
    pub angle_deg: f64,
    /// Along the axis, mm.
    pub position_mm: f64,
}

/// How far the surfaces of labels are off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelErrorPlan {
    /// Pseudo-experiments per label image.
    pub pseudo_experiments: u32,
    /// Standard deviation of the distance between drawn and true surface, mm.
    pub sd_mm: f64,
    /// Distance along the surface over which that distance correlates, mm.
    pub correlation_mm: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_one(n: &usize) -> bool {
    *n == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_none(n: &usize) -> bool {
    *n == 0
}

/// Names of two and of three layers.
const LAYER_NAMES: [&[&str]; 2] = [&["deep", "superficial"], &["deep", "middle", "superficial"]];

impl ThicknessPlan {
    /// Names of the layers from bone to joint; none where the cartilage is reported as a whole.
    pub fn layer_names(&self) -> &'static [&'static str] {
        let named = LAYER_NAMES.into_iter().find(|names| names.len() == self.layers);
        named.unwrap_or_default()
    }

    /// Whether angles about the axis of the condyles are needed.
    pub fn needs_axis(&self) -> bool {
        self.regions.is_some() || self.flattened_cell.is_some()
    }

    /// Whether depths of voxels are needed.
    pub fn needs_depth(&self) -> bool {
        self.layers > 1 || self.depth_bins > 0
    }

    /// Whether a fit is of this cartilage: its region has the same name.
    pub fn is_of(&self, fit: &FitPlan) -> bool {
        fit.region.as_ref().is_some_and(|region| region.name == self.name)
    }
}

/// Reads `[thickness]`; none where it is not written.
pub(super) fn thickness(root: &Section<'_>) -> Option<ThicknessPlan> {
    let section = root.section("thickness");
    if !section.is_present() {
        return None;
    }
    let cartilage = label_values(&section, "cartilage");
    if cartilage.is_empty() {
        let error =
            Error::value("is missing: at least one label value").hint("as in cartilage = 1");
        section.refuse("cartilage", error);
    }
    let methods = Method::ALL.map(|method| (method.name(), method.name()));
    let plan = ThicknessPlan {
        name: section.text("name").unwrap_or_else(|| "cartilage".into()),
        labels: query(&section, "labels"),
        cartilage,
        bone: label_values(&section, "bone"),
        method: section.choice("method", &methods, "edt_subvoxel").to_owned(),
        regions: regions(&section),
        medial: label_values(&section, "medial"),
        lateral: label_values(&section, "lateral"),
        layers: count_within(&section, "layers", (1, [1, 3])),
        depth_bins: count_within(&section, "depth_bins", (0, [0, 100])),
        flattened_cell: flattened_cell(&section),
        uncertainty: uncertainty(&section),
    };
    refuse(&section, &plan);
    section.finish();
    Some(plan)
}

/// What excludes and needs what.
fn refuse(section: &Section<'_>, plan: &ThicknessPlan) {
    if plan.method == "edt_voxel" {
        if plan.bone.is_empty() {
            section.refuse("bone", Error::value("is needed by method `edt_voxel`"));
        }
        for (is_asked, key) in [(plan.layers > 1, "layers"), (plan.depth_bins > 0, "depth_bins")] {
            if is_asked {
                let error = Error::value("needs surfaces, and method `edt_voxel` makes none");
                section.refuse(key, error.hint("use `edt_subvoxel`"));
            }
        }
    }
    if plan.uncertainty.is_some() && !["edt_subvoxel", "normal"].contains(&plan.method.as_str()) {
        let error = Error::value(format!("does not go together with method `{}`", plan.method));
        section.refuse("uncertainty", error.hint("use `edt_subvoxel` or `normal`"));
    }
    if plan.medial.is_empty() != plan.lateral.is_empty() {
        let error = Error::value("and `lateral` belong together")
            .hint("as in medial = 2 and lateral = 3, the tibial cartilages");
        section.refuse("medial", error);
    }
}

fn regions(section: &Section<'_>) -> Option<&'static str> {
    const FEMORAL: &str = "femoral";
    if let Some(asked) = section.flag_or_text("regions") {
        return match asked.as_str() {
            "true" | FEMORAL => Some(FEMORAL),
            "false" => None,
            other => {
                let error = Error::value(format!("`{other}` is not true, false or \"femoral\""));
                section.refuse("regions", error);
                None
            }
        };
    }
    None
}

fn count_within(
    section: &Section<'_>,
    key: &'static str,
    (default, [low, high]): (usize, [u64; 2]),
) -> usize {
    match section.count(key) {
        None => default,
        Some(n) if (low..=high).contains(&n) => n as usize,
        Some(n) => {
            section.refuse(key, Error::value(format!("{n} is not between {low} and {high}")));
            default
        }
    }
}

fn flattened_cell(section: &Section<'_>) -> Option<FlatCellPlan> {
    let table = section.section("flattened_cell");
    if !table.is_present() {
        return None;
    }
    let plan = FlatCellPlan {
        angle_deg: table.number_within("angle_deg", 5.0, [0.5, 90.0]),
        position_mm: table.number_within("position_mm", 2.0, [0.2, 50.0]),
    };
    table.finish();
    Some(plan)
}

/// Reads `uncertainty`: how far labels are off is the reader's to say, and has no default.
fn uncertainty(section: &Section<'_>) -> Option<LabelErrorPlan> {
    let table = section.section("uncertainty");
    if !table.is_present() {
        return None;
    }
    for key in ["sd_mm", "correlation_mm"] {
        if table.number(key).is_none() {
            let error = Error::value("is missing and has no default")
                .hint("from repeated segmentations of one image: sd_mm = 0.15, correlation_mm = 4");
            table.refuse(key, error);
        }
    }
    let plan = LabelErrorPlan {
        pseudo_experiments: count_within(&table, "pseudo_experiments", (100, [2, 10_000])) as u32,
        sd_mm: table.number_within("sd_mm", 0.1, [1e-3, 1.0]),
        correlation_mm: table.number_within("correlation_mm", 5.0, [1.0, 100.0]),
    };
    table.finish();
    Some(plan)
}

/// Refuses layers of nothing: they divide the voxels of a fit whose region is the cartilage.
pub(super) fn check_layers(
    thickness: Option<&ThicknessPlan>,
    fits: &[FitPlan],
    problems: &Problems,
) {
    let Some(plan) = thickness else { return };
    if fits.iter().any(|fit| plan.is_of(fit)) {
        return;
    }
    for (is_asked, key) in [(plan.layers > 1, "layers"), (plan.depth_bins > 0, "depth_bins")] {
        if is_asked {
            let name = &plan.name;
            let error = Error::value(format!("no fit is of the region `{name}`"))
                .at_field(format!("thickness.{key}"))
                .hint(format!("give the region of the fit the same name: name = \"{name}\""));
            problems.push(error);
        }
    }
}

fn label_values(section: &Section<'_>, key: &'static str) -> Vec<u32> {
    let values = section.numbers(key).unwrap_or_default();
    if let Some(wrong) = values.iter().find(|x| !(1.0..1e9).contains(*x) || x.fract() != 0.0) {
        section.refuse(key, Error::value(format!("{wrong} is not a label value from 1")));
    }
    values.iter().map(|&value| value as u32).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::pipeline::plan::Plan;
    use crate::pipeline::spec::Spec;

    fn read(lines: &str) -> Result<ThicknessPlan, Vec<String>> {
        let text = format!(
            "[study]\ndataset = \".\"\n[[fit]]\nmodel = \"t2\"\nseries = {{ suffix = \"MESE\" }}\n\
             region = {{ name = \"femur\", image = {{ suffix = \"dseg\" }}, labels = [1] }}\n\
             [thickness]\nlabels = {{ suffix = \"dseg\" }}\ncartilage = 1\n{lines}"
        );
        let spec = Spec::parse(Path::new("a.toml"), text, &[]);
        let plan = spec.and_then(|spec| Plan::check(&spec));
        let texts = |errors: Vec<Error>| errors.iter().map(ToString::to_string).collect();
        plan.map_err(texts).map(|plan| {
            assert!(plan.to_toml().is_ok());
            plan.thickness.unwrap()
        })
    }

    #[test]
    fn nothing_is_divided_unless_it_is_asked_for() {
        let plan = read("").unwrap();
        assert!(!plan.needs_axis() && !plan.needs_depth() && plan.layer_names().is_empty());
        let plan = read(
            "name = \"femur\"\nregions = true\nlayers = 2\ndepth_bins = 10\nmedial = 2\n\
             lateral = 3\nflattened_cell = { angle_deg = 5, position_mm = 2 }\n\
             uncertainty = { sd_mm = 0.2, correlation_mm = 4 }\n",
        )
        .unwrap();
        assert_eq!(plan.regions, Some("femoral"));
        assert_eq!(plan.layer_names(), ["deep", "superficial"]);
        assert_eq!((plan.depth_bins, plan.medial[0], plan.lateral[0]), (10, 2, 3));
        assert_eq!(plan.uncertainty.unwrap().pseudo_experiments, 100);
        assert_eq!(read("regions = \"femoral\"\n").unwrap().regions, Some("femoral"));
        assert_eq!(read("regions = false\n").unwrap().regions, None);
    }

    #[test]
    fn what_cannot_be_divided_is_refused_with_its_place() {
        for (lines, part) in [
            ("layers = 2\n", "`thickness.layers`: no fit is of the region `cartilage`"),
            ("name = \"femur\"\nlayers = 4\n", "`thickness.layers`: 4 is not between 1 and 3"),
            ("regions = \"tibial\"\n", "`tibial` is not true, false or \"femoral\""),
            ("medial = 2\n", "`thickness.medial`: and `lateral` belong together"),
            (
                "name = \"femur\"\nbone = 5\nmethod = \"edt_voxel\"\ndepth_bins = 5\n",
                "`thickness.depth_bins`: needs surfaces",
            ),
            (
                "uncertainty = { correlation_mm = 4 }\n",
                "`thickness.uncertainty.sd_mm`: is missing and has no default",
            ),
            (
                "method = \"local\"\nuncertainty = { sd_mm = 0.1, correlation_mm = 4 }\n",
                "`thickness.uncertainty`: does not go together with method `local`",
            ),
            ("flattened_cell = { angle = 5 }\n", "unknown key"),
        ] {
            let errors = read(lines).unwrap_err().join("\n");
            assert!(errors.contains(part), "{lines}: {errors}");
        }
    }
}
