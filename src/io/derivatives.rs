//! Outputs as a BIDS-Derivatives dataset: names, descriptions and metadata.
//!
//! Nothing here knows a clock, a host, a user or an absolute path.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::bids::is_label;
use super::{atomic, sidecar};
use crate::error::{Error, Result};
use crate::table::SCHEMAS;
use crate::unit::Unit;

/// The version of BIDS that outputs follow.
pub const BIDS_VERSION: &str = "1.10.0";
/// What a validator of BIDS has no rule for.
const IGNORED: [&str; 7] = [
    "tables",
    "*.html",
    "sub-*/figures",
    "**/figures/",
    "**/*_dwimap.*",
    "**/*_mimap.*",
    "**/*_thickness.shape.gii",
];
/// Entities between session and suffix, in the order of BIDS.
const ENTITY_ORDER: [&str; 30] = [
    "cohort",
    "sample",
    "task",
    "tracksys",
    "acq",
    "nuc",
    "voi",
    "ce",
    "trc",
    "stain",
    "rec",
    "dir",
    "run",
    "mod",
    "echo",
    "flip",
    "inv",
    "mt",
    "part",
    "proc",
    "hemi",
    "space",
    "split",
    "recording",
    "chunk",
    "seg",
    "res",
    "den",
    "label",
    "desc",
];

/// Name and folder of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivativeName {
    /// With its prefix: `sub-01`.
    pub participant: String,
    /// With its prefix: `ses-pre`; `None` where there are no sessions.
    pub session: Option<String>,
    /// Folder of the kind of data, such as `anat`.
    pub datatype: String,
    /// Other entities and their labels, in any order.
    pub entities: Vec<(String, String)>,
    /// Such as `T2map`.
    pub suffix: String,
    /// With its dot, such as `.nii.gz`.
    pub extension: String,
}

impl DerivativeName {
    /// Path from the root of the outputs, such as
    /// `sub-01/ses-pre/anat/sub-01_ses-pre_desc-monoexp_T2map.nii.gz`; entities in the order of
    /// BIDS.
    ///
    /// # Errors
    ///
    /// `Value` when a label is not letters and digits, an entity is unknown to BIDS or given twice,
    /// or a prefix is missing.
    pub fn path(&self) -> Result<PathBuf> {
        let mut parts = vec![with_prefix(&self.participant, "sub")?];
        let mut folder = PathBuf::from(&self.participant);
        if let Some(session) = &self.session {
            parts.push(with_prefix(session, "ses")?);
            folder.push(session);
        }
        let mut entities = Vec::with_capacity(self.entities.len());
        for (key, label) in &self.entities {
            let place = ENTITY_ORDER.iter().position(|known| known == key).ok_or_else(|| {
                Error::value(format!("BIDS knows no entity `{key}`"))
                    .hint(format!("it knows {}", ENTITY_ORDER.join(", ")))
            })?;
            entities.push((place, format!("{key}-{}", label_of(key, label)?)));
        }
        entities.sort();
        if entities.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::value("an entity is given twice").at_field("entities"));
        }
        parts.extend(entities.into_iter().map(|(_, entity)| entity));
        parts.push(label_of("suffix", &self.suffix)?.to_owned());
        folder.push(label_of("datatype", &self.datatype)?);
        Ok(folder.join(format!("{}{}", parts.join("_"), self.extension)))
    }
}

fn with_prefix(id: &str, prefix: &str) -> Result<String> {
    match id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')) {
        Some(label) => label_of(prefix, label).map(|_| id.to_owned()),
        None => Err(Error::value(format!("`{id}` does not begin with `{prefix}-`"))),
    }
}

fn label_of<'a>(what: &str, label: &'a str) -> Result<&'a str> {
    if is_label(label) {
        return Ok(label);
    }
    Err(Error::value(format!("`{label}` is not made of letters and digits alone")).at_field(what))
}

/// What stands beside a map: where it comes from, how, and in which unit.
#[derive(Debug, Clone, PartialEq)]
pub struct MapMetadata {
    /// The images it was made from, each by [`source_uri`].
    pub sources: Vec<String>,
    /// One sentence on what the map shows.
    pub description: String,
    /// Name of the estimator, such as `monoexponential nonlinear least squares`.
    pub estimation_algorithm: String,
    /// Citation with DOI.
    pub estimation_reference: String,
    /// Unit of its voxels.
    pub unit: Unit,
    /// The image whose grid it has, by [`source_uri`]; `None` where it has its sources' own.
    pub spatial_reference: Option<String>,
    /// Whether voxels outside the brain were removed; `None` where that means nothing.
    pub skull_stripped: Option<bool>,
    /// How the signal was made: [`Sidecar::copied`](sidecar::Sidecar::copied), with the vectors of
    /// the whole series put over it.
    pub acquisition: Map<String, Value>,
}

impl MapMetadata {
    /// The metadata as the object of a sidecar, in a fixed order.
    ///
    /// # Errors
    ///
    /// `Internal` when a source is no `bids:` URI, for it could hold an absolute path, or a key of
    /// `acquisition` is not one of [`COPIED_KEYS`](sidecar::COPIED_KEYS).
    pub fn object(&self) -> Result<Map<String, Value>> {
        let references = self.sources.iter().chain(&self.spatial_reference);
        if let Some(source) = references.into_iter().find(|uri| !uri.starts_with("bids:")) {
            return Err(Error::internal(format!("source `{source}` is no bids: URI")));
        }
        let unlisted = |key: &&String| !sidecar::COPIED_KEYS.contains(&key.as_str());
        if let Some(key) = self.acquisition.keys().find(unlisted) {
            return Err(Error::internal(format!("key `{key}` may not be copied into outputs")));
        }
        let mut object = Map::new();
        object.insert("Description".into(), self.description.as_str().into());
        object.insert("Sources".into(), self.sources.clone().into());
        object.insert("EstimationAlgorithm".into(), self.estimation_algorithm.as_str().into());
        object.insert("EstimationReference".into(), self.estimation_reference.as_str().into());
        object.insert("Units".into(), self.unit.symbol().into());
        if let Some(reference) = &self.spatial_reference {
            object.insert("SpatialReference".into(), reference.as_str().into());
        }
        if let Some(skull_stripped) = self.skull_stripped {
            object.insert("SkullStripped".into(), skull_stripped.into());
        }
        object.extend(self.acquisition.clone());
        Ok(object)
    }
}

/// `bids:raw:sub-01/anat/sub-01_MESE.nii.gz` for a file of the dataset that
/// `dataset_description.json` links as `raw`; parts are joined by `/` on every system.
pub fn source_uri(dataset: &str, relative_path: &Path) -> String {
    let parts: Vec<String> =
        relative_path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    format!("bids:{dataset}:{}", parts.join("/"))
}

/// Writes `dataset_description.json`: `name`, and where the datasets that sources name are, each as
/// a name and a relative path or public URI.
///
/// # Errors
///
/// `Internal` when a link is an absolute path; those of [`atomic::write`].
pub fn write_dataset_description(folder: &Path, name: &str, links: &[(&str, &str)]) -> Result<()> {
    if let Some((_, link)) = links.iter().find(|(_, link)| is_absolute(link)) {
        return Err(Error::internal(format!("link `{link}` is an absolute path")));
    }
    let mut object = Map::new();
    object.insert("Name".into(), name.into());
    object.insert("BIDSVersion".into(), BIDS_VERSION.into());
    object.insert("DatasetType".into(), "derivative".into());
    object.insert(
        "GeneratedBy".into(),
        json!([{ "Name": env!("CARGO_PKG_NAME"), "Version": env!("CARGO_PKG_VERSION") }]),
    );
    if !links.is_empty() {
        let links = links.iter().map(|(name, link)| ((*name).to_owned(), (*link).into()));
        object.insert("DatasetLinks".into(), Value::Object(links.collect()));
    }
    sidecar::write(&folder.join("dataset_description.json"), &object)
}

fn is_absolute(link: &str) -> bool {
    let drive = link.chars().nth(1) == Some(':');
    link.starts_with(['/', '\\', '~']) || link.starts_with("file:") || drive
}

/// Writes `.bidsignore`.
///
/// # Errors
///
/// Those of [`atomic::write`].
pub fn write_bidsignore(folder: &Path) -> Result<()> {
    atomic::write(&folder.join(".bidsignore"), format!("{}\n", IGNORED.join("\n")).as_bytes())
}

/// Writes the `README.md` that says what lies in the folder.
///
/// # Errors
///
/// Those of [`atomic::write`].
pub fn write_readme(folder: &Path, pipeline: &str) -> Result<()> {
    let mut text = format!(
        "# {pipeline}\n\n\
         Imaging biomarkers with their uncertainty, by `{} {}`, as a BIDS-Derivatives dataset.\n\n\
         - `index.html`: all participants on one page; `sub-*.html`: one participant. Open them in a\n  \
           browser, no network is needed.\n\
         - `sub-*/`: maps as NIfTI with a JSON sidecar each. `desc-<model>` is the estimate,\n  \
           `desc-<model>Stderr` its standard error, `desc-status_dseg` why a voxel has none (0 outside,\n  \
           1 converged, then one code per reason).\n\
         - `tables/`: the same tables as Parquet and TSV; every column is explained in\n  \
           `tables/data_dictionary.tsv`. What is missing is null (`n/a` in TSV), and\n  \
           `exclusion_reason` says why.\n\
         - `plan.toml`: every setting of the run; `manifest.json`: hashes of inputs and outputs.\n\
         - `logs/`: the only place with times and machine details.\n\n\
         | table | one row is |\n|---|---|\n",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
    );
    for schema in SCHEMAS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{}` | {} |", schema.name, schema.row);
    }
    text.push_str("\nFor research; not a medical device.\n");
    atomic::write(&folder.join("README.md"), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn name() -> DerivativeName {
        DerivativeName {
            participant: "sub-01".into(),
            session: Some("ses-pre".into()),
            datatype: "anat".into(),
            entities: vec![("desc".into(), "monoexp".into())],
            suffix: "T2map".into(),
            extension: ".nii.gz".into(),
        }
    }

    #[test]
    fn paths_are_those_of_the_interface() {
        assert_eq!(
            name().path().unwrap(),
            Path::new("sub-01/ses-pre/anat/sub-01_ses-pre_desc-monoexp_T2map.nii.gz")
        );
        let single = DerivativeName { session: None, datatype: "dwi".into(), ..name() };
        let expected = Path::new("sub-01/dwi/sub-01_desc-monoexp_T2map.nii.gz");
        assert_eq!(single.path().unwrap(), expected);
        let surface =
            DerivativeName { suffix: "thickness".into(), extension: ".shape.gii".into(), ..name() };
        assert!(
            surface.path().unwrap().ends_with("sub-01_ses-pre_desc-monoexp_thickness.shape.gii")
        );
    }

    #[test]
    fn entities_stand_in_the_order_of_bids() {
        let entity = |key: &str, label: &str| (key.to_owned(), label.to_owned());
        let entities = vec![
            entity("desc", "x"),
            entity("hemi", "L"),
            entity("acq", "dess"),
            entity("label", "tumour"),
            entity("space", "dess"),
            entity("run", "1"),
        ];
        let path = DerivativeName { entities, ..name() }.path().unwrap();
        assert_eq!(
            path.file_name().unwrap(),
            "sub-01_ses-pre_acq-dess_run-1_hemi-L_space-dess_label-tumour_desc-x_T2map.nii.gz"
        );
    }

    #[test]
    fn names_that_bids_forbids_are_refused() {
        let refused = |name: DerivativeName| name.path().unwrap_err().to_string();
        let entities = vec![("desc".to_owned(), "mono-exp".to_owned())];
        assert_eq!(
            refused(DerivativeName { entities, ..name() }),
            "`desc`: `mono-exp` is not made of letters and digits alone"
        );
        let entities = vec![("colour".to_owned(), "red".to_owned())];
        let text = refused(DerivativeName { entities, ..name() });
        assert_eq!(text, "BIDS knows no entity `colour`");
        let twice = vec![("desc".to_owned(), "a".to_owned()), ("desc".to_owned(), "b".to_owned())];
        let text = refused(DerivativeName { entities: twice, ..name() });
        assert_eq!(text, "`entities`: an entity is given twice");
        let text = refused(DerivativeName { participant: "01".into(), ..name() });
        assert_eq!(text, "`01` does not begin with `sub-`");
        let climbing = DerivativeName { participant: "sub-../..".into(), ..name() };
        assert_eq!(climbing.path().unwrap_err().kind(), ErrorKind::Value);
    }

    fn metadata() -> MapMetadata {
        let mut acquisition = Map::new();
        acquisition.insert("EchoTime".into(), sidecar::numbers(&[0.01, 0.02]).unwrap());
        MapMetadata {
            sources: vec![source_uri("raw", Path::new("sub-01/anat/sub-01_echo-1_MESE.nii.gz"))],
            description: "T2".into(),
            estimation_algorithm: "nonlinear least squares".into(),
            estimation_reference: "doi:10.1002/mrm.0".into(),
            unit: Unit::Second,
            spatial_reference: None,
            skull_stripped: Some(false),
            acquisition,
        }
    }

    #[test]
    fn metadata_of_a_map_have_a_fixed_order() {
        let text = serde_json::to_string(&metadata().object().unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"Description\":\"T2\",\
             \"Sources\":[\"bids:raw:sub-01/anat/sub-01_echo-1_MESE.nii.gz\"],\
             \"EstimationAlgorithm\":\"nonlinear least squares\",\
             \"EstimationReference\":\"doi:10.1002/mrm.0\",\"Units\":\"s\",\
             \"SkullStripped\":false,\"EchoTime\":[0.01,0.02]}"
        );
    }

    #[test]
    fn no_path_and_no_unlisted_key_gets_into_metadata() {
        let path = MapMetadata { sources: vec!["/home/jane/a.nii".into()], ..metadata() };
        assert!(path.object().unwrap_err().message().contains("is no bids: URI"));
        let mut acquisition = Map::new();
        acquisition.insert("PatientName".into(), "Doe".into());
        let named = MapMetadata { acquisition, ..metadata() };
        assert!(named.object().unwrap_err().message().contains("PatientName"));
        let folder = tempfile::tempdir().unwrap();
        for link in ["/data/study", "C:\\data", "file:///data", "~/data"] {
            let written = write_dataset_description(folder.path(), "x", &[("raw", link)]);
            assert!(written.is_err(), "{link}");
        }
    }

    #[test]
    fn the_dataset_describes_itself_without_clock_or_host() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        write_dataset_description(folder.path(), "cartilage", &[("raw", "../..")]).unwrap();
        let object: Value = serde_json::from_str(&read("dataset_description.json")).unwrap();
        assert_eq!(object["DatasetType"], "derivative");
        assert_eq!(object["GeneratedBy"][0]["Name"], "biomarker");
        assert_eq!(object["GeneratedBy"][0]["Version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(object["DatasetLinks"]["raw"], "../..");
        write_bidsignore(folder.path()).unwrap();
        assert_eq!(
            read(".bidsignore"),
            "tables\n*.html\nsub-*/figures\n**/figures/\n**/*_dwimap.*\n**/*_mimap.*\n\
             **/*_thickness.shape.gii\n"
        );
        write_readme(folder.path(), "cartilage").unwrap();
        let readme = read("README.md");
        assert!(SCHEMAS.iter().all(|schema| readme.contains(&format!("| `{}` |", schema.name))));
    }
}
