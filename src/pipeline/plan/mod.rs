//! A pipeline as checked: every default resolved, every rule held.
//!
//! Only [`Plan::read`] makes a [`Plan`]. It is written back beside the results as `plan.toml`, so a
//! table can always be traced to the settings that made it.

mod artery;
mod cohort;
mod fit;
mod habitat;
mod registration;
mod source;
mod thickness;
mod voxels;

use std::path::{Path, PathBuf};

pub use artery::{ArteryCurve, ArteryPlan, DEFAULT_DOSE_MMOL_PER_KG};
pub use cohort::{
    CohortPlan, FamilyPlan, KneePlan, RetestPlan, STATISTICS, Treatment, TumourPlan, group_name,
};
pub use fit::{AcquisitionPlan, AreaVariant, Arrival, DynamicPlan, FitPlan, Motion, T10};
pub use habitat::{HabitatPlan, JointPlan, Order, Summary};
pub use registration::{MovingReference, RegistrationOrder, RegistrationPlan, TransformKind};
use serde::Serialize;
pub use source::{InputPlan, QueryPlan, RegionPlan};
pub use thickness::{FlatCellPlan, LabelErrorPlan, ThicknessPlan};
pub use voxels::{GatePlan, NoisePlan, Reading, RelativeTo, UncertaintyPlan};

use super::spec::{Problems, Section, Spec};
use crate::error::{Error, Result};

/// Which run it is: name, where from, where to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StudyPlan {
    /// Name of the pipeline; names the output folder and stands on every page.
    pub name: String,
    /// Root of the BIDS dataset; none where every input is named by its path.
    #[serde(skip)]
    pub dataset: Option<PathBuf>,
    /// Folder of the results.
    #[serde(skip)]
    pub output: PathBuf,
    /// Folder of the pipeline, which the paths of `[[input]]` are relative to.
    #[serde(skip)]
    pub folder: PathBuf,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Knees that are looked for in every session; `{knee}` in a query stands for each of them.
    pub knees: Vec<String>,
    /// Whether the data come from a simulator; pages and tables then say so.
    pub simulated: bool,
}

/// A checked pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Which run it is.
    pub study: StudyPlan,
    /// Inputs named by their paths; empty where they are discovered in a dataset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<InputPlan>,
    /// What is fitted in every session.
    pub fit: Vec<FitPlan>,
    /// Habitats in the space of several fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joint_habitat: Vec<JointPlan>,
    /// Cartilage thickness, where it is measured.
    pub thickness: Option<ThicknessPlan>,
    /// Statistics over all subjects, where there are any.
    pub cohort: Option<CohortPlan>,
}

impl Plan {
    /// Reads and checks the pipeline at `path` after `overrides` (`key.path=value`).
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each with file, line, column, value, rule and hint.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, Vec<Error>> {
        Self::check(&Spec::read(path, overrides)?)
    }

    /// Checks a specification.
    ///
    /// # Errors
    ///
    /// As [`Plan::read`].
    pub fn check(spec: &Spec) -> Result<Self, Vec<Error>> {
        let problems = Problems::default();
        let plan = from_sections(spec, &problems);
        match plan {
            Some(plan) if problems.is_empty() => Ok(plan),
            _ => Err(spec.place(problems)),
        }
    }

    /// The plan as TOML, without paths of the machine it ran on.
    ///
    /// # Errors
    ///
    /// `Internal` when it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Error::internal(format!("plan cannot be written: {error}")))
    }
}

fn from_sections(spec: &Spec, problems: &Problems) -> Option<Plan> {
    let root = spec.section(problems);
    let study = study(spec.path(), root.section("study"));
    let input = source::inputs(spec.path(), &root);
    let fit = fit::fits(&root);
    let names: Vec<&str> = fit.iter().map(|fit| fit.name.as_str()).collect();
    let joint_habitat = habitat::joint_habitats(&root, &names);
    let thickness = thickness::thickness(&root);
    let cohort = cohort::cohort(&root);
    if fit.is_empty() && thickness.is_none() {
        root.refuse("fit", Error::value("nothing to do: neither `[[fit]]` nor `[thickness]`"));
    }
    let (study, fit) = (study?, fit);
    if study.dataset.is_none() && input.is_empty() {
        let error = Error::value("no data: neither `dataset` nor `[[input]]`");
        problems.push(error.at_field("study"));
    }
    source::check_inputs(&input, &fit, thickness.as_ref(), problems);
    thickness::check_layers(thickness.as_ref(), &fit, problems);
    cohort::check_endpoints(cohort.as_ref(), &fit, thickness.as_ref(), problems);
    source::check_knees(&study, &fit, thickness.as_ref(), problems);
    root.finish();
    Some(Plan { study, input, fit, joint_habitat, thickness, cohort })
}

fn study(path: &Path, section: Section<'_>) -> Option<StudyPlan> {
    let file_stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = section.text("name").or(file_stem).filter(|name| is_file_name(name));
    if name.is_none() {
        let error = Error::value("must be letters, digits, `-` and `_` only: it names a folder");
        section.refuse("name", error);
    }
    let base = path.parent().unwrap_or_else(|| Path::new("."));
    let dataset = section.text("dataset").map(|dataset| base.join(dataset));
    let output = section.text("output").map(|output| base.join(output));
    let seed = section.count("seed").unwrap_or(1);
    let knees = section.texts("knees").unwrap_or_default();
    let simulated = section.flag("simulated").unwrap_or(false);
    section.finish();
    let name = name?;
    let output = output.unwrap_or_else(|| Path::new("reports").join(&name));
    let folder = base.to_owned();
    Some(StudyPlan { name, dataset, output, folder, seed, knees, simulated })
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Plan, Vec<String>> {
        let spec = Spec::parse(Path::new("study/knee.toml"), text.into(), &[]);
        let plan = spec.and_then(|spec| Plan::check(&spec));
        plan.map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    const DWI: &str = "[[fit]]\nmodel = \"adc\"\nseries = { suffix = \"dwi\" }\n";

    #[test]
    fn defaults_are_resolved_and_written_back() {
        let plan = read(&format!("[study]\ndataset = \"bids\"\n{DWI}")).unwrap();
        assert_eq!(plan.study.name, "knee");
        assert_eq!(plan.study.dataset.as_deref(), Some(Path::new("study/bids")));
        assert_eq!(plan.study.output, Path::new("reports/knee"));
        assert_eq!(plan.fit[0].uncertainty.pseudo_experiments, 1000);
        assert!((plan.fit[0].gate.maximum_uncertainty - 0.10).abs() < 1e-15);
        let toml = plan.to_toml().unwrap();
        assert!(toml.contains("maximum_uncertainty = 0.1") && !toml.contains("study/"), "{toml}");
    }

    #[test]
    fn stability_needs_a_habitat_and_all_pseudo_experiments() {
        let start = format!("[study]\ndataset = \"bids\"\n{DWI}");
        let plan = read(&format!(
            "{start}habitat = {{}}\ngate = {{ minimum_stability = 0.7 }}\n\
             uncertainty = {{ early_stop = false }}\n"
        ))
        .unwrap();
        assert!(plan.fit[0].gate.minimum_stability.is_some_and(|s| (s - 0.7).abs() < 1e-15));
        let early = read(&format!("{start}uncertainty = {{ early_stop = true }}\n")).unwrap();
        assert!(
            early.fit[0].uncertainty.early_stop && early.fit[0].gate.minimum_stability.is_none()
        );
        for (lines, reason) in [
            ("gate = { minimum_stability = 0.7 }\n", "needs `[fit.habitat]`"),
            (
                "habitat = {}\ngate = { minimum_stability = 0.7 }\n\
                 uncertainty = { early_stop = true }\n",
                "exclude each other",
            ),
            (
                "habitat = {}\ngate = { minimum_stability = 0.7 }\n\
                 uncertainty = { pseudo_experiments = 0 }\n",
                "needs pseudo-experiments",
            ),
            ("habitat = {}\ngate = { minimum_stability = 2 }\n", "2 is not between 0 and 1"),
        ] {
            let errors = read(&format!("{start}{lines}")).unwrap_err();
            assert!(errors.iter().any(|error| error.contains(reason)), "{errors:?}");
        }
    }

    #[test]
    fn every_fault_is_found_at_once_with_its_place() {
        let errors = read(
            "[study]\nname = \"a b\"\n[[fit]]\nmodel = \"t2\"\n\
             acquisition = { echo_times_ms = [0.01, 20] }\nhabitat = { joint_parameters = [\"t1\"] }\n\
             [noise]\nmethod = \"given\"\n[cohort]\nkind = \"knees\"\nbefore = \"a\"\nafter = \"a\"\n",
        )
        .unwrap_err();
        let expected = [
            "study/knee.toml:2:8: `study.name`: must be letters, digits, `-` and `_` only: it names a \
             folder",
            "study/knee.toml:5:34: `fit[0].acquisition.echo_times_ms[0]`: 0.01 is not between 1 and 500",
            "study/knee.toml:6:32: `fit[0].habitat.joint_parameters`: `t1` is no further parameter of \
             this model",
            "`fit[0].noise.sigma`: `method = \"given\"` and `sigma` belong together",
            "study/knee.toml:12:9: `cohort.after`: must not be the session of `before`",
        ];
        for text in expected {
            assert!(errors.iter().any(|error| error.ends_with(text)), "{text}\n{errors:#?}");
        }
    }

    #[test]
    fn a_pipeline_without_work_or_data_says_so() {
        let errors = read("[study]\nname = \"a\"\n").unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors.iter().any(|error| error.contains("nothing to do")));
        assert!(errors.iter().any(|error| error.contains("no data")));
    }

    #[test]
    fn a_query_for_knees_needs_knees() {
        let text = "[study]\ndataset = \".\"\n[[fit]]\nmodel = \"t2\"\n\
                    series = { suffix = \"MESE\", acq = \"{knee}knee\" }\n";
        assert!(read(text).unwrap_err()[0].contains("a query names `{knee}`"));
        let text = text.replace("\".\"", "\".\"\nknees = [\"left\"]");
        let plan = read(&text).unwrap();
        let series = plan.fit[0].series.as_ref().unwrap().for_knee(Some("left"));
        assert_eq!(series.entities["acq"], "leftknee");
    }

    #[test]
    fn fits_take_what_they_do_not_say_from_the_pipeline() {
        let text = format!(
            "[study]\ndataset = \".\"\n[gate]\nmaximum_uncertainty = 0.2\n{DWI}\
             gate = {{ range_mm2_per_s = [0, 0.004] }}\n"
        );
        let gate = read(&text).unwrap().fit[0].gate.clone();
        assert!((gate.maximum_uncertainty - 0.2).abs() < 1e-15);
        assert_eq!(gate.range, Some([0.0, 0.004]));
    }
}
