//! Where inputs are: BIDS queries or paths.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{FitPlan, StudyPlan, ThicknessPlan};
use crate::error::Error;
use crate::pipeline::spec::{Problems, Section};

/// What a file is called in a BIDS dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueryPlan {
    /// BIDS suffix, such as `dwi` or `MESE`.
    pub suffix: String,
    /// BIDS folder, such as `anat`; any where it is not given.
    pub datatype: Option<String>,
    /// Entities the name must have, such as `acq = "rightknee"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub entities: BTreeMap<String, String>,
}

impl QueryPlan {
    /// The same query with `{knee}` replaced.
    #[must_use]
    pub fn for_knee(&self, knee: Option<&str>) -> Self {
        let replace = |text: &String| text.replace("{knee}", knee.unwrap_or_default());
        Self {
            suffix: self.suffix.clone(),
            datatype: self.datatype.clone(),
            entities: self.entities.iter().map(|(k, v)| (k.clone(), replace(v))).collect(),
        }
    }

    /// Whether it stands for one query per knee.
    pub fn names_knee(&self) -> bool {
        self.entities.values().any(|value| value.contains("{knee}"))
    }
}

/// Which voxels of which image are the region of interest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionPlan {
    /// Name of the region in tables and on pages.
    pub name: String,
    /// The mask or label image.
    pub query: QueryPlan,
    /// Label values that belong to the region; empty for a binary mask.
    pub labels: Vec<u32>,
    /// Smallest fraction of a voxel that must lie in the region when it is carried to another grid.
    pub minimum_fraction: f64,
    /// The image that the region was drawn on, where it is to be registered rigidly to the series;
    /// else scanner coordinates carry the region.
    pub register_from: Option<QueryPlan>,
}

/// One series named by its path, with what no sidecar says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputPlan {
    /// Participant, `sub-` may be left out.
    pub participant: String,
    /// Session, `ses-` may be left out; none where there is one only.
    pub session: Option<String>,
    /// Knee it shows.
    pub knee: Option<String>,
    /// Class of the participant, such as a histological type.
    pub class: Option<String>,
    /// Name of the fit it feeds, or `thickness`.
    pub fit: String,
    /// One 4-D file, or one file per volume; the label image for `thickness`.
    #[serde(skip)]
    pub series: Vec<PathBuf>,
    /// The b-values of a diffusion series.
    #[serde(skip)]
    pub bval: Option<PathBuf>,
    /// The mask or label image of the region; the whole image where it is not given.
    #[serde(skip)]
    pub region: Option<PathBuf>,
    /// Map of T10 in s for a dynamic series.
    #[serde(skip)]
    pub t10_map: Option<PathBuf>,
    /// The mask of the artery of a dynamic series.
    #[serde(skip)]
    pub artery: Option<PathBuf>,
    /// The image that the region was drawn on, where it is registered to the series.
    #[serde(skip)]
    pub register_from: Option<PathBuf>,
    /// Map of the transmit field.
    #[serde(skip)]
    pub b1_map: Option<PathBuf>,
}

/// Reads the query under `key`: `{ suffix = "dwi", datatype = "dwi", acq = "rightknee" }`.
pub(super) fn query(section: &Section<'_>, key: &'static str) -> Option<QueryPlan> {
    let table = section.section(key);
    query_of(&table)
}

/// Reads a query from its own table; every key but the known ones is a BIDS entity.
pub(super) fn query_of(table: &Section<'_>) -> Option<QueryPlan> {
    let mut entities: BTreeMap<String, String> = BTreeMap::new();
    let mut suffix = None;
    let mut datatype = None;
    for (key, value) in table.free_texts() {
        match key.as_str() {
            "suffix" => suffix = Some(value),
            "datatype" => datatype = Some(value),
            _ => {
                entities.insert(key, value);
            }
        }
    }
    if suffix.is_none() && table.is_present() {
        let error = Error::value("is missing").hint("name the BIDS suffix, as in suffix = \"dwi\"");
        table.refuse("suffix", error);
    }
    Some(QueryPlan { suffix: suffix?, datatype, entities })
}

/// Reads the region under `region`.
pub(super) fn region(section: &Section<'_>) -> Option<RegionPlan> {
    let table = section.section("region");
    if !table.is_present() {
        return None;
    }
    let image = query(&table, "image");
    if image.is_none() {
        let error = Error::value("is missing").hint("as in image = { suffix = \"mask\" }");
        table.refuse("image", error);
    }
    let labels = table.numbers("labels").unwrap_or_default();
    if let Some(index) = labels.iter().position(|x| !(1.0..1e9).contains(x) || x.fract() != 0.0) {
        let error = Error::value(format!("{} is not a label value from 1", labels[index]));
        table.refuse("labels", error);
    }
    let name = table.text("name").unwrap_or_else(|| "region".into());
    let minimum_fraction = table.number_within("minimum_fraction", 0.5, [0.0, 1.0]);
    let register_from = query(&table, "register_from");
    table.finish();
    let labels = labels.iter().map(|&label| label as u32).collect();
    Some(RegionPlan { name, query: image?, labels, minimum_fraction, register_from })
}

/// Reads `[[input]]`; paths are relative to the pipeline file.
pub(super) fn inputs(path: &Path, root: &Section<'_>) -> Vec<InputPlan> {
    let base = path.parent().unwrap_or_else(|| Path::new("."));
    root.sections("input").into_iter().map(|section| input(base, section)).collect()
}

fn input(base: &Path, section: Section<'_>) -> InputPlan {
    let participant = section.required_text("participant");
    let fit = section.required_text("fit");
    let series = section.texts("series").unwrap_or_default();
    if series.is_empty() {
        section.refuse("series", Error::value("is missing: at least one path is needed"));
    }
    let file = |text: Option<String>| text.map(|text| base.join(text));
    let input = InputPlan {
        participant: participant.unwrap_or_default(),
        session: section.text("session"),
        knee: section.text("knee"),
        class: section.text("class"),
        fit: fit.unwrap_or_default(),
        series: series.iter().map(|text| base.join(text)).collect(),
        bval: file(section.text("bval")),
        region: file(section.text("region")),
        t10_map: file(section.text("t10_map")),
        artery: file(section.text("artery")),
        register_from: file(section.text("register_from")),
        b1_map: file(section.text("b1_map")),
    };
    section.finish();
    input
}

/// Every `[[input]]` feeds something that the pipeline does.
pub(super) fn check_inputs(
    inputs: &[InputPlan],
    fits: &[FitPlan],
    thickness: Option<&ThicknessPlan>,
    problems: &Problems,
) {
    let mut names: Vec<&str> = fits.iter().map(|fit| fit.name.as_str()).collect();
    names.extend(thickness.map(|_| "thickness"));
    for (index, input) in inputs.iter().enumerate() {
        if !names.contains(&input.fit.as_str()) && !input.fit.is_empty() {
            let error = Error::value(format!("nothing is called `{}`", input.fit))
                .hint(format!("one of {}", names.join(", ")));
            problems.push(error.at_field(format!("input[{index}].fit")));
        }
    }
}

/// `{knee}` in a query needs `study.knees`.
pub(super) fn check_knees(
    study: &StudyPlan,
    fits: &[FitPlan],
    thickness: Option<&ThicknessPlan>,
    problems: &Problems,
) {
    let of_fits = fits.iter().flat_map(|fit| {
        let to = fit.registration.as_ref().and_then(|registration| registration.to.as_ref());
        [fit.series.as_ref(), fit.region.as_ref().map(|region| &region.query), to]
    });
    let of_thickness = thickness.and_then(|thickness| thickness.labels.as_ref());
    let named = of_fits.chain([of_thickness]).flatten().any(QueryPlan::names_knee);
    if named && study.knees.is_empty() {
        let error = Error::value("is empty, but a query names `{knee}`")
            .hint("as in knees = [\"left\", \"right\"]");
        problems.push(error.at_field("study.knees"));
    }
}
