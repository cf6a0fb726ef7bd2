//! The files of one visit, and finding the one that is meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Visit;
use super::listing::{self, BidsFile};
use super::query::{Query, how_to_choose};
use crate::error::{Error, ErrorKind, Result};
use crate::io::sidecar::{Sidecar, with_extension};
use crate::io::text_table::TextTable;

/// No message lists more files.
const MAX_LISTED: usize = 12;

/// The files of one participant in one session.
#[derive(Debug, Clone)]
pub struct VisitFiles {
    folder: PathBuf,
    raw: Vec<BidsFile>,
    derivatives: Vec<BidsFile>,
}

impl VisitFiles {
    pub(super) fn list(root: &Path, derivatives: &[PathBuf], visit: &Visit) -> Result<Self> {
        let participant = visit.participant.id.as_str();
        let mut folder = root.join(participant);
        folder.extend(visit.session_id());
        let belongs = |file: &BidsFile| {
            let label = participant.strip_prefix("sub-");
            let session = visit.session_id().and_then(|id| id.strip_prefix("ses-"));
            let of_file = file.name().entity("ses").or_else(|| session_folder(file));
            file.name().entity("sub") == label && (of_file.is_none() || of_file == session)
        };
        let mut raw = listing::files(root, &folder)?;
        raw.retain(belongs);
        let mut derived = Vec::new();
        for dataset in derivatives {
            let below = dataset.join(participant);
            if below.is_dir() {
                derived.extend(listing::files(dataset, &below)?);
            }
        }
        derived.retain(belongs);
        Ok(Self { folder, raw, derivatives: derived })
    }

    /// Folder of the visit in the raw dataset.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The files that match, by rising path: those of the raw dataset, or where none of them does,
    /// those of the derivatives.
    pub fn find(&self, query: &Query) -> Vec<&BidsFile> {
        let among = |files: &'_ [BidsFile]| -> Vec<usize> {
            (0..files.len()).filter(|&at| files.get(at).is_some_and(|f| query.matches(f))).collect()
        };
        let (files, found) = match among(&self.raw) {
            found if found.is_empty() => (&self.derivatives, among(&self.derivatives)),
            found => (&self.raw, found),
        };
        found.into_iter().filter_map(|at| files.get(at)).collect()
    }

    /// The one file that matches; `None` where none does.
    ///
    /// # Errors
    ///
    /// `Mismatch` when several match, with the entities that tell them apart; `Missing` when it is a
    /// link without content.
    pub fn optional(&self, query: &Query) -> Result<Option<&BidsFile>> {
        match self.find(query).as_slice() {
            [] => Ok(None),
            [file] => {
                file.require_content()?;
                Ok(Some(*file))
            }
            files => Err(self.ambiguous(query, files, &[])),
        }
    }

    /// The one file that matches.
    ///
    /// # Errors
    ///
    /// Those of [`VisitFiles::optional`], and `Missing` when no file matches.
    pub fn one(&self, query: &Query) -> Result<&BidsFile> {
        self.optional(query)?.ok_or_else(|| self.none_found(query))
    }

    /// The metadata of a file, merged from its dataset's root down to the file.
    ///
    /// # Errors
    ///
    /// Those of [`Sidecar::merged`]; `Mismatch` when several sidecars of one folder apply.
    pub fn sidecar(&self, file: &BidsFile) -> Result<Sidecar> {
        Sidecar::merged(file.path(), listing::inherited(file, ".json")?)
    }

    /// Names of the labels of a segmentation, from the `index` and `name` of its table (beside it or
    /// inherited); empty where there is none. Index 0 is the background and is left out.
    ///
    /// # Errors
    ///
    /// Those of [`TextTable::read`]; `Value` when an index is no whole number, has no name, or
    /// stands twice.
    pub fn label_names(&self, segmentation: &BidsFile) -> Result<BTreeMap<u32, String>> {
        let beside = with_extension(segmentation.path(), ".tsv");
        let path = if beside.is_file() {
            Some(beside)
        } else {
            listing::inherited(segmentation, ".tsv")?.pop()
        };
        match path {
            Some(path) => read_label_names(&path),
            None => Ok(BTreeMap::new()),
        }
    }

    pub(super) fn none_found(&self, query: &Query) -> Error {
        Error::new(ErrorKind::Missing, format!("no file matches {query}"))
            .at_path(&self.folder)
            .hint(format!(
                "{} files of this visit were looked at, derivatives included",
                self.raw.len() + self.derivatives.len()
            ))
    }

    pub(super) fn ambiguous(&self, query: &Query, files: &[&BidsFile], varying: &[&str]) -> Error {
        let mut names: Vec<String> = files
            .iter()
            .take(MAX_LISTED)
            .map(|file| file.relative_path().display().to_string())
            .collect();
        if files.len() > MAX_LISTED {
            names.push("…".to_owned());
        }
        Error::mismatch(format!("{} files match {query}: {}", files.len(), names.join(", ")))
            .at_path(&self.folder)
            .hint(how_to_choose(files, varying))
    }
}

/// Label of the session folder that a file lies in.
fn session_folder(file: &BidsFile) -> Option<&str> {
    file.relative_path().iter().find_map(|part| part.to_str()?.strip_prefix("ses-"))
}

fn read_label_names(path: &Path) -> Result<BTreeMap<u32, String>> {
    let table = TextTable::read(path)?;
    let mut names = BTreeMap::new();
    for row in 0..table.n_rows() {
        let wrong = |message: String| {
            Error::value(message)
                .at_field(format!("index[{row}]"))
                .at_path(path)
                .hint("a table of labels has the columns index (whole number) and name")
        };
        let text = table.get(row, "index").unwrap_or_default();
        let index: u32 =
            text.parse().map_err(|_| wrong(format!("`{text}` is not a whole number")))?;
        let name = table.get(row, "name").ok_or_else(|| wrong("label has no name".into()))?;
        if index != 0 && names.insert(index, name.to_owned()).is_some() {
            return Err(wrong(format!("index {index} stands more than once")));
        }
    }
    Ok(names)
}
