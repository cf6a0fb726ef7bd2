//! One run per output folder, held by the operating system.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::atomic;
use crate::error::{Error, ErrorKind, Result};

/// Holds the lock until it is dropped; a crash releases it too.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "dropping it releases the lock")] File);

/// Takes the lock of `folder` (the file `logs/run.lock`, which stays behind and means nothing).
///
/// # Errors
///
/// `Temporary` when another run holds it; `Create` when the file cannot be made.
pub fn acquire(folder: &Path) -> Result<Lock> {
    let path = folder.join("logs").join("run.lock");
    atomic::create_folder(&folder.join("logs"))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| Error::from_io(ErrorKind::Create, &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Temporary, "another run writes to this folder")
                .at_path(folder)
                .hint("wait until it has ended, or choose another --output"))
        }
        Err(TryLockError::Error(error)) => Err(Error::from_io(ErrorKind::Create, &path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_to_come_back_and_the_lock_ends_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let held = acquire(folder.path()).unwrap();
        assert_eq!(acquire(folder.path()).unwrap_err().kind(), ErrorKind::Temporary);
        drop(held);
        assert!(acquire(folder.path()).is_ok());
    }
}
