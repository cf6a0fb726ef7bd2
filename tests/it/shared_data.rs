//! Where the public validation data lie; they are never part of the project.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of validation data: `$BIOMARKER_SHARED_DATA`, else `../shared/data` beside the
/// project. `None`, and a loud line on stderr, where it is absent.
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("BIOMARKER_SHARED_DATA").map_or(beside, PathBuf::from);
    if folder.join("README.md").is_file() {
        return Some(folder);
    }
    // Written to the handle itself: the test runner captures what the print macros say.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no data in {}", folder.display());
    None
}

#[test]
fn a_folder_without_data_is_reported_as_absent() {
    if let Some(folder) = folder("shared_data") {
        assert!(folder.join("README.md").is_file());
    }
}
