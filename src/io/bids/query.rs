//! Which file of a visit is meant: suffix, kind of data, entities.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::listing::BidsFile;
use super::name::label_fits;

/// A pattern for file names. `Display` prints it as a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Suffix, such as `MESE`; `*` is any.
    pub suffix: String,
    /// Folder of the kind of data, such as `anat`; any where `None`.
    pub datatype: Option<String>,
    /// Labels by entity: the same label, `*` for any, `dce*` for a beginning, empty for an entity
    /// that must be absent. Entities that are not named may have any label or none, but phase, real
    /// and imaginary parts are found only by naming `part`.
    pub entities: BTreeMap<String, String>,
    /// Extension with its dot; `.nii` or `.nii.gz` where `None`.
    pub extension: Option<String>,
}

impl Query {
    /// Images with `suffix`.
    pub fn new(suffix: &str) -> Self {
        Self {
            suffix: suffix.to_owned(),
            datatype: None,
            entities: BTreeMap::new(),
            extension: None,
        }
    }

    /// The same, in the folder `datatype` only.
    #[must_use]
    pub fn in_datatype(mut self, datatype: &str) -> Self {
        self.datatype = Some(datatype.to_owned());
        self
    }

    /// The same, with an entity whose label fits `pattern`.
    #[must_use]
    pub fn with_entity(mut self, key: &str, pattern: &str) -> Self {
        self.entities.insert(key.to_owned(), pattern.to_owned());
        self
    }

    /// The same, with another extension than that of an image.
    #[must_use]
    pub fn with_extension(mut self, extension: &str) -> Self {
        self.extension = Some(extension.to_owned());
        self
    }

    /// Whether `file` is one of those meant.
    pub fn matches(&self, file: &BidsFile) -> bool {
        let name = file.name();
        let extension = match &self.extension {
            Some(extension) => name.extension == *extension,
            None => matches!(name.extension.as_str(), ".nii" | ".nii.gz"),
        };
        let magnitude = self.entities.contains_key("part")
            || name.entity("part").is_none_or(|part| part == "mag");
        extension
            && magnitude
            && (self.suffix == "*" || self.suffix == name.suffix)
            && self.datatype.as_deref().is_none_or(|datatype| file.datatype() == Some(datatype))
            && self.entities.iter().all(|(key, pattern)| label_fits(key, pattern, name.entity(key)))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(datatype) = &self.datatype {
            write!(f, "{datatype}/")?;
        }
        write!(f, "*")?;
        for (key, pattern) in self.entities.iter().filter(|(_, pattern)| !pattern.is_empty()) {
            write!(f, "_{key}-{pattern}")?;
        }
        write!(f, "_{}{}", self.suffix, self.extension.as_deref().unwrap_or(".nii[.gz]"))
    }
}

/// What tells `files` apart, as the advice which entity to name.
pub(super) fn how_to_choose(files: &[&BidsFile], ignored: &[&str]) -> String {
    let keys: BTreeSet<&str> =
        files.iter().flat_map(|file| file.name().entities.keys()).map(String::as_str).collect();
    let mut advice = Vec::new();
    for key in keys.into_iter().filter(|key| !ignored.contains(key)) {
        let labels: BTreeSet<&str> =
            files.iter().map(|file| file.name().entity(key).unwrap_or("(none)")).collect();
        if labels.len() > 1 {
            let labels: Vec<&str> = labels.into_iter().collect();
            advice.push(format!("entity `{key}`: {}", labels.join(", ")));
        }
    }
    let suffixes: BTreeSet<&str> = files.iter().map(|file| file.name().suffix.as_str()).collect();
    if suffixes.len() > 1 {
        let suffixes: Vec<&str> = suffixes.into_iter().collect();
        advice.push(format!("suffix: {}", suffixes.join(", ")));
    }
    if advice.is_empty() {
        "they have the same entities: keep one of them".to_owned()
    } else {
        format!("say which one is meant by {}", advice.join("; or by "))
    }
}
