//! Files that are there whole or not at all.
//!
//! A file is written under a hidden temporary name in its own folder, flushed to the disk, renamed,
//! and the folder is flushed too. A crash or a full disk leaves nothing under the final name.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Writes `bytes` to `path`, creating its folder where it is missing.
///
/// # Errors
///
/// `Create` when the folder or the temporary file cannot be made, `Write` when the bytes cannot be
/// brought to the disk (full, gone, read-only); nothing is left under `path` then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    create_folder(folder)?;
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY[0])
        .suffix(TEMPORARY[1])
        .tempfile_in(folder)
        .map_err(|error| Error::from_io(ErrorKind::Create, path, &error))?;
    let written = |error: std::io::Error| Error::from_io(ErrorKind::Write, path, &error);
    temporary.as_file_mut().write_all(bytes).map_err(written)?;
    make_readable(temporary.as_file()).map_err(written)?;
    temporary.as_file().sync_all().map_err(written)?;
    temporary
        .persist(path)
        .map_err(|error| Error::from_io(ErrorKind::Write, path, &error.error))?;
    sync_folder(folder).map_err(written)
}

/// Creates `folder` and its parents.
///
/// # Errors
///
/// `Create` when that is not possible.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::from_io(ErrorKind::Create, folder, &error))
}

/// What names of temporary files begin and end with.
const TEMPORARY: [&str; 2] = [".biomarker-", ".tmp"];

/// Removes the temporary files that an interrupted program left in `folder` and below; links are
/// not followed. Nobody else may be writing there.
///
/// # Errors
///
/// `Write` when one cannot be removed.
pub fn remove_temporaries(folder: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type();
        if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
            remove_temporaries(&entry.path())?;
        } else if name.starts_with(TEMPORARY[0]) && name.ends_with(TEMPORARY[1]) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes `path`; a file that is not there is gone already.
///
/// # Errors
///
/// `Write` when it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::from_io(ErrorKind::Write, path, &error))
        }
        _ => Ok(()),
    }
}

/// Temporary files are made private; results are for everyone who may enter the folder.
#[cfg(unix)]
fn make_readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_no_temporary_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/map.json");
        write(&path, b"first").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn only_temporaries_are_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/.biomarker-x1.tmp", ".biomarker-x2.tmp", "a/map.nii", ".biomarker", "b.tmp"]
        {
            write(&folder.path().join(name), b"").unwrap();
        }
        remove_temporaries(folder.path()).unwrap();
        let there = |name: &str| folder.path().join(name).exists();
        assert!(!there("a/.biomarker-x1.tmp") && !there(".biomarker-x2.tmp"));
        assert!(there("a/map.nii") && there(".biomarker") && there("b.tmp"));
        assert!(remove_temporaries(&folder.path().join("none")).is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write(&file, b"").unwrap();
        let error = write(&file.join("inside"), b"").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Create);
        assert_eq!(error.path(), Some(file.as_path()));
    }
}
