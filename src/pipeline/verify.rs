//! Whether the files of a run are still those that it wrote.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use crate::io::{self, digest};

/// What a manifest says of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Version of the program that wrote them.
    pub version: String,
    /// Files that the manifest lists.
    pub n_files: usize,
    /// Listed files that are not there.
    pub missing: Vec<String>,
    /// Listed files with other bytes.
    pub changed: Vec<String>,
}

impl Verified {
    /// Whether every file is as it was written.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.changed.is_empty()
    }
}

/// The part of `manifest.json` that is looked at.
#[derive(Debug, Deserialize)]
struct Manifest {
    version: String,
    files: BTreeMap<String, String>,
}

/// Compares every file that `output/manifest.json` lists with its hash. Files beside them, such as
/// logs, are not looked at.
///
/// # Errors
///
/// `Missing` when there is no manifest, `Format` when it is none, lists a path outside of `output`, or
/// a file cannot be read.
pub fn verify(output: &Path) -> Result<Verified> {
    let path = output.join("manifest.json");
    let text = io::text(&path)
        .map_err(|error| error.hint("give the output folder of a finished `biomarker run`"))?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|error| Error::format(format!("not a manifest: {error}")).at_path(&path))?;
    let n_files = manifest.files.len();
    let mut found =
        Verified { version: manifest.version, n_files, missing: Vec::new(), changed: Vec::new() };
    for (name, hash) in manifest.files {
        if !is_inside(&name) {
            return Err(Error::format(format!("lists `{name}`, which is outside of the folder"))
                .at_path(&path));
        }
        match digest::of_file(&output.join(&name)) {
            Ok(own) if own == hash => {}
            Ok(_) => found.changed.push(name),
            Err(error) if error.kind() == ErrorKind::Missing => found.missing.push(name),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::atomic;

    #[test]
    fn changed_and_missing_files_are_named_and_no_other_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            atomic::write(&folder.path().join(name), text.as_bytes()).unwrap();
        };
        assert_eq!(verify(folder.path()).unwrap_err().kind(), ErrorKind::Missing);
        for name in ["same", "other"] {
            write(name, name);
        }
        let list = |names: &[&str]| {
            let files: Vec<String> = names
                .iter()
                .map(|name| format!("\"{name}\": \"{}\"", digest::of_bytes(name.as_bytes())))
                .collect();
            format!("{{\"version\": \"1.2.3\", \"files\": {{{}}}}}", files.join(", "))
        };
        write("manifest.json", &list(&["same", "other", "gone"]));
        let found = verify(folder.path()).unwrap();
        assert_eq!((found.n_files, found.missing.as_slice()), (3, ["gone".to_owned()].as_slice()));
        assert!(found.changed.is_empty() && !found.is_whole());
        write("other", "changed");
        assert_eq!(verify(folder.path()).unwrap().changed, ["other"]);
        for outside in ["../same", "/etc/hosts", "a/../../b"] {
            write("manifest.json", &list(&[outside]));
            assert_eq!(verify(folder.path()).unwrap_err().kind(), ErrorKind::Format, "{outside}");
        }
    }
}
