//! BIDS datasets: who was scanned when, and which files belong together.
//!
//! Discovery looks at names, sidecars and tables of text and opens no image. Everything is found in
//! a fixed order, whatever the file system says.
//!
//! # Reference
//!
//! Gorgolewski et al. 2016, doi:10.1038/sdata.2016.44; <https://bids-specification.readthedocs.io>.

mod listing;
mod name;
mod query;
mod series;
mod visit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use listing::BidsFile;
pub use name::Name;
pub(super) use name::is_label;
pub use query::Query;
pub use series::{GivenProtocol, SeriesFiles};
pub use visit::VisitFiles;

use super::sidecar::Sidecar;
use super::text_table::TextTable;
use crate::error::{Error, ErrorKind, Result};

/// Someone who was scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// With its prefix: `sub-01`.
    pub id: String,
    /// Values of `participants.tsv` by column, such as class, side, group, age; missing ones are
    /// left out.
    pub values: BTreeMap<String, String>,
}

/// One session of a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// With its prefix: `ses-pre`.
    pub id: String,
    /// Values of `sessions.tsv` by column; missing ones are left out.
    pub values: BTreeMap<String, String>,
}

/// A participant in one session, or at all where there are no sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Who.
    pub participant: Participant,
    /// When; `None` where the participant's folder has no sessions.
    pub session: Option<Session>,
}

impl Visit {
    /// A value from `sessions.tsv`, else from `participants.tsv`.
    pub fn value(&self, column: &str) -> Option<&str> {
        let of_session = self.session.as_ref().and_then(|session| session.values.get(column));
        of_session.or_else(|| self.participant.values.get(column)).map(String::as_str)
    }

    /// The session's id.
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_ref().map(|session| session.id.as_str())
    }
}

/// Which visits are wanted; labels with or without prefix, empty for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Labels of participants, such as `01` or `sub-01`.
    pub participants: Vec<String>,
    /// Labels of sessions, such as `pre` or `ses-pre`.
    pub sessions: Vec<String>,
}

/// A BIDS dataset on the disk.
#[derive(Debug, Clone)]
pub struct Dataset {
    root: PathBuf,
    bids_version: String,
    participants: Vec<Participant>,
    derivatives: Vec<PathBuf>,
    warnings: Vec<String>,
}

impl Dataset {
    /// Opens the dataset in `root`: reads `dataset_description.json` and `participants.tsv`, and
    /// lists the participants' folders.
    ///
    /// # Errors
    ///
    /// `Missing` when there is no such folder; `NotBids` when `dataset_description.json` is absent,
    /// unreadable or without a `BIDSVersion`; `Format` or `Value` when `participants.tsv` is wrong.
    pub fn open(root: &Path) -> Result<Self> {
        let ids = listing::folders(root, "sub-")?;
        let bids_version = read_bids_version(root)?;
        let mut warnings = Vec::new();
        let mut table = read_values(&root.join("participants.tsv"), "participant_id", "sub-")?;
        let participants = ids
            .into_iter()
            .map(|id| {
                let values = table.as_mut().and_then(|table| table.remove(&id));
                if table.is_some() && values.is_none() {
                    warnings.push(format!("participants.tsv has no row for {id}"));
                }
                Participant { id, values: values.unwrap_or_default() }
            })
            .collect();
        for id in table.unwrap_or_default().keys() {
            warnings.push(format!("participants.tsv names {id}, which has no folder"));
        }
        let folder = root.join("derivatives");
        let mut derivatives = Vec::new();
        if folder.is_dir() {
            derivatives.push(folder.clone());
            let names = listing::folders(&folder, "")?;
            let datasets = names.iter().filter(|name| !name.starts_with("sub-"));
            derivatives.extend(datasets.map(|name| folder.join(name)));
        }
        Ok(Self { root: root.to_owned(), bids_version, participants, derivatives, warnings })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The version of BIDS that it claims.
    pub fn bids_version(&self) -> &str {
        &self.bids_version
    }

    /// All participants that have a folder, by rising id.
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// What is odd but not wrong, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The visits that pass `filter`, by rising participant, then session.
    ///
    /// # Errors
    ///
    /// `NothingSelected` when the filter names someone who is not there or nothing is left; the
    /// faults of `sessions.tsv`.
    pub fn visits(&self, filter: &Filter) -> Result<Vec<Visit>> {
        let wanted = with_prefix(&filter.participants, "sub-");
        let known: Vec<&str> = self.participants.iter().map(|who| who.id.as_str()).collect();
        if let Some(unknown) = wanted.iter().find(|id| !known.contains(&id.as_str())) {
            return Err(nothing_selected(
                format!("there is no participant `{unknown}`"),
                &self.root,
                &known,
            ));
        }
        let sessions = with_prefix(&filter.sessions, "ses-");
        let mut visits = Vec::new();
        let mut seen = Vec::new();
        for who in &self.participants {
            if !wanted.is_empty() && !wanted.contains(&who.id) {
                continue;
            }
            for session in self.sessions(who)? {
                let id = session.as_ref().map(|session| session.id.clone());
                if sessions.is_empty() || id.as_ref().is_some_and(|id| sessions.contains(id)) {
                    visits.push(Visit { participant: who.clone(), session });
                }
                seen.extend(id);
            }
        }
        if visits.is_empty() {
            seen.sort();
            seen.dedup();
            let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
            let message = if sessions.is_empty() {
                "there is no participant".to_owned()
            } else {
                format!("no participant has session {}", sessions.join(" or "))
            };
            return Err(nothing_selected(message, &self.root, &seen));
        }
        Ok(visits)
    }

    /// The files of a visit, in the raw dataset and in `derivatives`.
    ///
    /// # Errors
    ///
    /// `Missing` when a folder cannot be read; `Format` when links lead round in a circle.
    pub fn files(&self, visit: &Visit) -> Result<VisitFiles> {
        VisitFiles::list(&self.root, &self.derivatives, visit)
    }

    /// The sessions of a participant; one `None` where there are none.
    fn sessions(&self, who: &Participant) -> Result<Vec<Option<Session>>> {
        let folder = self.root.join(&who.id);
        let ids = listing::folders(&folder, "ses-")?;
        if ids.is_empty() {
            return Ok(vec![None]);
        }
        let path = folder.join(format!("{}_sessions.tsv", who.id));
        let mut table = read_values(&path, "session_id", "ses-")?.unwrap_or_default();
        Ok(ids
            .into_iter()
            .map(|id| {
                let values = table.remove(&id).unwrap_or_default();
                Some(Session { id, values })
            })
            .collect())
    }
}

fn nothing_selected(message: String, root: &Path, known: &[&str]) -> Error {
    let mut names = known.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    if known.len() > 20 {
        names.push_str(", …");
    }
    let hint = if known.is_empty() { "none was found".into() } else { format!("found: {names}") };
    Error::new(ErrorKind::NothingSelected, message).at_path(root).hint(hint)
}

fn with_prefix(labels: &[String], prefix: &str) -> Vec<String> {
    let whole = |label: &String| match label.strip_prefix(prefix) {
        Some(_) => label.clone(),
        None => format!("{prefix}{label}"),
    };
    labels.iter().map(whole).collect()
}

fn read_bids_version(root: &Path) -> Result<String> {
    let path = root.join("dataset_description.json");
    let not_bids = |error: Error| {
        error
            .with_kind(ErrorKind::NotBids)
            .hint("a BIDS dataset has a dataset_description.json: {\"Name\": \"…\", \"BIDSVersion\": \"1.10.0\"}")
    };
    let description = Sidecar::read(&path).map_err(not_bids)?;
    let version = description.get("BIDSVersion").and_then(|version| version.as_str());
    version.map(str::to_owned).ok_or_else(|| {
        not_bids(Error::format("value is missing").at_field("BIDSVersion").at_path(&path))
    })
}

/// Rows of a table by the id in its first column; `None` where there is no such file.
fn read_values(
    path: &Path,
    id_column: &str,
    prefix: &str,
) -> Result<Option<BTreeMap<String, BTreeMap<String, String>>>> {
    if !path.exists() {
        return Ok(None);
    }
    let table = TextTable::read(path)?;
    if table.header().first().is_none_or(|first| first != id_column) {
        let first = table.header().first().map_or("", String::as_str);
        return Err(Error::format(format!("first column is `{first}`, not `{id_column}`"))
            .at_path(path)
            .hint("columns are set apart by tabs, and the first one names the row"));
    }
    let mut rows = BTreeMap::new();
    for row in 0..table.n_rows() {
        let id = table.get(row, id_column).unwrap_or_default();
        let label = id.strip_prefix(prefix);
        if !label.is_some_and(is_label) {
            return Err(Error::value(format!("`{id}` is not `{prefix}` and a label"))
                .at_field(format!("{id_column}[{row}]"))
                .at_path(path)
                .hint(format!("write it like the folder: {prefix}01")));
        }
        let values = table
            .header()
            .iter()
            .skip(1)
            .filter_map(|column| Some((column.clone(), table.get(row, column)?.to_owned())))
            .collect();
        if rows.insert(id.to_owned(), values).is_some() {
            return Err(Error::value(format!("`{id}` has more than one row"))
                .at_field(format!("{id_column}[{row}]"))
                .at_path(path)
                .hint("one row each; what changes between sessions belongs into sessions.tsv"));
        }
    }
    Ok(Some(rows))
}
