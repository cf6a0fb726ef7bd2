//! Files that are there whole or not at all.
//!
//! A file is written under a hidden temporary name in its own folder, flushed to the disk, renamed,
//! and the folder is flushed too. A crash or a full disk leaves nothing under the final name.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind, Result};

/// Writes `bytes` to `path`, creating its folder where it is missing.
///
/// # Errors
///
/// `Create` when the folder or the temporary file cannot be made, `Write` when the bytes cannot be
/// brought to the disk (full, gone, read-only); nothing is left under `path` then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut pending = Pending::create(path)?;
    pending.append(bytes)?;
    finish(vec![pending])
}

/// A file on its way to the disk: under a hidden name until [`finish`], gone if dropped before.
#[derive(Debug)]
pub struct Pending {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl Pending {
    /// An empty file that is to become `path`, in its folder, which is created where it is missing.
    ///
    /// # Errors
    ///
    /// `Create` when the folder or the temporary file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = folder_of(path);
        create_folder(folder)?;
        let temporary = tempfile::Builder::new()
            .prefix(TEMPORARY[0])
            .suffix(TEMPORARY[1])
            .tempfile_in(folder)
            .map_err(|error| Error::from_io(ErrorKind::Create, path, &error))?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// What it is to become.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds `bytes` at the end.
    ///
    /// # Errors
    ///
    /// `Write` when they cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.temporary.as_file_mut().write_all(bytes);
        written.map_err(|error| Error::from_io(ErrorKind::Write, &self.path, &error))
    }

    fn flush(&self) -> Result<()> {
        let file = self.temporary.as_file();
        let flushed = make_readable(file).and_then(|()| file.sync_all());
        flushed.map_err(|error| Error::from_io(ErrorKind::Write, &self.path, &error))
    }
}

/// Gives files their names, in their order, once all of them are on the disk.
///
/// # Errors
///
/// `Write` when one cannot be brought to the disk, and then none of them has its name, or when one
/// cannot be renamed.
pub fn finish(files: Vec<Pending>) -> Result<()> {
    // The disk serves waiting files together.
    let flushed: Vec<Result<()>> = files.par_iter().map(Pending::flush).collect();
    flushed.into_iter().collect::<Result<()>>()?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for Pending { temporary, path } in files {
        temporary
            .persist(&path)
            .map_err(|error| Error::from_io(ErrorKind::Write, &path, &error.error))?;
        folders.push(folder_of(&path).to_owned());
    }
    folders.dedup();
    for folder in folders {
        sync_folder(&folder).map_err(|error| Error::from_io(ErrorKind::Write, &folder, &error))?;
    }
    Ok(())
}

/// A file without a name in `folder`, for what is too large to be held: it is gone with the program,
/// however that ends.
///
/// # Errors
///
/// `Create` when it cannot be made.
pub fn unnamed(folder: &Path) -> Result<File> {
    create_folder(folder)?;
    tempfile::tempfile_in(folder).map_err(|error| Error::from_io(ErrorKind::Create, folder, &error))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
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
