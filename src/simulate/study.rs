//! What a simulation hands over: images with their sidecars, tables, and the truth behind them.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::image::{Labels, Mask, ParameterMap, Series};
use crate::unit::Unit;

/// Diffusion weighting of every volume, as `.bval` and `.bvec` hold it.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientTable {
    /// One b-value per volume, s/mm².
    pub b_values_s_per_mm2: Vec<f64>,
    /// One direction per volume; all zero for trace-weighted images.
    pub directions: Vec<[f64; 3]>,
}

/// What one simulated file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Signals. With noise the stored samples are integers in 0–32 767 under one scaling, as a
    /// scanner stores them, so an int16 file loses nothing; without noise they are 64-bit.
    Series {
        /// The signals.
        series: Series,
        /// Diffusion weighting, where there is any.
        gradients: Option<GradientTable>,
    },
    /// Voxels in or out.
    Mask(Mask),
    /// Named regions; the names belong into a `.tsv` beside the image.
    Labels(Labels),
    /// A true (or prescribed) value per voxel, 0 where there is none.
    Map(ParameterMap),
    /// No image: the sidecar alone is the file.
    Record,
}

/// One file of a simulated dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedImage {
    /// Path in the dataset without extension, such as `sub-01/dwi/sub-01_dwi`.
    pub stem: String,
    /// What the file holds.
    pub content: Content,
    /// The JSON object of the sidecar, BIDS keys and units (times in seconds, angles in degrees).
    pub sidecar: Value,
}

impl SimulatedImage {
    pub(super) fn new(stem: String, content: Content, sidecar: Value) -> Self {
        Self { stem, content, sidecar }
    }
}

/// One true number of one region of one study.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthRow {
    /// Such as `sub-01`.
    pub participant_id: String,
    /// Such as `ses-pre`; `None` where the study has no sessions.
    pub session_id: Option<String>,
    /// Such as `tumour`, `viable`, `rightknee`.
    pub region: String,
    /// Such as `adc`, `t2`, `thickness`.
    pub parameter: &'static str,
    /// Such as `mean`, `median`, `p25`.
    pub statistic: &'static str,
    /// The value in `units`.
    pub value: f64,
    /// Symbol of the unit, as in the `units` column of every table.
    pub units: &'static str,
}

/// One true number of a whole group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupTruthRow {
    /// Such as `NB` or `control`.
    pub group: String,
    /// Such as `viable`, `tumour`, `knee`.
    pub region: &'static str,
    /// Such as `adc` or `t2_median_change`.
    pub parameter: &'static str,
    /// Such as `mean`, `sd`, `percent_uncertainty`.
    pub statistic: &'static str,
    /// The value in `units`.
    pub value: f64,
    /// Symbol of the unit.
    pub units: &'static str,
}

/// A tab-separated file with its data dictionary.
#[derive(Debug, Clone, PartialEq)]
pub struct TabularFile {
    /// Path in the dataset without extension, such as `participants`.
    pub stem: String,
    /// Name and description of every column.
    pub columns: Vec<(&'static str, &'static str)>,
    /// Rows in the order of the columns; a missing value is `n/a`.
    pub rows: Vec<Vec<String>>,
}

impl TabularFile {
    /// The BIDS data dictionary: column name → `{"Description": …}`.
    pub fn dictionary(&self) -> Value {
        let entry =
            |&(name, text): &(&str, &str)| (name.to_owned(), json!({ "Description": text }));
        Value::Object(self.columns.iter().map(entry).collect::<Map<_, _>>())
    }
}

/// One participant, or one session of one, generated when asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedStudy {
    /// Such as `sub-01`.
    pub participant_id: String,
    /// Such as `ses-pre`; `None` where the cohort has no sessions.
    pub session_id: Option<String>,
    /// Every image, mask, label map and truth map of the study.
    pub images: Vec<SimulatedImage>,
    /// Every true number of the study.
    pub truth: Vec<TruthRow>,
    /// The movement between the anatomical and the quantitative image, by region; empty where the
    /// images' affines say all.
    pub motions: Vec<(String, super::KnownMotion)>,
}

impl SimulatedStudy {
    /// The file with this stem; `None` where there is none.
    pub fn image(&self, stem: &str) -> Option<&SimulatedImage> {
        self.images.iter().find(|image| image.stem == stem)
    }

    /// The true value of one statistic; `None` where it is not stated.
    pub fn true_value(&self, region: &str, parameter: &str, statistic: &str) -> Option<f64> {
        let wanted = |row: &&TruthRow| {
            row.region == region && row.parameter == parameter && row.statistic == statistic
        };
        self.truth.iter().find(wanted).map(|row| row.value)
    }
}

/// Makes one study from its position in the cohort.
pub(super) trait StudySource: std::fmt::Debug + Send + Sync {
    /// Number of studies.
    fn n_studies(&self) -> usize;

    /// Study `index`, below [`StudySource::n_studies`].
    fn study(&self, index: usize) -> Result<SimulatedStudy>;
}

/// A dataset of simulated studies: its tables at once, its images study by study.
#[derive(Debug)]
pub struct SimulatedCohort {
    /// Such as `neuroblastoma`.
    pub name: String,
    /// What was designed, and on which assumptions: the text of the dataset's README.
    pub readme: String,
    /// `dataset_description.json` of the dataset (`""`) and of each derivative folder.
    pub descriptions: Vec<(String, Value)>,
    /// Patterns of files that BIDS has no name for.
    pub bids_ignore: Vec<&'static str>,
    /// `participants` and, where there are sessions, one `sub-XX/sub-XX_sessions` each.
    pub tables: Vec<TabularFile>,
    /// True numbers of whole groups.
    pub group_truth: Vec<GroupTruthRow>,
    pub(super) source: Box<dyn StudySource>,
}

impl SimulatedCohort {
    /// Number of studies (participants, or participants × sessions).
    pub fn n_studies(&self) -> usize {
        self.source.n_studies()
    }

    /// Generates study `index`; the same bytes every time and in every order.
    ///
    /// # Errors
    ///
    /// `Value` when there is no study `index`.
    pub fn study(&self, index: usize) -> Result<SimulatedStudy> {
        if index >= self.n_studies() {
            return Err(Error::value(format!("study {index} of {}", self.n_studies())));
        }
        self.source.study(index)
    }

    /// All studies, one after the other, so that memory holds one at a time.
    pub fn studies(&self) -> impl Iterator<Item = Result<SimulatedStudy>> + '_ {
        (0..self.n_studies()).map(|index| self.study(index))
    }

    /// `derivatives/truth/group_truth` from [`SimulatedCohort::group_truth`].
    pub fn group_truth_file(&self) -> TabularFile {
        let row = |r: &GroupTruthRow| {
            vec![
                r.group.clone(),
                r.region.into(),
                r.parameter.into(),
                r.statistic.into(),
                r.value.to_string(),
                r.units.into(),
            ]
        };
        TabularFile {
            stem: "derivatives/truth/group_truth".into(),
            columns: vec![
                ("group", "class of the tumour, or treatment of the knee"),
                ("region", "which voxels, or which unit of the group"),
                ("parameter", "the quantity"),
                ("statistic", "the statistic over the members of the group"),
                ("value", "the true value in the units of the row"),
                ("units", "unit of the value"),
            ],
            rows: self.group_truth.iter().map(row).collect(),
        }
    }
}

/// `derivatives/truth/truth`: the rows of every study in the order given.
pub fn truth_file<'a>(rows: impl IntoIterator<Item = &'a TruthRow>) -> TabularFile {
    let row = |r: &TruthRow| {
        vec![
            r.participant_id.clone(),
            r.session_id.clone().unwrap_or_else(|| "n/a".into()),
            r.region.clone(),
            r.parameter.into(),
            r.statistic.into(),
            r.value.to_string(),
            r.units.into(),
        ]
    };
    TabularFile {
        stem: "derivatives/truth/truth".into(),
        columns: vec![
            ("participant_id", "participant"),
            ("session_id", "session, n/a where there is none"),
            ("region", "which voxels"),
            ("parameter", "the quantity"),
            ("statistic", "the statistic over the region"),
            ("value", "the true value in the units of the row"),
            ("units", "unit of the value"),
        ],
        rows: rows.into_iter().map(row).collect(),
    }
}

/// Collects the truth of one study; every row shares its participant and session.
#[derive(Debug)]
pub(super) struct TruthRows {
    participant_id: String,
    session_id: Option<String>,
    pub(super) rows: Vec<TruthRow>,
}

impl TruthRows {
    pub(super) fn new(participant_id: &str, session_id: Option<&str>) -> Self {
        Self {
            participant_id: participant_id.into(),
            session_id: session_id.map(Into::into),
            rows: Vec::new(),
        }
    }

    /// Adds `(statistic, value)` pairs of one parameter of one region, all in one unit.
    pub(super) fn add(
        &mut self,
        region: &str,
        parameter: &'static str,
        units: &'static str,
        statistics: &[(&'static str, f64)],
    ) {
        self.rows.extend(statistics.iter().map(|&(statistic, value)| TruthRow {
            participant_id: self.participant_id.clone(),
            session_id: self.session_id.clone(),
            region: region.into(),
            parameter,
            statistic,
            value,
            units,
        }));
    }
}

/// A truth or prescription map with the sidecar that names its unit.
pub(super) fn map_image(stem: String, map: ParameterMap, description: &str) -> SimulatedImage {
    let sidecar = json!({ "Description": description, "Units": map.unit.symbol() });
    SimulatedImage::new(stem, Content::Map(map), sidecar)
}

/// A map that is `value(index)` on the voxels of `mask` and 0 elsewhere.
pub(super) fn map_on(
    mask: &Mask,
    name: &str,
    unit: Unit,
    value: impl Fn(usize) -> f64,
) -> ParameterMap {
    let mut volume = mask.volume().map(|_| 0.0_f32);
    for (position, &index) in mask.indices().iter().enumerate() {
        volume.voxels_mut()[index] = value(position) as f32;
    }
    ParameterMap { name: name.into(), unit, volume }
}

/// `dataset_description.json` of a simulated dataset and its derivative folders.
pub(super) fn descriptions(name: &str) -> Vec<(String, Value)> {
    let describe = |suffix: &str, kind: &str| {
        json!({
            "Name": format!("{name}{suffix}"),
            "BIDSVersion": "1.10.0",
            "DatasetType": kind,
            "License": "CC0",
            "GeneratedBy": [{ "Name": "biomarker simulate", "Version": env!("CARGO_PKG_VERSION") }],
        })
    };
    vec![
        (String::new(), describe("", "raw")),
        ("derivatives/manual".into(), describe(", segmentation", "derivative")),
        ("derivatives/truth".into(), describe(", truth", "derivative")),
    ]
}

/// Refuses a signal-to-noise ratio that is given but is not a positive number.
pub(super) fn require_snr(field: &str, snr: Option<f64>) -> Result<()> {
    match snr {
        Some(snr) if !(snr.is_finite() && snr > 0.0) => {
            Err(Error::value(format!("signal-to-noise ratio {snr} is not a positive number"))
                .at_field(field)
                .hint("leave it out for images without noise"))
        }
        _ => Ok(()),
    }
}
