//! Both pipelines from their shipped data to their tables, through the program.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod faults;
mod maps;
mod repeat;
mod truth;

use std::path::Path;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::program::{Ended, argument, biomarker, project};

/// One run of a shipped pipeline as it is, shared by all tests that only look.
pub(crate) struct Shipped {
    folder: OnceLock<(TempDir, Ended)>,
    name: &'static str,
}

pub(crate) static NEUROBLASTOMA: Shipped =
    Shipped { folder: OnceLock::new(), name: "neuroblastoma" };
pub(crate) static CARTILAGE: Shipped = Shipped { folder: OnceLock::new(), name: "cartilage" };

impl Shipped {
    fn run(&self) -> &(TempDir, Ended) {
        self.folder.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let pipeline = argument(&project(&format!("pipelines/{}.toml", self.name)));
            let ended = biomarker(folder.path(), &["run", &pipeline, "--output", "output"]);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            (folder, ended)
        })
    }

    /// The output folder.
    pub(crate) fn output(&self) -> std::path::PathBuf {
        self.run().0.path().join("output")
    }

    /// What the program said.
    pub(crate) fn ended(&self) -> &Ended {
        &self.run().1
    }
}

/// Runs a shipped pipeline with few pseudo-experiments: fast, and everything else as it is.
pub(crate) fn quick(folder: &Path, name: &str, more: &[&str]) -> Ended {
    let pipeline = argument(&project(&format!("pipelines/{name}.toml")));
    let few = ["--set", "uncertainty.pseudo_experiments=20"];
    let mut arguments = vec!["run", &pipeline, few[0], few[1]];
    arguments.extend(more);
    biomarker(folder, &arguments)
}

#[test]
fn a_gate_by_stability_is_followed_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--output", "o", "--set", "gate.minimum_stability=0.7"];
    let ended = quick(folder.path(), "neuroblastoma", &more);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let mut folders = vec![folder.path().join("o")];
    let mut says_so = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                let page = std::fs::read_to_string(path).unwrap();
                says_so += usize::from(page.contains("less than 70 % of them in their habitat"));
            }
        }
    }
    assert!(says_so > 0);
}
