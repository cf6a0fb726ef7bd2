//! The only room on the disk: files in, files out, every error with its path.
#![expect(clippy::disallowed_methods, reason = "this is the module the ban points to")]

pub mod atomic;
pub mod digest;
pub mod lock;

use std::path::Path;
use crate::error::{Error, ErrorKind, Result};
/// Largest text file that is read: sidecars, tables and pipelines are far smaller.
const TEXT_BYTES_MAX: u64 = 64 << 20;
/// The whole of a UTF-8 text file.
///
/// # Errors
/// `Missing` when it is not there, `Format` when it is not UTF-8 or above 64 MiB.
pub fn text(path: &Path) -> Result<String> {
    let unreadable = |error: std::io::Error| Error::from_io(ErrorKind::Format, path, &error);
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.len() > TEXT_BYTES_MAX {
        let message = format!("{} bytes are too many for a text file", metadata.len());
        return Err(Error::format(message).at_path(path));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}
pub mod mesh;
pub mod nifti;
pub mod gradient_table;
pub mod sidecar;
mod text_file;
