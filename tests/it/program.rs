//! The built program, run as a user runs it.
#![expect(clippy::unwrap_used, reason = "tests may panic")]
#![expect(clippy::disallowed_methods, reason = "tests look at what the program wrote")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use biomarker::io::digest;
use biomarker::io::text_table::TextTable;

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ended = Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended
    }
}

/// The program in `folder`, without the settings of the user who runs the tests.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_biomarker"));
    for name in ["THREADS", "SEED", "DATASET", "OUTPUT", "MAX_MEMORY"] {
        command.env_remove(format!("BIOMARKER_{name}"));
    }
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

/// Runs the program in `folder` to its end.
pub(crate) fn biomarker(folder: &Path, arguments: &[&str]) -> Ended {
    command(folder, arguments).output().unwrap().into()
}

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A path as an argument.
pub(crate) fn argument(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// All files under `folder` by their path in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(argument(path.strip_prefix(folder).unwrap()), path);
            }
        }
    }
    found
}

/// SHA-256 of every output but the logs.
pub(crate) fn hashes(output: &Path) -> BTreeMap<String, String> {
    let all = files(output).into_iter().filter(|(name, _)| !name.starts_with("logs/"));
    all.map(|(name, path)| (name, digest::of_file(&path).unwrap())).collect()
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    for (name, path) in files(from) {
        let copy = to.join(name);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(path, copy).unwrap();
    }
}

/// Rows of a tab-separated table by name of column; what is missing is left out.
pub(crate) fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let table = TextTable::read(path).unwrap();
    let row = |row: usize| {
        let cell = |name: &String| Some((name.clone(), table.get(row, name)?.to_owned()));
        table.header().iter().filter_map(cell).collect()
    };
    (0..table.n_rows()).map(row).collect()
}

/// The number in a cell.
pub(crate) fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap()
}
