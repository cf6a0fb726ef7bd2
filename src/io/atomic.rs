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
        .prefix(".biomarker-")
        .suffix(".tmp")
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
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write(&file, b"").unwrap();
        let error = write(&file.join("inside"), b"").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Create);
        assert_eq!(error.path(), Some(file.as_path()));
    }
}
