//! The commit mark of one session: written last, compared by content when a run is resumed.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::provenance::{Provenance, VERSION};
use crate::error::{Error, Result};
use crate::io::{self, atomic, digest};

/// What a session was made from and what it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the program.
    pub version: String,
    /// SHA-256 of the resolved plan.
    pub plan_sha256: String,
    /// SHA-256 of every input by its name in the dataset.
    pub inputs: BTreeMap<String, String>,
    /// SHA-256 of every output by its path in the output folder.
    pub outputs: BTreeMap<String, String>,
}

impl Record {
    /// A record of inputs only, before anything is made.
    pub fn of_inputs(provenance: &Provenance, inputs: BTreeMap<String, String>) -> Self {
        Self {
            version: VERSION.into(),
            plan_sha256: provenance.plan_sha256.clone(),
            inputs,
            outputs: BTreeMap::new(),
        }
    }

    /// SHA-256 over the hashes of all inputs by rising name.
    pub fn input_sha256(&self) -> String {
        let lines = self.inputs.iter().map(|(name, hash)| format!("{name} {hash}"));
        let all = lines.collect::<Vec<_>>().join("\n");
        digest::of_bytes(all.as_bytes())
    }

    /// The record at `path`.
    ///
    /// # Errors
    ///
    /// `Missing` when it is not there, `Format` when it is not a record.
    pub fn read(path: &Path) -> Result<Self> {
        serde_json::from_str(&io::text(path)?)
            .map_err(|error| Error::format(format!("not a record: {error}")).at_path(path))
    }

    /// Whether the record at `path` was made from the same inputs, plan and version, and all its
    /// outputs are still in `output` as they were written.
    pub fn is_done(&self, path: &Path, output: &Path) -> bool {
        let Ok(done) = Self::read(path) else { return false };
        let same = done.version == self.version
            && done.plan_sha256 == self.plan_sha256
            && done.inputs == self.inputs;
        same && done.are_whole(output, |_| true)
    }

    /// Whether it was made with the version and the plan of `provenance`.
    pub fn is_of(&self, provenance: &Provenance) -> bool {
        self.version == VERSION && self.plan_sha256 == provenance.plan_sha256
    }

    /// Whether all its tables are still in `output` as they were written.
    pub fn tables_are_whole(&self, output: &Path) -> bool {
        self.are_whole(output, |name| name.starts_with("tables/"))
    }

    fn are_whole(&self, output: &Path, is_meant: impl Fn(&str) -> bool) -> bool {
        self.outputs.iter().filter(|(name, _)| is_meant(name)).all(|(name, hash)| {
            digest::of_file(&output.join(name)).is_ok_and(|found| found == *hash)
        })
    }

    /// Takes back what the record at `path` says was made: the record first, then every output of
    /// it that is not in `kept`. Without a record nothing is known to take back.
    ///
    /// # Errors
    ///
    /// `Write` when a file cannot be removed.
    pub fn withdraw(path: &Path, output: &Path, kept: &[String]) -> Result<()> {
        let earlier = Self::read(path);
        atomic::remove(path)?;
        let Ok(earlier) = earlier else { return Ok(()) };
        let is_inside = |name: &&String| {
            Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
        };
        for name in earlier.outputs.keys().filter(is_inside).filter(|name| !kept.contains(name)) {
            atomic::remove(&output.join(name))?;
        }
        Ok(())
    }

    /// Hashes `outputs` (paths inside `output`) and writes the record.
    ///
    /// # Errors
    ///
    /// `Create` or `Write` as of the file system; `Missing` when an output is not there.
    pub fn commit(mut self, path: &Path, output: &Path, outputs: &[String]) -> Result<()> {
        for name in outputs {
            self.outputs.insert(name.clone(), digest::of_file(&output.join(name))?);
        }
        let text = serde_json::to_string_pretty(&self)
            .map_err(|error| Error::internal(format!("record cannot be written: {error}")))?;
        atomic::write(path, (text + "\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(hash: &str) -> Record {
        let provenance = Provenance { plan_toml: String::new(), plan_sha256: "p".into() };
        Record::of_inputs(&provenance, BTreeMap::from([("a.nii".into(), hash.into())]))
    }

    #[test]
    fn a_session_is_done_only_while_inputs_and_outputs_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path();
        let path = output.join("tables/record.json");
        assert!(!record("1").is_done(&path, output));
        atomic::write(&output.join("map.nii"), b"map").unwrap();
        record("1").commit(&path, output, &["map.nii".into()]).unwrap();
        assert!(record("1").is_done(&path, output));
        assert!(!record("2").is_done(&path, output), "another input");
        atomic::write(&output.join("map.nii"), b"changed").unwrap();
        assert!(!record("1").is_done(&path, output), "an output was touched");
    }

    #[test]
    fn a_withdrawn_record_takes_its_outputs_along_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        let path = output.join("tables/record.json");
        for name in ["map.nii", "kept.nii", "other.nii", "../outside"] {
            atomic::write(&output.join(name), b"x").unwrap();
        }
        let outputs = ["map.nii", "kept.nii", "../outside"].map(String::from);
        record("1").commit(&path, &output, &outputs).unwrap();
        Record::withdraw(&path, &output, &["kept.nii".into()]).unwrap();
        let there = |name: &str| output.join(name).exists();
        assert!(!path.exists() && !there("map.nii"));
        assert!(there("kept.nii") && there("other.nii") && there("../outside"));
        Record::withdraw(&path, &output, &[]).unwrap();
    }
}
