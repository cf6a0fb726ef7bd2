//! File names of BIDS: `sub-01_ses-pre_echo-1_MESE.nii.gz`.

use std::collections::BTreeMap;

/// Entities whose labels are numbers, so that `echo-1` is `echo-01`.
const INDEX_ENTITIES: [&str; 6] = ["run", "echo", "flip", "inv", "split", "chunk"];

/// The parts of a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Labels by entity: `sub` to `01`.
    pub entities: BTreeMap<String, String>,
    /// Last part of the stem, such as `MESE`.
    pub suffix: String,
    /// From the first dot on, such as `.nii.gz`.
    pub extension: String,
}

impl Name {
    /// Takes a file name apart; `None` where it is not built as BIDS asks for.
    pub fn parse(file_name: &str) -> Option<Self> {
        let dot = file_name.find('.')?;
        let (stem, extension) = file_name.split_at_checked(dot)?;
        let mut parts: Vec<&str> = stem.split('_').collect();
        let suffix = parts.pop().filter(|suffix| is_label(suffix))?;
        let mut entities = BTreeMap::new();
        for part in parts {
            let (key, label) = part.split_once('-')?;
            if !is_label(key) || label.is_empty() {
                return None;
            }
            if entities.insert(key.to_owned(), label.to_owned()).is_some() {
                return None;
            }
        }
        Some(Self { entities, suffix: suffix.to_owned(), extension: extension.to_owned() })
    }

    /// Label of an entity.
    pub fn entity(&self, key: &str) -> Option<&str> {
        self.entities.get(key).map(String::as_str)
    }

    /// Whether metadata under this name apply to the image `other`: the same suffix, and no entity
    /// that `other` has not.
    pub fn applies_to(&self, other: &Self) -> bool {
        self.suffix == other.suffix
            && self.entities.iter().all(|(key, label)| other.entity(key) == Some(label))
    }
}

/// Whether `text` is letters and digits only.
pub(in crate::io) fn is_label(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Whether `label` of entity `key` fits `pattern`: the same, `*` for any, `dce*` for a beginning,
/// empty for an entity that must be absent.
pub(super) fn label_fits(key: &str, pattern: &str, label: Option<&str>) -> bool {
    let Some(label) = label else { return pattern.is_empty() };
    if let Some(beginning) = pattern.strip_suffix('*') {
        return label.starts_with(beginning);
    }
    let number = |text: &str| text.parse::<u64>().ok();
    label == pattern
        || INDEX_ENTITIES.contains(&key)
            && number(label).is_some_and(|n| number(pattern) == Some(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_apart() {
        let name = Name::parse("sub-01_ses-pre_acq-knee_echo-1_MESE.nii.gz").unwrap();
        assert_eq!(name.entity("sub"), Some("01"));
        assert_eq!(name.entity("echo"), Some("1"));
        assert_eq!(name.entity("run"), None);
        assert_eq!((name.suffix.as_str(), name.extension.as_str()), ("MESE", ".nii.gz"));
        assert_eq!(Name::parse("MESE.json").unwrap().entities.len(), 0);
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "dataset_description.json",
            "sub-01_ses-_MESE.nii",
            "sub-01_sub-02_MESE.nii",
            "sub-01_MESE",
            "sub-01_.nii",
            ".bidsignore",
            "sub-01_echo-1.nii",
            "",
        ] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }

    #[test]
    fn metadata_apply_where_no_entity_disagrees() {
        let image = Name::parse("sub-01_ses-pre_echo-1_MESE.nii.gz").unwrap();
        let applies = |name: &str| Name::parse(name).unwrap().applies_to(&image);
        assert!(applies("MESE.json") && applies("ses-pre_MESE.json"));
        assert!(applies("sub-01_ses-pre_echo-1_MESE.json"));
        assert!(!applies("sub-01_ses-post_MESE.json"));
        assert!(!applies("sub-01_ses-pre_echo-1_run-1_MESE.json"));
        assert!(!applies("T1map.json"));
    }

    #[test]
    fn labels_fit_exactly_by_beginning_or_as_numbers() {
        assert!(label_fits("acq", "dess", Some("dess")));
        assert!(!label_fits("acq", "dess", Some("dess2")));
        assert!(label_fits("acq", "dess*", Some("dess2")));
        assert!(label_fits("echo", "1", Some("01")));
        assert!(!label_fits("acq", "1", Some("01")));
        assert!(label_fits("desc", "", None) && !label_fits("desc", "", Some("x")));
        assert!(!label_fits("desc", "*", None));
    }
}
